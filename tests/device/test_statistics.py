import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.each import each

from softaxe import Device
from softaxe.api.views import info_body
from softaxe.catalog.firmware import firmware
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.device.statistics import (
    STATISTICS_PERIOD_S,
    STATISTICS_ROWS,
    Sample,
    ShareCounters,
    Statistics,
)

ROWS = firmware().rows
VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "firmware-versions.json").read_text("utf-8")
)["vectors"]


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
    slow, fast = Statistics(ROWS), Statistics(ROWS)
    slow.start(20.0)
    fast.start(20.0)

    assert run(slow, 30, 120.0) == [30.0, 60.0, 90.0, 120.0]
    assert run(fast, 1, 40.0) == [20.0, 25.0, 30.0, 35.0, 40.0]


def test_interval_zero_forgets_the_rows_at_the_next_look() -> None:
    statistics = Statistics(ROWS)
    statistics.start(0.0)
    run(statistics, 5, 60.0)
    assert statistics.rows

    run(statistics, 0, 65.0)

    assert not statistics.rows


def test_the_ring_keeps_the_newest_rows() -> None:
    statistics = Statistics(ROWS)
    statistics.start(5.0)

    taken = run(statistics, 5, 5.0 + 800 * STATISTICS_PERIOD_S)

    assert len(statistics.rows) == STATISTICS_ROWS
    assert statistics.rows[-1].timestamp_ms == int(taken[-1] * 1000)


def recorded_around_24_9_days(first_ms: int, interval_s: int) -> list[int]:
    """When samples are taken by a device whose times are 32 bits wide."""
    statistics, found = Statistics(ROWS), []
    statistics.start(0.0)
    statistics.add(sample(first_ms))
    for ms in range(first_ms + 5000, 2**31 + 20 * 60_000, 5000):
        if statistics.is_sample_due(ms, interval_s, is_narrow=True):
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


@each(("asked_s", "kept_ms"), VECTORS["stats_frequency_16_bit"].items())
def test_16_bits_of_an_interval_are_left(asked_s: str, kept_ms: int) -> None:
    statistics = Statistics(firmware("2.11.0").rows)
    statistics.add(sample(1_000_000))
    due_ms = 1_000_000 + kept_ms - 2500

    def is_due(ms: int) -> bool:
        return statistics.is_sample_due(ms, int(asked_s), is_narrow=True)

    assert not is_due(due_ms)
    assert is_due(due_ms + 1)


@each(("version", "is_kept"), [("2.9.0", True), ("2.10.1", False), ("2.12.2", False)])
def test_2_9_keeps_what_it_does_not_tell(version: str, *, is_kept: bool) -> None:
    statistics = Statistics(firmware(version).rows)
    statistics.start(20.0)
    run(statistics, 5, 60.0)
    before = list(statistics.rows)
    assert before

    run(statistics, 0, 80.0)
    assert not statistics.rows
    run(statistics, 5, 85.0)

    assert (statistics.rows[:-1] == before) is is_kept


def test_a_limit_spreads_its_rows() -> None:
    rows = firmware("2.8.1").rows
    limited, off = Statistics(rows, limit=100, duration=2), Statistics(rows)
    limited.start(20.0)
    off.start(20.0)

    assert run(limited, 0, 160.0) == [20.0, 90.0, 160.0]
    run(limited, 0, 20.0 + 200 * 70.0)
    assert len(limited.rows) == 100
    assert run(off, 0, 1000.0) == []


def test_from_2_14_a_row_is_taken_each_second_and_the_crowd_is_thinned() -> None:
    statistics = Statistics(firmware("2.14.2").rows)
    statistics.start(1.0)
    assert run(statistics, 5, 720.0) == [float(n) for n in range(1, 721)]

    removed = []
    for second in range(721, 733):
        before = [row.timestamp_ms for row in statistics.rows]
        run(statistics, 5, float(second))
        left = {row.timestamp_ms for row in statistics.rows}
        removed += [n for n, ms in enumerate(before) if ms not in left]

    vector = VECTORS["statistics_thinning_v2_14"]["removed_index_per_new_row"]
    assert removed == vector
    assert len(statistics.rows) == STATISTICS_ROWS


def test_thinned_rows_cover_as_much_as_the_interval_says() -> None:
    statistics = Statistics(firmware("2.15.0").rows)
    statistics.start(1.0)

    run(statistics, 3, 4000.0)

    spans = statistics.rows[-1].timestamp_ms - statistics.rows[0].timestamp_ms
    assert spans == pytest.approx(720 * 3000, rel=0.01)


@pytest.mark.unwatched
@pytest.mark.parametrize(("profile", "gap_s"), [(FIRMWARE, 55), (DOCUMENTED, 120)])
def test_the_page_s_interval_holds_where_its_promises_do(
    profile: Profile, gap_s: int
) -> None:
    device = Device(firmware="2.10.1", profile=profile, seed=1)
    device.patch([("statsFrequency", 120)], 20.0)
    device.step(620.0)

    times = [row.timestamp_ms for row in device.statistics.rows]
    assert {round(b - a, -3) for a, b in pairwise(times)} == {gap_s * 1000}


def sampled(profile: Profile, **patch: int) -> tuple[Any, list[float]]:
    """What a 2.8 tells after some time, and how far apart its rows are."""
    device = Device(firmware="2.8.1", profile=profile, seed=1)
    device.step(20.0)
    device.patch(list(patch.items()), device.now)
    device.restart(device.now)
    device.step(400.0)
    times = [row.timestamp_ms for row in device.statistics.rows]
    return json.loads(info_body(device)), [b - a for a, b in pairwise(times)]


def test_2_8_goes_by_its_limit_and_its_duration() -> None:
    info, gaps = sampled(FIRMWARE, statsLimit=360, statsDuration=2, statsFrequency=5)

    assert (info["statsLimit"], info["statsDuration"]) == (360, 2)
    assert set(gaps) == {20_000}


@pytest.mark.parametrize(
    ("profile", "gaps_ms"), [(FIRMWARE, set()), (DOCUMENTED, {5000})]
)
def test_2_8_without_a_limit_goes_by_the_page_s_interval(
    profile: Profile, gaps_ms: set[int]
) -> None:
    _, gaps = sampled(profile, statsFrequency=5)

    assert set(gaps) == gaps_ms


def test_newer_releases_tell_the_limit_that_they_have() -> None:
    assert json.loads(info_body(Device(firmware="2.14.0")))["statsLimit"] == 720
