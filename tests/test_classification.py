"""Colours as classes: the bins of the gamut, soft targets, rebalancing, the annealed mean,
and a classifier that trains and colours like any other."""
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab

from colorize_lib.networks.classification import (BinClassifier, Classification, annealed_mean, bin_centers,
                                                  gamut_bins, logits_to_ab, rebalancing, soft_encode)
from colorize_lib.engine.metrics import ab_cell, color_prior
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.lab import colorize_dls, rgb_to_lab
from colorize_lib.losses import L1
from colorize_lib.results import comparison_table, evaluate
from colorize_lib.photos.samples import paint_scene
from colorize_lib.experiments.plans import Plan, main, plan_learner, run_plan
from colorize_lib.training import PatchGANTrainer
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.unet import Unet

CLASSIFY = Plan(size=32, bs=8, epochs_l1=3, generator='bin_classifier',
                loss='classification', kwargs=dict(nf=4, n_down=2), precision='fp32')


def test_the_bins_are_those_that_scikit_image_finds():
    """Another Lab, another grid of colours, 35,937 of them at random within cells of the cube:
    nothing outside, and nearly all met"""
    rng = np.random.default_rng(0)
    lab = rgb2lab(rng.random((200, 1000, 3)))
    a, b = np.round(lab[..., 1:]/10).astype(int).reshape(-1, 2).T + 11
    found, ours = set((a*23 + b).tolist()), set(gamut_bins().tolist())
    assert len(ours) == 261
    assert found <= ours
    assert len(found) > 240
    assert bin_centers().abs().max() <= 110
    assert (ab_cell(bin_centers().T.view(2, 1, -1))[0] == gamut_bins()).all()


def test_soft_targets_are_the_gaussian_of_the_five_nearest():
    ab = (torch.rand(2, 2, 3, 4) - .5)*120
    z = soft_encode(ab)
    assert z.shape == (2, 261, 3, 4)
    assert torch.allclose(z.sum(1), torch.ones(2, 3, 4))
    assert ((z > 0).sum(1) <= 5).all()
    far = (bin_centers() - ab[1, :, 2, 3]).norm(dim=1)
    nearest = far.argsort()[:5]
    p = np.exp(-far[nearest].double().numpy()**2/50)
    assert z[1, nearest, 2, 3].numpy() == pytest.approx(p/p.sum(), abs=1e-5)
    with torch.autocast('cpu', dtype=torch.bfloat16): assert torch.equal(soft_encode(ab), z)


