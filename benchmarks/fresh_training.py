"""Is the packaged photo model worth replacing, and are its colours stronger on photos that it was trained on?

    python -m benchmarks.fresh_training split PHOTOS MORE_PHOTOS -o FOLDER
    python -m benchmarks.photo_model FOLDER/trained -o RUN --start ''
    python -m benchmarks.fresh_training measure FOLDER --models RUN/generator.safetensors

The packaged network was trained on nearly all photos of the first folder. So a network with a new decoder is trained,
which never sees `FOLDER/kinds`: every sixth photo of this folder of the kinds on which the card reports. Nor does it
see `FOLDER/held`, the photos that the packaged network was not trained on: there the two are compared."""
import argparse
from pathlib import Path

import pandas as pd

from benchmarks import working_sizes
from benchmarks.color_strength import share_of
from benchmarks.working_sizes import PACKAGED, at_equal, held_out, rows_of
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.photos.pictures import photo_files


def split(args):
    "Folders of links: `held`, `kinds`, `known` (the other photos of these kinds), and `trained`, all but the first two"
    held = held_out(*args.photos, n_valid=args.n_valid)
    alike = [str(f) for f in photo_files(args.photos[0]) if f.name.startswith(tuple(args.like)) and str(f) not in held]
    kinds = alike[::6]
    away = set(held) | set(kinds)
    trained = [str(f) for folder in args.photos for f in photo_files(folder) if str(f) not in away]
    for name, files in dict(held=held, kinds=kinds, known=sorted(set(alike) - away), trained=trained).items():
        folder = Path(args.out)/name
        folder.mkdir(parents=True)
        for f in files: (folder/f'{Path(f).parent.name}_{Path(f).name}').symlink_to(Path(f).resolve())
        print(f'{folder}: {len(files)} photos')


def measure(args):
    "Each model on each of the three folders, and its lead over the packaged one on `held` at equal colorfulness"
    rows = []
    for model in ['grayscale', *args.models]:
        colorizer = Colorizer.load(model)
        for name in ('held', 'kinds', 'known'):
            files = photo_files(Path(args.folder)/name)
            found = [r for f in files for r in rows_of(colorizer, f, working_sizes.FACTORS, 1., [PACKAGED])]
            rows += [dict(r, model=model, of=name) for r in found]
    df = pd.DataFrame(rows)
    if args.out: df.drop(columns='sizes').round(4).to_csv(args.out, index=False)
    equal = {key: at_equal(o) for key, o in df.groupby(['model', 'of'])}
    for (model, name), (factor, gain) in equal.items():
        as_is = share_of(df[(df.model == model) & (df.of == name) & (df.factor == 1)])
        lead = gain - equal['grayscale', name][1]
        print(f'{model} on {as_is.photos:.0f} photos of {name}: {as_is.over_gray:+.3f} dB, share {as_is.share:.4f} '
              f'± {as_is.sem_share:.4f}; with a factor of {factor:.3f} as colourful as all, {gain.mean():+.3f} dB, '
              f'{lead.mean():+.3f} ± {lead.sem():.3f} more than the packaged one')


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.fresh_training', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser('split', help='make the folders')
    add.add_argument('photos', nargs='+', help='the folders of the training of the packaged network, in its order')
    add.add_argument('-o', '--out', required=True, help='folder to make')
    add.add_argument('--like', nargs='+', default=['imagenet', 'coco'], help='how the names of the kinds begin')
    add.add_argument('--n-valid', type=int, default=128, help='photos that the training of the network held out')
    add.set_defaults(run=split)
    add = commands.add_parser('measure', help='compare networks with the packaged one')
    add.add_argument('folder', help='what `split` made')
    add.add_argument('--models', nargs='+', required=True, help='files of weights')
    add.add_argument('-o', '--out', help='file to write')
    add.set_defaults(run=measure)
    args = parser.parse_args(argv)
    args.run(args)


if __name__ == '__main__': main()
