from dataclasses import fields

from softaxe.device.profile import DOCUMENTED, FIRMWARE, ROWS, STRICT, Kind, Profile

PROFILES = (DOCUMENTED, STRICT, FIRMWARE)


def test_each_difference_is_kept_by_the_page_and_not_by_the_firmware() -> None:
    for name in ROWS:
        assert [getattr(one, name) for one in PROFILES] == [True, True, False]


def test_each_difference_says_what_both_sides_do() -> None:
    assert len(ROWS) == len(fields(Profile)) - 2
    for row in ROWS.values():
        assert row.page
        assert row.firmware
        assert row.page != row.firmware
        assert row.text == f"{row.page}; v2.12.2: {row.firmware}"


def test_a_demand_is_told_or_refused_and_a_promise_kept() -> None:
    for name, row in ROWS.items():
        is_demand = row.kind is Kind.DEMAND
        keeping = [one.keeps(name) for one in PROFILES]
        assert keeping == [not is_demand, True, False]
        assert [one.warns_of(name) for one in PROFILES] == [is_demand, False, False]
