"Shapes, sizes and bounds of generator and discriminator."
import pytest
import torch
from torch import nn

from colorize_lib.patchgan import PatchGAN, patch_grid, receptive_field
from colorize_lib.unet import Unet, n_params, resnet_unet, trace_shapes


@pytest.mark.parametrize('size', [(64, 64), (1, 1), (7, 33), (100, 50), (65, 127)])
def test_unet_takes_any_size(size):
    out = Unet(nf=4).eval()(torch.randn(2, 1, *size))
    assert out.shape == (2, 2, *size)
    assert out.abs().max() <= 1


def test_unet_is_the_papers_drawing():
    net = Unet(n_in=1, n_out=2, nf=64, n_down=4)
    assert n_params(net) == 28_947_586
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in net.modules())
    trace = trace_shapes(net, torch.randn(1, 1, 64, 64), depth=2).set_index('part')
    assert [trace.output[f'down.{i}'][1:3] for i in range(5)] == [(64, 64), (128, 32), (256, 16), (512, 8), (1024, 4)]
    assert [trace.output[f'up.{i}'][1:3] for i in range(4)] == [(512, 8), (256, 16), (128, 32), (64, 64)]


def test_unet_uses_its_skips():
    "With the bottom of the U silenced, detail still reaches the output, pixel by pixel"
    net = Unet(nf=4, n_down=2).eval()
    for m in net.down[-1].modules():
        if isinstance(m, nn.Conv2d): nn.init.zeros_(m.weight)
    x = torch.randn(1, 1, 16, 16, requires_grad=True)
    net(x)[0, 0, 8, 8].backward()
    assert x.grad[0, 0, 8, 8] != 0


@pytest.mark.parametrize('channels', [(1, 2), (1, 3), (3, 1)])
def test_unet_channels(channels):
    assert Unet(*channels, nf=4)(torch.randn(2, channels[0], 32, 32)).shape[1] == channels[1]


def test_trace_leaves_the_network_as_it_was():
    net = Unet(nf=4)
    net.down[1].eval() # frozen
    trace_shapes(net, torch.randn(1, 1, 32, 32))
    assert net.training
    assert not net.down[1].training
    assert not net.down[1][1].training
    assert not any(m._forward_hooks for m in net.modules())


def test_resnet_unet():
    net = resnet_unet(pretrained=False)
    assert all(m.training for m in net.modules())
    for size in [(64, 64), (75, 101), (33, 200)]:
        out = net(torch.randn(2, 1, *size)*5)
        assert type(out) is torch.Tensor
        assert out.shape == (2, 2, *size)
        assert out.abs().max() <= 1


def test_resnet_unet_has_no_coarse_colours_in_16_bits():
    "A scaled sigmoid in bfloat16 gives values in steps of 1/256 around gray (0.43 CIE units)"
    torch.manual_seed(0)
    net = resnet_unet(pretrained=False) # it is tried out at 256 pixels: slow in 16 bits where the processor has none
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.no_grad(): out = net(torch.randn(2, 1, 64, 64))
    assert out.dtype == torch.float32
    assert (out*256 % 1 == 0).float().mean() < .1 # all of them, without float32


def test_resnet_unet_refuses_small_sizes():
    with pytest.raises(ValueError, match='size=16.*at least 32'): resnet_unet(size=16, pretrained=False)


def test_pretrained_offline_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    def no_network(*args, **kwargs): raise OSError('no network')
    monkeypatch.setattr('urllib.request.urlopen', no_network)
    monkeypatch.setattr('torch.hub.urlopen', no_network)
    with pytest.raises(ConnectionError,
                       match='resnet18: its pretrained weights could not be downloaded .*pretrained=False'):
        resnet_unet()


def test_patchgan_is_pix2pixs():
    disc = PatchGAN()
    assert disc(torch.randn(2, 1, 256, 256), torch.randn(2, 2, 256, 256)).shape == (2, 1, 30, 30)
    assert n_params(PatchGAN(n_in=6)) == 2_768_705 # as the published 70x70 discriminator on pairs of RGB photos
    convs = [m for m in disc.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.stride[0])
            for m in convs] == [(3, 64, 2), (64, 128, 2), (128, 256, 2), (256, 512, 1), (512, 1, 1)]
    assert all(m.kernel_size == (4, 4) for m in convs)
    assert abs(convs[2].weight.std().item() - .02) < .001
    assert sum(isinstance(m, nn.BatchNorm2d) for m in disc.modules()) == 3
    assert not any(isinstance(m, nn.Sigmoid) for m in disc.modules())


@pytest.mark.parametrize('n_down', [1, 2, 3, 4])
def test_receptive_field_and_grid_by_probe(n_down):
    disc, size = PatchGAN(nf=4, n_down=n_down).eval(), 320
    x = torch.randn(1, 3, size, size, requires_grad=True)
    logits = disc(x)
    assert logits.shape[-1] == patch_grid(size, n_down)
    mid = logits.shape[-1]//2
    logits[0, 0, mid, mid].backward()
    seen = x.grad[0].abs().sum(0)
    assert int(seen.any(0).sum()) == int(seen.any(1).sum()) == receptive_field(n_down)
    assert {1: 16, 2: 34, 3: 70, 4: 142}[n_down] == receptive_field(n_down)


def test_patchgan_sees_the_condition():
    disc, ab = PatchGAN(nf=4).eval(), torch.randn(1, 2, 64, 64)
    assert not torch.allclose(disc(torch.zeros(1, 1, 64, 64), ab), disc(torch.ones(1, 1, 64, 64), ab))


def test_patchgan_errors():
    with pytest.raises(ValueError, match='4 channels .* made for 3'): PatchGAN(nf=4)(torch.randn(1, 4, 64, 64))
    with pytest.raises(ValueError, match='16x16 pixels .* at least 24'): PatchGAN(nf=4)(torch.randn(1, 3, 16, 16))
