"""Which boards are taken, and which one this is when nobody says."""

from softaxe.asic import frames
from softaxe.catalog import Board
from softaxe.catalog import board as board_named
from softaxe.errors import SettingError
from softaxe.metal.raw import Dialect

TRIED = frozenset({"600", "601", "602"})
"""Boards for which there is a firmware that passes their bytes on."""
LIKE_THEM = frozenset({"207", "402", "403"})
"""Of the same regulator, fan controller and diode; nobody has tried one."""
BY_CHIP = {0x1370: "601", 0x1368: "402", 0x1366: "207"}
"""The board that is meant by its chip, of those with a regulator that answers."""
ANY_CHIP_V = 1.15
"""Core voltage that every one of these chips may have."""
CHIP_ID_REGISTER = 0x00
MANY_CHIPS = 6
"""Whose answers to one question are more than a USB packet."""


def check_board(board: Board, *, is_forced: bool) -> str:
    """Look whether a board may be used; return what must be told of it.

    Raises:
        SettingError: It may not, or only if somebody insists.
    """
    name = f"board {board.version} ({board.family})"
    if board.version in TRIED:
        return ""
    if board.version in LIKE_THEM:
        return f"{name}: nobody has tried one; it should be as a Gamma"
    if not board.has_tps546:
        why = (
            f"{name}: its core voltage cannot be switched off over USB: if something "
            "goes wrong only its power plug helps"
        )
    else:
        why = f"{name}: nobody has tried one, and its parts are others than a Gamma's"
    if not is_forced:
        raise SettingError(f"--metal: {why}; --force takes it all the same")
    return why


def check_dialect(board: Board, dialect: Dialect | None) -> None:
    """Look whether a firmware can carry what a board says.

    Raises:
        SettingError: It cannot.
    """
    if dialect is Dialect.VB:
        raise SettingError("--metal: the firmware of a bonanza board is not supported")
    if dialect is Dialect.V0 and board.asic_count >= MANY_CHIPS:
        raise SettingError(
            f"--metal: firmware that answers as {dialect} dies of what "
            f"{board.asic_count} chips answer at once; take RHAP-D"
        )


def chip_question() -> bytes:
    """What every chip answers with its kind."""
    return frames.read_all(CHIP_ID_REGISTER)


def board_of(answer: bytes) -> Board:
    """Return the board of the chip that has answered so.

    Raises:
        SettingError: It is no answer, or that of another chip.
    """
    start = answer.find(frames.CHIP_PREAMBLE)
    chip_id = int.from_bytes(answer[start + 2 : start + 4])
    if start < 0 or chip_id not in BY_CHIP:
        told = answer.hex(" ") or "nothing"
        raise SettingError(f"--metal: the chip answers {told}; say which --board it is")
    return board_named(BY_CHIP[chip_id])
