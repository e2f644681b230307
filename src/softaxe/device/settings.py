"""All settings, as a release finds them in NVS, and what it writes there.

NVS outlives the firmware: every release reads it in its own way (`Settings.from_nvs`),
makes at boot of older keys what it needs (`migrated`), and leaves alone what is
another's. Source: ESP-Miner nvs_config.c.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import isfinite
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from softaxe.catalog import Board
from softaxe.catalog.firmware import Firmware, firmware
from softaxe.device import pool_slots
from softaxe.device.pool_slots import PoolSlot
from softaxe.device.profile import DOCUMENTED, Profile
from softaxe.device.setting_rules import (
    BY_NAME,
    MOST_FLOAT,
    MOST_TEXT_BYTES,
    PRIMARY_COLOR,
    PRIMARY_COLOR_NAME,
    SETTINGS,
    U16,
    Kind,
    Rule,
    Setting,
    Stored,
    Value,
    rules,
)
from softaxe.errors import SettingError
from softaxe.json_values import show, utf8_size
from softaxe.units import float32

I32 = 2**31
LEGACY_KEYS = {"asicfrequency_f": "asicfrequency", "manualfanspeed": "fanspeed"}
"""NVS keys with the one that older releases have instead. A change writes both; where
the newer one is missing at boot, it is made of the older."""
_IN_FACTORY_FILE = """
    wifissid wifipass hostname stratumurl stratumuser stratumpass stratumdiff
    stratumxnsub fbstratumurl fbstratumport fbstratumuser fbstratumpass fbstratumdiff
    rotation autofanspeed overheat_mode
"""
"""NVS keys. Source: ESP-Miner config-601.cvs."""
_KEYS: Mapping[str, Setting] = {
    **{row.nvs_key: row for row in SETTINGS if row.nvs_key},
    "asicfrequency": BY_NAME["core_voltage_mv"],
    "fanspeed": BY_NAME["fan_manual_percent"],
}
"""A setting of each NVS key's type."""
_WIDE = frozenset({"displayTimeout"})
"""NVS keys of 32 bits with a sign."""
_SLOT_PREFIXES = ("stratum", "fallback_stratum")
_SHARED_BY_SLOTS = tuple(
    attribute for attribute in pool_slots.NAMES if f"stratum_{attribute}" in BY_NAME
)
"""What of a pool is a setting of its own, too, by attribute of `PoolSlot`."""


_FLAT_KEYS = frozenset(
    BY_NAME[f"{prefix}_{attribute}"].nvs_key
    for prefix in _SLOT_PREFIXES
    for attribute in _SHARED_BY_SLOTS
)
"""NVS keys of what slots are made of at first."""


@cache
def _rule_list(release: Firmware, profile: Profile) -> tuple[Rule, ...]:
    return tuple(rules(release, profile).values())


