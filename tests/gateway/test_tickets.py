"""Tickets: how an EventSource, which can send no header, follows one run."""

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.bus.lane import Lane, until
from tests.gateway.conftest import KEY, SLOW_KEY, Answer, Caller, open_door
from workers.bus.topology.streams import LEDGER
from workers.bus.transport.jetstream import JetStreamApi
from workers.gateway import viewers
from workers.gateway.principals import Policy


async def opened(caller: Caller, event: str = "one") -> str:
    """Bring an event and return its run, once something is said of it."""
    return str((await caller.echo(event)).json["run"])


async def ticket(caller: Caller, run: Any, *, key: str = KEY) -> Answer:
    """Ask for a ticket."""
    return await caller.ask("POST", "/tickets", json.dumps({"run": run}), {"authorization": f"Bearer {key}"})


async def test_a_ticket_shows_one_run_once(caller: Caller, echo: None) -> None:
    """With it the run is told to its end; the second time, and for another run, it is nothing."""
    run, other = await opened(caller), await opened(caller, "two")
    await caller.ask("GET", f"/progress/{run}", headers={"authorization": f"Bearer {KEY}"})
    given = await ticket(caller, run)
    assert (given.status, given.json["expires_in"], given.headers["cache-control"]) == (201, 60.0, "no-store")

    told = await caller.ask("GET", f"/progress/{run}?ticket={given.json['ticket']}")
    again = await caller.ask("GET", f"/progress/{run}?ticket={given.json['ticket']}")
    plain = await caller.ask("GET", f"/progress/{run}?ticket=x", headers={"authorization": f"Bearer {KEY}"})
    elsewhere = (await ticket(caller, run)).json["ticket"]

    assert (told.status, "event: completed" in told.text) == (200, True)
    assert told.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in plain.headers
    assert again.status == 401
    assert (await caller.ask("GET", f"/progress/{other}?ticket={elsewhere}")).status == 401
    assert (await caller.ask("GET", f"/runs?ticket={elsewhere}")).status in {400, 401}


async def test_of_many_who_use_a_ticket_at_two_replicas_one_is_told(
    caller: Caller, lane: Lane, tmp_path: Path, policy: Policy, echo: None
) -> None:
    """The ledger makes it single: it does not matter where it is shown."""
    run = await opened(caller)
    await caller.ask("GET", f"/progress/{run}", headers={"authorization": f"Bearer {KEY}"})
    given = (await ticket(caller, run)).json["ticket"]
    async with open_door(lane, tmp_path, policy) as second:
        doors = [caller, second] * 5
        answers = await asyncio.gather(*(door.ask("GET", f"/progress/{run}?ticket={given}") for door in doors))

    assert sorted(answer.status for answer in answers) == [200] + [401] * 9


async def test_a_ticket_is_good_for_a_minute(
    caller: Caller, lane: Lane, echo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old one is nothing: the bus itself has forgotten it."""
    monkeypatch.setattr(viewers, "LIFETIME", timedelta(seconds=1))
    run = await opened(caller)
    await caller.ask("GET", f"/progress/{run}", headers={"authorization": f"Bearer {KEY}"})
    given = (await ticket(caller, run)).json["ticket"]
    ledger = JetStreamApi(lane.connection)

    async def forgotten() -> bool:
        return not await ledger.subjects(LEDGER, "$KV.ledger.ticket.>")

    await until(forgotten, what="a ledger that has forgotten the ticket")

    assert (await caller.ask("GET", f"/progress/{run}?ticket={given}")).status == 401


async def test_a_ticket_is_for_who_may_see_the_run(caller: Caller, echo: None) -> None:
    """Nobody gets one for a run of somebody else, for what is no run, or without saying who it is."""
    run = await opened(caller)

    assert (await ticket(caller, run, key=SLOW_KEY)).status == 404
    assert (await caller.ask("POST", "/tickets", json.dumps({"run": run}))).status == 401
    for wrong in ("*", "a.b", ">", "", 7, None, ["x"]):
        assert (await ticket(caller, wrong)).status == 400
    headers = {"authorization": f"Bearer {KEY}"}
    assert (await caller.ask("POST", "/tickets", b"{", headers)).status == 400
    assert (await caller.ask("POST", "/tickets", b"x" * 5000, headers)).status == 413
    for wrong in ("", "slt_" + "x" * 43, "slk_x", "%00"):
        assert (await caller.ask("GET", f"/progress/{run}?ticket={wrong}")).status == 401


async def test_a_ticket_that_cannot_be_looked_up_is_good_later(caller: Caller, lane: Lane, echo: None) -> None:
    """When the ledger is away nobody is told to say who it is: the same ticket is shown again."""
    run = await opened(caller)
    headers = {"authorization": f"Bearer {KEY}"}
    await caller.ask("GET", f"/progress/{run}", headers=headers)
    given = (await ticket(caller, run)).json["ticket"]
    await lane.connection.client.jetstream().delete_stream(LEDGER)
    answer = await caller.ask("GET", f"/progress/{run}?ticket={given}")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert (await ticket(caller, run)).status == 503


async def test_no_ticket_is_written_down(caller: Caller, echo: None, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it is good or not, no log holds it."""
    caplog.set_level(logging.DEBUG)
    run = await opened(caller)
    await caller.ask("GET", f"/progress/{run}", headers={"authorization": f"Bearer {KEY}"})
    given = (await ticket(caller, run)).json["ticket"]
    for _ in range(2):
        await caller.ask("GET", f"/progress/{run}?ticket={given}")

    assert given not in caplog.text
