"""The signing rules: which attestor signs which images, with which key.

A rule matches the parsed host and path of an image, segment by segment, never a substring of the reference:
`gcr.io/acme/**` says nothing about `evil.com/gcr.io/acme/shop`.

    *    anything within one segment; in the host also not past a dot or the port's colon
    **   any number of whole path segments; at the end, at least one
    */…  (a host of only `*`) any host

A rule may also ask who published the image, for which environment and with which labels; there `*` is anything.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from workers.json_settings import json_setting
from workers.key_references import checked_key_reference

ATTESTOR_PATTERN = r"^projects/(?P<project>[^/\s]+)/attestors/[A-Za-z0-9_-]+$"
_SEGMENT = re.compile(r"[a-z0-9*][a-z0-9._*-]*")
_HOST = re.compile(r"[a-z0-9*][a-z0-9.*-]*(?::[0-9*]+)?")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9._]+)?")
_WHOLE = ("index", "children", "all")
_SIGNER = ("attestor", "key", "next_key", "project")


def _checked_pattern(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    host, slash, path = value.partition("/")
    if not slash or not path:
        raise ValueError(f"{value!r} is not HOST/PATH: a rule names a registry host and a repository pattern")
    if "**" in host:
        raise ValueError(f"the host {host!r} may not hold `**`: a host of only `*` means any host")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} can never match: a host is lower-case letters, digits, `.`, `-`, `*` and a port")
    for segment in path.split("/"):
        if segment != "**" and ("**" in segment or not _SEGMENT.fullmatch(segment)):
            raise ValueError(
                f"the segment {segment!r} can never match: write lower-case letters, digits, `.`, `_`, `-` and `*`,"
                " with `**` alone between slashes, and no tag or digest"
            )
    return value


def _checked_platforms(value: Any) -> Any:
    if value in _WHOLE:
        return value
    chosen = tuple(value) if isinstance(value, list | tuple) else ()
    for platform in chosen:
        if not isinstance(platform, str) or (platform != "index" and not _PLATFORM.fullmatch(platform)):
            raise ValueError(f"{platform!r} is no platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, or index")
    if not chosen:
        raise ValueError(f"{value!r} is not what is meant: write index, children, all, or a list of OS/ARCHITECTURE")
    return chosen


KeyReference = Annotated[str, AfterValidator(checked_key_reference)]
Wanted = Annotated[str, StringConstraints(min_length=1, max_length=255)]


@dataclass(frozen=True, slots=True)
class Publication:
    """How an image was announced: by whom, for which environment, with which labels."""

    actor: str | None = None
    environment: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class SigningRule(BaseModel):
    """One rule: images that match are signed with the key, in the name of the attestor."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    match: Annotated[str, BeforeValidator(_checked_pattern), Field(examples=["europe-docker.pkg.dev/acme/**"])]
    """Pattern over HOST/PATH."""
    attestor: Annotated[str, StringConstraints(pattern=ATTESTOR_PATTERN), Field(examples=["projects/p/attestors/ci"])]
    """The Binary Authorization attestor, `projects/P/attestors/A`."""
    key: KeyReference
    """The key that signs: a Cloud KMS key version, `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`
    (`gcp-kms://` may stand before it), or a local key by secret reference, `file:///PATH` or `env://NAME`, with the
    options `?passphrase=REFERENCE&algorithm=ALGORITHM`."""
    next_key: KeyReference | None = None
    """The key that takes the place of `key` as soon as the attestor lists it."""
    project: Annotated[str | None, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.:-]*$")] = None
    """Id of the project that keeps the attestations; the attestor's project when left out."""
    actor: Annotated[Wanted | None, Field(examples=["github/acme/*"])] = None
    """Who must have published the image: the authenticated principal, where `*` is anything. Anybody when left out."""
    environment: Annotated[Wanted | None, Field(examples=["production"])] = None
    """The environment for which it must have been published; `*` is anything."""
    labels: Annotated[dict[str, str], Field(examples=[{"git.branch": "main"}])] = Field(default_factory=dict)
    """Labels that must have been published with it; in a value `*` is anything."""
    platforms: Annotated[str | tuple[str, ...], BeforeValidator(_checked_platforms), Field(examples=["all"])] = "all"
    """What of a pushed index is signed: `index`, `children` (the image of each platform), `all` (both), or a list of
    `OS/ARCHITECTURE[/VARIANT]`, in which `index` may stand too. An attested index admits each of its platforms."""
    number: Annotated[int, Field(exclude=True, repr=False)] = 0
    """Its place among the rules as written, from 1; set when they are read."""

    @property
    def signs_index(self) -> bool:
        """Whether an index itself is signed."""
        return "index" in self.platforms if isinstance(self.platforms, tuple) else self.platforms != "children"

    def signs_child(self, platform: str | None) -> bool:
        """Whether the image of a platform in an index is signed; a platform without a variant means all of them."""
        if not isinstance(self.platforms, tuple):
            return self.platforms != "index"
        return platform is not None and any(f"{platform}/".startswith(f"{one}/") for one in self.platforms)

    def misses(self, publication: Publication) -> Iterator[str]:
        """Yield what the rule wants of a publication and does not find, one clause each."""
        asked = [("actor", self.actor, publication.actor), ("environment", self.environment, publication.environment)]
        asked += [(f"label {name}", wanted, publication.labels.get(name)) for name, wanted in self.labels.items()]
        for what, wanted, given in asked:
            if wanted is not None and (given is None or not re.fullmatch(_within(wanted, ".*"), given, re.DOTALL)):
                event = "the event has none" if given is None else f"the event's is {given!r}"
                yield f"rule {self.number} wants {what} {wanted!r}, {event}"

    @property
    def occurrence_project(self) -> str:
        """`projects/P`, where the attestations are kept."""
        found = re.match(ATTESTOR_PATTERN, self.attestor)
        return f"projects/{self.project or (found and found['project'])}"

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        host, _, path = self.match.partition("/")
        *before, last = path.split("/")
        parts = ["(?:[^/]+/)*" if segment == "**" else f"{_within(segment, '[^/]*')}/" for segment in before]
        parts.append(".+" if last == "**" else _within(last, "[^/]*"))
        return re.compile((r"[^/]+" if host == "*" else _within(host, r"[^/.:]*")) + "/" + "".join(parts))

    def matches(self, host: str, path: str) -> bool:
        """Whether the rule is about the repository HOST/PATH."""
        return self._expression.fullmatch(f"{host}/{path}") is not None


def _within(segment: str, anything: str) -> str:
    return anything.join(re.escape(literal) for literal in segment.split("*"))


class SigningRules(BaseModel):
    """Which attestor signs what, in order. Read from a list of rules, its JSON text, or the path of a JSON file.

    A rule may hold `attestors`, a list of {attestor, key, next_key, project}, in place of one attestor and key: it is
    read as that many rules with the same number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    rules: tuple[SigningRule, ...] = ()
    """All rules that match an image count; no rule means not signed, visibly."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = json_setting(value, "the signing rules") or []
        if isinstance(value, list | tuple):
            value = {"rules": value}
        if not isinstance(value, dict) or not isinstance(value.get("rules", ()), list | tuple):
            raise ValueError('the signing rules are not a list: write [{"match": …, "attestor": …, "key": …}, …]')  # noqa: TRY004 - pydantic reports ValueError with its place, a TypeError ends the process
        written = enumerate(value.get("rules", ()), start=1)
        return value | {"rules": tuple(rule for number, item in written for rule in _rules(number, item))}

    def matching(self, host: str, path: str) -> tuple[SigningRule, ...]:
        """Return the rules for the repository HOST/PATH, in order, whatever else they want."""
        return tuple(rule for rule in self.rules if rule.matches(host, path))


def _rules(number: int, item: Any) -> Iterator[SigningRule]:
    if isinstance(item, SigningRule):
        yield item
    elif not isinstance(item, dict) or "attestors" not in item:
        yield _rule(number, item)
    else:
        signers = item["attestors"]
        if not isinstance(signers, list | tuple) or not signers or not all(isinstance(one, dict) for one in signers):
            raise ValueError(f"signing rule {number}, field 'attestors': write a list of {{attestor, key}} objects")
        shared = {name: value for name, value in item.items() if name != "attestors"}
        if doubled := [name for name in _SIGNER if name in shared]:
            raise ValueError(f"signing rule {number}, field {doubled[0]!r}: write it inside `attestors`, or drop those")
        for place, signer in enumerate(signers):
            if unknown := [name for name in signer if name not in _SIGNER]:
                raise ValueError(
                    f"signing rule {number}, field 'attestors.{place}.{unknown[0]}': no signer has this field"
                )
            yield _rule(number, shared | signer, signer=f"attestors.{place}.")


def _rule(number: int, item: Any, *, signer: str = "") -> SigningRule:
    """Read one rule; `signer` is where its attestor and key stand."""
    if isinstance(item, dict):
        if "number" in item:
            raise ValueError(f"signing rule {number}, field 'number': rules are counted as they stand; drop it")
        item = item | {"number": number}
    try:
        return SigningRule.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "rule"
        place = f"{signer}{name}" if name in _SIGNER else name
        raise ValueError(f"signing rule {number}, field {place!r}: {_sentence(name, first)}") from None


def _sentence(name: str, problem: Any) -> str:
    wanted = {
        "attestor": "write projects/PROJECT/attestors/ATTESTOR",
        "project": "write the project's id, as in `acme-prod`",
    }
    if problem["type"] == "string_pattern_mismatch" and name in wanted:
        return f"{problem['input']!r} is not what is meant: {wanted[name]}"
    return str(problem["msg"]).removeprefix("Value error, ")
