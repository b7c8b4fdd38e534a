"Weights travel whole, described and checked; whatever else lies in a file of weights is named, and nothing in it runs."
import io
import json
import os
import pickle
import sys
import types

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from colorize_lib import __version__
from colorize_lib.unet import Unet
from colorize_lib.engine.weights import (WeightsError, _checksum, atomic_path, from_pretrained, generators,
                                         load_weights, push, save_weights)

CONFIG = dict(generator='unet', kwargs=dict(n_in=1, n_out=2, nf=4, n_down=2), task='grayscale', size=32)


@pytest.fixture
def net(): return Unet(nf=4, n_down=2).eval()


@pytest.fixture
def file(net, tmp_path): return save_weights(net, tmp_path/'tiny.safetensors', CONFIG)


@pytest.mark.parametrize('dtype,tol', [(torch.float16, 2e-2), (torch.float32, 0)])
def test_there_and_back(net, tmp_path, dtype, tol):
    net(torch.randn(2, 1, 16, 16))
    path = save_weights(net, tmp_path/'a.safetensors', CONFIG, dtype)
    back, config = load_weights(path)
    x = torch.randn(1, 1, 21, 30)
    assert config == CONFIG
    assert not back.training
    assert next(back.parameters()).dtype == torch.float32
    assert (back(x) - net(x)).abs().max() <= tol
    assert all(m.num_batches_tracked.dtype == torch.int64 for m in back.modules() if hasattr(m, 'num_batches_tracked'))


def test_metadata(file):
    with safe_open(file, 'pt') as f: meta = f.metadata()
    assert json.loads(meta['config']) == CONFIG
    assert meta['version'] == __version__
    assert len(meta['sha256']) == 64
    assert 'L/50 - 1' in meta['normalization']
    assert meta['format'] == 'colorize_lib'


def test_resnet_unet_by_name(tmp_path):
    config = dict(generator='resnet_unet', kwargs=dict(arch='resnet18', size=64), task='grayscale', size=64)
    net = generators['resnet_unet'](arch='resnet18', size=64).eval()
    back, _ = load_weights(save_weights(net, tmp_path/'r.safetensors', config, torch.float32))
    x = torch.randn(1, 1, 64, 96)
    with torch.no_grad(): assert torch.equal(back(x), net(x))


def test_a_configuration_that_does_not_fit_is_refused_when_saving(net, tmp_path):
    with pytest.raises(RuntimeError, match='size mismatch'):
        save_weights(net, tmp_path/'a.safetensors', CONFIG | dict(kwargs=dict(nf=8, n_down=2)))
    with pytest.raises(ValueError, match="generator='gpt': choose from 'unet'"):
        save_weights(net, tmp_path/'a.safetensors', dict(generator='gpt'))
    net.head.weight.data[:] = 1e6
    with pytest.raises(ValueError, match='not finite in torch.float16: head.weight'):
        save_weights(net, tmp_path/'a.safetensors', CONFIG)
    assert not list(tmp_path.iterdir())


def test_atomic(tmp_path):
    (tmp_path/'a').write_text('old')
    with pytest.raises(KeyboardInterrupt):
        with atomic_path(tmp_path/'a') as part: part.write_text('n'); raise KeyboardInterrupt
    assert (tmp_path/'a').read_text() == 'old'
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_path(tmp_path/'a') as part: part.write_text('new')
    assert (tmp_path/'a').read_text() == 'new'
    assert len(list(tmp_path.iterdir())) == 1
    if os.name != 'nt': assert (tmp_path/'a').stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize('content,reason,cure', [
    (b'', 'the file is empty', 'again'),
    (b'  <!DOCTYPE html><html>404</html>', 'web page', 'the file itself'),
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n', 'git-lfs pointer', 'git lfs pull'),
    (b'hello, I am no weights at all', 'not a safetensors file', 'save_weights'),
    (b'\xff\xff\xff\x7f\0\0\0\0{"a": 1}', 'cut off', 'again'),
    (save({'w': torch.ones(3)}), 'not from this library', 'save_weights'),
    (save({'w': torch.ones(3)}, {'format': 'pt'}), 'not from this library', 'save_weights')])
def test_what_pretends_to_be_weights_is_named(tmp_path, content, reason, cure):
    (tmp_path/'w.safetensors').write_bytes(content)
    with pytest.raises(WeightsError, match=reason) as e: load_weights(tmp_path/'w.safetensors')
    assert 'w.safetensors: ' in str(e.value)
    assert cure in e.value.cure
    assert '\n' not in str(e.value)


def test_missing_and_folder(tmp_path):
    with pytest.raises(WeightsError, match='no such file'): load_weights(tmp_path/'nowhere.safetensors')
    with pytest.raises(WeightsError, match='this is a folder'): load_weights(tmp_path)


def test_every_truncation_and_every_flipped_byte_is_found(file, tmp_path):
    whole, bad = file.read_bytes(), tmp_path/'bad.safetensors'
    n = int.from_bytes(whole[:8], 'little') + 8
    for cut in (1, 5, 8, 9, 40, n - 1, n, n + 1, len(whole) - 1):
        bad.write_bytes(whole[:cut])
        with pytest.raises(WeightsError): load_weights(bad)
    for at in (n, n + 77, len(whole) - 1):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        with pytest.raises(WeightsError, match='the checksum does not fit'): load_weights(bad)


