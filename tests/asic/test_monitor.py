from typing import Any

import pytest

from softaxe.asic import frames
from softaxe.asic.frames import RegisterReply
from softaxe.asic.monitor import HashrateMonitor
from softaxe.units import float32

TOTAL = frames.Register.TOTAL


def counting(asic_count: int) -> HashrateMonitor:
    """A monitor of chips that count per domain."""
    polled = frames.WIRES["BM1370"].polled
    return HashrateMonitor(asic_count, domains=4, polled=polled)


def measured(
    counts: int, *, seconds: float, hashes_per_count: float = 2.0**32
) -> HashrateMonitor:
    """Two readings of the total, so many counts apart, the counter wrapping."""
    monitor = counting(1)
    monitor.set_hashes_per_count(hashes_per_count)
    first = 2**32 - 10
    monitor.take(RegisterReply(first, 0, TOTAL), 0, 20.0)
    value = (first + counts) % 2**32
    monitor.take(RegisterReply(value, 0, TOTAL), 0, 20.0 + seconds)
    return monitor


def poll(monitor: HashrateMonitor) -> None:
    """Step through one poll."""
    while monitor.step() is not None:
        pass


def test_rates_are_those_of_the_reference(vectors: dict[str, Any]) -> None:
    for vector in (
        *vectors["asic"]["hash_counter"]["examples"],
        *vectors["utils"]["hash_counter_to_ghs"],
    ):
        monitor = measured(
            vector["counter_delta"], seconds=vector["duration_ms"] / 1000
        )

        total_ghs = monitor.asics[0].total_hs / 1e9
        assert float32(total_ghs) == pytest.approx(total_ghs, rel=1e-15)
        assert round(total_ghs, 4) == vector["expected_float32"]


def test_a_poll_asks_a_millisecond_apart_and_sums_a_tenth_of_a_second_later() -> None:
    monitor = counting(1)
    monitor.start(100.0)

    seen = []
    for _ in range(14):
        due = monitor.next_wake
        seen.append((round(due, 6), monitor.step()))

    asked = [frames.read_all(r) for r in (0x4C, 0x88, 0x89, 0x8A, 0x8B, 0x8C)]
    first = [(100.0 + n / 1000, asked[n]) for n in range(6)]
    second = [(105.0 + n / 1000, asked[n]) for n in range(6)]
    assert seen == [*first, (100.106, None), *second, (105.106, None)]


def test_a_poll_each_second_asks_for_all_at_once() -> None:
    polled = frames.WIRES["BM1370"].polled
    monitor = HashrateMonitor(1, domains=4, polled=polled, period_s=1.0)
    monitor.start(100.0)

    seen = [(round(monitor.next_wake, 6), monitor.step()) for _ in range(3)]

    asked = b"".join(frames.read_all(register) for register in polled)
    assert seen == [(100.0, asked), (100.101, None), (101.0, asked)]


@pytest.mark.unwatched
def test_polls_stay_on_the_grid_for_days() -> None:
    monitor = counting(1)
    monitor.start(0.1)
    for _ in range(100_000):
        poll(monitor)

    assert monitor.next_wake == 0.1 + 100_000 * 5.0


def test_the_first_reading_of_a_register_tells_no_rate() -> None:
    monitor = counting(1)

    monitor.take(RegisterReply(1247, 0, TOTAL), 0, 20.0)

    assert monitor.asics[0].total_hs == 0


def test_sums_are_of_all_chips_and_new_only_at_the_end_of_a_poll() -> None:
    monitor = counting(2)
    monitor.start(0.0)
    for number in (0, 1):
        for value, now in ((0, 0.0), (1247, 5.0)):
            monitor.take(RegisterReply(value, 0, TOTAL), number, now)
    assert monitor.total_hs == 0

    poll(monitor)

    assert monitor.total_hs / 1e9 == pytest.approx(2 * 1071.1648, rel=1e-6)


def test_domains_and_errors_are_kept_apart() -> None:
    monitor = counting(1)
    for value, now in ((100, 0.0), (412, 5.0)):
        monitor.take(RegisterReply(value, 0, 0x89), 0, now)
        monitor.take(RegisterReply(value // 100, 0, 0x4C), 0, now)
    poll(monitor)

    (asic,) = monitor.asics
    assert asic.domains_hs == pytest.approx([0, 268.006e9, 0, 0], rel=1e-6)
    assert asic.error_count == 4
    assert monitor.error_hs == pytest.approx(3 / 5 * 2**32, rel=1e-6)
    assert monitor.total_hs == 0


def test_counters_that_began_anew_make_one_absurd_rate_as_in_the_firmware() -> None:
    monitor = measured(-5000, seconds=5.0)

    assert monitor.asics[0].total_hs > 1e18


def test_another_unit_forgets_what_was_measured() -> None:
    monitor = measured(1247, seconds=5.0)
    poll(monitor)
    monitor.set_hashes_per_count(4096.0)

    assert monitor.total_hs == 0
    assert monitor.asics[0].readings == {}
    real = measured(1221, seconds=5.0, hashes_per_count=4096.0)
    assert real.asics[0].total_hs == pytest.approx(1221 * 4096 / 5, rel=1e-6)


def test_a_register_that_is_no_counter_is_refused() -> None:
    assert not counting(1).take(RegisterReply(1, 0, 0x77), 0, 1.0)


def test_a_bm1397_tells_its_rate_itself() -> None:
    polled = frames.WIRES["BM1397"].polled
    monitor = HashrateMonitor(1, domains=1, polled=polled)
    for value in (0x00042700, 0x80042700, 0x007FFFFF):  # the others are no rates
        assert monitor.take(RegisterReply(value, 0, frames.Register.HASH_RATE), 0, 5.0)
    poll(monitor)

    assert monitor.total_hs / 1e9 == pytest.approx(285.3469, rel=1e-6)
    assert monitor.asics[0].domains_hs == [monitor.total_hs]
    assert not monitor.take(RegisterReply(1, 0, TOTAL), 0, 5.0)
