# Needs Python >= 3.10 and make; everything else is installed into .venv, and for `make demo` into .venv-demo. The
# browser tests of the HTML report need Chromium on the PATH (Debian: apt-get install chromium) and are skipped without
# it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The environment of `test-full`: .venv's packages and tensorflow. It is separate, so that `make test` proves that neither
# the package nor its tests need tensorflow.
FULL := $(VENV)-full
FULL_STAMP := $(FULL)/.installed
FULL_PIP := $(FULL)/bin/python -m pip --disable-pip-version-check

# The environment of `demo`: the package with its own dependencies, without torch and the tools for development.
DEMO := $(VENV)-demo
DEMO_STAMP := $(DEMO)/.installed

# The environment of Model API; its tests start a program there.
MAPI := $(VENV)-mapi
MAPI_STAMP := $(MAPI)/.installed
# The environment of `test-omz`: the classic Model Optimizer, which pins an older OpenVINO and needs Python 3.10 to 3.12.
# Takes $(PYTHON) or the first of the others that runs: a version manager's shim may exist without its Python.
OMZ := $(VENV)-omz
OMZ_STAMP := $(OMZ)/.installed
OMZ_PYTHON = $(firstword $(foreach p,$(PYTHON) python3.12 python3.11 python3.10,$(shell \
  $(p) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11), (3, 12)))' \
  >/dev/null 2>&1 && echo $(p))))

# The environment of `test-hub`: timm and transformers, which save networks and compute what they answer. It has neither
# this package nor OpenVINO.
HUB := $(VENV)-hub
HUB_STAMP := $(HUB)/.installed

# The environments of `test-serve`: clients of the Open Inference Protocol. kserve has messages of its own, which cannot
# be loaded into one process with tritonclient's.
SERVE_CLIENTS := $(VENV)-serve-clients
SERVE_CLIENTS_STAMP := $(SERVE_CLIENTS)/.installed
SERVE_KSERVE := $(VENV)-serve-kserve
SERVE_KSERVE_STAMP := $(SERVE_KSERVE)/.installed

# What `.venv` installs besides the package: the gates of dependencies need the tests' packages alone.
EXTRAS ?= dev

# The environments of `test-lowest` and `test-newest`: the tests' packages at the oldest and the newest versions that
# pyproject.toml allows. They are the .venv of a call of make for themselves.
LOWEST := $(VENV)-lowest
LOWEST_QUANTIZE := $(VENV)-lowest-quantize
NEWEST := $(VENV)-newest
# uv resolves the lowest versions; pip cannot.
UV := $(VENV)-uv
UV_STAMP := $(UV)/.installed

# The environment of `test-bulk`: the package with Ray and moto, without torch and the tools for development.
BULK := $(VENV)-bulk
BULK_STAMP := $(BULK)/.installed

# Tests compare conversions with torch. On Linux the CPU build is requested, because a plain "torch" may install
# gigabytes of CUDA libraries. If the package index has no CPU build, the tests that need torch are skipped; to install
# the plain package: make TORCH=torch.
TORCH ?= torch==2.13.0$(if $(filter Linux,$(shell uname -s)),+cpu)
# The torchvision for this torch, which timm imports. Installed without its dependencies, so that it does not replace
# torch; the programs of `test-hub` work without its compiled operators.
TORCHVISION ?= torchvision==0.28.0

.DEFAULT_GOAL := test
.PHONY: venv venv-full venv-omz venv-hub venv-serve venv-bulk omz-python demo test test-fast test-full test-omz test-hub \
  test-serve test-bulk test-arm test-docs lowest-versions test-lowest test-newest fuzz soak docs generated-docs check format bench clean

venv: $(STAMP)
venv-full: $(FULL_STAMP) $(FULL)/omz/.downloaded $(MAPI_STAMP)
venv-omz: $(OMZ_STAMP)
venv-hub: $(HUB_STAMP)
venv-serve: $(SERVE_CLIENTS_STAMP) $(SERVE_CLIENTS)/openapi/.downloaded $(SERVE_KSERVE_STAMP) $(MAPI_STAMP)
venv-bulk: $(BULK_STAMP)

