"""Whatever is wrong and however a device is set, its numbers belong together.

The relations are those that hold in every answer of a real device that is known; faults
and settings are drawn.
"""

import json
import math
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from softaxe.api.views import info_body
from softaxe.device.device import Device
from softaxe.device.faults import DeviceFaults, Instrument, Sensor
from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.simulation import Simulation
from softaxe.stratum.pool import NO_POOL_FAULTS, Pool, PoolFaults

BOARDS = ("102", "204", "303", "402", "601", "702", "801")
WHOLE = (
    *("bestDiff", "bestSessionDiff", "poolDifficulty", "sharesAccepted"),
    *("sharesRejected", "uptimeSeconds", "fanrpm", "fan2rpm", "coreVoltageActual"),
    *("freeHeap", "freeHeapInternal", "freeHeapSpiram", "blockFound", "overheat_mode"),
)
HEAP_GAP = 31_971

numbers = st.frozensets(st.integers(1, 2), max_size=2)
chips = st.integers(1, 6)
faults = st.builds(
    DeviceFaults,
    ambient_c=st.none() | st.floats(-20, 70),
    dead_fans=numbers,
    blocked_fans=numbers,
    dead_tachometers=numbers,
    first_dead_chip=st.none() | st.none() | chips,
    weak_chips_v=st.dictionaries(chips, st.floats(0, 0.3), max_size=2),
    dead_domains=st.frozensets(st.tuples(chips, st.integers(1, 4)), max_size=4),
    counter_jumps=st.frozensets(
        st.tuples(chips, st.integers(1, 4), st.floats(1e11, 1e18)), max_size=1
    ),
    unstable=st.dictionaries(
        chips, st.tuples(st.floats(0, 0.5), st.floats(0, 1)), max_size=2
    ),
    has_regulator_fault=st.sampled_from([False, False, False, True]),
    sag_v=st.sampled_from([0.0, 0.0, 0.1, 0.7, 2.0]),
    stuck_c=st.dictionaries(st.sampled_from(Sensor), st.floats(-40, 200), max_size=1),
    absent=st.frozensets(st.sampled_from(Instrument), max_size=2),
    has_no_wifi=st.sampled_from([False, False, False, True]),
    reboot_period_s=st.none() | st.none() | st.floats(5, 100),
    heap_leak_bytes_per_s=st.sampled_from([0.0, 500.0, 50_000.0]),
    is_www_erased=st.booleans(),
    www_version=st.sampled_from([None, "v2.8.1", "é"]),
)
pool_faults = st.builds(
    PoolFaults,
    refusal=st.none() | st.sampled_from(["Stale", "é" * 40, ""]),
    is_stale=st.booleans(),
    difficulty=st.none() | st.floats(1e-7, 1e9),
    is_block_next=st.booleans(),
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "frequency": st.integers(50, 1200),
        "coreVoltage": st.integers(500, 2000),
        "autofanspeed": st.sampled_from([0, 1]),
        "manualFanSpeed": st.integers(0, 100),
        "minFanSpeed": st.integers(0, 99),
        "temptarget": st.integers(35, 66),
        "statsFrequency": st.sampled_from([0, 5, 60]),
        "overheat_mode": st.just(0),
    },
)
acts = st.tuples(faults, pool_faults, changes, st.booleans(), st.floats(1, 40))


def is_slinear11(value: float) -> bool:
    """Whether PMBus can say a number: ten bits, and a power of two."""
    exponent = max(-16, math.ceil(math.log2(value / 1024))) if value else 0
    steps = value / 2.0**exponent
    return abs(steps - round(steps)) < 1e-3  # seven decimals of it are printed


def check(info: dict[str, Any], device: Device) -> None:
    """Let every relation hold in an answer."""
    board = device.board
    assert all(isinstance(info[name], int) for name in WHOLE)
    assert all(info[name] is not None for name in info)
    parts = info["freeHeapInternal"] + info["freeHeapSpiram"]
    assert info["freeHeap"] == parts - HEAP_GAP
    assert 0 < info["freeHeapInternal"] < parts

    assert info["bestDiff"] >= info["bestSessionDiff"]
    if info["blockFound"]:
        assert info["bestDiff"] >= info["networkDifficulty"]
    assert info["sharesRejected"] == sum(
        reason["count"] for reason in info["sharesRejectedReasons"]
    )
    if info["sharesAccepted"] or info["sharesRejected"]:
        assert 10 < info["responseTime"] < 1000
        assert info["poolAddrFamily"] == 2
        assert info["blockHeight"] > 0

    averages = [info[f"hashRate_{name}"] for name in ("1m", "10m", "1h")]
    assert all(averages) or not any(averages)
    assert info["hashRate"] >= 0 <= info["errorPercentage"]
    if not info["hashRate"]:
        assert info["errorPercentage"] == 0
    monitored = info["hashrateMonitor"]["asics"]
    assert len(monitored) in {0, board.asic_count}
    for asic in monitored:
        assert len(asic["domains"]) == board.chip.hash_domains
        assert 0 <= asic["errorCount"] < 1 << 32

    assert 0 <= info["fanspeed"] <= 100
    assert info["fan2rpm"] == 0 or board.fan_count > 1
    assert info["temp2"] == -1 or board.sensor_count > 1
    assert (info["wifiRSSI"] == -90) is not device.radio.is_connected
    if device.radio.is_connected:
        assert info["ipv4"]
        assert info["wifiStatus"] == "Connected!"
    assert info["uptimeSeconds"] * 1000 <= device.boot_ms

    if Instrument.POWER in device.faults.absent:
        assert info["current"] == 0
    elif board.has_tps546:
        assert is_slinear11(info["voltage"] / 1000)
        assert is_slinear11(info["current"] / 1000)
        if not info["coreVoltageActual"]:
            assert info["current"] == 0
    else:
        assert info["vrTemp"] == 0
        assert "power_fault" not in info


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    st.sampled_from(BOARDS),
    st.integers(0, 99),
    st.sampled_from([DOCUMENTED, FIRMWARE]),
    st.lists(acts, min_size=1, max_size=3),
)
def test_numbers_belong_together_whatever_is_wrong(
    board: str, seed: int, profile: Any, ordered: list[Any]
) -> None:
    device = Device(board, seed=seed, profile=profile)
    simulation = Simulation(device, Pool.for_scaled_work(seed=seed))
    simulation.advance(20)
    device.patch([("overclockEnabled", 1)], simulation.now)
    for broken, bad_pool, members, is_restarted, seconds in ordered:
        device.set_faults(broken, simulation.now)
        for connection in simulation.pool.connections:
            connection.set_faults(bad_pool, simulation.now)
        device.patch(list(members.items()), simulation.now)
        if is_restarted:
            device.restart(simulation.now)
        for _ in range(3):
            simulation.advance(seconds / 3)
            check(json.loads(info_body(device)), device)
    device.set_faults(DeviceFaults(), simulation.now)
    for connection in simulation.pool.connections:
        connection.set_faults(NO_POOL_FAULTS, simulation.now)
    simulation.advance(60)
    check(json.loads(info_body(device)), device)
