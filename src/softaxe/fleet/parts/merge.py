"""What several parts of a fleet answer, as one answer; that of one part stays as it is.

It does not matter how the parts are reached.
"""

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from softaxe.faults import MOST_NAMED
from softaxe.serve.share_load import joined

Table = dict[str, Any]
ROUNDED_TO = 9
"""Decimal places of sums; a CPU's real work is some 1e-5 GH/s."""


def totals(found: Sequence[Table]) -> Table:
    """Join what is told of all devices."""
    if len(found) == 1:
        return found[0]
    total = dict(found[0])
    for name in ("devices", "mining", "problems", "sharesAccepted", "sharesRejected"):
        total[name] = sum(one[name] for one in found)
    for name in ("hashRate", "expectedHashrate", "power"):
        total[name] = round(sum(one[name] for one in found), ROUNDED_TO)
    for name in ("hottest", "bestDiff"):
        total[name] = max(one[name] for one in found)
    ghs = total["hashRate"]
    total["efficiency"] = round(total["power"] / ghs * 1000, 2) if ghs > 1 else None
    groups = Counter[str]()
    for one in found:
        groups.update(one["groups"])
    total["groups"] = dict(groups)
    pools = [one["pool"] for one in found if one["pool"]]
    if pools:
        total["pool"] = {
            "url": ", ".join(pool["url"] for pool in pools),
            **_sums(pools, "connections", "sharesAccepted", "sharesRejected"),
        }
    return total


def load(found: Sequence[Table]) -> Table:
    """Join what shares have asked of pools."""
    names = ("submitted", "accepted", "waiting", "connections", "reconnects")
    rejected = Counter[str]()
    for one in found:
        rejected.update(one["rejected"])
    return {
        **_sums(found, *names, "connected_s", "sum_s"),
        "longest_s": max(one["longest_s"] for one in found),
        "rejected": dict(rejected.most_common()),
        "bins": joined([one["bins"] for one in found]),
        "rate": _rate([one["rate"] for one in found]),
    }


def _rate(found: Sequence[Table]) -> Table:
    hardest = max(one["difficulty"] for one in found)
    return {**_sums(found, *found[0]), "difficulty": hardest}


def history(found: Sequence[Table]) -> Table:
    """Join totals over time; the moments are those of the first part."""
    if len(found) == 1:
        return found[0]
    length = min(len(one["now"]) for one in found)
    rows = [
        {name: values[-length:] if length else [] for name, values in one.items()}
        for one in found
    ]
    joined: Table = {name: rows[0][name] for name in ("now", "time")}
    joined["happenings"] = happenings([one["happenings"] for one in found])
    for name in rows[0].keys() - joined.keys():
        join = max if name == "hottest" else sum
        columns = zip(*(row[name] for row in rows), strict=True)
        joined[name] = [round(join(values), ROUNDED_TO) for values in columns]
    return joined


def happenings(found: Sequence[Sequence[Table]]) -> list[Table]:
    """Join what has happened in the parts; a rule of faults is in all of them."""
    told: dict[Any, Table] = {}
    for number, part in enumerate(found):
        for one in part:
            place = number if one["devices"] else -1
            told.setdefault((round(one["now"]), one["kind"], one["label"], place), one)
    return sorted(told.values(), key=itemgetter("now"))


def windows(counts: Sequence[int], first: int, limit: int) -> list[tuple[int, int]]:
    """Return which rows of each part are wanted: the first, and how many.

    Args:
        counts: How many rows each part has.
        first: Place of the first row that is wanted, among those of all parts.
        limit: How many are wanted.
    """
    found = []
    for count in counts:
        wanted = max(0, min(count - first, limit))
        found.append((first, wanted))
        first, limit = max(0, first - count), limit - wanted
    return found


def miners(found: Sequence[Table], first: int, limit: int) -> Table:
    """Likewise of the miners at the parts' pools."""
    return _cut("miners", found, first, limit)


def _cut(name: str, found: Sequence[Table], first: int, limit: int) -> Table:
    chosen: list[Table] = []
    for one in found:
        chosen += one[name][first:][: limit - len(chosen)]
        first = max(0, first - one["total"])
    return {"total": sum(one["total"] for one in found), name: chosen}


def pool(found: Sequence[Table]) -> Table:
    """Join what is told of the parts' pools; the first one's chain stands for all."""
    first = found[0]
    protocols = {
        name: _counts([one["protocols"][name] for one in found])
        for name in first["protocols"]
    }
    urls = [url for one in found for url in one["urls"]]
    return first | _counts(found) | {"urls": urls, "protocols": protocols}


def _counts(found: Sequence[Table]) -> Table:
    rejected = Counter[str]()
    for one in found:
        rejected.update(one["sharesRejected"])
    names = ("connections", "sharesAccepted", "acceptedDifficulty", "blocksFound")
    return _sums(found, *names) | {
        "sharesRejected": dict(rejected),
        "bestDifficulty": max(one["bestDifficulty"] for one in found),
    }


def faults(found: Sequence[Table]) -> Table:
    """Join the rules, which all parts have, and whom they meet in all of them."""
    first, *others = found
    told = [{rule["id"]: rule for rule in one["faults"]} for one in others]
    same = (
        fault([rule, *(one[rule["id"]] for one in told if rule["id"] in one)])
        for rule in first["faults"]
    )
    return first | {"faults": list(same)}


def fault(found: Sequence[Table]) -> Table:
    """Join what the parts tell of one rule."""
    named = [name for one in found for name in one["devices"]]
    return (
        found[0]
        | _sums(found, "matches", "strangers")
        | {"devices": named[:MOST_NAMED]}
    )


def snapshots(found: Sequence[Table]) -> Table:
    """Join what is told of the snapshots that all parts have.

    A part that has died and come back has none of those from before.
    """
    named: dict[str, list[Table]] = {}
    for part in found:
        for one in part["snapshots"]:
            named.setdefault(one["name"], []).append(one)
    whole = [pieces for pieces in named.values() if len(pieces) == len(found)]
    return {"snapshots": [snapshot(pieces) for pieces in whole]}


def snapshot(found: Sequence[Table]) -> Table:
    """Join what the parts tell of their pieces of one snapshot."""
    return found[0] | _sums(found, "devices", "bytes")


def _sums(found: Sequence[Table], *names: str) -> Table:
    return {name: sum(one[name] for one in found) for name in names}
