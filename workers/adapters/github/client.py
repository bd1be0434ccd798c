"""One request to GitHub's REST API: headers, limits, ETags, and GitHub's errors as ours.

Source: docs.github.com/rest/using-the-rest-api: rate limits (`x-ratelimit-…`, `retry-after`, "wait for at least one
minute" where neither is there), conditional requests (a 304 counts against no limit), best practices.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import aiohttp
from gidgethub import HTTPException, RedirectionException, sansio

from workers.adapters.statuses import LONGEST_WAIT, failure, wait
from workers.failures import Invalid, NotFound, QuotaExhausted, SealaneError, Unavailable

VERSION = "2022-11-28"
_LIMITED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
_UNKNOWN = frozenset({HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})
"""What GitHub answers to the question for a commit or a repository that is not there, and of an empty one."""
_SECONDARY = timedelta(minutes=1)
_LONGEST_BODY = 32 << 20
_LONGEST_KEPT = 64 << 10
_MOST_KEPT = 256
_LONGEST_SENTENCE = 200


class Moved(Unavailable):
    """What was asked for has another address by now: a repository was renamed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: JSON, and the address of the next page, if there is one."""

    data: Any
    next_page: str | None


@dataclass(frozen=True, slots=True)
class Credential:
    """What is shown to GitHub: the App's own JWT or an installation's token. `name` says whose it is."""

    name: str
    jwt: str | None = None
    token: str | None = None

    def __repr__(self) -> str:
        return f"Credential({self.name})"


class GithubClient:
    """Asks the API at `api`. `timeout`: seconds for one whole request; `now`: Unix seconds."""

    def __init__(self, api: str, *, timeout: float = 20.0, now: Callable[[], float] = time.time) -> None:
        self._api = api
        self._timeout = timeout
        self._now = now
        self._opened: aiohttp.ClientSession | None = None
        self._kept: OrderedDict[tuple[str, str], tuple[str, Answer]] = OrderedDict()

    async def get(self, path: str, credential: Credential, *, lookup: bool = False) -> Answer:
        """Ask for a path below the API, or the address of a next page. Raises the failures of `failure_of`.

        `lookup`: by 409 and 422 GitHub says here that there is no such thing.
        """
        url = self._url(path)
        etag, answer = self._kept.get((credential.name, url), (None, None))
        status, headers, body = await self._send("GET", url, credential, {"if-none-match": etag} if etag else {}, None)
        if status == HTTPStatus.NOT_MODIFIED and answer is not None:
            return answer
        answer = self._read("GET", url, status, headers, body, lookup=lookup)
        self._keep((credential.name, url), headers.get("etag"), answer, len(body))
        return answer

    async def post(self, path: str, credential: Credential, body: Any = None, *, lookup: bool = False) -> Answer:
        """Send JSON to a path below the API. Raises the failures of `failure_of`."""
        url = self._url(path)
        status, headers, answer = await self._send("POST", url, credential, {}, body)
        return self._read("POST", url, status, headers, answer, lookup=lookup)

    async def close(self) -> None:
        """Close all connections; it opens again when asked again."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    def _url(self, path: str) -> str:
        url = path if path.startswith(self._api) else f"{self._api}{path}"
        if not url.startswith(f"{self._api}/"):
            raise Unavailable("GitHub's next page is somewhere else than its API: it is not asked")
        return url

    def _keep(self, key: tuple[str, str], etag: str | None, answer: Answer, size: int) -> None:
        self._kept.pop(key, None)
        if etag is not None and size <= _LONGEST_KEPT:
            self._kept[key] = (etag, answer)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    async def _send(
        self, method: str, url: str, credential: Credential, headers: Mapping[str, str], body: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        sent = sansio.create_headers("sealane", oauth_token=credential.token, jwt=credential.jwt)
        sent |= {"x-github-api-version": VERSION, **headers}
        try:
            async with self._session().request(method, url, headers=sent, json=body, allow_redirects=False) as response:
                found = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
                return response.status, found, await _read_body(response)
        except TimeoutError:
            raise Unavailable(f"GitHub did not answer {self._said(method, url)} in {self._timeout:g} s") from None
        except aiohttp.ClientError as error:
            # The cause is cut off: aiohttp's errors carry the request with its Authorization header.
            raise Unavailable(f"GitHub cannot be asked {self._said(method, url)} ({type(error).__name__})") from None

    def _read(
        self, method: str, url: str, status: int, headers: Mapping[str, str], body: bytes, *, lookup: bool = False
    ) -> Answer:
        try:
            data, _, next_page = sansio.decipher_response(status, headers, body)
        except HTTPException as error:
            raise failure_of(error, status, self._said(method, url), now=self._now(), lookup=lookup) from None
        except ValueError:
            raise Unavailable(f"GitHub answers {self._said(method, url)} with {status} and no JSON") from None
        return Answer(data, next_page)

    def _said(self, method: str, url: str) -> str:
        return f"{method} {url.removeprefix(self._api).partition('?')[0]}"

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=self._timeout)
            )
        return self._opened


def failure_of(error: HTTPException, status: int, said: str, *, now: float, lookup: bool = False) -> SealaneError:
    """Return what an error of GitHub is to us.

    QuotaExhausted where a primary or secondary rate limit is used up, with the time that GitHub names; Moved for a
    redirect; else as `workers.adapters.statuses` has it.
    """
    text = "".join(letter for letter in str(error) if letter.isprintable())[:_LONGEST_SENTENCE]
    sentence = f"GitHub answers {said} with {status}: {text}"
    if status in _LIMITED and (after := _patience(error.headers, text, now)) is not None:
        return QuotaExhausted(sentence, after=after)
    if isinstance(error, RedirectionException):
        return Moved(f"{sentence}: it has another name by now")
    if lookup and status in _UNKNOWN:
        return NotFound(sentence)
    return failure(status, sentence, retry_after=error.headers.get("retry-after"))


def _patience(headers: Mapping[str, str], text: str, now: float) -> timedelta | None:
    """Return how long a rate limit wants us to wait; None when this is none."""
    if (after := wait(headers.get("retry-after"))) is not None:
        return after
    limit = None
    try:
        limit = sansio.RateLimit.from_http(headers)
    except ValueError:
        return _SECONDARY
    if limit is not None and not limit.remaining:
        # One second more: the limit is renewed within that second, not at its beginning.
        rest = timedelta(seconds=limit.reset_datetime.timestamp() - now + 1)
        return min(max(rest, timedelta(seconds=1)), LONGEST_WAIT)
    return _SECONDARY if "rate limit" in text.lower() else None


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise Invalid(f"GitHub's answer is larger than {_LONGEST_BODY >> 20} MiB: it is not read")
    return bytes(body)
