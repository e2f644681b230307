import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softaxe.asic.frames import Register
from softaxe.asic.hashing import (
    HashCounters,
    Header,
    Midstates,
    NonceCursor,
    RolledVersions,
    error_share,
    failing_share,
    poisson,
)
from softaxe.bitcoin.header import Work
from softaxe.bitcoin.kernel import midstate
from softaxe.catalog import board

SILICON = board("601").chip.silicon
WORK = Work(0x20000000, bytes(32), bytes(32), 1_700_000_000, 0x1705AE3A)
ALL_NONCES = range(256)
SHARES = (0.4, 0.3, 0.2, 0.1)


def cursor(
    addresses: range = ALL_NONCES, *, mask: int = 0xFFFF, seed: int = 1
) -> NonceCursor:
    rng = random.Random(seed)
    heads = RolledVersions(WORK, mask)
    return NonceCursor(heads, addresses=addresses, rng=rng)


@given(
    sizes=st.lists(st.integers(1, 1 << 31), min_size=1, max_size=60),
    seed=st.integers(0, 9),
)
def test_no_nonce_is_handed_out_twice(sizes: list[int], seed: int) -> None:
    nonces = cursor(seed=seed)

    spans = [span for size in sizes if (span := nonces.take(size))]

    taken = sorted((s.field, s.first_nonce, s.count) for s in spans)
    for (version, first, count), (next_version, following, _) in itertools.pairwise(
        taken
    ):
        assert version != next_version or first + count <= following


def test_all_nonces_of_one_version_come_before_the_next() -> None:
    nonces, counts = cursor(), dict[int, int]()
    for _ in range(400):
        span = nonces.take(1 << 32)
        assert span is not None
        counts[span.field] = counts.get(span.field, 0) + span.count

    assert list(counts.values())[:3] == [1 << 32] * 3


def test_without_versions_to_roll_the_nonces_end() -> None:
    nonces = cursor(mask=0)
    taken = 0
    while span := nonces.take(1 << 32):
        taken += span.count
        assert span.field == 0

    assert taken == 1 << 32
    assert nonces.take(1) is None


def test_versions_stay_inside_the_mask_and_are_in_the_header() -> None:
    nonces, fields = cursor(range(1), mask=0x0006), list[int]()
    while span := nonces.take(1 << 32):
        assert isinstance(span.head, Header)
        version = int.from_bytes(span.head.header[:4], "little")
        assert version == WORK.version | span.field << 13
        fields.append(span.field)

    assert set(fields) == {0, 2, 4, 6}


def test_given_midstates_are_each_searched_once() -> None:
    midstates = [bytes([number]) * 32 for number in range(4)]
    heads = Midstates(midstates, bytes(12))
    nonces = NonceCursor(heads, addresses=ALL_NONCES, rng=random.Random(1))
    counts = dict[int, int]()
    while span := nonces.take(1 << 32):
        counts[span.field] = counts.get(span.field, 0) + span.count

    assert counts == dict.fromkeys(range(4), 1 << 32)


def test_a_midstate_is_searched_as_its_header_is() -> None:
    header = WORK.header()
    head = Midstates([midstate(header[:64])], header[64:76]).head(0)
    target = 1 << 250

    found = head.search(1000, 500, target)
    assert found == Header(header).search(1000, 500, target)
    assert found


def test_a_chip_keeps_to_its_addresses() -> None:
    nonces = cursor(range(84, 126))
    for _ in range(300):
        span = nonces.take(1 << 20)
        assert span is not None
        for nonce in (span.first_nonce, span.first_nonce + span.count - 1):
            assert nonce >> 17 & 0xFF in range(84, 126)


def test_real_hashes_are_counted_to_the_last() -> None:
    counters = HashCounters(SHARES)
    for _ in range(1000):
        counters.add(0.75, 0.25)
        counters.read(Register.TOTAL, None)

    assert counters.read(Register.DOMAIN_0, None) == pytest.approx(300, abs=1)
    assert counters.read(Register.TOTAL, None) == pytest.approx(750, abs=4)
    assert counters.read(Register.ERROR_COUNT, None) == 250


def test_scattered_counts_are_right_in_the_mean_however_often_they_are_read() -> None:
    rng = random.Random(1)
    counters = HashCounters(SHARES)
    for number in range(20_000):
        counters.add(0.5, 0.0)
        if number % 7 == 0:
            counters.read(Register.TOTAL, rng)

    total = counters.read(Register.TOTAL, rng)
    assert total == pytest.approx(10_000, abs=4 * 10_000**0.5)
    domains = [counters.read(Register.DOMAIN_0 + i, rng) for i in range(4)]
    assert sum(count or 0 for count in domains) == total


def test_counters_wrap_at_32_bits() -> None:
    counters = HashCounters((1.0,))
    counters.add(2.0**32 + 5, 0)

    assert counters.read(Register.DOMAIN_0, None) == 5


def test_what_is_no_counter_has_no_value() -> None:
    counters = HashCounters(SHARES)

    assert counters.read(Register.VERSION_MASK, None) is None
    assert counters.read(Register.PLL0, None) is None


@pytest.mark.parametrize("mean", [0.01, 0.5, 5.0, 29.0, 31.0, 312.0])
def test_poisson_draws_have_mean_and_variance_alike(mean: float) -> None:
    rng = random.Random(2)
    draws = [poisson(rng, mean) for _ in range(20_000)]

    average = sum(draws) / len(draws)
    variance = sum((draw - average) ** 2 for draw in draws) / len(draws)
    assert average == pytest.approx(mean, abs=5 * (mean / len(draws)) ** 0.5)
    assert variance == pytest.approx(mean, rel=0.15)


@pytest.mark.parametrize(
    ("mhz", "volts", "celsius", "low", "high"),
    [
        (525, 1.144, 60, 0.0, 0.001),
        (525, 1.0, 60, 0.5, 1.0),
        (625, 1.144, 60, 0.02, 0.1),
        (625, 1.244, 60, 0.0, 0.002),
        (400, 1.0, 60, 0.0, 0.1),
        (525, 0.0, 60, 1.0, 1.0),
        (525, 50.0, 60, 0.0, 1e-300),
    ],
)
def test_too_little_voltage_for_the_frequency_fails(
    mhz: float, volts: float, celsius: float, low: float, high: float
) -> None:
    share = failing_share(
        SILICON, frequency_mhz=mhz, core_voltage_v=volts, temperature_c=celsius
    )

    assert low <= share <= high


def test_heat_makes_failing_worse() -> None:
    shares = [
        failing_share(SILICON, frequency_mhz=525, core_voltage_v=1.06, temperature_c=t)
        for t in (40, 60, 80)
    ]

    assert shares == sorted(shares)


def test_errors_grow_with_failing_from_a_floor() -> None:
    assert error_share(SILICON, 0.0) == SILICON.error_floor
    half = 0.5 * SILICON.failing_errors
    assert error_share(SILICON, 0.5) == pytest.approx(half, abs=0.001)
