"""Threads that search: they keep to a budget, and stay out of the way."""

import os
import sys
import time
from collections.abc import MutableSequence

from softaxe.asic.chip import Search
from softaxe.bitcoin import kernel
from softaxe.bitcoin.kernel import HEADER_BYTES

CPU_PERCENT = (1, 6400)
"""Of one core, for all real work."""
NICENESS = (0, 19)
"""Added to the process's; the last is the least priority."""
FIRST_MEASURE_NONCES = 1 << 9
MEASURE_S = 0.002
"""Of the CPU, that a measurement takes at least."""


class Budget:
    """The CPU for real work, shared fairly by all devices of a fleet that do it.

    Args:
        percent: Of one core, for all of them.
        cells: Shared by the processes of a fleet: how many each has.
        part: Whose view of it this is, from 0.
    """

    def __init__(
        self,
        percent: int,
        cells: MutableSequence[float] | None = None,
        part: int = 0,
    ) -> None:
        self.threads = max(1, -(-percent // 100))
        """As many as may be needed: all devices may be in one process."""
        self._cores = percent / 100
        self._cells = [0.0] if cells is None else cells
        self._part = part

    @property
    def of_loop(self) -> float:
        """What of the one core of its event loop a process may use, each alike."""
        return min(1.0, self._cores / len(self._cells))

    def note(self, count: int) -> None:
        """Take down how many devices of this process do real work."""
        self._cells[self._part] = count

    @property
    def cores(self) -> float:
        """What this process may use."""
        return self._cores * self._cells[self._part] / max(1.0, sum(self._cells))


def searched_per_s() -> float:
    """Measure how many hashes a core searches in a second that is all its own."""
    kernel.chosen_variant()  # which takes longer than what is measured
    nonces, took_s = FIRST_MEASURE_NONCES, 0.0
    while took_s < MEASURE_S:
        nonces *= 2
        began = time.thread_time()
        kernel.search(bytes(HEADER_BYTES), 0, nonces, 0)
        took_s = time.thread_time() - began
    return nonces / took_s


def run_timed(search: Search) -> tuple[list[int], float]:
    """Search in this thread; return the nonces found and the CPU seconds it took."""
    began = time.thread_time()
    found = search.run()
    return found, time.thread_time() - began


def yield_to_others(niceness: int = NICENESS[1]) -> None:
    """Let what else wants this thread's core go first, where a thread has a niceness.

    Beside two busy processes on two cores a search gets a thirtieth of its fair share
    with 19, a sixth with 10 and all of it with 0.
    Only Linux has it; elsewhere it is the process's. Not SCHED_IDLE: beside a full load
    such a thread hardly runs, and whoever waits for the lock it holds waits with it.
    """
    if sys.platform == "linux":
        os.nice(niceness)
