"The command `colorize`: no photo is lost, nothing is done twice, every failure has a name and an exit code."
import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.apply.commands import main
from colorize_lib.photos.samples import paint_scene
from colorize_lib.unet import Unet
from colorize_lib.engine.weights import save_weights

# as the installed script
COMMAND = sys.executable, '-c', 'import sys; from colorize_lib.apply.commands import main; sys.exit(main())'


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    torch.manual_seed(0)
    config = dict(generator='unet', kwargs=dict(nf=4, n_down=2), task='grayscale', size=32)
    return str(save_weights(Unet(nf=4, n_down=2), tmp_path_factory.mktemp('weights')/'tiny.safetensors', config))


@pytest.fixture
def photos(tmp_path):
    for i, name in enumerate(('a.jpg', 'b.png', 'sub/c.png', 'sub/deep/d.tif')):
        (tmp_path/'in'/name).parent.mkdir(parents=True, exist_ok=True)
        paint_scene(i, 40).convert('L').save(tmp_path/'in'/name)
    return tmp_path/'in'


@pytest.fixture
def colorize(model, capsys):
    "Runs the command: `(exit code, standard output, standard error)`"
    def run(*argv):
        try: code = main([*map(str, argv), '--model', model])
        except SystemExit as e: code = e.code
        return code, *capsys.readouterr()
    return run


def files(folder): return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file())


def test_one_photo(colorize, photos):
    before = (photos/'a.jpg').read_bytes()
    code, out, err = colorize(photos/'a.jpg')
    assert (code, out) == (0, '')
    assert '1 coloured' in err
    assert files(photos).count('a_color.jpg') == 1
    assert Image.open(photos/'a_color.jpg').mode == 'RGB'
    assert (photos/'a.jpg').read_bytes() == before


def test_folders_keep_their_structure(colorize, photos, tmp_path):
    assert colorize(photos, '-r', '-o', tmp_path/'out', '--suffix', '')[0] == 0
    assert files(tmp_path/'out') == files(photos) == ['a.jpg', 'b.png', 'sub/c.png', 'sub/deep/d.tif']
    assert colorize(photos, '-o', tmp_path/'flat')[0] == 0
    assert files(tmp_path/'flat') == ['a_color.jpg', 'b_color.png']


def test_patterns_that_the_shell_left(colorize, photos, tmp_path):
    assert colorize(photos/'*.png', '-o', tmp_path/'1')[0] == 0
    assert files(tmp_path/'1') == ['b_color.png']
    assert colorize(photos/'**'/'*.png', '-o', tmp_path/'2')[0] == 0
    assert files(tmp_path/'2') == ['b_color.png', 'c_color.png']
    code, _, err = colorize(photos/'*.webp')
    assert code == 1
    assert '*.webp: no file matches this pattern' in err
    paint_scene(0, 32).save(photos/'[x].png')
    assert colorize(photos/'[x].png', '-o', tmp_path/'3')[0] == 0
    assert files(tmp_path/'3') == ['[x]_color.png'] # a name, not a pattern


def test_what_is_done_is_skipped_and_results_are_not_coloured_again(colorize, photos):
    assert '4 coloured' in colorize(photos, '-r')[2]
    stamps = {f: (photos/f).stat().st_mtime_ns for f in files(photos)}
    (photos/'b_color.png').unlink()
    code, _, err = colorize(photos, '-r')
    assert code == 0
    assert '1 coloured, 3 skipped' in err
    assert files(photos) == sorted(stamps)
    now = {f: (photos/f).stat().st_mtime_ns for f in files(photos)}
    assert now.keys() == stamps.keys()
    assert {f for f in now if now[f] != stamps[f]} <= {'b_color.png'}
    assert '4 coloured' in colorize(photos, '-r', '--force')[2]
    assert files(photos) == sorted(stamps)
    # as a shell expands *: four photos, four results
    assert '0 coloured, 8 skipped' in colorize(*[photos/f for f in files(photos)])[2]


def test_results_of_other_runs_are_no_photos(colorize, photos):
    assert '4 coloured' in colorize(photos, '-r', '--compare')[2]
    n = files(photos)
    assert '0 coloured, 4 skipped' in colorize(photos, '-r')[2]
    assert files(photos) == n
    assert '4 coloured' in colorize(photos, '-r', '-o', photos.parent/'elsewhere')[2]


def test_a_named_photo_never_vanishes_from_the_report(colorize, photos):
    (photos/'b_color.png').write_bytes((photos/'b.png').read_bytes())
    code, out, _ = colorize(photos/'b.png', photos/'b_color.png', '--json')
    report = json.loads(out)
    assert {Path(o['photo']).name for o in report['photos']} == {'b.png', 'b_color.png'}
    assert code == 0
    reasons = [o['reason'] for o in report['photos'] if o['photo'].endswith('b_color.png')]
    assert reasons == [f'taken for the result of {photos/"b.png"}']


