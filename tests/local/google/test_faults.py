"""Quotas, latency, lag, failures and lost answers, as tests order them; and the record of calls."""

import asyncio
import time

import aiohttp
import pytest
from google.api_core import exceptions
from google.rpc import error_details_pb2

from tests.local.google.clients import TOKEN, Clients
from tests.local.google.scenes import NOTE, PROJECT, make_note, occurrence
from workers.local.google import Faults, GoogleServices


async def create(clients: Clients, signature: bytes = b"s") -> str:
    """Create an occurrence and return its name."""
    made = await clients.grafeas.create_occurrence(parent=PROJECT, occurrence=occurrence(signature))
    return str(made.name)


async def test_a_quota_is_refused_with_the_time_to_wait(google: GoogleServices, clients: Clients) -> None:
    """RESOURCE_EXHAUSTED carries QuotaFailure, RetryInfo and ErrorInfo; other methods go on."""
    await make_note(clients)
    google.faults.quota("CreateOccurrence", 2, per=600)
    for number in range(2):
        await create(clients, b"%d" % number)
    with pytest.raises(exceptions.TooManyRequests) as caught:
        await create(clients)

    assert caught.value.reason == "RATE_LIMIT_EXCEEDED"
    assert caught.value.metadata["service"] == "containeranalysis.googleapis.com"
    if not clients.grafeas.threaded:
        kinds = {type(detail): detail for detail in caught.value.details}
        wait = kinds[error_details_pb2.RetryInfo].retry_delay.seconds
        assert error_details_pb2.QuotaFailure in kinds
        assert 0 < wait <= 600
    else:
        names = {detail["@type"].rsplit(".", 1)[1] for detail in caught.value.details}
        assert names == {"ErrorInfo", "QuotaFailure", "RetryInfo"}
    assert len(await clients.grafeas.list_occurrences(parent=PROJECT)) == 2


async def test_a_quota_admits_again_when_its_window_has_passed(google: GoogleServices, over_grpc: Clients) -> None:
    """Waiting as long as RetryInfo says is enough."""
    await make_note(over_grpc)
    google.faults.quota("CreateOccurrence", 1, per=0.2)
    await create(over_grpc, b"1")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            await create(over_grpc, b"2")
            break
        except exceptions.ResourceExhausted:
            await asyncio.sleep(0.02)

    assert len(await over_grpc.grafeas.list_occurrences(parent=PROJECT)) == 2


async def test_failures_are_as_many_as_ordered(google: GoogleServices, clients: Clients) -> None:
    """The next two calls fail and do nothing; the third works."""
    await make_note(clients)
    google.faults.fail("CreateOccurrence", 2)
    for _ in range(2):
        with pytest.raises(exceptions.ServiceUnavailable):
            await create(clients)
    await create(clients)

    assert len(await clients.grafeas.list_occurrences(parent=PROJECT)) == 1


async def test_a_lost_answer_leaves_the_work_done(google: GoogleServices, clients: Clients) -> None:
    """The caller sees UNAVAILABLE, the occurrence is there."""
    await make_note(clients)
    google.faults.lose("CreateOccurrence")
    with pytest.raises(exceptions.ServiceUnavailable):
        await create(clients)

    assert len(await clients.grafeas.list_occurrences(parent=PROJECT)) == 1


async def test_a_created_occurrence_reaches_lists_late(google: GoogleServices, clients: Clients) -> None:
    """Lists lag behind creation, GetOccurrence only when that is ordered too."""
    await make_note(clients)
    google.faults.lag(3600)
    name = await create(clients)

    assert await clients.grafeas.list_occurrences(parent=PROJECT) == []
    assert await clients.grafeas.list_note_occurrences(name=NOTE) == []
    assert (await clients.grafeas.get_occurrence(name=name)).name == name
    google.faults.lag(0, get=3600)
    assert [one.name for one in await clients.grafeas.list_occurrences(parent=PROJECT)] == [name]
    with pytest.raises(exceptions.NotFound):
        await clients.grafeas.get_occurrence(name=name)


async def test_a_delay_holds_one_method_only(google: GoogleServices, over_grpc: Clients) -> None:
    """A slow method takes its time, and the others do not wait for it."""
    await make_note(over_grpc)
    google.faults.delay("CreateOccurrence", 0.2)
    began = time.monotonic()
    await create(over_grpc)
    took = time.monotonic() - began
    google.faults.delay("CreateOccurrence", 3600)
    slow = asyncio.create_task(create(over_grpc))
    await over_grpc.grafeas.get_note(name=NOTE)

    assert took >= 0.2
    assert not slow.done()
    slow.cancel()


