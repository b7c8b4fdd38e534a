# Each target sets up what it needs in .venv and can be run again at once.
#   make demo               train and colour in a few minutes      make demo DATA=my/photos
#   make test               lint, all notebooks, all tests but the few slow ones: on two cores ten to twenty minutes
#                           (pytest runs the tutorials, as their users do: the first one here, the longer ones in `make slow`)
#   make slow               the slow ones; .ci/run runs both
#   make lab                the notebooks in JupyterLab
#   make voila              the app alone, in a browser
#   make web                the page that colours photos without Python     make web MODEL=my.safetensors
#   make bench              speed and memory against a plain loop     make bench DATA=my/photos
#   make gpu                all that needs a GPU, nine minutes at most     make gpu DATA=my/photos WHEELS=folder
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# tests: so many processes, of one thread each (processes of many threads stand in each other's way)
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(max(2, min(4, os.cpu_count())))')

.PHONY: demo test slow lab voila web bench gpu export badges

demo: $(READY)
	$(BIN)/colorize-demo $(if $(DATA),"$(DATA)") $(ARGS)

test slow: export OMP_NUM_THREADS = 1
# compiled code of another checkout, or of another processor, is not taken for this one's
test slow: export TORCHINDUCTOR_CACHE_DIR = $(CURDIR)/.venv/torchinductor
# or every process that a test starts compiles all modules anew
test slow: export PYTHONDONTWRITEBYTECODE =
# they run where only the wheel is installed, in tests/test_tutorials.py
NOT_TUTORIALS = --skip-folder-re '^([_.]|tutorials$$)'
# the page's files are made meanwhile; without a network, its tests are skipped
test: $(READY)
	$(BIN)/python tools/web.py --build & $(BIN)/ruff check . && $(BIN)/nbdev-test --n-workers $(WORKERS) --timing $(NOT_TUTORIALS); \
	failed=$$?; wait; exit $$failed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow" --durations=10

slow: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m slow

lab: $(READY)
	$(BIN)/jupyter lab nbs/index.ipynb

voila: $(READY)
	$(BIN)/voila nbs/widgets/12_app.ipynb

web: $(READY)
	$(BIN)/python tools/web.py $(if $(MODEL),--model "$(MODEL)") $(ARGS)

bench: $(READY)
	$(BIN)/python -m benchmarks.bench $(if $(DATA),"$(DATA)") $(ARGS)
	$(BIN)/python -m benchmarks.colorizer
	$(BIN)/python -m benchmarks.web

# no network and no .venv: a machine with a GPU brings its own PyTorch, and WHEELS what else is missing
gpu:
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -m benchmarks.gpu $(if $(DATA),"$(DATA)") $(if $(WHEELS),--wheels "$(WHEELS)") $(ARGS)

export: $(READY)
	$(BIN)/nbdev-export
	$(BIN)/nbdev-clean

badges: $(READY)
	$(BIN)/python tools/badges.py

# torch and torchvision are asked for together, so that pip takes a matching pair
$(READY): settings.ini setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "colorize_lib needs Python 3.10 or newer, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	@echo "Installing into .venv: PyTorch is a few GB, so this takes some minutes the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q --progress-bar on torch torchvision -e '.[dev]'
	@touch $@
