"""Writes requirements.lock: what pip resolves today for pyproject.toml with all its extras.

Run it as ``make lock``. It installs nothing. The result depends on the package index only, so two
runs on one day give the same file; read its diff before you commit it.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAD = """\
# Exact versions of everything that is installed. Written by `make lock`, do not edit.
"""


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = ",".join(project["project"]["optional-dependencies"])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--dry-run",
                        "--ignore-installed", "--disable-pip-version-check",
                        "--report", str(report), f"{ROOT}[{extras}]",
                        *project["build-system"]["requires"]], check=True)
        found = json.loads(report.read_text())["install"]
    pins = sorted(f"{item['metadata']['name'].lower()}=={item['metadata']['version']}"
                  for item in found if item["metadata"]["name"] != project["project"]["name"])
    (ROOT / "requirements.lock").write_text(HEAD + "\n".join(pins) + "\n")


if __name__ == "__main__":
    main()
