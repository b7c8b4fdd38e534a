"""Every ratio of speed and memory against a plain reference loop, measured in one run

make bench [DATA=folder of photos]

Writes a Markdown table, and with it benchmarks/RESULTS.md."""
import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd
import torch
from fastai.callback.core import Callback, CancelEpochException
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import ROOT, device, interleaved, machine, matmul_flops, peak_of, seconds
from benchmarks.networks import apart, default, duel, make, make_learner, make_step
from benchmarks.reference import adam, plain_epoch, plain_loader, plain_pass
from colorize_lib.lab import colorize_dls
from colorize_lib.engine.checks import pick_precision
from colorize_lib.engine.speed import held_memory
from colorize_lib.engine.metrics import near_gray
from colorize_lib.photos.pictures import photo_files, photo_name
from colorize_lib.results import evaluate
from colorize_lib.photos.samples import carried_photos, paint_scene
from colorize_lib.training import Recipe, fit_recipe
from colorize_lib.engine.learner import colorize_learner

precisions = list(dict.fromkeys((pick_precision(device), 'fp32')))


class Scale:
    "What is measured, and how large"
    # pixels, batch
    cases = [(64, 16), (128, 8), (256, 4)] if device.type == 'cpu' else [(64, 128), (128, 64), (256, 32)]
    data = [(64, 32), (128, 32), (256, 32), (256, 4)] # the paper's batch, and a small one
    nets, n, photos = ['resnet_unet', 'Unet'], 5, 192 if device.type == 'cpu' else None
    grow_size = 4, [64, 96, 128, 192]
    grow_bs = (64, [2, 4, 8, 16, 32]) if device.type == 'cpu' else (256, [16, 32, 64, 128])
    epochs, flops = cases[1:2] if device.type == 'cpu' else cases, cases[1]
    # pixels of painted photos; loader workers of the reference, which gets the better
    painted, workers = 640, sorted({0, os.cpu_count()}) if device.type == 'cpu' else [8]
    quality = (64, 16, 4, 2) if device.type == 'cpu' else (256, 32, 10, 3) # pixels, batch, epochs, seeds
    matmul, compiling = 4096, [('resnet_unet', *cases[0]), ('Unet', *cases[0])]


class Quick(Scale):
    "Seconds: to see that everything runs; its numbers mean nothing"
    cases, data, nets, n, photos, epochs, flops = [(32, 4)], [(32, 4)], ['tiny Unet'], 2, 12, [(32, 4)], (32, 4)
    grow_size, grow_bs, matmul, compiling = (2, [32]), (32, [2]), 256, []
    painted, workers, quality = 160, [0], (32, 4, 4, 2)


def say(text): print(text, file=sys.stderr, flush=True)


def row(what, unit, reference, ours, note='', less_is_better=False):
    ratio = (reference/ours if less_is_better else ours/reference) if reference and ours else None
    return dict(what=what, unit=unit, reference=reference, ours=ours, ratio=ratio, note=note)


def bench_step(scale, files, tmp):
    "One G+D step of the same networks with the same weights"
    for net in scale.nets:
        for size, bs in scale.cases:
            for p in precisions:
                say(f'step: {net}, {size} px, batch {bs}, {p}')
                ours, ref, _ = duel(net, size, bs, scale.n, p)
                yield row(f'step, {net}, {size} px, batch {bs}, {p}', 'images/s', bs/ref, bs/ours)


def our_dls(files, size, bs, cache):
    "Ours on a folder, with a photo cache of its own: nothing is ready before, nothing is left behind"
    return colorize_dls(files, size, bs, n_valid=1, device=device, cache=cache)


def consume(dl):
    for _ in dl: pass


def bench_data(scale, files, tmp):
    "Batches of (lum, ab) on the device, without any training"
    for size, bs in scale.data:
        say(f'data: {size} px, batch {bs}')
        cache, made = tmp/f'data{size}-{bs}', []
        build = seconds(lambda: made.append(our_dls(files, size, bs, cache))) # noqa: B023
        dls = made[0]
        seen = {f'reference, {w} workers': apart(plain_pass, files, size, bs, w, device) for w in scale.workers}
        best = min(seen, key=seen.get)
        gathered = dls.train.new(after_batch=[])
        passes = dict(ours=lambda: consume(dls.train), gathered=lambda: consume(gathered)) # noqa: B023
        with held_memory(): found = interleaved(scale.n, **passes)
        ours, alone = [found[k]/(len(dls.train)*bs) for k in ('ours', 'gathered')]
        yield row(f'data, {size} px, batch {bs}, the loader alone', 'photos/s', 1/seen[best], 1/alone,
                  f'{best}, with its Lab; ours: cropping, bringing to size and Lab are work of the device')
        yield row(f'data, {size} px, batch {bs}, later epochs', 'photos/s', 1/seen[best], 1/ours, f'{best}')
        yield row(f'data, {size} px, batch {bs}, first epoch', 'photos/s', 1/seen[best],
                  1/(build/len(files) + ours), 'ours: building the cache, then one pass')


