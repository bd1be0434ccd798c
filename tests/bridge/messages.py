"""Messages as Artifact Registry, Artifact Analysis and a scheduler publish them."""

import json
from datetime import UTC, datetime
from typing import Any

from schemas.feeds import PubSubContent, PubSubMessage
from workers.bridge.mapping import Mappings
from workers.subscriptions import Subscriptions

PLACE = "projects/acme/subscriptions"
REPOSITORY = "europe-docker.pkg.dev/acme/apps/shop"
DIGEST = "sha256:" + "a" * 64
AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


def message(name: str, body: Any, **attributes: str) -> PubSubMessage:
    """Return a message of the subscription NAME; a body that is not bytes is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    content = PubSubContent(data=data, attributes=attributes, message_id="1", publish_time=AT)
    return PubSubMessage(subscription=f"{PLACE}/{name}", message=content)


def mappings(**more: Any) -> Mappings:
    """Return the built-in mappings, each for a subscription of its name, and more."""
    named = {"gcr": "gcr", "occurrences": "occurrences", "scans": "scans"} | more
    listed = [{"subscription": f"{PLACE}/{name}", "mapping": mapping} for name, mapping in named.items()]
    return Mappings(Subscriptions.model_validate(listed))
