import random

import pytest
from tests.mining import mining

from softaxe.device.load import CpuLoad


def busy(load: CpuLoad, seconds: int, *, jobs_per_s: float = 0.0) -> float:
    for second in range(1, seconds + 1):
        load.look(float(second), is_connected=True, jobs_per_s=jobs_per_s)
    return load.percent


def test_half_of_what_is_told_is_of_the_last_second() -> None:
    load = CpuLoad(0.0)
    first = busy(load, 1)
    load.look(2.0, is_connected=True, jobs_per_s=0.0)
    second = load.percent

    assert first == pytest.approx(3.5)
    assert second == pytest.approx(5.25)


def test_work_makes_it_busier_and_never_more_than_all() -> None:
    idle = busy(CpuLoad(0.0), 20)
    assert busy(CpuLoad(0.0), 20, jobs_per_s=2.0) > idle
    load = CpuLoad(0.0)
    load.count(1000.0)
    assert busy(load, 1) == 50


def test_a_share_takes_some_milliseconds() -> None:
    load, rng = CpuLoad(0.0), random.Random(1)
    assert load.process_ms == 0
    load.send_share(rng)

    assert 1 <= load.process_ms < 10


def test_a_device_that_mines_is_busier_than_one_that_is_paused() -> None:
    simulation = mining(90, firmware="2.14")
    device = simulation.device
    assert device.load is not None
    at_work = device.load.percent
    assert device.load.process_ms > 0
    device.set_paused(True, simulation.now)
    simulation.advance(30)

    assert 0 < device.load.percent < at_work < 50


def test_older_firmware_tells_nothing_of_it() -> None:
    assert mining(1, firmware="2.13").device.load is None
