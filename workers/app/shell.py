"""What a shell must know to use the local world with tools that are not ours."""

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workers.app.environment import world_folder
from workers.failures import Unavailable
from workers.local.folder import WorldFolder

_GCLOUD_APIS = ("cloudkms", "containeranalysis", "binaryauthorization", "artifactregistry", "pubsub")


def shell_environment(data: Path | None) -> dict[str, str]:
    """Return the variables, in order. Raises Unavailable when no world is running there.

    gcloud gets the production host names through a plain proxy, so that key ids stay what they are in production.
    """
    folder = world_folder(data)
    endpoints = running(folder)
    rest = urlsplit(endpoints["google_rest"])
    overrides = {
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"http://{api}.googleapis.com/" for api in _GCLOUD_APIS
    }
    return {
        "SEALANE_DATA": str(folder.root),
        "NATS_URL": endpoints["nats"],
        "NATS_NKEY": str(folder.identities / "operator.seed"),
        "CLOUDSDK_CORE_PROJECT": endpoints["project"],
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": endpoints["token"],
        "CLOUDSDK_PROXY_TYPE": "http_no_tunnel",
        "CLOUDSDK_PROXY_ADDRESS": rest.hostname or "127.0.0.1",
        "CLOUDSDK_PROXY_PORT": str(rest.port),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        **overrides,
        "GOOGLE_CLOUD_PROJECT": endpoints["project"],
        "SEALANE_GOOGLE_ENDPOINT": endpoints["google_grpc"],
        "SEALANE_GOOGLE_TOKEN": f"file://{endpoints['token']}",
        "REGISTRY_AUTH_FILE": str(registry_login(folder)),
    }


def registry_login(folder: WorldFolder) -> Path:
    """Write what skopeo and podman log in with (containers-auth.json), for its owner alone, and return where it is.

    Raises Unavailable when no world is running there.
    """
    endpoints = running(folder)
    auth = base64.b64encode(f"{endpoints['registry_user']}:{folder.token()}".encode()).decode()
    login = json.dumps({"auths": {endpoints["registry"]: {"auth": auth}}})
    return _written(folder.root / "registry-login.json", login)


def door_login(folder: WorldFolder, door: str) -> Path:
    """Write what `curl -K` brings an event with, for its owner alone, and return where it is: no key in an argv.

    `door` is its URL. The type and the id of the event are left to say: `-H ce-type:… -H ce-id:… -d JSON`.
    """
    headers = {
        "Authorization": f"Bearer {folder.api_key()}",
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-source": "/curl",
    }
    lines = [f'url = "{door}/events"', *(f'header = "{name}: {value}"' for name, value in headers.items())]
    return _written(folder.root / "door.curl", "\n".join([*lines, ""]))


def _written(file: Path, text: str) -> Path:
    fresh = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    fresh.replace(file)
    return file


def running(folder: WorldFolder) -> dict[str, Any]:
    """Return the endpoints of the world in a folder. Raises Unavailable when none is running there."""
    endpoints = folder.endpoints()
    if endpoints is None:
        raise Unavailable(f"no world is running in {folder.root}: start one with `sealane up --data {folder.root}`")
    return endpoints
