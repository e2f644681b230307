"""Bytes of a host program at an emulated board, as `softaxe chip --usb` takes them."""

from functools import cache

from softaxe.catalog import Board, board
from softaxe.metal.raw import Dialect
from softaxe.metal.raw_board import RawBoard, WireFaults

CORPUS = [
    bytes.fromhex("060007000600"),
    bytes.fromhex("0A0002000510A0860100"),
    bytes.fromhex("09000300054024AD07"),
    # Of these requests are made: page, command, data.
    bytes.fromhex("052024214D02"),
    bytes.fromhex("0520242098"),
    bytes.fromhex("052024B1051234422104"),
    bytes.fromhex("0540248B02"),
    bytes.fromhex("05204C4C3F"),
    bytes.fromhex("05203C00200021007F220003"),
    bytes.fromhex("05203C40FFFFFFFF"),
    bytes.fromhex("0901DEADBEEF"),
]
RUNS = 60
VERSIONS = ("601", "303", "204", "801")
FAULTY = WireFaults(lost_bytes=0.1, extra_bytes=0.1, garbled_answers=0.1)


@cache
def _row(version: str) -> Board:
    return board(version)


def one_input(data: bytes) -> None:
    kind = sum(data)
    raw = RawBoard(_row(VERSIONS[kind % 4]), dialect=list(Dialect)[kind % 3])
    if kind % 5 == 0:
        raw.set_faults(wire=FAULTY)
    size = (len(data) + 4) % (1 << 16)
    request = size.to_bytes(2, "little") + b"\x01\x00" + data
    at_part = b"".join(  # the same bytes for each part
        (len(data) % 999 + 7).to_bytes(2, "little")
        + bytes((number, 0, 5, 0x20 + (kind % 3) * 0x10, address))
        + data[:999]
        for number, address in enumerate(raw.parts)
    )
    for sent in (request, at_part, data):
        raw.control_received(sent, raw.now)
        raw.data_received(sent, raw.now)
        raw.step(raw.now + 0.5)
    raw.step(raw.now + 2)
    assert raw.next_wake > raw.now
    for packet in raw.control_to_host():
        assert 3 <= len(packet) <= 64
    raw.press_reset(raw.now)
    raw.step(raw.now + 2)
    raw.set_faults()
    raw.control_received(CORPUS[0], raw.now)
    raw.step(raw.now + 1)
    assert len(raw.control_to_host()) == 1
