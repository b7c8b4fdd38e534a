"Line drawings of photos, the sketch task, drawings from paper, and the same pipeline for both tasks."
import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops
from skimage import feature

from colorize_lib.engine.checkpoints import Checkpoints
from colorize_lib.apply.colorizer import Colorizer, SketchPicture, picture_tasks
from colorize_lib.apply.commands import main as colorize
from colorize_lib.sketch.drawings import clean_drawing, draw_house, is_dark_mode, looks_like_drawing
from colorize_lib.lab import colorize_dls, get_task, tasks
from colorize_lib.patchgan import PatchGAN
from colorize_lib.results import comparison_table, evaluate, loss_table
from colorize_lib.photos.samples import paint_scene
from colorize_lib.sketch.sketch import Sketch, add_paper, canny, gaussian_blur, styles, to_sketch
from colorize_lib.experiments.plans import main as colorize_train
from colorize_lib.training import PatchGANTrainer
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.unet import Unet
from colorize_lib.engine.weights import save_weights

PHOTOS = torch.stack([torch.from_numpy(np.array(paint_scene(i, 96))).permute(2, 0, 1) for i in range(6)])/255


@pytest.fixture(scope='module')
def dls():
    return colorize_dls([paint_scene(i, 48) for i in range(30)], size=32, bs=8,
                        n_valid=10, task='sketch', device=torch.device('cpu'))


@pytest.fixture(scope='module')
def model_file(tmp_path_factory):
    torch.manual_seed(0)
    return save_weights(Unet(1, 3, nf=4, n_down=2), tmp_path_factory.mktemp('weights')/'lines.safetensors',
                        dict(generator='unet', kwargs=dict(n_in=1, n_out=3, nf=4, n_down=2), task='sketch', size=32))


@pytest.mark.parametrize('style', styles)
def test_a_batch_is_drawn_as_its_photos_alone(style):
    weight, detail = torch.linspace(.5, 1.5, 6), torch.linspace(.1, .9, 6)
    batch = to_sketch(PHOTOS, style, weight, detail)
    alone = torch.cat([to_sketch(p[None], style, w, d) for p, w, d in zip(PHOTOS, weight, detail)])
    assert batch.shape == (6, 1, 96, 96)
    assert 0 <= batch.min()
    assert batch.max() <= 1
    assert (batch - alone).abs().mean() < .002
    assert (to_sketch(PHOTOS*0 + .5, style) > .99).all() # nothing to draw: paper


@pytest.mark.parametrize('style', styles)
def test_heavier_lines_are_darker(style):
    thin, thick = to_sketch(PHOTOS, style, .5).mean(), to_sketch(PHOTOS, style, 1.6).mean()
    assert thick < thin - .005


def test_canny_is_scikit_images():
    light = torch.rand(1, 1, 12, 12).repeat_interleave(8, -1).repeat_interleave(8, -2)
    ours = canny(light, 1.5, .1, .2)[0, 0].bool().numpy()
    theirs = feature.canny(light[0, 0].numpy(), 1.5, low_threshold=.1, high_threshold=.2, mode='nearest')
    assert (ours & theirs).sum() > .9*(ours | theirs).sum() > 50


def test_each_photo_is_blurred_by_its_own_gaussian():
    x = torch.rand(3, 1, 40, 40)
    out = gaussian_blur(x, [.5, 2, 5])
    assert [round(o.std().item(), 2) for o in out] == sorted((round(o.std().item(), 2) for o in out), reverse=True)
    assert torch.allclose(gaussian_blur(x*0 + .3, 4.), x*0 + .3, atol=1e-5) # also at the border


def test_chance_follows_from_seed_epoch_and_photo(dls):
    again = colorize_dls([paint_scene(i, 48) for i in range(30)], size=32, bs=8,
                         n_valid=10, task='sketch', device=torch.device('cpu'))
    first = [x for x, _ in dls.train]
    assert all(torch.equal(a, b) for a, (b, _) in zip(first, again.train))
    assert not any(torch.equal(a, b) for a, (b, _) in zip(first, again.train)) # the next epoch
    assert torch.equal(*(torch.cat([x for x, _ in dls.valid]) for _ in range(2)))


