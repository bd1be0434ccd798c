"""The real google-auth gets an access token from a token endpoint of ours, and fails in our words."""

import json
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.adapters.registry.conftest import Odd
from workers.adapters.registry.google_token import GoogleAccessToken
from workers.failures import Denied, SealaneError, Unavailable

CANARY = "ya29.canary-77aa"


@pytest.fixture
def identity(odd: Odd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Odd:
    """Give this process a service account whose tokens come from our own endpoint."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    account = {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "lane@acme.iam.gserviceaccount.com",
        "token_uri": f"http://{odd.host}/token",
    }
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    return odd


def _json(status: int = 200, **fields: object) -> web.Response:
    return web.json_response(fields, status=status)


async def test_gets_a_token_and_keeps_it(identity: Odd) -> None:
    """One token serves until it nears its end."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return _json(access_token=CANARY, expires_in=3600, token_type="Bearer")

    identity.answer = answer
    token = GoogleAccessToken()

    assert [await token(), await token()] == [CANARY, CANARY]
    assert len(identity.asked) == 1


async def test_renews_a_token_near_its_end(identity: Odd) -> None:
    """A token that is about to expire is not handed out again."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return _json(access_token=f"{CANARY}-{len(identity.asked)}", expires_in=1, token_type="Bearer")

    identity.answer = answer
    token = GoogleAccessToken()

    assert [await token(), await token()] == [f"{CANARY}-1", f"{CANARY}-2"]


@pytest.mark.parametrize(
    ("status", "error", "failure"),
    [(400, "invalid_grant", Denied), (401, "invalid_client", Denied), (503, "internal_failure", Unavailable)],
)
async def test_fails_in_our_words(
    identity: Odd, monkeypatch: pytest.MonkeyPatch, status: int, error: str, failure: type[SealaneError]
) -> None:
    """A refused identity is denied, a broken endpoint temporary, and neither repeats what the endpoint said."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return _json(status, error=error, error_description=CANARY)

    identity.answer = answer
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)

    with pytest.raises(failure) as caught:
        await GoogleAccessToken()()

    assert CANARY not in str(caught.value)


async def test_says_that_there_is_no_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without credentials anywhere, the sentence says what to set."""
    file = tmp_path / "account.json"
    file.write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    with pytest.raises(Denied, match="GOOGLE_APPLICATION_CREDENTIALS"):
        await GoogleAccessToken()()


async def test_says_that_google_is_not_reached(identity: Odd, tmp_path: Path) -> None:
    """An endpoint that is gone is temporary."""
    file = tmp_path / "account.json"
    file.write_text(file.read_text().replace(identity.host, "127.0.0.1:1"))

    with pytest.raises(Unavailable, match="cannot be reached"):
        await GoogleAccessToken()()
