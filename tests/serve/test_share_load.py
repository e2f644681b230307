import random

import pytest
from tests.each import each

from softaxe.serve.share_load import (
    EDGES_S,
    MOST_REASON_CHARACTERS,
    MOST_REASONS,
    OTHER_REASONS,
    ShareLoad,
    joined,
    quantile_s,
)


def test_quantiles_are_those_of_the_answers_to_a_bin() -> None:
    rng = random.Random(1)
    times = sorted(rng.lognormvariate(-5, 1) for _ in range(5000))
    load = ShareLoad()
    for took_s in times:
        load.answered(took_s, None)

    for share in (0.5, 0.9, 0.99):
        exact = times[int(share * len(times)) - 1]
        found = quantile_s(load.bins, share, longest_s=load.longest_s)
        assert found == pytest.approx(exact, rel=0.13)
    assert quantile_s(load.bins, 1.0, longest_s=load.longest_s) == times[-1]
    assert load.sum_s == pytest.approx(sum(times))


@each("took_s", [0.0, 1e-9, EDGES_S[-1], 5000.0])
def test_what_is_beyond_all_bins_counts_as_well(took_s: float) -> None:
    load = ShareLoad()

    load.answered(took_s, None)

    assert sum(load.bins) == load.accepted == 1
    assert quantile_s(load.bins, 0.5, longest_s=took_s) == pytest.approx(
        took_s, rel=0.13
    )


def test_there_are_no_times_before_the_first_answer() -> None:
    assert quantile_s(ShareLoad().bins, 0.5) is None


def test_a_pool_that_makes_reasons_up_does_not_fill_the_memory() -> None:
    load = ShareLoad()
    for number in range(1000):
        load.answered(0.1, f"{number} " + "x" * 1000)
    load.answered(0.1, "0 " + "x" * 1000)

    assert len(load.rejected) == MOST_REASONS + 1
    assert load.rejected[OTHER_REASONS] == 1000 - MOST_REASONS
    assert max(map(len, load.rejected)) == MOST_REASON_CHARACTERS
    assert sum(load.rejected.values()) == sum(load.bins) == 1001


def test_bins_of_several_processes_add_up() -> None:
    one, other = ShareLoad(), ShareLoad()
    one.answered(0.01, None)
    other.answered(0.01, None)
    other.answered(7.0, "stale")

    both = joined([one.bins, other.bins])

    assert sorted(both)[-2:] == [1, 2]
    assert len(both) == len(one.bins)
