"""The present as protobuf says it."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp


def now() -> Timestamp:
    """Return the present as a Timestamp with microseconds."""
    stamp = Timestamp()
    stamp.GetCurrentTime()
    stamp.nanos -= stamp.nanos % 1000
    return stamp
