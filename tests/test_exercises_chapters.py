"Checkers of the chapters: right answers, wrong ones, and what is said to them."
from hashlib import sha256

import numpy as np
import torch
from fasttransform import ItemTransform
from torch import nn

from colorize_lib.engine.learner import colorize_learner
from colorize_lib.engine.metrics import bootstrap
from colorize_lib.exercises.checker import feedback, seal
from colorize_lib.lab import colorize_dls, denormalize_lab, lab_to_rgb, normalize_lab, rgb_to_lab
from colorize_lib.photos.samples import paint_scene
from colorize_lib.results import evaluate
from colorize_lib.training import PatchGANTrainer
from colorize_lib.unet import Unet
from answers import refused, right


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
    right('02.5', .8, 4/5)
    for wrong in (.2, 1, 0): refused('02.5', wrong, 'one fifth 0')
    right('02.6', 55, torch.tensor(54))
    for wrong in (50, 60, 100): refused('02.6', wrong, 'every whole L*')


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


def test_near_misses_in_chapters():
    assert 'change sides' in feedback('01.2', lambda names, share: sorted(names)[:round(len(names)*share)]).hint
    assert 'mean over a* and b*' in feedback('07.1', lambda p, t: (rgb_to_lab(p) - rgb_to_lab(t))[1:].abs().mean()).hint
    assert 'still pools' in feedback('03.3', Unet).hint


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
    right('04.1', np.log(2), .693, torch.tensor(.6931))
    for wrong in (2, .5, -.693): refused('04.1', wrong, 'odds')
    refused('04.1', np.log10(2), 'the natural one')
    right('04.3', 'c')
    for wrong in 'abd': refused('04.3', wrong, 'a* and b* only')
    right('04.4', pixel_map, lambda logits, size: pixel_map(logits, size).numpy())
    refused('04.4', lambda logits, size: pixel_map(logits, size, prob=lambda z: z), 'first becomes a probability')
    refused('04.4', lambda logits, size: pixel_map(logits, size, prob=lambda z: z).sigmoid(), 'first becomes')
    for wrong in (dict(first=-24), dict(first=0), dict(patch=69), dict(clip=False)):
        refused('04.4', lambda logits, size, wrong=wrong: pixel_map(logits, size, **wrong), 'covers the pixels')
    right('04.5', 9)
    for wrong in (1, 3, 77): refused('04.5', wrong, 'two directions')


def test_losses_and_results():
    right('losses.1', (110, 5/110), [110., torch.tensor(.04545)])
    refused('losses.1', (1, 5/110), 'how many CIE units')
    for wrong in (5, .05): refused('losses.1', (110, wrong), 'less than that')
    refused('losses.1', 110, 'a pair')
    right('losses.2', 50, torch.tensor(50.2))
    refused('losses.2', 60, 'the median')
    for wrong in (28, 44, 52.5, -20): refused('losses.2', wrong, 'must cancel')
    refused('losses.2', 'red', 'expected a number')
    right('losses.3', 2.197, np.log(9))
    for wrong in (.9, 1, 100): refused('losses.3', wrong, 'the gradient')
    right('losses.4', (-1.5, .1824), (torch.tensor(-1.5), np.float32(.182)))
    refused('losses.4', (1.5, .8176), 'the minus')
    refused('losses.4', (-1.5, .223), 'its sigmoid') # exp(-1.5)
    right('losses.5', 'b', 'B')
    for wrong in 'ac': refused('losses.5', wrong, 'the least that loss_D_fake can then be')

    def best(p, q): return torch.log(p/q)
    def lsgan(p, q): return p/(p + q)
    right('losses.6', (best, lsgan), (lambda p, q: p.log() - q.log(), lambda p, q: 1/(1 + q/p)))
    for wrong in (lsgan, lambda p, q: p): refused('losses.6', (wrong, lsgan), 'can only guess')
    for wrong in (lambda p, q: torch.log(q/p), lambda p, q: p - q): refused('losses.6', (wrong, lsgan), 'best is off')
    for wrong in (best, lambda p, q: q/(p + q)): refused('losses.6', (best, wrong), 'best_lsgan is off')

    refused('results.1', lambda p, t: (rgb_to_lab(p) - rgb_to_lab(t)).norm(dim=0).mean(), 'L* does not count')
    refused('results.2', lambda values: np.quantile(values, [.025, .975]), 'with replacement')
    refused('results.2', lambda values: bootstrap(values)[1:][::-1], '(low, high)')
    right('results.2', lambda values: bootstrap(values)[1:])
    right('results.3', (1, .5), torch.tensor([1, .5]).tolist())
    refused('results.3', (.5, .5), 'L1: the median')
    refused('results.3', (1, .75), 'L2: the mean')
    right('results.4', dict(A='G won', B='D learns nothing', C='balanced'))
    refused('results.4', dict(A='G won', B='balanced', C='D learns nothing'), 'log 2')
    refused('results.4', dict(A='D learns nothing', B='D learns nothing', C='balanced'), 'which of its two parts')
    refused('results.4', dict(A='G won', B='D learns nothing'), 'the keys')
    refused('results.4', dict(A='G won', B='D learns nothing', C='good'), 'choose from')
    def gain(df): return (df.psnr - df.psnr_gray).mean()
    right('results.5', lambda train, valid: gain(train) - gain(valid))
    refused('results.5', lambda train, valid: train.psnr.mean() - valid.psnr.mean(), 'photos differ')
    refused('results.5', lambda train, valid: gain(valid) - gain(train), 'the sign')
    refused('results.5', lambda train, valid: gain(train), 'minus that on valid')


def test_training():
    right('06.1', (PatchGANTrainer(lr=4e-4), 'D wins'))
    refused('06.1', (PatchGANTrainer(lr=4e-4), 'G wins'), 'compare the learning rates')
    refused('06.1', (PatchGANTrainer(), 'D wins'), 'which argument')
    refused('06.1', PatchGANTrainer(lr=4e-4), 'a pair')
    class TwoSteps(PatchGANTrainer):
        def after_pred(self):
            for _ in range(2): super().after_pred()
    right('06.2', TwoSteps)
    refused('06.2', PatchGANTrainer, 'D made 4 steps')
    right('06.3', 'c')
    for wrong in 'abd': refused('06.3', wrong, 'in the forward pass')
    right('06.4', .5)
    for wrong in (2/3, 1): refused('06.4', wrong, 'without the half')
    def bounds(fake, gan, low=lambda fake, gan: np.exp(-gan)):
        return low(fake, gan), 1/(1 + np.exp(gan - fake)), 1 - np.exp(-fake)
    right('06.5', bounds)
    refused('06.5', lambda fake, gan: bounds(fake, gan, low=lambda fake, gan: np.exp(-fake)), 'which label has G')
    refused('06.5', lambda fake, gan: (0, np.exp(-gan), 1), 'which minus which')
    refused('06.5', lambda fake, gan: bounds(gan, fake)[1], 'three numbers')
    refused('06.6', lambda fake, real, gan: 'D' if gan > 1 else 'G', "are not 'D'")
