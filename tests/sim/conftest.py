"""Fixtures: the real capture, and short captures of generated traffic."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_capture() -> Path:
    """The main capture of Deribit's feed; tests that need it say why they are skipped."""
    data = Path(os.environ.get("TICKWIRE_DATA",
                               Path(__file__).parents[3] / "shared" / "data"))
    path = data / "deribit" / "sample_capture_v1_6.pcapng"
    if not path.exists():
        pytest.skip(f"no real capture at {path}: set TICKWIRE_DATA to the folder of captures")
    return path
