"""The local issuers say what GitHub, GitLab and Google document, to whom they should, and sign it."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import google.auth.transport.requests
import google.oauth2.id_token
import jwt
import pytest

from tests.local.oidc.conftest import DOOR, WORLD_TOKEN, Client
from workers.local.oidc import IssuerKeys, OidcIssuers

ACCOUNT = "builder@sealane-local.iam.gserviceaccount.com"
IDENTITY = f"/computeMetadata/v1/instance/service-accounts/default/identity?audience={quote(DOOR, safe='')}"
GITHUB_CLAIMS = {
    *("jti", "sub", "aud", "ref", "sha", "repository", "repository_owner", "repository_owner_id", "repository_id"),
    *("run_id", "run_number", "run_attempt", "repository_visibility", "actor_id", "actor", "workflow", "head_ref"),
    *("base_ref", "event_name", "ref_type", "ref_protected", "workflow_ref", "workflow_sha", "job_workflow_ref"),
    *("job_workflow_sha", "runner_environment", "iss", "nbf", "exp", "iat"),
}
"""As GitHub's reference lists them for a job without an environment."""


async def start(client: Client, **job: Any) -> dict[str, str]:
    """Start a job on GitHub and return its environment."""
    status, text = await client.ask("/github/jobs", "POST", WORLD_TOKEN, {"repository": "acme/shop"} | job)
    assert status == 201, text
    environment: dict[str, str] = json.loads(text)
    return environment


