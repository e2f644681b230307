import json
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.each import each
from typer.testing import CliRunner

from softaxe.cli.commands import app
from softaxe.cli.schema import FileKind, file_schema
from softaxe.control.scenario_run import load_scenario
from softaxe.description import given, read
from softaxe.errors import SettingError
from softaxe.fleet.groups import groups_of, read_group
from softaxe.fleet.networks import NetworksFile, read_networks
from softaxe.fleet.options import FleetFile, FleetOptions, read_fleet_file
from softaxe.scenario import read_scenario

pytestmark = pytest.mark.unwatched

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = Path(str(files("softaxe"))) / "scenarios"
FILES = {
    FileKind.FLEET: [EXAMPLES / "fleet.toml"],
    FileKind.NETWORKS: [EXAMPLES / "networks.toml"],
    FileKind.SCENARIO: [EXAMPLES / "hot-afternoon.toml", *sorted(SHIPPED.iterdir())],
}
READERS: dict[FileKind, Callable[[Path], object]] = {
    FileKind.FLEET: lambda path: read_fleet_file(path, FleetOptions(state=Path())),
    FileKind.NETWORKS: read_networks,
    FileKind.SCENARIO: lambda path: load_scenario(str(path)),
}


def _read_scenario(data: dict[str, Any]) -> None:
    for table in read_scenario(data, "x").groups:
        read_group(table)


TABLE_READERS: dict[FileKind, Callable[[dict[str, Any]], object]] = {
    FileKind.FLEET: lambda data: groups_of(given(FleetFile, data), "x"),
    FileKind.NETWORKS: lambda data: read(NetworksFile, data),
    FileKind.SCENARIO: _read_scenario,
}
WRONG: tuple[Any, ...] = (-1e9, 0.5, 1e12, "", "x" * 20_000, True, [], [1], {"a": []})
"""Values that few members take."""


def validator(kind: FileKind) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(file_schema(kind))


@each(
    ("kind", "path"),
    [(kind, path) for kind, paths in FILES.items() for path in paths],
)
def test_files_are_as_their_schema_says(kind: FileKind, path: Path) -> None:
    data = tomllib.loads(path.read_text(encoding="utf-8"))

    assert [str(error) for error in validator(kind).iter_errors(data)] == []
    READERS[kind](path)


@each("kind", FileKind)
def test_examples_name_their_schema(kind: FileKind) -> None:
    example = FILES[kind][0]

    first = example.read_text(encoding="utf-8").splitlines()[0]

    named = EXAMPLES / first.removeprefix("#:schema ")
    assert json.loads(named.read_text(encoding="utf-8")) == file_schema(kind)


def test_it_is_printed() -> None:
    done = CliRunner().invoke(app, ["schema", "networks"])

    assert json.loads(done.stdout) == file_schema(FileKind.NETWORKS)
    assert done.stdout.startswith('{\n  "$schema": ')
    assert CliRunner().invoke(app, ["schema", "fleets"]).exit_code != 0


@pytest.mark.parametrize("kind", FileKind)
def test_what_a_schema_refuses_is_refused(kind: FileKind) -> None:
    judge, data = validator(kind), tomllib.loads(FULL[kind])
    assert judge.is_valid(data), list(judge.iter_errors(data))

    refused = [
        (place, changed)
        for place, changed in _changes(data)
        if isinstance(changed, dict) and not judge.is_valid(changed)
    ]

    taken = [place for place, changed in refused if _is_taken(kind, changed)]
    assert len(refused) > 20
    assert taken == []


def _is_taken(kind: FileKind, data: dict[str, Any]) -> bool:
    try:
        TABLE_READERS[kind](data)
    except SettingError:
        return False
    return True


def _changes(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a table with one thing changed, for every thing in it."""
    if isinstance(value, dict):
        yield f"{place}/strange", {**value, "strange": 1}
        for name, one in value.items():
            yield f"{place}/no {name}", {k: v for k, v in value.items() if k != name}
            for where, changed in _changes(one, f"{place}/{name}"):
                yield where, {**value, name: changed}
    if isinstance(value, list):
        for number, one in enumerate(value):
            for where, changed in _changes(one, f"{place}/{number}"):
                yield where, [*value[:number], changed, *value[number + 1 :]]
    yield from ((f"{place} = {one!r:.40}", one) for one in WRONG)


FULL = {
    FileKind.FLEET: """
        seed = 3
        speed = 2
        host = "127.0.0.1"
        port = 8000
        port_base = 9000
        control = "none"
        cpu_percent = 10
        [[group]]
        name = "a"
        count = 2
        boards = ["601", "hex"]
        seed = 7
        pool = "pool.example:3333"
        user = "me"
        password = "x"
        work = "real"
        ambient = 20
        ambient_swing = 3
        first_boot = false
        profile = "firmware"
        settings = { rotation = 90 }
        spread = { ambient = 3 }
        [[fault]]
        effect = "latency"
        ms = 20
        share = 0.5
        start_s = 2
        route = "/api/*"
        [[fault]]
        effect = "sensor_stuck"
        sensor = "vr"
        """,
    FileKind.NETWORKS: """
        [[network]]
        ssid = "a"
        password = "12345678"
        rssi_dbm = -50
        authmode = "wpa2"
        dhcp = true
        """,
    FileKind.SCENARIO: """
        name = "x"
        description = "y"
        seed = 2
        [[group]]
        count = 1
        [[step]]
        at = "1m"
        device = "601-*"
        fault = { effect = "fan_dead", fan = 1 }
        [[step]]
        settings = { frequency = 490 }
        [[step]]
        restart = true
        [[step]]
        update = "2.15.0"
        [[step]]
        request = { method = "POST", path = "/", body = "x", status = 400 }
        [[step]]
        expect = { field = "temp", above = 1, within = "1m", for = "2s" }
        """,
}
