"""Tags are listed, and so is what refers to a manifest."""

import json
from typing import Any

from tests.local.registry.client import OCI_INDEX, Client, Reply
from workers.local.registry import Image, build_image

IMAGE = build_image([{"etc/name": b"shop"}])
SBOM, SIGNATURE = "application/vnd.example.sbom.v1", "application/vnd.example.signature.v1"


def referring(artifact_type: str, *, to: Image = IMAGE) -> Image:
    """Return an artifact about an image."""
    subject = {key: value for key, value in to.descriptor().items() if key != "platform"}
    return build_image(
        [{"about": artifact_type.encode()}],
        extra={"artifactType": artifact_type, "subject": subject, "annotations": {"made.by": "test"}},
    )


def tags(reply: Reply) -> list[str]:
    """Return the tags of a list."""
    return list(json.loads(reply.body)["tags"])


async def referrers(client: Client, digest: str, query: str = "") -> tuple[Reply, list[dict[str, Any]]]:
    """Ask for referrers and return the answer and its descriptors."""
    reply = await client.ask("GET", f"{client.base}/referrers/{digest}{query}")
    assert reply.status == 200
    index = json.loads(reply.body)
    assert (index["schemaVersion"], reply.headers["Content-Type"]) == (2, OCI_INDEX)
    return reply, index["manifests"]


async def test_lists_the_tags_of_a_repository(client: Client) -> None:
    """All tags, with the name of the repository."""
    for tag in ("b", "c", "a"):
        await client.put_image(IMAGE, tag)

    reply = await client.ask("GET", f"{client.base}/tags/list")

    assert json.loads(reply.body)["name"] == client.repository
    assert sorted(tags(reply)) == ["a", "b", "c"]


async def test_sorts_tags_without_regard_to_case(client: Client) -> None:
    """The order is that of the specification: alphanumeric, capital or not."""
    for tag in ("B", "a", "C"):
        await client.put_image(IMAGE, tag)

    assert tags(await client.ask("GET", f"{client.base}/tags/list")) == ["a", "B", "C"]


async def test_lists_tags_page_by_page(client: Client) -> None:
    """Each page has the Link to the next one, the last has none."""
    for number in range(5):
        await client.put_image(IMAGE, f"v{number}")
    path: str | None = f"{client.base}/tags/list?n=2"
    pages = []

    while path is not None:
        reply = await client.ask("GET", path)
        pages.append(tags(reply))
        link = reply.headers.get("Link")
        path = link.partition("<")[2].partition(">")[0] if link else None

    assert pages == [["v0", "v1"], ["v2", "v3"], ["v4"]]


async def test_begins_no_page_before_last(client: Client) -> None:
    """`last` need not exist; n=0 is an empty page."""
    for tag in ("a", "c"):
        await client.put_image(IMAGE, tag)

    assert tags(await client.ask("GET", f"{client.base}/tags/list?last=b")) == ["c"]
    assert tags(await client.ask("GET", f"{client.base}/tags/list?n=0")) == []


async def test_knows_no_tags_of_an_unknown_repository(client: Client) -> None:
    """A repository that was never pushed to is unknown."""
    reply = await client.ask("GET", f"{client.base}/tags/list")

    assert (reply.status, reply.code) == (404, "NAME_UNKNOWN")


async def test_lists_what_refers_to_a_manifest(client: Client) -> None:
    """A push with a subject says so, and is listed with its type and annotations, even before the subject is there."""
    artifact = referring(SBOM)
    for body in artifact.blobs.values():
        await client.put_blob(body)
    pushed = await client.put_manifest(artifact.digest, artifact.manifest)
    await client.put_image(IMAGE, "1.0")

    assert pushed.headers["OCI-Subject"] == IMAGE.digest
    _, found = await referrers(client, IMAGE.digest)
    assert [descriptor["digest"] for descriptor in found] == [artifact.digest]
    assert found[0]["artifactType"] == SBOM
    assert found[0]["annotations"] == {"made.by": "test"}
    assert found[0]["size"] == len(artifact.manifest)


async def test_filters_referrers_by_artifact_type(client: Client) -> None:
    """A filter is applied, and the answer says that it was."""
    sbom, signature = referring(SBOM), referring(SIGNATURE)
    for artifact in (sbom, signature):
        await client.put_image(artifact)

    reply, found = await referrers(client, IMAGE.digest, f"?artifactType={SIGNATURE}")

    assert reply.headers["OCI-Filters-Applied"] == "artifactType"
    assert [descriptor["digest"] for descriptor in found] == [signature.digest]
    assert len((await referrers(client, IMAGE.digest))[1]) == 2


async def test_forgets_a_deleted_referrer(client: Client) -> None:
    """A deleted manifest refers to nothing."""
    artifact = referring(SBOM)
    await client.put_image(artifact)
    await client.ask("DELETE", f"{client.base}/manifests/{artifact.digest}")

    assert (await referrers(client, IMAGE.digest))[1] == []


async def test_has_an_empty_list_of_referrers_for_what_nobody_refers_to(client: Client) -> None:
    """No referrers is an empty index, never 404."""
    assert (await referrers(client, IMAGE.digest))[1] == []
