"""The built-in pool's own small block chain, and the templates to extend it."""

import random
from dataclasses import dataclass, field

from softaxe.bitcoin.header import nbits_for, nbits_target, sha256d, target_for

VERSION = 0x20000000
FIRST_HEIGHT = 931_409
"""Height of the page's sample."""
SUBSIDY_SAT = 312_500_000
"""Block reward since height 840000. Source: Bitcoin's halving schedule."""
TAG = b"/softaxe/"
HALVING_BLOCKS = 210_000
MAX_TRANSACTIONS = 12
"""Merkle branches grow to this number, as for a block of 4095 transactions."""


@dataclass(slots=True)
class Template:
    """What a job is made of, but for the miner's own part of the coinbase."""

    height: int
    prevhash: bytes
    """Internal order."""
    merkle_branch: tuple[bytes, ...]
    nbits: int
    version: int = VERSION


@dataclass(slots=True)
class Chain:
    """Tip of the chain and the mempool's picture of the next block.

    Args:
        rng: For other miners' blocks and transactions.
        network_difficulty: What a block must reach; kept in compact form.
    """

    rng: random.Random
    network_difficulty: float
    height: int = FIRST_HEIGHT
    tip: bytes = b""
    """Hash of the last block, internal order."""
    nbits: int = 0
    _branch: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nbits = nbits_for(target_for(self.network_difficulty))
        self.tip = self._other_block()

    @property
    def target(self) -> int:
        """What the hash of a block must not exceed."""
        return nbits_target(self.nbits)

    @property
    def template(self) -> Template:
        """The block to be mined now."""
        return Template(self.height, self.tip, tuple(self._branch), self.nbits)

    def add_transactions(self) -> None:
        """New transactions came in: another merkle branch."""
        if len(self._branch) < MAX_TRANSACTIONS:
            self._branch.append(self.rng.randbytes(32))
        else:
            self._branch[-1] = self.rng.randbytes(32)

    def extend(self, block_hash: bytes | None = None) -> None:
        """A block was found: by a miner of ours, or (None) by somebody else."""
        self.tip = self._other_block() if block_hash is None else block_hash
        self.height += 1
        self._branch.clear()

    def _other_block(self) -> bytes:
        # Nobody ever sees that block whole, so a hash below the target stands for it.
        value = int.from_bytes(sha256d(self.rng.randbytes(80)), "little")
        return (value % (self.target + 1)).to_bytes(32, "little")


def coinbase_parts(
    template: Template, *, time_s: int, extranonce_size: int, script: bytes
) -> tuple[bytes, bytes]:
    """Build the two halves of a coinbase around its extranonces.

    Args:
        template: For height and subsidy.
        time_s: Goes into the script, so that no two coinbases are alike.
        extranonce_size: Bytes of both extranonces together.
        script: Output script that is paid.
    """
    height = _push(_script_number(template.height))
    before = height + _push(time_s.to_bytes(4, "little"))
    script_size = len(before) + 1 + extranonce_size + 1 + len(TAG)
    coinbase1 = (
        (2).to_bytes(4, "little")
        + b"\x01"
        + bytes(32)
        + b"\xff\xff\xff\xff"
        + bytes((script_size,))
        + before
        + bytes((extranonce_size,))
    )
    subsidy = SUBSIDY_SAT >> max(0, template.height // HALVING_BLOCKS - 4)
    coinbase2 = (
        _push(TAG)
        + b"\xff\xff\xff\xff"
        + b"\x01"
        + subsidy.to_bytes(8, "little")
        + bytes((len(script),))
        + script
        + bytes(4)
    )
    return coinbase1, coinbase2


def _push(data: bytes) -> bytes:
    return bytes((len(data),)) + data


def _script_number(value: int) -> bytes:
    # BIP 34: little-endian, a top bit of its own for the sign.
    return value.to_bytes(value.bit_length() // 8 + 1, "little")
