import os
import sys
import threading
import time
from collections.abc import Callable

import pytest

from softaxe import Device, Pool, Simulation
from softaxe.bitcoin import kernel
from softaxe.fleet.search_thread import (
    Budget,
    run_timed,
    searched_per_s,
    yield_to_others,
)


def test_a_search_tells_its_own_cpu_time() -> None:
    simulation = Simulation(Device(seed=1, work="real"), Pool(seed=1))
    simulation.advance(20)
    search = simulation.device.take_search(1 << 18)
    assert search is not None

    began = time.perf_counter()
    found, cpu_s = run_timed(search)
    took = time.perf_counter() - began

    assert found == search.run()
    assert 0 < cpu_s <= took + 0.01


def test_the_speed_of_a_search_is_that_without_the_choice_of_a_kernel() -> None:
    kernel.chosen_variant.cache_clear()
    first = searched_per_s()
    later = max(searched_per_s() for _ in range(3))

    assert first > later / 3


def seen_in_a_search_thread(look: Callable[[], int], *niceness: int) -> list[int]:
    """What a thread that yields to others sees."""
    seen = []

    def run() -> None:
        yield_to_others(*niceness)
        seen.append(look())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="niceness is the process's here")
@pytest.mark.parametrize(("asked", "added"), [((), 19), ((0,), 0), ((5,), 5)])
def test_a_search_thread_lets_others_go_first_as_far_as_it_is_told(
    asked: tuple[int, ...], added: int
) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    seen = seen_in_a_search_thread(
        lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), *asked
    )

    assert seen == [min(19, before + added)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_budget_is_shared_by_all_devices_wherever_they_are() -> None:
    cells = [0.0, 0.0, 0.0]
    parts = [Budget(150, cells, part) for part in range(3)]
    assert [part.cores for part in parts] == [0, 0, 0]

    for part, count in zip(parts, (1, 2, 0), strict=True):
        part.note(count)

    assert [part.cores for part in parts] == [0.5, 1.0, 0.0]
    assert {part.threads for part in parts} == {2}
    alone = Budget(50)
    alone.note(7)
    assert alone.cores == 0.5
