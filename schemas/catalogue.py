"""The list of all events, by type."""

from collections.abc import Mapping

from schemas.echoes import EchoAnswered, EchoRequested
from schemas.events import Event
from schemas.images import ImageAttested, ImagePushed

EVENTS: tuple[type[Event], ...] = (ImagePushed, ImageAttested, EchoRequested, EchoAnswered)
CATALOGUE: Mapping[str, type[Event]] = {event.event_type: event for event in EVENTS}
