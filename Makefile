# Every target sets up what it needs in .venv. A stamp under .stamps/ stands for a finished step, so
# that nothing is installed twice; a changed pyproject.toml or another Python makes the step run again.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
SAMPLE := traces/samples/azure-like-3000.csv.gz

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # two targets would install into one environment at once
.PHONY: help demo test coverage lint static wheel docs bench clean FORCE

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "PYTHON=/path/to/python chooses the interpreter (3.11 or newer; now: $(PYTHON))."

demo: .stamps/base ## Replay a sample trace through three allocators and write a report
	$(BIN)/twinpool replay $(SAMPLE) --model nemotron-h-8b --device h200 \
		--allocator padded --allocator static:state_ratio=0.5 --allocator avmp --out demo-out
	@echo "The report is in $(CURDIR)/demo-out/report.html"

# More than eight workers only compete for memory; loadgroup keeps a group's tests on one worker.
test: .stamps/dev ## Run the tests, one worker a core
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup

# One report a package, all of them before the first that is too low ends the target.
coverage: .stamps/dev ## Run the tests and show branch coverage; each package needs 95 %
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup --cov --cov-report=
	@failed=; for package in allocator scenarios sim traces; do echo "== $$package"; \
		$(BIN)/python -m coverage report --include="$$package/*" --fail-under=95 || failed=1; \
		done; test -z "$$failed"

lint: static wheel ## Check style, types, layers, and that the wheel installs and works

static: .stamps/dev ## Check style, types and layers only
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

wheel: .stamps/dev ## Build the wheel, install it apart and run it
	.ci/wheel-check $(BIN)/python

# Without --quiet, which would not count warnings and so never fail.
docs: .stamps/docs ## Build the documentation as a site, with every link checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --config-file .ci/mkdocs.yml
	@echo "The site begins at $(CURDIR)/build/docs/index.html"

bench: .stamps/dev ## Time the benchmarks
	$(BIN)/python -m pytest --benchmark-only tests/benchmark

clean: ## Remove everything that is generated, the environment too
	rm -rf .venv .stamps build dist *.egg-info demo-out .benchmarks .hypothesis
	rm -rf .coverage .coverage.* .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up ---

define INSTALL_FAILED
echo "Installing failed, see above: pip needs a package index, so check the network \
or name a mirror with PIP_INDEX_URL or PIP_FIND_LINKS, and run make again." >&2; exit 1
endef

.stamps/base: .stamps/venv pyproject.toml
	@echo "Installing Twinpool into .venv"
	@$(PIP) install --quiet --editable . || { $(INSTALL_FAILED); }
	@touch $@

# The development tools come on top of the base dependencies, so both are in place after this.
.stamps/dev: .stamps/venv pyproject.toml
	@echo "Installing Twinpool and its development tools into .venv"
	@$(PIP) install --quiet --editable '.[dev]' || { $(INSTALL_FAILED); }
	@touch .stamps/base $@

.stamps/docs: .stamps/venv pyproject.toml
	@echo "Installing Twinpool and its documentation tools into .venv"
	@$(PIP) install --quiet --editable '.[docs]' || { $(INSTALL_FAILED); }
	@touch .stamps/base $@

.stamps/venv: .stamps/python $(if $(wildcard $(BIN)/python),,FORCE)
	$(PYTHON) -m venv --clear .venv
	@touch $@

# Holds which Python .venv is made from, and where; rewritten (and so newer) only when that changes.
.stamps/python: FORCE
	@mkdir -p .stamps
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Twinpool needs Python 3.11 or newer, and $(PYTHON) is not:" \
			"call make with PYTHON=/path/to/python3.11 or newer." >&2; exit 1; }
	@"$(PYTHON)" -c 'import os, sys; print(sys.version, sys.base_prefix, os.getcwd())' > $@.now
	@cmp -s $@.now $@ && rm $@.now || mv $@.now $@

FORCE:
