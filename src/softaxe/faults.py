"""Faults to order: rules that say what goes wrong, where, when and how likely.

`EFFECTS` is the one table of what there is; docs/faults.md is made from it. Rules are
pure: they are asked with `now`, in device time, and repeat from their seed.
"""

import hashlib
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from softaxe.device.faults import DeviceFaults, Sensor, UpdateFault
from softaxe.errors import SettingError, read_as
from softaxe.stratum.pool import PoolFaults
from softaxe.units import NEVER

MOST_RULES = 1000
MAX_TEXT = 200
LONGEST_S = 366 * 86_400.0


class Layer(StrEnum):
    """Where an effect acts."""

    BODY = "body"
    NETWORK = "network"
    POOL = "pool"
    FIRMWARE = "firmware"


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an effect can be told."""

    name: str
    help: str
    default: float | int | str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    unit: str | None = None

    def read(self, value: object) -> float | int | str:
        """Return a value that is allowed.

        Raises:
            SettingError: It is not.
        """
        if self.limits is None:
            return self._read_text(value)
        low, high = self.limits
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= float(str(value)) <= high:
            unit = f" {self.unit}" if self.unit else ""
            raise SettingError(
                f"{self.name}: {value!r} is outside {low:g}..{high:g}{unit}"
            )
        number = float(str(value))
        if not isinstance(self.default, int):
            return number
        if not number.is_integer():
            raise SettingError(f"{self.name}: {value!r} is no whole number")
        return int(number)

    def _read_text(self, value: object) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
            raise SettingError(
                f"{self.name}: {value!r} is no text of 1 to {MAX_TEXT} characters"
            )
        if self.choices and value not in self.choices:
            known = ", ".join(self.choices)
            raise SettingError(f"{self.name}: {value!r} is none of {known}")
        return value

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        return {
            "name": self.name,
            "help": self.help,
            "default": self.default,
            "range": list(self.limits) if self.limits else None,
            "choices": list(self.choices),
            "unit": self.unit,
        }


@dataclass(frozen=True, slots=True)
class Effect:
    """What can go wrong."""

    name: str
    layer: Layer
    help: str
    parameters: tuple[Parameter, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        return {
            "name": self.name,
            "layer": str(self.layer),
            "help": self.help,
            "parameters": [parameter.to_json() for parameter in self.parameters],
        }


_FAN = Parameter("fan", "Which fan, from 1.", 1, (1, 2))
_CHIP = Parameter("chip", "Which chip, from 1.", 1, (1, 64))
_BODY, _NETWORK, _POOL, _FIRMWARE = Layer

EFFECTS: Mapping[str, Effect] = {
    effect.name: effect
    for effect in (
        Effect(
            "ambient",
            _BODY,
            "The air around the device has this temperature.",
            (Parameter("c", "Air.", 40.0, (-40, 100), unit="°C"),),
        ),
        Effect(
            "fan_blocked",
            _BODY,
            "A fan turns but is covered: hardly any air moves.",
            (_FAN,),
        ),
        Effect("fan_dead", _BODY, "A fan stands still.", (_FAN,)),
        Effect(
            "chip_dying",
            _BODY,
            "A chip needs more voltage than it did: errors rise, hash rate falls.",
            (
                _CHIP,
                Parameter("v", "How much more.", 0.15, (0, 1), unit="V"),
            ),
        ),
        Effect(
            "chip_dead",
            _BODY,
            "A chip answers no more, nor do those behind it on the chain.",
            (_CHIP,),
        ),
        Effect(
            "plug_missing",
            _BODY,
            "The barrel plug is out at the next start; a 204 leaves its chip off.",
        ),
        Effect(
            "regulator_fault",
            _BODY,
            "The core regulator's output fails; a TPS546 reports an overcurrent.",
        ),
        Effect(
            "supply_sag",
            _BODY,
            "The power supply gives less than it should.",
            (Parameter("v", "How much less.", 0.8, (0, 12), unit="V"),),
        ),
        Effect(
            "sensor_stuck",
            _BODY,
            "A temperature sensor shows always the same.",
            (
                Parameter("sensor", "Which.", "chip", choices=tuple(map(str, Sensor))),
                Parameter("c", "What it shows.", 60.0, (-40, 200), unit="°C"),
            ),
        ),
        Effect(
            "latency",
            _NETWORK,
            "Answers come late.",
            (
                Parameter("ms", "How late.", 500.0, (0, 600_000), unit="ms"),
                Parameter("jitter_ms", "More or less.", 0.0, (0, 600_000), unit="ms"),
            ),
        ),
        Effect(
            "bandwidth",
            _NETWORK,
            "Answers trickle.",
            (Parameter("bytes_per_s", "How fast.", 1000.0, (1, 1e9), unit="bytes/s"),),
        ),
        Effect("timeout", _NETWORK, "Requests are never answered."),
        Effect("reset", _NETWORK, "Connections are reset instead of an answer."),
        Effect(
            "truncated_json",
            _NETWORK,
            "Answers break off in the middle of their body.",
            (Parameter("keep", "Part that arrives.", 0.5, (0, 1)),),
        ),
        Effect(
            "status",
            _NETWORK,
            "Requests are answered with an HTTP status of an error.",
            (Parameter("code", "Which.", 500, (400, 599)),),
        ),
        Effect(
            "socket_limit",
            _NETWORK,
            "Only so many connections are served, as on a device short of sockets.",
            (Parameter("sockets", "How many.", 0, (0, 1000)),),
        ),
        Effect("wifi_loss", _NETWORK, "No Wi-Fi network is in range."),
        Effect(
            "pool_down",
            _POOL,
            "Connections to the pool are cut and refused.",
            (
                Parameter(
                    "which",
                    "Which pool.",
                    "all",
                    choices=("primary", "fallback", "all"),
                ),
            ),
        ),
        Effect("pool_silent", _POOL, "The pool neither hears nor says anything."),
        Effect(
            "pool_stale_jobs",
            _POOL,
            "Shares are refused as being for old jobs (built-in pool).",
        ),
        Effect(
            "pool_reject",
            _POOL,
            "Shares are refused (built-in pool).",
            (Parameter("reason", "With these words.", "Rejected"),),
        ),
        Effect(
            "pool_difficulty",
            _POOL,
            "The pool asks for this difficulty (built-in pool).",
            (Parameter("difficulty", "As the device sees it.", 1e6, (1e-3, 1e18)),),
        ),
        Effect(
            "pool_reconnect",
            _POOL,
            "The pool asks to connect anew, once (built-in pool).",
        ),
        Effect(
            "block_found",
            _POOL,
            "The next share of every device is good enough for a block "
            "(built-in pool).",
        ),
        Effect(
            "reboot_loop",
            _FIRMWARE,
            "The firmware crashes again and again.",
            (Parameter("period_s", "After so long.", 30.0, (1, 86_400), unit="s"),),
        ),
        Effect(
            "heap_exhaustion",
            _FIRMWARE,
            "The firmware loses memory until it crashes.",
            (Parameter("bytes_per_s", "How fast.", 500.0, (1, 1e6), unit="bytes/s"),),
        ),
        Effect(
            "ota_failing",
            _FIRMWARE,
            "Updates fail: refused while they are written, or rolled back at boot.",
            (
                Parameter(
                    "how", "Which.", "refused", choices=tuple(map(str, UpdateFault))
                ),
            ),
        ),
    )
}
"""One row per effect."""

HTTP_EFFECTS = frozenset(
    {
        "latency",
        "bandwidth",
        "timeout",
        "reset",
        "truncated_json",
        "status",
        "socket_limit",
    }
)
"""Those that meet single requests, and so have routes, methods and chances."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One order: an effect, and whom it meets when."""

    id: str
    effect: str
    values: Mapping[str, float | int | str]
    device: str
    """A pattern for ids, as `*` and `601-*`."""
    group: str
    share: float
    """Part of those that match, always the same ones."""
    route: str
    method: str
    probability: float
    """Of a request, or of a device, to be met."""
    begins_at: float
    ends_at: float
    members: Mapping[str, Any] = field(repr=False)
    """As it was ordered."""

    def is_active(self, now: float) -> bool:
        """True between its beginning and its end."""
        return self.begins_at <= now < self.ends_at

    def next_change(self, now: float) -> float:
        """When it next begins or ends."""
        if now < self.begins_at:
            return self.begins_at
        return self.ends_at if now < self.ends_at else NEVER

    def meets(self, device_id: str, group: str) -> bool:
        """True when a device is among those that are meant."""
        part = self.share
        if self.effect not in HTTP_EFFECTS:
            part *= self.probability
        return (
            fnmatchcase(device_id, self.device)
            and fnmatchcase(group, self.group)
            and (part >= 1 or _place(f"{self.id}/{device_id}") < part)
        )

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        end = None if self.ends_at == NEVER else round(self.ends_at, 3)
        return {
            **self.members,
            "id": self.id,
            "effect": self.effect,
            **self.values,
            "begins_at": round(self.begins_at, 3),
            "ends_at": end,
        }


