import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import pytest

import softaxe
from softaxe.client import discovery
from softaxe.client.discovery import (
    Found,
    addresses_of,
    ask,
    discover,
    own_address,
    scan,
)
from softaxe.errors import SettingError


def test_a_scan_finds_the_bitaxe_among_others(bitaxe: Any) -> None:
    port = bitaxe.member.port

    async def found() -> list[Found]:
        network = "127.0.0.1/32"
        return [one async for one in scan(network, port=port, at_once=2)]

    (one,) = asyncio.run(found())
    assert one.url == bitaxe.url
    assert (one.info.boardVersion, one.info.version) == ("601", "v2.12.2")


def test_a_scan_bears_who_is_no_bitaxe() -> None:
    async def found() -> list[Found]:
        async def hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            writer.close()

        server = await asyncio.start_server(hello, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            assert await ask(f"http://127.0.0.1:{port}") is None
            # The others of this network have nobody on this port.
            return [one async for one in scan("127.0.0.0/29", port=port, at_once=2)]

    assert asyncio.run(found()) == []


@pytest.mark.parametrize("at_once", [1, 2, 50])
def test_a_scan_asks_every_address_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, now, most = list[str](), 0, 0

    async def nobody(url: str, _timeout_s: float) -> None:
        nonlocal now, most
        asked.append(url)
        now += 1
        most = max(now, most)
        await asyncio.sleep(0)
        now -= 1

    async def found() -> list[Found]:
        return [one async for one in scan("10.0.0.0/29", at_once=at_once)]

    monkeypatch.setattr(discovery, "ask", nobody)

    assert asyncio.run(found()) == []
    assert sorted(asked) == [f"http://10.0.0.{host}" for host in range(1, 7)]
    assert most == min(at_once, 6)


def test_networks_are_read() -> None:
    assert list(addresses_of("10.0.0.7/30")) == ["10.0.0.5", "10.0.0.6"]
    assert list(addresses_of("10.0.0.7")) == ["10.0.0.7"]
    for wrong, why in [("10.0.0.0/8", "more than 65536"), ("home", "192.168.1.0/24")]:
        with pytest.raises(SettingError, match=re.escape(why)):
            addresses_of(wrong)


def test_this_machine_has_an_address_or_says_so() -> None:
    try:
        address = own_address()
    except SettingError as error:
        assert "name one" in str(error)  # noqa: PT017 - either will do
    else:
        socket.inet_aton(address)


def test_devices_that_announce_themselves_are_found(
    run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path, firmware=("2.15.0",), is_announced=True) as device:
        told = asyncio.run(_until_found(device.url))

    assert told.info.version == "v2.15.0"
    assert softaxe.AxeOS(told.url).url == device.url


async def _until_found(url: str) -> Found:
    async with asyncio.timeout(20):
        while True:
            for one in await discover(0.3, interfaces=["127.0.0.1"]):
                if one.url == url:
                    return one
