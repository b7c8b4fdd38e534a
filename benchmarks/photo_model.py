"""Train the default photo model's LiteUnet

    python -m benchmarks.photo_model PHOTOS MORE_PHOTOS -o run

It starts from the packaged model. The decoder learns, and the encoder's deep half with it, at a lower rate;
with `--released 7`, the decoder alone.
The loss is what the card measures: the PSNR of each photo, and two numbers that multipliers hold: the share of the
true colorfulness, and the hue bias. An average of the weights is what is kept.
Interrupted, it goes on at the last epoch."""
import argparse
import copy
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from colorize_lib.apply.colorizer import weights_file
from colorize_lib.engine.metrics import colorfulness
from colorize_lib.engine.weights import atomic_path, load_weights, save_weights
from colorize_lib.lab import colorize_dls, denormalize_lab, lab_to_rgb
from colorize_lib.networks.lite_unet import LiteUnet
from colorize_lib.photos.pictures import photo_files

FACTOR = 1.027 # on the colours of the packaged weights: from `benchmarks.color_strength`
RELEASED = 3 # stages of the encoder from this one on learn: at a 16th of the size and below, where steps are cheap


def forward(net, x):
    "`LiteUnet.forward` with bfloat16 where it is faster: dense convolutions, not depthwise ones"
    with torch.autocast(x.device.type, enabled=False): *skips, out = net.encoder(x)
    with torch.autocast(x.device.type, torch.bfloat16):
        out = net.drop(out)
        for up in net.ups: out = up(out, skips.pop())
        out = net.head(out)
    return torch.tanh(F.interpolate(out.float(), size=x.shape[-2:], mode='bilinear'))


def base_weights(model):
    "The tensors of a trained `LiteUnet`: of a model in the package, or of a file, without its attention"
    net, _ = load_weights(weights_file(model))
    return getattr(net, 'base', net).state_dict()


class Photos:
    "What the training needs to know of a task: here, gray photos whose lightness is given"
    task, n_out, scales = 'grayscale', 2, (1, 2)
    def rgb(self, x, y, clamp=True): return lab_to_rgb(denormalize_lab(x, y), clamp=clamp)
    def baseline(self, x, y): return self.rgb(x, y*0)
    def batches(self, files, args):
        return colorize_dls(files, args.size, args.bs, n_valid=args.n_valid, seed=args.seed, zoom=2., cache=args.cache,
                            task=self.task)

    def seen(self, x, y, rng):
        "A batch as the network gets it, and how many pictures of it are of photos"
        return x, y, len(x)

    def predict(self, net, x):
        "The mean of a picture's prediction and its mirror image's"
        return (net(x) + net(x.flip(-1)).flip(-1))/2


PHOTOS = Photos()


class Held:
    "A reward that grows as long as a measured number is below its target, and goes when it is above"
    def __init__(self, target, weight): self.target, self.weight, self.value = target, weight, target

    def __call__(self, now):
        self.value = .98*self.value + .02*now.item()
        self.weight = max(0, self.weight + .01*(self.target - self.value))
        return max(0, self.weight + 2*(self.target - self.value))*now # the second term is against overshooting


def colorful_share(found, true): return colorfulness(found.clamp(0, 1)).mean()/colorfulness(true).mean()
def one_hue(ab): return ab.mean((0, 2, 3)).norm()/ab.norm(dim=1).mean().clamp(min=1e-3) # see `hue_bias`


class ColorfulLoss:
    "The error of each picture in RGB, less rewards for colorfulness and for more than one hue"
    def __init__(self, share, bias=1., weight=.3, of=PHOTOS):
        self.share, self.hues, self.of = Held(share, weight), Held(1 - bias, 0.), of

    def __call__(self, x, pred, y, n=None):
        "The loss, and the logarithm of the squared error in it; rewarded are the colours of the first `n` pictures"
        true, found = self.of.rgb(x, y), self.of.rgb(x, pred, clamp=False)
        errors = ((found - true).pow(2).mean((1, 2, 3)) + 3e-4).log()
        rewards = self.share(colorful_share(found[:n], true[:n])) + self.hues(1 - one_hue(pred[:n, -2:]))
        return errors.mean() - rewards, errors[:n].mean().item()

    def __str__(self):
        share, hues = self.share, self.hues
        return f'share {share.value:.3f} ({share.weight:.2f}), hue bias {1 - hues.value:.3f} ({hues.weight:.2f})'

    def state(self): return [(o.weight, o.value) for o in (self.share, self.hues)]
    def restore(self, state):
        for o, found in zip((self.share, self.hues), state): o.weight, o.value = found


def stronger(net, factor):
    "A copy of which all colours are this much stronger"
    net = copy.deepcopy(net)
    for o in net.head.parameters(): o.data[-2:].mul_(factor) # before the tanh, which is nearly linear there
    return net


