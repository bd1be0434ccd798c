"""What the outside said of the things that a policy names. Whoever lints gathers it; what was not asked is not here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from workers.policy.model import Policy
from workers.ports import Attestor

Answer = Literal["there", "missing", "denied", "unknown"]


@dataclass(frozen=True, slots=True)
class AttestorFact:
    """What was answered about one attestor, and about its note."""

    answer: Answer
    why: str = ""
    """The sentence that came instead of the attestor."""
    attestor: Attestor | None = None
    note: Answer = "there"
    note_why: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was asked."""

    attestors: Mapping[str, AttestorFact] = field(default_factory=dict)
    """By full name."""
    live: Policy | None = None
    """The policy in force, where the one at hand is to take its place."""
    system: Policy | None = None
    """Google's own policy, where the one at hand lets it count."""
    project: str | None = None
    """Id of the project whose policy is meant; None for whichever the file names."""
