"""Answers bent on order: members of another type or none, other bodies and headers.

What is to change is written by paths: `bestDiff`, `hashrateMonitor.asics.0.total`;
each part of one is a name, a place in a list from 0, or a pattern. Numbers that stay
are printed as they were.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any

from msgspec import Struct

from softaxe import cjson
from softaxe.description import shown
from softaxe.errors import SettingError, read_as
from softaxe.json_values import JsonValue, check_depth, double, is_number
from softaxe.units import SUFFIXES, with_suffix

MOST_PATHS = 100
MOST_PATH_TEXT = 200
MOST_TEXT = 16_384
"""Characters of a body, and of the JSON of all values that are set."""
MOST_HEADERS = 20
MOST_BENT_BYTES = 1 << 20
"""A body that is longer, or would become so, stays as it is."""
NO_BODY_STATUSES = frozenset({204, 304})
MADE_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})
"""What these say has to be true, or the next answer cannot be read."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e]{0,1000}")
_DIFFICULTY = re.compile(r"(-?\d+(?:\.\d+)?) ?([a-zA-Z]?)")


class Conversion(StrEnum):
    """What becomes of a value; one that is no such value stays."""

    TEXT = "text"
    """Of a number, true or false: as it is printed."""
    NUMBER = "number"
    """Of a text, as `12` or `4.29G`."""
    WHOLE = "whole"
    """Without its decimals."""
    FRACTION = "fraction"
    """A whole number and a half."""
    BOOLEAN = "boolean"
    """false for 0, true for other numbers."""
    FLAG = "flag"
    """0 for false, 1 for true."""
    DIFFICULTY = "difficulty"
    """A number as a text with its suffix, as `4.29G`."""


class Changes(Struct, frozen=True):
    """What is to become of an answer, in the order in which it happens."""

    only_status: int | None = None
    """Others stay as they are."""
    convert: Mapping[str, Conversion] = {}
    set: Mapping[str, JsonValue] = {}
    null: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    body: str | None = None
    headers: Mapping[str, str] = {}
    """An empty text leaves one out."""
    status: int | None = None


class KnownBreak(StrEnum):
    """Breaks that clients have met between versions and kinds of firmware."""

    TEXT_DIFFICULTIES = "text difficulties"
    NUMBER_DIFFICULTIES = "number difficulties"
    ASIC_COUNT = "asicCount in info"
    NO_TLS = "no TLS members"
    NO_AVERAGES = "no averages"
    FRACTIONS = "fractions"
    WHOLE_NUMBERS = "whole numbers"
    BOOLEANS = "booleans"
    FLAGS = "flags"
    NUMBERS_AS_TEXT = "numbers as text"
    NULL_READINGS = "null readings"
    UNKNOWN_MEMBERS = "unknown members"
    NERDQAXE = "NerdQAxe"
    EMPTY_PATCH = "empty PATCH"
    TEXT_RESTART = "text restart"
    HTML_404 = "html 404"
    HTML_INSTEAD = "html instead of JSON"


class Break(Struct, frozen=True):
    """A known break as a row."""

    help: str
    changes: Changes
    route: str
    method: str = "*"


_INFO = "/api/system/info"
_ANY = "/api/*"
"""For changes of members that no other answer has; the live stream has them, too."""
_HTML = "text/html"
_TLS = ("stratumTLS", "stratumCert", "fallbackStratumTLS", "fallbackStratumCert")
_FLAGS = (
    "autofanspeed",
    "invertscreen",
    "overclockEnabled",
    "overheat_mode",
    "isPSRAMAvailable",
    "apEnabled",
    "isUsingFallbackStratum",
    "stratumTLS",
    "fallbackStratumTLS",
    "*ExtranonceSubscribe",
    "*DecodeCoinbase",
)
_NERDQAXE: Mapping[str, JsonValue] = {
    "deviceModel": "NerdQAxe++",
    "asicCount": 4,
    "hostip": "192.168.1.77",
    "minPower": 30,
    "minVoltage": 11,
    "maxVoltage": 13,
    "currentA": 1.5,
    "hashRateTimestamp": 1,
    "hashRate_1d": 1000.5,
    "defaultCoreVoltage": 1150,
    "defaultFrequency": 600,
    "shutdown": False,
    "foundBlocks": 0,
    "totalFoundBlocks": 0,
    "duplicateHWNonces": 0,
    "asicTemps": [55.5, 56.25, 55.75, 56],
    "pidTargetTemp": 55,
    "pidP": 6,
    "pidI": 0.1,
    "pidD": 10,
    "jobInterval": 1200,
    "overheat_temp": 70,
    "autoscreenoff": 0,
    "invertfanpolarity": 1,
    "stratum_keep": 0,
    "otp": False,
    "lastResetReason": "SW",
    "freeHeapInt": 90000,
    "defaultTheme": "cosmic",
}
"""What that firmware tells and AxeOS does not; the values are those of no one device.
Source: shufps/ESP-Miner-NerdQAxePlus, answer of GET /api/system/info."""

