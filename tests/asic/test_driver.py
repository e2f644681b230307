from typing import Any

import pytest

from softaxe.asic import frames
from softaxe.asic.driver import (
    Driver,
    DriverEvent,
    DriverFailed,
    DriverReady,
    DriverState,
    FrequencyReached,
    HashrateMeasured,
    NonceFound,
    ramp_steps,
)
from softaxe.asic.frames import CommandReader
from softaxe.bitcoin.header import Work
from softaxe.catalog import board
from softaxe.units import NEVER, Level

CHIP = board("601").chip
CHIP_ID = frames.chip_id_reply(CHIP.chip_id, 0)
WORK = Work(0x20000000, bytes(32), bytes(32), 1_700_000_000, 0x1705AE3A)


class Bench:
    """A driver whose chips answer what a test wants."""

    def __init__(self, *, asic_count: int = 1) -> None:
        self.lines: list[str] = []
        self.driver = Driver(CHIP, asic_count=asic_count, log=self.log)
        self.sent: list[bytes] = []
        self.events: list[DriverEvent] = []
        self.now = 0.0

    def log(self, level: Level, tag: str, text: str) -> None:
        self.lines.append(f"{level} {tag}: {text}")

    def take(self) -> None:
        data = self.driver.data_to_chip()
        while data:
            size = data[3] + 2
            self.sent.append(data[:size])
            data = data[size:]
        self.events += self.driver.events()

    def advance(self, until: float, *, id_replies: int = 1) -> None:
        while (due := self.driver.next_wake) <= until:
            self.now = due
            self.driver.step(due)
            before = len(self.sent)
            self.take()
            if frames.read_all(0) in self.sent[before:]:
                for _ in range(id_replies):
                    self.driver.receive(CHIP_ID, self.now)
        self.now = until

    def state(self) -> DriverState:
        return self.driver.state

    def start(self, *, id_replies: int = 1) -> "Bench":
        self.driver.start(525.0, 0.0)
        self.advance(20.0, id_replies=id_replies)
        return self


def test_the_initialisation_is_that_of_the_reference(vectors: dict[str, Any]) -> None:
    expected = next(
        [frame for _, frame in entry["sequence"]]
        for entry in vectors["asic"]["command_frames"]
        if entry["chip"] == "BM1370" and entry["chips"] == 1
    )

    sent = [frame.hex() for frame in Bench().start().sent]

    # The reference leaves out the 76 steps of the ramp.
    without_ramp = [frame for frame in sent if not frame.startswith("55aa51090008")]
    baud = vectors["asic"]["max_baud_frames"]["BM1370"][0]
    assert [f for f in without_ramp if f != baud] == [
        f for f in expected if not f.startswith("55aa51090008") and f != baud
    ]
    assert len(sent) - len(without_ramp) == 76
    assert without_ramp[-1] == baud


def test_a_chain_of_six_gets_its_addresses(vectors: dict[str, Any]) -> None:
    bench = Bench(asic_count=6).start(id_replies=6)

    addresses = [f[4] for f in bench.sent if f[2] == frames.SET_ADDRESS]

    assert addresses == [0x00, 0x2A, 0x54, 0x7E, 0xA8, 0xD2]
    assert bench.driver.detected_count == 6


def test_start_takes_nine_seconds_and_ends_ready() -> None:
    bench = Bench()
    bench.driver.start(525.0, 0.0)

    bench.advance(8.7)
    assert bench.state() is DriverState.STARTING
    bench.advance(9.0)

    assert bench.state() is DriverState.READY
    assert bench.events == [DriverReady(1)]
    assert "I common: Chip 0 detected: CORE_NUM: 0x00 ADDR: 0x00" in bench.lines
    assert bench.lines[-1] == (
        "I asic_init: ASIC initialized successfully with 1 chip(s) (cold boot mode)"
    )


def test_the_reset_line_is_pulsed() -> None:
    bench = Bench()
    bench.driver.start(525.0, 0.0)

    levels = []
    for now in (0.05, 0.15, 0.25):
        bench.advance(now)
        levels.append(bench.driver.is_reset_low)

    assert levels == [True, False, False]


def test_without_chips_the_start_fails() -> None:
    bench = Bench().start(id_replies=0)

    assert bench.state() is DriverState.FAILED
    assert bench.events == [DriverFailed("Chip count 0")]
    assert "E asic_init: ASIC initialization failed - chip count 0" in bench.lines
    assert bench.driver.next_wake == NEVER


def test_a_missing_chip_is_told_and_the_rest_goes_on() -> None:
    bench = Bench(asic_count=2).start(id_replies=1)

    assert bench.state() is DriverState.READY
    warning = "W common: 1 chip(s) detected on the chain, expected 2"
    assert warning in bench.lines


