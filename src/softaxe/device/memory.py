"""The firmware's free memory: it comes and goes, or leaks away until a crash."""

import random

from msgspec import Struct

INTERNAL = 104_027
"""Free internal heap in bytes. Source: the page's sample, as the next one."""
SPIRAM = 8_140_652
LEAST = 4096
"""With less the firmware cannot go on; an estimate."""
UNCOUNTED = 31_971
"""Bytes that all free heap is short of internal and SPIRAM heap together."""
BLOCK_SHARE, BLOCK_STEP = 0.6, 2048
"""The largest free block of the internal heap, and its steps; estimates."""
JITTER = 1500
"""Bytes by which free heap comes and goes; an estimate."""


class Heap(Struct, frozen=True):
    """Free memory, in bytes."""

    internal: int
    spiram: int
    uncounted: int = UNCOUNTED

    @property
    def free(self) -> int:
        """All that counts as free."""
        return self.internal + self.spiram - self.uncounted

    @property
    def largest_block(self) -> int:
        """Of the internal heap."""
        return int(self.internal * BLOCK_SHARE) // BLOCK_STEP * BLOCK_STEP


class Memory:
    """Free memory since a boot at `now`.

    Args:
        now: Device time.
        uncounted: Bytes by which the release counts less than there is.
    """

    def __init__(self, now: float, *, uncounted: int = UNCOUNTED) -> None:
        self.heap = Heap(INTERNAL, SPIRAM, uncounted)
        self.least_free = self.heap.free
        """Since boot, in bytes."""
        self._leak_bytes_per_s = 0.0
        self._leaking_since = now

    def set_leak(self, bytes_per_s: float, now: float) -> None:
        """Let memory leak from now on; 0 gives back what has leaked."""
        if bytes_per_s and not self._leak_bytes_per_s:
            self._leaking_since = now
        self._leak_bytes_per_s = bytes_per_s

    def look(self, now: float, rng: random.Random) -> bool:
        """Look again how much is free; True when the firmware cannot go on."""
        leaked = int(self._leak_bytes_per_s * (now - self._leaking_since))
        internal = INTERNAL - rng.randrange(JITTER) - leaked
        is_used_up = leaked > 0 and internal < LEAST
        internal = max(internal, LEAST)
        spiram = SPIRAM - rng.randrange(JITTER)
        self.heap = Heap(internal, spiram, self.heap.uncounted)
        self.least_free = min(self.least_free, self.heap.free)
        return is_used_up
