# Everything runs in a virtual environment: VENV=path, else the active one, else .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
ARGS ?=
WORKERS ?= 2
TOXIPROXY_VERSION ?= v2.5.0
COMPILED := streams/plain_events.pyx serving/native_rows.pyx $(wildcard endcap/native_*.pyx endcap/*/native_*.pyx)
SHARED_C := $(wildcard endcap/*/*.pxd)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo up test lint audit bench soak train clean venv

help: ## List every target
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## The whole thing on this machine; ARGS="--exit-when-done --json"
	@$(BIN)/endcap demo $(ARGS)

up: ## All of it by Docker Compose: Kafka, Valkey, endcap, Prometheus, Grafana
	@docker compose -f deploy/compose.yaml up --build --wait

test: lint ## Lint, types, import contracts, then all tests on real servers
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

# mypy and import-linter read folders, not installed mappings: show them the package as it is imported.
lint: $(VENV)/.dev ## ruff, strict mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@rm -rf build/tree && mkdir -p build/tree/endcap
	@ln -s $(CURDIR)/endcap/* build/tree/endcap/
	@for room in client streams serving export pricing assistant marketing deploy; do ln -s $(CURDIR)/$$room build/tree/endcap/$$room; done
	@cd build/tree && PYTHONPATH=. $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml --python-executable $(abspath $(BIN))/python
	@cd build/tree && PYTHONPATH=. $(abspath $(BIN))/lint-imports --config $(CURDIR)/pyproject.toml

# PyPI's advisories are asked for each version; where they are not to be had, that is a failure.
audit: $(VENV)/.dev ## Known flaws of the versions in constraints.txt; asks PyPI's advisories
	@$(INSTALL) pip-audit
	@$(BIN)/pip-audit --strict --no-deps --disable-pip -r constraints.txt || \
		(echo "Either a version above has a known flaw, or PyPI's advisories were not to be had from here." >&2; exit 1)

# The eager model in torch is a baseline: torch is installed for it.
bench: $(VENV)/.train ## Measure anew what docs/performance.md shows, then compare ratios
	@$(BIN)/endcap bench all $(ARGS)
	@$(BIN)/endcap bench guard docs/bench

soak: $(VENV)/.demo $(BIN)/toxiproxy-server ## Hold a load for 20 minutes while parts are killed, frozen, cut off; needs Go
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/endcap bench soak --page docs/reliability.md $(ARGS)

# Of the module itself the binary is called server.
$(BIN)/toxiproxy-server: | $(VENV)/bin/python
	@echo "Building Toxiproxy $(TOXIPROXY_VERSION)" >&2
	@GOBIN=$(abspath $(VENV))/toxiproxy go install github.com/Shopify/toxiproxy/v2/cmd/server@$(TOXIPROXY_VERSION)
	@ln -sf ../toxiproxy/server $@

train: $(VENV)/.train ## Train Complete Journey anew into runs/completejourney
	@$(BIN)/endcap train completejourney $(ARGS)

clean: ## Remove what was built, and .venv; runs/ stays
	@rm -rf build dist *.egg-info streams/*.so serving/*.so endcap/*.so endcap/*/*.so $(COMPILED:.pyx=.c) .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache

venv: $(VENV)/bin/python ## Make the virtual environment, empty

$(VENV)/bin/python:
	@echo "Making the virtual environment $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV) >&2

# Installers talk on stderr, so that the output of `make demo ARGS=--json` stays one object.
$(VENV)/.demo: pyproject.toml constraints.txt $(COMPILED) $(SHARED_C) | $(VENV)/bin/python
	@echo "Installing endcap[demo] into $(VENV)" >&2
	@$(INSTALL) -e ".[demo]" >&2
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(COMPILED) $(SHARED_C) | $(VENV)/bin/python
	@echo "Installing endcap[dev] into $(VENV): torch is large, this takes minutes" >&2
	@$(INSTALL) -e ".[dev]" >&2
	@touch $@ $(VENV)/.demo $(VENV)/.train

$(VENV)/.train: pyproject.toml constraints.txt $(COMPILED) $(SHARED_C) | $(VENV)/bin/python
	@echo "Installing endcap[export,demo] into $(VENV): torch is large, this takes minutes" >&2
	@$(INSTALL) -e ".[export,demo]" >&2
	@touch $@ $(VENV)/.demo
