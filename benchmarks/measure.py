"Clocks, medians, memory, and what machine this is"
import datetime
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def sync():
    if device.type == 'cuda': torch.cuda.synchronize()


def seconds(f):
    "How long `f()` takes, to the end of what it started on the device"
    sync()
    start = time.perf_counter()
    f()
    sync()
    return time.perf_counter() - start


def interleaved(n, **fs):
    "Median seconds of each of some functions, run in turn (A B A B ...), so that a busy minute hurts all alike"
    for f in fs.values(): f()
    times = [{name: seconds(f) for name, f in fs.items()} for _ in range(n)]
    return {name: statistics.median(t[name] for t in times) for name in fs}


def peak_mb():
    "The most memory this process ever held: GPU memory on a GPU, else resident memory"
    if device.type == 'cuda': return torch.cuda.max_memory_allocated()/2**20
    status = Path('/proc/self/status') # Linux's `ru_maxrss` begins at the parent's
    if status.exists(): return int(re.search(r'VmHWM:\s*(\d+)', status.read_text())[1])/2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/(2**20 if sys.platform == 'darwin' else 2**10)


def peak_of(side, net, size, bs, steps=2):
    "`peak_mb` of a fresh process that trains some steps, and what it held before; `side` is 'reference' or 'ours'"
    done = subprocess.run([sys.executable, '-m', 'benchmarks.peak', side, net, str(size), str(bs), str(steps)],
                          cwd=ROOT, capture_output=True, text=True)
    if done.returncode: raise RuntimeError(f'peak of {side} {net} {size} {bs}: {done.stderr.strip().splitlines()[-1]}')
    return [float(o) for o in done.stdout.split()[-2:]]


def matmul_flops(dtype, n=4096, limit=10):
    """`(FLOP/s, size)` of a square matmul, of a smaller one where the large would take longer than `limit` seconds

    It is also written as a 1x1 convolution, and the faster of both counts: in float32, MKL does not use all of an AMD
    processor, and oneDNN does."""
    def fastest(n, tries):
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        x, w = a.view(1, n, n//8, 8).contiguous(memory_format=torch.channels_last), b.view(n, n, 1, 1)
        runs = [lambda: a @ b, lambda: torch.nn.functional.conv2d(x, w)]
        for f in runs: f()
        return min(seconds(f) for f in runs for _ in range(tries))
    while n > 512 and fastest(512, 1)*(n/512)**3 > limit: n //= 2
    return 2*n**3/fastest(n, 3), n


def machine():
    "What a reader must know about the machine, `(what, value)` pairs"
    info = Path('/proc/cpuinfo').read_text() if Path('/proc/cpuinfo').exists() else ''
    model, flags = re.search(r'model name\s*: (.*)', info), re.search(r'flags\s*: (.*)', info)
    sets = [o for o in ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16') if flags and o in flags[1].split()]
    name = model[1] if model else platform.processor() or platform.machine()
    rows = [('processor', f'{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads'),
            ('instruction sets',
             ', '.join(sets) + ('' if 'avx512_bf16' in sets or 'amx_bf16' in sets else ' (none for bfloat16)'))]
    if device.type == 'cuda': rows.append(('GPU', torch.cuda.get_device_name()))
    args = [Path(o).name if os.path.isdir(o) else o for o in sys.argv[1:]]
    return rows + [('torch', torch.__version__), ('date', datetime.date.today().isoformat()),
                   ('command', ' '.join(['python -m benchmarks.bench', *args]))]
