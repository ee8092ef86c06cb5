PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PEERS := .venv-peers/.installed

# Whose numbers depend on the instructions that the processor has; of the trainings, those that choose a dtype by them
ROOMS_OF_PRODUCTS := kernels nn adapters models \
	$(addprefix training/,retrieval/test_trainer.py $(addprefix test_,dual_tower.py frozen_pictures.py frozen_texts.py state_cache.py))

.PHONY: setup demo weights lint test bench model docs

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# The libraries that parity tests and benchmarks compare with, apart: their versions bind others than ours do
$(PEERS): benchmarks/peers.lock
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.lock
	touch $@

demo: setup
	$(BIN)/polyglance demo

# Weights that were trained on the real world, in the user's cache; what is there already is left as it is
weights: setup
	$(BIN)/python -m experiments.weights

# Puts any machine into the state of one whose processor has AVX2 and nothing newer: for oneDNN (OpenVINO's as well),
# torch and MKL. What chooses our dtype follows it; `make bench-NAME AVX2=1` measures in it
AVX2_ONLY := ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two tests at a time, a thread each; those of a file stay together, for what they share, and the longest files come
# first. The rooms whose numbers depend on the processor run in both states
test: setup $(PEERS) weights lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder tests/journeys tests/experiments tests
	$(AVX2_ONLY) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope $(addprefix tests/,$(ROOMS_OF_PRODUCTS))

# Every comparison of benchmarks/, or one of them: make bench-NAME
bench: $(patsubst benchmarks/%.py,bench-%,$(filter-out benchmarks/_%,$(wildcard benchmarks/*.py)))

bench-adapters bench-rerank: $(PEERS)

bench-%: setup
	$(if $(AVX2),$(AVX2_ONLY) )$(BIN)/python -m benchmarks.$*

# Retrain the bundled model from nothing, and put it into the package; stopped, it goes on where it was.
# The two settings keep the allocator from handing memory back to the system after each step
model: setup weights
	$(BIN)/python -m experiments.pictures
	MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1 $(BIN)/python -m experiments.bundled_model --output runs/polyglance-mini
	folder=$$($(BIN)/python -c 'from polyglance.models import bundled_folder; print(bundled_folder())') && \
	mkdir -p "$$folder" && cp runs/polyglance-mini/model/* "$$folder"

# Write docs/cli.md anew from the commands' own help, and the tables from docs/results/
docs: setup
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.figures
