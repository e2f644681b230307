"""How one chip hashes: which nonces it tries, how it counts, and when it fails.

Nothing here knows the wire or what a hash stands for; `chip.Chain` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, floor, sqrt
from random import Random
from typing import Protocol

from msgspec import Struct

from softaxe.asic.frames import VERSION_SHIFT, Register
from softaxe.bitcoin import kernel
from softaxe.bitcoin.header import NONCE_AT, Work, sha256d
from softaxe.catalog import Silicon

CORES = 128
"""Values of a nonce's core bits, 31 to 25. Source: ESP-Miner bm1370.c."""
CORE_SHIFT = 25
FIRST_VERSIONS = 16
"""A chip begins each work with its lowest versions, one per small core. Source:
captures of BM1366 and BM1368 in MoellerDi ESP-Miner, of BM1370 in mujina."""
ADDRESS_SHIFT = 17
"""A nonce's bits 24 to 17 name the chip, those below are free. Source: as above."""
VERSION_FIELD_MASK = 0xFFFF
COUNTER_MASK = (1 << 32) - 1
ERROR_COUNT, TOTAL = int(Register.ERROR_COUNT), int(Register.TOTAL)
DOMAIN_0 = int(Register.DOMAIN_0)
"""By themselves, as Python 3.11 takes long to look up an enum's member."""
AMPLE_WIDTHS = 10.0
"""With so much more than it needs, in widths of its curve, a domain loses nothing: less
than one hash in 30,000."""
MOST_WIDTHS = 6.0
"""With so much less practically all is lost; the model only has to stay finite."""
NORMAL_MEAN = 30.0
"""From this mean on a Poisson draw is a rounded normal one."""


def domain_shares(silicon: Silicon, margin_v: float) -> Sequence[float]:
    """Share of the chip's full hash rate that each domain brings.

    A small core hashes when each of its many paths gets the voltage it needs; the
    greatest of many needs is spread as a Gumbel distribution. So the loss begins softly
    and ends steeply. Domains need more or less than the chip's mean.

    Args:
        silicon: Of the chip.
        margin_v: Volts above `Silicon.half_voltage_v`.
    """
    width = silicon.margin_width_v
    if margin_v - max(silicon.domain_half_voltages_v) > AMPLE_WIDTHS * width:
        return silicon.domain_weights
    return [
        weight * 2.0 ** -exp(min((half_v - margin_v) / width, MOST_WIDTHS))
        for weight, half_v in zip(
            silicon.domain_weights, silicon.domain_half_voltages_v, strict=True
        )
    ]


def error_share(silicon: Silicon, margin_v: float) -> float:
    """Share of what is hashed that comes out wrong.

    Not what is lost: most chips err a little at any voltage, and a little more below
    one of their own.

    Args:
        silicon: Of the chip.
        margin_v: Volts above `Silicon.half_voltage_v`.
    """
    short_v = silicon.error_margin_v - margin_v
    power = -short_v / silicon.error_width_v
    more = 1 + exp(power if power < 700.0 else 700.0)
    return silicon.error_floor + silicon.error_ceiling / more


class Head(Protocol):
    """A header without its nonce."""

    def search(self, first_nonce: int, count: int, target: int) -> list[int]:
        """Search nonces of it; see `kernel.search`."""


class Header(Struct, frozen=True):
    """A head of which all is known."""

    header: bytes

    def search(self, first_nonce: int, count: int, target: int) -> list[int]:
        """See `Head`."""
        return kernel.search(self.header, first_nonce, count, target)

    def hash(self, nonce: int) -> int:
        """The hash, as the number that a target is compared with."""
        hash_ = sha256d(self.header[:NONCE_AT] + nonce.to_bytes(4))
        return int.from_bytes(hash_, "little")


class Midstate(Struct, frozen=True):
    """A head of whose first 64 bytes only SHA-256's state is known."""

    midstate: bytes
    tail: bytes

    def search(self, first_nonce: int, count: int, target: int) -> list[int]:
        """See `Head`."""
        return kernel.search_midstate(
            self.midstate, self.tail, first_nonce, count, target
        )


class Heads(Protocol):
    """The heads of one work, each known by a number."""

    def first(self, rng: Random) -> int:
        """Choose where to begin."""

    def after(self, field: int) -> int:
        """The number that follows, round and round."""

    def head(self, field: int) -> Head:
        """The head of that number."""


