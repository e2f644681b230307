"""The worked examples, byte for byte, and what must not be mistaken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softaxe.metal import raw
from softaxe.metal.raw import Answer, Dialect, Refusal, Request

V0, VB, V1 = Dialect.V0, Dialect.VB, Dialect.V1
NOBODY = "12 00 05 ff" + b"I2C Read Error".hex()
EXAMPLES = [
    (
        raw.gpio_set(0, is_high=False),
        "07 00 01 00 06 00 00",
        {V0: "01 00 01 00", V1: "05 00 01 00 00", VB: "04 00 01 00"},
        "00",
    ),
    (
        raw.i2c_speed(100_000),
        "0a 00 02 00 05 10 a0 86 01 00",
        {V0: "04 00 02 a0 86 01 00", V1: "08 00 02 00 a0 86 01 00"},
        "a0 86 01 00",
    ),
    (
        raw.i2c_write_read(0x24, b"\xad", 7),
        "09 00 03 00 05 40 24 ad 07",
        {
            V0: "07 00 03 06 54 49 54 6d 24 41",
            V1: "0b 00 03 00 06 54 49 54 6d 24 41",
        },
        "06 54 49 54 6d 24 41",
    ),
    (
        raw.i2c_write(0x4C, b"\x4c\x3f"),
        "09 00 04 00 05 20 4c 4c 3f",
        {V0: "01 00 04 02", V1: "05 00 04 00 02"},
        "02",
    ),
]
PROBE_ANSWERS = {V0: "01 00 07 01", VB: "04 00 07 01", V1: "05 00 07 00 01"}


def read(
    came: str,
    request: Request,
    request_id: int,
    dialect: Dialect | None,
    *,
    is_quiet: bool = False,
) -> Answer | Refusal | None:
    data = bytes.fromhex(came)
    return raw.read_answer(data, request, request_id, dialect, is_quiet=is_quiet)


@pytest.mark.parametrize(("request_", "packet", "answers", "data"), EXAMPLES)
def test_worked_examples(
    request_: Request, packet: str, answers: dict[Dialect, str], data: str
) -> None:
    sent = raw.encode(request_, bytes.fromhex(packet)[2])

    assert sent.hex(" ") == packet
    for dialect, came in answers.items():
        for known in (dialect, None):
            answer = read(came, request_, sent[2], known)
            assert isinstance(answer, Answer)
            assert answer.data == bytes.fromhex(data)
            assert answer.dialect is dialect
            assert answer.size == len(bytes.fromhex(came))


@pytest.mark.parametrize("dialect", [V0, V1, None])
def test_refusals_of_the_examples(dialect: Dialect | None) -> None:
    nobody = raw.i2c_read(0x4F, 1)
    assert raw.encode(nobody, 5).hex(" ") == "08 00 05 00 05 30 4f 01"
    assert read(NOBODY, nobody, 5, dialect) == Refusal("I2C Read Error", 18)

    unknown = Request(0x33, 0, b"", 1)
    assert raw.encode(unknown, 6).hex(" ") == "06 00 06 00 33 00"
    refusal = read("04 00 ff 11", unknown, 6, dialect)
    assert refusal == Refusal("cannot read it, code 11 (invalid)", 4)


def test_the_probe_tells_the_dialects_apart() -> None:
    assert raw.encode(raw.PROBE, 7).hex(" ") == "06 00 07 00 06 00"
    for dialect, came in PROBE_ANSWERS.items():
        answer = read(came, raw.PROBE, 7, None)
        assert isinstance(answer, Answer)
        assert answer.dialect is dialect
        for other in set(Dialect) - {dialect}:
            assert read(came, raw.PROBE, 7, other) is None


def test_a_v0_error_is_told_from_the_start_of_an_answer_by_silence() -> None:
    speed = raw.i2c_speed(16)

    assert read("04 00 02 10", speed, 2, V0) is None
    assert read("04 00 02 10", speed, 2, V0, is_quiet=True) == Refusal(
        "code 10 (timeout)", 4
    )
    answer = read("04 00 02 10 00 00 00", speed, 2, V0)
    assert isinstance(answer, Answer)
    assert answer.data == bytes.fromhex("10 00 00 00")
    long_one = raw.i2c_read(0x24, 18)
    assert read(NOBODY, long_one, 5, V0) is None
    assert isinstance(read(NOBODY, long_one, 5, V0, is_quiet=True), Refusal)
    assert isinstance(read(NOBODY + "010203", long_one, 5, V0), Answer)
    assert isinstance(read("04 00 02 11", raw.i2c_read(0x24, 2), 2, V0), Refusal)


def test_vb_answers_that_read_as_errors_are_known_beforehand() -> None:
    one = raw.i2c_read(0x4C, 1)
    assert isinstance(read("04 00 02 10", one, 2, VB), Refusal)

    assert raw.is_ambiguous(one, VB)
    assert raw.is_ambiguous(raw.i2c_write(0x3C, bytes(0x12)), VB)
    assert not raw.is_ambiguous(raw.i2c_write(0x3C, bytes(0x14)), VB)
    assert not raw.is_ambiguous(raw.gpio_get(0), VB)
    assert not raw.is_ambiguous(raw.i2c_read(0x4C, 2), VB)
    assert not raw.is_ambiguous(one, V0)
    four = raw.i2c_read(0x24, 4)
    assert read("07 00 02 ff 42 75 66", four, 2, VB) == Refusal("Buf", 7)
    assert isinstance(read("07 00 02 ff 42 75 65", four, 2, VB), Answer)


def test_what_fits_no_packet_cannot_be_asked() -> None:
    assert len(raw.encode(raw.i2c_write(0x3C, bytes(57)), 1)) == 64
    with pytest.raises(ValueError, match="59 data bytes; at most 58 fit"):
        raw.i2c_write(0x3C, bytes(58))
    raw.i2c_read(0x24, 60)
    for count in (0, 61):
        with pytest.raises(ValueError, match=f"{count} bytes is outside 1..60"):
            raw.i2c_read(0x24, count)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (raw.i2c_speed(100_000), "I2C speed 100000 Hz"),
        (raw.i2c_write(0x4C, b"\x4c\x3f"), "I2C write 4c 3f to 4c"),
        (raw.i2c_read(0x4A, 2), "I2C read 2 from 4a"),
        (raw.i2c_write_read(0x24, b"\x88", 2), "I2C read 2 at 88 from 24"),
        (raw.gpio_get(2), "read pin 2"),
        (raw.gpio_set(0, is_high=True), "set pin 0 to 1"),
        (raw.adc(), "page 07 command 50"),
        (raw.fan_duty(255), "page 08 command 00 ff"),
        (raw.fan_rpm(), "page 08 command 01"),
    ],
)
def test_requests_have_names(request_: Request, text: str) -> None:
    assert str(request_) == text


@settings(max_examples=40)
@given(
    data=st.binary(max_size=70),
    count=st.integers(1, 60),
    dialect=st.sampled_from([*Dialect, None]),
    is_quiet=st.booleans(),
)
def test_no_bytes_are_too_strange(
    data: bytes, count: int, dialect: Dialect | None, is_quiet: bool
) -> None:
    found = raw.read_answer(
        data, raw.i2c_read(0x24, count), 1, dialect, is_quiet=is_quiet
    )

    if found:
        assert found.size <= len(data)
        assert data[2] in {1, 0xFF}
    if isinstance(found, Answer):
        assert len(found.data) == count


@settings(max_examples=40)
@given(data=st.binary(min_size=1, max_size=60), dialect=st.sampled_from(Dialect))
def test_no_start_of_an_answer_is_taken_for_another(
    data: bytes, dialect: Dialect
) -> None:
    request = raw.i2c_write_read(0x24, b"\x88", len(data))
    head = {V0: (0, b""), VB: (3, b""), V1: (4, b"\0")}[dialect]
    whole = (len(data) + head[0]).to_bytes(2, "little") + b"\x09" + head[1] + data
    if dialect is VB and (len(data) == 1 or data == b"\xffBuf"):
        return

    for end in range(len(whole)):
        assert raw.read_answer(whole[:end], request, 9, dialect) is None
    answer = raw.read_answer(whole, request, 9, dialect)
    assert isinstance(answer, Answer)
    assert answer.data == data
