"""A training as a GPU would run it, without a GPU: devices, types, and the lines that would make it wait

Under `DryRun` tensors have no values. What only a real GPU can show is in test_gpu.py."""
import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from fastai.callback.core import Callback
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.data import CropTo
from colorize_lib.engine.callbacks import FiniteLoss, TrainingError
from colorize_lib.engine.checks import pick_precision
from colorize_lib.engine.distributed import Distributed
from colorize_lib.engine.dry_run import DryRun, DryRunError, gpu_facts
from colorize_lib.engine.learner import colorize_learner, warn_of_memory
from colorize_lib.engine.memory import LiveBytes, largest_batch, peak_memory, training_steps
from colorize_lib.engine.weights import generators
from colorize_lib.lab import colorize_dls, get_task, tasks
from colorize_lib.losses import GANLoss, Regression
from colorize_lib.networks.classification import Classification
from colorize_lib.patchgan import PatchGAN
from colorize_lib.photos.samples import paint_scene
from colorize_lib.results import evaluate
from colorize_lib.sketch.sketch import Sketch, styles
from colorize_lib.training import PatchGANTrainer
from colorize_lib.unet import Unet
from conftest import ROOT

CUDA, T4, H200 = torch.device('cuda'), (7, 5), (9, 0)
# GradScaler asks whether a gradient was infinite, once a step in float16; the others end an epoch
MAY_READ = '_maybe_opt_step', 'after_train', 'after_validate', 'after_epoch', '_do_epoch_validate'
SMALL = dict(unet=dict(nf=8, n_down=2), pix2pix_unet=dict(nf=8, n_down=4), resnet_unet=dict(size=64), lite_unet={},
             bin_classifier=dict(nf=8, n_down=2))
TASK = dict(hinted_unet='grayscale_hints') # others: 'grayscale'


@pytest.fixture(scope='module')
def pictures(): return [paint_scene(i, 72) for i in range(10)]


def loaders(pictures, task='grayscale'): return colorize_dls(pictures, size=64, bs=4, n_valid=2, device=CUDA, task=task)


def dry_fit(pictures, precision, task='grayscale', generator='unet', gan=True, loss=None, cbs=(), allow=MAY_READ):
    "A Learner that has trained an epoch, and its `DryRun`"
    with DryRun(allow=allow) as run:
        dls = loaders(pictures, task)
        channels = {} if generator == 'bin_classifier' else dict(n_in=dls.task.n_in, n_out=dls.task.n_out)
        net = generators[generator](**SMALL.get(generator, {}), **channels)
        learn = colorize_learner(dls, net, loss or Regression('l1'), precision)
        D = PatchGAN(dls.task.n_in + dls.task.n_out, nf=8, n_down=2)
        run.waits.clear()
        with learn.no_bar(), learn.no_logging():
            learn.fit(1, 1e-3, cbs=[*([PatchGANTrainer(D)] if gan else []), *cbs])
    return learn, run


# ---- the means are right: they refuse and note what a GPU would

def test_devices_do_not_mix():
    with DryRun():
        net, x = nn.Conv2d(1, 2, 3).to('cuda'), torch.rand(1, 1, 8, 8, device='cuda')
        assert net(x).device == torch.device('cuda:0') and net(x).is_cuda
        with pytest.raises(DryRunError, match='mixes tensors'): net(torch.rand(1, 1, 8, 8))
        with pytest.raises(DryRunError, match='test_dry_run.py.*x [+] torch.ones'): x + torch.ones(8)
        assert (x + torch.tensor(1.)).is_cuda # a single number may come from the CPU


@pytest.mark.parametrize('read', [lambda t: t.item(), float, bool, lambda t: t.cpu(), lambda t: t.to('cpu'),
                                  lambda t: t.tolist(), lambda t: t.numpy(), lambda t: 1 if t > 0 else 2, int])
