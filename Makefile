# make demo   set up, simulate three runs, process them, draw; again: nothing is computed twice (FAMILY=events: of event streams)
# make test   set up, run the tests
# make check  formatter, linter, types, import contracts
# make images [IMAGES="tpc flows"], make containers-test   build the container images; run them (Docker or podman)
# make docs   build the documentation into site/
# make bench FAMILY=tpc   side-by-side figures against the peers (make peers sets those up)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
FAMILY ?= tpc
SET ?=
IMAGES ?=
PYTEST ?= $(BIN)/python -m pytest
JOBS ?= 2
SYSTEM ?= postgresql

export PREFECT_SERVER_ANALYTICS_ENABLED = false
export DO_NOT_TRACK = 1

.PHONY: setup setup-dev system demo test test-slow images containers-test check docs bench peers screenshots clean

setup: $(VENV)/.base

setup-dev: $(VENV)/.dev

$(VENV)/.base: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,dev]"
	@touch $@

demo: setup
	@$(BIN)/penstock demo $(FAMILY) $(foreach item,$(SET),--set $(item))

# Programs that tests start for real, from Debian's packages where they can be installed; without them these tests skip.
system: $(VENV)/.system

$(VENV)/.system: $(VENV)/.base
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && [ -z "$$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ]; then \
	  mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf && \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $(SYSTEM) >/dev/null; fi
	@touch $@

test: setup-dev system
	$(PYTEST) -n $(JOBS) --dist loadgroup --durations=25 -m "not slow and not gpu and not containers"

test-slow: setup-dev system
	$(PYTEST) -m "slow"

images:
	containers/build.sh $(IMAGES)

containers-test: setup-dev
	containers/build.sh tpc events flows gpu-cpu
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docker]"
	CONTAINER_IMAGES=built $(PYTEST) -m containers tests/containers

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
