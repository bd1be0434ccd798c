"""What does not fit is a dead letter with its sentence, or refused at the door; odd but valid events arrive."""

from datetime import timedelta
from urllib.parse import unquote

import pytest

from schemas.echoes import EchoAnswered, EchoRequested
from schemas.envelope import HOPS_LIMIT
from schemas.images import ImagePushed
from tests.bus.engine.conditions import answer, has, is_done
from tests.bus.lane import Lane, until, worker
from workers.bus.transport import headers as names
from workers.bus.transport.publisher import Refused
from workers.failures import NotYet, PermanentError


@pytest.mark.parametrize(
    ("body", "headers", "reason", "sentence"),
    [
        (b'{"message": 7}', {}, "schema", "Input should be a valid string"),
        (b'{"message": "x", "colour": "red"}', {}, "schema", "there is no field 'colour'"),
        (b"not json", {}, "schema", "the body is not JSON"),
        (b'{"message": "x"}', {"ce-type": "image.pushed"}, "envelope", "the subject says 'echo.requested'"),
        (b'{"message": "x"}', {"ce-id": ""}, "envelope", "'id' is missing"),
        (b'{"message": "x"}', {"ce-run": "a.b*"}, "envelope", "not a run id"),
        (b'{"message": "x"}', {"ce-hops": str(HOPS_LIMIT + 1)}, "hops", "a loop of events"),
    ],
)
async def test_what_does_not_fit_is_a_dead_letter_with_its_sentence(
    lane: Lane, body: bytes, headers: dict[str, str], reason: str, sentence: str
) -> None:
    """The worker is never called, the letter says what is wrong, the line goes on."""
    called: list[str] = []

    async def strict(event: EchoRequested) -> EchoAnswered:
        called.append(event.message)
        return EchoAnswered(message=event.message)

    wiring = worker(strict)
    await lane.provision(wiring)
    good = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/t", "ce-type": "echo.requested"}
    await lane.publisher.publish("echo.requested", body, good | headers)
    await lane.ask("afterwards")

    async with lane.running(wiring):
        await until(lambda: has(lane, "dead", "done"))

    (letter, kept), *_ = await lane.messages("DEAD")
    assert letter[names.DEAD_REASON] == reason
    assert sentence in unquote(letter[names.DEAD_MESSAGE]) + unquote(letter[names.DEAD_STACK])
    assert kept == body
    assert called == ["afterwards"]


async def test_a_stream_made_anew_begins_its_numbers_again_and_no_failure_is_taken_for_an_old_one(lane: Lane) -> None:
    """Neither the dead letter nor the scheduled retry of a new event 1 is swallowed as a repeat of the old event 1."""

    async def picky(event: EchoRequested) -> None:
        if event.message == "never":
            raise PermanentError("never")
        raise NotYet("later", after=timedelta(minutes=5))

    wiring = worker(picky)
    await lane.provision(wiring)
    for generation in ("old", "new"):
        for message in ("never", "later"):
            await lane.publish(EchoRequested(message=message), event_id=f"{generation} {message}")
        async with lane.running(wiring):
            await until(lambda: is_done(lane, "picky"))
        await lane.connection.client.jetstream().delete_stream("EVENTS")
        await lane.provision(wiring)

    assert await lane.count("DEAD") == 2
    assert await lane.count("RETRY_picky") == 2


async def test_odd_header_characters_arrive_as_they_were_sent(lane: Lane) -> None:
    """Spaces, quotes, percent signs, line breaks and other scripts are percent-encoded on the way."""
    odd = 'a "b" 100%\r\nX-Evil: 1 — 港'
    wiring = worker(answer)
    await lane.provision(wiring)
    await lane.publish(EchoRequested(message="x"), event_id=odd)

    async with lane.running(wiring):
        await until(lambda: is_done(lane, "answer"))

    (result,) = await lane.results(outcome="done")
    (headers, _), *_ = await lane.messages("EVENTS")
    assert result["event"]["id"] == odd
    assert "X-Evil" not in headers


