"""People who sign in with a provider, or come through a proxy that vouches for them."""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from playwright.async_api import Page, expect

from tests.bus.lane import Lane
from tests.gateway.console.conftest import House, Person, Seen, open_house
from tests.gateway.console.provider import CLIENT, SECRET, PeopleProvider
from workers.failures import Invalid
from workers.gateway.principals import Policy


@pytest.fixture
async def provider() -> AsyncIterator[PeopleProvider]:
    """Give a provider of people."""
    async with PeopleProvider() as found:
        yield found


@pytest.fixture
def policy(provider: PeopleProvider) -> Policy:
    """Know Alice by her e-mail address, Octavia by her number at GitHub, and Ira by a proxy.

    Both issuers of tokens speak to programs as well, under other audiences.
    """
    keys = f"{provider.url}/.well-known/jwks"
    issuers = [
        {"name": "programs", "issuer": provider.url, "keys": keys, "audience": "programs"},
        {"name": "backend", "issuer": "https://iap.example", "keys": keys, "audience": "/projects/2/backend"},
        {"name": "people", "issuer": provider.url, "keys": keys, "audience": CLIENT},
        {"name": "github", "issuer": "https://github.com", "keys": "https://github.com/none", "audience": CLIENT},
        {"name": "iap", "issuer": "https://iap.example", "keys": keys, "audience": "/projects/1/backend"},
    ]
    proofs = {
        "alice": ("people", {"email": "alice@example.com"}),
        "octavia": ("github", {"user_id": "583231"}),
        "ira": ("iap", {"email": "ira@example.com"}),
        "robot": ("programs", {"email": "alice@example.com"}),
        "robot-2": ("backend", {"email": "ira@example.com"}),
    }
    people = [
        {"name": name, "issuer": issuer, "claims": claims, "may_publish": (), "may_see": [{}], "may_act": True}
        for name, (issuer, claims) in proofs.items()
    ]
    return Policy.model_validate({"issuers": issuers, "principals": people})


