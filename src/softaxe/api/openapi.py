"""The OpenAPI document of the device's API, made from the tables."""

from typing import Any

from softaxe.api.schema import ASIC, COLUMNS, INFO, TIMESTAMP, Kind
from softaxe.device.device import Device
from softaxe.device.profile import Profile
from softaxe.device.settings import (
    DISPLAYS,
    HOSTNAME,
    MIN_WIFI_PASSWORD,
    ROTATIONS,
    SETTINGS,
    Setting,
)
from softaxe.device.settings import Kind as SettingKind

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_KINDS: dict[Kind, Schema] = {
    Kind.INTEGER: _INTEGER,
    Kind.FLOAT7: _NUMBER,
    Kind.FLOAT_RAW: _NUMBER,
    Kind.DOUBLE: _NUMBER,
    Kind.BOOLEAN01: {"type": "integer", "enum": [0, 1]},
    Kind.STRING: _STRING,
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": _STRING},
}
_MESSAGE = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": _STRING},
}


def document(device: Device) -> Schema:
    """Describe what a device answers in its profile."""
    profile = device.profile
    paths: Schema = {
        "/api/system/info": {
            "get": _get("getInfo", "All readings and settings", _info_schema())
        },
        "/api/system/asic": {
            "get": _get("getAsic", "The chip and its options", _asic_schema())
        },
        "/api/system/statistics": {"get": _statistics(profile)},
        "/api/system/wifi/scan": {
            "get": _get("scanWifi", "Networks in range", _scan_schema())
        },
        "/api/system": {"patch": _patch(profile)},
        "/api/system/restart": {
            "post": _action("restart", "Reset the device in a second", profile)
        },
        "/api/system/identify": {
            "post": _action("identify", "Say hi for 30 seconds, or stop", profile)
        },
        "/api/system/OTA": {
            "post": _upload("updateFirmware", "Install an ESP32-S3 application image")
        },
        "/api/system/OTAWWW": {
            "post": _upload("updatePage", "Install a SPIFFS image of the web page")
        },
        "/api/theme": {"get": _theme(), "post": _post_theme()},
    }
    if profile.dashboard_exists:
        paths["/api/system/statistics/dashboard"] = {
            "get": _get(
                "getDashboard",
                "Rows of hash rate (GH/s), chip temperature, power and time stamp",
                _table_schema(["currentTimestamp", "statistics"]),
            )
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AxeOS API, as softaxe serves it",
            "version": device.version,
            "description": f"Profile: {profile.name}. "
            "The log stream is a WebSocket at /api/ws.",
        },
        "paths": paths,
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _text(kind: str = "text/html") -> Schema:
    return {kind: {"schema": _STRING}}


def _response(description: str, content: Schema | None = None) -> Schema:
    answer: Schema = {"description": description}
    return answer | ({"content": content} if content else {})


_UNAUTHORIZED = _response("The client is outside the allowed networks", _text())


def _operation(name: str, summary: str, responses: Schema, **rest: object) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        **rest,
        "responses": {**responses, "401": _UNAUTHORIZED},
    }


def _get(name: str, summary: str, schema: Schema, **rest: object) -> Schema:
    return _operation(name, summary, {"200": _response(summary, _json(schema))}, **rest)


def _info_schema() -> Schema:
    properties: Schema = {}
    for row in INFO:
        if row.kind is Kind.REASONS:
            schema: Schema = {"type": "array", "items": _reason_schema()}
        elif row.kind is Kind.MONITOR:
            schema = _monitor_schema()
        else:
            schema = _KINDS[row.kind]
        unit = f", in {row.unit}" if row.unit else ""
        properties[row.name] = {**schema, "description": f"{row.description}{unit}"}
    required = [row.name for row in INFO if not row.is_optional]
    return {"type": "object", "required": required, "properties": properties}


def _reason_schema() -> Schema:
    return {
        "type": "object",
        "required": ["message", "count"],
        "properties": {"message": _STRING, "count": _INTEGER},
    }


def _monitor_schema() -> Schema:
    chip = {
        "type": "object",
        "required": ["total", "domains", "errorCount"],
        "properties": {
            "total": _NUMBER,
            "domains": {"type": "array", "items": _NUMBER},
            "errorCount": _INTEGER,
        },
    }
    return {
        "type": "object",
        "required": ["asics"],
        "properties": {"asics": {"type": "array", "items": chip}},
    }


def _asic_schema() -> Schema:
    properties: Schema = {}
    for row in ASIC:
        schema = _INTEGER
        if row.name.endswith("Options"):
            schema = {"type": "array", "items": _INTEGER}
        elif row.name in ("ASICModel", "deviceModel", "swarmColor"):
            schema = _STRING
        properties[row.name] = {**schema, "description": row.description}
    return {"type": "object", "required": list(properties), "properties": properties}


def _table_schema(required: list[str]) -> Schema:
    return {
        "type": "object",
        "required": required,
        "properties": {
            "currentTimestamp": _INTEGER,
            "labels": {"type": "array", "items": _STRING},
            "statistics": {
                "type": "array",
                "items": {"type": "array", "items": _NUMBER},
            },
        },
    }


