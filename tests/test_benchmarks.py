"The benchmark runs, names what it measured, and compares like with like. Nothing here is timed."
import itertools
import json
import random
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmarks import (color_strength, drawings, flower_model, fresh_training, gpu, hint_borders, hints,
                        illustration_model, photo_model, train_on, what_lines_tell, working_sizes)
from benchmarks.bench import main, parts
from benchmarks.networks import duel
from colorize_lib.apply.colorizer import Colorizer, HintedPhoto, weights_file
from colorize_lib.apply.hints import check_hints
from colorize_lib.engine.metrics import hue_bias
from colorize_lib.engine.weights import load_weights, save_weights
from colorize_lib.experiments.plans import Plan
from colorize_lib.networks import hint_attention
from colorize_lib.networks.classification import bin_centers
from colorize_lib.networks.lite_unet import LiteUnet
from colorize_lib.photos.pictures import photo_files
from colorize_lib.photos.samples import paint_scene
from colorize_lib.sketch.illustration import illustrate
from colorize_lib.sketch.line_art import line_art

try: from benchmarks import film_kills, video
except ImportError: video = None
films = pytest.mark.skipif(video is None, reason='films need the package av')


@pytest.mark.slow # that both sides take the same step is a test of its own
def test_quick_run_has_a_row_for_each_part(tmp_path, capsys):
    main(['--quick', '--only', 'step,data,epoch,quality,memory,growth,peak,compile', '-o', str(tmp_path/'RESULTS.md')])
    text = (tmp_path/'RESULTS.md').read_text(encoding='utf-8')
    assert text in capsys.readouterr().out
    rows = [line.split('|') for line in text.splitlines() if line.startswith('|')][2:]
    for name in ('step, tiny Unet, 32 px, batch 4', 'data, 32 px, batch 4, later',
                 'data, 32 px, batch 4, first', 'epoch, 32 px, batch 4, the same networks, first',
                 "epoch, 32 px, batch 4, the library's default, later", 'memory, tiny Unet',
                 'quality, 32 px, batch 4, the same networks, PSNR',
                 "quality, 32 px, batch 4, the library's default, SSIM",
                 'growth with size', 'growth with batch', 'share of peak', 'matmul'):
        assert [r for r in rows if r[1].strip().startswith(name)], name
    for r in rows:
        ref, ours, ratio = [float(o.strip(' *').replace(',', '') or 'nan') for o in r[3:6]]
        if r[1].strip().startswith(('matmul', 'quality')): continue # no ratio, or one that rounding spoils
        assert ref > 0
        assert ratio == pytest.approx(ref/ours if 'memory' in r[1] else ours/ref, rel=.02)
    assert all(word in text for word in ('processor', 'instruction sets', 'torch', 'command'))


@pytest.mark.parametrize('net,size', [('tiny Unet', 48), ('resnet_unet', 32)])
def test_the_reference_step_is_ours(net, size):
    """Same weights, same batch: the losses of each side, in float32.
    Then rounding parts them: the memory order differs, so sums do"""
    losses = duel(net, size, 4, n=2, precision='fp32')[2].losses
    assert len(losses) == 3
    assert losses[0][0] == pytest.approx(losses[0][1], abs=1e-4)
    for ours, theirs in losses: assert ours == pytest.approx(theirs, rel=5e-3)
    assert losses[0][0] != pytest.approx(losses[1][0], abs=1e-4) # the networks did move


def test_every_part_can_be_chosen(capsys):
    assert list(parts) == ['step', 'data', 'epoch', 'quality', 'memory', 'growth', 'peak', 'compile']
    with pytest.raises(SystemExit): main(['--only', 'stpe'])
    assert 'stpe: choose from step, data' in capsys.readouterr().err
    with pytest.raises(SystemExit) as e: main(['no/such/folder', '--quick'])
    assert 'no/such/folder: no such file or folder' in str(e.value.code)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_make_gpu_without_a_gpu(tmp_path, capsys, monkeypatch):
    "One line; with --tiny its parts run on the CPU, and what fails is in the report, too"
    gpu.main([])
    assert capsys.readouterr().out == 'make gpu: there is no GPU here that PyTorch can use, so nothing was run\n'
    out = tmp_path/'GPU.md'
    gpu.main(['--tiny', '--only', 'A short', '-o', str(out)])
    text = out.read_text(encoding='utf-8')
    assert '| A short training | passed |' in text
    assert 'photos of 32 pixels, batches of 4, 1 epochs' in text
    shares = [share for *_, share in gpu.commands(None, tmp_path, tiny=True)]
    assert sum(shares) <= 1 # of nine minutes, so that no part is cut off
    assert gpu.run('A part', [sys.executable, '-c', 'print("half"); 1/0'], 60)['status'] == 'failed (1)'
    gpu.install_missing(None) # nothing is missing
    monkeypatch.setattr(gpu, 'NEEDED', ('pytest', 'no_such_module'))
    with pytest.raises(SystemExit, match='this Python has no no_such_module: WHEELS='): gpu.install_missing(None)


