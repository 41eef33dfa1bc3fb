# make demo    run the sample study into ./demo
# make test    lint, type check and test everything but what is marked heavy (pytest -m heavy runs
#              that); what belongs to Slicer also with the other of Python 3.11 (Slicer 5.13) and
#              3.12 (Slicer 5.12), where there is one
# make faults  what happens when things go wrong, with a table of what was survived
# make check   only lint and type check
# make bench   compare speed and memory with other tools (Testing/bench), several minutes
# make clean   remove what the other targets made in this folder
#
# PYTHON is the interpreter (3.11 or newer), VENV the environment made with it, TEST_EXTRAS what
# pip installs beside the test requirements:
#   make test PYTHON=python3.12 VENV=.venv312 TEST_EXTRAS="torch==2.13.0"

PYTHON ?= python3
VENV ?= .venv
TEST_EXTRAS ?=
JOBS ?= 2
PYTEST_ARGS ?=
SLICER_TESTS = Testing/scene Testing/panel
# Neighbors share what they import and prepare: each worker begins with a half, and helps in the end.
SHARED = -n $(JOBS) --dist worksteal

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test slicer-tests faults check bench environment clean FORCE
.DEFAULT_GOAL := test

demo: $(VENV)/.package
	$(BIN)/medprep demo

test: check
	$(BIN)/python -m pytest $(SHARED) -m "not heavy" $(PYTEST_ARGS)
ifeq ($(strip $(PYTEST_ARGS)),)
	@case $$(cat $(VENV)/.python) in 3.12) other=3.11;; *) other=3.12;; esac; \
	if found=$$(Testing/find_python.sh $$other); then \
	  $(MAKE) --no-print-directory slicer-tests PYTHON="$$found" VENV=$(VENV)-$$other TEST_EXTRAS=; \
	else \
	  echo "Python $$other is not here: scene and panel were tested with one version of Slicer only"; \
	fi
endif

slicer-tests: environment
	$(BIN)/python -m pytest $(SHARED) $(SLICER_TESTS)

faults: environment
	$(BIN)/python -m pytest $(SHARED) --faults -m "fault and not heavy"

check: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	set -e; for script in Testing/bench/bench_*.py; do $(BIN)/python $$script; done

environment: $(VENV)/.test

clean:
	rm -rf .venv* demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache
	find MedPrep MedPrepLib Testing -name __pycache__ -prune -exec rm -rf {} +

# The interpreter is looked at every time, because PYTHON may name another one than last time; the
# stamps below are remade only when something changed.
$(VENV)/.python: FORCE
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'MedPrep needs Python 3.11 or newer; name one with make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'this Python cannot make environments; on Debian: apt-get install python3-venv' >&2; exit 1; }
	@test -x $(BIN)/python || { echo 'making $(VENV)'; $(PYTHON) -m venv $(VENV); }
	@show='import sys; print("%d.%d" % sys.version_info[:2])'; \
	  wanted=$$($(PYTHON) -c "$$show"); found=$$($(BIN)/python -c "$$show"); \
	  test "$$wanted" = "$$found" || \
	  { echo "$(VENV) holds Python $$found, not $$wanted; name another with make VENV=..." >&2; exit 1; }; \
	  echo "$$found" | cmp -s - $@ || echo "$$found" > $@

$(VENV)/.package: pyproject.toml $(VENV)/.python
	$(PIP) --editable .
	@touch $@

$(VENV)/.extras: FORCE | $(VENV)/.python
	@echo '$(TEST_EXTRAS)' | cmp -s - $@ || echo '$(TEST_EXTRAS)' > $@

$(VENV)/.test: pyproject.toml $(VENV)/.python $(VENV)/.extras
	$(PIP) --editable '.[test]' $(TEST_EXTRAS)
	@touch $(VENV)/.package $@

$(VENV)/.bench: pyproject.toml $(VENV)/.python $(VENV)/.extras
	$(PIP) --editable '.[bench]' $(TEST_EXTRAS)
	@touch $(VENV)/.package $@

FORCE:
