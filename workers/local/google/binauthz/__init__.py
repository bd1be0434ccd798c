"""Binary Authorization v1 and v1beta1 (https://cloud.google.com/binary-authorization/docs/reference/rest), one state.

Served: attestors with keys of every kind, the project policy, the system policy, and ValidateAttestationOccurrence,
which really verifies. Left out: platform policies (continuous validation) and IAM. Admission has no method of its own
here, as in the cloud: the platforms ask for it (`admission.py`). The two versions have the same messages on the wire
(the note is called `user_owned_drydock_note` in v1beta1), so v1beta1 requests are re-read as v1. The v1beta1 library
lacks the validation helper, which gcloud calls; its row is added here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.local.google.api import Api, Ground, Handler
from workers.local.google.binauthz import system
from workers.local.google.binauthz.attestors import Attestors
from workers.local.google.binauthz.policies import Policies
from workers.local.google.binauthz.validation import Validation
from workers.local.google.table import Method, Source, compile_rule, merge, read

_PACKAGE = "google.cloud.binaryauthorization"
_MANAGEMENT = f"/{_PACKAGE}.v1.BinauthzManagementServiceV1/"
_OLDER_MANAGEMENT = f"/{_PACKAGE}.v1beta1.BinauthzManagementServiceV1Beta1/"
_VALIDATE = f"/{_PACKAGE}.v1.ValidationHelperV1/ValidateAttestationOccurrence"
_SYSTEM = f"/{_PACKAGE}.v1.SystemPolicyV1/"
_OLDER_SYSTEM = f"/{_PACKAGE}.v1beta1.SystemPolicyV1Beta1/"
_OLDER_VALIDATE = f"/{_PACKAGE}.v1beta1.ValidationHelperV1Beta1/ValidateAttestationOccurrence"
_OLDER_VALIDATE_RULE = "/v1beta1/{attestor=projects/*/attestors/*}:validateAttestationOccurrence"


def build(ground: Ground) -> Api:
    """Return the API on *ground*."""
    attestors = Attestors(ground.store)
    managed = {**attestors.handlers(), **Policies(ground.store).handlers()}
    methods = _methods()
    handlers: dict[str, Handler] = {}
    for prefix, older, answers in (
        (_MANAGEMENT, _OLDER_MANAGEMENT, managed),
        (_SYSTEM, _OLDER_SYSTEM, system.handlers()),
    ):
        for name, answer in answers.items():
            handlers[prefix + name] = answer
            handlers[older + name] = _older(answer, methods[prefix + name], methods[older + name])
    validate = Validation(attestors).validate
    handlers |= {_VALIDATE: validate, _OLDER_VALIDATE: validate}
    return Api("binaryauthorization", methods.values(), handlers)


def _methods() -> Mapping[str, Method]:
    sources = (
        Source(
            "google.cloud.binaryauthorization_v1.services.binauthz_management_service_v1", "BinauthzManagementServiceV1"
        ),
        Source("google.cloud.binaryauthorization_v1.services.validation_helper_v1", "ValidationHelperV1"),
        Source("google.cloud.binaryauthorization_v1.services.system_policy_v1", "SystemPolicyV1"),
        Source(
            "google.cloud.binaryauthorization_v1beta1.services.binauthz_management_service_v1_beta1",
            "BinauthzManagementServiceV1Beta1",
        ),
        Source("google.cloud.binaryauthorization_v1beta1.services.system_policy_v1_beta1", "SystemPolicyV1Beta1"),
    )
    methods = merge(method for source in sources for method in read(source))
    rule = compile_rule("post", _OLDER_VALIDATE_RULE, "*")
    methods[_OLDER_VALIDATE] = replace(methods[_VALIDATE], path=_OLDER_VALIDATE, rules=(rule,))
    return methods


def _older(answer: Handler, new: Method, old: Method) -> Handler:
    """*answer*, which speaks v1, for requests in v1beta1."""

    def older(request: Any) -> Any:
        response: Any = answer(new.request.FromString(request.SerializeToString()))
        return old.response.FromString(response.SerializeToString())

    return older
