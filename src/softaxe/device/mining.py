"""From a pool's job to work for the chip, and from a nonce to a share.

A *job* comes from the pool; *work* (one header with its own extranonce2) goes to the
chip; a *nonce* comes back and, when it is good enough, becomes a *share*. The chip is
never trusted: each nonce is put into its header and hashed here. Source of the rules:
ESP-Miner mining.c, create_jobs_task.c and asic_result_task.c.
"""

import re
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from softaxe.asic.driver import NonceFound
from softaxe.bitcoin.address import Network
from softaxe.bitcoin.coinbase import (
    Output,
    Outputs,
    decode_coinbase,
    decode_outputs,
    network_of,
    signals,
)
from softaxe.bitcoin.header import (
    Work,
    coinbase_transaction,
    difficulty_of,
    extranonce2_bytes,
    merkle_root,
    sha256d,
)
from softaxe.catalog.firmware.rows import Rows
from softaxe.stratum.messages import Notify
from softaxe.units import NEVER, LazyLog, Level, logged_difficulty

MAX_SCRIPTSIG_CHARS = 127
"""That releases which read outputs tell of a block's text. Source: ESP-Miner
global_state.h."""
SCALED_JOB_S = 5.0
"""How long a job of scaled work lasts at least: about as long as a new job of the pool
waits in the firmware of a Gamma, behind the ten of half a second that are queued. Some
boards get one every 15 ms, for which a chip that tries a few hundred nonces a second
has no use; a fleet would do little else than hash merkle roots."""
MAX_U64 = 2**64 - 1
DEFAULT_DIFFICULTY = 1
"""Of the wire, until the pool sets one. Source: Stratum's convention; the firmware
submits every nonce then, and those are always better."""
CLEAN_TEXT = "Clean Jobs: clearing queue"
"""For a clean notify, and when a connection begins or ends. Source: stratum_task.c."""
CLOCK_SYNC_S = 3600
"""A job's time sets the clock when it is this far past the last time it did."""


class BlockInfo(Struct, frozen=True):
    """What a notify tells about the block being worked on."""

    height: int
    scriptsig: str | None
    """The coinbase's text, unprintable bytes as dots."""
    network_difficulty: int
    outputs: tuple[Output, ...] = ()
    """Whom it pays, if the firmware reads that and is set to."""
    total_sat: int = 0
    user_sat: int = 0
    """To the address with which the user's name begins."""
    signals: tuple[str, ...] = ()
    """Proposals that its maker signals for."""


class FoundBlock(Struct, frozen=True):
    """A share that was a block."""

    height: int | None
    """None where the pool's jobs do not tell it."""
    at: float
    """Device time."""


class Payee(Struct, frozen=True):
    """For whom a pool's jobs are read."""

    user: str
    """At the pool; may begin with an address."""
    is_told: bool
    """Outputs are told of, not their sum alone."""


class Share(Struct, frozen=True):
    """A nonce with what makes its header, as `mining.submit` wants it."""

    job_id: str
    extranonce2: bytes
    ntime: int
    nonce: int
    version_bits: int


class Checked(Struct, frozen=True):
    """What hashing a nonce showed."""

    difficulty: float
    share: Share
    is_share: bool
    """False when the pool would refuse it."""
    is_block: bool
    network_difficulty: float
    nonce: NonceFound
    version: int
    """That was hashed."""
    pool_difficulty: float


class _Template(Struct, frozen=True):
    """A notify with what was in force when it was taken up."""

    notify: Notify
    network_difficulty: float
    pool_difficulty: float
    version_mask: int
    is_block_ordered: bool
    """A share counts as a block: its luck was ordered."""
    scale: float
    """Chip hashes per searched hash."""


class _QueuedJob(Struct, frozen=True):
    template: _Template
    extranonce1: bytes
    extranonce2: bytes


class _SentJob(Struct, frozen=True):
    template: _Template
    extranonce2: bytes
    work: Work


class WorkTaker(Protocol):
    """The host end of the chip's wire, as far as mining needs it."""

    def send_work(self, work: Work) -> int:
        """Send one work; return the job id the chip will answer with."""

    def set_version_mask(self, mask: int) -> None:
        """Let the chip roll these version bits."""


