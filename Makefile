# Two commands: `make up` shows riskloop at work on an example, `make test` proves it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: up setup develop test test-fast soak check format bench lock publish clean

up: setup
	@exec $(BIN)/riskloop up $(ARGS)

setup: .venv/.run
develop: .venv/.develop

.venv/.run: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.develop: .venv/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

# What a stranger gets: the newest of everything the pins allow, and our wheel.
.cache/plain/.installed: pyproject.toml prefect.yaml $(shell find src flows tasks deployments -name '*.py' -o -name '*.yaml' -o -name '*.mako')
	rm -rf .cache/plain build
	$(PYTHON) -m venv .cache/plain
	.cache/plain/bin/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

test: develop .cache/plain/.installed
	$(BIN)/pytest -m "not soak" $(ARGS)

test-fast: develop
	$(BIN)/pytest -n auto -m "not soak and not server" $(ARGS)

soak: develop
	$(BIN)/pytest -m soak --timeout 3600 $(ARGS)

check: develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m riskloop.publishing --check

format: develop
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

publish: develop
	$(BIN)/python -m riskloop.publishing

bench: develop
	$(BIN)/python benchmarks/run.py

lock: develop
	$(BIN)/uv pip compile pyproject.toml --group build $(COMPILE) -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev $(COMPILE) -c requirements.lock -o requirements-dev.lock
COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-annotate --custom-compile-command "make lock"

clean:
	rm -rf .venv .cache .riskloop build dist
