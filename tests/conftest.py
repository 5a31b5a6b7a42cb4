"""What holds for every test: no skips in CI, and examples that are the same in every run."""

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent

# Reasons, by how they begin, for which a test may be skipped in CI as well. None is needed today.
ALLOWED_SKIPS: tuple[str, ...] = ()

hypothesis.settings.register_profile("project", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("soak", parent=hypothesis.settings.get_profile("project"),
                                     derandomize=False, max_examples=10_000)
hypothesis.settings.load_profile("soak" if os.environ.get("TICKWIRE_SOAK") else "project")


def forbid_skip(report):
    """Turn a skipped test or module into a failed one where ``CI`` is set."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED_SKIPS or ("\0",)):
        report.outcome = "failed"
        report.longrepr = f"CI has no skips, but this one was skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    forbid_skip(report)
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether `make soak` is running, which wants the full counts."""
    return bool(os.environ.get("TICKWIRE_SOAK"))
