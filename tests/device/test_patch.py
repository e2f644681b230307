import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.each import each

from softaxe import cjson
from softaxe.api.views import info_body
from softaxe.catalog import board
from softaxe.catalog.firmware import Firmware, firmware, versions
from softaxe.device.device import Device
from softaxe.device.events import SaveSettings
from softaxe.device.patch import Patch, check_patch, check_sent, unmet_demands
from softaxe.device.pools import dial_target
from softaxe.device.profile import DOCUMENTED, FIRMWARE, STRICT, Profile
from softaxe.device.setting_rules import PAGE_NAMES, Kind, Stored, Value, rules
from softaxe.device.settings import Settings, rows_to_save, sift_stored
from softaxe.errors import PatchRefused, SettingError
from softaxe.json_values import JsonValue
from softaxe.units import float32

BOARD = board("601")
FACTORY = Settings.from_nvs({}, BOARD)
OVERCLOCKED = FACTORY.changed({"is_overclock_enabled": True})
PROFILES = (DOCUMENTED, STRICT, FIRMWARE)
RULES = rules(firmware(), DOCUMENTED).values()


def judged(
    *members: tuple[str, JsonValue],
    profile: Profile = DOCUMENTED,
    settings: Settings = FACTORY,
    release: Firmware | None = None,
) -> Patch:
    return check_patch(
        settings, list(members), profile=profile, board=BOARD, release=release
    )


def patch(
    *members: tuple[str, JsonValue],
    profile: Profile = DOCUMENTED,
    settings: Settings = FACTORY,
) -> Mapping[str, Value]:
    return judged(*members, profile=profile, settings=settings).changes


@each(
    ("name", "value", "changed"),
    [
        ("fanspeed", 50, {"fan_manual_percent": 50}),
        ("autofanspeed", 1, {"is_fan_automatic": True}),
        ("autofanspeed", False, {"is_fan_automatic": False}),
        ("temptarget", 65, {"target_temperature_c": 65}),
        ("temptarget", 0, {"target_temperature_c": 0}),
        ("temptarget", 100, {"target_temperature_c": 100}),
        ("TempTarget", 65.9, {"target_temperature_c": 65}),
        ("minfanspeed", 30, {"fan_min_percent": 30}),
        ("coreVoltage", 1200, {"core_voltage_mv": 1200}),
        ("frequency", 490, {"frequency_mhz": 490.0}),
        ("rotation", 90.7, {"rotation_degrees": 90}),
        ("displayTimeout", -1, {"display_timeout_min": -1}),
        ("overheat_mode", False, {"is_overheated": False}),
        ("overheat_mode", 0, {"is_overheated": False}),
        ("stratumURL", "stratum+tcp://a.b", {"stratum_url": "stratum+tcp://a.b"}),
        ("stratumPort", 65535, {"stratum_port": 65535}),
        ("wifiPass", "", {"wifi_password": ""}),
        ("wifiPass", "x" * 63, {"wifi_password": "x" * 63}),
        ("hostname", "Bit-axe-9", {"hostname": "Bit-axe-9"}),
        ("chartY1Data", "x", {}),
        ("bestdiff", 5, {}),
    ],
)
def test_good_values_are_taken(name: str, value: JsonValue, changed: object) -> None:
    for profile in (DOCUMENTED, STRICT):
        found = judged((name, value), profile=profile)
        assert found.changes == changed
        assert found.warnings == ()


