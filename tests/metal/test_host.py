"""A board at this machine's ports, from its being found to its being let go."""

import asyncio
import errno
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path

import pytest
from msgspec.structs import replace

from softaxe.catalog import board
from softaxe.errors import NotThere
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.metal import raw
from softaxe.metal.raw import Dialect, Script
from softaxe.metal.raw_board import NO_WIRE_FAULTS, WireFaults
from softaxe.metal.registers import Ssd1306
from softaxe.metal.usb_board import UsbBoard, UsbOptions
from softaxe.metal.wire_body import State

pytest.importorskip("serialx")
pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="no pseudo-terminals on this system"
)
from softaxe.metal.host import MetalError, MetalHost  # noqa: E402 - needs serialx
from softaxe.metal.ports import place  # noqa: E402

PATIENCE_S = 60


Test = Callable[..., Coroutine[None, None, None]]


def in_loop(test: Test) -> Callable[..., None]:
    """Run a test in an event loop."""

    @wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


@asynccontextmanager
async def on_usb(
    folder: Path,
    told: list[str],
    *,
    version: str = "601",
    dialect: Dialect = Dialect.V1,
    warn: Callable[[str], None] | None = None,
) -> AsyncIterator[tuple[UsbBoard, MetalHost]]:
    """An emulated board, and a host that has not begun."""
    row, stopped = board(version), asyncio.Event()
    usb = UsbBoard(
        UsbOptions(row, seed=1, dialect=dialect, link=folder, is_scaled=True)
    )
    serving = asyncio.create_task(usb.run(stopped))
    where = place(f"{folder}/control,{folder}/data")
    host = MetalHost(board("601"), where, warn=warn or told.append)
    try:
        yield usb, host
    finally:
        await host.close()
        stopped.set()
        await serving
        usb.close()
        for guard in host.dismissed:
            guard.wait(PATIENCE_S)


@in_loop
async def test_a_board_is_recognised_by_its_chip(tmp_path: Path) -> None:
    async with on_usb(tmp_path, [], version="402", dialect=Dialect.V0) as (usb, host):
        await host.start()
        assert usb.raw.body.power.core_voltage_v == 0

        found = await host.recognise()

        assert (found.version, found.chip.name) == ("402", "BM1368")
    assert usb.raw.body.power.core_voltage_v == 0


