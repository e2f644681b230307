"""The context manager that other people's tests use."""

import asyncio
import json
import math
import socket
import tempfile
import threading
import time
import unittest
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

import softaxe
from softaxe.errors import NotThere, SettingError
from softaxe.testing import run as testing
from softaxe.testing.options import FaultOptions
from softaxe.testing.run import MakeDevices, RunningPool


def test_a_device_is_ready_and_hashes_when_it_is_handed_out() -> None:
    with softaxe.running() as bitaxe:
        with urllib.request.urlopen(f"{bitaxe.url}/api/system/info") as answer:
            info = json.load(answer)

        assert info["hashRate"] > 500
        assert info["boardVersion"] == "601"
        assert [entry.path for entry in bitaxe.journal] == ["/api/system/info"]
        bitaxe.info()
        assert len(bitaxe.journal) == 1, "looking is no request"


def open_files() -> int:
    """How many files and sockets this process has open, where that can be told."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with softaxe.running():  # what is loaded once stays
        pass
    threads, files = threading.active_count(), open_files()
    with softaxe.running(count=3) as fleet:
        ports = [int(device.url.rpartition(":")[2]) for device in fleet]
        assert len(list(tmp_path.iterdir())) == 1

    assert threading.active_count() <= threads
    assert open_files() <= files
    assert list(tmp_path.iterdir()) == []
    for port in ports:
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", port)) != 0
    with pytest.raises(RuntimeError, match="only inside `with`"):
        fleet.info()


@pytest.mark.unwatched
def test_many_devices_each_with_its_own_handle() -> None:
    with softaxe.running(count=2, board=["601", "hex"], speed=0) as fleet:
        gamma, other = fleet
        gamma.patch(frequency=490)
        other.faults.add("fan_dead")
        fleet.clock.advance(60)

        assert gamma.info()["frequency"] == 490
        assert gamma.info()["fanrpm"] > 0
        assert other.info()["fanrpm"] == 0
        assert fleet["303-2"].url == other.url == fleet[1].url
        other.remove()
        assert len(fleet) == 1
        (new,) = fleet.add(board="602")
        assert new.id == "602-2"


def test_a_test_with_a_loop_of_its_own_may_wait_for_it() -> None:
    async def main() -> float:
        async with softaxe.running(speed=0) as bitaxe:
            bitaxe.clock.advance(5)
            return bitaxe.clock.now

    assert asyncio.run(main()) == pytest.approx(20)


class WithUnittest(unittest.TestCase):
    def test_it(self) -> None:
        bitaxe = self.enterContext(softaxe.running())
        assert bitaxe.info()["power"] > 5


@pytest.mark.unwatched
def test_time_stands_still_goes_on_and_jumps() -> None:
    with softaxe.running(speed=0) as bitaxe:
        before = bitaxe.clock.now
        assert bitaxe.clock.now == before
        bitaxe.clock.advance(1000)
        assert bitaxe.clock.now == before + 1000
        bitaxe.clock.speed = 100
        bitaxe.clock.resume()
        while bitaxe.clock.now < before + 1001:
            pass
        bitaxe.clock.pause()
        assert bitaxe.clock.speed == 100


def test_a_device_that_is_back_is_to_be_reached_when_the_time_is_over() -> None:
    with (
        softaxe.running(speed=0) as bitaxe,
        # A port closes when the answers that are on their way have had some time.
        connect(f"ws{bitaxe.url.removeprefix('http')}/api/ws", proxy=None),
    ):
        bitaxe.restart()
        bitaxe.clock.advance(20)

        with urllib.request.urlopen(f"{bitaxe.url}/api/system/info") as answer:
            assert json.load(answer)["resetReason"].startswith("Software reset")


@pytest.mark.unwatched
def test_the_same_seed_lives_the_same_life() -> None:
    def life() -> list[object]:
        with softaxe.running(seed=9, speed=0) as bitaxe:
            bitaxe.clock.advance(600)
            info = bitaxe.info()
            names = (
                "power",
                "temp",
                "macAddr",
                "hostname",
                "sharesAccepted",
                "bestDiff",
            )
            return [info[name] for name in names]

    first = life()
    time.sleep(1.1)  # the pool dates its jobs by the second

    assert life() == first


def test_a_client_is_told_what_a_device_does_otherwise() -> None:
    with softaxe.running() as bitaxe:
        httpx.patch(f"{bitaxe.url}/api/system", json={"frequency": 512.5})
        (entry,) = bitaxe.journal
        again = bitaxe.patch(coreVoltage=1175)

    (warning,) = entry.warnings
    assert warning.startswith("frequency: 512.5 MHz is none of the board's options")
    (told,) = entry.differs
    assert told.endswith("v2.12.2: an empty chunked body of type text/html")
    assert again[0].startswith("coreVoltage: 1175 mV is none of")


def test_settings_last_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    with softaxe.running(state=tmp_path) as bitaxe:
        bitaxe.patch(statsFrequency=44)
    with softaxe.running(state=tmp_path) as bitaxe:
        assert bitaxe.info()["statsFrequency"] == 44


def test_what_is_not_allowed_is_told_at_once() -> None:
    with pytest.raises(SettingError, match="board: '9000' is none of"):
        softaxe.running(board="9000")
    with pytest.raises(SettingError, match="pool_dialect: 'x' is none of softaxe"):
        softaxe.running(pool_dialect="x")
    with pytest.raises(SettingError, match="colour is none of"):
        softaxe.running(colour="red")  # type: ignore[call-arg]
    with pytest.raises(SettingError, match="frequency: 0"):
        softaxe.running(settings={"frequency": 0})
    with pytest.raises(SettingError, match="frequency: 1000"):
        softaxe.running(settings={"frequency": 1000}, strict=True)
    for beside in ({"ambient": 60}, {"colour": 1}, {"count": 7}, {"board": "999"}):
        with pytest.raises(SettingError, match=f"{next(iter(beside))}: is to stand"):
            softaxe.running(groups=[{}], **beside)
    with (
        softaxe.running() as bitaxe,
        pytest.raises(SettingError, match="effect: 'fire' is none of"),
    ):
        bitaxe.faults.add("fire")  # type: ignore[arg-type]


def test_a_fault_for_nobody_is_refused_but_other_miners_may_come() -> None:
    with softaxe.running(warm_up_s=0) as fleet:
        nobody: list[FaultOptions] = [
            {"device": "nosuch"},
            {"group": "nosuch"},
            {"fan": 2},
            {"fan": 2, "device": "601-1"},
        ]
        for whom in nobody:
            with pytest.raises(SettingError, match="device: there is none like"):
                fleet.faults.add("fan_dead", **whom)
        fleet.pool.faults.add("pool_reject", group="strangers")
        added = fleet.faults.add("fan_dead", device="601-*", share=0.0)
        fleet.faults.change(added, paused=True, device=["601-*"])
        with pytest.raises(NotThere, match="fault: there is no 'none'"):
            fleet.faults.change("none", paused=True)

        rules = fleet.call(lambda running: list(running.faults.rules.rules.values()))

    assert [(rule.effect, rule.is_paused) for rule in rules] == [
        ("pool_reject", False),
        ("fan_dead", True),
    ]


def test_times_that_cannot_be_are_told_at_once() -> None:
    for speed in (-1, 0.001, math.nan, math.inf):
        with pytest.raises(SettingError, match=r"speed: .* is outside"):
            softaxe.running(speed=speed)
    with pytest.raises(SettingError, match="warm_up_s: -1 is outside"):
        softaxe.running(warm_up_s=-1)
    with softaxe.running(speed=0) as bitaxe:
        before = bitaxe.clock.now
        for speed in (0, -1, math.nan):
            with pytest.raises(SettingError, match=r"speed: .* is outside"):
                bitaxe.clock.speed = speed
        with pytest.raises(SettingError, match="speed: 'x' is no number"):
            bitaxe.clock.speed = "x"  # type: ignore[assignment]
        for seconds in (-5, math.nan, math.inf):
            with pytest.raises(SettingError, match=r"seconds: .* is outside"):
                bitaxe.clock.advance(seconds)
        bitaxe.clock.advance(1)
        assert bitaxe.clock.now == before + 1


def test_the_pool_serves_and_misbehaves() -> None:
    with softaxe.running(count=2, speed=0) as fleet:
        fleet.clock.advance(120)
        info = fleet.pool.info()
        assert info["connections"] == 2
        assert info["sharesAccepted"] == sum(
            device.info()["sharesAccepted"] for device in fleet
        )
        fleet.pool.faults.add("pool_reject", reason="No")
        fleet.clock.advance(120)
        assert set(fleet.pool.info()["sharesRejected"]) == {"No"}
        fleet.pool.drop_connections()
        fleet.clock.advance(1)
        assert any("dropped on request" in line for line in fleet.pool.journal)


class Miner:
    """Somebody else's, at a pool."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._sock = socket.create_connection(address, 5)
        self._lines = self._sock.makefile("rb")
        self._sent = 0

    def close(self) -> None:
        self._lines.close()
        self._sock.close()

    def send(self, method: str, *params: object) -> int:
        """Send a request; return its id."""
        self._sent += 1
        request = {"id": self._sent, "method": method, "params": params}
        self._sock.sendall(json.dumps(request).encode() + b"\n")
        return self._sent

    def ask(self, method: str, *params: object) -> dict[str, Any]:
        """Send a request; return the answer, or nothing when the pool hangs up."""
        sent = self.send(method, *params)
        return next((line for line in self.lines() if line.get("id") == sent), {})

    def lines(self) -> Iterator[dict[str, Any]]:
        """What the pool says, until it hangs up."""
        return map(json.loads, self._lines)


