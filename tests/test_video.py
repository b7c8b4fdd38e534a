"Films: nothing lost, steady colours, work that survives a kill, and a name for everything that goes wrong."
import errno
import gc
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
import types
import weakref
from contextlib import contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

av = pytest.importorskip('av', reason='films need the package av')

from colorize_lib.apply.animations import (Animation, AnimationWriter, animation_pictures,  # noqa: E402
                                           animation_times)
from colorize_lib.apply.color_video import color_video  # noqa: E402
from colorize_lib.apply.colorizer import Colorizer  # noqa: E402
from colorize_lib.apply.commands import main  # noqa: E402
from colorize_lib.apply.film_colors import chroma_offsets, chroma_planes, gray_picture, small_chroma  # noqa: E402
from colorize_lib.apply.film_looks import (check_film_hints, film_predictor, hint_places,  # noqa: E402
                                           read_film_hints, turned_points)
from colorize_lib.apply.film_writing import check_streams, choose_encoding, segment_writer  # noqa: E402
from colorize_lib.apply.films import Film, FilmError, film_errors, gray_film  # noqa: E402
from colorize_lib.apply.hints import HintError  # noqa: E402
from colorize_lib.apply.planning import is_animation, is_film  # noqa: E402
from colorize_lib.apply.video import Look, Steady, mean_color  # noqa: E402
from colorize_lib.engine.metrics import colorfulness, psnr  # noqa: E402
from colorize_lib.engine.video_metrics import (cdc, joined_films, known_pan, known_scene, space_time_slice,  # noqa: E402
                                               warp_error)
from colorize_lib.engine.weights import save_weights  # noqa: E402
from colorize_lib.lab import lab_to_rgb, rgb_to_lab  # noqa: E402
from colorize_lib.photos.pictures import open_photo, rgb_tensor  # noqa: E402
from colorize_lib.photos.samples import carried_photos, paint_scene  # noqa: E402
from colorize_lib.unet import Unet  # noqa: E402

COMMAND = sys.executable, '-c', 'import sys; from colorize_lib.apply.commands import main; sys.exit(main())'


def write_film(path, n=20, size=(64, 48), codec='ffv1', fmt='yuv420p', rate=25, rotation=0, sound=0, times=None,
               scenes=(3, 8), **tags):
    "A gray film of two shots: a pan over one scene, then over another"
    w, h = size
    scenes = [np.asarray(paint_scene(i, 2*max(size)).convert('L')) for i in scenes]
    with av.open(str(path), 'w') as box:
        stream = box.add_stream(codec, rate=rate, options=dict(crf='10') if codec == 'libx264' else {})
        stream.width, stream.height, stream.pix_fmt = w, h, fmt
        stream.codec_context.time_base = Fraction(1, rate if Path(path).suffix == '.avi' else 12800)
        if rotation: stream.set_display_rotation(rotation)
        for k, v in tags.items(): setattr(stream.codec_context, k, v)
        audio = box.add_stream('aac', rate=48000) if sound else None
        for i in range(n):
            frame = av.VideoFrame(w, h, fmt)
            deep, full = frame.format.components[0].bits - 8, tags.get('color_range') == 2 or fmt == 'gray'
            for j, plane in enumerate(frame.planes):
                pixels = np.frombuffer(plane, np.uint16 if deep else np.uint8).reshape(plane.height, -1)
                gray = np.roll(scenes[i*len(scenes)//n], -i, 1)[10:10 + h, :w].astype(int)
                value = gray if full else 16 + gray*219//255
                pixels[:, :plane.width] = 128 << deep if j else value << deep
            frame.pts, frame.time_base = times[i] if times else i*12800//rate, Fraction(1, 12800)
            frame.color_range, frame.colorspace = tags.get('color_range', 0), tags.get('colorspace', 2)
            box.mux(stream.encode(frame))
        for i in range(sound):
            noise = np.random.default_rng(i).normal(0, .1, (2, 1024)).astype(np.float32)
            noise = av.AudioFrame.from_ndarray(noise, 'fltp')
            noise.sample_rate, noise.pts = 48000, 1024*i
            box.mux(audio.encode(noise))
        for o in (stream, audio): box.mux(o.encode(None) if o else [])
    return path


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    torch.manual_seed(0)
    config = dict(generator='unet', kwargs=dict(nf=4, n_down=2), task='grayscale', size=32, saturation=4.)
    return str(save_weights(Unet(nf=4, n_down=2), tmp_path_factory.mktemp('weights')/'tiny.safetensors', config))


@pytest.fixture(scope='module')
def tiny(model): return Colorizer.load(model)


def lumas(path): return [y.copy() for _, y in Film(path).frames()]


def seconds(path): return [frame.time for frame, _ in Film(path).frames()]


def packets(path, **which):
    "Time and bytes of the packets of one stream"
    with av.open(str(path)) as box: return [(float(o.pts*o.time_base), bytes(o)) for o in box.demux(**which) if o.size]


def sounds(path): return packets(path, audio=0)


def decoded(path):
    with av.open(str(path)) as box: return [o.to_ndarray() for o in box.decode(video=0)]


def same(a, b): return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b))


# ---- nothing lost

@pytest.mark.parametrize('tags', [dict(colorspace=s, color_range=r) for s in (1, 5, 6) for r in (1, 2)], ids=str)
def test_luma_and_tags_stay(tmp_path, tiny, tags):
    film = write_film(tmp_path/'film.mkv', 12, **tags)
    color_video(film, tmp_path/'out.mkv', tiny, codec='ffv1')
    assert same(lumas(film), lumas(tmp_path/'out.mkv'))
    after = Film(tmp_path/'out.mkv')
    assert {k: after.tags[k] for k in tags} == tags
    chroma = np.concatenate([o[48:].ravel() for o in decoded(tmp_path/'out.mkv')]).astype(int)
    assert abs(chroma - 128).mean() > 2 # it is in colour


@pytest.mark.parametrize('tags', [(1, 1, 1, 1), (1, 2, 1, 13), (5, 1, 5, 6), (6, 2, 6, 1), (7, 1, 7, 7)], ids=str)
def test_tags_stay_in_h264(tmp_path, tiny, tags):
    "Matrix, range, primaries and transfer: in the frames and in the container, by the encoder that users get"
    tags = dict(zip(('colorspace', 'color_range', 'color_primaries', 'color_trc'), tags))
    film = write_film(tmp_path/'film.mp4', 6, codec='libx264', **tags)
    report = color_video(film, colorizer=tiny)
    for path in (film, report.path):
        assert Film(path).tags == tags
        with av.open(str(path)) as box:
            said = box.streams.video[0].codec_context
            assert {k: int(getattr(said, k)) for k in tags} == tags
    data = Path(report.path).read_bytes() # players that do not ask the decoder read it in the container
    *numbers, full = struct.unpack('>HHHB', data[data.index(b'colrnclx') + 8:][:7])
    assert numbers == [tags[k] for k in ('color_primaries', 'color_trc', 'colorspace')]
    assert full >> 7 == tags['color_range'] - 1
    error = np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(lumas(film), lumas(report.path))])
    assert error < 2 # 16 to 235 read as 0 to 255, or written so, would be off by more


