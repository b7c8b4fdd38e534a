"Metrics against their definitions, tables against the numbers they show."
import math

import numpy as np
import pandas as pd
import pytest
import torch

from colorize_lib.patchgan import PatchGAN
from colorize_lib.results import colored, colorfulness, comparison_table, evaluate, gallery, loss_table, photo_metrics, plot_losses
from colorize_lib.training import PatchGANTrainer, colorize_learner, loss_names
from colorize_lib.unet import Unet


@pytest.fixture
def learn(dls, tmp_path):
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path)
    with learn.no_logging(), learn.no_bar(): yield learn


def test_colorfulness_is_hasler_suesstrunk():
    rgb = torch.rand(3, 20, 30)
    r, g, b = rgb.double().numpy()*255
    rg, yb = r - g, .5*(r + g) - b
    expected = np.hypot(rg.std(), yb.std()) + .3*np.hypot(rg.mean(), yb.mean())
    assert colorfulness(rgb).item() == pytest.approx(expected, rel=1e-4)
    assert colorfulness(torch.stack([rgb, rgb*0])).shape == (2,)
    assert colorfulness(torch.full((3, 4, 4), .3)).item() == 0


def test_photo_metrics():
    truth = torch.rand(3, 32, 40)*.8
    m = photo_metrics(truth + .1, truth)
    assert m['psnr'] == pytest.approx(20, abs=1e-3) and m['ssim'] < 1
    same = photo_metrics(truth, truth)
    assert math.isinf(same['psnr']) and same['ssim'] == pytest.approx(1) and same['colorfulness'] == same['colorfulness_true']
    assert photo_metrics(torch.rand(3, 4, 5), torch.rand(3, 4, 5))['ssim'] < 1 # smaller than the usual window
    with pytest.raises(ValueError, match='differ in shape'): photo_metrics(truth, truth[:, 1:])


def test_evaluate_has_a_row_for_each_photo_and_the_right_numbers(learn):
    df = evaluate(learn)
    assert list(df.name) == learn.dls.valid.dataset.names
    inputs, preds, truths, grays = [torch.cat(o) for o in zip(*colored(learn))]
    assert df.psnr[3] == pytest.approx(-10*math.log10(((preds[3] - truths[3])**2).mean().item()), abs=1e-2)
    assert df.psnr_gray[3] == pytest.approx(-10*math.log10(((inputs[3] - truths[3])**2).mean().item()), abs=1e-2)
    assert torch.equal(inputs, grays)


def test_evaluate_any_split(learn, scenes):
    assert list(evaluate(learn, learn.dls.test_dl(scenes[:3])).name) == ['scene 0', 'scene 1', 'scene 2']


def test_training_photos_are_measured_under_their_own_names(learn, scenes):
    df = evaluate(learn, learn.dls.train).set_index('name')
    by_name = {s.filename: s for s in scenes}
    assert len(df) == 32
    for name in df.index[:5]:
        alone = evaluate(learn, learn.dls.test_dl([by_name[name]]))
        assert df.colorfulness_true[name] == pytest.approx(alone.colorfulness_true[0], rel=.1) # its middle, seen a little closer


def frame(psnr): return pd.DataFrame(dict(psnr=psnr, ssim=.9, colorfulness=20., colorfulness_true=40., psnr_gray=22., ssim_gray=.8))


def test_comparison_table_has_gray_first_and_truth_last():
    table = comparison_table({'a': frame([24., 26.]), 'b': frame([20., 21.])})
    assert list(table.index) == ['gray (no colour)', 'a', 'b', 'truth']
    assert table.psnr.tolist()[:3] == [22, 25, 20.5] and table['over gray'].tolist()[:3] == [0, 3, -1.5]
    assert table.n.tolist() == [2]*4 and table.colorfulness.tolist() == [0, 20, 20, 40]


def test_equal_pictures_do_not_poison_the_mean(capsys):
    table = comparison_table({'a': frame([24., np.inf, 26.]), 'b': frame([20., 30., 22.])})
    assert table.psnr['a'] == 25 and table.psnr['b'] == 21 and table.n['a'] == 2
    assert '1 photos equal their truth exactly' in capsys.readouterr().out
    with pytest.raises(ValueError, match='no photo is left'): comparison_table({'a': frame([np.inf])})


def test_loss_table_and_curves(learn):
    with pytest.raises(ValueError, match='no epoch was trained with a PatchGANTrainer'): loss_table(learn)
    learn.fit(3, 1e-3, cbs=PatchGANTrainer(PatchGAN(nf=4, n_down=2)))
    table = loss_table(learn)
    assert list(table.columns) == list(loss_names) and list(table.index) == [1, 2, 3]
    assert np.allclose(table.loss_D, (table.loss_D_fake + table.loss_D_real)/2) and np.allclose(table.loss_G, table.loss_G_GAN + table.loss_G_L1)
    left, right = plot_losses(learn).axes
    assert {line.get_label() for line in left.lines} >= set(loss_names[:3]) and {line.get_label() for line in right.lines} == set(loss_names[3:])
    assert np.allclose(right.lines[2].get_ydata(), table.loss_G)


def test_gallery(learn):
    fig = gallery(learn, n=4)
    assert [ax.get_title() for ax in fig.axes[:6]] == ['input', 'prediction', 'truth']*2 and len(fig.axes) == 12
    assert len(gallery(learn, n=100).axes) == 24 # as many as there are
