"""How long a device has run and how much it has hashed in its whole life.

The hash rate task counts, once a second. The sums are in memory that a restart leaves
alone, and stored once an hour, so that a power cut costs up to an hour of them. Source:
ESP-Miner v2.15 system.c, hashrate_monitor_task.c.
"""

from collections.abc import Mapping
from math import log2

KEYS = ("total_uptime", "cum_hashes_hi", "cum_hashes_lo")
"""NVS keys: seconds, and two words of 64 bits of the hashes. Storage holds signed ones,
so the low word is written as one."""
WORD = 1 << 64
SAVE_TICKS = 3600
TICK_MS = 1000


class Totals:
    """Seconds and hashes, since ever and since boot.

    Args:
        stored: Rows by NVS key; other keys are left alone.
    """

    __slots__ = (
        "_hashes",
        "_last_ms",
        "_stored",
        "_ticks",
        "_uptime_before_s",
        "is_counting",
        "uptime_s",
    )

    def __init__(self, stored: Mapping[str, object]) -> None:
        self.is_counting = False
        """False in a release that keeps no totals."""
        self.uptime_s = 0
        """Since system init, as of the last tick."""
        self._stored = tuple(_whole(stored.get(key, 0)) for key in KEYS)
        self._uptime_before_s = 0
        self._hashes = 0.0
        self._ticks = 0
        self._last_ms: int | None = None

    def boot(self, *, is_counting: bool) -> None:
        """Go on with what is in memory or, after another release, what is stored."""
        if self.is_counting:
            self._uptime_before_s += self.uptime_s
        else:
            self._uptime_before_s, high, low = self._stored
            self._hashes = float(high * WORD + low % WORD)
        self.is_counting = is_counting
        self.uptime_s = 0
        self._ticks = 0
        self._last_ms = None

    def tick(self, now: float, uptime_s: float, rate_hs: float) -> dict[str, int]:
        """Count a second, when this release does.

        Returns:
            The rows to store, by NVS key; most times none.
        """
        if not self.is_counting:
            return {}
        self.uptime_s = int(uptime_s)
        now_ms = round(now * 1000)
        elapsed_ms = 0 if self._last_ms is None else now_ms - self._last_ms
        self._last_ms = now_ms
        if elapsed_ms >= TICK_MS:  # shorter ones are lost, as on a device
            self._hashes += elapsed_ms / 1000 * rate_hs
        self._ticks += 1
        if self._ticks % SAVE_TICKS:
            return {}
        high, low = divmod(int(self._hashes), WORD)
        signed = low - WORD if low >= WORD // 2 else low
        self._stored = (self.total_uptime_s, high, signed)
        return dict(zip(KEYS, self._stored, strict=True))

    @property
    def total_uptime_s(self) -> int:
        """Seconds of all boots together."""
        return self._uptime_before_s + self.uptime_s

    @property
    def hashes(self) -> float:
        """All that were ever computed."""
        return self._hashes

    @property
    def log2_work(self) -> float:
        """The same as a power of two; 0 for none."""
        return log2(self._hashes) if self._hashes else 0.0


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
