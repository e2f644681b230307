import asyncio
import io
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from softaxe.cli import serving


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
