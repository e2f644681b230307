"""The chips' end of the wire: an emulated chain that searches for real.

Only register writes change what a chip does. Every reported nonce was searched; what a
searched hash stands for is the chain's `WorkMode`, known to nobody else but the two
places that translate difficulties. Source of the wire: ESP-Miner components/asic; of
how chips answer, captures (`frames.WIRES`).
"""

import random
from collections.abc import Callable, Sequence
from math import ceil, frexp, ldexp

from msgspec import Struct
from msgspec.structs import replace

from softaxe.asic import frames
from softaxe.asic.frames import (
    ADDRESSES,
    NonceReply,
    Register,
    RegisterReply,
    Reply,
)
from softaxe.asic.hashing import (
    ADDRESS_SHIFT,
    CORE_SHIFT,
    CORES,
    VERSION_FIELD_MASK,
    HashCounters,
    Header,
    Heads,
    Midstates,
    NonceCursor,
    RolledVersions,
    Span,
    domain_shares,
    error_share,
    search_spans,
)
from softaxe.asic.pll import CRYSTAL_MHZ, Pll
from softaxe.bitcoin.header import Work, target_for
from softaxe.catalog import Chip, Silicon
from softaxe.units import NEVER

SEARCH_AHEAD_S = (0.02, 6.0)
"""Least and most that scaled work is searched ahead; hits are told at their time."""
MOST_AHEAD = 1 << 14
"""Nonces, so that nobody waits for more than some milliseconds."""
JOB_SLACK = 1.02
"""A search goes a little beyond the usual end of a job, so that one is enough."""
RESET_FREQUENCY_MHZ = 50.0
"""Clock of a chip whose PLL was not written; an estimate."""
IDLE_ACTIVITY = 0.12
"""Switching of a clocked chip without work, as a share of hashing; an estimate."""
HASHES_PER_COUNT = 1 << 32
"""Unit of the hash counters. Source: ESP-Miner components/asic."""
COUNTS_PER_S = 1 << 12
"""Of the BM1397's hash rate register, whose unit is 2**20 hashes. Source: bm1397.c."""
HASH_RATE_INVALID = 0x007FFFFF
"""The largest value of that register; the firmware ignores it."""
FREE_NONCES = 1 << ADDRESS_SHIFT
HASH_BITS = 256
DBL_BITS = 53
"""Of a number's significand."""
FIRST_ZERO_BITS = 32
"""Every nonce that a chip tells has so many, whatever its ticket mask. Source: mujina,
REFERENCE.md."""
SCALED_PIECE, REAL_PIECE = 1 << 7, 1 << 20
"""Nonces that a core searches in a row: of scaled work few, so that a job's few hundred
are of many cores and versions; of real work a call of the kernel."""
LEAST_PIECE_S = 1 / 64
"""That a core searches in a row even of scaled work, once that is much."""
NONCES_PER_CLOCK = 2
"""That a core tries per tick of its clock. Source: as above."""
THERMOMETER_RUNS = 0x10000000
THERMOMETER_VALID = 0x80000000
THERMOMETER_STEP_C, THERMOMETER_ZERO_C = 0.171342, -299.5144
"""A BM1368's own temperature is code * step + zero. Source: as above."""


class WorkMode(Struct, frozen=True):
    """What a searched hash stands for."""

    name: str
    scale: float
    """Chip hashes per searched hash."""
    resolution: float
    """Size of the ticket mask's and the hash counters' unit, relative to a chip's; a
    power of two, as the scale is."""

    @property
    def is_real(self) -> bool:
        """True when a hash is a hash, searched outside."""
        return self.scale == 1

    @property
    def counts_per_search(self) -> float:
        """What a searched hash adds to the hash counters."""
        return self.scale / (HASHES_PER_COUNT * self.resolution)

    def target(self, ticket_bits: int) -> int:
        """What a searched hash must meet to be told.

        Args:
            ticket_bits: That a chip's hash begins with besides `FIRST_ZERO_BITS`.
        """
        share, doublings = frexp(self.scale / self.resolution)
        places = HASH_BITS - FIRST_ZERO_BITS - ticket_bits + doublings
        return min(int(ldexp(share, DBL_BITS)) << places - DBL_BITS, 1 << HASH_BITS) - 1

    @property
    def piece(self) -> int:
        """Nonces in a row."""
        return REAL_PIECE if self.is_real else SCALED_PIECE