UNMET: list[tuple[str, JsonValue, str, str, object]] = [
    (
        "fanspeed",
        101,
        "fanspeed: 101 is outside 0..100 %",
        "fanspeed_checked",
        {},
    ),
    (
        "fanspeed",
        "50",
        "fanspeed: '50' is no integer (0..100 %)",
        "fanspeed_checked",
        {},
    ),
    (
        "stratumPort",
        0,
        "stratumPort: 0 is outside 1..65535",
        "port_checked",
        {"stratum_port": 0},
    ),
    (
        "fallbackStratumPort",
        0,
        "fallbackStratumPort: 0 is outside 1..65535",
        "port_checked",
        {"fallback_stratum_port": 0},
    ),
    (
        "hostname",
        "My Bitaxe",
        "hostname: 'My Bitaxe' may hold letters, digits and hyphens only",
        "hostname_checked",
        {"hostname": "My Bitaxe"},
    ),
    (
        "hostname",
        "a\nb",
        r"hostname: 'a\nb' may hold letters, digits and hyphens only",
        "hostname_checked",
        {"hostname": "a\nb"},
    ),
    (
        "wifiPass",
        "short",
        "wifiPass: 5 bytes is outside 8..63 bytes, or empty",
        "wifi_password_checked",
        {"wifi_password": "short"},
    ),
    (
        "frequency",
        512.5,
        "frequency: 512.5 MHz is none of the board's options 400, 490, 525, 550, 600, "
        "625; the API page asks for overclockEnabled 1",
        "overclock_guarded",
        {"frequency_mhz": 512.5},
    ),
    (
        "coreVoltage",
        1175,
        "coreVoltage: 1175 mV is none of the board's options 1000, 1060, 1100, 1150, "
        "1200, 1250; the API page asks for overclockEnabled 1",
        "overclock_guarded",
        {"core_voltage_mv": 1175},
    ),
]
"""What the page asks for and a device does not care about."""


@each(("name", "value", "words", "row", "changed"), UNMET)
def test_what_a_device_takes_beyond_the_page_is_taken_and_told(
    name: str, value: JsonValue, words: str, row: str, changed: object
) -> None:
    found = judged(("temptarget", 50), (name, value))

    assert found.changes == {"target_temperature_c": 50, **changed}  # type: ignore[dict-item]
    (warning,) = found.warnings
    assert warning.startswith(words)
    assert found.differs == ()


@each(("name", "value", "words", "row", "changed"), UNMET)
def test_it_is_refused_in_the_same_words_when_strict(
    name: str, value: JsonValue, words: str, row: str, changed: object
) -> None:
    with pytest.raises(PatchRefused) as refusal:
        judged(("temptarget", 50), (name, value), profile=STRICT)

    assert str(refusal.value) == words
    assert refusal.value.differs == (row,)


@each(("name", "value", "words", "row", "changed"), UNMET)
def test_a_device_has_nothing_to_say_of_it(
    name: str, value: JsonValue, words: str, row: str, changed: object
) -> None:
    found = judged((name, value), profile=FIRMWARE)

    assert (found.changes, found.warnings, found.differs) == (changed, (), ())


def test_all_demands_that_are_not_met_are_told_at_once() -> None:
    found = judged(
        ("hostname", "a b"), ("fanspeed", "x"), ("frequency", 512.5), ("ssid", "fine")
    )

    assert [text.partition(":")[0] for text in found.warnings] == [
        "hostname",
        "fanspeed",
        "frequency",
    ]
    assert len(found.changes) == 3


@each(
    ("name", "value", "row"),
    [
        ("fanspeed", 50, "fanspeed_sets_fan"),
        ("temptarget", 34, "wide_target_temperature"),
        ("temptarget", 67, "wide_target_temperature"),
        ("stratumURL", "stratum+tcp://a.b", "pool_url_scheme_understood"),
        ("fallbackStratumURL", "a.b:3333", "pool_url_scheme_understood"),
    ],
)
def test_what_only_works_here_is_named(name: str, value: JsonValue, row: str) -> None:
    assert judged((name, value)).differs == (row,)
    assert judged((name, value), profile=STRICT).differs == (row,)


@each(
    ("name", "value"),
    [("temptarget", 35), ("manualFanSpeed", 50), ("stratumURL", "2001:db8::1")],
)
def test_what_works_on_a_device_is_not(name: str, value: JsonValue) -> None:
    assert judged((name, value)).differs == ()


