"""JSON as the firmware's cJSON writes and reads it.

Clients see every digit, so the rules are kept to the byte: see cJSON 1.7.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring
from math import isfinite
from struct import Struct
from typing import Any

from softaxe.json_values import JsonValue

_FLOAT32 = Struct("<f")
_pack, _unpack = _FLOAT32.pack, _FLOAT32.unpack
_INT_MAX = 2**31 - 1
_INT_MIN = -(2**31)
_EPSILON = 2.0**-52
_DECIMALS = 1e7
_EXACT_DIGITS = 15
"""Decimal digits that a double always keeps."""
_EXACT = 1e15
_CONSTANTS = {None: "null", False: "false", True: "true"}


Printer = Callable[[Any], str]

# Writing


def string(value: str) -> str:
    """Print a string; only what must be escaped is."""
    return encode_basestring(value)


def number(value: float) -> str:
    """Print a number: whole ones in 32 bits as such, else up to 17 digits."""
    if _INT_MIN <= value <= _INT_MAX:
        if value == (whole := int(value)):
            return str(whole)
    else:
        try:
            value = float(value)
        except OverflowError:
            return "null"
        if not isfinite(value):
            return "null"
    text = f"{value:.15g}"
    again = float(text)
    if again != value and (abs(again - value) > _EPSILON * max(abs(again), abs(value))):
        text = f"{value:.17g}"
    return text


def integer(value: float) -> str:
    """Print the whole part of a number."""
    if type(value) is int and _INT_MIN <= value <= _INT_MAX:
        return str(value)
    return number(int(value))


def float7(value: float) -> str:
    """Print a single-precision number rounded to seven decimals."""
    try:
        (single,) = _unpack(_pack(value))
    except OverflowError:
        return "null"
    scaled = single * _DECIMALS
    if -_EXACT < scaled < _EXACT:
        # Half away from zero. So few digits print as `number` would print them.
        half = 0.5 if scaled >= 0 else -0.5
        return f"{int(scaled + half) / _DECIMALS:.15g}"
    return number(scaled / _DECIMALS)


def float_raw(value: float) -> str:
    """Print a single-precision number with all its digits."""
    try:
        (single,) = _unpack(_pack(value))
    except OverflowError:
        return "null"
    return number(single)


def boolean01(value: bool) -> str:
    """Print a boolean as 0 or 1."""
    return "1" if value else "0"


def boolean(value: bool) -> str:
    """Print a boolean as such."""
    return "true" if value else "false"


def members(
    rows: Iterable[tuple[str, str]], depth: int = 1, *, is_compact: bool = False
) -> str:
    """Lay out an object of printed values; members stand at `depth` tabs."""
    if is_compact:
        inner = ",".join(f'"{name}":{value}' for name, value in rows)
        return f"{{{inner}}}"
    tabs = "\t" * depth
    inner = ",\n".join(f'{tabs}"{name}":\t{value}' for name, value in rows)
    return f"{{\n{inner}\n{tabs[1:]}}}" if inner else f"{{\n{tabs[1:]}}}"


def array(values: Iterable[str], *, is_compact: bool = False) -> str:
    """Lay out an array of printed values."""
    return f"[{(',' if is_compact else ', ').join(values)}]"


def document(value: Any, depth: int = 1, *, is_compact: bool = False) -> str:
    """Lay out any JSON value; an array counts as a level, as in cJSON.

    It does not recurse: clients store values as deeply nested as they like.
    """
    text: list[str] = []
    left: list[str | tuple[Any, int]] = [(value, depth)]
    while left:
        piece = left.pop()
        if isinstance(piece, str):
            text.append(piece)
        else:
            left += reversed(_pieces(*piece, is_compact=is_compact))
    return "".join(text)


def _pieces(value: Any, depth: int, *, is_compact: bool) -> list[str | tuple[Any, int]]:
    """Take a value apart, one level: text, and inner values with their depth."""
    pieces: list[str | tuple[Any, int]] = []
    if isinstance(value, Mapping):
        tabs, colon, line = "\t" * depth, ":\t", "\n"
        if is_compact:
            tabs, colon, line = "", ":", ""
        for name, member in value.items():
            pieces += (f"{tabs}{string(name)}{colon}", (member, depth + 1), f",{line}")
        end = line if pieces else ""
        return [f"{{{line}", *pieces[:-1], f"{end}{tabs[1:]}}}"]
    if isinstance(value, list):
        for entry in value:
            pieces += ((entry, depth + 1), "," if is_compact else ", ")
        return ["[", *pieces[:-1], "]"]
    if isinstance(value, str):
        return [string(value)]
    if value is None or isinstance(value, bool):
        return [_CONSTANTS[value]]
    return [number(value)]


# Reading


class _Object(dict[str, JsonValue]):
    """An object in which the first of equal names counts."""

    def __init__(self, pairs: list[tuple[str, JsonValue]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        if len(self) < len(pairs):
            self.update(reversed(pairs))


def _integer(text: str) -> float:
    """Read a whole number; one that a double may not hold becomes a double."""
    return int(text) if len(text) <= _EXACT_DIGITS else float(text)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object,
    parse_int=_integer,
    parse_constant=_refuse_constant,
    strict=False,
)
_TOKEN = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"?|[-0-9][-+.0-9eE]*|[\x01-\x1f]', re.DOTALL
)
_ESCAPE = re.compile(r"\\u(?![0-9a-fA-F]{4})(?P<code>.{4})|\\.", re.DOTALL)
_NO_STRING = "\0"
"""Stands where a string cannot be read."""
_STRTOD = re.compile(r"(-?)(?=\.?[0-9])0*([0-9]*)\.?([0-9]*)((?:[eE][-+]?[0-9]+)?)")


def _standard(token: re.Match[str]) -> str:
    """Write a string, number or white space of cJSON's JSON as standard JSON."""
    text = token.group()
    if text[0] == '"':
        return _standard_string(text)
    if parts := _STRTOD.match(text):
        sign, whole, decimals, exponent = parts.groups()
        point = "." if decimals else ""
        rest = text[parts.end() :]  # after a blank: together they may be a number
        return f"{sign}{whole or 0}{point}{decimals}{exponent}{rest and f' {rest}'}"
    return " " if text < "!" else text


