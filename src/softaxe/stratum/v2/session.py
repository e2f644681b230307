"""The miner's side of one Stratum v2 connection to a pool.

Shaped like the session of Stratum v1: bytes in, events out; calls in, bytes out, and
mining gets the same jobs from other bytes. A pool that misbehaves never raises out of
here: the connection fails, with the words that the firmware has for it. Where releases
of the firmware differ, `Rows` says what one does. Source: ESP-Miner v2.14 and v2.15,
stratum_v2_task.c.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from random import Random
from typing import Final

from softaxe.bitcoin.header import DIFFICULTY_1_TARGET, nbits_difficulty
from softaxe.catalog.firmware.rows import Rows
from softaxe.errors import StratumError
from softaxe.stratum.ledger import ShareLedger, Unanswered
from softaxe.stratum.messages import Notify
from softaxe.stratum.session import (
    V2_TAG,
    DifficultySet,
    Event,
    ExtranonceSet,
    LinkFailed,
    NotifyReceived,
    ScaleOf,
    Secured,
    SetupAccepted,
    ShareAccepted,
    ShareRejected,
    air_s,
)
from softaxe.stratum.v2 import messages
from softaxe.stratum.v2.frames import Frame, FrameLink
from softaxe.stratum.v2.messages import (
    NewExtendedMiningJob,
    NewMiningJob,
    OpenExtendedMiningChannel,
    OpenExtendedMiningChannelSuccess,
    OpenStandardMiningChannel,
    OpenStandardMiningChannelSuccess,
    SetNewPrevHash,
    SetTarget,
    SetupConnection,
    SetupConnectionSuccess,
    SubmitSharesError,
    SubmitSharesExtended,
    SubmitSharesStandard,
    SubmitSharesSuccess,
)
from softaxe.stratum.v2.noise import (
    ANSWER_BYTES,
    PROTOCOL_NAME,
    Initiator,
    KeyPair,
    NoiseError,
    read_authority,
)
from softaxe.units import Level, Log

VENDOR = "bitaxe"
NOMINAL_HASH_RATE_HS = 1e12
"""What every device says of itself."""
VERSION_MASK = 0x1FFFE000
"""Whatever the pool says of rolling."""
REQUEST_ID = 1
WAITING_JOBS = 8
"""Slots of jobs whose block has not come yet; a job's is its id modulo this."""
TIMED_SHARES = 32
"""Slots of shares whose answers are timed."""
KNOWN_VERSIONS = 16
"""Jobs for which shares may come still; each new one ends the last."""
MOST_MERKLE_PATH = 20
MOST_CODE_BYTES = 63
"""Of a refusal that are kept."""
ANSWER_S = 10.0
"""For the handshake."""
SILENCE_S = 180.0
"""After which a pool is given up."""
MOST_DIFFICULTY = (1 << 32) - 1
"""That an integer of the firmware has."""

AUTH_FAILED = "SV2: Auth failed - check key"
AUTH_REQUIRED = "SV2: Auth required - no key"
CONNECTION_LOST = "SV2: Connection lost"
NOT_RESPONDING = "SV2: Pool not responding"
REJECTED_CONFIG = "SV2: Pool rejected config"
REJECTED_MINER = "SV2: Pool rejected miner"
"""Of `poolConnectionInfo`."""


class _State(Enum):
    HANDSHAKE = auto()
    SETUP = auto()
    OPENING = auto()
    MINING = auto()
    FAILED = auto()


_Job = NewMiningJob | NewExtendedMiningJob


