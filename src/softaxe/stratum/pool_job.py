"""One job as the built-in pool sent it, and the check of a share against it.

Each job has a coinbase of its own: its number is the lock time. So no two jobs share a
search space, and duplicates can be told within one job.
"""

import functools
from array import array
from dataclasses import dataclass, field
from struct import Struct

import msgspec

from softaxe.bitcoin.address import script_for_address
from softaxe.bitcoin.header import (
    Work,
    coinbase_transaction,
    difficulty_of,
    merkle_root,
    nbits_target,
    sha256d,
)
from softaxe.errors import StratumError
from softaxe.stratum.chain import Template
from softaxe.stratum.dialects import (
    BITS_OUTSIDE_MASK,
    DUPLICATE_SHARE,
    LOW_DIFFICULTY_SHARE,
    MALFORMED_SHARE,
    NTIME_OUT_OF_RANGE,
    SHARE_VERSIONS,
    SOFTAXE,
    Dialect,
)
from softaxe.stratum.messages import swap_words

SCRIPTSIG_TAG = b"/softaxe/"
ANYONE_CAN_SPEND = b"\x51"
"""Script (OP_TRUE) that is paid when the user's name is no address."""
MAX_SHARES = 1024
"""Of one job; a job with so many is to be replaced."""

_COINBASE_HEAD = (1).to_bytes(4, "little") + b"\x01" + bytes(32) + b"\xff" * 4
"""Version 1, one input, the null outpoint."""
_SEQUENCE = b"\xff" * 4
"""Final, so that the lock time means nothing to the chain."""
_OUTPUT = Struct("<BQB")
_U32 = Struct("<I")


class RequestError(StratumError):
    """A request is answered with this error; it never leaves the connection.

    Args:
        reason: In our pool's words.
        difficulty: Of the hash, where that is what is wrong.
        is_ordered: Nothing is wrong; somebody wants these words to be said.
    """

    def __init__(
        self, reason: str, *, difficulty: float = 0.0, is_ordered: bool = False
    ) -> None:
        super().__init__(reason)
        self.is_ordered = is_ordered
        self.reason = reason
        self.difficulty = difficulty


class Submission(msgspec.Struct, frozen=True):
    """The parameters of `mining.submit` after the job id, as sent."""

    extranonce2: str
    ntime: str
    nonce: str
    version_bits: str = "00000000"


class VerifiedShare(msgspec.Struct, frozen=True):
    """A share whose hash is good enough."""

    header: bytes
    difficulty: float
    """That of its hash."""
    is_block: bool


