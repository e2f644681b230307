"""Device time, made from the system's monotonic clock."""

import time
from collections import deque
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import contextmanager
from math import inf

SLICE_S = 0.25
"""Device time that may pass between two looks at the sockets, at most."""
MOST_DEBT_S = 1.0
"""Device time that is made up for at any speed, after a moment without CPU."""
SPEEDS = (0.01, 10_000.0)
"""Device seconds per real second."""
ADVANCES_S = (0.0, 366 * 86_400.0)
"""Device time that may pass at once."""
STOOD_S = 10.0
"""Real seconds between two looks at a clock that goes, which nothing but a process that
was stopped comes to."""
LOOK_BACK_S = 10.0
"""Real seconds that the speed that was reached is told of..."""
LOOKS = 20
"""...and how many moments of them are remembered..."""
LEAST_REACHED_S = 2.0
"""...and how many seconds there have to be."""
LOOK_S = 0.01
"""Real seconds between two looks of a part of a fleet at where it is to be."""


class Pace:
    """How far a part of a fleet is to go, and how far it is.

    Args:
        cells: Shared by the processes; two numbers for each part.
        part: Which, from 0.
    """

    def __init__(self, cells: MutableSequence[float], part: int = 0) -> None:
        self._cells = cells
        self._place = 2 * part

    @property
    def until(self) -> float:
        """Device time that the part goes to."""
        return self._cells[self._place]

    @until.setter
    def until(self, now: float) -> None:
        self._cells[self._place] = now

    @property
    def now(self) -> float:
        """Device time that it has come to."""
        return self._cells[self._place + 1]

    @now.setter
    def now(self, now: float) -> None:
        self._cells[self._place + 1] = now


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
        tell_lost: Called when the process has stood still for some seconds, stopped or
            without CPU: with how long, as device time goes on from where it was.
    """

    def __init__(
        self,
        *,
        speed: float = 1.0,
        is_paused: bool = False,
        start: float = 0.0,
        pace: Pace | None = None,
        tell_lost: Callable[[float], None] = lambda stood_s: None,
    ) -> None:
        self.is_held = False
        """True while somebody else moves the time, or nobody does."""
        self.slice_s = SLICE_S
        self.horizon = inf
        """Device time that is not passed."""
        self.now = start
        self.lost_s = 0.0
        """Device time that was not made up for after the process had stood still."""
        self._speed = speed
        self._is_paused = is_paused
        self._real = time.monotonic()
        self._behind = 0.0
        self._pace = pace
        self._tell_lost = tell_lost
        self._went_s = self._went_real_s = 0.0
        self._looks: deque[tuple[float, float]] = deque()
        """How long it had gone by itself, in real and in device time."""

    @property
    def speed(self) -> float:
        """Device seconds per real second that are wished for."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._speed = speed
        self._looks.clear()

    @property
    def is_paused(self) -> bool:
        """True while time stands still."""
        return self._is_paused

    @is_paused.setter
    def is_paused(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        self._looks.clear()

    @property
    def reached_speed(self) -> float | None:
        """Device seconds per real second, of late, while it went by itself.

        None while it is paused, and until it has gone for a moment.
        """
        if self._is_paused or not self._looks:
            return None
        real_s, went_s = self._looks[0]
        took_s = self._went_real_s - real_s
        if took_s < LEAST_REACHED_S:
            return None
        return float(f"{(self._went_s - went_s) / took_s:.4g}")

    def advance(self) -> float:
        """Move to the present, or a slice towards it; return `now`."""
        real = time.monotonic()
        took_s = real - self._real
        self._real = real
        if self._pace is not None:
            is_late = not self.is_held and self._pace.until > self.now
            self._behind = self._pace.until - self.now if is_late else 0.0
        elif self._is_paused:
            self._behind = 0.0  # not made up while it stands
        elif not self.is_held:
            self._behind += took_s * self._speed
        step = max(0.0, min(self._behind, self.slice_s, self.horizon - self.now))
        self._behind -= step
        self.now += step
        if self._pace is not None:
            self._pace.now = self.now
        elif self._behind > (most := max(self._speed, MOST_DEBT_S)):
            # What cannot be kept up with is dropped: speed is a wish, not a debt.
            lost_s, self._behind = self._behind - most, most
            if took_s > STOOD_S:
                self.lost_s += lost_s
                self._tell_lost(took_s)
        if not self._is_paused and not self.is_held:
            self._note(took_s, step)
        return self.now

    def _note(self, took_s: float, step: float) -> None:
        """Take down how far it has gone by itself, for `reached_speed`."""
        looks = self._looks
        if not looks:
            looks.append((self._went_real_s, self._went_s))
        self._went_real_s += took_s
        self._went_s += step
        if self._went_real_s - looks[-1][0] >= LOOK_BACK_S / LOOKS:
            looks.append((self._went_real_s, self._went_s))
        if self._went_real_s - looks[0][0] > LOOK_BACK_S and len(looks) > 1:
            looks.popleft()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let it not go by itself; real time that passes meanwhile is not made up."""
        self.is_held = True
        try:
            yield
        finally:
            self.move(self.now)
            self.is_held = False

    def move(self, now: float) -> None:
        """Jump to `now` on somebody's order; real time that passed is not made up."""
        self._real = time.monotonic()
        self._behind = 0.0
        self.horizon = inf
        self.now = now
        if self._pace is not None:
            self._pace.now = now

    def real_delay(self, until: float) -> float:
        """Real seconds until device time `until`; 0 when late, never when paused."""
        if self._behind > 0:
            return 0.0
        delay = inf if self._is_paused else max(0.0, (until - self.now) / self._speed)
        return delay if self._pace is None else min(delay, LOOK_S)
