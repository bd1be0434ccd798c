"""Who may publish what at the door: principals, how each proves itself, and what it may announce. Policy as data.

    {"issuers": [{"name": "github", "kind": "github", "audience": "https://sealane.example.com"}],
     "principals": [
       {"name": "github/acme/shop", "issuer": "github",
        "claims": {"repository_id": "1296269", "ref": "refs/heads/main"},
        "may_publish": [{"type": "image.pushed", "where": {"image": "europe-docker.pkg.dev/acme/shop/**"}}]},
       {"name": "jenkins", "api_keys": ["sha256:…"], "sources": ["/jenkins/**"],
        "may_publish": [{"type": "image.pushed"}]}]}

In a pattern `*` is anything within one segment, `**` anything at all; neither is empty. A field that holds an image is
compared by its HOST/PATH, without tag and digest.
"""

import re
from collections.abc import Collection
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from schemas.catalogue import CATALOGUE
from schemas.events import Event
from schemas.images import split_reference
from workers.failures import Invalid
from workers.gateway.patterns import matches
from workers.gateway.wrong_policy import wrong
from workers.json_settings import json_setting

OURS = "/sealane/**"
"""The sources of our own workers, which nobody may claim at the door."""
_EXACT = re.compile(r"(?:.*_id|sub|email)")
_KNOWN_ISSUERS = {
    "github": ("https://token.actions.githubusercontent.com", "{issuer}/.well-known/jwks"),
    "google": ("https://accounts.google.com", "https://www.googleapis.com/oauth2/v3/certs"),
}
_REQUIRED_CLAIMS = {"github": ("repository_id", "repository_owner_id"), "google": ("email", "sub"), "other": ()}
_IMAGES = frozenset({"image"})
"""Fields that hold an image reference."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/@:-]{0,127}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Url = Annotated[str, StringConstraints(pattern=r"^(?:https://|http://(?:127\.0\.0\.1|localhost)[:/])[^\s@]+$")]
KeyHash = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
_CERTIFICATE_NAME = r"^(?:uri:\S{1,512}|dns:[a-z0-9.*-]{1,253}|spki:sha256:[0-9a-f]{64})$"
CertificateName = Annotated[str, StringConstraints(pattern=_CERTIFICATE_NAME)]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Issuer(_Data):
    """Who issues tokens, and what a token of theirs must say to be meant for this door."""

    name: Name
    """What principals call it."""
    kind: Literal["github", "google", "other"] = "other"
    """`github`: Actions OIDC tokens; `google`: ID tokens of service accounts; `other`: name `issuer` and `keys`."""
    issuer: Url | None = None
    """The claim `iss`, compared exactly."""
    keys: Url | None = None
    """Where its key set (JWKS, RFC 7517) is."""
    audience: Text
    """The claim `aud` that a token for this door bears. It tells apart issuers of one URL: one for programs, say, and
    one for people who sign in to the console."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    """The signature algorithms that are accepted: asymmetric ones only."""
    leeway: Annotated[int, Field(ge=0, le=300)] = 30
    """Seconds by which clocks may differ."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "other" and not (self.issuer and self.keys):
            raise ValueError(f"the issuer {self.name!r} is none that is known: name `issuer` and `keys`, both URLs")
        return self

    @property
    def url(self) -> str:
        """The claim `iss`."""
        return self.issuer or _KNOWN_ISSUERS[self.kind][0]

    @property
    def keys_url(self) -> str:
        """Where the key set is."""
        return self.keys or _KNOWN_ISSUERS[self.kind][1].format(issuer=self.url.rstrip("/"))