async def github_claims(client: Client, audience: str | None = DOOR, **job: Any) -> dict[str, Any]:
    """Return what a relying party believes of a job on GitHub."""
    environment = await start(client, **job)
    url = environment["ACTIONS_ID_TOKEN_REQUEST_URL"] + (f"&audience={audience}" if audience else "")
    status, text = await client.ask(url, token=environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
    assert status == 200, text
    return await client.believed("github", json.loads(text)["value"], audience or "https://github.com/acme")


async def test_job_on_github_gets_a_token_with_all_claims(client: Client) -> None:
    """The claims are those of the reference; the token lives for five minutes; each has an id of its own."""
    first, second = await github_claims(client), await github_claims(client, environment="production")

    assert set(first) == GITHUB_CLAIMS
    assert set(second) == GITHUB_CLAIMS | {"environment"}
    assert first["sub"] == "repo:acme/shop:ref:refs/heads/main"
    assert second["sub"] == "repo:acme/shop:environment:production"
    assert (first["repository_id"], first["repository_owner_id"]) == ("1296269", "583231")
    assert first["job_workflow_ref"] == "acme/shop/.github/workflows/release.yml@refs/heads/main"
    assert first["exp"] - first["iat"] == 300
    assert first["jti"] != second["jti"]


async def test_subject_has_both_forms(client: Client) -> None:
    """Younger repositories have their ids in `sub`; pull requests and tags say so."""
    young = await github_claims(client, immutable_subject=True)
    request = await github_claims(client, event_name="pull_request", ref="refs/pull/7/merge")
    tag = await github_claims(client, ref="refs/tags/v1")

    assert young["sub"] == "repo:acme@583231/shop@1296269:ref:refs/heads/main"
    assert request["sub"] == "repo:acme/shop:pull_request"
    assert (tag["sub"], tag["ref_type"]) == ("repo:acme/shop:ref:refs/tags/v1", "tag")


async def test_audience_is_the_owner_unless_one_is_asked_for(client: Client) -> None:
    """As on GitHub, a token that was asked for nobody in particular is for the owner's URL."""
    assert (await github_claims(client, audience=None))["aud"] == "https://github.com/acme"


async def test_repository_keeps_its_id(client: Client) -> None:
    """Any repository has an id that only it has, the same each time."""
    one, again, other = [
        (await github_claims(client, repository=name))["repository_id"] for name in ("a/one", "a/one", "a/other")
    ]
    assert one == again != other


async def test_only_the_job_itself_gets_its_token(client: Client) -> None:
    """Neither without its request token, nor with that of another job; and only the world starts jobs."""
    mine, other = await start(client), await start(client)
    url = mine["ACTIONS_ID_TOKEN_REQUEST_URL"]
    answers = [
        await client.ask(url),
        await client.ask(url, token="guessed"),
        await client.ask(url, token=other["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]),
        await client.ask("/github/jobs", "POST", None, {"repository": "acme/shop"}),
        await client.ask("/gitlab/jobs", "POST", "guessed", {"project": "acme/shop", "id_tokens": {}}),
        await client.ask("/github/keys", "POST", "guessed"),
        await client.ask("/github/keys/1", "DELETE"),
    ]

    assert {status for status, _ in answers} == {401}
    assert not any("eyJ" in text for _, text in answers)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/github/jobs", {"repository": "../../etc"}, "repository"),
        ("/github/jobs", {"repository": "acme/shop", "run_id": "x"}, "run_id"),
        ("/github/jobs", {"repository": "acme/shop", "more": 1}, "more"),
        ("/github/jobs", [], "the body"),
        ("/gitlab/jobs", {"project": "acme", "id_tokens": {}}, "project"),
        ("/gitlab/jobs", {"project": "acme/shop", "id_tokens": {"PATH X": DOOR}}, "id_tokens"),
    ],
)
async def test_job_that_makes_no_sense_is_refused_by_field(client: Client, path: str, body: Any, named: str) -> None:
    """What is wrong is named."""
    status, text = await client.ask(path, "POST", WORLD_TOKEN, body)
    assert (status, named in text) == (400, True), text


async def test_gitlab_job_has_its_tokens_in_its_environment(client: Client) -> None:
    """Each variable of `id_tokens` holds a token for its own audience, of the project and its ref."""
    job = {"project": "group/sub/shop", "id_tokens": {"SEALANE_TOKEN": DOOR, "OTHER": "https://other.example.com"}}
    _, text = await client.ask("/gitlab/jobs", "POST", WORLD_TOKEN, job)
    environment = json.loads(text)
    claims = await client.believed("gitlab", environment["SEALANE_TOKEN"])
    other = await client.believed("gitlab", environment["OTHER"], "https://other.example.com")

    assert claims["sub"] == "project_path:group/sub/shop:ref_type:branch:ref:main"
    assert (claims["namespace_path"], claims["project_path"]) == ("group/sub", "group/sub/shop")
    assert (claims["ref_path"], claims["ref_protected"]) == ("refs/heads/main", "true")
    assert (claims["pipeline_id"], claims["job_id"]) == (environment["CI_PIPELINE_ID"], environment["CI_JOB_ID"])
    assert claims["jti"] != other["jti"]


async def test_googles_own_library_gets_an_identity(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth finds the metadata server, and what it fetches verifies against the key set, by google-auth too."""
    host = client.issuers.url.removeprefix("http://")
    for variable in ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"):
        monkeypatch.setenv(variable, host)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    certificates = client.issuers.key_set_url("google")

    def fetched() -> dict[str, Any]:
        request = google.auth.transport.requests.Request()
        token: str = google.oauth2.id_token.fetch_id_token(request, DOOR)  # type: ignore[no-untyped-call]  # not typed
        return dict(google.oauth2.id_token.verify_token(token, request, DOOR, certificates))

    claims = await asyncio.to_thread(fetched)
    assert (claims["iss"], claims["email"]) == (client.issuers.issuer("google"), ACCOUNT)


async def test_metadata_server_keeps_browsers_and_proxies_out(client: Client) -> None:
    """Without Google's header, or forwarded, nothing is given; each answer bears the header itself."""
    status, token = await client.ask(f"{IDENTITY}&format=full", Metadata_Flavor="Google")
    claims = await client.believed("google", token)
    _, short = await client.ask(IDENTITY, Metadata_Flavor="Google")
    refused = [
        await client.ask(IDENTITY),
        await client.ask(IDENTITY, Metadata_Flavor="google"),
        await client.ask(IDENTITY, Metadata_Flavor="Google", X_Forwarded_For="10.0.0.1"),
        await client.ask(IDENTITY.partition("?")[0], Metadata_Flavor="Google"),
        await client.ask(IDENTITY.replace("default", "other"), Metadata_Flavor="Google"),
    ]

    assert (status, claims["email"], claims["email_verified"]) == (200, ACCOUNT, True)
    assert "email" not in await client.believed("google", short)
    assert [status for status, _ in refused] == [403, 403, 403, 400, 404]


async def test_rotated_key_signs_and_the_old_one_stays_until_it_is_withdrawn(client: Client) -> None:
    """Nothing that was signed before is refused by a rotation; a withdrawn key is gone for good."""
    before = client.issuers.signed("github", {"aud": DOOR, "sub": "x"})
    old = jwt.get_unverified_header(before)["kid"]
    early, _ = await client.ask(f"/github/keys/{old}", "DELETE", WORLD_TOKEN)
    _, text = await client.ask("/github/keys", "POST", WORLD_TOKEN)
    after = client.issuers.signed("github", {"aud": DOOR, "sub": "x"})
    both = [await client.believed("github", token) for token in (before, after)]
    withdrawn, _ = await client.ask(f"/github/keys/{old}", "DELETE", WORLD_TOKEN)
    again, _ = await client.ask(f"/github/keys/{old}", "DELETE", WORLD_TOKEN)

    assert json.loads(text)["kid"] == jwt.get_unverified_header(after)["kid"] != old
    assert len(both) == 2
    assert (early, withdrawn, again) == (409, 204, 404)
    with pytest.raises(KeyError):
        await client.believed("github", before)
    assert (await client.ask("/gitea/keys", "POST", WORLD_TOKEN))[0] == 404


async def test_issuers_do_not_share_keys(client: Client) -> None:
    """A token of one issuer says nothing to those who trust another."""
    token = client.issuers.signed("gitlab", {"iss": client.issuers.issuer("github"), "aud": DOOR, "sub": "x"})

    with pytest.raises(KeyError):
        await client.believed("github", token)


async def test_keys_outlive_the_process_and_are_for_their_owner_alone(tmp_path: Path) -> None:
    """After a restart the same keys are published, in order; nobody else may read the private ones.

    An issuer that nobody asks for anything makes none.
    """
    folder = tmp_path / "oidc"
    async with OidcIssuers(folder, token=WORLD_TOKEN) as issuers:
        issuers.keys["github"].rotate()
        published = issuers.keys["github"].key_set()
    async with OidcIssuers(folder, token=WORLD_TOKEN) as issuers:
        assert issuers.keys["github"].key_set() == published
    files = [file for file in folder.rglob("*") if file.is_file()]

    assert [file.parent.name for file in files] == ["github", "github"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert not {"d", "p", "q"} & set().union(*published["keys"])


def test_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A file that is no RSA key is named, not signed with."""
    (tmp_path / "0001-ec.pem").write_bytes(
        b"-----BEGIN PRIVATE KEY-----\n"
        b"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
        b"-----END PRIVATE KEY-----\n"
    )
    with pytest.raises(TypeError, match=r"0001-ec\.pem holds no RSA key: delete it"):
        IssuerKeys(tmp_path).key_set()
