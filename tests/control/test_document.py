import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import pytest
from tests.documents import complaints_of_generators
from tests.each import each

from softaxe.control.document import document
from softaxe.control.operations import OPERATIONS, TAGS
from softaxe.description import members
from softaxe.effects import EFFECTS, parameters
from softaxe.errors import SettingError
from softaxe.faults import FaultRules
from softaxe.fleet.groups import read_group
from softaxe.testing.run import RunningFleet, running

ASKED = {
    "{id}": "601-1",
    "{name}": "before",
    "{advance}": "1",
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[RunningFleet]:
    with running(count=2, control=True, speed=0, warm_up_s=60) as made:
        httpx.get(f"{made[0].url}/api/system/info")
        yield made


@cache
def whole() -> dict[str, Any]:
    """The document of a control port."""
    return document("http://127.0.0.1:8100")


def complaints(schema: dict[str, Any], value: object) -> list[str]:
    alone = {**schema, "components": whole()["components"]}
    validator = jsonschema_rs.validator_for(alone)
    return [str(error) for error in validator.iter_errors(value)]


def described(name: str) -> dict[str, Any]:
    (row,) = [one for one in OPERATIONS if one.name == name]
    operation: dict[str, Any] = whole()["paths"][row.path][row.method.lower()]
    return operation


def body_of(name: str) -> dict[str, Any]:
    content = described(name)["requestBody"]["content"]
    schema: dict[str, Any] = content["application/json"]["schema"]
    return schema


def test_every_operation_has_its_part_words_and_names() -> None:
    for row in OPERATIONS:
        operation = described(row.name)
        assert operation["tags"][0] in TAGS
        assert operation["description"].endswith(".")
        told = {one["name"] for one in operation["parameters"]}
        assert told >= {one.name for one in members(row.query)}
        assert ("requestBody" in operation) == (row.body is not None)


def test_generators_of_clients_can_use_it() -> None:
    assert list(complaints_of_generators(whole())) == []
    assert whole()["info"]["title"] == "softaxe control API"


ORDER = [
    ("add_fault", {"effect": "ambient", "c": 40, "duration_s": 9}),
    ("take_snapshot", {"name": "before"}),
    ("advance", {"seconds": 1, "wait": False}),
    *((row.name, None) for row in OPERATIONS if row.method == "GET"),
    ("set_clock", {"paused": True}),
    ("advance", {"seconds": 1}),
    ("stop_advance", None),
    ("restart_device", None),
    ("order_devices", {"order": "identify", "devices": ["601-1"]}),
    ("set_miner", {"difficulty": 2000}),
    ("do_deed", {"deed": "flood", "jobs": 5}),
    ("new_block", None),
    ("disconnect_miner", None),
    ("add_devices", {"board": "402", "group": "more", "settings": {"rotation": 90}}),
    ("restore", None),
    ("drop_snapshot", None),
    ("clear_faults", None),
    ("clear_journal", None),
]


def test_every_operation_answers_as_described(fleet: RunningFleet) -> None:
    asked = ASKED | {"{miner}": fleet.pool.miners[0]["device"]}
    for name, body in ORDER:  # one after the other: some need what others did
        (row,) = [one for one in OPERATIONS if one.name == name]
        path = row.path
        for part, value in asked.items():
            path = path.replace(part, value)

        answer = httpx.request(
            row.method, fleet.control_url + path, json=body, timeout=30
        )

        content = described(name)["responses"][str(answer.status_code)]["content"]
        (kind,) = content
        assert answer.headers["content-type"].startswith(kind), name
        if kind == "application/json":
            assert complaints(content[kind]["schema"], answer.json()) == [], name
        if body is not None:
            assert complaints(body_of(name), body) == [], name


def test_refusals_are_as_described(fleet: RunningFleet) -> None:
    url = f"{fleet.control_url}/control/devices/601-999"
    answer = httpx.get(url)

    schema = whole()["components"]["schemas"]["Refusal"]
    assert complaints(schema, answer.json()) == []


def test_a_group_is_described_as_it_is_read() -> None:
    with pytest.raises(SettingError) as caught:
        read_group({"nothing": 1})

    known = str(caught.value).partition(" none of ")[2].split(", ")
    assert list(whole()["components"]["schemas"]["Group"]["properties"]) == known


@pytest.mark.unwatched
@each("name", EFFECTS)
def test_orders_are_described_as_they_are_read(name: str) -> None:
    kind = EFFECTS[name]
    own = {one.name: one.default for one in parameters(kind)}
    if name == "bend":  # or nothing would change
        own["status"] = 500
    order = {"effect": name, **own, "share": 0.5, "device": "601-*"}

    FaultRules().add(order, 0.0)
    assert complaints(body_of("add_fault"), order) == []

    schema = whole()["components"]["schemas"][kind.__name__]
    with pytest.raises(SettingError) as caught:
        FaultRules().add({**order, "nothing": 1}, 0.0)
    known = str(caught.value).partition(" takes ")[2].split(", ")
    assert list(schema["properties"]) == known
    assert complaints(body_of("add_fault"), {**order, "nothing": 1}) != []


@pytest.mark.unwatched
@each(
    ("name", "body"),
    [
        ("add_fault", {"effect": "nothing"}),
        ("add_fault", {"effect": "ambient", "c": 400}),
        ("add_fault", {"device": "601-1"}),
        ("add_devices", {"count": 0}),
        ("add_devices", {"boards": []}),
        ("set_clock", {"speed": 0}),
        ("advance", {}),
        ("take_snapshot", {"name": "a/b"}),
        ("set_miner", {"difficulty": 0}),
    ],
)
def test_what_is_refused_is_described_as_such(
    fleet: RunningFleet, name: str, body: dict[str, object]
) -> None:
    (row,) = [one for one in OPERATIONS if one.name == name]
    url = fleet.control_url + row.path
    answer = httpx.request(row.method, url, json=body)

    assert answer.status_code == 400
    assert complaints(body_of(name), body) != []


def test_the_document_is_plain_json() -> None:
    assert json.loads(json.dumps(whole())) == json.loads(
        json.dumps(whole(), allow_nan=False)
    )
