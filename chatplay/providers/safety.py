"""Which addresses a model server may have, checked at the one moment that counts: when a connection is made.

Private networks and this machine are allowed, local servers are the point. What only serves to reach a cloud's
metadata or a neighbour by accident is refused, whatever name it hides behind, unless `allow_hosts` names it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

import httpx2
from aiohttp.abc import AbstractResolver, ResolveResult

from chatplay.errors import BadInput

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

_METADATA_HOSTS = {
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
}
_METADATA = {
    ip_address(address)
    for address in (
        *("169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe"),
    )
}
# IPv6 networks whose last 32 bits are an IPv4 address: NAT64, its local twin, and the old "compatible" ones.
_HOLDING_IPV4 = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
_THIS_NETWORK = ip_network("0.0.0.0/8")
_MAX_URL_CHARS = 500


class AddressRefused(OSError):
    """We will not connect there; the text says why, for a sentence "cannot be reached: ..."."""


@dataclass(frozen=True)
class AddressPolicy:
    """`allow_hosts`: hosts and addresses an operator allows by name, as they stand in the base URL."""

    allow_hosts: tuple[str, ...] = ()

    def allows(self, host: str) -> bool:
        return _plain(host) in {_plain(allowed) for allowed in self.allow_hosts}

    def refusal_of_name(self, host: str) -> str | None:
        """Why a host is refused by how it is written, None when only its address can tell."""
        if self.allows(host):
            return None
        if _plain(host) in _METADATA_HOSTS:
            return "it names a cloud's metadata service"
        try:
            return self.refusal_of_address(ip_address(_plain(host).partition("%")[0]))
        except ValueError:
            return None

    def require_name(self, host: str) -> None:
        """Raises AddressRefused where the way a host is written says enough."""
        if why := self.refusal_of_name(host):
            raise AddressRefused(why)

    def refusal_of_address(self, address: Address) -> str | None:
        """Why an address is refused, None when it is not."""
        address = _embedded(address)
        if address in _METADATA:
            why = "it is the address of a cloud's metadata service"
        elif address.is_unspecified or address in _THIS_NETWORK:
            why = "it is no address of a server; for this machine write 127.0.0.1"
        elif address.is_link_local:
            why = "it is a link-local address"
        elif address.is_multicast or (isinstance(address, IPv4Address) and address.is_reserved):
            why = "it is not the address of one server"
        else:
            why = None
        return None if why is None or self.allows(str(address)) else why


def check_base_url(url: str, policy: AddressPolicy) -> str:
    """`url` without a slash at its end. Raises BadInput saying what a base URL must be."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _bad("The base URL is not an address.") from None
    if parts.scheme not in ("http", "https") or not host or port == 0 or not is_understood(url):
        raise _bad("The base URL is not an http or https address.")
    if parts.username is not None or parts.password is not None:
        raise _bad("The base URL holds a user name or password.", cure="Take it out and give the key on its own.")
    if parts.query or parts.fragment or len(url) > _MAX_URL_CHARS or not url.isprintable() or " " in url:
        raise _bad("The base URL holds more than scheme, host, port and path.")
    if why := policy.refusal_of_name(host):
        raise _bad(f"`{host}` is not allowed as a model server: {why}.", cure=_ALLOW)
    return url.rstrip("/")


def is_understood(url: str) -> bool:
    """Whether the HTTP library takes it too: it is stricter about host names."""
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    return True


_ALLOW = "Use another address, or have UPSTREAM_ALLOW_HOSTS name this host."


def _bad(message: str, *, cure: str = "Write it like http://127.0.0.1:8080/v1.") -> BadInput:
    return BadInput(message, param="base_url", cure=cure)


class GuardedResolver(AbstractResolver):
    """Gives a host's addresses only when all of them are allowed. The connection goes to the very address that was
    checked, so that a name that answers differently the second time (DNS rebinding) gains nothing. TLS still checks
    the name.
    """

    def __init__(self, policy: AddressPolicy, resolve: Resolve | None = None) -> None:
        self._policy = policy
        self._resolve = resolve or _resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See AbstractResolver. Raises AddressRefused, which is an OSError, when one of them is not allowed."""
        self._policy.require_name(host)
        found = await self._resolve(host, port)
        if not found:
            raise AddressRefused("its host name has no address")
        if not self._policy.allows(host):
            for address in found:
                if why := self._policy.refusal_of_address(ip_address(address.partition("%")[0])):
                    raise AddressRefused(f"its name stands for {address}: {why}")
        return [_result(host, address, port) for address in found]

    async def close(self) -> None:
        """Nothing is kept."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _HOLDING_IPV4) and int(address) > 0xFFFF:  # not :: and ::1
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _plain(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()
