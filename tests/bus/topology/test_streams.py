"""What is declared, and that the server does with it what we rely on."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.catalogue import CATALOGUE
from workers.bus.topology.provision import apply
from workers.bus.topology.streams import HEADROOM, Topology, topology
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import ApiError, JetStreamApi
from workers.bus.wiring import Wiring
from workers.local.nats import NatsServer
from workers.retention import Retention


@pytest.fixture
def declared(wirings: Mapping[str, Wiring], retention: Retention) -> Topology:
    """Return what is declared for the workers."""
    return topology(wirings.values(), retention)


def _configs(declared: Topology) -> dict[str, Mapping[str, Any]]:
    return {stream.name: stream.config for stream in declared.streams}


def test_every_worker_has_what_it_needs_and_no_more(declared: Topology) -> None:
    """Retries for all, claims and ticks for those whose card says so, events for those who consume."""
    assert set(_configs(declared)) == {
        "EVENTS",
        "CRON",
        "PROGRESS",
        "DEAD",
        "KV_lines",
        "KV_ledger",
        "RETRY_probe",
        "RETRY_sign",
        "RETRY_sweep",
        "KV_claims_sign",
    }
    assert {(consumer.stream, *consumer.config["filter_subjects"]) for consumer in declared.consumers} == {
        ("EVENTS", "echo.requested"),
        ("EVENTS", "image.pushed"),
        ("RETRY_probe", "retry.probe.>"),
        ("RETRY_sign", "retry.sign.>"),
        ("RETRY_sweep", "retry.sweep.>"),
        ("CRON", "tick.sweep"),
    }


def test_all_streams_are_in_limits_retention_on_files(declared: Topology) -> None:
    """In another retention the server forgets message ids when it restarts."""
    for config in _configs(declared).values():
        assert (config["retention"], config["storage"]) == ("limits", "file")


def test_events_hold_events_only_and_leave_room_for_a_dead_letter(declared: Topology) -> None:
    """EVENTS has the types of the catalogue, refuses when full, and stays below the server's limit."""
    events = _configs(declared)["EVENTS"]

    assert events["subjects"] == sorted(CATALOGUE)
    assert events["discard"] == "new"
    assert events["max_msg_size"] == 1024 * 1024 - HEADROOM


def test_copies_are_the_operators_choice(wirings: Mapping[str, Wiring]) -> None:
    """Three replicas everywhere, when asked for."""
    streams = topology(wirings.values(), Retention(replicas=3)).streams

    assert {stream.config["num_replicas"] for stream in streams} == {3}


def test_a_consumer_never_gives_up_and_has_room_for_the_workers_concurrency(wirings: Mapping[str, Wiring]) -> None:
    """Poison is ours to judge, and a busy worker is not starved."""
    busy = replace(wirings["probe"], card=replace(wirings["probe"].card, concurrency=500))
    for consumer in topology([busy], Retention()).consumers:
        assert consumer.config["max_deliver"] == -1
        assert consumer.config["max_ack_pending"] == 8000
        assert consumer.config["ack_wait"] == 5_000_000_000


async def test_an_event_without_room_for_its_dead_letter_is_refused(provisioned: Connection) -> None:
    """What would not fit into DEAD with its reason does not fit into EVENTS."""
    api = JetStreamApi(provisioned)
    await api.store("image.pushed", b"x" * (1024 * 1024 - HEADROOM - 1000), {})

    with pytest.raises(ApiError, match="message size exceeds maximum allowed"):
        await api.store("image.pushed", b"x" * (1024 * 1024 - HEADROOM + 1), {})


async def test_the_server_remembers_ids_over_a_crash(provisioned: Connection, nats_server: NatsServer) -> None:
    """The same id is a duplicate after kill -9, too."""
    stream = provisioned.client.jetstream(timeout=30)
    headers = {"Nats-Msg-Id": "one"}
    first = await stream.publish("image.pushed", b"{}", headers=dict(headers))
    reconnected = asyncio.Event()

    async def on_reconnect() -> None:
        reconnected.set()

    provisioned.reconnected.append(on_reconnect)
    await nats_server.kill()
    await nats_server.start()
    await asyncio.wait_for(reconnected.wait(), 60)

    again = await stream.publish("image.pushed", b"{}", headers=dict(headers))
    assert (again.duplicate, again.seq) == (True, first.seq)


async def test_repeating_schedules_outlive_the_streams_max_age(
    connection: Connection, wirings: Mapping[str, Wiring], retention: Retention
) -> None:
    """With `Nats-TTL: never` a tick goes on after its schedule is older than the stream keeps messages."""
    age = timedelta(seconds=2)
    short = retention.model_copy(update={"events_age": age})
    every_second = replace(wirings["sweep"], card=replace(wirings["sweep"].card, tick="@every 1s"))
    await apply(connection, topology([every_second], short))
    api = JetStreamApi(connection)
    mortal = {"Nats-Schedule": "@every 1h", "Nats-Schedule-Target": "tick.mortal"}
    await api.store("cron.mortal", b"", mortal)
    written = await _time_of(api, "cron.sweep")

    await _until(api, "tick.sweep", lambda fired: fired - written > 3 * age)

    assert set(await api.subjects("CRON", "cron.>")) == {"cron.sweep"}
    assert await api.subjects("CRON", "tick.>") == {"tick.sweep": 1}


async def _time_of(api: JetStreamApi, subject: str) -> datetime:
    found = await api.request("STREAM.MSG.GET.CRON", {"last_by_subj": subject})
    seconds, _, fraction = found["message"]["time"].removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{(fraction + '000000')[:6]}+00:00")


async def _until(api: JetStreamApi, subject: str, enough: Callable[[datetime], bool]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if enough(await _time_of(api, subject)):
                return
        except ApiError:
            pass  # it has not fired yet
        assert time.monotonic() < deadline, f"{subject} stopped firing"
        await asyncio.sleep(0.1)


async def test_a_worker_that_was_away_is_woken_once(
    connection: Connection, wirings: Mapping[str, Wiring], retention: Retention
) -> None:
    """Missed ticks do not pile up: the latest is kept, and delivered like any message."""
    every_second = replace(wirings["sweep"], card=replace(wirings["sweep"].card, tick="@every 1s"))
    await apply(connection, topology([every_second], retention))
    api = JetStreamApi(connection)
    written = await _time_of(api, "cron.sweep")
    await _until(api, "tick.sweep", lambda fired: fired - written > timedelta(seconds=2.5))

    message = await connection.client.request(
        "$JS.API.CONSUMER.MSG.NEXT.CRON.sweep", b'{"batch":1,"expires":20000000000}', timeout=30, old_style=True
    )

    assert message.subject == "tick.sweep"
    info = await api.consumer("CRON", "sweep")
    assert info is not None
    assert info["num_ack_pending"] + info["num_pending"] <= 2
