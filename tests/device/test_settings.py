from typing import Any

import pytest
from tests.each import each

from softaxe.catalog import board, boards
from softaxe.catalog.firmware import firmware, versions
from softaxe.device.patch import unmet_demands
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.device.setting_rules import Stored
from softaxe.device.settings import (
    Settings,
    migrated,
    nvs_rows,
    overridden,
    rows_to_save,
    sift_stored,
)
from softaxe.errors import SettingError
from softaxe.units import float32

BOARD = board("601")
FACTORY = Settings.from_nvs({}, BOARD)


def test_factory_settings_are_those_of_the_factory_file(
    boards_reference: dict[str, Any],
) -> None:
    file = boards_reference["factory_nvs"]
    gamma, common = file["per_board"]["601"], file["common"]

    assert FACTORY.frequency_mhz == gamma["asicfrequency"]
    assert FACTORY.core_voltage_mv == gamma["asicvoltage"]
    assert FACTORY.stratum_url == common["stratumurl"]
    assert FACTORY.stratum_user == common["stratumuser"]
    assert FACTORY.fallback_stratum_url == common["fbstratumurl"]
    assert FACTORY.fan_manual_percent == common["fanspeed"]
    assert FACTORY.hostname == common["hostname"]


def test_settings_survive_storage() -> None:
    changed = FACTORY.changed({"hostname": "miner-1", "is_screen_inverted": True})

    rows = changed.to_nvs()

    assert rows["invertscreen"] == 1
    assert Settings.from_nvs(rows, BOARD) == changed


def test_a_stored_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(SettingError, match="stratumport"):
        Settings.from_nvs({"stratumport": "many"}, BOARD)


def test_no_board_comes_with_settings_that_the_page_has_something_against() -> None:
    for one in boards():
        settings = Settings.from_nvs({}, one)
        assert not unmet_demands(settings, profile=DOCUMENTED, board=one)


@each(
    ("key", "value"),
    [
        ("asicfrequency_f", float("inf")),
        ("asicfrequency_f", float("nan")),
        ("asicfrequency_f", 1e300),
        ("asicfrequency_f", "fast"),
        ("minfanspeed", 10**9),
        ("manualfanspeed", b"\x64"),
        ("temptarget", 60.5),
        ("rotation", 70000),
        ("autofanspeed", -1),
        ("bestdiff", 2**63),
        ("display", 5),
        ("stratumuser", "bc1q\udcff"),
        ("stratumuser", "x" * 4000),
        ("wifipass", 7),
    ],
)
def test_stored_values_that_nobody_wrote_are_named_and_left_out(
    key: str, value: object
) -> None:
    stored = {"hostname": "rig", key: value, "another": b"program's"}

    kept, (complaint,) = sift_stored(stored)

    assert kept == {"hostname": "rig"}
    assert complaint.startswith(f"{key}: ")
    assert len(complaint) < 200
    assert complaint.isprintable()
    with pytest.raises(SettingError, match=key):
        Settings.from_nvs({key: value}, BOARD)  # type: ignore[dict-item]


def test_a_stored_secret_is_not_told() -> None:
    _, (complaint,) = sift_stored({"wifipass": b"my secret"})

    assert "secret" not in complaint


def test_all_that_a_device_itself_stores_is_taken_back() -> None:
    rows = FACTORY.changed(
        {
            "is_overheated": True,
            "best_difficulty": 2**63 - 1,
            "theme_colors": "x" * 5000,
            "target_temperature_c": 100,
            "frequency_mhz": 525,
            "ssid": "",
        }
    ).to_nvs()

    assert sift_stored(rows) == (rows, [])


def test_factory_settings_of_every_board_are_such_as_can_be_stored() -> None:
    for one in boards():
        assert sift_stored(one.factory_nvs)[1] == []


def read(version: str, stored: dict[str, Stored], **presets: Stored) -> Settings:
    return Settings.from_nvs(stored, BOARD, firmware(version), presets=presets)


def test_every_release_reads_a_new_device_s_nvs() -> None:
    found = {version: read(version, {}) for version in versions()}

    for version, settings in found.items():
        assert settings.frequency_mhz == 525, version
        assert settings.core_voltage_mv == 1150
        assert settings.fan_manual_percent == 100
        assert settings.ssid == "softaxe"
        assert settings.stratum_url == "public-pool.io"
        assert settings.fallback_stratum_url == "solo.ckpool.org"
    ports = {version: settings.stratum_port for version, settings in found.items()}
    assert ports["2.13.2"] == 21496
    assert ports["2.14.0"] == ports["2.15.0"] == 3333


def test_a_release_has_its_own_keys_for_frequency_and_fan() -> None:
    stored: dict[str, Stored] = {
        "asicfrequency": 485,
        "asicfrequency_f": "485.300000",
        "fanspeed": 40,
        "manualfanspeed": 60,
    }

    by_version = {
        version: (settings.frequency_mhz, settings.fan_manual_percent)
        for version in versions()
        for settings in (read(version, stored),)
    }

    assert by_version["2.9.0"] == (485, 40)
    assert by_version["2.10.1"] == (float32(485.3), 40)
    assert by_version["2.11.0"] == by_version["2.15.0"] == (float32(485.3), 60)


@each(
    ("version", "rows"),
    [
        ("2.9.0", {"asicfrequency": 485, "fanspeed": 40}),
        (
            "2.10.0",
            {"asicfrequency": 485, "asicfrequency_f": "485.299988", "fanspeed": 40},
        ),
        (
            "2.12.2",
            {
                "asicfrequency": 485,
                "asicfrequency_f": "485.299988",
                "fanspeed": 40,
                "manualfanspeed": 40,
            },
        ),
    ],
)
def test_a_change_is_written_under_the_release_s_keys(
    version: str, rows: dict[str, Stored]
) -> None:
    changes = {"frequency_mhz": float32(485.3), "fan_manual_percent": 40}

    assert nvs_rows(changes, firmware(version)) == rows


