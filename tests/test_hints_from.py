"Hints from pictures: matches of a reference are right where the truth is known; strokes keep their exact colours."
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps

from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.apply.commands import main
from colorize_lib.apply.hints import HintError, most_hints
from colorize_lib.apply.hints_from import hints_from, hints_from_strokes
from colorize_lib.engine.metrics import psnr
from colorize_lib.lab import rgb_to_lab
from colorize_lib.networks.lite_unet import LiteUnet
from colorize_lib.photos.pictures import rgb_tensor
from colorize_lib.photos.samples import paint_scene


@pytest.fixture(scope='module')
def colorizer(): return Colorizer.load()


def gray_of(photo): return photo.convert('L').convert('RGB')
def ab_of(colors): return rgb_to_lab(torch.tensor(colors).T[..., None]/255)[1:, :, 0].T
def error(a, b): return psnr(rgb_tensor(a), rgb_tensor(b)).item()


# ---- a reference

def test_the_mirror_image_gives_true_colours_all_over_the_photo(colorizer):
    off = []
    for seed in (3, 12, 21):
        scene = paint_scene(seed, 256)
        hints = hints_from(ImageOps.mirror(scene), gray_of(scene), colorizer=colorizer)
        assert 30 <= len(hints) <= 50
        assert len({(o.x > 128, o.y > 128) for o in hints}) == 4 # in all four quarters
        smooth = scene.resize((32, 32), Image.BOX)
        truth = [smooth.getpixel((int(o.x/8), int(o.y/8))) for o in hints]
        off += (ab_of([o.color for o in hints]) - ab_of(truth)).norm(dim=1).tolist()
    assert np.median(off) < 8, np.median(off) # CIE units


def test_another_scene_tells_a_scene_its_colours(colorizer):
    gains = []
    for seed in range(60, 65):
        scene, gray = paint_scene(seed, 256), gray_of(paint_scene(seed, 256))
        hints = hints_from(paint_scene(seed + 100, 256), gray, colorizer=colorizer)
        gains.append(error(colorizer(gray, hints=hints), scene) - error(colorizer(gray), scene))
    assert np.mean(gains) > 2, gains


def test_hints_lie_in_photos_of_any_size(colorizer):
    reference = paint_scene(7, 300).crop((0, 30, 300, 170))
    for size in ((97, 203), (640, 130)):
        photo = gray_of(paint_scene(7, 700)).resize(size)
        hints = hints_from(reference, photo, n=12, colorizer=colorizer)
        assert 0 < len(hints) <= 12
        assert colorizer(photo, hints=hints).size == size


def test_what_cannot_be_a_reference_is_named(colorizer, tmp_path):
    scene = paint_scene(3, 128)
    gray_of(scene).save(tmp_path/'gray.png')
    with pytest.raises(HintError, match='gray.png: the reference has no'): hints_from(tmp_path/'gray.png', scene)
    with pytest.raises(HintError, match='at most 128'): hints_from(scene, scene, 129)
    with pytest.raises(ValueError, match='n=0'): hints_from(scene, scene, 0)
    with pytest.raises(HintError, match='nothing in the reference'):
        hints_from(Image.new('RGB', (128, 128), 'red'), scene, colorizer=colorizer, least=.9)
    old = Colorizer(LiteUnet(pretrained=False, nfs=(32, 16, 16, 8)), dict(task='grayscale', size=64))
    with pytest.raises(HintError, match='takes no hints'): hints_from(scene, scene, colorizer=old)


# ---- strokes

COLORS = (70, 120, 200), (60, 120, 50), (190, 60, 40), (240, 200, 80), (128, 128, 128)


@pytest.fixture
def painted():
    "A gray photo; a copy with five strokes, one of them gray, two touching, one a pixel wide; and whose each pixel is"
    photo = gray_of(paint_scene(4, 300))
    copy, whose = photo.copy(), Image.new('L', photo.size)
    for im, inks in ((copy, COLORS), (whose, range(1, 6))):
        draw = ImageDraw.Draw(im)
        draw.line([(20, 30), (150, 20), (280, 35)], fill=inks[0], width=11, joint='curve')
        draw.line([(20, 41), (150, 31)], fill=inks[1], width=9)
        draw.ellipse((150, 120, 200, 170), fill=inks[2])
        draw.line([(20, 250), (120, 280)], fill=inks[3])
        draw.rectangle((220, 220, 240, 225), fill=inks[4])
    return photo, copy, np.array(whose)


def inside(hint, size):
    "The pixels of a hint's square"
    rows, columns = [slice(max(0, round(o + .5 - hint.radius)), max(round(o + .5 - hint.radius) + 1,
                                                                    round(o + .5 + hint.radius)))
                     for o in (hint.y, hint.x)]
    return rows, columns


