import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.each import each

from softaxe.asic.frames import Register
from softaxe.asic.hashing import (
    HashCounters,
    Header,
    Heads,
    Midstates,
    NonceCursor,
    RolledVersions,
    Span,
    domain_shares,
    error_share,
    poisson,
)
from softaxe.bitcoin.header import Work
from softaxe.bitcoin.kernel import midstate
from softaxe.catalog import Silicon, board

SILICON = board("601").chip.silicon
WORK = Work(0x20000000, bytes(32), bytes(32), 1_700_000_000, 0x1705AE3A)
ALL_NONCES = range(256)
MIDSTATES = Midstates([bytes([number]) * 32 for number in range(4)], bytes(12))
SHARES = (0.4, 0.3, 0.2, 0.1)


def cursor(
    addresses: range = ALL_NONCES,
    *,
    heads: Heads | None = None,
    mask: int = 0xFFFF,
    seed: int = 1,
    cores: int = 128,
    piece: int = 1 << 20,
    sweep: int = 1 << 25,
) -> NonceCursor:
    return NonceCursor(
        heads or RolledVersions(WORK, mask),
        addresses=addresses,
        cores=cores,
        piece=piece,
        sweep=sweep,
        rng=random.Random(seed),
    )


def pieces(nonces: NonceCursor, count: int) -> list[Span]:
    spans = (nonces.take(1 << 32) for _ in range(count))
    return [span for span in spans if span is not None]


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


@each("cores", [80, 112, 128])
def test_pieces_go_round_the_cores_and_upwards_through_the_versions(cores: int) -> None:
    spans = pieces(cursor(cores=cores, piece=32), 1000)

    fields = [span.field for span in spans]
    assert fields == list(range(fields[0], fields[0] + 1000))
    assert fields[0] < 16
    assert {span.first_nonce >> 25 for span in spans} == set(range(cores))
    assert all(span.count == 32 for span in spans)


def test_a_work_begins_anywhere_among_the_nonces_that_a_core_sweeps() -> None:
    firsts = [
        pieces(cursor(range(42, 84), seed=seed, piece=32, sweep=300_000), 1)[0]
        for seed in range(200)
    ]

    offsets = [(span.first_nonce & 0x1FFFFFF) - (42 << 17) for span in firsts]
    assert 0 <= min(offsets) < 10_000
    assert 290_000 < max(offsets) < 300_000
    assert {span.field for span in firsts} == set(range(16))
    assert len({span.first_nonce >> 25 for span in firsts}) > 90


@pytest.mark.parametrize("heads", [RolledVersions(WORK, 0x0003), MIDSTATES])
def test_every_head_is_searched_under_every_core_and_address(heads: Heads) -> None:
    nonces = cursor(range(3), heads=heads, cores=80, piece=1 << 17)
    spans = pieces(nonces, 10_000)

    assert len(spans) == 4 * 80 * 3
    assert len({(span.field, span.first_nonce) for span in spans}) == len(spans)
    assert nonces.take(1) is None


def test_without_versions_to_roll_the_nonces_end() -> None:
    nonces = cursor(mask=0, piece=3 << 20)
    taken = 0
    while span := nonces.take(1 << 32):
        taken += span.count
        assert span.field == 0

    assert taken == 1 << 32
    assert nonces.take(1) is None


def test_versions_stay_inside_the_mask_and_are_in_the_header() -> None:
    nonces, fields = cursor(range(1), mask=0x0006, cores=1), list[int]()
    while span := nonces.take(1 << 32):
        assert isinstance(span.head, Header)
        version = int.from_bytes(span.head.header[:4], "little")
        assert version == WORK.version | span.field << 13
        fields.append(span.field)

    assert set(fields) == {0, 2, 4, 6}


def test_a_midstate_is_searched_as_its_header_is() -> None:
    header = WORK.header()
    head = Midstates([midstate(header[:64])], header[64:76]).head(0)
    target = 1 << 250

    found = head.search(1000, 500, target)
    assert found == Header(header).search(1000, 500, target)
    assert found


def test_a_hash_is_the_number_that_a_target_is_compared_with() -> None:
    header = Header(WORK.header())
    (nonce, *_) = header.search(0, 1 << 10, (1 << 249) - 1)

    assert header.hash(nonce) < 1 << 256 - 7
    tight = header.hash(nonce)
    assert header.search(nonce, 1, tight) == [nonce]
    assert header.search(nonce, 1, tight - 1) == []


def test_a_chip_keeps_to_its_addresses() -> None:
    nonces = cursor(range(84, 126))
    for _ in range(300):
        span = nonces.take(1 << 20)
        assert span is not None
        for nonce in (span.first_nonce, span.first_nonce + span.count - 1):
            assert nonce >> 17 & 0xFF in range(84, 126)


