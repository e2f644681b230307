"""What a coinbase tells about its block, and whom it pays.

The rules are the firmware's, which reads the two halves of a job's coinbase as bytes in
known places. Source: ESP-Miner components/stratum/coinbase_decoder.c.
"""

from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from softaxe.bitcoin.address import (
    MAX_LETTERS,
    MIN_LETTERS,
    Network,
    address_of,
    script_for_address,
)

MAX_OUTPUTS = 6
"""Outputs that are told of; the value of the others counts, too."""
BIP110_BIT = 1 << 4
BIP110_END = 965_664
"""Height from which on the bit means nothing any more. Source: BIP 110."""
_HEIGHT_AT = 42
"""Byte of coinbase1 with the height push: version 4, count 1, outpoint 36, length 1."""
_FINAL = b"\xff" * 4
"""Sequence of an input for which the lock time means nothing."""
_OP_RETURN = 0x6A
_MAX_PUSH = 0x4B
_MAX_SHOWN_BYTES = 32
_MAX_SHOWN_CHARS = 127
_WORDS = {0xFD: 2, 0xFE: 4, 0xFF: 8}
"""Bytes of a count behind its first, where that does not say it all."""


class CoinbaseInfo(Struct, frozen=True):
    """What a coinbase tells about its block."""

    height: int
    scriptsig: str | None
    """Text after the height, unprintable bytes as dots; None when cut off."""
    sequence_at: int
    """Where the input's sequence begins in coinbase2."""


class Output(Struct, frozen=True):
    """Who gets how much of a block."""

    value_sat: int
    address: str
    """Or, of a script without one, what it holds, in the firmware's words."""
    is_user: bool
    """It is the address with which the user's name begins."""


class Outputs(Struct, frozen=True):
    """What a coinbase pays."""

    first: tuple[Output, ...]
    """`MAX_OUTPUTS` at most."""
    total_sat: int
    user_sat: int
    """To the address with which the user's name begins."""
    sequence: bytes
    lock_time: int


def decode_coinbase(
    coinbase1: bytes, coinbase2: bytes, extranonce_size: int
) -> CoinbaseInfo | None:
    """Read height and text of a coinbase's script.

    Args:
        coinbase1: The half before the extranonces.
        coinbase2: The half after them.
        extranonce_size: Bytes of both extranonces together.

    Returns:
        None when the height cannot be read.
    """
    if len(coinbase1) <= _HEIGHT_AT:
        return None
    script_size, push = coinbase1[_HEIGHT_AT - 1], coinbase1[_HEIGHT_AT]
    text_at = _HEIGHT_AT + 1 + push
    if not 1 <= push <= 4 or len(coinbase1) < text_at:
        return None
    height = int.from_bytes(coinbase1[_HEIGHT_AT + 1 : text_at], "little")
    end = _HEIGHT_AT + script_size
    text = coinbase1[text_at:end]
    missing = end - len(coinbase1) - extranonce_size
    if missing > len(coinbase2):
        return CoinbaseInfo(height, None, missing)
    if missing > 0:
        text += coinbase2[:missing]
    return CoinbaseInfo(height, _printable(text), max(0, missing))


def decode_outputs(
    coinbase2: bytes, sequence_at: int, *, user: str, network: Network
) -> Outputs | None:
    """Read what a coinbase pays, and to whom.

    Args:
        coinbase2: The half after the extranonces.
        sequence_at: Of `decode_coinbase`.
        user: The user's name at the pool; it may begin with an address.
        network: Whose addresses are meant.

    Returns:
        None when there is no room for outputs.
    """
    at = sequence_at + 4
    counted = _count(coinbase2, at)
    if counted is None:
        return None
    count, at = counted
    users_script = script_of_user(user, network)
    first: list[Output] = []
    total_sat = user_sat = 0
    for value_sat, script, end in _walk(coinbase2, at, count):
        at = end
        total_sat += value_sat
        is_user = value_sat > 0 and script == users_script
        user_sat += value_sat if is_user else 0
        if len(first) < MAX_OUTPUTS:
            first.append(Output(value_sat, described(script, network), is_user))
    return Outputs(
        tuple(first),
        total_sat,
        user_sat,
        coinbase2[sequence_at : sequence_at + 4],
        int.from_bytes(coinbase2[at : at + 4], "little"),
    )


def signals(outputs: Outputs, *, height: int, version: int) -> tuple[str, ...]:
    """Proposals that a block's maker signals for, as the firmware names them."""
    found = []
    if outputs.lock_time == height - 1 and outputs.sequence != _FINAL:
        found.append("BIP-54")
    if version & BIP110_BIT and height < BIP110_END:
        found.append("BIP-110")
    return tuple(found)


def network_of(user: str) -> Network:
    """Network of the address with which a user's name seems to begin."""
    if user.startswith("bcrt"):
        return Network.REGTEST
    if user.startswith(("tb1", "m", "n", "2")):
        return Network.TEST
    return Network.MAIN


@lru_cache(maxsize=64)
def script_of_user(user: str, network: Network) -> bytes | None:
    """Script of the address with which a user's name begins; None if with none."""
    for size in range(MIN_LETTERS, min(MAX_LETTERS, len(user)) + 1):
        try:
            script = script_for_address(user[:size])
        except ValueError:
            continue
        return script if address_of(script, network) == user[:size] else None
    return None


@lru_cache(maxsize=256)
def described(script: bytes, network: Network) -> str:
    """The address that a script pays, or what else it is, in the firmware's words."""
    address = address_of(script, network)
    if address is not None:
        return address
    if not script:
        return "unknown"
    if script[0] != _OP_RETURN:
        return f"UNKNOWN:{script[:_MAX_SHOWN_BYTES].hex()}"
    is_one_push = len(script) > 1 and 0 < script[1] <= _MAX_PUSH
    is_one_push = is_one_push and script[1] + 2 == len(script)
    text = _printable(script[2 if is_one_push else 1 :])
    return f"OP_RETURN: {text}"[:_MAX_SHOWN_CHARS]


def _walk(data: bytes, at: int, count: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield value, script and end of each output that is there as a whole."""
    for _ in range(count):
        counted = _count(data, at + 8)
        if counted is None:
            return
        size, script_at = counted
        end = script_at + size
        if end > len(data):
            return
        yield int.from_bytes(data[at : at + 8], "little"), data[script_at:end], end
        at = end


def _count(data: bytes, at: int) -> tuple[int, int] | None:
    """Read a number of variable length; return it and what is behind it."""
    if at >= len(data):
        return None
    size = _WORDS.get(data[at])
    if size is None:
        return data[at], at + 1
    end = at + 1 + size
    if end > len(data):
        return None
    return int.from_bytes(data[at + 1 : end], "little"), end


def _printable(text: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte <= 0x7E else "." for byte in text)
