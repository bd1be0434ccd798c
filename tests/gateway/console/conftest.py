"""A console on a real bus, and people who look at it: with plain requests, or in a real browser."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.bus.lane import Lane
from workers.adapters.key_sets import fetch_key_set
from workers.adapters.secrets import read_secret
from workers.adapters.sign_in import Providers
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.console_settings import ConsoleSettings
from workers.gateway.callers import hash_of
from workers.gateway.console.kit import ConsoleKit
from workers.gateway.console.link import sign_in_link
from workers.gateway.principals import Policy
from workers.gateway.server import Door

SECRET = "canary-canary-canary-canary-canary-canary"
KEY = "slk_canary0canary0canary0canary0canary0canary"
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
ACTOR, SEER, NARROW = "alice", "bob", "carol"
"""May act; may see everything; may see what is about echoes of the shop."""


@pytest.fixture
def policy() -> Policy:
    """Know three people and a pipeline."""
    everything = [{"type": "echo.requested"}, {"type": "image.pushed"}]
    people: list[dict[str, Any]] = [
        {"name": "ci", "api_keys": [hash_of(KEY)], "may_publish": everything, "rate": 60_000, "burst": 10_000},
        {"name": ACTOR, "may_see": [{}], "may_act": True},
        {"name": SEER, "may_see": [{}]},
        {"name": NARROW, "may_see": [{"type": "echo.*", "subject": "shop/**"}], "may_act": True},
    ]
    for number, one in enumerate(people[1:]):
        one |= {"api_keys": [hash_of(f"slk_person{number}00000000000000000000000000000000")], "may_publish": ()}
    return Policy.model_validate({"principals": people})


@dataclass(slots=True)
class House:
    """A door with a console."""

    url: str
    door: Door
    settings: ConsoleSettings

    def link(self, principal: str = ACTOR) -> str:
        """Return a link that signs somebody in once."""
        return sign_in_link(self.url, SECRET, principal)


@asynccontextmanager
async def open_house(
    lane: Lane, folder: Path, policy: Policy, *, port: int = 0, github: dict[str, str] | None = None, **settings: Any
) -> AsyncIterator[House]:
    """Open a door with a console while the block runs."""
    async with AsyncExitStack() as stack:
        connections = []
        for identity in ("gateway", "operator"):
            seed = read_seed(folder, identity)
            connections.append(await connect(lane.url, identity=identity, seed=seed, first_wait=30))
            stack.push_async_callback(connections[-1].close)
        known = ConsoleSettings.model_validate({"secret": "env://NOWHERE"} | settings)
        kit = ConsoleKit(known, SECRET, Providers(read_secret, github=github), connections[1])
        door = Door(connections[0], policy, fetch_key_set, console=kit)
        found = await door.start(port)
        stack.push_async_callback(door.stop)
        yield House(f"http://127.0.0.1:{found}", door, known)


@pytest.fixture
async def house(lane: Lane, tmp_path: Path, policy: Policy) -> AsyncIterator[House]:
    """Give a door with a console."""
    async with open_house(lane, tmp_path, policy) as found:
        yield found


@dataclass(slots=True)
class Seen:
    """What a browser without a screen got."""

    status: int
    text: str
    headers: dict[str, str]
    place: str

    @property
    def csrf(self) -> str:
        """What the forms of the page hold."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        assert found, self.text
        return found[1]


class Person:
    """Somebody with cookies, without a screen."""

    def __init__(self, house: House, session: aiohttp.ClientSession) -> None:
        self.house = house
        self._session = session

    @property
    def cookies(self) -> list[str]:
        """The cookies that it has."""
        return [cookie.value for cookie in self._session.cookie_jar]

    async def get(self, path: str, *, follow: bool = True, **headers: str) -> Seen:
        """Open a page; in names of headers `_` is `-`."""
        return await self.ask("GET", path, None, headers, follow=follow)

    async def post(self, path: str, fields: dict[str, str], *, origin: str | None = "", follow: bool = True) -> Seen:
        """Send a form as a page of ours would, unless another origin is said; None: without one."""
        headers = {} if origin is None else {"origin": origin or self.house.url}
        return await self.ask("POST", path, fields, headers, follow=follow)

    async def ask(
        self,
        method: str,
        path: str,
        fields: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        *,
        follow: bool = True,
    ) -> Seen:
        """Send a request."""
        url = path if path.startswith("http") else f"{self.house.url}{path}"
        given = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        async with self._session.request(method, url, data=fields, headers=given, allow_redirects=follow) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Seen(answer.status, await answer.text(), found, str(answer.url))


@pytest.fixture
async def people(house: House) -> AsyncIterator[Callable[[str | None], Awaitable[Person]]]:
    """Give people: signed in as a principal, or strangers."""
    async with AsyncExitStack() as stack:

        async def somebody(principal: str | None = ACTOR) -> Person:
            jar = aiohttp.CookieJar(unsafe=True)
            person = Person(house, await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar)))
            if principal is not None:
                assert (await person.get(house.link(principal))).status == 200
            return person

        yield somebody


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Give a real browser."""
    path = shutil.which("chromium")
    assert path, "there is no chromium: `apt-get install chromium`, or see tests/system-packages.txt"
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield found
        await found.close()


@pytest.fixture
async def screen(browser: Browser) -> AsyncIterator[Page]:
    """Give a window of the browser; what goes wrong in a page is said by the test."""
    context: BrowserContext = await browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(30_000)
    yield await context.new_page()
    await context.close()


BEGAN = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


async def say(lane: Lane, run: str, number: int = 1, **more: Any) -> None:
    """Say something of the event that opened a run; a result unless something else is said."""
    event = {"type": "echo.requested", "source": "/ci", "id": run, "subject": f"about {run}", "stream": "EVENTS"}
    known = {"kind": "result", "outcome": "done", "worker": "echo", "run": run, "attempt": 1, "n": number}
    at = {"at": (BEGAN + timedelta(seconds=number)).isoformat(), "seconds": 0.5, "actor": "ci"}
    body = known | at | {"event": event | {"sequence": 1}} | more
    await lane.publisher.publish(f"progress.{body['worker']}.{run}", json.dumps(body).encode())
