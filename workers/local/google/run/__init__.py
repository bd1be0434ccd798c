"""Cloud Run v2 (https://cloud.google.com/run/docs/reference/rest/v2): as much of services as admission needs.

Served: services (create, get, list, patch, delete), their revisions (get, list) and the operations of both. Nothing
runs: a revision whose images are admitted is ready at once, and has no URL. What is really done is
https://cloud.google.com/binary-authorization/docs/run/overview: with `binaryAuthorization` on, every image of every new
revision is put to the project's policy, never again afterwards; a refused revision leaves the service as it was, with a
failed condition and a failed operation, and is not tried again: another change of the template makes another one.
Without `binaryAuthorization` every image is admitted.

Left out: jobs, worker pools, builds, IAM, traffic (kept and given back, so no check when it moves), platform policies
(a `policy` cannot be evaluated, so its revisions fail), checking images against a registry, resolving tags to digests,
organization policies, and the v1 API, which `gcloud run` speaks. The docs give the reason of the condition
(CONTAINER_IMAGE_UNAUTHORIZED) but not the status of the operation: PERMISSION_DENIED is a guess.
"""

from __future__ import annotations

from workers.local.google.api import Api, Ground
from workers.local.google.binauthz.admission import Admission
from workers.local.google.operations import SERVICE, Operations
from workers.local.google.run.revisions import Revisions
from workers.local.google.run.services import Services
from workers.local.google.table import Source, read

_PACKAGE = "/google.cloud.run.v2."


def build(ground: Ground) -> Api:
    """Return the API on *ground*."""
    operations = Operations(ground.store)
    revisions = Revisions(ground.store, Admission(ground.store))
    services = Services(ground.store, revisions, operations)
    rooms = ((f"{_PACKAGE}Services/", services), (f"{_PACKAGE}Revisions/", revisions), (SERVICE, operations))
    methods = [
        *read(Source("google.cloud.run_v2.services.services", "Services")),
        *read(Source("google.cloud.run_v2.services.revisions", "Revisions")),
    ]
    handlers = {prefix + name: answer for prefix, room in rooms for name, answer in room.handlers().items()}
    return Api("run", methods, handlers)
