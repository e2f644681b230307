import json
from itertools import pairwise
from pathlib import Path

import pytest

from softaxe.device.statistics import (
    STATISTICS_PERIOD_S,
    STATISTICS_ROWS,
    HashrateAverages,
    Sample,
    ShareCounters,
    Statistics,
)

BOARDS = json.loads(
    (Path(__file__).parents[1] / "data" / "boards.json").read_text(encoding="utf-8")
)


def sample(timestamp_ms: int) -> Sample:
    return Sample(
        timestamp_ms=timestamp_ms,
        hashrate_hs=1e12,
        hashrate_1m_hs=1e12,
        hashrate_10m_hs=1e12,
        hashrate_1h_hs=1e12,
        error_percentage=0.0,
        temp_c=60.0,
        temp2_c=-1.0,
        vr_temp_c=62.0,
        core_voltage_actual_v=1.144,
        voltage_v=5.09,
        power_w=18.7,
        current_a=12.0,
        fan_percent=48.0,
        fan_rpm=3900,
        fan2_rpm=0,
        rssi_dbm=-44,
        free_heap=8_000_000,
        response_time_ms=20.0,
    )


def rate_at(poll: int) -> float:
    """The course of the reference vector: 1000, then 2000, then 500 GH/s."""
    if poll <= 12:
        return 1000.0
    return 2000.0 if poll <= 132 else 500.0


def test_averages_follow_the_firmware_poll_by_poll() -> None:
    rows = {
        row["poll"]: row
        for row in BOARDS["control_vectors"]["hashrate_averages_v2_12_2"]["rows"]
    }
    averages = HashrateAverages()

    for poll in range(1, 1001):
        averages.update(rate_at(poll))
        if poll in rows:
            row = rows[poll]
            assert averages.current_hs == row["current"]
            assert averages.one_minute_hs == pytest.approx(row["1m"], abs=1e-3)
            assert averages.ten_minutes_hs == pytest.approx(row["10m"], abs=1e-3)
            assert averages.one_hour_hs == pytest.approx(row["1h"], abs=1e-3)


def test_a_poll_of_zero_is_shown_but_not_averaged() -> None:
    averages = HashrateAverages()
    averages.update(1000.0)

    averages.update(0.0)

    assert averages.current_hs == 0
    assert averages.one_minute_hs == 1000


def test_a_new_rejection_reason_sorts_the_list_and_an_old_one_does_not() -> None:
    shares = ShareCounters()

    for reason in ("Stale", "Low difficulty share", "Low difficulty share"):
        shares.reject(reason)
    before = [known.message for known in shares.rejected_reasons]
    shares.reject("Job not found")

    assert before == ["Stale", "Low difficulty share"]
    assert [(known.message, known.count) for known in shares.rejected_reasons] == [
        ("Low difficulty share", 2),
        ("Stale", 1),
        ("Job not found", 1),
    ]
    assert shares.rejected == 4


def test_reasons_are_compared_by_their_first_63_bytes_and_bounded_in_number() -> None:
    shares = ShareCounters()

    shares.reject("x" * 63 + "one")
    shares.reject("x" * 63 + "two")
    for number in range(50):
        shares.reject(f"reason {number}")

    assert shares.rejected_reasons[0].message == "x" * 63
    assert shares.rejected_reasons[0].count == 2
    assert len(shares.rejected_reasons) == 10
    assert shares.rejected == 52


def run(statistics: Statistics, interval_s: int, until_s: float) -> list[float]:
    """Let the task look every five seconds; return when it took samples."""
    taken = []
    while statistics.next_wake <= until_s:
        now = statistics.next_wake
        if statistics.is_sample_due(int(now * 1000), interval_s):
            statistics.add(sample(int(now * 1000)))
            taken.append(now)
    return taken


def test_samples_come_at_the_interval_and_never_faster_than_five_seconds() -> None:
    slow, fast = Statistics(), Statistics()
    slow.start(20.0)
    fast.start(20.0)

    assert run(slow, 30, 120.0) == [30.0, 60.0, 90.0, 120.0]
    assert run(fast, 1, 40.0) == [20.0, 25.0, 30.0, 35.0, 40.0]


def test_interval_zero_forgets_the_rows_at_the_next_look() -> None:
    statistics = Statistics()
    statistics.start(0.0)
    run(statistics, 5, 60.0)
    assert statistics.rows

    run(statistics, 0, 65.0)

    assert not statistics.rows


def test_the_ring_keeps_the_newest_rows() -> None:
    statistics = Statistics()
    statistics.start(5.0)

    taken = run(statistics, 5, 5.0 + 800 * STATISTICS_PERIOD_S)

    assert len(statistics.rows) == STATISTICS_ROWS
    assert statistics.rows[-1].timestamp_ms == int(taken[-1] * 1000)


def recorded_around_24_9_days(first_ms: int, interval_s: int) -> list[int]:
    """When samples are taken by a device whose times are 32 bits wide."""
    statistics, found = Statistics(), []
    statistics.start(0.0)
    statistics.add(sample(first_ms))
    for ms in range(first_ms + 5000, 2**31 + 20 * 60_000, 5000):
        if statistics.is_sample_due(ms, interval_s, is_32bit=True):
            statistics.add(sample(ms))
            found.append(ms)
    return found


def test_the_firmwares_32_bits_stop_some_and_hurry_others() -> None:
    last = 2**31 - 59_000  # the next is due at a look in the first second after
    assert recorded_around_24_9_days(last, 60) == [], "it has stopped"

    found = recorded_around_24_9_days(2**31 - 10_000, 60)
    assert found[0] == 2**31 - 5000, "at every look"
    gaps = {b - a for a, b in pairwise(found[2:])}
    assert gaps == {60_000}
