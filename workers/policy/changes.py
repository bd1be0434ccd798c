"""What differs between two policies, whatever the order and the spelling: what the API takes as the same is the same.

Patterns, and the attestors of a rule, are sets. `etag` and `updateTime` are the server's; a name is compared only where
both have one. A missing globalPolicyEvaluationMode means DISABLE.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from workers.policy.findings import field_of
from workers.policy.model import DEFAULT_RULE, PATTERNS, AdmissionRule, Path, Policy, bare_identity

Kind = Literal["added", "removed", "changed"]
Effect = Literal["loosens", "tightens", ""]
_STRICTNESS = {"ALWAYS_ALLOW": 0, None: 0, "REQUIRE_ATTESTATION": 1, "ALWAYS_DENY": 2}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference."""

    kind: Kind
    path: Path
    before: str | None
    after: str | None
    effect: Effect = ""
    """Whether more images run afterwards, or fewer; empty where that depends, or where it plays no part."""

    @property
    def field(self) -> str:
        """The place as people write it."""
        return field_of(self.path)


def changes(before: Policy, after: Policy) -> tuple[Change, ...]:
    """Return what would have to be done to the first policy to make it the second."""
    return tuple(_changes(before, after))


def _changes(before: Policy, after: Policy) -> Iterator[Change]:
    if before.name and after.name:
        yield from _value(("name",), before.name, after.name)
    yield from _value(("description",), before.description or None, after.description or None)
    yield from _value(
        ("globalPolicyEvaluationMode",),
        before.global_policy_evaluation_mode or "DISABLE",
        after.global_policy_evaluation_mode or "DISABLE",
        "loosens" if after.applies_global else "tightens",
    )
    ours, theirs = ((pattern for _, pattern in policy.patterns) for policy in (before, after))
    yield from _set((PATTERNS,), ours, theirs, adding="loosens")
    yield from _rule((DEFAULT_RULE,), before.default_admission_rule, after.default_admission_rule)
    for name in before.maps:
        old = {bare_identity(key): rule for key, rule in before.maps[name].items()}
        new = {bare_identity(key): rule for key, rule in after.maps[name].items()}
        for key in (*old, *(key for key in new if key not in old)):
            yield from _rule((name, key), old.get(key), new.get(key))


def _value(path: Path, before: str | None, after: str | None, effect: Effect = "") -> Iterator[Change]:
    if before != after:
        kind: Kind = "added" if before is None else "removed" if after is None else "changed"
        yield Change(kind, path, before, after, effect)


def _set(path: Path, before: Iterable[str], after: Iterable[str], *, adding: Effect) -> Iterator[Change]:
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    removing: Effect = "tightens" if adding == "loosens" else "loosens" if adding else ""
    yield from (Change("removed", path, one, None, removing) for one in old if one not in new)
    yield from (Change("added", path, None, one, adding) for one in new if one not in old)


def _rule(path: Path, before: AdmissionRule | None, after: AdmissionRule | None) -> Iterator[Change]:
    if before is None or after is None:
        if before is not after:
            kind: Kind = "added" if before is None else "removed"
            yield Change(kind, path, _said(before), _said(after))
        return
    loosens = _STRICTNESS[after.evaluation_mode] < _STRICTNESS[before.evaluation_mode]
    yield from _value(
        (*path, "evaluationMode"),
        before.evaluation_mode,
        after.evaluation_mode,
        "loosens" if loosens else "tightens",
    )
    yield from _value(
        (*path, "enforcementMode"),
        before.enforcement_mode,
        after.enforcement_mode,
        "loosens" if after.is_dry_run else "tightens",
    )
    # Where attestations were not required before, or are not after, the change of mode says it all.
    both = before.evaluation_mode == after.evaluation_mode == "REQUIRE_ATTESTATION"
    yield from _set(
        (*path, "requireAttestationsBy"),
        before.require_attestations_by,
        after.require_attestations_by,
        adding="tightens" if both else "",
    )


def _said(rule: AdmissionRule | None) -> str | None:
    if rule is None:
        return None
    attestors = f" by {', '.join(rule.require_attestations_by)}" if rule.require_attestations_by else ""
    return f"{rule.evaluation_mode}{attestors}, {rule.enforcement_mode}"
