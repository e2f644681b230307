import json
from pathlib import Path

import pytest

from softaxe import Device, Pool, Simulation
from softaxe.catalog.firmware import firmware
from softaxe.device.events import CloseReason
from softaxe.device.hashrate import HashrateAverages, NonceRate

BOARDS = json.loads(
    (Path(__file__).parents[1] / "data" / "boards.json").read_text(encoding="utf-8")
)
PER_NONCE = 256 * 2.0**32


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


def test_polls_of_a_second_average_over_the_same_times() -> None:
    averages = HashrateAverages(firmware("2.14.2").rows.hashrate_averages)

    for second in range(600):
        averages.update(1000.0 if second < 540 else 2000.0)

    assert averages.one_minute_hs == 2000
    assert averages.ten_minutes_hs == pytest.approx(1100)


def test_a_hash_rate_of_nonces_is_their_number_over_the_time_at_first() -> None:
    rate = NonceRate(10.0)

    shown = [rate.find(10.0 + n, hashes=PER_NONCE) for n in range(1, 100)]

    assert set(shown) == {PER_NONCE}


def test_later_it_is_smoothed_and_reads_high() -> None:
    rate = NonceRate(0.0)
    for n in range(1, 500):
        shown = rate.find(n * 1.0, hashes=PER_NONCE)

    assert shown == pytest.approx(100 / 98 * PER_NONCE, rel=1e-9)
    nine_tenths = 0.9 * shown + 0.1 * PER_NONCE * 100 / (500 + 9 - 402)
    assert rate.find(509.0, hashes=PER_NONCE) == pytest.approx(nine_tenths)


def mining(version: str, *, seed: int = 1) -> tuple[Device, Simulation]:
    device = Device(firmware=version, seed=seed)
    return device, Simulation(device, Pool.for_scaled_work(seed=seed))


@pytest.mark.unwatched
@pytest.mark.parametrize("version", ["2.8.1", "2.10.1"])
def test_an_old_release_reads_a_hash_rate_that_freezes(version: str) -> None:
    device, simulation = mining(version)
    simulation.advance(300)

    device.driver.stop()
    simulation.advance(1)
    before = device.hashrate.current_hs
    simulation.advance(60)

    assert before == pytest.approx(1.071e12, rel=0.3)
    assert device.hashrate.current_hs == before
    assert not any(asic.total_hs for asic in device.asics), "it reads no counters"


def test_expected_is_what_is_stored_or_what_is_applied() -> None:
    old, new = Device(firmware="2.10.1"), Device(firmware="2.11.0")
    for device in (old, new):
        device.patch([("frequency", 400)], 5.0)

    assert old.expected_hashrate_hs == pytest.approx(400e6 * 2040)
    assert new.expected_hashrate_hs == pytest.approx(525e6 * 2040)


def test_from_2_14_it_is_measured_each_second_and_falls_to_0_with_the_jobs() -> None:
    device, simulation = mining("2.14.2")
    simulation.advance(60)
    assert device.hashrate.one_minute_hs == pytest.approx(1.071e12, rel=0.3)

    device.pool_closed(CloseReason.CLOSED, device.now)
    device.step(device.now + 1)

    assert device.hashrate.current_hs == 0


def test_from_2_14_it_is_0_while_the_chips_are_off_and_errors_stay() -> None:
    device, simulation = mining("2.14.2")
    simulation.advance(60)
    errors = device.error_percentage

    device.driver.stop()
    simulation.advance(3)

    assert device.hashrate.current_hs == 0
    assert device.error_percentage == errors
