"""The built-in pool: the other end of Stratum v1, with every share checked by hashing.

A `Pool` has a chain and workers; a `PoolConnection` is one miner's line to it. Both are
pure: bytes come in with `now`, bytes to send are taken out. Difficulties are those of
real hashes throughout; a pool cannot tell that a miner lets each hash stand for many.
"""

import math
import random
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heapify, heappop, heappush
from typing import ClassVar, Literal, TypeVar, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from softaxe.bitcoin.header import (
    HASHES_PER_DIFFICULTY,
    nbits_difficulty,
    nbits_for,
    nbits_target,
    target_for,
)
from softaxe.errors import SettingError
from softaxe.log_limit import LogLimit
from softaxe.stratum.chain import Chain, Template
from softaxe.stratum.dialects import (
    AUTHORIZE,
    BAD_WORKER,
    CONFIGURE,
    MALFORMED,
    NOT_POSITIVE,
    PING,
    SOFTAXE,
    STALE_JOB,
    SUBMIT,
    SUBSCRIBE,
    SUBSCRIBE_EXTRANONCE,
    SUGGEST_DIFFICULTY,
    TOO_MANY_WORKERS,
    UNAUTHORIZED_WORKER,
    UNKNOWN_JOB,
    UNKNOWN_METHOD,
    UNSUBSCRIBED,
    Dialect,
    Step,
)
from softaxe.stratum.messages import LineSplitter
from softaxe.stratum.pool_job import (
    ANYONE_CAN_SPEND,
    Job,
    RequestError,
    Submission,
    VerifiedShare,
    has_address,
    payout_script,
    word,
)
from softaxe.stratum.vardiff import Vardiff
from softaxe.units import NEVER, Level, Log

TAG = "pool"
SCALED_UNIT = 1 / HASHES_PER_DIFFICULTY
"""Difficulty 1, seen through work scaled by 2**32."""
SCALED_START_DIFFICULTY = 1000 * SCALED_UNIT
"""What a factory Bitaxe suggests."""
SMALLEST_DIFFICULTY = 1e-5
"""A share in some 43,000 hashes, which any CPU has in a second."""
SCALED_SMALLEST_DIFFICULTY = 256 * SCALED_UNIT
"""The easiest nonce that a chip reports."""
SCALED_NETWORK_DIFFICULTY = 146_472_570_619_930 / 2**32
"""The real network's of January 2026, through the same scale."""
SCALED_BLOCK_DIFFICULTY = nbits_difficulty(
    nbits_for(target_for(SCALED_NETWORK_DIFFICULTY))
)
"""The same, as a header's compact form has it."""
START_TIME = 1_768_000_000
"""Unix seconds at `now` = 0 unless told otherwise: 2026-01-09."""
EXTRANONCE1_SIZE = 4
"""Bytes."""
EXTRANONCE2_SIZE = 8
"""Bytes in Stratum v2, as at the solo pool that a factory Bitaxe falls back to."""
VERSION_MASK = 0x1FFFE000
"""Version bits a miner may roll. Source: BIP 320."""
MAX_AHEAD_S = 7200
"""A share may be dated this far ahead of the clock, as a block may. Source: Bitcoin
Core's MAX_FUTURE_BLOCK_TIME."""
SILENCE_CHECK_S = 5.0
"""How often to look for miners that send nothing."""

MAX_UNSENT_BYTES = 1 << 18
"""A connection that lets more pile up is closed."""
MOST_LOG_LINES = 2000
MOST_LOG_CHARACTERS = 1 << 18
"""In ten seconds: a fleet's miners may all come at once."""
MAX_NAME_CHARACTERS = 128
MAX_WORKERS = 20_000
"""In all, as many as there may be connections, and as many that mine at a time; of the
names that are kept, those longest gone make room."""
MAX_WORKERS_PER_CONNECTION = 256
"""A proxy brings the workers, or channels, of all its miners."""
MAX_JOBS = 10
"""The latest jobs of a connection, for which shares are taken."""
MAX_AGENT_CHARACTERS = 128
RATE_S = 300.0
"""Hash rates are estimated from about so long a time; what is older counts e times
less, and so on."""
CUT_BYTES = 16
"""Missing at the end of a message that is cut: in v2 its MAC."""

TELL_SPACING_S = 0.0005
"""Between one miner and the next when all get a new job, so that thousands of them, and
whatever else the process does, do not wait for each other."""

T = TypeVar("T")


class _Request(msgspec.Struct):
    method: str | None = None
    """None in an answer to something that we have said."""
    id: int | str | None = None
    params: list[object] | None = None


_decode = msgspec.json.Decoder(_Request).decode


Protocol = Literal["v1", "v2"]
"""Of Stratum."""


