"One G+D step equals the plain pix2pix loop; everything a Learner does works with and without the PatchGAN stage."
from copy import deepcopy

import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback, CancelEpochException, CancelFitException
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import SaveModelCallback
from torch import nn
from torch.nn.functional import softplus

from colorize_lib.engine.speed import DevicePrecision, FusedAdam
from colorize_lib.engine.checks import pick_precision
from colorize_lib.training import PatchGANTrainer, Recipe, fit_recipe, loss_names, paper, pix2pix_step
from colorize_lib.losses import L2
from colorize_lib.patchgan import PatchGAN
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.unet import Unet, resnet_unet


def plain_pix2pix(G, D, batches, lr, lambda_l1):
    "The reference: pix2pix's loop as its authors and the tutorial write it; six losses a batch"
    # its other form rounds differently: see `test_fused_adam_is_adam_also_after_loading`
    opt_G, opt_D = [torch.optim.Adam(net.parameters(), lr=lr, betas=(.5, .999), fused=True) for net in (G, D)]
    G.train(), D.train()
    rows = [pix2pix_step(G, D, opt_G, opt_D, lum, ab, lambda_l1) for lum, ab in batches]
    return torch.tensor([[row[nm].item() for nm in loss_names] for row in rows])


def test_the_plain_step_worked_out_by_hand():
    "Losses by softplus, gradients at logits and colours by their formulas; torch carries them through the networks"
    G, D, lr, weight = Unet(nf=4, n_down=2).train(), PatchGAN(nf=4, n_down=2).train(), .1, 10.
    G2, D2 = deepcopy(G), deepcopy(D)
    lum, ab = torch.rand(2, 1, 32, 32)*2 - 1, torch.rand(2, 2, 32, 32)*2 - 1
    opts = [torch.optim.SGD(net.parameters(), lr) for net in (G, D)]
    losses = pix2pix_step(G, D, *opts, lum, ab, lambda_l1=weight)

    fake = G2(lum)
    on_fake, on_real = D2(torch.cat([lum, fake.detach()], 1)), D2(torch.cat([lum, ab], 1))
    by_hand = [softplus(on_fake).mean(), softplus(-on_real).mean()] # -log(1 - sigmoid(x)) and -log(sigmoid(x))
    by_hand += [(by_hand[0] + by_hand[1])/2]
    at_logits = [on_fake.sigmoid()/2/on_fake.numel(), (on_real.sigmoid() - 1)/2/on_real.numel()]
    grads_D = torch.autograd.grad([on_fake, on_real], [*D2.parameters()], at_logits)
    with torch.no_grad():
        for p, g in zip(D2.parameters(), grads_D): p -= lr*g
    fooled = D2(torch.cat([lum, fake], 1)) # D has stepped already
    by_hand += [softplus(-fooled).mean(), weight*(fake - ab).abs().mean()]
    by_hand += [by_hand[3] + by_hand[4]]
    through_D, = torch.autograd.grad(fooled, fake, (fooled.sigmoid() - 1)/fooled.numel(), retain_graph=True)
    at_colours = through_D + weight*(fake - ab).sign()/fake.numel()
    grads_G = torch.autograd.grad(fake, [*G2.parameters()], at_colours)

    assert list(losses) == list(loss_names)
    assert torch.allclose(torch.stack([*losses.values()]), torch.stack(by_hand), rtol=1e-5)
    assert not any(o.requires_grad for o in losses.values())
    for p, g in zip(G.parameters(), grads_G): assert torch.allclose(p.grad, g, rtol=1e-3, atol=1e-6)
    assert all(p.grad is None for p in D.parameters()) # its own are cleared, and the loss of G has left none
    for ours, p, g in zip(G.parameters(), G2.parameters(), grads_G): assert torch.allclose(ours, p - lr*g, atol=1e-6)
    for ours, theirs in zip(D.parameters(), D2.parameters()): assert torch.allclose(ours, theirs, atol=1e-6)
    assert max(g.abs().max() for g in grads_D) > 1e-4
    assert max(g.abs().max() for g in grads_G) > 1e-4


class Watch(Callback):
    "Notes the six losses of each of `n` batches, then stops"
    order = 6
    def __init__(self, n): self.steps, self.rows = n, []
    def after_loss(self):
        if self.training: self.rows.append([self.learn.patch_gan_trainer.losses[nm].item() for nm in loss_names])
    def after_batch(self):
        if len(self.rows) == self.steps: self.learn.stopped = True; raise CancelFitException


