"""Answers bent on order: the order before a NUL, the answer behind it."""

import json
from pathlib import Path

from softaxe.bending import MOST_BENT_BYTES, Changes, KnownBreak, bent_json, changes_of
from softaxe.errors import SettingError
from softaxe.faults import FaultRules

SAMPLE = Path(__file__).parents[1] / "data" / "info-sample.json"
INFO = SAMPLE.read_bytes()
SMALL = b'{"a": {"b": [1, 2.5, {"c": "4.29G"}], "d": null}, "e": true, "f": "1e400"}'
HUGE = b'{"a": 1' + b"0" * 400 + b', "b": "' + b"9" * 400 + b'G", "c": -1e400}'
LIST = json.dumps(["x" * 1500] * 3).encode()
CORPUS = [
    *(json.dumps({"known": one}).encode() + b"\0" + INFO for one in KnownBreak),
    b'{"set": {"a": {"x": 1}, "a.x": [1, [2]], "a.x.1.0": 3}, "null": "a.x.0"}\0'
    + SMALL,
    b'{"set": {"*": '
    + LIST
    + b', "*.*": '
    + LIST
    + b', "*.*.*": '
    + LIST
    + b"}}\0"
    + INFO,
    b'{"remove": ["a.b.*", "[!a]", "*.?"], "null": ["a.*", "e"]}\0' + SMALL,
    *(
        json.dumps({"convert": {"*": kind, "*.*": kind, "a.b.2.c": kind}}).encode()
        + b"\0"
        + answer
        for kind in ("text", "number", "whole", "fraction", "boolean", "difficulty")
        for answer in (SMALL, HUGE)
    ),
    b'{"set": {"data": 1, "temp": "x"}, "only_status": 200}\0'
    b'{"event": "update", "data": {"temp": 5}}',
    b'{"set": {"a": 1}}\0' + b"[" * 900 + b"]" * 900,
]
RUNS = 150


def one_input(data: bytes) -> None:
    order, _, answer = data.partition(b"\0")
    try:
        members = json.loads(order)
        text = answer.decode()
    except (ValueError, RecursionError):
        return
    if not isinstance(members, dict):
        return
    rules = FaultRules(7)
    try:
        rule = rules.add({**members, "effect": "bend"}, 0.0)
    except SettingError:
        return
    ordered = json.dumps(rule.to_json())
    found = bent_json(text, changes_of(rule.values))
    assert bent_json(text, Changes()) == text
    assert len(found) <= max(len(text), MOST_BENT_BYTES)
    if found != text:
        json.loads(found)
    # What one answer has become says nothing of the next one.
    assert bent_json(text, changes_of(rule.values)) == found
    assert json.dumps(rule.to_json()) == ordered