# ---- the photo model, trained on

TINY = ['--size', '64', '--bs', '4', '--n-valid', '4']


@pytest.fixture(scope='module')
def painted(tmp_path_factory):
    folder = tmp_path_factory.mktemp('painted')
    for i in range(14): paint_scene(i, 64).save(folder/f'{i}.png')
    return folder


def test_the_model_for_illustrations_is_trained_on_lines_and_known_things(painted, tmp_path, capsys):
    of = illustration_model.Drawings()
    (x, y), again = of.known(32, np.random.default_rng(0)), of.known(32, np.random.default_rng(0))
    assert x.shape == (6, 1, 32, 32) and y.shape == (6, 3, 32, 32)
    assert torch.equal(x, again[0]) and torch.equal(y, again[1])
    assert y[:, :1].min() > -.01 and y[:, :1].max() > .99 # lifted towards paper, and paper is white
    whole = torch.rand(2, 1, 128, 128), torch.rand(2, 3, 128, 128)
    seen = [of.seen(*whole, np.random.default_rng(i)) for i in range(12)]
    assert {o[0].shape for o in seen} == {(8, 1, 64, 64), (8, 1, 96, 96)} and {o[2] for o in seen} == {2}
    args = [str(painted), '-o', str(tmp_path), *TINY, '--epochs', '1', '--decay', '1', '--start', '']
    illustration_model.main(args)
    colorizer = Colorizer.load(tmp_path/'generator.safetensors')
    assert colorizer.config['task'] == 'illustration' and colorizer.scales == [1, 1.5]
    found = drawings.regions(colorizer, 2)
    assert found['own region'] > .9 and found['another region'] < .05
    drawings.main(['measure', str(painted), '--model', str(tmp_path/'generator.safetensors'), '-n', '2',
                   '-o', str(tmp_path/'rows.csv')])
    assert pd.read_csv(tmp_path/'rows.csv')['style'].tolist() == ['pencil', 'ink', 'outline']


def test_both_models_of_flowers_have_the_same_epochs_and_a_history(painted, tmp_path):
    small = dict(task='sketch', generator='unet', kwargs=dict(nf=4, n_down=2), size=32, bs=4, epochs_l1=2, epochs_gan=1)
    (tmp_path/'plan.json').write_text(json.dumps(small))
    args = [str(painted), '-o', str(tmp_path/'run'), '--plan', str(tmp_path/'plan.json'), '--sheets', '4',
            '--cache', str(tmp_path/'cache')]
    flower_model.main(args)
    history = pd.read_csv(tmp_path/'run/history.csv')
    assert history.groupby('run').epoch.apply(list).to_dict() == dict(gan=[1, 2, 3], l1=[1, 2, 3])
    assert history[history.loss_D.notna()][['run', 'epoch']].values.tolist() == [['gan', 3]]
    assert Plan.read(flower_model.PLAN).kwargs == dict(pretrained='illustration')
    packaged = pd.read_csv(flower_model.PLAN.with_name('flower.history.csv'))
    assert list(packaged) == list(history)
    plan = Plan.read(flower_model.PLAN)
    assert set(packaged.groupby('run').epoch.max()) == {plan.epochs_l1 + plan.epochs_gan}
    flower_model.main(args) # nothing is left to do
    assert pd.read_csv(tmp_path/'run/history.csv').equals(history)


def test_rewards_hold_the_colorfulness_and_the_hue_bias():
    held = photo_model.Held(.5, 0.)
    assert held(torch.tensor(.5)) == 0
    for _ in range(50): low = held(torch.tensor(.3)).item()
    for _ in range(300): high = held(torch.tensor(.9)).item()
    assert low > .05 and high == 0 # too low is rewarded, and what is enough is not
    torch.manual_seed(0)
    ab = torch.randn(4, 2, 8, 8)*.1 + .2
    assert photo_model.one_hue(ab).item() == pytest.approx(hue_bias(ab*110), abs=1e-5)
    y, x, biases = torch.rand(4, 3, 8, 8)*.4 - .2, torch.zeros(4, 1, 8, 8), []
    for bias in (1., .3):
        loss, pred = photo_model.ColorfulLoss(.5, bias, of=illustration_model.Drawings()), (y + .2).requires_grad_()
        opt = torch.optim.SGD([pred], 10.)
        for _ in range(60):
            opt.zero_grad()
            loss(x, pred, y)[0].backward()
            opt.step()
        biases.append(photo_model.one_hue(pred[:, 1:]).item())
    assert biases[1] < .9*biases[0]


