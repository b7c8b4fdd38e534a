"""Train in child processes and kill them at random moments

`python killed.py FOLDER N_KILLS` prints what happened as JSON.

Children are forked from a process that has everything imported, so that a life costs a tenth of a second and not ten.
"""
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from colorize_lib.engine.checkpoints import Checkpoints
from colorize_lib.lab import colorize_dls
from colorize_lib.patchgan import PatchGAN
from colorize_lib.photos.samples import paint_scene
from colorize_lib.training import Recipe, fit_recipe
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.unet import Unet


class Forgetful(torch.nn.Module):
    "With dropout, so that the state of random numbers matters"
    def __init__(self, nf=8):
        super().__init__()
        self.net, self.drop = Unet(nf=nf, n_down=2), torch.nn.Dropout(.1)
    def forward(self, x): return self.drop(self.net(x))


def train(folder, scenes):
    torch.manual_seed(0)
    learn = colorize_learner(colorize_dls(scenes, size=32, bs=8, device=torch.device('cpu')), Forgetful())
    with learn.no_bar(), learn.no_logging():
        gan = fit_recipe(learn, Recipe(size=32, bs=8, epochs_l1=3, epochs_gan=4),
                         PatchGAN(nf=8, n_down=2), cbs=Checkpoints(folder, resume=True, minutes=0))
    torch.save(dict(generator=learn.model.state_dict(), discriminator=gan.discriminator.state_dict(),
                    opt=learn.opt.state_dict(), opt_D=gan.optimizer.state_dict(),
                    losses=learn.recorder.losses, values=[list(v) for v in learn.recorder.values],
                    gan_losses=learn.gan_losses), f'{folder}/result.pt')


def child(folder, scenes):
    if (pid := os.fork()): return pid
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        train(folder, scenes)
        code = 0
    finally: os._exit(code)


def equal(a, b):
    if isinstance(a, torch.Tensor): return torch.equal(a, torch.as_tensor(b))
    if isinstance(a, dict): return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))
    return a == b or float(a) == float(b)


def main(root, n_kills, seed=0):
    scenes, rng = [paint_scene(i, 40) for i in range(60)], random.Random(seed)
    start = time.monotonic()
    _, status = os.waitpid(child(f'{root}/calm', scenes), 0)
    assert status == 0, 'the undisturbed run failed'
    calm = torch.load(f'{root}/calm/result.pt', weights_only=False)
    kills = torn = inside = runs = 0
    while kills < n_kills or not runs:
        folder = Path(f'{root}/rough{runs}')
        def written(folder=folder): return {p.name for p in folder.glob('fit*.safetensors')}
        def writing(folder=folder): return bool(list(folder.glob('.fit*.part')))
        while not (folder/'result.pt').exists():
            # a life of so many checkpoints: it is killed while it trains, however slowly it wakes up
            seen, n_writes = written(), rng.randint(0, 7)
            inside += bool(seen) and 'batch000000' not in max(seen) # goes on in the middle of an epoch
            pid, n = child(folder, scenes), len(seen)
            # half of the kills fall into the writing of a checkpoint
            wait_for = writing if rng.random() < .5 else lambda: True
            while not (done := os.waitpid(pid, os.WNOHANG))[0]:
                seen |= written()
                if kills < n_kills and len(seen) - n >= n_writes:
                    time.sleep(rng.uniform(0, .03))
                    while not wait_for() and not (done := os.waitpid(pid, os.WNOHANG))[0]: time.sleep(.0003)
                    break
                time.sleep(.0003)
            if done[0]:
                assert done[1] == 0, f'a resumed run failed in {folder}'
                continue
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills, torn = kills + 1, torn + writing()
        rough = torch.load(folder/'result.pt', weights_only=False)
        differ = [k for k in calm if not equal(calm[k], rough[k])]
        assert not differ, f'{folder} differs in {differ}'
        runs += 1
    print(json.dumps(dict(kills=kills, while_writing=torn, inside_an_epoch=inside,
                          runs=runs, seconds=round(time.monotonic() - start))))


if __name__ == '__main__': main(sys.argv[1], int(sys.argv[2]))