class Grant(_Data):
    """One type of event that a principal may publish, and what its fields must be."""

    type: Text
    """Type of event."""
    where: dict[str, Text] = Field(default_factory=dict)
    """Field → pattern; an event without that field is refused."""

    @model_validator(mode="after")
    def _in_catalogue(self) -> Self:
        model = CATALOGUE.get(self.type)
        if model is None:
            raise ValueError(f"there is no event {self.type!r}: the types are {', '.join(sorted(CATALOGUE))}")
        for field in self.where:
            if field not in model.model_fields:
                raise ValueError(f"{self.type} has no field {field!r}: it has {', '.join(model.model_fields)}")
        return self

    def misses(self, event: Event) -> tuple[str, str] | None:
        """Return the first field that is not as it must be, with a sentence, or None."""
        for field, pattern in self.where.items():
            value = getattr(event, field)
            if not isinstance(value, str):
                return field, f"the field {field!r} must match {pattern!r}, and the event does not say it as text"
            compared = value
            if field in _IMAGES:
                host, path, _, _ = split_reference(value)
                compared = f"{host}/{path}"
            if not matches(pattern, compared):
                return field, f"the field {field!r} is {compared!r}, and this principal may only say {pattern!r}"
        return None


class Sight(_Data):
    """Which runs of others a principal may see: by the event that opened them."""

    type: Text = "**"
    """Pattern for its type."""
    subject: Text = "**"
    """Pattern for what it is about; an event about nothing is seen with `**` alone."""

    def shows(self, event_type: str, subject: str | None) -> bool:
        """Whether a run that such an event opened may be seen."""
        is_about = self.subject == "**" or (subject is not None and matches(self.subject, subject))
        return is_about and matches(self.type, event_type)


