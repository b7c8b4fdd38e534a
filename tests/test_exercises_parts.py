"Checkers of the parts: right answers, wrong ones, and what is said to them."
import io
import math
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
import traitlets as tr
from PIL import Image, ImageDraw, ImageOps, ImageSequence
from safetensors.torch import load_file
from torch import nn

from colorize_lib.engine.callbacks import OutermostCallback
from colorize_lib.engine.metrics import bootstrap
from colorize_lib.engine.weights import _checksum as tensors_checksum
from colorize_lib.exercises.checker import feedback
from colorize_lib.exercises.sketch import _blues, _torn_sheet
from colorize_lib.experiments.methods import groups, methods
from colorize_lib.experiments.plans import Plan, run_plan
from colorize_lib.lab import lab_to_rgb, rgb_to_lab
from colorize_lib.networks.classification import annealed_mean, bin_centers, soft_encode
from colorize_lib.photos.samples import paint_scene
from colorize_lib.sketch.flowers import petal
from colorize_lib.sketch.line_art import ellipse
from colorize_lib.sketch.sketch import pencil
from colorize_lib.widgets.monitor import TrainingMonitor
from colorize_lib.widgets.pieces import Piece
from answers import refused, right


def test_the_pickle_is_not_opened(tmp_path):
    import pickle
    class Writes:
        def __reduce__(self): return open, (str(tmp_path/'opened'), 'w')
    assert feedback('weights.1', pickle.dumps(Writes(), protocol=2))
    assert not (tmp_path/'opened').exists()


def test_near_misses_in_parts():
    assert 'cut' in feedback('cache.1',
                             lambda img, side: np.asarray(img.crop((18, 0, 78, 60)).resize((side, side)))).hint
    assert 'not the gradient' in feedback('distributed.2', lambda grads, ns: sum(grads)/len(grads)).hint
    class Pool:
        def give(self, t): pass
        def take(self, *shape): return torch.empty(shape)
    assert 'used again' in feedback('speed.4', Pool).hint
    assert feedback('speed.3', 4096)
    assert 'bytes' in feedback('speed.3', 1024).hint
    assert 'scales for 6 filters' in feedback('weights.2',
                                              lambda w: ((w/w.abs().max()*127).to(torch.int8), w.abs().max()/127)).hint


def test_the_fields_that_change_no_weight_change_no_weight(tmp_path):
    scenes = [paint_scene(i, 32) for i in range(20)]
    base = Plan(size=32, bs=4, epochs_l1=1, kwargs=dict(nf=2, n_down=1), precision='fp32')
    def checksum(plan, name):
        run_plan(scenes, tmp_path/name, plan)
        return tensors_checksum(load_file(tmp_path/name/'generator.safetensors'), '')
    same = dict(render=64, saturation=.5, lr=.1, lambda_l1=1.)
    others = dict(lr_l1=.1, zoom=1.5, n_valid=8, seed=1, loss='l2', bs=8)
    expected = checksum(base, 'base')
    for k, v in (same | others).items(): assert (checksum(replace(base, **{k: v}), k) == expected) == (k in same), k
    assert {f.name for f in fields(Plan)} == {*same, *others, 'size', 'epochs_l1', 'epochs_gan', 'task', 'generator',
                                              'kwargs', 'precision'}, 'a new field: does it change a weight?'
    assert feedback('plans.2', set(same))


def marginal(z, pick=lambda low, high: low, reach=0.):
    "The median along each axis, by the running sum from below and from above"
    out = []
    for centers in bin_centers().T:
        values = centers.unique()
        mass = torch.stack([z[:, centers == v].sum(1) for v in values], -1)
        low = values[(mass.cumsum(-1) < .5 - 1e-6).sum(-1)]
        high = values[-1 - (mass.flip(-1).cumsum(-1) < .5 - 1e-6).sum(-1)]
        out.append(pick(low, high) + reach)
    return torch.stack(out, 1)


def test_colours_as_classes():
    right('classification.1', (.306, .113), (torch.tensor(.3064), np.float32(.1129)), [.307, .112])
    refused('classification.1', (.33, .127), 'how far is a colour') # a square instead of a circle
    refused('classification.1', (.306, .0904), 'divided by')
    refused('classification.1', (.306, .306), 'weight of its class')
    refused('classification.1', .306, 'expected a pair')
    right('classification.2', *[(n, n*65) for n in (963, 966, 969)]) # every second, third, or single step of a channel
    refused('classification.2', (261*4, 261*4*65), 'half as wide')
    refused('classification.2', (966, 966*64), 'bias')
    right('classification.3', marginal, lambda z: marginal(z, lambda low, high: high).numpy())
    refused('classification.3', lambda z: annealed_mean(z.log(), 1), 'on one side')
    refused('classification.3', lambda z: annealed_mean(z.log(), .001), 'on one side')
    refused('classification.3', lambda z: marginal(z, reach=10.), 'along a')
    refused('classification.3', lambda z: marginal(z)[:, [1, 0]], 'on one side')
    refused('classification.3', lambda z: marginal(z)[0], 'the shape is')


