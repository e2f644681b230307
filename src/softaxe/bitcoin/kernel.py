"""The nonce search: in C for the CPU at hand, in Python where there is no compiler.

Nonces are in *search order* here: the header's last four bytes read big-endian. So does
SHA-256 read them, and so do the bits sit on the chip's wire. `int.from_bytes(
nonce.to_bytes(4), "little")` gives the number that `mining.submit` wants.

Several variants do the same; the first search chooses among them by a known answer and
a short race.
"""

from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256

from softaxe.bitcoin.sha256 import BLOCK_BYTES, INITIAL_STATE, STATE_BYTES, compress

try:
    from softaxe.bitcoin import _kernel
except ImportError:  # no C compiler when softaxe was installed
    _kernel = None  # type: ignore[assignment]

HEADER_BYTES = 80
TAIL_BYTES = 12
"""Bytes of the header between the block of the midstate and the nonce."""
PYTHON = "python"
_NONCE_AT = BLOCK_BYTES + TAIL_BYTES
_PADDING = b"\x80" + bytes(45) + (8 * HEADER_BYTES).to_bytes(2)
_RACE_NONCES = 1 << 12
_RACES = 5
_KNOWN_HEADER = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000"
    "000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa"
    "4b1e5e4a29ab5f49ffff001d00000000"
)
"""Bitcoin's first block, without its nonce."""
_KNOWN_NONCE = 0x1DAC2B7C
_KNOWN = _KNOWN_HEADER, _KNOWN_NONCE - 20, 41, 0xFFFF << 208
_EASY = _KNOWN_HEADER, 0, 1 << 10, 1 << 252
"""One nonce in 16 meets the target: some in every lane of every variant."""


def sha256d_python(data: bytes) -> bytes:
    """SHA-256 twice with `hashlib`; see `sha256d`."""
    return sha256(sha256(data).digest()).digest()


sha256d = sha256d_python if _kernel is None else _kernel.sha256d
"""Hash bytes twice with SHA-256.

In C for what is short, of which `hashlib` makes two objects first."""

Search = Callable[[bytes, int, int, int], list[int]]
MidstateSearch = Callable[[bytes, bytes, int, int, int], list[int]]


def search_python(
    header: bytes, first_nonce: int, count: int, target: int
) -> list[int]:
    """The search in Python; see `search`."""
    _check(len(header), first_nonce, count, target)
    head = sha256(header[:BLOCK_BYTES])
    tail = header[BLOCK_BYTES:_NONCE_AT]
    found = []
    for nonce in _nonces(first_nonce, count):
        inner = head.copy()
        inner.update(tail + nonce.to_bytes(4))
        digest = sha256(inner.digest()).digest()
        if int.from_bytes(digest, "little") <= target:
            found.append(nonce)
    return found


def search_midstate_python(
    midstate: bytes, tail: bytes, first_nonce: int, count: int, target: int
) -> list[int]:
    """The search from a midstate in Python; see `search_midstate`."""
    _check_midstate(midstate, tail, first_nonce, count, target)
    found = []
    for nonce in _nonces(first_nonce, count):
        inner = compress(midstate, tail + nonce.to_bytes(4) + _PADDING)
        digest = sha256(inner).digest()
        if int.from_bytes(digest, "little") <= target:
            found.append(nonce)
    return found


def _nonces(first_nonce: int, count: int) -> Iterator[int]:
    return (nonce & 0xFFFFFFFF for nonce in range(first_nonce, first_nonce + count))


def _native(variant: str) -> tuple[Search, MidstateSearch]:
    """Make both searches of a variant in C."""

    def search(header: bytes, first_nonce: int, count: int, target: int) -> list[int]:
        _check(len(header), first_nonce, count, target)
        state = _kernel.midstate(header[:BLOCK_BYTES])
        tail = header[BLOCK_BYTES:_NONCE_AT]
        target_le = target.to_bytes(32, "little")
        return _kernel.search(variant, state, tail, first_nonce, count, target_le)

    def search_midstate(
        midstate: bytes, tail: bytes, first_nonce: int, count: int, target: int
    ) -> list[int]:
        _check_midstate(midstate, tail, first_nonce, count, target)
        target_le = target.to_bytes(32, "little")
        return _kernel.search(variant, midstate, tail, first_nonce, count, target_le)

    return search, search_midstate


def _check_midstate(
    midstate: bytes, tail: bytes, first_nonce: int, count: int, target: int
) -> None:
    if len(midstate) != STATE_BYTES:
        raise ValueError(f"midstate: {len(midstate)} bytes, not {STATE_BYTES}")
    size = len(tail) + BLOCK_BYTES + 4
    _check(size, first_nonce, count, target)


