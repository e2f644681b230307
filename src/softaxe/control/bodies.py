"""What the control API takes and answers: one Struct per body and answer.

Other bodies are a `Group` and, of `effects`, a `Fault`. Requests are read by them, and
the API's document is made from them.
"""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from softaxe.effects import EFFECTS, Layer, path_part_of
from softaxe.fleet.clock import ADVANCES_S, SPEEDS
from softaxe.fleet.rows import State
from softaxe.serve.journal import MOST_ENTRIES

MOST_ROWS = 100_000
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[
    str,
    Meta(min_length=1, max_length=64, pattern="^[^/]*$", extra={"check": path_part_of}),
]


Seconds = Annotated[float, Meta(description="Device time.", extra={"unit": "s"})]
GigaHashes = Annotated[float, Meta(extra={"unit": "GH/s"})]
Watts = Annotated[float, Meta(extra={"unit": "W"})]
Efficiency = Annotated[float, Meta(extra={"unit": "J/TH"})]
EffectName = Annotated[
    str, Meta(extra={"schema": {"type": "string", "enum": list(EFFECTS)}})
]


# Bodies


class ClockChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the clock is to change; what is left out stays."""

    takes_null: ClassVar[bool] = True
    speed: (
        Annotated[
            float,
            Meta(
                ge=SPEEDS[0],
                le=SPEEDS[1],
                description="Device seconds per real second.",
            ),
        ]
        | None
    ) = None
    paused: Annotated[bool, Meta(description="Whether time stands still.")] | None = (
        None
    )


class Advance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much device time is to pass at once."""

    seconds: Annotated[
        float,
        Meta(
            ge=ADVANCES_S[0],
            le=ADVANCES_S[1],
            description="Device time from now.",
            extra={"unit": "s"},
        ),
    ]


class NewSnapshot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a snapshot is to be called."""

    name: Annotated[Name, Meta(description="Whatever has it now is replaced.")]


# What follows a path


class NoQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing follows the path."""


class DevicesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which devices are listed."""

    group: Annotated[str | None, Meta(description="Its name.")] = None
    state: State | None = None
    offset: Annotated[
        int, Meta(ge=0, le=MOST_ROWS, description="So many are left out first.")
    ] = 0
    limit: Annotated[int, Meta(ge=0, le=MOST_ROWS, description="At most so many.")] = (
        MOST_ROWS
    )


class JournalQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests are listed."""

    after: Annotated[
        int, Meta(ge=0, le=1 << 53, description="Only what is newer than this number.")
    ] = 0
    device: Annotated[str | None, Meta(description="An id.")] = None
    method: str | None = None
    path: Annotated[str | None, Meta(description="What it begins with.")] = None
    status: Annotated[int, Meta(ge=0, le=999)] | None = None
    unmatched: bool | None = None
    limit: Annotated[
        int, Meta(ge=1, le=MOST_ENTRIES, description="At most so many, the newest.")
    ] = 1000


# Answers


class Nothing(Struct, frozen=True):
    """It is done."""


class Error(Struct, frozen=True):
    """What is wrong."""

    error: Annotated[str, Meta(description="One line that names the value.")]


class Health(Struct, frozen=True):
    """All is well."""

    status: Literal["ok"]


class Starting(Struct, frozen=True):
    """Not all devices are up yet."""

    status: Literal["starting"]
    ready: Annotated[Count, Meta(description="Devices that are up.")]
    devices: Annotated[Count, Meta(description="All that there will be.")]


class Clock(Struct, frozen=True):
    """Device time."""

    now: Annotated[float, Meta(description="Device time.", extra={"unit": "s"})]
    speed: Annotated[float, Meta(description="Device seconds per real second.")]
    paused: bool


class FleetPool(Struct, frozen=True, rename="camel"):
    """The built-in pool."""

    url: Annotated[str, Meta(description="HOST:PORT; several of several processes.")]
    connections: Count
    shares_accepted: Count
    shares_rejected: Count


class Fleet(Struct, frozen=True, rename="camel"):
    """Totals of all devices."""

    softaxe: Annotated[str, Meta(description="Version of softaxe.")]
    devices: Count
    mining: Annotated[Count, Meta(description="Devices that mine.")]
    hash_rate: GigaHashes
    expected_hashrate: GigaHashes
    power: Watts
    efficiency: Efficiency | None
    hottest: Annotated[
        float, Meta(description="The hottest chip.", extra={"unit": "°C"})
    ]
    shares_accepted: Count
    shares_rejected: Count
    best_diff: Count
    groups: Annotated[dict[str, Count], Meta(description="Devices of each group.")]
    now: Seconds
    speed: float
    paused: bool
    workers: Annotated[Count, Meta(description="Processes.")]
    pool: FleetPool | None
    faults: Annotated[Count, Meta(description="Rules.")]


