"""The client against devices of every family of versions."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

import softaxe
from softaxe.catalog.firmware import families, firmware
from softaxe.client.answers import Statistics
from softaxe.client.info import Asic, Info
from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.errors import (
    BadResponse,
    NoSuchRoute,
    PatchRefused,
    SettingError,
    UpdateRefused,
)
from softaxe.flash.image import release_bytes

ROUTES = {
    "identify": "/api/system/identify",
    "pause": "/api/system/pause",
    "resume": "/api/system/resume",
    "logs": "/api/system/logs",
}
NEWEST = "2.15.0"


@pytest.fixture(scope="module", params=[*families()])
def old(
    request: Any, run_device: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A device in the firmware profile, of every family of versions."""
    version = firmware(request.param).version
    folder = tmp_path_factory.mktemp("device")
    with run_device(
        folder, firmware=(version,), profile=FIRMWARE, speed=20.0
    ) as device:
        device.release = firmware(version)
        # Lets every client in: devices want a private address, and this is another one.
        device.member.device.radio.is_ap_enabled = True
        yield device


@pytest.fixture(scope="module")
def newest(run_device: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A device of the newest version, as the page has it."""
    folder = tmp_path_factory.mktemp("device")
    with run_device(
        folder, firmware=(NEWEST,), profile=DOCUMENTED, speed=20.0
    ) as device:
        yield device


def test_answers_of_every_version_have_their_types(old: Any) -> None:
    device = softaxe.AxeOS(old.url)
    info, asic, statistics = device.info(), device.asic(), device.statistics()

    assert isinstance(info, Info)
    for member in old.release.info:
        is_there = getattr(info, member.name) is not None
        assert is_there or member.is_optional or not member.is_live, member.name
    assert (info.version, info.overheat_mode) == (old.release.tag, False)
    assert isinstance(info.bestDiff, int | float)
    assert isinstance(asic, Asic)
    assert asic.ASICModel == "BM1370"
    assert isinstance(statistics, Statistics)
    assert statistics.labels == [one.name for one in old.release.statistics]


def test_a_setting_is_read_back_on_every_version(old: Any) -> None:
    device = softaxe.AxeOS(old.url)

    found = device.set(frequency=500, coreVoltage=1150, hostname="axe")

    assert [(one.name, one.told, one.is_kept) for one in found] == [
        ("frequency", 500, True),
        ("coreVoltage", 1150, True),
        ("hostname", "axe", True),
    ]
    with pytest.raises(PatchRefused, match=r"frequncy: .*; frequency is one"):
        device.set(frequncy=500)
    with pytest.raises(PatchRefused, match=r"coreVoltage: 'much' is no integer"):
        device.set(coreVoltage="much")


def test_a_route_that_a_version_has_not_is_named(old: Any) -> None:
    device = softaxe.AxeOS(old.url)

    for name, route in ROUTES.items():
        call: Callable[[], Any] = getattr(device, name)
        method = "GET" if name == "logs" else "POST"
        if old.release.has_route(method, route):
            call()
            continue
        with pytest.raises(NoSuchRoute, match=rf"{route}: firmware v.* has no such"):
            call()
    if not old.release.has_route("GET", "/api/ws/live"):
        with pytest.raises(NoSuchRoute, match=r"/api/ws/live: .*2.14.0 is the first"):
            next(device.live())


def test_pools_of_every_version_are_read_and_changed(old: Any) -> None:
    device = softaxe.AxeOS(old.url)

    device.set_pool(
        1, stratumURL="pool.example", stratumPort=3334, stratumUser="somebody"
    )

    pool = device.pools()[1]
    assert (pool.id, pool.stratumURL, pool.stratumPort) == (1, "pool.example", 3334)
    assert pool.stratumUser == "somebody"
    with pytest.raises(PatchRefused, match="url: a pool has stratumProtocol, "):
        device.set_pool(0, url="x")
    with pytest.raises(PatchRefused, match="9"):
        device.set_pool(9, stratumURL="a", stratumPort=1, stratumUser="b")


def test_the_log_is_followed_on_every_version(old: Any) -> None:
    async def follow() -> list[str]:
        device = softaxe.AsyncAxeOS(old.url)
        lines = []
        async with asyncio.timeout(20):
            async for line in device.log():
                lines.append(line)
                if len(lines) == 3:
                    break
        return lines

    for line in asyncio.run(follow()):
        assert "\n" not in line
        assert " (" in line  # as ESP-IDF writes it: I (1234) tag: text


def test_an_update_tells_how_far_it_is_and_changes_the_version(
    run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path, speed=20.0) as running:
        device, told = softaxe.AxeOS(running.url), list[tuple[int, int]]()
        before = device.info()
        image = release_bytes("2.14.1")
        device.update(image, progress=lambda *so_far: told.append(so_far))
        after = device.wait_until_up(before)

    assert (before.version, after.version) == ("v2.12.2", "v2.14.1")
    assert told == sorted(told)
    assert told[-1] == (len(image), len(image))


def test_what_is_no_image_is_refused(newest: Any) -> None:
    device = softaxe.AxeOS(newest.url)

    with pytest.raises(UpdateRefused, match="/api/system/OTA: "):
        device.update(b"no image" * 5000)
    with pytest.raises(SettingError, match="image: 0 bytes"):
        device.update(b"")


def test_the_live_socket_yields_all_of_info(newest: Any) -> None:
    updates = softaxe.AxeOS(newest.url).live()
    first, second = next(updates), next(updates)
    updates.close()

    assert first.ASICModel == second.ASICModel == "BM1370"
    assert first.uptimeSeconds != second.uptimeSeconds or first != second


def test_slots_are_changed_and_emptied(newest: Any) -> None:
    device = softaxe.AxeOS(newest.url)
    device.set_pool(5, stratumURL="a.example", stratumPort=1, stratumUser="b")
    device.set_pool(5, stratumPort=2)
    ports = {pool.id: pool.stratumPort for pool in device.pools()}
    device.delete_pool(5)

    assert ports[5] == 2
    assert 5 not in {pool.id for pool in device.pools()}


def test_what_is_forced_is_judged_by_the_device(newest: Any) -> None:
    device = softaxe.AxeOS(newest.url)

    with pytest.raises(PatchRefused, match=r"PATCH http.*: .*coreVoltage"):
        device.set(force=True, coreVoltage=True)
    (change,) = device.set(force=True, fanspeed=50)
    assert change.name == "fanspeed"


def test_what_shows_after_a_restart_is_not_called_lost(newest: Any) -> None:
    change, secret = softaxe.AxeOS(newest.url).set(
        primaryPoolIndex=1, wifiPass="long enough"
    )

    assert (change.sent, change.told, change.is_kept) == (1, 0, None)
    assert (secret.told, secret.is_kept) == (None, None)


def test_an_answer_of_another_shape_names_the_member(
    newest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def odd(self: softaxe.AsyncAxeOS, path: str) -> Any:
        return {"power": "much"}

    monkeypatch.setattr(softaxe.AsyncAxeOS, "get_json", odd)

    with pytest.raises(BadResponse, match=r"system/info: .*\$\.power"):
        softaxe.AxeOS(newest.url).info()


def followed(
    messages: list[str | bytes], answer: Response | None = None, *, is_log: bool = False
) -> list[Any]:
    """Return what is made of messages of a stream, or of another answer to its wish."""

    async def send(socket: ServerConnection) -> None:
        for message in messages:
            await socket.send(message)

    def look(_socket: ServerConnection, request: Request) -> Response | None:
        if request.path == "/api/system/info":
            return Response(200, "OK", Headers(), b'{"version": "v2.15.0"}')
        return answer

    async def follow() -> list[Any]:
        async with serve(send, "127.0.0.1", 0, process_request=look) as server:
            host, port = server.sockets[0].getsockname()
            device = softaxe.AsyncAxeOS(f"http://{host}:{port}")
            found = device.log() if is_log else device.live()
            return [one async for one in found]

    return asyncio.run(follow())


@pytest.mark.parametrize("place", ["ws://192.0.2.1/", "ws://[", "http://a/", "x"])
def test_nobody_leads_a_client_elsewhere(place: str) -> None:
    headers = Headers({"Location": place, "Content-Length": "0"})

    with pytest.raises(BadResponse, match="/api/ws/live: "):
        followed([], Response(302, "Found", headers))


@pytest.mark.parametrize(
    "message", [b'{"data": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}", b"\xff", "5"]
)
def test_a_message_that_is_none_ends_the_stream(message: str | bytes) -> None:
    with pytest.raises(BadResponse, match="/api/ws/live: "):
        followed([message])


def test_bytes_of_the_log_that_are_no_text_end_it() -> None:
    with pytest.raises(BadResponse, match=r"/api/ws: .*utf-8"):
        followed([b"\xff"], is_log=True)