KNOWN: Mapping[KnownBreak, Break] = {
    KnownBreak.TEXT_DIFFICULTIES: Break(
        "Best difficulties as texts such as 4.29G, as up to 2.10.",
        Changes(
            convert={
                "bestDiff": Conversion.DIFFICULTY,
                "bestSessionDiff": Conversion.DIFFICULTY,
            }
        ),
        _ANY,
    ),
    KnownBreak.NUMBER_DIFFICULTIES: Break(
        "Best difficulties as numbers, as from 2.11 on; for devices of 2.8 to 2.10.",
        Changes(
            convert={
                "bestDiff": Conversion.NUMBER,
                "bestSessionDiff": Conversion.NUMBER,
            }
        ),
        _ANY,
    ),
    KnownBreak.ASIC_COUNT: Break(
        "asicCount, stratumDiff, flipscreen and statsDuration in info, as in 2.8.",
        Changes(
            set={"asicCount": 1, "stratumDiff": 8192, "flipscreen": 1}
            | {"statsDuration": 1}
        ),
        _INFO,
    ),
    KnownBreak.NO_TLS: Break(
        "Nothing of TLS and of the connection to the pool, as before 2.13.",
        Changes(remove=(*_TLS, "poolConnectionInfo")),
        _ANY,
    ),
    KnownBreak.NO_AVERAGES: Break(
        "No averages of hash rate, no error rate and no domains, as up to 2.10.",
        Changes(remove=("hashRate_*", "errorPercentage", "hashrateMonitor")),
        _ANY,
    ),
    KnownBreak.FRACTIONS: Break(
        "Fractions where older versions had whole numbers: fan, voltage, frequency.",
        Changes(
            convert=dict.fromkeys(
                ("fanspeed", "coreVoltageActual", "frequency", "poolDifficulty"),
                Conversion.FRACTION,
            )
        ),
        _ANY,
    ),
    KnownBreak.WHOLE_NUMBERS: Break(
        "Whole numbers where newer versions have fractions, as up to 2.9.",
        Changes(
            convert=dict.fromkeys(
                ("fanspeed", "coreVoltageActual", "frequency", "poolDifficulty"),
                Conversion.WHOLE,
            )
        ),
        _ANY,
    ),
    KnownBreak.BOOLEANS: Break(
        "Flags as true and false, as 2.14 began to tell some.",
        Changes(convert=dict.fromkeys(_FLAGS, Conversion.BOOLEAN)),
        _ANY,
    ),
    KnownBreak.FLAGS: Break(
        "Flags as 0 and 1, as up to 2.13; for devices of 2.14 and later.",
        Changes(convert=dict.fromkeys(_FLAGS, Conversion.FLAG)),
        _ANY,
    ),
    KnownBreak.NUMBERS_AS_TEXT: Break(
        "Every number as a text.",
        Changes(convert={"*": Conversion.TEXT}),
        _ANY,
    ),
    KnownBreak.NULL_READINGS: Break(
        "null for what is measured: a float that is no number is printed so.",
        Changes(
            null=("power", "voltage", "current", "temp", "temp2", "vrTemp", "hashRate")
        ),
        _ANY,
    ),
    KnownBreak.UNKNOWN_MEMBERS: Break(
        "Members that nobody knows yet, as every new version brings some.",
        Changes(
            set={
                "aNewNumber": 21,
                "aNewText": "new",
                "aNewList": [{"id": 1}],
                "aNewTable": {"isNew": True, "nothing": None},
            }
        ),
        "/api/system/*",
    ),
    KnownBreak.NERDQAXE: Break(
        "Members of NerdQAxe firmware in info, such as deviceModel.",
        Changes(set=_NERDQAXE, remove=("axeOSVersion", "boardVersion", "idfVersion")),
        _INFO,
    ),
    KnownBreak.EMPTY_PATCH: Break(
        "Settings are answered by an empty text/html body, as by every device.",
        Changes(only_status=200, body="", headers={"Content-Type": _HTML}),
        "/api/system",
        "PATCH",
    ),
    KnownBreak.TEXT_RESTART: Break(
        "A restart is answered by a text, not by JSON, as before 2.13.",
        Changes(
            only_status=200,
            body="System will restart shortly.",
            headers={"Content-Type": _HTML},
        ),
        "/api/system/restart",
        "POST",
    ),
    KnownBreak.HTML_404: Break(
        "A route that is not there is answered by text/html, not by JSON.",
        Changes(
            only_status=404,
            body="Nothing matches the given URI",
            headers={"Content-Type": _HTML},
        ),
        "/api/*",
    ),
    KnownBreak.HTML_INSTEAD: Break(
        "A page of HTML with status 200, as by a proxy or a guest network's login.",
        Changes(
            body="<!DOCTYPE html><html><body>Please log in.</body></html>",
            headers={"Content-Type": _HTML},
            status=200,
        ),
        "/api/*",
    ),
}
assert KNOWN.keys() == set(KnownBreak)


