from typing import Any

from tests.each import each

from softaxe.units import printable, with_suffix


@each("text", ["", "Brücke 21,5 °C", "日本", "a  b\\n"])
def test_what_can_be_printed_stays(text: str) -> None:
    assert printable(text) == text


@each(
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


def test_difficulties_are_shortened_as_in_the_reference(
    vectors: dict[str, Any],
) -> None:
    for vector in vectors["utils"]["suffix_string_sigdigits0"]:
        assert with_suffix(vector["value"]) == vector["expected"]
    assert with_suffix(512, " ") == "512 "
    assert with_suffix(0.8412) == "0.841"
    assert with_suffix(4_290_000_000, " ") == "4.29 G"
