PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

demo: .venv/installed
	$(BIN)/ionspike demo

test: .venv/installed
	$(BIN)/python -m pytest -n auto --dist loadfile --max-worker-restart 0

# The checker does not see through an editable install of mapped folders: it gets a tree of links.
TYPES := build/types/ionspike
FOLDERS := spec hdl host sim boards train fidelity

lint: .venv/installed
	$(BIN)/ruff check .
	@rm -rf $(TYPES) && mkdir -p $(TYPES)
	@ln -s $(CURDIR)/api/__init__.py $(TYPES)/__init__.py
	@for folder in $(FOLDERS); do ln -s $(CURDIR)/$$folder $(TYPES)/$$folder; done
	MYPYPATH=build/types $(BIN)/mypy -p ionspike

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "ionspike needs Python 3.11 or newer as $(PYTHON); set PYTHON=... to another" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) cannot make virtual environments: sudo apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
