from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from tests.each import each

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
)
from softaxe.asic.frames import CommandReader
from softaxe.bitcoin.header import Work, difficulty_of, sha256d
from softaxe.catalog import Chip, board, catalog_data, read_chips
from softaxe.units import NEVER, Level

CHIP = board("601").chip
WIRE = frames.WIRES[CHIP.name]
CHIPS = read_chips(catalog_data())
TICKET = 256 * 0xFFFF / 0x10000
"""What a chip lets through, which looks at 40 bits and not at a difficulty of 256."""
WORK = Work(0x20000000, bytes(32), bytes(32), 1_700_000_000, 0x1705AE3A)


class Bench:
    """A driver whose chips answer what a test wants."""

    def __init__(
        self,
        chip: Chip = CHIP,
        *,
        asic_count: int = 1,
        is_line_fixed: bool = False,
        needs_all_chips: bool = False,
    ) -> None:
        self.lines: list[str] = []
        self.driver = Driver(
            chip,
            asic_count=asic_count,
            log=self.log,
            is_line_fixed=is_line_fixed,
            needs_all_chips=needs_all_chips,
        )
        wire = frames.WIRES[chip.name]
        # A BM1373 is asked before it is told to roll versions.
        size = 9 if chip.name == "BM1372/BM1373" else wire.reply_bytes
        self.chip_id_reply = frames.chip_id_reply(wire, size, chip.chip_id, 0)
        self.sent: list[bytes] = []
        self.events: list[DriverEvent] = []
        self.now = 0.0

    def log(self, level: Level, tag: str, text: str, /, **values: object) -> None:
        self.lines.append(f"{level} {tag}: {text.format(**values)}")

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
                    self.driver.receive(self.chip_id_reply, self.now)
        self.now = until

    def state(self) -> DriverState:
        return self.driver.state

    def start(self, *, id_replies: int = 1) -> "Bench":
        self.driver.start(525.0, 0.0)
        self.advance(20.0, id_replies=id_replies)
        return self


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


@each(
    ("id_replies", "failure"),
    [
        (0, "ASIC chain detection failed"),
        (1, "ASIC 2, 3 not found"),
        (2, "ASIC 3 not found"),
        (3, None),
        (4, "Unexpected ASIC 4 detected"),
    ],
)
def test_newer_firmware_starts_only_a_whole_chain(
    id_replies: int, failure: str | None
) -> None:
    bench = Bench(asic_count=3, needs_all_chips=True).start(id_replies=id_replies)

    assert bench.driver.failure == failure
    if failure is None:
        assert bench.state() is DriverState.READY
        return
    assert bench.events == [DriverFailed(failure)]
    assert f"E asic_init: ASIC initialization failed - {failure}" in bench.lines


def test_a_missing_chip_is_told_and_the_rest_goes_on() -> None:
    bench = Bench(asic_count=2).start(id_replies=1)

    assert bench.state() is DriverState.READY
    warning = "W common: 1 chip(s) detected on the chain, expected 2"
    assert warning in bench.lines


def test_a_recovery_waits_two_seconds_more() -> None:
    bench = Bench().start()
    bench.driver.stop()
    bench.driver.start(525.0, 100.0, is_recovery=True)

    bench.advance(103.25)
    assert bench.state() is DriverState.STARTING
    bench.advance(103.35)  # 0.2 s reset, 0.1 s port, 1 s enumeration, no ramp, 2 s

    assert bench.state() is DriverState.READY
    uart = "I asic_init: UART already initialized, resetting baud to 115200"
    assert uart in bench.lines
    assert "I asic_init: Waiting 2000 ms for tasks to stabilize..." in bench.lines
    assert bench.lines[-1].endswith("with 1 chip(s) (recovery mode)")


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


