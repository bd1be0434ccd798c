"""The mappings that come with the project, in the form in which users write theirs (`workers/subscriptions.py`)."""

from collections.abc import Mapping as Map
from functools import cache
from typing import Any

from workers.subscriptions import Mapping

# A name alone would mean its tag `latest`, which nobody pushed.
_TAGGED = "matches(data.tag, '[^@]+:[^/:@]+')"
_PINNED = "after(data.digest, '@')"
_BOTH_AGREE = f"{_TAGGED} && before(data.digest, '@') == before(data.tag, ':')"
_PUSHED = "data.action == 'INSERT'"

_GCR = {
    "cases": [
        {"when": f"{_PUSHED} && data.digest && data.tag && {_BOTH_AGREE}",
         "emit": "image.pushed",
         "fields": {"image": "data.tag", "digest": _PINNED}},
        {"when": f"{_PUSHED} && {_PINNED} && !(data.tag)",
         "emit": "image.pushed",
         "fields": {"image": "data.digest", "digest": _PINNED}},
        # The registry says which digest the tag means by now: whoever signs asks it anyway.
        {"when": f"{_PUSHED} && {_TAGGED} && !(data.digest)", "emit": "image.pushed", "fields": {"image": "data.tag"}},
        {"when": "data.action == 'DELETE' && (data.digest || data.tag)", "ignore": "an image or a tag was deleted"},
    ]
}  # fmt: skip
"""Artifact Registry's topic `gcr`: {action, digest, tag}, digest and tag optional, no scheme.

Source: https://cloud.google.com/artifact-registry/docs/configure-notifications
"""

_OCCURRENCES = {
    "cases": [
        {"when": "data.kind == 'VULNERABILITY' || data.kind == 'DISCOVERY'",
         "emit": "occurrence.created",
         "fields": {
             "name": "data.name",
             "kind": "data.kind",
             "project": "captured(data.name, 'projects/([^/]+)/.+')",
             "location": "captured(data.name, 'projects/[^/]+/locations/([^/]+)/.+')",
             "notified_at": "data.notificationTime",
         }},
        # All kinds come on one topic, and our own attestations come back on it.
        {"when": "matches(data.kind, '[A-Z][A-Z0-9_]*')", "ignore": "neither a vulnerability nor a discovery"},
    ]
}  # fmt: skip
"""Artifact Analysis' topic `container-analysis-occurrences-v1`: {name, kind, notificationTime}, only a pointer.

Source: https://cloud.google.com/artifact-analysis/docs/pub-sub-notifications
"""

_SCANS = {
    "body": "none",
    "cases": [
        {"emit": "scan.requested",
         "fields": {
             "image": "attributes.image",
             "reason": "attributes.reason",
             "requested_at": "publishTime",
         }},
    ],
}  # fmt: skip
"""A topic of one's own that a scheduler publishes to; the body does not matter.

Source of the form: https://cloud.google.com/scheduler/docs/creating
"""

_BUILT_IN: Map[str, Map[str, Any]] = {"gcr": _GCR, "occurrences": _OCCURRENCES, "scans": _SCANS}


@cache
def built_in(name: str) -> Mapping:
    """Return a mapping by its name. Raises KeyError."""
    return Mapping.model_validate(_BUILT_IN[name])
