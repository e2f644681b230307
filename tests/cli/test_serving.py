import asyncio
import io
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from softaxe import Device
from softaxe.cli import serving
from softaxe.device.profile import FIRMWARE


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
        options=SimpleNamespace(work="auto"),
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


def test_who_starts_what_lets_nobody_in_here_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    serving._tell_device(member_with(Device(profile=FIRMWARE)))

    told = capsys.readouterr().out
    assert (
        "  access   401: the firmware lets only private addresses in, see --host"
        in told
    )
