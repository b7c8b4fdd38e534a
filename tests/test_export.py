"ONNX files: the same colours as PyTorch, without importing it; and a sentence for every file that cannot be used"
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from colorize_lib.apply.color_video import film_predictor
from colorize_lib.apply.colorizer import Colorizer, HintedPhoto
from colorize_lib.apply.commands import main as colorize
from colorize_lib.apply.export import compare_onnx, export_onnx, main, record, shrink, solved_by_doubling
from colorize_lib.apply.hints import HintError
from colorize_lib.apply.hints_from import _places, hints_from
from colorize_lib.apply.onnx_network import checksum_of, sealed
from colorize_lib.apply.recolor import box_mean, stretched
from colorize_lib.apply.video import Look
from colorize_lib.engine.files import WeightsError
from colorize_lib.engine.weights import generators
from colorize_lib.lab import lab_to_rgb, rgb_to_lab
from colorize_lib.photos.pictures import PhotoError, open_photo, rgb_array, rgb_tensor
from colorize_lib.photos.samples import carried_photos, paint_scene
from colorize_lib.sketch.drawings import draw_house
from colorize_lib.sketch.line_art import line_art
from colorize_lib.sketch.sketch import to_sketch

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


@pytest.fixture(scope='module')
def reference(): return Colorizer.load(device='cpu', precision='fp32')


@pytest.fixture(scope='module')
def model(reference, tmp_path_factory):
    "The path of the packaged photo model as ONNX"
    return export_onnx(reference, tmp_path_factory.mktemp('onnx')/'grayscale.onnx')[0]


@pytest.fixture(scope='module')
def exported(model): return Colorizer.load(model)


@pytest.fixture
def copied(model, tmp_path):
    "All files of the model, to be damaged"
    for path in model.parent.glob('grayscale*'): (tmp_path/path.name).write_bytes(path.read_bytes())
    return tmp_path/model.name


