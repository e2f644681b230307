import asyncio
import io
import sys
from dataclasses import dataclass
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest
from tests.each import each

from softaxe import Device
from softaxe.api.access import Networks
from softaxe.cli import serving
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.errors import NotNow
from softaxe.serve.share_load import EDGES_S


@dataclass
class Clock:
    looks: list[float | None]
    speed: float = 5000.0

    @property
    def reached_speed(self) -> float | None:
        return self.looks.pop(0)


@dataclass
class Whole:
    clock: Clock


def test_a_terminal_is_told_once_when_time_falls_behind_and_when_it_no_longer_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole: Any = Whole(Clock([None, 4990.0, 1762.0, 1801.0, 4800.0, None, 0.3333]))

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return bool(whole.clock.looks)

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(serving, "WATCH_S", 0)
    asyncio.run(serving.watch_speed(whole))

    assert terminal.getvalue().splitlines() == [
        "softaxe: time runs 1800x, 5000x wished",
        "softaxe: time runs 5000x again",
        "softaxe: time runs 0.33x, 5000x wished",
    ]


def member_with(device: Device) -> Any:
    return SimpleNamespace(
        device=device,
        url="http://127.0.0.1:8080",
        local_name=None,
        pool_text="built-in 127.0.0.1:3333",
        networks=(),
        options=SimpleNamespace(work="auto", share_rate=None, body=None),
    )


@pytest.mark.parametrize("release", ["2.12.2", "2.15.0"])
def test_who_starts_a_new_device_is_told_of_its_access_point(
    capsys: pytest.CaptureFixture[str], release: str
) -> None:
    device = Device(firmware=release, settings={"wifissid": "", "wifipass": ""})
    device.step(4.0)

    serving._tell_device(member_with(device))

    told = capsys.readouterr().out
    assert "none: you have joined its access point Bitaxe_" in told
    assert "access   " not in told


@pytest.mark.parametrize(
    ("ipv4", "profile", "networks", "words"),
    [
        ("127.0.0.1", FIRMWARE, (), "401 from 127.0.0.1: the firmware lets only"),
        ("203.0.113.7", FIRMWARE, (), "401 from 203.0.113.7: the firmware lets only"),
        ("203.0.113.7", DOCUMENTED, (), "401 from 203.0.113.7: a device lets only"),
        ("203.0.113.7", DOCUMENTED, (ip_network("203.0.113.0/24"),), ""),
        ("192.168.1.7", FIRMWARE, (), ""),
    ],
)
def test_who_starts_what_lets_nobody_in_here_is_told(
    ipv4: str,
    profile: Profile,
    networks: Networks,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    member = member_with(Device(profile=profile, ipv4=ipv4))
    member.networks = networks

    serving._tell_device(member)

    out = capsys.readouterr().out
    told = [line for line in out.splitlines() if line.startswith("  access")]
    assert len(told) == bool(words)
    assert all(line.startswith(f"  access   {words}") for line in told)


SHORT: dict[str, Any] = {
    "submitted": 3,
    "accepted": 2,
    "rejected": {"Duplicate\x1b share": 1},
    "waiting": 0,
    "connections": 2,
    "reconnects": 0,
    "connected_s": 60.0,
    "sum_s": 0.03,
    "longest_s": 0.02,
    "bins": [3] + [0] * len(EDGES_S),
    "rate": {
        "devices": 2,
        "wished": 40.0,
        "possible": 0.5,
        "short": 2,
        "short_wished": 40.0,
        "short_possible": 0.5,
        "difficulty": 1.0,
        "needed_hs": 2.9e9,
        "most_hs": 9e6,
    },
}
ENOUGH = {**SHORT, "rate": {**SHORT["rate"], "short": 0, "possible": 40.0}}


class AskedWhole:
    """A fleet that answers what it is told to, and then stands still."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.stands_still = asyncio.Event()

    async def ask(self, name: str) -> list[dict[str, Any]]:
        assert name == "load"
        if not self.answers:
            self.stands_still.set()
            raise NotNow("a process stands still")
        return [self.answers.pop(0)]


def test_who_asks_for_more_shares_than_can_be_searched_is_told_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole: Any = AskedWhole(SHORT, ENOUGH, SHORT, SHORT, SHORT, ENOUGH, ENOUGH)
    monkeypatch.setattr(serving, "WATCH_S", 0)

    async def watch() -> None:
        watching = asyncio.ensure_future(serving.watch_load(whole))
        await whole.stands_still.wait()
        watching.cancel()

    asyncio.run(watch())

    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert told[0].startswith("softaxe: 2 of 2 devices cannot submit as often as ")
    needed = "difficulties up to 1, for which 40 shares a minute in all take 2.9 GH/s"
    assert f"{needed}; " in told[0]
    assert "--cpu-percent gives 9 MH/s, about 0.5 a minute" in told[0]
    assert told[1] == (
        "softaxe: all devices can submit as often as --share-rate says again"
    )


def test_a_run_ends_with_how_pools_bore_its_load(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole: Any = AskedWhole(SHORT)

    asyncio.run(serving._tell_load(whole))
    lines = capsys.readouterr().out.splitlines()
    asyncio.run(serving._tell_load(whole))

    assert lines[:2] == ["Load on pools", "  submitted    3, 3 a minute of each device"]
    assert r"             1 Duplicate\x1b share" in lines
    assert any(line.startswith("  reply after  p50 ") for line in lines)
    assert any(line.startswith("  too few      2 of 2 devices ") for line in lines)
    assert "no word on the load" in capsys.readouterr().err


def test_whoever_runs_one_device_is_told_when_it_stops_mining_and_mines_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    device = Device()
    member: Any = SimpleNamespace(device=device)
    lost = "primary pool lost; mining on the fallback pool (b:1)"
    looks = ["", lost, "not mining", "not mining", "not mining", "", lost, "", ""]

    def trouble(_: Any) -> str:
        if not looks:
            raise asyncio.CancelledError
        return looks.pop(0)

    monkeypatch.setattr(serving, "LOOK_S", 0)
    monkeypatch.setattr(serving, "_trouble", trouble)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(serving.watch_mining(member))

    assert capsys.readouterr().err.splitlines() == [
        "softaxe: not mining; softaxe run --reset starts afresh",
        "softaxe: mining again",
    ]


@each(
    ("settings", "why"),
    [
        (
            {"wifissid": "Nowhere", "wifipass": "12345678"},
            "no Wi-Fi: 'Nowhere' is not in range, or its password is wrong; the device "
            "is an access point",
        ),
        (
            {"wifissid": "", "wifipass": ""},
            "no Wi-Fi: none is set; the device is an access point",
        ),
        (
            {"stratumurl": "pool.example.com", "fbstratumurl": ""},
            "not mining: no answer from the pool (pool.example.com:21496)",
        ),
    ],
)
def test_why_a_device_does_not_mine_is_said_in_words(
    settings: dict[str, str], why: str
) -> None:
    device = Device(settings=settings)
    for now in range(200):
        device.step(float(now))

    assert serving._trouble(member_with(device)) == why
