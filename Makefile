# Each target sets up what it needs in .venv and can be run again at once.
#   make demo               train and colour in a few minutes      make demo DATA=my/photos
#   make test               lint, all notebooks, all tests but the few slow ones: on two cores ten to twenty minutes
#   make slow               the slow ones; .ci/run runs both
#   make lab                the notebooks in JupyterLab
#   make voila              the app alone, in a browser
#   make bench              speed and memory against a plain loop     make bench DATA=my/photos
#   make gpu                all that needs a GPU, nine minutes at most     make gpu DATA=my/photos WHEELS=folder
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# tests: so many processes, of one thread each (processes of many threads stand in each other's way)
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(max(2, min(4, os.cpu_count())))')

.PHONY: demo test slow lab voila bench gpu export badges

demo: $(READY)
	$(BIN)/colorize-demo $(if $(DATA),"$(DATA)") $(ARGS)

test slow: export OMP_NUM_THREADS = 1
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/nbdev-test --n-workers $(WORKERS) --timing
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow" --durations=10

slow: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m slow

lab: $(READY)
	$(BIN)/jupyter lab nbs/index.ipynb

voila: $(READY)
	$(BIN)/voila nbs/widgets/10_app.ipynb

bench: $(READY)
	$(BIN)/python -m benchmarks.bench $(if $(DATA),"$(DATA)") $(ARGS)
	$(BIN)/python -m benchmarks.colorizer

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
