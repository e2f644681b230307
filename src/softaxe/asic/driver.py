"""The host's end of the chip wire: what the firmware does with its chips.

Reset, enumeration, initialisation, frequency ramps, jobs and results, as a state
machine with deadlines. Source of sequence, times and texts: ESP-Miner components/asic.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from math import floor
from typing import Protocol

from msgspec import Struct

from softaxe.asic import frames
from softaxe.asic.frames import ADDRESSES, Register, RegisterReply, Reply
from softaxe.asic.monitor import PERIOD_S as POLL_S
from softaxe.asic.monitor import HashrateMonitor
from softaxe.asic.pll import RAMP_STEP_MHZ, pll_for, ramp_steps
from softaxe.asic.startup import STARTUP, Pause, PerChip, StartupStep, Step, Write
from softaxe.bitcoin.header import Work, increment_version
from softaxe.bitcoin.kernel import midstate
from softaxe.catalog import Chip
from softaxe.units import NEVER, LazyLog, Level

START_FREQUENCY_MHZ = 50.0
"""What the ramp believes the chips run at after boot."""
RAMP_STEP_S = 0.1
RESET_PULSE_S = 0.1
ENUMERATION_SILENCE_S = 1.0
RECOVERY_WAIT_S = 2.0
RECEIVE_TIMEOUT_S = 10.0
"""For a whole frame, from the end of the last. Source: ESP-Miner components/asic."""
UART_RESET_S = 0.1
"""To bring the port back to its first baud rate, when it was open before."""
JOB_IDS = 128
FULL_VERSION_MASK = 0x1FFFE000
BM1397_PLL_DIVIDER = (Register.PLL0_DIVIDER, 0x0F0F0F00)
"""Written before each frequency, and both twice. Source: ESP-Miner bm1397.c."""
IO_STRENGTH = (Register.IO_STRENGTH, 0x0001F111)
"""Of a BM1373 chain's last chip; it is addressed in steps of its own. Source: ESP-Miner
bm1373.c."""
IO_ADDRESS_STRIDE = 4
HEAD_BYTES = 64
"""Bytes of a header behind a midstate."""
MIDSTATES = 4
MIDSTATE_INDEX_MASK = 0x03
RESULT_TEXT = (
    "Job ID: {job_id:02X}, Asic nr: {asic}, Core: {core}/{small_core}, "
    "Ver: {version:08X}"
)


class DriverState(StrEnum):
    """How far the chips are."""

    OFF = "off"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


class _Phase(StrEnum):
    NONE = "none"
    RESET_LOW = "reset low"
    RESET_HIGH = "reset high"
    RESETTING_UART = "resetting the port"
    ENUMERATING = "enumerating"
    INITIALISING = "initialising"
    RAMPING = "ramping"
    STABILISING = "stabilising"


class DriverReady(Struct, frozen=True):
    """The chips are initialised and take work."""

    chip_count: int


class DriverFailed(Struct, frozen=True):
    """No chip answered."""

    reason: str


class FrequencyReached(Struct, frozen=True):
    """A `set_frequency` is done."""

    frequency_mhz: float


class HashrateMeasured(Struct, frozen=True):
    """The monitor has new sums."""


class NonceFound(Struct, frozen=True):
    """A chip reported a nonce; nothing about it has been checked."""

    job_id: int
    nonce: int
    """As `mining.submit` wants it: the wire's bytes read little-endian."""
    version_bits: int
    """Bits the chip rolled, in their place in the version."""
    asic_number: int
    core: int
    small_core: int
    midstate_index: int = 0
    """Which of the job's midstates it belongs to."""

    def version(self, work: Work) -> int:
        """The header's version that was hashed."""
        version = work.version | self.version_bits
        for _ in range(self.midstate_index):
            version = increment_version(version, work.version_mask)
        return version


DriverEvent = (
    DriverReady | DriverFailed | FrequencyReached | HashrateMeasured | NonceFound
)


class Job(Struct, frozen=True):
    """A header for chips that roll versions, until it is bytes."""

    job_id: int
    work: Work


