"""An identity may do what its signature says, and nothing else: tried on the server, with the derived permissions."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from workers.bus.claims.claims import NatsClaims
from workers.bus.judgement.line import read_line, stop_line
from workers.bus.rooms import wiring as wiring_of
from workers.bus.topology.check import check
from workers.bus.topology.permissions import derive, inbox, permissions_table
from workers.bus.topology.provision import find_drift
from workers.bus.topology.streams import topology
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import ApiError, JetStreamApi
from workers.bus.transport.publisher import Publisher
from workers.bus.wiring import Wiring
from workers.failures import Denied
from workers.local.nats import NatsServer
from workers.ports import Json, Lease
from workers.retention import Retention

ConnectAs = Callable[[str], Awaitable[Connection]]
SCHEDULE = {"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-TTL": "never"}
PULL = b'{"batch":1,"expires":1000000000}'


OWN = ("image.attested", "progress.sign.run", "dead.sign.image.pushed", "$KV.lines.sign", "$KV.claims_sign.key")


async def _refused(connection: Connection, subject: str) -> bool:
    """Publish, and say whether the server called it a violation before it answered a later round trip."""
    before = len(connection.refusals)
    await connection.client.publish(subject, b"{}", reply=f"{connection.inbox_prefix}.nothing")
    assert await connection.alive(30) is not None
    return any(f'"{subject}"'.lower() in refusal.lower() for refusal in connection.refusals[before:])


async def test_a_worker_may_do_what_it_needs_at_its_start(connect_as: ConnectAs, wirings: Mapping[str, Wiring]) -> None:
    """Every worker can prove that it is connected, compare what it needs, and finds it."""
    for name, wiring in wirings.items():
        connection = await connect_as(f"worker-{name}")

        assert await connection.alive(30) is not None
        assert await check(connection, wiring) == []
        assert connection.refusals == []


async def test_a_worker_may_do_its_work(connect_as: ConnectAs) -> None:
    """Pull, publish what it emits, its progress, dead letters, schedules, line, acknowledge: all of it is allowed."""
    gateway, worker = await connect_as("gateway"), await connect_as("worker-sign")
    await JetStreamApi(gateway).store("image.pushed", b"{}", {"ce-id": "1"})
    event = await worker.client.request("$JS.API.CONSUMER.MSG.NEXT.EVENTS.sign", PULL, timeout=30, old_style=True)
    publisher = Publisher(worker)
    await publisher.start()
    for subject in OWN:
        await publisher.publish(subject, b"{}", timeout=30)
    target = {**SCHEDULE, "Nats-Schedule-Target": "retry.sign.image.pushed"}
    await publisher.publish("schedule.sign.one", b"{}", target, timeout=30)
    await event.ack_sync(timeout=30)
    await publisher.close()

    assert worker.refusals == []
    info = await JetStreamApi(worker).consumer("EVENTS", "sign")
    assert info is not None
    assert (info["delivered"]["stream_seq"], info["num_ack_pending"]) == (1, 0)


async def test_a_worker_may_use_its_claims_and_its_line(connect_as: ConnectAs) -> None:
    """What is built on the buckets works with the worker's own permissions."""
    worker = await connect_as("worker-sign")
    publisher = Publisher(worker)
    await publisher.start()
    claims = NatsClaims(worker, publisher, "sign", lease=timedelta(seconds=60), owner="here")

    async def work(lease: Lease) -> Json:
        await lease.mark("half")
        return {"done": True}

    assert await claims.once("image:1", work) == {"done": True}
    await stop_line(worker, publisher, "sign", by="here", reason="a test")
    state, _ = await read_line(worker, "sign")
    await publisher.close()

    assert state.state == "stopped"
    assert worker.refusals == []