class Mining:
    """Job creation, the chip's job slots and the check of every nonce."""

    # With a dict instead, each would take over 1 kB more.
    __slots__ = (
        "_chip_tag",
        "_clock_synced_at",
        "_coinbase",
        "_counter",
        "_extranonce1",
        "_extranonce2_size",
        "_includes_equal",
        "_interval_ms",
        "_is_started",
        "_is_starved",
        "_job_s",
        "_log",
        "_pool_difficulty",
        "_pool_tag",
        "_queue",
        "_queue_size",
        "_queued_jobs",
        "_result_line",
        "_scale",
        "_slots",
        "_small_result_line",
        "_tells_small",
        "_template",
        "_version_mask",
        "best_difficulty",
        "block",
        "blocks_found",
        "exact_session_difficulty",
        "has_cleaned",
        "next_wake",
        "sent_difficulty",
        "sent_scale",
        "shows_block",
    )

    def __init__(
        self,
        *,
        interval_ms: float,
        chip_tag: str,
        best_difficulty: int,
        tells_small: bool = False,
        rows: Rows,
        log: LazyLog,
    ) -> None:
        self.best_difficulty = best_difficulty
        """The best ever, integer part."""
        self.exact_session_difficulty = 0.0
        """The best since boot; of a CPU's real work there is no whole part for long."""
        self.blocks_found = 0
        """Since boot."""
        self.shows_block = False
        """A block was found and nobody has dismissed the news."""
        self.sent_difficulty = 0.0
        """The pool's, of the job that was last sent to the chip."""
        self.sent_scale = 0.0
        """Chip hashes per searched hash of that job; 0 before."""
        self.block: BlockInfo | None = None
        """None before a pool has told of one, with a height above 0."""
        self.next_wake = NEVER
        self.has_cleaned = False
        """True from the moment when jobs were dropped until somebody takes note."""
        self._interval_ms = interval_ms
        self._queued_jobs = rows.queued_jobs
        self._coinbase = rows.coinbase
        self._includes_equal = rows.block_condition == "greater or equal"
        self._pool_tag = rows.pool_tag
        self.set_scale(1)
        self._chip_tag = chip_tag
        self._tells_small = tells_small
        self._result_line = rows.result_line
        self._small_result_line = re.sub(
            r"{difficulty:.*?} of {.*?}", "{difficulty:g} of {pool:g}", rows.result_line
        )
        self._log = log
        self._template: _Template | None = None
        self._counter = 0
        self._queue: list[_QueuedJob] = []
        self._slots: dict[int, _SentJob] = {}
        self._is_started = False
        self._is_starved = True
        self._version_mask: int | None = None
        self._pool_difficulty = 0.0
        self._extranonce1 = b""
        self._extranonce2_size = 0
        self._clock_synced_at = -CLOCK_SYNC_S

    @property
    def exact_difficulty(self) -> float:
        """The best ever; what was stored has an integer part only."""
        return max(self.best_difficulty, self.exact_session_difficulty)

    def set_scale(self, scale: float) -> None:
        """Tell how many chip hashes a searched hash of jobs to come stands for.

        A nonce's difficulty counts in those. In scaled work jobs last longer, and as
        many fewer are queued.
        """
        self._scale = scale
        firmware_s = int(self._interval_ms) / 1000  # whole ticks
        self._job_s = firmware_s if scale == 1 else max(firmware_s, SCALED_JOB_S)
        queued = round(self._queued_jobs * firmware_s / self._job_s)
        self._queue_size = max(1, queued) if self._queued_jobs else 0

    @property
    def jobs_per_s(self) -> float:
        """What the firmware sends at present, also where ours last longer."""
        return 0.0 if self.next_wake == NEVER else 1000 / self._interval_ms

    def start(self, now: float) -> None:
        """Begin (or, after the chip was away, go on) sending work."""
        if not self._is_started:
            interval, tag = f"{self._interval_ms:.2f}", "asic_task"
            if not self._queued_jobs:  # the task that makes jobs sends them
                interval, tag = f"{int(self._interval_ms)}", "create_jobs_task"
            self._log(Level.INFO, tag, f"ASIC Job Interval: {interval} ms")
            self._log(Level.INFO, tag, "ASIC Ready!")
        self._is_started = True
        self._version_mask = None  # chips forget it with their power
        self._is_starved = self._template is None
        self.next_wake = NEVER if self._is_starved else now

    def stop(self) -> None:
        """Send nothing until `start`; the chip is away."""
        self.next_wake = NEVER
        self._is_starved = False

    def set_extranonce(self, extranonce1: bytes, extranonce2_size: int) -> None:
        """Use these from the next generated job on."""
        self._extranonce1 = extranonce1
        self._extranonce2_size = extranonce2_size

    def restart_counter(self) -> None:
        """Count extranonces from 0 again: the pool's is another."""
        self._counter = 0

    def dismiss_block(self) -> None:
        """Show a found block no longer."""
        self.shows_block = False

    def take_notify(
        self,
        notify: Notify,
        now: float,
        *,
        network_difficulty: float,
        pool_difficulty: float,
        version_mask: int,
        payee: Payee,
        driver: WorkTaker,
        ordered_block: float = 0.0,
    ) -> None:
        """Make jobs for a notify.

        The pool's difficulty and mask are those in force now; jobs already queued keep
        theirs, and are sent first unless the notify is clean.

        A block on order has an easy target in its job. That is luck, and no change of
        the network: with `ordered_block`, its true difficulty, that is what a job of
        an easier target has, and a share for it counts as so much better.
        """
        is_block_ordered = network_difficulty < ordered_block
        network_difficulty = max(network_difficulty, ordered_block)
        if notify.ntime >= self._clock_synced_at + CLOCK_SYNC_S:
            self._clock_synced_at = notify.ntime
            self._log(Level.INFO, "system", "Syncing clock")
        if notify.is_clean and (self._queue or notify.is_v2):
            self._log(Level.INFO, self._pool_tag, CLEAN_TEXT)
            self.clean(now)
        if self._coinbase != "ignored" and notify.merkle_root is None:
            self._decode(notify, network_difficulty, payee)
        self._template = _Template(
            notify,
            network_difficulty,
            pool_difficulty,
            version_mask,
            is_block_ordered,
            self._scale,
        )
        self._counter = 0
        tag = "create_jobs_task"
        self._log(Level.INFO, tag, f"New Work Dequeued {_title(notify)}")
        if pool_difficulty != self._pool_difficulty:
            self._pool_difficulty = pool_difficulty
            shown = logged_difficulty(pool_difficulty, tells_small=self._tells_small)
            text = f"New pool difficulty {shown}"
            self._log(Level.INFO, tag, text)
        if self._version_mask not in (None, version_mask):
            self._set_version_mask(version_mask, driver)
        self._refill()
        is_sent_at_once = notify.is_clean and self.next_wake != NEVER
        if (self._is_starved or is_sent_at_once) and self._is_started:
            self._is_starved = False
            self.next_wake = now

    def clean(self, now: float) -> None:
        """Drop every job: queued ones and those the chip works on."""
        self.has_cleaned = True
        self._queue.clear()
        self._slots.clear()
        self._template = None
        if self._is_started and self.next_wake != NEVER:
            self.next_wake = now

    def step(self, now: float, driver: WorkTaker) -> None:
        """Send the next job to the chip."""
        if not self._queue:
            self._add_job()
        if not self._queue:
            self._is_starved = True
            self.next_wake = NEVER
            return
        job = self._queue.pop(0)
        self._refill()
        if self._version_mask is None:
            self._set_version_mask(job.template.version_mask, driver)
        notify = job.template.notify
        work = Work(
            version=notify.version,
            prevhash=notify.prevhash,
            merkle_root=_merkle_root(job),
            ntime=notify.ntime,
            nbits=notify.nbits,
            version_mask=job.template.version_mask,
        )
        slot = driver.send_work(work)
        self.sent_difficulty = job.template.pool_difficulty
        self.sent_scale = job.template.scale
        self._slots[slot] = _SentJob(job.template, job.extranonce2, work)
        self.next_wake = now + self._job_s

    def check(self, nonce: NonceFound) -> Checked | None:
        """Hash the header a nonce completes; `count` is to follow.

        Returns:
            What it is worth, or None when its job is no longer valid.
        """
        job = self._slots.get(nonce.job_id)
        if job is None:
            is_old = self._chip_tag == "bm1397"  # its driver words it its own way
            shown = f"id={nonce.job_id}" if is_old else f"0x{nonce.job_id:02X}"
            text = f"Invalid job nonce found, {shown}"
            self._log(Level.WARNING, self._chip_tag, text)
            return None
        work, template = job.work, job.template
        version = nonce.version(work)
        header = work.header(nonce=nonce.nonce, version=version)
        difficulty = difficulty_of(sha256d(header)) * template.scale
        pool_difficulty = template.pool_difficulty
        needed = pool_difficulty or DEFAULT_DIFFICULTY * template.scale
        is_share = difficulty >= needed
        if is_share and template.is_block_ordered:
            difficulty += template.network_difficulty
        job_id = template.notify.job_id
        bits = version ^ work.version
        share = Share(job_id, job.extranonce2, work.ntime, nonce.nonce, bits)
        network = template.network_difficulty
        is_block = 0 < network < difficulty or (
            self._includes_equal and network == difficulty
        )
        return Checked(
            difficulty,
            share,
            is_share,
            is_block,
            network,
            nonce,
            version,
            pool_difficulty,
        )

    def count(self, checked: Checked) -> bool:
        """Log a nonce and note how good it is; True when it is the best ever."""
        nonce, pool_difficulty = checked.nonce, checked.pool_difficulty
        is_small = 0 < pool_difficulty < 1 or checked.difficulty < 1
        is_exact = is_small and self._tells_small
        self._log(
            Level.INFO,
            "asic_result",
            self._small_result_line if is_exact else self._result_line,
            job_id=checked.share.job_id,
            asic=nonce.asic_number,
            core=nonce.core,
            small_core=nonce.small_core,
            version=checked.version,
            nonce=nonce.nonce,
            difficulty=checked.difficulty,
            pool=pool_difficulty,
            whole_pool=int(pool_difficulty),
        )
        return self._rate(checked)

    def _set_version_mask(self, mask: int, driver: WorkTaker) -> None:
        self._version_mask = mask
        text = f"Set chip version rolls {mask >> 13}"
        self._log(Level.INFO, "create_jobs_task", text)
        driver.set_version_mask(mask)

    def _rate(self, checked: Checked) -> bool:
        difficulty, network_difficulty = checked.difficulty, checked.network_difficulty
        whole = whole_difficulty(difficulty)
        best = self.exact_session_difficulty
        self.exact_session_difficulty = difficulty if difficulty > best else best
        if checked.is_block:
            self.blocks_found += 1
            self.shows_block = True
            text = f"FOUND BLOCK!!!!!!!!!!!!!!!!!!!!!! {difficulty:f} > "
            self._log(Level.INFO, "system", f"{text}{network_difficulty:f}")
        if whole <= self.best_difficulty:
            return False
        self.best_difficulty = whole
        self._log(Level.INFO, "system", f"Network diff: {network_difficulty:f}")
        return True

    def _refill(self) -> None:
        while self._template is not None and len(self._queue) < self._queue_size:
            self._add_job()

    def _add_job(self) -> None:
        """Queue the next job of the last notify."""
        if self._template is None:
            return
        notify, size = self._template.notify, self._extranonce2_size
        if notify.merkle_root is not None and self._counter:
            return
        if notify.is_v2:
            extranonce2 = (self._counter % (1 << 8 * size)).to_bytes(size)
        else:
            extranonce2 = extranonce2_bytes(self._counter, size)
        self._counter += 1
        self._queue.append(_QueuedJob(self._template, self._extranonce1, extranonce2))

    # What a notify tells

    def _decode(self, notify: Notify, network_difficulty: float, payee: Payee) -> None:
        size = len(self._extranonce1) + self._extranonce2_size
        first = notify.coinbase1
        if notify.is_v2 and first[4:5] == b"\0":  # the marker and flag of BIP 141
            first = first[:4] + first[6:]
        info = decode_coinbase(first, notify.coinbase2, size)
        known, difficulty = self.block, whole_difficulty(network_difficulty)
        outputs = None
        if info is not None and self._coinbase != "script":
            network = Network.MAIN
            if self._coinbase == "outputs and signals":
                network = network_of(payee.user)
            at = info.sequence_at
            outputs = decode_outputs(
                notify.coinbase2, at, user=payee.user, network=network
            )
        if info is None or (outputs is None and self._coinbase != "script"):
            self._give_up_decoding(difficulty)
            return
        if known is None or known.height != info.height:
            self._say(f"Block height {info.height}")
        block = BlockInfo(info.height, self._scriptsig(info.scriptsig), difficulty)
        if outputs is not None:
            block = self._with_outputs(block, outputs, notify.version, payee)
        self.block = block if block.height else None

    def _give_up_decoding(self, difficulty: int) -> None:
        """Keep what is known of the block, where a coinbase cannot be read."""
        if self._coinbase == "outputs and signals":
            text = "Failed to process mining notification"
            self._log(Level.ERROR, self._pool_tag, text)
        elif self._coinbase == "script" and self.block is not None:
            self.block = replace(self.block, network_difficulty=difficulty)

    def _scriptsig(self, read: str | None) -> str | None:
        """Return the text to tell, and say so if it is a new one."""
        is_plain = self._coinbase == "script"
        before = None if is_plain else ""
        known = before if self.block is None else self.block.scriptsig
        if is_plain:
            text = known if read is None else read
        else:
            text = (read or "")[:MAX_SCRIPTSIG_CHARS] or known
        if text is not None and text != known:
            self._say(f"Scriptsig: {text}")
        return text

    def _with_outputs(
        self, block: BlockInfo, outputs: Outputs, version: int, payee: Payee
    ) -> BlockInfo:
        """Add whom the block pays.

        The firmware takes what is paid for news if any of the outputs that it tells of
        has changed; so a user's value stays when outputs are told of no longer.
        """
        told = outputs.first if payee.is_told else ()
        unit = " sats" if payee.is_told else ""
        total_sat = outputs.total_sat
        self._say(f"Coinbase outputs: {len(told)}, total value: {total_sat}{unit}")
        known = self.block
        before, user_sat = (known.outputs, known.user_sat) if known else ((), 0)
        if told != before[: len(told)]:
            before, user_sat = told, outputs.user_sat
            for number, output in enumerate(told):
                self._say(f"  Output {number}: {_in_words(output)}")
        found: tuple[str, ...] = ()
        if payee.is_told and self._coinbase == "outputs and signals":
            found = signals(outputs, height=block.height, version=version)
            for name in found:
                self._say(f"{name} signaling detected")
        return replace(
            block,
            outputs=before,
            total_sat=total_sat,
            user_sat=user_sat,
            signals=found,
        )

    def _say(self, text: str) -> None:
        self._log(Level.INFO, self._pool_tag, text)


def _merkle_root(job: _QueuedJob) -> bytes:
    notify = job.template.notify
    if notify.merkle_root is not None:
        return notify.merkle_root
    coinbase = coinbase_transaction(
        notify.coinbase1, job.extranonce1, job.extranonce2, notify.coinbase2
    )
    return merkle_root(sha256d(coinbase), notify.merkle_branch)


def _title(notify: Notify) -> str:
    """What the log calls a job."""
    if not notify.is_v2:
        return notify.job_id
    kind = "ext job" if notify.merkle_root is None else "job"
    return f"SV2 {kind} {notify.job_id}"


def _in_words(output: Output) -> str:
    if not output.value_sat:
        return output.address
    whose = " (Your payout address)" if output.is_user else ""
    return f"{output.address} ({output.value_sat} sat){whose}"


def whole_difficulty(difficulty: float) -> int:
    """Cut a difficulty to what the firmware stores of it: 64 bits."""
    return int(difficulty) if difficulty < MAX_U64 else MAX_U64
