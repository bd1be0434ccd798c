"""What goes wrong at GitHub becomes our failures, with GitHub's own times, and never shows a secret."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from tests.adapters.github.conftest import MAIN, Setting
from tests.contracts.github.conftest import github_settings
from workers.adapters.github import AppCredentials, AppDeliveries, GithubClient, GithubRepositories
from workers.adapters.github.client import Credential
from workers.failures import Denied, Invalid, NotFound, QuotaExhausted, SealaneError, Unavailable
from workers.github_rules import GithubSettings
from workers.local.github import Github
from workers.local.loopback import Loopback
from workers.ports.github import Repository


@pytest.mark.parametrize("status", [403, 429])
async def test_a_secondary_limit_says_when_to_come_back(setting: Setting, status: int) -> None:
    """Retry-After counts; without one it is a minute, as GitHub asks."""
    await setting.github.head(setting.repository, MAIN)
    setting.local.faults.limit("ref", status=status, retry_after="17")
    with pytest.raises(QuotaExhausted) as named:
        await setting.github.head(setting.repository, MAIN)
    setting.local.faults.limit("ref", status=status, retry_after=None)
    with pytest.raises(QuotaExhausted) as unnamed:
        await setting.github.head(setting.repository, MAIN)

    assert named.value.after == timedelta(seconds=17)
    assert unnamed.value.after == timedelta(minutes=1)


async def test_a_primary_limit_lasts_until_it_is_renewed(tmp_path: Path) -> None:
    """`x-ratelimit-reset` says when, up to an hour from now."""
    async with Github(tmp_path / "github", hourly=1) as local:
        settings = github_settings(local)
        client = GithubClient(settings.api)
        github = GithubRepositories(client, AppCredentials(settings, client))
        with pytest.raises(QuotaExhausted, match="rate limit exceeded") as refused:
            await github.head(Repository(local.names.repository_id, local.names.installation_id), MAIN)
        await client.close()

    assert timedelta(seconds=1) <= refused.value.after <= timedelta(hours=1)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_fault_of_github_is_temporary(setting: Setting, status: int) -> None:
    """It is tried again by the bus, not here."""
    setting.local.faults.fail("ref", status)

    with pytest.raises(Unavailable, match=f"with {status}"):
        await setting.github.head(setting.repository, MAIN)


async def test_a_github_that_is_slow_or_away_is_unavailable(setting: Setting) -> None:
    """The sentence says what was asked, and shows no credential."""
    hasty = GithubClient(setting.local.url, timeout=0.2)
    github = GithubRepositories(hasty, setting.credentials)
    await setting.credentials.installation(setting.repository)
    setting.local.faults.stall("repository", 2)
    with pytest.raises(Unavailable, match=r"did not answer GET /repositories/\d+ in 0.2 s"):
        await github.head(setting.repository, MAIN)
    await hasty.close()
    await setting.local.stop()
    with pytest.raises(Unavailable, match="cannot be asked") as refused:
        await setting.github.head(setting.repository, MAIN)

    shown = await _secrets(setting)
    assert not any(secret in str(refused.value) or secret in repr(refused.value.__cause__) for secret in shown)


async def test_a_permission_that_is_missing_is_denied(setting: Setting) -> None:
    """403 without a limit is not waited for."""
    setting.local.faults.fail("tree", 403, times=2)
    head = await setting.github.head(setting.repository, MAIN)
    assert head is not None

    with pytest.raises(Denied):
        await setting.github.files(setting.repository, head, frozenset({"onboarding"}))


async def test_without_an_app_the_sentence_says_what_to_set(setting: Setting) -> None:
    """Nothing is asked, and redelivery knows that there is nothing to do."""
    client = GithubClient(setting.local.url)
    credentials = AppCredentials(GithubSettings(api=setting.local.url), client)

    with pytest.raises(Invalid, match="SEALANE_GITHUB"):
        await GithubRepositories(client, credentials).head(setting.repository, MAIN)
    assert not AppDeliveries(client, credentials).configured


async def test_a_key_that_is_none_is_named_by_its_reference(setting: Setting) -> None:
    """Never by its content."""
    settings = GithubSettings(api=setting.local.url, app_id="7", private_key="env://KEY")

    async def read(_: str) -> str:
        return "no key at all"

    with pytest.raises(Invalid, match="env://KEY holds no RSA private key") as refused:
        await AppCredentials(settings, setting.client, secrets=read).app()
    assert "no key at all" not in str(refused.value)


async def test_an_app_that_github_does_not_know_is_not_found(setting: Setting) -> None:
    """Another App's id with our key."""
    settings = GithubSettings(
        api=setting.local.url, app_id="7", private_key=f"file://{setting.local.names.private_key}"
    )
    credentials = AppCredentials(settings, setting.client)

    with pytest.raises((NotFound, Denied)):
        await credentials.installation(setting.repository)


