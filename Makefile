# One command each; everything they need beyond Python >= 3.11, pip, make and git is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 3000
ROUNDS ?= 5
ONLY ?=
AGAINST ?=

# Where a shell sets it, every command compiles our modules again, and pytest rewrites every test module again.
unexport PYTHONDONTWRITEBYTECODE

# Dagster's records of the sandbox lie apart from those of an account: a day of one is not a day of the other.
ACCOUNT_HOME := $(CURDIR)/.dagster_home
SANDBOX_HOME := $(CURDIR)/.dagster_home/sandbox
DAGSTER_YAML := ticket_events_pipeline/cli/templates/dagster.yaml

# As Dagster reads it: a line of .env overrides the environment.
DOTENV_SANDBOX := $(shell sed -n 's/^[[:space:]]*\(export[[:space:]]*\)\{0,1\}ZENDESK_SANDBOX[[:space:]]*=[[:space:]]*["'\'']\{0,1\}\([A-Za-z0-9]*\).*/=\2/p' .env 2>/dev/null | tail -n 1)
IS_SANDBOX := $(filter 1 true True TRUE yes Yes YES on On ON,$(if $(DOTENV_SANDBOX),$(patsubst =%,%,$(DOTENV_SANDBOX)),$(ZENDESK_SANDBOX)))

# A dagster.yaml that is there already is the user's.
define make_home
mkdir -p -m 700 "$(ACCOUNT_HOME)" "$$DAGSTER_HOME"; \
if [ ! -e "$$DAGSTER_HOME/dagster.yaml" ]; then cp $(DAGSTER_YAML) "$$DAGSTER_HOME/dagster.yaml"; \
elif ! cmp -s $(DAGSTER_YAML) "$$DAGSTER_HOME/dagster.yaml"; then \
  echo "note: $$DAGSTER_HOME/dagster.yaml is kept; it differs from the shipped $(DAGSTER_YAML). Compare them with diff." >&2; \
fi
endef

# Held by the process that takes the shell's place, for as long as it lives; where there is no flock (macOS), only the port tells.
define refuse_second_dev
if $(BIN)/python -c 'import socket, sys; sys.exit(socket.socket().connect_ex(("127.0.0.1", $(PORT))))'; then \
  echo "Port $(PORT) is in use: by another make dev? Open http://127.0.0.1:$(PORT), or choose another port: PORT=3001 make dev" >&2; exit 1; \
fi; \
exec 9> "$$DAGSTER_HOME/dev.lock"; \
if command -v flock > /dev/null && ! flock --nonblock 9; then \
  echo "Another make dev is running with $$DAGSTER_HOME. Use that one, or end it first." >&2; exit 1; \
fi
endef

.PHONY: azurite bench dbt-sources demo dev docs fleet-simulation readers test test-unit test-slow lint lint-deploy clean

demo: export DAGSTER_HOME := $(SANDBOX_HOME)
demo: .venv/.installed
	@$(make_home)
	$(BIN)/ticket-events demo

dev: export DAGSTER_HOME := $(if $(IS_SANDBOX),$(SANDBOX_HOME),$(ACCOUNT_HOME))
dev: .venv/.installed
	@$(make_home)
	@$(refuse_second_dev); exec $(BIN)/dg dev --workspace workspace.yaml --port $(PORT)

test: lint lint-deploy azurite
	$(BIN)/pytest -n 2 --dist worksteal -q --durations 25 --durations-min 5

test-unit: .venv/.installed-dev
	$(BIN)/pytest -n 2 --dist worksteal -q -m "not slow and not hypothesis" ticket_events_pipeline_tests/unit

test-slow: .venv/.installed-dev .venv-readers/.installed azurite
	$(BIN)/pytest -m slow -n 2 --dist worksteal --timeout 1200 -q --durations 40 --durations-min 20

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Spelling only: what no test can run is in deploy/compose/README.md and deploy/helm/README.md.
lint-deploy: .venv/.installed-dev
	$(BIN)/yamllint --strict deploy
	$(BIN)/hadolint deploy/compose/Dockerfile
	$(BIN)/shellcheck .ci/run deploy/compose/with-secrets deploy/compose/make-secrets
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
	$(BIN)/check-jsonschema --schemafile deploy/helm/values.schema.yaml deploy/helm/values.yaml
	$(BIN)/kubernetes-validate --strict --quiet deploy/helm/secrets.example.yaml

bench: .venv/.installed-dev
	$(BIN)/python benchmarks/bench.py --rounds $(ROUNDS) --only '$(ONLY)' --against '$(AGAINST)'

fleet-simulation: .venv/.installed-dev
	$(BIN)/python benchmarks/fleet_simulation.py --write

dbt-sources: .venv/.installed-dev
	$(BIN)/python dbt/make_sources.py

readers: .venv/.installed-dev .venv-readers/.installed
	$(BIN)/python -m ticket_events_pipeline_tests.readers.page

docs: .venv/.installed-dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .venv-readers .azurite .dagster_home site

.venv/bin/python:
	# A newer pip than Python brings: it resolves the dependencies in a third of the time.
	$(PYTHON) -m venv --upgrade-deps .venv

.venv/.installed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# What reads the stored files in the slow tests, apart from .venv: each reader wants versions of its own.
.venv-readers/.installed: ticket_events_pipeline_tests/readers.txt ticket_events_pipeline_tests/readers-spark.txt
	$(PYTHON) -m venv --upgrade-deps .venv-readers
	# Without compiling: most of their modules are never imported.
	.venv-readers/bin/pip install --no-compile --quiet --disable-pip-version-check --requirement ticket_events_pipeline_tests/readers.txt
	if command -v java > /dev/null; then .venv-readers/bin/pip install --no-compile --quiet --disable-pip-version-check --requirement ticket_events_pipeline_tests/readers-spark.txt; fi
	touch $@

# Azure's emulator, which needs Node: 3.35 is the last version for Node 20. Without it, tests that use it are skipped; in CI they fail.
azurite: $(if $(shell command -v npm),.azurite/.installed)

.azurite/.installed: ticket_events_pipeline_tests/azurite.txt
	npm install --prefix .azurite --no-audit --no-fund --no-update-notifier --ignore-scripts --loglevel error $$(cat $<) && touch $@ \
	  || echo "Azurite can't be installed: the tests that use it are skipped, or fail in CI." >&2
