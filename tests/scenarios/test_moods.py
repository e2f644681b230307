"""A device in trouble: heat, thin voltage, lost pools, blocks."""

import pytest
from tests.mining import logged, mining

from softaxe import Device, Pool, Simulation
from softaxe.device.events import BlockFound, Overheated
from softaxe.stratum.pool import PoolFaults


def test_a_slow_fan_overheats_and_the_device_recovers_reduced() -> None:
    simulation = mining(120)
    device = simulation.device
    device.patch([("autofanspeed", 0), ("fanspeed", 20)], simulation.now)
    while not device.settings.is_overheated:
        simulation.advance(1.0)
    hot = device.readings

    assert hot.temp_c > 75
    assert hot.fan_percent == 100
    assert device.settings.is_fan_automatic is False
    assert device.settings.fan_manual_percent == 100
    assert any(isinstance(event, Overheated) for event in simulation.events)
    simulation.advance(2.0)
    assert device.core_voltage_actual_v == 0
    assert device.readings.temp_c == hot.temp_c
    accepted = device.shares.accepted
    simulation.advance(25.0)
    assert device.settings.is_overheated
    assert device.shares.accepted <= accepted + 1

    simulation.advance(30.0)
    assert not device.settings.is_overheated
    assert device.settings.core_voltage_mv == 1050
    assert device.settings.frequency_mhz == 425
    assert device.settings.is_fan_automatic is False
    log = logged(device)
    assert any(line.startswith("E OVERHEAT! VR: ") for line in log)
    cycles = [line for line in log if "Safe mode active (cycle" in line]
    assert len(cycles) == 6
    assert (
        "I Restoring core voltage to 1050mV = 1.050V (reduced from 1150mV = 1.150V)..."
        in log
    )
    simulation.advance(120.0)
    assert device.chain.frequency_mhz == 425
    assert device.shares.accepted > accepted
    assert device.readings.temp_c < 60


def test_a_second_overheat_asks_for_too_little_voltage_as_the_firmware_does() -> None:
    simulation = mining(120)
    device = simulation.device
    device.patch([("overclockEnabled", 1), ("coreVoltage", 1000)], simulation.now)
    device.patch([("autofanspeed", 0), ("fanspeed", 0)], simulation.now)
    simulation.advance(400.0)

    assert device.settings.is_overheated
    assert any("is out of range" in line for line in logged(device))


def test_after_recovery_only_the_pool_s_version_bits_are_rolled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("softaxe.stratum.pool.VERSION_MASK", 0x00C00000)
    simulation = mining(120)
    device = simulation.device
    device.patch([("autofanspeed", 0), ("fanspeed", 15)], simulation.now)
    simulation.advance(400)

    assert device.settings.frequency_mhz == 425
    assert device.shares.accepted > 0
    assert device.shares.rejected == 0


def test_a_pool_without_version_rolling_gets_plain_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("softaxe.stratum.pool.VERSION_MASK", 0)
    simulation = mining(120)

    assert simulation.device.shares.accepted > 5
    assert simulation.device.shares.rejected == 0


def test_too_little_voltage_costs_hash_rate_and_shows_as_errors() -> None:
    simulation = mining(120)
    device = simulation.device
    simulation.advance(900)
    good_hs, good_errors = device.hashrate.ten_minutes_hs, device.error_percentage

    device.patch([("overclockEnabled", 1), ("coreVoltage", 1000)], simulation.now)
    simulation.advance(900)

    assert device.hashrate.ten_minutes_hs < 0.97 * good_hs
    assert device.error_percentage > good_errors + 0.5


def test_the_fallback_takes_over_and_the_heartbeat_leads_back() -> None:
    down: set[int] = set()
    simulation = Simulation(
        Device(seed=1, settings={"stratumport": 1, "fbstratumport": 2}),
        Pool.for_scaled_work(seed=1),
        reachable=lambda host, port: port not in down,
    )
    device = simulation.device
    simulation.advance(60)
    assert not device.is_using_fallback

    down.add(1)
    simulation.drop_connections()
    simulation.advance(30)
    assert device.is_using_fallback
    simulation.advance(60)
    assert device.shares.accepted > 0

    down.clear()
    simulation.advance(130)
    assert not device.is_using_fallback
    simulation.advance(60)
    assert device.pools.is_connected


def test_no_pool_at_all_is_told_in_words_and_survived() -> None:
    simulation = Simulation(
        Device(seed=1), Pool(seed=1), reachable=lambda host, port: False
    )
    simulation.advance(120)

    log = logged(simulation.device)
    assert any("Socket unable to connect to" in line for line in log)
    assert simulation.device.hashrate.current_hs == 0
    assert simulation.device.pool_address_family == 0


def test_stale_shares_are_told_apart_by_their_reason() -> None:
    simulation = mining(120)
    device = simulation.device
    (connection,) = simulation.pool.connections
    connection.set_faults(PoolFaults(refusal="Pool is full"), device.now)
    simulation.advance(60)

    (reason,) = device.shares.rejected_reasons
    assert reason.message == "Pool is full"
    assert reason.count == device.shares.rejected > 5


def test_a_found_block_is_told_everywhere() -> None:
    simulation = Simulation(
        Device(seed=1),
        Pool(seed=1, start_difficulty=1000 / 2**32, network_difficulty=20_000 / 2**32),
    )
    device = simulation.device
    said: list[str] = []
    for _ in range(60):
        simulation.advance(5)
        said += logged(device)

    assert device.shows_block
    assert simulation.pool.blocks_found > 0
    found = [event for event in simulation.events if isinstance(event, BlockFound)]
    assert found
    assert all(event.difficulty > 19_000 for event in found)
    told = [line for line in said if "FOUND BLOCK!!!!!!!!!!!!!!!!!!!!!! " in line]
    assert len(told) == len(found)


def test_a_reconnect_of_the_pool_costs_nothing_but_a_second() -> None:
    simulation = mining(120)
    for connection in list(simulation._connections.values()):
        connection.request_reconnect()
    simulation.advance(30)

    assert simulation.device.pools.is_connected
    assert not simulation.device.is_using_fallback


@pytest.mark.parametrize("size", [2, 3, 4, 8])
def test_every_usual_extranonce2_size_works(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softaxe.stratum.pool.EXTRANONCE2_SIZE", size)
    simulation = mining(120)
    simulation.advance(60)

    assert simulation.device.shares.accepted > 10
    assert simulation.device.shares.rejected == 0
