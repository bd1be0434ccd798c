"""The limit of open files is raised as far as it can be, and what is missing is said."""

import subprocess
import sys

import pytest

SCRIPT = """
import logging, resource
logging.basicConfig(format="%(message)s")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
from workers.app.open_files import allow_open_files
print(allow_open_files(200), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("hard", "allowed", "is_said"), [(400, 200, False), (100, 100, True)])
def test_soft_limit_is_raised_to_what_is_wanted(hard: int, allowed: int, is_said: bool) -> None:  # noqa: FBT001 - a table
    """Up to the hard limit, which only an operator can raise: then it is a sentence in the log."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(hard=hard)], capture_output=True, text=True, timeout=60, check=True
    )

    assert run.stdout.split() == [str(allowed)] * 2
    assert ("may need 200: raise the hard limit" in run.stderr) is is_said