def test_processes_draw_what_one_would(dls):
    dl = dls.train
    one = next(iter(dl.new(bs=8)))[0]
    two = [next(iter(dl.new(bs=4, rank=r, world=2)))[0] for r in (0, 1)]
    assert (one - torch.cat(two)).abs().mean() < .01


def test_wishes_that_cannot_be_met():
    with pytest.raises(ValueError, match="style='oil': choose from 'pencil', 'ink', 'outline'"):
        to_sketch(PHOTOS, 'oil')
    with pytest.raises(ValueError, match=r'expected \(B,3,H,W\)'): to_sketch(PHOTOS[0])
    with pytest.raises(ValueError, match=f"task='sepia': choose from {', '.join(map(repr, tasks))}"): get_task('sepia')
    with pytest.raises(ValueError, match="style='oil'"): Sketch('oil')
    # comparisons add tasks of their own, which take no pictures
    assert {'grayscale', 'sketch'} == set(picture_tasks) <= set(tasks)


def test_paper():
    drawn = to_sketch(PHOTOS, 'ink')
    rough = add_paper(drawn, .1, range(6))
    assert torch.equal(rough, add_paper(drawn, .1, range(6)))
    assert not torch.equal(rough, add_paper(drawn, .1, range(1, 7)))
    assert .005 < (rough - drawn).abs().mean() < .1


def test_adversarial_training_learns_and_resumes(dls, tmp_path):
    "Learner, PatchGANTrainer, Checkpoints, loss table and results: nothing in them knows of sketches"
    def run(n, resume, folder):
        torch.manual_seed(1)
        learn = colorize_learner(colorize_dls([paint_scene(i, 48) for i in range(30)], size=32, bs=8,
                                              n_valid=10, task='sketch', device=torch.device('cpu')),
                                 Unet(1, 3, nf=4, n_down=2), precision='fp32')
        class Stop(Exception): pass
        from fastai.callback.core import Callback
        class Killed(Callback):
            def before_epoch(self):
                if self.epoch == n: raise Stop('killed')
        with learn.no_bar(), learn.no_logging():
            try:
                learn.fit(3, 1e-2,
                          cbs=[PatchGANTrainer(PatchGAN(4, nf=4, n_down=1)),
                               Checkpoints(tmp_path/folder, resume=resume), Killed()])
            except Stop: pass
        return learn
    whole = run(9, False, 'a')
    run(1, False, 'b')
    resumed = run(9, True, 'b')
    assert all(torch.equal(a, b)
               for a, b in zip(whole.model.state_dict().values(), resumed.model.state_dict().values()))
    assert len(loss_table(whole)) == 3
    table = comparison_table({'net': evaluate(whole)})
    assert list(table.index) == ['the sketch itself', 'its own mean colour', 'net', 'truth']


def test_training_beats_both_baselines():
    torch.manual_seed(0)
    learn = colorize_learner(colorize_dls([paint_scene(i, 48) for i in range(150)], size=32, bs=10, n_valid=30,
                                          task='sketch', device=torch.device('cpu')), Unet(1, 3, nf=8, n_down=3))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(8, 1e-2)
    psnr = comparison_table({'net': evaluate(learn)}).psnr
    assert psnr['net'] > psnr['its own mean colour'] + .5
    assert psnr['net'] > psnr['the sketch itself'] + 3


# drawings by hand

def _given():
    house = draw_house(400)
    shade = Image.fromarray(np.linspace(110, 240, 400).astype(np.uint8)[:, None].repeat(400, 1))
    nothing = [Image.new('RGBA', house.size, (v, v, v, 0)) for v in (0, 255)]
    for v, im in zip((0, 255), nothing): im.paste((v, v, v, 255), mask=ImageChops.invert(house))
    return dict(clean=house, shaded=ImageChops.multiply(house, shade), dark=ImageChops.invert(house),
                black_on_nothing=nothing[0], white_on_nothing=nothing[1])


