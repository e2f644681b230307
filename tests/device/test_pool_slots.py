import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.each import each

from softaxe.device.pool_slots import (
    COMPILED,
    HIDDEN,
    NAMES,
    SLOTS,
    PoolSlot,
    check_pool,
    check_pools,
    empty,
    from_text,
    to_text,
    with_members,
)
from softaxe.errors import SettingError
from softaxe.json_values import JsonValue

LEAST: dict[str, JsonValue] = {
    "stratumURL": "a",
    "stratumPort": 3333,
    "stratumUser": "u",
}
POOLS = tuple(map(empty, range(SLOTS)))
PRESETS = {"stratumurl": "127.0.0.1", "stratumport": 4000, "fbstratumurl": ""}


def test_a_slot_is_stored_as_compact_json_in_the_firmware_s_order() -> None:
    text = to_text(2, check_pool(LEAST, empty(2)), {})

    assert text == (
        '{"stratumProtocol":"SV1","stratumURL":"a","stratumPort":3333,'
        '"stratumUser":"u","stratumPassword":"x","stratumSuggestedDifficulty":0,'
        '"stratumExtranonceSubscribe":false,"stratumTLS":0,"stratumCert":"",'
        '"stratumDecodeCoinbase":true,"stratumV2ChannelType":"extended",'
        '"stratumV2AuthorityPubkey":"","stratumV2RequireAuth":false}'
    )


slots = st.builds(
    PoolSlot,
    url=st.text(max_size=20),
    port=st.integers(1, 65535),
    password=st.text(max_size=5),
    decode_coinbase=st.booleans(),
    suggested_difficulty=st.integers(0, 10**18),
)


@given(st.integers(0, 7), slots)
def test_what_is_stored_is_read_again(number: int, slot: PoolSlot) -> None:
    assert from_text(number, to_text(number, slot, PRESETS), PRESETS) == slot


@each("text", [None, "", "{", "[1]", 5, '{"stratumPort":"x"}'])
def test_a_slot_that_cannot_be_read_is_empty(text: object) -> None:
    assert from_text(0, text, {}) == COMPILED
    assert from_text(3, text, {}) == PoolSlot()


def test_a_slot_that_leads_to_this_run_s_own_pool_follows_it() -> None:
    text = to_text(0, PoolSlot(url="127.0.0.1", port=4000, user="me"), PRESETS)

    later = from_text(0, text, {"stratumurl": "127.0.0.1", "stratumport": 5000})

    assert (later.url, later.port, later.user) == ("127.0.0.1", 5000, "me")


def test_it_is_reached_as_the_run_says_unless_it_says_so_itself() -> None:
    by_tls = {**PRESETS, "stratumtls": 2, "stratumcert": "PEM"}
    slot = PoolSlot(url="127.0.0.1", port=4000, tls=2, cert="PEM")
    text = to_text(0, slot, by_tls)

    assert from_text(0, text, by_tls) == slot
    plain = from_text(0, text, PRESETS)
    assert (plain.tls, plain.cert) == (0, "")
    own = PoolSlot(url="127.0.0.1", port=4000, tls=0, cert="mine")
    assert from_text(0, to_text(0, own, by_tls), by_tls) == own