class EpochClock(Callback):
    "Seconds of the training half of each epoch; skips validation, which the reference has not"
    order = 100
    def __init__(self): self.seconds, self.photos = [], 0
    def before_train(self): self.photos = 0; self.start = time.perf_counter()
    def after_batch(self): self.photos += len(self.pred)
    def after_train(self):
        if device.type == 'cuda': torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.start)
    def before_validate(self): raise CancelEpochException()


def reference_speed(net, size, bs, files, workers):
    "Photos a second in an epoch of the reference, from files"
    n, secs = plain_epoch(*make(net, size), plain_loader(files, size, bs, workers), device)
    return n/secs


def reference_trained(net, size, bs, files, epochs, seed):
    "`(seconds, weights)` of a generator that the reference has trained"
    G, D = make(net, size, seed)
    opts, loader = (adam(G), adam(D)), plain_loader(files, size, bs)
    took = sum(plain_epoch(G, D, loader, device, opts)[1] for _ in range(epochs))
    return took, {k: v.cpu().numpy() for k, v in G.state_dict().items()}


def bench_epoch(scale, files, tmp):
    "A whole epoch on a folder of photos, from files to trained networks"
    for size, bs in scale.epochs: yield from epoch_rows(scale, files, tmp, size, bs)

def epoch_rows(scale, files, tmp, size, bs):
    net = scale.nets[0]
    # the better one, by a trial of 16 batches
    w = max(scale.workers, key=lambda w: apart(reference_speed, net, size, bs, files[:16*bs], w))
    say(f'epoch: reference, {len(files)} photos, {size} px, {w} workers')
    reference = apart(reference_speed, net, size, bs, files, w)
    for ours_net, what in ((net, 'the same networks'),
                           (scale.nets[-1] if scale is Quick else default, "the library's default")):
        say(f'epoch: {what} ({ours_net})')
        start = time.perf_counter()
        dls = our_dls(files, size, bs, tmp/f'epoch{size}{ours_net}{what[:3]}')
        ready = time.perf_counter() - start
        (learn, gan), clock = make_learner(ours_net, dls), EpochClock()
        with learn.no_bar(), learn.no_logging(): learn.fit(2, 1e-4, cbs=[gan, clock])
        note = f'{ours_net}; reference: {net}, {w} workers'
        yield row(f'epoch, {size} px, batch {bs}, {what}, first', 'photos/s',
                  reference, clock.photos/(ready + clock.seconds[0]), note)
        yield row(f'epoch, {size} px, batch {bs}, {what}, later',
                  'photos/s', reference, clock.photos/clock.seconds[1], note)


def quality(learn, took):
    "What a colorizer reaches on photos it has not seen, those that have colour; and how long it took to get there"
    df = evaluate(learn, names=['ssim', 'l1_ab', 'auc_rebalanced', 'colorfulness'])
    mean = df[df.colorfulness_true >= near_gray].mean(numeric_only=True)
    return dict(mean, share=100*mean.colorfulness/mean.colorfulness_true, took=took)


