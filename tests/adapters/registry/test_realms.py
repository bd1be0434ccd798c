"""Tokens come from listed hosts alone, and credentials go nowhere else."""

import base64

import pytest

from tests.adapters.registry.conftest import CANARY, USER, Listed, Odd, Opener, answering, token_server
from workers.failures import Denied, Unavailable
from workers.local.registry import Faults, Registry
from workers.registries import SETTING

LOGIN = f"Basic {base64.b64encode(f'{USER}:{CANARY}'.encode()).decode()}"


async def test_takes_no_token_from_a_realm_that_is_not_listed(
    registry: Registry, faults: Faults, images: Opener, listed: Listed, odd: Odd
) -> None:
    """A token realm elsewhere is denied with both hosts and the setting, and never asked."""
    faults.token_realm = f"http://{odd.host}/token?next=secret"
    adapter = await images(listed(registry.host))

    with pytest.raises(Denied) as caught:
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert f"token realm {odd.host} of {registry.host} is not on a listed host" in str(caught.value)
    assert "token_hosts" in str(caught.value)
    assert SETTING in str(caught.value)
    assert odd.asked == []


async def test_takes_a_token_from_a_realm_that_is_listed(
    registry: Registry, faults: Faults, images: Opener, listed: Listed, odd: Odd
) -> None:
    """A listed token host gets the credentials and its token is used."""
    faults.token_realm = f"http://{odd.host}/token"
    odd.answer = answering(body=b'{"access_token": "t0ken"}')
    adapter = await images(listed(registry.host, token_hosts=[odd.host]))

    with pytest.raises(Denied, match="permission to pull"):
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert odd.authorizations == [LOGIN]


async def test_sends_no_password_to_a_realm_in_plain_text(odd: Odd, images: Opener, listed: Listed) -> None:
    """A listed registry may not lower a listed realm elsewhere to plain HTTP."""
    odd.answer = answering(401, WWW_Authenticate='Bearer realm="http://auth.example/token"')
    adapter = await images(listed(odd.host, token_hosts=["auth.example"]))

    with pytest.raises(Denied, match="plain HTTP"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")


@pytest.mark.parametrize("realm", ["", "token", "ftp://HOST/token", "http://user:pw@HOST/token", "http://[bad/"])
async def test_refuses_a_realm_that_is_no_address(odd: Odd, images: Opener, listed: Listed, realm: str) -> None:
    """What is not a plain URL is no realm."""
    odd.answer = answering(401, WWW_Authenticate=f'Bearer realm="{realm.replace("HOST", odd.host)}"')
    adapter = await images(listed(odd.host))

    with pytest.raises(Unavailable, match="names no realm"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")


async def test_follows_no_redirect_of_a_realm(
    registry: Registry, faults: Faults, images: Opener, listed: Listed, odd: Odd
) -> None:
    """A token endpoint that redirects is refused: credentials never follow."""
    faults.token_realm = f"http://{odd.host}/token"
    odd.answer = answering(307, Location=f"http://{registry.host}/token")
    adapter = await images(listed(registry.host, token_hosts=[odd.host]))

    with pytest.raises(Unavailable, match="never follow a redirect"):
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert faults.calls["GET token"] == 0


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\nb"}', b'{"token":"t","expires_in":[1]}']
)
async def test_refuses_a_token_that_is_none(odd: Odd, images: Opener, listed: Listed, body: bytes) -> None:
    """Garbage from a token endpoint is said to be that."""
    odd.answer = token_server(odd, body=body)
    adapter = await images(listed(odd.host))

    with pytest.raises(Unavailable, match="something that is none"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")
