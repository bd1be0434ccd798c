"""The REST form itself: hosts, paths, tokens, bodies and errors, byte by byte."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.local.google.clients import TOKEN, Clients
from tests.local.google.scenes import ATTESTATION_NOTE, NOTE, PROJECT, VERSION, make_key, make_note
from workers.local.google import GoogleServices

Answer = tuple[int, dict[str, Any]]


class Wire:
    """Plain HTTP requests to the REST port."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self.port = port

    async def send(self, verb: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request; *headers* replace those sent by default."""
        given = {"Authorization": f"Bearer {TOKEN}"} | {name.title(): value for name, value in headers.items()}
        content = body if body is None or isinstance(body, str | io.BytesIO) else json.dumps(body)
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self._session.request(verb, url, data=content, headers=given) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def wire(google: GoogleServices) -> AsyncIterator[Wire]:
    """Give plain HTTP."""
    async with aiohttp.ClientSession() as session:
        yield Wire(session, google.rest_port)


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}"])
async def test_only_the_token_of_the_server_is_accepted(wire: Wire, authorization: str) -> None:
    """Any other is 401 UNAUTHENTICATED, and the token is in no answer."""
    status, answer = await wire.send("GET", f"/v1/{NOTE}", authorization=authorization)

    assert (status, answer["error"]["status"], answer["error"]["code"]) == (401, "UNAUTHENTICATED", 401)
    assert answer["error"]["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert TOKEN not in json.dumps(answer)


async def test_an_error_has_googles_body(wire: Wire) -> None:
    """Code, message, status and typed details."""
    status, answer = await wire.send("GET", f"/v1/{NOTE}")

    assert status == 404
    assert answer == {
        "error": {
            "code": 404,
            "message": f"Note {NOTE} not found.",
            "status": "NOT_FOUND",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ResourceInfo",
                    "resourceType": "Note",
                    "resourceName": NOTE,
                }
            ],
        }
    }


async def test_json_is_proto3_json(wire: Wire) -> None:
    """Names are camelCase, enums are names, times are RFC 3339, either base64 alphabet is read."""
    await wire.send(
        "POST", f"/v1/{PROJECT}/notes?noteId=reviewed", {"attestation": {"hint": {"humanReadableName": "r"}}}
    )
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        signature = alphabet(b"\xfb\xff\xfe").decode()
        attestation = {"serializedPayload": "e30=", "signatures": [{"signature": signature, "publicKeyId": "a:b"}]}
        body = {"noteName": NOTE, "resourceUri": f"https://{signature[:2]}", "attestation": attestation}
        status, made = await wire.send("POST", f"/v1/{PROJECT}/occurrences", body)

        assert status == 200
        assert made["kind"] == "ATTESTATION"
        assert made["createTime"].endswith("Z")
        assert base64.b64decode(made["attestation"]["signatures"][0]["signature"]) == b"\xfb\xff\xfe"


@pytest.mark.parametrize("host", ["cloudkms.googleapis.com", "cloudkms.us-east1.rep.googleapis.com", "127.0.0.1:1"])
async def test_a_host_decides_which_service_is_meant(wire: Wire, over_grpc: Clients, host: str) -> None:
    """A production host is its service; a local address is any of them."""
    await make_key(over_grpc)
    status, answer = await wire.send("GET", f"/v1/{VERSION}", host=host)

    assert (status, answer["name"]) == (200, VERSION)


@pytest.mark.parametrize(
    "host", ["containeranalysis.googleapis.com", "storage.googleapis.com", "oauth2.googleapis.com"]
)
async def test_another_host_does_not_answer_for_it(wire: Wire, over_grpc: Clients, host: str) -> None:
    """A path of Cloud KMS on another service's host is 404."""
    await make_key(over_grpc)
    status, answer = await wire.send("GET", f"/v1/{VERSION}", host=host)

    assert status == 404
    assert host in answer["error"]["message"]


async def test_an_absolute_target_is_read_as_a_proxy_reads_it(google: GoogleServices, over_grpc: Clients) -> None:
    """Gcloud with a plain proxy sends the whole URL in the request line."""
    await make_note(over_grpc)
    reader, writer = await asyncio.open_connection("127.0.0.1", google.rest_port)
    target = f"http://containeranalysis.googleapis.com/v1/{NOTE}?alt=json"
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: containeranalysis.googleapis.com",
        f"Authorization: Bearer {TOKEN}",
        "Connection: close",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert f'"name": "{NOTE}"'.encode() in answer


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/projects/demo/notes/n", 404),
        ("DELETE", "/v1/projects/demo/locations/global/keyRings/r", 404),
        ("GET", "/v1/projects/demo/locations", 501),
        ("POST", f"/v1/{VERSION}:asymmetricDecrypt", 501),
        ("GET", "/v1/projects/demo/policy:getIamPolicy", 501),
        ("POST", "/v1/projects/demo/attestors/a:testIamPermissions", 501),
    ],
)
async def test_what_is_not_served_says_so(wire: Wire, verb: str, path: str, status: int) -> None:
    """404 for what no API has, 501 for what is only left out here."""
    assert (await wire.send(verb, path))[0] == status


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "body is not JSON"),
        ("[" * 50_000, "body is not JSON"),
        ({"nonsense": 1}, "nonsense"),
        ({"kind": "NO_KIND"}, "NO_KIND"),
        ("[]", "Invalid JSON payload"),
    ],
)
async def test_a_body_that_is_no_message_is_refused(wire: Wire, body: Any, sentence: str) -> None:
    """Broken JSON, unknown fields and wrong types are 400."""
    status, answer = await wire.send("POST", f"/v1/{PROJECT}/notes?noteId=n", body)

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert sentence in answer["error"]["message"]


