"""Drawings: how good the sketch model is, and how well a hint fills what lines enclose

    python -m benchmarks.drawings measure PHOTOS -o benchmarks/drawings.csv
    python -m benchmarks.drawings regions
    python -m benchmarks.drawings gallery PHOTOS -o sheet.jpg

Measured are the colours alone, without the lines that lie on them, against illustrations of the same photos.
`over_constant` is dB over each illustration's own mean colour. `one_paint` is what a single paint for all of them has
over it, laid where the lines are: roughly so much is gained by knowing where paint lies.
Hints are ten 6x6 patches in the mean colour of the illustration there: at random places (`ten_hints`), and where a
person would click, one after the other at the place that is furthest off (`ten_clicks`).
Regions: 200 drawings with known regions, gaps of 4 pixels, lines of 1 to 5; a hint in each region.
Gallery: 10 drawings of known things and the lines of 15 photos, each beside what both models make of it."""
import argparse

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import distance_transform_edt, uniform_filter

from colorize_lib.apply.colorizer import Colorizer, HintedPhoto
from colorize_lib.apply.hints import Hint
from colorize_lib.apply.model_card import colors, measure, summarize
from colorize_lib.engine.metrics import hue_bias, psnr
from colorize_lib.lab import rgb_to_lab
from colorize_lib.photos.pictures import photo_files, rgb_tensor
from colorize_lib.sketch.illustration import detail, illustration
from colorize_lib.sketch.line_art import line_art, things
from colorize_lib.sketch.sketch import styles
from colorize_lib.widgets.sketch_pad import photo_lines, square_photo


