"""SHA-256's compression function, for what `hashlib` does not offer: midstates.

Source: FIPS 180-4. Slow; the C kernel replaces it where it was built.
"""

from struct import Struct

STATE_BYTES = 32
BLOCK_BYTES = 64
INITIAL_STATE = bytes.fromhex(
    "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19"
)
_MASK = 0xFFFFFFFF
_STATE = Struct(">8I")
_BLOCK = Struct(">16I")
_PRIMES = [n for n in range(2, 312) if all(n % p for p in range(2, int(n**0.5) + 1))]


def _cube_root_bits(prime: int) -> int:
    """First 32 bits of the fractional part of a prime's cube root."""
    low, high = 0, 1 << 36
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= prime << 96 else (low, middle)
    return low & _MASK


_K = [_cube_root_bits(prime) for prime in _PRIMES]


def compress(state: bytes, block: bytes) -> bytes:
    """Take one block of 64 bytes into a state of 32, both big-endian words."""
    w = list(_BLOCK.unpack(block))
    for i in range(16, 64):
        x, y = w[i - 15], w[i - 2]
        s0 = _ror(x, 7) ^ _ror(x, 18) ^ x >> 3
        s1 = _ror(y, 17) ^ _ror(y, 19) ^ y >> 10
        w.append((w[i - 16] + s0 + w[i - 7] + s1) & _MASK)
    before = _STATE.unpack(state)
    a, b, c, d, e, f, g, h = before
    for k, word in zip(_K, w, strict=True):
        big1 = _ror(e, 6) ^ _ror(e, 11) ^ _ror(e, 25)
        t1 = h + big1 + (g ^ e & (f ^ g)) + k + word
        big0 = _ror(a, 2) ^ _ror(a, 13) ^ _ror(a, 22)
        t2 = big0 + (a & b | c & (a | b))
        a, b, c, d, e, f, g, h = (t1 + t2) & _MASK, a, b, c, (d + t1) & _MASK, e, f, g
    after = (a, b, c, d, e, f, g, h)
    return _STATE.pack(*((x + y) & _MASK for x, y in zip(before, after, strict=True)))


def _ror(x: int, n: int) -> int:
    return (x >> n | x << 32 - n) & _MASK
