"While a CPU trains, freed memory stays; afterwards it goes back. Pages are counted, nothing is timed."
import ctypes
import resource
import sys

import pytest
import torch

from colorize_lib import memory
from colorize_lib.memory import held_memory
from colorize_lib.training import colorize_learner

glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), 'mallopt') if sys.platform == 'linux' else True, reason='needs glibc')
n_bytes = 100*2**20 # more than glibc's largest limit, so that it is a block of its own
pages = n_bytes//resource.getpagesize()


def faults(f):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    f()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def fresh(): torch.ones(n_bytes, dtype=torch.uint8)


def resident():
    with open('/proc/self/statm') as f: return int(f.read().split()[1])*resource.getpagesize()


@glibc
def test_freed_memory_is_used_again_and_given_back():
    assert min(faults(fresh) for _ in range(3)) >= .9*pages
    before = resident()
    with held_memory():
        assert min(faults(fresh) for _ in range(40)) < 20
        assert resident() > before + .9*n_bytes
    assert resident() < before + .5*n_bytes


@glibc
def test_also_given_back_after_an_interruption():
    before = resident()
    with pytest.raises(KeyboardInterrupt), held_memory():
        for _ in range(3): fresh()
        assert resident() > before + .9*n_bytes
        raise KeyboardInterrupt
    assert resident() < before + .5*n_bytes


@glibc
def test_a_learner_trains_in_held_memory(dls):
    "A network that asks for a large block in each step: few of them cost faults"
    counted, before = [], resident()
    class Wide(torch.nn.Module):
        def __init__(self): super().__init__(); self.conv = torch.nn.Conv2d(1, 2, 1)
        def forward(self, x):
            counted.append(faults(fresh))
            return self.conv(x)
    learn = colorize_learner(dls, Wide())
    with learn.no_bar(), learn.no_logging(): learn.fit(10, 1e-4)
    assert len(counted) >= 40 and min(counted) < 20
    assert resident() < before + .5*n_bytes


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.ctypes, 'CDLL', lambda _: object())
    with held_memory(): ran = True
    assert ran
