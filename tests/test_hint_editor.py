"Hints in the app without a browser: the state, the colours that are offered, the editor, what the app does with hints."
import gc
import json
import threading
import time
import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from colorize_lib.apply.colorizer import Colorizer, save_photo
from colorize_lib.apply.commands import main
from colorize_lib.apply.hints import Hint, HintError, check_hints, most_hints, read_hints, write_hints
from colorize_lib.lab import rgb_to_lab
from colorize_lib.photos.pictures import open_photo
from colorize_lib.photos.samples import carried_photos, paint_scene
from colorize_lib.widgets.colorize_app import ColorizeApp
from colorize_lib.widgets.hint_colors import (at_lightness, color_name, color_table, hex_code, into_gamut, lab_of,
                                              usual_colors)
from colorize_lib.widgets.hint_state import EditedHints, scaled_hints, upright_size
from colorize_lib.widgets.jobs import model_worker
from colorize_lib.widgets.pieces import encoded
from conftest import ROOT

pytestmark = pytest.mark.filterwarnings('ignore:.*looks like a ')


def pixels(data): return np.asarray(Image.open(BytesIO(data)).convert('RGB')).astype(int)


# ---- the state

@pytest.fixture
def edited():
    hints = EditedHints((200, 100))
    for place, color in (((20, 30), 'red'), ((120, 80), 'blue')):
        hints.point(*place)
        hints.paint(color)
    return hints


def test_undo_and_redo_go_through_every_state_and_back(edited):
    rng, states = np.random.default_rng(0), [edited.state()]
    for i in range(300):
        done = len(edited.done)
        match i % 6:
            case 0 | 3: edited.point(*rng.integers(0, (200, 100)))
            case 1 | 4: edited.paint(tuple(rng.integers(0, 256, 3)))
            case 2: edited.nudge(*rng.integers(-9, 9, 2))
            case 5:
                edited.step(int(rng.integers(-1, 2)) or 1)
                edited.delete()
        check_hints(edited.hints, edited.size)
        if len(edited.done) > done: states.append(edited.state())
        else: states[-1] = edited.state() # the mark alone has moved, or a series went on
    kept = [o[0] for o in states]
    assert len(edited.done) > 150
    for hints in kept[-2::-1]:
        edited.undo()
        assert edited.hints == hints
    while edited.done: edited.undo()
    assert edited.hints == ()
    edited.undo() # and nothing happens
    n = len(edited.undone)
    while edited.undone: edited.redo()
    assert len(edited.done) == n
    assert edited.hints == kept[-1]
    edited.undo()
    edited.point(0, 99)
    edited.paint('white')
    assert edited.undone == [] # another way from here


def test_a_drag_is_one_step_and_two_drags_are_two(edited):
    done = len(edited.done)
    for x in (100, 90, 80): edited.move(x, 50)
    assert len(edited.done) == done + 1
    edited.settle()
    edited.move(70, 50)
    assert len(edited.done) == done + 2
    edited.undo()
    assert edited.mark == (80, 50)
    edited.undo()
    assert edited.mark == (120, 80)
    assert edited.hints[1] == Hint(120, 80, (0, 0, 255))


def test_hints_stay_in_the_photo_and_do_not_share_a_pixel(edited):
    edited.move(10**9, -10**9)
    assert edited.hints[1][:2] == (199, 0)
    edited.move(20, 30) # where the first one is
    assert edited.hints[1][:2] == (199, 0)
    edited.point(20, 30)
    assert edited.selected == 0
    edited.paint('green') # recolours it
    assert [o.color for o in edited.hints] == [(0, 128, 0), (0, 0, 255)]
    edited.nudge(-1, 0)
    assert edited.mark == (19, 30)


