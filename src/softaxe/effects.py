"""What can be ordered to go wrong: one Struct per effect.

`Fault` is the list of what there is; orders are read by it, and docs/faults.md, the
control API's document, the schemas of files and the types of `faults.add` are made from
it. `faults` has the rules that come of orders.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, get_args

from msgspec import Struct

from softaxe.bending import (
    KNOWN,
    MOST_PATH_TEXT,
    MOST_PATHS,
    MOST_TEXT,
    Conversion,
    KnownBreak,
    check_body,
    read_conversions,
    read_headers,
    read_paths,
    read_values,
)
from softaxe.description import Member, about, members, shown
from softaxe.device.faults import Instrument, Sensor, UpdateFault
from softaxe.errors import SettingError
from softaxe.stratum.pool import CertificateFault

MAX_TEXT = 200
MAX_POOL_TEXT_BYTES = 255
"""Of a text in Stratum v2 (STR0_255), in UTF-8."""
LONGEST_S = 366 * 86_400.0


MOST_NAMES = 10_000
"""Patterns of devices in one order."""


class Area(StrEnum):
    """Where an effect acts."""

    COOLING = "cooling"
    CHIP = "chip"
    POWER = "power"
    SENSORS = "sensors"
    REQUESTS = "requests"
    NETWORK = "network"
    POOL = "pool"
    FIRMWARE = "firmware"
    UPDATES = "updates"


def path_part_of(text: str) -> str:
    """Read a name that stands in the path of a URL.

    Raises:
        SettingError: No path can have it for a part.
    """
    if "/" in text or text in {".", ".."}:
        raise SettingError(f"{text!r} cannot be a part of a path")
    return text


def pool_text(text: str) -> str:
    """Read what a pool is to say, as far as either Stratum version can say it.

    Raises:
        SettingError: It is no text, or too long for the texts of v2.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise SettingError(f"{text!a} has a surrogate in its text") from error
    if size > MAX_POOL_TEXT_BYTES:
        raise SettingError(f"{size} bytes are more than {MAX_POOL_TEXT_BYTES}")
    return text


def _names_of(value: object) -> tuple[str, ...]:
    """Read one pattern of names, or a list of them."""
    names = value if isinstance(value, list | tuple) else [value]
    if not 1 <= len(names) <= MOST_NAMES:
        raise SettingError(f"{len(names)} patterns are none of 1..{MOST_NAMES}")
    for name in names:
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_TEXT:
            raise SettingError(
                f"{shown(name)} is no text of 1 to {MAX_TEXT} characters"
            )
    return tuple(names)


Text = Annotated[str, about(length=(1, MAX_TEXT))]
_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_NAMES = {"type": "array", "items": _NAME, "minItems": 1, "maxItems": MOST_NAMES}
Names = Annotated[
    tuple[str, ...],
    about(
        "Pattern of ids, host names, addresses or MAC addresses, or a list of them.",
        read=_names_of,
        schema={"anyOf": [_NAME, _NAMES], "default": "*"},
    ),
]
PoolText = Annotated[str, about(length=(0, MAX_POOL_TEXT_BYTES), check=pool_text)]
Part = Annotated[float, about(within=(0, 1))]
Seconds = Annotated[float, about(within=(0, LONGEST_S), unit="s")]
Fan = Annotated[int, about("Which fan, from 1.", within=(1, 2))]
Chip = Annotated[int, about("Which chip, from 1.", within=(1, 64))]
Domain = Annotated[int, about("Which of its domains, from 1.", within=(1, 4))]


