"""The miner's side of one connection to a pool.

Bytes in, events out; calls in, bytes out. A pool that misbehaves never raises out of
here: its line is dropped with a log line. Where releases of the firmware differ, `Rows`
says what one does. Source: ESP-Miner stratum_api.c.
"""

from collections.abc import Callable
from math import exp, inf
from math import log as ln
from statistics import NormalDist
from zlib import crc32

from msgspec import Struct

from softaxe.bitcoin.header import nbits_difficulty
from softaxe.catalog.firmware.rows import Rows
from softaxe.errors import StratumError
from softaxe.stratum import messages
from softaxe.stratum.ledger import ShareLedger, Unanswered
from softaxe.stratum.messages import (
    AUTHORIZE_ID,
    FIRST_SHARE_ID,
    SUBSCRIBE_ID,
    Answer,
    GetVersion,
    LineSplitter,
    NoExtranonce,
    Notify,
    Ping,
    Reconnect,
    SetDifficulty,
    SetExtranonce,
    SetVersionMask,
    ShowMessage,
    Subscribed,
    Unhandled,
)
from softaxe.units import Level, Log, logged_difficulty

API_TAG = "stratum_api"
V2_TAG = "stratum_v2_task"
FIXED_SUGGESTION = 1000
"""What releases suggest that do not ask the settings. Source: ESP-Miner v2.8."""
MAX_KNOWN_JOBS = 16
"""Whose ids are remembered. Source: ESP-Miner stratum_v1_task.c."""
MAX_MESSAGE_CHARS = 256
"""Of what the pool has to say to people. Source: ESP-Miner stratum_api.c."""
MAX_AWAITED = 1024
"""Messages whose answers are timed. Source: ESP-Miner stratum_api.c."""
AIR_LOG_S = NormalDist(ln(0.045), 0.45)
"""Of the time that Wi-Fi and router add to an answer: its logarithm; an estimate.

Real devices show 22 to 188 ms in all, and device time does not pass while softaxe
itself exchanges lines at once."""
AIR_LIMITS_S = (0.012, 0.25)
LOGGED_LINE_CHARS = 4096
"""Longer lines are cut in the log."""


ScaleOf = Callable[[float], float]
"""Gives, by the difficulty that a pool asks for, the chip hashes per searched hash."""


class NotifyReceived(Struct, frozen=True):
    """A job, with what was in force when it came: later lines hold for later jobs."""

    notify: Notify
    network_difficulty: float
    """From nbits, in the chip's hashes."""
    pool_difficulty: float
    """In the chip's hashes; 0 when any nonce will do."""
    version_mask: int
    extranonce: "ExtranonceSet | None"
    """None when no pool has given one: then the firmware crashes."""
    scale: float
    """Chip hashes per searched hash of it."""


class DifficultySet(Struct, frozen=True):
    """The pool's difficulty, in the chip's hashes."""

    difficulty: float


class VersionMaskSet(Struct, frozen=True):
    """The version bits that may be rolled."""

    mask: int


class ExtranonceSet(Struct, frozen=True):
    """The extranonces of the jobs from now on."""

    extranonce1: bytes
    extranonce2_size: int
    """Below 0, which some pool has said, the firmware crashes at the next job."""


class SubscribeRefused(Struct, frozen=True):
    """The pool gives no extranonce, so there is nothing to mine."""

    reason: str


class SetupAccepted(Struct, frozen=True):
    """The pool said yes to a message of the set-up."""


class SetupRejected(Struct, frozen=True):
    """The pool said no to a message of the set-up; the firmware goes on."""

    reason: str


class ShareAccepted(Struct, frozen=True):
    """The pool took a share, or some at once."""

    count: int = 1


class ShareRejected(Struct, frozen=True):
    """The pool refused a share."""

    reason: str


class Secured(Struct, frozen=True):
    """The pool's answer was a handshake's, and what follows is encrypted: v2."""


class LinkFailed(Struct, frozen=True):
    """The connection is of no more use; close it: v2."""

    info: str | None
    """What `poolConnectionInfo` tells from now on; None leaves it as it was."""
    reason: str


class ReconnectRequested(Struct, frozen=True):
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
    | Secured
    | LinkFailed
)


