"""What each answer holds: one row per member, in the firmware's order.

The writer (views), the OpenAPI document and docs/api.md read these rows. Mill units and
AxeOS spellings exist only here. Source: http-api.md 2 and 3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from softaxe.api import cjson
from softaxe.device.device import AsicReading, Device
from softaxe.device.statistics import Sample

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
    REASONS = "array of {message, count}"
    MONITOR = "object"


PRINTERS: dict[Kind, Callable[..., str]] = {
    Kind.INTEGER: cjson.number,
    Kind.FLOAT7: cjson.float7,
    Kind.FLOAT_RAW: cjson.float_raw,
    Kind.DOUBLE: cjson.number,
    Kind.BOOLEAN01: cjson.boolean01,
    Kind.STRING: cjson.string,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One member of the info answer."""

    name: str
    kind: Kind
    get: Callable[[Device], object]
    """None leaves the member out."""
    description: str
    unit: str = ""
    is_optional: bool = False


def _info(
    name: str,
    kind: Kind,
    get: Callable[[Device], object],
    description: str,
    unit: str = "",
    *,
    is_optional: bool = False,
) -> Field:
    return Field(name, kind, get, description, unit, is_optional)


_INT, _F7, _B01, _STR = Kind.INTEGER, Kind.FLOAT7, Kind.BOOLEAN01, Kind.STRING

