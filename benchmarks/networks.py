"The networks that are measured, and one step of each side"
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

import torch
from fastai.callback.core import Callback, CancelFitException
from torchvision.models import resnet18

from benchmarks.measure import device, seconds, sync
from benchmarks.reference import adam, plain_step
from colorize_lib.lab import colorize_dls
from colorize_lib.networks.lite_unet import LiteUnet
from colorize_lib.patchgan import PatchGAN
from colorize_lib.photos.samples import paint_scene
from colorize_lib.training import PatchGANTrainer, loss_names
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.unet import Unet, resnet_unet

generators = {'resnet_unet': lambda size: resnet_unet(resnet18, size=size, pretrained=False),
              'Unet': lambda size: Unet(), 'LiteUnet': lambda size: LiteUnet(),
              'tiny Unet': lambda size: Unet(nf=4, n_down=2)}
default = 'LiteUnet' # of the model in the package: frozen encoder, explicit skips, tail at half size


def make(net, size, seed=0):
    "A generator and a discriminator, for a seed the same weights each time"
    torch.manual_seed(seed)
    return generators[net](size).to(device).train(), PatchGAN(nf=4 if net == 'tiny Unet' else 64).to(device).train()


def make_step(net, size):
    "The reference's step on networks of its own, a function of a batch"
    G, D = make(net, size)
    opt_G, opt_D = adam(G), adam(D)
    return lambda lum, ab: plain_step(G, D, opt_G, opt_D, lum.contiguous(), ab.contiguous())


def process():
    """Another process, for the reference: what ours sets in this one (memory that is held) shall not help it

    Where there is a fork server, it begins as a copy of one that has imported everything and has done nothing."""
    method = 'forkserver' if 'forkserver' in multiprocessing.get_all_start_methods() else 'spawn'
    context = multiprocessing.get_context(method)
    if method == 'forkserver': context.set_forkserver_preload(['benchmarks.networks'])
    return ProcessPoolExecutor(1, mp_context=context)


def apart(f, *args):
    "`f(*args)`, in a process of its own"
    with process() as other: return other.submit(f, *args).result()


_step = {} # of the process that is the reference's
def begin_reference(net, size): _step[net, size] = make_step(net, size)

def timed_reference(net, size, *batch):
    "`(seconds, losses)` of a step on a batch of numpy arrays"
    losses, batch = [], [torch.from_numpy(o).to(device) for o in batch]
    return seconds(lambda: losses.extend(_step[net, size](*batch))), losses


def make_learner(net, dls, precision='auto', seed=0):
    "Our side: a Learner, and its callback for adversarial training"
    G, D = make(net, dls.train.size, seed)
    dls.train.seed = seed # of order and crops
    return colorize_learner(dls, G, precision=precision), PatchGANTrainer(D)


def scene_dls(size, bs, n):
    "`n` batches of painted scenes"
    scenes = [paint_scene(i, 64) for i in range(n*bs + 1)]
    return colorize_dls(scenes, size=size, bs=bs, n_valid=1, device=device)


class Duel(Callback):
    "Times each step of a real fit, and after it the reference's step on the same batch"
    order = 100
    def __init__(self, n, reference=None): self.n, self.reference, self.times, self.losses = n, reference, [], []
    def before_batch(self):
        sync()
        self.batch = [o.cpu().numpy() for o in (*self.xb, *self.yb)]
        self.start = time.perf_counter()
    def after_batch(self):
        sync()
        ours = time.perf_counter() - self.start
        theirs, losses = self.reference(*self.batch) if self.reference else (0., [])
        self.times.append((ours, theirs))
        self.losses.append(([self.learn.patch_gan_trainer.losses[nm].item() for nm in loss_names], losses))
        if len(self.times) == self.n: raise CancelFitException


def duel(net, size, bs, n=5, precision='auto', reference=True):
    """Median seconds of a step `(ours, reference)`, in turn, from the same weights

    The first step of each is for warming up."""
    learn, gan = make_learner(net, scene_dls(size, bs, n + 1), precision)
    with process() as other:
        if reference: other.submit(begin_reference, net, size).result()
        theirs = lambda *batch: other.submit(timed_reference, net, size, *batch).result()
        watch = Duel(n + 1, theirs if reference else None)
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4, cbs=[gan, watch])
    return *(statistics.median(t) for t in zip(*watch.times[1:])), watch
