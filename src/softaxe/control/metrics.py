"""A fleet in Prometheus's text format.

Source of the naming rules: prometheus.io/docs/practices/naming.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from softaxe.device.device import Device
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.turns import in_turns

LABELS = ("device", "group", "board")
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


@dataclass(frozen=True, slots=True)
class _Quantity:
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


Reading = tuple[tuple[str, str, str], list[float]]
"""A device's labels, and its value for each of `QUANTITIES`."""


class _Collector(Collector):
    """Holds everything itself: it is asked in a thread, while devices go on."""

    def __init__(self, readings: Sequence[Reading], totals: Sequence[Metric]) -> None:
        self._readings = readings
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        for number, quantity in enumerate(QUANTITIES):
            kind = CounterMetricFamily if quantity.is_counter else GaugeMetricFamily
            metric = kind(quantity.name, quantity.help, labels=LABELS)
            for labels, values in self._readings:
                metric.add_metric(labels, values[number])
            yield metric
        yield from self._totals


def _totals(fleet: Fleet) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "softaxe_devices", "Devices of the fleet.", value=len(fleet.members)
    )
    yield GaugeMetricFamily(
        "softaxe_clock_seconds", "Device time.", value=fleet.clock.now
    )
    yield GaugeMetricFamily(
        "softaxe_clock_speed",
        "Device seconds per second; 0 while paused.",
        value=0.0 if fleet.clock.is_paused else fleet.clock.speed,
    )
    yield CounterMetricFamily(
        "softaxe_http_requests",
        "Requests the devices were sent.",
        value=fleet.journal.last,
    )
    if fleet.pool_server is not None:
        totals = fleet.pool_server.pool.totals
        shares = CounterMetricFamily(
            "softaxe_pool_shares",
            "Shares the built-in pool has judged.",
            labels=("result",),
        )
        shares.add_metric(("accepted",), totals.accepted)
        shares.add_metric(("rejected",), sum(totals.rejected.values()))
        yield shares
        yield GaugeMetricFamily(
            "softaxe_pool_connections",
            "Miners connected to the built-in pool.",
            value=fleet.pool_server.connection_count,
        )


async def metrics_text(fleet: Fleet) -> bytes:
    """Return all metrics."""
    readings: list[Reading] = []
    async for member in in_turns(fleet.members.values()):
        device = member.device
        labels = (member.id, member.group, device.board.version)
        values = [float(quantity.read(device)) for quantity in QUANTITIES]
        readings.append((labels, values))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(readings, list(_totals(fleet))))
    # In a thread, as the text of a thousand devices takes a tenth of a second.
    return await asyncio.to_thread(generate_latest, registry)
