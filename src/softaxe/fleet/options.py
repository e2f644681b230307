"""What a fleet is to be: the options of a run, and the files that say them."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from softaxe.api.access import Networks
from softaxe.description import about, given, read_member, shown
from softaxe.device.body import Body
from softaxe.effects import Fault
from softaxe.errors import SettingError, read_as
from softaxe.faults import FaultRules
from softaxe.fleet.addresses import PORTS
from softaxe.fleet.clock import SPEEDS
from softaxe.fleet.groups import (
    Group,
    Groups,
    Seed,
    check_twins,
    groups_of,
    member_options,
    numbered,
    one_of_each,
    read_toml,
)
from softaxe.fleet.search_thread import CPU_PERCENT, NICENESS
from softaxe.serve.addresses import listens_everywhere
from softaxe.stratum.dialects import (
    DIALECTS,
    MOST_VERSION,
    SHARE_VERSIONS,
    check_dialect,
    check_share_version,
)
from softaxe.stratum.pool import (
    SCALED_NETWORK_DIFFICULTY,
    SCALED_SMALLEST_DIFFICULTY,
    SCALED_START_DIFFICULTY,
    SCALED_UNIT,
    START_TIME,
)

if TYPE_CHECKING:  # it is loaded with its library when somebody wants TLS
    from softaxe.fleet.certificates import Certificate

ONE_HOST = "127.0.0.1"
MANY_HOST = "127.0.0.2"


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """What the built-in pool is like, and where it is for miners from outside."""

    start_difficulty: float | None = None
    """Of a miner that suggests none; None for the dialect's, or the usual one."""
    usual_difficulty: float = SCALED_START_DIFFICULTY
    """To begin with where the dialect says nothing."""
    smallest_difficulty: float = SCALED_SMALLEST_DIFFICULTY
    """To which a miner's silence lowers it."""
    difficulty_unit: float = SCALED_UNIT
    """What a dialect's difficulties are multiples of."""
    network_difficulty: float = SCALED_NETWORK_DIFFICULTY
    """Of a block."""
    block_interval_s: float = 600.0
    """Mean time between blocks found by others."""
    place: tuple[str, int] | None = None
    """Address and port for other people's miners; 0 for any port."""
    certificate: "Certificate | None" = None
    """With which TLS is spoken there."""
    has_v2: bool = False
    """Stratum v2 is spoken on the port after it."""


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
    advertise: str | None = None
    """Name or address by which others find the devices; the route's own when they
    listen on all addresses of this machine."""
    allow_network: tuple[str, ...] = ()
    """Networks beside private ones whose clients may use devices and control API."""
    pool_host: str = ONE_HOST
    """Where the built-in pool listens."""
    pool_port: int = 3333
    """Of the built-in pool, or the first free one after it; 0 for any."""
    pool_dialect: str = "softaxe"
    """How it speaks Stratum v1."""
    pool_job_version: int | None = None
    """Block version of its jobs; the dialect's when left out."""
    pool_share_version: str | None = None
    """How it reads the version bits of a share; the dialect's when left out."""
    has_pool: bool = False
    """Start the built-in pool even when no group needs it."""
    pool: PoolOptions = PoolOptions()
    control: str = "none"
    """Address of the control API, `host:port`."""
    allow_host: tuple[str, ...] = ()
    """Names under which the control API may be used."""
    seed: int | None = 0
    """Of the first device, and of chance; None for the state directory's own."""
    speed: float = 1.0
    is_paused: bool = False
    """Time stands still from the beginning."""
    cpu_percent: int = 50
    cpu_niceness: int = NICENESS[1]
    start_time: int = START_TIME
    """Unix seconds of the built-in pool at the beginning; part of every job, and so of
    what a seed brings."""
    faults: tuple[Mapping[str, Any], ...] = ()
    """Rules from the beginning on."""
    body: Body | None = None
    """Of the only device, whose board is there."""
    control_url: str = ""
    """Where the control API was opened, for those who look from a device's page."""
    is_part: bool = False
    """The fleet is a part of one that several processes share."""

    @property
    def first_host(self) -> str:
        """Address of the first device."""
        if self.host is not None:
            return self.host
        return MANY_HOST if self.has_many_addresses else ONE_HOST

    @property
    def has_many_addresses(self) -> bool:
        """Every device has an address of its own."""
        is_many = sum(group.count for group in self.groups) > 1
        return is_many and self.port_base is None and self.port != 0

    @property
    def networks(self) -> Networks:
        """The allowed networks."""
        return tuple(map(ip_network, self.allow_network))

    @property
    def control_names(self) -> tuple[str, ...]:
        """Names under which the control API may be used; the advertised one is."""
        advertised = () if self.advertise is None else (self.advertise,)
        return (*self.allow_host, *advertised)

    def check(self, spelt: Callable[[str], str] = str) -> None:
        """Look for what cannot be before anything is started.

        Args:
            spelt: Gives the name by which people know a key of a fleet file.

        Raises:
            SettingError: A value is not allowed; says which.
        """
        for name in RUN_KEYS:
            if getattr(self, name) is not None:
                read_member(FleetFile, name, getattr(self, name), spelt(name))
        if self.has_many_addresses:
            base = f"give them ports with {spelt('port_base')}"
            if self.advertise is not None:
                raise SettingError(
                    f"{spelt('advertise')}: {self.advertise} cannot be the one address "
                    f"of devices that have their own; {base}"
                )
            if listens_everywhere(self.first_host):
                raise SettingError(
                    f"{spelt('host')}: {self.host} is all addresses of this machine, "
                    f"and many devices cannot share its port; {base}"
                )
        rules = FaultRules()
        for number, rule in enumerate(self.faults, 1):
            read_as(f"fault {number}", lambda rule: rules.add(rule, 0.0), rule)
        groups, seed = numbered(self.groups), self.seed or 0
        known = [g for g in groups if g.seed is not None or self.seed is not None]
        check_twins(known, seed)
        for group in groups:
            for _ in member_options(one_of_each(group), pool_rows={}, seed=seed):
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