def patch_hint(truth, top, left, side):
    "A hint in the mean colour of a patch of the truth"
    color = truth[top:top + side, left:left + side].mean((0, 1)).round().astype(int)
    return Hint(float(left + side//2), float(top + side//2), tuple(color.tolist()))


def at_random(truth, seed, n, side):
    "Hints at random places"
    h, w = truth.shape[:2]
    places = np.random.default_rng(seed).integers(0, (h - side + 1, w - side + 1), (n, 2))
    return [patch_hint(truth, *place, side) for place in places]


def where_wrong(wash, truth, n, side):
    "Hints as a person gives them: one after the other, where the colours are furthest off, and never twice at a place"
    hints, free = [], np.ones([o - side + 1 for o in truth.shape[:2]], bool)
    for _ in range(n):
        errors = ((wash(hints).astype(float) - truth)**2).sum(-1)
        errors = uniform_filter(errors, 2*side)[side//2:, side//2:][:free.shape[0], :free.shape[1]]
        top, left = np.unravel_index((errors*free).argmax(), free.shape)
        free[max(0, top - 2*side):top + 2*side, max(0, left - 2*side):left + 2*side] = False
        hints.append(patch_hint(truth, top, left, side))
    return hints


def hinted_psnr(colorizer, given, truth, seed, n=10, side=6):
    "PSNR with hints from the truth at random places, and with hints where it is wrong"
    hinted = HintedPhoto(colorizer, colorizer.task.prepare(Image.fromarray(given)))
    def wash(hints):
        found = colorizer.task.wash(hinted.predict(hints)[1])
        return np.array(found.resize(truth.shape[1::-1], Image.BICUBIC))
    ways = at_random(truth, seed, n, side), where_wrong(wash, truth, n, side)
    return [psnr(rgb_tensor(wash(hints))[None], rgb_tensor(truth)[None]).item() for hints in ways]


def one_paint(given, truth):
    "PSNR of each photo by a single paint for all, fitted to them by least squares and laid where their lines are"
    lines, truth = [torch.stack([rgb_tensor(o) for o in squares]) for squares in (given, truth)]
    strength = F.interpolate(detail(F.avg_pool2d(lines[:, :1], 2)), scale_factor=2, mode='bilinear')
    paint = ((1 - truth)*strength).sum((0, 2, 3))/strength.pow(2).sum() # what it takes from the white of paper
    return np.array([psnr(1 - s[None]*paint.view(3, 1, 1), o[None]).item() for s, o in zip(strength, truth)])


def by_style(colorizer, files):
    "A row a style"
    for style in styles:
        df, squares = measure(colorizer, files, task=illustration(styles=style))
        s = summarize(df)
        pairs = enumerate(zip(squares['given'], squares['truth']))
        hinted = np.array([hinted_psnr(colorizer, *o, i) for i, o in pairs]) - df.psnr.to_numpy()[:, None]
        colorful = df.colorfulness_true >= 8
        paint = (one_paint(squares['given'], squares['truth']) - df.psnr_constant)[colorful].mean()
        row = dict(style=style, photos=s['photos'], psnr=s['psnr'], over_constant=s['over_constant'], one_paint=paint,
                   colorfulness=s['colorfulness'], hue_bias=hue_bias(colors(squares['coloured'])),
                   true_hue_bias=hue_bias(colors(squares['truth'])),
                   **dict(zip(('ten_hints', 'ten_clicks'), hinted[colorful.to_numpy()].mean(0))))
        print({k: v if isinstance(v, (str, int)) else round(float(v), 3) for k, v in row.items()}, flush=True)
        yield row


def clicks(art, rng):
    "`(place, mask)` of each region that a user could click on"
    for i in range(1, art.labels.max() + 1):
        mask = (art.labels == i) & (art.lines > .6)
        d = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        if mask.sum() >= 40 and d.max() >= 3: yield rng.choice(np.argwhere(d >= 3)), mask


def lab(color): return rgb_to_lab(torch.tensor(color).view(3, 1, 1)/255)
def lab_of(colorizer, hinted, hints):
    "What comes of hints, at the drawing's size"
    wash = colorizer.task.wash(hinted.predict(hints)[1]).resize(hinted.photo.size, Image.NEAREST)
    return rgb_to_lab(rgb_tensor(wash))


def apart(a, b, least=30):
    "Are two colours so different that one can be told from the other?"
    return (lab(a) - lab(b)).norm().item() > least


def regions(colorizer, n=200, close=15):
    "Of each hint: the share of its region within `close` CIE units of the wish, and the largest one of another region"
    own, other, paper = [], [], []
    for i in range(n):
        art, rng = line_art((1, i)), np.random.default_rng(i)
        drawing = Image.fromarray((art.lines*255).round().astype(np.uint8)).convert('RGB')
        places, masks = zip(*clicks(art, rng))
        hinted = HintedPhoto(colorizer, colorizer.task.prepare(drawing))
        bare = lab_of(colorizer, hinted, [])
        paper.append(bare[0].numpy()[art.labels == art.labels[0, 0]].mean())
        wishes = rng.integers(0, 256, (len(places), 3))
        hints = [Hint(float(x), float(y), tuple(c.tolist())) for (y, x), c in zip(places, wishes)]
        found = lab_of(colorizer, hinted, hints)
        for k, wish in enumerate(wishes):
            near = (found - lab(wish)).norm(dim=0).numpy() < close
            own.append(near[masks[k]].mean())
            rest = [m for m, c in zip(masks, wishes) if apart(c, wishes[k])]
            other.append(max((near[m].mean() for m in rest), default=0))
    own, other = np.array(own), np.array(other)
    return {'drawings': n, 'hints': len(own), 'own region': own.mean(), 'at least 95% of it': (own >= .95).mean(),
            'another region': other.mean(), 'at most 3% of it': (other <= .03).mean(), 'paper, L*': np.mean(paper)}


def examples(files, size=384):
    "The 25 drawings: ten of one known thing each, then photos, spread over the folder, in each style in turn"
    for i, name in enumerate([*things][:10]):
        yield Image.fromarray((line_art((7, i), size, width=3, names=[name], n=1).lines*255).astype(np.uint8))
    for i, file in enumerate(files[::max(1, len(files)//15)][:15]):
        yield photo_lines(square_photo(file, size), [*styles][i % len(styles)], 1.3, .5)


def gallery(colorizers, files, ncols=3, cell=192):
    "A contact sheet: each drawing, and beside it what each model makes of it"
    rows = []
    for drawing in examples(files):
        drawing = drawing.convert('RGB')
        row = [drawing, *(c.task.decode(p := c.task.prepare(drawing), *c.predict(p), c.saturation) for c in colorizers)]
        rows.append([im.resize((cell, cell), Image.LANCZOS) for im in row])
    wide = len(rows[0])*cell + 12 # and a gap between columns
    sheet = Image.new('RGB', (ncols*wide - 12, -(-len(rows)//ncols)*cell), 'gray')
    for i, row in enumerate(rows):
        for k, im in enumerate(row): sheet.paste(im, (i % ncols*wide + k*cell, i//ncols*cell))
    return sheet


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.drawings', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('what', choices=('measure', 'regions', 'gallery'))
    add('photos', nargs='?', help='a folder of photos that the model was not trained on')
    add('-o', '--out', help='CSV file, or the picture of the gallery')
    add('--model', default='illustration', help='a model in the package, or a file')
    add('--before', default='sketch', help='the model to the left, in the gallery')
    add('-n', type=int, help='photos or drawings; default: all, or 200')
    args = parser.parse_args(argv)
    colorizer = Colorizer.load(args.model)
    if args.what == 'regions':
        for k, v in regions(colorizer, args.n or 200).items(): print(f'{k}: {v:.4g}')
        return
    if not args.photos: parser.error('which photos?')
    if args.what == 'gallery':
        if not args.out: parser.error('-o: into which picture?')
        return gallery([Colorizer.load(args.before), colorizer], photo_files(args.photos)).save(args.out, quality=88)
    rows = pd.DataFrame(by_style(colorizer, photo_files(args.photos)[:args.n]))
    if args.out: rows.round(4).to_csv(args.out, index=False)


if __name__ == '__main__': main()
