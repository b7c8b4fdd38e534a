"The benchmark runs, names what it measured, and compares like with like. Nothing here is timed."
import sys

import pytest
import torch

from benchmarks import gpu
from benchmarks.bench import main, parts
from benchmarks.networks import duel


def test_quick_run_has_a_row_for_each_part(tmp_path, capsys):
    main(['--quick', '--only', 'step,data,epoch,quality,memory,growth,peak,compile', '-o', str(tmp_path/'RESULTS.md')])
    text = (tmp_path/'RESULTS.md').read_text(encoding='utf-8')
    assert text in capsys.readouterr().out
    rows = [line.split('|') for line in text.splitlines() if line.startswith('|')][2:]
    for name in ('step, tiny Unet, 32 px, batch 4', 'data, 32 px, batch 4, later',
                 'data, 32 px, batch 4, first', 'epoch, 32 px, batch 4, the same networks, first',
                 "epoch, 32 px, batch 4, the library's default, later", 'memory, tiny Unet',
                 'quality, 32 px, batch 4, the same networks, PSNR',
                 "quality, 32 px, batch 4, the library's default, SSIM",
                 'growth with size', 'growth with batch', 'share of peak', 'matmul'):
        assert [r for r in rows if r[1].strip().startswith(name)], name
    for r in rows:
        ref, ours, ratio = [float(o.strip(' *').replace(',', '') or 'nan') for o in r[3:6]]
        if r[1].strip().startswith(('matmul', 'quality')): continue # no ratio, or one that rounding spoils
        assert ref > 0
        assert ratio == pytest.approx(ref/ours if 'memory' in r[1] else ours/ref, rel=.02)
    assert all(word in text for word in ('processor', 'instruction sets', 'torch', 'command'))


@pytest.mark.parametrize('net,size', [('tiny Unet', 48), ('resnet_unet', 32)])
def test_the_reference_step_is_ours(net, size):
    """Same weights, same batch: the losses of each side, in float32.
    Then rounding parts them: the memory order differs, so sums do"""
    losses = duel(net, size, 4, n=2, precision='fp32')[2].losses
    assert len(losses) == 3
    assert losses[0][0] == pytest.approx(losses[0][1], abs=1e-4)
    for ours, theirs in losses: assert ours == pytest.approx(theirs, rel=5e-3)
    assert losses[0][0] != pytest.approx(losses[1][0], abs=1e-4) # the networks did move


def test_every_part_can_be_chosen(capsys):
    assert list(parts) == ['step', 'data', 'epoch', 'quality', 'memory', 'growth', 'peak', 'compile']
    with pytest.raises(SystemExit): main(['--only', 'stpe'])
    assert 'stpe: choose from step, data' in capsys.readouterr().err
    with pytest.raises(SystemExit) as e: main(['no/such/folder', '--quick'])
    assert 'no/such/folder: no such file or folder' in str(e.value.code)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_make_gpu_without_a_gpu(tmp_path, capsys, monkeypatch):
    "One line; with --tiny its parts run on the CPU, and what fails is in the report, too"
    gpu.main([])
    assert capsys.readouterr().out == 'make gpu: there is no GPU here that PyTorch can use, so nothing was run\n'
    out = tmp_path/'GPU.md'
    gpu.main(['--tiny', '--only', 'A short', '-o', str(out)])
    text = out.read_text(encoding='utf-8')
    assert '| A short training | passed |' in text
    assert 'photos of 32 pixels, batches of 4, 1 epochs' in text
    shares = [share for *_, share in gpu.commands(None, tmp_path, tiny=True)]
    assert sum(shares) <= 1 # of nine minutes, so that no part is cut off
    assert gpu.run('A part', [sys.executable, '-c', 'print("half"); 1/0'], 60)['status'] == 'failed (1)'
    gpu.install_missing(None) # nothing is missing
    monkeypatch.setattr(gpu, 'NEEDED', ('pytest', 'no_such_module'))
    with pytest.raises(SystemExit, match='this Python has no no_such_module: WHEELS='): gpu.install_missing(None)
