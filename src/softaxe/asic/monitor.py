"""Hash rates from the chips' counters.

Counters are 32 bits wide and count in units of 2**32 hashes; a rate is the difference
of two readings over the time between their arrivals. Source: asic-wire.md 10.
"""

from dataclasses import dataclass, field

from softaxe.asic.frames import Register, RegisterReply, read_all
from softaxe.units import NEVER

PERIOD_S = 5.0
REPLY_WAIT_S = 0.106
"""Six requests of 1 ms and 100 ms for the replies."""
COUNTER_MODULUS = 1 << 32
POLLED = (
    Register.ERROR_COUNT,
    Register.DOMAIN_0,
    Register.DOMAIN_1,
    Register.DOMAIN_2,
    Register.DOMAIN_3,
    Register.TOTAL,
)
_POLL = b"".join(read_all(register) for register in POLLED)


@dataclass(slots=True)
class AsicMeasurement:
    """What is known of one chip."""

    total_hs: float = 0.0
    domains_hs: list[float] = field(default_factory=lambda: [0.0] * 4)
    error_hs: float = 0.0
    error_count: int = 0
    """The error register as last read."""
    readings: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Last value and its arrival in milliseconds, by register."""


class HashrateMonitor:
    """Polls the counters every five seconds and works out the rates."""

    def __init__(self, asic_count: int) -> None:
        self.asics = [AsicMeasurement() for _ in range(asic_count)]
        self.total_hs = 0.0
        self.error_hs = 0.0
        self.hashes_per_count = float(COUNTER_MODULUS)
        self.next_wake = NEVER
        self._started_at = 0.0
        self._polls = 0
        self._sums_due = NEVER
        self._poll_due = NEVER

    def start(self, now: float) -> None:
        """Begin to poll; the first poll is now."""
        self._started_at = now
        self._polls = 0
        self._poll_due = self.next_wake = now

    def set_hashes_per_count(self, hashes: float) -> None:
        """Let one count stand for `hashes`, and measure anew."""
        self.hashes_per_count = hashes
        self.asics = [AsicMeasurement() for _ in self.asics]
        self.total_hs = self.error_hs = 0.0

    def step(self, now: float) -> tuple[bytes, bool]:
        """Do what is due.

        Returns:
            Bytes for the chips, and whether the sums are new.
        """
        to_chip, has_sums = b"", False
        if self._poll_due <= now:
            self._polls += 1
            self._sums_due = self._poll_due + REPLY_WAIT_S
            self._poll_due = self._started_at + self._polls * PERIOD_S
            to_chip = _POLL
        elif self._sums_due <= now:
            self._sums_due = NEVER
            self.total_hs = sum(asic.total_hs for asic in self.asics)
            self.error_hs = sum(asic.error_hs for asic in self.asics)
            has_sums = True
        self.next_wake = min(self._poll_due, self._sums_due)
        return to_chip, has_sums

    def take(self, reply: RegisterReply, asic_number: int, now: float) -> bool:
        """Take a counter's value; False when nobody knows the register."""
        register, value = reply.register, reply.value
        if register not in POLLED:
            return False
        asic = self.asics[asic_number]
        arrival_ms = round(now * 1000)
        last = asic.readings.get(register)
        asic.readings[register] = (value, arrival_ms)
        if register == Register.ERROR_COUNT:
            asic.error_count = value
        if last is None or arrival_ms <= last[1]:
            return True
        counts = (value - last[0]) % COUNTER_MODULUS
        rate = counts * self.hashes_per_count / ((arrival_ms - last[1]) / 1000)
        if register == Register.TOTAL:
            asic.total_hs = rate
        elif register == Register.ERROR_COUNT:
            asic.error_hs = rate
        else:
            asic.domains_hs[register - Register.DOMAIN_0] = rate
        return True
