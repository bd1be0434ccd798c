"""The settings of this process: the environment, overlaid by the local world where one is meant."""

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

from workers.failures import Unavailable
from workers.local.folder import WorldFolder
from workers.local.seed import feeds
from workers.settings import Settings, ignored_variables
from workers.terminal import safe

log = logging.getLogger(__name__)

_PLACE = frozenset({"nats", "project", "google_endpoint", "google_token"})
"""What says where the world is: never a mixture of two worlds."""


def world_folder(data: Path | None) -> WorldFolder:
    """Return the folder of the local world that is meant: `data`, else SEALANE_DATA, else ./.sealane."""
    _say_what_is_ignored()
    return WorldFolder(data or Settings().data)


def load_settings(data: Path | None = None) -> Settings:
    """Return the settings. The local world counts when `data` is given, or when SEALANE_NATS is not set.

    Raises Unavailable when `data` is given and no world runs there.
    """
    _say_what_is_ignored()
    settings = Settings()
    if data is None and "nats" in settings.model_fields_set:
        return settings
    folder = WorldFolder(data or settings.data)
    endpoints = folder.endpoints()
    if endpoints is None:
        if data is not None:
            raise Unavailable(f"no world is running in {folder.root}: start one with `sealane up --data {data}`")
        return settings
    return overlay(settings, folder, endpoints)


@cache
def _say_what_is_ignored() -> None:
    """Say once a process which variables are no settings."""
    for sentence in ignored_variables():
        log.warning("%s", safe(sentence))


def joined_world(data: Path | None = None) -> tuple[WorldFolder, dict[str, Any]] | None:
    """Return the local world whose settings `load_settings` returns, with its endpoints; None when it is none."""
    settings = Settings()
    if data is None and "nats" in settings.model_fields_set:
        return None
    folder = WorldFolder(data or settings.data)
    endpoints = folder.endpoints()
    return None if endpoints is None else (folder, endpoints)


def overlay(settings: Settings, folder: WorldFolder, endpoints: dict[str, Any]) -> Settings:
    """Return the settings with those of a running local world; rules and registries set by hand stay."""
    explicit = settings.model_dump(include=settings.model_fields_set - _PLACE)
    local = {
        "nats": endpoints["nats"],
        "nats_seed": f"file://{folder.identities}/{{identity}}.seed",
        "data": folder.root,
        "project": endpoints["project"],
        "google_endpoint": endpoints["google_grpc"],
        "google_token": f"file://{endpoints['token']}",
        "registries": endpoints["registries"],
        "signing_rules": endpoints["signing_rules"],
        "github": endpoints["github_settings"],
        "feeds": feeds(endpoints["project"]),
    }
    return Settings.model_validate(local | explicit | {"data": folder.root, "nats_seed": local["nats_seed"]})


def world_environment(folder: WorldFolder) -> dict[str, str]:
    """Return the environment for a child process that joins the world of this folder."""
    return dict(os.environ) | {"SEALANE_DATA": str(folder.root)}  # noqa: TID251 - handed on, not read