def test_fused_adam_is_adam_also_after_loading():
    "Weights laid out channels last, a state that a file gives back laid out plainly"
    start = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)
    a, b = (nn.Parameter(start.clone()) for _ in range(2))
    plain, ours = torch.optim.Adam([a], lr=.01, betas=(.5, .999)), FusedAdam([b], lr=.01)
    for _ in range(4):
        a.grad = torch.randn_like(a)
        b.grad = a.grad.clone()
        plain.step(), ours.step()
        assert (a - b).abs().max() <= 1e-6
        state = ours.state_dict()
        state['state'] = {i: {k: v.contiguous().clone() for k, v in s.items()} for i, s in state['state'].items()}
        ours = FusedAdam([b], lr=.5)
        ours.load_state_dict(state)
    assert (a - start).abs().max() > .01


@pytest.mark.parametrize('make', [lambda: Unet(nf=8, n_down=3), lambda: resnet_unet(size=48, pretrained=False)],
                         ids=['unet', 'resnet_unet'])
def test_five_steps_equal_plain_pix2pix(scenes, make):
    from colorize_lib.lab import colorize_dls
    dls = colorize_dls(scenes + [s.rotate(180) for s in scenes], size=48, bs=8, device=torch.device('cpu'))
    G, D = [net.to(memory_format=torch.channels_last) for net in (make(), PatchGAN(nf=16))]
    G2, D2 = deepcopy(G.state_dict()), deepcopy(D)
    batches = [b for b, _ in zip(dls.train, range(5))]
    watch, learn = Watch(5), colorize_learner(dls, G, precision='fp32')
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 2e-4, cbs=[PatchGANTrainer(D, lambda_l1=100), watch])
    ref = make().to(memory_format=torch.channels_last)
    ref.load_state_dict(G2)
    expected = plain_pix2pix(ref, D2, batches, 2e-4, 100)
    assert len(watch.rows) == 5
    assert (torch.tensor(watch.rows) - expected).abs().max() <= 1e-5
    for ours, theirs in ((G, ref), (D, D2)):
        for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values()):
            assert (a.float() - b.float()).abs().max() <= 1e-4, name
    moved = [(a.float() - b.float()).abs().max().item() for a, b in zip(G.state_dict().values(), G2.values())]
    assert max(moved) > 1e-4 # the comparison is not of networks that stood still


@pytest.fixture(params=['L1', 'PatchGAN'])
def trained_by(request, dls, tmp_path):
    "A quiet Learner, with or without a PatchGAN"
    learn = colorize_learner(dls, Unet(nf=8, n_down=2), path=tmp_path, precision='fp32')
    learn.gan = PatchGANTrainer(PatchGAN(nf=8, n_down=2)) if request.param == 'PatchGAN' else None
    if learn.gan: learn.add_cb(learn.gan)
    with learn.no_logging(), learn.no_bar(): yield learn


def snapshot(module): return deepcopy(module.state_dict())
def same(a, b): return all(torch.equal(x, y) for x, y in zip(a.values(), b.values()))


def test_fit(trained_by):
    start = trained_by.validate()[0]
    trained_by.fit(4, 2e-3)
    assert trained_by.validate()[0] < .9*start
    assert len(trained_by.gan_losses) == (4 if trained_by.gan else 0)


def test_fit_one_cycle(trained_by):
    start = trained_by.validate()[0]
    trained_by.fit_one_cycle(4, 3e-3)
    lrs = trained_by.recorder.lrs
    assert trained_by.validate()[0] < .9*start
    assert max(lrs) == pytest.approx(3e-3, rel=.05)
    assert lrs[-1] < 1e-4
    # D follows G's schedule
    if trained_by.gan: assert trained_by.gan.optimizer.param_groups[0]['lr'] == pytest.approx(lrs[-1])


def test_lr_find_leaves_no_trace(trained_by):
    trained_by.fit(1, 1e-3)
    nets = [trained_by.model] + ([trained_by.gan.discriminator] if trained_by.gan else [])
    before, rows = [snapshot(n) for n in nets], len(trained_by.gan_losses)
    found = trained_by.lr_find(num_it=30, show_plot=False)
    assert 1e-7 < found.valley < 10
    assert len(trained_by.recorder.lrs) >= 6
    assert all(same(b, n.state_dict()) for b, n in zip(before, nets))
    assert len(trained_by.gan_losses) == rows