# $(call new_environment,FOLDER): create an empty environment.
define new_environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
@echo "creating $(1)"
@$(PYTHON) -m venv $(1)
endef

# $(call environment,FOLDER): create an environment with torch, if the index has this torch for this Python. It is
# downloaded first, so that pip prints no error before the installation continues without it.
define environment
$(call new_environment,$(1))
@echo "downloading and installing $(TORCH)"
@pip="$(1)/bin/python -m pip --disable-pip-version-check"; \
  { $$pip download --quiet --no-deps --dest $(1)/torch "$(TORCH)" >/dev/null 2>&1 && $$pip install --quiet $(1)/torch/*; } \
  || echo "no $(TORCH) for this Python: continuing without torch, the tests that need it will be skipped"
@rm -rf $(1)/torch
endef

$(STAMP): pyproject.toml
	$(call environment,$(VENV))
	@echo "installing the package and the tools for development: about 2 GB with torch, a minute or more"
	@$(PIP) install --quiet -e ".[$(EXTRAS)]"
	@touch $@

$(DEMO_STAMP): pyproject.toml
	$(call new_environment,$(DEMO))
	@echo "installing the package and its dependencies: about 160 MB to download, 0.5 GB on disk"
	@$(DEMO)/bin/python -m pip --disable-pip-version-check install -e .
	@touch $@

$(FULL_STAMP): pyproject.toml
	$(call environment,$(FULL))
	$(FULL_PIP) install --quiet -e ".[test,tensorflow]" && $(FULL)/bin/python -c "import tensorflow" || { echo \
	  "test-full needs tensorflow-cpu (wheels: https://pypi.org/project/tensorflow-cpu), which could not be installed or" \
	  "does not run here; make test does not need it" >&2; exit 1; }
	@touch $@

# The Open Model Zoo's own descriptions. If the wheel cannot be downloaded, the next call tries again. It is a pure
# Python wheel whose metadata excludes Python 3.13; it is only read here, so any Python version works.
$(FULL)/omz/.downloaded: $(FULL_STAMP)
	$(FULL_PIP) download --quiet --no-deps --only-binary=:all: --python-version 3.11 --dest $(@D) openvino-dev==2024.6.0 \
	  && touch $@ || echo "openvino-dev could not be downloaded: the tests on its descriptions will be skipped" >&2

$(MAPI_STAMP): tools/model-api-requirements.txt
	$(PYTHON) -m venv $(MAPI)
	$(MAPI)/bin/python -m pip --disable-pip-version-check install --quiet -r $< && touch $@ \
	  || echo "Model API could not be installed: the tests on it will be skipped" >&2
$(OMZ_STAMP): tools/omz-requirements.txt
	@test -n "$(OMZ_PYTHON)" || { echo "test-omz needs Python 3.10 to 3.12; none of $(PYTHON), python3.12, python3.11," \
	  "python3.10 runs here: make test-omz PYTHON=..." >&2; exit 1; }
	rm -rf $(OMZ)
	$(OMZ_PYTHON) -m venv $(OMZ)
	$(OMZ)/bin/python -m pip --disable-pip-version-check install --quiet -r tools/omz-requirements.txt
	@touch $@

$(HUB_STAMP): tools/hub-requirements.txt
	rm -rf $(HUB)
	$(call environment,$(HUB))
	@$(HUB)/bin/python -c 'import importlib.util as u; exit(u.find_spec("torch") is None)' \
	  || { echo "test-hub needs $(TORCH), which could not be installed" >&2; exit 1; }
	$(HUB)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps "$(TORCHVISION)"
	$(HUB)/bin/python -m pip --disable-pip-version-check install --quiet -r $<
	@touch $@

$(SERVE_CLIENTS_STAMP): tools/serve-clients-requirements.txt
	$(call new_environment,$(SERVE_CLIENTS))
	$(SERVE_CLIENTS)/bin/python -m pip --disable-pip-version-check install --quiet -r $<
	@touch $@

# The description of the protocol in mlserver's wheel, which is only read here. If it cannot be downloaded, the next call
# tries again.
$(SERVE_CLIENTS)/openapi/.downloaded: $(SERVE_CLIENTS_STAMP)
	$(SERVE_CLIENTS)/bin/python -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
	  --dest $(@D) mlserver==1.7.1 && touch $@ \
	  || echo "mlserver's wheel could not be downloaded: the tests on its OpenAPI description will be skipped" >&2

$(SERVE_KSERVE_STAMP): tools/serve-kserve-requirements.txt
	$(call new_environment,$(SERVE_KSERVE))
	$(SERVE_KSERVE)/bin/python -m pip --disable-pip-version-check install --quiet -r $< && touch $@ \
	  || echo "kserve could not be installed: the tests on it will be skipped" >&2

$(BULK_STAMP): tools/bulk-requirements.txt pyproject.toml
	rm -rf $(BULK)
	$(call new_environment,$(BULK))
	@echo "installing the package, Ray and moto: 1.4 GB on disk"
	$(BULK)/bin/python -m pip --disable-pip-version-check install --quiet -r $< -e .
	@touch $@

# Print the Python that test-omz uses; an empty line if there is none.
omz-python:
	@echo $(OMZ_PYTHON)

# Each worker runs whole test files, so that a module's fixtures are created once. Many tests of `test` wait for other
# processes, so it has one worker more than CPUs. The full tests draw windows, which needs
# an idle CPU. The CPUs are those that this process may use: the affinity mask and the quota of a container.
# A worker that ends fails the run at once: pytest-xdist 3.8 may wait for ever after it has replaced one (its issue 1323).
CPUS := $(or $(shell $(PYTHON) -c 'from ov_mobilenet.devices.processors import usable_cpus; print(usable_cpus())' \
  2>/dev/null),1)
WORKERS := $(shell echo $$(($(CPUS) < 4 ? $(CPUS) : 4)))
BY_FILE := --dist loadfile --max-worker-restart 0
PARALLEL := -n $(WORKERS) $(BY_FILE)
ONE_MORE := -n $(shell echo $$(($(CPUS) < 3 ? $(CPUS) + 1 : 4))) $(BY_FILE)

demo: $(DEMO_STAMP)
	@$(DEMO)/bin/ov-mobilenet demo

test: $(STAMP)
	$(BIN)/python -m pytest $(ONE_MORE) -m "not full and not omz and not hub and not serve and not bulk and not pages" $(PYTEST_ARGS)

# Every room in under a minute on two cores, for use while editing; leaves out the files in tests/slow_files.py.
test-fast: $(STAMP)
	$(BIN)/python -m pytest $(PARALLEL) -m "not full and not omz and not hub and not serve and not bulk and not pages and not shared and not slow" $(PYTEST_ARGS)

# Only the tests marked `full`. Anything else they need becomes another prerequisite of `venv-full`.
test-full: venv-full
	MODEL_API_PYTHON=$(abspath $(MAPI))/bin/python $(FULL)/bin/python -m pytest $(PARALLEL) -m "full and not omz and not hub and not serve and not bulk and not pages" $(PYTEST_ARGS)

# Only the tests marked `omz`: they compare conversions with the classic Model Optimizer, and our programs and their
# options with those of openvino-dev.
test-omz: $(STAMP) $(OMZ_STAMP)
	OV_MOBILENET_TEST_MO=$(abspath $(OMZ)/bin/mo) OMZ_INFO_DUMPER=$(abspath $(OMZ)/bin/omz_info_dumper) \
	  $(BIN)/python -m pytest -m omz $(PYTEST_ARGS)

# Only the tests marked `hub`: networks that timm and transformers save, converted, against what these libraries answer.
test-hub: $(STAMP) $(HUB_STAMP)
	HUB_ORACLE_PYTHON=$(abspath $(HUB))/bin/python $(BIN)/python -m pytest $(PARALLEL) -m hub $(PYTEST_ARGS)

# Only the tests marked `serve`: `ov-mobilenet serve` as a process, asked by clients that others wrote.
test-serve: $(STAMP) venv-serve
	SERVE_CLIENTS_PYTHON=$(abspath $(SERVE_CLIENTS))/bin/python SERVE_KSERVE_PYTHON=$(abspath $(SERVE_KSERVE))/bin/python \
	  MODEL_API_PYTHON=$(abspath $(MAPI))/bin/python SERVE_OPENAPI_WHEELS=$(abspath $(SERVE_CLIENTS))/openapi \
	  $(BIN)/python -m pytest $(PARALLEL) -m serve $(PYTEST_ARGS)

# Only the tests marked `bulk`: Ray clusters of several nodes on this machine, and buckets served on loopback. One after
# the other, because each test starts several processes.
test-bulk: $(BULK_STAMP)
	$(BULK)/bin/python -m pytest -m bulk tests/bulk_classification $(PYTEST_ARGS)

# Only the tests marked `pages`: every block of README.md and docs is run, and so are the notebooks. The site is built by
# `docs`, commands are parsed and generated parts are compared by `test`.
test-docs: $(STAMP)
	$(BIN)/python -m pytest $(PARALLEL) -m pages $(PYTEST_ARGS)

# The environment of `release-files` and `test-packages`: build, twine, cyclonedx-py, zizmor, Node.js and pytest.
PACKAGES := $(VENV)-packages
PACKAGES_STAMP := $(PACKAGES)/.installed
.PHONY: venv-packages release-files test-packages
venv-packages: $(PACKAGES_STAMP)

$(PACKAGES_STAMP): tools/packages/requirements.txt
	rm -rf $(PACKAGES)
	$(call new_environment,$(PACKAGES))
	$(PACKAGES)/bin/python -m pip --disable-pip-version-check install --quiet -r $<
	@touch $@

# The files of a release of the current commit in dist: sdist, wheel, SBOMs, SHA256SUMS.
release-files: $(PACKAGES_STAMP)
	$(PACKAGES)/bin/python tools/packages/release_files.py dist

# Sdist and wheel: bytes, contents and metadata; installed and used; `make test-fast` from the sdist; SBOMs; workflows.
test-packages: $(PACKAGES_STAMP) $(STAMP)
	PACKAGES_TEST_PYTHON=$(abspath $(BIN)/python) $(PACKAGES)/bin/python -m pytest tools/packages $(PYTEST_ARGS)

# The wheel on aarch64: the demo and tests/portability in a Debian arm64, emulated on another processor. Needs root and the
# Debian packages debootstrap and qemu-user-static; says so and passes without them. .venv-arm holds pip alone.
ARM := $(VENV)-arm
ARM_STAMP := $(ARM)/.installed
$(ARM_STAMP):
	rm -rf $(ARM)
	$(call new_environment,$(ARM))
	@touch $@

test-arm: $(ARM_STAMP)
	$(ARM)/bin/python tools/arm/run_on_arm.py

$(UV_STAMP):
	$(call new_environment,$(UV))
	@$(UV)/bin/python -m pip --disable-pip-version-check install --quiet "uv>=0.9"
	@touch $@

# Resolve the files of `test-lowest` again, after a change of a limit in pyproject.toml; a test fails until it is done.
lowest-versions: $(UV_STAMP)
	@$(UV)/bin/python tools/dependencies/lowest_versions.py --uv $(abspath $(UV))/bin/uv

# $(call environment_of,FOLDER): a call of make whose .venv is FOLDER, with the tests' packages alone.
environment_of = $(MAKE) --no-print-directory VENV=$(1) EXTRAS=test

# Has this Python wheels of all the lowest versions? Python 3.12 has none of PyYAML 6.0.
LOWEST_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))'

# `make demo` and `make test-fast` with the oldest versions that pyproject.toml allows, and quantisation with the oldest
# that it can run with. An environment is made anew if its constraints file is newer.
test-lowest:
	@if ! $(LOWEST_PYTHON); then \
	  echo "test-lowest is skipped: the lowest versions have wheels for Python 3.10 and 3.11 only: make test-lowest PYTHON=..."; \
	else $(MAKE) --no-print-directory run-lowest; fi

.PHONY: run-lowest
run-lowest: export PIP_ONLY_BINARY := :all:
run-lowest:
	@for folder in $(LOWEST) $(LOWEST)-demo $(LOWEST_QUANTIZE); do \
	  constraints=tools/dependencies/lowest$$(case $$folder in *-quantize) echo -quantize;; esac).txt; \
	  test $$folder/.installed -nt $$constraints || rm -rf $$folder; done
	PIP_CONSTRAINT=$(CURDIR)/tools/dependencies/lowest.txt $(call environment_of,$(LOWEST)) venv demo
	$(LOWEST)/bin/python tools/dependencies/versions.py
	$(call environment_of,$(LOWEST)) test-fast
	PIP_CONSTRAINT=$(CURDIR)/tools/dependencies/lowest-quantize.txt $(call environment_of,$(LOWEST_QUANTIZE)) venv
	$(LOWEST_QUANTIZE)/bin/python tools/dependencies/versions.py
	$(LOWEST_QUANTIZE)/bin/python -m pytest -m "not shared" tests/quantization $(PYTEST_ARGS)

# The same with the newest versions that pyproject.toml allows today, and what keeps still newer ones out.
test-newest: export PIP_UPGRADE := true
test-newest: export PIP_UPGRADE_STRATEGY := eager
test-newest:
	@rm -f $(NEWEST)/.installed $(NEWEST)-demo/.installed
	$(call environment_of,$(NEWEST)) venv demo
	$(NEWEST)/bin/python tools/dependencies/versions.py --newest
	$(call environment_of,$(NEWEST)) test-fast

# `venv`, `demo` and `test-fast` under each Python that runs here, in environments of their own and a copy of the last
# commit; as root on Debian also under those of Debian testing. Only some: VERSIONS="3.10 3.14".
.PHONY: test-pythons
test-pythons:
	PYTHONPATH=tools $(PYTHON) -m pythons $(VERSIONS)

# Random attacks of tests/attacks/generators. N: cases of each kind (default: each kind's own number); SEED: default 0.
N ?= all
SEED ?= 0
fuzz: $(STAMP)
	OV_MOBILENET_FUZZ_CASES=$(N) OV_MOBILENET_FUZZ_SEED=$(SEED) \
	  $(BIN)/python -m pytest -n $(WORKERS) tests/attacks/test_fuzz.py $(PYTEST_ARGS)

# Streams, queues, live sources, failing devices, reloads and a server for MINUTES, with memory, threads and handles
# watched; SEED as for fuzz. SCENARIO: only this one. SOAK_ARGS: further options, such as --json FILE.
MINUTES ?= 30
SCENARIO ?=
soak: $(STAMP)
	PYTHONPATH=tools $(BIN)/python -m soak --minutes $(MINUTES) --seed $(SEED) \
	  $(addprefix --scenario ,$(SCENARIO)) $(SOAK_ARGS)

# Bare Debian systems with the packages that README names, and the images of demos/edge, built and run. Needs root on
# Debian and 6 GB; skipped with one sentence elsewhere. PART: only `systems` or `images`, or `tests` (`make test-fast` on a
# bare Debian system), which the gate leaves out because it takes as long as the rest.
.PHONY: test-containers
PART ?=
test-containers:
	PYTHONPATH=tools $(PYTHON) -m containers $(PART)

# The site, in build/site: a warning, such as a broken link, is an error. `generated-docs` writes the generated parts of
# README.md and docs; a test fails while one is out of date.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

generated-docs: $(STAMP)
	PYTHONPATH=tools:demos $(BIN)/python -m generate_docs

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The shorter benches of tools/bench, with the sample model: about five minutes on an idle machine.
bench: $(STAMP)
	$(BIN)/python tools/bench/start_up.py
	$(BIN)/python tools/bench/pipeline.py --only-plain
	$(BIN)/python tools/bench/stages.py
	$(BIN)/python tools/bench/host_bound.py
	$(BIN)/python tools/bench/live_latency.py
	$(BIN)/python tools/bench/inference_memory.py --inferences 100000

clean:
	rm -rf $(VENV) $(DEMO) $(FULL) $(MAPI) $(OMZ) $(HUB) $(SERVE_CLIENTS) $(SERVE_KSERVE) $(BULK) $(ARM) $(LOWEST) \
	  $(LOWEST)-demo $(LOWEST_QUANTIZE) $(NEWEST) $(NEWEST)-demo $(UV) $(PACKAGES) build dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
