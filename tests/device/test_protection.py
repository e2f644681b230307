"""Overheating and power faults, on boards that can do different things about them."""

import pytest
from msgspec.structs import replace
from tests.mining import logged, mining, model_of

from softaxe import Device, Pool, Simulation
from softaxe.catalog import Board, board
from softaxe.device.events import Overheated
from softaxe.device.faults import DeviceFaults, Instrument, Sensor
from softaxe.device.stopping import StopReason


def stop_fan(simulation: Simulation) -> None:
    simulation.device.patch([("autofanspeed", 0), ("fanspeed", 0)], simulation.now)


def stop_fan_by_hand(simulation: Simulation) -> None:
    simulation.device.patch(
        [("autofanspeed", 0), ("manualFanSpeed", 0)], simulation.now
    )


def overheat(simulation: Simulation) -> list[str]:
    """Run until the protection acts; return the log of that pass."""
    device = simulation.device
    device.log.take()
    for _ in range(3600):
        simulation.advance(1.0)
        if device.settings.is_overheated:
            return logged(device)
        device.log.take()
    raise AssertionError("it never overheated")


def hot_regulator(version: str) -> Board:
    """A board whose regulator has lost its heat sink."""
    row = board(version)
    worse = row.cooling.vr_to_air_k_per_w * 5
    return replace(row, cooling=replace(row.cooling, vr_to_air_k_per_w=worse))


def weak_supply(version: str, ohm: float) -> Board:
    row = board(version)
    return replace(row, supply=replace(row.supply, resistance_ohm=ohm))


@pytest.mark.unwatched
@pytest.mark.parametrize("version", ["601", "402", "207", "302", "702", "801"])
def test_a_board_with_a_tps546_recovers_at_lower_settings(version: str) -> None:
    simulation = mining(90, board=version)
    device = simulation.device
    before = device.settings
    stop_fan(simulation)
    overheat(simulation)
    accepted = device.shares.accepted
    simulation.advance(90)

    assert not device.settings.is_overheated
    assert device.settings.core_voltage_mv == before.core_voltage_mv - 100
    assert device.settings.frequency_mhz == before.frequency_mhz - 100
    assert device.settings.fan_manual_percent == 100
    assert not device.settings.is_fan_automatic
    assert device.power_fault is None
    simulation.advance(120)
    assert device.shares.accepted > accepted
    assert model_of(device).chips.frequency_mhz == pytest.approx(
        before.frequency_mhz - 100
    )


@pytest.mark.unwatched
@pytest.mark.parametrize("version", ["205", "401"])
def test_a_board_that_cannot_switch_on_again_stays_off_until_a_restart(
    version: str,
) -> None:
    simulation = mining(90, board=version)
    device = simulation.device
    stop_fan(simulation)
    overheat(simulation)
    simulation.advance(400)

    log = logged(device)
    assert device.settings.is_overheated
    assert "E ASIC initialization failed - chip count 0" in log
    assert device.core_voltage_actual_v == 0
    assert device.readings.temp_c == -1

    device.patch([("overheat_mode", 0)], simulation.now)
    device.restart(simulation.now)
    simulation.advance(120)
    assert not device.settings.is_overheated
    assert device.shares.accepted > 0


@pytest.mark.unwatched
def test_a_board_that_cannot_switch_off_cools_in_reset_and_goes_on() -> None:
    simulation = mining(90, board="204")
    device = simulation.device
    stop_fan(simulation)
    overheat(simulation)
    simulation.advance(5)
    assert device.core_voltage_actual_v > 1.1
    assert device.readings.temp_c > 75

    simulation.advance(300)
    assert not device.settings.is_overheated
    assert device.settings.frequency_mhz == 385


def test_a_board_with_a_sensor_of_its_own_waits_until_it_is_cool() -> None:
    simulation = mining(90, board="205")
    stop_fan(simulation)
    overheat(simulation)
    simulation.advance(400)

    cooling = [line for line in logged(simulation.device) if "Safe mode active" in line]
    assert cooling[0].startswith("W Safe mode active (cycle 1) - VR: 0.0C ASIC1: ")
    assert cooling[0].endswith(" ASIC2: -1.0C")
    hot = [
        line for line in cooling if float(line.split("ASIC1: ")[1].split("C")[0]) > 45
    ]
    assert len(cooling) == len(hot) + 6
    assert all("(cycle 1)" in line for line in hot)


@pytest.mark.unwatched
def test_two_sensors_are_both_told() -> None:
    simulation = mining(90, board="801")
    stop_fan(simulation)
    log = overheat(simulation)

    told = next(line for line in log if "OVERHEAT!" in line)
    assert " ASIC1: " in told
    assert " ASIC2: " in told


@pytest.mark.unwatched
def test_the_regulator_s_heat_alone_is_enough_and_is_waited_for() -> None:
    simulation = mining(90, board=hot_regulator("601"))
    device = simulation.device
    overheat(simulation)

    fact = next(e for e in simulation.events if isinstance(e, Overheated))
    assert fact.vr_c > 105
    assert fact.chip_c < 75
    simulation.advance(60)
    assert not device.settings.is_overheated