def test_a_refusal_that_a_device_makes_too_differs_in_its_words_alone() -> None:
    explained = ("patch_errors_explained",)
    for profile, rows in ((DOCUMENTED, explained), (STRICT, explained), (FIRMWARE, ())):
        with pytest.raises(PatchRefused) as refusal:
            judged(("rotation", 45), profile=profile)
        assert refusal.value.differs == rows


@given(st.text("ab.:/[]1", max_size=12))
def test_a_url_is_more_than_a_host_where_dialling_makes_it_one(text: str) -> None:
    is_more = dial_target(text, 0) != (text, 0)
    try:
        differs = judged(("stratumURL", text)).differs
    except PatchRefused as refusal:  # by a scheme of some letters
        differs = refusal.differs

    assert not is_more or differs


def test_settings_in_force_are_looked_at_by_the_page() -> None:
    def unmet(**changes: Value) -> set[str]:
        settings = FACTORY.changed(changes)
        found = unmet_demands(settings, profile=DOCUMENTED, board=BOARD)
        assert not unmet_demands(settings, profile=FIRMWARE, board=BOARD)
        return set(found)

    assert unmet() == set()
    assert unmet(hostname="a b", wifi_password="short") == {"hostname", "wifiPass"}
    assert unmet(frequency_mhz=512.5, core_voltage_mv=1) == {"frequency", "coreVoltage"}
    assert unmet(frequency_mhz=512.5, is_overclock_enabled=True) == set()


@each(
    ("name", "value", "message"),
    [
        ("temptarget", 101, "temptarget: 101 is outside 0..100 °C"),
        ("temptarget", "60", "temptarget: '60' is no integer (0..100 °C)"),
        ("temptarget", None, "temptarget: null is no integer (0..100 °C)"),
        ("temptarget", [1], "temptarget: an array is no integer (0..100 °C)"),
        ("fallbackStratumPort", 70000, "outside 0..65535"),
        ("hostname", "", "hostname: '' is outside 1..32 bytes"),
        ("hostname", 5, "hostname: 5 is no string"),
        ("wifiPass", 5, "wifiPass: a value is no string"),
        ("stratumPassword", ["secret"], "stratumPassword: a value is no string"),
        ("ssid", "x" * 33, "ssid: 33 bytes is outside 1..32 bytes"),
        ("rotation", 45, "rotation: 45 is none of 0, 90, 180, 270"),
        ("autofanspeed", 2, "autofanspeed: 2 is outside 0, 1, false or true"),
        ("autofanspeed", "1", "autofanspeed: '1' is no boolean"),
        ("overheat_mode", 1, "overheat_mode: 1 is outside 0 or false"),
        ("overheat_mode", True, "overheat_mode: true is outside 0 or false"),
        ("frequency", 0.5, "frequency: 0.5 is outside 1..65535 MHz"),
        ("frequency", "550", "frequency: '550' is no float (1..65535 MHz)"),
        ("display", "LCD", "display: 'LCD' is none of NONE, SSD1306"),
        ("display", 5, "display: 5 is no string"),
        ("stratumPort", 10**400, "stratumPort: inf is outside 0..65535"),
        ("frequency", -(10**400), "frequency: -inf is outside 1..65535 MHz"),
        ("temptarget", math.nan, "temptarget: nan is outside 0..100 °C"),
        ("hostname", "x" * 32 + "\n", "hostname: 33 bytes is outside 1..32 bytes"),
        ("ssid", "é" * 17, "ssid: 34 bytes is outside 1..32 bytes"),
        ("stratumURL", "x" * 4000, "stratumURL: 4000 bytes is outside 0..3999 bytes"),
        ("display", "x" * 300, "xxx... is none of NONE"),
        ("statsFrequency", 1e99, "statsFrequency: 1e+99 is outside 0..65535 s"),
    ],
)
def test_bad_values_are_refused_in_words(
    name: str, value: JsonValue, message: str
) -> None:
    with pytest.raises(SettingError) as refusal:
        patch((name, value))
    assert message in str(refusal.value)