class Chips(Protocol):
    """Chips in the same process, which need no bytes."""

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes."""

    def take_work(self, job_id: int, work: Work, now: float) -> bool:
        """Take a job; False, and nothing happens, where it must come as bytes."""

    def answers(self, reply_bytes: int) -> bool:
        """True when every chip would answer now, with as many bytes."""

    def read(self, registers: Sequence[int], now: float) -> list[RegisterReply]:
        """Return the registers of each, all of the first one first."""


class Driver:
    """The firmware's chip driver.

    After each call take `data_to_chip`, `events` and the level of the reset line,
    `is_reset_low`.

    Args:
        chip: Their kind.
        asic_count: How many should be there.
        log: Takes the lines of the firmware's log.
        is_line_fixed: The line stays at 115200 baud, as a USB bridge's does, and so the
            chips are not told of their highest rate.
        poll_s: Between two looks at the chips' counters.
        has_counters: False in a release that never looks.
        logs_results: Every nonce has a log line.
        log_mark: Ends the log line of the line's highest rate.
    """

    # With a dict instead, each would take over 1 kB more.
    __slots__ = (
        "_address_interval",
        "_asic_count",
        "_bad_before",
        "_chip",
        "_due",
        "_has_used_uart",
        "_id_replies",
        "_is_line_fixed",
        "_is_logged_ramp",
        "_is_recovery",
        "_items",
        "_job_id",
        "_last_nonce",
        "_log",
        "_log_mark",
        "_logs_results",
        "_needs_all_chips",
        "_nonce_interval",
        "_phase",
        "_ramp",
        "_read_due",
        "_read_since",
        "_reader",
        "_startup",
        "_strangers",
        "_tag",
        "_target_mhz",
        "_wire",
        "_works",
        "detected_count",
        "failure",
        "frequency_mhz",
        "happened",
        "is_reset_low",
        "monitor",
        "next_wake",
        "out",
        "pll_mhz",
        "state",
    )

    def __init__(
        self,
        chip: Chip,
        *,
        asic_count: int,
        log: LazyLog,
        is_line_fixed: bool = False,
        poll_s: float = POLL_S,
        has_counters: bool = True,
        logs_results: bool = True,
        log_mark: str = "",
        needs_all_chips: bool = False,
    ) -> None:
        self.state = DriverState.OFF
        self.failure: str | None = None
        """Why the last start has failed, as the screen tells it."""
        self.frequency_mhz = START_FREQUENCY_MHZ
        """What the ramp last wrote; survives a reset of the chips, as in v2.12.2."""
        self.pll_mhz = START_FREQUENCY_MHZ
        """What the dividers for it give, as nearly as they can."""
        self.detected_count = 0
        self.is_reset_low = True
        self.next_wake = NEVER
        self._chip = chip
        self._asic_count = asic_count
        self._needs_all_chips = needs_all_chips
        self._log = log
        self._is_line_fixed = is_line_fixed
        self._logs_results = logs_results
        self._log_mark = log_mark
        self._tag = chip.log_tag
        self._wire = wire = frames.WIRES[chip.name]
        self.monitor = HashrateMonitor(
            asic_count,
            domains=chip.hash_domains,
            polled=wire.polled if has_counters else (),
            period_s=poll_s,
        )
        self._reader = frames.ReplyReader(self._wire.reply_bytes)
        self.out: list[bytes | Job] = []
        """Frames for the chips; `data_to_chip` or `tell` takes them."""
        self.happened: list[DriverEvent] = []
        """What `events` takes."""
        self._phase = _Phase.NONE
        self._due = NEVER
        self._ramp: list[float] = []
        self._target_mhz = 0.0
        self._is_logged_ramp = False
        self._has_used_uart = False
        self._is_recovery = False
        self._id_replies: list[bytes] = []
        self._strangers = 0
        self._bad_before = 0
        self._startup: list[StartupStep] = []
        self._items: list[bytes | float | Step] = []
        self._address_interval = self._nonce_interval = ADDRESSES
        self._job_id = 0
        self._works: dict[int, Work] = {}
        self._last_nonce: int | None = None
        self._read_since = 0.0
        self._read_due = NEVER

    @property
    def bad_frames(self) -> int:
        """Frames skipped for a wrong preamble, CRC, length, or kind of chip."""
        return self._reader.bad_frames + self._strangers

    # Calls

    def start(
        self, frequency_mhz: float, now: float, *, is_recovery: bool = False
    ) -> None:
        """Reset, enumerate and initialise the chips; ends in an event.

        Args:
            frequency_mhz: Where the first ramp ends.
            now: Device time.
            is_recovery: True after overheating: two more seconds of patience.
        """
        mode = "recovery mode" if is_recovery else "cold boot mode"
        self._say("asic_init", f"Starting ASIC initialization ({mode})")
        self.state = DriverState.STARTING
        self._target_mhz = frequency_mhz
        self._is_recovery = is_recovery
        self.is_reset_low = True
        self._go(_Phase.RESET_LOW, now + RESET_PULSE_S)

    def stop(self) -> None:
        """Hold the chips in reset."""
        self.state = DriverState.OFF
        self.is_reset_low = True
        self._ramp.clear()
        self._go(_Phase.NONE, NEVER)

    def set_frequency(self, frequency_mhz: float, now: float) -> None:
        """Ramp to a frequency; `FrequencyReached` tells when.

        A ramp still under way is given up where it is.

        Raises:
            RuntimeError: The chips are not `READY`.
        """
        if self.state is not DriverState.READY:
            raise RuntimeError(f"set_frequency: the chips are {self.state}, not ready")
        self._target_mhz = frequency_mhz
        self._begin_ramp(now)

    def set_version_mask(self, mask: int) -> None:
        """Let the chips roll these version bits, until they are started anew.

        Chips that take midstates are told with every job instead.
        """
        if not self._wire.takes_midstates:
            self.out.append(self._roll_versions(mask))

    def send_work(self, work: Work) -> int:
        """Send one work; return the job id that its nonces will carry."""
        self._job_id = job_id = (self._job_id + self._chip.job_id_step) % JOB_IDS
        if self._wire.takes_midstates:
            self._works[job_id] = work
            self.out.append(frames.midstate_job(job_id, work, _midstates(work)))
        else:
            self.out.append(Job(job_id, work))
        return job_id

    def receive(self, data: bytes, now: float) -> None:
        """Bytes came from the chips."""
        if self._phase is _Phase.ENUMERATING:
            self._id_replies += self._reader.feed(data)
            self._go(_Phase.ENUMERATING, now + ENUMERATION_SILENCE_S)
            return
        bad_frames = self._reader.bad_frames
        bodies = self._reader.feed(data)
        for body in bodies:
            self._take(frames.read_reply(body), now)
        is_bad = self._reader.bad_frames != bad_frames
        if is_bad:
            text = "Reply with a wrong preamble or checksum, skipped"
            self._log(Level.ERROR, "common", text)
        self._await_frame(now, is_new=is_bad or bool(bodies))

    def hear(self, replies: Sequence[tuple[int, Reply]], now: float) -> None:
        """Replies came over a wire that damages nothing: `receive` without the bytes.

        Args:
            replies: Each with its length in bytes.
            now: Device time.
        """
        reader = self._reader
        is_whole = not reader.is_waiting and self._phase is not _Phase.ENUMERATING
        for size, _ in replies:
            is_whole = is_whole and size == reader.reply_bytes
        if not is_whole:
            sent = b"".join(frames.reply_frame(size, reply) for size, reply in replies)
            self.receive(sent, now)
            return
        reader.flush()  # also the count of what was skipped
        for _, reply in replies:
            self._take(reply, now)
        self._read_since = now
        if self._read_due != NEVER:
            self._await_frame(now, is_new=True)

    def _await_frame(self, now: float, *, is_new: bool) -> None:
        """Note until when a frame that has begun must be complete."""
        if is_new:
            self._read_since = now
        self._read_due = NEVER
        if self._reader.is_waiting:
            # Reads that bring nothing time out as well, and begin again.
            waits = floor((now - self._read_since) / RECEIVE_TIMEOUT_S) + 1
            self._read_due = self._read_since + waits * RECEIVE_TIMEOUT_S
        self._schedule()

    def step(self, now: float) -> None:
        """Do what is due."""
        while (due := self.next_wake) <= now:
            if self._due <= due:
                self._step_phase(due)
            elif self._read_due <= due:
                self._reader.give_up()
                text = "Reply of a wrong length; receive buffer flushed"
                self._log(Level.ERROR, "common", text)
                self._await_frame(due, is_new=True)
            else:
                self._step_monitor()
            self._schedule()

    def poll(self, chips: Chips, before: float) -> float:
        """Read counters over a wire that damages nothing: `step` without the bytes.

        Several reads follow each other by a millisecond, and nothing else happens then.

        Args:
            chips: Those at the other end.
            before: Until then the rest of the device has nothing to do.

        Returns:
            When it has read last; before its `next_wake` if nothing can be read so.
        """
        monitor, reader = self.monitor, self._reader
        limit = before if before < self._due else self._due
        at = -NEVER
        if (
            not monitor.asked
            or self.out
            or reader.is_waiting
            or self.state is not DriverState.READY
            or not chips.answers(reader.reply_bytes)
        ):
            return at
        interval, count = self._address_interval, len(monitor.asics)
        while (due := monitor.next_wake) < limit and (asked := monitor.asked):
            at = due
            for reply in chips.read(asked, at):
                if (number := reply.address // interval) < count:
                    monitor.asics[number].note(reply.register, reply.value, at)
                else:
                    self._take(reply, at)
            monitor.step()
        if at > -NEVER:
            reader.flush()
            self._read_since = at
            self._schedule()
        return at

    def start_monitor(self, now: float) -> None:
        """Begin to measure hash rates."""
        self.monitor.start(now)
        self._schedule()

    def data_to_chip(self) -> bytes:
        """Return and forget the bytes to send."""
        if not self.out:
            return b""
        data = b"".join(
            frames.job(one.job_id, one.work) if isinstance(one, Job) else one
            for one in self.out
        )
        self.out.clear()
        return data

    def tell(self, chips: Chips, now: float) -> None:
        """Send what there is over a wire that damages nothing: a job without bytes."""
        first = self.out[0]
        if (
            isinstance(first, Job)
            and len(self.out) == 1
            and chips.take_work(first.job_id, first.work, now)
        ):
            self.out.clear()
        else:
            chips.receive(self.data_to_chip(), now)

    def events(self) -> list[DriverEvent]:
        """Return and forget what happened."""
        if not self.happened:
            return []
        events, self.happened = self.happened, []
        return events

    # The way to READY

    def _step_phase(self, now: float) -> None:
        match self._phase:
            case _Phase.RESET_LOW:
                self.is_reset_low = False
                self._go(_Phase.RESET_HIGH, now + RESET_PULSE_S)
            case _Phase.RESET_HIGH:
                self._open_uart(now)
            case _Phase.RESETTING_UART:
                self._begin_startup(now)
            case _Phase.ENUMERATING:
                self._count_chips(now)
            case _Phase.INITIALISING:
                self._continue_startup(now)
            case _Phase.RAMPING:
                self._step_ramp(now)
            case _Phase.STABILISING:
                self._become_ready()
            case _Phase.NONE:
                self._go(_Phase.NONE, NEVER)

    def _open_uart(self, now: float) -> None:
        if self._has_used_uart:
            self._say("asic_init", "UART already initialized, resetting baud to 115200")
            self._go(_Phase.RESETTING_UART, now + UART_RESET_S)
            return
        self._has_used_uart = True
        self._say("asic_init", "Performing full UART initialization")
        self._say("serial", "Initializing serial")
        self._begin_startup(now)

    def _begin_startup(self, now: float) -> None:
        self._say("asic_init", "Detecting ASIC chips...")
        self._say("asic", f"Initializing {self._asic_count}x {self._chip.name}")
        self._startup = list(STARTUP[self._chip.name])
        if self._is_line_fixed and Step.FASTEST_BAUD in self._startup:
            self._startup.remove(Step.FASTEST_BAUD)
        self._items.clear()
        self._reader.flush()
        self._reader.reply_bytes = frames.SHORT_REPLY_BYTES
        self._continue_startup(now)

    def _continue_startup(self, now: float) -> None:
        """Send until something takes time."""
        while self._items or self._startup:
            if not self._items:
                self._items.extend(self._startup_items(self._startup.pop(0)))
                continue
            item = self._items.pop(0)
            if isinstance(item, bytes):
                self.out.append(item)
            elif isinstance(item, float):
                self._go(_Phase.INITIALISING, now + item)
                return
            elif item is Step.ENUMERATE:
                self.out.append(frames.read_all(Register.CHIP_ID))
                self._id_replies.clear()
                self._bad_before = self._reader.bad_frames
                self._go(_Phase.ENUMERATING, now + ENUMERATION_SILENCE_S)
                return
            else:
                self._begin_ramp(now)
                return
        self._finish_start(now)

    def _startup_items(self, step: StartupStep) -> Iterator[bytes | float | Step]:
        """Yield a step's frames, its pause in seconds, or itself if it has a phase."""
        chip = self._chip
        match step:
            case Write(register, value, address):
                yield (
                    frames.write_all(register, value)
                    if address is None
                    else frames.write_one(address, register, value)
                )
            case Pause(seconds):
                yield seconds
            case PerChip():
                yield from self._per_chip(step)
            case Step.ADDRESSES:
                yield from map(frames.set_address, self._addresses())
            case Step.FASTEST_BAUD:
                self._say_baud()
                yield frames.write_all(*self._wire.fastest_baud)
            case Step.LAST_IO_STRENGTH:
                last = self.detected_count - 1
                yield frames.write_one(last * IO_ADDRESS_STRIDE, *IO_STRENGTH)
            case Step.VERSION_MASK:
                yield self._roll_versions(FULL_VERSION_MASK)
            case Step.INACTIVE:
                yield frames.chain_inactive()
            case Step.TICKET_MASK:
                mask = frames.ticket_mask(chip.ticket_difficulty)
                yield frames.write_all(Register.TICKET_MASK, mask)
            case Step.HASH_COUNTING:
                number = chip.hash_counting_number or 0
                yield frames.write_all(Register.HASH_COUNTING, number)
            case Step():
                yield step

    def _per_chip(self, step: PerChip) -> Iterator[bytes | float]:
        for address in self._addresses():
            for register, value in step.writes:
                yield frames.write_one(address, register, value)
            if step.pause_s:
                yield step.pause_s

    def _addresses(self) -> list[int]:
        return [n * self._address_interval for n in range(self.detected_count)]

    def _count_chips(self, now: float) -> None:
        count = 0
        for body in self._id_replies:
            if not self._is_own_kind(body):
                self._warn_of_stranger(body.hex(" "))
                self._strangers += 1
                continue
            core_num, address = body[2], body[3]
            text = (
                f"Chip {count} detected: CORE_NUM: 0x{core_num:02x} "
                f"ADDR: 0x{address:02x}"
            )
            self._say("common", text)
            count += 1
        if self._reader.is_waiting:
            self._reader.give_up()
        if damaged := self._reader.bad_frames - self._bad_before:
            self._warn_of_stranger(f"{damaged} damaged")
        self.detected_count = count
        if self._needs_all_chips and (failure := self._miscount(count)):
            self._fail(failure, f"ASIC initialization failed - {failure}")
            return
        if count == 0:
            self._fail("Chip count 0", "ASIC initialization failed - chip count 0")
            return
        if count != self._asic_count:
            text = f"{count} chip(s) detected on the chain, expected {self._asic_count}"
            self._log(Level.WARNING, "common", text)
        self._address_interval = self._wire.address_interval(count)
        self._nonce_interval = ADDRESSES // min(count, ADDRESSES)
        self._continue_startup(now)

    def _miscount(self, count: int) -> str | None:
        """Tell what is wrong with the number of chips, as firmware does from v2.14.

        How it lists them is an estimate.
        """
        if count == 0:
            return "ASIC chain detection failed"
        first, last = sorted((count, self._asic_count))
        listed = ", ".join(str(number + 1) for number in range(first, last))
        if count < self._asic_count:
            return f"ASIC {listed} not found"
        return f"Unexpected ASIC {listed} detected" if listed else None

    def _warn_of_stranger(self, what: str) -> None:
        text = f"Unexpected answer from the chain, skipped: {what}"
        self._log(Level.WARNING, "common", text)

    def _is_own_kind(self, body: bytes) -> bool:
        chip_id = int.from_bytes(body[:2])
        return chip_id in (self._chip.chip_id, *self._wire.other_chip_ids)

    def _fail(self, reason: str, text: str) -> None:
        self._log(Level.ERROR, "asic_init", text)
        self.state = DriverState.FAILED
        self.failure = reason
        self.happened.append(DriverFailed(reason))
        self._go(_Phase.NONE, NEVER)

    def _finish_start(self, now: float) -> None:
        self._say("asic_init", "Setting max baud rate and clearing buffers")
        if not self._is_line_fixed:
            self._raise_baud()
        self._reader.flush()
        self._await_frame(now, is_new=True)
        if self._is_recovery:
            wait_ms = int(RECOVERY_WAIT_S * 1000)
            text = f"Waiting {wait_ms} ms for tasks to stabilize..."
            self._say("asic_init", text)
            self._go(_Phase.STABILISING, now + RECOVERY_WAIT_S)
        else:
            self._become_ready()

    def _raise_baud(self) -> None:
        if not self._wire.has_startup_baud:
            # As the firmware has it.
            blank = "" if self._wire.takes_midstates else f" {self._log_mark}"
            self._say(self._tag, f"Setting max baud of {self._chip.max_baud}{blank}")
            self._write(*self._wire.fastest_baud)
        self._say_baud()

    def _become_ready(self) -> None:
        mode = "recovery mode" if self._is_recovery else "cold boot mode"
        self._say(
            "asic_init",
            f"ASIC initialized successfully with {self.detected_count} chip(s) "
            f"({mode})",
        )
        self.state = DriverState.READY
        self.happened.append(DriverReady(self.detected_count))
        self._go(_Phase.NONE, NEVER)

    # Frequency

    def _begin_ramp(self, now: float) -> None:
        self._ramp = ramp_steps(self.frequency_mhz, self._target_mhz)
        difference = abs(self._target_mhz - self.frequency_mhz)
        self._is_logged_ramp = difference >= RAMP_STEP_MHZ
        if self._is_logged_ramp:
            self._say(
                "frequency_transition",
                f"Ramping up frequency from {self.frequency_mhz:g} MHz "
                f"to {self._target_mhz:g} MHz",
            )
        self._phase = _Phase.RAMPING
        self._step_ramp(now)

    def _step_ramp(self, now: float) -> None:
        if self._ramp:
            self._write_frequency(self._ramp.pop(0))
            if self._is_logged_ramp:
                step_s = RAMP_STEP_S + self._wire.pll_write_s
                self._go(_Phase.RAMPING, now + step_s)
                return
        if self._is_logged_ramp:
            text = f"Successfully transitioned to {self._target_mhz:g} MHz"
            self._say("frequency_transition", text)
        if self.state is DriverState.STARTING:
            self._continue_startup(now)
        else:
            self.happened.append(FrequencyReached(self.frequency_mhz))
            self._go(_Phase.NONE, NEVER)

    def _write_frequency(self, frequency_mhz: float) -> None:
        chip = self._chip
        pll = pll_for(frequency_mhz, fb_min=chip.pll_fb_min, fb_max=chip.pll_fb_max)
        self.frequency_mhz = frequency_mhz
        if pll is None:
            text = f"Failed to find PLL settings for target frequency {frequency_mhz:g}"
            self._log(Level.ERROR, "pll", text)
            return
        self.pll_mhz = pll.frequency_mhz
        value = pll.value(has_raw_dividers=self._wire.has_raw_dividers)
        if self._wire.takes_midstates:
            for register, number in BM1397_PLL_DIVIDER, (Register.PLL0, value):
                for _ in range(2):
                    self._write(register, number)
        else:
            self._write(Register.PLL0, value)
        self._say(
            "pll",
            f"Frequency: {frequency_mhz:g} MHz (fb_divider: {pll.fb_divider}, "
            f"refdiv: {pll.refdiv}, postdiv1: {pll.postdiv1}, "
            f"postdiv2: {pll.postdiv2})",
        )
        text = f"Setting Frequency to {frequency_mhz:g} MHz ({pll.frequency_mhz:g})"
        self._say(self._tag, text)

    # Replies

    def _take(self, reply: Reply, now: float) -> None:
        wire = self._wire
        if isinstance(reply, RegisterReply):
            number = reply.address // self._address_interval
            if number >= len(self.monitor.asics):
                text = f"Asic nr out of bounds [{number}]"
                self._log(Level.ERROR, "hashrate_monitor", text)
            elif not self.monitor.take(reply, number, now):
                text = f"Unknown register read: {reply.register:02x}"
                self._log(Level.WARNING, self._tag, text)
            return
        if wire.takes_midstates:
            if reply.nonce == self._last_nonce:
                return  # the chip tells some twice
            self._last_nonce = reply.nonce
        nonce, id_byte = reply.nonce, reply.id_byte
        found = NonceFound(
            (id_byte & wire.job_id_mask) >> wire.job_id_shift,
            int.from_bytes(nonce.to_bytes(4), "little"),
            reply.version_field << frames.VERSION_SHIFT,
            (nonce >> 17 & 0xFF) // self._nonce_interval,
            nonce >> 25 & 0x7F,
            id_byte & wire.small_core_mask,
            id_byte & MIDSTATE_INDEX_MASK if wire.takes_midstates else 0,
        )
        if self._logs_results:
            work = self._works.get(found.job_id)
            version = found.version_bits if work is None else found.version(work)
            self._log(
                Level.INFO,
                self._tag,
                RESULT_TEXT,
                job_id=found.job_id,
                asic=found.asic_number,
                core=found.core,
                small_core=found.small_core,
                version=version,
            )
        self.happened.append(found)

    # Helpers

    def _step_monitor(self) -> None:
        request = self.monitor.step()
        if request is None:
            self.happened.append(HashrateMeasured())
        elif self.state is not DriverState.STARTING:  # its replies would be miscounted
            self.out.append(request)

    def _roll_versions(self, mask: int) -> bytes:
        """Frame the write after which the chips tell versions."""
        self._reader.reply_bytes = self._wire.reply_bytes
        value = frames.version_mask_value(mask)
        return frames.write_all(Register.VERSION_MASK, value)

    def _say_baud(self) -> None:
        self._say("serial", f"Changing UART baud to {self._chip.max_baud}")

    def _write(self, register: Register, value: int) -> None:
        self.out.append(frames.write_all(register, value))

    def _go(self, phase: _Phase, due: float) -> None:
        self._phase = phase
        self._due = due
        self._schedule()

    def _schedule(self) -> None:
        due, poll_due = self._due, self.monitor.next_wake
        due = due if due < poll_due else poll_due
        self.next_wake = due if due < self._read_due else self._read_due

    def _say(self, tag: str, text: str) -> None:
        self._log(Level.INFO, tag, text)


def _midstates(work: Work) -> list[bytes]:
    """Midstates of the versions a chip shall search, last word first."""
    count = MIDSTATES if work.version_mask else 1
    version, states = work.version, []
    for _ in range(count):
        head = work.header(version=version)[:HEAD_BYTES]
        states.append(frames.reverse_words(midstate(head)))
        version = increment_version(version, work.version_mask)
    return states
