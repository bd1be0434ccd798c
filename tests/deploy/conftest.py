"""A door that answers as a test says, to see what the script makes of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web


@dataclass(slots=True)
class Reply:
    """One answer."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ScriptedDoor:
    """Gives its replies in order, the last one for ever, and remembers what it was asked."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    """Method, path, headers and body."""

    def says(self, *replies: Reply) -> None:
        """Set what it answers from now on."""
        self.replies = list(replies)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer the next one."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((request.method, request.path_qs, headers, await request.text()))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return web.Response(status=reply.status, body=reply.body.encode(), headers=reply.headers)


@pytest.fixture
async def door() -> AsyncIterator[ScriptedDoor]:
    """Give a scripted door on a free port."""
    found = ScriptedDoor()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()
