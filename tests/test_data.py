"Splits are disjoint and repeatable, nothing is left out silently, batches depend on (seed, epoch, batch) alone."
import numpy as np
import pytest
import torch
from PIL import Image

from colorize_lib.data import CropTo, PhotoDL, Photos, describe_left_out, draw_crops, gather, load_split, split_sizes
from colorize_lib.photos.pictures import PhotoError, photo_files
from colorize_lib.photos.samples import paint_scene


@pytest.fixture
def nasty(photo_folder):
    (photo_folder/'notes.jpg').write_text('text')
    paint_scene(1, 64).convert('L').save(photo_folder/'gray.png')
    Image.new('RGB', (1, 1)).save(photo_folder/'one.png')
    (photo_folder/'copy öf 2.png').write_bytes((photo_folder/'scene 2.png').read_bytes())
    big = photo_folder/'cut.jpg'
    paint_scene(0, 256).save(big)
    big.write_bytes(big.read_bytes()[:3000])
    return photo_folder


def test_every_file_is_kept_or_named(nasty):
    photos = Photos.load(photo_files(nasty), 32)
    assert len(photos) == 6
    assert photos.array.shape == (6, 32, 32, 3)
    why = {k.rsplit('/', 1)[-1]: v for k, v in photos.left_out.items()}
    assert why['notes.jpg'] == 'not a picture'
    assert why['gray.png'] == 'gray already'
    assert why['one.png'] == 'too small (1x1 pixels)'
    assert 'truncated' in why['cut.jpg']
    assert why['scene 2.png'].endswith('copy öf 2.png')
    text = describe_left_out(photos.left_out)
    assert all(name in text for name in why)


def test_long_lists_are_shortened_with_a_count():
    text = describe_left_out({f'{i}.png': 'gray already' for i in range(25)}, n_names=3)
    assert text == 'left out, gray already: 0.png, 1.png, 2.png and 22 more (all in left_out)'


def test_load_stops_at_n_and_leaves_the_rest(scenes):
    items = iter(scenes)
    assert Photos.load(items, 16, n=10).names == [f'scene {i}' for i in range(10)]
    assert next(items).filename == 'scene 10'


def test_split_is_disjoint_repeatable_and_seeded(nasty, capsys):
    files = photo_files(nasty)
    train, valid = load_split(files, 32, seed=1)
    assert not set(train.names) & set(valid.names)
    assert len(train) + len(valid) == 6
    assert load_split(files, 32, seed=1)[0].names == train.names
    assert any(load_split(files, 32, seed=s)[1].names != valid.names for s in range(2, 6))
    assert 'gray already: gray.png' in capsys.readouterr().out


def cropped(photos, idxs, size, rng=None):
    return CropTo(size)((gather(photos, idxs), draw_crops(len(idxs), photos.array.shape[1], size, rng)))[0]


def test_same_picture_never_on_both_sides(scenes):
    for seed in range(5):
        train, valid = load_split(list(scenes[:10])*3, 32, seed=seed)
        key = lambda p: {cropped(p, [i], 32).numpy().tobytes() for i in range(len(p))}
        assert len(train) + len(valid) == 10
        assert not key(train) & key(valid)


def test_validation_stays_when_training_grows(scenes):
    few, many = [load_split(scenes, 32, n_train=n, n_valid=8)[1].names for n in (5, 30)]
    assert few == many


@pytest.mark.parametrize('kwargs,text', [
    (dict(n_train=0), 'n_train=0'), (dict(n_valid=-1), 'n_valid=-1'), (dict(n_train=2.5), 'n_train=2.5'),
    (dict(n_train=95, n_valid=10), '95 photos to train on and 10 to validate on were asked for, there are 100')])
def test_split_errors_name_the_value(kwargs, text):
    with pytest.raises(ValueError, match=text): split_sizes(100, **kwargs)


def test_too_few_usable_photos_is_an_error(nasty):
    with pytest.raises(ValueError, match='of 11 photos only 6 can be used'):
        load_split(photo_files(nasty), 32, n_train=8, n_valid=2)
    with pytest.raises(ValueError, match='there are 1'): load_split(photo_files(nasty)[:1], 32)


def test_paper_split(): assert split_sizes(21_837, n_train=8000) == (8000, 2000) == split_sizes(10_000)


