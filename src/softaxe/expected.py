"""What is expected of values, and of the requests that clients make to devices.

    wanted = read(Requested, {"method": "PATCH", "body": {"frequency": {"below": 500}}})
    tally = Tally(wanted, since=0, since_s=now)
    tally.see(entry)
    tally.verdict(now, ["601-1"])

Scenarios and tests use the same words. A request is an entry of the journal; time is
an argument.
"""

import json as json_text
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated, Any, ClassVar, Protocol

from msgspec import Struct
from msgspec import field as member

from softaxe.description import Schemas, about, read, shown
from softaxe.errors import SettingError, read_as
from softaxe.json_values import check_depth

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = r"(\d+(?:\.\d+)?)(ms|s|m|h|d)"
LONGEST_S = 31 * 86_400.0
MOST_TEXT = 10_000
MOST_SHOWN = 300
"""Characters of what was found instead."""
MOST_COUNT = 1_000_000
METHODS = ("GET", "POST", "PATCH", "OPTIONS", "PUT", "DELETE")
ALL = "all"
ANY = "any"
MOST_PLACE_DIGITS = 9
NEAR = 3
"""So many requests are told that were like the expected ones, but not quite."""
COMPARISONS = {
    "equals": "is {}",
    "is_not": "is not {}",
    "above": "is above {}",
    "below": "is below {}",
    "contains": "contains {}",
}
"""In words, with the value."""


def in_short(text: str) -> str:
    """Return the beginning of what was found."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def seconds_of(value: object) -> float:
    """Read a duration: `90s`, `2m`, `1h30m`.

    Raises:
        SettingError: It is none.
    """
    text = value if isinstance(value, str) else ""
    parts = re.findall(_DURATION, text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise SettingError(f"{shown(value)} is no duration such as 90s, 2m or 1h30m")
    total = sum(float(number) * UNITS_S[unit] for number, unit in parts)
    if total > LONGEST_S:
        raise SettingError(f"{shown(value)} is over {LONGEST_S / 86_400:g} days")
    return total


def as_json(value: object) -> str:
    """Return a value as JSON.

    Raises:
        SettingError: It holds what JSON has not, or is nested too deeply.
    """
    check_depth(value)
    try:
        return json_text.dumps(value)
    except (TypeError, ValueError) as error:  # nor a number of thousands of digits
        message = f"{shown(value)} holds what JSON has not, such as a date"
        raise SettingError(message) from error


def _check_number(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingError(f"{shown(value)} is no number")


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise SettingError(f"{method!r} is none of {', '.join(METHODS)}")


Text = Annotated[str, about(length=(1, MOST_TEXT))]
Json = Annotated[Any, about(check=as_json)]
Number = Annotated[Any, about(check=_check_number, schema={"type": "number"})]
Method = Annotated[
    str,
    about(check=_check_method, schema={"type": "string", "enum": list(METHODS)}),
]
Count = Annotated[int, about(within=(0, MOST_COUNT))]
Duration = Annotated[
    float,
    about(
        read=seconds_of,
        schema={
            "type": "string",
            "pattern": f"^({_DURATION})+$",
            "examples": ["90s", "2m", "1h30m"],
        },
    ),
]


def inner(value: object, path: str) -> Any:
    """Return what dots lead to in tables and lists; None when nothing is there."""
    found: Any = value
    for name in path.split("."):
        if isinstance(found, list):
            is_place = name.isascii() and name.isdigit()
            if not is_place or len(name) > MOST_PLACE_DIGITS:
                return None
            found = found[int(name)] if int(name) < len(found) else None
        elif isinstance(found, Mapping):
            found = found.get(name)
        else:
            return None
    return found


def holds(comparison: str, found: Any, value: Any) -> bool:
    """Compare what was found with a value; what is not there is like nothing."""
    if found is None:
        return False
    match comparison:
        case "equals":
            return bool(found == value)
        case "is_not":
            return bool(found != value)
        case "contains":
            return str(value) in json_text.dumps(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    return bool(found > value if comparison == "above" else found < value)


class Comparison(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a member of a body is compared with."""

    one_of: ClassVar[tuple[str, ...]] = tuple(COMPARISONS)
    equals: Annotated[Json, about("The member is this.")] = None
    is_not: Annotated[Json, about("The member is there, and not this.")] = None
    above: Annotated[Number, about("The member is more.")] = None
    below: Annotated[Number, about("The member is less.")] = None
    contains: Annotated[Json, about("The member, written as JSON, has this in it.")] = (
        None
    )


