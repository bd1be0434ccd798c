"""What a worker raises decides what becomes of the message: each word with its consequence on a real server."""

from datetime import timedelta
from urllib.parse import unquote

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.engine.conditions import has, is_done
from tests.bus.lane import Lane, until, worker
from workers.bus.transport import headers as names
from workers.failures import NotYet, PermanentError, TemporaryError


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
        await until(lambda: is_done(lane, "shaky"))

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
        await until(lambda: is_done(lane, "slow"), what="the input is acknowledged while the retry waits")
        (schedule, _), *_ = await lane.messages("RETRY_slow")
        assert schedule[names.SCHEDULE_TARGET] == "retry.slow.echo.requested"
        assert schedule[names.ATTEMPTS] == "1"

        await until(lambda: has(lane, "done"), what="the retry fired and succeeded")

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
        await until(lambda: has(lane, "dead"), what="the deadline ends the waiting")

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
        await until(lambda: has(lane, "dead"))

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
        await until(lambda: has(lane, "dead"))

    (letter, _), *_ = await lane.messages("DEAD")
    (result,) = await lane.results(outcome="dead")
    assert letter["ce-id"] == "x"
    assert (letter[names.ORIGIN_STREAM], letter[names.ORIGIN_SEQUENCE]) == ("EVENTS", "1")
    assert unquote(letter[names.DEAD_MESSAGE]) == "no such image: push it first"
    assert result["dead"]["sequence"] == 1
    assert await is_done(lane, "never")
