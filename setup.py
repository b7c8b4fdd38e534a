"Reads settings.ini, the one home of the package's metadata."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
settings = ConfigParser(delimiters=['='], interpolation=None)
settings.read(here/'settings.ini', encoding='utf-8')
cfg = settings['DEFAULT']
module = (here/'colorize_lib'/'__init__.py').read_text(encoding='utf-8')
version = re.search(r'__version__\s*=\s*"(.+?)"', module).group(1)
extras = 'multi', 'train', 'hub', 'metrics', 'video', 'onnx', 'dev'

setup(
    version=version,
    description=cfg['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    license=cfg['license'],
    keywords=cfg['keywords'],
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=['colorize_lib*']),
    install_requires=cfg['requirements'].split(),
    extras_require={extra: cfg[f'{extra}_requirements'].split() for extra in extras},
    include_package_data=False, # what package_data names is all; else setuptools takes its folders for packages
    package_data={'colorize_lib': ['models/*'], 'colorize_lib.widgets': ['static/*']},
    entry_points={
        'console_scripts': cfg['console_scripts'].split(),
        'nbdev': ['colorize_lib=colorize_lib._modidx:d'],
    },
)
