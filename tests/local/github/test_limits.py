"""How much may be asked, what is refused before anything is looked at, and what a test may let go wrong."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import ClientSession
from yarl import URL

from tests.local.github.client import REPOSITORY, Api
from workers.local.github import Github


async def test_says_how_much_is_left(api: Api) -> None:
    """Each answer counts, but for what did not change."""
    token = await api.token()
    first = await api.ask("GET", REPOSITORY, token)
    known = {"If-None-Match": first.headers["ETag"]}
    unchanged = await api.ask("GET", REPOSITORY, token, headers=known)
    second = await api.ask("GET", f"{REPOSITORY}/nothing", token)

    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("5000", "4999")
    assert (unchanged.status, unchanged.body, unchanged.headers["X-RateLimit-Remaining"]) == (304, b"", "4999")
    assert (second.status, second.headers["X-RateLimit-Remaining"]) == (404, "4998")


async def test_refuses_more_than_an_hour_allows(tmp_path: Path) -> None:
    """Until the hour that it names is over; another caller is not held up."""
    now = time.time()
    async with Github(tmp_path, hourly=3, clock=lambda: now) as github, ClientSession() as session:
        api = Api(github, session)
        token = await api.token()
        replies = [await api.ask("GET", REPOSITORY, token) for _ in range(4)]
        refused = replies[-1]
        assert [reply.status for reply in replies] == [200, 200, 200, 403]
        assert refused.message.startswith("API rate limit exceeded for installation ID")
        assert (refused.headers["X-RateLimit-Remaining"], "Retry-After" in refused.headers) == ("0", False)
        assert (await api.ask("GET", REPOSITORY, api.person)).status == 200
        now = int(refused.headers["X-RateLimit-Reset"])
        assert (await api.ask("GET", REPOSITORY, api.person)).status == 200


async def test_strangers_may_ask_sixty_times(api: Api) -> None:
    """Whatever is answered."""
    replies = [await api.ask("GET", REPOSITORY) for _ in range(61)]

    assert [reply.status for reply in replies[-2:]] == [404, 403]


async def test_a_secondary_limit_is_played_when_planned(api: Api) -> None:
    """With and without the header that says when to come back; the next request is served."""
    token = await api.token()
    api.github.faults.limit("compare", retry_after="7")
    api.github.faults.limit("compare", status=429, retry_after=None)
    replies = [await api.ask("GET", f"{REPOSITORY}/compare/main...main", token) for _ in range(3)]

    assert [reply.status for reply in replies] == [403, 429, 200]
    assert ["secondary rate limit" in reply.message for reply in replies[:2]] == [True, True]
    assert (replies[0].headers["Retry-After"], "Retry-After" in replies[1].headers) == ("7", False)


async def test_failures_and_waits_are_played_when_planned(api: Api) -> None:
    """Each kind of request fails on its own; a stalled one ends in 504; all of them are counted."""
    faults = api.github.faults
    faults.fail("token", 502)
    faults.stall("tree", 0.05)
    statuses = [(await api.issue()).status for _ in range(2)]
    token = await api.token()
    began = asyncio.get_running_loop().time()
    stalled = await api.ask("GET", f"{REPOSITORY}/git/trees/main", token)

    assert (statuses, stalled.status) == ([502, 201], 504)
    assert asyncio.get_running_loop().time() - began >= 0.05
    assert (faults.calls["POST token"], faults.calls["GET tree"]) == (3, 1)


async def test_asks_for_a_user_agent_and_a_known_version(api: Api) -> None:
    """As GitHub does, before anything else."""
    nobody = await api.ask("GET", REPOSITORY, api.person, headers={"User-Agent": ""})
    later = await api.ask("GET", REPOSITORY, api.person, headers={"X-GitHub-Api-Version": "1999-01-01"})
    now = await api.ask("GET", REPOSITORY, api.person, headers={"X-GitHub-Api-Version": "2022-11-28"})

    assert (nobody.status, b"User-Agent header" in nobody.body) == (403, True)
    assert later.status == 400
    assert (now.status, now.headers["X-GitHub-Api-Version-Selected"]) == (200, "2022-11-28")


@pytest.mark.parametrize(
    "name", ["%00", "%FF", "..", "%2e%2e%2f", "a" * 5000, "refs/heads/%00", "~1", "HEAD^{}", "%0A", "☃"]
)
async def test_strange_names_break_nothing(api: Api, name: str) -> None:
    """Whatever stands in an address is refused as something that is not there."""
    places = ("git/ref/", "git/trees/", "git/blobs/", "branches/", "commits/", "compare/main...", "contents/")
    paths = [f"{REPOSITORY}/{place}{name}" for place in places] + [f"/repos/acme/{name}", f"/repositories/{name}"]
    for path in paths:
        reply = await api.ask("GET", URL(f"{api.github.url}{path}", encoded=name.isascii()), api.person)
        assert reply.status in {200, 400, 404, 422}, (path, reply)


async def test_broken_bodies_are_refused(api: Api) -> None:
    """Neither broken JSON, nor something else than an object, nor one that is too deep."""
    path = f"/app/installations/{api.github.names.installation_id}/access_tokens"
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
        assert (await api.ask("POST", path, api.assertion(), data=body)).status == 400
    assert (await api.ask("POST", path, api.assertion(), data=b"")).status == 201


async def test_all_of_it_is_there_after_a_restart(tmp_path: Path) -> None:
    """Repositories, tokens, keys and the secrets stay; secrets are readable by their owner alone."""
    async with Github(tmp_path / "github") as github, ClientSession() as session:
        api = Api(github, session)
        token, sha = await api.token(), (await api.write("a", "1")).json["commit"]["sha"]
        await api.ask("POST", "/orgs/acme/repos", api.person, json={"name": "other"})
        secrets = {file: file.read_bytes() for file in (github.names.private_key, github.names.webhook_secret)}
    async with Github(tmp_path / "github") as github, ClientSession() as session:
        api = Api(github, session)
        head = await api.ask("GET", f"{REPOSITORY}/git/ref/heads/main", token)
        assert head.json["object"]["sha"] == sha
        assert (await api.ask("GET", "/repos/acme/other", api.person)).status == 200
        assert (await api.ask("POST", "/orgs/acme/repos", api.person, json={"name": "Other"})).status == 422
        assert {file: file.read_bytes() for file in secrets} == secrets
    private = [file for file in (tmp_path / "github").iterdir() if file.is_file() and file.stat().st_mode & 0o077]
    assert private == []
