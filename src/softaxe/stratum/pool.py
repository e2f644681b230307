"""The pool's side of Stratum v1: a real pool with its own small chain.

Every share is verified by hashing. Difficulties here are those of the wire; the pool
knows nothing of what a hash stands for at the miner's. Like the miner's session it has
no I/O: bytes in, bytes out, time as an argument.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, log2
from typing import Any

import msgspec

from softaxe.bitcoin.address import script_for_address
from softaxe.bitcoin.header import (
    Work,
    coinbase_transaction,
    difficulty_of,
    merkle_root,
    sha256d,
)
from softaxe.stratum.chain import Chain, Template, coinbase_parts
from softaxe.stratum.messages import LineSplitter, swap_words
from softaxe.units import NEVER, Level, Log

TAG = "pool"
VERSION_MASK = 0x1FFFE000
EXTRANONCE1_SIZE = 4
EXTRANONCE2_SIZE = 8
KEPT_JOBS = 32
"""Jobs of the present block that shares are taken for."""
MAX_JOB_SHARES = 100_000
"""Shares remembered per job and connection, against duplicates."""
MAX_UNSENT_BYTES = 1 << 18
MAX_NAME_CHARS = 256
NTIME_SLACK_S = 7200
"""How far a share's time may be ahead. Source: Bitcoin's two-hour rule."""
MIN_DIFFICULTY = 2.0**-40
MAX_DIFFICULTY = 2.0**64
RETARGET_AFTER = ((8, 5.0), (32, 2.0))
"""After so many shares, a rate off by more than this factor is corrected."""
FIRST_SILENCE_S = 20.0
SILENCE_S = 60.0
SILENCE_FACTOR = 16.0
"""After so long without a share (at first, and after one) the difficulty is divided
by this. With a share every 5 s a minute of silence has a chance of e^-12."""
OWN_SCRIPT = b"\x51"
"""Pays when the user name is no address: anyone can spend."""
SCALED_SHARE = 1000 / 2**32
"""First difficulty for scaled work: 1000 of the chip's."""
SCALED_NETWORK = 146_472_570_619_930 / 2**32
"""Network difficulty of the page's sample, for scaled work."""

JOB_NOT_FOUND = (21, "Job not found")
DUPLICATE = (22, "Duplicate share")
LOW_DIFFICULTY = (23, "Low difficulty share")
UNAUTHORIZED = (24, "Unauthorized worker")
NOT_SUBSCRIBED = (25, "Not subscribed")


def _other(text: str) -> tuple[int, str]:
    return 20, text


@dataclass(slots=True)
class Worker:
    """What the pool knows of one user name."""

    accepted: int = 0
    accepted_difficulty: float = 0.0
    """Sum over the accepted shares."""
    best_difficulty: float = 0.0
    rejected: dict[str, int] = field(default_factory=dict)
    """Count by reason."""


@dataclass(frozen=True, slots=True)
class _Job:
    job_id: str
    template: Template
    ntime: int


@dataclass(slots=True)
class _SentJob:
    job: _Job
    coinbase1: bytes
    coinbase2: bytes
    difficulty: float
    seen: set[tuple[bytes, int, int, int]] = field(default_factory=set)


