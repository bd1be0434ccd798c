"""The provisioner makes the server match, and never loses anything doing it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from workers.bus.topology.drift import Drift
from workers.bus.topology.provision import Outcome, apply, find_drift
from workers.bus.topology.streams import Topology, topology
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.wiring import Wiring
from workers.retention import Retention


@pytest.fixture
def wanted(wirings: Mapping[str, Wiring], retention: Retention) -> Topology:
    """Return what the server should hold."""
    return topology(wirings.values(), retention)


@pytest.fixture
def api(connection: Connection) -> JetStreamApi:
    """Return the administrative requests."""
    return JetStreamApi(connection)


async def _config(api: JetStreamApi, stream: str) -> dict[str, Any]:
    info = await api.stream(stream)
    assert info is not None
    config: dict[str, Any] = info["config"]
    return config


async def _change(api: JetStreamApi, stream: str, **changes: Any) -> None:
    """Change a stream behind the provisioner's back."""
    await api.request(f"STREAM.UPDATE.{stream}", {**await _config(api, stream), **changes})


def _words(outcomes: list[Outcome]) -> list[tuple[str, str | None, str]]:
    return [(outcome.drift.name, outcome.drift.field, outcome.word) for outcome in outcomes]


async def test_an_empty_server_lacks_everything_and_gets_it(connection: Connection, wanted: Topology) -> None:
    """On a new server all is missing; one apply later nothing is."""
    before = await find_drift(connection, wanted)
    outcomes = await apply(connection, wanted)

    assert {drift.kind for drift in before} == {"missing"}
    assert all(outcome.applied for outcome in outcomes)
    assert await find_drift(connection, wanted) == []


async def test_a_second_apply_changes_nothing(connection: Connection, api: JetStreamApi, wanted: Topology) -> None:
    """Applying is idempotent: the second time there is nothing to say, and no schedule starts anew."""
    await apply(connection, wanted)
    before = await api.stream("CRON")

    assert await apply(connection, wanted) == []
    after = await api.stream("CRON")
    assert before is not None
    assert after is not None
    assert after["state"]["last_seq"] == before["state"]["last_seq"]


@pytest.mark.parametrize(
    ("verb", "name", "what"),
    [
        ("STREAM.DELETE.DEAD", "DEAD", "stream"),
        ("CONSUMER.DELETE.EVENTS.probe", "EVENTS/probe", "consumer"),
        ("CONSUMER.DELETE.RETRY_sign.sign", "RETRY_sign/sign", "consumer"),
        ("STREAM.PURGE.CRON", "cron.sweep", "schedule"),
    ],
)
async def test_what_was_deleted_is_missing_and_comes_back(
    connection: Connection, api: JetStreamApi, wanted: Topology, verb: str, name: str, what: str
) -> None:
    """A deleted stream, durable or schedule is drift, and is made again."""
    await apply(connection, wanted)
    await api.request(verb)

    drifts = await find_drift(connection, wanted)
    await apply(connection, wanted)

    assert [(drift.kind, drift.what, drift.name) for drift in drifts] == [("missing", what, name)]
    assert await find_drift(connection, wanted) == []


async def test_a_setting_that_was_changed_is_changed_back(
    connection: Connection, api: JetStreamApi, wanted: Topology
) -> None:
    """Whatever loses nothing is applied, field by field."""
    await apply(connection, wanted)
    await _change(api, "EVENTS", discard="old", duplicate_window=120_000_000_000, max_msgs=5000)

    outcomes = await apply(connection, wanted)

    assert sorted(_words(outcomes), key=str) == [
        ("EVENTS", "discard", "applied"),
        ("EVENTS", "duplicate_window", "applied"),
        ("EVENTS", "max_msgs", "applied"),
    ]
    assert await find_drift(connection, wanted) == []


