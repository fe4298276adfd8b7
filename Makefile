# Everything a person does with the playground. Needs make and Python 3.11 to 3.13, nothing else.
#   make run               install what is missing, start, print the link (PORT=8600 HOST=0.0.0.0 to vary)
#   make status logs down  look at it, follow its logs, stop it and its workers
#   make validate          check database, model server, cookies, proxy
#   make backup restore    FILE=... (restore over data: REPLACE=1)
#   make setup-link        print a new link that creates the first administrator
#   make reset-password    USERNAME=... print a temporary password for somebody who is locked out
#   make worker            one more process that runs experiments, on this or another machine
#   make demo demo-clear   fill in 30 days of made-up usage to look at; take it out again
#   make check test        quick checks (under a minute); everything
#   make bench             measure beside other Streamlit programs (ARGS="...")

.DEFAULT_GOAL := run
.PHONY: run quick-start status logs logs-gateway down validate backup restore setup-link \
        reset-password worker demo demo-clear lint check test bench bench-experiments format lock clean help

PY := .venv/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --no-input
CLI := $(PY) -m chatplay
TIERS := $(wildcard tests/unit tests/db tests/api tests/pages tests/browser tests/live)
FILE ?= backups/chatplay-$(shell date +%Y%m%d-%H%M%S).dump
unexport FILE

run quick-start: .venv/.app
	@exec $(CLI) run

status down validate setup-link: .venv/.app
	@$(CLI) $@

worker: .venv/.app
	@exec $(CLI) worker

demo demo-clear: .venv/.app
	@$(CLI) $@

logs logs-gateway: .venv/.app
	@$(CLI) logs

# Names go through the environment, so that the shell takes blanks, quotes and dollars in them as they are.
given = $(if $(filter command,$(firstword $(origin $(1)))),$(value $(1)))
backup restore: export BACKUP = $(or $(call given,FILE),$(FILE))

backup: .venv/.app
	@$(CLI) backup -- "$$BACKUP"

restore: .venv/.app
	@test -f "$$BACKUP" || { echo "There is no file $$BACKUP. Name the backup: make restore FILE=backups/..." >&2; exit 1; }
	@$(CLI) restore $(if $(filter 1 yes true,$(call given,REPLACE)),--replace) -- "$$BACKUP"

# USERNAME is also what some desktops call whoever sits there: only one given here counts.
reset-password: export ACCOUNT = $(call given,USERNAME)
reset-password: .venv/.app
	@test -n "$$ACCOUNT" || { echo "Name the account: make reset-password USERNAME=..." >&2; exit 1; }
	@$(CLI) reset-password -- "$$ACCOUNT"

lint: .venv/.dev
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports

check: lint
	@$(PY) -m pytest tests/unit

test: lint
	@CHROMIUM_PATH="$$($(PY) -m tests.ensure_chromium)" && export CHROMIUM_PATH && \
	$(PY) -m pytest -n 3 --dist loadfile $(filter-out tests/browser,$(TIERS)) $(ARGS) && \
	{ $(PY) -m pytest -n 2 --dist loadfile tests/browser $(ARGS) || \
	  { echo "Once more, alone, what failed in the browser: on a busy machine a page may have been too slow."; \
	    $(PY) -m pytest --last-failed --last-failed-no-failures none tests/browser $(ARGS); }; }

bench: .venv/.dev
	@CHROMIUM_PATH="$$($(PY) -m tests.ensure_chromium)" && export CHROMIUM_PATH && \
	$(PY) -m bench.chat $(ARGS)

bench-experiments: .venv/.dev
	@$(PY) -m bench.experiments_truth $(ARGS)

format: .venv/.dev
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

# Needs uv. After it, look at the diff: the lock is what everybody installs.
lock:
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links requirements.in -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links requirements-dev.in -o requirements-dev.txt

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

# Data and backups stay.
clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results

.venv/.app: requirements.txt .venv/.python
	@echo "Installing the packages (the first time takes a minute or two)"
	@$(PIP) --progress-bar on -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.app
	@echo "Installing the packages for tests"
	@$(PIP) --progress-bar on -r requirements-dev.txt
	@touch $@

.venv/.python:
	@for python in $(if $(PYTHON),"$(PYTHON)") python3.13 python3.12 python3.11 python3 python; do \
	    if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	        echo "Making .venv with $$("$$python" --version)"; \
	        rm -rf .venv; \
	        if "$$python" -m venv .venv && $(PY) -m pip --version >/dev/null; then touch $@; exit 0; fi; \
	        rm -rf .venv; \
	        echo "$$python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv" >&2; \
	    fi; \
	done; \
	echo "A Python 3.11, 3.12 or 3.13 with venv is needed and none was found." >&2; \
	echo "Install one (Debian: apt-get install python3 python3-venv; macOS: brew install python@3.13)," >&2; \
	echo "or name yours: make run PYTHON=/path/to/python3.12" >&2; \
	exit 1