SCALED = WorkMode("scaled", 1 << 32, 1.0)
REAL = WorkMode("real", 1, 2.0**-20)
"""A CPU is about a million times slower than a chip: with a chip's own units it would
never report a nonce nor count."""
METAL = WorkMode("metal", 1, 1.0)
"""Of chips that are there: nothing is scaled, and nothing searched here."""


class Search(Struct, frozen=True):
    """A piece of real work; `run` it wherever there is time."""

    span: Span
    target: int
    job_id: int
    asic_index: int
    epoch: int
    """Tells work from before a reset."""

    def run(self) -> list[int]:
        """Search; return the nonces that meet the target."""
        return self.span.search(self.target)


class Defects(Struct, frozen=True):
    """What is wrong with a chip, whatever its voltage."""

    dead_domains: frozenset[int] = frozenset()
    """Those that find and count nothing, from 0."""
    errors: float = 0.0
    """Share of the hash rate that comes out wrong besides; nothing is missing."""
    loss: float = 0.0
    """Share of the hash rate that does not come out; nothing is wrong."""

    def left_of(self, shares: Sequence[float]) -> Sequence[float]:
        """What is left of the hash rate of each domain."""
        if self == SOUND:
            return shares
        return [
            0.0 if index in self.dead_domains else share * (1 - self.loss)
            for index, share in enumerate(shares)
        ]


SOUND = Defects()


class _Asic:
    """One chip: its registers, and what it is doing with its work.

    Nonces of scaled work are searched a batch ahead. Number n of a batch is done at
    `as_of + (n - progress) / rate`, so a change of rate moves what is to come.
    """

    def __init__(self, silicon: Silicon) -> None:
        self.silicon = silicon
        self._silicon_when_new = silicon
        self.defects = SOUND
        self.temperature_c = 25.0
        self.reset()

    def set_weakness(self, volts: float) -> None:
        """Need so many volts more than when it was new."""
        new = self._silicon_when_new
        half_v = new.half_voltage_at_400mhz_v + volts
        self.silicon = replace(new, half_voltage_at_400mhz_v=half_v)

    def reset(self) -> None:
        """Forget everything, as after power-on."""
        self.address: int | None = None
        self.registers: dict[int, int] = {}
        self.is_rolling = False
        """True since it was told to roll versions."""
        self.frequency_mhz = RESET_FREQUENCY_MHZ
        self.ticket_bits = 0
        self.domain_shares: Sequence[float] = self.silicon.domain_weights
        """Of the full hash rate, at the present operating point."""
        self.errors = 0.0
        self.counters = HashCounters(len(self.domain_shares))
        self.forget_work()

    def forget_work(self) -> None:
        """Have nothing to do."""
        self.job_id = 0
        self.cursor: NonceCursor | None = None
        self.target = 0
        self.zero_bits = 0
        self.rate = 0.0
        self.as_of = 0.0
        self.progress = 0.0
        self.batch = 0
        self.hits: list[tuple[int, tuple[int, Reply], int]] = []
        """Each with its number in the batch, the length of its reply and its hash."""

    @property
    def version_field_mask(self) -> int:
        """Version bits it may roll, shifted down."""
        if not self.is_rolling:
            return 0
        return self.registers[Register.VERSION_MASK] & VERSION_FIELD_MASK

    @property
    def sweep(self) -> int:
        """Nonces of a version that a core tries before the next version's turn."""
        ticks = self.registers.get(Register.HASH_COUNTING)
        if ticks is None:
            return 1 << CORE_SHIFT
        return int(NONCES_PER_CLOCK * ticks * self.frequency_mhz / CRYSTAL_MHZ)

    @property
    def next_wake(self) -> float:
        """When the next hit is told or the batch ends."""
        if not self.rate or not self.batch:
            return NEVER
        place = self.hits[0][0] if self.hits else self.batch
        return self.as_of + (place - self.progress) / self.rate

    def go_on(self, now: float, counts_per_search: float) -> None:
        """Bring progress and expected counts up to `now`."""
        searched = self.rate * (now - self.as_of)
        self.as_of = now
        if searched:
            self.progress += searched
            counts = searched * counts_per_search
            self.counters.add(counts, counts * self.errors, self.domain_shares)

    def count(self, counts: float) -> None:
        """Expect these counts, and their errors."""
        if any(self.domain_shares):
            self.counters.add(counts, counts * self.errors, self.domain_shares)


