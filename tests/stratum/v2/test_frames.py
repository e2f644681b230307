import pytest
from tests.each import each
from tests.stratum.v2.wires import linked

from softaxe.stratum.v2.frames import CHANNEL_BIT, Frame, FrameError
from softaxe.stratum.v2.noise import NoiseError


def test_a_header_is_six_bytes_and_encrypted_twenty_two() -> None:
    ours, _ = linked()

    frame = Frame(0x1A, b"abc", CHANNEL_BIT)

    assert bytes(frame) == b"\x00\x80\x1a\x03\x00\x00abc"
    assert len(ours.seal(frame)) == 22 + 3 + 16


def test_a_frame_without_a_payload_is_its_header() -> None:
    ours, theirs = linked()

    sealed = ours.seal(Frame(0x77, b""))

    assert len(sealed) == 22
    assert list(theirs.feed(sealed)) == [Frame(0x77, b"")]


def test_frames_come_through_in_any_slices() -> None:
    ours, theirs = linked()
    frames = [Frame(1, b"a" * 40), Frame(2, b""), Frame(3, b"b", CHANNEL_BIT)]
    sealed = b"".join(map(ours.seal, frames))

    got = [
        frame
        for at in range(0, len(sealed), 7)
        for frame in theirs.feed(sealed[at : at + 7])
    ]

    assert got == frames


@pytest.mark.parametrize("most", [2048, 8192])
def test_a_frame_may_be_so_long_and_no_longer(most: int) -> None:
    ours, theirs = linked(most_payload_bytes=most)

    assert list(theirs.feed(ours.seal(Frame(1, bytes(most))))) == [
        Frame(1, bytes(most))
    ]
    with pytest.raises(FrameError, match=f"{most + 1} bytes"):
        list(theirs.feed(ours.seal(Frame(1, bytes(most + 1)))[:22]))


@each("at", [0, 21, 22, -1])
def test_one_bit_altered_ends_the_link(at: int) -> None:
    ours, theirs = linked()
    good, bad = ours.seal(Frame(1, b"good")), bytearray(ours.seal(Frame(1, b"bad")))
    bad[at] ^= 0x80
    frames = theirs.feed(good + bad)

    assert next(frames) == Frame(1, b"good")
    with pytest.raises(NoiseError):
        next(frames)
