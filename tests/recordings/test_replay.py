import asyncio
import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from tests.commands import command, read_until
from tests.recordings.conftest import RELEASES
from typer.testing import CliRunner
from websockets.sync.client import connect

from softaxe.catalog.firmware import firmware
from softaxe.cli.commands import app
from softaxe.client.axeos import AxeOS
from softaxe.errors import SettingError
from softaxe.recordings.record import Entry, Standins, ask_all, cleaned
from softaxe.recordings.replay import Replay, load_recording
from softaxe.serve.answers import Answer
from softaxe.serve.listener import Listener
from softaxe.serve.request import Body, Request
from softaxe.testing.run import RunningFleet, running


def infos_of(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.path == "/api/system/info"]


@contextmanager
def replayed(entries: list[Entry]) -> Iterator[str]:
    ready, loop = threading.Event(), asyncio.new_event_loop()
    listener = Listener(Replay(entries), "127.0.0.1", 0)

    async def main() -> None:
        await listener.open()
        ready.set()
        await asyncio.Event().wait()

    def run() -> None:
        task = loop.create_task(main())
        stopping.append(task)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.run_until_complete(listener.close())
            loop.close()

    stopping: list[asyncio.Task[None]] = []
    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    yield f"http://127.0.0.1:{listener.port}"
    loop.call_soon_threadsafe(stopping[0].cancel)
    thread.join(10)


def get(url: str, path: str) -> httpx.Response:
    return httpx.get(url + path, timeout=5)


def test_it_is_served_again_byte_by_byte(recording: Path) -> None:
    entries = load_recording(recording)
    bodies = {e.body.encode("latin-1") for e in entries if e.path == "/api/system/info"}
    with replayed(entries) as url:
        answer = get(url, "/api/system/info")
        assert answer.content in bodies
        assert answer.headers["content-type"] == "application/json"
        assert get(url, "/api/system/asic").json()["ASICModel"] == "BM1370"
        assert get(url, "/api/system/statistics?columns=power").json()["labels"]
        assert "AxeOS" in get(url, "/").text
        assert get(url, "/api/system/nothing").status_code == 404


def test_statistics_have_the_columns_asked_for() -> None:
    body = (
        '{\n\t"currentTimestamp":\t5000,'
        '\n\t"labels":\t["hashrate", "power", "timestamp"],'
        '\n\t"statistics":\t[[1070.50, 12.300000190734863, 1000], [-1, 2, 2000]]\n}'
    )
    entries = [Entry(0, "/api/system/statistics", 200, {}, body)]
    with replayed(entries) as url:
        some = get(url, "/api/system/statistics?columns=power,nothing").text
        whole = get(url, "/api/system/statistics").text
        none = get(url, "/api/system/statistics?columns=nothing").text

    assert "[12.300000190734863, 1000]" in some.replace(",\t", ", ")
    assert json.loads(some) == {
        "currentTimestamp": 5000,
        "labels": ["power", "timestamp"],
        "statistics": [[12.300000190734863, 1000], [2, 2000]],
    }
    assert whole == none == body


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "Invalid JSON"),
        (b'{"frequency": 0}', "frequency: 0 is outside 1..65535 MHz"),
        (b'{"hostname": 5}', "hostname: 5 is no string"),
    ],
)
def test_what_a_device_refuses_is_refused(
    recording: Path, body: bytes, complaint: str
) -> None:
    with replayed(load_recording(recording)) as url:
        answer = httpx.patch(f"{url}/api/system", content=body)

    assert answer.status_code == 400
    assert complaint in answer.json()["error"]


def answered(entries: list[Entry], *requests: Request) -> list[Answer]:
    """What a recording answers, without a socket."""

    async def ask() -> list[Answer]:
        replay = Replay(entries)
        return [await cast(Any, replay(request)) for request in requests]

    return asyncio.run(ask())


