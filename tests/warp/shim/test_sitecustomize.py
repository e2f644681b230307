"""Time in other people's programs: how it is reckoned, and programs that live in it."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import softaxe
from softaxe.testing.run import RunningFleet
from softaxe.warp import environment
from softaxe.warp.shim import sitecustomize

shim: Any = sitecustomize
MOMENT_S = shim.MOMENT_S


class Outside:
    """The clock outside, and a fleet that goes `speed` times as fast."""

    def __init__(self, speed: float = 100.0) -> None:
        self.real_s = 1000.0
        self.now_s = 0.0
        self.speed = speed
        self.is_paused = False
        self.asked = 0

    def pass_s(self, real_s: float) -> None:
        self.real_s += real_s
        self.now_s += 0.0 if self.is_paused else real_s * self.speed

    def real(self) -> float:
        return self.real_s

    def clock(self) -> dict[str, Any]:
        self.asked += 1
        return {"now": self.now_s, "speed": self.speed, "paused": self.is_paused}

    def advance(self, until: float) -> dict[str, Any]:
        self.now_s = max(self.now_s, until)
        return self.clock()

    def time(self, *, is_driven: bool = False) -> Any:
        time = shim.FleetTime(self, is_driven=is_driven, real=self.real)
        time.now()
        return time


class Answering(sitecustomize.Fleet):
    """A fleet whose control port answers so, whoever asks."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("127.0.0.1", 8100)
        self._answer = answer

    def _connected(self) -> Any:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(self._answer)
        return ours


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"now": NaN}',
        b"HTTP/1.1 500 No\r\nContent-Length: 14\r\n\r\n" + b'{"error": "x"}',
    ],
)
def test_who_is_no_fleet_is_told_so(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sitecustomize, "_sleep", lambda _seconds: None)

    with pytest.raises(sitecustomize.Gone):
        Answering(answer).clock()


def test_a_program_that_works_is_as_fast_as_outside_and_comes_up_when_it_waits() -> (
    None
):
    outside = Outside(speed=100)
    time = outside.time()

    outside.pass_s(0.5)
    assert time.now() == pytest.approx(0.5)
    assert time.fleet_now() == pytest.approx(50)
    time.go_on()
    assert time.now() == pytest.approx(50)
    outside.pass_s(shim.WORK_S + 1)  # who knows what it does
    assert time.now() == pytest.approx(650)


def test_time_stands_while_the_fleet_is_paused_but_ever_grows() -> None:
    outside = Outside()
    outside.is_paused = True
    time = outside.time()
    told = []
    for _ in range(20):
        outside.pass_s(0.1)
        told.append(time.now())

    assert told == sorted(set(told)), "programs divide by what has passed"
    assert told[-1] < MOMENT_S


def test_time_never_goes_back_even_when_the_fleet_does() -> None:
    outside = Outside(speed=1)
    time = outside.time()
    outside.pass_s(20)
    before = time.now()
    outside.now_s = 3.0  # a snapshot
    outside.pass_s(1)
    seen = time.now()
    outside.pass_s(10)

    assert seen >= before
    assert time.now() == pytest.approx(seen + 10, abs=0.1)


def test_a_wait_follows_the_clock_through_speeds_pauses_and_advances() -> None:
    outside = Outside(speed=60)
    waits = shim.Waits(outside.time(), is_driving=False, real=outside.real)
    events = iter(
        [lambda: setattr(outside, "is_paused", True)]
        + [lambda: None] * 30
        + [lambda: setattr(outside, "is_paused", False)]
        + [lambda: setattr(outside, "now_s", outside.now_s + 3000)]
    )

    def poll(real_s: float) -> None:
        assert real_s <= shim.LOOK_S
        next(events, lambda: None)()
        outside.pass_s(real_s)

    began = outside.real_s
    waits.until(3600.0, poll)

    assert 3600 <= waits.time.now() < 3600 + 60 * shim.LOOK_S
    assert outside.real_s - began == pytest.approx(600 / 60 + 31 * shim.LOOK_S, abs=0.2)