@pytest.mark.parametrize(
    "headers",
    [{names.ATTEMPTS: "9" * 5000}, {names.ATTEMPTS: "-1"}, {names.FIRST_SEEN: "2026-01-01T00:00:00"}],
    ids=["endless attempts", "no attempts", "no time zone"],
)
async def test_headers_of_ours_that_somebody_else_wrote_hold_nothing_up(lane: Lane, headers: dict[str, str]) -> None:
    """Our own words about retries count only where they can be ours: the event is worked on like any other."""
    called: list[str] = []

    async def shaky(event: EchoRequested) -> EchoAnswered:
        called.append(event.message)
        if len(called) == 1:
            raise NotYet("in a moment", after=timedelta(seconds=1))
        return EchoAnswered(message=event.message)

    wiring = worker(shaky)
    await lane.provision(wiring)
    await lane.publish(EchoRequested(message="x"), event_id="1", headers=headers)

    async with lane.running(wiring):
        await until(lambda: has(lane, "waiting", "done"))

    assert await lane.count("DEAD") == 0
    assert {result["attempt"] for result in await lane.results()} == {1}


async def test_the_structured_mode_is_accepted_too(lane: Lane) -> None:
    """One JSON object with the envelope around the data."""
    wiring = worker(answer)
    await lane.provision(wiring)
    body = b'{"specversion":"1.0","id":"1","source":"/t","type":"echo.requested","data":{"message":"inside"}}'
    await lane.publisher.publish("echo.requested", body, {"Content-Type": "application/cloudevents+json"})

    async with lane.running(wiring):
        await until(lambda: is_done(lane, "answer"))

    assert await lane.answers() == ["inside"]


async def test_an_event_larger_than_the_bus_takes_is_refused_with_a_sentence(lane: Lane) -> None:
    """Too large for its own dead letter, or for the server at all: refused at the door, nothing is stored."""
    wiring = worker(answer)
    await lane.provision(wiring)

    for size, sentence in ((1000_000, "maximum"), (2_000_000, "send less")):
        with pytest.raises(Refused, match=sentence):
            await lane.publisher.publish("echo.requested", b"x" * size, {"ce-id": "1"})

    assert await lane.count("EVENTS") == 0


async def test_the_largest_event_that_is_taken_fits_into_its_dead_letter(lane: Lane) -> None:
    """Even with the longest reason: EVENTS stays 64 KiB below the server's limit for exactly this."""

    async def long_winded(event: EchoRequested) -> EchoAnswered:
        raise PermanentError("Ω" * 20_000)

    wiring = worker(long_winded)
    await lane.provision(wiring)
    body = EchoRequested(message="x").model_dump_json().encode()
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/t", "ce-type": "echo.requested"}
    room = 1024 * 1024 - 64 * 1024 - 200
    await lane.publisher.publish("echo.requested", body + b" " * (room - len(body)), headers)

    async with lane.running(wiring):
        await until(lambda: has(lane, "dead"))

    (_, kept), *_ = await lane.messages("DEAD")
    assert len(kept) == room


async def test_a_type_that_this_version_does_not_know_waits_for_a_version_that_does(lane: Lane) -> None:
    """During a rolling upgrade the durable may ask for more than the older replica consumes: nothing is buried."""
    newer, older = worker(_both, name="mixed"), worker(answer, name="mixed")
    await lane.provision(newer)
    pushed = ImagePushed(image="registry.example.com/apps/shop:1")
    await lane.publish(pushed, event_id="push")

    async with lane.running(older):
        await until(lambda: has(lane, "waiting"), what="the older replica lets it wait")
    async with lane.running(newer):
        await until(lambda: has(lane, "done"), within=60, what="the newer one does it")

    assert await lane.count("DEAD") == 0


async def _both(event: EchoRequested | ImagePushed) -> None:
    """Consume what the newer version knows as well."""