@dataclass(frozen=True, slots=True)
class LinkFaults:
    """What is wrong between a device and its pools."""

    is_primary_down: bool = False
    is_fallback_down: bool = False
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class HttpFault:
    """What happens to one request."""

    rule_id: str
    effect: str
    values: Mapping[str, float | int | str]
    delay_s: float = 0.0
    """Before the answer."""


Found = dict[str, Any]
"""What is wrong, by the names of `_COMBINE`."""


class MetRules:
    """The rules that meet one device or miner, and what they come to.

    What they come to is kept until one of them begins, ends or goes; one more is put
    on top. So a rule costs each device the same, however many there are already.

    Args:
        rules: Those that meet it, in their order.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {rule.id: rule for rule in rules}
        self._found: Found = {}
        self._since, self._until = NEVER, -NEVER
        """Between these moments what was found holds."""

    def __iter__(self) -> Iterator[Rule]:
        """Iterate over the rules in their order."""
        return iter(self._rules.values())

    @property
    def ids(self) -> Iterable[str]:
        """Names of all of them, at work or not."""
        return self._rules.keys()

    def add(self, rule: Rule, now: float) -> None:
        """Take one more; one that is there already stays as it is."""
        if rule.id in self._rules:
            return
        self._rules[rule.id] = rule
        if rule.effect in HTTP_EFFECTS:
            return
        if not self._since <= now < self._until:
            self._until = -NEVER  # all is found anew when somebody asks
            return
        self._until = min(self._until, rule.next_change(now))
        if rule.is_active(now):
            self._since = now
            _COMBINE[rule.effect](self._found, rule.values)

    def remove(self, rule_id: str) -> bool:
        """Leave one out; True when it was among them."""
        rule = self._rules.pop(rule_id, None)
        if rule is not None and rule.effect not in HTTP_EFFECTS:
            self._until = -NEVER
        return rule is not None

    def names(self, now: float) -> list[str]:
        """Ids of those that are at work now."""
        return [rule.id for rule in self if rule.is_active(now)]

    def device_faults(self, now: float) -> DeviceFaults:
        """What is wrong with the device now."""
        found = self._all(now)
        return DeviceFaults(
            **{name: _copied(found[name]) for name in found.keys() & _OF_DEVICE}
        )

    def link_faults(self, now: float) -> LinkFaults:
        """What is wrong between the device and its pools now."""
        found = self._all(now)
        downs = found.get("downs", set())
        return LinkFaults(
            is_primary_down=bool(downs & {"primary", "all"}),
            is_fallback_down=bool(downs & {"fallback", "all"}),
            is_silent="is_silent" in found,
        )

    def pool_faults(self, now: float, *, scale: float = 1.0) -> PoolFaults:
        """How the built-in pool treats the miner now.

        Args:
            now: Device time.
            scale: Hashes that one searched hash of the device stands for.
        """
        found = self._all(now)
        difficulty = found.get("difficulty")
        return PoolFaults(
            refusal=found.get("refusal"),
            is_stale="is_stale" in found,
            difficulty=None if difficulty is None else difficulty / scale,
            reconnects=found.get("reconnects", 0),
            is_block_next="is_block_next" in found,
        )

    def _all(self, now: float) -> Found:
        if not self._since <= now < self._until:
            self._found = {}
            self._since, self._until = now, NEVER
            for rule in self:
                if rule.effect in HTTP_EFFECTS:
                    continue
                self._until = min(self._until, rule.next_change(now))
                if rule.is_active(now):
                    _COMBINE[rule.effect](self._found, rule.values)
        return self._found


class FaultRules:
    """All orders of a fleet.

    Args:
        seed: Of what is left to chance.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rules: dict[str, Rule] = {}
        self._rng = random.Random(f"faults {seed}")
        self._count = 0

    def add(self, members: Mapping[str, Any], now: float) -> Rule:
        """Take an order as JSON and TOML write it.

        Raises:
            SettingError: A value is not allowed, or there are too many rules.
        """
        if len(self.rules) >= MOST_RULES:
            raise SettingError(f"there are {MOST_RULES} rules; remove one")
        count = self._count + 1
        while f"fault-{count}" in self.rules:  # somebody has chosen it
            count += 1
        rule = _read_rule(members, now, f"fault-{count}")
        if rule.id in self.rules:
            raise SettingError(f"id: there is a rule {rule.id!r} already")
        self._count = count
        self.rules[rule.id] = rule
        return rule

    def remove(self, rule_id: str) -> None:
        """Take an order back.

        Raises:
            KeyError: There is none with this id.
        """
        del self.rules[rule_id]

    def clear(self) -> None:
        """Take everything back."""
        self.rules.clear()

    def next_change(self, now: float) -> float:
        """When a rule next begins or ends."""
        moments = (rule.next_change(now) for rule in self.rules.values())
        return min(moments, default=NEVER)

    def that_meet(self, device_id: str, group: str) -> MetRules:
        """Return what concerns one device or miner; it is to be told of changes."""
        return MetRules(r for r in self.rules.values() if r.meets(device_id, group))

    def http_fault(
        self,
        met_rules: MetRules,
        method: str,
        path: str,
        now: float,
        *,
        connection_count: int = 0,
        is_stream: bool = False,
    ) -> HttpFault | None:
        """What happens to a request that has just come; the first rule that meets it.

        Delays of several rules add up.

        Args:
            met_rules: Of the device that is asked.
            method: As sent.
            path: As sent.
            now: Device time.
            connection_count: Connections the device has, with this one.
            is_stream: It asks for the log stream, which has no body to break off.
        """
        met: HttpFault | None = None
        delay_s = 0.0
        for rule in met_rules:
            if (
                rule.effect not in HTTP_EFFECTS
                or not rule.is_active(now)
                or not fnmatchcase(path, rule.route)
                or not fnmatchcase(method, rule.method)
                or (rule.effect == "truncated_json" and is_stream)
                or (
                    rule.effect == "socket_limit"
                    and connection_count <= int(rule.values["sockets"])
                )
                or (rule.probability < 1 and self._rng.random() >= rule.probability)
            ):
                continue
            if rule.effect == "latency":
                jitter_ms = float(rule.values["jitter_ms"])
                late_ms = self._rng.uniform(-jitter_ms, jitter_ms)
                delay_s += max(0.0, float(rule.values["ms"]) + late_ms) / 1000
            if met is None or met.effect == "latency":
                met = HttpFault(rule.id, rule.effect, rule.values)
        if met is None:
            return None
        return HttpFault(met.rule_id, met.effect, met.values, delay_s)


