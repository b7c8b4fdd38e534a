"Painted scenes are repeatable and learnable; COCO offline says what to do."
import numpy as np
import pytest

from colorize_lib.photos.pictures import is_gray, open_photo
from colorize_lib.photos.samples import carried_photos, coco_sample, paint_scene, sample_photos, scene_and_crowns


def test_carried_photos_are_real_and_colourful():
    photos = carried_photos()
    assert len(photos) >= 5
    assert not any(is_gray(np.asarray(open_photo(p))) for p in photos)


def test_scenes_follow_from_their_seed_and_size():
    assert np.array_equal(paint_scene(5), paint_scene(5))
    assert not np.array_equal(paint_scene(5), paint_scene(6))
    assert paint_scene(5, 200).size == (200, 200)
    assert paint_scene(5).filename == 'scene 5'


def test_seeds_keep_their_pictures():
    "Colours that were measured with them stay true"
    means = {0: (76.94, 126.84, 118.58), 1: (151.99, 173.59, 176.07), 5: (95.02, 151.46, 154.66),
             28: (97.39, 158.67, 163.52)}
    for seed, mean in means.items(): assert np.allclose(np.asarray(paint_scene(seed, 64)).mean((0, 1)), mean, atol=.3)


def test_crowns_are_where_the_trees_are():
    for seed in range(20):
        scene, crowns = scene_and_crowns(seed, 128)
        rgb = np.asarray(scene).astype(int)
        assert np.array_equal(rgb, np.asarray(paint_scene(seed, 128)))
        assert 1 <= len(crowns) <= 4
        assert np.sum(crowns, 0).max() < 1 + 1e-5 # a later tree hides an earlier one
        for crown in crowns:
            if (crown > .95).sum() < 20: continue
            r, g, b = rgb[crown > .95].mean(0)
            assert g > 1.5*r
            assert 30 < g < 90
        assert (rgb[(np.sum(crowns, 0) == 0)].mean(0) > rgb[np.sum(crowns, 0) > .95].mean(0)).all()


def test_colour_follows_from_place():
    tops, bottoms = zip(*[(rgb[:8].mean((0, 1)), rgb[-8:].mean((0, 1)))
                          for rgb in (np.asarray(paint_scene(i)).astype(float) for i in range(50))])
    assert np.mean([t[2] > t[0] for t in tops]) > .8       # blue above (clouds may be white)
    assert np.mean([b[2] < b[1] for b in bottoms]) == 1    # sand or grass below


def test_sample_photos_mixes_both():
    items = sample_photos(10, size=32)
    assert len(items) == len(carried_photos()) + 10
    assert items[-1].filename == 'scene 9'


def test_coco_offline_says_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('FASTAI_HOME', str(tmp_path))
    def no_network(*args, **kwargs): raise OSError('no network')
    monkeypatch.setattr('fastai.data.external.untar_data', no_network)
    with pytest.raises(ConnectionError, match='COCO sample: no download .*no network.*sample_photos'): coco_sample()
    assert '3.2 GB' in capsys.readouterr().out


def test_coco_unpacked_by_hand_is_found(monkeypatch, tmp_path):
    import fastai.data.external as external
    class Here:
        def path(self, _): return tmp_path
    monkeypatch.setattr(external, 'fastai_cfg', lambda: Here())
    folder = tmp_path/'coco_sample'/'train_sample'
    folder.mkdir(parents=True)
    for i in range(3): paint_scene(i, 32).save(folder/f'{i}.jpg')
    assert [p.name for p in coco_sample()] == ['0.jpg', '1.jpg', '2.jpg']