def test_the_pool_speaks_as_another(bitaxe_factory: MakeDevices) -> None:
    pool = bitaxe_factory(groups=[], warm_up_s=0, pool_dialect="datum").pool
    with socket.create_connection(pool.address, 10) as sock:
        sock.sendall(b'{"id":1,"method":"mining.fly","params":[]}\n')
        answer = sock.makefile("rb").readline()

    assert answer == b'{"error":[-3,"Method not found",null],"id":1,"result":null}\n'


@pytest.fixture
def stranger(bitaxe_pool: RunningPool) -> Iterator[Miner]:
    """A miner at the built-in pool that is no device."""
    with closing(Miner(bitaxe_pool.address)) as miner:
        miner.ask("mining.subscribe")
        assert miner.ask("mining.authorize", "somebody", "x")["result"] is True
        yield miner


def test_a_miner_that_is_no_device_is_refused_on_order(
    bitaxe_pool: RunningPool, stranger: Miner
) -> None:
    bitaxe_pool.faults.add("pool_difficulty", difficulty=0.25)
    asked = {"id": None, "method": "mining.set_difficulty", "params": [0.25]}
    assert asked in stranger.lines()

    bitaxe_pool.faults.add("pool_reject", reason="Not today", group="strangers")
    share = "somebody", "1", "00", "00000000", "00000000"
    assert stranger.ask("mining.submit", *share)["error"] == [20, "Not today", None]
    assert bitaxe_pool.info()["sharesRejected"] == {"Not today": 1}


