"""Shares at a steady rate, whatever difficulty a pool asks for.

They are searched and found as ever, and a pool may check them. What gives is how many
hashes of the chip a searched one stands for: a share of difficulty d takes d * 2**32
searched hashes, and those are spread over the time until the next one is due. What the
device tells of itself stays what its board does; what it tells of the pool's difficulty
is what a pool asks of such a board that wants shares at that rate.
"""

from math import inf

from softaxe.bitcoin.header import HASHES_PER_DIFFICULTY

RATES = (0.01, 600.0)
"""Shares a minute; a board's chips may not tell so many nonces."""
EASIEST = 1 / HASHES_PER_DIFFICULTY
"""Every hash is a share."""
ENOUGH = 0.95
LEAST_SCALE = 2.0
"""A hash that stands for one is real work, which is searched elsewhere."""


class ShareRate:
    """Chooses what a searched hash stands for.

    Args:
        per_minute: Shares that are wanted.
    """

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self.most_hs = inf
        """Hashes that there is time to search, per second."""
        self.difficulty = EASIEST
        """What the pool asks for, of searched hashes."""

    @property
    def needed_hs(self) -> float:
        """Hashes to search per second for the rate that is wanted."""
        return self.difficulty * HASHES_PER_DIFFICULTY * self.per_minute / 60

    @property
    def possible(self) -> float:
        """Shares a minute that there is time for."""
        return self.per_minute * min(1.0, self.most_hs / self.needed_hs)

    @property
    def is_short(self) -> bool:
        """True while there is too little time for the rate that is wanted."""
        return self.possible < ENOUGH * self.per_minute

    def scale(self, difficulty: float, *, board_hs: float) -> float:
        """Return how many of the chip's hashes a searched one stands for from now on.

        Args:
            difficulty: What the pool asks for, as it says it.
            board_hs: Hashes of the board per second.
        """
        self.difficulty = max(difficulty, EASIEST)
        return max(LEAST_SCALE, board_hs / min(self.needed_hs, self.most_hs))
