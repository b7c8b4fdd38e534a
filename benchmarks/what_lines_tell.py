"""How much of a photo its drawing determines, in a wide domain and in a narrow one

    python -m benchmarks.what_lines_tell --wide PHOTOS --narrow PHOTOS_OF_ONE_KIND -o benchmarks/what_lines_tell.csv

Each photo is drawn in each style. From the lines, a linear regression predicts L*, a* and b* on a grid of 64x64,
of the photo and of its illustration. The share of the variance that it explains, on photos that it was not fitted to,
is a lower bound of what lines tell: a trained network may find more, but this one is fitted at once and in the same way
everywhere. How strongly its weights are held back, the ridge, is chosen on a quarter of the photos for fitting. It sees
lines in two ways: `near`, the ink around each place at several widths, and `encoder`, also what an EfficientNet-Lite0
that was trained on ImageNet makes of the whole drawing.

    python -m benchmarks.what_lines_tell --wide PHOTOS --unseen OTHER_PHOTOS --style outline

How much would more photos help? The same regression, fitted to 100, 200, 400, ... of them: what it gains in RGB over
each illustration's own mean colour, on photos of another folder."""
import argparse
import random
from itertools import product

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from benchmarks.hints import square, tensor
from colorize_lib.lab import rgb_to_lab
from colorize_lib.networks.lite_unet import Lite0, load_imagenet
from colorize_lib.photos.pictures import photo_files
from colorize_lib.sketch.illustration import illustrate
from colorize_lib.sketch.sketch import gaussian_blur, styles, to_sketch


def near(lines):
    "Ink at several widths, on a grid of 64x64, and the place: `(B,8,64,64)`"
    ink = F.avg_pool2d(1 - lines, 4)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 64)]*2, indexing='ij')
    place = torch.stack([y, x]).expand(len(lines), -1, -1, -1)
    return torch.cat([ink, *(gaussian_blur(ink, sigma) for sigma in (.5, 1, 2, 4, 8)), place], 1)


def taken(maps, at):
    "Maps `(B,C,h,w)` of any size at places `(B,n,2)` from -1 to 1: `(B,n,C)`"
    return F.grid_sample(maps, at[:, None], padding_mode='border', align_corners=False)[:, :, 0].transpose(1, 2)


def solved(x, y, ridge):
    "Ridge regression of `y` `(n,c)` on `x` `(n,C)`: a function"
    mean, std, level = x.mean(0), x.std(0) + 1e-3, y.mean(0)
    z = (x - mean)/std
    weights = torch.linalg.solve((z.T @ z).double() + ridge*len(z)*torch.eye(z.shape[1]), (z.T @ (y - level)).double())
    return lambda new: (new - mean)/std @ weights.float() + level


def share(predict, x, y, level): return 1 - ((predict(x) - y).pow(2).sum()/(level - y).pow(2).sum()).item()


def explained(x, y, n_fit):
    """The share of the variance of `y` that `x` explains on photos after the first `n_fit`, and the ridge
    which was the best one for a quarter of those when it was fitted to the others"""
    def rows(o, start, stop): return o[start:stop].flatten(0, 1)
    def fit(stop, ridge): return solved(rows(x, 0, stop), rows(y, 0, stop), ridge)
    def of(predict, start, stop):
        return share(predict, rows(x, start, stop), rows(y, start, stop), rows(y, 0, start).mean(0))
    part = n_fit*3//4
    ridge = max((.003, .03, .3, 3, 30), key=lambda o: of(fit(part, o), part, n_fit))
    return of(fit(n_fit, ridge), n_fit, len(x)), ridge


