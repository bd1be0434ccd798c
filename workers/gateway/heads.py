"""What RFC 9112 demands of the head of a request, and the parser (llhttp) does not look at.

A proxy in front may read two hosts, or an unknown coding, another way than we do: what can be read in two ways is not
answered. That Content-Length and Transfer-Encoding are there once, and never both, the parser sees to by itself.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus

from workers.gateway.problems import Problem

_VERSIONS = frozenset({"1.1", "1.0"})
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z.:]+\])(?::[0-9]*)?")
"""uri-host [ ":" port ], section 7.2 of RFC 9110; empty where the target names none."""


def fault_of(version: str, headers: Iterable[tuple[bytes, bytes]], *, offers_upgrade: bool) -> Problem | None:
    """Return the answer to a head that cannot be taken, None for all others. Names of headers are in lower case.

    `offers_upgrade`: whether the client would speak another protocol as well.
    """
    if version not in _VERSIONS:
        return _fault(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "nothing but HTTP/1.1 is spoken here")
    hosts, coding, length = [], None, b""
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            coding = value if coding is None else coding + b", " + value
        elif name == b"content-length":
            length = value
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        found = "is there twice" if hosts else "is missing"
        return _fault(HTTPStatus.BAD_REQUEST, f"the header Host {found}: send it once (RFC 9112, section 3.2)")
    if hosts and not _HOST.fullmatch(hosts[0]):
        return _fault(HTTPStatus.BAD_REQUEST, "the header Host holds no host: send the name or address, and the port")
    if coding is not None and coding.lower() != b"chunked":
        sentence = "the body is in a transfer coding other than chunked: send it as it is, with Content-Length"
        return _fault(HTTPStatus.NOT_IMPLEMENTED, sentence)
    if offers_upgrade and (coding is not None or length.strip(b"0 ")):
        # The parser takes whatever follows for the other protocol: the body would be lost.
        sentence = "nothing but HTTP/1.1 is spoken here: send it without the header Upgrade (curl: without --http2)"
        return _fault(HTTPStatus.BAD_REQUEST, sentence)
    return None


def _fault(status: HTTPStatus, sentence: str) -> Problem:
    return Problem(status, sentence, headers={"connection": "close"})
