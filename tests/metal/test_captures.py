"""What went over two real boards' wires, over softaxe's: pool, firmware, chip and back.

Sources: 256foundation mujina, its test data of a Bitaxe Gamma (BM1370); bitaxeorg
ESP-Miner, issue 271, a Supra (BM1368). The Supra was a 401, whose regulator is another;
for its chip's bytes a 402 is the same.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.metal.wired import Wired

from softaxe import Pool
from softaxe.asic import frames
from softaxe.catalog import board as board_named
from softaxe.catalog.firmware import firmware
from softaxe.device.logbook import LEVELS
from softaxe.metal.raw_board import RawBoard
from softaxe.stratum.pool import PoolConnection

GAMMA, SUPRA = 0, 1
"""Of the captured round trips."""
JOB_BEGINNING = frames.HOST_PREAMBLE + bytes((frames.JOB_HEADER,))
JOB_FRAME_BYTES = 88
MOST_S = 60.0
"""For anything to come about."""
Trip = dict[str, Any]


class RecordedPool(Pool):
    """Says what a pool has said, and keeps what it is told."""

    def __init__(self, trip: Trip) -> None:
        super().__init__()
        self.trip = trip
        self.connection: RecordedConnection | None = None
        self.submitted: list[list[str]] = []

    def connect(self, now: float, name: str = "") -> "RecordedConnection":
        """Take up the one miner."""
        self.connection = RecordedConnection(self, now, name=name)
        return self.connection

    def notify(self, job: list[Any]) -> None:
        """Send a job."""
        assert self.connection is not None
        self.connection.say(id=None, method="mining.notify", params=job)


class RecordedConnection(PoolConnection):
    """To that pool."""

    def __init__(self, pool: RecordedPool, now: float, *, name: str) -> None:
        super().__init__(pool, now, name=name)
        self._recorded = pool

    def say(self, **message: Any) -> None:
        self._out += json.dumps(message).encode() + b"\n"

    def receive(self, data: bytes, now: float) -> None:
        """Answer each line, and tell the difficulty once the miner is known."""
        trip = self._recorded.trip
        for line in data.splitlines():
            asked = json.loads(line)
            result: Any = True
            match asked["method"]:
                case "mining.subscribe":
                    result = [[], trip["extranonce1"], trip["extranonce2_size"]]
                case "mining.configure":
                    mask = {"version-rolling.mask": "1fffe000"}
                    result = {"version-rolling": True, **mask}
                case "mining.submit":
                    self._recorded.submitted.append(asked["params"][1:])
            self.say(id=asked["id"], error=None, result=result)
            if asked["method"] == "mining.authorize":
                difficulty = [trip["pool_difficulty"]]
                self.say(id=None, method="mining.set_difficulty", params=difficulty)


class RecordedChip(RawBoard):
    """An emulated board; to jobs its chip says no more than a real one has said."""

    def __init__(self, trip: Trip) -> None:
        super().__init__(board_named(trip["board"]), seed=1)
        self.jobs: list[str] = []
        self._last, self._nonce = trip["jobs"][-1], bytes.fromhex(trip["nonce"])

    def data_received(self, data: bytes, now: float) -> None:
        """Keep jobs; what else there is goes on to the emulated chip."""
        while (at := data.find(JOB_BEGINNING)) >= 0:
            self.jobs.append(data[at : at + JOB_FRAME_BYTES].hex())
            data = data[:at] + data[at + JOB_FRAME_BYTES :]
        super().data_received(data, now)

    def data_to_host(self) -> bytes:
        """Tell the nonce, once its job is there."""
        data = super().data_to_host()
        if self._nonce and self._last in self.jobs:
            data, self._nonce = data + self._nonce, b""
        return data


def wait_for(wired: Wired, is_so: Callable[[], bool], *, step_s: float) -> float:
    """Let time pass until something is so; return how long it took."""
    began = wired.now
    while not is_so():
        assert wired.now < began + MOST_S
        wired.advance(step_s)
    return wired.now - began


def jobs_before(trip: Trip) -> int:
    """How many jobs of another notify make the first captured one's id come out.

    Modulo 16: ids come in steps of 24, and there are 128. The extranonce2 counts the
    jobs of its own notify.
    """
    first = bytes.fromhex(trip["jobs"][0])[4]
    number = next(n for n in range(16) if 24 * (n + 1) % 128 == first)
    own = int.from_bytes(bytes.fromhex((trip["submit"] or ["", "00"])[1]), "little")
    return (number - own) % 16


@pytest.mark.unwatched
@pytest.mark.parametrize("which", [GAMMA, SUPRA])
def test_a_real_round_trip_is_the_same_to_the_byte(
    which: int, captures: dict[str, Any]
) -> None:
    trip = captures["round_trips"][which]
    chip, pool = RecordedChip(trip), RecordedPool(trip)
    wired = Wired(trip["board"], raw=chip)
    device = wired.mine(0, pool=pool)
    device.log.levels = LEVELS
    wait_for(wired, lambda: pool.connection is not None, step_s=0.5)
    wired.advance(1)
    if before := jobs_before(trip):
        another = trip["notify"].copy()
        another[0], another[7] = "875b4b6", "685468b9"
        pool.notify(another)
        # Those that are ready are sent first, as on the real board.
        sent = (before - firmware().rows.queued_jobs) % 16
        wait_for(wired, lambda: len(chip.jobs) == sent, step_s=0.1)

    pool.notify(trip["notify"])
    seconds = wait_for(wired, lambda: trip["jobs"][0] in chip.jobs, step_s=0.1)
    wired.advance(len(trip["jobs"]) / 2 + 0.5)

    first = chip.jobs.index(trip["jobs"][0])
    assert chip.jobs[first : first + len(trip["jobs"])] == trip["jobs"]
    assert seconds == pytest.approx(trip["seconds"], abs=0.6)
    told = [line.text for line in device.log.take()]
    assert all(text in told for text in trip["logged"])
    best = device.mining.exact_session_difficulty
    assert best == pytest.approx(trip["difficulty"], abs=0.005)
    assert pool.submitted == ([trip["submit"]] if trip["submit"] else [])
    assert device.shares.accepted == len(pool.submitted)
    assert device.driver.bad_frames == 0
