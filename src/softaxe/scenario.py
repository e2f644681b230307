"""Scenarios: a time line of faults, changes and what is to come of them.

    description = "The fan dies; the device must protect itself."
    [[group]]
    board = "601"
    [[step]]
    at = "1m"
    fault = { id = "fan", effect = "fan_dead" }
    [[step]]
    at = "1m"
    expect = { field = "overheat_mode", equals = 1, within = "10m" }

Everything here is pure: it reads the file, says what is due when, and judges what the
devices answer. `shell.scenario_run` lets it happen.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from softaxe.description import read
from softaxe.device.settings import JsonValue
from softaxe.effects import Fault
from softaxe.errors import SettingError

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
LONGEST_S = 31 * 86_400.0
MOST_STEPS = 1000
MOST_TEXT = 10_000
METHODS = ("GET", "POST", "PATCH", "OPTIONS", "PUT", "DELETE")
ALL = "all"
ANY = "any"
Infos = Mapping[str, Mapping[str, Any] | None]
"""What devices answer at /api/system/info, by id; None when they do not."""
_COMPARISONS = {
    "equals": "is {}",
    "is_not": "is not {}",
    "above": "is above {}",
    "below": "is below {}",
    "contains": "contains {}",
    "unchanged": "is unchanged",
}
"""In words, with the value."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is to be true of some devices, soon or for a while."""

    field: str
    """Of the answer to GET /api/system/info; dots lead inwards."""
    device: str
    """`all`, `any`, or a pattern of ids; of several, all must."""
    is_any: bool
    comparison: str
    """`equals`, `is_not`, `above`, `below`, `contains` or `unchanged`."""
    value: Any
    within_s: float
    """By when it must have been true."""
    for_s: float
    """How long it must then stay so."""

    def holds(self, infos: Infos, before: Infos) -> bool:
        """Judge the devices' answers; a device that does not answer has no field.

        Args:
            infos: What the devices answer, by id.
            before: What they answered when the expectation was met with.
        """
        verdicts = [
            self._judge(info, before.get(id_))
            for id_, info in infos.items()
            if self.meets(id_)
        ]
        return any(verdicts) if self.is_any else bool(verdicts) and all(verdicts)

    def meets(self, device_id: str) -> bool:
        """True for a device that is meant."""
        return self.device in {ALL, ANY} or fnmatchcase(device_id, self.device)

    def found(self, infos: Infos) -> str:
        """Return what the devices answered, in short."""
        shown = {
            id_: self._read(info) for id_, info in infos.items() if self.meets(id_)
        }
        if not shown:
            return f"no device like {self.device!r}"
        text = json.dumps(shown)
        return text if len(text) <= 300 else f"{text[:300]}..."

    def in_words(self) -> str:
        """Return the expectation as a sentence."""
        claim = _COMPARISONS[self.comparison].format(json.dumps(self.value))
        soon = f" within {self.within_s:g} s" if self.within_s else ""
        long = f" for {self.for_s:g} s" if self.for_s else ""
        return f"{self.field} of {self.device} {claim}{soon}{long}"

    def _read(self, info: Mapping[str, Any] | None) -> Any:
        if self.field == "answers":
            return info is not None
        return _inner(info, self.field)

    def _judge(
        self, info: Mapping[str, Any] | None, before: Mapping[str, Any] | None
    ) -> bool:
        found = self._read(info)
        if found is None:
            return False
        match self.comparison:
            case "equals":
                return bool(found == self.value)
            case "is_not":
                return bool(found != self.value)
            case "contains":
                return str(self.value) in json.dumps(found)
            case "unchanged":
                return bool(found == self._read(before))
            case _:
                if isinstance(found, bool) or not isinstance(found, int | float):
                    return False
                is_above = self.comparison == "above"
                return bool(found > self.value if is_above else found < self.value)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that a client makes, and what is to come of it."""

    method: str
    path: str
    body: str | None
    headers: Mapping[str, str]
    status: int | None
    """None accepts any answer; 0 expects none."""
    contains: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens at one moment."""

    number: int
    """Place in the file, from 1."""
    action: str
    """Name of the one thing below that it does."""
    at_s: float
    device: str = ALL
    """Whom it concerns: `all` or a pattern of ids."""
    fault: Mapping[str, Any] | None = None
    clear: str | None = None
    """Id of a fault to take back, or `all`."""
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    is_restart: bool = False
    request: Request | None = None
    expect: Expectation | None = None

    def meets(self, device_id: str) -> bool:
        """True for a device that is meant."""
        return self.device == ALL or fnmatchcase(device_id, self.device)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole time line."""

    name: str
    description: str
    seed: int
    groups: tuple[Mapping[str, Any], ...]
    """Tables as in a fleet file."""
    steps: tuple[Step, ...]
    """By time; of the same moment, in the file's order."""


def read_scenario(data: Mapping[str, Any], name: str) -> Scenario:
    """Check a scenario file's tables.

    Raises:
        SettingError: Something is not allowed; says where.
    """
    known = {"name", "description", "seed", "group", "step"}
    for key in data:
        if key not in known:
            raise SettingError(f"{name}: {key} is none of {', '.join(sorted(known))}")
    groups, steps = data.get("group", [{}]), data.get("step", [])
    if not isinstance(groups, list) or not isinstance(steps, list) or not steps:
        raise SettingError(f"{name}: needs [[step]] tables")
    if len(steps) > MOST_STEPS:
        raise SettingError(f"{name}: {len(steps)} steps, at most {MOST_STEPS}")
    seed = data.get("seed", 1)
    if type(seed) is not int or seed < 0:
        raise SettingError(f"{name}: seed: {seed!r} is no whole number from 0 on")
    for number, group in enumerate(groups, 1):
        _table(group, f"{name}: group {number}")
    read = [_step(t, n, f"{name}: step {n}") for n, t in enumerate(steps, 1)]
    read.sort(key=lambda step: step.at_s)
    return Scenario(
        name=str(data.get("name", name)),
        description=str(data.get("description", "")),
        seed=seed,
        groups=tuple(groups),
        steps=tuple(read),
    )


