"""Which events may come through which door."""

import pytest

from schemas.catalogue import CATALOGUE
from schemas.echoes import EchoAnswered, EchoRequested
from schemas.images import ImagePushed
from workers.bus.topology.permissions import GATEWAY, derive, doors
from workers.bus.wiring import wire
from workers.card import Card


async def hears(event: EchoRequested) -> EchoAnswered:
    """Say something of its own."""
    return EchoAnswered(message=event.message)


async def relays(event: EchoRequested) -> ImagePushed:
    """Say what somebody else said."""
    return ImagePushed(image=event.message)


def test_what_a_worker_says_itself_comes_through_no_door_and_what_a_carrier_says_does() -> None:
    """A worker's own word comes from nobody else; a carrier's word is somebody's who may come directly."""
    own = wire(Card("hears", "It answers."), hears)
    carrier = wire(Card("relays", "It carries.", carries=True), relays)
    through = doors([own, carrier])
    assert "echo.answered" not in through
    assert {"image.pushed", "echo.requested"} <= set(through)
    assert "image.pushed" not in doors([wire(Card("relays", "It says so itself."), relays)])


def test_post_events_takes_only_what_is_meant_for_that_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only GitHub may say is published by the gateway, but never accepted as an event from anybody."""

    class Signed(EchoRequested):
        event_type = "signed.somewhere"
        door = "webhook"

    class Fed(EchoRequested):
        event_type = "fed.somewhere"
        door = "feed"

    for event in (Signed, Fed):
        monkeypatch.setitem(CATALOGUE, event.event_type, event)
    assert not {"signed.somewhere", "fed.somewhere"} & set(doors([]))
    allowed = derive([])[GATEWAY].publish
    assert "signed.somewhere" in allowed
    assert "fed.somewhere" not in allowed
