"""Requests and log streams under orders; what each leaves in the journal."""

import json
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from softaxe.testing.options import EffectName, FaultOptions
from softaxe.testing.run import RunningFleet, running


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningFleet]:
    with running(warm_up_s=0) as made:
        yield made


@pytest.fixture
def bitaxe(shared: RunningFleet) -> Iterator[RunningFleet]:
    shared.call(lambda fleet: fleet.journal.clear())
    yield shared
    shared.faults.clear()


def follow(
    bitaxe: RunningFleet, path: str = "/api/ws", *, open_timeout: float = 60.0
) -> Any:
    address = f"ws{bitaxe.url.removeprefix('http')}{path}"
    return connect(address, proxy=None, open_timeout=open_timeout)


def noted(bitaxe: RunningFleet) -> Any:
    deadline = time.monotonic() + 30
    while not len(bitaxe.journal):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return bitaxe.journal[-1]


def test_a_request_beyond_the_sockets_is_reset_and_noted(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("socket_limit", id="few", sockets=0)

    with pytest.raises(httpx.TransportError):
        httpx.get(f"{bitaxe.url}/api/system/info")

    assert (noted(bitaxe).fault, noted(bitaxe).status) == ("few", 0)


def test_a_connection_is_reset_and_not_merely_closed(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("reset", id="cut")
    host, port = bitaxe.url.removeprefix("http://").split(":")

    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.sendall(b"GET /api/system/info HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)

    assert noted(bitaxe).fault == "cut"


def test_nobody_is_left_to_be_reset(
    bitaxe: RunningFleet, capfd: pytest.CaptureFixture[str]
) -> None:
    bitaxe.faults.add("latency", ms=2000, jitter_ms=0)
    bitaxe.faults.add("reset", id="cut")

    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{bitaxe.url}/api/system/info", timeout=0.05)

    assert noted(bitaxe).fault == "cut"
    assert capfd.readouterr().err == ""


def test_a_request_within_the_sockets_meets_no_fault(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("socket_limit", sockets=5)

    answer = httpx.get(f"{bitaxe.url}/api/system/info")

    assert answer.status_code == 200
    assert noted(bitaxe).fault is None


@pytest.mark.parametrize(
    ("effect", "values"),
    [("reset", {"id": "cut"}), ("socket_limit", {"id": "cut", "sockets": 0})],
)
def test_a_log_stream_is_reset(
    bitaxe: RunningFleet, effect: EffectName, values: FaultOptions
) -> None:
    bitaxe.faults.add(effect, **values)

    with pytest.raises((OSError, EOFError, InvalidMessage)):
        follow(bitaxe)

    assert noted(bitaxe).fault == "cut"


def test_a_log_stream_is_refused_with_a_status(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("status", id="busy", code=503)

    with pytest.raises(InvalidStatus) as caught:
        follow(bitaxe)

    assert caught.value.response.status_code == 503
    assert (noted(bitaxe).fault, noted(bitaxe).status) == ("busy", 503)


def test_a_log_stream_gets_no_answer(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("timeout", id="mute")

    with pytest.raises(TimeoutError):
        follow(bitaxe, open_timeout=2)

    assert (noted(bitaxe).fault, noted(bitaxe).status) == ("mute", 0)


def test_a_stream_that_is_not_there_matches_no_route(bitaxe: RunningFleet) -> None:
    with pytest.raises(InvalidStatus):
        follow(bitaxe, "/api/stream")
    with follow(bitaxe):
        pass

    wrong, right = bitaxe.journal
    assert (wrong.path, wrong.status, wrong.is_unmatched) == ("/api/stream", 404, True)
    assert (right.path, right.status, right.is_unmatched) == ("/api/ws", 101, False)


def test_a_log_stream_comes_late(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("latency", id="slow", ms=300)

    began = time.monotonic()
    with follow(bitaxe):
        assert time.monotonic() - began >= 0.3

    assert (noted(bitaxe).fault, noted(bitaxe).status) == ("slow", 101)


def test_a_log_stream_trickles(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("bandwidth", bytes_per_s=100)

    began = time.monotonic()
    with follow(bitaxe) as stream:
        bitaxe.clock.advance(10)
        text = stream.recv(timeout=60)
        assert time.monotonic() - began >= len(text) / 100


def test_a_log_stream_has_no_body_to_break_off(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("truncated_json")

    with follow(bitaxe):
        pass

    assert (noted(bitaxe).fault, noted(bitaxe).status) == (None, 101)


@pytest.mark.parametrize(
    ("sent", "status", "kept"),
    [
        (b"NO HTTP AT ALL\r\n\r\n", 400, "NO HTTP AT ALL\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nwifiPass secret1\r\n\r\n", 400, "with a secret"),
        (b"GET /" + b"a" * 40_000, 431, "aaaa"),
    ],
)
def test_what_is_no_request_is_noted(
    bitaxe: RunningFleet, sent: bytes, status: int, kept: str
) -> None:
    host, port = bitaxe.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as client:
        for start in range(0, len(sent), 20_000):
            client.sendall(sent[start : start + 20_000])
            time.sleep(0.1)
        # What arrives together is seen together: the bound is looked at before it.
        while status == 431 and not select.select([client], [], [], 0.1)[0]:
            client.sendall(b"aaaa")
        assert client.recv(12).split()[1] == str(status).encode()

    entry = noted(bitaxe)
    assert (entry.status, entry.method, entry.is_unmatched) == (status, "", True)
    assert kept in entry.body.decode()
    assert b"secret1" not in entry.body


def test_an_answer_is_bent_and_the_journal_tells_what_it_was(
    bitaxe: RunningFleet,
) -> None:
    route = "/api/system/info"
    bitaxe.faults.add("bend", id="text", known="text difficulties")
    bitaxe.faults.add("bend", id="more", route=route, set={"new": None}, status=203)
    bitaxe.faults.add("bend", id="no", null="nothing like it")

    answer = httpx.get(f"{bitaxe.url}{route}")

    assert answer.status_code == 203
    assert isinstance(answer.json()["bestDiff"], str)
    assert answer.json()["new"] is None
    entry = noted(bitaxe)
    assert (entry.status, entry.fault) == (203, "text")
    told = entry.to_json()["bent"]
    assert (told["faults"], told["status"]) == (["text", "more"], 200)
    assert told["bytes"] < len(answer.content)
    assert told["answer"].startswith('{\n\t"power"')


def test_a_request_is_done_though_its_answer_is_another(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("bend", known="empty PATCH")
    bitaxe.faults.add("bend", headers={"X-A": "b", "access-control-allow-origin": ""})

    answer = httpx.patch(f"{bitaxe.url}/api/system", json={"rotation": 180})

    assert (answer.content, answer.headers["content-type"]) == (b"", "text/html")
    assert answer.headers["x-a"] == "b"
    assert "access-control-allow-origin" not in answer.headers
    assert bitaxe.info()["rotation"] == 180


def test_only_answers_that_have_changed_count(bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("bend", id="lost", known="html 404", count=1)

    with httpx.Client(base_url=bitaxe.url) as client:
        kinds = [
            client.get(path).headers["content-type"]
            for path in ("/api/system/info", "/api/nothing", "/api/nothing")
        ]

    assert kinds == ["application/json", "text/html", "application/json"]
    assert [entry.fault for entry in bitaxe.journal] == [None, "lost", None]


def test_nothing_is_known_of_a_type_and_a_body_where_there_is_none(
    bitaxe: RunningFleet,
) -> None:
    bitaxe.faults.add("bend", status=204, headers={"content-type": ""})

    with httpx.Client(base_url=bitaxe.url) as client:
        answers = [client.get("/") for _ in range(2)]

    assert [one.status_code for one in answers] == [204, 204]
    assert "content-type" not in answers[0].headers


def test_messages_of_the_live_stream_are_bent() -> None:
    with running(firmware="2.15.0", warm_up_s=0) as bitaxe:
        bitaxe.faults.add("bend", id="odd", null="temp", convert={"version": "whole"})

        with follow(bitaxe, "/api/ws/live") as stream:
            told = json.loads(stream.recv(timeout=10))

        assert told["data"]["temp"] is None
        assert told["data"]["version"] == "v2.15.0"
        entry = noted(bitaxe)
        assert (entry.fault, entry.bent.status, entry.status) == ("odd", 101, 101)
