"""Services: what is wanted, and which revision of it is ready.

Follows https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from google.cloud.run_v2.types import service as types
from google.longrunning import operations_pb2

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.binauthz.attestors import etag_of
from workers.local.google.clock import now
from workers.local.google.masks import check_mask
from workers.local.google.names import check
from workers.local.google.operations import Operations, ended
from workers.local.google.run.revisions import Revisions, State
from workers.local.google.status import ApiError, aborted, already_exists, invalid_argument, not_found
from workers.local.google.store import Store
from workers.local.google.transcode import check_representable

KIND = "Service"
_Service = types.Service.pb()
_ListResponse = types.ListServicesResponse.pb()
_POLICY = re.compile(r"projects/[^/\s]+/platforms/cloudRun/(?:policies/)?[^/\s]+")
# What a caller may set; the rest of a service is output only.
_SETTABLE = frozenset(
    [
        *("description", "labels", "annotations", "client", "client_version", "ingress", "launch_stage"),
        *("binary_authorization", "template", "traffic", "scaling", "invoker_iam_disabled", "default_uri_disabled"),
        *("iap_enabled", "multi_region_settings", "custom_audiences", "build_config"),
    ]
)


class Services:
    """The services in *store*; *revisions* admits what they deploy, *operations* keeps how that ended."""

    def __init__(self, store: Store, revisions: Revisions, operations: Operations) -> None:
        self._store = store
        self._revisions = revisions
        self._operations = operations

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "CreateService": self.create,
            "GetService": self.get,
            "ListServices": self.listed,
            "UpdateService": self.update,
            "DeleteService": self.delete,
        }

    def create(self, request: Any) -> Any:
        """CreateService: the service is there even when its first revision is refused."""
        parent = check("location", request.parent, "parent")
        name = f"{parent}/services/{check('run service id', request.service_id, 'service_id')}"
        return self._begin(name, request.service, validate_only=request.validate_only)

    def get(self, request: Any) -> Any:
        """GetService."""
        return self._read(request.name)

    def listed(self, request: Any) -> Any:
        """ListServices of one location."""
        parent = check("location", request.parent, "parent")
        bodies, token = paging.stored(self._store, KIND, parent, request)
        return _ListResponse(services=[_Service.FromString(body) for body in bodies], next_page_token=token)

    def update(self, request: Any) -> Any:
        """UpdateService: a changed template makes a revision, and only that is put to the policy."""
        name = check("run service", request.service.name, "service.name")
        body = self._store.read(KIND, name)
        if body is None and request.allow_missing:
            return self._begin(name, request.service, validate_only=request.validate_only)
        old = self._read(name)
        if request.service.etag and request.service.etag != old.etag:
            raise aborted(name)
        service = _changed(old, request.service, request.update_mask)
        _check(service)
        service.generation += 1
        service.update_time.CopyFrom(now())
        if request.validate_only:
            return ended(_named(service), service)
        with self._store.transaction():
            if service.template != old.template:
                self._deploy(service)
            if _ready(service):
                service.observed_generation = service.generation
            service.ClearField("etag")
            service.etag = etag_of(service)
            self._store.write(KIND, name, service.SerializeToString())
        return self._end(service)

    def delete(self, request: Any) -> Any:
        """DeleteService, with its revisions, at once."""
        service = self._read(request.name)
        if request.etag and request.etag != service.etag:
            raise aborted(service.name)
        service.delete_time.CopyFrom(now())
        if request.validate_only:
            return ended(_named(service), service)
        with self._store.transaction():
            self._revisions.forget(service.name)
            self._store.remove(KIND, service.name)
        return self._operations.begin(_location(service), metadata=service, response=service)

    def _read(self, name: str) -> Any:
        body = self._store.read(KIND, check("run service", name))
        if body is None:
            raise not_found(KIND, name)
        return _Service.FromString(body)

    def _begin(self, name: str, given: Any, *, validate_only: bool) -> Any:
        service = _changed(_Service(), given, None)
        _check(service)
        service.name, service.uid, service.generation = name, str(uuid.uuid4()), 1
        service.create_time.CopyFrom(now())
        service.update_time.CopyFrom(service.create_time)
        if self._store.read(KIND, name) is not None:
            raise already_exists(KIND, name)
        if validate_only:
            return ended(_named(service), service)
        with self._store.transaction():
            self._deploy(service)
            service.observed_generation = int(_ready(service))
            service.etag = etag_of(service)
            self._store.insert(KIND, name, _location(service), service.SerializeToString())
        return self._end(service)

    def _deploy(self, service: Any) -> None:
        """Make the revision of a new template and say in the service how that ended."""
        revision = self._revisions.deploy(service)
        service.latest_created_revision = revision.name
        service.terminal_condition.CopyFrom(revision.conditions[0])
        if _ready(service):
            service.latest_ready_revision = revision.name
            return
        revision_id = revision.name.rsplit("/", 1)[1]
        why = f"Revision '{revision_id}' is not ready and cannot serve traffic. {revision.conditions[0].message}"
        service.terminal_condition.message = why

    def _end(self, service: Any) -> Any:
        error = None if _ready(service) else ApiError("PERMISSION_DENIED", service.terminal_condition.message)
        return self._operations.begin(_location(service), metadata=service, response=service, error=error)


def _ready(service: Any) -> bool:
    return bool(service.terminal_condition.state == State.CONDITION_SUCCEEDED)


def _location(service: Any) -> str:
    return str(service.name.split("/services/")[0])


def _named(service: Any) -> Any:
    """Return the operation of a call that only asked whether it would be valid; it is not kept."""
    return operations_pb2.Operation(name=f"{_location(service)}/operations/{uuid.uuid4()}")


def _changed(old: Any, new: Any, mask: Any) -> Any:
    """Return *old* with what *new* sets: the fields of *mask*, all settable ones when it is empty or None."""
    changed = _Service()
    changed.CopyFrom(old)
    if mask is None or not mask.paths:
        wanted = _Service()
        wanted.CopyFrom(new)
        for field in wanted.DESCRIPTOR.fields:
            (changed if field.name in _SETTABLE else wanted).ClearField(field.name)
        changed.MergeFrom(wanted)
        return changed
    check_mask(mask, new, _SETTABLE)
    mask.MergeMessage(new, changed, True, True)
    return changed


def _check(service: Any) -> None:
    """Raise INVALID_ARGUMENT for a service that cannot be deployed."""
    check_representable(service, "service")
    if not service.template.containers:
        raise invalid_argument("service.template.containers is empty; a service has at least one.", "service.template")
    for index, container in enumerate(service.template.containers):
        if not container.image:
            where = f"service.template.containers[{index}].image"
            raise invalid_argument(f"{where} is empty; it is required.", where)
    settings, where = service.binary_authorization, "service.binary_authorization"
    if settings.policy and _POLICY.fullmatch(settings.policy) is None:
        raise invalid_argument(f"{where}.policy is {settings.policy!r}; the form is projects/*/platforms/cloudRun/*.")
    if settings.breakglass_justification and not (settings.use_default or settings.policy):
        raise invalid_argument(f"{where}.breakglass_justification must be empty when use_default is false.", where)