def test_a_read_is_noted_with_its_line_or_refused(read):
    with DryRun() as run: read(torch.ones((), device='cuda'))
    assert len(run.reads()) == 1
    assert 'test_dry_run.py' in run.reads()[0]
    with DryRun(refuse=True), pytest.raises(DryRunError, match='a wait: reads'): read(torch.ones((), device='cuda'))


@pytest.mark.parametrize('f', [torch.nonzero, lambda t: t[t > 0], lambda t: torch.equal(t, t), torch.unique,
                               lambda t: torch.masked_select(t, t > 0)])
def test_shapes_that_depend_on_values_are_waits(f):
    with DryRun(refuse=True), pytest.raises((DryRunError, NotImplementedError)): f(torch.ones(3, device='cuda'))


def test_a_copy_to_the_gpu_waits_unless_it_is_told_not_to():
    with DryRun() as run:
        torch.ones(3).to('cuda', non_blocking=True)
        assert not run.waits
        torch.ones(3).to('cuda')
        torch.tensor([1., 2.], device='cuda')
    assert [kind for kind, *_ in run.waits] == ['copy']*2


def test_nothing_is_left_behind():
    before = torch.cuda.is_available()
    with pytest.raises(ZeroDivisionError), DryRun(): 1/0
    assert torch.cuda.is_available() == before and not DryRun.is_open
    assert torch.zeros(2, device='cpu').sum().item() == 0


OPS = dict(matmul=lambda y: y @ y, linear=lambda y: nn.functional.linear(y, torch.ones(8, 8, device='cuda')),
           einsum=lambda y: torch.einsum('bchw,bdhw->bcd', y, y), softmax=lambda y: y.softmax(1), exp=torch.exp,
           pow=lambda y: y**2, sum=torch.sum, mean=torch.mean, l1=lambda y: nn.functional.l1_loss(y, y),
           mse=lambda y: nn.functional.mse_loss(y, y), cat=lambda y: torch.cat([y, y.float()]), tanh=torch.tanh,
           bce=lambda y: nn.functional.binary_cross_entropy_with_logits(y, y), norm=torch.norm,
           up=lambda y: nn.functional.interpolate(y, scale_factor=2., mode='bilinear'), log=torch.log,
           pool=lambda y: nn.functional.max_pool2d(y, 2), prod=torch.prod, cumsum=lambda y: y.cumsum(1),
           group_norm=lambda y: nn.functional.group_norm(y, 2))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_gives_the_types_that_pytorch_gives(dtype):
    def types():
        conv, x = nn.Conv2d(4, 4, 3, padding=1, device='cuda'), torch.rand(2, 4, 8, 8, device='cuda')
        with torch.autocast('cuda', dtype=dtype):
            y = conv(x)
            return {'conv': y.dtype} | {k: f(y).dtype for k, f in OPS.items()}
    with FakeTensorMode(): torch.zeros(1, device='cuda') # once without `gpu_facts`: it asks whether there is a driver
    with DryRun(): ours = types()
    with gpu_facts(H200), FakeTensorMode(): assert ours == types()
    assert ours['conv'] == dtype and ours['l1'] == torch.float32


# ---- batches

@pytest.mark.parametrize('task', list(tasks))
def test_batches_of_every_task(pictures, task):
    with DryRun() as run:
        dls = loaders(pictures, task)
        x, y = dls.train.one_batch()
        assert (x.shape, y.shape) == ((4, dls.task.n_in, 64, 64), (4, dls.task.n_out, 64, 64))
        assert {o.device.type for o in (x, y)} == {'cuda'} and {o.dtype for o in (x, y)} == {torch.float32}
        for _, f in dls.task.baselines.values(): assert f(x, y).shape == y.shape
        dls.task.decode((x, y))
    assert not run.reads()


