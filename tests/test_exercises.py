"Exercises: every notebook has some, checkers tell right from wrong and give nothing away, solutions solve."
import io
import json
import re
from dataclasses import fields, replace
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
import torch
import traitlets as tr
from fasttransform import ItemTransform
from PIL import Image, ImageDraw, ImageOps, ImageSequence
from safetensors.torch import load_file
from torch import nn

from colorize_lib.networks.classification import annealed_mean, bin_centers, soft_encode
from colorize_lib.exercises.sketch import _blues, _torn_sheet
from colorize_lib.exercises.checker import Hint, all_exercises, checkers, choice, feedback, full_name, seal, titles
from colorize_lib.exercises import check
from colorize_lib.lab import colorize_dls, denormalize_lab, lab_to_rgb, normalize_lab, rgb_to_lab
from colorize_lib.experiments.methods import groups, methods
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.engine.callbacks import OutermostCallback
from colorize_lib.engine.metrics import bootstrap
from colorize_lib.widgets.monitor import TrainingMonitor
from colorize_lib.apply.recolor import box_mean
from colorize_lib.photos.samples import paint_scene
from colorize_lib.results import evaluate
from colorize_lib.sketch.sketch import pencil
from colorize_lib.experiments.plans import Plan, run_plan
from colorize_lib.unet import Unet
from colorize_lib.engine.weights import _checksum as tensors_checksum
from colorize_lib.widgets.pieces import Piece
from conftest import ROOT

EXERCISES = all_exercises()
COMPILES = {name for name, checker in checkers.items()
            if {'_graphs', '_dynamo'} & {*checker.__code__.co_names}} # those that run torch's compiler
NOTEBOOKS = sorted({name.rpartition('.')[0] for name in EXERCISES})


def cells(path): return json.loads((ROOT/'nbs'/f'{path}.ipynb').read_text(encoding='utf-8'))['cells']


def listed(notebook):
    "Exercises at the end of a notebook, from number to text"
    texts = [''.join(c['source']).partition('## Exercises')[2].partition('\n## ')[0] for c in cells(notebook)]
    return dict(re.findall(r'^(\d)\. (.*)$', '\n'.join(texts), re.M))


@pytest.mark.parametrize('notebook', NOTEBOOKS)
def test_exercises_of_a_notebook_are_those_of_the_list(notebook):
    items = listed(notebook)
    named = {n: re.findall(r"check\('([\w.]+\.(\d))', ", item) for n, item in items.items()}
    assert {f'{notebook}.{n}' for n in items} == {name for name in EXERCISES if name.rpartition('.')[0] == notebook}
    for n, item in items.items():
        if f'{notebook}.{n}' not in checkers:
            assert not named[n], item
            continue
        (name, number), = named[n]
        assert number == n
        assert full_name(name) == f'{notebook}.{n}'


def test_every_notebook_with_exercises_is_in_the_list():
    for path in (ROOT/'nbs').rglob('*.ipynb'):
        name = path.relative_to(ROOT/'nbs').with_suffix('').as_posix()
        if listed(name): assert name in NOTEBOOKS, path


def test_every_checked_exercise_has_a_solution_that_is_run():
    source = '\n'.join(''.join(c['source']) for p in (ROOT/'nbs/solutions').glob('*.ipynb')
                       for c in cells(f'solutions/{p.stem}') if c['cell_type'] == 'code')
    solved = [full_name(name) for name in re.findall(r"^assert check\('([\w./]+)', ", source, re.M)]
    assert sorted(solved) == sorted(checkers)


@pytest.mark.parametrize('junk',
                         [None, -1, 'many', [], (), lambda *args: None, lambda *args: 0.,
                          lambda *args: args[0], nn.Identity, np.zeros((3, 3))],
                         ids='None negative text list tuple nothing zero itself module array'.split())
