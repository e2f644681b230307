from math import log
from statistics import correlation, mean, median, stdev

import pytest
from tests.each import each

from softaxe.board.fan import speed_share
from softaxe.catalog import board
from softaxe.catalog.lottery import (
    HALF_VOLTAGE_V,
    REGULATOR,
    SWITCHING,
    draw,
    typical,
)

GAMMA, HEX = board("601"), board("303")


def test_a_seed_always_draws_the_same_specimen() -> None:
    assert draw(HEX, 7) == draw(HEX, 7)
    assert draw(HEX, 7) != draw(HEX, 8)


def test_every_chip_of_a_chain_is_its_own() -> None:
    silicons = draw(HEX, 1).silicons

    assert len(silicons) == 6
    assert len({silicon.half_voltage_at_400mhz_v for silicon in silicons}) == 6


def test_the_catalogue_s_row_is_the_usual_one() -> None:
    specimens = [draw(GAMMA, seed) for seed in range(400)]
    halves = [s.silicons[0].half_voltage_at_400mhz_v for s in specimens]
    sinks = [s.board.cooling.sink_to_air_k_per_w for s in specimens]
    fans = [s.board.fan.rpm_at_full for s in specimens]

    assert mean(halves) == pytest.approx(
        GAMMA.chip.silicon.half_voltage_at_400mhz_v, abs=0.002
    )
    assert stdev(halves) == pytest.approx(HALF_VOLTAGE_V, rel=0.15)
    appetites = [log(s.silicons[0].switching_f) for s in specimens]
    assert mean(appetites) == pytest.approx(
        log(GAMMA.chip.silicon.switching_f), abs=0.01
    )
    assert stdev(appetites) == pytest.approx(SWITCHING, rel=0.15)
    assert median(sinks) == pytest.approx(GAMMA.cooling.sink_to_air_k_per_w, rel=0.02)
    assert median(fans) == pytest.approx(GAMMA.fan.rpm_at_full, rel=0.02)


def test_a_chip_that_draws_less_fails_earlier_more_often_than_not() -> None:
    silicons = [draw(GAMMA, seed).silicons[0] for seed in range(400)]

    tie = correlation(
        [silicon.switching_f for silicon in silicons],
        [silicon.half_voltage_at_400mhz_v for silicon in silicons],
    )

    assert -0.45 < tie < -0.15


def test_a_third_of_the_chips_hardly_err_and_most_others_a_little() -> None:
    floors = [draw(GAMMA, seed).silicons[0].error_floor for seed in range(400)]

    quiet = sum(floor < 0.0002 for floor in floors) / 400
    usual = sum(0.003 < floor < 0.05 for floor in floors) / 400

    assert 0.28 < quiet < 0.42
    assert usual > 0.5


def test_no_two_neighbouring_seeds_share_a_chip() -> None:
    silicons = [draw(HEX, seed).silicons for seed in range(20)]

    assert len({chip for chips in silicons for chip in chips}) == 120


def test_facts_are_not_drawn() -> None:
    drawn = draw(GAMMA, 3).board

    assert drawn.version == "601"
    assert drawn.chip == GAMMA.chip
    assert drawn.regulator == GAMMA.regulator
    assert drawn.max_power_w == GAMMA.max_power_w


@each("seed", range(20))
def test_domains_share_all_of_the_hashes(seed: int) -> None:
    (silicon,) = draw(GAMMA, seed).silicons
    assert sum(silicon.domain_weights) == pytest.approx(1)


def test_the_typical_specimen_is_the_row_itself() -> None:
    assert typical(HEX).board == HEX
    assert set(typical(HEX).silicons) == {HEX.chip.silicon}


def test_fans_at_full_duty_turn_as_slowly_and_as_fast_as_real_ones() -> None:
    speeds = [draw(GAMMA, seed).board.fan.rpm_at_full for seed in range(400)]
    real = [5471, 5654, 5320, 6758, 5726, 5702, 5405, 5584, 5775, 8095]

    assert min(speeds) < 3600 < max(real) < max(speeds) < 9600
    assert median(speeds) == pytest.approx(median(real), rel=0.05)
    near = sum(min(real) <= speed <= max(real) for speed in speeds) / len(speeds)
    assert 0.5 < near < 0.9


def test_some_fans_are_flat_at_the_top_and_some_are_not() -> None:
    losses = [1 - speed_share(draw(GAMMA, seed).board.fan, 0.7) for seed in range(200)]

    assert sum(loss <= 0.03 for loss in losses) > 20  # as one 601's
    assert sum(loss > 0.1 for loss in losses) > 20


def test_a_fan_of_another_speed_moves_more_or_less_air_for_its_watts() -> None:
    for seed in range(20):
        drawn = draw(GAMMA, seed).board.fan

        flow = drawn.rpm_at_full / GAMMA.fan.rpm_at_full
        assert drawn.full_flow == pytest.approx(flow)
        watts = drawn.power_w_at_full * drawn.full_flow**3
        assert watts == pytest.approx(GAMMA.fan.power_w_at_full)


def test_regulators_lose_their_heat_differently() -> None:
    resistances = [
        log(draw(GAMMA, seed).board.cooling.vr_to_air_k_per_w) for seed in range(400)
    ]

    assert stdev(resistances) == pytest.approx(REGULATOR, rel=0.15)
