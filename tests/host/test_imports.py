"""Who may import whom."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import tickwire.host

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hdl", "gateware", "host", "sim", "boards")
SOURCES = sorted(path for name in (*PACKAGES, "tests", "docs", "examples")
                 for path in (ROOT / name).rglob("*.py"))


def imported(path):
    """Absolute names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_host_never_imports_amaranth():
    modules = [f"tickwire.host.{module.name}" for module in
               pkgutil.iter_modules(tickwire.host.__path__)]
    assert "tickwire.host.gateway" in modules
    code = (f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
            "sys.exit(' '.join(m for m in sys.modules if m.split('.')[0] == 'amaranth') or 0)")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, result.stderr


def test_nothing_imports_a_bare_package():
    for path in SOURCES:
        for name in imported(path):
            assert name.split(".")[0] not in PACKAGES, f"{path} imports {name}"


@pytest.mark.parametrize("folder, forbidden", [
    ("hdl", ("tickwire.host", "tickwire.sim", "tickwire.boards")),
    ("gateware", ("tickwire.host", "tickwire.sim", "tickwire.boards")),
    ("host", ("tickwire.sim", "tickwire.boards", "amaranth")),
    ("sim/models", ("tickwire.hdl", "tickwire.gateware", "amaranth")),
])
def test_arrows_between_the_folders(folder, forbidden):
    for path in (ROOT / folder).rglob("*.py"):
        for name in imported(path):
            assert not name.startswith(forbidden), f"{path} imports {name}"


def test_no_postponed_annotations_in_gateware():
    for folder in ("hdl", "gateware", "boards"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "__future__" not in list(imported(path)), path


def test_package_files_are_empty():
    for name in PACKAGES:
        for path in (ROOT / name).rglob("__init__.py"):
            assert path.read_text() == "", path