class Whose(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whom a rule meets, and when."""

    takes_null: ClassVar[bool] = True
    id: Annotated[
        Text | None, about("Names the rule; made up when left out.", check=path_part_of)
    ] = None
    device: Names = ("*",)
    group: Annotated[Text, about("Pattern of group names.")] = "*"
    firmware: Annotated[
        Text, about("Pattern of the versions that devices run, as 2.15*.")
    ] = "*"
    share: Annotated[
        Part, about("That part of those that match, always the same ones.")
    ] = 1.0
    probability: Annotated[Part, about("Of a request, or of a device, to be met.")] = (
        1.0
    )
    start_s: Annotated[Seconds, about("Begins so much later, in device time.")] = 0.0
    duration_s: Annotated[Seconds, about("Until removed when left out.")] = math.inf
    every_s: (
        Annotated[
            float,
            about(
                "Begins again so often; needs a duration_s that is shorter.",
                within=(0.001, LONGEST_S),
                unit="s",
            ),
        ]
        | None
    ) = None
    paused: Annotated[
        bool, about("Does nothing while true; its time goes on meanwhile.")
    ] = False

    def __post_init__(self) -> None:
        if self.every_s is not None and not 0 < self.duration_s < self.every_s:
            raise SettingError(
                f"every_s: {self.every_s:g} needs a duration_s between 0 and it"
            )


class Order(Whose, tag_field="effect"):
    """An effect, whom it meets, and when."""

    area: ClassVar[Area]


class OnCooling(Order):
    """An effect on fans and air."""

    area = Area.COOLING


class OnChip(Order):
    """An effect on the chips."""

    area = Area.CHIP


class OnPower(Order):
    """An effect on the supply and the regulator."""

    area = Area.POWER


class OnSensors(Order):
    """An effect on what the board measures."""

    area = Area.SENSORS


class OnRequests(Order):
    """An effect on single requests, which so have routes, methods and chances."""

    area = Area.REQUESTS
    route: Annotated[Text, about("Pattern of paths, of effects on requests.")] = "*"
    method: Annotated[Text, about("Pattern of methods, of effects on requests.")] = "*"
    count: (
        Annotated[
            int,
            about(
                "Ends after so many requests of each device, of effects on requests.",
                within=(1, 1_000_000_000),
            ),
        ]
        | None
    ) = None


class OnNetwork(Order):
    """An effect on the network."""

    area = Area.NETWORK


class OnPool(Order):
    """An effect on the connection to the pool, or on the pool."""

    area = Area.POOL


class OnFirmware(Order):
    """An effect on the firmware's luck."""

    area = Area.FIRMWARE


class OnUpdates(Order):
    """An effect on updates and what they leave."""

    area = Area.UPDATES


class Ambient(OnCooling, tag="ambient"):
    """The air around the device has this temperature."""

    c: Annotated[
        float, about("Temperature of the air.", within=(-40, 100), unit="°C")
    ] = 40.0


class FanBlocked(OnCooling, tag="fan_blocked"):
    """A fan turns but is covered: hardly any air moves."""

    fan: Fan = 1


class FanDead(OnCooling, tag="fan_dead"):
    """A fan stands still."""

    fan: Fan = 1


class ChipDying(OnChip, tag="chip_dying"):
    """A chip needs more voltage than it did: errors rise, hash rate falls."""

    chip: Chip = 1
    v: Annotated[float, about("So much more.", within=(0, 1), unit="V")] = 0.15


class ChipDead(OnChip, tag="chip_dead"):
    """A chip answers no more, nor do those behind it on the chain."""

    chip: Chip = 1


class DomainDead(OnChip, tag="domain_dead"):
    """A part of a chip finds and counts nothing; several rules kill several."""

    chip: Chip = 1
    domain: Domain = 1


class CounterGlitch(OnChip, tag="counter_glitch"):
    """A chip's counter jumps, once: one poll shows a rate that cannot be."""

    chip: Chip = 1
    domain: Domain = 1
    ths: Annotated[
        float, about("So much too high.", within=(0.1, 1e6), unit="TH/s")
    ] = 200.0


class Unstable(OnChip, tag="unstable"):
    """A chip errs and loses nothing by it, or loses hash rate without an error."""

    chip: Chip = 1
    errors_percent: Annotated[
        float,
        about("Of the hash rate, beside its own.", within=(0, 50), unit="%"),
    ] = 3.0
    loss_percent: Annotated[
        float, about("Of the hash rate.", within=(0, 100), unit="%")
    ] = 0.0


class PlugMissing(OnPower, tag="plug_missing"):
    """The barrel plug is out at the next start; a 204 leaves its chip off."""


class RegulatorFault(OnPower, tag="regulator_fault"):
    """The core regulator's output fails; a TPS546 reports an overcurrent."""


class SupplySag(OnPower, tag="supply_sag"):
    """The power supply gives less than it should."""

    v: Annotated[float, about("So much less.", within=(0, 12), unit="V")] = 0.8


class SensorStuck(OnSensors, tag="sensor_stuck"):
    """A temperature sensor shows always the same."""

    sensor: Annotated[Sensor, about("Which sensor.")] = Sensor.CHIP
    c: Annotated[float, about("What it shows.", within=(-40, 200), unit="°C")] = 60.0


class SensorAbsent(OnSensors, tag="sensor_absent"):
    """A sensor answers no more: temperatures -1 (vr 0), power or fan speed 0."""

    sensor: Annotated[Instrument, about("Which sensor.")] = Instrument.CHIP


class TachDead(OnCooling, tag="tach_dead"):
    """A fan turns, but its speed is not told, as one with three wires."""

    fan: Fan = 1


class FanControllerDead(OnCooling, tag="fan_controller_dead"):
    """What turns the fans takes no more orders: they keep their speed and tell none."""


class Latency(OnRequests, tag="latency"):
    """Answers come late."""

    ms: Annotated[float, about("How late.", within=(0, 600000), unit="ms")] = 500.0
    jitter_ms: Annotated[
        float, about("Jitter, more or less.", within=(0, 600000), unit="ms")
    ] = 0.0


class Bandwidth(OnRequests, tag="bandwidth"):
    """Answers come slowly, a few bytes at a time."""

    bytes_per_s: Annotated[
        float, about("Speed.", within=(1, 1000000000.0), unit="bytes/s")
    ] = 1000.0


class Timeout(OnRequests, tag="timeout"):
    """Requests are never answered."""


class Reset(OnRequests, tag="reset"):
    """Connections are reset instead of an answer."""


class TruncatedJson(OnRequests, tag="truncated_json"):
    """Answers break off in the middle of their body."""

    keep: Annotated[float, about("Part that arrives.", within=(0, 1))] = 0.5


class Status(OnRequests, tag="status"):
    """Requests are answered with an HTTP status of an error."""

    code: Annotated[int, about("Status code.", within=(400, 599))] = 500


_PATH = {"type": "string", "minLength": 1, "maxLength": MOST_PATH_TEXT}
_PATHS: Mapping[str, Any] = {
    "anyOf": [_PATH, {"type": "array", "items": _PATH, "maxItems": MOST_PATHS}]
}


class Bend(OnRequests, tag="bend"):
    """Answers are not as the device made them: members, body, headers or status."""

    known: (
        Annotated[
            KnownBreak,
            about("A known break, with its route and method."),
        ]
        | None
    ) = None
    set: Annotated[
        Mapping[str, Any],
        about(
            "Values by members, which may be more than there were.",
            read=read_values,
            schema={"type": "object", "additionalProperties": True},
        ),
    ] = {}
    null: Annotated[
        tuple[str, ...], about("Members that are null.", read=read_paths, schema=_PATHS)
    ] = ()
    remove: Annotated[
        tuple[str, ...],
        about("Members that are left out.", read=read_paths, schema=_PATHS),
    ] = ()
    convert: Annotated[
        Mapping[str, Conversion],
        about(
            "What becomes of values: another kind by each member.",
            read=read_conversions,
            schema={
                "type": "object",
                "additionalProperties": {"type": "string", "enum": [*Conversion]},
            },
        ),
    ] = {}
    body: (
        Annotated[
            str, about("The whole body.", length=(0, MOST_TEXT), check=check_body)
        ]
        | None
    ) = None
    headers: Annotated[
        Mapping[str, str],
        about(
            "Headers; an empty text leaves one out.",
            read=read_headers,
            schema={"type": "object", "additionalProperties": {"type": "string"}},
        ),
    ] = {}
    status: Annotated[int, about("The status.", within=(200, 599))] | None = None
    only_status: (
        Annotated[
            int,
            about("Only of answers that had this status.", within=(200, 599)),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        super().__post_init__()
        changes = (self.set, self.null, self.remove, self.convert, self.headers)
        if self.known is not None:
            known = KNOWN[self.known]
            self.route = known.route if self.route == "*" else self.route
            self.method = known.method if self.method == "*" else self.method
        elif not any(changes) and self.body is None and self.status is None:
            names = "it, set, null, remove, convert, body, headers and status"
            raise SettingError(f"known: bend needs at least one of {names}")


class SocketLimit(OnRequests, tag="socket_limit"):
    """Only so many connections are served, as on a device short of sockets."""

    sockets: Annotated[int, about("Connections.", within=(0, 1000))] = 0


class WifiLoss(OnNetwork, tag="wifi_loss"):
    """No Wi-Fi network is in range: nobody answers, connections time out."""


class Silent(OnNetwork, tag="silent"):
    """Nobody hears or answers clients, connections time out; the device mines on."""


class AwayRefused(OnNetwork, tag="away_refused"):
    """Connections to a device that is away are refused, not left to time out."""


class PoolDown(OnPool, tag="pool_down"):
    """Connections to the pool are cut and refused."""

    which: Annotated[Literal["primary", "fallback", "all"], about("Which pool.")] = (
        "all"
    )


class PoolSilent(OnPool, tag="pool_silent"):
    """The pool is deaf and mute; firmware before 2.13 leaves it after 180 or 600 s."""


class PoolSlow(OnPool, tag="pool_slow"):
    """The device is slow: it sends late and in halves to its pool, or reads slowly."""

    ms: Annotated[
        float, about("What it sends leaves so late.", within=(0, 600_000), unit="ms")
    ] = 500.0
    stall_ms: Annotated[
        float,
        about(
            "The second half of it leaves so much later still.",
            within=(0, 600_000),
            unit="ms",
        ),
    ] = 0.0
    bytes_per_s: Annotated[
        float, about("It reads no faster.", within=(1, 1e9), unit="bytes/s")
    ] = 1e9


class PoolStaleJobs(OnPool, tag="pool_stale_jobs"):
    """Shares are refused as being for old jobs (built-in pool)."""


class PoolReject(OnPool, tag="pool_reject"):
    """Shares are refused (built-in pool)."""

    reason: Annotated[Text, about("The pool's words.", check=pool_text)] = "Rejected"


class PoolDifficulty(OnPool, tag="pool_difficulty"):
    """The pool asks for this difficulty (built-in pool)."""

    difficulty: Annotated[
        float, about("As the miner sees it.", within=(1e-9, 1e18))
    ] = 1000000.0


class PoolReconnect(OnPool, tag="pool_reconnect"):
    """The pool asks to connect anew, once (built-in pool)."""


class PoolLateBlocks(OnPool, tag="pool_late_blocks"):
    """New blocks are told late; until then shares are stale (built-in pool)."""

    late_s: Annotated[
        float, about("How late.", within=(0.001, LONGEST_S), unit="s")
    ] = 30.0


class PoolCertificate(OnPool, tag="pool_certificate"):
    """Who connects by Stratum v2 is shown a bad certificate (built-in pool)."""

    how: Annotated[CertificateFault, about("What is wrong with it.")] = (
        CertificateFault.WRONG_KEY
    )


class BlockFound(OnPool, tag="block_found"):
    """The next share of every device is good enough for a block (built-in pool)."""


class RebootLoop(OnFirmware, tag="reboot_loop"):
    """The firmware crashes again and again."""

    period_s: Annotated[
        float, about("From one crash to the next.", within=(1, 86400), unit="s")
    ] = 30.0


class HeapExhaustion(OnFirmware, tag="heap_exhaustion"):
    """The firmware loses memory until it crashes."""

    bytes_per_s: Annotated[
        float, about("Memory lost.", within=(1, 1000000.0), unit="bytes/s")
    ] = 500.0


class WwwErased(OnUpdates, tag="www_erased"):
    """Half of the www partition is erased: the recovery page takes the page's place."""


class WwwMismatch(OnUpdates, tag="www_mismatch"):
    """The page says that it is of another version, as after half an update."""

    version: Annotated[Text, about("The version that it says.")] = "v2.8.1"


class OtaFailing(OnUpdates, tag="ota_failing"):
    """Updates fail: refused while they are written, or rolled back at boot."""

    how: Annotated[UpdateFault, about("How they fail.")] = UpdateFault.REFUSED


Fault = (
    Ambient
    | FanBlocked
    | FanDead
    | ChipDying
    | ChipDead
    | DomainDead
    | CounterGlitch
    | Unstable
    | PlugMissing
    | RegulatorFault
    | SupplySag
    | SensorStuck
    | SensorAbsent
    | TachDead
    | FanControllerDead
    | Latency
    | Bandwidth
    | Timeout
    | Reset
    | TruncatedJson
    | Status
    | Bend
    | SocketLimit
    | WifiLoss
    | Silent
    | AwayRefused
    | PoolDown
    | PoolSilent
    | PoolSlow
    | PoolStaleJobs
    | PoolReject
    | PoolDifficulty
    | PoolReconnect
    | PoolLateBlocks
    | PoolCertificate
    | BlockFound
    | RebootLoop
    | HeapExhaustion
    | WwwErased
    | WwwMismatch
    | OtaFailing
)
"""All effects there are."""

EFFECTS: Mapping[str, type[Order]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Fault)
}
HTTP_EFFECTS = frozenset(
    name for name, kind in EFFECTS.items() if issubclass(kind, OnRequests)
)
"""Those that meet single requests."""


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "Fan dies": {"effect": "fan_dead"},
    "Fan clogged by dust": {"effect": "fan_blocked"},
    "Overheats in hot air": {"effect": "ambient", "c": 70},
    "Chip dies": {"effect": "chip_dead"},
    "Chip wears out": {"effect": "chip_dying"},
    "Impossible hash rate": {
        "effect": "counter_glitch",
        "duration_s": 10,
        "every_s": 300,
    },
    "Brown-out": {"effect": "supply_sag", "v": 1.0, "duration_s": 30},
    "Sensor fails": {"effect": "sensor_absent"},
    "Slow answers": {"effect": "latency", "ms": 800, "jitter_ms": 400},
    "One request in ten fails": {
        "effect": "status",
        "code": 503,
        "probability": 0.1,
    },
    "Torn answers": {"effect": "truncated_json", "probability": 0.2},
    "Answers of old firmware": {"effect": "bend", "known": "text difficulties"},
    "Answers with null": {"effect": "bend", "known": "null readings"},
    "HTML instead of JSON": {"effect": "bend", "known": "html instead of JSON"},
    "Wi-Fi flaps": {"effect": "wifi_loss", "duration_s": 15, "every_s": 60},
    "Offline, but mining": {"effect": "silent"},
    "Pool goes down": {"effect": "pool_down", "which": "primary"},
    "Pool hangs": {"effect": "pool_silent"},
    "Pool refuses a tenth": {
        "effect": "pool_reject",
        "duration_s": 6,
        "every_s": 60,
    },
    "Reboot loop": {"effect": "reboot_loop"},
    "Memory leak": {"effect": "heap_exhaustion", "bytes_per_s": 2000},
    "Update rolled back": {"effect": "ota_failing", "how": "rolled back"},
    "Block found": {"effect": "block_found", "duration_s": 60},
}
"""Common troubles, by what people call them."""


def parameters(effect: type[Order]) -> tuple[Member, ...]:
    """What an effect itself can be told."""
    of_all = OnRequests.__struct_fields__
    return tuple(one for one in members(effect) if one.field not in of_all)


def help_of(effect: type[Order]) -> str:
    """What happens."""
    return str(effect.__doc__)


def _kind(parameter: Member) -> str:
    """Tell in short what it takes: `names` is a text or a list of texts."""
    schema = parameter.extra.get("schema")
    if schema is not None:
        return "table" if schema.get("type") == "object" else "names"
    return "number" if parameter.limits else "text"


def effects_to_json() -> list[dict[str, Any]]:
    """Return what the control API tells of all effects."""
    return [
        {
            "name": name,
            "area": str(kind.area),
            "of_requests": name in HTTP_EFFECTS,
            "help": help_of(kind),
            "parameters": [
                {
                    "name": one.name,
                    "help": one.help,
                    "kind": _kind(one),
                    "default": list(one.default)
                    if isinstance(one.default, tuple)
                    else one.default,
                    "range": one.limits and list(one.limits),
                    "choices": list(one.choices),
                    "unit": one.unit,
                }
                for one in parameters(kind)
            ],
        }
        for name, kind in EFFECTS.items()
    ]