def test_a_player_shows_the_luma_that_was_there(tmp_path):
    "No channel leaves [0,1], whatever the colours: so none is clipped, and R'G'B' has the film's Y'"
    rng = np.random.default_rng(0)
    for tags in (dict(colorspace=s, color_range=r) for s in (1, 6) for r in (1, 2)):
        film = Film(write_film(tmp_path/'film.mkv', 1, **tags))
        y = rng.integers(0, 256, (48, 64)).astype(np.uint8)
        gray = np.asarray(Image.fromarray(gray_picture(film, y)).resize((32, 24)))
        chroma = chroma_planes(film, y, small_chroma(film, gray, rng.normal(0, 80, (24, 32, 2)).astype(np.float32)))
        scale, low = (255, 0) if film.full else (219, 16)
        c = [(np.kron(o, np.ones((2, 2))) - 128)/(255 if film.full else 224) for o in chroma]
        v = ((y.astype(float) - low)/scale).clip(0, 1)
        rgb = v[..., None] + np.stack(c, -1)@chroma_offsets(film.matrix).T
        red, blue = film.matrix
        change = abs(rgb.clip(0, 1)@[red, 1 - red - blue, blue] - v)
        assert change.max()*scale < .5, tags
        assert np.abs(np.stack(c)).mean() > .01


@pytest.mark.parametrize('codec, suffix, fmt, size', [
    ('libx264', '.mp4', 'yuv420p', (64, 48)), ('mpeg4', '.avi', 'yuv420p', (64, 48)),
    ('ffv1', '.mkv', 'yuv420p10le', (64, 48)), ('libvpx-vp9', '.webm', 'yuv420p', (63, 47)),
    ('ffv1', '.mkv', 'gray', (64, 48)), ('mjpeg', '.mov', 'yuvj422p', (64, 48)), ('ffv1', '.mkv', 'yuv444p', (63, 47))])
def test_codecs(tmp_path, tiny, codec, suffix, fmt, size):
    film = write_film(tmp_path/f'film{suffix}', 9, size, codec, fmt)
    color_video(film, tmp_path/'exact.mkv', tiny, codec='ffv1')
    assert same(lumas(film), lumas(tmp_path/'exact.mkv'))
    report = color_video(film, colorizer=tiny)
    result = Film(report.path)
    assert Path(report.path).suffix == (suffix if suffix in ('.mp4', '.mkv', '.webm', '.mov') else '.mkv')
    assert (result.width, result.height, report.frames) == (*size, 9)
    error = np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(lumas(film), lumas(report.path))])
    assert error < 2*2**(result.deep) + .5


def test_times_rotation_sound_and_titles(tmp_path, tiny):
    times = np.cumsum([0, *np.random.default_rng(0).integers(300, 900, 19)]).tolist()
    film = write_film(tmp_path/'film.mp4', codec='libx264', rotation=90, sound=30, times=times)
    report = color_video(film, colorizer=tiny, segment=4)
    assert seconds(film) == seconds(report.path) == [t/12800 for t in times]
    before, after = Film(film), Film(report.path)
    assert (after.turned, after.aspect, after.time_base) == (before.turned, before.aspect, before.time_base)
    assert before.turned
    assert after.seconds == pytest.approx(before.seconds, abs=.001)
    assert sounds(film) == sounds(report.path)


def test_subtitles_are_copied_or_named(tmp_path, tiny):
    (tmp_path/'said.srt').write_text('1\n00:00:00,000 --> 00:00:00,400\nHello\n')
    write_film(tmp_path/'plain.mkv')
    with av.open(str(tmp_path/'said.mkv'), 'w') as box, av.open(str(tmp_path/'plain.mkv')) as source, \
            av.open(str(tmp_path/'said.srt')) as text:
        copies = [box.add_stream_from_template(o.streams[0], opaque=True) for o in (source, text)]
        for o, copy in zip((source, text), copies):
            for packet in o.demux():
                if packet.size:
                    packet.stream = copy
                    box.mux(packet)
    report = color_video(tmp_path/'said.mkv', colorizer=tiny)
    with av.open(report.path) as box: assert [bytes(o) for o in box.demux(subtitles=0) if o.size] == [b'Hello']
    with pytest.raises(FilmError, match='choose a result in .mkv'):
        color_video(tmp_path/'said.mkv', tmp_path/'said.mp4', tiny)
    assert not (tmp_path/'said.mp4').exists()
    assert check_streams(Film(tmp_path/'plain.mkv'), '.mp4') == []


def with_streams(film, path, *others):
    "A copy of a film with more streams: each function adds one to the container, and yields its packets"
    with av.open(str(path), 'w') as box, av.open(str(film)) as source:
        copy = box.add_stream_from_template(source.streams.video[0], opaque=True)
        found = [o(box) for o in others]
        for o in found: next(o) # all streams are there before the first packet
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                box.mux(packet)
        for o in found: box.mux([*o])
    return path


def sound(seed, language):
    def add(box):
        stream = box.add_stream('aac', rate=48000)
        stream.metadata['language'] = language
        yield
        noise = np.random.default_rng(seed).normal(0, .1, (20, 2, 1024)).astype(np.float32)
        for i, part in enumerate(noise):
            part = av.AudioFrame.from_ndarray(part, 'fltp')
            part.sample_rate, part.pts = 48000, 1024*i
            yield from stream.encode(part)
        yield from stream.encode(None)
    return add


def said(text, language):
    "A subtitle as .mp4 has it: its length in two bytes, then the text"
    def add(box):
        stream = box.add_mux_stream('mov_text')
        stream.time_base, stream.metadata['language'] = Fraction(1, 1000), language
        yield
        packet = av.Packet(len(text).to_bytes(2, 'big') + text)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = 0
        packet.duration = 400
        yield packet
    return add


def test_two_languages(tmp_path, tiny):
    "Both sounds are copied, in their order, with their languages"
    plain = write_film(tmp_path/'plain.mp4', codec='libx264')
    film = with_streams(plain, tmp_path/'film.mp4', sound(0, 'eng'), sound(1, 'fra'))
    report = color_video(film, colorizer=tiny, segment=4)
    first, second = (packets(film, audio=i) for i in range(2))
    assert len(first) > 15
    assert first != second
    assert [packets(report.path, audio=i) for i in range(2)] == [first, second]
    with av.open(report.path) as box: assert [o.language for o in box.streams.audio] == ['eng', 'fra']


def test_subtitles_of_mp4(tmp_path, tiny):
    "Copied into .mp4 and .mov; for other containers named, with one that takes them"
    plain = write_film(tmp_path/'plain.mp4', codec='libx264')
    film = with_streams(plain, tmp_path/'film.mp4', said(b'Hello', 'eng'), said(b'Salut', 'fra'))
    before = [[o for o in packets(film, subtitles=i) if len(o[1]) > 2] for i in range(2)]
    assert before == [[(0, b'\x00\x05Hello')], [(0, b'\x00\x05Salut')]]
    for suffix in ('.mp4', '.mov'):
        report = color_video(film, tmp_path/f'out{suffix}', tiny)
        after = [[o for o in packets(report.path, subtitles=i) if len(o[1]) > 2] for i in range(2)]
        assert after == before
        with av.open(report.path) as box: assert [o.language for o in box.streams.subtitles] == ['eng', 'fra']
    for suffix in ('.mkv', '.webm'):
        with pytest.raises(FilmError, match='mov_text.*: choose a result in .mp4'):
            color_video(film, tmp_path/f'out{suffix}', tiny)
        assert not (tmp_path/f'out{suffix}').exists()
    phone = with_streams(plain, tmp_path/'phone.3gp', said(b'Hello', 'eng')) # whose result would be a .mkv
    with pytest.raises(FilmError, match='.mkv cannot hold .*mov_text.*: choose a result in .mp4'):
        color_video(phone, colorizer=tiny)
    assert color_video(phone, tmp_path/'phone.mp4', tiny).frames == 20


def test_rgb_films_stay_gray_where_they_are_gray(tmp_path):
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 16, 0).repeat(3, 2)
    with av.open(str(tmp_path/'rgb.mkv'), 'w') as box:
        stream = box.add_stream('ffv1', rate=25)
        stream.width, stream.height, stream.pix_fmt = 256, 16, 'bgr0'
        for o in (av.VideoFrame.from_ndarray(ramp, 'rgb24').reformat(format='bgr0'), None): box.mux(stream.encode(o))
    assert same(lumas(tmp_path/'rgb.mkv'), [ramp[..., 0]])