@pytest.mark.parametrize('stream', ['stderr', 'stdout'])
def test_full_or_closed_streams_stop_no_work(photos, model, stream):
    "/dev/full takes nothing; standard error is expendable, a report is not"
    if not Path('/dev/full').exists(): pytest.skip('needs /dev/full')
    code = 'import sys; from colorize_lib.apply.commands import main; sys.exit(main())'
    with open('/dev/full', 'w') as full:
        done = subprocess.run([sys.executable, '-c', code, str(photos), '-r', '--json', '--model', model], text=True,
                              **(dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE) | {stream: full}))
    assert len([f for f in files(photos) if '_color' in f]) == 4
    assert 'Traceback' not in (done.stderr or '')
    if stream == 'stderr':
        assert done.returncode == 0
        assert json.loads(done.stdout)['done'] == 4
    else:
        assert done.returncode == 1
        assert 'the report cannot be written' in done.stderr


def test_odd_names(colorize, photos, monkeypatch):
    monkeypatch.chdir(photos)
    (photos/'~backup.png').write_bytes((photos/'b.png').read_bytes())
    assert colorize('~backup.png')[0] == 0
    assert (photos/'~backup_color.png').exists()
    code, _, err = colorize('', 'b.png')
    assert code == 1
    assert "'': an empty name" in err
    assert '1 coloured, 1 failed' in err
    (photos/'two\nlines.png').write_bytes((photos/'b.png').read_bytes())
    assert all(line.startswith('colorize: ') for line in colorize('two\nlines.png')[2].splitlines())
    assert colorize('b.png', '-o', '')[0] == 2


def test_skipping_needs_no_network(colorize, photos, monkeypatch):
    colorize(photos)
    monkeypatch.setattr(Colorizer, 'load', None)
    assert colorize(photos)[0] == 0


def test_an_input_is_never_overwritten(colorize, photos, tmp_path):
    before = {f: (photos/f).read_bytes() for f in files(photos)}
    os.symlink(photos, tmp_path/'link')
    os.symlink(photos/'a.jpg', tmp_path/'also a_color.jpg')
    paint_scene(9, 30).save(tmp_path/'also a.jpg')
    here = os.getcwd()
    os.chdir(photos/'sub')
    try:
        for argv in (['a.jpg', '--suffix', ''], ['a.jpg', '-o', tmp_path/'link', '--suffix', ''],
                     ['sub/../a.jpg', '-o', '..', '--suffix', ''],
                     [tmp_path/'link'/'a.jpg', '-o', photos, '--suffix', '']):
            code, _, err = colorize(photos/argv[0], *argv[1:], '--force')
            assert code == 1, argv
            assert 'would overwrite' in err, argv
    finally: os.chdir(here)
    code, _, err = colorize(tmp_path/'also a.jpg', photos/'a.jpg', '--force')
    assert code == 1
    assert 'would overwrite another input' in err
    assert before.items() <= {f: (photos/f).read_bytes() for f in files(photos)}.items()
    paint_scene(5, 30).save(photos/'a_color.jpg')
    mine = (photos/'a_color.jpg').read_bytes()
    code, _, err = colorize(photos/'a.jpg', photos/'a_color.jpg', '--force')
    assert code == 1
    assert 'would overwrite another input' in err
    assert (photos/'a_color.jpg').read_bytes() == mine


def test_two_inputs_of_one_result(colorize, photos, tmp_path):
    (tmp_path/'other').mkdir()
    paint_scene(8, 40).save(tmp_path/'other'/'b.png')
    code, _, err = colorize(photos/'b.png', tmp_path/'other'/'b.png', '-o', tmp_path/'out')
    assert code == 1
    assert f'{tmp_path/"other"/"b.png"}: {photos/"b.png"} has a result of the same name' in err
    assert '1 coloured, 1 failed' in err
    # the same photo twice
    assert '1 coloured' in colorize(photos/'sub'/'c.png', photos/'sub'/'..'/'sub'/'c.png', '-o', tmp_path/'out')[2]


