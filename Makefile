# `make help` prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo

SECONDS ?= 60

.PHONY: help demo test test-workspace test-e2e fuzz lint fmt bench bench-detect docs

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile

demo: ## Build the command, put the quickstart app online on this machine, show what it answers, clean up
	$(CARGO) build --locked -p devopser
	examples/quickstart/demo.sh

test: test-workspace test-e2e ## Everything: unit and integration tests, then the end-to-end tests

test-workspace: ## Unit, integration and documentation tests of all crates
	$(CARGO) test --locked --workspace

test-e2e: ## The end-to-end tests on the Docker engine (DEVOPSER_E2E_APPS=express,flask takes just these)
	$(CARGO) test --locked --workspace --features devopser/e2e --test e2e -- --nocapture --test-threads=1

fuzz: ## File trees out of arbitrary bytes, through everything that reads them (SECONDS=60, FUZZ=-seed=1)
	fuzz/run.sh $(SECONDS) $(FUZZ)

lint: ## What CI checks before it tests: format and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --features devopser/e2e -- -D warnings

fmt: ## Format the sources
	$(CARGO) fmt --all

bench: ## `up` against docker-compose; needs a Docker engine and docker-compose
	$(CARGO) build --locked --release -p devopser
	benches/compose/run.sh

bench-detect: ## Detection against its peers: accuracy and speed (LABELS=labels.jsonl FOLDER=folders for your own labels)
	benches/detect/run.sh $(LABELS) $(FOLDER)

docs: ## The API documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
