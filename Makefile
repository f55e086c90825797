# One command each. The environment lives in .venv and is rebuilt when its description changes.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp
ARGS ?=
PYTEST_ARGS ?=

# A file's tests share what its fixtures have fitted, so one worker has them all.
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile

# Small tensors on two threads are slower than on one.
export OMP_NUM_THREADS ?= 1

# Real data is used where it lies beside the project.
ifneq ($(wildcard ../shared/data),)
export SKCFQ_DATA ?= ../shared/data
endif

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint types doctest check bench bench-peers docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}'

venv: $(STAMP)  ## set up .venv with the pinned packages

$(STAMP): constraints.txt pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install -c constraints.txt -e ".[test]"
	touch $@

demo: $(STAMP)  ## run the main job; ARGS="--data german" picks the data
	$(BIN)/python examples/main_job.py $(ARGS)

test: $(STAMP)  ## run all tests but the slow ones; PYTEST_ARGS="-k name" picks some
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(PYTEST_ARGS)

.PHONY: test-slow
test-slow: $(STAMP)  ## run the tests that are long by nature
	$(BIN)/python -m pytest $(PARALLEL) -m slow $(PYTEST_ARGS)

lint: $(STAMP)  ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## check types
	$(BIN)/mypy skcfq

doctest: $(STAMP)  ## run the examples of the docstrings and of the guide
	$(BIN)/python -m pytest $(PARALLEL) --doctest-modules skcfq --doctest-glob='*.md' docs

check: test lint types doctest  ## all that CI runs

bench: $(STAMP)  ## run every benchmark
	set -e; for file in examples/benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" $(ARGS); done

bench-peers: $(STAMP)  ## compare with other recourse libraries; writes docs/benchmarks/peers.md
	$(BIN)/python examples/benchmarks/peers/setup_environments.py
	$(BIN)/python examples/benchmarks/peers/run.py $(ARGS)

docs: $(STAMP)  ## build the HTML pages into docs/_build
	$(BIN)/python -m pip install -c constraints.txt -e ".[docs]"
	$(BIN)/python -m sphinx -W --keep-going docs docs/_build/html

clean:  ## remove the environment and what the tools left behind
	rm -rf .venv build docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