@pytest.mark.parametrize('n', [most_hints, 20, 5])
def test_points_lie_along_the_strokes_in_their_exact_colours(painted, n):
    photo, copy, whose = painted
    hints = hints_from_strokes(copy, photo, n)
    assert len(hints) <= n
    assert {o.color for o in hints} == {*COLORS}
    for o in hints:
        number = 1 + COLORS.index(o.color)
        assert (whose[inside(o, photo.size)] == number).all()
    if n == most_hints: # no pixel of a stroke is far from a point of it
        for number in range(1, 6):
            at = np.argwhere(whose == number)
            points = np.array([(o.y, o.x) for o in hints if o.color == COLORS[number - 1]])
            gap = np.sqrt(((at[:, None] - points)**2).sum(2)).min(1).max()
            assert gap < 32, (number, gap)


def test_a_jpeg_and_soft_edges_make_no_false_colours(painted, tmp_path):
    photo, _, _ = painted
    big = photo.resize((900, 900))
    draw = ImageDraw.Draw(big)
    draw.line([(100, 800), (800, 700)], fill=(200, 40, 40), width=40)
    soft = big.resize((300, 300), Image.BICUBIC)
    soft.paste(photo.crop((0, 0, 300, 200)), (0, 0))
    soft.save(tmp_path/'soft.jpg', quality=90)
    photo = photo.resize((900, 900)).resize((300, 300), Image.BICUBIC)
    photo.save(tmp_path/'photo.jpg', quality=90)
    hints = hints_from_strokes(tmp_path/'soft.jpg', tmp_path/'photo.jpg')
    stroke = ab_of([(200, 40, 40)])
    assert len(hints) > 5
    assert (ab_of([o.color for o in hints]) - stroke).norm(dim=1).max() < 12


def test_strokes_colour_the_photo(painted, colorizer):
    photo, copy, whose = painted
    hints = hints_from_strokes(copy, photo)
    out = np.array(colorizer(photo, hints=hints))
    for number in (1, 3, 5):
        at = whose == number
        wanted = ab_of([COLORS[number - 1]])
        found = ab_of(out[at].astype(float)/1.)
        before = ab_of(np.array(colorizer(photo))[at].astype(float))
        assert (found - wanted).norm(dim=1).mean() < .5*(before - wanted).norm(dim=1).mean()


def test_what_holds_no_strokes_is_named(painted, tmp_path):
    photo, copy, _ = painted
    with pytest.raises(HintError, match='nothing is painted'): hints_from_strokes(photo, photo)
    copy.resize((150, 150)).save(tmp_path/'small.png')
    with pytest.raises(HintError, match=r'small.png: 150x150 pixels, and the photo has 300x300'):
        hints_from_strokes(tmp_path/'small.png', photo)
    with pytest.raises(HintError, match='5 strokes, at most 3'): hints_from_strokes(copy, photo, 3)


def test_a_large_painting_is_quick(painted):
    photo, copy, _ = painted
    photo, copy = photo.resize((3000, 3000), 0), copy.resize((3000, 3000), 0)
    copy.paste((10, 200, 100), (0, 1500, 1400, 3000)) # a quarter of it filled
    hints = hints_from_strokes(copy, photo)
    assert {o.color for o in hints} == {*COLORS, (10, 200, 100)} - {COLORS[3]} # painted over
    assert all(np.asarray(copy)[int(o.y), int(o.x)].tolist() == list(o.color) for o in hints)


# ---- the command

def test_the_command_takes_a_reference_and_strokes(painted, colorizer, tmp_path, capsys):
    photo, copy, _ = painted
    photo.save(tmp_path/'a.png')
    copy.save(tmp_path/'b.png')
    paint_scene(5, 200).save(tmp_path/'c.png')
    argv, result = [str(tmp_path/'a.png')], tmp_path/'a_color.png'
    for more, hints in ((['--painted', 'b.png'], hints_from_strokes(copy, photo)),
                        (['--reference', 'c.png'], hints_from(tmp_path/'c.png', photo, colorizer=colorizer))):
        assert main([*argv, more[0], str(tmp_path/more[1])]) == 0
        assert np.array_equal(np.array(Image.open(result)), np.array(colorizer(photo, hints=hints)))
    assert 'written again, with the hints' in capsys.readouterr().err
    before = result.read_bytes()
    for more, text in ((['--reference', 'a.png'], 'no colours'), (['--painted', 'c.png'], '200x200'),
                       (['--reference', 'no.png'], 'no.png')):
        assert main([*argv, more[0], str(tmp_path/more[1])]) == 1
        assert text in capsys.readouterr().err
    assert result.read_bytes() == before
    assert main([*argv, str(tmp_path/'c.png'), '--reference', str(tmp_path/'c.png')]) == 1
    assert 'hints are for one photo' in capsys.readouterr().err
