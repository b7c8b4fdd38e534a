"""How strong should the photo model's colours be?

    python -m benchmarks.color_strength PHOTOS --like imagenet coco --model mean.safetensors
    python -m benchmarks.mean_weights mean.safetensors --factor FACTOR -o stronger.safetensors

The aim is 65% of the true colorfulness on photos that nobody has looked at. Which share a model has depends more on the
kind of photo than on whether the model has seen it: so it is measured on photos of the training folder, of the kinds
on which the card reports. The factor is the lowest at which their share is 65% and two standard errors more."""
import argparse

import numpy as np
import pandas as pd

from benchmarks.working_sizes import EQUAL, PACKAGED, rows_of
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.photos.pictures import photo_files

FACTORS = .84, .88, .92, .96, 1., 1.04, 1.08, 1.12, 1.16


def share_of(o):
    "The mean colorfulness over that of the truth, and the standard error of this ratio"
    share = o.ours.mean()/o.truth.mean()
    return pd.Series(dict(over_gray=o.over_gray.mean(), share=share,
                          sem_share=(o.ours - share*o.truth).sem()/o.truth.mean()))


def strong_enough(shares, aim=EQUAL):
    "The lowest factor at which the share is at least `aim`, with two standard errors to spare"
    surely = shares.share - 2*shares.sem_share
    if not surely.iloc[0] <= aim <= surely.iloc[-1]: raise ValueError(f'no factor of {FACTORS} gives {aim:.0%}')
    return np.interp(aim, surely, shares.index)


def options():
    parser = argparse.ArgumentParser('benchmarks.color_strength', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', help='folder')
    add('--like', nargs='+', default=[''], help='how the names of the photos begin')
    add('--model', default='grayscale', help='a model in the package, or a file')
    return parser


def main(argv=None):
    args = options().parse_args(argv)
    files = [f for f in photo_files(args.photos) if f.name.startswith(tuple(args.like))]
    colorizer, factors = Colorizer.load(args.model), {o: o for o in FACTORS}
    df = pd.DataFrame(row for file in files for row in rows_of(colorizer, file, factors, [PACKAGED]))
    shares = df.groupby('factor').apply(share_of, include_groups=False)
    print(f'{df.photo.nunique()} photos that are not nearly gray')
    print(shares.round(4).to_string())
    print(f'the lowest factor that surely gives {EQUAL:.0%}: {strong_enough(shares):.3f}')


if __name__ == '__main__': main()
