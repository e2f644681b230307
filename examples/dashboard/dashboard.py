"""A small dashboard for Bitaxes: asks each, adds up, and says what is wrong.

python dashboard.py http://192.168.1.20 http://192.168.1.21
"""

import http.client
import json
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass

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
        asked = f"{url}/api/system/info"
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
            info = json.load(answer)
    except urllib.error.HTTPError as error:
        return Miner(url, problem=f"answers {error.code}")
    except (OSError, http.client.HTTPException):
        return Miner(url, problem="does not answer")
    except ValueError:
        return Miner(url, problem="answers nonsense")
    return Miner(
        url,
        info["hostname"],
        info["hashRate"],
        info["power"],
        info["temp"],
        _problem(info),
    )


def _problem(info: dict) -> str:
    if info["overheat_mode"]:
        return "overheated"
    if info.get("power_fault"):
        return "power fault"
    if info["temp"] > HOT_C:
        return "hot"
    if info["isUsingFallbackStratum"]:
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
