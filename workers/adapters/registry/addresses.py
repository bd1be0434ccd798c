"""Addresses that no registry may have: a cloud's metadata service, link-local networks, and this machine itself.

Names are checked after they were resolved, for anybody can let a name point anywhere.
"""

import ipaddress
import socket
from collections.abc import Collection

from aiohttp.abc import AbstractResolver, ResolveResult

from workers.failures import Denied
from workers.registries import is_loopback

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "metadata", "instance-data"})
_METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def require_allowed_name(host: str) -> None:
    """Raise Denied for a host (no port) that is, by its name or as an address, one of those."""
    name = host.rstrip(".").lower()
    if name in _METADATA_NAMES:
        raise Denied(f"{host} is a cloud's metadata service, which is never asked for images")
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return
    # A literal loopback address got here only because the list of registries names it.
    _require_allowed(host, address, loopback=True)


class GuardedResolver(AbstractResolver):
    """Resolves names with another resolver and refuses what they must not point at.

    `local`: hosts (no port) that may be on this machine.
    """

    def __init__(self, inner: AbstractResolver, local: Collection[str]) -> None:
        self._inner = inner
        self._local = frozenset(local)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises Denied if any of them is forbidden."""
        found = await self._inner.resolve(host, port, family)
        for result in found:
            address = ipaddress.ip_address(result["host"].partition("%")[0])
            _require_allowed(host, address, loopback=host in self._local)
        return found

    async def close(self) -> None:
        """Close the resolver below."""
        await self._inner.close()


def loopback_hosts(hosts: Collection[str]) -> frozenset[str]:
    """Return, without ports, those hosts that name this machine by themselves."""
    return frozenset(host.partition(":")[0] for host in hosts if is_loopback(host))


def _require_allowed(host: str, address: _Address, *, loopback: bool) -> None:
    address = _innermost(address)
    if address.is_link_local or address in _METADATA_ADDRESSES:
        raise Denied(
            f"{host} is at {address}, a link-local or metadata address, where no registry may be:"
            " correct the name or its DNS record"
        )
    local = address.is_loopback or address.is_unspecified
    if address.is_multicast or (local and not loopback):
        raise Denied(
            f"{host} is at {address}, which is this machine or nobody's: a registry on this machine is listed as"
            " localhost or 127.0.0.1"
        )


def _innermost(address: _Address) -> _Address:
    """Unwrap an IPv4 address that travels inside an IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