def test_clicks_go_where_the_colours_are_furthest_off():
    truth = np.full((64, 64, 3), 255, np.uint8)
    truth[8:24, 8:24], truth[40:56, 40:56] = (200, 0, 0), (230, 230, 120)
    def wash(hints):
        "A hint fills its quarter's square"
        out = np.full_like(truth, 255)
        for o in hints:
            if (k := o.y//32) == o.x//32: out[int(8 + 32*k):int(24 + 32*k), int(8 + 32*k):int(24 + 32*k)] = o.color
        return out
    first, second, *more = drawings.where_wrong(wash, truth, 6, 6)
    assert 8 <= first.x <= 24 and 8 <= first.y <= 24 and first.color == (200, 0, 0)
    assert 40 <= second.x <= 56 and 40 <= second.y <= 56 # the first place is right now
    assert len({(o.x, o.y) for o in (first, second, *more)}) == 6


def test_one_paint_for_all_is_exact_where_there_is_one():
    lines = torch.stack([torch.from_numpy(line_art(i).lines)[None] for i in range(2)])
    def washes(*color): return illustrate(torch.tensor(color).view(1, 3, 1, 1).expand(2, 3, 256, 256), lines, least=0.)
    def squares(o): return [(x.permute(1, 2, 0)*255).round().byte().numpy() for x in o]
    red, blue, given = washes(.9, .3, .3), washes(.3, .4, .9), squares(lines.expand(-1, 3, -1, -1))
    same, other = [drawings.one_paint(given, squares(o)) for o in (red, (red[0], blue[1]))]
    assert same.min() > 30 and other.max() < same.min() - 8


def test_the_gallery_shows_each_drawing_beside_what_models_make_of_it(painted):
    tasks = 'sketch', 'illustration'
    colorizers = [Colorizer(LiteUnet(1, 3, pretrained=False), dict(task=task, size=32)) for task in tasks]
    files = sorted(painted.iterdir())[:3]
    drawn = list(drawings.examples(files, 64))
    assert len(drawn) == 13 and {(im.mode, im.size) for im in drawn} == {('L', (64, 64))}
    sheet = drawings.gallery(colorizers, files, cell=32)
    assert sheet.size == (3*(3*32 + 12) - 12, 5*32)
    r, g, b = sheet.crop((0, 0, 32, 32)).split()
    assert r.tobytes() == g.tobytes() == b.tobytes() # the drawing itself


def test_what_lines_tell_is_nothing_of_noise_and_all_of_what_they_are(painted, tmp_path):
    torch.manual_seed(0)
    x = torch.rand(8, 200, 3)
    assert abs(what_lines_tell.explained(x, torch.rand(8, 200, 2), 6)[0]) < .05
    told, ridge = what_lines_tell.explained(x, 2*x[..., :1] - x[..., 1:2], 6)
    assert told > .99 and ridge == .003
    what_lines_tell.main(['--wide', str(painted), '--narrow', str(painted), '-n', '8', '-o', str(tmp_path/'told.csv')])
    table = pd.read_csv(tmp_path/'told.csv')
    assert len(table) == 24 and set(table.measured) == {2} and (table.lightness <= 1).all()


def test_what_more_photos_would_tell(painted, tmp_path):
    files = photo_files(painted)[:8]
    def gains(fitted, measured):
        rows = list(what_lines_tell.learning(fitted, measured, 'pencil', first=2))
        assert [o['fitted'] for o in rows] == [2, 4][:len(rows)] and len(rows) == len(fitted)//2
        return [o['gain'] for o in rows]
    assert len(gains(files[:4], files[4:])) == 2
    assert gains(files[:2], files[:2])[0] > max(3, gains(files[:2], files[2:])[0] + .5)
    with pytest.raises(SystemExit): what_lines_tell.main(['--wide', str(painted)])


def test_the_attention_of_drawings_tells_lightness_too(painted, tmp_path):
    base, out = tmp_path/'base.safetensors', tmp_path/'hinted.safetensors'
    config = dict(generator='lite_unet', kwargs=dict(n_in=1, n_out=3), task='illustration', size=64)
    save_weights(LiteUnet(1, 3, pretrained=False), base, config)
    same = ['train', str(painted), '--model', str(base), '--n', '4', '--sheets', '2', '--bs', '2',
            '--cache', str(tmp_path/'cache')]
    hints.main([*same, '--steps', '2', '-o', str(out)])
    on, trained = str(tmp_path/'on.safetensors'), hints.attention_of(str(out))
    hints.main([*same, '--steps', '0', '--resume', str(out), '-o', on]) # goes on from the attention of a model
    assert all(torch.equal(v, trained[k]) for k, v in hints.attention_of(on).items())
    torch.save(trained, f'{on}.part')
    assert all(torch.equal(v, trained[k]) for k, v in hints.attention_of(f'{on}.part').items())
    colorizer = Colorizer.load(out)
    assert colorizer.network.takes_hints and (colorizer.model.n_in, colorizer.model.n_out) == (1, 3)
    drawing = Image.fromarray((line_art(3).lines*255).astype(np.uint8)).convert('RGB')
    assert np.array_equal(colorizer(drawing), Colorizer.load(base)(drawing)) # without hints it is the base alone
    hinted = HintedPhoto(colorizer, colorizer.task.prepare(drawing))
    hinted.colorizer.task.fill = None # what the network does alone
    dark = hinted.predict(check_hints([(20, 20, '#202020')], drawing.size))[1] - hinted.encoded[1]
    assert dark[0, 0, 15:25, 15:25].mean() < -.05 # darker around the hint


def test_the_photo_model_is_trained_and_goes_on_where_it_was_cut_off(painted, tmp_path, monkeypatch):
    "Two epochs in one run, or cut off after one and begun again: the same batches, then the same state"
    def run(name, epochs):
        photo_model.main([str(painted), '-o', str(tmp_path/name), *TINY, '--epochs', str(epochs), '--decay', '1'])
        return [json.loads(line) for line in (tmp_path/name/'history.jsonl').read_text().splitlines()]
    seen = []
    loss_of = photo_model.ColorfulLoss.__call__
    def noted(self, lum, *args):
        seen.append(lum.double().sum().item())
        return loss_of(self, lum, *args)
    monkeypatch.setattr(photo_model.ColorfulLoss, '__call__', noted)
    assert [o['epoch'] for o in run('once', 2)] == [0, 1]
    whole, seen[:] = seen[:], []
    class CutOff(Exception): pass
    def cut(*args): raise CutOff
    assert len(run('twice', 1)) == 1
    with monkeypatch.context() as m, pytest.raises(CutOff): # before the second epoch has come to its end
        m.setattr(photo_model, 'watch', cut)
        run('twice', 2)
    first = len(whole)//2
    assert seen == whole # the same photos, crops and flips, in their order
    assert [o['epoch'] for o in run('twice', 2)] == [0, 1]
    assert seen[2*first:] == whole[first:] # what was cut off is done again
    state = torch.load(tmp_path/'twice/checkpoint.pt')
    assert state['epoch'] == 2 and state['held'][0][1] != .68
    colorizer, before = Colorizer.load(tmp_path/'twice/generator.safetensors'), photo_model.base_weights('grayscale')
    assert colorizer.scales == [1, 2]
    moved = {k for k, v in colorizer.model.state_dict().items() if not torch.equal(v, before[k].half().float())}
    assert {'head.weight', 'encoder.stages.3.0.layers.0.weight'} <= moved
    assert not any(k.startswith(('encoder.stem', 'encoder.stages.0', 'encoder.stages.2')) for k in moved)
    assert not any('running' in k for k in moved if k.startswith('encoder'))


def test_colorfulness_is_rewarded_until_there_is_enough():
    loss, lum, ab = photo_model.ColorfulLoss(.8), torch.zeros(2, 1, 8, 8), torch.rand(2, 2, 8, 8)*.6 - .3
    weights = []
    for strength in [.3]*60 + [1.]*200:
        loss(lum, ab*strength, ab)
        weights.append(loss.share.weight)
    assert weights[59] > weights[0] > .3 # too pale: the reward grows
    assert weights[-1] < max(weights) # too colourful: it shrinks again
    rgb = photo_model.PHOTOS.rgb
    pale, strong = [photo_model.colorful_share(rgb(lum, ab*o), rgb(lum, ab)).item() for o in (.3, 1.)]
    assert pale < .5 and strong == pytest.approx(1, abs=1e-3)


def test_other_networks_start_from_the_packaged_one():
    "Further channels of hints begin at 0, so that hints change nothing before the training"
    tensors, x = photo_model.base_weights('grayscale'), torch.rand(2, 4, 64, 64)*2 - 1
    base = LiteUnet(1, 2, pretrained=False)
    base.load_state_dict(tensors)
    hinted = train_on.start_from(LiteUnet(4, 2, pretrained=False), tensors)
    with torch.no_grad(): torch.testing.assert_close(hinted.eval()(x), base.eval()(x[:, :1]))
    assert hinted.state_dict()[train_on.STEM].shape[1] == 4


@pytest.mark.parametrize('way,generator', [('as_before', 'lite_unet'), ('classification', 'bin_classifier'),
                                           ('adversarial', 'lite_unet'), ('hint_channels', 'lite_unet'),
                                           ('decoder_alone', 'lite_unet')])
def test_each_way_to_train_on_makes_a_model(painted, tmp_path, way, generator, capsys):
    out = tmp_path/f'{way}.safetensors'
    train_on.main([way, str(painted), '-o', str(out), *TINY, '--minutes', '.01'])
    net, config = load_weights(out)
    assert config['generator'] == generator and config['task'].startswith('grayscale')
    before = photo_model.base_weights('grayscale')
    after = {k.removeprefix('body.'): v for k, v in net.state_dict().items()}
    same = {k for k, v in before.items() if v.shape == after[k].shape and torch.equal(v.half().float(), after[k])}
    shallow = 'encoder.stages.1.0.layers.0.weight'
    assert (shallow in same) == (way != 'hint_channels') # there the whole encoder learns
    assert 'ups.0.mix.0.weight' not in same
    assert ('encoder.stages.5.0.layers.0.weight' in same) == (way == 'decoder_alone')
    average, _ = load_weights(tmp_path/f'{way}_average.safetensors')
    k = next(o for o in average.state_dict() if o.endswith('ups.0.mix.0.weight'))
    assert 0 < (average.state_dict()[k] - net.state_dict()[k]).abs().max() < .1
    assert '100%' in capsys.readouterr().out


def test_a_row_says_what_the_card_says(painted, tmp_path):
    train_on.main(['measure', str(painted), '--saturation', '0', '-o', str(tmp_path/'rows.csv')])
    row, = pd.read_csv(tmp_path/'rows.csv').to_dict('records')
    assert row['model'] == 'grayscale' and 10 < row['photos'] <= 14
    assert row['colorfulness'] == pytest.approx(0, abs=.01) and row['over_gray'] == pytest.approx(0, abs=.02)
    assert row['frechet'] > 0


def test_neighbours_of_like_lightness_agree_on_a_class():
    "A class that is likely at a few places loses, and an edge of lightness keeps both sides apart"
    class Logits(torch.nn.Module):
        def forward(self, x):
            logits = torch.zeros(1, 261, 16, 16)
            logits[:, 20, :, :8], logits[:, 240, :, 8:] = 9, 9
            logits[:, 240, 4, 4] = 12 # it says otherwise
            return logits
    x = torch.full((1, 1, 64, 64), -.8)
    x[..., 32:] = .8
    alone, agreed = [train_on.Consistent(Logits(), radius, .38)(x) for radius in (0, 3)]
    left, right = bin_centers()[[20, 240]]/110
    assert (alone[0, :, 18, 18] - left).norm() > .5*(right - left).norm() # between four cells, most of it
    assert (agreed[0, :, 18, 18] - left).norm() < .05
    for o in (alone, agreed): assert (o[0, :, 40, 29] - left).norm() < .05 and (o[0, :, 40, 34] - right).norm() < .05


def test_hint_channels_are_measured_as_the_model_is(painted, tmp_path):
    "Channels whose weights are 0 change nothing, and without them it is the packaged base network"
    net = train_on.start_from(LiteUnet(4, 2, pretrained=False), photo_model.base_weights('grayscale'))
    config = dict(generator='lite_unet', kwargs=dict(n_in=4, n_out=2), task='grayscale_hints', size=128, scales=[1, 2])
    save_weights(net, tmp_path/'channels.safetensors', config)
    colorizer, file = Colorizer.load(tmp_path/'channels.safetensors', precision='fp32'), painted/'1.png'
    found = [row['psnr'] for row in hints.rows_of(colorizer, file, 'channels')]
    assert found == pytest.approx([found[0]]*8, abs=1e-4)
    unhinted = next(hints.rows_of(Colorizer.load(precision='fp32'), file, 'model'))['psnr']
    assert found[0] == pytest.approx(unhinted, abs=.1)
    stem = net.state_dict()[train_on.STEM]
    stem[:, 1:] = .3 # as if it had learned something
    save_weights(net, tmp_path/'channels.safetensors', config)
    other = [row['psnr'] for row in hints.rows_of(Colorizer.load(tmp_path/'channels.safetensors'), file, 'channels')]
    assert abs(other[-1] - other[0]) > .01


def test_photos_that_no_training_saw_are_found_again(painted, tmp_path, capsys):
    "Those that a training with the same folders watches, less what the start and the attention had seen"
    more = tmp_path/'more'
    more.mkdir()
    for i in range(20, 40): paint_scene(i, 64).save(more/f'{i}.png')
    folders, files = [str(painted), str(more)], sorted(photo_files(painted) + photo_files(more))
    random.Random(0).shuffle(files)
    args = photo_model.options('photo_model', '').parse_args([*folders, '--n-valid', '12', '--size', '32'])
    args.cache = False
    held = photo_model.PHOTOS.batches(files, args).valid.dataset.names
    start = {str(o) for o in photo_files(painted)} - set(working_sizes.watched(photo_files(painted), 64, 42))
    assert len(start) == 1 # a small folder: all but one are watched
    found = working_sizes.held_out(*folders, n_valid=12)
    assert found == [o for o in held if o not in start] and len(held) == 12
    attended = {str(o) for o in files[:10]}
    less = working_sizes.held_out(*folders, n_valid=12, n_hints=10)
    assert less == [o for o in found if o not in attended] and len(less) < len(found)


def test_sizes_are_compared_at_equal_colorfulness():
    "A choice that is ahead because it is paler is not ahead where all are as colourful"
    factors = np.array(working_sizes.FACTORS)
    rows = []
    for sizes, strength, error in (((128,), 1., .4), ((128, 256), .9, .2)):
        for photo, true in (('a', 40.), ('b', 60.)):
            for f in factors: # a gain that falls with colorfulness, and with a method's own error
                share = .6*strength*f
                rows.append(dict(photo=photo, sizes=sizes, factor=f, ours=share*true, truth=true,
                                 over_gray=3 - 2*share - error - true/100))
    table = pd.DataFrame(working_sizes.summary(pd.DataFrame(rows))).set_index(['sizes', 'equal'])
    one, both = table.loc[('128', True)], table.loc[('128 256', True)]
    assert one.factor == pytest.approx(.65/.6) and both.factor == pytest.approx(.65/.54)
    assert one.over_gray == pytest.approx(3 - 1.3 - .4 - .5)
    assert one.less == pytest.approx(.2) and one.sem_less == pytest.approx(0, abs=1e-9)
    reported = table[~table.index.get_level_values('equal')].factor
    assert reported.tolist() == [1, photo_model.FACTOR, 1.08]*2
    pale = pd.DataFrame(rows).assign(ours=1.)
    with pytest.raises(ValueError, match='gives 65%'): list(working_sizes.summary(pale))


def test_colors_are_surely_strong_enough():
    "The factor at which the share is 65% with two standard errors to spare; the more photos, the lower"
    true = np.array([40., 50, 60, 70])
    def at(copies, share=.6): # of each photo some more and some less than `share` of its colours
        rows = [dict(photo=i, factor=f, ours=f*(share + (.1, -.1)[i % 2])*t, truth=t, over_gray=1.)
                for f in color_strength.TRIED for i, t in enumerate(np.repeat(true, copies))]
        return pd.DataFrame(rows).groupby('factor').apply(color_strength.share_of, include_groups=False)
    shares = at(100)
    assert shares.share[1.] == pytest.approx(.6) and shares.sem_share[1.] == pytest.approx(.1/20, rel=.1)
    found = color_strength.strong_enough(shares)
    assert found == pytest.approx(.65/(.6 - 2*shares.sem_share[1.]), abs=.001)
    assert color_strength.strong_enough(at(10000)) < found
    with pytest.raises(ValueError, match='just gives 65%'): color_strength.strong_enough(at(100, share=.3))


def test_the_strength_is_measured_on_photos_of_some_kinds(painted, tmp_path, monkeypatch, capsys):
    "Only those whose names begin as wanted set it; factors count from the network without the one in its weights"
    names = [f.name for f in photo_files(painted)]
    monkeypatch.setattr(color_strength, 'strong_enough', lambda shares: shares.share[1.])
    def measured(*args):
        color_strength.main([str(painted), '--like', *names[:2], '--n-seen', '3', '--n-valid', '2', *args,
                             '-o', str(tmp_path/'strength.csv')])
        return pd.read_csv(tmp_path/'strength.csv', index_col=['of', 'factor'])
    table = measured()
    kinds = table.loc['of the kinds']
    assert [table.loc[o].photos.iloc[0] for o in ('trained on', 'held out', 'of the kinds')] == [3, 2, 2]
    assert kinds.share.is_monotonic_increasing and kinds.share.iloc[-1] > 1.2*kinds.share.iloc[0]
    assert f'surely gives 65%: {kinds.share[1.]:.3f}' in capsys.readouterr().out
    twice = measured('--factor', str(2*photo_model.FACTOR)).loc['of the kinds']
    assert twice.share[1.] < .7*kinds.share[1.]


def test_a_fresh_training_leaves_out_what_is_measured(painted, tmp_path, monkeypatch, capsys):
    "Neither held-out photos nor every sixth of the kinds are trained on; a model is compared on them"
    more, out = tmp_path/'more', tmp_path/'fresh'
    more.mkdir()
    for i in range(20, 32): paint_scene(i, 64).save(more/f'{i}.png')
    names = [f.name for f in photo_files(painted)]
    fresh_training.main(['split', str(painted), str(more), '--like', *names[:13], '--n-valid', '8', '-o', str(out)])
    folders = {o.name: {f.resolve() for f in o.iterdir()} for o in out.iterdir()}
    held, kinds, known, trained = [folders[o] for o in ('held', 'kinds', 'known', 'trained')]
    assert held == {Path(o).resolve() for o in working_sizes.held_out(str(painted), str(more), n_valid=8)}
    alike = [f.resolve() for f in photo_files(painted) if f.name in names[:13] and f.resolve() not in held]
    assert kinds == set(alike[::6]) and known == set(alike) - kinds
    everything = {f.resolve() for f in [*photo_files(painted), *photo_files(more)]}
    assert trained == everything - held - kinds and folders['first'] == {o for o in trained if o.parent == painted}
    pale, table = tmp_path/'pale/generator.safetensors', tmp_path/'table.csv'
    pale.parent.mkdir()
    net, _ = load_weights(weights_file('grayscale'))
    config = dict(generator='lite_unet', kwargs=dict(n_in=1, n_out=2), task='grayscale', size=128, scales=[1, 2])
    save_weights(photo_model.stronger(net.base, .9), pale, config)
    factors = (.5, .7, .9, 1., 1.2, 1.5, 2., 3., 4.) # painted scenes are more colourful than what is predicted
    for o in (fresh_training, working_sizes): monkeypatch.setattr(o, 'FACTORS', factors)
    fresh_training.main(['measure', str(out), '--models', str(pale), '-o', str(table)])
    rows = pd.read_csv(table, index_col=['model', 'of'])
    assert rows.photos['pale', 'known'] == len(known) and rows.lead['grayscale', 'held'] == 0
    for o in fresh_training.MEASURED: # the same network but for a factor: paler, and as good at equal colours
        assert rows.share['pale', o] == pytest.approx(.9*rows.share['grayscale', o], rel=.03)
        assert rows.lead['pale', o] == pytest.approx(0, abs=.1)
    assert 'beside' in capsys.readouterr().out


def test_bolder_on_known_photos():
    "Colours a fifth stronger on known photos are found, whatever the two folders differ in"
    rng, rows = np.random.default_rng(0), []
    for of, n in (('kinds', 400), ('known', 900)):
        for i, truth in enumerate(rng.uniform(20, 60, n)):
            base = truth*(.6 if of == 'kinds' else .7)*rng.uniform(.5, 1.5)
            for model, ours in (('grayscale', base), ('new', base*(1.2 if of == 'known' else 1))):
                rows.append(dict(model=model, of=of, photo=f'{of}{i}', factor=1., ours=ours, truth=truth))
    row = fresh_training.bolder(pd.DataFrame(rows), 'new')
    assert row['beside'] == pytest.approx(1.2) and row['sem_beside'] == pytest.approx(0, abs=1e-9)
    assert row['ratio'] == pytest.approx(1.4, abs=3*row['sem_ratio']) and .01 < row['sem_ratio'] < .04


def test_hints_of_one_scene_go_together():
    "The standard error of scenes: hints of a scene that agree tell no more than one of them"
    one = pd.DataFrame(dict(seed=[1, 2, 3, 4], outside=[.1, .3, .2, .6]))
    mean, sem = hints.over_scenes(one, 'outside')
    assert (mean, sem) == (pytest.approx(.3), pytest.approx(one.outside.sem()))
    assert hints.over_scenes(pd.concat([one]*5), 'outside') == pytest.approx((mean, sem))


def test_only_bold_hints_end_at_borders(painted, tmp_path, monkeypatch, capsys):
    "The later a hint counts as bold, the further it reaches; at the end as far as without borders"
    monkeypatch.setattr(hint_borders, 'RAMPS', ((28, 38), (500, 510)))
    monkeypatch.setattr(hint_borders, 'COUNTS', (2,))
    monkeypatch.setattr(hint_borders, 'BORDERS', ((.74, .9), (.82, .9)))
    args = [str(painted), '--n-valid', '2', '--n-hints', '0', '--scenes', '1', '-o', str(tmp_path/'borders.csv')]
    hint_borders.main(args)
    assert ' photos, ' in capsys.readouterr().out
    assert hint_attention.stay_within is hint_borders.plain
    first, last, narrow = pd.read_csv(tmp_path/'borders.csv').to_dict('records')
    assert [(o['bold'], o['low'], o['high']) for o in (first, last, narrow)] == [
        (28, .74, .9), (500, .74, .9), (28, .82, .9)]
    assert first['outside'] < .5*last['outside'] and first['inside'] > .5
    assert narrow['outside'] < first['outside'] and narrow['inside'] < first['inside']
    colorizer = Colorizer.load()
    packaged = [o['outside'] for o in hints.reach_rows(colorizer, [20000]) if o['within']]
    assert first['outside'] == pytest.approx(np.mean(packaged), abs=1e-4)
    colorizer.model.attention.bold = 500, 510
    rows = list(itertools.islice(hints.reach_rows(colorizer, [20000]), 2))
    assert [o['within'] for o in rows] == [False, True]
    assert rows[0]['outside'] == pytest.approx(rows[1]['outside'], abs=1e-3)


@films
def test_a_section_is_written_anew_and_the_others_stay(tmp_path):
    for title, line in (('A', '1'), ('B', '2'), ('A', '3')): video.put_section(title, [line], tmp_path/'V.md')
    assert (tmp_path/'V.md').read_text() == '# Films\n\n## A\n\n3\n\n## B\n\n2\n'


@films
def test_mean_and_worst_film():
    "Of two films, against the tables of each alone"
    color = Colorizer.load()
    both = [('scenes', video.known_scene(i, 9, (48, 32))) for i in (0, 3)]
    table, truth = video.steadiness(both, color, 2)
    alone = [video.steadiness([o], color, 1)[0] for o in both]
    for name, worst in (('ratio', max), ('gain', min), ('share', min)):
        for row, a, b in zip(table.itertuples(), *(o[name] for o in alone), strict=True):
            assert getattr(row, name) == pytest.approx((a + b)/2)
            assert getattr(row, f'{name}_worst') == worst(a, b)
            assert (a, b)[getattr(row, f'{name}_where') - 1] == worst(a, b)
    lines = video.steadiness_lines(table, truth)
    assert len(lines) == 2 + len(video.STRENGTHS) + 1 + 2


@films
def test_strengths_that_keep_the_marks():
    "Each mark at its edge, and one kind of film that misses one of them"
    table = pd.DataFrame([dict(kind='a', strength=s, ratio=.5, gain=-.05, share=.97) for s in (0, .2, .4)]
                         + [dict(kind='b', strength=s, ratio=.4, gain=0, share=1) for s in (0, .2, .4)])
    assert video.keep_marks(table) == [.2, .4]
    for name, bad in (('ratio', .51), ('gain', -.051), ('share', .969)):
        worse = table.copy()
        worse.loc[5, name] = bad
        assert video.keep_marks(worse) == [.2]


@films
def test_films_are_compared_frame_by_frame_and_packet_by_packet(tmp_path):
    a, b, c = (video.film_with_sound(tmp_path/f'{o}.mp4', n, (64, 48)) for o, n in (('a', 30), ('b', 30), ('c', 28)))
    assert film_kills.differ(a, b, True, video=0) == (0, 30)
    wrong, n = film_kills.differ(a, c, True, video=0)
    assert (wrong >= 2, n) == (True, 30)
    assert film_kills.differ(a, b, False, audio=0)[0] == 0
    assert film_kills.differ(a, c, False, audio=0)[0] > 0


@films
@pytest.mark.slow
def test_films_killed_at_both_ends_of_the_last_step(tmp_path):
    film = video.film_with_sound(tmp_path/'film.mp4', 12, (64, 48))
    places = [o for o in film_kills.PLACES if 'name' in o and 'segment' not in o]
    rows = list(film_kills.killed(film, 'out.mkv', ('--codec', 'ffv1', '--size', '48'), places, 0))
    assert [o['killed'] for o in rows] == ['joined, just before it gets its name',
                                           'it has its name, the folder is still there']
    for row in rows:
        assert (row['by'], row['safe'], row['again']) == ('SIGKILL', 12, 'done')
        assert (row['frames'], row['sound'], row['left']) == ('12 of 12', 'the same', 0)
        assert row['files'] >= 4 # a segment, its colours, its state, the key
