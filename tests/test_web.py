"""A real browser colours photos on the page in web/, without Python

Skipped by name without Chromium, or where the runtime was not fetched. COLORIZE_ARTIFACTS keeps screenshots."""
import base64
import hashlib
import json
import re
import shutil
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from colorize_lib.apply.colorizer import Colorizer, render_size
from colorize_lib.apply.hints import read_hints, write_hints
from colorize_lib.apply.recolor import recolor
from colorize_lib.engine.weights import generators, save_weights
from colorize_lib.lab import lab_to_rgb
from colorize_lib.photos.samples import carried_photos, paint_scene
from colorize_lib.widgets.hint_colors import at_lightness, color_name, lab_of, usual_colors
from colorize_lib.widgets.lab_explorer import gamut_slice
from conftest import ROOT
from test_browser import CHROMIUM, artifacts, browser # noqa: F401 (fixtures)

sys.path.insert(0, str(ROOT/'tools'))
import web # noqa: E402


class Plain(SimpleHTTPRequestHandler):
    "A static server that knows nothing of the page, as most are"
    extensions_map = web.Handler.extensions_map
    def log_message(self, *args): pass


def served(handler, folder=ROOT):
    "A server, and the address of the page: in a folder, as on the site"
    server = ThreadingHTTPServer(('localhost', 0), partial(handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f'http://localhost:{server.server_port}/web/'


@pytest.fixture(scope='module')
def built():
    "The page's files are those of this checkout"
    if not (web.VENDOR/'runtime.txt').exists(): pytest.skip('no test of the page: make web fetches its runtime, once')
    web.build()


@pytest.fixture(scope='module')
def site(browser, built): # noqa: F811
    "The page's address"
    server, address = served(Plain)
    yield address
    server.shutdown()


def watched(browser, site, **kwargs): # noqa: F811
    "A browser profile of its own; what goes wrong, and whatever leaves the origin, is collected"
    context = browser.new_context(accept_downloads=True, **({'viewport': dict(width=1180, height=950)} | kwargs))
    context.set_default_timeout(120_000) # the machine may be busy
    context.strangers, context.errors = [], []
    local = site, 'blob:' + site.removesuffix('/web/')
    context.on('request', lambda r: None if r.url.startswith(local) else context.strangers.append(r.url))
    context.on('weberror', lambda e: context.errors.append(str(e.error)))
    context.on('console', lambda m: context.errors.append(m.text) if 'Content Security Policy' in m.text else None)
    return context


@pytest.fixture
def page(browser, site): # noqa: F811
    with watched(browser, site) as context:
        page = context.new_page()
        page.goto(site)
        yield page
        assert not context.strangers, 'no request leaves the origin'
        assert not context.errors


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    "A photo of a size that no preview has"
    path = tmp_path_factory.mktemp('photos')/'cup.png'
    Image.open(carried_photos()[2]).convert('RGB').resize((1500, 1003)).save(path)
    return path


@pytest.fixture(scope='module')
def colorizer(): return Colorizer.load(device='cpu', precision='fp32')


def put(page, *files): page.set_input_files('#files', [str(o) for o in files])


def shown(page, name):
    "Wait until the photo `name` is there in colour"
    page.locator(f'.strip [data-state=done][aria-label^="{name}"]').wait_for()


def downloaded(page):
    "`(name, picture)` that the button gives"
    with page.expect_download() as download: page.get_by_role('button', name='Download', exact=True).click()
    with Image.open(download.value.path()) as img:
        img.load()
        return download.value.suggested_filename, img


def differ(a, b):
    "Mean and largest difference of two pictures, of 255"
    d = np.abs(np.asarray(a.convert('RGB'), int) - np.asarray(b.convert('RGB'), int))
    assert a.size == b.size
    return d.mean(), d.max()


# ---- the arithmetic, beside Python's

RUN = """async ([name, call, args]) => {
    const m = await import(`./js/${name}.js`), bytes = t => Uint8Array.from(atob(t), c => c.charCodeAt(0))
    const text = u => { let s = ''
        for (let i = 0; i < u.length; i += 8192) s += String.fromCharCode(...u.subarray(i, i + 8192))
        return btoa(s) }
    const picture = ([width, height, t]) => ({ width, height, data: new Uint8ClampedArray(bytes(t).buffer) })
    const map = ([channels, height, width, t]) => ({ channels, height, width, data: new Float32Array(bytes(t).buffer) })
    return new Function('m', 'picture', 'map', 'text', 'args', `return ${call}`)(m, picture, map, text, args) }"""


@pytest.fixture
def run(browser, site): # noqa: F811
    "Run an expression of a module's exports `m` in a page that allows what the test needs"
    with watched(browser, site, bypass_csp=True) as context:
        page = context.new_page()
        page.goto(site + 'icon.svg')
        yield lambda name, call, *args: page.evaluate(RUN, [name, call, list(args)])


def packed(x): return base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()
def rgba(img): return [*img.size, packed(img.convert('RGBA'))]
def unpacked(text, width, height): return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
def float_map(x): return [*x.shape[1:], packed(x[0].float().numpy())]


@pytest.mark.parametrize('size', [(451, 300), (333, 620), (333, 1200), (90, 40), (2000, 117), (640, 641)])
@pytest.mark.parametrize('short', [64, 128, 256])
def test_small_pictures_are_pillows_to_the_last_bit(run, size, short):
    img = Image.open(carried_photos()[0]).convert('RGB').resize(size)
    small = render_size(*size, short)
    assert run('resize', 'm.renderSize(...args)', *size, short) == list(small)
    call = 'text(m.resize(m.sourceOf(picture(args[0])), args[1], args[2]).data)'
    ours = unpacked(run('resize', call, rgba(img), *small), *small)
    right = np.asarray(img.resize(small, Image.BICUBIC, reducing_gap=3))
    if size[1] < 2*size[0]: np.testing.assert_array_equal(ours[..., :3], right)
    else: assert np.abs(ours[..., :3].astype(int) - right).max() <= 5 # Pillow 13 takes tall ones by columns first


@pytest.mark.parametrize('size', [(64, 48), (301, 517), (1700, 1400)], ids=str) # the last one: colours at half the size
@pytest.mark.parametrize('seed', [0, 1])
def test_the_guided_filter_is_recolors(run, size, seed):
    torch.manual_seed(seed)
    img = Image.open(carried_photos()[seed]).convert('RGB').resize(size)
    h, w = render_size(*size, 64)[::-1]
    small = np.asarray(img.convert('L').resize((w, h)), np.float32)
    lum = torch.tensor(small)[None, None]/2.55
    ab = torch.nn.functional.interpolate(torch.randn(1, 2, 5, 6), (h, w), mode='bicubic')*60 # some beyond the gamut
    right = np.asarray(recolor(img.copy(), lum, ab), int)
    call = 'text(m.recolored(picture(args[0]), map(args[1]), map(args[2])).data)'
    ours = unpacked(run('recolor', call, rgba(img), float_map(lum), float_map(ab)), *size)[..., :3].astype(int)
    assert np.abs(ours - right).max() <= 1
    assert np.ptp(ours, axis=-1).mean() > 20


def test_the_palette_is_the_apps(run):
    usual = json.loads((web.VENDOR/'usual_colors.json').read_text())
    names = json.loads((web.VENDOR/'color_names.json').read_text())
    for level in (0, 12, 50, 71, 93, 100):
        offers = run('colors', 'new m.Colors(args[1], args[2]).usual(args[0])', level, usual, names)
        assert offers == [list(o) for o in usual_colors(level)]
        ab = [[80, 60], [-90, 10], [3, -70], [0, 0]]
        for pair, right in zip(ab, at_lightness(level, torch.tensor(ab))):
            found = run('colors', 'm.atLightness(args[0], args[1])', level, pair)
            assert np.abs(np.subtract(found, right)).max() <= 1
        ours = unpacked(run('colors', 'text(new Uint8Array(m.gamutSlice(args[0]).data.buffer))', level), 221, 221)
        far = np.abs(ours[..., :3].astype(int) - np.asarray(gamut_slice(level), int)).max(-1) > 1
        assert far.mean() < 1e-3 # pixels on the island's shore
    for color in ((192, 48, 32), (7, 7, 7), (120, 200, 90)):
        assert run('colors', 'new m.Colors([], args[1]).name(args[0])', color, names) == color_name(color)
    assert lab_of((192, 48, 32)) == pytest.approx(run('lab', 'm.labOf(args[0])', (192, 48, 32)), abs=1e-3)
    right = lab_to_rgb(torch.tensor([50., 20, -30]).view(3, 1, 1)).flatten().tolist()
    assert run('lab', 'm.rgbOf(50, 20, -30)') == pytest.approx(right, abs=1e-4)


# ---- the files

def test_a_first_visit_fetches_20_megabytes_at_most(built):
    files = json.loads((web.VENDOR/'files.json').read_text())
    sizes = {name: (web.WEB/name).stat().st_size for name in files['files']}
    assert sizes == {name: o['bytes'] for name, o in files['files'].items()}
    unlisted = sum((web.WEB/o).stat().st_size for o in ('sw.js', 'vendor/files.json'))
    first = sum(sizes[o] for o in files['first']) + unlisted
    runtime = sum(sizes[f'vendor/{web.packed(o)}'] for o in web.WASM)
    assert runtime < 4e6 # the rest is ours
    assert first < 12.5e6
    assert first + sum(sizes[f'vendor/{web.packed(o)}'] for o in web.WEBGPU) < 20e6 # with a graphics processor
    assert f'<span id="bytes">{sum(sizes[o] for o in files["first"])/1e6:.0f} MB<' in (web.WEB/'index.html').read_text()


def test_a_model_that_the_page_cannot_use_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(web, 'VENDOR', tmp_path/'vendor')
    monkeypatch.setattr(web, 'fetch_runtime', lambda: None)
    (tmp_path/'letter.safetensors').write_text('Dear Sir')
    config = dict(generator='unet', kwargs=dict(nf=8, n_down=2), task='grayscale', size=64)
    plain = save_weights(generators['unet'](**config['kwargs']), tmp_path/'plain.safetensors', config)
    for model, words in (('nowhere', 'no such file, and no model of this name'),
                         ('sketch', 'the page needs a model for photos that takes hints'),
                         (str(plain), 'the page needs a model for photos that takes hints'),
                         (str(tmp_path/'letter.safetensors'), 'letter.safetensors: ')):
        monkeypatch.setattr(sys, 'argv', ['web.py', '--build', '--model', model])
        with pytest.raises(SystemExit, match=words) as e: web.main()
        assert str(e.value).startswith(model)
        assert len(str(e.value)) > len(f'{model}: {words}') # the cure
        assert [p.name for p in web.VENDOR.iterdir()] == []


# ---- photos in, photos out

def test_a_photo_in_and_the_colorizers_picture_out(page, photo, colorizer, artifacts): # noqa: F811
    page.locator('body[data-backend^=WebAssembly]').wait_for()
    page.screenshot(path=artifacts/'web_start.png')
    put(page, photo)
    shown(page, 'cup.png')
    page.screenshot(path=artifacts/'web_photo.png')
    name, result = downloaded(page)
    assert name == 'cup_color.png'
    mean, most = differ(result, colorizer(photo))
    assert mean < .1
    assert most <= 3
    assert np.ptp(np.asarray(result, int), axis=-1).mean() > 5 # it has colours
    slider = page.locator('#compare input')
    slider.focus()
    slider.press('ArrowRight')
    assert float(slider.input_value()) == 50.5


def test_a_photo_that_comes_before_the_page_is_ready(browser, site, photo): # noqa: F811
    with watched(browser, site) as context:
        page, late = context.new_page(), []
        page.route('**/color_names.json', lambda route: late.append(route))
        page.goto(site)
        put(page, photo)
        page.locator('.strip [data-state]').wait_for()
        for route in late: route.continue_()
        assert len(late) == 1
        shown(page, 'cup.png')
        page.get_by_role('button', name='Correct colours').click()
        page.locator('.hint-stage').wait_for()
        assert page.locator('#start').is_hidden()


def test_a_jpeg_that_a_camera_held_upright_has_written(page, photo, colorizer, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = 6, 'Some Camera', '1999:12:31 23:59:59'
    Image.open(photo).save(path := tmp_path/'turned.jpg', quality=95, exif=exif)
    put(page, path)
    shown(page, 'turned.jpg')
    name, result = downloaded(page)
    assert (name, result.format, result.size) == ('turned_color.jpg', 'JPEG', (1003, 1500))
    written = result.getexif()
    assert (written[0x0112], written[0x010F], written[0x0132]) == (1, 'Some Camera', '1999:12:31 23:59:59')
    assert differ(result, colorizer(path))[0] < 2


def test_transparency_stays(page, photo, tmp_path):
    img = Image.open(photo).resize((300, 200)).convert('RGBA')
    img.putalpha(Image.linear_gradient('L').resize(img.size))
    img.save(path := tmp_path/'clear.png')
    put(page, path)
    shown(page, 'clear.png')
    result = downloaded(page)[1]
    np.testing.assert_array_equal(np.asarray(result)[..., 3], np.asarray(img)[..., 3])


def test_hints_give_the_colorizers_picture_and_its_file(page, photo, colorizer, artifacts, tmp_path): # noqa: F811
    size = Image.open(photo).size
    put(page, photo)
    shown(page, 'cup.png')
    page.get_by_role('button', name='Correct colours').click()
    stage = page.locator('.hint-stage')
    box = stage.bounding_box()
    stage.click(position=dict(x=box['width']*.5, y=box['height']*.9))
    def another(act):
        "Wait for the picture that follows"
        n = stage.get_attribute('data-pictures')
        act()
        page.locator(f'.hint-stage:not([data-pictures="{n}"])').wait_for()
    another(page.locator('.group:nth-child(2) .color').nth(4).click)
    field = page.get_by_label('Hex code or CSS name')
    field.fill('steelblue')
    another(lambda: field.press('Enter'))
    page.locator('#status', has_text='Hint 1 of 1: steelblue #4682b4').wait_for()
    page.screenshot(path=artifacts/'web_hint.png')
    with page.expect_download() as download: page.get_by_role('button', name='Save hints').click()
    assert download.value.suggested_filename == 'cup_hints.json'
    hint, = hints = read_hints(download.value.path(), size)
    assert (hint.color, hint.radius) == ((70, 130, 180), None)
    assert abs(hint.x - size[0]*.5) < 3
    assert abs(hint.y - size[1]*.9) < 3
    mean, most = differ(downloaded(page)[1], colorizer(photo, hints=hints))
    assert mean < .5
    assert differ(colorizer(photo), colorizer(photo, hints=hints))[0] > 3 # the hint does something
    point = stage.locator('.point')
    spot = point.bounding_box()
    page.mouse.move(spot['x'] + spot['width']/2, spot['y'] + spot['height']/2)
    page.mouse.down()
    page.mouse.move(box['x'] + box['width']*.2, box['y'] + box['height']*.3, steps=9)
    page.mouse.up()
    page.locator('#status', has_text='Hint 1 of 1').wait_for()
    assert abs(point.bounding_box()['x'] - spot['x'] + box['width']*.3) < 4
    page.get_by_role('button', name='Undo').click()
    assert abs(point.bounding_box()['x'] - spot['x']) < 4 # the drag was one step
    page.get_by_role('button', name='Delete', exact=True).click()
    assert point.count() == 0
    more = [(10, 20, '#c03020'), (700, 500, '#205080', 30)]
    loads = page.locator('#editor input[type=file]')
    loads.set_input_files(write_hints(tmp_path/'two.json', more, size))
    stage.locator('.point').nth(1).wait_for()
    assert differ(downloaded(page)[1], colorizer(photo, hints=more))[0] < .5
    loads.set_input_files(write_hints(tmp_path/'other.json', [], (10, 10)))
    other = 'other.json: made for a photo of 10x10 pixels, this one has 1500x1003'
    page.locator('#status.error', has_text=other).wait_for()
    (tmp_path/'letter.json').write_text('Dear Sir')
    loads.set_input_files(tmp_path/'letter.json')
    page.locator('#status.error', has_text='letter.json: not a file of hints').wait_for()


def test_all_of_it_by_keyboard(page, photo, artifacts): # noqa: F811
    put(page, photo)
    shown(page, 'cup.png')
    focused = lambda: page.evaluate('(e => e.getAttribute("aria-label") ?? e.textContent)(document.activeElement)')
    for _ in range(30):
        page.keyboard.press('Tab')
        if focused() == 'Correct colours': break
    page.keyboard.press('Enter')
    for _ in range(30):
        page.keyboard.press('Shift+Tab')
        if focused().startswith('cup.png, in colour, 0 hints'): break
    for key in ('Shift+ArrowRight', 'Shift+ArrowRight', 'ArrowDown'): page.keyboard.press(key)
    page.locator('#status', has_text='choose its colour').wait_for()
    page.locator('.color').first.wait_for()
    page.keyboard.press('c')
    page.keyboard.press('Tab') # to the next group
    page.keyboard.press('ArrowRight')
    chosen, n = focused(), page.locator('.hint-stage').get_attribute('data-pictures')
    page.keyboard.press('Enter')
    page.locator('#status', has_text=f'Hint 1 of 1: {chosen}').wait_for()
    page.locator(f'.hint-stage:not([data-pictures="{n}"])').wait_for()
    page.keyboard.press('Escape')
    assert focused().startswith('cup.png, in colour, 1 hint.')
    page.keyboard.press('Escape') # selects none: the next colour is another hint
    page.keyboard.press('Shift+ArrowUp')
    page.keyboard.press('Enter') # the last colour once more
    page.locator('#status', has_text=f'Hint 2 of 2: {chosen}').wait_for()
    page.screenshot(path=artifacts/'web_keyboard.png')
    page.keyboard.press('p')
    page.locator('#status', has_text='Hint 1 of 2').wait_for()
    page.keyboard.press('Delete')
    page.locator('#status', has_text='1 hint.').wait_for()
    page.keyboard.press('Control+z')
    page.locator('#status', has_text='Hint 1 of 2').wait_for()
    page.keyboard.press('Control+y')
    page.locator('#status', has_text='1 hint.').wait_for()


@pytest.mark.slow
def test_several_photos_cancelled_and_gone_on_with(page, photo, tmp_path):
    files = []
    for i in range(6):
        Image.open(photo).resize((600, 401)).rotate(10*i).save(path := tmp_path/f'{i}.jpg')
        files.append(path)
    put(page, *files)
    shown(page, '0.jpg')
    page.get_by_role('button', name='Cancel').click()
    page.locator('.strip [data-state=stopped]').nth(3).wait_for()
    assert page.locator('.strip [data-state=done]').count() <= 2
    page.get_by_role('button', name='Colour the rest').click()
    page.locator('.strip [data-state=done]').nth(5).wait_for()
    arrived = []
    page.on('download', lambda o: arrived.append(o.suggested_filename))
    page.get_by_role('button', name='Download all').click()
    page.locator('#status', has_text='5_color.jpg is among your downloads').wait_for()
    assert arrived == [f'{i}_color.jpg' for i in range(6)]
    page.get_by_role('button', name='Remove').click()
    assert page.locator('.strip button').count() == 5
    page.evaluate("""() => { const data = new DataTransfer()
        data.items.add(new File(['Dear Sir'], 'letter.txt'))
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true })) }""")
    page.locator('#oops', has_text='letter.txt: not a picture').wait_for()
    page.evaluate("""() => { const data = new DataTransfer()
        data.items.add(new File(['Dear Madam'], 'pasted.txt'))
        document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true })) }""")
    page.locator('#oops', has_text='pasted.txt: not a picture').wait_for()


@pytest.mark.parametrize('how', ['drop', 'paste'])
def test_a_photo_that_is_dropped_or_pasted(page, colorizer, how):
    file = BytesIO()
    (scene := paint_scene(4, 120)).save(file, 'PNG')
    page.evaluate("""([how, content]) => { const data = new DataTransfer()
        const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0))
        data.items.add(new File([bytes], 'scene.png', { type: 'image/png' }))
        const event = how === 'drop' ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
        document.body.dispatchEvent(event)
        if (!event.defaultPrevented) throw new Error('the browser would open the photo in place of the page') }""",
        [how, base64.b64encode(file.getvalue()).decode()])
    shown(page, 'scene.png')
    name, result = downloaded(page)
    assert name == 'scene_color.png'
    assert differ(result, colorizer(scene))[0] < .1


def watch_for_gaps(page):
    "From now on `window.longest` is the longest time, in ms, in which the page did nothing"
    page.evaluate("""() => { let last = performance.now(); window.longest = 0
        setInterval(() => { const now = performance.now()
            window.longest = Math.max(window.longest, now - last)
            last = now }, 10) }""")


def test_the_page_does_not_freeze(page, photo):
    page.locator('body[data-backend]').wait_for()
    watch_for_gaps(page)
    start = time.perf_counter()
    put(page, photo)
    shown(page, 'cup.png')
    took = 1000*(time.perf_counter() - start)
    assert page.evaluate('window.longest') < max(200, took/4) # a busy machine makes all of it slow


# ---- what goes wrong

def bad_files(folder, photo):
    "Files, and what the page says about them"
    Image.open(photo).save(whole := folder/'whole.jpg')
    (folder/'letter.jpg').write_text('Dear Sir')
    (folder/'empty.png').write_bytes(b'')
    (folder/'half.png').write_bytes(photo.read_bytes()[:300])
    (folder/'model.onnx').write_bytes(b'\x08\x08' + bytes(100))
    (folder/'phone.heic').write_bytes(b'\0\0\0\x18ftypheic' + bytes(100))
    (folder/'scan.tif').write_bytes(b'II*\0' + bytes(100))
    (folder/'film.mp4').write_bytes(b'\0\0\0\x18ftypisom' + bytes(100))
    huge = bytearray(whole.read_bytes())
    at = huge.index(b'\xff\xc0')
    huge[at + 5:at + 9] = b'\xff\xff\xff\xff' # as high and wide as a JPEG can say
    (folder/'huge.jpg').write_bytes(huge)
    return {'letter.jpg': 'not a picture', 'empty.png': 'an empty file', 'half.png': 'damaged or cut off',
            'model.onnx': 'a model, not a photo', 'phone.heic': 'HEIC, which this browser cannot open',
            'scan.tif': 'TIFF, which this browser cannot open', 'film.mp4': 'a film',
            'huge.jpg': '4295 megapixels; this device takes up to'}


def test_what_cannot_be_coloured_is_named_and_the_rest_goes_on(page, photo, tmp_path, artifacts): # noqa: F811
    says = bad_files(tmp_path, photo)
    put(page, *[tmp_path/o for o in says], photo)
    shown(page, 'cup.png')
    assert page.locator('.strip [data-state=failed]').count() == len(says)
    for name, words in says.items():
        page.locator(f'.strip [aria-label^="{name}"]').click()
        text = page.locator('#oops p').inner_text()
        assert text.startswith(f'{name}: {words}')
        assert len(text) > len(f'{name}: {words}') # the cure
    page.screenshot(path=artifacts/'web_broken.png')


@pytest.mark.slow
def test_unusual_pictures_are_coloured_and_explained(page, photo, tmp_path):
    small = Image.open(photo).resize((200, 150))
    small.convert('CMYK').save(tmp_path/'print.jpg')
    Image.fromarray(np.asarray(small.convert('L')).astype(np.uint16)*257).save(tmp_path/'deep.png')
    small.save(tmp_path/'moving.gif', save_all=True, append_images=[small.rotate(180)])
    small.save(tmp_path/'moving.webp', save_all=True, append_images=[small.rotate(180)], duration=100)
    small.convert('P').save(tmp_path/'still.gif')
    small.resize((1, 1)).save(tmp_path/'dot.png')
    small.resize((2000, 3)).save(tmp_path/'line.png')
    notes = {'print.jpg': 'CMYK', 'deep.png': '16 bits', 'moving.gif': 'first frame', 'moving.webp': 'first frame',
             'still.gif': 'in colour', 'dot.png': '1 by 1', 'line.png': '2000 by 3'}
    for name, words in notes.items():
        put(page, tmp_path/name)
        shown(page, name)
        page.locator('#status', has_text=words).wait_for()
        assert name in page.locator('#status').inner_text()


def test_a_network_that_is_not_the_pages_own_is_refused(browser, site): # noqa: F811
    with watched(browser, site) as context:
        page = context.new_page()
        model = bytearray((web.VENDOR/'grayscale.onnx').read_bytes())
        model[1_000_000] ^= 1
        context.route('**/grayscale.onnx', lambda route: route.fulfill(body=bytes(model)))
        page.goto(site)
        refused = 'vendor/grayscale.onnx: not the file that this page was made with'
        page.locator('#status.error', has_text=refused).wait_for()
        assert 'make web' in page.locator('#status').inner_text()


def test_a_missing_runtime_is_named(browser, site): # noqa: F811
    with watched(browser, site) as context:
        page = context.new_page()
        context.route('**/*.wasm.gz.bin', lambda route: route.fulfill(status=404))
        page.goto(site)
        page.locator('#status.error', has_text='wasm.gz.bin: not found (404)').wait_for()


# ---- without a connection

def test_offline_after_the_first_visit_and_with_threads(browser, built, photo): # noqa: F811
    server, site = served(Plain)
    with watched(browser, site) as context:
        page = context.new_page()
        page.goto(site)
        page.locator('#offline', has_text='Ready to work without a connection').wait_for()
        assert page.evaluate('crossOriginIsolated') is False # a plain server: one thread
        context.set_offline(True)
        server.shutdown()
        server.server_close()
        page.goto(site)
        put(page, photo)
        shown(page, 'cup.png')
        assert page.evaluate('crossOriginIsolated') is True # the service worker adds the headers
        assert downloaded(page)[1].size == (1500, 1003)
        assert not context.strangers
        assert not context.errors


@pytest.fixture(scope='module')
def with_gpu(browser, built): # noqa: F811
    "A browser whose WebGPU runs on the processor, so that it is there on any machine"
    flags = '--no-sandbox', '--disable-dev-shm-usage', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'
    browser = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
    with browser.new_context() as context:
        page = context.new_page()
        server, site = served(Plain)
        page.goto(site + 'icon.svg')
        found = page.evaluate('async () => Boolean(await navigator.gpu?.requestAdapter())')
        server.shutdown()
    if not found: pytest.skip('no test of WebGPU: this Chromium has no software adapter')
    yield browser
    browser.close()


@pytest.mark.slow
def test_the_runtime_for_webgpu_is_kept_where_it_was_used(with_gpu, photo):
    server, site = served(Plain)
    kept = '''async () => { const cache = await caches.open((await caches.keys())[0])
        return (await cache.keys()).map(o => new URL(o.url).pathname) }'''
    used = {f'/web/vendor/{web.packed(o)}' for o in web.WEBGPU}
    with watched(with_gpu, site) as context:
        page = context.new_page()
        page.goto(site)
        page.locator('body[data-offline=ready]').wait_for()
        assert not used & {*page.evaluate(kept)} # this adapter is none that the page would choose
        page.goto(site + '?backend=webgpu')
        page.locator('body[data-offline=ready]').wait_for()
        assert used <= {*page.evaluate(kept)}
        without = '''async names => { const cache = await caches.open((await caches.keys())[0])
            for (const name of names) if (!await cache.delete(name)) throw new Error(name) }'''
        page.evaluate(without, [f'/web/vendor/{web.packed(o)}' for o in web.WASM]) # or it would take that one
        context.set_offline(True)
        server.shutdown()
        server.server_close()
        page.goto(site + '?backend=webgpu')
        page.locator('body[data-backend]').wait_for()
        put(page, photo)
        shown(page, 'cup.png')
        assert not context.errors


def test_a_new_version_is_offered(browser, built, tmp_path): # noqa: F811
    folder = shutil.copytree(web.WEB, tmp_path/'web')
    server, site = served(Plain, tmp_path)
    with watched(browser, site) as context:
        page = context.new_page()
        page.goto(site)
        page.locator('body[data-offline=ready]').wait_for()
        lists = json.loads((folder/'vendor/files.json').read_text())
        for name, old, new in ('index.html', 'Drop photos', 'Put photos'), ('vendor/grayscale.json', '{', '{ '):
            (path := folder/name).write_text(path.read_text().replace(old, new, 1))
            data = path.read_bytes()
            lists['files'][name] = dict(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        (folder/'vendor/files.json').write_text(json.dumps(lists | dict(version='another')))
        page.goto(site)
        page.get_by_role('heading', name='Drop photos here').wait_for() # still the one that was kept
        page.locator('body[data-backend]').wait_for() # with the network that was kept
        page.locator('#offline').get_by_role('button', name='Reload').click()
        page.get_by_role('heading', name='Put photos here').wait_for()
    server.shutdown()


def test_nothing_can_be_sent_anywhere_else(browser, site): # noqa: F811
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', (web.WEB/'index.html').read_text())[1]
    assert "default-src 'none'" in policy
    assert re.findall(r"'unsafe-\w+'|https?:|\*", policy) == [] # 'wasm-unsafe-eval' is the one exception
    with watched(browser, site) as context:
        page = context.new_page()
        page.goto(site)
        page.locator('body[data-offline=ready]').wait_for()
        send = "url => fetch(url).then(() => 'sent', () => 'refused')"
        assert page.evaluate(send, 'https://example.org/') == 'refused'
        assert [o for o in context.errors if 'Content Security Policy' in o]
        header = "async () => (await fetch('js/worker.js')).headers.get('Content-Security-Policy')"
        page.goto(site)
        page.locator('body[data-backend]').wait_for()
        assert page.evaluate(header) == policy # for the worker, by the service worker


class Other(Plain):
    "Another server, which notes what it is asked"
    asked = []
    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()


def test_the_server_of_make_web_tells_the_worker_on_the_first_visit(browser, built, photo): # noqa: F811
    (server, site), (other, elsewhere) = served(web.Handler), served(Other)
    with watched(browser, site, service_workers='block') as context: # as before the service worker is there
        page = context.new_page()
        answer = page.goto(site)
        assert answer.headers['content-security-policy'] == web.policy()
        page.locator('body[data-backend]').wait_for()
        assert page.evaluate('crossOriginIsolated') is True
        worker = next(o for o in page.workers if o.url.endswith('js/worker.js'))
        fetch = "url => fetch(url, { mode: 'no-cors' }).then(() => 'answered', () => 'refused')"
        assert worker.evaluate(fetch, elsewhere + 'icon.svg') == 'refused'
        assert worker.evaluate(fetch, site + 'icon.svg') == 'answered'
        assert Other.asked == [] # refused before it was sent
        put(page, photo)
        shown(page, 'cup.png') # by threads, which the policy allows
    for o in (server, other): o.shutdown()


# ---- looks

def test_on_a_phone_in_the_dark_without_motion(browser, site, photo, artifacts): # noqa: F811
    phone = dict(viewport=dict(width=390, height=844), has_touch=True, is_mobile=True)
    phone |= dict(color_scheme='dark', reduced_motion='reduce')
    with watched(browser, site, **phone) as context:
        page = context.new_page()
        page.goto(site)
        page.get_by_role('button', name='Take a photo').wait_for()
        page.screenshot(path=artifacts/'web_phone_start.png')
        put(page, photo)
        shown(page, 'cup.png')
        page.screenshot(path=artifacts/'web_phone.png', full_page=True)
        page.get_by_role('button', name='Correct colours').tap()
        page.locator('.hint-stage').tap(position=dict(x=100, y=60))
        swatch = page.locator('.group:nth-child(2) .color').nth(2)
        swatch.tap()
        page.locator('.hint-stage .point').wait_for()
        assert page.locator('.keys').is_hidden() # it has none
        page.set_viewport_size(dict(width=390, height=1400)) # a picture of the full page would be one with a mouse
        page.screenshot(path=artifacts/'web_phone_hint.png')
        assert swatch.bounding_box()['width'] >= 36 # as wide as a finger
        assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
        assert page.locator('.mark').evaluate('e => getComputedStyle(e).animationName') == 'none'
        light = page.locator('body').evaluate('e => getComputedStyle(e).backgroundColor')
        assert max(map(int, light[4:-1].split(','))) < 60
        assert not context.errors


def test_each_control_has_a_name(page, photo):
    put(page, photo)
    shown(page, 'cup.png')
    page.get_by_role('button', name='Correct colours').click()
    page.locator('.hint-stage').click()
    page.locator('.color').first.wait_for()
    nameless = page.evaluate("""() => [...document.querySelectorAll('button, input, [tabindex], img')]
        .filter(e => e.checkVisibility() && e.getAttribute('alt') !== '')
        .filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length || e.alt || e.title))
        .map(e => e.outerHTML)""")
    assert nameless == []


# ---- large photos

@pytest.mark.slow
def test_twelve_megapixels(page, colorizer, tmp_path):
    from benchmarks.colorizer import make_photo
    make_photo(path := tmp_path/'large.jpg', 4000, 3000)
    page.locator('body[data-backend]').wait_for()
    watch_for_gaps(page)
    start = time.perf_counter()
    put(page, path)
    page.locator('.strip [data-state=done]').wait_for(timeout=120_000)
    name, result = downloaded(page)
    took, longest = 1000*(time.perf_counter() - start), page.evaluate('window.longest')
    print(f'shown and saved in {took:.0f} ms, in which the page answered nothing for at most {longest:.0f} ms')
    assert longest < max(300, took/4)
    assert (name, result.size) == ('large_color.jpg', (4000, 3000))
    assert differ(result, colorizer(path))[0] < 2
