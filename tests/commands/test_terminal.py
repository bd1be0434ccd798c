"""On a terminal, commands speak to a person: in colours, and with a question before something is lost for good."""

import asyncio
import os
import pty

from tests.bus.lane import Lane
from tests.commands.command import PATIENCE, Sealane
from tests.commands.test_dead import kill
from workers.bus.rooms import wiring


async def on_a_terminal(sealane: Sealane, *arguments: str, typed: str = "") -> tuple[int, str]:
    """Run a command on a terminal of its own, type into it, and return exit code and screen."""
    ours, theirs = pty.openpty()
    process = await sealane.start_on(theirs, *arguments)
    os.close(theirs)
    os.write(ours, typed.encode())
    reading = asyncio.create_task(asyncio.to_thread(_read_all, ours))
    code = await asyncio.wait_for(process.wait(), PATIENCE)
    return code, await reading


def _read_all(terminal: int) -> str:
    screen = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            os.close(terminal)
            return screen.decode()
        screen += part


async def test_dropping_asks_first(lane: Lane, sealane: Sealane) -> None:
    """No is no, yes is yes."""
    await kill(lane, "hello")
    refused, question = await on_a_terminal(sealane, "dead", "drop", "1", typed="n\n")
    left = await lane.count("DEAD")
    agreed, _ = await on_a_terminal(sealane, "dead", "drop", "1", typed="y\n")

    assert "Drop 1 dead letter(s) for good?" in question
    assert (refused, left) == (1, 1)
    assert (agreed, await lane.count("DEAD")) == (0, 0)


async def test_following_is_coloured(lane: Lane, sealane: Sealane) -> None:
    """What is done is green."""
    async with lane.running(wiring("echo")):
        code, screen = await on_a_terminal(sealane, "publish", "echo.requested", "--set", "message=hello", "--wait")

    assert code == 0
    assert "\x1b[32m✓ done" in screen
