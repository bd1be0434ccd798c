"""What a hostile or broken client sends: raw bytes, mutations of events, and what the door loads for it."""

import asyncio
import json
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import STRUCTURED_CONTENT_TYPE
from tests.bus.lane import Lane
from tests.gateway.conftest import IMAGE, KEY, Caller, attributes
from tests.gateway.issuer import AUDIENCE, LocalIssuer
from workers.adapters.key_sets import fetch_key_set
from workers.failures import Unavailable
from workers.gateway.keysets import KeySets
from workers.gateway.principals import Policy
from workers.gateway.problems import MEDIA_TYPE, Problem
from workers.gateway.reading import BATCH_CONTENT_TYPE, Brought, events_of
from workers.gateway.tokens import Tokens

LINES = {
    "no control characters": b"ce-id: a\x00b",
    "no bare line feed in a value": b"ce-id: a\rb",
    "one id": b"ce-id: r-1\r\nce-id: r-2",
    "one id in any case": b"ce-id: r-1\r\nCE-ID: r-2",
    "no space in a name": b"ce id: r-1",
    "one length": b"ce-id: r-1\r\ncontent-length: 3\r\ncontent-length: 4",
    "a length that is a number": b"ce-id: r-1\r\ncontent-length: -1",
    "raw bytes": b"ce-id: \xff\xfe",
}


@pytest.mark.parametrize("case", LINES)
async def test_odd_headers_are_refused(lane: Lane, caller: Caller, case: str) -> None:
    """A header has one meaning or none: what could be read in two ways is answered with 400."""
    where = urlsplit(caller.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    known = f"POST /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
    known += "ce-specversion: 1.0\r\nce-source: /ci\r\nce-type: echo.requested\r\ncontent-type: application/json\r\n"
    body = b'{"message": "hello"}'
    length = b"" if b"content-length" in LINES[case] else b"content-length: %d\r\n" % len(body)
    writer.write(known.encode() + length + LINES[case] + b"\r\n\r\n" + body)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert await lane.count("EVENTS") == 0


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["specversion", "id", "source", "type", "time", "data", "datacontenttype", "hops", "traceparent"]
)
records = st.builds(
    lambda known, changed: known | changed,
    st.just({"specversion": "1.0", "id": "1", "source": "/ci", "type": "echo.requested", "data": {"message": "a"}}),
    st.dictionaries(names | st.text(max_size=9), anything, max_size=4),
)
objects = records | st.lists(records, max_size=3) | anything
bodies = st.binary() | objects.map(lambda found: json.dumps(found).encode())


@given(media=st.sampled_from([STRUCTURED_CONTENT_TYPE, BATCH_CONTENT_TYPE]), body=bodies)
def test_whatever_the_body_it_is_read_or_refused(media: str, body: bytes) -> None:
    """No body leads to anything but events with their attributes, or a problem with a sentence."""
    _read_or_refused(media, [], body)


@given(values=st.dictionaries(names.map(lambda name: f"ce-{name}"), st.text(), max_size=6), body=st.binary(max_size=50))
def test_whatever_the_headers_they_are_read_or_refused(values: dict[str, str], body: bytes) -> None:
    """No header leads to anything but an event with its attributes, or a problem with a sentence."""
    known = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/ci", "ce-type": "echo.requested"}
    _read_or_refused("application/json", list((known | values).items()), body)


def _read_or_refused(media: str, headers: list[tuple[str, str]], body: bytes) -> None:
    found: list[Brought] = []
    refused: Problem | None = None
    try:
        found = events_of(media, headers, body)
    except Problem as problem:
        refused = problem
    if refused is None:
        assert found
        assert all(isinstance(one, Brought) and one.envelope.actor is None for one in found)
    else:
        assert refused.status in {400, 413, 415}
        assert json.dumps(refused.as_json(), ensure_ascii=False).encode()


async def test_event_that_the_bus_never_takes_is_no_reason_to_come_again(lane: Lane, caller: Caller) -> None:
    """An event that fits, though not together with its attributes, is refused for good."""
    limit = lane.connection.client.max_payload - 64 * 1024
    event = {"image": IMAGE, "labels": {"x": ""}}
    event["labels"] = {"x": "y" * (limit - len(json.dumps(event)) - 60)}
    answer = await caller.send(json.dumps(event), **attributes("l" * 2000, "image.pushed", "/" + "l" * 40))

    assert answer.status == 422
    assert "retry-after" not in answer.headers


