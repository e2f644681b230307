"""Work on many devices that lets sockets and ticker have their turns.

A thousand devices in one go take a tenth of a second, in which nobody is answered.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")
WORK_S = 0.002
"""How long work goes on without a look at the sockets: who asks a busy fleet waits for
that, for what pools and miners have sent, and for whoever has asked before."""


class Turns:
    """Counts the time of some work, and lets others have theirs.

    Args:
        work_s: Real seconds between two looks at the sockets.
    """

    def __init__(self, work_s: float = WORK_S) -> None:
        self._work_s = work_s
        self._until = time.monotonic() + work_s

    async def give(self) -> None:
        """Look at the sockets, if it is time."""
        if time.monotonic() > self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + self._work_s


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield all that there is now, with looks at the sockets in between.

    What is yielded late may have gone in the meantime.
    """
    turns = Turns()
    for item in list(items):
        yield item
        await turns.give()
