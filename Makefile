# Needs Python >= 3.10 and make; everything else goes into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

# torch only judges conversions in the tests. On Linux its CPU build is named outright, because a plain "torch" may
# bring gigabytes of CUDA; where the index has no such build the tests that need torch are skipped (or: TORCH=torch).
TORCH ?= torch==2.13.0$(if $(filter Linux,$(shell uname -s)),+cpu)

.DEFAULT_GOAL := test
.PHONY: venv demo test check format bench clean

venv: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet "$(TORCH)" \
	  || echo "torch could not be installed: going on without it, the tests that need it will be skipped" >&2
	$(PIP) install --quiet -e ".[dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/ov-mobilenet demo

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python tools/bench/start_up.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
