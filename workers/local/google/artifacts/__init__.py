"""Artifact Registry v1 (https://cloud.google.com/artifact-registry/docs/reference/rest), over the local OCI registry.

What is listed is what that registry really holds, at the moment of the question. Its repositories are those of one
project and one location (`ServedRegistry`), by the first component of their path:

    HOST/R/IMAGE@DIGEST  <->  projects/P/locations/L/repositories/R/dockerImages/IMAGE@DIGEST

IMAGE may have slashes, written %2F in names as in the cloud; what lies directly below HOST is in no repository. A push
makes R where it was not (the cloud refuses it); CreateRepository makes one that is empty. Every manifest is an image:
the members of an index, signatures and SBOMs too.

Served: repositories (create, get, list), dockerImages, packages, versions and tags (get, list), and the operation of a
creation. Left out: everything that changes or removes content, other formats than DOCKER, files, rules, attachments,
locations, IAM, `order_by` and filters (refused), except the `version="…"` of ListTags, which gcloud sends. The size of
an image is the sum of config and layers, that of an index the sum of its members; the cloud's rule is not documented.
"""

from __future__ import annotations

from workers.local.google.api import Api, Ground
from workers.local.google.artifacts.contents import Contents
from workers.local.google.artifacts.images import DockerImages
from workers.local.google.artifacts.packages import Packages
from workers.local.google.artifacts.repositories import Repositories
from workers.local.google.operations import SERVICE, Operations
from workers.local.google.table import Source, read

_SERVICE = "/google.devtools.artifactregistry.v1.ArtifactRegistry/"


def build(ground: Ground) -> Api:
    """Return the API on *ground*."""
    contents = Contents(ground.registry)
    operations = Operations(ground.store)
    repositories = Repositories(ground.store, contents, operations)
    rooms = (repositories, DockerImages(repositories, contents), Packages(repositories, contents))
    handlers = {_SERVICE + name: answer for room in rooms for name, answer in room.handlers().items()}
    methods = read(Source("google.cloud.artifactregistry_v1.services.artifact_registry", "ArtifactRegistry"))
    return Api("artifactregistry", methods, {**handlers, f"{SERVICE}GetOperation": operations.get})
