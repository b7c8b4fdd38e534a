"""A run that is killed ends with bit-identical weights; a checkpoint is whole or skipped;
what does not belong together is refused."""
import json
import os
import signal
import subprocess
import sys
import threading
import warnings

import pytest
import torch
from fastai.callback.core import Callback, CancelFitException, CancelTrainException
from fastai.callback.tracker import SaveModelCallback

from colorize_lib.engine.checkpoints import Checkpoints
from colorize_lib.engine.state import CheckpointError, read_checkpoint, write_checkpoint
from colorize_lib.lab import colorize_dls
from colorize_lib.patchgan import PatchGAN
from colorize_lib.training import PatchGANTrainer
from colorize_lib.engine.callbacks import TrainingError
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.unet import Unet
from conftest import ROOT
from killed import Forgetful


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs os.fork')
@pytest.mark.slow # exceptions at chosen moments cut a fit off in `test_a_crash_loses_nothing`
@pytest.mark.parametrize('n', [6, 20])
def test_kills_change_no_bit(tmp_path, n):
    env = os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    done = subprocess.run([sys.executable, ROOT/'tests'/'killed.py', tmp_path, str(n)],
                          capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result['kills'] >= n
    assert result['while_writing'] >= (3 if n == 20 else 1)
    assert result['inside_an_epoch'] >= (5 if n == 20 else 1)
    assert result['runs'] >= 1


@pytest.fixture
def learner(scenes):
    def make(size=32, seed=42, n=None, nf=4, **kwargs):
        torch.manual_seed(0)
        dls = colorize_dls(scenes[:n], size=size, bs=8, seed=seed, device=torch.device('cpu'))
        return colorize_learner(dls, Unet(nf=nf, n_down=2), **kwargs)
    return make


def fit(learn, folder, epochs=3, lr=1e-3, resume=True, cbs=(), one_cycle=False, **kwargs):
    with learn.no_bar(), learn.no_logging():
        fit = learn.fit_one_cycle if one_cycle else learn.fit
        fit(epochs, lr, cbs=[Checkpoints(folder, resume=resume, **kwargs), *cbs])
    return learn


class Crash(Callback):
    "Before or after a batch: `when` is ('before' or 'after', training or validating, batches trained so far)"
    order = 80
    def __init__(self, *when): self.when = when
    def look(self, event):
        if self.when == (event, 'training' if self.training else 'validating', self.learn.train_iter):
            raise SystemError('power cut')
    def before_batch(self): self.look('before')
    def after_batch(self): self.look('after')


def test_resuming_with_the_progress_bar_on(learner, tmp_path, monkeypatch):
    "As a notebook does it; fastai's bar knows no fit that begins in its middle"
    monkeypatch.setattr('colorize_lib.engine.callbacks.can_redraw', lambda: True)
    with pytest.raises(SystemError): learner().fit(3, 1e-3, cbs=[Checkpoints(tmp_path), Crash('after', 'training', 6)])
    learn = learner()
    learn.fit(3, 1e-3, cbs=Checkpoints(tmp_path, resume=True))
    assert len(learn.recorder.values) == 3


@pytest.mark.parametrize('when',
                         [('after', 'training', 2), ('after', 'training', 4), ('before', 'training', 4),
                          ('after', 'validating', 8), ('before', 'training', 0)])
def test_a_crash_loses_nothing(scenes, tmp_path, when):
    "Also at the border of two epochs, where a checkpoint was written and no batch has begun: 4 batches an epoch"
    def go(folder, *cbs):
        torch.manual_seed(0)
        learn = colorize_learner(colorize_dls(scenes, size=32, bs=8, device=torch.device('cpu')), Forgetful(nf=4))
        return fit(learn, folder, minutes=0, one_cycle=True, cbs=cbs)
    calm = go(tmp_path/'calm')
    with pytest.raises(SystemError): go(tmp_path/'rough', Crash(*when))
    rough = go(tmp_path/'rough')
    for k, v in calm.model.state_dict().items(): assert torch.equal(v, rough.model.state_dict()[k]), k
    assert rough.recorder.values == calm.recorder.values
    assert len(rough.recorder.values) == 3
    assert rough.recorder.hps == calm.recorder.hps
    assert rough.recorder.iters == calm.recorder.iters


def test_a_checkpoint_holds_each_weight_once(learner, tmp_path):
    "Weights and Adam's two averages; a callback without a `state_dict` of its own seems to have the model's"
    learn = fit(learner(nf=16), tmp_path, epochs=1)
    n = sum(v.numel() for v in learn.model.parameters())
    assert 12*n < next(tmp_path.iterdir()).stat().st_size < 13*n
    assert list(read_checkpoint(next(tmp_path.iterdir()))['small']['callbacks']) == ['count_epochs']


def test_two_are_kept_and_no_pickle_is_needed(learner, tmp_path, monkeypatch):
    monkeypatch.setattr('pickle.load', lambda *_: pytest.fail('unpickled'))
    fit(learner(), tmp_path, epochs=4)
    files = sorted(tmp_path.iterdir())
    assert [p.name[:29] for p in files] == ['fit0000-epoch0003-batch000000', 'fit0000-epoch0004-batch000000']
    state = read_checkpoint(files[-1])
    assert {'generator', 'opt', 'scaler'} == set(state['big'])
    assert state['small']['epoch'] == 4


def test_torn_checkpoints_are_skipped_with_a_line(learner, tmp_path, capsys):
    calm = fit(learner(), tmp_path)
    newest = sorted(tmp_path.iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-50])
    again = fit(learner(), tmp_path)
    out = capsys.readouterr().out
    assert newest.name in out
    assert 'damaged' in out
    assert 'going on in epoch 2' in out
    for k, v in calm.model.state_dict().items(): assert torch.equal(v, again.model.state_dict()[k])