@pytest.mark.parametrize('names,options,results', [
    (('a.gif', 'a.png'), (), ('a.gif_color.png', 'a_color.png')),
    (('a.gif', 'a.ppm'), (), ('a.gif_color.png', 'a.ppm_color.png')), # neither is a PNG
    (('a.gif', 'a.jpg'), (), ('a_color.png', 'a_color.jpg')), # no rival
    (('a.jpg', 'a.jpeg', 'a.bmp'), (), ('a_color.jpg', 'a_color.jpeg', 'a_color.bmp')),
    (('a.jpg', 'a.jpeg', 'a.bmp'), ('--format', 'jpg'), ('a_color.jpg', 'a.jpeg_color.jpg', 'a.bmp_color.jpg')),
    (('a.jpg', 'a.png'), ('--format', 'webp'), ('a.jpg_color.webp', 'a.png_color.webp')),
    (('a.gif', 'a.png'), ('--suffix=-x', '--compare'),
     ('a.gif-x.png', 'a-x.png', 'a.gif-x_compare.png', 'a-x_compare.png')),
])
@pytest.mark.parametrize('elsewhere', [False, True])
def test_photos_that_differ_in_their_suffix_have_a_result_each(names, options, results, elsewhere, colorize, tmp_path):
    here, out = tmp_path/'in', tmp_path/('out' if elsewhere else 'in')
    here.mkdir()
    for i, name in enumerate(names): paint_scene(i, 40).convert('L').save(here/name)
    where = ('-o', out) if elsewhere else ()
    for inputs in ([here/name for name in reversed(names)], [here]): # by name, in the other order; then the folder
        code, _, err = colorize(*inputs, *options, *where)
        assert code == 0
        assert {*files(out)} - {*names} == {*results}
        if inputs == [here]: assert f'0 coloured, {len(names)} skipped' in err
    one, _ = here/names[0], (out/results[0]).unlink()
    assert '1 coloured' in colorize(one, *options, *where)[2] # alone it has the same name
    assert {*files(out)} - {*names} == {*results}


def test_without_a_suffix_a_second_run_skips_too(colorize, tmp_path):
    paint_scene(0, 40).save(tmp_path/'a.gif')
    assert '1 coloured' in colorize(tmp_path/'a.gif', '--suffix', '')[2]
    assert '0 coloured, 1 skipped' in colorize(tmp_path/'a.gif', '--suffix', '')[2]
    assert files(tmp_path) == ['a.gif', 'a.png']


def test_bad_files_do_not_stop_the_others(colorize, photos):
    (photos/'empty.png').write_bytes(b'')
    (photos/'text.jpg').write_text('no')
    (photos/'half.jpg').write_bytes((photos/'a.jpg').read_bytes()[:-100])
    code, out, err = colorize(photos, photos/'gone.png', '--json')
    assert code == 1
    assert '2 coloured, 4 failed' in err
    for name, why in (('empty.png', 'not a picture'), ('text.jpg', 'not a picture'),
                      ('half.jpg', 'truncated'), ('gone.png', 'no such file')):
        assert [line for line in err.splitlines() if f'{name}: ' in line and why in line], name
    report = json.loads(out)
    assert (report['done'], report['failed'], report['skipped'], report['exit_code']) == (2, 4, 0, 1)
    assert {Path(p['photo']).name: p['status'] for p in report['photos']}['half.jpg'] == 'failed'
    assert not [f for f in files(photos) if 'empty_' in f or 'half_' in f or 'part' in f]
    code, _, err = colorize(photos/'sub'/'deep', photos.parent)
    assert code == 1
    assert 'no photos among its' in err
    assert '1 coloured' in err


def test_options(colorize, photos, tmp_path):
    assert colorize(photos/'b.png', '-o', tmp_path/'o', '--format', 'jpg', '--compare',
                    '--saturation', '0', '--size', '24', '--device', 'cpu', '--suffix=-x')[0] == 0
    assert files(tmp_path/'o') == ['b-x.jpg', 'b-x_compare.jpg']
    assert Image.open(tmp_path/'o'/'b-x.jpg').format == 'JPEG'
    assert Image.open(tmp_path/'o'/'b-x_compare.jpg').size == (88, 40)
    paint_scene(1, 40).save(photos/'g.gif')
    assert colorize(photos/'g.gif')[0] == 0
    assert (photos/'g_color.png').exists()
    assert '1 coloured' in colorize(photos/'a.jpg')[2]
    assert '1 coloured' in colorize(photos/'a.jpg', '--compare')[2]
    assert (photos/'a_color_compare.jpg').exists()
    assert '1 skipped' in colorize(photos/'a.jpg', '--compare')[2]


@pytest.mark.parametrize('argv', [
    [], ['a.jpg', '--size', '8'], ['a.jpg', '--size', 'x'], ['a.jpg', '--saturation', '-1'],
    ['a.jpg', '--saturation', 'inf'], ['a.jpg', '--format', 'gif'], ['a.jpg', '--device', 'toaster'],
    ['a.jpg', '--suffix', 'x/y'], ['a.jpg', '--nonsense'], ['a.jpg', '-o', __file__]])
