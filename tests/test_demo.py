"The demo learns what can be learnt, writes what it says, and fails in one line."
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from colorize_lib.experiments.demo import demo_recipe, main, run_demo, show_default_model
from colorize_lib.engine.metrics import colorfulness
from colorize_lib.photos.pictures import show_grid
from colorize_lib.photos.samples import carried_photos, sample_photos


@pytest.mark.slow # the notebook trains for half as long, and asks for 3 dB
def test_demo_beats_gray_by_6_db_on_held_out_scenes(tmp_path):
    tables = run_demo(sample_photos(240), tmp_path, size=64, only='scene ', seen_l1=3200, seen_gan=640)
    assert tables['metrics'].loc['stage 2: PatchGAN', 'over gray'] >= 6
    assert tables['metrics'].loc['gray (no colour)', 'over gray'] == 0
    assert tables['metrics'].n.iloc[0] > 40
    assert len(pd.read_csv(tmp_path/'losses.csv')) == len(tables['losses']) == 3
    for name in ('gallery.png', 'losses.png'): assert min(Image.open(tmp_path/name).size) > 300


def test_command_on_a_folder(photo_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('colorize_lib.experiments.demo.demo_recipe', lambda n, size: demo_recipe(n, size, 16, 16))
    (photo_folder/'notes.jpg').write_text('text')
    main([str(photo_folder), '-o', str(tmp_path/'out'), '--size', '32'])
    out = capsys.readouterr().out
    assert 'Metrics on held-out photos' in out
    assert 'gray (no colour)' in out
    assert 'loss_G_L1' in out
    assert 'gallery.png' in out
    assert re.search(r'The default models on 6 real photos: '
                     r'[+-]\d+\.\d\d dB over gray, \d+% of the true colorfulness; '
                     r'from drawings [+-]\d+\.\d\d dB over the best single colour of each illustration, \d+%', out)
    assert {p.name for p in (tmp_path/'out').iterdir()} == {
        'default_grayscale.png', 'default_illustration.png', 'default_sketch.png', 'gallery.png',
        'left_out.csv', 'losses.csv', 'losses.png', 'metrics.csv'}
    left_out = pd.read_csv(tmp_path/'out'/'left_out.csv').values.tolist()
    assert left_out == [[str(photo_folder/'notes.jpg'), 'not a picture']]


@pytest.mark.parametrize('task,n_rows', [('grayscale', 5), ('sketch', 4)])
def test_default_models_are_shown(task, n_rows, tmp_path, monkeypatch):
    "Rows of given, coloured, truth, two side by side; the last drawing is one without a photo"
    shown = []
    monkeypatch.setattr('colorize_lib.experiments.demo.show_grid',
                        lambda pictures, titles: shown.append(pictures) or show_grid(pictures, titles))
    assert show_default_model(carried_photos()[:5], tmp_path, task)['photos'] == 5
    given, coloured, truth = [[np.array(o) for o in shown[0][i::3]] for i in range(3)]
    assert len(given) == len(coloured) == len(truth) == n_rows
    assert all(colorfulness(torch.from_numpy(o).permute(2, 0, 1)/255) > 2 for o in coloured)
    assert (truth[-1].min() == 255) == (task == 'sketch') # the house has no true colours
    assert min(Image.open(tmp_path/f'default_{task}.png').size) > 300


def test_budget_is_photos_seen():
    for n in (100, 1000, 2880):
        r = demo_recipe(n, 96)
        assert r.epochs_l1 == min(40, round(12800/n))
        assert r.epochs_gan >= 1
    assert demo_recipe(2, 96).epochs_l1 == 40 # a few photos are not seen thousands of times


@pytest.mark.parametrize('args,text', [
    (['no/such/folder'], 'no/such/folder: no such file or folder'), (['EMPTY'], 'no photos among its 1 files'),
    (['TEXT'], 'can be used'), (['ONE'], 'there are 1'), (['ONE', '--size', '4'], 'size=4')])
def test_errors_are_one_line_and_exit_code_1(args, text, tmp_path, photo_folder):
    for name in ('EMPTY', 'TEXT', 'ONE'): (tmp_path/name).mkdir()
    (tmp_path/'EMPTY'/'a.txt').write_text('x')
    for i in range(3): (tmp_path/'TEXT'/f'{i}.jpg').write_text('x')
    (tmp_path/'ONE'/'s.png').write_bytes((photo_folder/'scene 0.png').read_bytes())
    args = [str(tmp_path/a) if a.isupper() else a for a in args]
    with pytest.raises(SystemExit) as e: main([*args, '-o', str(tmp_path/'out')])
    assert text in str(e.value.code)
    assert str(e.value.code).startswith('colorize-demo: ')
    assert len(str(e.value.code).splitlines()) == 1


@pytest.mark.parametrize('arg,code,text', [('--help', 0, 'folder of photos to train on'),
                                           ('--nonsense', 2, '--nonsense')])
def test_usage(arg, code, text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as e: main([arg])
    assert e.value.code == code
    assert text in ''.join(capsys.readouterr())
    assert not list(tmp_path.iterdir())


def test_exit_code_of_a_real_process(tmp_path):
    code = 'from colorize_lib.experiments.demo import main; main(["nowhere"])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert 'colorize-demo: nowhere: no such file or folder' in done.stderr
    assert 'Traceback' not in done.stderr
    assert not list(tmp_path.iterdir())