@pytest.mark.parametrize('kind', _given())
def test_drawings_become_lines_on_white_paper(kind):
    out = np.asarray(clean_drawing(_given()[kind] if 'nothing' in kind else _given()[kind].convert('RGB')), np.int16)
    assert out.shape == (400, 400, 3)
    assert np.abs(out[..., 0] - np.asarray(draw_house(400), np.int16)).mean() < 4


def test_shadows_in_ink_stay_black():
    ink = draw_house(400)
    ink.paste(0, (0, 300, 400, 400))
    assert np.asarray(clean_drawing(ink.convert('RGB')))[350, 200].max() < 30
    assert not is_dark_mode(ink)


@pytest.mark.parametrize('size', [(1, 1), (3, 200), (2000, 2), (17, 23)])
def test_drawings_of_any_size(size, model_file):
    img = Image.new('RGB', size, 'white')
    assert clean_drawing(img).size == size
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert Colorizer.load(model_file, 'cpu')(img).size == size


def test_colorizer_sees_what_the_network_saw_in_training(dls, model_file):
    x, _ = dls.valid.one_batch()
    sheet = Image.fromarray(((x[0, 0] + 1)*127.5).round().byte().numpy()).convert('RGB')
    seen = SketchPicture().encode(sheet)
    assert (seen - x[:1]).abs().mean() < .03


def test_at_the_networks_size_the_result_is_its_prediction(model_file):
    colorizer = Colorizer.load(model_file, 'cpu', 'fp32')
    sheet = draw_house(32).convert('RGB')
    x, pred = colorizer._predict(clean_drawing(sheet), 32)
    predicted = get_task('sketch').decode((x, pred))[1][0]
    assert np.abs(np.asarray(colorizer(sheet), np.int16) - (predicted*255).round().permute(1, 2, 0).numpy()).max() <= 1


def test_the_other_task_is_named(model_file):
    lines, gray = Colorizer.load(model_file, 'cpu'), Colorizer.load('grayscale', 'cpu')
    photo, drawing = paint_scene(3, 128).convert('L'), draw_house(128)
    with pytest.warns(UserWarning, match="looks like a photo.*'grayscale'"): lines(photo)
    with pytest.warns(UserWarning, match="looks like a drawing.*'sketch'"): gray(drawing)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        lines(drawing), gray(photo)
    assert looks_like_drawing(drawing.convert('RGB'))
    assert not looks_like_drawing(photo.convert('RGB'))


# commands

def test_commands_for_sketches(tmp_path, model_file, capsys):
    for i in range(12): (tmp_path/'photos').mkdir(exist_ok=True); paint_scene(i, 64).save(tmp_path/f'photos/{i}.png')
    (tmp_path/'plan.json').write_text(json.dumps(dict(task='sketch', generator='unet', kwargs=dict(nf=4, n_down=2),
                                                      size=32, bs=4, epochs_l1=1, epochs_gan=1)))
    colorize_train([str(tmp_path/'photos'), '-o', str(tmp_path/'run'),
                    '--plan', str(tmp_path/'plan.json'), '--device', 'cpu'])
    config = Colorizer.load(tmp_path/'run/generator.safetensors', 'cpu').config
    assert config['task'] == 'sketch'
    assert config['kwargs'] == dict(n_in=1, n_out=3, nf=4, n_down=2)
    assert 'the sketch itself' in (tmp_path/'run/metrics.csv').read_text()
    draw_house(200).save(tmp_path/'house.png')
    model = str(tmp_path/'run/generator.safetensors')
    assert colorize([str(tmp_path/'house.png'), '--task', 'sketch', '--model', model]) == 0
    assert Image.open(tmp_path/'house_color.png').size == (200, 200)
    assert colorize([str(tmp_path/'house.png'), '--task', 'grayscale', '--model', model, '--force']) == 1
    assert 'this model is for --task sketch' in capsys.readouterr().err
