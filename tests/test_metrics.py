"Metrics against their definitions; what may enter a mean; intervals that hold what they promise."
import math
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import integrate
from skimage.metrics import peak_signal_noise_ratio

from colorize_lib.lab import lab_to_rgb, rgb_to_lab
from colorize_lib.engine.metrics import (bootstrap, color_prior, colorfulness, fid, frechet_distance,
                                         frechet_of_halves, is_constant, lpips, measures, photo_metrics, psnr, usable)


def test_colorfulness_is_hasler_suesstrunk():
    rgb = torch.rand(3, 20, 30)
    r, g, b = rgb.double().numpy()*255
    rg, yb = r - g, .5*(r + g) - b
    expected = np.hypot(rg.std(), yb.std()) + .3*np.hypot(rg.mean(), yb.mean())
    assert colorfulness(rgb).item() == pytest.approx(expected, rel=1e-4)
    assert colorfulness(torch.stack([rgb, rgb*0])).shape == (2,)
    assert colorfulness(torch.full((3, 4, 4), .3)).item() == 0


def test_psnr_and_ssim():
    truth = torch.rand(3, 32, 40)*.8
    m = photo_metrics(truth + .1, truth)
    other = torch.rand(3, 32, 40)
    theirs = peak_signal_noise_ratio(truth.double().numpy(), other.double().numpy(), data_range=1)
    assert psnr(other, truth).item() == pytest.approx(theirs, abs=1e-9)
    assert m['psnr'] == pytest.approx(20, abs=1e-3)
    several = psnr(torch.stack([truth + .1, truth + .01]), truth.expand(2, -1, -1, -1)) # a number for each photo
    assert several.tolist() == pytest.approx([20, 40], abs=1e-3)
    assert m['ssim'] < 1
    same = photo_metrics(truth, truth)
    assert math.isinf(same['psnr'])
    assert same['ssim'] == pytest.approx(1)
    assert same['colorfulness'] == same['colorfulness_true']
    assert photo_metrics(torch.rand(3, 4, 5), torch.rand(3, 4, 5))['ssim'] < 1 # smaller than the usual window
    with pytest.raises(ValueError, match='differ in shape'): photo_metrics(truth, truth[:, 1:])


def test_auc_is_the_area_under_zhangs_curve():
    pred, true = torch.rand(2, 3, 24, 24)
    error = (rgb_to_lab(pred)[1:] - rgb_to_lab(true)[1:]).norm(dim=0).flatten().double()
    ts = np.linspace(0, 150, 3001)
    area = integrate.trapezoid([(error <= t).double().mean() for t in ts], ts)/150
    assert photo_metrics(pred, true)['auc'] == pytest.approx(area, abs=1e-3)
    l1_ab = (rgb_to_lab(pred)[1:] - rgb_to_lab(true)[1:]).abs().mean().item()
    assert photo_metrics(pred, true)['l1_ab'] == pytest.approx(l1_ab, rel=1e-5)


def plain(*ab): return lab_to_rgb(torch.tensor([60., *ab])[:, None, None].expand(3, 8, 8).contiguous())


def test_rebalanced_auc_gives_every_colour_one_vote():
    true = torch.cat([plain(0, 0)]*9 + [plain(50, 0)], dim=2) # nine tenths gray
    pred = plain(0, 0).repeat(1, 1, 10)                       # all gray
    m = photo_metrics(pred, true)
    assert m['auc'] == pytest.approx(1 - .1*50/150, abs=2e-3)
    assert m['auc_rebalanced'] == pytest.approx(1 - .5*50/150, abs=2e-3)
    assert m['rarity'] == pytest.approx(2) # two colours, each with the weight 1
    uniform = torch.ones(23**2)/23**2
    assert photo_metrics(pred, true, prior=uniform)['auc_rebalanced'] == pytest.approx(m['auc'], abs=1e-4)


def test_photos_weighed_by_rarity_add_up_to_all_their_pixels():
    trues, preds = torch.rand(2, 5, 3, 16, 16)
    trues[:3] = (trues[:3] - .5)*.2 + .5 # some paler than others
    prior = color_prior(trues)
    ms = pd.DataFrame([photo_metrics(p, t, prior=prior) for p, t in zip(preds, trues)])
    wide = lambda x: torch.cat(list(x), dim=2)
    assert (ms.auc_rebalanced*ms.rarity).sum()/ms.rarity.sum() == pytest.approx(
        photo_metrics(wide(preds), wide(trues))['auc_rebalanced'], rel=1e-5)


def test_color_prior():
    prior = color_prior(iter([plain(0, 0)[None], plain(20, -30)[None]])).view(23, 23)
    assert prior[11, 11] == prior[13, 8] == .5
    assert prior.sum() == 1


