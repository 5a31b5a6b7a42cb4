"""Rules that the whole project keeps: imports, sizes, docstrings, and no skips in CI."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("hdl", "gateware", "host", "sim", "boards")
LIMIT = 400

pytest_plugins = ["pytester"]


def sources(*folders):
    """Python files of ours in some folders, or everywhere."""
    places = [ROOT / folder for folder in folders] or [
        ROOT / folder for folder in (*FOLDERS, ".ci", "tests", "examples", "scripts")]
    return sorted(path for place in places for path in place.rglob("*.py"))


def name(path):
    return str(path.relative_to(ROOT))


def tree(path):
    return ast.parse(path.read_text(), filename=str(path))


def imports(path):
    """Absolute names of all modules and things that a file imports, also inside of functions."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ("tickwire", *path.relative_to(ROOT).parts[:-node.level or None])
            module = ".".join([*package * bool(node.level), *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def importing(paths, *packages):
    """Which files import which of some packages, as sentences."""
    return [f"{name(path)} imports {module}" for path in paths for module in imports(path)
            if any(module == package or module.startswith(package + ".") for package in packages)]


def test_nothing_imports_a_bare_folder():
    assert importing(sources(), *FOLDERS) == []


def test_gateware_has_no_postponed_annotations():
    guilty = [name(path) for path in sources("hdl", "gateware", "boards")
              if "__future__.annotations" in imports(path)]
    assert guilty == [], "they break Component and empty a data.Struct"


def test_layers_import_downwards_only():
    assert importing(sources("hdl"), "tickwire.gateware", "tickwire.boards", "tickwire.host",
                     "tickwire.sim") == []
    assert importing(sources("gateware"), "tickwire.boards", "tickwire.host", "tickwire.sim") == []
    assert importing(sources("boards"), "tickwire.host", "tickwire.sim") == []


def test_models_know_nothing_of_the_gateware():
    assert importing(sources("sim/models"), "tickwire.hdl", "tickwire.gateware", "amaranth") == []


def test_the_host_does_not_load_amaranth():
    assert importing(sources("host"), "amaranth") == []
    modules = [f"tickwire.{name(path).removesuffix('.py').replace('/', '.')}"
               for path in sources("host")]
    code = (f"import sys, importlib\nfor module in {modules!r}: importlib.import_module(module)\n"
            "print([name for name in sys.modules if name.split('.')[0] == 'amaranth'])")
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                             text=True).stdout
    assert printed.strip() == "[]"


def test_packages_export_nothing():
    assert [name(path) for path in sources(*FOLDERS)
            if path.name == "__init__.py" and path.read_text().strip()] == []
    assert [name(path) for path in sources("tests") if path.name == "__init__.py"] == []


def test_every_package_is_installed():
    listed = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(),
                       re.DOTALL | re.MULTILINE)[1]
    found = {"tickwire." + name(path.parent).replace("/", ".") for path in sources(*FOLDERS)
             if path.name == "__init__.py"}
    assert set(re.findall(r'"(tickwire[\w.]*)"', listed)) == found
    with_code = {"tickwire." + name(path.parent).replace("/", ".") for path in sources(*FOLDERS)}
    assert with_code - found == set()


def test_test_files_have_names_of_their_own():
    seen = [path.name for path in sources("tests") if path.name != "conftest.py"]
    assert sorted({twice for twice in seen if seen.count(twice) > 1}) == []


def test_no_file_is_too_long():
    assert [f"{name(path)} has {lines} lines" for path in sources()
            if (lines := len(path.read_text().splitlines())) > LIMIT] == []


def test_every_file_says_its_purpose():
    assert [name(path) for path in sources()
            if path.name != "__init__.py" and not ast.get_docstring(tree(path))] == []


def components(path):
    """Classes of a file that are Amaranth components and have an ``elaborate`` of their own."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef) and any(
                isinstance(item, ast.FunctionDef) and item.name == "elaborate"
                for item in node.body) and any(
                ast.unparse(base).endswith("Component") for base in node.bases):
            yield node


def test_every_component_states_its_latency():
    assert [f"{name(path)}: {node.name}" for path in sources("hdl") for node in components(path)
            if "latency" not in (ast.get_docstring(node) or "").lower()] == []


def test_the_lock_file_has_every_dependency():
    locked = {line.partition("==")[0].replace("_", "-").lower()
              for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    wanted = {match.lower() for match in re.findall(
        r'^    "([\w-]+)[^"]*", *#', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)}
    assert len(wanted) > 15
    assert wanted - locked == set()


@pytest.mark.parametrize("ci, outcome", [("true", {"failed": 1}), ("", {"skipped": 1})])
def test_a_skip_fails_in_ci_only(pytester, monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyfile("import pytest\ndef test_it(): pytest.skip('no network')")
    result = pytester.runpytest()
    result.assert_outcomes(**outcome)
    if ci:
        result.stdout.fnmatch_lines(["*CI has no skips, but this one was skipped: no network"])


def test_a_skipped_module_fails_in_ci(pytester, monkeypatch):
    monkeypatch.setenv("CI", "true")
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyfile("import pytest\npytest.importorskip('not_there')\ndef test_it(): pass")
    pytester.runpytest().assert_outcomes(errors=1)


PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_python_in_the_readme_runs(tmp_path):
    """All blocks together are one program, run in a folder of its own."""
    blocks = PYTHON_BLOCK.findall((ROOT / "README.md").read_text())
    if not blocks:
        return
    program = tmp_path / "readme.py"
    program.write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, "-W", "error", str(program)], cwd=ROOT, check=False,
                          capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr


LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def test_links_between_documents_lead_somewhere():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert [f"{name(document)}: {link}" for document in documents
            for link in LINK.findall(document.read_text())
            if not (document.parent / link).exists()] == []