@in_loop
async def test_a_device_lives_on_a_board_whose_plug_is_pulled_and_put_back(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    async with on_usb(tmp_path, told) as (usb, host):
        await host.start()
        options = FleetOptions(
            state=tmp_path / "state",
            groups=(Group(),),
            port=0,
            pool_port=0,
            body=host.body,
        )
        fleet = Fleet(options)
        await fleet.start()
        (member,) = fleet.members.values()
        running = asyncio.create_task(fleet.run())
        serving = asyncio.create_task(host.serve(member))
        try:
            driver = member.device.driver
            await until(lambda: not usb.raw.is_reset_low)
            assert usb.raw.body.power.core_voltage_v > 1.1
            display = usb.raw.parts[0x3C]
            assert isinstance(display, Ssd1306)
            assert display.is_on
            await until(lambda: any(display.picture))

            usb.turn_plug()
            await until(lambda: host.body.state is State.GONE)
            assert told == ["metal: the board is gone; nothing can switch it off now"]
            usb.turn_plug()

            await until(lambda: usb.raw.is_reset_low)
            await until(lambda: not usb.raw.is_reset_low)
            assert member.device.driver is not driver, "it was started anew"
            assert usb.raw.body.power.core_voltage_v > 1.1
        finally:
            serving.cancel()
            fleet.stop()
            await running
            await fleet.close()
    assert usb.raw.body.power.core_voltage_v == 0
    assert told[-1] == "metal: the core voltage is off (0.000 V)"


@in_loop
async def test_a_guard_that_dies_takes_the_voltage_with_it(tmp_path: Path) -> None:
    told: list[str] = []
    async with on_usb(tmp_path, told) as (usb, host):
        await host.start()
        host.body.set_core_voltage(1.15)
        await until(lambda: usb.raw.body.power.core_voltage_v > 1.1)
        assert host.guard_pid is not None

        os.kill(host.guard_pid, signal.SIGKILL)

        await until(lambda: usb.raw.body.power.core_voltage_v == 0)
        assert told[0] == "metal: core voltage cut: nobody guards the board"
        host.body.set_core_voltage(1.15)
        assert "metal: stays off: nobody guards the board" in told[-1]


@pytest.mark.unwatched
@in_loop
async def test_a_guard_that_is_stopped_is_none(tmp_path: Path) -> None:
    told: list[str] = []
    async with on_usb(tmp_path, told) as (usb, host):
        await host.start()
        host.body.set_core_voltage(1.15)
        await until(lambda: usb.raw.body.power.core_voltage_v > 1.1)
        assert host.guard_pid is not None
        stopped = host.guard_pid
        os.kill(stopped, signal.SIGSTOP)
        try:
            await until(lambda: usb.raw.body.power.core_voltage_v == 0)
            assert told[0] == "metal: core voltage cut: nobody guards the board"
        finally:
            os.kill(stopped, signal.SIGCONT)


@in_loop
async def test_a_defect_of_softaxe_switches_the_board_off(tmp_path: Path) -> None:
    def full(text: str) -> None:
        raise OSError(errno.ENOSPC, text)  # of a log on a disk, say

    async with on_usb(tmp_path, [], warn=full) as (usb, host):
        await host.start()
        host.body.set_core_voltage(1.15)
        await until(lambda: usb.raw.body.power.core_voltage_v > 1.1)

        def wrong() -> Script[None]:
            yield raw.PROBE
            raise KeyError("wrong")

        host.line.start(wrong(), lambda _: None)

        await until(lambda: usb.raw.body.power.core_voltage_v == 0)
        assert host.body.cut_reason == "softaxe fails: KeyError('wrong')"
        with pytest.raises(KeyError):
            await host.recognise()


@pytest.mark.parametrize(
    ("silent", "why"),
    [
        (0x24, "brought up as a 601: I2C write 01 00 to 24"),
        (0x4C, "brought up as a 601: I2C write 4c"),
    ],
)
@in_loop
async def test_a_board_without_its_parts_is_refused(
    tmp_path: Path, silent: int, why: str
) -> None:
    async with on_usb(tmp_path, []) as (usb, host):
        faults = replace(NO_WIRE_FAULTS, silent=frozenset({silent}))
        usb.raw.set_faults(wire=faults)

        with pytest.raises(MetalError, match=why):
            await host.start()

        usb.raw.set_faults()


@in_loop
async def test_who_ends_while_the_board_is_gone_is_told_that_it_goes_on(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    async with on_usb(tmp_path, told) as (usb, host):
        await host.start()
        host.body.set_core_voltage(1.15)
        await until(lambda: host.body.has_voltage)
        usb.turn_plug()
        await until(lambda: host.body.state is State.GONE)
        with pytest.raises(MetalError, match="the board is gone"):
            await host.recognise()
    assert "softaxe ends, and the core voltage may still be on" in told[-1]
    assert usb.raw.body.power.core_voltage_v > 1


@in_loop
async def test_ports_at_which_nothing_answers_keep_no_guard(tmp_path: Path) -> None:
    async with on_usb(tmp_path, []) as (usb, host):
        usb.raw.set_faults(wire=WireFaults(lost_requests=1.0))
        with pytest.raises(MetalError, match="/control: press its reset button"):
            await host.start()
        guard = host.guard_pid
        assert guard is not None

        await host.close()

        with pytest.raises(ProcessLookupError):
            os.kill(guard, 0)


@in_loop
async def test_no_board_is_told_at_once(tmp_path: Path) -> None:
    host = MetalHost(board("601"), place(f"{tmp_path}/a,{tmp_path}/b"), warn=print)

    with pytest.raises(NotThere, match="/a: there is no such port"):
        await host.start()

    await host.close()
