"""Fans, regulators, supplies and sensors against readings of real devices.

No reading tells the air, so a device is compared with specimens in several airs.
"""

import csv
from functools import cache
from math import log
from pathlib import Path
from statistics import median, stdev

import pytest
from tests.each import each
from tests.mining import mining

from softaxe.board.fan import FAN_CHIPS, speed_share
from softaxe.board.regulator import slinear11
from softaxe.catalog import Board, board
from softaxe.catalog.lottery import draw, typical
from softaxe.device.steady import SteadyState, steady_state

READINGS = Path(__file__).parents[2] / "docs" / "measured.csv"
SEEDS = range(200)
GAMMA = board("601")
AIRS_C = (15.0, 25.0, 35.0)


@cache
def singles() -> list[dict[str, str]]:
    """Single answers of a known board, not the medians of logs."""
    with READINGS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = {"601", "603", "302", "702", "204", "0.11", "401"}
    found = [row for row in rows if row["current_ma"] and row["board"] in known]
    assert len(found) >= 10
    return found


def of(row: dict[str, str]) -> Board:
    return board(row["board"])


def test_every_input_voltage_and_current_read_is_a_step_of_its_meter() -> None:
    for row in singles():
        for name in ("input_mv", "current_ma"):
            reading = float(row[name]) / 1000
            if of(row).has_tps546:
                assert slinear11(reading) == reading, row["id"]
            else:
                steps = reading / 0.00125
                assert steps == pytest.approx(round(steps), abs=1e-6), row["id"]


def test_every_speed_read_is_a_count_of_its_controller() -> None:
    speeds = [(of(row), int(row["fan_rpm"])) for row in singles() if row["fan_rpm"]]

    assert len(speeds) >= 7
    for row, rpm in speeds:
        assert FAN_CHIPS[row.fan_controller].shown_rpm(rpm) == rpm


def test_every_chip_temperature_read_is_a_step_of_its_sensor() -> None:
    diodes = [row for row in singles() if row["board"] in ("601", "603")]

    assert all((float(row["temp_c"]) * 8).is_integer() for row in diodes)
    assert all(float(row["vr_temp_c"]).is_integer() for row in diodes)


@each(
    ("version", "percent", "rpm"),
    [
        ("601", 100, 5471),
        ("601", 100, 6758),
        ("601", 100, 8095),
        ("601", 50, 5217),
        ("601", 48.4, 3915),
        ("601", 35.4, 3859),
        ("603", 35, 1997),
        ("401", 35, 3517),
        ("702", 38, 2536),
        ("204", 100, 5654),
    ],
)
def test_some_seed_s_fan_turns_as_a_real_one(
    version: str, percent: float, rpm: int
) -> None:
    fans = [draw(board(version), seed).board.fan for seed in SEEDS]

    speeds = [fan.rpm_at_full * speed_share(fan, percent / 100) for fan in fans]
    below = sum(speed < rpm for speed in speeds) / len(speeds)
    assert 0.01 < below < 0.99


def above_chip_k(state: SteadyState) -> float:
    return state.power.vr_temp_c - state.temp_c


@each(
    ("device", "mhz", "millivolts", "fan_percent", "read_k"),
    [
        ("G1", 525, 1045, None, -7),
        ("G1", 680, 1155, None, 3),
        ("G3", 525, 1045, None, -4),
        ("L1", 525, 1150, 100, -5),
        ("L1", 600, 1100, 50, 0),
        ("P1", 525, 1150, None, 2),
        ("P2", 625, 1250, None, 15),
        ("P3", 525, 1150, None, 22),
        ("P5", 525, 1210, 35, 7),
    ],
)
def test_some_seed_s_regulator_is_as_hot_as_a_real_one(
    device: str,
    mhz: float,
    millivolts: int,
    fan_percent: float | None,
    read_k: float,
) -> None:
    above_k = (
        above_chip_k(
            steady_state(
                draw(GAMMA, seed),
                frequency_mhz=mhz,
                core_voltage_mv=millivolts,
                fan_percent=fan_percent,
                ambient_c=air_c,
            )
        )
        for seed in range(120)
        for air_c in AIRS_C
    )

    is_hotter = next(above_k) > read_k
    assert any((other_k > read_k) is not is_hotter for other_k in above_k), device


def test_a_faster_fan_holds_more_power_as_it_does_in_reality() -> None:
    """Three real 601s: the speed grows as the core power to the power of 1.0 to 1.1."""
    states = [
        steady_state(
            typical(GAMMA), frequency_mhz=mhz, core_voltage_mv=1150, ambient_c=25.0
        )
        for mhz in (450, 600)
    ]

    powers = [log(state.power.power_w - 5) for state in states]
    speeds = [log(state.fan_rpm) for state in states]
    slope = (speeds[1] - speeds[0]) / (powers[1] - powers[0])
    assert 0.8 < slope < 1.4


def test_supplies_differ_and_sag_as_real_ones() -> None:
    """Read at 14 to 24 W: 4.96 to 5.21 V, and one weak supply at 4.80 V."""
    volts = sorted(
        steady_state(
            draw(GAMMA, seed), frequency_mhz=600, core_voltage_mv=1150, fan_percent=80
        ).power.input_voltage_v
        for seed in SEEDS
    )

    assert volts[0] < 4.95
    assert 5.03 < median(volts) < 5.10
    assert volts[-1] > 5.18


def steep_seed() -> int:
    """A device whose fan does not run where its curve is flat."""
    for seed in SEEDS:
        state = steady_state(draw(GAMMA, seed), frequency_mhz=525, core_voltage_mv=1150)
        if 30 < state.fan_percent < 80 * draw(GAMMA, seed).board.fan.knee_duty:
            return seed
    raise AssertionError


def test_a_device_at_rest_scatters_as_a_real_one() -> None:
    """Within two hours: 1/8 °C steps, three to five input voltages, some speeds."""
    simulation = mining(1800, seed=steep_seed())
    reads = []
    for _ in range(720):
        simulation.advance(10)
        reads.append(simulation.device.readings)

    temps = [read.temp_c for read in reads]
    assert 0.1 < stdev(temps) < 0.25
    assert 59.9 < median(temps) < 60.1
    assert all((celsius * 8).is_integer() for celsius in temps)
    volts = sorted({read.input_voltage_v for read in reads})
    assert 3 <= len(volts) <= 5
    assert volts[-1] - volts[0] == pytest.approx((len(volts) - 1) / 128)
    watts = [read.power_w for read in reads]
    assert 0.015 < stdev(watts) < 0.06  # real: 0.05 W from p10 to p90
    speeds = [read.fan_rpm for read in reads]
    # Real ones, held at 60 °C: 4 to 10 % from reading to reading.
    assert 0.03 < stdev(speeds) / median(speeds) < 0.10
    assert {read.vr_temp_c for read in reads} <= {
        median(read.vr_temp_c for read in reads) + k for k in (-1, 0, 1)
    }
