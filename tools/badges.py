"""Write README's and the notebooks' badges, and the notebooks' install line, from the project's address.

The address has one home, `[project.urls]` in pyproject.toml. After changing it there, run `make badges`.
"""
import re
from pathlib import Path

from fastcore.nbio import read_nb, write_nb
from nbdev.config import get_config

ROOT = Path(__file__).resolve().parent.parent
SPAN = re.compile(r'<!-- badges -->.*?<!-- /badges -->', re.S)
INSTALL = re.compile(r'(colorize_lib @ git\+)[^"]+')


def badges(repo_url, path):
    "Markdown badges that open the notebook `path` (relative to the repository) on Colab and Kaggle"
    on_github = repo_url.removeprefix('https://github.com/') + f'/blob/main/{path}'
    kaggle = f'https://kaggle.com/kernels/welcome?src={repo_url}/blob/main/{path}'
    return (f'<!-- badges -->[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/{on_github}) '
            f'[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]({kaggle})<!-- /badges -->')


def rewrite(text, repo_url, path):
    "`text` with badges and install line for `repo_url`"
    return INSTALL.sub(rf'\g<1>{repo_url}', SPAN.sub(lambda _: badges(repo_url, path), text))


def main():
    repo_url = get_config(ROOT).git_url
    readme = ROOT/'README.md'
    readme.write_text(rewrite(readme.read_text(encoding='utf-8'), repo_url, 'nbs/index.ipynb'), encoding='utf-8')
    for f in sorted((ROOT/'nbs').rglob('*.ipynb')):
        nb = read_nb(f)
        for cell in nb.cells: cell.source = rewrite(cell.source, repo_url, f.relative_to(ROOT).as_posix())
        write_nb(nb, f)


if __name__ == '__main__': main()
