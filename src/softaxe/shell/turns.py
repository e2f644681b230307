"""Work on many devices that lets sockets and ticker have their turns.

A thousand devices in one go take a tenth of a second, in which nobody is answered.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")
WORK_S = 0.004
"""How long work goes on without a look at the sockets."""


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield all that there is now, with looks at the sockets in between.

    What is yielded late may have gone in the meantime.
    """
    until = time.monotonic() + WORK_S
    for item in list(items):
        yield item
        if time.monotonic() > until:
            await asyncio.sleep(0)
            until = time.monotonic() + WORK_S
