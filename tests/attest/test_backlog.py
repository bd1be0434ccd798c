"""What of a repository's list is announced."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.attest.world import DIGEST, REPOSITORY
from workers.attest.backlog import backlog
from workers.manifests import OCI_INDEX, OCI_MANIFEST
from workers.ports import StoredImage

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def stored(number: int, *, repository: str = REPOSITORY, minutes: int = 0, **more: Any) -> StoredImage:
    """Return an image as it is listed."""
    fields: dict[str, Any] = {"media_type": OCI_MANIFEST, "uploaded_at": NOON + timedelta(minutes=minutes)} | more
    return StoredImage(f"{repository}@sha256:{number:064x}", **fields)


def test_images_are_announced_by_digest_oldest_first() -> None:
    """With the time of their upload, and what somebody said of all of them."""
    found = backlog([stored(1, minutes=5), stored(2)], environment="production", labels={"why": "first run"})

    assert [event.image[-1] for event in found.announced] == ["2", "1"]
    (first, _) = found.announced
    assert first.image == f"{REPOSITORY}@{first.digest}"
    assert (first.pushed_at, first.environment, first.labels) == (NOON, "production", {"why": "first run"})


def test_the_platforms_of_an_index_are_left_to_the_index() -> None:
    """The rules choose what of an index is signed; in another repository the same image stands for itself."""
    shop = stored(1)
    index = stored(2, media_type=OCI_INDEX, children=(shop.digest,))
    copy = stored(1, repository=f"{REPOSITORY}-copy")

    found = backlog([shop, index, copy])
    assert {event.image for event in found.announced} == {index.uri, copy.uri}
    assert (found.parts, found.artifacts) == (1, 0)


@pytest.mark.parametrize(
    "more",
    [
        {"artifact_type": "application/spdx+json"},
        {"media_type": "application/vnd.cncf.helm.chart"},
        {"tags": (DIGEST.replace(":", "-") + ".sig",)},
    ],
)
def test_what_is_known_to_be_no_image_is_left_out(more: dict[str, Any]) -> None:
    """By its type, or by the tag under which cosign keeps it."""
    found = backlog([stored(1), stored(2, **more)])

    assert [event.image[-1] for event in found.announced] == ["1"]
    assert (found.parts, found.artifacts) == (0, 1)


def test_an_image_with_a_subject_is_announced() -> None:
    """It is listed with its media type as the type of an artifact."""
    assert len(backlog([stored(1, artifact_type=OCI_MANIFEST, uploaded_at=None)]).announced) == 1
