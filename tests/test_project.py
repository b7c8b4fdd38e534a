"The repository agrees with itself: layout, notebooks, modules, metadata, README."
import ast
import filecmp
import importlib
import json
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from conftest import ROOT

CHAPTERS = 'data lab unet patchgan losses training results'.split()
PARTS = 'apply engine exercises experiments networks photos sketch solutions tutorials widgets'.split()
NOTEBOOKS = sorted(ROOT.glob('nbs/**/*.ipynb'))
CELLS = {p: json.loads(p.read_text(encoding='utf-8'))['cells'] for p in NOTEBOOKS}
CODE = {p: [c for c in cells if c['cell_type'] == 'code'] for p, cells in CELLS.items()}
MODULES = {'.'.join(p.relative_to(ROOT/'colorize_lib').with_suffix('').parts): p
           for p in sorted((ROOT/'colorize_lib').rglob('*.py'))
           if not p.name.startswith('_') and p.name != 'all.py'}
by_name = pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.relative_to(ROOT/'nbs').with_suffix('').as_posix())


def source(cell): return ''.join(cell['source'])


def exported_to(path):
    "The module that a notebook exports to, or None"
    return next((m[1] for c in CODE[path] if (m := re.match(r'#\| default_exp (\S+)$', source(c)))), None)


# ---- the layout

def test_chapters_come_first_and_parts_are_folders():
    files = sorted(p.name for p in (ROOT/'nbs').glob('*.ipynb'))
    assert [f[:2] for f in files] == ['01', '02', '03', '04', '05', '06', '07', 'in']
    assert [exported_to(ROOT/'nbs'/f) for f in files] == [*CHAPTERS, None]
    assert sorted({p.parent.name for p in NOTEBOOKS} - {'nbs'}) == PARTS
    assert {m.split('.')[0] for m in MODULES} == {*CHAPTERS, *PARTS} - {'solutions', 'tutorials'}


@pytest.mark.parametrize('part', PARTS)
def test_numbers_of_a_part_are_1_2_3(part):
    numbers = [int(p.name[:2]) for p in NOTEBOOKS if p.parent.name == part]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_notebook_and_its_module_have_one_name():
    for path in NOTEBOOKS:
        if (module := exported_to(path)) is None: continue
        folder, name = path.parent.relative_to(ROOT/'nbs').as_posix(), path.stem[3:]
        assert module == {'lab_space': 'lab'}.get(name, name) if folder == '.' else module == f'{folder}.{name}', path


def test_the_site_has_the_order_of_the_files(tmp_path):
    from nbdev.quarto import _sort
    names = [(p.parent, p.name) for p in NOTEBOOKS]
    expected = [p.relative_to(ROOT/'nbs').as_posix()
                for p in sorted(NOTEBOOKS, key=lambda p: (p.parent, p.name != 'index.ipynb', p.name))]
    assert [(folder/name).relative_to(ROOT/'nbs').as_posix() for folder, name in sorted(names, key=_sort)] == expected
    index = '\n'.join(source(c) for c in CELLS[ROOT/'nbs/index.ipynb'] if c['cell_type'] == 'markdown')
    listed = re.findall(r'^\| \[[^\]]+\]\(([\w/]+\.ipynb)\)', index, re.M)
    assert listed == expected[1:]


# ---- imports