class Chain:
    """A chain of equal chips.

    After each call take `data_to_host`.

    Args:
        chip: Their kind.
        silicons: Of each, in their order.
        rng: Chance.
    """

    def __init__(
        self, chip: Chip, *, silicons: Sequence[Silicon], rng: random.Random
    ) -> None:
        self._use(SCALED)
        self.next_wake = NEVER
        self._chip = chip
        self._wire = frames.WIRES[chip.name]
        self._counted = frames.numbers(self._wire.polled)
        self._cores = min(chip.core_count, CORES)
        self._rng = rng
        self._reader = frames.CommandReader(self._wire.job_bytes)
        self.replies: list[tuple[int, Reply]] = []
        """What the chips say, each with its length in bytes; `take_replies` or
        `data_to_host` takes it."""
        self._core_voltage_v = 0.0
        self._job_at = 0.0
        self._ahead_s = SEARCH_AHEAD_S[1]
        self._is_reset_low = True
        self._epoch = 0
        self._turn = 0
        self._addresses_each = ADDRESSES // len(silicons)
        self._all_asics = [_Asic(silicon) for silicon in silicons]
        self._working_count = len(silicons)
        self._is_host_fast = False
        """Since the chips were told of the fastest baud rate, until they are reset."""
        self._asics = self._all_asics
        """Those that the host can reach."""

    @property
    def bad_frames(self) -> int:
        """Host frames dropped for a wrong CRC."""
        return self._reader.bad_frames

    @property
    def frequency_mhz(self) -> float:
        """Hash clock, the chips' mean."""
        return _mean([asic.frequency_mhz for asic in self._all_asics])

    @property
    def error_fraction(self) -> float:
        """Errored share of the hash rate at the present operating point."""
        return _mean([asic.errors for asic in self._all_asics])

    @property
    def is_on(self) -> bool:
        """True when powered and not held in reset."""
        return self._core_voltage_v > 0 and not self._is_reset_low

    @property
    def is_fast(self) -> bool:
        """True from when the chips were told of the fastest baud rate until reset."""
        return self._is_host_fast

    @property
    def hashing_count(self) -> int:
        """Chips that have work."""
        return sum(asic.cursor is not None for asic in self._asics)

    @property
    def is_hashing(self) -> bool:
        """True while there is work."""
        return self.hashing_count > 0

    @property
    def activity(self) -> float:
        """Switching relative to full hashing, for the power model."""
        if not self.is_on:
            return 0.0
        return _mean(
            [IDLE_ACTIVITY if asic.cursor is None else 1.0 for asic in self._all_asics]
        )

    @property
    def load(self) -> tuple[float, float]:
        """Hash clock and activity: all that the power model asks."""
        if len(self._all_asics) > 1 or not self.is_on:
            return self.frequency_mhz, self.activity
        asic = self._all_asics[0]
        return asic.frequency_mhz, IDLE_ACTIVITY if asic.cursor is None else 1.0

    @property
    def hashrate_hs(self) -> float:
        """Good hashes per second of the chain at this operating point."""
        return sum(self._asic_hs(asic) for asic in self._asics if asic.cursor)

    # Inputs

    def set_mode(self, mode: WorkMode, now: float) -> None:
        """Change what a hash stands for; running work and counts are forgotten."""
        self.step(now)
        self._use(mode)
        self._epoch += 1
        for asic in self._asics:
            asic.forget_work()
            asic.counters = HashCounters(len(asic.domain_shares))
        self._schedule()

    def set_scale(self, scale: float, now: float) -> None:
        """Change how many hashes a searched one stands for, of the work to come."""
        self.step(now)
        for asic in self._asics:
            asic.go_on(now, self._counts_per_search)
        self._use(replace(self.mode, scale=scale))
        for asic in self._asics:
            self._set_rate(asic, now)
        self._schedule()

    def _use(self, mode: WorkMode) -> None:
        self.mode = mode
        self._counts_per_search = mode.counts_per_search

    def set_operating_point(
        self, *, core_voltage_v: float, temperatures_c: Sequence[float], now: float
    ) -> None:
        """Power of the chips and the heat of each; 0 V switches them off."""
        if self.next_wake <= now:
            self.step(now)
        if core_voltage_v <= 0 and self.is_on:
            self._forget_everything()
        self._core_voltage_v = core_voltage_v
        for asic, temperature_c in zip(self._all_asics, temperatures_c, strict=True):
            asic.temperature_c = temperature_c
            self._set_rate(asic, now)
        self._schedule()

    def set_working(self, count: int, now: float) -> None:
        """Let only the first `count` chips work: a dead one cuts off those behind it.

        Raises:
            ValueError: The chain does not have so many.
        """
        if not 0 <= count <= len(self._all_asics):
            raise ValueError(f"count: {count} is outside 0..{len(self._all_asics)}")
        self.step(now)
        for asic in self._all_asics[count:]:
            asic.reset()
        self._working_count = count
        self._find_reachable()

    def set_weakness(self, volts: Sequence[float], now: float) -> None:
        """Let chips need so many volts more than they did when they were new.

        Args:
            volts: One per chip, in their order; 0 for a healthy one.
            now: Device time.
        """
        self.step(now)
        for asic, more_v in zip(self._all_asics, volts, strict=True):
            asic.set_weakness(more_v)
            self._set_rate(asic, now)
        self._schedule()

    def set_defects(self, defects: Sequence[Defects], now: float) -> None:
        """Let chips have defects, one of each per chip, in their order."""
        self.step(now)
        for asic, own in zip(self._all_asics, defects, strict=True):
            asic.defects = own
            self._set_rate(asic, now)
        self._schedule()

    def jump_counter(self, chip: int, domain: int, hashes: float) -> None:
        """Let a domain's counter, both from 0, be so many hashes further at once."""
        if chip < len(self._all_asics) and domain < self._chip.hash_domains:
            counts = round(hashes / (HASHES_PER_COUNT * self.mode.resolution))
            self._all_asics[chip].counters.jump(domain, counts)

    def set_reset(self, is_low: bool, now: float) -> None:
        """Level of the reset line; low forgets everything, and the host slows down."""
        self.step(now)
        if is_low and not self._is_reset_low:
            self._is_host_fast = False
            self._forget_everything()
        self._is_reset_low = is_low

    def receive(self, data: bytes, now: float) -> None:
        """Bytes came from the host."""
        if self.next_wake <= now:
            self.step(now)
        if not self.is_on:
            return
        for header, body in self._reader.feed(data):
            if header == frames.JOB_HEADER:
                self._take_job(body, now)
            else:
                self._take_command(header, body, now)
        self._schedule()

    def take_work(self, job_id: int, work: Work, now: float) -> bool:
        """Take a job: `receive` without the bytes.

        Returns:
            False, and nothing happens, where it must come as bytes.
        """
        if self._wire.takes_midstates or self._reader.is_waiting:
            return False
        if self.next_wake <= now:
            self.step(now)
        if self.is_on:
            self._begin_job(job_id, _rolled(work), now)
            self._schedule()
        return True

    def next_hit(self, difficulty: float) -> float:
        """When a nonce is told that is so good, or may be, of those found so far.

        Args:
            difficulty: Of a searched hash; 0 for any.
        """
        target, first = target_for(difficulty), NEVER
        for asic in self._asics:
            for place, _, hash_ in asic.hits if asic.rate else ():
                if hash_ <= target:  # later ones of this chip come later
                    at = asic.as_of + (place - asic.progress) / asic.rate
                    first = min(first, at)
                    break
        return first

    def answers(self, reply_bytes: int) -> bool:
        """True when every chip would answer a read now, with as many bytes."""
        if not self.is_on or self._reader.is_waiting:
            return False
        for asic in self._asics:  # noqa: SIM110 - a generator takes as long again
            if self._reply_bytes(asic) != reply_bytes:
                return False
        return True

    def read(self, registers: Sequence[int], now: float) -> list[RegisterReply]:
        """Read registers of every chip: `receive` and its replies without the bytes.

        Nothing else may be due before `now`.

        Returns:
            The replies, all to the first register first.
        """
        for asic in self._asics:
            asic.go_on(now, self._counts_per_search)
        found = [
            RegisterReply(self._read(asic, register, now), asic.address or 0, register)
            for register in registers
            for asic in self._asics
        ]
        self._schedule()
        return found

    def step(self, now: float) -> None:
        """Tell the hits that are due and search on."""
        while (due := self.next_wake) <= now:
            for asic in self._asics:
                if asic.next_wake <= due:
                    self._step_asic(asic, due)
            self._schedule()

    def data_to_host(self) -> bytes:
        """Return and forget the bytes to send."""
        if not self.replies:
            return b""
        data = b"".join(
            frames.reply_frame(reply_bytes, reply)
            for reply_bytes, reply in self.replies
        )
        self.replies.clear()
        return data

    def take_replies(self) -> list[tuple[int, Reply]]:
        """Return and forget the replies, each with its length, instead of bytes."""
        if not self.replies:
            return []
        replies, self.replies = self.replies, []
        return replies

    # Real work

    def take_search(self, max_nonces: int) -> Search | None:
        """Return nonces nobody searched yet, when real work waits."""
        if not self.mode.is_real:
            return None
        for _ in self._asics:
            index = self._turn % len(self._asics)
            self._turn = index + 1
            asic = self._asics[index]
            if asic.cursor is None or not any(asic.domain_shares):
                continue
            if span := asic.cursor.take(max_nonces):
                return Search(span, asic.target, asic.job_id, index, self._epoch)
        return None

    def finish_search(self, search: Search, found: list[int], now: float) -> None:
        """Report what a search found, and count its hashes."""
        self.step(now)
        if search.epoch != self._epoch:
            return
        asic = self._all_asics[search.asic_index]
        asic.count(search.span.count * self._counts_per_search)
        for nonce in found:
            span, hash_ = search.span, search.span.hash(nonce)
            reply = self._reply(asic, nonce, search.job_id, span, hash_)
            self.replies.append(reply)

    # Commands

    def _take_command(self, header: int, body: bytes, now: float) -> None:
        kind = header & ~frames.BROADCAST
        if kind == frames.INACTIVE:
            for asic in self._asics:
                asic.address = None
        elif kind == frames.SET_ADDRESS:
            for asic in self._asics:
                if asic.address is None:
                    asic.address = body[0]
                    break
        elif kind in (frames.READ, frames.WRITE):
            address = None if header & frames.BROADCAST else body[0]
            for asic in self._asics:
                if address not in (None, asic.address or 0):
                    continue
                if kind == frames.READ:
                    self._answer(asic, body[1], now)
                else:
                    self._write(asic, body[1], int.from_bytes(body[2:6]), now)

    def _write(self, asic: _Asic, register: int, value: int, now: float) -> None:
        asic.registers[register] = value
        if (register, value) == self._wire.fastest_baud:
            self._is_host_fast = True
        if register == Register.PLL0:
            is_raw = self._wire.has_raw_dividers
            asic.frequency_mhz = Pll.from_value(
                value, has_raw_dividers=is_raw
            ).frequency_mhz
            self._set_rate(asic, now)
        elif register == Register.TICKET_MASK:
            asic.ticket_bits = frames.ticket_bits(value)
        elif register == Register.VERSION_MASK:
            asic.is_rolling = bool(value & frames.ROLLING)

    def _answer(self, asic: _Asic, register: int, now: float) -> None:
        size, address = self._reply_bytes(asic), asic.address or 0
        if register == Register.CHIP_ID:
            value = frames.chip_id_value(self._wire, self._chip.chip_id, address)
        else:
            asic.go_on(now, self._counts_per_search)
            value = self._read(asic, register, now)
        self.replies.append((size, RegisterReply(value, address, register)))

    def _read(self, asic: _Asic, register: int, now: float) -> int:
        # Real hashes are counted one by one; those that scaled work stands for are not
        # there to be counted, and a chip's counters scatter.
        rng = None if self.mode.scale == 1 else self._rng
        if register in self._counted:
            count = asic.counters.read(register, rng)
            if count is not None:
                return count
        if register == Register.HASH_RATE:
            rate = asic.counters.rate(now, rng) * COUNTS_PER_S
            return round(rate) if rate < HASH_RATE_INVALID else HASH_RATE_INVALID
        value = asic.registers.get(register, self._wire.reset_values.get(register, 0))
        if register == Register.PLL0:
            is_locked = bool(value & frames.PLL_ENABLED)
            return value & ~frames.PLL_LOCKED | is_locked * frames.PLL_LOCKED
        if register == Register.VERSION_MASK:
            return value & ~frames.ROLLING_GENERATION
        if register == Register.THERMOMETER and self._wire.has_thermometer:
            return _thermometer(asic)
        return value

    def _reply_bytes(self, asic: _Asic) -> int:
        return self._wire.reply_bytes if asic.is_rolling else frames.SHORT_REPLY_BYTES

    # Work

    def _take_job(self, body: bytes, now: float) -> None:
        if self._wire.takes_midstates:
            job_id, midstates, tail = frames.read_midstate_job(body)
            if midstates:
                given = Midstates(midstates, tail)
                self._begin_job(job_id, lambda asic: given, now)
        else:
            job_id, work = frames.read_job(body)
            self._begin_job(job_id, _rolled(work), now)

    def _begin_job(
        self, job_id: int, heads: Callable[[_Asic], Heads], now: float
    ) -> None:
        """Let every chip search the heads that it has in a job."""
        least_s, most_s = SEARCH_AHEAD_S
        usual_s = JOB_SLACK * (now - self._job_at)
        # One job may be cut short by a new block; several in a row are the usual.
        self._ahead_s = min(max(least_s, usual_s, self._ahead_s / 2), most_s)
        self._job_at = now
        for asic in self._asics:
            asic.go_on(now, self._counts_per_search)
            asic.job_id = job_id
            asic.cursor = NonceCursor(
                heads(asic),
                addresses=self._addresses(asic),
                cores=self._cores,
                piece=self._piece(asic),
                sweep=asic.sweep,
                rng=self._rng,
            )
            asic.target = self.mode.target(asic.ticket_bits)
            asic.zero_bits = HASH_BITS - asic.target.bit_length()
            # What the old job would still have brought is not searched time: only
            # the hash under way goes on, with the new job.
            asic.progress %= 1.0
            asic.batch = 0
            asic.hits.clear()
            self._set_rate(asic, now)

    def _piece(self, asic: _Asic) -> int:
        """How many nonces a core searches in a row: more, where they are very many."""
        if self.mode.is_real:
            return self.mode.piece
        rate = self._asic_hs(asic) / self.mode.scale
        return max(self.mode.piece, 1 << int(rate * LEAST_PIECE_S).bit_length())

    def _addresses(self, asic: _Asic) -> range:
        first = asic.address or 0
        if stride := self._wire.address_stride:
            first = first // stride * self._addresses_each
        first = min(first, ADDRESSES - self._addresses_each)
        return range(first, first + self._addresses_each)

    def _step_asic(self, asic: _Asic, due: float) -> None:
        if asic.hits:
            self.replies.append(asic.hits.pop(0)[1])
            return
        asic.go_on(due, self._counts_per_search)
        asic.progress = max(0.0, asic.progress - asic.batch)
        self._search_ahead(asic)

    def _search_ahead(self, asic: _Asic) -> None:
        size, batch = min(ceil(asic.rate * self._ahead_s), MOST_AHEAD), 0
        spans: list[Span] = []
        starts: list[int] = []
        cursor = asic.cursor
        while cursor is not None and batch < size:
            span = cursor.take(size - batch)
            if span is None:
                break
            spans.append(span)
            starts.append(batch)
            batch += span.count
        asic.batch = batch
        for number, nonce, hash_ in search_spans(spans, asic.target):
            span = spans[number]
            place = starts[number] + nonce - span.first_nonce + 1
            reply = self._reply(asic, nonce, asic.job_id, span, hash_)
            asic.hits.append((place, reply, hash_))

    def _reply(
        self, asic: _Asic, nonce: int, job_id: int, span: Span, hash_: int
    ) -> tuple[int, NonceReply]:
        """Make what a chip tells of a nonce with this `Span.hash`."""
        wire, size = self._wire, self._reply_bytes(asic)
        told = nonce
        if self._rng.random() < asic.errors:
            told ^= self._rng.randrange(1, FREE_NONCES)  # an undervolted chip's rubbish
        if not isinstance(span.head, Header):  # a midstate
            return size, NonceReply(told, job_id | span.field, 0, 0)
        zero_bits = HASH_BITS - hash_.bit_length()
        excess = zero_bits - asic.zero_bits if zero_bits > asic.zero_bits else 0
        excess_byte, id_byte = wire.result(job_id, span.field, excess)
        field = span.field if asic.is_rolling else 0  # a short reply has no room
        return size, NonceReply(told, id_byte, field, excess_byte)

    # State

    def _forget_everything(self) -> None:
        self._epoch += 1
        self._reader = frames.CommandReader(self._wire.job_bytes)
        for asic in self._all_asics:
            asic.reset()
        self._find_reachable()

    def _find_reachable(self) -> None:
        """Leave out chips that are dead, or wait at another baud rate than the host's.

        A chip that lost its power starts at the slow rate, while the host stays at the
        fast one until it resets the chain.
        """
        register, fastest = self._wire.fastest_baud
        self._asics = [
            asic
            for asic in self._all_asics[: self._working_count]
            if (asic.registers.get(register) == fastest) is self._is_host_fast
        ]
        self._schedule()

    def _set_rate(self, asic: _Asic, now: float) -> None:
        """Work out how a chip does at its clock, voltage and temperature."""
        asic.go_on(now, self._counts_per_search)
        silicon = asic.silicon
        half_v = silicon.half_voltage_v(asic.frequency_mhz, asic.temperature_c)
        margin_v = self._core_voltage_v - half_v
        shares = domain_shares(silicon, margin_v)
        errors = error_share(silicon, margin_v)
        if (defects := asic.defects) is not SOUND:
            shares, errors = defects.left_of(shares), errors + defects.errors
        asic.domain_shares = shares
        asic.errors = errors if errors < 1.0 else 1.0
        scale = self.mode.scale
        is_searched_here = asic.cursor is not None and scale != 1
        asic.rate = self._asic_hs(asic) / scale if is_searched_here else 0.0
        if not asic.batch:
            self._search_ahead(asic)

    def _asic_hs(self, asic: _Asic) -> float:
        nominal_hs = asic.frequency_mhz * 1e6 * self._chip.small_core_count
        return nominal_hs * sum(asic.domain_shares)

    def _schedule(self) -> None:
        asics = self._asics
        if len(asics) == 1:
            self.next_wake = asics[0].next_wake
        else:
            self.next_wake = min([asic.next_wake for asic in asics], default=NEVER)


def _rolled(work: Work) -> Callable[[_Asic], Heads]:
    return lambda asic: RolledVersions(work, asic.version_field_mask)


def _thermometer(asic: _Asic) -> int:
    if not asic.registers.get(Register.THERMOMETER_CONTROL, 0) & THERMOMETER_RUNS:
        return 0
    code = round((asic.temperature_c - THERMOMETER_ZERO_C) / THERMOMETER_STEP_C)
    return THERMOMETER_VALID | code


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