def test_the_network_sees_films_as_it_sees_photos(tmp_path, tiny):
    "The same gray picture, as a photo and as a frame, has the same colours"
    photo = paint_scene(3, 64).convert('L')
    ab = film_predictor(tiny, 32)(Look(gray=np.asarray(photo.resize((32, 32), Image.BICUBIC, reducing_gap=3))))
    pred = tiny.predict(photo.convert('RGB'), 32)[1][0].movedim(0, -1).numpy()*110*tiny.saturation
    assert np.abs(ab - pred).max() < .3


@pytest.mark.parametrize('suffix', ['.gif', '.webp'])
def test_animations(tmp_path, tiny, suffix):
    frames = [paint_scene(3, 96).convert('L').crop((i, 0, i + 48, 32)) for i in range(10)]
    frames[0].save(tmp_path/f'a{suffix}', save_all=True, append_images=frames[1:], duration=[40, 90]*5, loop=3,
                   lossless=True)
    assert is_animation(tmp_path/f'a{suffix}') and is_film(tmp_path/f'a{suffix}')
    report = color_video(tmp_path/f'a{suffix}', colorizer=tiny)
    with Image.open(report.path) as im:
        times = []
        for i in range(im.n_frames):
            im.seek(i)
            im.load()
            times.append(im.info['duration'])
            lum = [rgb_to_lab(rgb_tensor(o.convert('RGB')))[0] for o in (im, frames[i])]
            assert (lum[0] - lum[1]).abs().mean() < 3 # 256 colours, or JPEG-like
            assert im.convert('RGB').getcolors(1) is None
        assert (times, im.info['loop'], im.size) == ([40, 90]*5, 3, (48, 32))


# ---- steadiness

@pytest.fixture(scope='module')
def films():
    pans = [known_pan(open_photo(p, 512), 20, (96, 64)) for p in carried_photos()[:4]]
    scenes = [joined_films(known_scene(i, 12, (96, 64)), known_scene(i + 10, 9, (96, 64))) for i in range(2)]
    return pans + scenes


def gray_looks(film):
    return [Look(i, np.asarray(Image.fromarray(o).convert('L'))) for i, o in enumerate(film.frames)]


def measured(film, ab):
    ab = torch.from_numpy(np.stack(ab)).movedim(-1, 1)
    true = rgb_tensor(film.frames)
    rgb = lab_to_rgb(torch.cat([rgb_to_lab(true)[:, :1], ab], 1))
    return np.array([warp_error(ab, film), psnr(rgb, true).mean().item(), colorfulness(rgb).mean().item()])


def test_the_marks(films):
    "Half of the warp error, not 0.05 dB less, 97% of the colorfulness: of pale true colours that flicker"
    before, after = [], []
    for film in films:
        rng = np.random.default_rng(len(before))
        truth = rgb_to_lab(rgb_tensor(film.frames))[:, 1:].movedim(1, -1).numpy()
        ab = .6*truth + rng.normal(0, 4, (len(truth), 1, 1, 2)).astype(np.float32)
        steady = Steady(lambda look: ab[look.item]) # noqa: B023
        out = [o.ab for o in steady(gray_looks(film))]
        assert steady.cuts == list(film.cuts)
        before.append(measured(film, ab))
        after.append(measured(film, out))
    before, after = np.array(before), np.array(after)
    assert (after[:, 0] < before[:, 0]/2).all()
    assert (after[:, 1] - before[:, 1]).mean() > -.05
    assert (after[:, 2]/before[:, 2]).mean() > .97


def test_strength_0_is_frame_by_frame(films):
    ab = np.random.default_rng(0).normal(0, 20, (20, 64, 96, 2)).astype(np.float32)
    steady = Steady(lambda look: ab[look.item], strength=0)
    assert same([o.ab for o in steady(gray_looks(films[0]))], ab)
    assert steady.n_looks == 20


def test_the_network_looks_at_one_frame_of_eight():
    still = [np.asarray(paint_scene(1, 64).convert('L'))]*25
    steady = Steady(lambda look: np.full((64, 64, 2), 10., np.float32))
    out = list(steady(Look(i, o) for i, o in enumerate(still)))
    assert [o.item for o in out] == list(range(25))
    assert steady.n_looks == 4
    assert np.allclose(out[13].ab, 10, atol=1e-3)


def looked_at(frames):
    "Numbers of the frames that the network looks at, for gray pictures"
    steady = Steady(lambda look: np.full((*look.gray.shape, 2), 10., np.float32))
    return [i for i, o in enumerate(steady(Look(gray=o) for o in frames)) if o.n_looks]


def test_one_look_serves_its_neighbours():
    "A thing that shows in some frames between two keys costs one look; two thin lines cost none"
    still = np.asarray(paint_scene(1, 64).convert('L'))
    for part, n in ((np.s_[8:40, 10:50], 1), (np.s_[[20, 21, 22, 40, 41, 42]], 0)):
        frames = [still.copy() for _ in range(17)]
        for o in frames[2:7]: o[part] ^= 128
        found = looked_at(frames)
        assert [i for i in found if i % 8 == 0] == [0, 8, 16]
        assert [i in range(2, 7) for i in found if i % 8] == [True]*n


def test_the_end_of_a_shot_needs_no_look():
    "Where a film or a shot ends, the last key's colours are carried on, unless something new has come"
    a, b = (np.asarray(paint_scene(i, 64).convert('L')) for i in (1, 5))
    assert looked_at([a]*12) == [0, 8]
    assert looked_at([a]*12 + [255 - b]*6) == [0, 8, 12]
    new = a.copy()
    new[8:40, 10:50] = 255 - b[8:40, 10:50]
    assert looked_at([a]*10 + [new]) == [0, 8, 10]


@pytest.mark.parametrize('strength, twice', [(.4, False), (0, True)])
def test_only_a_frame_by_itself_is_seen_mirrored_too(tiny, monkeypatch, strength, twice):
    run, asked = tiny.network.run, set()
    monkeypatch.setattr(tiny.network, 'run', lambda small, mirror=True: asked.add(mirror) or run(small, mirror))
    still = np.asarray(paint_scene(1, 64).convert('L'))
    list(Steady(film_predictor(tiny, 32), strength)(Look(gray=still) for _ in range(3)))
    assert asked == {twice}


def test_no_colour_crosses_a_cut(films):
    film, = [o for o in films[-1:]]
    cut = film.cuts[0]
    ab = np.zeros((len(film.frames), 64, 96, 2), np.float32)
    ab[cut:] = 50
    out = [o.ab for o in Steady(lambda look: ab[look.item], strength=1)(gray_looks(film))]
    assert np.abs(out[cut - 1]).max() < 1e-3
    assert np.abs(out[cut] - 50).max() < 1e-3


def test_no_ghost_behind_what_moves():
    "A red disc over gray ground: where it was, no red is left; where it is, red is there"
    film = known_scene(1, 17, (96, 64), n_discs=1)
    layer = np.zeros((17, 64, 96), bool)
    background = known_scene(1, 17, (96, 64), n_discs=0).frames
    layer = np.abs(film.frames.astype(int) - background).sum(-1) > 0
    ab = np.where(layer[..., None], np.float32([60, 40]), np.float32([0, 0]))
    out = np.stack([o.ab for o in Steady(lambda look: ab[look.item])(gray_looks(film))])
    import cv2
    sure = np.stack([cv2.dilate(o.astype(np.uint8), np.ones((7, 7))) == 0 for o in layer])
    core = np.stack([cv2.erode(o.astype(np.uint8), np.ones((7, 7))) == 1 for o in layer])
    assert np.abs(out[sure]).max() < 12
    assert np.abs(out[sure]).mean() < .1
    assert (out[core][:, 0] > 45).mean() > .99


