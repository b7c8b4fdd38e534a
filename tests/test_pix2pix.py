"pix2pix's generator against its published description, and the pattern that it leaves."
import pytest
import torch
from torch import nn

from colorize_lib.lab import colorize_dls
from colorize_lib.engine.metrics import grid_pattern
from colorize_lib.networks.pix2pix_unet import Pix2PixUnet
from colorize_lib.training import PatchGANTrainer
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.patchgan import PatchGAN
from colorize_lib.unet import Unet, n_params
from colorize_lib.engine.weights import generators, load_weights, save_weights


def test_as_published():
    net = Pix2PixUnet(3, 3)
    assert n_params(net) == 54_413_955
    assert n_params(Pix2PixUnet()) == 54_413_955 - 16*64*2 - 16*128 - 1 # what their program prints as 54.414 M
    convs, ups = [[m for m in net.modules() if isinstance(m, kind)] for kind in (nn.Conv2d, nn.ConvTranspose2d)]
    assert [m.out_channels for m in convs] == [64, 128, 256] + [512]*5
    assert [m.out_channels for m in ups] == [512]*4 + [256, 128, 64, 3]
    assert {(m.kernel_size, m.stride) for m in convs + ups} == {((4, 4), (2, 2))}
    assert [any(isinstance(m, nn.Dropout) for m in stage) for stage in net.up] == [True]*3 + [False]*4
    # none in the stem, none in the innermost
    assert [any(isinstance(m, nn.BatchNorm2d) for m in stage) for stage in net.down] == [True]*6 + [False]
    assert all(isinstance(stage[0], nn.LeakyReLU) and stage[0].negative_slope == .2 for stage in net.down)


def test_down_to_a_single_pixel_and_up_again():
    net, sizes = Pix2PixUnet(nf=2), []
    for m in [net.stem, *net.down, *net.up]: m.register_forward_hook(lambda m, i, o: sizes.append(o.shape[-1]))
    net(torch.randn(2, 1, 256, 256))
    assert sizes == [128, 64, 32, 16, 8, 4, 2, 1, 2, 4, 8, 16, 32, 64, 128]


@pytest.mark.parametrize('size,n_down', [((64, 64), 6), ((50, 71), 4), ((3, 3), 8), ((96, 96), 5), ((17, 300), 2)])
def test_any_size(size, n_down):
    net = Pix2PixUnet(1, 3, nf=4, n_down=n_down)
    out = net(torch.randn(2, 1, *size)*100)
    assert out.shape == (2, 3, *size)
    assert out.abs().max() <= 1


def test_padding_changes_nothing_where_there_is_none():
    net = Pix2PixUnet(nf=4, n_down=3).eval()
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(net(x[..., :30, :30])[..., :8, :8],
                              net(torch.nn.functional.pad(x[..., :30, :30], (0, 2, 0, 2),
                                                          mode='replicate'))[..., :8, :8], atol=1e-6)


def test_dropout_is_on_in_training_and_off_after():
    net, x = Pix2PixUnet(nf=8, n_down=4), torch.randn(2, 1, 32, 32)
    assert not torch.equal(net(x), net(x))
    net.eval()
    with torch.no_grad(): assert torch.equal(net(x), net(x))
    still = Pix2PixUnet(nf=8, n_down=4, drop=0)
    assert torch.equal(still(x), still(x))
    with pytest.raises(ValueError, match='n_down=1'): Pix2PixUnet(n_down=1)


def test_first_weights_are_pix2pixs():
    net = Pix2PixUnet(nf=32)
    assert net.down[5][1].weight.std().item() == pytest.approx(.02, rel=.05)
    assert net.head.bias.abs().max() == 0
    assert net.down[3][2].weight.mean().item() == pytest.approx(1, abs=.01)


def test_checkerboard_is_seen_where_it_is_and_only_there():
    torch.manual_seed(1)
    flat = torch.full((1, 1, 96, 96), -.5)
    with torch.no_grad():
        theirs, ours = [110*net.eval()(flat)[..., 32:64, 32:64]
                        for net in (Pix2PixUnet(nf=16, n_down=4), Unet(nf=8, n_down=3))]
    assert grid_pattern(theirs, 2) > .05
    assert grid_pattern(ours, 2) < 1e-3


def test_learns_by_l1_and_against_a_discriminator_and_is_saved(scenes, tmp_path):
    dls = colorize_dls(scenes, size=32, bs=8, device=torch.device('cpu'))
    learn = colorize_learner(dls, generators['pix2pix_unet'](nf=8, n_down=4), precision='fp32', path=tmp_path)
    with learn.no_bar(), learn.no_logging():
        learn.fit(8, 2e-3)
        losses = [o[0] for o in learn.recorder.values]
        learn.fit(1, 1e-4, cbs=PatchGANTrainer(PatchGAN(nf=4, n_down=2)))
    assert losses[-1] < .7*losses[0]
    path = save_weights(learn.model, tmp_path/'p.safetensors',
                        dict(generator='pix2pix_unet', kwargs=dict(nf=8, n_down=4), task='grayscale', size=32))
    net, _ = load_weights(path)
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad(): assert torch.allclose(net(x), learn.model.eval()(x), atol=2e-2)
