"""Every setting, one row each.

PATCH, the info answer, storage, the OpenAPI document and docs/api.md read these rows.
Names, types, limits and defaults are the firmware's (http-api.md 4 and 6); where the
API page promises something else, `softaxe.device.profile` names the difference.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from softaxe.catalog import Board
from softaxe.device.profile import Profile
from softaxe.errors import SettingError
from softaxe.units import float32

JsonValue = str | int | float | bool | None | list[Any] | dict[str, Any]
Stored = str | int | float
Value = str | int | float | bool

DISPLAYS = (
    "NONE",
    "SSD1306 (128x32)",
    "SSD1309 (128x64)",
    "SH1107 (64x128)",
    "SH1107 (128x128)",
)
ROTATIONS = (0, 90, 180, 270)
HOSTNAME = re.compile(r"[A-Za-z0-9-]+")
MIN_WIFI_PASSWORD = 8
INT_LIMIT = 2**31
POOL_USER = "bc1qnp980s5fpp8l94p5cvttmtdqy8rvrq74qly2yrfmzkdsntqzlc5qkc4rkq.bitaxe"
"""The factory files' user. Source: http-api.md 6."""
THEME_COLORS = (
    '{"--primary-color":"#F80421","--primary-color-text":"#ffffff",'
    '"--highlight-bg":"#F80421","--highlight-text-color":"#ffffff",'
    '"--focus-ring":"0 0 0 0.2rem rgba(248,4,33,0.2)","--slider-bg":"#dee2e6",'
    '"--slider-range-bg":"#F80421","--slider-handle-bg":"#F80421",'
    '"--progressbar-bg":"#dee2e6","--progressbar-value-bg":"#F80421",'
    '"--checkbox-border":"#F80421","--checkbox-bg":"#F80421",'
    '"--checkbox-hover-bg":"#df031d","--button-bg":"#F80421",'
    '"--button-hover-bg":"#df031d",'
    '"--button-focus-shadow":"0 0 0 2px #ffffff, 0 0 0 4px #F80421",'
    '"--togglebutton-bg":"#F80421","--togglebutton-border":"1px solid #F80421",'
    '"--togglebutton-hover-bg":"#df031d",'
    '"--togglebutton-hover-border":"1px solid #df031d",'
    '"--togglebutton-text-color":"#ffffff"}'
)
"""Source: http-api.md 5.5."""


class Kind(StrEnum):
    """How a setting is written in JSON and stored."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"


class Effect(StrEnum):
    """When a change is felt."""

    AT_ONCE = "at once"
    NEXT_PASS = "within 2 s"
    STATISTICS = "within 5 s"
    RESTART = "after a restart"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row."""

    name: str
    """Of the attribute of `Settings`."""
    nvs_key: str
    rest_name: str | None
    """None: not to be had through PATCH."""
    kind: Kind
    default: Value
    minimum: int
    """Of the number, or of the bytes of a string."""
    maximum: int
    effect: Effect
    description: str
    unit: str = ""
    is_secret: bool = False
    is_in_info: bool = True

    def limits(self, profile: Profile) -> tuple[int, int]:
        """Minimum and maximum in a profile."""
        if self.name == "target_temperature_c" and profile.wide_target_temperature:
            return 0, 100
        if self.name.endswith("_port") and profile.port_zero_refused:
            return 1, 65535
        return self.minimum, self.maximum


def _s(  # noqa: PLR0917 - a table reads best as columns
    name: str,
    nvs_key: str,
    rest_name: str | None,
    default: Value,
    minimum: int,
    maximum: int,
    effect: Effect,
    description: str,
    unit: str = "",
    *,
    is_secret: bool = False,
    is_in_info: bool = True,
) -> Setting:
    kinds = {str: Kind.STRING, int: Kind.INTEGER, float: Kind.FLOAT, bool: Kind.BOOLEAN}
    return Setting(
        name,
        nvs_key,
        rest_name,
        kinds[type(default)],
        default,
        minimum,
        maximum,
        effect,
        description,
        unit,
        is_secret,
        is_in_info and not is_secret,
    )


_REBOOT, _PASS, _NOW = Effect.RESTART, Effect.NEXT_PASS, Effect.AT_ONCE

