"""Facts about container images."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from schemas.events import Event

DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)]

_HOST = r"(?:localhost|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)(?::[0-9]{1,5})?"
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
REFERENCE_PATTERN = rf"^{_HOST}/{_PATH}(?::{_TAG})?(?:@sha256:[0-9a-f]{{64}})?$"
PINNED_PATTERN = rf"^{_HOST}/{_PATH}@sha256:[0-9a-f]{{64}}$"
"""HOST/PATH@DIGEST."""
_REFERENCE = re.compile(
    rf"(?P<host>{_HOST})/(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?"
)
_SEEN_EXAMPLE = [{"where": "nexus.example.com/apps/shop:1.4.2", "digest": "sha256:" + "b" * 64}]


class SeenDigest(BaseModel):
    """A digest of the same image as another store announced it. Recorded, never signed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)

    where: Annotated[str, Field(min_length=1, max_length=255, examples=["nexus.example.com/apps/shop:1.4.2"])]
    """Where the digest was seen: the other store's own reference."""
    digest: Annotated[Digest, Field(examples=["sha256:" + "b" * 64])]
    """What that store said."""


class ImagePushed(Event):
    """An image was pushed to a registry, or a tag was added to one."""

    event_type: ClassVar[str] = "image.pushed"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("image", "digest")
    subject_field: ClassVar[str] = "image"

    image: Annotated[
        str,
        StringConstraints(pattern=REFERENCE_PATTERN, max_length=512),
        Field(examples=["europe-docker.pkg.dev/acme/apps/shop:1.4.2"]),
    ]
    """Where the image is: HOST/PATH, then :TAG, @DIGEST or both, without a scheme."""
    digest: Annotated[Digest | None, Field(examples=["sha256:" + "a" * 64])] = None
    """The manifest digest which the publisher says it pushed. The registry must agree."""
    seen: Annotated[tuple[SeenDigest, ...], Field(max_length=16, strict=False, examples=[_SEEN_EXAMPLE])] = ()
    """Digests of the same image elsewhere (a mirror, a proxy): carried along, never signed."""
    pushed_at: Annotated[AwareDatetime | None, Field(examples=["2026-11-02T09:30:00Z"])] = None
    """When the registry stored it, if the publisher knows."""
    labels: Annotated[dict[str, str], Field(max_length=64, examples=[{"git.commit": "4be1c0f"}])] = Field(
        default_factory=dict
    )
    """What the publisher wants to be remembered with the image: commit, pipeline, …"""
    environment: Annotated[
        str | None, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"), Field(examples=["production"])
    ] = None
    """What the image is meant for, if the publisher says so; signing rules may ask."""


class ImageAttested(Event):
    """An image has a valid attestation by an attestor, stored as an occurrence."""

    event_type: ClassVar[str] = "image.attested"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("digest", "attestor", "key_id")
    subject_field: ClassVar[str] = "image"

    image: Annotated[str, Field(examples=["europe-docker.pkg.dev/acme/apps/shop@sha256:" + "a" * 64])]
    """HOST/PATH@DIGEST: what was signed."""
    digest: Annotated[Digest, Field(examples=["sha256:" + "a" * 64])]
    """The manifest digest, as resolved in the registry."""
    tag: Annotated[str | None, Field(examples=["1.4.2"])] = None
    """The tag under which it was announced, if any. Tags move; the digest counts."""
    index: Annotated[Digest | None, Field(examples=["sha256:" + "c" * 64])] = None
    """Digest of the index that names it as the image of a platform, if it was found there."""
    platform: Annotated[str | None, Field(examples=["linux/arm64"])] = None
    """What that index says it runs on: OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT."""
    attestor: Annotated[str, Field(examples=["projects/acme/attestors/built-by-ci"])]
    """Resource name of the Binary Authorization attestor."""
    note: Annotated[str, Field(examples=["projects/acme/notes/built-by-ci"])]
    """Resource name of the Grafeas note which the attestor reads."""
    occurrence: Annotated[str, Field(examples=["projects/acme/occurrences/6f1c2d3e"])]
    """Resource name of the stored attestation."""
    key_id: Annotated[str, Field(examples=["//cloudkms.googleapis.com/v1/projects/acme/locations/europe/keyRings/ci"])]
    """Id of the public key, byte for byte as the attestor lists it."""
    algorithm: Annotated[str, Field(examples=["ECDSA_P256_SHA256"])]
    """Signature algorithm, in Binary Authorization's PKIX words."""
    verdict: Annotated[Literal["VERIFIED"], Field(examples=["VERIFIED"])]
    """What ValidateAttestationOccurrence answered."""
    created: Annotated[bool, Field(examples=[True])]
    """True if this run stored the attestation, false if it was there already."""
    seen: Annotated[tuple[SeenDigest, ...], Field(max_length=16, strict=False, examples=[_SEEN_EXAMPLE])] = ()
    """Digests elsewhere, as the publisher announced them."""


def split_reference(reference: str) -> tuple[str, str, str | None, str | None]:
    """Split HOST/PATH[:TAG][@DIGEST] into its four parts; ValueError says what is wrong."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ValueError(f"{reference!r} is not an image reference: write HOST/PATH:TAG or HOST/PATH@sha256:…")
    return match["host"], match["path"], match["tag"], match["digest"]
