# Every target makes .venv when it is missing. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CORE := $(VENV)/.core
STAMP := $(VENV)/.installed
export OMP_NUM_THREADS ?= 2
export OPENBLAS_NUM_THREADS ?= 2

.PHONY: demo test check docs bench validate reference clean

# The demo needs the core alone; everything else needs the extras too. torch goes first, by the version that is constrained: asked for
# by a range, pip may take a release of several gigabytes.
$(CORE): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(STAMP): $(CORE)
	$(PIP) torch
	$(PIP) --editable '.[dev,docs,neural,dml]'
	@touch $@

demo: $(CORE)  ## simulate a confounded cohort on real genotypes, estimate the effect, write the report
	$(BIN)/invarmr demo --out demo

check: $(STAMP)  ## the gates that need no test run
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## gates, then every test with coverage
	$(BIN)/python -m pytest --cov --cov-report=term

docs: $(STAMP)  ## the manual, its examples executed
	$(BIN)/python docs/run_examples.py
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(STAMP)  ## speed and memory, each as a ratio in one run
	$(BIN)/python benchmarks/moments_from_bed.py
	$(BIN)/python benchmarks/summary_data.py
	$(BIN)/python benchmarks/summary_files.py
	$(BIN)/python benchmarks/inference_from_arrays.py
	$(BIN)/python benchmarks/stacked_training.py
	$(BIN)/python benchmarks/learners.py --epochs 40

validate: $(STAMP)  ## coverage and calibration by Monte Carlo, with binomial bands; long
	$(BIN)/python validation/learning_error.py --seeds 400 --out validation/learning_error.json
	$(BIN)/python validation/verdicts.py --out validation/results/verdicts
	$(BIN)/python validation/dimension.py --out validation/results/dimension
	$(BIN)/python validation/linear_recovery.py --seeds 20 --out validation/results/linear_recovery.json
	$(BIN)/python validation/flow_design.py targets --out validation/results/flow_design.jsonl
	$(BIN)/python validation/bootstrap_coverage.py --seeds 400 --out validation/results/bootstrap_coverage.json

reference: $(STAMP)  ## rebuild the example genotypes from the source distribution of peddy 0.4.8
	$(BIN)/python scripts/build_reference_genotypes.py

clean:
	rm -rf $(VENV) docs/_build demo
