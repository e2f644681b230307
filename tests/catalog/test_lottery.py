from statistics import mean, stdev

import pytest

from softaxe.catalog import board
from softaxe.catalog.lottery import HALF_VOLTAGE_V, draw, typical

GAMMA, HEX = board("601"), board("303")


def test_a_seed_always_draws_the_same_specimen() -> None:
    assert draw(HEX, 7) == draw(HEX, 7)
    assert draw(HEX, 7) != draw(HEX, 8)


def test_every_chip_of_a_chain_is_its_own() -> None:
    silicons = draw(HEX, 1).silicons

    assert len(silicons) == 6
    assert len({silicon.half_voltage_at_400mhz_v for silicon in silicons}) == 6


def test_the_catalogue_s_row_is_the_mean() -> None:
    specimens = [draw(GAMMA, seed) for seed in range(400)]
    halves = [s.silicons[0].half_voltage_at_400mhz_v for s in specimens]
    sinks = [s.board.cooling.sink_to_air_k_per_w for s in specimens]

    assert mean(halves) == pytest.approx(
        GAMMA.chip.silicon.half_voltage_at_400mhz_v, abs=0.002
    )
    assert stdev(halves) == pytest.approx(HALF_VOLTAGE_V, rel=0.15)
    assert mean(sinks) == pytest.approx(GAMMA.cooling.sink_to_air_k_per_w, rel=0.01)


def test_facts_are_not_drawn() -> None:
    drawn = draw(GAMMA, 3).board

    assert drawn.version == "601"
    assert drawn.chip == GAMMA.chip
    assert drawn.regulator == GAMMA.regulator
    assert drawn.max_power_w == GAMMA.max_power_w


@pytest.mark.parametrize("seed", range(20))
def test_domains_share_all_of_the_hashes(seed: int) -> None:
    (silicon,) = draw(GAMMA, seed).silicons
    assert sum(silicon.domain_weights) == pytest.approx(1)


def test_the_typical_specimen_is_the_row_itself() -> None:
    assert typical(HEX).board == HEX
    assert set(typical(HEX).silicons) == {HEX.chip.silicon}
