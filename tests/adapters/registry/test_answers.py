"""What a registry answers, however odd, becomes a digest or a failure with a clear sentence."""

import asyncio
import json
from datetime import timedelta

import pytest
from aiohttp import web

from tests.adapters.registry.conftest import IMAGE, Listed, Odd, Opener, answering
from workers.failures import Denied, Invalid, Mismatch, NotFound, QuotaExhausted, SealaneError, Unavailable
from workers.local.registry import Faults, Registry
from workers.registries import RegistryAccess

OTHER = "sha256:" + "0" * 64


async def test_hashes_the_manifest_where_no_digest_is_sent(
    registry: Registry, faults: Faults, images: Opener, listed: Listed
) -> None:
    """Without Docker-Content-Digest the bytes alone say what it is."""
    faults.digest_header = ""
    adapter = await images(listed(registry.host))

    found = await adapter.resolve(f"{registry.host}/apps/shop:1.0@{IMAGE.digest}")

    assert (found.digest, found.media_type) == (IMAGE.digest, IMAGE.media_type)


async def test_asks_once_for_an_image(registry: Registry, faults: Faults, images: Opener, listed: Listed) -> None:
    """One GET tells the digest and all that the manifest says."""
    adapter = await images(listed(registry.host))
    await adapter.resolve(f"{registry.host}/apps/shop:1.0")
    faults.calls.clear()
    found = await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert dict(faults.calls) == {"GET manifest": 1}
    assert found.manifest.config_type == "application/vnd.oci.image.config.v1+json"


async def test_trusts_no_digest_that_is_not_the_one_asked_for(
    registry: Registry, faults: Faults, images: Opener, listed: Listed
) -> None:
    """Asked by digest, an answer about another one is a mismatch that names both."""
    faults.digest_header = OTHER
    adapter = await images(listed(registry.host))

    with pytest.raises(Mismatch) as caught:
        await adapter.resolve(f"{registry.host}/apps/shop@{IMAGE.digest}")

    assert IMAGE.digest in str(caught.value)
    assert OTHER in str(caught.value)


async def test_reads_the_media_type_out_of_the_manifest_if_need_be(odd: Odd, images: Opener, listed: Listed) -> None:
    """A manifest sent as plain JSON says itself what it is."""
    odd.answer = answering(body=IMAGE.manifest, Content_Type="application/json")
    adapter = await images(listed(odd.host))

    assert (await adapter.resolve(f"{odd.host}/apps/shop:1.0")).media_type == IMAGE.media_type


async def test_notices_a_digest_that_its_own_manifest_denies(odd: Odd, images: Opener, listed: Listed) -> None:
    """Header and bytes of one answer have to agree."""
    lying = answering(body=IMAGE.manifest, Content_Type=IMAGE.media_type, Docker_Content_Digest=OTHER)
    odd.answer = lying
    adapter = await images(listed(odd.host))

    with pytest.raises(Mismatch) as caught:
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    assert IMAGE.digest in str(caught.value)
    assert OTHER in str(caught.value)


@pytest.mark.parametrize("digest", ["sha256:xyz", "sha512:" + "0" * 128, "sha256:" + "A" * 64, "0" * 64])
async def test_refuses_a_digest_that_is_none(odd: Odd, images: Opener, listed: Listed, digest: str) -> None:
    """A header that is no SHA-256 digest makes the answer invalid."""
    odd.answer = answering(body=IMAGE.manifest, Content_Type=IMAGE.media_type, Docker_Content_Digest=digest)
    adapter = await images(listed(odd.host))

    with pytest.raises(Invalid, match="not SHA-256"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")


@pytest.mark.parametrize(
    ("body", "content_type", "named"),
    [
        (b"<html>Please log in</html>", "text/html; charset=utf-8", "text/html"),
        (b"", "application/octet-stream", "application/octet-stream"),
        (b"{}", IMAGE.media_type, "something else"),
        (json.dumps([1]).encode(), "application/json", "application/json"),
        (b"<x/>", "application/x-odd; charset=utf-8", "something else"),
        (b"[" * 100_000, "application/json", "application/json"),
    ],
)
@pytest.mark.parametrize("digest", ["", OTHER])
async def test_says_what_came_instead_of_a_manifest(
    odd: Odd, images: Opener, listed: Listed, body: bytes, content_type: str, named: str, digest: str
) -> None:
    """A page, an archive or an old schema is no manifest: temporary, and the sentence names host and type."""
    odd.answer = answering(body=body, Content_Type=content_type, Docker_Content_Digest=digest)
    adapter = await images(listed(odd.host))

    with pytest.raises(Unavailable) as caught:
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    assert odd.host in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("body", "content_type", "sentence"),
    [
        ({"schemaVersion": 1}, "application/vnd.docker.distribution.manifest.v1+prettyjws", "of Docker's schema 1"),
        ({"schemaVersion": 2}, "application/vnd.acme.odd+json", "unknown media type 'application/vnd.acme.odd"),
        ({"schemaVersion": 2}, IMAGE.media_type, "config of the manifest is no descriptor"),
    ],
)
async def test_refuses_a_manifest_that_nobody_can_sign(
    odd: Odd, images: Opener, listed: Listed, body: dict[str, object], content_type: str, sentence: str
) -> None:
    """It is a manifest, so that asking again would not help: invalid, with the image and the reason."""
    odd.answer = answering(body=json.dumps(body).encode(), Content_Type=content_type)
    adapter = await images(listed(odd.host))

    with pytest.raises(Invalid, match=sentence) as caught:
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    assert f"{odd.host}/apps/shop@sha256:" in str(caught.value)