def test_the_keyboards_mark_passes_over_hints_and_begins_in_the_middle(edited):
    fresh = EditedHints((200, 100))
    fresh.nudge(5, 5)
    assert fresh.mark == (100, 50)
    edited.select(None)
    edited.point(19, 30)
    assert edited.selected is None
    edited.nudge(1, 0)
    assert (edited.mark, edited.selected) == ((20, 30), None)
    edited.nudge(1, 0)
    assert edited.hints[0][:2] == (20, 30)
    edited.nudge(-1, 0)
    edited.paint('white') # but two hints never share a place
    assert [o.color for o in edited.hints] == [(255, 255, 255), (0, 0, 255)]


def test_steps_go_round_and_wrong_ones_change_nothing(edited):
    edited.select(None)
    edited.step(1)
    assert edited.selected == 0
    edited.step(-1)
    assert edited.selected == 1
    edited.step(1)
    assert edited.selected == 0
    before, done = edited.state(), len(edited.done)
    for wrong, why in [(lambda: edited.paint('reddish'), 'is not a colour'),
                       (lambda: edited.load('a.json', b'{}'), 'a.json: not a file of hints'),
                       (lambda: EditedHints((9, 9)).paint('red'), 'click one'),
                       (lambda: EditedHints((9, 9)).delete(), 'no hint is selected')]:
        with pytest.raises(HintError, match=why): wrong()
    assert (edited.state(), len(edited.done)) == (before, done)
    full = EditedHints((200, 100), [(i, 0, 'red') for i in range(most_hints)])
    full.point(0, 50)
    with pytest.raises(HintError, match=f'at most {most_hints}'): full.paint('red')
    assert len(full.hints) == most_hints


def test_a_file_is_the_librarys_and_keeps_radii(edited, tmp_path):
    (tmp_path/'a.json').write_bytes(edited.save())
    assert tuple(read_hints(tmp_path/'a.json', (200, 100))) == edited.hints
    hints = [(5, 6, '#010203', 9.), (7, 8, 'red')]
    edited.load('b.json', write_hints(tmp_path/'b.json', hints, (200, 100)).read_bytes())
    assert edited.hints == tuple(check_hints(hints, (200, 100)))
    edited.select(0)
    edited.paint('blue')
    edited.move(9, 9)
    assert edited.hints[0] == Hint(9, 9, (0, 0, 255), 9.)
    edited.undo()
    edited.undo()
    edited.undo()
    assert len(edited.hints) == 2
    assert edited.hints[0].color == (255, 0, 0)
    with pytest.raises(HintError) as e: EditedHints((20, 10)).load('b.json', (tmp_path/'b.json').read_bytes())
    assert str(e.value) == 'b.json: made for a photo of 200x100 pixels, this one has 20x10'


def test_scaled_hints_lie_in_the_copy_and_can_be_used():
    rng = np.random.default_rng(1)
    hints = check_hints({(int(x), int(y)): (int(x), int(y), 'red') for x, y in rng.integers(0, (400, 300), (90, 2))
                         }.values(), (400, 300))
    for small in ((400, 300), (40, 30), (13, 10), (1, 1)):
        out = scaled_hints(hints, (400, 300), small)
        assert check_hints(out, small) == out
    assert scaled_hints(hints, (400, 300), (400, 300)) == hints


