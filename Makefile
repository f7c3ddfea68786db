# `make demo`: a pretrained model on real photos. `make test`: the tests.
# `make test-all`: the long matrices too. `make test-frameworks`: what drives Keras 2,
# keras-hub, KerasTuner, W&B, MLflow, orbit, ONNX and LiteRT. `make test-torch`:
# PyTorch's, 5.5 GB. `make test-clusters`: Beam, Ray and S3, in `.venv-clusters`.
# PYTHON=python3.12 chooses another Python.
PYTHON ?= python3
BIN = .venv/bin
# A test uses little more than one core. Files stay whole: their fixtures are shared.
PARALLEL = -n 2 --dist loadfile

.PHONY: demo test test-all test-clusters test-frameworks test-torch clean

demo: .venv/demo
	$(BIN)/tfeval evaluate --flagfile=configs/demo.flags

test: .venv/test
	$(BIN)/ruff check tfeval tests configs
	$(BIN)/ruff format --check tfeval tests configs conftest.py
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PARALLEL) \
	    -m 'not slow and not frameworks and not torch and not clusters'

test-all: .venv/test-all
	$(BIN)/ruff check tfeval tests configs
	$(BIN)/ruff format --check tfeval tests configs conftest.py
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PARALLEL) -m 'not clusters'

test-frameworks: .venv/test-frameworks .venv/orbit
	$(BIN)/python -m pytest -m frameworks -rs tests

test-torch: .venv/test-torch
	$(BIN)/python -m pytest -m torch -rs tests

test-clusters: .venv-clusters/test-clusters
	.venv-clusters/bin/python -m pytest -m clusters -rs tests/clusters

# What was installed stands in an empty file, so that it is not installed again.
.venv/demo .venv/test .venv/test-all .venv/test-frameworks .venv/test-torch: .venv/%: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	touch $@

.venv-clusters/test-clusters: setup.cfg pyproject.toml
	test -x .venv-clusters/bin/python || $(PYTHON) -m venv .venv-clusters
	.venv-clusters/bin/python -m pip install --quiet --disable-pip-version-check \
	    -e '.[test-clusters]'
	touch $@

# It pins an older TensorFlow, and orbit needs nothing of what it asks for.
.venv/orbit: .venv/test-frameworks
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    tf-models-official
	touch $@

clean:
	rm -rf .venv .venv-clusters
