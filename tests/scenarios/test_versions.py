"""Every firmware version, every route and every member, against the reference."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.each import each

from softaxe import Device, Pool, Simulation
from softaxe.device.profile import FIRMWARE, differences
from softaxe.serve.answers import FULL_CORS, NO_CORS, THEME_CORS, Answer
from softaxe.serve.host import Host
from softaxe.serve.journal import Journal, JournaledApp
from softaxe.serve.request import AcceptWebSocket, App, Body, Request, reply_of
from softaxe.serve.server import Server
from softaxe.units import float32

DATA = Path(__file__).parents[1] / "data" / "firmware-versions.json"
REFERENCE: dict[str, Any] = json.loads(DATA.read_text("utf-8"))
COLUMNS = {column["id"]: column for column in REFERENCE["versions"]}
RARE = {"power_fault", "hardware_fault"}
"""Members that a whole device does not show."""
NEIGHBOUR, STRANGER = "192.168.1.9", "203.0.113.9"
CORS = {"full": FULL_CORS, "theme": THEME_CORS, "none": NO_CORS}
BODIES = {
    ("POST", "/api/theme"): b'{"colorScheme":"light"}',
    ("PATCH", "/api/system"): b"{}",
    ("PUT", "/api/system/pools/*"): (
        b'{"stratumURL":"pool.example","stratumPort":3333,"stratumUser":"u"}'
    ),
    ("POST", "/api/system/boot"): b'{"partition":"factory"}',
}
UPLOADS = {"/api/system/OTA", "/api/system/OTAWWW"}
"""What they answer to an image, tests of `serve/updates` ask."""
PATHS = {
    "/api/*": "/api/what/ever",
    "/*": "/",
    "/api/system/pools/*": "/api/system/pools/5",
}
"""Paths that the wildcards stand for."""
OLD_MONITOR = ["total", "domains", "errorCount"]
NEW_MONITOR = ["total", "errorCount", "domains"]
MONITOR = {
    tag: OLD_MONITOR for tag in COLUMNS if tag.startswith(("v2.11", "v2.12", "v2.13"))
}
"""Members of a chip's counters."""
MARKS: Mapping[str, tuple[str, ...]] = {
    "POST /api/system/identify": ("identify_exists", "actions_answer_json"),
    "POST /api/system/restart": ("actions_answer_json",),
    "GET /api/system/statistics/dashboard": ("dashboard_exists",),
    "GET /api/system/info": (),
}
"""Rows of the profile table that an answer of the documented profile goes by."""
STATISTICS: Mapping[str, Mapping[str, set[str]]] = {
    "": {
        "v2.11": {"page_columns", "response_time_column"},
        "v2.12": {"response_time_column"},
    },
    "?columns=power": {
        "v2.8": {"columns_picked"},
        "v2.9": {"columns_picked"},
        "v2.10": {"columns_picked"},
    },
    "?columns=power%2Ccurrent": {
        "v2.8": {"columns_picked"},
        "v2.9": {"columns_picked"},
        "v2.10": {"columns_picked"},
        "v2.11": {"columns_decoded"},
        "v2.12": {"columns_decoded"},
        "v2.13": {"columns_decoded"},
    },
    "?columns=hashrate_1m": {
        "v2.8": {"columns_picked", "page_columns"},
        "v2.9": {"columns_picked", "page_columns"},
        "v2.10": {"columns_picked", "page_columns"},
        "v2.11": {"page_columns"},
    },
}
"""Those of the statistics, by the family of releases that would answer otherwise."""
NUMBER = r"-?(?:0|[1-9]\d*)"


class Printed(str):
    """A number as it was printed."""

    __slots__ = ()


def parsed(text: bytes) -> Any:
    """Read JSON; numbers stay as they were printed."""
    return json.loads(text, parse_int=Printed, parse_float=Printed)


def laid_out(value: object, *, is_compact: bool) -> bytes:
    """Write JSON as cJSON does in either of its layouts."""

    def text(value: object, depth: int) -> str:
        if isinstance(value, Printed):
            return str(value)
        if isinstance(value, list):
            between = "," if is_compact else ", "
            return f"[{between.join(text(one, depth + 1) for one in value)}]"
        if not isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False)
        tabs = "\t" * depth
        start, colon, between, end = f"\n{tabs}", ":\t", f",\n{tabs}", f"\n{tabs[1:]}"
        if is_compact:
            start, colon, between, end = "", ":", ",", ""
        members = (f'"{name}"{colon}{text(v, depth + 1)}' for name, v in value.items())
        return f"{{{start}{between.join(members)}{end}}}"

    return text(value, 1).encode()


def is_number(value: object) -> bool:
    return isinstance(value, Printed)


def is_integer(value: object) -> bool:
    return is_number(value) and re.fullmatch(NUMBER, str(value)) is not None


def is_rounded(value: object) -> bool:
    decimals = re.fullmatch(rf"{NUMBER}(?:\.(\d+))?", str(value))
    return is_number(value) and decimals is not None and len(decimals[1] or "") <= 7