def test_results_for_the_explorer():
    def centred(a): return (a - a.mean((1, 2), keepdims=True))/a.std((1, 2), keepdims=True)
    right('loss_results.2', lambda a, b: (centred(a)*centred(b)).mean((1, 2)),
          lambda a, b: [float(np.corrcoef(x.ravel(), y.ravel())[0, 1]) for x, y in zip(a, b)])
    refused('loss_results.2', lambda a, b: (a*b).mean((1, 2)), 'louder')
    refused('loss_results.2', lambda a, b: abs((centred(a)*centred(b)).mean((1, 2))), 'opposite')
    refused('loss_results.2', lambda a, b: np.full(5, np.corrcoef(a.ravel(), b.ravel())[0, 1]), 'each photo')
    refused('loss_results.2', lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1], 'the shape is ()')

    def jump(pictures, dims=(2, 3), length=lambda d: d.norm(dim=1), channels=slice(1, None), scale=255):
        lab = rgb_to_lab(torch.from_numpy(pictures).permute(0, 3, 1, 2)/scale)[:, channels]
        return torch.stack([length(lab.diff(dim=dim)).mean() for dim in dims]).mean()
    right('loss_results.3', jump, lambda pictures: float(jump(pictures)))
    refused('loss_results.3', lambda p: jump(p, channels=slice(None)), 'gray noise')
    for dim in (2, 3): refused('loss_results.3', lambda p, dim=dim: jump(p, (dim,)), 'one direction')
    refused('loss_results.3', lambda p: jump(p, length=lambda d: d.abs().sum(1)), 'units')
    refused('loss_results.3', lambda p: jump(p, length=lambda d: d.abs()), 'units')
    refused('loss_results.3', lambda p: jump(p)/110, 'units')


def hue(rgb): return torch.atan2(*rgb_to_lab(rgb)[[2, 1]]).rad2deg()


def hue_error(pred, true, least=10, unit=1.):
    pred, true = rgb_to_lab(pred)[1:], rgb_to_lab(true)[1:]
    error = (torch.atan2(pred[1], pred[0]) - torch.atan2(true[1], true[0])).rad2deg()
    error = ((error + 180) % 360 - 180).abs()
    return error[(pred.norm(dim=0) > least) & (true.norm(dim=0) > least)].mean()*unit


def test_metrics():
    right('metrics.1', hue_error, lambda p, t: float(hue_error(p.double(), t.double())),
          lambda p, t: hue_error(p, t).numpy())
    refused('metrics.1', lambda p, t: hue_error(p, t, unit=np.pi/180), '30 degrees apart')
    refused('metrics.1', lambda p, t: (hue(p) - hue(t)).abs().mean(), '-170')
    refused('metrics.1',
            lambda p, t: (hue(p).mean() - hue(t).mean()).abs() if (hue(t) > -100).all() else torch.tensor(20.),
            'cancel')
    for least in (0, 2): refused('metrics.1', lambda p, t, least=least: hue_error(p, t, least), 'paler than')
    rng = np.random.default_rng(1)
    hard = rng.normal(20, 5, 300)
    right('metrics.2', (hard, hard + .2), [hard + .2, hard],
          torch.from_numpy(np.stack([hard, hard + .2 + rng.normal(0, .1, 300)])), ((hard + .2).tolist(), hard.tolist()))
    refused('metrics.2', (hard, rng.permutation(hard) + .2), 'may be 0')
    refused('metrics.2', (hard/100, hard/100 + .2), 'wide')
    refused('metrics.2', (hard, hard + 2), '2.00 dB apart')
    right('metrics.3', .8, np.float32(.8), torch.tensor(.8))
    for wrong in (.2, 1 - 30/110, .89): refused('metrics.3', wrong, 'threshold')
    right('metrics.4', 13.2, 512**2/2/1e4)
    for wrong in (0, 26.2, 2*512/1e4): refused('metrics.4', wrong, 'formula')
    assert bootstrap(hard)[2] - bootstrap(hard)[1] > 1


def hatched(x, weight=1., detail=.5, step=lambda y, x: y + x):
    wave = step(*torch.meshgrid(*map(torch.arange, x.shape[-2:]), indexing='ij')) % 8/8
    return ((wave >= 1 - x) | (x > .99)).float()


