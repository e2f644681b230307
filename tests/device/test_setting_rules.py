from typing import Any

from softaxe.catalog.firmware import firmware, versions
from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.device.setting_rules import Effect, Kind, Limits, rules, shown_later

KINDS = {
    "str": Kind.STRING,
    "u16": Kind.INTEGER,
    "i32": Kind.INTEGER,
    "u64": Kind.INTEGER,
    "float": Kind.FLOAT,
    "bool": Kind.BOOLEAN,
}


def test_names_types_and_limits_are_the_firmware_s(
    boards_reference: dict[str, Any],
) -> None:
    reference = {
        row["nvs_key"]: row for row in boards_reference["nvs_settings"]["settings"]
    }
    for rule in rules(firmware(), FIRMWARE).values():
        if rule.nvs_key not in reference:
            assert rule.nvs_key in {"last_fw_fp", "themecolor"}  # of 2.15
            continue
        known = reference[rule.nvs_key]
        assert rule.names == ((known["rest_name"],) if known["rest_name"] else ())
        assert rule.kind is KINDS[known["type"]]
        if rule.names:
            assert rule.limits == Limits(known["min"], known["max"])


def test_every_setting_of_the_firmware_s_patch_is_there(
    boards_reference: dict[str, Any],
) -> None:
    wanted = {
        row["rest_name"]
        for row in boards_reference["nvs_settings"]["settings"]
        if row["rest_name"]
    }

    known = rules(firmware(), FIRMWARE).values()
    assert {name for rule in known for name in rule.names} == wanted


def test_what_a_release_asks_of_a_text_stands_over_the_page() -> None:
    by_version = {
        version: rules(firmware(version), DOCUMENTED)["wifi_password"]
        for version in ("2.10.1", "2.11.0", "2.12.2")
    }

    asked = {version: rule.asked_words for version, rule in by_version.items()}
    assert asked["2.11.0"] == "8..63 bytes"
    assert asked["2.12.2"] == asked["2.10.1"] == "8..63 bytes, or empty"


def test_changes_are_felt_when_the_release_feels_them() -> None:
    def felt(name: str) -> list[Effect]:
        found = (rules(firmware(version), FIRMWARE)[name] for version in versions())
        return list(dict.fromkeys(rule.effect for rule in found))

    assert felt("hostname") == [Effect.RESTART, Effect.AT_ONCE]
    assert felt("frequency_mhz") == [Effect.NEXT_PASS]
    new, old = firmware("2.13.0"), firmware("2.12.2")
    assert rules(new, FIRMWARE)["fan_min_percent"].effect is Effect.NEXT_PASS
    assert rules(old, FIRMWARE)["fan_min_percent"].effect is Effect.RESTART


def test_a_release_names_what_it_has_and_the_page_what_it_promises() -> None:
    old = firmware("2.9.0")

    assert rules(old, FIRMWARE)["fan_manual_percent"].names == ("fanspeed",)
    assert "use_fallback_stratum" not in rules(old, FIRMWARE)
    promised = rules(old, DOCUMENTED)["use_fallback_stratum"]
    assert (promised.is_own, promised.is_checked) == (False, False)
    fan = rules(firmware("2.11.0"), DOCUMENTED)["fan_manual_percent"]
    assert fan.names == ("manualFanSpeed", "fanspeed")


def test_some_settings_show_after_a_restart() -> None:
    later = shown_later(firmware())

    assert "stratumURL" in later
    assert "frequency" not in later
