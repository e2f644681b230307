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

from softaxe.description import Member, about, members
from softaxe.device.faults import Instrument, Sensor, UpdateFault
from softaxe.errors import SettingError
from softaxe.stratum.pool import CertificateFault

MAX_TEXT = 200
MAX_POOL_TEXT_BYTES = 255
"""Of a text in Stratum v2 (STR0_255), in UTF-8."""
LONGEST_S = 366 * 86_400.0


class Layer(StrEnum):
    """Where an effect acts."""

    BODY = "body"
    NETWORK = "network"
    POOL = "pool"
    FIRMWARE = "firmware"


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


Text = Annotated[str, about(length=(1, MAX_TEXT))]
PoolText = Annotated[str, about(length=(0, MAX_POOL_TEXT_BYTES), check=pool_text)]
Part = Annotated[float, about(within=(0, 1))]
Seconds = Annotated[float, about(within=(0, LONGEST_S), unit="s")]
Fan = Annotated[int, about("Which fan, from 1.", within=(1, 2))]
Chip = Annotated[int, about("Which chip, from 1.", within=(1, 64))]
Domain = Annotated[int, about("Which of its domains, from 1.", within=(1, 4))]


class Order(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="effect"):
    """Whom an effect meets, and when."""

    takes_null: ClassVar[bool] = True
    layer: ClassVar[Layer]
    id: Annotated[
        Text | None, about("Names the rule; made up when left out.", check=path_part_of)
    ] = None
    device: Annotated[
        Text, about("Pattern of ids, host names, addresses or MAC addresses.")
    ] = "*"
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


class OnBody(Order):
    """An effect on the metal."""

    layer = Layer.BODY


class OnNetwork(Order):
    """An effect on the network."""

    layer = Layer.NETWORK


class OnRequests(OnNetwork):
    """An effect on single requests, which so have routes, methods and chances."""

    route: Annotated[Text, about("Pattern of paths, of effects on requests.")] = "*"
    method: Annotated[Text, about("Pattern of methods, of effects on requests.")] = "*"


class OnPool(Order):
    """An effect on the connection to the pool, or on the pool."""

    layer = Layer.POOL


class OnFirmware(Order):
    """An effect on the firmware's luck."""

    layer = Layer.FIRMWARE


class Ambient(OnBody, tag="ambient"):
    """The air around the device has this temperature."""

    c: Annotated[float, about("Air.", within=(-40, 100), unit="°C")] = 40.0


class FanBlocked(OnBody, tag="fan_blocked"):
    """A fan turns but is covered: hardly any air moves."""

    fan: Fan = 1


class FanDead(OnBody, tag="fan_dead"):
    """A fan stands still."""

    fan: Fan = 1


class ChipDying(OnBody, tag="chip_dying"):
    """A chip needs more voltage than it did: errors rise, hash rate falls."""

    chip: Chip = 1
    v: Annotated[float, about("How much more.", within=(0, 1), unit="V")] = 0.15


class ChipDead(OnBody, tag="chip_dead"):
    """A chip answers no more, nor do those behind it on the chain."""

    chip: Chip = 1


class DomainDead(OnBody, tag="domain_dead"):
    """A part of a chip finds and counts nothing; several rules kill several."""

    chip: Chip = 1
    domain: Domain = 1


class CounterGlitch(OnBody, tag="counter_glitch"):
    """A chip's counter jumps, once: one poll shows a rate that cannot be."""

    chip: Chip = 1
    domain: Domain = 1
    ths: Annotated[
        float, about("So much too high.", within=(0.1, 1e6), unit="TH/s")
    ] = 200.0


class Unstable(OnBody, tag="unstable"):
    """A chip errs and loses nothing by it, or loses hash rate without an error."""

    chip: Chip = 1
    errors_percent: Annotated[
        float,
        about("Of the hash rate, beside its own.", within=(0, 50), unit="%"),
    ] = 3.0
    loss_percent: Annotated[
        float, about("Of the hash rate.", within=(0, 100), unit="%")
    ] = 0.0