def test_rare_colours_weigh_more_and_a_pixel_weighs_one_on_average():
    gray, red = torch.full((3, 30, 32), .5), torch.tensor([.8, .1, .1]).view(3, 1, 1).expand(3, 2, 32)
    prior = color_prior(torch.cat([gray, red], 1))
    w = rebalancing(prior)
    of = lambda rgb: w[gamut_bins() == ab_cell(rgb_to_lab(rgb)[1:])[0, 0]].item()
    assert of(red) > 8*of(gray)
    p = prior[gamut_bins()].float()
    kernel = (-torch.cdist(bin_centers(), bin_centers())**2/50).exp()
    p = (kernel/kernel.sum(0)) @ p
    assert float((p/p.sum() * w).sum()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(rebalancing(prior, mix=1.), torch.ones(261))


def test_temperature_leads_from_mean_to_mode():
    logits = torch.randn(1, 261, 2, 2)*2
    p = logits.softmax(1)
    assert torch.allclose(annealed_mean(logits, 1.), torch.einsum('bqhw,qc->bchw', p, bin_centers()), atol=1e-4)
    mode = bin_centers()[logits.argmax(1)].permute(0, 3, 1, 2)
    assert torch.allclose(annealed_mean(logits, .005), mode, atol=1e-2)
    sharp = (p**(1/.38))/(p**(1/.38)).sum(1, keepdim=True)                # the paper's formula, on probabilities
    assert torch.allclose(annealed_mean(logits), torch.einsum('bqhw,qc->bchw', sharp, bin_centers()), atol=1e-3)
    with torch.autocast('cpu', dtype=torch.bfloat16): low = annealed_mean(logits)
    assert torch.equal(low, annealed_mean(logits))
    for T in (0, -1, float('nan')):
        with pytest.raises(ValueError, match='needs to be above 0'): annealed_mean(logits, T)


def test_the_loss_is_weighted_cross_entropy():
    torch.manual_seed(1)
    logits, ab = torch.randn(2, 261, 2, 3, requires_grad=True), (torch.rand(2, 2, 8, 12) - .5)
    z = soft_encode(F.avg_pool2d(ab*110, 4))
    by_hand = -(z*logits.log_softmax(1)).sum(1)
    assert torch.allclose(Classification()(logits, ab), by_hand.mean())
    assert torch.allclose(Classification()(logits, ab, reduction='none'), by_hand)
    prior = color_prior(torch.rand(3, 64, 64)**2)
    w = rebalancing(prior)[z.argmax(1)]
    assert torch.allclose(Classification(prior)(logits, ab), (by_hand*w).mean())
    assert w.std() > 0
    with pytest.raises(ValueError, match='needs a BinClassifier'): Classification()(ab, ab)
    with pytest.raises(ValueError, match='multiple of 4'): Classification()(logits, torch.zeros(2, 2, 9, 12))


@pytest.mark.parametrize('h,w', [(16, 16), (17, 30), (33, 22)])
def test_predictions_have_the_pictures_size(h, w):
    net = BinClassifier(Unet(n_out=64, nf=4, n_down=2)).eval()
    x = torch.randn(1, 1, h, w)
    assert net.predict(x).shape == (1, 2, h, w)
    assert net.predict(x).abs().max() <= 1
    if h == w: assert torch.equal(net.predict(x), logits_to_ab(net(x), .38))


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp('classify')
    return run_plan([paint_scene(i, 40) for i in range(48)], out, CLASSIFY), out


def test_a_classifier_is_a_method_like_any_other(run):
    "Learner, checkpoints, tables, gallery, file of weights, Colorizer"
    learn, out = run
    assert isinstance(learn.loss_func, Classification)
    assert learn.loss_func.weights is not None
    assert {'generator.safetensors', 'checkpoints', 'metrics.csv',
            'gallery.png', 'history.jsonl'} <= {p.name for p in out.iterdir()}
    losses = pd.read_json(out/'history.jsonl', lines=True).train_loss.tolist()
    assert losses[-1] < losses[0] < 12
    table = comparison_table({'classes': evaluate(learn)})
    assert np.isfinite(table.loc['classes', 'psnr'])
    assert table.loc['classes', 'colorfulness'] > 0
    colorizer = Colorizer.load(out/'generator.safetensors', precision='fp32')
    photo = paint_scene(7, 45)
    assert isinstance(colorizer.model, BinClassifier)
    assert colorizer(photo).size == (45, 45)
    gray = np.asarray(colorizer(photo, saturation=0.))
    assert gray.std(-1).max() <= 1 < np.asarray(colorizer(photo)).std(-1).max()


def test_predictions_of_the_learner_are_those_of_predict(run):
    learn, _ = run
    x, y = learn.dls.valid.one_batch()
    decoded = learn.get_preds(dl=[(x, y)], with_decoded=True)[2]
    with torch.no_grad(): assert torch.allclose(decoded, learn.model.eval().predict(x), atol=1e-5)


def test_an_interrupted_classification_goes_on(tmp_path, monkeypatch):
    scenes = tmp_path/'photos'
    scenes.mkdir()
    for i in range(24): paint_scene(i, 40).save(scenes/f'{i}.png')
    calm = run_plan(scenes, tmp_path/'calm', CLASSIFY).model.state_dict()
    calls, whole = [], Classification.__call__
    def stopping(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 5: raise KeyboardInterrupt
        return whole(self, *args, **kwargs)
    args = [str(scenes), '-o', str(tmp_path/'rough'), '--plan', str(tmp_path/'calm'/'plan.json')]
    with monkeypatch.context() as m, pytest.raises(SystemExit):
        m.setattr(Classification, '__call__', stopping)
        main(args)
    rough = run_plan(scenes, tmp_path/'rough', CLASSIFY, resume=True).model.state_dict()
    assert all(torch.equal(v, rough[k]) for k, v in calm.items())


@pytest.mark.parametrize('over', [dict(generator='unet'), dict(loss='l1'), dict(task='sketch'), dict(epochs_gan=2)])
def test_what_does_not_fit_is_refused(over, tmp_path):
    with pytest.raises(ValueError, match="classification needs generator='bin_classifier'"):
        run_plan([paint_scene(i, 40) for i in range(12)], tmp_path, replace(CLASSIFY, **over))


def test_adversarial_training_and_classes_do_not_mix(dls):
    learn = colorize_learner(dls, BinClassifier(Unet(n_out=64, nf=4, n_down=2)), Classification(), precision='fp32')
    with pytest.raises(ValueError, match='needs a network that predicts colours'), learn.no_bar():
        learn.fit(1, 1e-3, cbs=PatchGANTrainer())
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
    assert colorize_learner(dls, Unet(nf=4, n_down=2), L1).loss_func is L1


def test_weights_come_from_the_photos_that_are_trained_on():
    scenes = [paint_scene(i, 40) for i in range(40)]
    learn = plan_learner(scenes, CLASSIFY, cache=False)
    squares = torch.from_numpy(np.array(learn.dls.train.dataset.array)).permute(0, 3, 1, 2)/255
    assert torch.allclose(learn.loss_func.weights, rebalancing(color_prior(squares)))
    assert colorize_dls(scenes, 32, 8, cache=False).train.dataset.names == learn.dls.train.dataset.names
