"""The OpenAPI document of the device's API, made from the tables."""

from typing import Any

from softaxe.api.routes import HTML, JSON, routes_of
from softaxe.api.schema import (
    DIFFICULTIES,
    TIMESTAMP,
    Field,
    asic_fields,
    info_fields,
    offered_columns,
)
from softaxe.catalog.firmware import Firmware, Kind
from softaxe.device.device import Device
from softaxe.device.pool_slots import SLOT_RULES, SLOTS
from softaxe.device.profile import Profile
from softaxe.device.setting_rules import Kind as SettingKind
from softaxe.device.setting_rules import Rule, Setting, rules

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
_COUNTERS = {"total": _NUMBER, "domains": _array(_NUMBER), "errorCount": _INTEGER}
_CHIP, _CHIP_OR_BM1397 = _object(_COUNTERS), _object(_COUNTERS, "domains")
_OUTPUT = _object({"value": _INTEGER, "address": _STRING})
_FLAG: Schema = {"type": "boolean"}
_POOL = _object(
    {
        "id": _INTEGER,
        "stratumProtocol": _STRING,
        "stratumURL": _STRING,
        "stratumPort": _INTEGER,
        "stratumUser": _STRING,
        "stratumPassword": _STRING,
        "stratumSuggestedDifficulty": _INTEGER,
        "stratumExtranonceSubscribe": _FLAG,
        "stratumTLS": _INTEGER,
        "stratumCert": _STRING,
        "stratumDecodeCoinbase": _FLAG,
        "stratumV2ChannelType": _STRING,
        "stratumV2AuthorityPubkey": _STRING,
        "stratumV2RequireAuth": _FLAG,
    }
)
_MAYBE: Schema = {"type": ["string", "null"]}
_PARTITION = _object(
    {
        "label": _STRING,
        "isCurrent": _FLAG,
        "isFactory": _FLAG,
        "version": _MAYBE,
        "compileDate": _MAYBE,
        "compileTime": _MAYBE,
        "usagePercent": {"type": ["integer", "null"]},
    }
)
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
    "coinbaseOutputs": _array(_OUTPUT),
    "blockSignals": _array(_STRING),
    "pools": _array(_POOL),
    "partitions": _array(_PARTITION),
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
_SCORES = _array(
    _object(
        {
            "difficulty": _NUMBER,
            "job_id": _STRING,
            "extranonce2": _STRING,
            "ntime": _INTEGER,
            "nonce": _STRING,
            "version_bits": _STRING,
        }
    )
)
_DISMISSED = _object(
    {"blockFound": _INTEGER, "showNewBlock": _FLAG, "message": _STRING}
)
_WARNINGS = {
    **_array(_STRING),
    "description": "What the API page asks for and a member does not meet",
}
_STATUS = _object(
    {
        "softaxe": _STRING,
        "seed": _INTEGER,
        "fleetPage": _STRING,
        "work": _STRING,
        "speed": _NUMBER,
        "reachedSpeed": {"type": ["number", "null"]},
        "boot": _STRING,
        "bootMs": _INTEGER,
        "pool": _STRING,
        "poolConnected": {"type": "boolean"},
        "poolSilentSeconds": {"type": ["number", "null"]},
        "unansweredShares": _INTEGER,
        "unansweredSeconds": _NUMBER,
        "stoppedBy": _array(_STRING),
        "miningStopped": {"type": "boolean"},
        "difficulties": _object(
            {"pool": _NUMBER, "best": _NUMBER, "bestSession": _NUMBER}
        ),
        "overheatReduction": {"type": ["object", "null"]},
        "speaks": _STRING,
        "partitions": {"type": "array", "items": {"type": "object"}},
        "warnings": _array(_STRING),
        "wifiTrouble": _STRING,
        "limits": _object({"chip": _NUMBER, "regulator": _NUMBER}),
        "choosesPool": {"type": "boolean"},
        "block": {"type": ["object", "null"]},
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
        "pool_slots": _INTEGER,
        "pool_members": {"type": "array", "items": {"type": "object"}},
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
            f"Profile: {profile.name}. {_beside(firmware)}",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": told} for name, told in TAGS.items()],
        "paths": {path: _tagged(path, one) for path, one in paths.items()},
        "components": {
            "schemas": {
                "Info": _fields(info_fields(firmware), firmware, profile),
                "Asic": _fields(asic_fields(firmware), firmware, profile),
                "Settings": _settings(firmware, profile),
                "Refusal": _object({"error": _STRING}),
                "Message": _object({"message": _STRING}),
                "Stored": _stored(firmware),
            },
            "responses": {
                "Unauthorized": _response("Client or page is not allowed in", _text()),
                "TooLong": _response("Path and query are too long", _text()),
                "UnknownRoute": _response("No such route", _json(_ref("Refusal"))),
            },
        },
    }


def _beside(firmware: Firmware) -> str:
    """What there is beside the paths of the document."""
    text = "The log is a WebSocket at /api/ws. "
    if firmware.has_route("GET", "/api/ws/live"):
        text += "Changes of the info come by another, at /api/ws/live. "
    if not firmware.has_route("ANY", "/api/*"):
        return text + "A GET of any other path leads to the web page."
    return text + (
        "Every other path under /api/, and every other method, is a 404 with a JSON "
        "body, UnknownRoute."
    )


_PREFLIGHTS = {
    "/api/system": "preflightSettings",
    "/api/system/restart": "preflightRestart",
    "/api/system/identify": "preflightIdentify",
    "/api/theme": "preflightTheme",
}


def _paths(firmware: Firmware, profile: Profile) -> Schema:
    """Describe the routes that there are, of those that any version has."""
    routes = {(one.method, one.path): one for one in routes_of(firmware, profile)}
    every_preflight = routes.get(("OPTIONS", "/api/*"))
    paths: Schema = {}
    for path, methods in _known_paths(firmware, profile).items():
        found: Schema = {}
        for method, operation in methods.items():
            route = routes.get((method.upper(), path))
            if route is not None:
                found[method] = operation if route.is_checked else _open(operation)
        preflight = routes.get(("OPTIONS", path)) or (found and every_preflight)
        if preflight and path.startswith("/api/"):
            operation = _preflight(path, found)
            found["options"] = operation if preflight.is_checked else _open(operation)
        if found:
            paths[path.replace("*", "{index}")] = found
    return paths | _own_paths()


def _known_paths(firmware: Firmware, profile: Profile) -> Schema:
    """What any version has, as this one answers it."""
    routes = {(one.method, one.path): one for one in routes_of(firmware, profile)}

    def kind(method: str, path: str) -> str:
        route = routes.get((method, path))
        return "" if route is None else route.content_type

    def action(path: str, name: str, summary: str) -> Schema:
        return {"post": _action(name, summary, kind("POST", path))}

    def upload(path: str, name: str, summary: str) -> Schema:
        return {"post": _upload(name, summary, firmware, profile, kind("POST", path))}

    system = "/api/system"
    dashboard = "Rows of hash rate (GH/s), chip temperature, power and time stamp"
    theme = _theme(firmware)
    return {
        f"{system}/info": {
            "get": _get("getInfo", "All readings and settings", _ref("Info"))
        },
        f"{system}/asic": {
            "get": _get("getAsic", "The chip and its options", _ref("Asic"))
        },
        f"{system}/statistics": {"get": _statistics(firmware, profile)},
        f"{system}/scoreboard": {
            "get": _get("getScoreboard", "The best nonces, the best first", _SCORES)
        },
        f"{system}/wifi/scan": {"get": _scan()},
        f"{system}/logs": {"get": _logs()},
        system: {"patch": _patch(firmware, profile)},
        f"{system}/pools/*": _pool_slot(),
        f"{system}/restart": action(
            f"{system}/restart", "restart", "Reset the device in a second"
        ),
        f"{system}/identify": action(
            f"{system}/identify", "identify", "Say hi for 30 seconds, or stop"
        ),
        f"{system}/pause": action(
            f"{system}/pause", "pause", "Stop mining until it is resumed"
        ),
        f"{system}/resume": action(
            f"{system}/resume", "resume", "Mine again after a pause"
        ),
        f"{system}/blockFound/dismiss": {"post": _dismiss()},
        f"{system}/boot": {"post": _boot()},
        f"{system}/OTA": upload(
            f"{system}/OTA", "updateFirmware", "Install an ESP32-S3 application image"
        ),
        f"{system}/OTAWWW": upload(
            f"{system}/OTAWWW", "updatePage", "Install a SPIFFS image of the web page"
        ),
        "/api/swarm": {},
        "/api/theme": {
            "get": _get("getTheme", "Colours of the web page", theme),
            "post": _post_theme(theme),
        },
        "/recovery": {
            "get": _operation(
                "getRecoveryPage",
                "A page to install a www image or to restart",
                {"200": _response("The page", _text())},
            )
        },
        f"{system}/statistics/dashboard": {
            "get": _get("getDashboard", dashboard, _DASHBOARD)
        },
    }


def _own_paths() -> Schema:
    """Describe what a Bitaxe has not."""
    return {
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


# Parts of operations


def _tagged(path: str, methods: Schema) -> Schema:
    """Add a part of the API, and a whole sentence, to a path's operations."""
    tag = next((name for name in TAGS if f"/{name}" in path), "system")
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


def _preflight(path: str, operations: Schema) -> Schema:
    """What a browser asks before one of these operations."""
    names = [one["operationId"] for one in operations.values()] or ["swarm"]
    name = _PREFLIGHTS.get(path, f"preflight{names[0][0].upper()}{names[0][1:]}")
    responses = {"200": _response("Empty, with the CORS headers", _text())}
    asked: Schema = {"parameters": [_INDEX]} if "*" in path else {}
    return _operation(name, "What browsers ask before they send", responses, **asked)


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


def _scan() -> Schema:
    networks = _object({"networks": _array(_NETWORK)})
    return _get("scanWifi", "Networks in range", networks)


def _logs() -> Schema:
    summary = "The log as a file, from the oldest line that is kept"
    responses = {"200": _response(summary, _text("text/plain"))}
    return _operation("getLogs", summary, responses)


def _stored(firmware: Firmware) -> Schema:
    """What an accepted PATCH may be answered."""
    told: Schema = {"warnings": _WARNINGS}
    if firmware.rows.hostname_change == "live with redirect":
        redirect = _object({"url": _STRING, "delay": _INTEGER, "message": _STRING})
        told = {"status": _STRING, "redirect": redirect, **told}
    return _object(told, *told)


def _patch(firmware: Firmware, profile: Profile) -> Schema:
    ok = _json(_ref("Stored")) if profile.patch_answers_json else _text()
    bad = _json(_ref("Refusal")) if profile.patch_errors_explained else _text()
    return _operation(
        "updateSettings",
        "Change settings: all of them, or none"
        if firmware.rows.checks_patches
        else "Change settings",
        {
            "200": _response("Stored", ok),
            "400": _response("A value is not allowed; nothing is changed", bad),
            "500": _response("The body is too long, or could not be stored", _text()),
        },
        requestBody={"required": True, "content": _json(_ref("Settings"))},
    )


_INDEX: Schema = {
    "name": "index",
    "in": "path",
    "required": True,
    "description": "Slot of a pool, 0 to 7",
    "schema": {"type": "integer", "minimum": 0, "maximum": SLOTS - 1},
}


def _pool_slot() -> Schema:
    message, refusal = _json(_ref("Message")), _response("Refused", _text())
    change = _operation(
        "setPool",
        "Store a pool in a slot",
        {
            "200": _response("Stored", message),
            "400": refusal,
            "500": _response("The body was cut off, or could not be stored", _text()),
        },
        parameters=[_INDEX],
        requestBody={"required": True, "content": _json(_pool())},
    )
    removal = _operation(
        "deletePool",
        "Empty the slot of a pool",
        {"200": _response("Emptied", message), "400": refusal},
        parameters=[_INDEX],
    )
    return {"put": change, "delete": removal}


def _dismiss() -> Schema:
    summary = "Show the news of a found block no more"
    return _operation(
        "dismissBlock", summary, {"200": _response(summary, _json(_DISMISSED))}
    )


def _boot() -> Schema:
    return _operation(
        "bootPartition",
        "Restart into another application partition",
        {
            "200": _response("It restarts in a second", _json(_ref("Message"))),
            "400": _response("There is no such image", _text()),
            "500": _response("It could not be chosen", _text()),
        },
        requestBody={
            "required": True,
            "content": _json(_object({"partition": _STRING})),
        },
    )


def _action(name: str, summary: str, kind: str) -> Schema:
    content = _json(_ref("Message")) if kind == JSON else _text(kind or HTML)
    return _operation(name, summary, {"200": _response(summary, content)})


def _upload(
    name: str, summary: str, firmware: Firmware, profile: Profile, kind: str
) -> Schema:
    is_json = firmware.rows.ota_errors_are_json
    text = _json(_ref("Message")) if is_json else _text()
    if profile.image_refused_with_reason and not is_json:
        text |= _text("text/plain")
    return _operation(
        name,
        summary,
        {
            "200": _response("Installed", _text(kind)),
            "400": _response("The image is refused", text),
            "500": _response("Not now, cut off, or not to be stored", text),
        },
        requestBody={
            "required": True,
            "content": {"application/octet-stream": {"schema": _STRING}},
        },
    )


def _theme(firmware: Firmware) -> Schema:
    if firmware.rows.theme_member == "primaryColor":
        return _object({"colorScheme": _STRING, "primaryColor": _STRING})
    return _object({"colorScheme": _STRING, "accentColors": {}}, "accentColors")


def _post_theme(theme: Schema) -> Schema:
    members = dict(theme["properties"])
    if "accentColors" in members:
        members["accentColors"] = {"type": "object"}
    theme = {"type": "object", "properties": members}
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


def _fields(rows: tuple[Field, ...], firmware: Firmware, profile: Profile) -> Schema:
    chip = _CHIP_OR_BM1397 if firmware.rows.monitor == "raw" else _CHIP
    shapes = {**_SHAPES, "hashrateMonitor": _object({"asics": _array(chip)})}
    if profile.small_difficulties_told and firmware.rows.best_difficulty == "number":
        shapes |= dict.fromkeys(DIFFICULTIES, _NUMBER)
    properties = {
        row.name: {
            **shapes.get(row.name, _KINDS[row.kind]),
            "description": _meaning(row),
        }
        for row in rows
    }
    return _object(properties, *(row.name for row in rows if row.is_optional))


def _meaning(row: Field | Setting) -> str:
    return f"{row.description}, in {row.unit}" if row.unit else row.description


def _settings(firmware: Firmware, profile: Profile) -> Schema:
    properties = {
        name: _setting(rule)
        for rule in rules(firmware, profile).values()
        for name in rule.names
    }
    return {"type": "object", "properties": properties}


def _setting(rule: Rule) -> Schema:
    limits, row = rule.limits, rule.setting
    words = rule.asked_words
    asked = f" The API page asks for {words}." if words else ""
    schema: Schema = {"description": f"{_meaning(row)}. Felt {rule.effect}.{asked}"}
    if row.is_secret:
        schema["writeOnly"] = True
    if row.kind is SettingKind.POOLS:
        return schema | _array(_pool(id=_SLOT_ID))
    if rule.choices:
        kind = _STRING if row.kind is SettingKind.STRING else _INTEGER
        return schema | {**kind, "enum": list(rule.choices)}
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


_SLOT_ID: Schema = {**_INTEGER, "minimum": 0, "maximum": SLOTS - 1}


def _pool(**more: Schema) -> Schema:
    """Describe a pool slot as it is sent, and what is needed beside."""
    properties: Schema = {**more}
    for rule in SLOT_RULES:
        if rule.choices:
            one = {**_STRING, "enum": list(rule.choices)}
        elif rule.kind is str:
            one = {**_STRING, "minLength": rule.least, "maxLength": rule.most}
        elif rule.kind is bool:
            one = {"anyOf": [{"type": "boolean"}, _NUMBER]}
        else:
            one = {**_INTEGER, "minimum": rule.least, "maximum": rule.most}
        properties[rule.name] = one
    required = [*more, *(rule.name for rule in SLOT_RULES if rule.is_needed)]
    return {"type": "object", "required": required, "properties": properties}
