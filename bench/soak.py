"""A fleet through many hours of device time: is its memory flat, is no share lost?

`python -m bench.soak --count 1000 --hours 24 --workers 2`. It prints a line per hour of
device time: what the processes hold in memory, and the shares as the devices and the
built-in pools count them. It fails when the two disagree, when a device has no
connection to its pool, or when memory grows by more than a tenth between the first half
and the end.
"""

import argparse
import sys
import time

from bench.fleet import fleet_running, get, post

STEP_S = 600
"""Device time per request to the control API."""
MOST_GROWTH = 1.10


def soak(count: int, hours: int, workers: int) -> bool:
    """Run it; True when memory was flat and all shares were counted alike."""
    held, began, is_alike = [], time.monotonic(), True
    names = "sharesAccepted", "sharesRejected"
    with fleet_running(count, workers=workers) as fleet:
        post(f"{fleet.url}/clock", {"paused": True}, method="PATCH")
        print(f"{'hour':>4} {'memory':>9} {'accepted':>12} {'refused':>9} {'took':>9}")
        for hour in range(1, hours + 1):
            for _ in range(3600 // STEP_S):
                post(f"{fleet.url}/clock/advance", {"seconds": STEP_S})
            totals = get(f"{fleet.url}/fleet")
            devices = [totals[name] for name in names]
            pool = [totals["pool"][name] for name in names]
            held.append(fleet.memory_mb())
            connected = totals["pool"]["connections"]
            is_alike &= devices == pool and connected == count
            told = "" if devices == pool else f"  the pools say {pool}"
            told += "" if connected == count else f"  {connected} connected"
            print(
                f"{hour:4} {held[-1]:6.0f} MB {devices[0]:12,} {devices[1]:9,} "
                f"{time.monotonic() - began:7.0f} s{told}",
                flush=True,
            )
    return is_alike and held[-1] <= MOST_GROWTH * max(held[: (hours + 1) // 2])


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    if not soak(chosen.count, chosen.hours, chosen.workers):
        sys.exit("shares or connections were lost, or memory grew")


if __name__ == "__main__":
    main()
