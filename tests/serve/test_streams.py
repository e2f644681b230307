"""The device's WebSockets: who is let in, and what each release sends."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.each import each
from websockets.sync.client import connect

from softaxe import Device, Pool, Simulation
from softaxe.api.access import Networks
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.serve import streams
from softaxe.serve.answers import Answer
from softaxe.serve.member import LogSubscription
from softaxe.serve.request import AcceptWebSocket, Request
from softaxe.serve.streams import Streams
from softaxe.units import Level

CLIENT = "192.168.1.2"


class OneDevice:
    """A host without a fleet; each look at the present brings it on by `step_s`."""

    def __init__(self, release: str, profile: Profile) -> None:
        self.device = Device(firmware=release, seed=1, profile=profile)
        self.simulation = Simulation(self.device, Pool.for_scaled_work(seed=1))
        self.simulation.advance(10)
        self.device.log.take()
        self.networks: Networks = ()
        self.speed = 1e9
        self.step_s = 0.0
        self.subscriptions: set[LogSubscription] = set()

    def sync(self) -> Device:
        self.simulation.advance(self.step_s)
        return self.device

    def subscribe_log(self) -> LogSubscription:
        subscription = LogSubscription(self.subscriptions.discard)
        self.subscriptions.add(subscription)
        return subscription

    def log(self, text: str) -> None:
        self.device.log(Level.INFO, "a", text)
        for line in self.device.log.take():
            for subscription in self.subscriptions:
                subscription.put(line.coloured)


class Client:
    """A WebSocket as an app sees it."""

    def __init__(self, *, reads: bool = True) -> None:
        self.sent: list[str] = []
        self.raw = b""
        self.end: str | int = ""
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._reads = reads

    async def send(self, text: str) -> None:
        self.sent.append(text)
        if not self._reads:
            await asyncio.Event().wait()

    def send_raw(self, data: bytes) -> None:
        self.raw += data

    async def receive(self) -> bytes | None:
        return await self.incoming.get()

    def close(self, code: int) -> None:
        self.end = code

    def abort(self) -> None:
        self.end = "aborted"


class Bench:
    """The streams of a device, and clients that come and go."""

    def __init__(self, release: str, profile: Profile = DOCUMENTED) -> None:
        self.host = OneDevice(release, profile)
        host: Any = self.host
        self.streams = Streams(host)
        self.tasks: dict[Client, asyncio.Task[None]] = {}

    def ask(self, path: str, origin: bytes = b"") -> Answer | AcceptWebSocket:
        headers = ((b"origin", origin),) if origin else ()
        client = CLIENT if self.host.device.profile is FIRMWARE else "127.0.0.1"
        request = Request(
            "GET", path, headers=headers, client=client, is_websocket=True
        )
        return self.streams(request)

    async def come(self, path: str = "/api/ws", *, reads: bool = True) -> Client:
        client = Client(reads=reads)
        accepted = self.ask(path)
        assert isinstance(accepted, AcceptWebSocket)
        serving: Any = accepted.serve(client)
        self.tasks[client] = asyncio.ensure_future(serving)
        await turns()
        return client

    async def leave(self, client: Client) -> None:
        client.incoming.put_nowait(None)
        await self.tasks.pop(client)

    @property
    def lines(self) -> list[str]:
        return [line.text for line in self.host.device.log.take()]


async def turns() -> None:
    """Let everybody do what there is to do."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a test's body and end what is left of it."""

    async def main() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _no_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LEAST_NAP_S", 0.0)


# Who is let in


@each(
    ("release", "profile", "expected"),
    [
        ("2.9.0", FIRMWARE, "raw"),
        ("2.12.2", FIRMWARE, 1008),
        ("2.14.2", FIRMWARE, "raw"),
        ("2.15.0", FIRMWARE, (401, True, ())),
        ("2.14.2", DOCUMENTED, (401, False, ("websocket_refused_early",))),
        ("2.15.0", DOCUMENTED, (401, True, ())),
    ],
)
def test_a_stranger_is_refused_as_the_release_does(
    release: str, profile: Profile, expected: object
) -> None:
    bench = Bench(release, profile)

    found = bench.ask("/api/ws", origin=b"http://evil.example")

    if isinstance(found, Answer):
        assert (found.status, found.is_last, found.differs) == expected
        return
    client = Client()
    client.incoming.put_nowait(None)
    asyncio.run(found.serve(client))  # type: ignore[arg-type]
    assert expected == (client.end or "raw")
    if expected == "raw":
        assert client.raw == (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\n"
            b"Content-Length: 12\r\n\r\nUnauthorized"
        )


def test_both_kinds_of_clients_share_ten_slots() -> None:
    bench = Bench("2.15.0")

    async def test() -> None:
        clients = [
            await bench.come(("/api/ws", "/api/ws/live")[number % 2])
            for number in range(10)
        ]
        full = bench.ask("/api/ws/live")
        assert isinstance(full, Answer)
        assert (full.status, full.body) == (429, b"Max WebSocket clients reached")
        await bench.leave(clients[3])
        assert isinstance(bench.ask("/api/ws"), AcceptWebSocket)
        await bench.come("/api/ws")
        said = [line for line in bench.lines if "WebSocket" in line]
        assert said[0] == "Added WebSocket log client, fd: 45, slot: 0, type_count: 1"
        assert said[-2:] == [
            "Removed WebSocket api client, fd: 48, slot: 3, type_count: 4",
            "Added WebSocket log client, fd: 48, slot: 3, type_count: 6",
        ]

    run(test)


# The log