class Condition(Struct, frozen=True):
    """A member of a body, and what is asked of it."""

    path: str
    comparison: str
    value: Any

    def in_words(self) -> str:
        """Return it as a clause."""
        claim = COMPARISONS[self.comparison].format(json_text.dumps(self.value))
        return f"{self.path} {claim}"


def _body_of(value: object) -> tuple[Condition, ...]:
    if not isinstance(value, Mapping):
        raise SettingError(f"{shown(value)} is no table of members")
    return tuple(
        read_as(str(path), partial(_condition, str(path)), one)
        for path, one in value.items()
    )


def _condition(path: str, written: object) -> Condition:
    if written is None:
        raise SettingError("null is no value to compare with")
    if not isinstance(written, Mapping):
        as_json(written)
        return Condition(path, "equals", written)
    compared = read(Comparison, written)
    (name,) = written
    return Condition(path, name, getattr(compared, name))


_BODY_SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": ["string", "number", "boolean", "array"]},
            Schemas("#/$defs/", is_openapi=False).table(Comparison),
        ]
    },
}


class Asked(Protocol):
    """A request as the journal has it."""

    @property
    def seq(self) -> int:
        """Counts."""

    @property
    def now(self) -> float:
        """Device time."""

    @property
    def device(self) -> str:
        """Id of the device."""

    @property
    def method(self) -> str:
        """Of HTTP."""

    @property
    def path(self) -> str:
        """Without what follows it."""

    @property
    def status(self) -> int:
        """Of the answer."""

    @property
    def body(self) -> bytes:
        """What was sent."""


