"""The miner's side of one connection to a pool.

Bytes in, events out; calls in, bytes out. A pool that misbehaves never raises out of
here: its line is dropped with a log line. Source: ESP-Miner stratum_api.c.
"""

from dataclasses import dataclass
from math import exp, inf
from math import log as ln
from statistics import NormalDist
from zlib import crc32

from softaxe.bitcoin.header import nbits_difficulty
from softaxe.errors import StratumError
from softaxe.stratum import messages
from softaxe.stratum.messages import (
    AUTHORIZE_ID,
    FIRST_SHARE_ID,
    MAX_EXTRANONCE2_BYTES,
    SUBSCRIBE_ID,
    Answer,
    LineSplitter,
    NoExtranonce,
    Notify,
    Reconnect,
    SetDifficulty,
    SetExtranonce,
    SetVersionMask,
    Subscribed,
    Unhandled,
)
from softaxe.units import Level, Log

TAG = "stratum_task"
API_TAG = "stratum_api"
MAX_AWAITED = 1024
"""Messages whose answers are timed. Source: ESP-Miner stratum_api.c."""
AIR_LOG_S = NormalDist(ln(0.045), 0.45)
"""Of the time that Wi-Fi and router add to an answer: its logarithm; an estimate.

Real devices show 22 to 188 ms in all, and device time does not pass while softaxe
itself exchanges lines at once."""
AIR_LIMITS_S = (0.012, 0.25)
LOGGED_LINE_CHARS = 4096
"""Longer lines are cut in the log."""


@dataclass(frozen=True, slots=True)
class NotifyReceived:
    """A job, with what was in force when it came: later lines hold for later jobs."""

    notify: Notify
    network_difficulty: float
    """From nbits, in the chip's hashes."""
    pool_difficulty: float
    """In the chip's hashes; 0 when none has been set."""
    version_mask: int
    extranonce: "ExtranonceSet | None"
    """None when no pool has given one: then the firmware crashes."""


@dataclass(frozen=True, slots=True)
class DifficultySet:
    """The pool's difficulty, in the chip's hashes."""

    difficulty: float


@dataclass(frozen=True, slots=True)
class VersionMaskSet:
    """The version bits that may be rolled."""

    mask: int


@dataclass(frozen=True, slots=True)
class ExtranonceSet:
    """The extranonces of the jobs from now on."""

    extranonce1: bytes
    extranonce2_size: int
    """Below 0, which some pool has said, the firmware crashes at the next job."""


@dataclass(frozen=True, slots=True)
class SubscribeRefused:
    """The pool gives no extranonce, so there is nothing to mine."""

    reason: str


@dataclass(frozen=True, slots=True)
class SetupAccepted:
    """The pool said yes to a message of the set-up."""


@dataclass(frozen=True, slots=True)
class SetupRejected:
    """The pool said no to a message of the set-up; the firmware goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class ShareAccepted:
    """The pool took a share."""


@dataclass(frozen=True, slots=True)
class ShareRejected:
    """The pool refused a share."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReconnectRequested:
    """The pool wants a new connection."""


Event = (
    NotifyReceived
    | DifficultySet
    | VersionMaskSet
    | ExtranonceSet
    | SubscribeRefused
    | SetupAccepted
    | SetupRejected
    | ShareAccepted
    | ShareRejected
    | ReconnectRequested
)