def test_an_error_is_one_line() -> None:
    with pytest.raises(SettingError) as refusal:
        patch(("temptarget", 80), ("ssid", "\r\n" * 20), profile=FIRMWARE)

    assert str(refusal.value) == (
        "ssid: 40 bytes is outside 1..32 bytes; temptarget: 80 is outside 35..66 °C"
    )


def test_the_real_name_of_the_fan_speed_counts_before_the_page_s() -> None:
    assert patch(("fanspeed", 30), ("manualFanSpeed", 40)) == {"fan_manual_percent": 40}
    with pytest.raises(SettingError, match="fanspeed: 101 is outside"):
        patch(("fanspeed", 101), ("manualFanSpeed", 40), profile=STRICT)


def test_the_least_and_the_most_of_every_setting_are_taken() -> None:
    for rule in RULES:
        limits = rule.limits
        if not rule.names or rule.choices or rule.kind is Kind.STRING:
            continue
        name = rule.names[0]
        for value in (limits.minimum, limits.maximum):
            assert rule.name in patch((name, value), settings=OVERCLOCKED)
        for value in (limits.minimum - 1, limits.maximum + 1):
            with pytest.raises(SettingError, match=name):
                patch((name, value), settings=OVERCLOCKED)


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=70)
    | st.lists(st.none(), max_size=1)
)
names = st.sampled_from([name for rule in RULES for name in rule.names])


@given(st.lists(st.tuples(names, values), max_size=4), st.sampled_from(PROFILES))
def test_whatever_comes_is_taken_whole_or_refused_whole(
    members: list[tuple[str, JsonValue]], profile: Profile
) -> None:
    try:
        changes = patch(*members, profile=profile)
    except SettingError:
        return
    changed = FACTORY.changed(changes)
    assert Settings.from_nvs(changed.to_nvs(), BOARD) == changed


def test_secrets_do_not_appear_in_messages() -> None:
    for name in ("wifiPass", "stratumPassword", "fallbackStratumPassword"):
        with pytest.raises(SettingError) as refusal:
            patch((name, "geheim" * 1000))
        assert "geheim" not in str(refusal.value)


def test_every_bad_member_is_named() -> None:
    with pytest.raises(SettingError, match=r"hostname: .*; temptarget: "):
        patch(("temptarget", 200), ("hostname", ""), ("ssid", "fine"))


def test_the_first_of_equal_names_counts() -> None:
    assert patch(("HOSTNAME", "one"), ("hostname", "two")) == {"hostname": "one"}


def test_overclocking_may_be_allowed_in_the_same_request() -> None:
    found = judged(("frequency", 500), ("overclockEnabled", 1), profile=STRICT)

    assert found.changes == {"frequency_mhz": 500.0, "is_overclock_enabled": True}


def test_overclocking_may_be_allowed_before() -> None:
    changed = patch(("coreVoltage", 1175), settings=OVERCLOCKED, profile=STRICT)

    assert changed == {"core_voltage_mv": 1175}


def test_a_value_in_force_may_be_sent_back() -> None:
    overclocked = FACTORY.changed({"frequency_mhz": 500.0})

    assert not judged(("frequency", 500), settings=overclocked).warnings
    assert judged(("frequency", 501), settings=overclocked).warnings
    kept = patch(("frequency", 500), settings=overclocked, profile=STRICT)
    assert kept == {"frequency_mhz": 500.0}


@each(
    ("name", "value", "changed"),
    [
        ("fanspeed", 80, {}),
        ("temptarget", 35, {"target_temperature_c": 35}),
        ("stratumPort", 0, {"stratum_port": 0}),
        ("hostname", "a b_c", {"hostname": "a b_c"}),
        ("wifiPass", "short", {"wifi_password": "short"}),
        ("frequency", 485.3, {"frequency_mhz": 485.29998779296875}),
        ("coreVoltage", 65535, {"core_voltage_mv": 65535}),
    ],
)
def test_the_firmware_profile_takes_what_the_firmware_takes(
    name: str, value: JsonValue, changed: object
) -> None:
    assert patch((name, value), profile=FIRMWARE) == changed


