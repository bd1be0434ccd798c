"""The App says who it is with a JWT of its own, and gets tokens for what it was granted, no more."""

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local.github.client import REPOSITORY, Api, WorkTree
from workers.local.github import Github

NOW = int(time.time())


async def test_an_app_shows_itself_by_its_jwt(api: Api) -> None:
    """Its id and its client id are both good as the issuer."""
    for issuer in (str(api.github.names.app_id), api.github.names.client_id):
        reply = await api.ask("GET", "/app", api.assertion(iss=issuer))
        assert (reply.status, reply.json["id"]) == (200, api.github.names.app_id)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"exp": NOW - 1}, 401, "('exp') must be a numeric value representing the future time"),
        ({"exp": None}, 401, "('exp') must be a numeric value"),
        ({"exp": NOW + 3600}, 401, "('exp') is too far in the future"),
        ({"iat": NOW + 3600}, 401, "('iat') must be an Integer"),
        ({"iat": None}, 401, "('iat') must be an Integer"),
        ({"iss": None}, 401, "Missing 'issuer' claim"),
        ({"iss": "99"}, 404, "Integration not found"),
    ],
)
async def test_refuses_a_jwt_whose_claims_are_not_good(
    api: Api, changes: dict[str, Any], status: int, message: str
) -> None:
    """Times and issuer are held against it, each with its own sentence."""
    reply = await api.ask("GET", "/app", api.assertion(**changes))

    assert reply.status == status
    assert message in reply.message


async def test_refuses_a_jwt_of_another_key_or_algorithm(api: Api) -> None:
    """Neither a stranger's RSA key, nor no signature, nor the public key as a shared secret gets in."""
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = {"iat": NOW - 60, "exp": NOW + 540, "iss": str(api.github.names.app_id)}
    forged = [
        jwt.encode(claims, stranger, algorithm="RS256"),
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "a shared secret of many, many, many bytes", algorithm="HS256"),
        "a.b.c",
    ]
    for token in forged:
        reply = await api.ask("GET", "/app", token)
        assert (reply.status, reply.message) == (401, "A JSON web token could not be decoded")


async def test_refuses_whoever_is_no_app_where_an_app_is_needed(api: Api) -> None:
    """A token of an installation, a personal one and none at all are no JWT."""
    for token in (await api.token(), api.person, None):
        reply = await api.ask("GET", "/app/hook/deliveries", token)
        assert (reply.status, reply.message) == (401, "A JSON web token could not be decoded")


async def test_issues_a_token_for_an_hour(api: Api) -> None:
    """It has the long form, names the App, and says what it grants."""
    reply = await api.issue()

    token = reply.json["token"]
    assert reply.status == 201
    assert token.startswith(f"ghs_{api.github.names.app_id}_ey")
    assert token.count(".") == 2
    assert len(token) > 400
    assert reply.json["permissions"] == {"contents": "read", "metadata": "read", "packages": "read"}
    assert reply.json["repository_selection"] == "selected"
    assert (await api.ask("GET", REPOSITORY, token)).json["id"] == api.github.names.repository_id


async def test_a_token_ends_after_an_hour(tmp_path: Path) -> None:
    """One second later it is no credential any more."""
    now = time.time()
    async with Github(tmp_path, clock=lambda: now) as github, ClientSession() as session:
        api = Api(github, session)
        token = await api.token()
        now += 3599
        assert (await api.ask("GET", REPOSITORY, token)).status == 200
        now += 1
        assert (await api.ask("GET", REPOSITORY, token)).message == "Bad credentials"


async def test_a_revoked_token_is_none(api: Api) -> None:
    """Another one of the same installation goes on."""
    token, other = await api.token(), await api.token()

    assert (await api.ask("DELETE", "/installation/token", token)).status == 204
    assert (await api.ask("GET", REPOSITORY, token)).status == 401
    assert (await api.ask("GET", REPOSITORY, other)).status == 200


