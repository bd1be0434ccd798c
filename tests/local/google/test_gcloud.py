"""The real gcloud against the local services, through a plain proxy setting, with production host names."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.local.google.clients import TOKEN, Clients
from tests.local.google.scenes import ATTESTOR, DIGEST, KEY_ID, NOTE, PROJECT, VERSION, Signer, make_note
from workers.local.google import GoogleServices

pytestmark = [pytest.mark.gcloud, pytest.mark.timeout(600)]

IMAGE = f"europe-docker.pkg.dev/demo/apps/shop@{DIGEST}"
KEY_FLAGS = (
    "--keyversion=1",
    "--keyversion-key=signer",
    "--keyversion-keyring=ring",
    "--keyversion-location=global",
    "--keyversion-project=demo",
)
Gcloud = Callable[..., Awaitable[Any]]


def environment(directory: Path, port: int) -> dict[str, str]:
    """Return what points gcloud at a local REST port."""
    token = directory / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    apis = ("cloudkms", "containeranalysis", "binaryauthorization")
    overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"http://{api}.googleapis.com/" for api in apis}
    return (
        os.environ
        | overrides
        | {
            "CLOUDSDK_CONFIG": str(directory / "config"),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
            "CLOUDSDK_CORE_PROJECT": "demo",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "CLOUDSDK_PROXY_TYPE": "http_no_tunnel",
            "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
            "CLOUDSDK_PROXY_PORT": str(port),
        }
    )


@pytest.fixture
def gcloud(google: GoogleServices, tmp_path: Path) -> Gcloud:
    """Run gcloud with JSON output; fails the test with gcloud's own words."""
    env = environment(tmp_path, google.rest_port)

    async def run(*arguments: str, fails: bool = False) -> Any:
        command = ["gcloud", *arguments, "--format=json"]
        done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, check=False)
        if fails:
            assert done.returncode != 0
            return done.stderr
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


async def seed(gcloud: Gcloud, clients: Clients) -> Any:
    """Make key ring, key, attestor and its public key, which is returned, with gcloud; for notes it has no command."""
    await make_note(clients)
    await gcloud("kms", "keyrings", "create", "ring", "--location=global")
    flags = ("--purpose=asymmetric-signing", "--default-algorithm=ec-sign-p256-sha256")
    await gcloud("kms", "keys", "create", "signer", "--keyring=ring", "--location=global", *flags)
    note = ("--attestation-authority-note=reviewed", "--attestation-authority-note-project=demo")
    await gcloud("container", "binauthz", "attestors", "create", "reviewer", *note)
    return await gcloud("container", "binauthz", "attestors", "public-keys", "add", "--attestor=reviewer", *KEY_FLAGS)


def openssl_accepts(directory: Path, pem: str, attestation: dict[str, Any]) -> bool:
    """Tell whether openssl verifies the attestation, as gcloud printed it, with the public key."""
    signature = attestation["signatures"][0]["signature"]
    (directory / "payload").write_bytes(base64.urlsafe_b64decode(attestation["serializedPayload"]))
    (directory / "signature").write_bytes(base64.urlsafe_b64decode(signature))
    (directory / "key.pem").write_text(pem)
    verify = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "payload"]
    return subprocess.run(verify, cwd=directory, capture_output=True, check=False).returncode == 0


async def test_gcloud_signs_validates_and_lists_an_attestation(
    google: GoogleServices, gcloud: Gcloud, over_grpc: Clients, tmp_path: Path
) -> None:
    """From the key ring to the attestation with gcloud alone; openssl then verifies what was stored."""
    registered = await seed(gcloud, over_grpc)
    binauthz = ("container", "binauthz")
    create = ("attestations", "sign-and-create", "--validate", f"--artifact-url={IMAGE}")
    await gcloud("beta", *binauthz, *create, "--attestor=reviewer", "--attestor-project=demo", *KEY_FLAGS)
    listed = await gcloud(*binauthz, "attestations", "list", "--attestor=reviewer", f"--artifact-url={IMAGE}")
    others = await gcloud(
        *binauthz, "attestations", "list", "--attestor=reviewer", f"--artifact-url={IMAGE[:-1]}{int(IMAGE[-1] == '0')}"
    )

    assert registered["id"] == KEY_ID
    assert google.faults.calls["ValidateAttestationOccurrence"] == 1
    assert [one["noteName"] for one in listed] == [NOTE]
    assert others == []

    signed = listed[0]["attestation"]
    assert signed["signatures"][0]["publicKeyId"] == KEY_ID
    assert openssl_accepts(tmp_path, (await over_grpc.kms.get_public_key(name=VERSION)).pem, signed)


async def test_gcloud_is_told_what_is_wrong(gcloud: Gcloud, over_grpc: Clients) -> None:
    """Errors of the local services reach the person at the terminal."""
    await Signer(over_grpc).seed()
    missing = await gcloud("container", "binauthz", "attestors", "describe", "nobody", fails=True)
    version = ("--key=signer", "--keyring=ring", "--location=global")
    await gcloud("kms", "keys", "versions", "disable", "1", *version)
    create = ("attestations", "sign-and-create", f"--artifact-url={IMAGE}", "--attestor=reviewer")
    disabled = await gcloud("beta", "container", "binauthz", *create, *KEY_FLAGS, fails=True)

    assert "nobody not found" in missing
    assert "is not enabled, current state is: DISABLED" in disabled


async def test_gcloud_exports_and_imports_the_policy(gcloud: Gcloud, over_grpc: Clients, tmp_path: Path) -> None:
    """A legal policy goes around; an illegal one is refused."""
    await Signer(over_grpc).seed()
    policy = await gcloud("container", "binauthz", "policy", "export")
    rule = {"evaluationMode": "REQUIRE_ATTESTATION", "requireAttestationsBy": [ATTESTOR]}
    policy["defaultAdmissionRule"] |= rule
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    await gcloud("container", "binauthz", "policy", "import", str(tmp_path / "policy.json"))
    imported = await over_grpc.binauthz.get_policy(name=f"{PROJECT}/policy")
    policy["defaultAdmissionRule"]["evaluationMode"] = "ALWAYS_DENY"
    policy.pop("etag", None)
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    refused = await gcloud("container", "binauthz", "policy", "import", str(tmp_path / "policy.json"), fails=True)

    assert list(imported.default_admission_rule.require_attestations_by) == [ATTESTOR]
    assert "must be empty when evaluation_mode is ALWAYS_DENY" in refused
