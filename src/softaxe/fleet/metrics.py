"""A fleet in Prometheus's text format.

Each part makes the text of its own devices. Their lines are disjoint, so the texts of
several parts are put together as they are, metric by metric; only totals are added up.
Source of the naming rules: prometheus.io/docs/practices/naming.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from msgspec import Struct
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from softaxe.device.device import Device
from softaxe.fleet.clock import Clock
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.miners import pool_to_json
from softaxe.fleet.parts import merge
from softaxe.fleet.turns import in_turns
from softaxe.serve.member import Member
from softaxe.serve.share_load import EDGES_S

LABELS = ("device", "group", "board")
BUCKET_BINS = 4
"""Bins that are one bucket: five of them are a decade."""
INFO = "softaxe_device_info"
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


class _Quantity(Struct, frozen=True):
    name: str
    help: str
    read: Callable[[Device], float]
    is_counter: bool = False


QUANTITIES = (
    _Quantity(
        "softaxe_device_up",
        "1 while the device answers on its network.",
        lambda d: d.is_on_network,
    ),
    _Quantity(
        "softaxe_hashrate_hashes_per_second",
        "Hash rate as the device measures it.",
        lambda d: d.hashrate.current_hs,
    ),
    _Quantity(
        "softaxe_power_watts",
        "Power as the device reports it.",
        lambda d: d.readings.power_w,
    ),
    _Quantity(
        "softaxe_chip_temperature_celsius",
        "Chip temperature; -1 when it cannot be read.",
        lambda d: d.readings.temp_c,
    ),
    _Quantity(
        "softaxe_regulator_temperature_celsius",
        "Voltage regulator temperature; 0 where the board has no sensor.",
        lambda d: d.readings.vr_temp_c,
    ),
    _Quantity("softaxe_fan_rpm", "Speed of the fan.", lambda d: d.readings.fan_rpm),
    _Quantity(
        "softaxe_error_ratio",
        "Errored part of the hash rate.",
        lambda d: d.error_percentage / 100,
    ),
    _Quantity(
        "softaxe_uptime_seconds", "Device time since its boot.", lambda d: d.uptime_s
    ),
    _Quantity(
        "softaxe_best_difficulty",
        "Best difficulty ever.",
        lambda d: d.best_difficulty,
    ),
    _Quantity(
        "softaxe_fallback_pool_in_use",
        "1 while the fallback pool is in use.",
        lambda d: d.is_using_fallback,
    ),
    _Quantity(
        "softaxe_shares_accepted",
        "Shares accepted since boot.",
        lambda d: d.shares.accepted,
        is_counter=True,
    ),
    _Quantity(
        "softaxe_shares_rejected",
        "Shares rejected since boot.",
        lambda d: d.shares.rejected,
        is_counter=True,
    ),
)
"""One row per metric of a device."""


Reading = tuple[tuple[str, str, str], str, list[float]]
"""A device's labels, its firmware, and its value for each of `QUANTITIES`."""
Totals = Mapping[str, Any]
_NEXT = b"\n# HELP "
"""Between two metrics, and nowhere else: a line feed in a label is written as \\n."""


