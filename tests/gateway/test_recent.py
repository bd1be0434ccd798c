"""An event of which no worker has heard yet: known at the replica that let it in, and so at all others."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from schemas.echoes import EchoRequested
from schemas.envelope import Envelope
from tests.bus.lane import Lane
from tests.gateway.conftest import KEY, SLOW_KEY, Caller, open_door
from tests.gateway.live.test_progress import follow
from tests.gateway.rpc.conftest import say_started
from workers.bus.doors.entrance import Entered, Entry
from workers.bus.topology.permissions import BETWEEN_DOORS
from workers.bus.transport.publisher import PubAck
from workers.gateway import recent
from workers.gateway.callers import hash_of
from workers.gateway.principals import Grant, Policy, Principal
from workers.gateway.recent import Recent

_TOKEN = {"authorization": f"Bearer {KEY}"}
OTHER_KEY = "slk_other000000000000000000000000000000000000"


@pytest.fixture
def policy(policy: Policy) -> Policy:
    """Know somebody else who may bring the same as the one who calls."""
    grant = Grant(type="echo.requested")
    return policy.with_principal(Principal(name="other", api_keys=(hash_of(OTHER_KEY),), may_publish=(grant,)))


@pytest.fixture
async def others(lane: Lane, tmp_path: Path, policy: Policy) -> AsyncIterator[list[Caller]]:
    """Give two more replicas of the door."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_door(lane, tmp_path, policy)) for _ in range(2)]


async def test_what_one_replica_let_in_is_known_at_all(caller: Caller, others: list[Caller]) -> None:
    """Right after the 202, wherever it is asked; and as unknown as ever to somebody else."""
    run = (await caller.echo("n-1")).json["run"]
    for door in (caller, *others):
        answer = await door.ask("GET", f"/runs/{run}", headers=_TOKEN)
        assert (answer.status, answer.json["branches"][0]["state"]) == (200, "queued")
        assert (await door.ask("POST", "/tickets", json.dumps({"run": run}), _TOKEN)).status == 201
        stranger = {"authorization": f"Bearer {SLOW_KEY}"}
        assert (await door.ask("GET", f"/runs/{run}", headers=stranger)).status == 404


@pytest.mark.parametrize("by", ["/progress/{run}", "/events/n-2", "/events/n-2?source=/ci"])
async def test_its_first_word_is_heard_at_another_replica(
    caller: Caller, others: list[Caller], lane: Lane, by: str
) -> None:
    """Whoever follows it there, by its run or by the id of the event, is told nothing but what a worker says."""
    run = (await caller.echo("n-2")).json["run"]
    following = asyncio.create_task(follow(others[0], by.format(run=run), most=1, at=""))
    opened = asyncio.create_task(others[1].ask("HEAD", by.format(run=run), headers=_TOKEN))
    assert (await opened).status == 200
    await say_started(lane, run)
    assert [one["event"] for one in await following] == ["progress"]


async def test_a_run_stays_that_of_whoever_brought_its_event_first(caller: Caller, others: list[Caller]) -> None:
    """Somebody else who brings the very same is answered the same, and sees nothing; the first one sees it on."""
    run = (await caller.echo("n-4")).json["run"]
    for door in (caller, *others):
        again = await door.echo("n-4", token=OTHER_KEY)
        assert (again.status, again.json["run"]) == (202, run)
        other = {"authorization": f"Bearer {OTHER_KEY}"}
        assert (await door.ask("GET", f"/runs/{run}", headers=other)).status == 404
        assert (await door.ask("GET", f"/runs/{run}", headers=_TOKEN)).status == 200


async def test_a_question_that_is_none_is_left_alone(caller: Caller, lane: Lane) -> None:
    """A replica of another version may ask anything: nobody answers, and the door goes on answering others."""
    run = (await caller.echo("n-3")).json["run"]
    client = lane.connection.client
    heard = await client.subscribe("_INBOX_gateway.asked.>")
    questions = [b"", b"\xff", b"[]", b'{"run": "x"}', b'{"actor": "ci", "run": 7}', b'{"actor": "ci"}']
    questions.append(json.dumps({"actor": "ci", "run": run, "new": True}).encode())
    for number, question in enumerate(questions):
        await client.publish(BETWEEN_DOORS, question, reply=f"_INBOX_gateway.asked.{number}")
    answer = await heard.next_msg(timeout=60)

    assert answer.subject == f"_INBOX_gateway.asked.{len(questions) - 1}"
    assert (json.loads(answer.data)["run"], json.loads(answer.data)["event"]["id"]) == (run, "n-3")


async def test_the_oldest_is_forgotten_first(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds so many events and no more; of two with one id the newer is found, however old the other is."""
    monkeypatch.setattr(recent, "MOST", 3)
    kept = Recent(lane.connection)
    for number, (source, event_id) in enumerate([("/a", "1"), ("/b", "1"), ("/a", "2"), ("/a", "1"), ("/a", "3")]):
        kept.note(_entered(source, event_id, number))

    found = [await kept.opened("ci", event_id=event_id) for event_id in ("1", "2", "3")]
    assert [one and (one.event.source, one.event.sequence) for one in found] == [("/a", 3), ("/a", 2), ("/a", 4)]
    assert await kept.opened("ci", run="run-b-1") is None
    assert await kept.opened("other", run="run-a-1") is None


async def test_nothing_is_left_of_what_is_forgotten(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a run whose event was stored anew for somebody else, once the bus took it for another one."""
    monkeypatch.setattr(recent, "MOST", 1)
    kept = Recent(lane.connection)
    for number, actor in enumerate(("ci", "other", "ci", "other")):
        kept.note(_entered("/a", "1", number, actor=actor))
    assert await kept.opened("ci", event_id="1") is None
    kept.note(_entered("/a", "2", 4))

    assert list(kept._runs) == [("ci", "2")]


def _entered(source: str, event_id: str, sequence: int, *, actor: str = "ci") -> Entered:
    run = f"run-{source[1:]}-{event_id}"
    envelope = Envelope(id=event_id, source=source, type="echo.requested", run=run, actor=actor)
    return Entered(Entry(envelope, EchoRequested(message="hello"), b"{}"), PubAck("EVENTS", sequence, duplicate=False))
