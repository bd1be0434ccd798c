"""The last line of defence: what looks like a secret, or is known to be one, is in no log, progress or dead letter.

On the lowest floor, so that whoever reads a secret makes it known here, and whoever writes texts asks here.
"""

import re

_KNOWN: set[str] = set()
_SHORTEST = 8
KEY_PREFIX = "slk_"
"""How the door's API keys begin, so that one is known wherever it turns up."""
_SHAPES = re.compile(
    r"S[AUONC][A-Z2-7]{56}"  # an nkey seed
    r"|-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    rf"|{KEY_PREFIX}[A-Za-z0-9_-]{{16,}}"
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=[Bb]asic )[A-Za-z0-9+/=]{8,}"
    r"|ya29\.[A-Za-z0-9._-]+"  # a Google access token
    r"|gh[pousr]_[A-Za-z0-9._-]{20,}|github_pat_[A-Za-z0-9_]{20,}"  # dots and more in the long form, ghs_APP_JWT
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # a user and password in a URL
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # a signed JSON web token
    re.DOTALL,
)
HIDDEN = "[concealed]"


def conceal(secret: str) -> None:
    """Never let this value be written by this process."""
    if len(secret) >= _SHORTEST:
        _KNOWN.add(secret)


def redact(text: str) -> str:
    """Return the text without what is, or looks like, a secret."""
    for secret in _KNOWN:
        text = text.replace(secret, HIDDEN)
    return _SHAPES.sub(HIDDEN, text)
