"""The files that the page in web/ needs beside its own: the runtime, the network, colours and samples; and a server

    python tools/web.py            fetch and make what is missing, then serve the page
    python tools/web.py --build    without the server

All of it lies in web/vendor, which git ignores. The runtime comes from npm's registry at a pinned version, once."""
import argparse
import base64
import gzip
import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image, ImageColor

ROOT = Path(__file__).resolve().parent.parent
WEB, VENDOR = ROOT/'web', ROOT/'web/vendor'
sys.path.insert(0, str(ROOT)) # before an installed copy
RUNTIME = 'https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz'
SHA512 = 'q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=='
WASM = 'ort.wasm.min.mjs ort-wasm-simd-threaded.mjs ort-wasm-simd-threaded.wasm'.split()
WEBGPU = 'ort.webgpu.min.mjs ort-wasm-simd-threaded.asyncify.mjs ort-wasm-simd-threaded.asyncify.wasm'.split()
SAMPLES = {'astronaut.png': 'portrait', 'china.jpg': 'temple', 'coffee.png': 'coffee'}
OWN = 'index.html style.css icon.svg app.webmanifest js/*.js'.split()


def packed(name):
    "A name that no server takes for an encoding of its own"
    return f'{name}.gz.bin' if name.endswith('.wasm') else name


def fetch_runtime():
    "onnxruntime-web, from npm's registry: five files of the pinned archive, and the large ones gzipped"
    names = WASM + WEBGPU
    if all((VENDOR/packed(o)).exists() for o in names) and (VENDOR/'runtime.txt').exists():
        if (VENDOR/'runtime.txt').read_text() == SHA512: return
    print('Fetching', RUNTIME, file=sys.stderr)
    try:
        with urlopen(RUNTIME, timeout=120) as answer: data = answer.read()
    except (URLError, OSError) as e:
        cure = f'Go online once: then it is kept in {VENDOR}'
        raise SystemExit(f'{RUNTIME}: cannot be fetched ({e}). {cure}') from None
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        raise SystemExit(f'{RUNTIME}: not used, its checksum is not the pinned one. Try again, or from another network')
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for name in names:
            content = archive.extractfile(f'package/dist/{name}').read()
            if name.endswith('.wasm'): content = gzip.compress(content, 9, mtime=0)
            (VENDOR/packed(name)).write_bytes(content)
    (VENDOR/'runtime.txt').write_text(SHA512)


def export_network(model):
    "The ONNX files of a model for photos that takes hints"
    packaged = ROOT/f'colorize_lib/models/{model}.safetensors'
    path = packaged if packaged.exists() else Path(model)
    if not path.is_file(): raise SystemExit(f'{model}: no such file, and no model of this name is in the package')
    source, made = hashlib.sha256(path.read_bytes()).hexdigest(), VENDOR/'model.txt'
    if made.exists() and made.read_text() == source: return
    from colorize_lib.apply.colorizer import Colorizer # not above: PyTorch takes time, and a server does not need it
    from colorize_lib.apply.export import export_onnx
    from colorize_lib.engine.files import WeightsError
    try:
        colorizer = Colorizer.load(path, device='cpu')
        if colorizer.task.takes != 'photo' or not colorizer.takes_hints:
            cure = 'Such a one is the packaged grayscale'
            raise WeightsError(model, 'the page needs a model for photos that takes hints', cure)
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(colorizer, Path(folder)/'grayscale.onnx')
            for path in Path(folder).glob('grayscale*'): shutil.copy(path, VENDOR/path.name)
    except WeightsError as e: raise SystemExit(str(e)) from None
    made.write_text(source)


def write_colors():
    "What the palette of the app's hint editor offers, and CSS's names of colours"
    shutil.copy(ROOT/'colorize_lib/widgets/static/usual_colors.json', VENDOR)
    names = {k: '#%02x%02x%02x' % ImageColor.getrgb(k)[:3] for k in ImageColor.colormap}
    (VENDOR/'color_names.json').write_text(json.dumps(names))


def write_samples():
    "Photos of scikit-image and scikit-learn, in gray, for visitors who have none at hand"
    from colorize_lib.photos.samples import carried_photos
    (VENDOR/'samples').mkdir(exist_ok=True)
    for path in carried_photos():
        if path.name not in SAMPLES: continue
        with Image.open(path) as img: gray = img.convert('L')
        gray.thumbnail((640, 640))
        gray.save(VENDOR/f'samples/{SAMPLES[path.name]}.jpg', quality=85)


def write_list():
    "Sizes and checksums of all files, which page and service worker check; the version follows from them"
    later = {f'vendor/{packed(o)}' for o in WEBGPU}
    patterns = [*OWN, *(f'vendor/{o}' for o in '*.json *.mjs *.onnx *.bin samples/*'.split())]
    kept = [p for pattern in patterns for p in WEB.glob(pattern) if p.name != 'files.json']
    files = {}
    for path in sorted(kept):
        data = path.read_bytes()
        files[path.relative_to(WEB).as_posix()] = dict(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    version = hashlib.sha256(json.dumps(files).encode() + (WEB/'sw.js').read_bytes()).hexdigest()[:16]
    samples = [o.removeprefix('vendor/') for o in files if o.startswith('vendor/samples/')]
    first = [o for o in files if o not in later]
    content = dict(version=version, first=first, samples=samples, files=files)
    (VENDOR/'files.json').write_text(json.dumps(content, indent=1))


def build(model='grayscale'):
    "Make what is missing in web/vendor"
    VENDOR.mkdir(exist_ok=True)
    fetch_runtime()
    export_network(model)
    write_colors()
    write_samples()
    write_list()


def policy():
    "What the page may do: the same words as in index.html, which cannot tell them to the worker"
    return re.search(r'Content-Security-Policy" content="([^"]+)"', (WEB/'index.html').read_text())[1]


class Handler(SimpleHTTPRequestHandler):
    "A static server that isolates the page, so that it may use threads from the first visit on, and keeps its policy"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        '.js': 'text/javascript', '.mjs': 'text/javascript', '.webmanifest': 'application/manifest+json',
        '.bin': 'application/octet-stream'}
    def end_headers(self):
        for part in 'Opener-Policy same-origin', 'Embedder-Policy require-corp', 'Resource-Policy same-origin':
            self.send_header('Cross-Origin-' + part.split()[0], part.split()[1])
        self.send_header('Content-Security-Policy', policy())
        self.send_header('Cache-Control', 'no-cache')
        super().end_headers()

    def log_message(self, *args): pass


def main():
    parser = argparse.ArgumentParser(description='The page that colours photos in a browser')
    parser.add_argument('--build', action='store_true', help='make its files, and do not serve it')
    parser.add_argument('--model', default='grayscale', help='a model in the package, or a file of weights')
    parser.add_argument('--port', type=int, default=8000)
    args = parser.parse_args()
    build(args.model)
    if args.build: return
    server = ThreadingHTTPServer(('localhost', args.port), partial(Handler, directory=WEB))
    print(f'http://localhost:{server.server_port}  (Ctrl-C ends it)')
    try: server.serve_forever()
    except KeyboardInterrupt: print()


if __name__ == '__main__': main()
