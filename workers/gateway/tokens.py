"""Proves whose signed token (JWT, RFC 7519) this is; says which claim is wrong, never what the token was.

Sources: RFC 8725 (best current practices: an allow-list of algorithms, `iss` and `aud` exact), GitHub's "OpenID Connect
reference" and Google's "Verify the Google ID token". GitHub's `sub` changed its form, so nothing is decided on it.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from workers.failures import Unavailable
from workers.gateway.keysets import KeySets
from workers.gateway.patterns import matches
from workers.gateway.principals import Issuer, Policy, Principal
from workers.gateway.problems import Problem, forbidden, shown, unauthenticated

RETRY_SECONDS = 10.0
_PARTS = 3
"""Header, claims, signature (RFC 7515, section 3.1)."""
_LEAST = ("exp", "iat", "iss", "aud")
_LEAST_OF = {"github": (*_LEAST, "jti")}
_TOLD = (*("iss", "aud", "sub", "email", "repository", "repository_id", "repository_owner_id", "ref", "environment"),)
_TOLD_TOO = ("event_name", "job_workflow_ref", "runner_environment", "run_id", "actor", "jti", "exp")


@dataclass(slots=True)  # a value, yet not frozen: see `Envelope`
class Bearer:
    """Who bears a token, and what the token says."""

    principal: Principal
    claims: Mapping[str, Any]


class Tokens:
    """Reads the tokens of the issuers of a policy."""

    def __init__(self, policy: Policy, keys: KeySets) -> None:
        self._policy = policy
        self._keys = keys

    async def bearer(self, token: str, of: Issuer | None = None) -> Bearer:
        """Return who bears a token, `of` one issuer alone where it is named: others of its URL have other audiences.

        Raises Problem: 401, 403, or 503 when the issuer's keys cannot be had.
        """
        header, said = _unproven(token)
        try:
            issuer = self._issuer(header, said, of)
            claims = await self._proven(token, issuer, header)
            if issuer.kind == "google" and claims.get("email_verified") is not True:
                claims.pop("email", None)
            return Bearer(self.principal_of(issuer, claims), claims)
        except Problem as problem:
            problem.evidence = told(said)
            raise

    def _issuer(self, header: Mapping[str, Any], said: Mapping[str, Any], of: Issuer | None) -> Issuer:
        named = self._policy.by_url.get(str(said.get("iss")), ())
        if of is not None:
            named = tuple(one for one in named if one == of)
        if not named:
            raise unauthenticated(f"tokens of the issuer {shown(said.get('iss'))} are not accepted here", claim="iss")
        issuer = next((one for one in named if _is_for(one, said.get("aud"))), None)
        if issuer is None:
            audiences = " or ".join(repr(one.audience) for one in named)
            raise unauthenticated(f"the token is not meant for this door: ask for audience {audiences}", claim="aud")
        if header.get("alg") not in issuer.algorithms:
            raise unauthenticated(
                f"the token is signed with {shown(header.get('alg'))}: accepted is {', '.join(issuer.algorithms)}",
                claim="alg",
            )
        return issuer

    async def _proven(self, token: str, issuer: Issuer, header: Mapping[str, Any]) -> dict[str, Any]:
        import jwt  # noqa: PLC0415 - processes that open no door never load it

        key_id = header.get("kid")
        try:
            key = await self._keys.key(issuer, key_id) if isinstance(key_id, str) else None
        except Unavailable as error:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{error}; send it again", after=RETRY_SECONDS, claim="kid"
            ) from None
        if key is None:
            raise unauthenticated(
                f"the issuer {issuer.name!r} has no key with the id {shown(key_id)}: get a new token", claim="kid"
            )
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(issuer.algorithms),
                audience=issuer.audience,
                issuer=issuer.url,
                leeway=issuer.leeway,
                options={"require": list(_LEAST_OF.get(issuer.kind, _LEAST))},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            claim, sentence = _wrong(error, issuer)
            raise unauthenticated(sentence, claim=claim) from None
        return claims

    def principal_of(self, issuer: Issuer, claims: Mapping[str, Any]) -> Principal:
        """Return the first principal of an issuer whose claims all match. Raises Problem (403)."""
        nearest: list[str] | None = None
        for principal in self._policy.bearers(issuer):
            missed = [
                claim for claim, wanted in wanted_of(issuer, principal).items() if not _holds(wanted, claims, claim)
            ]
            if not missed:
                return principal
            if nearest is None or len(missed) < len(nearest):
                nearest = missed
        if nearest is None:
            raise forbidden(f"no principal bears tokens of the issuer {issuer.name!r}", claim="iss")
        said = " and ".join(f"{claim} {shown(claims.get(claim))}" for claim in nearest)
        raise forbidden(f"no principal bears a token with {said}", claim=nearest[0], claims=nearest)


def _unproven(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims as the token has them, without believing any of it: what is proven is read again.

    PyJWT looks at each letter in Python, 50 µs for a token of GitHub, so it does that once only.
    """
    parts = token.split(".")
    try:
        header, claims = (json.loads(urlsafe_b64decode(f"{part}==")) for part in parts[:2])
    except (ValueError, RecursionError):
        header = claims = None
    if len(parts) != _PARTS or not isinstance(header, dict) or not isinstance(claims, dict):
        raise unauthenticated(
            "what follows `Bearer` is neither an API key of this door nor a signed token", claim="token"
        )
    return header, claims


