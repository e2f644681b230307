"""The hash rate that the API shows: of now, and averaged.

Releases up to 2.10 work it out of the nonces that are found, later ones of the chips'
counters.
"""

from collections import deque

MINUTE_SLOTS, HOUR_SLOTS = 10, 6
"""Minutes in ten, and tens of minutes in an hour."""
NONCES_REMEMBERED = 100
"""Source: ESP-Miner v2.10 system.c."""


class HashrateAverages:
    """The current hash rate and its 1 m, 10 m and 1 h averages, in H/s.

    Each average is a ring of the next shorter one; the slot being filled blends the
    value it replaces with the running average. Source: hashrate_monitor_task.c.

    Args:
        polls: In a minute and in ten.
    """

    def __init__(self, polls: tuple[int, int] = (12, 120)) -> None:
        self.current_hs = 0.0
        self.one_minute_hs = 0.0
        self.ten_minutes_hs = 0.0
        self.one_hour_hs = 0.0
        self.error_percentage = 0.0
        """Errored share of the current hash rate, in percent."""
        per_minute, per_ten_minutes = polls
        self._updates = 0
        self._polls_per_minute = per_minute
        self._minute: list[float] = []
        self._ten_minutes = _BlendedRing(
            slots=MINUTE_SLOTS, updates_per_slot=per_minute
        )
        self._hour = _BlendedRing(slots=HOUR_SLOTS, updates_per_slot=per_ten_minutes)

    def update(self, current_hs: float, error_hs: float = 0.0) -> None:
        """Take one poll; a rate of 0 is shown but not averaged."""
        self.current_hs = current_hs
        self.error_percentage = error_hs / current_hs * 100 if current_hs else 0.0
        if current_hs <= 0:
            return
        if len(self._minute) < self._polls_per_minute:
            self._minute.append(current_hs)
        else:
            self._minute[self._updates % self._polls_per_minute] = current_hs
        self.one_minute_hs = sum(self._minute) / len(self._minute)
        self.ten_minutes_hs = self._ten_minutes.update(self.one_minute_hs)
        self.one_hour_hs = self._hour.update(self.ten_minutes_hs)
        self._updates += 1

    def stop(self) -> None:
        """Show nothing while the chips are off; the rest stays as it was."""
        self.current_hs = 0.0


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


class NonceRate:
    """A hash rate that only a nonce changes.

    So it freezes instead of falling when the chips stop; and it reads three percent
    high, as a hundred nonces are taken over the time of 98.
    """

    def __init__(self, now: float) -> None:
        self.rate_hs = 0.0
        self._started_at = now
        self._count = 0
        self._times: deque[float] = deque(maxlen=NONCES_REMEMBERED)

    def find(self, now: float, *, hashes: float) -> float:
        """Take a nonce that stands for so many hashes; return the rate."""
        self._count += 1
        self._times.append(now)
        if self._count < NONCES_REMEMBERED:
            self.rate_hs = self._count * hashes / max(now - self._started_at, 1e-3)
            return self.rate_hs
        # Found at one moment, as searches in steps find them, they tell no rate.
        elapsed_s = now - self._times[1]
        if elapsed_s > 0:
            rate_hs = NONCES_REMEMBERED * hashes / elapsed_s
            self.rate_hs = (9 * self.rate_hs + rate_hs) / 10
        return self.rate_hs
