"""Chips that are missing, dying or hard to understand, as a whole device sees them."""

import json

from tests.mining import model_of

from softaxe import Device, Pool, Simulation
from softaxe.api.views import info_body


def started(board: str, seconds: float, *, working: int | None = None) -> Simulation:
    device = Device(board=board, seed=1)
    if working is not None:
        model_of(device).chips.set_working(working, device.now)
    made = Simulation(device, Pool.for_scaled_work(seed=1))
    made.advance(seconds)
    return made


def test_a_hex_one_chip_short_mines_with_five() -> None:
    simulation = started("hex", 15, working=5)
    said = [line.text for line in simulation.device.log.take()]
    simulation.advance(105)
    device = simulation.device

    assert "5 chip(s) detected on the chain, expected 6" in said
    info = json.loads(info_body(device))
    totals = [chip["total"] for chip in info["hashrateMonitor"]["asics"]]
    assert len(totals) == 6
    assert totals[5] == 0
    assert all(total > 300 for total in totals[:5])
    assert info["hashRate_1m"] < 0.87 * info["expectedHashrate"]
    assert device.shares.accepted > 0
    assert device.shares.rejected <= 1


def test_without_any_chip_the_page_is_all_that_runs() -> None:
    device = started("601", 60, working=0).device

    said = [line.text for line in device.log.take()]
    assert "ASIC initialization failed - chip count 0" in said
    info = json.loads(info_body(device))
    assert (info["hashRate"], info["temp"], info["fanspeed"]) == (0, -1, 100)
    assert info["poolDifficulty"] == 0  # the mining tasks never started
    assert device.is_on_network


def test_a_chip_that_dies_keeps_its_rate_but_finds_nothing() -> None:
    simulation = started("801", 120)
    device = simulation.device
    model_of(device).chips.set_working(1, simulation.now)
    simulation.advance(60)
    before = [asic.total_hs for asic in device.asics]
    power_w, accepted = device.readings.power_w, device.shares.accepted
    simulation.advance(300)

    after = [asic.total_hs for asic in device.asics]
    assert after[1] == before[1] > 0
    assert after[0] != before[0]
    assert device.shares.accepted > accepted
    assert power_w < 30  # half of the chips no longer switch


def test_a_noisy_line_costs_frames_and_is_counted() -> None:
    simulation = started("601", 60)
    device = simulation.device
    driver = device.driver
    driver.receive(b"\xaa\x55\x01\x02\x03\x04\x05\x06\x07\x08\x09", device.now)
    simulation.advance(5)
    assert driver.bad_frames == 1
    said = [line.text for line in device.log.take()]
    assert "Reply with a wrong preamble or checksum, skipped" in said

    driver.receive(b"\xaa\x55\x01", device.now)  # and then a byte is lost
    accepted = device.shares.accepted
    simulation.advance(120)
    assert driver.bad_frames >= 2
    assert device.shares.accepted > accepted
    device.chain.receive(b"\x55\xaa\x51\x09\x00\x08\x40\xa8\x02\x30\x1f", device.now)
    assert device.chain.bad_frames == 1
    assert model_of(device).chips.frequency_mhz == 525
