"The widgets without a browser: what they compute, what they say, and that no input leaves them dead."
import json
import re
import threading
import time
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor, ImageDraw

import colorize_lib
from colorize_lib.widgets.colorize_app import ColorizeApp
from colorize_lib.apply.colorizer import Colorizer, save_photo
from colorize_lib.widgets.lab_explorer import LabExplorer, gamut_slice
from colorize_lib.widgets.loss_explorer import (LossExplorer, LossResults, Method, ResultsError, load_results,
                                                patch_overlay, save_results)
from colorize_lib.widgets.monitor import TimeShare, TrainingMonitor, thinned
from colorize_lib.patchgan import PatchGAN
from colorize_lib.photos.pictures import open_photo
from colorize_lib.photos.samples import paint_scene
from colorize_lib.widgets.sketch_pad import SketchPad
from colorize_lib.training import PatchGANTrainer
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.unet import Unet
from colorize_lib.engine.weights import WeightsError, save_weights
from colorize_lib.widgets.pieces import DropZone, Notice
from colorize_lib.widgets.jobs import ModelWorker, model_worker
from conftest import ROOT

pytestmark = pytest.mark.filterwarnings('ignore:.*looks like a ') # the widgets say it in their own line
STATIC = Path(colorize_lib.__file__).parent/'widgets/static'


class Slow(torch.nn.Module):
    "Colours everything alike, takes its time, and counts who is inside"
    def __init__(self, seconds=.05, ab=(.3, .5)): # orange
        super().__init__()
        self.ab = ab
        self.seconds, self.inside, self.most, self.threads, self.gate = seconds, 0, 0, set(), threading.Event()
        self.gate.set()
    def forward(self, x):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(20)
        time.sleep(self.seconds)
        self.inside -= 1
        return torch.stack([torch.full_like(x[:, 0], o) for o in self.ab], 1)


@pytest.fixture
def slow():
    model = Slow()
    return Colorizer(model, dict(task='grayscale', size=32), precision='fp32'), model


def png(img):
    buffer = BytesIO()
    img.save(buffer, 'PNG')
    return buffer.getvalue()


@pytest.fixture
def scene(): return png(paint_scene(1, 96))


# --- the worker ---

def test_all_widgets_of_a_model_share_one_thread(slow, scene):
    colorizer, model = slow
    apps = [ColorizeApp(models={'m': colorizer}) for _ in range(3)]
    for app in apps:
        for i in range(3): app.add(f'{i}.png', scene)
    for app in apps: app.wait()
    assert model.most == 1
    assert len(model.threads) == 1
    assert threading.current_thread().name not in model.threads
    assert model_worker('grayscale') is model_worker('grayscale')
    assert model_worker(colorizer) is not model_worker('grayscale')


def test_events_are_taken_at_once_and_the_newest_counts(slow, scene):
    colorizer, model = slow
    app = ColorizeApp(models={'m': colorizer})
    model.gate.clear()
    app.add('a.png', scene)
    for _ in range(100):
        if app.stage.before: break
        time.sleep(.05)
    assert app.stage.before
    assert not app.stage.after
    assert app.stage.busy # the photo is there before its colours
    model.gate.set()
    app.wait()
    model.gate.clear()
    start = time.perf_counter()
    for v in np.linspace(0, 2, 41): app.saturation.value = v
    assert time.perf_counter() - start < 1 # while the network stands still
    assert app.stage.busy
    assert app.notice.progress == -1
    model.gate.set()
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    app.wait()
    assert app.photo.settings.saturation == 2
    assert len(calls) <= 2
    assert not app.stage.busy


def test_jobs_of_one_key_replace_each_other_and_errors_do_not_stop_the_worker():
    worker, gate, done = ModelWorker(None), threading.Event(), []
    worker.colorizer = None
    first = worker.submit(lambda _: gate.wait(20))
    jobs = [worker.submit(lambda _, i=i: done.append(i), 'a') for i in range(5)]
    jobs += [worker.submit(lambda _: done.append('b'), 'b')]
    bad = worker.submit(lambda _: 1/0)
    gate.set()
    for job in (first, *jobs): job.result(20)
    assert done == [4, 'b']
    assert isinstance(bad.exception(20), ZeroDivisionError)
    assert worker.submit(lambda _: 7).result(20) == 7


# --- the app ---

