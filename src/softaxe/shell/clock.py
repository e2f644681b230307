"""Device time, made from the system's monotonic clock."""

import time
from math import inf

SLICE_S = 0.25
"""Device time that may pass between two looks at the sockets."""


class Clock:
    """Device time in seconds, at most `speed` times as fast as real time.

    Time moves only in `advance`, and by at most a slice: so bytes that wait in a socket
    are seen between slices, however fast the clock or late the program.

    Args:
        speed: Device seconds per real second.
        is_paused: Time stands still until told otherwise.
        start: The first value of `now`.
    """

    def __init__(
        self, *, speed: float = 1.0, is_paused: bool = False, start: float = 0.0
    ) -> None:
        self.speed = speed
        self.is_paused = is_paused
        self.is_held = False
        """True while somebody else moves the time."""
        self.now = start
        self._real = time.monotonic()
        self._behind = 0.0

    def advance(self) -> float:
        """Move to the present, or a slice towards it; return `now`."""
        real = time.monotonic()
        if not (self.is_paused or self.is_held):
            self._behind += (real - self._real) * self.speed
        self._real = real
        step = min(self._behind, SLICE_S)
        self._behind -= step
        self.now += step
        if self.speed > 1:
            # What cannot be kept up with is dropped: speed is a wish, not a debt.
            self._behind = min(self._behind, self.speed)
        return self.now

    def move(self, now: float) -> None:
        """Jump to `now` on somebody's order; real time that passed is not made up."""
        self._real = time.monotonic()
        self._behind = 0.0
        self.now = now

    def real_delay(self, until: float) -> float:
        """Real seconds until device time `until`; 0 when late, never when paused."""
        if self._behind > 0:
            return 0.0
        if self.is_paused:
            return inf
        return max(0.0, (until - self.now) / self.speed)
