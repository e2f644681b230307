from datetime import date
from typing import Any

import pytest
from tests.each import each

from softaxe.errors import SettingError
from softaxe.scenario import Expectation, read_scenario


def expect(**members: Any) -> Expectation:
    data = {"step": [{"expect": members}]}
    found = read_scenario(data, "x").steps[0].expect
    assert found is not None
    return found


def test_steps_come_in_the_order_of_their_time() -> None:
    scenario = read_scenario(
        {
            "description": "d",
            "step": [
                {"at": "2m", "restart": True},
                {"at": "1m30s", "clear": "all"},
                {"at": "2m", "settings": {"frequency": 490}, "device": "601-*"},
            ],
        },
        "x",
    )

    assert [step.at_s for step in scenario.steps] == [90, 120, 120]
    assert [step.is_restart for step in scenario.steps] == [False, True, False]
    assert scenario.steps[2].meets("601-1")
    assert not scenario.steps[2].meets("302-1")


DAY = date(2020, 1, 1)
INFOS: dict[str, dict[str, Any] | None] = {
    "601-1": {"temp": 60, "a": {"b": [1, 2]}, "s": "pool x"},
    "601-2": {"temp": 70},
}


@each(
    ("members", "is_met"),
    [
        ({"field": "temp", "above": 50}, True),
        ({"field": "temp", "above": 65}, False),
        ({"field": "temp", "above": 65, "device": "any"}, True),
        ({"field": "temp", "above": 65, "device": "601-2"}, True),
        ({"field": "temp", "below": 80}, True),
        ({"field": "temp", "equals": 60, "device": "601-1"}, True),
        ({"field": "temp", "is_not": 60, "device": "601-1"}, False),
        ({"field": "a.b.1", "equals": 2, "device": "601-1"}, True),
        ({"field": "a.c", "is_not": 2, "device": "601-1"}, False),
        ({"field": "s", "contains": "pool", "device": "601-1"}, True),
        ({"field": "s", "above": 1, "device": "601-1"}, False),
        ({"field": "temp", "above": 0, "device": "none-*"}, False),
        ({"field": "answers", "equals": True}, True),
        ({"field": "s", "unchanged": True, "for": "1s", "device": "601-1"}, True),
        ({"field": "temp", "unchanged": True, "for": "1s", "device": "601-1"}, True),
        ({"field": "temp", "unchanged": True, "for": "1s"}, False),
        ({"field": "a.c", "unchanged": True, "for": "1s", "device": "any"}, False),
    ],
)
def test_answers_are_judged(members: dict[str, Any], is_met: bool) -> None:
    before = {**INFOS, "601-2": {"temp": 69}}
    assert expect(**members).holds(INFOS, before) is is_met


def test_a_device_that_does_not_answer_has_no_field() -> None:
    silent: dict[str, Any] = {"601-1": None}

    assert not expect(field="temp", is_not=5).holds(silent, silent)
    assert expect(field="answers", equals=False).holds(silent, silent)
    assert expect(field="answers", is_not=True).holds(silent, silent)
    assert not expect(field="answers", is_not=True).holds(INFOS, INFOS)


@each(
    ("data", "complaint"),
    [
        ({}, "has no [[step]]"),
        ({"step": [{}]}, "step 1: has not one of fault, clear"),
        ({"step": [{"restart": True, "clear": "x"}]}, "has not one of"),
        ({"step": [{"restart": 1}]}, "restart: 1 is not true"),
        ({"step": [{"at": "soon", "restart": True}]}, "step 1: at: 'soon'"),
        ({"step": [{"when": "1s", "restart": True}]}, "when is none of at, device"),
        ({"step": [{"update": "v" * 40}]}, "step 1: update: "),
        ({"step": [{"update": "\u00e4" * 20}]}, "has not 1..31 bytes"),
        ({"step": [{"fault": {"effect": "x"}}]}, "fault: effect: 'x' is none of"),
        ({"step": [{"expect": {"field": "a"}}]}, "expect: has not one of equals"),
        ({"step": [{"expect": {"equals": 1}}]}, "field: '' is no text"),
        ({"step": [{"expect": {"field": "a", "above": "x"}}]}, "'x' is no number"),
        ({"step": [{"request": {"path": "x"}}]}, "does not begin with a slash"),
        (
            {"step": [{"request": {"path": "/", "status": 900}}]},
            "900 is no whole number of 0..599",
        ),
        ({"step": [{"request": {"path": "/", "method": "GO"}}]}, "'GO' is none of"),
        ({"step": [{"expect": {"field": "a", "unchanged": True}}]}, "for = TIME"),
        (
            {"step": [{"expect": {"field": "a", "unchanged": False, "for": "1s"}}]},
            "for = TIME",
        ),
        ({"step": [{"change": {"paused": True}}]}, "step 1: change: id: says which"),
        ({"steps": []}, "steps is none of"),
        ({"group": [1], "step": [{"restart": True}]}, "x: group 1: 1 is no table"),
        ({"step": [{"settings": {"hostname": DAY}}]}, "settings: {'hostname': date"),
        ({"step": [{"request": {"path": "/", "json": DAY}}]}, "request: json: date"),
        ({"step": [{"expect": {"field": "a", "equals": DAY}}]}, "equals: datetime"),
        ({"step": [{"restart": True, "within": "1s"}]}, "within: goes with command"),
        ({"step": [{"command": [""]}]}, "command: '' is no text"),
        ({"step": [{"command": "ls"}]}, "command: 'ls' is no list"),
        ({"step": [{"requested": {"exactly": "x"}}]}, "requested: exactly: 'x'"),
        ({"seed": -1, "step": [{"restart": True}]}, "seed: -1"),
    ],
)
def test_what_is_not_allowed_is_told_with_its_place(
    data: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SettingError) as caught:
        read_scenario(data, "x")

    assert complaint in str(caught.value)
    assert str(caught.value).startswith("x: ")