@pytest.mark.parametrize(("name", "value"), [("temptarget", 34), ("temptarget", 67)])
def test_the_firmware_profile_refuses_what_the_firmware_refuses(
    name: str, value: JsonValue
) -> None:
    with pytest.raises(SettingError):
        patch((name, value), profile=FIRMWARE)


def test_half_a_character_is_refused_in_words() -> None:
    with pytest.raises(SettingError, match=r"hostname: '\\ud800' holds half"):
        patch(("hostname", "\ud800"))


def test_text_that_is_not_unicode_is_refused() -> None:
    for text in "\udcff", "\ud800":
        with pytest.raises(SettingError, match="half a character"):
            check_patch(
                FACTORY, [("stratumUser", text)], profile=DOCUMENTED, board=BOARD
            )


@each("profile", [DOCUMENTED, FIRMWARE])
@each(
    ("name", "value"),
    [
        ("stratumTLS", 1),
        ("stratumProtocol", "SV2"),
        ("stratumURL", "stratum+ssl://pool.example"),
        ("stratumURL", "stratum2+tcp://pool.example:34254/key"),
    ],
)
def test_what_a_release_speaks_is_taken_without_a_word(
    name: str, value: JsonValue, profile: Profile
) -> None:
    given = judged((name, value), profile=profile, release=firmware("2.14.2"))

    assert not given.warnings
    assert len(given.changes) == 1


def test_urls_in_slots_are_looked_at_where_they_change() -> None:
    release = firmware("2.15.0")
    settings = Settings.from_nvs({}, BOARD, release)
    plain: dict[str, JsonValue] = {
        "id": 1,
        "stratumURL": "a",
        "stratumPort": 1,
        "stratumUser": "u",
        "stratumProtocol": "SV2",
    }

    given = judged(("pools", [plain]), settings=settings, release=release)
    assert not given.warnings
    settings = settings.changed(given.changes)

    foreign = {**plain, "stratumURL": "http://pool.example"}
    with pytest.raises(
        PatchRefused, match=r"pools: 1: .* no pool is spoken to in http"
    ):
        judged(("pools", [foreign]), settings=settings, release=release)


@each(
    ("version", "url", "why"),
    [
        (
            "2.9.0",
            "stratum+ssl://a:1",
            "it asks for TLS, which firmware has from 2.13 on",
        ),
        (
            "2.12.2",
            "stratum+tls://a",
            "it asks for TLS, which firmware has from 2.13 on",
        ),
        (
            "2.13.2",
            "stratum2+tcp://a",
            "it asks for Stratum v2, which firmware has from 2.14",
        ),
        ("2.15.0", "http://a", "no pool is spoken to in http"),
    ],
)
@each("name", ["stratumURL", "fallbackStratumURL"])
def test_a_url_that_asks_for_what_the_firmware_cannot_do_is_refused(
    name: str, version: str, url: str, why: str
) -> None:
    release = firmware(version)
    settings = Settings.from_nvs({}, BOARD, release)
    asked: tuple[str, JsonValue] = name, url

    with pytest.raises(PatchRefused) as caught:
        judged(asked, settings=settings, release=release)
    assert f"{name}: '{url}': {why}" in str(caught.value)
    assert caught.value.differs[-1] == "pool_url_scheme_understood"

    as_host = judged(asked, settings=settings, release=release, profile=FIRMWARE)
    if version == "2.15.0":  # where pools stand in slots alone
        assert as_host.changes == {}
        return
    assert list(as_host.changes.values()) == [url]
    kept = settings.changed(as_host.changes)
    again = judged(asked, settings=kept, release=release)
    assert again.changes == as_host.changes, "a form sends back what is in force"


