# `make demo` and `make test` are all a newcomer needs; both set up what they use.
VENV := .venv
PY := $(VENV)/bin/python
# A Python that other users of the machine can execute: pyenv under a 0700 home is not one.
SYSTEM_PYTHON ?= $(shell tools/find-python)

.PHONY: setup setup-dev demo down test test-all lint bench clean docs
setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev

$(VENV)/bin/python:
	@tools/system-packages
	$(SYSTEM_PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml tools/envoyapi.py tools/core_schemas.py | $(VENV)/bin/python
	@echo "setting up $(VENV) (about half a minute, the first time only)"
	@test -e $(VENV)/.dev || $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(PY) tools/envoyapi.py
	$(PY) tools/core_schemas.py
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml tools/envoyapi.py tools/core_schemas.py tools/system-packages | $(VENV)/bin/python
	@tools/system-packages dev
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(PY) tools/envoyapi.py --stubs
	$(PY) tools/core_schemas.py
	@touch $@ $(VENV)/.runtime

# PORT_BASE=9080 takes the ports from 9080 on instead of the usual ones
demo: setup
	@$(VENV)/bin/meshwright up --profile demo --detach $(if $(PORT_BASE),--port-base $(PORT_BASE))
	@url=$$($(VENV)/bin/meshwright dashboard) && echo "" && echo "Watch it here; this address logs in:" && echo "  $$url"

down: setup
	$(VENV)/bin/meshwright down --purge

lint: setup-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pyright

test: setup-dev lint
	$(PY) -m pytest tests --ignore tests/slow -n 2 --dist loadfile

test-all: setup-dev
	$(PY) -m pytest tests/slow
	MESHWRIGHT_THOROUGH=1 $(PY) -m pytest --timeout 900 tests/property tests/node/test_convergence.py

bench: setup-dev
	$(PY) -m bench

# the screenshots and the transcript of the READMEs, from a real mesh and a real browser
docs: setup-dev
	$(PY) -m tools.transcript
	$(PY) -m tools.screenshot

clean:
	rm -rf $(VENV) .cache