def test_mean_color_keeps_chroma():
    a, b = np.float32([[[30, 0]]]), np.float32([[[0, 30]]])
    assert np.linalg.norm(mean_color(a, b, .5)) == pytest.approx(30, rel=.01)
    assert np.allclose(mean_color(a, a, .3), a, atol=.01)


def test_measures():
    film = known_scene(0, 8, (64, 48))
    flat = torch.zeros(8, 2, 48, 64)
    flat[1::2, 0] = 4
    assert warp_error(flat, film) == pytest.approx(4)
    assert warp_error(flat*0, film) == 0
    with pytest.raises(ValueError, match='colours of 7 frames for a film of 8'): warp_error(flat[1:], film)
    black_white = np.zeros((6, 4, 4, 3), np.uint8)
    black_white[1::2] = 255
    assert cdc(black_white, (1,)) == pytest.approx(np.log(2))
    assert cdc(black_white, (2,)) == 0
    assert space_time_slice(film.frames, 0, 2).shape == (16, 64, 3)


# ---- hints

def test_hints_move_with_the_film():
    film = known_pan(paint_scene(2, 200), 9, (96, 64), (.1, .1, .6), (.2, .1, .6))
    seen = []
    def predict(look):
        seen.append([o[:2] for o in look.points.values()])
        return np.zeros((64, 96, 2), np.float32)
    looks = gray_looks(film)
    looks[0].points = {0: [60., 30., 'red']}
    list(Steady(predict)(looks))
    moved = film.motion[:, 30, 60].sum(0) # a pan: the same everywhere
    assert seen[0] == [[60, 30]]
    assert np.abs(np.array(seen[-1][0]) - [60, 30] - moved).max() < 1.5
    assert np.abs(moved).max() > 8


def test_turned_points():
    mark = np.zeros((3, 5))
    mark[2, 1] = 1
    for q in range(4):
        (y, x), = np.argwhere(np.rot90(mark, q))
        assert turned_points([[1, 2]], 5, 3, q) == [[x, y]]


def test_files_of_hints(tmp_path):
    (tmp_path/'h.json').write_text(json.dumps(dict(width=64, height=48, hints=[dict(x=1, y=2, color='red', time=1.5),
                                                                              dict(x=1, y=2, color='blue')])))
    found = read_film_hints(tmp_path/'h.json', (64, 48))
    assert [(t, o.color) for t, o in found] == [(0, (0, 0, 255)), (1.5, (255, 0, 0))]
    with pytest.raises(HintError, match='made for 64x48'): read_film_hints(tmp_path/'h.json', (48, 64))
    with pytest.raises(HintError, match='cannot be read'): read_film_hints(tmp_path/'no.json', (48, 64))
    for text in ('{}', '[1]', '{"width": 64, "height": 48, "hints": [3]}', 'x'):
        (tmp_path/'bad.json').write_text(text)
        with pytest.raises(HintError, match='bad.json'): read_film_hints(tmp_path/'bad.json', (64, 48))
    with pytest.raises(HintError, match='0 or more'): check_film_hints([(float('nan'), (1, 1, 'red'))], (9, 9))


@pytest.mark.parametrize('frame', [10, 13, 19])
def test_a_hint_holds_for_its_whole_shot_and_no_other(tmp_path, frame):
    "At whatever moment of the shot it is given"
    color = Colorizer.load()
    film = write_film(tmp_path/'film.mkv', 30, scenes=(3, 8, 4))
    plain, hinted = tmp_path/'plain.mkv', tmp_path/'hinted.mkv'
    kw = dict(colorizer=color, size=48, codec='ffv1')
    before = color_video(film, plain, **kw)
    report = color_video(film, hinted, hints=[(frame/25, (20, 40, '#ff0000', 6))], **kw)
    assert (report.cuts, report.looks) == ([10, 20], before.looks)
    change = [np.abs(a.astype(int) - b).max() for a, b in zip(decoded(plain), decoded(hinted))]
    assert change[:10] == change[20:] == [0]*10
    assert min(change[10:20]) > 5


def test_a_hint_is_followed_back_to_where_its_thing_appears(tmp_path):
    "The place is where the known motion has it; outside the picture and across the cut there is none"
    pan = known_pan(paint_scene(2, 300), 24, (96, 64), (.1, .1, .5), (.5, .1, .5))
    pictures = joined_films(known_scene(10, 8, (96, 64)), pan).frames
    film = Film(gray_film(tmp_path/'film.mkv', [np.asarray(Image.fromarray(o).convert('L')) for o in pictures]))
    hints = check_film_hints([(27/25, (30, 30, 'red')), (28/25, (80, 20, 'blue', 5))], (96, 64))
    places, notes = hint_places(film, hints, 64)
    frames = [o.pts for o, _ in film.frames()]
    for k, own, (x, y) in ((0, 27, (30, 30)), (1, 28, (80, 20))):
        there = {frames.index(pts): o[k] for pts, o in places.items() if k in o}
        at, truth = np.array([x, y], float), {own: (x, y)}
        for i in range(own - 1, 7, -1):
            at = at - pan.motion[i - 8, 30, 30]
            if not (0 <= at[0] < 95 and 0 <= at[1] < 63): break
            truth[i] = at
        assert abs(min(there) - min(truth)) <= 1
        assert max(there) == own
        assert all(np.abs(np.array(there[i][:2]) - truth[i]).max() < 1.5 for i in there.keys() & truth.keys())
    assert min(frames.index(pts) for pts in places) > 7
    assert 0 < min(frames.index(pts) for pts, o in places.items() if 1 in o) - 8 < 20 # it came in later
    assert len(hint_places(film, hints, 64, back=3)[0]) == 4 # no more than three frames are remembered
    assert notes == []
    assert hint_places(film, [(9., hints[0][1])], 64) == ({}, ['a hint at 9 s is not used: the film ends at 1.3 s'])


def test_a_hint_that_begins_within_a_shot_does_not_make_it_jump():
    "The frame in which it begins is a key, averaged with the one before; other frames keep their colours"
    still = np.asarray(paint_scene(1, 64).convert('L'))
    steady = Steady(lambda look: np.full((64, 64, 2), 40. if look.points else 0., np.float32), strength=.5)
    looks = [Look(i, still) for i in range(17)]
    looks[5].points = {3: [20, 20, 'red']}
    levels = [o.ab.mean() for o in steady(looks)]
    assert levels[0] == 0
    assert levels[5] == pytest.approx(20, abs=2)
    assert np.diff(levels).min() > -1e-3
    assert np.diff(levels).max() < 5
    assert looks[16].points.keys() == {3}


def test_the_time_of_a_hint_counts_from_the_first_frame(tmp_path):
    film = Film(write_film(tmp_path/'film.mp4', 20, codec='libx264', times=[64000 + 512*i for i in range(20)]))
    (first, _), *_ = film.frames()
    assert first.time == pytest.approx(5, abs=.1)
    places, notes = hint_places(film, check_film_hints([(0, (5, 5, 'red'))], (64, 48)), 32)
    assert (list(places), notes) == ([first.pts], [])


# ---- stopping

class Killed(Exception): pass


def stop_at(n):
    def progress(done, *_):
        if done == n: raise Killed
    return progress