def test_junk_is_never_right_and_never_a_traceback(junk):
    for name in checkers:
        if name in COMPILES and junk is not None: continue # the compiler takes seconds
        answer = feedback(name, junk)
        assert not answer, name
        assert answer.hint, name


def rotate(rgb, degrees, sign=1, scale=1.):
    lum, a, b = rgb_to_lab(rgb)
    t = torch.tensor(float(degrees)*sign).deg2rad()
    return lab_to_rgb(torch.stack([lum*scale, a*t.cos() - b*t.sin(), a*t.sin() + b*t.cos()]))


def test_right_wrong_and_why(capsys):
    assert check('02.1', rotate)
    assert check('02.1', rotate)
    assert check('lab_space.1', rotate)
    assert capsys.readouterr().out.splitlines() == ['02_lab_space.1: right']*3
    assert 'lightness' in feedback('02.1', lambda rgb, d: rotate(rgb, d, scale=.9)).hint
    assert 'other way round' in feedback('02.1', lambda rgb, d: rotate(rgb, d, sign=-1)).hint
    assert check().checked['02_lab_space.1'] == 'solved'


def test_an_error_in_a_students_code_is_one_line_with_their_line(capsys):
    def mine(rgb, degrees):
        def third(): return degrees/0
        return third()
    assert not check('02.1', mine)
    assert capsys.readouterr().out == ('02_lab_space.1: not yet: it raised ZeroDivisionError: division by zero, '
                                       'in the line: def third(): return degrees/0\n')
    def leaves(rgb, degrees): raise SystemExit(3)
    assert 'SystemExit' in feedback('02.1', leaves).hint


def test_a_check_leaves_random_numbers_and_the_checkers_own_data_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    feedback('02.1', rotate), feedback('06.2', nn.Identity)
    assert torch.equal(torch.rand(3), expected)
    def wipes_its_argument(x, radius):
        mean = box_mean(x, radius)
        x.zero_()
        return mean
    assert feedback('recolor.2', wipes_its_argument)


def test_names_that_are_unclear_or_unknown(monkeypatch):
    with monkeypatch.context() as m:
        m.setitem(titles, 'widgets/09_unet.1', 'a notebook whose title is that of a chapter')
        with pytest.raises(ValueError, match='which of 03_unet.1, widgets/09_unet.1'): check('unet.1', 2)
        assert full_name('03.1') == '03_unet.1'
        assert full_name('09_unet.1') == 'widgets/09_unet.1'
    for unknown in ('02.77', '09.1', 'nowhere.1', '1', ''): # a part has no number of its own
        with pytest.raises(ValueError, match='lists them all'): check(unknown, 2)
    with pytest.raises(TypeError, match='what is your answer'): check('02.1')
    assert not check('checker.3', 'a file')
    assert feedback('checker.3', 'a file').right is None


def test_the_sealed_receptive_field_is_what_a_gradient_finds():
    torch.manual_seed(0)
    net, seen = Unet(nf=2, n_down=4).eval(), []
    for p in net.parameters(): nn.init.constant_(p, .1)
    net.down[-1].register_forward_hook(lambda m, i, out: seen.append(out))
    x = torch.rand(12, 1, 192, 192, requires_grad=True)
    net(x)
    seen[0][:, 0, 6, 6].sum().backward()
    field = (x.grad.sum((0, 1)) > 0).any(1).sum().item()
    assert feedback('03.2', field)
    assert seal(field, '03.2') != seal(field, '03.1')


def test_a_letter_is_sealed_and_only_a_letter_is_taken():
    sealed = seal('b', 'any.1')
    for answer in ('b', 'B', ' b '): choice(answer, sealed, 'any.1')
    for answer in ('a', 'c', 'd'):
        with pytest.raises(Hint, match='read it again'): choice(answer, sealed, 'any.1', hint='read it again')
        with pytest.raises(Hint, match='another statement'): choice(answer, sealed, 'any.1')
    for answer in ('e', '', 'ab', 'bb', 2, None, ['b'], print):
        with pytest.raises(Hint, match='expected one letter of a, b, c or d, this is'): choice(answer, sealed, 'any.1')
    with pytest.raises(Hint, match='of a, b or c'): choice('d', sealed, 'any.1', 'abc')
    with pytest.raises(Hint): choice('b', sealed, 'any.2') # the seal of another exercise