class Settings(Struct, frozen=True):
    """All settings; every field up to `theme_color` is a row of `SETTINGS`.

    Where a release keeps pools in slots, those that begin with `stratum_` and
    `fallback_stratum_` show the two that are selected.
    """

    ssid: str
    wifi_password: str
    hostname: str
    stratum_protocol: str
    stratum_url: str
    stratum_port: int
    stratum_user: str
    stratum_password: str
    stratum_suggested_difficulty: int
    stratum_extranonce_subscribe: bool
    stratum_tls: int
    stratum_cert: str
    stratum_decode_coinbase: bool
    stratum_v2_channel_type: str
    stratum_v2_authority_pubkey: str
    fallback_stratum_protocol: str
    fallback_stratum_url: str
    fallback_stratum_port: int
    fallback_stratum_user: str
    fallback_stratum_password: str
    fallback_stratum_suggested_difficulty: int
    fallback_stratum_extranonce_subscribe: bool
    fallback_stratum_tls: int
    fallback_stratum_cert: str
    fallback_stratum_decode_coinbase: bool
    fallback_stratum_v2_channel_type: str
    fallback_stratum_v2_authority_pubkey: str
    pools: tuple[PoolSlot, ...]
    primary_pool_index: int
    secondary_pool_index: int
    use_fallback_stratum: bool
    frequency_mhz: float
    core_voltage_mv: int
    is_overclock_enabled: bool
    display: str
    rotation_degrees: int
    is_screen_flipped: bool
    is_screen_inverted: bool
    display_offset: int
    display_timeout_min: int
    is_fan_automatic: bool
    fan_manual_percent: int
    fan_min_percent: int
    target_temperature_c: int
    is_overheated: bool
    statistics_interval_s: int
    statistics_limit: int
    statistics_duration: int
    use_custom_www: bool
    last_build: str
    best_difficulty: int
    theme_scheme: str
    theme_colors: str
    theme_color: str
    selected_pools: tuple[int, int] = (0, 1)
    """Slots of the primary pool and the fallback, as at boot."""

    @classmethod
    def from_nvs(
        cls,
        stored: Mapping[str, Stored],
        board: Board,
        release: Firmware | None = None,
        *,
        profile: Profile = DOCUMENTED,
        presets: Mapping[str, Stored] | None = None,
        shipped: Firmware | None = None,
    ) -> "Settings":
        """Read stored rows as a release does at boot; factory settings fill the rest.

        Args:
            stored: Values by NVS key; keys of other releases are left alone.
            board: Whose factory settings.
            release: Which one reads; None for the usual one.
            profile: Whether it reads also what only the page promises.
            presets: Values by NVS key that hold in this run alone, over the factory's.
            shipped: The release whose factory file is meant; None for `release`.

        Raises:
            SettingError: A value is none that a setting can have.
        """
        release = release or firmware()
        presets = presets or {}
        factory = factory_rows(board, shipped or release)
        under = {**factory, **presets}
        rows = {**under, **stored}
        rows |= migrated(stored, factory, release, profile=profile, presets=presets)
        values: dict[str, Any] = {row.name: row.default for row in SETTINGS}
        for rule in _rule_list(release, profile):
            key = rule.nvs_key
            if rule.is_refilled and stored.get(key) == "" and rule.names:
                values[rule.name] = rule.compiled
            elif key in rows:
                values[rule.name] = _from_stored(key, rule.setting, rows[key])
        if release.rows.flags_are_raw and rows["autofanspeed"] != 1:
            values["is_fan_automatic"] = False  # of other flags any number but 0 is one
        if release.rows.pool_store != "eight slots":
            return cls(**values)
        values["pools"] = tuple(
            pool_slots.from_text(number, rows.get(pool_slots.nvs_key(number)), under)
            for number in range(pool_slots.SLOTS)
        )
        last = pool_slots.SLOTS - 1
        first = min(values["primary_pool_index"], last)
        selected = (first, min(values["secondary_pool_index"], last))
        values |= _shown(values["pools"], selected)
        return cls(**values, selected_pools=selected)

    def to_nvs(
        self,
        names: Iterable[str] | None = None,
        release: Firmware | None = None,
        *,
        profile: Profile = DOCUMENTED,
    ) -> dict[str, Stored]:
        """Values by NVS key as a release writes them, all unless `names` says which."""
        release = release or firmware()
        wanted = rules(release, profile) if names is None else names
        values = {name: getattr(self, name) for name in wanted}
        return nvs_rows(values, release, profile=profile)

    def changed(self, changes: Mapping[str, Value]) -> "Settings":
        """Return settings with these values, by name; they must be checked.

        Flags may be numbers, as releases up to 2.10 take any.
        """
        values: dict[str, Any] = dict(changes)
        for name, value in values.items():
            row = BY_NAME.get(name)
            if row is not None and row.kind is Kind.BOOLEAN and value not in {0, 1}:
                values[name] = name != "is_fan_automatic"
            elif row is not None and row.kind is Kind.BOOLEAN:
                values[name] = bool(value)
        return replace(self, **values)

    def completed(self, changes: Mapping[str, Value]) -> Mapping[str, Value]:
        """Add to changes what follows from them: of slots, and of what shows those."""
        if not self.pools:
            return changes
        pools, rest = list(self.pools), dict(changes)
        given = rest.pop("pools", self.pools)
        if isinstance(given, tuple):
            pools = list(given)
        for slot, prefix in zip(self.selected_pools, _SLOT_PREFIXES, strict=True):
            own: dict[str, Any] = {
                attribute: rest.pop(f"{prefix}_{attribute}")
                for attribute in _SHARED_BY_SLOTS
                if f"{prefix}_{attribute}" in rest
            }
            if own:
                pools[slot] = dataclasses.replace(pools[slot], **own)
        if len(rest) == len(changes):
            return rest
        return {**rest, "pools": tuple(pools), **_shown(pools, self.selected_pools)}


def _shown(pools: Sequence[PoolSlot], selected: tuple[int, int]) -> dict[str, Any]:
    """Return the settings that show the selected slots."""
    found = {}
    for slot, prefix in zip(selected, _SLOT_PREFIXES, strict=True):
        for attribute in _SHARED_BY_SLOTS:
            found[f"{prefix}_{attribute}"] = getattr(pools[slot], attribute)
        found[f"{prefix}_suggested_difficulty"] = pools[slot].used_difficulty
    return found


