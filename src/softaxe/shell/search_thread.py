"""What a thread that searches does: measure itself, and stay out of the way."""

import os
import time

from softaxe.asic.chip import Search

CPU_PERCENT = (1, 6400)
"""Of one core, for all real work."""
LEAST_PRIORITY = 19
"""Added to the niceness; the system takes it for its highest."""


def run_timed(search: Search) -> tuple[list[int], float]:
    """Search in this thread; return the nonces found and the CPU seconds it took."""
    began = time.thread_time()
    found = search.run()
    return found, time.thread_time() - began


def yield_to_others() -> None:
    """Let this thread run only when nothing else wants its core, where that exists.

    Only Linux has it. Where a container forbids it, the thread is made as nice as can
    be; niceness is a thread's own on Linux, and elsewhere the process's.
    """
    idle = getattr(os, "SCHED_IDLE", None)
    if idle is not None:
        try:
            os.sched_setscheduler(0, idle, os.sched_param(0))
        except OSError:
            os.nice(LEAST_PRIORITY)
