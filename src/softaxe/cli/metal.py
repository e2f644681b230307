"""`softaxe run --metal` and `softaxe metal probe`: a board that is there, on USB."""

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace as replaced

from softaxe.cli.log_lines import ShowLog
from softaxe.cli.serving import serve, watch_mining
from softaxe.cli.terminal import JsonOption, fail, print_json, run_loop, warn
from softaxe.errors import SoftaxeError

if TYPE_CHECKING:
    from softaxe.catalog import Board
    from softaxe.fleet.fleet import Fleet
    from softaxe.fleet.options import FleetOptions
    from softaxe.metal.host import MetalHost
    from softaxe.metal.ports import Place

OF_METAL = frozenset(
    {
        *("metal", "force", "host", "port", "advertise", "allow_network", "pool_host"),
        *("board", "pool", "pool_cert", "user", "password", "seed", "www", "erase_www"),
        *("first_boot", "state", "reset", "ephemeral", "firmware", "mdns", "profile"),
        *("strict", "networks", "log_level", "log_format"),
    }
)
"""Options of `run` that make sense for a board whose time, work and air are real."""
UNTRIED = (
    "--metal is experimental: it was tried on an emulated board only, and what goes "
    "wrong is heat; stay with it, and have the power plug at hand (docs/metal.md)"
)
POOL_DIFFICULTY, POOL_LEAST_DIFFICULTY = 1000.0, 0.001
"""Of the built-in pool for chips that are there."""
POOL_NETWORK_DIFFICULTY = 146_472_570_619_930.0
"""As on chain in 2026, so that no share is a block."""

app = typer.Typer(
    help="Boards on USB (experimental).", no_args_is_help=True, name="metal"
)


@app.callback()
def of_metal() -> None:
    """Look at boards that are there, on USB (experimental)."""


@app.command()
def probe(
    where: Annotated[
        str,
        typer.Argument(
            metavar="WHERE",
            help="auto, a USB serial number, or the paths of control and data port "
            "with a comma between.",
        ),
    ] = "auto",
    json: JsonOption = False,
) -> None:
    """Read what a board on USB is and measures; nothing is written to it."""
    place = _place(where)
    from softaxe.metal.probe import look_around  # noqa: PLC0415 - needs serialx

    found = run_loop(look_around(place))
    if json:
        print_json(found)
        return
    width = max(map(len, found))
    for name, value in found.items():
        typer.echo(f"{name:<{width}}  {value}")


def serve_metal(
    options: "FleetOptions",
    where: str,
    show_log: ShowLog,
    state: str,
    *,
    is_told: bool,
    is_forced: bool,
) -> None:
    """Be the firmware of a board until a signal comes.

    Args:
        options: Of the device.
        where: The board is.
        show_log: Takes the device's log.
        state: Where what it stores is, in words.
        is_told: Which board it is has been said.
        is_forced: One is taken that nobody has tried.
    """
    place = _place(where)
    work = _serve(
        for_metal(options), place, show_log, state, is_told=is_told, is_forced=is_forced
    )
    run_loop(work)


def check_metal(where: str | None, given: set[str]) -> None:
    """Refuse options of `run` that ask a real board for what only a model can do."""
    if where is None:
        if "force" in given:
            fail("--force: goes with --metal")
        return
    for name in sorted(given - OF_METAL):
        fail(f"--{name.replace('_', '-')}: a board that is there has no use for it")
    if sys.platform == "win32":
        fail("--metal: needs Linux or macOS, as its guard shares the port")


def for_metal(options: "FleetOptions") -> "FleetOptions":
    """Return options whose built-in pool is one for chips that are there."""
    from softaxe.fleet.options import PoolOptions  # noqa: PLC0415

    pool = PoolOptions(
        usual_difficulty=POOL_DIFFICULTY,
        smallest_difficulty=POOL_LEAST_DIFFICULTY,
        difficulty_unit=POOL_LEAST_DIFFICULTY,
        network_difficulty=POOL_NETWORK_DIFFICULTY,
    )
    return replace(options, control="none", pool=pool)


async def _serve(
    options: "FleetOptions",
    place: "Place",
    show_log: ShowLog,
    state: str,
    *,
    is_told: bool,
    is_forced: bool,
) -> None:
    from softaxe.catalog import board as board_named  # noqa: PLC0415
    from softaxe.metal.recognise import check_board  # noqa: PLC0415

    (group,) = options.groups
    (named,) = group.boards
    board = board_named(named)
    warn(UNTRIED)
    if not is_told:
        board = await _recognised(board, place)
    if told := check_board(board, is_forced=is_forced):
        warn(told)
    host = _host(board, place)
    try:
        await host.start()

        async def play(fleet: "Fleet") -> None:
            (member,) = fleet.members.values()
            await asyncio.gather(host.serve(member), watch_mining(member))

        group = replaced(group, boards=(board.version,))
        options = replace(options, groups=(group,), body=host.body)
        await serve(options, show_log, state, "", play)
    finally:
        await host.close()


async def _recognised(like: "Board", place: "Place") -> "Board":
    """Find out which board it is, as one that is alike is brought up."""
    host = _host(like, place)
    try:
        await host.start()
        board = await host.recognise()
    finally:
        await host.close()
    warn(f"the chip is a {board.chip.name}: board {board.version} ({board.family})")
    return board


def _host(board: "Board", place: "Place") -> "MetalHost":
    from softaxe.metal.host import MetalHost  # noqa: PLC0415

    return MetalHost(board, place, warn=warn)


def _place(where: str) -> "Place":
    try:
        from softaxe.metal.ports import place  # noqa: PLC0415 - needs serialx

        return place(where)
    except SoftaxeError as error:
        fail(error)
