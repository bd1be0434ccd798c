"""What holds for every test: gcloud where it is present, no silent skip, and how long the fuzzers look."""

import gc
import os
import shutil

import hypothesis
import pytest

# What is collected stays until the end, so that to look for garbage in it again and again doubles the time it takes.
gc.disable()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let somebody look longer than the tests of every day do."""
    parser.addoption("--examples", type=int, default=None, help="examples that each fuzzer tries, instead of few")


def pytest_configure(config: pytest.Config) -> None:
    """Give each example the time it takes, since a slow machine is no fault; turn every fuzzer up when asked."""
    patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    if (examples := config.getoption("--examples")) is not None:
        patient = hypothesis.settings(patient, max_examples=examples)
    hypothesis.settings.register_profile("patient", patient)
    hypothesis.settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of the real gcloud where there is none, with the reason."""
    if shutil.which("gcloud") is not None:
        return
    for item in items:
        if item.get_closest_marker("gcloud") is not None:
            item.add_marker(pytest.mark.skip(reason="the Google Cloud SDK is not on the PATH"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Look for garbage again, but never in what was collected."""
    gc.freeze()
    gc.enable()


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
