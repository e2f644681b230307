"""The OpenAPI document of the device's API, made from the tables."""

from typing import Any

from softaxe.api.schema import (
    TIMESTAMP,
    Field,
    asic_fields,
    info_fields,
    offered_columns,
)
from softaxe.catalog.firmware import Firmware, Kind
from softaxe.device.device import Device
from softaxe.device.profile import Profile
from softaxe.device.settings import SETTINGS, Setting
from softaxe.device.settings import Kind as SettingKind

Schema = dict[str, Any]

MAX_AUTHMODE = 12
"""Last of ESP-IDF's authentication modes. Source: wifi_auth_mode_t."""

TAGS = {
    "system": "Readings, settings, updates.",
    "theme": "Colours of the web page.",
    "recovery": "What is there without a web page.",
    "softaxe": "softaxe's own, which a Bitaxe has not.",
}
"""Parts of the API, by what stands in their paths."""

_STRING: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}


def _object(properties: Schema, *optional: str) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_REASON = _object({"message": _STRING, "count": _INTEGER})
_CHIP = _object({"total": _NUMBER, "domains": _array(_NUMBER), "errorCount": _INTEGER})
_KINDS: dict[Kind, Schema] = {
    Kind.INTEGER: _INTEGER,
    Kind.FLOAT7: _NUMBER,
    Kind.FLOAT_RAW: _NUMBER,
    Kind.DOUBLE: _NUMBER,
    Kind.BOOLEAN01: {"type": "integer", "enum": [0, 1]},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.STRING: _STRING,
    Kind.INTEGERS: _array(_INTEGER),
    Kind.ARRAY: {"type": "array"},
    Kind.OBJECT: {"type": "object"},
}
_SHAPES: dict[str, Schema] = {
    "sharesRejectedReasons": _array(_REASON),
    "hashrateMonitor": _object({"asics": _array(_CHIP)}),
}
"""Of arrays and objects, by name."""
_ROWS = _array(_array(_NUMBER))
_STATISTICS = _object(
    {"currentTimestamp": _INTEGER, "labels": _array(_STRING), "statistics": _ROWS}
)
_DASHBOARD = _object({"currentTimestamp": _INTEGER, "statistics": _ROWS})
_NETWORK = _object(
    {
        "ssid": _STRING,
        "rssi": {**_INTEGER, "description": "in dBm"},
        "authmode": {"type": "integer", "minimum": 0, "maximum": MAX_AUTHMODE},
    }
)
_THEME = _object({"colorScheme": _STRING, "accentColors": {}}, "accentColors")
_WARNINGS = {
    **_array(_STRING),
    "description": "What the API page asks for and a member does not meet",
}
_STATUS = _object(
    {
        "softaxe": _STRING,
        "seed": _INTEGER,
        "work": _STRING,
        "speed": _NUMBER,
        "reachedSpeed": {"type": ["number", "null"]},
        "boot": _STRING,
        "bootMs": _INTEGER,
        "pool": _STRING,
        "poolConnected": {"type": "boolean"},
        "poolSilentSeconds": {"type": ["number", "null"]},
        "difficulties": _object(
            {"pool": _NUMBER, "best": _NUMBER, "bestSession": _NUMBER}
        ),
        "overheatReduction": {"type": ["object", "null"]},
        "partitions": {"type": "array", "items": {"type": "object"}},
        "warnings": _array(_STRING),
        "chips": _object(
            {
                "answering": _INTEGER,
                "hashing": _INTEGER,
                "badReplies": _INTEGER,
                "badCommands": _INTEGER,
            }
        ),
    }
)
_RULES = _object(
    {
        "overclock_guarded": {"type": "boolean"},
        "is_strict": {"type": "boolean"},
        "settings": {"type": "array", "items": {"type": "object"}},
    }
)