@pytest.mark.parametrize("query", ["pageSize=many", "nonsense=1", "parent.name=1"])
async def test_a_query_that_is_no_field_is_refused(wire: Wire, query: str) -> None:
    """Unknown parameters and values of the wrong type are 400."""
    assert (await wire.send("GET", f"/v1/{PROJECT}/notes?{query}"))[0] == 400


async def test_system_parameters_are_tolerated(wire: Wire, over_grpc: Clients) -> None:
    """What every Google API takes is not taken for a field."""
    await make_note(over_grpc)
    query = "$alt=json;enum-encoding=int&alt=json&fields=name&prettyPrint=false&quotaUser=me&$.xgafv=2&key=k"

    assert (await wire.send("GET", f"/v1/{NOTE}?{query}"))[0] == 200


async def test_a_body_too_large_is_refused(wire: Wire) -> None:
    """Ten megabytes are the limit."""
    status, answer = await wire.send(
        "POST", f"/v1/{PROJECT}/notes?noteId=n", io.BytesIO(b'"' + b"x" * 10_500_000 + b'"')
    )

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_a_path_is_decoded_once(wire: Wire) -> None:
    """A percent-encoded name is the name, and is then checked as one."""
    status, answer = await wire.send("GET", "/v1/projects/demo/notes/a%20b")

    assert status == 400
    assert "'projects/demo/notes/a b'" in answer["error"]["message"]


async def test_a_server_without_a_token_takes_any(tmp_path: Any) -> None:
    """Any token does, but not none."""
    async with GoogleServices(tmp_path / "open") as services, aiohttp.ClientSession() as session:
        wire = Wire(session, services.rest_port)
        body = ATTESTATION_NOTE["attestation"]["hint"]["human_readable_name"]
        note = {"attestation": {"hint": {"humanReadableName": body}}}

        assert (await wire.send("POST", f"/v1/{PROJECT}/notes?noteId=n", note, authorization="Bearer any"))[0] == 200
        assert (await wire.send("GET", f"/v1/{PROJECT}/notes/n", authorization=""))[0] == 401
