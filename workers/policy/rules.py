"""What is wrong with the rules of a policy, as far as the policy itself tells."""

import re
from collections import Counter
from collections.abc import Iterator

from workers.policy import findings
from workers.policy.findings import Finding, field_of
from workers.policy.model import DEFAULT_RULE, POLICY_NAME, AdmissionRule, Path, Policy, bare_identity

ATTESTOR = re.compile(r"projects/(?P<project>(?:[a-z0-9.-]+:)?[a-z0-9-]+)/attestors/[A-Za-z0-9][A-Za-z0-9_.-]*")
MOST_ATTESTORS = 200
"""Attestors that one project may have (https://cloud.google.com/binary-authorization/quotas)."""
MANY_IN_ONE_RULE = 10
"""All of a rule's attestors have to attest each image: more than these is seldom meant as a list of alternatives."""
_LOCATION = re.compile(r"global|[a-z]+(?:-[a-z]+)+[0-9]+(?:-[a-z])?")
_KEYS = {
    "clusterAdmissionRules": (
        re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"),
        "a cluster",
        "LOCATION.CLUSTER, e.g. us-east1-b.prod",
    ),
    "kubernetesNamespaceAdmissionRules": (
        re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"),
        "a Kubernetes namespace",
        "its name in small letters, e.g. prod",
    ),
    "kubernetesServiceAccountAdmissionRules": (
        re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"),
        "a Kubernetes service account",
        "NAMESPACE:ACCOUNT, e.g. prod:default",
    ),
    "istioServiceIdentityAdmissionRules": (
        re.compile(r"(?:spiffe://)?[^/\s]+/ns/[^/\s]+/sa/[^/\s]+"),
        "an Istio service identity",
        "spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT",
    ),
}


def lint_rules(policy: Policy) -> Iterator[Finding]:
    """Yield what is wrong with the rules, each by itself and then together."""
    if policy.default_admission_rule is None:
        yield findings.refused(
            "no-default-rule",
            (DEFAULT_RULE,),
            "there is no defaultAdmissionRule, which every policy must have",
            "add one: evaluationMode REQUIRE_ATTESTATION or ALWAYS_DENY, and an enforcementMode",
        )
    for path, rule in policy.rules:
        yield from _modes(path, rule)
        yield from _attestors(path, rule)
    yield from _keys(policy)
    yield from _together(policy)
    yield from _frame(policy)


def _modes(path: Path, rule: AdmissionRule) -> Iterator[Finding]:
    where = field_of(path)
    evaluation = "REQUIRE_ATTESTATION, ALWAYS_DENY or ALWAYS_ALLOW"
    enforcement = "ENFORCED_BLOCK_AND_AUDIT_LOG, or DRYRUN_AUDIT_LOG_ONLY"
    for name, value, values in (
        ("evaluationMode", rule.evaluation_mode, evaluation),
        ("enforcementMode", rule.enforcement_mode, enforcement),
    ):
        if value is None:
            yield findings.refused(
                f"no-{'-'.join(_words(name))}", (*path, name), f"{where} has no {name}", f"write {values}"
            )
    if rule.is_dry_run and rule.evaluation_mode != "ALWAYS_ALLOW":
        yield findings.warning(
            "dry-run",
            (*path, "enforcementMode"),
            f"{where} is a dry run: what it refuses runs all the same, and is only written to the audit log",
            "write ENFORCED_BLOCK_AND_AUDIT_LOG when the trial is over",
        )
    if path == (DEFAULT_RULE,) and rule.evaluation_mode == "ALWAYS_ALLOW":
        yield findings.warning(
            "default-allows-all",
            (*path, "evaluationMode"),
            "defaultAdmissionRule allows every image wherever no other rule applies",
            "write REQUIRE_ATTESTATION with attestors, or ALWAYS_DENY",
        )


def _words(name: str) -> list[str]:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower().split()


