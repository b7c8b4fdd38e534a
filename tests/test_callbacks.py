"Bars where they can be drawn again, a line an epoch elsewhere; predictions inside of a fit change no record."
import os
import re
import subprocess
import sys

import pytest
import torch
from fastai.callback.core import Callback

from colorize_lib.engine import callbacks, checks
from colorize_lib.engine.callbacks import CountEpochs, NestedRecorder, OutermostCallback
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.patchgan import PatchGAN
from colorize_lib.training import PatchGANTrainer
from colorize_lib.unet import Unet
from conftest import ROOT

TRAINING = """
import torch
from colorize_lib.all import *
from colorize_lib.photos.samples import paint_scene
from fastai.callback.core import Callback
class Peek(Callback):
    def after_train(self): self.learn.predict(scenes[0])
scenes = [paint_scene(i, 32) for i in range(200)]
dls = colorize_dls(scenes, size=32, bs=4, device=torch.device('cpu'))
learn = colorize_learner(dls, Unet(nf=2, n_down=1), precision='fp32')
learn.fit(3, 1e-3, cbs=[PatchGANTrainer(PatchGAN(nf=4, n_down=1)), Peek()])
learn.lr_find(num_it=12, show_plot=False)
learn.validate()
evaluate(learn)
"""
COMMAND = [sys.executable, '-W', 'ignore', '-c', TRAINING]
ENV = os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', MPLBACKEND='Agg')


def test_one_line_an_epoch_where_the_output_is_no_terminal():
    done = subprocess.run(COMMAND, capture_output=True, env=ENV, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    text = done.stdout.decode()
    lines = [line for line in text.splitlines() if line.startswith('epoch')]
    numbers = [dict(re.findall(r'(\w+) (\d+\.\d+)', line)) for line in lines]
    assert [line.split(':')[0] for line in lines] == ['epoch 0', 'epoch 1', 'epoch 2']
    for found in numbers: assert list(found) == ['train_loss', 'valid_loss', 'loss_D_fake', 'loss_D_real', 'loss_D',
                                                 'loss_G_GAN', 'loss_G_L1', 'loss_G']
    assert len({found['train_loss'] for found in numbers}) == 3
    assert '\r' not in text
    assert '█' not in text
    assert len(done.stdout) < 1000 # the bars of the same training: 16 kB


@pytest.mark.skipif(os.name == 'nt', reason='needs a pseudo terminal')
def test_a_terminal_still_has_its_bar_and_its_table():
    import pty
    ours, theirs = pty.openpty()
    process = subprocess.Popen(COMMAND, stdout=theirs, stderr=subprocess.DEVNULL, env=ENV | dict(COLUMNS='120'))
    os.close(theirs)
    seen = b''
    while True:
        try: seen += (data := os.read(ours, 65536))
        except OSError: break # the other end was closed
        if not data: break
    os.close(ours)
    text = seen.decode(errors='replace')
    assert process.wait() == 0
    assert '█' in text
    assert 'Epoch 3/3' in text
    rows = re.findall(r'\r([012]) +\d+\.\d{6} +\d+\.\d{6} +\d+\.\d{6}', text) # the epoch and its numbers
    assert rows == ['0', '1', '2']
    assert re.search(r'epoch +train_loss +valid_loss +loss_D_fake', text)


def test_where_a_bar_can_be_drawn(monkeypatch):
    class Terminal:
        def isatty(self): return True
    assert not checks.can_redraw() # pytest keeps the output
    items = [1, 2]
    assert checks.progress_bar(items) is items
    with monkeypatch.context() as m:
        m.setattr(sys, 'stdout', Terminal())
        assert checks.can_redraw()
    with monkeypatch.context() as m:
        m.setattr(sys, 'stdout', None) # a program without a console
        assert not checks.can_redraw()
    class ZMQInteractiveShell: pass
    import IPython
    monkeypatch.setattr(IPython, 'get_ipython', ZMQInteractiveShell)
    assert checks.can_redraw()


class Peek(Callback):
    def __init__(self, scene): self.scene = scene
    def after_train(self): self.learn.predict(self.scene)


@pytest.mark.parametrize('bar', [False, True], ids=['lines', 'bar'])
def test_predictions_inside_of_a_fit_change_no_record(dls, scenes, monkeypatch, bar):
    monkeypatch.setattr(callbacks, 'can_redraw', lambda: bar)
    records = []
    for cbs in ([], [Peek(scenes[0])]):
        torch.manual_seed(0)
        dls.train.epoch = -1
        learn = colorize_learner(dls, Unet(nf=4, n_down=2), precision='fp32')
        learn.fit(3, 1e-3, cbs=[PatchGANTrainer(PatchGAN(nf=4, n_down=2)), *cbs])
        rec = learn.recorder
        assert isinstance(rec, NestedRecorder)
        records.append([rec.lrs, [float(o) for o in rec.losses], rec.iters, [list(v) for v in rec.values]])
        assert rec.depth == 0
    assert records[0] == records[1]
    assert len(records[1][3]) == 3
    assert len(records[1][1]) == 3*len(dls.train)


def test_validating_inside_of_a_fit_returns_its_own_numbers(dls):
    found = []
    class InBetween(Callback):
        def after_train(self): found.append(self.learn.validate())
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), precision='fp32')
    with learn.no_bar(), learn.no_logging(): learn.fit(2, 1e-3, cbs=InBetween())
    valid = [row[1] for row in learn.recorder.values]
    assert [o[0] for o in found] == pytest.approx(valid, rel=1e-5)


def test_the_outermost_fit_is_found_also_after_an_error(dls):
    log = []
    class Note(OutermostCallback):
        def begin(self): log.append('begin')
        def end(self): log.append('end')
    class Refuse(Callback):
        def before_fit(self): raise ValueError('not like this')
    learn, note = colorize_learner(dls, Unet(nf=4, n_down=2), precision='fp32'), Note()
    with learn.no_bar(), learn.no_logging():
        with pytest.raises(ValueError, match='not like this'): learn.fit(1, cbs=[note, Refuse()])
        assert note.depth == 0
        log.clear()
        learn.fit(2, cbs=[note, Peek(dls.train.dataset[0][0].permute(1, 2, 0).numpy())])
    assert log == ['begin', 'end']
    assert next(cb for cb in learn.cbs if isinstance(cb, CountEpochs)).done == 2
