"""The built-in pool's own small block chain, and the templates it mines on.

Two things happen by themselves: transactions arrive at even intervals and give a new
template for the same block, and now and then the rest of the network finds a block.
Those blocks of others are drawn, not mined: their 80 bytes link to the block before
them, but nobody has searched for their nonce.
"""

import random
from collections import deque

from msgspec import Struct

from softaxe.bitcoin.header import (
    Work,
    nbits_difficulty,
    nbits_for,
    sha256d,
    target_for,
)
from softaxe.stratum.dialects import BLOCK_VERSION

START_HEIGHT = 931_409
"""Height of the first block to be mined; that of the real chain in January 2026."""
HALVING_BLOCKS = 210_000
FIRST_SUBSIDY_SAT = 50 * 100_000_000
KEPT_HEADERS = 144
"""A day of blocks; older ones are forgotten."""
FIRST_TRANSACTIONS = 20
MAX_NEW_TRANSACTIONS = 10
"""At most as many arrive in one interval; far fewer than in life, to keep it cheap."""
MAX_TRANSACTIONS = 255
"""In one template beside the coinbase, so that a branch has at most eight entries."""
MAX_FEE_SAT = 20_000


class Template(Struct, frozen=True):
    """A block to be mined, all but its coinbase."""

    height: int
    prevhash: bytes
    """Internal order."""
    merkle_branch: tuple[bytes, ...]
    """What the coinbase's hash is folded with, first entry first."""
    value_sat: int
    """What the coinbase may pay: subsidy and fees."""
    version: int
    nbits: int
    ntime: int
    """Unix seconds of its creation; a share's may not be earlier."""


class Chain:
    """The blocks so far, the waiting transactions and the template made of them.

    Call `step` when `next_wake` comes.

    Args:
        rng: Draws blocks of others and transactions.
        network_difficulty: Of a block; the compact form in the header rounds it.
        block_interval_s: Mean time between blocks found by others.
        transaction_interval_s: New transactions, and so a new template, this often.
        start_time: Unix seconds at `now` = 0.
        version: Of the blocks to be mined.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        network_difficulty: float,
        block_interval_s: float,
        transaction_interval_s: float,
        start_time: int,
        version: int = BLOCK_VERSION,
    ) -> None:
        self.headers: deque[bytes] = deque(maxlen=KEPT_HEADERS)
        """The latest blocks, newest last."""
        self.nbits = nbits_for(target_for(network_difficulty))
        self.network_difficulty = nbits_difficulty(self.nbits)
        """What `nbits` stands for; the compact form has rounded what was wanted."""
        self._rng = rng
        self._block_interval_s = block_interval_s
        self._transaction_interval_s = transaction_interval_s
        self._start_time = start_time
        self._version = version
        self._height = START_HEIGHT
        self._prevhash = rng.randbytes(32)
        self._transactions: list[bytes] = []
        self._fees_sat = 0
        self._arrivals = 0
        self._next_block = self._draw_interval_s()
        self._add_transactions(FIRST_TRANSACTIONS)
        self.template = self._make_template(0.0)
        self.next_wake = 0.0
        """When the template changes next."""
        self._plan()

    @property
    def height(self) -> int:
        """Height of the block that is being mined."""
        return self.template.height

    def step(self, now: float) -> None:
        """Let others find a block and transactions arrive, whatever is due."""
        while (due := self.next_wake) <= now:
            if self._next_block <= due:
                self._next_block = due + self._draw_interval_s()
                self.extend_by_others(due)
            else:
                self._arrivals += 1
                self._add_transactions(self._rng.randint(1, MAX_NEW_TRANSACTIONS))
                self.template = self._make_template(due)
            self._plan()

    def extend(self, header: bytes, now: float) -> None:
        """Take up a block that was found on top of the last one.

        Args:
            header: Its 80 bytes; its hash is not checked here.
            now: When it was found.
        """
        self.headers.append(header)
        self._prevhash = sha256d(header)
        self._height += 1
        self._transactions.clear()
        self._fees_sat = 0
        self.template = self._make_template(now)

    def extend_by_others(self, now: float) -> None:
        """Let somebody else find a block."""
        self.extend(self._foreign_header(now), now)

    def unix_time(self, now: float) -> int:
        """The pool's clock, in Unix seconds."""
        return self._start_time + int(now)

    def _plan(self) -> None:
        arrival = (self._arrivals + 1) * self._transaction_interval_s
        self.next_wake = min(self._next_block, arrival)

    def _draw_interval_s(self) -> float:
        return self._rng.expovariate(1 / self._block_interval_s)

    def _add_transactions(self, count: int) -> None:
        count = min(count, MAX_TRANSACTIONS - len(self._transactions))
        for _ in range(count):
            self._transactions.append(self._rng.randbytes(32))
            self._fees_sat += self._rng.randrange(MAX_FEE_SAT)

    def _make_template(self, now: float) -> Template:
        return Template(
            height=self._height,
            prevhash=self._prevhash,
            merkle_branch=merkle_branch(self._transactions),
            value_sat=subsidy_sat(self._height) + self._fees_sat,
            version=self._version,
            nbits=self.nbits,
            ntime=self.unix_time(now),
        )

    def _foreign_header(self, now: float) -> bytes:
        return Work(
            version=BLOCK_VERSION,
            prevhash=self._prevhash,
            merkle_root=self._rng.randbytes(32),
            ntime=self.unix_time(now),
            nbits=self.nbits,
        ).header(self._rng.getrandbits(32))


def merkle_branch(transactions: list[bytes]) -> tuple[bytes, ...]:
    """Hashes to fold a coinbase's hash with, to get the merkle root of a block.

    Args:
        transactions: Ids, internal order, of all transactions but the coinbase.
    """
    branch = []
    level = transactions
    while level:
        branch.append(level[0])
        # An odd level repeats its last hash; the coinbase's side stands before it.
        rest = level[1:] if len(level) % 2 else [*level[1:], level[-1]]
        level = [
            sha256d(left + right)
            for left, right in zip(rest[::2], rest[1::2], strict=True)
        ]
    return tuple(branch)


def subsidy_sat(height: int) -> int:
    """New coins of a block, in satoshi."""
    return FIRST_SUBSIDY_SAT >> min(height // HALVING_BLOCKS, 63)