def some_hints(n):
    def hints(size):
        rng = np.random.default_rng(n)
        at = rng.permutation(size[0]*size[1])[:n]
        return [(int(i % size[0]), int(i//size[0]), tuple(rng.integers(0, 256, 3).tolist())) for i in at]
    return hints


# ---- the same colours

def shapes():
    photo = open_photo(carried_photos()[0], 300)
    return [photo, photo.rotate(90, expand=True), photo.crop((0, 0, 250, 31)), photo.resize((1, 1)),
            photo.resize((7, 90))]


def test_photos_of_all_shapes_are_within_one_step(reference, exported):
    found = compare_onnx(reference, exported, [*shapes(), *(open_photo(p, 300) for p in carried_photos()[1:4])])
    assert found.largest.max() <= 1
    assert found['mean'].max() < .01


@pytest.mark.parametrize('n', [1, 9, 128])
def test_hints_are_within_one_step(reference, exported, n):
    photos = [paint_scene(3, 90), open_photo(carried_photos()[1], 200)]
    assert compare_onnx(reference, exported, photos, some_hints(n)).largest.max() <= 1


def test_one_large_hint_and_other_sizes(reference, exported):
    gray = paint_scene(5, 120).convert('L')
    for size in (16, 40, 128):
        kwargs = dict(size=size, hints=[(60, 60, 'red', 55)], saturation=1.4)
        a, b = [np.asarray(o(gray, **kwargs), int) for o in (reference, exported)]
        assert np.abs(a - b).max() <= 1


def test_real_photos(reference, exported, real_photos):
    found = compare_onnx(reference, exported, real_photos[::max(1, len(real_photos)//12)])
    assert found.largest.max() <= 1, found


def test_drawings(tmp_path):
    files = export_onnx('sketch', tmp_path/'sketch.onnx')
    assert [p.name for p in files] == ['sketch.onnx', 'sketch.json'] # it takes no hints
    reference, exported = Colorizer.load('sketch', 'cpu', 'fp32'), Colorizer.load(files[0])
    for drawing in (draw_house(200), Image.new('L', (60, 40), 255), draw_house(90).resize((120, 50))):
        a, b = [np.asarray(o(drawing.convert('RGB')), int) for o in (reference, exported)]
        assert np.abs(a - b).max() <= 1


@pytest.fixture(scope='module')
def drawing_model(tmp_path_factory):
    "The path of the packaged model for drawings as ONNX, which predicts lightness too and spreads hints"
    return export_onnx('illustration', tmp_path_factory.mktemp('drawings')/'illustration.onnx')[0]


def drawings():
    "By programs, and the lines of a photo"
    art = rgb_array(torch.from_numpy(line_art(3, 160).lines).expand(3, -1, -1))
    photo = rgb_tensor(open_photo(carried_photos()[2]).resize((300, 200)))
    lines = rgb_array(to_sketch(photo[None])[0].expand(3, -1, -1))
    return [draw_house(200), draw_house(300).resize((290, 150)), Image.fromarray(art), Image.fromarray(lines)]


@pytest.mark.parametrize('hints', [(), [(.5, .7, '#c03020')],
                                   [(.3, .6, 'gold'), (.6, .8, 'teal'), (.8, .2, 'navy', 9)]], ids=len)
def test_drawings_with_hints(drawing_model, hints):
    names = ['illustration.hints.onnx', 'illustration.json', 'illustration.onnx', 'illustration.places.onnx']
    assert sorted(p.name for p in drawing_model.parent.iterdir()) == names
    reference, exported = Colorizer.load('illustration', 'cpu', 'fp32'), Colorizer.load(drawing_model)
    assert exported.network.takes_hints and exported.scales == reference.scales == [1, 1.5]
    for drawing in (o.convert('RGB') for o in drawings()):
        w, h = drawing.size
        told = [(int(x*w), int(y*h), *more) for x, y, *more in hints]
        a, b, plain = [np.asarray(o(drawing, hints=t), int) for o, t in
                       ((reference, told), (exported, told), (reference, ()))]
        assert np.abs(a - b).max() <= 1
        assert (np.abs(a - plain).max() > 30) == bool(hints) # they do something


@pytest.mark.parametrize('name, kwargs', [('unet', dict(nf=8, n_down=2)), ('pix2pix_unet', {}), ('lite_unet', {}),
                                          ('bin_classifier', dict(nf=8, n_down=2)), ('resnet_unet', {})])
def test_other_networks(name, kwargs, tmp_path):
    torch.manual_seed(0)
    if name == 'resnet_unet': kwargs = dict(size=64)
    net = generators[name](**kwargs)
    for o in net.modules():
        if isinstance(o, torch.nn.BatchNorm2d): o.running_mean.normal_(0, .1) # else some weights never matter
    reference = Colorizer(net, dict(task='grayscale', size=64), 'cpu', 'fp32')
    exported = Colorizer.load(export_onnx(reference, tmp_path/'net.onnx', 'fp32')[0])
    assert compare_onnx(reference, exported, [paint_scene(0, 64)]).largest.max() <= 1
    with pytest.raises(HintError, match='takes no hints'): exported(paint_scene(0, 64), hints=[(1, 1, 'red')])


def test_everything_else_of_a_colorizer(reference, exported, photo_folder):
    assert exported.size == reference.size and exported.scales == reference.scales
    assert exported.config == reference.config and exported.takes_hints
    (photo_folder/'broken.png').write_text('not a photo')
    results = dict(exported.many(photo_folder))
    assert sum(isinstance(o, Image.Image) for o in results.values()) == 6
    assert sum(isinstance(o, PhotoError) for o in results.values()) == 1
    clear = paint_scene(0, 50)
    clear.putalpha(99)
    assert exported(clear).getchannel('A').getextrema() == (99, 99)
    hinted = [HintedPhoto(o, paint_scene(1, 80)) for o in (reference, exported)]
    assert np.abs(np.asarray(hinted[0](), int) - hinted[1]()).max() <= 1
    with pytest.raises(ValueError, match='within=False'): hinted[1].predict([(1, 1, (9, 9, 9), None)], within=False)


def test_films_and_references_take_it_too(reference, exported):
    gray = np.asarray(paint_scene(2, 64).convert('L'))
    a, b = [film_predictor(o, 64)(Look(gray=gray)) for o in (reference, exported)]
    assert np.abs(a - b).max() < .01
    assert exported.network.fingerprint() != reference.network.fingerprint()
    scene = paint_scene(2, 160)
    seen = [_places(o, scene, 'scene')[0] for o in (exported, reference)]
    assert (seen[0] - seen[1]).abs().max() < 1e-3*seen[1].abs().max()
    ours, theirs = [set(hints_from(scene, scene, colorizer=o)) for o in (exported, reference)]
    assert len(ours) == len(theirs) > 20
    assert len(ours & theirs) > .8*len(ours) # among matches that are equally good, rounding decides


def test_memory_that_runs_out_is_noticed(exported, monkeypatch):
    def run(session, outputs, **inputs):
        if inputs['picture'].shape[1] > 40: raise MemoryError('Failed to allocate memory')
        return [np.zeros((1, n, *inputs['picture'].shape[1:3]), np.float32) for n in (1, 2)]
    monkeypatch.setattr(exported.network, '_run', run)
    monkeypatch.setattr(exported, 'scales', (1,))
    with pytest.warns(UserWarning, match='out of memory, coloured at 32 pixels instead of 64'):
        exported(paint_scene(0, 64), size=64)


# ---- without PyTorch

def fresh(code):
    "What a fresh process prints"
    return subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout


def test_torch_is_not_imported(model, tmp_path):
    paint_scene(0, 90).save(tmp_path/'a.png')
    said = fresh(f'''import sys
from colorize_lib.apply.colorizer import Colorizer, save_photo
from colorize_lib.apply.hints import read_hints, write_hints
colorizer = Colorizer.load({str(model)!r})
hints = read_hints(write_hints({str(tmp_path/"h.json")!r}, [(9, 9, "red")], (90, 90)))
save_photo(colorizer({str(tmp_path/"a.png")!r}, hints=hints), {str(tmp_path/"b.jpg")!r})
list(colorizer.many({str(tmp_path)!r}))
print([o for o in ("torch", "fastai", "onnx", "matplotlib") if o in sys.modules])''')
    assert said.strip() == '[]'


def test_drawings_and_their_hints_do_not_import_torch(drawing_model, tmp_path):
    draw_house(120).save(tmp_path/'a.png')
    said = fresh(f'''import sys
from colorize_lib.apply.colorizer import Colorizer, save_photo
colorizer = Colorizer.load({str(drawing_model)!r})
save_photo(colorizer({str(tmp_path/"a.png")!r}), {str(tmp_path/"plain.png")!r})
save_photo(colorizer({str(tmp_path/"a.png")!r}, hints=[(60, 80, "red")]), {str(tmp_path/"hinted.png")!r})
print([o for o in ("torch", "fastai", "onnx", "matplotlib") if o in sys.modules])''')
    assert said.strip() == '[]'
    plain, hinted = [np.asarray(Image.open(tmp_path/f'{o}.png'), int) for o in ('plain', 'hinted')]
    assert np.ptp(plain, axis=-1).mean() > 3 and np.abs(plain - hinted).max() > 30


def test_films_and_references_still_import_torch():
    "README says so: mend its sentence when one of them no longer does"
    for module in ('hints_from', 'color_video'):
        assert fresh(f'import sys, colorize_lib.apply.{module}; print("torch" in sys.modules)').strip() == 'True'


def test_the_command_colours_without_torch(model, tmp_path):
    paint_scene(0, 90).save(tmp_path/'a.png')
    said = fresh(f'''import sys
from colorize_lib.apply.commands import main
print(main([{str(tmp_path/"a.png")!r}, "--model", {str(model)!r}, "--hint", "9,9,red"]), "torch" in sys.modules)''')
    assert said.strip() == '0 False'
    assert Image.open(tmp_path/'a_color.png').size == (90, 90)


# ---- wrong files

def refused(path, match, **kwargs):
    with pytest.raises(WeightsError, match=match) as e: Colorizer.load(path, **kwargs)
    assert str(e.value).startswith(str(path))


@pytest.mark.parametrize('at', [100, 5_000_000, -40])
def test_one_changed_bit_is_found(copied, at):
    content = bytearray(copied.read_bytes())
    content[at] ^= 1
    copied.write_bytes(content)
    refused(copied, 'the checksum does not fit')


def test_files_that_are_no_models(copied, tmp_path):
    whole = copied.read_bytes()
    files = ((b'', 'the file is empty'), (b'<!DOCTYPE html>', 'this is a web page'), (b'a letter', 'not an ONNX file'),
             (b'version https://git-lfs.github.com', 'git-lfs pointer'), (whole[:-76], 'checksum is missing'),
             (whole[:len(whole)//2], 'it was cut off'))
    for content, match in files:
        copied.write_bytes(content)
        refused(copied, match)
    refused(tmp_path/'nowhere.onnx', 'no such file')
    (tmp_path/'folder.onnx').mkdir()
    refused(tmp_path/'folder.onnx', 'this is a folder')


def test_a_model_of_another_library(tmp_path):
    other = record(torch.nn.Linear(2, 2), (torch.ones(1, 2),), dict(x=[0]), dict(y=[0])).SerializeToString()
    for content in (other, sealed(other)):
        (tmp_path/'other.onnx').write_bytes(content)
        refused(tmp_path/'other.onnx', 'an ONNX file of another model.*colorize-export')


def test_parts_that_are_missing_or_of_another_model(copied, tmp_path):
    gray, colorizer, hints = paint_scene(0, 64), Colorizer.load(copied), [(1, 1, 'red')]
    part = copied.with_suffix('.hints.onnx')
    part.write_bytes(copied.with_suffix('.places.onnx').read_bytes())
    with pytest.raises(PhotoError, match='belongs to another model than grayscale.onnx'): colorizer(gray, hints=hints)
    part.unlink()
    with pytest.raises(PhotoError, match='grayscale.hints.onnx: no such file'): colorizer(gray, hints=hints)
    colorizer(gray) # without hints it is not needed


def test_a_missing_package_is_named(model, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    refused(model, r'pip install "colorize_lib\[onnx\]"')
    monkeypatch.setitem(sys.modules, 'onnx', None)
    assert main([str(tmp_path/'a.onnx')]) == 1
    assert 'pip install "colorize_lib[onnx]"' in capsys.readouterr().err


def test_devices_and_precisions_it_has_not(model):
    with pytest.raises(ValueError, match="device='cuda': an ONNX file runs on the CPU"): Colorizer.load(model, 'cuda')
    with pytest.raises(ValueError, match="precision='bf16': an ONNX file runs in fp32"):
        Colorizer.load(model, precision='bf16')
    Colorizer.load(model, 'cpu', 'fp32')


def test_the_command_names_a_damaged_file(copied, tmp_path, capsys):
    paint_scene(0, 64).save(tmp_path/'a.png')
    copied.write_bytes(copied.read_bytes()[:-1] + b'x')
    assert colorize([str(tmp_path/'a.png'), '--model', str(copied)]) == 1
    assert 'grayscale.onnx: the checksum does not fit' in capsys.readouterr().err


# ---- writing

def test_no_number_is_a_float64(model):
    onnx = pytest.importorskip('onnx')
    for path in sorted(model.parent.glob('*.onnx')):
        graph = onnx.load_from_string(path.read_bytes()).graph
        constants = [n.attribute[0].t for n in graph.node if n.op_type == 'Constant']
        assert constants and all(t.data_type != onnx.TensorProto.DOUBLE for t in [*constants, *graph.initializer]), path


def test_what_is_written(model):
    about = json.loads(model.with_suffix('.json').read_text())
    assert about['config'] == Colorizer.load().config
    assert set(about['files']) == {'grayscale.onnx', 'grayscale.hints.onnx', 'grayscale.places.onnx'}
    for name, o in about['files'].items():
        assert (model.parent/name).stat().st_size == o['bytes']
        assert checksum_of(model.parent/name) == o['sha256']
    assert sum(o['bytes'] for o in about['files'].values()) < 8_300_000
    text = model.read_bytes()
    assert str(Path(torch.__file__).parent).encode() not in text # no traces of the machine
    assert str(Path(__file__).parent.parent).encode() not in text


def test_weights_in_16_bits_lose_nothing_and_in_8_little(reference, tmp_path):
    a, b, c = [Colorizer.load(export_onnx(reference, tmp_path/f'{o}.onnx', o)[0]) for o in ('fp32', 'fp16', 'int8')]
    small = open_photo(carried_photos()[0], 128).convert('RGB')
    full, half, eight = [o.network.run(small)[1] for o in (a, b, c)]
    assert np.abs(full - half).max() < 1e-5
    assert 1e-4 < np.abs(full - eight).mean() < .02
    sizes = [(tmp_path/f'{o}.onnx').stat().st_size for o in ('fp32', 'fp16', 'int8')]
    assert sizes[1] < .52*sizes[0] and sizes[2] < .56*sizes[1]


def test_numbers_too_large_for_16_bits_stay(tmp_path):
    conv = torch.nn.Conv2d(4, 16, 3, bias=False).requires_grad_(False)
    conv.weight[0, 0, 0, 0] = 1e6
    recorded = shrink(record(conv, (torch.ones(1, 4, 5, 5),), dict(x=[]), dict(y=[])))
    assert [o.data_type for o in recorded.graph.initializer] == [1] # float32


def test_the_command_writes_and_checks(tmp_path, capsys):
    paint_scene(1, 100).save(tmp_path/'a.png')
    assert main([str(tmp_path/'m.onnx'), '--check', str(tmp_path/'a.png')]) == 0
    out = capsys.readouterr().out
    assert 'm.hints.onnx: 0.1' in out and 'at most' in out and 'a.png' in out
    assert main([str(tmp_path/'m.onnx'), '--weights', 'int8', '--check', str(tmp_path/'a.png')]) == 1 # more than a step
    assert main([str(tmp_path/'m.pth')]) == 1
    assert main([str(tmp_path/'n.onnx'), '--model', 'sepia']) == 1
    err = capsys.readouterr().err
    assert 'should end in .onnx' in err and 'sepia: no model of this name' in err
    with pytest.raises(WeightsError, match='is an ONNX file already'): export_onnx(tmp_path/'m.onnx', tmp_path/'o.onnx')


def test_the_comparison_says_where(reference, exported):
    class Spot:
        "As the exported model, but for one pixel"
        def __call__(self, photo, **kwargs):
            out = exported(photo, **kwargs)
            r, g, b = out.getpixel((31, 7))
            out.putpixel((31, 7), (r, (g + 60) % 256, b))
            return out
    found = compare_onnx(reference, Spot(), [paint_scene(0, 48)]).iloc[0]
    assert found.largest >= 59
    assert (found.x, found.y) == (31, 7)


# ---- what both libraries compute

def test_lab_of_arrays_is_lab_of_tensors():
    rgb = torch.rand(2, 3, 9, 7)
    lab = rgb_to_lab(rgb)
    assert np.abs(rgb_to_lab(rgb.numpy()) - lab.numpy()).max() < 1e-3
    assert np.abs(lab_to_rgb(lab.numpy()) - rgb.numpy()).max() < 1e-3
    assert rgb_to_lab(rgb.numpy()).dtype == np.float32
    assert rgb_to_lab(rgb.double().numpy()).dtype == np.float64


@pytest.mark.parametrize('n', [1, 5, 9, 18, 40])
def test_stretched_is_interpolate(n):
    x = torch.rand(2, 3, 9)
    assert np.abs(stretched(x.numpy(), n) - F.interpolate(x, n, mode='linear').numpy()).max() < 1e-5
    cubic = F.interpolate(x[:, :, None], (1, n), mode='bicubic')[:, :, 0]
    assert np.abs(stretched(x.numpy(), n, cubic=True) - cubic.numpy()).max() < 1e-5
    assert np.array_equal(stretched(x.numpy().swapaxes(1, 2), n, 1), stretched(x.numpy(), n).swapaxes(1, 2))


@pytest.mark.parametrize('radius', [1, 3])
def test_box_mean_is_a_mean(radius):
    x = torch.rand(2, 3, 5, 8)
    truth = F.avg_pool2d(F.pad(x, (radius,)*4, mode='replicate'), 2*radius + 1, 1)
    assert torch.allclose(box_mean(x, radius), truth, atol=1e-5)
    assert np.abs(box_mean(x.numpy(), radius) - truth.numpy()).max() < 1e-5


@pytest.mark.parametrize('n', [1, 2, 128])
def test_doubling_solves(n):
    torch.manual_seed(n)
    points = torch.randn(3, n, 2)
    K = (-torch.cdist(points, points)**2).exp() + .05*torch.eye(n)
    b = torch.randn(3, n, 4)
    truth = torch.linalg.solve(K.double(), b.double())
    assert (solved_by_doubling(K, b) - truth).abs().max() < 2e-3*truth.abs().max()
