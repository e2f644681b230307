"""The chips' end of the wire: an emulated chain that searches for real.

Only register writes change what the chain does. Every reported nonce was searched; what
a searched hash stands for is the chain's `WorkMode`, known to nobody else but the two
places that translate difficulties. Source of the wire: asic-wire.md.
"""

import random
from dataclasses import dataclass
from math import exp, sqrt

from softaxe.asic import frames
from softaxe.asic.frames import Pll, Register
from softaxe.bitcoin import kernel
from softaxe.bitcoin.header import Work, target_for
from softaxe.catalog import Chip, Silicon
from softaxe.units import NEVER

QUANTUM_S = 0.5
"""Scaled work is searched this far ahead; hits are told at their own time."""
RESET_FREQUENCY_MHZ = 50.0
"""Clock of a chip whose PLL was not written; an estimate."""
REFERENCE_C = 60.0
FAILING_OFFSET_V = 0.03
"""Missing volts at which half the hashes fail; an estimate."""
FAILING_ERRORS = 0.6
"""Share of failing hashes that end as counted errors; an estimate."""
IDLE_ACTIVITY = 0.12
"""Switching of a clocked chip without work, as a share of hashing; an estimate."""
NONCES = 1 << 32
COUNTER_MASK = NONCES - 1
ADDRESSES = 256
FREE_NONCE_BITS = 17
"""Low bits of a nonce that belong to neither core nor chip."""


@dataclass(frozen=True, slots=True)
class WorkMode:
    """What a searched hash stands for."""

    name: str
    scale: int
    """Chip hashes per searched hash."""
    resolution: float
    """Size of the ticket mask's and the hash counters' unit, relative to a chip's."""


SCALED = WorkMode("scaled", 1 << 32, 1.0)
REAL = WorkMode("real", 1, 2.0**-20)
"""A CPU is about a million times slower than a chip: with a chip's own units it would
never report a nonce nor count."""


@dataclass(frozen=True, slots=True)
class Search:
    """A piece of real work, for `kernel.search`."""

    header: bytes
    first_nonce: int
    count: int
    target: int
    job_id: int
    version_field: int
    epoch: int
    """Tells work from before a reset."""


@dataclass(slots=True)
class _Asic:
    """State of one chip that others on the chain do not share."""

    address: int | None = None
    counters: dict[int, int] | None = None
    """Counts by register."""
    expected: float = 0.0
    """Counts since the counters were last read."""
    expected_errors: float = 0.0
    cursor: int = 0
    credit: float = 0.0
    """Searched hashes owed: the fraction left by the last quantum."""


@dataclass(slots=True)
class _Job:
    job_id: int
    work: Work
    header: bytes
    version_field: int
    tried: int = 0


def failing_share(
    silicon: Silicon,
    *,
    frequency_mhz: float,
    core_voltage_v: float,
    temperature_c: float,
) -> float:
    """Share of hashes that fail because the voltage is too low for the frequency.

    A smooth step around the needed voltage, which grows with frequency and heat; the
    shape is an estimate.
    """
    needed_v = (
        silicon.needed_voltage_at_400mhz_v
        + silicon.needed_voltage_v_per_mhz * (frequency_mhz - 400)
        + silicon.needed_voltage_v_per_c * (temperature_c - REFERENCE_C)
    )
    margin_v = core_voltage_v - needed_v + FAILING_OFFSET_V
    return 1 / (1 + exp(min(margin_v / silicon.margin_width_v, 700.0)))


