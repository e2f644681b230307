"""Groups of like devices: what a fleet file, the command line and the API describe.

    seed = 1
    [[group]]
    name = "gammas"
    count = 20
    boards = ["601", "602"]         # in turn
    ambient = 24.0
    settings = { frequency = 500, hostname = "gamma-{n}" }
    spread = { ambient = 6.0, frequency = 50 }

`settings` has the names of PATCH /api/system; `{n}` in a text is the device's number in
its group, from 1. `spread` makes like devices unlike: each draws its value, from its
seed, at most so far to either side; frequencies and voltages go to the nearest option,
unless the settings have overclockEnabled.
"""

import random
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
from math import lcm
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from msgspec import Struct, field
from msgspec.structs import replace

from softaxe.bitcoin.header import HASHES_PER_DIFFICULTY
from softaxe.board.radio import NETWORKS, Network
from softaxe.catalog import USUAL_BOARD, Board, boards, firmware_for
from softaxe.catalog import board as board_named
from softaxe.catalog.firmware import Firmware, firmware, release_named, versions
from softaxe.catalog.firmware.rows import Rows
from softaxe.description import about, given, read, shown
from softaxe.device.device import WorkChoice
from softaxe.device.identity import MAX_SEED, Identity
from softaxe.device.patch import check_patch
from softaxe.device.pools import dial_target
from softaxe.device.profile import DOCUMENTED, FIRMWARE, STRICT, Profile
from softaxe.device.setting_rules import Kind, Rule, board_options, rules
from softaxe.device.settings import Settings, nvs_rows, pool_rows_of
from softaxe.device.share_rate import RATES
from softaxe.device.transport import Tls, authority_in, refused, wants_tls, wants_v2
from softaxe.errors import SettingError, read_as
from softaxe.fleet.seeds import member_seed
from softaxe.json_values import JsonValue
from softaxe.serve.member import MemberOptions
from softaxe.serve.storage import SettingValue

MOST_DEVICES = 100_000
MAX_FILE_BYTES = 1 << 20
POOL_PORT = 3333
AMBIENT_C = (-40.0, 80.0)
SWING_C = (0.0, 40.0)
PROFILES = {profile.name: profile for profile in (DOCUMENTED, FIRMWARE)}
AMBIENT = "ambient"
SeedOf = Callable[[int, int], int]
"""Gives a device's seed by its fleet's and its number there."""


def parse_pool(text: str) -> tuple[str, int]:
    """Read a pool as people write it: `host`, `host:port`, or with a scheme.

    Raises:
        SettingError: There is no host, no such port can be, or the scheme is none that
            softaxe speaks.
    """
    if why := refused(text, firmware(versions()[-1]).rows):
        raise SettingError(
            f"{text}: {why}; write HOST:PORT, stratum+tcp://HOST:PORT, "
            "stratum+ssl://HOST:PORT for TLS, or stratum2+tcp://HOST:PORT/KEY"
        )
    host, port = dial_target(text, 0)
    if not host or any(letter.isspace() for letter in host):
        raise SettingError(f"{text!r} names no host; write HOST:PORT")
    authority = text.rpartition("://")[2].partition("/")[0]
    has_port = ":" in authority.rpartition("]")[2] and not _is_ipv6(authority)
    if has_port and not port:
        raise SettingError(f"{text}: the port is none of 1..65535")
    return host, port or POOL_PORT


def _is_ipv6(text: str) -> bool:
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


def _boards_of(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list | tuple) else [value]
    if not names:
        raise SettingError("names no board")
    for name in names:
        if not isinstance(name, str):
            raise SettingError(f"{shown(name)} is no text")
        board_named(name)
    return tuple(names)


def _releases_of(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list | tuple) else [value]
    if not names:
        raise SettingError("names no release")
    return tuple(_release_of(name) for name in names)


def _release_of(name: object) -> str:
    if not isinstance(name, str):
        raise SettingError(f"{shown(name)} is no text")
    return release_named(name)


