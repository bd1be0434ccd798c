"""Processes die, handlers hang, messages poison: what the others notice of it."""

import asyncio
import socket
import subprocess
import sys
import time
from datetime import timedelta

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.engine.child import CULPRIT, wirings
from tests.bus.lane import Lane, until, worker
from workers.bus import headers as names
from workers.bus.line import read_line, resume_line, stop_line
from workers.failures import PermanentError
from workers.local.nats import NatsServer


async def answer(event: EchoRequested) -> EchoAnswered:
    """Answer at once."""
    return EchoAnswered(message=event.message)


async def test_a_message_that_kills_its_process_is_found_among_256_innocents(lane: Lane) -> None:
    """All share its delivery count, but only lone runs count: one dead letter, 256 answers, each once."""
    await lane.provision(wirings()["fragile"])
    innocents = [f"innocent {number}" for number in range(256)]
    await lane.ask(*innocents[:128], CULPRIT, *innocents[128:])

    deaths = 0
    child = _spawn("fragile", lane.url)
    try:
        while not await lane.count("DEAD"):
            if child.poll() is not None:
                deaths += 1
                assert deaths < 12, "the fuse does not blow"
                child = _spawn("fragile", lane.url)
            await asyncio.sleep(0.05)
        await until(lambda: _is_done(lane, "fragile"), within=60, what="all innocents are answered")
    finally:
        child.kill()
        child.wait()

    (letter, _), *others = await lane.messages("DEAD")
    assert not others
    assert letter["ce-id"] == CULPRIT.replace(" ", "%20")
    assert letter[names.DEAD_REASON] == "crash"
    assert await lane.answers() == sorted(innocents)
    state, _ = await read_line(lane.connection, "fragile")
    assert state.lone_runs == {}


async def test_a_header_block_that_cannot_be_read_is_buried_and_the_line_goes_on(lane: Lane) -> None:
    """It ends the read loop of any client; it is found by sequence, buried and never delivered again."""
    wiring = worker(answer, ack_wait=timedelta(seconds=2))
    await lane.provision(wiring)
    await lane.ask("before")
    await _publish_raw(lane.url, "echo.requested", b"NATS/1.0", b'{"message": "unreadable"}')
    await lane.ask("after")

    async with lane.running(wiring):
        await until(lambda: _is_done(lane, "answer"), within=60, what="everything is acknowledged")

    (letter, body), *others = await lane.messages("DEAD")
    assert not others
    assert letter[names.DEAD_REASON] == "unreadable"
    assert letter[names.DEAD_BLOCK] == "TkFUUy8xLjA="
    assert body == b'{"message": "unreadable"}'
    assert await lane.answers() == ["after", "before"]


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
        await until(lambda: _is_done(lane, "thorough"))

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
        await until(lambda: _is_done(lane, "stuck"))

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
        await until(lambda: _is_done(lane, "slow"))

    assert sum(held) == 18
    assert time.monotonic() - begun < 15
    assert len(started) == len(set(started)) == 20


async def test_sigterm_under_load_holds_nothing_and_exits_with_zero(lane: Lane) -> None:
    """A real process: stopped in the middle of 400 events, another has the rest at once, each answered once."""
    wiring = wirings()["steady"]
    await lane.provision(wiring)
    messages = [str(number) for number in range(400)]
    await lane.ask(*messages)
    first = _spawn("steady", lane.url)
    second = None
    try:
        await until(lambda: _answered(lane, 20), what="the first works")
        first.terminate()
        stopped = time.monotonic()
        assert await asyncio.to_thread(first.wait, 15) == 0
        assert time.monotonic() - stopped < 10
        second = _spawn("steady", lane.url)
        await until(lambda: _is_done(lane, "steady"), within=60)
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
    first = _spawn("fragile", lane.url)
    await until(lambda: _answered(lane, 50))
    first.kill()
    first.wait()
    second = _spawn("fragile", lane.url)
    try:
        await until(lambda: _is_done(lane, "fragile"), within=60)
    finally:
        second.kill()
        second.wait()

    assert await lane.answers() == sorted(messages)


