from typing import Any

from softaxe import Device
from softaxe.api import openapi
from softaxe.api.schema import INFO
from softaxe.device.profile import FIRMWARE
from softaxe.device.settings import SETTINGS


def document(**options: Any) -> dict[str, Any]:
    return openapi.document(Device(**options))


def patch_members(of: dict[str, Any]) -> dict[str, Any]:
    content = of["paths"]["/api/system"]["patch"]["requestBody"]["content"]
    members: dict[str, Any] = content["application/json"]["schema"]["properties"]
    return members


def test_every_route_of_the_page_is_there() -> None:
    paths = document()["paths"]

    for path in ("info", "asic", "statistics", "statistics/dashboard", "wifi/scan"):
        assert "get" in paths[f"/api/system/{path}"]
    for path in ("restart", "identify", "OTA", "OTAWWW"):
        assert "post" in paths[f"/api/system/{path}"]
    assert "patch" in paths["/api/system"]


def test_every_setting_and_member_is_there() -> None:
    made = document()

    names = {row.rest_name for row in SETTINGS if row.rest_name}
    assert set(patch_members(made)) == names | {"fanspeed"}
    info = made["paths"]["/api/system/info"]["get"]["responses"]["200"]
    schema = info["content"]["application/json"]["schema"]
    assert list(schema["properties"]) == [row.name for row in INFO]
    assert "power_fault" not in schema["required"]


def test_limits_follow_the_profile() -> None:
    documented, firmware = document(), document(profile=FIRMWARE)

    assert patch_members(documented)["temptarget"]["maximum"] == 100
    assert patch_members(firmware)["temptarget"]["maximum"] == 66
    assert "fanspeed" not in patch_members(firmware)
    assert "/api/system/statistics/dashboard" not in firmware["paths"]
    assert patch_members(documented)["hostname"]["pattern"] == "^[A-Za-z0-9-]+$"


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