def asking(method: str, path: str, body: bytes = b"") -> Request:
    source = Body()
    source.feed(body)
    source.finish()
    return Request(method, f"/api/system{path}", client="127.0.0.1", body=source)


@pytest.mark.parametrize("number", range(len(RELEASES)), ids=RELEASES)
def test_each_release_is_recorded_and_played_as_what_it_is(
    releases: RunningFleet, number: int
) -> None:
    device, standins = releases[number], Standins()
    client = AxeOS(device.url)
    release = firmware(RELEASES[number])
    entries = [cleaned(one, standins) for one in ask_all(client, 0.0, is_first=True)]

    found = {one.path: one for one in entries}
    new = {f"/api/system/{name}" for name in ("scoreboard", "logs")}
    assert (new <= found.keys()) is release.has_route("GET", "/api/system/logs")
    assert not [one for one in entries if one.status != 200]
    mac, hostname = device.info()["macAddr"], device.info()["hostname"]
    assert not [one.path for one in entries if mac in one.body or hostname in one.body]

    info, patched, odd, paused = answered(
        entries,
        asking("GET", "/info"),
        asking("PATCH", "", b'{"temptarget": 60}'),
        asking("PATCH", "", b'{"temptarget": "60"}'),
        asking("POST", "/pause"),
    )
    assert info.body.decode("latin-1") == found["/api/system/info"].body
    assert patched.status == 200
    assert odd.status == (400 if release.rows.checks_patches else 200)
    can_pause = release.has_route("POST", "/api/system/pause")
    assert paused.status == (200 if can_pause else 404 if number else 405)

    unknown, slot = answered(
        entries, asking("GET", "/none"), asking("DELETE", "/pools/7")
    )
    assert unknown.status == (404 if number else 302)
    assert slot.status == (200 if "2.15" in release.version else 404 if number else 405)


def test_pool_slots_are_judged_and_partitions_taken_in_a_recording() -> None:
    info = '{"version":"v2.15.0","primaryPoolIndex":0,"secondaryPoolIndex":2}'
    pool = b'{"stratumURL":"a.example","stratumPort":3333,"stratumUser":"me"}'
    asked = (
        asking("PUT", "/pools/1", pool),
        asking("PUT", "/pools/1", b'{"stratumPort":"3333"}'),
        asking("PUT", "/pools/1", b"{"),
        asking("PUT", "/pools/8", pool),
        asking("DELETE", "/pools/1"),
        asking("DELETE", "/pools/2"),
        asking("POST", "/boot", b'{"partition":"factory"}'),
    )

    answers = answered([Entry(0.0, "/api/system/info", 200, {}, info)], *asked)

    assert [answer.body.partition(b":")[2] or answer.body for answer in answers] == [
        b'"Pool updated successfully"}',
        b"Invalid pool configuration payload",
        b"Invalid JSON",
        b"Invalid pool index",
        b'"Pool cleared successfully"}',
        b"Cannot delete a pool that is currently selected as primary or fallback",
        b'"Next boot partition set successfully. Rebooting..."}',
    ]


def test_a_live_socket_tells_what_changes_in_a_recording() -> None:
    bodies = (
        '{"version":"v2.14.2","power":12.5,"fanrpm":3000}',
        '{"version":"v2.14.2","power":12.5,"fanrpm":3100}',
    )
    entries = [
        Entry(2.0 * number, "/api/system/info", 200, {}, body)
        for number, body in enumerate(bodies)
    ]

    replay = Replay(entries)

    assert replay._streams["/api/ws/live"] == [
        (0.0, '{"event":"update","data":{"fanrpm":3000}}'),
        (2.0, '{"event":"update","data":{"fanrpm":3100}}'),
    ]
    with replayed(entries) as url:
        live = f"ws{url[4:]}/api/ws/live"
        with connect(live, proxy=None) as socket:
            first = json.loads(socket.recv(timeout=10))
    assert first == {"event": "update", "data": json.loads(bodies[0])}


