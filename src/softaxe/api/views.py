"""From a device to the bytes of an answer."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from urllib.parse import unquote

from softaxe.api import cjson
from softaxe.api.schema import (
    ASIC,
    DASHBOARD,
    INFO,
    PRINTERS,
    TIMESTAMP_COLUMN,
    Column,
    Field,
    offered_columns,
)
from softaxe.device.device import Device
from softaxe.device.profile import FIRMWARE, Profile
from softaxe.device.settings import SETTINGS, Effect, Limits, Setting, unmet_demands
from softaxe.flash.partitions import FACTORY, OTA_SLOTS, SHIPPED_VERSION


def _writer(rows: tuple[Field, ...]) -> Callable[[Device], bytes]:
    """Compile a table into one template and the functions that fill it."""
    template = "{\n"
    cells: list[tuple[cjson.Printer, Callable[[Device], object]]] = []
    for row in rows:
        comma = ",\n" if cells else ""
        start, printer = f'{comma}\t"{row.name}":\t', PRINTERS[row.kind]
        if row.is_optional:
            template += "%s"
            printer = partial(_optional_text, start, printer)
        else:
            template += f"{start}%s"
        cells.append((printer, row.get))
    template += "\n}"

    def write(device: Device) -> bytes:
        values = tuple([printer(get(device)) for printer, get in cells])
        return (template % values).encode("utf-8", "surrogateescape")

    return write


def _optional_text(start: str, printer: cjson.Printer, value: object) -> str:
    return "" if value is None else start + printer(value)


_write_info = _writer(INFO)
_write_asic = _writer(ASIC)


def info_body(device: Device) -> bytes:
    """Print the answer of `/api/system/info`."""
    return _write_info(device)


def asic_body(device: Device) -> bytes:
    """Print the answer of `/api/system/asic`."""
    return _write_asic(device)


def statistics_body(device: Device, query: str) -> bytes:
    """Print the answer of `/api/system/statistics`.

    Args:
        device: Whose.
        query: The request's query string, undecoded.
    """
    columns = [*_columns(query, device.profile), TIMESTAMP_COLUMN]
    cells = [(PRINTERS[column.kind], column.get) for column in columns]
    samples = cjson.array(
        cjson.array([printer(get(sample)) for printer, get in cells])
        for sample in device.statistics.rows
    )
    return cjson.members(
        (
            ("currentTimestamp", cjson.number(device.boot_ms)),
            ("labels", cjson.array(cjson.string(c.label) for c in columns)),
            ("statistics", samples),
        )
    ).encode()


def columns_that_differ(query: str, profile: Profile) -> Iterator[str]:
    """Yield the rows of the profile table by which a device has other columns."""
    known = {column.label for column in offered_columns(FIRMWARE)}
    if known & (wanted_columns(query, profile) ^ wanted_columns(query, FIRMWARE)):
        yield "columns_decoded"
    unknown = {*offered_columns(profile)} - {*offered_columns(FIRMWARE)}
    if unknown & {*_columns(query, profile)}:
        yield "response_time_column"


def _columns(query: str, profile: Profile) -> list[Column]:
    """The columns a query asks for, in the fixed order; all when it names none."""
    wanted = wanted_columns(query, profile)
    offered = offered_columns(profile)
    chosen = [column for column in offered if column.label in wanted]
    return chosen or list(offered)


def wanted_columns(query: str, profile: Profile) -> set[str]:
    """Return the names that the query of `/api/system/statistics` asks for."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name.lower() == "columns":
            text = unquote(value) if profile.columns_decoded else value
            return set(text.split(","))
    return set()


def dashboard_body(device: Device) -> bytes:
    """Print the answer of `/api/system/statistics/dashboard`: compact, unlabelled.

    Its numbers are not rounded. Source: ESP-Miner v2.10.
    """
    getters = [column.get for column in DASHBOARD]
    rows = ",".join(
        f"[{','.join([cjson.float_raw(get(sample)) for get in getters])},"
        f"{cjson.number(sample.timestamp_ms)}]"
        for sample in device.statistics.rows
    )
    now = cjson.number(device.boot_ms)
    return f'{{"currentTimestamp":{now},"statistics":[{rows}]}}'.encode()


def scan_body(device: Device) -> bytes:
    """Print the answer of `/api/system/wifi/scan`."""
    networks = cjson.array(
        cjson.members(
            (
                ("ssid", cjson.string(network.ssid)),
                ("rssi", cjson.number(network.rssi_dbm)),
                ("authmode", cjson.number(network.authmode)),
            ),
            depth=3,
        )
        for network in device.radio.scan()
    )
    return cjson.members((("networks", networks),)).encode()


