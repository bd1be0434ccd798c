"""What is wrong with the attestors that a policy names, as the outside told."""

from collections.abc import Iterator

from workers.policy import findings
from workers.policy.facts import AttestorFact, Facts
from workers.policy.findings import Finding
from workers.policy.keys import key_problems
from workers.policy.model import Path, Policy
from workers.policy.rules import ATTESTOR

_WARNINGS = frozenset({"key-twice", "key-id-local"})
"""Of keys; all other problems of a key mean that nothing it signs counts."""


def lint_attestors(policy: Policy, facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with each attestor that was asked about, at the first rule that names it."""
    unknown: dict[str, list[tuple[Path, str]]] = {}
    for name in policy.attestors:
        fact = facts.attestors.get(name)
        if fact is None:
            continue
        path = _place(policy, name)
        if fact.answer == "unknown":
            unknown.setdefault(fact.why, []).append((path, name))
        else:
            yield from _attestor(path, name, fact, policy, facts)
    for why, places in unknown.items():
        names = ", ".join(name for _, name in places)
        yield findings.warning(
            "attestor-unchecked", places[0][0], f"{names} could not be looked at: {why}", "try again, or say --offline"
        )


def _attestor(path: Path, name: str, fact: AttestorFact, policy: Policy, facts: Facts) -> Iterator[Finding]:
    if fact.answer == "missing":
        yield findings.refused(
            "attestor-not-found",
            path,
            f"there is no attestor {name}, so Binary Authorization refuses the policy",
            f"make it: sealane attestor ensure {name}, or correct the name",
        )
    elif fact.answer == "denied":
        foreign = _foreign(name, policy, facts)
        yield findings.refused(
            "attestor-not-readable",
            path,
            f"we may not read {name}{foreign}, and who sets a policy must be able to read its attestors",
            "grant roles/binaryauthorization.attestorsViewer on it",
        )
    if fact.attestor is None:
        return
    if not fact.attestor.keys:
        yield findings.error(
            "attestor-without-keys",
            path,
            f"{name} has no public keys, so it accepts no attestation and no image passes",
            f"add a key: sealane attestor ensure {name} --key KEYREF",
        )
    for code, sentence, fix in key_problems(fact.attestor):
        kind = findings.warning if code in _WARNINGS else findings.error
        yield kind(code, path, sentence, fix)
    yield from _note(path, name, fact.attestor.note, fact)


def _note(path: Path, name: str, note: str, fact: AttestorFact) -> Iterator[Finding]:
    if fact.note == "missing":
        yield findings.error(
            "note-not-found",
            path,
            f"{name} reads the note {note}, which does not exist, so no attestation can be found",
            f"make the note again: sealane attestor ensure {name} --note {note}",
        )
    elif fact.note in {"denied", "unknown"}:
        yield findings.note(
            "note-unchecked",
            path,
            f"the note {note} of {name} could not be looked at: {fact.note_why}",
            "give the service agent of Binary Authorization containeranalysis.notes.occurrences.viewer on it",
        )


def _foreign(name: str, policy: Policy, facts: Facts) -> str:
    found = ATTESTOR.fullmatch(name)
    own = facts.project or (policy.name or "").removeprefix("projects/").removesuffix("/policy")
    return f" in the other project {found['project']}" if found and own and found["project"] != own else ""


def _place(policy: Policy, name: str) -> Path:
    return next(
        (*path, "requireAttestationsBy", rule.require_attestations_by.index(name))
        for path, rule in policy.rules
        if name in rule.require_attestations_by
    )
