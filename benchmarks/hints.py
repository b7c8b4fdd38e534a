"""Hints: train the attention of a `HintedUnet`, and measure how much hints are worth

    python -m benchmarks.hints train PHOTOS -o grayscale.safetensors
    python -m benchmarks.hints train PHOTOS --model illustration --sheets 400 -o illustration.safetensors
    python -m benchmarks.hints measure PHOTOS -o benchmarks/hints.csv
    python -m benchmarks.hints reach 60 -o benchmarks/hint_reach.csv
    python -m benchmarks.hints reach 200 --first-scene 30000
    python -m benchmarks.hints reference PHOTOS PHOTOS_OF_ONE_KIND -o benchmarks/hint_references.csv

Training: the base network stays as it is, so its features are computed once and kept on disk (0.8 MB a photo).
A step looks at random places of each photo, some as hints and some as places to correct.
For drawings, each photo is drawn in one of three styles, and sheets of drawn things join them.
Measuring: squares of 256 pixels, hints are 6x6 patches at random places in the mean of their true colours.
Reach: one hint in the crown of a painted tree, where all objects are known exactly.
References: the hints of a photo are taken from another photo, good ones and bad ones."""
import argparse
import hashlib
import itertools
import math
import os
import random
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from scipy.ndimage import distance_transform_edt
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.levin import levin
from colorize_lib.apply.colorizer import Colorizer, HintedPhoto, weights_file
from colorize_lib.apply.hints import Hint, HintError, check_hints, paint_hints
from colorize_lib.apply.hints_from import _matches, _places, hints_from
from colorize_lib.engine.metrics import colorfulness, near_gray, psnr
from colorize_lib.engine.weights import load_weights, save_weights
from colorize_lib.lab import denormalize_lab, get_task, lab_to_rgb, normalize_lab, rgb_to_lab
from colorize_lib.networks.hint_attention import Described, HintedUnet, hint_points, place_of
from colorize_lib.photos.pictures import open_photo, photo_files
from colorize_lib.photos.samples import scene_and_crowns
from colorize_lib.sketch.illustration import lift_colors
from colorize_lib.sketch.line_art import line_art

COUNTS = 1, 2, 5, 10, 20, 50, 100
LEVELS = dict(f2=(16, 64), f4=(24, 64), f8=(40, 32), f16=(112, 16), f32=(320, 8), d8=(128, 32), d4=(64, 64))


def square(path, side=256): return ImageOps.fit(open_photo(path, side), (side, side), Image.BICUBIC)
def tensor(picture): return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]/255


def gray_picture(lum):
    "Lightness `(1,1,H,W)` in [-1,1] as a picture"
    given = lab_to_rgb(denormalize_lab(lum, lum.new_zeros(1, 2, *lum.shape[-2:])))
    return Image.fromarray((given[0]*255).round().byte().permute(1, 2, 0).numpy())


# ---- training

def pair_of(task, source, seed):
    "Input and target of a photo, or of a sheet of drawn things"
    if isinstance(source, (str, Path)): return task.encodes(((tensor(square(source))*255).byte(), [seed]))
    lines, colors = torch.from_numpy(source.lines)[None, None], tensor(source.painted())
    return lines*2 - 1, torch.cat(normalize_lab(lift_colors(rgb_to_lab(colors))), 1)


@torch.no_grad()
def features_of(net, colorizer, x, y):
    "All that training needs of a picture, on a grid of 64x64"
    _, levels, _ = net.features(x.contiguous(memory_format=torch.channels_last))
    given = Image.fromarray(((x[0, 0] + 1)*127.5).round().byte().numpy()) if net.n_out == 3 else gray_picture(x)
    pred = F.interpolate(colorizer.predict(given.convert('RGB'), 128)[1], (64, 64), mode='area')
    return dict(zip(LEVELS, levels[1:])) | dict(pred=pred, x=F.avg_pool2d(x, 4), y=F.avg_pool2d(y, 4))


