import random

import pytest

from softaxe.board.power import PowerStage
from softaxe.catalog import board


def stage(
    mhz: float = 525, millivolts: int = 1150, chip_c: float = 60, activity: float = 1
) -> PowerStage:
    power = PowerStage(board("601"), log=lambda level, tag, text: None)
    power.set_core_voltage(millivolts / 1000)
    power.step(
        frequency_mhz=mhz,
        activity=activity,
        chip_temperature_c=chip_c,
        rng=random.Random(1),
    )
    return power


def test_the_sample_s_point_gives_the_sample_s_readings() -> None:
    power = stage()

    assert power.reported_power_w == pytest.approx(18.75, abs=0.3)
    assert power.reported_current_a == pytest.approx(12.016, abs=0.2)
    assert power.reported_core_voltage_v == pytest.approx(1.144, abs=0.001)
    assert power.reported_voltage_v == pytest.approx(5.09375)


def test_readings_come_in_the_regulator_s_steps() -> None:
    power = stage(mhz=533, millivolts=1163)

    assert (power.reported_voltage_v * 32).is_integer()
    assert (power.reported_current_a * 64).is_integer()
    assert (power.reported_core_voltage_v * 512).is_integer()
    output_w = power.reported_core_voltage_v * power.reported_current_a
    assert power.reported_power_w == pytest.approx(output_w + 5)


def test_switching_power_grows_with_frequency_and_voltage_squared() -> None:
    cold = -200  # no leakage to speak of
    base = stage(400, 1000, cold).core_power_w

    assert stage(600, 1000, cold).core_power_w == pytest.approx(base * 1.5, rel=0.01)
    assert stage(400, 1200, cold).core_power_w == pytest.approx(base * 1.44, rel=0.01)


def test_heat_and_voltage_raise_leakage() -> None:
    leakage = [stage(mhz=50, activity=0.0, chip_c=c).core_power_w for c in (25, 60, 85)]
    assert leakage == sorted(leakage)
    assert leakage[2] == pytest.approx(2 * leakage[1], rel=0.01)


def test_the_supply_sags_with_the_load() -> None:
    idle, busy = stage(50, 1150, 25, 0.0), stage(625, 1250)

    assert 5.0 < busy.input_voltage_v < idle.input_voltage_v < 5.25


def test_the_regulator_loses_some_as_heat() -> None:
    power = stage()

    assert 1 < power.regulator_heat_w < 2.5


def test_switched_off_nothing_flows() -> None:
    power = stage(millivolts=0)

    assert power.core_power_w == 0
    assert power.reported_current_a == 0
    assert power.reported_power_w == 5


@pytest.mark.parametrize("volts", [0.95, 2.1])
def test_a_voltage_out_of_the_regulator_s_range_is_refused(volts: float) -> None:
    lines: list[str] = []
    power = PowerStage(board("601"), log=lambda level, tag, text: lines.append(text))
    power.set_core_voltage(1.15)

    assert not power.set_core_voltage(volts)
    assert power.core_voltage_setting_v == 1.15
    assert lines == [
        "Vout changed to 1.15 V",
        f"Voltage requested ({volts:f} V) is out of range",
    ]


def test_too_much_current_is_a_fault() -> None:
    assert stage().fault_text is None
    assert stage(1300, 1300, 90).fault_text == "Power Fault Detected."
