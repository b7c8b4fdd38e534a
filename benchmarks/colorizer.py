"""What colouring a photo costs, as Markdown: python benchmarks/colorizer.py

The photos are made by code. Times are the best of several runs; memory is the peak of a fresh process
(needs Linux's /proc).
"""
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

PREDICTS = 'Unet(nf=16), untrained'


def make_photo(path, width, height, grain=9):
    "A painted landscape with detail at every scale and film grain, as a JPEG"
    from colorize_lib.photos.samples import paint_scene
    rng = np.random.default_rng(0)
    photo = paint_scene(3, 1024).resize((width, height), Image.BICUBIC)
    for y in range(0, height, 500): # in pieces, so that making it takes less memory than what is measured
        box = 0, y, width, min(y + 500, height)
        piece = np.asarray(photo.crop(box)).astype(np.float32)
        for octave in (64, 16, 4): # each finer and weaker than the last
            coarse = rng.normal(size=(len(piece)//octave + 1, width//octave + 1)).astype(np.float32)*grain*octave**.3
            piece += np.asarray(Image.fromarray(coarse).resize((width, len(piece)), Image.BICUBIC))[..., None]
        piece += rng.normal(size=piece.shape[:2]).astype(np.float32)[..., None]*grain/2
        photo.paste(Image.fromarray(piece.clip(0, 255).astype(np.uint8)), box)
    photo.save(path, quality=92)


def best(f, n=7):
    def once():
        start = time.perf_counter()
        f()
        return time.perf_counter() - start
    f()
    return min(once() for _ in range(n))


def cost_of_12_megapixels(folder):
    import torch
    from colorize_lib.apply.colorizer import Colorizer, save_photo
    from colorize_lib.unet import Unet
    class Instant(torch.nn.Module):
        "A network that takes no time, and predicts colours that vary over the picture"
        def forward(self, x): return torch.cat([.2*x, -.3*x], 1)
    config = dict(task='grayscale', size=256)
    photo, rows = folder/'12.jpg', []
    make_photo(photo, 4000, 3000)
    def pillow():
        with Image.open(photo) as img: img.save(folder/'pillow.jpg', quality=92)
    theirs = best(pillow)
    instant = Colorizer(Instant(), config, 'cpu')
    ours = best(lambda: save_photo(instant(photo), folder/'ours.jpg'))
    real = Colorizer(Unet(nf=16), config, 'cpu')
    x = torch.rand(1, 1, 256, 341)
    with torch.no_grad(): network = best(lambda: real.model(x), 3)
    rows = [('decode and encode with Pillow', f'{theirs:.3f} s', '1'),
            ('decode, colour, encode: all but the network', f'{ours:.3f} s', f'{ours/theirs:.2f}'),
            (f'the network, 341x256 ({PREDICTS})', f'{network:.3f} s', f'{network/theirs:.2f}')]
    print(f'A JPEG of 12 megapixels, {photo.stat().st_size/1e6:.1f} MB\n')
    print('| step | time | times Pillow |\n|---|---|---|')
    for row in rows: print('|', ' | '.join(row), '|')


PEAK = '''
{code}
print(next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))/2**20)
'''
PILLOW = '''
from PIL import Image
Image.MAX_IMAGE_PIXELS = None
Image.open({photo!r}).save({photo!r} + '.pillow.jpg', quality=92)
'''
COLOUR = '''
import torch
from colorize_lib.apply.colorizer import Colorizer, save_photo
from colorize_lib.unet import Unet
col = Colorizer(Unet(nf=16), dict(task='grayscale', size=256), 'cpu')
save_photo(col({photo!r}), {photo!r} + '.color.jpg')
'''


def peak_of_100_megapixels(folder):
    photo = folder/'100.jpg'
    make_photo(photo, 12250, 8164)
    run = lambda code: float(subprocess.run([sys.executable, '-c', PEAK.format(code=code)],
                                            check=True, capture_output=True, text=True).stdout)
    print(f'\nA JPEG of 100 megapixels, {photo.stat().st_size/1e6:.0f} MB, peak of a fresh process\n')
    print('| what | GB |\n|---|---|')
    print(f'| `import torch` alone | {run("import torch"):.2f} |')
    print(f'| decode and encode with Pillow | {run(PILLOW.format(photo=str(photo))):.2f} |')
    print(f'| colour it with {PREDICTS} | {run(COLOUR.format(photo=str(photo))):.2f} |')


def time_of_a_click(folder):
    "From a colour that is clicked in the app to the encoded picture, by the model for photos"
    from colorize_lib.apply.colorizer import Colorizer
    from colorize_lib.widgets.hint_editor import HintEditor
    from colorize_lib.widgets.jobs import AppPhoto, RenderSettings
    make_photo(folder/'click.jpg', 4000, 3000)
    photo, shown = AppPhoto('click.jpg', (folder/'click.jpg').read_bytes(), 'done'), []
    editor = HintEditor(lambda *_: shown.append((time.perf_counter(), time.process_time())), lambda *_: None)
    editor.edit(photo, RenderSettings('grayscale'), Colorizer.load(device='cpu'))
    editor.wait()
    def click(i):
        start = time.perf_counter(), time.process_time()
        editor.do(dict(do='paint', color=('#c03020', '#306080')[i % 2]))
        editor.wait()
        return [1000*(b - a) for a, b in zip(start, shown[-1])]
    print('\nFrom a click in the app to the new picture of 1400x1050 pixels, in Python; 20 clicks\n')
    print('| hints | median | worst | CPU time, median |\n|---|---|---|---|')
    for n in (1, 10, 50):
        while len(photo.hints.hints) < n:
            i = len(photo.hints.hints)
            editor.do(dict(do='point', x=200 + i%10*380, y=200 + i//10*500))
            editor.do(dict(do='paint', color='#908070'))
        times, cpu = np.array([click(i) for i in range(23)][3:]).T
        print(f'| {n} | {np.median(times):.0f} ms | {times.max():.0f} ms | {np.median(cpu):.0f} ms |')


def time_of_help():
    command = [sys.executable, '-c',
               'import sys; from colorize_lib.apply.commands import main; sys.exit(main(["--help"]))']
    took, empty = [best(lambda c=c: subprocess.run(c, check=True, capture_output=True), 5)
                   for c in (command, [sys.executable, '-c', ''])]
    print(f'\n`colorize --help`: {took:.2f} s, of which Python itself {empty:.2f} s')


def main():
    import torch
    cpu = next((line.split(':')[1].strip() for line in Path('/proc/cpuinfo').read_text().splitlines()
                if 'model name' in line), '') if Path('/proc/cpuinfo').exists() else platform.processor()
    import PIL
    versions = f'Python {platform.python_version()}, PyTorch {torch.__version__}, Pillow {PIL.__version__}'
    print(f'{cpu}, {os.cpu_count()} cores ({torch.get_num_threads()} threads for PyTorch); {versions}\n')
    with tempfile.TemporaryDirectory() as tmp:
        cost_of_12_megapixels(Path(tmp))
        peak_of_100_megapixels(Path(tmp))
        time_of_a_click(Path(tmp))
    time_of_help()


if __name__ == '__main__': main()
