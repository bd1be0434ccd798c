"""Which registries may be asked, and how: the allow-list, part of the settings.

Nothing but a listed host is ever contacted, and a token is only ever asked of a listed host.
"""

import ipaddress
import re
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

SETTING = "SEALANE_REGISTRIES"
"""The environment variable that holds the list, as JSON."""

_HOST = r"^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::[0-9]{1,5})?$"
_SECRET = r"^(?:env|file|gcp-secret|vault)://.+$"  # noqa: S105 - the form of a reference, not a secret
_SEGMENT = re.compile(r"[a-z0-9*][a-z0-9._*-]*")
Host = Annotated[str, StringConstraints(pattern=_HOST, max_length=255)]


def is_loopback(host: str) -> bool:
    """Whether HOST[:PORT] names this machine by itself, without asking any name server."""
    name = host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class RegistryAccess(BaseModel):
    """One registry that may be asked, with the credentials for it.

    A value that is refused is not repeated in the error: somebody may have written a password where a reference to
    one belongs.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    host: Annotated[Host, Field(examples=["europe-docker.pkg.dev"])]
    """HOST[:PORT], as it stands at the beginning of an image reference."""
    paths: Annotated[tuple[str, ...], Field(strict=False, min_length=1, examples=[["acme/apps/**"]])] = ("**",)
    """Repositories that may be asked for: `*` is anything within a segment, `**` any number of segments."""
    insecure: bool = False
    """Speak plain HTTP. Only for a registry on this machine, unless `insecure_remote` says that it is meant."""
    insecure_remote: bool = False
    """Allow plain HTTP, and with it readable credentials, to another machine."""
    token_hosts: Annotated[tuple[Host, ...], Field(strict=False, examples=[["auth.example.com"]])] = ()
    """Further hosts that may issue tokens for this registry and see its credentials; the host itself always may."""
    username: Annotated[str | None, Field(min_length=1, examples=["robot"])] = None
    """User name; together with `password`."""
    password: Annotated[str | None, StringConstraints(pattern=_SECRET), Field(examples=["env://NEXUS_PASSWORD"])] = None
    """Where the password is: `env://NAME` or `file:///PATH`. Never the password itself."""
    google: bool = False
    """Use this process's own Google access token (Artifact Registry); no user name or password then."""

    @field_validator("paths")
    @classmethod
    def _readable_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in paths:
            for segment in pattern.split("/"):
                if segment != "**" and ("**" in segment or not _SEGMENT.fullmatch(segment)):
                    raise ValueError(
                        "a path pattern is lower-case segments such as acme/apps/*, with `**` alone between slashes"
                    )
        return paths

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.insecure and not self.insecure_remote and not is_loopback(self.host):
            raise ValueError(
                "plain HTTP to another machine shows the credentials to everybody on the way: drop `insecure`, or set"
                " `insecure_remote` as well if it is meant"
            )
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` come together: set both or neither")
        if self.google and self.username is not None:
            raise ValueError("`google` brings its own user and password: set it, or `username` and `password`")
        return self

    @cached_property
    def _expressions(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(_expression(pattern)) for pattern in self.paths)

    @property
    def scheme(self) -> str:
        """`https`, or `http` where the entry says so."""
        return "http" if self.insecure else "https"

    def allows(self, path: str) -> bool:
        """Whether the repository PATH (without the host) may be asked for."""
        return any(expression.fullmatch(path) for expression in self._expressions)


def _expression(pattern: str) -> str:
    *before, last = pattern.split("/")
    parts = ["(?:[^/]+/)*" if segment == "**" else f"{_within(segment)}/" for segment in before]
    return "".join([*parts, ".+" if last == "**" else _within(last)])


def _within(segment: str) -> str:
    return "[^/]*".join(re.escape(literal) for literal in segment.split("*"))
