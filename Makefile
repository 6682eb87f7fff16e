# make demo: set up, render a small data set, train on it, score it, write a report.
# make test: set up, then lint, types, all entries of the leaderboard, and all tests.
# make quick: the tests that start no processes: at most 2 minutes, for every edit.
# make gpu: render 20,000 images of 128 pixels, train ResNet-18 on them on a GPU, supervised and in a box.
# make release: build sdist and wheel into dist/, check them, install the wheel elsewhere, run a tiny demo.
# make docs: set up, then build the documentation into site/; it needs no network.
# make fuzz: damage what is read from outside in ever new ways; make fuzz MINUTES=60 SEED=7

# Pythons for which Blender's module exists, and the check that one of them can make environments.
PYTHONS := python3.11 python3.13 python3
FITS := import sys, ensurepip, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 13)))
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= data/demo
RUN ?= runs/demo
DEVICE ?= cuda
GPU ?= data/gpu
GPU_RUNS ?= runs/gpu
GPU_N ?= 20000
GPU_STEPS ?= 3000
GPU_BATCH ?= 512
GPU_TRAIN = $(BIN)/threedident benchmark --encoder resnet18 --data $(GPU) --steps $(GPU_STEPS) \
	--batch-size $(GPU_BATCH) --learning-rate 1e-3 --schedule cosine --precision bf16 \
	--device $(DEVICE) --resume
MINUTES ?= 20
SEED ?= $(shell date +%s)

.PHONY: other demo duration gpu quick test docs fuzz lint entries setup libraries browser release

setup: $(VENV)/.ready libraries browser

# What the demo needs. The environment is made with PYTHON, if it is given; else the one that is there
# is kept; else it is made with a Python of this machine, or with one that uv downloads.
OTHER := $(if $(PYTHON),$(shell test "$$($(BIN)/python --version 2> /dev/null)" = "$$("$(PYTHON)" --version 2> /dev/null)" || echo other))
KEPT := $(if $(PYTHON),,$(shell $(BIN)/python -c "$(FITS)" 2> /dev/null && $(BIN)/python -m pip --version > /dev/null 2>&1 && echo kept))

$(VENV)/.demo: pyproject.toml $(if $(OTHER),other)
	@found=; for python in $(if $(PYTHON),"$(PYTHON)",$(PYTHONS)); do \
		"$$python" -c "$(FITS)" 2> /dev/null && found=$$python && break; \
	done; \
	if [ -n "$(KEPT)" ]; then \
		echo "== 1/2 environment: $(VENV), which is there, with $$($(BIN)/python --version)"; \
	elif [ -n "$$found" ]; then \
		echo "== 1/2 environment: $(VENV), with $$("$$found" --version)"; \
		[ "$$($(BIN)/python --version 2> /dev/null)" = "$$("$$found" --version)" ] || clear=--clear; \
		"$$found" -m venv $$clear $(VENV) || exit 1; \
	elif [ -n "$(PYTHON)" ]; then \
		echo "PYTHON: expected Python 3.11 or 3.13 with venv, for which Blender exists, found $(PYTHON)," \
			"$$("$(PYTHON)" --version 2> /dev/null || echo which does not run); give another, or none"; exit 1; \
	else \
		echo "== 1/2 environment: $(VENV); no Python 3.11 or 3.13 with venv is here, uv brings one (80 MB)"; \
		uv=$$(command -v uv) || { python3 -m pip install --quiet --target $(VENV)-uv uv && uv=$(VENV)-uv/bin/uv; }; \
		[ -n "$$uv" ] && UV_PYTHON_INSTALL_BIN=0 "$$uv" python install 3.11 && found=$$("$$uv" python find --system --python-preference only-managed 3.11) && \
			"$$found" -m venv --clear $(VENV) || { \
			echo "Blender needs Python 3.11 or 3.13, and uv could not bring one. Install it, then run make again:"; \
			echo "    sudo apt-get install python3-venv python3-pip   # or: make PYTHON=/path/to/python3.11"; rm -rf $(VENV)-uv; exit 1; }; \
		rm -rf $(VENV)-uv; \
	fi
	@echo "== 2/2 packages: torch and faiss with CUDA (7.1 GB), Blender (0.8 GB) and others (0.5 GB); pip names each as it comes"
	@$(BIN)/python -m pip install --editable ".[pinned]"
	@touch $@

# What the tests and the documentation need, too.
$(VENV)/.ready: $(VENV)/.demo
	@echo "== packages of the tests: linters, cluster engines, documentation (1 GB)"
	@$(BIN)/python -m pip install --editable ".[dev]"
	@touch $@

libraries: $(VENV)/.demo
	@missing=$$($(BIN)/python -m render.libraries) && exit 0; \
	install="apt-get install --yes --no-install-recommends $$missing"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		echo "== shared libraries that Blender loads: $$missing"; \
		apt-get update --quiet=2 && $$install --quiet=2 > /dev/null; \
	else \
		echo "Blender needs shared libraries that are not here. Install them, then run make again:"; \
		echo "    sudo $$install"; exit 1; \
	fi

