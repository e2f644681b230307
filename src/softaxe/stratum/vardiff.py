"""How the built-in pool finds the difficulty that suits a miner, by a pool's rules."""

import math
from typing import Annotated, Literal

from msgspec import Struct

from softaxe.description import about

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
LOWEST_DIFFICULTY = 2.0**-32
"""Practically every hash is a share."""
SHORTEST_WINDOW_S = 1e-3
"""Keeps the rate finite when a whole window comes at once."""


class VardiffRules(Struct, frozen=True, kw_only=True):
    """How a pool's difficulty follows a miner's rate."""

    interval_s: Annotated[float, about("seconds wanted between shares")] = 5.0
    window_shares: Annotated[
        int | None, about("shares after which the rate is looked at")
    ] = WINDOW_SHARES
    slow_window_shares: Annotated[
        int | None, about("those after which they may be found to come too seldom")
    ] = SLOW_WINDOW_SHARES
    window_s: Annotated[
        float | None, about("seconds after which a share has it looked at, too")
    ] = None
    least_shares: Annotated[int, about("fewer in that time do not count")] = 1
    faster: Annotated[
        float, about("factor by which they may come too fast before it is raised")
    ] = TOLERANCE
    slower: Annotated[
        float, about("factor by which they may come too slowly before it is lowered")
    ] = TOLERANCE
    silence_s: Annotated[
        float | None, about("seconds without a share until it is lowered")
    ] = SILENCE_S
    patience_intervals: Annotated[
        float | None,
        about("wanted intervals instead, once so many shares have come at it"),
    ] = SILENCE_INTERVALS
    silence_divisor: Annotated[float, about("what it is then divided by")] = 16.0
    rounding: Annotated[
        Literal[
            "doublings",
            "one doubling",
            "power of two",
            "half steps",
            "whole",
            "none",
        ],
        about(
            "to what: doublings of the present one; one of them; the power of two "
            "below; that or half as much again; a whole number; none"
        ),
    ] = "doublings"
    smallest: Annotated[
        float | None, about("the smallest; -: every hash may be a share")
    ] = None
    suggestion_is_smallest: Annotated[
        bool, about("a suggested one is not gone below")
    ] = False


class Vardiff:
    """Aims at a steady rate of shares.

    A change needs evidence: a whole window of shares, or a long silence.

    Args:
        difficulty: To begin with.
        now: Begin of the first window.
        rules: The pool's.
        target_interval_s: Wanted mean time between shares; the rules' when left out.
        highest: Never ask for more than this.
        floor: Silence alone does not lower it below this. Where time runs faster than
            life, a miner of another process seems silent before it can have said
            anything. What somebody asks for may be lower; then that is the floor.
        unit: What counts as difficulty 1.
    """

    __slots__ = (
        "_began_at",
        "_easiest",
        "_floor",
        "_heard_at",
        "_highest",
        "_lowest",
        "_rules",
        "_shares",
        "_silence_s",
        "_target_interval_s",
        "_unit",
        "difficulty",
    )

    def __init__(
        self,
        difficulty: float,
        now: float,
        *,
        rules: VardiffRules,
        highest: float,
        target_interval_s: float | None = None,
        floor: float = LOWEST_DIFFICULTY,
        unit: float = 1.0,
    ) -> None:
        self._rules = rules
        self._target_interval_s = target_interval_s or rules.interval_s
        self._unit = unit
        self._highest = max(highest, LOWEST_DIFFICULTY)
        self._lowest = LOWEST_DIFFICULTY
        if rules.smallest is not None:
            floor = rules.smallest * unit
            self._lowest = max(min(floor, difficulty), LOWEST_DIFFICULTY)
        self._floor = max(min(floor, difficulty), LOWEST_DIFFICULTY)
        self._began_at = now
        self._shares = 0
        self._easiest = math.inf
        """Lowest difficulty among the window's hashes."""
        self.set(difficulty, now)

    def set(self, difficulty: float, now: float) -> None:
        """Ask for this difficulty, or the nearest allowed, from now on."""
        allowed = min(max(difficulty, self._lowest), self._highest)
        self.difficulty = float(allowed)
        self._heard_at = now
        self._silence_s = _or_never(self._rules.silence_s)
        self._begin_window(now)

    def suggest(self, difficulty: float, now: float) -> None:
        """Take a miner's suggestion."""
        self.set(difficulty, now)
        self._floor = min(self._floor, self.difficulty)
        if self._rules.suggestion_is_smallest:
            self._lowest = self._floor = self.difficulty

    def share(self, share_difficulty: float, now: float) -> bool:
        """Take note of a share; return True when the difficulty changes.

        Args:
            share_difficulty: That of its hash. A share below the present difficulty
                belongs to an older job and tells nothing.
            now: When it came.
        """
        if share_difficulty < self.difficulty:
            return False
        rules = self._rules
        self._heard_at = now
        self._shares += 1
        if self._shares >= rules.least_shares:
            patience_s = _or_never(rules.patience_intervals) * self._target_interval_s
            self._silence_s = max(_or_never(rules.silence_s), patience_s)
        self._easiest = min(self._easiest, share_difficulty)
        elapsed_s = max(now - self._began_at, SHORTEST_WINDOW_S)
        interval_s = elapsed_s / self._shares
        is_slow = interval_s > rules.slower * self._target_interval_s
        enough = rules.slow_window_shares if is_slow else rules.window_shares
        if self._shares < _or_never(enough) and (
            elapsed_s < _or_never(rules.window_s) or self._shares < rules.least_shares
        ):
            return False
        wanted = self._wanted(interval_s)
        self._begin_window(now)
        return self._change(wanted, now)

    def check_silence(self, now: float) -> bool:
        """Lower the difficulty after too long a silence; return True if it changes."""
        if now - self._heard_at < self._silence_s:
            return False
        lower = self._rounded(self.difficulty / self._rules.silence_divisor)
        return self._change(max(lower, min(self._floor, self.difficulty)), now)

    def _wanted(self, interval_s: float) -> float:
        """What would bring shares as wanted, for some that came at this interval."""
        rate = self._target_interval_s / interval_s
        if 1 / self._rules.slower <= rate <= self._rules.faster:
            return self.difficulty
        if self._rules.rounding != "doublings":
            return self._rounded(self.difficulty * rate)
        # A miner may hold back easy shares, as a chip's ticket mask does. Then the
        # easiest share, not what we asked for, tells how hard the shares are.
        held_back = math.floor(math.log2(self._easiest / self.difficulty))
        return math.ldexp(self.difficulty, round(math.log2(rate)) + held_back)

    def _rounded(self, difficulty: float) -> float:
        match self._rules.rounding:
            case "one doubling":
                return self.difficulty * (2 if difficulty > self.difficulty else 0.5)
            case "power of two":
                return (
                    2.0 ** math.floor(math.log2(difficulty / self._unit)) * self._unit
                )
            case "half steps":
                below = 2.0 ** math.floor(math.log2(difficulty / self._unit))
                steps = (below, 1.5 * below, 2 * below)
                nearest = min(steps, key=lambda s: abs(s - difficulty / self._unit))
                return nearest * self._unit
            case "whole":
                return round(difficulty / self._unit) * self._unit
        return difficulty

    def _change(self, wanted: float, now: float) -> bool:
        before = self.difficulty
        if wanted != before:
            self.set(wanted, now)
        return self.difficulty != before

    def _begin_window(self, now: float) -> None:
        self._began_at = now
        self._shares = 0
        self._easiest = math.inf


def _or_never(number: float | None) -> float:
    return math.inf if number is None else number
