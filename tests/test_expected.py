import json
from dataclasses import dataclass
from typing import Any

import pytest
from tests.each import each

from softaxe.description import read
from softaxe.errors import SettingError
from softaxe.expected import Requested, Tally, inner, seconds_of


@dataclass(frozen=True)
class Asked:
    seq: int
    now: float = 0.0
    device: str = "601-1"
    method: str = "PATCH"
    path: str = "/api/system"
    status: int = 200
    body: bytes = b'{"frequency": 485, "a": {"b": [1, 2]}, "s": "pool x"}'


def wanted(**members: Any) -> Requested:
    found: Requested = read(Requested, members)
    return found


def verdict(
    requested: Requested, *entries: Asked, now: float = 0.0, since: int = 0
) -> bool | None:
    tally = Tally(requested, since=since, since_s=0.0)
    for entry in entries:
        tally.see(entry)
    return tally.verdict(now, ["601-1", "601-2"])


@each(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("0.5s", 0.5), ("250ms", 0.25)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@each("text", ["", "90", "s", "1h 30m", "-1s", "1e9s", 90, "99d"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(SettingError, match=r"is no duration|is over"):
        seconds_of(text)


FIRST = {"device": "601-1"}


@each(
    ("members", "is_met"),
    [
        ({}, True),
        ({"method": "PATCH", "path": "/api/system", "status": 200}, True),
        ({"method": "POST"}, False),
        ({"path": "/api"}, False),
        ({"path": "/api*"}, True),
        ({"status": 400}, False),
        ({"body": {"frequency": 485}}, True),
        ({"body": {"frequency": 486}}, False),
        (
            {
                "body": {
                    "frequency": {
                        "below": 500,
                    }
                }
            },
            True,
        ),
        ({"body": {"frequency": {"above": 500}}}, False),
        ({"body": {"frequency": {"is_not": 485}}}, False),
        ({"body": {"s": {"contains": "pool"}}}, True),
        ({"body": {"s": {"below": 500}}}, False),
        ({"body": {"a.b.1": 2}}, True),
        ({"body": {"nothing": {"is_not": 2}}}, False),
        ({"body": {"frequency": 485, "s": "other"}}, False),
    ],
)
def test_requests_are_like_a_pattern_or_not(
    members: dict[str, Any], is_met: bool
) -> None:
    assert verdict(wanted(**FIRST, **members), Asked(1)) is is_met


@each("body", [b"", b"(4096 bytes or more, no text)", b"[1]"])
def test_a_body_that_is_no_table_has_no_members(body: bytes) -> None:
    requested = wanted(**FIRST, body={"frequency": {"below": 500}})

    assert verdict(requested, Asked(1, body=body)) is False


@each(
    ("count", "verdicts"),
    [
        # After no, one, two and three requests, in time and when it is over.
        ({}, "? False, True True, True True, True True"),
        ({"at_least": 2}, "? False, ? False, True True, True True"),
        ({"at_most": 1}, "? True, ? True, False False, False False"),
        ({"exactly": 2}, "? False, ? False, ? True, False False"),
        ({"exactly": 0}, "? True, False False, False False, False False"),
        ({"at_least": 1, "at_most": 2}, "? False, ? True, ? True, False False"),
    ],
)
def test_they_are_counted(count: dict[str, int], verdicts: str) -> None:
    requested = wanted(**FIRST, **count, within="5m")

    found = [
        [
            verdict(requested, *map(Asked, range(1, n + 1)), now=now)
            for now in (299.0, 300.0)
        ]
        for n in range(4)
    ]

    told = ", ".join(f"{a} {b}" for a, b in found).replace("None", "?")
    assert told == verdicts


def test_they_count_from_the_step_on_until_the_time_is_over() -> None:
    requested = wanted(**FIRST, within="5m")

    assert verdict(requested, Asked(7), since=7, now=300) is False
    assert verdict(requested, Asked(8, now=300.0), since=7, now=300) is True
    assert verdict(requested, Asked(8, now=300.1), since=7, now=301) is False


def test_each_device_is_counted_unless_any_is_meant() -> None:
    one, other = Asked(1), Asked(2, device="601-2")

    assert verdict(wanted(), one) is False
    assert verdict(wanted(), one, other) is True
    assert verdict(wanted(device="any"), other) is True
    assert verdict(wanted(device="any", exactly=1), one, other) is False
    assert verdict(wanted(exactly=1), one, other) is True
    assert verdict(wanted(device="nobody", exactly=0)) is False


def test_order_is_by_device() -> None:
    requested = wanted(
        **FIRST, method="POST", after={"method": "PATCH", "body": {"frequency": 485}}
    )
    patch, post = Asked(2), Asked(3, method="POST")

    assert verdict(requested, Asked(1, method="POST"), patch) is False
    assert verdict(requested, patch, post) is True
    assert verdict(requested, Asked(2, device="601-2"), post) is False


def test_what_the_journal_has_lost_may_have_been_one_too_many() -> None:
    tally = Tally(wanted(**FIRST, exactly=0), since=0, since_s=0)
    assert tally.verdict(1, ["601-1"]) is True

    tally.lost = 5

    assert tally.verdict(1, ["601-1"]) is False
    assert "no room for 5" in tally.found(["601-1"])


def test_it_tells_what_was_wanted_and_what_came_instead() -> None:
    requested = wanted(
        **FIRST,
        method="PATCH",
        path="/api/system",
        status=200,
        body={"frequency": {"below": 400}},
        within="5m",
        after={"method": "POST"},
    )
    tally = Tally(requested, since=0, since_s=0)
    tally.see(Asked(1, body=b'{"frequency": 485}'))

    assert requested.in_words() == (
        "601-1 gets PATCH /api/system with frequency is below 400 answered with 200 "
        "after POST: at least 1 within 300 s"
    )
    assert tally.found(["601-1"]) == (
        '{"601-1": 0}; not counted: 601-1 PATCH /api/system {"frequency": 485} 200'
    )
    assert wanted(exactly=0).in_words() == "all gets a request: never"
    assert wanted(at_most=3).in_words() == "all gets a request: at most 3"
    assert wanted(exactly=3).in_words() == "all gets a request: exactly 3"
    assert wanted(at_least=1, at_most=3).in_words() == "all gets a request: 1 to 3"
    assert tally.found([]) == "no device like '601-1'"


@each(
    ("members", "complaint"),
    [
        ({"method": "GO"}, "method: 'GO' is none of GET"),
        ({"exactly": 1, "at_most": 2}, "exactly: goes with neither"),
        ({"at_least": 3, "at_most": 2}, "at_least: 3 is more than at_most, 2"),
        ({"exactly": -1}, "exactly: -1 is no whole number of 0.."),
        ({"body": 1}, "body: 1 is no table of members"),
        ({"body": {"a": {"beneath": 1}}}, "body: a: beneath is none of equals"),
        ({"body": {"a": {"below": 1, "above": 0}}}, "body: a: has not one of"),
        ({"body": {"a": {"below": "x"}}}, "body: a: below: 'x' is no number"),
        ({"body": {"a": None}}, "body: a: null is no value"),
        ({"body": {"a": {1}}}, "body: a: {1} holds what JSON has not"),
        ({"within": 5}, "within: 5 is no duration"),
        ({"after": {"device": "x"}}, "after: device is none of method"),
    ],
)
def test_what_is_not_allowed_is_told(members: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        wanted(**members)

    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize("place", ["²", "٣", "9" * 5000, "-1", "7"])
def test_what_is_no_place_in_a_list_leads_nowhere(place: str) -> None:
    assert inner({"a": [1, 2]}, f"a.{place}") is None
    assert inner({place: 1}, place) == 1


def test_a_body_that_nobody_can_read_is_not_the_one() -> None:
    deep = b"[" * 5000 + b"]" * 5000

    assert not wanted(body={"a": 1}).is_met_by(Asked(1, body=deep))
    with pytest.raises(SettingError, match="is nested more than 20 deep"):
        wanted(body={"a": json.loads("[" * 21 + "]" * 21)})


def test_what_is_told_is_short() -> None:
    tally = Tally(wanted(device="x" * 9000), since=0, since_s=0)

    assert len(tally.found(["601-1"])) < 400
