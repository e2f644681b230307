"""Stratum v1 lines: splitting, reading and writing.

The rules are those of firmware v2.12.2 (stratum_api.c), quirks included. Stratum's
swapped words in the previous block's hash are undone here and nowhere else.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import msgspec

from softaxe.errors import StratumError

MAX_LINE_BYTES = 1 << 16
"""Longer lines are dropped; the longest notify is a tenth of this."""
MAX_MERKLE_BRANCHES = 32
MAX_EXTRANONCE2_BYTES = 32
FIRST_SHARE_ID = 5
"""Replies to lower ids are about the set-up. Source: ESP-Miner stratum_api.c."""
CONFIGURE_ID = 1
SUBSCRIBE_ID = 2
AUTHORIZE_ID = 3
HASH_BYTES = 32
MAX_DIFFICULTY = 2.0**128
"""Far beyond what any hash can reach."""
VERSION_MASK_WANTED = "ffffffff"


class LineSplitter:
    """Cuts a byte stream into lines; a line ends at LF."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self.dropped = 0
        """Lines left out for their length."""
        self._max_bytes = max_bytes
        self._rest = b""
        self._is_dropping = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without their LF."""
        *lines, rest = (self._rest + data).split(b"\n")
        if self._is_dropping and lines:
            lines = lines[1:]
            self._is_dropping = False
        elif self._is_dropping:
            rest = b""
        if len(rest) > self._max_bytes:
            self.dropped += 1
            self._is_dropping = True
            rest = b""
        self._rest = rest
        kept = [line for line in lines if len(line) <= self._max_bytes]
        self.dropped += len(lines) - len(kept)
        return kept


def swap_words(prevhash_swapped: bytes) -> bytes:
    """Reverse the bytes of every 32-bit word; its own inverse."""
    words = (prevhash_swapped[i : i + 4] for i in range(0, len(prevhash_swapped), 4))
    return b"".join(word[::-1] for word in words)


# What the pool says


@dataclass(frozen=True, slots=True)
class Notify:
    """A job of the pool."""

    job_id: str
    prevhash: bytes
    """Internal (header) order."""
    coinbase1: bytes
    coinbase2: bytes
    merkle_branch: tuple[bytes, ...]
    version: int
    nbits: int
    ntime: int
    is_clean: bool


@dataclass(frozen=True, slots=True)
class SetDifficulty:
    """The difficulty of shares from the next job on."""

    difficulty: float


@dataclass(frozen=True, slots=True)
class SetVersionMask:
    """The version bits that may be rolled; None when the pool named none."""

    mask: int | None


@dataclass(frozen=True, slots=True)
class SetExtranonce:
    """The pool's extranonce, and how long ours must be."""

    extranonce1: bytes
    extranonce2_size: int
    """At most `MAX_EXTRANONCE2_BYTES`; below 0 when the pool says so."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The answer to subscribe: the extranonces of this connection."""

    extranonce1: bytes
    extranonce2_size: int
    """At most `MAX_EXTRANONCE2_BYTES`; below 0 when the pool says so."""


@dataclass(frozen=True, slots=True)
class NoExtranonce:
    """An answer to subscribe without what it is for."""

    reason: str
    text: str
    """What the log says about it; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The pool wants a new connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no to a message of ours."""

    message_id: int
    reason: str | None
    """None means yes."""


@dataclass(frozen=True, slots=True)
class Unhandled:
    """Something the firmware has no use for."""

    text: str
    """What the log says about it; empty for nothing."""


Message = (
    Notify
    | SetDifficulty
    | SetVersionMask
    | SetExtranonce
    | Subscribed
    | NoExtranonce
    | Reconnect
    | Answer
    | Unhandled
)


def parse(line: bytes) -> Message:
    """Read one line of the pool.

    Raises:
        StratumError: It is not JSON, or its members cannot be used; says which.
    """
    try:
        root = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise StratumError(f"not JSON: {error}") from error
    if not isinstance(root, dict):
        raise StratumError("not a JSON object")
    method = root.get("method")
    if isinstance(method, str):
        return _parse_method(method, root.get("params"))
    return _parse_result(root)


def _parse_method(method: str, params: object) -> Message:
    if method == "client.reconnect":
        return Reconnect()
    known: dict[str, Callable[[list[Any]], Message]] = {
        "mining.notify": _parse_notify,
        "mining.set_difficulty": _parse_difficulty,
        "mining.set_version_mask": _parse_version_mask,
        "mining.set_extranonce": _parse_extranonce,
    }
    if method not in known:
        return Unhandled("unhandled method in stratum message")
    if not isinstance(params, list):
        raise StratumError(f"{method}: params is no array")
    try:
        return known[method](params)
    except IndexError as error:
        raise StratumError(f"{method}: only {len(params)} params") from error


def _parse_notify(params: list[Any]) -> Notify:
    branch = params[4]
    if not isinstance(branch, list):
        raise StratumError("mining.notify: merkle branch is no array")
    if len(branch) > MAX_MERKLE_BRANCHES:
        raise StratumError(
            f"mining.notify: {len(branch)} merkle branches, "
            f"at most {MAX_MERKLE_BRANCHES}"
        )
    if not isinstance(params[0], str):
        raise StratumError("mining.notify: job id is no string")
    return Notify(
        job_id=params[0],
        prevhash=swap_words(_hash("prevhash", params[1])),
        coinbase1=_bytes("coinbase1", params[2]),
        coinbase2=_bytes("coinbase2", params[3]),
        merkle_branch=tuple(_hash("merkle branch", entry) for entry in branch),
        version=_u32("version", params[5]),
        nbits=_u32("nbits", params[6]),
        ntime=_u32("ntime", params[7]),
        is_clean=params[-1] is True,
    )


