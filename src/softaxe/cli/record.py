"""`softaxe record`, `clone` and `check`: other people's devices, and a replay."""

import asyncio
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softaxe import __version__
from softaxe.cli.log_lines import LogLevel, ShowLog
from softaxe.cli.serving import serve
from softaxe.cli.terminal import (
    PROFILES,
    JsonOption,
    ProfileName,
    fail,
    folder_that_ends,
    print_json,
    run_loop,
    stop_on_signals,
)
from softaxe.errors import SoftaxeError, read_as
from softaxe.units import printable

if TYPE_CHECKING:
    from softaxe.recordings.clone import Copy

LEAST_INTERVAL_S = 0.1


def run_record(
    url: Annotated[str, typer.Argument(help="Of a Bitaxe, as http://HOST[:PORT].")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to.")
    ],
    duration: Annotated[str, typer.Option(help="How long, as 90s or 10m.")] = "1m",
    interval: Annotated[str, typer.Option(help="Between two looks.")] = "5s",
) -> None:
    """Record a device's answers, without what is private, to replay them."""
    from softaxe.expected import seconds_of  # noqa: PLC0415
    from softaxe.recordings.recorder import record  # noqa: PLC0415

    try:
        duration_s = read_as("--duration", seconds_of, duration)
        interval_s = read_as("--interval", seconds_of, interval)
        if interval_s < LEAST_INTERVAL_S:
            fail(f"--interval: {interval} is under {LEAST_INTERVAL_S:g} s")
        done = record(url, output, duration_s=duration_s, interval_s=interval_s)
    except SoftaxeError as error:
        fail(error)
    if done.is_full:
        typer.echo("It is as long as a recording may be, and ends here.")
    typer.echo(
        f"{done.entries} entries in {output}; play them: softaxe run --replay {output}"
    )


def run_clone(  # noqa: PLR0917 - Typer reads the options from the arguments
    url: Annotated[str, typer.Argument(help="Of a Bitaxe, as http://HOST[:PORT].")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a fleet file."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address of the copy.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Its HTTP port; 0 takes a free one.")
    ] = 8080,
    is_run: Annotated[
        bool, typer.Option("--run/--no-run", help="Run it, or only write the file.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Make a live virtual device like a real one: board, settings, and body."""
    from softaxe.client.axeos import AxeOS  # noqa: PLC0415
    from softaxe.fleet.groups import read_groups  # noqa: PLC0415
    from softaxe.fleet.options import FleetOptions  # noqa: PLC0415
    from softaxe.recordings.clone import copy_of, fleet_file  # noqa: PLC0415

    try:
        client = AxeOS(url)
        copy = copy_of(client.get_json("/api/system/info"))
        text = fleet_file(copy, client.url)
        groups = read_groups(tomllib.loads(text), "clone")
    except SoftaxeError as error:
        fail(error)
    if json:
        print_json(
            {
                "board": copy.board.version,
                "firmware": copy.release.tag,
                "settings": copy.settings,
                "readings": copy.readings,
                "leftOut": copy.left_out,
                "isWarm": copy.is_warm,
            }
        )
    else:
        _tell_copy(copy)
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            fail(f"{output}: {error.strerror}")
    if is_run:
        with folder_that_ends() as directory:
            options = FleetOptions(
                state=Path(directory),
                groups=groups,
                seed=None,
                host=host,
                port=port,
                start_time=int(time.time()),
            )
            show_log = ShowLog(LogLevel.NONE)
            run_loop(serve(options, show_log, "forgotten at the end", token=""))


def _tell_copy(copy: "Copy") -> None:
    from softaxe.catalog.firmware import is_known  # noqa: PLC0415
    from softaxe.recordings.clone import WARM_S  # noqa: PLC0415

    count = len(copy.settings)
    release = copy.release.tag
    runs = release if is_known(copy.version) else f"{release}, nearest to what it has"
    typer.echo(f"{copy.board.version} {copy.board.family}, {runs}, {count} settings")
    for reading in copy.readings:
        typer.echo(
            f"  {reading.name:10} {reading.theirs:10.2f}  copy {reading.ours:10.2f} "
            f"{reading.unit}"
        )
    if not copy.is_warm:
        typer.echo(
            f"  it is up for {copy.uptime_s:.0f} s and still warms up: clone it anew "
            f"after {WARM_S / 60:.0f} minutes"
        )
    if not copy.readings:
        typer.echo("  it does not hash, so nothing tells its body")
    if copy.left_out:
        typer.echo(f"  not allowed here: {', '.join(copy.left_out)}")
    typer.echo("  pool, user and Wi-Fi are not copied")


def run_check(
    url: Annotated[str, typer.Argument(help="Of a Bitaxe, as http://HOST[:PORT].")],
    profile: Annotated[
        ProfileName, typer.Option(help="Whose promises it should keep.")
    ] = ProfileName.DOCUMENTED,
    change: Annotated[
        bool,
        typer.Option("--change", help="Also change settings, and change them back."),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show what is as promised, too.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check a real or virtual Bitaxe against the API; exit 1 when it differs."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from softaxe.client.axeos import AxeOS  # noqa: PLC0415
    from softaxe.recordings.check import check  # noqa: PLC0415

    findings = []
    lost: SoftaxeError | None = None
    try:
        chosen = PROFILES[profile]
        for finding in check(AxeOS(url), profile=chosen, may_change=change):
            findings.append(finding)
    except SoftaxeError as error:
        lost = error
    differing = [finding for finding in findings if not finding.is_fine]
    if json:
        print_json(findings if everything else differing)
        if lost is not None:
            fail(lost)
        raise typer.Exit(1 if differing else 0)
    table = Table("what", "expected", "got")
    for finding in findings if everything else differing:
        # What a device says is text, whatever brackets or escapes are in it.
        cells = finding.what, finding.expected, finding.got
        table.add_row(*(Text(printable(cell)) for cell in cells))
    if table.row_count:
        Console().print(table)
    if findings:
        told = findings[0]  # the version by which the others are judged
        release = f"firmware {told.got}: " if told.is_fine else ""
        typer.echo(f"{release}{len(findings)} looked at, {len(differing)} differ")
    if lost is not None:
        fail(lost)
    raise typer.Exit(1 if differing else 0)


def serve_recording(path: Path, host: str, port: int) -> None:
    """Answer as a recorded device did, until a signal comes."""
    from softaxe.recordings.replay import load_recording, serve_replay  # noqa: PLC0415

    try:
        entries = load_recording(path)
    except SoftaxeError as error:
        fail(error)

    async def main() -> None:
        stopped = asyncio.Event()
        stop_on_signals(stopped.set)
        listener = await serve_replay(entries, host, port)
        typer.echo(f"softaxe {__version__}")
        typer.echo(f"  replays  {path}: {len(entries)} entries; nothing can be changed")
        typer.echo(f"  address  {listener.url}")
        typer.echo("Ctrl-C stops it.")
        sys.stdout.flush()
        try:
            await stopped.wait()
        finally:
            await listener.close()

    run_loop(main())
