"""`softaxe chip`: a board's chips behind a pseudo-terminal, or a board behind two."""

import asyncio
import os
import secrets
import signal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softaxe import __version__
from softaxe.bitcoin import kernel
from softaxe.catalog import board as board_named
from softaxe.cli.terminal import fail, run_loop, stop_on_signals
from softaxe.device.identity import MAX_SEED
from softaxe.errors import SoftaxeError
from softaxe.metal.raw import Dialect

if TYPE_CHECKING:
    from softaxe.metal.serial_chain import SerialOptions
    from softaxe.metal.usb_board import UsbBoard, UsbOptions


class ChipWork(StrEnum):
    """What is searched of what the chips hash."""

    REAL = "real"
    SCALED = "scaled"


def run_chip(
    *,
    board: Annotated[
        str, typer.Option(help="Board version or family whose chips are offered.")
    ] = "601",
    pty: Annotated[
        bool,
        typer.Option(
            "--pty", help="On a pseudo-terminal, which is the only way there is."
        ),
    ] = True,
    usb: Annotated[
        bool,
        typer.Option(
            "--usb",
            help="The whole board with firmware bitaxe-raw, as two pseudo-terminals: "
            "its control port, for power, fan and sensors, and that of the chips.",
        ),
    ] = False,
    dialect: Annotated[
        Dialect,
        typer.Option(
            help="With --usb: how the firmware answers, and dies: v0 is bitaxe-raw, vb "
            "its branch for the Bonanza, v1 RHAP-D."
        ),
    ] = Dialect.V1,
    link: Annotated[
        Path | None,
        typer.Option(
            help="With --usb: a folder for links `control` and `data` to the two, "
            "which outlive an unplugging."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=MAX_SEED - 1, help="Of all chance; by default a new one."
        ),
    ] = None,
    work: Annotated[
        ChipWork,
        typer.Option(
            help="What is hashed: real, every hash, as fast as a CPU does; scaled, one "
            "for 2^32 of the chips, so that hash rate and counters are theirs, at a "
            "CPU's ease, and nonces easier by these 32 bits."
        ),
    ] = ChipWork.REAL,
    ease_bits: Annotated[
        int,
        typer.Option(
            min=0,
            max=40,
            help="Report nonces so many bits easier than the host's ticket mask asks: "
            "a CPU finds a nonce of difficulty 256 only every few hours.",
        ),
    ] = 0,
) -> None:
    """Offer a board's chips, or a whole board, to a BM13xx host program."""
    if not pty or not hasattr(os, "openpty"):
        fail("--pty: this system has no pseudo-terminals")
    try:
        row = board_named(board)
    except SoftaxeError as error:
        fail(error)
    if not usb and (link is not None or dialect is not Dialect.V1):
        fail("--link and --dialect: they belong to --usb")
    chosen = secrets.randbelow(MAX_SEED) if seed is None else seed
    from softaxe.metal.usb_board import UsbOptions  # noqa: PLC0415

    options = UsbOptions(
        row,
        seed=chosen,
        ease_bits=ease_bits,
        is_scaled=work is ChipWork.SCALED,
        dialect=dialect,
        link=link,
    )
    run_loop(_offer_board(options) if usb else _offer_chips(options))


async def _offer_chips(options: "SerialOptions") -> None:
    from softaxe.metal.serial_chain import SerialChain  # noqa: PLC0415

    stopped, row = asyncio.Event(), options.board
    stop_on_signals(stopped.set)
    chain = SerialChain(options)
    typer.echo(f"softaxe {__version__}")
    typer.echo(f"  terminal {chain.path}")
    typer.echo(f"  chips    {row.asic_count} x {row.chip.name}, 115200 baud 8N1")
    _tell_rest(options.seed)
    typer.echo("Ctrl-C stops it.")
    try:
        await chain.run(stopped)
    finally:
        chain.close()


async def _offer_board(options: "UsbOptions") -> None:
    from softaxe.metal.usb_board import UsbBoard  # noqa: PLC0415

    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    stop_on_signals(stopped.set)
    row, link = options.board, options.link
    board = UsbBoard(options)
    loop.add_signal_handler(signal.SIGUSR1, board.turn_plug)
    loop.add_signal_handler(signal.SIGUSR2, board.press_reset)
    typer.echo(f"softaxe {__version__}: experimental")
    _tell_ports(board, link)
    board.on_change = lambda: _tell_ports(board, link)
    typer.echo(f"  board    {row.version}, {row.asic_count} x {row.chip.name}")
    typer.echo(f"  firmware bitaxe-raw, answers {options.dialect}")
    _tell_rest(options.seed)
    typer.echo(
        f"kill -USR1 {os.getpid()} pulls its plug or puts it back, -USR2 presses"
    )
    typer.echo("its reset button. Ctrl-C stops it.")
    try:
        await board.run(stopped)
    finally:
        board.close()


def _tell_ports(board: "UsbBoard", link: Path | None) -> None:
    if not board.paths:
        typer.echo("  unplugged")
    for name, path in board.paths.items():
        linked = "" if link is None else f", {link / name}"
        typer.echo(f"  {name:<8} {path}{linked}")


def _tell_rest(seed: int) -> None:
    typer.echo(f"  seed     {seed}")
    typer.echo(f"  kernel   {kernel.chosen_variant()}")
