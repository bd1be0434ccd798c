"""Every SEALANE_ variable: its meaning, unit and default. Nothing else in the project reads the environment."""

import difflib
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from workers.console_settings import ConsoleSettings
from workers.github_rules import GithubSettings
from workers.registries import RegistryAccess
from workers.retention import Retention
from workers.rotation import RotationPace
from workers.signing import SigningRules
from workers.subscriptions import Subscriptions


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _unless_empty(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _seconds(value: Any) -> Any:
    """Read a plain number as seconds; ISO 8601 (`PT20S`) is understood as well."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Seconds = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0))]


class Settings(BaseSettings):
    """The settings of a process, from the environment. A list or object is given as JSON."""

    model_config = SettingsConfigDict(
        env_prefix="SEALANE_", extra="ignore", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    nats: str = "nats://127.0.0.1:4222"
    """Where the bus is: one or more URLs, comma-separated. Never holds a user or a password."""
    nats_seed: str | None = None
    """Secret reference (`file://…`, `env://…`) to the nkey seed of this process's bus identity."""
    data: Annotated[Path, Field(validate_default=True)] = Path(".sealane")
    """Folder of the local world: its data, endpoints and identities."""
    project: str = "sealane-local"
    """Google Cloud project in which this installation works."""
    registries: tuple[RegistryAccess, ...] = ()
    """The registries that may be asked, each with its credentials. None but these is ever contacted."""
    signing_rules: Annotated[SigningRules, NoDecode] = SigningRules()
    """Which attestor signs which images with which key: a JSON list, or the path of a JSON file that holds it. No rule
    means not signed, visibly."""
    principals: str = ""
    """Who may publish what at the door: a JSON object, or the path of a JSON file that holds it. Nobody if left out;
    `workers/gateway/principals.py` describes every field."""
    console: Annotated[ConsoleSettings | None, NoDecode, BeforeValidator(_unless_empty)] = None
    """The console for people: where they open it and how they sign in: a JSON object, or the path of a JSON file that
    holds it. Left out, there is none, but in the local world. `workers/console_settings.py` describes every field."""
    github: Annotated[GithubSettings, NoDecode] = GithubSettings()
    """GitHub: the webhook's secrets, the App, and which files mean which events: a JSON object, or the path of a JSON
    file that holds it. `workers/github_rules.py` describes every field."""
    feeds: Annotated[Subscriptions, NoDecode] = Subscriptions()
    """The Pub/Sub subscriptions that the bridge carries to the bus, and what their messages become: a JSON list, or the
    path of a JSON file that holds it; `workers/subscriptions.py` describes every field."""
    google_endpoint: str | None = None
    """HOST:PORT of a plain-text gRPC endpoint for all Google services (the local world); unset means Google."""
    google_token: str | None = None
    """Secret reference to the bearer token for `google_endpoint`."""
    grace: Seconds = timedelta(seconds=20)
    """Seconds that a stopping worker lets its handlers finish before it hands back the rest."""
    lease: Seconds = timedelta(seconds=20)
    """Seconds that a claim stays with a silent holder before another may take it over."""
    attestor_age: Seconds = timedelta(seconds=60)
    """Seconds for which what an attestor lists is believed: reads of attestors have a quota of 100 a minute."""
    rotation: RotationPace = RotationPace()
    """How patiently an attestor's signing key is rotated."""
    retention: Retention = Retention()
    """How much the streams of the bus keep, for how long, and in how many copies."""
    http_host: str = "127.0.0.1"
    """Address that the door listens on; 0.0.0.0 in a container."""
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of the door over HTTP; 0 takes a free one and logs it."""
    grpc_port: Annotated[int, Field(ge=-1, le=65535)] = -1
    """Port of the door over gRPC; 0 takes a free one and logs it, -1 turns it off."""
    grpc_certificate: Path | None = None
    """PEM file: the certificate of the door over gRPC, and those up to its root. Without it the door speaks plain text,
    and listens on this machine alone. Renewed files are used without a restart."""
    grpc_key: str | None = None
    """Secret reference (`file://…`) to the PEM private key of `grpc_certificate`."""
    grpc_client_ca: Path | None = None
    """PEM file: roots of client certificates. If given, nobody connects over gRPC without such a certificate; who bears
    it is then told by it, or by a bearer token besides."""
    metrics_port: int = 0
    """Port of /metrics, /livez and /readyz of a process; 0 takes a free one and logs it, -1 turns it off."""
    metrics_host: str = "127.0.0.1"
    """Address that /metrics, /livez and /readyz listen on; 0.0.0.0 in a container that others probe."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    otlp_endpoint: str | None = None
    """Where traces go (OTLP over HTTP); unset means they go nowhere."""

    @model_validator(mode="after")
    def _settle_in_time(self) -> Self:
        if self.rotation.settle <= self.attestor_age:
            raise ValueError(
                f"rotation.settle ({self.rotation.settle}) must be longer than attestor_age ({self.attestor_age}):"
                " until then somebody may sign with the old key"
            )
        return self


def ignored_variables() -> list[str]:
    """Say of each SEALANE_ variable that is no setting, and that no setting refers to, which one is probably meant.

    The values stay out, one might be a secret.
    """
    known = {name.upper() for name in Settings.model_fields}
    given = {name: value for name, value in os.environ.items() if name.upper().startswith("SEALANE_")}
    referred = {name for value in given.values() for name in re.findall(r"env://(\w+)", value)}
    sentences = []
    for name in sorted(given):
        plain = name.upper().removeprefix("SEALANE_")
        if plain not in known and name not in referred:
            near = difflib.get_close_matches(plain, known, n=1)
            hint = f"did you mean SEALANE_{near[0]}?" if near else "`sealane settings` lists them"
            sentences.append(f"{name} is no setting and is ignored: {hint}")
    return sentences