def test_show_results(trained_by):
    import matplotlib.pyplot as plt
    trained_by.fit(1, 1e-3)
    trained_by.show_results(max_n=3)
    axes = plt.gcf().axes
    assert [a.get_title() for a in axes[:3]] == ['input', 'prediction', 'ground truth']
    assert len(axes) == 9
    gray, pred, truth = [torch.tensor(a.images[0].get_array().data) for a in axes[:3]]
    assert (gray.amax(-1) - gray.amin(-1)).max() < 1e-3 < (pred - gray).abs().max()
    assert (truth - gray).abs().max() > .05


def test_predict_equals_the_network(trained_by, scenes):
    trained_by.fit(1, 1e-3)
    rgb, _, ab = trained_by.predict(scenes[0])
    lum, _ = trained_by.dls.test_dl([scenes[0]]).one_batch()
    with torch.no_grad(): expected = trained_by.model.eval()(lum)[0]
    assert rgb.shape == (3, 48, 48)
    assert 0 <= rgb.min()
    assert rgb.max() <= 1
    assert torch.allclose(torch.as_tensor(ab), expected, atol=1e-6)


def test_save_and_load(trained_by):
    trained_by.fit(1, 1e-3)
    trained_by.save('here')
    saved = snapshot(trained_by.model)
    trained_by.fit(1, 1e-3)
    assert not same(saved, trained_by.model.state_dict())
    trained_by.load('here')
    assert same(saved, trained_by.model.state_dict())
    trained_by.fit(1, 1e-3) # and goes on from there


def test_save_model_callback(trained_by):
    trained_by.fit(3, 1e-3, cbs=SaveModelCallback(fname='best'))
    losses = [row[1] for row in trained_by.recorder.values]
    trained_by.load('best')
    assert trained_by.validate()[0] == pytest.approx(min(losses), rel=1e-4)


def test_csv_logger(trained_by):
    trained_by.fit(2, 1e-3, cbs=CSVLogger())
    log = pd.read_csv(trained_by.path/'history.csv')
    assert len(log) == 2
    assert log.valid_loss.between(.001, 1).all()
    assert [c for c in log.columns if c in loss_names] == (list(loss_names) if trained_by.gan else [])
    if trained_by.gan: assert log.loss_D[1] == pytest.approx(trained_by.gan_losses[1]['loss_D'], abs=1e-4)


@pytest.mark.parametrize('amp_mode,dtype', [('bf16', torch.bfloat16), ('fp16', torch.float16)])
def test_mixed_precision(trained_by, amp_mode, dtype):
    seen = {'G': set(), 'D': set()}
    note = lambda who: lambda m, i, out: seen[who].add(out.dtype)
    hooks = [trained_by.model.head.register_forward_hook(note('G'))]
    if trained_by.gan: hooks.append(trained_by.gan.discriminator.layers[0].register_forward_hook(note('D')))
    start = trained_by.validate()[0]
    trained_by.add_cb(DevicePrecision(amp_mode=amp_mode))
    trained_by.fit(4, 2e-3)
    for h in hooks: h.remove()
    assert dtype in seen['G']
    assert not trained_by.gan or seen['D'] == {dtype}
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in trained_by.model.parameters())
    assert trained_by.validate()[0] < .9*start


def test_loss_scaling_reaches_the_discriminator_unscaled(dls, tmp_path):
    "With fp16's scaler (65,536), D must move as far as without"
    moves = []
    for amp_mode in (None, 'fp16'):
        torch.manual_seed(0)
        gan = PatchGANTrainer(PatchGAN(nf=8, n_down=2))
        before = snapshot(gan.discriminator)
        learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path, precision='fp32')
        if amp_mode: learn.add_cb(DevicePrecision(amp_mode=amp_mode))
        with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-3, cbs=gan)
        moves.append(torch.cat([(a - before[k]).flatten() for k, a in gan.discriminator.state_dict().items()
                                if 'weight' in k]))
    assert moves[0].norm() > 0
    assert (moves[1].norm()/moves[0].norm()).item() == pytest.approx(1, abs=.25)