class Session:
    """One connection.

    Call `connected` first; after each call take `events` and `data_to_send`.

    Args:
        rows: What the release of the firmware does.
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
        tracks_shares: Tell by its submit what an answer to a share is, also where the
            release goes by the number of the id.
        tells_small: The log tells difficulties below 1, whatever the release does.
        log: For the lines of the firmware.
        most_difficulty: That a pool can ask, in the chip's hashes.
        is_wireless: Answers are in the air for a while, too.
    """

    # With a dict instead, each would take over 1 kB more.
    __slots__ = (
        "_asic_model",
        "_awaited",
        "_events",
        "_firmware_version",
        "_first_scale",
        "_is_compact",
        "_is_wireless",
        "_known_jobs",
        "_last_id",
        "_log",
        "_most_difficulty",
        "_must_subscribe",
        "_out",
        "_password",
        "_rows",
        "_scale_of",
        "_splitter",
        "_suggested_difficulty",
        "_tells_small",
        "_tracks_shares",
        "_unsent",
        "_user",
        "_wants_extranonce_subscribe",
        "extranonce",
        "ledger",
        "pool_difficulty",
        "response_time_s",
        "scale",
        "unanswered",
        "version_mask",
    )

    def __init__(
        self,
        *,
        rows: Rows,
        asic_model: str,
        firmware_version: str,
        user: str,
        password: str,
        suggested_difficulty: int,
        wants_extranonce_subscribe: bool,
        scale: float,
        scale_of: ScaleOf | None = None,
        extranonce: ExtranonceSet | None = None,
        must_subscribe: bool = True,
        tracks_shares: bool = False,
        tells_small: bool = False,
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
        self.ledger = ShareLedger()
        """Follows shares for whoever measures the pool."""
        self.unanswered = Unanswered()
        self._rows = rows
        self._is_compact = rows.stratum_json == "compact"
        self._asic_model = asic_model
        self._firmware_version = firmware_version
        self._user = user
        self._password = password
        self._suggested_difficulty = suggested_difficulty
        self._wants_extranonce_subscribe = wants_extranonce_subscribe
        self.scale = self._first_scale = scale
        """Chip hashes per searched hash, of jobs to come."""
        self._scale_of = scale_of
        self._must_subscribe = must_subscribe
        self._tracks_shares = tracks_shares or rows.share_replies == "tracked"
        self._tells_small = tells_small
        self._log = log
        self._most_difficulty = most_difficulty
        self._is_wireless = is_wireless
        self._splitter = LineSplitter()
        self._last_id = 0
        self._awaited: dict[int, float] = {}
        """When what was sent whose answers are timed, by message id."""
        self._known_jobs: list[str] = []
        self._unsent: list[int] = []
        self._out: list[str] = []
        self._events: list[Event] = []

    def connected(self, now: float) -> None:
        """Say the lines that open a connection."""
        is_compact = self._is_compact
        self._send(messages.configure_line(self._next_id(), is_compact=is_compact))
        line = messages.subscribe_line(
            self._next_id(),
            self._asic_model,
            self._firmware_version,
            is_compact=is_compact,
        )
        self._send(line)
        message_id = self._next_id()
        if self._rows.response_time == "any message":
            self._await(message_id, now)
        line, shown = (
            messages.authorize_line(
                message_id, self._user, password, is_compact=is_compact
            )
            for password in (self._password, "*****")
        )
        self._send(line, shown=shown)
        if self._rows.suggest_difficulty == "always 1000":
            self._suggest(FIXED_SUGGESTION)

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
        self.ledger.submitted(message_id)
        self.unanswered.submitted(message_id, now)
        line = messages.submit_line(
            message_id,
            user=self._user,
            job_id=job_id,
            extranonce2=extranonce2,
            ntime=ntime,
            nonce=nonce,
            version_bits=version_bits,
            is_compact=self._is_compact,
        )
        self._send(line)
        return message_id

    @property
    def has_data(self) -> bool:
        """True while there are bytes to send."""
        return bool(self._out)

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
            message = messages.parse(line, self._rows)
        except StratumError as error:
            text = f"Unable to use stratum message: {error}"
            self._log(Level.ERROR, API_TAG, text)
            return
        match message:
            case Notify():
                self._take_notify(message, text)
            case SetDifficulty(difficulty=difficulty):
                self._set_difficulty(difficulty)
            case SetVersionMask():
                self._set_version_mask(message, text)
            case SetExtranonce() | Subscribed() | NoExtranonce():
                self._take_extranonce(message, text)
            case Reconnect():
                self._events.append(ReconnectRequested())
            case Ping() | GetVersion() | ShowMessage():
                self._take_question(message)
            case Answer():
                self._take_answer(message, now)
            case Unhandled(text=about):
                if about:
                    self._say(f"{about}: {text}")

    def _take_question(self, message: Ping | GetVersion | ShowMessage) -> None:
        match message:
            case Ping(message_id=message_id):
                self._send(messages.pong_line(message_id))
            case GetVersion(message_id=message_id):
                version = self._firmware_version
                self._send(messages.version_line(message_id, version))
            case ShowMessage(text=words):
                if len(words) > MAX_MESSAGE_CHARS:
                    words = f"{words[:MAX_MESSAGE_CHARS]}..."
                self._log(Level.INFO, API_TAG, f"Pool message: {words}")

    def _set_difficulty(self, wire: float) -> None:
        before, rows = self.pool_difficulty, self._rows
        if self._scale_of is not None:
            self.scale = self._scale_of(wire)
        difficulty = min(wire * self.scale, self._most_difficulty)
        self.pool_difficulty = difficulty
        whole = logged_difficulty(difficulty, tells_small=self._tells_small)
        if rows.difficulty_log == "pool":
            is_exact = rows.pool_difficulty == "double"
            shown = f"{difficulty:.2f}" if is_exact else whole
            self._say(f"Set pool difficulty: {shown}")
        elif difficulty != (before or rows.start_difficulty):
            self._say(f"Set stratum difficulty: {whole}")
        self._events.append(DifficultySet(difficulty))

    def _is_duplicate(self, notify: Notify) -> bool:
        """Tell, and say, whether a job is here already; remember it."""
        if not self._rows.ignores_duplicate_jobs:
            return False
        if notify.is_clean:
            self._known_jobs.clear()
        if notify.job_id in self._known_jobs:
            text = f"Ignoring duplicate notify for job {notify.job_id}"
            self._log(Level.WARNING, self._rows.pool_tag, text)
            return True
        self._known_jobs.append(notify.job_id)
        del self._known_jobs[:-MAX_KNOWN_JOBS]
        return False

    def _take_notify(self, notify: Notify, line: str) -> None:
        if self._must_subscribe and self.extranonce is None:
            self._error(f"job without an extranonce: {line}")
            return
        if self._is_duplicate(notify):
            return
        event = NotifyReceived(
            notify,
            nbits_difficulty(notify.nbits) * self.scale,
            self.pool_difficulty or float(self._rows.start_difficulty),
            self.version_mask,
            self.extranonce,
            self.scale,
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
            size = self._rows.most_extranonce2_bytes
        self.extranonce = ExtranonceSet(message.extranonce1, size)
        shown = message.extranonce1.hex()
        self._say(f"Set extranonce: {shown}, extranonce_2_len: {size}")
        self._events.append(self.extranonce)

    def _refuse(self, reason: str) -> None:
        """Take note that this connection gives no extranonce, if that matters."""
        if self._must_subscribe:
            self._error(f"setup message rejected: {reason}")
            self._events.append(SubscribeRefused(reason))

    def _set_version_mask(self, message: SetVersionMask, line: str) -> None:
        mask = message.mask
        if mask is None:
            self._error(f"error setting version mask: {line}")
            return
        self.version_mask = mask
        said = "Configure result accepted," if message.is_answer else "Set"
        self._say(f"{said} version mask: {mask:08x}")
        self._events.append(VersionMaskSet(mask))
        if message.is_answer:
            self._events.append(SetupAccepted())

    def _take_answer(self, answer: Answer, now: float) -> None:
        message_id, reason, rule = answer.message_id, answer.reason, self._rows
        sent_at = self._awaited.pop(message_id, None)
        self.ledger.answered(message_id, reason)
        is_timed_first = rule.response_time == "any message"
        if is_timed_first:
            self._time(message_id, sent_at, now)
        is_submit = sent_at is not None and message_id > AUTHORIZE_ID
        if is_submit:
            self.unanswered.answered(message_id, now)
        is_low = message_id < FIRST_SHARE_ID
        if self._tracks_shares:
            is_share, is_setup = is_submit, not is_submit
        else:
            is_known = rule.share_replies == "id from 5" or is_submit
            is_share, is_setup = is_known and not is_low, is_low
        if message_id == SUBSCRIBE_ID and self._must_subscribe:
            self._refuse(reason or "no extranonce")
        elif is_share:
            self._take_share_answer(reason)
        elif is_setup:
            self._take_setup_answer(message_id, reason)
        if reason is not None and rule.response_time == "accepted shares":
            return
        if not is_timed_first:
            self._time(message_id, sent_at, now)

    def _time(self, message_id: int, sent_at: float | None, now: float) -> None:
        """Note how long an answer took, if it is one that is timed."""
        if sent_at is None:
            return
        self.response_time_s = now - sent_at + self._air_s(message_id)
        rule = self._rows.response_time
        if rule != "untold":
            digits = 2 if rule == "any message" else 1
            milliseconds = f"{self.response_time_s * 1000:.{digits}f}"
            self._say(f"Stratum response time: {milliseconds} ms")

    def _take_share_answer(self, reason: str | None) -> None:
        if reason is None:
            self._say("message result accepted")
            self._events.append(ShareAccepted())
            return
        text = f"message result rejected: {reason}"
        self._log(Level.WARNING, self._rows.pool_tag, text)
        self._events.append(ShareRejected(reason))

    def _take_setup_answer(self, message_id: int, reason: str | None) -> None:
        if reason is None:
            self._say("setup message accepted")
            self._events.append(SetupAccepted())
            self._continue_setup(message_id)
        else:
            self._error(f"setup message rejected: {reason}")
            self._events.append(SetupRejected(reason))

    def _continue_setup(self, accepted_id: int) -> None:
        rule, wanted = self._rows.suggest_difficulty, self._suggested_difficulty
        is_authorized = accepted_id == AUTHORIZE_ID
        if is_authorized and (
            rule == "after authorize"
            or (rule == "after authorize if positive" and wanted > 0)
        ):
            self._suggest(wanted)
        when, is_early = self._rows.extranonce_subscribe, accepted_id < FIRST_SHARE_ID
        is_due = is_early if when == "every reply" else when == "once" and is_authorized
        if is_due and self._wants_extranonce_subscribe:
            message_id, is_compact = self._next_id(), self._is_compact
            line = messages.extranonce_subscribe_line(message_id, is_compact=is_compact)
            self._send(line)

    def _suggest(self, difficulty: int) -> None:
        line = messages.suggest_difficulty_line(
            self._next_id(), difficulty / self._first_scale, is_compact=self._is_compact
        )
        self._send(line)

    # Helpers

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _air_s(self, message_id: int) -> float:
        """How long a message and its answer were in the air; always the same one."""
        if not self._is_wireless:
            return 0.0
        given = self.extranonce
        return air_s(message_id, b"" if given is None else given.extranonce1)

    def _await(self, message_id: int, now: float) -> None:
        self._awaited[message_id] = now
        self._unsent.append(message_id)
        if len(self._awaited) > MAX_AWAITED:
            del self._awaited[next(iter(self._awaited))]

    def _send(self, line: str, *, shown: str | None = None) -> None:
        self._out.append(f"{line}\n")
        self._log(Level.INFO, API_TAG, f"tx: {shown or line}")

    def _error(self, text: str) -> None:
        self._log(Level.ERROR, self._rows.pool_tag, text)

    def _say(self, text: str) -> None:
        self._log(Level.INFO, self._rows.pool_tag, text)


def air_s(message_id: int, extranonce1: bytes) -> float:
    """How long a message and its answer were in the air; for the same ones the same."""
    share = (crc32(message_id.to_bytes(8), crc32(extranonce1)) + 0.5) / 2**32
    low_s, high_s = AIR_LIMITS_S
    return min(high_s, max(low_s, exp(AIR_LOG_S.inv_cdf(share))))
