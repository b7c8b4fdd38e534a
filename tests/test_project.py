"The repository agrees with itself: notebooks, modules, metadata, README."
import filecmp
import importlib
import json
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from conftest import ROOT

NOTEBOOKS = sorted(ROOT.glob('nbs/**/*.ipynb'))
CODE = {p: [c for c in json.loads(p.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code'] for p in NOTEBOOKS}
ROOMS = ('pictures samples cache data lab sketch drawings unet pix2pix_unet lite_unet compile patchgan ab_bins losses weights recolor colorizer memory game training checkpoints '
         'distributed metrics results train methods compare model_card demo commands workers shots widgets colorize_app lab_explorer loss_explorer loss_results sketch_pad '
         'monitor verdicts checks_data checks_training checks_use checks_pictures checks_widgets checks_compare exercises').split()
by_name = pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "The project as `nbdev-export` and `nbdev-clean` would leave it"
    there = tmp_path_factory.mktemp('project')/'colorize_lib'
    shutil.copytree(ROOT, there, ignore=shutil.ignore_patterns('.venv', '.git', '*.egg-info', 'demo_out', '__pycache__'))
    for module in there.glob('colorize_lib/*.py'):
        if module.name not in ('__init__.py', 'all.py'): module.unlink()
    for command in ('nbdev-export', 'nbdev-clean'):
        subprocess.run([Path(sys.executable).with_name(command)], cwd=there, check=True, capture_output=True)
    return there


def test_modules_are_what_the_notebooks_export(copy):
    names = sorted(p.name for p in (copy/'colorize_lib').glob('*.py'))
    assert names == sorted(p.name for p in (ROOT/'colorize_lib').glob('*.py'))
    _, differ, errors = filecmp.cmpfiles(copy/'colorize_lib', ROOT/'colorize_lib', names, shallow=False)
    assert not differ and not errors, 'run make export'


def test_notebooks_are_clean(copy):
    changed = [p.name for p in NOTEBOOKS if p.read_bytes() != (copy/p.relative_to(ROOT)).read_bytes()]
    assert not changed, 'run nbdev-clean'


@by_name
def test_notebook_outputs(path):
    outputs = [o for c in CODE[path] for o in c['outputs']]
    assert outputs and path.stat().st_size < 500_000
    assert not [o for o in outputs if o['output_type'] == 'error' or o.get('name') == 'stderr']
    assert [k for o in outputs for k in o.get('data', {}) if 'image/' in k], 'a notebook without a figure'
    assert max(len(''.join(c['source']).splitlines()) for c in CODE[path]) <= 45


@by_name
def test_badges_and_install_line_follow_from_pyproject(path):
    sys.path.insert(0, str(ROOT/'tools'))
    from badges import rewrite
    from nbdev.config import get_config
    nb = json.loads(path.read_text(encoding='utf-8'))
    for cell in nb['cells']:
        source = ''.join(cell['source'])
        assert rewrite(source, get_config(ROOT).git_url, path.relative_to(ROOT).as_posix()) == source, 'run make badges'
    assert any('<!-- badges -->' in ''.join(c['source']) for c in nb['cells'])


def test_metadata_has_one_home():
    from importlib.metadata import metadata, requires
    cfg = ConfigParser(delimiters=['='], interpolation=None)
    cfg.read(ROOT/'settings.ini')
    meta, settings = metadata('colorize_lib'), cfg['DEFAULT']
    assert meta['Summary'] == settings['description'] and meta['Author'] == settings['author']
    assert meta['Requires-Python'] == f">={settings['min_python']}" and meta['Version'] == importlib.import_module('colorize_lib').__version__
    runtime = {re.split('[<>=]', r)[0] for r in requires('colorize_lib') if 'extra' not in r}
    assert runtime == {'torch', 'torchvision', 'fastai', 'fastcore', 'filelock', 'matplotlib', 'numpy', 'pillow', 'scikit-image', 'ipywidgets', 'anywidget', 'safetensors'}
    assert not re.search(r'(torch|fastai)[^ ]*==', settings['requirements'])


def test_everything_a_user_types_is_in_all():
    names = {}
    exec('from colorize_lib.all import *', names)
    for name in '''rgb_to_lab lab_to_rgb normalize_lab denormalize_lab photo_files sample_photos coco_sample colorize_dls Unet resnet_unet PatchGAN GANLoss L1
                   colorize_learner PatchGANTrainer loss_table plot_losses photo_metrics evaluate comparison_table gallery paper resnet18
                   Colorizer save_weights Checkpoints LiteUnet compiled ColorizeApp SketchPad LabExplorer LossExplorer TrainingMonitor
                   Sketch to_sketch draw_house Pix2PixUnet bootstrap lpips fid compare load_comparison BinClassifier Classification loss_results'''.split(): assert name in names, name


def imports(room):
    code = (ROOT/f'colorize_lib/{room}.py').read_text(encoding='utf-8')
    several = re.findall(r'^ *from \. import ([a-z][\w, ]+)', code, re.M)
    return {*re.findall(r'^ *from (?:colorize_lib)?\.(\w+)', code, re.M), *(o.strip() for names in several for o in names.split(','))}


def test_imports_go_only_downwards():
    for i, room in enumerate(ROOMS): assert imports(room) <= set(ROOMS[:i]), (room, imports(room))
    assert 'training' in imports('demo') and 'data' in imports('lab') and 'checks_use' in imports('exercises') # the patterns do find imports
    assert {p.stem for p in (ROOT/'colorize_lib').glob('[a-z]*.py')} == {*ROOMS, 'all'}


def test_readme_has_a_row_for_each_room_and_knows_what_it_imports():
    rows = re.findall(r'^\| \[(\w+)\]\(nbs/\1\.ipynb\) \| `(\w+)\.py` \| [^|]+ \| (.+) \|$', (ROOT/'README.md').read_text(encoding='utf-8'), re.M)
    assert sorted(room for _, room, _ in rows) == sorted(ROOMS)
    within = {} # what a room may import: those that its row names, and what they may import
    for notebook, room, named in rows:
        assert f'#| default_exp {room}\n' in ''.join(''.join(c['source']) + '\n' for c in CODE[ROOT/f'nbs/{notebook}.ipynb'])
        named = set(re.findall(r'\w+', named))
        within[room] = named.union(*(within[o] for o in named)) # a KeyError: the row stands above one that it builds on
        assert imports(room) <= within[room], (room, imports(room) - within[room])


def test_readme_names_the_commands_that_exist():
    readme, make = [(ROOT/f).read_text(encoding='utf-8') for f in ('README.md', 'Makefile')]
    assert '@@' not in readme
    for target in set(re.findall(r'make (\w+)', readme)): assert re.search(rf'^{target}:', make, re.M), target
    assert 'make test' in (ROOT/'.ci/run').read_text()
    for link in re.findall(r'\]\((?!http)([^)#]+)', readme): assert (ROOT/link).exists(), link
    assert len(readme.encode()) < 13_000


def test_readme_and_cards_agree():
    readme, cards = (ROOT/'README.md').read_text(encoding='utf-8'), [(ROOT/f'colorize_lib/models/{task}.md').read_text(encoding='utf-8') for task in ('grayscale', 'sketch')]
    line = lambda text, start: next(line for line in text.splitlines() if line.startswith(start))
    numbers = lambda line: re.findall(r'[+-]?\d+\.\d+', line)
    for what in ('| PSNR', '| SSIM'): assert numbers(line(readme, what)) == [n for card in cards for n in numbers(line(card, what))]
    assert re.findall(r'\d+%', line(readme, '| colourfulness')) == [f'{float(numbers(line(card, "- Colourfulness"))[0]):.0f}%' for card in cards]
    for card in cards: assert f'{re.search("([0-9]+) photos that it was not trained on", card)[1]} photos' in readme


def test_index_lists_all_notebooks():
    index = ''.join(''.join(c['source']) for c in json.loads((ROOT/'nbs/index.ipynb').read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'markdown')
    links = set(re.findall(r'\]\(([\w/]+\.ipynb)\)', index))
    assert links == {p.relative_to(ROOT/'nbs').as_posix() for p in NOTEBOOKS} - {'index.ipynb'}
