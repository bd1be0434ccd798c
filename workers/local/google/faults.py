"""What tests may do to the services: quotas, latency, read lag, failures, lost answers, denials; and a log of calls.

Methods are named as in the API, without the service: "CreateOccurrence". The same switches are reachable from other
processes as JSON: `POST /__faults__` on the REST port takes what `Faults.apply` does, `GET /__faults__` answers
`Faults.snapshot`, and with `?log=N` also the last N calls under "log".
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from workers.local.google.status import HTTP_STATUS, ApiError, resource_exhausted

LOG_LENGTH = 20_000


@dataclass(frozen=True)
class Call:
    """One call as it was answered: *at* is Unix time in seconds, *took* seconds, *code* a google.rpc code name."""

    method: str
    resource: str
    code: str
    transport: str
    at: float
    took: float


@dataclass
class _Quota:
    limit: int
    per: float
    admitted: deque[float] = field(default_factory=deque)

    def retry_after(self, now: float) -> float:
        """Seconds until a call is admitted; 0 admits this one (a sliding window)."""
        while self.admitted and now - self.admitted[0] >= self.per:
            self.admitted.popleft()
        if len(self.admitted) < self.limit:
            self.admitted.append(now)
            return 0.0
        return self.admitted[0] + self.per - now if self.admitted else self.per


@dataclass
class _Failures:
    times: int
    code: str


class Faults:
    """The switches of one `GoogleServices`, all off at first, and its record of calls.

    `calls` counts the answers of each method, `log` holds the last 20,000 of them.
    `list_lag` and `get_lag` are how many seconds a created occurrence stays invisible to lists and to GetOccurrence.
    `conflict` says when CreateOccurrence answers ALREADY_EXISTS for an attestation: "identical" (same note, resource,
    payload and signatures), "resource" (same note and resource) or "never".
    `denials` holds what `deny` took away: pairs of a resource and a permission.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.log: deque[Call] = deque(maxlen=LOG_LENGTH)
        self.list_lag = 0.0
        self.get_lag = 0.0
        self.conflict = "identical"
        self.denials: list[tuple[str, str]] = []
        self._quotas: dict[str, _Quota] = {}
        self._delays: dict[str, float] = {}
        self._late: dict[str, float] = {}
        self._failures: dict[str, _Failures] = {}
        self._lost: dict[str, _Failures] = {}

    def quota(self, method: str, limit: int | None, per: float = 60.0) -> None:
        """Admit *limit* calls of *method* in any *per* seconds; None lifts the quota."""
        if limit is None:
            self._quotas.pop(method, None)
        else:
            self._quotas[method] = _Quota(limit, per)

    def delay(self, method: str, seconds: float) -> None:
        """Let every call of *method* wait *seconds* before its work is done; a caller who gave up prevents it."""
        self._delays[method] = seconds

    def late(self, method: str, seconds: float) -> None:
        """Do the work of every call of *method* at once and answer *seconds* later, to callers who still wait."""
        self._late[method] = seconds

    def lag(self, seconds: float, *, get: float = 0.0) -> None:
        """Keep a created occurrence out of lists for *seconds*, and out of GetOccurrence for *get* seconds."""
        self.list_lag, self.get_lag = seconds, get

    def fail(self, method: str, times: int = 1, code: str = "UNAVAILABLE") -> None:
        """Answer the next *times* calls of *method* with *code*, doing nothing."""
        self._failures[method] = _Failures(times, _known(code))

    def lose(self, method: str, times: int = 1, code: str = "UNAVAILABLE") -> None:
        """Do the work of the next *times* calls of *method*, then answer *code* as if it had not been done."""
        self._lost[method] = _Failures(times, _known(code))

    def conflicts(self, when: str) -> None:
        """Set when a repeated attestation is refused: "identical", "resource" or "never"."""
        if when not in {"identical", "resource", "never"}:
            raise ValueError(f'conflict is "identical", "resource" or "never", not {when!r}.')
        self.conflict = when

    def deny(self, resource: str, permission: str | None = "*") -> None:
        """Take a permission on *resource*, and on all below it, from every caller; None gives all of them back.

        *permission* is IAM's name, in which * stands for anything: "containeranalysis.notes.*".
        """
        resource = resource.strip("/")
        if permission is None:
            self.denials = [denial for denial in self.denials if denial[0] != resource]
        elif isinstance(permission, str):
            self.denials.append((resource, permission))
        else:
            raise TypeError(f"A permission is IAM's name, not {permission!r}.")

    def denies(self, permission: str, resource: str) -> bool:
        """Whether *permission* on *resource* was taken away."""
        return any(
            fnmatchcase(permission, pattern) and f"{resource}/".startswith(f"{denied}/")
            for denied, pattern in self.denials
        )

    def clear(self) -> None:
        """Switch everything off and forget the calls."""
        Faults.__init__(self)

    def apply(self, order: Mapping[str, Any]) -> None:
        """Apply a JSON order.

        Keys: `clear` (true), `quota` {method: [limit, per]}, `delay` and `late` {method: seconds},
        `lag` {"list": seconds, "get": seconds}, `fail` and `lose` {method: [times, code]}, `conflict`,
        `deny` {resource: permission or null}.
        Raises ValueError or TypeError for anything else.
        """
        unknown = set(order) - {"clear", "quota", "delay", "late", "lag", "fail", "lose", "conflict", "deny"}
        if unknown:
            raise ValueError(f"Unknown fault {', '.join(sorted(unknown))}.")
        if order.get("clear"):
            self.clear()
        for name, counted in (("quota", self.quota), ("fail", self.fail), ("lose", self.lose)):
            for method, arguments in order.get(name, {}).items():
                counted(method, *arguments)
        for name, timed in (("delay", self.delay), ("late", self.late)):
            for method, seconds in order.get(name, {}).items():
                timed(method, float(seconds))
        for resource, permission in order.get("deny", {}).items():
            self.deny(resource, permission)
        if "lag" in order:
            self.lag(float(order["lag"].get("list", 0.0)), get=float(order["lag"].get("get", 0.0)))
        if "conflict" in order:
            self.conflicts(order["conflict"])

    def snapshot(self) -> dict[str, Any]:
        """Return the switches and the counts as JSON; `log` is not part of it."""
        return {
            "calls": dict(self.calls),
            "quota": {method: [quota.limit, quota.per] for method, quota in self._quotas.items()},
            "delay": dict(self._delays),
            "late": dict(self._late),
            "lag": {"list": self.list_lag, "get": self.get_lag},
            "fail": {method: [failure.times, failure.code] for method, failure in self._failures.items()},
            "lose": {method: [failure.times, failure.code] for method, failure in self._lost.items()},
            "conflict": self.conflict,
            "deny": [list(denial) for denial in self.denials],
        }

    def recent(self, count: int) -> list[dict[str, Any]]:
        """Return the last *count* calls as JSON, the latest last."""
        return [asdict(call) for call in list(self.log)[-count:]] if count > 0 else []

    async def before(self, service: str, method: str) -> None:
        """Delay or refuse a call before its work is done. Raises ApiError."""
        if self._quotas and (quota := self._quotas.get(method)):
            wait = quota.retry_after(time.monotonic())
            if wait:
                raise resource_exhausted(service, method, limit=quota.limit, per=quota.per, retry_after=wait)
        if self._delays and (seconds := self._delays.get(method)):
            await asyncio.sleep(seconds)
        if self._failures:
            _spend(self._failures, method, "and nothing was done")

    async def after(self, method: str) -> None:
        """Hold or lose the answer of a call whose work is done. Raises ApiError."""
        if self._late and (seconds := self._late.get(method)):
            await asyncio.sleep(seconds)
        if self._lost:
            _spend(self._lost, method, "after its work was done")

    def record(self, call: Call) -> None:
        """Count and log an answered call."""
        self.calls[call.method] += 1
        self.log.append(call)


def _spend(failures: dict[str, _Failures], method: str, how: str) -> None:
    failure = failures.get(method)
    if failure is None:
        return
    failure.times -= 1
    if failure.times <= 0:
        del failures[method]
    raise ApiError(failure.code, f"{method} was told by a test to fail {how}.")


def _known(code: str) -> str:
    if code not in HTTP_STATUS or code == "OK":
        raise ValueError(f"{code} is not an error code of google.rpc.")
    return code
