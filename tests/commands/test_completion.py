"""The shell completes what the commands take."""

import os
import subprocess
import sys

import pytest


def completed(*words: str) -> list[str]:
    """Return what a bash offers for the last word."""
    asking = {"_SEALANE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    offered = subprocess.run(
        [sys.executable, "-c", "from workers.__main__ import main; main()"],
        env=dict(os.environ) | asking,
        capture_output=True,
        text=True,
        check=True,
    )
    return offered.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("sealane", "publish", "echo."), ["echo.answered", "echo.requested"]),
        (("sealane", "publish", "image.p"), ["image.pushed"]),
        (("sealane", "schema", "show", "echo.r"), ["echo.requested"]),
        (("sealane", "dead", "list", "--type", "echo.r"), ["echo.requested"]),
        (("sealane", "dead", "replay", "--worker", "ec"), ["echo"]),
        (("sealane", "line", "stop", "ec"), ["echo"]),
        (("sealane", "worker", "attest", "ec"), ["echo"]),
        (("sealane", "publish", "weather"), []),
    ],
)
def test_names_are_offered(words: tuple[str, ...], offered: list[str]) -> None:
    """Types of event and workers, by how they begin."""
    assert completed(*words) == offered