def _host_names(value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise SettingError(f"{shown(value)} is neither a name nor a list of names")
    for name in names:
        if not isinstance(name, str) or not _HOST_NAME.fullmatch(name):
            raise SettingError(
                f"{shown(name)} is no host name; without scheme and port, as "
                "fleet.example, or .example for all names below it"
            )
    return tuple(names)


def _name_or_address(text: str) -> None:
    try:
        is_everywhere = ip_address(text).is_unspecified
    except ValueError:
        is_everywhere = _HOST_NAME.fullmatch(text) is None or text[0] == "."
    if is_everywhere:
        raise SettingError(
            f"{shown(text)} is neither a host name nor an address that others reach; "
            "without scheme and port"
        )


def _check_pool_host(text: str) -> None:
    if listens_everywhere(text) and ":" in text:
        raise SettingError(
            f"{text} is of IPv6 alone, which not every firmware speaks; 0.0.0.0 is all "
            "addresses of this machine"
        )


def _network_texts(value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        raise SettingError(f"{shown(value)} is neither a network nor a list of them")
    for text in texts:
        try:
            ip_network(text if isinstance(text, str) else "")
        except ValueError as error:
            raise SettingError(
                f"{shown(text)} is no network, as 100.64.0.0/10 or fd00::/8: {error}"
            ) from error
    return tuple(texts)


_ONE_OR_MORE = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
}
_HOST_NAME = re.compile(r"\.?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,9}")
"""With a dot before it, all names below it."""
Host = Annotated[str, about(length=(1, 256))]
Port = Annotated[int, about(within=PORTS)]
Version = Annotated[int, about(within=(0, MOST_VERSION))]


class FleetFile(Groups, frozen=True, kw_only=True):
    """A fleet: groups of devices, what holds for all of them, and what goes wrong."""

    seed: Annotated[
        Seed | None,
        about(
            "Of the first device, and of chance; a new one, kept in the state "
            "directory, when left out."
        ),
    ] = None
    speed: Annotated[float, about("Device seconds per real second.", within=SPEEDS)] = (
        1.0
    )
    host: Annotated[
        Host | None,
        about(
            "Address of the first device; 127.0.0.1 when left out, or "
            "127.0.0.2 for many."
        ),
    ] = None
    port: Annotated[Port, about("Of all devices; 0 gives each a free one.")] = 8080
    port_base: Annotated[
        Port | None,
        about(
            "Give all devices one address, and ports from here on, or free ones for 0."
        ),
    ] = None
    advertise: Annotated[
        Host | None,
        about(
            "Name or address by which others find devices and control port; when left "
            "out and they listen on 0.0.0.0, the address of this machine's route.",
            check=_name_or_address,
        ),
    ] = None
    allow_network: Annotated[
        tuple[str, ...],
        about(
            "Networks beside private ones, as 100.64.0.0/10, whose clients may use "
            "the devices and the control port.",
            read=_network_texts,
            schema=_ONE_OR_MORE,
        ),
    ] = ()
    pool_host: Annotated[
        Host,
        about("Address at which the built-in pool listens.", check=_check_pool_host),
    ] = ONE_HOST
    control: Annotated[
        str,
        about(
            "Address of the control API as HOST:PORT, or none.", check=control_address
        ),
    ] = "127.0.0.1:8100"
    allow_host: Annotated[
        tuple[str, ...],
        about(
            "Names under which the control API may be used, beside addresses and "
            "localhost; .example is all names below it.",
            read=_host_names,
            schema=_ONE_OR_MORE,
        ),
    ] = ()
    cpu_percent: Annotated[
        int,
        about(
            "CPU for real work and share_rate, at most; 100 is one core.",
            within=CPU_PERCENT,
        ),
    ] = 50
    cpu_niceness: Annotated[
        int,
        about(
            "How far real work lets others go first: 19 takes what they leave, 0 a "
            "fair share.",
            within=NICENESS,
        ),
    ] = NICENESS[1]
    pool_dialect: Annotated[
        str,
        about(
            "Pool that the built-in one speaks like, in Stratum v1.",
            check=check_dialect,
            told={"enum": list(DIALECTS)},
        ),
    ] = "softaxe"
    pool_job_version: Annotated[
        Version | None,
        about(
            "Block version of its jobs, such as 0x30000000; the dialect's when "
            "left out."
        ),
    ] = None
    pool_share_version: Annotated[
        str | None,
        about(
            "How it puts the version bits of a share into the job's version; the "
            "dialect's way when left out.",
            check=check_share_version,
            told={"enum": list(SHARE_VERSIONS)},
        ),
    ] = None
    fault: Annotated[
        tuple[Annotated[dict[str, Any], about(kept=Fault)], ...],
        about("What goes wrong from the beginning on."),
    ] = ()


RUN_KEYS = tuple(
    name
    for name in FleetFile.__struct_fields__
    if name not in {*Groups.__struct_fields__, "fault"}
)
"""What a fleet file says beside its groups and faults."""


def read_fleet_file(
    path: Path, options: FleetOptions, names: Collection[str] = ()
) -> FleetOptions:
    """Read a fleet file; what was given otherwise, by `names`, is kept.

    Raises:
        SettingError: It cannot be read, or a value is not allowed; says which.
    """
    found = read_as(str(path), lambda v: given(FleetFile, v), read_toml(path))
    values = {key: found[key] for key in RUN_KEYS if key in found and key not in names}
    described = replace(
        options,
        groups=groups_of(found, str(path)),
        faults=found.get("fault", ()),
        **values,
    )
    try:
        described.check()
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error
    return described
