"""The most memory that `colorize` holds, for a short and for a long film

`python -m benchmarks.film_memory [--frames 100 800]` writes its table into `benchmarks/VIDEO.md`.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.video import film_with_sound, put_section

CHILD = ('import sys; from colorize_lib.apply.commands import main; code = main(sys.argv[1:]); '
         'from benchmarks.measure import peak_mb; print(peak_mb()); sys.exit(code)')


def peak(film, *options):
    "MB that a process of its own holds at most while it colours a film"
    done = subprocess.run([sys.executable, '-c', CHILD, str(film), '--force', *options], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--frames', type=int, nargs='+', default=(100, 800))
    p.add_argument('--size', type=int, nargs=2, default=(1280, 720))
    args = p.parse_args()
    peaks, (width, height) = {}, args.size
    with tempfile.TemporaryDirectory() as folder:
        for n in args.frames:
            peaks[n] = peak(film_with_sound(Path(folder)/f'{n}.mp4', n, (width, height)))
            print(n, 'frames:', round(peaks[n]), 'MB', flush=True)
    frames = ' '.join(map(str, args.frames))
    put_section('Memory', [f'`python -m benchmarks.film_memory --frames {frames} --size {width} {height}`: the most '
                           'memory (VmHWM) that the process `colorize film.mp4` held.', '',
                           '| frames | peak, MB |', '|---|---|', *(f'| {n} | {o:.0f} |' for n, o in peaks.items())])


if __name__ == '__main__': main()