def test_what_a_recording_cannot_be_told_is_refused(recording: Path) -> None:
    for option in (["--count", "3"], ["--control", "none"], ["x.toml"]):
        result = CliRunner().invoke(app, ["run", "--replay", str(recording), *option])

        assert result.exit_code == 2
        assert f"{option[0].replace('x.toml', 'FLEET.TOML')}: a rec" in result.output


def test_changes_are_answered_and_forgotten(recording: Path) -> None:
    with replayed(load_recording(recording)) as url:
        before = get(url, "/api/system/asic").content
        change = {"frequency": 550}
        patched = httpx.patch(f"{url}/api/system", json=change)
        restarted = httpx.post(f"{url}/api/system/restart")

        assert (patched.status_code, restarted.status_code) == (200, 200)
        assert get(url, "/api/system/asic").content == before


def test_strangers_are_refused_as_by_a_device(recording: Path) -> None:
    with replayed(load_recording(recording)) as url:
        answer = httpx.get(
            f"{url}/api/system/info",
            headers={"Origin": "http://evil.example"},
        )
    assert answer.status_code == 401


def test_the_log_is_told_again(recording: Path) -> None:
    entries = load_recording(recording)
    lines = {e.body for e in entries if e.is_log}
    with replayed(entries) as url, connect(f"ws{url[4:]}/api/ws", proxy=None) as socket:
        assert socket.recv(timeout=10) in lines


def test_a_device_that_was_away_is_away_again() -> None:
    entries = [Entry(0, "/api/system/info", 200, {}, "{}")]
    entries.append(Entry(0, "/api/system/info", 0))
    with replayed(entries) as url, pytest.raises(httpx.TransportError):
        get(url, "/api/system/info")


def test_what_a_command_has_recorded_another_plays(tmp_path: Path) -> None:
    path = tmp_path / "gamma.jsonl"
    arguments = ["--duration", "0.5s", "--interval", "0.2s", "-o", str(path)]
    with running() as bitaxe:
        private = bitaxe.info()["macAddr"]
        done = CliRunner().invoke(app, ["record", bitaxe.url, *arguments])

    assert done.exit_code == 0, done.output
    assert f"softaxe run --replay {path}" in done.output
    with replayed(load_recording(path)) as url:
        info = httpx.get(f"{url}/api/system/info").json()
    assert info["boardVersion"] == "601"
    assert info["macAddr"] != private


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="No such file"):
        load_recording(tmp_path / "none")


def test_every_log_line_has_its_moment_in_every_round() -> None:
    entries = [Entry(0, "/api/system/info", 200, {}, "{}")]
    entries += [Entry(at_s, "", body=f"line at {at_s}") for at_s in (0.5, 2.0)]
    replay = Replay(entries)
    began, lasts = replay._began, replay.duration_s

    due = list(islice(replay._looped(replay._streams["/api/ws"], began + 1.0), 4))
    # A timer may end a little too early: the line that was due is not due again.
    later = list(
        islice(replay._looped(replay._streams["/api/ws"], began + lasts - 1e-4), 2)
    )

    assert [(round(at - began - lasts, 6), line) for at, line in due] == [
        (2.0 - lasts, "line at 2.0"),
        (0.5, "line at 0.5"),
        (2.0, "line at 2.0"),
        (0.5 + lasts, "line at 0.5"),
    ]
    assert [line for _, line in later] == ["line at 0.5", "line at 2.0"]


def test_the_port_that_is_served_is_told(recording: Path) -> None:
    with command("run", "--replay", str(recording), "--port", "0") as process:
        told = read_until(process, lambda text: "Ctrl-C" in text)
        (url,) = re.findall(r"  address +(\S+)", told)
        answer = get(url, "/api/system/info")
        process.send_signal(signal.SIGINT)
        process.wait(60)

    assert answer.json()["boardVersion"] == "601"
