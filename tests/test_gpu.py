"""What only a real GPU can show; without one, each test is skipped by name (`make gpu` runs them)"""
import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.engine.callbacks import TrainingError
from colorize_lib.engine.checkpoints import Checkpoints
from colorize_lib.engine.dry_run import DryRun
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.engine.memory import peak_memory, training_steps
from colorize_lib.engine.speed import FusedAdam
from colorize_lib.lab import colorize_dls
from colorize_lib.patchgan import PatchGAN
from colorize_lib.photos.samples import paint_scene
from colorize_lib.training import PatchGANTrainer, loss_names, pix2pix_step
from colorize_lib.unet import Unet
from conftest import ROOT

CUDA = torch.device('cuda')
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')]


def learner(precision='auto', n=40, bs=8, net=None, device=CUDA):
    torch.manual_seed(0)
    dls = colorize_dls([paint_scene(i, 72) for i in range(n)], size=64, bs=bs, device=device)
    return colorize_learner(dls, net or Unet(nf=16, n_down=3), precision=precision), PatchGAN(nf=16, n_down=2)


def fit(learn, epochs, *cbs):
    with learn.no_bar(), learn.no_logging(): learn.fit(epochs, 2e-4, cbs=list(cbs))


@pytest.fixture
def exact(monkeypatch):
    "float32 without TF32"
    for where in (torch.backends.cuda.matmul, torch.backends.cudnn): monkeypatch.setattr(where, 'allow_tf32', False)


def test_one_step_of_g_and_d_equals_the_cpus_in_float32(exact):
    G, D = Unet(nf=16, n_down=3), PatchGAN(nf=16, n_down=2)
    lum, ab = torch.rand(4, 1, 64, 64)*2 - 1, torch.rand(4, 2, 64, 64)*.6 - .3
    found = {}
    for device in ('cpu', 'cuda'):
        g, d = copy.deepcopy(G).to(device), copy.deepcopy(D).to(device)
        losses = pix2pix_step(g, d, FusedAdam(g.parameters()), FusedAdam(d.parameters()), lum.to(device), ab.to(device))
        found[device] = torch.stack([losses[nm] for nm in loss_names]).cpu()
    torch.testing.assert_close(found['cuda'], found['cpu'], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_200_steps_in_16_bits_stay_finite_and_learn(precision):
    if precision == 'bf16' and torch.cuda.get_device_capability() < (8, 0): pytest.skip('this GPU has no bfloat16')
    learn, D = learner(precision)
    fit(learn, 50, PatchGANTrainer(D)) # of four steps
    first, last = learn.gan_losses[0]['loss_G_L1'], learn.gan_losses[-1]['loss_G_L1']
    assert len(learn.recorder.losses) == 200
    assert np.isfinite([list(o.values()) for o in learn.gan_losses]).all()
    assert last < .9*first


def test_a_step_does_not_wait():
    "The same as in test_dry_run.py, told by CUDA itself; the copy of the batch is made before"
    G, D = Unet(nf=16, n_down=3).to(CUDA), PatchGAN(nf=16, n_down=2).to(CUDA)
    x, y = torch.zeros(4, 1, 64, 64, device=CUDA), torch.zeros(4, 2, 64, 64, device=CUDA)
    training_steps(G, D, x, y, 'fp16') # the first steps load kernels
    torch.cuda.set_sync_debug_mode('error')
    try: training_steps(G, D, x, y, 'fp16')
    finally: torch.cuda.set_sync_debug_mode('default')


KILLED = '''
import os, sys
sys.path.insert(0, 'tests')
from fastai.callback.core import Callback
from test_gpu import Checkpoints, PatchGANTrainer, fit, learner
class Kill(Callback):
    order = 90
    def after_epoch(self):
        if self.epoch == 2: os._exit(9)
learn, D = learner('fp32')
fit(learn, 4, PatchGANTrainer(D), Checkpoints(sys.argv[1]), Kill())
'''


def test_a_killed_run_goes_on_within_rounding(tmp_path, exact):
    done = subprocess.run([sys.executable, '-c', KILLED, tmp_path/'run'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr[-2000:]
    resumed, D = learner('fp32')
    fit(resumed, 4, PatchGANTrainer(D), Checkpoints(tmp_path/'run', resume=True))
    whole, D = learner('fp32')
    fit(whole, 4, PatchGANTrainer(D))
    for a, b in zip(resumed.model.parameters(), whole.model.parameters()):
        torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize('name', ['grayscale', 'sketch'])
def test_colorizer_equals_the_cpus_within_1_of_255(name, exact):
    photo = paint_scene(3, 160)
    a, b = (np.asarray(Colorizer.load(name, device, 'fp32')(photo), int) for device in ('cpu', 'cuda'))
    assert abs(a - b).max() <= 1


def test_out_of_memory_is_our_error_and_is_survived():
    learn, _ = learner('fp32')
    free = torch.cuda.mem_get_info()[0]
    blocks = [torch.empty(max(1, free - 300*2**20), dtype=torch.uint8, device=CUDA)]
    learn.dls.train.bs = 24
    wide = colorize_learner(learn.dls, Unet(nf=96, n_down=3), precision='fp32')
    with pytest.raises(TrainingError, match='out of memory on cuda.*lower bs first'): fit(wide, 1)
    del blocks, wide
    torch.cuda.empty_cache()
    fit(learn, 1)
    assert np.isfinite(learn.recorder.losses[-1].item())


TWO = '''
import sys, torch
sys.path.insert(0, 'tests')
torch.distributed.init_process_group('gloo') # NCCL wants a GPU for each process
torch.cuda.set_device(0)
from colorize_lib.engine.distributed import Distributed
from test_gpu import PatchGANTrainer, fit, learner
learn, D = learner('fp32', bs=4)
fit(learn, 1, PatchGANTrainer(D), Distributed(sync_bn=False))
if torch.distributed.get_rank() == 0: print('LOSS', float(learn.recorder.losses[-1]))
'''


def test_two_processes_on_one_gpu(tmp_path):
    (tmp_path/'two.py').write_text(TWO)
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', tmp_path/'two.py']
    env = os.environ | dict(PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='0')
    done = subprocess.run(launch, cwd=ROOT, capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.isfinite(float(done.stdout.split('LOSS')[1].split()[0]))


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_the_estimate_of_memory_against_the_gpus_own_count(precision):
    assert not DryRun.is_open
    G, D = Unet(nf=32), PatchGAN()
    estimate = peak_memory(G, 128, 16, precision, D)
    G, D = G.to(CUDA), D.to(CUDA)
    x, y = torch.zeros(16, 1, 128, 128, device=CUDA), torch.zeros(16, 2, 128, 128, device=CUDA)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated() - sum(o.nbytes for m in (G, D) for o in m.state_dict().values())
    torch.cuda.reset_peak_memory_stats()
    training_steps(G.train(), D, x, y, precision)
    print(f'estimate {estimate/2**20:.0f} MB, allocated {(torch.cuda.max_memory_allocated() - before)/2**20:.0f} MB')
    assert torch.cuda.max_memory_allocated() - before == pytest.approx(estimate, rel=.4)
