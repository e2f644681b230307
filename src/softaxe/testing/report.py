"""What the report of a failed test tells of its devices: faults, requests and log."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from softaxe.fleet.parts import merge
from softaxe.fleet.parts.whole import Whole
from softaxe.serve.journal import Entry

LAST_LINES = 30
LAST_REQUESTS = 20
MOST_FAULTS = 20
MOST_CHARACTERS = 200
"""In a line; a job of a pool has thousands."""
WITHIN_S = 2.0
"""Real seconds after which devices that stand still tell nothing."""
live: dict[int, Callable[[], str]] = {}
"""Lets a running fleet tell, by the fleet's Python id, in the order of their starts."""
ended: deque[str] = deque(maxlen=4)
"""What fleets told whose `with` a failing test left."""


async def tell(whole: Whole, pool_lines: list[str]) -> str:
    """Return what there is to tell of a fleet; without devices, of its pool."""
    ids = [device_id for found in await whole.ask("ids") for device_id in found]
    rules = merge.faults(await whole.ask("faults"))["faults"]
    active = [_fault(rule) for rule in rules if rule["active"]]
    entries = list(await whole.journal())
    last = entries[-LAST_REQUESTS:]
    asked = [one.device for one in last if one.device in ids]
    title, lines = "pool", pool_lines[-LAST_LINES:]
    if ids:
        shown = asked[-1] if asked else ids[0]
        title = shown
        log = await whole.ask_home(shown, "device_log", after=0, limit=LAST_LINES)
        lines = log["lines"]
    return "\n".join(
        [
            f"device time {whole.look().now:.1f} s, devices: {len(ids)}",
            *_part("active faults", active[:MOST_FAULTS], len(active)),
            *_part("last requests", [_request(one) for one in last], len(entries)),
            *_part(f"end of the log of {title}", lines, len(lines)),
        ]
    )


def _part(title: str, lines: list[str], count: int) -> list[str]:
    if not lines:
        return [f"{title}: none"]
    more = f" ({len(lines)} of {count})" if count > len(lines) else ""
    return [f"{title}{more}:", *(f"  {_short(line)}" for line in lines)]


def _short(line: str) -> str:
    return line if len(line) <= MOST_CHARACTERS else line[:MOST_CHARACTERS] + "..."


def _fault(rule: Mapping[str, Any]) -> str:
    return f"{rule['id']}: {rule['effect']} on {', '.join(rule['devices']) or 'nobody'}"


def _request(entry: Entry) -> str:
    query = f"?{entry.query}" if entry.query else ""
    status = str(entry.status) if entry.status else "no answer"
    fault = "" if entry.fault is None else f" (fault {entry.fault})"
    text = f"{entry.now:.1f} s {entry.device} {status}{fault}"
    body = entry.body.decode(errors="backslashreplace")
    return f"{text}: {entry.method} {entry.path}{query} {body}".rstrip()