def changes_of(values: Mapping[str, Any]) -> Changes:
    """Return what an order asks for: a known break, and its own changes on top."""
    own = {name: values[name] for name in Changes.__struct_fields__}
    if values["known"] is None:
        return Changes(**own)
    known = KNOWN[KnownBreak(values["known"])].changes
    return Changes(
        only_status=_first(own["only_status"], known.only_status),
        convert={**known.convert, **own["convert"]},
        set={**known.set, **own["set"]},
        null=(*known.null, *own["null"]),
        remove=(*known.remove, *own["remove"]),
        body=_first(own["body"], known.body),
        headers={**known.headers, **own["headers"]},
        status=_first(own["status"], known.status),
    )


def _first(one: Any, other: Any) -> Any:
    return other if one is None else one


# Bending


class _TooLong(Exception):
    """More was put into an answer than it may have."""


def bent_json(text: str, changes: Changes) -> str:
    """Return JSON with members bent; what is none, or has none of them, as it is.

    Of a message at `/api/ws/live` the members are those of its `data`.
    """
    if text[:1] not in {"{", "["}:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_compact = "\n" not in text
    before = cjson.document(value, is_compact=is_compact)
    is_message = isinstance(value, dict) and value.keys() == {"event", "data"}
    try:
        _bend(value["data"] if is_message else value, changes)
    except _TooLong:
        return text
    after = cjson.document(value, is_compact=is_compact)
    return text if after == before or len(after) > MOST_BENT_BYTES else after


def _bend(value: Any, changes: Changes) -> None:
    for path, conversion in changes.convert.items():
        for inside, key in _places(value, path):
            inside[key] = _converted(inside[key], conversion)
    left = MOST_BENT_BYTES
    for path, given in changes.set.items():
        text = json.dumps(given)
        above, _, name = path.rpartition(".")
        for inside in _insides(value, above):
            is_name = isinstance(inside, dict) and not set(name) & set("*?[")
            for key in [name] if is_name else _keys(inside, name):  # it may be one more
                if (left := left - len(text)) < 0:
                    raise _TooLong
                inside[key] = json.loads(text)  # what follows may change it there
    for path in changes.null:
        for inside, key in _places(value, path):
            inside[key] = None
    _remove(value, changes.remove)


def _remove(value: Any, paths: Iterable[str]) -> None:
    found = {
        (id(inside), key): (inside, key)
        for path in paths
        for inside, key in _places(value, path)
    }

    def place(one: tuple[Any, Any]) -> int:
        return one[1] if isinstance(one[1], int) else -1

    # From a list's end, so that what stands before has its place still.
    for inside, key in sorted(found.values(), key=place, reverse=True):
        del inside[key]


def _insides(value: Any, path: str) -> list[Any]:
    """Return what a path leads to; the value itself if there is no path."""
    if not path:
        return [value]
    return [inside[key] for inside, key in _places(value, path)]


