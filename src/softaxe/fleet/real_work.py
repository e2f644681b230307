"""Real work of a fleet: threads that search what chips have to search."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from softaxe.asic.chip import Search
from softaxe.device.device import Device
from softaxe.fleet.clock import Clock
from softaxe.fleet.search_thread import Budget, run_timed, yield_to_others
from softaxe.serve.member import Member

REAL_SEARCH_S = 0.02
"""Aim for the length of one call of the kernel in `real` work."""
FIRST_SEARCH_NONCES = 1 << 10
"""A call begins so short and grows to that length, with a native kernel to some 2**18
nonces. The Python kernel would need seconds for those, with the interpreter's lock."""
LAST_SEARCH_NONCES = 1 << 20
LONGEST_REST_S = 1.0
"""Between two looks at how much of the CPU is this process's."""
IDLE_SEARCH_S = 0.1


class RealWork:
    """The devices whose work is real, which take turns; `search` until cancelled.

    Args:
        clock: Their time.
        budget: How much of the CPU is theirs.
        niceness: Of the threads, over the process's.
        wake: Called with a device that has found something.
    """

    def __init__(
        self,
        clock: Clock,
        budget: Budget,
        *,
        niceness: int,
        wake: Callable[[Member], None],
    ) -> None:
        self._clock = clock
        self._budget = budget
        self._niceness = niceness
        self._wake = wake
        self._members: deque[Member] = deque()

    def note(self, member: Member, *, is_here: bool = True) -> None:
        """Look whether a device does real work, after it may have changed."""
        is_real = is_here and member.is_real
        if is_real and member not in self._members:
            self._members.append(member)
        elif not is_real and member in self._members:
            self._members.remove(member)
        self._budget.note(len(self._members))

    async def search(self) -> None:
        """Search, in threads, what chips have to search whose work is real."""
        threads = self._budget.threads
        executor = ThreadPoolExecutor(
            threads,
            thread_name_prefix="search",
            initializer=yield_to_others,
            initargs=(self._niceness,),
        )
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(threads):
                    group.create_task(self._search(executor))
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _next_search(self, nonces: int) -> tuple[Member, Device, Search] | None:
        """Take the next device's turn; None when no chip has anything to do."""
        for _ in range(len(self._members)):
            member = self._members[0]
            self._members.rotate(-1)
            search = member.device.take_search(nonces)
            if search is not None:
                return member, member.device, search
        return None

    async def _search(self, executor: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        nonces = FIRST_SEARCH_NONCES
        while True:
            found_one = self._next_search(nonces)
            if found_one is None:
                await asyncio.sleep(IDLE_SEARCH_S)
                continue
            member, device, search = found_one
            began = time.perf_counter()
            found, cpu_s = await loop.run_in_executor(executor, run_timed, search)
            took = time.perf_counter() - began
            if member.device is device:
                device.finish_search(search, found, self._clock.advance())
                member.dispatch()
                if found:
                    self._wake(member)
            nonces = max(
                FIRST_SEARCH_NONCES,
                min(
                    LAST_SEARCH_NONCES,
                    nonces * 2 if took < REAL_SEARCH_S / 2 else nonces,
                    int(search.span.count * REAL_SEARCH_S / max(took, 1e-6)) or 1,
                ),
            )
            await self._rest(cpu_s, took)

    async def _rest(self, cpu_s: float, took_s: float) -> None:
        """Let a thread rest until its search was within the budget, which changes."""
        left_s = cpu_s * self._budget.threads - took_s * self._budget.cores
        await asyncio.sleep(0)
        while left_s > 0 and (cores := self._budget.cores):
            rest_s = min(LONGEST_REST_S, left_s / cores)
            await asyncio.sleep(rest_s)
            left_s -= rest_s * cores