VECTORS: dict[str, list[tuple[str, int, str]]] = json.loads(
    (Path(__file__).parents[1] / "data/firmware-versions.json").read_text("utf-8")
)["patch_vectors"]
OF_VECTORS = {
    "v2.8-v2.10 common": ("2.8.1", "2.9.0", "2.10.1"),
    "v2.8": ("2.8.0", "2.8.1"),
    "v2.9-v2.10": ("2.9.0", "2.10.1"),
    "v2.11+": ("2.11.0", "2.12.2", "2.13.2", "2.14.2", "2.15.0"),
    "v2.13+": ("2.13.2", "2.14.2"),
    "v2.14": ("2.14.2",),
    "v2.15": ("2.15.0",),
}
STORED: dict[str, dict[str, Stored]] = {
    '{"autofanspeed":true}': {"autofanspeed": 1},
    '{"autofanspeed":"1"}': {"autofanspeed": 0},
    '{"autofanspeed":2}': {"autofanspeed": 2},
    '{"stratumPort":70000}': {"stratumport": 4464},
    '{"overheat_mode":1}': {"overheat_mode": 0},
    '{"temptarget":200}': {"temptarget": 200},
    '{"hostname":""}': {"hostname": ""},
    '{"display":"foo"}': {"display": "foo"},
    '{"fanspeed":55}': {"fanspeed": 55},
    '{"flipscreen":0}': {"flipscreen": 0},
    '{"rotation":45}': {"rotation": 45},
    '{"statsLimit":1000}': {"statsLimit": 1000},
    '{"frequency":485.7}': {"asicfrequency": 485},
    '{"stratumTLS":3}': {"stratumtls": 3},
    '{"stratumDecodeCoinbase":false}': {"stratumdecode": 0},
    '{"stratumProtocol":"SV2"}': {"stratumprot": "SV2"},
    '{"stratumV2ChannelType":"standard"}': {"sv2chantype": "standard"},
    '{"primaryPoolIndex":2}': {"prim_idx": 2},
    '{"hostname":"axe.local"}': {"hostname": "axe"},
}
"""What a PATCH of the vectors stores, where it stores anything."""
BY_VERSION: dict[tuple[str, str], dict[str, Stored]] = {
    ("2.10.1", '{"minfanspeed":30}'): {"minfanspeed": 30},
    ("2.9.0", '{"frequency":485.3}'): {"asicfrequency": 485},
    ("2.10.1", '{"frequency":485.3}'): {
        "asicfrequency": 485,
        "asicfrequency_f": "485.299988",
    },
}
POOL_2 = '{"pools":[{"id":2,"stratumURL":"a","stratumPort":3333,"stratumUser":"u"}]}'


def written(device: Device) -> dict[str, object]:
    """What the device has asked to be stored."""
    return {
        key: value
        for event in device.events()
        if isinstance(event, SaveSettings)
        for key, value in event.rows.items()
    }


@each("group", VECTORS)
def test_releases_answer_as_in_the_reference(group: str) -> None:
    for version in OF_VECTORS[group]:
        device = Device(firmware=version, profile=FIRMWARE)
        for body, status, words in VECTORS[group]:
            device.events()
            asked = body.replace("<53 characters>", "x" * 53)
            only = re.match(r"v(\d+\.\d+) only", words)
            is_other = only is not None and not version.startswith(f"{only[1]}.")
            try:
                members = cjson.parse(asked.encode())
                device.patch(members, device.now)
            except (ValueError, PatchRefused):
                assert (status, is_other) == (400, False), (version, body)
                assert written(device) == {}
                continue
            assert status == 200 or is_other, (version, body)
            rows = BY_VERSION.get((version, body), STORED.get(body, {}))
            if body == POOL_2:
                found = written(device)
                assert '"stratumURL":"a"' in str(found["pool_3"])
                assert '"stratumPassword":"x"' in str(found["pool_3"])
            elif version == "2.12.2" and only:
                assert written(device) == {"wifipass": ""}
            elif body != '{"wifiPass":""}':
                assert written(device) == rows, (version, body)


