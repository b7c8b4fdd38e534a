"""Films whose work is killed: a run of `colorize` dies at a place, a second one goes on, and both results are compared

`python -m benchmarks.film_kills [--frames 150] [--random 2]` writes its table into `benchmarks/VIDEO.md`.

The process kills itself by SIGKILL at the named place, which is exact, or is killed from outside at a random moment.
"""
import argparse
import functools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np

from benchmarks.measure import ROOT
from benchmarks.video import film_with_sound, put_section
from colorize_lib.apply import color_video, commands, film_writing
from colorize_lib.apply.film_work import work_folder


def kill(module, name, n=1, when=lambda *args: True, after=False):
    "Let this process die at the `n`th call of a function, before it or after it"
    function, calls = getattr(module, name), 0
    @functools.wraps(function)
    def counted(*args, **kwargs):
        nonlocal calls
        calls += when(*args)
        if calls == n and not after: os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if calls == n: os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, counted)


def named(end): return functools.partial(kill, os, 'replace', when=lambda a, b: str(b).endswith(end), after=True)


def joined(after): # is the film about to get its name, or does it have it?
    return functools.partial(kill, os, 'replace', when=lambda a, b: str(a).endswith('joined.part'), after=after)


PLACES = {'planned, the model not yet read': functools.partial(kill, commands, 'plan', after=True),
          'frame 60, within the first segment': functools.partial(kill, color_video, 'pace', 60),
          'the segment has its name, its colours are not written': named('00000.segment'),
          'its colours are written, its state is not': named('00000.npz'),
          'between two segments': named('00000.json'),
          'frame 130, within the second segment': functools.partial(kill, color_video, 'pace', 130),
          'while the segments are joined': functools.partial(kill, film_writing, '_when', 100),
          'joined, just before it gets its name': joined(after=False),
          'it has its name, the folder is still there': joined(after=True)}


def run(argv, place=None):
    "`colorize` in a process of its own, which dies at a place; its exit status"
    place = [] if place is None else ['--die', place]
    return subprocess.run([sys.executable, '-m', 'benchmarks.film_kills', *place, '--', *map(str, argv)], cwd=ROOT,
                          stderr=subprocess.DEVNULL).returncode


def run_for(argv, seconds):
    "`colorize`, killed after some seconds; its exit status"
    child = subprocess.Popen([sys.executable, '-m', 'benchmarks.film_kills', '--', *map(str, argv)], cwd=ROOT,
                             stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    return child.wait()


def left(out):
    "How many files stand in the folder of the work, and how many frames are safe"
    folder = work_folder(out)
    states = sorted(folder.glob('[0-9]*.json')) if folder.exists() else []
    return len(list(folder.rglob('*'))), json.loads(states[-1].read_text())['done'][0] if states else 0


def differ(a, b, decode, **which):
    "How many frames, or packets, of two files are not the same, and of how many"
    def items(path):
        with av.open(str(path)) as box:
            if not decode: yield from ((o.pts, bytes(o)) for o in box.demux(**which) if o.size)
            else: yield from ((o.pts, o.to_ndarray()) for o in box.decode(**which))
    found = [a is None or b is None or a[0] != b[0] or not np.array_equal(a[1], b[1])
             for a, b in zip_longest(items(a), items(b))]
    return sum(found), len(found)


def killed(film, name, options, places, n_random):
    "A row for each kill of one kind of result"
    folder, rng = film.parent, random.Random(0)
    calm, out = folder/f'calm{Path(name).suffix}', folder/name
    start = time.perf_counter()
    if run([film, '-o', calm, *options]): raise RuntimeError('the undisturbed run failed')
    whole = time.perf_counter() - start
    before = {o.name for o in folder.iterdir()} | {name}
    for place in [*places, *['at a random moment']*n_random]:
        argv = [film, '-o', out, *options]
        code = run(argv, place) if place in PLACES else 0
        while not code and place not in PLACES: # a run may be done before, on a machine that has become quicker
            out.unlink(missing_ok=True)
            code, whole = run_for(argv, rng.uniform(0, whole)), whole*.9
        files, safe = left(out)
        again = run(argv)
        frames, n = differ(calm, out, True, video=0)
        sounds, _ = differ(calm, out, False, audio=0)
        rest = [o.name for o in folder.iterdir() if o.name not in before]
        yield dict(result=' '.join([name, *options]), killed=place, by='SIGKILL' if code == -signal.SIGKILL else code,
                   safe=safe, files=files, again='done' if not again else f'failed ({again})',
                   frames=f'{n - frames} of {n}', sound='the same' if not sounds else f'{sounds} packets differ',
                   left=len(rest))
        out.unlink(missing_ok=True)


def table(rows, frames, n_random, size):
    "What became of all kills in Markdown"
    width, height = size
    command = f'python -m benchmarks.film_kills --frames {frames} --random {n_random} --size {width} {height}'
    return [f'`{command}`: {frames} frames of {width}x{height} with sound. `colorize` is killed, and the same command '
            'goes on. Its film is compared with that of a run that was not killed, frame by frame with the times, and '
            'the sound packet by packet. Files: those in the folder of the work after the kill, and those that are '
            'left beside the result in the end.', '',
            '| result | killed | by | frames that are safe | files | second run | frames equal | sound | left |',
            '|' + '---|'*9, *(f'| {" | ".join(map(str, o.values()))} |' for o in rows)]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--frames', type=int, default=150, help='more than 130: the second segment begins at 121')
    p.add_argument('--random', type=int, default=2, help='kills at random moments')
    p.add_argument('--size', type=int, nargs=2, default=(1280, 720))
    p.add_argument('--die', choices=PLACES, help=argparse.SUPPRESS)
    p.add_argument('argv', nargs='*', help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.argv:
        if args.die: PLACES[args.die]()
        sys.exit(commands.main(args.argv))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        film = film_with_sound(Path(folder)/'film.mp4', args.frames, tuple(args.size))
        for name, options in (('out.mkv', ('--codec', 'ffv1')), ('out.mp4', ())):
            for row in killed(film, name, options, PLACES, args.random):
                rows.append(row)
                print(row, flush=True)
                put_section('Killed and gone on', table(rows, args.frames, args.random, args.size)) # it takes long
    good = dict(frames=f'{args.frames} of {args.frames}', sound='the same', left=0, again='done')
    bad = [o for o in rows if good != {k: o[k] for k in good} or (o['killed'] in PLACES and o['by'] != 'SIGKILL')]
    print(f'{len(rows)} kills, {len(bad)} of them with a difference, with files left, or not where they should be')
    sys.exit(bool(bad))


if __name__ == '__main__': main()