def test_every_flipped_bit_is_found(tmp_path):
    path = write_checkpoint(tmp_path, 'x', dict(a=torch.randn(5), b=[1, None, 'text']))
    data = path.read_bytes()
    for i in range(0, len(data), 7):
        path.write_bytes(data[:i] + bytes([data[i] ^ 4]) + data[i + 1:])
        with pytest.raises(CheckpointError, match='damaged'): read_checkpoint(path)


@pytest.mark.parametrize('change,text', [
    (dict(size=40), 'size was 32, is 40'), (dict(seed=1), 'seed was 42, is 1'),
    (dict(n=39), "photos to train on was '"), (dict(nf=6), "generator was 'Unet"),
    (dict(loss_func=torch.nn.functional.mse_loss), "loss was \"Regression"),
    (dict(epochs=4), 'epochs was 3, is 4'), (dict(lr=2e-3), 'lr was'),
    (dict(one_cycle=True), 'schedule of lr was None')])
def test_what_belongs_to_another_run_is_refused(learner, tmp_path, change, text):
    fit(learner(), tmp_path)
    fits = {k: change.pop(k) for k in ('epochs', 'lr', 'one_cycle') if k in change}
    with pytest.raises(CheckpointError, match='belongs to another run') as e: fit(learner(**change), tmp_path, **fits)
    assert text in str(e.value)


