"""The one-click notebooks run top to bottom where only the wheel is installed, as on Colab;
and pip never replaces torch."""
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from colorize_lib.engine.metrics import bootstrap, usable
from conftest import ROOT

TUTORIALS = sorted((ROOT/'nbs/tutorials').glob('*.ipynb'))
RUN = '''
import sys, nbformat
from nbclient import NotebookClient
source, target = sys.argv[1:]
nb = nbformat.read(source, 4)
where = "import colorize_lib, torch; print('COLORIZE_LIB', colorize_lib.__file__); print('TORCH', torch.__file__)"
nb.cells.append(nbformat.v4.new_code_cell(where))
try: NotebookClient(nb, timeout=300, kernel_name='python3').execute()
finally: nbformat.write(nb, target)
'''


def cells(path):
    return [(''.join(c['source']), c) for c in json.loads(path.read_text(encoding='utf-8'))['cells']
            if c['cell_type'] == 'code']


def bare_python(folder):
    """A Python that has what this one has installed, as an image of Colab has, but no colorize_lib;
    `(its python, its site-packages)`"""
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', folder], check=True)
    site = next((folder/'lib').glob('python*'))/'site-packages'
    # without the .pth files in there: no editable install
    (site/'image.pth').write_text('\n'.join({sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}))
    return folder/'bin/python', site


def environment(tmp_path, **more):
    keep = {k: v for k, v in os.environ.items() if not k.startswith(('PYTHONPATH', 'COLORIZE_', 'PIP_'))}
    # nothing of this machine's own settings
    pip = dict(PIP_NO_INDEX='1', PIP_NO_CACHE_DIR='1', PIP_CONFIG_FILE=os.devnull)
    return keep | pip | dict(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', COLORIZE_CACHE=str(tmp_path/'cache'),
                             IPYTHONDIR=str(tmp_path/'ipython')) | more


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    there = tmp_path_factory.mktemp('source')/'colorize_lib'
    shutil.copytree(ROOT, there,
                    ignore=shutil.ignore_patterns('.*', 'nbs', 'tests', 'assets', 'build', 'dist',
                                                  '*.egg-info', '__pycache__', 'demo_out', 'shared'))
    isolation = ['--no-build-isolation'] if int(version('setuptools').split('.')[0]) >= 77 else []
    subprocess.run([sys.executable, '-W', 'ignore', '-m', 'pip', 'wheel', '-q',
                    '--no-deps', *isolation, '-w', there.parent, there], check=True)
    return next(there.parent.glob('*.whl'))


def test_the_wheel_holds_all_parts_with_their_models_and_scripts(wheel):
    with zipfile.ZipFile(wheel) as z: found = {name for name in z.namelist() if '.dist-info/' not in name}
    files = [p for p in (ROOT/'colorize_lib').rglob('*') if p.is_file() and '__pycache__' not in p.parts]
    assert found == {p.relative_to(ROOT).as_posix() for p in files}
    for needed in ('networks/lite_unet.py', 'models/grayscale.safetensors', 'widgets/static/pad.js'):
        assert f'colorize_lib/{needed}' in found


@pytest.fixture(scope='module')
def colab(wheel, tmp_path_factory):
    python, site = bare_python(tmp_path_factory.mktemp('colab'))
    zipfile.ZipFile(wheel).extractall(site)
    return python, site


def shortened(path, target, last, replace=('', '')):
    "A notebook up to the cell with the words `last`, with something replaced in its code"
    nb = json.loads(path.read_text(encoding='utf-8'))
    end = next(i for i, c in enumerate(nb['cells']) if last in ''.join(c['source']))
    nb['cells'] = [c | dict(source=''.join(c['source']).replace(*replace)) for c in nb['cells'][:end + 1]]
    target.write_text(json.dumps(nb))
    return target


