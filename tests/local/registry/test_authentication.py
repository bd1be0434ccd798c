"""With credentials, every request needs a token, and a token does what its scope says."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.local.registry.client import Client, Reply, digest_of
from workers.local.registry import Faults, Registry, build_image
from workers.local.registry.errors import RegistryError
from workers.local.registry.tokens import TokenAuthority

IMAGE = build_image([{"etc/name": b"shop"}])
USERS = {"ci": "canary-ci", "reader": "canary-reader", "nobody": "canary-nobody"}
PERMISSIONS = {"reader": ["pull"], "nobody": []}


def _login(user: str, password: str | None = None) -> dict[str, str]:
    login = f"{user}:{USERS[user] if password is None else password}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Client]:
    """Yield a client of a guarded registry."""
    async with (
        Registry(tmp_path, credentials=USERS, permissions=PERMISSIONS) as registry,
        ClientSession(f"http://{registry.host}") as session,
    ):
        yield Client(session, "team/shop")


async def token(guarded: Client, user: str, *scopes: str) -> dict[str, str]:
    """Get a token and return the header that carries it."""
    reply = await guarded.ask("GET", "/token", params=[("scope", scope) for scope in scopes], headers=_login(user))
    assert reply.status == 200
    return {"Authorization": f"Bearer {json.loads(reply.body)['token']}"}


async def _open(guarded: Client, headers: dict[str, str]) -> Reply:
    return await guarded.ask("POST", f"{guarded.base}/blobs/uploads/", headers=headers)


async def test_sends_a_client_without_a_token_to_get_one(guarded: Client) -> None:
    """The challenge names realm, service and the scope that is needed."""
    reply = await guarded.ask("GET", f"{guarded.base}/manifests/1.0")

    challenge = reply.headers["WWW-Authenticate"]
    assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
    assert challenge.startswith('Bearer realm="http://127.0.0.1:')
    assert 'scope="repository:team/shop:pull"' in challenge
    assert (await guarded.ask("GET", "/v2/")).status == 401


async def test_lets_a_client_do_what_its_token_is_for(guarded: Client) -> None:
    """A token for pull and push opens an upload in its repository."""
    headers = await token(guarded, "ci", "repository:team/shop:pull,push")

    assert (await _open(guarded, headers)).status == 202


@pytest.mark.parametrize(
    ("user", "scope"),
    [
        ("ci", "repository:team/shop:pull"),
        ("ci", "repository:team/other:pull,push"),
        ("ci", "repository:team/shop/below:pull,push"),
        ("reader", "repository:team/shop:pull,push"),
        ("nobody", "repository:team/shop:pull,push"),
    ],
)
async def test_refuses_what_a_token_is_not_for(guarded: Client, user: str, scope: str) -> None:
    """Another action, another repository, or a user who may not: the scope is insufficient."""
    reply = await _open(guarded, await token(guarded, user, scope))

    assert reply.status == 401
    assert 'error="insufficient_scope"' in reply.headers["WWW-Authenticate"]


async def test_lets_a_reader_pull_but_not_delete(guarded: Client) -> None:
    """A user who may only pull gets no more than that, whatever he asks for."""
    writer = await token(guarded, "ci", "repository:team/shop:*")
    for body in IMAGE.blobs.values():
        upload = (await _open(guarded, writer)).location
        await guarded.ask("PUT", f"{upload}?digest={digest_of(body)}", data=body, headers=writer)
    headers = writer | {"Content-Type": IMAGE.media_type}
    await guarded.ask("PUT", f"{guarded.base}/manifests/1.0", data=IMAGE.manifest, headers=headers)

    reader = await token(guarded, "reader", "repository:team/shop:*")

    assert (await guarded.ask("GET", f"{guarded.base}/manifests/1.0", headers=reader)).body == IMAGE.manifest
    assert (await guarded.ask("DELETE", f"{guarded.base}/manifests/1.0", headers=reader)).status == 401


async def test_mounts_nothing_that_the_client_may_not_read(guarded: Client) -> None:
    """A mount from a repository outside the token's scope becomes an upload, as if there were nothing to mount."""
    secret = await token(guarded, "ci", "repository:secret/box:pull,push")
    upload = (await guarded.ask("POST", "/v2/secret/box/blobs/uploads/", headers=secret)).location
    await guarded.ask("PUT", f"{upload}?digest={digest_of(b'x')}", data=b"x", headers=secret)
    mount = f"{guarded.base}/blobs/uploads/?mount={digest_of(b'x')}&from=secret/box"

    own = await token(guarded, "ci", "repository:team/shop:pull,push")
    both = await token(guarded, "ci", "repository:team/shop:pull,push", "repository:secret/box:pull")

    assert (await guarded.ask("POST", mount, headers=own)).status == 202
    assert (await guarded.ask("POST", mount, headers=both)).status == 201


