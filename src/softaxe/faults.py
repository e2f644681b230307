"""Faults to order: rules that say what goes wrong, where, when and how likely.

`effects` describes what there is. Rules are pure: they are asked with `now`, in device
time, and repeat from their seed.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import floor, inf
from typing import Any

from msgspec import Struct

from softaxe.catalog import Board
from softaxe.description import read, shown
from softaxe.device.faults import (
    PARTS,
    DeviceFaults,
    Instrument,
    Sensor,
    UpdateFault,
    has_part,
)
from softaxe.effects import HTTP_EFFECTS, Fault, OnRequests, Order, parameters
from softaxe.errors import SettingError
from softaxe.stratum.pool import CertificateFault, PoolFaults
from softaxe.units import NEVER

MOST_RULES = 1000
MOST_NAMED = 10
"""Of those that a rule meets, so many are told by name."""


class Whom(Struct, frozen=True):
    """A device, or a miner at the built-in pool, as rules look at it."""

    id: str
    group: str
    names: tuple[str, ...] = ()
    """A device's other ones: host name, address, MAC address."""
    board: Board | None = None
    """What a device is made of; nothing is known of a miner's."""
    firmware: str = ""
    """The version that a device runs, without the `v`."""


class Patterns(Struct, frozen=True):
    """Names of which one is to fit, in any case of letters."""

    texts: tuple[str, ...]
    whole: frozenset[str]
    """Those that mean one name and no other."""
    others: tuple[str, ...]

    @classmethod
    def of(cls, texts: tuple[str, ...]) -> "Patterns":
        """Return them as they were written."""
        lower = [text.lower() for text in texts]
        others = tuple(text for text in lower if set(text) & set("*?["))
        return cls(texts, frozenset(lower) - {*others}, others)

    def fit(self, names: Iterable[str]) -> bool:
        """True when one of the names is meant."""
        found = [name.lower() for name in names]
        return any(name in self.whole for name in found) or any(
            fnmatchcase(name, text) for text in self.others for name in found
        )

    def in_words(self) -> str:
        """Return them in short."""
        first = " or ".join(map(repr, self.texts[:3]))
        more = len(self.texts) - 3
        return f"{first} or {more} more" if more > 0 else first


@dataclass(frozen=True, slots=True)
class Rule:
    """One order: an effect, and whom it meets when."""

    id: str
    effect: str
    values: Mapping[str, Any]
    device: Patterns
    """Of ids, as `*` and `601-*`, or of other names of devices."""
    group: str
    firmware: str
    """A pattern for the version that runs, as `2.15*`."""
    share: float
    """Part of those that match, always the same ones."""
    route: str
    method: str
    probability: float
    """Of a request, or of a device, to be met."""
    count: int | None
    """Requests of each device that it meets before it ends."""
    begins_at: float
    duration_s: float
    every_s: float | None
    """From one beginning to the next; None for a rule that begins once."""
    is_paused: bool
    members: Mapping[str, Any] = field(repr=False)
    """As it was ordered."""

    @property
    def ends_at(self) -> float:
        """When it has ended for good."""
        end = self.begins_at + self.duration_s
        return NEVER if self.every_s is not None else min(end, NEVER)

    def is_active(self, now: float) -> bool:
        """True between its beginning and its end, while it is not paused."""
        begin, _ = self._turn(now)
        return not self.is_paused and begin <= now < begin + self.duration_s

    def next_change(self, now: float) -> float:
        """When it next begins or ends."""
        begin, following = self._turn(now)
        moments = (begin, begin + self.duration_s, following)
        coming = (one for one in moments if now < one and not self.is_paused)
        return min(coming, default=NEVER)

    def began_at(self, now: float) -> float:
        """When it has begun last, or will begin first."""
        return self._turn(now)[0]

    def _turn(self, now: float) -> tuple[float, float]:
        """When it begins, or has begun last, and when it does so after that."""
        if self.every_s is None:
            return self.begins_at, NEVER
        turn = max(0, floor((now - self.begins_at) / self.every_s))
        # A moment is this sum, whichever way the division was rounded.
        moments = [self.begins_at + (turn + n) * self.every_s for n in range(3)]
        is_over = moments[1] <= now
        return moments[is_over], moments[is_over + 1]

    def is_for(self, whom: Whom) -> bool:
        """True for one of those of which a share is meant; it has what is to break."""
        board = whom.board
        return (
            fnmatchcase(whom.group, self.group)
            and fnmatchcase(whom.firmware, self.firmware)
            and self.device.fit((whom.id, *whom.names))
            and (
                board is None
                or all(has_part(board, *value) for value in self.values.items())
            )
        )

    def meets(self, whom: Whom) -> bool:
        """True for one of those that are meant."""
        part = self.share
        if self.effect not in HTTP_EFFECTS:
            part *= self.probability
        return self.is_for(whom) and (
            part >= 1 or _place(f"{self.id}/{whom.id}") < part
        )

    def in_words(self) -> str:
        """Return whom it is for, for a complaint that there is nobody."""
        text = f"{self.device.in_words()} in a group like {self.group!r}"
        if self.firmware != "*":
            text += f" on firmware like {self.firmware!r}"
        parts = [f"{n} {v}" for n, v in self.values.items() if n in PARTS]
        return f"{text} with {', '.join(parts)}" if parts else text

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        return {
            **self.members,
            "id": self.id,
            "effect": self.effect,
            **self.values,
            "begins_at": round(self.begins_at, 3),
            "ends_at": _moment(self.ends_at),
        }

    def state_to_json(self, now: float) -> dict[str, Any]:
        """Return what the control API tells of what it does now."""
        return {
            "active": self.is_active(now),
            "changes_at": _moment(self.next_change(now)),
        }