def factory_rows(board: Board, shipped: Firmware) -> dict[str, Stored]:
    """Return what a release's factory file has for a board, by NVS key.

    It knows the keys of its time: `asicfrequency` and `fanspeed`, and one pool each.
    """
    return {
        **_FACTORY_ROWS,
        "stratumport": shipped.rows.factory_pool_port,
        "asicfrequency": board.default_frequency_mhz,
        "asicvoltage": board.default_core_voltage_mv,
        "fanspeed": 100,
    }


def migrated(
    stored: Mapping[str, Stored],
    factory: Mapping[str, Stored],
    release: Firmware,
    *,
    profile: Profile = DOCUMENTED,
    presets: Mapping[str, Stored] | None = None,
) -> dict[str, Stored]:
    """Return what a release writes into NVS at boot, by key.

    Args:
        stored: What is in NVS.
        factory: Rows of the factory file.
        release: Which one boots.
        profile: In which profile.
        presets: As for `Settings.from_nvs`.
    """
    found: dict[str, Stored] = {}
    known, presets = rules(release, profile), presets or {}
    rows = {**factory, **presets, **stored}
    for name in ("frequency_mhz", "fan_manual_percent"):
        key = known[name].nvs_key
        if key in LEGACY_KEYS and key not in rows and LEGACY_KEYS[key] in rows:
            found[key] = _to_stored(key, rows[LEGACY_KEYS[key]])
    for name in ("statistics_limit", "statistics_duration"):
        if name in known and (key := known[name].nvs_key) in rows:
            limits, number = known[name].own_limits, rows[key]
            if (
                isinstance(number, int)
                and not limits.minimum <= number <= limits.maximum
            ):
                found[key] = max(limits.minimum, min(number, limits.maximum))
    if release.rows.theme_member == "primaryColor" and "themecolor" not in rows:
        found["themecolor"] = _primary_color(rows.get("themecolors", ""))
    if release.rows.pool_store == "eight slots" and pool_slots.NVS_KEYS[0] not in rows:
        for number, prefix in enumerate(_SLOT_PREFIXES):
            key, slot = pool_slots.nvs_key(number), _flat_slot(prefix, rows)
            if key not in rows:
                found[key] = pool_slots.to_text(number, slot, presets)
        found |= {
            key: rows.get(key, at) for at, key in enumerate(("prim_idx", "sec_idx"))
        }
    return found


def _primary_color(accent_colors: Stored) -> str:
    """Return the one colour that a theme of earlier releases leaves."""
    try:
        colors = json.loads(str(accent_colors))
    except (ValueError, RecursionError):
        return PRIMARY_COLOR
    found = colors.get(PRIMARY_COLOR_NAME) if isinstance(colors, dict) else None
    return found if isinstance(found, str) else PRIMARY_COLOR


def _flat_slot(prefix: str, rows: Mapping[str, Stored]) -> PoolSlot:
    """Make a slot of the settings that older releases have for a pool."""
    values: dict[str, Any] = {}
    for attribute in _SHARED_BY_SLOTS:
        row = BY_NAME[f"{prefix}_{attribute}"]
        values[attribute] = row.default
        if row.nvs_key in rows:
            values[attribute] = _from_stored(row.nvs_key, row, rows[row.nvs_key])
    return PoolSlot(**values)


def rows_to_save(
    changes: Mapping[str, Value],
    nvs: Mapping[str, Stored],
    release: Firmware,
    *,
    profile: Profile = DOCUMENTED,
    presets: Mapping[str, Stored] | None = None,
) -> dict[str, Stored]:
    """Return what is to be stored for changed settings, by NVS key.

    Among it is what NVS has of the same by a newer release's name: made at boot of what
    changes now, it would otherwise be made anew of that.

    Args:
        changes: By name, completed.
        nvs: As it is.
        release: Which one writes.
        profile: In which profile.
        presets: As for `Settings.from_nvs`.
    """
    pools = changes.get("pools", ())
    if isinstance(pools, tuple) and pools:
        shown = tuple(f"{prefix}_" for prefix in _SLOT_PREFIXES)
        changes = {k: v for k, v in changes.items() if not k.startswith(shown)}
    rows = nvs_rows(changes, release, profile=profile)
    for number, slot in enumerate(pools if isinstance(pools, tuple) else ()):
        key, text = (
            pool_slots.NVS_KEYS[number],
            pool_slots.to_text(number, slot, presets or {}),
        )
        if text or key in nvs:
            rows[key] = text
    newer = [key for key, older in LEGACY_KEYS.items() if older in rows]
    if _FLAT_KEYS & rows.keys():
        newer += pool_slots.NVS_KEYS
    return rows | {key: nvs[key] for key in newer if key in nvs and key not in rows}