def run(python, notebook, tmp_path, **env):
    "Run a notebook in `tmp_path`; its text output"
    target = tmp_path/'outputs.ipynb'
    done = subprocess.run([python, '-c', RUN, notebook, target], cwd=tmp_path,
                          env=environment(tmp_path, **env), capture_output=True, text=True)
    outputs = [o for _, c in cells(target) for o in c['outputs']]
    return done, ''.join(''.join(o.get('text', '')) for o in outputs), outputs


@pytest.fixture(scope='module')
def finished(colab, tmp_path_factory):
    "Runs a tutorial, once: `(folder, text, outputs)`"
    runs = {}
    def get(stem):
        if stem not in runs:
            folder = tmp_path_factory.mktemp(stem)
            done, text, outputs = run(colab[0], shutil.copy(ROOT/f'nbs/tutorials/{stem}.ipynb', folder),
                                      folder, COLORIZE_SMALL='1')
            assert done.returncode == 0, done.stderr[-3000:]
            runs[stem] = folder, text, outputs
        return runs[stem]
    return get


# the first, which is the shortest, runs always, the others with the slow tests
@pytest.mark.parametrize('stem', [pytest.param(p.stem, marks=[pytest.mark.slow] if 'quickstart' not in p.stem else [])
                                  for p in TUTORIALS])
def test_tutorial_runs_from_the_wheel_alone(stem, finished, colab):
    _, text, outputs = finished(stem)
    assert f'COLORIZE_LIB {colab[1]}/colorize_lib/__init__.py' in text
    assert str(ROOT) not in text.partition('TORCH')[0]
    assert 'SMALL RUN' in text
    assert 'Downloading' not in text
    assert not [o for o in outputs if o.get('name') == 'stderr' and 'Warning' in ''.join(o['text'])]
    assert len([o for o in outputs if 'image/jpeg' in o.get('data', {})]) >= 2


def train_on_coco(colab, folder, replace=('', '')):
    "The notebook as far as the training"
    done, text, _ = run(colab[0],
                        shortened(ROOT/'nbs/tutorials/03_train_on_coco.ipynb', folder/'train.ipynb',
                                  'def train():', replace), folder, COLORIZE_SMALL='1')
    assert done.returncode == 0, done.stderr[-3000:]
    return text


@pytest.mark.slow # test_train.py cuts a plan off and resumes it
def test_a_run_that_was_cut_off_ends_in_the_same_bits(finished, colab):
    folder, first, _ = finished('03_train_on_coco')
    weights, plan = folder/'coco_run/generator.safetensors', (folder/'coco_run/plan.json').read_bytes()
    # of the weights; the header's own order is left to chance
    checksum = lambda: safe_open(weights, 'pt').metadata()['sha256']
    expected = checksum()
    weights.unlink()
    max((folder/'coco_run/checkpoints').glob('fit*')).unlink() # as if it had ended before its last epoch
    second = train_on_coco(colab, folder)
    assert 'photos a second' in first
    assert 'photos a second' not in second
    assert 'going on in epoch 3' in second
    assert checksum() == expected
    assert (folder/'coco_run/plan.json').read_bytes() == plan


@pytest.mark.slow # the notebook engine/09_distributed trains with two processes
def test_two_gpus_are_two_processes(colab, tmp_path):
    "Two processes on the CPU stand for two GPUs: the same launcher, the same code"
    text = train_on_coco(colab, tmp_path, ('torch.cuda.device_count()', '2'))
    assert 'Launching training on 2' in text
    assert (tmp_path/'coco_run/generator.safetensors').exists()
    assert json.loads((tmp_path/'coco_run/plan.json').read_text())['bs'] == 8
    assert len((tmp_path/'coco_run/history.jsonl').read_text().splitlines()) == 6 # of one process, not of both