async def test_a_changed_token_is_none(api: Api) -> None:
    """No part of it can be changed, and nobody else's form of it is taken."""
    token = await api.token()
    head, _, tail = token.rpartition(".")
    for forged in (f"{head}.{tail[:-4]}AAAA", "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "ghp_nobody", "nothing"):
        reply = await api.ask("GET", REPOSITORY, forged)
        assert (reply.status, reply.message) == (401, "Bad credentials")


async def test_narrows_a_token_to_what_was_asked_for(api: Api) -> None:
    """A token with metadata alone reads no content, and the answer says what would be needed."""
    token = await api.token(permissions={"metadata": "read"}, repositories=["Onboarding"])

    assert (await api.ask("GET", REPOSITORY, token)).status == 200
    refused = await api.ask("GET", f"{REPOSITORY}/git/trees/main", token)
    assert (refused.status, refused.message) == (403, "Resource not accessible by integration")
    assert refused.headers["X-Accepted-GitHub-Permissions"] == "contents=read"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"permissions": {"contents": "write"}}, "permissions requested are not granted"),
        ({"permissions": {"issues": "read"}}, "permissions requested are not granted"),
        ({"repositories": ["nowhere"]}, "at least one repository that does not exist"),
        ({"repository_ids": [1]}, "at least one repository that does not exist"),
        ({"repository_ids": ["onboarding"]}, "A list of int was expected"),
    ],
)
async def test_grants_no_more_than_the_installation_has(api: Api, body: dict[str, Any], message: str) -> None:
    """What the account did not grant cannot be asked for."""
    reply = await api.issue(**body)

    assert reply.status == 422
    assert message in reply.message


async def test_a_suspended_installation_gets_nothing(api: Api) -> None:
    """Neither new tokens, nor anything for old ones, until it works again."""
    token, installation = await api.token(), api.github.names.installation_id
    api.github.directory.suspend(installation, suspended=True)

    assert ((await api.issue()).status, (await api.ask("GET", REPOSITORY, token)).status) == (403, 403)
    api.github.directory.suspend(installation, suspended=False)
    assert (await api.ask("GET", REPOSITORY, token)).status == 200


async def test_an_unknown_installation_is_not_found(api: Api) -> None:
    """Whatever is written in its place."""
    for name in ("1", "0x1", "99999999999999999999999", "nobody"):
        reply = await api.ask("POST", f"/app/installations/{name}/access_tokens", api.assertion())
        assert reply.status == 404


async def test_sees_the_selected_repositories_alone(api: Api) -> None:
    """Another one of the same account is not there for it, until it is selected."""
    made = await api.ask("POST", "/orgs/acme/repos", api.person, json={"name": "secret", "private": True})
    number, token = made.json["id"], await api.token()
    hidden = [await api.ask("GET", path, token) for path in ("/repos/acme/secret", f"/repositories/{number}")]
    installation = api.github.names.installation_id
    selected = await api.ask("PUT", f"/user/installations/{installation}/repositories/{number}", api.person)

    assert [(reply.status, reply.message) for reply in hidden] == [(404, "Not Found")] * 2
    assert selected.status == 204
    assert (await api.ask("GET", "/repos/ACME/Secret", token)).status == 200
    listed = await api.ask("GET", "/installation/repositories", token)
    assert [one["full_name"] for one in listed.json["repositories"]] == ["acme/onboarding", "acme/secret"]
    narrowed = await api.token(repository_ids=[api.github.names.repository_id])
    assert (await api.ask("GET", f"/repositories/{number}", narrowed)).status == 404


async def test_a_renamed_repository_is_found_by_its_id(api: Api, tree: WorkTree) -> None:
    """Its former name leads there, for those who may see it; somebody else's repository may take the name."""
    token, names = await api.token(), api.github.names
    renamed = await api.ask("PATCH", REPOSITORY, api.person, json={"name": "tenants"})
    moved = await api.ask("GET", f"{REPOSITORY}/git/trees/main?recursive=1", token, allow_redirects=False)
    followed = await api.ask("GET", f"{REPOSITORY}/git/trees/main?recursive=1", token)
    await tree.git("fetch", "-q")
    stranger = await api.ask("GET", REPOSITORY)
    taken = await api.ask("POST", "/orgs/acme/repos", api.person, json={"name": "onboarding", "private": True})

    assert renamed.json["full_name"] == "acme/tenants"
    place = f"{api.github.url}/repositories/{names.repository_id}/git/trees/main?recursive=1"
    assert (moved.status, moved.headers["Location"]) == (301, place)
    assert [one["path"] for one in followed.json["tree"]] == ["README.md"]
    assert (await api.ask("GET", "/repos/acme/tenants", token)).json["id"] == names.repository_id
    assert (stranger.status, taken.status) == (404, 201)
    assert (await api.ask("GET", REPOSITORY, token)).status == 404


async def test_nobody_sees_a_private_repository(api: Api) -> None:
    """A public one is shown to anybody."""
    await api.ask("POST", "/orgs/acme/repos", api.person, json={"name": "open"})

    assert (await api.ask("GET", REPOSITORY)).status == 404
    assert (await api.ask("GET", "/repos/acme/open")).status == 200
    assert (await api.ask("GET", "/repos/acme/open/git/trees/main")).status == 409
