"""Write README's and the notebooks' badges, and the notebooks' install cells, from the project's address;
and what the tutorials ask of Kaggle and Colab.

The address has one home, `[project.urls]` in pyproject.toml. After changing it there, run `make badges`.
"""
import re
from pathlib import Path

from fastcore.nbio import read_nb, write_nb
from nbdev.config import get_config

ROOT = Path(__file__).resolve().parent.parent
SPAN = re.compile(r'<!-- badges -->.*?<!-- /badges -->', re.S)
INSTALL = re.compile(r'(colorize_lib @ git\+)[^"]+')
CAREFUL = '# Installs what is missing, and nothing else' # a cell with this line is `install_cell`
ASKS_FOR = dict( # in a tutorial's metadata: a GPU (on Kaggle two of them) and the internet
    accelerator='GPU', colab=dict(gpuType='T4', provenance=[]),
    kaggle=dict(accelerator='nvidiaTeslaT4', dataSources=[], isGpuEnabled=True, isInternetEnabled=True, language='python', sourceType='notebook'))


def badges(repo_url, path):
    "Markdown badges that open the notebook `path` (relative to the repository) on Colab and Kaggle"
    on_github = repo_url.removeprefix('https://github.com/') + f'/blob/main/{path}'
    kaggle = f'https://kaggle.com/kernels/welcome?src={repo_url}/blob/main/{path}'
    # the blank lines: what stands beside a comment in its own lines is HTML, in which Markdown stays raw text
    return (f'<!-- badges -->\n\n[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/{on_github}) '
            f'[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]({kaggle})\n\n<!-- /badges -->')


def install_cell(repo_url):
    "The first cell of a tutorial: pip is held to the machine's own torch, whatever it finds out about versions"
    return f"""#| hide
{CAREFUL}: torch, torchvision and numpy stay as this machine has them
import importlib.util
from importlib.metadata import version
if not importlib.util.find_spec('colorize_lib'):
    with open('keep.txt', 'w') as f: f.writelines(f'{{o}}=={{version(o)}}\\n' for o in ('torch', 'torchvision', 'numpy') if importlib.util.find_spec(o))
    print('Downloading colorize_lib, about 10 MB, and the packages that are missing')
    %pip install -q -c keep.txt "colorize_lib @ git+{repo_url}"
    importlib.invalidate_caches()
    assert importlib.util.find_spec('colorize_lib'), 'not installed: is there internet? On Kaggle it is switched on under Settings'
%config InlineBackend.figure_formats = ['jpeg']"""


def rewrite(text, repo_url, path):
    "`text` with badges and install line for `repo_url`"
    if CAREFUL in text: return install_cell(repo_url)
    return INSTALL.sub(rf'\g<1>{repo_url}', SPAN.sub(lambda _: badges(repo_url, path), text))


def main():
    repo_url = get_config(ROOT).git_url
    readme = ROOT/'README.md'
    readme.write_text(rewrite(readme.read_text(encoding='utf-8'), repo_url, 'nbs/index.ipynb'), encoding='utf-8')
    for f in sorted((ROOT/'nbs').rglob('*.ipynb')):
        nb = read_nb(f)
        for cell in nb.cells: cell.source = rewrite(cell.source, repo_url, f.relative_to(ROOT).as_posix())
        if f.parent.name == 'tutorials': nb.metadata.update(ASKS_FOR)
        write_nb(nb, f)


if __name__ == '__main__': main()