def _profile_of(value: object) -> Profile:
    if not isinstance(value, str) or value not in PROFILES:
        raise SettingError(f"{shown(value)} is none of {', '.join(PROFILES)}")
    return PROFILES[value]


def _check_setting(value: object) -> None:
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        for member in (member for one in value for member in one.values()):
            _check_setting(member)
    elif not isinstance(value, str | int | float):  # such as a date of TOML
        raise SettingError(f"{shown(value)} is no text, number, true or false")


Text = Annotated[str, about(length=(1, 256))]
_KNOWN = [name for row in boards() for name in (row.version, row.family.lower())]
_BOARD = {"type": "string", "examples": list(dict.fromkeys(_KNOWN))}
Boards = Annotated[
    tuple[str, ...],
    about(
        "Versions or families, dealt out in turn.",
        also=("board",),
        read=_boards_of,
        schema={
            "anyOf": [
                _BOARD,
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        },
        told={"default": USUAL_BOARD},
    ),
]
Seed = Annotated[int, about(within=(0, MAX_SEED - 1))]
Setting = Annotated[
    Any,
    about(
        check=_check_setting,
        schema={
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": {
                            "type": ["string", "number", "boolean"]
                        },
                    },
                },
            ]
        },
    ),
]
INNER = about(inner=True)


class Shared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What devices have in common; in a file also above the groups, for all of them."""

    boards: Boards = (USUAL_BOARD,)
    pool: Annotated[
        Text | None,
        about(
            "As HOST:PORT, stratum+ssl://HOST:PORT for TLS, which firmware has from "
            "2.13 on, or stratum2+tcp://HOST:PORT/KEY for Stratum v2, from 2.14 on; "
            "the built-in one when left out.",
            check=parse_pool,
        ),
    ] = None
    user: Annotated[
        Text | None, about("At the pool; {n} becomes the device's number in its group.")
    ] = None
    password: Annotated[
        Text | None, about("At the pool.", told={"writeOnly": True})
    ] = None
    work: Annotated[
        WorkChoice,
        about(
            "scaled: a searched hash stands for 2^32 of the chip; real: a "
            "hash is a hash; auto: scaled on the built-in pool, else real."
        ),
    ] = "auto"
    share_rate: (
        Annotated[
            float,
            about(
                "About so many shares a minute of each device, whatever difficulty its "
                "pool asks for, as far as cpu_percent goes; of scaled work, which it "
                "makes of auto.",
                within=RATES,
                unit="/min",
            ),
        ]
        | None
    ) = None
    ambient_c: Annotated[
        float, about("Air around the device.", within=AMBIENT_C, unit="°C")
    ] = field(default=25.0, name="ambient")
    ambient_swing_c: Annotated[
        float,
        about("By how much the day's warmest air is above.", within=SWING_C, unit="°C"),
    ] = field(default=0.0, name="ambient_swing")
    is_first_boot: Annotated[
        bool, about("Like a new device: without Wi-Fi, as an access point.")
    ] = field(default=False, name="first_boot")
    firmware: Annotated[
        tuple[str, ...],
        about(
            "Releases that the devices come with, such as 2.14.2, dealt out in turn; "
            "when left out the ones they have, or 2.12.2, the page's.",
            read=_releases_of,
            schema={
                "anyOf": [
                    {"type": "string", "examples": list(versions())},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1},
                ]
            },
            told={},
        ),
    ] = ()
    is_announced: Annotated[
        bool | None,
        about(
            "Announce the devices by mDNS, whatever their firmware and address; when "
            "left out, those of 2.15 and later at an address that others reach."
        ),
    ] = field(default=None, name="mdns")
    profile: Annotated[
        Profile,
        about(
            "documented: the API page's promises lie over the firmware; firmware: "
            "exactly what that release does.",
            read=_profile_of,
            schema={"type": "string", "enum": list(PROFILES)},
            told={"default": DOCUMENTED.name},
        ),
    ] = DOCUMENTED
    strict: Annotated[
        bool,
        about(
            "Refuse what a device takes though the API page asks for something else, "
            "instead of warning; not with profile firmware, which asks for nothing."
        ),
    ] = False
    is_scan_quick: Annotated[
        bool, about("A Wi-Fi scan is answered at once, not after some 2 s.")
    ] = field(default=False, name="quick_scan")
    settings: Annotated[
        dict[str, Setting],
        about(
            "By the names of PATCH /api/system in any firmware version, where the "
            "device has stored nothing else; {n} in a text becomes its number."
        ),
    ] = field(default_factory=dict)
    spread: Annotated[
        dict[str, Annotated[float, about(within=(0, 1e6))]],
        about("By how much ambient, or a setting, differs by device, to either side."),
    ] = field(default_factory=dict)


class Group(Shared, frozen=True, kw_only=True):
    """Some devices that have most in common."""

    name: Annotated[Text, about("To choose by.", also=("group",))] = "devices"
    count: Annotated[int, about("So many devices.", within=(1, MOST_DEVICES))] = 1
    seed: Annotated[
        Seed | None,
        about(
            "Of the first device; those of the others come of it. When left out, all "
            "come of the fleet's."
        ),
    ] = None
    first: Annotated[int, INNER] = 1
    """Number of the first device, where the group is a part of a larger one."""
    first_of_fleet: Annotated[int, INNER] = 1
    """The same device's number in the fleet."""
    networks: Annotated[tuple[Network, ...], INNER] = NETWORKS
    www: Annotated[Mapping[str, bytes] | None, INNER] = None
    erases_www: Annotated[bool, INNER] = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"  # no password in any trace


