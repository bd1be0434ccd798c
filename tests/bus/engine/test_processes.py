"""Processes die, handlers hang, messages poison: what the others notice of it."""

import asyncio
import time
from datetime import timedelta

import pytest

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.engine.child import CULPRIT, wirings
from tests.bus.engine.conditions import answer, answered, is_done, not_ready, publish_raw, spawn
from tests.bus.lane import Lane, until, worker
from workers.bus.engine import handling
from workers.bus.judgement.line import read_line
from workers.bus.transport import headers as names
from workers.failures import TemporaryError


async def test_a_message_that_kills_its_process_is_found_among_256_innocents(lane: Lane) -> None:
    """All share its delivery count, but only lone runs count: one dead letter, 256 answers, each once."""
    await lane.provision(wirings()["fragile"])
    innocents = [f"innocent {number}" for number in range(256)]
    await lane.ask(*innocents[:128], CULPRIT, *innocents[128:])

    deaths = 0
    child = spawn("fragile", lane.url)
    try:
        while not await lane.count("DEAD"):
            if child.poll() is not None:
                deaths += 1
                assert deaths < 12, "the fuse does not blow"
                child = spawn("fragile", lane.url)
            await asyncio.sleep(0.05)
        await until(lambda: is_done(lane, "fragile"), within=120, what="all innocents are answered")
        # The last lone run is written off after its answer: killed in between, the process could not do it.
        await until(lambda: is_written_off(lane, "fragile"), within=120, what="every lone run is written off")
    finally:
        child.kill()
        child.wait()

    (letter, _), *others = await lane.messages("DEAD")
    assert not others
    assert letter["ce-id"] == CULPRIT.replace(" ", "%20")
    assert letter[names.DEAD_REASON] == "crash"
    assert await lane.answers() == sorted(innocents)


async def is_written_off(lane: Lane, worker: str) -> bool:
    """Whether no lone run waits for its verdict."""
    state, _ = await read_line(lane.connection, worker)
    return state.lone_runs == {}


async def test_a_handler_longer_than_the_lease_runs_once(lane: Lane) -> None:
    """Heartbeats hold what runs and what waits behind it, though each alone takes longer than ack_wait."""
    called: list[str] = []

    async def thorough(event: EchoRequested) -> EchoAnswered:
        called.append(event.message)
        await asyncio.sleep(1.5)
        return EchoAnswered(message=event.message)

    wiring = worker(thorough, ack_wait=timedelta(seconds=1), concurrency=1)
    await lane.provision(wiring)
    await lane.ask("1", "2", "3")

    async with lane.running(wiring):
        await until(lambda: is_done(lane, "thorough"))

    assert sorted(called) == ["1", "2", "3"]


async def test_a_stuck_handler_is_cancelled_and_its_message_comes_back(lane: Lane) -> None:
    """It loses its place after its time limit; the next attempt may succeed."""
    called: list[str] = []

    async def stuck(event: EchoRequested) -> EchoAnswered:
        called.append(event.message)
        if len(called) == 1:
            await asyncio.Event().wait()
        return EchoAnswered(message=event.message)

    wiring = worker(stuck, time_limit=timedelta(seconds=1))
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring):
        await until(lambda: is_done(lane, "stuck"))

    (retry,) = await lane.results(outcome="retry")
    assert "longer than its time limit" in retry["message"]
    assert await lane.answers() == ["x"]


async def test_a_stopped_worker_hands_back_at_once_what_it_did_not_start(lane: Lane) -> None:
    """Another replica has it long before any lease ends, and what ran was finished, each once."""
    release = asyncio.Event()
    started: list[str] = []

    async def slow(event: EchoRequested) -> EchoAnswered:
        started.append(event.message)
        await release.wait()
        return EchoAnswered(message=event.message)

    wiring = worker(slow, ack_wait=timedelta(seconds=60), concurrency=2)
    await lane.provision(wiring)
    async with lane.running(wiring, prefetch=20) as leaving:
        await lane.ask(*(str(number) for number in range(20)))
        await until(lambda: len(leaving.hold) == 20)
        begun = time.monotonic()
        asyncio.get_running_loop().call_later(0.5, release.set)
    held = await lane.pending("EVENTS", "slow")
    async with lane.running(wiring):
        await until(lambda: is_done(lane, "slow"))

    assert sum(held) == 18
    assert time.monotonic() - begun < 45
    assert len(started) == len(set(started)) == 20


