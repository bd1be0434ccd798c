"""What GitHub may say and what follows from it: the webhook's secrets, the App, and the path rules. Settings.

A path rule binds a repository's number, a ref and a pattern over paths (`workers/path_patterns.py`) to the type of
event that follows. An event's field gets the name that is called like it, or what `fields` makes of the names.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from schemas.certificates import CertificateExpiring
from schemas.github import Login, Number
from schemas.tenants import TenantOffboarded, TenantOnboarded
from workers.json_settings import json_setting
from workers.path_patterns import has_names, is_plain, path_expression, ref_expression
from workers.registries import Host, is_loopback

SETTING = "SEALANE_GITHUB"
"""The environment variable that holds all of this, as JSON or as the path of a JSON file."""

Change = Literal["added", "modified", "removed"]
Declared = TenantOnboarded | TenantOffboarded | CertificateExpiring
DECLARED: Mapping[str, type[Declared]] = {
    event.event_type: event for event in (TenantOnboarded, TenantOffboarded, CertificateExpiring)
}
"""What a path may mean, by type."""
_FILLED = frozenset({"tenant", "certificate"})
"""Fields that the names of a pattern fill; a push itself fills the others."""
_PLACE = re.compile(r"\{([a-z][a-z_]{0,30})\}")
_FIELD = re.compile(r"[A-Za-z0-9._/-]*")
_REF = r"refs/(?:heads|tags)/[A-Za-z0-9._*@+-]+(?:/[A-Za-z0-9._*@+-]+)*"


def _reference(text: str) -> str:
    if not text.partition("://")[2] or text.partition("://")[0] not in {"env", "file", "gcp-secret", "vault"}:
        raise ValueError("is no secret reference: write file://PATH or env://NAME, never the secret itself")
    return text


def _ref(text: str) -> str:
    if not re.fullmatch(_REF, text):
        raise ValueError("is no ref: write refs/heads/BRANCH or refs/tags/TAG, with `*` for anything within a segment")
    return text


Reference = Annotated[str, AfterValidator(_reference)]
AppId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.]{1,64}$")]
_SETTINGS = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class PathRule(BaseModel):
    """What a change of files in a repository means."""

    model_config = _SETTINGS

    repository_id: Annotated[Number, Field(examples=[186853002])]
    """GitHub's number of the repository: a name can be taken by somebody else."""
    ref: Annotated[str, Field(max_length=255, examples=["refs/heads/main"]), AfterValidator(_ref)] = "refs/heads/main"
    """The branch or tag; `*` is anything within a segment."""
    paths: Annotated[
        str, StringConstraints(min_length=1, max_length=512), Field(examples=["onboarding/{tenant}/*.yaml"])
    ]
    """Pattern over whole paths."""
    changes: Annotated[tuple[Change, ...], Field(strict=False, min_length=1, examples=[["added", "modified"]])] = (
        "added",
        "modified",
    )
    """Which changes count. `removed`: the last file of the event's names is gone from the ref itself."""
    event: Annotated[str, Field(examples=["tenant.onboarded"])]
    """The type of the event that follows."""
    fields: Annotated[dict[str, str], Field(max_length=16, examples=[{"certificate": "{tenant}-edge"}])] = Field(
        default_factory=dict
    )
    """What further fields of the event hold, made of text and names of the pattern."""
    when_deleted: Annotated[Literal["keep", "remove"], Field(examples=["keep"])] = "keep"
    """What the deletion of the ref itself means: `keep` what was declared until the ref is there again, or take all
    its files as removed."""

    @model_validator(mode="after")
    def _makes_an_event(self) -> Self:
        kind = DECLARED.get(self.event)
        if kind is None:
            raise ValueError(f"no path can mean {self.event!r}: write one of {', '.join(DECLARED)}")
        names = set(self.expression.groupindex)
        free = _FILLED & set(kind.model_fields)
        for field, template in self.fields.items():
            if field not in free:
                raise ValueError(f"fields: {self.event} has no field {field!r} that a rule may fill")
            if unknown := set(_PLACE.findall(template)) - names:
                raise ValueError(f"fields: the pattern {self.paths!r} has no name {{{min(unknown)}}}")
            if not _FIELD.fullmatch(_PLACE.sub("", template)):
                raise ValueError(f"fields: {field!r} holds something else than letters, digits, `.`, `_`, `/` and `-`")
        needed = {name for name in free if kind.model_fields[name].is_required()}
        if lacking := needed - names - set(self.fields):
            raise ValueError(
                f"{self.event} needs {min(lacking)!r}: write {{{min(lacking)}}} in `paths`, or fill it in `fields`"
            )
        if len(set(self.changes)) != len(self.changes):
            raise ValueError("changes: each word once")
        return self

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """What a path must match as a whole."""
        return path_expression(self.paths, strict=True)

    @cached_property
    def loose_expression(self) -> re.Pattern[str]:
        """What a path matches whose names are spelt in a way that is not taken."""
        return path_expression(self.paths, strict=False)

    @cached_property
    def _ref_expression(self) -> re.Pattern[str]:
        return ref_expression(self.ref)

    @cached_property
    def folder(self) -> str:
        """The deepest folder in which all matching files are: the part of the pattern without `*` and names."""
        *folders, _ = self.paths.split("/")
        literal: list[str] = []
        for segment in folders:
            if "*" in segment or "{" in segment:
                break
            literal.append(segment)
        return "/".join(literal)

    def applies(self, repository_id: int, ref: str) -> bool:
        """Whether the rule is about this ref of this repository."""
        return repository_id == self.repository_id and self._ref_expression.fullmatch(ref) is not None

    def fields_of(self, path: str) -> dict[str, str] | None:
        """Return the fields that a path gives its event; None when the path does not match."""
        found = self.expression.fullmatch(path) if is_plain(path) else None
        if found is None:
            return None
        names = found.groupdict()
        own = {name: value for name, value in names.items() if name in _FILLED & set(DECLARED[self.event].model_fields)}
        return own | {
            field: _PLACE.sub(lambda place: names[place[1]], template) for field, template in self.fields.items()
        }

    def nearly(self, path: str) -> bool:
        """Whether a path would match, were its names spelt or its folders written as they must be."""
        return has_names(path) and self.loose_expression.fullmatch(path) is not None and self.fields_of(path) is None