def moving_pictures(path, n, size=(64, 48), clear=False):
    "An animation of two shots, by its suffix a GIF or a WebP, with uneven times"
    scenes, pictures = [paint_scene(o, 2*max(size)).convert('L') for o in (3, 8)], []
    for i in range(n):
        x = i % max(size)
        picture = scenes[i*2//n].crop((x, 0, x + size[0], size[1]))
        if clear: # from above, row by row; the clear colour is gray
            shown = Image.linear_gradient('L').resize(size).point(lambda v, i=i: 255*(v > 30 + i))
            picture.paste(128, mask=shown.point(lambda v: 255 - v))
            picture.putalpha(shown)
        pictures.append(picture.convert('RGBA' if clear else 'RGB'))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[30, 80]*(n//2), loop=0, lossless=True,
                     disposal=2)
    return path


@pytest.mark.parametrize('clear', [False, True], ids=['opaque', 'clear'])
@pytest.mark.parametrize('suffix', ['.gif', '.webp'])
def test_a_stopped_animation_goes_on(tmp_path, tiny, suffix, clear):
    "To the same bytes, however often it was stopped"
    path = moving_pictures(tmp_path/f'a{suffix}', 40, clear=clear)
    calm, rough = tmp_path/f'calm{suffix}', tmp_path/f'rough{suffix}'
    kw = dict(colorizer=tiny, segment=5)
    color_video(path, calm, **kw)
    for n in (3, 11, 12, 30, 40):
        with pytest.raises(Killed): color_video(path, rough, progress=stop_at(n), **kw)
        assert not rough.exists()
    report = color_video(path, rough, **kw)
    assert (report.resumed >= 30, report.frames, report.cuts) == (True, 40, [20])
    assert calm.read_bytes() == rough.read_bytes()
    assert sorted(o.name for o in tmp_path.iterdir()) == sorted([path.name, calm.name, rough.name])
    assert animation_times(rough) == [30, 80]*20
    for a, b in zip(animation_pictures(path), animation_pictures(rough), strict=True):
        alpha = [np.asarray(o.convert('RGBA'))[..., 3] for o in (a, b)]
        assert (alpha[0] == alpha[1]).all()
    assert clear == (alpha[0].min() == 0)


@pytest.mark.parametrize('suffix, codec', [('.mkv', 'ffv1'), ('.mp4', None)])
def test_stopped_anywhere_the_result_is_the_same(tmp_path, tiny, suffix, codec):
    film = write_film(tmp_path/'film.mp4', 40, codec='libx264', sound=10)
    calm, rough = tmp_path/f'calm{suffix}', tmp_path/f'rough{suffix}'
    kw = dict(colorizer=tiny, segment=5, codec=codec)
    color_video(film, calm, **kw)
    for n in (3, 11, 12, 30, 40):
        with pytest.raises(Killed): color_video(film, rough, progress=stop_at(n), **kw)
        assert not rough.exists()
    report = color_video(film, rough, **kw)
    assert report.resumed >= 30
    assert same(decoded(calm), decoded(rough))
    assert seconds(calm) == seconds(rough)
    assert sorted(o.name for o in tmp_path.iterdir()) == sorted(['film.mp4', calm.name, rough.name])


def test_another_wish_begins_anew(tmp_path, tiny):
    film, out = write_film(tmp_path/'film.mkv', 24), tmp_path/'out.mkv'
    with pytest.raises(Killed): color_video(film, out, tiny, segment=5, progress=stop_at(20))
    assert color_video(film, out, tiny, segment=5, saturation=.5).resumed == 0


def test_memory_does_not_grow_with_the_film(tmp_path, tiny, monkeypatch):
    from colorize_lib.apply import film_looks as module
    alive, most = weakref.WeakSet(), []
    class Counted(Look):
        def __post_init__(self):
            super().__post_init__()
            alive.add(self)
            most.append(len(alive))
    monkeypatch.setattr(module, 'Look', Counted)
    film = write_film(tmp_path/'film.mkv', 90, (16, 16))
    color_video(film, tmp_path/'a.mkv', tiny, codec='ffv1', segment=1000)
    assert len(most) == 90
    assert max(most) <= 30 # a block, what waits, and what both ends hold
    most.clear()
    color_video(moving_pictures(tmp_path/'a.webp', 90, (16, 16)), colorizer=tiny, segment=1000)
    assert len(most) == 90
    assert max(most) <= 30


def test_an_encoder_is_freed_behind_its_segment(tmp_path, tiny):
    "At once, and not when Python searches for cycles, which let the memory grow by 43 MB a segment at 720p"
    film = Film(write_film(tmp_path/'film.mkv', 3))
    moving = Animation(moving_pictures(tmp_path/'a.webp', 4))
    makers = (lambda: segment_writer(tmp_path/'0', film, choose_encoding(film, '.mp4')),
              lambda: AnimationWriter(moving, tmp_path/'b.webp', tiny).segment(tmp_path/'1'))
    gc.disable()
    try:
        for make in makers:
            with make() as write: kept = weakref.ref(write)
            del write
            assert kept() is None
    finally: gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize('suffix', ['.gif', '.webp'])
def test_memory_does_not_grow_with_an_animation(tmp_path, model, suffix):
    "Of the whole process: fifteen times as many pictures"
    code = ('import sys; from colorize_lib.apply.commands import main; main(sys.argv[1:]); '
            'import re; print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])')
    peaks = []
    for n in (20, 300):
        path = moving_pictures(tmp_path/f'{n}{suffix}', n, (640, 360))
        done = subprocess.run([sys.executable, '-c', code, str(path), '--model', model, '--steady', '1'],
                              capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout)/1024)
    assert peaks[1] - peaks[0] < 80 # all pictures, in RGB, would be 190 MB more


def test_two_processes(tmp_path, tiny):
    film, out = write_film(tmp_path/'film.mkv', 4), tmp_path/'out.mkv'
    def meanwhile(*_):
        with pytest.raises(FilmError, match='another process'): color_video(film, out, tiny)
    color_video(film, out, tiny, progress=meanwhile)


@pytest.mark.parametrize('end', [True, False])
def test_a_folder_that_is_not_needed_any_more(colorize, tmp_path, tiny, monkeypatch, end):
    "Behind the name of the film it is removed by the next run; a second work that is not at its end stays"
    from colorize_lib.apply import film_work
    film, out = write_film(tmp_path/'film.mkv', 12), tmp_path/'film_color.mkv'
    with monkeypatch.context() as m:
        m.setattr(film_work.shutil, 'rmtree', lambda *args, **kwargs: None)
        color_video(film, out, tiny)
    folder = film_work.work_folder(out)
    assert folder.exists()
    if not end:
        with pytest.raises(Killed): color_video(film, out, tiny, segment=5, steady=0, progress=stop_at(8))
    code, _, err = colorize(film)
    assert (code, 'skipped' in err, folder.exists()) == (0, True, not end)


@pytest.mark.slow
def test_kill_minus_9(tmp_path, model):
    film = write_film(tmp_path/'film.mp4', 240, (160, 96), codec='libx264')
    def command(out): return [*COMMAND, str(film), '-o', str(out), '--model', model, '--codec', 'ffv1']
    subprocess.run(command(tmp_path/'calm.mkv'), check=True, capture_output=True)
    rng, kills, out = np.random.default_rng(0), 0, tmp_path/'rough.mkv'
    while not out.exists() and kills < 12:
        child = subprocess.Popen(command(out), stderr=subprocess.DEVNULL)
        parts = tmp_path/'.rough.mkv.work'
        start = time.time()
        while not (parts/'segment.part').exists() and child.poll() is None and time.time() - start < 60: time.sleep(.01)
        time.sleep(rng.uniform(0, .8))
        kills += child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
    subprocess.run(command(out), check=True, capture_output=True)
    assert kills >= 2
    assert same(decoded(tmp_path/'calm.mkv'), decoded(out))


# ---- what can go wrong

