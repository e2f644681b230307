"""Every setting, one row each.

PATCH, the info answer, storage, the OpenAPI document and docs/api.md read these rows.
Names, types, limits and defaults are the firmware's (ESP-Miner nvs_config.c); where the
API page promises something else, `softaxe.device.profile` names the difference.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf
from typing import Any

from softaxe.catalog import Board
from softaxe.device.profile import ROWS, Profile
from softaxe.device.profile import Kind as RowKind
from softaxe.device.scoreboard import KEYS as SCOREBOARD_KEYS
from softaxe.device.totals import KEYS as TOTALS_KEYS
from softaxe.errors import PatchRefused, SettingError
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
INT_LIMIT = 2**31
SAYS = ", says the API page"
MAX_SHOWN = 80
"""Characters of a refused value that an error quotes."""
POOL_USER = "bc1qnp980s5fpp8l94p5cvttmtdqy8rvrq74qly2yrfmzkdsntqzlc5qkc4rkq.bitaxe"
"""The factory files' user. Source: ESP-Miner config-601.cvs."""
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
"""Source: ESP-Miner theme_api.c."""


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
class Limits:
    """What values of a setting are allowed."""

    minimum: int
    """Of the number, or of the bytes of a string."""
    maximum: int
    pattern: str | None = None
    """What the whole string must match."""
    pattern_in_words: str = ""
    may_be_empty: bool = False
    """An empty string is allowed, however many bytes another one must have."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A name of the API page that the firmware does not know, for a setting it has."""

    name: str
    row: str
    """Of the profile table, where the name is promised."""
    demand: str
    """Row of the table where the page asks for a good value: a device ignores any."""


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
    firmware_limits: Limits
    effect: Effect
    description: str
    unit: str = ""
    is_secret: bool = False
    is_in_info: bool = True
    choices: tuple[int, ...] | tuple[str, ...] = ()
    """The only values allowed; empty where the limits say it all."""
    page_row: str = ""
    """Row of the profile table where the API page says something else of its values."""
    page_limits: Limits | None = None
    """What the page allows."""
    page_understands: re.Pattern[str] | None = None
    """What of a text the page gives a meaning and the firmware does not."""
    alias: Alias | None = None

    def limits(self, profile: Profile) -> Limits:
        """What a profile takes."""
        if self.page_limits and profile.keeps(self.page_row):
            return self.page_limits
        return self.firmware_limits

    def asked(self, profile: Profile) -> Limits | None:
        """What the page asks for beyond what a device takes, if a profile cares."""
        is_demand = self.page_row and ROWS[self.page_row].kind is RowKind.DEMAND
        return (
            self.page_limits if is_demand and getattr(profile, self.page_row) else None
        )

    def asked_words(self, profile: Profile) -> str:
        """The same in words; empty where it asks for nothing."""
        asked = self.asked(profile)
        return "" if asked is None else asked.pattern_in_words or self.allowed(asked)

    def is_understood(self, value: object, profile: Profile) -> bool:
        """True for a text that the page gives a meaning and the firmware does not."""
        pattern = self.page_understands
        if pattern is None or not isinstance(value, str):
            return False
        return profile.keeps(self.page_row) and pattern.search(value) is not None

    def rest_names(self, profile: Profile) -> tuple[str, ...]:
        """Names in a PATCH, best first."""
        alias = self.alias
        other = alias.name if alias and profile.keeps(alias.row) else None
        return tuple(name for name in (self.rest_name, other) if name)

    def allowed(self, limits: Limits) -> str:
        """What limits allow, in words."""
        if self.choices:
            return f"{', '.join(map(str, self.choices))} {self.unit}".rstrip()
        if self.kind is Kind.BOOLEAN:
            return "0 or false" if limits.maximum == 0 else "0, 1, false or true"
        unit = "bytes" if self.kind is Kind.STRING else self.unit
        text = f"{limits.minimum}..{limits.maximum} {unit}".rstrip()
        return f"{text}, or empty" if limits.may_be_empty else text


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
    choices: tuple[int, ...] | tuple[str, ...] = (),
    page: tuple[str, Limits | re.Pattern[str]] | None = None,
    alias: Alias | None = None,
) -> Setting:
    kinds = {str: Kind.STRING, int: Kind.INTEGER, float: Kind.FLOAT, bool: Kind.BOOLEAN}
    row = Setting(
        name,
        nvs_key,
        rest_name,
        kinds[type(default)],
        default,
        Limits(minimum, maximum),
        effect,
        description,
        unit,
        is_secret,
        is_in_info and not is_secret,
        choices,
        alias=alias,
    )
    match page:
        case (page_row, Limits() as limits):
            return replace(row, page_row=page_row, page_limits=limits)
        case (page_row, re.Pattern() as pattern):
            return replace(row, page_row=page_row, page_understands=pattern)
    return row