FOREIGN = (
    # events of others, and what it consumes itself
    "image.pushed",
    "echo.answered",
    # other workers' retries, schedules, progress, dead letters, ticks, lines, claims
    "retry.probe.echo.requested",
    "retry.sign.image.pushed",
    "schedule.probe.one",
    "progress.probe.run",
    "dead.probe.echo.requested",
    "cron.sign",
    "cron.sweep",
    "tick.sweep",
    "$KV.lines.probe",
    "$KV.claims_probe.key",
    "$KV.claims_other.key",
    # reading what is not its own
    "$JS.API.DIRECT.GET.KV_claims_sign.$KV.claims_sign.key",
    "$JS.API.DIRECT.GET.EVENTS.image.pushed",
    "$JS.API.STREAM.MSG.GET.DEAD",
    "$JS.API.STREAM.MSG.GET.KV_claims_other",
    "$JS.API.STREAM.MSG.GET.RETRY_probe",
    "$JS.API.STREAM.NAMES",
    # other workers' consumers: messages, acknowledgements, settings
    "$JS.API.CONSUMER.MSG.NEXT.EVENTS.probe",
    "$JS.API.CONSUMER.MSG.NEXT.RETRY_probe.probe",
    "$JS.API.CONSUMER.INFO.EVENTS.probe",
    "$JS.ACK.EVENTS.probe.1.1.1.1.1",
    "$JS.ACK.hub.acc.EVENTS.probe.1.1.1.1.1",
    # changing streams and consumers, its own included
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.UPDATE.EVENTS",
    "$JS.API.STREAM.DELETE.RETRY_sign",
    "$JS.API.STREAM.PURGE.RETRY_sign",
    "$JS.API.STREAM.MSG.DELETE.EVENTS",
    "$JS.API.CONSUMER.CREATE.EVENTS.sign",
    "$JS.API.CONSUMER.CREATE.EVENTS.sign.image.pushed",
    "$JS.API.CONSUMER.CREATE.EVENTS",
    "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.sign",
    "$JS.API.CONSUMER.DELETE.EVENTS.sign",
    "$JS.API.CONSUMER.PAUSE.EVENTS.sign",
    # others' inboxes, and the system
    "_INBOX_worker-probe.alive.1",
    "_INBOX.anything",
    "$SYS.REQ.SERVER.PING",
    "anything.else",
)


async def test_a_worker_is_refused_wherever_it_has_no_business(connect_as: ConnectAs) -> None:
    """Each subject that is not the worker's own is a violation."""
    worker = await connect_as("worker-sign")

    allowed = [subject for subject in FOREIGN if not await _refused(worker, subject)]

    assert allowed == []


async def test_a_worker_reads_nobody_elses_answers(connect_as: ConnectAs) -> None:
    """Subscribing to others' inboxes, to events or to everything is a violation."""
    worker = await connect_as("worker-sign")
    for subject in ("_INBOX_worker-probe.>", "_INBOX_operator.>", ">", "image.pushed", "$KV.>", "progress.>"):
        before = len(worker.refusals)
        await worker.client.subscribe(subject)
        assert await worker.alive(30) is not None

        assert len(worker.refusals) > before, subject


async def test_a_schedule_cannot_fire_at_somebody_elses_subject(connect_as: ConnectAs) -> None:
    """A worker may schedule in its own stream only, and there the server refuses targets elsewhere."""
    api = JetStreamApi(await connect_as("worker-sign"))
    for target in ("echo.requested", "retry.probe.echo.requested", "tick.sweep", "$KV.lines.probe"):
        with pytest.raises(ApiError, match="10190"):
            await api.store("schedule.sign.one", b"{}", {**SCHEDULE, "Nats-Schedule-Target": target})


async def test_an_answer_never_becomes_an_event_with_attributes(connect_as: ConnectAs) -> None:
    """The server stores an answer on whatever subject it is sent to; what workers may ask for carries no headers."""
    worker, operator = await connect_as("worker-sign"), await connect_as("operator")
    forged = {"ce-id": "forged", "ce-type": "echo.requested"}
    await JetStreamApi(worker).store("$KV.claims_sign.key", b'{"message":"forged"}', forged)
    asked = {"STREAM.MSG.GET.KV_claims_sign": {"last_by_subj": "$KV.claims_sign.key"}, "STREAM.INFO.EVENTS": {}}
    for verb, body in asked.items():
        await worker.client.publish(f"$JS.API.{verb}", json.dumps(body).encode(), reply="echo.requested")
    for verb in ("DIRECT.GET.KV_claims_sign.$KV.claims_sign.key", "DIRECT.GET.KV_claims_sign"):
        assert await _refused(worker, f"$JS.API.{verb}")

    api = JetStreamApi(operator)
    stored = await _stored(api, "EVENTS", len(asked))

    assert [message.get("hdrs") for message in stored] == [None] * len(asked)


async def _stored(api: JetStreamApi, stream: str, count: int) -> list[dict[str, Any]]:
    """Wait until a stream holds some messages, and return them."""
    deadline = time.monotonic() + 30
    while True:
        info = await api.stream(stream)
        assert info is not None
        if info["state"]["messages"] >= count or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.02)
    sequences = range(1, info["state"]["last_seq"] + 1)
    return [(await api.request(f"STREAM.MSG.GET.{stream}", {"seq": number}))["message"] for number in sequences]


