"""Is the packaged photo model worth replacing, and are its colours stronger on photos that it was trained on?

    python -m benchmarks.fresh_training split PHOTOS MORE_PHOTOS -o FOLDER
    python -m benchmarks.photo_model FOLDER/trained --start '' -o RUN
    python -m benchmarks.fresh_training measure FOLDER --models RUN/generator.safetensors

The packaged network was trained on nearly all photos of the first folder. So other networks are trained that never see
`FOLDER/kinds`: every sixth photo of this folder of the kinds on which the card reports. Nor do they see `FOLDER/held`,
the photos that the packaged network was not trained on. There, both are compared.
Are colours stronger on photos that a network knows? `ratio` is the share of the true colorfulness on `FOLDER/known`,
the other photos of these kinds, divided by that on `kinds`. `beside` is this ratio divided by that of the packaged
network, which was trained on both: how the photos of the two folders differ falls out of it."""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.color_strength import ratio_of, share_of, strong_enough
from benchmarks.working_sizes import FACTORS, PACKAGED, at_equal, held_out, rows_of
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.photos.pictures import photo_files

MEASURED = 'held', 'kinds', 'known'


def split(args):
    "Folders of links: `MEASURED`, `trained` (all but `held` and `kinds`), and `first`, its part of the first folder"
    held = held_out(*args.photos, n_valid=args.n_valid)
    first, *more = [[str(f) for f in photo_files(folder)] for folder in args.photos]
    alike = [f for f in first if Path(f).name.startswith(tuple(args.like)) and f not in held]
    kinds, away = alike[::6], {*held, *alike[::6]}
    left = [f for f in first if f not in away]
    others = [f for files in more for f in files if f not in away]
    folders = dict(held=held, kinds=kinds, known=[f for f in alike if f not in away], first=left, trained=left + others)
    for name, files in folders.items():
        folder = Path(args.out)/name
        folder.mkdir(parents=True)
        for f in files: (folder/f'{Path(f).parent.name}_{Path(f).name}').symlink_to(Path(f).resolve())
        print(f'{folder}: {len(files)} photos')


def report(df):
    """A row for each model and folder: as it is, and at equal colorfulness its lead over the packaged one

    `left out` is `held` and `kinds` together, by which one of several new networks is chosen."""
    df = pd.concat([df, df[df.of != 'known'].assign(of='left out')])
    equal = {key: at_equal(o) for key, o in df.groupby(['model', 'of'], sort=False)}
    for (model, name), (factor, gain) in equal.items():
        lead = gain - equal['grayscale', name][1]
        as_is = share_of(df[(df.model == model) & (df.of == name) & (df.factor == 1)])
        yield dict(model=model, of=name, **as_is, equal_factor=factor, equal_gain=gain.mean(), lead=lead.mean(),
                   sem_lead=lead.sem())


def bolder(df, model):
    "By how much the colours of a model are stronger on photos that it knows, alone and beside the packaged one"
    at_1 = df[df.factor == 1].set_index('photo')
    def ours(model, of): return at_1[(at_1.model == model) & (at_1.of == of)]
    row = dict(model=model)
    for name, than in (('ratio', lambda of: ours(model, of).truth), ('beside', lambda of: ours('grayscale', of).ours)):
        (known, a), (kinds, b) = (ratio_of(ours(model, of).ours, than(of)) for of in ('known', 'kinds'))
        row |= {name: known/kinds, f'sem_{name}': known/kinds*np.hypot(a/known, b/kinds)}
    return row


def measure(args):
    rows = []
    for model in ['grayscale', *args.models]:
        colorizer, label = Colorizer.load(model), Path(model).parent.name or model
        for of in MEASURED:
            for file in photo_files(Path(args.folder)/of):
                rows += [dict(row, model=label, of=of) for row in rows_of(colorizer, file, FACTORS, 1., [PACKAGED])]
    df = pd.DataFrame(rows)
    table = pd.DataFrame(report(df)).round(4)
    if args.out: table.to_csv(args.out, index=False)
    print(table.to_string(index=False))
    print(pd.DataFrame(bolder(df, model) for model in df.model.unique()[1:]).round(3).to_string(index=False))
    for model, o in df[df.of == 'known'].groupby('model', sort=False):
        shares = o.groupby('factor').apply(share_of, include_groups=False)
        print(f'{model}: on `known`, the lowest factor that surely gives 65% is {strong_enough(shares):.3f}')


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.fresh_training', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    parse = commands.add_parser('split', help='make the folders')
    parse.add_argument('photos', nargs='+', help='the folders of the training of the packaged network, in its order')
    parse.add_argument('-o', '--out', required=True, help='folder to make')
    parse.add_argument('--like', nargs='+', default=['imagenet', 'coco'], help='how the names of the kinds begin')
    parse.add_argument('--n-valid', type=int, default=128, help='photos that the training of the network held out')
    parse.set_defaults(run=split)
    parse = commands.add_parser('measure', help='compare networks with the packaged one')
    parse.add_argument('folder', help='what `split` made')
    parse.add_argument('--models', nargs='+', required=True, help='files of weights; their folders are their names')
    parse.add_argument('-o', '--out', help='file to write')
    parse.set_defaults(run=measure)
    args = parser.parse_args(argv)
    args.run(args)


if __name__ == '__main__': main()