@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_download_is_what_the_colorizer_makes(suffix, tmp_path):
    path = save_photo(paint_scene(2, 200), tmp_path/f'old photo{suffix}')
    app = ColorizeApp([path])
    app.saturation.value, app.size.value = 1.5, 96
    app.wait()
    name, data = app.result()
    assert name == f'old photo_color{suffix}'
    expected = save_photo(Colorizer.load()(path, 96, 1.5), tmp_path/f'expected{suffix}')
    assert data == expected.read_bytes()
    sent = []
    app.drop.save = lambda *file: sent.append(file)
    app.one.click()
    app.wait()
    assert sent == [(name, data, 'image/png' if suffix == '.png' else 'image/jpeg')]
    assert name in app.notice.text


def test_formats_that_cannot_be_written_become_png_and_a_zip_has_all(scene, slow):
    app = ColorizeApp(models={'m': slow[0]})
    for name in ('a.gif', 'b', 'same.png', 'same.png'): app.add(name, scene)
    app.add('letter.jpg', b'Dear Sir')
    app.wait()
    sent = []
    app.drop.save = lambda *file: sent.append(file)
    app.all.click()
    app.wait()
    (name, data, kind), = sent
    assert (name, kind) == ('coloured.zip', 'application/zip')
    with zipfile.ZipFile(BytesIO(data)) as z:
        assert sorted(z.namelist()) == ['3_same_color.png', 'a_color.png', 'b_color.png', 'same_color.png']


@pytest.mark.parametrize('names,taken', [
    (['a.png', '2_a.png', 'a.png'], ['a_color.png', '2_a_color.png', '2_2_a_color.png']),
    (['a.png', 'a.png', '1_a.png'], ['a_color.png', '1_a_color.png', '2_1_a_color.png'])])
def test_a_zip_names_no_two_photos_alike(names, taken, scene, slow):
    app, sent = ColorizeApp(models={'m': slow[0]}), []
    for name in names: app.add(name, scene)
    app.wait()
    app.drop.save = lambda *file: sent.append(file)
    app.all.click()
    app.wait()
    with zipfile.ZipFile(BytesIO(sent[0][1])) as z: assert z.namelist() == taken


def big(): return png(Image.new('1', (10_000, 10_000)))
@pytest.mark.parametrize('name,make,reason',
                         [('letter.jpg', lambda: b'Dear Sir', 'not a picture'),
                          ('empty.png', lambda: b'', 'not a picture'),
    ('huge.png', big, '100 megapixels; this app takes up to 60'),
    ('cut.png', lambda: png(paint_scene(1))[:300], 'cannot be read')])
def test_bad_files_are_named_in_place_and_the_app_goes_on(name, make, reason, scene, slow):
    app = ColorizeApp(models={'m': slow[0]})
    app.add(name, make())
    app.wait()
    assert app.photo.state == 'failed'
    assert app.stage.name == name
    assert app.stage.message.startswith(reason)
    assert not app.stage.busy
    assert app.notice.kind == 'error'
    assert app.notice.text.startswith(f'{name}: {reason}')
    assert app.one.disabled
    app.add('good.png', scene)
    app.wait()
    assert app.photo.name == 'good.png'
    assert app.photo.state == 'done'
    assert app.stage.message == ''
    assert not app.one.disabled
    assert [o['state'] for o in app.strip.items] == ['failed', 'done']


def test_ten_files_at_once(scene, slow):
    colorizer, model = slow
    model.gate.clear()
    app = ColorizeApp(models={'m': colorizer})
    for i in range(9): app.add(f'{i}.png', scene)
    app.add('letter.jpg', b'Dear Sir')
    assert len(app.strip.items) == 10
    assert '1 of 10: colouring 0.png' == app.notice.text
    assert app.strip.selected == 0
    model.gate.set()
    app.wait()
    assert [s.state for s in app.photos] == ['done']*9 + ['failed']
    assert app.strip.selected == 0
    assert app.notice.text == '9 of 10 files are coloured; look at those with a !'
    app.strip.selected = 9
    assert app.notice.text == 'letter.jpg: not a picture'
    assert app.stage.message == 'not a picture'


def test_a_second_click_while_running_gets_an_answer(scene, slow):
    colorizer, model = slow
    app = ColorizeApp(models={'m': colorizer})
    app.add('a.png', scene)
    app.wait()
    sent = []
    app.drop.save = lambda *file: sent.append(file)
    model.gate.clear()
    app.one.click()
    app.one.click()
    assert app.notice.text == 'One moment: a.png is still being made'
    model.gate.set()
    app.wait()
    assert len(sent) == 1
    assert 'a_color.png' in app.notice.text


