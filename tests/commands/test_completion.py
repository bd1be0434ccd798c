"""The shell completes what the commands take."""

import os

import pytest

from tests.commands.command import forked


def completed(*words: str) -> list[str]:
    """Return what a bash offers for the last word."""
    asking = {"_SEALANE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    offered = forked((), dict(os.environ) | asking)
    assert offered.code == 0, offered.err
    return offered.out.split()


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