@pytest.mark.parametrize("name", ["BM1397", "BM1366", "BM1368", "BM1370"])
def test_job_ids_go_round(
    name: str, vectors: dict[str, Any], make_chip: Callable[[str], Chip]
) -> None:
    driver = Bench(make_chip(name)).start().driver
    expected = vectors["asic"]["job_id_sequence"][name]

    assert [driver.send_work(WORK) for _ in expected] == expected


def test_nonces_are_decoded_as_in_the_reference(
    vectors: dict[str, Any], make_chip: Callable[[str], Chip]
) -> None:
    for vector in vectors["asic"]["result_frames"]:
        count = 256 // vector["address_interval"]
        chip = make_chip(vector["chip"])
        bench = Bench(chip, asic_count=count).start(id_replies=count)
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
                midstate_index=vector.get("midstate_index", 0),
            )
        ]


def test_the_monitor_polls_every_five_seconds_and_then_sums() -> None:
    bench = Bench().start()
    bench.events.clear()
    bench.sent.clear()
    bench.driver.start_monitor(20.0)

    bench.advance(31.0)

    registers = (0x4C, 0x88, 0x89, 0x8A, 0x8B, 0x8C)
    assert bench.sent == [frames.read_all(register) for register in registers] * 3
    assert bench.events == [HashrateMeasured()] * 3


def test_a_silent_chain_leaves_the_last_rate() -> None:
    bench = Bench().start()
    driver = bench.driver
    driver.start_monitor(20.0)
    for now, value in ((20.0, 0), (25.0, 1247)):
        bench.advance(now)
        driver.receive(frames.register_reply(11, value, 0, 0x8C), now)
    bench.advance(60.0)

    assert driver.monitor.total_hs / 1e9 == pytest.approx(1071.1648)


def test_unknown_registers_and_chips_are_told() -> None:
    bench = Bench().start()

    bench.driver.receive(frames.register_reply(11, 1, 0, 0x77), 20.0)
    assert bench.lines[-1] == "W bm1370: Unknown register read: 77"


def test_bad_frames_are_counted_and_dropped() -> None:
    bench = Bench().start()
    bench.events.clear()
    bad = bytearray(frames.nonce_reply(11, 1, 0x30, 0))
    bad[-1] ^= 1

    bench.driver.receive(bytes(bad), 20.0)
    bench.take()

    assert bench.driver.bad_frames == 1
    assert bench.lines[-1].startswith("E common: ")
    assert bench.events == []


def test_the_init_frames_are_valid_commands() -> None:
    reader = CommandReader(WIRE.job_bytes)

    for frame in Bench().start().sent:
        assert len(reader.feed(frame)) == 1
    assert reader.bad_frames == 0


def test_the_log_tells_the_way_to_ready_in_the_firmwares_words() -> None:
    lines = Bench().start().lines

    assert lines[:6] == [
        "I asic_init: Starting ASIC initialization (cold boot mode)",
        "I asic_init: Performing full UART initialization",
        "I serial: Initializing serial",
        "I asic_init: Detecting ASIC chips...",
        "I asic: Initializing 1x BM1370",
        "I common: Chip 0 detected: CORE_NUM: 0x00 ADDR: 0x00",
    ]
    assert lines[6:9] == [
        "I frequency_transition: Ramping up frequency from 50 MHz to 525 MHz",
        "I pll: Frequency: 56.25 MHz "
        "(fb_divider: 189, refdiv: 2, postdiv1: 7, postdiv2: 6)",
        "I bm1370: Setting Frequency to 56.25 MHz (56.25)",
    ]
    assert lines[-5:] == [
        "I frequency_transition: Successfully transitioned to 525 MHz",
        "I asic_init: Setting max baud rate and clearing buffers",
        "I bm1370: Setting max baud of 1000000 ",
        "I serial: Changing UART baud to 1000000",
        "I asic_init: ASIC initialized successfully with 1 chip(s) (cold boot mode)",
    ]


