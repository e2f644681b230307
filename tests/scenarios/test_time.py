"""The same run from the same seed, however time is sliced."""

import random
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mining import model_of

from softaxe import Device, Pool, Simulation
from softaxe.api.views import asic_body, info_body
from softaxe.asic.driver import Driver
from softaxe.device.faults import NO_FAULTS, DeviceFaults


def trace(device: Device) -> tuple[object, ...]:
    rows = [line.plain for line in device.log.take()]
    return info_body(device), rows, tuple(device.statistics.rows)


def alone(steps: list[float], seed: int = 1) -> tuple[object, ...]:
    """A device without a pool, stepped at these times."""
    device = Device(seed=seed, settings={"statsFrequency": 5})
    events = []
    for now in steps:
        device.step(now)
        events += device.events()
    return (*trace(device), tuple(map(str, events)))


@settings(max_examples=15)
@given(cuts=st.lists(st.floats(0.001, 59.9), max_size=60))
def test_one_step_and_many_small_ones_are_the_same(cuts: list[float]) -> None:
    assert alone([60.0]) == alone([*sorted(cuts), 60.0])


def mined(slices: list[float], seed: int) -> tuple[object, ...]:
    simulation = Simulation(
        Device(seed=seed, settings={"statsFrequency": 30}),
        Pool.for_scaled_work(seed=seed),
    )
    for piece in slices:
        simulation.advance(piece)
    device = simulation.device
    return (
        info_body(device),
        tuple(device.statistics.rows),
        tuple(map(str, simulation.events)),
        simulation.pool.accepted,
    )


def test_mining_does_not_depend_on_how_time_is_sliced() -> None:
    pieces = [0.25] * 40 + [1.0] * 10 + [7.5] * 24
    assert mined([sum(pieces)], seed=4) == mined(pieces, seed=4)


def paused_a_while(pieces: list[float], version: str) -> tuple[object, ...]:
    device = Device(seed=4, firmware=version)
    simulation = Simulation(device, Pool.for_scaled_work(seed=4))
    for is_paused in (False, True, False):
        device.set_paused(is_paused, simulation.now)
        for piece in pieces:
            simulation.advance(piece)
    return (*trace(device), simulation.pool.accepted)


@pytest.mark.parametrize("version", ["2.13.2", "2.15.0"])
def test_nor_do_quick_loops_and_pauses(version: str) -> None:
    pieces = [0.0625] * 40 + [0.75] * 50
    assert paused_a_while([sum(pieces)], version) == paused_a_while(pieces, version)


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    assert mined([300.0], seed=5) == mined([300.0], seed=5)
    assert mined([300.0], seed=5) != mined([300.0], seed=6)


def test_counters_never_run_backwards() -> None:
    simulation = Simulation(Device(seed=3), Pool.for_scaled_work(seed=3))
    last = (0, 0.0, 0.0, 0)
    for _ in range(60):
        simulation.advance(5)
        device = simulation.device
        errors = sum(asic.error_count for asic in device.asics)
        now = (
            device.shares.accepted,
            device.best_difficulty,
            device.uptime_s,
            errors,
        )
        assert all(a >= b for a, b in zip(now, last, strict=True))
        last = now
    assert last[0] > 0


def test_energy_is_accounted_for() -> None:
    """What goes in comes out: heat balances power when nothing changes."""
    simulation = Simulation(Device(seed=3), Pool.for_scaled_work(seed=3))
    simulation.advance(900)
    body, board = model_of(simulation.device), simulation.device.board
    power = body.power

    fan_w = body.board.fan.power_w_at_full * body.fan.airflow**3
    assert power.input_power_w == pytest.approx(
        power.core_power_w + power.regulator_heat_w + board.supply.aux_w + fan_w,
        rel=0.01,
    )
    assert power.input_voltage_v * power.input_current_a == pytest.approx(
        power.input_power_w
    )


LIVES = [
    (board, firmware, seed)
    for seed, (board, firmware) in enumerate(
        [("601", "2.12.2"), ("204", "2.15.0"), ("303", "2.12.2"), ("102", "2.13.2")]
    )
]


def lived(board: str, firmware: str, seed: int) -> tuple[object, ...]:
    """What some minutes with changes and faults at random moments leave of a device."""
    chance = random.Random(seed)
    device = Device(board=board, firmware=firmware, seed=seed)
    simulation = Simulation(device, Pool.for_scaled_work(seed=seed))
    for _ in range(8):
        simulation.advance(chance.uniform(5, 40))
        now = device.now
        match chance.randrange(5):
            case 0:
                device.set_faults(DeviceFaults(ambient_c=chance.uniform(0, 90)), now)
            case 1:
                device.set_faults(NO_FAULTS, now)
            case 2:
                device.patch([("frequency", chance.choice([400, 490, 525]))], now)
            case 3:
                device.restart(now)
            case _:
                device.set_paused(chance.random() < 0.5, now)
    lines = [line.plain for line in device.log.take()]
    return lines, info_body(device), asic_body(device), simulation.pool.accepted


@pytest.mark.parametrize(("board", "firmware", "seed"), LIVES)
def test_reading_counters_without_bytes_changes_nothing(
    board: str, firmware: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_bytes = lived(board, firmware, seed)

    monkeypatch.setattr(Driver, "poll", lambda self, chips, before: -inf)

    assert lived(board, firmware, seed) == without_bytes


@pytest.mark.parametrize("board", ["601", "303"])
def test_nothing_is_said_before_the_next_word(board: str) -> None:
    device = Device(board=board, seed=6)
    Simulation(device, Pool.for_scaled_work(seed=6)).advance(40)
    shares, moments = 0, 60

    for _ in range(moments):
        word = device.next_word
        device.step(max(device.now, word - 0.1))
        assert not device.pools.has_data
        device.step(word + 0.1)
        shares += bool(device.data_to_pool())

    assert shares > moments / 4