def test_a_miner_is_told_of_and_ordered_about(
    bitaxe_pool: RunningPool, stranger: Miner
) -> None:
    (row,) = bitaxe_pool.miners
    assert row["workers"][0]["user"] == "somebody"

    bitaxe_pool.set_difficulty(row["id"], 0.5)
    asked = {"id": None, "method": "mining.set_difficulty", "params": [0.5]}
    assert asked in stranger.lines()
    bitaxe_pool.do(row["id"], "reconnect", host="pool.example", port=3)
    sent_away = ["pool.example", 3, 0]
    assert any(line.get("params") == sent_away for line in stranger.lines())
    bitaxe_pool.new_block()
    assert any(line.get("params", [0])[-1] is True for line in stranger.lines())

    with pytest.raises(SettingError, match="deed: regroup is for miners with open"):
        bitaxe_pool.do(row["id"], "regroup")
    bitaxe_pool.disconnect(row["id"])
    assert list(stranger.lines()) == []
    with pytest.raises(NotThere, match="miner: there is no '1'"):
        bitaxe_pool.disconnect("1")


def test_miners_of_stratum_v2_are_answered(bitaxe_pool: RunningPool) -> None:
    url = bitaxe_pool.v2_url
    place = url.removeprefix("stratum2+tcp://").partition("/")[0]
    host, _, port = place.rpartition(":")

    with socket.create_connection((host, int(port)), 5) as miner:
        miner.sendall(bytes(64))
        answer = miner.recv(999)

    assert len(answer) == 234, "a key, a sealed one and a sealed certificate"
    assert bitaxe_pool.v2_url == url


def test_a_miner_that_is_no_device_is_not_heard_while_the_pool_is_silent(
    bitaxe_pool: RunningPool, stranger: Miner
) -> None:
    rule = bitaxe_pool.faults.add("pool_silent", device="127.0.0.1:*")
    unheard = stranger.send("mining.ping")
    bitaxe_pool.clock.advance(1)
    bitaxe_pool.faults.remove(rule)
    heard = stranger.send("mining.ping")

    answers = (line["id"] for line in stranger.lines() if line["id"] is not None)
    assert next(answers) == heard != unheard