def _check(size: int, first_nonce: int, count: int, target: int) -> None:
    if size != HEADER_BYTES:
        raise ValueError(f"header: {size} bytes, not {HEADER_BYTES}")
    if not 0 <= first_nonce < 1 << 32:
        raise ValueError(f"first_nonce: {first_nonce} is outside 0..2**32-1")
    if not 0 <= count <= 1 << 32:
        raise ValueError(f"count: {count} is outside 0..2**32")
    if not 0 <= target < 1 << 256:
        raise ValueError("target: outside 0..2**256-1")


_ALL: dict[str, tuple[Search, MidstateSearch]] = {
    name: _native(name) for name in ([] if _kernel is None else _kernel.variants())
}
_ALL[PYTHON] = search_python, search_midstate_python
VARIANTS: dict[str, Search] = {name: both[0] for name, both in _ALL.items()}
"""What this CPU can run, by name: of `sha-ni`, `avx512`, `avx2`, `arm-sha2` and `c`
those it has instructions for, and always `python`."""
MIDSTATE_VARIANTS: dict[str, MidstateSearch] = {
    name: both[1] for name, both in _ALL.items()
}
"""The same for `search_midstate`."""


@cache
def chosen_variant() -> str:
    """Name of the variant that `search` uses: the fastest that knows the answer."""
    easy_answer = search_python(*_EASY)
    right = [
        name
        for name, search in VARIANTS.items()
        if name != PYTHON
        and search(*_KNOWN) == [_KNOWN_NONCE]
        and search(*_EASY) == easy_answer
    ]
    if _kernel is None or not right:
        return PYTHON
    # In turns, so that a moment when the machine is busy slows all alike.
    turns = [
        {name: _kernel.cpu_s(name, _RACE_NONCES) for name in right}
        for _ in range(_RACES)
    ]
    return min(right, key=lambda name: min(turn[name] for turn in turns))


def search(header: bytes, first_nonce: int, count: int, target: int) -> list[int]:
    """Search a range of nonces.

    Args:
        header: 80 bytes of a block header; the nonce in it is ignored.
        first_nonce: Where to begin, in search order.
        count: How many nonces to try, upward modulo 2**32.
        target: A hash, read little-endian, must be at most this.

    Returns:
        Every nonce that meets the target, in the order searched.

    Raises:
        ValueError: An argument is out of range.
    """
    return VARIANTS[chosen_variant()](header, first_nonce, count, target)


def search_each(
    ranges: list[tuple[bytes, int, int]], target: int
) -> list[tuple[int, int, bytes]]:
    """Search several short ranges at once.

    Args:
        ranges: Of each the header, the first nonce and how many, as for `search`.
        target: What to meet.

    Returns:
        The place of the range, the nonce and the hash of each that meets the target, in
        the order searched.

    Raises:
        ValueError: An argument is out of range.
    """
    _check(HEADER_BYTES, 0, 0, target)
    for header, first_nonce, count in ranges:
        if len(header) != HEADER_BYTES or first_nonce >> 32 or count >> 32:
            _check(len(header), first_nonce, count, target)
    variant = chosen_variant()
    if _kernel is not None and variant != PYTHON:
        return _kernel.search_each(variant, ranges, target.to_bytes(32, "little"))
    return [
        (place, nonce, sha256d(header[:_NONCE_AT] + nonce.to_bytes(4)))
        for place, (header, first_nonce, count) in enumerate(ranges)
        for nonce in search(header, first_nonce, count, target)
    ]


def search_midstate(
    midstate: bytes, tail: bytes, first_nonce: int, count: int, target: int
) -> list[int]:
    """Search a range of nonces of a header whose first 64 bytes only a state knows.

    Args:
        midstate: What `midstate` made of the first 64 bytes.
        tail: The 12 bytes between those and the nonce.
        first_nonce: As for `search`, and so the rest.
        count: How many.
        target: What to meet.

    Returns:
        As `search`.

    Raises:
        ValueError: An argument is out of range.
    """
    chosen = MIDSTATE_VARIANTS[chosen_variant()]
    return chosen(midstate, tail, first_nonce, count, target)


def midstate(head: bytes) -> bytes:
    """SHA-256's state after the first 64 bytes of a header: 8 big-endian words.

    Raises:
        ValueError: It is not 64 bytes.
    """
    if len(head) != BLOCK_BYTES:
        raise ValueError(f"head: {len(head)} bytes, not {BLOCK_BYTES}")
    return compress(INITIAL_STATE, head) if _kernel is None else _kernel.midstate(head)
