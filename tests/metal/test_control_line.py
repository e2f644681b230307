"""Scripts on the line, against what a board could send, and against any bytes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softaxe.metal import raw
from softaxe.metal.control_line import (
    DEAF_PROBES,
    HASTE_S,
    LONGEST_FLUSH_S,
    LOST_AFTER,
    PROBE_PAUSE_S,
    QUIET_S,
    ControlLine,
)
from softaxe.metal.raw import Dialect, FailureKind, LineError, Request, Script

V0, VB, V1 = Dialect.V0, Dialect.VB, Dialect.V1
READ = raw.i2c_read(0x4C, 2)
PIN = raw.gpio_get(1)


def good(sent: bytes, data: bytes, dialect: Dialect) -> bytes:
    """What a board answers to a packet."""
    extra, mark = {V0: (0, b""), VB: (3, b""), V1: (4, b"\0")}[dialect]
    return (len(data) + extra).to_bytes(2, "little") + sent[2:3] + mark + data


def probed(dialect: Dialect = V1) -> ControlLine:
    """A line at time 1 with a board that has told its dialect."""
    line = ControlLine()
    line.plugged(0.0)
    line.step(QUIET_S)
    (probe,) = line.packets()
    line.received(good(probe, b"\0", dialect), 1.0)
    assert line.dialect is dialect
    return line


def ask(*requests: Request | float) -> Script[list[bytes]]:
    got = []
    for request in requests:
        got.append((yield request))
    return got


def persistent(*requests: Request) -> Script[list[bytes | LineError]]:
    got: list[bytes | LineError] = []
    for request in requests:
        try:
            got.append((yield request))
        except LineError as error:
            got.append(error)
    return got


def sent(line: ControlLine, now: float) -> bytes:
    line.step(now)
    (packet,) = line.packets()
    return packet


def failure(ends: list[Any]) -> LineError:
    (error,) = ends
    assert isinstance(error, LineError)
    return error


@pytest.mark.parametrize("dialect", Dialect)
def test_a_probe_tells_how_the_board_answers(dialect: Dialect) -> None:
    line = ControlLine()
    assert line.next_wake == float("inf")
    line.plugged(10.0)
    line.step(10.0)
    assert line.packets() == []
    assert line.next_wake == pytest.approx(10 + QUIET_S)

    packet = sent(line, 10 + QUIET_S)
    assert packet.hex(" ") == "06 00 01 00 06 00"
    assert not line.is_probed
    line.received(good(packet, b"\1", dialect), 10.1)

    assert line.dialect is dialect
    assert line.next_wake == float("inf")


def test_scripts_run_one_after_the_other_with_one_request_in_flight() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ, 0.5, PIN), ends.append)
    line.start(ask(READ), ends.append)

    first = sent(line, 1.0)
    line.step(1.1)
    assert line.packets() == []
    line.received(good(first, b"\x12\x34", V1), 1.1)
    assert line.next_wake == pytest.approx(1.6)
    line.received(good(sent(line, 1.6), b"\1", V1), 1.7)
    line.received(good(sent(line, 1.7), b"\x56\x78", V1), 1.8)

    assert ends == [[b"\x12\x34", b"", b"\1"], [b"\x56\x78"]]
    assert line.is_idle


def test_an_answer_may_come_in_pieces() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ), ends.append)
    answer = good(sent(line, 1.0), b"\x12\x34", V1)

    for index, byte in enumerate(answer):
        line.received(bytes([byte]), 1.0 + index * 0.02)

    assert ends == [[b"\x12\x34"]]


def test_silence_ends_a_request_after_its_timeout() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ), ends.append)
    line.start(ask(raw.fan_rpm()), ends.append)

    sent(line, 1.0)
    assert line.next_wake == pytest.approx(1.2)
    line.step(1.2)
    assert failure(ends).kind is FailureKind.NO_ANSWER
    assert str(failure(ends)) == "I2C read 2 from 4c: no answer within 0.2 s"
    sent(line, 1.2 + QUIET_S)
    assert line.next_wake == pytest.approx(1.2 + QUIET_S + 1.5)


def test_refusals_are_raised_where_they_were_asked_for() -> None:
    line, ends = probed(V0), list[Any]()
    line.start(persistent(READ, READ, READ), ends.append)

    line.received(bytes([18, 0, sent(line, 1.0)[2], 0xFF]) + b"I2C Read Error", 1.0)
    line.received(bytes([4, 0, sent(line, 1.0)[2], 0x10]), 1.0)
    line.received(bytes([4, 0, 0xFF, 0x11]), 1.0)

    nak, timeout, invalid = ends[0]
    assert nak.kind is FailureKind.NAK
    assert str(nak) == "I2C read 2 from 4c: the board says I2C Read Error"
    assert timeout.kind is invalid.kind is FailureKind.REFUSED
    assert str(timeout).endswith("the board says code 10 (timeout)")


def test_a_write_that_was_not_taken_whole_is_an_error() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(raw.i2c_write(0x4C, b"\x4c\x3f")), ends.append)
    line.received(good(sent(line, 1.0), b"\1", V1), 1.0)
    assert "the board answers 01 instead of 02" in str(failure(ends))


def test_a_v0_error_as_long_as_its_answer_is_decided_by_silence() -> None:
    line, ends = probed(V0), list[Any]()
    line.start(ask(raw.i2c_speed(16)), ends.append)
    line.received(bytes([4, 0, sent(line, 1.0)[2], 0x10]), 1.0)
    assert ends == []
    line.step(line.next_wake)
    assert failure(ends).kind is FailureKind.REFUSED


def test_garbage_is_flushed_and_the_next_answer_is_right() -> None:
    line, ends = probed(), list[Any]()
    line.start(persistent(READ, READ), ends.append)

    garbled = good(sent(line, 1.0), b"\x12\x34", V1)[1:]
    line.received(garbled, 1.0)
    line.step(1.0 + QUIET_S)
    line.received(b"\x99" * 700, 1.0 + 1.5 * QUIET_S)
    line.step(1.0 + 2 * QUIET_S)
    assert line.packets() == [], "not quiet yet"
    line.received(good(sent(line, 1.0 + 3 * QUIET_S), b"\x12\x34", V1), 1.2)

    error, data = ends[0]
    assert error.kind is FailureKind.GARBLED
    assert error.came == garbled
    assert data == b"\x12\x34"


def test_bytes_behind_an_answer_make_it_none() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ), ends.append)
    line.received(good(sent(line, 1.0), b"\x12\x34", V1) + b"\0", 1.0)
    line.step(1.0 + QUIET_S)
    assert failure(ends).kind is FailureKind.GARBLED


@pytest.mark.parametrize("is_together", [False, True])
def test_a_late_answer_is_not_taken_for_the_next(is_together: bool) -> None:
    line, ends = probed(), list[Any]()
    line.start(persistent(READ, READ), ends.append)
    first = sent(line, 1.0)
    line.step(1.2)
    second = sent(line, 1.2 + QUIET_S)

    late, right = good(first, b"\x66\x66", V1), good(second, b"\x12\x34", V1)
    if is_together:
        line.received(late + right, 1.3)
    else:
        line.received(late, 1.3)
        line.step(1.3 + QUIET_S)
        line.received(right, 1.4)

    assert ends[0][1] == b"\x12\x34"
    assert line.stray_bytes == len(late)


def test_what_cuts_in_waits_for_nobody() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ, READ), lambda end: ends.append(("first", end)))
    line.start(ask(READ), lambda end: ends.append(("second", end)))
    first = sent(line, 1.0)

    line.cut(ask(PIN), lambda end: ends.append(("urgent", end)))
    assert [(who, end.kind) for who, end in ends] == [
        ("first", FailureKind.CUT),
        ("second", FailureKind.CUT),
    ]
    line.step(1.1)
    assert line.packets() == []
    assert line.next_wake == pytest.approx(1.1 + HASTE_S)
    urgent = sent(line, line.next_wake)
    assert urgent[4:6] == bytes([raw.Page.GPIO, 1])
    line.received(good(first, b"\x66\x66", V1) + good(urgent, b"\1", V1), 1.2)

    assert ends[2:] == [("urgent", [b"\1"])]


def test_what_cuts_in_goes_at_the_answer_or_at_once() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ, READ), ends.append)
    first = sent(line, 1.0)
    line.cut(ask(PIN), ends.append)
    line.received(good(first, b"\x12\x34", V1), 1.001)
    line.received(good(line.packets()[0], b"\1", V1), 1.002)
    line.start(ask(9.0), ends.append)
    line.step(1.01)
    line.cut(ask(PIN), ends.append)

    assert sent(line, 1.02)[4:6] == bytes([raw.Page.GPIO, 1])
    assert ends[1] == [b"\1"]


def test_what_cuts_in_is_sent_to_a_board_that_told_no_dialect() -> None:
    line, ends = ControlLine(), list[Any]()
    line.plugged(0.0)
    line.cut(ask(raw.gpio_set(0, is_high=False)), ends.append)
    line.step(0.0)

    packet = sent(line, HASTE_S)
    line.received(good(packet, b"\0", V0), 0.1)

    assert ends == [[b"\0"]]
    line.step(line.next_wake)
    assert line.packets()[0][4:] == bytes([raw.Page.GPIO, 0]), "the probe"


def test_other_scripts_fail_while_the_dialect_is_unknown() -> None:
    line, ends = ControlLine(), list[Any]()
    line.plugged(0.0)
    line.start(persistent(READ, READ), ends.append)
    sent(line, QUIET_S)

    line.step(QUIET_S + 0.2)
    while line.next_wake < PROBE_PAUSE_S / 2:
        line.step(line.next_wake)

    assert [one.kind for one in ends[0]] == [FailureKind.NO_ANSWER] * 2
    assert str(ends[0][0]).endswith("not sent, as the board answers no probe")


def test_a_deaf_board_is_probed_on_and_asks_for_its_button() -> None:
    line, probes, now = ControlLine(), 0, 0.0
    line.plugged(0.0)
    while not line.needs_reset:
        now = line.next_wake
        line.step(now)
        probes += len(line.packets())

    assert probes == DEAF_PROBES
    packet = sent(line, now + PROBE_PAUSE_S)
    line.received(good(packet, b"\0", V1), now + 1.1)
    assert line.is_probed
    assert not line.needs_reset


def test_a_board_that_fell_silent_is_probed_before_more_is_asked() -> None:
    line, ends, now = probed(), list[Any](), 1.0
    line.start(persistent(*[READ] * LOST_AFTER), ends.append)
    line.start(ask(READ), ends.append)
    while not ends:
        line.step(now)
        now = line.next_wake

    assert len(line.packets()) == LOST_AFTER
    assert sent(line, now)[4:] == bytes([raw.Page.GPIO, 0])


def test_unplugged_boards_fail_requests_at_once() -> None:
    line, ends = probed(), list[Any]()
    line.start(persistent(READ, READ), ends.append)
    sent(line, 1.0)

    line.unplugged()
    while not ends:
        line.step(line.next_wake)
    line.start(ask(READ), ends.append)
    line.step(1.1)
    line.step(line.next_wake)

    assert [one.kind for one in ends[0]] == [FailureKind.UNPLUGGED] * 2
    assert ends[1].kind is FailureKind.UNPLUGGED
    assert line.packets() == []
    assert not line.is_probed
    assert line.next_wake == float("inf")


def test_what_cut_in_ends_when_the_board_is_unplugged() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ), ends.append)
    sent(line, 1.0)
    line.cut(ask(PIN), ends.append)
    line.step(1.001)
    line.unplugged()
    line.step(1.002)
    line.step(line.next_wake)
    assert [one.kind for one in ends] == [FailureKind.CUT, FailureKind.UNPLUGGED]


def test_a_script_goes_on_with_no_other_board() -> None:
    line, ends = probed(), list[Any]()
    line.start(persistent(READ, READ), ends.append)
    sent(line, 1.0)
    line.plugged(1.1)
    while not ends:
        line.step(line.next_wake)

    assert [one.kind for one in ends[0]] == [
        FailureKind.UNPLUGGED,
        FailureKind.NO_ANSWER,
    ]


def test_vb_is_not_asked_what_it_could_not_answer() -> None:
    line, ends = probed(VB), list[Any]()
    line.start(ask(raw.i2c_read(0x4C, 1)), ends.append)
    line.step(1.0)
    line.step(line.next_wake)
    assert failure(ends).kind is FailureKind.UNSAFE
    assert line.packets() == []


def test_a_script_that_is_wrong_ends_alone() -> None:
    line, ends = probed(), list[Any]()

    def wrong() -> Script[None]:
        yield READ
        raise KeyError("wrong")

    line.start(wrong(), ends.append)
    line.start(ask(PIN), ends.append)
    packet = sent(line, 1.0)
    with pytest.raises(KeyError):
        line.received(good(packet, b"\x12\x34", V1), 1.1)
    line.received(good(sent(line, 1.1), b"\1", V1), 1.2)
    assert ends[0].kind is FailureKind.BROKEN
    assert ends[1:] == [[b"\1"]]


def test_dropped_scripts_leave_the_line_to_the_next() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ), ends.append)
    line.start(ask(READ), ends.append)
    packet = sent(line, 1.0)

    line.drop()
    line.start(ask(PIN), ends.append)

    assert [end.kind for end in ends] == [FailureKind.CUT] * 2
    line.received(good(packet, b"\x12\x34", V1), 1.01)
    line.received(good(sent(line, 1.02), b"\1", V1), 1.03)
    assert ends[2:] == [[b"\1"]]


def test_a_probe_that_is_dropped_is_made_again() -> None:
    line, ends = ControlLine(), list[Any]()
    line.plugged(0.0)
    packet = sent(line, 0.1)

    line.drop()
    line.start(ask(PIN), ends.append)
    line.received(good(packet, b"\1", V1), 0.15)
    line.received(good(sent(line, 0.2), b"\1", V1), 0.25)
    line.received(good(sent(line, 0.25), b"\1", V1), 0.3)

    assert ends == [[b"\1"]]


def test_the_end_of_one_script_may_start_or_cut_others() -> None:
    line, ends = probed(), list[Any]()
    line.start(ask(READ), lambda _: line.cut(ask(PIN), ends.append))
    line.start(ask(READ), lambda _: line.start(ask(READ), ends.append))
    line.received(good(sent(line, 1.0), b"\x12\x34", V1), 1.0)
    line.received(good(line.packets()[0], b"\1", V1), 1.0)
    line.received(good(line.packets()[0], b"\x56\x78", V1), 1.0)
    assert ends == [[b"\1"], [b"\x56\x78"]]


HEADS = st.sampled_from(["01 00", "02 00", "04 00", "05 00", "06 00", "12 00", ""])
CHUNKS = st.builds(
    lambda head, request_id, rest: bytes.fromhex(head) + bytes([request_id]) + rest,
    HEADS,
    st.integers(0, 12) | st.just(0xFF),
    st.binary(max_size=8),
)


@settings(max_examples=30)
@given(
    chunks=st.lists(st.tuples(st.floats(0.0, 0.3), CHUNKS), max_size=30),
    is_talkative=st.booleans(),
)
def test_no_bytes_keep_a_request_from_ending(
    chunks: list[tuple[float, bytes]], is_talkative: bool
) -> None:
    line, ends = probed(), list[Any]()
    requests = [READ, PIN, raw.i2c_speed(100_000), READ]
    line.start(persistent(*requests), ends.append)
    limit = 1.0 + len(requests) * (raw.USUAL_TIMEOUT_S + LONGEST_FLUSH_S) + 0.001

    now, arrivals = 1.0, iter(chunks)
    pause_s, chunk = next(arrivals, (9.0, b""))
    at = now + pause_s * (0.05 if is_talkative else 1.0)
    line.step(now)
    while not ends:
        now = min(line.next_wake, at)
        assert now <= limit
        if now == at:
            line.received(chunk, now)
            pause_s, chunk = next(arrivals, (9.0, b""))
            at = now + max(0.001, pause_s * (0.05 if is_talkative else 1.0))
        line.step(now)
    assert len(ends[0]) == len(requests)

    line.start(persistent(*[PIN] * 9), ends.append)
    line.packets()
    line.step(now + 1.0)
    while len(ends) < 2:
        if packets := line.packets():
            line.received(good(packets[-1], b"\1", V1), line.next_wake)
        else:
            line.step(line.next_wake)
    assert ends[1] == [b"\1"] * 9, "and then all is well"