def test_a_miner_that_is_no_device_is_cut_off_while_the_pool_is_down(
    bitaxe_pool: RunningPool, stranger: Miner
) -> None:
    bitaxe_pool.faults.add("pool_down")
    assert stranger.ask("mining.ping") == {}
    with closing(Miner(bitaxe_pool.address)) as another:
        assert another.ask("mining.subscribe") == {}

    bitaxe_pool.faults.clear()
    with closing(Miner(bitaxe_pool.address)) as another:
        assert another.ask("mining.subscribe")["error"] is None


def test_a_miner_that_is_no_device_is_asked_to_connect_anew_once(
    bitaxe_pool: RunningPool, stranger: Miner
) -> None:
    bitaxe_pool.faults.add("pool_reconnect")
    asked: dict[str, Any] = {"id": None, "method": "client.reconnect", "params": []}
    assert asked in stranger.lines()

    with closing(Miner(bitaxe_pool.address)) as again:
        again.send("mining.subscribe")
        ping = again.send("mining.ping")
        seen = list(takewhile(lambda line: line["id"] != ping, again.lines()))
        assert asked not in seen


def test_a_start_that_is_cancelled_leaves_nothing_behind() -> None:
    threads = threading.active_count()

    async def start_in_vain() -> None:
        async with asyncio.timeout(0.001), softaxe.running():
            raise AssertionError

    with pytest.raises(TimeoutError):
        asyncio.run(start_in_vain())

    assert threading.active_count() <= threads


def test_a_start_that_takes_too_long_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = threading.active_count()
    monkeypatch.setattr(testing, "START_S", -1.0)

    with pytest.raises(TimeoutError, match="were not up"), softaxe.running():
        pass

    assert threading.active_count() <= threads


def test_something_is_waited_for_in_device_time() -> None:
    with softaxe.running(speed=0, warm_up_s=0) as bitaxe:
        info = bitaxe.wait_until(lambda info: info["uptimeSeconds"] >= 30)
        assert info["uptimeSeconds"] == 30
        began = bitaxe.clock.now
        with pytest.raises(AssertionError, match="did not hold within 2500ms"):
            bitaxe.wait_until(lambda info: False, within="2500ms")
        assert bitaxe.clock.now - began == pytest.approx(2.5)
        with pytest.raises(SettingError, match="within: 'soon' is no duration"):
            bitaxe.wait_until(lambda info: True, within="soon")
        assert any("stratum" in line for line in bitaxe.log)


def test_devices_come_back_as_they_were_and_start_over() -> None:
    with softaxe.running(speed=0, settings={"frequency": 490}) as bitaxe:
        url = bitaxe.url
        bitaxe.snapshot()
        bitaxe.patch(frequency=400)
        bitaxe.faults.add("fan_dead")
        bitaxe.clock.advance(600)
        bitaxe.clock.speed = 2
        bitaxe.clock.resume()
        bitaxe.add(board="hex")
        bitaxe.restore()

        assert [device.id for device in bitaxe] == ["601-1"]
        assert (bitaxe.clock.now, bitaxe.clock.speed, bitaxe.url) == (15, 1, url)
        assert bitaxe.info()["frequency"] == 490
        assert bitaxe.info()["fanrpm"] > 0
        bitaxe.clock.advance(10)
        assert bitaxe.pool.info()["connections"] == 1
        with pytest.raises(NotThere, match="snapshot: there is no 'other'"):
            bitaxe.restore("other")
        with pytest.raises(SettingError, match="name"):
            bitaxe.snapshot("a/b")

        bitaxe.patch(frequency=400)
        bitaxe.reset()
        assert bitaxe.clock.now == testing.WARM_UP_S
        assert bitaxe.info()["frequency"] == 490
        assert bitaxe.info()["hashRate"] > 500
        with pytest.raises(NotThere, match="there is no 'start'"):
            bitaxe.restore()


def test_another_loop_than_that_of_asyncio_may_wait_for_it() -> None:
    async def main() -> str:
        async with softaxe.running() as bitaxe:
            return bitaxe.url

    with pytest.raises(StopIteration) as answer:  # nothing asks for asyncio
        main().send(None)

    assert str(answer.value.value).startswith("http://127.0.0.1:")
