"""TLS over gRPC: principals who prove themselves by certificate, and certificates renewed under open streams."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cryptography import x509

from tests.bus.lane import Lane, until
from tests.gateway.conftest import KEY
from tests.gateway.rpc.authority import Authority, Issued
from tests.gateway.rpc.conftest import Open, RpcCaller, event, open_doors, say_started
from workers.adapters.secrets import read_secret
from workers.failures import Invalid
from workers.gateway.callers import hash_of
from workers.gateway.certificates import names_of
from workers.gateway.explanation import explain
from workers.gateway.principals import Policy, read_policy
from workers.gateway.rpc.certificates import CertificateFiles, Certificates

Status = grpc.StatusCode
SHOP, OTHER = "spiffe://acme/ci/shop", "spiffe://acme/ci/other"


@pytest.fixture
def authority() -> Authority:
    """Give the authority of the door."""
    return Authority("sealane test")


@pytest.fixture
def clients() -> Authority:
    """Give the authority of the clients."""
    return Authority("clients test")


def policy_for(**certified: str) -> Policy:
    """Return a policy: `ci` with its key, and others by certificate."""
    grants = [{"type": "echo.requested"}]
    found: list[dict[str, Any]] = [{"name": "ci", "api_keys": [hash_of(KEY)], "may_publish": grants}]
    found += [{"name": name, "certificates": [known], "may_publish": grants} for name, known in certified.items()]
    return Policy.model_validate({"principals": found})


def files_of(issued: Issued, folder: Path, roots: bytes | None) -> CertificateFiles:
    """Write what a door proves itself with."""
    certificate, key = issued.write(folder)
    client_ca = folder / "ca.crt" if roots is not None else None
    if client_ca is not None:
        client_ca.write_bytes(roots or b"")
    return CertificateFiles(certificate, f"file://{key}", client_ca)


@asynccontextmanager
async def calling(doors: Open, root: bytes, mine: Issued | None = None) -> AsyncIterator[RpcCaller]:
    """Call over TLS, with a certificate or without."""
    pair = (mine.key, mine.certificate) if mine else (None, None)
    credentials = grpc.ssl_channel_credentials(root, *pair)
    # Else channels to the same place share a connection, and with it a handshake.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(doors.place, credentials, options=options) as channel:
        yield RpcCaller(channel)


async def actors(lane: Lane) -> list[str]:
    """Return who brought what is stored."""
    return [headers["ce-actor"] for headers, _ in await lane.messages("EVENTS", "echo.requested")]


async def test_principal_proves_itself_by_certificate(
    lane: Lane, tmp_path: Path, authority: Authority, clients: Authority
) -> None:
    """By URI, DNS name or key; a bearer token counts before it; a name of nobody's, or of two, is refused."""
    by_key = clients.issue()
    pinned = names_of(by_key.certificate)[0]
    policy = policy_for(shop=f"uri:{SHOP}", robot="dns:robot.example.com", pinned=pinned)
    certificates = Certificates(files_of(authority.server(), tmp_path, clients.root), read_secret)
    robot, shop = x509.DNSName("robot.example.com"), clients.client(SHOP)
    async with open_doors(lane, tmp_path, policy, certificates=certificates) as doors:
        for number, mine in enumerate((shop, clients.issue(robot), by_key)):
            async with calling(doors, authority.root, mine) as caller:
                await caller.publish(event(f"c-{number}"), key=None)
        async with calling(doors, authority.root, shop) as caller:
            await caller.publish(event("c-token"))
        for mine, sentence in ((clients.client(OTHER), OTHER), (clients.client(SHOP, robot), "shop and robot")):
            async with calling(doors, authority.root, mine) as caller:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await caller.publish(event("c-other"), key=None)
                assert refused.value.code() == Status.PERMISSION_DENIED
                assert sentence in (refused.value.details() or "")
    assert await actors(lane) == ["shop", "robot", "pinned", "ci"]


async def test_certificate_that_does_not_count_gets_nobody_in(
    lane: Lane, tmp_path: Path, authority: Authority, clients: Authority
) -> None:
    """None at all, one of another root, plain text: no call is answered, whatever token it has."""
    certificates = Certificates(files_of(authority.server(), tmp_path, clients.root), read_secret)
    forged = Authority("clients test").client(SHOP)
    async with open_doors(lane, tmp_path, policy_for(shop=f"uri:{SHOP}"), certificates=certificates) as doors:
        for mine in (None, forged):
            async with calling(doors, authority.root, mine) as caller:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await caller.publish(event("f-1"))
                assert refused.value.code() == Status.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError):
            await doors.rpc.publish(event("f-2"))
    assert await actors(lane) == []


async def test_without_client_ca_a_token_over_tls_is_enough(lane: Lane, tmp_path: Path, authority: Authority) -> None:
    """The door proves itself; who calls says so by token."""
    certificates = Certificates(files_of(authority.server(), tmp_path, None), read_secret)
    async with (
        open_doors(lane, tmp_path, policy_for(), certificates=certificates) as doors,
        calling(doors, authority.root) as caller,
    ):
        await caller.publish(event("t-1"))
    assert await actors(lane) == ["ci"]


