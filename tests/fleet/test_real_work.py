"""Real work keeps to its budget on a clock and a CPU of their own."""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.running import until

from softaxe.asic.chip import Search
from softaxe.device.device import Device
from softaxe.fleet.real_work import RealWork
from softaxe.testing.run import running


@pytest.mark.unwatched
@pytest.mark.parametrize("percent", [25, 80, 150])
def test_real_work_keeps_to_its_budget(
    tmp_path: Path, run_device: Any, percent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (os.cpu_count() or 1) < percent / 100:
        pytest.skip("needs more cores")
    searches: list[tuple[float, float]] = []
    rest = RealWork._rest

    async def note(work: RealWork, cpu_s: float, took_s: float) -> None:
        searches.append((cpu_s, took_s))
        await rest(work, cpu_s, took_s)

    monkeypatch.setattr(RealWork, "_rest", note)
    with run_device(tmp_path, work="real", cpu_percent=percent, speed=8.0) as device:
        deadline = time.monotonic() + 120
        while device.info()["hashRate"] == 0:  # it boots and gets work
            assert time.monotonic() < deadline
            time.sleep(0.1)
        searching: list[float] = []
        # Searching yields to everything else. On a busy machine a search gets less CPU,
        # and takes longer for it: then it is not the budget that holds it back.
        while max(searching, default=0.0) < min(percent, 80) / 100 * 0.5:
            assert len(searching) < 20, searching
            began = time.perf_counter()
            searches.clear()
            time.sleep(0.6)
            some, real_s = list(searches), time.perf_counter() - began
            assert sum(cpu_s for cpu_s, _ in some) / real_s < percent / 100 + 0.15
            searching.append(sum(took_s for _, took_s in some) / real_s)


@pytest.mark.unwatched
def test_real_work_is_dealt_out_fairly(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Counter[int]()
    finish = Device.finish_search

    def note(device: Device, search: Search, found: list[int], now: float) -> None:
        turns[id(device)] += 1
        finish(device, search, found, now)

    monkeypatch.setattr(Device, "finish_search", note)
    with running(count=6, work="real", speed=20, warm_up_s=0):
        until(lambda: len(turns) == 6, seconds=120)
        before = Counter(turns)
        until(lambda: turns.total() - before.total() >= 60, seconds=300)
        dealt = Counter(turns)

    since = [dealt[one] - before[one] for one in dealt]
    assert min(since) > 0.5 * max(since)