def test_a_network_that_raises_and_a_model_that_is_not_there(scene):
    class Broken(torch.nn.Module):
        def forward(self, x): raise RuntimeError('a bad day')
    app = ColorizeApp(models={'bad': Colorizer(Broken(), dict(task='grayscale', size=32)),
                              'gone': 'not/there.safetensors', 'good': 'grayscale'})
    assert app.model.value == 'grayscale'
    for label, text in (('bad', 'a bad day'), ('gone', 'no such file')):
        app.model.value = dict(app.model.options)[label]
        app.add('a.png', scene)
        app.wait()
        assert text in app.stage.message
        assert text in app.notice.text
        assert app.notice.kind == 'error'
    app.model.value = 'grayscale'
    app.wait()
    assert app.photo.state == 'done'
    assert app.stage.message == ''
    with pytest.raises(WeightsError, match='no model of this name'): model_worker('sepia')


def test_photos_that_waited_have_the_colours_of_the_model_that_is_chosen_now(slow, scene):
    colorizer, model = slow
    model.gate.clear()
    blue = Colorizer(Slow(0, (0., -.5)), dict(task='grayscale', size=32), precision='fp32')
    app = ColorizeApp(models={'orange': colorizer, 'blue': blue})
    for i in range(3): app.add(f'{i}.png', scene)
    app.model.value = blue # while one is inside the other model, and two wait for it
    model.gate.set()
    app.wait()
    for i, photo in enumerate(app.photos):
        app.select(i)
        app.wait()
        r, _, b = np.asarray(open_photo(photo.after)).reshape(-1, 3).mean(0)
        assert photo.settings.model is blue
        assert b > r + 30


def test_a_model_that_was_trained_further_is_another_model(scene, tmp_path):
    def colours(seed):
        torch.manual_seed(seed)
        save_weights(Unet(nf=4, n_down=2), tmp_path/'mine.safetensors',
                     dict(generator='unet', kwargs=dict(nf=4, n_down=2), task='grayscale', size=32))
        return model_worker(str(tmp_path/'mine.safetensors')).submit(
            lambda colorizer: colorizer.model.state_dict()).result()
    first, again = colours(1), colours(2)
    assert any(not torch.equal(v, again[k]) for k, v in first.items())
    assert model_worker('grayscale') is model_worker('grayscale')
    with pytest.raises(ValueError, match='no photo yet'): ColorizeApp().result()


def test_before_is_what_the_network_sees_and_zero_strength_is_gray(scene):
    app = ColorizeApp()
    app.add('a.png', scene)
    app.saturation.value = 0.
    app.wait()
    before, after = (np.asarray(Image.open(BytesIO(o)).convert('RGB')).astype(int)
                     for o in (app.stage.before, app.stage.after))
    assert np.ptp(before, axis=-1).max() == 0
    assert np.ptp(after, axis=-1).max() <= 4
    assert before.shape == after.shape
    app.saturation.value = 1.
    app.wait()
    assert np.ptp(np.asarray(Image.open(BytesIO(app.stage.after))).astype(int), axis=-1).mean() > 5


def test_a_photo_for_the_sketch_model_gets_a_note(scene):
    app = ColorizeApp(models={'photos': 'grayscale', 'drawings': 'sketch'})
    app.add('a.png', scene)
    app.wait()
    assert app.notice.text == 'Drag the line over the picture'
    app.model.value = 'sketch'
    app.wait()
    assert 'a.png looks like a photo, and this model is for drawings' in app.notice.text
    assert app.photo.state == 'done'


# --- files in and out ---

def test_files_in_pieces_and_what_can_go_wrong_on_the_way():
    got, refused = [], []
    drop = DropZone(lambda *file: got.append(file), lambda *why: refused.append(why), lambda i: got.append(i))
    say = lambda buffers=(), **message: drop._receive(drop, message, [memoryview(b) for b in buffers])
    say(do='begin', id=1, name='C:\\photos\\a.jpg', size=4)
    say([b'ab'], do='piece', id=1)
    say([b'x'], do='piece', id=99) # a piece of nothing
    say([b'cd'], do='piece', id=1)
    say(do='end', id=1)
    say(do='begin', id=2, name='b.jpg', size=10)
    say(do='end', id=2)
    say(do='sample', index=3)
    assert got == [('a.jpg', b'abcd'), 3]
    assert refused == [('b.jpg', 'only 0 of 10 bytes arrived')]
    assert not drop.coming


