"""This process's own Google identity, as an access token for Artifact Registry."""

import asyncio

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request

from workers.failures import Denied, Unavailable

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleAccessToken:
    """Returns an access token by Application Default Credentials (https://google.aip.dev/auth/4110), renewed in time.

    Call it: it raises Denied without an identity or where Google refuses it, Unavailable where Google is not reached.
    """

    def __init__(self) -> None:
        self._credentials: Credentials | None = None
        self._lock = asyncio.Lock()

    async def __call__(self) -> str:
        """Return a token that is good for a few minutes at least."""
        async with self._lock:
            try:
                return await asyncio.to_thread(self._token)
            # The causes are cut off: google-auth quotes what the token endpoint answered.
            except DefaultCredentialsError:
                raise Denied(
                    "this process has no Google identity: run it with a service account, or set"
                    " GOOGLE_APPLICATION_CREDENTIALS"
                ) from None
            except TransportError:
                raise Unavailable("Google's token endpoint cannot be reached: look at the network") from None
            except RefreshError as error:
                if error.retryable:
                    raise Unavailable("Google's token endpoint is broken for now") from None
                raise Denied("Google refuses the identity of this process: look whether it was disabled") from None
            except GoogleAuthError as error:
                raise Unavailable(f"Google gave no access token ({type(error).__name__})") from None

    def _token(self) -> str:
        if self._credentials is None:
            self._credentials, _ = google.auth.default(scopes=[_SCOPE])
        if not self._credentials.valid:
            self._credentials.refresh(Request())  # type: ignore[no-untyped-call]  # google-auth has no types
        return str(self._credentials.token)
