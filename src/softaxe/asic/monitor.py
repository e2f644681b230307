"""Hash rates from the chips' counters.

Counters are 32 bits wide and count in units of 2**32 hashes; a rate is the difference
of two readings over the time between their arrivals. Source: hashrate_monitor_task.c.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from softaxe.asic.frames import Register, RegisterReply, read_all
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


@dataclass(slots=True)
class AsicMeasurement:
    """What is known of one chip."""

    domains_hs: list[float]
    total_hs: float = 0.0
    error_hs: float = 0.0
    error_count: int = 0
    """The error register as last read."""
    readings: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Last value and its arrival in milliseconds, by register."""


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
        polled: Sequence[Register],
        period_s: float = PERIOD_S,
    ) -> None:
        self.asics = [AsicMeasurement([0.0] * domains) for _ in range(asic_count)]
        self.total_hs = 0.0
        self.error_hs = 0.0
        self.hashes_per_count = float(COUNTER_MODULUS)
        self.next_wake = NEVER
        self._requests = [read_all(register) for register in polled]
        self._asked: list[tuple[int, ...]] = [(int(register),) for register in polled]
        if period_s < PERIOD_S:
            self._requests = [b"".join(self._requests)]
            self._asked = [tuple(map(int, polled))]
        self._period_s = period_s
        count = len(self._requests)
        self._offsets_s = [index * REQUEST_S for index in range(count)]
        self._offsets_s.append(count * REQUEST_S + REPLY_WAIT_S)
        """When the requests of a poll go out and, last, when it is summed up."""
        self._polled = frozenset(polled)
        self._domains = domains
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
        self.asics = [AsicMeasurement([0.0] * self._domains) for _ in self.asics]
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
        self.total_hs = _sum(asic.total_hs for asic in self.asics)
        self.error_hs = _sum(asic.error_hs for asic in self.asics)
        return None

    def take(self, reply: RegisterReply, asic_number: int, now: float) -> bool:
        """Take a counter's value; False when nobody knows the register."""
        if reply.register not in self._polled:
            return False
        self.note(reply.register, reply.value, asic_number, now)
        return True

    def note(self, register: int, value: int, asic_number: int, now: float) -> None:
        """Take the value of a register that is polled."""
        asic = self.asics[asic_number]
        if register == HASH_RATE:
            if not value & HASH_RATE_FLAG and value != HASH_RATE_INVALID:
                hashes_per_s = value * HASH_RATE_UNIT * self.hashes_per_count
                asic.total_hs = float32(hashes_per_s / GIGA) * GIGA
                if asic.domains_hs:
                    asic.domains_hs[0] = asic.total_hs
            return
        arrival_ms = round(now * 1000)
        last = asic.readings.get(register)
        asic.readings[register] = (value, arrival_ms)
        if register == ERROR_COUNT:
            asic.error_count = value
        if last is None:
            return
        counts = (value - last[0]) % COUNTER_MODULUS
        rate_hs = self._rate_hs(counts, arrival_ms - last[1])
        if register == TOTAL:
            asic.total_hs = rate_hs
        elif register == ERROR_COUNT:
            asic.error_hs = rate_hs
        else:
            asic.domains_hs[register - DOMAIN_0] = rate_hs

    def _rate_hs(self, counts: int, duration_ms: int) -> float:
        if duration_ms <= 0:
            return 0.0
        counts_per_s = float32(counts / float32(duration_ms / 1000))
        return float32(counts_per_s * self.hashes_per_count / GIGA) * GIGA


def _sum(rates_hs: Iterable[float]) -> float:
    total_ghs = 0.0
    for rate_hs in rates_hs:
        total_ghs = float32(total_ghs + rate_hs / GIGA)
    return total_ghs * GIGA