async def test_a_killed_server_loses_nothing_and_repeats_nothing(lane: Lane, nats_server: NatsServer) -> None:
    """Kill -9 of the server under load, twice; the worker goes on by itself."""
    wiring = worker(answer)
    await lane.provision(wiring)
    messages = [str(number) for number in range(2000)]
    async with lane.running(wiring) as engine:
        publishing = asyncio.create_task(lane.ask(*messages))
        for _ in range(2):
            before = engine.metrics.handled["done"]._value.get()
            await until(lambda before=before: engine.metrics.handled["done"]._value.get() > before + 100)
            await nats_server.kill()
            await nats_server.start()
        await publishing
        await until(lambda: _is_done(lane, "answer"), within=60)

    assert await lane.answers() == sorted(messages)


async def test_a_server_away_for_as_many_attempts_as_in_ten_minutes_is_found_again(
    lane: Lane, nats_server: NatsServer
) -> None:
    """300 failed attempts to reconnect, as many as a client with a two-second wait makes in ten minutes."""
    wiring = worker(answer)
    await lane.provision(wiring)
    async with lane.running(wiring) as engine:
        engine.incoming.client.options["reconnect_time_wait"] = 0.01
        engine.outgoing.client.options["reconnect_time_wait"] = 0.01
        await lane.ask("before")
        await until(lambda: _is_done(lane, "answer"))
        await nats_server.kill()
        attempts = engine.incoming.client
        await until(lambda: _reconnects(attempts) >= 300, within=60, what="300 attempts failed")
        assert not (await engine.health()).ready
        await nats_server.start()
        await lane.ask("after")
        await until(lambda: _is_done(lane, "answer"), within=60)
        await until(lambda: _ready(engine), what="it says that it is ready again")

    assert await lane.answers() == ["after", "before"]


async def test_a_deleted_consumer_is_said_and_work_goes_on_once_it_is_back(lane: Lane) -> None:
    """No spinning, no silence: readiness names it, and nobody has to restart anything."""
    wiring = worker(answer)
    await lane.provision(wiring)
    async with lane.running(wiring) as engine:
        await lane.ask("before")
        await until(lambda: _is_done(lane, "answer"))
        await lane.connection.client.jetstream().delete_consumer("EVENTS", "answer")
        await until(lambda: _not_ready(engine, "EVENTS"), what="readiness names the consumer")
        await lane.provision(wiring)
        await lane.ask("after")
        await until(lambda: _ready(engine), what="ready again")
        await until(lambda: _answered(lane, 2))

    assert await lane.answers() == ["after", "before"]


async def test_a_deleted_stream_is_said_and_work_goes_on_once_it_is_back(lane: Lane) -> None:
    """The same for the stream itself."""
    wiring = worker(answer)
    await lane.provision(wiring)
    async with lane.running(wiring) as engine:
        await until(lambda: _ready(engine))
        await lane.connection.client.jetstream().delete_stream("EVENTS")
        await until(lambda: _not_ready(engine, "EVENTS"), what="readiness names the stream")
        await lane.provision(wiring)
        await lane.ask("after")
        await until(lambda: _answered(lane, 1))

    assert await lane.answers() == ["after"]


async def test_a_full_stream_refuses_the_follow_up_and_the_input_stays(lane: Lane) -> None:
    """Nothing old is dropped for something new: the input waits on the bus until there is room."""

    async def big(event: EchoRequested) -> EchoAnswered:
        return EchoAnswered(message="y" * 2000)

    wiring = worker(big)
    await lane.provision(wiring, events_bytes=6000)
    await lane.ask("x" * 1500)
    async with lane.running(wiring):
        await until(lambda: _retried(lane), what="the follow-up was refused and the input is retried")
        await lane.provision(wiring, events_bytes=64 * 1024**2)
        await until(lambda: _is_done(lane, "big"))

    (retry, *_) = await lane.results(outcome="retry")
    assert "takes nothing now" in retry["message"]
    assert len(await lane.answers()) == 1


