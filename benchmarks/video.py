"""Films: how steady colours are, and how many frames a second

`python -m benchmarks.video [FOLDER OF PHOTOS] [--frames 97] [--photos 8] [--scenes 4]` writes two sections of
`benchmarks/VIDEO.md`. Without a folder, the photos of the package are used. `python -m benchmarks.film_kills` and
`python -m benchmarks.film_memory` write the others.
"""
import argparse
import os
import platform
import re
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import pandas as pd
import torch
from PIL import Image

from colorize_lib.apply.color_video import color_video
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.apply.film_looks import film_predictor
from colorize_lib.apply.film_writing import choose_encoding, segment_writer
from colorize_lib.apply.films import Film, gray_film
from colorize_lib.apply.video import Look, Steady
from colorize_lib.engine.metrics import colorfulness, psnr
from colorize_lib.engine.video_metrics import cdc, joined_films, known_pan, known_scene, warp_error
from colorize_lib.lab import lab_to_rgb, rgb_to_lab
from colorize_lib.photos.pictures import open_photo, photo_files, rgb_tensor
from colorize_lib.photos.samples import carried_photos, paint_scene

STRENGTHS = 0, .2, .4, .7, 1
MARKS = dict(ratio=('at most', .5), gain=('at least', -.05), share=('at least', .97)) # against each frame by itself
REPORT = Path(__file__).with_name('VIDEO.md')


def put_section(title, lines, report=None):
    "Write a section of the report anew, and leave the others as they are"
    report = report or REPORT
    text = report.read_text() if report.exists() else '# Films\n'
    head, *parts = re.split(r'(?m)^(?=## )', text)
    new = '\n'.join([f'## {title}', '', *lines]).rstrip() + '\n\n'
    old = [o for o in parts if o.splitlines()[0] == f'## {title}']
    parts = [new if o in old else o for o in parts] + [new]*(not old)
    report.write_text(''.join([head.rstrip() + '\n\n', *parts]).rstrip() + '\n')