def member_options(
    group: Group,
    *,
    pool_rows: Mapping[str, SettingValue],
    tls_rows: Mapping[str, SettingValue] = MappingProxyType({}),
    v2_rows: Mapping[str, SettingValue] = MappingProxyType({}),
    seed: int = 0,
    seed_of: SeedOf = member_seed,
) -> Iterator[MemberOptions]:
    """Make a group's devices, all still at one address.

    Args:
        group: What they have in common; has its number in the fleet.
        pool_rows: Settings that lead to the built-in pool, by NVS key.
        tls_rows: Those that lead there by TLS.
        v2_rows: Those that lead there by Stratum v2.
        seed: Of the fleet.
        seed_of: Gives a device's seed by the fleet's, or the group's own, and its
            number there.

    Raises:
        SettingError: A value is not allowed; says which.
    """
    try:
        seeds = group_seeds(group, seed, seed_of)
        yield from _member_options(group, pool_rows, tls_rows, v2_rows, seeds)
    except SettingError as error:
        raise SettingError(f"group {group.name}: {error}") from error


def _member_options(
    group: Group,
    pool_rows: Mapping[str, SettingValue],
    tls_rows: Mapping[str, SettingValue],
    v2_rows: Mapping[str, SettingValue],
    seeds: Iterable[int],
) -> Iterator[MemberOptions]:
    profile = _dialect(group)
    overrides: dict[str, SettingValue] = {}
    presets = dict(pool_rows)
    if group.pool is not None:
        host, port = parse_pool(group.pool)
        overrides["stratumurl"], overrides["stratumport"] = host, port
        presets = {"fbstratumurl": ""}
    for number, seed in enumerate(seeds, group.first - 1):
        release = None
        if group.firmware:
            release = firmware(group.firmware[number % len(group.firmware)])
        board = board_named(group.boards[number % len(group.boards)], release)
        rng = random.Random(f"{group.name} {seed}")
        own: dict[str, SettingValue] = {}
        if group.is_first_boot:
            own = {"wifissid": "", "wifipass": "", **board.factory_nvs}
            own = {key: value for key, value in own.items() if key not in presets}
        own = _with_settings(
            own,
            group,
            board,
            profile,
            release or firmware_for(board),
            seed=seed,
            number=number + 1,
            rng=rng,
        )
        other_ports = {}
        if group.pool is None:
            rows = (release or firmware_for(board)).rows
            other_ports = _other_ports(own, rows, by_tls=tls_rows, by_v2=v2_rows)
        login = dict(overrides)
        if group.pool and release and (why := refused(group.pool, release.rows)):
            raise SettingError(f"pool: {group.pool}: {why}, and not in {release.tag}")
        if group.pool is not None and wants_tls(group.pool):
            login["stratumtls"] = own.get("stratumtls") or int(Tls.AUTHORITIES)
            login |= {key: own[key] for key in ("stratumcert",) if key in own}
        if group.pool is not None and wants_v2(group.pool):
            login["stratumprot"] = "SV2"
            login["sv2authpubkey"] = authority_in(group.pool)
        if group.user is not None:
            user = _numbered(group.user, number + 1)
            login["stratumuser"] = login["fbstratumuser"] = user
        if group.password is not None:
            login["stratumpass"] = login["fbstratumpass"] = group.password
        yield MemberOptions(
            board=board,
            seed=seed,
            number=group.first_of_fleet + number + 1 - group.first,
            group=group.name,
            work=group.work,
            share_rate=_checked_rate(group, board),
            ambient_c=group.ambient_c + _drawn(group.spread.get(AMBIENT, 0.0), rng),
            ambient_swing_c=group.ambient_swing_c,
            is_scan_quick=group.is_scan_quick,
            networks=group.networks,
            presets=presets | other_ports,
            defaults=own,
            overrides=login,
            www=group.www,
            erases_www=group.erases_www,
            firmware=None if release is None else release.version,
            profile=profile,
            is_announced=group.is_announced,
        )


