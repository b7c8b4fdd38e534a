"""Which hints should end at borders? Chosen on training photos and on painted scenes that nothing is measured on

    python -m benchmarks.hint_borders TRAINING_PHOTOS -o benchmarks/hint_borders.csv

A hint is bold from so many CIE units from the prediction on. Only bold hints end at the borders of their thing, which
keeps wishes in place, and costs true hints something. Each row is one choice: what 1 to 10 true hints are worth then,
and how far one bold wish in a painted tree reaches."""
import argparse
import itertools

import numpy as np
import pandas as pd

from benchmarks.hints import WISHES, ab_of, reach_of, square, tensor, true_hints
from colorize_lib.apply.colorizer import Colorizer, HintedPhoto
from colorize_lib.engine.metrics import colorfulness, near_gray, psnr
from colorize_lib.photos.pictures import photo_files
from colorize_lib.photos.samples import scene_and_crowns

COUNTS, RAMPS = (1, 2, 5, 10), ((28, 38), (32, 42), (36, 46), (40, 50), (45, 55), (50, 60))


def gains_of(colorizer, file):
    "A row for each choice and number of hints: dB over no hint, for one photo"
    truth = square(file)
    if colorfulness(tensor(truth)).item() < near_gray: return
    hinted = HintedPhoto(colorizer, truth.convert('L').convert('RGB'))
    def db(hints): return psnr(tensor(colorizer.task.decode(hinted.photo.copy(), *hinted.predict(hints), 1.)),
                               tensor(truth)).item()
    before = db([])
    for ramp, n in itertools.product(RAMPS, COUNTS):
        colorizer.model.attention.bold = ramp
        yield dict(bold=ramp[0], hints=n, gain=db(true_hints(np.asarray(truth), file.name, n)) - before)


def reaches_of(colorizer, seed, size=256):
    "A row for each choice, crown and wish in one painted scene"
    scene, crowns = scene_and_crowns(seed, size)
    hinted = HintedPhoto(colorizer, scene.convert('L').convert('RGB'))
    before = ab_of(hinted())
    for i, crown in enumerate(crowns):
        if (crown > .5).mean() < .01: continue
        for ramp, wish in itertools.product(RAMPS, WISHES.values()):
            colorizer.model.attention.bold = ramp
            found = reach_of(hinted, before, crowns, i, wish)
            yield dict(bold=ramp[0], inside=found['inside'], outside=found['outside'])


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.hint_borders', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', help='folder of photos that nothing is measured on')
    add('-o', '--out', help='file to write')
    add('--model', default='grayscale', help='a model in the package, or a file')
    add('--n', type=int, default=100, help='photos')
    add('--scenes', type=int, default=30)
    args = parser.parse_args(argv)
    colorizer, files = Colorizer.load(args.model), photo_files(args.photos)
    files = files[::max(1, len(files)//args.n)]
    gains = pd.DataFrame(row for file in files for row in gains_of(colorizer, file))
    seeds = range(20000, 20000 + args.scenes)
    reaches = pd.DataFrame(row for seed in seeds for row in reaches_of(colorizer, seed))
    table = gains.pivot_table(index='bold', columns='hints', values='gain').add_prefix('gain_')
    table = table.join(reaches.groupby('bold')[['inside', 'outside']].mean()).round(4)
    if args.out: table.reset_index().to_csv(args.out, index=False)
    print(f'{len(gains)//len(RAMPS)//len(COUNTS)} photos, {len(reaches)//len(RAMPS)} hints in scenes')
    print(table.to_string())


if __name__ == '__main__': main()
