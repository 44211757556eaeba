# `make` says what there is. Everything is installed inside the checkout (.venv, node_modules, .cache), from
# Pipfile.lock and package-lock.json only; deleting these folders undoes it. A second run with nothing changed does
# nothing and needs no network.

PY := .venv/bin/python
VENV_FROM_LOCK := scripts/venv_from_lock.py
# A stamp is written last, so an interrupted installation is taken up again.
OPERATOR := .venv/.lock-fingerprint
PACKAGE := .venv/.editable
CDKTF := node_modules/.package-lock.json
ROUTER := .cache/venvs/router/.lock-fingerprint
AUDIT := .cache/venvs/audit/.lock-fingerprint
ENGINE := .cache/venvs/worker-cpu/.lock-fingerprint

# Files that git holds or would add, so that neither an empty folder nor a new file is a special case.
GIT_FILES = git ls-files --cached --others --exclude-standard
CODE = $(shell $(GIT_FILES) '*.py' | cut -d/ -f1 | sort -u)
SHELL_FILES = $(shell $(GIT_FILES) '*.sh' .ci/run)

export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 18,20

# Where it is set, each of some hundred starts would compile its imports anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-all tools rehearse test test-fast lint format synth golden lock clean clean-all

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  ARGS=… is handed on: make rehearse ARGS='--keep'; PYTHON=… picks the Python that makes .venv"

setup: tools $(PACKAGE) $(CDKTF) $(ROUTER) ## install everything a rehearsal needs into this folder (about 3 minutes)

setup-all: setup $(AUDIT) $(ENGINE) ## setup, and what only the tests need: the scanner and real SGLang on CPU (3 GB)

rehearse: setup ## deploy, serve and destroy a fleet on an emulated AWS
	$(PY) -m fleet rehearse $(ARGS)

test: tools $(PACKAGE) ## everything: lint, all tests, rehearsals with the emulator and with real SGLang
	@$(MAKE) --no-print-directory -j4 setup-all lint
	$(PY) -m pytest -n 5 --no-loadscope-reorder --durations=10 $(ARGS)

test-fast: $(PACKAGE) ## the tests that need no cdktf and start no programs
	$(PY) -m pytest -q -n 2 -m "not slow" --ignore=tests/stacks $(ARGS)

lint: $(PACKAGE) ## ruff, mypy, shellcheck, and the lengths of functions and files
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy $(CODE)
	.venv/bin/shellcheck $(SHELL_FILES)
	$(PY) scripts/function_length.py

format: $(PACKAGE) ## rewrite the sources as ruff wants them
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

synth: tools $(PACKAGE) $(CDKTF) ## synthesize the stacks into cdktf.out
	node_modules/.bin/cdktf synth $(ARGS)

golden: $(PACKAGE) $(CDKTF) ## accept today's output as the golden copies that tests compare with
	UPDATE_GOLDEN=1 $(PY) -m pytest -q $$(grep -rlE 'UPDATE_GOLDEN' tests --include='test_*.py')
	$(PY) -m fleet settings schema > settings/data/settings.schema.json
	git status --short tests settings

lock: $(PACKAGE) ## resolve Pipfile and package.json anew (CATEGORIES='router agent': only these; about 4 minutes for all)
	$(PY) scripts/make_lock.py $(CATEGORIES)
	npm install --package-lock-only --no-progress
	@! grep -n '"resolved"' package-lock.json || { echo "lock: package-lock.json names a registry; see .npmrc" >&2; exit 1; }

clean: ## remove what runs and tests leave behind; keeps what setup installed
	rm -rf cdktf.out .rehearsal* build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . \( -path ./.venv -o -path ./.cache -o -path ./node_modules \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean ## also remove what setup installed
	rm -rf .venv .venv.lock .cache node_modules

tools:
	@sh scripts/check_tools.sh

$(OPERATOR): Pipfile.lock $(VENV_FROM_LOCK)
	@python=$$(sh scripts/find_python.sh) && "$$python" $(VENV_FROM_LOCK) packages,dev-packages .venv

# Only for the console script `fleet` and so that tools find the packages; a path entry, not a copy.
$(PACKAGE): pyproject.toml | $(OPERATOR)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

# npm ci takes exactly package-lock.json; it says nothing until it is done.
$(CDKTF): package.json package-lock.json .npmrc | tools
	@echo "node_modules: installing the cdktf command line (about a minute)"
	npm ci --no-progress --loglevel=error
	@touch $@

$(ROUTER) $(AUDIT): .cache/venvs/%/.lock-fingerprint: Pipfile.lock $(VENV_FROM_LOCK) | $(OPERATOR)
	@$(PY) $(VENV_FROM_LOCK) --compile $* .cache/venvs/$*

$(ENGINE): .cache/venvs/%/.lock-fingerprint: Pipfile.lock $(VENV_FROM_LOCK) | $(OPERATOR)
	@echo ".cache/venvs/$*: real SGLang with CPU torch, about 3 GB"
	@$(PY) $(VENV_FROM_LOCK) $* .cache/venvs/$*
