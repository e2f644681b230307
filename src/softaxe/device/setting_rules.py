"""Every setting of every firmware version, one row each.

PATCH, the info answer, storage, the OpenAPI document and docs/api.md read these rows.
Names, types, limits and defaults of a release are in its column of the catalogue; what
is the same in all, and what the API page promises, is here. `rules` puts both together.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from softaxe.catalog import Board
from softaxe.catalog.firmware import Firmware, SettingRow, firmware
from softaxe.device.pool_slots import PoolSlot
from softaxe.device.profile import FIRMWARE, ROWS, Profile
from softaxe.device.profile import Kind as RowKind

Stored = str | int | float
Value = str | int | float | bool | tuple[PoolSlot, ...]

U16 = 0xFFFF
"""The most that NVS holds of an ordinary number, and of a flag."""
I32 = 2**31
U64 = 2**63 - 1
MOST_FLOAT = 3.4e38
MOST_TEXT_BYTES = 3999
"""The most that NVS holds of a text. Source: ESP-IDF, nvs_set_str."""
NO_HOSTNAME = "espressif"
"""Where none is stored, not even by the factory file. Source: ESP-IDF."""
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
PRIMARY_COLOR_NAME, PRIMARY_COLOR = "--primary-color", "#F80421"
"""The one that is left from 2.15 on. Source: same."""


class Kind(StrEnum):
    """How a setting is written in JSON and stored."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    POOLS = "array"


class Effect(StrEnum):
    """When a change is felt."""

    AT_ONCE = "at once"
    NEXT_PASS = "within 2 s"
    STATISTICS = "within 5 s"
    RECONNECT = "with the next connection"
    RESTART = "after a restart"


class Limits(Struct, frozen=True):
    """What values of a setting are allowed."""

    minimum: int
    """Of the number, or of the bytes of a string."""
    maximum: int
    pattern: str | None = None
    """What the whole string must match."""
    pattern_in_words: str = ""
    may_be_empty: bool = False
    """An empty string is allowed, however many bytes another one must have."""


ANY_U16 = Limits(0, U16)


class Alias(Struct, frozen=True):
    """A name of the API page that a release may not know, for a setting it has."""

    name: str
    row: str
    """Of the profile table, where the name is promised."""
    demand: str
    """Row of the table where the page asks for a good value: a device ignores any."""


class Setting(Struct, frozen=True):
    """One row: what is the same in every release."""

    name: str
    """Of the attribute of `Settings`."""
    nvs_key: str
    """In the releases that are newest."""
    rest_name: str | None
    """In a PATCH; None: not to be had there."""
    kind: Kind
    default: Value
    """Of the factory file."""
    effect: Effect
    description: str
    unit: str = ""
    is_secret: bool = False
    limits: Limits = ANY_U16
    """Where no release checks it."""
    page_row: str = ""
    """Row of the profile table where the API page says something else of its values."""
    page_limits: Limits | None = None
    """What the page allows."""
    page_understands: re.Pattern[str] | None = None
    """What of a text the page gives a meaning and the firmware does not."""
    alias: Alias | None = None


class Rule(Struct, frozen=True):
    """A setting as a release has it in a profile, or as the page promises it there."""

    setting: Setting
    names: tuple[str, ...]
    """In a PATCH, best first; none where it cannot be changed there."""
    nvs_key: str
    own_limits: Limits
    """What the release takes; what a later one does, where it takes anything."""
    choices: tuple[int, ...] | tuple[str, ...]
    """The only values allowed; empty where the limits say it all."""
    effect: Effect
    is_checked: bool
    """False: the release takes whatever comes."""
    is_own: bool
    """False: the release does not have it, the page promises it."""
    compiled: Stored
    """What a text is by default, where the factory file has none."""
    is_refilled: bool
    """A stored empty text reads back as the default."""
    profile: Profile

    @property
    def name(self) -> str:
        """Of the attribute of `Settings`."""
        return self.setting.name

    @property
    def kind(self) -> Kind:
        """How it is written in JSON and stored."""
        return self.setting.kind

    @property
    def limits(self) -> Limits:
        """What is taken."""
        page = self._page_limits
        if page and self.profile.keeps(self.setting.page_row):
            return page
        return self.own_limits

    @property
    def asked(self) -> Limits | None:
        """What the page asks for beyond what a device takes, if the profile cares."""
        row = self.setting.page_row
        is_demand = row and ROWS[row].kind is RowKind.DEMAND
        is_asked = is_demand and getattr(self.profile, row)
        return self._page_limits if is_asked else None

    @property
    def asked_words(self) -> str:
        """The same in words; empty where it asks for nothing."""
        asked = self.asked
        return "" if asked is None else asked.pattern_in_words or self.allowed(asked)

    @property
    def _page_limits(self) -> Limits | None:
        page = self.setting.page_limits
        if page and page.may_be_empty and self.own_limits.minimum:
            return replace(page, may_be_empty=False)
        return page

    def is_understood(self, value: object) -> bool:
        """True for a text that the page gives a meaning and the firmware does not."""
        pattern = self.setting.page_understands
        if pattern is None or not isinstance(value, str):
            return False
        row = self.setting.page_row
        return self.profile.keeps(row) and pattern.search(value) is not None

    def allowed(self, limits: Limits) -> str:
        """What limits allow, in words."""
        unit = self.setting.unit
        if self.kind is Kind.POOLS:
            return "an array of pools"
        if self.choices:
            return f"{', '.join(map(str, self.choices))} {unit}".rstrip()
        if self.kind is Kind.BOOLEAN:
            return "0 or false" if limits.maximum == 0 else "0, 1, false or true"
        unit = "bytes" if self.kind is Kind.STRING else unit
        text = f"{limits.minimum}..{limits.maximum} {unit}".rstrip()
        return f"{text}, or empty" if limits.may_be_empty else text


