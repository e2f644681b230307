from dataclasses import fields
from itertools import pairwise

from softaxe.catalog.firmware import firmware, versions
from softaxe.device.profile import DOCUMENTED, FIRMWARE, ROWS, STRICT, Kind, Profile

PROFILES = (DOCUMENTED, STRICT, FIRMWARE)


def test_each_difference_is_kept_by_the_page_and_not_by_the_firmware() -> None:
    for name in ROWS:
        assert [getattr(one, name) for one in PROFILES] == [True, True, False]


def test_each_difference_says_what_both_sides_do() -> None:
    assert len(ROWS) == len(fields(Profile)) - 2
    for row in ROWS.values():
        assert row.page
        said = [words for words in row.steps.values() if words]
        assert said
        assert row.page not in said
        values = list(row.steps.values())
        assert all(one != other for one, other in pairwise(values))


def test_a_difference_is_told_with_the_version_that_makes_it() -> None:
    row = ROWS["actions_answer_json"]

    assert row.text(firmware("2.12")) == f"{row.page}; v2.12.2: plain text"
    assert row.text(firmware("2.9")) == f"{row.page}; v2.9.0: text of type text/html"
    assert row.text(firmware("2.13")) is None


def test_what_a_version_does_as_the_page_says_is_so_in_every_profile() -> None:
    for version in versions():
        of = firmware(version)
        assert DOCUMENTED.on(of) is DOCUMENTED
        for name, row in ROWS.items():
            assert getattr(FIRMWARE.on(of), name) is (row.text(of) is None)


def test_a_demand_is_told_or_refused_and_a_promise_kept() -> None:
    for name, row in ROWS.items():
        is_demand = row.kind is Kind.DEMAND
        keeping = [one.keeps(name) for one in PROFILES]
        assert keeping == [not is_demand, True, False]
        assert [one.warns_of(name) for one in PROFILES] == [is_demand, False, False]