@pytest.mark.parametrize('style', list(styles))
def test_crops_and_every_style_of_sketch(style):
    with DryRun(refuse=True):
        rgb = torch.zeros(2, 3, 72, 72, dtype=torch.uint8).to('cuda')
        crops = torch.tensor([[1, 2, 68, 1], [0, 0, 68, 0]])
        (rgb,) = CropTo(64).encodes((rgb, crops.numpy()))
        assert rgb.shape == (2, 3, 64, 64)
        drawing, target = Sketch(style).encodes((rgb, torch.arange(2).numpy()))
        assert drawing.is_cuda and target.shape == (2, 3, 64, 64)


# ---- training

@pytest.mark.parametrize('precision', ['fp16', 'bf16', 'fp32'])
@pytest.mark.parametrize('task', list(tasks))
def test_a_step_of_generator_and_discriminator_reads_nothing(pictures, task, precision):
    learn, run = dry_fit(pictures, precision, task)
    assert run.reads() == []
    assert {p.device.type for p in learn.model.parameters()} == {'meta'} # inside of the run: cuda
    assert len(learn.recorder.losses) == 2 and len(learn.gan_losses) == 1


@pytest.mark.parametrize('precision', ['fp16', 'bf16'])
@pytest.mark.parametrize('name', list(generators))
def test_every_generator_trains(pictures, name, precision):
    classes = name == 'bin_classifier'
    loss = Classification(torch.full((529,), 1/529)) if classes else None
    learn, run = dry_fit(pictures, precision, TASK.get(name, 'grayscale'), name, not classes, loss)
    assert run.reads() == []
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in learn.model.parameters())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', list(generators))
def test_predictions_and_losses_are_float32_where_they_must_be(name, dtype):
    with DryRun():
        task = get_task(TASK.get(name, 'grayscale'))
        net = generators[name](**SMALL.get(name, {})).to('cuda')
        D = PatchGAN(task.n_in + task.n_out, nf=8, n_down=2).to('cuda')
        x, y = [torch.zeros(2, n, 64, 64, device='cuda') for n in (task.n_in, task.n_out)]
        found = []
        for m in net.modules():
            if isinstance(m, nn.Conv2d): m.register_forward_hook(lambda m, _, out: found.append(out.dtype))
        with torch.autocast('cuda', dtype=dtype):
            pred = net(x)
            losses = [Classification()(pred, y)] if name == 'bin_classifier' else [
                *(Regression(k)(pred, y) for k in Regression.losses),
                *(GANLoss(k)(D(x, pred), True) for k in GANLoss.modes)]
        assert set(found) == {dtype}
        assert {o.dtype for o in losses} == {torch.float32} and {o.is_cuda for o in losses} == {True}
        sum(losses).backward()
        nets = [net] if name == 'bin_classifier' else [net, D]
        grads = [p.grad for m in nets for p in m.parameters() if p.requires_grad]
        assert all(g is not None and g.dtype == torch.float32 for g in grads)


def test_gradscaler_alone_is_asked_in_a_step_in_float16(pictures):
    _, run = dry_fit(pictures, 'fp16', allow=MAY_READ[1:])
    assert len(run.reads()) == 2 # a step each
    assert all('self.scaler.step(self)' in o for o in run.reads())
    assert dry_fit(pictures, 'bf16', allow=MAY_READ[1:])[1].reads() == []


class Peek(Callback):
    def after_loss(self): self.seen = self.learn.loss.item()


def test_broken_on_purpose_a_callback(pictures):
    _, run = dry_fit(pictures, 'bf16', cbs=[Peek()])
    assert 'self.seen = self.learn.loss.item()' in run.reads()[0]


def test_broken_on_purpose_the_loss(pictures, monkeypatch):
    plain = GANLoss.__call__
    def clipped(self, logits, real):
        return plain(self, logits, real) if logits.abs().max() < 100 else logits.mean()
    monkeypatch.setattr(GANLoss, '__call__', clipped)
    _, run = dry_fit(pictures, 'fp16')
    assert len(run.reads()) >= 6 # three losses in each of two steps
    assert 'logits.abs().max() < 100' in run.reads()[0]