class Pool:
    """A mining pool.

    Args:
        seed: Of blocks, transactions and extranonces.
        start_difficulty: For miners that suggest none.
        network_difficulty: What a block must reach.
        block_interval_s: Mean time between blocks of other miners.
        transaction_interval_s: Between two templates of one block.
        target_share_interval_s: Between two shares of one miner.
        start_time: Unix time when device time is 0.
        log: For the pool's own lines.
    """

    def __init__(
        self,
        *,
        start_difficulty: float = 1.0,
        network_difficulty: float = 1.0,
        block_interval_s: float = 600.0,
        transaction_interval_s: float = 30.0,
        target_share_interval_s: float = 5.0,
        start_time: int = 1_767_700_000,
        seed: int = 0,
        log: Log = lambda level, tag, text: None,
    ) -> None:
        self.start_difficulty = start_difficulty
        self.target_share_interval_s = target_share_interval_s
        self.workers: dict[str, Worker] = {}
        self.blocks_found = 0
        """By miners of this pool."""
        self._rng = random.Random(seed)
        self.chain = Chain(self._rng, network_difficulty)
        self._block_interval_s = block_interval_s
        self._transaction_interval_s = transaction_interval_s
        self._start_time = start_time
        self._log = log
        self._connections: dict[PoolConnection, None] = {}
        self._jobs: dict[str, _Job] = {}
        self._job_number = 0
        self._extranonce1 = self._rng.getrandbits(32)
        self._refusal: str | None = None
        self._is_silent = False
        self._block_due = self._next_block(0.0)
        self._templates = 0
        self._template_due = transaction_interval_s
        self._new_job(0.0)

    @classmethod
    def for_scaled_work(
        cls, *, seed: int = 0, start_time: int = 1_767_700_000
    ) -> "Pool":
        """A pool whose difficulties suit devices on scaled work."""
        return cls(
            start_difficulty=SCALED_SHARE,
            network_difficulty=SCALED_NETWORK,
            seed=seed,
            start_time=start_time,
        )

    @property
    def next_wake(self) -> float:
        """When to call `step` next."""
        silence = min((c.silence_due for c in self._connections), default=NEVER)
        return min(self._block_due, self._template_due, silence)

    @property
    def accepted(self) -> int:
        """Shares accepted from all workers."""
        return sum(worker.accepted for worker in self.workers.values())

    def connect(self, now: float, name: str = "") -> "PoolConnection":
        """Take up a miner.

        Args:
            now: Device time.
            name: For the log, such as the peer's address.
        """
        self._extranonce1 = self._extranonce1 + 1 & 0xFFFFFFFF
        extranonce1 = self._extranonce1.to_bytes(EXTRANONCE1_SIZE)
        connection = PoolConnection(self, extranonce1, now, name)
        self._connections[connection] = None
        return connection

    def forget(self, connection: "PoolConnection") -> None:
        """A miner's connection has ended."""
        self._connections.pop(connection, None)

    def step(self, now: float) -> None:
        """Let blocks and transactions come, and lower difficulties in silence."""
        while min(self._block_due, self._template_due) <= now:
            if self._block_due <= self._template_due:
                due = self._block_due
                self._block_due = self._next_block(due)
                self.new_block(due)
            else:
                due = self._template_due
                self._templates += 1
                period = self._transaction_interval_s
                self._template_due = (self._templates + 1) * period
                self.chain.add_transactions()
                self._new_job(due)
                self._notify(due, is_clean=False)
        for connection in self._connections:
            if connection.silence_due <= now:
                connection.break_silence(now)

    def new_block(self, now: float, block_hash: bytes | None = None) -> None:
        """Begin a new block; the jobs of the old one are stale."""
        self.chain.extend(block_hash)
        self._log(Level.INFO, TAG, f"new block, height {self.chain.height}")
        self._jobs.clear()
        self._new_job(now)
        self._notify(now, is_clean=True)

    # Ways to misbehave

    def set_silent(self, is_silent: bool) -> None:
        """Answer nothing and send nothing, but stay connected."""
        self._is_silent = is_silent

    def refuse_shares(self, reason: str | None) -> None:
        """Refuse every share with this reason; None ends it."""
        self._refusal = reason

    def drop_connections(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.wants_close = True

    # What connections need

    @property
    def is_silent(self) -> bool:
        """True while nothing is to be sent."""
        return self._is_silent

    @property
    def refusal(self) -> str | None:
        """Why every share is refused, if it is."""
        return self._refusal

    @property
    def latest_job(self) -> _Job:
        """The job to work on."""
        return next(reversed(self._jobs.values()))

    def is_current(self, job: _Job) -> bool:
        """True while shares of the job are taken."""
        return job.job_id in self._jobs

    def time_s(self, now: float) -> int:
        """Unix time."""
        return self._start_time + int(now)

    def worker(self, name: str) -> Worker:
        """The record of a user name."""
        return self.workers.setdefault(name, Worker())

    def found_block(self, block_hash: bytes, user: str, now: float) -> None:
        """A share was a block: the chain goes on from it."""
        self.blocks_found += 1
        shown = block_hash[::-1].hex()
        text = f"block {self.chain.height} found by {user}: {shown}"
        self._log(Level.INFO, TAG, text)
        self.new_block(now, block_hash)

    def say(self, text: str) -> None:
        """Log a line."""
        self._log(Level.INFO, TAG, text)

    def _new_job(self, now: float) -> None:
        self._job_number += 1
        job_id = f"{self._job_number:x}"
        self._jobs[job_id] = _Job(job_id, self.chain.template, self.time_s(now))
        if len(self._jobs) > KEPT_JOBS:
            del self._jobs[next(iter(self._jobs))]

    def _notify(self, now: float, *, is_clean: bool) -> None:
        for connection in self._connections:
            connection.send_job(now, is_clean=is_clean)

    def _next_block(self, now: float) -> float:
        return now + self._rng.expovariate(1 / self._block_interval_s)


class PoolConnection:
    """The pool's end of one connection.

    After each call take `data_to_send` and look at `wants_close`.
    """

    def __init__(self, pool: Pool, extranonce1: bytes, now: float, name: str) -> None:
        self.wants_close = False
        self.difficulty = pool.start_difficulty
        self.silence_due = NEVER
        self._pool = pool
        self._name = name
        self._extranonce1 = extranonce1
        self._splitter = LineSplitter(1 << 14)
        self._out: list[bytes] = []
        self._unsent = 0
        self._users: set[str] = set()
        self._script = OWN_SCRIPT
        self._is_subscribed = False
        self._version_mask = 0
        self._jobs: dict[str, _SentJob] = {}
        self._window_began = now
        self._window_shares = 0
        self._methods: dict[str, Callable[[Any, list[Any], float], None]] = {
            "mining.configure": self._configure,
            "mining.subscribe": self._subscribe,
            "mining.authorize": self._authorize,
            "mining.submit": self._submit,
            "mining.suggest_difficulty": self._suggest_difficulty,
            "mining.extranonce.subscribe": self._extranonce_subscribe,
            "mining.ping": lambda number, params, now: self._answer(number, "pong"),
        }

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes of the miner, in any slices."""
        for line in self._splitter.feed(data):
            if line.strip():
                self._receive_line(line, now)
        if self._splitter.dropped:
            self.wants_close = True

    def data_to_send(self) -> bytes:
        """Return and forget the bytes to send."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        self._unsent = 0
        return data

    def closed(self, now: float) -> None:
        """The connection has ended."""
        self._pool.forget(self)
        self._pool.step(now)

    def request_reconnect(self) -> None:
        """Ask the miner to connect anew."""
        self._method("client.reconnect", [])

    def send_job(self, now: float, *, is_clean: bool) -> None:
        """Send the latest job, if the miner is ready for jobs."""
        if not self._is_subscribed or not self._users:
            return
        job = self._pool.latest_job
        size = EXTRANONCE1_SIZE + EXTRANONCE2_SIZE
        coinbase1, coinbase2 = coinbase_parts(
            job.template, time_s=job.ntime, extranonce_size=size, script=self._script
        )
        if is_clean:
            self._jobs.clear()
        elif len(self._jobs) >= KEPT_JOBS:
            del self._jobs[next(iter(self._jobs))]
        known = self._jobs.get(job.job_id)
        # A job sent again keeps what it has seen, and takes the easier difficulty.
        self._jobs[job.job_id] = _SentJob(
            job,
            coinbase1,
            coinbase2,
            min(self.difficulty, known.difficulty) if known else self.difficulty,
            known.seen if known else set(),
        )
        template = job.template
        self._method(
            "mining.notify",
            [
                job.job_id,
                swap_words(template.prevhash).hex(),
                coinbase1.hex(),
                coinbase2.hex(),
                [entry.hex() for entry in template.merkle_branch],
                f"{template.version:08x}",
                f"{template.nbits:08x}",
                f"{job.ntime:08x}",
                is_clean,
            ],
        )

    def break_silence(self, now: float) -> None:
        """No share for a while: lower the difficulty a lot."""
        self.silence_due = now + FIRST_SILENCE_S
        self._set_difficulty(self.difficulty / SILENCE_FACTOR, now)

    # Lines of the miner

    def _receive_line(self, line: bytes, now: float) -> None:
        try:
            root = msgspec.json.decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            self._refuse(None, _other("Not JSON"))
            return
        if not isinstance(root, dict):
            self._refuse(None, _other("Not a JSON object"))
            return
        number, params = root.get("id"), root.get("params")
        method = self._methods.get(str(root.get("method")))
        if method is None:
            self._refuse(number, _other("Unknown method"))
        elif not isinstance(params, list):
            self._refuse(number, _other("params is no array"))
        else:
            method(number, params, now)

    def _configure(self, number: object, params: list[Any], _now: float) -> None:
        extensions = params[0] if params and isinstance(params[0], list) else []
        options = params[1] if len(params) > 1 and isinstance(params[1], dict) else {}
        result: dict[str, object] = {str(name): False for name in extensions[:16]}
        if "version-rolling" in result:
            wanted = _hex_u32(options.get("version-rolling.mask"))
            self._version_mask = (
                VERSION_MASK if wanted is None else wanted & VERSION_MASK
            )
            result["version-rolling"] = True
            result["version-rolling.mask"] = f"{self._version_mask:08x}"
        self._answer(number, result)

    def _subscribe(self, number: object, _params: list[Any], now: float) -> None:
        subscription = self._extranonce1.hex()
        names = ["mining.set_difficulty", "mining.notify"]
        result = [
            [[name, subscription] for name in names],
            self._extranonce1.hex(),
            EXTRANONCE2_SIZE,
        ]
        self._answer(number, result)
        self._is_subscribed = True
        self._start_work(now)

    def _authorize(self, number: object, params: list[Any], now: float) -> None:
        user = params[0] if params else None
        if not isinstance(user, str) or not 0 < len(user) <= MAX_NAME_CHARS:
            self._refuse(number, UNAUTHORIZED)
            return
        self._answer(number, True)
        if len(self._users) < KEPT_JOBS:
            self._users.add(user)
        try:
            self._script = script_for_address(user.partition(".")[0])
        except ValueError:
            self._script = OWN_SCRIPT
        self._pool.say(f"{self._name} mines for {user}")
        self._start_work(now)

    def _start_work(self, now: float) -> None:
        if self._is_subscribed and self._users:
            self.silence_due = now + FIRST_SILENCE_S
            self._window_began = now
            self._set_difficulty(self.difficulty, now, is_first=True)

    def _suggest_difficulty(
        self, number: object, params: list[Any], now: float
    ) -> None:
        value = params[0] if params else None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        difficulty = float(value) if is_number and value is not None else 0.0
        if not isfinite(difficulty) or difficulty <= 0:
            self._refuse(number, _other("Difficulty is no positive number"))
            return
        self._answer(number, True)
        self._set_difficulty(difficulty, now)

    def _extranonce_subscribe(
        self, number: object, _params: list[Any], _now: float
    ) -> None:
        self._answer(number, True)

    # Shares

    def _submit(self, number: object, params: list[Any], now: float) -> None:
        user = params[0] if params else None
        if not self._is_subscribed:
            self._refuse(number, NOT_SUBSCRIBED)
            return
        if not isinstance(user, str) or user not in self._users:
            self._refuse(number, UNAUTHORIZED)
            return
        worker = self._pool.worker(user)
        error = self._check(params, user, worker, now)
        if error is None:
            self._answer(number, True)
            self._count_share(now)
        else:
            self._refuse(number, error)
            reason = error[1]
            worker.rejected[reason] = worker.rejected.get(reason, 0) + 1

    def _check(
        self, params: list[Any], user: str, worker: Worker, now: float
    ) -> tuple[int, str] | None:
        """Judge a share by hashing; None means that it is good."""
        if len(params) < 5:
            return _other("Too few params")
        job_id, extranonce2_hex = params[1], params[2]
        ntime, nonce = _hex_u32(params[3]), _hex_u32(params[4])
        version_bits = _hex_u32(params[5]) if len(params) > 5 else 0
        extranonce2 = _hex_bytes(extranonce2_hex, EXTRANONCE2_SIZE)
        if ntime is None or nonce is None or version_bits is None:
            return _other("Malformed share")
        if extranonce2 is None:
            return _other("Wrong extranonce2 size")
        sent = self._jobs.get(job_id) if isinstance(job_id, str) else None
        if sent is None or not self._pool.is_current(sent.job):
            return JOB_NOT_FOUND
        if version_bits & ~self._version_mask:
            return _other("Version bits outside the mask")
        if not sent.job.ntime <= ntime <= self._pool.time_s(now) + NTIME_SLACK_S:
            return _other("Time out of range")
        key = (extranonce2, ntime, nonce, version_bits)
        if key in sent.seen:
            return DUPLICATE
        if self._pool.refusal is not None:
            return _other(self._pool.refusal)
        template = sent.job.template
        coinbase = coinbase_transaction(
            sent.coinbase1, self._extranonce1, extranonce2, sent.coinbase2
        )
        work = Work(
            version=template.version ^ version_bits,
            prevhash=template.prevhash,
            merkle_root=merkle_root(sha256d(coinbase), template.merkle_branch),
            ntime=ntime,
            nbits=template.nbits,
        )
        block_hash = sha256d(work.header(nonce))
        difficulty = difficulty_of(block_hash)
        if difficulty < sent.difficulty:
            return LOW_DIFFICULTY
        if len(sent.seen) < MAX_JOB_SHARES:
            sent.seen.add(key)
        worker.accepted += 1
        worker.accepted_difficulty += sent.difficulty
        worker.best_difficulty = max(worker.best_difficulty, difficulty)
        if int.from_bytes(block_hash, "little") <= self._pool.chain.target:
            self._pool.found_block(block_hash, user, now)
        return None

    # Difficulty

    def _count_share(self, now: float) -> None:
        self.silence_due = now + SILENCE_S
        self._window_shares += 1
        interval_s = max((now - self._window_began) / self._window_shares, 1e-3)
        factor = self._pool.target_share_interval_s / interval_s
        for shares, tolerance in RETARGET_AFTER:
            is_off = not 1 / tolerance <= factor <= tolerance
            if self._window_shares == shares and is_off:
                self._set_difficulty(self.difficulty * 2.0 ** round(log2(factor)), now)
                return
        if self._window_shares >= RETARGET_AFTER[-1][0]:
            self._window_began, self._window_shares = now, 0

    def _set_difficulty(
        self, difficulty: float, now: float, *, is_first: bool = False
    ) -> None:
        bounded = min(max(difficulty, MIN_DIFFICULTY), MAX_DIFFICULTY)
        if bounded == self.difficulty and not is_first:
            return
        self.difficulty = bounded
        self._window_began, self._window_shares = now, 0
        if self._is_subscribed and self._users:
            number = int(bounded) if bounded == int(bounded) else bounded
            self._method("mining.set_difficulty", [number])
            self.send_job(now, is_clean=is_first)

    # Sending

    def _answer(self, number: object, result: object) -> None:
        self._send({"id": number, "result": result, "error": None})

    def _refuse(self, number: object, error: tuple[int, str]) -> None:
        self._send({"id": number, "result": None, "error": [*error, None]})

    def _method(self, name: str, params: list[object]) -> None:
        self._send({"id": None, "method": name, "params": params})

    def _send(self, message: dict[str, object]) -> None:
        if self._pool.is_silent or self.wants_close:
            return
        try:
            line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        except (TypeError, ValueError):
            return  # an id that cannot be said back
        self._out.append(line)
        self._unsent += len(line)
        if self._unsent > MAX_UNSENT_BYTES:
            self.wants_close = True


def _hex_u32(value: object) -> int | None:
    data = _hex_bytes(value, 4)
    return None if data is None else int.from_bytes(data)


def _hex_bytes(value: object, size: int) -> bytes | None:
    if not isinstance(value, str) or len(value) != 2 * size:
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None
