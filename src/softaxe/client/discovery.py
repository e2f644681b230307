"""Finds Bitaxes: those of 2.15 by mDNS, and all by asking every address."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, Iterable
from itertools import islice
from typing import Any

from msgspec import Struct

from softaxe.client.info import Info
from softaxe.errors import DeviceError, SettingError

SERVICE = "_http._tcp.local."
SUBTYPE = f"_axeos._sub.{SERVICE}"
"""What firmware 2.15 announces. Source: ESP-Miner v2.15.0."""
LISTEN_S = 3.0
ASK_MS = 2000
AT_ONCE = 64
"""Addresses that are asked at the same time."""
PATIENCE_S = 2.0
"""For an address to answer; a device on the same network needs a tenth."""
MOST_ADDRESSES = 1 << 16
OWN_PREFIX = 24
"""Of the network that is taken for ours: home routers give such ones."""
NOWHERE = ("192.0.2.1", 9)
"""An address for documentation. Nothing is sent there. Source: RFC 5737."""


class Found(Struct, frozen=True, kw_only=True):
    """A device that has told what it is."""

    url: str
    info: Info


async def scan(
    network: str | None = None,
    *,
    port: int = 80,
    at_once: int = AT_ONCE,
    timeout_s: float = PATIENCE_S,
) -> AsyncGenerator[Found, None]:
    """Ask every address of a network, and yield the Bitaxes as they answer.

    Args:
        network: As `192.168.1.0/24`; None for the one that this machine is in.
        port: On which devices listen.
        at_once: How many addresses are asked at the same time.
        timeout_s: For each to answer.

    Raises:
        SettingError: It is no network, or one of more than 65536 addresses.
    """
    addresses = iter(addresses_of(network))
    asking = {
        asyncio.ensure_future(_ask_one(address, port, timeout_s))
        for address in islice(addresses, at_once)
    }
    try:
        while asking:
            done, asking = await asyncio.wait(
                asking, return_when=asyncio.FIRST_COMPLETED
            )
            for address in islice(addresses, len(done)):
                asking.add(asyncio.ensure_future(_ask_one(address, port, timeout_s)))
            for one in done:
                if (found := one.result()) is not None:
                    yield found
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def addresses_of(network: str | None) -> Iterable[str]:
    """Return the addresses of a network's hosts.

    Raises:
        SettingError: It is none, or has too many.
    """
    text = network or f"{own_address()}/{OWN_PREFIX}"
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise SettingError(
            f"network: {text!r} is none such as 192.168.1.0/24: {error}"
        ) from error
    if found.num_addresses > MOST_ADDRESSES:
        raise SettingError(
            f"network: {text} has {found.num_addresses} addresses, more than "
            f"{MOST_ADDRESSES}"
        )
    return map(str, found.hosts())


def own_address() -> str:
    """Return the address by which this machine reaches others.

    Raises:
        SettingError: It is in no network.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(NOWHERE)
        except OSError as error:
            raise SettingError(
                f"network: name one; this machine has none ({error})"
            ) from error
        address: str = asking.getsockname()[0]
    return address


async def _ask_one(address: str, port: int, timeout_s: float) -> Found | None:
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}" if port == 80 else f"http://{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            return await ask(url, timeout_s)
    except TimeoutError:
        return None


async def ask(url: str, timeout_s: float = PATIENCE_S) -> Found | None:
    """Ask whoever listens there what he is; None for one that is no Bitaxe."""
    # A fleet announces its devices by the names above, and asks nobody.
    from softaxe.client.axeos import AsyncAxeOS  # noqa: PLC0415

    try:
        info = await AsyncAxeOS(url, timeout_s=timeout_s).info()
    except DeviceError:
        return None
    if info.ASICModel is None:
        return None
    return Found(url=url, info=info)


async def discover(
    listen_s: float = LISTEN_S, *, interfaces: Iterable[str] | None = None
) -> list[Found]:
    """Listen for the devices that announce themselves, which 2.15 does.

    Args:
        listen_s: How long.
        interfaces: Addresses of this machine on the networks; None for all of them.
    """
    # Loaded by those who look for devices, as it takes a while.
    from zeroconf import InterfaceChoice, ServiceStateChange, Zeroconf  # noqa: PLC0415
    from zeroconf.asyncio import (  # noqa: PLC0415
        AsyncServiceBrowser,
        AsyncServiceInfo,
        AsyncZeroconf,
    )

    names: set[str] = set()

    def hear(
        zeroconf: Zeroconf,
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        if state_change is not ServiceStateChange.Removed:
            names.add(name)

    where: Any = InterfaceChoice.All if interfaces is None else list(interfaces)
    async with AsyncZeroconf(interfaces=where) as listening:
        AsyncServiceBrowser(listening.zeroconf, [SUBTYPE], handlers=[hear])
        await asyncio.sleep(listen_s)
        services = [AsyncServiceInfo(SERVICE, name) for name in sorted(names)]
        await asyncio.gather(
            *(one.async_request(listening.zeroconf, ASK_MS) for one in services)
        )
    urls = [
        f"http://{address}:{one.port}"
        for one in services
        for address in one.parsed_addresses()[:1]
    ]
    found = await asyncio.gather(*map(ask, urls))
    return [one for one in found if one is not None]