def _checked_rate(group: Group, board: Board) -> float | None:
    """Return the shares a minute that are wanted of a device, if it can be so many."""
    rate = group.share_rate
    if rate is None:
        return None
    if group.work == "real":
        raise SettingError("share_rate: a hash of real work is a hash; use scaled work")
    hashes = HASHES_PER_DIFFICULTY * board.chip.ticket_difficulty
    most = board.expected_hashrate_hs(board.default_frequency_mhz) * 60 / hashes
    if rate > most:
        raise SettingError(
            f"share_rate: {rate:g} is more than the {most:.3g} nonces a minute that "
            f"the chips of a {board.version} tell; take more devices"
        )
    return rate


def wants_own_tls(group: Group) -> bool:
    """Tell whether devices of a group may reach the built-in pool by TLS."""
    given = {name.lower(): value for name, value in group.settings.items()}
    wishes = [given.get("stratumtls"), given.get("fallbackstratumtls")]
    return group.pool is None and any(wishes)


def wants_own_v2(group: Group) -> bool:
    """Tell whether devices of a group may speak Stratum v2 to the built-in pool."""
    given = {name.lower(): value for name, value in group.settings.items()}
    wishes = [given.get("stratumprotocol"), given.get("fallbackstratumprotocol")]
    return group.pool is None and "SV2" in wishes


def _other_ports(
    own: Mapping[str, SettingValue],
    rows: Rows,
    *,
    by_tls: Mapping[str, SettingValue],
    by_v2: Mapping[str, SettingValue],
) -> dict[str, SettingValue]:
    """Return where a device finds a pool that it does not reach by plain Stratum v1."""
    found: dict[str, SettingValue] = {}
    for prefix, key in (("stratum", "sv2authpubkey"), ("fbstratum", "fbsv2authpubk")):
        if rows.has_stratum_v2 and own.get(f"{prefix}prot") == "SV2":
            names = (f"{prefix}url", f"{prefix}port", key)
            found |= {name: by_v2[name] for name in names if name in by_v2}
            found[f"{prefix}prot"] = "SV2"
        elif rows.has_tls and (mode := own.get(f"{prefix}tls")):
            found |= {k: value for k, value in by_tls.items() if k.startswith(prefix)}
            found[f"{prefix}tls"] = mode
    return found


def one_of_each(group: Group) -> Group:
    """Return a group with as few devices as have all that it deals out in turn."""
    every = lcm(len(group.boards), len(group.firmware) or 1)
    return replace(group, count=min(group.count, every))