def column_labels(profile: Profile) -> list[str]:
    """The columns that may be asked for."""
    labels = [column.label for column in COLUMNS]
    return labels if profile.response_time_column else labels[:-1]


def _statistics(profile: Profile) -> Schema:
    columns = {
        "name": "columns",
        "in": "query",
        "required": False,
        "explode": False,
        "description": "Columns to return, separated by commas; all when none is "
        f"known. Known are {', '.join(column_labels(profile))}. "
        f"`{TIMESTAMP}` always comes last.",
        "schema": {"type": "array", "items": _STRING},
    }
    schema = _table_schema(["currentTimestamp", "labels", "statistics"])
    summary = "Samples taken every statsFrequency seconds"
    return _get("getStatistics", summary, schema, parameters=[columns])


def _scan_schema() -> Schema:
    network = {
        "type": "object",
        "required": ["ssid", "rssi", "authmode"],
        "properties": {
            "ssid": _STRING,
            "rssi": {**_INTEGER, "description": "in dBm"},
            "authmode": {"type": "integer", "minimum": 0, "maximum": 12},
        },
    }
    return {
        "type": "object",
        "required": ["networks"],
        "properties": {"networks": {"type": "array", "items": network}},
    }


def _patch(profile: Profile) -> Schema:
    properties = {
        row.rest_name: _setting_schema(row, profile)
        for row in SETTINGS
        if row.rest_name
    }
    if profile.fanspeed_sets_fan:
        properties["fanspeed"] = properties["manualFanSpeed"]
    ok = _json({"type": "object"}) if profile.patch_answers_json else _text()
    bad = _json(_ERROR) if profile.patch_errors_explained else _text()
    return _operation(
        "updateSettings",
        "Change settings: all of them, or none",
        {
            "200": _response("Stored", ok),
            "400": _response("A value is not allowed; nothing is changed", bad),
            "500": _response("The body is too long, or could not be stored", _text()),
        },
        requestBody={
            "required": True,
            "content": _json({"type": "object", "properties": properties}),
        },
    )


def _setting_schema(row: Setting, profile: Profile) -> Schema:
    low, high = row.limits(profile)
    unit = f", in {row.unit}" if row.unit else ""
    text = f"{row.description}{unit}. Felt {row.effect}."
    schema: Schema = {"description": text}
    if row.is_secret:
        schema["writeOnly"] = True
    if row.kind is SettingKind.BOOLEAN:
        numbers = {"type": "integer", "minimum": low, "maximum": high}
        names = [False] if high == 0 else [False, True]
        return schema | {"anyOf": [numbers, {"enum": names}]}
    if row.kind is not SettingKind.STRING:
        kind = "number" if row.kind is SettingKind.FLOAT else "integer"
        schema |= {"type": kind, "minimum": low, "maximum": high}
        return schema | (
            {"enum": list(ROTATIONS)} if row.rest_name == "rotation" else {}
        )
    if row.rest_name == "display":
        return schema | {"enum": list(DISPLAYS)}
    schema |= {"type": "string", "maxLength": high}
    if low:
        schema["minLength"] = low
    if row.rest_name == "hostname" and profile.hostname_checked:
        schema["pattern"] = f"^{HOSTNAME.pattern}$"
    if row.rest_name == "wifiPass" and profile.short_wifi_password_refused:
        sizes = {"minLength": MIN_WIFI_PASSWORD, "maxLength": high}
        schema["anyOf"] = [{"maxLength": 0}, sizes]
    return schema


def _action(name: str, summary: str, profile: Profile) -> Schema:
    content = _json(_MESSAGE) if profile.actions_answer_json else _text("text/plain")
    return _operation(name, summary, {"200": _response(summary, content)})


def _upload(name: str, summary: str) -> Schema:
    binary = {"application/octet-stream": {"schema": {"type": "string"}}}
    reason = {**_text("text/plain"), **_text()}
    return _operation(
        name,
        summary,
        {
            "200": _response("Installed", _text()),
            "400": _response("The image is refused; says why", reason),
            "500": _response("Not now, cut off, or not to be stored", reason),
        },
        requestBody={"required": True, "content": binary},
    )


def _theme() -> Schema:
    theme = {
        "type": "object",
        "required": ["colorScheme"],
        "properties": {
            "colorScheme": _STRING,
            "accentColors": {},
        },
    }
    operation = _get("getTheme", "Colours of the web page", theme)
    del operation["responses"]["401"]
    return operation


def _post_theme() -> Schema:
    theme = {
        "type": "object",
        "properties": {"colorScheme": _STRING, "accentColors": {"type": "object"}},
    }
    operation = _operation(
        "setTheme",
        "Change the colours of the web page",
        {
            "200": _response("Stored", _text()),
            "400": _response("Not JSON", _text()),
            "500": _response("Empty, or longer than 1023 bytes", _text()),
        },
        requestBody={"required": True, "content": _json(theme)},
    )
    del operation["responses"]["401"]
    return operation
