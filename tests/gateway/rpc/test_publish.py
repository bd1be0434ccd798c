"""Events come in over gRPC: the same checks, principals and receipts as over HTTP."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp

from tests.bus.lane import Lane, until
from tests.gateway.conftest import KEY, SLOW_KEY
from tests.gateway.issuer import LocalIssuer
from tests.gateway.rpc.conftest import Open, details, event, open_doors, resume_of
from workers.adapters.key_sets import fetch_key_set
from workers.bus.topology.streams import EVENTS
from workers.gateway.pb.io.cloudevents.v1.cloudevents_pb2 import CloudEvent
from workers.gateway.principals import Policy

Status = grpc.StatusCode


async def test_what_is_brought_is_stored_with_the_receipt_that_http_gives(lane: Lane, doors: Open) -> None:
    """Sent again at the other door, an event is the same one: the same receipt, and it is there once."""
    receipts = await doors.rpc.publish(event("g-1"), event("g-2", '{"message": "grüß"}'))
    again = await doors.http.echo("g-1")

    assert [(one.type, one.source, one.id) for one in receipts] == [
        ("echo.requested", "/ci", "g-1"),
        ("echo.requested", "/ci", "g-2"),
    ]
    assert (again.status, again.json["run"]) == (202, receipts[0].run)
    stored = [await lane.connection.client.jetstream().get_msg(EVENTS, sequence) for sequence in (1, 2)]
    assert [json.loads(one.data or b"") for one in stored] == [{"message": "hello"}, {"message": "grüß"}]
    assert {(one.headers or {})["ce-actor"] for one in stored} == {"ci"}
    assert (await lane.connection.client.jetstream().stream_info(EVENTS)).state.messages == 2


async def test_attributes_are_those_of_the_structured_mode(lane: Lane, doors: Open) -> None:
    """A time may be a timestamp; a trace goes on; what only the bus may say is not listened to."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    given: dict[str, dict[str, Any]] = {
        "time": {"ce_timestamp": Timestamp(seconds=1_760_000_000)},
        "traceparent": {"ce_string": trace},
        "actor": {"ce_string": "somebody else"},
        "tries": {"ce_integer": 3},
    }
    await doors.rpc.publish(event("g-3", attributes=given))
    headers = (await lane.connection.client.jetstream().get_msg(EVENTS, 1)).headers or {}

    assert (headers["ce-time"], headers["ce-actor"]) == ("2025-10-09T08:53:20Z", "ci")
    assert headers["traceparent"].split("-")[1] == trace.split("-")[1]