# fmt: off
SETTINGS: tuple[Setting, ...] = (
    _s("ssid", "wifissid", "ssid", "softaxe", 1, 32, _REBOOT,
       "Wi-Fi network"),
    _s("wifi_password", "wifipass", "wifiPass", "softaxe-wifi", 0, 63, _REBOOT,
       "Wi-Fi password; empty for an open network", is_secret=True),
    _s("hostname", "hostname", "hostname", "bitaxe", 1, 32, _REBOOT,
       "Name given to the DHCP server"),
    _s("stratum_url", "stratumurl", "stratumURL", "public-pool.io", 0, 3999, _REBOOT,
       "Primary pool's host"),
    _s("stratum_port", "stratumport", "stratumPort", 21496, 0, 65535, _REBOOT,
       "Primary pool's port"),
    _s("stratum_user", "stratumuser", "stratumUser", POOL_USER, 0, 3999, _REBOOT,
       "User at the primary pool"),
    _s("stratum_password", "stratumpass", "stratumPassword", "x", 0, 3999, _REBOOT,
       "Password at the primary pool", is_secret=True),
    _s("stratum_suggested_difficulty", "stratumdiff", "stratumSuggestedDifficulty",
       1000, 0, 65535, _REBOOT, "Difficulty to suggest; 0 suggests none"),
    _s("stratum_extranonce_subscribe", "stratumxnsub", "stratumExtranonceSubscribe",
       False, 0, 1, _REBOOT, "Ask the primary pool for new extranonces"),
    _s("fallback_stratum_url", "fbstratumurl", "fallbackStratumURL",
       "solo.ckpool.org", 0, 3999, _REBOOT, "Fallback pool's host; empty for none"),
    _s("fallback_stratum_port", "fbstratumport", "fallbackStratumPort",
       3333, 0, 65535, _REBOOT, "Fallback pool's port"),
    _s("fallback_stratum_user", "fbstratumuser", "fallbackStratumUser",
       POOL_USER, 0, 3999, _REBOOT, "User at the fallback pool"),
    _s("fallback_stratum_password", "fbstratumpass", "fallbackStratumPassword",
       "x", 0, 3999, _REBOOT, "Password at the fallback pool", is_secret=True),
    _s("fallback_stratum_suggested_difficulty", "fbstratumdiff",
       "fallbackStratumSuggestedDifficulty", 1000, 0, 65535, _REBOOT,
       "Difficulty to suggest to the fallback pool"),
    _s("fallback_stratum_extranonce_subscribe", "stratumfbxnsub",
       "fallbackStratumExtranonceSubscribe", False, 0, 1, _REBOOT,
       "Ask the fallback pool for new extranonces"),
    _s("use_fallback_stratum", "usefbstartum", "useFallbackStratum", False, 0, 1,
       _REBOOT, "Start on the fallback pool and stay there", is_in_info=False),
    _s("frequency_mhz", "asicfrequency_f", "frequency", 525.0, 1, 65535, _PASS,
       "Chip frequency", "MHz"),
    _s("core_voltage_mv", "asicvoltage", "coreVoltage", 1150, 1, 65535, _PASS,
       "Core voltage", "mV"),
    _s("is_overclock_enabled", "oc_enabled", "overclockEnabled", False, 0, 1, _NOW,
       "Allow frequencies and voltages outside the board's options"),
    _s("display", "display", "display", "SSD1306 (128x32)", 0, 3999, _REBOOT,
       "Kind of display"),
    _s("rotation_degrees", "rotation", "rotation", 0, 0, 270, _REBOOT,
       "Screen rotation", "degrees"),
    _s("is_screen_inverted", "invertscreen", "invertscreen", False, 0, 1, _REBOOT,
       "Invert the screen"),
    _s("display_offset", "displayOffset", "displayOffset", 96, 0, 255, _REBOOT,
       "First line of an SH1107 display", is_in_info=False),
    _s("display_timeout_min", "displayTimeout", "displayTimeout", -1, -1, 65535, _NOW,
       "Display timeout; -1 is always on, 0 always off", "min"),
    _s("is_fan_automatic", "autofanspeed", "autofanspeed", True, 0, 1, _PASS,
       "Control the fan by temperature"),
    _s("fan_manual_percent", "manualfanspeed", "manualFanSpeed", 100, 0, 100, _PASS,
       "Fan speed without automatic control; `fanspeed` sets it too", "%"),
    _s("fan_min_percent", "minfanspeed", "minFanSpeed", 25, 0, 99, _REBOOT,
       "Least fan speed of the automatic control", "%"),
    _s("target_temperature_c", "temptarget", "temptarget", 60, 35, 66, _PASS,
       "Target of the automatic fan control", "°C"),
    _s("is_overheated", "overheat_mode", "overheat_mode", False, 0, 0, _PASS,
       "Set by the overheat protection; can only be cleared"),
    _s("statistics_interval_s", "statsFrequency", "statsFrequency", 0, 0, 65535,
       Effect.STATISTICS, "Statistics interval; 0 switches them off", "s"),
    _s("best_difficulty", "bestdiff", None, 0, 0, 2**63 - 1, _NOW,
       "Best difficulty ever"),
    _s("theme_scheme", "themescheme", None, "dark", 0, 3999, _NOW,
       "Colour scheme of the web page"),
    _s("theme_colors", "themecolors", None, THEME_COLORS, 0, 3999, _NOW,
       "Accent colours of the web page, JSON"),
)
# fmt: on

