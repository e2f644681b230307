"""Which shares of one connection wait for the pool's answer, and since when.

`Unanswered` tells of a pool that answers none, in device time. `ShareLedger` times
every answer, in real time.

Both Stratum versions tell it what was handed in and what was answered, by the numbers
that the wire has for shares; who owns the socket tells it when bytes leave, by a clock
of its own. It goes by numbers alone: which answers a firmware counts is another matter.
"""

MOST_WAITING = 1024
"""Shares of one connection that may wait; of more, the oldest are taken for lost."""

Reply = tuple[float, str | None]
"""When the share left, and why it was refused; None when it was accepted."""


class Unanswered:
    """Shares after the last one that was answered; a single lost answer is none."""

    __slots__ = ("_last", "count", "since")

    def __init__(self) -> None:
        self.count = 0
        self.since = 0.0
        """Device time of the first of them, or of the last answer if that is later."""
        self._last = 0

    def submitted(self, number: int, now: float) -> None:
        """A share is handed in; numbers rise."""
        if not self.count:
            self.since = now
        self.count += 1
        self._last = number

    def answered(self, number: int, now: float) -> None:
        """A share is accepted or refused."""
        self.count = max(0, min(self.count, self._last - number))
        self.since = now


class ShareLedger:
    """Call `submitted`, then `left` when it goes, then one of `answered`, `accepted`.

    What never leaves is not followed further, so that nothing piles up where nobody
    asks for the replies.
    """

    __slots__ = ("_fresh", "_replies", "_waiting")

    def __init__(self) -> None:
        self._fresh: list[int] = []
        """Numbers of shares that have not left yet."""
        self._waiting: dict[int, float] = {}
        """When the others left, by number, in that order."""
        self._replies: list[Reply] = []

    @property
    def waiting(self) -> int:
        """Shares that have left and have no answer yet."""
        return len(self._waiting)

    def submitted(self, number: int) -> None:
        """A share is handed in; its answer will carry this number."""
        self._fresh.append(number)
        del self._fresh[:-MOST_WAITING]

    def left(self, at: float) -> int:
        """What was handed in leaves now; return how many shares that are."""
        count = len(self._fresh)
        self._waiting |= dict.fromkeys(self._fresh, at)
        self._fresh.clear()
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        return count

    def answered(self, number: int, reason: str | None) -> None:
        """The pool has refused a share, or accepted it; others are not meant."""
        at = self._waiting.pop(number, None)
        if at is not None:
            self._replies.append((at, reason))

    def accepted(self, last: int, *, count: int) -> None:
        """The pool has accepted the latest shares up to a number, so many of them."""
        waiting = [number for number in self._waiting if number <= last]
        for number in waiting[max(0, len(waiting) - count) :]:
            self.answered(number, None)

    def replies(self) -> list[Reply]:
        """Return and forget the answers that have come."""
        if not self._replies:
            return []
        replies, self._replies = self._replies, []
        return replies
