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
"""of the resistance from chip to sink, relative,"""
SINK = 0.03
"""of the resistance from sink to air, relative,"""
FAN = 0.02
"""of a fan's speed, relative,"""
SUPPLY_V_SHARE = 0.006
"""and of the supply's voltage, relative."""
WIDEST = 2.5
"""Nothing is further from its mean than so many standard deviations."""


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
    cooling, fan, supply = board.cooling, board.fan, board.supply
    return Specimen(
        replace(
            board,
            cooling=replace(
                cooling,
                chip_to_sink_k_per_w=near(cooling.chip_to_sink_k_per_w, PASTE),
                sink_to_air_k_per_w=near(cooling.sink_to_air_k_per_w, SINK),
            ),
            fan=replace(
                fan,
                rpm_at_full=near(fan.rpm_at_full, FAN),
                second_share=near(fan.second_share, FAN),
            ),
            supply=replace(
                supply, open_circuit_v=near(supply.open_circuit_v, SUPPLY_V_SHARE)
            ),
        ),
        silicons,
    )


def typical(board: Board) -> Specimen:
    """The mean of all specimens."""
    return Specimen(board, (board.chip.silicon,) * board.asic_count)


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
