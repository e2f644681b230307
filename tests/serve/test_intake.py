"""Connections without sockets: how much of each is handed on in which turn."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps

import pytest

from softaxe.serve.intake import (
    PAUSE_BYTES,
    SLICE_BYTES,
    SLICE_LINES,
    TURN_BYTES,
    TURN_LINES,
    Inflow,
    Intake,
)

FLOOD = b"x\n" * 1000


class Peer(asyncio.Transport):
    """A connection's reading end, and what was handed on of it."""

    def __init__(self, intake: Intake) -> None:
        super().__init__()
        self.is_read = True
        self.heard: list[bytes] = []
        self.inflow = Inflow(intake, self, self.heard.append)

    def pause_reading(self) -> None:
        assert self.is_read
        self.is_read = False

    def resume_reading(self) -> None:
        assert not self.is_read
        self.is_read = True

    def is_closing(self) -> bool:
        return False

    def send(self, data: bytes) -> None:
        assert self.is_read, "it is not to be read now"
        self.inflow.put(data)

    @property
    def lines(self) -> int:
        return b"".join(self.heard).count(b"\n")


def in_a_loop(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        with asyncio.Runner() as runner:
            runner.run(test())

    return run


async def turn() -> None:
    await asyncio.sleep(0)


@in_a_loop
async def test_a_little_is_handed_on_at_once() -> None:
    peer = Peer(Intake())

    for number in range(SLICE_LINES):
        peer.send(b"%d\n" % number)

    assert peer.heard == [b"%d\n" % number for number in range(SLICE_LINES)]
    assert peer.is_read


@in_a_loop
async def test_a_flood_is_not_read_and_comes_in_slices() -> None:
    peer = Peer(Intake())
    flood = FLOOD + b"y" * PAUSE_BYTES

    peer.send(flood)
    assert not peer.is_read
    assert peer.lines == SLICE_LINES
    while not peer.is_read:
        before = peer.lines
        await turn()
        assert peer.lines - before <= TURN_LINES

    assert b"".join(peer.heard) == flood
    assert max(piece.count(b"\n") for piece in peer.heard) == SLICE_LINES


@in_a_loop
async def test_long_lines_are_bounded_too() -> None:
    peer = Peer(Intake())

    peer.send(b"x" * 10 * TURN_BYTES)
    await turn()

    assert max(map(len, peer.heard)) == SLICE_BYTES
    assert sum(map(len, peer.heard)) <= 2 * TURN_BYTES


@in_a_loop
async def test_an_honest_peer_waits_for_a_slice_of_each_flood_only() -> None:
    intake = Intake()
    floods, honest = [Peer(intake) for _ in range(3)], Peer(intake)
    for flood in floods:
        flood.send(FLOOD)
    before = [flood.lines for flood in floods]
    meanwhile: list[int] = []

    def take(data: bytes) -> None:
        honest.heard.append(data)
        meanwhile.extend(flood.lines for flood in floods)

    honest.inflow = Inflow(intake, honest, take)
    honest.send(b"a\nb\n")
    await turn()

    assert honest.heard == [b"a\nb\n"]
    assert meanwhile == [lines + SLICE_LINES for lines in before]


@in_a_loop
async def test_a_turn_is_bounded_however_many_peers_there_are() -> None:
    intake = Intake()
    peers = [Peer(intake) for _ in range(100)]
    for peer in peers:
        peer.send(b"x\n")

    assert sum(peer.lines for peer in peers) == TURN_LINES
    await turn()
    assert sum(peer.lines for peer in peers) == 2 * TURN_LINES


@in_a_loop
async def test_nothing_is_lost_when_a_flood_comes_in_many_pieces() -> None:
    intake = Intake()
    peers = [Peer(intake), Peer(intake)]
    sent = [b"", b""]
    for number in range(300):
        for index, peer in enumerate(peers):
            piece = b"%d\n" % number * (number % 7 + index)
            sent[index] += piece
            while not peer.is_read:
                await turn()
            peer.send(piece)
    while intake.is_busy:
        await turn()

    assert [b"".join(peer.heard) for peer in peers] == sent


@in_a_loop
async def test_the_end_comes_after_what_waits() -> None:
    peer = Peer(Intake())
    peer.send(FLOOD)

    peer.inflow.end(lambda: peer.heard.append(b"end"))
    assert peer.heard[-1] != b"end"
    while peer.heard[-1] != b"end":
        await turn()

    assert b"".join(peer.heard) == FLOOD + b"end"


@in_a_loop
async def test_the_end_of_a_peer_that_waits_for_nothing_is_told_at_once() -> None:
    peer = Peer(Intake())

    peer.inflow.end(lambda: peer.heard.append(b"end"))

    assert peer.heard == [b"end"]


@in_a_loop
async def test_a_closed_connection_hands_nothing_on() -> None:
    intake = Intake()
    peer, other = Peer(intake), Peer(intake)
    peer.send(FLOOD)
    peer.inflow.end(lambda: peer.heard.append(b"end"))
    other.send(FLOOD)

    peer.inflow.close()
    peer.inflow.put(b"more\n")
    while intake.is_busy:
        await turn()

    assert peer.lines == SLICE_LINES
    assert other.lines == 1000


@in_a_loop
async def test_a_peer_that_breaks_does_not_keep_the_others_from_their_turns() -> None:
    intake = Intake()
    broken, honest = Peer(intake), Peer(intake)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    broken.inflow = Inflow(intake, broken, fail)
    honest.send(FLOOD)
    with pytest.raises(ZeroDivisionError):
        Inflow(Intake(), broken, fail).put(b"x\n")
    broken.send(FLOOD)
    while honest.lines < 1000:
        await turn()