def is_single(value: object) -> bool:
    """Tell whether it is all of a single-precision number."""
    if not is_number(value):
        return False
    number = float(str(value))
    return number == float32(number)


KINDS: Mapping[str, Callable[[object], bool]] = {
    "int": is_integer,
    "f7": is_rounded,
    "fraw": is_single,
    "draw": is_number,
    "bool01": lambda value: is_number(value) and value in {"0", "1"},
    "bool": lambda value: isinstance(value, bool),
    "string": lambda value: type(value) is str,
    "array": lambda value: isinstance(value, list),
    "array of int": lambda value: (
        isinstance(value, list) and all(map(is_integer, value))
    ),
    "object": lambda value: isinstance(value, dict),
}


def simulated(tag: str) -> Simulation:
    """A device of a version that mines, and samples."""
    column = REFERENCE["settings"][tag]
    samples = {"statsLimit": 720, "statsDuration": 1}
    if any(row["key"] == "statsFrequency" for row in column):
        samples = {"statsFrequency": 5}
    device = Device(firmware=tag, profile=FIRMWARE, seed=1, settings=samples)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(40)
    return simulation


@pytest.fixture(scope="module")
def servers() -> Mapping[str, Server]:
    """A server for each column, and its device behind it."""
    return {tag: server_of(simulated(tag).device) for tag in COLUMNS}


def server_of(device: Device) -> Server:
    async def commit() -> None:
        pass

    async def host_name_for(wanted: str) -> str:
        return wanted

    host = SimpleNamespace(
        host_name_for=host_name_for,
        device=device,
        networks=(),
        profile=FIRMWARE,
        sync=lambda: device,
        commit=commit,
        is_scan_quick=True,
        speed=1.0,
    )
    return Server(cast(Host, host))


def ask(
    server: App,
    method: str,
    path: str,
    *,
    client: str = NEIGHBOUR,
    body: bytes = b"",
    is_websocket: bool = False,
) -> Answer | AcceptWebSocket:
    async def answer() -> Answer | AcceptWebSocket:
        content = Body()
        content.feed(body)
        content.finish()
        path_only, _, query = path.partition("?")
        length = ((b"content-length", str(len(body)).encode()),)
        request = Request(
            method,
            path_only,
            query,
            length,
            client=client,
            body=content,
            is_websocket=is_websocket,
        )
        reply = await reply_of(server(request))
        assert reply is not None
        return reply

    return asyncio.run(answer())


def body_of(server: Server, path: str) -> bytes:
    answer = ask(server, "GET", path)
    assert isinstance(answer, Answer)
    return answer.body


@each("tag", COLUMNS)
def test_info_has_every_member_in_its_order_and_kind(
    servers: Mapping[str, Server], tag: str
) -> None:
    answer = body_of(servers[tag], "/api/system/info")

    info = parsed(answer)
    rows = [row for row in REFERENCE["info"][tag] if row["name"] not in RARE]
    assert list(info) == [row["name"] for row in rows]
    wrong = {
        row["name"]: (row["kind"], info[row["name"]])
        for row in rows
        if not KINDS[row["kind"]](info[row["name"]])
    }
    assert wrong == {}
    chips = info.get("hashrateMonitor", {"asics": []})["asics"]
    assert [list(chip) for chip in chips] == [MONITOR.get(tag, NEW_MONITOR)] * len(
        chips
    )
    assert answer == laid_out(info, is_compact=COLUMNS[tag]["json_layout"] == "compact")


@each("tag", COLUMNS)
def test_asic_and_statistics_have_theirs(
    servers: Mapping[str, Server], tag: str
) -> None:
    asic = parsed(body_of(servers[tag], "/api/system/asic"))
    statistics = parsed(body_of(servers[tag], "/api/system/statistics"))

    rows = REFERENCE["asic"][tag]
    assert list(asic) == [row["name"] for row in rows]
    assert all(KINDS[row["kind"]](asic[row["name"]]) for row in rows)
    column = REFERENCE["statistics"][tag]
    assert list(statistics) == column["members"]
    assert statistics["labels"] == [row["label"] for row in column["labels"]]
    is_compact = column["json_layout"] == "compact"
    body = body_of(servers[tag], "/api/system/statistics")
    assert body == laid_out(statistics, is_compact=is_compact)
    assert statistics["statistics"]
    for sample in statistics["statistics"]:
        for value, row in zip(sample, column["labels"], strict=True):
            assert KINDS[row["kind"]](value), row
    some = parsed(body_of(servers[tag], "/api/system/statistics?columns=power"))
    is_asked = column["columns_parameter"]
    assert some["labels"] == (
        ["power", "timestamp"] if is_asked else statistics["labels"]
    )


