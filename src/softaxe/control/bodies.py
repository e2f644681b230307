"""What the control API takes and answers: one Struct per body and answer.

Other bodies are a `Group` and, of `effects`, a `Fault`. Requests are read by them, and
the API's document is made from them.
"""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct, defstruct

from softaxe.description import about
from softaxe.device.logbook import LAST_LINES
from softaxe.effects import EFFECTS, Area, Whose, path_part_of
from softaxe.faults import MOST_NAMED
from softaxe.fleet.clock import ADVANCES_S, SPEEDS
from softaxe.fleet.parts.part import Life
from softaxe.fleet.rows import State, names_of
from softaxe.serve.journal import MOST_ENTRIES

MOST_ROWS = 100_000
LATEST_S = 1e12
"""Device time that nobody comes to."""
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, about(length=(1, 64), pattern="^[^/]*$", check=path_part_of)]


Seconds = Annotated[float, about("Device time.", unit="s")]
GigaHashes = Annotated[float, about(unit="GH/s")]
Watts = Annotated[float, about(unit="W")]
Efficiency = Annotated[float, about(unit="J/TH")]
Milliseconds = Annotated[float, about("Real time.", unit="ms")]
EffectName = Annotated[str, about(schema={"type": "string", "enum": list(EFFECTS)})]


ReachedSpeed = Annotated[
    float | None,
    about(
        "Device seconds per real second over the last 10 s in which time went by "
        "itself; null while it stands, or has just begun to go."
    ),
]
LostSeconds = Annotated[
    float,
    about(
        "Device time that was not made up for after the process had stood still for a "
        "while.",
        unit="s",
    ),
]


# Bodies


class ClockChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the clock is to change; what is left out stays."""

    takes_null: ClassVar[bool] = True
    speed: (
        Annotated[float, about("Device seconds per real second.", within=SPEEDS)] | None
    ) = None
    paused: Annotated[bool, about("Whether time stands still.")] | None = None


class Advance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much device time is to pass at once: `seconds` or `until`."""

    takes_null: ClassVar[bool] = True
    one_of: ClassVar[tuple[str, ...]] = ("seconds", "until")
    seconds: (
        Annotated[float, about("Device time from now.", within=ADVANCES_S, unit="s")]
        | None
    ) = None
    until: (
        Annotated[
            float,
            about(
                "Device time to go to; nothing happens when it is past, so who has "
                "heard no answer may ask again.",
                within=(0, LATEST_S),
                unit="s",
            ),
        ]
        | None
    ) = None
    wait: Annotated[
        bool, about("False for an answer at once, with a URL that tells on.")
    ] = True


class DevicesOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What some devices are to do."""

    order: Annotated[
        Literal["restart", "identify", "pause", "resume", "press", "hold", "remove"],
        about(
            "remove switches them off for good; identify shows a greeting, or ends it; "
            "pause and resume stop and start mining, from firmware 2.14 on; press and "
            "hold are what is done to the button, shortly and for long."
        ),
    ]
    devices: Annotated[tuple[str, ...], about("Ids.", length=(1, MOST_ROWS))]


class NewSnapshot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a snapshot is to be called."""

    name: Annotated[Name, about("Whatever has it now is replaced.")]


class MinerChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be asked of a miner."""

    difficulty: Annotated[
        float,
        about("As the miner sees it; that of a block at most.", within=(1e-9, 1e18)),
    ]


class FaultChange(Whose, forbid_unknown_fields=False):
    """Of a rule, what is to change; its effect's own members as well.

    null stands for what was not ordered.
    """


# What follows a path


class NoQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing follows the path."""


class FaultQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a rule is meant."""

    dry_run: Annotated[
        bool, about("Only tell what would come of it; nothing changes.")
    ] = False


class DevicesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which devices are listed."""

    group: Annotated[str | None, about("Its name.")] = None
    state: State | None = None
    firmware: Annotated[
        str | None, about("Pattern of the versions that run, as 2.15*.")
    ] = None
    offset: Annotated[
        int, about("So many are left out first.", within=(0, MOST_ROWS))
    ] = 0
    limit: Annotated[int, about("At most so many.", within=(0, MOST_ROWS))] = MOST_ROWS
    fields: Annotated[
        tuple[str, ...] | None,
        about(
            "Members of the rows that are wanted, with commas between them; id always.",
            read=names_of,
            schema={"type": "string", "examples": ["hostname,hashRate,temp"]},
        ),
    ] = None
    since: (
        Annotated[
            str,
            about(
                "The revision of an earlier answer with the same fields: only what is "
                "new since then is told. Another text, as 0, is answered with all. It "
                "goes with fields alone.",
                length=(0, 64),
            ),
        ]
        | None
    ) = None


class MinersQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which miners are listed."""

    offset: Annotated[
        int, about("So many are left out first.", within=(0, MOST_ROWS))
    ] = 0
    limit: Annotated[int, about("At most so many.", within=(0, MOST_ROWS))] = 1000


class LogQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lines are told."""

    after: Annotated[
        int, about("Only what came after what was last.", within=(0, 1 << 53))
    ] = 0
    limit: Annotated[
        int, about("At most so many, the last.", within=(1, LAST_LINES))
    ] = LAST_LINES


class JournalQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests are listed."""

    after: Annotated[
        int, about("Only what is newer than this number.", within=(0, 1 << 53))
    ] = 0
    device: Annotated[str | None, about("An id.")] = None
    method: str | None = None
    path: Annotated[str | None, about("What it begins with.")] = None
    status: Annotated[int, about(within=(0, 999))] | None = None
    unmatched: bool | None = None
    warned: Annotated[bool | None, about("Whether warnings were answered.")] = None
    differs: Annotated[
        bool | None, about("Whether a device would have answered otherwise.")
    ] = None
    limit: Annotated[
        int, about("At most so many, the newest.", within=(1, MOST_ENTRIES))
    ] = 1000


# Answers


class Nothing(Struct, frozen=True):
    """It is done."""


class Refusal(Struct, frozen=True):
    """What is wrong."""

    error: Annotated[str, about("One line that names the value.")]


class Health(Struct, frozen=True):
    """All is well."""

    status: Literal["ok"]


class Starting(Struct, frozen=True):
    """Not all devices are up yet."""

    status: Literal["starting"]
    ready: Annotated[Count, about("Devices that are up.")]
    devices: Annotated[Count, about("All that there will be.")]


class Clock(Struct, frozen=True, rename="camel"):
    """Device time."""

    now: Annotated[float, about("Device time.", unit="s")]
    speed: Annotated[float, about("Device seconds per real second.")]
    paused: bool
    reached_speed: ReachedSpeed
    lost_seconds: LostSeconds


class Advancing(Struct, frozen=True):
    """An advance that nobody waits for."""

    id: str
    now: Annotated[float, about("Device time.", unit="s")]
    until: Annotated[float, about("Device time where it ends.", unit="s")]
    done: Annotated[bool, about("Whether it has ended.")]
    error: Annotated[str | None, about("Why it has ended too early.")]


class Begun(Advancing, frozen=True):
    """An advance that has just begun."""

    url: Annotated[str, about("Path that tells how far it is.")]


class FleetPool(Struct, frozen=True, rename="camel"):
    """The built-in pool."""

    url: Annotated[str, about("HOST:PORT; several of several processes.")]
    connections: Count
    shares_accepted: Count
    shares_rejected: Count


class Fleet(Struct, frozen=True, rename="camel"):
    """Totals of all devices."""

    softaxe: Annotated[str, about("Version of softaxe.")]
    seed: Annotated[Count, about("Of the first device, and of chance; see --seed.")]
    devices: Count
    mining: Annotated[Count, about("Devices that mine.")]
    problems: Annotated[
        Count, about("Devices that neither mine well, nor start, nor are paused.")
    ]
    hash_rate: GigaHashes
    expected_hashrate: GigaHashes
    power: Watts
    efficiency: Efficiency | None
    hottest: Annotated[float, about("The hottest chip.", unit="°C")]
    shares_accepted: Count
    shares_rejected: Count
    best_diff: Annotated[float, Meta(ge=0)]
    groups: Annotated[dict[str, Count], about("Devices of each group.")]
    now: Seconds
    start_time: Annotated[
        Count, about("Unix time at device time 0, as the built-in pool's blocks say.")
    ]
    speed: float
    paused: bool
    reached_speed: ReachedSpeed
    lost_seconds: LostSeconds
    workers: Annotated[Count, about("Processes.")]
    pool: FleetPool | None
    faults: Annotated[Count, about("Rules.")]


class Worker(Struct, frozen=True):
    """Some of the devices, in a process of their own."""

    devices: Annotated[str, about("The first and the last it was described with.")]
    place: Annotated[str, about("Machine and process; empty before it has one.")]
    state: Life
    restarts: Annotated[Count, about("How often it has come back after it had died.")]


class Workers(Struct, frozen=True):
    """Who has the devices."""

    workers: tuple[Worker, ...]


class ReplyTimes(Struct, frozen=True):
    """How long pools took to answer shares."""

    p50: Milliseconds
    p90: Milliseconds
    p99: Milliseconds
    mean: Milliseconds
    longest: Milliseconds


class WishedRate(Struct, frozen=True, rename="camel"):
    """What devices with a share_rate are to submit, in all."""

    devices: Count
    shares_per_minute: float
    possible_per_minute: Annotated[
        float, about("At the difficulties that pools ask for, with the CPU given.")
    ]
    short_devices: Annotated[Count, about("That cannot submit as often as wished.")]
    hardest_difficulty: Annotated[float, about("That a pool asks for, as it says it.")]


class Load(Struct, frozen=True, rename="camel"):
    """What shares have asked of pools, since the start."""

    submitted: Count
    accepted: Count
    rejected: Annotated[dict[str, Count], about("By the pools' words.")]
    waiting: Annotated[Count, about("Without an answer so far.")]
    unanswered: Annotated[Count, about("Whose connection has ended without one.")]
    connections: Annotated[Count, about("That stood, to mine on.")]
    reconnects: Annotated[
        Count, about("Of those the ones of devices that had had one before.")
    ]
    shares_per_minute: Annotated[
        float | None, about("Of each device, in device time, while it was connected.")
    ]
    reply_ms: Annotated[
        ReplyTimes | None,
        about("From a share's leaving to its answer; null before the first."),
    ]
    wished: Annotated[WishedRate | None, about("null when no device has a share_rate.")]


class Happening(Struct, frozen=True):
    """A restart, a fault that begins or ends, a change of settings or a block."""

    now: Annotated[float, about("Device time, in seconds.")]
    kind: Annotated[str, about("restart, fault, setting or block.")]
    label: str
    device: Annotated[str, about("The first one; empty for a fault's rule.")]
    devices: Annotated[int, about("To how many it happened.")]


class History(Struct, frozen=True, rename="camel"):
    """Totals over time: one list for each, oldest first."""

    now: Annotated[tuple[float, ...], about("Device time, in seconds.")]
    time: Annotated[tuple[float, ...], about("Unix time then.")]
    hash_rate: tuple[float, ...]
    power: tuple[float, ...]
    hottest: tuple[float, ...]
    mining: tuple[int, ...]
    problems: tuple[int, ...]
    shares_accepted: tuple[int, ...]
    shares_rejected: tuple[int, ...]
    happenings: Annotated[tuple[Happening, ...], about("The last 500, oldest first.")]


class Row(Struct, frozen=True, rename="camel"):
    """A device, in short."""

    id: Annotated[str, about(told={"examples": ["601-1"]})]
    group: str
    board: str
    family: str
    firmware: Annotated[str, about("The version that runs.")]
    url: str
    hostname: str
    mac_addr: str
    state: State
    can_pause: Annotated[bool, about("Whether its firmware can pause mining.")]
    pool: Annotated[str, about("HOST:PORT that it mines on or tries; empty for none.")]
    frequency: Annotated[float, about("As set.", unit="MHz")]
    core_voltage: Annotated[int, about("As set.", unit="mV")]
    hash_rate: GigaHashes
    expected_hashrate: GigaHashes
    power: Watts
    efficiency: Efficiency | None
    temp: Annotated[float, about("Chip; -1 when it is off.", unit="°C")]
    vr_temp: Annotated[float, about("Regulator.", unit="°C")] | None
    fanspeed: Annotated[float, about(unit="%")]
    shares_accepted: Count
    shares_rejected: Count
    best_diff: Annotated[float, Meta(ge=0)]
    is_using_fallback_stratum: bool
    rssi: Annotated[int | None, about("null while it is away.", unit="dBm")]
    uptime_seconds: Count
    started_at: Annotated[Seconds, about("From which uptime counts.")]
    faults: Annotated[tuple[str, ...], about("Ids of the rules that meet it.")]
    effects: Annotated[tuple[EffectName, ...], about("What these do.")]


SomeOfRow = defstruct(
    "SomeOfRow",
    [("id", str)]
    + [
        (name, hint, None) for name, hint in Row.__annotations__.items() if name != "id"
    ],
    frozen=True,
    rename="camel",
    namespace={"__doc__": "A device, or what was asked for of it, or what is new."},
)


class Rows(Struct, frozen=True):
    """Devices, perhaps not all that were chosen."""

    total: Annotated[Count, about("So many were chosen.")]
    devices: tuple[SomeOfRow, ...]  # type: ignore[valid-type]
    revision: Annotated[str | None, about("To be named as since the next time.")] = None
    since: Annotated[
        str | None,
        about("As asked for; null when the devices are all there are, in their order."),
    ] = None
    removed: Annotated[
        tuple[str, ...], about("Ids of devices that have gone since.")
    ] = ()


class Added(Struct, frozen=True):
    """Devices that were switched on."""

    devices: tuple[Row, ...]


class Ordered(Struct, frozen=True):
    """Which devices have done what was ordered."""

    done: Annotated[tuple[str, ...], about("Ids.")]
    refused: Annotated[dict[str, str], about("Why the others have not, by id.")]


class Device(Struct, frozen=True):
    """One device."""

    row: Row
    info: Annotated[dict[str, Any], about("What it answers at /api/system/info.")]
    status: Annotated[
        dict[str, Any], about("Of what /softaxe/status.json tells, what is its own.")
    ]


class DeviceHistory(Struct, frozen=True, rename="camel"):
    """A device over time: one list for each quantity, the oldest value first."""

    now: tuple[float, ...]
    hash_rate: Annotated[tuple[float | None, ...], about(unit="GH/s")]
    power: Annotated[tuple[float | None, ...], about(unit="W")]
    temp: Annotated[tuple[float | None, ...], about("Chip; -1 when off.", unit="°C")]
    vr_temp: Annotated[tuple[float | None, ...], about("Regulator.", unit="°C")]
    fanspeed: Annotated[tuple[float | None, ...], about(unit="%")]
    uptime_seconds: tuple[float | None, ...]


class DeviceLog(Struct, frozen=True):
    """The end of a device's log."""

    lines: Annotated[tuple[str, ...], about("Oldest first, without colours.")]
    last: Annotated[Count, about("To be named as after the next time.")]