async def test_renewed_certificates_are_used_under_an_open_stream(
    lane: Lane, tmp_path: Path, authority: Authority, clients: Authority
) -> None:
    """New root for the door, new root for the clients: the open stream goes on, the next handshake has the new ones."""
    certificates = Certificates(files_of(authority.server(), tmp_path, clients.root), read_secret, interval=0.05)
    new, new_clients = Authority("new door"), Authority("new clients")
    policy = policy_for(shop=f"uri:{SHOP}")
    async with (
        open_doors(lane, tmp_path, policy, certificates=certificates) as doors,
        calling(doors, authority.root, clients.client(SHOP)) as before,
    ):
        (receipt,) = await before.publish(event("n-1"), key=None)
        await say_started(lane, receipt.run)
        call = before.tail(receipt.run, key=None)
        assert (await call.read()).id == "1"
        new.server().write(tmp_path)
        (tmp_path / "ca.crt").write_bytes(new_clients.root)

        async def is_used() -> bool:
            try:
                async with calling(doors, new.root, new_clients.client(SHOP)) as after:
                    await after.publish(event("n-2"), key=None)
            except grpc.aio.AioRpcError as error:
                if error.code() != Status.UNAVAILABLE:
                    raise
                return False
            return True

        await until(is_used, what="the new certificates are used")
        async with calling(doors, new.root, clients.client(SHOP)) as old:
            with pytest.raises(grpc.aio.AioRpcError):
                await old.publish(event("n-3"), key=None)
        await say_started(lane, receipt.run, 1)
        assert (await call.read()).id == "2"
        call.cancel()


async def test_half_of_a_renewal_changes_nothing(
    lane: Lane, tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate without its key is told in the log, once; the door goes on with both that it had."""
    certificates = Certificates(files_of(authority.server(), tmp_path, None), read_secret, interval=0.05)
    async with open_doors(lane, tmp_path, policy_for(), certificates=certificates) as doors:
        (tmp_path / "tls.crt").write_bytes(authority.server().certificate)
        await until(lambda: "goes on with the certificate" in caplog.text, what="it is told")
        async with calling(doors, authority.root) as caller:
            await caller.publish(event("h-1"))
        assert caplog.text.count("goes on with the certificate") == 1
        assert "BEGIN" not in caplog.text


async def test_door_does_not_open_with_what_is_no_certificate(tmp_path: Path, authority: Authority) -> None:
    """Each fault has a sentence that names the file or the setting."""
    good, other = authority.server(), authority.server()
    cases = (
        (Issued(b"nothing", good.key), None, "tls.crt holds no PEM certificate"),
        (Issued(good.certificate, b"nothing"), None, "SEALANE_GRPC_KEY"),
        (Issued(good.certificate, other.key), None, "is not that of the key"),
        (good, b"nothing", "ca.crt holds no PEM certificate"),
    )
    for issued, roots, sentence in cases:
        with pytest.raises(Invalid, match=sentence):
            await Certificates(files_of(issued, tmp_path, roots), read_secret).load()
    (tmp_path / "tls.crt").unlink()
    with pytest.raises(Invalid, match="SEALANE_GRPC_CERTIFICATE"):
        await Certificates(CertificateFiles(tmp_path / "tls.crt", "env://NONE"), read_secret).load()


async def test_plain_text_stays_at_home(lane: Lane, tmp_path: Path, policy: Policy) -> None:
    """Without TLS the door does not listen where others are."""
    async with open_doors(lane, tmp_path, policy) as doors:
        for host in ("0.0.0.0", "192.0.2.1", "door.example.com"):  # noqa: S104 - it shall be refused
            with pytest.raises(Invalid, match="plain text"):
                await doors.rpc_door.start(0, host)


def test_policy_says_certificates_in_words() -> None:
    """`sealane principals check` names them; a principal may have a key besides."""
    found = policy_for(shop=f"uri:{SHOP}").principals[1].model_copy(update={"api_keys": (hash_of(KEY),)})
    (told,) = explain(Policy(principals=(found,)))
    assert told.proof == f"an API key, or a client certificate for uri:{SHOP}"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([f"uri:{SHOP}"], "is there twice"),
        (["CN=shop"], "certificates"),
        (["spki:sha256:abc"], "certificates"),
        (["uri:"], "certificates"),
        ([], "proves itself by"),
    ],
)
def test_certificate_that_tells_nobody_apart_is_refused(names: list[str], sentence: str) -> None:
    """One name for two, a common name, half a hash, nothing at all."""
    other = {"name": "other", "certificates": names, "may_publish": []}
    known = policy_for(shop=f"uri:{SHOP}").model_dump()["principals"]
    with pytest.raises(Invalid, match=sentence):
        read_policy(json.dumps({"principals": [*known, other]}))