@asynccontextmanager
async def answering(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[GithubClient]:
    """Give a client of an API that answers every GET so."""
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    server = Loopback("the API")
    await server.start(application)
    client = GithubClient(server.url)
    try:
        yield client
    finally:
        await client.close()
        await server.stop()


async def test_a_next_page_elsewhere_is_not_asked() -> None:
    """Our JWT goes to the API alone, whatever a Link header says."""

    async def answer(_: web.Request) -> web.Response:
        link = '<http://127.0.0.1:1/elsewhere>; rel="next"'
        return web.json_response([], headers={"Link": link})

    async with answering(answer) as client:
        page = (await client.get("/app/hook/deliveries", Credential("app", jwt="x"))).next_page
        with pytest.raises(Unavailable, match="somewhere else"):
            await client.get(page or "", Credential("app", jwt="x"))


@pytest.mark.parametrize("form", [[], {}, {"object": None}, {"status": "sideways", "files": []}, {"tree": 7}, "text"])
async def test_an_answer_in_another_form_is_unavailable(setting: Setting, form: object) -> None:
    """Never taken for an empty one: that would mean that everybody is gone."""
    credential = await setting.credentials.installation(setting.repository)

    async def answer(request: web.Request) -> web.Response:
        known = {"full_name": "acme/onboarding"} if request.path.startswith("/repositories/") else form
        return web.json_response(known)

    async with answering(answer) as client:
        github = GithubRepositories(client, setting.credentials)
        assert credential is await setting.credentials.installation(setting.repository)
        with pytest.raises(Unavailable, match="form"):
            await github.head(setting.repository, MAIN)
        with pytest.raises(Unavailable, match="form"):
            await github.compare(setting.repository, "1" * 40, "2" * 40)
        with pytest.raises(Unavailable, match="form"):
            await github.files(setting.repository, "1" * 40, frozenset({"onboarding"}))


@pytest.mark.parametrize("form", [None, 7, {"message": "x"}, ["text"], [{"id": None}], [{"id": "x", "guid": "y"}]])
async def test_a_list_in_another_form_is_unavailable(setting: Setting, form: object) -> None:
    """Of installations as of deliveries: nobody guesses who may read what, or what has failed."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(form)

    async with answering(answer) as client:
        credentials = AppCredentials(github_settings(setting.local), client)
        with pytest.raises(Unavailable, match="GitHub lists something that is no installation"):
            await credentials.installation(Repository(setting.repository.id, None))
        with pytest.raises(Unavailable, match="GitHub lists something that is no delivery"):
            [found async for found in AppDeliveries(client, credentials).attempts()]


async def test_what_is_no_json_is_unavailable() -> None:
    """A proxy's page, for instance."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="{oops", content_type="application/json")

    async with answering(answer) as client:
        with pytest.raises(SealaneError, match="no JSON"):
            await client.get("/x", Credential("app", jwt="x"))


async def _secrets(setting: Setting) -> list[str]:
    credential = await setting.credentials.installation(setting.repository)
    app = await setting.credentials.app()
    assert isinstance(setting.repository, Repository)
    return [secret for secret in (credential.token, app.jwt) if secret is not None]