def test_answers_that_are_no_chips_are_skipped_during_enumeration() -> None:
    bench = Bench(asic_count=3)
    bench.driver.start(525.0, 0.0)
    bench.advance(0.5, id_replies=0)
    reply = bench.chip_id_reply
    bad = bytes((*reply[:-1], reply[-1] ^ 1))
    other = frames.chip_id_reply(WIRE, 11, 0x1368, 0)

    bench.driver.receive(reply + bad + other + reply + b"\xaa\x55", 0.6)
    bench.advance(20.0, id_replies=0)

    assert bench.driver.detected_count == 2
    assert bench.driver.bad_frames == 3, "a checksum, another chip, a piece"
    assert sum(line.startswith("W common: Unexpected") for line in bench.lines) == 2
    assert [f[4] for f in bench.sent if f[2] == frames.SET_ADDRESS] == [0x00, 0x80]


def test_a_byte_lost_in_the_enumeration_costs_one_chip() -> None:
    bench = Bench(asic_count=3)
    bench.driver.start(525.0, 0.0)
    bench.advance(0.5, id_replies=0)
    reply = bench.chip_id_reply

    bench.driver.receive(reply[:5] + reply[6:] + reply + reply, 0.6)
    bench.advance(20.0, id_replies=0)

    assert bench.driver.detected_count == 2
    assert "W common: Unexpected answer from the chain, skipped: 1 damaged" in (
        bench.lines
    )


@each("name", list(CHIPS))
def test_a_line_that_stays_slow_is_not_made_fast(name: str) -> None:
    chip = CHIPS[name]
    fast = frames.write_all(*frames.WIRES[chip.name].fastest_baud)
    free, fixed = Bench(chip).start(), Bench(chip, is_line_fixed=True).start()

    assert fixed.state() is free.state() is DriverState.READY
    assert fixed.sent == [frame for frame in free.sent if frame != fast]
    assert len(free.sent) == len(fixed.sent) + 1
    assert not any("baud of" in line or "baud to" in line for line in fixed.lines)


def test_enumeration_ends_after_a_second_of_silence() -> None:
    bench = Bench(asic_count=2)
    bench.driver.start(525.0, 0.0)
    bench.advance(1.1, id_replies=0)
    bench.driver.receive(bench.chip_id_reply, 1.1)
    bench.advance(2.0, id_replies=0)
    bench.driver.receive(bench.chip_id_reply, 2.0)

    bench.advance(2.99, id_replies=0)
    assert bench.driver.detected_count == 0
    bench.advance(3.01, id_replies=0)

    assert bench.driver.detected_count == 2


def test_a_new_frequency_takes_the_place_of_the_one_being_reached() -> None:
    bench = Bench().start()
    bench.events.clear()
    bench.driver.set_frequency(625.0, 30.0)
    bench.advance(30.25)
    assert bench.driver.frequency_mhz == 543.75

    bench.driver.set_frequency(525.0, 30.25)
    bench.advance(40.0)

    assert bench.driver.frequency_mhz == 525.0
    assert bench.events == [FrequencyReached(525.0)]


def test_a_frequency_is_refused_while_the_chips_are_away() -> None:
    bench = Bench().start()
    bench.driver.stop()

    with pytest.raises(RuntimeError, match="off, not ready"):
        bench.driver.set_frequency(400.0, 30.0)


def test_one_late_step_does_everything_that_was_due() -> None:
    bench = Bench()
    bench.driver.start(525.0, 0.0)
    bench.driver.step(0.5)
    bench.take()
    bench.driver.receive(bench.chip_id_reply, 0.5)

    bench.driver.step(60.0)

    assert bench.state() is DriverState.READY
    assert bench.driver.next_wake == NEVER


# Driver and chain, joined by bytes