def test_exactly_the_limit_is_not_too_hot() -> None:
    simulation = mining(90, board="601")
    model_of(simulation.device).stuck_c = {Sensor.CHIP: 75.0}
    simulation.advance(60)

    assert not simulation.device.settings.is_overheated


def test_while_it_cools_the_answers_stand_still() -> None:
    simulation = mining(90, board="601")
    device = simulation.device
    stop_fan(simulation)
    overheat(simulation)
    then = device.readings
    rate_hs = device.hashrate.current_hs
    simulation.advance(20)

    assert device.readings == then
    assert device.hashrate.current_hs == rate_hs
    assert device.readings.fan_percent == 100


def test_the_flag_at_boot_is_only_information() -> None:
    device = Device(seed=1, settings={"overheat_mode": 1})
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(60)

    log = logged(device)
    assert "I Initial overheat_mode value: 1" in log
    assert "I Existing overheat_mode value: 1" in log
    assert device.settings.is_overheated
    assert device.shares.accepted > 0
    device.patch([("overheat_mode", 0)], simulation.now)
    simulation.advance(4)
    assert "I Overheat mode updated to: 0" in logged(device)


def test_a_supply_that_gives_way_is_a_power_fault_told_once() -> None:
    simulation = mining(10, board=weak_supply("601", 0.4))
    device = simulation.device
    log = logged(device)
    for _ in range(20):
        simulation.advance(1.0)
        log += logged(device)

    faults = [line for line in log if "undervoltage fault has occurred" in line]
    assert faults
    assert log.count("E Status: 0x2008") == len(faults) == 1
    assert device.power_fault == "Power Fault Detected."


def test_an_overcurrent_stays_a_fault_until_a_restart() -> None:
    row = board("601")
    limits = replace(row.regulator, iout_oc_fault_a=11.0)
    simulation = mining(90, board=replace(row, regulator=limits))
    device = simulation.device
    log = logged(device)

    assert device.power_fault == "Power Fault Detected."
    assert "E The voltage regulator is turned off" in log
    assert "E An output overcurrent fault has occurred" in log
    accepted = device.shares.accepted
    simulation.advance(60)
    assert device.shares.accepted == accepted
    assert device.core_voltage_actual_v == 0

    device.patch([("frequency", 400), ("coreVoltage", 1100)], simulation.now)
    simulation.advance(4)
    assert device.power_fault == "Power Fault Detected."
    device.restart(simulation.now)
    simulation.advance(20)
    assert device.power_fault is None
    assert device.core_voltage_actual_v > 1.0


def test_boards_without_a_talking_regulator_never_report_a_fault() -> None:
    simulation = mining(90, board=weak_supply("401", 0.4))

    assert simulation.device.power_fault is None


def test_without_wifi_the_fan_runs_at_seventy_percent() -> None:
    device = Device(seed=1, settings={"wifissid": ""})
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(30)

    assert device.readings.fan_percent == 70
    assert device.readings.temp_c == -1
    assert (
        "W AP mode with invalid temperature reading: -1.0 °C - Setting fan to 70%"
        in logged(device)
    )


