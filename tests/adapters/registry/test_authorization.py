"""Credentials go where they are listed to go, tokens are asked for once and kept, and neither is ever shown."""

import asyncio
import base64
import logging
import traceback
from pathlib import Path

import pytest
from aiohttp import web

from tests.adapters.registry.conftest import (
    CANARY,
    IMAGE,
    USER,
    Handler,
    Listed,
    Odd,
    Opener,
    answering,
    put_image,
    token_server,
)
from workers.adapters.registry import OciImages
from workers.failures import Denied, QuotaExhausted, SealaneError, Unavailable
from workers.local.registry import Faults, Registry
from workers.registries import SETTING, RegistryAccess

LOGIN = f"Basic {base64.b64encode(f'{USER}:{CANARY}'.encode()).decode()}"


async def test_keeps_a_token_for_the_next_question(
    registry: Registry, faults: Faults, images: Opener, listed: Listed
) -> None:
    """Ten questions about one repository need one token."""
    adapter = await images(listed(registry.host))
    for _ in range(10):
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert faults.calls["GET token"] == 1
    assert faults.calls["GET manifest"] == 11


async def test_shares_one_token_among_questions_at_the_same_time(
    registry: Registry, faults: Faults, images: Opener, listed: Listed
) -> None:
    """Fifty questions at once about one repository ask for one token."""
    adapter = await images(listed(registry.host))

    await asyncio.gather(*(adapter.resolve(f"{registry.host}/apps/shop:1.0") for _ in range(50)))

    assert faults.calls["GET token"] == 1


async def test_asks_for_a_token_of_each_repository(
    registry: Registry, faults: Faults, images: Opener, listed: Listed, tmp_path: Path
) -> None:
    """A token is for one repository: another one needs its own."""
    put_image(tmp_path / "data", IMAGE, "apps/desk")
    adapter = await images(listed(registry.host))
    for path in ("apps/shop", "apps/desk", "apps/shop"):
        await adapter.resolve(f"{registry.host}/{path}:1.0")

    assert faults.calls["GET token"] == 2


async def test_gets_a_fresh_token_when_the_kept_one_is_refused(
    registry: Registry, images: Opener, listed: Listed, tmp_path: Path
) -> None:
    """A registry that restarted knows no old token: the question is asked again with a new one."""
    adapter = await images(listed(registry.host))
    await adapter.resolve(f"{registry.host}/apps/shop:1.0")
    port = registry.port
    await registry.stop()
    restarted = Registry(tmp_path / "data", credentials={USER: CANARY})
    await restarted.start(port)
    try:
        found = await adapter.resolve(f"{restarted.host}/apps/shop:1.0")
    finally:
        await restarted.stop()

    assert found.digest == IMAGE.digest
    assert restarted.faults.calls["GET token"] == 1


async def test_uses_no_token_near_its_end(images: Opener, listed: Listed, odd: Odd) -> None:
    """A token that lives no second is asked for each time, rather than tried and refused."""
    odd.answer = token_server(odd, expires_in=0.0001)
    adapter = await images(listed(odd.host))
    for _ in range(3):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    assert len([request for request in odd.asked if request.path == "/token"]) == 3


async def test_asks_for_the_permission_to_pull_and_no_more(images: Opener, listed: Listed, odd: Odd) -> None:
    """Whatever scope a challenge names, the token is for pulling this repository."""
    odd.answer = token_server(odd, scope="repository:other/secret:pull,push,delete")
    adapter = await images(listed(odd.host))

    await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    asked = next(request for request in odd.asked if request.path == "/token")
    assert asked.query.getall("scope") == ["repository:apps/shop:pull"]
    assert asked.query["service"] == "odd"


