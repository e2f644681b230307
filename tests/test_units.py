import pytest

from softaxe.units import printable


@pytest.mark.parametrize("text", ["", "Brücke 21,5 °C", "日本", "a  b\\n"])
def test_what_can_be_printed_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;cm0=\x07", "\\x1b]52;c;cm0=\\x07"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x7f\x9b2J", "\\x7f\\x9b2J"),
        ("\u202egpj", "\\u202egpj"),
        ("\u2028\ud800", "\\u2028\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
