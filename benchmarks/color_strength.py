"""How strong should the photo model's colours be?

    python -m benchmarks.color_strength PHOTOS MORE_PHOTOS --like imagenet coco --model NEW --before OLD
    python -m benchmarks.mean_weights NEW --factor FACTOR -o stronger.safetensors

The aim is 65% of the true colorfulness on photos that nobody has looked at. Which share a model has depends on the kind
of photo, so it is measured on photos of the first folder of the training, of the kinds on which the card reports.
A network is bolder on photos that it was trained on. How much, is measured against the network from which its training
began, `--before`: how much more have its colours grown on training photos than on photos that were held out?
That is taken away. The factor is the lowest at which what is left is 65% and two standard errors more."""
import argparse
import random

import numpy as np
import pandas as pd

from benchmarks.working_sizes import EQUAL, PACKAGED, held_out, rows_of
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.photos.pictures import photo_files

FACTORS = .84, .88, .92, .96, 1., 1.04, 1.08, 1.12, 1.16


def share_of(o):
    "The mean colorfulness over that of the truth, and the standard error of this ratio"
    share = o.ours.mean()/o.truth.mean()
    return pd.Series(dict(over_gray=o.over_gray.mean(), share=share,
                          sem_share=(o.ours - share*o.truth).sem()/o.truth.mean()))


def growth(new, old):
    "How many times as colourful as `old` the model `new` is on the same photos, and the relative standard error"
    new, old = new.set_index('photo').ours, old.set_index('photo').ours
    ratio = new.mean()/old.mean()
    return ratio, (new - ratio*old).sem()/new.mean()


def boldness(seen, held):
    "How much more colours have grown on photos that were trained on than on others, and the relative standard error"
    return seen[0]/held[0], np.hypot(seen[1], held[1])


def strong_enough(shares, bolder=(1., 0.), aim=EQUAL):
    "The lowest factor at which the share on photos not trained on is `aim`, with two standard errors to spare"
    share = shares.share/bolder[0]
    surely = share*(1 - 2*np.hypot(shares.sem_share/shares.share, bolder[1]))
    if not surely.iloc[0] <= aim <= surely.iloc[-1]: raise ValueError(f'no factor of {FACTORS} gives {aim:.0%}')
    return np.interp(aim, surely, shares.index)


def options():
    parser = argparse.ArgumentParser('benchmarks.color_strength', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', nargs='+', help='the folders of the training, in its order')
    add('--like', nargs='+', default=[''], help='how the names of the photos begin')
    add('--model', default='grayscale', help='a model in the package, or a file')
    add('--before', required=True, help='the model from which its training began')
    add('--n-seen', type=int, default=300, help='photos of the training, by lot')
    add('--n-valid', type=int, default=128, help='photos that the training held out')
    return parser


def main(argv=None):
    args = options().parse_args(argv)
    colorizers = [Colorizer.load(o) for o in (args.model, args.before)]
    def measured(files, colorizer, factors=(1.,)):
        factors = {o: o for o in factors}
        return pd.DataFrame(row for file in files for row in rows_of(colorizer, file, factors, [PACKAGED]))
    held = held_out(*args.photos, n_valid=args.n_valid)
    seen = sorted(str(f) for folder in args.photos for f in photo_files(folder))
    random.Random(5).shuffle(seen)
    seen = [f for f in seen if f not in held][:args.n_seen]
    grown = []
    for name, files in (('trained on', seen), ('held out', held)):
        new, old = [measured(files, o) for o in colorizers]
        grown.append(growth(new, old))
        for which, df in (('new', new), ('old', old)):
            o = share_of(df)
            print(f'{len(df)} photos {name}, {which} model: {o.over_gray:+.2f} dB over gray at {o.share:.1%}')
        print('colours have grown by {:.3f}, ± {:.3f}'.format(*grown[-1]))
    bolder = boldness(*grown)
    print('bolder on photos that were trained on by {:.3f}, ± {:.3f}'.format(*bolder))
    files = [f for f in photo_files(args.photos[0]) if f.name.startswith(tuple(args.like))]
    df = measured(files, colorizers[0], FACTORS)
    shares = df.groupby('factor').apply(share_of, include_groups=False)
    print(f'{df.photo.nunique()} photos of the kinds that count')
    print(shares.round(4).to_string())
    print(f'the lowest factor that surely gives {EQUAL:.0%}: {strong_enough(shares, bolder):.3f}')


if __name__ == '__main__': main()
