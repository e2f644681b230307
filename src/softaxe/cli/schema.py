"""`softaxe schema`: JSON schemas of the files that people write, for their editors."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer


class FileKind(StrEnum):
    """What people write."""

    FLEET = "fleet"
    SCENARIO = "scenario"
    NETWORKS = "networks"


def file_schema(kind: FileKind) -> dict[str, Any]:
    """Return the JSON schema of a file, in the draft that editors of TOML know."""
    from msgspec import Struct  # noqa: PLC0415

    from softaxe.description import Schemas  # noqa: PLC0415 - all that is described
    from softaxe.fleet.groups import Group  # noqa: PLC0415
    from softaxe.fleet.networks import NetworksFile  # noqa: PLC0415
    from softaxe.fleet.options import FleetFile  # noqa: PLC0415
    from softaxe.scenario import Scenario  # noqa: PLC0415

    structs: dict[FileKind, type[Struct]] = {
        FileKind.FLEET: FleetFile,
        FileKind.SCENARIO: Scenario,
        FileKind.NETWORKS: NetworksFile,
    }
    schemas = Schemas("#/definitions/", is_openapi=False)
    schema = schemas.table(structs[kind])
    if kind is FileKind.SCENARIO:  # which does not know of groups itself
        schema["properties"]["group"]["items"] = schemas.of(Group)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"{kind} of softaxe",
        **schema,
        "definitions": schemas.definitions,
    }


def schema_text(kind: FileKind) -> str:
    """Return the JSON schema as people and editors read it."""
    return json.dumps(file_schema(kind), ensure_ascii=False, indent=2)


def print_schema(
    kind: Annotated[FileKind, typer.Argument(help="Of which file.")],
) -> None:
    """Print the JSON schema of a file, by which editors complete and check it."""
    typer.echo(schema_text(kind))
