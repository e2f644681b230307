"""How one chip hashes: which nonces it tries, how it counts, and when it fails.

Nothing here knows the wire or what a hash stands for; `chip.Chain` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, sqrt
from random import Random

from softaxe.asic.frames import VERSION_SHIFT, Register
from softaxe.bitcoin.header import Work
from softaxe.catalog import Silicon

CORES = 128
"""Values of a nonce's core bits, 31 to 25. Source: ESP-Miner bm1370.c."""
CORE_SHIFT = 25
ADDRESS_SHIFT = 17
"""A nonce's bits 24 to 17 name the chip, those below are free. Source: as above."""
VERSION_FIELD_MASK = 0xFFFF
COUNTER_MASK = (1 << 32) - 1
REFERENCE_MHZ = 400
REFERENCE_C = 60
FAILING_OFFSET_V = 0.03
"""Missing volts at which half the hashes fail; an estimate."""
FAILING_ERRORS = 0.6
"""Share of failing hashes that end as errors; an estimate."""
NORMAL_MEAN = 30.0
"""From this mean on a Poisson draw is a rounded normal one."""


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
        + silicon.needed_voltage_v_per_mhz * (frequency_mhz - REFERENCE_MHZ)
        + silicon.needed_voltage_v_per_c * (temperature_c - REFERENCE_C)
    )
    margin_v = core_voltage_v - needed_v + FAILING_OFFSET_V
    return 1 / (1 + exp(min(margin_v / silicon.margin_width_v, 700.0)))


def error_share(silicon: Silicon, failing: float) -> float:
    """Share of the hash rate that comes out wrong when `failing` of it fails."""
    return min(1.0, silicon.error_floor + FAILING_ERRORS * failing)


@dataclass(frozen=True, slots=True)
class Span:
    """Nonces in a row of one header."""

    header: bytes
    first_nonce: int
    """In search order: the wire's bytes read big-endian."""
    count: int
    version_field: int
    """Rolled version bits, shifted down."""


class NonceCursor:
    """Hands out one chip's nonces of one work, each once.

    It begins at a random core and nonce and goes on from there through the chip's
    addresses under every core, then with the next version.

    Args:
        work: What is searched.
        addresses: Those of the chip.
        version_field_mask: The version bits it may roll, shifted down.
        rng: Chooses the beginning.
    """

    __slots__ = (
        "_base",
        "_core",
        "_first_field",
        "_header",
        "_left",
        "_mask",
        "_offset",
        "_size",
        "_version_field",
        "_work",
    )

    def __init__(
        self, work: Work, *, addresses: range, version_field_mask: int, rng: Random
    ) -> None:
        self._work = work
        self._mask = version_field_mask
        self._base = addresses.start << ADDRESS_SHIFT
        self._size = len(addresses) << ADDRESS_SHIFT
        self._core = rng.getrandbits(7)
        self._offset = int(rng.random() * self._size)
        self._first_field = rng.getrandbits(16) & version_field_mask
        self._begin_version(self._first_field)

    def take(self, max_count: int) -> Span | None:
        """Return the next nonces, or None when all were handed out."""
        if not self._left and not self._roll_version():
            return None
        count = min(max_count, self._size - self._offset, self._left)
        first_nonce = self._core << CORE_SHIFT | self._base + self._offset
        self._left -= count
        self._offset += count
        if self._offset == self._size:
            self._offset = 0
            self._core = (self._core + 1) % CORES
        return Span(self._header, first_nonce, count, self._version_field)

    def _roll_version(self) -> bool:
        unmasked = ~self._mask & VERSION_FIELD_MASK
        field = ((self._version_field | unmasked) + 1) & self._mask
        if field == self._first_field:
            return False
        self._begin_version(field)
        return True

    def _begin_version(self, field: int) -> None:
        self._version_field = field
        self._left = CORES * self._size
        version = self._work.version | field << VERSION_SHIFT
        self._header = self._work.header(version=version)


@dataclass(slots=True)
class _Counter:
    share: float
    value: int = 0
    counted: float = 0.0

    def count_up_to(self, expected: float, rng: Random | None) -> None:
        due = expected * self.share - self.counted
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
        domain_shares: Share of the hashes per domain, 1 in all.
    """

    __slots__ = ("_domains", "_errors", "_expected", "_expected_errors")

    def __init__(self, domain_shares: Sequence[float]) -> None:
        self._domains = [_Counter(share) for share in domain_shares]
        self._errors = _Counter(1.0)
        self._expected = 0.0
        self._expected_errors = 0.0

    def add(self, counts: float, errors: float) -> None:
        """Expect more counts."""
        self._expected += counts
        self._expected_errors += errors

    def read(self, register: int, rng: Random | None) -> int | None:
        """Bring a register up to what is expected.

        Args:
            register: Which one.
            rng: Scatters the counts as those of chance events; None counts exactly.

        Returns:
            Its value, or None when it is no counter of this chip.
        """
        if register == Register.ERROR_COUNT:
            self._errors.count_up_to(self._expected_errors, rng)
            return self._errors.value
        if register == Register.TOTAL:
            for domain in self._domains:
                domain.count_up_to(self._expected, rng)
            return sum(domain.value for domain in self._domains) & COUNTER_MASK
        if 0 <= (index := register - Register.DOMAIN_0) < len(self._domains):
            self._domains[index].count_up_to(self._expected, rng)
            return self._domains[index].value
        return None


def poisson(rng: Random, mean: float) -> int:
    """Draw how many chance events happen when `mean` are expected."""
    if mean >= NORMAL_MEAN:
        return max(0, round(rng.gauss(mean, sqrt(mean))))
    limit, product, events = exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        events += 1
    return events