@dataclass(slots=True)
class WorkerStatistics:
    """What one worker has brought, on one connection or on all, or several workers."""

    wholes: "tuple[WorkerStatistics, ...]" = ()
    """Those that count what is counted here, too."""
    began_at: float = 0.0
    accepted: int = 0
    accepted_difficulty: float = 0.0
    """Sum of the difficulties that were asked of the accepted shares."""
    best_difficulty: float = 0.0
    blocks_found: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Refused shares by reason."""
    connections: int = 0
    """On which it mines at present."""
    _recent_difficulty: float = 0.0
    """As `accepted_difficulty`, but what is old hardly counts."""
    _recent_at: float = 0.0

    def accept(
        self, share: VerifiedShare, now: float, *, asked_difficulty: float
    ) -> None:
        """Count an accepted share."""
        self.accepted += 1
        self.accepted_difficulty += asked_difficulty
        best, difficulty = self.best_difficulty, share.difficulty
        self.best_difficulty = difficulty if difficulty > best else best
        self.blocks_found += share.is_block
        self._recent_difficulty = self._faded(now) + asked_difficulty
        self._recent_at = now
        for whole in self.wholes:
            whole.accept(share, now, asked_difficulty=asked_difficulty)

    def reject(self, reason: str) -> None:
        """Count a refused share."""
        self.rejected[reason] += 1
        for whole in self.wholes:
            whole.reject(reason)

    def hashrate_hs(self, now: float) -> float:
        """Estimate the hash rate from the accepted shares of the last minutes."""
        seen_s = -RATE_S * math.expm1(-(now - self.began_at) / RATE_S)
        return self._faded(now) * HASHES_PER_DIFFICULTY / seen_s if seen_s > 0 else 0.0

    def _faded(self, now: float) -> float:
        return self._recent_difficulty * math.exp((self._recent_at - now) / RATE_S)


class Seat(Struct, frozen=True):
    """A worker's place on a connection, as it is now."""

    user: str
    statistics: WorkerStatistics
    """Of this worker on this connection."""
    difficulty: float
    """What shares of its next job have to meet."""
    extranonce1: bytes
    """In v2 the prefix; on a standard channel the whole extranonce."""
    extranonce2_size: int
    """Bytes that the miner chooses."""
    channel: int | None = None
    """In v2."""
    channel_kind: Literal["standard", "extended"] | None = None


