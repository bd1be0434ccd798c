"""Events over HTTP: the modes of CloudEvents, what is stored, and what is said of what is wrong."""

import io
import json
from typing import Any

import pytest

from schemas.identity import run_id
from tests.bus.lane import Lane
from tests.gateway.conftest import IMAGE, KEY, SLOW_KEY, Caller, attributes
from workers.gateway.problems import MEDIA_TYPE

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def record(event_id: str, message: Any = "hello", **changed: Any) -> dict[str, Any]:
    """Return an `echo.requested` in structured mode."""
    known = {"specversion": "1.0", "id": event_id, "source": "/ci", "type": "echo.requested"}
    return known | {"data": {"message": message}} | changed


async def test_binary_event_is_stored_and_answered_with_its_run(lane: Lane, caller: Caller) -> None:
    """202 says which event it is and which run it opened; it is on the bus by then, with the principal as actor."""
    answer = await caller.echo("b-1", ce_time="2026-11-02T09:30:00Z", ce_actor="root", ce_run="mine", ce_hops="9")

    run = run_id("/ci", "b-1")
    assert (answer.status, answer.json) == (
        202,
        {"type": "echo.requested", "source": "/ci", "id": "b-1", "run": run},
    )
    ((headers, body),) = await lane.messages("EVENTS", "echo.requested")
    assert json.loads(body) == {"message": "hello"}
    assert (headers["ce-actor"], headers["ce-run"], headers["ce-time"]) == ("ci", run, "2026-11-02T09:30:00Z")
    assert "ce-hops" not in headers


async def test_structured_event_is_stored(lane: Lane, caller: Caller) -> None:
    """One JSON object holds attributes and data; what it says of its actor and run is not listened to."""
    body = json.dumps(record("s-1", actor="root", run="no run id!", hops="many"))
    answer = await caller.send(body, content_type=f"{STRUCTURED}; charset=utf-8")

    assert answer.status == 202
    ((headers, _),) = await lane.messages("EVENTS", "echo.requested")
    assert (headers["ce-id"], headers["ce-actor"]) == ("s-1", "ci")


async def test_batch_is_stored_in_its_order(lane: Lane, caller: Caller) -> None:
    """A list of structured events is answered with a list."""
    body = json.dumps([record("b-1", "one"), record("b-2", "two")])
    answer = await caller.send(body, content_type=BATCH)

    assert answer.status == 202
    assert [one["id"] for one in answer.json] == ["b-1", "b-2"]
    assert {one["message"] for one in await lane.bodies("EVENTS", "echo.requested")} == {"one", "two"}


async def test_nothing_of_a_batch_is_stored_when_one_event_is_wrong(lane: Lane, caller: Caller) -> None:
    """All are checked before any is stored, and the answer says which one it was."""
    body = json.dumps([record("b-1", "one"), record("b-2", 2)])
    answer = await caller.send(body, content_type=BATCH)

    assert (answer.status, answer.json["index"], answer.json["field"]) == (400, 1, "message")
    assert await lane.count("EVENTS") == 0


async def test_same_event_again_is_the_same_answer(lane: Lane, caller: Caller) -> None:
    """A retry, in whatever mode, stores nothing and is told the same."""
    first = await caller.echo("same")
    again = await caller.echo("same")
    structured = await caller.send(json.dumps(record("same")), content_type=STRUCTURED)

    assert (first.status, first.text) == (again.status, again.text) == (structured.status, structured.text)
    assert await lane.count("EVENTS") == 1


async def test_same_identity_with_other_content_is_a_conflict(lane: Lane, caller: Caller) -> None:
    """What is stored stays, and whoever brings something else under its name is told."""
    await caller.echo("same", "hello")
    answer = await caller.echo("same", "something else")
    batch = await caller.send(json.dumps([record("same", "other"), record("new")]), content_type=BATCH)

    assert (answer.status, answer.json["attribute"]) == (409, "id")
    assert "its content differs" in answer.json["detail"]
    assert (batch.status, [one["id"] for one in batch.json["not_stored"]]) == (409, ["same"])
    twice = await caller.send(json.dumps([record("twice", "a"), record("twice", "b")]), content_type=BATCH)
    assert (twice.status, [one["index"] for one in twice.json["not_stored"]]) == (409, [1])