@dataclass(slots=True)
class Job:
    """A template as one miner was asked to work on it."""

    number: int
    """Unique among the jobs of one extranonce1."""
    template: Template
    difficulty: float
    """What shares must meet, also after the connection's difficulty has changed."""
    extranonce1: bytes
    extranonce2_size: int
    """Bytes the miner may choose."""
    payout: bytes
    """Script that the coinbase pays."""
    dialect: Dialect = SOFTAXE
    """How it is told and its shares are read."""
    # What follows from the rest is made when it is needed, and shares are kept in few
    # bytes: a pool of ten thousand miners has a hundred thousand jobs.
    _known: "array[int]" = field(default_factory=lambda: array("Q"))
    """The first 64 bits of the hashes of its shares, `MAX_SHARES` or few more."""

    @property
    def coinbase1(self) -> bytes:
        """The coinbase before the extranonces."""
        size = len(self.extranonce1) + self.extranonce2_size
        return _coinbase1(self.template.height, extranonce_size=size)

    @property
    def coinbase2(self) -> bytes:
        """The coinbase after the extranonces."""
        value_sat = self.template.value_sat
        return _coinbase2(value_sat, self.payout, lock_time=self.number)

    @property
    def id(self) -> str:
        """The number as it goes over the wire."""
        return self.dialect.job_id % self.number

    @property
    def is_used_up(self) -> bool:
        """True when no more shares should come for it."""
        return len(self._known) >= MAX_SHARES

    def notify_params(self, *, is_clean: bool) -> str:
        """Return the JSON array for `mining.notify`."""
        template = self.template
        return self.dialect.json(
            [
                self.id,
                swap_words(template.prevhash).hex(),
                self.coinbase1.hex(),
                self.coinbase2.hex(),
                [sibling.hex() for sibling in template.merkle_branch],
                f"{template.version:08x}",
                f"{template.nbits:08x}",
                f"{template.ntime:08x}",
                is_clean,
            ]
        )

    def check(
        self,
        submission: Submission,
        *,
        version_mask: int,
        latest_ntime: int,
        difficulty: float | None = None,
    ) -> VerifiedShare:
        """Build the share's header, hash it and remember it.

        Args:
            submission: What the miner sent.
            version_mask: Version bits it may set.
            latest_ntime: Its time may not be after this, nor before the template's.
            difficulty: What it has to meet; the job's when left out.

        Raises:
            RequestError: The share is malformed, too easy or not the first of its kind.
        """
        ntime = word(submission.ntime)
        self.check_ntime(ntime, latest_ntime)
        bits = word(submission.version_bits)
        if self.dialect.checks_mask and bits & ~version_mask:
            raise RequestError(BITS_OUTSIDE_MASK)
        version_of = SHARE_VERSIONS[self.dialect.share_version]
        return self.check_header(
            _hex_bytes(submission.extranonce2, self.extranonce2_size),
            ntime=ntime,
            nonce=word(submission.nonce),
            version=version_of(self.template.version, bits, version_mask),
            asked=difficulty,
        )

    def check_ntime(self, ntime: int, latest_ntime: int) -> None:
        """Check when a share was found.

        Raises:
            RequestError: Before the template was made, or after `latest_ntime`.
        """
        if not self.template.ntime <= ntime <= latest_ntime:
            raise RequestError(NTIME_OUT_OF_RANGE)

    def merkle_root(self, extranonce2: bytes) -> bytes:
        """The root of a block whose coinbase has this extranonce2."""
        coinbase = coinbase_transaction(
            self.coinbase1, self.extranonce1, extranonce2, self.coinbase2
        )
        return merkle_root(sha256d(coinbase), self.template.merkle_branch)

    def check_header(
        self,
        extranonce2: bytes,
        *,
        ntime: int,
        nonce: int,
        version: int,
        asked: float | None = None,
    ) -> VerifiedShare:
        """Hash a share's header and remember it.

        Args:
            extranonce2: What the miner chose.
            ntime: Its time.
            nonce: Its nonce.
            version: Of the header.
            asked: The difficulty it has to meet; the job's when left out.

        Raises:
            RequestError: The share is too easy or not the first of its kind.
        """
        work = Work(
            version=version,
            prevhash=self.template.prevhash,
            merkle_root=self.merkle_root(extranonce2),
            ntime=ntime,
            nbits=self.template.nbits,
        )
        header = work.header(nonce)
        hash_ = sha256d(header)
        difficulty = difficulty_of(hash_)
        if difficulty < (self.difficulty if asked is None else asked):
            raise RequestError(LOW_DIFFICULTY_SHARE, difficulty=difficulty)
        key = int.from_bytes(hash_[:8])
        if key in self._known:
            raise RequestError(DUPLICATE_SHARE)
        self._known.append(key)
        target = nbits_target(self.template.nbits)
        is_block = int.from_bytes(hash_, "little") <= target
        return VerifiedShare(header, difficulty, is_block)


def word(text: str) -> int:
    """Read a 32-bit number of exactly eight hex digits.

    Raises:
        RequestError: It is anything else.
    """
    return int.from_bytes(_hex_bytes(text, 4))


def payout_script(user: str) -> bytes:
    """Script that pays the address before the first dot of a user's name."""
    try:
        return script_for_address(user.partition(".")[0])
    except ValueError:
        return ANYONE_CAN_SPEND


def has_address(user: str) -> bool:
    """Whether a user's name begins with an address."""
    return payout_script(user) != ANYONE_CAN_SPEND


def _hex_bytes(text: str, size: int) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    # Both lengths: fromhex lets blanks through.
    if len(data) != size or len(text) != 2 * size:
        raise RequestError(MALFORMED_SHARE)
    return data


@functools.lru_cache(maxsize=8)
def _coinbase1(height: int, *, extranonce_size: int) -> bytes:
    """Bytes before the extranonces: the height as BIP 34 wants it, and our tag."""
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    script = bytes([len(number)]) + number + SCRIPTSIG_TAG
    return _COINBASE_HEAD + bytes([len(script) + extranonce_size]) + script


def _coinbase2(value_sat: int, script: bytes, *, lock_time: int) -> bytes:
    """Bytes after the extranonces: one output that pays everything to `script`."""
    output = _OUTPUT.pack(1, value_sat, len(script)) + script
    return _SEQUENCE + output + _U32.pack(lock_time)