def test_an_earlier_run_is_not_overwritten(learner, tmp_path):
    fit(learner(), tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(CheckpointError, match='resume=True'): fit(learner(), tmp_path, resume=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    learn = learner()
    fit(learn, tmp_path/'two', resume=False)
    fit(learn, tmp_path/'two', resume=False) # its own checkpoints are no earlier run's


class Film(Callback):
    "Looks at a prediction after each epoch's training, as a film of the training would"
    def after_train(self): self.learn.predict(self.photo)


def test_predictions_inside_of_a_fit_change_nothing(learner, tmp_path, scenes):
    Film.photo = scenes[0]
    calm = fit(learner(), tmp_path/'calm')
    busy = fit(learner(), tmp_path/'busy', cbs=[Film()])
    for k, v in calm.model.state_dict().items(): assert torch.equal(v, busy.model.state_dict()[k])
    busy, calm = ([p.name[:29] for p in sorted((tmp_path/o).iterdir())] for o in ('busy', 'calm'))
    assert busy == calm


def test_on_the_learner_itself(learner, tmp_path):
    learn = learner()
    learn.add_cb(Checkpoints(tmp_path))
    with learn.no_bar(), learn.no_logging():
        learn.validate()
        learn.lr_find(show_plot=False, num_it=5)
        assert not list(tmp_path.iterdir())
        learn.fit(1, 1e-3)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_attempt_that_begins_anew_leaves_no_newer_checkpoint(learner, tmp_path):
    learn = learner()
    with pytest.raises(SystemError): fit(learn, tmp_path, epochs=4, resume=False, cbs=[Crash('before', 'training', 12)])
    with pytest.raises(SystemError): fit(learn, tmp_path, epochs=4, resume=False, cbs=[Crash('before', 'training', 4)])
    assert [p.name[:17] for p in tmp_path.iterdir()] == ['fit0000-epoch0001']


def test_a_finished_stage_is_compared_as_well(learner, tmp_path):
    def stages(epochs):
        learn = learner()
        for n in (epochs, 1): fit(learn, tmp_path, epochs=n)
    stages(1)
    with pytest.raises(CheckpointError, match='epochs was 1, is 3'): stages(3)


def test_weights_that_are_not_finite_are_not_kept(learner, tmp_path):
    class Break(Callback):
        def before_epoch(self):
            if self.epoch == 2: next(self.model.parameters()).data[:] = float('nan')
    with pytest.raises(TrainingError): fit(learner(), tmp_path, minutes=0, cbs=[Break()])
    for p in tmp_path.iterdir(): assert all(v.isfinite().all() for v in read_checkpoint(p)['big']['generator'].values())


def test_keep_nothing_is_refused():
    with pytest.raises(ValueError, match='keep=0'): Checkpoints('x', keep=0)


def test_full_disk_is_one_warning(learner, tmp_path, monkeypatch):
    learn = fit(learner(), tmp_path)
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    def full(*_, **__): raise OSError(28, 'No space left on device')
    monkeypatch.setattr('colorize_lib.engine.state.save_tensors', full)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        fit(learn, tmp_path, epochs=2)
    assert sum('no checkpoint could be written (No space left on device)' in str(o.message) for o in caught) == 1
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == kept
    assert len(learn.recorder.values) == 2


def test_unwritable_folder_is_named(learner, tmp_path):
    (tmp_path/'file').write_text('')
    with pytest.raises(CheckpointError, match='no checkpoints can be kept there'):
        fit(learner(), tmp_path/'file'/'deep')


class Interrupt(Callback):
    "The stop key, pressed once in the middle of a step"
    def __init__(self, step, validating): self.step, self.validating = step, validating
    def after_pred(self):
        if self.training != self.validating and self.learn.train_iter == self.step: signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize('step,validating', [(1, False), (3, False), (4, True)])
def test_the_stop_key_waits_for_the_step_and_saves(learner, tmp_path, capsys, step, validating):
    def go(folder, cbs=()):
        learn = learner()
        return fit(learn, folder, epochs=2, cbs=[PatchGANTrainer(PatchGAN(nf=4, n_down=2)), *cbs])
    calm = go(tmp_path/'calm')
    with pytest.raises(KeyboardInterrupt): go(tmp_path/'rough', [Interrupt(step, validating)])
    assert 'with resume=True' in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    rough = go(tmp_path/'rough')
    for k, v in calm.model.state_dict().items(): assert torch.equal(v, rough.model.state_dict()[k])
    assert rough.gan_losses == calm.gan_losses


@pytest.mark.parametrize('step', [2, 5]) # of 4 batches an epoch
def test_a_training_with_hints_goes_on_with_the_hints_it_would_have_had(scenes, tmp_path, step):
    def go(folder, *cbs):
        torch.manual_seed(0)
        dls = colorize_dls(scenes, size=32, bs=8, task='grayscale_hints', device=torch.device('cpu'))
        gan = PatchGANTrainer(PatchGAN(dls.task.n_in + dls.task.n_out, nf=4, n_down=2))
        return fit(colorize_learner(dls, Unet(n_in=4, nf=4, n_down=2)), folder, epochs=2, minutes=0, cbs=[gan, *cbs])
    calm = go(tmp_path/'calm')
    with pytest.raises(SystemError): go(tmp_path/'rough', Crash('after', 'training', step))
    rough = go(tmp_path/'rough')
    for k, v in calm.model.state_dict().items(): assert torch.equal(v, rough.model.state_dict()[k]), k
    assert rough.recorder.values == calm.recorder.values
    assert rough.gan_losses == calm.gan_losses


class EndEpoch(Callback):
    "Ends the epoch and the fit after a batch, as a budget does"
    order = 60
    def __init__(self, step): self.step = step
    def after_batch(self):
        if self.training and self.learn.train_iter == self.step: raise CancelTrainException
    def after_epoch(self):
        if self.learn.train_iter == self.step: raise CancelFitException


@pytest.mark.parametrize('step', [2, 6]) # of 4 batches an epoch: in the first, in the second
def test_the_stop_key_in_the_validation_of_an_epoch_that_was_cut_short(learner, tmp_path, step):
    def go(folder, cbs=()): return fit(learner(), folder, epochs=3, cbs=[EndEpoch(step), *cbs])
    calm = go(tmp_path/'calm')
    with pytest.raises(KeyboardInterrupt): go(tmp_path/'rough', [Interrupt(step, True)])
    assert any(f'epoch{step//4:04d}' in p.name for p in (tmp_path/'rough').iterdir())
    rough = go(tmp_path/'rough')
    assert rough.train_iter == step
    assert rough.recorder.losses == calm.recorder.losses
    for k, v in calm.model.state_dict().items(): assert torch.equal(v, rough.model.state_dict()[k])


def test_the_stop_key_at_the_very_end_is_heard(learner, tmp_path):
    class Late(Callback):
        def after_epoch(self): signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt): fit(learner(), tmp_path, epochs=1, cbs=[Late()])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert read_checkpoint(next(tmp_path.iterdir()))['small']['epoch'] == 1


def test_a_start_that_failed_does_not_silence_it(learner, tmp_path):
    class Refuse(Callback):
        order = -20
        def before_fit(self): raise ValueError('not like this')
    learn = learner(cbs=Checkpoints(tmp_path))
    with learn.no_bar(), learn.no_logging():
        with pytest.raises(ValueError, match='not like this'): learn.fit(1, 1e-3, cbs=Refuse())
        learn.fit(1, 1e-3)
    assert list(tmp_path.glob('fit*.safetensors'))


def test_epoch_10000_comes_after_9999(tmp_path):
    for epoch in (9999, 10000, 800): write_checkpoint(tmp_path, f'fit0000-epoch{epoch:04d}-batch000000', {})
    assert [p.name.split('-')[1] for p in Checkpoints(tmp_path).files()] == ['epoch10000', 'epoch9999', 'epoch0800']


def test_works_in_a_thread(learner, tmp_path):
    t = threading.Thread(target=fit, args=(learner(), tmp_path), kwargs=dict(epochs=1))
    t.start(), t.join()
    assert len(list(tmp_path.iterdir())) == 1


class Spoil(Callback):
    def after_loss(self):
        if self.training and self.learn.train_iter == 5: self.learn.loss_grad = self.learn.loss_grad*float('inf')


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(learner, tmp_path):
    learn = learner()
    with pytest.raises(TrainingError, match='epoch 1, batch 1') as e: fit(learn, tmp_path, cbs=[Spoil()])
    for name in learn.dls.train.batch_names(1, 1): assert name in str(e.value)
    assert str(tmp_path) in str(e.value)
    state = read_checkpoint(sorted(tmp_path.iterdir())[-1])
    assert all(v.isfinite().all() for v in state['big']['generator'].values())
    assert state['small']['epoch'] == 1


def test_the_best_epoch_so_far_is_remembered(learner, tmp_path):
    def save(): return SaveModelCallback(fname='best', reset_on_fit=False)
    learn = learner(path=tmp_path)
    fit(learn, tmp_path/'run', cbs=[save()])
    kept = read_checkpoint(sorted((tmp_path/'run').iterdir())[-1])['small']['history']['best']
    assert kept == [min(v[1] for v in learn.recorder.values)]


def test_written_every_so_often(learner, tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 45))
    monkeypatch.setattr('colorize_lib.engine.checkpoints.time.monotonic', lambda: next(clock))
    names = []
    monkeypatch.setattr('colorize_lib.engine.checkpoints.write_checkpoint',
                        lambda folder, name, state: names.append(name) or folder/name)
    fit(learner(), tmp_path, epochs=1, minutes=1)
    assert [n[-6:] for n in names] == ['000002', '000000'] # 4 batches: after 90 s, and at the end of the epoch
