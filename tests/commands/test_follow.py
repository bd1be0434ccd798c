"""What happened and what happens can be read from the command line."""

import asyncio
import json
import signal

import pytest

from schemas.echoes import EchoAnswered, EchoRequested
from schemas.identity import run_id
from tests.bus.lane import Lane, until, worker
from tests.commands.command import PATIENCE, Sealane
from workers.bus.rooms import wiring
from workers.commands.follow import _covers
from workers.failures import Denied

RUN = run_id("/tests", "hello")


async def _heard(lane: Lane, count: int) -> bool:
    return len(await lane.results()) >= count


async def test_tail_of_a_run_shows_it_from_the_start_and_ends_with_it(lane: Lane, sealane: Sealane) -> None:
    """A run that is over is shown whole, and the exit code says how it ended."""
    async with lane.running(wiring("echo")):
        await lane.ask("hello", "other")
        await until(lambda: _heard(lane, 2))
    done = await sealane("tail", RUN)

    assert (done.code, done.err) == (0, "")
    assert "heard 'hello'" in done.out
    assert "other" not in done.out
    assert f"run {RUN} done" in done.out


async def test_tail_of_a_run_that_failed_exits_1(lane: Lane, sealane: Sealane) -> None:
    """The reason stands in one sentence."""

    async def echo(event: EchoRequested) -> EchoAnswered:
        raise Denied(f"may not say {event.message}")

    async with lane.running(worker(echo)):
        await lane.ask("hello")
        await until(lambda: _heard(lane, 1))
    done = await sealane("tail", RUN)

    assert done.code == 1
    assert "echo gave up on echo.requested hello: may not say hello." in done.err


async def test_tail_of_a_run_waits_for_what_comes(lane: Lane, sealane: Sealane) -> None:
    """One may follow a run before anybody has said a word in it."""
    process = await sealane.start("tail", RUN, "--json")
    async with lane.running(wiring("echo")):
        await lane.ask("hello")
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)

    assert process.returncode == 0
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["result", "completed"]


async def test_tail_of_a_subject_shows_events_with_their_headers(lane: Lane, sealane: Sealane) -> None:
    """Events are read from where one likes, until Ctrl-C."""
    await lane.ask("one", "two", "three")
    process = await sealane.start("tail", "echo.*", "--from-seq", "2", "--json")
    assert process.stdout
    lines = [json.loads(await asyncio.wait_for(process.stdout.readline(), PATIENCE)) for _ in range(2)]
    await lane.ask("four")
    lines.append(json.loads(await asyncio.wait_for(process.stdout.readline(), PATIENCE)))
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), PATIENCE)

    assert process.returncode == 130
    assert [(line["sequence"], line["data"]["message"]) for line in lines] == [(2, "two"), (3, "three"), (4, "four")]
    assert lines[0]["headers"]["ce-id"] == "two"


async def test_tail_cannot_be_steered_by_an_event(lane: Lane, sealane: Sealane) -> None:
    """Control characters and changes of direction are spelled out."""
    await lane.ask("\x1b[2Jgone\u202e")
    process = await sealane.start("tail", "echo.requested", "--from-start")
    assert process.stdout
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), PATIENCE)

    assert b"\x1b" not in line
    assert b"gone" in line
    assert "\u202e" not in line.decode()


async def test_tail_of_what_no_stream_holds_is_refused(lane: Lane, sealane: Sealane) -> None:
    """The sentence says which subjects there are."""
    done = await sealane("tail", "weather.>")

    assert done.code == 2
    assert "no stream holds the subject 'weather.>': follow an event type" in done.err


async def test_runs_lists_the_newest_first(lane: Lane, sealane: Sealane) -> None:
    """Each run says its state, its workers and what it is about."""
    async with lane.running(wiring("echo")):
        for count, message in enumerate(["one", "two", "three"], 1):
            await lane.ask(message)
            await until(lambda count=count: _heard(lane, count))  # type: ignore[misc] # bound early
    done = await sealane("runs", "--limit", "2", "--json")
    table = await sealane("runs")

    assert [(line["state"], line["roots"][0]["subject"]) for line in done.lines] == [("done", "three"), ("done", "two")]
    assert table.out.splitlines()[0].split() == ["RUN", "STATE", "BEGAN", "SECONDS", "BRANCHES", "ABOUT"]
    assert "echo done" in table.out
    assert "echo.requested one" in table.out


async def test_no_runs_is_said(lane: Lane, sealane: Sealane) -> None:
    """An empty bus is no error."""
    done = await sealane("runs")

    assert (done.code, done.out) == (0, "")
    assert "No run has been heard of yet" in done.err


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("image.pushed", True),
        ("image.*", True),
        ("*.pushed", True),
        ("image.>", True),
        (">", True),
        ("image.pushed.>", False),
        ("image", False),
        ("*", False),
        ("image.attested", False),
    ],
)
def test_wildcards_cover_as_on_nats(pattern: str, *, covered: bool) -> None:
    """A star is one token, an arrow is one or more at the end."""
    assert _covers(pattern, "image.pushed") is covered


@pytest.mark.parametrize("what", ["no run", "image pushed.>", "image..pushed", "ü", ""])
async def test_tail_of_what_is_neither_run_nor_subject_is_refused(what: str, lane: Lane, sealane: Sealane) -> None:
    """Nothing could ever come of it, so nobody waits for it."""
    done = await sealane("tail", what)

    assert (done.code, done.out) == (2, "")
    assert f"{what!r} is n" in done.err


async def test_tail_of_a_run_from_a_sequence_leaves_out_what_was_before(lane: Lane, sealane: Sealane) -> None:
    """Progress is read from that number on; from a later one, the run is one that nobody has spoken of yet."""
    async with lane.running(wiring("echo")):
        await lane.ask("other")
        await until(lambda: _heard(lane, 1))
        await lane.ask("hello")
        await until(lambda: _heard(lane, 2))
    last = await lane.count("PROGRESS")
    whole = await sealane("tail", RUN, "--from-seq", str(last), "--json")
    process = await sealane.start("tail", RUN, "--from-seq", str(last + 1))
    assert process.stderr is not None
    said = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
    process.send_signal(signal.SIGINT)
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)

    assert [line["kind"] for line in whole.lines] == ["result", "completed"]
    assert (whole.code, whole.lines[0]["sequence"]) == (0, last)
    assert b"nothing is heard of run" in said
    assert (process.returncode, out) == (130, b"")


async def test_tail_of_a_run_that_nobody_knows_says_so(lane: Lane, sealane: Sealane) -> None:
    """A mistyped run is waited for, but not in silence."""
    process = await sealane.start("tail", "mistyped")
    assert process.stderr is not None
    said = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
    process.send_signal(signal.SIGINT)

    assert b"nothing is heard of run mistyped yet" in said
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 130
