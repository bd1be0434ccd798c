"""The console while the bus is away: it says so, shows what it knows, and goes on by itself."""

from collections.abc import Callable
from pathlib import Path

import aiohttp

from tests.bus.lane import lane_on, until
from tests.gateway.console.conftest import Person, open_house, say
from workers.bus.rooms import all_wirings
from workers.bus.topology.identities import ensure_identities, read_seed
from workers.bus.topology.permissions import Permissions, derive, render
from workers.gateway.principals import Policy
from workers.local.nats import NatsServer


def restarting(folder: Path) -> Callable[[int], NatsServer]:
    """Return what makes the same server, with the permissions of the real identities, on a port; 0 is a free one."""
    permissions = derive(all_wirings().values()) | {"tester": Permissions(publish=(">",), subscribe=(">",))}
    keys = ensure_identities(folder, permissions)
    return lambda port: NatsServer(folder / "nats", port=port, authorization=render(permissions, keys))


async def test_it_says_that_the_bus_is_away_and_goes_on(tmp_path: Path, policy: Policy) -> None:
    """The runs that are known stay in the list, what needs the bus is refused in a sentence, and then all is well."""
    make = restarting(tmp_path)
    server = make(0)
    await server.start()
    port = int(server.url.rpartition(":")[2])
    async with (
        lane_on(server.url, seed=read_seed(tmp_path, "tester")) as lane,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        await lane.provision(*all_wirings().values())
        await say(lane, "known")
        async with open_house(lane, tmp_path, policy) as house:
            person = Person(house, session)
            await person.get(house.link())

            async def shows(text: str) -> bool:
                return text in (await person.get("/console")).text

            await until(lambda: shows('data-run="known"'), what="a run in the list")
            csrf = (await person.get("/console")).csrf
            await server.stop()
            await until(lambda: shows("The bus does not answer"), what="the word that the bus is away")
            assert await shows('data-run="known"')
            for path in ("/console/dead", "/console/runs/known"):
                refused = await person.get(path)
                assert (refused.status, "Service Unavailable" in refused.text) == (503, True)
            assert (await person.get("/console/workers")).status == 200
            # Nobody could tell the other doors: it is refused, not done by half.
            assert (await person.post("/console/logout", {"csrf": csrf})).status == 503

            again = make(port)
            await again.start()
            await until(lambda: _is_fine(person), what="a console that works again")
    await again.stop()


async def _is_fine(person: Person) -> bool:
    return (await person.get("/console/dead")).status == 200
