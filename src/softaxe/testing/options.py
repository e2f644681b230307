"""Keyword arguments as types; made by `make docs`, do not change by hand."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

EffectName = Literal[
    "ambient",
    "fan_blocked",
    "fan_dead",
    "chip_dying",
    "chip_dead",
    "domain_dead",
    "counter_glitch",
    "unstable",
    "plug_missing",
    "regulator_fault",
    "supply_sag",
    "sensor_stuck",
    "sensor_absent",
    "tach_dead",
    "fan_controller_dead",
    "latency",
    "bandwidth",
    "timeout",
    "reset",
    "truncated_json",
    "status",
    "bend",
    "socket_limit",
    "wifi_loss",
    "silent",
    "away_refused",
    "pool_down",
    "pool_silent",
    "pool_slow",
    "pool_stale_jobs",
    "pool_reject",
    "pool_difficulty",
    "pool_reconnect",
    "pool_late_blocks",
    "pool_certificate",
    "block_found",
    "reboot_loop",
    "heap_exhaustion",
    "www_erased",
    "www_mismatch",
    "ota_failing",
]
DeedName = Literal[
    "reconnect",
    "change_extranonce",
    "flood",
    "truncate_message",
    "replay_message",
    "close_channels",
    "regroup",
]
ConversionName = Literal[
    "text",
    "number",
    "whole",
    "fraction",
    "boolean",
    "flag",
    "difficulty",
]
BreakName = Literal[
    "text difficulties",
    "number difficulties",
    "asicCount in info",
    "no TLS members",
    "no averages",
    "fractions",
    "whole numbers",
    "booleans",
    "flags",
    "numbers as text",
    "null readings",
    "unknown members",
    "NerdQAxe",
    "empty PATCH",
    "text restart",
    "html 404",
    "html instead of JSON",
]


class FaultOptions(TypedDict, total=False):
    """What an order of a fault can say."""

    body: str
    bytes_per_s: float
    c: float
    chip: int
    code: int
    convert: Mapping[str, ConversionName]
    count: int
    device: str | Sequence[str]
    difficulty: float
    domain: int
    duration_s: float
    errors_percent: float
    every_s: float
    fan: int
    firmware: str
    group: str
    headers: Mapping[str, str]
    how: Literal["refused", "rolled back"]
    id: str
    jitter_ms: float
    keep: float
    known: BreakName
    late_s: float
    loss_percent: float
    method: str
    ms: float
    null: str | Sequence[str]
    only_status: int
    paused: bool
    period_s: float
    probability: float
    reason: str
    remove: str | Sequence[str]
    route: str
    sensor: Literal["chip", "chip2", "vr", "power", "fan"]
    set: Mapping[str, object]
    share: float
    sockets: int
    stall_ms: float
    start_s: float
    status: int
    ths: float
    v: float
    version: str
    which: Literal["primary", "fallback", "all"]


class SharedOptions(TypedDict, total=False):
    """What devices have in common."""

    ambient: float
    ambient_swing: float
    boards: str | Sequence[str]
    firmware: str | Sequence[str]
    first_boot: bool
    group: str
    mdns: bool
    name: str
    password: str
    pool: str
    profile: Literal["documented", "firmware"]
    quick_scan: bool
    settings: Mapping[str, str | float | Sequence[Mapping[str, str | float]]]
    share_rate: float
    spread: Mapping[str, float]
    strict: bool
    user: str
    work: Literal["auto", "scaled", "real"]


class GroupOptions(SharedOptions, total=False):
    """A group of devices."""

    board: str | Sequence[str]
    count: int
    seed: int
