"""What each answer holds: what is told of every member, and how it is printed.

Which members a firmware version has, in which order and kind, its column of the
catalogue says. The writer (views), the OpenAPI document and docs/api.md read both. Mill
units and AxeOS spellings exist only here. Source: ESP-Miner http_server.c.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any

from msgspec import Struct

from softaxe import cjson
from softaxe.bitcoin.coinbase import Output
from softaxe.catalog.firmware import Firmware, Kind, Member, firmware, versions
from softaxe.catalog.firmware.rows import Rows
from softaxe.device.device import Device
from softaxe.device.pool_slots import NAMES, PoolSlot
from softaxe.device.profile import Profile
from softaxe.device.setting_rules import SETTINGS
from softaxe.device.setting_rules import Kind as SettingKind
from softaxe.device.state import AppPartition, AsicReading
from softaxe.device.statistics import RejectedReason, Sample
from softaxe.flash.image import SLOT_BYTES
from softaxe.flash.partitions import FACTORY
from softaxe.units import with_suffix

GIGA = 1e9
MILLI = 1000.0
PLAIN: dict[Kind, cjson.Printer] = {
    Kind.INTEGER: cjson.integer,
    Kind.FLOAT7: cjson.float7,
    Kind.FLOAT_RAW: cjson.float_raw,
    Kind.DOUBLE: cjson.number,
    Kind.BOOLEAN01: cjson.boolean01,
    Kind.BOOLEAN: cjson.boolean,
    Kind.STRING: cjson.string,
}
WORDS = {
    Kind.INTEGER: "integer",
    Kind.FLOAT7: "number",
    Kind.FLOAT_RAW: "single-precision number",
    Kind.DOUBLE: "double-precision number",
    Kind.BOOLEAN01: "0 or 1",
    Kind.BOOLEAN: "false or true",
    Kind.STRING: "string",
    Kind.INTEGERS: "array of integer",
    Kind.ARRAY: "array",
    Kind.OBJECT: "object",
}
"""Kinds as people call them."""
PrinterOf = Callable[[Rows], cjson.Printer]
"""Makes the printer of a member for a version."""


def _array_of(
    of: Callable[[Any], Iterable[tuple[str, str]]],
) -> PrinterOf:
    """Make the printer of an array of objects; `of` gives one's printed members."""

    def printer_of(rows: Rows) -> cjson.Printer:
        is_compact = rows.is_compact

        def text(values: Iterable[Any]) -> str:
            entries = (
                cjson.members(of(value), depth=3, is_compact=is_compact)
                for value in values
            )
            return cjson.array(entries, is_compact=is_compact)

        return text

    return printer_of


def _list_of(printer: cjson.Printer) -> PrinterOf:
    """Make the printer of an array of plain values."""

    def printer_of(rows: Rows) -> cjson.Printer:
        is_compact = rows.is_compact
        return lambda values: cjson.array(map(printer, values), is_compact=is_compact)

    return printer_of


def _reason(reason: RejectedReason) -> Iterable[tuple[str, str]]:
    yield "message", cjson.string(reason.message)
    yield "count", cjson.number(reason.count)


def _output(output: Output) -> Iterable[tuple[str, str]]:
    yield "value", cjson.number(output.value_sat)
    yield "address", cjson.string(output.address)


