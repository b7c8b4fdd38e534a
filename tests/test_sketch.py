"Line drawings of photos, the sketch task, drawings from paper, and the same pipeline for both tasks."
import json
import warnings
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops
from scipy.ndimage import distance_transform_edt
from skimage import feature, measure, restoration

from colorize_lib.engine.checkpoints import Checkpoints
from colorize_lib.apply.colorizer import Colorizer, SketchPicture, picture_tasks
from colorize_lib.apply.commands import main as colorize
from colorize_lib.sketch.flowers import JoinDrawings, flower_sheet, flowers, petal
from colorize_lib.sketch.illustration import detail, flat_colors, illustrate, lift_colors
from colorize_lib.sketch.line_art import line_art, things, with_gaps
from colorize_lib.sketch.regions import fill_regions, find_regions, pieces_of_lines
from colorize_lib.sketch.drawings import clean_drawing, draw_house, is_dark_mode, looks_like_drawing
from colorize_lib.lab import colorize_dls, get_task, rgb_to_lab, tasks
from colorize_lib.patchgan import PatchGAN
from colorize_lib.results import comparison_table, evaluate, loss_table
from colorize_lib.photos.pictures import rgb_tensor
from colorize_lib.photos.samples import paint_scene
from colorize_lib.sketch.sketch import Sketch, add_paper, canny, gaussian_blur, styles, to_sketch
from colorize_lib.experiments.plans import Plan, main as colorize_train, run_plan
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
    assert {'grayscale', 'sketch', 'illustration'} == set(picture_tasks) <= set(tasks)


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


SCANS = dict(uneven=dict(dark=.5), yellowish=dict(paper=(236, 220, 180)), grayish=dict(paper=(170, 170, 172)),
             shadow=dict(shadow=.62), blue=dict(pen=(40, 60, 150), dark=.7), thin=dict(strength=.35, dark=.7),
             all=dict(dark=.6, paper=(236, 220, 180), shadow=.7), large=dict(dark=.6, size=3464))


def photographed(art, paper=(250, 248, 244), pen=(30, 30, 34), strength=1., dark=1., shadow=1., size=900):
    "A drawing as a camera sees it: its paper, its pen, uneven light, a shadow from one side, noise and JPEG"
    lines = np.asarray(Image.fromarray(art.lines).resize((size, size), Image.BICUBIC)).clip(0, 1)
    ink = strength*(1 - lines)[..., None]
    y, x = np.mgrid[:size, :size]/size
    light = 1 - (1 - dark)*((x - .2)**2 + (y - .1)**2)/1.5
    light = (light*(1 - (1 - shadow)/(1 + np.exp(-60*(x + .3*y - .9)))))[..., None]
    noise = np.random.default_rng(0).normal(0, 4, (size, size, 1))
    img = ((1 - ink)*np.array(paper) + ink*np.array(pen))*light + noise
    Image.fromarray(img.clip(0, 255).astype(np.uint8)).save(buffer := BytesIO(), 'JPEG', quality=70)
    return Image.open(buffer).convert('RGB')


@pytest.mark.parametrize('kind', SCANS)
def test_paper_of_scans_stays_paper_and_hints_fill_their_regions(kind):
    art, colorizer = line_art((5, 0), width=2.5), Colorizer.load('illustration', 'cpu')
    scan = photographed(art, **SCANS[kind])
    def lab_of(img): return rgb_to_lab(rgb_tensor(img.resize((256, 256), Image.BOX)))
    paper = (art.labels == art.labels[0, 0]) & (art.lines > .98)
    with warnings.catch_warnings():
        warnings.simplefilter('error') # it looks like a drawing
        assert lab_of(colorizer(scan))[0].numpy()[paper].mean() > 88
    sizes = np.bincount(art.labels.ravel())
    sizes[art.labels[0, 0]] = 0
    region = (art.labels == sizes.argmax()) & (art.lines > .95)
    y, x = (np.unravel_index(distance_transform_edt(region).argmax(), region.shape) + np.array(.5))*scan.width/256
    wish = lab_of(Image.new('RGB', (8, 8), '#3a7fc4'))[:, :1, :1]
    near = ((lab_of(colorizer(scan, hints=[(x, y, '#3a7fc4')])) - wish).norm(dim=0) < 20).numpy()
    assert near[region].mean() > .95 and near[paper].mean() < .02


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
    x, pred = colorizer.predict(clean_drawing(sheet), 32)
    predicted = get_task('sketch').decode((x, pred))[1][0]
    assert np.abs(np.asarray(colorizer(sheet), np.int16) - (predicted*255).round().permute(1, 2, 0).numpy()).max() <= 1


