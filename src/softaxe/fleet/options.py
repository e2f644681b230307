"""What a fleet is to be: the options of a run, and the files that say them."""

from collections.abc import (
    Callable,
    Collection,
    Mapping,
)
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from softaxe.device.identity import MAX_SEED
from softaxe.errors import SettingError, read_as
from softaxe.faults import FaultRules
from softaxe.fleet.addresses import PORTS
from softaxe.fleet.clock import (
    SPEEDS,
    number_of,
)
from softaxe.fleet.groups import (
    Group,
    member_options,
    read_groups,
    read_toml,
    seeded,
    table_of,
    text_of,
    whole_of,
)
from softaxe.fleet.search_thread import (
    CPU_PERCENT,
)
from softaxe.stratum.pool import (
    START_TIME,
)

ONE_HOST = "127.0.0.1"
MANY_HOST = "127.0.0.2"


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """What `softaxe run` was asked for; the CLI documents each."""

    state: Path
    groups: tuple[Group, ...] = (Group(),)
    host: str | None = None
    """Of the first device; None for 127.0.0.1, or 127.0.0.2 when there are many."""
    port: int = 8080
    port_base: int | None = None
    """Give all devices one address, and ports from here on."""
    pool_port: int = 3333
    """Of the built-in pool, or the first free one after it; 0 for any."""
    has_pool: bool = False
    """Start the built-in pool even when no group needs it."""
    control: str = "none"
    """Address of the control API, `host:port`."""
    seed: int = 0
    speed: float = 1.0
    is_paused: bool = False
    """Time stands still from the beginning."""
    cpu_percent: int = 50
    start_time: int = START_TIME
    """Unix seconds of the built-in pool at the beginning; part of every job, and so of
    what a seed brings."""
    faults: tuple[Mapping[str, Any], ...] = ()
    """Rules from the beginning on."""
    is_part: bool = False
    """The fleet is a part of one that several processes share."""

    @property
    def first_host(self) -> str:
        """Address of the first device."""
        if self.host is not None:
            return self.host
        is_many = sum(group.count for group in self.groups) > 1
        is_at_one = self.port_base is not None or self.port == 0
        return MANY_HOST if is_many and not is_at_one else ONE_HOST

    def check(self) -> None:
        """Look for what cannot be before anything is started.

        Raises:
            SettingError: A value is not allowed; says which.
        """
        for name, read in FILE_KEYS.items():
            if getattr(self, name) is not None:
                read_as(name, read, getattr(self, name))
        rules = FaultRules()
        for number, rule in enumerate(self.faults, 1):
            where = f"fault {number}"
            read_as(where, lambda rule: rules.add(table_of(rule), 0.0), rule)
        for group in seeded(self.groups, first=self.seed):
            one_of_each = replace(group, count=min(group.count, len(group.boards)))
            for _ in member_options(one_of_each, pool_rows={}):
                pass


def control_address(text: str) -> tuple[str, int] | None:
    """Read `host:port`, or `none`.

    Raises:
        SettingError: It is neither.
    """
    if text == "none":
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingError(f"{text!r} is neither HOST:PORT nor none")
    return host.strip("[]"), int(port)


def _control(value: object) -> str:
    text = text_of(value)
    control_address(text)
    return text


FILE_KEYS: Mapping[str, Callable[[object], object]] = {
    "seed": lambda v: whole_of(v, 0, MAX_SEED - 1),
    "speed": lambda v: number_of(v, *SPEEDS),
    "host": text_of,
    "port": lambda v: whole_of(v, *PORTS),
    "port_base": lambda v: whole_of(v, *PORTS),
    "control": _control,
    "cpu_percent": lambda v: whole_of(v, *CPU_PERCENT),
}
"""What a fleet file says beside its groups and faults, with its readers."""


def read_fleet_file(
    path: Path, options: FleetOptions, given: Collection[str] = ()
) -> FleetOptions:
    """Read a fleet file; what was given otherwise, by name, is kept.

    Raises:
        SettingError: It cannot be read, or a value is not allowed; says which.
    """
    data = read_toml(path)
    groups = read_groups(data, str(path))
    faults = data.pop("fault", [])
    if not isinstance(faults, list):
        raise SettingError(f"{path}: fault: {faults!r} is no list of [[fault]] tables")
    values: dict[str, Any] = {"groups": groups, "faults": tuple(faults)}
    for name, value in data.items():
        if name not in FILE_KEYS:
            known = ", ".join([*FILE_KEYS, "group", "fault"])
            raise SettingError(f"{path}: {name} is none of {known}")
        read = read_as(f"{path}: {name}", FILE_KEYS[name], value)
        if name not in given:
            values[name] = read
    described = replace(options, **values)
    try:
        described.check()
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error
    return described