def fingerprint(files, net, n=0):
    "Changes with the photos, their order, the number of pictures, and the network that sees them"
    found = hashlib.sha256(f'{n} {net.n_out}'.encode())
    for f in files: found.update(f'{Path(f).resolve()} {os.stat(f).st_size} {os.stat(f).st_mtime_ns}\n'.encode())
    for k, v in net.base.state_dict().items(): found.update(k.encode() + v.numpy().tobytes())
    return found.hexdigest()


def cache_features(files, net, colorizer, folder, sheets=0):
    "Memory maps of the features of photos and sheets; those of the same ones and network are used again"
    folder.mkdir(parents=True, exist_ok=True)
    task, n = get_task(colorizer.config['task']), len(files) + sheets
    whose, done = fingerprint(files, net, n), folder/'train_done.txt'
    others = dict(pred=(net.n_out, 64), x=(1, 64), y=(net.n_out, 64)) # what `Colorizer` predicts, input, truth
    shapes = {k: (n, *o) for k, o in (LEVELS | others).items()}
    shapes = {k: (*o, o[-1]) for k, o in shapes.items()}
    paths = {k: folder/f'train_{k}.npy' for k in shapes}
    if not done.exists() or done.read_text() != whose:
        done.unlink(missing_ok=True) # or a cache that is half made would count as the old one
        maps = {k: np.lib.format.open_memmap(paths[k], 'w+', np.float16, s) for k, s in shapes.items()}
        for i in range(n):
            source = files[i] if i < len(files) else line_art((78, i), gap=(0, 2, 4)[i % 3])
            for k, v in features_of(net, colorizer, *pair_of(task, source, i)).items(): maps[k][i] = v[0].half().numpy()
            if i % 100 == 0: print(f'{i} of {n} pictures', flush=True)
        for o in maps.values(): o.flush()
        done.write_text(whose)
    return {k: np.load(p, mmap_mode='r') for k, p in paths.items()}


