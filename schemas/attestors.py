"""Facts about attestors: their signing keys are replaced, and what the old key attested is attested anew."""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from schemas.events import Event
from schemas.images import PINNED_PATTERN

_ATTESTOR = r"^projects/[^/\s]+/attestors/[A-Za-z0-9_-]+$"
AttestorName = Annotated[
    str,
    StringConstraints(pattern=_ATTESTOR, max_length=256),
    Field(examples=["projects/acme/attestors/built-by-ci"]),
]
PinnedImage = Annotated[str, StringConstraints(pattern=PINNED_PATTERN, max_length=512)]
_IMAGE = "europe-docker.pkg.dev/acme/apps/shop@sha256:" + "a" * 64
MOST_IMAGES = 1000
"""Images that a rotation takes beside those it finds."""


class AttestorRotate(Event):
    """An attestor's signing key shall be replaced by the `next_key` of its signing rules."""

    event_type: ClassVar[str] = "attestor.rotate"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("attestor",)
    subject_field: ClassVar[str] = "attestor"

    attestor: AttestorName
    """Resource name of the Binary Authorization attestor."""
    since: Annotated[AwareDatetime | None, Field(examples=["2026-05-01T00:00:00Z"])] = None
    """Only what the old key attested at this time or later is attested anew; everything when left out."""
    images: Annotated[tuple[PinnedImage, ...], Field(max_length=MOST_IMAGES, strict=False, examples=[[_IMAGE]])] = ()
    """HOST/PATH@DIGEST of further images, attested earlier: what still runs, for instance."""
    prune: Annotated[bool, Field(examples=[False])] = False
    """Whether the old key's attestations are deleted at the end, where the new key's are there."""


class AttestorRotated(Event):
    """An attestor trusts the new key alone, and every image of the rotation verifies with it."""

    event_type: ClassVar[str] = "attestor.rotated"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("attestor",)
    subject_field: ClassVar[str] = "attestor"

    attestor: AttestorName
    """Resource name of the Binary Authorization attestor."""
    removed: Annotated[
        tuple[str, ...], Field(strict=False, examples=[["//cloudkms.googleapis.com/v1/…/cryptoKeyVersions/1"]])
    ]
    """Ids of the public keys that the attestor lists no more; none when there was nothing to do."""
    trusted: Annotated[
        tuple[str, ...], Field(strict=False, examples=[["//cloudkms.googleapis.com/v1/…/cryptoKeyVersions/2"]])
    ]
    """Ids of the public keys which took their place."""
    images: Annotated[int, Field(ge=0, examples=[200])]
    """How many images were proven to verify with the new keys before the old ones were removed."""
    left_out: Annotated[int, Field(ge=0, examples=[0])] = 0
    """How many images were left out because no attestation of theirs was accepted before the rotation either."""
    pruned: Annotated[int, Field(ge=0, examples=[0])] = 0
    """How many attestations by the old keys were deleted."""


class AttestationRequested(Event):
    """An image that an attestor admits shall be attested by the attestor's next key as well.

    Only what has an accepted attestation already is signed, and with keys of the signing rules: it grants nothing.
    """

    event_type: ClassVar[str] = "attestation.requested"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("image", "attestor")
    subject_field: ClassVar[str] = "image"

    image: Annotated[PinnedImage, Field(examples=[_IMAGE])]
    """HOST/PATH@DIGEST: the digest counts."""
    attestor: AttestorName
    """Resource name of the Binary Authorization attestor."""
