"""What each answer holds: one row per member, in the firmware's order.

The writer (views), the OpenAPI document and docs/api.md read these rows. Mill units and
AxeOS spellings exist only here. Source: ESP-Miner http_server.c.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from softaxe.api import cjson
from softaxe.device.device import Device
from softaxe.device.profile import Profile
from softaxe.device.state import AsicReading
from softaxe.device.statistics import RejectedReason, Sample

GIGA = 1e9
MILLI = 1000.0


class Kind(StrEnum):
    """How a member is printed."""

    INTEGER = "integer"
    FLOAT7 = "number"
    FLOAT_RAW = "single-precision number"
    DOUBLE = "double-precision number"
    BOOLEAN01 = "0 or 1"
    STRING = "string"
    INTEGERS = "array of integer"
    REASONS = "array of {message, count}"
    MONITOR = "object"


def reasons_text(reasons: Iterable[RejectedReason]) -> str:
    """Print sharesRejectedReasons."""
    return cjson.array(
        cjson.members(
            (
                ("message", cjson.string(reason.message)),
                ("count", cjson.number(reason.count)),
            ),
            depth=3,
        )
        for reason in reasons
    )


def monitor_text(asics: Iterable[AsicReading]) -> str:
    """Print hashrateMonitor."""
    chips = (
        cjson.members(
            (
                ("total", _gigahashes_text(asic.total_hs)),
                ("domains", cjson.array(map(_gigahashes_text, asic.domains_hs))),
                ("errorCount", cjson.number(asic.error_count)),
            ),
            depth=4,
        )
        for asic in asics
    )
    return cjson.members((("asics", cjson.array(chips)),), depth=2)


def _gigahashes_text(rate_hs: float) -> str:
    return cjson.float7(rate_hs / GIGA)


def _integers_text(values: Iterable[int]) -> str:
    return cjson.array(map(cjson.number, values))


PRINTERS: dict[Kind, cjson.Printer] = {
    Kind.INTEGER: cjson.number,
    Kind.FLOAT7: cjson.float7,
    Kind.FLOAT_RAW: cjson.float_raw,
    Kind.DOUBLE: cjson.number,
    Kind.BOOLEAN01: cjson.boolean01,
    Kind.STRING: cjson.string,
    Kind.INTEGERS: _integers_text,
    Kind.REASONS: reasons_text,
    Kind.MONITOR: monitor_text,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One member of the info or asic answer."""

    name: str
    kind: Kind
    get: Callable[[Device], object]
    description: str
    unit: str = ""
    is_optional: bool = False
    """None leaves the member out."""


_INT, _F7, _B01, _STR = Kind.INTEGER, Kind.FLOAT7, Kind.BOOLEAN01, Kind.STRING

