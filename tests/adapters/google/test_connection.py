"""Calls over the wire: made once, with a deadline, with the token, and failing in our words."""

import asyncio
import socket
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError

from tests.contracts.google import TOKEN, GoogleWorld
from workers.adapters.google.attestations import GrafeasAttestations
from workers.adapters.google.attestors import BinauthzAttestors
from workers.adapters.google.connection import BINAUTHZ, SERVICES, GoogleConnection
from workers.adapters.google.kms import KmsSigningKeys
from workers.failures import Denied, NotFound, QuotaExhausted, Unavailable

ATTESTOR = "projects/acme/attestors/ci"
PAYLOAD = b"{}\n"


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED"])
async def test_nothing_is_repeated_blindly(world: GoogleWorld, code: str) -> None:
    """The client libraries' own retries are off: one call, one answer."""
    world.faults.fail("GetAttestor", times=5, code=code)

    with pytest.raises(Unavailable, match=code):
        await BinauthzAttestors(world.connection).get(ATTESTOR)
    assert world.faults.calls["GetAttestor"] == 1


async def test_a_call_ends_at_its_deadline(world: GoogleWorld) -> None:
    """A service that hangs is given up, which is temporary."""
    key = await world.key("k")
    keys = KmsSigningKeys(world.connection)
    await keys.public_key(key)
    world.faults.delay("AsymmetricSign", 60)
    began = time.monotonic()

    with pytest.raises(Unavailable, match="did not answer in time to sign with"):
        await keys.sign(key, PAYLOAD, timeout=0.3)
    assert time.monotonic() - began < 30


async def test_a_quota_over_the_wire_carries_its_delay(world: GoogleWorld) -> None:
    """The details of the gRPC status are read."""
    await world.attestor("ci", await world.note("ci"))
    attestors = BinauthzAttestors(world.connection, cache_seconds=0.001)
    world.faults.quota("GetAttestor", 0, per=17.0)

    with pytest.raises(QuotaExhausted) as failure:
        await attestors.get(ATTESTOR)
    assert 0 < failure.value.after.total_seconds() <= 17


async def test_a_wrong_token_is_denied_and_never_told(world: GoogleWorld, tmp_path: Path) -> None:
    """Neither the sentence nor the whole traceback holds the token."""
    wrong = tmp_path / "wrong"
    wrong.write_text("canary-wrong-token")
    wrong.chmod(0o600)
    connection = GoogleConnection(f"127.0.0.1:{world.services.grpc_port}", f"file://{wrong}")
    try:
        await BinauthzAttestors(connection).get(ATTESTOR)
    except Denied as failure:
        text = "".join(traceback.format_exception(failure))
    else:
        text = ""
    finally:
        await connection.close()

    assert "does not accept our credentials" in text
    assert "canary-wrong-token" not in text
    assert TOKEN not in text


async def test_an_endpoint_without_anybody_is_unavailable() -> None:
    """A closed port is temporary."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        connection = GoogleConnection(f"127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(Unavailable, match="Artifact Analysis"):
            await GrafeasAttestations(connection).find("projects/acme/notes/ci", "sha256:" + "a" * 64)
        await connection.close()


async def test_no_credentials_at_all_is_denied_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without endpoint and without credentials nothing can be asked."""

    def no_credentials(**_: object) -> None:
        raise DefaultCredentialsError("none found")  # type: ignore[no-untyped-call]  # the library is untyped here

    monkeypatch.setattr("google.auth.default", no_credentials)
    with pytest.raises(Denied, match="this process has no Google credentials: give the workload a service account"):
        await GoogleConnection().prepare(BINAUTHZ)


async def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    """The secret's own sentence."""
    connection = GoogleConnection("127.0.0.1:1", f"file://{tmp_path}/nowhere")
    with pytest.raises(NotFound, match="nowhere does not exist"):
        await BinauthzAttestors(connection).get(ATTESTOR)