def _s(  # noqa: PLR0917 - a table reads best as columns
    name: str,
    nvs_key: str,
    rest_name: str | None,
    default: Value,
    effect: Effect,
    description: str,
    unit: str = "",
    *,
    is_secret: bool = False,
    limits: Limits = ANY_U16,
    page: tuple[str, Limits | re.Pattern[str]] | None = None,
    alias: Alias | None = None,
) -> Setting:
    row = Setting(
        name,
        nvs_key,
        rest_name,
        _KINDS[type(default)],
        default,
        effect,
        description,
        unit,
        is_secret,
        limits,
        alias=alias,
    )
    match page:
        case (page_row, Limits() as page_limits):
            return replace(row, page_row=page_row, page_limits=page_limits)
        case (page_row, re.Pattern() as pattern):
            return replace(row, page_row=page_row, page_understands=pattern)
    return row


_KINDS: Mapping[type, Kind] = {
    str: Kind.STRING,
    int: Kind.INTEGER,
    float: Kind.FLOAT,
    bool: Kind.BOOLEAN,
    tuple: Kind.POOLS,
}
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
    _s("ssid", "wifissid", "ssid", "softaxe", _REBOOT, "Wi-Fi network"),
    _s("wifi_password", "wifipass", "wifiPass", "softaxe-wifi", _REBOOT,
       "Wi-Fi password; empty for an open network", is_secret=True,
       page=_WIFI_PASSWORD),
    _s("hostname", "hostname", "hostname", "bitaxe", _REBOOT,
       "Hostname on the network", page=_HOSTNAME),
    _s("stratum_protocol", "stratumprot", "stratumProtocol", "SV1", _REBOOT,
       "Protocol of the primary pool"),
    _s("stratum_url", "stratumurl", "stratumURL", "public-pool.io", _REBOOT,
       "Primary pool's host", page=_URL),
    _s("stratum_port", "stratumport", "stratumPort", 21496, _REBOOT,
       "Primary pool's port", page=_PORT),
    _s("stratum_user", "stratumuser", "stratumUser", POOL_USER, _REBOOT,
       "User at the primary pool"),
    _s("stratum_password", "stratumpass", "stratumPassword", "x", _REBOOT,
       "Password at the primary pool", is_secret=True),
    _s("stratum_suggested_difficulty", "stratumdiff", "stratumSuggestedDifficulty",
       1000, _REBOOT, "Difficulty to suggest; 0 suggests none"),
    _s("stratum_extranonce_subscribe", "stratumxnsub", "stratumExtranonceSubscribe",
       False, _REBOOT, "Ask the primary pool for new extranonces"),
    _s("stratum_tls", "stratumtls", "stratumTLS", 0, _REBOOT,
       "TLS to the primary pool: 0 none, 1 with known authorities, 2 with stratumCert"),
    _s("stratum_cert", "stratumcert", "stratumCert", "x", _REBOOT,
       "Certificate of the primary pool, as PEM"),
    _s("stratum_decode_coinbase", "stratumdecode", "stratumDecodeCoinbase", True,
       _REBOOT, "Read the primary pool's coinbase"),
    _s("stratum_v2_channel_type", "sv2chantype", "stratumV2ChannelType", "extended",
       _REBOOT, "Channel to open at the primary pool"),
    _s("stratum_v2_authority_pubkey", "sv2authpubkey", "stratumV2AuthorityPubkey", "",
       _REBOOT, "Authority's key of the primary pool, in base58"),
    _s("fallback_stratum_protocol", "fbstratumprot", "fallbackStratumProtocol", "SV1",
       _REBOOT, "Protocol of the fallback pool"),
    _s("fallback_stratum_url", "fbstratumurl", "fallbackStratumURL",
       "solo.ckpool.org", _REBOOT, "Fallback pool's host; empty for none",
       page=_URL),
    _s("fallback_stratum_port", "fbstratumport", "fallbackStratumPort",
       3333, _REBOOT, "Fallback pool's port", page=_PORT),
    _s("fallback_stratum_user", "fbstratumuser", "fallbackStratumUser",
       POOL_USER, _REBOOT, "User at the fallback pool"),
    _s("fallback_stratum_password", "fbstratumpass", "fallbackStratumPassword",
       "x", _REBOOT, "Password at the fallback pool", is_secret=True),
    _s("fallback_stratum_suggested_difficulty", "fbstratumdiff",
       "fallbackStratumSuggestedDifficulty", 1000, _REBOOT,
       "Difficulty to suggest to the fallback pool"),
    _s("fallback_stratum_extranonce_subscribe", "stratumfbxnsub",
       "fallbackStratumExtranonceSubscribe", False, _REBOOT,
       "Ask the fallback pool for new extranonces"),
    _s("fallback_stratum_tls", "fbstratumtls", "fallbackStratumTLS", 0, _REBOOT,
       "TLS to the fallback pool, as stratumTLS"),
    _s("fallback_stratum_cert", "fbstratumcert", "fallbackStratumCert", "x", _REBOOT,
       "Certificate of the fallback pool, as PEM"),
    _s("fallback_stratum_decode_coinbase", "fbstratumdecode",
       "fallbackStratumDecodeCoinbase", True, _REBOOT,
       "Read the fallback pool's coinbase"),
    _s("fallback_stratum_v2_channel_type", "fbsv2chantype",
       "fallbackStratumV2ChannelType", "extended", _REBOOT,
       "Channel to open at the fallback pool"),
    _s("fallback_stratum_v2_authority_pubkey", "fbsv2authpubk",
       "fallbackStratumV2AuthorityPubkey", "", _REBOOT,
       "Authority's key of the fallback pool, in base58"),
    _s("pools", "", "pools", (), Effect.RECONNECT,
       "Pools to choose from, at most 8 of them; each has its `id`, from 0"),
    _s("primary_pool_index", "prim_idx", "primaryPoolIndex", 0, _REBOOT,
       "Which of the pools is the primary one"),
    _s("secondary_pool_index", "sec_idx", "secondaryPoolIndex", 1, _REBOOT,
       "Which of the pools is the fallback"),
    _s("use_fallback_stratum", "usefbstartum", "useFallbackStratum", False,
       _REBOOT, "Start on the fallback pool and stay there"),
    _s("frequency_mhz", "asicfrequency_f", "frequency", 525.0, _PASS,
       "Chip frequency", "MHz"),
    _s("core_voltage_mv", "asicvoltage", "coreVoltage", 1150, _PASS,
       "Core voltage", "mV"),
    _s("is_overclock_enabled", "oc_enabled", "overclockEnabled", False, _NOW,
       "Allow frequencies and voltages outside the board's options"),
    _s("display", "display", "display", "SSD1306 (128x32)", _REBOOT,
       "Kind of display"),
    _s("rotation_degrees", "rotation", "rotation", 0, _REBOOT,
       "Screen rotation", "degrees"),
    _s("is_screen_flipped", "flipscreen", "flipscreen", True, _REBOOT,
       "Turn the screen upside down, as it is built in", limits=Limits(0, 1)),
    _s("is_screen_inverted", "invertscreen", "invertscreen", False, _REBOOT,
       "Invert the screen"),
    _s("display_offset", "displayOffset", "displayOffset", 96, _REBOOT,
       "First line of an SH1107 display"),
    _s("display_timeout_min", "displayTimeout", "displayTimeout", -1, _NOW,
       "Display timeout; -1 is always on, 0 always off", "min"),
    _s("is_fan_automatic", "autofanspeed", "autofanspeed", True, _PASS,
       "Control the fan by temperature"),
    _s("fan_manual_percent", "manualfanspeed", "manualFanSpeed", 100, _PASS,
       "Fan speed without automatic control", "%",
       alias=_FANSPEED),
    _s("fan_min_percent", "minfanspeed", "minFanSpeed", 25, _REBOOT,
       "Minimum fan speed of the automatic control", "%"),
    _s("target_temperature_c", "temptarget", "temptarget", 60, _PASS,
       "Target of the automatic fan control", "°C",
       page=_TARGET),
    _s("is_overheated", "overheat_mode", "overheat_mode", False, _PASS,
       "Set by the overheat protection; can only be cleared"),
    _s("statistics_interval_s", "statsFrequency", "statsFrequency", 0,
       Effect.STATISTICS, "Statistics interval; 0 switches them off", "s"),
    _s("statistics_limit", "statsLimit", "statsLimit", 0, _REBOOT,
       "Most rows of the statistics; 0 switches them off", limits=Limits(0, 720)),
    _s("statistics_duration", "statsDuration", "statsDuration", 1, _REBOOT,
       "Time that the statistics reach back, in hours", "h", limits=Limits(1, 720)),
    _s("use_custom_www", "use_custom_www", "useCustomWWW", False, _REBOOT,
       "Show the page of the www partition, not the firmware's own"),
    _s("last_build", "last_fw_fp", None, "", _REBOOT,
       "Firmware of the last boot; another one shows its own page"),
    _s("best_difficulty", "bestdiff", None, 0, _NOW,
       "Best difficulty ever", limits=Limits(0, U64)),
    _s("theme_scheme", "themescheme", None, "dark", _NOW,
       "Colour scheme of the web page"),
    _s("theme_colors", "themecolors", None, THEME_COLORS, _NOW,
       "Accent colours of the web page, JSON"),
    _s("theme_color", "themecolor", None, PRIMARY_COLOR, _NOW,
       "Colour of the web page, from 2.15 on"),
)
# fmt: on