BY_NAME = {row.name: row for row in SETTINGS}
BY_NVS_KEY = {row.nvs_key: row for row in SETTINGS}
BY_REST_NAME = {row.rest_name.lower(): row for row in SETTINGS if row.rest_name}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; every field is a row of `SETTINGS`."""

    ssid: str
    wifi_password: str
    hostname: str
    stratum_url: str
    stratum_port: int
    stratum_user: str
    stratum_password: str
    stratum_suggested_difficulty: int
    stratum_extranonce_subscribe: bool
    fallback_stratum_url: str
    fallback_stratum_port: int
    fallback_stratum_user: str
    fallback_stratum_password: str
    fallback_stratum_suggested_difficulty: int
    fallback_stratum_extranonce_subscribe: bool
    use_fallback_stratum: bool
    frequency_mhz: float
    core_voltage_mv: int
    is_overclock_enabled: bool
    display: str
    rotation_degrees: int
    is_screen_inverted: bool
    display_offset: int
    display_timeout_min: int
    is_fan_automatic: bool
    fan_manual_percent: int
    fan_min_percent: int
    target_temperature_c: int
    is_overheated: bool
    statistics_interval_s: int
    best_difficulty: int
    theme_scheme: str
    theme_colors: str

    @classmethod
    def from_nvs(cls, stored: Mapping[str, Stored], board: Board) -> "Settings":
        """Take stored rows, and factory settings for the rest.

        Args:
            stored: Values by NVS key; keys that are no setting are left alone.
            board: Whose factory settings.

        Raises:
            SettingError: A stored value is of the wrong type.
        """
        values: dict[str, Any] = {row.name: row.default for row in SETTINGS}
        values["frequency_mhz"] = float(board.default_frequency_mhz)
        values["core_voltage_mv"] = board.default_core_voltage_mv
        for row in SETTINGS:
            if row.nvs_key in stored:
                values[row.name] = _from_stored(row, stored[row.nvs_key])
        return cls(**values)

    def to_nvs(self) -> dict[str, Stored]:
        """All values by NVS key; booleans as 0 and 1."""
        return {row.nvs_key: _to_stored(getattr(self, row.name)) for row in SETTINGS}

    def changed(self, changes: Mapping[str, Value]) -> "Settings":
        """Return settings with these values, by name; they must be checked."""
        return replace(self, **changes)  # type: ignore[arg-type]


def _from_stored(row: Setting, value: Stored) -> Value:
    wanted: Callable[[Any], Value] = {
        Kind.STRING: str,
        Kind.INTEGER: int,
        Kind.FLOAT: float,
        Kind.BOOLEAN: bool,
    }[row.kind]
    if isinstance(value, str) != (row.kind is Kind.STRING):
        raise SettingError(f"{row.nvs_key}: stored value is no {row.kind}")
    return wanted(value)


def _to_stored(value: Value) -> Stored:
    return int(value) if isinstance(value, bool) else value


def check_patch(
    settings: Settings,
    members: list[tuple[str, JsonValue]],
    *,
    profile: Profile,
    board: Board,
) -> dict[str, Value]:
    """Check a PATCH as a whole.

    Names are compared without case and the first of equal names counts, as cJSON does;
    unknown names are ignored.

    Args:
        settings: As they are.
        members: The request's members in their order.
        profile: Which limits hold.
        board: For the options of frequency and voltage.

    Returns:
        The values to change, by Python name.

    Raises:
        SettingError: Names every member that is not allowed, its value and what is.
    """
    given: dict[str, JsonValue] = {}
    for name, value in members:
        given.setdefault(name.lower(), value)
    if profile.fanspeed_sets_fan and "fanspeed" in given:
        given.setdefault("manualfanspeed", given["fanspeed"])
    changes: dict[str, Value] = {}
    errors = []
    for rest_name, row in BY_REST_NAME.items():
        if rest_name not in given:
            continue
        try:
            changes[row.name] = _check(row, given[rest_name], profile)
        except SettingError as error:
            errors.append(str(error))
    if profile.overclock_guarded:
        errors += _check_overclock(settings, changes, board)
    if errors:
        raise SettingError("; ".join(errors))
    return changes


def _check(row: Setting, value: JsonValue, profile: Profile) -> Value:
    if row.kind is Kind.STRING:
        return _check_string(row, value, profile)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_allowed = is_number or (row.kind is Kind.BOOLEAN and isinstance(value, bool))
    low, high = row.limits(profile)
    if not is_allowed or not isinstance(value, int | float):
        wanted = _range(row, profile)
        raise SettingError(
            f"{row.rest_name}: {_show(value)} is no {row.kind} ({wanted})"
        )
    number = float(value) if row.kind is Kind.FLOAT else _whole(value)
    if not low <= number <= high:
        raise SettingError(
            f"{row.rest_name}: {_show(value)} is outside {_range(row, profile)}"
        )
    if row.name == "rotation_degrees" and number not in ROTATIONS:
        raise SettingError(f"rotation: {_show(value)} is none of 0, 90, 180, 270")
    if row.kind is Kind.BOOLEAN:
        return bool(number)
    return float32(number) if row.kind is Kind.FLOAT else number


def _check_string(row: Setting, value: JsonValue, profile: Profile) -> str:
    name = row.rest_name
    if not isinstance(value, str):
        shown = "a value" if row.is_secret else _show(value)
        raise SettingError(f"{name}: {shown} is no string")
    size = len(value.encode("utf-8", "surrogateescape"))
    shown = f"{size} bytes" if row.is_secret or size > row.maximum else repr(value)
    if not row.minimum <= size <= row.maximum:
        raise SettingError(
            f"{name}: {shown} is outside {row.minimum}..{row.maximum} bytes"
        )
    if row.name == "display" and value not in DISPLAYS:
        raise SettingError(f"{name}: {shown} is none of {', '.join(DISPLAYS)}")
    if (
        row.name == "hostname"
        and profile.hostname_checked
        and not HOSTNAME.fullmatch(value)
    ):
        raise SettingError(f"{name}: {shown} may hold letters, digits and hyphens only")
    if (
        row.name == "wifi_password"
        and profile.short_wifi_password_refused
        and 0 < size < MIN_WIFI_PASSWORD
    ):
        raise SettingError(
            f"{name}: {shown} is outside {MIN_WIFI_PASSWORD}..{row.maximum} bytes "
            "(or empty for an open network)"
        )
    return value


def _check_overclock(
    settings: Settings, changes: Mapping[str, Value], board: Board
) -> list[str]:
    if changes.get("is_overclock_enabled", settings.is_overclock_enabled):
        return []
    errors = []
    options = {
        "frequency_mhz": board.chip.frequency_options_mhz,
        "core_voltage_mv": board.chip.core_voltage_options_mv,
    }
    for name, allowed in options.items():
        # A form sends every setting back: what is in force may stay.
        if name in changes and changes[name] not in (*allowed, getattr(settings, name)):
            row = BY_NAME[name]
            errors.append(
                f"{row.rest_name}: {changes[name]:g} {row.unit} is none of the board's "
                f"options {', '.join(map(str, allowed))}; "
                "other values need overclockEnabled 1"
            )
    return errors


def _whole(value: float) -> int:
    """Cut towards zero and saturate, as cJSON's integers do."""
    return int(max(min(value, INT_LIMIT - 1), -INT_LIMIT))


def _range(row: Setting, profile: Profile) -> str:
    low, high = row.limits(profile)
    if row.kind is Kind.BOOLEAN:
        return "0 or false" if high == 0 else "0, 1, false or true"
    unit = f" {row.unit}" if row.unit else ""
    return f"{low}..{high}{unit}"


def _show(value: JsonValue) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    text = repr(value) if isinstance(value, str) else f"{value:.10g}"
    return text if len(text) <= 80 else text[:77] + "..."