def test_bad_films_are_named(tmp_path, tiny):
    (tmp_path/'text.mp4').write_text('not a film')
    (tmp_path/'empty.mkv').write_bytes(b'')
    film = write_film(tmp_path/'film.mkv', 6)
    write_film(tmp_path/'hdr.mkv', 1, color_trc=16)
    write_film(tmp_path/'wide.mkv', 1, colorspace=9)
    with av.open(str(tmp_path/'sound.mka'), 'w', format='matroska') as box:
        stream = box.add_stream('aac', rate=48000)
        noise = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), 'fltp')
        noise.sample_rate = 48000
        for o in (noise, None): box.mux(stream.encode(o))
    for name, why in {'text.mp4': 'cannot be read as a film', 'empty.mkv': 'cannot be read as a film', '.': 'folder',
                      'gone.mp4': 'No such file', 'sound.mka': 'no video', 'hdr.mkv': r'HDR \(PQ\)',
                      'wide.mkv': 'BT.2020'}.items():
        with pytest.raises(FilmError, match=why) as e: color_video(tmp_path/name, tmp_path/'out.mkv', tiny)
        assert str(tmp_path/name) in str(e.value)
    for kwargs, why in ((dict(codec='nothing'), 'no encoder of this name'), (dict(out=film), 'overwrite'),
                        (dict(out=tmp_path/'no/out.mkv'), 'no such folder')):
        with pytest.raises(FilmError, match=why): color_video(film, colorizer=tiny, **kwargs)
    with pytest.raises(HintError, match='takes no hints'): color_video(film, colorizer=tiny, hints=[(0, (1, 1, 'red'))])
    assert not (tmp_path/'out.mkv').exists()
    assert not list(tmp_path.glob('.*'))
    with pytest.raises(FilmError, match='cannot be read .MemoryError'), film_errors('a.mkv', 'cannot be read'):
        raise MemoryError # which has no text of its own


def test_zero_frames(tmp_path):
    path = write_film(tmp_path/'film.avi', 2, codec='mpeg4')
    data = bytearray(path.read_bytes())
    at = data.index(b'movi') + 4
    while (i := data.find(b'00dc', at)) >= 0 and i < data.rfind(b'idx1'):
        size = int.from_bytes(data[i + 4:i + 8], 'little')
        data[i + 8:i + 8 + size] = bytes(size)
        at = i + 8 + size
    path.write_bytes(data)
    with pytest.raises(FilmError, match='no frame of its video can be decoded'): Film(path)