def _rewrite(file, **changes):
    with safe_open(file, 'pt') as f: tensors, meta = {k: f.get_tensor(k) for k in f.keys()}, f.metadata()
    meta |= changes
    if 'sha256' not in changes: meta['sha256'] = _checksum(tensors, meta['config'])
    file.write_bytes(save(tensors, meta))


def test_a_changed_configuration_is_found(file):
    with safe_open(file, 'pt') as f: old = f.metadata()
    _rewrite(file, config=json.dumps(json.loads(old['config']) | dict(size=65)), sha256=old['sha256'])
    with pytest.raises(WeightsError, match='the checksum does not fit'): load_weights(file)


def test_no_length_of_the_header_makes_weights_a_pickle(tmp_path):
    "Its first byte is the length's: 0x80 once in 32, and 'P' for 'PK' too"
    firsts = set()
    for n in range(0, 260, 4):
        save_weights(Unet(nf=4, n_down=2), tmp_path/'w.safetensors',
                     dict(generator='unet', kwargs=dict(nf=4, n_down=2), task='grayscale', size=64, note='x'*n))
        firsts.add((tmp_path/'w.safetensors').read_bytes()[0])
        for trusted in (False, True): load_weights(tmp_path/'w.safetensors', trusted)
    assert 0x80 in firsts


@pytest.mark.parametrize('protocol', range(2, 6))
def test_trusted_pickles_of_every_protocol(tmp_path, protocol):
    content = dict(state_dict=Unet(nf=4, n_down=2).state_dict(),
                   config=dict(generator='unet', kwargs=dict(nf=4, n_down=2), task='grayscale', size=64))
    torch.save(content, tmp_path/'a.pth', pickle_protocol=protocol)
    assert load_weights(tmp_path/'a.pth', trusted=True)[1]['size'] == 64
    with pytest.raises(WeightsError, match='pickle'): load_weights(tmp_path/'a.pth')


def test_tensors_that_do_not_belong_to_the_configuration(file):
    _rewrite(file, config=json.dumps(CONFIG | dict(kwargs=dict(nf=8, n_down=2))))
    with pytest.raises(WeightsError, match='cannot be used .*another version'): load_weights(file)
    _rewrite(file, config=json.dumps(CONFIG | dict(generator='gpt')))
    with pytest.raises(WeightsError, match="generator='gpt'"): load_weights(file)
    _rewrite(file, config='not json')
    with pytest.raises(WeightsError, match='cannot be used'): load_weights(file)


class Writes:
    "A pickle of this writes a file when it is opened"
    def __init__(self, path): self.path = path
    def __reduce__(self): return io.open, (str(self.path), 'w')


@pytest.mark.parametrize('write', [
    lambda o, p: p.write_bytes(pickle.dumps(o)), lambda o, p: p.write_bytes(pickle.dumps(o, protocol=0)),
    torch.save, lambda o, p: torch.save(o, p, _use_new_zipfile_serialization=False)],
    ids=['pickle', 'oldest pickle', 'zip', 'legacy'])
@pytest.mark.parametrize('suffix', ['.pth', '.pkl', '.safetensors'])
def test_a_pickle_does_not_run(tmp_path, write, suffix):
    write(Writes(tmp_path/'gotcha'), tmp_path/f'evil{suffix}')
    with pytest.raises(WeightsError, match='evil'): load_weights(tmp_path/f'evil{suffix}')
    assert not (tmp_path/'gotcha').exists()


def test_the_trap_works(tmp_path):
    (tmp_path/'evil.pkl').write_bytes(pickle.dumps(Writes(tmp_path/'gotcha')))
    with pytest.raises(WeightsError, match="cannot be unpickled|no 'state_dict'"):
        load_weights(tmp_path/'evil.pkl', trusted=True)
    assert (tmp_path/'gotcha').exists()


def test_trusted_pickles(net, tmp_path, file):
    for legacy in (False, True):
        torch.save(dict(state_dict=net.state_dict(), config=CONFIG),
                   tmp_path/'m.pth', _use_new_zipfile_serialization=not legacy)
        back, config = load_weights(tmp_path/'m.pth', trusted=True)
        assert config == CONFIG
        assert torch.equal(back.head.weight, net.head.weight)
    torch.save(net.state_dict(), tmp_path/'s.pth')
    with pytest.raises(WeightsError, match="no 'state_dict' and 'config'"): load_weights(tmp_path/'s.pth', trusted=True)
    assert load_weights(file, trusted=True)[1] == CONFIG # safetensors stay safetensors


def test_hub_is_optional(monkeypatch, file):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    for call in (lambda: push(file, 'me/model'), lambda: from_pretrained('me/model')):
        with pytest.raises(ImportError, match='pip install "colorize_lib\\[hub\\]"'): call()


def test_hub_calls(monkeypatch, file):
    calls = []
    hub = types.ModuleType('huggingface_hub')
    hub.create_repo = lambda repo_id, exist_ok: calls.append((repo_id, exist_ok))
    hub.upload_file = lambda **kwargs: calls.append(kwargs) or 'https://hub/me/model'
    hub.hf_hub_download = lambda repo_id, filename, revision: calls.append((repo_id, filename, revision)) or str(file)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    assert push(file, 'me/model') == 'https://hub/me/model'
    assert calls == [('me/model', True),
                     dict(path_or_fileobj=str(file), path_in_repo='model.safetensors', repo_id='me/model')]
    assert from_pretrained('me/model', revision='abc')[1] == CONFIG
    assert calls[-1] == ('me/model', 'model.safetensors', 'abc')