def at_points(maps, idxs, cells):
    "Maps of photos `idxs` at some of the 64x64 cells, `(B,N)`, as `(B,C,N,1)`"
    if maps.shape[-1] == 64:
        taken = [maps[i].reshape(maps.shape[1], -1)[:, c] for i, c in zip(idxs, cells.numpy())]
        return torch.from_numpy(np.stack(taken)).float()[..., None]
    xy = torch.stack([cells % 64, cells//64], -1)[:, :, None]
    small = torch.from_numpy(np.stack([maps[i] for i in idxs])).float()
    return F.grid_sample(small, (xy + .5)/32 - 1, align_corners=False, padding_mode='border')


def described(attention, maps, idxs, cells):
    "Cells of pictures as attention sees them, what the network saw there, and their true colours"
    x, y, pred = [at_points(maps[k], idxs, cells) for k in ('x', 'y', 'pred')]
    levels = [x, *(at_points(maps[o], idxs, cells) for o in LEVELS)]
    place = torch.stack([cells % 64 + .5, cells//64 + .5], 1)[..., None]/64
    return attention.describe(levels, torch.cat([place, x], 1), pred), x, y


def step_loss(attention, maps, idxs, k, n, rng):
    "The mean over photos of the logarithm of the squared error in RGB at `n` places, after up to `k` hints"
    cells = torch.from_numpy(np.stack([rng.permutation(64*64)[:k + n] for _ in idxs]))
    found, x, y = described(attention, maps, idxs, cells)
    hints, places = [Described(*[o[..., part] for o in found]) for part in (slice(k), slice(k, None))]
    counts = np.exp(rng.uniform(math.log(max(1, k/4)), math.log(k + .01), len(idxs)))
    valid = (torch.arange(k)[None] < torch.from_numpy(np.ceil(counts).clip(max=k))[:, None]).float()
    color = y[:, :, :k, 0]*valid[:, None]
    pred = places.pred + attention.spread(places, hints, valid, color)[:, :-2]
    lums = [o[:, :1] if y.shape[1] == 3 else x[:, :, k:] for o in (pred[..., None], y[:, :, k:])]
    rgb = [lab_to_rgb(denormalize_lab(lum, o[:, -2:]), clamp=False)
           for lum, o in zip(lums, (pred[..., None], y[:, :, k:]))]
    return ((rgb[0] - rgb[1]).pow(2).mean((1, 2, 3)) + 2e-4).log().mean()


def attention_of(source):
    "Weights of attention: of a training that was cut off, `*.part`, or of a model in the package or a file"
    if source.endswith('.part'): return torch.load(source)
    return load_weights(weights_file(source))[0].attention.state_dict()


def train(args):
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    files = sorted(f for folder in args.photos for f in photo_files(folder))
    random.Random(args.seed).shuffle(files)
    files = files[:args.n]
    base = weights_file(args.model)
    colorizer, (_, config) = Colorizer.load(args.model), load_weights(base)
    kwargs = dict(n_in=5, n_out=3) if get_task(config['task']).n_out == 3 else dict(n_in=4, n_out=2)
    net = HintedUnet(**kwargs, pretrained=str(base)).eval()
    maps = cache_features(files, net, colorizer, Path(args.cache), args.sheets)
    attention = net.attention.train()
    if args.resume: attention.load_state_dict(attention_of(args.resume))
    opt = torch.optim.AdamW(attention.parameters(), args.lr, betas=(.9, .99), weight_decay=1e-4)
    kept = AveragedModel(attention, multi_avg_fn=get_ema_multi_avg_fn(args.average), use_buffers=True)
    mean, start = 0, time.time()
    often = (.3, .35, .27, .08) if net.n_out == 2 else (.35, .5, .15, 0) # who draws gives few hints
    for i in range(args.steps):
        for group in opt.param_groups: group['lr'] = args.lr*min(1, i/30)*(1 + math.cos(math.pi*i/args.steps))/2 + 1e-6
        k = int(rng.choice([4, 16, 64, 128], p=often))
        loss = step_loss(attention, maps, rng.integers(0, len(maps['x']), args.bs), k, 160, rng)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(attention.parameters(), 1.)
        opt.step()
        kept.update_parameters(attention)
        mean = .98*mean + .02*loss.item()
        if i % 100 == 99:
            print(f'step {i + 1}: loss {mean/(1 - .98**(i + 1)):.4f}, {time.time() - start:.0f} s', flush=True)
            torch.save(kept.module.state_dict(), f'{args.out}.part')
    attention.load_state_dict(kept.module.state_dict())
    print(save_weights(net, args.out, config | dict(generator='hinted_unet', kwargs=kwargs)))


# ---- measuring

def patches(name, n, side=256, patch=6):
    "Top left corners of `n` patches, the same for every method: they follow from the photo's name"
    return np.random.default_rng(list(name.encode())).integers(0, side - patch + 1, (100, 2))[:n]


def true_hints(truth, name, n):
    "What somebody who knows the photo would say; `truth` is `(256,256,3)`"
    hints = []
    for top, left in patches(name, n):
        color = truth[top:top + 6, left:left + 6].reshape(-1, 3).mean(0)
        hints.append(Hint(left + 2.5, top + 2.5, tuple(color.tolist()), 3.))
    return hints


def channels_predictor(colorizer, gray):
    "Of a network that takes hints as channels of its input, at the sizes at which a `Colorizer` looks, mirrored too"
    def seen(hints, side):
        x = colorizer.task.encode(gray.resize((side, side), Image.BICUBIC))
        both = torch.cat([x, paint_hints(hints, gray.size, side, side)], 1)
        with torch.no_grad(): straight, mirrored = colorizer.model(torch.cat([both, both.flip(-1)])).float().split(1)
        return x, (straight + mirrored.flip(-1))/2
    def predict(hints):
        xs, preds = zip(*[seen(hints, round(colorizer.size*scale)) for scale in colorizer.scales])
        return xs[-1], sum(F.interpolate(o, xs[-1].shape[-2:], mode='bilinear') for o in preds)/len(preds)
    return predict


def untrained_predictor(colorizer, gray):
    "Of attention that has learned nothing: what is alike follows from the encoder's features, place and lightness"
    x, pred, _ = HintedPhoto(colorizer, gray).encoded
    with torch.no_grad(): levels = colorizer.model.base.encoder(x)[1:4] # at a quarter, an 8th and a 16th of the size
    features = [F.interpolate(o/o.norm(dim=1).mean(), (64, 64), mode='bilinear')/1.6 for o in levels]
    place = place_of(F.avg_pool2d(x, 4))/torch.tensor([.4, .4, .3]).view(3, 1, 1)
    at = torch.cat([*features, place], 1)[0].flatten(1).T # (4096,C)
    cells = F.avg_pool2d(pred, 4)[0].flatten(1).T
    def predict(hints):
        points, color, valid = [o[0] for o in hint_points(paint_hints(hints, gray.size, *x.shape[:1:-1]))]
        points, color = points[valid > 0], color.T[valid > 0]
        weights = (-torch.cdist(at, at[points]).pow(2)).exp()
        moved = weights @ (color - cells[points])/(weights.sum(1, keepdim=True) + .03) # .03: where nothing is alike
        moved = F.interpolate(moved.T.view(1, 2, 64, 64), x.shape[-2:], mode='bilinear')
        return x, (pred + moved).clamp(-1, 1)
    return predict


def predictor(colorizer, gray, method):
    "A function of hints that returns lightness and colours as the network sees and predicts them"
    others = dict(channels=channels_predictor, untrained=untrained_predictor)
    if method in others: return others[method](colorizer, gray)
    if method != 'levin':
        hinted = HintedPhoto(colorizer, gray)
        return lambda hints: hinted.predict(hints, within=method == 'model')
    x = colorizer.task.encode(gray.resize((128, 128), Image.BICUBIC)) # its system grows fast: 128 pixels
    def classical(hints):
        a, b, mask = paint_hints(hints, gray.size, 128, 128)[0].double().numpy()
        return x, torch.from_numpy(levin((x[0, 0].double().numpy() + 1)/2, np.stack([a, b]), mask)).float()[None]
    return classical


def rows_of(colorizer, file, method):
    "PSNR of one photo with each number of hints"
    truth = square(file)
    rgb = np.asarray(truth)
    lum = normalize_lab(rgb_to_lab(tensor(truth)))[0]
    gray = gray_picture(lum)
    task, predict = colorizer.task, predictor(colorizer, gray, method)
    for n in (0, *COUNTS):
        start = time.perf_counter()
        pred = predict(true_hints(rgb, file.name, n))
        seconds = time.perf_counter() - start
        out = tensor(task.decode(gray.copy(), *pred, colorizer.saturation))
        yield dict(photo=file.name, hints=n, psnr=psnr(out, tensor(truth)).item(), seconds=seconds,
                   colorfulness=colorfulness(out).item(), colorfulness_true=colorfulness(tensor(truth)).item())


def curve(colorizer, files, method):
    "A row for each number of hints: means over photos that are not nearly gray"
    df = pd.DataFrame(row for file in files for row in rows_of(colorizer, file, method))
    df = df[df.colorfulness_true >= near_gray]
    wide = df.pivot(index='photo', columns='hints', values='psnr')
    gain, by = wide.sub(wide[0], axis=0), df.groupby('hints')
    table = pd.DataFrame(dict(method=method, photos=len(wide), psnr=wide.mean(), gain=gain.mean(), sem=gain.sem(),
                              better=(gain > 0).mean(), ms=by.seconds.median()*1e3,
                              colorfulness=by.colorfulness.mean()/df.colorfulness_true.mean()))
    return table.round(4).reset_index()


def measure(args):
    colorizer, files = Colorizer.load(args.model), photo_files(args.photos[0])[::args.every]
    table = pd.concat([curve(colorizer, files, method) for method in args.methods])
    if args.add: table = pd.concat([pd.read_csv(args.add), table])
    if args.out: table.to_csv(args.out, index=False)
    print(table.to_string(index=False))


# ---- reach

WISHES = dict(autumn=(225, 110, 20), purple=(150, 50, 170))


def deepest(crown):
    "The place of a crown that is furthest from its edge, x and y"
    y, x = np.unravel_index(distance_transform_edt(np.pad(crown > .5, 1))[1:-1, 1:-1].argmax(), crown.shape)
    return int(x), int(y)


def ab_of(picture): return rgb_to_lab(tensor(picture))[0, 1:]


def wished(hinted, wish):
    "What a picture would be if all of it had one colour, as far as the lightness of each pixel allows it"
    task, x = hinted.colorizer.task, hinted.encoded[0]
    all_of_it = torch.tensor(ab_of(Image.new('RGB', (8, 8), wish))[:, :1, :1].numpy()/110)
    return ab_of(task.decode(hinted.photo.copy(), x, all_of_it[None].expand(1, 2, *x.shape[-2:]), 1.))


def reach_of(hinted, before, crowns, which, wish, wanted, within=True):
    """What one hint in a crown does: shares of pixels that are its colour now, within 15 CIE units or most of the way

    The colour is the `wished` one, `wanted`. `outside` is what is no tree at all."""
    colorizer, crown = hinted.colorizer, crowns[which]
    hints = check_hints([(*deepest(crown), wish)], hinted.photo.size)
    after = ab_of(colorizer.task.decode(hinted.photo.copy(), *hinted.predict(hints, within), colorizer.saturation))
    left, way, moved = [(a - b).norm(dim=0).numpy() for a, b in ((after, wanted), (before, wanted), (after, before))]
    inside, tree = crown > .9, np.sum(crowns, 0)
    other, outside = (tree - crown) > .9, tree < .02
    reached, touched = (left <= 15) | (left <= way/2), (moved > 15) | (moved > way/2)
    return dict(inside=reached[inside].mean(), already=(way <= 15)[inside].mean(), outside=touched[outside].mean(),
                others=reached[other].mean() if other.any() else np.nan, area=(crown > .5).mean())


def reach_rows(colorizer, seeds, size=256):
    "A row for each crown of at least 1% of its scene, and each wish"
    for seed in seeds:
        scene, crowns = scene_and_crowns(seed, size)
        hinted = HintedPhoto(colorizer, scene.convert('L').convert('RGB'))
        before, wanted = ab_of(hinted()), {k: wished(hinted, wish) for k, wish in WISHES.items()}
        for i, crown in enumerate(crowns):
            if (crown > .5).mean() < .01: continue
            for (name, wish), within in itertools.product(WISHES.items(), (False, True)):
                row = reach_of(hinted, before, crowns, i, wish, wanted[name], within)
                yield dict(seed=seed, wish=name, within=within) | row


def over_scenes(df, column):
    "The mean over hints, and its standard error where the hints of one scene go together"
    mean, by = df[column].mean(), df.groupby('seed')[column]
    off, n = by.sum() - mean*by.size(), by.ngroups
    return mean, (off.pow(2).sum()*n/max(1, n - 1))**.5/len(df)


def reach(args):
    first, n = args.first_scene, int(args.photos[0]) # of scenes; none of them has been trained on
    df = pd.DataFrame(reach_rows(Colorizer.load(args.model), range(first, first + n)))
    shares = 'inside', 'already', 'outside', 'others'
    df['good'] = (df.inside >= .9) & (df.outside < .05)
    for within, o in df.groupby('within'):
        print('within what looks alike' if within else 'as trained', f'{len(o)} hints in {o.seed.nunique()} scenes')
        print(o.groupby('wish')[[*shares]].agg(['mean', 'median', 'min', 'max']).T.round(3).to_string())
        print(f'{o.inside.mean():.1%} of the crown, {o.outside.mean():.1%} of what is no tree; '
              f'{o.good.mean():.0%} of the hints reach 90% and touch less than 5%')
        for wish, part in [('all', o), *o.groupby('wish')]:
            told = [f'{k} {100*m:.2f} ± {100*sem:.2f}%' for k in shares[::2] for m, sem in [over_scenes(part, k)]]
            print(f'{wish}, {len(part)} hints, with standard errors over scenes: {", ".join(told)}')
    if args.out: df.round(4).to_csv(args.out, index=False)


# ---- references

def crops(path):
    "Two squares of one photo: of its upper left and of its lower right, each of 0.7 of its width and height"
    photo = open_photo(path)
    (w, h), part = photo.size, .7
    boxes = (0, 0, w*part, h*part), (w*(1 - part), h*(1 - part), w, h)
    return [ImageOps.fit(photo.crop([int(o) for o in box]), (256, 256), Image.BICUBIC) for box in boxes]


def most_alike(colorizer, photo, others):
    "Of some photos, the one whose matches are trusted most"
    known = _places(colorizer, photo.convert('L').convert('RGB'), 'photo')[0]
    def trust(other): return _matches(known, *_places(colorizer, other, 'other')[:2], .4)[0].mean()
    return max(others, key=trust)


def reference_pairs(colorizer, files, kind, seed=0):
    "Yields what a reference is, a photo and its reference; `kind` are files of photos of one kind"
    rng = random.Random(seed)
    for f in files:
        photo = square(f)
        yield 'mirrored, brighter', photo, ImageOps.mirror(photo.point(lambda v: int(255*(v/255)**.8)))
        yield 'another crop', *crops(f)
        yield 'unrelated', photo, square(rng.choice([o for o in files if o != f]))
    chosen = rng.sample(kind, min(len(kind), 2*len(files)))
    photos, others = [[square(f) for f in half] for half in (chosen[::2], chosen[1::2])]
    for photo, other in zip(photos, others, strict=False):
        yield 'the same kind, at random', photo, other
        some = rng.sample(others, min(20, len(others)))
        yield 'the same kind, most alike of 20', photo, most_alike(colorizer, photo, some)


def reference_row(colorizer, what, photo, reference, n):
    "PSNR of a photo without hints, and with hints from its reference"
    gray, truth = photo.convert('L').convert('RGB'), tensor(photo)
    try: hints = hints_from(reference, gray, n, colorizer)
    except HintError: hints = [] # a gray reference, or nothing alike
    hinted = HintedPhoto(colorizer, gray)
    before, after = [psnr(tensor(hinted(o)), truth).item() for o in ([], hints)]
    return dict(reference=what, hints=len(hints), psnr=before, gain=after - before, truth=colorfulness(truth).item())


def reference(args):
    colorizer = Colorizer.load(args.model)
    files, kind = photo_files(args.photos[0])[::args.every], [f for o in args.photos[1:] for f in photo_files(o)]
    pairs = reference_pairs(colorizer, files, kind, args.seed)
    df = pd.DataFrame(reference_row(colorizer, *pair, args.points) for pair in pairs)
    by = df[df.truth >= near_gray].groupby('reference', sort=False)
    table = pd.DataFrame(dict(photos=by.size(), hints=by.hints.mean().round(1), psnr=by.psnr.mean().round(2),
                              gain=by.gain.mean().round(2), sem=by.gain.sem().round(2),
                              better=by.gain.apply(lambda o: (o > 0).mean()).round(2), worst=by.gain.min().round(2)))
    if args.out: table.reset_index().to_csv(args.out, index=False)
    print(table.to_string())


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.hints', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('what', choices=('train', 'measure', 'reach', 'reference'))
    add('photos', nargs='+', help='folders; for reach, the number of scenes')
    add('-o', '--out', help='file to write')
    add('--model', default='grayscale', help='a model in the package, or a file')
    add('--methods', nargs='+', choices=('model', 'as_trained', 'levin', 'channels', 'untrained'),
        default=['model', 'levin'])
    add('--every', type=int, default=1, help='measure on every so many photos')
    add('--add', help='rows of another CSV that come first')
    add('--points', type=int, default=50, help='hints from a reference')
    add('--first-scene', type=int, default=7000, help='seed of the first scene, for reach')
    add('--n', type=int, default=1400, help='photos to train on')
    add('--sheets', type=int, default=0, help='sheets of drawn things to train on, for drawings')
    add('--steps', type=int, default=1500, help='of training')
    add('--bs', type=int, default=16, help='photos in a step')
    add('--lr', type=float, default=2e-3)
    add('--average', type=float, default=0., help='how slowly the average of the weights, which is kept, forgets')
    add('--seed', type=int, default=0)
    add('--cache', default='hint_features', help='folder for the features')
    add('--resume', help='a model to start from with the attention, or the file .part of a training that was cut off')
    args = parser.parse_args(argv)
    dict(train=train, measure=measure, reach=reach, reference=reference)[args.what](args)


if __name__ == '__main__': main()
