import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.documents import complaints_of_generators
from tests.each import each

from softaxe import Device
from softaxe.api import openapi
from softaxe.api.routes import routes_of
from softaxe.api.schema import info_fields
from softaxe.api.views import asic_body, info_body
from softaxe.catalog.firmware import families, firmware
from softaxe.device.profile import DOCUMENTED, FIRMWARE, STRICT, Profile
from softaxe.device.setting_rules import rules

VERSIONS = families()


def document(**options: Any) -> dict[str, Any]:
    return openapi.document(Device(**options))


def patch_members(of: dict[str, Any]) -> dict[str, Any]:
    members: dict[str, Any] = of["components"]["schemas"]["Settings"]["properties"]
    return members


def test_every_route_of_the_page_is_there() -> None:
    paths = document()["paths"]

    for path in ("info", "asic", "statistics", "statistics/dashboard", "wifi/scan"):
        assert "get" in paths[f"/api/system/{path}"]
    for path in ("restart", "identify", "OTA", "OTAWWW"):
        assert "post" in paths[f"/api/system/{path}"]
    assert "patch" in paths["/api/system"]


@each("version", VERSIONS)
@each("profile", [DOCUMENTED, FIRMWARE])
def test_a_version_s_document_has_its_routes_and_members(
    version: str, profile: Profile
) -> None:
    device = Device(firmware=version, profile=profile)
    made = openapi.document(device)

    described = {
        (method.upper(), path.replace("{index}", "*"))
        for path, methods in made["paths"].items()
        for method in methods
        if not path.startswith("/softaxe/")
    }
    known = {
        (one.method, one.path) for one in routes_of(device.firmware, device.profile)
    }
    beside = {
        ("ANY", "/api/*"),
        ("GET", "/*"),
        ("GET", "/api/ws"),
        ("GET", "/api/ws/live"),
    }
    if ("OPTIONS", "/api/*") in known:
        known.remove(("OPTIONS", "/api/*"))
        known |= {("OPTIONS", path) for _, path in known if path.startswith("/api/")}
        beside |= {("OPTIONS", path) for _, path in beside}
    assert described == known - beside
    info = made["components"]["schemas"]["Info"]["properties"]
    assert list(info) == [row.name for row in info_fields(device.firmware)]
    assert list(complaints_of_generators(made)) == []
    assert all(name for name in references(made))


def test_every_setting_and_member_is_there() -> None:
    made = document()

    known = rules(firmware(), DOCUMENTED).values()
    names = {name for rule in known for name in rule.names}
    assert set(patch_members(made)) == names
    assert "fanspeed" in names
    schema = made["components"]["schemas"]["Info"]
    assert list(schema["properties"]) == [row.name for row in info_fields(firmware())]
    assert "power_fault" not in schema["required"]


def test_limits_follow_the_profile() -> None:
    documented, firmware = document(), document(profile=FIRMWARE)

    assert patch_members(documented)["temptarget"]["maximum"] == 100
    assert patch_members(firmware)["temptarget"]["maximum"] == 66
    assert "fanspeed" not in patch_members(firmware)
    assert "/api/system/statistics/dashboard" not in firmware["paths"]
    strict = patch_members(document(profile=STRICT))
    assert strict["hostname"]["pattern"] == "^[A-Za-z0-9-]+$"
    assert "pattern" not in patch_members(documented)["hostname"]


def test_secrets_are_write_only() -> None:
    members = patch_members(document())

    for name in ("wifiPass", "stratumPassword", "fallbackStratumPassword"):
        assert members[name]["writeOnly"] is True


def test_operation_ids_are_unique() -> None:
    ids = [
        operation["operationId"]
        for path in document()["paths"].values()
        for operation in path.values()
    ]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("profile", [DOCUMENTED, FIRMWARE])
def test_generators_of_clients_can_use_it(profile: Profile) -> None:
    made = document(profile=profile)

    assert list(complaints_of_generators(made)) == []
    assert made["info"]["title"] == "AxeOS API"


def test_every_reference_is_there() -> None:
    made = document()

    for found in references(made):
        of, name = found.removeprefix("#/components/").split("/")
        assert name in made["components"][of]


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from references(entry)


def test_answers_hold_what_is_described() -> None:
    device = Device()
    device.step(60.0)
    schemas = document()["components"]["schemas"]

    for name, body in (("Info", info_body(device)), ("Asic", asic_body(device))):
        answer = json.loads(body)
        assert set(schemas[name]["required"]) <= set(answer)
        assert set(answer) <= set(schemas[name]["properties"])


def test_refusals_are_described_where_they_happen() -> None:
    documented, firmware = document()["paths"], document(profile=FIRMWARE)["paths"]

    scan = "/api/system/wifi/scan"
    assert "401" in documented[scan]["get"]["responses"]
    assert "401" not in firmware[scan]["get"]["responses"]
    assert "401" not in documented["/api/theme"]["get"]["responses"]
    for paths, kind in ((documented, "application/json"), (firmware, "text/html")):
        responses = paths["/api/system"]["patch"]["responses"]
        assert set(responses) == {"200", "400", "401", "414", "500"}
        assert set(responses["400"]["content"]) == {kind}


def test_a_setting_s_schema_says_what_its_check_does() -> None:
    members = patch_members(document())
    strict = patch_members(document(profile=STRICT))

    assert members["rotation"]["enum"] == [0, 90, 180, 270]
    assert (members["wifiPass"]["minLength"], members["stratumPort"]["minimum"]) == (
        0,
        0,
    )
    assert members["stratumPort"]["description"].endswith("page asks for 1..65535.")
    assert strict["stratumPort"]["minimum"] == 1
    assert strict["wifiPass"]["anyOf"][0] == {"type": "string", "maxLength": 0}
    assert strict["wifiPass"]["anyOf"][1]["minLength"] == 8
    assert members["overheat_mode"]["anyOf"][1] == {
        "type": "boolean",
        "enum": [False],
    }
    assert members["fanspeed"] == members["manualFanSpeed"]
