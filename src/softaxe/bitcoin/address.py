"""Output scripts of Bitcoin addresses (base58check, bech32 and bech32m).

Source: BIP 13, BIP 141, BIP 173, BIP 350.
"""

from softaxe.bitcoin.header import sha256d

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_CHECKS = {1: 0, 0x2BC830A3: 1}
"""Checksum constant: least witness version it is for."""
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_P2PKH_VERSIONS = frozenset({0x00, 0x6F})
_P2SH_VERSIONS = frozenset({0x05, 0xC4})
_PREFIXES = frozenset({"bc", "tb", "bcrt"})
_BASE58_BYTES = 25
_MAX_LETTERS = 90
"""No address is longer. Source: BIP 173."""
_MAX_WITNESS_VERSION = 16


def script_for_address(address: str) -> bytes:
    """Return the script that pays to an address of any Bitcoin network.

    Raises:
        ValueError: It is no address; says why.
    """
    if not address.isascii() or len(address) > _MAX_LETTERS:
        raise ValueError(f"address: not ASCII, or longer than {_MAX_LETTERS}")
    prefix, separator, _ = address.lower().rpartition("1")
    if separator and prefix in _PREFIXES:
        return _segwit_script(address)
    return _base58_script(address)


def _base58_script(address: str) -> bytes:
    value = 0
    for letter in address:
        digit = _BASE58.find(letter)
        if digit < 0:
            raise ValueError(f"address: {letter!r} is no base58 digit")
        value = value * 58 + digit
    zeros = len(address) - len(address.lstrip(_BASE58[0]))
    data = bytes(zeros) + value.to_bytes((value.bit_length() + 7) // 8)
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
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    least_version = _BECH32_CHECKS.get(_polymod(expanded + digits))
    version = digits[0]
    if least_version is None or min(version, 1) != least_version:
        raise ValueError("address: wrong checksum")
    program = _regroup(digits[1:-6])
    if version > _MAX_WITNESS_VERSION or not 2 <= len(program) <= 40:
        raise ValueError(f"address: no witness version {version} program")
    if version == 0 and len(program) not in (20, 32):
        raise ValueError(f"address: {len(program)} bytes, not 20 or 32")
    opcode = 0x50 + version if version else 0
    return bytes((opcode, len(program))) + program


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
