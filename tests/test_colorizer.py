"Any photo in, the same photo in colour out; or a PhotoError that names it."
import errno
import io
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import colorize_lib
from colorize_lib.apply.colorizer import Colorizer, picture_tasks, render_size, save_photo, weights_file
from colorize_lib.lab import colorize_dls, lab_to_rgb, normalize_lab, rgb_to_lab
from colorize_lib.photos.pictures import PhotoError, max_pixels, open_photo
from colorize_lib.apply.recolor import recolor
from colorize_lib.photos.samples import paint_scene
from colorize_lib.unet import Unet, resnet_unet
from colorize_lib.engine.weights import WeightsError, save_weights

CONFIG = dict(generator='unet', kwargs=dict(nf=4, n_down=2), task='grayscale', size=32)


@pytest.fixture(scope='module')
def model_file(tmp_path_factory):
    torch.manual_seed(0)
    net = Unet(nf=4, n_down=2)
    net.head.weight.data *= 3 # untrained, but colourful
    return save_weights(net, tmp_path_factory.mktemp('weights')/'tiny.safetensors', CONFIG)


@pytest.fixture(scope='module')
def colorizer(model_file): return Colorizer.load(model_file, device='cpu', precision='fp32')


def tensor(img): return torch.from_numpy(np.array(img.convert('RGB'))).permute(2, 0, 1)[None]/255
def lightness(img): return rgb_to_lab(tensor(img))[:, 0]
def colours(img): return rgb_to_lab(tensor(img))[:, 1:].norm(dim=1)


class Answers(torch.nn.Module):
    "A network that predicts one colour"
    def __init__(self, a, b): super().__init__(); self.ab = torch.tensor([a, b]).view(1, 2, 1, 1)/110
    def forward(self, x): return self.ab.expand(len(x), 2, *x.shape[-2:])


# what is in the result

@pytest.mark.parametrize('item', ['scene', 'noise'])
def test_lightness_is_kept(colorizer, item):
    noise = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    photo = paint_scene(3, 300) if item == 'scene' else Image.fromarray(noise)
    out = colorizer(photo)
    error = (lightness(out) - lightness(photo)).abs()
    assert out.size == photo.size
    assert error.mean() < .2
    assert error.max() < 2
    assert colours(out).mean() > 3


@pytest.mark.parametrize('ab', [(100., 90.), (-80., 80.), (20., -105.)])
def test_out_of_gamut_colours_lose_chroma_not_lightness(ab):
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(8, 0))
    out = Colorizer(Answers(*ab), CONFIG, 'cpu', 'fp32')(ramp)
    assert (lightness(out) - lightness(ramp)).abs().max() < 1
    flat = torch.tensor(ab).view(1, 2, 1, 1).expand(1, 2, 8, 256)
    clamped = lab_to_rgb(torch.cat([lightness(ramp)[:, None], flat], 1))
    assert (rgb_to_lab(clamped)[:, 0] - lightness(ramp)).abs().max() > 10 # what clamping would do
    assert colours(out)[0, 4, 100:160].min() > 20
    assert colours(out)[0, 4, [0, 255]].max() < 1


def test_saturation():
    photo, col = paint_scene(5, 100), Colorizer(Answers(12., 20.), CONFIG, 'cpu', 'fp32')
    gray, half, full = [colours(col(photo, saturation=s)).mean() for s in (0., .5, 1.)]
    assert gray < .5
    assert .4 < half/full < .6
    for bad in (-1, float('nan'), float('inf')):
        with pytest.raises(ValueError, match='saturation='): col(photo, saturation=bad)


def test_the_network_sees_what_it_saw_in_training(scenes, monkeypatch):
    seen = []
    model = Answers(0., 0.)
    monkeypatch.setattr(model, 'forward', lambda x: seen.append(x) or x.new_zeros(len(x), 2, *x.shape[-2:]))
    squares = [paint_scene(i, 48) for i in range(8)]
    valid = colorize_dls(squares, size=48, bs=1, n_train=7, n_valid=1, device=torch.device('cpu')).valid
    photo = next(s for s in squares if s.filename == valid.dataset.names[0])
    Colorizer(model, CONFIG | dict(size=48), 'cpu', 'fp32')(photo)
    assert torch.equal(seen[0][:1], valid.one_batch()[0])
    assert torch.equal(seen[0][1:], seen[0][:1].flip(-1)) # and the mirror image


