"""Only listed hosts are asked, whatever redirects and name servers say, and credentials stay where they belong."""

import socket
from collections.abc import Mapping

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.adapters.registry.conftest import IMAGE, Listed, Odd, Opener, answering
from workers.adapters.registry.addresses import GuardedResolver, require_allowed_name
from workers.failures import Denied, Unavailable
from workers.local.registry import Faults, Registry
from workers.registries import SETTING, RegistryAccess


class NameServer(AbstractResolver):
    """Resolves names as a test says."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the one address of a host."""
        if host not in self.addresses:
            raise OSError(None, "no such name")
        address = self.addresses[host]
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


async def test_follows_a_redirect_to_a_listed_host_without_credentials(
    registry: Registry, faults: Faults, images: Opener, listed: Listed, odd: Odd
) -> None:
    """A manifest may be at another listed host, which then sees no Authorization."""
    faults.redirect_manifests = f"http://{odd.host}"
    adapter = await images(listed(registry.host), listed(odd.host))

    found = await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert (found.host, found.digest) == (registry.host, IMAGE.digest)
    assert odd.authorizations == [None]


async def test_gives_credentials_to_no_host_that_a_redirect_leads_to(
    registry: Registry, faults: Faults, images: Opener, listed: Listed, odd: Odd
) -> None:
    """A redirect to a host that asks for credentials ends there, even though we have some for it."""
    faults.redirect_manifests = f"http://{odd.host}"
    odd.answer = answering(401, WWW_Authenticate='Basic realm="give me"')
    adapter = await images(listed(registry.host), listed(odd.host))

    with pytest.raises(Denied, match="they never follow a redirect"):
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert odd.authorizations == [None]


async def test_follows_no_redirect_to_a_host_that_is_not_listed(
    registry: Registry, faults: Faults, images: Opener, listed: Listed, odd: Odd
) -> None:
    """A redirect elsewhere is denied with both hosts and the setting, and never asked."""
    faults.redirect_manifests = f"http://{odd.host}"
    adapter = await images(listed(registry.host))

    with pytest.raises(Denied) as caught:
        await adapter.resolve(f"{registry.host}/apps/shop:1.0")

    assert f"{registry.host} redirects to {odd.host}" in str(caught.value)
    assert SETTING in str(caught.value)
    assert odd.asked == []


async def test_follows_one_redirect_only(odd: Odd, images: Opener, listed: Listed) -> None:
    """A redirect to a redirect is given up."""
    odd.answer = answering(302, Location="/v2/again")
    adapter = await images(listed(odd.host))

    with pytest.raises(Unavailable, match="redirects again"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")

    assert len(odd.asked) == 2


@pytest.mark.parametrize(
    ("location", "failure"),
    [("http://[", Unavailable), ("file:///etc/passwd", Denied), ("//user:pw@elsewhere.example/x", Denied)],
)
async def test_refuses_a_redirect_to_what_is_no_registry(
    odd: Odd, images: Opener, listed: Listed, location: str, failure: type[Exception]
) -> None:
    """What cannot be a registry's address is not followed."""
    odd.answer = answering(307, Location=location)
    adapter = await images(listed(odd.host))

    with pytest.raises(failure, match="redirects"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")


async def test_refuses_a_redirect_without_a_location(odd: Odd, images: Opener, listed: Listed) -> None:
    """A redirect to nowhere is said to be that."""
    odd.answer = answering(307)
    adapter = await images(listed(odd.host))

    with pytest.raises(Unavailable, match="does not say where to"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")


FORBIDDEN = [
    "169.254.169.254",
    "169.254.1.2",
    "100.100.100.200",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "127.0.0.1",
    "::1",
    "0.0.0.0",  # noqa: S104 - refused, not bound
    "::",
    "224.0.0.1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_asks_no_name_that_leads_to_a_forbidden_address(images: Opener, listed: Listed, address: str) -> None:
    """A listed name is not asked while it resolves to metadata, link-local or this machine; the sentence names it."""
    entry = listed("registry.example", insecure_remote=True)
    adapter = await images(entry, resolver=NameServer({"registry.example": address}))

    with pytest.raises(Denied, match=r"registry\.example is at "):
        await adapter.resolve("registry.example/apps/shop:1.0")


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "metadata.google.internal", "metadata", "100.100.100.200", "metadata.goog:80"],
)
async def test_asks_no_metadata_service_even_if_it_is_listed(images: Opener, listed: Listed, host: str) -> None:
    """No list makes a metadata service a registry."""
    adapter = await images(listed(host, insecure_remote=True), resolver=NameServer({}))

    with pytest.raises(Denied, match="metadata"):
        await adapter.resolve(f"{host}/computemetadata/v1:1.0")


async def test_asks_no_metadata_service_for_a_token(odd: Odd, images: Opener, listed: Listed) -> None:
    """A token realm is held to the same rule, though it is listed."""
    odd.answer = answering(401, WWW_Authenticate='Bearer realm="http://169.254.169.254/token"')
    adapter = await images(listed(odd.host, insecure_remote=True, token_hosts=["169.254.169.254"]))

    with pytest.raises(Denied, match="metadata"):
        await adapter.resolve(f"{odd.host}/apps/shop:1.0")


async def test_asks_this_machine_where_it_is_listed_by_name(registry: Registry, images: Opener, listed: Listed) -> None:
    """Localhost is asked when it is listed as localhost."""
    host = f"localhost:{registry.port}"
    adapter = await images(listed(host), resolver=NameServer({"localhost": "127.0.0.1"}))

    assert (await adapter.resolve(f"{host}/apps/shop:1.0")).digest == IMAGE.digest


async def test_says_that_a_name_cannot_be_found(images: Opener, listed: Listed) -> None:
    """A name without an address is temporary: the DNS may come back."""
    entry = listed("registry.example", insecure_remote=True)
    adapter = await images(entry, resolver=NameServer({}))

    with pytest.raises(Unavailable, match=r"registry\.example cannot be found in the DNS"):
        await adapter.resolve("registry.example/apps/shop:1.0")


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.9", "203.0.113.7", "fd12::1", "2001:db8::1"])
async def test_allows_private_and_public_addresses(address: str) -> None:
    """A registry inside a company's network is as good as any."""
    guarded = GuardedResolver(NameServer({"registry.example": address}), local=())

    assert [result["host"] for result in await guarded.resolve("registry.example")] == [address]
    await guarded.close()


@pytest.mark.parametrize("name", ["METADATA.google.internal", "metadata.google.internal.", "[fe80::1]"])
def test_knows_metadata_in_every_spelling(name: str) -> None:
    """Capitals, a final dot and brackets change nothing."""
    with pytest.raises(Denied):
        require_allowed_name(name)


async def test_uses_the_first_entry_whose_paths_match(
    registry: Registry, faults: Faults, images: Opener, listed: Listed
) -> None:
    """One host may be listed twice, for different repositories with different credentials."""
    adapter = await images(
        RegistryAccess(host=registry.host, insecure=True, paths=("other/**",)),
        listed(registry.host, paths=["apps/*"]),
    )

    assert (await adapter.resolve(f"{registry.host}/apps/shop:1.0")).digest == IMAGE.digest
    with pytest.raises(Denied, match=f"{SETTING} lists {registry.host}, but not for third/shop"):
        await adapter.resolve(f"{registry.host}/third/shop:1.0")
