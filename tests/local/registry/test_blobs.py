"""Blobs are pushed whole, in chunks or by mounting, and pulled whole or in part."""

from urllib.parse import quote

import pytest
from yarl import URL

from tests.local.registry.client import Client, digest_of

BODY = bytes(range(256)) * 40
DIGEST = digest_of(BODY)


async def test_answers_at_its_base(client: Client) -> None:
    """A client finds out at /v2/ that this is a registry."""
    assert (await client.ask("GET", "/v2/")).status == 200


async def test_stores_a_blob_that_is_pushed_whole(client: Client) -> None:
    """POST and PUT with all bytes store a blob, which then is where Location says."""
    pushed = await client.finish(await client.open_upload(), DIGEST, BODY)

    assert pushed.status == 201
    assert pushed.headers["Docker-Content-Digest"] == DIGEST
    assert (await client.ask("GET", pushed.location)).body == BODY


async def test_finishes_an_upload_in_one_request(client: Client) -> None:
    """POST with digest and bytes is a whole upload."""
    headers = {"Content-Type": "application/octet-stream"}
    pushed = await client.ask("POST", f"{client.base}/blobs/uploads/?digest={DIGEST}", data=BODY, headers=headers)

    assert pushed.status == 201
    assert (await client.ask("GET", f"{client.base}/blobs/{DIGEST}")).body == BODY


async def test_says_how_large_a_blob_is_without_sending_it(client: Client) -> None:
    """HEAD has the size and the digest, and no body."""
    await client.put_blob(BODY)

    head = await client.ask("HEAD", f"{client.base}/blobs/{DIGEST}")

    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(BODY))
    assert head.headers["Docker-Content-Digest"] == DIGEST


