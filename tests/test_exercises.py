"Exercises: the list and the notebooks agree, checkers tell right from wrong and give nothing away, solutions solve."
import json
import re

import numpy as np
import pytest
import torch
from torch import nn

from colorize_lib.apply.recolor import box_mean
from colorize_lib.exercises import check
from colorize_lib.exercises.checker import Hint, all_exercises, checkers, choice, feedback, full_name, seal, titles
from colorize_lib.lab import lab_to_rgb, rgb_to_lab
from answers import refused, right
from conftest import ROOT

EXERCISES = all_exercises()
COMPILES = {name for name, checker in checkers.items()
            if {'_graphs', '_dynamo'} & {*checker.__code__.co_names}} # those that run torch's compiler
NOTEBOOKS = sorted({name.rpartition('.')[0] for name in EXERCISES})


def cells(path): return json.loads((ROOT/'nbs'/f'{path}.ipynb').read_text(encoding='utf-8'))['cells']


def listed(notebook):
    "Exercises at the end of a notebook, from number to text"
    texts = [''.join(c['source']).partition('## Exercises')[2].partition('\n## ')[0] for c in cells(notebook)]
    return dict(re.findall(r'^(\d)\. (.*)$', '\n'.join(texts), re.M))


@pytest.mark.parametrize('notebook', NOTEBOOKS)
def test_exercises_of_a_notebook_are_those_of_the_list(notebook):
    items = listed(notebook)
    named = {n: re.findall(r"check\('([\w.]+\.(\d))', ", item) for n, item in items.items()}
    assert {f'{notebook}.{n}' for n in items} == {name for name in EXERCISES if name.rpartition('.')[0] == notebook}
    for n, item in items.items():
        if f'{notebook}.{n}' not in checkers:
            assert not named[n], item
            continue
        (name, number), = named[n]
        assert number == n
        assert full_name(name) == f'{notebook}.{n}'


def test_every_notebook_with_exercises_is_in_the_list():
    for path in (ROOT/'nbs').rglob('*.ipynb'):
        name = path.relative_to(ROOT/'nbs').with_suffix('').as_posix()
        if listed(name): assert name in NOTEBOOKS, path


def test_every_checked_exercise_has_a_solution_that_is_run():
    source = '\n'.join(''.join(c['source']) for p in (ROOT/'nbs/solutions').glob('*.ipynb')
                       for c in cells(f'solutions/{p.stem}') if c['cell_type'] == 'code')
    solved = [full_name(name) for name in re.findall(r"^assert check\('([\w./]+)', ", source, re.M)]
    assert sorted(solved) == sorted(checkers)


@pytest.mark.parametrize('junk',
                         [None, -1, 'many', [], (), lambda *args: None, lambda *args: 0.,
                          lambda *args: args[0], nn.Identity, np.zeros((3, 3))],
                         ids='None negative text list tuple nothing zero itself module array'.split())
def test_junk_is_never_right_and_never_a_traceback(junk):
    for name in checkers:
        if name in COMPILES and junk is not None: continue # the compiler takes seconds
        answer = feedback(name, junk)
        assert not answer, name
        assert answer.hint, name


def rotate(rgb, degrees, sign=1, scale=1.):
    lum, a, b = rgb_to_lab(rgb)
    t = torch.tensor(float(degrees)*sign).deg2rad()
    return lab_to_rgb(torch.stack([lum*scale, a*t.cos() - b*t.sin(), a*t.sin() + b*t.cos()]))


def test_right_wrong_and_why(capsys):
    assert check('02.1', rotate)
    assert check('02.1', rotate)
    assert check('lab_space.1', rotate)
    assert capsys.readouterr().out.splitlines() == ['02_lab_space.1: right']*3
    assert 'lightness' in feedback('02.1', lambda rgb, d: rotate(rgb, d, scale=.9)).hint
    assert 'other way round' in feedback('02.1', lambda rgb, d: rotate(rgb, d, sign=-1)).hint
    assert check().checked['02_lab_space.1'] == 'solved'


def test_an_error_in_a_students_code_is_one_line_with_their_line(capsys):
    def mine(rgb, degrees):
        def third(): return degrees/0
        return third()
    assert not check('02.1', mine)
    assert capsys.readouterr().out == ('02_lab_space.1: not yet: it raised ZeroDivisionError: division by zero, '
                                       'in the line: def third(): return degrees/0\n')
    def leaves(rgb, degrees): raise SystemExit(3)
    assert 'SystemExit' in feedback('02.1', leaves).hint


def test_a_check_leaves_random_numbers_and_the_checkers_own_data_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    feedback('02.1', rotate), feedback('06.2', nn.Identity)
    assert torch.equal(torch.rand(3), expected)
    def wipes_its_argument(x, radius):
        mean = box_mean(x, radius)
        x.zero_()
        return mean
    assert feedback('recolor.2', wipes_its_argument)


def test_names_that_are_unclear_or_unknown(monkeypatch):
    with monkeypatch.context() as m:
        m.setitem(titles, 'widgets/09_unet.1', 'a notebook whose title is that of a chapter')
        with pytest.raises(ValueError, match='which of 03_unet.1, widgets/09_unet.1'): check('unet.1', 2)
        assert full_name('03.1') == '03_unet.1'
        assert full_name('09_unet.1') == 'widgets/09_unet.1'
    for unknown in ('02.77', '09.1', 'nowhere.1', '1', ''): # a part has no number of its own
        with pytest.raises(ValueError, match='lists them all'): check(unknown, 2)
    with pytest.raises(TypeError, match='what is your answer'): check('02.1')
    assert not check('checker.3', 'a file')
    assert feedback('checker.3', 'a file').right is None


def test_a_letter_is_sealed_and_only_a_letter_is_taken():
    sealed = seal('b', 'any.1')
    for answer in ('b', 'B', ' b '): choice(answer, sealed, 'any.1')
    for answer in ('a', 'c', 'd'):
        with pytest.raises(Hint, match='read it again'): choice(answer, sealed, 'any.1', hint='read it again')
        with pytest.raises(Hint, match='another statement'): choice(answer, sealed, 'any.1')
    for answer in ('e', '', 'ab', 'bb', 2, None, ['b'], print):
        with pytest.raises(Hint, match='expected one letter of a, b, c or d, this is'): choice(answer, sealed, 'any.1')
    with pytest.raises(Hint, match='of a, b or c'): choice('d', sealed, 'any.1', 'abc')
    with pytest.raises(Hint): choice('b', sealed, 'any.2') # the seal of another exercise


def test_the_checker_itself():
    gap = lambda right, wrong: (max(right) + min(wrong))/2 if max(right) < min(wrong) else None
    right('checker.1', gap, lambda r, w: torch.tensor(max(r)) if max(r) < min(w) else None)
    refused('checker.1', lambda r, w: min(w), 'a mistake passes')
    refused('checker.1', lambda r, w: sum(r)/len(r), 'a right answer fails')
    refused('checker.1', lambda r, w: (max(r) + min(w))/2, 'expected None')
    refused('checker.1', lambda r, w: None, 'is there a return')
    refused('checker.1', lambda r: 1., 'it raised TypeError')
    for letter in 'abd': refused('checker.2', letter, 'a table of the hashes')
