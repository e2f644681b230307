"""Temperature sensors: what of a board's heat the firmware can see.

A diode in the chip sees the chip; a sensor on the board sees less, and the firmware
adds an offset for it. Source of steps and offsets: ESP-Miner thermal.c.
"""

import random
from math import floor

from softaxe.board.thermal import Thermal
from softaxe.catalog import Board

ABSENT_C = -1.0
"""Shown where there is no sensor, and while the chip is off."""
STEPS_C = {
    "EMC2101 internal": 1.0,
    "EMC2101 diode": 0.125,
    "EMC2103 diode": 0.125,
    "TMP1075": 0.0625,
}
"""Resolution by kind."""
NOISES_C = {
    "EMC2101 internal": 0.15,
    "EMC2101 diode": 0.15,
    "EMC2103 diode": 0.15,
    "TMP1075": 0.05,
}
"""Standard deviation of a reading. Source of the EMC2101's diode: medians of about ten
readings of three 601s, held at 60 °C, scatter by 0.07 °C; the others are estimates."""
STILL = (0.0, 0.0)


def read_temperatures(
    board: Board, thermal: Thermal, noise_c: tuple[float, float] = STILL
) -> tuple[float, float]:
    """Read both sensors, offset included; the second is -1 where there is none.

    Args:
        board: Whose sensors.
        thermal: What they feel.
        noise_c: By how much each is wrong at this moment.
    """
    sources_c = thermal.chips_c if has_chip_sensor(board) else thermal.board_c
    step_c, offset_c = STEPS_C[board.temp_sensor], board.temp_offset_c
    first_c = floor((sources_c[0] + noise_c[0]) / step_c) * step_c + offset_c
    second_c = ABSENT_C
    if board.sensor_count > 1:
        second_c = floor((sources_c[-1] + noise_c[1]) / step_c) * step_c + offset_c
    return (second_c, first_c) if board.are_sensors_exchanged else (first_c, second_c)


def draw_noise(board: Board, rng: random.Random) -> tuple[float, float]:
    """Draw by how much each sensor is wrong at this moment."""
    spread_c = NOISES_C[board.temp_sensor]
    second_c = rng.gauss(0.0, spread_c) if board.sensor_count > 1 else 0.0
    return rng.gauss(0.0, spread_c), second_c


def has_chip_sensor(board: Board) -> bool:
    """True where the sensor is a diode in the chip."""
    return board.temp_sensor.endswith("diode")


def has_cold_sensor(board: Board) -> bool:
    """True where the sensor works without the chip's power."""
    return board.temp_sensor == "EMC2101 internal"
