"""A fleet with more to do than there is time for."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from softaxe.device.device import Device
from softaxe.errors import SettingError
from softaxe.fleet import ticker as module
from softaxe.fleet.clock import SLICE_S
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.ticker import LONGEST_LAG_S, ROUND_S, ROUTINE_S
from softaxe.fleet.turns import WORK_S
from softaxe.serve.member import LATE_S
from softaxe.units import Level


def fleet_of(count: int, state: Path, *, speed: float = 1.0) -> Fleet:
    groups = (Group(count=count),)
    options = FleetOptions(state=state, groups=groups, port=0, speed=speed)
    return Fleet(options, show_log=lambda _, line: None, log_levels={Level.ERROR})


async def paused_after(seconds: float, fleet: Fleet) -> Fleet:
    fleet.clock.is_paused = True
    await fleet.start()
    await fleet.ticker.advance(seconds)
    return fleet


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)


def test_it_moves_in_smaller_slices_until_it_keeps_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Device.step

    def slow_step(device: Device, now: float) -> None:
        time.sleep(ROUND_S / 2)
        step(device, now)

    async def live() -> None:
        fleet = fleet_of(8, tmp_path, speed=50.0)
        await fleet.start()
        running = asyncio.ensure_future(fleet.run())
        try:
            with monkeypatch.context() as slower:
                slower.setattr(Device, "step", slow_step)
                await until(lambda: fleet.clock.slice_s < SLICE_S)
                await until(lambda: fleet.is_late)
            await until(lambda: fleet.clock.slice_s == SLICE_S and not fleet.is_late)
        finally:
            fleet.stop()
            await running
            await fleet.close()

    asyncio.run(live())


@pytest.mark.unwatched
def test_devices_of_a_large_fleet_have_turns_at_moments_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAG_PER_DEVICE_S", LONGEST_LAG_S)

    async def live() -> None:
        fleet = await paused_after(20.0, fleet_of(20, tmp_path))
        turns = [member.wake_at for member in fleet.members.values()]
        await fleet.close()

        assert all(20.0 < turn <= 20.0 + ROUTINE_S for turn in turns)
        assert max(turns) > 20.0 + LONGEST_LAG_S, "some have nothing to say for long"
        in_order = sorted(turns)
        gaps = [later - sooner for sooner, later in pairwise(in_order)]
        assert max(gaps) < ROUTINE_S / 3, "no more than a few at a time"

    asyncio.run(live())


@pytest.mark.unwatched
def test_all_has_happened_when_an_advance_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAG_PER_DEVICE_S", LONGEST_LAG_S)

    async def live() -> None:
        fleet = await paused_after(13.05, fleet_of(10, tmp_path))
        now = fleet.clock.now
        late = [m.id for m in fleet.members.values() if m.device.next_wake <= now]
        await fleet.close()

        assert late == []

    asyncio.run(live())


def test_what_is_removed_while_others_catch_up_is_not_stepped_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAG_PER_DEVICE_S", LONGEST_LAG_S)
    step = Device.step

    def slow_step(device: Device, now: float) -> None:
        time.sleep(WORK_S)
        step(device, now)

    async def live() -> None:
        fleet = await paused_after(13.05, fleet_of(5, tmp_path))
        members = list(fleet.members.values())
        monkeypatch.setattr(Device, "step", slow_step)
        catching_up = asyncio.ensure_future(
            fleet.ticker._catch_up(fleet.clock.now + 5.0)
        )
        await asyncio.sleep(0)
        await fleet.remove(members[-1].id)
        await catching_up
        await fleet.close()

        assert members[-1].wake_order == -1
        assert members[-1].device.now < members[0].device.now

    asyncio.run(live())


@pytest.mark.parametrize("is_far_behind", [False, True])
def test_who_asks_it_gets_a_device_as_it_was_at_its_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_far_behind: bool
) -> None:
    async def ask() -> None:
        fleet = fleet_of(1, tmp_path)
        await fleet.start()
        (member,) = fleet.members.values()
        before = member.device.now
        fleet.clock.move(before + LATE_S / 2)

        monkeypatch.setattr(Fleet, "is_late", True)
        assert member.sync().now == before
        if is_far_behind:
            fleet.clock.move(before + 5.0)
        else:
            monkeypatch.setattr(Fleet, "is_late", False)
        assert member.sync().now == pytest.approx(fleet.clock.now)
        await fleet.close()

    asyncio.run(ask())


def test_time_is_let_pass_until_a_moment_once(tmp_path: Path) -> None:
    async def live() -> None:
        fleet = await paused_after(5.0, fleet_of(1, tmp_path))
        for _ in range(2):  # who has not heard the first answer asks again
            await fleet.ticker.advance_to(12.5)
            assert fleet.clock.now == 12.5
        await fleet.ticker.advance_to(3.0)
        assert fleet.clock.now == 12.5
        with pytest.raises(SettingError, match="is outside 0"):
            await fleet.ticker.advance_to(1e9)
        await fleet.close()

    asyncio.run(live())


def test_an_advance_that_nobody_waits_for_any_more_ends_where_it_is(
    tmp_path: Path,
) -> None:
    async def live() -> None:
        fleet = await paused_after(5.0, fleet_of(1, tmp_path))
        advancing = asyncio.ensure_future(fleet.ticker.advance(1e6))
        await until(lambda: fleet.clock.now > 10.0)
        advancing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await advancing
        stopped = fleet.clock.now
        assert stopped < 1e5
        running = asyncio.ensure_future(fleet.run())
        await asyncio.sleep(0.1)
        assert fleet.clock.advance() == stopped, "it is paused"
        await fleet.ticker.advance(1.0)
        assert fleet.clock.now == pytest.approx(stopped + 1.0)
        fleet.stop()
        await running
        await fleet.close()

    asyncio.run(live())
