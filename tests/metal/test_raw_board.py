"""The emulated board against what is known of its firmwares' answers and deaths."""

import pytest

from softaxe.asic import frames
from softaxe.asic.chip import SCALED, WorkMode
from softaxe.bitcoin.header import Work, difficulty_of, sha256d
from softaxe.catalog import board
from softaxe.device.faults import DeviceFaults, Sensor
from softaxe.metal.raw import Dialect
from softaxe.metal.raw_board import BOOT_S, RawBoard, WireFaults

PATIENCE_S = 0.2
WORK = Work(0x20000000, bytes(32), bytes(range(32)), 1_700_000_000, 0x1705AE3A)
RESET_LOW, RESET_HIGH = "0700010006 00 00", "0700010006 00 01"
POWER = (
    "0800 02 00 05 20 24 02 1B",  # on and off by command
    "0800 03 00 05 20 24 01 00",
    "0900 04 00 05 20 24 29 01F0",  # a quarter
    "0900 05 00 05 20 24 24 0004",  # 2 V at most
    "0900 06 00 05 20 24 21 4D02",  # 1.15 V
    "0800 07 00 05 20 24 01 80",
)
"""What every host writes to a Gamma's regulator, as far as it matters here."""
FAN_FULL = "0800 08 00 05 20 4C 4C 3F"


def sized(request: str) -> bytes:
    """A request with its length."""
    data = bytes.fromhex(request)
    return len(data).to_bytes(2, "little") + data[2:]


def ask(raw: RawBoard, request: str) -> str:
    """Send one packet; return what comes before patience ends."""
    raw.control_received(bytes.fromhex(request), raw.now)
    return wait(raw, PATIENCE_S)


def wait(raw: RawBoard, seconds: float) -> str:
    end = raw.now + seconds
    while raw.next_wake <= end:
        raw.step(raw.next_wake)
        if told := raw.control_to_host():
            return " ".join(packet.hex() for packet in told)
    raw.step(end)
    return ""


def started(*, dialect: Dialect = Dialect.V1, mode: WorkMode = SCALED) -> RawBoard:
    """A Gamma with power, out of reset and with a turning fan."""
    raw = RawBoard(board("601"), dialect=dialect, mode=mode)
    for request in (RESET_LOW, FAN_FULL, *POWER, RESET_HIGH):
        assert ask(raw, sized(request).hex())
    return raw


NAK = b"I2C Read Error".hex()
VECTORS = [
    ("07000100060000", "01000100", "04000100", "0500010000"),
    ("0A0002000510A0860100", "040002A0860100", "070002A0860100", "08000200A0860100"),
    (
        "09000300054024AD07",
        "070003065449546D2441",
        "0A0003065449546D2441",
        "0B000300065449546D2441",
    ),
    ("0900040005204C4C3F", "01000402", "04000402", "0500040002"),
    ("0800050005304F01", "120005FF" + NAK, "04000513", "120005FF" + NAK),
    ("060006003300", "0400FF11", "0400FF11", "0400FF11"),
    ("060007000600", "01000700", "04000700", "0500070000"),
]
"""A request, and the answers of the three dialects."""


@pytest.mark.parametrize("vector", VECTORS)
def test_worked_examples(vector: tuple[str, ...]) -> None:
    request, *answers = vector
    for dialect, answer in zip(Dialect, answers, strict=True):
        raw = RawBoard(board("601"), dialect=dialect)
        assert ask(raw, request) == answer.lower()


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("07000100050010", "0400ff11"),  # a bus that there is not
        ("0700010005 10 01", "0400ff11"),  # half a speed
        ("0A00010005 10 00000000", "0400ff11"),
        ("0700010005 30 24", "0400ff11"),  # how many?
        ("0700010005 77 24", "0400ff11"),
        ("0700010006 00 02", "0400ff11"),  # no level
        ("0600010006 01", "0400ff11"),  # no such pin
        ("0600010007 51", "0400ff11"),
        ("0700010008 10 01", "0400ff11"),
        ("0600010009 01", "0400ff11"),
        ("FFFF", "0400ff12"),
        ("0900010008 10 010203", "0700010 0010203"),
        ("0800010005 20 24 24", "05000100 01"),
        ("0600010007 50", "060001000000"),
    ],
)
def test_more_requests_and_their_answers(request_: str, answer: str) -> None:
    raw = RawBoard(board("601"))
    raw.body.power.core_voltage_v = 0.0
    packet = sized(request_).hex() if len(request_) > 4 else request_

    assert ask(raw, packet) == answer.replace(" ", "")


