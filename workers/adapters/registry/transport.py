"""One request, with limits on time and size, no redirects followed, and aiohttp's errors as ours."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from workers.adapters.registry.addresses import GuardedResolver, require_allowed_name
from workers.failures import Unavailable


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` has lower-case names, repeated ones joined."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def authority(url: URL) -> str:
    """Return HOST[:PORT] of a URL, as a list of registries would name it."""
    host = f"[{url.host}]" if url.host and ":" in url.host else (url.host or "")
    return host if url.is_default_port() else f"{host}:{url.port}"


class Transport:
    """Asks. `timeout`: seconds for one whole request. `local`: hosts that may be on this machine."""

    def __init__(self, *, timeout: float, local: frozenset[str], resolver: AbstractResolver | None = None) -> None:
        self._timeout = timeout
        self._local = local
        self._resolver = resolver
        self._opened: aiohttp.ClientSession | None = None

    async def ask(self, url: URL, *, headers: Mapping[str, str], limit: int) -> Answer:
        """Send a GET request and return the answer, redirects included. `limit`: bytes of the body.

        Raises Denied for an address that no registry may have, else Unavailable.
        """
        require_allowed_name(url.host or "")
        sent = {"Accept-Encoding": "identity", **headers}
        try:
            async with self._session().get(url, headers=sent, allow_redirects=False) as response:
                body = await _read(response, limit)
                found = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
                return Answer(response.status, found, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The cause is cut off: aiohttp's errors carry the request with its Authorization header.
            raise Unavailable(f"{authority(url)} {_reason(error, self._timeout)}") from None

    async def close(self) -> None:
        """Close all connections; it opens again when asked again."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            guarded = GuardedResolver(self._resolver or aiohttp.ThreadedResolver(), self._local)
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=guarded),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                headers={"User-Agent": "sealane"},
                auto_decompress=False,
            )
        return self._opened


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise Unavailable(f"{authority(response.url)} sends more than {limit} bytes where a short answer belongs")
    return bytes(body)


def _reason(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"did not answer within {timeout:g} s: try again, or look why it is slow"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "cannot be found in the DNS: correct the name, or look why it does not resolve"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "does not show a TLS certificate that we trust: a registry on plain HTTP is listed as `insecure`"
    if isinstance(error, aiohttp.ClientResponseError):
        return "answers, but not in HTTP: look what listens there"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot be reached ({error.strerror or 'no connection'}): look whether it runs"
    return f"broke off ({type(error).__name__}): look whether it runs"
