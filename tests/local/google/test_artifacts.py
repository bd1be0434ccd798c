"""Artifact Registry: what the local OCI registry holds, by the names of the cloud."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from tests.local.google.clients import TOKEN, Clients
from workers.local.google import GoogleServices, ServedRegistry
from workers.local.registry import Image, Registry, build_image, build_index, push, write_layout

LOCATION = "projects/demo/locations/europe-west3"
APPS = f"{LOCATION}/repositories/apps"
SHOP = build_image([{"etc/name": b"shop"}])
BANK = build_image([{"etc/name": b"bank"}])
BOTH = build_index([build_image([{"etc/arch": name.encode()}], architecture=name) for name in ("amd64", "arm64")])
Push = Callable[..., Any]


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    """Run an empty registry."""
    async with Registry(tmp_path / "registry") as registry:
        yield registry


@pytest.fixture
async def google(tmp_path: Path, registry: Registry) -> AsyncIterator[GoogleServices]:
    """Run the services over the registry."""
    served = ServedRegistry(tmp_path / "registry", registry.host, LOCATION)
    async with GoogleServices(tmp_path / "google", token=TOKEN, registry=served) as services:
        yield services


@pytest.fixture
def put(tmp_path: Path, registry: Registry) -> Push:
    """Push an image to HOST/PATH:TAG, really."""
    count = iter(range(1000))

    async def put(image: Image, path: str) -> str:
        layout = write_layout(tmp_path / f"layout-{next(count)}", image)
        return await asyncio.to_thread(push, layout, f"{registry.host}/{path}")

    return put


def names(items: list[Any]) -> list[str]:
    """Return the last part of each name."""
    return [item.name.rsplit("/", 1)[1] for item in items]


async def test_a_pushed_image_is_listed_with_what_is_known_of_it(
    clients: Clients, put: Push, registry: Registry
) -> None:
    """Address, tags, type, size and times are those of what was pushed."""
    await put(SHOP, "apps/shop:1")
    await put(SHOP, "apps/shop:latest")
    (image,) = await clients.artifacts.list_docker_images(parent=APPS)

    assert image.name == f"{APPS}/dockerImages/shop@{SHOP.digest}"
    assert image.uri == f"{registry.host}/apps/shop@{SHOP.digest}"
    assert list(image.tags) == ["1", "latest"]
    assert image.media_type == SHOP.media_type
    assert image.image_size_bytes == sum(len(blob) for blob in SHOP.blobs.values())
    assert image.build_time.timestamp() == 0
    assert image.upload_time <= image.update_time
    assert image.artifact_type == ""
    assert await clients.artifacts.get_docker_image(name=image.name) == image


async def test_the_upload_time_stays_and_the_update_time_moves_with_a_tag(
    over_grpc: Clients, put: Push, tmp_path: Path
) -> None:
    """A second push of the same image is no upload."""
    await put(SHOP, "apps/shop:1")
    manifest = tmp_path / "registry/repositories/apps/shop/_manifests" / SHOP.digest.removeprefix("sha256:")
    os.utime(manifest, (1_000_000_000, 1_000_000_000))
    await put(SHOP, "apps/shop:2")
    (image,) = await over_grpc.artifacts.list_docker_images(parent=APPS)

    assert image.upload_time.timestamp() == 1_000_000_000
    assert image.update_time.timestamp() > 1_000_000_000


async def test_an_index_tells_of_its_members_which_are_images_too(clients: Clients, put: Push) -> None:
    """Each member has a line of its own and a platform in the index."""
    await put(BOTH, "apps/shop:1")
    images = {image.name.rpartition("@")[2]: image for image in await clients.artifacts.list_docker_images(parent=APPS)}
    index = images[BOTH.digest]

    assert sorted(images) == sorted([BOTH.digest, *(member.digest for member in BOTH.members)])
    assert [member.architecture for member in index.image_manifests] == ["amd64", "arm64"]
    assert [member.digest for member in index.image_manifests] == [member.digest for member in BOTH.members]
    assert index.image_size_bytes == sum(images[member.digest].image_size_bytes for member in BOTH.members)


@pytest.mark.parametrize(
    ("extra", "artifact_type"),
    [
        ({"artifactType": "application/spdx+json"}, "application/spdx+json"),
        ({"subject": {"mediaType": SHOP.media_type, "digest": SHOP.digest, "size": 1}}, SHOP.media_type),
    ],
)
async def test_an_artifact_has_its_type(
    over_grpc: Clients, put: Push, extra: dict[str, Any], artifact_type: str
) -> None:
    """Its own, or that of the manifest when it is about another one."""
    artifact = build_image([{}], extra=extra)
    await put(artifact, "apps/shop:sbom")
    (image,) = await over_grpc.artifacts.list_docker_images(parent=APPS)

    assert image.artifact_type == artifact_type


async def test_nested_paths_are_escaped_in_names(clients: Clients, put: Push, registry: Registry) -> None:
    """A slash is %2F in a name and a slash in the address, over both transports."""
    await put(SHOP, "apps/team/shop:1")
    name = f"{APPS}/dockerImages/team%2Fshop@{SHOP.digest}"
    image = await clients.artifacts.get_docker_image(name=name)
    (package,) = await clients.artifacts.list_packages(parent=APPS)

    assert image.name == name
    assert image.uri == f"{registry.host}/apps/team/shop@{SHOP.digest}"
    assert package.name == f"{APPS}/packages/team%2Fshop"
    assert await clients.artifacts.get_package(name=package.name) == package


async def test_images_come_in_pages_and_none_twice(clients: Clients, put: Push) -> None:
    """By name and digest; what is pushed meanwhile shifts nothing."""
    for path in ("apps/shop:1", "apps/bank:1", "apps/deep/shop:1"):
        await put(SHOP, path)
        await put(BANK, path)
    listed = await clients.artifacts.list_docker_images(parent=APPS, page_size=2)
    whole = await clients.artifacts.list_docker_images(parent=APPS)

    assert len(listed) == 6
    assert names(listed) == names(whole)
    assert [name.split("@")[0] for name in names(listed)] == [
        "bank",
        "bank",
        "deep%2Fshop",
        "deep%2Fshop",
        "shop",
        "shop",
    ]


async def test_repositories_are_what_was_pushed_and_what_was_created(
    clients: Clients, put: Push, registry: Registry
) -> None:
    """Both kinds are in one list; an image right below the host is in none."""
    await put(SHOP, "apps/shop:1")
    await put(SHOP, "bare:1")
    made = {"format_": "DOCKER", "description": "for tools"}
    parts = {"parent": LOCATION, "repository_id": "tools", "repository": made}
    tools = await clients.artifacts.done("create_repository", **parts)
    apps, other = await clients.artifacts.list_repositories(parent=LOCATION)

    assert apps.name == APPS
    assert apps.registry_uri == f"{registry.host}/apps"
    assert (apps.format_.name, apps.mode.name) == ("DOCKER", "STANDARD_REPOSITORY")
    assert apps.create_time
    assert other == tools == await clients.artifacts.get_repository(name=f"{LOCATION}/repositories/tools")
    assert tools.description == "for tools"
    assert await clients.artifacts.list_docker_images(parent=tools.name) == []


@pytest.mark.parametrize(
    ("repository_id", "repository", "error"),
    [
        ("Tools", {"format_": "DOCKER"}, exceptions.InvalidArgument),
        ("tools", {}, exceptions.InvalidArgument),
        ("tools", {"format_": "NPM"}, exceptions.MethodNotImplemented),
        ("tools", {"format_": "DOCKER", "mode": "REMOTE_REPOSITORY"}, exceptions.MethodNotImplemented),
        ("apps", {"format_": "DOCKER"}, exceptions.Conflict),
    ],
)
async def test_bad_repositories_are_refused(
    over_grpc: Clients, put: Push, repository_id: str, repository: dict[str, Any], error: type[Exception]
) -> None:
    """A name that is taken by a push is taken."""
    await put(SHOP, "apps/shop:1")
    parts = {"parent": LOCATION, "repository_id": repository_id, "repository": repository}
    with pytest.raises(error):
        await over_grpc.artifacts.create_repository(**parts)


async def test_versions_and_tags_belong_to_a_package(clients: Clients, put: Push) -> None:
    """As gcloud lists them: the tags of one version by a filter, and in the full view of versions."""
    await put(SHOP, "apps/shop:1")
    await put(BANK, "apps/shop:2")
    await put(BANK, "apps/shop:latest")
    package = f"{APPS}/packages/shop"
    version = f"{package}/versions/{BANK.digest}"
    tags = await clients.artifacts.list_tags(parent=package)
    own = await clients.artifacts.list_tags(parent=package, filter=f'version="{version}"')
    full = await clients.artifacts.get_version(name=version, view="FULL")

    assert names(tags) == ["1", "2", "latest"]
    assert names(own) == names(list(full.related_tags)) == ["2", "latest"]
    assert await clients.artifacts.get_tag(name=f"{package}/tags/latest") == own[1]
    assert own[1].version == version
    versions = await clients.artifacts.list_versions(parent=package)
    assert names(versions) == sorted([SHOP.digest, BANK.digest])
    assert full.metadata["mediaType"] == BANK.media_type


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("get_repository", {"name": f"{LOCATION}/repositories/none"}),
        ("list_docker_images", {"parent": f"{LOCATION}/repositories/none"}),
        ("list_docker_images", {"parent": "projects/other/locations/europe-west3/repositories/apps"}),
        ("get_docker_image", {"name": f"{APPS}/dockerImages/bank@{SHOP.digest}"}),
        ("get_docker_image", {"name": f"{APPS}/dockerImages/shop@{BANK.digest}"}),
        ("get_docker_image", {"name": f"{APPS}/dockerImages/shop%2F..%2Fshop@{SHOP.digest}"}),
        ("get_package", {"name": f"{APPS}/packages/bank"}),
        ("get_version", {"name": f"{APPS}/packages/shop/versions/{BANK.digest}"}),
        ("get_tag", {"name": f"{APPS}/packages/shop/tags/none"}),
    ],
)
async def test_what_is_not_there_is_not_found(
    clients: Clients, put: Push, method: str, request_: dict[str, str]
) -> None:
    """Nothing is found by way of another folder."""
    await put(SHOP, "apps/shop:1")
    with pytest.raises(exceptions.NotFound):
        await getattr(clients.artifacts, method)(**request_)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("list_docker_images", {"parent": APPS, "page_size": -1}),
        ("list_docker_images", {"parent": APPS, "page_token": "no token"}),
        ("list_docker_images", {"parent": "apps"}),
        ("get_docker_image", {"name": f"{APPS}/dockerImages/shop:1"}),
        ("get_docker_image", {"name": f"{APPS}/dockerImages/../secret@{SHOP.digest}"}),
    ],
)
async def test_bad_requests_are_refused(over_grpc: Clients, put: Push, method: str, request_: dict[str, Any]) -> None:
    """INVALID_ARGUMENT."""
    await put(SHOP, "apps/shop:1")
    with pytest.raises(exceptions.InvalidArgument):
        await getattr(over_grpc.artifacts, method)(**request_)


async def test_a_token_of_another_list_is_refused(over_grpc: Clients, put: Push) -> None:
    """A token fits the list that it came with."""
    for path in ("apps/shop:1", "apps/bank:1", "tools/shop:1"):
        await put(SHOP, path)
    first = await over_grpc.artifacts.client.list_docker_images(request={"parent": APPS, "page_size": 1})
    with pytest.raises(exceptions.InvalidArgument, match="another list"):
        await over_grpc.artifacts.list_docker_images(
            parent=f"{LOCATION}/repositories/tools", page_token=first.next_page_token
        )


async def test_an_order_is_refused_rather_than_ignored(over_grpc: Clients, put: Push) -> None:
    """UNIMPLEMENTED."""
    await put(SHOP, "apps/shop:1")
    with pytest.raises(exceptions.MethodNotImplemented, match="order_by"):
        await over_grpc.artifacts.list_docker_images(parent=APPS, order_by="upload_time")


async def test_a_manifest_cannot_point_at_other_files(over_grpc: Clients, put: Push, tmp_path: Path) -> None:
    """A digest within a manifest that is none is not followed."""
    await put(SHOP, "apps/shop:1")
    stored = tmp_path / "registry/blobs/sha256" / SHOP.digest[7:9] / SHOP.digest[7:]
    secret = tmp_path / "registry/secret"
    secret.write_text('{"created": "2001-01-01T00:00:00Z"}')
    stored.write_text('{"schemaVersion": 2, "config": {"digest": "sha256:../../secret", "size": "x"}, "layers": 5}')
    (image,) = await over_grpc.artifacts.list_docker_images(parent=APPS)

    assert not image.build_time
    assert image.image_size_bytes == 0
