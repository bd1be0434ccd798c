"""What every implementation of the port `Images` does."""

import asyncio

import pytest

from tests.contracts.images.conftest import Store
from workers.failures import Denied, Invalid, Mismatch, NotFound, Unavailable
from workers.local.registry import build_image, build_index
from workers.registries import SETTING

IMAGE = build_image([{"app/version": b"1"}])
NEWER = build_image([{"app/version": b"2"}])
ABSENT = "sha256:" + "0" * 64


async def test_resolves_a_tag_to_the_digest_of_its_manifest(store: Store) -> None:
    """A tag is resolved to the digest under which the manifest was pushed, with all that was asked."""
    await store.put("apps/shop", "1.0", IMAGE)

    found = await store.images.resolve(f"{store.host}/apps/shop:1.0")

    assert (found.host, found.path, found.tag) == (store.host, "apps/shop", "1.0")
    assert found.digest == IMAGE.digest
    assert found.media_type == IMAGE.media_type
    assert found.uri == f"{store.host}/apps/shop@{IMAGE.digest}"


async def test_resolves_a_digest_to_itself_where_it_exists(store: Store) -> None:
    """A digest is confirmed, and no tag is made up."""
    await store.put("apps/shop", None, IMAGE)

    found = await store.images.resolve(f"{store.host}/apps/shop@{IMAGE.digest}")

    assert (found.tag, found.digest) == (None, IMAGE.digest)


async def test_resolves_a_tag_with_the_digest_that_it_has(store: Store) -> None:
    """A tag and a digest that agree are fine together."""
    await store.put("apps/shop", "1.0", IMAGE)

    found = await store.images.resolve(f"{store.host}/apps/shop:1.0@{IMAGE.digest}")

    assert (found.tag, found.digest) == ("1.0", IMAGE.digest)


async def test_refuses_a_digest_that_the_tag_does_not_have_naming_both(store: Store) -> None:
    """A mismatch is permanent and names what was asked for and what is there."""
    await store.put("apps/shop", "1.0", IMAGE)
    await store.put("apps/shop", "2.0", NEWER)

    with pytest.raises(Mismatch) as caught:
        await store.images.resolve(f"{store.host}/apps/shop:1.0@{NEWER.digest}")

    assert IMAGE.digest in str(caught.value)
    assert NEWER.digest in str(caught.value)


async def test_follows_a_tag_that_moved(store: Store) -> None:
    """A tag is asked for each time: nothing about it is remembered."""
    await store.put("apps/shop", "stable", IMAGE)
    before = await store.images.resolve(f"{store.host}/apps/shop:stable")
    await store.put("apps/shop", "stable", NEWER)

    after = await store.images.resolve(f"{store.host}/apps/shop:stable")

    assert (before.digest, after.digest) == (IMAGE.digest, NEWER.digest)


async def test_resolves_an_index_to_its_own_digest(store: Store) -> None:
    """An image for several platforms is its index, not one of the platforms."""
    index = build_index([IMAGE, build_image([{"app/version": b"1"}], architecture="arm64")])
    await store.put("apps/shop", "1.0", index)

    found = await store.images.resolve(f"{store.host}/apps/shop:1.0")

    assert (found.digest, found.media_type) == (index.digest, index.media_type)
    assert [(child.platform, child.digest) for child in found.manifest.children] == [
        ("linux/amd64", IMAGE.digest),
        ("linux/arm64", index.members[1].digest),
    ]


async def test_says_what_a_manifest_is_about(store: Store) -> None:
    """Subject, artifact type and annotations are read, so that an artifact can be told from an image."""
    about = {"mediaType": IMAGE.media_type, "digest": IMAGE.digest, "size": len(IMAGE.manifest)}
    extra = {"subject": about, "artifactType": "application/spdx+json", "annotations": {"by": "syft"}}
    sbom = build_image([{"sbom": b"{}"}], extra=extra)
    await store.put("apps/shop", "1.0", IMAGE)
    await store.put("apps/shop", None, sbom)

    found = (await store.images.resolve(f"{store.host}/apps/shop@{sbom.digest}")).manifest

    assert (found.subject, found.artifact_type) == (IMAGE.digest, "application/spdx+json")
    assert (dict(found.annotations), found.artifact) == ({"by": "syft"}, "an artifact of type application/spdx+json")


async def test_means_latest_where_neither_tag_nor_digest_is_named(store: Store) -> None:
    """A bare repository means the tag `latest`, and says so."""
    await store.put("apps/shop", "latest", IMAGE)

    found = await store.images.resolve(f"{store.host}/apps/shop")

    assert (found.tag, found.digest) == ("latest", IMAGE.digest)


@pytest.mark.parametrize("name", ["apps/shop:nope", f"apps/shop@{ABSENT}", "apps/never-pushed:1.0"])
async def test_says_that_an_image_does_not_exist(store: Store, name: str) -> None:
    """An unknown tag, digest or repository is not found, and the sentence names it."""
    await store.put("apps/shop", "1.0", IMAGE)

    with pytest.raises(NotFound) as caught:
        await store.images.resolve(f"{store.host}/{name}")

    assert name.partition(":")[0].partition("@")[0] in str(caught.value)


@pytest.mark.parametrize(
    "reference",
    ["", "shop", "HOST/shop:1", "registry.example/Shop:1", "https://host.example/shop", "a/b:1@sha256:0"],
)
async def test_refuses_what_is_no_reference(store: Store, reference: str) -> None:
    """What cannot be read as an image reference is invalid."""
    with pytest.raises(Invalid, match="not an image reference"):
        await store.images.resolve(reference)


@pytest.mark.parametrize("name", ["elsewhere.example/apps/shop:1.0", "127.0.0.1:1/apps/shop:1.0"])
async def test_asks_no_host_that_is_not_listed(store: Store, name: str) -> None:
    """A host that is not listed is denied with the setting that would list it."""
    with pytest.raises(Denied, match=SETTING):
        await store.images.resolve(name)


async def test_asks_for_no_path_that_is_not_listed(store: Store) -> None:
    """A listed host is asked for the listed paths alone."""
    await store.put("other/shop", "1.0", IMAGE)

    with pytest.raises(Denied, match=SETTING):
        await store.images.resolve(f"{store.host}/other/shop:1.0")


async def test_is_denied_with_credentials_that_do_not_do(store: Store) -> None:
    """Without the permission to pull, the image is denied, whether it exists or not; the sentence names the host."""
    await store.put("apps/shop", "1.0", IMAGE)

    with pytest.raises(Denied) as caught:
        await store.stranger.resolve(f"{store.host}/apps/shop:1.0")

    assert store.host in str(caught.value)
    assert "pull" in str(caught.value)


async def test_is_unavailable_while_the_registry_is_down(store: Store) -> None:
    """A registry that is gone is a temporary failure that names the host."""
    await store.put("apps/shop", "1.0", IMAGE)
    await store.images.resolve(f"{store.host}/apps/shop:1.0")
    await store.stop()

    with pytest.raises(Unavailable, match=store.host):
        await store.images.resolve(f"{store.host}/apps/shop:1.0")


async def test_resolves_many_at_once(store: Store) -> None:
    """Concurrent questions do not disturb each other."""
    await store.put("apps/shop", "1.0", IMAGE)
    await store.put("apps/desk", "1.0", NEWER)

    names = ["apps/shop", "apps/desk"] * 15
    found = await asyncio.gather(*(store.images.resolve(f"{store.host}/{name}:1.0") for name in names))

    assert [image.digest for image in found] == [IMAGE.digest, NEWER.digest] * 15
