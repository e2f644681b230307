"""What a fleet shows of its devices: one row each, and sums."""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from msgspec import to_builtins

from softaxe.description import shown
from softaxe.device.device import Device
from softaxe.errors import SettingError
from softaxe.faults import Rule
from softaxe.fleet.device_histories import DeviceHistories, hashing_hs
from softaxe.fleet.happenings import Happenings
from softaxe.fleet.turns import in_turns
from softaxe.serve.member import Member

HISTORY_S = 10.0
HISTORY_POINTS = 720
"""Two hours of points."""
UNANSWERED_S = 300.0
"""A pool that answers no share for so long answers none; some answer many at once."""
STARTING_S = 60.0
"""A device that has measured no rate yet is starting for so long after its boot."""
REJECTING = 0.05
"""A pool that refuses more than this part of the latest shares takes pay away."""
SLOW = 0.9
"""Less than this part of the rate that its chips should have."""

State = Literal[
    "mining",
    "slow",
    "rejecting",
    "unanswered",
    "starting",
    "paused",
    "idle",
    "overheated",
    "fault",
    "access point",
    "away",
]
"""What `state_of` tells."""
WELL = frozenset[State]({"mining", "starting", "paused"})
"""Nothing is wrong with a device of these."""
Row = dict[str, Any]


def state_of(member: Member) -> State:
    """Tell what a device is doing, in a word."""
    device = member.device
    if not device.is_on_network:
        return "away"
    if device.radio.is_ap_enabled:
        return "access point"
    if device.settings.is_overheated or device.shows_overheat:
        return "overheated"
    if device.power_fault:
        return "fault"
    if device.is_paused:
        return "paused"
    is_young = device.uptime_s < STARTING_S
    # Not by its reading: a counter of real work may stand still from poll to poll.
    if device.chips_hs <= 0 or device.pools.session is None:
        return "starting" if is_young else "idle"
    return _mining_state(device, is_young=is_young)


def _mining_state(device: Device, *, is_young: bool) -> State:
    _, unanswered_s = device.pools.unanswered(device.now)
    if unanswered_s >= UNANSWERED_S:
        return "unanswered"
    if device.shares.reject_part > REJECTING:
        return "rejecting"
    if is_young:
        return "mining" if device.hashrate.one_minute_hs > 0 else "starting"
    is_slow = device.chips_hs < SLOW * device.expected_hashrate_hs
    return "slow" if is_slow else "mining"


def ghs(rate_hs: float) -> float:
    """Return GH/s to show; a CPU's real work is some 1e-5."""
    rate = rate_hs / 1e9
    return round(rate, 3) if rate >= 1 else float(f"{rate:.4g}")


def _efficiency(device: Device) -> float | None:
    rate = device.hashrate.current_hs / 1e9
    return round(device.readings.power_w / rate * 1000, 2) if rate > 1 else None


def _vr_temp(device: Device) -> float | None:
    vr_c = device.readings.vr_temp_c
    return round(vr_c, 1) if vr_c and vr_c > 0 else None


def _pool(device: Device) -> str:
    pool = device.pools.current
    return f"{pool.url}:{pool.port}" if pool.url else ""


def _rssi(device: Device) -> int | None:
    return device.radio.rssi_dbm if device.radio.is_connected else None


ROW: Mapping[str, Callable[[Member, Collection[Rule]], Any]] = {
    "id": lambda m, _: m.id,
    "group": lambda m, _: m.group,
    "board": lambda m, _: m.device.board.version,
    "family": lambda m, _: m.device.board.family,
    "firmware": lambda m, _: m.firmware,
    "url": lambda m, _: m.url,
    "hostname": lambda m, _: m.device.settings.hostname,
    "macAddr": lambda m, _: m.device.identity.mac_text,
    "state": lambda m, _: state_of(m),
    "canPause": lambda m, _: m.takes("pause"),
    "pool": lambda m, _: _pool(m.device),
    "frequency": lambda m, _: m.device.settings.frequency_mhz,
    "coreVoltage": lambda m, _: m.device.settings.core_voltage_mv,
    "hashRate": lambda m, _: ghs(m.device.hashrate.current_hs),
    "expectedHashrate": lambda m, _: round(m.device.expected_hashrate_hs / 1e9, 3),
    "power": lambda m, _: round(m.device.readings.power_w, 2),
    "efficiency": lambda m, _: _efficiency(m.device),
    "temp": lambda m, _: round(m.device.readings.temp_c, 1),
    "vrTemp": lambda m, _: _vr_temp(m.device),
    "fanspeed": lambda m, _: round(m.device.readings.fan_percent, 1),
    "sharesAccepted": lambda m, _: m.device.shares.accepted,
    "sharesRejected": lambda m, _: m.device.shares.rejected,
    "bestDiff": lambda m, _: m.device.best_difficulty,
    "isUsingFallbackStratum": lambda m, _: m.device.is_using_fallback,
    "rssi": lambda m, _: _rssi(m.device),
    "uptimeSeconds": lambda m, _: int(m.device.uptime_s),
    "startedAt": lambda m, _: round(m.device.started_at, 3),
    "faults": lambda _, rules: [rule.id for rule in rules],
    "effects": lambda _, rules: list(dict.fromkeys(rule.effect for rule in rules)),
}
"""What the control API lists of a device, member by member, with the rules at work on
it."""