@pytest.mark.parametrize('turn', range(1, 9))
def test_the_size_of_a_photo_is_that_of_the_upright_one(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    paint_scene(1, 32).resize((60, 40)).save(file := BytesIO(), 'JPEG', exif=exif)
    assert upright_size(file.getvalue()) == open_photo(file.getvalue()).size


# ---- colours

def test_offered_colours_have_the_lightness_of_the_place():
    for level in np.linspace(0, 100, 31):
        colors = usual_colors(level)
        assert len(set(colors)) == len(colors)
        assert np.ptp(colors[0]) <= 1 # gray comes first
        for color in colors: assert abs(lab_of(color)[0] - level) < 1.5
    assert len(usual_colors(50)) == 12
    assert usual_colors(-3) # a lightness a little below 0, or above 100, by rounding
    assert all(np.ptp(o) == 0 for o in usual_colors(101)) # nothing but white is as light


def test_colours_out_of_the_gamut_keep_lightness_and_hue():
    ab = torch.tensor([[200., 0], [-150, 90], [3, 4], [0, -300], [0, 0]])
    out = into_gamut(55., ab)
    assert torch.equal(out[2], ab[2]) # what is inside stays
    assert torch.allclose(torch.atan2(out[:, 1], out[:, 0]), torch.atan2(ab[:, 1], ab[:, 0]), atol=1e-5)
    for rgb, wanted in zip(at_lightness(55., ab), out):
        assert np.abs(np.subtract(lab_of(rgb), (55, *wanted.tolist()))).max() < 1.5
    further = into_gamut(55., out[:1]*1.03)
    assert torch.allclose(further, out[:1], atol=1.) # it was at the border


def test_a_table_of_colours_counts_what_photos_have():
    red = Image.new('RGB', (64, 64), (192, 48, 32)) # L* 43, a* 56, b* 44
    blue = Image.new('RGB', (64, 64), (60, 96, 170)) # L* 41
    table = color_table([red, red, blue], n=2)
    assert table[4] == [[60, 40], [10, -40]]
    assert not any(o for i, o in enumerate(table) if i != 4)
    assert color_table([red, red, blue], n=2, apart=1000)[4] == [[60, 40]]
    stored = json.loads((ROOT/'colorize_lib/widgets/static/usual_colors.json').read_text())
    assert len(stored) == 11
    assert all(o[0] == [0, 0] for o in stored)


def test_colours_have_names():
    assert color_name((255, 0, 0)) == 'red'
    assert color_name((250, 10, 12)) == 'red'
    assert hex_code((1, 2, 255)) == '#0102ff'


# ---- the editor in the app

@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp('photos')/'motorcycle.png'
    Image.open(carried_photos()[4]).convert('L').convert('RGB').resize((800, 540)).save(path)
    return path


@pytest.fixture
def app(photo):
    app = ColorizeApp([photo])
    app.wait()
    app.edit()
    app.wait()
    return app


def click(app, x, y, color=None, **more):
    app.editor.stage._handle_custom_msg(dict(do='point', x=x, y=y), [])
    if color: app.editor.palette._handle_custom_msg(dict(do='paint', color=color), [])
    app.wait()


def test_a_click_changes_the_picture_and_the_download_is_the_colorizers(app, photo, tmp_path):
    before = pixels(app.photo.after)
    click(app, 650, 340, '#c03020')
    after = pixels(app.editor.stage.image)
    assert app.photo.after == app.editor.stage.image
    hint = (650, 340, '#c03020')
    x, y = (int((v + .5)*n/full) for v, n, full in zip(hint[:2], after.shape[1::-1], (800, 540)))
    assert np.abs(before - after)[y-3:y+4, x-3:x+4].mean() > 20
    lab = rgb_to_lab(torch.tensor(after[y, x]/255).float()[:, None, None]).flatten()
    assert (lab[1:] - torch.tensor(lab_of((192, 48, 32))[1:])).norm() < 15
    name, data = app.result()
    expected = save_photo(Colorizer.load()(photo, hints=[hint]), tmp_path/'expected.png').read_bytes()
    assert data == expected
    assert name == 'motorcycle_color.png'
    app.edit() # back to the comparison, which has the picture
    assert app.stage.after == app.photo.after
    assert app.stage.layout.display is None
    assert app.editor.layout.display == 'none'
    app.wait()
    assert app.photo.settings.hints == tuple(check_hints([hint], (800, 540)))


def test_the_editors_picture_is_what_the_colorizer_makes_of_the_preview(app):
    click(app, 650, 340, '#c03020')
    click(app, 300, 100, 'navy')
    preview = open_photo(app.photo.data, 1400)
    hints = scaled_hints(app.photo.hints.hints, (800, 540), preview.size)
    assert app.photo.after == encoded(Colorizer.load()(preview, hints=hints))


def test_the_network_is_asked_once_for_both_pictures_of_a_click(app):
    seen, asked = app.editor._preview(None, app.photo, app.editor.settings), []
    predict, seen.hinted.predict = seen.hinted.predict, lambda hints: asked.append(hints) or predict(hints)
    for color in ('#c03020', '#306080'): click(app, 70, 50, color)
    assert [len(o) for o in asked] == [1, 1]
    assert asked[0] != asked[1]


def test_a_large_photo_is_shown_as_large_as_the_editor_is_and_then_sharp(app, tmp_path):
    shown, asked = [], []
    app.editor.stage.observe(lambda change: shown.append(Image.open(BytesIO(change['new'])).size), 'image')
    click(app, 650, 340, '#c03020') # 540 pixels high: this picture is sharp
    assert shown == [(800, 540)]
    Image.open(carried_photos()[4]).convert('L').convert('RGB').resize((1200, 900)).save(tmp_path/'large.png')
    app.take([tmp_path/'large.png'])
    app.wait()
    app.select(1)
    app.wait()
    shown.clear()
    app.editor.palette.observe(lambda change: shown.append('colours'), 'groups')
    preview = app.editor._preview(None, app.photo, app.editor.settings)
    predict, preview.hinted.predict = preview.hinted.predict, lambda hints: asked.append(hints) or predict(hints)
    click(app, 600, 400)
    click(app, 600, 400, '#c03020')
    assert shown == ['colours', (720, 540), (1200, 900), 'colours']
    assert len(asked) == 1
    shown.clear()
    app.editor.stage.rows = 350 # what the browser says when the window is narrower
    click(app, 600, 400, '#306080')
    assert shown[:2] == [(467, 350), (1200, 900)]


def test_hints_stay_with_their_photo_and_undo_brings_the_picture_back(app, photo):
    plain = app.photo.after
    click(app, 650, 340, '#c03020')
    red = app.photo.after
    app.editor.undo.click()
    app.wait()
    assert (pixels(app.photo.after) == pixels(plain)).all()
    app.editor.redo.click()
    app.wait()
    assert app.photo.after == red
    app.take([carried_photos()[3]])
    app.wait()
    app.select(1)
    app.wait()
    assert app.editor.photo is app.photos[1]
    assert app.editor.stage.points == []
    app.select(0)
    app.wait()
    assert [o['color'] for o in app.editor.stage.points] == ['#c03020']
    assert app.editor.stage.image == red
    sent = []
    app.drop.save = lambda *file: sent.append(file)
    app.all.click()
    app.wait()
    with zipfile.ZipFile(BytesIO(sent[0][1])) as z: coloured = open_photo(z.read('motorcycle_color.png'))
    assert np.array_equal(coloured, Colorizer.load()(photo, hints=[(650, 340, '#c03020')]))


def test_the_command_takes_the_file_that_the_app_saves(app, photo, tmp_path):
    click(app, 650, 340, '#c03020')
    click(app, 20, 30, 'navy')
    sent = []
    app.editor.files.save = lambda *file: sent.append(file)
    app.editor.write.click()
    (name, data, kind), = sent
    assert (name, kind) == ('motorcycle_hints.json', 'application/json')
    assert '--hints "motorcycle_hints.json"' in app.notice.text
    (tmp_path/name).write_bytes(data)
    assert main([str(photo), '--hints', str(tmp_path/name), '-o', str(tmp_path/'out')]) == 0
    assert np.array_equal(open_photo(tmp_path/'out'/'motorcycle_color.png'), open_photo(app.result()[1]))
    app.editor.clear.click()
    assert app.photo.hints.hints == ()
    app.add(name, data) # dropped on the app
    app.wait()
    assert len(app.photo.hints.hints) == 2
    assert len(app.photos) == 1


@pytest.mark.parametrize('data,why', [
    (b'Dear Sir', 'a.json: not a file of hints'),
    (b'{"format": "colorize_lib hints", "hints": []}', 'a.json: it does not say for what size of photo'),
    (EditedHints((20, 10)).save(), 'a.json: made for a photo of 20x10 pixels, this one has 800x540')])
def test_a_wrong_file_is_a_sentence_and_changes_nothing(app, data, why):
    click(app, 650, 340, '#c03020')
    before = app.photo.hints.state()
    app.editor.files.on_file('a.json', data)
    assert app.notice.text.startswith(why)
    assert app.notice.kind == 'error'
    assert app.photo.hints.state() == before
    click(app, 10, 10)
    assert app.notice.kind == 'info'


def test_a_model_without_hints_says_so_and_colours_without(photo, tmp_path):
    class Orange(torch.nn.Module):
        def forward(self, x): return torch.stack([torch.full_like(x[:, 0], o) for o in (.3, .5)], 1)
    orange = Colorizer(Orange(), dict(task='grayscale', size=32), precision='fp32')
    app = ColorizeApp(models={'hints': 'grayscale', 'none': orange})
    app.add('a.json', b'{}')
    assert app.notice.text == 'a.json: hints belong to a photo, and none is shown in colour'
    app.take([photo])
    app.wait()
    app.edit()
    click(app, 650, 340, '#c03020')
    app.model.value = orange
    app.wait()
    assert app.editor.photo is None
    assert 'none, since it was trained without' in app.notice.text
    assert app.photo.state == 'done'
    expected = save_photo(orange(photo), tmp_path/'o.png').read_bytes()
    assert app.result()[1] == expected
    app.edit() # is refused
    assert not app.editing
    assert app.correct.description == 'Correct colours'
    app.model.value = 'grayscale' # and here the hint is again
    app.wait()
    assert app.photo.settings.hints
    app.edit()
    app.wait()
    assert len(app.editor.stage.points) == 1


def test_strength_and_size_count_for_hinted_photos_too(app, photo):
    click(app, 650, 340, '#c03020')
    strong = app.photo.after
    app.saturation.value = 0.
    app.wait()
    assert app.editor.photo is app.photo # it was not closed for that
    assert np.ptp(pixels(app.photo.after), axis=-1).max() <= 4
    app.saturation.value = 1.
    app.wait()
    assert app.photo.after == strong
    app.size.value = 96
    app.wait()
    assert app.editor.photo is app.photo
    assert app.editor.stage.image == app.photo.after != strong
    assert np.array_equal(open_photo(app.result()[1]), Colorizer.load()(photo, 96, hints=[(650, 340, '#c03020')]))


def test_positions_of_a_drag_are_dropped_but_never_the_last(app):
    click(app, 100, 100, '#c03020')
    made, inner = [], app.editor.on_picture
    app.editor.on_picture = lambda *args: (made.append(args[1].hints), inner(*args))
    start = time.perf_counter()
    for x in range(101, 181): app.editor.do(dict(do='move', x=x, y=100, last=x == 180))
    taken = time.perf_counter() - start
    app.wait()
    assert len(made) < 40
    assert made[-1] == app.photo.hints.hints
    assert app.photo.hints.hints[0].x == 180
    assert taken < 2
    app.editor.undo.click()
    assert app.photo.hints.hints[0].x == 100


def test_a_click_does_not_wait_for_photos_that_are_coloured(app):
    worker, gate = model_worker('grayscale'), threading.Event() # the thread of the app's own jobs
    blocked = worker.submit(lambda _: gate.wait(30))
    before = app.photo.after
    app.editor.do(dict(do='point', x=650, y=340))
    app.editor.do(dict(do='paint', color='red'))
    app.editor.wait()
    assert not blocked.done()
    assert app.photo.after != before
    gate.set()
    blocked.result()


def test_no_search_for_garbage_among_old_objects_while_hints_are_edited(app):
    "It would take longer than a picture"
    click(app, 650, 340, 'red')
    assert gc.get_freeze_count() > 100_000
    app.edit() # ends it
    assert gc.get_freeze_count() == 0


def test_palette_slice_and_eyedropper(app):
    assert app.editor.palette.groups == []
    app.editor.do(dict(do='again'))
    assert app.notice.text == 'no place is chosen: click one in the photo first'
    gate = threading.Event()
    app.editor.worker.submit(lambda _: gate.wait(30))
    app.editor.do(dict(do='point', x=650, y=340))
    assert app.editor.palette.busy # its colours are not yet those of this place
    gate.set()
    app.wait()
    assert not app.editor.palette.busy
    labels = [o['label'] for o in app.editor.palette.groups]
    assert labels == ['The model, and stronger', 'Usual at this lightness']
    level = app.editor.level
    for group in app.editor.palette.groups:
        for o in group['colors']: assert abs(lab_of(tuple(bytes.fromhex(o['color'][1:])))[0] - level) < 1.5
    app.editor.slice.spot = [(40 + 110)/220, (110 - 20)/220]
    app.wait()
    _, a, b = lab_of(app.photo.hints.hints[0].color)
    assert abs(a - 40) + abs(b - 20) < 3
    assert len(app.photo.hints.hints) == 1
    app.editor.slice.spot = [1., 0.] # outside of the gamut: as far as it goes
    app.wait()
    _, a, b = lab_of(app.photo.hints.hints[0].color)
    assert np.allclose(app.editor.slice.spot, [(a + 110)/220, (110 - b)/220], atol=.01)
    assert len(app.photo.hints.done) == 1 # a series is one step
    app.take([carried_photos()[3]]) # the eyedropper looks at any photo of the strip
    app.wait()
    app.select(0)
    app.wait()
    app.editor.pick.click()
    app.editor.source.selected = 1
    app.wait()
    seen = open_photo(carried_photos()[3])
    seen.thumbnail((800, 800))
    app.editor.picker.spot = [.25, .25]
    app.wait()
    x, y = seen.width//4, seen.height//4
    mean = np.asarray(seen)[y-1:y+2, x-1:x+2].mean((0, 1))
    assert np.abs(app.photo.hints.hints[0].color - mean).max() < 2
    app.editor.pick.click()
    assert app.editor.dropper.layout.display == 'none'


def test_every_point_and_colour_has_a_name_and_every_change_a_sentence(app):
    click(app, 650, 340)
    assert app.notice.text == 'Place 650, 340: choose its colour'
    app.editor.do(dict(do='paint', color='firebrick'))
    assert app.notice.text == 'Hint 1 of 1: firebrick #b22222 at 650, 340'
    app.editor.do(dict(do='nudge', dx=10, dy=0))
    assert app.editor.stage.points[0]['label'] == 'Hint 1 of 1, firebrick #b22222, at 660, 340'
    app.editor.do(dict(do='paint', color='reddish'))
    assert "'reddish' is not a colour" in app.notice.text
    app.editor.do(dict(do='delete'))
    assert app.notice.text == 'No hints. Click a place whose colour you know'
    app.editor.do(dict(do='delete'))
    assert 'no hint is selected' in app.notice.text
    app.wait()
    for group in app.editor.palette.groups: assert all(o['name'] for o in group['colors'])


def test_a_photo_that_a_camera_has_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(carried_photos()[4]).convert('RGB').resize((600, 400)).save(tmp_path/'t.jpg', exif=exif, quality=95)
    app = ColorizeApp([tmp_path/'t.jpg'])
    app.wait()
    app.edit()
    assert app.editor.stage.size == [400, 600]
    click(app, 100, 590, '#c03020')
    expected = save_photo(Colorizer.load()(tmp_path/'t.jpg', hints=[(100, 590, '#c03020')]), tmp_path/'e.jpg')
    assert app.result()[1] == expected.read_bytes()