class Miner(ABC):
    """A miner's connection, whatever it speaks; its pool makes it.

    After every call take `data_to_send` and look at `wants_close`; call `closed` when
    the connection has ended. Whatever the miner sends, nothing is raised.
    """

    protocol: ClassVar[Protocol]

    def __init__(self, pool: "Pool", now: float, *, name: str) -> None:
        self.name = name
        self.agent = ""
        """What it says that it is."""
        self.connected_at = now
        self.wants_close = False
        """The pool is through with this miner; send what there is and close."""
        self.is_closed = False
        self.is_silent = False
        """This miner is neither heard nor told anything; see `set_silent`."""
        self.faults = NO_POOL_FAULTS
        """How this miner is treated; see `set_faults`."""
        self._pool = pool
        self._out = bytearray()
        self._has_found = False
        """True once a block on order was found."""
        self.hears_at = NEVER
        """When it is told of a block that was found, where it hears of it late."""

    @property
    @abstractmethod
    def is_mining(self) -> bool:
        """True while the miner has introduced itself and gets jobs."""

    @abstractmethod
    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the miner, in any slices."""

    @abstractmethod
    def seats(self) -> list[Seat]:
        """Who mines on it."""

    @abstractmethod
    def request_reconnect(self, host: str = "", port: int = 0) -> None:
        """Ask the miner to connect anew, to the same place if none is named."""

    @abstractmethod
    def change_extranonce(self) -> bool:
        """Give the miner another extranonce; False if it cannot be told of one."""

    @abstractmethod
    def send_job(self, *, is_clean: bool) -> None:
        """Send the pool's template as a new job, if the miner is ready for one."""

    @abstractmethod
    def forget_jobs(self) -> None:
        """Take no more shares for the jobs so far: their block is over."""

    @abstractmethod
    def check_silence(self, now: float) -> None:
        """Make it easier for a miner that has sent nothing for long."""

    @abstractmethod
    def _tell_difficulty(self) -> None:
        """Tell a miner that is mining what shares have to meet from now on."""

    @abstractmethod
    def _repeat_difficulty(self) -> None:
        """Tell a miner that is mining once more what it was told."""

    @abstractmethod
    def _vardiffs(self) -> Iterable[Vardiff]:
        """What finds the difficulties of its workers."""

    @abstractmethod
    def _hardest_difficulty(self) -> float | None:
        """What shares of the next job have to meet; None without anybody to mine."""

    @abstractmethod
    def _worker_names(self) -> Iterable[str]:
        """Whom `Pool.worker_came` was told of."""

    def set_faults(self, faults: "PoolFaults", now: float) -> None:
        """Treat the miner badly from now on, or well again."""
        self._pool.step(now)
        before, self.faults = self.faults, faults
        if faults.reconnects > before.reconnects:
            self.request_reconnect()
        if faults.difficulty != before.difficulty:
            self._tell_difficulty()
        if faults.is_block_next != before.is_block_next:
            self._has_found = False
            self.send_job(is_clean=True)
        if self._is_held and not faults.block_late_s:
            self.tell_block()

    def set_silent(self, *, is_so: bool) -> None:
        """Neither hear the miner nor tell it anything, or begin again."""
        was_silent, self.is_silent = self.is_silent, is_so
        if was_silent and not is_so:  # it may have missed both
            self._tell_difficulty()
            self.send_job(is_clean=True)

    def set_difficulty(self, difficulty: float, now: float) -> bool:
        """Ask for this difficulty, from which it goes on by the rate of shares.

        A block's is the highest. False without anybody to ask.
        """
        self._pool.step(now)
        vardiffs = tuple(self._vardiffs())
        for vardiff in vardiffs:
            vardiff.set(difficulty, now)
        self._tell_difficulty()
        return bool(vardiffs)

    def flood(self, jobs: int) -> None:
        """Send many jobs at once."""
        for _ in range(jobs):
            self.send_job(is_clean=False)

    def close_channels(self, reason: str) -> bool:
        """End every channel, while the connection stays; False without any."""
        return False

    def regroup(self) -> bool:
        """Put the channels of each length into a new group; False without any."""
        return False

    def truncate_message(self) -> None:
        """Send a message without its end; what follows is taken for that."""
        if said := self._said_again():
            del self._out[-min(said, CUT_BYTES) :]

    def replay_message(self) -> None:
        """Send the same bytes twice, which in v2 is a nonce twice."""
        if said := self._said_again():
            self._write(bytes(self._out[-said:]))

    def _said_again(self) -> int:
        """Tell the difficulty once more; return how many bytes that takes."""
        before = len(self._out)
        self._repeat_difficulty()
        return max(0, len(self._out) - before)

    # Blocks that it hears of late

    def hold_block(self, now: float) -> bool:
        """Tell of a block later, if that is ordered; False if it is to be told now."""
        if not self.faults.block_late_s or not self.is_mining:
            return False
        if not self._is_held:
            self.hears_at = now + self.faults.block_late_s
            self._pool.tell_later(self, self.hears_at)
        return True

    def tell_block(self, due: float | None = None) -> None:
        """Tell of a block that was held back, or only of the one that is due."""
        if self._is_held and due in {None, self.hears_at}:
            self.hears_at = NEVER
            self.send_job(is_clean=True)

    @property
    def _is_held(self) -> bool:
        return self.hears_at != NEVER

    def data_to_send(self) -> bytes:
        """Return and forget the bytes for the miner."""
        if not self._out:
            return b""
        data = bytes(self._out)
        self._out.clear()
        return data

    def closed(self, now: float) -> None:
        """The connection has ended."""
        self._pool.step(now)
        if self.is_closed:
            return
        self.is_closed = True
        self.hears_at = NEVER
        self._pool.forget(self)
        for name in self._worker_names():
            self._pool.worker_went(name)

    def close(self, reason: str) -> None:
        """Want the connection closed; what was not sent yet is lost."""
        self._out.clear()
        self._end(reason)

    def _end(self, reason: str) -> None:
        """Want the connection closed once what there is was sent."""
        if not self.wants_close:
            self._pool.say(f"{self.name}: closing, {reason}")
        self.wants_close = True
        self._pool.note_unsent(self)

    def _write(self, data: bytes) -> None:
        self._out += data
        self._pool.note_unsent(self)
        if len(self._out) > MAX_UNSENT_BYTES:
            self.close("it does not read")

    def _template(self) -> Template:
        """The pool's; where a block is ordered, one as easy as the hardest share."""
        template = self._pool.chain.template
        if not self.faults.is_block_next or self._has_found:
            return template
        hardest = self._hardest_difficulty()
        if hardest is None:
            return template
        target = target_for(hardest / EASIER)
        if target <= nbits_target(template.nbits):  # any share makes a block as it is
            return template
        return replace(template, nbits=nbits_for(target))


