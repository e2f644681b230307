"""Frames of a host program at the chips, as `softaxe chip` takes them."""

import random
from itertools import product

from softaxe.asic import frames
from softaxe.asic.chip import REAL, Chain
from softaxe.asic.frames import Register
from softaxe.bitcoin.header import Work
from softaxe.catalog import Board, boards
from softaxe.catalog.lottery import draw

WORK = Work(0x20000000, bytes(32), bytes(32), 1_700_000_000, 0x1D00FFFF)
CORPUS = [
    frames.chain_inactive() + frames.set_address(2) + frames.read_all(0),
    frames.write_all(Register.PLL0, 0x40A00265) + frames.read_all(Register.PLL0),
    frames.write_all(Register.VERSION_MASK, 0x9000FFFF)
    + frames.write_all(Register.TICKET_MASK, 0xFF)
    + frames.job(24, WORK),
    frames.midstate_job(8, WORK, [bytes(32)] * 4) + frames.read_all(Register.HASH_RATE),
    frames.write_one(0, Register.FAST_UART, 0x11300200)
    + b"".join(frames.read_all(register) for register in Register),
    # Of these the bodies of a command and of jobs are made.
    frames.write_all(Register.PLL0, 0x40A00265)[2:-1],
    b"j" + frames.job(200, WORK)[4:-2],
    b"j" + frames.midstate_job(252, WORK, [bytes(32)] * 4)[4:-2],
    b"j" + frames.midstate_job(8, WORK, [])[4:-2],
]
RUNS = 30
ONE_BOARD_EACH = {row.chip.name: row for row in boards()}


def one_input(data: bytes) -> None:
    # Chance alone finds no checksum: the same bytes come as a command and a job too.
    header, body = (data[0], data[1:250]) if data else (0, b"")
    command = frames.command(header, body[:200])
    job = b"\x21" + bytes((len(body) + 4 & 0xFF,)) + body
    framed = frames.HOST_PREAMBLE + job + frames.crc16(job).to_bytes(2)
    for row, sent in product(ONE_BOARD_EACH.values(), (data, command, framed)):
        _send(row, sent)


def _send(board: Board, sent: bytes) -> None:
    chain = Chain(board.chip, silicons=draw(board, 1).silicons, rng=random.Random(1))
    chain.set_mode(REAL, 0.0)
    chain.set_operating_point(
        core_voltage_v=1.15, temperatures_c=[50.0] * board.asic_count, now=0.0
    )
    chain.set_reset(False, 0.0)
    chain.receive(sent, 0.0)
    chain.step(1.0)
    chain.receive(frames.read_all(Register.CHIP_ID), 1.0)
    if (search := chain.take_search(1)) is not None:
        chain.finish_search(search, [search.span.first_nonce], 2.0)
    told = chain.data_to_host()
    for size in (frames.SHORT_REPLY_BYTES, 11):
        for reply in frames.ReplyReader(size).feed(told):
            frames.read_reply(reply)
