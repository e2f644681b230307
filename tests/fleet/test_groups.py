import pickle
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.each import each

from softaxe.catalog.firmware import firmware
from softaxe.device.profile import DOCUMENTED, FIRMWARE, STRICT, Profile
from softaxe.device.settings import Settings, overridden
from softaxe.errors import SettingError
from softaxe.fleet.groups import (
    Group,
    member_options,
    one_of_each,
    parse_pool,
    read_group,
    read_groups,
    read_toml,
    wants_own_tls,
    wants_own_v2,
)

Rows = dict[str, str | int | float]
POOL_ROWS: Rows = {"stratumurl": "127.0.0.1", "stratumport": 3333}


def made(group: Group, first: int = 1) -> list[Any]:
    return list(member_options(replace(group, seed=first), pool_rows=POOL_ROWS))


def test_boards_are_dealt_out_in_turn() -> None:
    devices = made(Group(count=3, boards=("601", "hex")))

    assert [device.board.version for device in devices] == ["601", "303", "601"]
    assert [device.id for device in devices] == ["601-1", "303-2", "601-3"]


def test_releases_are_dealt_out_in_turn_and_a_family_means_its_last() -> None:
    group = read_group({"count": 3, "firmware": ["2.9", "v2.15.0"]})

    assert [one.firmware for one in made(group)] == ["2.9.0", "2.15.0", "2.9.0"]
    assert one_of_each(group).count == 2
    assert [one.firmware for one in made(Group(count=2))] == [None, None]


def test_a_board_that_is_dealt_out_has_to_be_known_to_its_firmware() -> None:
    group = read_group({"boards": ["gammaturbo"], "firmware": ["2.10", "2.12.0"]})
    assert [one.board.version for one in made(group)] == ["800"]

    with pytest.raises(SettingError, match=r"2\.15\.0 does not know 800"):
        made(read_group({"boards": ["800"], "firmware": "2.15"}))


def test_settings_are_those_of_the_firmware_that_a_board_comes_with() -> None:
    (one,) = made(read_group({"boards": ["603"], "settings": {"stratumTLS": 1}}))

    assert one.defaults["stratumtls"] == 1


def test_settings_hold_for_all_and_number_the_devices() -> None:
    settings = {"frequency": 490, "hostname": "g-{n}"}
    group = read_group({"count": 2, "settings": settings, "user": "u.{n}"})

    one, two = made(group)

    clocks = [device.defaults["asicfrequency_f"] for device in (one, two)]
    assert clocks == ["490.000000"] * 2
    assert (one.defaults["hostname"], two.defaults["hostname"]) == ("g-1", "g-2")
    users = [device.overrides["stratumuser"] for device in (one, two)]
    assert users == ["u.1", "u.2"]
    assert one.presets["stratumport"] == 3333


def test_spread_makes_each_device_its_own_and_always_the_same() -> None:
    group = read_group(
        {
            "count": 50,
            "ambient": 20,
            "spread": {"ambient": 5, "frequency": 45, "temptarget": 5},
        }
    )

    devices = made(group)

    ambients = [device.ambient_c for device in devices]
    assert len(set(ambients)) == 50
    assert 15 <= min(ambients) < 17
    assert 23 < max(ambients) <= 25
    assert ambients == [device.ambient_c for device in made(group)]
    clocks = {device.defaults.get("asicfrequency", 525) for device in devices}
    assert clocks == {490, 525, 550}, "its options"
    targets = {device.defaults.get("temptarget", 60) for device in devices}
    assert targets == set(range(min(targets), max(targets) + 1))