def test_batches_depend_on_seed_epoch_and_batch_alone(scenes):
    photos = Photos.load(scenes, 36)
    a, b = (PhotoDL(photos, 32, bs=8, shuffle=True, after_batch=[CropTo(32)]) for _ in range(2))
    first, second = [x for x, _ in a], [x for x, _ in a]
    assert len(first) == 5
    assert not torch.equal(first[0], second[0])
    next(iter(b)) # an interrupted epoch
    b.one_batch() # looking does not count
    assert all(torch.equal(x, y) for x, (y, _) in zip(second, b))
    assert sorted(a.get_idxs()) == list(range(40))


def test_random_streams_are_not_shared():
    from colorize_lib.data import _rng
    keys = (0,), (0, 1), (0, 0, 1), (1,), (1, 1), (1, 0, 1)
    draws = {_rng(*args, purpose=p).integers(0, 2**60) for args in keys for p in (1, 2, 3)}
    assert len(draws) == 18


def test_unnamed_pictures_keep_apart(scenes):
    anonymous = [Image.fromarray(np.asarray(s)) for s in scenes[:8]]
    anonymous += [Image.new('RGB', (20, 20)), Image.new('RGB', (2, 2))]
    for seed in range(4):
        train, valid = load_split(anonymous, 32, seed=seed)
        assert len(set(train.names) | set(valid.names)) == 8 == len(train) + len(valid)


def test_opening_does_not_change_the_callers_image(photo_folder):
    paint_scene(0, 512).save(photo_folder/'big.jpg')
    img = Image.open(photo_folder/'big.jpg')
    photos = Photos.load([img], 32)
    assert img.size == (512, 512)
    assert len(photos) == 1


def test_a_folder_will_do_for_a_list(photo_folder):
    for folder in (photo_folder, str(photo_folder)): assert {len(p) for p in load_split(folder, 32)} == {5, 1}


def test_training_crops_move_and_flip_validation_does_not(scenes):
    photos = Photos.load(scenes[:2], 40)
    still = cropped(photos, [0, 1], 32)
    assert torch.equal(still, torch.from_numpy(photos.array[:, 4:36, 4:36].copy()).permute(0, 3, 1, 2))
    seen = {cropped(photos, [0], 32, np.random.default_rng(i)).numpy().tobytes() for i in range(60)}
    assert len(seen) > 30
    flipped = torch.from_numpy(photos.array[0, :, ::-1].copy()).permute(2, 0, 1)
    assert any(torch.equal(cropped(photos, [0], 40, np.random.default_rng(i))[0], flipped) for i in range(20))


def test_crops_are_what_they_say(scenes):
    "Against numpy, photo by photo; one side for the whole batch, so that it is one block"
    photos = Photos.load(scenes[:8], 40)
    sides = set()
    for seed in range(20):
        crops = draw_crops(8, 40, 32, np.random.default_rng(seed))
        (side,), rgb = set(crops[:, 2]), gather(photos, range(8))
        sides.add(side)
        expected = [photos.array[i, y:y+side, x:x+side][:, ::-1 if flip else 1]
                    for i, (y, x, _, flip) in enumerate(crops)]
        out, rest = CropTo(side)((rgb, crops, 'rest'))
        assert np.array_equal(out.permute(0, 2, 3, 1).numpy(), np.stack(expected))
        assert rest == 'rest'
        assert CropTo(32)((rgb, crops))[0].shape == (8, 3, 32, 32)
    assert len(sides) > 4
    assert sides <= set(range(32, 41))


def test_batches_are_channels_last_in_memory_and_copies(scenes):
    photos = Photos.load(scenes[:4], 16)
    x = gather(photos, range(4))
    assert x.is_contiguous(memory_format=torch.channels_last)
    before = photos.array.copy()
    x.zero_()
    assert np.array_equal(photos.array, before)


def test_prediction_loader_takes_gray_photos_and_refuses_broken_ones(scenes, nasty):
    dl = PhotoDL(Photos.load(scenes, 32), 32, bs=4)
    assert dl.new([nasty/'gray.png', scenes[0]]).one_batch()[0].shape == (2, 3, 32, 32)
    with pytest.raises(PhotoError, match='notes.jpg: not a picture'): dl.new([nasty/'notes.jpg'])


def test_real_folder(real_photos):
    train, valid = load_split(real_photos, 64)
    left = train.left_out | valid.left_out
    assert len(train) + len(valid) + len(left) == len(real_photos)
    print(describe_left_out(left))