def test_the_checker_itself():
    gap = lambda right, wrong: (max(right) + min(wrong))/2 if max(right) < min(wrong) else None
    right('checker.1', gap, lambda r, w: torch.tensor(max(r)) if max(r) < min(w) else None)
    refused('checker.1', lambda r, w: min(w), 'a mistake passes')
    refused('checker.1', lambda r, w: sum(r)/len(r), 'a right answer fails')
    refused('checker.1', lambda r, w: (max(r) + min(w))/2, 'expected None')
    refused('checker.1', lambda r, w: None, 'is there a return')
    refused('checker.1', lambda r: 1., 'it raised TypeError')
    for letter in 'abd': refused('checker.2', letter, 'a table of the hashes')


def test_the_pickle_is_not_opened(tmp_path):
    import pickle
    class Writes:
        def __reduce__(self): return open, (str(tmp_path/'opened'), 'w')
    assert feedback('weights.1', pickle.dumps(Writes(), protocol=2))
    assert not (tmp_path/'opened').exists()


def test_data():
    right('01.1', 2383.9, 2384)
    for wrong in (10_000*256**2*3/1e6, 10_000*288**2*3/1e6, 2383.9e6): refused('01.1', wrong, 'bytes')
    lot = lambda name: int(sha256(name.encode()).hexdigest()[:8], 16)/16**8
    right('01.2', lambda names, share: [name for name in names if lot(name) < share])
    refused('01.2', lambda names, share: names[:int(len(names)*share)], 'another order')
    refused('01.2', lambda names, share: [name for name in names if lot(name) < .1], 'were asked for')
    right('01.3', 'c')
    for letter in 'abd': refused('01.3', letter, 'which number comes next')
    right('01.4', .8, .8004)
    for wrong in (.2, .16, .32, 1): refused('01.4', wrong, 'one validation photo')

    def cut(rgb, crops, mirror=True):
        squares = [o[:, y:y+side, x:x+side] for o, (y, x, side, _) in zip(rgb, crops)]
        return torch.stack([o.flip(-1) if flip and mirror else o for o, flip in zip(squares, crops[:, 3])])
    right('01.5', cut)
    refused('01.5', lambda rgb, crops: cut(rgb, crops, mirror=False), 'nothing is flipped')
    refused('01.5', lambda rgb, crops: cut(rgb, crops[:, [1, 0, 2, 3]]), 'which rows and columns')
    refused('01.5', lambda rgb, crops: rgb[:, :, 1:], 'of the side')


def test_lab():
    right('02.2', (328, 213), (torch.tensor(328), 213.), (328 - 360, 213 + 360))
    refused('02.2', (213, 328), 'farthest')
    refused('02.2', (328, 195), 'nearest')
    right('02.3', 51.6, torch.tensor(51.5))
    for wrong in (33, 15, 87.7): refused('02.3', wrong, 'corners')
    right('02.5', 'b')
    for letter in 'acd': refused('02.5', letter, 'gray photo')
    right('02.6', 2381, torch.tensor(2380))
    for wrong in (140_608/101, 2704, 1): refused('02.6', wrong, 'interval')


def gray_of(lum): return lab_to_rgb(denormalize_lab(lum, torch.zeros_like(lum).expand(-1, 2, -1, -1)))


class RGBTask(ItemTransform):
    n_in, n_out = 1, 3
    baselines = {'gray': ('gray (no colour)', lambda lum, rgb: gray_of(lum)*2 - 1)}
    def encodes(self, batch): return normalize_lab(rgb_to_lab(batch[0]/255))[0], batch[0]/127.5 - 1
    def decodes(self, batch): return gray_of(batch[0]), (batch[1] + 1)/2


