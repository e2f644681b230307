"""What is on a board's bus, as one: against the emulated board."""

import pytest
from tests.metal.wired import Wired

from softaxe.board.regulator import Status
from softaxe.catalog import boards
from softaxe.metal.instruments import OT_FAULT_C, Instruments
from softaxe.metal.raw import LineError, Script, T
from softaxe.metal.raw_board import WireFaults
from softaxe.metal.safety import Survey

VERSIONS = [row.version for row in boards()]


def done(wired: Wired, script: Script[T]) -> T | LineError:
    """What becomes of a script."""
    outcomes: list[T | LineError] = []
    wired.line.start(script, outcomes.append)
    while not outcomes:
        wired.advance(0.05)
    return outcomes[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_board_is_armed_switched_on_looked_at_and_off(version: str) -> None:
    wired = Wired(version)
    row, instruments = wired.raw.board, Instruments(wired.raw.board)
    core_v = row.default_core_voltage_mv / 1000

    def live() -> Script[tuple[Survey, tuple[float, str]]]:
        yield from instruments.arm()
        yield from instruments.set_core(core_v)
        yield from instruments.switch_on()
        yield 3.0
        survey = yield from instruments.survey()
        return survey, (yield from instruments.off())

    lived = done(wired, live())

    assert not isinstance(lived, LineError)
    survey, off = lived
    assert survey.core_v == pytest.approx(core_v, rel=0.05)
    assert len(survey.chips_c) == row.sensor_count
    assert len(survey.rpms) == row.fan_count
    assert min(survey.rpms) > 1000
    assert survey.input_v == pytest.approx(row.nominal_voltage_v, rel=0.1)
    assert survey.status == Status(0)
    assert off[1] == ""
    if row.has_tps546:
        assert off[0] < 0.1
    assert wired.raw.is_reset_low


def test_its_own_heat_switches_the_regulator_off_when_nobody_does() -> None:
    wired = Wired()
    wired.mine(10)
    wired.line.unplugged()  # and with it everybody who could
    wired.raw.body.thermal.vr_c = 2 * OT_FAULT_C

    wired.advance(2, is_host_alive=False)
    wired.raw.body.thermal.vr_c = 20.0
    wired.advance(60, is_host_alive=False)

    assert wired.raw.body.power.core_voltage_v == 0, "and it stays off"


def test_what_fails_on_the_way_off_is_told_and_hinders_nothing() -> None:
    wired = Wired()
    wired.mine(10)
    wired.break_it(wire=WireFaults(silent=frozenset({0x4C})))

    off = done(wired, Instruments(wired.raw.board).off())

    assert off == (0.0, "I2C write 4c 3f to 4c: the board says I2C Write Error")
    assert wired.raw.is_reset_low
