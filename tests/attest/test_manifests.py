"""What the bytes of a manifest say: an image, an index, or something that is no image and is not signed."""

import hashlib
import json
from typing import Any

import pytest

from workers.failures import Invalid
from workers.manifests import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    LIMIT,
    OCI_INDEX,
    OCI_MANIFEST,
    Child,
    artifact_of_tag,
    read_manifest,
)

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
HEX = "a" * 64


def descriptor(media_type: str, digest: str = f"sha256:{HEX}", **more: Any) -> dict[str, Any]:
    """Return a descriptor as JSON has it."""
    return {"mediaType": media_type, "digest": digest, "size": 2} | more


def image(config: str = OCI_CONFIG, layers: tuple[str, ...] = (OCI_LAYER,), **more: Any) -> bytes:
    """Return the bytes of a manifest."""
    fields = {"schemaVersion": 2, "config": descriptor(config), "layers": [descriptor(layer) for layer in layers]}
    return json.dumps(fields | more).encode()


def index(*children: dict[str, Any], **more: Any) -> bytes:
    """Return the bytes of an index."""
    return json.dumps({"schemaVersion": 2, "manifests": list(children)} | more).encode()


def child(number: int, architecture: str = "amd64", **more: Any) -> dict[str, Any]:
    """Return what an index says of one platform."""
    platform = {"os": "linux", "architecture": architecture}
    return descriptor(OCI_MANIFEST, f"sha256:{number:064x}", platform=platform) | more


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (image(), OCI_MANIFEST),
        (image(mediaType=OCI_MANIFEST), OCI_MANIFEST),
        (image(DOCKER_CONFIG, (DOCKER_LAYER,), mediaType=DOCKER_MANIFEST), DOCKER_MANIFEST),
        (image(layers=(OCI_LAYER, "application/vnd.acme.hint")), OCI_MANIFEST),
        (image(layers=()), OCI_MANIFEST),
        (image(artifactType=OCI_CONFIG), OCI_MANIFEST),
        (image(subject=descriptor(OCI_MANIFEST)), OCI_MANIFEST),
        (index(child(1)), OCI_INDEX),
        (index(child(1), subject=descriptor(OCI_MANIFEST)), OCI_INDEX),
        (index(descriptor(DOCKER_MANIFEST), mediaType=DOCKER_LIST), DOCKER_LIST),
        (index(descriptor(OCI_INDEX)), OCI_INDEX),
    ],
)
def test_an_image_is_an_image(body: bytes, media_type: str) -> None:
    """Of OCI and of Docker, with odd layers or none, and also when it is about something else."""
    found = read_manifest(body, media_type)

    assert found.artifact is None
    assert found.media_type == media_type
    assert found.digest == f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (image(EMPTY, ("application/spdx+json",), artifactType="application/spdx+json"), "of type application/spdx"),
        (image(EMPTY, (EMPTY,)), "an artifact with an empty config"),
        (image(layers=("application/vnd.dev.cosign.simplesigning.v1+json",)), "layers of application/vnd.dev.cosign"),
        (image(layers=("application/vnd.in-toto+json",)), "an artifact with layers of application/vnd.in-toto+json"),
        (image("application/vnd.cncf.helm.config.v1+json"), "with the config application/vnd.cncf.helm.config.v1+json"),
        (image(artifactType="application/vnd.acme", subject=descriptor(OCI_MANIFEST)), "of type application/vnd.acme"),
    ],
)
def test_an_artifact_is_no_image(body: bytes, what: str) -> None:
    """SBOMs, cosign's signatures with or without tag, BuildKit's provenance, charts: each by what gives it away."""
    found = read_manifest(body, OCI_MANIFEST)

    assert what in str(found.artifact)


@pytest.mark.parametrize(
    "body",
    [
        index(),
        index(artifactType="application/vnd.acme"),
        index(descriptor(OCI_MANIFEST, artifactType="application/spdx+json")),
        index(descriptor("application/vnd.acme.blob")),
        index(child(1, annotations={"vnd.docker.reference.type": "attestation-manifest"})),
    ],
)
def test_an_index_without_an_image_is_no_image(body: bytes) -> None:
    """A list of referrers, kept as an index, has nothing in it that could run."""
    assert "an " in str(read_manifest(body, OCI_INDEX).artifact)


