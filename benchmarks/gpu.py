"""Everything that needs a GPU, in one run of under nine minutes, and one report

make gpu [DATA=folder of photos] [WHEELS=folder of wheels]

Without a GPU it says so and ends. Nothing is downloaded. Writes benchmarks/GPU.md."""
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 530 # seconds in all
TRAIN = '''
import sys, time, torch
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.lab import colorize_dls
from colorize_lib.patchgan import PatchGAN
from colorize_lib.photos.pictures import photo_files
from colorize_lib.photos.samples import sample_photos
from colorize_lib.results import evaluate
from colorize_lib.training import PatchGANTrainer
from colorize_lib.unet import Unet
folder, size, bs, seconds, tiny = sys.argv[1], *map(int, sys.argv[2:6])
photos = photo_files(folder) if folder else sample_photos(40 if tiny else 800, size)
dls = colorize_dls(photos, size=size, bs=bs)
learn = colorize_learner(dls, Unet(nf=4 if tiny else 64, n_down=2 if tiny else 4))
gan, start, epochs = PatchGANTrainer(PatchGAN(nf=4 if tiny else 64, n_down=2)), time.perf_counter(), 0
with learn.no_bar(), learn.no_logging():
    while not epochs or time.perf_counter() - start < seconds:
        learn.fit(1, 2e-4, cbs=gan)
        epochs += 1
took, losses, table = time.perf_counter() - start, learn.gan_losses, evaluate(learn)
print(f'{len(dls.train.dataset)} photos of {size} pixels, batches of {bs}, {epochs} epochs in {took:.0f} s: '
      f'{epochs*len(dls.train)*bs/took:.0f} photos/s; '
      f'L1 {losses[0]["loss_G_L1"]:.2f} to {losses[-1]["loss_G_L1"]:.2f}; '
      f'PSNR {table.psnr.mean():.2f} dB, gray {table.psnr_gray.mean():.2f} dB')
'''


NEEDED = 'fastai', 'fasttransform', 'skimage', 'safetensors', 'filelock', 'pytest' # what tests and benchmarks import


def install_missing(wheels):
    "What this Python lacks, from a folder of wheels: without network, and without touching its torch"
    def missing(): return [o for o in NEEDED if not find_spec(o)]
    if missing() and wheels: # each wheel as it is: fastai's list of requirements is longer than what we use of it
        files = [str(o) for o in sorted(Path(wheels).glob('*.whl')) if not o.name.startswith('torch')]
        subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-index', '--no-deps', *files])
        invalidate_caches()
    if missing(): sys.exit(f'make gpu: this Python has no {", ".join(missing())}: WHEELS=folder of their wheels')


def run(title, command, limit):
    "A part of the report: what a command prints at the end, or why it has not come to its end"
    start = time.perf_counter()
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(1, limit),
                              env=os.environ | dict(PYTHONPATH=str(ROOT)))
        text = done.stdout.strip() or done.stderr.strip()
        status = 'passed' if done.returncode == 0 else f'failed ({done.returncode})'
        if done.returncode: text += '\n' + done.stderr.strip()[-3000:]
    except subprocess.TimeoutExpired as e:
        text, status = (e.stdout or b'').decode(errors='replace').strip(), 'cut off: no time was left'
    took = time.perf_counter() - start
    print(f'{title}: {status}, {took:.0f} s', flush=True)
    return dict(title=title, status=status, seconds=took, text=text)


def report(parts, machine):
    "Markdown of all parts; what a bench prints is a table already"
    lines = ['# Results of `make gpu`', '', *(f'- {k}: `{v}`' for k, v in machine), '',
             '| part | result | seconds |', '|---|---|---:|',
             *(f"| {o['title']} | {o['status']} | {o['seconds']:.0f} |" for o in parts)]
    for o in parts:
        text = o['text'] if '\n|' in o['text'] else f"```\n{o['text'][-4000:]}\n```"
        lines += ['', f"## {o['title']}", '', '\n'.join(s for s in text.splitlines() if not s.startswith('# '))]
    return '\n'.join(lines) + '\n'


def commands(data, tmp, tiny):
    "`(title, command, its share of the time)`, the most important first"
    python, folder = sys.executable, [data] if data else []
    bench = [python, '-m', 'benchmarks.bench', *folder, *(['--quick'] if tiny else ['--n-photos', '600'])]
    size, bs, secs = (32, 4, 0) if tiny else (128, 64, 60)
    out = lambda name: ['-o', str(Path(tmp)/name)]
    yield 'Tests', [python, '-m', 'pytest', '-m', 'gpu', '-rA', 'tests/test_gpu.py'], .25
    yield 'Speed of a step and of an epoch', [*bench, '--only', 'step,epoch', *out('step.md')], .25
    yield 'A short training', [python, '-c', TRAIN, data or '', *map(str, (size, bs, secs, int(tiny)))], .2
    yield 'Share of the peak', [*bench, '--only', 'peak', *out('peak.md')], .1
    yield 'The best batch size', [*bench, '--only', 'growth', *out('growth.md')], .1
    yield 'Compiling', [*bench, '--only', 'compile', *out('compile.md')], .1


def main(argv=None):
    parser = ArgumentParser('gpu', description=__doc__.splitlines()[0])
    parser.add_argument('photos', nargs='?', help='folder of photos; without it, painted ones')
    parser.add_argument('--wheels', help='folder of wheels for what this Python lacks')
    parser.add_argument('--tiny', action='store_true', help='without a GPU: to see that the report comes')
    parser.add_argument('--only', default='', help='parts by the beginning of their title, separated by commas')
    parser.add_argument('-o', '--out', default=str(ROOT/'benchmarks'/'GPU.md'), help='the file to write')
    args = parser.parse_args(argv)
    try: import torch
    except ImportError: sys.exit('make gpu: this Python has no PyTorch; name one that has: make gpu PYTHON=...')
    if not torch.cuda.is_available() and not args.tiny:
        print('make gpu: there is no GPU here that PyTorch can use, so nothing was run')
        return
    install_missing(args.wheels)
    from benchmarks.measure import machine
    end, parts = time.perf_counter() + LIMIT, []
    with tempfile.TemporaryDirectory() as tmp:
        for title, command, share in commands(args.photos, tmp, args.tiny):
            if args.only and not any(title.startswith(o) for o in args.only.split(',')): continue
            left = end - time.perf_counter()
            parts.append(run(title, command, min(left, share*LIMIT)))
            Path(args.out).write_text(report(parts, machine()), encoding='utf-8') # whatever comes later, this is kept
    print(f'report: {args.out}')
    if any(not o['status'].startswith('passed') for o in parts): sys.exit(1)


if __name__ == '__main__': main()
