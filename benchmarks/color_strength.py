"""How strong should the photo model's colours be?

    python -m benchmarks.color_strength PHOTOS MORE_PHOTOS --like imagenet coco -o benchmarks/color_strength.csv

The aim is 65% of the true colorfulness on photos that nobody has looked at. Which share a model has depends on the kind
of photo, so it is measured on photos of the first folder of the training that are of the kinds on which the card
reports: `--like` says how their names begin. The factor is the one at which they have 65%, and two standard errors
more. The network was trained on these photos. Whether that makes it bolder, other lines show: 300 photos of the
training by lot, beside those that were held out."""
import argparse
import random

import numpy as np
import pandas as pd

from benchmarks.photo_model import FACTOR
from benchmarks.working_sizes import EQUAL, PACKAGED, held_out, rows_of
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.photos.pictures import photo_files

TRIED = .88, .92, .96, 1., FACTOR, 1.08, 1.12, 1.16, 1.2


def ratio_of(a, b):
    "The mean of `a` over that of `b`, and the standard error of this ratio"
    ratio = a.mean()/b.mean()
    return ratio, (a - ratio*b).sem()/b.mean()


def share_of(o):
    "Of some photos, the mean colorfulness over that of the truth, and the standard error of this ratio"
    share, sem = ratio_of(o.ours, o.truth)
    return pd.Series(dict(photos=o.photo.nunique(), over_gray=o.over_gray.mean(), share=share, sem_share=sem))


def strong_enough(shares, aim=EQUAL):
    "The factor at which the share is `aim`, with two standard errors to spare"
    surely = shares.share - 2*shares.sem_share
    if not surely.iloc[0] <= aim <= surely.iloc[-1]: raise ValueError(f'no factor of {TRIED} just gives {aim:.0%}')
    return np.interp(aim, surely, shares.index)


def options():
    parser = argparse.ArgumentParser('benchmarks.color_strength', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', nargs='+', help='the folders of the training, in its order')
    add('-o', '--out', help='file to write')
    add('--like', nargs='+', default=[''], help='how the names of the photos begin')
    add('--model', default='grayscale', help='a model in the package, or a file')
    add('--factor', type=float, default=FACTOR, help="on colours, in the model's weights")
    add('--n-seen', type=int, default=300, help='photos of the training, by lot')
    add('--n-valid', type=int, default=128, help='photos that the training held out')
    return parser


def main(argv=None):
    args = options().parse_args(argv)
    colorizer = Colorizer.load(args.model)
    held = held_out(*args.photos, n_valid=args.n_valid)
    seen = sorted(str(f) for folder in args.photos for f in photo_files(folder))
    random.Random(5).shuffle(seen)
    seen = [f for f in seen if f not in held][:args.n_seen]
    kinds = [f for f in photo_files(args.photos[0]) if f.name.startswith(tuple(args.like))]
    rows = [dict(row, of=of) for of, files, factors in (('trained on', seen, [FACTOR]), ('held out', held, [FACTOR]),
                                                        ('of the kinds', kinds, TRIED))
            for file in files for row in rows_of(colorizer, file, factors, args.factor, [PACKAGED])]
    shares = pd.DataFrame(rows).groupby(['of', 'factor'], sort=False).apply(share_of, include_groups=False)
    if args.out: shares.round(4).to_csv(args.out)
    print(shares.round(4).to_string())
    print(f'the lowest factor that surely gives {EQUAL:.0%}: {strong_enough(shares.loc["of the kinds"]):.3f}')


if __name__ == '__main__': main()
