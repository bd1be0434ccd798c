"""What changed files mean by the rules: events, grouped by what their paths name. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pydantic import ValidationError

from schemas.github import ZERO, GithubPushed, NetChange
from schemas.tenants import MOST_NAMED_PATHS
from workers.dispatch.position import Step
from workers.github_rules import DECLARED, Change, Declared, PathRule

Names = tuple[tuple[str, str], ...]
_WORDS: tuple[Change, ...] = ("added", "modified", "removed")


@dataclass(frozen=True, slots=True)
class Seen:
    """What changed from one commit to another."""

    change: NetChange
    remaining: Collection[str] = ()
    """The files that are there now, below the rules' folders: wanted where something was removed, or is late."""
    since_nothing: NetChange | None = None
    """What changed for a rule to which the deletion of the ref had removed everything, where that is so."""
    late: NetChange | None = None
    """What changed before all that, and is heard of only now."""


@dataclass(frozen=True, slots=True)
class Found:
    """What follows from a push."""

    events: list[Declared]
    refused: list[str]
    """Paths that look like what a rule asks for, but are not."""


@dataclass(slots=True)
class _Group:
    """The changes of files that name the same thing."""

    added: set[str] = field(default_factory=set)
    modified: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def word(self, *, remains: bool) -> Change:
        """Say what happened to the thing: it is gone only with its last file."""
        if self.removed and not remains:
            return "removed"
        return "added" if self.added else "modified"

    @property
    def paths(self) -> set[str]:
        return self.added | self.modified | self.removed


def touches_removed(rules: Sequence[PathRule], change: NetChange) -> bool:
    """Whether a rule is about a file that is said to be removed."""
    return any(rule.fields_of(path) is not None for rule in rules for path in change.removed)


def difference(before: dict[str, str], after: dict[str, str]) -> NetChange:
    """Return what changed between two trees, path → content's hash."""
    return NetChange(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(path for path in after.keys() & before.keys() if after[path] != before[path])),
        tuple(sorted(before.keys() - after.keys())),
    )


def declared(rules: Sequence[PathRule], seen: Seen, push: GithubPushed, step: Step) -> Found:
    """Return the events that follow by the rules, in a fixed order, and the paths that nearly matched."""
    found: dict[tuple[str, Names], tuple[Change, set[str]]] = {}
    refused: set[str] = set()
    for rule in rules:
        if step.head is None and rule.when_deleted == "keep":
            continue
        groups, nearly = _groups(rule, (seen.since_nothing if rule.when_deleted == "remove" else None) or seen.change)
        refused |= nearly
        remaining = {_names(rule, path) for path in seen.remaining}
        for names, group in [*groups.items(), *_late(rule, seen, remaining)]:
            word = group.word(remains=names in remaining)
            if word in rule.changes:
                key = (rule.event, names)
                known = found.get(key, (word, set()))
                found[key] = (min(word, known[0], key=_WORDS.index), known[1] | group.paths)
    events = []
    for (event_type, names), (word, paths) in sorted(found.items()):
        try:
            events.append(_event(event_type, names, word, paths, push, step))
        except ValidationError:
            # Names that are fine by themselves, put together by `fields` into one that is not.
            refused |= paths
    return Found(events, sorted(refused))


def _late(rule: PathRule, seen: Seen, remaining: Collection[Names | None]) -> list[tuple[Names, _Group]]:
    """Return what is heard of late; what came and went again since is left out."""
    if seen.late is None:
        return []
    groups, _ = _groups(rule, seen.late)
    return [(names, group) for names, group in groups.items() if group.removed or names in remaining]


def _groups(rule: PathRule, change: NetChange) -> tuple[dict[Names, _Group], set[str]]:
    groups: dict[Names, _Group] = {}
    nearly: set[str] = set()
    for word, path in _each(change):
        names = _names(rule, path)
        if names is not None:
            getattr(groups.setdefault(names, _Group()), word).add(path)
        elif rule.nearly(path):
            nearly.add(path)
    return groups, nearly


def _each(change: NetChange) -> Iterator[tuple[str, str]]:
    for word in _WORDS:
        for path in getattr(change, word):
            yield word, path


def _names(rule: PathRule, path: str) -> Names | None:
    fields = rule.fields_of(path)
    return None if fields is None else tuple(sorted(fields.items()))


def _event(event_type: str, names: Names, word: Change, paths: set[str], push: GithubPushed, step: Step) -> Declared:
    return DECLARED[event_type].model_validate(
        dict(names)
        | {
            "repository_id": push.repository_id,
            "repository": push.repository,
            "ref": push.ref,
            "commit": step.head or ZERO,
            "change": word,
            "paths": tuple(islice(sorted(paths), MOST_NAMED_PATHS)),
            "more_paths": max(0, len(paths) - MOST_NAMED_PATHS),
        }
    )
