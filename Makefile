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
.PHONY: help venv demo test lint types doctest check bench bench-check bench-peers docs clean
.PHONY: test-slow test-min test-latest oracle attack dist

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

test-slow: $(STAMP)  ## run the tests that are long by nature
	$(BIN)/python -m pytest $(PARALLEL) -m slow $(PYTEST_ARGS)

oracle: $(STAMP)  ## solve 1,000 random problems, and by enumeration; ARGS="--only trees" picks some
	$(BIN)/python tools/against_enumeration.py $(ARGS)

attack: $(STAMP)  ## give every public parameter odd values; ARGS="--only ActionSet" picks some
	$(BIN)/python tools/attack $(ARGS)

lint: $(STAMP)  ## check style, format and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: $(STAMP)  ## check types
	$(BIN)/mypy skcfq

doctest: $(STAMP)  ## run the examples of the docstrings and of the guide
	$(BIN)/python -m pytest $(PARALLEL) --doctest-modules skcfq --doctest-glob='*.md' docs

check: test lint types doctest  ## all that CI runs

bench: $(STAMP)  ## run every benchmark, with its peak memory
	$(BIN)/python tools/bench.py $(ARGS)

bench-check: $(STAMP)  ## fail when a ratio is a fifth above examples/benchmarks/budget.json; ARGS="--write" sets it
	$(BIN)/python tools/bench_check.py $(ARGS)

bench-peers: $(STAMP)  ## compare with other recourse libraries; writes docs/benchmarks/peers.md
	$(BIN)/python examples/benchmarks/peers/setup_environments.py
	$(BIN)/python examples/benchmarks/peers/run.py $(ARGS)

docs: $(STAMP)  ## build the HTML pages into docs/_build
	$(BIN)/python -m pip install -c constraints.txt -e ".[docs]"
	$(BIN)/python -m sphinx -W --keep-going docs docs/_build/html

# What other versions of the dependencies have to pass: every room, without long trainings.
PART := tests/test_release.py tests/utils tests/actions tests/encoding tests/quantization tests/deploy tests/models tests/nn \
	tests/solvers/test_convex.py tests/solvers/test_exact.py tests/solvers/test_plain_tables.py \
	tests/solvers/test_recourse_solver.py tests/solvers/test_rules.py \
	tests/solvers/test_standard_output.py tests/metrics/test_metric_definitions.py \
	tests/training/test_training.py tests/estimators/test_counterfactual_sampler.py
CHECKED := TableEncoder or TeacherClassifier

test-min: .venv-min/.stamp  ## run a part of the tests on the lowest versions that are allowed
	.venv-min/bin/python -m pytest $(PART) $(PYTEST_ARGS)
	.venv-min/bin/python -m pytest tests/test_common.py -k "$(CHECKED)" $(PYTEST_ARGS)

.venv-min/.stamp: constraints-min.txt pyproject.toml
	$(PYTHON) -m venv --clear .venv-min
	.venv-min/bin/python -m pip install -c constraints-min.txt "torch==2.13.0"
	.venv-min/bin/python -m pip install -c constraints-min.txt -e ".[test]"
	touch $@

test-latest: .venv-latest/.stamp  ## run the same part on the newest versions of today
	.venv-latest/bin/python -m pip install --upgrade --upgrade-strategy eager "torch==2.13.0" -e ".[test]"
	.venv-latest/bin/python -m pytest $(PART) $(PYTEST_ARGS)
	.venv-latest/bin/python -m pytest tests/test_common.py -k "$(CHECKED)" $(PYTEST_ARGS)

.venv-latest/.stamp: pyproject.toml
	$(PYTHON) -m venv --clear .venv-latest
	touch $@

dist: $(STAMP)  ## build the sdist and the wheel into dist/, and check them
	$(BIN)/python -m pip install -c constraints.txt -e ".[release]"
	rm -rf build dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

clean:  ## remove the environments and what the tools left behind
	rm -rf .venv .venv-min .venv-latest build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
