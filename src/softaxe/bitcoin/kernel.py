"""The nonce search, in C where there is a compiler and in Python elsewhere.

Nonces are in *search order* here: the header's last four bytes read big-endian. So does
SHA-256 read them, and so do the bits sit on the chip's wire. `int.from_bytes(
nonce.to_bytes(4), "little")` gives the number that `mining.submit` wants.
"""

from collections.abc import Callable
from hashlib import sha256

try:
    from softaxe.bitcoin import _kernel
except ImportError:  # no C compiler when softaxe was installed
    _kernel = None  # type: ignore[assignment]

HEADER_BYTES = 80
_HEAD = 64
_NONCE_AT = 76

Search = Callable[[bytes, int, int, int], list[int]]


def search_python(
    header: bytes, first_nonce: int, count: int, target: int
) -> list[int]:
    """The search in Python; see `search`."""
    _check(header, first_nonce, count, target)
    head = sha256(header[:_HEAD])
    tail = header[_HEAD:_NONCE_AT]
    found = []
    for nonce in range(first_nonce, first_nonce + count):
        nonce &= 0xFFFFFFFF  # noqa: PLW2901 - the range may wrap
        inner = head.copy()
        inner.update(tail + nonce.to_bytes(4))
        digest = sha256(inner.digest()).digest()
        if int.from_bytes(digest, "little") <= target:
            found.append(nonce)
    return found


def _search_native(
    header: bytes, first_nonce: int, count: int, target: int
) -> list[int]:
    """The search in C; see `search`."""
    _check(header, first_nonce, count, target)
    return _kernel.search(header, first_nonce, count, target.to_bytes(32, "little"))


def _check(header: bytes, first_nonce: int, count: int, target: int) -> None:
    if len(header) != HEADER_BYTES:
        raise ValueError(f"header: {len(header)} bytes, not {HEADER_BYTES}")
    if not 0 <= first_nonce < 1 << 32:
        raise ValueError(f"first_nonce: {first_nonce} is outside 0..2**32-1")
    if not 0 <= count <= 1 << 32:
        raise ValueError(f"count: {count} is outside 0..2**32")
    if not 0 <= target < 1 << 256:
        raise ValueError("target: outside 0..2**256-1")


search_c: Search | None = None if _kernel is None else _search_native

KERNEL_NAME = "python" if search_c is None else "c"
"""Which one `search` is."""


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
    return _search(header, first_nonce, count, target)


_search: Search = search_c or search_python