async def test_sends_the_part_of_a_blob_that_is_asked_for(client: Client) -> None:
    """A range is answered with these bytes alone."""
    await client.put_blob(BODY)

    part = await client.ask("GET", f"{client.base}/blobs/{DIGEST}", headers={"Range": "bytes=100-199"})

    assert (part.status, part.body) == (206, BODY[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(BODY)}"


async def test_refuses_a_range_beyond_the_end(client: Client) -> None:
    """A range that begins behind the last byte cannot be satisfied."""
    await client.put_blob(BODY)

    reply = await client.ask("GET", f"{client.base}/blobs/{DIGEST}", headers={"Range": f"bytes={len(BODY)}-"})

    assert reply.status == 416


async def test_takes_a_blob_in_chunks(client: Client) -> None:
    """Chunks in order make one blob; each answer says how far it is."""
    upload = await client.open_upload()
    for start in range(0, len(BODY), 4096):
        chunk = BODY[start : start + 4096]
        headers = {"Content-Range": f"{start}-{start + len(chunk) - 1}", "Content-Type": "application/octet-stream"}
        reply = await client.ask("PATCH", upload, data=chunk, headers=headers)
        assert reply.status == 202
        assert reply.headers["Range"] == f"0-{start + len(chunk) - 1}"
        upload = reply.location

    assert (await client.finish(upload, DIGEST)).status == 201
    assert (await client.ask("GET", f"{client.base}/blobs/{DIGEST}")).body == BODY


async def test_takes_a_stream_and_the_rest_with_the_last_request(client: Client) -> None:
    """A PATCH without Content-Range appends, and the closing PUT may bring the last bytes."""
    upload = await client.open_upload()
    streamed = await client.ask("PATCH", upload, data=BODY[:5000])

    assert (await client.finish(streamed.location, DIGEST, BODY[5000:])).status == 201
    assert (await client.ask("GET", f"{client.base}/blobs/{DIGEST}")).body == BODY


async def test_takes_a_chunk_back_that_is_out_of_order(client: Client) -> None:
    """A chunk that leaves a gap is refused with 416, and the right one may follow."""
    upload = await client.open_upload()
    headers = {"Content-Type": "application/octet-stream"}
    first = await client.ask("PATCH", upload, data=BODY[:100], headers=headers | {"Content-Range": "0-99"})
    gap = await client.ask("PATCH", first.location, data=BODY[200:300], headers=headers | {"Content-Range": "200-299"})

    assert gap.status == 416

    status = await client.ask("GET", first.location)
    assert (status.status, status.headers["Range"]) == (204, "0-99")
    right = await client.ask("PATCH", status.location, data=BODY[100:], headers=headers)
    assert (await client.finish(right.location, DIGEST)).status == 201


async def test_refuses_a_chunk_that_is_not_as_long_as_it_says(client: Client) -> None:
    """Content-Range and Content-Length have to agree."""
    upload = await client.open_upload()
    headers = {"Content-Type": "application/octet-stream", "Content-Range": "0-9"}

    reply = await client.ask("PATCH", upload, data=BODY[:100], headers=headers)

    assert (reply.status, reply.code) == (400, "SIZE_INVALID")


async def test_says_how_far_an_upload_is(client: Client) -> None:
    """A GET of the upload has the last byte that arrived, so that a client can go on."""
    upload = await client.open_upload()
    patched = await client.ask("PATCH", upload, data=BODY[:1000])

    status = await client.ask("GET", patched.location)

    assert status.status == 204
    assert status.headers["Range"] == "0-999"


async def test_throws_a_cancelled_upload_away(client: Client) -> None:
    """A deleted upload is gone."""
    upload = await client.open_upload()

    assert (await client.ask("DELETE", upload)).status == 204
    assert (await client.ask("GET", upload)).status == 404


async def test_refuses_bytes_that_do_not_have_the_digest(client: Client) -> None:
    """A wrong digest is refused, nothing is stored, and the upload is over."""
    upload = await client.open_upload()

    reply = await client.finish(upload, digest_of(b"something else"), BODY)

    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")
    assert (await client.ask("HEAD", f"{client.base}/blobs/{digest_of(b'something else')}")).status == 404
    assert (await client.ask("HEAD", f"{client.base}/blobs/{DIGEST}")).status == 404


@pytest.mark.parametrize("digest", ["", "sha256:12", "md5:" + "0" * 32, "sha256:" + "G" * 64])
async def test_refuses_a_broken_digest(client: Client, digest: str) -> None:
    """What is no digest ends no upload."""
    reply = await client.finish(await client.open_upload(), digest, BODY)

    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")


async def test_mounts_a_blob_from_another_repository(client: Client) -> None:
    """A blob that the registry has elsewhere need not be sent again."""
    await client.put_blob(BODY)
    other = Client(client.session, f"{client.repository}/copy")

    reply = await client.ask("POST", f"{other.base}/blobs/uploads/?mount={DIGEST}&from={client.repository}")

    assert reply.status == 201
    assert (await client.ask("GET", f"{other.base}/blobs/{DIGEST}")).body == BODY


async def test_opens_an_upload_where_there_is_nothing_to_mount(client: Client) -> None:
    """A mount of a missing blob becomes an ordinary upload."""
    reply = await client.ask("POST", f"{client.base}/blobs/uploads/?mount={DIGEST}&from=no/such")

    assert reply.status == 202
    assert (await client.finish(reply.location, DIGEST, BODY)).status == 201


async def test_has_a_blob_only_in_the_repository_it_was_pushed_to(client: Client) -> None:
    """Another repository does not see the blob."""
    await client.put_blob(BODY)

    reply = await client.ask("GET", f"/v2/other/{client.repository}/blobs/{DIGEST}")

    assert (reply.status, reply.code) == (404, "BLOB_UNKNOWN")


async def test_deletes_a_blob(client: Client) -> None:
    """A deleted blob is gone, and cannot be deleted again."""
    await client.put_blob(BODY)

    assert (await client.ask("DELETE", f"{client.base}/blobs/{DIGEST}")).status == 202
    assert (await client.ask("HEAD", f"{client.base}/blobs/{DIGEST}")).status == 404
    assert (await client.ask("DELETE", f"{client.base}/blobs/{DIGEST}")).status == 404


async def test_knows_no_upload_of_another_repository(client: Client) -> None:
    """The id of an upload is good in its own repository only."""
    upload = await client.open_upload()
    path = upload.replace(client.repository, f"{client.repository}/other", 1)

    assert (await client.ask("GET", path)).status == 404


@pytest.mark.parametrize("name", ["Upper", "a//b", "-a", "a/.b", "a/_blobs", "a..b", "a/../b", "../../b"])
async def test_stores_nothing_under_a_broken_name(client: Client, name: str) -> None:
    """A name that no repository may have is refused, also when it is written so that nothing normalises it."""
    reply = await client.ask("POST", URL(f"/v2/{quote(name, safe='')}/blobs/uploads/", encoded=True))

    assert reply.status in {301, 400, 404}
