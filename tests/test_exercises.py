"Exercises: every notebook has some, checkers tell right from wrong and give nothing away, solutions solve."
import json
import re
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from colorize_lib.exercises import _find, _open, check, verdict
from colorize_lib.lab import lab_to_rgb, rgb_to_lab
from colorize_lib.recolor import box_mean
from colorize_lib.samples import paint_scene
from colorize_lib.train import Plan, run_plan
from colorize_lib.unet import Unet
from colorize_lib.verdicts import checkers, seal, titles
from colorize_lib.weights import _checksum as tensors_checksum
from conftest import ROOT

NOTEBOOKS = sorted({name.rpartition('.')[0] for name in [*titles, *_open]})


def cells(path): return json.loads((ROOT/'nbs'/f'{path}.ipynb').read_text(encoding='utf-8'))['cells']


@pytest.mark.parametrize('notebook', NOTEBOOKS)
def test_exercises_of_a_notebook_are_those_of_the_list(notebook):
    text = ''.join(cells(notebook)[-1]['source']).partition('## Exercises')[2]
    items = dict(re.findall(r'^(\d)\. (.*)$', text, re.M))
    named = {n: re.findall(r"check\('([\w.]+\.(\d))', ", item) for n, item in items.items()}
    assert set(items) == {name.rpartition('.')[2] for name in [*titles, *_open] if name.startswith(f'{notebook}.')} and 3 <= len(items) <= 5
    for n, item in items.items():
        if f'{notebook}.{n}' not in checkers:
            assert not named[n], item
            continue
        (name, number), = named[n]
        assert number == n and _find(name) == f'{notebook}.{n}'
    assert sum(map(len, named.values())) >= 2


def test_a_notebook_that_offers_a_check_is_in_the_list():
    for path in (ROOT/'nbs').glob('[0-9]*.ipynb'):
        if re.search(r"^\d\. .*`check\('[^']+', ", ''.join(cells(path.stem)[-1]['source']), re.M): assert path.stem in NOTEBOOKS, path


def test_every_checked_exercise_has_a_solution_that_is_run():
    source = '\n'.join(''.join(c['source']) for p in (ROOT/'nbs/solutions').glob('*.ipynb') for c in cells(f'solutions/{p.stem}') if c['cell_type'] == 'code')
    solved = [_find(name) for name in re.findall(r"^assert check\('([\w.]+)', ", source, re.M)]
    assert sorted(solved) == sorted(checkers)


@pytest.mark.parametrize('junk', [None, -1, 'many', [], (), lambda *args: None, lambda *args: 0., lambda *args: args[0], nn.Identity, np.zeros((3, 3))],
                         ids='None negative text list tuple nothing zero itself module array'.split())
def test_junk_is_never_right_and_never_a_traceback(junk):
    for name in checkers:
        if name.startswith('03_compile') and junk is not None: continue # the compiler takes seconds
        answer = verdict(name, junk)
        assert not answer and answer.hint, name


def rotate(rgb, degrees, sign=1, scale=1.):
    lum, a, b = rgb_to_lab(rgb)
    t = torch.tensor(float(degrees)*sign).deg2rad()
    return lab_to_rgb(torch.stack([lum*scale, a*t.cos() - b*t.sin(), a*t.sin() + b*t.cos()]))


def test_right_wrong_and_why(capsys):
    assert check('02_lab_space.1', rotate) and check('02.1', rotate) and check('lab_space.1', rotate)
    assert capsys.readouterr().out.splitlines() == ['02_lab_space.1: right']*3
    assert 'lightness' in verdict('02.1', lambda rgb, d: rotate(rgb, d, scale=.9)).hint
    assert 'other way round' in verdict('02.1', lambda rgb, d: rotate(rgb, d, sign=-1)).hint
    assert check().checked['02_lab_space.1'] == 'solved'


