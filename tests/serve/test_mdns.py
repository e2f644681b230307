"""Devices on the local network by name, as zeroconf's own browser finds them."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from zeroconf import (  # type: ignore[attr-defined]
    AddressResolverIPv4,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from softaxe.client.discovery import SERVICE, SUBTYPE
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.serve import mdns
from softaxe.testing.run import running

QUICK_MS = 100
ASK_MS = 1000
"""The same question again within 0.8 s is taken for the same packet."""
LOOPBACK = ["127.0.0.1"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "ASKED_MS", QUICK_MS)


@asynccontextmanager
async def living(state: Path, **group: object) -> AsyncIterator[Fleet]:
    """A fleet with a seed that no other test on this network has."""
    groups = (Group(is_announced=True, **group),)  # type: ignore[arg-type]
    options = FleetOptions(
        state, groups, port=0, is_paused=True, seed=secrets.randbelow(1 << 24)
    )
    fleet = Fleet(options)
    try:
        await fleet.start()
        yield fleet
    finally:
        await fleet.close()


class Network:
    """Another machine: what it hears, and may ask."""

    def __init__(self) -> None:
        self.zeroconf = AsyncZeroconf(interfaces=LOOPBACK)
        self.there: set[tuple[str, str]] = set()
        self.heard = asyncio.Event()

    async def __aenter__(self) -> "Network":
        AsyncServiceBrowser(
            self.zeroconf.zeroconf, [SERVICE, SUBTYPE], handlers=[self._hear]
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.zeroconf.async_close()

    def _hear(
        self,
        zeroconf: Zeroconf,
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            self.there.discard((service_type, name))
        else:
            self.there.add((service_type, name))
        self.heard.set()

    async def until(self, name: str, *, is_there: bool = True) -> None:
        wanted = {(kind, f"{name}.{SERVICE}") for kind in (SERVICE, SUBTYPE)}
        async with asyncio.timeout(10):
            while bool(wanted <= self.there) is not is_there:
                self.heard.clear()
                await self.heard.wait()

    async def service(self, name: str) -> AsyncServiceInfo:
        info = AsyncServiceInfo(SERVICE, f"{name}.{SERVICE}")
        assert await info.async_request(self.zeroconf.zeroconf, 3000)
        return info


async def until_answered(hostname: str, wanted: list[str]) -> None:
    """Ask anew, as who has heard nothing before, until that is the answer."""
    async with asyncio.timeout(10):
        found: list[str] | None = None
        while found != wanted:
            async with AsyncZeroconf(interfaces=LOOPBACK) as asking:
                asked = AddressResolverIPv4(f"{hostname}.local.")
                await asked.async_request(asking.zeroconf, ASK_MS)
                found = list(asked.parsed_addresses())


def test_a_device_says_what_firmware_2_15_says(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            living(tmp_path, firmware=("2.15.0",)) as fleet,
            Network() as network,
        ):
            (member,) = fleet.members.values()
            last = member.device.identity.mac[4:].hex().upper()
            name = f"Bitaxe Gamma 601 ({last})"

            await network.until(name)
            service = await network.service(name)

            assert list(service.properties.items()) == [
                (b"board", b"601"),
                (b"family", b"Gamma"),
                (b"asic", b"BM1370"),
                (b"asic_count", b"1"),
                (b"fw_version", b"v2.15.0"),
            ]
            assert (service.parsed_addresses(), service.port) == (
                LOOPBACK,
                member.port,
            )
            hostname = member.device.settings.hostname
            assert service.server == f"{hostname}.local."
            assert member.device.mdns_hostname == hostname
            await until_answered(hostname, LOOPBACK)

            member.order("restart")
            await fleet.ticker.advance(1.5)
            await until_answered(hostname, [])
            await fleet.ticker.advance(30)
            await until_answered(hostname, LOOPBACK)

            await fleet.remove(member.id)
            await network.until(name, is_there=False)

    asyncio.run(main())


def test_of_two_with_a_name_one_gets_another_and_2_15_keeps_it(tmp_path: Path) -> None:
    wanted = f"t{secrets.token_hex(6)}"

    async def main() -> None:
        releases = ("2.9.0", "2.15.0", "2.15.0")
        group = {"firmware": releases, "settings": {"hostname": wanted}}
        async with living(tmp_path, count=3, **group) as fleet, Network() as network:
            old, new, newest = fleet.members.values()
            last, other = (one.device.identity.mac[4:].hex() for one in (new, newest))
            await network.until(f"Bitaxe Gamma 601 ({last.upper()})")
            await network.until(f"Bitaxe Gamma 601 ({other.upper()})")

            assert new.device.settings.hostname == f"{wanted}-{last}"
            assert old.device.settings.hostname == wanted
            assert await new.host_name_for(wanted) == f"{wanted}-{last}"
            assert await new.host_name_for(f"{wanted}2") == f"{wanted}2"

            stranger = AsyncServiceInfo(
                "_x._tcp.local.",
                "x._x._tcp.local.",
                port=1,
                server=f"{wanted}3.local.",
                parsed_addresses=["192.0.2.7"],
            )
            said = await network.zeroconf.async_register_service(
                stranger, cooperating_responders=True
            )
            await said
            change = {"hostname": f"{wanted}3"}
            answer = await asyncio.to_thread(
                httpx.patch, f"{new.url}/api/system", json=change
            )
            renamed = f"{wanted}3-{last}"
            assert answer.json()["redirect"]["url"] == f"http://{renamed}.local"
            # The network has yet to be told: names are minded all the same.
            assert await new.host_name_for(wanted) == f"{wanted}-{last}"
            assert await newest.host_name_for(renamed) == f"{renamed}-{other}"
            await until_answered(renamed, LOOPBACK)

    asyncio.run(main())


@pytest.mark.parametrize("hostname", ["a\tb\x7f", "", "é" * 50])
def test_whatever_a_device_is_called_it_is_announced(
    tmp_path: Path, hostname: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        group = {"firmware": ("2.9.0",), "settings": {"hostname": hostname}}
        async with living(tmp_path, **group) as fleet, Network() as network:
            (member,) = fleet.members.values()
            assert member.device.settings.hostname == hostname
            last = member.device.identity.mac[4:].hex().upper()
            await network.until(f"Bitaxe Gamma 601 ({last})")

    asyncio.run(main())
    assert "announced" not in capsys.readouterr().err


def test_nothing_is_loaded_while_nothing_is_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("zeroconf", "zeroconf.asyncio"):
        monkeypatch.setitem(sys.modules, name, None)  # to import it is an error

    with running(firmware="2.15.0") as bitaxe:
        info = bitaxe.info()

    assert info["fullHostname"] == f"{info['mdnsHostname']}.local"