def theme_body(device: Device) -> bytes:
    """Print the answer of `/api/theme`."""
    settings = device.settings
    rows = [("colorScheme", cjson.string(settings.theme_scheme))]
    try:
        colors = json.loads(settings.theme_colors)
    except (ValueError, RecursionError):
        pass  # the firmware leaves out what is not JSON
    else:
        rows.append(("accentColors", cjson.document(colors, depth=2)))
    return cjson.members(rows).encode("utf-8", "surrogateescape")


def error_body(text: str) -> bytes:
    """Print an error as the firmware prints its JSON 404."""
    return cjson.members((("error", cjson.string(text)),)).encode()


def warnings_body(warnings: Iterable[str]) -> bytes:
    """Print what the API page has against a PATCH that was taken."""
    texts = cjson.array(map(cjson.string, warnings))
    return cjson.members((("warnings", texts),)).encode("utf-8", "surrogateescape")


def message_body(text: str) -> bytes:
    """Print what an action has to say."""
    return cjson.members((("message", cjson.string(text)),)).encode()


def setting_rules(device: Device) -> dict[str, object]:
    """What the web page needs to show and check every setting of a PATCH.

    Values of secrets stay here.
    """
    return {
        "overclock_guarded": device.profile.overclock_guarded,
        "is_strict": device.profile.is_strict,
        "settings": [
            _setting_rule(row, device) for row in SETTINGS if row.rest_name is not None
        ],
    }


def _setting_rule(row: Setting, device: Device) -> dict[str, object]:
    asked = row.asked(device.profile)
    return {
        "name": row.rest_name,
        "description": row.description,
        "kind": row.kind,
        "unit": row.unit,
        **_limits_rule(row, row.limits(device.profile)),
        "asked": asked and _limits_rule(row, asked),
        "choices": row.choices,
        "effect": row.effect,
        "is_waiting": _is_waiting(row, device),
        "is_secret": row.is_secret,
        "value": None if row.is_secret else getattr(device.settings, row.name),
    }


def _limits_rule(row: Setting, limits: Limits) -> dict[str, object]:
    return {
        "minimum": limits.minimum,
        "maximum": limits.maximum,
        "pattern": limits.pattern,
        "pattern_in_words": limits.pattern_in_words,
        "may_be_empty": limits.may_be_empty,
        "allowed": row.allowed(limits),
    }


def _is_waiting(row: Setting, device: Device) -> bool:
    """True while another value than the stored one is in force."""
    stored = getattr(device.settings, row.name)
    in_force = getattr(device.settings_at_boot, row.name)
    return row.effect is Effect.RESTART and bool(stored != in_force)


def status(device: Device) -> dict[str, object]:
    """What the device's own API keeps silent about.

    Firmware goes on to show the last hash rate of a chip that is off, and the address
    family of a pool that is gone.
    """
    pools, reduction = device.pools, device.power_management.reduction
    heard_at = pools.heard_at
    return {
        "bootMs": device.boot_ms,
        "poolConnected": pools.is_connected,
        "poolSilentSeconds": None if heard_at is None else device.now - heard_at,
        "chips": {
            "answering": device.driver.detected_count,
            "hashing": device.chain.hashing_count,
            "badReplies": device.driver.bad_frames,
            "badCommands": device.chain.bad_frames,
        },
        "difficulties": {
            "pool": pools.pool_difficulty,
            "best": device.mining.exact_difficulty,
            "bestSession": device.mining.exact_session_difficulty,
        },
        "overheatReduction": reduction
        and {
            "frequencyBefore": reduction.before_mhz,
            "frequency": reduction.after_mhz,
            "coreVoltageBefore": reduction.before_mv,
            "coreVoltage": reduction.after_mv,
        },
        "partitions": partitions(device),
        "warnings": _warnings(device),
    }


def _warnings(device: Device) -> list[str]:
    """What the API page has against the settings, but for those of the protection."""
    settings, reduction = device.settings, device.power_management.reduction
    unmet = unmet_demands(settings, profile=device.profile, board=device.board)
    if reduction and settings.frequency_mhz == reduction.after_mhz:
        unmet.pop("frequency", None)
    if reduction and settings.core_voltage_mv == reduction.after_mv:
        unmet.pop("coreVoltage", None)
    return list(unmet.values())


def partitions(device: Device) -> list[dict[str, object]]:
    """List the application partitions; the version of an empty one is None."""
    flash = device.flash
    rows: list[dict[str, object]] = []
    for label in (FACTORY, *OTA_SLOTS):
        slot = flash.slots.get(label)
        shipped = SHIPPED_VERSION if label == FACTORY else None
        rows.append(
            {
                "label": label,
                "version": shipped if slot is None else slot.version,
                "boots": slot is None or slot.boots,
                "is_running": label == flash.running,
                "is_next": label == flash.boot_label,
            }
        )
    return rows