class Slowness(Struct, frozen=True):
    """How a slow miner sends to its pool, and reads; in device time."""

    late_s: float = 0.0
    """What it sends leaves so late..."""
    stall_s: float = 0.0
    """...and the second half so much later still."""
    bytes_per_s: float = inf
    """It reads no faster."""


class LinkFaults(Struct, frozen=True):
    """What is wrong between a device and its pools, and its clients."""

    is_primary_down: bool = False
    is_fallback_down: bool = False
    is_silent: bool = False
    is_port_silent: bool = False
    """Nobody hears its clients."""
    is_away_refused: bool = False
    """Where nobody would, they are refused."""
    slowness: Slowness | None = None
    """With its pool."""


class HttpFault(Struct, frozen=True):
    """What happens to one request."""

    rule_id: str
    effect: str
    values: Mapping[str, Any]
    delay_s: float = 0.0
    """Before the answer."""
    bends: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """Rules that bend the answer, and what they say."""


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
    def ids(self) -> KeysView[str]:
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

    def replace(self, rule: Rule) -> None:
        """Take a rule in the place of that with its id, which is there."""
        self._rules[rule.id] = rule
        self._until = -NEVER

    def remove(self, rule_id: str) -> bool:
        """Leave one out; True when it was among them."""
        rule = self._rules.pop(rule_id, None)
        if rule is not None and rule.effect not in HTTP_EFFECTS:
            self._until = -NEVER
        return rule is not None

    def active(self, now: float) -> list[Rule]:
        """Those that are at work now."""
        return [rule for rule in self if rule.is_active(now)]

    def names(self, now: float) -> list[str]:
        """Ids of those that are at work now."""
        return [rule.id for rule in self.active(now)]

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
            is_port_silent="is_port_silent" in found,
            is_away_refused="is_away_refused" in found,
            slowness=found.get("slowness"),
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
            block_late_s=found.get("block_late_s", 0.0),
            certificate=found.get("certificate"),
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
        self._struck: dict[str, dict[str, tuple[float, int]]] = {}
        """By rules with a count and devices: a beginning, and requests since."""

    def add(self, members: Mapping[str, Any], now: float) -> Rule:
        """Take an order as JSON and TOML write it.

        Raises:
            SettingError: A value is not allowed, or there are too many rules.
        """
        rule = self.made(members, now)
        self._count = self._next_number()
        self.rules[rule.id] = rule
        return rule

    def made(self, members: Mapping[str, Any], now: float) -> Rule:
        """Return the rule that an order would become now.

        Raises:
            SettingError: A value is not allowed, or there are too many rules.
        """
        if len(self.rules) >= MOST_RULES:
            raise SettingError(f"there are {MOST_RULES} rules; remove one")
        rule = _read_rule(members, now, f"fault-{self._next_number()}")
        if rule.id in self.rules:
            raise SettingError(f"id: there is a rule {rule.id!r} already")
        return rule

    def changed(self, rule_id: str, changes: Mapping[str, Any], now: float) -> Rule:
        """Return a rule as it would be after some changes.

        It begins again where its effect is told something else, or `start_s` is given;
        otherwise its time goes on.

        Args:
            rule_id: Which.
            changes: Members of an order; None for what was not ordered.
            now: Device time.

        Raises:
            KeyError: There is none with this id.
            SettingError: A value is not allowed.
        """
        old = self.rules[rule_id]
        for name, value in (("id", old.id), ("effect", old.effect)):
            if changes.get(name, value) != value:
                raise SettingError(
                    f"{name}: {shown(changes[name])} is not {value!r}, which stays"
                )
        new = _read_rule({**old.members, **changes, "id": old.id}, now, old.id)
        if new.values == old.values and "start_s" not in changes:
            new = replace(new, begins_at=old.begins_at)
        return new

    def put(self, rule: Rule) -> None:
        """Take a rule in the place of that with its id."""
        self.rules[rule.id] = rule

    def _next_number(self) -> int:
        count = self._count + 1
        while f"fault-{count}" in self.rules:  # somebody has chosen it
            count += 1
        return count

    def remove(self, rule_id: str) -> None:
        """Take an order back.

        Raises:
            KeyError: There is none with this id.
        """
        del self.rules[rule_id]
        self._struck.pop(rule_id, None)

    def clear(self) -> None:
        """Take everything back."""
        self.rules.clear()
        self._struck.clear()

    def next_change(self, now: float) -> float:
        """When a rule next begins or ends."""
        moments = (rule.next_change(now) for rule in self.rules.values())
        return min(moments, default=NEVER)

    def that_meet(self, whom: Whom) -> MetRules:
        """Return what concerns one device or miner; it is to be told of changes."""
        return MetRules(rule for rule in self.rules.values() if rule.meets(whom))

    def is_spent(self, rule: Rule, device: str, now: float) -> bool:
        """True for a rule that has met as many requests of a device as it should."""
        return rule.count is not None and self._strikes(rule, device, now) >= rule.count

    def _strikes(self, rule: Rule, device: str, now: float) -> int:
        """Requests of a device that a rule has met since it last began."""
        begin, strikes = self._struck.get(rule.id, {}).get(device, (NEVER, 0))
        return strikes if begin == rule.began_at(now) else 0

    def _count_strike(self, rule: Rule, device: str, now: float, step: int = 1) -> None:
        if rule.count is not None:
            strikes = max(0, self._strikes(rule, device, now) + step)
            struck = self._struck.setdefault(rule.id, {})
            struck[device] = rule.began_at(now), strikes

    def give_back(self, rule_id: str, device: str, now: float) -> None:
        """Do not count a request to which a rule could do nothing."""
        if rule_id in self.rules:
            self._count_strike(self.rules[rule_id], device, now, step=-1)

    def http_fault(
        self,
        met_rules: MetRules,
        method: str,
        path: str,
        now: float,
        *,
        device: str = "",
        connection_count: int = 0,
        is_stream: bool = False,
    ) -> HttpFault | None:
        """What happens to a request that has just come; the first rule that meets it.

        Delays of several rules add up, and so do changes of the answer.

        Args:
            met_rules: Of the device that is asked.
            method: As sent.
            path: As sent.
            now: Device time.
            device: Its id, for rules that end after some requests.
            connection_count: Connections the device has, with this one.
            is_stream: It asks for the log stream, which has no body to break off.
        """
        met: Rule | None = None
        bends: list[Rule] = []
        delay_s = 0.0
        for rule in met_rules:
            if (
                rule.effect not in HTTP_EFFECTS
                or not rule.is_active(now)
                or not fnmatchcase(path, rule.route)
                or not fnmatchcase(method, rule.method)
                or self.is_spent(rule, device, now)
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
            if rule.effect == "bend":
                bends.append(rule)
            elif met is None or met.effect == "latency":
                met = rule
            elif rule.effect != "latency":
                continue  # another has decided
            self._count_strike(rule, device, now)
        first = met or next(iter(bends), None)
        if first is None:
            return None
        return HttpFault(
            first.id,
            first.effect,
            first.values,
            delay_s,
            tuple((rule.id, rule.values) for rule in bends),
        )


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
    "domain_dead": _gather(
        "dead_domains", set, lambda s, v: s.add((v["chip"], v["domain"]))
    ),
    "counter_glitch": _gather(
        "counter_jumps",
        set,
        lambda s, v: s.add((v["chip"], v["domain"], v["ths"] * 1e12)),
    ),
    "unstable": _gather(
        "unstable",
        dict,
        lambda d, v: d.update(
            {v["chip"]: (v["errors_percent"] / 100, v["loss_percent"] / 100)}
        ),
    ),
    "plug_missing": _put("has_no_plug", lambda _: True),
    "regulator_fault": _put("has_regulator_fault", lambda _: True),
    "supply_sag": _put("sag_v", lambda v: v["v"]),
    "sensor_stuck": _gather(
        "stuck_c", dict, lambda d, v: d.update({Sensor(v["sensor"]): v["c"]})
    ),
    "sensor_absent": _gather(
        "absent", set, lambda s, v: s.add(Instrument(v["sensor"]))
    ),
    "tach_dead": _gather("dead_tachometers", set, lambda s, v: s.add(v["fan"])),
    "fan_controller_dead": _put("is_fan_controller_dead", lambda _: True),
    "wifi_loss": _put("has_no_wifi", lambda _: True),
    "silent": _put("is_port_silent", lambda _: True),
    "away_refused": _put("is_away_refused", lambda _: True),
    "reboot_loop": _put("reboot_period_s", lambda v: v["period_s"]),
    "heap_exhaustion": _put("heap_leak_bytes_per_s", lambda v: v["bytes_per_s"]),
    "www_erased": _put("is_www_erased", lambda _: True),
    "www_mismatch": _put("www_version", lambda v: str(v["version"])),
    "ota_failing": _put("update", lambda v: UpdateFault(v["how"])),
    "pool_down": _gather("downs", set, lambda s, v: s.add(v["which"])),
    "pool_silent": _put("is_silent", lambda _: True),
    "pool_slow": _put(
        "slowness",
        lambda v: Slowness(v["ms"] / 1000, v["stall_ms"] / 1000, v["bytes_per_s"]),
    ),
    "pool_stale_jobs": _put("is_stale", lambda _: True),
    "pool_reject": _put("refusal", lambda v: str(v["reason"])),
    "pool_difficulty": _put("difficulty", lambda v: float(v["difficulty"])),
    "pool_reconnect": _count("reconnects"),
    "pool_late_blocks": _put("block_late_s", lambda v: float(v["late_s"])),
    "pool_certificate": _put("certificate", lambda v: CertificateFault(v["how"])),
    "block_found": _put("is_block_next", lambda _: True),
}
"""How each effect adds to what was found; those of `HTTP_EFFECTS` meet requests."""
_OF_DEVICE = frozenset(DeviceFaults.__struct_fields__)


def _copied(value: Any) -> Any:
    """Return what does not change with the next rule."""
    if isinstance(value, set):
        return frozenset(value)
    return dict(value) if isinstance(value, dict) else value


def _read_rule(members: Mapping[str, Any], now: float, default_id: str) -> Rule:
    order: Order = read(Fault, members)
    of_requests = order if isinstance(order, OnRequests) else OnRequests()
    return Rule(
        id=order.id or default_id,
        effect=members["effect"],
        values={one.name: getattr(order, one.field) for one in parameters(type(order))},
        device=Patterns.of(order.device),
        group=order.group,
        firmware=order.firmware.removeprefix("v"),
        share=order.share,
        route=of_requests.route,
        method=of_requests.method.upper(),
        probability=order.probability,
        count=of_requests.count,
        begins_at=now + order.start_s,
        duration_s=order.duration_s,
        every_s=order.every_s,
        is_paused=order.paused,
        members={key: value for key, value in members.items() if value is not None},
    )


def _moment(at_s: float) -> float | None:
    return None if at_s == NEVER else round(at_s, 3)


def _place(text: str) -> float:
    """A number from 0 to 1 that belongs to a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
