"colorize-train: a plan in, a generator out; wrong calls are one line; a run that was cut off goes on."
import inspect
import json
import re
from dataclasses import MISSING, fields

import pandas as pd
import pytest
import torch
from fastcore.docments import docments

from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.photos.samples import paint_scene
from colorize_lib.experiments.plans import Plan, _parser, main, plan_learner, plan_losses, run_plan
from colorize_lib.engine.weights import generators, load_weights
from colorize_lib.lab import tasks

SMALL = Plan(size=32, bs=8, epochs_l1=2, epochs_gan=1, kwargs=dict(nf=4, n_down=2), precision='fp32')


@pytest.fixture
def folder(tmp_path):
    (tmp_path/'photos').mkdir()
    for i in range(30): paint_scene(i, 48).save(tmp_path/'photos'/f'{i}.png')
    return tmp_path/'photos'


def test_a_plan_makes_a_generator_that_colours(folder, tmp_path):
    learn = run_plan(folder, tmp_path/'run', SMALL)
    assert {p.name for p in (tmp_path/'run').iterdir()} == {'generator.safetensors', 'plan.json', 'history.jsonl',
                                                            'metrics.csv', 'gallery.png',
                                                            'losses.csv', 'losses.png', 'checkpoints'}
    net, config = load_weights(tmp_path/'run'/'generator.safetensors')
    for k, v in learn.model.state_dict().items():
        assert torch.allclose(v.float(), net.state_dict()[k].float(), atol=1e-2, rtol=1e-3)
    assert Plan.read(tmp_path/'run'/'plan.json') == SMALL
    assert Colorizer.load(tmp_path/'run'/'generator.safetensors')(paint_scene(99, 80).convert('L')).size == (80, 80)
    assert len(pd.read_csv(tmp_path/'run'/'losses.csv')) == 1
    history = pd.read_json(tmp_path/'run'/'history.jsonl', lines=True)
    assert history.fit.tolist() == [0, 0, 1]
    assert history.train_loss.notna().all()
    assert history.loss_D.notna().tolist() == [False, False, True]


def test_the_same_plan_makes_the_same_weights(folder, tmp_path):
    a, b = [run_plan(folder, tmp_path/nm, SMALL).model.state_dict() for nm in 'ab']
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_interrupted_and_resumed(folder, tmp_path, monkeypatch):
    run_plan(folder, tmp_path/'calm', SMALL)
    def stop(*_): raise KeyboardInterrupt
    args = [str(folder), '-o', str(tmp_path/'rough'), '--plan', str(tmp_path/'calm'/'plan.json')]
    with monkeypatch.context() as m:
        m.setattr('colorize_lib.training.PatchGANTrainer.after_pred', stop)
        with pytest.raises(SystemExit) as e: main(args)
        assert e.value.code == 130
    with pytest.raises(SystemExit, match='resume'): main(args)
    main([*args, '--resume'])
    state, _ = load_weights(tmp_path/'rough'/'generator.safetensors')
    kept, _ = load_weights(tmp_path/'calm'/'generator.safetensors')
    assert all(torch.equal(v, kept.state_dict()[k]) for k, v in state.state_dict().items())


@pytest.mark.parametrize('args,text', [
    (['--generator', 'vgg'], "generator='vgg': choose from 'unet'"),
    (['--loss', 'l3'], 'l3'), (['--size', '3'], 'size=3'), (['--task', 'x'], "task='x'"),
    (['--plan', 'no.json'], 'no.json'), (['--kwargs', '{"nff": 3}'], 'nff'), (['--zoom', '99'], 'zoom=99'),
    (['--device', 'foo'], 'foo'), (['--precision', 'int4'], "precision='int4'")])
def test_wrong_plans_are_one_line(folder, tmp_path, args, text):
    with pytest.raises(SystemExit) as e: main([str(folder), '-o', str(tmp_path/'run'), *args])
    message = str(e.value.code)
    assert message.startswith('colorize-train: ')
    assert text in message
    assert len(message.splitlines()) == 1