class PlugMissing(OnBody, tag="plug_missing"):
    """The barrel plug is out at the next start; a 204 leaves its chip off."""


class RegulatorFault(OnBody, tag="regulator_fault"):
    """The core regulator's output fails; a TPS546 reports an overcurrent."""


class SupplySag(OnBody, tag="supply_sag"):
    """The power supply gives less than it should."""

    v: Annotated[float, about("How much less.", within=(0, 12), unit="V")] = 0.8


class SensorStuck(OnBody, tag="sensor_stuck"):
    """A temperature sensor shows always the same."""

    sensor: Annotated[Sensor, about("Which.")] = Sensor.CHIP
    c: Annotated[float, about("What it shows.", within=(-40, 200), unit="°C")] = 60.0


class SensorAbsent(OnBody, tag="sensor_absent"):
    """A sensor answers no more: temperatures -1 (vr 0), power or fan speed 0."""

    sensor: Annotated[Instrument, about("Which.")] = Instrument.CHIP


class TachDead(OnBody, tag="tach_dead"):
    """A fan turns, but its speed is not told, as one with three wires."""

    fan: Fan = 1


class FanControllerDead(OnBody, tag="fan_controller_dead"):
    """What turns the fans takes no more orders: they keep their speed and tell none."""


class Latency(OnRequests, tag="latency"):
    """Answers come late."""

    ms: Annotated[float, about("How late.", within=(0, 600000), unit="ms")] = 500.0
    jitter_ms: Annotated[
        float, about("More or less.", within=(0, 600000), unit="ms")
    ] = 0.0


class Bandwidth(OnRequests, tag="bandwidth"):
    """Answers trickle."""

    bytes_per_s: Annotated[
        float, about("How fast.", within=(1, 1000000000.0), unit="bytes/s")
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

    code: Annotated[int, about("Which.", within=(400, 599))] = 500


class SocketLimit(OnRequests, tag="socket_limit"):
    """Only so many connections are served, as on a device short of sockets."""

    sockets: Annotated[int, about("How many.", within=(0, 1000))] = 0


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

    reason: Annotated[Text, about("With these words.", check=pool_text)] = "Rejected"


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

    period_s: Annotated[float, about("After so long.", within=(1, 86400), unit="s")] = (
        30.0
    )


class HeapExhaustion(OnFirmware, tag="heap_exhaustion"):
    """The firmware loses memory until it crashes."""

    bytes_per_s: Annotated[
        float, about("How fast.", within=(1, 1000000.0), unit="bytes/s")
    ] = 500.0


class WwwErased(OnFirmware, tag="www_erased"):
    """Half of the www partition is erased: the recovery page takes the page's place."""


class WwwMismatch(OnFirmware, tag="www_mismatch"):
    """The page says that it is of another version, as after half an update."""

    version: Annotated[Text, about("What it says.")] = "v2.8.1"


class OtaFailing(OnFirmware, tag="ota_failing"):
    """Updates fail: refused while they are written, or rolled back at boot."""

    how: Annotated[UpdateFault, about("Which.")] = UpdateFault.REFUSED


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


def parameters(effect: type[Order]) -> tuple[Member, ...]:
    """What an effect itself can be told."""
    of_all = OnRequests.__struct_fields__
    return tuple(one for one in members(effect) if one.field not in of_all)


def help_of(effect: type[Order]) -> str:
    """What happens."""
    return str(effect.__doc__)


def effects_to_json() -> list[dict[str, Any]]:
    """Return what the control API tells of all effects."""
    return [
        {
            "name": name,
            "layer": str(kind.layer),
            "of_requests": name in HTTP_EFFECTS,
            "help": help_of(kind),
            "parameters": [
                {
                    "name": one.name,
                    "help": one.help,
                    "default": one.default,
                    "range": one.limits and list(one.limits),
                    "choices": list(one.choices),
                    "unit": one.unit,
                }
                for one in parameters(kind)
            ],
        }
        for name, kind in EFFECTS.items()
    ]
