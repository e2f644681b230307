"""Reads answers of any firmware version into the types that all versions share."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

from softaxe.client.info import Asic, Info
from softaxe.client.members import Pool
from softaxe.errors import BadResponse
from softaxe.json_values import double
from softaxe.units import SUFFIXES

T = TypeVar("T", bound=Struct)
PRIMARY, FALLBACK = "stratum", "fallbackStratum"
"""How members of the two pools begin that there are before 2.15."""
POOL_MEMBERS = tuple(name for name in Pool.__struct_fields__ if name != "id")


class Statistics(Struct, frozen=True, kw_only=True):
    """What a device has recorded."""

    currentTimestamp: float
    """Its clock, in milliseconds since boot."""
    labels: list[str]
    """Of the columns; which there are depends on the firmware version."""
    statistics: list[list[float | None]]
    """A row for each sample, the oldest first."""

    @property
    def rows(self) -> list[dict[str, float | None]]:
        """Every sample with its columns by label."""
        return [dict(zip(self.labels, row, strict=False)) for row in self.statistics]


def read_answer(kind: type[T], value: object) -> T:
    """Read an answer that was JSON.

    Flags that are told as 0 and 1, and difficulties that are told as text (both of old
    versions), become what they are in new ones.

    Raises:
        BadResponse: It has not that shape; names the member.
    """
    if isinstance(value, dict) and kind in (Info, Asic):
        value = {name: _as_new(name, one) for name, one in value.items()}
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeError) as error:  # half a character
        raise BadResponse(f"the answer is no {kind.__name__}: {error}") from error


def _as_new(name: str, value: Any) -> Any:
    if name in _FLAGS and isinstance(value, int):
        return bool(value)
    if name in _NUMBERS and isinstance(value, str):
        return difficulty_of(value)
    return value


def _named(kind: type) -> frozenset[str]:
    """Members of info that are of a kind."""
    hints = get_type_hints(Info)
    return frozenset(name for name, hint in hints.items() if kind in get_args(hint))


_FLAGS = _named(bool)
_NUMBERS = _named(float)


def difficulty_of(text: str) -> float | str:
    """Read `4.29G` or `4.29 G`; what is none stays, for a complaint about it."""
    number, suffix = text.rstrip(), ""
    if number[-1:].isalpha():
        number, suffix = number[:-1], number[-1]
    try:
        found = float(number)
    except ValueError:
        return text
    if not math.isfinite(found) or suffix not in ("", *SUFFIXES):
        return text
    return found * 1000.0 ** (SUFFIXES.index(suffix) + 1) if suffix else found


def pools_of(info: Info) -> list[Pool]:
    """Return the pools of a device: its slots, or before 2.15 the two that it has."""
    if info.pools is not None:
        return info.pools
    return [
        Pool(
            id=number,
            **{
                name: getattr(info, flat, None)
                for name, flat in flat_names(number).items()
            },
        )
        for number in range(2)
    ]


def flat_names(number: int) -> Mapping[str, str]:
    """Return how the members of a pool are called before 2.15, by name in a slot."""
    begin = FALLBACK if number else PRIMARY
    return {name: begin + name.removeprefix(PRIMARY) for name in POOL_MEMBERS}


class Change(Struct, frozen=True, kw_only=True):
    """What has become of a setting that was sent."""

    name: str
    sent: Any
    """As the device takes it: rounded to what it stores."""
    told: Any
    """What info tells of it now; None where it tells nothing."""
    is_kept: bool | None
    """None where info cannot tell: a secret, or what shows after a restart."""


def changes(sent: Mapping[str, Any], info: Info, late: Iterable[str]) -> list[Change]:
    """Compare what was sent with what a device tells afterwards.

    Args:
        sent: By name.
        info: What it tells.
        late: Names of settings that show after a restart.
    """
    waits = frozenset(late)
    found = []
    for name, value in sent.items():
        told = getattr(info, name, None)
        is_kept: bool | None = None
        if told is not None and name != "pools":
            is_kept = _is_same(value, told) or (None if name in waits else False)
        found.append(Change(name=name, sent=value, told=told, is_kept=is_kept))
    return found


def _is_same(sent: object, told: object) -> bool:
    if isinstance(sent, int | float) and isinstance(told, int | float):
        return math.isclose(
            double(sent), double(told), rel_tol=1e-6
        )  # single precision
    return sent == told
