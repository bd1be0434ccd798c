"""Says what a policy decides about an image, step by step.

The order is that of https://cloud.google.com/binary-authorization/docs/key-concepts: Google's own list of exempt system
images where the policy asks for it, the policy's own exempt images, then one rule: the specific one for the workload,
else the default. Only one of the maps of specific rules may be filled; should more be, the one that says most of a
workload counts: its identity, its account, its namespace, its cluster. Cloud Run knows only the default rule.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from workers.policy.findings import field_of
from workers.policy.model import DEFAULT_RULE, AdmissionRule, Path, Policy, bare_identity
from workers.policy.patterns import matches

Verdict = Literal["ADMITTED", "REFUSED", "UNKNOWN"]
_DIGEST = re.compile(r"[^@]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Workload:
    """Where an image would run. What is empty is not known, as on a platform that has no such thing."""

    cluster: str = ""
    """LOCATION.CLUSTER"""
    namespace: str = ""
    service_account: str = ""
    """NAMESPACE:ACCOUNT"""
    identity: str = ""
    """An Istio service identity, with or without `spiffe://`."""


@dataclass(frozen=True, slots=True)
class Attested:
    """What one attestor says of the image; `is_verified` is None where it could not be asked."""

    is_verified: bool | None
    reason: str = ""
    remedy: str | None = None
    """What would make it known; asking again, if that is all."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at, in order, and what came of it."""

    place: str
    outcome: Literal["exempts", "passes by", "applies", "allows", "denies", "attested", "not attested", "unknown"]
    said: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the image, what decided it, and what would change it."""

    verdict: Verdict
    decided_by: str
    steps: tuple[Step, ...]
    is_dry_run: bool = False
    """Whether it is admitted only because the rule that refuses it does not enforce."""
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """The rule that counts, unless a pattern exempts the image before any rule is asked."""

    steps: tuple[Step, ...]
    exempt_by: str | None = None
    path: Path = (DEFAULT_RULE,)
    rule: AdmissionRule | None = None


def select(policy: Policy, image: str, workload: Workload, system: Policy | None = None) -> Selection:
    """Return what exempts the image, given as it is deployed, else the rule for it.

    *system* is Google's own policy, of which only the patterns count; None where it could not be read.
    """
    steps: list[Step] = []
    for step in _exemptions(policy, image, system):
        steps.append(step)
        if step.outcome == "exempts":
            return Selection(tuple(steps), exempt_by=step.place)
    steps += _passed_by(policy, workload)
    path, rule = _applying(policy, workload)
    if rule is None:
        steps.append(Step(DEFAULT_RULE, "unknown", "there is none, and Binary Authorization takes no such policy"))
    else:
        steps.append(Step(field_of(path), "applies", _meaning(rule)))
    return Selection(tuple(steps), path=path, rule=rule)


def _exemptions(policy: Policy, image: str, system: Policy | None) -> Iterator[Step]:
    place = "globalPolicyEvaluationMode"
    if not policy.applies_global:
        yield Step(place, "passes by", "DISABLE: Google's list of exempt system images does not count")
    elif system is None:
        yield Step(place, "unknown", "ENABLE, but Google's list of exempt system images could not be read")
    else:
        found = next((pattern for _, pattern in system.patterns if matches(pattern, image)), None)
        said = (
            f"Google's list of exempt system images has {found}" if found else "Google's list does not have the image"
        )
        yield Step(place, "exempts" if found else "passes by", said)
    patterns = tuple(policy.patterns)
    for path, pattern in patterns:
        if matches(pattern, image):
            yield Step(field_of(path[:-1]), "exempts", f"{pattern} matches the image")
            return
    if patterns:
        yield Step("admissionWhitelistPatterns", "passes by", f"none of the {len(patterns)} matches the image")


def _applying(policy: Policy, workload: Workload) -> tuple[Path, AdmissionRule | None]:
    for name, (rules, key) in _looked_up(policy, workload).items():
        if key in rules:
            return (name, key), rules[key]
    return (DEFAULT_RULE,), policy.default_admission_rule


def _looked_up(policy: Policy, workload: Workload) -> dict[str, tuple[Mapping[str, AdmissionRule], str]]:
    """Return each map of specific rules with the key that the workload has in it."""
    asked = bare_identity(workload.identity)
    identity = next(
        (key for key in policy.istio_service_identity_admission_rules if bare_identity(key) == asked), asked
    )
    keys = (identity, workload.service_account, workload.namespace, workload.cluster)
    return {name: (rules, key) for (name, rules), key in zip(policy.maps.items(), keys, strict=True)}


def _passed_by(policy: Policy, workload: Workload) -> Iterator[Step]:
    for name, (rules, key) in _looked_up(policy, workload).items():
        if rules and key in rules:
            return
        if rules:
            said = (
                f"none of the {len(rules)} rules is for {key}" if key else "nothing was said of that, so none applies"
            )
            yield Step(name, "passes by", said)


def _meaning(rule: AdmissionRule) -> str:
    meaning = {
        "ALWAYS_ALLOW": "ALWAYS_ALLOW: every image runs",
        "ALWAYS_DENY": "ALWAYS_DENY: no image runs",
        "REQUIRE_ATTESTATION": "REQUIRE_ATTESTATION: each attestor of the rule has to attest the image",
        None: "its evaluationMode is missing",
    }[rule.evaluation_mode]
    return f"{meaning}, but a dry run refuses nothing" if rule.is_dry_run else meaning


def decide(selection: Selection, image: str, attested: Mapping[str, Attested], digest: str | None = None) -> Decision:
    """Return the verdict on an image, given as it is deployed; *attested* is what each attestor of the rule says.

    *digest* is that of an image that is deployed by its tag, where it is known: it goes into the remedy.
    """
    if selection.exempt_by is not None:
        return Decision("ADMITTED", selection.exempt_by, selection.steps)
    place, rule = field_of(selection.path), selection.rule
    verdict: Verdict = "ADMITTED"
    remedies: tuple[str, ...] = ()
    if rule is None or rule.evaluation_mode is None:
        remedies = ("Make the policy one that Binary Authorization takes: sealane policy lint says what is missing.",)
        return Decision("UNKNOWN", place, selection.steps, remedies=remedies)
    if rule.evaluation_mode == "ALWAYS_ALLOW":
        steps = [Step(place, "allows", "as it allows every image")]
    elif rule.evaluation_mode == "ALWAYS_DENY":
        verdict = "REFUSED"
        steps = [Step(place, "denies", "as it denies every image")]
        remedies = (f"Exempt the image ({_pattern_for(image)} in admissionWhitelistPatterns), or change {place}.",)
    else:
        steps = list(_attestations(rule, image, attested))
        verdict, remedies = _judged(rule, image, attested, digest)
    # What a system image is, is not known: it might be exempt before the rule is asked.
    if verdict == "REFUSED" and any(step.outcome == "unknown" for step in selection.steps):
        verdict = "UNKNOWN"
    is_dry_run = rule.is_dry_run and verdict != "ADMITTED"
    shown = "ADMITTED" if is_dry_run else verdict
    return Decision(shown, place, (*selection.steps, *steps), is_dry_run, remedies)


def has_digest(image: str) -> bool:
    """Whether a reference names its digest, without which no attestation can be looked for."""
    return _DIGEST.fullmatch(image) is not None


def _attestations(rule: AdmissionRule, image: str, attested: Mapping[str, Attested]) -> Iterator[Step]:
    if not has_digest(image):
        said = (
            "attestations are about digests, and the image is named by its tag: GKE refuses it, Cloud Run resolves it"
        )
        yield Step("digest", "denies", said)
    for name in rule.require_attestations_by:
        found = attested.get(name, Attested(None, "it was not asked"))
        outcome: Literal["attested", "not attested", "unknown"] = (
            "unknown" if found.is_verified is None else "attested" if found.is_verified else "not attested"
        )
        yield Step(name, outcome, found.reason)


def _judged(
    rule: AdmissionRule, image: str, attested: Mapping[str, Attested], digest: str | None
) -> tuple[Verdict, tuple[str, ...]]:
    asked = {name: attested.get(name, Attested(None)) for name in rule.require_attestations_by}
    answers = {name: said.is_verified for name, said in asked.items()}
    remedies = [
        f"Attest it: sealane attest {image} --attestor {name}" for name, said in answers.items() if said is False
    ]
    unknown = {name: said.remedy for name, said in asked.items() if said.is_verified is None}
    remedies += dict.fromkeys(remedy or f"Ask again: {name} could not be asked." for name, remedy in unknown.items())
    if not has_digest(image):
        return "REFUSED", (f"Deploy it by its digest: {_untagged(image)}@{digest or 'sha256:…'}", *remedies)
    if False in answers.values() or not answers:
        return "REFUSED", tuple(remedies)
    return ("UNKNOWN" if None in answers.values() else "ADMITTED"), tuple(remedies)


def _untagged(image: str) -> str:
    folder, slash, last = image.partition("@")[0].rpartition("/")
    return folder + slash + last.partition(":")[0]


def _pattern_for(image: str) -> str:
    return image if has_digest(image) else f"{image}@sha256:… once its digest is known"
