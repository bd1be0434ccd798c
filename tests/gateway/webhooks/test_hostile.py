"""What somebody who is not GitHub sends, and what a broken GitHub might: refused, and no secret leaves a trace."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from schemas.events import Event
from tests.bus.lane import Lane, lane_on, until
from tests.gateway.webhooks.conftest import Answer, Github, Secrets, open_webhooks
from tests.gateway.webhooks.deliveries import (
    LEAKED,
    NEXT_SECRET,
    ROOM,
    SECRET,
    commit,
    encoded,
    headers,
    payload,
    push_of,
    raw,
    signature,
)
from workers.bus.rooms import all_wirings
from workers.bus.topology.identities import ensure_identities, read_seed
from workers.bus.topology.permissions import Permissions, derive, render
from workers.gateway.problems import Problem
from workers.gateway.webhooks import arrival
from workers.gateway.webhooks.arrival import LARGE_AT_ONCE, MOST_BYTES, SMALL, Arrivals
from workers.gateway.webhooks.facts import Ignored, Pong, fact_of
from workers.local.nats import NatsServer

BODY = raw("push")
FORGED: dict[str, tuple[bytes, dict[str, str | None]]] = {
    "no signature": (BODY, {"X-Hub-Signature-256": None}),
    "the old signature alone": (BODY, {"X-Hub-Signature-256": None, "X-Hub-Signature": "sha1=" + "a" * 40}),
    "another secret": (BODY, {"X-Hub-Signature-256": signature(BODY, "guessed")}),
    "a withdrawn secret": (BODY, {"X-Hub-Signature-256": signature(BODY, NEXT_SECRET)}),
    "an empty secret": (BODY, {"X-Hub-Signature-256": signature(BODY, "")}),
    "one byte more": (BODY + b" ", {}),
    "one byte less": (BODY[:-1], {}),
    "one byte changed": (BODY.replace(b"refs/heads/main", b"refs/heads/mail"), {}),
    "another body": (raw("push_forced"), {}),
    "no hex": (BODY, {"X-Hub-Signature-256": "sha256=" + "z" * 64}),
}


@pytest.mark.parametrize("case", FORGED)
async def test_what_github_did_not_sign_is_refused(lane: Lane, github: Github, case: str) -> None:
    """Without a signature under a secret of ours over these very bytes there is no event, and no hint."""
    body, changed = FORGED[case]
    sent = headers(BODY, "push") | changed
    answer = await github.post(body, {name: value for name, value in sent.items() if value is not None})

    assert answer.status == 401
    assert SECRET not in answer.text
    assert await lane.count("EVENTS") == await lane.count("KV_ledger") == 0


async def test_signature_that_is_sent_twice_is_none(github: Github) -> None:
    """Two of them could be read in two ways."""
    sent = [*headers(BODY, "push").items(), ("X-Hub-Signature-256", signature(BODY))]

    assert (await github.post(BODY, sent)).status == 401


async def test_largest_body_is_taken_and_a_larger_one_is_not(lane: Lane, github: Github) -> None:
    """25 MB is what GitHub sends at most: that becomes a small event which says that it is not complete."""
    files = [f"onboarding/tenant-{number}/{'x' * 4000}.yaml" for number in range(2900)]
    body = encoded(push_of(commit(1, added=files[:1450]), commit(2, added=files[1450:])))
    largest = body + b" " * (MOST_BYTES - len(body))
    taken = await github.deliver(largest)
    refused = await github.deliver(largest + b" ", delivery="d-2")
    (stored,) = await lane.bodies("EVENTS")

    assert (taken.status, refused.status) == (202, 413)
    assert (stored["complete"], stored["added"], stored["commits"]) == (False, [], 2)


@pytest.mark.parametrize("size", [MOST_BYTES, MOST_BYTES + 1])
async def test_large_body_without_signature_is_answered(github: Github, size: int) -> None:
    """Somebody who sends 25 MB hears why nothing came of it."""
    sent = headers(b"", "push")
    del sent["X-Hub-Signature-256"]

    assert (await github.post(bytes(size), sent)).status == 401
    assert (await github.post(bytes(size), headers(b"", "push"))).status == (413 if size > MOST_BYTES else 401)


@pytest.mark.parametrize("size", [40, 64, 300])
async def test_headers_of_any_size_are_answered(github: Github, size: int) -> None:
    """Headers larger than the door reads are refused, whatever is signed."""
    answer = await github.post(BODY, headers(BODY, "push") | {"X-Padding": "x" * (size << 10)})

    assert answer.status == 431


BOMBS: dict[str, Callable[[], bytes]] = {
    "nested": lambda: b'{"x":' * 2_000_000 + b"1" + b"}" * 2_000_000,
    "empty things": lambda: b'{"x":[' + b"[]," * 8_000_000 + b"[]]}",
    "empty commits": lambda: BODY.replace(b'"commits": [', b'"commits": [' + b"{}," * 8_000_000),
    "a long number": lambda: BODY.replace(b"186853002", b"1" * 20_000_000, 1),
    "a long key": lambda: b'{"' + b"x" * 24_000_000 + b'":1}',
}


@pytest.mark.parametrize("case", BOMBS)
async def test_bomb_is_refused_at_once(lane: Lane, github: Github, case: str) -> None:
    """Also signed: what is not as documented costs neither time nor memory, and the door goes on."""
    body = BOMBS[case]()
    begun = time.monotonic()
    answer = await github.deliver(body)

    assert len(body) < MOST_BYTES
    assert (answer.status, len(answer.text) < 2000) == (400, True)
    assert time.monotonic() - begun < 30
    assert (await github.deliver(BODY)).status == 202
    assert await lane.count("EVENTS") == 1


async def test_no_webhook_is_taken_without_a_secret(lane: Lane, tmp_path: Path, secrets: Secrets) -> None:
    """A door that knows no secret refuses also what is signed with nothing; one that cannot read them asks to wait."""
    secrets.values.clear()
    async with open_webhooks(lane, tmp_path, secrets.keyring()) as github:
        unreadable = await github.deliver(BODY, secret="")
    keyring = type(secrets.keyring()).empty()
    async with open_webhooks(lane, tmp_path, keyring) as github:
        closed = await github.deliver(BODY, secret="")

    assert (unreadable.status, closed.status) == (503, 404)


async def test_bus_that_is_away_is_said_quickly(tmp_path: Path, secrets: Secrets) -> None:
    """GitHub waits ten seconds: well before that it hears 503; when the bus is back the same delivery is taken."""
    permissions = derive(all_wirings().values()) | {"tester": Permissions(publish=(">",), subscribe=(">",))}
    keys = ensure_identities(tmp_path, permissions)
    server = NatsServer(tmp_path / "nats", authorization=render(permissions, keys))
    async with server, lane_on(server.url, seed=read_seed(tmp_path, "tester")) as lane:
        await lane.provision(*all_wirings().values())
        async with open_webhooks(lane, tmp_path, secrets.keyring()) as github:
            assert (await github.deliver(raw("push_forced"))).status == 202
            await server.stop()
            begun = time.monotonic()
            answers = await asyncio.gather(*(github.deliver(BODY, delivery=f"d-{number}") for number in range(50)))
            took = time.monotonic() - begun
            await server.start()
            again = await _until_taken(lambda: github.deliver(BODY))

        assert {answer.status for answer in answers} == {503}
        assert all(answer.headers["retry-after"] for answer in answers)
        assert took < 30
        assert again.json["outcome"] in {"accepted", "known"}
        assert len(await lane.messages("EVENTS", "github.pushed")) == 2


async def _until_taken(deliver: Callable[[], Awaitable[Answer]]) -> Answer:
    async with asyncio.timeout(60):
        while (answer := await deliver()).status == 503:
            pass
    return answer


async def test_slow_body_is_given_up(github: Github, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come to its end in time holds no place for longer."""
    monkeypatch.setattr(arrival, "READING_SECONDS", 0.3)
    ended = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        yield BODY[:100]
        await ended.wait()

    waiting = asyncio.create_task(github.post(trickle(), headers(BODY, "push")))
    try:
        assert (await asyncio.wait_for(asyncio.shield(waiting), 30)).status == 408
    finally:
        ended.set()
        await asyncio.gather(waiting, return_exceptions=True)