def test_an_overflow_of_bonanza_is_told_by_its_name() -> None:
    raw = RawBoard(board("601"), dialect=Dialect.VB)

    assert ask(raw, "FFFF") == "0700ff" + b"\xffBuf".hex()


def test_an_answer_takes_the_time_of_the_bus() -> None:
    raw = RawBoard(board("601"))
    nine = [
        "09000100054024 8802",
        "09000200054024 8B02",
        "09000300054024 8C02",
        "09000400054024 8D02",
        "09000500054024 7902",
        "0900060005404C 0101",
        "0900070005404C 1001",
        "0900080005404C 4601",
        "0900090005404C 4701",
    ]

    for request in nine:
        assert ask(raw, request)

    assert 0.009 < raw.now < 0.030


@pytest.mark.parametrize(
    ("gap_s", "rest", "answer"),
    [
        (0.0039, "000600", "0500070000"),
        (0.0041, "060007000600", "0500070000"),  # the beginning is forgotten
        (0.0041, "000600", "0400ff12"),  # and the rest taken for one
    ],
)
def test_a_request_must_come_in_one_go(gap_s: float, rest: str, answer: str) -> None:
    raw = RawBoard(board("601"))
    raw.control_received(bytes.fromhex("060007"), 0.0)

    raw.control_received(bytes.fromhex(rest), gap_s)

    assert wait(raw, PATIENCE_S) == answer


def test_a_second_request_in_a_packet_waits_for_the_next() -> None:
    raw = RawBoard(board("601"))
    assert ask(raw, "060007000600" + "060008000600") == "0500070000"
    assert wait(raw, PATIENCE_S) == ""

    raw.control_received(bytes.fromhex("060009000600" + "06000A000600"), raw.now)
    raw.control_received(bytes.fromhex("06000B000600"), raw.now + 0.003)
    told = " ".join((wait(raw, PATIENCE_S), wait(raw, PATIENCE_S)))
    assert told.split() == ["0500090000", "05000a0000"]


def test_a_long_request_is_several_packets() -> None:
    raw = RawBoard(board("601"))
    request = sized("0000 01 00 05 20 3C 40" + "55" * 100)

    assert ask(raw, request.hex()) == "0500010065"


@pytest.mark.parametrize(("dialect", "most"), [("v0", 61), ("vb", 61), ("v1", 60)])
def test_an_answer_that_needs_two_packets_never_comes(dialect: str, most: int) -> None:
    raw = RawBoard(board("601"), dialect=Dialect(dialect))

    assert ask(raw, f"080001000530 4C {most:02X}")
    assert ask(raw, f"080001000530 4C {most + 1:02X}") == ""


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_length_below_its_fields_kills_the_firmware_and_not_the_board(
    length: int,
) -> None:
    raw = started()
    raw.data_received(frames.read_all(frames.Register.CHIP_ID), raw.now)
    assert raw.data_to_host()

    assert ask(raw, f"{length:02X}0007000600") == ""

    assert raw.is_panicked
    assert ask(raw, "060007000600") == ""
    raw.data_received(frames.read_all(frames.Register.CHIP_ID), raw.now)
    assert raw.data_to_host() == b""
    wait(raw, 30.0)
    assert raw.chain.is_on
    assert raw.body.fan_rpms[0] > 5000  # as it was last told

    raw.press_reset(raw.now)
    assert not raw.chain.is_on
    assert not raw.is_plugged
    wait(raw, BOOT_S)
    assert ask(raw, "060007000600") == "0500070000"


