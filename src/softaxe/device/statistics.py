"""Counters and the statistics that the API shows."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from softaxe.catalog.firmware.rows import Rows
from softaxe.units import NEVER

STATISTICS_PERIOD_S = 5.0
"""How often the task looks at its interval. Source: ESP-Miner statistics_task.c."""
THINNED_PERIOD_S = 1.0
"""And where it takes a row each time. Source: ESP-Miner v2.14 statistics_task.c."""
THINNED_PERIOD_MS = 1000
STATISTICS_ROWS = 720
"""Most rows that are kept. Source: ESP-Miner statistics_task.c."""
STATISTICS_SLACK_MS = 2500
"""Half a period early still counts as on time. Source: ESP-Miner statistics_task.c."""
NARROW_BITS = 32
REASON_BYTES = 63
"""Bytes of a reason that are kept and compared. Source: ESP-Miner system.c."""
RECENT_SHARES = 30
"""How many shares a pool's latest answers weigh against; an estimate."""
MAX_REASONS = 10
"""Different rejection reasons counted. Source: ESP-Miner system.c."""


@dataclass(slots=True)
class RejectedReason:
    """How often the pool gave one reason."""

    message: str
    count: int


@dataclass(slots=True)
class ShareCounters:
    """Shares answered by the pool since boot or the last failover."""

    accepted: int = 0
    rejected: int = 0
    rejected_reasons: list[RejectedReason] = field(default_factory=list)
    reject_part: float = 0.0
    """Of the latest some thirty shares, the newest count most; no client is told."""

    def accept(self, count: int) -> None:
        """Count accepted shares."""
        self.accepted += count
        self.reject_part *= (1 - 1 / RECENT_SHARES) ** count

    def reject(self, reason: str) -> None:
        """Count a rejected share; a new reason sorts the list by count."""
        self.rejected += 1
        self.reject_part += (1 - self.reject_part) / RECENT_SHARES
        message = reason.encode()[:REASON_BYTES].decode(errors="ignore")
        for known in self.rejected_reasons:
            if known.message == message:
                known.count += 1
                return
        if len(self.rejected_reasons) < MAX_REASONS:
            self.rejected_reasons.append(RejectedReason(message, 1))
            self.rejected_reasons.sort(key=lambda known: -known.count)


class Sample(Struct, frozen=True):
    """One row of the statistics."""

    timestamp_ms: int
    """Milliseconds since boot."""
    hashrate_hs: float
    hashrate_1m_hs: float
    hashrate_10m_hs: float
    hashrate_1h_hs: float
    error_percentage: float
    temp_c: float
    temp2_c: float
    vr_temp_c: float
    core_voltage_actual_v: float
    voltage_v: float
    power_w: float
    current_a: float
    fan_percent: float
    fan_rpm: int
    fan2_rpm: int
    rssi_dbm: int
    free_heap: int
    """Bytes."""
    response_time_ms: float


class Statistics:
    """The rows behind `/api/system/statistics`.

    Args:
        rows: Of the release; they say when a row is taken, and which one goes.
        limit: The statsLimit setting where there is one: rows kept, up to 720; 0 is
            off.
        duration: The statsDuration setting, 1 to 720 hours.
    """

    def __init__(self, rows: Rows, *, limit: int = 0, duration: int = 1) -> None:
        self._sampling: str = rows.statistics_sampling
        self._keeps_off = rows.keeps_statistics_off
        self._has_32bit_times = rows.clock_bits == NARROW_BITS
        self.rows: list[Sample] = []
        self.next_wake = NEVER
        self._most_rows = STATISTICS_ROWS
        self._period_s = STATISTICS_PERIOD_S
        if self._sampling == "limit and duration":
            if limit == 0:  # the API page promises an interval, 0 on a device
                self._sampling = "frequency"
            else:
                self._most_rows = min(limit, STATISTICS_ROWS)
                self._period_s = limited_period_s(self._most_rows, duration)
        elif self._sampling == "thinned":
            self._period_s = THINNED_PERIOD_S
        self._interval_s = 0
        self._started_at = 0.0
        self._periods = 0
        self._last_ms = 0
        self._times_ms: list[int] = []
        """Of the rows, where some are thinned out."""
        self._kept: list[Sample] = []
        """What is there again when statistics are switched on anew."""

    def start(self, now: float) -> None:
        """Begin to look at every period; the first look is now."""
        self._started_at = now
        self._periods = 0
        self.next_wake = now

    def is_sample_due(
        self, boot_ms: int, interval_s: int, *, is_narrow: bool = False
    ) -> bool:
        """Take note of one look; True when a sample must be added.

        Args:
            boot_ms: Milliseconds since boot.
            interval_s: The statsFrequency setting; 0 is off.
            is_narrow: Numbers have no more bits than in the release: the interval's
                milliseconds 16 up to 2.11, and times that are compared 32 in some,
                after 24.9 days of which many a device records no more.
        """
        self._periods += 1
        self.next_wake = self._started_at + self._periods * self._period_s
        if self._sampling == "limit and duration":
            return True
        interval_ms = interval_s * 1000
        if is_narrow and self._sampling == "16 bit":
            interval_ms %= 1 << 16
        if interval_ms == 0:
            self._switch_off()
            return False
        if self._kept:
            self.rows, self._kept = self._kept, []
        self._interval_s = interval_s
        if self._sampling == "thinned":
            return boot_ms >= self._last_ms + THINNED_PERIOD_MS
        due_ms = self._last_ms + interval_ms - STATISTICS_SLACK_MS
        if is_narrow and self._has_32bit_times:
            return _int32(boot_ms) > _int32(due_ms)
        return boot_ms > due_ms

    def _switch_off(self) -> None:
        if self.rows and self._keeps_off:
            self._kept = self.rows
        self.rows = []
        self._times_ms.clear()

    def add(self, sample: Sample) -> None:
        """Append a row; another goes when there are too many."""
        self._last_ms = sample.timestamp_ms
        if self._sampling == "thinned":
            self._thin(sample.timestamp_ms)
        elif len(self.rows) >= self._most_rows:
            del self.rows[0]
        self.rows.append(sample)

    def _thin(self, now_ms: int) -> None:
        """Make room: they reach back as far as the interval says."""
        times_ms = self._times_ms
        if len(times_ms) == STATISTICS_ROWS:
            window_ms = STATISTICS_ROWS * self._interval_s * 1000
            is_within = now_ms - times_ms[0] < window_ms
            gone = crowded_row(times_ms) if is_within else 0
            del times_ms[gone], self.rows[gone]
        times_ms.append(now_ms)


def limited_period_s(limit: int, duration: int) -> float:
    """Seconds between rows where so many shall last. Source: ESP-Miner v2.8.

    Args:
        limit: Rows, 1 to 720.
        duration: Hours over which the most rows are spread, 1 to 720.
    """
    return STATISTICS_PERIOD_S * duration * (STATISTICS_ROWS // limit)


def crowded_row(times_ms: Sequence[int]) -> int:
    """Find a row where they are densest in time: each half's fuller half, again.

    Source: ESP-Miner v2.14 statistics_task.c.
    """
    low, high = 1, len(times_ms) - 1
    while high - low > 1:
        middle_ms = (times_ms[low] + times_ms[high]) // 2
        split = max(bisect_left(times_ms, middle_ms, low, high), low + 1)
        if split - low > high - split + 1:
            high = split - 1
        else:
            low = split
    return low


def _int32(value: int) -> int:
    """Return what a signed word of 32 bits holds of a number."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)