def test_the_networks_colours_are_the_results_colours():
    photo = paint_scene(2, 64)
    lab = rgb_to_lab(tensor(photo))
    class Knows(torch.nn.Module):
        def forward(self, x): return torch.cat([normalize_lab(lab)[1], normalize_lab(lab)[1].flip(-1)])
    out = Colorizer(Knows(), CONFIG | dict(size=64), 'cpu', 'fp32')(photo.convert('L').convert('RGB'))
    assert (rgb_to_lab(tensor(out))[:, 1:] - lab[:, 1:]).norm(dim=1).median() < 2


def test_recolor_equals_the_formulas():
    photo = Image.fromarray((np.random.default_rng(1).integers(60, 190, (70, 50, 3))).astype(np.uint8))
    lab = rgb_to_lab(tensor(photo))
    out = np.array(recolor(photo.copy(), lab[:, :1], lab[:, 1:])).astype(int)
    assert np.abs(out - np.array(photo)).max() <= 1
    flat = torch.cat([lab[:, :1], torch.full_like(lab[:, 1:], 12.)], 1)
    exact = (lab_to_rgb(flat)[0].permute(1, 2, 0)*255).numpy()
    out = np.array(recolor(photo.copy(), lab[:, :1], flat[:, 1:]))
    inside = ((exact > 1) & (exact < 254)).all(-1)
    assert np.abs(out - exact)[inside].max() < .7
    assert inside.mean() > .9


@pytest.mark.parametrize('mode', ['RGB', 'RGBA'])
def test_strips_of_a_photo_lie_in_their_places(mode):
    "Several strips, painted by threads; where all colours are equal, parts of the photo alone come out the same"
    photo = Image.fromarray(np.random.default_rng(2).integers(60, 190, (700, 600, len(mode))).astype(np.uint8), mode)
    lum, ab = torch.full((1, 1, 8, 7), 50.), torch.full((1, 2, 8, 7), 12.)
    whole = np.array(recolor(photo.copy(), lum, ab))
    for box in ((0, 0, 600, 90), (0, 300, 600, 390), (0, 610, 600, 700)):
        assert (whole[box[1]:box[3]] == np.array(recolor(photo.crop(box), lum, ab))).all()
    if mode == 'RGBA': assert (whole[..., 3] == np.array(photo)[..., 3]).all()


def test_gray_stays_neutral_without_colours():
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(3, 0))
    out = np.array(recolor(ramp.convert('RGB'), torch.full((1, 1, 2, 9), 50.), torch.zeros(1, 2, 2, 9)))
    assert (out == np.array(ramp)[..., None]).all()


def test_colours_follow_edges():
    "Two fields of different lightness and colour: guided colours bleed less than bilinear ones"
    photo = np.full((120, 120, 3), (150, 60, 50), np.uint8)
    photo[:, 64:] = (90, 180, 220)
    photo = Image.fromarray(photo)
    low = rgb_to_lab(tensor(photo.resize((24, 24), Image.BICUBIC)))
    true = rgb_to_lab(tensor(photo))[:, 1:]
    bilinear = torch.nn.functional.interpolate(low[:, 1:], (120, 120), mode='bilinear')
    ours = rgb_to_lab(tensor(recolor(photo.copy(), low[:, :1], low[:, 1:])))[:, 1:]
    bleed = lambda ab: (ab - true).norm(dim=1)[0, :, 58:70].mean()
    assert bleed(ours) < .6*bleed(bilinear)


# what comes in

def _all_kinds():
    rgb = paint_scene(7, 48)
    gray, a = rgb.convert('L'), np.array(rgb)
    la = Image.merge('LA', (gray, gray))
    png = io.BytesIO()
    rgb.save(png, 'PNG')
    return dict(rgb=rgb, gray=gray, rgba=Image.merge('RGBA', (*rgb.split(), gray)), la=la,
                palette=rgb.quantize(64), cmyk=rgb.convert('CMYK'), one_bit=rgb.convert('1'),
                ycc=rgb.convert('YCbCr'), deep=np.array(gray).astype(np.uint16)*257,
                deep_rgb=a.astype(np.uint16)*257, floats=a/255., floats32=np.float32(a), bools=a[..., 0] > 99,
                f=Image.fromarray(np.float32(gray)/255), i=Image.fromarray(np.array(gray).astype(np.int32)),
                hw1=np.array(gray)[..., None], chw=a.transpose(2, 0, 1),
                tensor=torch.from_numpy(a.copy()).permute(2, 0, 1), float_tensor=tensor(rgb)[0],
                one_channel=tensor(gray)[0, :1], half=tensor(rgb)[0].bfloat16(),
                bytes=png.getvalue(), file=io.BytesIO(png.getvalue()))


