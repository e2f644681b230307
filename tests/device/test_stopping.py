"""Mining that a user stops, and what a stopped device shows."""

import pytest
from tests.mining import logged, mining, model_of

from softaxe import Device, Pool, Simulation
from softaxe.device.stopping import StopReason


def test_a_pause_ramps_down_and_takes_the_power() -> None:
    simulation = mining(90, firmware="2.14")
    device = simulation.device
    device.log.take()

    device.set_paused(True, simulation.now)
    simulation.advance(4)
    assert "I Stopping mining" in logged(device)
    assert device.is_paused
    assert not device.is_mining_stopped
    assert 50 < device.actual_frequency_mhz < 525

    simulation.advance(6)
    log = logged(device)
    assert log.index("I Set ASIC voltage = 0.000V") < log.index("I Mining stopped")
    assert device.is_mining_stopped
    assert device.stop_reasons == [StopReason.PAUSE]
    assert device.chain.is_on is False
    assert device.actual_frequency_mhz == 50
    assert device.expected_hashrate_hs == 0
    assert device.readings.temp_c == -1
    assert device.readings.power_w == device.board.power_offset_w
    assert device.readings.fan_percent == 30
    assert device.settings.frequency_mhz == 525
    assert device.power_fault is None


@pytest.mark.unwatched
def test_a_resumed_device_mines_with_what_was_set_meanwhile() -> None:
    simulation = mining(90, firmware="2.15")
    device = simulation.device
    device.set_paused(True, simulation.now)
    simulation.advance(20)
    accepted = device.shares.accepted
    device.patch([("frequency", 490), ("coreVoltage", 1100)], simulation.now)
    simulation.advance(5)
    assert model_of(device).power.core_voltage_setting_v == 0
    device.log.take()

    device.set_paused(False, simulation.now)
    simulation.advance(60)

    log = logged(device)
    assert log.index("I Starting mining") < log.index("I Set ASIC voltage = 1.100V")
    assert "I Starting ASIC initialization (recovery mode)" in log
    assert "I Mining started successfully (1 chip(s))" in log
    assert device.actual_frequency_mhz == 490
    assert device.expected_hashrate_hs == device.board.expected_hashrate_hs(490)
    assert device.shares.accepted > accepted


def test_the_clock_told_is_what_the_dividers_give() -> None:
    simulation = mining(60, firmware="2.14")
    device = simulation.device
    device.patch([("frequency", 526.3)], simulation.now)
    simulation.advance(2)

    set_mhz = device.settings.frequency_mhz
    assert set_mhz == pytest.approx(526.3)
    assert device.actual_frequency_mhz == 527.5
    assert device.expected_hashrate_hs == device.board.expected_hashrate_hs(set_mhz)


def test_who_resumes_while_it_stops_waits_for_both() -> None:
    simulation = mining(90, firmware="2.14")
    device = simulation.device
    device.log.take()
    device.set_paused(True, simulation.now)
    device.set_paused(True, simulation.now)
    simulation.advance(1)
    device.set_paused(False, simulation.now)
    simulation.advance(30)

    log = logged(device)
    assert log.count("I Mining stopped") == log.count("I Starting mining") == 1
    assert model_of(device).chips.is_hashing


@pytest.mark.unwatched
def test_a_restart_ends_a_pause() -> None:
    simulation = mining(90, firmware="2.14")
    device = simulation.device
    device.set_paused(True, simulation.now)
    simulation.advance(20)
    device.restart(simulation.now)
    simulation.advance(40)

    assert not device.is_paused
    assert model_of(device).chips.is_hashing


def test_a_device_without_wifi_can_be_paused_and_stops_once_it_mines() -> None:
    device = Device(settings={"wifissid": ""}, firmware="2.14")
    device.step(20)
    device.set_paused(True, 20)
    device.step(30)

    assert device.is_paused
    assert device.stop_reasons == [StopReason.PAUSE]
    assert not device.is_mining_stopped
    assert device.readings.fan_percent == 30


@pytest.mark.parametrize(("board", "is_seen"), [("601", False), ("205", True)])
def test_a_sensor_beside_the_chip_goes_on_while_mining_is_stopped(
    board: str, is_seen: bool
) -> None:
    simulation = mining(60, board=board, firmware="2.14")
    device = simulation.device
    device.set_paused(True, simulation.now)
    simulation.advance(20)

    assert device.is_mining_stopped
    assert (device.readings.temp_c > 0) is is_seen


def test_without_a_pool_mining_stops_until_one_answers() -> None:
    device = Device(firmware="2.14")
    hosts = {device.pools.primary.url}
    simulation = Simulation(
        device, Pool.for_scaled_work(), reachable=lambda host, port: host in hosts
    )
    simulation.advance(60)
    hosts.clear()
    simulation.drop_connections()
    simulation.advance(60)

    assert device.stop_reasons == [StopReason.NO_POOL]
    assert device.is_mining_stopped
    assert not device.is_paused
    assert device.is_using_fallback
    assert device.readings.fan_percent == 30
    assert "I Set to No pool mode, fan speed: 30.0%" in logged(device)

    hosts.add(device.pools.primary.url)
    simulation.advance(60)
    assert device.stop_reasons == []
    assert not device.is_using_fallback
    assert model_of(device).chips.is_hashing
    simulation.advance(60)
    assert device.shares.accepted > 0