async def test_service_account_brings_its_own_token(issuer: LocalIssuer) -> None:
    """A Google ID token counts by an email that Google verified, and by no other."""
    email = "scheduler@acme.iam.gserviceaccount.com"
    google = {"name": "google", "kind": "google", "audience": AUDIENCE, "issuer": issuer.url}
    google |= {"keys": f"{issuer.url}/.well-known/jwks"}
    principal = {"name": "scheduler", "issuer": "google", "claims": {"email": email}, "may_publish": []}
    policy = Policy.model_validate({"issuers": [google], "principals": [principal]})
    tokens = Tokens(policy, KeySets(fetch_key_set))

    assert (await tokens.bearer(issuer.token(email=email, email_verified=True))).principal.name == "scheduler"
    with pytest.raises(Problem, match="no principal bears a token with email") as refused:
        await tokens.bearer(issuer.token(email=email))
    assert refused.value.members["claim"] == "email"


async def test_one_issuer_speaks_to_programs_and_to_people(issuer: LocalIssuer) -> None:
    """Two audiences of one issuer are two kinds of bearers: the token's audience tells which."""
    google = {"kind": "google", "issuer": issuer.url, "keys": f"{issuer.url}/.well-known/jwks"}
    issuers = [google | {"name": "google", "audience": AUDIENCE}, google | {"name": "people", "audience": "console"}]
    claims = {"email": "ada@acme.example"}
    principals = [{"name": name, "issuer": name, "claims": claims, "may_publish": []} for name in ("google", "people")]
    tokens = Tokens(Policy.model_validate({"issuers": issuers, "principals": principals}), KeySets(fetch_key_set))
    said = claims | {"email_verified": True}

    for audience, name in ((AUDIENCE, "google"), ("console", "people"), (["else", "console"], "people")):
        assert (await tokens.bearer(issuer.token(**said, aud=audience))).principal.name == name
    with pytest.raises(Problem, match=f"ask for audience '{AUDIENCE}' or 'console'") as refused:
        await tokens.bearer(issuer.token(**said, aud="else"))
    assert refused.value.members["claim"] == "aud"


async def test_key_that_the_issuer_withdrew_is_forgotten(issuer: LocalIssuer) -> None:
    """An hour later the set is looked at again; a day after the last look no old key counts."""
    now = 0.0
    github = {"name": "github", "kind": "github", "issuer": issuer.url, "audience": AUDIENCE}
    policy = Policy.model_validate({"issuers": [github]})
    keys = KeySets(fetch_key_set, clock=lambda: now)
    (known,) = policy.issuers
    assert await keys.key(known, "key-1")
    issuer.status = 503
    now = 4000.0
    assert await keys.key(known, "key-1")
    now = 90_000.0
    with pytest.raises(Unavailable, match="cannot be fetched now"):
        await keys.key(known, "key-1")
    issuer.status = 200
    issuer.keys.clear()
    now = 100_000.0

    assert await keys.key(known, "key-1") is None


def test_other_processes_load_no_token_library() -> None:
    """Neither a worker nor the door itself loads PyJWT before the first token."""
    code = (
        "import sys, workers.__main__, workers.app.running, workers.settings, workers.gateway.server;"
        "print(sorted({'jwt', 'cryptography'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("path", ["/events/", "/livez/", "/nothing", "//events", "/runs/x/y", "/openapi.json/"])
async def test_what_is_not_there_is_said_in_words(caller: Caller, path: str) -> None:
    """Nobody is sent to another URL, whose scheme and host would be guessed, with a token."""
    answer = await caller.ask("POST", path)
    assert (answer.status, answer.headers["content-type"]) == (404, MEDIA_TYPE)
    assert "location" not in answer.headers
    assert "/openapi.json" in answer.json["detail"]


async def test_method_that_a_path_does_not_have_is_said_in_words(caller: Caller) -> None:
    """With the methods that it has, in the header as well."""
    for method, path, allowed in (("GET", "/events", "POST"), ("DELETE", "/runs/x", "GET")):
        answer = await caller.ask(method, path)
        assert (answer.status, answer.headers["content-type"]) == (405, MEDIA_TYPE)
        assert allowed in answer.headers["allow"]
        assert allowed in answer.json["detail"]


async def test_content_type_has_one_meaning(lane: Lane, caller: Caller) -> None:
    """Which of two would count is nobody's to guess: another program on the way may guess otherwise."""
    body, where = b'{"message": "m"}', urlsplit(caller.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in attributes("two-types").items()]
    lines += ["host: x", f"authorization: Bearer {KEY}", "content-type: text/plain", f"content-length: {len(body)}"]
    writer.write("\r\n".join(["POST /events HTTP/1.1", *lines, "", ""]).encode() + body)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 30)
    writer.close()

    assert b" 415 " in answer
    assert await lane.count("EVENTS") == 0