def test_sketches():
    right('sketch.1', lambda x: pencil(1 - x), lambda x: pencil(1 - x, weight=2., detail=.1),
          lambda x: pencil((1 - x).double()).numpy())
    refused('sketch.1', pencil, 'dark side')
    refused('sketch.1', lambda x: 1 - pencil(x), 'not white')
    refused('sketch.1', torch.ones_like, 'no line')
    right('sketch.2', hatched, lambda x, w, d: hatched(x, step=lambda y, x: y),
          lambda x, w, d: hatched(x, step=lambda y, x: 2*y - x).numpy())
    refused('sketch.2', lambda x, w, d: x, 'not made of lines')
    refused('sketch.2', lambda x, w, d: (torch.rand_like(x) < x).float(), 'common direction')
    refused('sketch.2', lambda x, w, d: hatched(x.clamp(max=.5)), 'white stays white')
    refused('sketch.2', lambda x, w, d: hatched(x*0 + .5).where(x < 1, 1.), 'the darker')
    right('sketch.3', .36, torch.tensor(.3596))
    for wrong in (.25, .5, .6, 1): refused('sketch.3', wrong, 'kernel')
    right('drawings.2', 40, 41, 42.)
    for wrong in (20, 21, 84): refused('drawings.2', wrong, 'window')


def test_a_torn_sheet():
    def without(img, level=25, fill=(255, 255, 255)):
        x = np.array(img)
        x[np.ptp(x.astype(int), axis=-1) > level] = fill
        return Image.fromarray(x)
    right('drawings.3', without, lambda img: without(img, 40, (246, 244, 238)).convert('L'))
    refused('drawings.3', lambda img: img.convert('L'), 'still to be seen')
    refused('drawings.3', lambda img: Image.fromarray(np.array(img).max(-1)), 'still to be seen')
    refused('drawings.3', lambda img: img.convert('L').point(lambda v: 255 if v > 70 else v), 'pale')
    refused('drawings.3', lambda img: Image.new('L', img.size), 'dark')
    for blue in _blues:
        _, lines, pencil_ = _torn_sheet(blue)
        assert .05 < lines.mean() < .15
        assert .01 < pencil_.mean() < .1


def test_workers_and_files():
    right('jobs.1', 2, 2., torch.tensor(2))
    for wrong in (1, 3, 20): refused('jobs.1', wrong, 'newest')
    def one_by_one(worker, jobs):
        out = []
        for job in jobs:
            try: out.append(worker.submit(job).result())
            except Exception as e: out.append(e)
        return tuple(out)
    right('jobs.2', one_by_one,
          lambda worker, jobs: [f.exception() or f.result() for f in [worker.submit(j) for j in jobs]])
    refused('jobs.2', lambda worker, jobs: [worker.submit(j).result() for j in jobs], 'it raised KeyError')
    refused('jobs.2', lambda worker, jobs: [str(f.exception() or f.result()) for f in map(worker.submit, jobs)],
            'exception itself')
    refused('jobs.2', lambda worker, jobs: [f.exception() for f in map(worker.submit, jobs)], 'in their order')
    def here(job):
        try: return job('the model')
        except KeyError as e: return e
    refused('jobs.2', lambda worker, jobs: list(map(here, jobs)), 'own thread')

    def size(head): return np.prod(Image.open(io.BytesIO(head)).size)/1e6
    right('jobs.4', size, lambda head: float(size(head)))
    refused('jobs.4', lambda head: len(head)/1e6, 'width times')
    refused('jobs.4', lambda head: np.asarray(Image.open(io.BytesIO(head))).size/3e6, 'truncated')
    right('jobs.6', lambda data: [o.convert('RGB') for o in ImageSequence.Iterator(Image.open(io.BytesIO(data)))])
    refused('jobs.6', lambda data: [Image.open(io.BytesIO(data)).convert('RGB')], 'you found 1')
    refused('jobs.6', lambda data: list(ImageSequence.Iterator(Image.open(io.BytesIO(data)))), 'equal')
    refused('jobs.6', lambda data: [o.convert('L') for o in ImageSequence.Iterator(Image.open(io.BytesIO(data)))],
            'wants RGB')
    refused('jobs.6',
            lambda data: [Image.open(io.BytesIO(data)).convert('RGB')
                          for _ in ImageSequence.Iterator(Image.open(io.BytesIO(data)))], 'equal')
    refused('jobs.6',
            lambda data: [o.convert('RGB') for o in ImageSequence.Iterator(Image.open(io.BytesIO(data)))][::-1],
            'in their order')


