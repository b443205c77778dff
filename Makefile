# The only door: CI runs what a person runs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROTOS := $(sort $(wildcard protos/specsched/v1/*.proto))
RELEASED := released.binpb

export OMP_WAIT_POLICY := passive
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo serve test test-full check proto bench bench-quick release-image clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install what requirements.lock pins

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' requirements.lock)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Start the service, send prompts of every class, print what was chosen and what it brought
	$(BIN)/python -m specsched demo

serve: $(STAMP) ## Run the service with the built-in default (Ctrl-C ends it)
	$(BIN)/python -m specsched serve

test: $(STAMP) ## Run the tests that are quick
	$(BIN)/python -m pytest -q -m "not slow and not gpu"

test-full: $(STAMP) ## Run all tests, at length
	$(BIN)/python -m pytest -q

check: $(STAMP) ## Lint, types, layers, contract, generated code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && buf lint && buf format --diff --exit-code && buf breaking --against $(RELEASED)
	@$(MAKE) --no-print-directory OUT=$$(mktemp -d) stubs-fresh

.PHONY: stubs stubs-fresh
stubs:
	$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=$(OUT) --grpc_python_out=$(OUT) \
		--mypy_out=quiet:$(OUT) --mypy_grpc_out=quiet:$(OUT) $(PROTOS)

stubs-fresh: stubs
	@diff -r --exclude=__pycache__ --exclude=__init__.py $(OUT)/specsched/v1 specsched/v1 \
		&& rm -r $(OUT) && echo "generated stubs are up to date" || { echo "run 'make proto'"; exit 1; }

proto: $(STAMP) ## Generate specsched/v1 from protos/
	@$(MAKE) --no-print-directory OUT=. stubs

release-image: $(STAMP) ## At a release: keep the contract that later ones must not break
	cd protos && buf build -o $(RELEASED)

bench: $(STAMP) ## Measure everything that the issues ask for (long)
	$(BIN)/python -m specsched bench all

bench-quick: $(STAMP) ## The same in under ten minutes
	$(BIN)/python -m specsched bench all --quick

clean: ## Remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
