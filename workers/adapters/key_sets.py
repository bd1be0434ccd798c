"""Fetches the public key set of an issuer over HTTP (RFC 7517), for the door."""

from workers.failures import Unavailable

_SECONDS = 5.0
_MOST = 256 * 1024


async def fetch_key_set(url: str) -> bytes:
    """Return what is at a URL, which must be there itself: redirects are not followed. Raises Unavailable."""
    import aiohttp  # noqa: PLC0415 - where nobody is known by a token of an issuer it is never loaded

    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise Unavailable(f"{url} answered {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > _MOST:
                    raise Unavailable(f"{url} holds more than {_MOST >> 10} KiB: that is no key set")
            return bytes(body)
    except TimeoutError:
        raise Unavailable(f"{url} did not answer in {_SECONDS:g} s") from None
    except aiohttp.ClientError as error:
        raise Unavailable(f"{url} cannot be reached ({type(error).__name__})") from None
