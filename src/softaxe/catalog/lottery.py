"""No two devices are alike: what differs from specimen to specimen.

A device's seed decides. The spreads are estimates; the catalogue's row is the mean.
"""

import random
from dataclasses import dataclass, replace
from math import exp

from softaxe.catalog import Board, Silicon

HALF_VOLTAGE_V = 0.012
"""Standard deviations: of the voltage at which half the hashes fail,"""
SWITCHING = 0.015
"""of the switched capacitance, relative,"""
LEAKAGE = 0.15
"""of the leakage current, as a logarithm,"""
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
REGULATOR = 0.26
"""of the resistance from regulator to air, as a logarithm,"""
SUPPLY_V_SHARE = 0.006
"""and of the supply's voltage, relative."""
WIDEST = 2.5
"""Nothing is further from its mean than so many standard deviations."""
LEAST_COOLING = 0.65
"""No sink with its fan at full duty cools less than this share of the usual ones: who
builds a device sees to it that it bears its factory settings."""


@dataclass(frozen=True, slots=True)
class Specimen:
    """One device's metal."""

    board: Board
    """With the cooling, fan and supply of this specimen."""
    silicons: tuple[Silicon, ...]
    """One per chip, in the order of the chain."""


def draw(board: Board, seed: int) -> Specimen:
    """Draw the metal of the device with this seed."""
    rng = random.Random(f"silicon {seed}")

    def near(mean: float, share: float) -> float:
        return mean * (1 + share * _normal(rng))

    silicons = tuple(_silicon(board.chip.silicon, rng) for _ in range(board.asic_count))
    supply = replace(
        board.supply, open_circuit_v=near(board.supply.open_circuit_v, SUPPLY_V_SHARE)
    )
    return Specimen(replace(_cooled(board, seed), supply=supply), silicons)


def typical(board: Board) -> Specimen:
    """The mean of all specimens."""
    return Specimen(board, (board.chip.silicon,) * board.asic_count)


def _cooled(board: Board, seed: int) -> Board:
    """The board with the fan and the heat paths of the device with this seed."""
    rng = random.Random(f"cooling {seed}")

    def spread(deviation: float) -> float:
        return exp(deviation * _normal(rng))

    cooling, fan = board.cooling, board.fan
    speed, resistance = spread(FAN), spread(SINK)
    resistance = min(resistance, speed / LEAST_COOLING)
    return replace(
        board,
        cooling=replace(
            cooling,
            chip_to_sink_k_per_w=cooling.chip_to_sink_k_per_w * spread(PASTE),
            sink_to_air_k_per_w=cooling.sink_to_air_k_per_w * resistance,
            vr_to_air_k_per_w=cooling.vr_to_air_k_per_w * spread(REGULATOR),
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
    )


def _silicon(mean: Silicon, rng: random.Random) -> Silicon:
    weights = [weight * (1 + DOMAIN * _normal(rng)) for weight in mean.domain_weights]
    return replace(
        mean,
        switching_f=mean.switching_f * (1 + SWITCHING * _normal(rng)),
        leakage_a_at_60c=mean.leakage_a_at_60c * exp(LEAKAGE * _normal(rng)),
        half_voltage_at_400mhz_v=mean.half_voltage_at_400mhz_v
        + HALF_VOLTAGE_V * _normal(rng),
        domain_weights=tuple(weight / sum(weights) for weight in weights),
    )


def _normal(rng: random.Random) -> float:
    return max(-WIDEST, min(WIDEST, rng.gauss(0.0, 1.0)))