def _standard_string(text: str) -> str:
    if text.isascii() and "\\u" not in text:
        return text
    try:
        inner = _ESCAPE.sub(_standard_escape, text[1:-1])
        value: str = _DECODER.decode(f'"{inner}{text[-1]}')
        value.encode()
    except ValueError:
        # No string, or half a surrogate pair, or a byte that is no UTF-8: what comes
        # behind the first value may be that.
        return _NO_STRING
    # To C a string ends at its first NUL.
    return string(value.partition("\0")[0])


def _standard_escape(escape: re.Match[str]) -> str:
    """Write a code that is no hexadecimal as cJSON reads it: 0."""
    return "\\u0000" if escape["code"] else escape.group()


def parse(body: bytes) -> list[tuple[str, JsonValue]]:
    """Read a request's JSON as tolerantly as cJSON.

    A byte order mark and white space may lead, anything may follow the first value, the
    text ends at a NUL, numbers are what C's `strtod` reads, and a root that is no
    object has no members.

    Returns:
        The members in their order, equal names kept.

    Raises:
        ValueError: It is not JSON; says where.
    """
    if body.isascii() and b"\0" not in body and b"\\u" not in body:
        try:
            return _members(body.decode())
        except (ValueError, RecursionError):
            return _parse_own(body)
    return _parse_own(body)


def _parse_own(body: bytes) -> list[tuple[str, JsonValue]]:
    """Read what may be cJSON's alone."""
    raw = body.removeprefix(b"\xef\xbb\xbf").partition(b"\0")[0]
    text = _TOKEN.sub(_standard, raw.decode("utf-8", "surrogateescape"))
    try:
        return _members(text.lstrip(" "))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError as error:
        if error.doc.startswith(_NO_STRING, error.pos):
            raise ValueError("a string is no Unicode text") from error
        raise


def _members(text: str) -> list[tuple[str, JsonValue]]:
    root, _ = _DECODER.raw_decode(text)
    return root.pairs if isinstance(root, _Object) else []