@pytest.mark.parametrize('kind', sorted(_all_kinds()))
def test_every_kind_of_picture(colorizer, kind):
    item = _all_kinds()[kind]
    out = colorizer(item)
    assert out.size == (48, 48)
    assert out.mode == ('RGBA' if kind in ('rgba', 'la') else 'RGB')
    tol = dict(palette=5, one_bit=50, bools=50).get(kind, 1)
    coloured = 'rgb rgba deep_rgb floats floats32 chw tensor float_tensor half bytes file palette cmyk ycc'.split()
    like = 'rgb' if kind in coloured else 'gray'
    assert (lightness(out) - lightness(_all_kinds()[like])).abs().mean() < tol


@pytest.mark.parametrize('fmt', ['JPEG', 'PNG', 'TIFF', 'WEBP', 'BMP', 'AVIF', 'GIF'])
def test_every_format(colorizer, tmp_path, fmt):
    if fmt == 'AVIF' and 'AVIF' not in Image.SAVE and not Image.init() and 'AVIF' not in Image.SAVE:
        pytest.skip('this Pillow has no AVIF')
    paint_scene(4, 50).save(tmp_path/'a', fmt)
    assert colorizer(tmp_path/'a').size == (50, 50)


def test_alpha_is_kept_and_hidden_colours_do_not_matter(colorizer):
    a = np.array(paint_scene(4, 64).convert('RGBA'))
    a[:30, :, 3] = 0
    b = a.copy()
    b[:30, :, :3] = 255 - b[:30, :, :3]
    one, two = [np.array(colorizer(Image.fromarray(o))) for o in (a, b)]
    assert (one[..., 3] == a[..., 3]).all()
    assert (one[34:] == two[34:]).all()


def test_the_users_image_is_not_changed(colorizer):
    for mode in ('RGB', 'RGBA', 'L'):
        img = paint_scene(4, 64).convert(mode)
        before = img.tobytes()
        assert colorizer(img) is not img
        assert img.tobytes() == before
    a = np.array(paint_scene(4, 64))
    before = a.copy()
    colorizer(a)
    assert (a == before).all()