_REBOOT, _PASS, _NOW = Effect.RESTART, Effect.NEXT_PASS, Effect.AT_ONCE
_URL = ("pool_url_scheme_understood", re.compile(r"/|^\[|^[^:]*:[^:]*$"))
_PORT = ("port_checked", Limits(1, 65535))
_WIFI_PASSWORD = ("wifi_password_checked", Limits(8, 63, may_be_empty=True))
_HOSTNAME = (
    "hostname_checked",
    Limits(1, 32, "[A-Za-z0-9-]+", "letters, digits and hyphens only"),
)
_TARGET = ("wide_target_temperature", Limits(0, 100))
_FANSPEED = Alias("fanspeed", "fanspeed_sets_fan", "fanspeed_checked")

# fmt: off
SETTINGS: tuple[Setting, ...] = (
    _s("ssid", "wifissid", "ssid", "softaxe", 1, 32, _REBOOT,
       "Wi-Fi network"),
    _s("wifi_password", "wifipass", "wifiPass", "softaxe-wifi", 0, 63, _REBOOT,
       "Wi-Fi password; empty for an open network", is_secret=True,
       page=_WIFI_PASSWORD),
    _s("hostname", "hostname", "hostname", "bitaxe", 1, 32, _REBOOT,
       "Hostname on the network", page=_HOSTNAME),
    _s("stratum_url", "stratumurl", "stratumURL", "public-pool.io", 0, 3999, _REBOOT,
       "Primary pool's host", page=_URL),
    _s("stratum_port", "stratumport", "stratumPort", 21496, 0, 65535, _REBOOT,
       "Primary pool's port", page=_PORT),
    _s("stratum_user", "stratumuser", "stratumUser", POOL_USER, 0, 3999, _REBOOT,
       "User at the primary pool"),
    _s("stratum_password", "stratumpass", "stratumPassword", "x", 0, 3999, _REBOOT,
       "Password at the primary pool", is_secret=True),
    _s("stratum_suggested_difficulty", "stratumdiff", "stratumSuggestedDifficulty",
       1000, 0, 65535, _REBOOT, "Difficulty to suggest; 0 suggests none"),
    _s("stratum_extranonce_subscribe", "stratumxnsub", "stratumExtranonceSubscribe",
       False, 0, 1, _REBOOT, "Ask the primary pool for new extranonces"),
    _s("fallback_stratum_url", "fbstratumurl", "fallbackStratumURL",
       "solo.ckpool.org", 0, 3999, _REBOOT, "Fallback pool's host; empty for none",
       page=_URL),
    _s("fallback_stratum_port", "fbstratumport", "fallbackStratumPort",
       3333, 0, 65535, _REBOOT, "Fallback pool's port", page=_PORT),
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
       "Kind of display", choices=DISPLAYS),
    _s("rotation_degrees", "rotation", "rotation", 0, 0, 270, _REBOOT,
       "Screen rotation", "degrees", choices=ROTATIONS),
    _s("is_screen_inverted", "invertscreen", "invertscreen", False, 0, 1, _REBOOT,
       "Invert the screen"),
    _s("display_offset", "displayOffset", "displayOffset", 96, 0, 255, _REBOOT,
       "First line of an SH1107 display", is_in_info=False),
    _s("display_timeout_min", "displayTimeout", "displayTimeout", -1, -1, 65535, _NOW,
       "Display timeout; -1 is always on, 0 always off", "min"),
    _s("is_fan_automatic", "autofanspeed", "autofanspeed", True, 0, 1, _PASS,
       "Control the fan by temperature"),
    _s("fan_manual_percent", "manualfanspeed", "manualFanSpeed", 100, 0, 100, _PASS,
       "Fan speed without automatic control", "%",
       alias=_FANSPEED),
    _s("fan_min_percent", "minfanspeed", "minFanSpeed", 25, 0, 99, _REBOOT,
       "Least fan speed of the automatic control", "%"),
    _s("target_temperature_c", "temptarget", "temptarget", 60, 35, 66, _PASS,
       "Target of the automatic fan control", "°C",
       page=_TARGET),
    _s("is_overheated", "overheat_mode", "overheat_mode", False, 0, 0, _PASS,
       "Set by the overheat protection; can only be cleared"),
    _s("statistics_interval_s", "statsFrequency", "statsFrequency", 0, 0, 65535,
       Effect.STATISTICS, "Statistics interval; 0 switches them off", "s"),
    _s("best_difficulty", "bestdiff", None, 0, 0, 2**63 - 1, _NOW,
       "Best difficulty ever"),
    _s("use_custom_www", "use_custom_www", None, False, 0, 1, _REBOOT,
       "Show the page of the www partition, not the firmware's own"),
    _s("last_build", "last_fw_fp", None, "", 0, 3999, _REBOOT,
       "Firmware of the last boot; another one shows its own page"),
    _s("theme_scheme", "themescheme", None, "dark", 0, 3999, _NOW,
       "Colour scheme of the web page"),
    _s("theme_colors", "themecolors", None, THEME_COLORS, 0, 3999, _NOW,
       "Accent colours of the web page, JSON"),
)
# fmt: on

