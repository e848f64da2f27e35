# The commands of this project. `make` alone lists them. PYTHON names another interpreter: make run PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test fuzz bench soak screenshots clean
.DELETE_ON_ERROR:

help:
	@echo "make run    start the gateway with its sandbox; it prints how to send a first message"
	@echo "make test   check style and types, then run all tests"
	@echo "make fuzz   feed 1,500,000 mutated inputs to everything that reads octets"
	@echo "make soak   kill the gateway 1,000 times, and break sessions off at every octet; make test does a sample"
	@echo "make bench  measure"
	@echo "make screenshots  make the pictures of the README anew, with Debian's Chromium"
	@echo "make clean  remove what the other commands made here"

run: $(VENV)/.installed
	@exec $(VENV)/bin/twistd -n --pidfile= mailgateway

# pytest is last, so that its closing line is the last line.
test: $(VENV)/.installed-for-tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	@$(VENV)/bin/python -m pytest

# What it found, and how to let coverage guide it: docs/FUZZING.md.
fuzz: $(VENV)/.installed-for-tests
	@$(VENV)/bin/python -m tests.fuzz.run

soak: $(VENV)/.installed-for-tests
	@MAILGATEWAY_SOAK=long $(VENV)/bin/python -m pytest tests/faults

bench: $(VENV)/.installed
	@$(VENV)/bin/python benchmarks/run.py

# They are in git; whoever changes a page that they show makes them anew and looks at them.
screenshots: $(VENV)/.installed-for-tests
	@$(VENV)/bin/python -m tests.console.screenshots

clean:
	rm -rf $(VENV) .test-clients build dist mailgateway.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find gateway twisted tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache

# compat mode puts this folder itself on Python's path; without it Twisted does not find twisted/plugins/.
$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) install --config-settings editable_mode=compat -e .
	@touch $@

$(VENV)/.installed-for-tests: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) install --config-settings editable_mode=compat -e '.[test]'
	@touch $@ $(VENV)/.installed

# A half-made environment would look finished, so it is removed when making it fails.
$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "No $(PYTHON) here. On Debian: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python %d.%d is too old: 3.11 or newer is \
needed. Debian 12 and later have it as python3; for another one: make PYTHON=python3.11" % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) cannot make a virtual environment. On Debian: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