# fmt: off
INFO: tuple[Field, ...] = (
    _info("power", _F7, lambda d: d.readings.power_w, "Power", "W"),
    _info("voltage", _F7, lambda d: d.readings.input_voltage_v * MILLI,
          "Input voltage", "mV"),
    _info("current", _F7, lambda d: d.current_a * MILLI,
          "Output current of the regulator", "mA"),
    _info("temp", _F7, lambda d: d.readings.temp_c,
          "Chip temperature; -1 while the chip is off", "°C"),
    _info("temp2", _F7, lambda d: d.readings.temp2_c,
          "Second sensor; -1 without one", "°C"),
    _info("vrTemp", _F7, lambda d: d.readings.vr_temp_c,
          "Voltage regulator temperature", "°C"),
    _info("maxPower", _INT, lambda d: d.board.max_power_w, "Most the board takes", "W"),
    _info("nominalVoltage", _INT, lambda d: d.board.nominal_voltage_v,
          "Input voltage the board is made for", "V"),
    _info("hashRate", _F7, lambda d: d.hashrate.current_hs / GIGA,
          "Hash rate of the last poll", "GH/s"),
    _info("hashRate_1m", _F7, lambda d: d.hashrate.one_minute_hs / GIGA,
          "Average over a minute", "GH/s"),
    _info("hashRate_10m", _F7, lambda d: d.hashrate.ten_minutes_hs / GIGA,
          "Average over ten minutes", "GH/s"),
    _info("hashRate_1h", _F7, lambda d: d.hashrate.one_hour_hs / GIGA,
          "Average over an hour", "GH/s"),
    _info("expectedHashrate", _F7, lambda d: d.expected_hashrate_hs / GIGA,
          "What the frequency should give", "GH/s"),
    _info("errorPercentage", _F7, lambda d: d.error_percentage,
          "Errored share of the hash rate", "%"),
    _info("bestDiff", _INT, lambda d: d.best_difficulty, "Best difficulty ever"),
    _info("bestSessionDiff", _INT, lambda d: d.best_session_difficulty,
          "Best difficulty since boot"),
    _info("poolDifficulty", _INT, lambda d: d.pool_difficulty,
          "Difficulty the pool asks for"),
    _info("isUsingFallbackStratum", _B01, lambda d: d.is_using_fallback,
          "Whether the fallback pool is in use"),
    _info("poolAddrFamily", _INT, lambda d: d.pool_address_family,
          "0 not connected, 2 IPv4, 10 IPv6"),
    _info("isPSRAMAvailable", _B01, lambda d: True, "Whether there is PSRAM"),
    _info("freeHeap", _INT, lambda d: d.heap.free, "Free memory", "bytes"),
    _info("freeHeapInternal", _INT, lambda d: d.heap.internal,
          "Free internal memory", "bytes"),
    _info("freeHeapSpiram", _INT, lambda d: d.heap.spiram, "Free PSRAM", "bytes"),
    _info("coreVoltage", _INT, lambda d: d.settings.core_voltage_mv,
          "Core voltage as set", "mV"),
    _info("coreVoltageActual", _INT, lambda d: int(d.core_voltage_actual_v * MILLI),
          "Core voltage as measured", "mV"),
    _info("frequency", Kind.FLOAT_RAW, lambda d: d.settings.frequency_mhz,
          "Frequency as set", "MHz"),
    _info("ssid", _STR, lambda d: d.settings.ssid, "Wi-Fi network"),
    _info("macAddr", _STR, lambda d: d.identity.mac_text, "MAC address"),
    _info("hostname", _STR, lambda d: d.settings.hostname, "Host name"),
    _info("ipv4", _STR, lambda d: d.ipv4, "IPv4 address; empty before the first"),
    _info("ipv6", _STR, lambda d: d.ipv6, "IPv6 address; empty before the first"),
    _info("wifiStatus", _STR, lambda d: d.radio.status_text, "Wi-Fi state in words"),
    _info("wifiRSSI", _INT, lambda d: d.radio.rssi_dbm,
          "Signal strength; -90 when not connected", "dBm"),
    _info("apEnabled", _B01, lambda d: d.radio.is_ap_enabled,
          "Whether the configuration access point is on"),
    _info("sharesAccepted", _INT, lambda d: d.shares.accepted,
          "Accepted since boot or failover"),
    _info("sharesRejected", _INT, lambda d: d.shares.rejected,
          "Rejected since boot or failover"),
    _info("sharesRejectedReasons", Kind.REASONS, lambda d: d.shares.rejected_reasons,
          "Why shares were rejected, and how often"),
    _info("uptimeSeconds", _INT, lambda d: int(d.uptime_s), "Since boot", "s"),
    _info("smallCoreCount", _INT, lambda d: d.board.chip.small_core_count,
          "Small cores of a chip"),
    _info("ASICModel", _STR, lambda d: d.board.chip.name, "Chip"),
    _info("stratumURL", _STR, lambda d: d.settings.stratum_url, "Primary pool's host"),
    _info("stratumPort", _INT, lambda d: d.settings.stratum_port,
          "Primary pool's port"),
    _info("stratumUser", _STR, lambda d: d.settings.stratum_user,
          "User at the primary pool"),
    _info("stratumSuggestedDifficulty", _INT,
          lambda d: d.settings.stratum_suggested_difficulty, "Difficulty suggested"),
    _info("stratumExtranonceSubscribe", _B01,
          lambda d: d.settings.stratum_extranonce_subscribe,
          "Whether new extranonces are asked for"),
    _info("fallbackStratumURL", _STR, lambda d: d.settings.fallback_stratum_url,
          "Fallback pool's host"),
    _info("fallbackStratumPort", _INT, lambda d: d.settings.fallback_stratum_port,
          "Fallback pool's port"),
    _info("fallbackStratumUser", _STR, lambda d: d.settings.fallback_stratum_user,
          "User at the fallback pool"),
    _info("fallbackStratumSuggestedDifficulty", _INT,
          lambda d: d.settings.fallback_stratum_suggested_difficulty,
          "Difficulty suggested to the fallback pool"),
    _info("fallbackStratumExtranonceSubscribe", _B01,
          lambda d: d.settings.fallback_stratum_extranonce_subscribe,
          "Whether the fallback pool is asked for new extranonces"),
    _info("responseTime", Kind.DOUBLE, lambda d: round(d.response_time_ms, 3),
          "The pool's last response time", "ms"),
    _info("version", _STR, lambda d: d.version, "Firmware version"),
    _info("axeOSVersion", _STR, lambda d: d.axeos_version, "Web page version"),
    _info("idfVersion", _STR, lambda d: d.idf_version, "ESP-IDF version"),
    _info("boardVersion", _STR, lambda d: d.board.version, "Board version"),
    _info("resetReason", _STR, lambda d: d.reset_reason, "Why the device last reset"),
    _info("runningPartition", _STR, lambda d: d.running_partition,
          "Partition the firmware runs from"),
    _info("overheat_mode", _B01, lambda d: d.settings.is_overheated,
          "Whether the overheat protection acted"),
    _info("overclockEnabled", _B01, lambda d: d.settings.is_overclock_enabled,
          "Whether values outside the options are allowed"),
    _info("display", _STR, lambda d: d.settings.display, "Kind of display"),
    _info("rotation", _INT, lambda d: d.settings.rotation_degrees,
          "Screen rotation", "degrees"),
    _info("invertscreen", _B01, lambda d: d.settings.is_screen_inverted,
          "Whether the screen is inverted"),
    _info("displayTimeout", _INT, lambda d: d.settings.display_timeout_min,
          "-1 always on, 0 always off", "min"),
    _info("autofanspeed", _B01, lambda d: d.settings.is_fan_automatic,
          "Whether temperature controls the fan"),
    _info("fanspeed", _F7, lambda d: d.readings.fan_percent,
          "Fan speed commanded now", "%"),
    _info("manualFanSpeed", _INT, lambda d: d.settings.fan_manual_percent,
          "Fan speed without automatic control", "%"),
    _info("minFanSpeed", _INT, lambda d: d.settings.fan_min_percent,
          "Least automatic fan speed", "%"),
    _info("temptarget", _INT, lambda d: d.settings.target_temperature_c,
          "Target of the fan control", "°C"),
    _info("fanrpm", _INT, lambda d: d.readings.fan_rpm, "Fan speed", "rpm"),
    _info("fan2rpm", _INT, lambda d: d.readings.fan2_rpm,
          "Second fan; 0 without one", "rpm"),
    _info("statsFrequency", _INT, lambda d: d.settings.statistics_interval_s,
          "Statistics interval; 0 is off", "s"),
    _info("blockFound", _B01, lambda d: d.is_block_found,
          "Whether a block was found since boot"),
    _info("power_fault", _STR, lambda d: d.power_fault,
          "The regulator's fault, while there is one", is_optional=True),
    _info("blockHeight", _INT, lambda d: d.block and d.block.height,
          "Block being mined, once known", is_optional=True),
    _info("scriptsig", _STR, lambda d: d.block and d.block.scriptsig,
          "Text in that block's coinbase", is_optional=True),
    _info("networkDifficulty", _INT, lambda d: d.block and d.block.network_difficulty,
          "Difficulty of a block", is_optional=True),
    _info("hashrateMonitor", Kind.MONITOR, lambda d: d.asics,
          "Counters of every chip: `asics`, an array of {total, domains, errorCount}"),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class AsicField:
    """One member of the asic answer."""

    name: str
    get: Callable[[Device], object]
    description: str


ASIC: tuple[AsicField, ...] = (
    AsicField("ASICModel", lambda d: d.board.chip.name, "Chip"),
    AsicField("deviceModel", lambda d: d.board.family, "Family"),
    AsicField("swarmColor", lambda d: d.board.swarm_color, "CSS colour name"),
    AsicField("asicCount", lambda d: d.board.asic_count, "Chips"),
    AsicField("hashDomains", lambda d: d.board.chip.hash_domains, "Domains of a chip"),
    AsicField("defaultFrequency", lambda d: d.board.chip.default_frequency_mhz, "MHz"),
    AsicField(
        "frequencyOptions",
        lambda d: list(d.board.chip.frequency_options_mhz),
        "MHz, allowed without overclockEnabled",
    ),
    AsicField("defaultVoltage", lambda d: d.board.chip.default_core_voltage_mv, "mV"),
    AsicField(
        "voltageOptions",
        lambda d: list(d.board.chip.core_voltage_options_mv),
        "mV, allowed without overclockEnabled",
    ),
)


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


def monitor_text(asics: list[AsicReading]) -> str:
    """Print hashrateMonitor."""
    chips = [
        cjson.members(
            (
                ("total", cjson.float7(asic.total_hs / GIGA)),
                (
                    "domains",
                    cjson.array(cjson.float7(hs / GIGA) for hs in asic.domains_hs),
                ),
                ("errorCount", cjson.number(asic.error_count)),
            ),
            depth=4,
        )
        for asic in asics
    ]
    return cjson.members((("asics", cjson.array(chips)),), depth=2)
