"""A handler can be tried in memory through FastStream's test broker, with fakes for its ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faststream.nats import TestNatsBroker

from schemas.echoes import EchoRequested
from schemas.images import ImagePushed
from tests.bus.lane import worker
from workers.bus.declaration.declared import declare
from workers.bus.rooms import wiring
from workers.ports import Progress

TestNatsBroker.__test__ = False  # pytest would take it for a test


class Notes:
    """A fake of Progress which remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str) -> None:
        """Remember."""
        self.lines.append(message)

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Remember."""
        self.lines.append(name)
        yield


async def test_echo_answers_through_the_test_broker() -> None:
    """The event goes in as JSON, the port is a fake, and what is emitted is seen at the publisher."""
    notes = Notes()
    declared = declare({"echo": wiring("echo")}, {"echo": {Progress: notes}})
    async with TestNatsBroker(declared.broker) as broker:
        await broker.publish(EchoRequested(message="hello").model_dump(mode="json"), "echo.requested", stream="EVENTS")
        declared.publishers["echo", "echo.answered"].mock.assert_called_once_with({"message": "hello"})

    assert notes.lines == ["heard 'hello'"]


async def test_strict_events_with_times_are_decoded() -> None:
    """A time arrives as text and is read as JSON, although the models coerce nothing."""
    seen: list[ImagePushed] = []

    async def remember(event: ImagePushed) -> None:
        seen.append(event)

    event = ImagePushed.model_validate_json('{"image": "host/shop:1", "pushed_at": "2026-11-02T09:30:00Z"}')
    declared = declare({"remember": worker(remember)})
    async with TestNatsBroker(declared.broker) as broker:
        await broker.publish(event.model_dump(mode="json"), "image.pushed", stream="EVENTS")

    assert seen == [event]
