"""JSON values as the firmware's cJSON reads them, and as errors quote them."""

from math import inf
from typing import Any

from softaxe.errors import SettingError

JsonValue = str | int | float | bool | None | list[Any] | dict[str, Any]
INT_LIMIT = 2**31
MOST_DEPTH = 20
"""Levels of a JSON value that somebody orders."""
MAX_SHOWN = 80
"""Characters of a refused value that an error quotes."""


def utf8_size(text: str, name: str, shown: str) -> int:
    """Return how many bytes a text has; SettingError when it is no Unicode."""
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise SettingError(f"{name}: {shown} holds half a character") from error


def is_number(value: object) -> bool:
    """Tell whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_depth(value: object) -> None:
    """Complain of a JSON value of too many levels, which no later step could bear.

    Raises:
        SettingError: It has more than `MOST_DEPTH`.
    """
    level: list[Any] = [value]
    for _ in range(MOST_DEPTH):
        tables = [one.values() for one in level if isinstance(one, dict)]
        lists = [one for one in level if isinstance(one, list)]
        level = [inner for one in (*tables, *lists) for inner in one]
    if any(isinstance(one, dict | list) for one in level):
        raise SettingError(f"is nested more than {MOST_DEPTH} deep")


def double(value: float) -> float:
    """Read a number as cJSON does: as a double, infinite when it is too large."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def whole(value: Any) -> int:
    """Cut a number towards zero and saturate, as cJSON's integers do."""
    return int(max(-INT_LIMIT, min(INT_LIMIT - 1, double(value))))


def show(value: object) -> str:
    """Quote a refused value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    if isinstance(value, int | float):
        return f"{double(value):.10g}"
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
