"""The page in web/ beside PyTorch on the same cores, as Markdown: python -m benchmarks.web

It needs Chromium and `make web`'s files. Both run in turn, so that what else the machine does meets both.
Where a core is busy with something else, threads that wait for each other tell nothing: then `--threads 1`."""
import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np

from benchmarks.colorizer import make_photo

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
import web # noqa: E402

WORKER = """
let network
onmessage = async ({ data: { site, backend, side } }) => {
  const { Network } = await import(`${site}js/network.js`)
  network ??= await Network.load(() => {}, backend)
  const data = Uint8ClampedArray.from({ length: 4 * side * side }, (_, i) => (i * i >> 4) % 256)
  const start = performance.now()
  await network.see({ width: side, height: side, data })
  postMessage(performance.now() - start)
}"""
RUN = """side => new Promise((done, fail) => {
  window.bench ??= new Worker(URL.createObjectURL(new Blob([CODE], { type: 'text/javascript' })), { type: 'module' })
  window.bench.onmessage = e => done(e.data)
  window.bench.onerror = e => fail(e.message)
  window.bench.postMessage({ site: location.origin + '/', backend: 'wasm', side }) })"""


class Alone(web.Handler):
    "Without the headers that threads need, as most servers are"
    def send_header(self, key, value):
        if not key.startswith('Cross-Origin-'): super().send_header(key, value)


def serve(handler):
    server = ThreadingHTTPServer(('localhost', 0), partial(handler, directory=web.WEB))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f'http://localhost:{server.server_port}/'


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def beside_pytorch(browser, sites, n):
    "The network alone: a picture and its mirror image, in the page and in PyTorch"
    import torch
    from colorize_lib.apply.colorizer import Colorizer
    model = Colorizer.load(device='cpu', precision='fp32').model
    pages = {}
    for threads, site in sites.items():
        pages[threads] = page = browser.new_context(bypass_csp=True, service_workers='block').new_page()
        page.set_default_timeout(120_000)
        page.goto(site + 'icon.svg')
    code = RUN.replace('CODE', json.dumps(WORKER))
    print('\nThe network alone, a picture and its mirror image; medians, each in turn\n')
    print('| pixels | threads | page | PyTorch | page / PyTorch |\n|---|---|---|---|---|')
    for side in (256, 512):
        x = torch.rand(2, 1, side, side).contiguous(memory_format=torch.channels_last)
        for threads, page in pages.items():
            torch.set_num_threads(threads)
            ours, theirs = [], []
            for i in range(n + 2):
                ms = page.evaluate(code, side)
                with torch.no_grad(): s = seconds(partial(model, x))
                if i >= 2: ours.append(ms/1000); theirs.append(s)
            a, b = statistics.median(ours), statistics.median(theirs)
            print(f'| {side} | {threads} | {a*1000:.0f} ms | {b*1000:.0f} ms | {a/b:.2f} |')


def whole_photos(browser, site, threads, folder, n):
    "From a file to a file, with all that lies between"
    import torch
    from colorize_lib.apply.colorizer import Colorizer, save_photo
    torch.set_num_threads(threads)
    colorizer = Colorizer.load(device='cpu', precision='fp32')
    page = browser.new_context(accept_downloads=True).new_page()
    page.set_default_timeout(120_000)
    page.goto(site)
    page.locator('body[data-backend]').wait_for()
    print(f'\nA JPEG in, a JPEG out at its own size, threads: {threads}; the page also makes two previews\n')
    print('| photo | page: shown | page: downloaded | Colorizer | page / Colorizer |\n|---|---|---|---|---|')
    for width, height in ((1024, 768), (4000, 3000)):
        make_photo(path := folder/f'{width}.jpg', width, height)
        rows = []
        for _ in range(n):
            def show():
                page.set_input_files('#files', path)
                page.locator('.strip [data-state=done]').wait_for()
            def in_python(): save_photo(colorizer(path), folder/'out.jpg')
            def save():
                with page.expect_download() as download: page.locator('#save').click()
                download.value.path()
            rows.append((seconds(show), seconds(save), seconds(in_python)))
            page.get_by_role('button', name='Remove').click()
        a, b, c = (statistics.median(o) for o in zip(*rows))
        print(f'| {width*height/1e6:.1f} megapixels | {a:.2f} s | {b:.2f} s | {c:.2f} s | {(a + b)/c:.2f} |')


