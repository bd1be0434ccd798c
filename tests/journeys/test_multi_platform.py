"""An index for two platforms, pushed with skopeo: three attestations; its SBOM and its signatures cause none."""

import asyncio
import base64
import hashlib
import json
import shutil
import sysconfig
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.journeys.conftest import Up, sealane
from tests.journeys.test_shell import in_shell
from workers.app.clouds import Clouds
from workers.app.environment import load_settings
from workers.local.registry import Image, build_image, build_index, push, write_layout
from workers.manifests import OCI_INDEX, OCI_MANIFEST
from workers.ports import Attestations

OS_RELEASE = b'ID=debian\nVERSION_ID="12"\n'
STATUS = b"Package: libshop\nStatus: install ok installed\nVersion: 1.2-3\nArchitecture: amd64\n\n"
FILES = [{"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": STATUS}]
INDEX = build_index([build_image(FILES), build_image(FILES, architecture="arm64")])
EMPTY = "application/vnd.oci.empty.v1+json"
COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_TAG = INDEX.digest.replace(":", "-")


def artifact(layer_type: str, layer: bytes, config_type: str, config: bytes, **more: Any) -> Image:
    """Return an artifact of one layer, as cosign and oras build them."""

    def described(media_type: str, body: bytes, **extra: Any) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": digest_of(body), "size": len(body)} | extra

    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": described(config_type, config),
        "layers": [described(layer_type, layer, annotations=more.pop("annotations", {}))],
    }
    return Image(
        OCI_MANIFEST, json.dumps(manifest | more).encode(), {digest_of(body): body for body in (config, layer)}
    )


def digest_of(body: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def subject() -> dict[str, Any]:
    """Return what says that an artifact is about the index."""
    return {"subject": {"mediaType": OCI_INDEX, "digest": INDEX.digest, "size": len(INDEX.manifest)}}


def cosign_signature(repository: str, *, as_referrer: bool) -> Image:
    """Sign the index as cosign does: a simple signing payload as the layer, its signature in an annotation."""
    critical = {
        "identity": {"docker-reference": repository},
        "image": {"docker-manifest-digest": INDEX.digest},
        "type": "cosign container image signature",
    }
    payload = json.dumps({"critical": critical, "optional": None}).encode()
    signature = ec.generate_private_key(ec.SECP256R1()).sign(payload, ec.ECDSA(hashes.SHA256()))
    annotations = {"dev.cosignproject.cosign/signature": base64.b64encode(signature).decode()}
    if as_referrer:
        return artifact(COSIGN, payload, EMPTY, b"{}", artifactType=COSIGN, annotations=annotations, **subject())
    config = json.dumps({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [digest_of(payload)]}})
    kind = "application/vnd.oci.image.config.v1+json"
    return artifact(COSIGN, payload, kind, config.encode(), annotations=annotations)


def sbom(world: Up, image: str) -> Image:
    """Let syft read the image in the registry, and return what it found as an artifact about the index."""
    syft = shutil.which("syft", path=sysconfig.get_path("scripts"))
    script = f"SYFT_REGISTRY_INSECURE_USE_HTTP=true {syft} scan --quiet -o spdx-json registry:{image}"
    found = in_shell(world.data, f"{script} --platform linux/amd64")
    assert found.returncode == 0, found.stderr
    assert "libshop" in found.stdout
    spdx = "application/spdx+json"
    return artifact(spdx, found.stdout.encode(), EMPTY, b"{}", artifactType=spdx, **subject())


def published(world: Up, image: str) -> tuple[list[str], str]:
    """Announce an image as the registry would; return the digests attested by it, and all that was said."""
    done = sealane("publish", "image.pushed", "--set", f"image={image}", "--wait", "--json", "--data", str(world.data))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (result,) = [line for line in lines if line.get("worker") == "attest" and line["kind"] == "result"]
    assert result["outcome"] == "done"
    return [ref["type"] for ref in result.get("emitted", [])], done.stdout


