"""The signing rules: which attestor signs which images, with which key.

A rule matches the parsed host and path of an image, segment by segment, never a substring of the reference:
`gcr.io/acme/**` says nothing about `evil.com/gcr.io/acme/shop`.

    *    anything within one segment; in the host also not past a dot or the port's colon
    **   any number of whole path segments; at the end, at least one
    */…  (a host of only `*`) any host
"""

import json
import re
from functools import cached_property
from pathlib import Path
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

from workers.key_references import checked_key_reference

ATTESTOR_PATTERN = r"^projects/(?P<project>[^/\s]+)/attestors/[A-Za-z0-9_-]+$"
_SEGMENT = re.compile(r"[a-z0-9*][a-z0-9._*-]*")
_HOST = re.compile(r"[a-z0-9*][a-z0-9.*-]*(?::[0-9*]+)?")


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


KeyReference = Annotated[str, AfterValidator(checked_key_reference)]


class SigningRule(BaseModel):
    """One rule: images that match are signed with the key, in the name of the attestor."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)

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
    """Which attestor signs what, in order. Read from a list of rules, its JSON text, or the path of a JSON file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    rules: tuple[SigningRule, ...] = ()
    """All rules that match an image count; no rule means not signed, visibly."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = _parsed(value)
        if isinstance(value, list | tuple):
            value = {"rules": value}
        if not isinstance(value, dict) or not isinstance(value.get("rules", ()), list | tuple):
            raise ValueError('the signing rules are not a list: write [{"match": …, "attestor": …, "key": …}, …]')  # noqa: TRY004 - pydantic reports ValueError with its place, a TypeError ends the process
        rules = tuple(_rule(number, item) for number, item in enumerate(value.get("rules", ()), start=1))
        return value | {"rules": rules}

    def matching(self, host: str, path: str) -> tuple[SigningRule, ...]:
        """Return the rules for the repository HOST/PATH, in order, each (attestor, key) once."""
        found: dict[tuple[str, str], SigningRule] = {}
        for rule in self.rules:
            if rule.matches(host, path):
                found.setdefault((rule.attestor, rule.key), rule)
        return tuple(found.values())


def _parsed(text: str) -> Any:
    if not text.strip():
        return []
    where = "the signing rules"
    if text.lstrip()[0] not in "[{":
        where = f"the signing rules in {text}"
        try:
            text = Path(text.removeprefix("file://")).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{where} cannot be read: {error}") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where} are not JSON: {error}") from None


def _rule(number: int, item: Any) -> SigningRule:
    if isinstance(item, SigningRule):
        return item
    try:
        return SigningRule.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "rule"
        raise ValueError(f"signing rule {number}, field {field!r}: {_sentence(field, first)}") from None


def _sentence(field: str, problem: Any) -> str:
    wanted = {
        "attestor": "write projects/PROJECT/attestors/ATTESTOR",
        "project": "write the project's id, as in `acme-prod`",
    }
    if problem["type"] == "string_pattern_mismatch" and field in wanted:
        return f"{problem['input']!r} is not what is meant: {wanted[field]}"
    return str(problem["msg"]).removeprefix("Value error, ")
