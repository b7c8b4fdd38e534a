"""A real browser uses the widgets, in JupyterLab and in Voila

Skipped by name where there is no Chromium; screenshots are kept in COLORIZE_ARTIFACTS."""
import base64
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.click import CHROMIUM, PHOTOS, measure, open_editor, server
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.apply.hints import read_hints
from colorize_lib.photos.samples import carried_photos
from conftest import ROOT

LAB_SETTINGS = { # no dialogue over the page, and all cells in it
    'apputils-extension/notification': dict(fetchNews='false', checkForUpdates=False),
    'notebook-extension/tracker': dict(windowingMode='none')}


@pytest.fixture(scope='module')
def browser():
    sync_api = pytest.importorskip('playwright.sync_api', reason='no browser test: pip install playwright')
    if not CHROMIUM: pytest.skip('no browser test: no Chromium (Debian: apt-get install chromium)')
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox', '--disable-dev-shm-usage'])
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def artifacts(tmp_path_factory):
    folder = Path(os.environ.get('COLORIZE_ARTIFACTS') or tmp_path_factory.mktemp('browser'))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def serve(command, path, folder):
    with server(command, path, folder) as address: yield address


@pytest.fixture(scope='module')
def voila(tmp_path_factory):
    pytest.importorskip('voila')
    yield from serve(['voila', str(ROOT/'nbs/widgets/12_app.ipynb')], '/', tmp_path_factory.mktemp('voila'))


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    pytest.importorskip('jupyterlab')
    folder = tmp_path_factory.mktemp('lab')
    shutil.copy(ROOT/'nbs/widgets/08_colorize_app.ipynb', folder)
    for name, settings in LAB_SETTINGS.items():
        (path := folder/f'settings/@jupyterlab/{name}.jupyterlab-settings').parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    yield from serve(['jupyterlab', '--allow-root', '--IdentityProvider.token=', f'--ServerApp.root_dir={folder}'],
                     '/lab/tree/08_colorize_app.ipynb', folder)


@pytest.fixture
def page(browser):
    page, page.errors = (page := browser.new_page(viewport=dict(width=1100, height=1000), accept_downloads=True)), []
    page.on('pageerror', lambda e: page.errors.append(str(e)))
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    "A photo of another size than any preview has"
    path = tmp_path_factory.mktemp('photos')/'harbour.png'
    Image.open(carried_photos()[2]).convert('RGB').resize((1600, 1067)).save(path)
    return path


