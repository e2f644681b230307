"""`softaxe chip`: a board's chips behind a pseudo-terminal."""

import asyncio
import os
import secrets
from typing import Annotated

import typer

from softaxe import __version__
from softaxe.bitcoin import kernel
from softaxe.catalog import board as board_named
from softaxe.cli.terminal import fail, run_loop, stop_on_signals
from softaxe.device.identity import MAX_SEED
from softaxe.errors import SoftaxeError


def run_chip(
    board: Annotated[
        str, typer.Option(help="Board version or family whose chips are offered.")
    ] = "601",
    pty: Annotated[
        bool,
        typer.Option(
            "--pty", help="On a pseudo-terminal, which is the only way there is."
        ),
    ] = True,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=MAX_SEED - 1, help="Of all chance; by default a new one."
        ),
    ] = None,
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
    """Offer a board's chips to a BM13xx host program; every hash is real."""
    if not pty or not hasattr(os, "openpty"):
        fail("--pty: this system has no pseudo-terminals")
    from softaxe.metal.serial_chain import (  # noqa: PLC0415
        SerialChain,
        SerialOptions,
    )

    try:
        row = board_named(board)
    except SoftaxeError as error:
        fail(error)

    async def main() -> None:
        stopped = asyncio.Event()
        stop_on_signals(stopped.set)
        chosen = secrets.randbelow(MAX_SEED) if seed is None else seed
        chain = SerialChain(SerialOptions(row, seed=chosen, ease_bits=ease_bits))
        typer.echo(f"softaxe {__version__}")
        typer.echo(f"  terminal {chain.path}")
        typer.echo(f"  chips    {row.asic_count} x {row.chip.name}, 115200 baud 8N1")
        typer.echo(f"  seed     {chosen}")
        typer.echo(f"  kernel   {kernel.chosen_variant()}")
        typer.echo("Ctrl-C stops it.")
        try:
            await chain.run(stopped)
        finally:
            chain.close()

    run_loop(main())
