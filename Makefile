# Everything a newcomer types. Each target does its own set-up: a virtual environment in .venv, installed from the
# lock file with hashes, renewed only when the lock changed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test check bench fuzz chaos replicas bridge rotation lock pages protos setup system clean

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAMP := $(VENV)/installed.stamp
DATA ?= .sealane
# A user's own pip and Python settings (user = true, target = …, PYTHONPATH) must not steer this environment: of pip's
# configuration only the way to the package index is kept, and handed to uv as well. Bytecode is kept whatever the user
# says: without it every process of the tests compiles all that it imports, which is half of their time.
CLEAN := env -u PYTHONDONTWRITEBYTECODE -u PYTHONPATH -u PYTHONHOME -u PIP_TARGET -u PIP_PREFIX -u PIP_ROOT \
	-u PIP_REQUIREMENT -u PIP_CONSTRAINT \
	-u PIP_NO_BINARY -u PIP_ONLY_BINARY -u PIP_USER -u PIP_REQUIRE_VIRTUALENV -u UV_PROJECT_ENVIRONMENT -u UV_TARGET \
	-u UV_PREFIX -u UV_SYSTEM_PYTHON -u UV_CONSTRAINT -u UV_OVERRIDE -u VIRTUAL_ENV PIP_DISABLE_PIP_VERSION_CHECK=1
KEPT := index-url|extra-index-url|find-links|cert|client-cert|trusted-host|proxy|timeout|retries
PIP := mapfile -t network < <($(BIN)/python -m pip config list 2>/dev/null \
	| sed -nE "s/^(global|install)\.($(KEPT))='(.*)'\$$/\2 \3/; T; s/\\\\n/ /g; p" \
	| while read -r key value; do key=$${key//-/_}; echo "PIP_$${key^^}=$$value"; done); \
	$(CLEAN) "$${network[@]}" PIP_CONFIG_FILE=/dev/null $(BIN)/python -m pip install --quiet --no-user
UV := $(CLEAN) $${PIP_INDEX_URL:+UV_DEFAULT_INDEX=$$PIP_INDEX_URL} $(BIN)/uv pip
COMPILE := $(UV) compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" --quiet
PYTEST := $(CLEAN) PATH="$(BIN):$$PATH" $(BIN)/python -m pytest

help:  ## Say what can be typed.
	@echo "sealane: make TARGET"
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## (.*)/  \1\t\2/' | expand -t 12

run: $(STAMP)  ## Start the world in a box and play the stories; stays until Ctrl-C (ONCE=1: plays them and exits).
	@PATH="$(BIN):$$PATH" $(BIN)/sealane demo $(if $(ONCE),--once) --data "$(DATA)"

test: $(STAMP) system  ## Run all tests; each skipped one is printed with its reason (CI=true: a skip is a failure).
	@$(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder --ignore=tests/bench $(ARGS)

check: $(STAMP)  ## Run the static checks: format, lint, types, floors, spelling.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: $(STAMP)  ## Measure against the bars of the design; prints a table and writes bench-results.json.
	@PATH="$(BIN):$$PATH" $(BIN)/python -m tests.bench $(ARGS)

fuzz: $(STAMP)  ## Bring what nobody means to the doors, 1,000 examples of each kind; prints what was answered.
	@$(PYTEST) -s -rN --examples 1000 --timeout 1800 tests/gateway tests/bridge -k "fuzz or whatever or no_message" $(ARGS)

chaos: $(STAMP)  ## Kill the worker and the server while 8,000 events run; prints what was lost and doubled.
	@PATH="$(BIN):$$PATH" $(BIN)/python -m tests.bench.chaos $(ARGS)

replicas: $(STAMP)  ## Attest 300 images three times over with three workers that are killed and paused; counts attestations.
	@PATH="$(BIN):$$PATH" $(BIN)/python -m tests.bench.replicas $(ARGS)

bridge: $(STAMP)  ## Carry 100,000 messages from Google's Pub/Sub emulator while bridge and bus are killed; counts events.
	@PATH="$(BIN):$$PATH" $(BIN)/python -m tests.bench.bridge $(ARGS)

rotation: $(STAMP)  ## Rotate the signing key of 200 images while the workers are killed; counts and verifies attestations.
	@PATH="$(BIN):$$PATH" $(BIN)/python -m tests.bench.rotation $(ARGS)

lock: $(STAMP)  ## Renew the lock files (all, what builds, and that of a worker image).
	@$(COMPILE) --upgrade pyproject.toml --extra local --group dev -o requirements.lock
	@$(COMPILE) --upgrade --group install --constraint requirements.lock -o requirements-build.lock
	@$(COMPILE) --upgrade pyproject.toml --extra worker --constraint requirements.lock -o requirements-worker.lock
	@sed -i 's|-c $(CURDIR)/||' requirements*.lock

pages: $(STAMP)  ## Write anew the pages that are made from the code: README's table, settings, catalogue.
	@$(BIN)/python -m workers.commands.readme
	@$(BIN)/sealane settings --markdown >deploy/SETTINGS.md
	@$(BIN)/sealane schema export --format markdown >schemas/CATALOGUE.md

protos: $(STAMP)  ## Write anew the code of the gRPC services, made from proto/.
	@$(BIN)/python -m workers.commands.protos

setup: $(STAMP)  ## Make or renew the virtual environment.

$(STAMP): requirements.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "sealane needs Python 3.11 or newer: $(PYTHON) is older. Say which to use: make PYTHON=python3.12 …" >&2; exit 1; }
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "making the virtual environment in $(VENV)"; $(CLEAN) $(PYTHON) -m venv $(VENV); fi
	@if ! cmp -s requirements-build.lock $(VENV)/build.lock; then \
	  $(PIP) --require-hashes -r requirements-build.lock && cp requirements-build.lock $(VENV)/build.lock; fi
	@echo "installing what requirements.lock names"
	@$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  || { echo "uv could not install; trying pip"; $(PIP) --require-hashes -r requirements.lock; }
	@$(PIP) --no-deps --no-build-isolation --no-index -e .
	@touch $@

system:
	@tests/install-system-packages

clean:  ## Remove what was made here: the environment, caches and the local world's data.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .sealane
