"The photo cache: decoded once, whole or not there, made anew when photos change."
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from colorize_lib.photos.cache import CacheError, Photos, cache_folder
from colorize_lib.data import load_split
from colorize_lib.lab import colorize_dls
from colorize_lib.photos.pictures import photo_files, printable
from colorize_lib.photos.samples import paint_scene
from conftest import ROOT


@pytest.fixture
def decoded(monkeypatch):
    "How many photos were decoded"
    seen, decode = [], __import__('colorize_lib.photos.cache', fromlist=['_decode'])._decode
    monkeypatch.setattr('colorize_lib.photos.cache._decode', lambda item, side: seen.append(item) or decode(item, side))
    return seen


def test_second_time_decodes_nothing_and_gives_the_same(photo_folder, tmp_path, decoded):
    a = load_split(photo_folder, 32, cache=tmp_path/'c')
    n = len(decoded)
    b = load_split(photo_folder, 32, cache=tmp_path/'c')
    c = load_split(photo_folder, 32, cache=False)
    assert n == 6
    assert len(decoded) == 12
    for x, y, z in zip(a, b, c):
        assert x.names == y.names == z.names
        assert x.left_out == y.left_out == z.left_out
        assert (x.array == y.array).all()
        assert (x.array == z.array).all()
        assert isinstance(y.array, np.memmap)
        assert not isinstance(z.array, np.memmap)


@pytest.mark.parametrize('change', ['touch', 'add', 'replace', 'size', 'seed', 'zoom'])
def test_changes_make_it_anew(photo_folder, tmp_path, decoded, change):
    kw = dict(size=32, seed=1, zoom=1.25)
    load_split(photo_folder, cache=tmp_path/'c', **kw)
    n, one = len(decoded), photo_files(photo_folder)[0]
    if change == 'touch': os.utime(one, (1, 1))
    if change == 'add': paint_scene(99, 64).save(photo_folder/'new.png')
    if change == 'replace': paint_scene(98, 80).save(one)
    if change in kw: kw[change] *= 2
    load_split(photo_folder, cache=tmp_path/'c', **kw)
    assert len(decoded) > n
    # the old one is gone
    if change in ('touch', 'replace'): assert len([p for p in (tmp_path/'c').iterdir() if p.is_dir()]) == 1


def test_a_damaged_cache_is_made_anew(photo_folder, tmp_path):
    good = load_split(photo_folder, 32, cache=tmp_path/'c')[0].array.copy()
    for spoil in (lambda p: (p/'train.rgb').write_bytes(b'x'),
                  lambda p: (p/'index.json').write_text('{'), lambda p: (p/'index.json').unlink(),
                  lambda p: (p/'valid.rgb').unlink()):
        spoil(next(p for p in (tmp_path/'c').iterdir() if p.is_dir()))
        assert (load_split(photo_folder, 32, cache=tmp_path/'c')[0].array == good).all()


def test_killed_while_building_leaves_no_half_cache(photo_folder, tmp_path, monkeypatch):
    def stop(*_): raise KeyboardInterrupt
    with monkeypatch.context() as m:
        m.setattr('colorize_lib.photos.cache.json.dump', stop)
        with pytest.raises(KeyboardInterrupt): load_split(photo_folder, 32, cache=tmp_path/'c')
    assert not [p for p in (tmp_path/'c').iterdir() if p.is_dir()]
    assert len(load_split(photo_folder, 32, cache=tmp_path/'c')[0]) == 5 # nothing stands in the way of the next try


def test_two_processes_build_one_cache(photo_folder, tmp_path):
    code = ("import sys; from colorize_lib.data import load_split; "
            "t, v = load_split(sys.argv[1], 32, cache=sys.argv[2]); print(len(t), len(v), int(t.array.sum()))")
    env = os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    runs = [subprocess.Popen([sys.executable, '-c', code, photo_folder, tmp_path/'c'],
                             stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    out = [p.communicate()[0].splitlines()[-1].split('\r')[-1].split()[-3:] for p in runs]
    assert out[0] == out[1]
    assert out[0][:2] == ['5', '1']
    assert all(p.returncode == 0 for p in runs)


def test_full_disk_is_refused_with_the_cure(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr('colorize_lib.photos.cache.shutil.disk_usage', lambda _: type('o', (), dict(free=1000)))
    cure = '0 MB are free; name another folder with cache=..., or keep them in memory with cache=False'
    with pytest.raises(CacheError, match=cure):
        colorize_dls(photo_folder, 32, cache=tmp_path/'c')
    assert not [p for p in (tmp_path/'c').iterdir() if p.is_dir()]


def test_disk_that_fills_up_while_writing(photo_folder, tmp_path, monkeypatch):
    def full(*_, **__): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(Photos, 'load', full)
    with pytest.raises(CacheError, match='cannot be kept there .No space left on device.'):
        load_split(photo_folder, 32, cache=tmp_path/'c')
    assert not [p for p in (tmp_path/'c').iterdir() if p.is_dir()]


def test_unwritable_folder(photo_folder, tmp_path):
    (tmp_path/'file').write_text('')
    with pytest.raises(CacheError, match='cache=False'): load_split(photo_folder, 32, cache=tmp_path/'file'/'deep')


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv('COLORIZE_CACHE', str(tmp_path/'mine'))
    assert cache_folder() == tmp_path/'mine'
    monkeypatch.delenv('COLORIZE_CACHE')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cache_folder() == tmp_path/'colorize_lib'


def test_big_jpegs_are_decoded_small(tmp_path, monkeypatch):
    Image.effect_noise((2400, 1800), 60).convert('RGB').save(tmp_path/'big.jpg')
    asked = []
    monkeypatch.setattr('PIL.JpegImagePlugin.JpegImageFile.draft', lambda self, mode, size: asked.append(size))
    Photos.load([tmp_path/'big.jpg'], 64)
    assert asked
    assert max(asked[0]) < 600


def test_pictures_are_the_same_only_if_their_palettes_are():
    index = np.arange(48*48, dtype=np.uint8).reshape(48, 48)
    def picture(seed):
        img = Image.fromarray(index).convert('P')
        img.putpalette(np.random.default_rng(seed).integers(0, 256, 768, dtype=np.uint8).tobytes())
        return img
    train, valid = load_split([picture(o) for o in (1, 2, 3, 3)], 32, n_train=2, n_valid=1)
    assert len(train) + len(valid) == 3
    assert [*train.left_out.values()][0].startswith('same picture')


@pytest.mark.skipif(sys.platform != 'linux', reason='names of any bytes are a thing of Linux')
def test_names_that_are_no_text_can_be_told(photo_folder, tmp_path):
    files = photo_files(photo_folder)
    odd = tmp_path/os.fsdecode(b'caf\xe9.png')
    odd.write_bytes(b'no picture')
    load_split([*files, odd], 32, n_valid=1, cache=False)
    assert printable(str(odd)).endswith('caf\\xe9.png')


def test_missing_file_among_many(photo_folder, tmp_path):
    train, valid = load_split([*photo_files(photo_folder), photo_folder/'gone.jpg'], 32, cache=tmp_path/'c')
    assert train.left_out == {str(photo_folder/'gone.jpg'): 'no such file'}
    assert len(train) + len(valid) == 6
