"""Which boards are taken, and how one is known."""

import pytest

from softaxe.asic import frames
from softaxe.catalog import board
from softaxe.errors import SettingError
from softaxe.metal.raw import Dialect
from softaxe.metal.recognise import board_of, check_board, check_dialect, chip_question


def test_gammas_are_taken_and_their_like_with_a_word() -> None:
    assert check_board(board("601"), is_forced=False) == ""
    assert "nobody has tried one" in check_board(board("402"), is_forced=False)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("205", "cannot be switched off over USB"),
        ("401", "only its power plug helps"),
        ("801", "its parts are others than a Gamma's"),
        ("302", "nobody has tried one"),
    ],
)
def test_others_are_taken_only_by_force(version: str, why: str) -> None:
    with pytest.raises(SettingError, match=f"board {version} .*{why}.*--force"):
        check_board(board(version), is_forced=False)

    assert why in check_board(board(version), is_forced=True)


def test_firmware_that_would_die_is_refused() -> None:
    check_dialect(board("601"), Dialect.V0)
    check_dialect(board("303"), Dialect.V1)
    with pytest.raises(SettingError, match="6 chips answer at once; take RHAP-D"):
        check_dialect(board("303"), Dialect.V0)
    with pytest.raises(SettingError, match="bonanza"):
        check_dialect(board("601"), Dialect.VB)


def test_a_chip_s_answer_names_the_board() -> None:
    # As a Gamma's chip answers, the noise of a port that opens before it.
    assert board_of(bytes.fromhex("00 aa55 1370 0000 00 00 06")).version == "601"
    assert board_of(bytes.fromhex("aa55 1368 0000 00 00 00")).chip.name == "BM1368"
    assert chip_question() == frames.read_all(0)


@pytest.mark.parametrize(
    ("answer", "told"), [(b"", "nothing"), (b"\xaa\x55\x13\x97", "aa 55 13 97")]
)
def test_what_is_no_known_chip_asks_for_the_board(answer: bytes, told: str) -> None:
    with pytest.raises(SettingError, match=f"answers {told}; say which --board"):
        board_of(answer)
