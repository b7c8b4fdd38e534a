"A real browser uses the widgets, in JupyterLab and in Voila. Skipped by name where there is no Chromium; screenshots are kept in COLORIZE_ARTIFACTS."
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from colorize_lib.colorizer import Colorizer
from colorize_lib.samples import carried_photos
from conftest import ROOT

CHROMIUM = os.environ.get('CHROMIUM') or next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
COLORED = "document.querySelector('.clz-stage .clz-after')?.naturalWidth > 0 && document.querySelector('.clz-stage').getAttribute('aria-busy') === 'false'"


@pytest.fixture(scope='module')
def browser():
    sync_api = pytest.importorskip('playwright.sync_api', reason='no browser test: pip install playwright')
    if not CHROMIUM: pytest.skip('no browser test: no Chromium (Debian: apt-get install chromium)')
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox', '--disable-dev-shm-usage'])
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def artifacts(tmp_path_factory):
    folder = Path(os.environ.get('COLORIZE_ARTIFACTS') or tmp_path_factory.mktemp('browser'))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def free_port():
    with socket.socket() as s:
        s.bind(('localhost', 0))
        return s.getsockname()[1]


def serve(command, path, folder):
    "Start a Jupyter server in a process group of its own; yield its address; end it with its kernels"
    port = free_port()
    env = os.environ | {'PYTHONPATH': str(ROOT), 'JUPYTER_CONFIG_DIR': str(folder/'config'), 'JUPYTER_RUNTIME_DIR': str(folder/'runtime'), 'JUPYTERLAB_SETTINGS_DIR': str(folder/'settings')}
    with open(folder/'server.log', 'w') as log:
        server = subprocess.Popen([sys.executable, '-m', *command, f'--port={port}', '--no-browser'], cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(150):
            assert server.poll() is None, (folder/'server.log').read_text()
            try: urlopen(f'http://localhost:{port}/static/', timeout=1)
            except HTTPError: break # it answers
            except (URLError, OSError): time.sleep(.2)
            else: break
        yield f'http://localhost:{port}{path}'
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try: server.wait(10)
        except subprocess.TimeoutExpired: os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture(scope='module')
def voila(tmp_path_factory):
    pytest.importorskip('voila')
    yield from serve(['voila', str(ROOT/'nbs/app.ipynb')], '/', tmp_path_factory.mktemp('voila'))


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    pytest.importorskip('jupyterlab')
    folder = tmp_path_factory.mktemp('lab')
    shutil.copy(ROOT/'nbs/10_colorize_app.ipynb', folder)
    no_news = ['--LabApp.news_url=', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate'] # no dialogue over the page
    yield from serve(['jupyterlab', '--allow-root', '--IdentityProvider.token=', f'--ServerApp.root_dir={folder}', *no_news[1:]],
                     '/lab/tree/10_colorize_app.ipynb', folder)


@pytest.fixture
def page(browser):
    page, page.errors = (page := browser.new_page(viewport=dict(width=1100, height=1000), accept_downloads=True)), []
    page.on('pageerror', lambda e: page.errors.append(str(e)))
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    "A photo of another size than any preview has"
    path = tmp_path_factory.mktemp('photos')/'harbour.png'
    Image.open(carried_photos()[2]).convert('RGB').resize((1600, 1067)).save(path)
    return path


def drag(page, card, to):
    "Drag the line with the mouse to a share of the picture's width"
    box = card.locator('.clz-stage').bounding_box()
    y = box['y'] + box['height']*.4
    page.mouse.move(box['x'] + box['width']*.5, y)
    page.mouse.down()
    for share in np.linspace(.5, to, 8): page.mouse.move(box['x'] + box['width']*share, y)
    page.mouse.up()
    return float(card.locator('.clz-stage input').input_value())


def use_the_app(page, card, photo, artifacts, where):
    "Upload, compare, download, fail, go on"
    card.locator('input[type=file]').set_input_files(photo)
    page.wait_for_function(COLORED)
    card.scroll_into_view_if_needed()
    page.screenshot(path=artifacts/f'{where}_colored.png')
    assert abs(drag(page, card, .8) - 80) < 2
    page.screenshot(path=artifacts/f'{where}_dragged.png')
    card.locator('.clz-stage input').press('ArrowLeft') # and with the keyboard
    assert 79 < float(card.locator('.clz-stage input').input_value()) < 80.5

    with page.expect_download() as download: card.get_by_role('button', name='Download', exact=True).click()
    assert download.value.suggested_filename == 'harbour_color.png'
    with Image.open(download.value.path()) as result: pixels = np.asarray(result)
    np.testing.assert_array_equal(pixels, np.asarray(Colorizer.load()(photo)))
    assert np.ptp(pixels.astype(int), axis=-1).mean() > 5 # it has colours

    broken = photo.with_name('letter.jpg')
    broken.write_text('Dear Sir')
    card.locator('input[type=file]').set_input_files(broken)
    card.locator('.clz-oops', has_text='not a picture').wait_for()
    page.screenshot(path=artifacts/f'{where}_broken.png')
    assert 'letter.jpg' in card.locator('.clz-oops').inner_text() and card.locator('.clz-strip button').last.get_attribute('data-state') == 'failed'
    card.locator('input[type=file]').set_input_files([carried_photos()[1], carried_photos()[3]]) # and on it goes
    page.wait_for_function("document.querySelectorAll('.clz-strip [data-state=done]').length === 3")
    card.locator('.clz-strip button').last.click()
    page.wait_for_function(COLORED)
    page.screenshot(path=artifacts/f'{where}_on_it_goes.png')
    assert not page.errors


def test_the_app_in_voila(page, voila, photo, artifacts):
    page.goto(voila)
    page.locator('.clz-choose').first.wait_for()
    page.screenshot(path=artifacts/'voila_start.png')
    card = page.locator('.clz-card').first
    use_the_app(page, card, photo, artifacts, 'voila')
    page.set_viewport_size(dict(width=390, height=844)) # a phone
    page.wait_for_timeout(300)
    page.screenshot(path=artifacts/'voila_phone.png')
    assert page.evaluate('document.documentElement.scrollWidth') <= 400


def test_the_app_in_jupyterlab_and_a_closed_kernel(page, lab, photo, artifacts):
    page.goto(lab)
    page.locator('.jp-Notebook').wait_for()
    page.get_by_text('Python 3', exact=False).first.wait_for()
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
    card = page.locator('.clz-card').first
    card.wait_for()
    page.wait_for_function(COLORED)
    page.screenshot(path=artifacts/'lab_start.png')
