"""Events as nobody means them, over HTTP into a real bus: what is stored is right, and everything is answered.

`pytest --examples 10000` looks longer.
"""

import asyncio
import json
from collections import Counter
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
from hypothesis import strategies as st

from schemas.catalogue import CATALOGUE
from schemas.envelope import MAX_ATTRIBUTE, STRUCTURED_CONTENT_TYPE, from_headers
from tests.bus.lane import Lane
from tests.gateway.conftest import IMAGE, KEY, Caller
from workers.gateway.problems import MEDIA_TYPE
from workers.gateway.reading import BATCH_CONTENT_TYPE

_DOCUMENTED = {202, 400, 403, 409, 413, 415, 422, 429, 431}
_FEW = 150
Request = tuple[dict[str, str], bytes]

text = st.text(max_size=20)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
ids = st.sampled_from(["1", "2", "3", "ü 4", "x" * MAX_ATTRIBUTE]) | st.text(min_size=1, max_size=30)
sources = st.sampled_from(["/ci", "//registry.example.com/a b", "/slow/1", "/sealane/echo", "/sealane/../ci"]) | text
labels = st.dictionaries(text, text, max_size=2)
types = st.sampled_from(["echo.requested", "image.pushed", "image.attested", "github.pushed", "ECHO.requested", ">"])
data: st.SearchStrategy[Any] = (
    st.fixed_dictionaries({"message": text})
    | st.fixed_dictionaries({"image": st.sampled_from([IMAGE, f"{IMAGE}@sha256:{'a' * 64}", "evil.example.com/x:1"])})
    | st.dictionaries(st.sampled_from(["message", "image", "digest", "labels", "seen"]) | text, anything, max_size=3)
    | anything
)
known = st.fixed_dictionaries(
    {"specversion": st.just("1.0"), "id": ids, "source": sources, "type": types, "data": data},
    optional={"time": st.just("2026-11-02T09:30:00Z") | text, "hops": anything, "cause": text, "actor": text},
)
changes = st.dictionaries(
    st.sampled_from(["specversion", "id", "source", "type", "subject", "run", "datacontenttype", "data_base64"]) | text,
    anything,
    max_size=2,
)
printed = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)
right = st.builds(
    lambda event_id, what: {"specversion": "1.0", "id": event_id, "source": "/ci", "type": what[0], "data": what[1]},
    st.sampled_from(["1", "2", "ü 4", "x" * MAX_ATTRIBUTE]) | printed,
    st.tuples(st.just("echo.requested"), st.fixed_dictionaries({"message": printed}))
    | st.tuples(st.just("image.pushed"), st.fixed_dictionaries({"image": st.just(IMAGE)}, optional={"labels": labels})),
)
records = right | known | st.builds(lambda record, changed: record | changed, known, changes)
header = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F, exclude_characters="\x7f"), max_size=20)
extra = st.dictionaries(st.sampled_from(["ce-hops", "ce-time", "ce-run", "ce-cause", "traceparent", "ce-x"]), header)


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _binary(record: dict[str, Any], more: dict[str, str]) -> Request:
    headers = {f"ce-{name}": quote(str(record[name])) for name in ("specversion", "id", "source", "type")} | more
    quoted = {name: "".join(letter for letter in value if letter.isprintable()) for name, value in headers.items()}
    return quoted | {"content-type": "application/json"}, _encoded(record["data"])


def _media(media: str) -> st.SearchStrategy[str]:
    return st.just(media) | st.sampled_from([f"{media}; charset=utf-8", f"{media};charset=utf-16", "text/plain"])


def _torn(request: Request, at: int) -> Request:
    headers, body = request
    return headers, body[: at % (len(body) + 1)]


whole = (
    st.builds(_binary, right | known, extra)
    | st.builds(lambda one, media: ({"content-type": media}, _encoded(one)), records, _media(STRUCTURED_CONTENT_TYPE))
    | st.builds(
        lambda many, media: ({"content-type": media}, _encoded(many)),
        st.lists(records, max_size=4),
        _media(BATCH_CONTENT_TYPE),
    )
)
requests = whole | whole | st.builds(_torn, whole, st.integers(min_value=0, max_value=10_000))


async def test_only_right_events_are_stored_and_everything_is_answered(
    lane: Lane, caller: Caller, pytestconfig: pytest.Config
) -> None:
    """Whatever is sent: 202 and the event is on the bus, as the principal may say it, or a sentence and it is not."""
    loop, statuses, promised = asyncio.get_running_loop(), Counter[int](), set[tuple[str, ...]]()

    async def bring(request: Request) -> None:
        headers, body = request
        answer = await caller.ask("POST", "/events", body, headers | {"authorization": f"Bearer {KEY}"})
        statuses[answer.status] += 1
        assert answer.status in _DOCUMENTED
        if answer.status == 202:
            receipts = answer.json if isinstance(answer.json, list) else [answer.json]
            promised.update((one["type"], one["source"], one["id"], one["run"]) for one in receipts)
        else:
            assert answer.headers["content-type"] == MEDIA_TYPE
            assert answer.json["detail"]

    @hypothesis.settings(
        max_examples=pytestconfig.getoption("--examples") or _FEW,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    @hypothesis.given(requests)
    def tried(request: Request) -> None:
        asyncio.run_coroutine_threadsafe(bring(request), loop).result(60)

    await asyncio.to_thread(tried)

    stored = await lane.messages("EVENTS")
    found = [(from_headers(headers), body) for headers, body in stored]
    # A batch of which one event was taken before, with other content, is a 409; the rest of it is stored.
    assert promised <= {(one.type, one.source, one.id, one.run) for one, _ in found}
    assert len(found) == len({(one.type, one.source, one.id) for one, _ in found})
    for envelope, body in found:
        CATALOGUE[envelope.type].model_validate_json(body)
        assert envelope.type in {"echo.requested", "image.pushed"}
        assert (envelope.actor, envelope.cause, envelope.hops, envelope.parentrun) == ("ci", None, 0, None)
        assert not envelope.source.startswith(("/sealane/", "/slow/"))
        assert envelope.type != "image.pushed" or json.loads(body)["image"].startswith("europe-docker.pkg.dev/acme/")
    print(f"hypothesis: {sum(statuses.values())} requests, {dict(statuses)}, {len(found)} events stored")
