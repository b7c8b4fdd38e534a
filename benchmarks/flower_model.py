"""Train the model for flowers, and L1 alone beside it: python -m benchmarks.flower_model PHOTOS -o run

Both runs see the same photos and the same drawn flowers equally often, and begin with the model `illustration`.
`run/gan` is what the package holds, by colorize_lib/models/flower.plan.json; `run/l1` has the same epochs by L1 alone.
What is interrupted goes on with the same command. `run/history.csv` has the losses of both."""
import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from colorize_lib.experiments.plans import Plan, run_plan
from colorize_lib.photos.pictures import photo_files
from colorize_lib.sketch.flowers import JoinDrawings, flower_sheet

PLAN = Path(__file__).parents[1]/'colorize_lib/models/flower.plan.json'


def history_of(out, names):
    "A row for each run and epoch, counted from 1 through both stages"
    rows = [pd.read_json(out/name/'history.jsonl', lines=True).assign(run=name) for name in names]
    for o in rows: o['epoch'] = np.arange(1, len(o) + 1)
    return pd.concat(rows).drop(columns='fit').set_index(['run', 'epoch']).round(4)


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.flower_model', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', help='a folder of photos of flowers')
    add('-o', '--out', type=Path, default=Path('flower_run'), help='folder for the results (default: %(default)s)')
    add('--plan', type=Path, default=PLAN, help='of the run against the PatchGAN (default: %(default)s)')
    add('--sheets', type=int, default=600, help='drawn flowers (default: %(default)s)')
    add('--cache', help='folder for decoded photos')
    args = parser.parse_args(argv)
    plan, photos = Plan.read(args.plan), photo_files(args.photos)
    sheets = np.stack([flower_sheet(i, int(plan.size*plan.zoom)) for i in range(args.sheets)])
    plans = dict(gan=plan, l1=replace(plan, epochs_l1=plan.epochs_l1 + plan.epochs_gan, epochs_gan=0))
    for name, plan in plans.items():
        run_plan(photos, args.out/name, plan, resume=True, minutes=3, cache=args.cache, cbs=[JoinDrawings(sheets)])
    history_of(args.out, plans).to_csv(args.out/'history.csv')


if __name__ == '__main__': main()
