"""Firmware versions as data: what each release answers, takes and does.

`versions.json` has a column for every family of releases that share it: the members of
each answer in order, routes, settings and boards. `rows` has what else differs. A
version is never a class of its own, and nobody asks for its number: code asks for a
member, a route, a setting or a row.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from msgspec import Struct

from softaxe.catalog.firmware.rows import Release, Rows, release, rows_of
from softaxe.errors import SettingError

DEFAULT_VERSION = "2.12.2"
"""The page's."""
MOST_TEXTS = 64
"""Versions that are kept in mind with what they are taken for."""


class Kind(StrEnum):
    """How a member is printed."""

    INTEGER = "int"
    FLOAT7 = "f7"
    """Single precision, rounded to seven decimals."""
    FLOAT_RAW = "fraw"
    """Single precision with all its digits."""
    DOUBLE = "draw"
    BOOLEAN01 = "bool01"
    BOOLEAN = "bool"
    STRING = "string"
    INTEGERS = "ints"
    ARRAY = "array"
    OBJECT = "object"


class Member(Struct, frozen=True):
    """A member of an answer."""

    name: str
    kind: Kind
    is_optional: bool = False
    """It is there only while there is something to tell."""
    is_live: bool = True
    """It is part of `/api/ws/live`, too, where there is one."""


class Route(Struct, frozen=True):
    """A route, in the order in which they are looked up."""

    method: str
    path: str
    """May end in `*`."""
    is_checked: bool
    """Only those may come whom the access check lets in."""
    cors: str
    """`full`, `theme` or `none`."""
    content_type: str
    """Of a success; `-` for a WebSocket, `*` where the file decides."""


class SettingRow(Struct, frozen=True):
    """A key of PATCH /api/system."""

    key: str
    nvs_key: str
    kind: str
    """`string`, `u16`, `i32`, `float`, `bool` or `array`."""
    default: str | int | None
    """None where the board or the factory file says it."""
    minimum: int | None
    """Of the number, or of the bytes of a text; None where nothing is checked."""
    maximum: int | None
    values: tuple[str, ...] | tuple[int, ...]
    """The only ones allowed; empty where the limits say it all."""
    is_write_only: bool
    applied: str
    """`live`, `restart` ..."""


@dataclass(frozen=True, slots=True, eq=False)
class Firmware:
    """One release; there is one object of it in a process."""

    version: str
    """Without the `v`."""
    family: str
    """The releases that share a column of `versions.json`: `2.14`."""
    released: str
    """The day, as `2026-01-06`."""
    idf_version: str
    rows: Rows
    info: tuple[Member, ...]
    asic: tuple[Member, ...]
    statistics: tuple[Member, ...]
    """Columns; the time stamp is the last."""
    routes: tuple[Route, ...]
    settings: Mapping[str, SettingRow]
    """By key."""
    boards: frozenset[str]
    """Board versions that it knows."""

    @property
    def tag(self) -> str:
        """As a device tells its version: with the `v`."""
        return f"v{self.version}"

    def has_route(self, method: str, path: str) -> bool:
        """Tell whether there is this very route."""
        return any((one.method, one.path) == (method, path) for one in self.routes)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as its version."""
        return firmware, (self.version,)

    def __repr__(self) -> str:
        return f"<Firmware {self.version}>"


@cache
def _columns() -> Mapping[str, Mapping[str, Any]]:
    text = files(__package__).joinpath("versions.json").read_text("utf-8")
    columns: dict[str, dict[str, Any]] = json.loads(text)
    return columns


def families() -> tuple[str, ...]:
    """Every column's name, the oldest first."""
    return tuple(_columns())


def versions() -> tuple[str, ...]:
    """Every known release, the oldest first."""
    return tuple(v for column in _columns().values() for v in column["releases"])


def firmware(version: str = DEFAULT_VERSION) -> Firmware:
    """Return a release, `2.14.1` or `v2.14.1`; for a family, `2.14`, its last.

    Raises:
        SettingError: There is none of this name; says which there are.
    """
    name = version.removeprefix("v")
    for family, column in _columns().items():
        if name in column["releases"]:
            return _firmware(name, family)
    if re.fullmatch(r"\d+\.\d+", name):
        matching = [one for one in versions() if one.startswith(f"{name}.")]
        if matching:
            return firmware(matching[-1])
    raise SettingError(f"{version!r} is none of {', '.join(versions())}")


def release_named(version: str) -> str:
    """Return the release of a name as `firmware` takes it.

    Raises:
        SettingError: There is none of this name; says which there are.
    """
    return firmware(version).version


def is_known(version: str) -> bool:
    """Tell whether a device's version text names a release of the table."""
    return version.removeprefix("v") in versions()


@lru_cache(MOST_TEXTS)
def nearest(version: str) -> Firmware:
    """Return the release that the text of an image's version names, or the nearest.

    That is the last before it, or the first of all; the default for a text without a
    number.
    """
    match = re.match(r"v?(\d{1,4}\.\d{1,4}(?:\.\d{1,4})?)(?!\d)", version)
    if match is None:
        return firmware()
    wanted = release(match[1])
    older = [one for one in versions() if release(one) <= wanted]
    return firmware(older[-1] if older else versions()[0])


@cache
def _firmware(version: str, family: str) -> Firmware:
    column, this = _columns()[family], release(version)
    settings = column["settings"].items()
    return Firmware(
        version=version,
        family=family,
        released=column["releases"][version],
        idf_version=column["idf"],
        rows=rows_of(this),
        info=_members(column["info"]),
        asic=_members(column["asic"]),
        statistics=_members(column["statistics"]),
        routes=tuple(_route(text) for text in column["routes"]),
        settings={key: _setting(key, row) for key, row in settings},
        boards=frozenset(_boards(column["boards"], this)),
    )


def _boards(text: str, this: Release) -> Iterator[str]:
    """Read board versions; `603@2.14.1` joined the column with that release."""
    for word in text.split():
        board, _, since = word.partition("@")
        if not since or release(since) <= this:
            yield board


@cache
def _members(text: str) -> tuple[Member, ...]:
    return tuple(_member(*word.split(":")) for word in text.split())


def _member(name: str, kind: str, when: str = "") -> Member:
    return Member(name, Kind(kind), "optional" in when, "asked" not in when)


def _route(text: str) -> Route:
    method, path, access, cors, content_type = text.split()
    return Route(method, path, access == "checked", cors, content_type)


def _setting(key: str, row: Mapping[str, Any]) -> SettingRow:
    return SettingRow(
        key=key,
        nvs_key=row["nvs"],
        kind=row["type"],
        default=row.get("default"),
        minimum=row.get("min"),
        maximum=row.get("max"),
        values=tuple(row.get("values", ())),
        is_write_only=row.get("write_only", False),
        applied=row["applied"],
    )
