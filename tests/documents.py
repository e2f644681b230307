"""What generators of clients need of an OpenAPI document."""

from collections.abc import Iterator
from typing import Any

KINDS = {"type", "$ref", "anyOf", "oneOf"}
TAKEN = {"Error", "Map", "Object", "Date", "Request", "Response"}
"""Names that languages have for something else."""


def complaints_of_generators(document: dict[str, Any]) -> Iterator[str]:
    """Yield what makes a generator warn, drop a schema or invent a name."""
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for name in ("operationId", "summary", "description", "tags"):
                if not operation.get(name):
                    yield f"{method} {path} has no {name}"
            if not set(operation["tags"]) <= tags:
                yield f"{method} {path} has tags that are not described"
    for name in TAKEN & document["components"]["schemas"].keys():
        yield f"{name} is a name of a language"
    for place, schema in _schemas(document, ""):
        if schema and not KINDS & schema.keys():  # none at all is anything
            yield f"{place} has no type"
        if "enum" in schema and "type" not in schema:
            yield f"{place} has choices and no type"
        default, choices = schema.get("default"), schema.get("enum")
        if default is not None and choices and default not in choices:
            yield f"{place} has a default that is no choice"


def _schemas(value: object, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema; anything is one that stands where only schemas do."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _schemas(one, f"{place}/{number}")
    if not isinstance(value, dict):
        return
    for name, one in value.items():
        here = f"{place}/{name}"
        if name in {"schema", "items"}:
            yield here, one
        elif name in {"properties", "schemas"}:
            yield from ((f"{here}/{key}", inner) for key, inner in one.items())
        elif name in {"anyOf", "oneOf"} and isinstance(one, list):
            yield from ((f"{here}/{n}", inner) for n, inner in enumerate(one))
        yield from _schemas(one, here)
