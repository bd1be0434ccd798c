"""The link that signs somebody in once: who prints it needs no page of the console."""

import secrets
from datetime import timedelta

from workers.gateway.console.seal import Seal

LOGIN = "/console/login"
LINK = "link"
"""What such a token is good for."""
LINK_LIFETIME = timedelta(hours=12)
"""How long a printed link waits to be opened."""


def sign_in_link(door: str, key: str, principal: str) -> str:
    """Return an address that signs somebody in as a principal, once. Raises Invalid: a short key."""
    claims = {"sub": principal, "jti": secrets.token_urlsafe(16)}
    return f"{door}{LOGIN}?token={Seal(key).seal(LINK, LINK_LIFETIME, claims)}"