def test_pieces_and_the_app():
    def follow(stage, name='position', value=lambda change: change['new']):
        log = []
        stage.observe(lambda change: log.append(value(change)), name)
        return log
    right('pieces.1', follow)
    refused('pieces.1', lambda stage: follow(stage, tr.All), 'True')
    refused('pieces.1', lambda stage: follow(stage, value=lambda change: change['old']), '[50.0, 20.0]')
    js = ('export default {{ render({{ model, el }}) {{ el.addEventListener("click", '
          '() => {{ model.set("count", model.get("count") + 1); {} }}) }} }}')
    clicks = lambda end, **traits: type('Clicks', (Piece,), dict(_esm=js.format(end)) | traits)
    right('pieces.2', clicks('model.save_changes()', count=tr.Int(0).tag(sync=True)),
          clicks('model.send("count")', count=tr.Int().tag(sync=True)))
    refused('pieces.2', clicks('', count=tr.Int(0).tag(sync=True)), 'what tells Python')
    for traits in (dict(count=tr.Int(0)), {}): refused('pieces.2', clicks('model.save_changes()', **traits), 'share')
    refused('pieces.2', clicks('', count=tr.Int(3).tag(sync=True)), 'begins with 3')

    right('hint_state.1', lambda hints, size: [o._replace(x=size[0] - 1 - o.x) for o in hints])
    refused('hint_state.1', lambda hints, size: [o._replace(x=size[0] - o.x) for o in hints], 'column 40')
    refused('hint_state.1', lambda hints, size: [o._replace(x=size[0] - 2 - o.x) for o in hints], 'column -1')
    refused('hint_state.1', lambda hints, size: [(size[0] - 1 - o.x, o.y, o.color) for o in hints], 'three `Hint`s')
    refused('hint_state.1', lambda hints, size: [o._replace(x=39. - o.x, radius=None) for o in hints], 'radii stay')
    refused('hint_state.1', lambda hints, size: list(hints), 'from the left')
    right('hint_state.2', 'b')
    refused('hint_state.2', 'd', 'one series')
    def apart(colors, distance, least=lambda o, kept: min(math.dist(o, p) for p in kept)):
        kept = []
        for o in colors:
            if not kept or least(o, kept) >= distance: kept.append(o)
        return kept
    right('hint_colors.1', apart)
    refused('hint_colors.1', lambda c, d: apart(c, d, lambda o, kept: math.dist(o, kept[-1])), 'less than 20 apart')
    refused('hint_colors.1', lambda c, d: apart(c, d + 1e-9), 'far enough')
    refused('hint_colors.1', lambda c, d: apart(c, 30), 'are far enough from all')
    refused('hint_colors.1', lambda c, d: apart(c[::-1], d), 'comes first')
    refused('hint_colors.1', lambda c, d: set(apart(c, d)), 'expected a list')

    def rendered(times, cost, newest=True):
        out, free = [], 0
        for i, t in enumerate(times):
            if newest and i + 1 < len(times) and times[i + 1] <= max(free, t): continue
            if not newest and t < free: continue
            out.append(i)
            free = max(free, t) + cost
        return out
    right('hint_editor.1', rendered)
    refused('hint_editor.1', lambda times, cost: rendered(times, cost, False), 'where the hand stops')
    refused('hint_editor.1', lambda times, cost: list(range(len(times))), 'lags behind')
    refused('hint_editor.1', lambda times, cost: rendered(times, cost)[-1:], 'each has its picture')

    ended = lambda photos: [o for o in photos if o.data and o.state not in ('waiting', 'working')]
    good = lambda photos, now: [o for o in ended(photos) if o.settings != now]
    right('colorize_app.1', good, lambda photos, now: [o.name for o in good(photos, now)])
    refused('colorize_app.1', lambda photos, now: [o for o in photos if o.settings != now], 'its turn')
    refused('colorize_app.1',
            lambda photos, now: [o for o in photos if o.state in ('done', 'failed') and o.settings != now],
            'nothing to colour')
    refused('colorize_app.1', lambda photos, now: [o for o in photos if o.state == 'done'], 'these very settings')
    refused('colorize_app.1', lambda photos, now: [o for o in good(photos, now) if o.state == 'done'], 'you found 1')

    def numbered(names, taken=()):
        taken, out = set(taken), []
        for name in names:
            stem, dot, suffix = name.rpartition('.')
            new, n = name, 1
            while new in out or new != name and new in taken: new, n = f'{n}_{stem}{dot}{suffix}', n + 1
            out.append(new)
        return out
    right('clips.1', 42)
    refused('clips.1', 21, 'twice')
    right('colorize_app.2', lambda names: numbered(names, names))
    refused('colorize_app.2', numbered, 'first time')
    refused('colorize_app.2', lambda names: [nm if nm not in names[:i] else f'{i}_{nm}' for i, nm in enumerate(names)],
            '1_a.png is there 2 times')
    refused('colorize_app.2', lambda names: [f'{nm}_{i}' for i, nm in enumerate(names)], 'suffix')
    refused('colorize_app.2', lambda names: list(dict.fromkeys(names)), 'as many')


