import pytest
from tests.each import each

from softaxe import Device, Pool, Simulation
from softaxe.device.events import SaveSettings
from softaxe.device.totals import KEYS, Totals

RATE_HS = 1e12


def counted(seconds: int, stored: dict[str, int] | None = None) -> Totals:
    totals = Totals(stored or {})
    totals.boot(is_counting=True)
    for second in range(seconds + 1):
        totals.tick(10.0 + second, 9.0 + second, RATE_HS)
    return totals


def test_nothing_is_counted_before_the_first_tick() -> None:
    totals = counted(0)

    assert (totals.uptime_s, totals.hashes, totals.log2_work) == (9, 0.0, 0.0)


def test_seconds_and_hashes_add_up_over_restarts_without_being_stored() -> None:
    totals = counted(100)
    totals.boot(is_counting=True)

    assert totals.uptime_s == 0
    assert totals.total_uptime_s == 109
    assert totals.hashes == 100 * RATE_HS
    assert totals.log2_work == pytest.approx(46.507, abs=1e-3)


def test_a_tick_that_comes_early_is_lost() -> None:
    totals = counted(1)
    totals.tick(11.999, 10.999, RATE_HS)

    assert totals.hashes == RATE_HS


@each("hashes", [0, 2**63, 2**64 + 2**63 + 2**40])
def test_what_is_stored_each_hour_reads_back(hashes: int) -> None:
    high, low = divmod(hashes, 2**64)
    stored = {"total_uptime": 5, "cum_hashes_hi": high, "cum_hashes_lo": low}
    totals = Totals(stored)
    totals.boot(is_counting=True)
    saved = [totals.tick(n * 1.0, n, 0.0) for n in range(1, 3601)]

    assert not any(saved[:-1])
    assert set(saved[-1]) == set(KEYS)
    assert all(-(2**63) <= value < 2**63 for value in saved[-1].values())
    again = Totals(saved[-1])
    again.boot(is_counting=True)
    assert (again.total_uptime_s, again.hashes) == (3605, hashes)


def test_an_older_release_between_two_takes_the_memory() -> None:
    totals = counted(100)
    for is_counting in (False, True):
        totals.boot(is_counting=is_counting)

    assert totals.total_uptime_s == totals.hashes == 0


def test_a_device_of_2_15_tells_no_uptime_before_it_mines() -> None:
    device = Device(firmware="2.15.0", settings={"wifissid": ""}, seed=1)
    older = Device(firmware="2.14.2", settings={"wifissid": ""}, seed=1)
    for one in (device, older):
        one.step(60.0)

    assert device.told_uptime_s == 0
    assert older.told_uptime_s == 59


def test_it_counts_what_it_mined_and_stores_that_after_an_hour() -> None:
    device = Device(firmware="2.15.0", seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(60)
    restarted_at = device.now
    uptime_s = device.told_uptime_s
    assert device.uptime_s - 2 <= uptime_s <= device.uptime_s

    device.restart(device.now)
    simulation.advance(30)

    assert device.totals.total_uptime_s == uptime_s + device.told_uptime_s + 1
    mined_s = device.now - restarted_at
    assert device.totals.hashes == pytest.approx(1.071e12 * (45 + mined_s), rel=0.5)


def test_the_rows_go_to_storage() -> None:
    device = Device(firmware="2.15.0", seed=1)
    device.step(30.0)
    device.totals._ticks = 3599  # an hour is dear

    device.events()
    device.step(31.5)

    saved = [one.rows for one in device.events() if isinstance(one, SaveSettings)]
    assert [set(rows) for rows in saved] == [set(KEYS)]