def film_with_sound(path, n, size=(1280, 720)):
    "A gray film of two painted shots over which the camera pans, in H.264, and noise as its sound"
    w, h = size
    shots = [np.asarray(paint_scene(o, max(w, h) + n).convert('L')) for o in (3, 8)]
    gray_film(path, [shots[2*i//n][:h, i:i + w] for i in range(n)], 'libx264', sound='aac')
    return path


def measured(film, ab):
    ab = torch.from_numpy(np.stack(ab)).movedim(-1, 1)
    true = rgb_tensor(film.frames)
    rgb = lab_to_rgb(torch.cat([rgb_to_lab(true)[:, :1], ab], 1))
    shown = (rgb*255).round().byte().movedim(1, -1).numpy()
    return dict(warp_error=warp_error(ab, film), psnr=psnr(rgb, true).mean().item(),
                colorfulness=colorfulness(rgb).mean().item(), cdc=1000*cdc(shown))


def steadiness(films, colorizer, n_films):
    "A row for each kind of film and strength"
    rows, predict = [], film_predictor(colorizer, 128)
    for kind, film in films:
        grays = [np.asarray(Image.fromarray(o).convert('L')) for o in film.frames]
        own = {}
        def look(frame, own=own):
            key = frame.item, frame.averaged # then it is not seen mirrored
            if key not in own: own[key] = predict(frame)
            return own[key]
        for strength in STRENGTHS:
            steady = Steady(look, strength)
            ab = [o.ab for o in steady(Look(i, o) for i, o in enumerate(grays))]
            cuts_right = strength == 0 or steady.cuts == list(film.cuts)
            rows.append(dict(kind=kind, strength=strength, **measured(film, ab), looks=steady.n_looks/len(grays),
                             cuts_right=cuts_right))
        truth = rgb_to_lab(rgb_tensor(film.frames))[:, 1:].movedim(1, -1).numpy()
        rows.append(dict(kind=kind, strength='truth', **measured(film, truth)))
        print(kind, len(rows)//(len(STRENGTHS) + 1), 'of', n_films, flush=True)
    df = pd.DataFrame(rows)
    base = df[df.strength == 0].reset_index()
    parts = []
    for strength, part in df[df.strength != 'truth'].groupby('strength', sort=False):
        part = part.reset_index()
        part = part.assign(ratio=part.warp_error/base.warp_error, gain=part.psnr - base.psnr,
                           share=part.colorfulness/base.colorfulness)
        part['number'] = part.groupby('kind').cumcount() + 1
        groups = part.groupby('kind')
        mean = groups[['warp_error', 'ratio', 'gain', 'share', 'cdc', 'looks', 'cuts_right']].mean()
        for name, (way, _) in MARKS.items():
            worst = groups[name].idxmax() if way == 'at most' else groups[name].idxmin()
            mean[f'{name}_worst'] = part[name][worst].to_numpy()
            mean[f'{name}_where'] = part.number[worst].to_numpy()
        parts.append(mean.assign(strength=strength).reset_index())
    truth = df[df.strength == 'truth'].groupby('kind')[['warp_error', 'cdc']].mean()
    return pd.concat(parts), truth


def speed_films(photo, n):
    "Frames in 1280x720, by the name of their film: an easy one, and one with much that was not seen before"
    size, half = (1280, 720), n//2
    yield 'a slow pan over a photo', known_pan(photo, n, size, (.02, .05, .8), (.02 + .0012*n, .12, .75)).frames
    shots = known_scene(0, half, size), known_scene(10, n - half, size)
    yield 'two painted shots, a cut, moving discs', joined_films(*shots).frames


def speed(pictures, colorizer):
    "Frames a second at 720p, the best of one and of all threads, and of two runs; at how many frames was looked"
    out, n, looks = {}, len(pictures), 0
    few = min(12, n)
    with tempfile.TemporaryDirectory() as folder:
        path, folder = Path(folder)/'film.mp4', Path(folder)
        gray_film(path, [np.asarray(Image.fromarray(o).convert('L')) for o in pictures], 'libx264')
        film = Film(path)
        def timed(name, work, frames=n):
            start, cpu = time.perf_counter(), time.process_time()
            work()
            new = frames/(time.perf_counter() - start), 1000*(time.process_time() - cpu)/frames
            out[name] = max(new, out.get(name, (0, 0)))
            print(f'{name}, {torch.get_num_threads()} threads: {new[0]:.1f} frames a second, '
                  f'{new[1]:.1f} ms of processors a frame', flush=True)
        def encode(frames):
            gray = [np.full((360, 640), 128)]*2
            with segment_writer(folder/'s.nut', film, choose_encoding(film, '.mp4')) as write:
                for frame, y in frames: write(y, gray, frame.pts)
        def photos():
            with av.open(str(path)) as source, av.open(str(folder/'p.mp4'), 'w') as box:
                stream = box.add_stream('libx264', rate=25, options=choose_encoding(film, '.mp4').options)
                stream.width, stream.height = 1280, 720
                for _, o in zip(range(few), source.decode(video=0)):
                    box.mux(stream.encode(av.VideoFrame.from_image(colorizer(o.to_image()))))
                box.mux(stream.encode(None))
        kept = list(film.frames())
        for threads in (1, os.cpu_count())*2:
            torch.set_num_threads(threads)
            timed('decoder alone', lambda: sum(1 for _ in film.frames()))
            timed('encoder alone', lambda: encode(kept))
            timed('each frame as a photo', photos, few)
            timed('each frame by itself (steady=0)', lambda: color_video(path, folder/'a.mp4', colorizer, steady=0))
            def steady():
                nonlocal looks
                looks = color_video(path, folder/'b.mp4', colorizer).looks
            timed('steady', steady)
    return out, looks


def speed_lines(name, n, rates, looks):
    "The speed of one film in Markdown"
    steady, others = rates['steady'], ('each frame as a photo', 'each frame by itself (steady=0)')
    lines = [f'### {name[0].upper()}{name[1:]}', '',
             '| what | frames a second | ms of processors a frame |', '|---|---|---|']
    lines += [f'| {k} | {v:.1f} | {c:.1f} |' for k, (v, c) in rates.items()]
    lines += ['', f'Steady needs {looks} looks of the network at {n} frames ({looks/n:.0%}).']
    return lines + [f'Steady against {k}: {steady[0]/rates[k][0]:.2f} times as many frames a second, '
                    f'{rates[k][1]/steady[1]:.2f} times less processor time.' for k in others] + ['']


def keep_marks(table, worst=''):
    "The strengths at which all kinds of films keep all marks"
    kept = [(table[name + worst] <= mark if way == 'at most' else table[name + worst] >= mark)
            for name, (way, mark) in MARKS.items()]
    good = np.logical_and.reduce(kept)
    return [s for s in sorted({*table.strength} - {0}) if good[table.strength == s].all()]


def strengths(found): return ', '.join(f'{o:g}' for o in found) or 'none'


def steadiness_lines(table, truth):
    "The steadiness of all films in Markdown"
    lines = ['| films | strength | warp error | ratio (worst) | PSNR (worst) | colorfulness (worst) | CDC | looks '
             '| cuts right |', '|' + '---|'*9]
    lines += [f'| {o.kind} | {o.strength:g} | {o.warp_error:.2f} '
              f'| {o.ratio:.2f} ({o.ratio_worst:.2f}, {o.ratio_where}) '
              f'| {o.gain:+.3f} dB ({o.gain_worst:+.3f}, {o.gain_where}) '
              f'| {o.share:.1%} ({o.share_worst:.1%}, {o.share_where}) '
              f'| {o.cdc:.2f} | {o.looks:.0%} | {o.cuts_right:.0%} |'
              for o in table.sort_values(['kind', 'strength']).itertuples()]
    lines += [f'| {k} | truth | {o.warp_error:.2f} | | | | {o.cdc:.2f} | | |' for k, o in truth.iterrows()]
    return [*lines, '', 'Marks: a warp error of at most half, PSNR at most 0.05 dB lower, colorfulness of at least '
            f'97%. Both kinds of films keep them, in the mean over films, at the strengths: '
            f'{strengths(keep_marks(table))}. Every single film keeps them at: '
            f'{strengths(keep_marks(table, "_worst"))}.']


def known_films(photos, n_scenes):
    "Pans and zooms over photos, and painted films of two shots: pairs of a kind and a `KnownFilm`"
    rng = np.random.default_rng(0)
    for path in photos:
        a, b = rng.uniform(0, .4, (2, 2))
        yield 'pans and zooms', known_pan(open_photo(path), 33, (228, 128), (*a, .6), (*b, .5))
    for i in range(n_scenes): yield 'painted scenes', joined_films(known_scene(i, 20), known_scene(i + 10, 20))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('folder', nargs='?')
    p.add_argument('--frames', type=int, default=97, help='of the films whose speed is measured; 0: leave them out')
    p.add_argument('--photos', type=int, default=8, help='the first so many of the folder; 0: measure the speed alone')
    p.add_argument('--scenes', type=int, default=4)
    args = p.parse_args()
    colorizer, n = Colorizer.load(), args.frames
    photos = (photo_files(args.folder) if args.folder else carried_photos())[:args.photos]
    command = f'`python -m benchmarks.video {"PHOTOS "*bool(args.folder)}--frames {n} --photos {len(photos)} ' \
              f'--scenes {args.scenes}`, the packaged photo model'
    if n:
        speeds = []
        for name, frames in speed_films(open_photo(carried_photos()[5]), n):
            print(name, flush=True)
            speeds += speed_lines(name, n, *speed(frames, colorizer))
        print('\n'.join(speeds))
        put_section('Frames a second at 720p', [
            f'{command}, on {platform.machine()}, {os.cpu_count()} cores. H.264 in and out, {n} frames; each speed is '
            'the best of one and of all PyTorch threads.', '',
            f'Load of the machine while it ran: {os.getloadavg()[0]:.1f}. '
            'The time of processors depends less on it.', '', *speeds])
    if not photos: return
    lines = steadiness_lines(*steadiness(known_films(photos, args.scenes), colorizer, len(photos) + args.scenes))
    put_section('Steadiness', [
        f'{command}. Pans and zooms over {len(photos)} photos, the first ones by name, 33 frames each. '
        f'{args.scenes} painted films of two shots, 40 frames: `known_scene(i, 20)` and `known_scene(i + 10, 20)` for '
        f'i from 0.', '',
        'Ratio, PSNR and colorfulness are against each frame by itself: the mean over films, and in brackets the worst '
        'film with its number.', '', *lines])
    print('\n'.join(lines))


if __name__ == '__main__': main()
