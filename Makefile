# Invoice OS. `make help` names every target; each installs what it needs first.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
LOCAL := $(BIN)/python -m invoiceos_local
# Some machines forbid it; then each process would compile every module anew (a minute of `make test`).
export PYTHONDONTWRITEBYTECODE :=
SOURCES := contracts libs services deploy/local tests

# One file says that the environment is as the lock file wants it.
.venv/.synced: uv.lock pyproject.toml contracts/pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml deploy/local/pyproject.toml)
	@test -x $(UV) || { echo "setting up .venv (once, about a minute) ..."; \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=..."; exit 1; }; \
		$(PYTHON) -m venv .venv && $(BIN)/pip install -q --disable-pip-version-check "$$(sed -n 's/.*\(uv==[0-9.]*\).*/\1/p' pyproject.toml)"; }
	@$(UV) sync -q --frozen --all-packages --python $(BIN)/python
	@touch $@

.PHONY: help install
help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

install: .venv/.synced ## set up the environment from the lock file

.PHONY: up down logs demo seed
up: install ## start everything on this machine; returns when all is healthy
	@$(LOCAL) up

down: ## stop everything and leave nothing running
	@test ! -x $(BIN)/python || $(LOCAL) down

logs: install ## follow the logs of all services, merged and coloured
	@$(LOCAL) logs

demo: up ## issue, pay, book, announce and destroy: each event as it happens
	@$(LOCAL) demo

# Each takes a platform of its own and minutes: a broker with logins, a database restored from its backup.
DRILLS := tests/kafka_security tests/restore

.PHONY: test drills lint check fix contracts
test: install ## pass the tests (real broker, database and chain)
	@$(BIN)/python -m pytest -q -n 2 $(or $(TESTS),$(DRILLS:%=--ignore=%))

drills: install ## the tests that take a whole platform: Kafka with logins, restoring from a backup
	@$(BIN)/python -m pytest -q -n 2 $(DRILLS)

lint: install ## style, types, import directions, manifests: what needs no test
	@$(BIN)/ruff check -q $(SOURCES)
	@$(BIN)/ruff format -q --check $(SOURCES)
	@$(BIN)/mypy contracts/src libs/*/src services/*/src deploy/local/src
	@$(BIN)/lint-imports --config pyproject.toml | tail -n 12
	@$(BIN)/python k8s/validate.py

check: lint ## that, and the tests of architecture and contracts; fast enough for each commit
	@$(BIN)/python -m pytest -q -p no:testkit.plugin -n 2 tests/architecture tests/contracts

fix: install ## mend style as far as tools can
	@$(BIN)/ruff check -q --fix $(SOURCES) || true
	@$(BIN)/ruff format -q $(SOURCES)

contracts: install ## write schemas, AsyncAPI, OpenAPI; refuses a breaking change
	@$(BIN)/invoiceos contracts | wc -l | xargs -I{} echo "{} documents written under contracts/"

.PHONY: migrate bench new-service new-adr clean lock
migrate: install ## migrate the running stack's databases
	@$(LOCAL) migrate

bench: install ## measure; writes a table and .local/bench.json
	@$(BIN)/python -m tests.load $(BENCH)

.PHONY: bench-ledger
bench-ledger: install ## what tenants post, beside the yardstick, as tables grow; BENCH="--grow-to 1000000"
	@$(BIN)/python -m tests.load.ledger_posting $(BENCH)

.PHONY: audit torture simulate mutations models
audit: install ## look at every invariant of the running stack
	@$(LOCAL) audit

torture: install ## real faults on real processes under load; TORTURE="--minutes 30 --seed 7"
	@$(BIN)/python -m tests.torture $(or $(TORTURE),--short)

simulate: install ## the platform in virtual time, faults chosen by the seed; SEEDS=1-1000
	@$(BIN)/python -m tests.simulator --seeds $(or $(SEEDS),1-100)

mutations: install ## plant faults in the code and see that the tests notice each
	@$(BIN)/python -m tests.mutations $(MUTATIONS)

models: install ## check the three Spin models and their known-bad variants
	@$(BIN)/python -m tests.models

new-service: install ## make a service: NAME=fx-quotes
	@$(BIN)/python deploy/scaffold.py service "$(NAME)"

new-adr: install ## begin a decision record: TITLE="..."
	@$(BIN)/python deploy/scaffold.py adr "$(TITLE)"

lock: ## resolve the versions anew
	@$(UV) lock

clean: down ## remove what was built and the local data
	@rm -rf .local .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache
