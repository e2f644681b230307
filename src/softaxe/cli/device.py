"""`softaxe device URL ...`: any Bitaxe from a terminal, real or virtual."""

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer
from typer.core import TyperGroup

from softaxe.cli.terminal import JsonOption, fail, print_json, run_loop, warn
from softaxe.errors import SettingError, SoftaxeError
from softaxe.units import printable

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table

    from softaxe.client.axeos import AxeOS
    from softaxe.client.discovery import Found
    from softaxe.client.info import Info

T = TypeVar("T")
FOUND_WANTING = 1
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""Around lines of a log. Source: ECMA-48, select graphic rendition."""
SCAN = "scan"
OF_FOUND = ("hostname", "ASICModel", "boardVersion", "version")
"""What is printed of a device that was found."""


class _OfADevice(TyperGroup):
    """Commands after an address; `scan` has none, as it looks for them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["-", *args] if args[:1] == [SCAN] else args)


app = typer.Typer(cls=_OfADevice, no_args_is_help=True)


@app.callback()
def of_device(
    ctx: typer.Context,
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="Of a Bitaxe, as http://HOST[:PORT]; none for `scan`."
        ),
    ],
) -> None:
    """Read, watch, set and update any Bitaxe, or look for them."""
    ctx.obj = url


def _device(ctx: typer.Context) -> "AxeOS":
    from softaxe.client.axeos import AxeOS  # noqa: PLC0415

    return _done(lambda: AxeOS(ctx.obj))


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except (SoftaxeError, OSError) as error:
        fail(error)


@app.command("info")
def show_info(ctx: typer.Context, json: JsonOption = False) -> None:
    """Print what the device tells of itself."""
    info = _done(_device(ctx).info)
    told = {
        name: one for name, one in msgspec.to_builtins(info).items() if one is not None
    }
    if json:
        print_json(told)
        return
    _print(_rows(("member", "value"), told.items()))


@app.command()
def watch(ctx: typer.Context) -> None:
    """Show readings as they change, until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        run_loop(_watch(ctx.obj))


async def _watch(url: str) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    from softaxe.client.axeos import AsyncAxeOS  # noqa: PLC0415
    from softaxe.errors import NoSuchRoute  # noqa: PLC0415

    device = AsyncAxeOS(url)
    info = await device.info()
    with Live(_readings(info), console=Console(), auto_refresh=False) as shown:
        try:
            async for info in device.live():
                shown.update(_readings(info), refresh=True)
        except NoSuchRoute:  # before 2.14 there is no live socket
            while True:
                shown.update(_readings(await device.info()), refresh=True)
                await asyncio.sleep(WATCH_S)


WATCH_S = 1.0
"""Between two questions, where the device does not tell by itself."""
READINGS = (
    ("hash rate", "hashRate", "GH/s"),
    ("expected", "expectedHashrate", "GH/s"),
    ("errors", "errorPercentage", "%"),
    ("power", "power", "W"),
    ("chip", "temp", "°C"),
    ("regulator", "vrTemp", "°C"),
    ("fan", "fanspeed", "%"),
    ("fan speed", "fanrpm", "rpm"),
    ("frequency", "frequency", "MHz"),
    ("core voltage", "coreVoltageActual", "mV"),
    ("input", "voltage", "mV"),
    ("accepted", "sharesAccepted", "shares"),
    ("rejected", "sharesRejected", "shares"),
    ("best difficulty", "bestDiff", ""),
    ("up", "uptimeSeconds", "s"),
)
"""What is watched: in words, its member of info, and its unit."""


def _readings(info: "Info") -> "Table":
    title = f"{info.hostname} {info.ASICModel} {info.boardVersion} {info.version}"
    rows = (
        (
            words,
            "-" if (value := getattr(info, name)) is None else f"{value:,.6g}",
            unit,
        )
        for words, name, unit in READINGS
    )
    table = _rows(("reading", "value", "unit"), rows)
    table.title = printable(title)
    return table


@app.command("set")
def set_members(
    ctx: typer.Context,
    settings: Annotated[
        list[str], typer.Argument(help="As frequency=500 coreVoltage=1150.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Send them unchecked, as they are.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Change settings, and read back what has become of them.

    The status is 1 when one was not kept.
    """
    device = _device(ctx)
    found = _done(lambda: device.set(force=force, **dict(map(_pair, settings))))
    if json:
        print_json(found)
    else:
        words = {True: "kept", False: "not kept", None: "not to be seen now"}
        _print(
            _rows(
                ("setting", "sent", "read back", ""),
                ((one.name, one.sent, one.told, words[one.is_kept]) for one in found),
            )
        )
    if any(one.is_kept is False for one in found):
        raise typer.Exit(FOUND_WANTING)


def _pair(text: str) -> tuple[str, Any]:
    """Read `name=value`; the value is JSON where it can be, and text otherwise."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SettingError(f"{text!r}: write name=value, as frequency=500")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


@app.command("pools")
def show_pools(ctx: typer.Context, json: JsonOption = False) -> None:
    """Print the pools that the device knows."""
    pools = _done(_device(ctx).pools)
    if json:
        print_json(pools)
        return
    rows = (
        (one.id, one.stratumURL, one.stratumPort, one.stratumUser, one.stratumProtocol)
        for one in pools
    )
    _print(_rows(("id", "URL", "port", "user", "protocol"), rows))


@app.command("ota")
def write_image(
    ctx: typer.Context,
    image: Annotated[
        Path, typer.Argument(metavar="FILE", help="Such as esp-miner.bin.")
    ],
    www: Annotated[bool, typer.Option("--www", help="It is the web page's.")] = False,
) -> None:
    """Write a firmware, and wait for the restart; or the web page's image."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    device = _device(ctx)
    data = _done(image.read_bytes)
    before = _done(device.info)
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task: TaskID = shown.add_task("sending", total=len(data))
        _done(
            lambda: device.update(
                data,
                is_www=www,
                progress=lambda sent, _: shown.update(task, completed=sent),
            )
        )
    if www:
        typer.echo(f"{len(data)} bytes of the web page are written")
        return
    after = _done(lambda: device.wait_until_up(before))
    typer.echo(printable(f"{before.version} -> {after.version}"))


@app.command("logs")
def show_logs(
    ctx: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")
    ] = False,
) -> None:
    """Print the log that the device has kept (from 2.14 on), or follow it."""
    device = _device(ctx)
    lines: Iterable[str] = device.log() if follow else _done(device.logs)

    def show() -> None:
        for line in lines:
            typer.echo(printable(COLOURS.sub("", line)))

    with suppress(KeyboardInterrupt):
        _done(show)


@app.command(SCAN)
def look_for_devices(
    network: Annotated[
        str | None,
        typer.Argument(metavar="CIDR", help="As 192.168.1.0/24; else this machine's."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the devices.")] = 80,
    mdns: Annotated[
        bool, typer.Option("--mdns", help="Listen for those that announce themselves.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Look for Bitaxes: ask every address of a network, or listen by mDNS (2.15)."""
    found = run_loop(_look(network, port, mdns=mdns))
    if json:
        print_json(
            [
                {"url": one.url} | {name: getattr(one.info, name) for name in OF_FOUND}
                for one in found
            ]
        )
    elif found:
        rows = (
            (one.url, *(getattr(one.info, name) for name in OF_FOUND)) for one in found
        )
        _print(_rows(("address", "hostname", "chip", "board", "firmware"), rows))
    else:
        warn("nobody who answers is a Bitaxe")
    if not found:
        raise typer.Exit(FOUND_WANTING)


async def _look(network: str | None, port: int, *, mdns: bool) -> list["Found"]:
    from softaxe.client.discovery import discover, scan  # noqa: PLC0415

    if mdns:
        return await discover()
    return [one async for one in scan(network, port=port)]


def _rows(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> "Table":
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*heads, box=box.SIMPLE_HEAD)
    for row in rows:
        cells = ("-" if cell is None else str(cell) for cell in row)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _print(table: "Table") -> None:
    from rich.console import Console  # noqa: PLC0415

    Console().print(table)
