"""`softaxe check`: does something behave as the AxeOS API promises?

Runs against anything that speaks HTTP: a real Bitaxe, softaxe, a mock. It only reads,
and sends what nobody can take for a change. Nothing says that what must be refused is
refused, so values, even forbidden ones, are only sent with `may_change`; they are
harmless where they are taken, and what was there before is put back.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from softaxe.api.routes import routes_of
from softaxe.api.schema import (
    DIFFICULTIES,
    TIMESTAMP,
    Field,
    asic_fields,
    info_fields,
)
from softaxe.api.views import chosen_columns
from softaxe.catalog.firmware import Firmware, Kind, Route, is_known, nearest
from softaxe.client.axeos import AxeOS
from softaxe.client.http import Reply
from softaxe.device.profile import DOCUMENTED, Profile
from softaxe.device.setting_rules import rules
from softaxe.errors import BadResponse

CORS = {
    "full": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "theme": "GET, POST, OPTIONS",
}
"""Methods that an answer names, by the kind of its route."""
SHOWN_CHARS = 60
MOST_UNKNOWN = 50
"""Members that are told one by one."""
HASHRATE_TOLERANCE = 0.001
LARGEST = 1e9
"""No number of the API that is reckoned with here is more."""
CHANGED = "temptarget"
"""The setting that is changed: near its lowest value it costs a louder fan, no more."""
LOW_C = 35
"""A value of it that every version takes."""
Routes = dict[tuple[str, str], Route]
"""By method and path."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    expected: str
    got: str

    @property
    def is_fine(self) -> bool:
        """True when it is as expected."""
        return self.expected == self.got


def check(
    client: AxeOS, *, profile: Profile = DOCUMENTED, may_change: bool = False
) -> Iterator[Finding]:
    """Look at everything in turn.

    Args:
        client: Talks to what is checked.
        profile: Whose promises hold, over what its firmware version does.
        may_change: Also send what changes the device, and change it back.

    Raises:
        DeviceUnreachable, DeviceTimeout: It went away.
    """
    info = _ask(client, "GET", "/api/system/info")
    asic = _ask(client, "GET", "/api/system/asic")
    version = str(_object(info).get("version"))
    firmware = nearest(version)
    profile = profile.on(firmware)
    routes = {(one.method, one.path): one for one in routes_of(firmware, profile)}
    known = version if is_known(version) else f"a known one; judged as {firmware.tag}"
    yield Finding("firmware", known, _cut(version))
    yield from _check_info(info, _object(asic), firmware, profile)
    yield from _json_answer("asic", asic)
    fields = asic_fields(firmware)
    yield from _check_members("asic", _object(asic), fields, firmware, profile)
    yield from _check_statistics(client, firmware, profile)
    for where, member in _ANSWERS.items():
        route = routes.get(("GET", f"/api/{where}"))
        if route is not None:
            reply = _ask(client, "GET", route.path)
            name = where.removeprefix("system/")
            yield from _json_answer(name, reply, member, cors=route.cors)
    yield from _check_scoreboard(client, routes)
    yield from _check_logs(client, routes)
    yield from _check_unknown(client, firmware)
    yield from _check_preflight(client, routes)
    yield from _check_no_json(client)
    for path in ("/api/ws", "/api/ws/live"):
        if ("GET", path) in routes:
            yield from _check_websocket(client, path)
    if may_change:
        yield from _check_changes(client, firmware, profile, routes)


_ANSWERS = {
    "system/statistics/dashboard": "currentTimestamp",
    "system/wifi/scan": "networks",
    "theme": "colorScheme",
}
"""A member of each, by path; which there are is the version's."""


# JSON answers


