"""The seed of every device of a fleet, which comes of the fleet's own.

Two runs with neighbouring seeds are to share nothing, so a device's seed is no sum.
"""

from hashlib import blake2b

from softaxe.device.identity import MAX_SEED

HALF = 1 << 12
"""MAX_SEED is its square."""
ROUNDS = 4
ABOVE_BITS = 29
"""With those of MAX_SEED 53, which JSON's readers keep exactly."""


def member_seed(seed: int, number: int) -> int:
    """Return the seed of a device: the fleet's own for the first, else a hash.

    No two devices of a fleet have equal seeds modulo MAX_SEED, of which their MAC
    addresses come; what is above tells them from devices of other fleets.

    Args:
        seed: Of the fleet.
        number: The device's in its fleet, from 1.
    """
    if number == 1:
        return seed
    place = _mixed(seed, number) - _mixed(seed, 1) + seed
    above = _hash(f"{seed} {number}") % (1 << ABOVE_BITS)
    return above * MAX_SEED + place % MAX_SEED


def neighbouring_seed(seed: int, number: int) -> int:
    """Return the seed of a device as older state directories have it."""
    return seed + number - 1


def _mixed(seed: int, number: int) -> int:
    """Map the numbers below MAX_SEED to each other; a Feistel network, so one to one.

    Source: Luby and Rackoff, 1988: four rounds make a permutation out of a function.
    """
    left, right = divmod(number % MAX_SEED, HALF)
    for turn in range(ROUNDS):
        left, right = right, left ^ _hash(f"{seed} {turn} {right}") % HALF
    return left * HALF + right


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