@each("tag", COLUMNS)
def test_every_route_answers_with_its_status_type_and_headers_to_whom_it_may(
    servers: Mapping[str, Server], tag: str
) -> None:
    for route in REFERENCE["routes"][tag]:
        key = method, path = route["method"], route["path"]
        method = "GET" if method == "ANY" else method
        path = PATHS.get(path, path)
        is_websocket = route["success_status"] == 101
        if route["access_check"] and not is_websocket:
            denied = ask(servers[tag], method, path, client=STRANGER)
            assert isinstance(denied, Answer)
            told = (denied.status, denied.body, denied.headers)
            assert told == (401, b"Unauthorized", ()), key
        if path in UPLOADS:
            continue
        body = BODIES.get(key, b"")
        found = ask(servers[tag], method, path, body=body, is_websocket=is_websocket)
        if is_websocket:
            assert isinstance(found, AcceptWebSocket), key
            assert not found.is_unmatched
            continue
        assert isinstance(found, Answer), key
        assert found.status == route["success_status"], key
        if route["content_type"] != "by extension":
            assert found.content_type.decode() == route["content_type"], key
        cors = [pair for pair in found.headers if pair[0].startswith(b"Access-")]
        assert tuple(cors) == CORS[route["cors"]], key
        if not route["access_check"]:
            open_to_all = ask(servers[tag], method, path, client=STRANGER, body=body)
            assert isinstance(open_to_all, Answer), key
            assert open_to_all.status == found.status, key


@each("tag", COLUMNS)
def test_a_route_of_another_version_is_unknown(
    servers: Mapping[str, Server], tag: str
) -> None:
    known = {(row["method"], row["path"]) for row in REFERENCE["routes"][tag]}
    others = {
        (row["method"], row["path"])
        for routes in REFERENCE["routes"].values()
        for row in routes
        if not row["path"].startswith("/api/ws")
    }

    for method, path in others - known:
        if method == "OPTIONS" and ("OPTIONS", "/api/*") in known:
            continue
        found = ask(servers[tag], method, PATHS.get(path, path))
        assert isinstance(found, Answer)
        assert found.is_unmatched, (method, path)
        unknown = 404 if ("ANY", "/api/*") in known else 405
        is_page = unknown == 405 and method == "GET"
        assert found.status == (302 if is_page else unknown), (method, path)


@each("tag", COLUMNS)
def test_the_journal_marks_an_answer_where_the_version_would_give_another(
    tag: str,
) -> None:
    device = Device(firmware=tag, seed=1)
    device.step(10.0)
    journal = Journal()
    app = JournaledApp(
        server_of(device), journal, "601", lambda: 10.0, lambda: device.firmware
    )

    def marks(request: str) -> set[str]:
        answer = ask(app, *request.split(" "))
        assert isinstance(answer, Answer)
        assert answer.status == 200, request
        return set(list(journal)[-1].differs)

    for request, names in MARKS.items():
        assert marks(request) == set(differences(names, device.firmware)), request
    for query, rows in STATISTICS.items():
        expected = rows.get(tag.rpartition(".")[0], set())
        texts = set(differences(expected, device.firmware))
        assert len(texts) == len(expected)
        assert marks(f"GET /api/system/statistics{query}") == texts, query


PAGE_PATCH = {
    "stratumURL": "pool.example",
    "stratumPort": 4444,
    "stratumUser": "me",
    "stratumPassword": "p",
    "fallbackStratumURL": "other.example",
    "fallbackStratumPort": 5555,
    "fallbackStratumUser": "you",
    "fallbackStratumPassword": "q",
    "useFallbackStratum": 1,
    "ssid": "home",
    "wifiPass": "secret-words",
    "hostname": "rig",
    "coreVoltage": 1200,
    "frequency": 550,
    "overclockEnabled": 1,
    "autofanspeed": 0,
    "fanspeed": 40,
    "temptarget": 80,
    "rotation": 90,
    "invertscreen": 1,
    "displayTimeout": 5,
    "overheat_mode": 0,
    "statsFrequency": 30,
}
"""Every key of the API page, with a value that it allows."""


@each("tag", COLUMNS)
def test_every_key_of_the_page_holds_on_every_version(tag: str) -> None:
    device = Device(firmware=tag, seed=1)
    device.step(10.0)
    server = server_of(device)

    answer = ask(server, "PATCH", "/api/system", body=json.dumps(PAGE_PATCH).encode())

    assert isinstance(answer, Answer)
    told = json.loads(answer.body)
    moved = device.firmware.rows.hostname_change == "live with redirect"
    assert (answer.status, "warnings" in told, "redirect" in told) == (
        200,
        False,
        moved,
    )
    settings = device.settings
    assert (settings.stratum_url, settings.stratum_port) == ("pool.example", 4444)
    assert (settings.fallback_stratum_url, settings.fallback_stratum_port) == (
        "other.example",
        5555,
    )
    assert settings.use_fallback_stratum
    assert (settings.is_fan_automatic, settings.fan_manual_percent) == (False, 40)
    assert (settings.target_temperature_c, settings.rotation_degrees) == (80, 90)
    assert (settings.hostname, settings.statistics_interval_s) == ("rig", 30)
    known = json.loads(body_of(server, "/api/system/info"))
    for name in ("stratumURL", "frequency", "coreVoltage", "hostname", "temptarget"):
        assert known[name] == PAGE_PATCH[name]
