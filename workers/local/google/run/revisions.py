"""Revisions: immutable, one for each change of a service's template, admitted when they are made or never.

Follows https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services.revisions.
"""

from __future__ import annotations

import logging
import secrets
import string
import uuid
from collections.abc import Mapping
from typing import Any

from google.cloud.run_v2.types import condition, revision

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.binauthz.admission import Admission
from workers.local.google.binauthz.attestors import etag_of
from workers.local.google.clock import now
from workers.local.google.names import check
from workers.local.google.status import already_exists, invalid_argument, not_found
from workers.local.google.store import Store

KIND = "Revision"
_log = logging.getLogger(__name__)
_Revision = revision.Revision.pb()
_ListResponse = revision.ListRevisionsResponse.pb()
_Condition = condition.Condition.pb()
State = condition.Condition.State
Reason = condition.Condition.CommonReason


class Revisions:
    """The revisions in *store*, each put to *admission* once."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self._store = store
        self._admission = admission

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {"GetRevision": self.get, "ListRevisions": self.listed}

    def get(self, request: Any) -> Any:
        """GetRevision."""
        body = self._store.read(KIND, check("revision", request.name))
        if body is None:
            raise not_found(KIND, request.name)
        return _Revision.FromString(body)

    def listed(self, request: Any) -> Any:
        """ListRevisions of one service, in order of creation."""
        parent = check("run service", request.parent, "parent")
        bodies, token = paging.stored(self._store, KIND, parent, request)
        return _ListResponse(revisions=[_Revision.FromString(body) for body in bodies], next_page_token=token)

    def deploy(self, service: Any) -> Any:
        """Make the revision of the service's template and return it, its one condition saying whether it is ready.

        Raises ALREADY_EXISTS and INVALID_ARGUMENT for the name that the template asks for.
        """
        made = _Revision(name=f"{service.name}/revisions/{self._name(service)}", uid=str(uuid.uuid4()), generation=1)
        for field, value in service.template.ListFields():
            if field.name in made.DESCRIPTOR.fields_by_name and not field.is_repeated and field.message_type is None:
                setattr(made, field.name, value)
            elif field.name in made.DESCRIPTOR.fields_by_name:
                getattr(made, field.name).MergeFrom(value)
        made.service = service.name.rsplit("/", 1)[1]
        made.create_time.CopyFrom(now())
        made.update_time.CopyFrom(made.create_time)
        made.conditions.append(self._admit(service, made.name))
        made.observed_generation = 1
        made.etag = etag_of(made)
        if not self._store.insert(KIND, made.name, service.name, made.SerializeToString()):
            raise already_exists(KIND, made.name)
        return made

    def forget(self, service: str) -> None:
        """Remove all revisions of a service."""
        self._store.execute("DELETE FROM resources WHERE kind = ? AND parent = ?", (KIND, service))

    def _name(self, service: Any) -> str:
        service_id = service.name.rsplit("/", 1)[1]
        asked = str(service.template.revision)
        if not asked:
            letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(3))
            return f"{service_id}-{service.generation:05d}-{letters}"
        if not asked.startswith(f"{service_id}-"):
            raise invalid_argument(
                f"template.revision is {asked!r}; it must begin with {service_id}-.", "service.template.revision"
            )
        return check("revision id", asked, "service.template.revision")

    def _admit(self, service: Any, name: str) -> Any:
        """Return the Ready condition of a new revision."""
        ready = _Condition(type_="Ready", state=State.CONDITION_SUCCEEDED, last_transition_time=now())
        settings = service.binary_authorization
        method = settings.WhichOneof("binauthz_method")
        if method is None or not getattr(settings, method):
            return ready
        if settings.breakglass_justification:
            _log.warning("%s: admitted by breakglass: %s", name, settings.breakglass_justification)
            return ready
        if method == "policy":
            sentence = f"Container image policy authorization check failed: {settings.policy} cannot be evaluated here."
            return _failed(ready, Reason.CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED, sentence)
        project = "/".join(service.name.split("/")[:2])
        for container in service.template.containers:
            decision = self._admission.decide(project, container.image)
            if decision.dry_run:
                _log.warning("%s: %s %s", name, decision.sentence, " ".join(decision.details))
            elif not decision.admitted:
                # Who deploys is told by the operation, so here it is no warning.
                _log.info("%s: %s %s", name, decision.sentence, " ".join(decision.details))
            if not decision.admitted:
                sentence = f"Container image '{container.image}' is not authorized by policy. {decision.sentence}"
                return _failed(ready, Reason.CONTAINER_IMAGE_UNAUTHORIZED, sentence)
        return ready


def _failed(ready: Any, reason: int, sentence: str) -> Any:
    ready.state = State.CONDITION_FAILED
    ready.reason = reason
    ready.message = sentence
    return ready
