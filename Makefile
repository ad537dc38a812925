# `make` alone prints what can be done; `run` and `test` set up what they need.
# A fresh machine has python3 (3.11 or newer), pip and make; the rest comes here.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Without compiled modules each of the many processes takes a second longer to start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PYTHON := $(BIN)/python
PYPROJECTS := pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
PACKAGES := $(patsubst %/py.typed,%,$(wildcard libs/*/*/py.typed services/*/*/py.typed))

.PHONY: help setup run test check fix accidents fuzz chaos mutations crash-sweep power-loss bench lock asyncapi life reliability env-example \
	contracts-snapshot isolated clean

help: ## Print this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | \
		awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

setup: .venv/ready ## Install everything needed into .tools and .venv; find a browser
	@$(PYTHON) deploy/tools/browser.py --again

run: .venv/browser ## Show the gateway at work, on a simulated site
	@$(BIN)/jimeng demo

test: .venv/browser .tools/oidc-provider/ready ## Run the tests
	@$(PYTHON) -m pytest

check: .venv/ready ## Format, lint, types, layers, dependencies, boundaries
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy $(PACKAGES)
	@$(BIN)/lint-imports
	@$(PYTHON) deploy/tools/declared.py
	@$(PYTHON) deploy/tools/boundaries.py

isolated: .venv/ready ## Import each package with its declared dependencies alone
	@$(PYTHON) deploy/tools/declared.py --isolated

fix: .venv/ready ## Format, and mend what can be mended by itself
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

accidents: .venv/browser ## Run the tests that take long: full disk, planted secrets
	@$(PYTHON) -m pytest -m slow -n 2

chaos: .venv/browser ## Storm it: TASKS=60 KILLS=20 SEED=7 SPEED=10
	@PYTHONPATH=tests $(PYTHON) -m chaos --tasks $(or $(TASKS),60) \
		--kills $(or $(KILLS),20) --seed $(or $(SEED),7) --speed $(or $(SPEED),10) \
		$(CHAOS)

crash-sweep: .venv/browser ## Kill every service at each boundary: EVERY=25 SEED=3
	@PYTHONPATH=tests $(PYTHON) -m crash_sweep --every $(or $(EVERY),1) \
		--seed $(or $(SEED),1) $(SWEEP)

power-loss: .venv/ready ## Cut its power again and again: CUTS=50 SEED=1
	@PYTHONPATH=tests $(PYTHON) -m power_loss --cuts $(or $(CUTS),50) \
		--seed $(or $(SEED),1)

mutations: .venv/browser ## See that a storm notices when a guard is taken out
	@PYTHONPATH=tests $(PYTHON) -m chaos.mutations $(MUTATIONS)

fuzz: .venv/ready ## Ask the API all that its document allows, and more: CASES=5000 SEED=1
	@PYTHONPATH=tests $(PYTHON) -m fuzz --cases $(or $(CASES),5000) \
		--seed $(or $(SEED),1) $(FUZZ)

bench: .venv/browser ## Measure how much it can do
	@$(PYTHON) tests/bench/overhead.py
	@$(PYTHON) tests/bench/downloads.py
	@$(PYTHON) tests/bench/accept.py
	@$(PYTHON) tests/bench/engine.py
	@$(PYTHON) tests/bench/poll.py
	@$(PYTHON) tests/bench/live.py
	@$(PYTHON) tests/bench/api.py

lock: .tools/bin/uv ## Resolve all dependencies anew into requirements.lock
	@sh deploy/tools/lock.sh

asyncapi: .venv/ready ## Write docs/asyncapi.yaml from the message classes
	@$(PYTHON) deploy/tools/asyncapi.py > docs/asyncapi.yaml

life: .venv/ready ## Write docs/life-of-a-task.md from the scheduler's own decisions
	@$(PYTHON) deploy/tools/life_of_a_task.py > docs/life-of-a-task.md

reliability: .venv/ready ## Write what storms came to into docs/reliability.md
	@$(PYTHON) deploy/tools/reliability.py

env-example: .venv/ready ## Write .env.example from the settings classes
	@$(PYTHON) deploy/tools/env_example.py > .env.example

contracts-snapshot: .venv/ready ## Accept the present messages as the contract
	@$(PYTHON) -m contracts.schemas > tests/contracts/schemas.json

clean: ## Remove what setup made
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.tools/bin/uv:
	@sh deploy/tools/setup.sh uv

.venv/ready: requirements.lock deploy/tools/setup.sh $(PYPROJECTS)
	@sh deploy/tools/setup.sh

.tools/oidc-provider/ready: deploy/tools/oidc_provider.sh $(wildcard tests/oidc_provider/package*.json)
	@sh deploy/tools/oidc_provider.sh

.venv/browser: .venv/ready deploy/tools/browser.py
	@$(PYTHON) deploy/tools/browser.py
