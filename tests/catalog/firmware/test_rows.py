from itertools import pairwise

import pytest

from softaxe.catalog.firmware.rows import LOG_MARK, ROWS, release, rows_of


def test_a_row_holds_from_one_release_to_the_next() -> None:
    assert rows_of((2, 8, 1)).json_layout == "formatted"
    assert rows_of((2, 13, 2)).json_layout == "formatted"
    assert rows_of((2, 14, 0)).json_layout == "compact"
    assert rows_of((2, 14, 1)).log_mark == ""
    assert rows_of((2, 14, 2)).log_mark == LOG_MARK


def test_every_row_has_words_and_a_value_that_changes() -> None:
    for row in ROWS.values():
        assert row.words, row.name
        assert list(row.steps) == sorted(row.steps), row.name
        values = list(row.steps.values())
        assert len(values) > 1, row.name
        assert all(a != b for a, b in pairwise(values)), row.name


def test_the_invisible_mark_spells_bitaxe() -> None:
    bits = "".join(str("\u200b\u200c".index(digit)) for digit in LOG_MARK[1:-1])

    assert LOG_MARK[0] == LOG_MARK[-1] == "\u2060"
    assert int(bits, 2).to_bytes(6) == b"bitaxe"


def test_a_release_is_read_with_what_it_leaves_out_as_0() -> None:
    assert release("v2.14.2") == (2, 14, 2)
    assert release("2.14") == (2, 14, 0)
    with pytest.raises(ValueError, match="is no release"):
        release("2.14-dirty")
