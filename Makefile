# make demo   set up, simulate three runs, process them, draw; again: nothing is computed twice (FAMILY=events: of event streams)
# make test   set up, run the tests
# make check  formatter, linter, types, import contracts
# make docs   build the documentation into site/
# make bench FAMILY=tpc   side-by-side figures against the peers (make peers sets those up)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
FAMILY ?= tpc
SET ?=
PYTEST ?= $(BIN)/python -m pytest
JOBS ?= 2

export PREFECT_SERVER_ANALYTICS_ENABLED = false
export DO_NOT_TRACK = 1

.PHONY: setup setup-dev demo test test-slow check docs bench peers screenshots notebook clean

setup: $(VENV)/.base

setup-dev: $(VENV)/.dev

$(VENV)/.base: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: setup
	@$(BIN)/penstock demo $(FAMILY) $(foreach item,$(SET),--set $(item))

test: setup-dev
	$(PYTEST) -n $(JOBS) --dist loadgroup --durations=25 -m "not slow and not gpu"

test-slow: setup-dev
	$(PYTEST) -m "slow"

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/penstock stages check

docs: setup-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: setup-dev
	@$(BIN)/python benchmarks/$(FAMILY).py

peers:
	benchmarks/peers/setup.sh

screenshots: setup-dev
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf demo demo-* site build dist
