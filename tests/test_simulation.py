import pytest
from tests.each import each

from softaxe import Device, Pool, Simulation
from softaxe.bitcoin.coinbase import Output
from softaxe.device.events import (
    ClosePool,
    ConnectPool,
    SaveFlash,
    SaveSettings,
    ShareAccepted,
)
from softaxe.device.profile import FIRMWARE
from softaxe.simulation import LATENCY_S
from softaxe.stratum.pool import PoolFaults


def mining(*, latency_s: float = LATENCY_S) -> Simulation:
    pool = Pool.for_scaled_work(seed=1)
    made = Simulation(Device(seed=1), pool, latency_s=latency_s)
    made.advance(60)
    return made


def test_time_passes_for_both_ends() -> None:
    simulation = mining()

    assert simulation.now == simulation.device.now == 60
    assert simulation.device.shares.accepted == simulation.pool.accepted > 0


def test_an_answer_takes_the_way_there_and_back() -> None:
    at_once, later = mining(latency_s=0.0), mining(latency_s=0.25)

    assert 11 < at_once.device.response_time_ms < 251, "in the air"
    assert 511 < later.device.response_time_ms < 751


def test_facts_are_kept_and_requests_carried_out() -> None:
    simulation = mining()
    simulation.device.patch([("statsFrequency", 60)], simulation.now)
    simulation.advance(1)

    assert ShareAccepted() in simulation.events
    requests = ConnectPool | ClosePool | SaveSettings | SaveFlash
    assert not [event for event in simulation.events if isinstance(event, requests)]


@pytest.mark.unwatched
def test_a_pool_that_is_not_reachable_is_not_reached() -> None:
    asked: list[tuple[str, int]] = []

    def reachable(host: str, port: int) -> bool:
        asked.append((host, port))
        return port == 3334

    device = Device(
        seed=1,
        settings={
            "stratumurl": "one.example",
            "stratumport": 3333,
            "fbstratumurl": "two.example",
            "fbstratumport": 3334,
        },
    )
    simulation = Simulation(device, Pool.for_scaled_work(seed=1), reachable=reachable)
    simulation.advance(300)

    assert asked[0] == ("one.example", 3333)
    assert ("two.example", 3334) in asked
    assert device.pools.is_using_fallback
    assert device.shares.accepted > 0


def test_a_dropped_connection_is_told_and_made_anew() -> None:
    simulation = mining()
    before = simulation.device.shares.accepted
    simulation.device.log.take()

    simulation.drop_connections()
    assert not simulation.pool.connections
    simulation.advance(60)

    texts = [line.text for line in simulation.device.log.take()]
    assert any("Socket created, connecting to" in text for text in texts)
    assert len(simulation.pool.connections) == 1
    assert simulation.device.shares.accepted > before


PAID = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


@pytest.mark.unwatched
@each(
    ("firmware", "no_shares"),
    [("2.8.1", 0), ("2.10.1", 2), ("2.13.2", 2), ("2.15.0", 0)],
)
def test_every_firmware_mines_on_the_built_in_pool(
    firmware: str, no_shares: int
) -> None:
    settings: dict[str, str | int | float] = {
        "stratumuser": f"{PAID}.one",
        "stratumxnsub": 1,
    }
    device = Device(seed=1, firmware=firmware, profile=FIRMWARE, settings=settings)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(40)
    (connection,) = simulation.pool.connections
    simulation.pool.new_block(simulation.now)
    is_told = connection.change_extranonce()
    simulation.advance(15)

    assert simulation.pool.accepted >= 5
    # Answers to what subscribes to extranonces, which some take for shares.
    assert device.shares.accepted == simulation.pool.accepted + no_shares
    assert simulation.pool.totals.rejected.total() == 0
    assert is_told is (firmware != "2.8.1")
    block = device.block
    if firmware in ("2.8.1", "2.10.1"):
        assert block is None
    else:
        assert block is not None
        value_sat = simulation.pool.chain.template.value_sat
        assert block.outputs == (Output(value_sat, PAID, is_user=True),)
        assert block.height == simulation.pool.height


def test_a_block_on_order_is_luck_however_late_its_job_comes() -> None:
    simulation = Simulation(Device(seed=1), Pool.for_scaled_work(seed=1))
    simulation.advance(60)
    assert simulation.device.block is not None
    network_difficulty = simulation.device.block.network_difficulty

    for connection in simulation.pool.connections:
        connection.set_faults(PoolFaults(is_block_next=True), simulation.now)
    simulation.advance(60)

    device = simulation.device
    assert device.block is not None
    assert device.block.network_difficulty == network_difficulty
    assert device.mining.blocks_found
    assert device.best_difficulty >= network_difficulty


@pytest.mark.unwatched
@pytest.mark.parametrize("version", ["2.14.2", "2.15.0"])
@pytest.mark.parametrize("channel", ["extended", "standard"])
def test_a_device_mines_by_stratum_v2(version: str, channel: str) -> None:
    settings = {"stratumprot": "SV2", "sv2chantype": channel}
    device = Device(seed=1, firmware=version, settings=settings)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(86)
    simulation.pool.new_block(simulation.now)
    simulation.advance(30)

    assert device.shares.accepted == simulation.pool.accepted > 10
    assert device.shares.rejected == 0
    assert device.pools.connection_info == "IPv4"
    assert device.pools.response_batch == 1
    assert 11 < device.response_time_ms < 251
    height = simulation.pool.height if channel == "extended" else None
    assert (device.mining.block and device.mining.block.height) == height
    assert simulation.entrance is not None
    kind = "ext job" if channel == "extended" else "job"
    assert any(
        f"New Work Dequeued SV2 {kind}" in line.text for line in device.log.take()
    )