BY_NAME = {row.name: row for row in SETTINGS}
BY_NVS_KEY = {row.nvs_key: row for row in SETTINGS}


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
    use_custom_www: bool
    last_build: str
    theme_scheme: str
    theme_colors: str

    @classmethod
    def from_nvs(cls, stored: Mapping[str, Stored], board: Board) -> "Settings":
        """Take stored rows, and factory settings for the rest.

        Args:
            stored: Values by NVS key; keys that are no setting are left alone.
            board: Whose factory settings.

        Raises:
            SettingError: A value is none that a setting can have.
        """
        values: dict[str, Any] = {row.name: row.default for row in SETTINGS}
        values["frequency_mhz"] = float(board.default_frequency_mhz)
        values["core_voltage_mv"] = board.default_core_voltage_mv
        for row in SETTINGS:
            if row.nvs_key in stored:
                values[row.name] = _from_stored(row, stored[row.nvs_key])
        return cls(**values)

    def to_nvs(self, names: Iterable[str] = BY_NAME) -> dict[str, Stored]:
        """Values by NVS key, all unless `names` says which; booleans as 0 and 1."""
        rows = (BY_NAME[name] for name in names)
        return {row.nvs_key: _to_stored(getattr(self, row.name)) for row in rows}

    def changed(self, changes: Mapping[str, Value]) -> "Settings":
        """Return settings with these values, by name; they must be checked."""
        return replace(self, **changes)  # type: ignore[arg-type]


def sift_stored(
    stored: Mapping[str, object],
) -> tuple[dict[str, Stored], list[str]]:
    """Sort out stored rows that hold what no setting can have, as after a disk fault.

    Returns:
        The rows that are left, by NVS key, and a complaint about every other one.
    """
    kept: dict[str, Stored] = {}
    complaints = []
    for key, value in stored.items():
        if isinstance(value, str) and key in SCOREBOARD_KEYS:
            kept[key] = value
        if isinstance(value, int) and key in TOTALS_KEYS:
            kept[key] = value
        if (row := BY_NVS_KEY.get(key)) is None:
            continue
        try:
            kept[key] = _to_stored(_from_stored(row, value))
        except SettingError as error:
            complaints.append(str(error))
    return kept, complaints


