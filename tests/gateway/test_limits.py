"""Rates and used tokens, remembered in the ledger: what one replica of the door admitted, the others know."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.bus.lane import Lane
from tests.gateway.conftest import KEY, SLOW_KEY, Caller, attributes, open_door
from tests.gateway.issuer import LocalIssuer
from workers.bus.claims.ledger import Ledger, Row
from workers.failures import Unavailable
from workers.gateway.callers import hash_of
from workers.gateway.limits import Rates, UsedTokens
from workers.gateway.principals import Policy, Principal

NO_KEY = "sha256:" + "0" * 64


class CountingLedger(Ledger):
    """A ledger that counts its requests, and can be away."""

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane.connection, lane.publisher)
        self.asked = 0
        self.away = False

    async def look(self, key: str) -> Row:
        """Count."""
        self._ask()
        return await super().look(key)

    async def replace(self, key: str, value: bytes, revision: int, *, ttl: timedelta) -> int | None:
        """Count."""
        self._ask()
        return await super().replace(key, value, revision, ttl=ttl)

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise Unavailable("no answer")


def principal(rate: float, burst: int) -> Principal:
    """Return somebody with a rate."""
    return Principal(name="x", api_keys=(NO_KEY,), may_publish=(), rate=rate, burst=burst)


@pytest.fixture
def clock() -> Any:
    """Return a clock that a test moves: `clock.now`."""

    class Clock:
        now = 1_800_000_000.0

        def __call__(self) -> float:
            return self.now

    return Clock()


async def test_rate_admits_a_burst_and_then_one_after_the_other(lane: Lane, clock: Any) -> None:
    """The clock alone decides; a batch larger than the burst is admitted and paid for."""
    rates, who = Rates(CountingLedger(lane), clock), principal(60, 2)

    assert [await rates.take(who) for _ in range(3)] == pytest.approx([0, 0, 1], abs=1e-3)
    clock.now += 1
    assert [await rates.take(who), await rates.take(who)] == pytest.approx([0, 1], abs=1e-3)
    clock.now += 2
    assert await rates.take(who, 10) == 0
    assert await rates.take(who) == pytest.approx(9, abs=1e-3)


@pytest.mark.parametrize("burst", [1, 2, 5])
@pytest.mark.parametrize("size", [2, 5, 6, 50])
async def test_batch_is_admitted_after_a_pause_however_large(lane: Lane, clock: Any, burst: int, size: int) -> None:
    """Its first event is paid for before it is read, which does not make the rest of it wait for ever."""
    rates, who = Rates(CountingLedger(lane), clock), principal(60, burst)
    for _ in range(2):
        assert await rates.take(who) == 0
        assert await rates.take(who, size - 1, before=1) == 0
        assert await rates.take(who) == pytest.approx(max(0, size + 1 - burst), abs=1e-3)
        clock.now += 100


@pytest.mark.parametrize(("rate", "burst"), [(60, 1), (60, 50), (600, 100), (6000, 1000)])
async def test_replicas_together_admit_the_rate_and_no_more(lane: Lane, clock: Any, rate: float, burst: int) -> None:
    """Three replicas asked at random admit burst and rate together, whatever shares they hold; nearly all of it."""
    replicas = [Rates(CountingLedger(lane), clock) for _ in range(3)]
    who, admitted = principal(rate, burst), 0
    for number in range(3 * burst + 30):
        admitted += await replicas[number % 3].take(who) == 0
    assert 0.7 * burst <= admitted <= burst
    for number in range(60):
        clock.now += 0.1
        admitted += await replicas[number % 3].take(who) == 0
    assert admitted <= burst + 6 * rate / 60


async def test_many_at_once_at_two_replicas_admit_no_more(lane: Lane, clock: Any) -> None:
    """The same when all come at once: compare-and-set leaves one winner for each share."""
    replicas = [Rates(CountingLedger(lane), clock) for _ in range(2)]
    waits = await asyncio.gather(*(replicas[number % 2].take(principal(60, 40)) for number in range(200)))

    assert 28 <= waits.count(0) <= 40
    assert min(wait for wait in waits if wait) > 0


async def test_most_requests_ask_nobody(lane: Lane, clock: Any) -> None:
    """A busy principal is paid for in growing shares, and a refused one is refused without a look each time."""
    ledger = CountingLedger(lane)
    rates = Rates(ledger, clock)
    for _ in range(10_000):
        assert await rates.take(principal(1_000_000, 1_000_000)) == 0
    assert ledger.asked < 30
    ledger.asked = 0
    slow = Principal(name="slow", api_keys=(NO_KEY,), may_publish=(), rate=1, burst=1)
    waits = [await rates.take(slow) for _ in range(100)]
    assert waits.count(0) == 1
    assert ledger.asked <= 3


async def test_what_was_not_used_goes_back(lane: Lane, clock: Any) -> None:
    """A share that got old is no loss: the burst is whole again after a pause, and never more than whole."""
    rates, who = Rates(CountingLedger(lane), clock), principal(600, 100)
    for _ in range(20):
        assert await rates.take(who) == 0
    clock.now += 60
    admitted = [await rates.take(who) for _ in range(150)].count(0)
    assert 90 <= admitted <= 100


async def test_clock_that_is_ahead_stops_nobody_for_long(lane: Lane, clock: Any) -> None:
    """A row from a clock that was an hour ahead counts as a burst that is used up, and goes on from there."""
    who, mistaken = principal(600, 10), Rates(CountingLedger(lane), lambda: clock.now + 3600)
    assert await mistaken.take(who) == 0
    rates = Rates(CountingLedger(lane), clock)
    wait = await rates.take(who)
    assert wait == pytest.approx(0.1, abs=1e-3)
    clock.now += wait
    assert [await rates.take(who) for _ in range(2)] == pytest.approx([0, 0.1], abs=1e-3)


async def test_bus_that_is_away_is_said_once_for_all_who_wait(lane: Lane, clock: Any) -> None:
    """Those who waited for a share are told with the one who asked, and the next one asks anew."""
    ledger = CountingLedger(lane)
    rates = Rates(ledger, clock)
    ledger.away = True
    found = await asyncio.gather(*(rates.take(principal(60, 9)) for _ in range(50)), return_exceptions=True)
    assert {type(one) for one in found} == {Unavailable}
    assert ledger.asked == 1
    ledger.away = False
    clock.now += 1
    assert await rates.take(principal(60, 9)) == 0


async def test_token_is_bound_at_every_replica_until_it_expires(lane: Lane, clock: Any) -> None:
    """The first use counts, for whoever asks; a use is bound as long as the token is good, any leeway included."""
    one, other = (UsedTokens(CountingLedger(lane), clock) for _ in range(2))

    assert await one.bind("a-token-hash", "one", clock.now + 10)
    assert await other.bind("a-token-hash", "one", clock.now + 10)
    assert not await other.bind("a-token-hash", "two", clock.now + 10)
    assert await one.bind("b-token-hash", "two", 1e300)
    rows = await lane.messages("KV_ledger", "$KV.ledger.jti.")
    lives = [int(headers["Nats-TTL"].removesuffix("s")) for headers, _ in rows]
    assert 310 <= lives[0] <= 320
    assert lives[1] > 86_400 * 365


Doors = Callable[[], Any]


@pytest.fixture
async def doors(lane: Lane, tmp_path: Path, policy: Policy) -> AsyncIterator[list[Caller]]:
    """Give a caller at each of two doors, with connections of their own, on one bus."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_door(lane, tmp_path, policy)) for _ in range(2)]