class _Arriving:
    """A request whose body arrives when the test says so."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rest = asyncio.Event()
        self.received = 0

    def request(self) -> Request:
        """Return it as the door sees it."""
        length = (b"content-length", str(self.size).encode())
        return Request({"type": "http", "method": "POST", "headers": [length]}, self.receive)

    async def receive(self) -> Message:
        """Give the next 64 KiB; the last only when `rest` is set."""
        if self.received >= self.size - (64 << 10):
            await self.rest.wait()
        chunk = min(64 << 10, self.size - self.received)
        self.received += chunk
        return {"type": "http.request", "body": bytes(chunk), "more_body": self.received < self.size}


async def test_few_large_bodies_are_held_at_a_time() -> None:
    """Large ones wait unread for a place among three; small ones pass them by; a place is given back."""
    arrivals, held = Arrivals(), asyncio.Event()
    large = [_Arriving(10 << 20) for _ in range(8)]

    async def take(one: _Arriving) -> int:
        async with arrivals.body(one.request(), lambda _: None) as body:
            await held.wait()
            return len(body)

    tasks = [asyncio.create_task(take(one)) for one in large]
    small = _Arriving(SMALL)
    small.rest.set()
    async with arrivals.body(small.request(), lambda _: None) as body:
        assert len(body) == SMALL
    reading = 64 << 10
    await until(lambda: sum(one.received > reading for one in large) == LARGE_AT_ONCE)
    await until(lambda: sum(one.received > (9 << 20) for one in large) == LARGE_AT_ONCE)

    assert sum(one.received for one in large) <= LARGE_AT_ONCE * (10 << 20) + 8 * reading
    held.set()
    for one in large:
        one.rest.set()
    assert await asyncio.gather(*tasks) == [10 << 20] * 8


async def test_too_many_large_bodies_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits too long for a place hears so, while there is time left for an answer."""
    monkeypatch.setattr(arrival, "READING_SECONDS", 0.2)
    arrivals = Arrivals()
    held = [arrivals.body(_done(1 << 20).request(), lambda _: None) for _ in range(LARGE_AT_ONCE)]
    for one in held:
        await one.__aenter__()
    with pytest.raises(Problem) as refused:
        async with arrivals.body(_done(1 << 20).request(), lambda _: None):
            pass
    for one in held:
        await one.__aexit__(None, None, None)

    assert refused.value.status == 503
    async with arrivals.body(_done(1 << 20).request(), lambda _: None) as body:
        assert len(body) == 1 << 20