def test_real_hashes_are_counted_to_the_last() -> None:
    counters = HashCounters(4)
    for _ in range(1000):
        counters.add(0.75, 0.25, SHARES)
        counters.read(Register.TOTAL, None)

    assert counters.read(Register.DOMAIN_0, None) == pytest.approx(300, abs=1)
    assert counters.read(Register.TOTAL, None) == pytest.approx(750, abs=4)
    assert counters.read(Register.ERROR_COUNT, None) == 250


def test_scattered_counts_are_right_in_the_mean_however_often_they_are_read() -> None:
    rng = random.Random(1)
    counters = HashCounters(4)
    for number in range(20_000):
        counters.add(0.5, 0.0, SHARES)
        if number % 7 == 0:
            counters.read(Register.TOTAL, rng)

    total = counters.read(Register.TOTAL, rng)
    assert total == pytest.approx(10_000, abs=4 * 10_000**0.5)
    domains = [counters.read(Register.DOMAIN_0 + i, rng) for i in range(4)]
    assert sum(count or 0 for count in domains) == total


def test_counters_wrap_at_32_bits() -> None:
    counters = HashCounters(1)
    counters.add(2.0**32 + 5, 0, (1.0,))

    assert counters.read(Register.DOMAIN_0, None) == 5


def test_what_is_no_counter_has_no_value() -> None:
    counters = HashCounters(4)

    assert counters.read(Register.VERSION_MASK, None) is None
    assert counters.read(Register.PLL0, None) is None


@pytest.mark.unwatched
@each("mean", [0.01, 0.5, 5.0, 29.0, 31.0, 312.0])
def test_poisson_draws_have_mean_and_variance_alike(mean: float) -> None:
    rng = random.Random(2)
    draws = [poisson(rng, mean) for _ in range(20_000)]

    average = sum(draws) / len(draws)
    variance = sum((draw - average) ** 2 for draw in draws) / len(draws)
    assert average == pytest.approx(mean, abs=5 * (mean / len(draws)) ** 0.5)
    assert variance == pytest.approx(mean, rel=0.15)


def test_counts_are_divided_as_the_domains_share_at_the_time() -> None:
    counters = HashCounters(2)
    counters.add(100.0, 0.0, (0.25, 0.25))
    counters.add(100.0, 0.0, (0.5, 0.0))

    assert counters.read(Register.DOMAIN_0, None) == 150
    assert counters.read(Register.DOMAIN_0 + 1, None) == 50


def lost(silicon: Silicon, margin_v: float) -> float:
    return 1 - sum(domain_shares(silicon, margin_v))


@each(
    ("margin_v", "low", "high"),
    [
        (0.3, 0.0, 1e-12),
        (0.1, 0.0, 0.001),
        (0.05, 0.01, 0.05),
        (0.0, 0.499, 0.501),
        (-0.03, 0.99, 1.0),
        (-1.0, 1.0, 1.0),
    ],
)
def test_too_little_voltage_loses_hashes(
    margin_v: float, low: float, high: float
) -> None:
    assert low <= lost(SILICON, margin_v) <= high


@given(volts=st.floats(-0.1, 0.3), more_v=st.floats(0.0, 0.1))
def test_more_voltage_never_loses_more(volts: float, more_v: float) -> None:
    for silicon in (SILICON, board("401").chip.silicon):
        assert lost(silicon, volts + more_v) <= lost(silicon, volts) + 1e-4


def test_the_loss_begins_softly_and_ends_steeply() -> None:
    def at(share: float) -> int:
        return next(mv for mv in range(-200, 200) if lost(SILICON, mv / 1000) < share)

    assert at(0.05) - at(0.5) > 1.5 * (at(0.5) - at(0.95))


def test_domains_of_a_bm1368_fail_one_after_the_other() -> None:
    silicon = board("401").chip.silicon
    needs_v = sorted(silicon.domain_half_voltages_v, reverse=True)

    halfway_v = (needs_v[1] + needs_v[2]) / 2
    shares = domain_shares(silicon, halfway_v)

    alive = [
        share / weight
        for share, weight in zip(shares, silicon.domain_weights, strict=True)
    ]
    assert sorted(round(share, 2) for share in alive) == [0, 0, 1, 1]


def test_errors_are_not_losses() -> None:
    ample, scant, none = (error_share(SILICON, v) for v in (0.2, 0.06, -0.1))

    assert ample == pytest.approx(SILICON.error_floor, rel=0.01)
    assert scant > 2 * ample, "before anything is lost"
    assert lost(SILICON, 0.06) < 0.02
    assert none < 0.05, "when all is lost"
