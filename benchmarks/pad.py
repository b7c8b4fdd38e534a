"""From the end of a stroke on the sketch pad to the new picture on the screen: python -m benchmarks.pad

Chromium shows the app as Voila serves it. The mouse draws a line of twenty steps over a tree, or drops a colour into
it; time runs from the release of the button to the frame in which the decoded picture can be drawn.
Strokes on a sheet without colours cost less than strokes between colours, which have to be spread anew.
Needs two idle cores, and `pip install playwright voila` with a Chromium (see benchmarks.click)."""
import argparse
import os
import platform
import statistics
import tempfile
from pathlib import Path

from benchmarks.click import APP, CHROMIUM, FLAGS, server

GOLDEN = .618034 # multiples of it lie everywhere between whole numbers
WATCH = '''([canvas, img]) => {
    let start, last
    canvas.addEventListener("pointerup", () => { start = performance.now(); last = undefined })
    img.addEventListener("load", async () => {
        await img.decode().catch(() => {})
        await new Promise(requestAnimationFrame)
        if (start !== undefined) last = performance.now() - start })
    window.padTime = () => last }''' # several pictures may come; the last one shows the whole stroke


def watched(card):
    "The pad's canvas, which from now on notes when each picture was drawn"
    canvas, img = card.locator('canvas').first, card.locator('.clz-picture img')
    card.page.evaluate(WATCH, [canvas.element_handle(), img.element_handle()])
    return canvas


def ended(page, pause=1500):
    "Milliseconds until the last picture, once no other comes"
    page.wait_for_function('window.padTime() !== undefined', polling=100) # not each frame: that costs a core
    page.wait_for_timeout(pause)
    return page.evaluate('window.padTime()')


def stroke(page, box, i, steps=20):
    "A line, drawn in about a third of a second, at a place of its own: a line on another one changes nothing"
    x, y = box['x'] + box['width']*.1, box['y'] + box['height']*(.1 + .8*(i*GOLDEN % 1))
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(steps):
        page.mouse.move(x + box['width']*.03*(k + 1), y + 6*(k % 2))
        page.wait_for_timeout(12)
    page.mouse.up()


def drop(page, box, i):
    "A drop of another colour than the last one, or nothing might change"
    page.mouse.move(box['x'] + box['width']*(.3 + .4*(i*GOLDEN % 1)), box['y'] + box['height']*(.1 + .8*(i*.41421 % 1)))
    page.mouse.down()
    page.mouse.up()


PEN, COLORS = ('Pen',), ('Colour: green', 'Colour: red', 'Colour: blue')
ACTS = {'strokes': (PEN, stroke), 'drops': (COLORS, drop), 'strokes between colours': (PEN, stroke)}


def times(card, what, n, first=0):
    "Milliseconds of each of `n` strokes or drops, after two that do not count"
    page, (tools, act) = card.page, ACTS[what]
    canvas = card.locator('canvas').first
    for i in range(n + 2):
        card.get_by_role('button', name=tools[i % len(tools)], exact=True).click()
        canvas.scroll_into_view_if_needed()
        act(page, canvas.bounding_box(), first + i)
        if (ms := ended(page)) and i >= 2: yield ms


def main(argv=None):
    from playwright.sync_api import sync_playwright
    parser = argparse.ArgumentParser('benchmarks.pad', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-n', type=int, default=15, help='strokes, and drops')
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as playwright:
        with server(['voila', APP], '/', Path(tmp)) as address:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport=dict(width=1280, height=1400))
            page.set_default_timeout(120_000)
            page.goto(address)
            card = page.locator('.clz-card').nth(1)
            card.get_by_label('Example').select_option('tree')
            card.locator('.clz-picture img[src^="blob:"]').wait_for()
            watched(card)
            print(f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Chromium {browser.version}\n')
            print('| | median | worst |\n|---|---|---|')
            for k, what in enumerate(ACTS):
                ms = list(times(card, what, args.n, k*(args.n + 2)))
                print(f'| {what} | {statistics.median(ms):.0f} ms | {max(ms):.0f} ms |', flush=True)
            browser.close()


if __name__ == '__main__': main()