def _partition(slot: AppPartition) -> Iterable[tuple[str, str]]:
    """Tell of a partition; of an empty one only what it is."""
    image = slot.image
    texts = ("version", "compile_date", "compile_time")
    told = [cjson.string(getattr(image, name)) for name in texts] if image else []
    if image is not None:
        told.append(cjson.number(100 * image.size // SLOT_BYTES))
    yield "label", cjson.string(slot.label)
    yield "isCurrent", cjson.boolean(slot.is_current)
    yield "isFactory", cjson.boolean(slot.label == FACTORY)
    yield from zip(_OF_IMAGE, told or ["null"] * len(_OF_IMAGE), strict=True)


_OF_IMAGE = ("version", "compileDate", "compileTime", "usagePercent")


def _pool(numbered: tuple[int, PoolSlot]) -> Iterable[tuple[str, str]]:
    number, slot = numbered
    for name, value in ({"id": number} | slot.told()).items():
        yield name, _pool_value(value)


def _pools(rows: Rows) -> cjson.Printer:
    """Print the pool slots that lead somewhere."""
    printed = _array_of(_pool)(rows)
    return lambda slots: printed(one for one in enumerate(slots) if one[1].url)


def _pool_value(value: object) -> str:
    if isinstance(value, bool):
        return cjson.boolean(value)
    return cjson.number(value) if isinstance(value, int) else cjson.string(str(value))


def _monitor(rows: Rows) -> cjson.Printer:
    """Print hashrateMonitor, in a template for each of its objects."""
    number = cjson.float7 if rows.monitor == "rounded" else cjson.float_raw
    is_compact = rows.is_compact
    is_last = rows.monitor == "raw, domains last"
    total, domains, errors = (
        ("total", "%(total)s"),
        ("domains", "%(domains)s"),
        ("errorCount", "%(errors)s"),
    )
    chip = cjson.members(
        (total, errors, domains) if is_last else (total, domains, errors),
        depth=4,
        is_compact=is_compact,
    )
    bare = cjson.members((total, errors), depth=4, is_compact=is_compact)
    whole = cjson.members((("asics", "%s"),), depth=2, is_compact=is_compact)
    has_bare = rows.monitor == "raw"

    def rate(rate_hs: float) -> str:
        return number(rate_hs / GIGA)

    def text(asics: Iterable[AsicReading] | None) -> str:
        chips = [
            (chip if asic.domains_hs or not has_bare else bare)
            % {
                "total": rate(asic.total_hs),
                "domains": cjson.array(
                    map(rate, asic.domains_hs), is_compact=is_compact
                ),
                "errors": cjson.number(asic.error_count),
            }
            for asic in asics or ()
        ]
        return whole % cjson.array(chips, is_compact=is_compact)

    return text


def _best_difficulty(rows: Rows) -> cjson.Printer:
    """Print bestDiff and bestSessionDiff."""
    if rows.best_difficulty == "number":
        return cjson.number

    def text(difficulty: float) -> str:
        return cjson.string(with_suffix(difficulty, rows.difficulty_gap))

    return text


class Told(Struct, frozen=True):
    """What is told of a member, whatever the version."""

    name: str
    get: Callable[[Device], Any]
    description: str
    unit: str = ""
    printer_of: PrinterOf | None = None
    """Where the kind does not say how it is printed."""
    of_what: str = ""
    """What an array or object holds, in words."""
    of: str = ""
    """The attribute of a device of which alone it tells: an object that never changes,
    but is replaced."""


DIFFICULTIES = frozenset(
    {"bestDiff", "bestSessionDiff", "poolDifficulty", "stratumDiff"}
)
"""Members of info that are whole, or below 1 where that is told."""


class Field(Struct, frozen=True):
    """One member of the info or asic answer of a version."""

    name: str
    kind: Kind
    get: Callable[[Device], Any]
    print: cjson.Printer
    description: str
    unit: str
    is_optional: bool
    """None leaves the member out."""
    is_live: bool
    """It is part of `/api/ws/live`, too."""
    of_what: str
    of: str
    """As of `Told`: while that is the same object, so is what is told."""

    @property
    def kind_in_words(self) -> str:
        """Its kind as people call it."""
        return self.of_what or WORDS[self.kind]


# fmt: off
_INFO = (
    Told("power", lambda d: d.readings.power_w, "Power", "W"),
    Told("voltage", lambda d: d.readings.input_voltage_v * MILLI,
          "Input voltage", "mV"),
    Told("current", lambda d: d.current_a * MILLI,
          "Core current (TPS546) or input current (INA260)", "mA"),
    Told("temp", lambda d: d.readings.temp_c,
          "Chip temperature; -1 while the chip is off", "°C"),
    Told("temp2", lambda d: d.second_temperature_c,
          "Second sensor; -1 without one", "°C"),
    Told("vrTemp", lambda d: d.readings.vr_temp_c,
          "Voltage regulator temperature", "°C"),
    Told("maxPower", lambda d: d.board.max_power_w, "Most the board takes", "W",
         of="board"),
    Told("nominalVoltage", lambda d: d.board.nominal_voltage_v,
          "Input voltage the board is made for", "V", of="board"),
    Told("hashRate", lambda d: d.hashrate.current_hs / GIGA,
          "Hash rate of the last poll", "GH/s"),
    Told("hashRate_1m", lambda d: d.hashrate.one_minute_hs / GIGA,
          "Average over a minute", "GH/s"),
    Told("hashRate_10m", lambda d: d.hashrate.ten_minutes_hs / GIGA,
          "Average over ten minutes", "GH/s"),
    Told("hashRate_1h", lambda d: d.hashrate.one_hour_hs / GIGA,
          "Average over an hour", "GH/s"),
    Told("expectedHashrate", lambda d: d.expected_hashrate_hs / GIGA,
          "What the frequency should give", "GH/s"),
    Told("errorPercentage", lambda d: d.error_percentage,
          "Errored share of the hash rate", "%"),
    Told("bestDiff", lambda d: d.best_difficulty, "Best difficulty ever",
         printer_of=_best_difficulty),
    Told("bestSessionDiff", lambda d: d.best_session_difficulty,
          "Best difficulty since boot", printer_of=_best_difficulty),
    Told("poolDifficulty", lambda d: d.pool_difficulty,
          "Difficulty the pool asks for", printer_of=lambda _rows: cjson.number),
    Told("stratumDiff", lambda d: d.sent_difficulty,
          "Difficulty of the job that was last sent to the chip",
          printer_of=lambda _rows: cjson.number),
    Told("isUsingFallbackStratum", lambda d: d.is_using_fallback,
          "Whether the fallback pool is in use"),
    Told("poolAddrFamily", lambda d: d.pool_address_family,
          "0 not connected, 2 IPv4, 10 IPv6"),
    Told("poolConnectionInfo", lambda d: d.pool_connection_info,
          "How the last pool was reached: `Not Connected`, `IPv4`, `IPv6`"),
    Told("isPSRAMAvailable", lambda d: True, "Whether there is PSRAM"),
    Told("freeHeap", lambda d: d.heap.free, "Free memory", "bytes"),
    Told("freeHeapInternal", lambda d: d.heap.internal,
          "Free internal memory", "bytes"),
    Told("freeHeapSpiram", lambda d: d.heap.spiram, "Free PSRAM", "bytes"),
    Told("minFreeHeap", lambda d: d.memory.least_free,
          "Least free memory since boot", "bytes"),
    Told("maxAllocHeap", lambda d: d.heap.largest_block,
          "Largest free block of internal memory", "bytes"),
    Told("coreVoltage", lambda d: d.settings.core_voltage_mv,
          "Core voltage as set", "mV", of="settings"),
    Told("coreVoltageActual", lambda d: d.core_voltage_actual_v * MILLI,
          "Core voltage as measured", "mV"),
    Told("frequency", lambda d: d.settings.frequency_mhz,
          "Frequency as set", "MHz", of="settings"),
    Told("ssid", lambda d: d.settings.ssid, "Wi-Fi network", of="settings"),
    Told("macAddr", lambda d: d.identity.mac_text, "MAC address", of="identity"),
    Told("hostname", lambda d: d.settings.hostname, "Host name", of="settings"),
    Told("fullHostname", lambda d: f"{d.settings.hostname}.local",
          "Host name on the local network", of="settings"),
    Told("mdnsHostname", lambda d: d.mdns_hostname,
          "Host name as announced, once there is an address"),
    Told("ipv4", lambda d: d.ipv4, "IPv4 address; empty before the first"),
    Told("ipv6", lambda d: d.ipv6, "IPv6 address; empty before the first"),
    Told("wifiStatus", lambda d: d.radio.status_text, "Wi-Fi state in words"),
    Told("wifiRSSI", lambda d: d.radio.rssi_dbm,
          "Signal strength; -90 when not connected", "dBm"),
    Told("apEnabled", lambda d: d.radio.is_ap_enabled,
          "Whether the configuration access point is on"),
    Told("sharesAccepted", lambda d: d.shares.accepted,
          "Accepted since boot or failover"),
    Told("sharesRejected", lambda d: d.shares.rejected,
          "Rejected since boot or failover"),
    Told("sharesPending", lambda d: d.pools.shares_pending,
          "Unanswered shares of Stratum v2; always 0 on v1"),
    Told("sharesRejectedReasons", lambda d: d.shares.rejected_reasons,
          "Why shares were rejected, and how often",
         printer_of=_array_of(_reason), of_what="array of {message, count}"),
    Told("uptimeSeconds", lambda d: d.told_uptime_s, "Since boot", "s"),
    Told("totalUptimeSeconds", lambda d: d.totals.total_uptime_s,
          "Of all boots together", "s"),
    Told("totalHashes", lambda d: d.totals.hashes, "Hashes ever computed"),
    Told("totalLog2Work", lambda d: d.totals.log2_work,
          "Their logarithm to base 2; 0 for none"),
    Told("asicCount", lambda d: d.board.asic_count, "Chips", of="board"),
    Told("smallCoreCount", lambda d: d.board.chip.small_core_count,
          "Small cores of a chip", of="board"),
    Told("ASICModel", lambda d: d.board.chip.name, "Chip", of="board"),
    Told("stratumURL", lambda d: d.settings.stratum_url, "Primary pool's host",
         of="settings"),
    Told("stratumPort", lambda d: d.settings.stratum_port,
          "Primary pool's port", of="settings"),
    Told("stratumUser", lambda d: d.settings.stratum_user,
          "User at the primary pool", of="settings"),
    Told("stratumSuggestedDifficulty",
         lambda d: d.settings.stratum_suggested_difficulty, "Difficulty suggested",
         of="settings"),
    Told("stratumExtranonceSubscribe",
         lambda d: d.settings.stratum_extranonce_subscribe,
          "Whether new extranonces are asked for", of="settings"),
    Told("stratumTLS", lambda d: d.settings.stratum_tls,
          "TLS to the primary pool: 0 none, 1 known authorities, 2 stratumCert",
         of="settings"),
    Told("stratumCert", lambda d: d.settings.stratum_cert,
          "Certificate of the primary pool", of="settings"),
    Told("stratumDecodeCoinbase", lambda d: d.settings.stratum_decode_coinbase,
          "Whether the primary pool's coinbase is read", of="settings"),
    Told("stratumProtocol", lambda d: d.settings.stratum_protocol,
          "`SV1` or `SV2`", of="settings"),
    Told("stratumV2AuthorityPubkey",
         lambda d: d.settings.stratum_v2_authority_pubkey,
          "Authority's key of the primary pool", of="settings"),
    Told("stratumV2ChannelType", lambda d: d.settings.stratum_v2_channel_type,
          "`extended` or `standard`", of="settings"),
    Told("fallbackStratumURL", lambda d: d.settings.fallback_stratum_url,
          "Fallback pool's host", of="settings"),
    Told("fallbackStratumPort", lambda d: d.settings.fallback_stratum_port,
          "Fallback pool's port", of="settings"),
    Told("fallbackStratumUser", lambda d: d.settings.fallback_stratum_user,
          "User at the fallback pool", of="settings"),
    Told("fallbackStratumSuggestedDifficulty",
         lambda d: d.settings.fallback_stratum_suggested_difficulty,
          "Difficulty suggested to the fallback pool", of="settings"),
    Told("fallbackStratumExtranonceSubscribe",
         lambda d: d.settings.fallback_stratum_extranonce_subscribe,
          "Whether the fallback pool is asked for new extranonces", of="settings"),
    Told("fallbackStratumTLS", lambda d: d.settings.fallback_stratum_tls,
          "TLS to the fallback pool, as stratumTLS", of="settings"),
    Told("fallbackStratumCert", lambda d: d.settings.fallback_stratum_cert,
          "Certificate of the fallback pool", of="settings"),
    Told("fallbackStratumDecodeCoinbase",
         lambda d: d.settings.fallback_stratum_decode_coinbase,
          "Whether the fallback pool's coinbase is read", of="settings"),
    Told("fallbackStratumProtocol", lambda d: d.settings.fallback_stratum_protocol,
          "`SV1` or `SV2`", of="settings"),
    Told("fallbackStratumV2AuthorityPubkey",
         lambda d: d.settings.fallback_stratum_v2_authority_pubkey,
          "Authority's key of the fallback pool", of="settings"),
    Told("fallbackStratumV2ChannelType",
         lambda d: d.settings.fallback_stratum_v2_channel_type,
          "`extended` or `standard`", of="settings"),
    Told("primaryPoolIndex", lambda d: d.settings_at_boot.primary_pool_index,
          "Which of `pools` is the primary one, as at boot", of="settings_at_boot"),
    Told("secondaryPoolIndex", lambda d: d.settings_at_boot.secondary_pool_index,
          "Which of `pools` is the fallback, as at boot", of="settings_at_boot"),
    Told("useFallbackStratum", lambda d: d.settings_at_boot.use_fallback_stratum,
          "Whether it started on the fallback pool, as at boot", of="settings_at_boot"),
    Told("pools", lambda d: d.settings.pools, "Pools to choose from",
         printer_of=_pools,
         of_what="array of {id, " + ", ".join(NAMES.values()) + "}", of="settings"),
    Told("responseTime", lambda d: round(d.response_time_ms, 3),
          "The pool's last response time", "ms"),
    Told("responseShareBatch", lambda d: d.pools.response_batch,
          "Shares in the last answer of Stratum v2; always 0 on v1"),
    Told("workReceived", lambda d: d.work_received,
          "Jobs of the pool since boot or failover"),
    Told("version", lambda d: d.version, "Firmware version"),
    Told("axeOSVersion", lambda d: d.axeos_version, "Web page version",
         of="axeos_version"),
    Told("idfVersion", lambda d: d.idf_version, "ESP-IDF version"),
    Told("boardVersion", lambda d: d.board.version, "Board version", of="board"),
    Told("resetReason", lambda d: d.reset_reason, "Why the device last reset",
         of="reset_reason"),
    Told("useCustomWWW", lambda d: d.settings.use_custom_www,
          "Whether the page of the www partition is shown", of="settings"),
    Told("partitions", lambda d: d.partitions,
          "The application partitions as they were at boot",
         printer_of=_array_of(_partition),
         of_what="array of {label, isCurrent, isFactory, version, compileDate, "
         "compileTime, usagePercent}", of="partitions"),
    Told("runningPartition", lambda d: d.running_partition,
          "Partition the firmware runs from"),
    Told("overheat_mode", lambda d: d.tells_overheat,
          "Whether the overheat protection acted"),
    Told("overclockEnabled", lambda d: d.settings.is_overclock_enabled,
          "Whether values outside the options are allowed", of="settings"),
    Told("display", lambda d: d.settings.display, "Kind of display", of="settings"),
    Told("rotation", lambda d: d.settings.rotation_degrees,
          "Screen rotation", "degrees", of="settings"),
    Told("flipscreen", lambda d: d.settings.is_screen_flipped,
          "Whether the screen is upside down", of="settings"),
    Told("invertscreen", lambda d: d.settings.is_screen_inverted,
          "Whether the screen is inverted", of="settings"),
    Told("displayTimeout", lambda d: d.settings.display_timeout_min,
          "-1 always on, 0 always off", "min", of="settings"),
    Told("autofanspeed", lambda d: d.settings.is_fan_automatic,
          "Whether temperature controls the fan", of="settings"),
    Told("fanspeed", lambda d: d.readings.fan_percent,
          "Fan speed commanded now", "%"),
    Told("manualFanSpeed", lambda d: d.settings.fan_manual_percent,
          "Fan speed without automatic control", "%", of="settings"),
    Told("minFanSpeed", lambda d: d.settings.fan_min_percent,
          "Least automatic fan speed", "%", of="settings"),
    Told("temptarget", lambda d: d.settings.target_temperature_c,
          "Target of the fan control", "°C", of="settings"),
    Told("fanrpm", lambda d: d.readings.fan_rpm, "Fan speed", "rpm"),
    Told("fan2rpm", lambda d: d.readings.fan2_rpm,
          "Second fan; 0 without one", "rpm"),
    Told("statsLimit", lambda d: d.statistics_limit,
          "Most rows of the statistics; 0 is off"),
    Told("statsDuration", lambda d: d.settings.statistics_duration,
          "Time that the statistics reach back", "h", of="settings"),
    Told("statsFrequency", lambda d: d.settings.statistics_interval_s,
          "Statistics interval; 0 is off", "s", of="settings"),
    Told("blockFound", lambda d: d.blocks_found,
          "Blocks found since boot; up to 2.12 whether there was one"),
    Told("showNewBlock", lambda d: d.shows_block,
          "Whether a block was found and nobody has dismissed the news"),
    Told("power_fault", lambda d: d.power_fault,
          "The regulator's fault, while there is one"),
    Told("hardware_fault", lambda d: d.hardware_fault,
          "What has stopped mining until a restart"),
    Told("cpuUsage", lambda d: d.load.percent if d.load else 0.0,
          "How busy the processor is, smoothed", "%"),
    Told("processTime", lambda d: d.load.process_ms if d.load else 0.0,
          "From the chip's nonce until the share was sent, of the last", "ms"),
    Told("miningPaused", lambda d: d.is_paused,
          "Whether a user has stopped mining"),
    Told("actualFrequency", lambda d: d.actual_frequency_mhz,
          "Clock of the chips at present; 50 while mining is stopped", "MHz"),
    Told("blockHeight", lambda d: d.block and d.block.height,
          "Block being mined, once known", of="block"),
    Told("scriptsig", lambda d: d.block and d.block.scriptsig,
          "Text in that block's coinbase", of="block"),
    Told("networkDifficulty", lambda d: d.block and d.block.network_difficulty,
          "Difficulty of a block", of="block"),
    Told("coinbaseOutputs", lambda d: d.block and d.block.outputs,
          "Whom the block pays, the first six",
         printer_of=_array_of(_output), of_what="array of {value, address}",
         of="block"),
    Told("coinbaseValueTotalSatoshis", lambda d: d.block and d.block.total_sat,
          "What the block pays", "sat", of="block"),
    Told("coinbaseValueUserSatoshis", lambda d: d.block and d.block.user_sat,
          "What it pays to the address in the user's name", "sat", of="block"),
    Told("blockSignals", lambda d: d.block and d.block.signals,
          "Proposals that the block's maker signals for: `BIP-54`, `BIP-110`",
         printer_of=_list_of(cjson.string), of_what="array of string", of="block"),
    Told("hashrateMonitor", lambda d: d.asics or None,
          "Counters of every chip: `asics`, an array of {total, domains, errorCount}",
         printer_of=_monitor),
)
# fmt: on


# fmt: off
_ASIC = (
    Told("ASICModel", lambda d: d.board.chip.name, "Chip"),
    Told("deviceModel", lambda d: d.board.family, "Family"),
    Told("swarmColor", lambda d: d.board.swarm_color, "CSS colour name"),
    Told("asicCount", lambda d: d.board.asic_count, "Chips"),
    Told("hashDomains", lambda d: d.board.chip.hash_domains,
          "Domains of a chip"),
    Told("defaultFrequency", lambda d: d.board.chip.default_frequency_mhz,
          "Default frequency", "MHz"),
    Told("frequencyOptions", lambda d: d.board.chip.frequency_options_mhz,
          "Frequencies that the page allows without overclockEnabled", "MHz",
         _list_of(cjson.number)),
    Told("defaultVoltage", lambda d: d.board.chip.default_core_voltage_mv,
          "Default core voltage", "mV"),
    Told("voltageOptions", lambda d: d.board.chip.core_voltage_options_mv,
          "Core voltages that the page allows without overclockEnabled", "mV",
         _list_of(cjson.number)),
)
# fmt: on

_INFO_BY_NAME = {told.name: told for told in _INFO}
_ASIC_BY_NAME = {told.name: told for told in _ASIC}


@cache
def info_fields(firmware: Firmware) -> tuple[Field, ...]:
    """Members of `/api/system/info`, in their order."""
    return _fields(firmware.info, _INFO_BY_NAME, firmware)


@cache
def asic_fields(firmware: Firmware) -> tuple[Field, ...]:
    """Members of `/api/system/asic`, in their order."""
    return _fields(firmware.asic, _ASIC_BY_NAME, firmware)


def _fields(
    members: Iterable[Member], told: Mapping[str, Told], firmware: Firmware
) -> tuple[Field, ...]:
    return tuple(_field(member, told[member.name], firmware) for member in members)


def _field(member: Member, told: Told, firmware: Firmware) -> Field:
    get, of, flag = told.get, told.of, _FLAGS.get(member.name)
    if flag is not None and firmware.rows.flags_are_raw:
        get, of = partial(_raw_flag, flag, told.get), ""
    return Field(
        member.name,
        member.kind,
        get,
        _printer(member, told, firmware),
        told.description,
        told.unit,
        member.is_optional,
        member.is_live,
        told.of_what,
        of,
    )


_FLAGS = {
    row.rest_name: row.nvs_key for row in SETTINGS if row.kind is SettingKind.BOOLEAN
}
"""NVS keys of settings that are flags, by member."""


def _raw_flag(key: str, get: Callable[[Device], Any], device: Device) -> int:
    """Return the number that is stored for a flag."""
    return int(device.nvs.get(key, get(device)))


def _printer(member: Member, told: Told, firmware: Firmware) -> cjson.Printer:
    if told.printer_of is not None:
        return told.printer_of(firmware.rows)
    return PLAIN[member.kind]


class Measured(Struct, frozen=True):
    """What is told of a column of the statistics, whatever the version."""

    get: Callable[[Sample], float]
    unit: str


class Column(Struct, frozen=True):
    """One column of the statistics of a version."""

    label: str
    kind: Kind
    get: Callable[[Sample], float]
    print: cjson.Printer
    unit: str


RESPONSE_TIME = "responseTime"
TIMESTAMP = "timestamp"
NARROW_BITS = 32
PAGE_COLUMNS = (
    "hashrate",
    "hashrate_1m",
    "hashrate_10m",
    "hashrate_1h",
    "asicTemp",
    "vrTemp",
    "power",
)
"""Columns that the API page promises, beside the response time."""
_HASHRATE = Measured(lambda s: s.hashrate_hs / GIGA, "GH/s")
_TEMP = Measured(lambda s: s.temp_c, "°C")
_CORE_VOLTAGE = Measured(lambda s: s.core_voltage_actual_v * MILLI, "mV")
_FAN = Measured(lambda s: s.fan_percent, "%")
_FAN_RPM = Measured(lambda s: s.fan_rpm, "rpm")
_RSSI = Measured(lambda s: s.rssi_dbm, "dBm")
_MEASURED: Mapping[str, Measured] = {
    "hashrate": _HASHRATE,
    "hashRate": _HASHRATE,
    "hashrate_1m": Measured(lambda s: s.hashrate_1m_hs / GIGA, "GH/s"),
    "hashrate_10m": Measured(lambda s: s.hashrate_10m_hs / GIGA, "GH/s"),
    "hashrate_1h": Measured(lambda s: s.hashrate_1h_hs / GIGA, "GH/s"),
    "errorPercentage": Measured(lambda s: s.error_percentage, "%"),
    "asicTemp": _TEMP,
    "temp": _TEMP,
    "asicTemp2": Measured(lambda s: s.temp2_c, "°C"),
    "vrTemp": Measured(lambda s: s.vr_temp_c, "°C"),
    "asicVoltage": _CORE_VOLTAGE,
    "coreVoltageActual": _CORE_VOLTAGE,
    "voltage": Measured(lambda s: s.voltage_v * MILLI, "mV"),
    "power": Measured(lambda s: s.power_w, "W"),
    "current": Measured(lambda s: s.current_a * MILLI, "mA"),
    "fanSpeed": _FAN,
    "fanspeed": _FAN,
    "fanRpm": _FAN_RPM,
    "fanrpm": _FAN_RPM,
    "fan2Rpm": Measured(lambda s: s.fan2_rpm, "rpm"),
    "wifiRssi": _RSSI,
    "wifiRSSI": _RSSI,
    "freeHeap": Measured(lambda s: s.free_heap, "bytes"),
    RESPONSE_TIME: Measured(lambda s: s.response_time_ms, "ms"),
    TIMESTAMP: Measured(lambda s: s.timestamp_ms, "ms since boot"),
}
"""By label; releases up to 2.10 have some of their own."""


@cache
def columns(of: Firmware) -> tuple[Column, ...]:
    """Columns of a version in their order; the time stamp is the last."""
    return tuple(_column(member, of) for member in of.statistics)


def _column(member: Member, of: Firmware) -> Column:
    told, get = _MEASURED[member.name], _MEASURED[member.name].get
    if member.name == TIMESTAMP and of.rows.clock_bits == NARROW_BITS:
        get = _narrow_timestamp
    return Column(member.name, member.kind, get, PLAIN[member.kind], told.unit)


def _narrow_timestamp(sample: Sample) -> int:
    return sample.timestamp_ms & (1 << NARROW_BITS) - 1


@cache
def _newest_columns() -> tuple[Column, ...]:
    return columns(firmware(versions()[-1]))


@cache
def offered_columns(of: Firmware, profile: Profile) -> tuple[Column, ...]:
    """Columns that may be asked for, in their order; without the time stamp."""
    own = columns(of)[:-1]
    promised = {*PAGE_COLUMNS} if profile.page_columns else set()
    if profile.response_time_column:
        promised.add(RESPONSE_TIME)
    labels = {column.label for column in own}
    return own + tuple(
        column
        for column in _newest_columns()
        if column.label in promised and column.label not in labels
    )


DASHBOARD = (_HASHRATE, _TEMP, _MEASURED["power"])
"""Columns of the dashboard, before the time stamp. Source: ESP-Miner v2.10."""