@torch.no_grad()
def watch(net, dls, of=PHOTOS):
    "dB over the baseline, share of the colorfulness, and hue bias, on the photos that are watched"
    net.eval()
    rows, hues = [], []
    for x, y in dls.valid:
        pred = of.predict(net, x)
        true, found = of.rgb(x, y), of.rgb(x, pred)
        hues.append(pred[:, -2:])
        db = [-10*(o - true).pow(2).mean((1, 2, 3)).log10() for o in (found, of.baseline(x, y))]
        rows.append(torch.stack([db[0] - db[1], colorfulness(found), colorfulness(true)], 1))
    gain, ours, truth = torch.cat(rows).T
    colorful = truth >= 8
    return dict(gain=gain[colorful].mean().item(), share=(ours[colorful].mean()/truth[colorful].mean()).item(),
                hue_bias=one_hue(torch.cat(hues)).item())


def networks_of(args, n_out=2):
    "The network, its average, the optimizer, and what learns"
    net = LiteUnet(1, n_out).to(memory_format=torch.channels_last)
    if args.start: net.load_state_dict(base_weights(args.start))
    deep = [p for stage in net.encoder.stages[args.released:] for p in stage.requires_grad_(True).parameters()]
    decoder = [p for k, p in net.named_parameters() if not k.startswith('encoder')]
    groups = [dict(params=decoder, lr=args.lr, top=args.lr), dict(params=deep, lr=args.lr/5, top=args.lr/5)]
    opt = torch.optim.AdamW(groups, weight_decay=1e-4, betas=(.9, .99))
    mean = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(args.average), use_buffers=True)
    return net, mean, opt, decoder + deep


def train(args, of=PHOTOS):
    torch.manual_seed(args.seed)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    files = sorted(f for folder in args.photos for f in photo_files(folder))
    random.Random(args.seed).shuffle(files)
    dls = of.batches(files, args)
    net, mean, opt, learning = networks_of(args, of.n_out)
    loss_func, first, checkpoint = ColorfulLoss(args.colorfulness, args.hue_bias, of=of), 0, out/'checkpoint.pt'
    if checkpoint.exists():
        state = torch.load(checkpoint)
        for o, k in ((net, 'net'), (mean, 'mean'), (opt, 'opt')): o.load_state_dict(state[k])
        loss_func.restore(state['held'])
        first = state['epoch']
    n, dls.train.epoch = len(dls.train), first - 1
    for epoch in range(first, args.epochs):
        net.train()
        start, total, rng = time.time(), 0, np.random.default_rng((args.seed, epoch))
        for i, (x, y) in enumerate(dls.train):
            done = epoch + i/n
            rate = min(1, (done - first)*n/100 + .01)*min(1, (args.epochs - done)/args.decay)
            for group in opt.param_groups: group['lr'] = group['top']*rate
            x, y, photos = of.seen(x, y, rng)
            pred = forward(net, x.contiguous(memory_format=torch.channels_last))
            loss, error = loss_func(x, pred, y, photos)
            opt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learning, 1.)
            opt.step()
            mean.update_parameters(net)
            total += error
            if i % 50 == 49:
                speed = (i + 1)*args.bs/(time.time() - start)
                decibels = -total/(i + 1)*10/math.log(10)
                print(f'{epoch} {i + 1}/{n}: {decibels:.3f} dB, {loss_func}, {speed:.0f} photos/s', flush=True)
        row = dict(epoch=epoch, train=-total/n*10/math.log(10), **watch(mean.module, dls, of),
                   seconds=time.time() - start)
        print(row, flush=True)
        with open(out/'history.jsonl', 'a') as f: f.write(json.dumps(row) + '\n')
        state = dict(net=net.state_dict(), mean=mean.state_dict(), opt=opt.state_dict(), held=loss_func.state(),
                     epoch=epoch + 1)
        with atomic_path(checkpoint) as part: torch.save(state, part)
        config = dict(generator='lite_unet', kwargs=dict(n_in=1, n_out=of.n_out), task=of.task, size=args.size,
                      scales=list(of.scales))
        save_weights(stronger(mean.module, args.factor), out/'generator.safetensors', config)


def options(name, doc, **defaults):
    "The command line, with other defaults"
    parser = argparse.ArgumentParser(f'benchmarks.{name}', description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', nargs='+', help='folders')
    add('-o', '--out', default=name, help='folder for weights, history and checkpoint')
    add('--start', default='grayscale', help="a model in the package, a file, or '' for a new decoder")
    add('--size', type=int, default=128)
    add('--bs', type=int, default=32)
    add('--lr', type=float, default=1e-3, help="of the decoder; the encoder's is a fifth")
    add('--released', type=int, default=RELEASED, help='the first stage of the encoder that learns (7: none)')
    add('--epochs', type=int, default=20, help='in all')
    add('--decay', type=float, default=4, help='epochs at the end, over which the rates fall to zero')
    add('--average', type=float, default=.999, help='how slowly the average of the weights forgets')
    add('--colorfulness', type=float, default=.68, help='share of the true colorfulness')
    add('--hue-bias', type=float, default=1., help='at most (0: all hues, 1: a single one)')
    add('--factor', type=float, default=1., help='on the colours of what is saved, and on top of that of the start')
    add('--n-valid', type=int, default=128, help='photos that are watched, and not trained on')
    add('--seed', type=int, default=0)
    add('--cache', help='folder for decoded photos')
    parser.set_defaults(**defaults)
    return parser


def main(argv=None): train(options('photo_model', __doc__).parse_args(argv))


if __name__ == '__main__': main()