class History(Struct, frozen=True, rename="camel"):
    """Totals over time: one list for each, oldest first."""

    now: tuple[float, ...]
    hash_rate: tuple[float, ...]
    power: tuple[float, ...]
    hottest: tuple[float, ...]
    mining: tuple[float, ...]


class Row(Struct, frozen=True, rename="camel"):
    """A device, in short."""

    id: Annotated[str, Meta(extra_json_schema={"examples": ["601-1"]})]
    group: str
    board: str
    family: str
    url: str
    hostname: str
    mac_addr: str
    state: State
    hash_rate: GigaHashes
    expected_hashrate: GigaHashes
    power: Watts
    efficiency: Efficiency | None
    temp: Annotated[
        float, Meta(description="Chip; -1 when it is off.", extra={"unit": "°C"})
    ]
    vr_temp: (
        Annotated[float, Meta(description="Regulator.", extra={"unit": "°C"})] | None
    )
    fanspeed: Annotated[float, Meta(extra={"unit": "%"})]
    shares_accepted: Count
    shares_rejected: Count
    best_diff: Count
    is_using_fallback_stratum: bool
    uptime_seconds: Count
    faults: Annotated[
        tuple[str, ...], Meta(description="Ids of the rules that meet it.")
    ]


class Rows(Struct, frozen=True):
    """Devices, perhaps not all that were chosen."""

    total: Annotated[Count, Meta(description="So many were chosen.")]
    devices: tuple[Row, ...]


class Added(Struct, frozen=True):
    """Devices that were switched on."""

    devices: tuple[Row, ...]


class Device(Struct, frozen=True):
    """One device."""

    row: Row
    info: Annotated[
        dict[str, Any], Meta(description="What it answers at /api/system/info.")
    ]


class Rule(Struct, frozen=True):
    """A rule, with all that was ordered, and the effect's own members."""

    id: str
    effect: EffectName
    begins_at: Seconds
    ends_at: Annotated[Seconds | None, Meta(description="null for never.")]


class ListedRule(Rule, frozen=True):
    """A rule, with all that was ordered, and what it does now."""

    active: Annotated[bool, Meta(description="Whether it has begun and not ended.")]
    matches: Annotated[Count, Meta(description="Devices that it meets.")]


class Parameter(Struct, frozen=True):
    """What an effect can be told."""

    name: str
    help: str
    default: float | str
    range: tuple[float, ...] | None
    choices: tuple[str, ...]
    unit: str | None


class Effect(Struct, frozen=True):
    """What can go wrong."""

    name: EffectName
    layer: Layer
    help: str
    parameters: tuple[Parameter, ...]


class Faults(Struct, frozen=True):
    """The rules there are, and the effects there can be."""

    faults: tuple[ListedRule, ...]
    effects: tuple[Effect, ...]


class JournalEntry(Struct, frozen=True):
    """A request that a client made to a device."""

    seq: Annotated[Count, Meta(description="From 1 on, and never again from there.")]
    time: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    now: Seconds
    device: str
    client: Annotated[str, Meta(description="Its address.")]
    method: Annotated[str, Meta(description="Empty when it was no HTTP.")]
    path: str
    query: str
    body: Annotated[str, Meta(description="Without secrets; may be cut.")]
    status: Annotated[Count, Meta(description="0 when nothing was answered.")]
    bytes: Count
    answer: Annotated[str, Meta(description="Its beginning.")]
    ms: float
    unmatched: Annotated[bool, Meta(description="No route of the device was meant.")]
    fault: Annotated[str | None, Meta(description="Id of the rule that met it.")]


class Journal(Struct, frozen=True):
    """The latest requests that clients made."""

    entries: tuple[JournalEntry, ...]
    last: Annotated[Count, Meta(description="Number of the newest there is.")]
    dropped: Annotated[Count, Meta(description="So many had to make room.")]


class Snapshot(Struct, frozen=True):
    """The state of all devices at one moment."""

    name: str
    now: Seconds
    devices: Count
    bytes: Count


class Snapshots(Struct, frozen=True):
    """All that are kept."""

    snapshots: tuple[Snapshot, ...]


class OpenApi(Struct, frozen=True):
    """An OpenAPI document."""

    openapi: str