def bench_quality(scale, files, tmp):
    """The same photos and epochs, some seeds: the reference, the same networks trained by ours, and the library's
    default, half of its epochs L1 alone"""
    (size, bs, epochs, seeds), net = scale.quality, scale.nets[0]
    default_net = scale.nets[-1] if scale is Quick else default
    dls = colorize_dls(files, size, bs, device=device, cache=tmp/'quality')
    path = {photo_name(f): f for f in files}
    to_train = [path[name] for name in dls.train.dataset.names]
    two_stages = Recipe(size, bs, epochs_l1=epochs//2, epochs_gan=epochs - epochs//2, lr=2e-4)
    ours = {'the same networks': (net, Recipe(size, bs, epochs_gan=epochs)),
            "the library's default": (default_net, two_stages)}
    found = {side: [] for side in ('reference', *ours)}
    for seed in range(seeds):
        say(f'quality: seed {seed}, reference, {len(to_train)} photos, {epochs} epochs')
        took, weights = apart(reference_trained, net, size, bs, to_train, epochs, seed)
        G = make(net, size)[0]
        G.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        found['reference'].append(quality(colorize_learner(dls, G, precision='fp32'), took))
        for what, (ours_net, recipe) in ours.items():
            say(f'quality: seed {seed}, {what} ({ours_net})')
            learn, gan = make_learner(ours_net, dls, seed=seed)
            with learn.no_bar(), learn.no_logging():
                took = seconds(lambda: fit_recipe(learn, recipe, gan.discriminator)) # noqa: B023
            found[what].append(quality(learn, took))
    found = {side: pd.DataFrame(o) for side, o in found.items()}
    reference = found['reference']
    for what, (ours_net, _) in ours.items():
        name, frames = f'quality, {size} px, batch {bs}, {what}', (reference, found[what])
        note = (f'{ours_net}; reference: {net}; {epochs} epochs of {len(to_train)} photos; '
                f'means of {seeds} seeds, lowest to highest')
        yield row(f'{name}, time', 's', *(o.took.mean() for o in frames), note, less_is_better=True)
        for k, metric, unit in (('psnr', 'PSNR', 'dB'), ('ssim', 'SSIM', ''),
                                ('l1_ab', 'mean error in a* and b*', 'CIE units'),
                                ('auc_rebalanced', 'rebalanced AuC', ''),
                                ('share', "colorfulness, share of the ground truth's", '%')):
            gray = f'; gray {number(reference[f"{k}_gray"].mean())}' if k != 'share' else ''
            spread = ' and '.join(f'{number(o[k].min())} to {number(o[k].max())}' for o in frames)
            yield row(f'{name}, {metric}', unit, *(o[k].mean() for o in frames), spread + gray) | dict(ratio=None)


def memory_row(what, net, size, bs):
    (ref, start), (ours, ours_start) = [peak_of(side, net, size, bs) for side in ('reference', 'ours')]
    return row(what, 'MB', ref, ours,
               f'of which before the first step {start:.0f} and {ours_start:.0f}', less_is_better=True)


def bench_memory(scale, files, tmp):
    "Peak memory of two steps, each side in a process of its own"
    for net in scale.nets:
        for size, bs in scale.cases:
            say(f'memory: {net}, {size} px')
            yield memory_row(f'memory, {net}, {size} px, batch {bs}', net, size, bs)


def bench_growth(scale, files, tmp):
    "How speed and memory grow with size, and with batch"
    (bs, sizes), (size, batches) = scale.grow_size, scale.grow_bs
    for size, bs, what in [(s, bs, 'size') for s in sizes] + [(size, b, 'batch') for b in batches]:
        say(f'growth with {what}: {size} px, batch {bs}')
        ours, ref, _ = duel(scale.nets[0], size, bs, max(2, scale.n//2))
        yield row(f'growth with {what}, {size} px, batch {bs}', 'images/s', bs/ref, bs/ours)
        if scale is not Quick: yield memory_row(f'growth with {what}, {size} px, batch {bs}', scale.nets[0], size, bs)


def step_flops(net, size):
    "FLOPs of one G+D step, an image"
    step, bs = make_step(net, size), 2
    with FlopCounterMode(display=False) as counter:
        step(*[torch.rand(bs, c, size, size, device=device) for c in (1, 2)])
    return counter.get_total_flops()/bs


def bench_peak(scale, files, tmp):
    "The share of what this machine can do, by a matmul in the same precision, in the same minute"
    size, bs = scale.flops
    peaks = {p: matmul_flops({'bf16': torch.bfloat16, 'fp16': torch.float16}.get(p, torch.float32), scale.matmul)
             for p in dict.fromkeys((*precisions, 'fp32', 'bf16'))}
    for p, (flops, n) in peaks.items(): yield row(f'matmul {n}, {p}', 'GFLOP/s', None, flops/1e9)
    for net in scale.nets:
        say(f'peak: {net}')
        flops = step_flops(net, size)
        ours, ref, _ = duel(net, size, bs, scale.n)
        yield row(f'share of peak, {net}, {size} px, batch {bs}', '%',
                  100*flops*bs/ref/peaks['fp32'][0], 100*flops*bs/ours/peaks[precisions[0]][0],
                  f'{flops/1e9:.1f} GFLOP an image; reference of fp32, ours of {precisions[0]}')


def bench_compile(scale, files, tmp):
    "torch.compile of the generator: off (reference) and on (ours); forward and backward"
    from colorize_lib.engine.speed import compiled
    for net, size, bs in scale.compiling:
        say(f'compile: {net}, {size} px')
        x = torch.rand(bs, 1, size, size, device=device).to(memory_format=torch.channels_last)
        def run(G, x=x):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precisions[0] != 'fp32'): y = G(x)
            y.float().abs().mean().backward()
        off, on = [make(net, size)[0].to(memory_format=torch.channels_last) for _ in range(2)]
        took = seconds(lambda: run(compiled(on))) # noqa: B023
        with held_memory(): found = interleaved(scale.n, off=lambda: run(off), on=lambda: run(on)) # noqa: B023
        failed = getattr(on, '_compiled_call_impl', None) is None
        yield row(f'torch.compile off and on, {net}, {size} px, batch {bs}',
                  'images/s', bs/found['off'], None if failed else bs/found['on'],
                  'failed, went on without' if failed else f'compiled in {took:.0f} s')


parts = dict(step=bench_step, data=bench_data, epoch=bench_epoch, quality=bench_quality,
             memory=bench_memory, growth=bench_growth, peak=bench_peak, compile=bench_compile)


def quietly(rows):
    "What the library prints meanwhile (progress bars) is no result: to stderr"
    while True:
        with redirect_stdout(sys.stderr): r = next(rows, None)
        if r is None: return
        yield r

def number(x): return '' if x is None else f'{x:,.0f}' if x >= 100 else f'{x:.3g}'

def table(rows):
    lines = ['| what | unit | reference | ours | ratio | |', '|---|---|---:|---:|---:|---|']
    ratio = lambda o: '' if o is None else f'**{o:.2f}**'
    for r in rows:
        cells = r['what'], r['unit'], number(r['reference']), number(r['ours']), ratio(r['ratio']), r['note']
        lines.append(f"| {' | '.join(cells)} |")
    return '\n'.join(lines)


def painted_folder(folder, n, size):
    "JPEG photos by code: the photos that packages carry, and painted scenes"
    for i in range(n): paint_scene(i, size).save(folder/f'scene{i:04d}.jpg', quality=90)
    for p in carried_photos(): shutil.copy(p, folder)


def report(rows, files, seconds_all):
    about = '\n'.join(f'- {k}: `{v}`' for k, v in machine())
    return ('# Results of `make bench`\n\nA ratio above 1 is in our favour; for memory as well. '
            f'Reference and ours alternate in one run, each in a process of its own.\n\n{about}\n'
            f'- {files}, {seconds_all/60:.0f} minutes in all\n\n{table(rows)}\n')


def main(argv=None):
    parser = ArgumentParser('bench', description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument('photos', nargs='?', help='folder of photos; without it, painted ones')
    parser.add_argument('--quick', action='store_true', help='seconds, with tiny networks: only to see that it runs')
    parser.add_argument('--only', default=','.join(parts), help='parts to measure')
    parser.add_argument('--n-photos', type=int,
                        help='at most so many photos; default: all of the folder, some hundred painted ones')
    parser.add_argument('-o', '--out', default=str(ROOT/'benchmarks'/'RESULTS.md'), help='the file to write')
    args = parser.parse_args(argv)
    if unknown := [o for o in args.only.split(',') if o not in parts]:
        parser.error(f"--only {','.join(unknown)}: choose from {', '.join(parts)}")
    scale, start, rows = Quick if args.quick else Scale, time.perf_counter(), []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        (tmp/'photos').mkdir()
        n = args.n_photos or (scale.photos if scale is Quick or not args.photos else None)
        if not args.photos: painted_folder(tmp/'photos', n or 1000, scale.painted)
        try: files = photo_files(args.photos or tmp/'photos')[:n]
        except (OSError, ValueError) as e: sys.exit(f'bench: {e}')
        for name in args.only.split(','):
            for r in quietly(parts[name](scale, files, tmp)):
                rows.append(r)
                say('  ' + '  '.join(f'{k} {number(r[k])}' for k in ('reference', 'ours', 'ratio'))
                    + f" {r['unit']} {r['note']}")
    what = 'photos of a folder' if args.photos else f'painted photos of {scale.painted} pixels'
    text = report(rows, f"{len(files)} {what}", time.perf_counter() - start)
    Path(args.out).write_text(text, encoding='utf-8')
    print(text)


if __name__ == '__main__': main()