class Session:
    """One connection.

    Call `connected` first; after each call take `events` and `data_to_send`.

    Args:
        asic_model: For the user agent.
        firmware_version: For the user agent.
        user: At the pool.
        password: At the pool; never logged.
        suggested_difficulty: In the chip's hashes; 0 suggests none.
        wants_extranonce_subscribe: Ask to be told of new extranonces.
        scale: Chip hashes per searched hash. Difficulties are multiplied by it on the
            way in and divided by it on the way out, here and nowhere else.
        extranonce: What an earlier connection gave; the firmware keeps it.
        must_subscribe: Mine only what this connection gives an extranonce for; the
            firmware takes any answer to subscribe for one, and goes on.
        log: For the lines of the firmware.
        most_difficulty: That a pool can ask, in the chip's hashes.
        is_wireless: Answers are in the air for a while, too.
    """

    def __init__(
        self,
        *,
        asic_model: str,
        firmware_version: str,
        user: str,
        password: str,
        suggested_difficulty: int,
        wants_extranonce_subscribe: bool,
        scale: int,
        extranonce: ExtranonceSet | None = None,
        must_subscribe: bool = True,
        log: Log,
        most_difficulty: float = inf,
        is_wireless: bool = False,
    ) -> None:
        self.extranonce = extranonce
        self.version_mask = 0
        self.pool_difficulty = 0.0
        """As last set, in the chip's hashes; 0 before."""
        self.response_time_s: float | None = None
        """Of the last answered message."""
        self._asic_model = asic_model
        self._firmware_version = firmware_version
        self._user = user
        self._password = password
        self._suggested_difficulty = suggested_difficulty
        self._wants_extranonce_subscribe = wants_extranonce_subscribe
        self._scale = scale
        self._must_subscribe = must_subscribe
        self._log = log
        self._most_difficulty = most_difficulty
        self._is_wireless = is_wireless
        self._splitter = LineSplitter()
        self._last_id = 0
        self._awaited: dict[int, float] = {}
        self._unsent: list[int] = []
        self._out: list[str] = []
        self._events: list[Event] = []

    def connected(self, now: float) -> None:
        """Say the three lines that open a connection."""
        self._send(messages.configure_line(self._next_id()))
        line = messages.subscribe_line(
            self._next_id(), self._asic_model, self._firmware_version
        )
        self._send(line)
        message_id = self._next_id()
        self._await(message_id, now)
        line = messages.authorize_line(message_id, self._user, self._password)
        shown = messages.authorize_line(message_id, self._user, "*****")
        self._send(line, shown=shown)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes of the pool, in any slices."""
        dropped = self._splitter.dropped
        lines = self._splitter.feed(data)
        if self._splitter.dropped > dropped:
            text = f"line over {messages.MAX_LINE_BYTES} bytes dropped"
            self._log(Level.ERROR, API_TAG, text)
        for line in lines:
            self._receive_line(line.rstrip(b"\r"), now)

    def submit(
        self,
        *,
        job_id: str,
        extranonce2: bytes,
        ntime: int,
        nonce: int,
        version_bits: int,
        now: float,
    ) -> int:
        """Hand in a share; return the message id its answer will carry.

        Args:
            job_id: As the pool named the job.
            extranonce2: As used in the coinbase.
            ntime: Of the header.
            nonce: The header's last four bytes read little-endian.
            version_bits: Rolled version XOR the job's version.
            now: Device time.
        """
        message_id = self._next_id()
        self._await(message_id, now)
        line = messages.submit_line(
            message_id,
            user=self._user,
            job_id=job_id,
            extranonce2=extranonce2,
            ntime=ntime,
            nonce=nonce,
            version_bits=version_bits,
        )
        self._send(line)
        return message_id

    def data_to_send(self, now: float | None = None) -> bytes:
        """Return and forget the bytes to send.

        Args:
            now: From when answers are waited for, if that is later than the moment in
                which the requests were made: whoever sends may come by only at times.
        """
        if not self._out:
            return b""
        if now is not None:
            self._awaited.update(dict.fromkeys(self._unsent, now))
        self._unsent.clear()
        data = "".join(self._out).encode()
        self._out.clear()
        return data

    def events(self) -> list[Event]:
        """Return and forget what happened."""
        events, self._events = self._events, []
        return events

    # Lines of the pool

    def _receive_line(self, line: bytes, now: float) -> None:
        if not line.strip():
            return
        text = line[:LOGGED_LINE_CHARS].decode("utf-8", "replace")
        self._log(Level.INFO, API_TAG, f"rx: {text}")
        try:
            message = messages.parse(line)
        except StratumError as error:
            text = f"Unable to use stratum message: {error}"
            self._log(Level.ERROR, API_TAG, text)
            return
        match message:
            case Notify():
                self._take_notify(message, text)
            case SetDifficulty(difficulty=difficulty):
                difficulty = min(difficulty * self._scale, self._most_difficulty)
                self.pool_difficulty = difficulty
                self._say(f"Set pool difficulty: {int(self.pool_difficulty)}")
                self._events.append(DifficultySet(self.pool_difficulty))
            case SetVersionMask(mask=mask):
                self._set_version_mask(mask, text)
            case SetExtranonce() | Subscribed() | NoExtranonce():
                self._take_extranonce(message, text)
            case Reconnect():
                self._events.append(ReconnectRequested())
            case Answer():
                self._take_answer(message, now)
            case Unhandled(text=about):
                if about:
                    self._say(f"{about}: {text}")

    def _take_notify(self, notify: Notify, line: str) -> None:
        if self._must_subscribe and self.extranonce is None:
            self._error(f"job without an extranonce: {line}")
            return
        event = NotifyReceived(
            notify,
            nbits_difficulty(notify.nbits) * self._scale,
            self.pool_difficulty,
            self.version_mask,
            self.extranonce,
        )
        self._events.append(event)

    def _take_extranonce(
        self, message: SetExtranonce | Subscribed | NoExtranonce, line: str
    ) -> None:
        if isinstance(message, NoExtranonce):
            if message.text:
                self._log(Level.ERROR, API_TAG, message.text)
            self._refuse(message.reason)
            return
        size = message.extranonce2_size
        if size < 0 and self._must_subscribe:
            if isinstance(message, Subscribed):
                self._refuse(f"extranonce2 size {size}")
            else:
                self._error(f"extranonce2 size is no count: {line}")
            return
        if size < 0 and isinstance(message, SetExtranonce):
            size = MAX_EXTRANONCE2_BYTES
        self.extranonce = ExtranonceSet(message.extranonce1, size)
        shown = message.extranonce1.hex()
        self._say(f"Set extranonce: {shown}, extranonce_2_len: {size}")
        self._events.append(self.extranonce)

    def _refuse(self, reason: str) -> None:
        """Take note that this connection gives no extranonce, if that matters."""
        if self._must_subscribe:
            self._error(f"setup message rejected: {reason}")
            self._events.append(SubscribeRefused(reason))

    def _set_version_mask(self, mask: int | None, line: str) -> None:
        if mask is None:
            self._log(Level.ERROR, TAG, f"error setting version mask: {line}")
            return
        self.version_mask = mask
        self._say(f"Set version mask: {mask:08x}")
        self._events.append(VersionMaskSet(mask))

    def _take_answer(self, answer: Answer, now: float) -> None:
        sent_at = self._awaited.pop(answer.message_id, None)
        if sent_at is not None:
            self.response_time_s = now - sent_at + self._air_s(answer.message_id)
            milliseconds = self.response_time_s * 1000
            self._say(f"Stratum response time: {milliseconds:.2f} ms")
        reason = answer.reason
        if answer.message_id == SUBSCRIBE_ID and self._must_subscribe:
            self._refuse(reason or "no extranonce")
        elif answer.message_id >= FIRST_SHARE_ID:
            if reason is None:
                self._say("message result accepted")
                self._events.append(ShareAccepted())
            else:
                text = f"message result rejected: {reason}"
                self._log(Level.WARNING, TAG, text)
                self._events.append(ShareRejected(reason))
        elif reason is None:
            self._say("setup message accepted")
            self._events.append(SetupAccepted())
            self._continue_setup(answer.message_id)
        else:
            self._log(Level.ERROR, TAG, f"setup message rejected: {reason}")
            self._events.append(SetupRejected(reason))

    def _continue_setup(self, accepted_id: int) -> None:
        if accepted_id == AUTHORIZE_ID and self._suggested_difficulty > 0:
            line = messages.suggest_difficulty_line(
                self._next_id(), self._suggested_difficulty / self._scale
            )
            self._send(line)
        if self._wants_extranonce_subscribe:
            self._send(messages.extranonce_subscribe_line(self._next_id()))

    # Helpers

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _air_s(self, message_id: int) -> float:
        """How long a message and its answer were in the air; always the same one."""
        if not self._is_wireless:
            return 0.0
        given = self.extranonce
        of_all = b"" if given is None else given.extranonce1
        share = (crc32(message_id.to_bytes(8), crc32(of_all)) + 0.5) / 2**32
        low_s, high_s = AIR_LIMITS_S
        return min(high_s, max(low_s, exp(AIR_LOG_S.inv_cdf(share))))

    def _await(self, message_id: int, now: float) -> None:
        self._awaited[message_id] = now
        self._unsent.append(message_id)
        if len(self._awaited) > MAX_AWAITED:
            del self._awaited[next(iter(self._awaited))]

    def _send(self, line: str, *, shown: str | None = None) -> None:
        self._out.append(f"{line}\n")
        self._log(Level.INFO, API_TAG, f"tx: {shown or line}")

    def _error(self, text: str) -> None:
        self._log(Level.ERROR, TAG, text)

    def _say(self, text: str) -> None:
        self._log(Level.INFO, TAG, text)
