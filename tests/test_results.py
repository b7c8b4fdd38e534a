"Metrics against their definitions, tables against the numbers they show."
import numpy as np
import pandas as pd
import pytest
import torch

from colorize_lib.engine.metrics import psnr
from colorize_lib.lab import Grayscale, colorize_dls, denormalize_lab, lab_to_rgb, tasks
from colorize_lib.patchgan import PatchGAN
from colorize_lib.results import (colored, comparison_table, evaluate, gallery, interval_table, loss_table,
                                  plot_losses, plot_step)
from colorize_lib.training import PatchGANTrainer, loss_names
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.unet import Unet


@pytest.fixture
def learn(dls, tmp_path):
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path)
    with learn.no_logging(), learn.no_bar(): yield learn


def test_evaluate_has_a_row_for_each_photo_and_the_right_numbers(learn):
    df = evaluate(learn)
    assert list(df.name) == learn.dls.valid.dataset.names
    inputs, preds, truths = [torch.cat(o) for o in list(zip(*colored(learn)))[:3]]
    grays = torch.cat([o['gray'] for *_, o in colored(learn)])
    assert df.psnr[3] == pytest.approx(psnr(preds[3], truths[3]).item(), abs=1e-2)
    assert df.psnr_gray[3] == pytest.approx(psnr(inputs[3], truths[3]).item(), abs=1e-2)
    assert torch.equal(inputs, grays)


def test_evaluate_any_split(learn, scenes):
    assert list(evaluate(learn, learn.dls.test_dl(scenes[:3])).name) == ['scene 0', 'scene 1', 'scene 2']


def test_training_photos_are_measured_under_their_own_names(learn, scenes):
    df = evaluate(learn, learn.dls.train).set_index('name')
    by_name = {s.filename: s for s in scenes}
    assert len(df) == 32
    for name in df.index[:5]:
        alone = evaluate(learn, learn.dls.test_dl([by_name[name]]))
        # its middle, seen a little closer
        assert df.colorfulness_true[name] == pytest.approx(alone.colorfulness_true[0], rel=.1)


def frame(psnr):
    return pd.DataFrame(dict(psnr=psnr, ssim=.9, colorfulness=20., colorfulness_true=40.,
                             psnr_gray=22., ssim_gray=.8, colorfulness_gray=0.))


def test_comparison_table_has_gray_first_and_truth_last():
    table = comparison_table({'a': frame([24., 26.]), 'b': frame([20., 21.])})
    assert list(table.index) == ['gray (no colour)', 'a', 'b', 'truth']
    assert table.psnr.tolist()[:3] == [22, 25, 20.5]
    assert table['over gray'].tolist()[:3] == [0, 3, -1.5]
    assert table.n.tolist() == [2]*4
    assert table.colorfulness.tolist() == [0, 20, 20, 40]


def test_equal_pictures_do_not_poison_the_mean(capsys):
    table = comparison_table({'a': frame([24., np.inf, 26.]), 'b': frame([20., 30., 22.])})
    assert table.psnr['a'] == 25
    assert table.psnr['b'] == 21
    assert table.n['a'] == 2
    assert 'Left out of the means: 1 photos equal to their ground truth (infinite PSNR)' in capsys.readouterr().out
    with pytest.raises(ValueError, match='no photo is left'): comparison_table({'a': frame([np.inf])})


def test_single_coloured_and_near_gray_photos_are_counted_apart(capsys):
    df = frame([24., 90., 26., 5.]).assign(constant=[0, 1, 0, 0], colorfulness_true=[40., 0., 40., 7.9])
    table = comparison_table({'a': df})
    assert table.psnr['a'] == 25
    assert table.n['a'] == 2
    why = '1 photos of one single colour; 1 photos with a true colorfulness below 8'
    assert f'Left out of the means: {why}' in capsys.readouterr().out
    assert comparison_table({'a': df[3:]}).psnr['a'] == 5 # nothing else is there
    assert 'every photo that is left' in capsys.readouterr().out
    with pytest.raises(ValueError, match='no results'): comparison_table({})
    with pytest.raises(ValueError, match='frames of 2, 1 photos'):
        comparison_table({'a': frame([1., 2.]), 'b': frame([1.])})


class Twice(Grayscale):
    "A task with two baselines, of which the second is the better one"
    baselines = {'gray': Grayscale.baselines['gray'], 'half': ('half of the truth', lambda lum, ab: ab/2)}


@pytest.fixture
def two_baselines(scenes, tmp_path, monkeypatch):
    monkeypatch.setitem(tasks, 'twice', Twice)
    return evaluate(colorize_learner(colorize_dls(scenes, size=32, bs=8, task='twice', device=torch.device('cpu')),
                                     Unet(nf=4, n_down=2), path=tmp_path))


def test_a_row_for_each_baseline_of_the_task(two_baselines, tmp_path, monkeypatch):
    table = comparison_table({'a': two_baselines})
    assert list(table.index) == ['gray (no colour)', 'half of the truth', 'a', 'truth']
    assert list(table.columns) == ['psnr', 'over half', 'ssim', 'colorfulness', 'n']
    assert table['over half']['half of the truth'] == 0
    assert table['over half']['gray (no colour)'] < -1
    assert table['over half']['truth'] == np.inf
    assert 10 < table.colorfulness['half of the truth'] < table.colorfulness['truth']
    two_baselines.to_csv(tmp_path/'x.csv') # labels are lost on the way
    back = pd.read_csv(tmp_path/'x.csv', index_col=0)
    assert list(comparison_table({'a': back}).index) == list(table.index)
    monkeypatch.delitem(tasks, 'twice')
    assert list(comparison_table({'a': two_baselines}).index) == list(table.index) # they travel with the frame
    assert list(comparison_table({'a': back}).index)[:2] == ['gray (no colour)', 'half']