def _dialect(group: Group) -> Profile:
    """Return what a group's devices go by.

    It is one of ours, not a copy that has come from another process.
    """
    if not group.strict:
        return PROFILES[group.profile.name]
    if group.profile.name == FIRMWARE.name:
        raise SettingError(
            "strict: a device asks for nothing beyond what it takes, so it does not go "
            "with profile firmware"
        )
    return STRICT


def _with_settings(
    defaults: Mapping[str, SettingValue],
    group: Group,
    board: Board,
    profile: Profile,
    release: Firmware,
    *,
    seed: int,
    number: int,
    rng: random.Random,
) -> dict[str, SettingValue]:
    """Return factory rows with the group's settings, each device's own by its draw."""
    if not group.settings and not set(group.spread) - {AMBIENT}:
        return dict(defaults)
    hostname = Identity.from_seed(seed, "").hostname
    settings = Settings.from_nvs(
        {"hostname": hostname, **defaults}, board, release, profile=profile
    )
    rows = _rules_by_name(release, profile)
    members: dict[str, JsonValue] = {}
    others: dict[str, SettingValue] = {}
    for name, given_value in group.settings.items():
        value = _numbered_within(given_value, number)
        if name.lower() in rows:
            members[name] = value
        else:
            others |= _of_another_release(name, value, board, profile)
    for name, width in group.spread.items():
        if name == AMBIENT:
            continue
        row = rows.get(name.lower())
        if row is None or row.kind not in {Kind.INTEGER, Kind.FLOAT}:
            raise SettingError(f"spread: {name} is no number that differs by device")
        middle = members.get(name, getattr(settings, row.name))
        if not isinstance(middle, int | float):
            raise SettingError(f"settings: {name}: {middle!r} is no number")
        drawn = middle + _drawn(width, rng)
        options = board_options(board).get(row.name)
        if options and "overclockenabled" not in {key.lower() for key in members}:
            drawn = min(options, key=lambda option: abs(option - drawn))
        members[name] = round(drawn) if row.kind is Kind.INTEGER else round(drawn, 2)
    patch = check_patch(
        settings,
        list(members.items()),
        profile=profile,
        board=board,
        release=release,
    )
    changes = dict(patch.changes)
    if any(rows[name.lower()].name not in changes for name in members):
        # A client is told what is left alone; a file would say it in vain.
        raise SettingError(f"settings: {'; '.join(patch.warnings)}")
    pools = changes.pop("pools", ())
    slots = pool_rows_of(pools if isinstance(pools, tuple) else (), settings.pools)
    own = nvs_rows(changes, release, profile=profile)
    return {**defaults, **others, **own, **slots}


def _rules_by_name(release: Firmware, profile: Profile) -> dict[str, Rule]:
    """Return what a release takes, by name in lower case."""
    known = rules(release, profile).values()
    return {name.lower(): rule for rule in known for name in rule.names}


def _of_another_release(
    name: str, value: JsonValue, board: Board, profile: Profile
) -> dict[str, SettingValue]:
    """Return rows of a setting that only other releases have, for the newest of them.

    They are in NVS until such a release runs; pools of older ones become slots.

    Raises:
        SettingError: There is no such setting, or it does not have this value.
    """
    for version in reversed(versions()):
        release = firmware(version)
        if name.lower() in _rules_by_name(release, profile):
            settings = Settings.from_nvs({}, board, release, profile=profile)
            patch = check_patch(
                settings, [(name, value)], profile=profile, board=board, release=release
            )
            return nvs_rows(patch.changes, release, profile=profile)
    raise SettingError(f"settings: {name} is no setting of PATCH /api/system")


def _drawn(width: float, rng: random.Random) -> float:
    return rng.uniform(-width, width) if width else 0.0


def _numbered_within(value: Any, number: int) -> Any:
    """Put a device's number into the texts of a setting."""
    if isinstance(value, list):
        return [_numbered_within(one, number) for one in value]
    if isinstance(value, dict):
        return {name: _numbered_within(one, number) for name, one in value.items()}
    return _numbered(value, number) if isinstance(value, str) else value