@pytest.mark.parametrize("login", [{}, _login("ci", "guessed"), _login("stranger", ""), _login("", "")])
async def test_gives_no_token_without_the_password(guarded: Client, login: dict[str, str]) -> None:
    """The token endpoint wants a user with the right password."""
    reply = await guarded.ask("GET", "/token?scope=repository:team/shop:pull", headers=login)

    assert (reply.status, reply.code) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("scope", ["team/shop", "repository:x", "registry:catalog:*", "::"])
async def test_gives_no_token_for_a_scope_that_it_cannot_read(guarded: Client, scope: str) -> None:
    """A scope is a repository and actions."""
    reply = await guarded.ask("GET", "/token", params={"scope": scope}, headers=_login("ci"))

    assert reply.status == 400


@pytest.mark.parametrize("forged", ["Bearer ", "Bearer x.y", "Bearer é.é", "Basic Y2k6Y2FuYXJ5LWNp", "Bearer", "...."])
async def test_accepts_no_token_that_it_did_not_issue(guarded: Client, forged: str) -> None:
    """Garbage, a password and an empty token are challenged again."""
    assert (await guarded.ask("GET", "/v2/", headers={"Authorization": forged})).status == 401


def _issue(authority: TokenAuthority) -> str:
    fields: dict[str, Any] = authority.issue(_login("ci")["Authorization"], ["repository:a:pull"])
    return f"Bearer {fields['token']}"


def test_accepts_a_token_until_it_expires() -> None:
    """A token is good for its lifetime, and not a second longer."""
    now = 1000.0
    authority = TokenAuthority(USERS, lifetime=60, clock=lambda: now)
    header = _issue(authority)

    assert authority.read(header) == {"a": frozenset({"pull"})}
    now += 60
    assert authority.read(header) is None


def test_accepts_no_token_that_was_changed_or_comes_from_elsewhere() -> None:
    """Neither more rights nor another authority's signature pass."""
    authority = TokenAuthority(USERS)
    payload, _, mac = _issue(authority).removeprefix("Bearer ").partition(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"grants": {"a": ["pull", "push"]}}
    raised = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    assert authority.read(f"Bearer {raised}.{mac}") is None
    assert TokenAuthority(USERS).read(_issue(authority)) is None


def test_refuses_an_authorization_that_is_not_base64() -> None:
    """What cannot be decoded is no password."""
    with pytest.raises(RegistryError, match="user name and password"):
        TokenAuthority(USERS).issue("Basic ***", [])


async def test_plays_the_faults_that_a_test_asks_for(tmp_path: Path) -> None:
    """Failures come once each and are counted; realm, redirects and digest are as told."""
    faults = Faults(token_realm="http://elsewhere.example/token")
    faults.fail("manifest", 429, retry_after="7")
    faults.fail("manifest", 503, times=2)
    async with (
        Registry(tmp_path, credentials=USERS, faults=faults) as registry,
        ClientSession(f"http://{registry.host}") as session,
    ):
        client = Client(session, "a")
        replies = [await client.ask("HEAD", "/v2/a/manifests/1") for _ in range(4)]

    assert [reply.status for reply in replies] == [429, 503, 503, 401]
    assert replies[0].headers["Retry-After"] == "7"
    assert 'realm="http://elsewhere.example/token"' in replies[3].headers["WWW-Authenticate"]
    assert faults.calls["HEAD manifest"] == 4


async def test_redirects_and_forges_when_told_to(tmp_path: Path) -> None:
    """A redirect keeps the path, and the digest header is what the test says or absent."""
    async with Registry(tmp_path) as registry, ClientSession(f"http://{registry.host}") as session:
        client = Client(session, "a")
        await client.put_image(IMAGE, "1")
        registry.faults.digest_header = ""
        bare = await client.ask("HEAD", "/v2/a/manifests/1")
        registry.faults.redirect_manifests = registry.faults.redirect_blobs = "http://elsewhere.example"
        moved = await client.ask("HEAD", "/v2/a/manifests/1")
        blob = await client.ask("GET", f"/v2/a/blobs/{digest_of(b'')}")

    assert "Docker-Content-Digest" not in bare.headers
    assert (moved.status, moved.headers["Location"]) == (307, "http://elsewhere.example/v2/a/manifests/1")
    assert (blob.status, blob.headers["Location"].partition("/v2")[0]) == (307, "http://elsewhere.example")
