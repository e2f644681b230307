"""What a fleet's shares ask of pools, and how fast those answer, in real seconds.

Times are taken where bytes leave for a pool and where they come back, so they hold all
that this process adds while it has too little of the CPU. However many shares there
are, what is kept has one size.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

BINS_PER_DECADE = 20
DECADES = 7
FIRST_EDGE_S = 1e-5
EDGES_S = tuple(
    FIRST_EDGE_S * 10 ** (number / BINS_PER_DECADE)
    for number in range(DECADES * BINS_PER_DECADE + 1)
)
"""Upper edges of the bins, 10 us to 100 s, 12 % apart; one bin more has the rest."""
MOST_REASONS = 32
MOST_REASON_CHARACTERS = 64
OTHER_REASONS = "(others)"
"""Refusals with words of which there are too many kinds."""


class ShareLoad:
    """Counts for all devices of a process."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.submitted = 0
        """Shares that have left for a pool."""
        self.accepted = 0
        self.rejected: Counter[str] = Counter()
        """By the pool's words."""
        self.connections = 0
        """That stood, to mine on."""
        self.reconnects = 0
        """Of those the ones of devices that had had one before."""
        self.connected_s = 0.0
        """Device time, of the connections that have ended."""
        self.sum_s = 0.0
        self.longest_s = 0.0
        self.bins = [0] * (len(EDGES_S) + 1)

    def answered(self, took_s: float, reason: str | None) -> None:
        """Take an answer.

        Args:
            took_s: Real seconds from the share's leaving to this.
            reason: Why it was refused; None when it was accepted.
        """
        self.bins[bisect_left(EDGES_S, took_s)] += 1
        self.sum_s += took_s
        self.longest_s = max(self.longest_s, took_s)
        if reason is None:
            self.accepted += 1
            return
        reason = reason[:MOST_REASON_CHARACTERS]
        if reason not in self.rejected and len(self.rejected) >= MOST_REASONS:
            reason = OTHER_REASONS
        self.rejected[reason] += 1


def quantile_s(
    bins: Sequence[int], share: float, *, longest_s: float = 0.0
) -> float | None:
    """Return the time within which a share of the answers came; None without any.

    Args:
        bins: As in `ShareLoad`.
        share: 0 to 1.
        longest_s: Of all answers, which nothing is above.
    """
    wanted, seen = share * sum(bins), 0
    if not wanted:
        return None
    for count, low, high in zip(bins, (0.0, *EDGES_S), (*EDGES_S, 0.0), strict=True):
        if count and seen + count >= wanted:
            if not high:
                return longest_s
            return min(low + (high - low) * (wanted - seen) / count, longest_s)
        seen += count
    return longest_s


def joined(tables: Iterable[Sequence[int]]) -> list[int]:
    """Add bins of several processes up."""
    return [sum(column) for column in zip(*tables, strict=True)]
