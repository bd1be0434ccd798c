"""What of a repository's list is to be announced as if it had just been pushed. Pure decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.images import ImagePushed
from workers.manifests import IMAGE_CONFIGS, MANIFEST_TYPES, artifact_of_tag
from workers.ports import StoredImage

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a repository held, sorted."""

    announced: tuple[ImagePushed, ...]
    """Images, oldest first: what can be told from the list to be none is not among them."""
    parts: int = 0
    """Images of platforms that an announced index names: the rules say of the index whether they are signed."""
    artifacts: int = 0
    """Signatures, SBOMs, attestations."""


def backlog(
    images: Iterable[StoredImage], *, environment: str | None = None, labels: Mapping[str, str] | None = None
) -> Backlog:
    """Sort what a repository holds; each event names the digest alone, for tags move meanwhile."""
    found = [(image, _is_artifact(image)) for image in images]
    wanted = [image for image, is_artifact in found if not is_artifact]
    parts = {(_repository(image), child) for image in wanted for child in image.children}
    whole = [image for image in wanted if (_repository(image), image.digest) not in parts]
    whole.sort(key=lambda image: (image.uploaded_at or _LONG_AGO, image.uri))
    announced = tuple(
        ImagePushed(
            image=image.uri,
            digest=image.digest,
            pushed_at=image.uploaded_at,
            environment=environment,
            labels=dict(labels or {}),
        )
        for image in whole
    )
    return Backlog(announced, len(wanted) - len(whole), len(found) - len(wanted))


def _repository(image: StoredImage) -> str:
    return image.uri.rpartition("@")[0]


def _is_artifact(image: StoredImage) -> bool:
    # With a subject, but no type of its own, an image is listed with its media type as the type.
    artifact_type = image.artifact_type not in {None, *IMAGE_CONFIGS, *MANIFEST_TYPES}
    return (
        artifact_type
        or image.media_type not in MANIFEST_TYPES
        or any(artifact_of_tag(tag) is not None for tag in image.tags)
    )
