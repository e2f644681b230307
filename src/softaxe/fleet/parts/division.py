"""Divides a fleet: every device keeps its seed and address."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from msgspec.structs import replace as replaced

from softaxe.errors import SettingError
from softaxe.fleet.addresses import AddressPlan
from softaxe.fleet.groups import Group, member_options, numbered
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
        why = f" for {devices} devices" if devices < MOST_WORKERS else ""
        raise SettingError(f"--workers: {count} is outside 1..{most}{why}")
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


def in_words(groups: Sequence[Group]) -> str:
    """Name the devices of a part by the first id and the last."""
    if not groups:
        return ""
    first, last = groups[0], groups[-1]
    both = _piece(first, 0, 1), _piece(last, last.count - 1, last.count)
    ids = [one.id for group in both for one in member_options(group, pool_rows={})]
    return " to ".join(dict.fromkeys(ids))


def without(groups: Sequence[Group], number: int) -> tuple[Group, ...]:
    """Return groups without the device that has this number in their fleet."""
    found = []
    for group in groups:
        place = number - group.first_of_fleet
        if 0 <= place < group.count:
            pieces = (0, place), (place + 1, group.count)
            found += [_piece(group, low, high) for low, high in pieces if low < high]
        else:
            found.append(group)
    return tuple(found)


def _cut(groups: Sequence[Group], first: int, after: int) -> Iterator[Group]:
    """Yield what groups have between two places of the whole row of devices."""
    begins = 0
    for group in groups:
        low = max(first, begins) - begins
        high = min(after, begins + group.count) - begins
        begins += group.count
        if low < high:
            yield _piece(group, low, high)


def _piece(group: Group, low: int, high: int) -> Group:
    """Return the devices of a group between two places of it."""
    return replaced(
        group,
        count=high - low,
        first=group.first + low,
        first_of_fleet=group.first_of_fleet + low,
    )
