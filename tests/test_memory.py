"""While a Learner trains, freed memory stays; afterwards it goes back

Pages are counted, nothing is timed; each test runs in a fresh process, whose heap is untouched."""
import ctypes
import json
import statistics
import subprocess
import sys

import pytest

from colorize_lib.engine import speed as memory
from colorize_lib.engine.speed import held_memory
from conftest import ROOT

glibc = pytest.mark.skipif(sys.platform != 'linux' or not hasattr(ctypes.CDLL(None), 'gnu_get_libc_version'),
                           reason='needs glibc')
MB = 2**20
START = """
import json, resource, torch
from colorize_lib.engine.speed import held_memory
n_bytes = 100*2**20 # more than glibc's largest limit, so that it is a block of its own
def fresh(): torch.ones(n_bytes, dtype=torch.uint8)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fresh()
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return pages*resource.getpagesize()/n_bytes # 1: every page of the block
def resident():
    with open('/proc/self/statm') as f: return int(f.read().split()[1])*resource.getpagesize()
before = resident()
"""


def fresh_process(code):
    "What `code` prints, as JSON"
    done = subprocess.run([sys.executable, '-c', START + code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@glibc
def test_freed_memory_is_used_again_and_given_back():
    was, held, grown, left = fresh_process("""
was = [faults() for _ in range(20)]
with held_memory():
    held = [faults() for _ in range(40)]
    grown = resident() - before
print(json.dumps([was, held, grown, resident() - before]))""")
    assert min(was) > .9
    assert statistics.median(held) < .01
    assert held[0] > .9
    assert grown > 90*MB
    assert left < 50*MB


@glibc
def test_also_given_back_after_an_interruption():
    grown, left = fresh_process("""
try:
    with held_memory():
        fresh()
        grown = resident() - before
        raise KeyboardInterrupt
except KeyboardInterrupt: pass
print(json.dumps([grown, resident() - before]))""")
    assert grown > 90*MB
    assert left < 50*MB


@glibc
def test_a_learner_trains_in_held_memory():
    "A network that asks for a large block in each step"
    counted, after = fresh_process("""
from colorize_lib.lab import colorize_dls
from colorize_lib.photos.samples import paint_scene
from colorize_lib.engine.learner import colorize_learner
counted = []
class Wide(torch.nn.Module):
    def __init__(self): super().__init__(); self.conv = torch.nn.Conv2d(1, 2, 1)
    def forward(self, x):
        counted.append(faults())
        return self.conv(x)
dls = colorize_dls([paint_scene(i, 64) for i in range(40)], size=48, bs=8, device=torch.device('cpu'))
learn = colorize_learner(dls, Wide())
before = resident()
with learn.no_bar(), learn.no_logging(): learn.fit(10, 1e-4)
print(json.dumps([counted, resident() - before]))""")
    assert len(counted) >= 40
    assert statistics.median(counted) < .01
    assert after < 50*MB


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.ctypes, 'CDLL', lambda _: object())
    with held_memory(): ran = True
    assert ran
