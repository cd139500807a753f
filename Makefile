# Needs Python >= 3.10 and make; everything else goes into .venv. Tests of the HTML report want a Chromium on the PATH
# (Debian: apt-get install chromium) and are skipped without.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The environment of `test-full`: as above and tensorflow. One of its own, so that `make test` shows that neither the
# package nor its tests need tensorflow.
FULL := $(VENV)-full
FULL_STAMP := $(FULL)/.installed
FULL_PIP := $(FULL)/bin/python -m pip --disable-pip-version-check

# Model API's environment; the tests on it start a program there.
MAPI := $(VENV)-mapi
MAPI_STAMP := $(MAPI)/.installed
# The environment of `test-omz`: the classic Model Optimizer, which pins an OpenVINO of its own and wants Python 3.10 to
# 3.12: $(PYTHON), or another that really runs, since a shim may be there and not run.
OMZ := $(VENV)-omz
OMZ_STAMP := $(OMZ)/.installed
OMZ_PYTHON = $(firstword $(foreach p,$(PYTHON) python3.12 python3.11 python3.10,$(shell \
  $(p) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11), (3, 12)))' \
  >/dev/null 2>&1 && echo $(p))))

# torch only judges conversions in the tests. On Linux its CPU build is named outright, because a plain "torch" may
# bring gigabytes of CUDA; where the index has no such build the tests that need torch are skipped (or: TORCH=torch).
TORCH ?= torch==2.13.0$(if $(filter Linux,$(shell uname -s)),+cpu)

.DEFAULT_GOAL := test
.PHONY: venv venv-full venv-omz omz-python demo test test-full test-omz check format bench clean

venv: $(STAMP)
venv-full: $(FULL_STAMP) $(FULL)/omz/.downloaded $(MAPI_STAMP)
venv-omz: $(OMZ_STAMP)

# $(call environment,FOLDER): an empty environment, and torch where it can be had.
define environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
$(PYTHON) -m venv $(1)
$(1)/bin/python -m pip --disable-pip-version-check install --quiet "$(TORCH)" \
  || echo "torch could not be installed: going on without it, the tests that need it will be skipped" >&2
endef

$(STAMP): pyproject.toml
	$(call environment,$(VENV))
	$(PIP) install --quiet -e ".[dev]"
	@touch $@

$(FULL_STAMP): pyproject.toml
	$(call environment,$(FULL))
	$(FULL_PIP) install --quiet -e ".[test,tensorflow]" && $(FULL)/bin/python -c "import tensorflow" || { echo \
	  "test-full needs tensorflow-cpu (wheels: https://pypi.org/project/tensorflow-cpu), and it could not be installed" \
	  "or does not run here; make test does without it" >&2; exit 1; }
	@touch $@

# The Open Model Zoo's own descriptions; tried again at the next call if the wheel cannot be had. A wheel of pure
# Python that its metadata keeps from Python 3.13: only read here, so any Python will do.
$(FULL)/omz/.downloaded: $(FULL_STAMP)
	$(FULL_PIP) download --quiet --no-deps --only-binary=:all: --python-version 3.11 --dest $(@D) openvino-dev==2024.6.0 \
	  && touch $@ || echo "openvino-dev could not be downloaded: the tests on its descriptions will be skipped" >&2

$(MAPI_STAMP): tools/model-api-requirements.txt
	$(PYTHON) -m venv $(MAPI)
	$(MAPI)/bin/python -m pip --disable-pip-version-check install --quiet -r $< && touch $@ \
	  || echo "Model API could not be installed: the tests on it will be skipped" >&2
$(OMZ_STAMP): tools/omz-requirements.txt
	@test -n "$(OMZ_PYTHON)" || { echo "test-omz needs a Python from 3.10 to 3.12, and none of $(PYTHON), python3.12," \
	  "python3.11, python3.10 is one that runs: make test-omz PYTHON=..." >&2; exit 1; }
	rm -rf $(OMZ)
	$(OMZ_PYTHON) -m venv $(OMZ)
	$(OMZ)/bin/python -m pip --disable-pip-version-check install --quiet -r tools/omz-requirements.txt
	@touch $@

# The Python that test-omz would use; an empty line where none is.
omz-python:
	@echo $(OMZ_PYTHON)

# A process a core, a file of tests at a time: many of them wait for processes of their own.
SHARED_OUT := -n auto --maxprocesses 4 --dist loadfile

demo: $(STAMP)
	$(BIN)/ov-mobilenet demo

test: $(STAMP)
	$(BIN)/python -m pytest $(SHARED_OUT) -m "not full and not omz" $(PYTEST_ARGS)

# Only the tests marked `full`. Whatever else they come to need is one more target for `venv-full` to depend on.
test-full: venv-full
	MODEL_API_PYTHON=$(abspath $(MAPI))/bin/python $(FULL)/bin/python -m pytest $(SHARED_OUT) -m "full and not omz" $(PYTEST_ARGS)

# Only the tests marked `omz`: our conversion against the classic Model Optimizer's, our `info` against omz_info_dumper.
test-omz: $(STAMP) $(OMZ_STAMP)
	OV_MOBILENET_TEST_MO=$(abspath $(OMZ)/bin/mo) OMZ_INFO_DUMPER=$(abspath $(OMZ)/bin/omz_info_dumper) \
	  $(BIN)/python -m pytest -m omz $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python tools/bench/start_up.py

clean:
	rm -rf $(VENV) $(FULL) $(MAPI) $(OMZ) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