def test_an_index_names_its_platforms() -> None:
    """Digest, platform with variant, and what is no image; a digest counts once."""
    buildkit = {"annotations": {"vnd.docker.reference.type": "attestation-manifest", "n": 1}}
    unknown = {"platform": {"os": "unknown", "architecture": "unknown"}}
    variant = {"platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}
    body = index(child(1), child(1, "arm64"), child(2) | variant, child(3) | unknown | buildkit, child(4) | unknown)
    found = read_manifest(body, OCI_INDEX)

    assert [(one.digest[-1], one.platform) for one in found.children] == [
        ("1", "linux/amd64"),
        ("2", "linux/arm/v7"),
        ("3", "unknown/unknown"),
        ("4", "unknown/unknown"),
    ]
    assert [one.artifact for one in found.children] == [
        None,
        None,
        "BuildKit's attestation-manifest",
        "for the platform unknown/unknown, on which nothing runs",
    ]


def test_an_index_within_an_index_is_seen() -> None:
    """It is neither an image nor an artifact: whoever signs must decide."""
    (nested,) = read_manifest(index(descriptor(DOCKER_LIST)), OCI_INDEX).children

    assert (nested.is_index, nested.artifact, nested.platform) == (True, None, None)
    assert nested == Child(f"sha256:{HEX}", DOCKER_LIST)


def test_the_manifest_says_what_it_is_where_the_registry_does_not() -> None:
    """Some servers send every manifest as plain JSON."""
    assert read_manifest(image(mediaType=OCI_MANIFEST), "application/json").media_type == OCI_MANIFEST


@pytest.mark.parametrize(
    ("body", "content_type", "sentence"),
    [
        (b"<html>", OCI_MANIFEST, "the manifest is not JSON"),
        (b"[" * 100_000, OCI_MANIFEST, "the manifest is not JSON"),
        (b"[]", OCI_MANIFEST, "JSON, but no object"),
        (b" " * (LIMIT + 1), OCI_MANIFEST, "has 4194305 bytes, more than the 4194304"),
        (b"{}", "application/json", "of the unknown media type 'application/json'"),
        (image(mediaType="application/vnd.acme"), "application/json", "unknown media type 'application/vnd.acme'"),
        (image(mediaType=DOCKER_MANIFEST), OCI_MANIFEST, "the manifest says 'application/vnd.docker.distribution"),
        (image(manifests=[]), OCI_MANIFEST, "yet holds 'manifests', so that it can be read in two ways"),
        (index(config={}), OCI_INDEX, "yet holds 'config', so that it can be read in two ways"),
        (b'{"schemaVersion": 1}', "application/json", "is of Docker's schema 1"),
        (b"{}", "application/vnd.docker.distribution.manifest.v1+json", "is of Docker's schema 1"),
        (b'{"schemaVersion": 2}', OCI_MANIFEST, "config of the manifest is no descriptor"),
        (b'{"schemaVersion": 2}', OCI_INDEX, "'manifests' of the manifest is not a list"),
        (
            index(descriptor(OCI_MANIFEST, "sha512:0")),
            OCI_INDEX,
            r"manifests\[0\] of the manifest has no SHA-256 digest",
        ),
        (index("sha256:0"), OCI_INDEX, r"manifests\[0\] of the manifest is no descriptor"),  # type: ignore[arg-type]  # as an attacker would
        (index(child(1, platform="linux")), OCI_INDEX, r"manifests\[0\].platform of the manifest is no platform"),
        (image(artifactType=7), OCI_MANIFEST, "'artifactType' of the manifest is not a text"),
        (image(subject="x"), OCI_MANIFEST, "subject of the manifest is no descriptor"),
        (index(*(child(n) for n in range(257))), OCI_INDEX, "names 257 manifests; 256 are the most"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(body: bytes, content_type: str, sentence: str) -> None:
    """Which part of it, and what to do."""
    with pytest.raises(Invalid, match=sentence):
        read_manifest(body, content_type)


@pytest.mark.parametrize(
    ("tag", "what"),
    [
        (f"sha256-{HEX}.sig", "a cosign signature"),
        (f"sha256-{HEX}.att", "a cosign attestation"),
        (f"sha256-{HEX}.sbom", "a cosign SBOM"),
        (f"sha256-{HEX}", "a list of referrers"),
        (f"sha256-{HEX}.exe", None),
        (f"v1-sha256-{HEX}.sig", None),
        (f"sha256-{HEX[1:]}.sig", None),
        ("1.4.2.sig", None),
        ("", None),
        (None, None),
    ],
)
def test_a_tag_of_cosigns_form_gives_it_away(tag: str | None, what: str | None) -> None:
    """Nothing else that looks like it does."""
    assert artifact_of_tag(tag) == what