async def test_reads_no_more_than_a_manifest_may_have(odd: Odd, images: Opener, listed: Listed) -> None:
    """An endless body is cut off at the limit."""

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": IMAGE.media_type})
        await response.prepare(request)
        while request.transport is not None:
            await response.write(b" " * 65536)
        return response

    odd.answer = endless
    adapter = await images(listed(odd.host))

    with pytest.raises(Unavailable, match="more than 4194304 bytes"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")


@pytest.mark.parametrize(
    ("status", "failure", "sentence"),
    [
        (403, Denied, "permission to pull"),
        (404, NotFound, "has no image apps/shop:1.0"),
        (410, NotFound, "has no image apps/shop:1.0"),
        (400, Invalid, "it answered 400"),
        (408, Unavailable, "it answered 408"),
        (429, QuotaExhausted, "enough of our requests"),
        (500, Unavailable, "it answered 500"),
        (503, Unavailable, "it answered 503"),
    ],
)
async def test_makes_a_status_a_failure(
    registry: Registry, images: Opener, listed: Listed, status: int, failure: type[SealaneError], sentence: str
) -> None:
    """Each status has one failure, and a sentence that names the host."""
    registry.faults.fail("manifest", status)
    adapter = await images(listed(registry.host))

    with pytest.raises(failure, match=sentence) as caught:
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert type(caught.value) is failure
    assert registry.host in str(caught.value)


@pytest.mark.parametrize("status", [429, 503])
async def test_comes_back_when_the_registry_says_so(
    registry: Registry, images: Opener, listed: Listed, status: int
) -> None:
    """Retry-After is carried into the failure."""
    registry.faults.fail("manifest", status, retry_after="42")
    adapter = await images(listed(registry.host))

    with pytest.raises((QuotaExhausted, Unavailable)) as caught:
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert isinstance(caught.value, QuotaExhausted | Unavailable)
    assert caught.value.after == timedelta(seconds=42)


async def test_recovers_after_a_failure(registry: Registry, images: Opener, listed: Listed) -> None:
    """A failure leaves nothing behind: the next question is answered."""
    registry.faults.fail("manifest", 500)
    adapter = await images(listed(registry.host))
    with pytest.raises(Unavailable):
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert (await adapter.resolve(f"{registry.host}/apps/shop:1.0")).digest == IMAGE.digest


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
async def test_waits_no_longer_than_its_limits(odd: Odd, images: Opener, listed: Listed, limit: str) -> None:
    """A registry that never answers is unavailable after the time for one request, or for the whole question."""

    async def never(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    odd.answer = never
    adapter = await images(listed(odd.host), **{limit: 0.1})

    with pytest.raises(Unavailable, match=r"0\.1 s"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
async def test_says_that_something_else_listens_there(images: Opener, listed: Listed, answer: bytes) -> None:
    """What is not HTTP is unavailable, with the host named."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    adapter = await images(listed(host))
    async with server:
        with pytest.raises(Unavailable, match=host):
            await adapter.resolve(f"{host}/apps/shop:1.0")


async def test_speaks_tls_unless_told_otherwise(odd: Odd, images: Opener) -> None:
    """A registry that is not listed as insecure is never asked in plain HTTP."""
    adapter = await images(RegistryAccess(host=odd.host))

    with pytest.raises(Unavailable, match="TLS certificate"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    assert odd.asked == []
