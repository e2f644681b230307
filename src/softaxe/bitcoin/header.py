"""Coinbase, merkle root, block header and difficulty.

Hashes are 32 bytes in internal order, the order in which SHA-256 gives them and the
header holds them. Difficulty 1 is the target 0xFFFF * 2**208. Source of the rules:
ESP-Miner v2.12.2, components/stratum/mining.c and utils.c.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct

import msgspec

from softaxe.bitcoin import kernel

DIFFICULTY_1_TARGET = 0xFFFF << 208
MAX_TARGET = (1 << 256) - 1
_DIFFICULTY_1 = float(DIFFICULTY_1_TARGET)
HASHES_PER_DIFFICULTY = 2**32
"""That a share of difficulty 1 takes, to 0.002 %."""
KNOWN_TARGETS = 256
"""Pools ask again and again for a few difficulties."""
NONCE_AT = 76
"""Where a header's nonce begins."""
_HEADER = Struct("<I32s32sIII")
sha256d = kernel.sha256d
"""Hash bytes twice with SHA-256."""


def coinbase_transaction(
    coinbase1: bytes, extranonce1: bytes, extranonce2: bytes, coinbase2: bytes
) -> bytes:
    """Put the two extranonces between the pool's two halves."""
    return b"".join((coinbase1, extranonce1, extranonce2, coinbase2))


def extranonce2_bytes(counter: int, size: int) -> bytes:
    """Spell a counter in `size` bytes, little-endian, its low eight bytes at most."""
    used = min(size, 8)
    low = counter & ((1 << 8 * used) - 1)
    return low.to_bytes(used, "little").ljust(size, b"\0")


def merkle_root(coinbase_hash: bytes, branch: Sequence[bytes]) -> bytes:
    """Fold the branch into the coinbase's hash, first entry first."""
    root = coinbase_hash
    for sibling in branch:
        root = sha256d(root + sibling)
    return root


def increment_version(version: int, mask: int) -> int:
    """Count up in the masked bits of a version, carrying past the mask's top bit.

    A carry out of the mask is counted again in the bits above it, as the firmware
    does; the masked field itself wraps to zero.
    """
    if not mask:
        return version
    carry = (version & mask) + (mask & -mask)
    overflow = carry & ~mask & 0xFFFFFFFF
    version = (version & ~mask & 0xFFFFFFFF) | (carry & mask)
    if overflow:
        version = increment_version(version, (overflow << 1) & 0xFFFFFFFF)
    return version


def difficulty_of(hash_: bytes) -> float:
    """Difficulty of a hash in internal order; infinite for the zero hash."""
    value = int.from_bytes(hash_, "little")
    return _DIFFICULTY_1 / value if value else float("inf")


@lru_cache(KNOWN_TARGETS)
def target_for(difficulty: float) -> int:
    """Largest target whose hashes have at least this difficulty, which is finite.

    In exact arithmetic; `difficulty_of` rounds, by one part in 2**52 at most.
    """
    if difficulty <= 0:
        return MAX_TARGET
    numerator, denominator = difficulty.as_integer_ratio()
    return min(DIFFICULTY_1_TARGET * denominator // numerator, MAX_TARGET)


def nbits_target(nbits: int) -> int:
    """Expand the compact form of a target."""
    mantissa, exponent = nbits & 0x7FFFFF, nbits >> 24
    shift = 8 * (exponent - 3)
    return min(mantissa << shift if shift >= 0 else mantissa >> -shift, MAX_TARGET)


def nbits_for(target: int) -> int:
    """Compact form of a target; low digits are lost."""
    size = (target.bit_length() + 7) // 8
    shift = 8 * (size - 3)
    mantissa = target >> shift if shift >= 0 else target << -shift
    if mantissa & 0x800000:  # the top bit is a sign: one more byte
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


def nbits_difficulty(nbits: int) -> float:
    """Difficulty of the compact form; infinite for a target of zero."""
    mantissa, exponent = nbits & 0x7FFFFF, nbits >> 24
    if not mantissa:
        return float("inf")
    # In whole numbers: exponents that no block has would overflow a float.
    if exponent < 3:
        return (DIFFICULTY_1_TARGET << 8 * (3 - exponent)) / mantissa
    return DIFFICULTY_1_TARGET / (mantissa << 8 * (exponent - 3))


class Work(msgspec.Struct, frozen=True):
    """One header to search; what the miner sends to the chip."""

    version: int
    prevhash: bytes
    """Previous block's hash, internal order."""
    merkle_root: bytes
    ntime: int
    nbits: int
    version_mask: int = 0
    """Version bits that the chip may roll."""

    def header(self, nonce: int = 0, version: int | None = None) -> bytes:
        """The 80 bytes; `nonce` is the number of `mining.submit`."""
        return _HEADER.pack(
            self.version if version is None else version,
            self.prevhash,
            self.merkle_root,
            self.ntime,
            self.nbits,
            nonce,
        )