async def test_a_consumer_that_was_changed_is_changed_back(
    connection: Connection, api: JetStreamApi, wanted: Topology
) -> None:
    """A durable's settings are drift, too; what it consumes is completed."""
    await apply(connection, wanted)
    info = await api.consumer("EVENTS", "sign")
    assert info is not None
    config = {**info["config"], "ack_wait": 5_000_000_000, "filter_subjects": ["echo.requested"]}
    await api.request("CONSUMER.CREATE.EVENTS.sign", {"stream_name": "EVENTS", "action": "update", "config": config})

    outcomes = await apply(connection, wanted)

    assert set(_words(outcomes)) == {
        ("EVENTS/sign", "filter_subjects", "applied"),
        ("EVENTS/sign", "ack_wait", "applied"),
        ("EVENTS/sign", "filter_subjects", "tolerated"),
    }
    info = await api.consumer("EVENTS", "sign")
    assert info is not None
    assert info["config"]["filter_subjects"] == ["echo.requested", "image.pushed"]


async def test_what_cannot_be_changed_of_a_consumer_is_refused(
    connection: Connection, api: JetStreamApi, wanted: Topology
) -> None:
    """A durable that acknowledges otherwise would have to be made anew: people decide that."""
    await apply(connection, wanted)
    await api.request("CONSUMER.DELETE.EVENTS.sign")
    config = {"durable_name": "sign", "name": "sign", "ack_policy": "none", "filter_subjects": ["image.pushed"]}
    await api.request("CONSUMER.CREATE.EVENTS.sign", {"stream_name": "EVENTS", "action": "create", "config": config})

    outcomes = await apply(connection, wanted)

    refused = [outcome.drift for outcome in outcomes if outcome.drift.field == "ack_policy"]
    assert [drift.refusal for drift in refused] == [
        "it cannot be changed: stop the worker, delete the consumer, and apply again"
    ]


@pytest.mark.parametrize(
    ("stream", "subject", "smaller", "sentence"),
    [
        ("EVENTS", "image.pushed", {"events_bytes": 1024}, "it holds 4,"),
        ("EVENTS", "image.pushed", {"events_age": timedelta(milliseconds=100)}, "it holds 0:0"),
        ("PROGRESS", "progress.sign.run", {"progress_per_run": 1}, "it holds 4 and"),
    ],
)
async def test_a_limit_below_what_is_held_is_refused(
    connection: Connection,
    api: JetStreamApi,
    wirings: Mapping[str, Wiring],
    retention: Retention,
    stream: str,
    subject: str,
    smaller: Mapping[str, Any],
    sentence: str,
) -> None:
    """Shrinking would drop messages, so it is refused with how much is held; the rest stays as it is."""
    await apply(connection, topology(wirings.values(), retention))
    for _ in range(4):
        await api.store(subject, b"x" * 1000, {})
    await _until(time.monotonic, time.monotonic() + 0.2)
    wanted = topology(wirings.values(), retention.model_copy(update=dict(smaller)))

    outcomes = await apply(connection, wanted)

    refused = [outcome.drift for outcome in outcomes if outcome.word == "refused" and outcome.drift.name == stream]
    assert len(refused) == 1
    assert sentence in str(refused[0].refusal)
    assert "shrinking would drop messages" in refused[0].sentence
    info = await api.stream(stream)
    assert info is not None
    assert info["state"]["messages"] == 4


async def _until(read: Callable[[], float], value: float) -> None:
    while True:
        if read() >= value:
            return
        await asyncio.sleep(0.01)


async def test_a_limit_above_what_is_held_is_applied(
    connection: Connection, api: JetStreamApi, wirings: Mapping[str, Wiring], retention: Retention
) -> None:
    """Shrinking that drops nothing is no loss."""
    await apply(connection, topology(wirings.values(), retention))
    await api.store("image.pushed", b"x", {})
    wanted = topology(wirings.values(), retention.model_copy(update={"events_bytes": 1024 * 1024}))

    assert _words(await apply(connection, wanted)) == [("EVENTS", "max_bytes", "applied")]


async def test_an_empty_stream_of_the_wrong_kind_is_made_anew(
    connection: Connection, api: JetStreamApi, wanted: Topology
) -> None:
    """Storage and retention cannot be changed in place; where nothing is held, nothing is lost."""
    await api.request("STREAM.CREATE.DEAD", {"name": "DEAD", "subjects": ["dead.>"], "storage": "memory"})

    await apply(connection, wanted)

    assert (await _config(api, "DEAD"))["storage"] == "file"
    assert await find_drift(connection, wanted) == []


