import random

import pytest

from softaxe.board.power import PowerStage
from softaxe.catalog import board
from softaxe.catalog.lottery import typical


def stage(
    mhz: float = 525, millivolts: int = 1150, chip_c: float = 60, activity: float = 1
) -> PowerStage:
    power = PowerStage(typical(board("601")))
    power.core_voltage_setting_v = millivolts / 1000
    power.step(
        frequency_mhz=mhz, activity=activity, temperatures_c=[chip_c], airflow=0.5
    )
    return power


def test_power_grows_with_frequency_and_voltage_squared() -> None:
    base = stage(400, 1000).core_power_w

    assert stage(600, 1000).core_power_w == pytest.approx(base * 1.5, rel=0.01)
    assert stage(400, 1200).core_power_w == pytest.approx(base * 1.44, rel=0.01)


def test_a_kelvin_raises_the_power_by_eight_to_thirteen_thousandths() -> None:
    cool, warm = (stage(chip_c=c).core_power_w for c in (60, 61))

    assert 1.008 < warm / cool < 1.013


def test_without_a_clock_next_to_nothing_flows() -> None:
    assert stage(mhz=50, activity=0.1).core_power_w < 0.3


def test_the_supply_sags_with_the_load() -> None:
    idle, busy = stage(50, 1150, 25, 0.0), stage(625, 1250)

    assert 5.0 < busy.input_voltage_v < idle.input_voltage_v < 5.25


def test_the_regulator_loses_some_as_heat() -> None:
    power = stage()

    assert 1 < power.regulator_heat_w < 2.5


def test_switched_off_nothing_flows() -> None:
    power = stage(millivolts=0)

    assert power.core_power_w == 0
    assert power.core_current_a == 0


def test_the_supply_wanders_over_a_few_steps_and_stays_where_it_is() -> None:
    power, rng = PowerStage(typical(board("601"))), random.Random(1)
    volts = []
    for _ in range(7200):
        power.wander(1.0, rng)
        power.step(frequency_mhz=525, activity=1.0, temperatures_c=[60.0], airflow=0.5)
        volts.append(power.input_voltage_v)

    # Real devices show three or four neighbouring steps within two hours.
    assert 2 / 128 < max(volts) - min(volts) < 4 / 128
    assert abs(volts[1000] - volts[1005]) < 1 / 128
    assert sum(volts) / 7200 == pytest.approx(stage(525, 0).input_voltage_v, abs=0.001)
