"A compiled network trains as it did, keeps its names, and gives way where compiling fails."
from copy import deepcopy

import pytest
import torch
from torch._dynamo.utils import counters

from colorize_lib.patchgan import PatchGAN
from colorize_lib.training import PatchGANTrainer
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.engine.speed import compiled
from colorize_lib.unet import Unet, resnet_unet

nets = dict(unet=(lambda: Unet(nf=4, n_down=2), 1), resnet_unet=(lambda: resnet_unet(size=32, pretrained=False), 1),
            gan=(lambda: PatchGAN(nf=4, n_down=2), 3))


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    counters.clear()


def twins(make): # not `deepcopy`: a DynamicUnet that has run holds activations, which torch does not copy
    one, two = [make().to(memory_format=torch.channels_last).train() for _ in range(2)]
    two.load_state_dict(one.state_dict())
    return one, two


@pytest.mark.parametrize('name', nets)
@pytest.mark.parametrize('bf16', [False, True], ids=['fp32', 'bf16'])
def test_one_graph_and_equal_gradients(name, bf16):
    make, ch = nets[name]
    plain, fast = twins(make)
    compiled(fast, backend='aot_eager')
    x, outs = torch.randn(2, ch, 32, 32), []
    for net in (plain, fast):
        with torch.autocast('cpu', torch.bfloat16, enabled=bf16): outs.append(net(x))
        outs[-1].float().square().mean().backward()
    assert counters['stats']['unique_graphs'] == 1
    assert not counters['graph_break']
    assert (outs[0] - outs[1]).abs().max() <= (.05 if bf16 else 1e-5)
    grads = [torch.cat([p.grad.flatten() for p in net.parameters()]) for net in (plain, fast)]
    assert (grads[0] - grads[1]).norm() <= (.1 if bf16 else 1e-3)*grads[0].norm()
    assert grads[0].norm() > 0


def test_names_evaluation_and_copies():
    plain, fast = twins(nets['unet'][0])
    compiled(fast, backend='aot_eager')(torch.randn(2, 1, 32, 32))
    assert list(fast.state_dict()) == list(plain.state_dict())
    n = counters['stats']['unique_graphs']
    fast.eval()
    for size in (16, 24, 41): assert fast(torch.randn(1, 1, size, size)).shape == (1, 2, size, size)
    assert counters['stats']['unique_graphs'] == n == 1 # evaluation compiles nothing
    assert deepcopy(fast)._compiled_call_impl is None


@pytest.mark.parametrize('when', ['forward', 'backward'])
def test_falls_back_with_one_line(when, capsys):
    from torch._dynamo.backends.common import aot_autograd
    def fail(graph, inputs): raise RuntimeError('no C++ compiler\nand a long story')
    def keep(graph, inputs): return graph.forward
    from functorch.compile import make_boxed_func
    backend = fail if when == 'forward' else aot_autograd(fw_compiler=lambda g, i: make_boxed_func(keep(g, i)),
                                                          bw_compiler=fail)
    plain, fast = twins(nets['unet'][0])
    compiled(fast, backend=backend)
    x = torch.randn(2, 1, 32, 32)
    for _ in range(2):
        out = fast(x)
        out.mean().backward()
        assert torch.allclose(out, plain(x))
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1
    assert printed[0].startswith('torch.compile does not serve Unet here, training goes on without it')
    assert 'no C++ compiler' in printed[0]


def test_a_users_error_stays_an_error():
    fast = compiled(PatchGAN(nf=4, n_down=2), backend='aot_eager')
    with pytest.raises(ValueError, match='2 channels in condition and colours'): fast(torch.randn(1, 2, 32, 32))


def test_in_a_learner(dls, tmp_path, scenes):
    losses = []
    for fast in (False, True):
        torch.manual_seed(0)
        G, D = Unet(nf=4, n_down=2), PatchGAN(nf=4, n_down=2)
        if fast: G, D = compiled(G, backend='aot_eager'), compiled(D, backend='aot_eager')
        dls.train.epoch = -1
        learn = colorize_learner(dls, G, path=tmp_path, precision='fp32')
        with learn.no_logging(), learn.no_bar():
            learn.fit(2, 1e-3, cbs=PatchGANTrainer(D))
            losses.append(list(learn.gan_losses[-1].values()))
            learn.save('here')
            saved = deepcopy(learn.model.state_dict())
            learn.fit(1, 1e-3)
            learn.load('here')
            assert all(torch.equal(a, b) for a, b in zip(saved.values(), learn.model.state_dict().values()))
            assert learn.predict(scenes[0])[0].shape == (3, 48, 48)
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert not counters['graph_break']
    assert counters['stats']['unique_graphs'] <= 4 # G; D: with pred, with truth, frozen