def clicks(browser, site, folder, n=12):
    "From a colour that is clicked to the picture with it"
    page = browser.new_context(viewport=dict(width=1180, height=950)).new_page()
    page.goto(site)
    page.set_input_files('#files', folder/'4000.jpg')
    page.locator('.strip [data-state=done]').wait_for(timeout=120_000)
    page.get_by_role('button', name='Correct colours').click()
    stage = page.locator('.hint-stage')
    stage.click()
    swatches = page.locator('.group:nth-child(2) .color')
    swatches.nth(1).wait_for()
    took = []
    for i in range(n):
        before = stage.get_attribute('data-pictures')
        start = time.perf_counter()
        swatches.nth(1 + i % 2).click()
        page.locator(f'.hint-stage:not([data-pictures="{before}"])').wait_for()
        took.append(1000*(time.perf_counter() - start))
        page.wait_for_timeout(200)
    print(f'\nA click on a colour, photo of 12 megapixels: the first {took[0]:.0f} ms, '
          f'the others {np.median(took[1:]):.0f} ms (median)')


def first_picture(browser, site):
    "Bytes and seconds from the address to a sample in colour: an empty profile, and a visit later"
    context = browser.new_context()
    page, sizes = context.new_page(), {}
    page.set_default_timeout(120_000)
    context.on('requestfinished', lambda r: sizes.setdefault(r.url.removeprefix(site), r.sizes()['responseBodySize']))
    def visit():
        page.goto(site)
        page.locator('.samples button').first.click()
        page.locator('.strip [data-state=done]').wait_for()
    cold, arrived = seconds(visit), dict(sizes)
    page.locator('body[data-offline=ready]').wait_for()
    warm = [seconds(visit) for _ in range(3)]
    parts = {'runtime': 'vendor/ort', 'network': 'vendor/grayscale', 'samples': 'vendor/samples'}
    rows = {k: sum(v for name, v in arrived.items() if name.startswith(start)) for k, start in parts.items()}
    rows['the page itself'] = sum(arrived.values()) - sum(rows.values())
    print('\nFrom the address to the first picture in colour, server on the same machine, one thread at first\n')
    print('| what | MB |\n|---|---|')
    for k, v in rows.items(): print(f'| {k} | {v/1e6:.2f} |')
    print(f'| all | {sum(arrived.values())/1e6:.2f} |')
    print(f'\nEmpty profile: {cold:.1f} s. A later visit: {statistics.median(warm):.1f} s.')


def main():
    import torch
    from playwright.sync_api import sync_playwright
    chromium = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which('google-chrome')
    if not chromium: raise SystemExit('no Chromium: install one, or name it in the environment variable CHROMIUM')
    parser = argparse.ArgumentParser(description='The page beside PyTorch')
    parser.add_argument('--threads', type=int, default=2, choices=(1, 2), help='most threads of both')
    most = parser.parse_args().threads
    web.build()
    sites = {1: serve(Alone), 2: serve(web.Handler)}
    sites = {k: v for k, v in sites.items() if k <= most}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as tmp:
        browser = playwright.chromium.launch(executable_path=chromium, args=['--no-sandbox', '--disable-dev-shm-usage'])
        names = [line.split(':')[1].strip() for line in Path('/proc/cpuinfo').read_text().splitlines()
                 if 'model name' in line] if Path('/proc/cpuinfo').exists() else [platform.processor()]
        print(f'{names[0]}, {os.cpu_count()} cores; Chromium {browser.version}, PyTorch {torch.__version__}')
        first_picture(browser, sites[1])
        beside_pytorch(browser, sites, 9)
        whole_photos(browser, sites[most], most, Path(tmp), 5)
        clicks(browser, sites[most], Path(tmp))
        browser.close()


if __name__ == '__main__': main()