def test_explorers(tmp_path):
    from colorize_lib.widgets.loss_explorer import LossResults, Method, save_results
    right('lab_explorer.1', 'c', 'C')
    for letter in 'abd': refused('lab_explorer.1', letter, 'where can you still recognise')
    right('loss_explorer.1', 'b')
    for letter in 'acd': refused('loss_explorer.1', letter, 'which pixels')
    right('lab_explorer.2', 55, torch.tensor(54.), np.float32(56.5))
    for wrong in (20, 50, 65, 90): refused('lab_explorer.2', wrong, 'island covers')
    refused('lab_explorer.2', 400, 'between 0 and 100')
    t = torch.linspace(0, 1, 64).expand(64, 64)
    ramp = lambda b0, b1: Image.fromarray(
        (lab_to_rgb(torch.stack([30 + 50*t, t*0, b0 + (b1 - b0)*t]))*255).round().byte().permute(1, 2, 0).numpy())
    right('lab_explorer.3', ramp(-30, 30), ramp(30, -20), ramp(-30, 30).convert('RGBA'))
    refused('lab_explorer.3', ramp(5, 10), 'varies')
    refused('lab_explorer.3', paint_scene(1, 48).rotate(90), 'gray tells')

    gray, truth = np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)
    def file(*values, same=False):
        return save_results(LossResults(gray, truth,
                                        [Method('both', truth + np.uint8(1 if same else v), v) for v in values]),
                            tmp_path/'mine.npz')
    right('loss_explorer.2', file(1., 2., 3.))
    right('loss_explorer.2', str(file(1., 2., 3.)))
    refused('loss_explorer.2', file(1., 2.), 'there are 2')
    refused('loss_explorer.2', file(1., 2., 3., same=True), 'exactly the same')
    refused('loss_explorer.2', tmp_path/'gone.npz', 'no such file')

    def annealed(p, centers, T, scale=lambda p: p.amax(1, keepdim=True)):
        p = (p/scale(p))**(1/T)
        return (p/p.sum(1, keepdim=True)) @ centers
    right('loss_explorer.3', annealed, lambda p, c, T: annealed(p.double(), c.double(), T).numpy())
    refused('loss_explorer.3', lambda p, c, T: annealed(p, c, T, lambda p: 1.), 'NaN')
    refused('loss_explorer.3', lambda p, c, T: annealed(p, c, 1/T), 'T=0.38')
    refused('loss_explorer.3', lambda p, c, T: c[p.argmax(1)], 'T=1')


