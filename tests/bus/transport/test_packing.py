"""Packed headers arrive as they would have, one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from tests.bus.lane import lane_on
from workers.bus.transport.packing import packed
from workers.local.nats import NatsServer

NAMES = st.text("abcXYZ-019", min_size=1, max_size=20)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40)


class _Wire(Client):
    """A client that keeps what it would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:  # noqa: FBT001, FBT002 - nats-py's signature
        self.sent += cmd


async def _written(headers: dict[str, str]) -> bytes:
    client = _Wire()
    await client._send_publish("subject", "reply", b"body", 4, headers)
    return client.sent


@settings(max_examples=200, deadline=None)
@given(headers=st.dictionaries(NAMES, VALUES, min_size=1, max_size=12))
async def test_nats_py_writes_the_same_bytes(headers: dict[str, str]) -> None:
    """What is packed and what is not lead to the same block on the wire."""
    assert await _written(packed(headers)) == await _written(dict(headers))


@settings(max_examples=200, deadline=None)
@given(headers=st.dictionaries(st.sampled_from(["ce-id", "ce-source", "x"]), st.text(max_size=20), min_size=2))
async def test_nothing_smuggles_a_header_in(headers: dict[str, str]) -> None:
    """A value with a line break is left to nats-py, which takes the break out: no value becomes a header of its own."""
    block = await _written(packed(headers))
    lines = block.partition(b"NATS/1.0\r\n")[2].partition(b"\r\n\r\n")[0].split(b"\r\n")

    assert len(lines) == len(headers)


async def test_the_server_stores_packed_headers(nats_server: NatsServer) -> None:
    """A subscriber reads each header by its name."""
    async with lane_on(nats_server.url) as lane:
        subscription = await lane.connection.client.subscribe("packed")
        await lane.connection.client.publish("packed", b"", headers=packed({"ce-id": "1", "ce-type": "t", "empty": ""}))
        message = await subscription.next_msg(timeout=30)

    assert message.headers == {"ce-id": "1", "ce-type": "t", "empty": ""}
