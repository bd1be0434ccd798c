"""ASCII armor, read to the last character (https://www.rfc-editor.org/rfc/rfc4880#section-6.2).

OpenPGP readers forgive much in armor: text around it, broken lines, a wrong checksum. What a signature is checked from
has one reading only here, so that no changed byte of it goes unnoticed; a checksum that is there must be right.
"""

from __future__ import annotations

import base64
import binascii

_CRC_START, _CRC_POLYNOMIAL = 0xB704CE, 0x1864CFB


def unarmored(text: bytes, kind: str) -> bytes:
    """Return what an armored block of *kind* ("MESSAGE") holds. Raises ValueError with a sentence."""
    lines = text.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
    begin, end = f"-----BEGIN PGP {kind}-----".encode(), f"-----END PGP {kind}-----".encode()
    if lines[0] != begin or lines[-1] != end or b"" not in lines:
        raise ValueError(f"It is not one armored block that begins with {begin.decode()}.")
    blank = lines.index(b"")
    if any(b": " not in header for header in lines[1:blank]):
        raise ValueError("Its armor has a header line that is none.")
    body, checksum = lines[blank + 1 : -1], b""
    if body and body[-1].startswith(b"="):
        checksum = body.pop()[1:]
    content = _decoded(b"".join(body))
    if checksum and _decoded(checksum) != _crc24(content):
        raise ValueError("The checksum of its armor is wrong.")
    return content


def _decoded(text: bytes) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("Its armor is not base64.") from None
    if base64.b64encode(content) != text:
        raise ValueError("Its armor is not base64 as it is written.")
    return content


def _crc24(content: bytes) -> bytes:
    """Return the checksum of RFC 4880 section 6.1."""
    crc = _CRC_START
    for byte in content:
        crc = (crc << 8) & 0xFFFFFF ^ _CRC_TABLE[(crc >> 16) ^ byte]
    return crc.to_bytes(3)


def _remainder(byte: int) -> int:
    crc = byte << 16
    for _ in range(8):
        crc <<= 1
        if crc & 0x1000000:
            crc ^= _CRC_POLYNOMIAL
    return crc


_CRC_TABLE = tuple(_remainder(byte) for byte in range(256))
