"Methods on equal terms: budgets that end where they should and survive an interruption; one table of the results."
import json
import os
import shutil
import sys
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save

from colorize_lib.experiments import compare as compare_module, methods as methods_module
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.experiments.compare import compare, main
from colorize_lib.experiments.comparison import (ComparisonError, comparison_curves, comparison_grid,
                                                 comparison_markdown, load_comparison)
from colorize_lib.lab import get_task
from colorize_lib.experiments.loss_results import loss_results
from colorize_lib.experiments.methods import (TrainingBudget, GrayToRGB, ValidationProbe, groups, method_plan, methods,
                                              paper_settings, small, train_method)
from colorize_lib.photos.samples import paint_scene
from colorize_lib.experiments.plans import discriminator_for
from colorize_lib.engine.callbacks import TrainingError
from colorize_lib.engine.metrics import psnr
from colorize_lib.engine.weights import generators

TINY = replace(small, size=32, bs=8, lr_l1=3e-3, n_valid=8, kwargs=dict(nf=4), precision='fp32')
CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def scenes(): return [paint_scene(i, 36) for i in range(40)]


def weights(learn): return {k: v.clone() for k, v in learn.model.state_dict().items()}
def same(a, b): return all(torch.equal(v, b[k]) for k, v in a.items())


@pytest.mark.parametrize('base', [small, replace(small, size=96), paper_settings])
def test_every_method_is_a_plan_that_can_be_built(base):
    assert set(methods) >= {k for names in groups.values() for k in names}
    for name in methods:
        plan = method_plan(name, base)
        assert plan.generator in generators
        assert plan.epochs_l1 + plan.epochs_gan
        assert (plan.size, plan.bs, plan.lr, plan.seed) == (base.size, base.bs, base.lr, base.seed)
    assert {method_plan(k, base).lambda_l1 for k in groups['lambda'] if k != 'l1'} == {0, 10, 100, 1000}
    assert (paper_settings.size, paper_settings.bs, paper_settings.lr) == (256, 32, 1e-4)
    assert method_plan('paper', paper_settings).kwargs == dict(nf=64, n_down=4)
    assert method_plan('pix2pix', paper_settings).kwargs == dict(nf=64, n_down=8)
    assert method_plan('pix2pix', replace(small, size=96)).kwargs['n_down'] == 5
    assert method_plan('lite_pretrained', base).kwargs == dict(pretrained=True)


def test_the_discriminator_is_as_published_at_the_papers_size():
    D = discriminator_for(256, get_task('grayscale'))
    assert D(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)
    assert [m.out_channels for m in D.layers if isinstance(m, torch.nn.Conv2d)] == [64, 128, 256, 512, 1]
    assert discriminator_for(64, get_task('rgb'))(torch.zeros(1, 4, 64, 64)).shape == (1, 1, 14, 14)


def test_wrong_methods_name_the_choices():
    with pytest.raises(ValueError, match="method='sepia': choose from 'l1', 'l2'"): method_plan('sepia', small)
    with pytest.raises(ValueError, match="method='rgb_l1' does not fit task='sketch': choose from 'l1'") as e:
        method_plan('rgb_l1', replace(small, task='sketch'))
    assert "'rgb'" not in str(e.value)


def test_rgb_from_gray_is_a_task():
    task, lab, rgb = get_task('rgb'), get_task('grayscale'), torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    x, y = task((rgb,))
    assert isinstance(task, GrayToRGB)
    assert x.shape == (2, 1, 8, 8)
    assert y.shape == (2, 3, 8, 8)
    assert y.min() >= -1
    assert y.max() <= 1
    gray, color = task.decode((x, y))
    assert torch.allclose(color*255, rgb.float(), atol=1e-3)
    assert torch.equal(gray, lab.decode(lab((rgb,)))[0])
    assert torch.allclose(task.decode((x, task.baselines['gray'][1](x, y)))[1], gray, atol=1e-6)
    assert task.decode((x, y*3))[1].max() <= 1


