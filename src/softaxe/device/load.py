"""How busy the processor is, and how long it takes to send a share.

The firmware looks once a second how long it had nothing to do, and smooths that. What
each kind of work takes is an estimate. Source of the look: ESP-Miner v2.14.
"""

import random

CORES = 2
NEW_SHARE = 0.5
"""Of the newest look in what is told."""
IDLE_LOAD = 0.05
"""Of both cores: loops, display, timers."""
WIFI_LOAD = 0.02
"""Of both cores, while there is a network."""
JOB_S = 0.004
"""To make work and send it to the chips."""
NONCE_S = 0.02
"""To hash it, to log it, and to send it if it is a share."""
REQUEST_S = 0.03
"""To answer over HTTP."""
SHARE_MS, SHARE_SPREAD_MS, LEAST_SHARE_MS = 3.0, 0.8, 1.0
"""From the chip's nonce until its share is sent: mean, deviation and least."""
UPDATE_S = 0.02
"""To print all members, and to compare them, for the live socket."""


class CpuLoad:
    """`look` once a second, `count` when something is done."""

    def __init__(self, now: float) -> None:
        self.percent = 0.0
        """As `cpuUsage` tells it."""
        self.process_ms = 0.0
        """As `processTime` tells it, of the last share."""
        self._idle = 1.0
        self._busy_s = 0.0
        self._looked_at = now

    def count(self, seconds: float) -> None:
        """Take note of work for so many seconds of one core."""
        self._busy_s += seconds

    def send_share(self, rng: random.Random) -> None:
        """Take note of a share that is sent."""
        self.process_ms = max(LEAST_SHARE_MS, rng.gauss(SHARE_MS, SHARE_SPREAD_MS))

    def look(self, now: float, *, is_connected: bool, jobs_per_s: float) -> None:
        """Work out what the last second had to do.

        Args:
            now: Device time, later than at the last look.
            is_connected: There is a network.
            jobs_per_s: For the chips; 0 while they are away.
        """
        cores_s = (now - self._looked_at) * CORES
        if cores_s <= 0:
            return
        busy = self._busy_s / cores_s + jobs_per_s * JOB_S / CORES + IDLE_LOAD
        if is_connected:
            busy += WIFI_LOAD
        self._busy_s = 0.0
        self._looked_at = now
        self._idle += NEW_SHARE * (max(0.0, 1 - busy) - self._idle)
        self.percent = 100 - 100 * self._idle