def test_a_notice_answers_the_page():
    notice, sent = Notice(), []
    notice.send = lambda content, buffers=None: sent.append(content)
    notice._handle_custom_msg(dict(do='ask'), [])
    assert sent == [dict(do='answer')]


# --- what a person without mouse or eyes needs ---

@pytest.mark.parametrize('file,needs', [
    ('before_after.js',
     ['type="range"', 'aria-label', 'aria-valuetext', 'before.alt', 'after.alt', 'role="alert"', 'aria-busy']),
    ('drop_zone.js', ['<button', 'alt:']),
    ('film_strip.js', ['createElement("button")', 'aria-label', 'aria-current', 'ArrowRight']),
    ('notice.js', ['role="status"', 'aria-live="polite"', 'role="alert"', 'does not respond']),
    ('picture.js', ['img.alt', 'tabIndex = 0', 'aria-label', 'ArrowLeft']),
    ('pad.js', ['tabindex="0"', 'aria-label', 'ArrowUp', 'aria-pressed']), ('curves.js', ['role="img"', 'aria-label'])])
def test_keyboard_and_text_alternatives(file, needs):
    code = (STATIC/file).read_text(encoding='utf-8')
    for text in needs: assert text in code, text
    focusable = re.search('<button|<input|tabindex|tabIndex|createElement\\("button', code)
    assert not focusable or 'lmSuppressShortcuts' in code # or JupyterLab takes the arrow keys


def test_every_file_of_the_browsers_side_is_used():
    used = set(re.findall(r"static_folder/'([\w.]+)'",
                          ''.join(p.read_text(encoding='utf-8') for p in (ROOT/'colorize_lib').rglob('*.py'))))
    assert used - {'losses.npz'} == {p.name for p in STATIC.iterdir()} - {'losses.npz'}
    assert "'static/*'" in (ROOT/'setup.py').read_text(encoding='utf-8')
    assert 'colorize_lib/widgets/static' in (ROOT/'MANIFEST.in').read_text(encoding='utf-8')


def test_notebooks_keep_stills_and_no_dead_widgets():
    for path in ROOT.glob('nbs/**/*.ipynb'):
        nb = json.loads(path.read_text(encoding='utf-8'))
        assert 'widgets' not in nb['metadata'], path.name
        for o in (o for c in nb['cells'] for o in c.get('outputs', [])):
            assert 'application/vnd.jupyter.widget-view+json' not in o.get('data', {}), path.name


def test_cards_hand_out_stills(scene, slow):
    app = ColorizeApp(models={'m': slow[0]})
    assert 'image/jpeg' not in app._repr_mimebundle_()[0]
    assert app.still() is None
    app.add('a.png', scene)
    app.wait()
    for card in (app, LabExplorer(paint_scene(1, 64))):
        data = card._repr_mimebundle_()[0]
        assert 'application/vnd.jupyter.widget-view+json' in data
        assert len(data['image/jpeg']) > 1000


# --- the explorers ---

def test_lab_explorer_tells_the_pixel_and_its_island():
    explorer = LabExplorer(Image.new('RGB', (40, 30), (200, 60, 40)))
    explorer.picture.spot = [.99, .99]
    assert explorer.at == (39, 29)
    assert 'L* <b>46.' in explorer.text.value
    assert '1200 pixels' in explorer.text.value
    assert '(RGB 200, 60, 40)' in explorer.text.value
    x, y = (round(v*220) for v in explorer.slice.spot)
    # the dot lies on its own colour
    np.testing.assert_allclose(np.asarray(gamut_slice(46.3))[y, x], (200, 60, 40), atol=8)
    explorer.gains[0].value = 0.
    assert 'L* <b>50.0' in explorer.text.value
    for w in explorer.gains[1:]: w.value = 0.
    assert np.ptp(np.asarray(explorer.images[0]).astype(int), axis=-1).max() <= 1
    explorer.picture.spot = [0, 0]
    assert explorer.at == (0, 0)


@pytest.fixture
def results():
    rng = np.random.default_rng(0)
    pictures = lambda: rng.integers(0, 256, (2, 24, 24, 3)).astype(np.uint8)
    methods = [Method('l1', pictures()), Method('gan', pictures()), Method('both', pictures(), 100.),
               Method('both', pictures(), 10.), Method('classification', pictures(), .38)]
    return LossResults(pictures()[..., 0], pictures(), methods, rng.normal(size=(2, 30, 30)),
                       rng.normal(size=(2, 30, 30)), fake_method=2, about='noise')


