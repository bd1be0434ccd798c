"""Identities: how events, follow-ups, runs and messages get ids which repeat when the work repeats.

An event is (`source`, `id`). Everything else is a hash over length-prefixed parts, so that no choice of parts can
imitate another: 144 bits, url-safe, 24 characters.
"""

from binascii import b2a_base64
from hashlib import blake2b

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
"""What may stand in a subject token: run ids and our own event ids."""


def digest_of(*parts: str) -> str:
    """Hash the parts to 24 url-safe characters."""
    return _hashed("".join([f"{len(part)}:{part}" for part in parts]))


def _hashed(text: str) -> str:
    raw = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=18).digest()
    return b2a_base64(raw, newline=False).translate(_URL_SAFE).decode("ascii")


def message_id(event_type: str, source: str, event_id: str) -> str:
    """Return the `Nats-Msg-Id` of an event.

    Never the bare `ce-id`: the server's duplicate check is stream-wide over all subjects, so that two systems which
    both send id "42" would lose one event.
    """
    return _hashed(f"5:event{len(event_type)}:{event_type}{len(source)}:{source}{len(event_id)}:{event_id}")


def follow_up_id(worker: str, cause: str, event_type: str, natural_key: str) -> str:
    """Return the id of an event that a worker emits because of another (`cause`: that event's message id).

    No output index and no handler version: a repeat by newer code must still meet what the older one stored.
    """
    return _hashed(
        f"9:follow-up{len(worker)}:{worker}{len(cause)}:{cause}{len(event_type)}:{event_type}"
        f"{len(natural_key)}:{natural_key}"
    )


def run_id(source: str, event_id: str) -> str:
    """Return the run which an event opens. A repeat of the same event joins the same run."""
    return digest_of("run", source, event_id)
