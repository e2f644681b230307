"""Who may use the API: the firmware's address check, and our wider one.

The firmware trusts private IPv4 addresses, of the client and of the page (`Origin`)
that made it ask; from 2.15 on, pages of local names, too. A program on the same machine
has neither, so the documented profile adds loopback clients and pages that the device
itself serves. It does not add names that an attacker may point at this machine (DNS
rebinding).
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from softaxe.device.profile import Profile

Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]
PRIVATE_NETWORKS = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
)
"""Source: ESP-Miner main/http_server/http_server.c (is_network_allowed)."""
MAX_ORIGIN_BYTES = 127
"""A longer Origin does not fit the firmware's buffer and counts as missing."""
MAX_ORIGIN_ADDRESS_CHARACTERS = 15
"""A dotted quad; a longer text is no address to the firmware."""

KEPT_DECISIONS = 1024
"""The same few clients ask again and again."""

LOCAL_DOMAINS = (
    ".local",
    ".localhost",
    ".internal",
    ".home.arpa",
    ".lan",
    ".home",
    ".test",
)
"""Nobody can register a name below these: RFC 6761, 6762 and 8375, ICANN's .internal,
and what routers call the network at home."""

_HTTP = "http://"
_LOCAL = ".local"
_DOTTED_QUAD = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_NO_ADDRESS = IPv4Address("255.255.255.255")
_UNSET_ADDRESS = IPv4Address("0.0.0.0")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|0[0-7]*|[1-9][0-9]*", re.ASCII)
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[^/:\[\]]+)(?::[0-9]+)?")


@lru_cache(maxsize=KEPT_DECISIONS)
def is_allowed(
    client_ip: str,
    origin: str | None,
    host: str | None,
    *,
    profile: Profile,
    hostname: str,
    is_ap_enabled: bool,
    trusts_names: bool = False,
    networks: Networks = (),
) -> bool:
    """Tell whether a request passes the device's access check.

    Args:
        client_ip: Address of the peer, as text.
        origin: Value of the `Origin` header, or None.
        host: Value of the `Host` header, or None.
        profile: Which rule holds.
        hostname: The device's own name.
        is_ap_enabled: True while the device is its own network; then all may to whom
            the firmware is the model.
        trusts_names: Pages of local names may ask, as from 2.15 on.
        networks: Beside private ones; clients there are let in, and so are pages that
            the device itself serves at an address there.
    """
    if is_ap_enabled and not profile.access_checked_in_ap:
        return True
    try:
        client = ip_address(client_ip.partition("%")[0])
    except ValueError:
        return False
    if profile.loopback_allowed:
        return _is_allowed_as_documented(
            client,
            origin,
            host,
            hostname.lower(),
            trusts_names=trusts_names,
            networks=networks,
        )
    if networks:
        is_let_in = _is_within(client, networks)
        if is_let_in or _is_allowed_by_firmware(client, None):
            page = "" if origin is None else _page_name(origin)
            if page == _host_name(host) and _is_within(_literal(page), networks):
                return True
        if is_let_in:
            client = PRIVATE_NETWORKS[0][0]  # as good as one that the firmware knows
    if not trusts_names:
        return _is_allowed_by_firmware(client, origin)
    return _is_allowed_by_address_or_name(client, origin, hostname)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, and nobody else's way to it."""
    return _is_loopback_name(host.lower())


def is_public_name(name: str) -> bool:
    """Tell whether a host is a name that the public DNS may answer, for anybody.

    Names without a dot are those of a network's own hosts, as in containers.

    Args:
        name: In lower case, without a port; addresses are no names.
    """
    if _literal(name) is not None:
        return False
    return "." in name and not name.rstrip(".").endswith(LOCAL_DOMAINS)


def is_near(client_ip: str, networks: Networks = ()) -> bool:
    """Tell whether an address is this machine's or one of a private network.

    Args:
        client_ip: As text.
        networks: As good as private ones.
    """
    try:
        address = _unmapped(ip_address(client_ip.partition("%")[0]))
    except ValueError:
        return False
    return address.is_loopback or _is_private(address) or _is_within(address, networks)


def inet_addr(text: str) -> IPv4Address | None:
    """Read an IPv4 address in every form that lwIP's `inet_addr` takes.

    One to four numbers, decimal, octal (`0…`) or hexadecimal (`0x…`); the last fills
    the remaining bytes. White space, and anything after it, may follow.

    Returns:
        None when the text is no address.
    """
    head = re.split(r"[ \t\n\r\f\v]", text, maxsplit=1)[0]
    parts = head.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    # lwIP counts in 32 bits and lets a longer number wrap.
    *firsts, last = (_number(part) & 0xFFFFFFFF for part in parts)
    last_bits = 32 - 8 * len(firsts)
    if last >> last_bits or any(first > 0xFF for first in firsts):
        return None
    for index, first in enumerate(firsts):
        last |= first << (24 - 8 * index)
    return IPv4Address(last)


