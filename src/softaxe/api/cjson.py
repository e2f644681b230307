"""JSON as the firmware's cJSON writes and reads it.

Clients see every digit, so the rules are kept to the byte: see http-api.md 0.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import floor, isfinite
from struct import Struct
from typing import Any

from softaxe.device.settings import JsonValue

_FLOAT32 = Struct("<f")
_pack, _unpack = _FLOAT32.pack, _FLOAT32.unpack
_INT_MAX = 2**31 - 1
_INT_MIN = -(2**31)
_EPSILON = 2.0**-52
_DECIMALS = 1e7
_ESCAPES = re.compile(r'["\\\x00-\x1f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n"}
_SHORT |= {"\r": "\\r", "\t": "\\t"}


Printer = Callable[[Any], str]

# Writing


def number(value: float) -> str:
    """Print a number: whole ones in 32 bits as such, else up to 17 digits."""
    if not isfinite(value):
        return "null"
    if _INT_MIN <= value <= _INT_MAX and value == int(value):
        return str(int(value))
    value = float(value)
    text = f"{value:1.15g}"
    again = float(text)
    if abs(again - value) > _EPSILON * max(abs(again), abs(value)):
        text = f"{value:1.17g}"
    return text


def float7(value: float) -> str:
    """Print a single-precision number rounded to seven decimals."""
    (single,) = _unpack(_pack(value))
    scaled = single * _DECIMALS
    rounded = floor(scaled + 0.5) if scaled >= 0 else -floor(-scaled + 0.5)
    return number(rounded / _DECIMALS)


def float_raw(value: float) -> str:
    """Print a single-precision number with all its digits."""
    (single,) = _unpack(_pack(value))
    return number(single)


def boolean01(value: bool) -> str:
    """Print a boolean as 0 or 1."""
    return "1" if value else "0"


def string(value: str) -> str:
    """Print a string; only what must be escaped is."""
    return f'"{_ESCAPES.sub(_escape, value)}"'


def _escape(match: re.Match[str]) -> str:
    letter = match.group()
    return _SHORT.get(letter) or f"\\u{ord(letter):04x}"


def members(rows: Iterable[tuple[str, str]], depth: int = 1) -> str:
    """Lay out an object of printed values; members stand at `depth` tabs."""
    tabs = "\t" * depth
    inner = ",\n".join(f'{tabs}"{name}":\t{value}' for name, value in rows)
    return f"{{\n{inner}\n{tabs[1:]}}}" if inner else f"{{\n{tabs[1:]}}}"


def array(values: Iterable[str]) -> str:
    """Lay out an array of printed values."""
    return f"[{', '.join(values)}]"


def document(value: Any, depth: int = 1) -> str:
    """Lay out any JSON value; an array counts as a level, as in cJSON."""
    if isinstance(value, Mapping):
        rows = ((escape_name(k), document(v, depth + 1)) for k, v in value.items())
        return members(rows, depth)
    if isinstance(value, list):
        return array(document(entry, depth + 1) for entry in value)
    if isinstance(value, str):
        return string(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return number(value)


def escape_name(name: str) -> str:
    """Print a member's name without its quotes."""
    return string(name)[1:-1]


# Reading


class Members(list[tuple[str, JsonValue]]):
    """The members of an object in their order, equal names kept."""


class _NotStandard(ValueError):
    pass


def _take_members(pairs: list[tuple[str, Any]]) -> Members:
    return Members((_text(name), _value(value)) for name, value in pairs)


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Members):
        return dict(value)
    return value


def _text(text: str) -> str:
    if not text.isascii():
        text.encode()  # raises for half a surrogate pair, which cJSON refuses
    return text.partition("\0")[0]  # a C string ends there


def _refuse_constant(name: str) -> float:
    raise _NotStandard(name)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_take_members, parse_constant=_refuse_constant, strict=False
)


def parse(body: bytes) -> Members:
    """Read a request's JSON as tolerantly as cJSON.

    A byte order mark and white space may lead, anything may follow the first value, the
    text ends at a NUL, and a root that is no object has no members.

    Raises:
        ValueError: It is not JSON; says where.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").partition(b"\0")[0].decode()
    try:
        root, _ = _DECODER.raw_decode(text.lstrip(" \t\r\n"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return root if isinstance(root, Members) else Members()
