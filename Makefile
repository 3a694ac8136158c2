# `make demo` sets up and runs the main job; `make check` sets up and runs every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
READY := $(VENV)/.ready

.PHONY: demo check format lint types layers test constraints clean

demo: $(RUNS)
	$(BIN)/bulk-transcribe demo

check: lint types layers test

$(RUNS): pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $(RUNS)

$(READY): $(RUNS)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

test: $(READY)
	$(BIN)/pytest -n 2

# The versions that were tested together, without addresses; needs uv.
constraints:
	uv pip compile --quiet --universal --all-extras --no-header --no-annotate pyproject.toml -o constraints.txt

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