class RolledVersions(Struct, frozen=True):
    """A chip that rolls versions itself: their field, shifted down, is the number."""

    work: Work
    mask: int
    """The version bits it may roll, shifted down."""

    def first(self, rng: Random) -> int:
        """See `Heads`."""
        field = 0
        for _ in range(rng.randrange(FIRST_VERSIONS)):
            field = self.after(field)
        return field

    def after(self, field: int) -> int:
        """See `Heads`."""
        return ((field | ~self.mask & VERSION_FIELD_MASK) + 1) & self.mask

    def head(self, field: int) -> Head:
        """See `Heads`."""
        version = self.work.version | field << VERSION_SHIFT
        return Header(self.work.header(version=version))


class Midstates(Struct, frozen=True):
    """A chip that is given midstates: their index is the number."""

    midstates: Sequence[bytes]
    tail: bytes

    def first(self, rng: Random) -> int:
        """See `Heads`."""
        return rng.randrange(len(self.midstates))

    def after(self, field: int) -> int:
        """See `Heads`."""
        return (field + 1) % len(self.midstates)

    def head(self, field: int) -> Head:
        """See `Heads`."""
        return Midstate(self.midstates[field], self.tail)


class Span(Struct, frozen=True):
    """Nonces in a row of one head."""

    head: Head
    first_nonce: int
    """In search order: the wire's bytes read big-endian."""
    count: int
    field: int
    """Number of the head among those of its work."""

    def search(self, target: int) -> list[int]:
        """Search them all."""
        return self.head.search(self.first_nonce, self.count, target)

    def hash(self, nonce: int) -> int:
        """The hash of one, as `Header.hash`; 0 where a midstate is all that is known.

        That is as good as may be.
        """
        return self.head.hash(nonce) if isinstance(self.head, Header) else 0


def search_spans(spans: Sequence[Span], target: int) -> list[tuple[int, int, int]]:
    """Search spans of one work.

    Returns:
        The place of the span, the nonce and its `Span.hash` of each that meets the
        target, in the order searched.
    """
    if not spans:
        return []
    ranges = [
        (span.head.header, span.first_nonce, span.count)
        for span in spans
        if isinstance(span.head, Header)
    ]
    if len(ranges) < len(spans):
        return [
            (place, nonce, span.hash(nonce))
            for place, span in enumerate(spans)
            for nonce in span.search(target)
        ]
    return [
        (place, nonce, int.from_bytes(hash_, "little"))
        for place, nonce, hash_ in kernel.search_each(ranges, target)
    ]