def test_the_discriminator_sees_condition_and_prediction(dls):
    seen = []
    class Spy(PatchGAN):
        def forward(self, *parts): seen.append([p.detach().clone() for p in parts]); return super().forward(*parts)
    learn, watch = colorize_learner(dls, Unet(nf=4, n_down=2), precision='fp32'), Watch(1)
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-3, cbs=[PatchGANTrainer(Spy(nf=4, n_down=2)), watch])
    (lum0, fake), (lum1, real), (lum2, fooled) = seen
    assert torch.equal(lum0, lum1)
    assert torch.equal(lum1, lum2)
    assert torch.equal(fake, fooled)
    assert not torch.equal(fake, real)


def test_the_discriminator_is_frozen_during_the_generators_step(dls):
    gan, seen = PatchGANTrainer(PatchGAN(nf=4, n_down=2)), []
    grads = lambda: [p.grad.clone() for p in gan.discriminator.parameters()]
    class Compare(Callback):
        order = 6
        def after_pred(self): self.after_d = grads() if self.training else None
        def after_backward(self): seen.append(all(torch.equal(a, b) for a, b in zip(self.after_d, grads())))
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), precision='fp32')
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-3, cbs=[gan, Compare()])
    assert seen == [True]*4


def test_adversarial_training_leaves_the_learner_as_it_was(dls, tmp_path):
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path)
    gan = PatchGANTrainer(PatchGAN(nf=4, n_down=2))
    with learn.no_logging(), learn.no_bar():
        learn.fit(1, 1e-3, cbs=gan)
        weights = snapshot(gan.discriminator)
        learn.fit(1, 1e-3)
        assert same(weights, gan.discriminator.state_dict()) # L1 training does not touch D
        learn.fit(1, 1e-3, cbs=gan)
        assert not same(weights, gan.discriminator.state_dict()) # and D goes on where it was
    assert len(learn.metrics) == 0
    assert len(learn.gan_losses) == 2


def test_six_losses_are_means_over_photos(scenes, tmp_path):
    from colorize_lib.data import PhotoDL
    from colorize_lib.lab import colorize_dls
    dls = colorize_dls(scenes, size=32, bs=12) # 32 photos: batches of 12, 12 and 8
    dls.loaders[0] = PhotoDL(dls.train.dataset, 32, bs=12, shuffle=True, drop_last=False,
                             after_batch=dls.train.after_batch.fs, device=dls.device)
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path, precision='fp32')
    gan, watch = PatchGANTrainer(PatchGAN(nf=4, n_down=2)), Watch(-1)
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-3, cbs=[gan, watch])
    rows, n = torch.tensor(watch.rows), torch.tensor([12., 12, 8])[:, None]
    assert torch.allclose(torch.tensor(list(learn.gan_losses[0].values())), (rows*n).sum(0)/32, rtol=1e-5)
    assert not torch.allclose(rows.mean(0), (rows*n).sum(0)/32, rtol=1e-5)


class Interrupt(Callback):
    def __init__(self, event, error): setattr(self, event, self.stop); self.error = error
    def stop(self): raise self.error


@pytest.mark.parametrize('event', ['before_batch', 'after_pred', 'after_loss', 'after_batch', 'after_epoch'])
@pytest.mark.parametrize('error', [KeyboardInterrupt(), RuntimeError('out of memory')], ids=['stop button', 'error'])
def test_an_interrupted_fit_leaves_nothing_behind(dls, tmp_path, event, error):
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path, precision='bf16')
    gan, stop = PatchGANTrainer(PatchGAN(nf=4, n_down=2)), Interrupt(event, error)
    with learn.no_logging(), learn.no_bar():
        with pytest.raises(type(error)): learn.fit(1, 1e-3, cbs=[gan, stop])
        assert not learn.metrics
        assert not torch.is_autocast_enabled('cpu')
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.float32
        assert gan not in learn.cbs
        learn.fit(1, 1e-3, cbs=gan) # and may go on
    assert len(learn.gan_losses) >= 1
    assert learn.metrics == []


def test_an_interrupted_lr_find_puts_both_networks_back(dls, tmp_path):
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path)
    gan = PatchGANTrainer(PatchGAN(nf=4, n_down=2))
    class StopAt3(Callback):
        def after_batch(self):
            if self.train_iter == 3: raise KeyboardInterrupt
    learn.add_cbs([gan, StopAt3()])
    before = snapshot(learn.model)
    with learn.no_logging(), learn.no_bar(), pytest.raises(KeyboardInterrupt): learn.lr_find(show_plot=False)
    assert same(before, learn.model.state_dict())
    assert same(gan.kept['network'], gan.discriminator.state_dict())