def test_broken_on_purpose_finite_loss(pictures, monkeypatch):
    def now(self):
        if bool(self.learn.loss_grad.isnan()): raise TrainingError('not finite')
    monkeypatch.setattr(FiniteLoss, 'after_loss', now)
    assert 'bool(self.learn.loss_grad.isnan())' in dry_fit(pictures, 'bf16')[1].reads()[0]


def test_broken_on_purpose_a_constant_on_the_cpu(pictures, monkeypatch):
    plain = Regression.__call__
    weights = torch.ones(64)
    monkeypatch.setattr(Regression, '__call__', lambda self, pred, targ: plain(self, pred*weights, targ))
    with pytest.raises(Exception, match='mixes tensors on cuda:0 and on cpu.*pred[*]weights'):
        dry_fit(pictures, 'fp32')


# ---- after training

def test_validation_metrics(pictures):
    learn, _ = dry_fit(pictures, 'fp16')
    with DryRun():
        frame = evaluate(learn, names=['l1_ab', 'auc'])
    assert len(frame) == 2


@pytest.mark.parametrize('name', ['grayscale', 'sketch'])
def test_the_network_part_of_a_colorizer(name):
    with DryRun(T4) as run:
        colorizer = Colorizer.load(name)
        assert (colorizer.device.type, colorizer.dtype) == ('cuda', torch.float16)
        x, pred = colorizer._run(paint_scene(0, 48), 48)
        assert x.device.type == pred.device.type == 'cpu' and pred.shape[-2:] == (48, 48)
    assert len(run.reads()) == 1 # one copy back to the CPU, no other wait


def test_precision_of_a_t4_and_an_h200(pictures):
    for capability, precision in ((T4, 'fp16'), (H200, 'bf16')):
        with DryRun(capability):
            assert pick_precision(CUDA) == precision
            learn = colorize_learner(loaders(pictures), Unet(nf=8, n_down=2))
            assert learn.device_precision.amp_mode.value == precision


def test_one_of_two_gpus(pictures):
    "What a process of two does itself: its part of the batches, batch norm over both; NCCL needs real GPUs"
    with DryRun(T4, n_gpus=2):
        assert torch.cuda.device_count() == 2
        assert Distributed().sync_bn
        dls = loaders(pictures)
        parts = [dls.train.new(rank=i, world=2, bs=2) for i in range(2)]
        assert [dl.one_batch()[0].shape for dl in parts] == [(2, 1, 64, 64)]*2
        net = nn.SyncBatchNorm.convert_sync_batchnorm(generators['unet'](**SMALL['unet'])).to('cuda')
        assert any(isinstance(m, nn.SyncBatchNorm) for m in net.modules())


# ---- memory

def real_peak(G, D, size, bs, precision):
    with LiveBytes() as memory:
        for m in (G, D):
            for o in [*m.parameters(), *m.buffers()] if m else []: memory.add(o)
        training_steps(G.train(), D, torch.zeros(bs, 1, size, size), torch.zeros(bs, 2, size, size), precision)
    return memory.peak


@pytest.mark.parametrize(('precision', 'off'), [('fp32', .03), ('bf16', .1)]) # the CPU's autocast has lists of its own
@pytest.mark.parametrize('adversarial', [False, True])
@pytest.mark.parametrize('name', ['unet', 'pix2pix_unet', 'lite_unet'])
def test_the_estimate_is_that_of_a_training_with_values(name, adversarial, precision, off):
    net, D = generators[name](**SMALL[name]), PatchGAN(nf=8, n_down=2) if adversarial else None
    estimate = peak_memory(net, 64, 4, precision, D)
    assert estimate == pytest.approx(real_peak(net, D, 64, 4, precision), rel=off)


