"""A client that speaks to the local GitHub one request at a time, git as people run it, and a receiver of webhooks."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from aiohttp import ClientSession, web
from multidict import CIMultiDictProxy
from yarl import URL

from workers.local.github import Github

REPOSITORY = "/repos/acme/onboarding"


@dataclass(frozen=True)
class Reply:
    """What was answered."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """Why it was refused."""
        return str(self.json["message"])


@dataclass(frozen=True)
class Api:
    """The REST API of a running GitHub."""

    github: Github
    session: ClientSession

    async def ask(self, method: str, path: str | URL, token: str | None = None, **options: Any) -> Reply:
        """Send one request, with a token if one is given."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        url = path if str(path).startswith("http") else f"{self.github.url}{path}"
        async with self.session.request(method, url, headers=headers, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    @property
    def person(self) -> str:
        """The token of the person who owns all of it."""
        return self.github.names.personal_token.read_text().strip()

    def assertion(self, **changes: Any) -> str:
        """Return a JWT of the App; a change of None leaves a claim out."""
        now = int(time.time())
        claims = {"iat": now - 60, "exp": now + 540, "iss": str(self.github.names.app_id)} | changes
        key = self.github.names.private_key.read_text()
        return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm="RS256")

    async def issue(self, **body: Any) -> Reply:
        """Ask for a token of the installation."""
        path = f"/app/installations/{self.github.names.installation_id}/access_tokens"
        return await self.ask("POST", path, self.assertion(), json=body)

    async def token(self, **body: Any) -> str:
        """Return a token of the installation."""
        reply = await self.issue(**body)
        assert reply.status == 201, reply.body
        return str(reply.json["token"])

    async def write(self, path: str, content: str, **more: Any) -> Reply:
        """Commit a file as the person."""
        body = {"message": f"Write {path}", "content": _base64(content), **more}
        return await self.ask("PUT", f"{REPOSITORY}/contents/{path}", self.person, json=body)

    async def deliveries(self, query: str = "") -> list[dict[str, Any]]:
        """List what was delivered, the latest first."""
        await self.github.deliveries.settled()
        reply = await self.ask("GET", f"/app/hook/deliveries{query}", self.assertion())
        assert reply.status == 200, reply.body
        return list(reply.json)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@dataclass
class Receiver:
    """What stands at the end of the webhook. `answer`: its status; it stays silent while `silent` is set."""

    url: str = ""
    answer: int = 202
    silent: bool = False
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        """Keep one delivery."""
        body = await request.read()
        async with self._more:
            self.got.append((request.headers, body))
            self._more.notify_all()
        if self.silent:
            await asyncio.Event().wait()
        headers = {"Location": self.url} if self.answer == 302 else {}
        return web.Response(status=self.answer, text="taken", headers=headers)

    async def arrived(self, count: int) -> None:
        """Wait until so many deliveries have arrived."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.got) >= count)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the payloads of one kind of event, in the order of their arrival."""
        return [json.loads(body) for headers, body in self.got if headers["X-GitHub-Event"] == kind]

    def pushes(self) -> dict[str, dict[str, Any]]:
        """Return the latest push of each ref."""
        return {push["ref"]: push for push in self.events("push")}


def signature(secret: str, body: bytes) -> str:
    """Return what GitHub signs a body with."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True)
class WorkTree:
    """A folder in which somebody runs git."""

    folder: Path
    config: Path

    async def git(self, *arguments: str, code: int = 0) -> str:
        """Run git and return what it said; it must end with `code`."""
        ended, said = await self.run(*arguments)
        assert ended == code, said
        return said

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run git and return how it ended and what it said."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": str(self.config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
        }
        process = await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        return int(process.returncode or 0), said.strip()

    async def commit(self, files: Mapping[str, str | None], message: str = "Change files") -> str:
        """Write files, or remove those that are None, commit, and return the commit."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if content is None else path.write_text(content)
        await self.git("add", "--all")
        await self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return await self.git("rev-parse", "HEAD")