def test_the_fan_goes_from_seventy_to_full_to_the_controller() -> None:
    device = Device(seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    seen: list[float] = []
    for _ in range(400):
        simulation.advance(0.1)
        if not seen or device.readings.fan_percent != seen[-1]:
            seen.append(device.readings.fan_percent)

    assert seen[:3] == [0, 70, 100]
    assert 25 in seen  # cold still: the controller lets the fan idle
    assert device.readings.temp_c > 30


@pytest.mark.unwatched
def test_the_least_fan_speed_waits_for_a_restart() -> None:
    simulation = mining(600, board="601")
    device = simulation.device
    device.patch([("minFanSpeed", 80)], simulation.now)
    simulation.advance(60)
    assert device.readings.fan_percent < 70

    device.restart(simulation.now)
    simulation.advance(60)
    assert device.readings.fan_percent >= 80


@pytest.mark.unwatched
@pytest.mark.parametrize(("version", "after_mhz"), [("601", 425), ("402", 390)])
def test_from_2_14_overheating_stops_mining_and_starts_it_at_less(
    version: str, after_mhz: int
) -> None:
    simulation = mining(90, board=version, firmware="2.14")
    device = simulation.device
    before_mv = device.settings.core_voltage_mv
    stop_fan_by_hand(simulation)
    log = overheat(simulation)

    told = next(line for line in log if "OVERHEAT!" in line)
    assert told.startswith("E OVERHEAT! VR: ")
    assert told.endswith("°C")
    assert log.index("I Stopping mining") > log.index(told)
    assert device.tells_overheat is False
    assert device.readings.fan_percent == 100

    simulation.advance(15)
    log = logged(device)
    assert "I Mining stopped" in log
    assert any(
        line.startswith("W Safe mode active (cycle 1/6) - VR: ") and "°C (" in line
        for line in log
    )
    assert device.stop_reasons == [StopReason.OVERHEAT]
    assert device.expected_hashrate_hs == 0
    assert device.actual_frequency_mhz == 50
    assert device.tells_overheat is False

    simulation.advance(60)
    log = logged(device)
    before_mhz = after_mhz + 100
    assert (
        f"I Restoring at reduced settings: {before_mv - 100}mV (was {before_mv}mV), "
        f"{after_mhz} MHz (was {before_mhz} MHz)" in log
    )
    assert "I Mining started successfully (1 chip(s))" in log
    assert device.stop_reasons == []
    assert not device.settings.is_overheated
    assert not device.settings.is_fan_automatic
    assert device.settings.fan_manual_percent == 100
    assert device.actual_frequency_mhz == device.settings.frequency_mhz == after_mhz


@pytest.mark.unwatched
def test_from_2_14_a_line_that_is_opened_is_closed_again() -> None:
    simulation = mining(90, board="205", firmware="2.14")
    device = simulation.device
    stop_fan_by_hand(simulation)
    overheat(simulation)
    simulation.advance(400)

    assert not device.settings.is_overheated
    assert model_of(device).chips.is_hashing


def test_a_start_that_finds_no_chip_shows_the_overheating() -> None:
    simulation = mining(90, firmware="2.15")
    device = simulation.device
    stop_fan_by_hand(simulation)
    overheat(simulation)
    simulation.advance(10)
    device.set_faults(DeviceFaults(first_dead_chip=1), simulation.now)
    simulation.advance(60)

    assert "E Mining start failed - ASIC not detected" in logged(device)
    assert device.is_mining_stopped
    assert device.tells_overheat is True


@pytest.mark.unwatched
@pytest.mark.parametrize(
    ("firmware", "is_live"), [("2.12.2", True), ("2.13", False), ("2.14", False)]
)
def test_current_and_core_voltage_are_measured_when_asked_or_in_a_pass(
    firmware: str, is_live: bool
) -> None:
    device = mining(90, firmware=firmware).device
    model_of(device).absent = frozenset({Instrument.POWER})

    assert (device.current_a == 0) is is_live
    assert (device.core_voltage_actual_v == 0) is is_live


@pytest.mark.unwatched
@pytest.mark.parametrize("firmware", ["2.12.2", "2.14"])
def test_quick_passes_are_taken_when_there_is_something_new(firmware: str) -> None:
    simulation = mining(90, firmware=firmware)
    device = simulation.device
    simulation.advance(0.05)
    device.patch([("coreVoltage", 1100)], simulation.now)
    device.log.take()
    simulation.advance(0.1)

    is_quick = firmware == "2.14"
    assert ("I setting new vcore voltage to 1100mV" in logged(device)) is is_quick


@pytest.mark.unwatched
@pytest.mark.parametrize("version", ["2.8.1", "2.9.0", "2.10.1"])
def test_an_old_release_writes_the_least_and_restarts(version: str) -> None:
    simulation = mining(90, firmware=version)
    device = simulation.device
    before = device.booted_at
    stop_fan(simulation)
    overheat(simulation)
    simulation.advance(120)

    stored = device.settings
    assert device.booted_at > before
    assert (stored.frequency_mhz, stored.core_voltage_mv) == (50, 1000)
    assert (stored.is_fan_automatic, stored.fan_manual_percent) == (False, 100)
    assert stored.is_overheated, "until somebody clears it"
    assert device.driver.frequency_mhz == 50
    assert device.hashrate.current_hs == pytest.approx(50e6 * 2040, rel=0.5)
    device.patch([("overheat_mode", 0)], simulation.now)
    assert not device.settings.is_overheated


@pytest.mark.unwatched
@pytest.mark.parametrize(("version", "mhz"), [("2.11.0", 425), ("2.12.0", 400)])
def test_a_bm1397_takes_a_new_frequency_at_once_from_2_12_on(
    version: str, mhz: int
) -> None:
    simulation = mining(40, board="102", firmware=version)
    device = simulation.device
    device.patch([("frequency", 400)], simulation.now)
    simulation.advance(20)
    assert device.driver.frequency_mhz == mhz

    device.restart(simulation.now)
    simulation.advance(40)
    assert device.driver.frequency_mhz == 400


@pytest.mark.parametrize(("version", "is_minded"), [("2.9.0", False), ("2.10.0", True)])
def test_a_second_sensor_is_minded_from_2_10_on(
    version: str, *, is_minded: bool
) -> None:
    simulation = mining(40, board="800", firmware=version)
    device = simulation.device
    before = device.booted_at

    device.set_faults(DeviceFaults(stuck_c={Sensor.CHIP2: 80.0}), device.now)
    simulation.advance(10)

    assert device.settings.is_overheated is is_minded
    assert (device.booted_at > before) is is_minded
