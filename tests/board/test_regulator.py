import random

import pytest
from tests.each import each

from softaxe.board.power import PowerStage
from softaxe.board.regulator import (
    FAULTS,
    Ds4432u,
    Regulator,
    Status,
    Tps546,
    dac_code,
    dac_voltage,
    regulator_for,
    slinear11,
)
from softaxe.catalog import Board, board
from softaxe.catalog.lottery import typical
from softaxe.units import Level

SUPRAS = [board("401"), board("402")]


class Rig:
    """A power stage and its regulator, under a load."""

    def __init__(self, version: str, *, mhz: float, chip_c: float = 60) -> None:
        self.board = board(version)
        self.lines: list[str] = []
        self.power = PowerStage(typical(self.board))
        self.regulator = regulator_for(self.board, self.power, log=self._log)
        self.mhz = mhz
        self.chip_c = chip_c

    def _log(self, level: Level, tag: str, text: str) -> None:
        self.lines.append(text)

    def step(self, *, vr_c: float = 60.0, seed: int = 1) -> "Rig":
        self.power.step(
            frequency_mhz=self.mhz,
            activity=1.0,
            temperatures_c=[self.chip_c] * self.board.asic_count,
            airflow=0.5,
        )
        self.regulator.step(vr_c, random.Random(seed))
        return self


def gamma(*, mhz: float = 525, millivolts: int = 1150) -> Rig:
    rig = Rig("601", mhz=mhz)
    rig.regulator.set_core_voltage(millivolts / 1000)
    return rig.step()


def test_the_sample_s_point_gives_the_sample_s_readings() -> None:
    reading = gamma().regulator.reading

    # The sample is a thirsty one: it draws a tenth more than the typical chip.
    assert reading.power_w == pytest.approx(5 + 13.75 / 1.1, abs=0.3)
    assert reading.current_a == pytest.approx(12.016 / 1.1, abs=0.2)
    assert reading.core_voltage_v == pytest.approx(1.144, abs=0.001)
    assert reading.input_voltage_v == pytest.approx(5.09375, abs=0.04)
    assert reading.vr_temp_c == 60


def test_readings_come_in_the_tps546_s_steps() -> None:
    reading = gamma(mhz=533, millivolts=1163).regulator.reading

    assert (reading.input_voltage_v * 128).is_integer()
    assert (reading.current_a * 64).is_integer()
    assert (reading.core_voltage_v * 512).is_integer()
    output_w = reading.core_voltage_v * reading.current_a
    assert reading.power_w == pytest.approx(output_w + 5)


@each(
    "reading",
    # Input voltages in V and core currents in A as nine real boards read them.
    [
        *(5.09375, 5.0390625, 5.046875, 5.1015625, 5.2109375, 11.90625, 12.0625),
        *(12.015625, 13.84375, 14.9375, 9.46875, 11.515625, 15.890625, 16.28125),
    ],
)
def test_a_real_reading_is_one_the_tps546_can_give(reading: float) -> None:
    assert slinear11(reading) == reading
    assert slinear11(reading + reading / 4000) == reading


@each(
    ("value", "step"),
    [(5.03, 1 / 128), (12.03, 1 / 64), (15.97, 1 / 64), (16.28, 1 / 32)],
)
def test_the_tps546_s_steps_grow_with_the_value(value: float, step: float) -> None:
    shown = slinear11(value)

    assert (shown / step).is_integer()
    assert shown == pytest.approx(value, abs=step / 2)
    assert slinear11(shown + step) == shown + step
    assert slinear11(shown + step / 3) == shown


def test_nothing_is_nothing() -> None:
    assert slinear11(0.0) == 0.0


def test_many_amperes_come_in_coarser_steps() -> None:
    rig = Rig("702", mhz=490)
    rig.regulator.set_core_voltage(1.166)
    currents = {rig.step(seed=seed).regulator.reading.current_a for seed in range(30)}

    assert min(currents) > 16
    assert len(currents) > 1
    assert all((current_a * 32).is_integer() for current_a in currents)


def test_domains_share_what_the_regulator_gives() -> None:
    rig = Rig("302", mhz=485)
    rig.regulator.set_core_voltage(1.2)
    reading = rig.step().regulator.reading

    assert rig.lines == ["Vout changed to 3.60 V"]
    assert reading.core_voltage_v == pytest.approx(1.2, abs=0.01)
    output_w = 3 * reading.core_voltage_v * reading.current_a
    assert reading.power_w == pytest.approx(output_w + 12)


def test_an_ina260_measures_the_input() -> None:
    rig = Rig("401", mhz=490)
    rig.regulator.set_core_voltage(1.166)
    reading = rig.step().regulator.reading

    assert reading.current_a == pytest.approx(rig.power.input_current_a, abs=0.02)
    assert reading.power_w == pytest.approx(rig.power.input_power_w, abs=0.1)
    assert reading.vr_temp_c == 0
    assert reading.current_a / 0.00125 == pytest.approx(
        round(reading.current_a / 0.00125)
    )
    assert reading.power_w * 100 == pytest.approx(round(reading.power_w * 100))


