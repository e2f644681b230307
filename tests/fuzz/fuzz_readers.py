"""Both ends' streams of frames: what came before never costs the frames behind it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from softaxe.asic import frames
from softaxe.asic.frames import CommandReader, Register, ReplyReader
from softaxe.bitcoin.header import Work

WORK = Work(0x20000000, bytes(32), bytes(32), 1_700_000_000, 0x1D00FFFF)
JOB = frames.job(24, WORK)
MIDSTATE_JOB = frames.midstate_job(8, WORK, [bytes(32)] * 4)
COMMAND = frames.read_all(Register.TOTAL)
REPLIES = {
    size: frames.register_reply(size, 0x1234, 0, Register.TOTAL) for size in (9, 11)
}
CORPUS = [
    frames.nonce_reply(11, 0xAA55AA55, 0x30, 3, 12) + REPLIES[11],
    REPLIES[9] + frames.nonce_reply(9, 0x0A4C049B, 0x1A),
    REPLIES[11][:7] + REPLIES[11] + b"\xaa" + REPLIES[11],
    JOB[:3] + b"\xff" + JOB[4:] + frames.write_all(Register.PLL0, 0x40A00265),
    JOB[:40] + JOB + COMMAND,
    MIDSTATE_JOB + frames.set_address(2) + frames.chain_inactive(),
    frames.HOST_PREAMBLE * 5 + JOB + COMMAND[:3],
]


def one_input(data: bytes) -> None:
    for wire in (frames.WIRES["BM1397"], frames.WIRES["BM1370"]):
        make = partial(CommandReader, wire.job_bytes)
        _look(data, make, 4 + wire.job_bytes, COMMAND)
    for size, reply in REPLIES.items():
        for body in _look(data, partial(ReplyReader, size), size, reply):
            frames.read_reply(body)


def _look(
    data: bytes,
    make: Callable[[], CommandReader | ReplyReader],
    longest: int,
    good: bytes,
) -> list[Any]:
    """Read the same in one piece and in small ones, and a good frame behind it."""
    whole, sliced = make(), make()
    stream = data + bytes(longest) + good
    found: list[Any] = [*whole.feed(stream)]
    size = 1 + (data[0] if data else 0) % 13
    pieces = [
        frame
        for at in range(0, len(stream), size)
        for frame in sliced.feed(stream[at : at + size])
    ]
    assert pieces == found
    assert sliced.bad_frames == whole.bad_frames
    assert found
    assert found[-1] == make().feed(good)[0]
    return found
