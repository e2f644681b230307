import random
from statistics import stdev

import pytest
from tests.each import each

from softaxe.board.sensors import draw_noise, has_cold_sensor, read_temperatures
from softaxe.board.thermal import Thermal
from softaxe.catalog import board


def warm(version: str) -> Thermal:
    row = board(version)
    thermal = Thermal(row, ambient_c=25.0)
    thermal.step(
        600,
        core_power_w=9.0 * row.asic_count,
        regulator_heat_w=1.0,
        airflow=0.6,
        ambient_c=25.0,
    )
    return thermal


@each(
    ("version", "step_c"),
    [("601", 0.125), ("801", 0.125), ("205", 1.0), ("302", 0.0625)],
)
def test_readings_come_in_the_sensor_s_steps(version: str, step_c: float) -> None:
    temp_c, _ = read_temperatures(board(version), warm(version))

    assert (temp_c / step_c).is_integer()


def test_a_diode_sees_the_chip_and_a_board_sensor_less_but_for_the_offset() -> None:
    diode, beside = warm("402"), warm("401")

    assert read_temperatures(board("402"), diode)[0] == pytest.approx(
        diode.chip_c, abs=0.125
    )
    assert read_temperatures(board("401"), beside)[0] == pytest.approx(
        beside.board_c[0] + 5, abs=1.0
    )
    assert beside.board_c[0] < beside.chip_c


@each("version", ["302", "303", "701", "702", "801"])
def test_two_sensors_see_two_chips(version: str) -> None:
    first, second = read_temperatures(board(version), warm(version))

    assert first > second > 25


def test_a_single_sensor_leaves_the_second_reading_absent() -> None:
    assert read_temperatures(board("601"), warm("601"))[1] == -1


def test_only_the_emc2101_s_own_sensor_works_without_the_chip() -> None:
    cold = [v for v in ("205", "401", "402", "601", "302") if has_cold_sensor(board(v))]
    assert cold == ["205", "401"]


def test_readings_scatter_around_the_truth_in_their_steps() -> None:
    row, thermal, rng = board("601"), warm("601"), random.Random(1)
    readings = [
        read_temperatures(row, thermal, draw_noise(row, rng))[0] for _ in range(500)
    ]

    assert all((temp_c * 8).is_integer() for temp_c in readings)
    assert sum(readings) / 500 == pytest.approx(thermal.chip_c - 1 / 16, abs=0.03)
    # Real 601s: medians of ten readings scatter by 0.07 °C, one reading by 0.1 to 0.2.
    assert 0.1 < stdev(readings) < 0.2


def test_two_sensors_are_wrong_by_themselves() -> None:
    first_c, second_c = draw_noise(board("801"), random.Random(1))

    assert 0 != first_c != second_c != 0