def _check_info(
    reply: Reply, asic: dict[str, Any], firmware: Firmware, profile: Profile
) -> Iterator[Finding]:
    yield from _json_answer("info", reply)
    info = _object(reply)
    yield from _check_members("info", info, info_fields(firmware), firmware, profile)
    # The frequency that is reached is told by newer versions, on their way to another.
    mhz = _number(info, "actualFrequency") or _number(info, "frequency")
    told, cores = _number(info, "expectedHashrate"), _number(info, "smallCoreCount")
    count = _number(asic, "asicCount") or _number(info, "asicCount")
    if not (expected := mhz * cores * count / 1000):
        return  # told above
    if not told and "actualFrequency" in info:
        return  # it does not mine, as newer versions can be told
    is_near = abs(told / expected - 1) < HASHRATE_TOLERANCE
    got = "frequency x cores" if is_near else f"{told:g}"
    yield Finding("info: expectedHashrate", "frequency x cores", got)


def _number(answer: dict[str, Any], name: str) -> float:
    """Return a number; 0 when it is none, or more than any device has."""
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value < LARGEST else 0.0


def _check_members(
    where: str,
    answer: dict[str, Any],
    rows: tuple[Field, ...],
    firmware: Firmware,
    profile: Profile,
) -> Iterator[Finding]:
    for row in rows:
        if row.name in answer:
            value = answer[row.name]
            kind = _kind_name(row)
            is_kind = _is_kind(row, value, firmware) or (
                row.name in DIFFICULTIES
                and row.kind is Kind.INTEGER
                and profile.small_difficulties_told
                and 0 < _number(answer, row.name) < 1
            )
            got = kind if is_kind else _show(value)
            yield Finding(f"{where}: {row.name}", kind, got)
        elif not row.is_optional:
            yield Finding(f"{where}: {row.name}", _kind_name(row), "missing")
    known = {row.name for row in rows}
    unknown = [name for name in answer if name not in known]
    for name in unknown[:MOST_UNKNOWN]:
        yield Finding(f"{where}: {_cut(name)}", "not there", _show(answer[name]))
    if more := unknown[MOST_UNKNOWN:]:
        yield Finding(f"{where}: more members", "not there", str(len(more)))


def _kind_name(row: Field) -> str:
    named = {"sharesRejectedReasons": "reasons", "hashrateMonitor": "chips"}
    named |= {"pools": "pools", "partitions": "partitions"}
    return named.get(row.name) or _KIND_NAMES.get(row.kind, "number")


_KIND_NAMES = {
    Kind.STRING: "string",
    Kind.INTEGER: "integer",
    Kind.BOOLEAN01: "0 or 1",
    Kind.BOOLEAN: "false or true",
    Kind.INTEGERS: "integers",
    Kind.ARRAY: "array",
    Kind.OBJECT: "object",
}


_ELEMENTS = {
    "sharesRejectedReasons": {"message", "count"},
    "partitions": {"label", "isCurrent", "isFactory", "version", "usagePercent"},
    "pools": {"id", "stratumURL", "stratumPort", "stratumUser", "stratumPassword"},
}
"""What the elements of an array have, by its name."""


