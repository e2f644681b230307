"""Counters, averages and the statistics ring that the API shows."""

from collections import deque
from dataclasses import dataclass, field

from softaxe.units import NEVER

POLLS_PER_MINUTE = 12
"""Hash rate polls, every 5 s, in the one-minute window.

Source: ESP-Miner hashrate_monitor_task.c, as the averages below."""
STATISTICS_PERIOD_S = 5.0
"""How often the task looks at its interval. Source: ESP-Miner statistics_task.c."""
STATISTICS_ROWS = 720
"""Rows kept before the oldest is overwritten. Source: ESP-Miner statistics_task.c."""
STATISTICS_SLACK_MS = 2500
"""Half a period early still counts as on time. Source: ESP-Miner statistics_task.c."""
REASON_BYTES = 63
"""Bytes of a reason that are kept and compared. Source: ESP-Miner system.c."""
MAX_REASONS = 10
"""Different rejection reasons counted. Source: ESP-Miner system.c."""


class HashrateAverages:
    """The current hash rate and its 1 m, 10 m and 1 h averages, in H/s.

    Each average is a ring of the next shorter one; the slot being filled blends the
    value it replaces with the running average.
    """

    def __init__(self) -> None:
        self.current_hs = 0.0
        self.one_minute_hs = 0.0
        self.ten_minutes_hs = 0.0
        self.one_hour_hs = 0.0
        self._updates = 0
        self._minute: list[float] = []
        self._ten_minutes = _BlendedRing(slots=10, updates_per_slot=POLLS_PER_MINUTE)
        self._hour = _BlendedRing(slots=6, updates_per_slot=10 * POLLS_PER_MINUTE)

    def update(self, current_hs: float) -> None:
        """Take one poll; a rate of 0 is shown but not averaged."""
        self.current_hs = current_hs
        if current_hs <= 0:
            return
        if len(self._minute) < POLLS_PER_MINUTE:
            self._minute.append(current_hs)
        else:
            self._minute[self._updates % POLLS_PER_MINUTE] = current_hs
        self.one_minute_hs = sum(self._minute) / len(self._minute)
        self.ten_minutes_hs = self._ten_minutes.update(self.one_minute_hs)
        self.one_hour_hs = self._hour.update(self.ten_minutes_hs)
        self._updates += 1


class _BlendedRing:
    def __init__(self, *, slots: int, updates_per_slot: int) -> None:
        self._slots: list[float | None] = [None] * slots
        self._updates_per_slot = updates_per_slot
        self._updates = 0
        self._replaced: float | None = None

    def update(self, value: float) -> float:
        index = self._updates // self._updates_per_slot % len(self._slots)
        place = self._updates % self._updates_per_slot
        self._updates += 1
        if place == 0:
            self._replaced = self._slots[index]
        if self._replaced is not None:
            share = (place + 1) / self._updates_per_slot
            value = share * value + (1 - share) * self._replaced
        self._slots[index] = value
        filled = [slot for slot in self._slots if slot is not None]
        return sum(filled) / len(filled)


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

    def reject(self, reason: str) -> None:
        """Count a rejected share; a new reason sorts the list by count."""
        self.rejected += 1
        message = reason.encode()[:REASON_BYTES].decode(errors="ignore")
        for known in self.rejected_reasons:
            if known.message == message:
                known.count += 1
                return
        if len(self.rejected_reasons) < MAX_REASONS:
            self.rejected_reasons.append(RejectedReason(message, 1))
            self.rejected_reasons.sort(key=lambda known: -known.count)


@dataclass(frozen=True, slots=True)
class Sample:
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
    """The ring of samples behind `/api/system/statistics`."""

    def __init__(self) -> None:
        self.rows: deque[Sample] = deque(maxlen=STATISTICS_ROWS)
        self.next_wake = NEVER
        self._started_at = 0.0
        self._periods = 0
        self._last_ms = 0

    def start(self, now: float) -> None:
        """Begin to look every five seconds; the first look is now."""
        self._started_at = now
        self._periods = 0
        self.next_wake = now

    def is_sample_due(
        self, boot_ms: int, interval_s: int, *, is_32bit: bool = False
    ) -> bool:
        """Take note of one look; True when a sample must be added.

        Args:
            boot_ms: Milliseconds since boot.
            interval_s: The statsFrequency setting; 0 forgets all rows.
            is_32bit: Times are compared as signed words of 32 bits, as the firmware
                does; after 24.9 days many a device records no more.
        """
        self._periods += 1
        self.next_wake = self._started_at + self._periods * STATISTICS_PERIOD_S
        if interval_s == 0:
            self.rows.clear()
            return False
        due_ms = self._last_ms + interval_s * 1000 - STATISTICS_SLACK_MS
        if is_32bit:
            return _int32(boot_ms) > _int32(due_ms)
        return boot_ms > due_ms

    def add(self, sample: Sample) -> None:
        """Append a row; the oldest goes when the ring is full."""
        self._last_ms = sample.timestamp_ms
        self.rows.append(sample)


def _int32(value: int) -> int:
    """Return what a signed word of 32 bits holds of a number."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)