def row(
    member: Member, rules: Collection[Rule], names: Iterable[str] = tuple(ROW)
) -> Row:
    """Return what the control API lists of a device, or some of it."""
    return {name: ROW[name](member, rules) for name in names}


def names_of(value: object) -> tuple[str, ...]:
    """Read names of a row's members with commas between them; the id is always one.

    Raises:
        SettingError: There is none of a name.
    """
    names = str(value).split(",")
    for name in names:
        if name not in ROW:
            raise SettingError(f"{shown(name)} is none of {', '.join(ROW)}")
    return tuple(dict.fromkeys(("id", *names)))


async def sums(members: Iterable[Member]) -> Row:
    """Return a fleet's totals."""
    total = Counter[str]()
    groups, states = Counter[str](), Counter[State]()
    hottest, best = 0.0, 0.0
    async for member in in_turns(members):
        device = member.device
        groups[member.group] += 1
        states[state_of(member)] += 1
        total["hashrate"] += hashing_hs(device)  # type: ignore[assignment]
        total["expected"] += device.expected_hashrate_hs  # type: ignore[assignment]
        total["power"] += device.readings.power_w  # type: ignore[assignment]
        total["accepted"] += device.shares.accepted
        total["rejected"] += device.shares.rejected
        hottest = max(hottest, device.readings.temp_c)
        best = max(best, device.best_difficulty)
    rate = total["hashrate"] / 1e9
    return {
        "devices": sum(groups.values()),
        "mining": states["mining"],
        "problems": sum(n for state, n in states.items() if state not in WELL),
        "hashRate": ghs(total["hashrate"]),
        "expectedHashrate": round(total["expected"] / 1e9, 3),
        "power": round(total["power"], 2),
        "efficiency": round(total["power"] / rate * 1000, 2) if rate > 1 else None,
        "hottest": round(hottest, 1),
        "sharesAccepted": total["accepted"],
        "sharesRejected": total["rejected"],
        "bestDiff": best,
        "groups": dict(groups),
    }


class Point(NamedTuple):
    """A fleet's totals at one moment, by their names in the control API."""

    now: float
    time: float
    """Unix time then, which tells how fast device time ran."""
    hashRate: float  # noqa: N815
    power: float
    hottest: float
    mining: int
    problems: int
    sharesAccepted: int  # noqa: N815
    sharesRejected: int  # noqa: N815


class History:
    """A fleet's totals over time, for charts."""

    def __init__(self) -> None:
        self.due = 0.0
        """Device time of the next point."""
        self._points = deque[Point](maxlen=HISTORY_POINTS)
        self.devices = DeviceHistories()
        self.happenings = Happenings()

    async def note(self, now: float, members: Iterable[Member]) -> None:
        """Add a point; the next one is due a while later."""
        self.due = now + HISTORY_S
        moment = {"now": round(now, 1), "time": round(time.time(), 1)}
        told = {**await sums(members), **moment}
        if self.devices.due <= now:
            await self.devices.note(now, members)
        self._points.append(Point(*(told[name] for name in Point._fields)))

    def restart(self, now: float) -> None:
        """Forget everything: time has been set back to `now`."""
        self._points.clear()
        self.devices.restart(now)
        self.happenings.restart(now)
        self.due = now

    def to_json(self) -> dict[str, Any]:
        """Return one list per quantity, oldest first, and what has happened."""
        names = Point._fields
        columns = list(zip(*self._points, strict=True)) or [()] * len(names)
        told: dict[str, Any] = {n: list(c) for n, c in zip(names, columns, strict=True)}
        return {**told, "happenings": to_builtins(self.happenings.to_json())}
