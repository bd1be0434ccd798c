"""A policy in words: who is whom by which proof, and what each may bring; and what in it is hardly meant so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.gateway.patterns import matches
from workers.gateway.principals import Grant, Issuer, Policy, Principal, Sight
from workers.gateway.tokens import wanted_of

_OWN_WORKFLOW = frozenset({"ref", "environment", "job_workflow_ref", "sub"})
"""Claims that tell the workflows of a repository apart: without one, whoever may push any branch is the bearer."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One principal in words."""

    principal: str
    proof: str
    """By what it is known."""
    may_publish: tuple[str, ...]
    """One grant each."""
    may_see: tuple[str, ...]
    """Whose runs it sees besides its own, one sight each."""
    may_act: bool
    """Whether it may replay, drop, stop and resume in the console."""
    sources: str
    """As which CloudEvents sources it may speak."""
    rate: str
    open_streams: int
    """How many runs it may follow at a time at one replica."""
    remarks: tuple[str, ...]
    """What is allowed, and hardly meant."""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "principal": self.principal,
            "proof": self.proof,
            "may_publish": list(self.may_publish),
            "may_see": list(self.may_see),
            "may_act": self.may_act,
            "sources": self.sources,
            "rate": self.rate,
            "open_streams": self.open_streams,
            "remarks": list(self.remarks),
        }


def explain(policy: Policy) -> list[Explained]:
    """Return every principal in words, in the order in which they are asked for."""
    issuers = {issuer.name: issuer for issuer in policy.issuers}
    return [_explained(policy, principal, issuers.get(principal.issuer or "")) for principal in policy.principals]


def unused(policy: Policy) -> list[str]:
    """Return the issuers whose tokens nobody bears."""
    return [issuer.name for issuer in policy.issuers if not policy.bearers(issuer)]


def _explained(policy: Policy, principal: Principal, issuer: Issuer | None) -> Explained:
    return Explained(
        principal=principal.name,
        proof=_proof(principal, issuer),
        may_publish=tuple(_granted(grant) for grant in principal.may_publish),
        may_see=tuple(map(_seen, principal.may_see)),
        may_act=principal.may_act,
        sources=" or ".join(principal.sources) or "any that no other names",
        rate=f"{principal.rate:g} a minute, {principal.burst:g} at once",
        open_streams=principal.open_streams,
        remarks=tuple(_remarks(policy, principal, issuer)),
    )


def _proof(principal: Principal, issuer: Issuer | None) -> str:
    proofs = []
    if issuer is not None:
        claims = (f"{claim} {' or '.join(_texts(wanted))}" for claim, wanted in principal.claims.items())
        proofs.append(f"a token of {issuer.name} ({issuer.url}) for {issuer.audience} with {', '.join(claims)}")
    if count := len(principal.api_keys):
        proofs.append("an API key" if count == 1 else f"one of {count} API keys")
    if principal.certificates:
        proofs.append(f"a client certificate for {' or '.join(principal.certificates)}")
    return ", or ".join(proofs)


def _granted(grant: Grant) -> str:
    fields = (f"{field} {pattern}" for field, pattern in grant.where.items())
    return f"{grant.type} with {', '.join(fields)}" if grant.where else grant.type


def _seen(sight: Sight) -> str:
    types = "all runs" if sight.type == "**" else f"runs of {sight.type}"
    return types if sight.subject == "**" else f"{types} about {sight.subject}"


def _remarks(policy: Policy, principal: Principal, issuer: Issuer | None) -> list[str]:
    found = []
    if not (principal.may_publish or principal.may_see):
        found.append("may publish nothing, and see nothing")
    if any(grant.type == "image.pushed" and "image" not in grant.where for grant in principal.may_publish):
        found.append("may announce any image: bind the field `image`")
    if issuer is None:
        return found
    if issuer.kind == "github" and not _OWN_WORKFLOW & set(principal.claims):
        found.append("is any workflow on any branch of the repository: bind `ref`, `environment` or `job_workflow_ref`")
    for other in policy.bearers(issuer):
        if other is principal:
            break
        if _covers(wanted_of(issuer, other), wanted_of(issuer, principal)):
            found.append(f"is never asked for: whoever it is meant for is {other.name} already, which stands before it")
            break
    return found


def _covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Whether every token with the claims of one has certainly those of the other."""
    return all(claim in narrow and _within(narrow[claim], wanted) for claim, wanted in wide.items())


def _within(narrow: Any, wide: Any) -> bool:
    if narrow is None or wide is None:
        return narrow is wide
    return all(
        any(text == pattern or ("*" not in text and matches(pattern, text)) for pattern in _texts(wide))
        for text in _texts(narrow)
    )


def _texts(wanted: str | tuple[str, ...]) -> tuple[str, ...]:
    return (wanted,) if isinstance(wanted, str) else wanted
