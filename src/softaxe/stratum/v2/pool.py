"""The built-in pool's Stratum v2: the same pool, chain and checks, other bytes.

An `Entrance` has the pool's keys; a `PoolConnection` is one miner's line to it, with
standard and extended channels. Channels whose extranonces are of one length make a
group: where a connection takes extended jobs, a job is said once for all of a group. A
job without transactions is told ahead of the block that it is for, so that a new block
is one short message. Source: Stratum v2, Mining Protocol; codes as the Stratum
Reference Implementation spells them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from math import frexp, isfinite, ldexp
from random import Random
from typing import Final

from msgspec.structs import replace

from softaxe.bitcoin.header import (
    DIFFICULTY_1_TARGET,
    HASHES_PER_DIFFICULTY,
    target_for,
)
from softaxe.errors import StratumError
from softaxe.stratum.chain import Template, subsidy_sat
from softaxe.stratum.dialects import (
    BITS_OUTSIDE_MASK,
    DUPLICATE_SHARE,
    LOW_DIFFICULTY_SHARE,
    MALFORMED_SHARE,
    NTIME_OUT_OF_RANGE,
)
from softaxe.stratum.pool import (
    EXTRANONCE2_SIZE,
    MAX_AGENT_CHARACTERS,
    MAX_AHEAD_S,
    MAX_JOBS,
    MAX_NAME_CHARACTERS,
    MAX_WORKERS_PER_CONNECTION,
    VERSION_MASK,
    CertificateFault,
    Miner,
    Pool,
    Seat,
    WorkerStatistics,
)
from softaxe.stratum.pool_job import (
    Job,
    RequestError,
    VerifiedShare,
    payout_script,
)
from softaxe.stratum.v2 import messages
from softaxe.stratum.v2.frames import MOST_PAYLOAD_BYTES, Frame, FrameLink
from softaxe.stratum.v2.messages import (
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
from softaxe.stratum.v2.noise import (
    HELLO_BYTES,
    Authority,
    Certificate,
    KeyPair,
    Responder,
)
from softaxe.stratum.vardiff import Vardiff

UNDERSTOOD_FLAGS = messages.REQUIRES_STANDARD_JOBS | 4
"""Of `SetupConnection`: also that versions may be rolled, which they always may."""

INVALID_CHANNEL_ID = "invalid-channel-id"
INVALID_JOB_ID = "invalid-job-id"
STALE_SHARE = "stale-share"
SHARE_CODES = {
    LOW_DIFFICULTY_SHARE: "difficulty-too-low",
    DUPLICATE_SHARE: "duplicate-share",
    MALFORMED_SHARE: "bad-extranonce-size",
    BITS_OUTSIDE_MASK: "version-rolling-not-allowed",
    NTIME_OUT_OF_RANGE: "invalid-share",
}
"""How v2 spells what is wrong with a share."""

Share = SubmitSharesStandard | SubmitSharesExtended
Opening = OpenStandardMiningChannel | OpenExtendedMiningChannel


class _Refused(StratumError):
    """A request gets this error code; never leaves the connection."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Entrance:
    """Where miners that speak Stratum v2 come to a pool.

    Args:
        pool: That they come to.
        seed: Of its keys.
        most_payload_bytes: Of a message that is taken.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        seed: int = 0,
        most_payload_bytes: int = MOST_PAYLOAD_BYTES,
    ) -> None:
        self.pool = pool
        self.most_payload_bytes = most_payload_bytes
        self.rng = Random(f"{seed} stratum v2")
        self.authority = Authority(self.rng)
        self.static = KeyPair.draw(self.rng)
        self._certificate = self.authority.certify(self.static.public)

    def connect(self, now: float, name: str = "") -> "PoolConnection":
        """Take up a miner.

        Args:
            now: Time.
            name: Its address, for the log.
        """
        self.pool.step(now)
        connection = PoolConnection(self, now, name=name)
        self.pool.add(connection)
        return connection

    def certificate(self, fault: CertificateFault | None) -> Certificate:
        """Return what is shown to a miner: all is well with it, or as ordered."""
        static = self.static.public
        match fault:
            case CertificateFault.WRONG_KEY:
                return Authority(self.rng).certify(static)
            case CertificateFault.EXPIRED:
                return self.authority.certify(static, not_valid_after=1)
        return self._certificate


@dataclass(slots=True, eq=False)
class Channel:
    """One miner's place on a connection."""

    id: int
    is_extended: bool
    user: str
    worker: WorkerStatistics
    extranonce_prefix: bytes
    """On a standard channel the whole extranonce."""
    extranonce_size: int
    """Bytes that the miner chooses."""
    vardiff: Vardiff
    easiest: float
    """Lowest difficulty that the miner takes."""
    group_id: int
    jobs: dict[int, Job] = field(default_factory=dict)
    future: Job | None = None
    """For the block to come; the miner knows it already."""
    prevhash: bytes = b""
    """Of the block on which it was told to mine."""

    @property
    def full_size(self) -> int:
        """Bytes of its whole extranonce."""
        return len(self.extranonce_prefix) + self.extranonce_size

    def keep(self, job: Job) -> None:
        """Take shares for a job, and for the latest ones before it."""
        self.jobs[job.number] = job
        if len(self.jobs) > MAX_JOBS:
            del self.jobs[next(iter(self.jobs))]