def test_strictness_is_shared_and_comes_to_another_process(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text("strict = true\n[[group]]\n[[group]]\nname='b'\nstrict = false")

    groups = read_groups(read_toml(path), str(path))

    copies = pickle.loads(pickle.dumps(groups))
    strict, other = (made(group)[0].profile for group in copies)
    assert strict is STRICT
    assert other is DOCUMENTED


def test_a_pool_of_ones_own_takes_the_built_in_ones_place() -> None:
    (device,) = made(Group(pool="stratum+tcp://pool.example:4444"))

    assert device.overrides["stratumurl"] == "pool.example"
    assert device.overrides["stratumport"] == 4444
    assert device.presets == {"fbstratumurl": ""}
    assert device.defaults == {}


@each(
    ("table", "complaint"),
    [
        ([], "is no table"),
        ({"count": "1"}, "count: '1' is no whole number"),
        ({"count": True}, "count: True is no whole number"),
        ({"boards": []}, "names no board"),
        ({"board": 601}, "601 is no text"),
        ({"firmware": "2.16"}, "firmware: '2.16' is none of 2.8.0, 2.8.1, 2.9.0"),
        ({"firmware": []}, "names no release"),
        ({"firmware": [2.15]}, "firmware: 2.15 is no text"),
        ({"work": "fake"}, "'fake' is none of auto, scaled, real"),
        ({"profile": "old"}, "'old' is none of documented, firmware"),
        ({"ambient": 99}, "ambient: 99 is outside -40..80"),
        ({"first_boot": 1}, "first_boot: 1 is neither"),
        ({"spread": {"ambient": -1}}, "-1 is outside"),
        ({"settings": 5}, "5 is no table"),
        ({"settings": {"hostname": date(2020, 1, 1)}}, "settings: hostname: datetime"),
        ({"colour": "red"}, "colour is none of"),
    ],
)
def test_what_is_not_allowed_is_told_by_name(table: object, complaint: str) -> None:
    with pytest.raises(SettingError, match="group: ") as caught:
        read_group(table)

    assert complaint in str(caught.value)


@each(
    ("group", "complaint"),
    [
        (Group(settings={"frequencies": 1}), "frequencies is no setting"),
        (Group(settings={"frequency": 0}), "frequency: 0 is outside"),
        (Group(settings={"frequency": 1000}, strict=True), "frequency: 1000 MHz is no"),
        (Group(strict=True, profile=FIRMWARE), "strict: a device asks for nothing"),
        (Group(settings={"fanspeed": "fast"}), "settings: fanspeed: 'fast' is no int"),
        (Group(spread={"hostname": 1}), "hostname is no number"),
        (Group(spread={"nothing": 1}), "nothing is no number"),
    ],
)
def test_settings_obey_the_devices_own_rules(group: Group, complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        made(group)

    assert complaint in str(caught.value)


@each(
    ("text", "target"),
    [
        ("pool.example", ("pool.example", 3333)),
        ("pool.example:21496", ("pool.example", 21496)),
        ("stratum+tcp://pool.example:21496", ("pool.example", 21496)),
        ("[::1]:3333", ("::1", 3333)),
    ],
)
def test_pools_are_read_as_people_write_them(
    text: str, target: tuple[str, int]
) -> None:
    assert parse_pool(text) == target


@each("text", ["", "a b", "http://pool", "stratum+udp://pool:1"])
def test_what_is_no_pool_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"names no host|stratum\+tcp://HOST:PORT"):
        parse_pool(text)


BY_TLS = "stratum+ssl://pool.example:4444"


@pytest.mark.parametrize("profile", [DOCUMENTED, FIRMWARE])
def test_a_pool_by_tls_is_for_firmware_that_can(profile: Profile) -> None:
    group = Group(pool=BY_TLS, profile=profile)
    (new,) = made(replace(group, firmware=("2.13.2",)))
    (unknown,) = made(group)

    for device in (new, unknown):  # who of unknown firmware can is seen when it starts
        where = {"stratumurl": "pool.example", "stratumport": 4444, "stratumtls": 1}
        assert device.overrides == where
    with pytest.raises(SettingError, match=r"asks for TLS, .* and not in v2\.12\.2"):
        made(replace(group, firmware=("2.12.2",)))


def test_a_pool_by_tls_may_have_a_certificate_of_its_own() -> None:
    settings: dict[str, Any] = {"stratumTLS": 2, "stratumCert": "PEM"}
    for version in ("2.13.2", "2.14.2", "2.15.0"):
        (device,) = made(Group(pool=BY_TLS, firmware=(version,), settings=settings))

        given = device.overrides["stratumtls"], device.overrides["stratumcert"]
        assert given == (2, "PEM")


def test_the_built_in_pool_is_reached_by_tls_where_that_is_wished() -> None:
    plain: Rows = {"stratumurl": "a", "stratumport": 1, "fbstratumurl": "a"}
    by_tls: Rows = {"stratumport": 3, "stratumcert": "PEM", "fbstratumcert": "PEM"}

    def presets(group: Group) -> dict[str, Any]:
        (device,) = member_options(group, pool_rows=plain, tls_rows=by_tls)
        return dict(device.presets)

    wish = Group(settings={"stratumtls": 2}, firmware=("2.14.2",))
    assert wants_own_tls(wish)
    own = {"stratumport": 3, "stratumtls": 2, "stratumcert": "PEM"}
    assert presets(wish) == {**plain, **own}
    assert presets(replace(wish, firmware=("2.12.2",))) == plain
    assert not wants_own_tls(Group())
    assert not wants_own_tls(replace(wish, pool="b"))


def test_a_group_may_speak_stratum_v2() -> None:
    key = "9ae1uY3ChjejaQoGooB5DA762XQ2yncAKLYEjqqNrPxXMUyX3KA"
    group = Group(pool=f"stratum2+tcp://pool.example:34254/{key}", firmware=("2.14.2",))

    (device,) = made(group)

    assert device.overrides == {
        "stratumurl": "pool.example",
        "stratumport": 34254,
        "stratumprot": "SV2",
        "sv2authpubkey": key,
    }
    with pytest.raises(SettingError, match=r"asks for Stratum v2, .* not in v2\.13\.2"):
        made(replace(group, firmware=("2.13.2",)))


def test_the_built_in_pool_speaks_stratum_v2_where_that_is_wished() -> None:
    plain: Rows = {"stratumurl": "a", "stratumport": 1, "fbstratumport": 2}
    by_v2: Rows = {"stratumport": 5, "fbstratumport": 6, "sv2authpubkey": "k"}

    def presets(group: Group) -> dict[str, Any]:
        (device,) = member_options(group, pool_rows=plain, v2_rows=by_v2)
        return dict(device.presets)

    wish = Group(settings={"stratumProtocol": "SV2"}, firmware=("2.14.2",))
    assert wants_own_v2(wish)
    own = {"stratumport": 5, "sv2authpubkey": "k", "stratumprot": "SV2"}
    assert presets(wish) == {**plain, **own}
    assert not wants_own_v2(Group())
    assert not wants_own_v2(replace(wish, pool="b"))


def settled(version: str, **table: Any) -> Settings:
    """What a device of a group begins with."""
    group = read_group({"firmware": version, **table})
    (options,) = member_options(group, pool_rows=POOL_ROWS)
    stored = overridden(options.defaults, options.overrides)
    presets = {**options.presets, **options.overrides}
    of = firmware(version)
    return Settings.from_nvs(stored, options.board, of, presets=presets)


@each("version", ["2.8.1", "2.10.1", "2.12.2", "2.14.2", "2.15.0"])
def test_on_every_firmware_the_built_in_pool_is_found_or_one_s_own(
    version: str,
) -> None:
    built_in = settled(version, settings={"frequency": 490}, first_boot=True)
    own = settled(version, pool="pool.example:4444", user="me.{n}")

    assert (built_in.stratum_url, built_in.stratum_port) == ("127.0.0.1", 3333)
    assert built_in.frequency_mhz == 490
    assert (own.stratum_url, own.stratum_port) == ("pool.example", 4444)
    assert (own.stratum_user, own.fallback_stratum_url) == ("me.1", "")


def test_settings_have_the_names_of_any_firmware() -> None:
    pools = [{"id": 2, "stratumURL": "a", "stratumPort": 1, "stratumUser": "u.{n}"}]

    new = settled("2.15.0", settings={"pools": pools, "stratumSuggestedDifficulty": 8})
    old = settled("2.9.0", settings={"fanspeed": 30, "useCustomWWW": 1})

    assert new.pools[2].user == "u.1"
    assert (new.stratum_url, new.stratum_suggested_difficulty) == ("127.0.0.1", 8)
    assert old.fan_manual_percent == 30
    with pytest.raises(SettingError, match=r"pools\[0\].id: 9 is none of"):
        settled("2.15.0", settings={"pools": [{"id": 9}]})
    with pytest.raises(SettingError, match="colour is no setting of PATCH"):
        settled("2.9.0", settings={"colour": 1})


@each(
    ("table", "said"),
    [
        ({"share_rate": 20, "work": "real"}, "share_rate: a hash of real work is"),
        ({"share_rate": 100}, "100 is more than the 58.4 nonces a minute"),
        ({"share_rate": 20, "boards": ["102"]}, "20 is more than the 15.6 nonces"),
    ],
)
def test_shares_that_a_device_cannot_submit_are_refused(
    table: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingError, match=said):
        made(read_group(table))


def test_a_rate_of_shares_is_every_device_s_own() -> None:
    devices = made(read_group({"count": 2, "share_rate": 12.5}))

    assert [one.share_rate for one in devices] == [12.5, 12.5]
    assert made(Group())[0].share_rate is None