def test_loss_explorer_shows_what_its_sliders_say(results, tmp_path):
    explorer = LossExplorer(save_results(results, tmp_path/'r.npz'))
    assert list(explorer.weight.options) == [10., 100.]
    assert list(explorer.temperature.options) == [.38]
    for value, i in ((10., 3), (100., 2)):
        explorer.weight.value = value
        # they went through JPEG; others are off by 85
        assert np.abs(explorer.method('both').pictures - results.methods[i].pictures.astype(float)).mean() < 10
        assert explorer.views['both'].caption == f'both, lambda = {value:g}'
    explorer.strip.selected = 1
    shown = np.asarray(Image.open(BytesIO(explorer.views['truth'].image))).astype(int)
    assert abs(shown - results.truth[1]).mean() < abs(shown - results.truth[0]).mean()
    share = (results.fake_logits[1].astype(np.float16) > 0).mean()
    assert f'{share:.0%} of 30x30 patches are classified as real' in explorer.patch_maps[1].caption
    assert all(w.alt for w in explorer.views.values())


def test_patch_maps_are_blue_for_real_and_orange_for_fake():
    gray = np.full((8, 8, 3), 128, np.uint8)
    r, g, b = np.asarray(patch_overlay(gray, np.array([[9., -9.], [0., 0.]]))).transpose(2, 0, 1).astype(int)
    assert b[1, 1] > 150 > r[1, 1]
    assert r[1, 6] > 150 > b[1, 6]
    assert (r[6, 1], g[6, 1], b[6, 1]) == (128, 128, 128)


@pytest.mark.parametrize('spoil,text',
                         [(lambda r: setattr(r, 'truth', r.truth[:1]), 'truth: uint8'),
                          (lambda r: setattr(r, 'methods', []), 'no method'),
    (lambda r: setattr(r.methods[0], 'kind', 'wgan'), 'unknown kind: wgan'),
    (lambda r: setattr(r.methods[2], 'value', None), 'without a value'),
    (lambda r: setattr(r, 'fake_method', 9), 'fake_method=9'),
    (lambda r: setattr(r, 'real_logits', np.zeros((3, 3))), 'logits of shape'),
    (lambda r: setattr(r, 'fake_logits', np.full((2, 30, 30), 'real')), 'expected 2 maps of numbers'),
    (lambda r: setattr(r, 'fake_logits', None), 'real_logits without fake_logits'),
    (lambda r: setattr(r, 'gray', r.gray[..., None]), 'gray: uint8 (2, 24, 24, 1), expected'),
    (lambda r: setattr(r, 'gray', r.gray/255), 'gray: float64')])
def test_results_that_do_not_fit_are_refused(spoil, text, results, tmp_path):
    spoil(results)
    with pytest.raises(ResultsError, match=re.escape(text)): save_results(results, tmp_path/'r.npz')
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_results_are_refused(results, tmp_path):
    good = save_results(results, tmp_path/'r.npz').read_bytes()
    np.savez(other := tmp_path/'other.npz', a=np.zeros(3))
    for content in (b'', b'text', good[:-50], other.read_bytes()):
        (tmp_path/'bad.npz').write_bytes(content)
        with pytest.raises(ResultsError, match='not a file of results'): load_results(tmp_path/'bad.npz')
    with pytest.raises(ResultsError, match='no such file'): LossExplorer(tmp_path/'nowhere.npz')


# --- the sketch pad ---

def test_sketch_pad_colours_the_newest_drawing(slow):
    colorizer, model = slow
    pad = SketchPad(models={'m': colorizer})
    model.gate.clear()
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    for i in range(20): pad.draw(png(Image.new('L', (64, 64), 10*i)))
    model.gate.set()
    pad.wait()
    assert len(calls) <= 2
    assert pad.drawing.getpixel((0, 0)) == 190
    assert pad.colored.size == (64, 64)
    assert pad.result.image
    # as the browser sends it
    pad.pad._handle_custom_msg(dict(do='drawing'), [memoryview(png(Image.new('L', (64, 64), 5)))])
    pad.wait()
    assert pad.drawing.getpixel((0, 0)) == 5


class Cream(torch.nn.Module):
    "Predicts one light wash for all drawings"
    calls = 0
    def forward(self, x):
        self.calls += 1
        return torch.tensor([.9, .01, .06]).view(1, 3, 1, 1).expand(len(x), -1, *x.shape[-2:])


