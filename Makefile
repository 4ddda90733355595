# Everything runs in .venv, which these targets make. Only Python 3.11+ and make are needed.
# A distribution's Python is built with profile-guided optimisation and serves a fifth more requests a
# core than one built without; where it is too old, or without venv, it is the one on the path.
DISTRIBUTION := /usr/bin/python3
PYTHON ?= $(shell $(DISTRIBUTION) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $(DISTRIBUTION) || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-ui test-real lint types docs bench bench-ui soak clients image screenshots clean help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/pip || { echo "Python: $(PYTHON) (another: make clean, then make PYTHON=…)"; $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[demo,redis,checksums,otel,test]'
	@touch $(STAMP)

demo: $(STAMP) ## identity provider, S3 server, buckets and gateway on loopback
	$(BIN)/gateway demo

test: $(STAMP) ## the tests that need nothing but Python
	$(BIN)/python -m pytest -q -n auto -m 'not real and not ui' --dist loadfile

test-ui: $(STAMP) ## the file browser in Chromium
	$(BIN)/python -m pytest -q -n 2 -m ui tests/ui

test-real: $(STAMP) ## with real servers and clients: nginx, Redis, npm's oidc-provider, rclone …
	$(BIN)/python -m pytest -q -m real

lint: $(STAMP) ## ruff, format and lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

docs: $(STAMP) ## the generated reference pages
	$(BIN)/python docs/generate.py

bench: $(STAMP) ## the gateway beside nginx and a direct connection
	$(BIN)/python -m benchmarks

soak: $(STAMP) ## ten minutes of mixed load with a reload every 20 seconds; every byte compared
	$(BIN)/python -m benchmarks.soak

bench-ui: $(STAMP) ## the file browser's figures in Chromium, beside what each may cost
	$(BIN)/python -m benchmarks.ui

clients: $(STAMP) ## every S3 client against the gateway: the table of docs/clients.md
	$(BIN)/python -m tests.clients

image: ## the container image, by docker or buildah
	@if command -v docker >/dev/null; then docker build --tag s3-auth-gateway .; \
	else buildah bud --format docker --tag s3-auth-gateway .; fi

screenshots: $(STAMP) ## every page, light and dark, wide and narrow, into build/screenshots
	$(BIN)/python -m tests.ui.screenshots

clean: ## all that was made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