async def test_sends_user_and_password_where_basic_is_asked_for(images: Opener, listed: Listed, odd: Odd) -> None:
    """A Basic challenge is answered with the password, which then is not asked for again."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Authorization") != LOGIN:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return await good(request)

    good = answering(body=IMAGE.manifest, Content_Type=IMAGE.media_type, Docker_Content_Digest=IMAGE.digest)
    odd.answer = answer
    adapter = await images(listed(odd.host))
    for _ in range(2):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    assert odd.authorizations == [None, LOGIN, LOGIN]


async def test_uses_the_google_access_token_of_this_process(images: Opener, odd: Odd) -> None:
    """Artifact Registry gets the user oauth2accesstoken and the access token."""

    async def google_token() -> str:
        return "ya29.canary"

    odd.answer = token_server(odd)
    adapter = await images(RegistryAccess(host=odd.host, insecure=True, google=True), google_token=google_token)

    await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    expected = base64.b64encode(b"oauth2accesstoken:ya29.canary").decode()
    assert f"Basic {expected}" in odd.authorizations


async def test_asks_without_credentials_where_none_are_listed(images: Opener, odd: Odd) -> None:
    """A registry may give a token to anybody; then no password is sent anywhere."""
    odd.answer = token_server(odd)
    adapter = await images(RegistryAccess(host=odd.host, insecure=True))

    found = await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    assert found.digest == IMAGE.digest
    assert odd.authorizations == [None, None, "Bearer t0ken"]


async def test_is_denied_when_a_fresh_token_does_not_do(registry: Registry, images: Opener, listed: Listed) -> None:
    """A user without the permission is denied; host, setting and permission are named."""
    adapter = await images(listed(registry.host, username="nobody"))

    with pytest.raises(Denied) as caught:
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert registry.host in str(caught.value)
    assert SETTING in str(caught.value)
    assert "permission to pull" in str(caught.value)


async def test_is_denied_where_a_password_is_wanted_and_none_is_listed(registry: Registry, images: Opener) -> None:
    """Without credentials in the list, a guarded registry gives no token."""
    adapter = await images(RegistryAccess(host=registry.host, insecure=True))

    with pytest.raises(Denied, match="check the credentials"):
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")


async def test_says_what_is_missing_for_basic_and_for_google(odd: Odd, images: Opener) -> None:
    """A Basic challenge without a password, and a Google entry without an identity, are denied with what to do."""
    odd.answer = answering(401, WWW_Authenticate='Basic realm="x"')
    without = await images(RegistryAccess(host=odd.host, insecure=True))
    google = await images(RegistryAccess(host=odd.host, insecure=True, google=True))

    with pytest.raises(Denied, match="wants a user name and a password"):
        await without.resolve(f"{odd.host}/apps/shop:1.0")
    with pytest.raises(Denied, match="no Google identity"):
        await google.resolve(f"{odd.host}/apps/shop:1.0")


@pytest.mark.parametrize(("status", "failure"), [(429, QuotaExhausted), (503, Unavailable), (403, Denied)])
async def test_passes_on_how_the_token_endpoint_fails(
    registry: Registry, faults: Faults, images: Opener, listed: Listed, status: int, failure: type[SealaneError]
) -> None:
    """A token endpoint fails as any other request does."""
    faults.fail("token", status)
    adapter = await images(listed(registry.host))

    with pytest.raises(failure):
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")


async def test_shows_the_credentials_nowhere(
    registry: Registry, images: Opener, listed: Listed, caplog: pytest.LogCaptureFixture, odd: Odd
) -> None:
    """Through success and every failure, password and tokens are in no log, no error, no traceback and no URL."""
    caplog.set_level(logging.DEBUG)
    told = [CANARY, LOGIN.split()[1]]
    adapter = await images(listed(registry.host), listed(odd.host))
    await adapter.resolve(f"{registry.host}/apps/shop:1.0")
    registry.faults.fail("manifest", 500)
    told += await _told(adapter, f"{registry.host}/apps/desk:1.0")
    registry.faults.fail("manifest", 403)
    told += await _told(adapter, f"{registry.host}/apps/desk:1.0")
    odd.answer = answering(401, WWW_Authenticate='Basic realm="x"')
    for elsewhere in (odd.host, "elsewhere.example"):
        registry.faults.redirect_manifests = f"http://{elsewhere}"
        told += await _told(adapter, f"{registry.host}/apps/desk:1.0")
    registry.faults.redirect_manifests = None
    registry.faults.token_realm = f"http://{odd.host}/token"
    odd.answer = answering(400, b"HTTP")
    told += await _told(adapter, f"{registry.host}/apps/pen:1.0")
    odd.answer = _echoing(odd)
    told += await _told(adapter, f"{odd.host}/apps/shop:1.0")
    urls = [str(request.url) for request in odd.asked]

    shown = [*told[2:], *urls, caplog.text]
    assert len(shown) >= 7
    assert not [text for text in shown for secret in (*told[:2], "t0ken") if secret in text]


async def _told(adapter: OciImages, reference: str) -> list[str]:
    """Return all that a failure shows of itself."""
    with pytest.raises(SealaneError) as caught:
        await adapter.resolve(reference)
    return [str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))]


def _echoing(odd: Odd) -> Handler:
    """Return a handler that gives a token and then answers with what it was sent."""
    tokens = token_server(odd)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        sent = request.headers.get("Authorization", "")
        if request.path == "/token" or not sent:
            return await tokens(request)
        return web.Response(body=sent.encode(), headers={"Content-Type": sent.replace(" ", "/")})

    return answer
