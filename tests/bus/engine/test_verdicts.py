"""What a worker raises decides what becomes of the message: each word with its consequence on a real server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import unquote

import pytest

from schemas.echoes import EchoAnswered, EchoRequested
from schemas.envelope import HOPS_LIMIT
from schemas.images import ImagePushed
from tests.bus.lane import Lane, until, worker
from workers.bus import headers as names
from workers.bus.publisher import Refused
from workers.failures import NotYet, PermanentError, TemporaryError
from workers.ports import Progress


async def answer(event: EchoRequested, progress: Progress) -> EchoAnswered:
    """Answer at once."""
    progress.log("answering")
    return EchoAnswered(message=event.message)


async def test_a_follow_up_and_a_result_are_stored_before_the_input_is_acknowledged(lane: Lane) -> None:
    """The result names what was emitted and where it is; nothing stays pending."""
    wiring = worker(answer)
    await lane.provision(wiring)
    await lane.ask("hello")

    async with lane.running(wiring):
        await until(lambda: _is_done(lane, "answer"), what="the event is acknowledged")

    (result,) = await lane.results(outcome="done")
    assert await lane.answers() == ["hello"]
    assert result["emitted"][0]["type"] == "echo.answered"
    assert result["emitted"][0]["sequence"] == 2
    assert result["logs"] == ["answering"]
    assert (result["event"]["stream"], result["event"]["sequence"]) == ("EVENTS", 1)


async def test_a_follow_up_carries_cause_run_actor_and_one_hop_more(lane: Lane) -> None:
    """Everything that identifies a chain of causes travels on, the trace as well."""
    wiring = worker(answer)
    await lane.provision(wiring)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {"ce-actor": "ci%40acme", "ce-parentrun": "parent", "traceparent": trace, "ce-hops": "3"}
    await lane.publish(EchoRequested(message="hi"), event_id="1", headers=sent)

    async with lane.running(wiring):
        await until(lambda: _is_done(lane, "answer"))

    (headers, _), *_ = await lane.messages("EVENTS", "echo.answered")
    (cause, _), *_ = await lane.messages("EVENTS", "echo.requested")
    assert headers["ce-cause"] == cause[names.MESSAGE_ID]
    assert headers["ce-run"] == cause["ce-run"]
    assert (headers["ce-hops"], unquote(headers["ce-actor"]), headers["ce-parentrun"]) == ("4", "ci@acme", "parent")
    assert headers["traceparent"] == trace
    assert headers["ce-source"] == "/sealane/answer"


async def test_the_same_id_from_two_sources_is_two_events(lane: Lane) -> None:
    """Neither swallows the other, and neither do their follow-ups."""
    wiring = worker(answer)
    await lane.provision(wiring)
    first = await lane.publish(EchoRequested(message="one"), event_id="42", source="/a")
    second = await lane.publish(EchoRequested(message="one"), event_id="42", source="/b")
    repeat = await lane.publish(EchoRequested(message="one"), event_id="42", source="/a")

    async with lane.running(wiring):
        await until(lambda: _is_done(lane, "answer"))

    assert (first.duplicate, second.duplicate, repeat.duplicate) == (False, False, True)
    assert await lane.answers() == ["one", "one"]


async def test_a_temporary_failure_comes_back_and_then_succeeds(lane: Lane) -> None:
    """Two failures, then the answer; each says when it goes on."""
    tries: list[str] = []

    async def shaky(event: EchoRequested) -> EchoAnswered:
        tries.append(event.message)
        if len(tries) < 3:
            raise TemporaryError("not now", after=timedelta(seconds=0.05))
        return EchoAnswered(message=event.message)

    wiring = worker(shaky)
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring):
        await until(lambda: _is_done(lane, "shaky"))

    retries = await lane.results(outcome="retry")
    assert await lane.answers() == ["x"]
    assert [(result["attempt"], result["error"]) for result in retries] == [
        (1, "TemporaryError"),
        (2, "TemporaryError"),
    ]
    assert all(result["retry_at"] for result in retries)


async def test_a_long_wait_is_a_schedule_that_holds_no_place(lane: Lane) -> None:
    """Nothing is pending while it waits, the fired copy goes on counting attempts, and its identity is the same."""
    attempts: list[int] = []

    async def slow(event: EchoRequested) -> EchoAnswered:
        attempts.append(1)
        if len(attempts) == 1:
            raise TemporaryError("in a while", after=timedelta(seconds=11))
        return EchoAnswered(message=event.message)

    wiring = worker(slow)
    await lane.provision(wiring)
    await lane.ask("x")
    async with lane.running(wiring):
        await until(lambda: _is_done(lane, "slow"), what="the input is acknowledged while the retry waits")
        (schedule, _), *_ = await lane.messages("RETRY_slow")
        assert schedule[names.SCHEDULE_TARGET] == "retry.slow.echo.requested"
        assert schedule[names.ATTEMPTS] == "1"

        await until(lambda: _has(lane, "done"), what="the retry fired and succeeded")

    (done,) = await lane.results(outcome="done")
    assert done["attempt"] == 2
    assert done["event"]["id"] == "x"
    assert await lane.answers() == ["x"]


async def test_waiting_for_the_world_counts_no_attempt_until_the_deadline(lane: Lane) -> None:
    """NotYet is said as waiting, again and again, and becomes a dead letter once its deadline has passed."""

    async def patient(event: EchoRequested) -> EchoAnswered:
        raise NotYet("the scan is not finished", after=timedelta(seconds=1), deadline=timedelta(seconds=2.5))

    wiring = worker(patient, attempts=2)
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring):
        await until(lambda: _has(lane, "dead"), what="the deadline ends the waiting")

    waiting = await lane.results(outcome="waiting")
    (dead,) = await lane.results(outcome="dead")
    assert len(waiting) >= 2
    assert {result["attempt"] for result in waiting} == {1}
    assert "deadline" in dead["message"]
    (letter, _), *_ = await lane.messages("DEAD")
    assert letter[names.DEAD_REASON] == "deadline"


async def test_attempts_used_up_are_a_dead_letter(lane: Lane) -> None:
    """An unknown exception is temporary until the attempts are used up; the letter says how often and where."""

    async def broken(event: EchoRequested) -> EchoAnswered:
        raise ZeroDivisionError("by zero")

    wiring = worker(broken, attempts=2)
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring):
        await until(lambda: _has(lane, "dead"))

    (letter, body), *_ = await lane.messages("DEAD")
    assert letter[names.DEAD_REASON] == "attempts"
    assert letter[names.ATTEMPTS] == "2"
    assert "ZeroDivisionError: by zero (given up after 2 attempts)" in unquote(letter[names.DEAD_MESSAGE])
    assert "in broken" in unquote(letter[names.DEAD_STACK])
    assert EchoRequested.model_validate_json(body).message == "x"


async def test_a_permanent_failure_is_a_dead_letter_at_once(lane: Lane) -> None:
    """One attempt; the letter holds the event, its identity, and where it came from."""

    async def never(event: EchoRequested) -> EchoAnswered:
        raise PermanentError("no such image: push it first")

    wiring = worker(never)
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring):
        await until(lambda: _has(lane, "dead"))

    (letter, _), *_ = await lane.messages("DEAD")
    (result,) = await lane.results(outcome="dead")
    assert letter["ce-id"] == "x"
    assert (letter[names.ORIGIN_STREAM], letter[names.ORIGIN_SEQUENCE]) == ("EVENTS", "1")
    assert unquote(letter[names.DEAD_MESSAGE]) == "no such image: push it first"
    assert result["dead"]["sequence"] == 1
    assert await _is_done(lane, "never")


@pytest.mark.parametrize(
    ("body", "headers", "reason", "sentence"),
    [
        (b'{"message": 7}', {}, "schema", "message: Input should be a valid string"),
        (b'{"message": "x", "colour": "red"}', {}, "schema", "colour: Extra inputs are not permitted"),
        (b"not json", {}, "schema", "the body: Invalid JSON"),
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
        await until(lambda: _has(lane, "dead", "done"))

    (letter, kept), *_ = await lane.messages("DEAD")
    assert letter[names.DEAD_REASON] == reason
    assert sentence in unquote(letter[names.DEAD_MESSAGE])
    assert kept == body
    assert called == ["afterwards"]


async def test_odd_header_characters_arrive_as_they_were_sent(lane: Lane) -> None:
    """Spaces, quotes, percent signs, line breaks and other scripts are percent-encoded on the way."""
    odd = 'a "b" 100%\r\nX-Evil: 1 — 港'
    wiring = worker(answer)
    await lane.provision(wiring)
    await lane.publish(EchoRequested(message="x"), event_id=odd)

    async with lane.running(wiring):
        await until(lambda: _is_done(lane, "answer"))

    (result,) = await lane.results(outcome="done")
    (headers, _), *_ = await lane.messages("EVENTS")
    assert result["event"]["id"] == odd
    assert "X-Evil" not in headers


async def test_the_structured_mode_is_accepted_too(lane: Lane) -> None:
    """One JSON object with the envelope around the data."""
    wiring = worker(answer)
    await lane.provision(wiring)
    body = b'{"specversion":"1.0","id":"1","source":"/t","type":"echo.requested","data":{"message":"inside"}}'
    await lane.publisher.publish("echo.requested", body, {"Content-Type": "application/cloudevents+json"})

    async with lane.running(wiring):
        await until(lambda: _is_done(lane, "answer"))

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
        await until(lambda: _has(lane, "dead"))

    (_, kept), *_ = await lane.messages("DEAD")
    assert len(kept) == room


async def test_several_follow_ups_of_one_cause_are_told_apart_by_their_natural_key(lane: Lane) -> None:
    """Two keys are two events; the same key twice is a mistake of the worker that is not hidden."""

    async def many(event: EchoRequested) -> AsyncIterator[EchoAnswered]:
        yield EchoAnswered(message="a")
        yield EchoAnswered(message="b" if event.message == "good" else "a")

    wiring = worker(many, attempts=1)
    await lane.provision(wiring)
    await lane.ask("good", "bad")

    async with lane.running(wiring):
        await until(lambda: _has(lane, "dead", "done"))

    assert await lane.answers() == ["a", "b"]
    (result,) = await lane.results(outcome="dead")
    assert "one natural key" in result["message"]


async def test_quick_work_says_one_thing_and_slow_work_is_heard_while_it_runs(lane: Lane) -> None:
    """A quick event costs one message; after a quarter of a second the steps are live, in order."""
    go_on = asyncio.Event()

    async def stepping(event: EchoRequested, progress: Progress) -> EchoAnswered:
        async with progress.step("look"):
            progress.log("looking")
        if event.message == "slow":
            async with progress.step("wait"):
                await go_on.wait()
        return EchoAnswered(message=event.message)

    wiring = worker(stepping)
    await lane.provision(wiring)
    await lane.ask("quick", "slow")

    async with lane.running(wiring):
        await until(lambda: _said(lane, "slow", 4), what="the slow one is heard before it ends")
        go_on.set()
        await until(lambda: _is_done(lane, "stepping"))

    said = await lane.bodies("PROGRESS")
    quick = [body for body in said if body["event"]["id"] == "quick"]
    slow = [body for body in said if body["event"]["id"] == "slow"]
    assert [body["kind"] for body in quick] == ["result"]
    assert [step["name"] for step in quick[0]["steps"]] == ["look"]
    assert [body["kind"] for body in slow] == ["started", "step", "log", "step", "step", "step", "result"]
    assert len({body["n"] for body in slow}) == len(slow)


async def _is_done(lane: Lane, consumer: str) -> bool:
    return await lane.pending("EVENTS", consumer) == (0, 0)


async def _has(lane: Lane, *outcomes: str) -> bool:
    return {result["outcome"] for result in await lane.results()} >= set(outcomes)


async def _said(lane: Lane, event_id: str, at_least: int) -> bool:
    return sum(body["event"]["id"] == event_id for body in await lane.bodies("PROGRESS")) >= at_least


async def test_a_type_that_this_version_does_not_know_waits_for_a_version_that_does(lane: Lane) -> None:
    """During a rolling upgrade the durable may ask for more than the older replica consumes: nothing is buried."""
    newer, older = worker(_both, name="mixed"), worker(answer, name="mixed")
    await lane.provision(newer)
    pushed = ImagePushed(image="registry.example.com/apps/shop:1")
    await lane.publish(pushed, event_id="push")

    async with lane.running(older):
        await until(lambda: _has(lane, "waiting"), what="the older replica lets it wait")
    async with lane.running(newer):
        await until(lambda: _has(lane, "done"), within=60, what="the newer one does it")

    assert await lane.count("DEAD") == 0


async def _both(event: EchoRequested | ImagePushed) -> None:
    """Consume what the newer version knows as well."""


async def test_what_was_yielded_before_a_failure_is_emitted_all_the_same(lane: Lane) -> None:
    """One rule's success is not lost with another rule's failure; the result says both."""

    async def half(event: EchoRequested) -> AsyncIterator[EchoAnswered]:
        yield EchoAnswered(message="first")
        raise PermanentError("the second never")

    wiring = worker(half)
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring):
        await until(lambda: _has(lane, "dead"))

    (result,) = await lane.results(outcome="dead")
    assert await lane.answers() == ["first"]
    assert [ref["type"] for ref in result["emitted"]] == ["echo.answered"]