def test_a_drop_of_colour_fills_its_region_and_the_network_looks_once():
    model = Cream()
    pad = SketchPad(models={'m': Colorizer(model, dict(task='illustration', size=256))})
    pad.example.value = 'house'
    pad.wait()
    assert pad.drawing.size == (512, 512) and pad.pad.background
    before, looks = np.asarray(pad.colored, int), model.calls
    drops = [[182, 221, '#d23b2f'], [380, 131, '#3a7fc4']] # the roof, the paper
    data = BytesIO()
    pad.drawing.save(data, 'PNG')
    pad.pad._handle_custom_msg(dict(do='drawing', hints=drops), [memoryview(data.getvalue())])
    pad.wait()
    after = np.asarray(pad.colored, int)
    assert model.calls == looks # the lines are the same
    for x, y, color in drops: assert np.abs(after[y, x] - ImageColor.getrgb(color)).max() < 6
    wall = after[437, 276]
    assert np.abs(wall - before[437, 276]).max() < 3 and np.abs(wall - ImageColor.getrgb(drops[0][2])).max() > 60
    pad.draw(pad.drawing)
    pad.wait()
    assert np.array_equal(np.asarray(pad.colored, int), before) # undone


def test_colours_stay_while_a_line_is_drawn_between_them_and_follow_at_its_end():
    model = Cream()
    pad = SketchPad(models={'m': Colorizer(model, dict(task='illustration', size=64))})
    def send(x, **message): # a sheet with a line down to x
        sheet = Image.new('L', (64, 64), 255)
        ImageDraw.Draw(sheet).line((40, 0, 40, x), 0, 3)
        pad.pad._handle_custom_msg(dict(do='drawing') | message, [memoryview(png(sheet))])
        pad.wait()
        return np.asarray(pad.colored, int), model.calls
    red = [[10, 10, '#d23b2f']]
    looks = [send(x, finished=False)[1] for x in (20, 30)]
    assert looks[0] < looks[1] # without hints, colours follow each part of a line
    before, n = send(30, hints=red)
    growing, m = send(63, hints=red, finished=False)
    assert m == n and growing[50, 40].max() < 40 # the line is there
    assert np.abs(growing - before)[:, 44:].max() <= 1 # and nothing else has changed: all is red
    after, m = send(63, hints=red)
    assert m > n and np.abs(after - before)[10, 10].max() <= 2
    assert np.abs(after - before)[30, 55].max() > 40 # the line divides the sheet now


def test_sketch_pad_traces_photos_and_survives_what_is_none(slow):
    pad = SketchPad(paint_scene(1, 128), models={'m': slow[0]})
    pad.wait()
    first = pad.pad.background
    assert first
    assert pad.drawing.size == (512, 512)
    assert pad.still().height == 300
    pad.style.value = 'ink'
    pad.wait()
    assert pad.pad.background != first
    for name, data, text in (('letter.jpg', b'Dear Sir', 'not a picture'), ('huge.png', big(), '100 megapixels')):
        pad._take(name, data)
        assert pad.notice.kind == 'error'
        assert text in pad.notice.text
    pad.pad._handle_custom_msg(dict(do='clear'), [])
    assert pad.pad.background == b''
    assert pad.photo is None
    pad.draw(png(Image.new('L', (64, 64), 255)))
    pad.wait()
    assert pad.notice.text == ''


# --- the monitor ---

def fitted(dls, *cbs, gan=False):
    torch.manual_seed(0)
    learn = colorize_learner(dls, Unet(nf=8, n_down=2))
    with learn.no_bar(), learn.no_logging():
        learn.fit(2, 1e-2, cbs=[*cbs, *([PatchGANTrainer(PatchGAN(nf=8, n_down=1))] if gan else [])])
    return learn


@pytest.mark.parametrize('gan', [False, True])
def test_watching_changes_no_bit(dls, gan):
    monitor = TrainingMonitor(n=3, share=1e9, pause=0, show=False)
    dls.train.epoch = -1
    watched = fitted(dls, monitor, gan=gan)
    dls.train.epoch = -1
    for a, b in zip(watched.model.state_dict().values(), fitted(dls, gan=gan).model.state_dict().values()):
        assert torch.equal(a, b)
    names = {'loss_D', 'loss_G_GAN', 'loss_G_L1'} if gan else {'loss'}
    assert set(monitor.points) == names | {'valid loss'}
    steps = 2*len(dls.train)
    for k in names:
        assert [i for i, _ in monitor.points[k]] == list(range(1, steps + 1))
        assert np.isfinite([v for _, v in monitor.points[k]]).all()
    assert monitor.points['valid loss'][-1] == (steps, pytest.approx(watched.recorder.values[-1][1])) or gan
    assert monitor.strip.size == (3*48, 3*48)
    assert f'after {steps} steps' in monitor.picture.alt
    assert monitor.panel.still().width > 400


