"""Work that must not happen twice has one owner at a time, and its result is remembered."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import pytest

from workers.bus.claims.claims import ClaimsBucket, NatsClaims
from workers.bus.transport.connection import Connection, connect
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.transport.publisher import PubAck, Publisher, WrongSequence
from workers.failures import Invalid, LeaseLost, PermanentError
from workers.local.nats import NatsServer
from workers.ports import Claims, Json, Lease

LEASE = timedelta(seconds=4)


class Join(Protocol):
    """Joins a replica of the worker `sign`, over a connection of its own."""

    async def __call__(self, owner: str, *, lease: timedelta = LEASE) -> NatsClaims:
        """Join under a name."""


@pytest.fixture
async def join(nats_server: NatsServer, provisioned: Connection) -> AsyncIterator[Join]:
    """Return the function."""
    async with AsyncExitStack() as stack:

        async def join(owner: str, *, lease: timedelta = LEASE) -> NatsClaims:
            connection = await connect(nats_server.url, identity="tester", first_wait=30)
            stack.push_async_callback(connection.close)
            publisher = Publisher(connection)
            await publisher.start()
            stack.push_async_callback(publisher.close)
            return NatsClaims(connection, publisher, "sign", lease=lease, owner=owner)

        yield join


async def _never(_lease: Lease) -> Json:
    raise AssertionError("nobody should work here")


async def test_the_result_is_remembered_for_later_callers(join: Join) -> None:
    """The second caller gets the stored result and does not work."""
    claims: Claims = await join("one")

    async def work(lease: Lease) -> Json:
        assert (lease.attempt, lease.taken_over, lease.step) == (1, False, None)
        assert 0 < lease.left() <= LEASE.total_seconds()
        return {"name": "occurrence/7"}

    first = await claims.once("sha256:abc/def", work)

    assert first == {"name": "occurrence/7"}
    assert await (await join("two")).once("sha256:abc/def", _never) == first


async def test_of_500_concurrent_callers_one_works(join: Join) -> None:
    """However many ask at the same time, from two connections, the work is done once."""
    replicas = [await join("one", lease=timedelta(seconds=30)), await join("two", lease=timedelta(seconds=30))]
    worked: list[int] = []

    async def work(number: int, _lease: Lease) -> Json:
        worked.append(number)
        return {"by": number}

    async with asyncio.timeout(100):
        results = await asyncio.gather(
            *(replicas[number % 2].once("one key", partial(work, number)) for number in range(500))
        )

    assert len(worked) == 1
    assert results == [{"by": worked[0]}] * 500


async def test_of_500_concurrent_creates_one_wins(provisioned: Connection, join: Join) -> None:
    """Compare-and-set lets one writer through, and tells the others."""
    claims = await join("one")
    async with claims.lease("seed"):
        claim, _ = await claims._bucket.read("seed")
    assert claim is not None
    wanted = claim.model_copy(update={"key": "contended"})

    async def create() -> bool:
        try:
            await claims._bucket.write(wanted, 0, ttl=None, timeout=60)
        except WrongSequence:
            return False
        return True

    won = await asyncio.gather(*(create() for _ in range(500)))

    assert sum(won) == 1


async def test_a_failure_gives_the_claim_back_at_once_and_says_that_somebody_tried(join: Join) -> None:
    """After an exception the next taker need not wait, sees the step, and knows that the outcome is unknown."""
    claims = await join("one", lease=timedelta(seconds=600))

    async def fail(lease: Lease) -> Json:
        await lease.mark("about to create")
        raise PermanentError("boom")

    async def look(lease: Lease) -> Json:
        return {"attempt": lease.attempt, "taken_over": lease.taken_over, "step": lease.step}

    with pytest.raises(PermanentError, match="boom"):
        await claims.once("key", fail)

    async with asyncio.timeout(60):
        assert await claims.once("key", look) == {"attempt": 2, "taken_over": True, "step": "about to create"}


async def test_a_cancelled_holder_gives_the_claim_back(join: Join) -> None:
    """A handler that is stopped in the middle does not make the next one wait for the lease."""
    claims = await join("one", lease=timedelta(seconds=600))
    begun = asyncio.Event()

    async def hang(_lease: Lease) -> Json:
        begun.set()
        await asyncio.Event().wait()
        return {}

    task = asyncio.create_task(claims.once("key", hang))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with asyncio.timeout(60), claims.lease("key") as lease:
        assert lease.taken_over


async def test_a_living_holder_is_not_taken_over(join: Join) -> None:
    """A holder that works for longer than its lease renews it, and a waiting taker gets the result."""
    one, two = await join("one"), await join("two")
    begun = asyncio.Event()

    async def work(lease: Lease) -> Json:
        begun.set()
        await asyncio.sleep(2 * LEASE.total_seconds())
        return {"attempt": lease.attempt, "left": lease.left() > 0}

    holder = asyncio.create_task(one.once("key", work))
    await begun.wait()

    assert await two.once("key", _never) == {"attempt": 1, "left": True}
    assert (await holder)["attempt"] == 1


async def test_a_lease_that_ended_well_begins_anew(join: Join) -> None:
    """After a block without an exception nothing is unknown: the next holder is the first again."""
    claims = await join("one")
    async with claims.lease("key") as lease:
        await lease.mark("half")

    async with claims.lease("key") as lease:
        assert (lease.attempt, lease.taken_over, lease.step) == (1, False, None)


async def test_what_a_holder_keeps_is_there_for_every_later_one(join: Join, provisioned: Connection) -> None:
    """Neither the end of the block nor a failure forgets it, and it never expires."""
    one, two = await join("one"), await join("two")
    async with one.lease("place") as lease:
        assert lease.kept is None
        await lease.keep({"seen": "1"})
        assert lease.kept == {"seen": "1"}

    async def fail() -> None:
        async with two.lease("place") as lease:
            assert lease.kept == {"seen": "1"}
            await lease.keep({"seen": "2"})
            raise PermanentError("boom")

    with pytest.raises(PermanentError):
        await fail()

    async with one.lease("place") as lease:
        assert (lease.kept, lease.step) == ({"seen": "2"}, None)
    assert await _ttl(provisioned, "place") is None
    with pytest.raises(LeaseLost):
        await lease.keep({"seen": "too late"})


async def test_too_much_is_not_kept(join: Join) -> None:
    """More than 64 KiB is refused, and what was kept stays."""
    claims = await join("one")
    async with claims.lease("place") as lease:
        await lease.keep({"seen": "1"})
        with pytest.raises(Invalid, match="65"):
            await lease.keep({"seen": "x" * 65_536})
        assert lease.kept == {"seen": "1"}


async def test_after_the_block_a_lease_is_worth_nothing(join: Join) -> None:
    """Who keeps the lease beyond its block can do nothing with it."""
    claims = await join("one")
    async with claims.lease("key") as lease:
        pass

    assert lease.left() == 0
    with pytest.raises(LeaseLost):
        await lease.mark("too late")


async def test_only_what_is_over_expires(join: Join, provisioned: Connection) -> None:
    """A held or failed claim has no TTL; a result has one."""
    claims = await join("one")
    async with claims.lease("held"):
        assert await _ttl(provisioned, "held") is None

    async def fail(_lease: Lease) -> Json:
        raise PermanentError("boom")

    async def work(_lease: Lease) -> Json:
        return {}

    with pytest.raises(PermanentError):
        await claims.once("failed", fail)
    await claims.once("done", work)

    assert await _ttl(provisioned, "failed") is None
    assert await _ttl(provisioned, "done") == "86400s"
    await claims.once("long", work, kept=timedelta(days=90))
    assert await _ttl(provisioned, "long") == f"{90 * 86400}s"


async def _ttl(connection: Connection, key: str) -> str | None:
    message = await connection.client.jetstream().get_last_msg("KV_claims_sign", f"$KV.claims_sign.{key}")
    return (message.headers or {}).get("Nats-TTL")


async def test_a_result_which_expired_is_worked_for_again(nats_server: NatsServer, join: Join) -> None:
    """When the result is forgotten, the key is as new."""
    claims = await join("one")
    claims._done_ttl = timedelta(seconds=1)
    counted: list[int] = []

    async def work(_lease: Lease) -> Json:
        counted.append(1)
        return {"n": len(counted)}

    await claims.once("key", work)
    await asyncio.wait_for(_forgotten(claims, "key"), 60)

    assert await claims.once("key", work) == {"n": 2}


async def _forgotten(claims: NatsClaims, key: str) -> None:
    while True:
        if (await claims._bucket.read(key))[0] is None:
            return
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("result", [{"blob": "x" * 70_000}, {"what": object()}])
async def test_a_result_that_cannot_be_kept_is_refused(join: Join, result: Json) -> None:
    """Too large, or no JSON: the worker learns it at once, with a sentence."""
    claims = await join("one")

    async def work(_lease: Lease) -> Json:
        return result

    with pytest.raises(Invalid, match="the result for the claim 'key'"):
        await claims.once("key", work)


async def test_a_value_that_is_no_claim_is_not_taken_for_a_free_key(join: Join, provisioned: Connection) -> None:
    """What somebody else wrote there is looked at by people, never worked over."""
    await JetStreamApi(provisioned).store("$KV.claims_sign.key", json.dumps({"hello": 1}).encode(), {})
    claims = await join("one")

    with pytest.raises(PermanentError, match="holds something that is no claim"):
        await claims.once("key", _never)


async def test_a_claim_whose_answer_was_lost_is_still_ours(join: Join) -> None:
    """A write of ours that we did not hear of does not make us believe that we were taken over."""
    claims = await join("one", lease=timedelta(seconds=60))
    async with claims.lease("key") as lease:
        unheard, revision = await claims._bucket.read("key")
        assert unheard is not None
        await claims._bucket.write(unheard, revision, ttl=None, timeout=10)

        await lease.mark("on")
        assert (await claims._bucket.read("key"))[0] == lease._claim


class SendsTwice(Publisher):
    """Repeats every write, as happens when the answer to the first one is lost."""

    async def publish(self, *arguments: Any, **options: Any) -> PubAck:
        """Publish, and publish again."""
        await super().publish(*arguments, **options)
        return await super().publish(*arguments, **options)


async def test_writes_that_were_sent_twice_are_recognised(provisioned: Connection, join: Join) -> None:
    """The server compares before it looks for duplicates, so that our own write stands in our way: we know it again."""
    publisher = SendsTwice(provisioned)
    await publisher.start()
    claims = NatsClaims(provisioned, publisher, "sign", lease=timedelta(seconds=600), owner="twice")

    async def work(lease: Lease) -> Json:
        await lease.mark("half")
        return {"attempt": lease.attempt, "left": lease.left() > 0}

    async with asyncio.timeout(60):
        result = await claims.once("key", work)
    await publisher.close()

    assert result == {"attempt": 1, "left": True}
    assert await (await join("later")).once("key", _never) == result


async def test_claims_survive_kill_9_of_the_server(nats_server: NatsServer, join: Join) -> None:
    """A result that was stored, and a claim that is held, are there when the server is back."""
    claims = await join("one", lease=timedelta(seconds=60))

    async def work(_lease: Lease) -> Json:
        return {"kept": True}

    await claims.once("done", work)
    async with claims.lease("held") as lease:
        await nats_server.kill()
        await nats_server.start()
        async with asyncio.timeout(60):
            await lease.mark("after the crash")
        assert lease.left() > 0

    assert await (await join("two")).once("done", _never) == {"kept": True}


async def test_a_bucket_of_another_worker_holds_other_claims(join: Join, provisioned: Connection) -> None:
    """The key is the worker's own: two workers with the same key do not meet."""
    await (await join("one")).once("key", _done)
    publisher = Publisher(provisioned)
    await publisher.start()

    with pytest.raises(Exception, match="KV_claims_probe"):
        await ClaimsBucket(provisioned, publisher, "probe").read("key")
    await publisher.close()


async def _done(_lease: Lease) -> Json:
    return {}