def test_intervals_hold_their_means_and_the_difference_is_known_better(two_baselines):
    table = interval_table({'a': two_baselines, 'b': two_baselines.assign(psnr=two_baselines.psnr + 1)}, n=200)
    assert list(table.index) == ['gray (no colour)', 'half of the truth', 'a', 'b', 'truth']
    assert set(table.n) == {8}
    means = [c for c in table if f'{c}_low' in table]
    assert means == ['psnr', 'over half', 'ssim', 'colorfulness', 'colorfulness_diff', 'l1_ab', 'auc', 'auc_rebalanced']
    inner = table.iloc[:-1]
    for c in means:
        assert (inner[f'{c}_low'] <= inner[c] + 1e-9).all(), c
        assert (inner[c] <= inner[f'{c}_high'] + 1e-9).all(), c
    assert table.psnr['b'] - table.psnr['a'] == pytest.approx(1)
    assert table.psnr['a'] == pytest.approx(two_baselines.psnr.mean())
    assert table.psnr_high['b'] - table.psnr_high['a'] == pytest.approx(1) # the same draws
    assert table.auc_rebalanced['a'] == pytest.approx(
        (two_baselines.auc_rebalanced*two_baselines.rarity).sum()/two_baselines.rarity.sum())
    assert table.l1_ab['half of the truth'] == pytest.approx(table.l1_ab['gray (no colour)']/2, rel=.01)
    assert table.equals(interval_table({'a': two_baselines, 'b': two_baselines.assign(psnr=two_baselines.psnr + 1)},
                                       n=200))


def test_evaluate_measures_what_was_asked_for(learn):
    df = evaluate(learn, names=['l1_ab'])
    assert set(df) == {'name', 'psnr', 'l1_ab', 'colorfulness_true', 'constant', 'psnr_gray', 'l1_ab_gray'}
    with pytest.raises(ValueError, match="metric='sharpness': choose from 'psnr'"): evaluate(learn, names=['sharpness'])


def test_loss_table_and_curves(learn):
    with pytest.raises(ValueError, match='no epoch was trained with a PatchGANTrainer'): loss_table(learn)
    learn.fit(3, 1e-3, cbs=PatchGANTrainer(PatchGAN(nf=4, n_down=2)))
    table = loss_table(learn)
    assert list(table.columns) == list(loss_names)
    assert list(table.index) == [1, 2, 3]
    assert np.allclose(table.loss_D, (table.loss_D_fake + table.loss_D_real)/2)
    assert np.allclose(table.loss_G, table.loss_G_GAN + table.loss_G_L1)
    left, right = plot_losses(learn).axes
    assert {line.get_label() for line in left.lines} >= set(loss_names[:3])
    assert {line.get_label() for line in right.lines} == set(loss_names[3:])
    assert np.allclose(right.lines[2].get_ydata(), table.loss_G)


def test_a_step_as_a_figure(learn):
    lum, ab = learn.dls.valid.one_batch()
    G, D = learn.model.eval(), PatchGAN(nf=4, n_down=1).eval()
    D.layers[-1].weight.data *= 100 # as after training: logits that differ
    losses = {k: i + .25 for i, k in enumerate(loss_names)}
    fig = plot_step(G, D, lum, ab, losses)
    pictures = {ax.get_title(): ax.images[0].get_array() for ax in fig.axes if ax.images}
    photo = lab_to_rgb(denormalize_lab(lum[:1], ab[:1]))[0].permute(1, 2, 0)
    assert np.allclose(pictures['photo'], photo, atol=1e-5)
    assert np.allclose(pictures['lum: lightness'], (lum[0, 0] + 1)/2, atol=1e-5)
    with torch.no_grad(): p = [D(lum[:1], o)[0, 0].sigmoid() for o in (ab[:1], G(lum[:1]))]
    for found, o in zip((pictures['p(real), real'], pictures['p(real), predicted']), p):
        assert np.allclose(found, ((o - .2)/.6).clamp(0, 1), atol=1e-4)
    assert not np.allclose(pictures['ab: real colours'], pictures['G(lum): predicted'], atol=.01)
    boxes = {o.get_text(): o.get_bbox_patch().get_facecolor() for o in fig.axes[-1].texts if o.get_bbox_patch()}
    of_D, of_G = [{k for k in boxes if boxes[k] == boxes[network]} for network in 'DG']
    assert of_D == {'D', 'fake? loss_D_fake 0.25', 'real? loss_D_real 1.25'}
    assert of_G == {'G', 'real? loss_G_GAN 3.25', 'lambda*L1: loss_G_L1 4.25'}


def test_gallery(learn):
    fig = gallery(learn, n=4)
    assert [ax.get_title() for ax in fig.axes[:6]] == ['input', 'prediction', 'ground truth']*2
    assert len(fig.axes) == 12
    assert len(gallery(learn, n=100).axes) == 24 # as many as there are
