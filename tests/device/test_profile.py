from dataclasses import fields

from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile, differences


def test_each_difference_is_kept_in_one_profile_and_not_in_the_other() -> None:
    for row in differences():
        assert getattr(DOCUMENTED, row.name) is True
        assert getattr(FIRMWARE, row.name) is False


def test_each_difference_says_what_both_sides_do() -> None:
    assert len(differences()) == len(fields(Profile)) - 1
    for row in differences():
        assert row.page
        assert row.firmware
        assert row.page != row.firmware
