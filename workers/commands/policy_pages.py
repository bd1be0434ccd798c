"""How findings, differences and decisions about policies are shown: in colour for people, as JSON for programs."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workers.commands.output import console, one_line, write_json, write_table

if TYPE_CHECKING:
    from workers.policy.changes import Change
    from workers.policy.evaluation import Decision
    from workers.policy.findings import Finding

_SEVERITIES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_EFFECTS = {"loosens": "yellow", "tightens": "green", "": ""}
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_VERDICTS = {"ADMITTED": "bold green", "REFUSED": "bold red", "UNKNOWN": "bold yellow"}


def show_findings(where: str, findings: "Sequence[Finding]", *, as_json: bool) -> None:
    """Write each finding at its place, then how many there are."""
    if as_json:
        for finding in findings:
            write_json(_finding(where, finding))
        return
    from rich.text import Text

    screen = console()
    for finding in findings:
        place = f"{where}:{finding.line}" if finding.line else where
        style = _SEVERITIES[finding.severity]
        said = one_line(finding.sentence)
        screen.print(Text.assemble((f"{place}: ", "bold"), (f"{finding.severity}: ", style), said), soft_wrap=True)
        at = one_line(f"{finding.field} [{finding.code}]")
        screen.print(Text.assemble("    at:  ", (at, "dim")), soft_wrap=True)
        screen.print(Text(f"    fix: {one_line(finding.fix)}"), soft_wrap=True)
    screen.print(Text(_counted(where, findings)), soft_wrap=True)


def _counted(where: str, findings: "Sequence[Finding]") -> str:
    counts = Counter(str(finding.severity) for finding in findings)
    said = [f"{counts[kind]} {kind}{'s' if counts[kind] > 1 else ''}" for kind in _SEVERITIES if counts[kind]]
    return f"{where}: {', '.join(said) or 'nothing to find fault with'}"


def _finding(where: str, finding: "Finding") -> dict[str, Any]:
    return {
        "policy": where,
        "line": finding.line,
        "field": finding.field,
        "code": finding.code,
        "severity": finding.severity,
        "refused": finding.is_refused,
        "sentence": finding.sentence,
        "fix": finding.fix,
    }


def show_changes(changes: "Sequence[Change]", *, as_json: bool, same: str) -> None:
    """Write what would be added (+), removed (-) and changed (~), and whether it loosens or tightens the policy."""
    if as_json:
        for change in changes:
            write_json(
                {
                    "change": change.kind,
                    "field": change.field,
                    "before": change.before,
                    "after": change.after,
                    "effect": change.effect or None,
                }
            )
        return
    from rich.text import Text

    screen = console()
    for change in changes:
        sign, style = _SIGNS[change.kind]
        values = " -> ".join(value for value in (change.before, change.after) if value is not None)
        effect = (f"  ({change.effect})", _EFFECTS[change.effect]) if change.effect else ""
        line = Text.assemble((f"{sign} ", style), (one_line(change.field), "bold"), f": {one_line(values)}", effect)
        screen.print(line, soft_wrap=True)
    if not changes:
        screen.print(Text(same), soft_wrap=True)


def show_decision(image: str, where: str, decision: "Decision", *, as_json: bool) -> None:
    """Write the walk through the policy, the verdict, and what would change it."""
    if as_json:
        write_json(
            {
                "image": image,
                "policy": where,
                "verdict": decision.verdict,
                "decided_by": decision.decided_by,
                "dry_run": decision.is_dry_run,
                "steps": [{"place": step.place, "outcome": step.outcome, "said": step.said} for step in decision.steps],
                "remedies": list(decision.remedies),
            }
        )
        return
    from rich.text import Text

    rows = [(number, step.place, step.outcome, step.said) for number, step in enumerate(decision.steps, start=1)]
    write_table(("STEP", "LOOKED AT", "OUTCOME", "WHY"), rows, empty="")
    screen = console()
    verdict = Text.assemble(
        ("\n" + decision.verdict, _VERDICTS[decision.verdict]),
        f": {one_line(decision.decided_by)} of {one_line(where)} decides",
    )
    if decision.is_dry_run:
        verdict.append(", and is only a dry run: if it were enforced, the image would not run")
    elif decision.verdict == "UNKNOWN":
        verdict.append(", but not all that it depends on could be asked")
    screen.print(verdict, soft_wrap=True)
    for remedy in decision.remedies:
        screen.print(Text(f"  - {one_line(remedy)}"), soft_wrap=True)