def test_a_budget_of_images_ends_both_stages(scenes, tmp_path):
    learn, budget = train_method(scenes, tmp_path, method_plan('paper_prestage', TINY), 200, 'images', device=CPU)
    assert budget.used['images'] == 200
    assert budget.ends == [0, 80, 200]
    assert learn.opt.hypers[0]['lr'] == pytest.approx(2e-4)
    assert learn.fits_done == 2
    assert len(learn.gan_losses) == 4
    assert learn.train_iter == 15 # 120 images in batches of 8, 32 an epoch
    # the first batch past each tenth
    assert [o['images'] for o in budget.points] == [0, 24, 40, 64, 80, 104, 120, 144, 160, 184, 200]
    assert [o['due'] for o in budget.points] == list(range(11))
    assert all(np.isfinite([o['psnr'], o['colorfulness']]).all() for o in budget.points)
    assert np.diff([o['seconds'] for o in budget.points]).min() > 0


def test_the_schedule_follows_the_budget(scenes, tmp_path):
    learn, _ = train_method(scenes, tmp_path, method_plan('l1', TINY), 160, 'images', device=CPU)
    lrs, steps = learn.recorder.lrs, np.diff(learn.recorder.lrs)
    assert len(lrs) == 20
    assert np.argmax(lrs) == 5
    assert lrs[5] == pytest.approx(3e-3) # a quarter of the way up
    assert (steps[:5] > 0).all()
    assert (steps[5:] < 0).all()
    assert lrs[-1] < 1e-4


@pytest.fixture
def clock(monkeypatch):
    "Every step takes an eighth of a second: exact in binary, and on all machines"
    monkeypatch.setattr(methods_module, 'TrainingBudget',
                        lambda *args, **kwargs: TrainingBudget(*args, clock=partial(next, count(0, .125)), **kwargs))


def test_a_budget_of_epochs_and_of_seconds(scenes, tmp_path, clock):
    _, budget = train_method(scenes, tmp_path/'a', method_plan('l1', TINY), 2, 'epochs', device=CPU)
    assert budget.used['images'] == 64
    _, budget = train_method(scenes, tmp_path/'b', method_plan('l1', TINY), .6, 'seconds', device=CPU)
    assert budget.used == dict(seconds=.625, images=40) # the step that ends nearest to .6


def test_looking_changes_nothing(scenes, tmp_path, monkeypatch):
    looked, _ = train_method(scenes, tmp_path/'a', method_plan('paper', TINY), 96, 'images', device=CPU)
    monkeypatch.setattr(ValidationProbe, '__call__', lambda self: {}) # it is made, but it does not look
    not_looked, budget = train_method(scenes, tmp_path/'b', method_plan('paper', TINY), 96, 'images', device=CPU)
    assert set(budget.points[0]) == {'due', 'seconds', 'images'}
    assert same(weights(looked), weights(not_looked))


def test_a_look_is_the_mean_psnr_of_the_first_photos(scenes, tmp_path):
    learn, budget = train_method(scenes, tmp_path, method_plan('l1', TINY), 32, 'images', device=CPU)
    df = compare_module.evaluate(learn)
    look = ValidationProbe(learn, 8)()
    assert look['psnr'] == pytest.approx(df.psnr.mean(), abs=.01)
    assert look['baseline'] == pytest.approx(df.psnr_gray.mean(), abs=.01)
    assert look['colorfulness'] == pytest.approx(df.colorfulness.sum()/df.colorfulness_true.sum(), rel=1e-3)
    assert learn.model.training


@pytest.mark.parametrize('at', [.3, .4, .8]) # in stage 1, at its end, in stage 2
def test_cut_off_and_called_again_is_the_same(scenes, tmp_path, at):
    plan = method_plan('paper_prestage', TINY)
    whole, budget = train_method(scenes, tmp_path/'whole', plan, 80, 'images', device=CPU)
    def cut(share):
        if share >= at: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        train_method(scenes, tmp_path/'cut', plan, 80, 'images', minutes=0, device=CPU, tell=cut)
    resumed, again = train_method(scenes, tmp_path/'cut', plan, 80, 'images', minutes=0, device=CPU)
    assert same(weights(whole), weights(resumed))
    strip = lambda b: [{k: v for k, v in o.items() if k != 'seconds'} for o in b.points]
    assert strip(again) == strip(budget)
    assert again.used['images'] == 80
    seconds = [o['seconds'] for o in again.points]
    assert min(np.diff(seconds)) > 0 # time went on where it was, it did not begin again


