"""The global policy: images that Google maintains and exempts wherever a policy asks for it, read by GetSystemPolicy.

Follows https://cloud.google.com/binary-authorization/docs/reference/rest/v1/systempolicy. The cloud's list is Google's
own and grows; the one here holds what its guides have long told everybody to exempt so that a cluster can start
(https://cloud.google.com/binary-authorization/docs/example-policies). It is the same in every location.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.cloud.binaryauthorization_v1.types import resources

from workers.local.google.api import Handler
from workers.local.google.names import check

PATTERNS = (
    "gcr.io/google_containers/*",
    "gcr.io/google-containers/*",
    "gcr.io/gke-release/*",
    "gcr.io/stackdriver-agents/*",
    "gke.gcr.io/**",
    "k8s.gcr.io/**",
)
_Policy = resources.Policy.pb()


def handlers() -> Mapping[str, Handler]:
    """Return what answers each method."""
    return {"GetSystemPolicy": get}


def get(request: Any) -> Any:
    """GetSystemPolicy."""
    name = check("system policy", request.name)
    return _Policy(name=name, admission_whitelist_patterns=[{"name_pattern": pattern} for pattern in PATTERNS])
