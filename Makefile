# For people and for CI. Needs Python 3.11 or newer with its venv module; `make help` says more.

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
READY_TO_RUN := $(VENV)/ready-to-run
READY_TO_TEST := $(VENV)/ready-to-test
COVERED_PERCENT := 85
# Two at once, each a half of them in order, so that what a module needs is made once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal --durations=10

# The first of these that is new enough; looked for only when .venv has to be made.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

.PHONY: help run test check firmware bench bench-full torture screenshots addon clean
.DELETE_ON_ERROR:

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

run: $(READY_TO_RUN) ## set up, then run your config.yaml (as delivered: a demo with a simulated sensor)
	@$(BIN)/cw-mqtt run --demo-when-simulated

test: $(READY_TO_TEST) ## run all tests
	@sh tests/install_servers.sh
	@sh tests/firmware/install_toolchain.sh
	$(PYTEST)

check: $(READY_TO_TEST) ## all that CI demands: format, lint, types, tests, coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@sh tests/install_servers.sh
	@sh tests/firmware/install_toolchain.sh
	$(PYTEST) --cov --cov-report=term --cov-fail-under=$(COVERED_PERCENT)

firmware: ## compile the sketches to build/firmware/*.hex, and say how large they are
	@sh tests/firmware/install_toolchain.sh
	@$(MAKE) --no-print-directory -s -C tests/firmware hex

bench: $(READY_TO_TEST) ## measure speed and memory (minutes)
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench_history sqlite 0.5
	$(BIN)/python -m tests.bench_history postgresql 0.5

bench-full: $(READY_TO_TEST) ## measure years of history (an hour, and 40 GB in the temporary folder)
	$(BIN)/python -m tests.bench_history sqlite 1 3
	$(BIN)/python -m tests.bench_history sqlite 10 3
	$(BIN)/python -m tests.bench_history postgresql 1 3
	$(BIN)/python -m tests.bench_history postgresql 10 3

torture: $(READY_TO_TEST) ## attack sensors and the web, simulate a year, run all tests at full length (hours)
	$(BIN)/python -m tests.torture
	CW_MQTT_TORTURE=1 $(PYTEST) --timeout=7200

screenshots: $(READY_TO_TEST) ## make the pictures in docs/images anew
	$(BIN)/python -m tests.screenshots

addon: $(READY_TO_RUN) ## make build/addon/cw_mqtt, the folder that Home Assistant installs as an add-on
	@rm -rf build
	@mkdir -p build/addon
	@cp -R homeassistant/addon build/addon/cw_mqtt
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
		--wheel-dir build/addon/cw_mqtt .
	@echo "Copy the folder build/addon/cw_mqtt into Home Assistant's folder addons."

clean: ## remove all that was made here, except your data
	rm -rf $(VENV) build *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Stamps: newer than pyproject.toml means that what it asks for is installed.
$(READY_TO_RUN): pyproject.toml | $(BIN)/python
	@echo "Installing cw_mqtt and what it needs into $(VENV) (a minute or so)..."
	@$(PIP_INSTALL) --editable '.[demo]'
	@touch $@

$(READY_TO_TEST): pyproject.toml | $(BIN)/python
	@echo "Installing cw_mqtt, what it needs and the test tools into $(VENV) (a minute or two)..."
	@$(PIP_INSTALL) --editable '.[demo,test]'
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "cw_mqtt needs Python 3.11 or newer, and none is found:" \
		"install it, or say where it is: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is needed: sudo apt-get install python3-venv" >&2; exit 1; }
