"""Stratum v1 lines: splitting, reading and writing.

The rules are the firmware's (stratum_api.c), quirks included; where its releases
differ, `Rows` says what one does. A line is what cJSON makes of it, and up to 2.14 its
parameters are of whatever type they are: a text is 0 where a number is looked for. What
such a release crashes at is an error here. Stratum's swapped words in the previous
block's hash are undone here and nowhere else.
"""

import json
import re
from collections.abc import Callable, Mapping, Reversible, Sequence
from typing import Any

from msgspec import Struct

from softaxe import cjson
from softaxe.catalog.firmware.rows import Rows
from softaxe.errors import StratumError
from softaxe.json_values import JsonValue, double, is_number, whole

MAX_LINE_BYTES = 1 << 16
"""Longer lines are dropped; the longest notify is a tenth of this."""
FIRST_SHARE_ID = 5
"""Replies to lower ids are about the set-up, to releases that track no submits.
Source: ESP-Miner stratum_api.c."""
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


class Notify(Struct, frozen=True):
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
    merkle_root: bytes | None = None
    """Of a pool that has made it itself: no coinbase is told then, and all the work
    that there is for the job is one header."""
    is_v2: bool = False
    """It came by Stratum v2: extranonces of the miner count big-endian, and a clean job
    ends all work under way."""


class SetDifficulty(Struct, frozen=True):
    """The difficulty of shares from the next job on."""

    difficulty: float


class SetVersionMask(Struct, frozen=True):
    """The version bits that may be rolled; None when the pool named none."""

    mask: int | None
    is_answer: bool = False
    """It is the answer to configure, told by its shape."""


class SetExtranonce(Struct, frozen=True):
    """The pool's extranonce, and how long ours must be."""

    extranonce1: bytes
    extranonce2_size: int
    """Cut to what the firmware takes at most; below 0 when the pool says so."""


class Subscribed(Struct, frozen=True):
    """The answer to subscribe: the extranonces of this connection."""

    extranonce1: bytes
    extranonce2_size: int
    """Cut to what the firmware takes at most; below 0 when the pool says so."""


class NoExtranonce(Struct, frozen=True):
    """An answer to subscribe without what it is for."""

    reason: str
    text: str
    """What the log says about it; empty for nothing."""


class Reconnect(Struct, frozen=True):
    """The pool wants a new connection."""


class Ping(Struct, frozen=True):
    """The pool wants to hear of us."""

    message_id: int


class GetVersion(Struct, frozen=True):
    """The pool asks who we are."""

    message_id: int


class ShowMessage(Struct, frozen=True):
    """The pool has something to say to people."""

    text: str


class Answer(Struct, frozen=True):
    """Yes or no to a message of ours."""

    message_id: int
    reason: str | None
    """None means yes."""


class Unhandled(Struct, frozen=True):
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
    | Ping
    | GetVersion
    | ShowMessage
    | Answer
    | Unhandled
)


def parse(line: bytes, rows: Rows) -> Message:
    """Read one line of the pool as a release of the firmware does.

    Raises:
        StratumError: It is not JSON, or its members cannot be used; says which.
    """
    try:
        if not line.isascii():
            line = line.decode("utf-8", "replace").encode()
        root = _members(cjson.parse(line))
    except ValueError as error:
        raise StratumError(f"not JSON: {error}") from error
    method = root.get("method")
    if isinstance(method, str):
        return _parse_method(method, root, rows)
    return _parse_result(root, rows)


def _members(pairs: Reversible[tuple[str, JsonValue]]) -> dict[str, Any]:
    """Return members as cJSON finds them: without case, the first of equals."""
    return {name.lower(): value for name, value in reversed(pairs)}


def _parse_method(method: str, root: Mapping[str, Any], rows: Rows) -> Message:
    match method:
        case "client.reconnect":
            return Reconnect()
        case "mining.ping" if rows.answers_ping:
            return Ping(_number_id(root.get("id")))
        case "client.get_version" if rows.answers_get_version:
            return GetVersion(_number_id(root.get("id")))
    if not _is_known(method, rows):
        return Unhandled("unhandled method in stratum message")
    params = _elements(root.get("params"), rows)
    if params is None:
        raise StratumError(f"{method}: params is no array")
    try:
        return _METHODS[method](params, rows)
    except IndexError as error:
        raise StratumError(f"{method}: only {len(params)} params") from error


def _is_known(method: str, rows: Rows) -> bool:
    if method == "mining.set_extranonce":
        return rows.set_extranonce != "ignored"
    if method == "client.show_message":
        return rows.logs_pool_messages
    return method in _METHODS


def _elements(value: object, rows: Rows) -> list[Any] | None:
    """What cJSON counts as an array's; None for what has none."""
    if isinstance(value, dict) and not rows.checks_pool_types:
        return list(value.values())
    return value if isinstance(value, list) else None


