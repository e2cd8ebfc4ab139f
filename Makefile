# `make help` lists the targets. Everything happens in .venv; nothing else on the machine is changed.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help

.PHONY: help install run check test drills lint format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv with the gateway, the embedded PostgreSQL and the test tools

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo "make: Python 3.11 or later is needed; name it with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "make: this Python cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,dev]'
	@touch $@

run: $(STAMP) ## start the gateway in the foreground on port 11111, with files in ./data and a private database
	@mkdir -p data
	@CHRIS_DB_CONNECTION="$${CHRIS_DB_CONNECTION:-embedded}" CHRIS_FILES_ROOT="$${CHRIS_FILES_ROOT:-./data}" \
	    exec $(VENV)/bin/oxidicom

check: $(STAMP) ## check the configuration of `make run` and what it points at
	@mkdir -p data
	@CHRIS_DB_CONNECTION="$${CHRIS_DB_CONNECTION:-embedded}" CHRIS_FILES_ROOT="$${CHRIS_FILES_ROOT:-./data}" \
	    $(VENV)/bin/oxidicom check

test: $(STAMP) ## run all tests; those that need a missing program are skipped and say how to get it
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

drills: $(STAMP) ## break a gateway in every way we know, at full length; docs/failure-modes.md tells what they show
	$(VENV)/bin/python -m pytest tests/acceptance/drills --long -v -rs -o console_output_style=count $(PYTEST_ARGS)

lint: $(STAMP) ## ruff and mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(STAMP) ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

clean: ## remove what the tools left; .venv and ./data stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	find oxidicom workers tests -name __pycache__ -type d -prune -exec rm -rf {} +
