# One command each; everything they need beyond Python >= 3.11, pip, make and git is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 3000
ROUNDS ?= 5
ONLY ?=
export DAGSTER_HOME := $(CURDIR)/.dagster_home

.PHONY: bench demo dev docs test test-unit test-slow lint clean

demo: .venv/.installed .dagster_home/dagster.yaml
	$(BIN)/ticket-events demo

dev: .venv/.installed .dagster_home/dagster.yaml
	$(BIN)/dagster dev --workspace workspace.yaml --port $(PORT)

test: lint
	$(BIN)/pytest -n 2 --dist worksteal -q

test-unit: .venv/.installed-dev
	$(BIN)/pytest -n 2 --dist worksteal -q -m "not slow and not hypothesis" ticket_events_pipeline_tests/unit

test-slow: .venv/.installed-dev
	$(BIN)/pytest -m slow -n 2 --dist worksteal --timeout 1200 -q

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: .venv/.installed-dev
	$(BIN)/python benchmarks/bench.py --rounds $(ROUNDS) --only '$(ONLY)'

docs: .venv/.installed-dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .dagster_home site

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.dagster_home/dagster.yaml: dagster.yaml
	mkdir -p -m 700 $(@D)
	cp $< $@
