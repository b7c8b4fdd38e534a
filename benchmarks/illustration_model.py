"""Train the model for illustrations: line drawings in, light washes of colour out

    python -m benchmarks.illustration_model PHOTOS MORE_PHOTOS -o run

As `benchmarks.photo_model`, which has the loop, with three differences. The target of a photo's lines is its
illustration, lightness and colours; half of the lines are outlines, which tell least. Drawings of known things
join each batch, so that paper stays paper. And each photo is drawn whole, at twice `--size`; the network gets the
drawing at one of its two working sizes."""
import torch
import torch.nn.functional as F

from benchmarks.photo_model import Photos, options, train
from colorize_lib.lab import colorize_dls, denormalize_lab, lab_to_rgb, normalize_lab, rgb_to_lab
from colorize_lib.sketch.illustration import illustration, lift_colors
from colorize_lib.sketch.line_art import line_art
from colorize_lib.sketch.sketch import styles


def resized(x, size): return F.interpolate(x, (size, size), mode='bilinear', antialias=True)


class Drawings(Photos):
    "Lines of photos, and drawings of known things"
    task, n_out, scales = 'illustration', 3, (1, 1.5)
    def __init__(self, n=6, sheets=3000): self.n, self.sheets = n, sheets

    def rgb(self, x, y, clamp=True): return lab_to_rgb(denormalize_lab(y[:, :1], y[:, 1:]), clamp=clamp)
    def baseline(self, x, y): return self.rgb(x, y).mean((2, 3), keepdim=True).expand(-1, -1, *y.shape[-2:])
    def batches(self, files, args):
        return colorize_dls(files, 2*args.size, args.bs, n_valid=args.n_valid, seed=args.seed, zoom=1.,
                            cache=args.cache, task=illustration(styles=(*styles, 'outline')))

    def seen(self, x, y, rng):
        "At the smaller size twice as often as at the larger one, which costs twice as much"
        size = round(x.shape[-1]/2*float(rng.choice(self.scales, p=(2/3, 1/3))))
        pairs = (x, y), self.known(size, rng)
        return *[torch.cat([resized(o, size) for o in both]) for both in zip(*pairs)], len(x)

    def predict(self, net, x):
        "As in use: the mean over the working sizes"
        sizes = [round(x.shape[-1]/2*scale) for scale in self.scales]
        return sum(resized(super(Drawings, self).predict(net, resized(x, o)), x.shape[-1]) for o in sizes)/len(sizes)

    def known(self, size, rng):
        "Squares of line art, half of them mirrored, and their washes"
        side = int(rng.integers(160, 257))
        pairs = [self.square(int(seed), side, rng) for seed in rng.integers(0, self.sheets, self.n)]
        lines, colors = [resized(torch.stack(o), size) for o in zip(*pairs)]
        grain = torch.from_numpy(rng.standard_normal(lines.shape, 'float32'))*float(rng.uniform(0, .03))
        return (lines + grain).clamp(0, 1)*2 - 1, torch.cat(normalize_lab(lift_colors(rgb_to_lab(colors))), 1)

    def square(self, seed, side, rng):
        "Lines `(1,side,side)` and colours `(3,side,side)` of a part of a sheet"
        art, (top, left) = line_art((77, seed), gap=(0, 2, 4)[seed % 3]), rng.integers(0, 257 - side, 2)
        planes = torch.from_numpy(art.lines)[None], torch.from_numpy(art.painted()).permute(2, 0, 1)/255
        parts = [o[:, top:top + side, left:left + side] for o in planes]
        return [o.flip(2) for o in parts] if rng.random() < .5 else parts


def main(argv=None):
    args = options('illustration_model', __doc__, start='', lr=1.5e-3, epochs=8, decay=2.5, average=.997,
                   colorfulness=.66, factor=1.14).parse_args(argv)
    train(args, Drawings())


if __name__ == '__main__': main()
