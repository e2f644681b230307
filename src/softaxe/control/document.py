"""The control API as an OpenAPI document, made from its operations."""

from collections.abc import Mapping
from inspect import getdoc
from typing import Any

from softaxe import __version__
from softaxe.control.bodies import Refusal
from softaxe.control.operations import OPERATIONS, TAGS, Operation
from softaxe.description import Schemas, members
from softaxe.effects import Fault
from softaxe.fleet.miners import AnyDeed

Schema = dict[str, Any]
UNIONS: Mapping[Any, str] = {Fault: "Fault", AnyDeed: "Deed"}
"""Names of bodies that are one of several Structs."""


def document(url: str) -> Schema:
    """Return the OpenAPI document of an API at `url`."""
    schemas = Schemas("#/components/schemas/", is_openapi=True)
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        methods = paths.setdefault(operation.path, {})
        methods[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "softaxe control API",
            "version": __version__,
            "description": "Orders a fleet of virtual Bitaxes: devices, faults, time.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": url}],
        "security": [{}, {"token": []}],
        "tags": [{"name": name, "description": told} for name, told in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What --control-token says, if it says any.",
                }
            },
        },
    }


def _operation(operation: Operation, schemas: Schemas) -> Schema:
    parts = [part[1:-1] for part in operation.path.split("/") if part[:1] == "{"]
    place = {"in": "path", "required": True, "schema": {"type": "string"}}
    parameters = [{"name": name, **place} for name in parts]
    for member in members(operation.query):
        schema = schemas.of_member(member)
        parameters.append({"name": member.name, "in": "query", "schema": schema})
    answer = operation.answer
    content: Schema = {"text/plain": {"schema": {"type": "string"}}}
    if answer is not None:
        content = _json(schemas.of(answer))
    error = _json(schemas.of(Refusal))
    described: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.help,
        "description": f"{operation.help} {operation.about}".strip(),
        "parameters": parameters,
        "responses": {
            str(operation.status): {"description": "As asked.", "content": content},
            "4XX": {"description": "What is wrong.", "content": error},
        },
    }
    for status, other in operation.other.items():
        described["responses"][str(status)] = {
            "description": (getdoc(other) or "").partition("\n")[0],
            "content": _json(schemas.of(other)),
        }
    if operation.body is not None:
        content = _json(schemas.of(operation.body, UNIONS.get(operation.body, "")))
        described["requestBody"] = {"required": True, "content": content}
    return described


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