class _State(Enum):
    HANDSHAKE = auto()
    SETUP = auto()
    OPEN = auto()


class PoolConnection(Miner):
    """One miner's connection in Stratum v2; made by `Entrance.connect`."""

    protocol = "v2"

    def __init__(self, entrance: Entrance, now: float, *, name: str) -> None:
        super().__init__(entrance.pool, now, name=name)
        self.channels: dict[int, Channel] = {}
        """The open ones, by id."""
        self._entrance = entrance
        self._state = _State.HANDSHAKE
        self._hello = bytearray()
        self._link: FrameLink | None = None
        self._flags = 0
        self._last_id = 0
        """Of channels and groups."""
        self._groups: dict[int, int] = {}
        """Ids by the length of the extranonce."""
        self._jobs_sent = 0
        self._nbits = 0
        """As last told with a new block."""

    @property
    def is_mining(self) -> bool:
        """True while there is a channel."""
        return bool(self.channels) and not self.wants_close

    def difficulty_of(self, channel: Channel) -> float:
        """What shares of the next job of a channel have to meet."""
        wanted = self.faults.difficulty or channel.vardiff.difficulty
        return max(wanted, channel.easiest)

    def _tell_difficulty(self) -> None:
        for channel in self.channels.values():
            self._send_target(channel)

    def _repeat_difficulty(self) -> None:
        for channel in self.channels.values():
            self._say_target(channel)

    def _vardiffs(self) -> Iterable[Vardiff]:
        return [channel.vardiff for channel in self.channels.values()]

    def seats(self) -> list[Seat]:
        """Who mines on it: one on each channel."""
        return [
            Seat(
                channel.user,
                channel.worker,
                self.difficulty_of(channel),
                channel.extranonce_prefix,
                channel.extranonce_size,
                channel.id,
                "extended" if channel.is_extended else "standard",
            )
            for channel in self.channels.values()
        ]

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the miner, in any slices."""
        self._pool.step(now)
        if self.wants_close or self.is_closed:
            return
        if self._state is _State.HANDSHAKE:
            if self.is_silent:
                return
            self._hello += data
            if len(self._hello) < HELLO_BYTES:
                return
            data = bytes(self._hello[HELLO_BYTES:])
            self._shake_hands(bytes(self._hello[:HELLO_BYTES]))
        if self._link is None:
            return
        try:
            for frame in self._link.feed(data):  # also in silence: each has its nonce
                if not self.is_silent:
                    self._take(frame, now)
                if self.wants_close:
                    return
        except StratumError as error:
            self.close(str(error))

    def _hardest_difficulty(self) -> float | None:
        return max(map(self.difficulty_of, self.channels.values()), default=None)

    def _worker_names(self) -> Iterable[str]:
        return [channel.user for channel in self.channels.values()]

    def closed(self, now: float) -> None:
        """The connection has ended."""
        super().closed(now)
        self.channels.clear()

    def check_silence(self, now: float) -> None:
        """Make it easier for miners that have sent nothing for long."""
        for channel in self.channels.values():
            if self.is_silent:  # then it is not the miner's fault
                channel.vardiff.set(channel.vardiff.difficulty, now)
            elif channel.vardiff.check_silence(now):
                self._send_target(channel)

    # On order

    def request_reconnect(self, host: str = "", port: int = 0) -> None:
        """Ask the miner to connect anew, to the same place if none is named."""
        self._send(Reconnect(host, port))

    def close_channels(self, reason: str) -> bool:
        """End every channel, while the connection stays; False without any."""
        closed = tuple(self.channels.values())
        for channel in closed:
            self._send(CloseChannel(channel.id, reason))
            self._forget_channel(channel)
        return bool(closed)

    def change_extranonce(self) -> bool:
        """Give each channel another first part and a fresh job; False without any."""
        for channel in self.channels.values():
            kept = channel.extranonce_prefix[len(prefix := self._new_prefix()) :]
            channel.extranonce_prefix = prefix + kept
            self._send(SetExtranoncePrefix(channel.id, channel.extranonce_prefix))
            channel.future = None
            self._begin(channel)
        return bool(self.channels)

    def regroup(self) -> bool:
        """Put the channels of each length into a new group; False without any."""
        for size in self._groups:
            members = self._members(size)
            if members:
                group_id = self._groups[size] = self._new_id()
                for channel in members:
                    channel.group_id = group_id
                ids = tuple(channel.id for channel in members)
                self._send(SetGroupChannel(group_id, ids))
        return bool(self.channels)

    # Jobs

    def forget_jobs(self) -> None:
        """Take no more shares for the jobs so far: their block is over."""
        for channel in self.channels.values():
            channel.jobs.clear()

    def send_job(self, *, is_clean: bool) -> None:
        """Send the pool's template as a new job to every channel.

        A clean one is for another block: the job that was told ahead comes first.
        """
        if is_clean:
            self.forget_jobs()
        if self._is_held:
            return
        if is_clean:
            self._nbits = self._template().nbits
        for size in self._groups:
            members = self._members(size)
            takes_extended = not self._flags & messages.REQUIRES_STANDARD_JOBS
            together = [members] if takes_extended else [[one] for one in members]
            for channels in together:
                if channels and is_clean:
                    self._send_block(channels)
                elif channels:
                    self._send_work(channels)

    def _begin(self, channel: Channel) -> None:
        """Send a channel its first job: one whose block is told at once."""
        self._nbits = self._nbits or self._template().nbits
        self._send_block([channel])

    def _send_block(self, channels: list[Channel]) -> None:
        """Tell channels of a new block, and what to do for it."""
        template = replace(self._template(), nbits=self._nbits)
        futures = [channel.future for channel in channels]
        first = futures[0]
        is_told = first is not None and all(
            job is not None
            and job.number == first.number
            and job.template.height == template.height
            for job in futures
        )
        if not is_told:
            self._tell(channels, template, is_future=True)
        for channel in channels:
            job = channel.future
            assert job is not None
            job.template = replace(
                job.template,
                prevhash=template.prevhash,
                nbits=template.nbits,
                ntime=template.ntime,
            )
            job.difficulty = self.difficulty_of(channel)
            channel.keep(job)
            channel.future = None
            channel.prevhash = template.prevhash
            number = job.number
        self._send(
            SetNewPrevHash(
                self._address(channels),
                number,
                template.prevhash,
                template.ntime,
                template.nbits,
            )
        )
        if is_told:  # and that was without any transactions
            self._send_work(channels)
        self._tell(channels, _next_template(template), is_future=True)

    def _send_work(self, channels: list[Channel]) -> None:
        """Send another job for the block under way."""
        template = replace(self._template(), nbits=self._nbits)
        if self._is_held:
            return
        if any(channel.prevhash != template.prevhash for channel in channels):
            self._send_block(channels)  # the turn of this miner has not come yet
        else:
            self._tell(channels, template, is_future=False)

    def _tell(
        self, channels: list[Channel], template: Template, *, is_future: bool
    ) -> None:
        """Say one job to one channel, or to all of a group."""
        self._jobs_sent += 1
        number, payout = self._jobs_sent, payout_script(channels[0].user)
        for channel in channels:
            job = Job(
                number=number,
                template=template,
                difficulty=self.difficulty_of(channel),
                extranonce1=channel.extranonce_prefix,
                extranonce2_size=channel.extranonce_size,
                payout=payout,
            )
            if is_future:
                channel.future = job
            else:
                channel.keep(job)
        ntime = None if is_future else template.ntime
        if len(channels) == 1 and not channels[0].is_extended:
            channel_id, root = channels[0].id, job.merkle_root(b"")
            said: Message = NewMiningJob(
                channel_id, number, ntime, template.version, root
            )
        else:
            said = NewExtendedMiningJob(
                channel_id=self._address(channels),
                job_id=number,
                min_ntime=ntime,
                version=template.version,
                version_rolling_allowed=True,
                merkle_path=template.merkle_branch,
                coinbase_prefix=job.coinbase1,
                coinbase_suffix=job.coinbase2,
            )
        self._send(said)

    def _address(self, channels: list[Channel]) -> int:
        """The channel that is meant, or the group."""
        return channels[0].id if len(channels) == 1 else channels[0].group_id

    def _members(self, size: int) -> list[Channel]:
        return [one for one in self.channels.values() if one.full_size == size]

    # What the miner says

    def _shake_hands(self, hello: bytes) -> None:
        entrance = self._entrance
        responder = Responder(
            static=entrance.static,
            certificate=entrance.certificate(self.faults.certificate),
            keys=KeyPair.draw(entrance.rng),
        )
        answer, ciphers = responder.answer(hello)
        most = entrance.most_payload_bytes
        self._link = FrameLink(ciphers, most_payload_bytes=most)
        self._out += answer
        self._pool.note_unsent(self)
        self._state = _State.SETUP

    def _take(self, frame: Frame, now: float) -> None:
        kind = messages.MESSAGES.get(frame.kind)
        handle = None if kind is None else _HANDLERS.get(kind)
        if kind is None or handle is None:
            return
        message = messages.read(frame, kind)
        if (self._state is _State.SETUP) is not (kind is SetupConnection):
            raise StratumError(f"{kind.__name__} out of turn")
        handle(self, message, now)

    def _set_up(self, setup: SetupConnection, now: float) -> None:
        code, unknown = "", setup.flags & ~UNDERSTOOD_FLAGS
        if setup.protocol != messages.PROTOCOL_MINING:
            code = "unsupported-protocol"
        elif not setup.min_version <= messages.VERSION <= setup.max_version:
            code = "protocol-version-mismatch"
        elif unknown:
            code = "unsupported-feature-flags"
        if code:
            self._send(SetupConnectionError(unknown, code))
            self._end(code)
            return
        self._flags = setup.flags
        said = (setup.vendor, setup.hardware, setup.firmware)
        self.agent = "/".join(filter(None, said))[:MAX_AGENT_CHARACTERS]
        self._state = _State.OPEN
        self._send(SetupConnectionSuccess(messages.VERSION, 0))

    def _open(self, opening: Opening, now: float) -> None:
        try:
            channel = self._new_channel(opening, now)
        except _Refused as refused:
            self._send(OpenMiningChannelError(opening.request_id, refused.code))
            return
        target = target_for(self.difficulty_of(channel))
        if channel.is_extended:
            self._send(
                OpenExtendedMiningChannelSuccess(
                    opening.request_id,
                    channel.id,
                    target,
                    channel.extranonce_size,
                    channel.extranonce_prefix,
                    channel.group_id,
                )
            )
        else:
            self._send(
                OpenStandardMiningChannelSuccess(
                    opening.request_id,
                    channel.id,
                    target,
                    channel.extranonce_prefix,
                    channel.group_id,
                )
            )
        self._pool.say(f"{self.name}: worker {channel.user}")
        self._begin(channel)

    def _new_channel(self, opening: Opening, now: float) -> Channel:
        rate, name = opening.nominal_hash_rate, opening.user_identity
        prefix, size = self._new_prefix(), 0
        if isinstance(opening, OpenExtendedMiningChannel):
            size = max(EXTRANONCE2_SIZE, opening.min_extranonce_size)
            if len(prefix) + size > messages.MOST_PREFIX_BYTES:
                raise _Refused("min-extranonce-size-too-large")
        else:  # as long as those of extended channels, so that they make a group
            prefix += bytes(EXTRANONCE2_SIZE)
        vardiff = self._vardiff(rate, now)
        easiest = _easiest(opening.max_target)
        worker = self._worker(name)
        channel = Channel(
            id=self._new_id(),
            is_extended=isinstance(opening, OpenExtendedMiningChannel),
            user=name,
            worker=worker,
            extranonce_prefix=prefix,
            extranonce_size=size,
            vardiff=vardiff,
            easiest=easiest,
            group_id=0,
        )
        if channel.full_size not in self._groups:
            self._groups[channel.full_size] = self._new_id()
        channel.group_id = self._groups[channel.full_size]
        self.channels[channel.id] = channel
        return channel

    def _worker(self, name: str) -> WorkerStatistics:
        if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            raise _Refused("unknown-user")
        is_full = len(self.channels) >= MAX_WORKERS_PER_CONNECTION
        worker = None if is_full else self._pool.worker_came(name, self.protocol)
        if worker is None:
            raise _Refused("too-many-channels")
        return worker

    def _vardiff(self, rate_hs: float, now: float) -> Vardiff:
        difficulty = self._difficulty_for(rate_hs) or self._pool.start_difficulty
        return self._pool.new_vardiff(difficulty, now)

    def _difficulty_for(self, rate_hs: float) -> float:
        """What gives shares at about the wanted rate; 0 for a miner without a rate.

        A power of two: some firmware keeps whole numbers only.
        """
        if not isfinite(rate_hs) or rate_hs < 0:
            raise _Refused("invalid-nominal-hashrate")
        interval_s = self._pool.target_share_interval_s
        mantissa, exponent = frexp(rate_hs * interval_s / HASHES_PER_DIFFICULTY)
        return ldexp(0.5, exponent) if mantissa else 0.0

    def _update(self, update: UpdateChannel, now: float) -> None:
        try:
            channel = self.channels.get(update.channel_id)
            if channel is None:
                raise _Refused(INVALID_CHANNEL_ID)
            difficulty = self._difficulty_for(update.nominal_hash_rate)
            channel.easiest = _easiest(update.maximum_target)
        except _Refused as refused:
            self._send(UpdateChannelError(update.channel_id, refused.code))
            return
        if difficulty:
            channel.vardiff.set(difficulty, now)
        self._send_target(channel)

    def _close_channel(self, closing: CloseChannel, now: float) -> None:
        for channel in tuple(self.channels.values()):
            if closing.channel_id in (channel.id, channel.group_id):
                self._forget_channel(channel)

    def _forget_channel(self, channel: Channel) -> None:
        del self.channels[channel.id]
        self._pool.worker_went(channel.user)

    def _submit(self, share: Share, now: float) -> None:
        channel = self.channels.get(share.channel_id)
        try:
            job, verified = self._check(channel, share, now)
        except _Refused as refused:
            judged = self._pool.by_protocol[self.protocol]
            if channel is not None:
                judged = channel.worker
            judged.reject(refused.code)
            channel_id, number = share.channel_id, share.sequence_number
            self._send(SubmitSharesError(channel_id, number, refused.code))
            return
        assert channel is not None
        if verified.is_block and job.template.nbits != self._pool.chain.nbits:
            # A block on order: its luck counts as if the network had asked for it.
            better = verified.difficulty + self._pool.chain.network_difficulty
            verified = replace(verified, difficulty=better)
        channel.worker.accept(verified, now, asked_difficulty=job.difficulty)
        number, worth = share.sequence_number, int(job.difficulty)
        self._send(SubmitSharesSuccess(channel.id, number, 1, worth))
        is_changed = channel.vardiff.share(verified.difficulty, now)
        if is_changed and not verified.is_block:
            self._send_target(channel)
        elif is_changed:
            self._say_target(channel)
        if verified.is_block:
            self._has_found = True
            self._pool.take_block(verified.header, now)
        elif job.is_used_up and not is_changed:
            self._send_work([channel])

    def _check(
        self, channel: Channel | None, share: Share, now: float
    ) -> tuple[Job, VerifiedShare]:
        is_extended = isinstance(share, SubmitSharesExtended)
        if channel is None or channel.is_extended is not is_extended:
            raise _Refused(INVALID_CHANNEL_ID)
        refusal = self.faults.refusal
        if refusal is not None:
            raise _Refused(refusal)
        job = channel.jobs.get(share.job_id)
        if job is None or self.faults.is_stale:
            is_old = self.faults.is_stale or 0 < share.job_id <= self._jobs_sent
            raise _Refused(STALE_SHARE if is_old else INVALID_JOB_ID)
        extranonce = (
            share.extranonce if isinstance(share, SubmitSharesExtended) else b""
        )
        try:
            if len(extranonce) != channel.extranonce_size:
                raise _Refused(SHARE_CODES[MALFORMED_SHARE])
            if (share.version ^ job.template.version) & ~VERSION_MASK:
                raise _Refused(SHARE_CODES[BITS_OUTSIDE_MASK])
            latest = self._pool.chain.unix_time(now) + MAX_AHEAD_S
            job.check_ntime(share.ntime, latest)
            verified = job.check_header(
                extranonce,
                ntime=share.ntime,
                nonce=share.nonce,
                version=share.version,
            )
        except RequestError as error:
            raise _Refused(SHARE_CODES[error.reason]) from error
        return job, verified

    # To the miner

    def _send_target(self, channel: Channel) -> None:
        """Tell the difficulty and, as it holds from the next job on, send one."""
        self._say_target(channel)
        self._send_work([channel])

    def _say_target(self, channel: Channel) -> None:
        difficulty = self.difficulty_of(channel)
        self._pool.say(f"{self.name}: difficulty {difficulty:g}")
        self._send(SetTarget(channel.id, target_for(difficulty)))

    def _new_prefix(self) -> bytes:
        return self._pool.new_extranonce1()

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _send(self, message: Message) -> None:
        if self._link is None or self.is_silent or self.wants_close:
            return
        self._write(self._link.seal(messages.frame(message)))


_HANDLERS: Final[dict[type[Message], Callable[..., None]]] = {
    SetupConnection: PoolConnection._set_up,
    OpenStandardMiningChannel: PoolConnection._open,
    OpenExtendedMiningChannel: PoolConnection._open,
    UpdateChannel: PoolConnection._update,
    CloseChannel: PoolConnection._close_channel,
    SubmitSharesStandard: PoolConnection._submit,
    SubmitSharesExtended: PoolConnection._submit,
}
"""What a miner may say; the rest is ignored, as extensions want it."""


def _easiest(max_target: int) -> float:
    """The difficulty of the easiest target that a miner takes."""
    if not max_target:
        raise _Refused("max-target-out-of-range")
    return DIFFICULTY_1_TARGET / max_target


def _next_template(template: Template) -> Template:
    """A block without transactions on top of one that is yet to be found."""
    height = template.height + 1
    return replace(
        template,
        height=height,
        prevhash=bytes(32),
        merkle_branch=(),
        value_sat=subsidy_sat(height),
    )
