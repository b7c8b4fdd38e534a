"""Write README's and the notebooks' badges, links to the page in web/ and install cells, from the project's address;
and what the tutorials ask of Kaggle and Colab.

The address has one home, `[project.urls]` in pyproject.toml. After changing it there, run `make badges`.
While it is a placeholder there are no badges: they would lead nowhere.
"""
import re
from pathlib import Path

from fastcore.nbio import read_nb, write_nb
from nbdev.config import get_config

ROOT = Path(__file__).resolve().parent.parent
SPAN = re.compile(r'\n*<!-- badges -->.*?<!-- /badges -->', re.S)
INSTALL = re.compile(r'(colorize_lib(?:\[\w+\])? @ git\+)[^"]+')
PAGE = re.compile(r'https://[\w-]+\.github\.io/\w+(?=/web/)') # the site, in links to the page that colours photos
CAREFUL = '# Installs what is missing, and nothing else' # a cell with this line is `install_cell`
ASKS_FOR = dict( # in a tutorial's metadata: a GPU (on Kaggle two of them) and the internet
    accelerator='GPU', colab=dict(gpuType='T4', provenance=[]),
    kaggle=dict(accelerator='nvidiaTeslaT4', dataSources=[], isGpuEnabled=True, isInternetEnabled=True,
                language='python', sourceType='notebook'))


def badges(repo_url, path):
    """Markdown badges that open the notebook `path` (relative to the repository) on Colab and Kaggle

    There are none while the address is a placeholder."""
    if '/OWNER/' in repo_url: return ''
    on_github = repo_url.removeprefix('https://github.com/') + f'/blob/main/{path}'
    colab = f'https://colab.research.google.com/github/{on_github}'
    kaggle = f'https://kaggle.com/kernels/welcome?src={repo_url}/blob/main/{path}'
    # the blank lines: what stands beside a comment in its own lines is HTML, in which Markdown stays raw text
    return ('\n\n<!-- badges -->\n\n'
            f'[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) '
            f'[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]({kaggle})\n\n<!-- /badges -->')


def install_cell(repo_url):
    "The first cell of a tutorial: pip is held to the machine's own torch, whatever it finds out about versions"
    return f"""#| hide
{CAREFUL}: torch, torchvision and numpy stay as this machine has them
import importlib.util
from importlib.metadata import version
if not importlib.util.find_spec('colorize_lib'):
    installed = [o for o in ('torch', 'torchvision', 'numpy') if importlib.util.find_spec(o)]
    with open('keep.txt', 'w') as f: f.writelines(f'{{o}}=={{version(o)}}\\n' for o in installed)
    print('Downloading colorize_lib, about 10 MB, and the packages that are missing')
    %pip install -q -c keep.txt "colorize_lib @ git+{repo_url}"
    importlib.invalidate_caches()
    found = importlib.util.find_spec('colorize_lib')
    assert found, 'not installed: is there internet? On Kaggle it is switched on under Settings'
%config InlineBackend.figure_formats = ['jpeg']"""


def site(repo_url):
    "Where GitHub serves the pages of a repository"
    return re.sub('https://github.com/([^/]+)/', r'https://\1.github.io/', repo_url)


def rewritten(sources, repo_url, path):
    "The texts of a notebook's cells with badges under the first one's title, links and install lines, for `repo_url`"
    sources = [PAGE.sub(site(repo_url), SPAN.sub('', o)) for o in sources]
    sources[0] += badges(repo_url, path)
    return [install_cell(repo_url) if CAREFUL in o else INSTALL.sub(rf'\g<1>{repo_url}', o) for o in sources]


def main():
    repo_url = get_config(ROOT).git_url
    readme = ROOT/'README.md'
    title, rest = readme.read_text(encoding='utf-8').split('\n', 1)
    text = title + badges(repo_url, 'nbs/index.ipynb') + '\n' + PAGE.sub(site(repo_url), SPAN.sub('', '\n' + rest)[1:])
    readme.write_text(text, encoding='utf-8')
    for f in sorted((ROOT/'nbs').rglob('*.ipynb')):
        nb = read_nb(f)
        sources = rewritten([c.source for c in nb.cells], repo_url, f.relative_to(ROOT).as_posix())
        for cell, source in zip(nb.cells, sources): cell.source = source
        if f.parent.name == 'tutorials': nb.metadata.update(ASKS_FOR)
        write_nb(nb, f)


if __name__ == '__main__': main()
