"""Names and bounds of Pub/Sub, and the errors in its own words, which clients are known to read.

The rules of names are https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.rpc import error_details_pb2

from workers.local.google.names import check
from workers.local.google.status import ApiError, invalid_argument

_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~%+-]{2,254}")
INVALID_ACK_ID = "PERMANENT_FAILURE_INVALID_ACK_ID"


def checked(collection: str, name: str) -> str:
    """Return *name* if it is one of projects/*/*collection*/*; else raise INVALID_ARGUMENT."""
    project, _, short = name.partition(f"/{collection}/")
    if _ID.fullmatch(short) is None:
        raise invalid_argument(f"Invalid [{collection}] name: (name={name})")
    check("project", project)
    return name


def missing(name: str) -> ApiError:
    """NOT_FOUND for the topic or subscription *name*."""
    return ApiError("NOT_FOUND", f"Resource not found (resource={name.rsplit('/', 1)[-1]}).")


def taken(name: str) -> ApiError:
    """ALREADY_EXISTS for the topic or subscription *name*."""
    return ApiError("ALREADY_EXISTS", f"Resource already exists in the project (resource={name.rsplit('/', 1)[-1]}).")


def bounded(field: str, value: float, least: int, most: int) -> None:
    """Raise INVALID_ARGUMENT for a value out of its bounds."""
    if least <= value <= most:
        return
    size, bound, limit = ("small", "minimum", least) if value < least else ("large", "maximum", most)
    raise invalid_argument(
        f"The value for {field} is too {size}. You passed {value:g} in the request, but the {bound} value is {limit}."
    )


def invalid_ack_id(ack_id: str) -> ApiError:
    """INVALID_ARGUMENT for an ack id that this service gave to nobody, or for another subscription."""
    return invalid_argument(f"Invalid ack id (ack_id={ack_id})")


def lost_leases(ack_ids: Iterable[str]) -> ApiError:
    """INVALID_ARGUMENT of an exactly-once subscription, saying of each ack id that its lease is over.

    Follows https://cloud.google.com/pubsub/docs/exactly-once-delivery#handle_failures.
    """
    info = error_details_pb2.ErrorInfo(
        reason="EXACTLY_ONCE_ACKID_FAILURE",
        domain="pubsub.googleapis.com",
        metadata=dict.fromkeys(ack_ids, INVALID_ACK_ID),
    )
    sentence = (
        "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have"
        " expired or the acknowledgement ids were malformed."
    )
    return ApiError("INVALID_ARGUMENT", sentence, [info])