class Principal(_Data):
    """Somebody outside who may publish."""

    name: Name
    """Stamped on its events as `actor`; signing rules may ask for it."""
    issuer: Name | None = None
    """The issuer whose tokens it bears."""
    claims: dict[str, Text | Annotated[tuple[Text, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Claim → pattern, or a list of them of which one must match. Ids, `sub` and `email` are compared exactly."""
    api_keys: tuple[KeyHash, ...] = ()
    """SHA-256 of the API keys it bears instead of a token; several while one is replaced. A key is `slk_` and at least
    32 random characters; `sealane principals key` makes one, `printf %s "$KEY" | sha256sum` hashes it."""
    certificates: tuple[CertificateName, ...] = ()
    """Names in its client certificates, over gRPC: `uri:` or `dns:` and a subject alternative name, compared exactly,
    or `spki:sha256:` and the hash of its public key (`workers/gateway/certificates.py`)."""
    may_publish: tuple[Grant, ...]
    """What it may publish: nothing else."""
    may_see: tuple[Sight, ...] = ()
    """Which runs it may follow besides those that it opened itself."""
    may_act: bool = False
    """Whether it may replay and drop the dead letters that it sees, and stop and resume workers, in the console."""
    sources: tuple[Text, ...] = ()
    """Patterns for the CloudEvents source of its events. What one principal names here, no other may use; left out,
    any source that nobody names."""
    rate: Annotated[float, Field(gt=0, le=1_000_000)] = 600
    """Events a minute."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Events that may come at once after a pause."""
    open_streams: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """Runs, or lists of runs, that may be followed at a time at one replica, over HTTP and gRPC together."""

    @model_validator(mode="after")
    def _proves_itself(self) -> Self:
        if (self.issuer and self.api_keys) or not (self.issuer or self.api_keys or self.certificates):
            proofs = "an `issuer`'s tokens or by `api_keys`, or by `certificates`"
            raise ValueError(f"the principal {self.name!r} proves itself by {proofs}")
        if self.claims and not self.issuer:
            raise ValueError(f"{self.name!r} binds claims, and only tokens of an `issuer` have any: leave them out")
        if any(matches(OURS, source) for source in self.sources):
            raise ValueError(f"{self.name!r} names a source below /sealane/, as which nobody outside may speak")
        for claim, wanted in self.claims.items():
            texts = (wanted,) if isinstance(wanted, str) else wanted
            if _EXACT.fullmatch(claim) and any("*" in text for text in texts):
                raise ValueError(f"the claim {claim!r} of {self.name!r} is compared exactly: write it without `*`")
        return self


class Policy(_Data):
    """All issuers and principals. The first principal whose claims all match is who the bearer of a token is."""

    issuers: tuple[Issuer, ...] = ()
    principals: tuple[Principal, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        issuers = {issuer.name: issuer for issuer in self.issuers}
        _unique("issuer", [issuer.name for issuer in self.issuers])
        _unique("issuer's URL and audience", [f"{issuer.url} for {issuer.audience}" for issuer in self.issuers])
        _unique("principal", [principal.name for principal in self.principals])
        _unique("API key", [key for principal in self.principals for key in principal.api_keys])
        _unique("certificate", [name for principal in self.principals for name in principal.certificates])
        for principal in self.principals:
            if principal.issuer is None:
                continue
            issuer = issuers.get(principal.issuer)
            if issuer is None:
                raise ValueError(
                    f"the principal {principal.name!r} names the issuer {principal.issuer!r}: there is none"
                )
            _bound(principal, issuer)
        return self

    def with_principal(self, principal: Principal) -> "Policy":
        """Return the policy with one principal more. Raises Invalid when it does not fit."""
        return _validated({"issuers": self.issuers, "principals": (*self.principals, principal)}, "the principals")

    def within(self, types: Collection[str]) -> Self:
        """Return the policy itself. Raises Invalid when it grants a type that no door may bring onto the bus."""
        for principal in self.principals:
            for grant in principal.may_publish:
                if grant.type not in types:
                    raise Invalid(
                        f"the policy lets {principal.name} publish {grant.type}, which only a worker says: "
                        f"through a door come {', '.join(types)}"
                    )
        return self

    @cached_property
    def by_url(self) -> dict[str, tuple[Issuer, ...]]:
        """Issuers by the claim `iss`: several when they differ in their audience."""
        urls = dict.fromkeys(issuer.url for issuer in self.issuers)
        return {url: tuple(issuer for issuer in self.issuers if issuer.url == url) for url in urls}

    def bearers(self, issuer: Issuer) -> tuple[Principal, ...]:
        """Return those who bear the tokens of an issuer, in order."""
        return tuple(principal for principal in self.principals if principal.issuer == issuer.name)

    def may_say(self, principal: Principal, source: str) -> bool:
        """Whether a principal may publish events of a CloudEvents source."""
        if matches(OURS, source):
            return False
        if principal.sources:
            return any(matches(pattern, source) for pattern in principal.sources)
        others = (pattern for other in self.principals for pattern in other.sources)
        return not any(matches(pattern, source) for pattern in others)


_FIELDS = {
    "": tuple(Policy.model_fields),
    "issuers": tuple(Issuer.model_fields),
    "principals": tuple(Principal.model_fields),
    "may_publish": tuple(Grant.model_fields),
    "may_see": tuple(Sight.model_fields),
}
"""Where → the fields there are."""


def read_policy(text: str) -> Policy:
    """Read the policy from its JSON text, or from the path of a JSON file. Empty: nobody. Raises Invalid."""
    is_inline = text.lstrip().startswith(("{", "["))
    what = "SEALANE_PRINCIPALS" if is_inline else "the principals"
    try:
        found = json_setting(text, what)
    except ValueError as error:
        raise Invalid(str(error)) from None
    return Policy() if found is None else _validated(found, what if is_inline else f"{what} in {text}")


def _validated(found: Any, where: str) -> Policy:
    try:
        return Policy.model_validate(found)
    except ValidationError as error:
        raise Invalid(f"{where}: {wrong(error, _FIELDS)}") from None


def _unique(what: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"the {what} {doubled[0]!r} is there twice: each is named once")


def _bound(principal: Principal, issuer: Issuer) -> None:
    """Insist on claims that tell one bearer from all others: anybody gets tokens of a public issuer."""
    wanted = _REQUIRED_CLAIMS[issuer.kind]
    if not principal.claims or (wanted and not set(wanted) & set(principal.claims)):
        known = " or ".join(wanted) or "at least one claim"
        raise ValueError(f"the principal {principal.name!r} would be anybody with a token: bind {known} in `claims`")
    if issuer.kind == "github" and "sub" in principal.claims:
        raise ValueError(
            f"the principal {principal.name!r} binds `sub`, whose form changes: bind repository_id instead"
        )
