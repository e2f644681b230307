"""Types and numbers that every layer shares.

Inside softaxe quantities are in volts, amperes, watts, degrees Celsius, megahertz
and hashes per second; the spellings and units of AxeOS exist only in `softaxe.api`.
"""

from enum import StrEnum
from math import ceil
from struct import Struct
from typing import Protocol

_FLOAT32 = Struct("<f")

SUFFIXES = "kMGTPE"
"""Of thousands, millions ..."""
NEVER = float("inf")
"""The `next_wake` of something that waits for input only."""


class Level(StrEnum):
    """Severity of a device log line, as the letter ESP-IDF prints."""

    ERROR = "E"
    WARNING = "W"
    INFO = "I"


class Log(Protocol):
    """Where a component of the device writes its log lines."""

    def __call__(self, level: Level, tag: str, text: str, /) -> None:
        """Write one line; `tag` is the firmware's tag, `text` has no line end."""


class LazyLog(Protocol):
    """A `Log` for lines that come so often that only those are made which are read."""

    def __call__(self, level: Level, tag: str, text: str, /, **values: object) -> None:
        """Write one line, whose text the values fill in as `str.format` does."""


def printable(text: str) -> str:
    r"""Return a text from outside so that a terminal shows it and does nothing else.

    Control characters, those that turn the direction of writing, and halves of
    characters are shown as Python writes them, such as `\x1b`.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def float32(value: float) -> float:
    """Round to the nearest single-precision number, as the firmware stores most."""
    packed: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    return packed


def with_suffix(value: float, gap: str = "") -> str:
    """Return a difficulty as the firmware tells it: `999`, `1.23k`, `155.97T`.

    Large values are cut to whole units below the shown one. Source: ESP-Miner utils.c.
    Of one below 1 three digits are told.

    Args:
        value: The difficulty.
        gap: What stands after the number, whether or not a suffix follows.
    """
    if value < 1000:
        return f"{value if value >= 1 else f'{value:.3g}'}{gap}"
    power = 0
    while value >= 1_000_000 and power < len(SUFFIXES) - 1:
        value //= 1000
        power += 1
    return f"{value / 1000:.2f}{gap}{SUFFIXES[power]}"


def logged_difficulty(value: float, *, tells_small: bool) -> str:
    """Return a difficulty as log lines have it: its whole part, or all if below 1."""
    is_small = tells_small and 0 < value < 1
    return f"{value:g}" if is_small else f"{int(value)}"


def tick_number(now: float, *, first_at: float, period_s: float) -> int:
    """Return the number, from 0, of the first tick that comes no earlier than `now`.

    Tick n is at `first_at + n * period_s`; a millionth of a period counts as none.
    """
    number = ceil((now - first_at) / period_s - 1e-6)
    return number if number > 0 else 0
