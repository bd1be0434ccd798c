"""A worker compares at its start what it needs, with its own permissions, and nothing else."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from workers.bus.topology.check import check, refusal
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.wiring import Wiring


async def test_nothing_to_say_when_all_is_there(provisioned: Connection, wirings: Mapping[str, Wiring]) -> None:
    """Every worker finds what it needs."""
    for wiring in wirings.values():
        assert await check(provisioned, wiring) == []


@pytest.mark.parametrize(
    ("worker", "verb", "sentence"),
    [
        ("sign", "STREAM.DELETE.EVENTS", "stream EVENTS is missing"),
        ("sign", "CONSUMER.DELETE.EVENTS.sign", "consumer EVENTS/sign is missing"),
        ("sign", "STREAM.DELETE.KV_claims_sign", "stream KV_claims_sign is missing"),
        ("sweep", "STREAM.DELETE.CRON", "stream CRON is missing"),
        ("sweep", "CONSUMER.DELETE.CRON.sweep", "consumer CRON/sweep is missing"),
        ("probe", "STREAM.DELETE.PROGRESS", "stream PROGRESS is missing"),
    ],
)
async def test_what_a_worker_lacks_keeps_it_from_starting(
    provisioned: Connection, wirings: Mapping[str, Wiring], worker: str, verb: str, sentence: str
) -> None:
    """One sentence says what lacks, and what to do."""
    await JetStreamApi(provisioned).request(verb)

    said = refusal(wirings[worker], await check(provisioned, wirings[worker]))

    assert sentence in said
    assert said.startswith(f"{worker} does not start")
    assert said.endswith("Run `sealane streams apply`.")


async def test_what_other_workers_lack_is_not_its_business(
    provisioned: Connection, wirings: Mapping[str, Wiring]
) -> None:
    """A worker without claims, ticks or that event starts all the same."""
    api = JetStreamApi(provisioned)
    for verb in ("STREAM.DELETE.KV_claims_sign", "STREAM.DELETE.CRON", "CONSUMER.DELETE.EVENTS.sign"):
        await api.request(verb)

    assert await check(provisioned, wirings["probe"]) == []


async def test_sizes_and_additions_are_the_operators_business(
    provisioned: Connection, wirings: Mapping[str, Wiring]
) -> None:
    """Other limits, further subjects and a more patient consumer are no reason to refuse."""
    api = JetStreamApi(provisioned)
    stream = await api.stream("EVENTS")
    consumer = await api.consumer("EVENTS", "sign")
    assert stream is not None
    assert consumer is not None
    more = {"max_bytes": 1 << 20, "max_age": 0, "subjects": [*stream["config"]["subjects"], "image.weighed"]}
    await api.request("STREAM.UPDATE.EVENTS", {**stream["config"], **more})
    patient = {**consumer["config"], "ack_wait": 600_000_000_000, "max_ack_pending": 7}
    await api.request("CONSUMER.CREATE.EVENTS.sign", {"stream_name": "EVENTS", "action": "update", "config": patient})

    assert await check(provisioned, wirings["sign"]) == []


async def test_what_would_break_a_promise_is_refused(provisioned: Connection, wirings: Mapping[str, Wiring]) -> None:
    """A stream that drops events, and a consumer less patient than the heartbeats, keep a worker from starting."""
    api = JetStreamApi(provisioned)
    stream = await api.stream("EVENTS")
    consumer = await api.consumer("EVENTS", "sign")
    assert stream is not None
    assert consumer is not None
    await api.request("STREAM.UPDATE.EVENTS", {**stream["config"], "discard": "old"})
    hasty = {**consumer["config"], "ack_wait": int(timedelta(seconds=1).total_seconds() * 1e9), "max_deliver": 3}
    await api.request("CONSUMER.CREATE.EVENTS.sign", {"stream_name": "EVENTS", "action": "update", "config": hasty})

    found = {(drift.name, drift.field) for drift in await check(provisioned, wirings["sign"])}

    assert found == {("EVENTS", "discard"), ("EVENTS/sign", "ack_wait"), ("EVENTS/sign", "max_deliver")}
