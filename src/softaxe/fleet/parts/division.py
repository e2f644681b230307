"""Divides a fleet: every device keeps its seed and address."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from msgspec.structs import replace as replaced

from softaxe.errors import SettingError
from softaxe.fleet.addresses import AddressPlan
from softaxe.fleet.groups import Group, numbered
from softaxe.fleet.options import FleetOptions

MOST_WORKERS = 256


def divided(options: FleetOptions, count: int) -> list[FleetOptions]:
    """Divide a fleet into like parts.

    Raises:
        SettingError: There are too few devices or addresses.
    """
    devices = sum(group.count for group in options.groups)
    if not 1 <= count <= min(devices, MOST_WORKERS):
        most = min(devices, MOST_WORKERS)
        raise SettingError(f"--workers: {count} is outside 1..{most}")
    plan = AddressPlan(options.first_host, options.port, options.port_base)
    places = list(islice(plan.places(()), devices))
    groups = numbered(options.groups)
    found = []
    for number in range(count):
        first = devices * number // count
        after = devices * (number + 1) // count
        host, port = places[first]
        found.append(
            replace(
                options,
                groups=tuple(_cut(groups, first, after)),
                host=host,
                port_base=None if options.port_base is None else port,
                control="none",
                pool_port=options.pool_port and options.pool_port + 2 * number,
                is_part=True,
            )
        )
    return found


def _cut(groups: Sequence[Group], first: int, after: int) -> Iterator[Group]:
    """Yield what groups have between two places of the whole row of devices."""
    begins = 0
    for group in groups:
        low = max(first, begins) - begins
        high = min(after, begins + group.count) - begins
        begins += group.count
        if low < high:
            yield replaced(
                group,
                count=high - low,
                first=group.first + low,
                first_of_fleet=group.first_of_fleet + low,
            )