async def attestations(world: Up) -> list[str]:
    """Return the digests of all attestations that the world's note has."""
    settings = load_settings(world.data)
    async with Clouds(settings) as clouds:
        port: Attestations = await clouds.port(Attestations)
        return sorted([one.digest async for one in port.of_note(world.endpoints["note"])])


def skopeo(world: Up, layout: Path, reference: str) -> None:
    """Copy a layout into the registry with all that belongs to it."""
    copied = in_shell(world.data, f"skopeo copy --all --dest-tls-verify=false oci:{layout}:latest docker://{reference}")
    assert copied.returncode == 0, copied.stderr


def artifacts_pushed(world: Up, repository: str, folder: Path) -> dict[str, str]:
    """Push signature and SBOM as real clients keep them; return what the worker should say of each reference."""
    tagged = write_layout(folder / "tagged", cosign_signature(repository, as_referrer=False))
    said = {
        f"{repository}:{COSIGN_TAG}.sig": "is a cosign signature, as its tag says",
        f"{repository}:other": f"is an artifact with layers of {COSIGN}",
    }
    for reference in said:
        skopeo(world, tagged, reference)
    user, token = world.endpoints["registry_user"], Path(world.endpoints["token"]).read_text()
    for number, referrer in enumerate((sbom(world, f"{repository}:1"), cosign_signature(repository, as_referrer=True))):
        layout = write_layout(folder / f"referrer-{number}", referrer)
        digest = push(layout, repository, username=user, password=token)
        said[f"{repository}@{digest}"] = "is an artifact of type application/"
    return said


def test_an_index_gets_three_attestations_and_its_artifacts_none(world: Up, tmp_path: Path) -> None:
    """Real tools push, the workers sign index and platforms, and nothing that is pushed afterwards is signed."""
    repository = f"{world.endpoints['registry']}/team/multi"
    skopeo(world, write_layout(tmp_path / "index", INDEX), f"{repository}:1")

    emitted, _ = published(world, f"{repository}:1")
    assert emitted == ["image.attested"] * 3
    expected = sorted([INDEX.digest, *(member.digest for member in INDEX.members)])
    assert asyncio.run(attestations(world)) == expected
    for digest in expected:
        verified = sealane("verify", f"{repository}@{digest}", "--data", str(world.data))
        assert verified.returncode == 0, verified.stdout + verified.stderr

    said = artifacts_pushed(world, repository, tmp_path)
    for image, sentence in said.items():
        emitted, output = published(world, image)
        assert emitted == [], output
        assert sentence in output
    assert asyncio.run(attestations(world)) == expected


def test_what_was_pushed_before_is_attested_on_request(world: Up, tmp_path: Path) -> None:
    """Artifact Registry lists what was pushed since a date; the index is announced, its parts and artifacts are not."""
    repository = f"{world.endpoints['registry']}/backlog/shop"
    skopeo(world, write_layout(tmp_path / "index", INDEX), f"{repository}:1")
    signature = write_layout(tmp_path / "sig", cosign_signature(repository, as_referrer=False))
    skopeo(world, signature, f"{repository}:{COSIGN_TAG}.sig")
    name = f"{world.endpoints['location']}/repositories/backlog"

    done = sealane("attest", name, "--since", "2020-01-01", "--wait", "--json", "--data", str(world.data))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"1 image was pushed to {name} since 2020-01-01 00:00 UTC" in done.stderr
    assert "2 are signed with their index; 1 is no image" in done.stderr
    (result,) = [line for line in map(json.loads, done.stdout.splitlines()) if line["kind"] == "result"]
    assert [ref["type"] for ref in result["emitted"]] == ["image.attested"] * 3
    verified = sealane("verify", f"{repository}:1", "--data", str(world.data))
    assert verified.returncode == 0, verified.stdout

    later = sealane("attest", name, "--since", "2999-01-01", "--wait", "--data", str(world.data))
    assert (later.returncode, later.stdout) == (0, "")
    assert "0 images were pushed" in later.stderr
