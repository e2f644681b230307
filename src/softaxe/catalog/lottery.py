"""No two devices are alike: what differs from specimen to specimen.

A device's seed decides; the catalogue's row is the typical one. The spreads of the
silicon are those of the devices that docs/fit.py reads, the others are estimates.
"""

import random
from math import exp, sqrt

from msgspec import Struct
from msgspec.structs import replace

from softaxe.catalog import Board, Chip, Silicon

HALF_VOLTAGE_V = 0.014
"""Standard deviations: of the voltage at which half the hashes are lost,"""
SWITCHING = 0.09
"""of the switched capacitance, as a logarithm; the devices' meters are in it."""
LEAN_IS_WEAK = -0.3
"""Correlation of the two: a chip that draws less fails earlier, sometimes."""
DOMAIN_HALF_VOLTAGE_V = 0.004
"""Of a domain's need for voltage,"""
BEST_C = 10.0
"""of the temperature that suits a chip best,"""
ERROR_FLOOR = 0.7
"""of the share of wrong hashes, as a logarithm,"""
QUIET_CHIPS = 0.35
QUIET_FLOOR = 0.002
"""which so many chips have only so much of,"""
ERROR_CEILING = 0.5
"""of what little voltage adds to it, as a logarithm,"""
ERROR_MARGIN_V = 0.015
"""of the voltage where it does,"""
DOMAIN = 0.012
"""of a domain's share of the hashes, relative,"""
PASTE = 0.06
"""of the resistance from chip to sink, as a logarithm,"""
SINK = 0.12
"""of the resistance from sink to air, as a logarithm: three 601s in one room,"""
FAN = 0.2
"""of a fan's full speed, as a logarithm,"""
KNEE = 0.17
"""of the duty at which its curve becomes flat, as a logarithm,"""
SECOND_FAN = 0.02
"""of a second fan's speed against the first's, relative,"""
REGULATOR = 0.3
"""of the resistance from regulator to air, as a logarithm,"""
SUPPLY_V_SHARE = 0.01
"""of the supply's voltage, relative,"""
SUPPLY_OHM = 0.35
"""and of its resistance, as a logarithm."""
WIDEST = 2.5
"""Nothing is further from its mean than so many standard deviations."""
LEAST_COOLING = 0.65
"""No sink with its fan at full duty cools less than this share of the usual ones: who
builds a device sees to it that it bears its factory settings."""
HOTTEST_REGULATOR = 1.8
"""Nor has a regulator more than this multiple of the usual resistance: the hottest real
one has 1.6 times it."""
TEST_DROP_V, TEST_C, TEST_WIDTHS = 0.008, 60.0, 3.0
"""What a chip must bear at its defaults to be sold: so much less voltage than is set,
so warm, its weakest domain loses three hashes in a hundred. An estimate."""


class Specimen(Struct, frozen=True):
    """One device's metal."""

    board: Board
    """With the cooling, fan and supply of this specimen."""
    silicons: tuple[Silicon, ...]
    """One per chip, in the order of the chain."""


def draw(board: Board, seed: int) -> Specimen:
    """Draw the metal of the device with this seed."""
    rng = random.Random(f"silicon {seed}")
    silicons = tuple(_silicon(board.chip, rng) for _ in range(board.asic_count))
    return Specimen(_surrounded(board, seed), silicons)


def typical(board: Board) -> Specimen:
    """The mean of all specimens."""
    return Specimen(board, (board.chip.silicon,) * board.asic_count)


def _surrounded(board: Board, seed: int) -> Board:
    """The board with the fan, heat paths and supply of the device with this seed."""
    rng = random.Random(f"board {seed}")

    def spread(deviation: float) -> float:
        return exp(deviation * _normal(rng))

    cooling, fan, supply = board.cooling, board.fan, board.supply
    speed, resistance = spread(FAN), spread(SINK)
    resistance = min(resistance, speed / LEAST_COOLING)
    regulator = min(spread(REGULATOR), HOTTEST_REGULATOR)
    return replace(
        board,
        cooling=replace(
            cooling,
            chip_to_sink_k_per_w=cooling.chip_to_sink_k_per_w * spread(PASTE),
            sink_to_air_k_per_w=cooling.sink_to_air_k_per_w * resistance,
            vr_to_air_k_per_w=cooling.vr_to_air_k_per_w * regulator,
        ),
        fan=replace(
            fan,
            rpm_at_full=fan.rpm_at_full * speed,
            knee_duty=fan.knee_duty * spread(KNEE),
            second_share=fan.second_share * (1 + SECOND_FAN * _normal(rng)),
            # A fan of another kind draws as much at its own full speed.
            power_w_at_full=fan.power_w_at_full / speed**3,
            full_flow=speed,
        ),
        supply=replace(
            supply,
            open_circuit_v=supply.open_circuit_v * (1 + SUPPLY_V_SHARE * _normal(rng)),
            resistance_ohm=supply.resistance_ohm * spread(SUPPLY_OHM),
        ),
    )


def _silicon(chip: Chip, rng: random.Random) -> Silicon:
    mean = chip.silicon
    weights = [weight * (1 + DOMAIN * _normal(rng)) for weight in mean.domain_weights]
    halves = list(mean.domain_half_voltages_v)
    rng.shuffle(halves)
    halves = [half_v + DOMAIN_HALF_VOLTAGE_V * _normal(rng) for half_v in halves]
    weakness, own = _normal(rng), _normal(rng)
    appetite = LEAN_IS_WEAK * weakness + sqrt(1 - LEAN_IS_WEAK**2) * own
    floor = mean.error_floor * exp(ERROR_FLOOR * _normal(rng))
    if rng.random() < QUIET_CHIPS:
        floor *= QUIET_FLOOR
    drawn = replace(
        mean,
        switching_f=mean.switching_f * exp(SWITCHING * appetite),
        half_voltage_at_400mhz_v=mean.half_voltage_at_400mhz_v
        + HALF_VOLTAGE_V * weakness,
        best_c=mean.best_c + BEST_C * _normal(rng),
        domain_half_voltages_v=tuple(halves),
        domain_weights=tuple(weight / sum(weights) for weight in weights),
        error_floor=floor,
        error_ceiling=mean.error_ceiling * exp(ERROR_CEILING * _normal(rng)),
        error_margin_v=mean.error_margin_v + ERROR_MARGIN_V * _normal(rng),
    )
    return _sold(chip, drawn)


def _sold(chip: Chip, drawn: Silicon) -> Silicon:
    """The chip, or the weakest that a factory's test at the defaults lets pass."""
    volts = chip.default_core_voltage_mv / 1000 - TEST_DROP_V
    half_v = drawn.half_voltage_v(chip.default_frequency_mhz, TEST_C)
    needed_v = (
        half_v + max(drawn.domain_half_voltages_v) + TEST_WIDTHS * drawn.margin_width_v
    )
    excess_v = max(0.0, needed_v - volts)
    half_v = drawn.half_voltage_at_400mhz_v - excess_v
    return replace(drawn, half_voltage_at_400mhz_v=half_v)


def _normal(rng: random.Random) -> float:
    return max(-WIDEST, min(WIDEST, rng.gauss(0.0, 1.0)))