def seconds_of(value: object, where: str) -> float:
    """Read a duration: `90s`, `2m`, `1h30m`.

    Raises:
        SettingError: It is none.
    """
    text = value if isinstance(value, str) else ""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise SettingError(
            f"{where}: {value!r} is no duration such as 90s, 2m or 1h30m"
        )
    total = sum(float(number) * UNITS_S[unit] for number, unit in parts)
    if total > LONGEST_S:
        raise SettingError(f"{where}: {value!r} is over {LONGEST_S / 86_400:g} days")
    return total


_ACTIONS = ("fault", "clear", "settings", "restart", "request", "expect")


def _step(table: object, number: int, where: str) -> Step:
    if not isinstance(table, dict):
        raise SettingError(f"{where}: is no table")
    _check_keys(table, ("at", "device", *_ACTIONS), where)
    actions = [name for name in _ACTIONS if name in table]
    if len(actions) != 1:
        raise SettingError(f"{where}: has not one of {', '.join(_ACTIONS)}")
    action, value = actions[0], table[actions[0]]
    at_s = seconds_of(table.get("at", "0s"), f"{where}: at")
    device = _text(table.get("device", ALL), f"{where}: device")
    inner = f"{where}: {action}"
    step = Step(number, action, at_s, device)
    match action:
        case "fault":
            rule = dict(_table(value, inner))
            if device != ALL:
                rule.setdefault("device", device)
            try:
                read(Fault, rule)
            except SettingError as error:
                raise SettingError(f"{inner}: {error}") from error
            return replace(step, fault=rule)
        case "clear":
            return replace(step, clear=_text(value, inner))
        case "settings":
            _as_json(value, inner)
            return replace(step, settings=_table(value, inner))
        case "restart":
            if value is not True:
                raise SettingError(f"{inner}: {value!r} is not true")
            return replace(step, is_restart=True)
        case "request":
            return replace(step, request=_request(_table(value, inner), inner))
        case _:
            expect = _expectation(_table(value, inner), device, inner)
            return replace(step, expect=expect)


def _request(table: Mapping[str, Any], where: str) -> Request:
    keys = ("method", "path", "body", "json", "headers", "status", "contains")
    _check_keys(table, keys, where)
    method = table.get("method", "GET")
    if method not in METHODS:
        raise SettingError(f"{where}: method: {method!r} is none of {METHODS}")
    path = _text(table.get("path", ""), f"{where}: path")
    if not path.startswith("/"):
        raise SettingError(f"{where}: path: {path!r} does not begin with a slash")
    body = table.get("body")
    if "json" in table:
        body = _as_json(table["json"], f"{where}: json")
    if body is not None:
        _text(body, f"{where}: body")
    status = table.get("status")
    if status is not None and (type(status) is not int or not 0 <= status <= 599):
        raise SettingError(f"{where}: status: {status!r} is outside 0..599")
    headers = {
        name: _text(value, f"{where}: headers")
        for name, value in _table(table.get("headers", {}), f"{where}: headers").items()
    }
    contains = table.get("contains")
    if contains is not None:
        _text(contains, f"{where}: contains")
    return Request(method, path, body, headers, status, contains)


def _expectation(table: Mapping[str, Any], device: str, where: str) -> Expectation:
    _check_keys(table, ("device", "field", "within", "for", *_COMPARISONS), where)
    comparisons = [name for name in _COMPARISONS if name in table]
    if len(comparisons) != 1:
        raise SettingError(f"{where}: has not one of {', '.join(_COMPARISONS)}")
    value = table[comparisons[0]]
    _as_json(value, f"{where}: {comparisons[0]}")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if comparisons[0] in {"above", "below"} and not is_number:
        raise SettingError(f"{where}: {comparisons[0]}: {value!r} is no number")
    if comparisons[0] == "unchanged" and (
        value is not True or "for" not in table or "within" in table
    ):
        raise SettingError(f"{where}: unchanged: write unchanged = true, for = TIME")
    chosen = _text(table.get("device", device), f"{where}: device")
    return Expectation(
        field=_text(table.get("field", ""), f"{where}: field"),
        device=chosen,
        is_any=chosen == ANY,
        comparison=comparisons[0],
        value=value,
        within_s=seconds_of(table.get("within", "0s"), f"{where}: within"),
        for_s=seconds_of(table.get("for", "0s"), f"{where}: for"),
    )


def _check_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise SettingError(f"{where}: {key} is none of {', '.join(known)}")


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingError(f"{where}: {value!r} is no table")
    return value


def _as_json(value: object, where: str) -> str:
    try:
        return json.dumps(value)
    except TypeError as error:
        message = f"{where}: {value!r} holds what JSON has not, such as a date"
        raise SettingError(message) from error


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MOST_TEXT:
        raise SettingError(f"{where}: {value!r} is no text of 1 to {MOST_TEXT}")
    return value


def _inner(info: Mapping[str, Any] | None, path: str) -> Any:
    found: Any = info
    for name in path.split("."):
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, Mapping):
            found = found.get(name)
        else:
            return None
    return found
