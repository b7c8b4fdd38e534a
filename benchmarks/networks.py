"The networks that are measured, and one step of each side"
import statistics
import time

import torch
from fastai.callback.core import Callback, CancelFitException
from torchvision.models import resnet18

from benchmarks.measure import device, seconds, sync
from benchmarks.reference import adam, plain_step
from colorize_lib.lab import colorize_dls
from colorize_lib.lite_unet import LiteUnet
from colorize_lib.patchgan import PatchGAN
from colorize_lib.samples import paint_scene
from colorize_lib.training import PatchGANTrainer, colorize_learner, loss_names
from colorize_lib.unet import Unet, resnet_unet

generators = {'resnet_unet': lambda size: resnet_unet(resnet18, size=size, pretrained=False), 'Unet': lambda size: Unet(), 'LiteUnet': lambda size: LiteUnet(),
              'tiny Unet': lambda size: Unet(nf=4, n_down=2)}
default = 'LiteUnet' # of the model in the package: frozen encoder, explicit skips, tail at half size


def make(net, size):
    "A generator and a discriminator, the same weights each time"
    torch.manual_seed(0)
    return generators[net](size).to(device).train(), PatchGAN(nf=4 if net == 'tiny Unet' else 64).to(device).train()


def make_step(net, size, like=None):
    "The reference's step on networks of its own, a function of a batch; `like`: take these networks' weights"
    G, D = make(net, size)
    for mine, theirs in zip((G, D), like or ()): mine.load_state_dict(theirs.state_dict())
    opt_G, opt_D = adam(G), adam(D)
    return lambda lum, ab: plain_step(G, D, opt_G, opt_D, lum.contiguous(), ab.contiguous())


def make_learner(net, dls, precision='auto'):
    "Our side: a Learner, and its callback for the game"
    G, D = make(net, dls.train.size)
    return colorize_learner(dls, G, precision=precision), PatchGANTrainer(D)


def scene_dls(size, bs, n):
    "`n` batches of painted scenes"
    scenes = [paint_scene(i, 64) for i in range(n*bs + 1)]
    return colorize_dls(scenes, size=size, bs=bs, n_valid=1, device=device)


class Duel(Callback):
    "Times each step of a real fit, and after it the other's step on the same batch"
    order = 100
    def __init__(self, n, other=None): self.n, self.other, self.times, self.losses = n, other, [], []
    def before_batch(self):
        sync()
        self.batch = [o.clone() for o in (*self.xb, *self.yb)]
        self.ours = self.begin = None
        self.start = time.perf_counter()
    def after_batch(self):
        sync()
        ours = time.perf_counter() - self.start
        losses = [[self.learn.patch_gan_trainer.losses[nm].item() for nm in loss_names]]
        other = seconds(lambda: losses.append(self.other(*self.batch))) if self.other else 0.
        self.times.append((ours, other))
        self.losses.append(losses)
        if len(self.times) == self.n: raise CancelFitException


def duel(net, size, bs, n=5, precision='auto', reference=True):
    "Median seconds of a step `(ours, reference)`, interleaved in one fit; the first step of each is for warming up"
    learn, gan = make_learner(net, scene_dls(size, bs, n + 1), precision)
    watch = Duel(n + 1, make_step(net, size, (learn.model, gan.discriminator)) if reference else None)
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4, cbs=[gan, watch])
    return *(statistics.median(t) for t in zip(*watch.times[1:])), watch