async def test_a_stream_of_the_wrong_kind_with_messages_is_left_alone(
    connection: Connection, api: JetStreamApi, wanted: Topology
) -> None:
    """With messages in it, people must decide; everything else is applied meanwhile."""
    await api.request("STREAM.CREATE.DEAD", {"name": "DEAD", "subjects": ["dead.>"], "storage": "memory"})
    await api.store("dead.sign.image.pushed", b"precious", {})

    outcomes = await apply(connection, wanted)

    assert ("DEAD", "storage", "refused") in _words(outcomes)
    assert ("DEAD", "discard", "applied") in _words(outcomes)
    left = await find_drift(connection, wanted)
    assert [(drift.name, drift.field) for drift in left] == [("DEAD", "storage")]
    assert "back it up, empty it, and apply again" in left[0].sentence


async def test_what_is_more_than_declared_is_reported_and_kept(
    connection: Connection, api: JetStreamApi, wanted: Topology
) -> None:
    """During an upgrade the other version's subjects, streams, durables and schedules stay."""
    await apply(connection, wanted)
    await _change(api, "EVENTS", subjects=[*(await _config(api, "EVENTS"))["subjects"], "image.weighed"])
    await api.request("STREAM.CREATE.RETRY_weigh", {"name": "RETRY_weigh", "subjects": ["retry.weigh.>"]})
    durable = {"durable_name": "weigh", "name": "weigh", "ack_policy": "explicit", "filter_subject": "image.weighed"}
    await api.request("CONSUMER.CREATE.EVENTS.weigh", {"stream_name": "EVENTS", "config": durable})
    follower = {"name": "follower", "ack_policy": "none", "inactive_threshold": 60_000_000_000}
    await api.request("CONSUMER.CREATE.EVENTS.follower", {"stream_name": "EVENTS", "config": follower})
    every = {"Nats-Schedule": "@every 1h", "Nats-Schedule-Target": "tick.weigh", "Nats-TTL": "never"}
    await api.store("cron.weigh", b"", every)

    outcomes = await apply(connection, wanted)

    assert {(outcome.drift.what, outcome.drift.name, outcome.word) for outcome in outcomes} == {
        ("stream", "EVENTS", "tolerated"),
        ("stream", "RETRY_weigh", "tolerated"),
        ("consumer", "EVENTS/weigh", "tolerated"),
        ("schedule", "cron.weigh", "tolerated"),
    }
    assert "image.weighed" in (await _config(api, "EVENTS"))["subjects"]
    assert await api.consumer("EVENTS", "weigh") is not None


async def test_a_schedule_that_was_changed_is_written_anew(
    connection: Connection, api: JetStreamApi, wanted: Topology
) -> None:
    """Another interval, or a TTL that would let it die, is drift."""
    await apply(connection, wanted)
    await api.store("cron.sweep", b"", {"Nats-Schedule": "@every 2h", "Nats-Schedule-Target": "tick.sweep"})

    drifts = await find_drift(connection, wanted)
    await apply(connection, wanted)

    assert [(drift.field, drift.wanted, drift.found) for drift in drifts] == [
        ("Nats-Schedule", "@every 1h", "@every 2h"),
        ("Nats-TTL", "never", None),
    ]
    assert await find_drift(connection, wanted) == []


async def test_what_the_server_refuses_is_said_in_its_words(
    connection: Connection, api: JetStreamApi, wanted: Topology
) -> None:
    """Some switches cannot be turned back: the server's reason becomes the refusal, the rest goes on."""
    await apply(connection, wanted)
    await _change(api, "PROGRESS", deny_delete=True)

    outcomes = await apply(connection, wanted)

    assert _words(outcomes) == [("PROGRESS", "deny_delete", "refused")]
    assert "NATS refuses" in outcomes[0].drift.sentence


def test_a_drift_is_a_sentence_and_a_record() -> None:
    """People read units, programs read values."""
    drift = Drift("different", "stream", "EVENTS", "max_age", 86_400_000_000_000, 3_600_000_000_000)

    assert drift.sentence == "stream EVENTS: max_age is 1:00:00 instead of 1 day, 0:00:00"
    assert drift.as_json()["wanted"] == 86_400_000_000_000