def test_a_relative_folder_will_do(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main([str(folder), '-o', 'here', '--size', '32', '--bs', '8',
          '--epochs-l1', '1', '--kwargs', '{"nf": 4, "n_down": 2}'])
    assert (tmp_path/'here'/'generator.safetensors').exists()
    with pytest.raises(SystemExit) as e:
        main([str(folder), '-o', 'here', '--size', '32', '--bs', '8',
              '--epochs-l1', '2', '--kwargs', '{"nf": 4, "n_down": 2}', '--resume'])
    assert str(e.value.code).startswith('colorize-train: ')
    assert 'epochs was 1, is 2' in str(e.value.code)
    assert 'Exception occ' not in str(e.value.code)


@pytest.mark.parametrize('wrong,text', [
    (dict(task=3), 'task=3: needs to be a text'), (dict(lr_l1=None), 'lr_l1=None: needs to be a number'),
    (dict(lr=float('nan')), 'lr=nan'), (dict(saturation='x'), "saturation='x'"),
    (dict(epochs_gan=-1), 'epochs_gan=-1: needs to be a whole number, at least 0'),
    (dict(render=8), 'render=8: needs to be a whole number, at least 16'),
    (dict(bs=True), 'bs=True: needs to be a whole number'), (dict(kwargs=[1]), 'a JSON object')])
def test_a_plan_is_checked_before_anything_is_trained(wrong, text):
    with pytest.raises(ValueError, match=text): Plan(**wrong)
    with pytest.raises(ValueError, match='nothing to train'): run_plan('nowhere', 'nowhere', Plan(epochs_l1=0))


def test_an_epoch_that_is_trained_again_is_one_line(folder, tmp_path, monkeypatch):
    def cut(*_): raise KeyboardInterrupt # after the log, before the checkpoint
    with monkeypatch.context() as m:
        m.setattr('colorize_lib.engine.checkpoints.Checkpoints.after_epoch', cut)
        with pytest.raises(KeyboardInterrupt): run_plan(folder, tmp_path, SMALL)
    run_plan(folder, tmp_path, SMALL, resume=True)
    assert [(o['fit'], o['epoch'])
            for o in map(json.loads, (tmp_path/'history.jsonl').read_text().splitlines())] == [(0, 0), (0, 1), (1, 0)]


def test_a_classifier_is_measured_at_the_temperature_at_which_it_colours(folder):
    learn = plan_learner(folder,
                         Plan(size=32, bs=8, generator='bin_classifier',
                              loss='classification', kwargs=dict(T=.05, nf=4, n_down=2)))
    assert learn.loss_func.T == learn.model.T == .05


def test_a_results_folder_below_the_home_folder(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('HOME', str(tmp_path)), monkeypatch.setenv('USERPROFILE', str(tmp_path))
    main([str(folder), '-o', '~/there', '--size', '32', '--bs', '8',
          '--epochs-l1', '1', '--kwargs', '{"nf": 4, "n_down": 2}', '--no-cache'])
    assert str(tmp_path/'there'/'generator.safetensors') in capsys.readouterr().out


@pytest.mark.parametrize('content,text',
                         [('{', 'not a plan'), ('[1]', 'not a plan'),
                          ('5', 'not a plan'), ('{"epoch": 1}', "unknown 'epoch'")])
def test_wrong_files(tmp_path, content, text):
    (tmp_path/'plan.json').write_text(content)
    with pytest.raises(ValueError, match=text): Plan.read(tmp_path/'plan.json')


def test_options_go_over_the_file(folder, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr('colorize_lib.experiments.plans.run_plan',
                        lambda items, out, plan, *a: seen.append(plan) or (out if (out := tmp_path) else 0))
    (tmp_path/'plan.json').write_text(json.dumps(dict(size=48, bs=4)))
    (tmp_path/'metrics.csv').write_text('x')
    main([str(folder), '-o', str(tmp_path), '--plan', str(tmp_path/'plan.json'), '--bs', '6', '--kwargs', '{"nf": 4}'])
    assert (seen[0].size, seen[0].bs, seen[0].kwargs, seen[0].lr_l1) == (48, 6, {'nf': 4}, 1e-3)


@pytest.mark.parametrize('arg,code,text', [('--help', 0, '--epochs-l1'), ('--nonsense', 2, 'usage')])
def test_help_and_wrong_usage(arg, code, text, capsys):
    with pytest.raises(SystemExit) as e: main([arg])
    assert e.value.code == code
    assert text in ''.join(capsys.readouterr())


def test_the_comment_of_each_field_is_its_help():
    docs, text = docments(Plan), ' '.join(_parser().format_help().split())
    source = inspect.getsource(Plan)
    for f in fields(Plan):
        assert docs[f.name], f.name
        assert re.search(rf'^    {f.name}: .* # {re.escape(docs[f.name])}$', source, re.M), f.name
        assert f'--{f.name.replace("_", "-")} {f.name.upper()} {docs[f.name]}' in text, f.name
        if f.default not in (None, MISSING): assert f'(default: {f.default})' in text, f.name
    for choice in (*generators, *plan_losses, *tasks): assert choice in text
