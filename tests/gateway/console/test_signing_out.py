"""Signing out: a session is over for whoever has a copy of its cookie, at every door, and nothing is told any more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.bus.lane import Lane, until
from tests.gateway.console.conftest import ACTOR, SEER, House, Person, open_house, say
from tests.gateway.console.test_letters import bury
from workers.bus.claims.ledger import Ledger
from workers.bus.rooms import all_wirings
from workers.bus.transport.publisher import Publisher
from workers.gateway.console.sessions import of_person
from workers.gateway.console.signed_out import note_signed_out
from workers.gateway.principals import Policy

People = Callable[[str | None], Awaitable[Person]]


def stolen(person: Person, house: House) -> dict[str, str]:
    """Return the headers of somebody who has a copy of a person's cookie, at a door."""
    (cookie,) = person.cookies
    return {"cookie": f"sealane-{house.url.rpartition(':')[2]}={cookie}"}


async def is_in(thief: Person, headers: dict[str, str]) -> bool:
    """Whether a page is shown for these headers."""
    return (await thief.ask("GET", f"{thief.house.url}/console", None, headers, follow=False)).status == 200


async def sign_out(person: Person, **more: str) -> None:
    """Sign somebody out by its own page."""
    csrf = (await person.get("/console")).csrf
    assert (await person.post("/console/logout", {"csrf": csrf} | more)).status == 401


@pytest.fixture
async def other(lane: Lane, tmp_path: Path, policy: Policy) -> AsyncIterator[House]:
    """Give a second door on the same bus."""
    async with open_house(lane, tmp_path, policy) as found:
        yield found


@asynccontextmanager
async def at(house: House) -> AsyncIterator[Person]:
    """Give a stranger at a door."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Person(house, session)


async def test_a_stolen_cookie_is_worth_nothing_once_its_owner_signed_out(
    people: People, house: House, other: House
) -> None:
    """At the door where it happened at once, at another one as soon as it hears of it; others stay signed in."""
    owner, colleague = await people(ACTOR), await people(ACTOR)
    here, there = stolen(owner, house), stolen(owner, other)
    async with at(house) as thief, at(other) as elsewhere:
        assert await is_in(thief, here)
        await until(lambda: is_in(elsewhere, there), what="the other door to know who signed out")
        await sign_out(owner)
        assert not await is_in(thief, here)

        async def is_out() -> bool:
            return not await is_in(elsewhere, there)

        await until(is_out, what="the other door to hear of it")
        assert (await thief.ask("GET", "/runs", None, here)).status == 401
    assert (await colleague.get("/console")).status == 200


async def test_it_is_remembered_for_longer_than_the_session_is_good(people: People, house: House, lane: Lane) -> None:
    """What the ledger forgot would be good again: the note outlives the cookie, and does not stay for ever."""
    await sign_out(await people(ACTOR))
    ((headers, _),) = await lane.messages("KV_ledger", "$KV.ledger.signedout.")
    kept, good = int(headers["Nats-TTL"].removesuffix("s")), house.settings.session.total_seconds()

    assert good < kept < good + 3600


async def test_a_door_that_opens_later_knows_who_signed_out(
    people: People, house: House, lane: Lane, tmp_path: Path, policy: Policy
) -> None:
    """What was noted is read before anybody is let in by a cookie."""
    owner = await people(ACTOR)
    cookie = owner.cookies[0]
    await sign_out(owner)
    async with open_house(lane, tmp_path, policy) as later, at(later) as thief:
        headers = {"cookie": f"sealane-{later.url.rpartition(':')[2]}={cookie}"}

        async def answer() -> int:
            return (await thief.ask("GET", "/console", None, headers, follow=False)).status

        seen = [await answer()]

        async def is_read() -> bool:
            seen.append(await answer())
            return seen[-1] == 303

        await until(is_read, what="the notes to be read")
    assert set(seen) <= {503, 303}
    assert house.url != later.url


async def test_signing_out_everywhere_ends_all_sessions_of_one_person_that_began_before(
    people: People, house: House
) -> None:
    """Those of others go on, and whoever signs in afterwards is in."""
    one, two, somebody_else = await people(ACTOR), await people(ACTOR), await people(SEER)
    await sign_out(one, everywhere="yes")

    assert (await two.get("/console", follow=False)).status == 303
    assert (await somebody_else.get("/console")).status == 200
    await two.get(house.link())
    assert (await two.get("/console", follow=False)).status == 200


async def test_a_session_ends_though_the_ledger_was_made_anew(people: People, house: House, lane: Lane) -> None:
    """Its revisions begin at 1 again then, below that at which the session began."""
    for _ in range(3):
        await sign_out(await people(ACTOR), everywhere="yes")
    owner = await people(ACTOR)
    await lane.connection.client.jetstream().delete_stream("KV_ledger")
    await lane.provision(*all_wirings().values())
    headers = stolen(owner, house)
    async with at(house) as thief:
        assert await is_in(thief, headers)
        await sign_out(owner)

        assert not await is_in(thief, headers)


async def test_an_operator_signs_a_person_out(people: People, lane: Lane) -> None:
    """A note of the person's name under the identity of the operator ends what it has open."""
    person = await people(ACTOR)
    async with AsyncExitStack() as stack:
        publisher = Publisher(lane.connection)
        await publisher.start()
        stack.push_async_callback(publisher.close)
        await note_signed_out(Ledger(lane.connection, publisher), of_person(ACTOR))

    async def is_out() -> bool:
        return (await person.get("/console", follow=False)).status == 303

    await until(is_out, what="the door to hear of it")


async def test_nothing_is_done_with_a_session_that_another_door_ended(
    people: People, house: House, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before something changes the ledger itself is asked: a door that hears nothing refuses it all the same."""
    await bury(lane)
    owner = await people(ACTOR)
    headers = stolen(owner, house)
    csrf = (await owner.get("/console/dead/1/replay")).csrf
    await sign_out(owner)
    deaf = house.door._console._signed_out
    monkeypatch.setattr(deaf, "_take", lambda _: None)  # what it follows may still be on its way
    monkeypatch.setattr(deaf, "_notes", {})
    async with at(house) as thief:
        assert await is_in(thief, headers)
        fields = {"csrf": csrf, "replays": "0"}
        refused = await thief.ask("POST", "/console/dead/1/replay", fields, headers | {"origin": house.url})

    assert refused.status == 401
    assert await lane.bodies("RETRY_echo") == []


@pytest.mark.parametrize("path", ["/progress/one", "/runs"])
async def test_what_is_followed_ends_with_the_session(people: People, house: House, lane: Lane, path: str) -> None:
    """The stream is closed as it should be, and who comes back to it is refused."""
    await say(lane, "one", kind="started", outcome=None)
    owner = await people(ACTOR)
    headers = stolen(owner, house) | {"accept": "text/event-stream"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        async with session.get(house.url + path, headers=headers) as stream:
            assert stream.status == 200
            assert await stream.content.readline() == b"retry: 1000\n"
            await sign_out(owner)
            async with asyncio.timeout(60):
                await stream.content.read()
        async with session.get(house.url + path, headers=headers) as again:
            assert again.status == 401
