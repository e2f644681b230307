"""Requests at the control port: a line with method and target, and a body."""

import asyncio
import json
from typing import Any

from softaxe.control.app import ControlApp, members_of
from softaxe.control.bodies import FaultChange
from softaxe.control.operations import OPERATIONS, Operation
from softaxe.description import read
from softaxe.effects import EFFECTS, Fault
from softaxe.faults import FaultRules, Whom
from softaxe.fleet.groups import Group, member_options, one_of_each, read_group
from softaxe.serve.request import Body, Request

FAULT = {"id": "f", "effect": "latency", "every_s": 60, "duration_s": 5}
CORPUS = [
    b"POST /control/devices\n"
    b'{"name": "a", "count": 4, "board": ["601", "gamma"], "firmware": "2.14.2", '
    b'"pool": "stratum+tcp://pool.example:3333", "settings": {"frequency": 490, '
    b'"hostname": "miner-{n}"}, "spread": {"ambient": 2.5}, "share_rate": 6}',
    b'POST /control/devices/orders\n{"order": "restart", "devices": ["601-1", "a-*"]}',
    b'PATCH /control/pool/miners/a%2Fb\n{"difficulty": 1e-9}',
    *(
        f'POST /control/pool/miners/m/deeds\n{{"deed": "{deed}"}}'.encode()
        for deed in ("reconnect", "flood", "close_channels", "replay_message")
    ),
    *(
        b"POST /control/faults?dry_run=true\n" + json.dumps({"effect": name}).encode()
        for name in list(EFFECTS)[::5]
    ),
    b'PATCH /control/faults/f?dry_run=false\n{"paused": true, "ms": 1, "every_s": 9}',
    b'PATCH /control/clock\n{"speed": 10.5, "paused": null}',
    b'POST /control/clock/advance\n{"until": 3600.5, "wait": false}',
    b'POST /control/snapshots\n{"name": "before"}',
    b"GET /control/devices?group=a&state=mining&offset=1&limit=2&fields=id,temp&since=0"
    b"\n",
    b"GET /control/journal?after=5&method=get&status=200&warned=true&limit=1\n",
    b"GET /control/devices/%ff/log?after=9007199254740993&limit=\xd9\xa3\n",
    b"GET /control/fleet\n",
    b'POST /control/snapshots\n{"\\name": "a"}',
    b'PATCH /control/clock\n{"speed": ' + b"[" * 900 + b"]" * 900 + b"}",
]
RUNS = 200


class Handlers:
    """Read what an operation takes, and do nothing."""

    def __getattr__(self, name: str) -> Any:
        (operation,) = (one for one in OPERATIONS if one.name == name)

        async def handle(request: Request) -> object:
            return _read(operation, await members_of(request))

        return handle


def _read(operation: Operation, members: dict[str, Any]) -> object:
    if operation.body is Group:
        group = read_group(members)
        list(member_options(one_of_each(group), pool_rows={}))
    elif operation.body is Fault or operation.body is FaultChange:
        rules = FaultRules(1)
        rule = rules.add(FAULT, 0.0)
        if operation.body is Fault:
            rule = rules.made(members, 0.0)
        else:
            rule = rules.changed(rule.id, members, 1.0)
        rule.is_for(Whom("601-0", "a"))
        return rule.to_json()
    elif operation.body is not None:
        read(operation.body, members)
    return {}


APP = ControlApp(Handlers())


def one_input(data: bytes) -> None:
    line, _, body = data.partition(b"\n")
    method, _, target = line.decode("latin-1").partition(" ")
    path, _, query = target.partition("?")
    sent = Body()
    sent.feed(body)
    sent.finish()
    request = Request(
        method,
        path,
        query,
        ((b"host", b"127.0.0.1:8100"),),
        client="127.0.0.1",
        body=sent,
    )
    answer = asyncio.run(APP(request))
    assert answer.status in {200, 201, 202, 400, 404, 405}
    if answer.status >= 400:
        (words,) = json.loads(answer.body).values()
        assert words
        assert "\n" not in words
