"""Looks for everything that is wrong with a policy: in a file with lines, or live without."""

from dataclasses import replace

from workers.policy import findings
from workers.policy.attestors import lint_attestors
from workers.policy.facts import Facts
from workers.policy.findings import Finding
from workers.policy.model import Policy
from workers.policy.patterns import lint_patterns
from workers.policy.reading import Node, read
from workers.policy.rules import lint_rules
from workers.policy.shape import meant, shaped

_ORDER = {"error": 0, "warning": 1, "note": 2}


class PolicyFile:
    """A policy as a file holds it: what can be used of it, and what could not be."""

    def __init__(self, text: str | bytes, where: str) -> None:
        """Read the text. Raises Invalid, naming *where* and the line, when it is neither YAML nor JSON."""
        self._root: Node = read(text, where)
        self.where = where
        self.policy: Policy
        self.policy, self._unread = shaped(self._root)

    @property
    def is_whole(self) -> bool:
        """Whether all that the file holds is understood."""
        return not self._unread

    def lint(self, facts: Facts | None = None) -> tuple[Finding, ...]:
        """Return all findings with their lines, in the order of the file."""
        # What is missing only because it is mistyped was said already.
        known = {finding.path for finding in self._unread} | {meant(finding.path) for finding in self._unread}
        found = [
            replace(finding, line=finding.line or self._root.line_of(finding.path))
            for finding in (*self._unread, *lint(self.policy, facts))
            if finding in self._unread or not (finding.path in known or _is_empty(self._unread))
        ]
        return tuple(sorted(found, key=lambda finding: (finding.line or 0, _ORDER[finding.severity])))


def _is_empty(unread: list[Finding]) -> bool:
    return any(finding.code == "empty-policy" for finding in unread)


def lint(policy: Policy, facts: Facts | None = None) -> tuple[Finding, ...]:
    """Return all findings about a policy, the worst first."""
    asked = facts or Facts()
    patterns = lint_patterns(policy, asked.system)
    found = [*lint_rules(policy), *patterns, *lint_attestors(policy, asked), *_stale(policy, asked)]
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))


def _stale(policy: Policy, facts: Facts) -> list[Finding]:
    found = []
    wanted = f"projects/{facts.project}/policy"
    if facts.project is not None and policy.name is not None and policy.name != wanted:
        found.append(
            findings.error(
                "other-project",
                ("name",),
                f"this is the policy {policy.name}, and {wanted} is asked for",
                f"write {wanted}",
            )
        )
    live = facts.live
    if live is None:
        return found
    fix = "export the policy again and make the change there, or remove the line"
    for name, ours, theirs in (("etag", policy.etag, live.etag), ("updateTime", policy.update_time, live.update_time)):
        if ours and theirs and ours != theirs:
            said = f"{name} is {ours!r}, but that of the policy in force is {theirs!r}: it was changed since the export"
            return [
                *found,
                findings.warning(f"stale-{'etag' if name == 'etag' else 'update-time'}", (name,), said, fix),
            ]
    return found
