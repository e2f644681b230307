import random
from itertools import pairwise
from typing import Any

import pytest
from tests.each import each

from softaxe.stratum.vardiff import (
    LOWEST_DIFFICULTY,
    WINDOW_SHARES,
    Vardiff,
    VardiffRules,
)

GAMMA_HS = 1.07e12
SCALE = 2**32
SUGGESTED = 1000 / SCALE


OURS = VardiffRules()


def make_vardiff(
    difficulty: float,
    *,
    highest: float = 34_103.0,
    rules: VardiffRules = OURS,
    floor: float = LOWEST_DIFFICULTY,
) -> Vardiff:
    return Vardiff(difficulty, 0.0, rules=rules, highest=highest, floor=floor)


def mine(
    vardiff: Vardiff,
    *,
    hashrate_hs: float,
    duration_s: float,
    seed: int = 1,
    easiest: float = 0.0,
    begin_s: float = 0.0,
) -> list[float]:
    """Submit as a miner with this rate would; return the difficulties asked for.

    Args:
        easiest: Difficulty of the easiest nonce the miner's chip reports.
    """
    rng = random.Random(seed)
    asked = [vardiff.difficulty]
    now, end_s, next_check = begin_s, begin_s + duration_s, begin_s + 5.0
    while now < end_s:
        hardness = max(vardiff.difficulty, easiest)
        share_at = now + rng.expovariate(hashrate_hs / (hardness * SCALE))
        now = min(share_at, next_check)  # the wait for a share has no memory
        if now == next_check:
            next_check += 5.0
            is_changed = vardiff.check_silence(now)
        else:
            is_changed = vardiff.share(hardness / (1 - rng.random()), now)
        if is_changed:
            asked.append(vardiff.difficulty)
    return asked


@pytest.mark.unwatched
@pytest.mark.parametrize("seed", range(5))
def test_a_gamma_stays_at_what_it_suggests_for_a_day(seed: int) -> None:
    vardiff = make_vardiff(SUGGESTED)

    asked = mine(vardiff, hashrate_hs=GAMMA_HS / SCALE, duration_s=86_400.0, seed=seed)

    assert asked == [SUGGESTED]


@each("hashrate_hs", [1e5, 1e6, 1e9, 1e12])
@each("difficulty", [2.0**-22, 0.001, 1000.0])
def test_any_miner_soon_sends_shares_at_about_the_wanted_rate(
    hashrate_hs: float, difficulty: float
) -> None:
    vardiff = make_vardiff(difficulty)

    asked = mine(vardiff, hashrate_hs=hashrate_hs, duration_s=1800.0)

    interval_s = vardiff.difficulty * SCALE / hashrate_hs
    assert 2.0 < interval_s < 12.5
    assert len(asked) < 15


def test_changes_are_powers_of_two() -> None:
    vardiff = make_vardiff(0.001)

    asked = mine(vardiff, hashrate_hs=3e9, duration_s=600.0)

    assert len(asked) > 1
    for before, after in pairwise(asked):
        mantissa = (after / before).as_integer_ratio()
        assert 1 in mantissa
        assert max(mantissa).bit_count() == 1


def test_silence_divides_by_sixteen_every_twenty_seconds() -> None:
    vardiff = make_vardiff(1000.0)

    assert not vardiff.check_silence(19.9)
    assert vardiff.check_silence(20.0)
    assert vardiff.difficulty == 1000.0 / 16
    assert not vardiff.check_silence(39.9)
    assert vardiff.check_silence(40.0)
    assert vardiff.difficulty == 1000.0 / 256


def test_a_difficulty_that_has_brought_shares_survives_a_chance_gap() -> None:
    vardiff = make_vardiff(1.0)
    vardiff.share(3.0, 10.0)

    assert not vardiff.check_silence(10.0 + 99.9)
    assert vardiff.check_silence(10.0 + 100.0)


def test_silence_does_not_lower_without_end() -> None:
    vardiff = make_vardiff(SUGGESTED)

    for number in range(1000):
        vardiff.check_silence(number * 20.0)

    assert vardiff.difficulty == LOWEST_DIFFICULTY


