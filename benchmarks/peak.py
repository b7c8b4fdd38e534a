"""A process of its own, so that its peak of memory is of this alone

python -m benchmarks.peak reference|ours NET SIZE BATCH STEPS"""
import sys

import torch

from benchmarks.measure import device, peak_mb
from benchmarks.networks import duel, make_step


def main(side, net, size, bs, steps):
    before = peak_mb()
    if side == 'ours': duel(net, size, bs, steps - 1, reference=False)
    else:
        step, batch = make_step(net, size), [torch.rand(bs, c, size, size, device=device) for c in (1, 2)]
        for _ in range(steps): step(*batch)
    print(peak_mb(), before)


if __name__ == '__main__': main(*sys.argv[1:3], *map(int, sys.argv[3:]))