@pytest.fixture
async def house(
    lane: Lane, tmp_path: Path, policy: Policy, provider: PeopleProvider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """Give a console where one signs in with either."""
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    known = {"client_id": CLIENT, "client_secret": "env://CLIENT_SECRET"}
    providers = [
        known | {"name": "corp", "title": "Corp", "issuer": "people"},
        known | {"name": "hub", "title": "GitHub", "kind": "github", "issuer": "github"},
    ]
    async with open_house(lane, tmp_path, policy, github=provider.endpoints, providers=providers) as found:
        yield found


@pytest.fixture
async def person(house: House) -> AsyncIterator[Person]:
    """Give a stranger."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Person(house, session)


async def callback(person: Person, name: str = "corp") -> str:
    """Begin to sign in, and return the address to which the provider sends the person back."""
    begun = await person.get(f"/console/login/{name}?next=/console/dead", follow=False)
    assert begun.status == 303, begun.text
    return (await person.get(begun.headers["location"], follow=False)).headers["location"]


async def test_somebody_signs_in_with_openid_connect(person: Person, house: House) -> None:
    """Sent there and back, she is the principal whose claims she bears, and lands where she was going."""
    login = await person.get("/console")
    assert "Sign in with Corp" in login.text
    place = await callback(person)
    home = await person.get(place)

    assert (home.status, home.place) == (200, f"{house.url}/console/dead")
    assert ">alice<" in home.text


async def test_over_tls_no_neighbour_can_set_the_cookies(
    lane: Lane, tmp_path: Path, policy: Policy, provider: PeopleProvider
) -> None:
    """What is kept while one signs in has the prefix that browsers take from this very host alone, over TLS."""
    corp = {"name": "corp", "issuer": "people", "client_id": CLIENT, "client_secret": "env://PATH"}
    url = "https://console.example"
    async with (
        open_house(lane, tmp_path, policy, github=provider.endpoints, providers=[corp], url=url) as house,
        aiohttp.ClientSession() as session,
    ):
        begun = await Person(house, session).get("/console/login/corp", follow=False, host="console.example")

    name, _, rest = begun.headers["set-cookie"].partition("=")
    assert name == "__Host-sealane-login"
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(rest.split("; "))
    assert "Domain" not in rest


async def test_somebody_signs_in_with_github(person: Person, provider: PeopleProvider) -> None:
    """GitHub has no ID tokens: the number of the account counts, whatever it is called."""
    provider.person = {"sub": "583231"}
    assert ">octavia<" in (await person.get(await callback(person, "hub"))).text


async def test_nobody_unknown_gets_in(person: Person, provider: PeopleProvider) -> None:
    """Whom the provider knows and the policy does not is refused, and sees nothing."""
    for name, somebody in (("corp", {"sub": "7", "email": "mallory@example.com"}), ("hub", {"sub": "666"})):
        provider.person = somebody
        refused = await person.get(await callback(person, name))
        assert refused.status == 403
        assert "set-cookie" not in refused.headers
    assert (await person.get("/console", follow=False)).status == 303


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"nonce": "another"}, 401),
        ({"nonce": None}, 401),
        ({"aud": "somebody-else"}, 401),
        ({"aud": "programs"}, 401),
        ({"iss": "https://evil.example"}, 401),
        ({"exp": 1}, 401),
        ({"email": "ALICE@example.com"}, 403),
    ],
    ids=str,
)
async def test_an_id_token_that_is_wrong_signs_nobody_in(
    person: Person, provider: PeopleProvider, wrong: dict[str, Any], status: int
) -> None:
    """One of another session, for another client, of another issuer, or too old is refused."""
    provider.changed = wrong
    refused = await person.get(await callback(person))

    assert refused.status == status
    assert (await person.get("/console", follow=False)).status == 303


async def test_the_client_of_the_console_counts_whoever_else_a_token_is_for(
    person: Person, provider: PeopleProvider
) -> None:
    """A token for the console and for programs makes nobody a program."""
    provider.changed = {"aud": ["programs", CLIENT]}
    assert ">alice<" in (await person.get(await callback(person))).text


async def test_coming_back_works_once_and_only_where_it_began(person: Person, house: House) -> None:
    """A link into somebody else's account (login CSRF), a second use, and another provider's code are refused."""
    place = await callback(person)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        victim = await Person(house, session).get(place)
    assert (victim.status, "not begun here" in victim.text) == (401, True)
    elsewhere = await person.get(re.sub("/login/[a-z]+/", "/login/hub/", place))
    assert elsewhere.status == 401
    assert (await person.get(re.sub("state=[^&]+", "state=x", place))).status == 401
    assert (await person.get(place)).status == 200
    assert (await person.get(place)).status == 401


async def test_what_a_provider_refuses_is_told(
    person: Person, provider: PeopleProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody who says no there, a wrong secret, a provider that is away: a sentence each, and no secret in any."""
    provider.refuses = True
    refused = await person.get(await callback(person))
    assert (refused.status, "did not let you in" in refused.text) == (401, True)
    provider.refuses, provider.secret = False, "rotated"
    told = await person.get(await callback(person))
    assert (told.status, "invalid_client" in told.text) == (503, True)
    assert SECRET not in told.text + caplog.text
    assert (await person.get("/console/login/nobody")).status == 404


@pytest.mark.parametrize(("issuer", "client"), [("nobody", CLIENT), ("people", "another-client")])
async def test_a_provider_that_the_policy_does_not_know_is_refused_at_the_start(
    lane: Lane, tmp_path: Path, policy: Policy, issuer: str, client: str
) -> None:
    """What could let nobody in is said before somebody tries."""
    wrong = {"name": "corp", "issuer": issuer, "client_id": client, "client_secret": "env://CLIENT_SECRET"}
    with pytest.raises(Invalid, match="SEALANE_CONSOLE"):
        async with open_house(lane, tmp_path, policy, providers=[wrong]):
            pass


async def test_a_browser_signs_in_and_comes_from_a_chat(screen: Page, house: House, provider: PeopleProvider) -> None:
    """Over the border between two sites, where cookies stay behind: a deep link leads to its page both times."""
    await screen.goto(f"{house.url}/console/dead")
    await screen.get_by_role("link", name="Sign in with Corp").click()
    await screen.wait_for_url(f"{house.url}/console/dead")
    await expect(screen.get_by_role("heading", name="Dead letters")).to_be_visible()

    await screen.goto(f"{provider.elsewhere}/chat?to={house.url}/console/workers")
    await screen.get_by_role("link", name="look at this").click()
    await expect(screen.get_by_role("heading", name="Workers")).to_be_visible()
    await screen.context.clear_cookies()
    await screen.goto(f"{provider.elsewhere}/chat?to={house.url}/console/workers")
    await screen.get_by_role("link", name="look at this").click()
    await expect(screen.get_by_role("heading", name="Sign in")).to_be_visible()


def asserted(provider: PeopleProvider, **changed: Any) -> str:
    """Return the word of the proxy."""
    now = int(time.time())
    known = {"iss": "https://iap.example", "aud": "/projects/1/backend", "iat": now, "exp": now + 60}
    claims = known | {"sub": "accounts.google.com:9", "email": "ira@example.com"} | changed
    return jwt.encode(claims, provider.keys["key-1"], algorithm="RS256", headers={"kid": "key-1"})


async def test_a_proxy_vouches_for_each_request(
    lane: Lane, tmp_path: Path, policy: Policy, provider: PeopleProvider
) -> None:
    """With its signed word one is in and may act; without it, or with somebody else's word, one is nobody."""
    proxy = {"issuer": "iap", "header": "x-goog-iap-jwt-assertion"}
    async with open_house(lane, tmp_path, policy, proxy=proxy) as house, aiohttp.ClientSession() as session:
        person = Person(house, session)

        async def come(path: str = "/console", **changed: Any) -> Seen:
            return await person.get(path, follow=False, x_goog_iap_jwt_assertion=asserted(provider, **changed))

        home = (await come()).text
        assert ">ira<" in home
        assert ("sign out there" in home, "/console/logout" in home) == (True, False)
        assert (await come("/runs")).status == 200
        word = (await come("/console/workers/echo/stop")).csrf
        assert (await come("/console/workers/rekey/stop")).csrf == word
        for changed, status in [
            ({"aud": "/projects/2/backend"}, 401),
            ({"exp": 1}, 401),
            ({"iss": provider.url, "aud": CLIENT, "email": "alice@example.com"}, 401),
            ({"email": "mallory@example.com"}, 403),
        ]:
            assert (await come(**changed)).status == status
        assert (await person.get("/console", follow=False)).status == 303
        assert (await person.get("/runs")).status == 401
