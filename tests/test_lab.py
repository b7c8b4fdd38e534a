"Lab against scikit-image on every colour, gradients, precision, and the task on top of it."
import warnings

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from colorize_lib.lab import colorize_dls, denormalize_lab, get_task, lab_to_rgb, normalize_lab, rgb_to_lab, tasks


def test_all_16_million_colours_equal_skimage_and_come_back():
    g, b = [o.flatten() for o in torch.meshgrid(torch.arange(256), torch.arange(256), indexing='ij')]
    worst_there = worst_back = 0
    lo, hi = torch.full((3,), 1e9), torch.full((3,), -1e9)
    for r in range(256):
        rgb = torch.stack([torch.full_like(g, r), g, b]).view(3, 256, 256)
        lab = rgb_to_lab(rgb/255)
        reference = rgb2lab(rgb.permute(1, 2, 0).numpy().astype(np.uint8))
        worst_there = max(worst_there, np.abs(lab.permute(1, 2, 0).numpy() - reference).max())
        worst_back = max(worst_back, (lab_to_rgb(lab)*255 - rgb).abs().max().item())
        lo, hi = torch.minimum(lo, lab.amin((1, 2))), torch.maximum(hi, lab.amax((1, 2)))
    assert worst_there < 1e-3
    assert worst_back < .5
    assert hi[0] <= 100.001
    assert lo[1] > -110
    assert hi[1] < 110
    assert lo[2] > -110
    assert hi[2] < 110


def test_back_equals_skimage_out_of_gamut_too():
    span, low = (torch.tensor(o).view(3, 1, 1) for o in ([100., 200, 200], [0., 100, 100]))
    lab = torch.rand(3, 64, 64, dtype=torch.float64)*span - low
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning) # skimage tells that it clips
        reference = lab2rgb(lab.permute(1, 2, 0).numpy())
    assert np.abs(lab_to_rgb(lab).permute(1, 2, 0).numpy() - reference).max() < 1e-3
    assert lab_to_rgb(lab, clamp=False).abs().max() > 1


def test_gradients():
    x = torch.rand(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rgb_to_lab, x)
    lab = (torch.rand(2, 3, 3, 3, dtype=torch.float64)*30 + 20).requires_grad_()
    assert torch.autograd.gradcheck(lambda o: lab_to_rgb(o, clamp=False), lab)


@pytest.mark.parametrize('value', [0., 1.])
def test_gradients_are_finite_at_the_ends(value):
    x = torch.full((1, 3, 4, 4), value, requires_grad=True)
    lab_to_rgb(rgb_to_lab(x)).sum().backward()
    assert x.grad.isfinite().all()


def test_float32_under_autocast_and_from_half():
    x = torch.rand(2, 3, 16, 16)
    assert rgb_to_lab(x.half()).dtype == torch.float32
    assert rgb_to_lab(x.double()).dtype == torch.float64
    reference = rgb_to_lab(x)
    with torch.autocast('cpu', torch.bfloat16): assert torch.equal(rgb_to_lab(x), reference)


def test_any_leading_shape():
    x = torch.rand(5, 2, 3, 4, 6)
    assert torch.allclose(rgb_to_lab(x)[3, 1], rgb_to_lab(x[3, 1]), atol=1e-4)
    with pytest.raises(ValueError, match='expected 3 channels'): rgb_to_lab(torch.rand(2, 1, 4, 4))


def test_normalize_round_trip():
    lab = torch.rand(2, 3, 4, 5)*100
    lum, ab = normalize_lab(lab)
    assert lum.shape == (2, 1, 4, 5)
    assert ab.shape == (2, 2, 4, 5)
    assert torch.allclose(lum, lab[:, :1]/50 - 1)
    assert torch.allclose(ab, lab[:, 1:]/110)
    assert torch.allclose(denormalize_lab(lum, ab), lab, atol=1e-5)


def test_grayscale_task():
    task, rgb = get_task('grayscale'), torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    lum, ab = task((rgb,))
    gray, color = task.decode((lum, ab))
    assert (color*255 - rgb).abs().max() < .5
    assert (gray.amax(1) - gray.amin(1)).max() < 1e-3
    assert torch.equal(task.decode((lum, task.baselines['gray'][1](lum, ab)))[1], gray)


def test_decoding_keeps_lightness_of_in_gamut_answers():
    task, rgb = get_task('grayscale'), torch.randint(60, 200, (1, 3, 16, 16), dtype=torch.uint8)
    lum, ab = task((rgb,))
    out = task.decode((lum, ab*.5))[1]
    assert (rgb_to_lab(out)[:, :1] - (lum + 1)*50).abs().mean() < .5


@pytest.mark.parametrize('kwargs,text', [
    (dict(size=8), 'size=8: needs to be a whole number, at least 16'),
    (dict(size='big'), "size='big'"), (dict(bs=0), 'bs=0'),
    (dict(task='colour'), "task='colour': choose from 'grayscale'"), (dict(n_train=1000), 'there are 40')])
def test_dls_errors_name_the_value(scenes, kwargs, text):
    with pytest.raises(ValueError, match=text): colorize_dls(scenes, **dict(size=32, bs=4) | kwargs)


def test_dls_name_what_was_left_out(scenes):
    dls = colorize_dls(scenes[:10] + [scenes[3].convert('L')], size=32, bs=4)
    assert list(dls.left_out.values()) == ['gray already']
    assert dls.left_out is dls.valid.dataset.left_out


def test_dls_batches(scenes):
    dls = colorize_dls(scenes, size=40, bs=6)
    lum, ab = dls.one_batch()
    assert lum.shape == (6, 1, 40, 40)
    assert ab.shape == (6, 2, 40, 40)
    assert dls.n_inp == 1
    assert lum.abs().max() <= 1
    assert ab.abs().max() <= 1
    assert ab.std() > .05
    assert len(dls.valid.dataset) == 8
    assert len(dls.train) == 32//6
    assert len(dls.valid) == 2


def test_a_new_task_needs_no_change_elsewhere(scenes, monkeypatch):
    class Same(tasks['grayscale']): n_out = 2
    monkeypatch.setitem(tasks, 'same', Same)
    assert isinstance(colorize_dls(scenes, size=32, task='same').task, Same)