async def test_thirty_two_handlers_read_an_attestor_once(world: GoogleWorld) -> None:
    """The quota is 100 reads a minute: who asks while it is being read waits for that answer."""
    await world.attestor("ci", await world.note("ci"))
    attestors = BinauthzAttestors(world.connection)

    found = await asyncio.gather(*(attestors.get(ATTESTOR) for _ in range(32)))
    assert len(set(found)) == 1
    assert world.faults.calls["GetAttestor"] == 1


async def test_one_cancelled_handler_does_not_fail_the_others(world: GoogleWorld) -> None:
    """Whoever asked first may be cancelled; the others still get the answer."""
    await world.attestor("ci", await world.note("ci"))
    attestors = BinauthzAttestors(world.connection)
    world.faults.delay("GetAttestor", 0.3)
    first, second = (asyncio.ensure_future(attestors.get(ATTESTOR)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).name == ATTESTOR
    assert world.faults.calls["GetAttestor"] == 1


async def test_a_missing_attestor_is_not_asked_for_once_an_event(world: GoogleWorld) -> None:
    """A hundred events for an attestor that nobody made cost one read."""
    attestors = BinauthzAttestors(world.connection, refusal_seconds=60)
    for _ in range(100):
        with pytest.raises(NotFound, match="does not exist"):
            await attestors.get(ATTESTOR)

    assert world.faults.calls["GetAttestor"] == 1


async def test_a_missing_attestor_is_found_soon_after_it_was_made(world: GoogleWorld) -> None:
    """What is missing is remembered for a moment only."""
    attestors = BinauthzAttestors(world.connection, refusal_seconds=0.01)
    with pytest.raises(NotFound):
        await attestors.get(ATTESTOR)
    await world.attestor("ci", await world.note("ci"))

    async with asyncio.timeout(60):
        while True:
            with suppress(NotFound):
                assert (await attestors.get(ATTESTOR)).name == ATTESTOR
                return
            await asyncio.sleep(0.01)


async def test_a_temporary_failure_is_not_kept_at_all(world: GoogleWorld) -> None:
    """The next to ask finds the service well again."""
    await world.attestor("ci", await world.note("ci"))
    attestors = BinauthzAttestors(world.connection)
    world.faults.fail("GetAttestor")
    with pytest.raises(Unavailable):
        await attestors.get(ATTESTOR)

    assert (await attestors.get(ATTESTOR)).name == ATTESTOR


async def test_without_an_endpoint_each_service_is_at_googles_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS, with the process's own credentials, asked for once."""
    asked: list[object] = []

    def credentials(**_: object) -> tuple[AnonymousCredentials, str]:
        asked.append(_)
        return AnonymousCredentials(), "acme"  # type: ignore[no-untyped-call]  # the library is untyped here

    monkeypatch.setattr("google.auth.default", credentials)
    connection = GoogleConnection()
    await connection.prepare()
    hosts = {service.title: (await connection._client(service)).transport.host for service in SERVICES}
    await connection.close()

    assert len(asked) == 1
    assert hosts == {
        "Cloud KMS": "cloudkms.googleapis.com:443",
        "Binary Authorization": "binaryauthorization.googleapis.com:443",
        "Artifact Analysis": "containeranalysis.googleapis.com:443",
    }


async def test_an_attestor_is_read_again_after_a_while(world: GoogleWorld) -> None:
    """A new key is learnt without a restart."""
    await world.attestor("ci", await world.note("ci"))
    attestors = BinauthzAttestors(world.connection, cache_seconds=0.05)
    async with asyncio.timeout(60):
        while world.faults.calls["GetAttestor"] < 2:
            await attestors.get(ATTESTOR)
            await asyncio.sleep(0.01)


def test_importing_the_adapters_imports_no_client() -> None:
    """Start-up stays quick: Google's libraries are loaded when first used."""
    modules = ("kms", "attestors", "attestor_admin", "attestations", "notes", "connection", "errors")
    code = ";".join(f"import workers.adapters.google.{module}" for module in modules)
    code += (
        "; import sys; print([name for name in sys.modules if name.startswith(('google.cloud', 'grafeas', 'grpc'))])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert loaded.stdout.strip() == "[]"