def nvs_rows(
    values: Mapping[str, Value], release: Firmware, *, profile: Profile = DOCUMENTED
) -> dict[str, Stored]:
    """Return what a release writes for values by name, but for its pool slots."""
    found: dict[str, Stored] = {}
    known = rules(release, profile)
    for name, value in values.items():
        if isinstance(value, tuple) or name == "selected_pools":
            continue
        key = known[name].nvs_key if name in known else BY_NAME[name].nvs_key
        found[key] = _to_stored(key, value)
        if key in LEGACY_KEYS and isinstance(value, int | float):
            found[LEGACY_KEYS[key]] = int(value) & U16
    return found


def pool_rows_of(
    pools: Sequence[PoolSlot], before: Sequence[PoolSlot]
) -> dict[str, Stored]:
    """Return what is to be stored for those slots that have changed, by NVS key."""
    return {
        pool_slots.nvs_key(number): pool_slots.to_text(number, slot, {})
        for number, slot in enumerate(pools)
        if slot != before[number]
    }


def overridden(
    stored: Mapping[str, Stored], overrides: Mapping[str, Stored]
) -> dict[str, Stored]:
    """Put rows over stored ones, also where these are pool slots."""
    rows = {**stored, **overrides}
    for at, prefix in enumerate(_SLOT_PREFIXES):
        slot = rows.get("sec_idx" if at else "prim_idx", at)
        key = f"pool_{slot + 1}" if isinstance(slot, int) else ""
        given = {
            attribute: overrides[row.nvs_key]
            for attribute in _SHARED_BY_SLOTS
            if (row := BY_NAME[f"{prefix}_{attribute}"]).nvs_key in overrides
        }
        if given and isinstance(text := rows.get(key), str):
            rows[key] = pool_slots.with_members(text, given)
    return rows


def sift_stored(
    stored: Mapping[str, object],
) -> tuple[dict[str, Stored], list[str]]:
    """Sort out stored rows that hold what NVS cannot, as after a disk fault.

    Returns:
        The rows that are left, by NVS key, and a complaint about every other one.
    """
    kept: dict[str, Stored] = {}
    complaints = []
    for key, value in stored.items():
        row = _KEYS.get(key)
        if row is None and not isinstance(value, str | int):
            continue
        try:
            if row is not None:
                _from_stored(key, row, value)
            elif isinstance(value, str):
                utf8_size(value, key, show(value))
        except SettingError as error:
            complaints.append(str(error))
        else:
            assert isinstance(value, str | int | float)
            kept[key] = value
    return kept, complaints


def _from_stored(key: str, row: Setting, value: object) -> Value:
    """Judge what NVS holds: any release may have written it, whatever it checks."""
    if row.kind is Kind.STRING:
        if not isinstance(value, str):
            shown = "a value" if row.is_secret else show(value)
            raise SettingError(f"{key}: {shown} is no string")
        size = utf8_size(value, key, "the text")
        if row.rest_name and size > MOST_TEXT_BYTES:
            raise SettingError(f"{key}: {size} bytes are too many")
        return value
    if row.kind is Kind.FLOAT:
        return _frequency(key, value)
    if not isinstance(value, int):
        raise SettingError(f"{key}: {show(value)} is no {row.kind}")
    least, most = (-I32, I32 - 1) if key in _WIDE else (0, max(U16, row.limits.maximum))
    if not least <= value <= most:
        raise SettingError(f"{key}: {show(value)} is outside {least}..{most}")
    return bool(value) if row.kind is Kind.BOOLEAN else value


def _frequency(key: str, value: object) -> float:
    """Read a frequency: text with six decimals, or a number."""
    try:
        number = float(value) if isinstance(value, str | int | float) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if not isfinite(number) or not 0 <= number <= MOST_FLOAT:
        raise SettingError(f"{key}: {show(value)} is no frequency")
    return float32(number)


def _to_stored(key: str, value: object) -> Stored:
    if key == "asicfrequency_f" and isinstance(value, int | float):
        return f"{value:.6f}"
    if isinstance(value, float | bool):
        return int(value) & U16
    assert isinstance(value, str | int)
    return value


_FACTORY_ROWS: Mapping[str, Stored] = {
    row.nvs_key: _to_stored(row.nvs_key, row.default)
    for row in SETTINGS
    if row.nvs_key in _IN_FACTORY_FILE.split()
}
