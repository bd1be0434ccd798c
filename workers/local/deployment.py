"""Deploys an image to Cloud Run as anybody would, over REST, and reads what became of it.

Sources: https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services/patch and …/get.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from workers.local.rest import GoogleRest, RestError

_HOST = "run.googleapis.com"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What Cloud Run stores of a service and its newest revision.

    `ready` is the newest revision's own condition, `serving` the name of the revision that serves (empty for none);
    `reason` and `message` say why a revision is not ready.
    """

    service: str
    revision: str
    image: str
    ready: bool
    serving: str
    reason: str
    message: str


async def deploy(rest_port: int, token: str, service: str, image: str, revision: str) -> Deployment:
    """Deploy under the project's Binary Authorization policy, as a new revision SERVICE-*revision*.

    *service* is projects/*/locations/*/services/*. Raises RestError and OSError; that the policy refuses is none.
    """
    return await asyncio.to_thread(_deploy, GoogleRest(rest_port, token), service, image, revision)


def _deploy(client: GoogleRest, service: str, image: str, revision: str) -> Deployment:
    template = {"revision": f"{service.rsplit('/', 1)[1]}-{revision}", "containers": [{"image": image}]}
    wanted = {"template": template, "binaryAuthorization": {"useDefault": True}}
    _, begun = client.call("PATCH", _HOST, f"v2/{service}?allowMissing=true", wanted)
    _, ended = client.call("POST", _HOST, f"v2/{begun['name']}:wait", {})
    if not ended.get("done"):
        raise RestError(f"the operation {begun['name']} of Cloud Run does not end")
    _, kept = client.call("GET", _HOST, f"v2/{service}", None)
    _, newest = client.call("GET", _HOST, f"v2/{kept['latestCreatedRevision']}", None)
    condition: dict[str, Any] = newest["conditions"][0]
    return Deployment(
        service=service,
        revision=newest["name"],
        image=newest["containers"][0]["image"],
        ready=condition["state"] == "CONDITION_SUCCEEDED",
        serving=kept.get("latestReadyRevision", ""),
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
    )
