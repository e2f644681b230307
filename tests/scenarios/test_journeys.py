"""The three journeys of docs/architecture.md, through every layer."""

import json

import pytest
from tests.mining import model_of

from softaxe import Device, Pool, Simulation
from softaxe.api.views import info_body
from softaxe.catalog import board
from softaxe.catalog.lottery import draw
from softaxe.device.events import SaveSettings, ShareAccepted
from softaxe.device.steady import steady_state


@pytest.fixture
def simulation() -> Simulation:
    made = Simulation(Device(seed=1), Pool.for_scaled_work(seed=1))
    made.advance(120)
    made.device.log.take()
    return made


def info(device: Device) -> dict[str, float]:
    answer: dict[str, float] = json.loads(info_body(device))
    return answer


def test_a_new_frequency_ramps_and_everything_follows(simulation: Simulation) -> None:
    device = simulation.device
    simulation.advance(600)
    before = info(device)
    assert model_of(device).chips.frequency_mhz == 525

    device.patch([("frequency", 600), ("coreVoltage", 1200)], simulation.now)
    saved = device.events()
    at_once = info(device)
    simulation.advance(2.0)
    on_the_way = model_of(device).chips.frequency_mhz
    simulation.advance(900)
    after = info(device)

    assert [type(event) for event in saved] == [SaveSettings]
    assert at_once["frequency"] == 600
    assert at_once["expectedHashrate"] == 1071
    assert 525 < on_the_way < 600
    assert on_the_way % 6.25 == 0
    assert model_of(device).chips.frequency_mhz == 600
    assert after["expectedHashrate"] == 1224
    assert after["hashRate_10m"] == pytest.approx(1224, rel=0.03)
    assert after["power"] > before["power"] + 2
    assert after["fanspeed"] > before["fanspeed"] + 10
    assert after["coreVoltageActual"] == pytest.approx(1194, abs=3)


def test_a_frequency_set_while_the_chip_starts_is_not_forgotten() -> None:
    simulation = Simulation(Device(seed=1), Pool.for_scaled_work(seed=1))
    simulation.advance(6)
    simulation.device.patch([("frequency", 490)], simulation.now)
    simulation.advance(20)

    assert model_of(simulation.device).chips.frequency_mhz == 490
    assert info(simulation.device)["expectedHashrate"] == pytest.approx(999.6)


def test_a_notify_becomes_an_accepted_share(simulation: Simulation) -> None:
    device = simulation.device
    simulation.pool.new_block(simulation.now)
    simulation.events.clear()
    simulation.advance(30)

    texts = [f"{line.tag}: {line.text}" for line in device.log.take()]
    order = [
        "stratum_api: rx: {",
        "create_jobs_task: New Work Dequeued",
        "bm1370: Job ID: ",
        "asic_result: ID: ",
        "stratum_api: tx: {",
        "stratum_task: Stratum response time: ",
        "stratum_task: message result accepted",
    ]
    at = 0
    for start in order:
        at = next(i for i in range(at, len(texts)) if texts[i].startswith(start))
    assert ShareAccepted() in simulation.events
    accepted = info(device)["sharesAccepted"]
    assert accepted == simulation.pool.accepted
    assert device.block is not None
    assert device.block.height == simulation.pool.chain.height


def test_heat_reaches_sensor_fan_and_statistics() -> None:
    simulation = Simulation(Device(seed=1), Pool.for_scaled_work(seed=1))
    device = simulation.device
    simulation.advance(5)
    device.patch([("statsFrequency", 60)], simulation.now)
    simulation.advance(1800)

    reading = info(device)
    state = steady_state(draw(board("601"), 1), frequency_mhz=525, core_voltage_mv=1150)
    assert reading["temp"] == pytest.approx(60, abs=1)
    assert reading["vrTemp"] == pytest.approx(state.power.vr_temp_c, abs=2)
    assert reading["power"] == pytest.approx(state.power.power_w, rel=0.02)
    assert reading["fanspeed"] == pytest.approx(state.fan_percent, abs=12)
    rows = list(device.statistics.rows)
    assert len(rows) == pytest.approx(30, abs=1)
    temperatures = [row.temp_c for row in rows]
    assert temperatures[0] < 55 < temperatures[-1]


def test_an_hour_looks_like_a_sample_of_such_a_device() -> None:
    simulation = Simulation(Device(seed=2), Pool.for_scaled_work(seed=2))
    simulation.advance(3700)

    reading = info(simulation.device)
    said = steady_state(draw(board("601"), 2), frequency_mhz=525, core_voltage_mv=1150)
    assert reading["hashRate_1h"] == pytest.approx(1071, rel=0.01)
    assert reading["power"] == pytest.approx(said.power.power_w, abs=0.4)
    assert reading["coreVoltageActual"] == pytest.approx(1144, abs=2)
    volts = said.power.input_voltage_v
    assert reading["voltage"] == pytest.approx(volts * 1000, abs=40)
    assert reading["current"] == pytest.approx(said.power.current_a * 1000, abs=300)
    assert reading["fanrpm"] == pytest.approx(said.fan_rpm, rel=0.5)
    assert reading["errorPercentage"] < 5
    assert reading["sharesRejected"] <= 2  # on the way when a block came
    work = simulation.pool.workers[simulation.device.settings.stratum_user]
    hashes = work.accepted_difficulty * 2**64
    assert hashes == pytest.approx(3650 * 1.071e12, rel=0.15)


STRATUM = """\
stratum_task: Starting heartbeat thread for primary pool: pool.example:3333
stratum_task: Opening connection to pool: pool.example:3333
stratum_task: Connecting to: stratum+tcp://pool.example:3333 (127.0.0.1)
stratum_task: Socket created, connecting to 127.0.0.1:3333
stratum_task: Resetting stratum uid
stratum_task: Clean Jobs: clearing queue
stratum_api: tx: {"id": 1, "method": "mining.configure"
stratum_api: tx: {"id": 2, "method": "mining.subscribe"
stratum_api: tx: {"id": 3, "method": "mining.authorize"
stratum_api: rx: {"id": 1,
stratum_task: Set version mask: 1fffe000
stratum_api: rx: {"id": 2,
stratum_task: Set extranonce:
stratum_api: rx: {"id": 3,
stratum_task: setup message accepted
stratum_task: Set pool difficulty:
stratum_task: Block height
stratum_task: Scriptsig:
create_jobs_task: New Work Dequeued
create_jobs_task: New pool difficulty
create_jobs_task: Set chip version rolls 65535
bm1370: Job ID:
asic_result: ID:
stratum_api: tx: {"id": 5, "method": "mining.submit"
stratum_task: Stratum response time:
stratum_task: message result accepted
"""
"""Begins of lines in the order of the reference, from connection to first share."""


def test_a_connection_is_told_in_the_firmware_s_order() -> None:
    device = Device(
        seed=1, settings={"stratumurl": "pool.example", "stratumport": 3333}
    )
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    said: list[str] = []
    for _ in range(60):
        simulation.advance(1.0)
        said += [f"{line.tag}: {line.text}" for line in device.log.take()]

    wanted, at = STRATUM.splitlines(), 0
    for begin in wanted:
        rest = said[at:]
        found = next((n for n, line in enumerate(rest) if line.startswith(begin)), None)
        assert found is not None, f"{begin!r} is missing, or too early"
        at += found + 1
    first = said.index("stratum_task: Resetting stratum uid")
    assert [line.partition(" {")[0] for line in said[first : first + 5]] == [
        "stratum_task: Resetting stratum uid",
        "stratum_task: Clean Jobs: clearing queue",
        *["stratum_api: tx:"] * 3,
    ]