def test_exif_is_kept_and_the_result_is_upright(colorizer, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, 'Leica'
    exif.get_ifd(0x8769)[0x9003] = '1956:07:01 12:00:00'
    exif.get_ifd(0x8825)[1] = 'N'
    for fmt in ('jpg', 'png', 'tif', 'webp'):
        paint_scene(1, 60).resize((60, 40)).save(tmp_path/f'a.{fmt}', exif=exif, dpi=(300, 300))
        out = Image.open(save_photo(colorizer(tmp_path/f'a.{fmt}'), tmp_path/f'b.{fmt}'))
        got = out.getexif()
        assert out.size == (40, 60), fmt
        assert got.get(0x0112, 1) == 1, fmt
        assert got[0x010F] == 'Leica', fmt
        if fmt != 'tif':
            assert got.get_ifd(0x8769)[0x9003] == '1956:07:01 12:00:00', fmt
            assert got.get_ifd(0x8825)[1] == 'N', fmt
        if fmt != 'webp': assert round(out.info['dpi'][0]) == 300


def test_broken_exif_does_not_stop_a_photo(colorizer, tmp_path):
    paint_scene(1, 60).save(tmp_path/'a.jpg', exif=b'Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\xff\xff\xff')
    assert colorizer(tmp_path/'a.jpg').size == (60, 60)


def swapped_profile():
    "An ICC profile whose red is green, and whose name is not sRGB"
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    at = {bytes(icc[i:i + 4]): i for i in range(132, 132 + 12*int.from_bytes(icc[128:132], 'big'), 12)}
    r, g = at[b'rXYZ'], at[b'gXYZ']
    icc[r + 4:r + 8], icc[g + 4:g + 8] = icc[g + 4:g + 8], icc[r + 4:r + 8]
    return bytes(icc).replace('sRGB'.encode('utf-16-be'), 'what'.encode('utf-16-be'))


def test_icc_profiles_are_heard(tmp_path):
    photo = Image.new('RGB', (32, 32), (200, 40, 60))
    for fmt in ('jpg', 'png', 'tif', 'webp'):
        options = dict(jpg=dict(quality=100, subsampling=0), webp=dict(lossless=True)).get(fmt, {})
        photo.save(tmp_path/f'p.{fmt}', icc_profile=swapped_profile(), **options)
        out = open_photo(tmp_path/f'p.{fmt}')
        assert np.abs(np.array(out.getpixel((9, 9))) - [40, 200, 60]).max() < 8, fmt
        assert 'icc_profile' not in out.info, fmt
    photo.save(tmp_path/'bad.png', icc_profile=b'no profile at all')
    assert open_photo(tmp_path/'bad.png').getpixel((0, 0)) == (200, 40, 60)
    photo.save(tmp_path/'s.png', icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    assert open_photo(tmp_path/'s.png').getpixel((0, 0)) == (200, 40, 60)


@pytest.mark.parametrize('size', [(1, 1), (1, 37), (37, 1), (2, 2), (20000, 3), (3, 5000)])
@pytest.mark.parametrize('shade', [0, 255, 128])
def test_odd_sizes_and_flat_pictures(colorizer, size, shade):
    out = colorizer(Image.new('L', size, shade))
    assert out.size == size
    assert (lightness(out) - lightness(Image.new('L', size, shade))).abs().max() < 1


def test_render_size():
    assert render_size(4000, 3000, 256) == (341, 256)
    assert render_size(10, 20, 32) == (32, 64)
    assert render_size(20000, 3, 32) == (256, 32)


# what cannot be coloured

def test_bad_input_is_named(colorizer, tmp_path):
    paint_scene(0, 256).save(tmp_path/'whole.jpg')
    (tmp_path/'half.jpg').write_bytes((tmp_path/'whole.jpg').read_bytes()[:5000])
    (tmp_path/'empty.png').write_bytes(b'')
    (tmp_path/'text.jpg').write_text('hello')
    gif = io.BytesIO()
    Image.new('P', (8, 8)).save(gif, 'GIF')
    bomb = bytearray(gif.getvalue())
    bomb[6:10] = b'\xff'*4
    (tmp_path/'bomb.gif').write_bytes(bomb)
    for name, reason in {'half.jpg': 'truncated', 'empty.png': 'not a picture', 'text.jpg': 'not a picture',
                         'bomb.gif': 'more than 300 megapixels', 'gone.jpg': 'no such file', '.': 'folder'}.items():
        with pytest.raises(PhotoError) as e: colorizer(tmp_path/name)
        assert reason in e.value.reason, name
        assert e.value.name == str(tmp_path/name), name
        assert '\n' not in str(e.value), name


@pytest.mark.parametrize('item', [
    None, 3, [], {}, object(), np.zeros((0, 4)), np.zeros(5), np.zeros((2, 3, 4, 5)), np.zeros((4, 4), complex),
    np.array([['a']]), np.zeros((5, 4, 7)), np.full((4, 4), np.nan), np.full((4, 4, 3), np.inf),
    torch.full((3, 4, 4), torch.nan), torch.zeros(2, 3, 4, 4), b'', b'\0'*99, io.BytesIO(), io.StringIO('x'),
    '', 'a\0b', 'a\nb', Path('nowhere'), Image.fromarray(np.full((4, 4), np.nan, np.float32))],
    ids=lambda o: repr(o).partition(' at 0x')[0][:30])
def test_what_is_no_photo_at_all(colorizer, item):
    with pytest.raises(PhotoError) as e: colorizer(item)
    assert '\n' not in str(e.value)


def test_pixels_just_above_the_limit(monkeypatch, colorizer, tmp_path):
    monkeypatch.setattr('colorize_lib.photos.pictures.max_pixels', 99)
    Image.new('L', (10, 10)).save(tmp_path/'a.png')
    with pytest.raises(PhotoError, match='a.png: more than'): colorizer(tmp_path/'a.png')
    with pytest.raises(PhotoError, match='more than'): colorizer(np.zeros((10, 10)))
    assert max_pixels == 300_000_000 == Image.MAX_IMAGE_PIXELS


@pytest.mark.filterwarnings('ignore::UserWarning') # Pillow on broken TIFF tags
@pytest.mark.parametrize('fmt', ['JPEG', 'PNG', 'GIF', 'TIFF', 'WEBP', 'BMP'])
def test_fuzz(colorizer, tmp_path, fmt):
    rng, n_bad, n_good = np.random.default_rng(sum(fmt.encode())), 0, 0
    exif = Image.Exif()
    exif[0x0112] = 5
    paint_scene(1, 24).save(tmp_path/'clean', fmt,
                            **(dict(exif=exif, icc_profile=swapped_profile()) if fmt not in ('GIF', 'BMP') else {}))
    clean = np.frombuffer((tmp_path/'clean').read_bytes(), np.uint8)
    for i in range(80):
        bad = clean.copy()
        n, reach = int(rng.choice([1, 4, 16])), len(bad) if i % 2 else min(400, len(bad)) # headers matter most
        bad[rng.integers(0, reach, n)] = rng.integers(0, 256, n)
        if i % 5 == 0: bad = bad[:rng.integers(0, len(bad))]
        try: n_good += colorizer(bad.tobytes()).mode in ('RGB', 'RGBA')
        except PhotoError as e: n_bad += 1; assert '\n' not in str(e)
    assert n_bad > 8
    assert n_good > 8


# memory, devices, threads

class Limited(torch.nn.Module):
    "A network that has memory for pictures up to a size"
    def __init__(self, most, error): super().__init__(); self.most, self.error = most, error
    def forward(self, x):
        if min(x.shape[-2:]) > self.most: raise self.error
        return torch.full((len(x), 2, *x.shape[-2:]), .3)


@pytest.mark.parametrize('error',
                         [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
                          torch.OutOfMemoryError('CUDA out of memory')])
def test_out_of_memory(error):
    photo = paint_scene(0, 100)
    with pytest.warns(UserWarning, match='scene 0: out of memory, coloured at 64 pixels instead of 128'):
        out = Colorizer(Limited(64, error), CONFIG, 'cpu', 'fp32')(photo, size=128)
    assert colours(out).mean() > 10
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with pytest.raises(PhotoError, match='scene 0: out of memory'):
            Colorizer(Limited(8, error), CONFIG, 'cpu', 'fp32')(photo, size=128)


def test_other_errors_of_a_network_name_the_photo():
    class Nan(torch.nn.Module):
        def forward(self, x): return x.new_full((len(x), 2, *x.shape[-2:]), torch.nan)
    class Wrong(torch.nn.Module):
        def forward(self, x): return x[:, :, :3]
    for net, why in ((Nan(), 'NaN or infinity'), (Wrong(), ''), (Limited(0, RuntimeError('oh')), 'oh')):
        with pytest.raises(PhotoError, match=f'scene 0: could not be coloured .*{why}'):
            Colorizer(net, CONFIG, 'cpu', 'fp32')(paint_scene(0, 40))


def test_arguments():
    for bad in (8, 0, 64., True, '64'):
        with pytest.raises(ValueError, match='size='): Colorizer(Answers(0., 0.), CONFIG)(paint_scene(0, 40), size=bad)
    with pytest.raises(ValueError, match="precision='int4': choose from 'auto', 'fp32'"):
        Colorizer(Answers(0., 0.), CONFIG, precision='int4')
    with pytest.raises(ValueError, match="task='painting': choose from 'grayscale', 'sketch'"):
        Colorizer(Answers(0., 0.), CONFIG | dict(task='painting'))


def test_another_task_is_one_class(monkeypatch):
    class Negative(picture_tasks['grayscale']):
        def encode(self, small): return tensor(small)
        def decode(self, photo, x, pred, saturation): return Image.new('RGB', photo.size, 'lime')
    monkeypatch.setitem(picture_tasks, 'negative', Negative)
    negative = Colorizer(torch.nn.Identity(), CONFIG | dict(task='negative'))
    assert negative(paint_scene(0, 40)).getpixel((0, 0)) == (0, 255, 0)


def test_names_of_models(monkeypatch, tmp_path, model_file):
    (tmp_path/'models').mkdir()
    monkeypatch.setattr(colorize_lib, '__file__', str(tmp_path/'__init__.py'))
    with pytest.raises(WeightsError, match='grayscale: no model of this name is in the package. There are: none'):
        Colorizer.load()
    (tmp_path/'models'/'tiny.safetensors').write_bytes(model_file.read_bytes())
    with pytest.raises(WeightsError, match='There are: tiny;'): Colorizer.load('grayscale')
    assert Colorizer.load('tiny').size == 32
    assert weights_file('tiny.safetensors') == Path('tiny.safetensors')
    with pytest.raises(WeightsError, match='no such file'): Colorizer.load('tiny.safetensors')


@pytest.mark.parametrize('precision', ['auto', 'fp32', 'bf16'])
def test_precision(model_file, colorizer, precision):
    photo = paint_scene(3, 64)
    out = Colorizer.load(model_file, 'cpu', precision)(photo)
    assert np.abs(np.array(out).astype(int) - np.array(colorizer(photo))).mean() < 2


def test_resnet_unet_and_threads():
    torch.manual_seed(0)
    col = Colorizer(resnet_unet(size=32, pretrained=False), CONFIG, 'cpu', 'fp32')
    photos = [paint_scene(i, 33 + i) for i in range(8)]
    alone = [np.array(col(p)) for p in photos]
    with ThreadPoolExecutor(4) as pool: together = list(pool.map(col, photos))
    assert all((a == np.array(b)).all() for a, b in zip(alone, together))
    assert not col.model.training
    assert col(photos[0], size=100).size == (33, 33)


def test_many(colorizer, photo_folder):
    (photo_folder/'bad.png').write_text('x')
    out = dict(colorizer.many(photo_folder))
    assert len(out) == 7
    assert {type(o) for n, o in out.items() if 'scene' in n} == {Image.Image}
    assert isinstance(bad := out[str(photo_folder/'bad.png')], PhotoError)
    assert bad.reason == 'not a picture'
    names = [n for n, _ in colorizer.many((np.zeros((9, 9)) for _ in range(2)), size=16)] # an iterator
    assert names == ['picture 0', 'picture 1']
    lazy = colorizer.many(iter([paint_scene(0, 32), None]))
    assert next(lazy)[0] == 'scene 0'
    assert str(next(lazy)[1]).startswith('picture 1: ')
    with pytest.raises(PhotoError, match='no such'): next(colorizer.many(photo_folder/'no'))


def test_save_photo(tmp_path, monkeypatch):
    img = paint_scene(0, 40)
    for name in ('a.jpg', 'a.JPEG', 'a.png', 'a.tif', 'a.webp', 'a.bmp'):
        assert Image.open(save_photo(img, tmp_path/name)).size == (40, 40)
    clear = img.convert('RGBA')
    clear.putalpha(0)
    assert Image.open(save_photo(clear, tmp_path/'c.jpg')).getpixel((3, 3)) == (255, 255, 255)
    n = len(list(tmp_path.iterdir()))
    for name, why in (('a.txt', 'cannot write .txt'), ('no/a.png', 'cannot be written .No such file'),
                      ('x'*300 + '.png', 'cannot be written')):
        with pytest.raises(PhotoError, match=why): save_photo(img, tmp_path/name)
    with pytest.raises(PhotoError, match='cannot be written'):
        save_photo(Image.new('L', (20000, 1)), tmp_path/'wide.webp')
    def full(*args): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(PhotoError, match='a.png: cannot be written .No space left'): save_photo(img, tmp_path/'a.png')
    assert len(list(tmp_path.iterdir())) == n
    assert Image.open(tmp_path/'a.png').size == (40, 40)


def test_importing_the_colorizer_does_not_import_fastai():
    code = ('import sys; from colorize_lib.apply.colorizer import Colorizer; '
            'print(sorted({m.split(".")[0] for m in sys.modules} & {"fastai", "torchvision", "matplotlib", "pandas"}))')
    out = subprocess.run([sys.executable, '-W', 'error', '-c', code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == '[]'


packaged = Path(colorize_lib.__file__).parent/'models'/'grayscale.safetensors'


@pytest.mark.skipif(not packaged.exists(), reason='the default model is not in the package yet')
def test_the_packaged_model(scenes):
    photo = paint_scene(1, 300).convert('L').convert('RGB')
    out = Colorizer.load()(photo)
    assert packaged.stat().st_size <= 12e6
    assert colours(out).mean() > 3
    assert (lightness(out) - lightness(photo)).abs().mean() < .5
