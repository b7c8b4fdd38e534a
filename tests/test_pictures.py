"Whatever lies in a folder of photos is opened rightly, or named with the reason."
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from colorize_lib.photos.pictures import PhotoError, PhotoWarning, is_gray, open_photo, photo_files, show_grid
from colorize_lib.photos.samples import paint_scene
from conftest import ROOT


def test_photo_files_are_sorted_and_found_at_any_depth(photo_folder):
    (photo_folder/'deep'/'er').mkdir(parents=True)
    paint_scene(9, 32).save(photo_folder/'deep'/'er'/'A.JPG')
    (photo_folder/'.hidden').mkdir()
    paint_scene(8, 32).save(photo_folder/'.hidden'/'no.png')
    names = [p.relative_to(photo_folder).as_posix() for p in photo_files(photo_folder)]
    assert names == ['deep/er/A.JPG'] + [f'scene {i}.png' for i in range(6)]


def test_folder_errors_name_the_folder(tmp_path):
    with pytest.raises(PhotoError, match='nowhere: no such file or folder'): photo_files(tmp_path/'nowhere')
    (tmp_path/'notes.txt').write_text('hi')
    with pytest.raises(PhotoError, match='no photos among its 1 files'): photo_files(tmp_path)


def test_one_file_is_a_list_of_one(photo_folder):
    assert photo_files(photo_folder/'scene 0.png') == [photo_folder/'scene 0.png']


@pytest.mark.parametrize('mode', ['L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', '1', 'YCbCr', 'LAB', 'HSV', 'I', 'F', 'I;16'])
def test_every_mode_becomes_rgb(mode):
    img = paint_scene(0, 32)
    if mode == 'I;16': img = Image.fromarray((np.asarray(img.convert('L')).astype(np.uint16)*257))
    elif mode == 'LAB': img = Image.new('LAB', (32, 32), (50, 0, 0))
    else: img = img.convert('L' if mode in 'IF' else 'RGB').convert(mode)
    out = open_photo(img)
    assert out.mode == 'RGB'
    assert out.size == (32, 32)


@pytest.mark.parametrize('dtype,values', [(np.uint16, [0, 32768, 65535]), (np.float32, [0, .5, 1.])])
def test_deep_gray_is_scaled_not_clipped(tmp_path, dtype, values):
    Image.fromarray(np.array([values]*16, dtype).repeat(8, 1)).save(tmp_path/'deep.tif')
    row = np.asarray(open_photo(tmp_path/'deep.tif'))[0, ::8, 0]
    assert abs(row.astype(int) - [0, 128, 255]).max() <= 1


def test_16_bit_png(tmp_path):
    Image.fromarray(np.full((16, 16), 30000, np.uint16)).save(tmp_path/'a.png')
    assert abs(np.asarray(open_photo(tmp_path/'a.png')).astype(int) - 30000/257).max() <= 1


@pytest.mark.parametrize('top', [1.01, 255.])
def test_float_photos_with_overshoot(top):
    assert open_photo(Image.fromarray(np.full((16, 16), top, np.float32))).getpixel((0, 0)) == (255, 255, 255)


def test_dark_16_bit_stays_dark(tmp_path):
    Image.fromarray(np.full((16, 16), 250, np.uint16)).save(tmp_path/'dark.png')
    assert open_photo(tmp_path/'dark.png').getpixel((0, 0)) == (1, 1, 1)


def test_reason_and_name_of_odd_names(tmp_path):
    (tmp_path/'a: b.jpg').write_text('x')
    with pytest.raises(PhotoError) as e: open_photo(tmp_path/'a: b.jpg')
    assert e.value.reason == 'not a picture'
    assert e.value.name.endswith('a: b.jpg')
    assert str(e.value).endswith('a: b.jpg: not a picture')


def test_palette_with_transparency_lies_on_white(tmp_path):
    img = Image.new('RGBA', (20, 20), (255, 0, 0, 255))
    img.paste((0, 0, 255, 0), (0, 0, 10, 20))
    img.save(tmp_path/'p.png')
    img.quantize(4).save(tmp_path/'q.png')
    for name in ('p.png', 'q.png'):
        out = open_photo(tmp_path/name)
        assert out.getpixel((2, 2)) == (255, 255, 255)
        assert out.getpixel((15, 2))[0] > 250


