"""The policy of a project, checked as its reference demands.

Follows https://cloud.google.com/binary-authorization/docs/reference/rest/v1/Policy.
A project without a policy of its own answers the default one, which allows everything and evaluates the global policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.cloud.binaryauthorization_v1.types import resources

from workers.local.google.api import Handler
from workers.local.google.binauthz import attestors
from workers.local.google.clock import now
from workers.local.google.enums import name_of
from workers.local.google.names import check, well_formed
from workers.local.google.status import aborted, invalid_argument
from workers.local.google.store import Store

KIND = "Policy"
_Policy = resources.Policy.pb()
_Evaluation = resources.AdmissionRule.EvaluationMode
_Enforcement = resources.AdmissionRule.EnforcementMode
_GlobalMode = resources.Policy.GlobalPolicyEvaluationMode

# The rule maps, of which one may be filled, and the form of their keys.
_MAPS = {
    "cluster_admission_rules": re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9][a-z0-9-]*"),
    "kubernetes_namespace_admission_rules": re.compile(r"[a-z0-9.-]+"),
    "kubernetes_service_account_admission_rules": re.compile(r"[a-z0-9.-]+:[a-z0-9.-]+"),
    "istio_service_identity_admission_rules": re.compile(r"(?:spiffe://)?[^/\s]+/ns/[^/\s]+/sa/[^/\s]+"),
}
# A registry, a path, and at most a trailing * or ** after the registry.
_PATTERN = re.compile(r"[^*\s/]+(?:/[^*\s]*\*{0,2})?")


class Policies:
    """The policies in *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {"GetPolicy": self.get, "UpdatePolicy": self.update}

    def get(self, request: Any) -> Any:
        """GetPolicy."""
        return self.read(check("policy", request.name))

    def update(self, request: Any) -> Any:
        """UpdatePolicy: replaces it. ABORTED when an etag is sent and is not the current one."""
        old = self.read(check("policy", request.policy.name, "policy.name"))
        if request.policy.etag and request.policy.etag != old.etag:
            raise aborted(old.name)
        self._check(request.policy)
        policy = _Policy()
        policy.CopyFrom(request.policy)
        policy.update_time.CopyFrom(now())
        policy.ClearField("etag")
        policy.etag = attestors.etag_of(policy)
        body = policy.SerializeToString()
        if not self._store.insert(KIND, policy.name, policy.name.rsplit("/", 1)[0], body):
            self._store.write(KIND, policy.name, body)
        return policy

    def read(self, name: str) -> Any:
        """Return the policy *name*, the default one where the project has none."""
        body = self._store.read(KIND, name)
        if body is not None:
            return _Policy.FromString(body)
        policy = _Policy(name=name, global_policy_evaluation_mode=_GlobalMode.ENABLE)
        policy.default_admission_rule.evaluation_mode = _Evaluation.ALWAYS_ALLOW
        policy.default_admission_rule.enforcement_mode = _Enforcement.ENFORCED_BLOCK_AND_AUDIT_LOG
        policy.etag = attestors.etag_of(policy)
        return policy

    def _check(self, policy: Any) -> None:
        """Raise INVALID_ARGUMENT for a policy that the reference forbids."""
        if not policy.HasField("default_admission_rule"):
            raise invalid_argument("default_admission_rule is not set; it is required.", "default_admission_rule")
        name_of(_GlobalMode, policy.global_policy_evaluation_mode, "global_policy_evaluation_mode")
        filled = [name for name in _MAPS if getattr(policy, name)]
        if len(filled) > 1:
            raise invalid_argument(f"Only one map of admission rules may be filled, not {' and '.join(filled)}.")
        for pattern in policy.admission_whitelist_patterns:
            if _PATTERN.fullmatch(pattern.name_pattern) is None:
                raise invalid_argument(
                    f"name_pattern {pattern.name_pattern!r} is not registry/path, with * or ** at its end only.",
                    "admission_whitelist_patterns",
                )
        for where, rule in _rules(policy):
            self._check_rule(where, rule)
        identities = [bare_identity(key) for key in policy.istio_service_identity_admission_rules]
        if twice := {identity for identity in identities if identities.count(identity) > 1}:
            raise invalid_argument(
                f"istio_service_identity_admission_rules has more than one rule for {min(twice)}.",
                "istio_service_identity_admission_rules",
            )

    def _check_rule(self, where: str, rule: Any) -> None:
        if rule.evaluation_mode not in _Evaluation.__members__.values() or not rule.evaluation_mode:
            raise invalid_argument(f"{where}.evaluation_mode is not set.", f"{where}.evaluation_mode")
        if rule.enforcement_mode not in _Enforcement.__members__.values() or not rule.enforcement_mode:
            raise invalid_argument(f"{where}.enforcement_mode is not set.", f"{where}.enforcement_mode")
        field = f"{where}.require_attestations_by"
        required = rule.evaluation_mode == _Evaluation.REQUIRE_ATTESTATION
        if required and not rule.require_attestations_by:
            raise invalid_argument(f"{field} is empty; REQUIRE_ATTESTATION needs at least one attestor.", field)
        if not required and rule.require_attestations_by:
            mode = _Evaluation(rule.evaluation_mode).name
            raise invalid_argument(f"{field} must be empty when evaluation_mode is {mode}.", field)
        for name in rule.require_attestations_by:
            if not well_formed("attestor", name):
                raise invalid_argument(f"{field} names {name!r}; the form is projects/*/attestors/*.", field)
            if self._store.read(attestors.KIND, name) is None:
                raise invalid_argument(f"{field} names {name}, which does not exist.", field)


def bare_identity(key: str) -> str:
    """Return an Istio service identity without the spiffe:// that it may be written with."""
    return key.removeprefix("spiffe://")


def _rules(policy: Any) -> Iterator[tuple[str, Any]]:
    """Every rule with its place; the keys of the maps are checked on the way."""
    yield "default_admission_rule", policy.default_admission_rule
    for name, form in _MAPS.items():
        for key, rule in getattr(policy, name).items():
            if form.fullmatch(key) is None:
                raise invalid_argument(f"{name} has the key {key!r}, which is not of the right form.", name)
            yield f"{name}[{key}]", rule
