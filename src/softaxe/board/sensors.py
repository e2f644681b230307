"""Temperature sensors: what of a board's heat the firmware can see.

A diode in the chip sees the chip; a sensor on the board sees less, and the firmware
adds an offset for it. Source of steps and offsets: ESP-Miner thermal.c.
"""

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


def read_temperatures(board: Board, thermal: Thermal) -> tuple[float, float]:
    """Read both sensors, offset included; the second is -1 where there is none."""
    is_in_chip = board.temp_sensor.endswith("diode")
    sources_c = thermal.chips_c if is_in_chip else thermal.board_c
    step_c = STEPS_C[board.temp_sensor]

    def shown_c(source_c: float) -> float:
        return floor(source_c / step_c) * step_c + board.temp_offset_c

    second_c = shown_c(sources_c[-1]) if board.sensor_count > 1 else ABSENT_C
    return shown_c(sources_c[0]), second_c


def has_cold_sensor(board: Board) -> bool:
    """True where the sensor works without the chip's power."""
    return board.temp_sensor == "EMC2101 internal"
