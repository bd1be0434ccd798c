"""A progress that remembers what was said."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager


class FakeProgress:
    """Keeps lines, and steps as (name, state)."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[str, str]] = []

    def step(self, name: str) -> AbstractAsyncContextManager[None]:
        """Note how the step began and ended."""
        return self._step(name)

    @asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[None]:
        self.steps.append((name, "began"))
        try:
            yield
        except BaseException:
            self.steps.append((name, "failed"))
            raise
        self.steps.append((name, "done"))

    def log(self, message: str) -> None:
        """Keep the line."""
        self.lines.append(message)

    @property
    def done(self) -> list[str]:
        """Names of the steps that ended well, in order."""
        return [name for name, state in self.steps if state == "done"]
