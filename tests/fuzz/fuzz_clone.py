"""Answers of other people's devices, to `softaxe clone` and `softaxe check`."""

import json
import math
import tomllib
from pathlib import Path

from softaxe.client.http import Reply
from softaxe.errors import SoftaxeError
from softaxe.fleet.groups import read_groups
from softaxe.recordings.check import check
from softaxe.recordings.clone import copy_of, fleet_file

SAMPLE = Path(__file__).parents[1] / "data" / "info-sample.json"
INFO = json.loads(SAMPLE.read_text(encoding="utf-8"))
CORPUS = [
    SAMPLE.read_bytes(),
    *(
        json.dumps({**INFO, name: bad}).encode()
        for name in ("hashRate", "temp", "frequency", "coreVoltage", "fanspeed")
        for bad in (math.inf, math.nan, 0, 10**400, -1, "x")
    ),
    *(
        json.dumps({**INFO, "hostname": bad}).encode()
        for bad in ("\ud800", "\U0001f600", "\x7f\x1b[2J")
    ),
    b'{"boardVersion":"601","hashRate":0,"hostname":"a","frequency":500}',
    b'{"labels":["hashrate","timestamp"],"statistics":[[1,2],[3]]}',
]
RUNS = 45


class Device:
    """Gives the same answer to every question."""

    url = "http://device"

    def __init__(self, body: bytes) -> None:
        self._reply = Reply(200, {"content-type": "application/json"}, body)

    def request(self, method: str, path: str, **more: object) -> Reply:
        """Answer."""
        return self._reply


def one_input(data: bytes) -> None:
    for finding in check(Device(data), may_change=True):  # type: ignore[arg-type]
        assert finding.is_fine in {True, False}
    try:
        info = Reply(200, {}, data).json()
        text = fleet_file(copy_of(info, specimens=1), "http://device")
    except SoftaxeError:
        return
    (group,) = read_groups(tomllib.loads(text), "copy")
    assert group.boards