class Pool:
    """A pool with one chain and any number of connections.

    Call `step` when `next_wake` comes, and after every call take each connection's
    `data_to_send`.

    Args:
        seed: Of blocks, transactions and their times.
        start_difficulty: Of a connection that suggests none.
        network_difficulty: Of a block, as near as the header can express it.
        block_interval_s: Mean time between blocks found by others.
        transaction_interval_s: A new job for the same block this often.
        start_time: Unix seconds at `now` = 0.
        target_share_interval_s: What each connection's difficulty aims at; as the
            dialect has it when left out.
        smallest_difficulty: Silence lowers it no further, unless somebody has asked for
            less, or the dialect has a smallest one of its own.
        difficulty_unit: What the dialect's difficulties are multiples of.
        dialect: How Stratum v1 is spoken.
        log: Where to write what happens.

    Raises:
        SettingError: A number is not positive.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        start_difficulty: float = 1.0,
        network_difficulty: float = 1.0,
        block_interval_s: float = 600.0,
        transaction_interval_s: float = 30.0,
        start_time: int = START_TIME,
        target_share_interval_s: float | None = None,
        smallest_difficulty: float = SMALLEST_DIFFICULTY,
        difficulty_unit: float = 1.0,
        dialect: Dialect = SOFTAXE,
        log: Log | None = None,
    ) -> None:
        if target_share_interval_s is None:
            target_share_interval_s = dialect.vardiff.interval_s
        _check_positive(
            start_difficulty=start_difficulty,
            network_difficulty=network_difficulty,
            block_interval_s=block_interval_s,
            transaction_interval_s=transaction_interval_s,
            target_share_interval_s=target_share_interval_s,
        )
        self.chain = Chain(
            random.Random(seed),
            network_difficulty=network_difficulty,
            block_interval_s=block_interval_s,
            transaction_interval_s=transaction_interval_s,
            start_time=start_time,
            version=dialect.job_version,
        )
        self.dialect = dialect
        self.workers: dict[str, WorkerStatistics] = {}
        """By name, and kept when the worker has gone, until others need the room."""
        self._mining = 0
        """Workers on all connections, and channels."""
        self._gone: OrderedDict[str, None] = OrderedDict()
        """Names of workers without a connection, those longest gone first."""
        self.totals = WorkerStatistics()
        """Of all workers, and of submits that came from none."""
        self.by_protocol: dict[Protocol, WorkerStatistics] = {
            protocol: WorkerStatistics((self.totals,))
            for protocol in get_args(Protocol)
        }
        self.start_difficulty = min(start_difficulty, self.chain.network_difficulty)
        self.target_share_interval_s = target_share_interval_s
        self._smallest_difficulty = smallest_difficulty
        self.difficulty_unit = difficulty_unit
        self.log = log
        self._log_limit = LogLimit(
            most_lines=MOST_LOG_LINES, most_characters=MOST_LOG_CHARACTERS
        )
        self._now = 0.0
        self._connections: dict[Miner, None] = {}
        self._untold: deque[tuple[Miner, bool]] = deque()
        """Who waits for the latest job, and whether it is a clean one."""
        self._tell_due = NEVER
        self._late: list[tuple[float, int, Miner]] = []
        """Who hears of a block later than others, and when: a heap."""
        self._late_count = 0
        self._unsent: dict[Miner, None] = {}
        self._extranonces = 0
        self._silence_checks = 0
        self._silence_due = SILENCE_CHECK_S

    @classmethod
    def for_scaled_work(
        cls,
        *,
        seed: int = 0,
        start_time: int = START_TIME,
        dialect: Dialect = SOFTAXE,
        log: Log | None = None,
    ) -> "Pool":
        """Make a pool that shows scaled work the proportions of the real network."""
        start = dialect.start_difficulty
        return cls(
            seed=seed,
            start_difficulty=SCALED_START_DIFFICULTY
            if start is None
            else start / 2**32,
            network_difficulty=SCALED_NETWORK_DIFFICULTY,
            start_time=start_time,
            smallest_difficulty=SCALED_SMALLEST_DIFFICULTY,
            difficulty_unit=SCALED_UNIT,
            dialect=dialect,
            log=log,
        )

    @property
    def height(self) -> int:
        """Height of the block that is being mined."""
        return self.chain.template.height

    @property
    def accepted(self) -> int:
        """Shares accepted from all workers."""
        return self.totals.accepted

    @property
    def blocks_found(self) -> int:
        """Blocks found by the pool's own workers."""
        return self.totals.blocks_found

    @property
    def connections(self) -> tuple[Miner, ...]:
        """The open connections, oldest first."""
        return tuple(self._connections)

    @property
    def next_wake(self) -> float:
        """When to step next."""
        due, silence_due = self.chain.next_wake, self._silence_due
        due = due if due < silence_due else silence_due
        due = due if due < self._tell_due else self._tell_due
        return min(due, self._late[0][0]) if self._late else due

    def connect(self, now: float, name: str = "") -> "PoolConnection":
        """Take up a miner.

        Args:
            now: Time.
            name: Its address, for the log.
        """
        self.step(now)
        connection = PoolConnection(self, now, name=name)
        self.add(connection)
        return connection

    def add(self, miner: Miner) -> None:
        """Tell a new connection of jobs from now on."""
        self._connections[miner] = None

    def step(self, now: float) -> None:
        """Send the jobs and difficulties that are due."""
        self._now = now
        while (due := self.next_wake) <= now:
            if self._tell_due <= due:
                self.tell_next(due)
            elif self._late and self._late[0][0] <= due:
                heappop(self._late)[2].tell_block(due)
            elif self._silence_due <= due:
                self._silence_checks += 1
                self._silence_due = (self._silence_checks + 1) * SILENCE_CHECK_S
                for connection in self.connections:
                    connection.check_silence(due)
            else:
                height = self.height
                self.chain.step(due)
                self._send_jobs(due, is_clean=self.height != height)

    # On request

    def new_block(self, now: float) -> None:
        """Let others find a block at once."""
        self.step(now)
        self.chain.extend_by_others(now)
        self._send_jobs(now, is_clean=True)

    def drop_connections(self) -> None:
        """Want every connection closed."""
        for connection in self.connections:
            connection.close("dropped on request")

    # For the connections

    def new_extranonce1(self) -> bytes:
        """Return one that no other connection of this pool has."""
        self._extranonces += 1
        return (self._extranonces & 0xFFFFFFFF).to_bytes(EXTRANONCE1_SIZE)

    def tell_later(self, miner: Miner, due: float) -> None:
        """Let a miner `tell_block` at that time."""
        if len(self._late) > 2 * len(self._connections):  # most have gone since
            self._late = [one for one in self._late if one[2].hears_at == one[0]]
            heapify(self._late)
        self._late_count += 1
        heappush(self._late, (due, self._late_count, miner))

    def new_vardiff(self, difficulty: float, now: float) -> Vardiff:
        """Return what finds a connection's difficulty, beginning with this one."""
        return Vardiff(
            difficulty,
            now,
            rules=self.dialect.vardiff,
            highest=self.chain.network_difficulty,
            target_interval_s=self.target_share_interval_s,
            floor=self._smallest_difficulty,
            unit=self.difficulty_unit,
        )

    def worker_came(self, name: str, protocol: Protocol) -> WorkerStatistics | None:
        """Return a worker's statistics on a new connection.

        Returns:
            None when no more workers are taken.
        """
        if self._mining >= MAX_WORKERS:
            return None
        if name not in self.workers and len(self.workers) >= MAX_WORKERS:
            longest_gone, _ = self._gone.popitem(last=False)
            del self.workers[longest_gone]
        now = self._now
        worker = self.workers.setdefault(name, WorkerStatistics(began_at=now))
        worker.connections += 1
        self._mining += 1
        self._gone.pop(name, None)
        return WorkerStatistics((worker, self.by_protocol[protocol]), now)

    def worker_went(self, name: str) -> None:
        """One of a worker's connections has ended."""
        worker = self.workers[name]
        worker.connections -= 1
        self._mining -= 1
        if not worker.connections:
            self._gone[name] = None

    def take_block(self, header: bytes, now: float) -> None:
        """Put a worker's block on the chain and let everybody mine on it."""
        self.say(f"block {self.height} found by one of ours")
        self.chain.extend(header, now)
        self._send_jobs(now, is_clean=True)

    def forget(self, connection: Miner) -> None:
        """A connection has ended."""
        self._connections.pop(connection, None)
        self._unsent.pop(connection, None)

    def note_unsent(self, connection: Miner) -> None:
        """A connection has something to send, or wants to be closed."""
        self._unsent[connection] = None

    def take_unsent(self) -> list[Miner]:
        """Return and forget the connections to look at: those with something new."""
        unsent = list(self._unsent)
        self._unsent.clear()
        return unsent

    def say(self, text: str) -> None:
        """Write a log line, or count it if there are very many."""
        if self.log is not None:
            for line in self._log_limit.lines(Level.INFO, TAG, text, self._now):
                self.log(*line)

    def _send_jobs(self, now: float, *, is_clean: bool) -> None:
        """Begin to tell everybody of a new job, one after the other."""
        if is_clean:
            self.say(f"mining block {self.height}")
            for connection in self.connections:
                connection.forget_jobs()
        wait_for_clean = {
            one for one, waits_for_clean in self._untold if waits_for_clean
        }
        self._untold = deque(
            (one, is_clean or one in wait_for_clean) for one in self._connections
        )
        self._tell_due = now
        self.step(now)

    def tell_next(self, now: float) -> bool:
        """Tell the next miner of the latest job; False when all know it."""
        if self._untold:
            connection, is_clean = self._untold.popleft()
            if not (is_clean and connection.hold_block(now)):
                connection.send_job(is_clean=is_clean)
        self._tell_due += TELL_SPACING_S
        if not self._untold:
            self._tell_due = NEVER
        return bool(self._untold)


