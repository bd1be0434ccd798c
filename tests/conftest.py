"""What holds for every test: gcloud where it is present, and no silent skip."""

import os
import shutil

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of the real gcloud where there is none, with the reason."""
    if shutil.which("gcloud") is not None:
        return
    for item in items:
        if item.get_closest_marker("gcloud") is not None:
            item.add_marker(pytest.mark.skip(reason="the Google Cloud SDK is not on the PATH"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a skip fail the run where CI=true: there, everything must be present."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return
    skipped = len(reporter.stats.get("skipped", ()))
    if skipped and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        reporter.write_line(f"\nCI=true: {skipped} skipped, so the run failed", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