class NonceCursor:
    """Hands out one chip's nonces of one work, each once.

    A chip's cores work all at once, so the nonces come in pieces: each is the next
    head's, under the next core. Every head has had a piece under every core before one
    has its second. The first is of a random core, place and early head.

    Args:
        heads: What is searched.
        addresses: Those of the chip.
        cores: How many it has.
        piece: Nonces in a row.
        sweep: Of each core's nonces the first so many, among which it begins.
        rng: Chooses the beginning.
    """

    __slots__ = (
        "_base",
        "_block",
        "_block_at",
        "_block_count",
        "_blocks_left",
        "_core",
        "_cores",
        "_field",
        "_first_core",
        "_first_field",
        "_head",
        "_heads",
        "_left",
        "_next_nonce",
        "_piece",
        "_rounds_left",
        "_size",
    )

    def __init__(
        self,
        heads: Heads,
        *,
        addresses: range,
        cores: int,
        piece: int,
        sweep: int,
        rng: Random,
    ) -> None:
        self._heads = heads
        self._base = addresses.start << ADDRESS_SHIFT
        self._size = len(addresses) << ADDRESS_SHIFT
        self._piece = piece
        self._cores = cores
        self._blocks_left = ceil(self._size / piece)
        self._set_block(rng.randrange(max(1, min(self._size, sweep) // piece)))
        self._rounds_left = cores
        self._core = self._first_core = rng.randrange(cores)
        self._first_field = heads.first(rng)
        self._begin(self._first_field)

    def take(self, max_count: int) -> Span | None:
        """Return the next nonces, or None when all were handed out."""
        if not self._left and not self._go_on():
            return None
        count = self._left if self._left < max_count else max_count
        first_nonce = self._next_nonce
        self._next_nonce += count
        self._left -= count
        return Span(self._head, first_nonce, count, self._field)

    def _go_on(self) -> bool:
        """Begin the next piece; False when there is none."""
        field = self._heads.after(self._field)
        self._core = (self._core + 1) % self._cores
        if field == self._first_field and not self._begin_round():
            return False
        self._begin(field)
        return True

    def _begin_round(self) -> bool:
        """Let every head have a piece under another core; False when all have."""
        self._rounds_left -= 1
        if not self._rounds_left:
            self._blocks_left -= 1
            if not self._blocks_left:
                self._rounds_left = self._blocks_left = 1  # asked again, it is the same
                return False
            self._rounds_left = self._cores
            self._set_block((self._block + 1) % ceil(self._size / self._piece))
        self._core = self._first_core = (self._first_core + 1) % self._cores
        return True

    def _set_block(self, block: int) -> None:
        """Take the pieces at this place of every core's nonces next."""
        start = block * self._piece
        self._block = block
        self._block_at = self._base + start
        self._block_count = min(self._piece, self._size - start)

    def _begin(self, field: int) -> None:
        self._field = field
        self._head = self._heads.head(field)
        self._left = self._block_count
        self._next_nonce = self._core << CORE_SHIFT | self._block_at


@dataclass(slots=True)
class _Counter:
    value: int = 0
    expected: float = 0.0
    counted: float = 0.0

    def count(self, rng: Random | None) -> None:
        due = self.expected - self.counted
        if due <= 0:
            return
        if rng is None:
            drawn = floor(due)
            self.counted += drawn
        else:
            drawn = poisson(rng, due)
            self.counted += due
        self.value = (self.value + drawn) & COUNTER_MASK


class HashCounters:
    """The counter registers of one chip: hashes per domain and in total, and errors.

    Args:
        domains: How many domains.
    """

    __slots__ = ("_domains", "_errors", "_rated", "_shares", "_undivided")

    def __init__(self, domains: int) -> None:
        self._domains = [_Counter() for _ in range(domains)]
        self._errors = _Counter()
        self._rated = (0, -1.0)
        self._undivided = 0.0
        """Expected of all domains together, in these shares."""
        self._shares: Sequence[float] = ()

    def add(self, counts: float, errors: float, shares: Sequence[float]) -> None:
        """Expect more counts.

        Args:
            counts: Of all domains together.
            errors: Of the chip.
            shares: One per domain, in any unit: counts are divided in proportion.
        """
        if shares is not self._shares and shares != self._shares:
            if self._undivided:
                self._divide()
            self._shares = shares
        self._undivided += counts
        self._errors.expected += errors

    def _divide(self) -> None:
        each = self._undivided / sum(self._shares)
        for domain, share in zip(self._domains, self._shares, strict=True):
            domain.expected += each * share
        self._undivided = 0.0

    def jump(self, index: int, counts: int) -> None:
        """Let a domain's counter be so much further at once."""
        domain = self._domains[index]
        domain.value = (domain.value + counts) & COUNTER_MASK

    def rate(self, now: float, rng: Random | None) -> float:
        """Counts per second since this was last asked; 0 the first time."""
        total = self.read(TOTAL, rng) or 0
        counts, seconds = total - self._rated[0] & COUNTER_MASK, now - self._rated[1]
        is_first = self._rated[1] < 0
        self._rated = total, now
        return 0.0 if is_first or seconds <= 0 else counts / seconds

    def read(self, register: int, rng: Random | None) -> int | None:
        """Bring a register up to what is expected.

        Args:
            register: Which one.
            rng: Scatters the counts as those of chance events; None counts exactly.

        Returns:
            Its value, or None when it is no counter of this chip.
        """
        if register == ERROR_COUNT:
            self._errors.count(rng)
            return self._errors.value
        if self._undivided:
            self._divide()
        if register == TOTAL:
            total = 0
            for domain in self._domains:
                if domain.expected > domain.counted:
                    domain.count(rng)
                total += domain.value
            return total & COUNTER_MASK
        if 0 <= (index := register - DOMAIN_0) < len(self._domains):
            self._domains[index].count(rng)
            return self._domains[index].value
        return None


def poisson(rng: Random, mean: float) -> int:
    """Draw how many chance events happen when `mean` are expected."""
    if mean >= NORMAL_MEAN:
        drawn = round(rng.gauss(mean, sqrt(mean)))
        return drawn if drawn > 0 else 0
    limit, product, events = exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        events += 1
    return events
