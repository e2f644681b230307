"""Fault rules as the control API and files give them."""

import json

from softaxe.effects import EFFECTS
from softaxe.errors import SettingError
from softaxe.faults import FaultRules, Whom

CORPUS = [
    json.dumps({"effect": name, "share": 0.5, "probability": 0.5}).encode()
    for name in EFFECTS
] + [
    b'{"effect": "delay", "seconds": 2, "route": "/api/*", "method": "get"}',
    b'{"effect": "status", "status": 503, "id": "x", "duration_s": 60}',
    b'{"effect": "dead_chip", "device": "601-*", "group": "a", "start_s": 5}',
]


def one_input(data: bytes) -> None:
    try:
        members = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(members, dict):
        return
    rules = FaultRules(7)
    try:
        rule = rules.add(members, 0.0)
    except SettingError:
        return
    rule.to_json()
    for now in (0.0, 1e6):
        rules.next_change(now)
        met = rules.that_meet(Whom("601-0", "a"))
        met.names(now)
        met.device_faults(now)
        met.link_faults(now)
        met.pool_faults(now, scale=1 << 32)
        rules.http_fault(met, "GET", "/api/system/info", now, connection_count=1)
    rules.remove(rule.id)