def test_silence_goes_no_lower_than_the_floor_but_slow_shares_do() -> None:
    vardiff = make_vardiff(SUGGESTED, floor=256 / SCALE)
    for number in range(1000):
        vardiff.check_silence(number * 20.0)
    assert vardiff.difficulty == 256 / SCALE

    mine(vardiff, hashrate_hs=1.0, duration_s=20_000.0, begin_s=20_000.0)
    assert vardiff.difficulty < 128 / SCALE


@pytest.mark.parametrize("asked", [128 / SCALE, 1000 / SCALE])
def test_what_a_miner_asks_for_is_a_floor_too(asked: float) -> None:
    vardiff = make_vardiff(SUGGESTED, floor=256 / SCALE)

    vardiff.suggest(asked, 0.0)
    for number in range(1000):
        vardiff.check_silence(number * 20.0)

    assert vardiff.difficulty == min(asked, 256 / SCALE)


def test_a_chip_that_holds_back_easy_nonces_finds_back_after_a_pause() -> None:
    vardiff = make_vardiff(SUGGESTED)
    for number in range(1000):
        vardiff.check_silence(number * 20.0)

    mine(
        vardiff,
        hashrate_hs=GAMMA_HS / SCALE,
        duration_s=600.0,
        easiest=256 / SCALE,
        begin_s=20_000.0,
    )

    assert SUGGESTED / 2 <= vardiff.difficulty <= SUGGESTED * 2


def test_shares_of_older_easier_jobs_count_for_nothing() -> None:
    vardiff = make_vardiff(8.0)

    changes = [vardiff.share(1.0, number * 0.001) for number in range(1000)]

    assert not any(changes)
    assert vardiff.check_silence(20.0)


def test_a_window_that_comes_at_once_gives_a_finite_difficulty() -> None:
    vardiff = make_vardiff(1.0)

    changes = [vardiff.share(1.0, 0.0) for _ in range(WINDOW_SHARES)]

    assert changes[-1]
    assert vardiff.difficulty == 34_103.0


@each(
    ("rounding", "found"),
    [
        ("doublings", 64.0),
        ("one doubling", 16.0),
        ("power of two", 32.0),
        ("half steps", 48.0),
        ("whole", 48.0),
        ("none", 48.0),
    ],
)
def test_a_rate_that_wants_six_times_as_much_by_each_rounding(
    rounding: Any, found: float
) -> None:
    rules = VardiffRules(rounding=rounding, window_shares=12)
    vardiff = make_vardiff(8.0, rules=rules)

    for number in range(1, 13):
        vardiff.share(8.0, number * 5.0 / 6)

    assert vardiff.difficulty == pytest.approx(found)


def test_a_window_may_be_of_time_with_a_few_shares_at_least() -> None:
    rules = VardiffRules(
        window_shares=None, slow_window_shares=None, window_s=60.0, least_shares=5
    )
    vardiff = make_vardiff(8.0, rules=rules)

    changes = [vardiff.share(8.0, at) for at in (1.0, 2.0, 3.0, 61.0, 62.0)]

    assert changes == [False, False, False, False, True]
    assert vardiff.difficulty == 4.0


def test_a_few_shares_are_no_reason_for_patience_where_more_are_wanted() -> None:
    rules = VardiffRules(least_shares=5, silence_s=60.0, patience_intervals=None)
    vardiff = make_vardiff(64.0, rules=rules)
    for at in range(1, 5):
        vardiff.share(64.0, float(at))

    assert vardiff.check_silence(64.0)
    assert vardiff.difficulty == 4.0

    for at in range(65, 70):
        vardiff.share(4.0, float(at))
    assert not vardiff.check_silence(1e9)


def test_difficulty_stays_between_lowest_and_network() -> None:
    vardiff = make_vardiff(1.0, highest=10.0)

    vardiff.set(1000, 0.0)
    assert vardiff.difficulty == 10.0
    vardiff.set(1e-30, 0.0)
    assert vardiff.difficulty == LOWEST_DIFFICULTY
    assert make_vardiff(1.0, highest=1e-30).difficulty == LOWEST_DIFFICULTY