def test_a_task_that_the_checker_takes_trains_and_is_measured():
    right('02.4', RGBTask)
    dls = colorize_dls([paint_scene(i, 32) for i in range(20)], size=32, bs=4, task=RGBTask())
    learn = colorize_learner(dls, Unet(nf=4, n_down=1, n_out=3))
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
    found = evaluate(learn, names=['psnr'])
    assert found.psnr.notna().all()
    assert found.psnr_gray.notna().all()


def test_tasks_that_would_break_evaluate_are_refused():
    def task(baselines, **methods): return type('Task', (RGBTask,), dict(baselines=baselines) | methods)
    function = RGBTask.baselines['gray'][1]
    for wrong in (None, {}, function, {'gray': function}, {'gray': (function, 'gray')}, [('gray', function)]):
        refused('02.4', task(wrong), 'a dict from a key to a pair')
    refused('02.4', task(None, baseline=lambda self, lum: gray_of(lum)*2 - 1), 'a dict') # `evaluate` reads `baselines`
    refused('02.4', task({'gray': ('gray', lambda lum: gray_of(lum)*2 - 1)}), 'it raised TypeError')
    refused('02.4', task({'gray': ('gray', lambda lum, rgb: lum)}), 'the shape of the target')
    refused('02.4', task({'gray': ('gray', lambda lum, rgb: lum.expand_as(rgb))}), 'lightness')
    refused('02.4', task({'photo': ('the photo', lambda lum, rgb: rgb)}), 'gray photo')
    refused('02.4', task(RGBTask.baselines, n_out=2), 'channels')
    class OnlyPhotos(RGBTask):
        def encodes(self, batch):
            rgb, = batch # training gives more than the photos
            return normalize_lab(rgb_to_lab(rgb/255))[0], rgb/127.5 - 1
    refused('02.4', OnlyPhotos, 'it raised ValueError')


def test_near_misses():
    assert 'cut' in feedback('cache.1',
                             lambda img, side: np.asarray(img.crop((18, 0, 78, 60)).resize((side, side)))).hint
    assert 'change sides' in feedback('01.2', lambda names, share: sorted(names)[:round(len(names)*share)]).hint
    assert 'mean over a* and b*' in feedback('07.1', lambda p, t: (rgb_to_lab(p) - rgb_to_lab(t))[1:].abs().mean()).hint
    assert 'not the gradient' in feedback('distributed.2', lambda grads, ns: sum(grads)/len(grads)).hint
    class Pool:
        def give(self, t): pass
        def take(self, *shape): return torch.empty(shape)
    assert 'used again' in feedback('speed.4', Pool).hint
    assert feedback('speed.3', 4096)
    assert 'bytes' in feedback('speed.3', 1024).hint
    assert 'still pools' in feedback('03.3', Unet).hint
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


def refused(name, answer, why):
    found = feedback(name, answer)
    assert found.right is False, (name, found)
    assert why in found.hint, (name, found)


def right(name, *answers):
    for answer in answers: assert feedback(name, answer), feedback(name, answer)