def test_selectors_hold_after_a_restart() -> None:
    device = Device(firmware="2.15.0", profile=FIRMWARE)
    device.step(5.0)
    device.patch([("pools", json.loads(POOL_2)["pools"])], device.now)
    device.patch([("primaryPoolIndex", 2), ("useFallbackStratum", 1)], device.now)

    def told() -> tuple[object, ...]:
        info = json.loads(info_body(device))
        pools = [pool["id"] for pool in info["pools"]]
        names = "primaryPoolIndex", "useFallbackStratum", "stratumURL"
        return pools, *(info[name] for name in names)

    assert told() == ([0, 1, 2], 0, 0, "public-pool.io")
    device.restart(device.now)
    device.step(device.now + 5)
    assert told() == ([0, 1, 2], 2, 1, "a")


def test_a_stored_number_of_a_flag_is_told_as_it_is() -> None:
    device = Device(firmware="2.10.1", profile=FIRMWARE)

    device.patch([("autofanspeed", 2), ("invertscreen", 7)], 0.0)

    info = json.loads(info_body(device))
    assert (info["autofanspeed"], info["invertscreen"]) == (2, 7)
    assert not device.settings.is_fan_automatic
    assert device.settings.is_screen_inverted


@each(
    ("name", "value", "words"),
    [
        ("stratumPort", 70000, "70000 is outside 1..65535; 4464 is stored"),
        ("temptarget", "60", "'60' is no integer (0..100 °C); 0 is stored"),
        ("hostname", 5, "5 is no string; it is left alone"),
        ("display", "foo", "(128x128); it is stored as it is"),
        ("frequency", 0, "0 is outside 1..65535 MHz; it is left alone"),
        ("frequency", 0.5, "0.5 is outside 1..65535 MHz; it is left alone"),
        ("coreVoltage", 0.5, "0.5 is outside 1..65535 mV; it is left alone"),
        ("ssid", "x" * 4000, "4000 bytes is outside 1..32 bytes; it is left alone"),
        ("overheat_mode", 1, "1 is outside 0 or false; 0 is stored"),
        ("wifiPass", "short", "or empty; it is stored as it is"),
    ],
)
def test_what_old_releases_make_of_a_value_is_told(
    name: str, value: JsonValue, words: str
) -> None:
    old = firmware("2.9.0")

    (warning,) = judged((name, value), release=old).warnings
    assert warning.endswith(words)
    assert not judged((name, value), release=old, profile=FIRMWARE).warnings
    with pytest.raises(PatchRefused):
        judged((name, value), release=old, profile=STRICT)


@each(
    ("version", "name", "value"),
    [
        ("2.8.1", "rotation", 90),
        ("2.8.1", "statsFrequency", 60),
        ("2.10.1", "useFallbackStratum", 1),
        ("2.15.0", "stratumURL", "a.b"),
        ("2.15.0", "fallbackStratumPassword", "p"),
    ],
)
def test_every_setting_of_the_page_can_be_changed_on_every_release(
    version: str, name: str, value: JsonValue
) -> None:
    release = firmware(version)
    found = judged((name, value), release=release)

    assert len(found.changes) == 1
    assert found.differs == ("page_settings_known",)
    assert judged((name, value), release=release, profile=FIRMWARE).changes == {}


def test_what_the_page_does_not_list_is_unknown_to_older_releases() -> None:
    for name in ("stratumTLS", "primaryPoolIndex", "manualFanSpeed", "pools"):
        assert judged((name, 1), release=firmware("2.9.0")) == Patch({}, (), ())


def test_all_of_the_page_s_settings_are_known_on_every_release() -> None:
    for version in versions():
        known = rules(firmware(version), DOCUMENTED).values()
        assert {name for rule in known for name in rule.names} >= PAGE_NAMES


