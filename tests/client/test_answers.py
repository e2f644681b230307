from typing import Any

import pytest
from tests.each import each

from softaxe.client.answers import (
    Statistics,
    changes,
    difficulty_of,
    flat_names,
    pools_of,
    read_answer,
)
from softaxe.client.info import Info
from softaxe.errors import BadResponse
from softaxe.units import with_suffix


@each("gap", ["", " "])
@each("value", [0, 12, 1230, 155_970_000, 4_290_000_000_000])
def test_difficulties_of_old_versions_are_numbers(value: int, gap: str) -> None:
    told = {"bestDiff": with_suffix(value, gap)}

    assert read_answer(Info, told).bestDiff == pytest.approx(value, rel=1e-12)


@each("text", ["", "G", "1.5X", "nan", "inf", "1e999"])
def test_what_is_no_difficulty_is_complained_about(text: str) -> None:
    assert difficulty_of(text) == text
    with pytest.raises(BadResponse, match=r"no Info: .*\$\.bestDiff"):
        read_answer(Info, {"bestDiff": text})


def test_flags_of_old_versions_are_flags() -> None:
    info = read_answer(Info, {"autofanspeed": 2, "overheat_mode": 0, "fanrpm": 1})

    assert (info.autofanspeed, info.overheat_mode, info.fanrpm) == (True, False, 1)


def test_what_is_unknown_or_missing_does_no_harm() -> None:
    info = read_answer(Info, {"lottery": [1], "temp": None})

    assert (info.temp, info.power) == (None, None)


@each(
    "answer", [None, [], "text", {"pools": [{"id": None}]}, {"\ud800": 1, "pools": 5}]
)
def test_another_shape_is_no_answer(answer: Any) -> None:
    with pytest.raises(BadResponse, match="the answer is no Info"):
        read_answer(Info, answer)


def test_statistics_have_rows_by_label() -> None:
    answer = {"currentTimestamp": 9, "labels": ["a", "b"], "statistics": [[1, None]]}

    assert read_answer(Statistics, answer).rows == [{"a": 1, "b": None}]


def test_before_slots_there_are_two_pools() -> None:
    told = {"stratumURL": "a", "fallbackStratumURL": "b", "fallbackStratumPort": 3}
    first, second = pools_of(read_answer(Info, told))

    assert (first.id, first.stratumURL, first.stratumPort) == (0, "a", None)
    assert (second.id, second.stratumURL, second.stratumPort) == (1, "b", 3)
    assert flat_names(1)["stratumUser"] == "fallbackStratumUser"


def test_changes_are_kept_lost_or_not_to_be_seen() -> None:
    info = Info(frequency=512.4000244, hostname="old", coreVoltage=1100)
    sent = {"frequency": 512.4, "hostname": "new", "coreVoltage": 1150, "wifiPass": "x"}
    found = changes(sent, info, late=["hostname"])

    assert [one.is_kept for one in found] == [True, None, False, None]


def test_a_number_of_any_size_is_compared() -> None:
    (found,) = changes({"fanspeed": 10**400}, Info(fanspeed=50.0), late=[])

    assert found.is_kept is False
