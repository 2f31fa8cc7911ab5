# The commands of the project. Each sets up what it needs, once, in .venv; only python3 (3.11 or newer) and make must be there.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.ready-bench
# torch is pinned once, in constraints.txt. To pin another: make constraints TORCH=2.14.0
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt 2>/dev/null)

# One environment for every command: no question asked, no notice printed, nothing taken from outside the project's own.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME

# The recipe that demo runs; only search is served to a browser.
TASK ?= quickstart

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format docs bench constraints clean

help: ## list these commands
	@echo "make COMMAND, where COMMAND is one of"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16
	@echo "Options: PYTHON=python3.12 (for a new .venv), ARGS='-k split' (for demo, test and bench), ONLY=name (for bench)"

setup: $(READY) ## make .venv, with all that demo, test and check need

demo: $(READY) ## distil a simulated shop's teacher into students, report, and serve them; or TASK=retrieval, TASK=sequential, TASK=categorise
	"$(VENV)/bin/shopstill" run recipes/$(TASK).yaml $(if $(filter quickstart,$(TASK)),--serve) $(ARGS)

test: $(READY) ## run the tests
	@OMP_NUM_THREADS=1 "$(RUN)" -m pytest -m "not bench" -n auto --maxprocesses=4 --dist=loadfile $(ARGS)

check: $(READY) ## style, types, layers, budgets, examples in docstrings and documents
	"$(RUN)" -m ruff check .
	"$(RUN)" -m ruff format --check .
	"$(RUN)" -m mypy
	"$(VENV)/bin/lint-imports"
	"$(RUN)" tools/budgets.py
	"$(RUN)" -m pytest -q --doctest-modules src tools tests/docs

format: $(READY) ## mend what ruff can mend
	"$(RUN)" -m ruff check --fix .
	"$(RUN)" -m ruff format .

docs: $(READY) ## write docs/reference.md anew from the code
	"$(RUN)" tools/reference.py

bench: $(BENCH_READY) ## run the commands behind the published figures, or the one named by ONLY
	@set -e; for file in benchmarks/$(or $(ONLY),[a-z]*).py; do \
		[ -e "$$file" ] || { echo "no benchmark $$file; there are: $$(ls benchmarks)"; exit 1; }; \
		name=$${file#benchmarks/}; echo "== $$file"; "$(RUN)" -m "benchmarks.$${name%.py}" $(ARGS); \
	done

constraints: ## resolve every dependency anew in a clean environment, and pin what came out
	@tools/constraints.sh "$(PYTHON)" "$(TORCH)"

clean: ## remove .venv and every cache; runs stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say that an install finished, and with which pins; one cut short is taken up where it was.
$(READY): pyproject.toml constraints.txt weights.txt
	@tools/setup.sh "$(PYTHON)" "$(VENV)"
	@touch $@

$(BENCH_READY): $(READY)
	@tools/setup.sh "$(PYTHON)" "$(VENV)" train,dev,bench
	@touch $@