class RequestLike(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests of a kind; what is left out may be anything."""

    method: Annotated[Method, about("Of HTTP.")] = ""
    path: Annotated[
        str,
        about(
            "A pattern: /api/system is that, /api/system* what begins with it; "
            "without what follows a question mark.",
            length=(1, MOST_TEXT),
        ),
    ] = ""
    status: Annotated[
        Annotated[int, about(within=(0, 599))] | None,
        about("Of the answer; 0 is none."),
    ] = None
    body: Annotated[
        tuple[Condition, ...],
        about(
            "Members of the JSON that was sent, by their names, where dots lead "
            "inwards: a value, or a table of one comparison such as { below = 500 }.",
            read=_body_of,
            schema=_BODY_SCHEMA,
        ),
    ] = ()

    def has_line(self, entry: Asked) -> bool:
        """True for a request whose method and path are meant."""
        return self.method in {"", entry.method} and (
            not self.path or fnmatchcase(entry.path, self.path)
        )

    def is_met_by(self, entry: Asked) -> bool:
        """True for a request that is meant."""
        if not self.has_line(entry) or self.status not in {None, entry.status}:
            return False
        if not self.body:
            return True
        try:
            body = json_text.loads(entry.body)
            return all(
                holds(one.comparison, inner(body, one.path), one.value)
                for one in self.body
            )
        except (ValueError, RecursionError):  # no JSON, or nobody's so deep
            return False

    def line(self) -> str:
        """Return it in words."""
        parts = [self.method or "a request", self.path]
        if self.body:
            parts.append(f"with {' and '.join(one.in_words() for one in self.body)}")
        if self.status is not None:
            parts.append(f"answered with {self.status or 'nothing'}")
        return " ".join(part for part in parts if part)


class Requested(RequestLike, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests that clients are to have made to devices, or are not to make."""

    device: Annotated[
        str,
        about(
            "all, any, or a pattern of ids: each device is counted by itself, with "
            "any all together. The step's when left out.",
            length=(1, MOST_TEXT),
        ),
    ] = ""
    at_least: Annotated[Count | None, about("1 when no count is said.")] = None
    at_most: Annotated[Count | None, about("So many, or fewer.")] = None
    exactly: Annotated[Count | None, about("So many; 0 is never.")] = None
    after: Annotated[
        RequestLike | None,
        about("Only those count that the device gets after one like this."),
    ] = None
    within_s: Annotated[
        Duration | None,
        about(
            "How long requests count from the step on; all since the devices are up "
            "count when it is left out, and nothing is waited for."
        ),
    ] = member(default=None, name="within")

    def __post_init__(self) -> None:
        if self.exactly is not None and (self.at_least, self.at_most) != (None, None):
            raise SettingError("exactly: goes with neither at_least nor at_most")
        if self.at_most is not None and self.least > self.at_most:
            raise SettingError(
                f"at_least: {self.least} is more than at_most, {self.at_most}"
            )

    @property
    def least(self) -> int:
        """So many at least."""
        if self.exactly is not None:
            return self.exactly
        default = 1 if self.at_most is None else 0
        return default if self.at_least is None else self.at_least

    @property
    def most(self) -> int | None:
        """So many at most."""
        return self.at_most if self.exactly is None else self.exactly

    def meets(self, device_id: str) -> bool:
        """True for a device that is meant."""
        return self.device in {"", ALL, ANY} or fnmatchcase(device_id, self.device)

    def in_words(self) -> str:
        """Return the expectation as a sentence."""
        soon = "" if self.within_s is None else f" within {self.within_s:g} s"
        after = "" if self.after is None else f" after {self.after.line()}"
        whom = self.device or ALL
        return f"{whom} gets {self.line()}{after}: {self._count()}{soon}"

    def _count(self) -> str:
        least, most = self.least, self.most
        if most is None:
            return f"at least {least}"
        if most == 0:
            return "never"
        if least == most:
            return f"exactly {most}"
        return f"{least} to {most}" if least else f"at most {most}"


class Tally:
    """Counts the requests that are expected, by device.

    Feed each entry of the journal to `see`, in their order, and ask for `verdict`.

    Args:
        wanted: Which.
        since: Number of the last entry that does not count.
        since_s: Device time then.
    """

    def __init__(self, wanted: Requested, *, since: int, since_s: float) -> None:
        self.wanted = wanted
        self.lost = 0
        """Requests that the journal had no room for and nobody has seen."""
        self._since = since
        self._since_s = since_s
        self._counts: Counter[str] = Counter()
        self._begun: set[str] = set()
        """Who has got the request after which others count."""
        self._near: deque[str] = deque(maxlen=NEAR)

    def see(self, entry: Asked) -> None:
        """Count an entry if it is one of those."""
        wanted = self.wanted
        if entry.seq <= self._since or not wanted.meets(entry.device):
            return
        within_s = wanted.within_s
        if within_s is not None and entry.now > self._since_s + within_s:
            return
        key = ANY if wanted.device == ANY else entry.device
        may_count = wanted.after is None or key in self._begun
        if may_count and wanted.is_met_by(entry):
            self._counts[key] += 1
        elif wanted.has_line(entry):
            body = entry.body.decode("utf-8", "replace")
            told = f"{entry.device} {entry.method} {entry.path} {body} {entry.status}"
            self._near.append(told)
        if wanted.after is not None and wanted.after.is_met_by(entry):
            self._begun.add(key)

    def verdict(self, now_s: float, devices: Iterable[str]) -> bool | None:
        """Judge what was seen; None while it may still come true, or false.

        Args:
            now_s: Device time up to which all entries were seen.
            devices: Ids of those that there are.
        """
        counts = list(self._of(devices).values())
        least, most = self.wanted.least, self.wanted.most
        if not counts or (most is not None and max(counts) > most):
            return False
        if most is not None and self.lost:
            return False
        within_s = self.wanted.within_s
        is_enough = min(counts) >= least
        if within_s is None or now_s >= self._since_s + within_s:
            return is_enough
        return True if most is None and is_enough else None

    def found(self, devices: Iterable[str]) -> str:
        """Return what was seen, in short."""
        counts = self._of(devices)
        text = json_text.dumps(counts)
        if not counts:
            return in_short(f"no device like {self.wanted.device!r}")
        if self.lost:
            text += f"; the journal had no room for {self.lost} requests"
        if self._near:
            text += f"; not counted: {'; '.join(self._near)}"
        return in_short(text)

    def _of(self, devices: Iterable[str]) -> dict[str, int]:
        if self.wanted.device == ANY:
            return {ANY: self._counts[ANY]}
        return {one: self._counts[one] for one in devices if self.wanted.meets(one)}