def write_clip(path, n):
    "A gray film with sound, a pan over a photo"
    av = pytest.importorskip('av', reason='films need the package av')
    photo = Image.open(carried_photos()[2]).convert('L').convert('RGB').resize((600, 400))
    with av.open(str(path), 'w') as box:
        video, audio = box.add_stream('libx264', rate=25), box.add_stream('aac', rate=48000)
        video.width, video.height, video.pix_fmt = 384, 216, 'yuv420p'
        for i in range(n):
            picture = photo.crop((i % 200, 50, i % 200 + 384, 266))
            box.mux(video.encode(av.VideoFrame.from_image(picture)))
        for i in range(n*1920//1024):
            noise = np.random.default_rng(i).normal(0, .1, (2, 1024)).astype(np.float32)
            noise = av.AudioFrame.from_ndarray(noise, 'fltp')
            noise.sample_rate, noise.pts = 48000, 1024*i
            box.mux(audio.encode(noise))
        for o in (video, audio): box.mux(o.encode(None))
    return path


@pytest.fixture(scope='module')
def clip(tmp_path_factory): return write_clip(tmp_path_factory.mktemp('clips')/'walk.mp4', 40)


def drag(page, card, to):
    "Drag the line with the mouse to a share of the picture's width"
    box = card.locator('.clz-stage').bounding_box()
    y = box['y'] + box['height']*.4
    page.mouse.move(box['x'] + box['width']*.5, y)
    page.mouse.down()
    for share in np.linspace(.5, to, 8): page.mouse.move(box['x'] + box['width']*share, y)
    page.mouse.up()
    return float(card.locator('.clz-stage input').input_value())


def shown(card, name):
    "Wait until the photo `name` is there in colour"
    card.locator(f'.clz-stage[aria-busy=false] .clz-after[alt^="{name}"]').wait_for()
    card.page.wait_for_function('img => img.complete && img.naturalWidth > 0',
                                arg=card.locator('.clz-after').element_handle())


def use_the_app(page, card, photo, shot):
    "Upload, compare, download, fail, go on"
    before = card.locator('.clz-strip button').count() # photos that the notebook has put there
    card.locator(PHOTOS).set_input_files(photo)
    shown(card, 'harbour.png')
    card.scroll_into_view_if_needed()
    shot('colored')
    assert abs((at := drag(page, card, .8)) - 80) < 1
    shot('dragged')
    card.locator('.clz-stage input').press('ArrowLeft') # and with the keyboard
    assert float(card.locator('.clz-stage input').input_value()) == at - .5

    with page.expect_download() as download: card.get_by_role('button', name='Download', exact=True).click()
    assert download.value.suggested_filename == 'harbour_color.png'
    with Image.open(download.value.path()) as result: pixels = np.asarray(result)
    np.testing.assert_array_equal(pixels, np.asarray(Colorizer.load()(photo)))
    assert np.ptp(pixels.astype(int), axis=-1).mean() > 5 # it has colours

    broken = photo.with_name('letter.jpg')
    broken.write_text('Dear Sir '*1_400_000) # 12 MB: more than Jupyter's server takes in one message
    card.locator(PHOTOS).set_input_files(broken)
    card.locator('.clz-oops', has_text='not a picture').wait_for()
    shot('broken')
    assert 'letter.jpg' in card.locator('.clz-oops').inner_text()
    assert card.locator('.clz-strip button').last.get_attribute('data-state') == 'failed'
    Image.new('1', (10_000, 10_000)).save(huge := photo.with_name('huge.png'))
    card.locator(PHOTOS).set_input_files(huge)
    card.locator('.clz-oops', has_text='100 megapixels; this app takes up to 60').wait_for()
    card.locator(PHOTOS).set_input_files([carried_photos()[1], carried_photos()[3]]) # and on it goes
    card.locator('.clz-strip button[data-state=done]').nth(before + 2).wait_for() # a new photo is shown when it arrives
    card.locator('.clz-strip button').nth(before + 4).click()
    shown(card, 'rocket.jpg')
    shot('on_it_goes')
    assert not page.errors


def drop_file(page, card, path):
    "What a browser tells a page when a file is dropped"
    data = page.evaluate_handle("""([name, text]) => {
        const data = new DataTransfer(), bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0))
        data.items.add(new File([bytes], name, {type: 'image/png'}))
        return data }""", [path.name, base64.b64encode(path.read_bytes()).decode()])
    for event in ('dragenter', 'dragover', 'drop'): card.dispatch_event(event, dict(dataTransfer=data))


def ink(card):
    "How much is drawn on the sheet, in thousandths"
    return card.locator('canvas:not(.clz-drops)').evaluate("""c => {
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data
        let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] < 128; return 1000*n/(c.width*c.height) }""")


def draw(page, card, points):
    "A stroke by the mouse, through points in [0,1]"
    box = card.locator('canvas:not(.clz-drops)').bounding_box()
    at = [(box['x'] + x*box['width'], box['y'] + y*box['height']) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for p in at[1:]: page.mouse.move(*p, steps=5)
    page.mouse.up()


def pictures(stage): return stage.get_attribute('data-pictures')


def next_picture(stage, before):
    "Wait until the editor shows another picture than the one that had the number `before`"
    stage.page.wait_for_function('([e, n]) => e.dataset.pictures !== n', arg=[stage.element_handle(), before])


REDDER = '''e => {
    const canvas = e.querySelector("canvas"), at = o => Math.round(.25*o)
    const one = new OffscreenCanvas(1, 1).getContext("2d")
    one.drawImage(canvas, at(canvas.width), at(canvas.height), 1, 1, 0, 0, 1, 1)
    const [r, g, b] = one.getImageData(0, 0, 1, 1).data
    return r > g + 60 && r > b + 60 }''' # the picture, at a quarter of its width and height


def saved_hints(page, card, size):
    "The hints, as the button saves them"
    with page.expect_download() as download: card.get_by_role('button', name='Save hints').click()
    return read_hints(download.value.path(), size)


def correct_by_mouse(page, card, photo, shot):
    "Place, recolour, move, delete, undo, redo; the download is the `Colorizer`'s own"
    card.get_by_role('button', name='Correct colours').click()
    stage, status = card.locator('.clz-hints'), card.locator('.clz-notice').first
    card.get_by_text('Click a place in the photo, then choose its colour here.').wait_for()
    box, size = stage.bounding_box(), Image.open(photo).size
    at = lambda x, y: dict(x=box['width']*x, y=box['height']*y)
    stage.click(position=at(.25, .25))
    card.get_by_text('Usual at this lightness').wait_for()
    shot('place')
    n = pictures(stage)
    card.get_by_role('button', name='steelblue').or_(card.locator('.clz-group:nth-child(2) .clz-color')).first.click()
    next_picture(stage, n)
    point = stage.locator('.clz-point')
    assert point.count() == 1
    first = saved_hints(page, card, size)
    assert abs(first[0].x - size[0]*.25) < 4
    assert abs(first[0].y - size[1]*.25) < 4
    assert not stage.evaluate(REDDER)
    n = pictures(stage)
    field = card.get_by_label('Hex code or CSS name')
    field.fill('#c03020')
    field.press('Enter')
    next_picture(stage, n)
    page.wait_for_function(REDDER, arg=stage.element_handle())
    shot('coloured_hint')
    with page.expect_download() as download: card.get_by_role('button', name='Download', exact=True).click()
    with Image.open(download.value.path()) as result: pixels = np.asarray(result)
    hints = saved_hints(page, card, size)
    assert hints == [first[0]._replace(color=(192, 48, 32))]
    np.testing.assert_array_equal(pixels, np.asarray(Colorizer.load()(photo, hints=hints)))

    spot, n = point.bounding_box(), pictures(stage) # drag it
    page.mouse.move(spot['x'] + spot['width']/2, spot['y'] + spot['height']/2)
    page.mouse.down()
    page.mouse.move(box['x'] + box['width']*.5, box['y'] + box['height']*.5, steps=12)
    next_picture(stage, n) # before the button is released
    page.mouse.move(box['x'] + box['width']*.75, box['y'] + box['height']*.75, steps=12)
    page.mouse.up()
    status.get_by_text('Hint 1 of 1: firebrick').wait_for()
    moved = saved_hints(page, card, size)
    assert abs(moved[0].x - size[0]*.75) < 4
    assert abs(moved[0].y - size[1]*.75) < 4
    card.get_by_role('button', name='Undo').click()
    assert saved_hints(page, card, size) == hints # the drag was one step
    card.get_by_role('button', name='Redo').click()
    assert saved_hints(page, card, size) == moved
    card.get_by_role('button', name='Delete', exact=True).click()
    point.wait_for(state='detached')
    card.get_by_role('button', name='Undo').click()
    point.wait_for()
    card.locator('input[type=file][accept=".json"]').set_input_files(photo.with_name('letter.jpg'))
    card.locator('.clz-notice[data-kind=error]', has_text='letter.jpg: not a file of hints').wait_for()
    card.get_by_role('button', name='Compare').click()
    card.locator('.clz-stage').wait_for()
    assert not page.errors


def correct_by_keyboard(page, card, name, shot):
    "The same without a mouse"
    card.get_by_role('button', name='Correct colours').press('Enter')
    stage, status = card.locator('.clz-hints'), card.locator('.clz-notice').first
    stage.wait_for()
    page.wait_for_function('e => e.dataset.pictures', arg=stage.element_handle()) # before, keys mean nothing
    all_of_them = card.get_by_role('button', name='Delete all')
    if all_of_them.is_enabled(): all_of_them.press('Enter') # hints that were there before
    stage.focus()
    focused = lambda: page.evaluate('document.activeElement.getAttribute("aria-label")') or ''
    for key in ('Shift+ArrowRight', 'Shift+ArrowRight', 'ArrowDown'): # each waits for the mark of the one before
        mark = stage.locator('.clz-place').get_attribute('style')
        page.keyboard.press(key)
        page.wait_for_function('([e, old]) => e.getAttribute("style") !== old',
                               arg=[stage.locator('.clz-place').element_handle(), mark])
    status.get_by_text('choose its colour').wait_for()
    card.locator('.clz-palette[aria-busy=false]', has_text='Usual at this lightness').wait_for()
    page.keyboard.press('c')
    assert focused().startswith(card.locator('.clz-color').first.get_attribute('aria-label'))
    n = pictures(stage)
    page.keyboard.press('Tab') # to the next group
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowRight')
    chosen = focused()
    page.keyboard.press('Enter')
    next_picture(stage, n)
    status.get_by_text(f'Hint 1 of 1: {chosen}').wait_for()
    page.keyboard.press('Escape')
    assert focused().startswith(f'{name}, in colour, 1 hint.')
    place = stage.locator('.clz-point').get_attribute('aria-label')
    assert stage.get_attribute('aria-activedescendant') == stage.locator('.clz-point').get_attribute('id')
    page.keyboard.press('Shift+ArrowLeft')
    page.wait_for_function('([e, old]) => e.getAttribute("aria-label") !== old',
                           arg=[stage.locator('.clz-point').element_handle(), place])
    page.keyboard.press('Escape') # selects none: the next colour is another hint
    for _ in range(3): page.keyboard.press('Shift+ArrowUp')
    page.keyboard.press('Enter') # the last colour once more
    status.get_by_text(f'Hint 2 of 2: {chosen}').wait_for()
    page.keyboard.press('p')
    status.get_by_text(f'Hint 1 of 2: {chosen}').wait_for()
    shot('keyboard')
    page.keyboard.press('Delete')
    status.get_by_text('1 hint.').wait_for()
    page.keyboard.press('Control+z')
    status.get_by_text(f'Hint 1 of 2: {chosen}').wait_for()
    page.keyboard.press('Control+y')
    status.get_by_text('1 hint.').wait_for()
    card.get_by_role('button', name='Compare').press('Enter')
    card.locator('.clz-stage').wait_for()
    assert not page.errors


def use_the_pad(page, card, photo, shot):
    "Draw by mouse and keyboard, undo, trace a photo, fail, go on"
    result = lambda: card.locator('.clz-picture img').get_attribute('src')
    card.scroll_into_view_if_needed()
    card.get_by_role('button', name='Clear').click()
    page.wait_for_timeout(1000)
    first = result()
    assert ink(card) == 0
    draw(page, card, [(.1, .7), (.3, .3), (.45, .6), (.6, .2), (.9, .7)])
    assert ink(card) > 3
    page.wait_for_function('([img, first]) => img.src !== first',
                           arg=[card.locator('.clz-picture img').element_handle(), first])
    page.wait_for_timeout(600)
    shot('sketch')
    drawn = ink(card)
    colored = result()
    card.get_by_role('button', name='Colour: red').click()
    draw(page, card, [(.5, .9), (.55, .9)])
    page.wait_for_function('([img, old]) => img.src !== old',
                           arg=[card.locator('.clz-picture img').element_handle(), colored])
    assert ink(card) == drawn # colours lie on a sheet of their own
    page.wait_for_timeout(600)
    shot('drop')
    card.get_by_role('button', name='Pen', exact=True).click()
    sheet = card.locator('canvas:not(.clz-drops)')
    box = sheet.bounding_box()
    page.mouse.move(box['x'] + box['width']*.1, box['y'] + box['height']*.9)
    page.mouse.down()
    page.mouse.move(box['x'] + box['width']*.9, box['y'] + box['height']*.95, steps=5)
    page.wait_for_timeout(1000) # a hand that rests before it lifts the pen
    growing = result()
    page.mouse.up()
    page.wait_for_function('([img, old]) => img.src !== old', # only now colours follow
                           arg=[card.locator('.clz-picture img').element_handle(), growing])
    sheet.press('u')
    assert abs(ink(card) - drawn) < .2
    sheet.focus()
    for key in ['Space', *['ArrowRight']*10, *['ArrowDown']*5, 'Space', 'ArrowDown']: sheet.press(key)
    assert ink(card) > drawn
    sheet.press('u')
    assert abs(ink(card) - drawn) < .2
    letter = photo.with_name('letter.png')
    letter.write_text('Dear Sir')
    card.locator(PHOTOS).set_input_files(letter)
    card.locator('.clz-notice[data-kind=error]', has_text='letter.png: not a picture').wait_for()
    card.locator(PHOTOS).set_input_files(photo)
    page.wait_for_function('([img, old]) => img.src !== old',
                           arg=[card.locator('.clz-picture img').element_handle(), result()])
    page.wait_for_timeout(1000)
    shot('traced')
    assert ink(card) > 2*drawn
    assert not page.errors


def camera(page, artifacts, where): return lambda name: page.screenshot(path=artifacts/f'{where}_{name}.png')


def fits_a_phone(page, card, shot):
    page.set_viewport_size(dict(width=390, height=844))
    card.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    shot('phone')
    assert card.evaluate('e => e.scrollWidth <= innerWidth')


def test_app_and_sketch_pad_in_voila(page, voila, photo, artifacts):
    shot = camera(page, artifacts, 'voila')
    page.goto(voila)
    app, pad = page.locator('.clz-card').nth(0), page.locator('.clz-card').nth(1)
    app.get_by_role('button', name='Choose photos').wait_for()
    shot('start')
    use_the_app(page, app, photo, shot)
    use_the_pad(page, pad, photo, shot)
    drop_file(page, app, photo)
    app.locator('.clz-strip button').nth(5).wait_for()
    fits_a_phone(page, app, shot)


def test_hints_by_mouse_and_by_keyboard(page, voila, photo, artifacts):
    shot = camera(page, artifacts, 'hints')
    page.set_viewport_size(dict(width=1280, height=1000))
    page.goto(voila)
    card = page.locator('.clz-card').nth(0)
    photo.with_name('letter.jpg').write_text('Dear Sir')
    card.locator(PHOTOS).set_input_files(photo)
    shown(card, 'harbour.png')
    correct_by_mouse(page, card, photo, shot)
    correct_by_keyboard(page, card, 'harbour.png', shot)


@pytest.mark.slow # a click and its new picture are in `test_hints_by_mouse_and_by_keyboard`
def test_the_time_of_a_click_is_measured(page, voila, tmp_path):
    "As `python -m benchmarks.click` does; how long it takes depends on what else runs"
    Image.open(carried_photos()[2]).convert('RGB').save(tmp_path/'click.jpg')
    card = open_editor(page, voila, tmp_path/'click.jpg')
    (one, *ms), (two, *_) = measure(card, [1, 2], 2)
    assert (one, two) == (1, 2)
    assert 1 < ms[0] <= ms[1] < 20_000
    assert ms[0] <= ms[2] <= ms[3] < 20_000 # the sharp picture
    assert card.locator('.clz-point').count() == 2
    assert not page.errors


def test_hints_on_a_phone(browser, voila, photo, artifacts):
    phone = dict(viewport=dict(width=390, height=844), has_touch=True, is_mobile=True)
    with browser.new_context(**phone) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(voila)
        card = page.locator('.clz-card').nth(0)
        card.locator(PHOTOS).set_input_files(photo)
        shown(card, 'harbour.png')
        card.get_by_role('button', name='Correct colours').tap()
        stage = card.locator('.clz-hints')
        stage.tap(position=dict(x=60, y=60))
        swatch = card.locator('.clz-group:nth-child(2) .clz-color').nth(2)
        swatch.wait_for()
        n = pictures(stage)
        swatch.tap()
        next_picture(stage, n)
        stage.scroll_into_view_if_needed()
        page.screenshot(path=artifacts/'hints_phone.png')
        assert stage.locator('.clz-point').count() == 1
        assert swatch.bounding_box()['width'] >= 36 # as wide as a finger
        assert card.evaluate('e => e.scrollWidth <= innerWidth')
        slice_image = card.locator('.clz-right .clz-picture .clz-pick')
        n = pictures(stage)
        slice_image.tap(position=dict(x=150, y=150)) # gray
        next_picture(stage, n)
        card.locator('.clz-notice', has_text='Hint 1 of 1').first.wait_for()


@pytest.mark.slow # test_widgets.py uses the same clips without a browser
def test_a_short_film_in_voila(page, voila, clip, artifacts):
    "Upload, slider, play, before and after, download with the sound; a long one is stopped and goes on"
    shot = camera(page, artifacts, 'film')
    page.goto(voila)
    card = page.locator('.clz-card').nth(0)
    card.locator(PHOTOS).set_input_files(clip)
    card.get_by_role('button', name='Stop').wait_for()
    card.locator('.clz-notice', has_text='colouring walk.mp4').first.wait_for()
    shown(card, 'walk.mp4')
    shot('colored')
    assert abs(drag(page, card, .3) - 30) < 1
    src = lambda: card.locator('.clz-after').get_attribute('src')
    first, number = src(), card.get_by_role('slider', name='Frame').or_(card.locator('.noUi-handle').first).first
    number.press('ArrowRight')
    page.wait_for_function('([img, old]) => img.src !== old', arg=[card.locator('.clz-after').element_handle(), first])
    shot('next_frame')
    readout = card.locator('.widget-slider .widget-readout').first
    assert readout.inner_text() == '1'
    card.locator('.jupyter-widgets.widget-play button, .widget-play button').first.click()
    page.wait_for_function('e => +e.textContent >= 20', arg=readout.element_handle())
    shot('played')
    assert card.get_by_role('button', name='Correct colours').count() == 0
    with page.expect_download() as download: card.get_by_role('button', name='Download', exact=True).click()
    assert download.value.suggested_filename == 'walk_color.mp4'
    av = pytest.importorskip('av')
    with av.open(str(clip)) as before, av.open(str(download.value.path())) as after:
        sounds = [[bytes(o) for o in box.demux(audio=0) if o.size] for box in (before, after)]
    with av.open(str(download.value.path())) as box:
        frames = [o.to_ndarray(format='rgb24') for o in box.decode(video=0)]
    assert sounds[0] == sounds[1] != []
    assert (len(frames), frames[0].shape) == (40, (216, 384, 3))
    assert np.ptp(frames[20].astype(int), axis=-1).mean() > 3 # it has colours

    long = clip.with_name('long.mp4')
    write_clip(long, 300)
    card.locator(PHOTOS).set_input_files(long)
    card.locator('.clz-notice', has_text='of 300 frames').first.wait_for()
    card.locator(PHOTOS).set_input_files(carried_photos()[1]) # a photo does not wait for the film
    card.locator('.clz-strip button').nth(2).click()
    shown(card, 'chelsea.png')
    card.locator('.clz-strip button').nth(1).click()
    card.locator('.clz-strip button').nth(1).locator('.clz-mark').wait_for()
    card.get_by_role('button', name='Stop').click()
    card.locator('.clz-notice', has_text='long.mp4: stopped after').first.wait_for()
    assert card.locator('.clz-before').is_visible() # it is no error: the film is still there
    card.get_by_role('button', name='Go on').wait_for()
    shot('stopped')
    write_clip(long, 700)
    card.locator(PHOTOS).set_input_files(long)
    card.locator('.clz-oops', has_text='28.0 seconds, 700 frames; this app takes clips of up to 20 seconds').wait_for()
    assert 'On the command line' in card.locator('.clz-oops').inner_text()
    shot('too_long')
    card.locator('.clz-strip button').nth(0).click()
    fits_a_phone(page, card, shot)
    assert not page.errors


@pytest.mark.slow # Voila shows the same app in another test
def test_the_app_in_jupyterlab_and_a_closed_kernel(page, lab, photo, artifacts):
    shot = camera(page, artifacts, 'lab')
    page.goto(lab)
    page.get_by_text('Python 3 (ipykernel) | Idle').wait_for()
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
    card = page.locator('.clz-card').nth(1) # under "Try it"; the first one has other settings
    card.wait_for()
    page.get_by_text('Python 3 (ipykernel) | Idle').wait_for()
    use_the_app(page, card, photo, shot)
    correct_by_keyboard(page, card, 'rocket.jpg', shot) # JupyterLab has shortcuts of its own
    page.get_by_role('menuitem', name='Kernel', exact=True).click()
    page.get_by_role('menuitem', name='Shut Down Kernel', exact=True).click()
    page.get_by_text('No Kernel | ').wait_for()
    card.locator('.clz-strip button').first.click()
    card.locator('.clz-lost', has_text='Python does not respond').wait_for(timeout=15_000)
    shot('closed_kernel')


EXPLORERS = """
import numpy as np, torch
from PIL import ImageOps
from colorize_lib.all import *
from colorize_lib.widgets.lab_explorer import LabExplorer
from colorize_lib.widgets.loss_explorer import LossExplorer, LossResults, Method
from colorize_lib.widgets.monitor import TrainingMonitor
display(LabExplorer())
truth = np.stack([np.asarray(ImageOps.fit(open_photo(p), (96, 96))) for p in carried_photos()[:4]])
logits = np.random.default_rng(0).normal(size=(4, 30, 30))
methods = [Method('l1', (truth*.5 + 60).astype('uint8')), Method('gan', truth[..., ::-1].copy())]
methods += [Method('both', (truth*.8 + v/10).astype('uint8'), v) for v in (10., 100.)]
gray = truth.mean(-1).astype('uint8')
display(LossExplorer(LossResults(gray, truth, methods, logits + 1, logits - 1, fake_method=2)))
dls = colorize_dls([paint_scene(i, 54) for i in range(60)], size=48, bs=8, cache=False)
learn = colorize_learner(dls, Unet(nf=8, n_down=2))
with learn.no_logging(), learn.no_bar(): learn.fit(2, 3e-3, cbs=TrainingMonitor(pause=.1, share=.2))
"""


@pytest.fixture(scope='module')
def explorers(tmp_path_factory):
    nbformat = pytest.importorskip('nbformat')
    folder = tmp_path_factory.mktemp('explorers')
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(EXPLORERS)]), folder/'explorers.ipynb')
    yield from serve(['voila', str(folder/'explorers.ipynb')], '/', folder)


