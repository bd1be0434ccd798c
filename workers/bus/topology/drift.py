"""Compares what is on the server with what is declared, field by field, and says what a change would lose. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from workers.bus.topology.streams import Consumer, Stream, nanoseconds

_FIXED_STREAM_FIELDS = frozenset({"retention", "storage"})
_FIXED_CONSUMER_FIELDS = frozenset({"ack_policy", "deliver_policy", "replay_policy"})
_NAMES = frozenset({"name", "durable_name"})
_LISTS = frozenset({"subjects", "filter_subjects"})


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between what is declared and what is there.

    `extra` is tolerated: another version of sealane, or an operator, may need it. `refusal` says why `apply` does not
    make the change.
    """

    kind: Literal["missing", "different", "extra"]
    what: Literal["stream", "consumer", "schedule"]
    name: str
    """The stream; STREAM/CONSUMER; the schedule's subject."""
    field: str | None = None
    wanted: Any = None
    found: Any = None
    refusal: str | None = None

    @property
    def sentence(self) -> str:
        """The difference for people."""
        if self.kind == "missing":
            return f"{self.what} {self.name} is missing"
        if self.kind == "extra":
            of = f" in {self.field}" if self.field else ""
            return f"{self.what} {self.name} has more than we declare{of}: {_text(self.field, self.found)}"
        text = f"{self.what} {self.name}: {self.field} is {_text(self.field, self.found)}"
        text += f" instead of {_text(self.field, self.wanted)}"
        return f"{text}; {self.refusal}" if self.refusal else text

    def as_json(self) -> dict[str, Any]:
        """Return the difference for programs."""
        return {**asdict(self), "sentence": self.sentence}


def compare_stream(stream: Stream, info: Mapping[str, Any] | None) -> Iterator[Drift]:
    """Compare a declared stream with the answer of STREAM.INFO (with subjects, where their limit may shrink)."""
    if info is None:
        yield Drift("missing", "stream", stream.name)
        return
    for field, wanted in stream.config.items():
        if field in _NAMES:
            continue
        found = info["config"].get(field, type(wanted)())
        if field in _LISTS:
            yield from _compare_lists("stream", stream.name, field, wanted, found)
        elif found != wanted:
            yield Drift("different", "stream", stream.name, field, wanted, found, _loss(field, wanted, found, info))


def compare_consumer(consumer: Consumer, info: Mapping[str, Any] | None) -> Iterator[Drift]:
    """Compare a declared consumer with the answer of CONSUMER.INFO."""
    name = f"{consumer.stream}/{consumer.name}"
    if info is None:
        yield Drift("missing", "consumer", name)
        return
    for field, wanted in consumer.config.items():
        if field in _NAMES:
            continue
        found = info["config"].get(field, type(wanted)())
        if field in _LISTS:
            yield from _compare_lists("consumer", name, field, wanted, found or _single_filter(info))
        elif found != wanted:
            refusal = None
            if field in _FIXED_CONSUMER_FIELDS:
                refusal = "it cannot be changed: stop the worker, delete the consumer, and apply again"
            yield Drift("different", "consumer", name, field, wanted, found, refusal)


def _single_filter(info: Mapping[str, Any]) -> list[str]:
    single = info["config"].get("filter_subject")
    return [single] if single else []


def _compare_lists(
    what: Literal["stream", "consumer"], name: str, field: str, wanted: list[str], found: list[str]
) -> Iterator[Drift]:
    """Compare lists of subjects: what lacks is a difference, what is more is tolerated."""
    if set(wanted) - set(found):
        yield Drift("different", what, name, field, sorted(wanted), sorted(found))
    if more := sorted(set(found) - set(wanted)):
        yield Drift("extra", what, name, field, None, more)


def _loss(field: str, wanted: Any, found: Any, info: Mapping[str, Any]) -> str | None:
    """Say what a change of a stream's field would lose, or None when it loses nothing."""
    held = info["state"]["messages"]
    if field == "num_replicas" and wanted < found:
        return f"fewer copies are less safe: set SEALANE_RETENTION's replicas to {found}, or scale down by hand"
    if not held:
        return None
    if field in _FIXED_STREAM_FIELDS:
        return f"it cannot be changed while the stream holds {held} messages: back it up, empty it, and apply again"
    if field in _HELD and _shrinks(wanted, found):
        most = _HELD[field](info["state"])
        if most > wanted:
            return f"it holds {_text(field, most)} and shrinking would drop messages: keep the limit or empty it first"
    return None


def _oldest(state: Mapping[str, Any]) -> int:
    return nanoseconds(datetime.now(UTC) - _time(state["first_ts"]))


_HELD: Mapping[str, Callable[[Mapping[str, Any]], int]] = {
    "max_bytes": lambda state: int(state["bytes"]),
    "max_age": _oldest,
    "max_msgs": lambda state: int(state["messages"]),
    "max_msgs_per_subject": lambda state: max((state.get("subjects") or {"": 0}).values()),
}
"""How much of each limit a stream's messages use, in the limit's unit."""


def _shrinks(wanted: int, found: int) -> bool:
    """Whether a limit becomes tighter; 0 and below mean no limit."""
    return wanted > 0 and (found <= 0 or wanted < found)


def _time(text: str) -> datetime:
    """Read RFC 3339 with up to nine digits of a second, as the server writes it."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{(fraction + '000000')[:6]}+00:00")


def _text(field: str | None, value: Any) -> str:
    """Write a value with its unit."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    if field in {"max_age", "duplicate_window", "ack_wait"} and isinstance(value, int):
        return str(timedelta(microseconds=value // 1000)) if value else "unlimited"
    if field in {"max_bytes", "max_msg_size"} and isinstance(value, int):
        return f"{value:,} bytes" if value > 0 else "unlimited"
    return str(value)
