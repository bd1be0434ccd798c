"""From which commit to which a push is taken: in order by what it lists, else by the ref itself. Pure.

A place is what was taken of a ref so far: all between `since` and `seen`. A push that goes on from there is taken as
it says; any other is an invitation to look where the ref is now, and to take what lies between. One that begins
before all that was taken is made up for, too, as far as the ref still says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from schemas.github import ZERO, GithubPushed
from workers.ports import Json

_NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Place:
    """What was taken of a ref."""

    since: str | None
    """The commit after which that begins; None is the very beginning."""
    seen: str
    """The commit with which it ends."""
    gone: bool = False
    """Whether the ref was deleted since."""

    @classmethod
    def read(cls, kept: Json | None) -> Self | None:
        """Return the place that was kept, if any."""
        return None if kept is None else cls(kept["since"], kept["seen"], bool(kept.get("gone")))

    def as_json(self) -> Json:
        """Return what `read` reads."""
        return {"since": self.since, "seen": self.seen, "gone": self.gone}


@dataclass(frozen=True, slots=True)
class Step:
    """What is done about a push."""

    how: Literal["lists", "trees", "nothing"]
    """By what the push lists, by comparing commits, or not at all."""
    base: str | None
    """From this commit; None is from nothing."""
    head: str | None
    """To this commit, which is where the ref is; None when it is gone."""
    why: str
    """One sentence for whoever follows the run."""
    late: tuple[str | None, str] | None = None
    """Two further commits to compare, the second the beginning of all that was taken: what is heard of late."""
    since: str | None = None
    """Where what was taken begins, afterwards."""
    was_gone: bool = False
    """Whether the ref had been deleted before."""
    before: Mapping[str, Any] | None = None
    """The place from which this was decided."""

    @classmethod
    def read(cls, kept: Json) -> Self:
        """Return the step that was written down."""
        late = kept.get("late")
        return cls(**{**kept, "late": None if late is None else (late[0], late[1])})

    def as_json(self) -> Json:
        """Return what `read` reads."""
        return {name: getattr(self, name) for name in self.__slots__}

    def moved(self, now: Place | None) -> Place | None:
        """Return the place after this step; None when it stays, or when somebody has moved it since."""
        if self.how == "nothing" or now != Place.read(self.before):
            return None
        if self.head is not None:
            return Place(self.since, self.head)
        return Place(self.since, self.base, gone=True) if self.base is not None else None


def ends(push: GithubPushed) -> tuple[str | None, str | None]:
    """Return the commits before and after a push; None for what did not or does not exist."""
    before, after = (None if sha.strip("0") == "" else sha for sha in (push.before, push.after))
    return before, after


def by_lists(push: GithubPushed, place: Place | None, *, removes: bool, asks: bool) -> Step | None:
    """Return the step by what the push lists, where that can be trusted; else None.

    `removes`: whether a rule is about something that the push says is gone. `asks`: whether GitHub can be asked at
    all; then the lists of several commits are not used, for a merge may have left out what they changed.
    """
    before, after = ends(push)
    plain = push.complete and not (push.created or push.deleted or push.forced) and before and after
    in_order = place is None or (place.seen == before and not place.gone)
    if not plain or not in_order or removes or (asks and push.commits > 1) or not push.ref.startswith("refs/heads/"):
        return None
    since = before if place is None else place.since
    why = f"taken as listed: {before:.12} to {after:.12}"
    return Step("lists", before, after, why, since=since, before=_json(place))


def already_taken(push: GithubPushed, place: Place | None) -> Step | None:
    """Return the step of a push that ends where we are; else None."""
    if place is None or place.gone or place.seen != push.after or place.since == push.after:
        return None
    return Step("nothing", None, place.seen, f"taken already: {push.ref} was seen at {place.seen:.12}")


def by_trees(push: GithubPushed, place: Place | None, head: str | None, *, earlier: bool) -> Step:
    """Return the step from what was taken to `head`, the commit that the ref names now.

    `earlier`: whether the push begins before all that was taken.
    """
    before, _ = ends(push)
    late = None
    if place is None:
        base = since = None if push.created else before
    else:
        base, since = place.seen, place.since
        if earlier and head is not None and since is not None:
            late, since = (before, since), before
    was_gone = place is not None and place.gone
    if late is None and (base == head or (head is None and was_gone)):
        return Step("nothing", base, head, f"taken already: {push.ref} is at {head or _NOWHERE:.12}")
    if head is None:
        return Step("trees", base, None, f"{push.ref} is gone", since=since, before=_json(place))
    why = f"taken by comparison: {base or ZERO:.12} to {head:.12}, where {push.ref} is now{_because(push, place)}"
    return Step("trees", base, head, why, late=late, since=since, was_gone=was_gone, before=_json(place))


def _because(push: GithubPushed, place: Place | None) -> str:
    words = [word for word in ("created", "deleted", "forced") if getattr(push, word)]
    if push.commits > 1:
        words.append(f"{push.commits} commits")
    if not push.complete:
        words.append("not all listed")
    if place is not None and place.seen != push.before:
        words.append(f"out of order: {place.seen:.12} was seen last")
    return f" ({', '.join(words)})" if words else ""


def _json(place: Place | None) -> Json | None:
    return None if place is None else place.as_json()
