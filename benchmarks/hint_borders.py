"""Which hints should end at borders, and at which? Chosen on photos and painted scenes that nothing is reported on

    python -m benchmarks.hint_borders PHOTOS MORE_PHOTOS -o benchmarks/hint_borders.csv

A hint is bold from so many CIE units from the prediction on. Only bold hints end at the borders of their thing, which
keeps wishes in place, and costs true hints something. `low` and `high` are the borders: a place that takes less than
`low` of a hint gets nothing of it, one that takes more than `high` gets all.
Each row is one choice: what 1 to 10 true hints are worth then, and how far one bold wish in a painted tree reaches,
with the standard error of `outside` over scenes. The photos are of the training folders, and the packaged model was not
trained on them, neither its network nor its attention."""
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.hints import WISHES, ab_of, over_scenes, reach_of, square, tensor, true_hints, wished
from benchmarks.working_sizes import held_out, options
from colorize_lib.apply.colorizer import Colorizer, HintedPhoto
from colorize_lib.engine.metrics import colorfulness, near_gray, psnr
from colorize_lib.networks import hint_attention
from colorize_lib.photos.samples import scene_and_crowns

COUNTS, RAMPS = (1, 2, 5, 10), ((28, 38), (32, 42), (36, 46), (40, 50), (45, 55), (50, 60))
BORDERS = (.74, .9), (.66, .9), (.7, .9), (.78, .9), (.82, .9), (.74, .85), (.74, .95) # first the packaged ones
plain = hint_attention.stay_within


def choices():
    "Each ramp with the packaged borders, and all other borders with the packaged ramp"
    return [(o, BORDERS[0]) for o in RAMPS] + [(RAMPS[0], o) for o in BORDERS[1:]]


def each_choice(attention):
    "Sets one choice after the other, and yields what to call it"
    try:
        for (bold, top), (low, high) in choices():
            attention.bold = bold, top
            hint_attention.stay_within = partial(plain, low=low, high=high)
            yield dict(bold=bold, low=low, high=high)
    finally: hint_attention.stay_within = plain


def gains_of(colorizer, file):
    "A row for each choice and number of hints: dB over no hint, for one photo"
    truth = square(file)
    if colorfulness(tensor(truth)).item() < near_gray: return
    hinted = HintedPhoto(colorizer, truth.convert('L').convert('RGB'))
    def db(hints): return psnr(tensor(colorizer.task.decode(hinted.photo.copy(), *hinted.predict(hints), 1.)),
                               tensor(truth)).item()
    before = db([])
    told = [true_hints(np.asarray(truth), Path(file).name, n) for n in COUNTS]
    for choice in each_choice(colorizer.model.attention):
        for n, hints in zip(COUNTS, told): yield choice | dict(hints=n, gain=db(hints) - before)


def reaches_of(colorizer, seed, size=256):
    "A row for each choice, crown and wish in one painted scene"
    scene, crowns = scene_and_crowns(seed, size)
    hinted = HintedPhoto(colorizer, scene.convert('L').convert('RGB'))
    before, wanted = ab_of(hinted()), [(wish, wished(hinted, wish)) for wish in WISHES.values()]
    for i, crown in enumerate(crowns):
        if (crown > .5).mean() < .01: continue
        for choice in each_choice(colorizer.model.attention):
            for wish, everywhere in wanted:
                found = reach_of(hinted, before, crowns, i, wish, everywhere)
                yield choice | dict(seed=seed, inside=found['inside'], outside=found['outside'])


def main(argv=None):
    parser = options('hint_borders', __doc__)
    parser.add_argument('--n-hints', type=int, default=2000, help='photos on which the attention was trained')
    parser.add_argument('--scenes', type=int, default=30)
    args = parser.parse_args(argv)
    colorizer = Colorizer.load(args.model)
    files = held_out(*args.photos, n_valid=args.n_valid, n_hints=args.n_hints)
    gains = pd.DataFrame(row for file in files for row in gains_of(colorizer, file))
    seeds = range(20000, 20000 + args.scenes)
    reaches = pd.DataFrame(row for seed in seeds for row in reaches_of(colorizer, seed))
    choice = ['bold', 'low', 'high']
    table = gains.pivot_table(index=choice, columns='hints', values='gain').add_prefix('gain_')
    by = reaches.groupby(choice)
    table = table.join(by[['inside', 'outside']].mean())
    table['sem_outside'] = pd.Series({k: over_scenes(o, 'outside')[1] for k, o in by})
    table = table.round(4).loc[[(ramp[0], *borders) for ramp, borders in choices()]]
    if args.out: table.reset_index().to_csv(args.out, index=False)
    print(f'{len(gains)//len(table)//len(COUNTS)} photos, {len(reaches)//len(table)} hints in scenes')
    print(table.to_string())


if __name__ == '__main__': main()