def test_driver_and_chain_find_each_other_and_mine(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain()
    wired.start()
    jobs = wired.mine(120)

    found = wired.happened(NonceFound)
    assert len(found) > 30
    for nonce in found[-3:]:
        job = jobs[nonce.job_id]
        version = job.version | nonce.version_bits
        header = job.header(nonce=nonce.nonce, version=version)
        assert difficulty_of(sha256d(header)) * 2**32 >= TICKET
        assert nonce.asic_number == 0
        line = (
            f"I bm1370: Job ID: {nonce.job_id:02X}, Asic nr: 0, "
            f"Core: {nonce.core}/{nonce.small_core}, Ver: {nonce.version_bits:08X}"
        )
        assert line in wired.lines


def test_the_measured_hash_rate_is_the_chips(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain()
    wired.start()
    wired.driver.start_monitor(wired.now)
    wired.mine(3)
    totals = []
    for _ in range(40):
        wired.mine(10)
        totals.append(wired.driver.monitor.total_hs)

    mean_hs = sum(totals[1:]) / len(totals[1:])
    assert mean_hs == pytest.approx(525e6 * 2040, rel=0.02)
    (asic,) = wired.driver.monitor.asics
    assert sum(asic.domains_hs) == pytest.approx(asic.total_hs, rel=0.002)


def test_a_chain_of_two_shares_work_and_counts(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain(asic_count=2)
    wired.start()
    wired.driver.start_monitor(wired.now)
    wired.mine(100)

    assert {nonce.asic_number for nonce in wired.happened(NonceFound)} == {0, 1}
    for asic in wired.driver.monitor.asics:
        assert asic.total_hs == pytest.approx(525e6 * 2040, rel=0.15)


def test_a_chain_without_power_fails_the_start(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain()
    wired.switch_off()
    wired.start()

    assert wired.driver.state is DriverState.FAILED
    assert wired.happened(DriverFailed) == [DriverFailed("Chip count 0")]


def test_lost_and_changed_bytes_cost_frames_but_not_the_wire(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain()
    wired.start()
    wired.driver.start_monitor(wired.now)
    replies = 0

    def garble(data: bytes) -> bytes:
        nonlocal replies
        replies += 1
        if replies % 10 == 3:
            return data[:4] + data[5:]
        if replies % 10 == 7:
            return bytes((*data[:-1], data[-1] ^ 4))
        return data

    wired.garble = garble
    wired.mine(200)

    assert wired.driver.bad_frames >= 2 * replies // 10 - 1
    assert len(wired.happened(NonceFound)) > 40
    assert wired.driver.monitor.total_hs > 0


def test_a_chain_that_falls_silent_keeps_its_last_rate_and_recovers(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain()
    wired.start()
    wired.driver.start_monitor(wired.now)
    wired.mine(40)
    before = wired.driver.monitor.total_hs
    wired.driver.stop()
    wired.switch_off()
    wired.advance(wired.now + 40.0)

    assert wired.driver.monitor.total_hs == before

    wired.switch_on()
    wired.driver.start(525.0, wired.now, is_recovery=True)
    wired.advance(wired.now + 5.0)
    assert wired.happened(DriverReady) == [DriverReady(1), DriverReady(1)]
    # v2.12.2 believes the chip still runs at 525 MHz and so writes no PLL.
    assert wired.chain.frequency_mhz == 50
    wired.driver.set_frequency(425.0, wired.now)
    wired.advance(wired.now + 5.0)
    assert wired.chain.frequency_mhz == 425


@pytest.mark.parametrize("name", ["BM1366", "BM1370", "BM1397"])
def test_chips_that_lost_their_power_do_not_hear_the_fast_host(
    name: str, make_wired_chain: Callable[..., Any]
) -> None:
    wired = make_wired_chain(CHIPS[name])
    wired.switch_on(CHIPS[name].default_core_voltage_mv / 1000)
    wired.start(400.0)
    wired.driver.start_monitor(wired.now)
    wired.mine(40)
    wired.advance(wired.now + 0.2)  # not while the monitor waits for answers
    before = wired.driver.monitor.total_hs
    wired.switch_off()
    wired.switch_on(CHIPS[name].default_core_voltage_mv / 1000)
    wired.events.clear()
    wired.mine(40)

    assert wired.happened(NonceFound) == []
    assert wired.driver.monitor.total_hs == before > 0
    assert wired.chain.frequency_mhz == 50
    assert not wired.chain.is_hashing

    wired.start(400.0)
    wired.mine(1)
    assert wired.chain.is_hashing


def test_chips_that_lose_their_power_before_the_fast_rate_go_on_hearing(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain()
    wired.start(seconds=5.0)  # the ramp takes longer
    wired.switch_off()
    wired.switch_on()
    wired.advance(wired.now + 15.0)

    assert wired.driver.state is DriverState.READY
    assert wired.chain.frequency_mhz == 525


def test_chips_behind_a_dead_one_that_comes_back_wait_for_a_reset(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain(asic_count=2)
    wired.start()
    wired.chain.set_working(1, wired.now)
    wired.chain.set_working(2, wired.now)
    wired.mine(20)

    assert {event.asic_number for event in wired.happened(NonceFound)} == {0}
    assert wired.chain.activity < 0.6

    wired.start()
    wired.mine(1)
    assert wired.driver.detected_count == 2
    assert wired.chain.activity == 1


def test_a_job_told_without_bytes_is_searched_as_one_in_bytes(
    make_wired_chain: Callable[..., Any],
) -> None:
    told, sent = make_wired_chain(seed=5), make_wired_chain(seed=5)
    for wired in (told, sent):
        wired.start()
        for ntime in (1, 2):
            wired.driver.send_work(replace(WORK, ntime=ntime))
            if wired is told:
                wired.driver.tell(wired.chain, wired.now)
            wired.exchange()
            wired.advance(wired.now + 5)

    assert told.happened(NonceFound)
    assert told.events == sent.events
    assert len(told.to_chip) == len(sent.to_chip) - 2


def test_a_job_comes_as_bytes_while_the_chips_wait_for_the_end_of_a_frame(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain()
    wired.start()
    wired.chain.receive(b"\x55\xaa", wired.now)

    assert not wired.chain.take_work(1, WORK, wired.now)
    assert not wired.chain.is_hashing


@pytest.mark.parametrize("slice_s", [0.007, 0.1])
def test_slicing_time_changes_nothing_on_the_wire(
    slice_s: float, make_wired_chain: Callable[..., Any]
) -> None:
    exact, sliced = make_wired_chain(seed=5), make_wired_chain(seed=5)
    for wired, step_s in ((exact, None), (sliced, slice_s)):
        wired.start()
        wired.driver.start_monitor(wired.now)
        wired.mine(60, slice_s=step_s)

    assert exact.events == sliced.events
    assert exact.to_chip == sliced.to_chip
    assert exact.driver.monitor.asics == sliced.driver.monitor.asics


@pytest.mark.unwatched
@pytest.mark.parametrize(
    ("name", "asic_count"),
    [("BM1397", 1), ("BM1366", 6), ("BM1368", 6), ("BM1370", 2), ("BM1373", 2)],
)
def test_every_kind_of_chain_finds_nonces_that_hash_right(
    name: str, asic_count: int, make_wired_chain: Callable[..., Any]
) -> None:
    wired = make_wired_chain(CHIPS[name], asic_count=asic_count)
    wired.switch_on(CHIPS[name].default_core_voltage_mv / 1000)
    wired.start(CHIPS[name].default_frequency_mhz)
    seen: list[NonceFound] = []
    for number in range(160 if name == "BM1397" else 80):  # it has the fewest cores
        jobs = wired.mine(1, first=number, version_mask=0x1FFFE000)
        fresh = [e for e in wired.happened(NonceFound) if e.job_id in jobs]
        wired.events.clear()
        for nonce in fresh:
            work = jobs[nonce.job_id]
            header = work.header(nonce=nonce.nonce, version=nonce.version(work))
            assert difficulty_of(sha256d(header)) * 2**32 >= TICKET
        seen += fresh

    assert len(seen) > 8
    assert {nonce.asic_number for nonce in seen} == set(range(asic_count))
    assert all(nonce.core < CHIPS[name].core_count for nonce in seen)
    if name != "BM1397":
        low = frames.WIRES[CHIPS[name].name].small_core_mask
        assert all(n.version_bits >> 13 & low == n.small_core for n in seen)
        assert len({nonce.small_core for nonce in seen}) > 3
    versions = {nonce.version(WORK) for nonce in seen if not nonce.midstate_index}
    indices = {nonce.midstate_index for nonce in seen}
    assert indices == ({0, 1, 2, 3} if name == "BM1397" else {0})
    assert name == "BM1397" or len(versions) > 3


def test_a_bm1397_tells_its_version_with_the_job_s(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain(CHIPS["BM1397"])
    wired.switch_on(1.4)
    wired.start(425)
    (job_id,) = wired.mine(1, first=0, version_mask=0x1FFFE000)
    frame = frames.nonce_reply(9, 0x9B044C0A, job_id | 2)

    wired.driver.receive(frame + frame, wired.now)  # the second is a duplicate

    found = [event for event in wired.driver.events() if isinstance(event, NonceFound)]
    assert [event.midstate_index for event in found] == [2]
    assert wired.lines[-1] == (
        "I bm1397: Job ID: 04, Asic nr: 0, Core: 77/6, Ver: 20004000"
    )


def test_a_bm1397_without_a_mask_gets_a_single_midstate() -> None:
    bench = Bench(CHIPS["BM1397"]).start()
    bench.sent.clear()
    bench.driver.send_work(WORK)
    bench.take()

    (job,) = bench.sent
    assert (job[3], job[5], len(job)) == (0x96, 1, 152)
    bench.driver.set_version_mask(0x1FFFE000)
    bench.take()
    assert len(bench.sent) == 1  # there is no register to write


def test_a_bm1397_ramps_in_steps_of_150_ms() -> None:
    bench = Bench(CHIPS["BM1397"]).start()
    bench.events.clear()
    bench.driver.set_frequency(550.0, 30.0)

    bench.advance(30.55)
    assert bench.events == []
    bench.advance(30.65)

    assert bench.events == [FrequencyReached(550.0)]


def test_a_part_of_a_frame_is_given_up_after_ten_seconds() -> None:
    bench = Bench().start()
    frame = frames.nonce_reply(11, 1, 0x30, 0)
    bench.driver.receive(frame, 30.0)
    bench.driver.receive(frame[:7], 34.0)
    bench.take()
    bench.events.clear()

    bench.advance(39.9)
    assert bench.driver.bad_frames == 0
    bench.advance(40.1)
    assert bench.driver.bad_frames == 1
    assert bench.lines[-1] == (
        "E common: Reply of a wrong length; receive buffer flushed"
    )
    bench.driver.receive(frame, 41.0)
    bench.take()
    assert len(bench.events) == 1
    assert bench.driver.next_wake == NEVER


def test_a_read_that_brought_nothing_gives_the_next_its_whole_time() -> None:
    bench = Bench().start()
    frame = frames.nonce_reply(11, 1, 0x30, 0)
    bench.driver.receive(frame, 30.0)
    bench.driver.receive(frame[:7], 58.0)  # the reads of 40 and 50 s timed out

    bench.advance(59.9)
    assert bench.driver.bad_frames == 0
    bench.advance(60.1)
    assert bench.driver.bad_frames == 1


def test_a_chain_one_chip_short_is_told_and_mines_on(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain(CHIPS["BM1366"], asic_count=6)
    wired.switch_on(1.2)
    wired.chain.set_working(5, 0.0)
    wired.start(485)

    assert wired.driver.detected_count == 5
    warning = "W common: 5 chip(s) detected on the chain, expected 6"
    assert warning in wired.lines
    addresses = [f[4] for f in wired.frames() if f[2] == frames.SET_ADDRESS]
    assert addresses == [0, 51, 102, 153, 204]
    wired.driver.start_monitor(wired.now)
    wired.mine(60)
    numbers = {event.asic_number for event in wired.happened(NonceFound)}
    assert numbers == set(range(5))
    totals = [asic.total_hs for asic in wired.driver.monitor.asics]
    assert all(total > 3e11 for total in totals[:5])
    assert totals[5] == 0


def test_a_chip_that_dies_while_mining_keeps_its_last_rate(
    make_wired_chain: Callable[..., Any],
) -> None:
    wired = make_wired_chain(asic_count=2)
    wired.start()
    wired.driver.start_monitor(wired.now)
    wired.mine(40)
    before = [asic.total_hs for asic in wired.driver.monitor.asics]
    wired.chain.set_working(1, wired.now)
    wired.events.clear()
    wired.mine(40)

    assert {event.asic_number for event in wired.happened(NonceFound)} == {0}
    after = [asic.total_hs for asic in wired.driver.monitor.asics]
    assert after[1] == before[1] > 0  # as in v2.12.2, which never forgets a rate
    assert wired.chain.activity < 0.6


def test_no_more_chips_work_than_there_are(
    make_wired_chain: Callable[..., Any],
) -> None:
    with pytest.raises(ValueError, match=r"3 is outside 0\.\.2"):
        make_wired_chain(asic_count=2).chain.set_working(3, 0.0)


def test_a_bm1373_accepts_both_ids_and_numbers_chips_by_its_own_stride(
    vectors: dict[str, Any],
) -> None:
    chip = CHIPS["BM1373"]
    bench = Bench(chip, asic_count=2)
    replies = vectors["asic"]["chip_id_replies"]
    bench.driver.start(327.0, 0.0)
    bench.advance(0.3, id_replies=0)
    for name in ("BM1372", "BM1373"):
        bench.driver.receive(bytes.fromhex(replies[name]), 0.4)
    bench.advance(20.0)

    bench.driver.start_monitor(20.0)
    bench.driver.receive(frames.register_reply(11, 7, 0x10, 0x4C), 20.1)
    bench.driver.receive(frames.nonce_reply(11, 0x80 << 17, 0x35, 0), 20.2)
    bench.take()

    assert bench.driver.detected_count == 2
    assert [asic.error_count for asic in bench.driver.monitor.asics] == [0, 7]
    found = [event for event in bench.events if isinstance(event, NonceFound)]
    assert [(nonce.asic_number, nonce.job_id) for nonce in found] == [(1, 24)]
    assert "I bm1372/73: Job ID: 18, Asic nr: 1, Core: 0/5, Ver: 00000000" in (
        bench.lines
    )


def test_replies_are_heard_like_their_bytes() -> None:
    by_bytes, by_replies = Bench(), Bench()
    for bench in by_bytes, by_replies:
        bench.start()
        bench.driver.start_monitor(bench.now)
    sent: list[tuple[int, frames.Reply]] = [
        (11, frames.RegisterReply(7, 0, frames.Register.TOTAL)),
        (11, frames.NonceReply(0x0A4C049B, 0x18, 3, 1)),
        (9, frames.RegisterReply(9, 0, frames.Register.TOTAL)),
        (11, frames.NonceReply(0x0A4C049C, 0x18, 3, 1)),
    ]

    for number, reply in enumerate(sent):
        now = 20.0 + number
        by_bytes.driver.receive(frames.reply_frame(*reply), now)
        by_replies.driver.hear([reply], now)

    found = by_replies.driver.events()
    assert len(found) > 1
    assert found == by_bytes.driver.events()
    assert by_replies.lines == by_bytes.lines
    assert by_replies.driver.bad_frames == by_bytes.driver.bad_frames > 0
