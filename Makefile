# The project's commands. Each sets up .venv from requirements.lock first, and again only when
# the lock file or pyproject.toml has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := $(shell cat requirements.lock pyproject.toml 2>/dev/null | sha256sum | cut -c 1-16)
READY := $(VENV)/ready-$(LOCK)
DATA := $(or $(TICKWIRE_DATA),../shared/data)
PART ?= LFE5UM5G-85F-8

.PHONY: demo test lint types bench soak core setup lock clean

demo: $(READY)  ## replay a capture through the gateware, write build/demo/report.html
	@capture="$(DATA)/deribit/sample_capture_v1_6.pcapng"; \
	if [ -f "$$capture" ]; then \
		echo "Replaying the real capture $$capture"; \
	else \
		echo "No real capture at $$capture (set TICKWIRE_DATA): replaying generated traffic"; \
		capture=build/demo/traffic.pcap; mkdir -p build/demo; \
		$(BIN)/tickwire traffic --venue deribit --seed 4 --packets 5000 --out "$$capture"; \
	fi && $(BIN)/tickwire replay "$$capture" --venue deribit --out build/demo

test: $(READY)  ## run every test
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)  ## style, and the types of host/ and sim/
	$(BIN)/ruff check .
	rm -rf build/types && mkdir -p build/types/tickwire
	for part in hdl gateware host sim boards; do ln -s "$(CURDIR)/$$part" build/types/tickwire/; done
	MYPYPATH=build/types $(BIN)/mypy -p tickwire.host -p tickwire.sim

bench: $(READY)  ## speed of the engines on the same frames; docs/latency.md and docs/rooms.md
	$(BIN)/python -m tickwire.sim.bench

soak: $(READY)  ## the tests with their full counts; takes hours
	TICKWIRE_SOAK=1 $(BIN)/python -m pytest --timeout 7200 $(ARGS)

core: $(READY)  ## synthesise, place and route the whole core
	$(BIN)/tickwire build core --part $(PART)

setup: $(READY)  ## only set up the virtual environment

# Without pip inside: Debian's python3 makes such an environment without the package
# python3-venv, and its own pip fills it. asn1tools, which nasdaq-protocols wants, has no wheel.
$(READY): requirements.lock pyproject.toml
	rm -rf $(VENV)
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check \
		--no-deps --only-binary :all: --no-binary asn1tools -r requirements.lock
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation -e .
	touch $@

lock:  ## resolve pyproject.toml anew and write requirements.lock
	$(PYTHON) scripts/lock.py

clean:  ## remove what was built, but not the environment
	rm -rf build