def _from_stored(row: Setting, value: object) -> Value:
    """Judge a stored value; the device itself may store more than a PATCH may."""
    name = row.nvs_key
    shown = "a value" if row.is_secret else _show(value)
    if row.kind is Kind.STRING:
        if not isinstance(value, str):
            raise SettingError(f"{name}: {shown} is no string")
        size = _utf8_size(value, name, shown)
        if row.rest_name and size > row.firmware_limits.maximum:
            raise SettingError(f"{name}: {size} bytes are too many")
    else:
        is_whole = isinstance(value, int) or row.kind is Kind.FLOAT
        if not isinstance(value, int | float) or not is_whole:
            raise SettingError(f"{name}: {shown} is no {row.kind}")
        limits = [row.firmware_limits, row.page_limits or row.firmware_limits]
        least = min(limit.minimum for limit in limits)
        most = max(limit.maximum for limit in limits)
        if row.kind is Kind.BOOLEAN:
            least, most = 0, 1
        if not least <= value <= most:
            raise SettingError(f"{name}: {shown} is outside {least}..{most}")
    if row.choices and value not in row.choices:
        raise SettingError(f"{name}: {shown} is none of {row.choices}")
    if row.kind is Kind.FLOAT:
        return float(value)
    return bool(value) if row.kind is Kind.BOOLEAN else value


def _to_stored(value: Value) -> Stored:
    return int(value) if isinstance(value, bool) else value


def board_options(board: Board) -> dict[str, tuple[int, ...]]:
    """What a board may run at without being overclocked, by Python name."""
    return {
        "frequency_mhz": board.chip.frequency_options_mhz,
        "core_voltage_mv": board.chip.core_voltage_options_mv,
    }


@dataclass(frozen=True, slots=True)
class Patch:
    """A PATCH that is taken."""

    changes: Mapping[str, Value]
    """By Python name."""
    warnings: tuple[str, ...]
    """What the API page asks for and this does not meet."""
    differs: tuple[str, ...]
    """Rows of the profile table by which a device would do something else."""


def check_patch(
    settings: Settings,
    members: list[tuple[str, JsonValue]],
    *,
    profile: Profile,
    board: Board,
) -> Patch:
    """Check a PATCH as a whole.

    Names are compared without case and the first of equal names counts, as cJSON does;
    unknown names are ignored.

    Args:
        settings: As they are.
        members: The request's members in their order.
        profile: Which limits hold.
        board: For the options of frequency and voltage.

    Raises:
        PatchRefused: Names every member that is not allowed, its value and what is.
    """
    given: dict[str, JsonValue] = {}
    for name, value in members:
        given.setdefault(name.lower(), value)
    judgement = _Judgement(profile)
    for row in SETTINGS:
        for name in row.rest_names(profile):
            if name.lower() in given:
                judgement.judge(row, name, given[name.lower()])
    changes = judgement.changes
    if not changes.get("is_overclock_enabled", settings.is_overclock_enabled):
        for name, options in board_options(board).items():
            # A form sends every setting back: what is in force may stay.
            kept = getattr(settings, name)
            if (value := changes.get(name, kept)) not in (*options, kept):
                complaint = _off_options(BY_NAME[name], value, options)
                judgement.demand("overclock_guarded", complaint)
    return judgement.result()


@dataclass(slots=True)
class _Judgement:
    """What comes of a PATCH's members, one after the other."""

    profile: Profile
    changes: dict[str, Value] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    differs: dict[str, None] = field(default_factory=dict)
    """Rows of the profile table, in their order of appearance."""

    def judge(self, row: Setting, name: str, value: JsonValue) -> None:
        """Take a member, or complain."""
        profile, limits = self.profile, row.limits(self.profile)
        alias = row.alias if row.alias and row.alias.name == name else None
        objection = _objection(row, name, value, row.firmware_limits)
        if complaint := _objection(row, name, value, limits):
            if alias:  # to a device a name that it does not know
                self.demand(alias.demand, complaint, "; it is left alone")
            elif objection:
                self.refuse("patch_errors_explained", complaint)
            else:
                self.demand(row.page_row, complaint)
            return
        self.changes.setdefault(row.name, _check(row, name, value, limits))
        if alias:
            self.differs[alias.row] = None
        elif objection or row.is_understood(value, profile):
            self.differs[row.page_row] = None
        if asked := row.asked(profile):
            self.demand(row.page_row, _objection(row, name, value, asked), SAYS)

    def demand(self, name: str, complaint: str, more: str = "") -> None:
        """Do what the profile does about a demand.

        Args:
            name: Its row of the profile table.
            complaint: How it is not met; empty when it is.
            more: What a warning says beside the complaint.
        """
        if not complaint:
            return
        if self.profile.warns_of(name):
            self.warnings.append(f"{complaint}{more}")
        elif self.profile.keeps(name):
            self.refuse(name, complaint)

    def refuse(self, difference: str, complaint: str) -> None:
        """Take nothing of the whole."""
        self.errors.append(complaint)
        if getattr(self.profile, difference):
            self.differs[difference] = None

    def result(self) -> Patch:
        """Return what is taken, or raise PatchRefused."""
        if self.errors:
            raise PatchRefused("; ".join(self.errors), tuple(self.differs))
        return Patch(self.changes, tuple(self.warnings), tuple(self.differs))