async def test_sigterm_under_load_holds_nothing_and_exits_with_zero(lane: Lane) -> None:
    """A real process: stopped in the middle of 400 events, another has the rest at once, each answered once."""
    wiring = wirings()["steady"]
    await lane.provision(wiring)
    messages = [str(number) for number in range(400)]
    await lane.ask(*messages)
    first = spawn("steady", lane.url)
    second = None
    try:
        await until(lambda: answered(lane, 20), what="the first works")
        first.terminate()
        stopped = time.monotonic()
        assert await asyncio.to_thread(first.wait, 60) == 0
        assert time.monotonic() - stopped < 30
        second = spawn("steady", lane.url)
        await until(lambda: is_done(lane, "steady"), within=120)
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()

    assert await lane.answers() == sorted(messages)
    assert len(await lane.results(outcome="done")) == 400


async def test_a_killed_process_loses_nothing_and_repeats_nothing(lane: Lane) -> None:
    """Kill -9 in the middle of 300 events: what was in its hands is done again, each answer is stored once."""
    wiring = wirings()["fragile"]
    await lane.provision(wiring)
    messages = [str(number) for number in range(300)]
    await lane.ask(*messages)
    first = spawn("fragile", lane.url)
    await until(lambda: answered(lane, 50))
    first.kill()
    first.wait()
    second = spawn("fragile", lane.url)
    try:
        await until(lambda: is_done(lane, "fragile"), within=120)
    finally:
        second.kill()
        second.wait()

    assert await lane.answers() == sorted(messages)


async def test_what_cannot_be_read_waits_for_a_place_among_the_dead(lane: Lane) -> None:
    """While DEAD is away nothing is pulled and readiness says why; once it is back, burial and work go on."""
    wiring = worker(answer, ack_wait=timedelta(seconds=2))
    await lane.provision(wiring)
    await lane.connection.client.jetstream().delete_stream("DEAD")
    await publish_raw(lane.url, "echo.requested", b"NATS/1.0", b"unreadable")
    await lane.ask("after")

    async with lane.running(wiring) as engine:
        await until(lambda: not_ready(engine, "cannot be read"), within=120, what="readiness says why")
        await lane.provision(wiring)
        await until(lambda: is_done(lane, "answer"), within=120, what="everything is acknowledged")

    assert await lane.count("DEAD") == 1
    assert await lane.answers() == ["after"]


async def test_a_lone_run_that_a_stop_interrupts_is_no_death(lane: Lane) -> None:
    """A suspect handed back at a graceful stop counts nothing towards the fuse."""
    running = asyncio.Event()

    async def endless(event: EchoRequested) -> EchoAnswered:
        running.set()
        await asyncio.Event().wait()
        return EchoAnswered(message=event.message)

    wiring = worker(endless)
    await lane.provision(wiring)
    await lane.ask("x")
    for _ in range(3):
        running.clear()
        async with lane.running(wiring, grace=0.1):
            await asyncio.wait_for(running.wait(), 60)

    state, _ = await read_line(lane.connection, "endless")
    assert state.lone_runs == {}
    assert await lane.count("DEAD") == 0


async def test_a_message_over_which_our_own_code_stumbles_is_buried_in_the_end(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When even judging fails, the message is not delivered for ever: run alone, it becomes a dead letter."""

    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    async def failing(event: EchoRequested) -> EchoAnswered:
        raise TemporaryError("not now")

    monkeypatch.setattr(handling, "judge", stumble)
    wiring = worker(failing, ack_wait=timedelta(seconds=1))
    await lane.provision(wiring)
    await lane.ask("x")
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)

    async with lane.running(wiring):
        await until(lambda: is_done(lane, "failing"), within=120)

    (letter, _), *_ = await lane.messages("DEAD")
    assert letter[names.DEAD_REASON] == "unjudged"
    assert letter["ce-id"] == "x"