async def test_token_that_was_used_at_one_door_is_bound_at_the_other(
    lane: Lane, doors: list[Caller], issuer: LocalIssuer
) -> None:
    """At another replica the same event is a retry and is taken, another one is a replay and is refused."""
    one, other = doors
    token = issuer.token()

    assert (await one.echo("t-1", token=token)).status == 202
    assert (await other.echo("t-1", token=token)).status == 202
    replayed = await other.echo("t-2", token=token)
    assert (replayed.status, replayed.json["claim"]) == (403, "jti")
    assert await lane.count("EVENTS") == 1


async def test_token_that_is_used_at_both_doors_at_once_is_used_for_one_event(
    lane: Lane, doors: list[Caller], issuer: LocalIssuer
) -> None:
    """Of forty different events with one token, brought at once to two doors, one is stored."""
    token = issuer.token()
    answers = await asyncio.gather(*(doors[number % 2].echo(f"t-{number}", token=token) for number in range(40)))

    assert sorted(answer.status for answer in answers) == [202, *[403] * 39]
    assert await lane.count("EVENTS") == 1


async def test_rates_of_two_doors_add_up(lane: Lane, tmp_path: Path, policy: Policy) -> None:
    """What was admitted at one door is gone at the other, one by one and in batches."""
    known = {"name": "both", "api_keys": [hash_of(KEY)], "may_publish": [{"type": "echo.requested"}]}
    limited = Policy.model_validate({"principals": [known | {"rate": 1, "burst": 6}]})
    batch = [
        {"specversion": "1.0", "id": f"b-{n}", "source": "/ci", "type": "echo.requested", "data": {"message": "a"}}
        for n in range(3)
    ]
    async with open_door(lane, tmp_path, limited) as one, open_door(lane, tmp_path, limited) as other:
        first = [(await one.echo("r-1")).status, (await other.echo("r-2")).status]
        many = await one.send(json.dumps(batch), content_type="application/cloudevents-batch+json")
        last = await other.echo("r-3")
        refused = [await caller.echo("r-4") for caller in (one, other)]

    assert (*first, many.status, last.status) == (202, 202, 202, 202)
    assert [answer.status for answer in refused] == [429, 429]
    assert all(50 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
    assert await lane.count("EVENTS") == 6


async def test_ledger_that_takes_nothing_is_no_denial(lane: Lane, caller: Caller, issuer: LocalIssuer) -> None:
    """Without its stream the door says to come again: it never lets in what it cannot remember."""
    await lane.connection.client.jetstream().delete_stream("KV_ledger")
    answer = await caller.send('{"message": "a"}', token=issuer.token(), **attributes("t-1"))

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert await lane.count("EVENTS") == 0


async def test_batch_larger_than_the_burst_is_stored(caller: Caller) -> None:
    """Somebody slow who brings more than a burst after a pause is not told to come again, again and again."""
    event = {"specversion": "1.0", "source": "/slow/ci", "type": "echo.requested", "data": {"message": "all"}}
    batch = json.dumps([event | {"id": f"large-{number}"} for number in range(5)])
    answer = await caller.send(batch, token=SLOW_KEY, content_type="application/cloudevents-batch+json")
    assert answer.status == HTTPStatus.ACCEPTED
    assert (await caller.echo("large-6", token=SLOW_KEY, ce_source="/slow/ci")).status == HTTPStatus.TOO_MANY_REQUESTS
