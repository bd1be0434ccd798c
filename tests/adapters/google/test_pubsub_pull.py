"""How messages come from Google's threads to the loop and back, with a stand-in for Google's messages."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import pytest

from workers.adapters.google.pubsub_pull import Courier
from workers.ports.feeds import FeedMessage


class Message:
    """What the courier uses of `google.cloud.pubsub_v1.subscriber.message.Message`."""

    def __init__(self, name: str = "1", *, exactly_once: bool = False) -> None:
        self.message_id = name
        self.data = b"body"
        self.attributes: dict[str, str] = {}
        self.publish_time = datetime.now(UTC)
        self.ordering_key = ""
        self.delivery_attempt = None
        self.exactly_once_enabled = exactly_once
        self.response: Future[object] = Future()
        self.said: list[str] = []

    def ack(self) -> None:
        """Acknowledge."""
        self.said.append("ack")

    def nack(self) -> None:
        """Hand back."""
        self.said.append("nack")

    def ack_with_response(self) -> "Future[object]":
        """Acknowledge with a confirmation."""
        self.said.append("ack")
        return self.response


def arrive(courier: Courier, *messages: Message) -> None:
    """Deliver messages as Google's thread does."""

    def schedule() -> None:
        for message in messages:
            courier.schedule(courier.deliver, message)

    thread = threading.Thread(target=schedule)
    thread.start()
    thread.join()


async def until(there: Callable[[], bool]) -> None:
    """Wait for a state of affairs."""
    async with asyncio.timeout(30):
        while not there():  # noqa: ASYNC110 - the condition is another thread's
            await asyncio.sleep(0.01)


def nothing() -> None:
    """Hear that a place is free."""


async def test_many_messages_wake_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that arrives while the loop is busy is handed over in one go, in order."""
    taken: list[FeedMessage] = []
    loop, woken = asyncio.get_running_loop(), []
    wake = loop.call_soon_threadsafe

    def count(*arguments: Any, **more: Any) -> Any:
        woken.append(arguments)
        return wake(*arguments, **more)

    monkeypatch.setattr(loop, "call_soon_threadsafe", count)
    courier = Courier(taken.append, nothing)
    arrive(courier, *(Message(str(number)) for number in range(500)))
    await until(lambda: len(taken) == 500)

    assert [message.message_id for message in taken] == [str(number) for number in range(500)]
    assert len(woken) == 1
    assert courier.held == 500


async def test_the_end_waits_for_what_is_held() -> None:
    """After the stop Google's shutdown waits in its thread until all is answered; what comes late goes back."""
    taken: list[FeedMessage] = []
    courier = Courier(taken.append, nothing)
    first, second, late = Message("1"), Message("2"), Message("3")
    arrive(courier, first, second)
    await until(lambda: len(taken) == 2)

    courier.stop()
    arrive(courier, late)
    ending = asyncio.create_task(asyncio.to_thread(courier.shutdown))
    taken[0].ack()
    done, _ = await asyncio.wait([ending], timeout=0.2)
    assert not done
    taken[1].nack()
    taken[1].ack()

    async with asyncio.timeout(30):
        assert await ending == []
    assert (first.said, second.said, late.said, len(taken)) == (["ack"], ["nack"], ["nack"], 2)


async def test_what_arrived_before_the_stop_and_was_not_handed_over_goes_back() -> None:
    """The loop had no time for it yet."""
    taken: list[FeedMessage] = []
    courier = Courier(taken.append, nothing)
    message = Message()
    arrive(courier, message)
    courier.stop()
    await asyncio.to_thread(courier.shutdown)

    assert (taken, message.said) == ([], ["nack"])


async def test_an_end_from_outside_waits_for_nothing() -> None:
    """The stream is gone: what nobody got is returned, and what is held is answered without an effect."""
    taken: list[FeedMessage] = []
    freed: list[None] = []
    courier = Courier(taken.append, lambda: freed.append(None))
    held, waiting = Message("1"), Message("2", exactly_once=True)
    arrive(courier, held)
    await until(lambda: len(taken) == 1)
    arrive(courier, waiting)
    assert courier.shutdown() == [waiting]

    taken[0].ack()
    await asyncio.sleep(0)
    assert (held.said, courier.held, len(freed), len(taken)) == ([], 0, 1, 1)


async def test_a_confirmation_that_does_not_come_holds_up_the_end_until_it_is_released() -> None:
    """With exactly-once delivery an acknowledgement counts when it is confirmed."""
    taken: list[FeedMessage] = []
    courier = Courier(taken.append, nothing)
    confirmed, refused, silent = (Message(name, exactly_once=True) for name in "123")
    arrive(courier, confirmed, refused, silent)
    await until(lambda: len(taken) == 3)
    for message in taken:
        message.ack()
    courier.stop()
    ending = asyncio.create_task(asyncio.to_thread(courier.shutdown))
    confirmed.response.set_result("SUCCESS")
    refused.response.set_exception(ValueError("INVALID_ACK_ID"))
    done, _ = await asyncio.wait([ending], timeout=0.2)
    assert not done

    courier.release()
    async with asyncio.timeout(30):
        await ending
    assert courier.held == 0
