"""Hash rates from the chips' counters.

Counters are 32 bits wide and count in units of 2**32 hashes; a rate is the difference
of two readings over the time between their arrivals. Source: hashrate_monitor_task.c.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from msgspec import Struct

from softaxe.asic.frames import Register, RegisterReply, numbers, read_all
from softaxe.units import NEVER, float32

PERIOD_S = 5.0
REQUEST_S = 0.001
"""After each request; where polls come each second all are one here, as they cost."""
REPLY_WAIT_S = 0.1
"""After the last request, before the sums."""
COUNTER_MODULUS = 1 << 32
GIGA = 1e9
HASH_RATE_UNIT = 2.0**-12
"""Unit of the BM1397's hash rate register, in counts per second."""
HASH_RATE_FLAG = 1 << 31
HASH_RATE_INVALID = 0x007FFFFF
HASH_RATE, ERROR_COUNT = int(Register.HASH_RATE), int(Register.ERROR_COUNT)
TOTAL, DOMAIN_0 = int(Register.TOTAL), int(Register.DOMAIN_0)
"""By themselves, as Python 3.11 takes long to look up an enum's member."""


class _Reading(Struct, frozen=True):
    value: int
    arrival_ms: int
    counts: int
    """Since the reading before."""
    duration_ms: int
    """Since that; 0 of the first."""


@dataclass(slots=True)
class AsicMeasurement:
    """What is known of one chip; a rate is worked out for who asks."""

    domains: int
    hashes_per_count: float
    readings: dict[int, _Reading] = field(default_factory=dict)
    """The last by register."""
    told_hs: float | None = None
    """By the register of a chip that has one for its rate."""

    @property
    def total_hs(self) -> float:
        """All domains together."""
        return self._rate_hs(TOTAL) if self.told_hs is None else self.told_hs

    @property
    def domains_hs(self) -> list[float]:
        """Each domain; a rate that the chip itself tells is the first one's."""
        rates_hs = [self._rate_hs(DOMAIN_0 + index) for index in range(self.domains)]
        if self.told_hs is not None:
            rates_hs[:1] = [self.told_hs] * bool(rates_hs)
        return rates_hs

    @property
    def error_hs(self) -> float:
        """What came out wrong."""
        return self._rate_hs(ERROR_COUNT)

    @property
    def error_count(self) -> int:
        """The error register as last read."""
        reading = self.readings.get(ERROR_COUNT)
        return 0 if reading is None else reading.value

    def note(self, register: int, value: int, now: float) -> None:
        """Take the value of a register that is polled."""
        if register == HASH_RATE:
            if not value & HASH_RATE_FLAG and value != HASH_RATE_INVALID:
                hashes_per_s = value * HASH_RATE_UNIT * self.hashes_per_count
                self.told_hs = float32(hashes_per_s / GIGA) * GIGA
            return
        arrival_ms, last = round(now * 1000), self.readings.get(register)
        counts = duration_ms = 0
        if last is not None:
            counts = (value - last.value) % COUNTER_MODULUS
            duration_ms = arrival_ms - last.arrival_ms
        self.readings[register] = _Reading(value, arrival_ms, counts, duration_ms)

    def _rate_hs(self, register: int) -> float:
        reading = self.readings.get(register)
        if reading is None or reading.duration_ms <= 0:
            return 0.0
        counts_per_s = float32(reading.counts / float32(reading.duration_ms / 1000))
        return float32(counts_per_s * self.hashes_per_count / GIGA) * GIGA


@cache
def _plan(
    polled: tuple[Register, ...], *, is_at_once: bool
) -> tuple[tuple[bytes, ...], tuple[tuple[int, ...], ...], tuple[float, ...]]:
    """Return what a poll consists of, once for all monitors that poll alike.

    Returns:
        Its requests; the registers that each asks for; and when they go out and, last,
        when it is summed up, in seconds from its beginning.
    """
    asked = (polled,) if is_at_once else tuple((one,) for one in polled)
    requests = tuple(b"".join(map(read_all, registers)) for registers in asked)
    offsets_s = [index * REQUEST_S for index in range(len(asked))]
    offsets_s.append(len(asked) * REQUEST_S + REPLY_WAIT_S)
    numbered = tuple(tuple(map(int, registers)) for registers in asked)
    return requests, numbered, tuple(offsets_s)


class HashrateMonitor:
    """Polls the counters and works out the rates.

    Rates are rounded to single precision in GH/s, in which the firmware keeps them.

    Args:
        asic_count: Chips in the chain.
        domains: Of a chip.
        polled: Registers to read, in this order.
        period_s: Between two polls.
    """

    def __init__(
        self,
        asic_count: int,
        *,
        domains: int,
        polled: tuple[Register, ...],
        period_s: float = PERIOD_S,
    ) -> None:
        self.hashes_per_count = float(COUNTER_MODULUS)
        self._asic_count = asic_count
        self._domains = domains
        self.forget()
        self.next_wake = NEVER
        self._period_s = period_s
        plan = _plan(polled, is_at_once=period_s < PERIOD_S)
        self._requests, self._asked, self._offsets_s = plan
        self._polled = numbers(polled)
        self._started_at = 0.0
        self._polls = 0
        self._place = 0

    def start(self, now: float) -> None:
        """Begin to poll; the first poll is now."""
        self._started_at = self.next_wake = now
        self._polls = self._place = 0

    def set_hashes_per_count(self, hashes: float) -> None:
        """Let one count stand for `hashes`, and measure anew."""
        self.hashes_per_count = hashes
        self.forget()

    def forget(self) -> None:
        """Measure anew: a first reading tells no rate."""
        domains, hashes = self._domains, self.hashes_per_count
        self.asics = [AsicMeasurement(domains, hashes) for _ in range(self._asic_count)]
        self.total_hs = self.error_hs = 0.0

    @property
    def asked(self) -> Sequence[int]:
        """Registers that the next `step` requests; none where it adds up."""
        place = self._place
        return self._asked[place] if place < len(self._asked) else ()

    def step(self) -> bytes | None:
        """Do what is due at `next_wake`.

        Returns:
            A request for the chips, or None when the poll is over and the sums are new.
        """
        place = self._place
        self._place = (place + 1) % len(self._offsets_s)
        self._polls += self._place == 0
        poll_at = self._started_at + self._polls * self._period_s
        self.next_wake = poll_at + self._offsets_s[self._place]
        if place < len(self._requests):
            return self._requests[place]
        self.total_hs = _sum([asic.total_hs for asic in self.asics])
        self.error_hs = _sum([asic.error_hs for asic in self.asics])
        return None

    def take(self, reply: RegisterReply, asic_number: int, now: float) -> bool:
        """Take a counter's value; False when nobody knows the register."""
        if reply.register not in self._polled:
            return False
        self.asics[asic_number].note(reply.register, reply.value, now)
        return True


def _sum(rates_hs: Iterable[float]) -> float:
    total_ghs = 0.0
    for rate_hs in rates_hs:
        total_ghs = float32(total_ghs + rate_hs / GIGA)
    return total_ghs * GIGA