def test_the_reset_pin_holds_the_chips() -> None:
    raw = started()
    question = frames.read_all(frames.Register.CHIP_ID)
    raw.data_received(question, raw.now)
    assert raw.data_to_host() == bytes.fromhex("aa551370000000000 6".replace(" ", ""))

    assert ask(raw, "07000100060000") == "0500010000"
    raw.data_received(question, raw.now)
    assert raw.data_to_host() == b""
    assert ask(raw, "060001000600") == "0500010000"


def test_the_regulator_holds_the_chips_too() -> None:
    raw = started()

    assert ask(raw, "090007000520240100") == "0500070002"

    assert not raw.chain.is_on


def mine(raw: RawBoard, seconds: int) -> list[bytes]:
    """Give the chip work; return its answers."""
    host = (
        frames.write_all(frames.Register.VERSION_MASK, 0x9000FFFF),
        frames.write_all(frames.Register.TICKET_MASK, 0x000000FF),
        frames.write_all(frames.Register.PLL0, 0x40A80230),
    )
    for frame in host:
        raw.data_received(frame, raw.now)
    reader, found = frames.ReplyReader(11), list[bytes]()
    for number in range(seconds * 2):
        raw.data_received(frames.job(number * 24 % 128, WORK), raw.now)
        end = raw.now + 0.5
        while raw.next_wake <= end:
            raw.step(raw.next_wake)
            found.extend(reader.feed(raw.data_to_host()))
        raw.step(end)
    return found


def test_it_hashes_as_a_chip_does_and_heats() -> None:
    raw = started()

    found = mine(raw, 60)

    assert 40 < len(found) < 90
    assert raw.body.thermal.chip_c > 35
    good = 0
    for frame in found:
        reply = frames.read_reply(frame)
        assert isinstance(reply, frames.NonceReply)
        version = WORK.version | reply.version_field << frames.VERSION_SHIFT
        nonce = int.from_bytes(reply.nonce.to_bytes(4), "little")
        header = WORK.header(nonce=nonce, version=version)
        good += difficulty_of(sha256d(header)) * 2**32 >= 255.9
    assert good >= 0.9 * len(found)  # a chip errs now and then


def test_it_goes_on_when_the_host_is_gone() -> None:
    raw = started()
    mine(raw, 5)
    raw.unplug(raw.now)
    before_c = raw.body.thermal.chip_c

    raw.step(raw.now + 60)

    assert raw.chain.is_hashing
    assert raw.body.thermal.chip_c > before_c
    assert raw.control_to_host() == []
    assert raw.data_to_host() == b""


@pytest.mark.parametrize(
    ("dialect", "hears"), [(Dialect.V0, False), (Dialect.V1, True)]
)
def test_a_plug_pulled_and_put_back(dialect: Dialect, hears: bool) -> None:
    raw = started(dialect=dialect)
    raw.unplug(raw.now)
    raw.control_received(bytes.fromhex("060007000600"), raw.now)
    assert wait(raw, 1.0) == ""
    assert not raw.is_plugged

    raw.plug(raw.now)

    assert raw.is_plugged
    assert bool(ask(raw, "060007000600")) is hears
    raw.data_received(frames.read_all(frames.Register.CHIP_ID), raw.now)
    assert raw.data_to_host()
    raw.press_reset(raw.now)
    wait(raw, BOOT_S)
    assert ask(raw, "060007000600")


def test_six_chips_at_once_are_too_much_for_the_oldest_firmware() -> None:
    question = frames.read_all(frames.Register.CHIP_ID)
    rolling = frames.write_all(frames.Register.VERSION_MASK, 0x9000FFFF)
    for dialect, dies in ((Dialect.V0, True), (Dialect.V1, False)):
        raw = RawBoard(board("303"), dialect=dialect)
        ask(raw, "07000100060001")

        raw.data_received(rolling + question, raw.now)

        assert raw.is_panicked is dies
        assert len(raw.data_to_host()) == 66 * (not dies)