class PoolCounts(Struct, frozen=True, rename="camel"):
    """What miners have brought a pool; difficulties are those of real hashes."""

    connections: Count
    shares_accepted: Count
    shares_rejected: Annotated[dict[str, Count], about("By reason.")]
    accepted_difficulty: Annotated[
        float, about("Sum of what was asked of accepted shares.")
    ]
    best_difficulty: float
    blocks_found: Count


class Pool(PoolCounts, frozen=True, rename="camel"):
    """The built-in pool."""

    urls: Annotated[tuple[str, ...], about("Where miners connect.")]
    height: Annotated[Count, about("Of the block that is being mined.")]
    network_difficulty: Annotated[float, about("Of a block.")]
    protocols: Annotated[dict[str, PoolCounts], about("v1 and v2 apart.")]


class MinerWorker(Struct, frozen=True, rename="camel"):
    """Who mines on a connection: a user in v1, a channel in v2."""

    user: str
    channel: Annotated[Count | None, about("Its id, in v2.")]
    channel_kind: Annotated[
        Literal["standard", "extended"] | None, about("Which, in v2.")
    ]
    difficulty: Annotated[float, about("Of its next job, as the miner sees it.")]
    extranonce1: Annotated[str, about("In hexadecimal; in v2 its prefix.")]
    extranonce2_size: Annotated[Count, about("That the miner chooses.", unit="bytes")]
    shares_accepted: Count
    shares_rejected: Annotated[dict[str, Count], about("By reason.")]
    best_difficulty: float
    hash_rate: Annotated[
        float, about("Estimated of the shares of some five minutes.", unit="GH/s")
    ]