# fmt: off
INFO: tuple[Field, ...] = (
    Field("power", _F7, lambda d: d.readings.power_w, "Power", "W"),
    Field("voltage", _F7, lambda d: d.readings.input_voltage_v * MILLI,
          "Input voltage", "mV"),
    Field("current", _F7, lambda d: d.current_a * MILLI,
          "Core current (TPS546) or input current (INA260)", "mA"),
    Field("temp", _F7, lambda d: d.readings.temp_c,
          "Chip temperature; -1 while the chip is off", "°C"),
    Field("temp2", _F7, lambda d: d.readings.temp2_c,
          "Second sensor; -1 without one", "°C"),
    Field("vrTemp", _F7, lambda d: d.readings.vr_temp_c,
          "Voltage regulator temperature", "°C"),
    Field("maxPower", _INT, lambda d: d.board.max_power_w, "Most the board takes", "W"),
    Field("nominalVoltage", _INT, lambda d: d.board.nominal_voltage_v,
          "Input voltage the board is made for", "V"),
    Field("hashRate", _F7, lambda d: d.hashrate.current_hs / GIGA,
          "Hash rate of the last poll", "GH/s"),
    Field("hashRate_1m", _F7, lambda d: d.hashrate.one_minute_hs / GIGA,
          "Average over a minute", "GH/s"),
    Field("hashRate_10m", _F7, lambda d: d.hashrate.ten_minutes_hs / GIGA,
          "Average over ten minutes", "GH/s"),
    Field("hashRate_1h", _F7, lambda d: d.hashrate.one_hour_hs / GIGA,
          "Average over an hour", "GH/s"),
    Field("expectedHashrate", _F7, lambda d: d.expected_hashrate_hs / GIGA,
          "What the frequency should give", "GH/s"),
    Field("errorPercentage", _F7, lambda d: d.error_percentage,
          "Errored share of the hash rate", "%"),
    Field("bestDiff", _INT, lambda d: d.best_difficulty, "Best difficulty ever"),
    Field("bestSessionDiff", _INT, lambda d: d.best_session_difficulty,
          "Best difficulty since boot"),
    Field("poolDifficulty", _INT, lambda d: d.pool_difficulty,
          "Difficulty the pool asks for"),
    Field("isUsingFallbackStratum", _B01, lambda d: d.is_using_fallback,
          "Whether the fallback pool is in use"),
    Field("poolAddrFamily", _INT, lambda d: d.pool_address_family,
          "0 not connected, 2 IPv4, 10 IPv6"),
    Field("isPSRAMAvailable", _B01, lambda d: True, "Whether there is PSRAM"),
    Field("freeHeap", _INT, lambda d: d.heap.free, "Free memory", "bytes"),
    Field("freeHeapInternal", _INT, lambda d: d.heap.internal,
          "Free internal memory", "bytes"),
    Field("freeHeapSpiram", _INT, lambda d: d.heap.spiram, "Free PSRAM", "bytes"),
    Field("coreVoltage", _INT, lambda d: d.settings.core_voltage_mv,
          "Core voltage as set", "mV"),
    Field("coreVoltageActual", _INT, lambda d: int(d.core_voltage_actual_v * MILLI),
          "Core voltage as measured", "mV"),
    Field("frequency", Kind.FLOAT_RAW, lambda d: d.settings.frequency_mhz,
          "Frequency as set", "MHz"),
    Field("ssid", _STR, lambda d: d.settings.ssid, "Wi-Fi network"),
    Field("macAddr", _STR, lambda d: d.identity.mac_text, "MAC address"),
    Field("hostname", _STR, lambda d: d.settings.hostname, "Host name"),
    Field("ipv4", _STR, lambda d: d.ipv4, "IPv4 address; empty before the first"),
    Field("ipv6", _STR, lambda d: d.ipv6, "IPv6 address; empty before the first"),
    Field("wifiStatus", _STR, lambda d: d.radio.status_text, "Wi-Fi state in words"),
    Field("wifiRSSI", _INT, lambda d: d.radio.rssi_dbm,
          "Signal strength; -90 when not connected", "dBm"),
    Field("apEnabled", _B01, lambda d: d.radio.is_ap_enabled,
          "Whether the configuration access point is on"),
    Field("sharesAccepted", _INT, lambda d: d.shares.accepted,
          "Accepted since boot or failover"),
    Field("sharesRejected", _INT, lambda d: d.shares.rejected,
          "Rejected since boot or failover"),
    Field("sharesRejectedReasons", Kind.REASONS, lambda d: d.shares.rejected_reasons,
          "Why shares were rejected, and how often"),
    Field("uptimeSeconds", _INT, lambda d: int(d.uptime_s), "Since boot", "s"),
    Field("smallCoreCount", _INT, lambda d: d.board.chip.small_core_count,
          "Small cores of a chip"),
    Field("ASICModel", _STR, lambda d: d.board.chip.name, "Chip"),
    Field("stratumURL", _STR, lambda d: d.settings.stratum_url, "Primary pool's host"),
    Field("stratumPort", _INT, lambda d: d.settings.stratum_port,
          "Primary pool's port"),
    Field("stratumUser", _STR, lambda d: d.settings.stratum_user,
          "User at the primary pool"),
    Field("stratumSuggestedDifficulty", _INT,
          lambda d: d.settings.stratum_suggested_difficulty, "Difficulty suggested"),
    Field("stratumExtranonceSubscribe", _B01,
          lambda d: d.settings.stratum_extranonce_subscribe,
          "Whether new extranonces are asked for"),
    Field("fallbackStratumURL", _STR, lambda d: d.settings.fallback_stratum_url,
          "Fallback pool's host"),
    Field("fallbackStratumPort", _INT, lambda d: d.settings.fallback_stratum_port,
          "Fallback pool's port"),
    Field("fallbackStratumUser", _STR, lambda d: d.settings.fallback_stratum_user,
          "User at the fallback pool"),
    Field("fallbackStratumSuggestedDifficulty", _INT,
          lambda d: d.settings.fallback_stratum_suggested_difficulty,
          "Difficulty suggested to the fallback pool"),
    Field("fallbackStratumExtranonceSubscribe", _B01,
          lambda d: d.settings.fallback_stratum_extranonce_subscribe,
          "Whether the fallback pool is asked for new extranonces"),
    Field("responseTime", Kind.DOUBLE, lambda d: round(d.response_time_ms, 3),
          "The pool's last response time", "ms"),
    Field("version", _STR, lambda d: d.version, "Firmware version"),
    Field("axeOSVersion", _STR, lambda d: d.axeos_version, "Web page version"),
    Field("idfVersion", _STR, lambda d: d.idf_version, "ESP-IDF version"),
    Field("boardVersion", _STR, lambda d: d.board.version, "Board version"),
    Field("resetReason", _STR, lambda d: d.reset_reason, "Why the device last reset"),
    Field("runningPartition", _STR, lambda d: d.running_partition,
          "Partition the firmware runs from"),
    Field("overheat_mode", _B01, lambda d: d.settings.is_overheated,
          "Whether the overheat protection acted"),
    Field("overclockEnabled", _B01, lambda d: d.settings.is_overclock_enabled,
          "Whether values outside the options are allowed"),
    Field("display", _STR, lambda d: d.settings.display, "Kind of display"),
    Field("rotation", _INT, lambda d: d.settings.rotation_degrees,
          "Screen rotation", "degrees"),
    Field("invertscreen", _B01, lambda d: d.settings.is_screen_inverted,
          "Whether the screen is inverted"),
    Field("displayTimeout", _INT, lambda d: d.settings.display_timeout_min,
          "-1 always on, 0 always off", "min"),
    Field("autofanspeed", _B01, lambda d: d.settings.is_fan_automatic,
          "Whether temperature controls the fan"),
    Field("fanspeed", _F7, lambda d: d.readings.fan_percent,
          "Fan speed commanded now", "%"),
    Field("manualFanSpeed", _INT, lambda d: d.settings.fan_manual_percent,
          "Fan speed without automatic control", "%"),
    Field("minFanSpeed", _INT, lambda d: d.settings.fan_min_percent,
          "Least automatic fan speed", "%"),
    Field("temptarget", _INT, lambda d: d.settings.target_temperature_c,
          "Target of the fan control", "°C"),
    Field("fanrpm", _INT, lambda d: d.readings.fan_rpm, "Fan speed", "rpm"),
    Field("fan2rpm", _INT, lambda d: d.readings.fan2_rpm,
          "Second fan; 0 without one", "rpm"),
    Field("statsFrequency", _INT, lambda d: d.settings.statistics_interval_s,
          "Statistics interval; 0 is off", "s"),
    Field("blockFound", _B01, lambda d: d.is_block_found,
          "Whether a block was found since boot"),
    Field("power_fault", _STR, lambda d: d.power_fault,
          "The regulator's fault, while there is one", is_optional=True),
    Field("blockHeight", _INT, lambda d: d.block and d.block.height,
          "Block being mined, once known", is_optional=True),
    Field("scriptsig", _STR, lambda d: d.block and d.block.scriptsig,
          "Text in that block's coinbase", is_optional=True),
    Field("networkDifficulty", _INT, lambda d: d.block and d.block.network_difficulty,
          "Difficulty of a block", is_optional=True),
    Field("hashrateMonitor", Kind.MONITOR, lambda d: d.asics,
          "Counters of every chip: `asics`, an array of {total, domains, errorCount}"),
)
# fmt: on


