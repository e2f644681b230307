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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from softaxe.board.radio import NETWORKS, Network
from softaxe.catalog import USUAL_BOARD, Board
from softaxe.catalog import board as board_named
from softaxe.device.device import WorkChoice
from softaxe.device.identity import MAX_SEED, Identity
from softaxe.device.pools import dial_target
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.device.settings import SETTINGS, JsonValue, Kind, Settings, check_patch
from softaxe.errors import SettingError
from softaxe.fleet.clock import number_of
from softaxe.serve.member import MemberOptions
from softaxe.serve.storage import SettingValue

MOST_DEVICES = 100_000
MAX_FILE_BYTES = 1 << 20
POOL_PORT = 3333
AMBIENT_C = (-40.0, 80.0)
SWING_C = (0.0, 40.0)
PROFILES = {profile.name: profile for profile in (DOCUMENTED, FIRMWARE)}
AMBIENT = "ambient"


@dataclass(frozen=True, slots=True)
class Group:
    """Some devices that have most in common."""

    name: str = "devices"
    count: int = 1
    boards: tuple[str, ...] = (USUAL_BOARD,)
    """Versions or families, dealt out in turn."""
    seed: int | None = None
    """Of the first device, the others follow; None for the next that is free."""
    first: int = 1
    """Number of the first device, where the group is a part of a larger one."""
    pool: str | None = None
    """None for the built-in one."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    work: WorkChoice = "auto"
    ambient_c: float = 25.0
    ambient_swing_c: float = 0.0
    networks: tuple[Network, ...] = NETWORKS
    is_first_boot: bool = False
    profile: Profile = DOCUMENTED
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    """By the names of PATCH, where the device has stored nothing else."""
    spread: Mapping[str, float] = field(default_factory=dict)
    www: Mapping[str, bytes] | None = None
    erases_www: bool = False


def member_options(
    group: Group, *, pool_rows: Mapping[str, SettingValue]
) -> Iterator[MemberOptions]:
    """Make a group's devices, all still at one address.

    Args:
        group: What they have in common; has its seed.
        pool_rows: Settings that lead to the built-in pool, by NVS key.

    Raises:
        SettingError: A value is not allowed; says which.
    """
    try:
        yield from _member_options(group, pool_rows)
    except SettingError as error:
        raise SettingError(f"group {group.name}: {error}") from error


def _member_options(
    group: Group, pool_rows: Mapping[str, SettingValue]
) -> Iterator[MemberOptions]:
    boards = [board_named(name) for name in group.boards]
    overrides: dict[str, SettingValue] = {}
    defaults = dict(pool_rows)
    if group.pool is not None:
        host, port = parse_pool(group.pool)
        overrides["stratumurl"], overrides["stratumport"] = host, port
        defaults = {"fbstratumurl": ""}
    first = group.seed or 0
    for number, seed in enumerate(range(first, first + group.count), group.first - 1):
        board = boards[number % len(boards)]
        rng = random.Random(f"{group.name} {seed}")
        own = dict(defaults)
        if group.is_first_boot:
            own |= {"wifissid": "", "wifipass": "", **board.factory_nvs}
        own = _with_settings(own, group, board, seed=seed, number=number + 1, rng=rng)
        login = dict(overrides)
        if group.user is not None:
            user = _numbered(group.user, number + 1)
            login["stratumuser"] = login["fbstratumuser"] = user
        if group.password is not None:
            login["stratumpass"] = login["fbstratumpass"] = group.password
        yield MemberOptions(
            board=board,
            seed=seed,
            group=group.name,
            work=group.work,
            ambient_c=group.ambient_c + _drawn(group.spread.get(AMBIENT, 0.0), rng),
            ambient_swing_c=group.ambient_swing_c,
            networks=group.networks,
            defaults=own,
            overrides=login,
            www=group.www,
            erases_www=group.erases_www,
            profile=group.profile,
        )


def _with_settings(
    defaults: Mapping[str, SettingValue],
    group: Group,
    board: Board,
    *,
    seed: int,
    number: int,
    rng: random.Random,
) -> dict[str, SettingValue]:
    """Return factory rows with the group's settings, each device's own by its draw."""
    if not group.settings and not set(group.spread) - {AMBIENT}:
        return dict(defaults)
    hostname = Identity.from_seed(seed, "").hostname
    settings = Settings.from_nvs({"hostname": hostname, **defaults}, board)
    rows = {
        name.lower(): row for row in SETTINGS for name in row.rest_names(group.profile)
    }
    members: dict[str, JsonValue] = {}
    for name, value in group.settings.items():
        if name.lower() not in rows:
            raise SettingError(f"settings: {name} is no setting of PATCH /api/system")
        is_text = isinstance(value, str)
        members[name] = _numbered(str(value), number) if is_text else value
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
        options = _options(board, row.name)
        if options and "overclockenabled" not in {key.lower() for key in members}:
            drawn = min(options, key=lambda option: abs(option - drawn))
        members[name] = round(drawn) if row.kind is Kind.INTEGER else round(drawn, 2)
    changes = check_patch(
        settings, list(members.items()), profile=group.profile, board=board
    )
    before, after = settings.to_nvs(), settings.changed(changes).to_nvs()
    changed = {key: value for key, value in after.items() if before[key] != value}
    return {**defaults, **changed}


def _options(board: Board, name: str) -> tuple[int, ...]:
    """What a board may run at without being overclocked."""
    chip = board.chip
    return {
        "frequency_mhz": chip.frequency_options_mhz,
        "core_voltage_mv": chip.core_voltage_options_mv,
    }.get(name, ())


def _drawn(width: float, rng: random.Random) -> float:
    return rng.uniform(-width, width) if width else 0.0


def _numbered(text: str, number: int) -> str:
    return text.replace("{n}", str(number))


def seeded(
    groups: Sequence[Group], *, first: int, used: Mapping[int, str] | None = None
) -> list[Group]:
    """Give every group its seeds: those it asks for, or the next that are free.

    Args:
        groups: In their order.
        first: The first seed of the fleet.
        used: Seeds in use, with the groups of their devices.

    Raises:
        SettingError: Two devices would share a seed, so MAC address and name, or there
            are not so many seeds.
    """
    taken = dict(used or {})
    following = max(taken, default=first - 1) + 1
    found = []
    for group in groups:
        begin = following if group.seed is None else group.seed
        if begin + group.count > MAX_SEED:
            raise SettingError(
                f"seed: {begin} leaves too few for the {group.count} devices of group "
                f"{group.name}; MAC addresses are distinct below {MAX_SEED}"
            )
        for seed in range(begin, begin + group.count):
            if seed in taken:
                raise SettingError(
                    f"seed: {seed} of group {group.name} is already that of a device "
                    f"in {taken[seed]}; every device needs its own"
                )
            taken[seed] = group.name
        following = max(following, begin + group.count)
        found.append(replace(group, seed=begin))
    return found


def read_groups(data: dict[str, Any], where: str) -> tuple[Group, ...]:
    """Take the groups out of a file's tables, with what holds for all of them.

    Raises:
        SettingError: A value is not allowed; says which.
    """
    tables = data.pop("group", None)
    if not isinstance(tables, list) or not tables:
        raise SettingError(f"{where}: has no [[group]]")
    shared = {key: data.pop(key) for key in list(data) if key in _SHARED_KEYS}
    groups = tuple(
        _group_with(shared, table, f"{where}: group {number}")
        for number, table in enumerate(tables, 1)
    )
    names = [group.name for group in groups]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"{where}: two groups are called {name!r}")
    return groups


def _group_with(shared: Mapping[str, Any], table: object, where: str) -> Group:
    """Read a group of a file; what it says itself goes before what is shared."""
    if not isinstance(table, dict):
        raise SettingError(f"{where}: {table!r} is no table of names and values")
    both = {**shared, **table}
    if _BOARD_KEYS & table.keys():  # two names of one thing
        both = {k: v for k, v in both.items() if k in table or k not in _BOARD_KEYS}
    return read_group(both, where)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of ours.

    Raises:
        SettingError: It cannot be read.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingError(f"{path}: over {MAX_FILE_BYTES} bytes")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"{path}: {error}") from error
    except RecursionError as error:
        raise SettingError(f"{path}: nested too deeply") from error


def read_group(table: object, where: str = "group") -> Group:
    """Read a group as TOML and JSON write it.

    Raises:
        SettingError: A value is not allowed; says which.
    """
    if not isinstance(table, dict):
        raise SettingError(f"{where}: is no table of names and values")
    rest = dict(table)
    values: dict[str, Any] = {}
    for name, reader in _READERS.items():
        if name not in rest:
            continue
        value = rest.pop(name)
        try:
            values |= reader(value)
        except (SettingError, ValueError, TypeError) as error:
            raise SettingError(f"{where}: {name}: {error}") from error
    if rest:
        known = ", ".join(sorted(_READERS))
        raise SettingError(f"{where}: {next(iter(rest))} is none of {known}")
    group = Group(**values)
    width = group.spread.get(AMBIENT, 0.0)
    for ambient_c in (group.ambient_c - width, group.ambient_c + width):
        if not AMBIENT_C[0] <= ambient_c <= AMBIENT_C[1]:
            low, high = AMBIENT_C
            raise SettingError(
                f"{where}: spread: ambient: {width:g} leads to {ambient_c:g}, which is "
                f"outside {low:g}..{high:g} °C"
            )
    return group


def parse_pool(text: str) -> tuple[str, int]:
    """Read a pool as people write it: `host`, `host:port`, or with a scheme.

    Raises:
        SettingError: There is no host, or the scheme is not plain Stratum v1.
    """
    scheme = text.partition("://")[0] if "://" in text else "stratum+tcp"
    if scheme not in ("stratum+tcp", "tcp", "stratum"):
        raise SettingError(
            f"{text}: this firmware speaks plain Stratum v1 only, as "
            "stratum+tcp://HOST:PORT or HOST:PORT"
        )
    host, port = dial_target(text, POOL_PORT)
    if not host or any(letter.isspace() for letter in host):
        raise SettingError(f"{text!r} names no host; write HOST:PORT")
    return host, port


# Readers: a value as written, to fields of Group


def text_of(value: object) -> str:
    """Read a text of 1 to 256 characters.

    Raises:
        SettingError: It is none that is allowed.
    """
    if not isinstance(value, str) or not value or len(value) > 256:
        raise SettingError(f"{value!r} is no text of 1 to 256 characters")
    return value


def whole_of(value: object, lowest: int, highest: int) -> int:
    """Read a whole number.

    Raises:
        SettingError: It is none that is allowed.
    """
    if type(value) is not int or not lowest <= value <= highest:
        raise SettingError(f"{value!r} is no whole number of {lowest}..{highest}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise SettingError(f"{value!r} is neither true nor false")
    return value


def _boards(value: object) -> dict[str, Any]:
    names = value if isinstance(value, list) else [value]
    if not names:
        raise SettingError("names no board")
    for name in names:
        board_named(text_of(name))
    return {"boards": tuple(names)}


def _pool(value: object) -> dict[str, Any]:
    parse_pool(text_of(value))
    return {"pool": value}


def _settings(value: object) -> dict[str, Any]:
    table = table_of(value)
    for name, one in table.items():
        if not isinstance(one, str | int | float):  # such as a date of TOML
            raise SettingError(f"{name}: {one!r} is no text, number, true or false")
    return {"settings": table}


def _work(value: object) -> dict[str, Any]:
    if value not in get_args(WorkChoice):
        raise SettingError(f"{value!r} is none of {', '.join(get_args(WorkChoice))}")
    return {"work": value}


def _profile(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or value not in PROFILES:
        raise SettingError(f"{value!r} is none of {', '.join(PROFILES)}")
    return {"profile": PROFILES[value]}


def table_of(value: object) -> dict[str, Any]:
    """Read a table.

    Raises:
        SettingError: It is none that is allowed.
    """
    if not isinstance(value, dict):
        raise SettingError(f"{value!r} is no table of names and values")
    return value


def _spread(value: object) -> dict[str, Any]:
    table = {name: number_of(width, 0, 1e6) for name, width in table_of(value).items()}
    return {"spread": table}


_READERS: Mapping[str, Callable[[object], dict[str, Any]]] = {
    "name": lambda v: {"name": text_of(v)},
    "group": lambda v: {"name": text_of(v)},
    "count": lambda v: {"count": whole_of(v, 1, MOST_DEVICES)},
    "board": _boards,
    "boards": _boards,
    "seed": lambda v: {"seed": whole_of(v, 0, MAX_SEED - 1)},
    "pool": _pool,
    "user": lambda v: {"user": text_of(v)},
    "password": lambda v: {"password": text_of(v)},
    "work": _work,
    "ambient": lambda v: {"ambient_c": number_of(v, *AMBIENT_C)},
    "ambient_swing": lambda v: {"ambient_swing_c": number_of(v, *SWING_C)},
    "first_boot": lambda v: {"is_first_boot": _flag(v)},
    "profile": _profile,
    "settings": _settings,
    "spread": _spread,
}
_BOARD_KEYS = {"board", "boards"}
_SHARED_KEYS = set(_READERS) - {"name", "group", "count", "seed"}
"""May stand above the groups and hold for all of them; the fleet has its own seed."""
