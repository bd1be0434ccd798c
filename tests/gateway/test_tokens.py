"""Who calls: signed tokens and API keys, and which claim failed."""

import base64
import json
import logging
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.bus.lane import Lane
from tests.gateway.conftest import IMAGE, KEY, Caller, attributes, open_door
from tests.gateway.issuer import AUDIENCE, LocalIssuer
from workers.gateway.callers import hash_of
from workers.gateway.principals import Policy


async def test_job_with_its_own_token_brings_an_event(lane: Lane, caller: Caller, issuer: LocalIssuer) -> None:
    """A token of the repository is enough; the event bears the principal, and the key set was fetched once."""
    first = await caller.echo("t-1", token=issuer.token())
    second = await caller.echo("t-2", token=issuer.token(ref="refs/tags/v1"))

    assert (first.status, second.status) == (202, 202)
    assert {headers["ce-actor"] for headers, _ in await lane.messages("EVENTS")} == {"github/acme/shop"}
    assert issuer.asked == 1


async def test_form_of_the_subject_does_not_matter(caller: Caller, issuer: LocalIssuer) -> None:
    """Tokens with the old and with the immutable `sub` are taken alike."""
    immutable = issuer.token(sub="repo:acme@583231/shop@1296269:ref:refs/heads/main")

    assert (await caller.echo("t-1", token=immutable)).status == 202


NOW = int(time.time())
DENIED: dict[str, tuple[dict[str, Any], int, str]] = {
    "another audience": ({"aud": "https://github.com/acme"}, 401, "aud"),
    "no audience": ({"aud": None}, 401, "aud"),
    "expired": ({"iat": NOW - 4000, "nbf": NOW - 4000, "exp": NOW - 3600}, 401, "exp"),
    "without an end": ({"exp": None}, 401, "exp"),
    "not yet": ({"nbf": NOW + 3600}, 401, "nbf"),
    "another issuer": ({"iss": "https://evil.example.com"}, 401, "iss"),
    "an issuer that is no text": ({"iss": None}, 401, "iss"),
    "unknown key": ({"kid": "key-9"}, 401, "kid"),
    "without an id": ({"jti": None}, 401, "jti"),
    "another repository": ({"repository_id": "666"}, 403, "repository_id"),
    "another branch": ({"ref": "refs/heads/feature"}, 403, "ref"),
    "a tag with a path": ({"ref": "refs/tags/v1/evil"}, 403, "ref"),
    "a pull request": ({"event_name": "pull_request_target"}, 403, "event_name"),
    "a runner of one's own": ({"runner_environment": "self-hosted"}, 403, "runner_environment"),
}


@pytest.mark.parametrize("case", DENIED)
async def test_denial_names_the_claim(
    lane: Lane, caller: Caller, issuer: LocalIssuer, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    """Whoever is refused learns which claim it was; the log has the claims, neither has the token."""
    changed, status, claim = DENIED[case]
    token = issuer.token(**changed)
    with caplog.at_level(logging.DEBUG):
        answer = await caller.echo("t-1", token=token)

    assert (answer.status, answer.json["claim"]) == (status, claim)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert "1296269" in caplog.text or changed.get("repository_id", "") in caplog.text
    assert token not in caplog.text + answer.text
    assert await lane.count("EVENTS") == 0


def forged(issuer: LocalIssuer, kind: str) -> str:
    """Return a token that is not the issuer's."""
    claims = issuer.claims()
    if kind == "alg none":
        return jwt.encode(claims, "", algorithm="none", headers={"kid": "key-1"})
    if kind == "signed with a public value":
        return jwt.encode(claims, "key-1" * 16, algorithm="HS256", headers={"kid": "key-1"})
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "key-1"})
    if kind == "changed afterwards":
        header, _, signature = issuer.token().split(".")
        body = base64.urlsafe_b64encode(json.dumps(claims | {"repository_id": "1"}).encode()).decode().rstrip("=")
        return f"{header}.{body}.{signature}"
    return token


@pytest.mark.parametrize(
    ("kind", "claim"),
    [
        ("alg none", "alg"),
        ("signed with a public value", "alg"),
        ("signed by a stranger", "signature"),
        ("changed afterwards", "signature"),
    ],
)
async def test_forged_token_is_refused(caller: Caller, issuer: LocalIssuer, kind: str, claim: str) -> None:
    """No signature, another algorithm, another key, other claims: none of them gets in."""
    answer = await caller.echo("t-1", token=forged(issuer, kind))

    assert (answer.status, answer.json["claim"]) == (401, claim)