def test_what_older_releases_lack_is_as_by_default_unless_the_page_promises_it() -> (
    None
):
    stored: dict[str, Stored] = {"rotation": 90, "usefbstartum": 1, "flipscreen": 0}

    def seen(version: str, profile: Profile) -> tuple[object, ...]:
        found = Settings.from_nvs(stored, BOARD, firmware(version), profile=profile)
        flags = found.use_fallback_stratum, found.is_screen_flipped
        return found.rotation_degrees, *flags

    assert seen("2.8.1", FIRMWARE) == (0, False, False)
    assert seen("2.8.1", DOCUMENTED) == (90, True, False)
    assert seen("2.9.0", FIRMWARE) == (90, False, True)
    assert seen("2.11.0", FIRMWARE) == (90, True, True)


@each(
    ("version", "flags"),
    [("2.8.0", (False, True)), ("2.10.1", (False, True)), ("2.11.0", (True, True))],
)
def test_of_flags_that_are_numbers_only_1_makes_the_fan_automatic(
    version: str, flags: tuple[bool, bool]
) -> None:
    found = read(version, {"autofanspeed": 2, "invertscreen": 2})

    assert (found.is_fan_automatic, found.is_screen_inverted) == flags


def test_an_emptied_text_reads_back_as_the_default_where_it_does() -> None:
    stored: dict[str, Stored] = {
        "wifissid": "",
        "wifipass": "",
        "hostname": "",
        "fbstratumurl": "",
        "stratumcert": "",
    }

    def seen(version: str) -> tuple[str, ...]:
        found = read(version, stored)
        wifi = found.ssid, found.wifi_password, found.hostname
        return *wifi, found.fallback_stratum_url, found.stratum_cert

    assert seen("2.13.2") == ("", "", "", "", "")
    refilled = ("myssid", "mypassword", "espressif")
    assert seen("2.14.2") == (*refilled, "solo.ckpool.org", "x")
    assert seen("2.15.0") == (*refilled, "", ""), "they are in slots"
    empty_preset = read("2.14.2", {}, fbstratumurl="").fallback_stratum_url
    assert empty_preset == "", "nobody has stored it"


def test_statistics_beyond_the_most_are_cut_at_boot_by_2_8() -> None:
    found = read("2.8.0", {"statsLimit": 1000, "statsDuration": 0})

    assert (found.statistics_limit, found.statistics_duration) == (720, 1)


def test_slots_are_made_once_of_the_two_pools_that_older_releases_have() -> None:
    stored: dict[str, Stored] = {"stratumurl": "a", "stratumtls": 1}

    once = migrated(stored, {}, firmware("2.15.0"))
    first = read("2.15.0", stored)
    again = read("2.15.0", {**stored, **once, "stratumurl": "b"})

    assert set(once) >= {"pool_1", "pool_2", "prim_idx", "sec_idx"}
    for found in (first, again):
        assert found.stratum_url == found.pools[0].url == "a"
        assert (found.stratum_tls, found.stratum_cert) == (1, "x")
        assert not found.pools[2].url
    assert not read("2.14.2", {**stored, **once}).pools


@each(
    ("colors", "color"),
    [
        ('{"--primary-color":"#00ff00","--a":"b"}', "#00ff00"),
        ("{oops", "#F80421"),
        ("[]", "#F80421"),
    ],
)
def test_one_colour_of_the_theme_is_left_at_first(colors: str, color: str) -> None:
    once = migrated({"themecolors": colors}, {}, firmware("2.15.0"))

    assert once["themecolor"] == color
    again = {"themecolors": colors, "themecolor": "#ffffff"}
    assert "themecolor" not in migrated(again, {}, firmware("2.15.0"))
    assert "themecolor" not in migrated({}, {}, firmware("2.14.2"))


def test_the_selected_slots_are_shown() -> None:
    slot = '{"stratumURL":"c","stratumSuggestedDifficulty":100000}'
    stored: dict[str, Stored] = {
        "pool_1": "",
        "pool_3": slot,
        "prim_idx": 2,
        "sec_idx": 0,
    }

    found = read("2.15.0", stored)

    assert (found.stratum_url, found.stratum_suggested_difficulty) == ("c", 34464)
    assert found.fallback_stratum_url == "public-pool.io", "the compiled one"
    assert found.fallback_stratum_port == 21496


def test_overrides_hold_in_slots_too() -> None:
    slot = '{"stratumURL":"c","stratumPort":1,"stratumUser":"u"}'
    stored: dict[str, Stored] = {"pool_3": slot, "prim_idx": 2, "pool_1": slot}
    overrides: dict[str, Stored] = {"stratumurl": "mine", "stratumport": 5}

    found = read("2.15.0", overridden(stored, overrides))

    assert (found.stratum_url, found.stratum_port) == ("mine", 5)
    assert (found.stratum_user, found.pools[0].url) == ("u", "c")


def test_a_flat_change_goes_to_the_selected_slot() -> None:
    before = read("2.15.0", {"pool_1": "", "prim_idx": 3})

    changes = before.completed({"stratum_url": "new", "target_temperature_c": 50})
    after = before.changed(changes)

    assert after.pools[3].url == after.stratum_url == "new"
    assert after.fallback_stratum_url == before.fallback_stratum_url
    rows = rows_to_save(changes, {"pool_1": ""}, firmware("2.15.0"))
    assert set(rows) == {"pool_1", "pool_4", "temptarget"}
