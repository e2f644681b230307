"""Devices by their names on the local network: mDNS and DNS-SD, by zeroconf.

Firmware 2.15 says them as soon as it has an address. Here that is a matter of the real
network and of real time, and not of the device: it only hears that its name is taken.
zeroconf is loaded when there is a device to announce. However many there are, they
share four sockets per network: zeroconf keeps one service by a name, so that a subtype
takes a second responder.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from softaxe.client.discovery import SERVICE, SUBTYPE
from softaxe.device.device import Device

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

ASKED_MS = 1000
"""How long a name is asked for. Source: ESP-Miner v2.15.0."""
HOSTNAME_BYTES = 32
"""The most that a PATCH may ask for."""
LABEL_BYTES = 63
"""Of a part of a name. Source: RFC 1035 section 2.3.4."""
AT_ONCE = 32
"""Devices that ask for their names, or announce them, at the same time."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the network is told of a device."""

    hostname: str
    """Without `.local`."""
    suffix: str
    """Makes another name of one that is taken."""
    instance: str
    address: str
    port: int
    texts: tuple[tuple[str, str], ...]
    """The TXT record, in its order."""

    @property
    def renamed(self) -> "Announcement":
        """The same under another host name."""
        room = HOSTNAME_BYTES - len(self.suffix) - 1
        begin = self.hostname.encode()[:room].decode(errors="ignore")
        return replace(self, hostname=f"{begin}-{self.suffix}")


def announcement(device: Device, host: str, port: int) -> Announcement:
    """Return what is said of a device that is to be found at a place."""
    board, last = device.board, device.identity.mac[4:].hex()
    return Announcement(
        device.settings.hostname,
        last,
        f"Bitaxe {board.family} {board.version} ({last.upper()})",
        host,
        port,
        (
            ("board", board.version),
            ("family", board.family),
            ("asic", board.chip.name),
            ("asic_count", str(board.asic_count)),
            ("fw_version", device.version),
        ),
    )


class _Entry:
    """A device: what is wished to be said of it, and what is."""

    def __init__(self, take_name: Callable[[str], None]) -> None:
        self.take_name = take_name
        self.wished: Announcement | None = None
        self.says_goodbye = False
        self.is_followed = False
        self.asked: Announcement | None = None
        """What was wished when `told` came of it."""
        self.told: Announcement | None = None
        self.last: Announcement | None = None
        """What was told last, also while that is being changed."""
        self.services: list[tuple[AsyncZeroconf, AsyncServiceInfo]] = []


