# Every target sets up what it needs: one virtual environment, .venv, from requirements.txt.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# The list is complete and pinned: nothing to resolve, and only what is imported gets compiled.
PIP := $(BIN)/python -m pip --disable-pip-version-check
SAMPLE := data/sample
CUSTOMERS ?= 20000
JOBS ?= 2
# The part of JupyterLab that asks the network for news and updates.
NEWS := @jupyterlab/apputils-extension:announcements
export CJKIT_REAL_DATA ?= $(abspath ../shared/data)
export PYTHONUTF8 := 1

# Every notebook and command line is a process: what they import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup sample report lab workshop test test-long check lint bench clean

help:  ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: .venv/ready  ## Make the virtual environment with every package pinned

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cjkit needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo "setup: installing into .venv"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --quiet --no-deps --no-compile -r requirements.txt
	@$(PIP) install --quiet --no-deps --editable .
	@$(BIN)/jupyter labextension disable $(NEWS) 2>/dev/null
	@touch $@

# A sample of an older version would lack what today's notebooks read.
$(SAMPLE)/exports/.complete: $(wildcard cjkit/synthetic/*) | .venv/ready
	@$(MAKE) --no-print-directory sample

sample: .venv/ready  ## Write the exports of the sample company (CUSTOMERS=20000)
	@$(BIN)/python -m cjkit sample $(SAMPLE) --customers $(CUSTOMERS)
	@touch $(SAMPLE)/exports/.complete

report: $(SAMPLE)/exports/.complete  ## Run all notebooks on the sample company and print the report's path
	@$(BIN)/python -m cjkit report $(SAMPLE)/journey.toml --jobs $(JOBS)

workshop: .venv/ready  ## Write the half-day course with its own small company, and open it in JupyterLab
	@$(BIN)/python -m cjkit workshop notebooks/workshop
	@$(BIN)/jupyter lab --notebook-dir=. notebooks/workshop

lab: $(SAMPLE)/exports/.complete  ## Open the notebooks in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=. notebooks

lint: .venv/ready
	@echo "lint: ruff"; $(BIN)/ruff check . && $(BIN)/ruff format --check --quiet .
	@echo "lint: types"; $(BIN)/mypy --num-workers $(JOBS)
	@echo "lint: floors"; $(BIN)/lint-imports --no-cache
	@echo "lint: notebooks without outputs"; $(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb \
		cjkit/workshop/chapters/*.ipynb

check: lint  ## Lint, types, floors and the fast tests: the inner loop
	@$(BIN)/python -m pytest -q -m "not slow and not long" -n $(JOBS)

test: lint  ## Everything: lint, types, floors, tests, doctests, notebooks by nbval
	@echo "test: tests, doctests and notebooks"
	@$(BIN)/python -m pytest -m "not long" -n $(JOBS)

test-long: $(SAMPLE)/exports/.complete  ## The full counts of long tests, and figures in benchmarks/results
	@$(BIN)/python -m pytest -m long
	@$(BIN)/python -m pytest -o addopts= -o filterwarnings= --nbval-lax --nbval-current-env notebooks
	@$(BIN)/python benchmarks/run.py

bench: .venv/ready  ## Time and memory of the heavy parts, into benchmarks/results
	@$(BIN)/python benchmarks/run.py

clean:  ## Remove what was made, but not the environment
	rm -rf $(SAMPLE)/exports $(SAMPLE)/truth $(SAMPLE)/.cjkit data/recipes/.cjkit reports/*/