def test_cmyk_keeps_its_colours(tmp_path):
    Image.new('RGB', (32, 32), (200, 40, 30)).convert('CMYK').save(tmp_path/'c.jpg')
    assert abs(np.array(open_photo(tmp_path/'c.jpg').getpixel((9, 9))) - [200, 40, 30]).max() < 12


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new('RGB', (24, 24), c) for c in ('red', 'lime', 'blue')]
    frames[0].save(tmp_path/'a.gif', save_all=True, append_images=frames[1:])
    assert open_photo(tmp_path/'a.gif').getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize('orientation,corner', [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_exif_orientation(tmp_path, orientation, corner):
    img = Image.new('RGB', (40, 20), 'white')
    img.paste((255, 0, 0), (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    img.save(tmp_path/'o.png', exif=exif)
    out = np.asarray(open_photo(tmp_path/'o.png'))
    assert tuple(out[corner]) == (255, 0, 0)


def test_big_jpegs_are_decoded_small(tmp_path):
    paint_scene(0, 1024).save(tmp_path/'big.jpg')
    assert open_photo(tmp_path/'big.jpg', 100).size == (128, 128)
    assert open_photo(tmp_path/'big.jpg').size == (1024, 1024)


@pytest.mark.parametrize('content,why',
                         [(b'', 'not a picture'), (b'hello', 'not a picture'),
                          (b'<html>404</html>', 'not a picture'), (b'\x89PNG\r\n\x1a\n' + b'\0'*50, 'b.png')])
def test_what_is_no_picture_is_named(tmp_path, content, why):
    (tmp_path/'b.png').write_bytes(content)
    with pytest.raises(PhotoError, match='b.png: ') as e: open_photo(tmp_path/'b.png')
    assert why in str(e.value)
    assert '\n' not in str(e.value)


def test_truncated_folder_and_missing(tmp_path, photo_folder):
    paint_scene(0, 256).save(tmp_path/'t.jpg')
    (tmp_path/'t.jpg').write_bytes((tmp_path/'t.jpg').read_bytes()[:4000])
    with pytest.raises(PhotoError, match='t.jpg: cannot be read as a photo .*truncated'): open_photo(tmp_path/'t.jpg')
    with pytest.raises(PhotoError, match='my photos: no such file'): open_photo(photo_folder)
    with pytest.raises(PhotoError, match='gone.png: no such file'): open_photo(tmp_path/'gone.png')


@pytest.mark.skipif(os.name == 'nt' or os.geteuid() == 0, reason='root may read everything')
def test_unreadable(tmp_path):
    paint_scene(0, 32).save(tmp_path/'s.png')
    (tmp_path/'s.png').chmod(0)
    with pytest.raises(PhotoError, match='s.png'): open_photo(tmp_path/'s.png')


@pytest.mark.filterwarnings("ignore::UserWarning") # Pillow on broken TIFF tags
def test_mutated_files_raise_photoerror_or_open(tmp_path):
    rng, n_bad = np.random.default_rng(0), 0
    for fmt in ('JPEG', 'PNG', 'GIF', 'TIFF', 'WEBP', 'BMP'):
        paint_scene(1, 24).save(tmp_path/'clean', fmt)
        clean = np.frombuffer((tmp_path/'clean').read_bytes(), np.uint8)
        for _ in range(40):
            bad = clean.copy()
            bad[rng.integers(0, len(bad), 12)] = rng.integers(0, 256, 12)
            (tmp_path/'bad').write_bytes(bad[:rng.integers(len(bad)//2, len(bad) + 1)].tobytes())
            try: assert open_photo(tmp_path/'bad').mode == 'RGB'
            except PhotoError as e: n_bad += 1; assert 'bad' in str(e)
    assert n_bad > 60


def test_gray_is_found_in_spite_of_jpeg_noise(tmp_path):
    paint_scene(3, 64).convert('L').convert('RGB').save(tmp_path/'g.jpg', quality=40)
    assert is_gray(np.asarray(open_photo(tmp_path/'g.jpg')))
    assert is_gray(np.full((8, 8, 3), [109, 100, 100], np.uint8))
    assert not is_gray(np.full((8, 8, 3), [113, 100, 100], np.uint8))
    tinted = np.full((32, 32, 3), 120, np.uint8)
    tinted[:4, :, 0] = 160 # an eighth of it has colour
    assert not is_gray(tinted)
    assert is_gray(tinted, tol=50)


def test_show_grid_layout():
    fig = show_grid([torch.rand(3, 8, 8), np.zeros((8, 8)), Image.new('RGB', (8, 8)), torch.rand(1, 8, 8)],
                    ['a', 'b', 'c'])
    assert [ax.get_title() for ax in fig.axes] == ['a', 'b', 'c', '', '', '']
    assert [len(ax.images) for ax in fig.axes] == [1, 1, 1, 1, 0, 0]


def test_show_grid_does_not_stretch_contrast():
    limits = [ax.images[0].get_clim()
              for ax in show_grid([torch.full((8, 8), .4), np.full((8, 8), 200, np.uint8)]).axes]
    assert limits == [(0, 1), (0, 255)]
    with pytest.raises(ValueError, match='no pictures to show'): show_grid([])


# ---- what decoders say

@pytest.fixture
def damaged(tmp_path):
    """Two damaged TIFF files, of which libtiff complains: one cannot be opened (LZW), one can (fax);
    and one whose header Pillow warns of"""
    for name, mode, compression in (('broken', 'RGB', 'tiff_lzw'), ('odd', '1', 'group4'),
                                    ('headless', 'RGB', 'tiff_lzw')):
        paint_scene(1, 64).convert(mode).save(tmp_path/f'{name}.tif', compression=compression)
        data = bytearray((tmp_path/f'{name}.tif').read_bytes())
        if name == 'headless': data = data[:len(data)//2]
        else:
            for i in range(len(data)//3, len(data)//3 + 200): data[i] ^= 255
        (tmp_path/f'{name}.tif').write_bytes(data)
    return tmp_path


def run_alone(code, *args, **kwargs):
    return subprocess.run([sys.executable, '-c', code, *map(str, args)], capture_output=True, text=True,
                          env=os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'), **kwargs)


def test_foreign_messages_are_caught_and_named(damaged):
    code = '''import sys
from concurrent.futures import ThreadPoolExecutor
from colorize_lib.photos.pictures import PhotoError, open_photo
def tried(path):
    try: return open_photo(path).size
    except PhotoError as e: return str(e)
with ThreadPoolExecutor(4) as pool: print(*pool.map(tried, sys.argv[1:]*20), sep='\\n')
'''
    names = [damaged/f'{o}.tif' for o in ('broken', 'odd', 'headless')]
    done = run_alone(code, *names)
    broken, odd, headless = done.stdout.splitlines()[:3]
    assert broken.startswith(str(names[0]))
    assert 'decoder error' in broken
    assert 'Using code not yet in table' in broken      # libtiff's words, from file descriptor 2
    assert odd == '(64, 64)'
    assert headless == f'{names[2]}: not a picture [Corrupt EXIF data.  Expecting to read 2 bytes but only got 0.]'
    said, = done.stderr.splitlines()                     # one warning, though it was opened twenty times
    assert f'PhotoWarning: {names[1]}: opened, but it seems to be damaged [Fax4Decode: Bad code word' in said


def test_other_lines_on_the_terminal_are_passed_on(damaged):
    code = '''import os, sys, warnings
from colorize_lib.photos import pictures
from PIL import TiffImagePlugin
load = TiffImagePlugin.TiffImageFile.load
def chatty(self):
    os.write(2, b'epoch 3 of 10\\n')
    return load(self)
TiffImagePlugin.TiffImageFile.load = chatty
show = warnings.showwarning
pictures.open_photo(sys.argv[1])
assert warnings.showwarning is show
warnings.warn('mine', stacklevel=1)
'''
    lines = run_alone(code, damaged/'odd.tif').stderr.splitlines()
    assert 'epoch 3 of 10' in lines
    assert any(line.endswith('UserWarning: mine') for line in lines)
    assert sum('Fax4Decode' in line for line in lines) == 1


def test_a_service_without_a_terminal_opens_photos_too(damaged):
    code = "import sys; from colorize_lib.photos.pictures import open_photo; print(open_photo(sys.argv[1]).size)"
    command = ['sh', '-c', '"$@" 2>&-', 'sh', sys.executable, '-c', code, damaged/'odd.tif']
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                          env=os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'))
    assert done.stdout == '(64, 64)\n'


def test_a_warning_of_pillow_does_not_reach_other_threads(damaged):
    with pytest.warns(PhotoWarning, match='odd.tif: opened, but'): open_photo(Image.open(damaged/'odd.tif'))
    with pytest.raises(PhotoError) as e: open_photo(damaged/'broken.tif')
    assert e.value.reason.endswith('[tempfile.tif: Using code not yet in table]')
