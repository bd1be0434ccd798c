"""Manifests are stored byte for byte, when all their parts are there, under a tag or a digest."""

import json

import pytest

from tests.local.registry.client import OCI_INDEX, OCI_MANIFEST, Client, digest_of
from workers.local.registry import build_image, build_index

IMAGE = build_image([{"etc/name": b"shop"}, {"app/run": b"x" * 1000}])
NEWER = build_image([{"etc/name": b"shop 2"}])


@pytest.mark.parametrize("reference", ["1.0", IMAGE.digest])
async def test_gives_a_manifest_back_byte_for_byte(client: Client, reference: str) -> None:
    """What was pushed by tag or digest is pulled by tag and digest, with its media type and digest."""
    await client.put_image(IMAGE, reference)

    for asked in {reference, IMAGE.digest}:
        reply = await client.ask("GET", f"{client.base}/manifests/{asked}", headers={"Accept": OCI_MANIFEST})
        assert (reply.status, reply.body) == (200, IMAGE.manifest)
        assert reply.headers["Content-Type"] == OCI_MANIFEST
        assert reply.headers["Docker-Content-Digest"] == IMAGE.digest


async def test_says_what_a_tag_is_without_sending_it(client: Client) -> None:
    """HEAD has digest, size and type of the manifest."""
    await client.put_image(IMAGE, "1.0")

    head = await client.ask("HEAD", f"{client.base}/manifests/1.0", headers={"Accept": OCI_MANIFEST})

    assert (head.status, head.body) == (200, b"")
    assert head.headers["Docker-Content-Digest"] == IMAGE.digest
    assert head.headers["Content-Length"] == str(len(IMAGE.manifest))


async def test_moves_a_tag(client: Client) -> None:
    """A tag is what was pushed last; the older manifest stays under its digest."""
    await client.put_image(IMAGE, "stable")
    await client.put_image(NEWER, "stable")

    accept = {"Accept": OCI_MANIFEST}
    assert (await client.ask("GET", f"{client.base}/manifests/stable", headers=accept)).body == NEWER.manifest
    older = await client.ask("GET", f"{client.base}/manifests/{IMAGE.digest}", headers=accept)
    assert older.body == IMAGE.manifest


async def test_stores_an_index_whose_members_are_there(client: Client) -> None:
    """An index over two platforms is a manifest like any other."""
    index = build_index([IMAGE, build_image([{"etc/name": b"arm"}], architecture="arm64")])

    await client.put_image(index, "1.0")

    reply = await client.ask("GET", f"{client.base}/manifests/1.0", headers={"Accept": OCI_INDEX})
    assert (reply.status, reply.body) == (200, index.manifest)
    assert reply.headers["Content-Type"] == OCI_INDEX


async def test_refuses_a_manifest_whose_blobs_are_missing(client: Client) -> None:
    """A manifest waits for its blobs: without them it is refused, and the tag does not exist."""
    reply = await client.put_manifest("1.0", IMAGE.manifest)

    assert reply.status in {400, 404}
    assert reply.code in {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"}
    assert (await client.ask("HEAD", f"{client.base}/manifests/1.0")).status == 404


async def test_refuses_an_index_whose_members_are_missing(client: Client) -> None:
    """An index waits for its members."""
    reply = await client.put_manifest("1.0", build_index([IMAGE]).manifest, OCI_INDEX)

    assert reply.status in {400, 404}
    assert reply.code == "MANIFEST_BLOB_UNKNOWN"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"<html>", b"[" * 5000])
async def test_refuses_what_is_no_manifest(client: Client, body: bytes) -> None:
    """What cannot be read as a manifest is invalid."""
    reply = await client.put_manifest("1.0", body)

    assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")


async def test_refuses_a_manifest_of_another_schema(client: Client) -> None:
    """Only schema version 2 is served."""
    reply = await client.put_manifest("1.0", b'{"schemaVersion": 1}')

    assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")


async def test_refuses_a_manifest_whose_media_type_is_not_what_it_says(client: Client) -> None:
    """The header and the body have to agree on what it is."""
    await client.put_image(IMAGE)

    reply = await client.put_manifest("1.0", IMAGE.manifest, "application/vnd.docker.distribution.manifest.v2+json")

    assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")


async def test_refuses_a_manifest_that_gives_a_blob_a_wrong_size(client: Client) -> None:
    """A descriptor has to tell the true size."""
    await client.put_image(IMAGE)
    fields = json.loads(IMAGE.manifest)
    fields["layers"][0]["size"] += 1

    reply = await client.put_manifest("1.0", json.dumps(fields).encode())

    assert (reply.status, reply.code) == (400, "SIZE_INVALID")


async def test_refuses_a_manifest_under_the_digest_of_another(client: Client) -> None:
    """By digest, only the manifest with this digest is stored."""
    await client.put_image(IMAGE)

    reply = await client.put_manifest(digest_of(b"another"), IMAGE.manifest)

    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("tag", [".hidden", "-x", "a" * 129, "a b"])
async def test_refuses_a_broken_tag(client: Client, tag: str) -> None:
    """What is no tag gets no manifest."""
    await client.put_image(IMAGE)

    reply = await client.put_manifest(tag, IMAGE.manifest)

    assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("reference", ["nope", "sha256:" + "0" * 64])
async def test_says_that_a_manifest_is_unknown(client: Client, reference: str) -> None:
    """An unknown tag or digest is 404, by GET and by HEAD."""
    await client.put_image(IMAGE, "1.0")

    reply = await client.ask("GET", f"{client.base}/manifests/{reference}")

    assert (reply.status, reply.code) == (404, "MANIFEST_UNKNOWN")
    assert (await client.ask("HEAD", f"{client.base}/manifests/{reference}")).status == 404


async def test_deletes_a_manifest_with_its_tags(client: Client) -> None:
    """A manifest deleted by digest takes its tags along."""
    await client.put_image(IMAGE, "1.0")
    await client.put_image(NEWER, "2.0")

    assert (await client.ask("DELETE", f"{client.base}/manifests/{IMAGE.digest}")).status == 202

    assert (await client.ask("HEAD", f"{client.base}/manifests/1.0")).status == 404
    assert (await client.ask("HEAD", f"{client.base}/manifests/{IMAGE.digest}")).status == 404
    assert json.loads((await client.ask("GET", f"{client.base}/tags/list")).body)["tags"] == ["2.0"]


async def test_deletes_a_tag_and_leaves_its_manifest(client: Client) -> None:
    """A tag deleted by name is gone, the manifest stays under its digest."""
    await client.put_image(IMAGE, "1.0")

    assert (await client.ask("DELETE", f"{client.base}/manifests/1.0")).status == 202

    assert (await client.ask("HEAD", f"{client.base}/manifests/1.0")).status == 404
    assert (await client.ask("HEAD", f"{client.base}/manifests/{IMAGE.digest}")).status == 200