@pytest.mark.slow
def test_explorers_by_keyboard_and_a_training_that_is_watched(page, explorers, artifacts):
    page.goto(explorers)
    page.locator('.clz-curves polyline').first.wait_for()
    lab, losses, training = (page.locator('.clz-card').nth(i) for i in range(3))
    text, picture = lab.locator('.clz-text'), lab.locator('.clz-pick')
    assert 'Pixel 96, 240' in text.inner_text()
    picture.focus()
    for _ in range(3): picture.press('Shift+ArrowRight')
    text.get_by_text('Pixel 192, 240').wait_for()
    picture.click(position=dict(x=2, y=2))
    text.get_by_text('Pixel 1, 1:').wait_for()
    assert losses.locator('figcaption', has_text='lambda = 100').count() == 1 # the paper's, to begin with
    losses.get_by_role('slider',
                       name='lambda: weight of L1').or_(losses.locator('.noUi-handle').first).first.press('ArrowLeft')
    losses.get_by_text('both, lambda = 10', exact=True).wait_for()
    assert all(img.get_attribute('alt') for img in losses.locator('figure img:visible').all())
    assert training.locator('.clz-legend', has_text='valid loss').count() == 1
    assert 'Curves. loss:' in training.locator('svg').get_attribute('aria-label')
    for name, card in dict(lab_explorer=lab, loss_explorer=losses, monitor=training).items():
        card.screenshot(path=artifacts/f'{name}.png')
    assert not page.errors
