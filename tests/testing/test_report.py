import asyncio
from contextlib import suppress

import httpx
import pytest

import softaxe
from softaxe.testing import run


def test_of_many_devices_the_one_that_was_asked_last_shows_its_log() -> None:
    with softaxe.running(count=3, speed=0) as fleet:
        fleet.faults.add("fan_dead", device=["601-1", "601-3"])
        fleet[2].faults.add("timeout", route="/api/system/asic")
        httpx.get(f"{fleet[0].url}/api/system/info?ts=1")
        httpx.patch(f"{fleet[1].url}/api/system", json={"hostname": "h" * 300})
        with suppress(httpx.ReadTimeout):
            httpx.get(f"{fleet[2].url}/api/system/asic", timeout=0.05)
        httpx.get(f"{fleet[1].url}/api/system/asic")
        first, *lines = fleet.told().splitlines()

    assert first == "device time 15.0 s, devices: 3"
    assert lines[0] == "active faults:"
    assert lines[1].endswith(": fan_dead on 601-1, 601-3")
    assert lines[2].endswith(": timeout on 601-3")
    assert lines[3] == "last requests:"
    assert lines[4] == "  15.0 s 601-1 200: GET /api/system/info?ts=1"
    assert lines[5].startswith('  15.0 s 601-2 400: PATCH /api/system {"hostname":"hhh')
    assert lines[5].endswith("h...")
    assert sorted(lines[6:8])[0] == "  15.0 s 601-2 200: GET /api/system/asic"
    assert "601-3 no answer (fault " in sorted(lines[6:8])[1]
    assert lines[8].startswith("end of the log of 601-")
    assert len(lines) == 9 + 30


def test_devices_that_stand_still_do_not_hold_up_a_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forever(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(run, "tell", forever)
    monkeypatch.setattr(run, "WITHIN_S", 0.01)
    with softaxe.running() as bitaxe:
        assert bitaxe.told() == "the devices tell nothing: TimeoutError()"