def test_monitor_keeps_out_of_the_learning_rate_finder(dls):
    monitor = TrainingMonitor(show=False)
    learn = colorize_learner(dls, Unet(nf=8, n_down=2), cbs=monitor)
    with learn.no_bar(), learn.no_logging():
        learn.lr_find(num_it=4, show_plot=False)
        assert monitor.step == 0
        assert not monitor.points
        learn.fit(1, 1e-3)
    assert monitor.step == len(dls.train)
    assert len(monitor.points['valid loss']) == 1


@pytest.mark.parametrize('cost', [.001, .03, 2.])
def test_a_time_share_is_kept_whatever_a_drawing_costs(cost):
    now = [0.]
    time_share = TimeShare(.01, .5, clock=lambda: now[0])
    time_share.begin()
    drawn = 0
    while now[0] < 2000:
        now[0] += .02
        if time_share.allows():
            drawn += 1
            with time_share: now[0] += cost
    assert time_share.spent/now[0] <= .0101
    assert drawn >= 9


def test_thinning_keeps_the_last_point():
    for n in (1, 249, 250, 251, 10_001):
        kept = thinned(list(range(n)))
        assert kept[-1] == n - 1
        assert len(kept) <= 250
        assert kept == sorted(kept)


# --- short films ---

def small_film(path, n=30, size=(48, 32)):
    from colorize_lib.apply.films import gray_film
    scene = np.asarray(paint_scene(3, 96).convert('L').resize((2*size[0], 2*size[1])))
    return gray_film(path, [np.roll(scene, -i, 1)[10:10 + size[1], :size[0]] for i in range(n)], 'libx264')


@pytest.fixture
def film(tmp_path):
    pytest.importorskip('av', reason='films need the package av')
    return small_film(tmp_path/'walk.mp4')


def until(condition, seconds=20):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end
        time.sleep(.01)


def test_a_film_has_a_frame_for_each_step_of_the_slider(slow, film, scene):
    from colorize_lib.apply.color_video import color_video
    colorizer, _ = slow
    app = ColorizeApp([film], models={'m': colorizer})
    app.add('a.png', scene)
    app.wait()
    assert [o.state for o in app.photos] == ['done']*2
    app.select(0)
    assert app.player.layout.display is None
    assert (app.player.frame.max, app.player.play.max, app.player.play.interval) == (29, 29, 40)
    for i in (7, 29):
        app.player.frame.value = i
        assert (app.stage.before, app.stage.after) == app.photo.frames[i]
    before, after = (np.asarray(open_photo(o)).astype(int) for o in app.photo.frames[29])
    assert before.shape == after.shape == (32, 48, 3)
    assert np.ptp(before, axis=-1).max() == 0
    assert (after[..., 0] - after[..., 2]).mean() > 20 # orange
    color_video(film, film.with_name('out.mp4'), colorizer, segment=24)
    assert app.result() == ('walk_color.mp4', film.with_name('out.mp4').read_bytes())
    app.select(1) # a photo has no slider, and can be corrected
    assert (app.player.layout.display, app.correct.layout.display) == ('none', None)
    app.select(0)
    assert app.correct.layout.display == 'none'
    assert app.player.frame.value == 29 # where it was


def test_a_film_is_stopped_and_goes_on_and_a_photo_does_not_wait_for_it(slow, tmp_path, scene):
    pytest.importorskip('av')
    colorizer, model = slow
    model.seconds = .1
    app = ColorizeApp([small_film(tmp_path/'long.mp4', 90)], models={'m': colorizer})
    until(lambda: app.photos[0].pace[0] > 25) # a segment is whole
    app.add('a.png', scene)
    until(lambda: app.photos[1].state == 'done')
    assert app.photos[0].state == 'working'
    app.select(0)
    assert (app.stop.description, app.stop.layout.display) == ('Stop', None)
    app.stop.click()
    app.wait()
    assert app.photos[0].state == 'failed'
    assert app.notice.text.startswith('long.mp4: stopped after ')
    assert app.notice.kind == 'info'
    assert (app.stage.message, app.stage.before, app.stop.description) == ('', app.photos[0].before, 'Go on')
    app.stop.click()
    until(lambda: app.photos[0].state == 'working' and app.photos[0].pace[0])
    first = app.photos[0].pace[0]
    app.wait()
    assert app.photos[0].state == 'done'
    assert len(app.photos[0].frames) == 90
    assert first > 20 # what was done before was not done again
    assert app.stop.layout.display == 'none'