def test_what_is_sent_in_slots_is_refused_in_words() -> None:
    old = Settings.from_nvs({}, BOARD, firmware("2.15.0"))
    pools: JsonValue = [{"id": 2, "stratumURL": "a", "stratumPort": 0}]

    with pytest.raises(PatchRefused, match=r"pools\[0\].stratumPort: 0 is outside"):
        judged(("pools", pools), settings=old, release=firmware("2.15.0"))


@settings(max_examples=30)
@given(
    st.lists(st.tuples(names, values), max_size=4),
    st.sampled_from(PROFILES),
    st.sampled_from(versions()),
)
def test_whatever_comes_can_be_stored_and_read_by_every_release(
    members: list[tuple[str, JsonValue]], profile: Profile, version: str
) -> None:
    release = firmware(version)
    before = Settings.from_nvs({}, BOARD, release, profile=profile)
    try:
        found = judged(*members, profile=profile, settings=before, release=release)
    except SettingError:
        return
    changes = before.completed(found.changes)
    rows = rows_to_save(changes, {}, release, profile=profile)
    assert sift_stored(rows) == (rows, [])
    again = Settings.from_nvs(rows, BOARD, release, profile=profile)
    expected = before.changed(changes)
    # NVS holds a frequency as a text of six decimals.
    mhz = float32(round(expected.frequency_mhz, 6))
    if not release.rows.empty_text_is_default:
        assert again == expected.changed({"frequency_mhz": mhz})
    for other in versions():
        Settings.from_nvs(rows, BOARD, firmware(other), profile=profile)


AS_AT_BOOT = {"primaryPoolIndex", "secondaryPoolIndex", "useFallbackStratum"}
CURRENT = "fanspeed"
"""In info what the fan is driven with, in a PATCH of old releases what it shall be."""


@pytest.mark.unwatched
@each("version", versions())
def test_every_setting_of_a_release_is_taken_and_told(version: str) -> None:
    device = Device(firmware=version, profile=FIRMWARE)
    device.step(5.0)
    known = rules(device.firmware, device.profile).values()
    by_key = {rule.names[0]: rule for rule in known if rule.names}
    assert set(by_key) == set(device.firmware.settings)

    for key, rule in by_key.items():
        if rule.kind is Kind.POOLS:
            continue
        value: JsonValue = min(rule.limits.maximum, rule.limits.minimum + 5)
        if rule.kind is Kind.STRING:
            value = rule.choices[-1] if rule.choices else "abc"
        elif rule.choices:
            value = rule.choices[-1]
        device.patch([(key, value)], device.now)
        info = json.loads(info_body(device))
        if key in info and key not in AS_AT_BOOT | {CURRENT}:
            assert info[key] == value, key
        assert (key in info) is not device.firmware.settings[key].is_write_only


@each("version", versions())
def test_what_is_sent_is_checked_by_the_release(version: str) -> None:
    release = firmware(version)
    sent = {"frequency": 512.4, "autofanspeed": 1}

    assert check_sent(sent, release) == {
        "frequency": float32(512.4),
        "autofanspeed": True,
    }
    with pytest.raises(PatchRefused) as refused:
        check_sent({"coreVoltage": -5, "coreVoltag": 1, "ssid": 3}, release)
    low, unknown, kind = str(refused.value).split("; ", 1)[0], "coreVoltag: ", "ssid: 3"
    assert low.startswith("coreVoltage: -5 is outside")
    assert f"{unknown}{release.tag} has no such setting; coreVoltage" in str(
        refused.value
    )
    assert f"{kind} is no string" in str(refused.value)


def test_pools_that_are_sent_are_checked() -> None:
    slot = {"id": 9, "stratumURL": "a", "stratumPort": 1, "stratumUser": "b"}

    with pytest.raises(PatchRefused, match=r"pools\[0\].id: 9"):
        check_sent({"pools": [slot]}, firmware("2.15.0"))
    with pytest.raises(PatchRefused, match=r"v2.8.0 has no such setting; there are "):
        check_sent({"zzz": 1}, firmware("2.8.0"))