def test_what_is_waited_for_ends_the_wait() -> None:
    outside = Outside()
    waits = shim.Waits(outside.time(), is_driving=False, real=outside.real)

    def poll(real_s: float) -> str | None:
        outside.pass_s(real_s)
        return "there" if outside.now_s > 30 else None

    assert waits.until(3600.0, poll) == "there"
    assert waits.time.now() < 60


def test_a_wait_drives_a_fleet_that_stands_still() -> None:
    outside = Outside()
    outside.is_paused = True
    waits = shim.Waits(
        outside.time(is_driven=True),
        is_driving=True,
        real=outside.real,
        frames=lambda: {threading.get_ident(): None},  # of a program with one thread
    )

    waits.sleep(3600.0)

    assert outside.real_s == 1000.0, "no real second"
    assert waits.time.now() == pytest.approx(3600, abs=MOMENT_S)
    assert outside.now_s == pytest.approx(3600, abs=MOMENT_S)


def test_no_timeout_is_shorter_than_it_was_while_an_answer_is_due() -> None:
    outside = Outside(speed=1000)
    waits = shim.Waits(outside.time(), is_driving=False, real=outside.real)
    waits.answers.connecting(7, is_done=True)
    waits.answers.sent(7)
    began = outside.real_s

    def poll(real_s: float) -> str | None:
        outside.pass_s(real_s)
        return "answer" if outside.real_s > began + 0.8 else None

    assert waits.for_sockets(poll, 5.0) == "answer"
    assert waits.time.now() < 1.0, "a timer of five seconds is not due"


def test_who_never_answers_is_not_waited_for_again() -> None:
    outside = Outside()
    answers = shim.Answers(outside.real)
    answers.connecting(7, is_done=False)
    assert answers.left_s() == shim.ANSWER_S
    answers.sent(7)
    outside.pass_s(shim.ANSWER_S)
    assert answers.left_s() == 0
    answers.sent(7)
    assert answers.left_s() == 0
    answers.received(7)
    answers.sent(7)
    assert answers.left_s() == shim.ANSWER_S
    answers.closed(7)
    assert answers.left_s() == 0
    answers.sent(8)
    assert answers.left_s() == 0, "nobody that this program has called"


def test_the_thread_with_the_earliest_deadline_moves_the_time_when_all_wait() -> None:
    outside = Outside()
    place = SimpleNamespace(f_lasti=1)
    frames: dict[int, Any] = {1: place, 2: place}
    turns = shim.Turns(shim.Answers(outside.real), outside.real, lambda: frames)
    turns.waits = {1: shim.Wait(100.0), 2: shim.Wait(30.0, on := object())}

    assert (turns.has(1), turns.has(2)) == (False, True)
    turns.waits[1], turns.waits[2].deadline = shim.Wait(20.0), 30.0
    assert (turns.has(1), turns.has(2)) == (True, False)
    turns.wake(on)
    assert not turns.has(1), "the other goes on before"


def test_a_thread_that_works_keeps_the_time_until_it_is_seen_to_wait() -> None:
    outside = Outside()
    frames: dict[int, Any] = {
        1: SimpleNamespace(f_lasti=1),
        2: (other := SimpleNamespace(f_lasti=1)),
    }
    turns = shim.Turns(shim.Answers(outside.real), outside.real, lambda: frames)
    turns.waits = {1: shim.Wait(100.0)}

    assert not turns.has(1)
    outside.pass_s(shim.PARKED_S / 2)
    other.f_lasti = 2
    assert not turns.has(1)
    outside.pass_s(shim.PARKED_S)
    assert turns.has(1)
    del frames[2]
    assert not turns.has(1), "somebody may have waited for its end"
    outside.pass_s(shim.SETTLE_S)
    assert turns.has(1)


@pytest.fixture(scope="module")
def fleet() -> Iterator[RunningFleet]:
    with softaxe.running(speed=0, control=True) as fleet:
        yield fleet


