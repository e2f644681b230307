"""A small dashboard for Bitaxes: asks each, adds up, and says what is wrong.

python dashboard.py http://192.168.1.20 http://192.168.1.21
"""

import sys
from dataclasses import dataclass

import softaxe
from softaxe.client.info import Info
from softaxe.errors import BadResponse, DeviceError

TIMEOUT_S = 5.0
HOT_C = 70


@dataclass(frozen=True)
class Miner:
    """What one Bitaxe says."""

    url: str
    name: str = ""
    hashrate_ghs: float = 0.0
    power_w: float = 0.0
    temp_c: float = 0.0
    problem: str = ""


def read(url: str) -> Miner:
    """Ask one Bitaxe; a problem is told, not raised."""
    try:
        info = softaxe.AxeOS(url, timeout_s=TIMEOUT_S).info()
    except BadResponse:
        return Miner(url, problem="answers nonsense")
    except DeviceError:
        return Miner(url, problem="does not answer")
    return Miner(
        url,
        info.hostname or "",
        info.hashRate or 0.0,
        info.power or 0.0,
        info.temp or 0.0,
        _problem(info),
    )


def _problem(info: Info) -> str:
    if info.overheat_mode:
        return "overheated"
    if info.power_fault:
        return "power fault"
    if info.temp is not None and info.temp > HOT_C:
        return "hot"
    if info.isUsingFallbackStratum:
        return "on the fallback pool"
    return ""


def summary(miners: list[Miner]) -> str:
    """Say it in a line each, and a sum."""
    lines = [
        f"{m.name or m.url:20} {m.hashrate_ghs:8.0f} GH/s {m.power_w:6.1f} W "
        f"{m.problem}"
        for m in miners
    ]
    ghs = sum(m.hashrate_ghs for m in miners)
    watts = sum(m.power_w for m in miners)
    return "\n".join([*lines, f"{'all':20} {ghs:8.0f} GH/s {watts:6.1f} W"])


if __name__ == "__main__":
    print(summary([read(url) for url in sys.argv[1:]]))