class PackageOwner(BaseModel):
    """An owner whose published container packages are pushed images."""

    model_config = _SETTINGS

    owner: Annotated[Login, Field(examples=["acme"])]
    """Login: the first segment of the image's path, in lower case."""
    owner_id: Annotated[Number, Field(examples=[21031067])]
    """The owner's number: a login can be taken by somebody else."""


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class GithubSettings(BaseModel):
    """How GitHub is listened to and asked. Read from a JSON object, or the path of a JSON file that holds it."""

    model_config = _SETTINGS

    api: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#@]+$", max_length=255)] = "https://api.github.com"
    """Where GitHub's REST API is, without a slash at its end; plain HTTP on this machine alone."""
    app_id: Annotated[AppId | None, BeforeValidator(_text)] = None
    """Id, or client id, of the GitHub App that is us; together with `private_key`. Without it nothing is asked."""
    private_key: Reference | None = None
    """Secret reference (`file://…`, `env://…`) to the App's private key, PEM."""
    secrets: Annotated[tuple[Reference, ...], Field(strict=False, max_length=8)] = ()
    """Secret references to the webhook's secrets: each of them is good, so that one can take another's place."""
    rules: Annotated[tuple[PathRule, ...], Field(strict=False)] = ()
    """What changes of files mean."""
    package_owners: Annotated[tuple[PackageOwner, ...], Field(strict=False)] = ()
    """Whose published container packages are pushed images."""
    package_hosts: Annotated[tuple[Host, ...], Field(strict=False)] = ("ghcr.io",)
    """The registries in which such packages are."""
    redeliveries: Annotated[int, Field(ge=0, le=100)] = 12
    """How often a failed delivery is asked for again, at most, ever less often: 12 times take two days of the three
    for which GitHub keeps it."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return (json_setting(value, "the GitHub settings") or {}) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.app_id is None) != (self.private_key is None):
            raise ValueError("`app_id` and `private_key` come together: set both or neither")
        place = urlsplit(self.api)
        if place.scheme == "http" and not is_loopback(place.netloc):
            raise ValueError("plain HTTP to another machine shows our tokens to everybody on the way: write https://")
        if self.api.endswith("/"):
            raise ValueError("`api` ends without a slash, as in https://github.example.com/api/v3")
        return self

    def rules_for(self, repository_id: int, ref: str) -> tuple[PathRule, ...]:
        """Return the rules about a ref of a repository."""
        return tuple(rule for rule in self.rules if rule.applies(repository_id, ref))