class _Devices(Collector):
    """Holds everything itself: it is asked in a thread, while devices go on."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        # An update would otherwise end every series of a device and begin new ones.
        info = GaugeMetricFamily(
            INFO, "Always 1; what a device runs.", labels=(*LABELS, "firmware")
        )
        for labels, firmware, _ in self._readings:
            info.add_metric((*labels, firmware), 1)
        yield info
        for number, quantity in enumerate(QUANTITIES):
            kind = CounterMetricFamily if quantity.is_counter else GaugeMetricFamily
            metric = kind(quantity.name, quantity.help, labels=LABELS)
            for labels, _, values in self._readings:
                metric.add_metric(labels, values[number])
            yield metric


class _Totals(Collector):
    def __init__(self, totals: Sequence[Totals], clock: Clock) -> None:
        self._totals = totals
        self._clock = clock

    def _sum(self, name: str) -> float:
        return sum(float(one[name]) for one in self._totals)

    def collect(self) -> Iterator[Metric]:
        clock = self._clock
        yield GaugeMetricFamily(
            "softaxe_devices", "Devices of the fleet.", value=self._sum("devices")
        )
        yield GaugeMetricFamily(
            "softaxe_clock_seconds", "Device time.", value=clock.now
        )
        yield GaugeMetricFamily(
            "softaxe_clock_speed",
            "Device seconds per second; 0 while paused.",
            value=0.0 if clock.is_paused else clock.speed,
        )
        yield CounterMetricFamily(
            "softaxe_http_requests",
            "Requests the devices were sent.",
            value=self._sum("requests"),
        )
        pools = [one["pool"] for one in self._totals if one["pool"] is not None]
        if pools:
            yield from _pool_metrics(merge.pool(pools))


def _pool_metrics(pool: Mapping[str, Any]) -> Iterator[Metric]:
    shares = CounterMetricFamily(
        "softaxe_pool_shares",
        "Shares the built-in pool has judged.",
        labels=("protocol", "result", "reason"),
    )
    connections = GaugeMetricFamily(
        "softaxe_pool_connections",
        "Miners connected to the built-in pool.",
        labels=("protocol",),
    )
    difficulty = CounterMetricFamily(
        "softaxe_pool_accepted_difficulty",
        "Sum of what was asked of accepted shares; 2^32 hashes for each.",
        labels=("protocol",),
    )
    blocks = CounterMetricFamily(
        "softaxe_pool_blocks", "Blocks its miners have found.", labels=("protocol",)
    )
    for protocol, found in pool["protocols"].items():
        connections.add_metric((protocol,), found["connections"])
        shares.add_metric((protocol, "accepted", ""), found["sharesAccepted"])
        for reason, count in found["sharesRejected"].items():
            shares.add_metric((protocol, "rejected", reason), count)
        difficulty.add_metric((protocol,), found["acceptedDifficulty"])
        blocks.add_metric((protocol,), found["blocksFound"])
    yield from (connections, shares, difficulty, blocks)
    yield GaugeMetricFamily(
        "softaxe_pool_network_difficulty",
        "Difficulty of a block.",
        value=pool["networkDifficulty"],
    )
    yield GaugeMetricFamily(
        "softaxe_pool_height", "Of the block being mined.", value=pool["height"]
    )


class _Load(Collector):
    def __init__(self, load: Mapping[str, Any]) -> None:
        self._load = load

    def collect(self) -> Iterator[Metric]:
        load = self._load
        for name, help_text in (
            ("submitted", "Shares that have left for a pool."),
            ("connections", "Connections to pools that stood, to mine on."),
            ("reconnects", "Of those the ones of devices that had had one before."),
        ):
            yield CounterMetricFamily(
                f"softaxe_load_{name}", help_text, value=load[name]
            )
        yield GaugeMetricFamily(
            "softaxe_load_waiting", "Shares under way.", value=load["waiting"]
        )
        replies = CounterMetricFamily(
            "softaxe_load_replies",
            "Shares that pools have answered.",
            labels=("result", "reason"),
        )
        replies.add_metric(("accepted", ""), load["accepted"])
        for reason, count in load["rejected"].items():
            replies.add_metric(("rejected", reason), count)
        yield replies
        yield HistogramMetricFamily(
            "softaxe_load_reply_seconds",
            "Real seconds from a share's leaving to its answer.",
            buckets=_buckets(load["bins"]),
            sum_value=load["sum_s"],
        )


def _buckets(bins: Sequence[int]) -> list[tuple[str, float]]:
    """Return some edges, and how many answers came within them."""
    within = list(accumulate(bins))
    chosen = range(0, len(EDGES_S), BUCKET_BINS)
    rows = [(f"{EDGES_S[place]:.4g}", float(within[place])) for place in chosen]
    return [*rows, ("+Inf", float(within[-1]))]


async def device_metrics(members: Iterable[Member]) -> bytes:
    """Return the text of all devices."""
    readings: list[Reading] = []
    async for member in in_turns(members):
        device = member.device
        labels = (member.id, member.group, device.board.version)
        values = [float(quantity.read(device)) for quantity in QUANTITIES]
        readings.append((labels, member.firmware, values))
    # In a thread, as the text of a thousand devices takes a tenth of a second.
    return await asyncio.to_thread(_text, _Devices(readings))


def fleet_metrics(fleet: Fleet) -> Totals:
    """Return what is counted for all devices together, but for the time."""
    server = fleet.pool_server
    return {
        "devices": len(fleet.members),
        "requests": fleet.journal.last,
        "pool": None if server is None else pool_to_json(server),
    }


def metrics_text(
    devices: Sequence[bytes],
    totals: Sequence[Totals],
    clock: Clock,
    load: Mapping[str, Any],
) -> bytes:
    """Return all metrics.

    Args:
        devices: The text of each part's devices, as `device_metrics` makes it.
        totals: Of each part.
        clock: Of all of them.
        load: On pools, of all of them.
    """
    return joined(devices) + _text(_Totals(totals, clock)) + _text(_Load(load))


def joined(texts: Sequence[bytes]) -> bytes:
    """Put texts with the same metrics together, without a look at their lines."""
    if len(texts) == 1:
        return texts[0]
    metrics = zip(*(text[:-1].split(_NEXT) for text in texts), strict=True)
    return _NEXT.join(map(_one_metric, metrics)) + b"\n"


def _one_metric(pieces: Sequence[bytes]) -> bytes:
    first, *others = pieces
    # A line each with its help and its type comes before its values.
    values = [lines for one in others for lines in one.split(b"\n", 2)[2:]]
    return b"\n".join([first, *values])


def _text(collector: Collector) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)
