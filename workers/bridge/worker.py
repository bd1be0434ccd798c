"""Consumes what a subscription delivered, emits the event that it means."""

from typing import cast

from schemas.feeds import PubSubMessage
from schemas.images import ImagePushed
from schemas.occurrences import OccurrenceCreated
from schemas.scans import ScanRequested
from workers.bridge.mapping import Mappings


async def bridge(message: PubSubMessage, mappings: Mappings) -> ImagePushed | OccurrenceCreated | ScanRequested | None:
    """Say what the message means, as its subscription's mapping has it; nothing where the mapping ignores it."""
    return cast("ImagePushed | OccurrenceCreated | ScanRequested | None", mappings.apply(message))
