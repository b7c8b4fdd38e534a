"""Train the default photo model's LiteUnet

    python -m benchmarks.photo_model PHOTOS MORE_PHOTOS -o run

It starts from the packaged model. The decoder learns, and the encoder's deep half with it, at a lower rate.
The loss is what the card measures: the PSNR of each photo, and the share of the true colorfulness, which a multiplier
holds at `--colorfulness`. An average of the weights is what is kept. Interrupted, it goes on at the last epoch."""
import argparse
import copy
import json
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from colorize_lib.engine.metrics import colorfulness
from colorize_lib.engine.weights import save_weights
from colorize_lib.lab import colorize_dls, denormalize_lab, lab_to_rgb
from colorize_lib.networks.hint_attention import _trained
from colorize_lib.networks.lite_unet import LiteUnet
from colorize_lib.photos.pictures import photo_files

RELEASED = 3 # stages of the encoder from this one on learn: at a 16th of the size and below, where steps are cheap


def forward(net, x):
    "`LiteUnet.forward` with bfloat16 where it is faster: dense convolutions, not depthwise ones"
    *skips, out = net.encoder(x)
    with torch.autocast(x.device.type, torch.bfloat16):
        out = net.drop(out)
        for up in net.ups: out = up(out, skips.pop())
        out = net.head(out)
    return torch.tanh(F.interpolate(out.float(), size=x.shape[-2:], mode='bilinear'))


def losses(lum, pred, ab):
    "The logarithm of each photo's squared error in RGB, and the share of the colorfulness"
    true = lab_to_rgb(denormalize_lab(lum, ab))
    found = lab_to_rgb(denormalize_lab(lum, pred), clamp=False)
    errors = (found - true).pow(2).mean((1, 2, 3))
    return (errors + 3e-4).log(), colorfulness(found.clamp(0, 1)).mean()/colorfulness(true).mean()


def stronger(net, factor):
    "A copy of which all colours are this much stronger"
    net = copy.deepcopy(net)
    for o in net.head.parameters(): o.data.mul_(factor) # before the tanh, which is nearly linear there
    return net


@torch.no_grad()
def watch(net, dls):
    "dB over gray and the share of the colorfulness, on the photos that are watched"
    net.eval()
    rows = []
    for lum, ab in dls.valid:
        true = lab_to_rgb(denormalize_lab(lum, ab))
        pred = (net(lum) + net(lum.flip(-1)).flip(-1))/2
        found, gray = [lab_to_rgb(denormalize_lab(lum, o)) for o in (pred, ab*0)]
        db = [-10*(o - true).pow(2).mean((1, 2, 3)).log10() for o in (found, gray)]
        rows.append(torch.stack([db[0] - db[1], colorfulness(found), colorfulness(true)], 1))
    gain, ours, truth = torch.cat(rows).T
    colorful = truth >= 8
    return gain[colorful].mean().item(), (ours[colorful].mean()/truth[colorful].mean()).item()


def train(args):
    torch.manual_seed(args.seed)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    files = sorted(f for folder in args.photos for f in photo_files(folder))
    random.Random(args.seed).shuffle(files)
    dls = colorize_dls(files, args.size, args.bs, n_valid=128, seed=args.seed, zoom=2., cache=args.cache)
    net = LiteUnet(1, 2).to(memory_format=torch.channels_last)
    if args.start: net.load_state_dict(_trained(args.start))
    deep = [p for stage in net.encoder.stages[RELEASED:] for p in stage.requires_grad_(True).parameters()]
    decoder = [p for k, p in net.named_parameters() if not k.startswith('encoder')]
    groups = [dict(params=decoder, lr=args.lr, top=args.lr), dict(params=deep, lr=args.lr/5, top=args.lr/5)]
    opt = torch.optim.AdamW(groups, weight_decay=1e-4, betas=(.9, .99))
    mean = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(.999), use_buffers=True)
    weight, share, first, part = .3, args.colorfulness, 0, out/'checkpoint.pt'
    if part.exists():
        state = torch.load(part)
        for o, k in ((net, 'net'), (mean, 'mean'), (opt, 'opt')): o.load_state_dict(state[k])
        weight, share, first = state['weight'], state['share'], state['epoch']
    n, dls.train.epoch = len(dls.train), first - 1
    for epoch in range(first, args.epochs):
        net.train()
        start, total = time.time(), 0
        for i, (lum, ab) in enumerate(dls.train):
            done = epoch + i/n
            rate = min(1, (done - first)*n/100 + .01)*min(1, (args.epochs - done)/args.decay)
            for group in opt.param_groups: group['lr'] = group['top']*rate
            errors, now = losses(lum, forward(net, lum.contiguous(memory_format=torch.channels_last)), ab)
            share = .98*share + .02*now.item()
            weight = max(0, weight + .01*(args.colorfulness - share))
            push = max(0, weight + 2*(args.colorfulness - share)) # what it has come to, and a term against overshooting
            opt.zero_grad()
            (errors.mean() - push*now).backward()
            torch.nn.utils.clip_grad_norm_(decoder + deep, 1.)
            opt.step()
            mean.update_parameters(net)
            total += errors.mean().item()
            if i % 50 == 49:
                print(f'{epoch} {i + 1}/{n}: {-total/(i + 1)*10/math.log(10):.3f} dB, share {share:.3f}, '
                      f'weight {weight:.3f}, {(i + 1)*args.bs/(time.time() - start):.0f} photos/s', flush=True)
        gain, seen = watch(mean.module, dls)
        row = dict(epoch=epoch, train=-total/n*10/math.log(10), gain=gain, share=seen, seconds=time.time() - start)
        print(row, flush=True)
        with open(out/'history.jsonl', 'a') as f: f.write(json.dumps(row) + '\n')
        torch.save(dict(net=net.state_dict(), mean=mean.state_dict(), opt=opt.state_dict(), weight=weight, share=share,
                        epoch=epoch + 1), f'{part}.part')
        Path(f'{part}.part').rename(part)
        config = dict(generator='lite_unet', kwargs=dict(n_in=1, n_out=2), task='grayscale', size=args.size,
                      scales=[1, 2])
        save_weights(stronger(mean.module, args.factor), out/'generator.safetensors', config)


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.photo_model', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', nargs='+', help='folders')
    add('-o', '--out', default='photo_model', help='folder for weights, history and checkpoint')
    add('--start', default='grayscale', help="a model in the package, a file, or '' for a new decoder")
    add('--size', type=int, default=128)
    add('--bs', type=int, default=32)
    add('--lr', type=float, default=1e-3, help="of the decoder; the encoder's is a fifth")
    add('--epochs', type=int, default=20, help='in all')
    add('--decay', type=float, default=4, help='epochs at the end, over which the rates fall to zero')
    add('--colorfulness', type=float, default=.68, help='share of the true colorfulness')
    add('--factor', type=float, default=1.04, help='of the colours: gives back what the mean over two sizes takes')
    add('--seed', type=int, default=0)
    add('--cache', help='folder for decoded photos')
    train(parser.parse_args(argv))


if __name__ == '__main__': main()