def test_padding_without_the_remainder_of_a_negative_number():
    right('03.1', lambda size, multiple: (multiple - size % multiple) % multiple,
          lambda size, multiple: multiple - size % multiple if size % multiple else 0,
          lambda size, multiple: (size + multiple - 1)//multiple*multiple - size)
    refused('03.1', lambda size, multiple: -size % multiple, 'With the remainder of C')
    refused('03.1', lambda size, multiple: (0 - size) % multiple, 'With the remainder of C')
    refused('03.1', lambda size, multiple: -(size//-multiple*multiple) - size, 'With the remainder of C')
    refused('03.1', lambda size, multiple: multiple - size % multiple, 'missing(80, 16) is 16')
    refused('03.1', lambda size, multiple: size % multiple, 'missing(75, 16) is 11')


def fold(conv, bn, eps=1., scale_bias=True, mean=True, power=.5):
    "Batch norm folded into a convolution; and the ways to get it wrong"
    scale = bn.weight/(bn.running_var + eps*bn.eps)**power
    one = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
    offset = 0 if conv.bias is None else conv.bias*(1 if scale_bias else 1/scale)
    one.weight.data = conv.weight.data*scale[:, None, None, None]
    one.bias.data = (offset - bn.running_mean*mean)*scale + bn.bias
    return one


def test_batch_norm_in_a_convolution():
    right('03.4', fold)
    refused('03.4', lambda conv, bn: fold(conv, bn, scale_bias=False), 'with bias=True')
    refused('03.4', lambda conv, bn: fold(conv, bn, mean=False), 'with bias=False')
    refused('03.4', lambda conv, bn: fold(conv, bn, power=1), 'differs from that of conv and bn')
    def in_place(conv, bn):
        one = fold(conv, bn)
        conv.weight.data = one.weight.data
        return one
    refused('03.4', in_place, 'Conv2d was changed')
    def without_stride(conv, bn):
        one = fold(conv, bn)
        one.stride = (1, 1)
        return one
    refused('03.4', without_stride, 'the shape is')
    right('03.5', 'b', ' B ')
    for wrong in 'acd': refused('03.5', wrong, 'look at the gradient')


def pixel_map(logits, size, first=-23, patch=70, step=8, prob=torch.sigmoid, clip=True):
    total, count = torch.zeros(2, size, size)
    for i, row in enumerate(prob(logits[0, 0])):
        for j, p in enumerate(row):
            (a, b), (c, d) = [(max(step*k + first, 0 if clip else -size), step*k + first + patch) for k in (i, j)]
            total[a:b, c:d] += p
            count[a:b, c:d] += 1
    return total/count.clamp(min=1)


def test_patch_logits():
    right('04.1', np.log(9), 2.197, torch.tensor(2.1972))
    refused('04.1', torch.tensor(.9).sigmoid(), 'odds')
    refused('04.1', -2.197, 'odds')
    refused('04.1', np.log10(9), 'the natural one')
    right('04.3', 'c')
    for wrong in 'abd': refused('04.3', wrong, 'a* and b* only')
    right('04.4', pixel_map, lambda logits, size: pixel_map(logits, size).numpy())
    refused('04.4', lambda logits, size: pixel_map(logits, size, prob=lambda z: z), 'first becomes a probability')
    refused('04.4', lambda logits, size: pixel_map(logits, size, prob=lambda z: z).sigmoid(), 'first becomes')
    for wrong in (dict(first=-24), dict(first=0), dict(patch=69), dict(clip=False)):
        refused('04.4', lambda logits, size, wrong=wrong: pixel_map(logits, size, **wrong), 'covers the pixels')
    right('04.5', .0016, .2**4)
    for wrong in (0, .2, .8, .4096): refused('04.5', wrong, 'multiplies the gradient')


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
    refused('classification.1', .306, 'two numbers')
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


def test_losses_and_results():
    right('losses.1', (110, 5/110), [110., torch.tensor(.04545)])
    refused('losses.1', (1, 5/110), 'how many CIE units')
    for wrong in (5, .05): refused('losses.1', (110, wrong), 'less than that')
    refused('losses.1', 110, 'a pair')
    right('losses.2', (50, 100), (50.5, 100))
    refused('losses.2', (100, 100), 'the median')
    refused('losses.2', (50, 50), 'no part in it')
    right('losses.3', 2.197, np.log(9))
    for wrong in (.9, 1, 100): refused('losses.3', wrong, 'the gradient')
    right('losses.4', (-1.5, .1824), (torch.tensor(-1.5), np.float32(.182)))
    refused('losses.4', (1.5, .8176), 'the minus')
    refused('losses.4', (-1.5, .223), 'its sigmoid') # exp(-1.5)
    right('losses.5', ('higher', 'higher'))
    refused('losses.5', ('lower', 'lower'), 'convex')
    refused('losses.5', ('higher', 'lower'), 'has not changed')
    refused('losses.5', ('up', 'up'), 'choose from')

    def hinge_D(real, fake, margin=1, half=.5):
        return half*((margin - real).clamp(min=0).mean() + (margin + fake).clamp(min=0).mean())
    def hinge_G(fake): return -fake.mean()
    right('losses.6', (hinge_D, hinge_G))
    refused('losses.6', (lambda real, fake: fake.mean() - real.mean(), hinge_G), 'a loss of 0')
    refused('losses.6', (lambda *o: hinge_D(*o, margin=0), hinge_G), 'a margin of 1')
    refused('losses.6', (lambda *o: hinge_D(*o, half=1), hinge_G), 'our half')
    refused('losses.6', (hinge_D, lambda fake: (1 - fake).clamp(min=0).mean()), 'no margin')

    refused('results.1', lambda p, t: (rgb_to_lab(p) - rgb_to_lab(t)).norm(dim=0).mean(), 'L* does not count')
    refused('results.2', lambda values: np.quantile(values, [.025, .975]), 'with replacement')
    refused('results.2', lambda values: bootstrap(values)[1:][::-1], '(low, high)')
    right('results.2', lambda values: bootstrap(values)[1:])
    right('results.3', (1, .5), torch.tensor([1, .5]).tolist())
    refused('results.3', (.5, .5), 'L1: the median')
    refused('results.3', (1, .75), 'L2: the mean')
    right('results.4', dict(A='D won', B='D learns nothing', C='balanced'))
    refused('results.4', dict(A='D won', B='balanced', C='D learns nothing'), 'log 2')
    refused('results.4', dict(A='balanced', B='D learns nothing', C='balanced'), 'how sure')
    refused('results.4', dict(A='D won', B='D learns nothing'), 'the keys')
    refused('results.4', dict(A='D won', B='D learns nothing', C='good'), 'choose from')
    def gain(df): return (df.psnr - df.psnr_gray).mean()
    right('results.5', lambda train, valid: gain(train) - gain(valid))
    refused('results.5', lambda train, valid: train.psnr.mean() - valid.psnr.mean(), 'photos differ')
    refused('results.5', lambda train, valid: gain(valid) - gain(train), 'the sign')
    refused('results.5', lambda train, valid: gain(train), 'minus that on valid')


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
    right('compare.3', better, lambda table: set(better(table)), lambda table: [*better(table)][::-1])
    refused('compare.3', lambda table: table.index[table['over gray'] > 0], 'is it certain')
    refused('compare.3', lambda table: table.index[table.psnr > 22], 'no method')
    refused('compare.3', lambda table: ['l1'], 'you found 1')
    refused('compare.3', lambda table: table[table['over gray_low'] > 0], 'expected names')
    assert isinstance(better(pd.DataFrame({'over gray_low': [1.]}, index=['l1'])), pd.Index)

    for nf in (8, 16): monkeypatch.setitem(methods, f'nf{nf}', methods['l1'] | dict(kwargs=dict(nf=nf)))
    for names, why in ((['nf8', 'nf16'], ''), (['l1', 'paper'], ''), (('l1', 'l2', 'smooth_l1'), ''), (['l1'], 'alone'),
                       (['nf8', 'nf8'], 'same plan'), (['nf8', 'l2'], 'loss'),
                       (['l1', 'pix2pix'], 'generator'), (['l1', 'gone'], 'gone')):
        monkeypatch.setitem(groups, 'mine', names)
        refused('compare.4', 'mine', why) if why else right('compare.4', 'mine')
    for wrong in {*groups, 'nothing'} - {'mine'}: refused('compare.4', wrong, 'that you have added')


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
    for name, letters in (('learner.2', 'abd'), ('weights.4', 'bcd'), ('checkpoints.4', 'abd'),
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