def unmet_demands(
    settings: Settings, *, profile: Profile, board: Board
) -> dict[str, str]:
    """Tell what the API page has against settings that are in force, by REST name."""
    found = {}
    for row in SETTINGS:
        name, asked = row.rest_name, row.asked(profile)
        if name is None or asked is None:
            continue
        if complaint := _objection(row, name, getattr(settings, row.name), asked):
            found[name] = f"{complaint}{SAYS}"
    if profile.overclock_guarded and not settings.is_overclock_enabled:
        for name, options in board_options(board).items():
            row, value = BY_NAME[name], getattr(settings, name)
            if value not in options and row.rest_name:
                found[row.rest_name] = _off_options(row, value, options)
    return found


def _objection(row: Setting, name: str, value: JsonValue, limits: Limits) -> str:
    """Tell what is wrong with a value, or nothing."""
    try:
        _check(row, name, value, limits)
    except SettingError as error:
        return str(error)
    return ""


def _check(row: Setting, name: str, value: JsonValue, limits: Limits) -> Value:
    if row.kind is Kind.STRING:
        return _check_string(row, name, value, limits)
    allowed = row.allowed(limits)
    is_boolean = isinstance(value, bool)
    if not isinstance(value, int | float) or (
        is_boolean and row.kind is not Kind.BOOLEAN
    ):
        raise SettingError(f"{name}: {_show(value)} is no {row.kind} ({allowed})")
    double = _double(value)
    number = double if row.kind is Kind.FLOAT else _whole(double)
    if not limits.minimum <= number <= limits.maximum:
        raise SettingError(f"{name}: {_show(value)} is outside {allowed}")
    if row.choices and number not in row.choices:
        raise SettingError(f"{name}: {_show(value)} is none of {allowed}")
    if row.kind is Kind.BOOLEAN:
        return bool(number)
    return float32(number) if row.kind is Kind.FLOAT else number


def _check_string(row: Setting, name: str, value: JsonValue, limits: Limits) -> str:
    if not isinstance(value, str):
        shown = "a value" if row.is_secret else _show(value)
        raise SettingError(f"{name}: {shown} is no string")
    if not value and limits.may_be_empty:
        return value
    size = _utf8_size(value, name, "the text" if row.is_secret else _show(value))
    shown = f"{size} bytes" if row.is_secret or size > limits.maximum else _show(value)
    if not limits.minimum <= size <= limits.maximum:
        raise SettingError(f"{name}: {shown} is outside {row.allowed(limits)}")
    if row.choices and value not in row.choices:
        raise SettingError(f"{name}: {shown} is none of {row.allowed(limits)}")
    if limits.pattern and not re.fullmatch(limits.pattern, value):
        raise SettingError(f"{name}: {shown} may hold {limits.pattern_in_words}")
    return value


def _utf8_size(text: str, name: str, shown: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise SettingError(f"{name}: {shown} holds half a character") from error


def _off_options(row: Setting, value: Value, options: tuple[int, ...]) -> str:
    return (
        f"{row.rest_name}: {value:g} {row.unit} is none of the board's options "
        f"{', '.join(map(str, options))}; the API page asks for overclockEnabled 1"
    )


def _double(value: float) -> float:
    """Read a number as cJSON does: as a double, infinite when it is too large."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _whole(value: float) -> int:
    """Cut towards zero and saturate, as cJSON's integers do."""
    return int(max(-INT_LIMIT, min(INT_LIMIT - 1, value)))


def _show(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    if isinstance(value, int | float):
        return f"{_double(value):.10g}"
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
