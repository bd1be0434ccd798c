"""Field masks of updates (https://google.aip.dev/134), checked before they are applied."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from workers.local.google.status import invalid_argument


def check_mask(mask: Any, message: Any, settable: Container[str]) -> None:
    """Raise INVALID_ARGUMENT for a path that is none of *message*, or begins with a field that is not *settable*."""
    for path in mask.paths:
        if path.split(".")[0] not in settable or not FieldMask(paths=[path]).IsValidForDescriptor(message.DESCRIPTOR):
            raise invalid_argument(f"update_mask names {path!r}, which cannot be changed.", "update_mask")
