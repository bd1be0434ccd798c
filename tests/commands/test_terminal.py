"""On a terminal, commands speak to a person: in colours, and with a question before something is lost for good."""

import asyncio
import contextlib
import json
import os
import pty
import signal
from datetime import UTC, datetime

from tests.bus.lane import Lane, until
from tests.commands.command import PATIENCE, Sealane
from tests.commands.test_dead import kill
from workers.bus.rooms import wiring

AGAIN = 5.0


async def on_a_terminal(
    sealane: Sealane, *arguments: str, typed: str = "", interrupted_at: str = ""
) -> tuple[int, str]:
    """Run a command on a terminal of its own, type into it, and return exit code and screen.

    It is interrupted when the screen shows `interrupted_at`, as by Ctrl-C.
    """
    ours, theirs = pty.openpty()
    process = await sealane.start_on(theirs, *arguments)
    os.close(theirs)
    os.write(ours, typed.encode())
    screen = bytearray()
    reading = asyncio.create_task(asyncio.to_thread(_read_all, ours, screen))
    try:
        async with asyncio.timeout(PATIENCE):
            if interrupted_at:
                await until(lambda: interrupted_at.encode() in screen, within=PATIENCE, what=interrupted_at)
                await _interrupt(process)
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await reading
    return code, screen.decode()


async def _interrupt(process: asyncio.subprocess.Process) -> None:
    """Interrupt it until it ends: a signal right before it waits for a key is noticed only after that key."""
    while process.returncode is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), AGAIN)


def _read_all(terminal: int, screen: bytearray) -> None:
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            os.close(terminal)
            return
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


async def test_ctrl_c_at_the_question_is_no_answer(lane: Lane, sealane: Sealane) -> None:
    """It ends with the code that shells expect, and nothing is dropped."""
    await kill(lane, "hello")
    code, question = await on_a_terminal(sealane, "dead", "drop", "1", interrupted_at="for good?")

    assert "Drop 1 dead letter(s) for good?" in question
    assert (code, await lane.count("DEAD")) == (130, 1)


async def test_following_is_coloured(lane: Lane, sealane: Sealane) -> None:
    """What is done is green."""
    async with lane.running(wiring("echo")):
        code, screen = await on_a_terminal(sealane, "publish", "echo.requested", "--set", "message=hello", "--wait")

    assert code == 0
    assert "\x1b[32m✓ done" in screen


async def test_what_goes_on_has_a_live_row(lane: Lane, sealane: Sealane) -> None:
    """Below the lines, a branch that is at work says in which step it is and since when; nothing of it stays."""
    event = {"type": "image.pushed", "source": "/ci", "id": "1", "subject": "shop", "stream": "EVENTS", "sequence": 1}
    known = {"worker": "attest", "run": "r", "event": event, "attempt": 1, "at": datetime.now(UTC).isoformat()}
    for number, more in enumerate(({"kind": "started"}, {"kind": "step", "step": "sign it", "state": "began"})):
        await lane.publisher.publish("progress.attest.r", json.dumps(known | {"n": number} | more).encode())
    code, screen = await on_a_terminal(sealane, "tail", "r", interrupted_at="image.pushed shop: sign it (")

    assert code == 130
    assert "· sign it" in screen
