import json
from typing import Any

import pytest
from tests.each import each

from softaxe import cjson
from softaxe.api import views
from softaxe.bending import (
    KNOWN,
    Changes,
    Conversion,
    KnownBreak,
    bent_json,
    changes_of,
)
from softaxe.description import read
from softaxe.device.device import Device
from softaxe.effects import Fault, parameters
from softaxe.errors import SettingError

INFO = (
    '{\n\t"power":\t16.355896,\n\t"bestDiff":\t4294967296,\n\t"temp":\t60,\n'
    '\t"overheat_mode":\t0,\n\t"asics":\t[{\n\t\t\t"total":\t485.29998779296875\n\t\t}]\n}'
)


def changes(**members: Any) -> Changes:
    order = read(Fault, {"effect": "bend", **members})
    return changes_of(
        {one.name: getattr(order, one.field) for one in parameters(type(order))}
    )


def bend(text: str = INFO, **members: Any) -> Any:
    return json.loads(bent_json(text, changes(**members)))


def test_members_get_other_values_and_more_of_them() -> None:
    found = bend(set={"bestDiff": "4.29G", "new.one": 1, "asics.0.count": [None]})

    assert found["bestDiff"] == "4.29G"
    assert found["asics"] == [{"total": 485.29998779296875, "count": [None]}]
    assert "new" not in found


def test_members_become_null_or_are_left_out() -> None:
    found = bend(null=["temp", "asics.*.total"], remove="p*")

    assert found["temp"] is None
    assert found["asics"] == [{"total": None}]
    assert list(found) == ["bestDiff", "temp", "overheat_mode", "asics"]
    assert bend("[1,2,3]", remove=["0", "1"]) == [3]


@each(
    ("conversion", "value", "becomes"),
    [
        ("text", 16.5, "16.5"),
        ("text", True, "true"),
        ("text", [1], [1]),
        ("number", f"{'9' * 300}E", f"{'9' * 300}E"),
        ("fraction", 10**400, 10**400),
        ("difficulty", 10**400, 10**400),
        ("number", "4.29G", 4290000000),
        ("number", "12.5", 12.5),
        ("number", "12 apples", "12 apples"),
        ("whole", 48.9, 48),
        ("whole", "48.9", "48.9"),
        ("fraction", 60, 60.5),
        ("fraction", 60.25, 60.25),
        ("boolean", 0, False),
        ("boolean", "0", "0"),
        ("flag", True, 1),
        ("difficulty", 4294967296, "4.29G"),
        ("difficulty", None, None),
    ],
)
def test_values_become_others_of_their_kind(
    conversion: str, value: object, becomes: object
) -> None:
    found = bend(json.dumps({"a": value}), convert={"a": conversion})

    assert found == {"a": becomes}
    assert type(found["a"]) is type(becomes)


def test_what_is_not_bent_stays_to_the_byte() -> None:
    device = Device(board="601", seed=5)
    for body in (views.info_body(device), INFO.encode(), b'{"status":"ok"}'):
        text = body.decode()
        more = bent_json(text, changes(set={"zzz": 1}))

        assert bent_json(more, changes(remove="zzz")) == text
    for other in ("", "<html>", "{ no JSON", "[" * 5000, '{"a":1}'):
        assert bent_json(other, changes(null="b")) == other


def test_a_message_of_the_live_stream_is_bent_in_its_data() -> None:
    text = '{"event":"update","data":{"temp":60}}'

    assert bent_json(text, changes(null="temp")) == text.replace("60", "null")


@each("name", KnownBreak)
def test_a_known_break_says_what_it_changes(name: KnownBreak) -> None:
    row = KNOWN[name]

    assert row.changes != Changes()
    assert row.help.endswith(".")
    order = read(Fault, {"effect": "bend", "known": str(name)})
    assert (order.route, order.method) == (row.route, row.method)
    assert changes(known=str(name)) == row.changes


def test_members_of_a_rule_come_on_top_of_a_known_break() -> None:
    order = {"known": "text restart", "route": "/api/*", "body": "x", "null": "a"}

    found = changes(**order)

    assert (found.body, found.null, found.only_status) == ("x", ("a",), 200)
    assert read(Fault, {"effect": "bend", **order}).route == "/api/*"


@each(
    ("members", "complaint"),
    [
        ({}, "known: bend needs at least one of it, set"),
        ({"set": [1]}, "set: [1] is no table"),
        ({"set": {"a..b": 1}}, "set: 'a..b' is no path such as bestDiff"),
        ({"set": {"a": 1j}}, "set: {'a': 1j} is not all JSON"),
        ({"set": {"a": "x" * 20_000}}, "bytes of JSON are more than 16384"),
        ({"null": ["a"] * 101}, "null: 101 paths are more than 100"),
        ({"remove": 7}, "remove: 7 is no path"),
        ({"convert": {"a": "int"}}, "convert: a: 'int' is none of text, number"),
        ({"headers": {"a b": "c"}}, "headers: 'a b' is no name of a header"),
        ({"headers": {"a": "b\r\nc"}}, "headers: a: 'b\\r\\nc' is no ASCII text"),
        ({"headers": {"Content-Length": "1"}}, "Content-Length: the device makes"),
        ({"body": "\ud800"}, "body: '\\ud800' has half a character"),
        ({"body": "x" * 20_000}, "is no text of 0 to 16384 characters"),
        ({"status": 100}, "status: 100 is no whole number of 200..599"),
        ({"known": "all"}, "known: 'all' is none of text difficulties"),
        ({"null": "a", "count": 0}, "count: 0 is no whole number of 1.."),
    ],
)
def test_what_is_not_allowed_is_told_by_name(
    members: dict[str, object], complaint: str
) -> None:
    with pytest.raises(SettingError) as caught:
        changes(**members)

    assert complaint in str(caught.value)


def test_numbers_of_any_size_are_bent() -> None:
    text = '{"a":1e999,"b":1e300}'

    for one in Conversion:
        bend(text, convert={"*": one})
    assert cjson.document(bend(text, convert={"b": "whole"})["b"]) == "1e+300"


def test_what_is_set_stays_as_it_was_ordered_whatever_becomes_of_it_there() -> None:
    ordered = changes(set={"new": {"x": 1}, "new.x": 2}, remove="new.y")

    for _ in range(2):
        assert json.loads(bent_json("{}", ordered)) == {"new": {"x": 2}}
    assert ordered.set["new"] == {"x": 1}


def test_an_answer_that_would_be_too_long_or_is_too_deep_stays() -> None:
    many = ["x" * 1000] * 4
    order = {"*": many, "*.*": many, "*.*.*": many, "*.*.*.*": many}

    assert bent_json(INFO, changes(set=order)) == INFO
    deep = "[" * 5000 + "]" * 5000
    assert bent_json(deep, changes(set={"a": 1})) == deep
    with pytest.raises(SettingError, match="set: a: is nested more than 20 deep"):
        changes(set={"a": json.loads("[" * 21 + "]" * 21)})