@pytest.mark.parametrize('precision', ['fp32', 'bf16', 'fp16'])
def test_predicting_in_the_middle_of_a_fit(dls, scenes, tmp_path, precision):
    seen = []
    class Film(Callback):
        def after_train(self): seen.append(self.learn.predict(scenes[0])[0])
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path, precision=precision)
    with learn.no_logging(), learn.no_bar(): learn.fit(3, 1e-3, cbs=[PatchGANTrainer(PatchGAN(nf=4, n_down=2)), Film()])
    assert len(seen) == 3
    assert len(learn.gan_losses) == 3
    assert not torch.equal(seen[0], seen[2])
    assert learn.metrics == []


def test_any_optimizer_and_a_plain_learner_will_do(dls, tmp_path):
    from functools import partial

    from fastai.learner import Learner
    from fastai.optimizer import OptimWrapper
    for opt_func in (partial(OptimWrapper, opt=torch.optim.SGD), partial(OptimWrapper, opt=torch.optim.AdamW)):
        learn = Learner(dls, Unet(nf=4, n_down=2), L2, path=tmp_path, opt_func=opt_func)
        with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-3, cbs=PatchGANTrainer(PatchGAN(nf=4, n_down=2)))
        assert len(learn.gan_losses) == 1


def test_a_discriminator_that_stands_still(dls, tmp_path):
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path)
    gan = PatchGANTrainer(PatchGAN(nf=4, n_down=2), lr=0.)
    before = deepcopy(list(gan.discriminator.parameters()))
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-3, cbs=gan)
    assert all(torch.equal(a, b) for a, b in zip(before, gan.discriminator.parameters()))


def test_gradient_accumulation_is_refused_by_name(dls):
    from fastai.callback.training import GradientAccumulation
    learn = colorize_learner(dls, Unet(nf=4, n_down=2))
    with learn.no_logging(), learn.no_bar(), pytest.raises(ValueError, match='GradientAccumulation'):
        learn.fit(1, cbs=[GradientAccumulation(16), PatchGANTrainer()])


def test_two_discriminator_steps_in_one_batch_use_fresh_weights(dls, tmp_path):
    "Autocast remembers 16-bit weights; after D's step they are stale"
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path, precision='bf16')
    gan = PatchGANTrainer(PatchGAN(nf=4, n_down=2), lr=.1)
    outs = []
    class Twice(Callback):
        order = 6 # after the discriminator's step, still inside autocast
        def after_pred(self):
            if self.training:
                outs.append((gan.discriminator(*self.xb, *self.yb).float(),
                             deepcopy(gan.discriminator)(*self.xb, *self.yb).float()))
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-3, cbs=[gan, Twice(), Watch(1)])
    assert torch.equal(*outs[0])


def test_epochs_are_counted_over_fits_skips_and_searches(dls, tmp_path):
    learn, seen = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path), []
    class Note(Callback):
        def before_batch(self):
            if self.training and self.iter == 0: seen.append(self.dls.train.epoch)
    with learn.no_logging(), learn.no_bar():
        learn.fit(2, 1e-3, cbs=Note())
        learn.fit(4, 1e-3, cbs=Note(), start_epoch=2)
        assert seen == [0, 1, 4, 5]
        learn.add_cb(Note()).lr_find(num_it=11, show_plot=False)
        assert seen[4:] == [6, 7, 8] # a search sees new batches too
        learn.fit(1, 1e-3)
    assert seen[-1] == 6 # and does not count
    class Cut(Callback):
        def after_batch(self):
            if not self.training: raise CancelEpochException
    with learn.no_logging(), learn.no_bar(): learn.fit(2, 1e-3, cbs=Cut())
    assert seen[-2:] == [7, 8] # an epoch that ends in its validation counts once


def test_runs_are_repeatable(scenes, tmp_path):
    from colorize_lib.lab import colorize_dls
    weights = []
    for _ in range(2):
        torch.manual_seed(7)
        learn = colorize_learner(colorize_dls(scenes, size=32, bs=8, seed=3), Unet(nf=4, n_down=2), path=tmp_path)
        with learn.no_logging(), learn.no_bar():
            fit_recipe(learn, Recipe(epochs_l1=1, epochs_gan=1), PatchGAN(nf=4, n_down=2))
        weights.append(snapshot(learn.model))
    assert same(*weights)


