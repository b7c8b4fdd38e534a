"""What an ONNX file costs and saves beside PyTorch, as Markdown: python -m benchmarks.export [PHOTOS ...] [--out FILE]

Memory, start and speed are those of fresh processes of one thread each, which take turns; times are CPU time, best of
three processes (needs Linux's /proc). PHOTOS are photos in colour that no model has seen: what smaller numbers cost.
"""
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from argparse import ArgumentParser
from pathlib import Path

import numpy as np

# what a process does: load, colour a photo of 640x480 and another eleven times, answer 15 clicks, then tell
PROCESS = '''
import json, resource, statistics, sys, time
start = time.process_time(), time.perf_counter()
from PIL import Image
from colorize_lib.apply.colorizer import Colorizer, HintedPhoto
colorizer = Colorizer.load({model!r}, 'cpu', 'fp32')
loaded = time.process_time() - start[0], time.perf_counter() - start[1]
photo = Image.open({photo!r}).convert('L').convert('RGB')
def cost(f, n):
    f()
    times = []
    for _ in range(n):
        before = time.process_time()
        f()
        times.append(1000*(time.process_time() - before))
    return min(times)
small = {{size: photo.resize((size*4//3, size), Image.BICUBIC) for size in (128, 256, 512)}}
out = dict(start=loaded[0], first=None, peak=None)
colorizer(photo)
out['first'] = time.process_time() - start[0]
status = open('/proc/self/status').read().split()
out['peak'] = int(status[status.index('VmHWM:') + 1])/1024
out['photo'] = cost(lambda: colorizer(photo), 9)
for size, o in small.items(): out[f'network {{size}}'] = cost(lambda: colorizer.network.run(o), 5)
hinted = HintedPhoto(colorizer, photo)
for n in (1, 10, 50):
    hints = [(40 + 57*i % 560, 30 + 83*i % 420, (200, 40, 40)) for i in range(n)]
    hinted(hints)
    out[f'click {{n}}'] = cost(lambda: hinted(hints), 7)
out['torch'] = 'torch' in sys.modules
print(json.dumps(out))
'''
ROWS = {'start': ('from nothing to a loaded model, s', 2), 'first': ('to the first photo in colour, s', 2),
        'peak': ('memory at its peak, MB', 0), 'photo': ('a photo of 640x480, ms', 0),
        'network 128': ('the network alone at 128 px, ms', 1), 'network 256': ('at 256 px, ms', 1),
        'network 512': ('at 512 px, ms', 1), 'click 1': ('a click with 1 hint, with the new picture, ms', 1),
        'click 10': ('with 10 hints, ms', 1), 'click 50': ('with 50 hints, ms', 1)}


def measure_process(model, photo):
    env = os.environ | dict(OMP_NUM_THREADS='1')
    code = PROCESS.format(model=str(model), photo=str(photo))
    return json.loads(subprocess.run([sys.executable, '-c', code], env=env, check=True, capture_output=True).stdout)


def against_pytorch(folder, files, say, times=3):
    from colorize_lib.photos.samples import paint_scene
    photo = folder/'photo.png'
    paint_scene(3, 640).crop((0, 0, 640, 480)).save(photo)
    models = {'PyTorch': 'grayscale', 'ONNX Runtime': files['fp16'][0]}
    found = {k: [] for k in models}
    for _ in range(times):
        for k, model in models.items(): found[k].append(measure_process(model, photo))
    assert not any(o['torch'] for o in found['ONNX Runtime'])
    best = {k: {row: min(o[row] for o in v) for row in ROWS} for k, v in found.items()}
    say(f'\n| one thread, CPU time | {" | ".join(models)} | ratio |\n|---|---|---|---|')
    for row, (what, digits) in ROWS.items():
        a, b = [best[k][row] for k in models]
        say(f'| {what} | {a:.{digits}f} | {b:.{digits}f} | {b/a:.2f} |')


def quality(model, photos):
    "dB over gray and the share of the true colorfulness, means over photos; CPU milliseconds of a photo"
    from colorize_lib.engine.metrics import colorfulness, psnr
    from colorize_lib.photos.pictures import rgb_tensor
    rows, times = [], []
    for photo in photos:
        gray, before = photo.convert('L'), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            out = model(gray)
        times.append(1000*(time.process_time() - before))
        out, truth, gray = [rgb_tensor(o)[None] for o in (out, photo, gray)]
        gain = (psnr(out, truth) - psnr(gray, truth)).item()
        rows.append([gain, colorfulness(out).item(), colorfulness(truth).item()])
    gain, ours, true = np.mean(rows, 0)
    return gain, ours/true, np.median(times)


def smaller_numbers(files, photos, say):
    from colorize_lib.apply.colorizer import Colorizer, weights_file
    from colorize_lib.apply.export import compare_onnx
    from colorize_lib.photos.pictures import open_photo
    photos, reference = [open_photo(p, 256) for p in photos], Colorizer.load(device='cpu', precision='fp32')
    for photo in photos: photo.thumbnail((512, 512))
    say(f'\n{len(photos)} photos, at most 512 pixels a side\n')
    say('| weights in the file | MB, with hints | ms a photo | dB over gray | share of the true colorfulness | '
        'largest difference to PyTorch, of 255 |\n|---|---|---|---|---|---|')
    gain, share, ms = quality(reference, photos)
    MB = weights_file('grayscale').stat().st_size/1e6
    say(f'| PyTorch, safetensors in 16 bits | {MB:.2f} | {ms:.0f} | {gain:+.3f} | {share:.1%} | |')
    for kind, paths in files.items():
        exported = Colorizer.load(paths[0])
        gain, share, ms = quality(exported, photos)
        off, MB = compare_onnx(reference, exported, photos).largest.max(), sum(p.stat().st_size for p in paths)/1e6
        say(f'| {kind} | {MB:.2f} | {ms:.0f} | {gain:+.3f} | {share:.1%} | {off} |')


def main(argv=None):
    parser = ArgumentParser('benchmarks.export', description=__doc__.splitlines()[0])
    parser.add_argument('photos', nargs='*', help='photos in colour, or a folder')
    parser.add_argument('--every', type=int, default=1, help='of a folder, take one photo of so many')
    parser.add_argument('--times', type=int, default=3, help='processes of each kind')
    parser.add_argument('--out', help='write the Markdown into this file, too')
    args, lines = parser.parse_args(argv), []
    def say(text):
        print(text, flush=True)
        lines.append(text)
    import onnxruntime
    import torch
    from colorize_lib.apply.export import export_onnx
    from colorize_lib.photos.pictures import photo_files
    torch.set_num_threads(1)
    cpu = next((line.split(':')[1].strip() for line in Path('/proc/cpuinfo').read_text().splitlines()
                if 'model name' in line), platform.processor())
    say(f'{cpu}; Python {platform.python_version()}, PyTorch {torch.__version__}, '
        f'onnxruntime {onnxruntime.__version__}')
    with tempfile.TemporaryDirectory() as tmp:
        files = {o: export_onnx('grayscale', Path(tmp)/f'{o}.onnx', o) for o in ('fp32', 'fp16', 'int8')}
        against_pytorch(Path(tmp), files, say, args.times)
        folder = len(args.photos) == 1 and Path(args.photos[0]).is_dir()
        photos = photo_files(args.photos[0])[::args.every] if folder else args.photos
        if photos: smaller_numbers(files, photos, say)
    if args.out: Path(args.out).write_text('\n'.join(lines) + '\n')


if __name__ == '__main__': main()