def test_the_other_task_is_named(model_file):
    lines, gray = Colorizer.load(model_file, 'cpu'), Colorizer.load('grayscale', 'cpu')
    photo, drawing = paint_scene(3, 128).convert('L'), draw_house(128)
    with pytest.warns(UserWarning, match="looks like a photo.*'grayscale'"): lines(photo)
    with pytest.warns(UserWarning, match="looks like a drawing.*'illustration'"): gray(drawing)
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


# ---- drawings whose regions are known, and how hints fill them

@pytest.mark.parametrize('name', things)
def test_things_lie_on_their_sheet_and_their_regions_are_connected(name):
    art = line_art(1, 128, names=[name])
    assert art.lines.shape == art.labels.shape == (128, 128)
    assert art.lines.min() < .2 and art.lines[art.labels == art.labels[0, 0]].mean() > .8
    for i in range(1, art.labels.max() + 1): assert measure.label(art.labels == i, connectivity=1).max() == 1
    assert (art.painted()[0, 0] == 255).all()
    assert len(np.unique(art.painted().reshape(-1, 3), axis=0)) > 1


def test_gaps_are_as_long_as_asked_for():
    t = np.linspace(0, 2*np.pi, 200, endpoint=False)
    circle = 50*np.stack([np.cos(t), np.sin(t)], 1)
    for gap, n in ((4, 1), (10, 2)):
        pieces = with_gaps(circle, gap, n, np.random.default_rng(0))
        drawn = sum(np.hypot(*np.diff(o, axis=0).T).sum() for o in pieces)
        assert drawn == pytest.approx(2*np.pi*50 - n*gap, abs=.5)
    assert len(with_gaps(circle/20, 4, 2, np.random.default_rng(0))) == 1 # too short for gaps