def test_an_error_in_a_students_code_is_one_line_with_their_line(capsys):
    def mine(rgb, degrees):
        def third(): return degrees/0
        return third()
    assert not check('02.1', mine)
    assert capsys.readouterr().out == '02_lab_space.1: not yet: it raised ZeroDivisionError: division by zero, in the line: def third(): return degrees/0\n'
    def leaves(rgb, degrees): raise SystemExit(3)
    assert 'SystemExit' in verdict('02.1', leaves).hint


def test_a_check_leaves_random_numbers_and_the_checkers_own_data_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    verdict('02.1', rotate), verdict('06_training.2', nn.Identity)
    assert torch.equal(torch.rand(3), expected)
    def wipes_its_argument(x, radius):
        mean = box_mean(x, radius)
        x.zero_()
        return mean
    assert verdict('09_recolor.2', wipes_its_argument)


def test_names_that_are_unclear_or_unknown():
    with pytest.raises(ValueError, match='which of 03_compile.1, 03_lite_unet.1, 03_unet.1'): check('03.1', 2)
    with pytest.raises(ValueError, match='lists them all'): check('02.77', 2)
    with pytest.raises(TypeError, match='what is your answer'): check('02.1')
    assert not check('02.5', 'leaves') and verdict('02.5', 'leaves').right is None


def test_the_sealed_receptive_field_is_what_a_gradient_finds():
    torch.manual_seed(0)
    net, seen = Unet(nf=2, n_down=4).eval(), []
    for p in net.parameters(): nn.init.constant_(p, .1)
    net.down[-1].register_forward_hook(lambda m, i, out: seen.append(out))
    x = torch.rand(12, 1, 192, 192, requires_grad=True)
    net(x)
    seen[0][:, 0, 6, 6].sum().backward()
    field = (x.grad.sum((0, 1)) > 0).any(1).sum().item()
    assert verdict('03_unet.2', field) and seal(field, '03_unet.2') != seal(field, '03_unet.1')


def test_the_pickle_is_not_opened(tmp_path):
    import pickle
    class Writes:
        def __reduce__(self): return open, (str(tmp_path/'opened'), 'w')
    assert verdict('09_weights.1', pickle.dumps(Writes(), protocol=2)) and not (tmp_path/'opened').exists()


def test_near_misses():
    assert 'cut' in verdict('01_cache.1', lambda img, side: np.asarray(img.crop((18, 0, 78, 60)).resize((side, side)))).hint
    assert 'change sides' in verdict('01_data.2', lambda names, share: sorted(names)[:round(len(names)*share)]).hint
    assert 'mean over a* and b*' in verdict('07_results.1', lambda p, t: (rgb_to_lab(p) - rgb_to_lab(t))[1:].abs().mean()).hint
    assert 'not the gradient' in verdict('06_distributed.2', lambda grads, ns: sum(grads)/len(grads)).hint
    assert 'still pools' in verdict('03_unet.3', Unet).hint
    assert 'scales for 6 filters' in verdict('09_weights.2', lambda w: ((w/w.abs().max()*127).to(torch.int8), w.abs().max()/127)).hint


def test_the_fields_that_change_no_weight_change_no_weight(tmp_path):
    scenes = [paint_scene(i, 32) for i in range(20)]
    base = Plan(size=32, bs=4, epochs_l1=1, kwargs=dict(nf=2, n_down=1), precision='fp32')
    def checksum(plan, name):
        run_plan(scenes, tmp_path/name, plan)
        return tensors_checksum(load_file(tmp_path/name/'generator.safetensors'), '')
    same = dict(render=64, saturation=.5, lr=.1, lambda_l1=1.)
    others = dict(lr_l1=.1, zoom=1.5, n_valid=8, seed=1, loss='l2', bs=8)
    expected = checksum(base, 'base')
    for k, v in (same | others).items(): assert (checksum(replace(base, **{k: v}), k) == expected) == (k in same), k
    assert {f.name for f in fields(Plan)} == {*same, *others, 'size', 'epochs_l1', 'epochs_gan', 'task', 'generator', 'kwargs', 'precision'}, 'a new field: does it change a weight?'
    assert verdict('12_train.2', set(same))