def test_a_stored_slot_can_be_led_elsewhere() -> None:
    text = to_text(0, PoolSlot(url="127.0.0.1", port=4000, user="me"), PRESETS)

    led = from_text(0, with_members(text, {"url": "b", "port": 1}), PRESETS)

    assert (led.url, led.port, led.user) == ("b", 1, "me")
    assert with_members("", {"url": "b"}) == ""


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"stratumURL": ""}, "stratumURL: 0 bytes is outside 1..255"),
    ({"stratumURL": 5}, "stratumURL: 5 is no string"),
    ({"stratumPort": "3333"}, "stratumPort: '3333' is no number"),
    ({"stratumPort": 0}, "stratumPort: 0 is outside 1..65535"),
    ({"stratumUser": "u" * 256}, "stratumUser: 256 bytes"),
    ({"stratumProtocol": "sv2"}, "stratumProtocol: 'sv2' is none of SV1, SV2"),
    ({"stratumPassword": 5}, "stratumPassword: a value is no string"),
    ({"stratumSuggestedDifficulty": 1.1e18}, "is outside 0..1e"),
    ({"stratumExtranonceSubscribe": "1"}, "'1' is no boolean"),
    ({"stratumTLS": 3}, "stratumTLS: 3 is outside 0..2"),
    ({"stratumCert": "x" * 3001}, "stratumCert: 3001 bytes is outside 0..3000"),
    ({"stratumV2ChannelType": "Standard"}, "none of extended, standard"),
    ({"stratumV2AuthorityPubkey": "x" * 129}, "129 bytes is outside 0..128"),
    ({"stratumURL": 5, "stratumPort": 0}, "stratumURL"),
    ({"stratumProtocol": "x", "stratumUser": 1}, "stratumUser"),
]


@each(("members", "words"), REFUSED)
def test_the_first_fault_is_named(members: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match="^pool.*" + words.replace(".", "[.]")):
        check_pool(LEAST | members, empty(2))


@each("missing", LEAST)
def test_url_port_and_user_are_needed(missing: str) -> None:
    members = {name: value for name, value in LEAST.items() if name != missing}

    with pytest.raises(SettingError, match=f"{missing}: it is missing"):
        check_pool(members, empty(0))


def test_numbers_may_be_flags_and_names_have_no_case() -> None:
    given: dict[str, JsonValue] = {"STRATUMTLS": 2.9, "stratumdecodecoinbase": 0}

    slot = check_pool({**LEAST, **given} | {"stratumTLS": 0}, empty(0))

    assert (slot.tls, slot.decode_coinbase) == (2, False), "the first of equals counts"


def test_what_is_left_out_is_reset_but_a_hidden_password_stays() -> None:
    stored = PoolSlot(url="old", password="mine", tls=1, cert="c")

    slot = check_pool({**LEAST, "stratumPassword": HIDDEN}, stored)

    assert slot == PoolSlot(url="a", user="u", password="mine")
    assert check_pool(LEAST, stored).password == "x"


def test_a_patch_replaces_what_it_lists() -> None:
    changed = check_pools([{"id": 2, **LEAST}], POOLS)

    assert changed[2].url == "a"
    assert (*changed[:2], *changed[3:]) == (*POOLS[:2], *POOLS[3:])
    assert check_pools([], POOLS) == POOLS


@each(
    ("pools", "words"),
    [
        ({}, "pools: an object is no array"),
        ([5], r"pools\[0\]: 5 is no object"),
        ('[{"stratumPassword": "x"}]', "pools: a text is no array"),
        (["stratumPassword=x"], r"pools\[0\]: a text is no object"),
        ([{"id": 8, **LEAST}], r"pools\[0\].id: 8 is none of 0..7"),
        ([{"id": "1", **LEAST}], "id: '1' is none of"),
        ([{"id": True, **LEAST}], "id: true is none of"),
        ([{"id": 1, **LEAST}, LEAST], r"pools\[1\].id: nothing is none of 0..7"),
        ([{"id": 9, "stratumURL": 5}], "id: 9"),
        ([{"id": 0}], r"pools\[0\].stratumURL: it is missing"),
    ],
)
def test_one_bad_element_spoils_the_whole(pools: JsonValue, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        check_pools(pools, POOLS)


@each(("sent", "used"), [(1000, 1000), (65536, 0), (100000, 34464), (1e18, 65535)])
def test_sixteen_bits_of_the_suggested_difficulty_count(sent: float, used: int) -> None:
    slot = check_pool({**LEAST, "stratumSuggestedDifficulty": sent}, empty(0))

    assert slot.used_difficulty == used
    assert slot.told()["stratumSuggestedDifficulty"] == used


def test_info_tells_every_member_but_no_password() -> None:
    told = PoolSlot(url="a", password="mine").told()

    assert list(told) == list(NAMES.values())
    assert "mine" not in json.dumps(told)
