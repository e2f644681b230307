"""Requests that are expected, and those that clients made: all in one JSON list."""

import json
from dataclasses import dataclass

from softaxe.description import read
from softaxe.errors import SettingError
from softaxe.expected import Requested, Tally

IDS = ("601-1", "601-2")


@dataclass(frozen=True, slots=True)
class Entry:
    """A request, as far as it is looked at."""

    seq: int
    now: float
    device: str
    method: str
    path: str
    status: int
    body: bytes


CORPUS = [
    b'{"method": "PATCH", "path": "/api/system*", "body": {"frequency": {"below": 500}'
    b', "pools.0.stratumURL": {"contains": "x"}}, "within": "5m", "at_least": 2}\0'
    b'PATCH\0/api/system\0{"frequency": 490, "pools": [{"stratumURL": "axx"}]}\0200',
    b'{"device": "any", "exactly": 0, "status": 0, "path": "/[!a]*?"}\0'
    b"GET\0/\0\0" + b"0",
    b'{"device": "601-*", "at_most": 3, "after": {"method": "POST", "path": "*restart"}'
    b', "body": {"a.b.1": {"is_not": null}, "a": [1, "\\ud800", 1e5]}}\0'
    b'POST\0/api/system/restart\0[{"a": {"b": [0, 1]}}]\0200\0'
    b'PATCH\0/api/system\0{"a": 1' + b"0" * 400 + b"}\0" + b"400",
    b'{"body": {"a.\xc2\xb2": 1, "a.01": {"above": 1.5}, "a.' + b"9" * 5000 + b'": 2}}'
    b'\0PATCH\0/\0{"a": [1, [2, 3]]}\0' + b"200",
    b'{"body": {"a": {"contains": "x"}}}\0PATCH\0/\0{"a": '
    + (b"[" * 900 + b"]" * 900)
    + b"}\0",
]


def one_input(data: bytes) -> None:
    written, *said = data.split(b"\0")
    try:
        wanted: Requested = read(Requested, json.loads(written))
    except (SettingError, ValueError, RecursionError):
        return
    wanted.in_words()
    wanted.line()
    tally = Tally(wanted, since=0, since_s=10.0)
    for number, (method, path, body, status, *_) in enumerate(
        (said[at : at + 4] + [b""] * 4 for at in range(0, len(said), 4)), 1
    ):
        tally.see(
            Entry(
                number,
                10.0 + number,
                IDS[number % 2],
                method.decode("latin-1"),
                path.decode("latin-1"),
                int(status[:3]) if status[:3].isdigit() else 0,
                body,
            )
        )
        assert tally.verdict(10.0 + number, IDS) in {True, False, None}
    if wanted.within_s is not None:
        assert tally.verdict(1e9, IDS) is not None
    assert tally.verdict(1e9, ()) is False or wanted.device == "any"
    assert len(tally.found(IDS)) < 400