def _parse_notify(params: list[Any], rows: Rows) -> Notify:
    branch, most = _elements(params[4], rows), rows.most_merkle_branches
    if branch is None and rows.checks_pool_types:
        raise StratumError("mining.notify: merkle branch is no array")
    branch = branch or []
    if most is not None and len(branch) > most:
        raise StratumError(
            f"mining.notify: {len(branch)} merkle branches, at most {most}"
        )
    return Notify(
        job_id=_text("mining.notify: job id", params[0]),
        prevhash=swap_words(_hash("prevhash", params[1])),
        coinbase1=_bytes("coinbase1", params[2]),
        coinbase2=_bytes("coinbase2", params[3]),
        merkle_branch=tuple(_hash("merkle branch", entry) for entry in branch),
        version=_u32("version", params[5]),
        nbits=_u32("nbits", params[6]),
        ntime=_u32("ntime", params[7]),
        is_clean=params[-1] is True,
    )


def _parse_difficulty(params: list[Any], rows: Rows) -> SetDifficulty:
    value = params[0]
    if rows.checks_pool_types and not is_number(value):
        raise StratumError("mining.set_difficulty: difficulty is no number")
    difficulty = double(value) if is_number(value) else 0.0
    if rows.pool_difficulty == "integer":
        if value is True:
            difficulty = 1.0
        elif difficulty < 0:
            difficulty = float(whole(difficulty) % 2**32)
    return SetDifficulty(min(max(0.0, difficulty), MAX_DIFFICULTY))


def _parse_version_mask(params: list[Any], rows: Rows) -> SetVersionMask:
    return SetVersionMask(_u32("version mask", params[0]))


def _parse_extranonce(params: list[Any], rows: Rows) -> SetExtranonce:
    return SetExtranonce(*_extranonce(params[0], params[1], rows))


def _parse_message(params: list[Any], rows: Rows) -> ShowMessage:
    return ShowMessage(_text("client.show_message: message", params[0]))


_METHODS: dict[str, Callable[[list[Any], Rows], Message]] = {
    "mining.notify": _parse_notify,
    "mining.set_difficulty": _parse_difficulty,
    "mining.set_version_mask": _parse_version_mask,
    "mining.set_extranonce": _parse_extranonce,
    "client.show_message": _parse_message,
}
"""Those with parameters."""


def _extranonce(extranonce1: object, size: object, rows: Rows) -> tuple[bytes, int]:
    if rows.checks_pool_types and not is_number(size):
        raise StratumError("extranonce2 size is no number")
    count = whole(size) if is_number(size) else int(size is True)
    return _bytes("extranonce1", extranonce1), min(count, rows.most_extranonce2_bytes)


def _parse_result(root: Mapping[str, Any], rows: Rows) -> Message:
    message_id = _number_id(root.get("id"))
    result, error = root.get("result"), root.get("error")
    if "result" not in root and (error is None or rows.pool_errors == "array"):
        if message_id == SUBSCRIBE_ID:
            return NoExtranonce(_reason(error, rows), "")
        return Unhandled("")
    if error is not None:
        return Answer(message_id, _reason(error, rows))
    if isinstance(result, bool):
        reason = root.get("reject-reason")
        refused = reason if isinstance(reason, str) else "unknown"
        return Answer(message_id, None if result else refused)
    is_by_shape = rows.setup_results == "by shape"
    if message_id == SUBSCRIBE_ID or (is_by_shape and isinstance(result, list)):
        return _parse_subscription(result, rows)
    members = _members(result.items()) if isinstance(result, dict) else {}
    mask = members.get("version-rolling.mask")
    if is_by_shape:
        if members.get("version-rolling") is not True:
            raise StratumError("a result of no known shape")
        return SetVersionMask(_u32("version mask", mask), is_answer=True)
    if message_id == CONFIGURE_ID:
        return SetVersionMask(None if mask is None else _u32("version mask", mask))
    return Unhandled("unhandled result in stratum message")


def _parse_subscription(result: object, rows: Rows) -> Message:
    try:
        found = _elements(result, rows)
        if found is None or len(found) < 3:
            raise StratumError("result has no extranonce")
        return Subscribed(*_extranonce(found[1], found[2], rows))
    except StratumError as error:
        text = f"Unable to use stratum message: mining.subscribe: {error}"
        return NoExtranonce(str(error), text)


def _number_id(value: object) -> int:
    return whole(value) if is_number(value) else -1


def _reason(error: object, rows: Rows) -> str:
    reason: object = None
    if isinstance(error, list) and len(error) >= 2:
        reason = error[1]
    elif rows.pool_errors == "any form":
        reason = error
        if isinstance(error, dict):
            reason = _members(error.items()).get("message")
    return reason if isinstance(reason, str) else "unknown"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise StratumError(f"{name} is no string")
    return value