def test_a_reboot_and_the_boot_loader_by_order() -> None:
    raw = started()
    assert ask(raw, "0A00010009 01 DEADBEEF") == ""
    assert (raw.is_plugged, raw.is_reset_low) == (False, True)
    wait(raw, BOOT_S)
    assert raw.is_plugged

    assert ask(raw, "0A00010009 02 B00710AD") == ""
    wait(raw, 10.0)
    raw.plug(raw.now)
    assert not raw.is_plugged
    raw.press_reset(raw.now)
    wait(raw, BOOT_S)
    assert raw.is_plugged


def test_another_baud_rate_than_the_chips_is_heard_by_nobody() -> None:
    raw = started()
    question = frames.read_all(frames.Register.CHIP_ID)

    raw.data_received(
        frames.write_all(*frames.WIRES["BM1370"].fastest_baud) + question, raw.now
    )
    assert raw.data_to_host() == b""
    raw.baud = 1_000_000
    raw.data_received(question, raw.now)
    assert raw.data_to_host()


def test_a_wire_that_loses_is_as_it_is_told() -> None:
    raw = started()
    question = "060007000600"

    for wire, answer in (
        (WireFaults(lost_requests=1.0), ""),
        (WireFaults(lost_answers=1.0), ""),
        (WireFaults(silent=frozenset({0x24})), "0500070001"),
        (WireFaults(), "0500070001"),
    ):
        raw.set_faults(wire=wire)
        assert ask(raw, question) == answer
    raw.set_faults(wire=WireFaults(garbled_answers=1.0))
    assert ask(raw, question) != "0500070001"
    raw.set_faults(wire=WireFaults(late_s=0.15))
    raw.control_received(bytes.fromhex(question), raw.now)
    assert wait(raw, 0.149) == ""
    assert wait(raw, 0.010) == "0500070001"

    raw.set_faults(wire=WireFaults(lost_bytes=1.0))
    raw.data_received(frames.read_all(frames.Register.CHIP_ID), raw.now)
    assert raw.data_to_host() == b""


def test_bytes_that_nobody_sent() -> None:
    raw = started()
    mine(raw, 1)
    raw.set_faults(wire=WireFaults(extra_bytes=0.2))

    for _ in range(20):
        raw.data_received(frames.read_all(frames.Register.CHIP_ID), raw.now)

    assert raw.chain.bad_frames > 0
    assert len(raw.data_to_host()) % 11


def test_parts_that_do_not_answer_and_registers_that_stick() -> None:
    raw = started()
    raw.set_faults(
        DeviceFaults(stuck_c={Sensor.CHIP: 20.0}),
        WireFaults(silent=frozenset({0x24}), stuck={(0x4C, 0x46): b"\x12"}),
    )

    text = b"I2C WriteRead Error".hex()
    assert ask(raw, "090001000540247902") == "170001ff" + text
    wait(raw, 1.0)
    assert ask(raw, "0900020005404C0101") == "050002" + "0014"
    assert ask(raw, "0900020005404C4601") == "050002" + "0012"


def test_a_dead_bus_takes_the_firmware_with_it_until_it_is_whole() -> None:
    raw = started()
    raw.set_faults(wire=WireFaults(is_bus_dead=True))
    assert ask(raw, "060007000600") == "0500070001"  # nothing of the bus
    assert ask(raw, "090001000540247902") == ""

    assert ask(raw, "07000100060000") == ""
    assert raw.chain.is_on
    raw.set_faults()
    assert wait(raw, PATIENCE_S) == "0500010000"  # it had waited
    assert not raw.chain.is_on


def test_many_small_steps_are_one_long_one() -> None:
    def run(step_s: float) -> tuple[bytes, float]:
        raw = started()
        mine(raw, 2)
        end = raw.now + 8
        while raw.now < end:
            raw.step(min(end, raw.now + step_s))
        return raw.data_to_host(), raw.body.thermal.chip_c

    assert run(8.0) == run(0.0137)


def test_real_hashes_are_searched_by_somebody() -> None:
    raw = started(mode=WorkMode("real", 1, 2.0**-30))
    mine(raw, 1)
    assert raw.data_to_host() == b""

    search = raw.take_search(1 << 16)
    assert search is not None
    raw.finish_search(search, search.run(), raw.now)

    assert raw.data_to_host()
