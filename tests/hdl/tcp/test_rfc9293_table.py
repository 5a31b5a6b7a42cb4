"""docs/rfc9293.md: every requirement of the RFC has a row, and every test it names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs" / "rfc9293.md").read_text()


def test_every_requirement_has_a_row():
    # Appendix B; MUST-59 and the like are there, MUST-70 and SHLD-32 are not.
    rows = re.findall(r"^\| [^|]+ \| ((?:MUST|SHLD|MAY|REC)-\d+) \| ([^|]+) \|$", TABLE, re.M)
    have = {name for name, _ in rows}
    assert {f"MUST-{number}" for number in range(1, 70)} - have == set()
    assert {f"SHLD-{number}" for number in range(1, 32)} - have == set()
    assert {f"MAY-{number}" for number in range(1, 19)} - have == set()
    assert have <= {f"{kind}-{number}" for kind in ("MUST", "SHLD", "MAY", "REC")
                    for number in range(1, 70)}
    assert all(re.search(r"\.py::test_|^not applicable: |^not yet", said) for _, said in rows)


def test_every_named_test_exists():
    named, module = set(), None
    for found in re.finditer(r"(test_\w+\.py)?::(test_\w+)", TABLE):
        module = found[1] or module
        named.add((module, found[2]))
    missing = []
    for module, name in sorted(named):
        path = ROOT / "tests" / "hdl" / "tcp" / module
        functions = {node.name for node in ast.parse(path.read_text()).body
                     if isinstance(node, ast.FunctionDef)} if path.exists() else set()
        if name not in functions:
            missing.append(f"{module}::{name}")
    assert missing == []
