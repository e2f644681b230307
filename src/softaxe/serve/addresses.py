"""Where others find what listens here."""

import socket
from ipaddress import IPv4Address, ip_address

LOOPBACK = "127.0.0.1"
ELSEWHERE = "224.0.0.251", 5353
"""Somebody on the network; nothing is sent there. Source: RFC 6762 section 3."""


def address_of(host: str) -> str | None:
    """Return the IPv4 address at which others find what listens at `host`.

    None when there is none: `host` is of IPv6, or nobody knows it.
    """
    try:
        return _route() if listens_everywhere(host) else socket.gethostbyname(host)
    except OSError:
        return None


def listens_everywhere(host: str) -> bool:
    """Tell whether what listens there does so on all of this machine's addresses."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def found_at(host: str, advertised: str | None = None) -> str:
    """Return the name or address by which others find what listens at `host`.

    Args:
        host: Where it listens; what does so everywhere is found at the route's address.
        advertised: What others are to be told instead.
    """
    if advertised is not None:
        return advertised
    return (address_of(host) or LOOPBACK) if listens_everywhere(host) else host


def ipv4_of(host: str, advertised: str | None = None) -> str:
    """Return the address that a device at `host` tells as its own.

    That is what is advertised, if it is an address; names are not looked up, as they
    may lead nowhere before the device is up.
    """
    try:
        if advertised is not None and isinstance(ip_address(advertised), IPv4Address):
            return advertised
    except ValueError:
        pass
    return found_at(host)


def netloc(host: str, port: int) -> str:
    """Return what a URL has for a place; an IPv6 address is in brackets there."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _route() -> str:
    """Return this machine's address on the way to others.

    Raises:
        OSError: It has none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.connect(ELSEWHERE)  # sends nothing, but tells which way it would go
        except OSError:  # a network of containers may lead nowhere else
            return socket.gethostbyname(socket.gethostname())
        return str(way.getsockname()[0])