async def test_the_line_stops_for_all_replicas_and_runs_again_when_a_message_succeeds(lane: Lane) -> None:
    """After 20 dead letters both replicas stop; one tries a message at a time; a success resumes both."""
    broken = True

    async def moody(event: EchoRequested) -> EchoAnswered:
        if broken:
            raise PermanentError("the world is broken")
        return EchoAnswered(message=event.message)

    wiring = worker(moody, concurrency=1)
    await lane.provision(wiring)
    async with (
        lane.running(wiring, replica="a", prefetch=4, first_probe=1.0) as a,
        lane.running(wiring, replica="b", prefetch=4, first_probe=1.0) as b,
    ):
        await lane.ask(*(str(number) for number in range(300)))
        await until(lambda: a.line.stopped is not None and b.line.stopped is not None, what="both have stopped")
        buried = await lane.count("DEAD")
        health = await a.health()
        assert 20 <= buried < 200
        assert health.live
        assert any("line is stopped" in reason for reason in health.reasons)
        assert not health.ready
        broken = False
        await until(lambda: a.line.stopped is None and b.line.stopped is None, within=60, what="both run again")
        await until(lambda: _is_done(lane, "moody"))

    assert len(await lane.answers()) + await lane.count("DEAD") == 300


async def test_a_line_stopped_by_a_person_waits_for_the_person(lane: Lane) -> None:
    """No message is tried; `line resume` lets it go on."""
    wiring = worker(answer)
    await lane.provision(wiring)
    await stop_line(lane.connection, lane.publisher, "answer", by="ada", reason="maintenance")
    async with lane.running(wiring, first_probe=0.1) as engine:
        await lane.ask("x")
        assert engine.line.stopped is not None
        assert engine.line.stopped.reason == "maintenance"
        await until(lambda: _waits(lane, "answer"), what="it waits, undelivered")
        await resume_line(lane.connection, lane.publisher, "answer", by="ada")
        await until(lambda: _answered(lane, 1))


def _spawn(name: str, url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tests.bus.engine.child", name, url], stderr=subprocess.DEVNULL)


async def _publish_raw(url: str, subject: str, block: bytes, body: bytes) -> None:
    """Publish with a header block that no client would write."""
    host, port = url.removeprefix("nats://").split(":")
    with socket.create_connection((host, int(port))) as wire:
        size = b"%d %d" % (len(block), len(block) + len(body))
        wire.sendall(b'CONNECT {"verbose":false,"headers":true}\r\nHPUB ' + subject.encode() + b" " + size + b"\r\n")
        wire.sendall(block + body + b"\r\nPING\r\n")
        wire.settimeout(5)
        received = b""
        while b"PONG" not in received:
            received += wire.recv(4096)


async def _is_done(lane: Lane, consumer: str) -> bool:
    return await lane.pending("EVENTS", consumer) == (0, 0)


async def _waits(lane: Lane, consumer: str) -> bool:
    return await lane.pending("EVENTS", consumer) == (1, 0)


async def _answered(lane: Lane, at_least: int) -> bool:
    subjects = await lane.connection.client.jetstream().stream_info("EVENTS", subjects_filter="echo.answered")
    return (subjects.state.subjects or {}).get("echo.answered", 0) >= at_least


async def _retried(lane: Lane) -> bool:
    return bool(await lane.results(outcome="retry"))


async def _ready(engine: object) -> bool:
    return (await engine.health()).ready  # type: ignore[attr-defined] # an Engine


async def _not_ready(engine: object, name: str) -> bool:
    health = await engine.health()  # type: ignore[attr-defined] # an Engine
    return not health.ready and any(name in reason for reason in health.reasons)


def _reconnects(client: object) -> int:
    return max(server.reconnects for server in client._server_pool)  # type: ignore[attr-defined] # nats-py's count