class Miner(Struct, frozen=True, rename="camel"):
    """A connection to the built-in pool."""

    id: Annotated[
        str,
        about(
            "The miner's address and port, by which faults know it, and a number where "
            "there are two of the same."
        ),
    ]
    device: Annotated[str | None, about("Its id, for a device of the fleet.")]
    protocol: Literal["v1", "v2"]
    agent: Annotated[str, about("What it says that it is.")]
    connected_at: Seconds
    workers: Annotated[tuple[MinerWorker, ...], about("None before it says who.")]


class Miners(Struct, frozen=True):
    """Miners of the built-in pool, perhaps not all, oldest first."""

    total: Annotated[Count, about("So many are connected.")]
    miners: tuple[Miner, ...]


class Rule(Struct, frozen=True):
    """A rule, with all that was ordered, and the effect's own members."""

    id: str
    effect: EffectName
    begins_at: Seconds
    ends_at: Annotated[Seconds | None, about("null for never.")]
    matches: Annotated[
        Count, about("Devices that it meets, and other miners that are connected.")
    ]
    strangers: Annotated[Count, about("Of these, the other miners.")]
    devices: Annotated[
        tuple[str, ...], about(f"Ids of those that it meets, {MOST_NAMED} at most.")
    ]


class ListedRule(Rule, frozen=True):
    """A rule, with all that was ordered, and what it does now."""

    active: Annotated[
        bool, about("Whether it has begun, has not ended and is not paused.")
    ]
    changes_at: Annotated[
        Seconds | None, about("When it next begins or ends; null for never.")
    ]


