"""A published package of a listed owner is a pushed image, and nothing else is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Envelope
from schemas.events import Event
from schemas.github import GithubPackagePublished
from schemas.images import ImagePushed, split_reference
from tests.dispatch.conftest import Scene, settings
from workers.dispatch.packages import image_of
from workers.dispatch.worker import dispatch

DIGEST = "sha256:" + "a" * 64
OWNERS = settings(package_owners=[{"owner": "Acme", "owner_id": 7}])


def package(**said: Any) -> GithubPackagePublished:
    """Return a published package."""
    facts = {"host": "ghcr.io", "owner": "acme", "owner_id": 7, "name": "shop", "kind": "container", "tag": "1.4.2"}
    return GithubPackagePublished.model_validate(facts | said)


@pytest.mark.parametrize(
    ("said", "image"),
    [
        ({}, "ghcr.io/acme/shop:1.4.2"),
        ({"name": "apps/Shop"}, "ghcr.io/acme/apps/shop:1.4.2"),
        ({"owner": "ACME"}, "ghcr.io/acme/shop:1.4.2"),
        ({"tag": None, "digest": DIGEST}, f"ghcr.io/acme/shop@{DIGEST}"),
        ({"digest": DIGEST}, "ghcr.io/acme/shop:1.4.2"),
        ({"kind": "CONTAINER"}, "ghcr.io/acme/shop:1.4.2"),
    ],
)
def test_a_package_of_a_listed_owner_is_an_image(said: dict[str, Any], image: str) -> None:
    """In lower case, by tag where there is one, with the digest where it is said."""
    found = image_of(package(**said), OWNERS)

    assert isinstance(found, ImagePushed)
    assert (found.image, found.digest) == (image, said.get("digest"))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"owner_id": 8}, "not listed"),
        ({"owner": "acme-evil"}, "calls itself"),
        ({"owner": "acme-evil", "owner_id": 8}, "not listed"),
        ({"host": "ghcr.io.evil.example"}, "package_hosts"),
        ({"host": "evil.example:443"}, "package_hosts"),
        ({"kind": "npm"}, "not a container"),
        ({"tag": None}, "neither"),
        ({"name": "../acme-evil/shop"}, "no image reference"),
        ({"name": "shop@sha256:1"}, "no image reference"),
        ({"name": "sh\u043ep"}, "no image reference"),
        ({"tag": "a b"}, "no image reference"),
    ],
)
def test_any_other_package_is_none(said: dict[str, Any], sentence: str) -> None:
    """With the reason, in plain letters."""
    found = image_of(package(**said), OWNERS)

    assert isinstance(found, str)
    assert sentence in found
    assert found.isascii()


@given(name=st.text(min_size=1, max_size=40), tag=st.none() | st.text(max_size=20))
def test_an_image_is_always_below_its_owner(name: str, tag: str | None) -> None:
    """Whatever a package is called: the first segment is the listed owner, on the listed host."""
    found = image_of(package(name=name, tag=tag), OWNERS)

    if isinstance(found, ImagePushed):
        host, path, _, _ = split_reference(found.image)
        assert (host, path.split("/")[0]) == ("ghcr.io", "acme")


async def test_the_worker_emits_the_image_or_says_why_not(scene: Scene) -> None:
    """Without asking anybody."""

    async def emitted(fact: GithubPackagePublished) -> list[Event]:
        envelope = Envelope(id="1", source="/github", type=fact.event_type, run="run")
        return [*await dispatch(fact, envelope, scene.github, scene.claims, OWNERS, scene.clock, scene.progress)]

    assert await emitted(package()) == [ImagePushed(image="ghcr.io/acme/shop:1.4.2")]
    assert await emitted(package(owner_id=8)) == []
    assert "no image follows" in scene.progress.lines[-1]
    assert scene.github.calls == []