def imports(module):
    "Modules of this library that a module imports, anywhere in it"
    path, found = MODULES[module], set()
    package = ['colorize_lib', *module.split('.')[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            name = '.'.join([*base, *([node.module] if node.module else [])])
            found |= {name, *(f'{name}.{o.name}' for o in node.names)}
        elif isinstance(node, ast.Import): found |= {o.name for o in node.names}
    return {o.removeprefix('colorize_lib.') for o in found if o.startswith('colorize_lib.')} & {*MODULES}


IMPORTS = {m: imports(m) for m in MODULES}


def reached(module):
    "What a module imports, and what that imports, and so on"
    out, todo = set(), [module]
    while todo:
        new = IMPORTS[todo.pop()] - out
        out |= new
        todo += new
    return out


def test_imports_have_no_circle():
    list(TopologicalSorter(IMPORTS).static_order()) # raises a CycleError that names the circle
    assert 'training' in IMPORTS['experiments.demo']
    assert 'data' in IMPORTS['lab']
    assert 'exercises.checker' in IMPORTS['exercises.lab'] # the parser does find imports


@pytest.mark.parametrize('chapter', CHAPTERS)
def test_a_chapter_builds_on_chapters_before_it_photos_and_engine(chapter):
    below = reached(chapter)
    assert {o for o in below if '.' not in o} <= {*CHAPTERS[:CHAPTERS.index(chapter)]}
    assert {o.split('.')[0] for o in below if '.' in o} <= {'photos', 'engine'}


def test_parts_import_only_downwards():
    may = dict(photos={'photos', 'engine'}, engine={'engine', 'photos', 'networks'}, networks={'networks', 'engine'},
               sketch={'sketch', 'engine', 'photos'}, apply={'apply', 'engine', 'networks', 'photos', 'sketch'},
               widgets={'widgets', 'apply', 'engine', 'photos', 'sketch'},
               experiments={'experiments', 'apply', 'engine', 'networks', 'photos', 'sketch', 'widgets'})
    for module in MODULES:
        part = module.split('.')[0]
        if part in may: assert {o.split('.')[0] for o in IMPORTS[module] if '.' in o} <= may[part], module
    for module, found in IMPORTS.items():
        if not module.startswith('exercises.'): assert not [o for o in found if o.startswith('exercises.')], module


def test_nothing_private_crosses_a_module():
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom) and (node.level or (node.module or '').startswith('colorize_lib')):
                private = [o.name for o in node.names if o.name.startswith('_') and not o.name.startswith('__')]
                assert not private, (module, private)


# ---- notebooks and modules

@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "The project as `nbdev-export` and `nbdev-clean` would leave it"
    there = tmp_path_factory.mktemp('project')/'colorize_lib'
    shutil.copytree(ROOT, there,
                    ignore=shutil.ignore_patterns('.venv', '.git', '*.egg-info', 'demo_out', '__pycache__'))
    for module in MODULES.values(): (there/module.relative_to(ROOT)).unlink()
    for command in ('nbdev-export', 'nbdev-clean'):
        subprocess.run([Path(sys.executable).with_name(command)], cwd=there, check=True, capture_output=True)
    return there


def test_modules_are_what_the_notebooks_export(copy):
    names = sorted(p.relative_to(copy).as_posix() for p in (copy/'colorize_lib').rglob('*.py'))
    assert names == sorted(p.relative_to(ROOT).as_posix() for p in (ROOT/'colorize_lib').rglob('*.py'))
    _, differ, errors = filecmp.cmpfiles(copy, ROOT, names, shallow=False)
    assert not differ, 'run make export'
    assert not errors, 'run make export'


def test_lines_of_modules_have_at_most_120_characters():
    for path in MODULES.values():
        lines = re.sub(r'^__all__ = \[.*?\]$', '', path.read_text(encoding='utf-8'), flags=re.M | re.S).splitlines()
        assert not [line for line in lines if len(line) > 120], path


def test_notebooks_are_clean(copy):
    changed = [p.name for p in NOTEBOOKS if p.read_bytes() != (copy/p.relative_to(ROOT)).read_bytes()]
    assert not changed, 'run make export'


@by_name
def test_outputs_are_committed_without_errors(path):
    outputs = [o for c in CODE[path] for o in c['outputs']]
    assert outputs
    assert path.stat().st_size < 500_000
    assert not [o for o in outputs if o['output_type'] == 'error' or o.get('name') == 'stderr']


@by_name
def test_links_of_a_notebook_lead_somewhere(path):
    for cell in CELLS[path]:
        if cell['cell_type'] != 'markdown': continue
        for link in re.findall(r'\]\((?!https?:|#|attachment)([^)#\s]+)', source(cell)):
            assert (path.parent/link).exists(), link


@by_name
def test_badges_and_install_line_follow_from_pyproject(path):
    sys.path.insert(0, str(ROOT/'tools'))
    from badges import rewritten
    from nbdev.config import get_config
    url = get_config(ROOT).git_url
    sources, name = [source(c) for c in CELLS[path]], path.relative_to(ROOT).as_posix()
    assert sources == rewritten(sources, url, name), 'run make badges'


def test_no_badge_while_the_address_is_a_placeholder():
    from badges import rewritten
    first = ['# Title\n\n> what', 'You will learn.']
    assert rewritten(first, 'https://github.com/OWNER/colorize_lib', 'nbs/index.ipynb') == first
    with_badges = rewritten(first, 'https://github.com/someone/colorize_lib', 'nbs/index.ipynb')
    assert 'colab.research.google.com/github/someone/colorize_lib/blob/main/nbs/index.ipynb' in with_badges[0]
    assert rewritten(with_badges, 'https://github.com/OWNER/colorize_lib', 'nbs/index.ipynb') == first


def page_on_the_site():
    "Where the docs workflow puts web/"
    sys.path.insert(0, str(ROOT/'tools'))
    from badges import site
    from nbdev.config import get_config
    return site(get_config(ROOT).git_url) + '/web/'


def test_the_first_thing_on_the_site_is_the_page_that_colours_photos():
    texts = [source(c) for c in CELLS[ROOT/'nbs/index.ipynb'] if c['cell_type'] == 'markdown'][1:]
    links = [link for text in texts for link in re.findall(r'\]\(([^)\s]+)\)', text)]
    assert links[0] == page_on_the_site()
    assert [path.name for path in NOTEBOOKS if any('web/README.md' in source(c) for c in CELLS[path])] == [] # not there
    assert f'({page_on_the_site()})' in README
    docs = (ROOT/'.github/workflows/docs.yaml').read_text()
    assert docs.index('tools/badges.py') < docs.index('nbdev-docs') < docs.index('cp -r web _docs/web')


def test_links_to_the_page_follow_the_projects_address():
    from badges import rewritten
    ours, theirs = [f'[A page](https://{o}.github.io/colorize_lib/web/)' for o in ('OWNER', 'some-one')]
    assert theirs in rewritten([ours], 'https://github.com/some-one/colorize_lib', 'a')[0]
    assert rewritten([theirs], 'https://github.com/OWNER/colorize_lib', 'a') == [ours]


# ---- every exported thing is seen running near its definition

# shown finished before it is built: it cannot run before all of its methods are there
SEEN_ELSEWHERE = {'ColorizeApp'}


def defined(code):
    "Public names that a cell defines, a set for each statement; what `@patch` adds to a class is not among them"
    for node in ast.parse(code).body:
        targets = getattr(node, 'targets', [])
        names = {o.id for t in targets for o in getattr(t, 'elts', [t]) if isinstance(o, ast.Name)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if not any(re.match(r'patch\b', ast.unparse(o)) for o in node.decorator_list): names = {node.name}
        if names := {o for o in names if not o.startswith('_')}: yield names


def unseen(cells):
    "Names that are exported by one of these sources, and not in the next three that export nothing"
    for i, code in enumerate(cells):
        if not code.startswith('#| export'): continue
        shown = [o for o in cells[i + 1:] if not o.startswith('#| export')][:3]
        words = {*re.findall(r'\w+', '\n'.join(shown))}
        yield from (min(names) for names in defined(code) if not names & (words | SEEN_ELSEWHERE))


def test_what_is_not_shown_is_found():
    cells = ['#| export\nscale, _hidden = 2, 3\ndef double(x): return scale*x', '#| export\nclass Other: pass']
    assert [*unseen([*cells, 'Other()', 'scale', 'double(1)'])] == []
    assert [*unseen([*cells, 'Other()', 'double(1)', '1', 'scale'])] == ['scale']
    assert [*unseen([*cells, 'doubled = 2'])] == ['scale', 'double', 'Other']
    assert [*unseen(['#| export\n@patch\ndef more(self:Other): pass'])] == []


@by_name
def test_what_is_exported_is_shown_within_three_cells(path):
    assert not [*unseen([source(c) for c in CODE[path]])], 'show it running in a cell behind its definition'


def test_metadata_has_one_home():
    from importlib.metadata import metadata, requires
    cfg = ConfigParser(delimiters=['='], interpolation=None)
    cfg.read(ROOT/'settings.ini')
    meta, settings = metadata('colorize_lib'), cfg['DEFAULT']
    assert meta['Summary'] == settings['description']
    assert meta['Author'] == settings['author']
    assert meta['Requires-Python'] == f">={settings['min_python']}"
    assert meta['Version'] == importlib.import_module('colorize_lib').__version__
    runtime = {re.split('[<>=]', r)[0] for r in requires('colorize_lib') if 'extra' not in r}
    assert runtime == {'torch', 'torchvision', 'fastai', 'fastcore', 'filelock', 'matplotlib',
                       'numpy', 'pillow', 'scikit-image', 'scipy', 'ipywidgets', 'anywidget', 'safetensors'}
    assert not re.search(r'(torch|fastai)[^ ]*==', settings['requirements'])


def test_everything_a_user_types_is_in_all():
    names = {}
    exec('from colorize_lib.all import *', names)
    typed = '''rgb_to_lab lab_to_rgb normalize_lab denormalize_lab photo_files sample_photos coco_sample colorize_dls
               Unet resnet_unet PatchGAN GANLoss L1 colorize_learner PatchGANTrainer pix2pix_step loss_table
               plot_losses photo_metrics evaluate comparison_table gallery paper resnet18 Colorizer save_weights
               Checkpoints LiteUnet compiled ColorizeApp SketchPad LabExplorer LossExplorer TrainingMonitor held_memory
               Sketch to_sketch draw_house Pix2PixUnet bootstrap lpips fid compare load_comparison BinClassifier
               Classification loss_results plot_step color_video Film FilmError Steady warp_error cdc
               known_pan'''.split()
    assert not {*typed} - {*names}


# ---- README

README = (ROOT/'README.md').read_text(encoding='utf-8')


def test_readme_lists_the_chapters_in_order_and_all_parts():
    chapters = [p.stem for p in NOTEBOOKS if p.parent.name == 'nbs' and p.stem != 'index']
    assert re.findall(r'^\d\. \[[^\]]+\]\(nbs/(\d\d_\w+)\.ipynb\)', README, re.M) == chapters
    assert re.findall(r'^\| \[`?(\w+)/?`?\]\(nbs/\1\) \|', README, re.M) == PARTS


def test_readme_names_the_commands_that_exist():
    make = (ROOT/'Makefile').read_text(encoding='utf-8')
    assert '@@' not in README
    for target in set(re.findall(r'make (\w+)', README)): assert re.search(rf'^{target}:', make, re.M), target
    ci = (ROOT/'.ci/run').read_text().splitlines()
    assert 'make test' in ci
    assert 'make slow' in ci # what `make test` leaves out


PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('benchmarks/**/*.md')])


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page):
    text = page.read_text(encoding='utf-8')
    for link in re.findall(r'\]\((?!https?:|#)([^)#\s]+)', text): assert (page.parent/link).exists(), link


def test_readme_and_cards_agree():
    models = ROOT/'colorize_lib/models'
    cards = [(models/f'{task}.md').read_text(encoding='utf-8') for task in ('grayscale', 'illustration')]
    numbers = lambda line: re.findall(r'[+-]?\d+\.\d+', line)
    for what in ('| PSNR', '| SSIM'):
        in_cards = {n for card in cards for row in card.splitlines() if row.startswith(what) for n in numbers(row)}
        in_readme = {n for row in README.splitlines() if row.startswith(what) for n in numbers(row)}
        assert in_readme
        assert in_readme <= in_cards