class Parameter(Struct, frozen=True):
    """What an effect can be told."""

    name: str
    help: str
    kind: Annotated[
        Literal["number", "text", "names", "table"],
        about("What it takes; names are a text or a list of texts."),
    ]
    default: Annotated[
        float | str | tuple[str, ...] | dict[str, Any] | None,
        about("What it is when it is left out."),
    ]
    range: tuple[float, ...] | None
    choices: tuple[str, ...]
    unit: str | None


class Effect(Struct, frozen=True):
    """What can go wrong."""

    name: EffectName
    area: Annotated[Area, about("What it acts on.")]
    of_requests: bool
    """It meets single requests, by route, method and chance."""
    help: str
    parameters: tuple[Parameter, ...]


class Preset(Struct, frozen=True):
    """An order for a common trouble."""

    name: str
    rule: Annotated[dict[str, Any], about("As POST /control/faults takes it.")]


class Faults(Struct, frozen=True):
    """The rules there are, the effects there can be, and some ready orders."""

    faults: tuple[ListedRule, ...]
    effects: tuple[Effect, ...]
    presets: tuple[Preset, ...]


class BentAnswer(Struct, frozen=True):
    """What a device had said before its answer was bent."""

    faults: Annotated[tuple[str, ...], about("Ids of the rules that have bent it.")]
    status: Annotated[Count, about("101 of a stream, whose messages were bent.")]
    bytes: Count
    answer: Annotated[str, about("Its beginning.")]


class JournalEntry(Struct, frozen=True):
    """A request that a client made to a device."""

    seq: Annotated[Count, about("From 1 on, and never again from there.")]
    time: Annotated[str, about(told={"format": "date-time"})]
    now: Seconds
    device: str
    client: Annotated[str, about("Its address.")]
    method: Annotated[str, about("Empty when it was no HTTP.")]
    path: str
    query: str
    headers: Annotated[
        tuple[tuple[str, ...], ...],
        about("Name, in lower case, and value of each; without secrets."),
    ]
    body: Annotated[str, about("Without secrets; may be cut.")]
    status: Annotated[Count, about("0 when nothing was answered.")]
    bytes: Count
    answer: Annotated[str, about("Its beginning.")]
    ms: float
    unmatched: Annotated[bool, about("No route of the device was meant.")]
    fault: Annotated[str | None, about("Id of the rule that met it.")]
    warnings: Annotated[
        tuple[str, ...],
        about("What the API page asks for and the request does not meet, as answered."),
    ]
    differs: Annotated[
        tuple[str, ...],
        about("How a device of its version would have answered otherwise."),
    ]
    bent: Annotated[
        BentAnswer | None, about("What it was before a fault of effect bend.")
    ]


class Journal(Struct, frozen=True):
    """The latest requests that clients made."""

    entries: tuple[JournalEntry, ...]
    last: Annotated[Count, about("Number of the newest there is.")]
    dropped: Annotated[Count, about("So many had to make room.")]


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
