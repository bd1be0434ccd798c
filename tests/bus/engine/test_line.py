"""The line stops for all replicas, and runs again when the world is mended or a person says so."""

from datetime import timedelta

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.engine.conditions import answer, answered, is_done, publish_raw, waits
from tests.bus.lane import Lane, until, worker
from workers.bus.judgement.line import resume_line, stop_line
from workers.bus.transport import headers as names
from workers.failures import PermanentError


async def test_a_header_block_that_cannot_be_read_is_buried_and_the_line_goes_on(lane: Lane) -> None:
    """It ends the read loop of any client; it is found by sequence, buried and never delivered again."""
    wiring = worker(answer, ack_wait=timedelta(seconds=2))
    await lane.provision(wiring)
    await lane.ask("before")
    await publish_raw(lane.url, "echo.requested", b"NATS/1.0", b'{"message": "unreadable"}')
    await lane.ask("after")

    async with lane.running(wiring):
        await until(lambda: is_done(lane, "answer"), within=60, what="everything is acknowledged")

    (letter, body), *others = await lane.messages("DEAD")
    assert not others
    assert letter[names.DEAD_REASON] == "unreadable"
    assert letter[names.DEAD_BLOCK] == "TkFUUy8xLjA="
    assert body == b'{"message": "unreadable"}'
    assert await lane.answers() == ["after", "before"]


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
        assert 20 <= buried < 300
        assert health.live
        assert any("line is stopped" in reason for reason in health.reasons)
        assert not health.ready
        broken = False
        await until(lambda: a.line.stopped is None and b.line.stopped is None, within=60, what="both run again")
        await until(lambda: is_done(lane, "moody"))

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
        await until(lambda: waits(lane, "answer"), what="it waits, undelivered")
        await resume_line(lane.connection, lane.publisher, "answer", by="ada")
        await until(lambda: answered(lane, 1))