def _bytes(name: str, value: object) -> bytes:
    """Read bytes as the firmware's `hex2bin` does.

    What is no digit counts as 0, and an odd last digit is the higher half of a byte.
    """
    digits = _text(name, value)
    if len(digits) % 2 or _NO_DIGIT.search(digits):
        digits = _NO_DIGIT.sub("0", digits) + "0" * (len(digits) % 2)
    return bytes.fromhex(digits)


def _hash(name: str, value: object) -> bytes:
    data = _bytes(name, value)[:HASH_BYTES]
    if len(data) != HASH_BYTES:
        raise StratumError(f"{name}: {len(data)} bytes, not {HASH_BYTES}")
    return data


def _u32(name: str, value: object) -> int:
    """Read a number of base 16 as C's `strtoul` does, where a long has 32 bits."""
    match = _STRTOUL.match(_text(name, value))
    sign, digits = match.groups() if match else ("", "")
    number = int(digits or "0", 16)
    return 0xFFFFFFFF if number > 0xFFFFFFFF else int(f"{sign}{number}") & 0xFFFFFFFF


_NO_DIGIT = re.compile("[^0-9a-fA-F]")
_STRTOUL = re.compile(
    r"[ \t-\r]*([-+]?)(?:0[xX](?=[0-9a-fA-F]))?([0-9a-fA-F]*)", re.ASCII
)


# What the miner says, in the firmware's exact spelling


def configure_line(message_id: int, *, is_compact: bool) -> str:
    """Ask for version rolling."""
    blank = "" if is_compact else " "
    mask = f'{{"version-rolling.mask":{blank}"{VERSION_MASK_WANTED}"}}'
    params = ('["version-rolling"]', mask)
    return _line(message_id, "mining.configure", params, is_compact=is_compact)


def subscribe_line(
    message_id: int, asic_model: str, firmware_version: str, *, is_compact: bool
) -> str:
    """Ask for jobs, and say who asks."""
    params = (quote(f"bitaxe/{asic_model}/{firmware_version}"),)
    return _line(message_id, "mining.subscribe", params, is_compact=is_compact)


def authorize_line(
    message_id: int, user: str, password: str, *, is_compact: bool
) -> str:
    """Say for whom to mine."""
    params = (quote(user), quote(password))
    return _line(message_id, "mining.authorize", params, is_compact=is_compact)


def suggest_difficulty_line(
    message_id: int, difficulty: float, *, is_compact: bool
) -> str:
    """Ask for a difficulty; whole numbers are printed as such."""
    number = int(difficulty) if difficulty == int(difficulty) else difficulty
    method, params = "mining.suggest_difficulty", (repr(number),)
    return _line(message_id, method, params, is_compact=is_compact)


def extranonce_subscribe_line(message_id: int, *, is_compact: bool) -> str:
    """Ask to be told of new extranonces."""
    return _line(message_id, "mining.extranonce.subscribe", (), is_compact=is_compact)


def submit_line(
    message_id: int,
    *,
    user: str,
    job_id: str,
    extranonce2: bytes,
    ntime: int,
    nonce: int,
    version_bits: int,
    is_compact: bool,
) -> str:
    """Hand in a share."""
    params = (
        quote(user),
        quote(job_id),
        f'"{extranonce2.hex()}"',
        f'"{ntime:08x}"',
        f'"{nonce:08x}"',
        f'"{version_bits:08x}"',
    )
    return _line(message_id, "mining.submit", params, is_compact=is_compact)


def pong_line(message_id: int) -> str:
    """Answer a ping; only firmware that writes compact JSON does."""
    return _line(message_id, "pong", (), is_compact=True)


def version_line(message_id: int, firmware_version: str) -> str:
    """Answer who we are."""
    return f'{{"id":{message_id},"result":{quote(firmware_version)},"error":null}}'


def probe_lines(
    *,
    user: str,
    password: str,
    asic_model: str,
    firmware_version: str,
    is_compact: bool,
) -> bytes:
    """The two lines with which the heartbeat tries a pool."""
    lines = (
        subscribe_line(1, asic_model, firmware_version, is_compact=is_compact),
        authorize_line(2, user, password, is_compact=is_compact),
    )
    return "".join(f"{line}\n" for line in lines).encode()


_ENCODER = json.JSONEncoder(ensure_ascii=False)


def quote(text: str) -> str:
    """A JSON string; the firmware's spelling for all that needs no escape."""
    return _ENCODER.encode(text)


def _line(
    message_id: int, method: str, params: Sequence[str], *, is_compact: bool
) -> str:
    if is_compact:
        listed = ",".join(params)
        return f'{{"id":{message_id},"method":"{method}","params":[{listed}]}}'
    listed = ", ".join(params)
    return f'{{"id": {message_id}, "method": "{method}", "params": [{listed}]}}'