def _numbered(text: str, number: int) -> str:
    return text.replace("{n}", str(number))


def numbered(groups: Iterable[Group], used: Iterable[int] = ()) -> list[Group]:
    """Give every group its numbers in the fleet: the next after all there are.

    Args:
        groups: In their order.
        used: Numbers in use.
    """
    following = max(used, default=0) + 1
    found = []
    for group in groups:
        found.append(replace(group, first_of_fleet=following))
        following += group.count
    return found


def group_seeds(
    group: Group, seed: int, seed_of: SeedOf = member_seed
) -> Iterator[int]:
    """Yield the seeds of a group's devices; `seed` is the fleet's."""
    first = group.first_of_fleet if group.seed is None else group.first
    root = seed if group.seed is None else group.seed
    return (seed_of(root, number) for number in range(first, first + group.count))


def check_twins(
    groups: Iterable[Group],
    seed: int,
    *,
    seed_of: SeedOf = member_seed,
    used: Mapping[int, str] | None = None,
) -> None:
    """Look for devices that would share a seed, so MAC address and name.

    Args:
        groups: With their numbers.
        seed: Of the fleet.
        seed_of: As of `member_options`.
        used: Seeds in use, with the groups of their devices.

    Raises:
        SettingError: Two would.
    """
    taken = {one % MAX_SEED: name for one, name in (used or {}).items()}
    for group in groups:
        root = seed if group.seed is None else group.seed
        for one in group_seeds(group, seed, seed_of):
            place = one % MAX_SEED
            if place in taken:
                raise SettingError(
                    f"seed: {root} of group {group.name} is that of a device in "
                    f"{taken[place]}, or makes its MAC address; choose another"
                )
            taken[place] = group.name


class Groups(Shared, frozen=True, kw_only=True):
    """Groups, and what holds for all of them."""

    group: Annotated[
        tuple[Annotated[dict[str, Any], about(kept=Group)], ...],
        about(length=(1, MOST_DEVICES)),
    ]


def read_groups(data: Mapping[str, Any], where: str) -> tuple[Group, ...]:
    """Read a file's tables when they are groups and nothing else.

    Raises:
        SettingError: A value is not allowed; says which.
    """
    return groups_of(read_as(where, lambda table: given(Groups, table), data), where)


def groups_of(found: Mapping[str, Any], where: str) -> tuple[Group, ...]:
    """Make groups: what one says itself goes before what is shared.

    Args:
        found: Members of `Groups` that were given.
        where: For complaints.

    Raises:
        SettingError: A value is not allowed; says which.
    """
    shared = {key: found[key] for key in Shared.__struct_fields__ if key in found}
    groups = []
    for number, table in enumerate(found["group"], 1):
        group = Group(**{**shared, **given(Group, table)})
        read_as(f"{where}: group {number}", _check_spread, group)
        groups.append(group)
    names = [group.name for group in groups]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"{where}: two groups are called {name!r}")
    return tuple(groups)


def read_group(table: object, where: str = "group") -> Group:
    """Read a group as TOML and JSON write it.

    Raises:
        SettingError: A value is not allowed; says which.
    """
    group: Group = read_as(where, lambda value: read(Group, value), table)
    read_as(where, _check_spread, group)
    return group


def _check_spread(group: Group) -> None:
    width = group.spread.get(AMBIENT, 0.0)
    low_c, high_c = AMBIENT_C
    for ambient_c in (group.ambient_c - width, group.ambient_c + width):
        if not low_c <= ambient_c <= high_c:
            raise SettingError(
                f"spread: ambient: {width:g} leads to {ambient_c:g}, which is outside "
                f"{low_c:g}..{high_c:g} °C"
            )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of ours.

    Raises:
        SettingError: It cannot be read.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingError(f"{path}: over {MAX_FILE_BYTES} bytes")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a number of 5,000 digits is one, too
        raise SettingError(f"{path}: {error}") from error
    except RecursionError as error:
        raise SettingError(f"{path}: nested too deeply") from error
