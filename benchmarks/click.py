"""From a click in the app to the new picture on the screen, in a real browser: python -m benchmarks.click

Chromium shows the app as Voila serves it. A photo of 12 megapixels is coloured, a place in it is clicked, and then
one colour of the palette after another. First comes a picture that is as large as the editor shows it, then the sharp
one of 1400x1050, for finer screens. Each is counted until it is painted and the next frame begins.
Needs two idle cores, and `pip install playwright voila` with a Chromium (its path in CHROMIUM, if it is not found)."""
import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from benchmarks.colorizer import make_photo
from benchmarks.measure import ROOT
from colorize_lib.engine.distributed import free_port

FOUND = [path for name in ('chromium', 'chromium-browser', 'google-chrome') if (path := shutil.which(name))]
CHROMIUM = os.environ.get('CHROMIUM') or next(iter(FOUND), None)
APP = str(next((ROOT/'nbs/widgets').glob('[0-9][0-9]_app.ipynb')))
FLAGS = ['--no-sandbox', '--disable-dev-shm-usage']
PHOTOS = 'input[type=file][accept^=image]' # the hint editor has another field, for files of hints


@contextmanager
def server(command, path, folder):
    "A Jupyter server in a process group of its own, as its address; it ends with its kernels"
    port = free_port()
    env = os.environ | {'PYTHONPATH': str(ROOT), 'JUPYTER_CONFIG_DIR': str(folder/'config'),
                        'JUPYTER_RUNTIME_DIR': str(folder/'runtime'), 'JUPYTERLAB_SETTINGS_DIR': str(folder/'settings')}
    with open(folder/'server.log', 'w') as log:
        process = subprocess.Popen([sys.executable, '-m', *command, f'--port={port}', '--no-browser'],
                                  cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(150):
            if process.poll() is not None: raise RuntimeError((folder/'server.log').read_text())
            try: urlopen(f'http://localhost:{port}/static/', timeout=1)
            except HTTPError: break # it answers
            except (URLError, OSError): time.sleep(.2)
            else: break
        yield f'http://localhost:{port}{path}'
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try: process.wait(10)
        except subprocess.TimeoutExpired: os.killpg(process.pid, signal.SIGKILL)


CLICK = '''async ([button, stage]) => {
    const canvas = stage.querySelector("canvas"), start = performance.now()
    const late = new Promise((_, fail) => setTimeout(() => fail("no new picture after 20 s"), 20000))
    const pictures = { attributeFilter: ["data-pictures"] }
    const next = () => Promise.race([late, new Promise(done =>
        new MutationObserver((_, o) => { o.disconnect(); done() }).observe(stage, pictures))])
    const frame = async () => { await new Promise(requestAnimationFrame); return performance.now() - start }
    const width = canvas.width, came = next() // of the sharp picture of the click before
    button.click()
    await came
    const first = await frame()
    while (canvas.width < width) await next()
    return [first, await frame()] }'''


def click_times(card, clicks):
    "Milliseconds until each new picture is there, and until the sharp one is"
    stage, swatches = card.locator('.clz-hints'), card.locator('.clz-group:nth-child(2) .clz-color')
    for i in range(clicks):
        card.page.wait_for_timeout(400) # the editor looks up other colours to offer, after each picture
        button = swatches.nth(i % 2).element_handle()
        yield card.page.evaluate(CLICK, [button, stage.element_handle()])


def open_editor(page, address, photo):
    "The app with a photo, at the first click in its hint editor"
    page.goto(address)
    card = page.locator('.clz-card').nth(0)
    card.locator(PHOTOS).set_input_files(photo)
    card.locator('.clz-stage[aria-busy=false] .clz-after[alt^="click.jpg"]').wait_for()
    card.get_by_role('button', name='Correct colours').click()
    return card


def measure(card, counts, clicks):
    "A row for each number of hints: median and worst, of the first picture and of the sharp one"
    stage = card.locator('.clz-hints')
    card.get_by_text('Click a place in the photo').first.wait_for()
    for n in counts:
        box = stage.bounding_box()
        while (i := stage.locator('.clz-point').count()) < n:
            stage.click(position=dict(x=box['width']*(.1 + .09*(i % 10)), y=box['height']*(.1 + .15*(i//10))))
            card.get_by_text('choose its colour').first.wait_for()
            card.locator('.clz-group:nth-child(2) .clz-color').nth(2).click() # not one of those of `click_times`
            stage.locator('.clz-point').nth(i).wait_for()
        yield n, *(f(o) for o in zip(*list(click_times(card, clicks + 3))[3:]) for f in (statistics.median, max))


def main(argv=None):
    from playwright.sync_api import sync_playwright
    parser = argparse.ArgumentParser('benchmarks.click', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--clicks', type=int, default=20, help='for each number of hints')
    parser.add_argument('--hints', type=int, nargs='+', default=[1, 10], help='numbers of hints')
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as playwright:
        make_photo(photo := Path(tmp)/'click.jpg', 4000, 3000)
        with server(['voila', APP], '/', Path(tmp)) as address:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport=dict(width=1280, height=1000))
            page.set_default_timeout(120_000)
            print(f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Chromium {browser.version}; '
                  f'a preview of 1400x1050 pixels, {args.clicks} clicks\n')
            print('| hints | shown | as large as shown, median | worst | sharp, median | worst |\n' + '|---'*6 + '|')
            card = open_editor(page, address, photo)
            for n, *ms in measure(card, args.hints, args.clicks):
                shown = card.locator('.clz-hints').evaluate('e => `${e.clientWidth}x${e.clientHeight}`')
                print(f'| {n} | {shown} |', ' | '.join(f'{o:.0f} ms' for o in ms), '|', flush=True)
            browser.close()


if __name__ == '__main__': main()