class Session:
    """One connection.

    Call `connected` first; after each call take `events` and `data_to_send`. Give the
    pool up when nothing has come for `patience_s`.

    Args:
        rows: What the release of the firmware does.
        asic_model: For the pool to know.
        host: As in the settings; for the pool to know.
        port: Likewise.
        user: At the pool.
        is_extended: Ask for an extended channel, not a standard one.
        authority: The key of the pool's authority as in the settings.
        needs_authority: Refuse a pool for which there is no usable key.
        scale: Chip hashes per searched hash. Difficulties are multiplied by it on the
            way in and rates divided by it on the way out, here and nowhere else.
        rng: Draws the key of the connection.
        log: For the lines of the firmware.
        is_wireless: Answers are in the air for a while, too.
    """

    # With a dict instead, each would take over 1 kB more.
    __slots__ = (
        "_answer",
        "_asic_model",
        "_authority",
        "_began_at",
        "_channel_id",
        "_events",
        "_extranonce",
        "_host",
        "_initiator",
        "_is_extended",
        "_is_wireless",
        "_link",
        "_log",
        "_needs_authority",
        "_out",
        "_port",
        "_prevhash",
        "_resolved",
        "_rows",
        "_scale_of",
        "_sent_at",
        "_sequence_number",
        "_state",
        "_unsent",
        "_user",
        "_versions",
        "_waiting",
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
        host: str,
        port: int,
        user: str,
        is_extended: bool,
        authority: str,
        needs_authority: bool,
        scale: float,
        scale_of: ScaleOf | None = None,
        rng: Random,
        log: Log,
        is_wireless: bool = False,
    ) -> None:
        self.version_mask = VERSION_MASK
        self.pool_difficulty = 0.0
        """As last set, in the chip's hashes; 0 before."""
        self.response_time_s: float | None = None
        """Of the last accepted share."""
        self.ledger = ShareLedger()
        """Follows shares for whoever measures the pool."""
        self.unanswered = Unanswered()
        self._rows = rows
        self._asic_model = asic_model
        self._host = host
        self._port = port
        self._user = user
        self._is_extended = is_extended
        self._authority = read_authority(authority)
        self._needs_authority = needs_authority and rows.v2_can_require_key
        self.scale = scale
        """Chip hashes per searched hash, of jobs to come."""
        self._scale_of = scale_of
        self._log = log
        self._is_wireless = is_wireless
        self._state = _State.HANDSHAKE
        self._initiator = Initiator(KeyPair.draw(rng), authority=self._authority)
        self._answer = bytearray()
        self._link: FrameLink | None = None
        self._began_at = 0.0
        self._channel_id = 0
        self._extranonce = ExtranonceSet(b"", 0)
        self._prevhash: SetNewPrevHash | None = None
        self._waiting: dict[int, _Job] = {}
        """By slot."""
        self._versions: dict[str, int] = {}
        """Of the jobs that were handed over, by id."""
        self._sequence_number = 0
        self._resolved = 0
        """Shares that were accepted or refused."""
        self._sent_at: dict[int, tuple[int, float]] = {}
        """Sequence numbers of shares and when they were sent, by slot."""
        self._unsent: deque[int] = deque(maxlen=TIMED_SHARES)
        self._out = bytearray()
        self._events: list[Event] = []

    @property
    def patience_s(self) -> float:
        """How long a pool may be silent at present."""
        return ANSWER_S if self._state is _State.HANDSHAKE else SILENCE_S

    @property
    def pending(self) -> int:
        """Shares without an answer."""
        return max(0, self._sequence_number - self._resolved)

    def info_when_lost(self, *, is_write: bool) -> str | None:
        """What `poolConnectionInfo` tells when the connection ends at present.

        Args:
            is_write: It was found by writing.
        """
        if self._state is _State.HANDSHAKE:
            return AUTH_FAILED
        if self._state in (_State.SETUP, _State.OPENING):
            return CONNECTION_LOST if is_write else NOT_RESPONDING
        return None

    def connected(self, now: float) -> None:
        """Say what opens a connection."""
        self._began_at = now
        if self._needs_authority and self._authority is None:
            self._error("Authority pubkey required but not configured")
            self._fail(AUTH_REQUIRED, "no key of its authority")
            return
        self._say(f"Starting Noise handshake ({PROTOCOL_NAME.decode()})")
        if self._authority is not None:
            self._say("Authority pubkey configured, will verify server certificate")
        else:
            self._warn(
                "No authority pubkey configured, server identity will not be verified"
            )
        self._out += self._initiator.hello

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes of the pool, in any slices."""
        if self._state is _State.HANDSHAKE:
            self._answer += data
            if len(self._answer) < ANSWER_BYTES:
                return
            data = bytes(self._answer[ANSWER_BYTES:])
            self._finish_handshake(bytes(self._answer[:ANSWER_BYTES]), now)
        if self._link is None or self._has_failed:
            return
        try:
            for frame in self._link.feed(data):
                if self._has_failed:
                    return
                self._take(frame, now)
        except StratumError as error:
            self._error(f"Failed to receive frame: {error}")
            self._fail(self.info_when_lost(is_write=False), str(error))

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
        """Hand in a share; return the number that its answer will carry.

        Args:
            job_id: As the pool named the job, in decimal.
            extranonce2: As used in the coinbase; empty on a standard channel.
            ntime: Of the header.
            nonce: The header's last four bytes read little-endian.
            version_bits: Rolled version XOR the job's version.
            now: Device time.
        """
        number = self._sequence_number
        self._sequence_number += 1
        version = self._versions[job_id] ^ version_bits
        head = (self._channel_id, number, int(job_id), nonce, ntime, version)
        self._sent_at[number % TIMED_SHARES] = (number, now)
        self._unsent.append(number)
        self.ledger.submitted(number)
        self.unanswered.submitted(number, now)
        if self._is_extended:
            self._send(SubmitSharesExtended(*head, extranonce2))
        else:
            self._send(SubmitSharesStandard(*head))
        return number

    @property
    def has_data(self) -> bool:
        """True while there are bytes to send."""
        return bool(self._out)

    def data_to_send(self, now: float | None = None) -> bytes:
        """Return and forget the bytes to send.

        Args:
            now: From when answers are waited for, if that is later than the moment in
                which the shares were handed in: whoever sends may come by at times.
        """
        if now is not None:
            for number in self._unsent:
                if self._sent_at.get(number % TIMED_SHARES, (None,))[0] == number:
                    self._sent_at[number % TIMED_SHARES] = (number, now)
        self._unsent.clear()
        data = bytes(self._out)
        self._out.clear()
        return data

    def events(self) -> list[Event]:
        """Return and forget what happened."""
        events, self._events = self._events, []
        return events

    # Set-up

    def _finish_handshake(self, answer: bytes, now: float) -> None:
        try:
            ciphers = self._initiator.finish(answer)
        except NoiseError as error:
            self._error(f"Noise handshake failed: {error}")
            self._fail(AUTH_FAILED, str(error))
            return
        most = self._rows.v2_most_payload_bytes
        self._link = FrameLink(ciphers, most_payload_bytes=most)
        took_ms = (now - self._began_at + self._air_s(0)) * 1000
        self._say(f"Noise handshake complete ({int(took_ms)} ms)")
        self._say("Encrypted channel established (ChaCha20-Poly1305)")
        self._events.append(Secured())
        self._state = _State.SETUP
        hardware, channel = self._asic_model, self._channel_name
        self._say(
            f"Sending SetupConnection (vendor={VENDOR}, hw={hardware}, "
            f"channel={channel})"
        )
        setup = SetupConnection(
            protocol=messages.PROTOCOL_MINING,
            min_version=messages.VERSION,
            max_version=messages.VERSION,
            flags=0 if self._is_extended else messages.REQUIRES_STANDARD_JOBS,
            endpoint_host=self._host,
            endpoint_port=self._port,
            vendor=VENDOR,
            hardware=hardware,
            firmware="",
            device_id="",
        )
        self._send(setup)

    def _take_setup(self, frame: Frame) -> None:
        accepted = self._expect(frame, SetupConnectionSuccess, REJECTED_CONFIG)
        if accepted is None:
            return
        version, flags = accepted.used_version, accepted.flags
        self._say(
            f"Pool accepted connection: SV2 version={version}, flags=0x{flags:08x}"
        )
        self._say(f"Opening {self._channel_name} mining channel (user={self._user})")
        self._state = _State.OPENING
        rate = NOMINAL_HASH_RATE_HS / self.scale
        asked = (REQUEST_ID, self._user, rate, messages.ANY_TARGET)
        if self._is_extended:
            least = self._rows.v2_min_extranonce_bytes
            self._send(OpenExtendedMiningChannel(*asked, least))
        else:
            self._send(OpenStandardMiningChannel(*asked))

    def _take_opening(self, frame: Frame) -> None:
        opened: (
            OpenExtendedMiningChannelSuccess | OpenStandardMiningChannelSuccess | None
        )
        size = 0
        if self._is_extended:
            extended = self._expect(
                frame, OpenExtendedMiningChannelSuccess, REJECTED_MINER
            )
            opened = extended
            if extended is not None:
                size = extended.extranonce_size
        else:
            opened = self._expect(
                frame, OpenStandardMiningChannelSuccess, REJECTED_MINER
            )
        if opened is None:
            return
        if size > messages.MOST_PREFIX_BYTES:
            self._fail(REJECTED_MINER, f"an extranonce of {size} bytes")
            return
        self._channel_id = opened.channel_id
        self._extranonce = ExtranonceSet(opened.extranonce_prefix, size)
        self._say(
            f"Mining channel opened: channel_id={opened.channel_id}, "
            f"group={opened.group_channel_id}, type={self._channel_name}"
        )
        self._state = _State.MINING
        self._events.append(SetupAccepted())
        self._set_target(opened.target)

    def _expect(
        self, frame: Frame, kind: type[messages.M], info: str
    ) -> messages.M | None:
        """Read the one message that may come now; anything else ends it."""
        reason = f"message 0x{frame.kind:02x}, not {kind.__name__}"
        if frame.kind == kind.KIND:
            try:
                return messages.read(frame, kind)
            except StratumError as error:
                reason = str(error)
        self._error(f"Pool's answer cannot be used: {reason}")
        self._fail(info, reason)
        return None

    # Mining

    def _take(self, frame: Frame, now: float) -> None:
        if self._state is _State.SETUP:
            self._take_setup(frame)
        elif self._state is _State.OPENING:
            self._take_opening(frame)
        else:
            handle = _HANDLERS.get(frame.kind)
            if handle is None:
                size = len(frame.payload)
                self._warn(f"Unknown SV2 message type: 0x{frame.kind:02x} (len={size})")
                return
            try:
                handle(self, frame, now)
            except StratumError as error:
                self._error(f"Message cannot be used: {error}")

    def _take_job(self, frame: Frame, now: float) -> None:
        job = messages.read(frame, NewMiningJob)
        self._job_came(job, job.min_ntime)

    def _take_extended_job(self, frame: Frame, now: float) -> None:
        job = messages.read(frame, NewExtendedMiningJob)
        if len(job.merkle_path) > MOST_MERKLE_PATH:
            count = len(job.merkle_path)
            raise StratumError(f"merkle path of {count}, at most {MOST_MERKLE_PATH}")
        self._say(f"New extended mining job: id={job.job_id}")
        self._job_came(job, job.min_ntime or None)

    def _job_came(self, job: _Job, ntime: int | None) -> None:
        """Begin with a job, or let it wait for its block."""
        if ntime is None or self._prevhash is None:
            self._waiting[job.job_id % WAITING_JOBS] = job
        else:
            self._activate(job, self._prevhash, ntime)

    def _take_prevhash(self, frame: Frame, now: float) -> None:
        message = messages.read(frame, SetNewPrevHash)
        is_first = self._prevhash is None
        self._prevhash = message
        self._say(
            f"New prev_hash: job_id={message.job_id}, ntime={message.min_ntime}, "
            f"nbits={message.nbits:08x}"
        )
        slot = message.job_id % WAITING_JOBS
        job = self._waiting.get(slot)
        if job is not None and job.job_id == message.job_id:
            del self._waiting[slot]
            self._activate(job, message, message.min_ntime)
        if is_first:
            others = [self._waiting[slot] for slot in sorted(self._waiting)]
            self._waiting.clear()
            for job in others:
                self._activate(job, message, job.min_ntime or message.min_ntime)

    def _activate(self, job: _Job, prevhash: SetNewPrevHash, ntime: int) -> None:
        """Hand a job over; each ends those before it."""
        job_id, nbits = str(job.job_id), prevhash.nbits
        self._versions.pop(job_id, None)
        self._versions[job_id] = job.version
        if len(self._versions) > KNOWN_VERSIONS:
            del self._versions[next(iter(self._versions))]
        root: bytes | None = None
        first, last = b"", b""
        path: tuple[bytes, ...] = ()
        if isinstance(job, NewMiningJob):
            root = job.merkle_root
        else:
            first, last = job.coinbase_prefix, job.coinbase_suffix
            path = job.merkle_path
        notify = Notify(
            job_id=job_id,
            prevhash=prevhash.prevhash,
            coinbase1=first,
            coinbase2=last,
            merkle_branch=path,
            version=job.version,
            nbits=nbits,
            ntime=ntime,
            is_clean=True,
            merkle_root=root,
            is_v2=True,
        )
        network_difficulty = nbits_difficulty(nbits) * self.scale
        self._events.append(
            NotifyReceived(
                notify,
                network_difficulty,
                self.pool_difficulty,
                VERSION_MASK,
                self._extranonce,
                self.scale,
            )
        )

    def _take_target(self, frame: Frame, now: float) -> None:
        self._set_target(messages.read(frame, SetTarget).maximum_target)

    def _set_target(self, target: int) -> None:
        wire = DIFFICULTY_1_TARGET / max(target, 1)
        if self._scale_of is not None:
            self.scale = self._scale_of(wire)
        exact = wire * self.scale
        told = exact
        if self._rows.v2_difficulty == "integer":
            # It is told as the firmware has it, but what a pool asks for counts as it
            # is: no share is sent that has to be refused.
            exact = max(1.0, exact)
            told = float(min(int(exact), MOST_DIFFICULTY))
        self.pool_difficulty = exact
        self._say(f"Set pool difficulty: {told:g}")
        self._events.append(DifficultySet(told))

    def _take_success(self, frame: Frame, now: float) -> None:
        success = messages.read(frame, SubmitSharesSuccess)
        number, count = success.last_sequence_number, success.accepted_count
        sent = self._sent_at.get(number % TIMED_SHARES)
        took = ""
        if sent is not None and sent[0] == number:
            self.response_time_s = now - sent[1] + self._air_s(number)
            took = f" ({self.response_time_s * 1000:.1f} ms)"
        self._say(f"Shares accepted: {count}{took}")
        self._resolved += count
        self.unanswered.answered(number, now)
        self.ledger.accepted(number, count=count)
        self._events.append(ShareAccepted(count))

    def _take_error(self, frame: Frame, now: float) -> None:
        refused = messages.read(frame, SubmitSharesError)
        code = refused.error_code.encode()[:MOST_CODE_BYTES].decode("utf-8", "ignore")
        self._warn(f"Share rejected: {code}")
        self._resolved += 1
        self.unanswered.answered(refused.sequence_number, now)
        self.ledger.answered(refused.sequence_number, code)
        self._events.append(ShareRejected(code))

    # Helpers

    @property
    def _has_failed(self) -> bool:
        return self._state is _State.FAILED

    @property
    def _channel_name(self) -> str:
        return "extended" if self._is_extended else "standard"

    def _air_s(self, number: int) -> float:
        if not self._is_wireless:
            return 0.0
        return air_s(number, self._extranonce.extranonce1)

    def _send(self, message: messages.Message) -> None:
        if self._link is not None and not self._has_failed:
            self._out += self._link.seal(messages.frame(message))

    def _fail(self, info: str | None, reason: str) -> None:
        self._state = _State.FAILED
        self._out.clear()
        self._events.append(LinkFailed(info, reason))

    def _error(self, text: str) -> None:
        self._log(Level.ERROR, V2_TAG, text)

    def _warn(self, text: str) -> None:
        self._log(Level.WARNING, V2_TAG, text)

    def _say(self, text: str) -> None:
        self._log(Level.INFO, V2_TAG, text)


_HANDLERS: Final[dict[int, Callable[[Session, Frame, float], None]]] = {
    NewMiningJob.KIND: Session._take_job,
    NewExtendedMiningJob.KIND: Session._take_extended_job,
    SetNewPrevHash.KIND: Session._take_prevhash,
    SetTarget.KIND: Session._take_target,
    SubmitSharesSuccess.KIND: Session._take_success,
    SubmitSharesError.KIND: Session._take_error,
}
"""What the firmware has a use for; the rest is called unknown."""