@pytest.mark.parametrize("volts", [0.95, 2.1])
def test_a_voltage_out_of_the_tps546_s_range_is_refused(volts: float) -> None:
    rig = gamma()
    rig.regulator.set_core_voltage(volts)

    assert rig.power.core_voltage_setting_v == 1.15
    assert rig.lines == [
        "Vout changed to 1.15 V",
        f"Voltage requested ({volts:f} V) is out of range",
    ]


@pytest.mark.parametrize("supra", SUPRAS, ids=lambda row: row.version)
def test_a_restart_initialises_the_regulator(supra: Board) -> None:
    rig = Rig(supra.version, mhz=490)
    rig.regulator.set_core_voltage(1.166)
    rig.regulator.boot()

    set_v = rig.power.core_voltage_setting_v
    assert set_v == (0 if supra.has_tps546 else pytest.approx(1.166, abs=0.004))


def test_too_much_current_switches_off_until_it_is_commanded_off_and_on() -> None:
    rig = gamma(mhz=1300, millivolts=1300)

    assert rig.regulator.status & (Status.IOUT_OC | Status.OFF) == (
        Status.IOUT_OC | Status.OFF
    )
    rig.mhz = 525
    assert rig.step().power.core_voltage_v == 0
    rig.regulator.set_core_voltage(1.1)
    assert rig.step().regulator.status & Status.IOUT_OC
    rig.regulator.set_core_voltage(0)
    rig.regulator.set_core_voltage(1.15)
    rig.step()
    assert rig.power.core_voltage_v > 1.1
    assert not rig.regulator.status


def test_a_weak_input_switches_off_until_it_is_back() -> None:
    rig = gamma()
    rig.power.input_voltage_v = 4.4
    rig.regulator.step(60, random.Random(1))
    assert rig.regulator.status & (Status.VIN_UV | Status.OFF)
    assert rig.power.core_voltage_setting_v == 0

    rig.power.input_voltage_v = 4.7  # above off, below on
    rig.regulator.step(60, random.Random(1))
    assert rig.regulator.status & Status.OFF
    rig.power.input_voltage_v = 5.0
    rig.regulator.step(60, random.Random(1))
    assert not rig.regulator.status & Status.OFF
    assert rig.regulator.status & Status.VIN_UV  # it stays known
    assert rig.power.core_voltage_setting_v == 1.15
    rig.regulator.boot()
    assert rig.regulator.status == Status.OFF | Status.POWER_NOT_GOOD


def test_heat_first_warns_then_switches_off_then_comes_back() -> None:
    rig = gamma().step(vr_c=106)
    assert rig.regulator.status == Status.TEMPERATURE
    assert rig.power.core_voltage_setting_v == 1.15

    rig.step(vr_c=146)
    assert rig.regulator.status & Status.OFF
    rig.step(vr_c=130)
    assert rig.regulator.status & Status.OFF
    rig.step(vr_c=100)
    assert rig.regulator.status == Status.TEMPERATURE


def switched_off(version: str) -> tuple[Regulator, PowerStage]:
    rig = Rig(version, mhz=50)
    rig.regulator.set_core_voltage(1.2)
    rig.regulator.set_core_voltage(0)
    return rig.regulator, rig.power


def test_zero_switches_a_tps546_off_and_a_voltage_on_again() -> None:
    regulator, power = switched_off("402")
    assert isinstance(regulator, Tps546)
    assert power.core_voltage_setting_v == 0
    assert regulator.status & Status.OFF

    regulator.set_core_voltage(1.1)
    assert power.core_voltage_setting_v == 1.1


def test_an_enable_line_once_opened_stays_open_until_the_boot() -> None:
    regulator, power = switched_off("205")
    assert isinstance(regulator, Ds4432u)
    regulator.set_core_voltage(1.2)
    assert power.core_voltage_setting_v == 0

    regulator.boot()
    assert power.core_voltage_setting_v == pytest.approx(1.2, abs=0.004)


def test_without_an_enable_line_zero_does_nothing() -> None:
    _, power = switched_off("204")

    assert power.core_voltage_setting_v == pytest.approx(1.2, abs=0.004)


def test_dac_codes_are_those_of_the_reference(
    boards_reference: dict[str, dict[str, dict[str, str]]],
) -> None:
    examples = boards_reference["ds4432u_codes"]["examples"]

    for volts, code in examples.items():
        assert f"0x{dac_code(float(volts)):02X}" == code
        assert dac_voltage(dac_code(float(volts))) == pytest.approx(
            float(volts), abs=0.004
        )


def test_a_high_current_is_a_warning_before_it_is_a_fault() -> None:
    rig = gamma(mhz=1250)
    assert 25 < rig.power.core_current_a < 30

    status = rig.regulator.status

    assert status == Status.IOUT
    assert not any(status & bit for bit in FAULTS)
