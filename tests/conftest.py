"""Shared fixtures

Tests on many real photos want a folder in the environment variable COLORIZE_PHOTOS, and are skipped without it."""
import os
import signal
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

plt.switch_backend('Agg')
# a shell's background jobs begin deaf to Ctrl-C, and so would the processes that tests start
signal.signal(signal.SIGINT, signal.default_int_handler)

from colorize_lib.lab import colorize_dls  # noqa: E402
from colorize_lib.photos.pictures import photo_files  # noqa: E402
from colorize_lib.photos.samples import paint_scene  # noqa: E402


LONG = ('tutorials browser web dry_run export benchmarks training compile compare callbacks hints sketch '
        'hint_editor video train commands exercises_parts checkpoints demo exercises colorizer').split() # files


def pytest_collection_modifyitems(items):
    "With several processes (`make test`), each takes a file at a time: the long ones first, so that none is left over"
    if 'PYTEST_XDIST_WORKER' not in os.environ: return
    place = {f'test_{name}.py': i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.fixture
def real_photos():
    folder = os.environ.get('COLORIZE_PHOTOS')
    if not folder: pytest.skip('needs a folder of real photos in COLORIZE_PHOTOS')
    return photo_files(folder)


@pytest.fixture(scope='session')
def scenes(): return [paint_scene(i, 64) for i in range(40)]


@pytest.fixture
def dls(scenes): return colorize_dls(scenes, size=48, bs=8, device=torch.device('cpu'))


@pytest.fixture
def photo_folder(tmp_path):
    folder = tmp_path/'my photos'
    folder.mkdir()
    for i in range(6): paint_scene(i, 64).save(folder/f'scene {i}.png')
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('COLORIZE_CACHE', str(tmp_path_factory.getbasetemp()/'cache'))


@pytest.fixture(autouse=True)
def _repeatable(): torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close('all')


ROOT = Path(__file__).resolve().parent.parent
