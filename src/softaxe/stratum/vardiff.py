"""How the built-in pool finds the difficulty that suits a miner."""

import math

WINDOW_SHARES = 120
"""Shares between two looks at the rate. So many that a miner with a share every 4.0 s,
where 5 s are wanted, seems too fast about once in a million windows."""
SLOW_WINDOW_SHARES = 24
"""So many are enough to see that shares come too seldom."""
TOLERANCE = 2.0
"""Factor by which the interval may be off before anything changes."""
SILENCE_S = 20.0
"""Without any share at the present difficulty, lower it after this time."""
SILENCE_INTERVALS = 20
"""Once shares have come at it, wait for this many wanted intervals instead."""
SILENCE_STEPS = 4
"""A silence lowers the difficulty by this many powers of two."""
LOWEST_DIFFICULTY = 2.0**-32
"""Practically every hash is a share."""
SHORTEST_WINDOW_S = 1e-3
"""Keeps the rate finite when a whole window comes at once."""


class Vardiff:
    """Aims at a steady rate of shares, in steps of powers of two.

    A change needs evidence: a whole window of shares, or a long silence.

    Args:
        difficulty: To begin with.
        now: Begin of the first window.
        target_interval_s: Wanted mean time between shares.
        highest: Never ask for more than this.
    """

    __slots__ = (
        "_began_at",
        "_easiest",
        "_heard_at",
        "_highest",
        "_shares",
        "_silence_s",
        "_target_interval_s",
        "difficulty",
    )

    def __init__(
        self,
        difficulty: float,
        now: float,
        *,
        target_interval_s: float,
        highest: float,
    ) -> None:
        self._target_interval_s = target_interval_s
        self._highest = max(highest, LOWEST_DIFFICULTY)
        self._began_at = now
        self._shares = 0
        self._easiest = math.inf
        """Lowest difficulty among the window's hashes."""
        self.set(difficulty, now)

    def set(self, difficulty: float, now: float) -> None:
        """Ask for this difficulty, or the nearest allowed, from now on."""
        self.difficulty = float(min(max(difficulty, LOWEST_DIFFICULTY), self._highest))
        self._heard_at = now
        self._silence_s = SILENCE_S
        self._begin_window(now)

    def share(self, share_difficulty: float, now: float) -> bool:
        """Take note of a share; return True when the difficulty changes.

        Args:
            share_difficulty: That of its hash. A share below the present difficulty
                belongs to an older job and tells nothing.
            now: When it came.
        """
        if share_difficulty < self.difficulty:
            return False
        self._heard_at = now
        self._silence_s = max(SILENCE_S, SILENCE_INTERVALS * self._target_interval_s)
        self._shares += 1
        self._easiest = min(self._easiest, share_difficulty)
        interval_s = max(now - self._began_at, SHORTEST_WINDOW_S) / self._shares
        is_slow = interval_s > TOLERANCE * self._target_interval_s
        if self._shares < (SLOW_WINDOW_SHARES if is_slow else WINDOW_SHARES):
            return False
        steps = self._steps(interval_s)
        self._begin_window(now)
        return self._change(steps, now)

    def check_silence(self, now: float) -> bool:
        """Lower the difficulty after too long a silence; return True if it changes."""
        if now - self._heard_at < self._silence_s:
            return False
        if self.difficulty < math.ldexp(LOWEST_DIFFICULTY, SILENCE_STEPS):
            return False
        return self._change(-SILENCE_STEPS, now)

    def _steps(self, interval_s: float) -> int:
        """How many times to double, for shares that came at this interval."""
        wanted = self._target_interval_s / interval_s
        if 1 / TOLERANCE <= wanted <= TOLERANCE:
            return 0
        # A miner may hold back easy shares, as a chip's ticket mask does. Then the
        # easiest share, not what we asked for, tells how hard the shares are.
        held_back = math.floor(math.log2(self._easiest / self.difficulty))
        return round(math.log2(wanted)) + held_back

    def _change(self, steps: int, now: float) -> bool:
        before = self.difficulty
        if steps:
            self.set(math.ldexp(before, steps), now)
        return self.difficulty != before

    def _begin_window(self, now: float) -> None:
        self._began_at = now
        self._shares = 0
        self._easiest = math.inf
