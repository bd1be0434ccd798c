"""Updates by field mask, with the refusals in Pub/Sub's own words."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from workers.local.google.status import invalid_argument


def merged(kind: str, old: Any, new: Any, mask: Any, settable: Container[str]) -> Any:
    """Return *old* with the fields of *mask* as they are in *new*; raise INVALID_ARGUMENT for an unusable mask."""
    if not mask.paths:
        raise invalid_argument(
            f"The update_mask in the Update{kind}Request must be set, and must contain a non-empty paths list."
        )
    for path in mask.paths:
        wrong = f"Invalid update_mask provided in the Update{kind}Request:"
        if not FieldMask(paths=[path]).IsValidForDescriptor(old.DESCRIPTOR):
            raise invalid_argument(f"{wrong} {path} is not a known {kind} field.")
        if path.split(".")[0] not in settable:
            raise invalid_argument(f"{wrong} the {path} field in the {kind} is not mutable.")
    changed = type(old)()
    changed.CopyFrom(old)
    mask.MergeMessage(new, changed, True, True)
    return changed