# fmt: off
ASIC: tuple[Field, ...] = (
    Field("ASICModel", _STR, lambda d: d.board.chip.name, "Chip"),
    Field("deviceModel", _STR, lambda d: d.board.family, "Family"),
    Field("swarmColor", _STR, lambda d: d.board.swarm_color, "CSS colour name"),
    Field("asicCount", _INT, lambda d: d.board.asic_count, "Chips"),
    Field("hashDomains", _INT, lambda d: d.board.chip.hash_domains,
          "Domains of a chip"),
    Field("defaultFrequency", _INT, lambda d: d.board.chip.default_frequency_mhz,
          "Default frequency", "MHz"),
    Field("frequencyOptions", Kind.INTEGERS,
          lambda d: d.board.chip.frequency_options_mhz,
          "Frequencies that the page allows without overclockEnabled", "MHz"),
    Field("defaultVoltage", _INT, lambda d: d.board.chip.default_core_voltage_mv,
          "Default core voltage", "mV"),
    Field("voltageOptions", Kind.INTEGERS,
          lambda d: d.board.chip.core_voltage_options_mv,
          "Core voltages that the page allows without overclockEnabled", "mV"),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the statistics."""

    label: str
    kind: Kind
    get: Callable[[Sample], float]
    unit: str


RESPONSE_TIME = "responseTime"
TIMESTAMP = "timestamp"
COLUMNS: tuple[Column, ...] = (
    Column("hashrate", _F7, lambda s: s.hashrate_hs / GIGA, "GH/s"),
    Column("hashrate_1m", _F7, lambda s: s.hashrate_1m_hs / GIGA, "GH/s"),
    Column("hashrate_10m", _F7, lambda s: s.hashrate_10m_hs / GIGA, "GH/s"),
    Column("hashrate_1h", _F7, lambda s: s.hashrate_1h_hs / GIGA, "GH/s"),
    Column("errorPercentage", _F7, lambda s: s.error_percentage, "%"),
    Column("asicTemp", _F7, lambda s: s.temp_c, "°C"),
    Column("vrTemp", _F7, lambda s: s.vr_temp_c, "°C"),
    Column("asicVoltage", _INT, lambda s: int(s.core_voltage_actual_v * MILLI), "mV"),
    Column("voltage", _F7, lambda s: s.voltage_v * MILLI, "mV"),
    Column("power", _F7, lambda s: s.power_w, "W"),
    Column("current", _F7, lambda s: s.current_a * MILLI, "mA"),
    Column("fanSpeed", _F7, lambda s: s.fan_percent, "%"),
    Column("fanRpm", _INT, lambda s: s.fan_rpm, "rpm"),
    Column("fan2Rpm", _INT, lambda s: s.fan2_rpm, "rpm"),
    Column("wifiRssi", _INT, lambda s: s.rssi_dbm, "dBm"),
    Column("freeHeap", _INT, lambda s: s.free_heap, "bytes"),
    Column(RESPONSE_TIME, _F7, lambda s: s.response_time_ms, "ms"),
)
TIMESTAMP_COLUMN = Column(
    TIMESTAMP, _INT, lambda s: s.timestamp_ms & 0xFFFFFFFF, "ms since boot"
)
COLUMNS_WITHOUT_RESPONSE_TIME = tuple(
    column for column in COLUMNS if column.label != RESPONSE_TIME
)
_BY_LABEL = {column.label: column for column in COLUMNS}
DASHBOARD = tuple(_BY_LABEL[label] for label in ("hashrate", "asicTemp", "power"))
"""Columns of the dashboard, before the time stamp. Source: ESP-Miner v2.10."""


def offered_columns(profile: Profile) -> tuple[Column, ...]:
    """Columns that may be asked for, in their order."""
    has_response_time = profile.response_time_column
    return COLUMNS if has_response_time else COLUMNS_WITHOUT_RESPONSE_TIME