def _done(size: int) -> _Arriving:
    arriving = _Arriving(size)
    arriving.rest.set()
    return arriving


async def test_no_secret_leaves_a_trace(
    lane: Lane, github: Github, secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    """No secret, no signature and no header that may hold a secret is in a log, an answer or a stored message."""
    caplog.set_level(logging.DEBUG)
    secrets.values["env://TWO"] = NEXT_SECRET
    bodies = [("push", BODY), ("ping", raw("ping")), ("package", BODY), ("star", raw("star_created")), ("push", b"{")]
    answers = [await github.deliver(body, event) for event, body in [*bodies, ("push", BODY)]]
    answers += [await github.deliver(BODY, LEAKED), await github.deliver(BODY, "push", f"{LEAKED} {LEAKED}")]
    answers.append(await github.post(BODY, headers(BODY, "push") | {"X-Hub-Signature-256": f"sha256={LEAKED}"}))
    answers.append(await github.deliver(BODY, secret="guessed"))
    written = [answer.text + str(answer.headers) for answer in answers]
    written += [f"{record.getMessage()} {record.exc_text}" for record in caplog.records]
    for stream in ("EVENTS", "KV_ledger", "PROGRESS", "DEAD"):
        written += [f"{head} {body!r}" for head, body in await lane.messages(stream)]

    assert {answer.status for answer in answers} == {200, 202, 400, 401}
    assert len(await lane.messages("KV_ledger")) == 1
    for canary in (SECRET, NEXT_SECRET, LEAKED, signature(BODY), signature(BODY).removeprefix("sha256=")):
        assert not [text for text in written if canary in text]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
PLACES = ["ref", "before", "after", "repository", "commits", "sender", "installation", "action", "package", "base_ref"]
NESTED = [("repository", "full_name"), ("repository", "id"), ("package", "package_version"), ("package", "owner")]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(["push", "package_published", "ping", "branch_deleted"]),
    event=st.sampled_from(["push", "package", "registry_package", "ping"]),
    changed=st.dictionaries(st.sampled_from(PLACES), anything, max_size=2),
    nested=st.dictionaries(st.sampled_from(NESTED), anything, max_size=2),
)
def test_whatever_is_signed_it_is_read_or_refused(
    name: str, event: str, changed: dict[str, object], nested: dict[tuple[str, str], object]
) -> None:
    """No payload leads to anything but a fact that fits the catalogue, a reason, or a problem with a sentence."""
    given_payload = payload(name) | changed
    for (outer, inner), value in nested.items():
        if isinstance(given_payload.get(outer), dict):
            given_payload[outer] = given_payload[outer] | {inner: value}
    _read_or_refused(event, encoded_anyhow(given_payload))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event=st.sampled_from(["push", "package", "ping"]), body=st.binary(max_size=300))
def test_whatever_the_bytes_they_are_refused(event: str, body: bytes) -> None:
    """Bytes that are no payload are refused."""
    _read_or_refused(event, body)


def encoded_anyhow(value: object) -> bytes:
    """Return JSON, also of what no JSON should hold: NaN, halves of surrogate pairs."""
    return json.dumps(value).encode()


def _read_or_refused(event: str, body: bytes) -> None:
    refused: Problem | None = None
    try:
        found = fact_of(event, body, delivery=None, room=ROOM)
    except Problem as problem:
        refused = problem
    if refused is not None:
        assert refused.status == 400
        assert refused.response().body
    else:
        assert isinstance(found, Event | Pong | Ignored)
        assert not isinstance(found, Event) or len(found.model_dump_json().encode()) <= ROOM