async def test_a_late_answer_leaves_the_work_done(google: GoogleServices, over_grpc: Clients) -> None:
    """A caller who still waits cannot know that its occurrence is stored."""
    await make_note(over_grpc)
    google.faults.late("CreateOccurrence", 3600)
    waiting = asyncio.create_task(create(over_grpc))
    async with asyncio.timeout(60):
        while not await over_grpc.grafeas.list_occurrences(parent=PROJECT):  # noqa: ASYNC110 - no event crosses the wire
            await asyncio.sleep(0.01)

    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize(("when", "second"), [("identical", b"other"), ("never", b"same")])
async def test_repeated_attestations_are_stored_unless_they_conflict(
    google: GoogleServices, over_grpc: Clients, when: str, second: bytes
) -> None:
    """Another signature is another attestation; with "never" even the same one is."""
    await make_note(over_grpc)
    google.faults.conflicts(when)
    await create(over_grpc, b"same")
    await create(over_grpc, second)

    assert len(await over_grpc.grafeas.list_occurrences(parent=PROJECT)) == 2


@pytest.mark.parametrize(("when", "second"), [("identical", b"same"), ("resource", b"other")])
async def test_conflicting_attestations_are_refused(
    google: GoogleServices, clients: Clients, when: str, second: bytes
) -> None:
    """ALREADY_EXISTS names the occurrence that is there."""
    await make_note(clients)
    google.faults.conflicts(when)
    name = await create(clients, b"same")
    with pytest.raises(exceptions.Conflict, match=name.rsplit("/", maxsplit=1)[1]):
        await create(clients, second)


async def test_calls_are_counted_and_logged(google: GoogleServices, clients: Clients) -> None:
    """Each answer is on record with its method, resource and code."""
    await make_note(clients)
    with pytest.raises(exceptions.NotFound):
        await clients.grafeas.get_note(name=f"{PROJECT}/notes/missing")

    assert google.faults.calls == {"CreateNote": 1, "GetNote": 1}
    first, second = google.faults.log
    assert (first.method, first.resource, first.code) == ("CreateNote", PROJECT, "OK")
    assert (second.resource, second.code) == (f"{PROJECT}/notes/missing", "NOT_FOUND")
    assert first.transport == ("rest" if clients.grafeas.threaded else "grpc")


async def test_faults_are_ordered_over_http(google: GoogleServices, over_grpc: Clients) -> None:
    """Another process posts the same switches as JSON, reads the counts and clears them."""
    await make_note(over_grpc)
    url = f"http://127.0.0.1:{google.rest_port}/__faults__"
    order = {
        "fail": {"CreateOccurrence": [1, "ABORTED"]},
        "lose": {"GetNote": [1]},
        "quota": {"ListNotes": [0, 60]},
        "delay": {"DeleteNote": 0.5},
        "late": {"UpdateNote": 0.5},
        "lag": {"list": 1, "get": 2},
        "conflict": "never",
    }
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        async with session.post(url, json=order) as answer:
            state = await answer.json()
        with pytest.raises(exceptions.Aborted):
            await create(over_grpc)
        with pytest.raises(exceptions.ServiceUnavailable):
            await over_grpc.grafeas.get_note(name=NOTE)
        with pytest.raises(exceptions.ResourceExhausted):
            await over_grpc.grafeas.list_notes(parent=PROJECT)
        async with session.get(url, params={"log": 3}) as answer:
            state_after = await answer.json()
        async with session.post(url, json={"clear": True}) as answer:
            cleared = await answer.json()

    assert state["lag"] == {"list": 1.0, "get": 2.0}
    assert state["fail"] == {"CreateOccurrence": [1, "ABORTED"]}
    assert state_after["calls"] == {"CreateNote": 1, "CreateOccurrence": 1, "GetNote": 1, "ListNotes": 1}
    assert [call["code"] for call in state_after["log"]] == ["ABORTED", "UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    assert cleared == Faults().snapshot()


@pytest.mark.parametrize("body", ["[]", "nonsense", '{"explode": 1}', '{"fail": {"GetNote": [1, "NO_CODE"]}}'])
async def test_an_order_that_is_not_understood_is_refused(google: GoogleServices, body: str) -> None:
    """The door for tests answers 400 with a sentence."""
    url = f"http://127.0.0.1:{google.rest_port}/__faults__"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        content = await answer.json()

    assert answer.status == 400
    assert "order of faults" in content["error"]["message"]


async def test_the_door_for_tests_asks_for_the_token(google: GoogleServices) -> None:
    """Without the token nothing can be switched."""
    url = f"http://127.0.0.1:{google.rest_port}/__faults__"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 401