BY_NAME = {row.name: row for row in SETTINGS}
_ON_PAGE = """
    stratumURL stratumPort stratumUser stratumPassword fallbackStratumURL
    fallbackStratumPort fallbackStratumUser fallbackStratumPassword useFallbackStratum
    ssid wifiPass hostname coreVoltage frequency overclockEnabled autofanspeed fanspeed
    temptarget rotation invertscreen displayTimeout overheat_mode statsFrequency
"""
PAGE_NAMES = frozenset(_ON_PAGE.split())
"""What the API page lists as settings: promised whatever the release."""


@cache
def rules(release: Firmware, profile: Profile) -> Mapping[str, Rule]:
    """Return every setting that a release has, or the page promises there, by name."""
    profile = profile.on(release)
    found = (_rule(row, release, profile) for row in SETTINGS)
    return {rule.name: rule for rule in found if rule is not None}


def shown_later(release: Firmware) -> frozenset[str]:
    """Return what a PATCH calls the settings that are felt after a restart only."""
    found = rules(release, FIRMWARE).values()
    return frozenset(
        name for rule in found if rule.effect is Effect.RESTART for name in rule.names
    )


def _rule(row: Setting, release: Firmware, profile: Profile) -> Rule | None:
    name, alias = row.rest_name, row.alias
    column = own = release.settings.get(name or "")
    if own is None and alias is not None:
        column = own = release.settings.get(alias.name)
    usual = firmware().settings.get(name or "")
    if own is None and name in PAGE_NAMES and profile.keeps("page_settings_known"):
        column = usual
    names = () if column is None else (column.key,)
    if column is None and name is not None:
        return None
    if alias and alias.name not in names and profile.keeps(alias.row):
        names = (*names, alias.name)
    is_checked = release.rows.checks_patches
    ruling = column if column and column.maximum is not None else usual
    return Rule(
        row,
        names,
        row.nvs_key if column is None else column.nvs_key,
        _limits(row, ruling),
        ruling.values if ruling else (),
        _effect(row, column),
        is_checked,
        own is not None,
        _default(row, own),
        release.rows.empty_text_is_default,
        profile,
    )


def _limits(row: Setting, column: SettingRow | None) -> Limits:
    if column is None or column.minimum is None or column.maximum is None:
        return row.limits
    return Limits(column.minimum, column.maximum)


def _effect(row: Setting, column: SettingRow | None) -> Effect:
    if column is None or column.applied.startswith("restart"):
        return row.effect
    is_later = row.effect is Effect.RESTART
    fan = row.name == "fan_min_percent"
    return (_PASS if fan else _NOW) if is_later else row.effect


def _default(row: Setting, column: SettingRow | None) -> Stored:
    if row.kind is not Kind.STRING:
        return ""
    if column is not None and column.default is not None:
        return column.default
    return NO_HOSTNAME if row.name == "hostname" else str(row.default)


def board_options(board: Board) -> dict[str, tuple[int, ...]]:
    """What a board may run at without being overclocked, by Python name."""
    return {
        "frequency_mhz": board.chip.frequency_options_mhz,
        "core_voltage_mv": board.chip.core_voltage_options_mv,
    }
