"""Deliveries as GitHub makes them: payloads as its documentation shows them, and its signature."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

SECRET = "canary-webhook-secret-of-the-test"
NEXT_SECRET = "canary-webhook-secret-after-the-rotation"
LEAKED = "canary-leaked-by-x-github-encoded-secret"
"""Stands for the secret that GitHub itself once sent along in a header."""
ROOM = 900_000
"""Bytes that an event may take in tests of pure functions."""
_PAYLOADS = Path(__file__).parent / "payloads"


def raw(name: str) -> bytes:
    """Return a payload as it is sent."""
    return (_PAYLOADS / f"{name}.json").read_bytes()


def payload(name: str, **changed: Any) -> dict[str, Any]:
    """Return a payload as an object, some of its members changed."""
    found: dict[str, Any] = json.loads(raw(name))
    return found | changed


def encoded(payload: Any) -> bytes:
    """Return a payload as GitHub writes it: compact, in UTF-8."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def sha(number: int) -> str:
    """Return the name of a commit."""
    return f"{number:040x}"


def commit(number: int, **lists: list[str]) -> dict[str, Any]:
    """Return a commit of a push, with what the documentation shows of one."""
    person = {"name": "Mona Lisa", "email": "mona@example.com", "username": "mona"}
    known = {"id": sha(number), "tree_id": sha(number), "distinct": True, "message": "Change", "url": "https://x"}
    empty: dict[str, list[str]] = {"added": [], "removed": [], "modified": []}
    return known | {"timestamp": "2026-11-02T10:00:00+01:00", "author": person, "committer": person} | empty | lists


def push_of(*commits: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a push of these commits."""
    after = commits[-1]["id"] if commits else sha(1)
    return payload("push", after=after, commits=list(commits), head_commit=commits[-1] if commits else None) | changed


def signature(body: bytes, secret: str = SECRET) -> str:
    """Return the value of X-Hub-Signature-256."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def headers(body: bytes, event: str, delivery: str = "d-1", *, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a delivery, with all that GitHub sends."""
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/0a1b2c3",
        "X-GitHub-Delivery": delivery,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": "109948940",
        "X-GitHub-Hook-Installation-Target-ID": "29310",
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        "X-Hub-Signature": "sha1=" + "0" * 40,
        "X-Hub-Signature-256": signature(body, secret),
        "X-GitHub-Encoded-Secret": LEAKED,
    }
