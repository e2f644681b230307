"""What is told of the load on pools: as JSON, and as the table at a run's end."""

from collections.abc import Iterator
from typing import Any

from softaxe.serve.share_load import quantile_s

Table = dict[str, Any]
NAMES = ("wished", "possible")
MANY = 100
UNITS = (("TH/s", 1e12), ("GH/s", 1e9), ("MH/s", 1e6), ("kH/s", 1e3))
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def load_to_json(load: Table) -> Table:
    """Return what the control API tells.

    Args:
        load: Of all parts of a fleet, joined.
    """
    answers = sum(load["bins"])
    connected_s = load["connected_s"]
    per_minute = load["submitted"] * 60 / connected_s if connected_s else None
    reply_ms = None
    if answers:
        longest_s = load["longest_s"]
        reply_ms = {
            name: _ms(quantile_s(load["bins"], share, longest_s=longest_s))
            for name, share in QUANTILES.items()
        }
        reply_ms |= {"mean": _ms(load["sum_s"] / answers), "longest": _ms(longest_s)}
    return {
        "submitted": load["submitted"],
        "accepted": load["accepted"],
        "rejected": load["rejected"],
        "waiting": load["waiting"],
        "unanswered": load["submitted"] - answers - load["waiting"],
        "connections": load["connections"],
        "reconnects": load["reconnects"],
        "sharesPerMinute": None if per_minute is None else round(per_minute, 3),
        "replyMs": reply_ms,
        "wished": _wished(load["rate"]),
    }


def _wished(rate: Table) -> Table | None:
    if not rate["devices"]:
        return None
    return {
        "devices": rate["devices"],
        "sharesPerMinute": round(rate["wished"], 3),
        "possiblePerMinute": round(rate["possible"], 3),
        "shortDevices": rate["short"],
        "hardestDifficulty": rate["difficulty"],
    }


def shortage(load: Table) -> str | None:
    """Say in one line why shares cannot come as often as wished; None if they can.

    Args:
        load: As for `load_to_json`.
    """
    rate = load["rate"]
    if not rate["short"]:
        return None
    wished, possible = (_number(rate[f"short_{name}"]) for name in NAMES)
    needed, most = _hash_rate(rate["needed_hs"]), _hash_rate(rate["most_hs"])
    return (
        f"{rate['short']} of {rate['devices']} devices cannot submit as often as "
        f"--share-rate says: their pools ask for difficulties up to "
        f"{rate['difficulty']:.3g}, for which {wished} shares a minute in all take "
        f"{needed}; --cpu-percent gives {most}, about {possible} a minute"
    )


def report(load: Table) -> Iterator[str]:
    """Yield the lines that end a run.

    Args:
        load: As for `load_to_json`.
    """
    told, short = load_to_json(load), shortage(load)
    rate = told["sharesPerMinute"]
    behind = "" if rate is None else f", {rate:.3g} a minute of each device"
    yield f"  submitted    {told['submitted']}{behind}"
    yield f"  accepted     {told['accepted']}"
    yield f"  rejected     {sum(told['rejected'].values())}"
    for reason, count in told["rejected"].items():
        yield f"    {count:>10} {reason}"
    unanswered = told["waiting"] + told["unanswered"]
    yield f"  unanswered   {unanswered}, {told['waiting']} of them still under way"
    if (ms := told["replyMs"]) is not None:
        times = ", ".join(f"{name} {value:g} ms" for name, value in ms.items())
        yield f"  reply after  {times}"
    if short is not None:
        yield f"  too few      {short}"
    yield f"  connections  {told['connections']}, {told['reconnects']} of them again"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= MANY else f"{value:.3g}"


def _hash_rate(rate_hs: float) -> str:
    unit, of_hs = next(row for row in UNITS if rate_hs >= row[1] or row[1] == 1e3)
    return f"{float(f'{rate_hs / of_hs:.3g}'):g} {unit}"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{seconds * 1000:.4g}")
