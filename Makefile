# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test check demo bench bench-extraction lock clean servers stop-servers

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "memgrid needs Python 3.11 or later; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

install: $(STAMP) ## install what is missing into .venv

run: $(STAMP) ## start memgrid on the embedded default
	$(BIN)/memgrid serve

servers: $(STAMP) ## start Cassandra and OpenSearch, and print how memgrid uses them (needs Java and Maven)
	@$(BIN)/python -m tests.servers start $(SERVERS_ARGS)

stop-servers: $(STAMP) ## stop them; their data stay
	@$(BIN)/python -m tests.servers stop

test: $(STAMP) ## all the tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(STAMP) ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

demo: $(STAMP) ## a conversation in, memories out, against a running memgrid
	$(BIN)/python -m benchmarks.demo

bench: $(STAMP) ## speed against the limits, measured in the same run
	$(BIN)/python -m benchmarks.http $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.activation

bench-extraction: $(STAMP) ## what extraction makes of labelled dialogues; brings a small model of 290 MB
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.lock
	$(BIN)/python -m benchmarks.extraction $(BENCH_ARGS)

lock: ## pin versions and hashes anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes \
		--group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes \
		--group pyproject.toml:bench -o benchmarks/requirements.lock

clean: ## remove what make has installed
	rm -rf $(VENV)
