"""Output scripts of Bitcoin addresses (base58check, bech32, bech32m), and back.

Source: BIP 13, BIP 141, BIP 173, BIP 350.
"""

from enum import Enum

from softaxe.bitcoin.header import sha256d

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_CHECKS = {1: 0, 0x2BC830A3: 1}
"""Checksum constant: least witness version it is for."""
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BASE58_BYTES = 25
MIN_LETTERS = 14
"""No address is shorter: `bc1`, a version, two bytes and a checksum."""
MAX_LETTERS = 90
"""No address is longer. Source: BIP 173."""
_MAX_WITNESS_VERSION = 16


class Network(Enum):
    """A chain of blocks, by how its addresses are written."""

    MAIN = ("bc", 0x00, 0x05)
    TEST = ("tb", 0x6F, 0xC4)
    REGTEST = ("bcrt", 0x6F, 0xC4)

    @property
    def prefix(self) -> str:
        """Of bech32 addresses."""
        return self.value[0]

    @property
    def p2pkh(self) -> int:
        """Version of base58 addresses that stand for a key."""
        return self.value[1]

    @property
    def p2sh(self) -> int:
        """Version of base58 addresses that stand for a script."""
        return self.value[2]


_P2PKH_VERSIONS = frozenset(network.p2pkh for network in Network)
_P2SH_VERSIONS = frozenset(network.p2sh for network in Network)
_PREFIXES = frozenset(network.prefix for network in Network)


def script_for_address(address: str) -> bytes:
    """Return the script that pays to an address of any Bitcoin network.

    Raises:
        ValueError: It is no address; says why.
    """
    if not address.isascii() or len(address) > MAX_LETTERS:
        raise ValueError(f"address: not ASCII, or longer than {MAX_LETTERS}")
    prefix, separator, _ = address.lower().rpartition("1")
    if separator and prefix in _PREFIXES:
        return _segwit_script(address)
    return _base58_script(address)


def address_of(script: bytes, network: Network) -> str | None:
    """Return the address that a script pays; None for one of another kind.

    Witness versions are 0 and 1 alone, with programs of 20 or 32 and of 32 bytes: those
    in use.
    """
    head, size = script[:3], len(script)
    if head == b"\x76\xa9\x14" and size == 25 and script[23:] == b"\x88\xac":
        return base58_address(network.p2pkh, script[3:23])
    if head[:2] == b"\xa9\x14" and size == 23 and script[22] == 0x87:
        return base58_address(network.p2sh, script[2:22])
    if (head[:2], size) in ((b"\x00\x14", 22), (b"\x00\x20", 34)):
        return segwit_address(network.prefix, 0, script[2:])
    if head[:2] == b"\x51\x20" and size == 34:
        return segwit_address(network.prefix, 1, script[2:])
    return None


def base58_address(version: int, hash_: bytes) -> str:
    """Write a version and 20 bytes with their checksum."""
    return base58check(bytes((version,)) + hash_)


def base58check(data: bytes) -> str:
    """Write bytes with their checksum."""
    data += sha256d(data)[:4]
    value, letters = int.from_bytes(data), ""
    while value:
        value, digit = divmod(value, 58)
        letters = _BASE58[digit] + letters
    zeros = len(data) - len(data.lstrip(b"\0"))
    return _BASE58[0] * zeros + letters


def base58_bytes(text: str) -> bytes:
    """Read what `base58check` has written; the checksum is the last four bytes.

    Raises:
        ValueError: A letter is none of the 58.
    """
    value = 0
    for letter in text:
        digit = _BASE58.find(letter)
        if digit < 0:
            raise ValueError(f"{letter!r} is no base58 digit")
        value = value * 58 + digit
    zeros = len(text) - len(text.lstrip(_BASE58[0]))
    return bytes(zeros) + value.to_bytes((value.bit_length() + 7) // 8)


def segwit_address(prefix: str, version: int, program: bytes) -> str:
    """Write a witness program with its checksum.

    Raises:
        ValueError: There is no such program; says why.
    """
    _check_program(version, program)
    count = -(-len(program) * 8 // 5)
    value = int.from_bytes(program) << count * 5 - len(program) * 8
    digits = [version, *(value >> 5 * n & 31 for n in reversed(range(count)))]
    for constant, least_version in _BECH32_CHECKS.items():
        if least_version == min(version, 1):
            check = _polymod(_expanded(prefix) + digits + [0] * 6) ^ constant
            digits += [check >> 5 * n & 31 for n in reversed(range(6))]
            break
    return f"{prefix}1" + "".join(_BECH32[digit] for digit in digits)


def _base58_script(address: str) -> bytes:
    try:
        data = base58_bytes(address)
    except ValueError as error:
        raise ValueError(f"address: {error}") from error
    if len(data) != _BASE58_BYTES:
        raise ValueError(f"address: {len(data)} bytes, not {_BASE58_BYTES}")
    if sha256d(data[:-4])[:4] != data[-4:]:
        raise ValueError("address: wrong checksum")
    if data[0] in _P2PKH_VERSIONS:
        return b"\x76\xa9\x14" + data[1:21] + b"\x88\xac"
    if data[0] in _P2SH_VERSIONS:
        return b"\xa9\x14" + data[1:21] + b"\x87"
    raise ValueError(f"address: version {data[0]} is of no Bitcoin network")


def _segwit_script(address: str) -> bytes:
    if address not in (address.lower(), address.upper()):
        raise ValueError("address: mixes upper and lower case")
    prefix, _, text = address.lower().rpartition("1")
    digits = [_BECH32.find(letter) for letter in text]
    if min(digits, default=-1) < 0 or len(digits) < 7:
        raise ValueError("address: not bech32")
    least_version = _BECH32_CHECKS.get(_polymod(_expanded(prefix) + digits))
    version = digits[0]
    if least_version is None or min(version, 1) != least_version:
        raise ValueError("address: wrong checksum")
    program = _regroup(digits[1:-6])
    _check_program(version, program)
    opcode = 0x50 + version if version else 0
    return bytes((opcode, len(program))) + program


def _check_program(version: int, program: bytes) -> None:
    if version > _MAX_WITNESS_VERSION or not 2 <= len(program) <= 40:
        raise ValueError(f"address: no witness version {version} program")
    if version == 0 and len(program) not in (20, 32):
        raise ValueError(f"address: {len(program)} bytes, not 20 or 32")


def _expanded(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check


def _regroup(digits: list[int]) -> bytes:
    value, bits = 0, 0
    for digit in digits:
        value = value << 5 | digit
        bits += 5
    spare = bits % 8
    if spare >= 5 or value & (1 << spare) - 1:
        raise ValueError("address: padding is not zero")
    return (value >> spare).to_bytes(bits // 8)