def test_the_estimate_leaves_the_network_alone_and_grows_with_the_batch():
    net = Unet(nf=8, n_down=2)
    before = [(o.device, o.clone()) for o in net.state_dict().values()]
    peaks = [peak_memory(net, 64, bs) for bs in (4, 8, 12)]
    assert peaks[2] - peaks[1] == pytest.approx(peaks[1] - peaks[0], rel=.02)
    assert all(o.device == d and torch.equal(o, v) for o, (d, v) in zip(net.state_dict().values(), before))
    assert all(p.grad is None for p in net.parameters())
    assert peak_memory(net, 64, 8, 'fp16') < .8*peak_memory(net, 64, 8, 'fp32')
    bs = largest_batch(net, 64, memory=1e8, share=1.)
    assert peak_memory(net, 64, bs) <= 1e8 < peak_memory(net, 64, 2*bs)
    assert largest_batch(net, 64, memory=1e4) == 0


def test_a_batch_that_does_not_fit_is_told_before_it_runs(pictures, recwarn):
    with DryRun(T4):
        dls = loaders(pictures)
        warn_of_memory(dls, Unet(nf=8, n_down=2))
        assert not [w for w in recwarn if 'estimated' in str(w.message)]
        dls.train.bs = 20_000
        with pytest.warns(UserWarning, match='estimated .* of 15 GB.*lower bs first.*largest_batch'):
            colorize_learner(dls, Unet(nf=8, n_down=2))


# ---- the tutorials as Kaggle and Colab run them

TUTORIAL = '''
import json, sys
import matplotlib
from colorize_lib.engine.dry_run import DryRun
matplotlib.use('agg')
path, n_gpus = sys.argv[1], int(sys.argv[2])
sources = [''.join(c['source']) for c in json.load(open(path))['cells'] if c['cell_type'] == 'code']
with DryRun((7, 5), n_gpus=n_gpus):
    for source in sources:
        if '%pip' in source or 'pip install' in source: continue
        exec(compile(source, path, 'exec'), globals())
print('to its end')
'''


def run_tutorial(name, n_gpus, folder):
    env = os.environ | dict(COLORIZE_SMALL='1', COLORIZE_CACHE=str(folder/'cache'), OMP_NUM_THREADS='1',
                            PYTHONPATH=str(ROOT))
    command = [sys.executable, '-W', 'ignore', '-c', TUTORIAL, ROOT/f'nbs/tutorials/{name}.ipynb', str(n_gpus)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['02_train_on_your_photos', '03_train_on_coco'])
def test_a_tutorial_on_a_t4(name, tmp_path):
    done = run_tutorial(name, 1, tmp_path)
    assert done.stdout.endswith('to its end\n'), done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_nccl_available(), reason='this PyTorch has no NCCL')
def test_the_launcher_of_two_t4s_comes_as_far_as_nccl(tmp_path):
    """Measured in a process of its own, started twice by `notebook_launcher`; NCCL then looks for real GPUs

    Another program listens where Accelerate's processes would meet: they meet elsewhere."""
    with socket.socket() as other:
        with contextlib.suppress(OSError): other.bind(('', 29500)) # or yet another one does so already
        other.listen()
        done = run_tutorial('03_train_on_coco', 2, tmp_path)
    assert 'photos a second' in done.stdout
    assert 'ProcessGroupNCCL is only supported with GPUs, no GPUs found' in done.stderr


def test_the_step_of_the_first_notebook_runs_on_a_gpu():
    cells = json.loads((ROOT/'nbs/index.ipynb').read_text(encoding='utf-8'))['cells']
    code = next(s for c in cells if 'pix2pix_step(' in (s := ''.join(c['source'])))
    for part, instead in (('bs=8)', "bs=8, device='cuda')"), ('cycle(8', 'cycle(1'), ('range(5)', 'range(1)')):
        assert part in code
        code = code.replace(part, instead)
    with DryRun(): exec('from colorize_lib.all import *\n' + code, dict(torch=torch))