class CertificateFault(StrEnum):
    """What is wrong with the certificate that a pool of Stratum v2 shows."""

    WRONG_KEY = "wrong key"
    """Another authority than the one that is told has signed it."""
    EXPIRED = "expired"


class PoolFaults(Struct, frozen=True):
    """How the pool treats one miner badly."""

    refusal: str | None = None
    """Every share is refused with this reason."""
    is_stale: bool = False
    """Every share is for a job that the pool no longer knows."""
    difficulty: float | None = None
    """Asked instead of what the share rate calls for."""
    reconnects: int = 0
    """Grows whenever the miner is to be asked to connect anew."""
    is_block_next: bool = False
    """The next share is good enough for a block."""
    block_late_s: float = 0.0
    """A block is told so much later, while shares for the last one are refused."""
    certificate: CertificateFault | None = None
    """Shown to who connects by Stratum v2."""


NO_POOL_FAULTS = PoolFaults()
EASIER = 1.01
"""By how much a block is easier than a share when the next share is to be one."""


class PoolConnection(Miner):
    """One miner's connection in Stratum v1; made by `Pool.connect`."""

    protocol = "v1"

    def __init__(self, pool: Pool, now: float, *, name: str) -> None:
        super().__init__(pool, now, name=name)
        self._dialect = pool.dialect
        self.version_mask = 0 if self._dialect.negotiates else VERSION_MASK
        """Version bits this miner may roll."""
        self.extranonce1 = pool.new_extranonce1()
        self._vardiff = pool.new_vardiff(pool.start_difficulty, now)
        self._told_difficulty: float | None = None
        """What the miner was told last."""
        self._lines = LineSplitter()
        self._malformed = 0
        self._is_subscribed = False
        self._has_suggested = False
        self._wants_extranonce = False
        self._leaves_at = NEVER
        """When the pool hangs up on a miner whose user it does not know."""
        self._workers: dict[str, WorkerStatistics] = {}
        self._payout = ANYONE_CAN_SPEND
        self._jobs: dict[str, Job] = {}
        self._jobs_sent = 0

    @property
    def difficulty(self) -> float:
        """What shares of the next job have to meet."""
        return self.faults.difficulty or self._vardiff.difficulty

    @property
    def is_mining(self) -> bool:
        """True while the miner has introduced itself and gets jobs."""
        is_known = bool(self._workers) or self._dialect.serves_anybody
        return self._is_subscribed and is_known and not self.wants_close

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the miner, in any slices."""
        self._pool.step(now)
        if self.is_silent:
            return
        dropped = self._lines.dropped
        lines = self._lines.feed(data)
        for _ in range(dropped, self._lines.dropped):  # for their length
            self._refuse_malformed()
        for line in lines:
            if self.wants_close or self.is_closed:
                return
            if line.strip():
                self._receive_line(line, now)

    def _hardest_difficulty(self) -> float | None:
        return self.difficulty

    def _worker_names(self) -> Iterable[str]:
        return self._workers

    def _vardiffs(self) -> Iterable[Vardiff]:
        return (self._vardiff,)

    def seats(self) -> list[Seat]:
        """Who mines on it."""
        size = self._dialect.extranonce2_size
        return [
            Seat(name, one, self.difficulty, self.extranonce1, size)
            for name, one in self._workers.items()
        ]

    def request_reconnect(self, host: str = "", port: int = 0) -> None:
        """Ask the miner to connect anew, to the same place if none is named."""
        place = self._dialect.json([host, port, 0]) if host or port else "[]"
        self._notify("client.reconnect", place)

    def change_extranonce(self) -> bool:
        """Give the miner another extranonce1 and a fresh job.

        Returns:
            False, and nothing changes, when the miner has not subscribed to that.
        """
        if not self._wants_extranonce:
            return False
        self._renew_extranonce()
        self.forget_jobs()
        self._send_new_job(is_clean=True)
        return True

    def _renew_extranonce(self) -> None:
        self.extranonce1 = self._pool.new_extranonce1()
        params = [self.extranonce1.hex(), self._dialect.extranonce2_size]
        self._notify("mining.set_extranonce", self._dialect.json(params))

    def send_job(self, *, is_clean: bool) -> None:
        """Send the pool's template as a new job, if the miner is ready for one."""
        if is_clean:
            self.forget_jobs()
            if self._wants_extranonce and self._dialect.renews_extranonce:
                self._renew_extranonce()
        self._send_new_job(is_clean=is_clean)

    def _send_new_job(self, *, is_clean: bool) -> None:
        if not self.is_mining or self._is_held:
            return
        is_late = self._dialect.change_is_told == "with the next job"
        if is_late and self._told_difficulty != self.difficulty:
            self._say_difficulty()
        self._jobs_sent += 1
        job = Job(
            number=self._jobs_sent,
            template=self._template(),
            difficulty=self.difficulty,
            extranonce1=self.extranonce1,
            extranonce2_size=self._dialect.extranonce2_size,
            payout=self._payout,
            dialect=self._dialect,
        )
        self._jobs[job.id] = job
        if len(self._jobs) > MAX_JOBS:
            del self._jobs[next(iter(self._jobs))]
        self._notify("mining.notify", job.notify_params(is_clean=is_clean))

    def forget_jobs(self) -> None:
        """Take no more shares for the jobs so far: their block is over."""
        self._jobs.clear()

    def check_silence(self, now: float) -> None:
        """Make it easier for a miner that has sent nothing for long."""
        if now >= self._leaves_at:
            self._end("its user is not known")
        elif self.is_silent:  # then it is not the miner's fault
            self._vardiff.set(self.difficulty, now)
        elif self.is_mining and self._vardiff.check_silence(now):
            self._send_difficulty()

    # Requests

    def _receive_line(self, line: bytes, now: float) -> None:
        try:
            request = _decode(line)
        except (ValueError, RecursionError):  # no UTF-8, no JSON, no request
            self._refuse_malformed()
            return
        method = request.method
        if method is None or method == "pong":
            return
        if method in self._dialect.answers:
            self._send(
                self._dialect.answers[method] % {"id": self._dialect.json(request.id)}
            )
            return
        handler = _HANDLERS.get(method) if method in self._dialect.methods else None
        if handler is None and not self._dialect.answers_unknown:
            return
        try:
            if handler is None:
                raise RequestError(UNKNOWN_METHOD)
            handler(self, request, now)
        except RequestError as refused:
            self._refuse(request.id, refused)

    def _refuse_malformed(self) -> None:
        self._refuse(None, RequestError(MALFORMED))
        self._malformed += 1
        if self._malformed > self._dialect.most_malformed:
            self.close("too many malformed lines")

    def _configure(self, request: _Request, now: float) -> None:
        """Negotiate extensions. Source: BIP 310."""
        names = _param(request, 0, list)
        values = _param(request, 1, dict, default={})
        if not self._dialect.negotiates:
            names, values = [_ROLLING], {}
        declined = self._dialect.declined
        result: dict[str, bool | str] = {}
        for name in names:
            wanted = values.get(f"{_ROLLING}.mask", "ffffffff")
            if not isinstance(name, str) or not isinstance(wanted, str):
                raise RequestError(MALFORMED)
            if name == _ROLLING:
                self.version_mask = VERSION_MASK & _mask(wanted)
                result[name] = self.version_mask != 0
                result[f"{_ROLLING}.mask"] = f"{self.version_mask:08x}"
            elif (
                name == "subscribe-extranonce"
                and SUBSCRIBE_EXTRANONCE in self._dialect.methods
            ):
                self._wants_extranonce = result[name] = True
            elif declined is None or name in declined:
                result[name] = False
        self._reply(request, result)
        if self._dialect.tells_mask and _ROLLING in result:
            params = self._dialect.json([f"{self.version_mask:08x}"])
            self._notify("mining.set_version_mask", params)

    def _subscribe(self, request: _Request, now: float) -> None:
        was_mining, was_subscribed = self.is_mining, self._is_subscribed
        self._is_subscribed = True
        agent = (request.params or [""])[0]
        self.agent = agent[:MAX_AGENT_CHARACTERS] if isinstance(agent, str) else ""
        dialect = self._dialect
        values = {
            "extranonce1": self.extranonce1.hex(),
            "size": dialect.extranonce2_size,
        }
        self._reply_text(request, dialect.subscription % values)
        begins = not was_mining and self.is_mining
        if begins:
            self._vardiff.set(self.difficulty, now)
        if not was_subscribed:
            self._take(dialect.on_subscribed)
        if begins:
            self._take(dialect.before_authorized)
            self._take(dialect.on_authorized)

    def _authorize(self, request: _Request, now: float) -> None:
        was_mining = self.is_mining
        name = _param(request, 0, str)
        dialect = self._dialect
        is_known = dialect.users == "any name" or has_address(name)
        if is_known and name not in self._workers:
            self._add_worker(name)
        begins = not was_mining and self.is_mining
        if begins:
            self._vardiff.set(self.difficulty, now)
            self._take(dialect.before_authorized)
        if is_known:
            self._reply(request, True)
        else:
            self._refuse_user(request, name, now)
        if begins:
            self._take(dialect.on_authorized)

    def _refuse_user(self, request: _Request, name: str, now: float) -> None:
        dialect = self._dialect
        if dialect.wrong_user is None:
            raise RequestError(BAD_WORKER)
        address = self._dialect.json(name.partition(".")[0])[1:-1]
        values = {"id": self._dialect.json(request.id), "address": address}
        self._send(dialect.wrong_user % values)
        if dialect.wrong_user_stays_s is not None:
            self._leaves_at = now + dialect.wrong_user_stays_s
            if self._leaves_at <= now:
                self._end("its user is not known")

    def _add_worker(self, name: str) -> None:
        if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            raise RequestError(BAD_WORKER)
        is_full = len(self._workers) >= MAX_WORKERS_PER_CONNECTION
        worker = None if is_full else self._pool.worker_came(name, self.protocol)
        if worker is None:
            raise RequestError(TOO_MANY_WORKERS)
        if not self._workers:
            self._payout = payout_script(name)
        self._workers[name] = worker
        self._pool.say(f"{self.name}: worker {name}")

    def _subscribe_extranonce(self, request: _Request, now: float) -> None:
        self._wants_extranonce = True
        self._reply(request, True)
        if self._dialect.renews_extranonce and self.is_mining:
            self.change_extranonce()

    def _suggest_difficulty(self, request: _Request, now: float) -> None:
        dialect = self._dialect
        wanted = (request.params or [None])[0]
        if not isinstance(wanted, int | float) or isinstance(wanted, bool):
            raise RequestError(MALFORMED)
        if wanted <= 0 and dialect.answers_suggestion:
            raise RequestError(NOT_POSITIVE)
        if self._has_suggested and dialect.takes_suggestions == "the first":
            return
        if not self.is_mining and dialect.early_suggestion == "ignored":
            return
        self._has_suggested = True
        before = self.difficulty
        self._vardiff.suggest(wanted, now)
        if dialect.answers_suggestion:
            self._reply(request, True)
        if not (self.is_mining or dialect.early_suggestion == "told"):
            return
        if self.difficulty != before or dialect.tells_any_suggestion:
            self._say_difficulty()
            if dialect.suggestion_brings_job:
                self.send_job(is_clean=False)

    def _ping(self, request: _Request, now: float) -> None:
        self._reply(request, "pong")

    def _submit(self, request: _Request, now: float) -> None:
        if not self.is_mining and self._dialect.early_submit != "refused":
            if self._dialect.early_submit == "hung up on":
                self._end("a share before it has introduced itself")
            return
        judged = self._pool.by_protocol[self.protocol]
        try:
            judged = self._submitter(request)
            job, share, asked = self._check_share(request, now)
        except RequestError as refused:
            judged.reject(refused.reason)
            raise
        self._reply(request, True)
        if share.is_block and job.template.nbits != self._pool.chain.nbits:
            # A block on order: its luck counts as if the network had asked for it.
            better = share.difficulty + self._pool.chain.network_difficulty
            share = replace(share, difficulty=better)
        judged.accept(share, now, asked_difficulty=asked)
        is_changed = self._vardiff.share(share.difficulty, now)
        if is_changed and self._dialect.change_is_told == "at once":
            self._say_difficulty()
        if share.is_block:
            self._has_found = True
            self._pool.take_block(share.header, now)
        elif job.is_used_up:
            self.send_job(is_clean=True)
        elif is_changed:
            self._send_changed_job()

    def _submitter(self, request: _Request) -> WorkerStatistics:
        if not self._is_subscribed:
            raise RequestError(UNSUBSCRIBED)
        worker = self._workers.get(_param(request, 0, str))
        if worker is None and not self._dialect.checks_worker:
            worker = next(iter(self._workers.values()), None)
        if worker is None:
            raise RequestError(UNAUTHORIZED_WORKER)
        return worker

    def _check_share(
        self, request: _Request, now: float
    ) -> tuple[Job, VerifiedShare, float]:
        """Return the job, the share, and the difficulty that was asked of it."""
        if self.faults.refusal is not None:
            raise RequestError(self.faults.refusal, is_ordered=True)
        job_id = _param(request, 1, str)
        submission = Submission(
            extranonce2=_param(request, 2, str),
            ntime=_param(request, 3, str),
            nonce=_param(request, 4, str),
            version_bits=_param(request, 5, str, default="00000000"),
        )
        job = self._jobs.get(job_id)
        if job is None or self.faults.is_stale:
            raise RequestError(self._why_no_job(job_id))
        asked = self._asked_of(job)
        share = job.check(
            submission,
            version_mask=self.version_mask,
            latest_ntime=self._pool.chain.unix_time(now) + MAX_AHEAD_S,
            difficulty=asked,
        )
        return job, share, asked

    def _why_no_job(self, job_id: str) -> str:
        if not self._dialect.tells_stale:
            return UNKNOWN_JOB
        try:
            was_sent = 0 < int(job_id, 16) <= self._jobs_sent
        except ValueError:
            was_sent = False
        return STALE_JOB if was_sent else UNKNOWN_JOB

    def _asked_of(self, job: Job) -> float:
        match self._dialect.judged_by:
            case "connection":
                return self.difficulty
            case "easier of both":
                return min(job.difficulty, self.difficulty)
        return job.difficulty

    # To the miner

    def _take(self, steps: Iterable[Step]) -> None:
        """Say what a dialect has at this point."""
        for step in steps:
            if step == "job":
                self.send_job(is_clean=True)
            elif step == "difficulty" or self._told_difficulty != self.difficulty:
                self._say_difficulty()

    def _tell_difficulty(self) -> None:
        if self.is_mining:
            self._send_difficulty()

    def _repeat_difficulty(self) -> None:
        if self.is_mining:
            self._say_difficulty()

    def _send_difficulty(self) -> None:
        """Tell the difficulty and, as it holds from the next job on, send one."""
        if self._dialect.change_is_told == "at once":
            self._say_difficulty()
        self._send_changed_job()

    def _send_changed_job(self) -> None:
        """Send the job that follows a changed difficulty, in dialects that have one."""
        brings = self._dialect.change_brings
        if brings != "nothing":
            self._send_new_job(is_clean=brings == "clean job")

    def _say_difficulty(self) -> None:
        self._pool.say(f"{self.name}: difficulty {self.difficulty:g}")
        self._told_difficulty = self.difficulty
        text = difficulty_text(self.difficulty)
        self._notify("mining.set_difficulty", f"[{text}]")

    def _notify(self, method: str, params: str) -> None:
        values = {"method": method, "params": params}
        self._send(self._dialect.notification % values)

    def _reply(self, request: _Request, result: object) -> None:
        self._reply_text(request, self._dialect.json(result))

    def _reply_text(self, request: _Request, result: str) -> None:
        values = {"id": self._dialect.json(request.id), "result": result}
        self._send(self._dialect.reply % values)

    def _refuse(self, id_: int | str | None, refused: RequestError) -> None:
        line = self._dialect.refused(
            id_,
            refused.reason,
            difficulty=refused.difficulty / self._pool.difficulty_unit,
            is_ordered=refused.is_ordered,
        )
        self._send(line)

    def _send(self, line: str) -> None:
        if self.is_silent or self.wants_close:
            return
        self._write(line.encode() + b"\n")


