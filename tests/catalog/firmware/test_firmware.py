import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from tests.each import each

from softaxe.catalog.firmware import (
    DEFAULT_VERSION,
    families,
    firmware,
    is_known,
    nearest,
    versions,
)
from softaxe.errors import SettingError

DATA = Path(__file__).parents[2] / "data" / "firmware-versions.json"
REFERENCE: dict[str, Any] = json.loads(DATA.read_text("utf-8"))
COLUMNS = [column["id"] for column in REFERENCE["versions"]]


@each("tag", COLUMNS)
def test_members_are_those_of_the_reference_in_their_order(tag: str) -> None:
    found = firmware(tag)

    expected = [(row["name"], row["kind"]) for row in REFERENCE["info"][tag]]
    assert [(one.name, one.kind.value) for one in found.info] == expected
    names = [row["name"] for row in REFERENCE["asic"][tag]]
    assert [one.name for one in found.asic] == names
    labels = [row["label"] for row in REFERENCE["statistics"][tag]["labels"]]
    assert [one.name for one in found.statistics] == labels


@each("tag", COLUMNS)
def test_routes_settings_and_boards_are_those_of_the_reference(tag: str) -> None:
    found = firmware(tag)

    routes = [
        (row["method"], row["path"], row["access_check"], row["cors"])
        for row in REFERENCE["routes"][tag]
    ]
    assert [(r.method, r.path, r.is_checked, r.cors) for r in found.routes] == routes
    settings = [
        (row["key"], row["nvs"], row["type"], row.get("min"), row.get("max"))
        for row in REFERENCE["settings"][tag]
    ]
    assert settings == [
        (row.key, row.nvs_key, row.kind, row.minimum, row.maximum)
        for row in found.settings.values()
    ]
    assert found.boards == set(REFERENCE["boards"][tag])


def test_every_release_of_the_reference_can_be_named() -> None:
    covered = {tag for row in REFERENCE["versions"] for tag in row["covers"]}

    assert {f"v{one}" for one in versions()} == {
        tag for tag in covered if " " not in tag
    }
    assert len(families()) == len(COLUMNS)


@each(
    ("name", "release"),
    [
        ("2.14.1", "2.14.1"),
        ("v2.8.0", "2.8.0"),
        ("2.14", "2.14.2"),
        ("2.12", "2.12.2"),
        ("v2.13", "2.13.2"),
    ],
)
def test_a_release_is_named_with_or_without_v_and_a_family_is_its_last(
    name: str, release: str
) -> None:
    assert firmware(name).version == release
    assert firmware(name) is firmware(release)


@each("name", ["2.7.0", "2", "", "2.14.9", "latest", "2.12.2-beta"])
def test_another_name_is_refused_with_all_there_are(name: str) -> None:
    with pytest.raises(SettingError, match=r"is none of 2\.8\.0, .*, 2\.15\.0$"):
        firmware(name)


@each(
    ("text", "release"),
    [
        ("v2.14.2", "2.14.2"),
        ("v2.15.3", "2.15.0"),
        ("v2.13.0b8", "2.13.0"),
        ("v2.12.9-dirty", "2.12.2"),
        ("2.1.10", "2.8.0"),
        ("v3.0", "2.15.0"),
        ("my-own", DEFAULT_VERSION),
        ("v12345.1", DEFAULT_VERSION),
        ("v2.99999", DEFAULT_VERSION),
    ],
)
def test_an_unknown_version_is_taken_for_the_nearest_known(
    text: str, release: str
) -> None:
    assert nearest(text).version == release


def test_only_releases_are_known() -> None:
    assert is_known("v2.14.2")
    assert not is_known("v2.14.3")


def test_a_pickle_comes_back_as_the_one_of_this_process() -> None:
    assert pickle.loads(pickle.dumps(firmware("2.15"))) is firmware("2.15")


def test_a_board_that_joined_within_a_family_is_known_from_then_on() -> None:
    assert "603" not in firmware("2.14.0").boards
    assert "603" in firmware("2.14.1").boards


WHERE_VERSIONS_COME_FROM = {
    None: "none",
    "file_31_bytes_reread_after_upload": "file",
    "file_63_bytes_boot_only": "file at boot",
    "Unified_or_custom_file": "Unified",
}


@each("tag", COLUMNS)
def test_updates_and_pages_are_those_of_the_reference(tag: str) -> None:
    found, rows = firmware(tag), REFERENCE["profile_rows"]
    types = {one.path: one.content_type for one in found.routes}

    assert types["/api/system/OTA"] == rows["ota_success_type"][tag]
    assert ("/api/system/boot" in types) is rows["boot_route"][tag]
    assert found.rows.ota_errors_are_json is (rows["ota_errors"][tag] == "json")
    assert found.rows.www_upload_restarts is rows["www_upload_reboots"][tag]
    assert found.rows.has_recovery_mode is rows["recovery_mode"][tag]
    assert found.rows.embeds_page is (rows["web_ui"][tag] == "embedded_or_spiffs")
    source = rows["axeos_version_source"][tag]
    assert found.rows.axeos_version == WHERE_VERSIONS_COME_FROM[source]