def _parse_difficulty(params: list[Any]) -> SetDifficulty:
    value = params[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StratumError("mining.set_difficulty: difficulty is no number")
    try:
        difficulty = float(value)
    except OverflowError as error:
        raise StratumError("mining.set_difficulty: too large") from error
    if not 0 <= difficulty <= MAX_DIFFICULTY:
        raise StratumError(f"mining.set_difficulty: {difficulty} is no difficulty")
    return SetDifficulty(difficulty)


def _parse_version_mask(params: list[Any]) -> SetVersionMask:
    return SetVersionMask(_u32("version mask", params[0]))


def _parse_extranonce(params: list[Any]) -> SetExtranonce:
    return SetExtranonce(*_extranonce(params[0], params[1]))


def _extranonce(extranonce1: object, size: object) -> tuple[bytes, int]:
    if isinstance(size, bool) or not isinstance(size, int):
        raise StratumError("extranonce2 size is no count")
    return _bytes("extranonce1", extranonce1), min(size, MAX_EXTRANONCE2_BYTES)


def _parse_result(root: dict[str, Any]) -> Message:
    message_id = _number_id(root.get("id"))
    if "result" not in root:
        if message_id == SUBSCRIBE_ID:
            return NoExtranonce(_reason(root.get("error")), "")
        return Unhandled("")
    result, error = root["result"], root.get("error")
    if error is not None:
        return Answer(message_id, _reason(error))
    if isinstance(result, bool):
        reason = root.get("reject-reason")
        refused = reason if isinstance(reason, str) else "unknown"
        return Answer(message_id, None if result else refused)
    if message_id == SUBSCRIBE_ID:
        return _parse_subscription(result)
    if message_id == CONFIGURE_ID:
        mask = result.get("version-rolling.mask") if isinstance(result, dict) else None
        return SetVersionMask(None if mask is None else _u32("version mask", mask))
    return Unhandled("unhandled result in stratum message")


def _parse_subscription(result: object) -> Message:
    try:
        if not isinstance(result, list) or len(result) < 3:
            raise StratumError("result has no extranonce")
        return Subscribed(*_extranonce(result[1], result[2]))
    except StratumError as error:
        text = f"Unable to use stratum message: mining.subscribe: {error}"
        return NoExtranonce(str(error), text)


def _number_id(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return -1
    return int(value) if isfinite(value) else -1


def _reason(error: object) -> str:
    is_pair = isinstance(error, list) and len(error) >= 2
    reason = error[1] if is_pair and isinstance(error, list) else None
    return reason if isinstance(reason, str) else "unknown"


def _bytes(name: str, value: object) -> bytes:
    try:
        if isinstance(value, str):
            return bytes.fromhex(value)
    except ValueError:
        pass
    raise StratumError(f"{name}: not hexadecimal")


def _hash(name: str, value: object) -> bytes:
    data = _bytes(name, value)
    if len(data) != HASH_BYTES:
        raise StratumError(f"{name}: {len(data)} bytes, not {HASH_BYTES}")
    return data


def _u32(name: str, value: object) -> int:
    try:
        if isinstance(value, str):
            return int(value, 16) & 0xFFFFFFFF
    except ValueError:
        pass
    raise StratumError(f"{name}: not hexadecimal")


# What the miner says, in the firmware's exact spelling


def configure_line(message_id: int) -> str:
    """Ask for version rolling."""
    mask = f'{{"version-rolling.mask": "{VERSION_MASK_WANTED}"}}'
    return _line(message_id, "mining.configure", f'["version-rolling"], {mask}')


def subscribe_line(message_id: int, asic_model: str, firmware_version: str) -> str:
    """Ask for jobs, and say who asks."""
    agent = quote(f"bitaxe/{asic_model}/{firmware_version}")
    return _line(message_id, "mining.subscribe", agent)


def authorize_line(message_id: int, user: str, password: str) -> str:
    """Say for whom to mine."""
    return _line(message_id, "mining.authorize", f"{quote(user)}, {quote(password)}")


def suggest_difficulty_line(message_id: int, difficulty: float) -> str:
    """Ask for a difficulty; whole numbers are printed as such."""
    number = int(difficulty) if difficulty == int(difficulty) else difficulty
    return _line(message_id, "mining.suggest_difficulty", repr(number))


def extranonce_subscribe_line(message_id: int) -> str:
    """Ask to be told of new extranonces."""
    return _line(message_id, "mining.extranonce.subscribe", "")


def submit_line(
    message_id: int,
    *,
    user: str,
    job_id: str,
    extranonce2: bytes,
    ntime: int,
    nonce: int,
    version_bits: int,
) -> str:
    """Hand in a share."""
    params = (
        f'{quote(user)}, {quote(job_id)}, "{extranonce2.hex()}", '
        f'"{ntime:08x}", "{nonce:08x}", "{version_bits:08x}"'
    )
    return _line(message_id, "mining.submit", params)


def probe_lines(
    *, user: str, password: str, asic_model: str, firmware_version: str
) -> bytes:
    """The two lines with which the heartbeat tries a pool."""
    lines = (
        subscribe_line(1, asic_model, firmware_version),
        authorize_line(2, user, password),
    )
    return "".join(f"{line}\n" for line in lines).encode()


def quote(text: str) -> str:
    """A JSON string; the firmware's spelling for all that needs no escape."""
    return json.dumps(text, ensure_ascii=False)


def _line(message_id: int, method: str, params: str) -> str:
    return f'{{"id": {message_id}, "method": "{method}", "params": [{params}]}}'