def document(device: Device) -> Schema:
    """Describe what a device answers in its profile."""
    firmware, profile = device.firmware, device.profile
    paths = _paths(firmware, profile)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AxeOS API",
            "version": device.version,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "The API of a Bitaxe, as softaxe serves it. "
            f"Profile: {profile.name}. The log is a WebSocket at "
            "/api/ws. Every other path under /api/, and every other method, is a 404 "
            "with a JSON body, UnknownRoute.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": told} for name, told in TAGS.items()],
        "paths": {path: _tagged(path, one) for path, one in paths.items()},
        "components": {
            "schemas": {
                "Info": _fields(info_fields(firmware)),
                "Asic": _fields(asic_fields(firmware)),
                "Settings": _settings(profile),
                "Refusal": _object({"error": _STRING}),
                "Message": _object({"message": _STRING}),
                "Stored": _object({"warnings": _WARNINGS}, "warnings"),
            },
            "responses": {
                "Unauthorized": _response("Client or page is not allowed in", _text()),
                "TooLong": _response("Path and query are too long", _text()),
                "UnknownRoute": _response("No such route", _json(_ref("Refusal"))),
            },
        },
    }


def _paths(firmware: Firmware, profile: Profile) -> Schema:
    paths: Schema = {
        "/api/system/info": {
            "get": _get("getInfo", "All readings and settings", _ref("Info"))
        },
        "/api/system/asic": {
            "get": _get("getAsic", "The chip and its options", _ref("Asic"))
        },
        "/api/system/statistics": {"get": _statistics(firmware, profile)},
        "/api/system/wifi/scan": {"get": _scan(profile)},
        "/api/system": {
            "patch": _patch(profile),
            "options": _preflight("preflightSettings"),
        },
        "/api/system/restart": {
            "post": _action("restart", "Reset the device in a second", profile),
            "options": _preflight("preflightRestart"),
        },
        "/api/system/identify": {
            "post": _action("identify", "Say hi for 30 seconds, or stop", profile),
            "options": _preflight("preflightIdentify"),
        },
        "/api/system/OTA": {
            "post": _upload(
                "updateFirmware", "Install an ESP32-S3 application image", profile
            )
        },
        "/api/system/OTAWWW": {
            "post": _upload(
                "updatePage", "Install a SPIFFS image of the web page", profile
            )
        },
        "/api/theme": {
            "get": _open(_get("getTheme", "Colours of the web page", _THEME)),
            "post": _open(_post_theme()),
            "options": _open(_preflight("preflightTheme")),
        },
        "/recovery": {
            "get": _operation(
                "getRecoveryPage",
                "A page to install a www image or to restart",
                {"200": _response("The page", _text())},
            )
        },
        "/softaxe/status.json": {
            "get": _get(
                "getStatus",
                "What the API does not tell: work mode, pool, chips, partitions",
                _STATUS,
            )
        },
        "/softaxe/settings.json": {
            "get": _get("getSettings", "Rules and values of the settings", _RULES)
        },
    }
    if profile.dashboard_exists:
        summary = "Rows of hash rate (GH/s), chip temperature, power and time stamp"
        paths["/api/system/statistics/dashboard"] = {
            "get": _get("getDashboard", summary, _DASHBOARD)
        }
    return paths


# Parts of operations


def _tagged(path: str, methods: Schema) -> Schema:
    """Add a part of the API, and a whole sentence, to a path's operations."""
    tag = next(name for name in TAGS if f"/{name}" in path)
    return {
        method: {"tags": [tag], "description": f"{one['summary']}.", **one}
        for method, one in methods.items()
    }


