"""What is wrong with a policy, where, and what to do."""

import re
from dataclasses import dataclass
from typing import Literal

from workers.policy.model import Path

Severity = Literal["error", "warning", "note"]
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, for people in one sentence, with what repairs it."""

    code: str
    """Stable, for programs and for searching: `attestors-not-allowed`."""
    severity: Severity
    """error: it does not do what is meant, or is refused. warning: it is probably not meant. note: worth knowing."""
    path: Path
    sentence: str
    fix: str
    is_refused: bool = False
    """Whether Binary Authorization itself refuses such a policy, so that nobody can force it."""
    line: int | None = None
    """In the file, counted from 1; None where there is no file."""

    @property
    def field(self) -> str:
        """The place as people write it: `clusterAdmissionRules['us-east1-b.prod'].evaluationMode`."""
        return field_of(self.path)


def field_of(path: Path) -> str:
    """Return a path as people write it; the policy as a whole is `policy`."""
    said = ""
    for part in path:
        if isinstance(part, int):
            said += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            said += f".{part}" if said else part
        else:
            said += f"[{part!r}]"
    return said or "policy"


def refused(code: str, path: Path, sentence: str, fix: str) -> Finding:
    """Return an error that Binary Authorization itself would answer."""
    return Finding(code, "error", path, sentence, fix, is_refused=True)


def error(code: str, path: Path, sentence: str, fix: str) -> Finding:
    """Return an error of a policy that Binary Authorization would take."""
    return Finding(code, "error", path, sentence, fix)


def warning(code: str, path: Path, sentence: str, fix: str) -> Finding:
    """Return what is probably not meant."""
    return Finding(code, "warning", path, sentence, fix)


def note(code: str, path: Path, sentence: str, fix: str) -> Finding:
    """Return what is worth knowing."""
    return Finding(code, "note", path, sentence, fix)
