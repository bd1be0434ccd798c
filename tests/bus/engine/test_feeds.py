"""What comes from a subscription reaches the bus once, and is acknowledged only then."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from schemas.envelope import Envelope
from schemas.feeds import PubSubMessage, feed_source
from schemas.identity import run_id
from schemas.scans import ScanRequested
from tests.bus.engine.conditions import not_ready, ready
from tests.bus.lane import Lane, until, worker
from tests.fakes.feeds import SUBSCRIPTION, FakeFeed
from workers.bus.doors.graveyard import read_letter, read_letters, replay
from workers.bus.judgement.line import read_line, resume_line, stop_line
from workers.bus.wiring import Wiring, WiringError
from workers.failures import Invalid, Unavailable
from workers.local.nats import NatsServer
from workers.ports import Feeds, Progress

broken = True
"""Whether the mapping is as it was before somebody mended it."""


async def carrier(message: PubSubMessage) -> ScanRequested | None:
    """Carry what is a text, ignore what is empty, refuse what is marked."""
    text = message.message.data.decode()
    if text.startswith("!") and broken:
        raise Invalid(f"{text!r} means nothing")
    if text == "bug":
        raise ZeroDivisionError("a bug")
    return ScanRequested(reason=text) if text else None


IDENTITY = ("ce-type", "ce-source", "ce-id", "ce-run", "ce-cause", "Nats-Msg-Id")
WIRING = worker(carrier, carries=True, concurrency=16, attempts=3)


@pytest.fixture(autouse=True)
async def provisioned(lane: Lane) -> Wiring:
    """Make the streams of the carrier."""
    await lane.provision(WIRING)
    return WIRING


def emptied(feed: FakeFeed) -> Any:
    """Return the condition that all was acknowledged."""
    return lambda: feed.empty


async def reasons(lane: Lane) -> list[str]:
    """Return what was carried, sorted."""
    return sorted(body["reason"] for body in await lane.bodies("EVENTS", "scan.requested"))


async def test_a_message_is_carried_under_an_identity_of_subscription_and_message(lane: Lane) -> None:
    """The event's cause and run come of the subscription and the message id, its actor is the subscription."""
    feed = FakeFeed()
    async with lane.running(WIRING, feeds=Feeds([feed])):
        message_id = feed.publish(b"nightly", googclient_traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
        feed.publish(b"")
        await until(emptied(feed))

    [(headers, body)] = await lane.messages("EVENTS")
    source = feed_source(SUBSCRIPTION)
    cause = Envelope(message_id, source, PubSubMessage.event_type, run_id(source, message_id))
    assert json.loads(body)["reason"] == "nightly"
    assert headers["ce-cause"] == cause.message_id
    assert headers["ce-run"] == cause.run
    assert headers["ce-actor"] == f"pubsub/{SUBSCRIPTION}"
    assert headers["traceparent"] == f"00-{'a' * 32}-{'b' * 16}-01"
    assert await lane.count("PROGRESS") == 0
    assert feed.closed


async def test_another_delivery_of_a_message_is_absorbed(lane: Lane) -> None:
    """Pub/Sub may deliver again what was acknowledged, here or in another process: the bus holds it once."""
    feed = FakeFeed()
    for _ in range(2):
        async with lane.running(WIRING, feeds=Feeds([feed])) as engine:
            for number in range(100):
                feed.publish(f"{number}".encode(), f"id-{number}")
            await until(emptied(feed))
        feed = FakeFeed()

    assert engine.metrics.repeats == 100
    assert await lane.count("EVENTS") == 100


async def test_a_delivery_after_the_window_is_the_same_event_a_second_time(lane: Lane) -> None:
    """The bus has forgotten the id; whoever consumes both meets one identity, and so one claim."""
    await lane.provision(WIRING, duplicate_window=timedelta(milliseconds=100))
    feed = FakeFeed()
    async with lane.running(WIRING, feeds=Feeds([feed])) as engine:
        while not engine.metrics.emitted > 1:
            feed.publish(b"nightly", "one")
            await until(emptied(feed))

    (first, _), (second, _) = await lane.messages("EVENTS")
    assert {name: first[name] for name in IDENTITY} == {name: second[name] for name in IDENTITY}


async def test_what_the_bus_does_not_take_is_said_once_for_each_message(
    lane: Lane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried for as long as it takes, and an outage of hours fills no disk with warnings."""
    tries: dict[str, int] = {}

    async def fails_at_first(message: PubSubMessage) -> None:
        tries[message.message.message_id] = tries.get(message.message.message_id, 0) + 1
        if tries[message.message.message_id] < 4:
            raise Unavailable("the bus is away")

    monkeypatch.setattr("workers.bus.engine.source._FIRST_WAIT", 0.01)
    feed = FakeFeed()
    async with lane.running(replace(WIRING, handler=fails_at_first), feeds=Feeds([feed])):
        feed.publish(b"nightly", "one")
        feed.publish(b"nightly", "two")
        await until(emptied(feed))

    kept = [record.getMessage() for record in caplog.records if "is kept" in record.getMessage()]
    assert sorted(kept) == [f"message {name} of {SUBSCRIPTION} is kept: the bus is away" for name in ("one", "two")]
    assert tries == {"one": 4, "two": 4}


async def test_messages_are_stored_in_the_order_in_which_they_come(lane: Lane) -> None:
    """What has an ordering key keeps its order on the bus, though many are carried at once."""
    feed = FakeFeed()
    for number in range(300):
        feed.publish(f"{number:03}".encode())
    async with lane.running(WIRING, feeds=Feeds([feed])):
        await until(emptied(feed))

    assert [body["reason"] for body in await lane.bodies("EVENTS")] == [f"{number:03}" for number in range(300)]


async def test_what_means_nothing_becomes_a_dead_letter_and_is_acknowledged(lane: Lane) -> None:
    """A dead letter holds the whole message with its attributes; a fault of the worker's code is judged alike."""
    feed = FakeFeed()
    async with lane.running(WIRING, feeds=Feeds([feed])) as engine:
        feed.publish(b"!what", "one", origin="somewhere")
        feed.publish(b"\xff\x00", "two")
        feed.publish(b"bug", "three")
        feed.publish(b"good", "four")
        await until(emptied(feed))

    letters = {letter.envelope.id: letter async for letter in read_letters(lane.connection) if letter.envelope}
    assert set(letters) == {"one", "two", "three"}
    assert (letters["one"].reason, letters["one"].worker) == ("permanent", "carrier")
    assert [letter.envelope.subject for letter in letters.values() if letter.envelope] == 3 * [SUBSCRIPTION]
    assert letters["one"].content["message"]["attributes"] == {"origin": "somewhere"}
    assert PubSubMessage.model_validate_json(letters["two"].body).message.data == b"\xff\x00"
    assert "ZeroDivisionError" in letters["three"].message
    assert dict(engine.metrics.fed) == {(SUBSCRIPTION, "dead"): 3, (SUBSCRIPTION, "carried"): 1}
    series = f'sealane_fed_total{{outcome="dead",subscription="{SUBSCRIPTION}",worker="carrier"}}'
    assert series in generate_latest(REGISTRY).decode()


async def test_a_body_too_large_for_the_bus_is_buried_without_its_end(lane: Lane) -> None:
    """Pub/Sub takes messages ten times as large as the bus: the letter says that it holds the beginning only."""
    feed = FakeFeed()
    async with lane.running(WIRING, feeds=Feeds([feed])):
        feed.publish(b"!" + b"x" * 2_000_000)
        await until(emptied(feed))

    [letter] = [letter async for letter in read_letters(lane.connection)]
    assert "of its body of 2000001 bytes the first 65536 are kept" in letter.message
    assert len(PubSubMessage.model_validate_json(letter.body).message.data) == 65536


async def test_a_dead_letter_is_carried_once_the_mapping_is_mended(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay comes by the ordinary way, and leads to the same event as the message itself would."""
    feed = FakeFeed()
    async with lane.running(WIRING, feeds=Feeds([feed])):
        feed.publish(b"!late", "late")
        await until(emptied(feed))
        monkeypatch.setattr(f"{__name__}.broken", False)
        [letter] = [letter async for letter in read_letters(lane.connection)]
        with pytest.raises(Invalid, match="holds what a feed delivered"):
            await replay(lane.publisher, letter, by="a test", changes={"message": {}})
        await replay(lane.publisher, await read_letter(lane.connection, letter.sequence), by="a test")
        await until(lambda: _carried(lane, ["!late"]))
        feed.publish(b"!late", "late")
        await until(emptied(feed))

    assert await lane.count("EVENTS") == 1
    [result] = await lane.results(outcome="done")
    assert result["event"]["type"] == PubSubMessage.event_type


async def _carried(lane: Lane, wanted: list[str]) -> bool:
    return await reasons(lane) == wanted


async def test_nothing_is_acknowledged_while_the_bus_is_away(lane: Lane, nats_server: NatsServer) -> None:
    """Messages that arrive meanwhile are kept, at most as many as the feed holds, and carried once it is back."""
    feed = FakeFeed(most=40)
    async with lane.running(WIRING, feeds=Feeds([feed])):
        feed.publish(b"before")
        await until(emptied(feed))
        await nats_server.kill()
        for number in range(100):
            feed.publish(f"{number:03}".encode(), f"id-{number}")
        await until(lambda: len(feed.held) == 40)
        assert len(feed.acked) == 1
        await nats_server.start()
        await until(emptied(feed), within=60)

    assert await reasons(lane) == sorted([*(f"{number:03}" for number in range(100)), "before"])
    assert feed.nacked == []
    assert feed.most_held == 40


async def test_a_stopped_line_takes_nothing_and_a_running_one_goes_on(lane: Lane) -> None:
    """Stopping the line stops the feeds; what was not begun goes back, and comes when the line runs again."""
    feed = FakeFeed()
    async with lane.running(WIRING, feeds=Feeds([feed])) as engine:
        await stop_line(lane.connection, lane.publisher, "carrier", by="a test", reason="to see", automatic=False)
        await until(lambda: not feed.delivering)
        feed.publish(b"later")
        await until(lambda: not_ready(engine, "the line is stopped"))
        assert feed.acked == []
        await resume_line(lane.connection, lane.publisher, "carrier", by="a test")
        await until(emptied(feed))
        await until(lambda: ready(engine))


async def test_many_dead_letters_stop_the_line_and_one_good_message_starts_it(lane: Lane) -> None:
    """When most messages mean nothing, the rest waits in the subscription until somebody mended the cause."""
    feed = FakeFeed()
    async with lane.running(WIRING, feeds=Feeds([feed]), first_probe=0.2):
        for number in range(400):
            feed.publish(b"!", f"bad-{number}")
        await until(lambda: _stopped(lane))
        await until(lambda: not feed.held)
        feed._waiting.clear()
        feed.publish(b"good")
        await until(emptied(feed), within=60)
        await until(lambda: _runs(lane))


async def _stopped(lane: Lane) -> bool:
    state, _ = await read_line(lane.connection, "carrier")
    return state.state == "stopped"


async def _runs(lane: Lane) -> bool:
    return not await _stopped(lane)


async def test_a_drain_finishes_what_was_begun_and_hands_back_the_rest(lane: Lane) -> None:
    """On SIGTERM nothing more is taken; what is being carried is stored and acknowledged, the rest is for others."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(message: PubSubMessage) -> ScanRequested:
        begun.set()
        await go.wait()
        return ScanRequested(reason=message.message.message_id)

    wiring = worker(slow, carries=True, concurrency=4)
    await lane.provision(wiring)
    feed = FakeFeed(most=10)
    for number in range(20):
        feed.publish(b"", f"{number:02}")
    async with lane.running(wiring, feeds=Feeds([feed])):
        await begun.wait()
        await until(lambda: len(feed.held) == 10)
        asyncio.get_running_loop().call_later(0.3, go.set)

    assert sorted(feed.acked) == await reasons(lane) == ["00", "01", "02", "03"]
    assert sorted(feed.nacked) == [f"{number:02}" for number in range(4, 10)]
    assert not feed.held
    assert feed.closed


async def test_what_does_not_end_in_time_is_handed_back(lane: Lane) -> None:
    """After the grace a message that is still carried goes back, unacknowledged, and nothing of it is stored."""

    async def stuck(message: PubSubMessage) -> ScanRequested:
        await asyncio.Event().wait()
        return ScanRequested()

    wiring = worker(stuck, carries=True)
    await lane.provision(wiring)
    feed = FakeFeed()
    async with lane.running(wiring, feeds=Feeds([feed]), grace=0.2):
        feed.publish(b"", "held")
        await until(lambda: len(feed.held) == 1)

    assert (feed.nacked, feed.acked) == (["held"], [])
    assert await lane.count("EVENTS") == 0


def test_a_worker_on_feeds_asks_for_nothing_that_a_feed_does_not_give() -> None:
    """Its feeds are among what it needs; progress or an envelope are refused when it is wired."""

    async def chatty(message: PubSubMessage, progress: Progress) -> None:
        progress.log("nobody hears this")

    assert Feeds in WIRING.asked
    assert WIRING.pulled_types == ()
    with pytest.raises(WiringError, match="chatty: it asks for Progress"):
        worker(chatty)


async def test_health_says_what_is_wrong_with_a_feed(lane: Lane) -> None:
    """A subscription that does not deliver, or none at all, makes a worker unready, in a sentence."""
    feed = FakeFeed()
    async with lane.running(WIRING, feeds=Feeds([feed])) as engine:
        await until(lambda: ready(engine))
        feed.problem = "there is no such subscription: create it"
        await until(lambda: not_ready(engine, f"{SUBSCRIPTION}: there is no such subscription"))
    async with lane.running(WIRING, feeds=Feeds()) as engine:
        await until(lambda: not_ready(engine, "set SEALANE_FEEDS"))
