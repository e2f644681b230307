"""What the control API takes and answers, as an OpenAPI document.

The routes are rows of `shell.control`; here are the schemas, by the operations' names.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, get_args

from softaxe import __version__
from softaxe.catalog import boards
from softaxe.device.device import WorkChoice
from softaxe.device.identity import MAX_SEED
from softaxe.faults import EFFECTS, HTTP_EFFECTS, LONGEST_S, MAX_TEXT, Effect, Parameter
from softaxe.fleet.groups import AMBIENT_C, MOST_DEVICES, PROFILES, SWING_C

Schema = dict[str, Any]


class Described(Protocol):
    """An operation, as the document needs it."""

    @property
    def method(self) -> str:
        """GET and so on."""

    @property
    def path(self) -> str:
        """With its parts in braces."""

    @property
    def name(self) -> str:
        """By which the tables below know it."""

    @property
    def help(self) -> str:
        """A sentence."""

    @property
    def query(self) -> tuple[str, ...]:
        """Names that may follow the path."""

    @property
    def has_body(self) -> bool:
        """True when it takes JSON."""

    @property
    def status(self) -> int:
        """Of the answer when all is well."""


def _limited(kind: str, lowest: float, highest: float) -> Schema:
    return {"type": kind, "minimum": lowest, "maximum": highest}


def _object(properties: Schema, *optional: str) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _closed(properties: Schema, *required: str) -> Schema:
    """Members of a body: no others are taken."""
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
NOTHING = _closed({})
TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 256}
SPEED = _limited("number", 0.01, 10_000)
SECONDS = _limited("number", 0, 366 * 86_400)
STATES = (
    "away",
    "access point",
    "overheated",
    "fault",
    "mining",
    "starting",
    "idle",
)


# Bodies


def _parameter(parameter: Parameter) -> Schema:
    about: Schema = {"description": parameter.help, "default": parameter.default}
    if parameter.unit:
        about["description"] += f" In {parameter.unit}."
    if parameter.choices:
        return {**STRING, "enum": list(parameter.choices), **about}
    if parameter.limits is None:
        return {**STRING, "minLength": 1, "maxLength": MAX_TEXT, **about}
    kind = "integer" if isinstance(parameter.default, int) else "number"
    return {**_limited(kind, *parameter.limits), **about}


_PATTERN = {**STRING, "minLength": 1, "maxLength": MAX_TEXT, "default": "*"}
_PART = {**_limited("number", 0, 1), "default": 1}
_MATCHING: Schema = {
    "id": {**_PATTERN, "description": "Made up when left out."},
    "device": {**_PATTERN, "description": "Pattern of ids."},
    "group": {**_PATTERN, "description": "Pattern of group names."},
    "share": {**_PART, "description": "Of the devices that match."},
    "probability": {**_PART, "description": "That a request, or a device, is met."},
    "start_s": {**_limited("number", 0, LONGEST_S), "default": 0},
    "duration_s": {
        **_limited("number", 0, LONGEST_S),
        "description": "Until removed when left out.",
    },
}
del _MATCHING["id"]["default"]
_OF_REQUESTS: Schema = {
    "route": {**_PATTERN, "description": "Pattern of paths."},
    "method": {**_PATTERN, "description": "Pattern of methods."},
}


def _order(effect: Effect) -> Schema:
    own = {parameter.name: _parameter(parameter) for parameter in effect.parameters}
    of_requests = _OF_REQUESTS if effect.name in HTTP_EFFECTS else {}
    # As in the API, null is as good as nothing.
    rest = {**own, **_MATCHING, **of_requests}
    members = {name: _or_null(schema) for name, schema in rest.items()}
    order = _closed({"effect": {"const": effect.name}, **members}, "effect")
    return {**order, "title": effect.name, "description": effect.help}


_BOARD = {
    **STRING,
    "description": "Version or family.",
    "examples": [name for row in boards() for name in (row.version, row.family)],
}
_BOARDS: Schema = {"anyOf": [_BOARD, {**_array(_BOARD), "minItems": 1}]}
GROUP = _closed(
    {
        "name": {**TEXT, "default": "devices"},
        "group": {**TEXT, "description": "The same as name."},
        "count": {**_limited("integer", 1, MOST_DEVICES), "default": 1},
        "board": {**_BOARDS, "default": "601"},
        "boards": {**_BOARDS, "description": "Dealt out in turn."},
        "seed": {
            **_limited("integer", 0, MAX_SEED - 1),
            "description": "Of the first device; the next that are free when left out.",
        },
        "pool": {**TEXT, "description": "HOST:PORT; the built-in one when left out."},
        "user": {**TEXT, "description": "{n} becomes the device's number."},
        "password": {**TEXT, "writeOnly": True},
        "work": {**STRING, "enum": list(get_args(WorkChoice)), "default": "auto"},
        "ambient": {**_limited("number", *AMBIENT_C), "default": 25},
        "ambient_swing": {**_limited("number", *SWING_C), "default": 0},
        "first_boot": {**FLAG, "default": False},
        "profile": {**STRING, "enum": list(PROFILES), "default": "documented"},
        "settings": {
            "type": "object",
            "description": "By the names of the device's own PATCH /api/system.",
        },
        "spread": {
            "type": "object",
            "additionalProperties": _limited("number", 0, 1e6),
            "description": "By how much ambient, or a setting, differs by device.",
        },
    }
)
BODIES: Mapping[str, Schema] = {
    "add_devices": GROUP,
    "add_fault": {
        "oneOf": [_order(effect) for effect in EFFECTS.values()],
        "discriminator": {"propertyName": "effect"},
    },
    "set_clock": _closed({"paused": _or_null(FLAG), "speed": _or_null(SPEED)}),
    "advance": _object({"seconds": SECONDS}),
    "take_snapshot": _object(
        {"name": {**STRING, "minLength": 1, "maxLength": 64, "pattern": "^[^/]*$"}}
    ),
}
"""What operations with a body take, by name."""
QUERIES: Mapping[str, Schema] = {
    "group": STRING,
    "state": {**STRING, "enum": list(STATES)},
    "offset": _limited("integer", 0, 100_000),
    "after": {**COUNT, "description": "Only what is newer than this number."},
    "device": {**STRING, "description": "An id."},
    "method": STRING,
    "path": {**STRING, "description": "What it begins with."},
    "status": _limited("integer", 0, 999),
    "unmatched": FLAG,
}
LIMITS: Mapping[str, Schema] = {
    "devices": _limited("integer", 0, 100_000),
    "journal": {**_limited("integer", 1, 10_000), "default": 1000},
}
"""Of the query member `limit`, by operation."""


# Answers

SCHEMAS: Schema = {
    "Error": _object({"error": STRING}),
    "Row": _object(
        {
            "id": {**STRING, "examples": ["601-1"]},
            "group": STRING,
            "board": STRING,
            "family": STRING,
            "url": STRING,
            "hostname": STRING,
            "macAddr": STRING,
            "state": {**STRING, "enum": list(STATES)},
            "hashRate": {**NUMBER, "description": "In GH/s."},
            "expectedHashrate": {**NUMBER, "description": "In GH/s."},
            "power": {**NUMBER, "description": "In W."},
            "efficiency": _or_null({**NUMBER, "description": "In J/TH."}),
            "temp": {**NUMBER, "description": "Chip, in °C; -1 when it is off."},
            "vrTemp": _or_null({**NUMBER, "description": "Regulator, in °C."}),
            "fanspeed": {**NUMBER, "description": "In %."},
            "sharesAccepted": COUNT,
            "sharesRejected": COUNT,
            "bestDiff": COUNT,
            "isUsingFallbackStratum": FLAG,
            "uptimeSeconds": COUNT,
            "faults": _array(STRING),
        }
    ),
    "Clock": _object(
        {
            "now": {**NUMBER, "description": "Device time, in s."},
            "speed": {**NUMBER, "description": "Device seconds per real second."},
            "paused": FLAG,
        }
    ),
    "Fleet": _object(
        {
            "softaxe": STRING,
            "devices": COUNT,
            "mining": COUNT,
            "hashRate": {**NUMBER, "description": "In GH/s."},
            "expectedHashrate": {**NUMBER, "description": "In GH/s."},
            "power": {**NUMBER, "description": "In W."},
            "efficiency": _or_null({**NUMBER, "description": "In J/TH."}),
            "hottest": {**NUMBER, "description": "In °C."},
            "sharesAccepted": COUNT,
            "sharesRejected": COUNT,
            "bestDiff": COUNT,
            "groups": {"type": "object", "additionalProperties": COUNT},
            "now": NUMBER,
            "speed": NUMBER,
            "paused": FLAG,
            "workers": COUNT,
            "pool": _or_null(
                _object(
                    {
                        "url": STRING,
                        "connections": COUNT,
                        "sharesAccepted": COUNT,
                        "sharesRejected": COUNT,
                    }
                )
            ),
            "faults": {**COUNT, "description": "Rules."},
        }
    ),
    "Rule": _object(
        {
            "id": STRING,
            "effect": {**STRING, "enum": list(EFFECTS)},
            "begins_at": {**NUMBER, "description": "Device time, in s."},
            "ends_at": _or_null(NUMBER),
            "active": FLAG,
            "matches": {**COUNT, "description": "Devices that it meets."},
        },
        "active",
        "matches",
    )
    | {"description": "With what was ordered, and the effect's own members."},
    "Effect": _object(
        {
            "name": STRING,
            "layer": {**STRING, "enum": ["body", "network", "pool", "firmware"]},
            "help": STRING,
            "parameters": _array(
                _object(
                    {
                        "name": STRING,
                        "help": STRING,
                        "default": {"type": ["number", "string"]},
                        "range": _or_null(_array(NUMBER)),
                        "choices": _array(STRING),
                        "unit": _or_null(STRING),
                    }
                )
            ),
        }
    ),
    "Request": _object(
        {
            "seq": {**COUNT, "description": "Counts from 1 and never starts again."},
            "time": {**STRING, "format": "date-time"},
            "now": {**NUMBER, "description": "Device time, in s."},
            "device": STRING,
            "client": STRING,
            "method": STRING,
            "path": STRING,
            "query": STRING,
            "body": {**STRING, "description": "Without secrets; may be cut."},
            "status": {**COUNT, "description": "0 when nothing was answered."},
            "bytes": COUNT,
            "answer": {**STRING, "description": "Its beginning."},
            "ms": NUMBER,
            "unmatched": FLAG,
            "fault": _or_null({**STRING, "description": "Id of the rule that met it."}),
        }
    ),
    "Snapshot": _object(
        {"name": STRING, "now": NUMBER, "devices": COUNT, "bytes": COUNT}
    ),
}
_NUMBERS = _array(NUMBER)
_STATUS = _object({"status": {**STRING, "enum": ["ok"]}})
ANSWERS: Mapping[str, Schema] = {
    "health": _STATUS,
    "ready": _STATUS,
    "fleet": _ref("Fleet"),
    "history": _object(
        {
            "now": _NUMBERS,
            "hashRate": _NUMBERS,
            "power": _NUMBERS,
            "hottest": _NUMBERS,
            "mining": _NUMBERS,
        }
    ),
    "devices": _object({"total": COUNT, "devices": _array(_ref("Row"))}),
    "add_devices": _object({"devices": _array(_ref("Row"))}),
    "device": _object(
        {
            "row": _ref("Row"),
            "info": {
                "type": "object",
                "description": "What it answers at /api/system/info.",
            },
        }
    ),
    "remove_device": NOTHING,
    "restart_device": NOTHING,
    "faults": _object(
        {"faults": _array(_ref("Rule")), "effects": _array(_ref("Effect"))}
    ),
    "add_fault": _ref("Rule"),
    "clear_faults": NOTHING,
    "remove_fault": NOTHING,
    "clock": _ref("Clock"),
    "set_clock": _ref("Clock"),
    "advance": _ref("Clock"),
    "journal": _object(
        {"entries": _array(_ref("Request")), "last": COUNT, "dropped": COUNT}
    ),
    "clear_journal": NOTHING,
    "snapshots": _object({"snapshots": _array(_ref("Snapshot"))}),
    "take_snapshot": _ref("Snapshot"),
    "restore": _ref("Clock"),
    "drop_snapshot": NOTHING,
    "reset": NOTHING,
    "shutdown": NOTHING,
    "openapi": {"type": "object"},
}
"""What operations answer, by name; the others answer text."""


# The document


def document(operations: Iterable[Described], url: str) -> Schema:
    """Return the OpenAPI document of an API at `url`."""
    paths: dict[str, Schema] = {}
    for operation in operations:
        methods = paths.setdefault(operation.path, {})
        methods[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "softaxe control", "version": __version__},
        "servers": [{"url": url}],
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _operation(operation: Described) -> Schema:
    parts = [part[1:-1] for part in operation.path.split("/") if part[:1] == "{"]
    place = {"in": "path", "required": True, "schema": STRING}
    parameters = [{"name": name, **place} for name in parts]
    for name in operation.query:
        schema = LIMITS[operation.name] if name == "limit" else QUERIES[name]
        parameters.append({"name": name, "in": "query", "schema": schema})
    answer = ANSWERS.get(operation.name)
    content = _json(answer) if answer else {"text/plain": {"schema": STRING}}
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.help,
        "parameters": parameters,
        "responses": {
            str(operation.status): {"description": "As asked.", "content": content},
            "4XX": {"description": "What is wrong.", "content": _json(_ref("Error"))},
        },
    }
    if operation.name == "ready":
        starting = _object({"status": STRING, "ready": COUNT, "devices": COUNT})
        described["responses"]["503"] = {
            "description": "Not all devices are up.",
            "content": _json(starting),
        }
    if operation.has_body:
        content = _json(BODIES[operation.name])
        described["requestBody"] = {"required": True, "content": content}
    return described


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