class Chain:
    """A chain of equal chips.

    After each call take `data_to_host`.

    Args:
        chip: Their kind.
        asic_count: How many.
        rng: The chain's own chance.
    """

    def __init__(self, chip: Chip, *, asic_count: int, rng: random.Random) -> None:
        self.mode = SCALED
        self.frequency_mhz = RESET_FREQUENCY_MHZ
        self.error_fraction = 0.0
        """Errored share of the hash rate at the present operating point."""
        self.next_wake = NEVER
        self._chip = chip
        self._rng = rng
        self._asics = [_Asic() for _ in range(asic_count)]
        self._reader = frames.CommandReader()
        self._out: list[bytes] = []
        self._hits: list[tuple[float, bytes]] = []
        self._core_voltage_v = 0.0
        self._temperature_c = 25.0
        self._is_reset_low = True
        self._registers: dict[int, int] = {}
        self._job: _Job | None = None
        self._failing = 0.0
        self._quantum_end = NEVER
        self._counted_to = 0.0
        self._epoch = 0
        self._target = 0
        spread = [
            weight * rng.uniform(0.98, 1.02) for weight in chip.silicon.domain_weights
        ]
        self._weights = [weight / sum(spread) for weight in spread]

    @property
    def bad_frames(self) -> int:
        """Host frames dropped for a wrong CRC."""
        return self._reader.bad_frames

    @property
    def is_on(self) -> bool:
        """True when powered and not held in reset."""
        return self._core_voltage_v > 0 and not self._is_reset_low

    @property
    def is_hashing(self) -> bool:
        """True while there is work."""
        return self._job is not None

    @property
    def activity(self) -> float:
        """Switching relative to full hashing, for the power model."""
        if not self.is_on:
            return 0.0
        return 1.0 if self.is_hashing else IDLE_ACTIVITY

    @property
    def hashrate_hs(self) -> float:
        """Good hashes per second of the chain at this operating point."""
        return self._asic_hs() * len(self._asics) if self.is_hashing else 0.0

    # Inputs

    def set_mode(self, mode: WorkMode, now: float) -> None:
        """Change what a hash stands for; running work and counts are forgotten."""
        self.mode = mode
        self._forget_work(now)
        for asic in self._asics:
            asic.counters = None
        self._set_target()

    def set_operating_point(
        self, *, core_voltage_v: float, temperature_c: float, now: float
    ) -> None:
        """Power and heat of the chips; 0 V switches them off."""
        self._count(now)
        was_on = self.is_on
        self._core_voltage_v = core_voltage_v
        self._temperature_c = temperature_c
        if was_on and not self.is_on:
            self._forget_everything(now)
        self._rate()

    def set_reset(self, is_low: bool, now: float) -> None:
        """Level of the reset line; low forgets everything."""
        if is_low and not self._is_reset_low:
            self._forget_everything(now)
        self._is_reset_low = is_low

    def receive(self, data: bytes, now: float) -> None:
        """Bytes came from the host."""
        if not self.is_on:
            return
        for header, body in self._reader.feed(data):
            if header & frames.JOB:
                self._take_job(body, now)
            else:
                self._take_command(header, body, now)

    def step(self, now: float) -> None:
        """Tell the hits that are due and search on."""
        hits = self._hits
        while hits and hits[-1][0] <= now:
            self._out.append(hits.pop()[1])
        if self._quantum_end <= now:
            self._search_quantum(self._quantum_end)
        self._schedule()

    def data_to_host(self) -> bytes:
        """Return and forget the bytes to send."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    # Real work

    def take_search(self, max_nonces: int) -> Search | None:
        """Return nonces nobody searched yet, when real work waits."""
        job = self._job
        if self.mode is not REAL or job is None:
            return None
        cursor = self._asics[0].cursor
        count = min(max_nonces, NONCES - job.tried, NONCES - cursor)
        if count <= 0:
            # All nonces of this version are tried: roll it.
            mask = self._registers.get(Register.VERSION_MASK, 0) & 0xFFFF
            self._roll_version(job, job.version_field + (~mask & 0xFFFF) + 1 & mask)
            job.tried = 0
            count = min(max_nonces, NONCES - cursor)
        search = Search(
            job.header,
            cursor,
            count,
            self._target,
            job.job_id,
            job.version_field,
            self._epoch,
        )
        self._asics[0].cursor = (cursor + count) % NONCES
        job.tried += count
        return search

    def finish_search(self, search: Search, found: list[int], now: float) -> None:
        """Report what a search found, and count its hashes."""
        if search.epoch != self._epoch or not self.is_on:
            return
        self._counted_to = now
        asic = self._asics[0]
        counts = search.count * self.mode.scale / (NONCES * self.mode.resolution)
        asic.expected += counts
        asic.expected_errors += counts * self.error_fraction
        for nonce in found:
            reply = self._reply(nonce, search.job_id, search.version_field)
            self._out.append(reply)

    # Commands

    def _take_command(self, header: int, body: bytes, now: float) -> None:
        kind = header & ~frames.BROADCAST
        is_broadcast = bool(header & frames.BROADCAST)
        if kind == frames.INACTIVE:
            for asic in self._asics:
                asic.address = None
        elif kind == frames.SET_ADDRESS:
            for asic in self._asics:
                if asic.address is None:
                    asic.address = body[0]
                    break
        elif kind == frames.READ:
            for asic in self._addressed(body[0], is_broadcast=is_broadcast):
                self._answer(asic, body[1], now)
        elif kind == frames.WRITE and self._addressed(
            body[0], is_broadcast=is_broadcast
        ):
            # Chips of a chain are set up alike, so one set of registers serves all.
            self._count(now)
            self._registers[body[1]] = int.from_bytes(body[2:6])
            if body[1] == Register.PLL0:
                self.frequency_mhz = Pll.from_value(
                    self._registers[body[1]]
                ).frequency_mhz
                self._rate()
            elif body[1] == Register.TICKET_MASK:
                self._set_target()

    def _addressed(self, address: int, *, is_broadcast: bool) -> list[_Asic]:
        return [a for a in self._asics if is_broadcast or (a.address or 0) == address]

    def _answer(self, asic: _Asic, register: int, now: float) -> None:
        address = asic.address or 0
        if register == Register.CHIP_ID:
            self._out.append(frames.chip_id_reply(self._chip.chip_id, address))
            return
        if register == Register.ERROR_COUNT or register >= Register.DOMAIN_0:
            self._count(now)
            self._draw_counts(asic)
            value = (asic.counters or {}).get(register, 0)
        else:
            value = self._registers.get(register, 0)
        self._out.append(frames.register_reply(value, address, register))

    # Counters

    def _count(self, now: float) -> None:
        """Bring the expected counts up to `now` at the rate so far."""
        seconds = now - self._counted_to
        self._counted_to = now
        if seconds <= 0 or self._job is None or self.mode is REAL:
            return
        counts = self._asic_hs() * seconds / NONCES
        errors = counts * self.error_fraction
        for asic in self._asics:
            asic.expected += counts
            asic.expected_errors += errors

    def _draw_counts(self, asic: _Asic) -> None:
        """Turn expected counts into counts, with the scatter of counted nonces."""
        if asic.counters is None:
            asic.counters = {}
        counters = asic.counters
        if asic.expected > 0:
            total = 0
            for index, weight in enumerate(self._weights):
                count = self._scatter(asic.expected * weight)
                register = Register.DOMAIN_0 + index
                counters[register] = counters.get(register, 0) + count & COUNTER_MASK
                total += count
            total += counters.get(Register.TOTAL, 0)
            counters[Register.TOTAL] = total & COUNTER_MASK
            asic.expected = 0.0
        if asic.expected_errors >= 1:
            count = int(asic.expected_errors)
            asic.expected_errors -= count
            count += counters.get(Register.ERROR_COUNT, 0)
            counters[Register.ERROR_COUNT] = count & COUNTER_MASK

    def _scatter(self, mean: float) -> int:
        return max(0, round(mean + self._rng.gauss(0, 1) * sqrt(mean)))

    # Work

    def _take_job(self, body: bytes, now: float) -> None:
        self._count(now)
        self._drop_quantum(now)
        job_id, work = frames.read_job(body)
        self._job = _Job(job_id, work, b"", 0)
        mask = self._registers.get(Register.VERSION_MASK, 0) & 0xFFFF
        rng = self._rng
        self._roll_version(self._job, rng.getrandbits(16) & mask)
        interval = ADDRESSES // len(self._asics)
        for index, asic in enumerate(self._asics):
            core = rng.randrange(min(self._chip.core_count, 128))
            address = index * interval + rng.randrange(interval)
            low = rng.getrandbits(FREE_NONCE_BITS - 1)
            asic.cursor = (core << 8 | address) << FREE_NONCE_BITS | low
        if self.mode is SCALED:
            self._search_quantum(now)
        self._schedule()

    def _roll_version(self, job: _Job, version_field: int) -> None:
        job.version_field = version_field
        version = job.work.version | version_field << frames.VERSION_SHIFT
        job.header = job.work.header(version=version)

    def _search_quantum(self, now: float) -> None:
        """Search what the next half second brings."""
        job = self._job
        if job is None or not self.is_on:
            self._quantum_end = NEVER
            return
        good = 1 - min(1.0, self.error_fraction)
        hashes = self._asic_hs() * good * QUANTUM_S / self.mode.scale
        for asic in self._asics:
            asic.credit += hashes
            count = int(asic.credit)
            asic.credit -= count
            found = kernel.search(job.header, asic.cursor, count, self._target)
            for nonce in found:
                place = (nonce - asic.cursor) % NONCES + 1
                due = now + QUANTUM_S * place / count
                reply = self._reply(nonce, job.job_id, job.version_field)
                self._hits.append((due, reply))
            asic.cursor = (asic.cursor + count) % NONCES
        if len(self._hits) > 1:
            self._hits.sort(key=lambda hit: -hit[0])
        self._quantum_end = now + QUANTUM_S

    def _reply(self, nonce: int, job_id: int, version_field: int) -> bytes:
        rng = self._rng
        if self.error_fraction > 0 and rng.random() < self.error_fraction:
            nonce ^= rng.getrandbits(32)  # an undervolted chip reports rubbish
        id_byte = job_id << 1 & 0xF0 | rng.randrange(16)
        return frames.nonce_reply(nonce, id_byte, version_field)

    def _drop_quantum(self, now: float) -> None:
        """Take back what the rest of the quantum would bring.

        Its time is searched anew, for the next job.
        """
        self._hits = [hit for hit in self._hits if hit[0] <= now]
        self._quantum_end = NEVER

    def _forget_work(self, now: float) -> None:
        self._count(now)
        self._job = None
        self._hits.clear()
        self._quantum_end = NEVER
        self._epoch += 1
        for asic in self._asics:
            asic.credit = asic.expected = asic.expected_errors = 0.0
        self._schedule()

    def _forget_everything(self, now: float) -> None:
        self._forget_work(now)
        self._registers.clear()
        self._out.clear()
        self._reader = frames.CommandReader()
        self.frequency_mhz = RESET_FREQUENCY_MHZ
        for asic in self._asics:
            asic.address = None
            asic.counters = None
        self._set_target()
        self._rate()

    # The operating point

    def _rate(self) -> None:
        silicon = self._chip.silicon
        self._failing = failing_share(
            silicon,
            frequency_mhz=self.frequency_mhz,
            core_voltage_v=self._core_voltage_v,
            temperature_c=self._temperature_c,
        )
        errors = silicon.error_floor + FAILING_ERRORS * self._failing
        self.error_fraction = min(1.0, errors)

    def _asic_hs(self) -> float:
        nominal = self.frequency_mhz * 1e6 * self._chip.small_core_count
        return nominal * (1 - self._failing)

    def _set_target(self) -> None:
        mask = self._registers.get(Register.TICKET_MASK, 0)
        ticket = frames.ticket_difficulty(mask) * self.mode.resolution
        self._target = target_for(ticket / self.mode.scale)

    def _schedule(self) -> None:
        hit = self._hits[-1][0] if self._hits else NEVER
        self.next_wake = min(hit, self._quantum_end)
