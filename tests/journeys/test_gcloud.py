"""The real gcloud and openssl agree with what the lane made."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.journeys.conftest import Up, sealane
from tests.journeys.test_shell import in_shell
from workers.local.registry import build_image, push, write_layout

pytestmark = [pytest.mark.gcloud, pytest.mark.timeout(600)]


def pushed(world: Up, folder: Path, name: str) -> tuple[str, str]:
    """Push an image and return its repository and digest."""
    layout = write_layout(folder / name, build_image([{"etc/name": name.encode()}]), tag="latest")
    repository = f"{world.endpoints['registry']}/team/{name}"
    user, token = world.endpoints["registry_user"], Path(world.endpoints["token"]).read_text()
    return repository, push(layout, f"{repository}:1", username=user, password=token)


def unpadded(text: str) -> bytes:
    """Decode Google's base64, url-safe or not, padded or not."""
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))


def test_gcloud_reads_and_openssl_verifies_our_attestation(world: Up, tmp_path: Path) -> None:
    """Gcloud lists it, its payload is gcloud's own byte for byte, and the signature fits the key in Cloud KMS."""
    repository, digest = pushed(world, tmp_path, "ours")
    published = sealane(
        "publish", "image.pushed", "--set", f"image={repository}:1", "--wait", "--data", str(world.data)
    )
    assert published.returncode == 0, published.stderr

    url = f"--artifact-url={repository}@{digest}"
    script = (
        f"gcloud container binauthz attestations list --attestor=built-by-ci {url} --format=json &&"
        f" gcloud container binauthz create-signature-payload {url} >{tmp_path}/payload &&"
        " gcloud kms keys versions get-public-key 1 --key=attest --keyring=sealane --location=global"
        f" --output-file={tmp_path}/key.pem"
    )
    shown = in_shell(world.data, script)
    assert shown.returncode == 0, shown.stderr
    (listed,) = json.loads(shown.stdout)
    payload = unpadded(listed["attestation"]["serializedPayload"])
    assert payload == (tmp_path / "payload").read_bytes()
    (tmp_path / "signature").write_bytes(unpadded(listed["attestation"]["signatures"][0]["signature"]))

    assert shutil.which("openssl") is not None
    command = f"openssl dgst -sha256 -verify {tmp_path}/key.pem -signature {tmp_path}/signature {tmp_path}/payload"
    checked = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert checked.stdout.strip() == "Verified OK", checked.stderr