async def test_one_key_cannot_empty_a_bucket(connect_as: ConnectAs) -> None:
    """A rollup, which replaces all that a stream holds, is refused where several workers write."""
    api = JetStreamApi(await connect_as("worker-sign"))
    for subject in ("$KV.lines.sign", "progress.sign.run", "dead.sign.image.pushed", "image.attested"):
        with pytest.raises(ApiError, match="rollup not permitted"):
            await api.store(subject, b"{}", {"Nats-Rollup": "all"})


@pytest.mark.parametrize("identity", ["gateway", "operator"])
async def test_readers_cannot_touch_the_workers_consumers(connect_as: ConnectAs, identity: str) -> None:
    """Whoever reads with consumers of its own neither takes workers' messages nor changes their settings."""
    reader = await connect_as(identity)
    own = {"stream_name": "EVENTS", "action": "create", "config": {"name": "mine", "ack_policy": "none"}}
    await JetStreamApi(reader).request("CONSUMER.CREATE.EVENTS.mine", own)

    assert await _refused(reader, "$JS.API.CONSUMER.CREATE.EVENTS.sign")
    assert await _refused(reader, "$JS.API.CONSUMER.CREATE.EVENTS.sign.image.pushed")
    assert await _refused(reader, "$JS.API.CONSUMER.DELETE.EVENTS.sign")
    assert await _refused(reader, "$JS.API.CONSUMER.MSG.NEXT.EVENTS.sign")
    assert await _refused(reader, "$JS.API.STREAM.UPDATE.EVENTS")
    assert await _refused(reader, "$JS.API.STREAM.PURGE.EVENTS")


async def test_the_operator_replays_and_the_gateway_does_not(connect_as: ConnectAs) -> None:
    """A replay goes to one worker's retries; the door may only bring new events."""
    operator, gateway = await connect_as("operator"), await connect_as("gateway")

    await JetStreamApi(operator).store("retry.sign.image.pushed", b"{}", {"ce-id": "1"})
    await JetStreamApi(operator).store("$KV.lines.sign", b"{}", {})
    for subject in (
        "retry.sign.image.pushed",
        "$KV.lines.sign",
        "$KV.claims_sign.key",
        "schedule.sign.one",
        "cron.sweep",
    ):
        assert await _refused(gateway, subject)


async def test_the_operator_may_compare_everything(
    connect_as: ConnectAs, wirings: Mapping[str, Wiring], retention: Retention
) -> None:
    """Looking for drift needs no identity that could change anything."""
    operator = await connect_as("operator")

    assert await find_drift(operator, topology(wirings.values(), retention)) == []
    assert operator.refusals == []


def test_the_bridge_brings_what_it_carries_only() -> None:
    """The bridge may publish what its signature says, and pulls nothing but what is replayed to it."""
    allowed = derive([wiring_of("bridge")])["bridge"]

    assert {"image.pushed", "occurrence.created", "scan.requested"} <= set(allowed.publish)
    assert "image.attested" not in allowed.publish
    assert [subject for subject in allowed.publish if "MSG.NEXT" in subject] == [
        "$JS.API.CONSUMER.MSG.NEXT.RETRY_bridge.bridge"
    ]
    assert "$JS.API.STREAM.MSG.GET.EVENTS" not in allowed.publish


async def test_a_refused_request_says_so_at_once(connect_as: ConnectAs) -> None:
    """The server answers a forbidden request with silence; we say who may not ask what."""
    worker = await connect_as("worker-sign")

    with pytest.raises(Denied, match=r"'worker-sign' may not publish to \$JS\.API\.STREAM\.INFO\.RETRY_probe"):
        await asyncio.wait_for(JetStreamApi(worker, patience=60).stream("RETRY_probe"), 30)


async def test_without_a_seed_nobody_gets_in(secured_server: NatsServer) -> None:
    """A connection without an identity is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", secured_server.port)
    assert (await reader.readline()).startswith(b"INFO ")
    writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
    answer = await asyncio.wait_for(reader.readline(), 30)
    writer.close()

    assert b"Authorization Violation" in answer


def test_the_table_names_every_identity(wirings: Mapping[str, Wiring]) -> None:
    """People and programs see what each identity may do."""
    rows = {row["identity"]: row for row in permissions_table(derive(wirings.values()))}

    assert set(rows) == {
        "provisioner",
        "operator",
        "gateway",
        "worker-probe",
        "worker-sign",
        "worker-sweep",
    }
    assert rows["worker-sweep"]["subscribe"] == [inbox("worker-sweep")]
    assert "image.attested" in rows["worker-sign"]["publish"]
    assert "$KV.claims_probe.>" not in rows["worker-probe"]["publish"]
