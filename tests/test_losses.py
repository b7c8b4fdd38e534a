"Losses against formulas and PyTorch's own."
import math

import pytest
import torch
import torch.nn.functional as F

from colorize_lib.losses import L1, L2, GANLoss, Regression, SmoothL1, discriminator_losses, generator_losses


@pytest.mark.parametrize('ours,theirs', [(L1, F.l1_loss), (L2, F.mse_loss), (SmoothL1, F.smooth_l1_loss)])
def test_regression_equals_torch_and_is_float32(ours, theirs):
    p, t = torch.randn(2, 2, 8, 8), torch.randn(2, 2, 8, 8)
    assert torch.equal(ours(p, t), theirs(p, t))
    assert ours(p.bfloat16(), t).dtype == torch.float32
    assert ours(p, t, reduction='none').shape == p.shape


def test_gradients_by_hand():
    p, t = torch.randn(30, requires_grad=True), torch.randn(30)
    assert torch.allclose(torch.autograd.grad(L1(p, t), p)[0], (p - t).sign()/30)
    assert torch.allclose(torch.autograd.grad(L2(p, t), p)[0], 2*(p - t)/30)
    assert torch.allclose(torch.autograd.grad(GANLoss()(p, True), p)[0], (p.sigmoid() - 1)/30)
    assert torch.allclose(torch.autograd.grad(GANLoss()(p, False), p)[0], p.sigmoid()/30)
    assert torch.allclose(torch.autograd.grad(GANLoss('lsgan')(p, False), p)[0], 2*p/30)


def test_gan_loss_values():
    assert GANLoss()(torch.zeros(2, 1, 30, 30), True).item() == pytest.approx(math.log(2))
    assert GANLoss()(torch.tensor([-120.]), True).item() == pytest.approx(120)
    assert GANLoss('lsgan')(torch.full((1, 1, 3, 3), .5), True).item() == pytest.approx(.25)
    assert GANLoss()(torch.zeros(3, dtype=torch.bfloat16), True).dtype == torch.float32


def test_sums_of_table_1():
    real, fake = torch.randn(2, 1, 5, 5), torch.randn(2, 1, 5, 5)
    d = discriminator_losses(GANLoss(), real, fake)
    assert list(d) == ['loss_D_fake', 'loss_D_real', 'loss_D']
    assert d['loss_D'].item() == pytest.approx((d['loss_D_fake'] + d['loss_D_real']).item()/2)
    assert d['loss_D_real'].item() == pytest.approx(F.softplus(-real).mean().item())
    assert d['loss_D_fake'].item() == pytest.approx(F.softplus(fake).mean().item())
    g = generator_losses(GANLoss(), fake, torch.tensor(.06), 100)
    assert g['loss_G_L1'].item() == pytest.approx(6)
    assert g['loss_G_GAN'].item() == pytest.approx(F.softplus(-fake).mean().item())
    assert g['loss_G'].item() == pytest.approx(6 + g['loss_G_GAN'].item())


def test_unknown_losses_name_the_choices():
    with pytest.raises(ValueError, match="gan_mode='wgan': choose from 'vanilla', 'lsgan'"): GANLoss('wgan')
    with pytest.raises(ValueError, match="loss='ssim': choose from 'l1', 'l2', 'smooth_l1'"): Regression('ssim')
