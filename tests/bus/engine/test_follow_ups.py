"""What a worker emits and says: stored before the input is acknowledged, told apart, followed live."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.engine.conditions import answer, has, is_done, said
from tests.bus.lane import Lane, until, worker
from workers.bus.transport import headers as names
from workers.failures import PermanentError
from workers.ports import Progress


async def test_a_follow_up_and_a_result_are_stored_before_the_input_is_acknowledged(lane: Lane) -> None:
    """The result names what was emitted and where it is; nothing stays pending."""
    wiring = worker(answer)
    await lane.provision(wiring)
    await lane.ask("hello")

    async with lane.running(wiring):
        await until(lambda: is_done(lane, "answer"), what="the event is acknowledged")

    (result,) = await lane.results(outcome="done")
    assert await lane.answers() == ["hello"]
    assert result["emitted"][0]["type"] == "echo.answered"
    assert result["emitted"][0]["sequence"] == 2
    assert await lane.lines() == ["answering"]
    assert (result["event"]["stream"], result["event"]["sequence"]) == ("EVENTS", 1)


async def test_a_follow_up_carries_cause_run_actor_and_one_hop_more(lane: Lane) -> None:
    """Everything that identifies a chain of causes travels on, the trace as well."""
    wiring = worker(answer)
    await lane.provision(wiring)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {"ce-actor": "ci%40acme", "ce-parentrun": "parent", "traceparent": trace, "ce-hops": "3"}
    await lane.publish(EchoRequested(message="hi"), event_id="1", headers=sent)

    async with lane.running(wiring):
        await until(lambda: is_done(lane, "answer"))

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
        await until(lambda: is_done(lane, "answer"))

    assert (first.duplicate, second.duplicate, repeat.duplicate) == (False, False, True)
    assert await lane.answers() == ["one", "one"]


async def test_several_follow_ups_of_one_cause_are_told_apart_by_their_natural_key(lane: Lane) -> None:
    """Two keys are two events; the same key twice is a mistake of the worker that is not hidden."""

    async def many(event: EchoRequested) -> AsyncIterator[EchoAnswered]:
        yield EchoAnswered(message="a")
        yield EchoAnswered(message="b" if event.message == "good" else "a")

    wiring = worker(many, attempts=1)
    await lane.provision(wiring)
    await lane.ask("good", "bad")

    async with lane.running(wiring):
        await until(lambda: has(lane, "dead", "done"))

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
        await until(lambda: said(lane, "slow", 4), what="the slow one is heard before it ends")
        go_on.set()
        await until(lambda: is_done(lane, "stepping"))

    messages = await lane.bodies("PROGRESS")
    quick = [body for body in messages if body["event"]["id"] == "quick"]
    slow = [body for body in messages if body["event"]["id"] == "slow"]
    assert [body["kind"] for body in quick] == ["result"]
    assert [step["name"] for step in quick[0]["steps"]] == ["look"]
    assert [body["kind"] for body in slow] == ["started", "step", "log", "step", "step", "step", "result"]
    assert [body["n"] for body in slow] == sorted({body["n"] for body in slow})


async def test_what_was_yielded_before_a_failure_is_emitted_all_the_same(lane: Lane) -> None:
    """One rule's success is not lost with another rule's failure; the result says both."""

    async def half(event: EchoRequested) -> AsyncIterator[EchoAnswered]:
        yield EchoAnswered(message="first")
        raise PermanentError("the second never")

    wiring = worker(half)
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring):
        await until(lambda: has(lane, "dead"))

    (result,) = await lane.results(outcome="dead")
    assert await lane.answers() == ["first"]
    assert [ref["type"] for ref in result["emitted"]] == ["echo.answered"]