Values = Mapping[str, Any]


def _put(name: str, value: Callable[[Values], Any]) -> Callable[[Found, Values], None]:
    def combine(found: Found, values: Values) -> None:
        found[name] = value(values)

    return combine


def _gather(
    name: str, kind: Callable[[], Any], add: Callable[[Any, Values], None]
) -> Callable[[Found, Values], None]:
    def combine(found: Found, values: Values) -> None:
        add(found.setdefault(name, kind()), values)

    return combine


def _count(name: str) -> Callable[[Found, Values], None]:
    def combine(found: Found, values: Values) -> None:
        found[name] = found.get(name, 0) + 1

    return combine


def _kill_chip(found: Found, values: Values) -> None:
    first = min(found.get("first_dead_chip", values["chip"]), values["chip"])
    found["first_dead_chip"] = first


_COMBINE: Mapping[str, Callable[[Found, Values], None]] = {
    "ambient": _put("ambient_c", lambda v: v["c"]),
    "fan_dead": _gather("dead_fans", set, lambda s, v: s.add(v["fan"])),
    "fan_blocked": _gather("blocked_fans", set, lambda s, v: s.add(v["fan"])),
    "chip_dying": _gather(
        "weak_chips_v", dict, lambda d, v: d.update({v["chip"]: v["v"]})
    ),
    "chip_dead": _kill_chip,
    "plug_missing": _put("has_no_plug", lambda _: True),
    "regulator_fault": _put("has_regulator_fault", lambda _: True),
    "supply_sag": _put("sag_v", lambda v: v["v"]),
    "sensor_stuck": _gather(
        "stuck_c", dict, lambda d, v: d.update({Sensor(v["sensor"]): v["c"]})
    ),
    "wifi_loss": _put("has_no_wifi", lambda _: True),
    "reboot_loop": _put("reboot_period_s", lambda v: v["period_s"]),
    "heap_exhaustion": _put("heap_leak_bytes_per_s", lambda v: v["bytes_per_s"]),
    "ota_failing": _put("update", lambda v: UpdateFault(v["how"])),
    "pool_down": _gather("downs", set, lambda s, v: s.add(v["which"])),
    "pool_silent": _put("is_silent", lambda _: True),
    "pool_stale_jobs": _put("is_stale", lambda _: True),
    "pool_reject": _put("refusal", lambda v: str(v["reason"])),
    "pool_difficulty": _put("difficulty", lambda v: float(v["difficulty"])),
    "pool_reconnect": _count("reconnects"),
    "block_found": _put("is_block_next", lambda _: True),
}
"""How each effect adds to what was found; those of `HTTP_EFFECTS` meet requests."""
_OF_DEVICE = frozenset(DeviceFaults.__dataclass_fields__)