def _is_for(issuer: Issuer, audience: Any) -> bool:
    """Whether one of the audiences that a token says is an issuer's (RFC 7519 §4.1.3: a text or a list of them)."""
    return issuer.audience in (audience if isinstance(audience, list) else [audience])


def told(claims: Mapping[str, Any]) -> dict[str, str]:
    """Return what a log may say of a token's claims."""
    return {name: shown(claims[name]) for name in (*_TOLD, *_TOLD_TOO) if name in claims}


def wanted_of(issuer: Issuer, principal: Principal) -> Mapping[str, Any]:
    """Return what the claims must be: on GitHub also no pull request (None) and GitHub's runners, unless named."""
    wanted: dict[str, Any] = dict(principal.claims)
    if issuer.kind == "github":
        wanted.setdefault("event_name", None)
        wanted.setdefault("runner_environment", "github-hosted")
    return wanted


def _holds(wanted: str | tuple[str, ...] | None, claims: Mapping[str, Any], claim: str) -> bool:
    value = claims.get(claim)
    if isinstance(value, bool | int):
        value = str(value).lower()
    if not isinstance(value, str):
        return False
    if wanted is None:
        return not value.startswith("pull_request")
    return any(matches(pattern, value) for pattern in ((wanted,) if isinstance(wanted, str) else wanted))


def _wrong(error: Exception, issuer: Issuer) -> tuple[str, str]:
    """Return the claim that is wrong and a sentence."""
    import jwt  # noqa: PLC0415 - processes that open no door never load it

    if isinstance(error, jwt.MissingRequiredClaimError):
        return error.claim, f"the token has no claim {error.claim!r}"
    table: tuple[tuple[type[Exception], str, str], ...] = (
        (jwt.ExpiredSignatureError, "exp", "the token has expired: get a new one"),
        (
            jwt.InvalidAudienceError,
            "aud",
            f"the token is not meant for this door: ask for audience {issuer.audience!r}",
        ),
        (jwt.InvalidIssuerError, "iss", "the token's issuer is not what it was said to be"),
        (jwt.ImmatureSignatureError, "nbf", "the token is not valid yet: look at the clocks"),
        (jwt.InvalidIssuedAtError, "iat", "the token's `iat` is no time"),
        (jwt.InvalidSignatureError, "signature", "the token's signature is not the issuer's"),
        (jwt.InvalidAlgorithmError, "alg", "the token's algorithm is not that of the issuer's key"),
        (jwt.exceptions.InvalidSubjectError, "sub", "the token's `sub` is no text"),
        (jwt.exceptions.InvalidJTIError, "jti", "the token's `jti` is no text"),
    )
    for kind, claim, sentence in table:
        if isinstance(error, kind):
            return claim, sentence
    return "token", "the token cannot be read: get a new one"