def _ref(name: str, of: str = "schemas") -> Schema:
    return {"$ref": f"#/components/{of}/{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _text(kind: str = "text/html") -> Schema:
    return {kind: {"schema": _STRING}}


def _response(description: str, content: Schema) -> Schema:
    return {"description": description, "content": content}


def _operation(name: str, summary: str, responses: Schema, **rest: object) -> Schema:
    """An operation behind the access check."""
    return {
        "operationId": name,
        "summary": summary,
        **rest,
        "responses": {
            **responses,
            "401": _ref("Unauthorized", "responses"),
            "414": _ref("TooLong", "responses"),
        },
    }


def _open(operation: Schema) -> Schema:
    """Take the access check away."""
    del operation["responses"]["401"]
    return operation


def _get(name: str, summary: str, schema: Schema, **rest: object) -> Schema:
    return _operation(name, summary, {"200": _response(summary, _json(schema))}, **rest)


def _preflight(name: str) -> Schema:
    responses = {"200": _response("Empty, with the CORS headers", _text())}
    return _operation(name, "What browsers ask before they send", responses)


# Operations


def _statistics(firmware: Firmware, profile: Profile) -> Schema:
    offered = offered_columns(firmware, profile)
    labels = ", ".join(column.label for column in offered)
    columns = {
        "name": "columns",
        "in": "query",
        "required": False,
        "explode": False,
        "description": "Columns to return, separated by commas; all when none is "
        f"known. Known are {labels}. `{TIMESTAMP}` always comes last.",
        "schema": _array(_STRING),
    }
    summary = "Samples taken every statsFrequency seconds"
    return _get("getStatistics", summary, _STATISTICS, parameters=[columns])


def _scan(profile: Profile) -> Schema:
    networks = _object({"networks": _array(_NETWORK)})
    operation = _get("scanWifi", "Networks in range", networks)
    return operation if profile.scan_access_checked else _open(operation)


def _patch(profile: Profile) -> Schema:
    ok = _json(_ref("Stored")) if profile.patch_answers_json else _text()
    bad = _json(_ref("Refusal")) if profile.patch_errors_explained else _text()
    return _operation(
        "updateSettings",
        "Change settings: all of them, or none",
        {
            "200": _response("Stored", ok),
            "400": _response("A value is not allowed; nothing is changed", bad),
            "500": _response("The body is too long, or could not be stored", _text()),
        },
        requestBody={"required": True, "content": _json(_ref("Settings"))},
    )


def _action(name: str, summary: str, profile: Profile) -> Schema:
    is_json = profile.actions_answer_json
    content = _json(_ref("Message")) if is_json else _text("text/plain")
    return _operation(name, summary, {"200": _response(summary, content)})


def _upload(name: str, summary: str, profile: Profile) -> Schema:
    text = _text()
    if profile.image_refused_with_reason:
        text |= _text("text/plain")
    return _operation(
        name,
        summary,
        {
            "200": _response("Installed", _text()),
            "400": _response("The image is refused", text),
            "500": _response("Not now, cut off, or not to be stored", text),
        },
        requestBody={
            "required": True,
            "content": {"application/octet-stream": {"schema": _STRING}},
        },
    )


def _post_theme() -> Schema:
    theme = {
        "type": "object",
        "properties": {"colorScheme": _STRING, "accentColors": {"type": "object"}},
    }
    return _operation(
        "setTheme",
        "Change the colours of the web page",
        {
            "200": _response("Stored", _text()),
            "400": _response("Not JSON", _text()),
            "500": _response("Empty, too long, or could not be stored", _text()),
        },
        requestBody={"required": True, "content": _json(theme)},
    )


# Tables


def _fields(rows: tuple[Field, ...]) -> Schema:
    properties = {
        row.name: {
            **_SHAPES.get(row.name, _KINDS[row.kind]),
            "description": _meaning(row),
        }
        for row in rows
    }
    return _object(properties, *(row.name for row in rows if row.is_optional))


def _meaning(row: Field | Setting) -> str:
    return f"{row.description}, in {row.unit}" if row.unit else row.description


def _settings(profile: Profile) -> Schema:
    properties = {
        name: _setting(row, profile)
        for row in SETTINGS
        for name in row.rest_names(profile)
    }
    return {"type": "object", "properties": properties}


def _setting(row: Setting, profile: Profile) -> Schema:
    limits = row.limits(profile)
    words = row.asked_words(profile)
    asked = f" The API page asks for {words}." if words else ""
    schema: Schema = {"description": f"{_meaning(row)}. Felt {row.effect}.{asked}"}
    if row.is_secret:
        schema["writeOnly"] = True
    if row.choices:
        kind = _STRING if row.kind is SettingKind.STRING else _INTEGER
        return schema | {**kind, "enum": list(row.choices)}
    if row.kind is SettingKind.STRING:
        sizes = {"minLength": limits.minimum, "maxLength": limits.maximum}
        pattern = {"pattern": f"^{limits.pattern}$"} if limits.pattern else {}
        if limits.may_be_empty:
            return schema | {
                "anyOf": [{**_STRING, "maxLength": 0}, {**_STRING, **sizes}]
            }
        return schema | {**_STRING, **sizes, **pattern}
    numbers = {"minimum": limits.minimum, "maximum": limits.maximum}
    if row.kind is SettingKind.BOOLEAN:
        flag: Schema = {"type": "boolean"}
        if not limits.maximum:
            flag["enum"] = [False]
        return schema | {"anyOf": [{**_INTEGER, **numbers}, flag]}
    is_float = row.kind is SettingKind.FLOAT
    return schema | {**(_NUMBER if is_float else _INTEGER), **numbers}
