"""From a device to the bytes of an answer."""

import json
from urllib.parse import unquote

from softaxe.api import cjson
from softaxe.api.schema import (
    ASIC,
    COLUMNS,
    INFO,
    PRINTERS,
    RESPONSE_TIME,
    TIMESTAMP_COLUMN,
    Column,
    Kind,
    monitor_text,
)
from softaxe.device.device import Device

GIGA = 1e9
DASHBOARD_LABELS = ("hashrate", "asicTemp", "power", "timestamp")


def info_body(device: Device) -> bytes:
    """Print the answer of `/api/system/info`."""
    return _info_text(device).encode("utf-8", "surrogateescape")


def _info_text(device: Device) -> str:
    lines = []
    for name, kind, get in _INFO_ROWS:
        value = get(device)
        if value is None:
            continue
        printer = PRINTERS.get(kind)
        if printer is not None:
            text = printer(value)
        elif kind is Kind.REASONS:
            text = _reasons_text(device)
        else:
            text = monitor_text(device.asics)
        lines.append(f'\t"{name}":\t{text}')
    return "{\n" + ",\n".join(lines) + "\n}"


_INFO_ROWS = tuple((row.name, row.kind, row.get) for row in INFO)


def _reasons_text(device: Device) -> str:
    return cjson.array(
        cjson.members(
            (
                ("message", cjson.string(reason.message)),
                ("count", cjson.number(reason.count)),
            ),
            depth=3,
        )
        for reason in device.shares.rejected_reasons
    )


def asic_body(device: Device) -> bytes:
    """Print the answer of `/api/system/asic`."""
    rows = ((row.name, cjson.document(row.get(device))) for row in ASIC)
    return cjson.members(rows).encode()


def statistics_body(device: Device, query: str) -> bytes:
    """Print the answer of `/api/system/statistics`.

    Args:
        device: Whose.
        query: The request's query string, undecoded.
    """
    columns = [*_columns(device, query), TIMESTAMP_COLUMN]
    getters = [(PRINTERS[column.kind], column.get) for column in columns]
    samples = cjson.array(
        cjson.array([printer(get(sample)) for printer, get in getters])
        for sample in device.statistics.rows
    )
    return cjson.members(
        (
            ("currentTimestamp", cjson.number(device.boot_ms)),
            ("labels", cjson.array(cjson.string(c.label) for c in columns)),
            ("statistics", samples),
        )
    ).encode()


def _columns(device: Device, query: str) -> list[Column]:
    """The columns a query asks for, in the fixed order; all when it names none."""
    profile = device.profile
    wanted: set[str] = set()
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name.lower() == "columns":
            text = unquote(value) if profile.columns_decoded else value
            wanted = set(text.split(","))
            break
    offered = [
        column
        for column in COLUMNS
        if profile.response_time_column or column.label != RESPONSE_TIME
    ]
    chosen = [column for column in offered if column.label in wanted]
    return chosen or offered


def dashboard_body(device: Device) -> bytes:
    """Print the answer of `/api/system/statistics/dashboard`: compact, unlabelled."""
    rows = [
        [
            float(cjson.float7(sample.hashrate_hs / GIGA)),
            sample.temp_c,
            float(cjson.float7(sample.power_w)),
            sample.timestamp_ms,
        ]
        for sample in device.statistics.rows
    ]
    answer = {"currentTimestamp": device.boot_ms, "statistics": rows}
    return json.dumps(answer, separators=(",", ":")).encode()


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
    except ValueError:
        pass  # the firmware leaves out what is not JSON
    else:
        rows.append(("accentColors", cjson.document(colors, depth=2)))
    return cjson.members(rows).encode("utf-8", "surrogateescape")


def error_body(text: str) -> bytes:
    """Print an error as the firmware prints its JSON 404."""
    return cjson.members((("error", cjson.string(text)),)).encode()


def message_body(text: str) -> bytes:
    """Print what an action has to say."""
    return cjson.members((("message", cjson.string(text)),)).encode()
