"""Device time, made from the system's monotonic clock."""

import time
from collections.abc import MutableSequence
from math import inf

from softaxe.errors import SettingError, read_as

SLICE_S = 0.25
"""Device time that may pass between two looks at the sockets, at most."""
MOST_DEBT_S = 1.0
"""Device time that is made up for at any speed, after a moment without CPU."""
SPEEDS = (0.01, 10_000.0)
"""Device seconds per real second."""
ADVANCES_S = (0.0, 366 * 86_400.0)
"""Device time that may pass at once."""
LOOK_S = 0.01
"""Real seconds between two looks of a part of a fleet at where it is to be."""


def number_of(value: object, lowest: float, highest: float) -> float:
    """Read a number.

    Raises:
        SettingError: It is none that is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingError(f"{value!r} is no number")
    if not lowest <= value <= highest:
        raise SettingError(f"{value!r} is outside {lowest:g}..{highest:g}")
    return float(value)


def read_number(name: str, value: object, limits: tuple[float, float]) -> float:
    """Read a number; a complaint begins with its name.

    Raises:
        SettingError: It is none that is allowed.
    """
    return read_as(name, lambda found: number_of(found, *limits), value)


class Pace:
    """How the parts of a fleet keep one time: where all are to be, and where each is.

    Args:
        cells: Shared by the processes; one number, and one more for each part.
        part: Whose view of it this is, from 0; the parent has none.
    """

    def __init__(self, cells: MutableSequence[float], part: int = -1) -> None:
        self._cells = cells
        self._place = 1 + part

    @property
    def until(self) -> float:
        """Device time that every part goes to."""
        return self._cells[0]

    @until.setter
    def until(self, now: float) -> None:
        self._cells[0] = now

    @property
    def slowest(self) -> float:
        """Device time of the part that is farthest behind."""
        return min(self._cells[1:])

    @property
    def fastest(self) -> float:
        """Device time of the part that is farthest ahead."""
        return max(self._cells[1:])

    def tell(self, now: float) -> None:
        """Let the others know that this part is at `now`."""
        self._cells[self._place] = now


class Clock:
    """Device time in seconds, at most `speed` times as fast as real time.

    Time moves only in `advance`, and by at most a slice: so bytes that wait in a socket
    are seen between slices, however fast the clock or late the program. It never goes
    beyond the horizon, which belongs to whoever has to be through with one moment
    before the next may come.

    Args:
        speed: Device seconds per real second.
        is_paused: Time stands still until told otherwise.
        start: The first value of `now`.
        pace: Where to be, for a part of a fleet: its parent has the clock.
    """

    def __init__(
        self,
        *,
        speed: float = 1.0,
        is_paused: bool = False,
        start: float = 0.0,
        pace: Pace | None = None,
    ) -> None:
        self.speed = speed
        self.is_paused = is_paused
        self.is_held = False
        """True while somebody else moves the time."""
        self.slice_s = SLICE_S
        self.horizon = inf
        """Device time that is not passed."""
        self.now = start
        self._real = time.monotonic()
        self._behind = 0.0
        self._pace = pace

    def advance(self) -> float:
        """Move to the present, or a slice towards it; return `now`."""
        real = time.monotonic()
        if self._pace is not None:
            is_late = not self.is_held and self._pace.until > self.now
            self._behind = self._pace.until - self.now if is_late else 0.0
        elif self.is_paused:
            self._behind = 0.0  # not made up while it stands
        elif not self.is_held:
            self._behind += (real - self._real) * self.speed
        self._real = real
        step = max(0.0, min(self._behind, self.slice_s, self.horizon - self.now))
        self._behind -= step
        self.now += step
        if self._pace is not None:
            self._pace.tell(self.now)
        else:
            # What cannot be kept up with is dropped: speed is a wish, not a debt.
            self._behind = min(self._behind, max(self.speed, MOST_DEBT_S))
        return self.now

    def move(self, now: float) -> None:
        """Jump to `now` on somebody's order; real time that passed is not made up."""
        self._real = time.monotonic()
        self._behind = 0.0
        self.horizon = inf
        self.now = now
        if self._pace is not None:
            self._pace.tell(now)

    def real_delay(self, until: float) -> float:
        """Real seconds until device time `until`; 0 when late, never when paused."""
        if self._behind > 0:
            return 0.0
        delay = inf if self.is_paused else max(0.0, (until - self.now) / self.speed)
        return delay if self._pace is None else min(delay, LOOK_S)
