# `make run` and `make test` do all the set-up themselves; a second call installs nothing.
PYTHON ?= python3
BIN := .venv/bin
SELECT ?= -m "not cluster"
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: run ui docs bench test test-slow test-cluster lint clean

run: .venv/installed
	$(BIN)/python -m pipeline -m loss=mse,ce,nll

ui: .venv/installed
	$(BIN)/python -m pipeline.ui

docs: .venv/installed
	$(BIN)/python -m pipeline.reproduce --output docs/problem_set.md
	$(BIN)/python -m pipeline.reproduce --search --output docs/problem_set.md

bench: .venv/installed-test
	$(BIN)/python -m benchmarks $(BUDGET)

test: .venv/installed-test
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not cluster"

test-slow: .venv/installed-test
	$(BIN)/python -m pytest -n auto --dist loadfile $(SELECT)

test-cluster: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m cluster -rs --durations=10

lint: .venv/installed-test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/hadolint Dockerfile

clean:
	rm -rf .venv build *.egg-info

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11. Say make PYTHON=python3.12, for example."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	touch $@

.venv/installed: pyproject.toml constraints.txt | .venv/python
	@echo "Installing: some 5 GB, about a minute on a fast network."
	$(PIP_INSTALL) --editable .
	touch $@

.venv/installed-test: pyproject.toml constraints.txt | .venv/python
	@echo "Installing: some 5 GB, about a minute on a fast network."
	$(PIP_INSTALL) --editable '.[test]'
	touch .venv/installed $@
