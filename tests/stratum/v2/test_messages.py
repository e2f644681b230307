import json
from pathlib import Path

import pytest
from tests.each import each

from softaxe.errors import StratumError
from softaxe.stratum.v2 import messages
from softaxe.stratum.v2.frames import CHANNEL_BIT, Frame
from softaxe.stratum.v2.messages import (
    ANY_TARGET,
    CloseChannel,
    Message,
    NewExtendedMiningJob,
    NewMiningJob,
    OpenExtendedMiningChannel,
    OpenExtendedMiningChannelSuccess,
    OpenMiningChannelError,
    OpenStandardMiningChannel,
    OpenStandardMiningChannelSuccess,
    Reconnect,
    SetExtranoncePrefix,
    SetGroupChannel,
    SetNewPrevHash,
    SetTarget,
    SetupConnection,
    SetupConnectionError,
    SetupConnectionSuccess,
    SubmitSharesError,
    SubmitSharesExtended,
    SubmitSharesStandard,
    SubmitSharesSuccess,
    UpdateChannel,
    UpdateChannelError,
)

PLAIN = json.loads(
    (Path(__file__).parents[2] / "data" / "firmware-versions.json").read_text()
)["vectors"]["sv2_frames_plain"]
HASH = bytes(range(32))


def setup(flags: int) -> SetupConnection:
    return SetupConnection(
        0, 2, 2, flags, "pool.example", 3333, "bitaxe", "BM1370", "", ""
    )


SHARE = (1, 0, 7, 0x0A029ED1, 0x647025B5, 0x20000004)
SAID: dict[str, Message] = {
    "SetupConnection extended pool.example:3333 BM1370": setup(0),
    "SetupConnection standard pool.example:3333 BM1370": setup(1),
    "OpenExtendedMiningChannel user u, v2.14 (min extranonce 6)": (
        OpenExtendedMiningChannel(1, "u", 1e12, ANY_TARGET, 6)
    ),
    "OpenExtendedMiningChannel user u, v2.15 (min extranonce 2)": (
        OpenExtendedMiningChannel(1, "u", 1e12, ANY_TARGET, 2)
    ),
    "OpenStandardMiningChannel user u": (
        OpenStandardMiningChannel(1, "u", 1e12, ANY_TARGET)
    ),
    "SubmitSharesStandard ch=1 seq=0 job=7 nonce=0a029ed1 ntime=647025b5 "
    "version=20000004": SubmitSharesStandard(*SHARE),
    "SubmitSharesExtended same, extranonce 000000000001": (
        SubmitSharesExtended(*SHARE, bytes.fromhex("000000000001"))
    ),
}
ALL: list[Message] = [
    *SAID.values(),
    SetupConnectionSuccess(2, 3),
    SetupConnectionError(2, "unsupported-feature-flags"),
    Reconnect("other.example", 3334),
    OpenStandardMiningChannelSuccess(1, 2, ANY_TARGET >> 32, b"\1\2", 3),
    OpenMiningChannelError(1, "unknown-user"),
    OpenExtendedMiningChannelSuccess(1, 2, ANY_TARGET >> 32, 8, b"\1\2", 3),
    NewMiningJob(2, 5, None, 0x20000000, HASH),
    NewMiningJob(2, 5, 0, 0x20000000, HASH),
    UpdateChannel(2, 0.5, ANY_TARGET),
    UpdateChannelError(2, "invalid-channel-id"),
    CloseChannel(2, "bye"),
    SetExtranoncePrefix(2, b"\3" * 32),
    SubmitSharesSuccess(2, 9, 3, 1 << 40),
    SubmitSharesError(2, 10, "stale-share"),
    NewExtendedMiningJob(2, 5, 7, 1, True, (HASH, HASH), b"first", b"last" * 999),
    SetNewPrevHash(2, 5, HASH, 7, 0x1D00FFFF),
    SetTarget(2, 1),
    SetGroupChannel(4, (2, 3)),
]


@each("name", PLAIN)
def test_a_message_is_spelled_as_the_firmware_does(name: str) -> None:
    assert bytes(messages.frame(SAID[name])).hex() == PLAIN[name]


@each("message", ALL)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    kind, frame = type(message), messages.frame(message)

    again = messages.frame(messages.read(frame, kind))

    assert messages.MESSAGES[frame.kind] is kind
    assert again == frame
    assert messages.read(Frame(frame.kind, frame.payload + b"more"), kind) is not None


@each("message", ALL)
def test_a_message_that_is_cut_short_is_none(message: Message) -> None:
    frame = messages.frame(message)
    # A group was not named in earlier days of the protocol.
    optional = (
        4
        if hasattr(message, "extranonce_prefix")
        and (hasattr(message, "group_channel_id"))
        else 0
    )

    for size in {len(frame.payload) - 1, len(frame.payload) // 2, 0}:
        cut = Frame(frame.kind, frame.payload[:size])
        with pytest.raises(StratumError, match=f"{type(message).__name__}: "):
            messages.read(cut, type(message))
    if optional:
        messages.read(Frame(frame.kind, frame.payload[:-optional]), type(message))


def test_messages_for_a_channel_say_so() -> None:
    ours = {frame.kind for frame in map(messages.frame, ALL) if frame.extension}

    assert ours == {*range(0x15, 0x1E), 0x1F, 0x20, 0x21}
    assert messages.frame(ALL[-2]).extension == CHANNEL_BIT


def test_an_extranonce_is_no_longer_than_32_bytes() -> None:
    long = Frame(0x19, bytes(4) + b"\x21" + bytes(33))

    with pytest.raises(StratumError, match="33 bytes, at most 32"):
        messages.read(long, SetExtranoncePrefix)
    with pytest.raises(StratumError, match="33 bytes, at most 32"):
        messages.frame(SetExtranoncePrefix(1, bytes(33)))