REFUSED: dict[str, tuple[dict[str, Any], Status, str, str]] = {
    # what: members of the event, status, field, part of the sentence
    "no type": ({"type": ""}, Status.INVALID_ARGUMENT, "events[1].type", "'type' is missing"),
    "unknown type": ({"type": "echo.heard"}, Status.INVALID_ARGUMENT, "events[1].type", "there is no event"),
    "other version": ({"spec_version": "0.3"}, Status.INVALID_ARGUMENT, "events[1].specversion", "0.3"),
    "no JSON": ({"text_data": "hello"}, Status.INVALID_ARGUMENT, "events[1].text_data", "not JSON"),
    "no data": ({"text_data": None}, Status.INVALID_ARGUMENT, "events[1].data", "no `data`"),
    "a message": (
        {"text_data": None, "proto_data": AnyMessage()},
        *(Status.INVALID_ARGUMENT, "events[1].proto_data", "is JSON"),
    ),
    "wrong field": ({"text_data": '{"message": 7}'}, Status.INVALID_ARGUMENT, "events[1].data.message", "message"),
    "not allowed": ({"source": "/slow/1"}, Status.PERMISSION_DENIED, "events[1].source", "may not speak as"),
    "no such grant": ({"type": "scan.requested"}, Status.PERMISSION_DENIED, "events[1].type", "may not publish"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused_says_which_field_of_which_event(lane: Lane, doors: Open, what: str) -> None:
    """The status is of the kind, the details name the field; nothing of the request is stored."""
    members, status, field, sentence = REFUSED[what]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await doors.rpc.publish(event("fine"), event("wrong", **members))

    found: dict[str, Any] = details(refused.value)
    assert refused.value.code() == status
    assert sentence in (refused.value.details() or "")
    assert [violation.field for violation in found["BadRequest"].field_violations] == [field]
    assert (found["ErrorInfo"].domain, found["ErrorInfo"].metadata["index"]) == ("sealane", "1")
    assert (await lane.connection.client.jetstream().stream_info(EVENTS)).state.messages == 0


async def test_nobody_is_told_to_say_who_it_is(doors: Open) -> None:
    """No metadata, a wrong scheme, an unknown key, no token: unauthenticated, and nothing of it in the answer."""
    for key in (None, "", "slk_unknown0unknown0unknown0unknown0unknown0", "x.y.z"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await doors.rpc.publish(event("g-4"), key=key)
        assert refused.value.code() == Status.UNAUTHENTICATED
        assert not key or key not in str(refused.value)
        assert resume_of(refused.value) is None


async def test_token_of_an_issuer_is_for_one_request(doors: Open, issuer: LocalIssuer) -> None:
    """A token of GitHub counts as over HTTP: for what it was used for first, at whichever door, and nothing else."""
    token = issuer.token()
    image = {"type": "image.pushed", "text_data": json.dumps(_pushed())}
    receipt = (await doors.rpc.publish(event("g-5", **image), key=token))[0]
    again = await doors.http.send(
        json.dumps(_pushed()),
        token=token,
        ce_specversion="1.0",
        ce_id="g-5",
        ce_source="/ci",
        ce_type="image.pushed",
        content_type="application/json",
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await doors.rpc.publish(event("g-6", **image), key=token)

    assert (again.status, again.json["run"]) == (202, receipt.run)
    assert refused.value.code() == Status.PERMISSION_DENIED
    found: dict[str, Any] = details(refused.value)
    assert found["ErrorInfo"].metadata["claim"] == "jti"


async def test_who_goes_takes_nothing_from_others(
    lane: Lane, tmp_path: Path, policy: Policy, issuer: LocalIssuer
) -> None:
    """A caller that cancels while the issuer's keys are fetched for it spoils them for nobody."""
    asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly(url: str) -> bytes:
        asked.set()
        await may_go_on.wait()
        return await fetch_key_set(url)

    image = {"type": "image.pushed", "text_data": json.dumps(_pushed())}
    async with open_doors(lane, tmp_path, policy, fetch_keys=slowly) as doors:
        hasty = asyncio.create_task(doors.rpc.publish(event("h-1", **image), key=issuer.token()))
        await asked.wait()
        hasty.cancel()
        await asyncio.wait({hasty})
        patient = asyncio.create_task(doors.rpc.publish(event("h-2", **image), key=issuer.token()))
        await until(lambda: doors.door.metrics.requests["sealane.v1.Events/Publish", "CANCELLED", ""] == 1)
        may_go_on.set()
        assert [receipt.id for receipt in await patient] == ["h-2"]
        await until(lambda: is_stored(lane, 2), what="what the hasty one brought is stored as well")


async def is_stored(lane: Lane, count: int) -> bool:
    """Return whether so many events are stored."""
    return await lane.count(EVENTS) == count


def _pushed() -> dict[str, str]:
    image = "europe-docker.pkg.dev/acme/shop/web"
    return {"image": f"{image}:1.4.2", "digest": f"sha256:{'a' * 64}"}


async def test_who_is_over_its_rate_hears_when_to_come_again(doors: Open) -> None:
    """The rate is one for both doors; RetryInfo says how long to wait."""
    for name in ("r-1", "r-2"):
        assert (await doors.http.echo(name, token=SLOW_KEY, ce_source="/slow/1")).status == 202
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await doors.rpc.publish(event("r-3", source="/slow/1"), key=SLOW_KEY)

    found: dict[str, Any] = details(refused.value)
    assert refused.value.code() == Status.RESOURCE_EXHAUSTED
    assert 1 <= found["RetryInfo"].retry_delay.seconds <= 60
    assert found["ErrorInfo"].reason == "TOO_MANY_REQUESTS"


async def test_id_that_means_something_else_is_refused(doors: Open) -> None:
    """The same source and id with other data is somebody's mistake: it exists already."""
    await doors.rpc.publish(event("g-7"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await doors.rpc.publish(event("g-7", '{"message": "other"}'))
    assert refused.value.code() == Status.ALREADY_EXISTS


async def test_none_too_many_and_too_much_are_refused(doors: Open) -> None:
    """No event at all, more than a batch holds, and more bytes than the bus takes."""
    cases: tuple[tuple[list[CloudEvent], grpc.StatusCode, str], ...] = (
        ([], Status.INVALID_ARGUMENT, "send at least one"),
        ([event(f"m-{number}") for number in range(501)], Status.INVALID_ARGUMENT, "at most 500"),
        ([event("big", json.dumps({"message": "x" * (2 << 20)}))], Status.RESOURCE_EXHAUSTED, "larger than max"),
    )
    for events, status, sentence in cases:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await doors.rpc.publish(*events, key=KEY)
        assert (refused.value.code(), sentence in (refused.value.details() or "")) == (status, True)