def test_used_time_survives(scenes, tmp_path, clock):
    plan = method_plan('l1', TINY)
    def cut(share):
        if share >= .5: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        train_method(scenes, tmp_path, plan, 2, 'seconds', minutes=0, device=CPU, tell=cut)
    begun = []
    _, budget = train_method(scenes, tmp_path, plan, 2, 'seconds', minutes=0, device=CPU, tell=begun.append)
    assert budget.used == dict(seconds=2., images=128)
    assert begun[0] == .5


def test_too_few_photos(scenes, tmp_path):
    with pytest.raises(ValueError, match='12 photos are too few: 8 to validate on leave 4, less than a batch of 8'):
        train_method(scenes[:12], tmp_path, method_plan('l1', TINY), 8, 'images')
    with pytest.raises(ValueError, match='there are 1'):
        train_method(scenes[:1], tmp_path, method_plan('l1', TINY), 8, 'images')


@pytest.fixture(scope='module')
def run(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp('run')
    return out, compare(scenes, out, ['l1', 'paper', 'rgb_l1'], base=TINY, amount=64, unit='images', device=CPU)


def test_one_table_of_all_methods(run):
    out, found = run
    assert list(found.table.index) == ['gray (no colour)', 'l1', 'paper', 'rgb_l1', 'truth']
    assert set(found.table.n) == {8}
    assert {'psnr', 'over gray', 'ssim', 'colorfulness', 'colorfulness_diff', 'l1_ab',
            'auc', 'auc_rebalanced'} <= {c for c in found.table if f'{c}_low' in found.table}
    assert found.table.images[['l1', 'paper', 'rgb_l1']].tolist() == [64]*3
    assert (found.table.seconds[['l1', 'paper', 'rgb_l1']] > 0).all()
    assert found.table.weights['rgb_l1'] == found.table.weights['l1'] + 5 # another channel of the head
    frame = pd.read_csv(out/'l1'/'photos.csv')
    assert found.table.psnr['l1'] == pytest.approx(frame.psnr.mean())
    assert found.table['over gray']['l1'] == pytest.approx((frame.psnr - frame.psnr_gray).mean())
    assert found.curves.groupby('method').size().tolist() == [9]*3
    assert found.about['plans']['paper']['lambda_l1'] == 100
    assert len(found.about['gan_losses']['paper']) == 2


def test_methods_are_compared_on_photos_with_hints(run, scenes, tmp_path):
    base = replace(TINY, task='grayscale_hints')
    found = compare(scenes, tmp_path, ['l1', 'paper'], base=base, amount=64, unit='images', device=CPU)
    plain = run[1]
    assert list(found.table.index) == ['gray (no colour)', 'l1', 'paper', 'truth']
    assert found.table.psnr['gray (no colour)'] == plain.table.psnr['gray (no colour)'] # hints are no part of it
    more = found.table.weights['l1'] - plain.table.weights['l1']
    assert more == 3*4*9 # three more channels into the first convolution
    hinted, gray = found.pictures['input'].float(), found.pictures['gray (no colour)'].float()
    chroma = [(o.amax(1) - o.amin(1)).flatten(1).amax(1) for o in (hinted, gray)]
    assert (chroma[0] > 20).sum() >= 5 # of six photos, one in ten has no hint
    assert chroma[1].max() < 5
    assert Colorizer.load(tmp_path/'l1'/'generator.safetensors').config['task'] == 'grayscale_hints'


def test_files_are_there_and_small(run):
    out, found = run
    kept = load_comparison(out)
    pd.testing.assert_frame_equal(kept.table, found.table, check_dtype=False)
    pd.testing.assert_frame_equal(kept.curves, found.curves, check_dtype=False)
    assert list(kept.pictures) == ['input', 'gray (no colour)', 'l1', 'paper', 'rgb_l1', 'truth']
    assert kept.about == json.loads(json.dumps(found.about))
    assert all(v.shape == (6, 3, 32, 32) and torch.equal(v, found.pictures[k][:6]) for k, v in kept.pictures.items())
    assert kept.patch_logits['paper'].shape == (2, 6, 6, 6)
    assert list(kept.patch_logits) == ['paper']
    ends = '.csv', '.md', '.safetensors', '_curves.csv', '_curves.jpg', '_grid.jpg'
    assert {p.name for p in out.iterdir() if p.is_file()} == {f'methods{end}' for end in ends}
    assert sum(p.stat().st_size for p in out.iterdir() if p.is_file()) < 500_000
    assert not list(out.glob('*/checkpoints'))
    assert Colorizer.load(out/'l1'/'generator.safetensors')(paint_scene(0, 40)).size == (40, 40)
    with pytest.raises(ValueError, match="no comparison 'space'; there are methods"): load_comparison(out, 'space')


def test_files_that_are_no_comparison_are_refused(run, tmp_path):
    whole = (run[0]/'methods.safetensors').read_bytes()
    tensors = lambda *about: save(dict(a=torch.zeros(1)), *about)
    for content in (b'', b'text', whole[:-9], tensors(), tensors(dict(table='x')),
                    tensors(dict(table='a', curves='a', order='["b"]', about='{}'))):
        (tmp_path/'methods.safetensors').write_bytes(content)
        with pytest.raises(ComparisonError, match='methods.safetensors: not a file of a comparison'):
            load_comparison(tmp_path)


def test_the_explorer_takes_only_the_methods_of_its_group(run, scenes, tmp_path):
    out = shutil.copytree(run[0], tmp_path/'run') # it holds rgb_l1 too, whose pictures have no ab
    for name in ('a_copy', 'l2'): shutil.copytree(out/'l1', out/name)
    results = loss_results(out, scenes[:2], size=32)
    results.check()
    assert [(m.kind, m.value) for m in results.methods] == [('l1', None), ('both', 100.)]
    assert results.fake_method == 1
    for k in ('l1', 'paper'): shutil.rmtree(out/k)
    with pytest.raises(ValueError, match='none of l1, lambda_0, .* is there with its weights'):
        loss_results(out, scenes[:2], size=32)


def test_pictures_are_what_the_metrics_measured(run):
    out, found = run
    frame = pd.read_csv(out/'paper'/'photos.csv')
    pred, true = (found.pictures[k].float()/255 for k in ('paper', 'truth'))
    assert psnr(pred, true).numpy() == pytest.approx(frame.psnr, abs=.1)


def test_the_markdown_has_intervals_and_says_over_what(run):
    text = comparison_markdown(run[1])
    lines = [line for line in text.splitlines() if line.startswith('|')]
    assert len(lines) == 7
    assert len({line.count('|') for line in lines}) == 1
    m = run[1].table.loc['l1']
    assert f'{m.psnr:.2f} ({m.psnr_low:.2f} to {m.psnr_high:.2f})' in text
    assert 'nan' not in text
    assert 'inf' not in text
    assert '32 photos to train on, 8 to validate on, 8 of them in the means' in text
    assert 'budget of each method: 64 images' in text


def test_grid_and_curves(run):
    fig = comparison_grid(run[1], n=3)
    assert len(fig.axes) == 15
    assert [ax.get_title() for ax in fig.axes[:5]] == ['gray (no\ncolour)', 'l1', 'paper', 'rgb_l1', 'truth']
    left, right = comparison_curves(run[1]).axes
    assert [line.get_label() for line in left.lines] == ['l1', 'paper', 'rgb_l1', 'baseline']
    assert right.get_legend()


def test_finished_methods_are_not_trained_again(run, scenes, monkeypatch):
    out, found = run
    def never(*args, **kwargs): raise AssertionError('trained again')
    monkeypatch.setattr(compare_module, 'train_method', never)
    again = compare(scenes, out, ['l1', 'paper', 'rgb_l1'], base=TINY, amount=64, unit='images', device=CPU)
    pd.testing.assert_frame_equal(again.table, found.table)
    with pytest.raises(ValueError, match='belongs to another comparison: budget was 64 images, is 65 images'):
        compare(scenes, out, ['l1'], base=TINY, amount=65, unit='images')
    with pytest.raises(ValueError, match='seed was 42, is 1'):
        compare(scenes, out, ['l1'], base=replace(TINY, seed=1), amount=64, unit='images')
    with pytest.raises(ValueError, match='photos was 40 .*, is 39'):
        compare(scenes[1:], out, ['l1'], base=TINY, amount=64, unit='images')


def test_photos_are_what_they_show_not_what_they_are_called(scenes, tmp_path, monkeypatch):
    def folder(name, photos):
        (tmp_path/name).mkdir()
        for i, o in enumerate(photos): o.save(tmp_path/name/f'{i:02}.png')
        return tmp_path/name
    again = partial(compare, out=tmp_path/'run', names=['l1'], base=TINY, amount=8,
                    unit='images', metrics=['psnr'], cache=False, device=CPU)
    again(folder('here', scenes[:20]))
    monkeypatch.setattr(compare_module, 'train_method', lambda *args, **kwargs: pytest.fail('trained again'))
    again(folder('elsewhere', scenes[:20]))
    again(scenes[:20])
    for others in (folder('others', scenes[20:]), [*scenes[:19], scenes[20]]):
        with pytest.raises(ValueError, match='photos was 20 with the fingerprint .*, is 20 with'): again(others)


def test_a_metric_that_is_missing_is_measured_with_the_kept_weights(scenes, tmp_path, monkeypatch):
    again = partial(compare, scenes, tmp_path, ['l1', 'classification'],
                    base=TINY, amount=16, unit='images', device=CPU)
    before = again(metrics=['psnr']).table
    monkeypatch.setattr(compare_module, 'train_method', lambda *args, **kwargs: pytest.fail('trained again'))
    after = again(metrics=['ssim', 'psnr']).table
    assert 'ssim' not in before
    assert 'ssim' in after
    assert np.allclose(after.psnr, before.psnr, atol=.01) # weights are kept in half precision
    assert after.ssim['l1'] == pytest.approx(pd.read_csv(tmp_path/'l1'/'photos.csv').ssim.mean())
    assert after.ssim['l1'] != after.ssim['classification']
    assert {'psnr', 'ssim', 'auc', 'l1_ab'} <= set(again().table)


@pytest.mark.skipif(sys.platform != 'linux', reason='file systems elsewhere refuse such names')
def test_a_file_name_that_is_not_unicode(scenes, tmp_path):
    (tmp_path/'photos').mkdir()
    for i in range(20): scenes[i].save(tmp_path/'photos'/f'{i}.png')
    for p in (tmp_path/'photos').iterdir(): p.rename(p.with_stem(p.stem + os.fsdecode(b'\xe9')))
    compare(tmp_path/'photos', tmp_path/'run', ['l1'], base=TINY, amount=8,
            unit='images', metrics=['psnr'], cache=False, device=CPU)
    assert pd.read_csv(tmp_path/'run'/'l1'/'photos.csv').name.str.endswith('\\udce9.png').all()


def test_the_same_seed_gives_the_same_table(run, scenes, tmp_path):
    again = compare(scenes, tmp_path, ['paper'], base=TINY, amount=64, unit='images', device=CPU)
    assert again.table.psnr['paper'] == run[1].table.psnr['paper']
    assert again.table.auc_rebalanced_low['paper'] == run[1].table.auc_rebalanced_low['paper']


def test_a_method_that_diverges_is_named_and_the_others_go_on(scenes, tmp_path, monkeypatch, capsys):
    def diverges(items, out, plan, *args, **kwargs):
        # as fastai says it
        if plan.loss == 'l2':
            event = 'Exception occured in `FiniteLoss` when calling event `after_batch`:'
            raise TrainingError(f'{event}\n\tthe loss is not finite')
        return train_method(items, out, plan, *args, **kwargs)
    monkeypatch.setattr(compare_module, 'train_method', diverges)
    found = compare(scenes, tmp_path, ['l2', 'l1'], base=TINY, amount=16, unit='images', device=CPU)
    assert 'l2' not in found.table.index
    assert 'l1' in found.table.index
    assert 'l2 diverged: the loss is not finite' in comparison_markdown(found)
    assert '1/2 l2: diverged' in capsys.readouterr().out
    with pytest.raises(TrainingError, match='every method diverged: the loss'):
        compare(scenes, tmp_path, ['l2'], base=TINY, amount=16, unit='images', device=CPU)


def test_full_memory_is_no_fault_of_a_method(scenes, tmp_path, monkeypatch):
    def full(self, *args): raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')
    monkeypatch.setattr(TrainingBudget, 'after_step', full)
    with pytest.raises(TrainingError,
                       match='^l1: out of memory on cpu with batches of 8 photos of 32 pixels: lower bs'):
        compare(scenes, tmp_path, ['l1', 'l2'], base=TINY, amount=16, unit='images', device=CPU)
    assert not (tmp_path/'l2').exists()


@pytest.mark.parametrize('kwargs,text', [
    (dict(names=['l1', 'vgg']), "method='vgg': choose from"),
    (dict(group='colours'), "group='colours': choose from 'methods', 'lambda'"),
    (dict(metrics=['mse']), "metric='mse': choose from"),
    (dict(amount=0), 'a budget of 0'), (dict(amount=float('inf')), 'a budget of inf'),
    (dict(amount=float('nan')), 'a budget of nan'), (dict(unit='hours'), "unit='hours': choose from 'seconds'"),
    (dict(base=replace(TINY, task='x')), "task='x'"), (dict(base=replace(TINY, loss='l3')), 'l3')])
def test_what_is_wrong_is_said_before_training(scenes, tmp_path, kwargs, text, monkeypatch):
    def never(*args, **kwargs): raise AssertionError('trained')
    if 'base' not in kwargs: monkeypatch.setattr(compare_module, 'train_method', never)
    with pytest.raises(ValueError, match=text):
        usual = dict(names=['paper' if 'l3' in text else 'smooth_l1'], base=TINY, amount=8, unit='images')
        compare(scenes, tmp_path, **usual | kwargs)


def test_the_command(photo_folder, tmp_path, capsys, monkeypatch):
    usual = [str(photo_folder), '-o', str(tmp_path/'o'), '--images', '4', '--size', '32']
    wrong = lambda *args: pytest.raises(SystemExit, main, [*usual, *args]).value.code
    assert wrong('--methods', 'gpt').startswith("colorize-compare: method='gpt': choose from 'l1'")
    assert wrong('--methods', 'l1', '--metrics', 'x').startswith("colorize-compare: metric='x'")
    assert '6 photos are too few: 1 to validate on leave 5, less than a batch of 16' in wrong('--methods', 'l1')
    assert 'no such' in str(pytest.raises(SystemExit, main, [str(tmp_path/'nowhere')]).value.code)
    for home in ('HOME', 'USERPROFILE'): monkeypatch.setenv(home, str(tmp_path))
    main([str(photo_folder), '--out=~/run', '--methods', 'l1', '--images',
          '8', '--size', '32', '--bs', '4', '--metrics', 'psnr,l1_ab'])
    out = capsys.readouterr().out
    assert '1/1 l1: 0%' in out
    assert '| gray (no colour) |' in out
    assert f'Look at {tmp_path/"run"/"methods_grid.jpg"}' in out
    table = pd.read_csv(tmp_path/'run'/'methods.csv', index_col=0)
    assert 'l1_ab' in table
    assert 'ssim' not in table


def test_help_lists_groups_and_presets(capsys):
    assert pytest.raises(SystemExit, main, ['--help']).value.code == 0
    out = capsys.readouterr().out
    for text in ('--paper', '--seconds', 'lambda: lambda_0, lambda_10, paper, lambda_1000, l1',
                 'space: l1, rgb_l1, paper, rgb'):
        assert text in out
    assert compare_module._parser().parse_args(['x', '--paper']).preset == (paper_settings, 50, 'epochs')


def test_a_budget_ends_at_the_nearest_step():
    budget = TrainingBudget([10.], 'seconds')
    budget.load_state_dict(dict(used=dict(seconds=4., images=7), step=.5, points=[dict(due=0)]))
    assert budget.state_dict() == dict(used=dict(seconds=4., images=7), step=.5, points=[dict(due=0)])
    assert budget.reached(4.25)
    assert not budget.reached(4.26) # half a step more or less