_HANDLERS: dict[str, Callable[[PoolConnection, _Request, float], None]] = {
    CONFIGURE: PoolConnection._configure,
    SUBSCRIBE: PoolConnection._subscribe,
    AUTHORIZE: PoolConnection._authorize,
    SUBSCRIBE_EXTRANONCE: PoolConnection._subscribe_extranonce,
    SUGGEST_DIFFICULTY: PoolConnection._suggest_difficulty,
    PING: PoolConnection._ping,
    SUBMIT: PoolConnection._submit,
}
_ROLLING = "version-rolling"


def difficulty_text(difficulty: float) -> str:
    """Print a difficulty so that a reader gets exactly the same number back."""
    if difficulty.is_integer() and difficulty < 2**53:
        return str(int(difficulty))
    return repr(difficulty)


def _mask(text: str) -> int:
    try:
        return word(text)
    except RequestError as error:  # which speaks of a share
        raise RequestError(MALFORMED) from error


def _param(
    request: _Request, index: int, kind: type[T], *, default: T | None = None
) -> T:
    params = request.params or []
    if index >= len(params) and default is not None:
        return default
    value = params[index] if index < len(params) else None
    if not isinstance(value, kind):
        raise RequestError(MALFORMED)
    return value


def _check_positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise SettingError(f"{name}: {value} is not a positive number")
