"""Rates in memory: no limit until somebody is refused, then turns one after another."""

from datetime import timedelta

from workers.failures import QuotaExhausted


class FakeRates:
    """One row for each name; `waits` are handed out in order, nothing once they are used up."""

    def __init__(self, *waits: timedelta) -> None:
        self.waits = list(waits)
        self.refusals: list[tuple[str, QuotaExhausted]] = []
        self.turns: list[str] = []

    async def turn(self, name: str, *, within: timedelta) -> timedelta:
        """Take the next wait."""
        self.turns.append(name)
        wait = self.waits.pop(0) if self.waits else timedelta(0)
        if wait > within:
            raise QuotaExhausted(f"the next turn of {name} is far away", after=wait)
        return wait

    async def refused(self, name: str, failure: QuotaExhausted) -> None:
        """Remember the refusal."""
        self.refusals.append((name, failure))