def _copied(value: Any) -> Any:
    """Return what does not change with the next rule."""
    if isinstance(value, set):
        return frozenset(value)
    return dict(value) if isinstance(value, dict) else value


_MATCHING = {
    "id": Parameter("id", "", ""),
    "device": Parameter("device", "", "*"),
    "group": Parameter("group", "", "*"),
    "share": Parameter("share", "", 1.0, (0, 1)),
    "probability": Parameter("probability", "", 1.0, (0, 1)),
    "start_s": Parameter("start_s", "", 0.0, (0, LONGEST_S), unit="s"),
    "duration_s": Parameter("duration_s", "", math.inf, (0, LONGEST_S), unit="s"),
    "route": Parameter("route", "", "*"),
    "method": Parameter("method", "", "*"),
}


def path_part_of(text: str) -> str:
    """Read a name that stands in the path of a URL.

    Raises:
        SettingError: No path can have it for a part.
    """
    if "/" in text or text in {".", ".."}:
        raise SettingError(f"{text!r} cannot be a part of a path")
    return text


def _read_rule(members: Mapping[str, Any], now: float, default_id: str) -> Rule:
    name = members.get("effect")
    effect = EFFECTS.get(name) if isinstance(name, str) else None
    if effect is None:
        raise SettingError(f"effect: {name!r} is none of {', '.join(EFFECTS)}")
    own = {parameter.name: parameter for parameter in effect.parameters}
    matching = dict(_MATCHING)
    if effect.name not in HTTP_EFFECTS:
        del matching["route"], matching["method"]
    for member in members:
        if member != "effect" and member not in own and member not in matching:
            known = ", ".join(["effect", *own, *matching])
            raise SettingError(f"{member}: {effect.name} takes {known}")

    def read(parameter: Parameter) -> Any:
        value = members.get(parameter.name)
        return parameter.default if value is None else parameter.read(value)

    chosen = {name: read(parameter) for name, parameter in _MATCHING.items()}
    read_as("id", path_part_of, chosen["id"])
    begins_at = now + chosen["start_s"]
    return Rule(
        id=chosen["id"] or default_id,
        effect=effect.name,
        values={name: read(parameter) for name, parameter in own.items()},
        device=chosen["device"],
        group=chosen["group"],
        share=chosen["share"],
        route=chosen["route"],
        method=str(chosen["method"]).upper(),
        probability=chosen["probability"],
        begins_at=begins_at,
        ends_at=min(begins_at + chosen["duration_s"], NEVER),
        members={key: value for key, value in members.items() if value is not None},
    )


def _place(text: str) -> float:
    """A number from 0 to 1 that belongs to a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