def _attestors(path: Path, rule: AdmissionRule) -> Iterator[Finding]:
    where, names = field_of(path), rule.require_attestations_by
    at = (*path, "requireAttestationsBy")
    if names and rule.evaluation_mode in {"ALWAYS_DENY", "ALWAYS_ALLOW"}:
        does = "denies" if rule.evaluation_mode == "ALWAYS_DENY" else "allows"
        yield findings.refused(
            "attestors-not-allowed",
            at,
            f"{where} is {rule.evaluation_mode} and yet lists {_count(len(names), 'attestor')}: it {does} every image"
            " whoever attests it, so Binary Authorization refuses the policy",
            "write `evaluationMode: REQUIRE_ATTESTATION`, or remove requireAttestationsBy",
        )
    if not names and rule.evaluation_mode == "REQUIRE_ATTESTATION":
        yield findings.refused(
            "attestors-missing",
            at,
            f"{where} is REQUIRE_ATTESTATION, but names nobody whose attestation is required",
            "add requireAttestationsBy with projects/PROJECT/attestors/ATTESTOR",
        )
    for number, name in enumerate(names):
        if ATTESTOR.fullmatch(name) is None:
            yield _misnamed((*at, number), name)
        elif name in names[:number]:
            yield findings.warning(
                "attestor-twice", (*at, number), f"{where} names {name} twice", "remove one of the two"
            )
    if len(set(names)) > MANY_IN_ONE_RULE:
        yield findings.warning(
            "many-attestors",
            at,
            f"{where} wants {len(set(names))} attestors, and every single one must attest an image before it may run",
            "keep those that must all agree: alternatives are several keys of one attestor",
        )


def _misnamed(path: Path, name: str) -> Finding:
    last = name.rstrip("/").rpartition("/")[2]
    found = re.search(r"projects/[^/]+/attestors/[^/]+", name)
    fix = f"write {found[0]}" if found else f"write projects/PROJECT/attestors/{last or 'ATTESTOR'}"
    return findings.refused("attestor-name", path, f"{name!r} is not the name of an attestor", fix)


def _keys(policy: Policy) -> Iterator[Finding]:
    for name, rules in policy.maps.items():
        form, what, wanted = _KEYS[name]
        for key in rules:
            if form.fullmatch(key) is None:
                yield findings.refused(
                    "rule-key", (name, key), f"{key!r} is not how {what} is named in {name}", f"write {wanted}"
                )
            elif name == "clusterAdmissionRules" and not _LOCATION.fullmatch(key.partition(".")[0]):
                yield findings.warning(
                    "rule-never-reached",
                    (name, key),
                    f"no cluster is in {key.partition('.')[0]!r}, which is no zone or region: this rule never applies",
                    "write the location as `gcloud container clusters list` shows it, e.g. us-east1-b.prod",
                )
    identities = Counter(bare_identity(key) for key in policy.istio_service_identity_admission_rules)
    for key in policy.istio_service_identity_admission_rules:
        if identities[bare_identity(key)] > 1 and key != bare_identity(key):
            yield findings.refused(
                "rule-twice",
                ("istioServiceIdentityAdmissionRules", key),
                f"{key!r} and {bare_identity(key)!r} are the same identity, so one of the two rules never applies",
                "keep one of them",
            )


def _together(policy: Policy) -> Iterator[Finding]:
    filled = [name for name, rules in policy.maps.items() if rules]
    for name in filled[1:]:
        yield findings.refused(
            "several-rule-maps",
            (name,),
            f"{name} and {filled[0]} both hold rules; a policy may have rules of one of these kinds only",
            "choose one kind, and write the others' rules in its terms",
        )
    for path, rule in policy.rules:
        if path != (DEFAULT_RULE,) and policy.default_admission_rule == rule:
            yield findings.note(
                "same-as-default", path, f"{field_of(path)} says the same as defaultAdmissionRule", "remove it"
            )
    projects = Counter(found["project"] for name in policy.attestors if (found := ATTESTOR.fullmatch(name)))
    for project, count in projects.items():
        if count > MOST_ATTESTORS:
            yield findings.refused(
                "too-many-attestors",
                (),
                f"the policy names {count} attestors of the project {project}, which can have {MOST_ATTESTORS}",
                "let one attestor hold several keys: any one of its keys is enough",
            )


def _frame(policy: Policy) -> Iterator[Finding]:
    if policy.name is not None and re.fullmatch(POLICY_NAME, policy.name) is None:
        yield findings.refused(
            "policy-name", ("name",), f"{policy.name!r} is not the name of a policy", "write projects/PROJECT/policy"
        )
    blocks = any(rule.evaluation_mode != "ALWAYS_ALLOW" for _, rule in policy.rules)
    if policy.global_policy_evaluation_mode is None and blocks:
        yield findings.warning(
            "no-global-policy",
            ("globalPolicyEvaluationMode",),
            "globalPolicyEvaluationMode is missing, so the rules also count for the system images that GKE starts",
            "write `globalPolicyEvaluationMode: ENABLE`, or DISABLE if that is meant",
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
