"""What is said of attestors: their keys and what is wrong with them, their notes, and who depends on them."""

from collections.abc import Callable
from typing import Any

from workers.app.attestors import AUTHORITY, AttestorPorts
from workers.attestors.listing import entries_of
from workers.attestors.names import project_of
from workers.attestors.patience import Patience
from workers.failures import NotFound, SealaneError
from workers.policy.findings import field_of
from workers.policy.keys import key_problems
from workers.ports import Attestor, AttestorRecord, PublicKey
from workers.signing import SigningRule


async def listed(ports: AttestorPorts, project: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the attestors of a project (an id) as records. Raises what AttestorAdmin raises."""
    patience = Patience(ports.clock, say)
    found = await patience.make(lambda: ports.admin.list(f"projects/{project}"))
    return [_record(one) | {"rules": _rules_of(ports, one.name)} for one in found]


async def shown(ports: AttestorPorts, name: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Return all that is known of an attestor, with what is wrong. Raises what AttestorAdmin raises."""
    patience = Patience(ports.clock, say)
    found = await patience.make(lambda: ports.admin.read(name))
    problems = [f"{said}: {fix}" for _, said, fix in key_problems(Attestor(found.name, found.note, found.keys))]
    if not found.keys:
        problems.append(f"{name} has no keys, so it accepts no attestation: sealane attestor ensure {name} --key KEY")
    note, note_problem = await _note(ports, found.note, patience)
    used, rule_problems = await _uses(ports, found, patience)
    keys = [
        {"id": key.id, "algorithm": key.algorithm, "comment": key.comment, "rules": used.get(key.id, [])}
        for key in found.keys
    ]
    return _record(found) | {
        "keys": keys,
        "note_state": note,
        "rules": _rules_of(ports, name),
        "service_account": found.service_account,
        "problems": [*problems, *note_problem, *rule_problems],
    }


async def requirements(ports: AttestorPorts, name: str) -> list[str]:
    """Return which rules of which policies require an attestor: those of its project and of the settings'.

    One that cannot be read counts: nobody knows what it requires.
    """
    found = []
    for project in dict.fromkeys((project_of(name), ports.project)):
        try:
            policy = await ports.policies.get(f"projects/{project}")
        except SealaneError as problem:
            found.append(f"whether the policy of {project} requires it cannot be said: {problem}")
            continue
        rules = [field_of(path) for path, rule in policy.rules if name in rule.require_attestations_by]
        if rules:
            found.append(f"the policy of {project} requires it in {', '.join(rules)}")
    return found


async def removed(ports: AttestorPorts, name: str, say: Callable[[str], None]) -> AttestorRecord:
    """Remove an attestor and return what it was. Raises NotFound when there is none."""
    patience = Patience(ports.clock, say)
    found = await patience.make(lambda: ports.admin.read(name))
    await patience.make(lambda: ports.admin.delete(name))
    return found


def rules_naming(ports: AttestorPorts, name: str) -> tuple[SigningRule, ...]:
    """Return the signing rules for an attestor."""
    return tuple(rule for rule in ports.rules.rules if rule.attestor == name)


def _rules_of(ports: AttestorPorts, name: str) -> list[str]:
    return [f"{rule.number}: {rule.match}" for rule in rules_naming(ports, name)]


def _record(found: AttestorRecord) -> dict[str, Any]:
    return {
        "attestor": found.name,
        "note": found.note,
        "description": found.description,
        "keys": [{"id": key.id, "algorithm": key.algorithm, "comment": key.comment} for key in found.keys],
    }


async def _note(ports: AttestorPorts, name: str, patience: Patience) -> tuple[str, list[str]]:
    try:
        note = await patience.make(lambda: ports.notes.get(name))
    except NotFound as problem:
        return "missing", [f"{problem}; nothing can be attested: sealane attestor ensure makes it again"]
    except SealaneError as problem:
        return "unknown", [str(problem)]
    if note.kind != AUTHORITY:
        return "wrong kind", [f"{name} is a note of kind {note.kind}, and attestations hang on one of {AUTHORITY}"]
    return "there", []


async def _uses(
    ports: AttestorPorts, found: AttestorRecord, patience: Patience
) -> tuple[dict[str, list[str]], list[str]]:
    """Return which rules sign with which listed key, and what is wrong with the keys of rules."""
    used: dict[str, list[str]] = {}
    problems = []
    for rule in rules_naming(ports, found.name):
        for word, reference in (("key", rule.key), ("next_key", rule.next_key)):
            if reference is None:
                continue
            place = f"rule {rule.number}, {word}"
            try:
                public = await _public(ports, reference, patience)
            except SealaneError as problem:
                problems.append(f"{place}: {problem}")
                continue
            entries = entries_of(public, found.keys)
            for entry in entries:
                used.setdefault(entry.id, []).append(place)
            if not entries and word == "key":
                problems.append(f"{place}: {found.name} does not list {reference}: sealane attestor ensure adds it")
    return used, problems


async def _public(ports: AttestorPorts, reference: str, patience: Patience) -> PublicKey:
    return await patience.make(lambda: ports.keys.public_key(reference))
