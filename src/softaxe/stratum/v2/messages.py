"""The messages of Stratum v2 that a miner and a pool exchange, one class each.

A class has its number and its fields in the order of the wire; how a field is spelled
stands beside its type. All numbers are little-endian, hashes in internal order.
Source: Stratum v2, Data Types, Mining Protocol and Message Types.
"""

from collections.abc import Callable
from struct import Struct
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_type_hints

import msgspec

from softaxe.errors import StratumError
from softaxe.stratum.v2.frames import CHANNEL_BIT, Frame

REQUIRES_STANDARD_JOBS = 1
"""Flag of `SetupConnection`: header-only mining, no extended jobs."""
PROTOCOL_MINING = 0
VERSION = 2
ANY_TARGET = (1 << 256) - 1
MOST_PREFIX_BYTES = 32
"""Of an extranonce and of its first part."""


class _Reader:
    """Takes fields from the front of a payload."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        taken = self.data[self.at : self.at + size]
        if len(taken) < size:
            raise StratumError("cut short")
        self.at += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")


class _Spelling(msgspec.Struct, frozen=True):
    """How a field is read and written."""

    read: Callable[[_Reader], Any]
    write: Callable[[Any], bytes]


def _number(size: int) -> _Spelling:
    return _Spelling(
        lambda reader: reader.number(size),
        lambda value: value.to_bytes(size, "little"),
    )


def _bytes(length_size: int, most: int) -> _Spelling:
    """Bytes behind their count."""

    def read(reader: _Reader) -> bytes:
        size = reader.number(length_size)
        if size > most:
            raise StratumError(f"{size} bytes, at most {most}")
        return reader.take(size)

    def write(value: bytes) -> bytes:
        if len(value) > most:
            raise StratumError(f"{len(value)} bytes, at most {most}")
        return len(value).to_bytes(length_size, "little") + value

    return _Spelling(read, write)


def _text() -> _Spelling:
    data = _bytes(1, 255)
    return _Spelling(
        lambda reader: data.read(reader).decode("utf-8", "replace"),
        lambda value: data.write(value.encode()),
    )


def _list_of(item: _Spelling, count_size: int) -> _Spelling:
    return _Spelling(
        lambda reader: tuple(
            item.read(reader) for _ in range(reader.number(count_size))
        ),
        lambda value: (
            len(value).to_bytes(count_size, "little") + b"".join(map(item.write, value))
        ),
    )


def _option(item: _Spelling) -> _Spelling:
    return _Spelling(
        lambda reader: item.read(reader) if reader.number(1) else None,
        lambda value: b"\0" if value is None else b"\1" + item.write(value),
    )


_FLOAT = Struct("<f")
_HASH = _Spelling(lambda reader: reader.take(32), bytes)
_U32 = _number(4)

U8 = Annotated[int, _number(1)]
U16 = Annotated[int, _number(2)]
U32 = Annotated[int, _U32]
U64 = Annotated[int, _number(8)]
U256 = Annotated[int, _number(32)]
Hash = Annotated[bytes, _HASH]
F32 = Annotated[
    float, _Spelling(lambda reader: _FLOAT.unpack(reader.take(4))[0], _FLOAT.pack)
]
Bool = Annotated[
    bool,
    _Spelling(
        lambda reader: bool(reader.number(1) & 1), lambda value: bytes((int(value),))
    ),
]
Text = Annotated[str, _text()]
Extranonce = Annotated[bytes, _bytes(1, MOST_PREFIX_BYTES)]
LongBytes = Annotated[bytes, _bytes(2, 0xFFFF)]
OptionalU32 = Annotated[int | None, _option(_U32)]
Hashes = Annotated[tuple[bytes, ...], _list_of(_HASH, 1)]
ChannelIds = Annotated[tuple[int, ...], _list_of(_U32, 2)]


class Message(msgspec.Struct, frozen=True):
    """A message; fields with a value of their own may be missing at its end."""

    KIND: ClassVar[int]
    IS_FOR_CHANNEL: ClassVar[bool] = False


class SetupConnection(Message, frozen=True):
    """The miner says who it is."""

    KIND: ClassVar[int] = 0x00
    protocol: U8
    min_version: U16
    max_version: U16
    flags: U32
    endpoint_host: Text
    endpoint_port: U16
    vendor: Text
    hardware: Text
    firmware: Text
    device_id: Text


class SetupConnectionSuccess(Message, frozen=True):
    """The pool takes the connection."""

    KIND: ClassVar[int] = 0x01
    used_version: U16
    flags: U32


class SetupConnectionError(Message, frozen=True):
    """The pool does not take the connection."""

    KIND: ClassVar[int] = 0x02
    flags: U32
    """Those that it does not support."""
    error_code: Text


class Reconnect(Message, frozen=True):
    """The pool wants a new connection; an empty host is the same one."""

    KIND: ClassVar[int] = 0x04
    new_host: Text
    new_port: U16


class OpenStandardMiningChannel(Message, frozen=True):
    """The miner wants a channel whose jobs have their merkle root."""

    KIND: ClassVar[int] = 0x10
    request_id: U32
    user_identity: Text
    nominal_hash_rate: F32
    """Hashes per second."""
    max_target: U256


class OpenStandardMiningChannelSuccess(Message, frozen=True):
    """Here it is."""

    KIND: ClassVar[int] = 0x11
    request_id: U32
    channel_id: U32
    target: U256
    extranonce_prefix: Extranonce
    group_channel_id: U32 = 0


class OpenMiningChannelError(Message, frozen=True):
    """There is no channel to be had."""

    KIND: ClassVar[int] = 0x12
    request_id: U32
    error_code: Text


class OpenExtendedMiningChannel(Message, frozen=True):
    """The miner wants a channel for whose jobs it makes merkle roots itself."""

    KIND: ClassVar[int] = 0x13
    request_id: U32
    user_identity: Text
    nominal_hash_rate: F32
    """Hashes per second."""
    max_target: U256
    min_extranonce_size: U16
    """Bytes for the miner."""


class OpenExtendedMiningChannelSuccess(Message, frozen=True):
    """Here it is."""

    KIND: ClassVar[int] = 0x14
    request_id: U32
    channel_id: U32
    target: U256
    extranonce_size: U16
    """Bytes for the miner."""
    extranonce_prefix: Extranonce
    group_channel_id: U32 = 0


class NewMiningJob(Message, frozen=True):
    """A job of a standard channel."""

    KIND: ClassVar[int] = 0x15
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    job_id: U32
    min_ntime: OptionalU32
    """None: it is for a block to come, see `SetNewPrevHash`."""
    version: U32
    merkle_root: Hash


class UpdateChannel(Message, frozen=True):
    """The miner has become another."""

    KIND: ClassVar[int] = 0x16
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    nominal_hash_rate: F32
    """Hashes per second."""
    maximum_target: U256


class UpdateChannelError(Message, frozen=True):
    """The pool does not take that."""

    KIND: ClassVar[int] = 0x17
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    error_code: Text


class CloseChannel(Message, frozen=True):
    """A channel, or every one of a group, is at its end."""

    KIND: ClassVar[int] = 0x18
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    reason_code: Text


class SetExtranoncePrefix(Message, frozen=True):
    """The pool's part of the extranonce, for jobs from now on."""

    KIND: ClassVar[int] = 0x19
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    extranonce_prefix: Extranonce


