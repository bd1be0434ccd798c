"""Admission: what the enforcers of Binary Authorization (GKE, Cloud Run) ask before an image may run.

Follows https://cloud.google.com/binary-authorization/docs/reference/rest/v1/Policy and, for the order in which a policy
is read, https://cloud.google.com/binary-authorization/docs/key-concepts: the global policy, the exempt images, then one
rule, the most specific one. The sentences of a refusal are those that the enforcers show. Left out: platform policies
(continuous validation), and the audit log, which is the log of this process here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from google.cloud.binaryauthorization_v1.types import resources, service

from workers.local.google.binauthz import system
from workers.local.google.binauthz.attestors import Attestors
from workers.local.google.binauthz.policies import Policies, bare_identity
from workers.local.google.binauthz.validation import Validation
from workers.local.google.grafeas.occurrences import attestations_of
from workers.local.google.status import ApiError
from workers.local.google.store import Store

_Evaluation = resources.AdmissionRule.EvaluationMode
_DRY_RUN = resources.AdmissionRule.EnforcementMode.DRYRUN_AUDIT_LOG_ONLY
_GLOBAL = resources.Policy.GlobalPolicyEvaluationMode.ENABLE
_VERIFIED = service.ValidateAttestationOccurrenceResponse.Result.VERIFIED
_Request = service.ValidateAttestationOccurrenceRequest.pb()
_DIGEST = re.compile(r"[^@]+@(sha256:[0-9a-f]{64})")
_UNATTESTED = "No attestations found that were valid and signed by a key trusted by the attestor"
_NO_DIGEST = "Expected digest with sha256 scheme, but got tag or malformed digest"


@dataclass(frozen=True, slots=True)
class Workload:
    """Where an image would run; all empty is a platform that knows only the default rule, such as Cloud Run.

    `cluster` is LOCATION.CLUSTER, `service_account` the name of a Kubernetes service account in `namespace`,
    `istio_identity` DOMAIN/ns/NAMESPACE/sa/ACCOUNT, with or without spiffe:// before it.
    """

    cluster: str = ""
    namespace: str = ""
    service_account: str = ""
    istio_identity: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an image may run, what in the policy decided it, and why.

    `dry_run` says that it may only because the rule does not enforce: `reasons` then hold what would have refused it.
    `details` say more about each attestation that did not count than the enforcers tell.
    """

    admitted: bool
    decided_by: str
    reasons: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """For people."""
        if self.dry_run:
            return f"Admitted by dry run; would be refused otherwise: {' '.join(self.reasons)}"
        return " ".join(self.reasons) if self.reasons else f"Admitted by the {self.decided_by}."


class Admission:
    """Evaluates the policies, attestors and attestations in *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._policies = Policies(store)
        self._attestors = Attestors(store)
        self._validation = Validation(self._attestors)

    def decide(self, project: str, image: str, workload: Workload | None = None) -> Decision:
        """Return what the policy of *project* ("projects/…") says of *image*, HOST/PATH with a tag or a digest."""
        policy = self._policies.read(f"{project}/policy")
        exempt = _exemption(policy, image)
        if exempt:
            return Decision(admitted=True, decided_by=exempt)
        name, rule = _rule(policy, workload or Workload())
        if rule.evaluation_mode == _Evaluation.ALWAYS_ALLOW:
            return Decision(admitted=True, decided_by=name)
        refusals, details = self._refusals(rule, image)
        if not refusals:
            return Decision(admitted=True, decided_by=name, details=details)
        reasons = (f"Image {image} denied by Binary Authorization {name}.", *refusals)
        dry_run = rule.enforcement_mode == _DRY_RUN
        return Decision(admitted=dry_run, decided_by=name, reasons=reasons, details=details, dry_run=dry_run)

    def _refusals(self, rule: Any, image: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Why a rule that does not allow everything refuses the image; none when every attestor attests it."""
        if rule.evaluation_mode != _Evaluation.REQUIRE_ATTESTATION:
            return ("Denied by always_deny admission rule",), ()
        found = _DIGEST.fullmatch(image)
        refusals: list[str] = []
        details: list[str] = []
        for attestor in rule.require_attestations_by:
            attested, failures = self._attested(attestor, found[1]) if found else (False, [])
            details += [f"{attestor}: {failure}" for failure in failures]
            if not attested:
                why = _UNATTESTED if found else _NO_DIGEST
                refusals.append(f"Image {image} denied by attestor {attestor}: {why}")
        return tuple(refusals), tuple(details)

    def _attested(self, name: str, digest: str) -> tuple[bool, list[str]]:
        """Whether the attestor has a valid attestation of the digest, and what is wrong with those before it."""
        try:
            attestor = self._attestors.read(name)
        except ApiError as error:
            return False, [error.message]
        note = attestor.user_owned_grafeas_note.note_reference
        failures: list[str] = []
        for occurrence in attestations_of(self._store, note, digest):
            request = _Request(
                attestor=name,
                attestation=occurrence.attestation,
                occurrence_note=note,
                occurrence_resource_uri=occurrence.resource_uri,
            )
            verdict = self._validation.validate(request)
            if verdict.result == _VERIFIED:
                return True, failures
            failures.append(f"{occurrence.name}: {verdict.denial_reason}")
        return False, failures


def matches(pattern: str, image: str) -> bool:
    """Whether a name pattern covers an image reference, its tag or digest included.

    A last `*` stands for anything but `/`, a last `**` for anything; all else stands for itself
    (https://cloud.google.com/binary-authorization/docs/reference/rest/v1beta1/Policy#AdmissionWhitelistPattern).
    """
    if pattern.endswith("**"):
        return image.startswith(pattern[:-2])
    if pattern.endswith("*"):
        return image.startswith(pattern[:-1]) and "/" not in image[len(pattern) - 1 :]
    return image == pattern


def _exemption(policy: Any, image: str) -> str:
    """Return what exempts the image from all rules, or nothing."""
    if policy.global_policy_evaluation_mode == _GLOBAL:
        for pattern in system.PATTERNS:
            if matches(pattern, image):
                return f"global policy, which exempts {pattern}"
    for entry in policy.admission_whitelist_patterns:
        if matches(entry.name_pattern, image):
            return f"exempt image pattern {entry.name_pattern}"
    return ""


def _rule(policy: Any, workload: Workload) -> tuple[str, Any]:
    """Return the name and the rule for a workload: that of its identity, account, namespace or cluster, or the default.

    Only one of the maps is filled in a policy that was accepted, so their order matters to none.
    """
    account = f"{workload.namespace}:{workload.service_account}"
    identities = policy.istio_service_identity_admission_rules
    asked = bare_identity(workload.istio_identity)
    identity = next((key for key in identities if bare_identity(key) == asked), "")
    maps = (
        ("istio service identity", identities, identity),
        ("kubernetes service account", policy.kubernetes_service_account_admission_rules, account),
        ("kubernetes namespace", policy.kubernetes_namespace_admission_rules, workload.namespace),
        ("cluster", policy.cluster_admission_rules, workload.cluster),
    )
    for kind, rules, key in maps:
        if key in rules:
            return f"{kind} admission rule for {key}", rules[key]
    return "default admission rule", policy.default_admission_rule