def test_wrong_usage(colorize, argv): assert colorize(*argv)[0] == 2


def test_a_model_that_is_not_there(photos, capsys):
    assert main([str(photos/'a.jpg'), '--model', 'sepia']) == 1
    assert 'sepia: no model of this name' in capsys.readouterr().err
    (photos/'m.pth').write_bytes(b'\x80\x04.')
    assert main([str(photos/'a.jpg'), '--model', str(photos/'m.pth')]) == 1
    assert 'm.pth: this is a pickle' in capsys.readouterr().err


def test_out_of_memory_is_told_in_a_line(colorize, photos, monkeypatch):
    import warnings
    real = Colorizer.__call__
    def tight(self, item, **kwargs):
        warnings.warn('out of memory: coloured at 32 pixels instead of 64', stacklevel=2)
        return real(self, item, **kwargs)
    monkeypatch.setattr(Colorizer, '__call__', tight)
    assert 'colorize: out of memory: coloured at 32 pixels instead of 64\n' in colorize(photos/'a.jpg')[2]


@pytest.mark.skipif(os.name == 'nt' or os.geteuid() == 0, reason='root may write everywhere')
def test_unwritable_folder(colorize, photos):
    photos.chmod(0o555)
    try: code, _, err = colorize(photos/'a.jpg')
    finally: photos.chmod(0o755)
    assert code == 1
    assert 'no permission to write' in err


def test_folders_that_cannot_be_made_or_written_to(colorize, photos, monkeypatch):
    code, _, err = colorize(photos/'a.jpg', '-o', photos/'b.png'/'out')
    assert code == 1
    assert 'cannot be made' in err
    assert len(err.splitlines()) == 2
    monkeypatch.setattr(os, 'access', lambda *args: False)
    code, _, err = colorize(photos/'a.jpg', '-o', photos/'out')
    assert code == 1
    assert 'no permission to write' in err


def test_a_full_disk_stops_the_run(colorize, photos, monkeypatch):
    def full(*args): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr('os.fsync', full)
    code, out, err = colorize(photos, '-r', '--json')
    assert code == 1
    assert err.count('No space left on device') == 1
    assert '1 failed, 3 not reached' in err
    assert json.loads(out)['todo'] == 3
    assert files(photos) == ['a.jpg', 'b.png', 'sub/c.png', 'sub/deep/d.tif']


def _limit_file_size(): resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)) # a file can grow to 2,000 bytes


def test_a_file_that_cannot_grow(model, tmp_path):
    paint_scene(0, 200).save(tmp_path/'a.png')
    got = subprocess.run([*COMMAND, tmp_path/'a.png', '--model', model],
                         capture_output=True, text=True, preexec_fn=_limit_file_size)
    assert got.returncode == 1
    assert 'cannot be written' in got.stderr
    assert 'Traceback' not in got.stderr
    assert files(tmp_path) == ['a.png']


def test_ctrl_c_leaves_no_half_file(colorize, photos, monkeypatch):
    real, n = Image.Image.save, []
    def save(self, path, *args, **kwargs):
        Path(path).write_bytes(b'half')
        n.append(path)
        if len(n) == 3: raise KeyboardInterrupt
        return real(self, path, *args, **kwargs)
    monkeypatch.setattr(Image.Image, 'save', save)
    code, _, err = colorize(photos, '-r')
    assert code == 130
    assert 'run the same command again' in err
    assert '2 coloured, 2 not reached' in err
    assert len(files(photos)) == 6
    assert '2 coloured, 2 skipped' in colorize(photos, '-r')[2]


def test_a_signal_in_a_real_process(model, tmp_path):
    for i in range(60): paint_scene(i, 256).save(tmp_path/f'{i:02d}.png')
    process = subprocess.Popen([*COMMAND, str(tmp_path), '--model', model], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if '[2/60]' in line: break
    process.send_signal(signal.SIGINT)
    err = process.stderr.read()
    assert process.wait(30) == 130
    assert 'Traceback' not in err
    assert 'not reached' in err
    assert not [p for p in tmp_path.iterdir() if 'part' in p.name]
    for p in tmp_path.glob('*_color.png'): Image.open(p).load()


def test_help_answers_at_once():
    assert '--saturation' in subprocess.run([*COMMAND, '--help'], capture_output=True, text=True, check=True).stdout
    code = 'import sys, colorize_lib.apply.commands; print({"torch", "numpy", "PIL"} & set(sys.modules))'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True,
                          text=True, check=True).stdout.strip() == 'set()'
