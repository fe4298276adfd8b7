"""Where a request really comes from: the peer, or what a proxy we trust says about it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def is_trusted(address: str | None, networks: Iterable[Network]) -> bool:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def client_address(peer: str | None, forwarded_for: str | None, networks: Iterable[Network]) -> str | None:
    """The nearest address that is no trusted proxy, read from the right: what is left of it can be made up."""
    networks = tuple(networks)
    address = peer
    for hop in reversed((forwarded_for or "").split(",")):
        if not is_trusted(address, networks) or not hop.strip():
            break
        address = hop.strip()
    return address


def came_by_tls(scheme: str, forwarded_proto: str | None, peer: str | None, networks: Iterable[Network]) -> bool:
    """True when the browser spoke https, to us or to a trusted proxy."""
    return scheme in ("https", "wss") or (forwarded_proto == "https" and is_trusted(peer, networks))