class SubmitSharesStandard(Message, frozen=True):
    """A share of a standard channel."""

    KIND: ClassVar[int] = 0x1A
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    sequence_number: U32
    job_id: U32
    nonce: U32
    ntime: U32
    version: U32
    """The header's, with all that was rolled."""


class SubmitSharesExtended(Message, frozen=True):
    """A share of an extended channel."""

    KIND: ClassVar[int] = 0x1B
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    sequence_number: U32
    job_id: U32
    nonce: U32
    ntime: U32
    version: U32
    """The header's, with all that was rolled."""
    extranonce: Extranonce
    """The miner's part."""


class SubmitSharesSuccess(Message, frozen=True):
    """Shares are taken."""

    KIND: ClassVar[int] = 0x1C
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    last_sequence_number: U32
    accepted_count: U32
    shares_sum: U64
    """Of the difficulties that were asked for."""


class SubmitSharesError(Message, frozen=True):
    """A share is refused."""

    KIND: ClassVar[int] = 0x1D
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    sequence_number: U32
    error_code: Text


class NewExtendedMiningJob(Message, frozen=True):
    """A job of an extended channel, or of a group of channels."""

    KIND: ClassVar[int] = 0x1F
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    job_id: U32
    min_ntime: OptionalU32
    """None: it is for a block to come, see `SetNewPrevHash`."""
    version: U32
    version_rolling_allowed: Bool
    merkle_path: Hashes
    coinbase_prefix: LongBytes
    """Before the extranonce."""
    coinbase_suffix: LongBytes
    """After the extranonce."""


