"""At which sizes should the photo model look? And which of two networks is better?

    python -m benchmarks.working_sizes PHOTOS MORE_PHOTOS -o benchmarks/working_sizes.csv

Measured on photos of the training folders that the packaged network was not trained on: see `held_out`.
Each row is one choice of sizes, whose predictions are averaged, and one factor on the colours, in which that of its
weights is counted. A paler model errs less, so `equal` is the factor at which the colorfulness of a choice
is 65% of the true one, and only these rows compare sizes fairly. `less` is how much lower their gain is than that of
the packaged sizes on the same photos, and `sem_less` the standard error of this difference.
Two networks are compared by their rows at equal colorfulness: `--model` and `--factor` say which one is measured."""
import argparse
import json
import random

import numpy as np
import pandas as pd

from benchmarks.hints import gray_picture, square, tensor
from benchmarks.photo_model import FACTOR
from colorize_lib.apply.colorizer import Colorizer, weights_file
from colorize_lib.data import load_split
from colorize_lib.engine.metrics import colorfulness, near_gray, psnr
from colorize_lib.lab import normalize_lab, rgb_to_lab
from colorize_lib.photos.pictures import photo_files

SIZES = (128,), (256,), (128, 256), (128, 192, 256), (128, 384)
PACKAGED, EQUAL, REPORTED = (128, 256), .65, (1., FACTOR, 1.08)
FACTORS = .8, .88, .96, 1., FACTOR, 1.08, 1.16, 1.24, 1.32


def watched(files, n_valid, seed):
    "The first photos of a training's order, which it does not train on; of the others, none is decoded but one"
    n_valid = min(n_valid, len(files) - 1)
    return [str(o) for o in load_split(files, 128, 1, n_valid, seed, cache=False)[1].names]


def held_out(first, *more, n_valid=128, seed=0, n_hints=0):
    """Photos of the training folders that the packaged `LiteUnet` was not trained on, as the card describes it

    Its start was trained on most of the first folder, by the plan beside the card. Then `benchmarks.photo_model` held
    `n_valid` photos out of all. Photos that the start had seen are left out of these, and those of the first `n_hints`,
    on which the attention was trained."""
    start, plan = photo_files(first), json.loads(weights_file('grayscale').with_suffix('.plan.json').read_text())
    files = sorted(start + [f for folder in more for f in photo_files(folder)])
    random.Random(seed).shuffle(files)
    seen = {str(f) for f in start} - set(watched(start, plan['n_valid'], plan['seed']))
    seen |= {str(f) for f in files[:n_hints]}
    return [f for f in watched(files, n_valid, seed) if f not in seen]


def rows_of(colorizer, file, factors, inside, choices=SIZES):
    """A row for each choice of sizes and factor: dB over gray and colorfulness of one photo

    `inside` is the factor that the weights hold already. A photo that is nearly gray has no row."""
    truth = square(file)
    gray = gray_picture(normalize_lab(rgb_to_lab(tensor(truth)))[0])
    true, base = tensor(truth), psnr(tensor(gray), tensor(truth)).item()
    if colorfulness(true).item() < near_gray: return
    for sizes in choices:
        colorizer.scales = [o/colorizer.size for o in sizes]
        pred = colorizer.predict(gray)
        for factor in factors:
            found = tensor(colorizer.task.decode(gray.copy(), *pred, factor/inside))
            yield dict(photo=str(file), sizes=sizes, factor=factor, over_gray=psnr(found, true).item() - base,
                       ours=colorfulness(found).item(), truth=colorfulness(true).item())


def at_equal(o):
    "The factor at which one choice of sizes is as colourful as all shall be, and the gain of each photo there"
    wide = o.pivot(index='photo', columns='factor', values=['over_gray', 'ours'])
    share = wide.ours.mean()/o.truth.mean()
    if not share.min() <= EQUAL <= share.max(): raise ValueError(f'no factor of {FACTORS} gives {EQUAL:.0%}')
    factor = np.interp(EQUAL, share, FACTORS)
    return factor, wide.over_gray.apply(lambda row: np.interp(factor, FACTORS, row), axis=1)


def summary(df):
    "A row for each choice of sizes, at the factors that are reported and at equal colorfulness"
    by, equal = df.groupby('sizes', sort=False), {sizes: at_equal(o) for sizes, o in df.groupby('sizes')}
    for sizes, o in by:
        named = dict(sizes=' '.join(map(str, sizes)), photos=o.photo.nunique())
        for factor, at in o[o.factor.isin(REPORTED)].groupby('factor'):
            yield named | dict(factor=factor, equal=False, over_gray=at.over_gray.mean(), sem=at.over_gray.sem(),
                               colorfulness=at.ours.mean()/at.truth.mean())
        factor, gain = equal[sizes]
        less = equal[PACKAGED][1] - gain
        yield named | dict(factor=factor, equal=True, over_gray=gain.mean(), sem=gain.sem(), colorfulness=EQUAL,
                           less=less.mean(), sem_less=less.sem())


def options(name, doc):
    "The command line of what is measured on photos that were held out"
    parser = argparse.ArgumentParser(f'benchmarks.{name}', description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', nargs='+', help='the folders of the training, in its order')
    add('-o', '--out', help='file to write')
    add('--model', default='grayscale', help='a model in the package, or a file')
    add('--n-valid', type=int, default=128, help='photos that the training of the network held out')
    return parser


def main(argv=None):
    parser = options('working_sizes', __doc__)
    parser.add_argument('--factor', type=float, default=FACTOR, help="on colours, in the model's weights")
    args = parser.parse_args(argv)
    colorizer = Colorizer.load(args.model)
    files = held_out(*args.photos, n_valid=args.n_valid)
    df = pd.DataFrame(row for file in files for row in rows_of(colorizer, file, FACTORS, args.factor))
    table = pd.DataFrame(summary(df)).round(4)
    if args.out: table.to_csv(args.out, index=False)
    print(f'{len(files)} photos, {df.photo.nunique()} of them not nearly gray')
    print(table.to_string(index=False))


if __name__ == '__main__': main()
