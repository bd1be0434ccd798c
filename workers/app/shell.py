"""What a shell must know to use the local world with tools that are not ours."""

import base64
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from workers.app.environment import world_folder
from workers.failures import Unavailable

_GCLOUD_APIS = ("cloudkms", "containeranalysis", "binaryauthorization")


def shell_environment(data: Path | None) -> dict[str, str]:
    """Return the variables, in order. Raises Unavailable when no world is running there.

    gcloud gets the production host names through a plain proxy, so that key ids stay what they are in production.
    """
    folder = world_folder(data)
    endpoints = folder.endpoints()
    if endpoints is None:
        raise Unavailable(f"no world is running in {folder.root}: start one with `sealane up --data {folder.root}`")
    rest = urlsplit(endpoints["google_rest"])
    login = folder.root / "registry-login.json"
    _write_login(login, endpoints["registry"], endpoints["registry_user"], folder.token())
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
        "REGISTRY_AUTH_FILE": str(login),
    }


def _write_login(file: Path, registry: str, user: str, token: str) -> None:
    """Write what skopeo and podman log in with (containers-auth.json), for its owner alone."""
    auth = base64.b64encode(f"{user}:{token}".encode()).decode()
    fresh = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        json.dump({"auths": {registry: {"auth": auth}}}, opened)
    fresh.replace(file)
