"""What comes over a wire that speaks Stratum v2, to either end.

The first byte says to whom, and how: as it is, or as messages that the peer has
encrypted, each behind its kind and length.
"""

import struct
from random import Random

from softaxe.catalog.firmware import firmware
from softaxe.stratum.pool import MAX_UNSENT_BYTES, Pool
from softaxe.stratum.session import LinkFailed
from softaxe.stratum.v2 import messages
from softaxe.stratum.v2.frames import MOST_PAYLOAD_BYTES, Frame, FrameLink
from softaxe.stratum.v2.noise import Authority, Initiator, KeyPair, Responder
from softaxe.stratum.v2.pool import Entrance
from softaxe.stratum.v2.session import WAITING_JOBS, Session

POOL, MINER, RAW = 1, 2, 4
"""Bits of the first byte: who is spoken to, and whether it is encrypted."""
ANY = messages.ANY_TARGET
HASH = bytes(range(32))


def _said(how: int, *said: messages.Message) -> bytes:
    """Messages as `_frames` takes them apart."""
    frames = map(messages.frame, said)
    return bytes((how,)) + b"".join(
        struct.pack("<BH", frame.kind, len(frame.payload)) + frame.payload
        for frame in frames
    )


SETUP = messages.SetupConnection(0, 2, 2, 0, "h", 3333, "bitaxe", "BM1370", "", "")
EXTENDED = messages.OpenExtendedMiningChannel(1, "u", 1e3, ANY, 6)
STANDARD = messages.OpenStandardMiningChannel(1, "u", 1e3, ANY)
JOB = messages.NewExtendedMiningJob(1, 9, None, 4, True, (HASH,), b"first", b"last")
CORPUS = [
    _said(POOL, SETUP, EXTENDED, STANDARD, messages.CloseChannel(1, "bye")),
    _said(
        POOL,
        SETUP,
        EXTENDED,
        messages.SubmitSharesExtended(1, 0, 1, 7, 1_768_000_000, 0x20000000, bytes(8)),
        messages.UpdateChannel(1, 1e9, ANY),
        messages.SubmitSharesExtended(1, 1, 2, 7, 1_768_000_000, 0x20000000, bytes(8)),
    ),
    _said(
        POOL,
        SETUP,
        STANDARD,
        messages.SubmitSharesStandard(1, 0, 1, 7, 1_768_000_000, 0x20000000),
    ),
    _said(
        MINER,
        messages.SetupConnectionSuccess(2, 0),
        messages.OpenExtendedMiningChannelSuccess(1, 1, ANY, 6, b"\1\2", 2),
        JOB,
        messages.SetNewPrevHash(1, 9, HASH, 7, 0x1D00FFFF),
        messages.SetTarget(1, 0),
        messages.SubmitSharesSuccess(1, 0, 1, 1),
        messages.SubmitSharesError(1, 0, "stale-share"),
        messages.Reconnect("", 0),
    ),
    _said(
        MINER,
        messages.SetupConnectionSuccess(2, 0),
        messages.OpenStandardMiningChannelSuccess(1, 1, ANY, b"\1\2", 2),
        messages.NewMiningJob(1, 9, 5, 4, HASH),
        messages.SetNewPrevHash(1, 9, HASH, 7, 0),
        messages.SetTarget(1, 1),
    ),
    bytes((POOL | RAW,)) + bytes(64) + bytes(22),
    bytes((MINER | RAW,)) + bytes(234),
]
RUNS = 150
VERSIONS = ("2.14.0", "2.15.0")
AUTHORITY = Authority(Random(1))
STATIC = KeyPair.draw(Random(2))
KEYS = KeyPair.draw(Random(3))


def one_input(data: bytes) -> None:
    how, rest = (data[0], data[1:]) if data else (0, b"")
    if how & POOL:
        _to_pool(rest, is_raw=bool(how & RAW))
    if how & MINER:
        _to_miner(rest, is_raw=bool(how & RAW), is_extended=len(data) % 2 == 0)


def _frames(data: bytes) -> list[Frame]:
    frames = []
    while len(data) >= 3:
        kind, size = struct.unpack_from("<BH", data)
        frames.append(Frame(kind, data[3 : 3 + size]))
        data = data[3 + size :]
    return frames


def _to_pool(data: bytes, *, is_raw: bool) -> None:
    entrance = Entrance(Pool(start_difficulty=2.0**-32))
    connection = entrance.connect(0.0)
    if is_raw:
        connection.receive(data, 0.0)
    else:
        initiator = Initiator(KEYS, authority=None)
        connection.receive(initiator.hello, 0.0)
        link = FrameLink(
            initiator.finish(connection.data_to_send()),
            most_payload_bytes=MOST_PAYLOAD_BYTES,
        )
        for frame in _frames(data):
            connection.receive(link.seal(frame), 0.0)
            for said in link.feed(connection.data_to_send()):
                messages.read(said, messages.MESSAGES[said.kind])
    entrance.pool.new_block(1.0)
    entrance.pool.step(40.0)
    assert len(connection.data_to_send()) <= MAX_UNSENT_BYTES
    assert len(connection.channels) <= 8
    connection.closed(41.0)
    assert not any(one.connections for one in entrance.pool.workers.values())


def _to_miner(data: bytes, *, is_raw: bool, is_extended: bool) -> None:
    lines: list[str] = []
    session = Session(
        rows=firmware(VERSIONS[len(data) % 3 % 2]).rows,
        asic_model="BM1370",
        host="h",
        port=1,
        user="u",
        is_extended=is_extended,
        authority="",
        needs_authority=False,
        scale=1,
        rng=Random(4),
        log=lambda level, tag, text: lines.append(text),
    )
    session.connected(0.0)
    hello = session.data_to_send()
    if is_raw:
        session.receive(data, 0.0)
    else:
        certificate = AUTHORITY.certify(STATIC.public)
        responder = Responder(static=STATIC, certificate=certificate, keys=KEYS)
        answer, ciphers = responder.answer(hello)
        session.receive(answer, 0.0)
        link = FrameLink(ciphers, most_payload_bytes=MOST_PAYLOAD_BYTES)
        for frame in _frames(data):
            session.receive(link.seal(frame), 0.0)
    ends = [event for event in session.events() if isinstance(event, LinkFailed)]
    assert len(ends) <= 1
    assert len(session._waiting) <= WAITING_JOBS
    for line in lines:
        assert len(line) < 2 * MOST_PAYLOAD_BYTES