def test_looking_at_data_does_not_change_a_run(scenes, tmp_path):
    "Batches follow from (seed, epoch, batch), whatever was shown or searched before"
    from colorize_lib.lab import colorize_dls
    weights = []
    for look in (False, True):
        torch.manual_seed(7)
        learn = colorize_learner(colorize_dls(scenes, size=32, bs=8, seed=3),
                                 Unet(nf=4, n_down=2), path=tmp_path, precision='fp32')
        with learn.no_logging(), learn.no_bar():
            learn.fit(1, 1e-3)
            if look: learn.dls.show_batch(); learn.lr_find(num_it=10, show_plot=False); next(iter(learn.dls.train))
            learn.fit(1, 1e-3)
        weights.append(snapshot(learn.model))
    assert same(*weights)


def test_discriminator_for_the_task_and_its_own_lr(dls):
    learn, gan = colorize_learner(dls, Unet(nf=4, n_down=2)), PatchGANTrainer(lr=5e-5, gan_mode='lsgan')
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-3, cbs=[gan, Watch(1)])
    assert gan.discriminator.n_in == 3
    assert gan.optimizer.param_groups[0]['lr'] == 5e-5
    assert gan.optimizer.param_groups[0]['betas'] == (.5, .999)


def test_other_regression_losses(dls):
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), loss_func=L2, precision='fp32')
    with learn.no_logging(), learn.no_bar():
        loss = learn.validate()[0]
        pred, targ = learn.get_preds()
    assert loss == pytest.approx(L2(pred, targ).item(), rel=1e-4)


def test_paper_preset():
    assert (paper.lr, paper.bs, paper.epochs_gan, paper.lambda_l1,
            paper.size, paper.epochs_l1) == (1e-4, 32, 50, 100, 256, 0)


def test_recipe_runs_both_stages(dls, tmp_path):
    learn = colorize_learner(dls, Unet(nf=4, n_down=2), path=tmp_path)
    seen = []
    class Count(Callback):
        def before_fit(self): seen.append((self.n_epoch, self.learn.opt.hypers[-1]['mom'] if self.epoch == 0 else None))
    with learn.no_logging(), learn.no_bar():
        gan = fit_recipe(learn, Recipe(epochs_l1=3, epochs_gan=2, lambda_l1=7), PatchGAN(nf=4, n_down=2), cbs=Count())
    assert [n for n, _ in seen] == [3, 2]
    assert gan.lambda_l1 == 7
    assert len(learn.gan_losses) == 2
    assert learn.opt.hypers[-1]['mom'] == .5 # pix2pix's beta, whatever one-cycle left behind


def test_errors_name_the_value(dls):
    with pytest.raises(ValueError, match="precision='int8': choose from 'auto', 'fp32', 'bf16', 'fp16'"):
        colorize_learner(dls, Unet(nf=4), precision='int8')
    with pytest.raises(ValueError, match="loss_func='l1': expected a function"):
        colorize_learner(dls, Unet(nf=4), loss_func='l1')
    with pytest.raises(ValueError, match="gan_mode='hinge'"): PatchGANTrainer(gan_mode='hinge')


def test_a_size_too_small_for_the_discriminator_is_named(scenes):
    from colorize_lib.lab import colorize_dls
    learn = colorize_learner(colorize_dls(scenes, size=16, bs=4), Unet(nf=4, n_down=2))
    with learn.no_logging(), learn.no_bar(), pytest.raises(ValueError, match='16x16 pixels .* needs at least 24'):
        learn.fit(1, cbs=PatchGANTrainer())


def test_precision_choice(monkeypatch):
    monkeypatch.setattr(torch.cpu, '_is_amx_tile_supported', lambda: False)
    for avx, name in ((True, 'bf16'), (False, 'fp32')):
        monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda avx=avx: avx)
        assert pick_precision(torch.device('cpu')) == name
    for capability, name in (((7, 5), 'fp16'), ((8, 0), 'bf16'), ((9, 0), 'bf16')): # T4, A100, H100
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device, c=capability: c)
        assert pick_precision(torch.device('cuda')) == name
    assert pick_precision(torch.device('mps')) == 'fp32'