def _is_allowed_by_firmware(
    client: IPv4Address | IPv6Address, origin: str | None
) -> bool:
    # The firmware reads the last 32 bits of whatever address the peer has.
    address = IPv4Address(int(client) & 0xFFFFFFFF)
    if origin is None or len(origin) > MAX_ORIGIN_BYTES:
        return _is_private(address)
    return _is_private(address) and _is_private(_origin_address(origin))


def _is_allowed_by_address_or_name(
    client: IPv4Address | IPv6Address, origin: str | None, hostname: str
) -> bool:
    """The rule of 2.15: a local name may come from any address."""
    if origin is None or len(origin) > MAX_ORIGIN_BYTES:
        return _is_allowed_by_firmware(client, None)
    is_literal = _DOTTED_QUAD.fullmatch(_origin_text(origin)) is not None
    if is_literal and _is_allowed_by_firmware(client, origin):
        return True
    if _is_local_name(origin):
        return True
    own = f"{_HTTP}{hostname}"
    return any(
        origin == name or origin.startswith(f"{name}:")
        for name in (own, f"{own}.local")
    )


def _is_local_name(origin: str) -> bool:
    """Tell whether an Origin's host ends in `.local` or has no dot."""
    _, scheme, rest = origin.partition(_HTTP)
    name = re.split("[:/]", rest, maxsplit=1)[0].lower()
    is_below_local = name.endswith(_LOCAL) and len(name) > len(_LOCAL)
    return bool(scheme) and bool(name) and (is_below_local or "." not in name)


def _is_allowed_as_documented(
    client: IPv4Address | IPv6Address,
    origin: str | None,
    host: str | None,
    hostname: str,
    *,
    trusts_names: bool,
    networks: Networks,
) -> bool:
    address = _unmapped(client)
    is_loopback = address.is_loopback
    if not (is_loopback or _is_private(address) or _is_within(address, networks)):
        return False
    asked_name = _host_name(host)
    # A name with a dot may be anybody's, though a device takes it.
    own_names = {"localhost"}
    if "." not in hostname:
        own_names |= {hostname, f"{hostname}.local"}
    if origin is None:
        return not is_loopback or not _is_foreign(asked_name, own_names)
    if _is_private(_origin_address(origin)):
        return len(origin) <= MAX_ORIGIN_BYTES
    if trusts_names and _is_local_name(origin):
        return True
    page = _page_name(origin)
    if is_loopback and _is_loopback_name(page):
        return True
    return page == asked_name and (
        page in own_names
        or _is_trusted_literal(page)
        or _is_within(_literal(page), networks)
    )


def _is_within(address: IPv4Address | IPv6Address | None, networks: Networks) -> bool:
    return address is not None and any(
        _unmapped(address) in network for network in networks
    )


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in PRIVATE_NETWORKS)


def _origin_address(origin: str) -> IPv4Address:
    """Return what the firmware takes for the page's address."""
    text = _origin_text(origin)
    if _HTTP not in origin or len(text) > MAX_ORIGIN_ADDRESS_CHARACTERS:
        return _UNSET_ADDRESS
    return inet_addr(text) or _NO_ADDRESS


def _origin_text(origin: str) -> str:
    """Return an Origin's host and port."""
    return origin.partition(_HTTP)[2].partition("/")[0]


def _number(text: str) -> int:
    if text[:2] in {"0x", "0X"}:
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _literal(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return _unmapped(ip_address(name))
    except ValueError:
        return None


def _is_trusted_literal(name: str) -> bool:
    address = _literal(name)
    return address is not None and (address.is_loopback or _is_private(address))


def _is_loopback_name(name: str) -> bool:
    address = _literal(name)
    return name == "localhost" or (address is not None and address.is_loopback)


def _page_name(origin: str) -> str:
    """Return an Origin's host, in lower case; empty when it has none."""
    match = _ORIGIN.fullmatch(origin.lower())
    return match[1].strip("[]") if match else ""


def _host_name(host: str | None) -> str | None:
    """Return the Host header's name without its port, in lower case."""
    if host is None:
        return None
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _is_foreign(name: str | None, own_names: set[str]) -> bool:
    """Tell whether a name is one that the public DNS may answer.

    A page of such a name could have pointed it at this machine, to read from here what
    only programs of this machine may. On a network names are not looked at, as a device
    does not: its owner may have given it any.
    """
    return name is not None and name not in own_names and is_public_name(name)