@torch.no_grad()
def samples(files, places=60, bs=10):
    "At random places of each photo, for each style: features `(photos,places,C)`, and Lab of each target"
    encoder, rng = load_imagenet(Lite0()).eval(), np.random.default_rng(0)
    found = {k: dict(x=[], photo=[], illustration=[]) for k in styles}
    for i in range(0, len(files), bs):
        photos = torch.cat([tensor(square(f)) for f in files[i:i + bs]])
        at = torch.from_numpy((rng.integers(0, 64, (len(photos), places, 2))*2 + 1)/64 - 1).float()
        for style, mine in found.items():
            lines = to_sketch(photos, style)
            mine['x'].append(torch.cat([taken(o, at) for o in (near(lines), *encoder(lines*2 - 1))], 2))
            for k, target in (('photo', photos), ('illustration', illustrate(photos, lines))):
                mine[k].append(taken(F.avg_pool2d(rgb_to_lab(target), 4), at))
    return {style: {k: torch.cat(v) for k, v in mine.items()} for style, mine in found.items()}


@torch.no_grad()
def in_rgb(files, style, places, bs=10):
    "At random places: features of the lines, and illustrations in RGB; and the illustrations' mean colours"
    encoder, rng, found = load_imagenet(Lite0()).eval(), np.random.default_rng(0), []
    for i in range(0, len(files), bs):
        photos = torch.cat([tensor(square(f)) for f in files[i:i + bs]])
        at = torch.from_numpy((rng.integers(0, 64, (len(photos), places, 2))*2 + 1)/64 - 1).float()
        lines = to_sketch(photos, style)
        target = F.avg_pool2d(illustrate(photos, lines), 4)
        x = torch.cat([taken(o, at) for o in (near(lines), *encoder(lines*2 - 1))], 2)
        found.append((x.half(), taken(target, at), target.mean((2, 3)))) # half: there may be many photos
    return [torch.cat(o) for o in zip(*found)]


def learning(files, unseen, style, ridge=.3, first=100):
    "dB over each illustration's own mean colour, by the number of photos that the regression was fitted to"
    (x, y, _), (seen, truth, own) = in_rgb(files, style, 40), in_rgb(unseen, style, 400)
    constant = (truth - own[:, None]).pow(2).mean((1, 2))
    for n in (first*2**k for k in range(20) if first*2**k <= len(files)):
        predict = solved(x[:n].float().flatten(0, 1), y[:n].flatten(0, 1), ridge)
        error = (predict(seen.float().flatten(0, 1)).view_as(truth).clamp(0, 1) - truth).pow(2).mean((1, 2))
        gain = 10*(constant/error).log10().mean().item()
        yield dict(style=style, fitted=n, measured=len(unseen), gain=round(gain, 2))


def rows(domain, files, n_fit):
    found = samples(files)
    for style, target in product(styles, ('photo', 'illustration')):
        x, y = found[style]['x'], found[style][target]
        for sees, part in (('near', x[..., :8]), ('encoder', x)):
            lightness, colour = (explained(part, o, n_fit)[0] for o in (y[..., :1], y[..., 1:]))
            row = dict(domain=domain, style=style, target=target, sees=sees, fitted=n_fit, measured=len(x) - n_fit,
                       lightness=round(lightness, 3), colour=round(colour, 3))
            print(*row.values(), flush=True)
            yield row


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.what_lines_tell', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--wide', nargs='+', required=True, help='folders of photos of everything')
    add('--narrow', nargs='+', help='folders of photos of one kind of thing')
    add('--unseen', help='a folder of other photos: show what more photos of the wide domain are worth')
    add('--style', choices=styles, default='outline', help='of lines, for --unseen')
    add('-n', type=int, default=1350, help='photos of each domain; a quarter of them is for measuring')
    add('-o', '--out', help='CSV file')
    args = parser.parse_args(argv)
    if bool(args.narrow) == bool(args.unseen): parser.error('either --narrow or --unseen is needed')
    found = []
    for domain in ('wide', 'narrow') if args.narrow else ('wide',):
        files = sorted(f for folder in getattr(args, domain) for f in photo_files(folder))
        random.Random(0).shuffle(files)
        files = files[:args.n]
        if args.narrow: found += rows(domain, files, len(files)*3//4)
        else:
            for row in learning(files, photo_files(args.unseen), args.style):
                print(*row.values(), flush=True)
                found.append(row)
    table = pd.DataFrame(found)
    if args.out: table.to_csv(args.out, index=False)


if __name__ == '__main__': main()
