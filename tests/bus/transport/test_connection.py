"""Connecting: what is no address is said at once, what does not answer soon, and no password is ever shown."""

import pytest

from workers.bus.transport.connection import connect
from workers.failures import Invalid, Unavailable


@pytest.mark.parametrize("url", ["garbage", "http://127.0.0.1:4222", "nats://", "nats://host:port", ""])
async def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    """The sentence holds what was written and how to write it."""
    with pytest.raises(Invalid, match="write nats://HOST:PORT"):
        await connect(url, identity="tester")


async def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    """Identities are seeds by reference; the sentence does not repeat the secret."""
    with pytest.raises(Invalid) as refused:
        await connect("nats://ada:canary-password@127.0.0.1:4222", identity="tester")

    assert "canary" not in str(refused.value)


async def test_a_server_that_is_not_there_is_a_sentence() -> None:
    """It names the address, the variable, and how to start one."""
    with pytest.raises(Unavailable, match="sealane up"):
        await connect("nats://127.0.0.1:1", identity="tester", first_wait=0.5)