def _is_kind(row: Field, value: object, firmware: Firmware) -> bool:
    kind = row.kind
    if kind is Kind.STRING:
        return isinstance(value, str)
    if kind is Kind.BOOLEAN01:
        is_raw = firmware.rows.flags_are_raw  # whatever number is stored
        is_flag = _is_integer(value) if is_raw else value in (0, 1)
        return not isinstance(value, bool) and is_flag
    if kind is Kind.BOOLEAN:
        return isinstance(value, bool)
    if kind is Kind.INTEGERS:
        return isinstance(value, list) and all(_is_integer(each) for each in value)
    if row.name == "hashrateMonitor":
        chips = value.get("asics") if isinstance(value, dict) else None
        return _have(chips, {"total", "errorCount"})
    if kind is Kind.ARRAY:
        return _have(value, _ELEMENTS.get(row.name, set()))
    if kind is Kind.OBJECT:
        return isinstance(value, dict)
    if kind is Kind.INTEGER:
        return _is_integer(value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _have(values: object, names: set[str]) -> bool:
    """True for an array of objects with these members; without any, of anything."""
    return isinstance(values, list) and all(
        not names or (isinstance(each, dict) and names <= each.keys())
        for each in values
    )


def _is_integer(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _check_statistics(
    client: AxeOS, firmware: Firmware, profile: Profile
) -> Iterator[Finding]:
    reply = _ask(client, "GET", "/api/system/statistics")
    yield from _json_answer("statistics", reply, "statistics")
    known = [column.label for column in chosen_columns("", firmware, profile)]
    labels = _object(reply).get("labels")
    yield Finding("statistics: labels", _show([*known, TIMESTAMP]), _show(labels))
    query = f"columns={','.join(known[:2])}"
    some = [column.label for column in chosen_columns(query, firmware, profile)]
    answer = _object(_ask(client, "GET", f"/api/system/statistics?{query}"))
    labels, rows = answer.get("labels"), answer.get("statistics")
    yield Finding("statistics?columns", _show([*some, TIMESTAMP]), _show(labels))
    wanted = str(len(some) + 1)
    widths = {_width(row) for row in rows} if isinstance(rows, list) else {"no rows"}
    got = ", ".join(sorted(widths)) or wanted
    yield Finding("statistics: columns in a row", wanted, got)


def _width(row: object) -> str:
    return str(len(row)) if isinstance(row, list) else "no list"


def _json_answer(
    where: str,
    reply: Reply,
    member: str | None = None,
    *,
    status: int = 200,
    cors: str = "full",
) -> Iterator[Finding]:
    """Status, type, CORS and that it is an object, with a member."""
    yield from _answer(where, reply, "application/json", status=status)
    if cors in CORS:
        got = _header(reply, "access-control-allow-methods")
        yield Finding(f"{where}: CORS methods", CORS[cors], got)
        got = _header(reply, "access-control-allow-origin")
        yield Finding(f"{where}: CORS origin", "*", got)
    answer = _object(reply)
    if member is not None:
        got = member if member in answer else _show(list(answer))
        yield Finding(f"{where}: members", member, got)


def _answer(
    where: str, reply: Reply, kind: str, *, status: int = 200
) -> Iterator[Finding]:
    """Status and type."""
    yield Finding(f"{where}: status", str(status), str(reply.status))
    got = _header(reply, "content-type").partition(";")[0]
    yield Finding(f"{where}: content type", kind, got)


def _header(reply: Reply, name: str) -> str:
    return _cut(reply.headers.get(name, "none"))


def _object(reply: Reply) -> dict[str, Any]:
    """The answer's object; empty when it is none."""
    try:
        answer = reply.json()
    except BadResponse:
        return {}
    return answer if isinstance(answer, dict) else {}


# Other behaviour


def _check_scoreboard(client: AxeOS, routes: Routes) -> Iterator[Finding]:
    route = routes.get(("GET", "/api/system/scoreboard"))
    if route is None:
        return
    reply = _ask(client, "GET", route.path)
    yield from _answer("scoreboard", reply, "application/json")
    try:
        entries = reply.json()
    except BadResponse:
        entries = None
    kind = "array of nonces"
    is_kind = _have(entries, {"difficulty", "job_id", "ntime", "nonce"})
    yield Finding("scoreboard", kind, kind if is_kind else _show(entries))


def _check_logs(client: AxeOS, routes: Routes) -> Iterator[Finding]:
    route = routes.get(("GET", "/api/system/logs"))
    if route is not None:
        reply = _ask(client, "GET", route.path)
        yield from _answer("logs", reply, "text/plain")


def _check_unknown(client: AxeOS, firmware: Firmware) -> Iterator[Finding]:
    # Of what is there nothing but GET is asked: others may take a DELETE seriously.
    for method, path in (
        ("GET", "/api/nothing"),
        ("DELETE", "/api/nothing"),
        ("GET", "/api/system"),
    ):
        reply = _ask(client, method, path)
        where = f"{method} {path}"
        if firmware.has_route("ANY", "/api/*"):
            yield from _json_answer(where, reply, "error", status=404)
        else:  # it is looked for among the files
            status = "302" if method == "GET" else "405"
            yield Finding(f"{where}: status", status, str(reply.status))


def _check_preflight(client: AxeOS, routes: Routes) -> Iterator[Finding]:
    for path in ("/api/system", "/api/system/restart", "/api/system/identify"):
        if ("OPTIONS", path) not in routes and ("OPTIONS", "/api/*") not in routes:
            continue
        reply = _ask(client, "OPTIONS", path)
        yield Finding(f"OPTIONS {path}: status", "200", str(reply.status))
        got = _header(reply, "access-control-allow-methods")
        yield Finding(f"OPTIONS {path}: CORS methods", CORS["full"], got)


def _check_no_json(client: AxeOS) -> Iterator[Finding]:
    reply = _patch(client, b"{")
    yield Finding("PATCH no JSON: status", "400", str(reply.status))


def _check_websocket(client: AxeOS, path: str) -> Iterator[Finding]:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    reply = _ask(client, "GET", path, headers=upgrade)
    yield Finding(f"WebSocket {path}: status", "101", str(reply.status))
    accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # the key's, from RFC 6455 section 1.3
    got = _header(reply, "sec-websocket-accept")
    yield Finding(f"WebSocket {path}: accept", accept, got)


def _check_changes(
    client: AxeOS, firmware: Firmware, profile: Profile, routes: Routes
) -> Iterator[Finding]:
    identify = routes.get(("POST", "/api/system/identify"))
    for turn in ("on", "off") if identify is not None else ():
        reply = _ask(client, "POST", "/api/system/identify")
        yield Finding(f"identify {turn}: status", "200", str(reply.status))
    before = _changed(client)
    if before is None:  # there is nothing to put back
        yield Finding(f"{CHANGED}: read before it is changed", "a value", "none")
        return
    try:
        if firmware.rows.checks_patches:
            yield from _check_refusals(client, firmware, profile, before)
        yield from _check_acceptance(client, before)
    finally:
        _send(client, before)


def _check_refusals(
    client: AxeOS, firmware: Firmware, profile: Profile, before: object
) -> Iterator[Finding]:
    below = rules(firmware, profile)["target_temperature_c"].limits.minimum - 1
    for name, value in (("wrong type", str(before)), ("out of range", below)):
        reply = _send(client, value)
        yield Finding(f"PATCH {name}: status", "400", str(reply.status))
        if profile.patch_errors_explained:
            is_named = CHANGED in (text := reply.body.decode("utf-8", "replace"))
            got = "named" if is_named and str(value) in text else _show(text)
            yield Finding(f"PATCH {name}: field and value", "named", got)
        expected, got = _show(before), _show(_changed(client))
        yield Finding(f"PATCH {name}: read back", expected, got)


def _check_acceptance(client: AxeOS, before: object) -> Iterator[Finding]:
    other = LOW_C + (before == LOW_C)
    for value in (other, before):
        reply = _send(client, value)
        yield Finding(f"PATCH {CHANGED} {value}: status", "200", str(reply.status))
        got = _show(_changed(client))
        yield Finding(f"PATCH {CHANGED} {value}: read back", str(value), got)


def _ask(
    client: AxeOS,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Return the answer; one of status 0 when there was no whole one."""
    try:
        return client.request(method, path, body=body, headers=headers)
    except BadResponse:
        return Reply(0, {}, b"")


def _changed(client: AxeOS) -> object:
    return _object(_ask(client, "GET", "/api/system/info")).get(CHANGED)


def _send(client: AxeOS, value: object) -> Reply:
    return _patch(client, json.dumps({CHANGED: value}).encode())


def _patch(client: AxeOS, body: bytes) -> Reply:
    headers = {"Content-Type": "application/json"}
    return _ask(client, "PATCH", "/api/system", body=body, headers=headers)


def _show(value: object) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."