def _places(inside: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """Yield what holds the values that a path leads to, and their keys there."""
    first, _, rest = path.partition(".")
    for key in _keys(inside, first):
        if rest:
            yield from _places(inside[key], rest)
        else:
            yield inside, key


def _keys(inside: Any, pattern: str) -> list[Any]:
    if isinstance(inside, dict):
        return [name for name in inside if fnmatchcase(name, pattern)]
    if isinstance(inside, list):
        return [n for n in range(len(inside)) if fnmatchcase(str(n), pattern)]
    return []


def _converted(value: Any, conversion: Conversion) -> Any:
    match conversion:
        case Conversion.TEXT if isinstance(value, bool | int | float):
            return cjson.document(value)
        case Conversion.NUMBER if isinstance(value, str):
            return _read_difficulty(value)
        case Conversion.WHOLE if isinstance(value, float) and isfinite(value):
            return int(value)
        case Conversion.FRACTION if is_number(value) and double(value).is_integer():
            return value + 0.5
        case Conversion.BOOLEAN if is_number(value):
            return bool(value)
        case Conversion.FLAG if isinstance(value, bool):
            return int(value)
        case Conversion.DIFFICULTY if is_number(value) and isfinite(double(value)):
            return with_suffix(value)
    return value


def _read_difficulty(text: str) -> JsonValue:
    found = _DIFFICULTY.fullmatch(text.strip())
    if found is None or (found[2] and found[2] not in SUFFIXES):
        return text
    power = SUFFIXES.index(found[2]) + 1 if found[2] else 0
    number = float(found[1]) * 1000**power
    if not isfinite(number):
        return text
    return int(number) if number == int(number) else number


# Reading


def read_paths(value: object) -> tuple[str, ...]:
    """Read one path, or a list of them.

    Raises:
        SettingError: One is none.
    """
    paths = value if isinstance(value, list | tuple) else [value]
    _check_count(paths, MOST_PATHS, "paths")
    for path in paths:
        _check_path(path)
    return tuple(paths)


def read_conversions(value: object) -> dict[str, Conversion]:
    """Read what is to become of values, by their paths.

    Raises:
        SettingError: One is none that there is.
    """

    def read_one(one: object) -> Conversion:
        try:
            return Conversion(one)  # type: ignore[arg-type] # what is none is told
        except ValueError as error:
            allowed = ", ".join(Conversion)
            raise SettingError(f"{shown(one)} is none of {allowed}") from error

    return {path: read_as(path, read_one, one) for path, one in _by_path(value).items()}


def read_values(value: object) -> dict[str, JsonValue]:
    """Read JSON values by their paths.

    Raises:
        SettingError: One is none, or they are too long together.
    """
    values = _by_path(value)
    try:
        size = len(json.dumps(values, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingError(f"{shown(value)} is not all JSON") from error
    if size > MOST_TEXT:
        raise SettingError(f"{size} bytes of JSON are more than {MOST_TEXT}")
    for path, one in values.items():
        read_as(path, check_depth, one)
    return values


def read_headers(value: object) -> dict[str, str]:
    """Read headers by their names.

    Raises:
        SettingError: A name or a text cannot stand in an answer's head.
    """
    headers = _table(value)
    _check_count(headers, MOST_HEADERS, "headers")
    for name, text in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise SettingError(f"{shown(name)} is no name of a header")
        if name.lower() in MADE_HEADERS:
            made = ", ".join(sorted(MADE_HEADERS))
            raise SettingError(f"{name}: the device makes {made} itself")
        if not isinstance(text, str) or not _HEADER_TEXT.fullmatch(text):
            raise SettingError(
                f"{name}: {shown(text)} is no ASCII text of a line, up to 1000"
            )
    return dict(headers)


def check_body(text: str) -> None:
    """Complain of a text that cannot be sent.

    Raises:
        SettingError: It is no Unicode.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingError(f"{shown(text)} has half a character") from error


def _table(value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise SettingError(f"{shown(value)} is no table of names and values")
    return value


def _by_path(value: object) -> dict[str, Any]:
    found = _table(value)
    _check_count(found, MOST_PATHS, "paths")
    for path in found:
        _check_path(path)
    return dict(found)


def _check_count(found: Any, most: int, what: str) -> None:
    if len(found) > most:
        raise SettingError(f"{len(found)} {what} are more than {most}")


def _check_path(path: object) -> None:
    is_text = isinstance(path, str) and len(path) <= MOST_PATH_TEXT
    if not is_text or not all(str(path).split(".")):
        raise SettingError(
            f"{shown(path)} is no path such as bestDiff or hashrateMonitor.asics.0"
        )