browser:
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		echo "== chromium, in which tests open the leaderboard's page and the documentation"; \
		apt-get update --quiet=2 && \
		apt-get install --yes --no-install-recommends --quiet=2 chromium > /dev/null; \
	else \
		echo "Without chromium the tests that open pages are skipped: apt-get install chromium"; \
	fi

duration:
	@echo "== demo: about 10 minutes in all on two quiet cores, 5 of them to set up (once); on busy ones, twice that"

demo: duration $(VENV)/.demo libraries
	@echo "== 1/6 render: 4,000 train and 1,000 test images of 64 x 64 pixels into $(DEMO)"
	@$(BIN)/threedident render --n 4000 --n-test 1000 --resolution 64 --quality draft --out $(DEMO)
	@echo "== 2/6 verify: every file against its digest"
	@$(BIN)/threedident verify --deep $(DEMO)
	@echo "== 3/6 traverse: one column of images for each factor"
	@test -f $(DEMO)/traversal.png || $(BIN)/threedident traverse $(DEMO)/traversal.png --resolution 96
	@echo "== 4/6 pack: all images of a split in one file, from which training reads"
	@$(BIN)/threedident pack $(DEMO)
	@echo "== 5/6 train and score: encoder glimpse, InfoNCE, Normal positives by nearest-latent lookup"
	@$(BIN)/threedident benchmark --encoder glimpse --data $(DEMO) --pairs normal:0.3 --extent 3 \
		--loss-option wide=64 --steps 900 --batch-size 128 --learning-rate 3e-3 \
		--schedule cosine --warmup 50 --out $(RUN) --resume
	@echo "== 6/6 done. Open $(RUN)/report.html"

gpu: $(VENV)/.demo libraries
	@$(BIN)/python -c "import sys, torch; sys.exit('$(DEVICE)' == 'cuda' and not torch.cuda.is_available())" \
		|| { echo "make gpu needs a GPU that torch finds; make gpu DEVICE=cpu GPU_N=500 GPU_STEPS=3 GPU_BATCH=16 tries it without"; exit 1; }
	@echo "== gpu: render on all processors, then about ten minutes of one GPU"
	@$(BIN)/threedident render --n $(GPU_N) --n-test 2000 --resolution 128 --quality draft --out $(GPU)
	@$(BIN)/threedident pack $(GPU)
	@$(GPU_TRAIN) --loss supervised --output-space unbounded --out $(GPU_RUNS)/supervised
	@$(GPU_TRAIN) --pairs normal:0.2 --loss-option wide=64 --extent 3 --out $(GPU_RUNS)/box
	@$(BIN)/threedident compare $(GPU_RUNS)/*

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

entries: setup
	$(BIN)/threedident leaderboard entries

quick: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 -m "not slow"

test: lint entries
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder --durations 15

release: setup
	@top=$$(sed -n 's/^## //p' CHANGELOG.md | head -1); version=$$($(BIN)/python -c "import threedident; print(threedident.__version__)"); \
		test "$$top" = "$$version" || { echo "CHANGELOG.md: expected its top entry to be $$version, as threedident/__init__.py says, found $$top; make them agree"; exit 1; }
	@test -z "$$(git status --porcelain)" || { echo "make release: expected a checkout without changes, found some; commit or remove them:"; git status --short; exit 1; }
	rm -rf dist
	@folder=$$(mktemp -d) && trap "rm -rf $$folder" EXIT && set -ex; \
		git archive HEAD | tar -x -C $$folder; $(BIN)/python -m build --outdir dist $$folder
	DIST=dist $(BIN)/python -m pytest --quiet tests/cli/test_package.py
	@echo "== install the wheel into $(VENV)-release, and run a tiny demo in a new folder"
	$(BIN)/python -m venv --clear $(VENV)-release && $(VENV)-release/bin/python -m pip install dist/*.whl
	@bin=$$PWD/$(VENV)-release/bin && folder=$$(mktemp -d) && trap "rm -rf $$folder $$PWD/$(VENV)-release" EXIT && \
		cd $$folder && set -ex; \
		$$bin/threedident doctor; \
		$$bin/threedident render --n 200 --n-test 100 --resolution 32 --quality draft --out data; \
		$$bin/threedident verify --deep data; \
		$$bin/threedident benchmark --encoder conv --data data --steps 50 --batch-size 32 --out run; \
		$$bin/python -c "from threedident import load_encoder; print(load_encoder('run'))"
	@echo "== release: dist/ is ready to be uploaded"

docs: $(VENV)/.ready
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "== docs: open site/index.html"

fuzz: setup
	@echo "== fuzz: about $(MINUTES) minutes; the same again with make fuzz MINUTES=$(MINUTES) SEED=$(SEED)"
	@FUZZ_SECONDS=$$(( 60 * $(MINUTES) )) FUZZ_SEED=$(SEED) OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest --quiet -p no:randomly tests/fuzz