@pytest.mark.parametrize(
    "token", [None, "slk_wrong", "hello", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.W10.", "x" * 9000]
)
async def test_nobody_gets_in_without_proof(caller: Caller, token: str | None) -> None:
    """No token, a wrong key, half a token: 401, and how to ask."""
    answer = await caller.echo("t-1", token=token)
    description = await caller.ask("GET", "/openapi.json")

    assert (answer.status, description.status) == (401, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_short_key_never_counts(lane: Lane, tmp_path: Path) -> None:
    """A key that could be guessed from its hash is refused, though the policy names it."""
    principal = {"name": "x", "api_keys": [hash_of("slk_short")], "may_publish": [{"type": "echo.requested"}]}
    async with open_door(lane, tmp_path, Policy.model_validate({"principals": [principal]})) as caller:
        assert (await caller.echo("t-1", token="slk_short")).status == 401


async def test_two_credentials_are_none(caller: Caller) -> None:
    """A header sent twice is understood differently by different people: refused."""
    answer = await caller.send(b"{}", token=None, authorization=f"Bearer {KEY}, Bearer {KEY}", **attributes("t-1"))

    assert answer.status == 401


async def test_key_set_that_is_away_is_no_denial(caller: Caller, issuer: LocalIssuer) -> None:
    """An issuer that is down is answered with 503; once its key is known, it may be away."""
    issuer.status = 500
    away = await caller.echo("t-1", token=issuer.token())

    assert (away.status, away.json["claim"], away.headers["retry-after"]) == (503, "kid", "10")
    assert "answered 500" in away.json["detail"]


async def test_known_key_outlives_its_issuer(caller: Caller, issuer: LocalIssuer) -> None:
    """What was fetched stays good while the issuer is away."""
    assert (await caller.echo("t-1", token=issuer.token())).status == 202
    issuer.status = 500

    assert (await caller.echo("t-2", token=issuer.token())).status == 202


async def test_unknown_keys_do_not_hammer_the_issuer(caller: Caller, issuer: LocalIssuer) -> None:
    """Key ids come from anybody: many unknown ones are one fetch."""
    answers = [await caller.echo(f"t-{n}", token=issuer.token(kid=f"key-{n + 2}")) for n in range(20)]

    assert {answer.status for answer in answers} == {401}
    assert issuer.asked == 1


async def test_token_is_good_for_one_event_and_its_retries(caller: Caller, issuer: LocalIssuer) -> None:
    """The same token with the same event is a retry; with another event it is a replay."""
    token = issuer.token()

    assert (await caller.echo("t-1", token=token)).status == 202
    assert (await caller.echo("t-1", token=token)).status == 202
    replayed = await caller.echo("t-2", token=token)
    assert (replayed.status, replayed.json["claim"]) == (403, "jti")


FORBIDDEN: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, str]]] = {
    "a type": (attributes("f-1", "image.attested"), {}, {"attribute": "type"}),
    "another path": (attributes("f-1", "image.pushed"), {"image": IMAGE.replace("shop", "bank")}, {"field": "image"}),
    "a neighbour": (attributes("f-1", "image.pushed"), {"image": IMAGE.replace("shop/", "shop-")}, {"field": "image"}),
    "a path in a host": (attributes("f-1", "image.pushed"), {"image": f"evil.io/x/{IMAGE}"}, {"field": "image"}),
    "a worker's source": (attributes("f-1", source="/sealane/attest"), {"message": "a"}, {"attribute": "source"}),
    "another's source": (attributes("f-1", source="/slow/1"), {"message": "a"}, {"attribute": "source"}),
}


@pytest.mark.parametrize("case", FORBIDDEN)
async def test_principal_publishes_only_what_it_may(lane: Lane, caller: Caller, case: str) -> None:
    """Type, field and source are each refused by name, and nothing is stored."""
    headers, body, members = FORBIDDEN[case]
    answer = await caller.send(json.dumps(body), **headers)

    assert answer.status == 403
    assert {name: answer.json.get(name) for name in members} == members
    assert await lane.count("EVENTS") == 0


async def test_no_credential_is_ever_written(
    lane: Lane, caller: Caller, issuer: LocalIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Canary: through every kind of answer, neither logs, answers nor the bus hold a key or a token."""
    credentials = [
        KEY,
        issuer.token(),
        issuer.token(repository_id="9"),
        issuer.token(aud=AUDIENCE + "/x"),
        "slk_" + "z" * 40,
    ]
    said = []
    with caplog.at_level(logging.DEBUG):
        for number, token in enumerate(credentials):
            given = {"token": token, "ce_actor": token}
            said += [
                await caller.echo(f"c-{number}", **given),
                await caller.echo(f"c-{number}", "other", **given),
                await caller.send("no JSON", token=token, **attributes("c")),
                await caller.send(json.dumps({"image": "a/b"}), token=token, **attributes("c", "image.pushed")),
            ]
    stored = str([await lane.messages(stream) for stream in ("EVENTS", "PROGRESS", "DEAD")])
    answers = str([(answer.headers, answer.text) for answer in said])

    assert {answer.status for answer in said} >= {202, 400, 401, 403, 409}
    for token in credentials:
        for text in (caplog.text, stored, answers):
            assert token not in text
            assert token.rpartition(".")[2] not in text
