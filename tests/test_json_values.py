import math

import pytest
from tests.each import each

from softaxe.errors import SettingError
from softaxe.json_values import double, show, utf8_size, whole


@each(
    ("value", "cut"),
    [
        (65.9, 65),
        (-0.9, 0),
        (True, 1),
        (2**31, 2**31 - 1),
        (-1e300, -(2**31)),
        (10**400, 2**31 - 1),
    ],
)
def test_numbers_are_cut_and_saturated(value: float, cut: int) -> None:
    assert whole(value) == cut


def test_a_number_that_is_too_large_is_infinite() -> None:
    assert double(-(10**400)) == -math.inf


def test_a_text_is_measured_in_bytes() -> None:
    assert utf8_size("é", "ssid", "it") == 2
    with pytest.raises(SettingError, match="ssid: it holds half a character"):
        utf8_size("\ud800", "ssid", "it")


def test_values_are_quoted_in_one_short_line() -> None:
    values: list[object] = [None, True, [1], {}, 1.5, "a\nb", "x" * 99]
    shown = list(map(show, values))

    assert shown[:-1] == ["null", "true", "an array", "an object", "1.5", r"'a\nb'"]
    assert len(shown[-1]) == 80