def test_a_recovery_waits_two_seconds_more() -> None:
    bench = Bench().start()
    bench.driver.stop()
    bench.driver.start(525.0, 100.0, is_recovery=True)

    bench.advance(103.1)
    assert bench.state() is DriverState.STARTING
    bench.advance(103.3)

    assert bench.state() is DriverState.READY
    assert "I asic_init: Waiting 2000 ms for tasks to stabilize..." in bench.lines


def test_ramps_write_what_the_reference_counts(vectors: dict[str, Any]) -> None:
    for vector in vectors["asic"]["frequency_ramp"]:
        steps = ramp_steps(vector["from"], vector["to"])

        assert len(steps) == vector["writes"]
        if steps:
            assert steps[: len(vector["first"])] == vector["first"]
            assert steps[-len(vector["last"]) :] == vector["last"]


def test_a_new_frequency_is_reached_step_by_step() -> None:
    bench = Bench().start()
    bench.events.clear()
    bench.driver.set_frequency(550.0, 30.0)

    bench.advance(30.35)
    assert bench.driver.frequency_mhz == 550.0
    assert bench.events == []
    bench.advance(30.45)

    assert bench.events == [FrequencyReached(550.0)]


def test_a_small_change_is_one_write_without_delay() -> None:
    bench = Bench().start()
    bench.events.clear()

    bench.driver.set_frequency(527.0, 30.0)
    bench.take()

    assert bench.events == [FrequencyReached(527.0)]


def test_job_ids_go_round(vectors: dict[str, Any]) -> None:
    driver = Bench().start().driver
    expected = vectors["asic"]["job_id_sequence"]["BM1370"]

    assert [driver.send_work(WORK) for _ in expected] == expected


def test_nonces_are_decoded_as_in_the_reference(vectors: dict[str, Any]) -> None:
    for vector in vectors["asic"]["result_frames"]:
        if vector["chip"] not in ("BM1370", "BM1368"):
            continue
        count = 256 // vector["address_interval"]
        bench = Bench(asic_count=count).start(id_replies=count)
        bench.events.clear()

        bench.driver.receive(bytes.fromhex(vector["frame"]), 20.0)
        bench.take()

        assert bench.events == [
            NonceFound(
                job_id=vector["job_id"],
                nonce=int(vector["nonce"], 16),
                version_bits=int(vector["version_bits"], 16),
                asic_number=vector["asic_nr"],
                core=vector["core_id"],
                small_core=vector["small_core_id"],
            )
        ]


def test_hash_rates_come_from_counter_differences(vectors: dict[str, Any]) -> None:
    for vector in vectors["asic"]["hash_counter"]["examples"]:
        bench = Bench().start()
        driver = bench.driver
        later = 20.0 + vector["duration_ms"] / 1000
        driver.receive(frames.register_reply(0xFFFFFF00, 0, 0x8C), 20.0)
        value = (0xFFFFFF00 + vector["counter_delta"]) % 2**32
        driver.receive(frames.register_reply(value, 0, 0x8C), later)

        total = driver.monitor.asics[0].total_hs / 1e9
        assert total == pytest.approx(vector["expected_float32"], rel=1e-6)


def test_the_monitor_polls_every_five_seconds_and_then_sums() -> None:
    bench = Bench().start()
    bench.events.clear()
    bench.sent.clear()
    bench.driver.start_monitor(20.0)

    bench.advance(31.0)

    polls = [frame for frame in bench.sent if frame == frames.read_all(0x8C)]
    assert len(polls) == 3
    assert bench.events == [HashrateMeasured()] * 3


def test_a_silent_chain_leaves_the_last_rate() -> None:
    bench = Bench().start()
    driver = bench.driver
    driver.start_monitor(20.0)
    for now, value in ((20.0, 0), (25.0, 1247)):
        bench.advance(now)
        driver.receive(frames.register_reply(value, 0, 0x8C), now)
    bench.advance(60.0)

    assert driver.monitor.total_hs / 1e9 == pytest.approx(1071.1648)


def test_unknown_registers_and_chips_are_told() -> None:
    bench = Bench().start()

    bench.driver.receive(frames.register_reply(1, 0, 0x77), 20.0)
    assert bench.lines[-1] == "W bm1370: Unknown register read: 77"


def test_bad_frames_are_counted_and_dropped() -> None:
    bench = Bench().start()
    bench.events.clear()
    bad = bytearray(frames.nonce_reply(1, 0x30, 0))
    bad[-1] ^= 1

    bench.driver.receive(bytes(bad), 20.0)
    bench.take()

    assert bench.driver.bad_frames == 1
    assert bench.events == []


def test_the_init_frames_are_valid_commands() -> None:
    reader = CommandReader()

    for frame in Bench().start().sent:
        assert len(reader.feed(frame)) == 1
    assert reader.bad_frames == 0
