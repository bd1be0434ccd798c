"""Secrets are read where a reference says, and never shown."""

import os
import shlex
from pathlib import Path

import pytest

from tests.adapters.keys.secret_keys import openssl
from workers.adapters.secrets import read_secret
from workers.failures import Denied, Invalid, NotFound, SealaneError

CANARY = "canary-3b77-secret"


def secret_file(path: Path, content: bytes, mode: int = 0o600) -> str:
    """Write a file and return the reference to it."""
    path.write_bytes(content)
    path.chmod(mode)
    return f"file://{path}"


async def test_reads_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """env://NAME is the value of NAME, as it is."""
    monkeypatch.setenv("SOME_SECRET", f" {CANARY} ")

    assert await read_secret("env://SOME_SECRET") == f" {CANARY} "


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
async def test_reads_a_file_without_its_line_break(tmp_path: Path, end: str) -> None:
    """file:///PATH is the content, less the line break that editors add."""
    assert await read_secret(secret_file(tmp_path / "s", f"{CANARY}{end}".encode())) == CANARY


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o400])
async def test_reads_a_file_that_a_group_may_read(tmp_path: Path, mode: int) -> None:
    """Kubernetes mounts secrets for a group: that is private enough."""
    assert await read_secret(secret_file(tmp_path / "s", CANARY.encode(), mode)) == CANARY


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
async def test_refuses_a_file_that_everybody_may_read_or_write(tmp_path: Path, mode: int) -> None:
    """A file open to others is denied with the command that closes it."""
    reference = secret_file(tmp_path / "s", CANARY.encode(), mode)

    with pytest.raises(Denied, match="chmod o-rw") as caught:
        await read_secret(reference)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "failure", "sentence"),
    [
        ("env://NOT_SET_ANYWHERE", NotFound, "set the environment variable NOT_SET_ANYWHERE"),
        ("env://EMPTY", NotFound, "set the environment variable EMPTY"),
        ("file:///no/such/file", NotFound, "does not exist: put it there, or correct the path"),
        ("file://relative", Invalid, "absolute path"),
        ("file:///", Invalid, "not a regular file: name the file that holds the secret"),
        ("gcp-secret://projects/p/secrets/s", Invalid, "cannot be read yet"),
        ("vault://kv/s", Invalid, "cannot be read yet"),
    ],
)
async def test_says_why_a_secret_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, reference: str, failure: type[SealaneError], sentence: str
) -> None:
    """What is missing or not supported is said with what to do."""
    monkeypatch.setenv("EMPTY", "")

    with pytest.raises(failure, match=sentence):
        await read_secret(reference)


@pytest.mark.parametrize("reference", [CANARY, f"env://{CANARY}", f"https://{CANARY}", f"{CANARY}://x", ""])
async def test_repeats_nothing_that_may_be_the_secret_itself(reference: str) -> None:
    """Who writes the secret in place of a reference does not find it in the error."""
    with pytest.raises(Invalid) as caught:
        await read_secret(reference)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "failure", "sentence"),
    [
        (b"", NotFound, "is empty: write the secret into it"),
        (b"\n", NotFound, "is empty: write the secret into it"),
        (b"\xff\xfe", Invalid, "is not UTF-8 text: write it as text"),
    ],
)
async def test_refuses_a_file_that_holds_no_text(
    tmp_path: Path, content: bytes, failure: type[SealaneError], sentence: str
) -> None:
    """An empty file or bytes are no secret."""
    with pytest.raises(failure, match=sentence):
        await read_secret(secret_file(tmp_path / "s", content))


async def test_says_how_a_key_in_binary_form_becomes_text(tmp_path: Path) -> None:
    """The command works as it stands, also with a space in the path."""
    text = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    pem, der = tmp_path / "made", tmp_path / "my key.der"
    secret_file(pem, text.encode())
    openssl("pkey", "-in", str(pem), "-outform", "DER", "-out", str(der))

    with pytest.raises(Invalid, match="make it PEM: openssl pkey -inform DER") as caught:
        await read_secret(f"file://{der}")
    _, *arguments = shlex.split(str(caught.value).partition("make it PEM: ")[2])
    openssl(*arguments)

    assert await read_secret(secret_file(pem, (tmp_path / "my key.pem").read_bytes())) == text.strip()


async def test_refuses_a_file_that_is_too_large(tmp_path: Path) -> None:
    """A secret is short."""
    with pytest.raises(Invalid, match="larger than 64 KiB"):
        await read_secret(secret_file(tmp_path / "s", os.urandom(65 << 10)))


async def test_does_not_wait_at_a_pipe(tmp_path: Path) -> None:
    """A named pipe is no secret file: to open it would block."""
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(Invalid, match="not a regular file"):
        await read_secret(f"file://{tmp_path}/pipe")