@pytest.mark.slow
def test_every_result_of_the_reproduction_says_which_run_it_is_from(finished):
    _, text, outputs = finished('04_reproduce_the_paper')
    shown = [''.join(data.get('text/html', data.get('text/markdown'))) for o in outputs
             if {'text/html', 'text/markdown'} & {*(data := o.get('data', {}))}]
    results = [o for o in shown if 'ours, ' in o or ' less ' in o or '| training |' in o]
    # Table 1; pairs of methods; claims; validation of photos and sketches; groups
    assert len(results) == 1 + 4 + 1 + 2 + 4
    assert all('small run: 48 px, 67 photos, ' in o for o in results)
    assert 'full run' not in text + ''.join(shown)


def rows_of(html):
    "The cells of a table, row by row"
    cell = lambda row: [re.sub('<.*?>', '', o).strip() for o in re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', row, re.S)]
    return [cell(row) for row in re.findall(r'<tr.*?</tr>', html, re.S)]


@pytest.mark.slow
def test_reproduction_has_the_papers_table_beside_ours_and_a_conclusion_for_each_claim(finished):
    tables = [''.join(o['data']['text/html']) for o in finished('04_reproduce_the_paper')[2]
              if 'text/html' in o.get('data', {})]
    table, = [rows_of(o) for o in tables if 'loss_D_fake' in o and 'ours, ' in o]
    paper, ours, gray = (next(row[1:] for row in table if row[0].startswith(o))
                         for o in ('the paper', 'ours', 'no colour'))
    assert paper == ['0.548', '0.544', '0.551', '1.165', '6.582', '7.748']
    fake, real, both, gan, l1, loss = map(float, ours)
    assert both == pytest.approx((fake + real)/2, abs=.002)
    assert loss == pytest.approx(gan + l1, abs=.002)
    assert float(gray[4]) > 0
    assert not any(gray[:4] + gray[5:])
    claims, = [rows_of(o)[2:] for o in tables if '<th>conclusion</th>' in o]
    assert {row[0] for row in claims} == {'1', '2', '3', '4.2', '4.3', '5.2', '6'}
    assert all(re.fullmatch('holds|does not hold|cannot be decided .*', row[3]) for row in claims)
    # loss_D is 0.005 away from the mean of its parts
    assert [row[3] for row in claims if 'printed' in row[2]] == ['does not hold', 'holds']


def test_a_claim_is_decided_by_the_difference_on_the_same_photos(tmp_path):
    sources = [s for s, _ in cells(ROOT/'nbs/tutorials/04_reproduce_the_paper.ipynb')]
    source = '\n'.join(s for s in sources if 'def difference(' in s or 'def conclusion(' in s)
    names = dict(json=json, pd=pd, usable=usable, bootstrap=bootstrap,
                 run=tmp_path, methods={'a', 'b', 'noisy', 'diverged'})
    exec(source, names)
    psnr = np.linspace(15, 30, 40) # the photos differ by far more than the methods do
    for name, more in dict(a=.2, b=0, noisy=np.tile([-.5, .5], 20)).items():
        (tmp_path/'ablations'/name).mkdir(parents=True)
        pd.DataFrame(dict(psnr=psnr + more, psnr_gray=psnr - 1, colorfulness=20.,
                          colorfulness_true=30.)).to_csv(tmp_path/'ablations'/name/'photos.csv')
    difference, conclusion = lambda *o: names['difference'](*o, 'ablations'), names['conclusion']
    assert difference('a', 'b', 'psnr') == pytest.approx((.2, .2, .2))
    assert difference('a', 'gray', 'psnr') == pytest.approx((1.2, 1.2, 1.2))
    assert difference('true', 'a', 'colorfulness') == pytest.approx((10, 10, 10))
    found = [conclusion(difference(*o, 'psnr')) for o in (('a', 'b'), ('b', 'a'), ('noisy', 'b'))]
    assert found == ['holds', 'does not hold', 'cannot be decided at this size']
    assert difference('a', 'diverged', 'psnr') is None
    assert conclusion(None) == 'not trained'
    for name, end in dict(a=20.1, b=20.5).items():
        (tmp_path/'ablations'/name/'result.json').write_text(
            json.dumps(dict(points=[dict(psnr=o, colorfulness=.9) for o in (3, 20, 20, end)])))
    assert names['swing'](('a', 'b'), 'psnr', 'ablations') == pytest.approx(.5)
    # less than the training itself moved
    assert names['compared']('a', 'b', 'psnr', 'ablations') == ('+0.2 (+0.2 to +0.2), swing 0.5',
                                                                'cannot be decided at this size')
    assert conclusion((.6, .5, .7), .5) == 'holds'
    assert conclusion((-.6, -.7, -.5), .5) == 'does not hold'


def test_what_tutorials_ask_of_kaggle_and_colab():
    assert [p.stem for p in TUTORIALS] == ['01_quickstart', '02_train_on_your_photos',
                                           '03_train_on_coco', '04_reproduce_the_paper',
                                           '05_draw_a_flower']
    for path in TUTORIALS:
        meta = json.loads(path.read_text(encoding='utf-8'))['metadata']
        assert meta['kaggle']['isInternetEnabled']
        assert meta['kaggle']['isGpuEnabled']
        assert meta['kaggle']['accelerator'] == 'nvidiaTeslaT4'
        assert meta['accelerator'] == 'GPU'


def test_every_download_is_announced():
    for path in TUTORIALS:
        for source, _ in cells(path):
            if '%pip' in source:
                assert 'Downloading' in source.partition('%pip')[0], path
                assert ' MB' in source.partition('%pip')[0], path
            if 'coco_sample()' in source:
                assert '21_837' in source
                assert 'disk_usage' in source


def install_cell(wheel, tmp_path):
    "A notebook that is a tutorial's first cell, taking the library from `wheel`"
    source, _ = cells(TUTORIALS[0])[0]
    url = source.partition('colorize_lib @ ')[2].partition('"')[0]
    assert url.startswith('git+https://')
    assert 'find_spec' in source
    notebook = dict(nbformat=4, nbformat_minor=5, metadata={},
                    cells=[dict(id='a', cell_type='code', metadata={}, outputs=[], execution_count=None,
                                                                          source=source.replace(url, wheel.as_uri()))])
    (path := tmp_path/'install.ipynb').write_text(json.dumps(notebook))
    return path


def test_first_cell_installs_only_what_is_missing(wheel, tmp_path):
    python, site = bare_python(tmp_path/'venv')
    done, text, _ = run(python, install_cell(wheel, tmp_path), tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'Downloading colorize_lib' in text
    assert f'COLORIZE_LIB {site}' in text
    assert f'TORCH {site}' not in text
    assert {p.name for p in site.iterdir() if p.is_dir()} == {'colorize_lib',
                                                              f'colorize_lib-{version("colorize_lib")}.dist-info'}


def fake_wheel(folder, name, ver, requires=''):
    path = folder/f'{name}-{ver}-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as z:
        z.writestr(f'{name}/__init__.py', f'__version__ = {ver!r}')
        z.writestr(f'{name}-{ver}.dist-info/METADATA',
                   f'Metadata-Version: 2.1\nName: {name}\nVersion: {ver}\n'
                   + (f'Requires-Dist: {requires}\n' if requires else ''))
        z.writestr(f'{name}-{ver}.dist-info/WHEEL',
                   'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        z.writestr(f'{name}-{ver}.dist-info/RECORD', '')
    return path


def test_first_cell_fails_rather_than_replace_torch(tmp_path):
    "A library that wants another torch, and an index that has it"
    python, site = bare_python(tmp_path/'venv')
    fake_wheel(tmp_path, 'torch', '99.0')
    wants = fake_wheel(tmp_path, 'colorize_lib', '9.9', 'torch>=99')
    done, text, _ = run(python, install_cell(wants, tmp_path), tmp_path, PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode
    assert 'not installed' in done.stderr
    assert 'ResolutionImpossible' in text + done.stderr
    assert not (site/'torch').exists()
