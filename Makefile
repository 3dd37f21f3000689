# Every command of the project. Each readies what it needs first (Python, uv, packages, a
# browser); what is ready already costs nothing the second time. Setting up: tools/prepare.py.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Any Python from 3.8 on will do here: it only looks for the one that runs the product.
PYTHON ?= python3
BIN := .venv/bin

# A stamp is newer than all it was made from. With the tools of a developer installed, they
# are what is kept up to date; `make run` alone does not download them.
FOR_WORK := .venv/.ready-for-work
FOR_RUN := $(if $(wildcard $(FOR_WORK)),$(FOR_WORK),.venv/.ready-for-run)

# Two tests sampling side by side would otherwise each start a thread on every core.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=8 --dist=loadgroup
# PostgreSQL, Chromium, chains and killed processes are left to `make test`.
FAST := not sampling and not browser and not slow and not postgres

.PHONY: help run test check bench mutants docs messages pictures lighthouse clean browser

help: ## Show these commands.
	@echo "Lenitive: one patient, several treatments, one honest answer."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: $(FOR_RUN) ## Start the web server and the scheduler with a demonstration site.
	@exec $(BIN)/lenitive serve --demo

test: $(FOR_WORK) browser ## Run everything CI runs: style, types, import rules, docs, all tests.
	@$(BIN)/python tools/checks.py all
	@$(TESTS) $(ARGS)

check: $(FOR_WORK) ## Run what a developer wants before each commit, in under two minutes.
	@$(BIN)/python tools/checks.py quick
	@$(TESTS) -m "$(FAST)" $(ARGS)

bench: $(FOR_WORK) ## Measure the engine and print the tables.
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks $(ARGS)

mutants: $(FOR_WORK) ## Change the rule and the exposure in hundreds of ways, and see which no test notices.
	@OMP_NUM_THREADS=1 $(BIN)/python -m mutmut run $(ARGS)
	@$(BIN)/python -m mutmut results

docs: $(FOR_WORK) ## Build the documentation into docs/_build/html.
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -j auto -b html docs docs/_build/html
	@echo "The documentation is in docs/_build/html/index.html"

messages: $(FOR_WORK) ## Collect the texts people read, and list what has to be translated.
	@$(BIN)/python -m tools.messages $(ARGS)

pictures: $(FOR_WORK) browser ## Take the pictures of README and patient's guide from the running product.
	@OMP_NUM_THREADS=1 $(BIN)/python -m tools.pictures

lighthouse: $(FOR_WORK) browser ## Measure the patient's pages with Lighthouse (needs Node.js with npm).
	@$(BIN)/python -m tools.lighthouse

clean: ## Remove what was installed and built here; var/ (the data) stays.
	rm -rf .venv .tools docs/_build dist build .coverage .hypothesis .mypy_cache \
		.ruff_cache .pytest_cache .import_linter_cache mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

browser: $(FOR_WORK)
	@$(BIN)/python tools/browser.py

.venv/.ready-for-run .venv/.ready-for-work: pyproject.toml uv.lock tools/prepare.py
	@command -v $(PYTHON) >/dev/null || { \
		echo "No $(PYTHON) was found: install Python 3.12 or later (https://www.python.org)."; exit 1; }
	@$(PYTHON) tools/prepare.py $(subst .venv/.ready-,,$@)