def test_of_one_client_the_last_to_come_is_served() -> None:
    bench = Bench("2.9.0")

    async def test() -> None:
        first = await bench.come()
        bench.host.log("one")
        await turns()
        second = await bench.come()
        bench.host.log("two")
        await turns()
        assert [len(first.sent), len(second.sent)] == [1, 1]
        assert first.end == ""

    run(test)


def test_a_new_client_gets_the_lines_since_the_task_s_last_look() -> None:
    bench = Bench("2.14.2")
    host = bench.host
    host.simulation.advance(0.6 - host.device.now % 0.5)  # 0.1 s after a look

    async def test() -> None:
        host.log("replayed")
        first = await bench.come()
        host.log("new")
        await turns()
        second = await bench.come()
        assert "a: replayed" in "".join(first.sent)
        texts = [line.partition(": ")[2] for line in first.sent[-3:]]
        assert texts == [
            "replayed\x1b[0m\n",
            "Added WebSocket log client, fd: 45, slot: 0\x1b[0m\n",
            "new\x1b[0m\n",
        ]
        assert [line.partition(": ")[2] for line in second.sent] == [
            "Added WebSocket log client, fd: 46, slot: 1\x1b[0m\n"
        ]

    run(test)


def test_a_long_line_comes_in_frames_of_4096_bytes() -> None:
    bench = Bench("2.15.0")

    async def test() -> None:
        client = await bench.come()
        client.sent.clear()
        bench.host.log("x" * 5000)
        await turns()
        assert len(client.sent[0]) == 4096
        assert "".join(client.sent).endswith("x\x1b[0m\n")

    run(test)


@pytest.mark.parametrize(("release", "is_left"), [("2.12.2", True), ("2.15.0", False)])
def test_an_empty_frame_ended_the_log_of_older_releases(
    release: str, is_left: bool
) -> None:
    bench = Bench(release)

    async def test() -> None:
        client = await bench.come()
        for message in b"hello", b"":
            client.incoming.put_nowait(message)
        await turns()
        assert bench.tasks[client].done() is is_left

    run(test)


@pytest.mark.parametrize(
    ("release", "end", "path"),
    [
        ("2.12.2", "aborted", "/api/ws"),
        ("2.14.2", "", "/api/ws"),
        ("2.14.2", "", "/api/ws/live"),
        ("2.15.0", "aborted", "/api/ws/live"),
    ],
)
def test_a_client_that_does_not_read_is_dropped_or_kept(
    release: str, end: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SLOW_CLIENT_S", 0.01)
    bench = Bench(release)

    async def test() -> None:
        client = await bench.come(path, reads=False)
        bench.host.log("a line")
        await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            while client.end != end:
                await turns()
        assert client.end == end
        assert len(client.sent) == 1

    run(test)


def test_what_goes_wrong_while_it_is_sent_is_not_hidden() -> None:
    bench = Bench("2.12.2")

    class Broken(Client):
        async def send(self, text: str) -> None:
            raise RuntimeError("no such thing")

    async def test() -> None:
        accepted = bench.ask("/api/ws")
        assert isinstance(accepted, AcceptWebSocket)
        serving: Any = accepted.serve(Broken())
        task = asyncio.ensure_future(serving)
        await turns()
        bench.host.log("a line")
        with pytest.raises(RuntimeError, match="no such thing"):
            await task
        assert not bench.host.subscriptions

    run(test)


# The state


def test_all_live_clients_get_the_same_updates_after_a_first_of_their_own() -> None:
    bench = Bench("2.14.2")
    bench.host.step_s = 0.5

    async def test() -> None:
        first = await bench.come("/api/ws/live")
        await turns()
        second = await bench.come("/api/ws/live")
        for _ in range(5):
            await turns()
        assert set(json.loads(second.sent[0])["data"]) >= {"version", "power"}
        assert len(second.sent) > 3
        shared = second.sent[1:]
        assert shared == first.sent[-len(shared) :]
        assert all(len(frame) < len(first.sent[0]) for frame in first.sent[1:])

    run(test)


def test_without_live_clients_nothing_is_looked_at() -> None:
    bench = Bench("2.15.0")
    bench.host.step_s = 0.5

    async def test() -> None:
        client = await bench.come("/api/ws/live")
        await bench.leave(client)
        await turns()
        now = bench.host.device.now
        await turns()
        assert bench.host.device.now == now

    run(test)


def test_while_time_stands_still_there_is_no_update(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "MOST_NAP_S", 0.001)
    bench = Bench("2.15.0")
    bench.host.speed = 0.0

    async def test() -> None:
        client = await bench.come("/api/ws/live")
        await asyncio.sleep(0.02)
        assert len(client.sent) == 1

    run(test)


def test_logs_scoreboard_and_live_state_over_the_network(
    run_device: Any, tmp_path: Path
) -> None:
    with run_device(tmp_path, speed=20.0, firmware=("2.14.2",)) as device:
        url = f"ws://127.0.0.1:{device.member.port}/api/ws/live"
        with connect(url, proxy=None) as socket:
            first = json.loads(socket.recv(timeout=10))
            then = json.loads(socket.recv(timeout=10))
        logs = device.client.get("/api/system/logs")
        scoreboard = device.client.get("/api/system/scoreboard")

    assert first["data"]["version"] == "v2.14.2"
    assert 0 < len(then["data"]) < len(first["data"])
    assert logs.headers["content-type"] == "text/plain"
    assert logs.headers["transfer-encoding"] == "chunked"
    assert logs.headers["content-disposition"] == (
        'attachment; filename="bitaxe-logs.txt"'
    )
    assert "access-control-allow-origin" not in logs.headers
    assert logs.text.startswith("\x1b[0;32mI (300) bitaxe: Welcome")
    assert scoreboard.headers["access-control-allow-origin"] == "*"
    assert isinstance(scoreboard.json(), list)
