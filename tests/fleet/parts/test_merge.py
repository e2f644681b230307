"""Answers of several parts as one, with no part behind them."""

from typing import Any

from tests.each import each

from softaxe.fleet.parts import merge


@each(
    ("first", "limit", "wanted"),
    [(0, 9, "abcde"), (1, 2, "bc"), (0, 0, ""), (3, 1, "d"), (4, 9, "e"), (7, 2, "")],
)
def test_rows_are_cut_out_of_those_of_all_parts(
    first: int, limit: int, wanted: str
) -> None:
    parts = ["ab", "", "cde"]

    windows = merge.windows([len(part) for part in parts], first, limit)

    found = [
        part[begin:][:count]
        for part, (begin, count) in zip(parts, windows, strict=True)
    ]
    assert "".join(found) == wanted
    assert [count for _, count in windows] == [len(rows) for rows in found]


def totals(**more: Any) -> dict[str, Any]:
    return {
        "devices": 2,
        "mining": 1,
        "problems": 1,
        "hashRate": 1000.5,
        "expectedHashrate": 2000.0,
        "power": 15.25,
        "efficiency": 15.24,
        "hottest": 50.0,
        "sharesAccepted": 3,
        "sharesRejected": 1,
        "bestDiff": 7,
        "groups": {"a": 2},
        "pool": {
            "url": "x:1",
            "connections": 2,
            "sharesAccepted": 3,
            "sharesRejected": 1,
        },
        "faults": 4,
        **more,
    }


def test_totals_add_up_but_for_what_is_greatest_or_the_same() -> None:
    other = totals(hottest=60.0, bestDiff=5, groups={"a": 1, "b": 1}, power=0.1)

    joined = merge.totals([totals(), other])

    assert (joined["devices"], joined["sharesAccepted"]) == (4, 6)
    assert (joined["hashRate"], joined["power"]) == (2001.0, 15.35)
    assert joined["efficiency"] == 7.67
    assert (joined["hottest"], joined["bestDiff"], joined["faults"]) == (60.0, 7, 4)
    assert joined["groups"] == {"a": 3, "b": 1}
    assert joined["pool"]["url"] == "x:1, x:1"
    assert joined["pool"]["connections"] == 4


def test_what_pools_have_seen_adds_up() -> None:
    counts = {
        "connections": 2,
        "sharesAccepted": 3,
        "sharesRejected": {"a": 1},
        "acceptedDifficulty": 0.5,
        "bestDifficulty": 4.0,
        "blocksFound": 1,
    }
    one = {"urls": ["x"], "height": 9, **counts, "protocols": {"v1": counts}}
    two = one | {"urls": ["y"], "sharesRejected": {"b": 2}, "bestDifficulty": 5.0}

    joined = merge.pool([one, two])

    twice = {"connections": 4, "sharesAccepted": 6, "acceptedDifficulty": 1.0}
    twice |= {"blocksFound": 2}
    v1 = {**twice, "sharesRejected": {"a": 2}, "bestDifficulty": 4.0}
    assert joined == {
        "urls": ["x", "y"],
        "height": 9,
        **twice,
        "sharesRejected": {"a": 1, "b": 2},
        "bestDifficulty": 5.0,
        "protocols": {"v1": v1},
    }


def test_what_one_part_says_is_left_as_it_is() -> None:
    alone = totals()

    assert merge.totals([alone]) is alone


def test_the_history_is_as_long_as_that_of_every_part() -> None:
    one: dict[str, Any] = {
        "now": [1, 2],
        "time": [8, 9],
        "hashRate": [1, 2],
        "power": [1, 1],
        "hottest": [9, 1],
    }
    begun = {"now": 1.0, "kind": "fault", "label": "silent begins", "devices": 0}
    boot = {"now": 0.5, "kind": "restart", "label": "panic", "devices": 1}
    one["happenings"] = [begun]
    two: dict[str, Any] = {
        "now": [2],
        "time": [9],
        "hashRate": [5],
        "power": [1],
        "hottest": [3],
    }

    two["happenings"] = [boot, {**begun, "now": 1.1}]

    joined = merge.history([one | {"mining": [1, 1]}, two | {"mining": [1]}])

    assert joined == {
        "now": [2],
        "time": [9],
        "hashRate": [7],
        "power": [2],
        "hottest": [3],
        "mining": [2],
        "happenings": [boot, begun],
    }


def test_a_rule_meets_as_many_as_in_all_parts() -> None:
    def told(*matches: int) -> dict[str, Any]:
        rules = [
            {"id": str(n), "matches": m, "strangers": 0, "devices": m * ["x"]}
            for n, m in enumerate(matches)
        ]
        return {"faults": rules, "effects": []}

    joined = merge.faults([told(1, 0), told(2, 55)])

    assert [rule["matches"] for rule in joined["faults"]] == [3, 55]
    assert [len(rule["devices"]) for rule in joined["faults"]] == [3, 10]


def test_a_snapshot_is_as_large_as_its_pieces() -> None:
    piece = {"name": "x", "now": 1.0, "devices": 2, "bytes": 10}

    joined = merge.snapshots([{"snapshots": [piece]}, {"snapshots": [piece]}])

    whole = {"name": "x", "now": 1.0, "devices": 4, "bytes": 20}
    assert joined == {"snapshots": [whole]}


def test_a_snapshot_that_a_part_has_lost_is_none() -> None:
    kept, lost = [{"name": name, "devices": 2, "bytes": 10} for name in "xy"]

    joined = merge.snapshots([{"snapshots": [kept]}, {"snapshots": [lost, kept]}])

    assert [one["name"] for one in joined["snapshots"]] == ["x"]