class Announcer:
    """Announces any number of devices, and asks for the names they want.

    Args:
        spawn: Runs in the background what says and asks.
    """

    def __init__(
        self, spawn: Callable[[Coroutine[object, object, None]], None]
    ) -> None:
        self._spawn = spawn
        self._entries: dict[str, _Entry] = {}
        self._names: dict[str, _Entry] = {}
        """Who has which host name, in lower case, or which instance."""
        self._addresses: set[str] = set()
        """All that were ever ours; their names are those of `_names`."""
        self._responders: dict[str, tuple[AsyncZeroconf, AsyncZeroconf]] = {}
        """By network: one for the service, one for its subtype."""
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._is_off = False

    def put(
        self,
        key: str,
        wished: Announcement | None,
        take_name: Callable[[str], None],
        *,
        says_goodbye: bool = False,
    ) -> None:
        """Say this of a device from now on, or nothing.

        Args:
            key: Names the device.
            wished: What to say of it.
            take_name: Called with another host name when that is taken.
            says_goodbye: Others are told when what was said holds no longer. Who loses
                its power or its Wi-Fi cannot.
        """
        if self._is_off or (wished is None and key not in self._entries):
            return
        entry = self._entries.setdefault(key, _Entry(take_name))
        entry.take_name = take_name
        entry.wished, entry.says_goodbye = wished, says_goodbye
        if not entry.is_followed:
            entry.is_followed = True
            self._spawn(self._follow(key, entry))

    async def host_name_for(self, key: str, wanted: str) -> str:
        """Return the name that an announced device gets when it wants one.

        It is another when somebody else has that one, which takes a second to find out.
        """
        entry = self._entries.get(key)
        if self._is_off or entry is None or not (entry.wished and entry.last):
            return wanted
        new = replace(entry.last, hostname=wanted)
        is_taken = self._is_anothers(wanted, entry) or await self._is_taken(new)
        return new.renamed.hostname if is_taken else wanted

    def _is_anothers(self, hostname: str, entry: _Entry) -> bool:
        """Tell whether another device of ours has a host name, or is about to."""
        name = _key(hostname)
        if self._names.get(name, entry) is not entry:
            return True
        return any(
            other is not entry
            and other.wished not in {None, other.asked}
            and _key(other.wished.hostname) == name
            for other in self._entries.values()
        )

    async def close(self) -> None:
        """Say goodbye for all; what was spawned has ended."""
        self._is_off = True
        every = [one for pair in self._responders.values() for one in pair]
        await asyncio.gather(*(one.async_close() for one in every))

    async def _follow(self, key: str, entry: _Entry) -> None:
        from zeroconf import Error  # noqa: PLC0415 - where something is announced

        async with self._turns:
            try:
                while entry.wished != entry.asked:
                    if entry.told is not None and entry.wished == entry.told:
                        entry.asked = entry.wished  # it has the name it was given
                    elif entry.told is not None:
                        await self._withdraw(entry)
                    elif entry.wished is not None:
                        await self._announce(entry, entry.wished)
            except (OSError, Error) as error:
                self._is_off = True
                sys.stderr.write(f"softaxe: no device is announced: {error!r}\n")
            finally:
                entry.is_followed = False
        if entry.told is None:
            self._entries.pop(key, None)

    async def _announce(self, entry: _Entry, wished: Announcement) -> None:
        from zeroconf.asyncio import AsyncServiceInfo  # noqa: PLC0415 - as above

        responders = self._responders_at(wished.address)
        self._addresses.add(wished.address)
        name, new = _key(wished.hostname), wished
        is_ours = self._names.setdefault(name, entry) is entry
        if not is_ours or await self._is_taken(wished):
            if is_ours:
                del self._names[name]
            new = wished.renamed
            self._names[_key(new.hostname)] = entry
        entry.asked, entry.told, entry.last = wished, new, new
        if new is not wished:
            entry.take_name(new.hostname)
        instance, number = new.instance, 1
        while self._names.setdefault(instance, entry) is not entry:
            number += 1
            instance = f"{new.instance}-{number}"
        entry.services = [
            (
                responder,
                AsyncServiceInfo(
                    kind,
                    f"{instance}.{SERVICE}",
                    new.port,
                    server=_server(new.hostname),
                    parsed_addresses=[new.address],
                    properties=dict(new.texts),
                ),
            )
            for responder, kind in zip(responders, (SERVICE, SUBTYPE), strict=True)
        ]
        # Nobody else has the instance's name: there are bytes of a MAC address in it.
        await _all_said(
            responder.async_register_service(info, cooperating_responders=True)
            for responder, info in entry.services
        )

    async def _withdraw(self, entry: _Entry) -> None:
        services, entry.services = entry.services, []
        entry.asked = entry.told = None
        for name in [name for name, other in self._names.items() if other is entry]:
            del self._names[name]
        if entry.says_goodbye:
            await _all_said(
                responder.async_unregister_service(info) for responder, info in services
            )
            return
        for responder, info in services:
            responder.zeroconf.registry.async_remove(info)

    async def _is_taken(self, wished: Announcement) -> bool:
        """Tell whether a machine that is none of ours has a host name."""
        # Public, though the library does not list it.
        from zeroconf import (  # type: ignore[attr-defined]  # noqa: PLC0415 - as above
            AddressResolverIPv4,
        )

        asked = AddressResolverIPv4(_server(wished.hostname))
        responder, _ = self._responders_at(wished.address)
        await asked.async_request(responder.zeroconf, ASKED_MS)
        return bool(set(asked.parsed_addresses()) - self._addresses)

    def _responders_at(self, address: str) -> "tuple[AsyncZeroconf, AsyncZeroconf]":
        from zeroconf.asyncio import AsyncZeroconf  # noqa: PLC0415 - as above

        is_loopback = ip_address(address).is_loopback
        # Addresses that differ in their last byte are taken to be of one network.
        network = "127" if is_loopback else address.rpartition(".")[0]
        if network not in self._responders:
            interface = ["127.0.0.1" if is_loopback else address]
            self._responders[network] = (
                AsyncZeroconf(interfaces=interface),
                AsyncZeroconf(interfaces=interface),
            )
        return self._responders[network]


async def _all_said(orders: Iterable[Awaitable[Awaitable[object]]]) -> None:
    """Wait until every announcement, or goodbye, has been said thrice."""
    for said in [await order for order in orders]:
        await said


def _server(hostname: str) -> str:
    """Return the name of a host.

    What no label may hold becomes a hyphen: a dot would be its end, and zeroconf knows
    no control characters. Settings take any text, those of old releases of any length.
    """
    label = re.sub(r"[.\x00-\x1f\x7f]", "-", hostname).encode()[:LABEL_BYTES]
    return f"{label.decode(errors='ignore') or '-'}.local."


def _key(hostname: str) -> str:
    return _server(hostname).lower()