def test_a_film_begins_again_when_a_setting_changes(slow, tmp_path):
    pytest.importorskip('av')
    colorizer, model = slow
    model.seconds = .1
    app = ColorizeApp([small_film(tmp_path/'long.mp4', 60)], models={'m': colorizer})
    until(lambda: app.photo.pace[0])
    app.saturation.value = 0.
    app.wait()
    assert (app.photo.state, app.photo.settings.saturation, app.photo.message) == ('done', 0, '')
    assert np.ptp(np.asarray(open_photo(app.photo.frames[5][1])).astype(int), axis=-1).max() < 12


def test_the_line_of_a_film(slow, tmp_path):
    "The time left is said where it is known"
    pytest.importorskip('av')
    app = ColorizeApp([small_film(tmp_path/'film.mp4', 3)], models={'m': slow[0]})
    app.wait()
    for pace, said in ((3, 12, 9.2), '3 of 12 frames, 9 s left'), ((12, 12, None), '12 of 12 frames'):
        app.photo.pace = pace
        app._say_pace(app.photo)
        assert app.notice.text == f'colouring film.mp4: {said}'


def test_a_gif_that_is_cut_off_is_named(slow):
    "And the photo behind it is coloured"
    pytest.importorskip('av')
    frames, buffer = [paint_scene(i, 48).convert('L') for i in range(4)], BytesIO()
    frames[0].save(buffer, 'GIF', save_all=True, append_images=frames[1:], duration=50)
    app = ColorizeApp(models={'m': slow[0]})
    app.add('cut.gif', buffer.getvalue()[:-100])
    app.take([paint_scene(1, 48)])
    app.wait()
    assert [o.state for o in app.photos] == ['failed', 'done']
    assert app.photos[0].message.startswith('cannot be read as an animation (image file is truncated')


@pytest.mark.parametrize('suffix', ['.gif', '.webp'])
def test_animations_are_films(slow, suffix):
    pytest.importorskip('av')
    frames, buffer = [paint_scene(3, 64).convert('L').crop((i, 0, i + 48, 32)) for i in range(6)], BytesIO()
    frames[0].save(buffer, suffix[1:].upper(), save_all=True, append_images=frames[1:], duration=50)
    frames[0].save(still := BytesIO(), suffix[1:].upper())
    app = ColorizeApp(models={'m': slow[0]})
    app.add(f'moves{suffix}', buffer.getvalue())
    app.add(f'still{suffix}', still.getvalue())
    app.wait()
    assert [o.state for o in app.photos] == ['done']*2
    assert len(app.photos[0].frames) == 6
    assert app.photos[0].rate == 20
    assert not hasattr(app.photos[1], 'frames')
    name, data = app.result(app.photos[0])
    assert name == f'moves_color{suffix}'
    with Image.open(BytesIO(data)) as im: assert im.n_frames == 6


def test_films_that_are_too_much_or_broken_have_a_reason_and_a_way_out(slow, tmp_path, monkeypatch):
    pytest.importorskip('av')
    long, large = small_film(tmp_path/'long.mp4', 60), small_film(tmp_path/'large.mp4', 1, (1930, 1100))
    app = ColorizeApp([long], models={'m': slow[0]}, max_seconds=2)
    app.take([large])
    app.add('text.mp4', b'Dear Sir')
    app.wait()
    messages = [o.message for o in app.photos]
    assert messages[0] == ('2.4 seconds, 60 frames; this app takes clips of up to 2 seconds. '
                           'On the command line, `colorize "long.mp4"` takes larger ones')
    assert messages[1].startswith('1930x1100 pixels; this app takes clips of up to 2.1 megapixels')
    assert 'cannot be read as a film' in messages[2]
    app.add('hints.json', b'{}')
    assert 'hints of a film are for the command' in app.notice.text
    from colorize_lib.apply import films
    def missing(): raise films.FilmError('films', 'av is not installed: pip install "colorize_lib[video]"')
    monkeypatch.setattr(films, 'import_video', missing)
    app.take([long])
    app.wait()
    assert 'pip install "colorize_lib[video]"' in app.photos[-1].message