class SetNewPrevHash(Message, frozen=True):
    """There is a new block; the job of this id is for the next one."""

    KIND: ClassVar[int] = 0x20
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    job_id: U32
    prevhash: Hash
    min_ntime: U32
    nbits: U32


class SetTarget(Message, frozen=True):
    """What hashes may be at most, for jobs from now on."""

    KIND: ClassVar[int] = 0x21
    IS_FOR_CHANNEL: ClassVar[bool] = True
    channel_id: U32
    maximum_target: U256


class SetGroupChannel(Message, frozen=True):
    """Channels are put into a group, for which jobs may be said once."""

    KIND: ClassVar[int] = 0x25
    group_channel_id: U32
    channel_ids: ChannelIds


class _Field(msgspec.Struct, frozen=True):
    name: str
    spelling: _Spelling
    may_be_missing: bool


def _fields(kind: type[Message]) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        _Field(one.name, hints[one.name].__metadata__[0], not one.required)
        for one in msgspec.structs.fields(kind)
    )


_KINDS: Final[tuple[type[Message], ...]] = (
    SetupConnection,
    SetupConnectionSuccess,
    SetupConnectionError,
    Reconnect,
    OpenStandardMiningChannel,
    OpenStandardMiningChannelSuccess,
    OpenMiningChannelError,
    OpenExtendedMiningChannel,
    OpenExtendedMiningChannelSuccess,
    NewMiningJob,
    UpdateChannel,
    UpdateChannelError,
    CloseChannel,
    SetExtranoncePrefix,
    SubmitSharesStandard,
    SubmitSharesExtended,
    SubmitSharesSuccess,
    SubmitSharesError,
    NewExtendedMiningJob,
    SetNewPrevHash,
    SetTarget,
    SetGroupChannel,
)
_FIELDS: Final = {kind: _fields(kind) for kind in _KINDS}
MESSAGES: Final = {kind.KIND: kind for kind in _KINDS}
"""By number."""
M = TypeVar("M", bound=Message)


def frame(message: Message) -> Frame:
    """Spell a message.

    Raises:
        StratumError: A text or list is too long for it.
    """
    kind = type(message)
    payload = b"".join(
        one.spelling.write(getattr(message, one.name)) for one in _FIELDS[kind]
    )
    return Frame(kind.KIND, payload, CHANNEL_BIT if kind.IS_FOR_CHANNEL else 0)


def read(carried: Frame, kind: type[M]) -> M:
    """Read a message of a known kind; what stands behind its last field is ignored.

    Raises:
        StratumError: It is cut short, or one of its fields is too long.
    """
    reader = _Reader(carried.payload)
    values = []
    try:
        for one in _FIELDS[kind]:
            if one.may_be_missing and reader.at == len(carried.payload):
                break
            values.append(one.spelling.read(reader))
    except StratumError as error:
        raise StratumError(f"{kind.__name__}: {error}") from error
    return kind(*values)
