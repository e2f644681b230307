"""What a fleet shows of its devices: one row each, and sums."""

from collections import Counter, deque
from collections.abc import Collection, Iterable
from typing import Any, Literal, NamedTuple

from softaxe.device.device import Device
from softaxe.faults import Rule
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
BELIEVED = 2.0
"""A reading up to so many times what the chips can do is one of chance."""
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
    if device.chain.hashrate_hs <= 0 or device.pools.session is None:
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
    is_slow = device.chain.hashrate_hs < SLOW * device.expected_hashrate_hs
    return "slow" if is_slow else "mining"


def hashing_hs(device: Device) -> float:
    """What a device adds to its fleet: its reading, if that can be true.

    A device shows what it has last measured when its chips are off, and an immense rate
    when a counter has run over; fidelity is for the device, not for sums of many.
    """
    told_hs, can_hs = device.hashrate.current_hs, device.chain.hashrate_hs
    return told_hs if told_hs <= BELIEVED * can_hs else can_hs


def ghs(rate_hs: float) -> float:
    """Return GH/s to show; a CPU's real work is some 1e-5."""
    rate = rate_hs / 1e9
    return round(rate, 3) if rate >= 1 else float(f"{rate:.4g}")


def row(member: Member, rules: Collection[Rule]) -> Row:
    """Return a device as the control API lists it, with the rules at work on it."""
    device = member.device
    read, shares = device.readings, device.shares
    rate = device.hashrate.current_hs / 1e9
    efficiency = read.power_w / rate * 1000 if rate > 1 else None
    vr_c = read.vr_temp_c
    pool = device.pools.current
    return {
        "id": member.id,
        "group": member.group,
        "board": device.board.version,
        "family": device.board.family,
        "firmware": member.firmware,
        "url": member.url,
        "hostname": device.settings.hostname,
        "macAddr": device.identity.mac_text,
        "state": state_of(member),
        "canPause": member.takes("pause"),
        "pool": f"{pool.url}:{pool.port}" if pool.url else "",
        "frequency": device.settings.frequency_mhz,
        "coreVoltage": device.settings.core_voltage_mv,
        "hashRate": ghs(device.hashrate.current_hs),
        "expectedHashrate": round(device.expected_hashrate_hs / 1e9, 3),
        "power": round(read.power_w, 2),
        "efficiency": None if efficiency is None else round(efficiency, 2),
        "temp": round(read.temp_c, 1),
        "vrTemp": round(vr_c, 1) if vr_c and vr_c > 0 else None,
        "fanspeed": round(read.fan_percent, 1),
        "sharesAccepted": shares.accepted,
        "sharesRejected": shares.rejected,
        "bestDiff": device.best_difficulty,
        "isUsingFallbackStratum": device.is_using_fallback,
        "rssi": device.radio.rssi_dbm if device.radio.is_connected else None,
        "uptimeSeconds": int(device.uptime_s),
        "faults": [rule.id for rule in rules],
        "effects": list(dict.fromkeys(rule.effect for rule in rules)),
    }


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

    async def note(self, now: float, members: Iterable[Member]) -> None:
        """Add a point; the next one is due a while later."""
        self.due = now + HISTORY_S
        told = {**await sums(members), "now": round(now, 1)}
        self._points.append(Point(*(told[name] for name in Point._fields)))

    def restart(self, now: float) -> None:
        """Forget everything: time has been set back to `now`."""
        self._points.clear()
        self.due = now

    def to_json(self) -> dict[str, list[float]]:
        """Return one list per quantity, oldest first."""
        names = Point._fields
        columns = list(zip(*self._points, strict=True)) or [()] * len(names)
        return {n: list(c) for n, c in zip(names, columns, strict=True)}