def test_a_colour_that_was_never_seen_counts_as_the_rarest():
    prior = torch.zeros(23, 23)
    prior[11, 11], prior[13, 11] = .9, .1
    assert photo_metrics(plain(0, 0), plain(0, 80), prior=prior.flatten())['rarity'] == pytest.approx(10)


def test_unknown_metrics_name_the_choices():
    a = torch.rand(3, 8, 8)
    with pytest.raises(ValueError, match="metric='mse': choose from 'psnr', 'ssim', .*'lpips'"):
        photo_metrics(a, a, ['psnr', 'mse'])
    assert set(photo_metrics(a, a)) == set(measures) - {'lpips'}
    assert list(photo_metrics(a, a, ['auc'])) == ['auc']


def test_what_may_enter_a_mean():
    df = pd.DataFrame(dict(psnr=[20, np.inf, 30, 40.], psnr_gray=[19, 25, 30, 41.],
                           constant=[0, 0, 1, 0], colorfulness_true=[30, 30, 0, 5.]))
    mask, counts = usable([df, df.assign(psnr=20.)])
    assert mask.tolist() == [True, False, False, False]
    assert list(counts.values()) == [1, 1, 1]
    assert usable([df.assign(psnr=20.)])[0].tolist() == [True, True, False, False]
    assert is_constant(plain(30, 30))
    assert not is_constant(torch.rand(3, 8, 8))
    assert not is_constant(torch.linspace(0, 1, 64).view(1, 8, 8).expand(3, 8, 8))


def test_95_of_100_intervals_hold_the_truth():
    rng = np.random.default_rng(0)
    held = [low <= 5 <= high for _, low, high in (bootstrap(rng.normal(5, 2, 60), n=400, seed=i) for i in range(200))]
    assert .9 <= np.mean(held) <= .98
    values = rng.normal(size=30)
    assert bootstrap(values) == bootstrap(values) != bootstrap(values, seed=1)
    assert bootstrap([4.]) == (4, 4, 4)
    assert bootstrap([1., 3], weights=[3, 1])[0] == 1.5
    for bad in ([], [1., np.inf], [np.nan]):
        with pytest.raises(ValueError, match='a mean needs finite ones'): bootstrap(bad)


def test_extras_say_what_to_do_without_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchmetrics', None)
    a = torch.rand(3, 64, 64)
    for f, name in ((lambda: lpips(a, a), 'LPIPS'), (lambda: fid([a[None]], [a[None]]), 'FID'),
                    (lambda: photo_metrics(a, a, ['lpips']), 'LPIPS')):
        with pytest.raises(ImportError, match=rf'{name} needs packages.*pip install "colorize_lib\[metrics\]"'): f()


def test_lpips_says_what_to_do_offline(monkeypatch):
    pytest.importorskip('torchmetrics')
    from urllib.error import URLError
    def offline(*args, **kwargs): raise URLError('no network')
    monkeypatch.setattr('torchvision.models._api.load_state_dict_from_url', offline)
    with pytest.raises(ConnectionError, match='LPIPS: its network could not be downloaded.*Go online once'):
        lpips(torch.rand(3, 64, 64), torch.rand(3, 64, 64))


def test_fid_prints_n_and_is_zero_for_the_same_photos(capsys):
    pytest.importorskip('torchmetrics')
    class Means(torch.nn.Module):
        num_features = 3
        def forward(self, x): return x.float().mean((2, 3))
    a, b = torch.rand(2, 40, 3, 8, 8)
    assert abs(fid([a[:20], a[20:]], [a], Means())) < 1e-3 < fid([a], [b*.5], Means())
    assert 'over n=40 predictions and 40 true photos' in capsys.readouterr().out
    fid([a[:4]], [b], Means())
    assert 'too few for 3 features' in capsys.readouterr().out


def test_frechet_distance_of_gaussians_is_the_closed_form():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 20000, 4))*[[[1]], [[2]]] + [[[0]], [[1]]]
    assert frechet_distance(a, b) == pytest.approx(4*(1 + (2 - 1)**2), rel=.05) # means 1 apart, deviations 1 and 2
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b))
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))


@pytest.mark.parametrize('n', [300, 20]) # with more, and with fewer pictures than features
def test_frechet_distance_is_torchmetrics_fid(n):
    pytest.importorskip('torchmetrics')
    from torchmetrics.image.fid import _compute_fid
    a, b = [o.double() for o in (torch.randn(n, 24) @ torch.randn(24, 24), torch.rand(n + 5, 24)*3)]
    theirs = _compute_fid(a.mean(0), a.T.cov(), b.mean(0), b.T.cov()).item()
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-4)


def test_halves_share_no_photo():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(41, 5))
    found = frechet_of_halves(dict(truth=truth, perfect=truth.copy(), gray=truth*.2), n=6)
    assert np.array_equal(found['truth'], found['perfect']) # a perfect model is as far as chance, not at 0
    assert found['truth'].min() > .1
    assert (found['gray'] > found['truth']).all()
    assert found['gray'].shape == (6,)