def run(fleet: RunningFleet, program: str, *, is_driving: bool, path: Path) -> Any:
    """What a program prints as JSON."""
    env = environment(
        fleet.control_url,
        now_s=fleet.clock.now,
        is_driving=is_driving,
        environ={**os.environ, "PYTHONPATH": str(path)},
    )
    done = subprocess.run(
        [sys.executable, "-c", program, fleet.url],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TUNER = """
import asyncio, json, pickle, queue, sys, threading, time, urllib.request
from datetime import datetime
from time import monotonic, sleep

def info():
    with urllib.request.urlopen(sys.argv[1] + "/api/system/info", timeout=5) as answer:
        return json.load(answer)

def worker(name, period_s):
    for _ in range(2):
        sleep(period_s)
        order.append((name, round(monotonic() - began)))

told = {}
began, day, uptime = monotonic(), datetime.now(), info()["uptimeSeconds"]
for _ in range(6):
    sleep(600)
    info()
told["slept"] = monotonic() - began
told["day"] = (datetime.now() - day).total_seconds()
told["uptime"] = info()["uptimeSeconds"] - uptime
told["kind"] = type(pickle.loads(pickle.dumps(datetime.now()))) is datetime

order, began = [], monotonic()
threads = [threading.Thread(target=worker, args=one) for one in (("a", 50), ("b", 20))]
[one.start() for one in threads]
[one.join() for one in threads]
told["order"] = order
try:
    queue.Queue().get(timeout=300)
except queue.Empty:
    told["waited"] = monotonic() - began

async def main():
    began = asyncio.get_running_loop().time()
    reader, writer = await asyncio.open_connection("127.0.0.1", sys.argv[1][17:])
    async with asyncio.timeout(2):
        writer.write(b"GET /api/system/info HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n")
        told["status"] = (await reader.readline()).decode()
    await asyncio.gather(asyncio.sleep(150), asyncio.sleep(300))
    told["asyncio"] = asyncio.get_running_loop().time() - began
    writer.close()

asyncio.run(main())
told["chained"] = getattr(sys, "chained", None)
print(json.dumps(told))
"""


@pytest.mark.unwatched
def test_a_tuner_of_hours_drives_a_paused_fleet(
    fleet: RunningFleet, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.chained = 'yes'")
    before = fleet.clock.now

    told = run(fleet, TUNER, is_driving=True, path=tmp_path)

    assert told["slept"] == pytest.approx(3600, abs=0.1)
    assert told["day"] == pytest.approx(3600, abs=0.1)
    assert told["uptime"] == pytest.approx(3600, abs=1)
    assert told["kind"]
    assert told["order"] == [["b", 20], ["b", 40], ["a", 50], ["a", 100]]
    assert told["waited"] == pytest.approx(400, abs=0.1)
    assert "200 OK" in told["status"]
    assert told["asyncio"] == pytest.approx(300, abs=0.1)
    assert told["chained"] == "yes"
    assert fleet.clock.now - before == pytest.approx(4300, abs=1)


FOLLOWER = """
import json, sys, threading, time
began = time.monotonic()
is_set = threading.Event()
threading.Timer(240, is_set.set).start()
found = [is_set.wait(60), is_set.wait(600)]
print(json.dumps([*found, time.monotonic() - began]))
"""


def test_a_program_follows_a_fleet_that_goes(
    fleet: RunningFleet, tmp_path: Path
) -> None:
    fleet.clock.speed = 360
    fleet.clock.resume()
    try:
        before = fleet.clock.now
        told = run(fleet, FOLLOWER, is_driving=False, path=tmp_path)
        passed_s = fleet.clock.now - before
    finally:
        fleet.clock.pause()

    assert told[:2] == [False, True]
    assert 240 <= told[2] < 600
    assert told[2] <= passed_s, "never ahead"


def test_a_program_ends_when_its_fleet_does(tmp_path: Path) -> None:
    env = environment("http://127.0.0.1:9", now_s=0.0, is_driving=False)

    done = subprocess.run(
        [sys.executable, "-c", "print('never')"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (shim.UNREACHABLE, "")
    assert "nobody answers at 127.0.0.1:9" in done.stderr