WRONG = {
    "no id": ({"ce_id": ""}, "{}", 400, {"attribute": "id"}),
    "unknown version": ({"ce_specversion": "0.3"}, "{}", 400, {"attribute": "specversion"}),
    "unknown type": ({"ce_type": "echo.shouted"}, "{}", 400, {"attribute": "type"}),
    "time that is none": ({"ce_time": "yesterday"}, "{}", 400, {"attribute": "time"}),
    "half an escape": ({"ce_source": "/%ff"}, "{}", 400, {"attribute": "source"}),
    "a line break in the id": ({"ce_id": "a%0ab"}, "{}", 400, {"attribute": "id"}),
    "an id without end": ({"ce_id": "x" * 5000}, "{}", 400, {"attribute": "id"}),
    "latin letters": ({"ce_source": "/\u00e9"}, "{}", 400, {"attribute": "source"}),
    "field of another kind": ({}, '{"message": 7}', 400, {"field": "message"}),
    "field that there is not": ({}, '{"message": "a", "shout": true}', 400, {"field": "shout"}),
    "no JSON": ({}, "hello", 400, {}),
    "deep nesting": ({}, "[" * 200_000, 400, {}),
    "nesting in a field": ({}, '{"message": ' + "[" * 5000 + "]" * 5000 + "}", 400, {}),
    "form": ({"content_type": "application/x-www-form-urlencoded"}, "a=b", 415, {"attribute": "content-type"}),
    "packed": ({"content_encoding": "gzip"}, "{}", 415, {"attribute": "content-encoding"}),
    "charset": ({"content_type": "application/json; charset=utf-16"}, "{}", 415, {"attribute": "content-type"}),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_named(lane: Lane, caller: Caller, case: str) -> None:
    """A wrong event is answered with problem details that name attribute or field, and is not stored."""
    changed, body, status, members = WRONG[case]
    answer = await caller.send(body, **(attributes("w-1") | changed))

    assert answer.status == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json["status"] == status
    assert answer.json["detail"]
    assert {name: answer.json.get(name) for name in members} == members
    assert await lane.count("EVENTS") == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("[" * 100_000, 400),
        ('{"a":' * 100_000, 400),
        ("7", 400),
        (json.dumps(record("s-1", data_base64="aGVsbG8=")), 400),
        (json.dumps(record("s-1", datacontenttype="text/xml")), 415),
        (json.dumps(record("s-1")).replace('"hello"', "1" * 5000), 400),
        (json.dumps(record("s-1")).replace('"hello"', '"\\ud800"'), 400),
        (json.dumps(record("s-1")).replace('"hello"', "NaN"), 400),
        (json.dumps({"specversion": "1.0", "id": 7, "source": "/ci", "type": "echo.requested", "data": {}}), 400),
    ],
)
async def test_wrong_structured_event_is_refused(lane: Lane, caller: Caller, body: str, status: int) -> None:
    """Nesting without end, numbers without end, half letters and wrong kinds are a sentence, never a crash."""
    answer = await caller.send(body, content_type=STRUCTURED)

    assert (answer.status, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert await lane.count("EVENTS") == 0


async def test_too_many_events_at_once_are_refused(caller: Caller) -> None:
    """A batch has a bound, and an empty one says nothing."""
    many = await caller.send(json.dumps([record(str(number)) for number in range(501)]), content_type=BATCH)
    none = await caller.send("[]", content_type=BATCH)

    assert (many.status, none.status) == (413, 400)


async def test_large_body_is_refused_before_it_is_read(lane: Lane, caller: Caller) -> None:
    """25 MB are answered with 413, whether the length was announced or not, and the door goes on."""
    announced = await caller.send(io.BytesIO(b" " * 25_000_000), **attributes("large"))

    async def pieces() -> Any:
        for _ in range(50):
            yield b" " * 500_000

    streamed = await caller.send(pieces(), **attributes("large"))

    assert (announced.status, streamed.status) == (413, 413)
    assert "larger than the" in announced.json["detail"]
    assert (await caller.echo("after")).status == 202


async def test_headers_have_a_bound(caller: Caller) -> None:
    """64 KB of headers are refused, and the door goes on."""
    answer = await caller.echo("h-1", x_much="x" * 65_536)

    assert 400 <= answer.status < 500
    assert (await caller.echo("after")).status == 202


async def test_image_is_announced(lane: Lane, caller: Caller) -> None:
    """An `image.pushed` below the principal's path is stored with the image as its subject."""
    answer = await caller.send(json.dumps({"image": IMAGE}), **attributes("i-1", "image.pushed"))

    assert answer.status == 202
    ((headers, _),) = await lane.messages("EVENTS", "image.pushed")
    assert headers["ce-subject"] == IMAGE


async def test_principal_has_its_own_rate(caller: Caller) -> None:
    """429 says when to come back, and nobody else is slowed down."""
    answers = [await caller.echo(f"r-{n}", token=SLOW_KEY, ce_source="/slow/1") for n in range(3)]

    assert [answer.status for answer in answers] == [202, 202, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 30
    assert (await caller.echo("r-9", token=KEY)).status == 202