def room(gap, side=96, width=2):
    "A square room with a gap of some pixels in its right wall"
    lines = np.ones((side, side), np.float32)
    for i in (24, 72):
        lines[i:i + width, 24:72 + width] = 0
        lines[24:72 + width, i:i + width] = 0
    lines[48 - gap//2:48 - gap//2 + gap, 72:72 + width] = 1
    return lines


@pytest.mark.parametrize('gap', (0, 1, 2, 3, 4))
def test_a_gap_of_up_to_four_pixels_keeps_a_room_apart(gap):
    lines = room(gap)
    filled = fill_regions(lines, [(50, 50)]) == 0
    assert filled[26:72, 26:72].mean() > .97
    assert not filled[:24].any() and not filled[:, 78:].any()


def test_a_door_is_no_gap_but_two_hints_meet_in_it():
    lines = room(12)
    assert (fill_regions(lines, [(50, 50)]) == 0)[5, 5]
    owners = fill_regions(lines, [(50, 50), (5, 5)])
    assert (owners[26:72, 26:70] == 0).mean() > .97 and (owners[:20] == 1).all()
    assert (fill_regions(lines, [(50, 50), (5, 5)], alone=True) == -1).all()


def test_pieces_of_lines_are_counted_for_each_region():
    lines = room(0)
    lines[30:60:10, 30:60:10] = 0 # nine specks within
    lines[28, 28] = lines[29, 29] = 0 # diagonal neighbours hang together, here with the first speck
    lines[5, 5:50:5] = 0 # nine outside
    owners = fill_regions(lines, [(46, 46), (15, 15)])
    assert pieces_of_lines(lines, owners).tolist() == [10, 10] # with the walls
    owners[owners == 0] = -1
    assert pieces_of_lines(lines, owners).tolist() == [0, 10]
    assert pieces_of_lines(np.ones((8, 8)), np.full((8, 8), -1)).size == 0


def test_lines_belong_to_a_region_and_regions_without_hints_to_nobody():
    lines = room(0)
    regions, distance = find_regions(lines)
    assert len(np.unique(regions)) == 3 and (regions[lines < .5] == 0).all()
    assert distance[48, 50] == pytest.approx(22, abs=1)
    owners = fill_regions(lines, [(50, 50)])
    assert set(np.unique(owners)) == {-1, 0}
    assert (owners[25, 30:60] == 0).all() # the inner half of the upper wall


def test_one_hint_in_each_region_fills_it_and_no_other():
    own, other = [], []
    for i in range(40):
        art = line_art((3, i))
        masks, points = [], []
        for r in range(1, art.labels.max() + 1):
            mask = (art.labels == r) & (art.lines > .6)
            d = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            if mask.sum() < 40 or d.max() < 3: continue
            masks.append(mask)
            points.append(np.unravel_index(d.argmax(), d.shape))
        owners = fill_regions(art.lines, points)
        shares = np.array([[(owners[m] == i).mean() for m in masks] for i in range(len(points))])
        own += [*np.diag(shares)]
        other += [*(shares - np.diag(np.diag(shares))).max(1)]
    assert np.mean(own) > .98 and np.mean(other) < .01
    assert np.mean(np.array(own) >= .95) > .95 and np.mean(np.array(other) <= .03) > .97


# ---- illustrations

@pytest.mark.parametrize('weight', [.05, .4])
def test_total_variation_is_scikit_images(weight):
    flat = flat_colors(PHOTOS, weight, steps=25)
    for ours, photo in zip(flat, torch.nn.functional.avg_pool2d(PHOTOS, 2)):
        theirs = restoration.denoise_tv_chambolle(photo.numpy(), weight, eps=0, max_num_iter=26, channel_axis=0)
        assert np.abs(ours.numpy() - theirs).max() < 1e-4
    assert torch.allclose(flat_colors(PHOTOS[:1], weight, 25), flat[:1], atol=1e-6) # alone as in a batch


def test_paint_is_light_and_paper_is_white():
    lab = torch.tensor([[0., 0, 0], [50, 40, -30]]).view(2, 3, 1, 1)
    assert torch.allclose(lift_colors(lab, 0.), torch.tensor([100., 0, 0]).view(1, 3, 1, 1))
    assert torch.allclose(lift_colors(lab)[1].flatten(), torch.tensor([75., 46, -34.5]))
    washes = illustrate(PHOTOS, to_sketch(PHOTOS, 'pencil'))
    lightness = [rgb_to_lab(o)[:, 0].mean() for o in (PHOTOS, washes)]
    assert lightness[1] > lightness[0] + 10 and washes.shape == PHOTOS.shape
    white = torch.ones(1, 3, 32, 32)
    assert torch.allclose(illustrate(white, white[:, :1]), white, atol=1e-3)


def test_paint_is_thin_where_nothing_is_drawn():
    lines = torch.ones(1, 1, 64, 64)
    assert detail(lines).max() == 0
    lines[..., 32:, 32:] = (torch.arange(32) // 2 % 4 > 0).float()
    found = detail(lines)
    assert found[..., 40:, 40:].mean() > .9 and found[..., :12, :12].max() < .1
    assert torch.allclose(detail(1 - (1 - lines)/2), found, atol=1e-5) # pale lines are lines as well
    full = (detail(to_sketch(PHOTOS, 'pencil')) > .9999).float().mean((1, 2, 3))
    assert ((full - .3).abs() < .02).all()
    blue = torch.tensor([.2, .3, .8]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    chroma = rgb_to_lab(illustrate(blue, lines))[0, 1:].norm(dim=0)
    assert chroma[44:, 44:].mean() > 10*chroma[:12, :12].mean()


def test_the_task_of_illustrations_has_the_lines_of_photos_and_lighter_targets():
    seeds = np.arange(len(PHOTOS))
    photo, wash = [get_task(o).encodes((PHOTOS*255, seeds)) for o in ('sketch', 'illustration')]
    assert torch.equal(photo[0], wash[0])
    assert wash[1][:, :1].mean() > photo[1][:, :1].mean() + .2
    lines = (wash[0] + 1)/2
    assert torch.allclose(get_task('illustration').decodes(wash)[1], illustrate(PHOTOS, lines), atol=2e-3)


# ---- drawn flowers that join photos

def test_a_petal_begins_where_it_is_fixed_and_points_where_it_should():
    xy = petal(.5, .6, np.pi/4, .3, .05, start=.1)
    along, across = np.array([[1, 1], [-1, 1]])/2**.5 @ (xy - [.5, .6]).T
    assert (along.min(), along.max()) == pytest.approx((.1, .4))
    assert (across.min(), across.max()) == pytest.approx((-.05, .05), abs=1e-3)
    near_tip = [np.ptp(petal(0, 0, 0, 1, .1, point=o)[[3, -3], 1]) for o in (1, 2)]
    assert near_tip[1] < .5*near_tip[0]


@pytest.mark.parametrize('name', flowers)
def test_flowers_lie_on_their_sheet_and_have_green_stems(name):
    for seed in range(5):
        parts = flowers[name](np.random.default_rng(seed))
        assert all(-.1 < xy.min() and xy.max() < 1.1 for xy, _ in parts)
        art = line_art(seed, 128, 2, 0, tremor=0, names=[name], n=1, kinds=flowers)
        lowest = np.flatnonzero((art.painted() < 255).any((1, 2))).max() - 2
        for r, g, b in art.painted()[lowest][(art.painted()[lowest] < 255).any(1)].astype(int): assert g > max(r, b)


def test_a_sheet_has_no_paper_left_and_follows_from_its_seed():
    sheets = [flower_sheet(i, 96) for i in range(8)]
    assert (flower_sheet(5, 96) == sheets[5]).all() and (sheets[5] != sheets[6]).any()
    for lines, *rgb in sheets:
        assert (lines > 240).mean() > .5 and lines.min() < 100
        assert np.mean(rgb) < 180 and (np.min(rgb, 0) > 250).mean() < .05 # white petals in the light, but no paper
    shades = [np.std(o[1][o[0] > 240]) for o in sheets]
    assert min(shades) > 10


def test_drawings_join_what_is_trained_on_and_nothing_else(dls):
    from fastai.callback.core import Callback
    sheets, seen = np.stack([flower_sheet(i, 40) for i in range(4)]), []
    class Peek(Callback):
        order = JoinDrawings.order + 1
        def before_batch(self): seen.append((self.training, self.x, self.y))
    learn = colorize_learner(dls, Unet(1, 3, nf=4, n_down=2), precision='fp32')
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, cbs=[Peek(), JoinDrawings(sheets, n=3)])
        plain = [(x, y) for training, x, y in seen if not training]
    assert {(training, len(x), len(y)) for training, x, y in seen} == {(True, 11, 11), (False, 8, 8), (False, 2, 2)}
    assert all(torch.equal(a, b) for one, two in zip(plain, dls.valid) for a, b in zip(one, two))
    x, y = next((x[-3:], y[-3:]) for training, x, y in seen if training)
    assert x.shape == (3, 1, 32, 32) and y.shape == (3, 3, 32, 32)
    assert x.median() > .9 and y[:, 0].median() < .5 # lines on white paper; pictures without paper
    assert len({o[-1].sum().item() for training, o, _ in seen if training}) > 1 # not the same in every batch


def test_a_run_with_drawings_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    scenes, sheets = [paint_scene(i, 40) for i in range(32)], np.stack([flower_sheet(i, 40) for i in range(6)])
    cbs, plan = [JoinDrawings(sheets, n=2)], Plan(task='sketch', size=32, bs=8, epochs_l1=1, epochs_gan=1, n_valid=8,
                                                 kwargs=dict(nf=4, n_down=2), precision='fp32')
    def weights(name, **kwargs):
        return run_plan(scenes, tmp_path/name, plan, cbs=cbs, **kwargs).model.state_dict()
    calm = weights('calm')
    step = PatchGANTrainer.after_pred
    def cut(self):
        if self.epoch == 0 and self.iter == 1: raise KeyboardInterrupt
        step(self)
    with monkeypatch.context() as m:
        m.setattr(PatchGANTrainer, 'after_pred', cut)
        with pytest.raises(KeyboardInterrupt): weights('rough', minutes=0)
    rough = weights('rough', resume=True)
    assert all(torch.equal(calm[k], rough[k]) for k in calm)
    other = run_plan(scenes, tmp_path/'other', plan).model.state_dict()
    assert not all(torch.equal(calm[k], other[k]) for k in calm)
