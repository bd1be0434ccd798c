"""The console: where people open it, and how they sign in. Settings.

Whoever signs in is a principal of the policy (SEALANE_PRINCIPALS): there it is said what it may see, and whether it may
act.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from workers.json_settings import json_setting

Reference = Annotated[str, StringConstraints(pattern=r"^(?:env|file|gcp-secret|vault)://.+$")]
Url = Annotated[
    str, StringConstraints(pattern=r"^(?:https://|http://(?:127\.0\.0\.1|localhost)(?::[0-9]+)?)[^\s@/]*/?$")
]
_SETTINGS = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Provider(BaseModel):
    """Somebody who says who a person is."""

    model_config = _SETTINGS

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    """What it is called in addresses: the redirect URI to register is URL/console/login/NAME/callback."""
    kind: Literal["oidc", "github"] = "oidc"
    """`oidc`: OpenID Connect, as Google has it; `github`: GitHub's OAuth, which has no ID tokens."""
    title: str = ""
    """What people call it; left out, its name."""
    issuer: str
    """Name of the issuer in SEALANE_PRINCIPALS, whose `audience` is `client_id`: its principals sign in."""
    client_id: Annotated[str, Field(min_length=1)]
    """The id that the provider gave this console."""
    client_secret: Reference
    """Secret reference to what the provider gave with it."""


class Proxy(BaseModel):
    """A proxy that signs its word (JWT) about who comes, as Google's Identity-Aware Proxy does."""

    model_config = _SETTINGS

    header: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")] = "x-goog-iap-jwt-assertion"
    """The header that holds it, in lower case."""
    issuer: str
    """Name of the issuer in SEALANE_PRINCIPALS, with its keys and `audience`: its principals come so."""


class ConsoleSettings(BaseModel):
    """The console; left out, there is none."""

    model_config = _SETTINGS

    url: Url | None = None
    """Where people open the door, as in https://sealane.example.com; needed unless it listens on loopback."""
    secret: Reference | None = None
    """Secret reference to at least 32 random bytes as text, the same in all replicas: it signs the cookies."""
    operator_seed: Reference | None = None
    """Secret reference to the nkey seed of the bus identity `operator`, under which the console acts; left out, it is
    where SEALANE_NATS_SEED says, which then holds `{identity}`."""
    session: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=30))] = timedelta(hours=12)
    """How long somebody stays signed in, in seconds or ISO 8601."""
    providers: tuple[Provider, ...] = ()
    """Who may say who a person is."""
    proxy: Proxy | None = None
    """The identity-aware proxy that stands before the console and says who comes."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return json_setting(value, "the settings of the console") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.secret is None:
            raise ValueError("`secret` is missing: name where at least 32 random bytes are, as file:///PATH")
        return self
