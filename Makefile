# Everything a developer needs. `make help` lists the targets; each makes its own .venv when that is missing.

# The Python that makes .venv: python3, or say `make PYTHON=python3.12 check`.
PYTHON ?= python3
# Another package index for PyTorch alone, which everything but the demo needs. On Linux without a GPU, the CPU
# index that PyTorch's install page names saves gigabytes: make TORCH_INDEX=URL check
TORCH_INDEX ?=
# The seed of the first demo picture.
SEED ?= 7
# How many tests run at once, each with one thread.
WORKERS ?= 2

BIN := .venv/bin
BASE := .venv/.base
READY := .venv/.installed
STUDIO := .venv/.studio
SFUMATO := $(BIN)/sfumato
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo studio check lint format test chromium bench golden clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(BASE) ## draw four pictures from four prompts, into the folder demo
	@mkdir -p demo
	$(SFUMATO) generate "a frog on a beach" --seed $(SEED) --output demo/frog.png
	$(SFUMATO) generate "a house in the snow at night" --seed $(SEED) --output demo/house.png
	$(SFUMATO) generate "two penguins on a blue background" --seed $(SEED) --output demo/penguins.png
	$(SFUMATO) generate "a sailboat on the sea at sunset" --seed $(SEED) --output demo/sailboat.png
	@echo "The four pictures are in $(CURDIR)/demo:"
	@ls demo/frog.png demo/house.png demo/penguins.png demo/sailboat.png

studio: $(STUDIO) ## open the studio in the browser: draw, edit, learn, keep
	$(SFUMATO) studio

check: lint test ## everything that has to pass: lint, then test

lint: $(READY) ## style, formatting, types and import layers; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(READY) ## mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What times out where it has to wait, a browser, comes after the rest, by itself.
test: $(READY) chromium ## run the tests: WORKERS at once, then those in a browser, one by one
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --ignore tests/serving/browser
	$(BIN)/python -m pytest tests/serving/browser

chromium: ## the browser that the studio is tested in, where apt can install it; never fatal
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif command -v apt-get >/dev/null && test "$$(id -u)" = 0; then \
		echo "Installing Chromium for the tests of the studio" >&2; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium; } \
			|| echo "Chromium cannot be installed: the studio is not tested in a browser." >&2; \
	else \
		echo "There is no Chromium: the studio is not tested in a browser. Debian: apt install chromium" >&2; \
	fi >/dev/null

bench: $(READY) ## measure one picture: cold and warm time by stage, and memory
	$(SFUMATO) bench

golden: $(READY) ## draw the reference pictures of tests/golden again, each from its own recipe
	@for recipe in tests/golden/*.toml; do \
		$(SFUMATO) generate --recipe $$recipe --output $${recipe%.toml}.png || exit; \
	done

clean: ## remove .venv and the caches
	rm -rf .venv build dist src/*.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# Each stamp is written last: an installation that failed half way is done again. A new constraints.txt or
# pyproject.toml updates the environment in place. The base draws without torch; what develops and trains adds to
# it, in the same .venv.
$(BASE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Sfumato needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)." >&2; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
		echo "Making .venv failed. On Debian and Ubuntu: apt install python3-venv" >&2; rm -rf .venv; exit 1; }
	$(PIP) install --quiet --constraint constraints.txt setuptools
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable .
	@touch $@

$(STUDIO): $(BASE)
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[studio]'
	@touch $@

$(READY): $(BASE)
	$(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[torch,studio,dev]'
	@touch $@