def test_the_pad():
    def mirrored(drawing):
        w, out = drawing.width, drawing.copy()
        out.paste(ImageOps.mirror(drawing.crop((0, 0, w//2, drawing.height))), (w - w//2, 0))
        return out
    right('sketch_pad.2', mirrored, lambda d: mirrored(d).convert('RGB'), lambda d: np.asarray(mirrored(d)))
    refused('sketch_pad.2', ImageOps.mirror, 'left half has changed')
    refused('sketch_pad.2', lambda d: d, 'not the mirror image')
    refused('sketch_pad.2', lambda d: ImageOps.mirror(mirrored(ImageOps.mirror(d))), 'left half has changed')

    def draw(strokes, size, at=lambda x, y: (x, y), mode='L', width=1, ink=0, joined=False):
        im = Image.new(mode, (size, size), 'white')
        for stroke in [sum(strokes, [])] if joined else strokes:
            ImageDraw.Draw(im).line([tuple(v*size for v in at(*p)) for p in stroke], fill=ink, width=width)
        return im
    right('sketch_pad.3', draw, lambda s, n: draw(s, n, mode='RGB', width=n//40),
          lambda s, n: draw(s, n, ink=90, width=3))
    refused('sketch_pad.3', lambda s, n: draw(s, n, lambda x, y: (y, x)), 'changed places')
    refused('sketch_pad.3', lambda s, n: draw(s, n, lambda x, y: (x, 1 - y)), 'on its head')
    refused('sketch_pad.3', lambda s, n: draw(s, n, joined=True), 'lifted')
    refused('sketch_pad.3', lambda s, n: draw([o[:2] for o in s], n), 'dark line')
    refused('sketch_pad.3', lambda s, n: ImageOps.invert(draw(s, n)), 'not white')
    refused('sketch_pad.3', lambda s, n: draw(s, 512), 'size x size')


def test_the_monitor():
    right('monitor.1', 5, 5.05, torch.tensor(5.))
    for wrong in (1, .5, 50): refused('monitor.1', wrong, 'hundredth')
    def median(points, n, f=np.median):
        return [(s, f([v for _, v in points[max(0, i + 1 - n):i + 1]])) for i, (s, _) in enumerate(points)]
    right('monitor.2', median, lambda points, n: [[s, torch.tensor(v)] for s, v in median(points, n)])
    refused('monitor.2', lambda points, n: median(points, n, np.mean), 'medians')
    refused('monitor.2', lambda points, n: median(points, n)[n - 1:], 'as many')
    class Film(TrainingMonitor):
        def begin(self):
            super().begin()
            self.frames = []
        def draw(self):
            super().draw()
            self.frames.append(self.strip)
    class AnEpoch(Film):
        def draw(self): TrainingMonitor.draw(self)
        def after_epoch(self):
            super().after_epoch()
            self.frames.append(self.strip)
    right('monitor.3', Film)
    refused('monitor.3', AnEpoch, 'are 2')
    refused('monitor.3', TrainingMonitor, 'monitor.frames')
    right('monitor.4', 'b')
    for letter in 'acd': refused('monitor.4', letter, 'not trained by gradients')


def test_methods_and_comparisons(monkeypatch):
    right('methods.1', 24, torch.tensor(24.))
    for wrong in (12, 30, 36): refused('methods.1', wrong, 'proportion')
    for name, change, why in (('good', {}, ''), ('longer', dict(epochs_gan=3), ''),
                              ('stage', dict(epochs_l1=1), 'epochs_l1'), ('loss', dict(loss='l2'), 'loss'),
                              ('l1_alone', dict(epochs_l1=1, epochs_gan=0), 'no adversarial')):
        monkeypatch.setitem(methods, name, methods['paper'] | dict(lambda_l1=30) | change)
        refused('methods.2', name, why) if why else right('methods.2', name)
    for name, why in (('lambda_10', 'its lambda is 10'), ('gone', 'not a name')): refused('methods.2', name, why)

    better = lambda table: table.index[table['over gray_low'] > 0]
    right('comparison.1', better, lambda table: set(better(table)), lambda table: [*better(table)][::-1])
    refused('comparison.1', lambda table: table.index[table['over gray'] > 0], 'is it certain')
    refused('comparison.1', lambda table: table.index[table.psnr > 22], 'no method')
    refused('comparison.1', lambda table: ['l1'], 'you found 1')
    refused('comparison.1', lambda table: table[table['over gray_low'] > 0], 'expected names')
    assert isinstance(better(pd.DataFrame({'over gray_low': [1.]}, index=['l1'])), pd.Index)

    for nf in (8, 16): monkeypatch.setitem(methods, f'nf{nf}', methods['l1'] | dict(kwargs=dict(nf=nf)))
    for names, why in ((['nf8', 'nf16'], ''), (['l1', 'paper'], ''), (('l1', 'l2', 'smooth_l1'), ''), (['l1'], 'alone'),
                       (['nf8', 'nf8'], 'same plan'), (['nf8', 'l2'], 'loss'),
                       (['l1', 'pix2pix'], 'generator'), (['l1', 'gone'], 'gone')):
        monkeypatch.setitem(groups, 'mine', names)
        refused('compare.3', 'mine', why) if why else right('compare.3', 'mine')
    for wrong in {*groups, 'nothing'} - {'mine'}: refused('compare.3', wrong, 'that you have added')


def test_callbacks_and_the_learner():
    class Worst(OutermostCallback):
        step = lambda self: self.learn.train_iter
        def wants(self, event): return self.depth == 1
        def begin(self): self.largest, self.number = torch.tensor(-1.), torch.tensor(-1)
        def after_loss(self):
            if not self.training: return
            larger = self.learn.loss > self.largest
            self.number = torch.where(larger, self.step(), self.number)
            self.largest = torch.where(larger, self.learn.loss.detach(), self.largest)
    right('callbacks.2', 4, torch.tensor(4))
    for wrong in (1, 3, 6): refused('callbacks.2', wrong, 'epochs')
    for wrong in (2, 5, 8): refused('callbacks.3', wrong, 'skips')
    right('callbacks.4', Worst)
    refused('callbacks.4', type('Late', (Worst,), dict(step=lambda self: self.learn.train_iter + 1)), 'number 0')
    refused('callbacks.4', type('Valid', (Worst,), dict(begin=lambda self: setattr(self, 'largest', 1.))), 'raised')
    right('speed.1', 8192, 2**13)
    for wrong in (4096, 2**14, 6103): refused('speed.1', wrong, 'power of two')
    for wrong in 'abc': refused('speed.2', wrong, 'range')

    class WithLoss(OutermostCallback):
        def __init__(self, loss): self.new = loss
        def begin(self): self.old, self.learn.loss_func = self.learn.loss_func, self.new
        def end(self): self.learn.loss_func = self.old
    right('learner.3', WithLoss)
    refused('learner.3', type('Keeps', (WithLoss,), dict(end=lambda self: None)), 'not what it was')
    inner = dict(before_fit=WithLoss.begin, after_fit=WithLoss.end)
    refused('learner.3', type('Inner', (WithLoss,), inner), 'not what it was')
    def remember(self): self.old, self.learn.loss_func = getattr(self, 'old', self.learn.loss_func), self.new
    once = inner | dict(before_fit=remember)
    refused('learner.3', type('Once', (WithLoss,), once), 'inside of the fit')
    for wrong in (30, 27, 13): refused('learner.1', wrong, 'epoch 2')
    for name, letters in (('learner.2', 'abd'), ('weights.4', 'bcd'), ('checkpoints.3', 'abd'),
                          ('distributed.3', 'acd'), ('dry_run.2', 'abd')):
        for wrong in letters: refused(name, wrong, '?')


def test_photos_and_drawings():
    right('pictures.4', 500*375, 187500.)
    for wrong in (256**2, 1000*750, 341*256): refused('pictures.4', wrong, 'an eighth')
    refused('pictures.4', 4000*3000, 'full size')
    right('cache.3', 3*(2000*256**2 + 8000*288**2))
    refused('cache.3', 3*10_000*256**2, 'wider and higher')
    refused('cache.3', 3*10_000*288**2, 'both kinds')
    right('cache.4', 'ab', 'ba')
    for wrong in ('a', 'b', ''): refused('cache.4', wrong, 'whole line')
    refused('cache.4', 'abc', '_read')
    for name in ('sketch.4', 'drawings.4'):
        right(name, 'ac', 'ca')
        for wrong in ('a', 'c', 'abc', 'acd', 'bd'): refused(name, wrong, ':')
        refused(name, 'ax', 'letters')


def test_petals_of_daffodils():
    def daffodil(rng, n=6, centre=(.5, .5), tone='#e80', turn=1.):
        petals = [petal(.5, .5, turn*t, .4, .12) for t in np.arange(n)*2*np.pi/n]
        return [*[(o, ('#fd4',)) for o in petals], (ellipse(*centre, .14, .14), (tone,))]
    right('flowers.1', np.pi*.15*.05)
    for wrong in (.3*.05, np.pi*.3*.05): refused('flowers.1', wrong, 'radii')
    right('flowers.2', daffodil)
    for hint, over in (('seven parts', dict(n=5)), ('evenly', dict(turn=.9)), ('middle', dict(centre=(.5, .6))),
                       ('another one', dict(tone='#fd4'))): refused('flowers.2', partial(daffodil, **over), hint)
    right('flowers.3', 'ab', 'BA')
    for wrong in ('a', 'b', 'abc', 'abd'): refused('flowers.3', wrong, 'random')


def test_pix2pix_unet():
    def spread(net, x, n, mode=lambda m: isinstance(m, nn.Dropout), back=lambda net: net.eval(), over=0):
        net.eval()
        for m in net.modules():
            if mode(m): m.train()
        with torch.no_grad(): out = torch.stack([net(x) for _ in range(n)])
        back(net)
        return out.std(over, correction=0).mean().item()
    right('pix2pix_unet.1', spread)
    refused('pix2pix_unet.1', lambda *a: spread(*a, mode=lambda m: True), 'batch norms')
    refused('pix2pix_unet.1', lambda *a: spread(*a, mode=lambda m: False), 'was dropout on')
    refused('pix2pix_unet.1', lambda *a: spread(*a, back=lambda net: None), 'training mode')
    refused('pix2pix_unet.1', lambda *a: spread(*a, over=(0, 1, 2, 3, 4)), 'over the predictions')
    ups = zip((512, *[1024]*4, 512, 256, 128), (*[512]*4, 256, 128, 64, 2))
    whole, pairs = 54_409_858, sum(i*o for i, o in ups)
    right('pix2pix_unet.2', whole - 7*pairs)
    refused('pix2pix_unet.2', whole - 16*pairs, '3x3')
    for wrong in (whole, whole*9//16, whole - 7*pairs + 1): refused('pix2pix_unet.2', wrong, '9 weights')

    def evened(weight, share=1.):
        groups = weight.reshape(*weight.shape[:2], 2, 2, 2, 2)
        sums = groups.sum((2, 4), keepdim=True)
        return (groups + share*(sums.mean((3, 5), keepdim=True) - sums)/4).reshape_as(weight)
    right('pix2pix_unet.3', evened, lambda w: evened(w).numpy())
    refused('pix2pix_unet.3', lambda w: evened(w, .99), 'pattern')
    refused('pix2pix_unet.3', torch.zeros_like, 'would do')


def test_the_annealed_mean_of_a_lightness():
    def share(ab, T, mean=lambda z: z.mean(-1, keepdim=True), below=lambda ab: ab.norm(dim=0).mean()):
        return annealed_mean(mean(soft_encode(ab[None, :, None])).clamp(min=1e-9).log(), T).norm()/below(ab)
    right('classification.5', share, lambda ab, T: share(ab, T).item())
    refused('classification.5', lambda ab, T: share(ab, T, below=lambda ab: ab.mean(1).norm()), 'below the line')
    refused('classification.5', lambda ab, T: share(ab, T, mean=lambda z: z[..., :1]), 'it is off')
    refused('classification.5', lambda ab, T: share(ab, 1.), 'T=0.38')


def test_letters_of_what_was_measured():
    for name, letter in {'metrics.5': 'b', 'lite_unet.5': 'd', 'jobs.7': 'a', 'sketch_pad.5': 'b', 'model_card.6': 'd',
                         'methods.3': 'a', 'compare.1': 'b', 'loss_results.4': 'c',
                         'draw_a_flower.2': 'b'}.items():
        right(name, letter, letter.upper())
        for wrong in {*'abcd'} - {letter}: assert feedback(name, wrong).right is False, (name, wrong)


def test_errors_and_disagreements():
    right('methods.4', 138, 144)
    for wrong in (16, 35, 553, 9): refused('methods.4', wrong, 'two sides')
    over_photos = lambda psnr: psnr.mean(0).std(ddof=1)/psnr.shape[1]**.5
    right('compare.2', lambda psnr: (psnr.mean(1).std(ddof=1), over_photos(psnr)))
    refused('compare.2', lambda psnr: (psnr.std(0, ddof=1).mean(), over_photos(psnr)), 'first a mean for each seed')
    refused('compare.2', lambda psnr: (psnr.mean(1).std(ddof=1), psnr.mean(0).std(ddof=1)), 'the root of the number')
    refused('compare.2', over_photos, 'expected a pair')

    def disagreement(net, x, back=lambda o: o.flip(-1), scale=110.):
        with torch.no_grad(): return scale*(net(x) - back(net(x.flip(-1)))).norm(dim=1)
    right('colorizer.4', disagreement, lambda net, x: disagreement(net, x).numpy())
    refused('colorizer.4', lambda net, x: disagreement(net, x, back=lambda o: o), 'mirrored back')
    refused('colorizer.4', lambda net, x: disagreement(net, x, scale=1.), 'CIE units')
    refused('colorizer.4', lambda net, x: disagreement(net, x).mean(), 'a distance for each pixel')


def test_films():
    from colorize_lib.apply.films import import_video
    from colorize_lib.apply.video import fetch
    from colorize_lib.engine.video_metrics import fetched
    right('film_colors.1', 54.2, 54)
    right('films.1', 1382400)
    refused('films.1', 1280*720*3, 'Cb and Cr')
    def gray_frames(path, n=None):
        av, _ = import_video()
        with av.open(str(path)) as box: frames = [o for _, o in zip(range(n or 99), box.decode(video=0))]
        return all((o.to_ndarray()[o.height:] == 128).all() for o in frames)
    right('films.2', gray_frames)
    refused('films.2', lambda path: gray_frames(path, 1), 'late')
    def chained(first, second):
        h, w = first.shape[:2]
        here = np.stack(np.meshgrid(np.arange(w), np.arange(h)), -1).astype(np.float32)
        return first + fetch(second, here + first)
    def decode_times(shown):
        in_order = sorted(shown)
        return [o - max(b - a for a, b in zip(shown, in_order)) for o in in_order]
    right('film_writing.1', decode_times)
    refused('film_writing.1', sorted, 'decoded after it is shown')
    refused('film_writing.1', lambda shown: [o - 99 for o in sorted(shown)], 'as late as it can be')
    refused('film_writing.1', lambda shown: shown, 'in the order of the file')
    right('video.1', 4)
    right('video.2', chained)
    refused('video.2', lambda first, second: first + second, 'where the first one leads')
    right('film_looks.1', 39)
    refused('film_looks.1', 60, 'comes in')
    right('film_work.1', 481)
    refused('film_work.1', 480, 'the first key is frame 0')
    right('color_video.1', lambda done, total, seconds: max(0, total - done)*seconds/done if total else None)
    refused('color_video.1', lambda done, total, seconds: (total - done)*seconds/done, 'more frames than it says')
    right('video_metrics.1', 4)
    def worst_pair(ab, film):
        off = (fetched(ab[1:], film.motion) - ab[:-1]).norm(dim=1)
        return np.argmax([o[torch.from_numpy(v)].mean() for o, v in zip(off, film.visible)])
    right('video_metrics.2', worst_pair)
    refused('video_metrics.2', lambda ab, film: 0, 'colours jump between the frames')
    ab = torch.zeros(8, 2, 16, 16)
    ab[::2, 0, :8], ab[1::2, 0, 8:] = 40, 40
    right('video_metrics.3', ab)
    refused('video_metrics.3', ab*.2, 'more than 10 is wanted')