def test_truncated_and_lying_films(tmp_path, tiny):
    whole = write_film(tmp_path/'whole.mkv', 50, codec='libx264')
    data = whole.read_bytes()
    (tmp_path/'cut.mkv').write_bytes(data[:len(data)*4//5])
    report = color_video(tmp_path/'cut.mkv', tmp_path/'out.mkv', tiny, codec='ffv1')
    assert 10 < report.frames < 48
    assert any('it says that it has 50 frames' in o for o in report.notes)
    assert same(lumas(tmp_path/'cut.mkv'), lumas(tmp_path/'out.mkv'))
    moov_last = write_film(tmp_path/'film.mp4', 20, codec='libx264').read_bytes()
    (tmp_path/'cut.mp4').write_bytes(moov_last[:-200])
    with pytest.raises(FilmError, match='cut.mp4: cannot be read as a film'):
        color_video(tmp_path/'cut.mp4', colorizer=tiny)


def declare(path, n):
    "Let the header of an .avi or a .mkv of 25 frames a second say that it has `n` frames"
    data = bytearray(path.read_bytes())
    if path.suffix == '.avi':
        for name, at in ((b'avih', 24), (b'strh', 40)):
            i = data.index(name) + at
            data[i:i + 4] = n.to_bytes(4, 'little')
    else:
        i = data.index(b'\x44\x89\x88') + 3
        data[i:i + 8] = struct.pack('>d', 1000*n/25)
    path.write_bytes(data)


@pytest.mark.parametrize('suffix, codec', [('.avi', 'mjpeg'), ('.mkv', 'ffv1')])
def test_a_header_that_declares_too_few_frames(tmp_path, tiny, suffix, codec):
    "All frames are coloured, the note says so, and nobody is told that no time is left"
    fmt, told = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p', []
    film = write_film(tmp_path/f'film{suffix}', 30, codec=codec, fmt=fmt)
    whole = lumas(film)
    declare(film, 10)
    assert Film(film).n_frames == 10
    report = color_video(film, tmp_path/'out.mkv', tiny, codec='ffv1', progress=lambda *o: told.append(o))
    assert report.frames == 30
    assert same(lumas(tmp_path/'out.mkv'), whole)
    assert 'it says that it has 10 frames, there are 30' in report.notes
    assert [o[:2] for o in told] == [(i, 10 if i <= 10 else 0) for i in range(1, 31)]
    assert [o[3] is None for o in told] == [False]*10 + [True]*20


def test_broken_packets_are_counted(tmp_path, tiny):
    path = write_film(tmp_path/'film.avi', 12, codec='mjpeg', fmt='yuvj420p')
    data = bytearray(path.read_bytes())
    i = data.index(b'00dc', data.index(b'00dc', data.index(b'movi')) + 4)
    size = int.from_bytes(data[i + 4:i + 8], 'little')
    data[i + 8:i + 8 + size] = bytes(size)
    path.write_bytes(data)
    report = color_video(path, tmp_path/'out.mkv', tiny)
    assert report.frames == 11
    assert '1 packets could not be decoded' in report.notes


def test_ten_bits_are_kept(tmp_path, tiny):
    film = Film(write_film(tmp_path/'film.mkv', 6, fmt='yuv420p10le'))
    assert choose_encoding(film, '.mp4').format == 'yuv420p10le'
    report = color_video(film.path, tmp_path/'out.webm', tiny)
    assert 'yuv420p10le is written as yuv420p, which libvpx-vp9 takes' in report.notes
    error = np.mean([np.abs(a/4 - b).mean() for a, b in zip(lumas(film.path), lumas(report.path))])
    assert error < 3


def test_a_full_disk(tmp_path, model):
    "What is done is kept, and nothing stands under the final name"
    film = write_film(tmp_path/'film.mkv', 60, (160, 96))
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
    argv = [*COMMAND, str(film), '--model', model, '--codec', 'ffv1', '-o', str(tmp_path/'out.mkv')]
    code = 'import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); ' + COMMAND[2]
    argv[1:3] = ['-c', code]
    done = subprocess.run(argv, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1
    assert 'out.mkv: cannot be written (File too large)' in done.stderr
    assert not (tmp_path/'out.mkv').exists()


def test_a_disk_that_is_full_after_whole_segments(tmp_path, tiny, monkeypatch):
    "What is done is kept, the message says how much, and the same call goes on"
    from colorize_lib.apply import color_video as module, film_writing
    film, left = write_film(tmp_path/'film.mkv', 40), [3]
    class Full:
        "A disk that has room for three segments"
        def __init__(self, box): self.box = box
        def __getattr__(self, name): return getattr(self.box, name)
        def mux(self, packet): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    @contextmanager
    def opened(path, mode, **kwargs):
        left[0] -= 1
        with av.open(path, mode, **kwargs) as box: yield Full(box) if left[0] < 0 else box
    fake = types.SimpleNamespace(open=opened, VideoFrame=av.VideoFrame, error=av.error)
    kw = dict(colorizer=tiny, codec='ffv1', segment=5)
    encoding = choose_encoding(Film(film), '.mkv', 'ffv1')
    with monkeypatch.context() as m:
        m.setattr(film_writing, 'import_video', lambda: (fake, None))
        m.setattr(module, 'check_streams', lambda *_: [])
        m.setattr(module, 'choose_encoding', lambda *_: encoding)
        with pytest.raises(FilmError, match='cannot be written .No space left on device.; 2[0-9] frames are done') as e:
            color_video(film, tmp_path/'out.mkv', **kw)
    assert e.value.__cause__.errno == errno.ENOSPC # by which the command knows that it need not try other films
    assert not (tmp_path/'out.mkv').exists()
    report = color_video(film, tmp_path/'out.mkv', **kw)
    assert report.resumed > 20
    color_video(film, tmp_path/'calm.mkv', **kw)
    assert same(decoded(tmp_path/'out.mkv'), decoded(tmp_path/'calm.mkv'))


def camera_film(path, rate=30, codec='libx264', fmt='yuv420p', uneven=False, **tags):
    "As a phone or a camera writes it: B-frames, AAC, rotation, a timecode, times that begin anywhere"
    scene, rng = paint_scene(3, 200).convert('L'), np.random.default_rng(0)
    options = dict(profile='high', bf='3', g='12')
    if codec == 'libx265': options = {'x265-params': 'log-level=none:bframes=3'}
    with av.open(str(path), 'w') as box:
        video = box.add_stream(codec, rate=rate, options=options)
        video.width, video.height, video.pix_fmt = 96, 64, fmt
        video.codec_context.time_base = Fraction(1, 90000)
        video.metadata['timecode'] = '01:02:03:04'
        video.set_display_rotation(-90)
        for k, v in tags.items(): setattr(video.codec_context, k, v)
        audio = box.add_stream('aac', rate=44100)
        pts = 137_000
        for i in range(30):
            gray = scene.crop((i, 20, i + 96, 84)).convert('RGB')
            frame = av.VideoFrame.from_image(gray).reformat(format=fmt)
            frame.pts, frame.time_base = pts, Fraction(1, 90000)
            pts += int(rng.integers(1500, 4500)) if uneven else 90000//rate
            box.mux(video.encode(frame))
        for i in range(60):
            noise = np.random.default_rng(i).normal(0, .1, (2, 1024)).astype(np.float32)
            noise = av.AudioFrame.from_ndarray(noise, 'fltp')
            noise.sample_rate, noise.pts = 44100, 44100 + 1024*i
            box.mux(audio.encode(noise))
        for o in (video, audio): box.mux(o.encode(None))
    return path


@pytest.mark.parametrize('codec, fmt, suffix, uneven', [
    ('libx264', 'yuv420p', '.mov', False), ('libx264', 'yuv420p', '.mp4', True),
    ('libx265', 'yuv420p10le', '.mov', True)])
def test_films_of_cameras(tmp_path, tiny, codec, fmt, suffix, uneven):
    path = camera_film(tmp_path/f'film{suffix}', codec=codec, fmt=fmt, uneven=uneven)
    report = color_video(path, colorizer=tiny, segment=8)
    before, after = Film(path), Film(report.path)
    assert before.start > 0
    assert seconds(path) == seconds(report.path)
    assert sounds(path) == sounds(report.path)
    assert (after.turned, after.start, after.deep) == (before.turned, before.start, before.deep)
    with av.open(report.path) as box:
        kept = [o.metadata.get('timecode') for o in box.streams if o.type == 'data']
    lost = ['the timecode 01:02:03:04 is left out: its rate is uneven']
    assert (kept, report.notes) == (([], lost) if uneven else (['01:02:03:04'], []))
    color_video(path, tmp_path/'exact.mkv', tiny, codec='ffv1')
    assert same(lumas(path), lumas(tmp_path/'exact.mkv'))


def test_hdr_of_a_phone_is_refused_by_name(tmp_path, tiny):
    found = dict(color_trc=18), dict(color_trc=16), {}
    for tags, why in zip(found, (r'HDR \(HLG\)', r'HDR \(PQ\)', 'BT.2020')):
        path = camera_film(tmp_path/'film.mov', codec='libx265', fmt='yuv420p10le', colorspace=9, **tags)
        with pytest.raises(FilmError, match=why): color_video(path, colorizer=tiny)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_a_folder_that_cannot_be_written(tmp_path, tiny):
    film = write_film(tmp_path/'film.mkv', 3)
    (tmp_path/'locked').mkdir(mode=0o500)
    with pytest.raises(FilmError, match='no permission'): color_video(film, tmp_path/'locked/out.mkv', tiny)


def refusing(function, number, where):
    "A function of the module `os` that raises an error for paths in a folder, as the system would"
    def refuse(path, *args, **kwargs):
        if isinstance(path, (str, os.PathLike)) and Path(path).is_relative_to(where):
            raise OSError(number, os.strerror(number), str(path))
        return function(path, *args, **kwargs)
    return refuse


@pytest.mark.parametrize('number', [errno.EACCES, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize('name', ['mkdir', 'open', 'replace'])
def test_a_folder_that_refuses(tmp_path, tiny, monkeypatch, number, name):
    "Also as root: a folder, the lock and the files in it, the final name"
    film, locked = write_film(tmp_path/'film.mkv', 3), tmp_path/'locked'
    locked.mkdir()
    monkeypatch.setattr(os, name, refusing(getattr(os, name), number, locked))
    why = rf'locked(/out.mkv)?: cannot be written (to )?\({os.strerror(number)}'
    with pytest.raises(FilmError, match=why) as e: color_video(film, locked/'out.mkv', tiny)
    assert e.value.__cause__.errno == number # EROFS ends the whole run of `colorize`
    monkeypatch.undo()
    assert not (locked/'out.mkv').exists()
    assert color_video(film, locked/'out.mkv', tiny).frames == 3


def test_a_folder_without_permission(tmp_path, tiny, monkeypatch):
    "Said before the work begins, also as root"
    film, access = write_film(tmp_path/'film.mkv', 3), os.access
    monkeypatch.setattr(os, 'access', lambda path, mode: mode != os.W_OK and access(path, mode))
    with pytest.raises(FilmError, match='no permission to write in this folder') as e:
        color_video(film, tmp_path/'out.mkv', tiny)
    assert e.value.name == str(tmp_path)
    assert [o.name for o in tmp_path.iterdir()] == ['film.mkv']


# ---- animations that cannot be used

def write_animation(path, n=6):
    frames = [paint_scene(3, 96).convert('L').crop((i, 0, i + 48, 32)) for i in range(n)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    return path


def damage(path):
    "A GIF is cut off; of a WebP, which cannot even be opened then, the last picture is overwritten"
    data = path.read_bytes()
    keep = len(data)*3//5 if path.suffix == '.gif' else data.rindex(b'VP8L') + 13
    path.write_bytes(data[:keep] + b'\xff'*(len(data) - keep)*(path.suffix == '.webp'))
    return path


@pytest.mark.parametrize('suffix, why', [('.gif', 'image file is truncated'), ('.webp', 'failed to read next frame')])
def test_damaged_animations_are_named(tmp_path, tiny, suffix, why):
    path = damage(write_animation(tmp_path/f'a{suffix}'))
    assert is_animation(path)
    with pytest.raises(FilmError, match=rf'cannot be read as an animation \({why}') as e:
        color_video(path, colorizer=tiny)
    assert e.value.name == str(path)
    assert [o.name for o in tmp_path.iterdir()] == [path.name]


def test_a_gif_that_is_cut_anywhere(tmp_path, tiny):
    "Behind its first picture: it is not taken for a photo, though Pillow cannot even count the pictures of some"
    whole, path, said = write_animation(tmp_path/'a.gif').read_bytes(), tmp_path/'cut.gif', []
    for n in range(len(whole)//4, len(whole) - 1, 97):
        path.write_bytes(whole[:n])
        assert is_animation(path)
        try: assert color_video(path, colorizer=tiny).frames < 6 # cut between two pictures
        except FilmError as e: said.append(str(e))
    assert len(said) > 40
    assert {o.partition(' (')[0] for o in said} == {f'{path}: cannot be read as an animation'}


@pytest.mark.parametrize('suffix', ['.gif', '.webp'])
def test_animations_that_cannot_be_written(tmp_path, tiny, monkeypatch, suffix):
    path, locked = write_animation(tmp_path/f'a{suffix}'), tmp_path/'locked'
    locked.mkdir()
    before = path.read_bytes()
    with pytest.raises(FilmError, match='would overwrite the animation'): color_video(path, path, tiny)
    other = 'films and animations are not made into each other'
    with pytest.raises(FilmError, match=f'needs to be {suffix}: {other}'): color_video(path, tmp_path/'out.mp4', tiny)
    film = write_film(tmp_path/'film.mkv', 3)
    with pytest.raises(FilmError, match=f'needs to be .mp4, .* or .webm: {other}'):
        color_video(film, tmp_path/f'out{suffix}', tiny)
    monkeypatch.setattr(os, 'open', refusing(os.open, errno.EROFS, locked))
    with pytest.raises(FilmError, match='cannot be written to .Read-only file system') as e:
        color_video(path, locked/f'out{suffix}', tiny)
    assert (e.value.name, e.value.__cause__.errno) == (str(locked), errno.EROFS)
    assert path.read_bytes() == before
    assert not (locked/f'out{suffix}').exists()


def test_without_the_packages(tmp_path):
    film = write_film(tmp_path/'film.mkv', 2)
    code = f'import sys; sys.modules["av"] = None; from colorize_lib.apply.films import Film; Film({str(film)!r})'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'films: av is not installed: pip install "colorize_lib[video]"' in done.stderr


# ---- the command

@pytest.fixture
def colorize(model, capsys):
    def run(*argv):
        try: code = main([*map(str, argv), '--model', model])
        except SystemExit as e: code = e.code
        return code, *capsys.readouterr()
    return run


def test_command(colorize, tmp_path):
    write_film(tmp_path/'in.mp4', 10, codec='libx264')
    code, _, err = colorize(tmp_path/'in.mp4', '-o', tmp_path/'out.mp4')
    assert (code, '1 coloured' in err) == (0, True)
    assert Film(tmp_path/'out.mp4').n_frames == 10
    assert 'skipped' in colorize(tmp_path/'in.mp4', '-o', tmp_path/'out.mp4')[2]
    assert colorize(tmp_path/'in.mp4', tmp_path/'in.mp4', '-o', tmp_path/'out.mp4')[0] == 2
    assert colorize(tmp_path/'in.mp4', '--steady', '2')[0] == 2
    code, _, err = colorize(tmp_path/'in.mp4', '--codec', 'nothing')
    assert (code, 'no encoder of this name' in err) == (1, True)


def test_folders_mix_photos_and_films(colorize, tmp_path):
    folder = tmp_path/'in'
    folder.mkdir()
    write_film(folder/'a.avi', 6, codec='mpeg4')
    write_film(folder/'b.mkv', 6)
    paint_scene(1, 40).convert('L').save(folder/'c.png')
    frames = [paint_scene(3, 64).convert('L').crop((i, 0, i + 32, 32)) for i in range(4)]
    frames[0].save(folder/'d.gif', save_all=True, append_images=frames[1:])
    code, out, _ = colorize(folder, '-o', tmp_path/'out', '--json', '--compare')
    assert code == 0
    assert json.loads(out)['done'] == 4
    assert sorted(p.name for p in (tmp_path/'out').iterdir()) == ['a_color.mkv', 'b_color.mkv', 'c_color.png',
                                                                  'c_color_compare.png', 'd_color.gif']
    assert colorize(folder)[0] == 0
    code, out, _ = colorize(folder, '--json') # beside them: results are not coloured again
    assert json.loads(out)['skipped'] == 4


@pytest.mark.parametrize('suffix', ['.gif', '.webp'])
def test_a_damaged_animation_does_not_end_a_folder(colorize, tmp_path, suffix):
    folder, out = tmp_path/'in', tmp_path/'out'
    folder.mkdir()
    damage(write_animation(folder/f'a{suffix}'))
    cut = write_animation(folder/'b.webp').read_bytes()
    (folder/'b.webp').write_bytes(cut[:len(cut)//2]) # no picture of it can be read
    paint_scene(1, 40).convert('L').save(folder/'c.png')
    code, said, err = colorize(folder, '-o', out, '--json')
    report = json.loads(said)
    assert (code, report['done'], report['failed'], report['todo']) == (1, 1, 2, 0)
    assert [o.name for o in out.iterdir()] == ['c_color.png']
    assert f'{folder}/a{suffix}: cannot be read as an animation (' in err
    assert f'{folder}/b.webp: ' in err
    assert 'Traceback' not in err
    reasons = {Path(o['photo']).name: o['reason'] for o in report['photos']}
    assert reasons[f'a{suffix}'].startswith('cannot be read as an animation (')


@pytest.mark.parametrize('suffix', ['.gif', '.webp'])
def test_hints_of_an_animation(tmp_path, suffix):
    "At a time of the second shot, by the command: it holds there, and the first shot is as it was"
    shots = joined_films(*(known_scene(i, 8, (96, 64)) for i in (0, 10)))
    pictures = [Image.fromarray(o).convert('L') for o in shots.frames]
    path, plain, hinted = (tmp_path/f'{o}{suffix}' for o in ('a', 'plain', 'hinted'))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40, lossless=True)
    hint = dict(x=30, y=40, color='#ff0000', radius=6, time=.4)
    (tmp_path/'h.json').write_text(json.dumps(dict(width=96, height=64, hints=[hint])))
    assert main([str(path), '--size', '64', '-o', str(plain)]) == 0
    assert main([str(path), '--size', '64', '-o', str(hinted), '--hints', str(tmp_path/'h.json')]) == 0
    change = [np.abs(np.asarray(a.convert('RGB'), int) - np.asarray(b.convert('RGB'))).max()
              for a, b in zip(animation_pictures(plain), animation_pictures(hinted), strict=True)]
    assert change[:8] == [0]*8
    assert min(change[8:]) > 20


@pytest.mark.parametrize('suffix', ['.gif', '.webp'])
def test_what_animations_do_not_take(colorize, tmp_path, suffix):
    "A reference is for photos, a model may take no hints, and an encoder has nothing to do"
    path = write_animation(tmp_path/f'a{suffix}')
    code, _, err = colorize(path, '--reference', path)
    assert (code, '--painted and --reference are for photos' in err) == (1, True)
    code, _, err = colorize(path, '--hint', '3,3,red')
    assert (code, 'this model takes no hints' in err) == (1, True)
    code, _, err = colorize(path, '--codec', 'ffv1')
    assert (code, 'codec and quality are for films, not for animations' in err) == (0, True)


def lines_of_progress(colorize, monkeypatch, film):
    "What `colorize` says of a film that takes a second a frame, of how far it is"
    from colorize_lib.apply import color_video as module, commands
    seen, work = count(0, 2.), count()
    monkeypatch.setattr(commands, 'time', types.SimpleNamespace(perf_counter=lambda: next(seen)))
    monkeypatch.setattr(module, 'time', types.SimpleNamespace(perf_counter=lambda: next(work)))
    code, _, err = colorize(film, '--codec', 'ffv1', '-o', film.with_name('out.mkv'))
    assert code == 0
    return [o.partition(f'{film}: ')[2] for o in err.splitlines() if 'a second' in o]


def test_progress_of_a_film(colorize, tmp_path, monkeypatch):
    "Frames, frames a second and the time left, every five seconds"
    said = lines_of_progress(colorize, monkeypatch, write_film(tmp_path/'film.mkv', 12))
    assert said == [f'{n} of 12 frames, 1.0 a second, 0:00:{12 - n:02} left' for n in (3, 6, 9, 12)]


def test_progress_of_a_film_of_unknown_length(colorize, tmp_path, monkeypatch):
    declare(film := write_film(tmp_path/'film.mkv', 12), 4)
    said = lines_of_progress(colorize, monkeypatch, film)
    assert said == ['3 of 4 frames, 1.0 a second, 0:00:01 left',
                    *(f'{n} of ? frames, 1.0 a second' for n in (6, 9, 12))]
