"""Who gets into the console, by which way, and where from."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.gateway.console.conftest import ACTOR, SECRET, SEER, House, Person
from workers.failures import Invalid
from workers.gateway.console.guard import own_place
from workers.gateway.console.seal import Seal

People = Callable[[str | None], Awaitable[Person]]


async def test_a_link_signs_in_once(people: People, house: House) -> None:
    """The first who opens it gets a cookie that no script reads; whoever opens it again gets a sentence."""
    link, first, second = house.link(), await people(None), await people(None)
    opened = await first.get(link, follow=False)
    again = await second.get(link)

    assert (opened.status, opened.headers["location"]) == (303, "/console")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(opened.headers["set-cookie"].split("; "))
    assert opened.headers["referrer-policy"] == "no-referrer"
    assert again.status == 401
    assert "opened before" in again.text
    assert (await second.get("/console")).status == 401


async def test_looking_where_a_link_leads_does_not_use_it_up(people: People, house: House) -> None:
    """What a chat or a mail program asks to show a preview (HEAD) leaves it to the person."""
    link, person = house.link(), await people(None)
    assert (await person.ask("HEAD", link)).status in {200, 401}
    assert (await person.get(link)).status == 200


async def test_style_and_script_are_kept_under_their_own_hash_alone(people: People) -> None:
    """An address of another version is answered, and not remembered."""
    person = await people(ACTOR)
    address = (await person.get("/console")).text.partition('<script src="')[2].partition('"')[0]
    kept, other = await person.get(address), await person.get("/console/static/console.js?v=000000000000")

    assert (kept.status, kept.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert (other.text, other.headers["cache-control"]) == (kept.text, "no-store")


async def test_of_many_who_open_a_link_at_once_one_gets_in(people: People, house: House) -> None:
    """The link is used up at all replicas together."""
    link = house.link()
    persons = [await people(None) for _ in range(8)]
    answers = await asyncio.gather(*(person.get(link, follow=False) for person in persons))

    assert sorted(answer.status for answer in answers) == [303] + [401] * 7


async def test_a_stranger_is_sent_to_sign_in_and_back_to_where_it_was_going(people: People, house: House) -> None:
    """A deep link is not lost; the page behind it is not shown before."""
    stranger = await people(None)
    sent = await stranger.get("/console/runs/abc?part=timeline", follow=False)
    place = sent.headers["location"]

    assert (sent.status, place) == (303, "/console/login?next=%2Fconsole%2Fruns%2Fabc%3Fpart%3Dtimeline")
    assert (await stranger.get(place)).status == 401
    signed_in = await stranger.get(f"{house.link()}&next=%2Fconsole%2Fworkers", follow=False)
    assert signed_in.headers["location"] == "/console/workers"


async def test_a_link_from_a_chat_arrives(people: People) -> None:
    """A browser that comes from elsewhere keeps its cookie back: a page of ours sends it on, and then it is shown."""
    arriving = await (await people(None)).get("/console/runs/abc", sec_fetch_site="cross-site")

    assert arriving.status == 200
    assert 'content="0; url=/console/runs/abc"' in arriving.text


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/console",
        "//evil.example/console",
        "/\\evil.example",
        "/consolevil",
        "/console\n",
        "javascript:alert(1)",
        "/console/login?next=/console",
        "",
        None,
    ],
)
def test_nobody_is_sent_elsewhere(place: str | None) -> None:
    """Whatever `next` says, one ends on a page of the console."""
    assert own_place(place) == "/console"


async def test_another_name_for_this_address_gets_nothing(people: People, house: House) -> None:
    """A name of somebody else that leads here (DNS rebinding) reads no page and posts no form."""
    person = await people(ACTOR)
    read = await person.get("/console", follow=False, host="evil.example")
    port = house.url.rpartition(":")[2]

    assert (read.status, read.headers["location"]) == (303, f"{house.url}/console")
    assert (await person.get("/console", follow=False, host=f"localhost:{port}")).status == 303


async def test_signing_out_takes_the_cookie_away(people: People) -> None:
    """After it there is no session any more."""
    person = await people(ACTOR)
    csrf = (await person.get("/console")).csrf
    out = await person.post("/console/logout", {"csrf": csrf})

    assert out.status == 401
    assert (await person.get("/console", follow=False)).status == 303


async def test_the_streams_are_followed_with_the_session(people: People) -> None:
    """/runs answers to the cookie of the console, and to nobody without it."""
    assert (await (await people(SEER)).get("/runs")).status == 200
    assert (await (await people(None)).get("/runs")).status == 401


async def test_every_page_forbids_what_is_not_from_here(people: People) -> None:
    """No inline script or style, no frame, nothing from elsewhere; not even for a page that does not exist."""
    person = await people(ACTOR)
    pages = ["/console", "/console/dead", "/console/workers", "/console/runs/none", "/console/nothing/at/all"]
    found = [await person.get(page) for page in [*pages, "/console/static/console.js", "/console/static/..%2fkit.py"]]

    assert [page.status for page in found] == [200, 200, 200, 404, 404, 200, 404]
    for page in found:
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} <= set(policy.split("; "))
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "<script>" not in page.text


def test_a_seal_is_good_for_one_purpose_and_its_time() -> None:
    """What was signed for something else, with another key, or too long ago, is nothing."""
    now = [1000.0]
    seal = Seal(SECRET, lambda: now[0])
    text = seal.seal("session", timedelta(seconds=60), {"sub": ACTOR})

    assert (seal.opened("session", text) or {})["sub"] == ACTOR
    assert seal.opened("link", text) is None
    assert Seal(SECRET[::-1]).opened("session", text) is None
    now[0] += 61
    assert seal.opened("session", text) is None
    assert seal.opened("session", "é.e30.") is None


def test_a_short_secret_is_refused() -> None:
    """What somebody could guess signs nothing."""
    with pytest.raises(Invalid, match="shorter than 32 bytes"):
        Seal("secret")
