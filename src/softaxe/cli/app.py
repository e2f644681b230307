"""The command line."""

import asyncio
import io
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Coroutine
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from softaxe import __version__
from softaxe.bitcoin import kernel
from softaxe.catalog import board as board_named
from softaxe.device.identity import MAX_SEED
from softaxe.device.logbook import LogLine
from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.errors import FleetStopped, SoftaxeError, read_as
from softaxe.fleet.clock import SPEEDS
from softaxe.fleet.search_thread import CPU_PERCENT
from softaxe.units import Level

if TYPE_CHECKING:
    from softaxe.control.scenario_run import Outcome
    from softaxe.fleet.fleet import Fleet
    from softaxe.fleet.options import FleetOptions
    from softaxe.serve.member import Member

T = TypeVar("T")
CONTROL = "127.0.0.1:8100"
LEAST_INTERVAL_S = 0.1
PRINT_S = 0.1
"""Real seconds that a device's log line may wait to be printed."""
MANY_DEVICES = 50
"""From so many on, starting and ending take long enough to show."""
CLEAR_TO_END = "\x1b[K"
"""Of the terminal's line. Source: ECMA-48, erase in line."""
_OF_GROUPS = frozenset(
    {
        "count",
        "board",
        "pool",
        "user",
        "password",
        "work",
        "ambient",
        "ambient_swing",
        "first_boot",
        "profile",
    }
)
"""Options that a fleet file says for each group."""
_OF_REPLAY = frozenset({"replay", "host", "port"})
"""All that a recording can be told."""

app = typer.Typer(
    help="A complete Bitaxe in software: real HTTP, Stratum and SHA-256d.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Work(StrEnum):
    """What one searched hash stands for."""

    AUTO = "auto"
    SCALED = "scaled"
    REAL = "real"


class ProfileName(StrEnum):
    """Which dialect of the API the device speaks."""

    DOCUMENTED = "documented"
    FIRMWARE = "firmware"


class LogLevel(StrEnum):
    """From which level the device's log is printed."""

    NONE = "none"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_SHOWN = {
    LogLevel.NONE: frozenset[Level](),
    LogLevel.ERROR: frozenset({Level.ERROR}),
    LogLevel.WARNING: frozenset({Level.ERROR, Level.WARNING}),
    LogLevel.INFO: frozenset(Level),
}


_PROFILES = {ProfileName.DOCUMENTED: DOCUMENTED, ProfileName.FIRMWARE: FIRMWARE}


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"softaxe {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:
    pass


@app.command()
def run(  # noqa: PLR0917 - Typer reads the options from the arguments
    context: typer.Context,
    fleet_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FLEET.TOML]", help="Groups of devices to run; see docs/fleet.md."
        ),
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, max=100_000, help="So many devices.")
    ] = 1,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address of the device, or of the first of many; 127.0.0.1, "
            "and from 127.0.0.2 on for many, unless you say otherwise."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="HTTP port; 0 takes a free one.")
    ] = 8080,
    port_base: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Give many devices one address, and ports from here on; 0 takes "
            "free ones.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Spread the devices over processes.")
    ] = 1,
    control: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT|none",
            help="Where faults, clock, journal and the fleet page are to be had.",
        ),
    ] = CONTROL,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Serve a recording instead; see softaxe record."
        ),
    ] = None,
    board: Annotated[
        str, typer.Option(help="Board version or family, such as 601 or gamma.")
    ] = "601",
    pool: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Your pool, as HOST:PORT or stratum+tcp://HOST:PORT; "
            "without it a built-in pool starts.",
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Pool user for this run.")
    ] = None,
    password: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Pool password for this run.")
    ] = None,
    work: Annotated[
        Work,
        typer.Option(
            help="scaled: each searched hash stands for 2^32 of the chip; "
            "real: a hash is a hash; auto: scaled on the built-in pool, else real."
        ),
    ] = Work.AUTO,
    cpu_percent: Annotated[
        int,
        typer.Option(
            min=CPU_PERCENT[0],
            max=CPU_PERCENT[1],
            help="CPU for real work; 100 is one core, 200 two.",
        ),
    ] = 50,
    speed: Annotated[
        float,
        typer.Option(
            min=SPEEDS[0], max=SPEEDS[1], help="Device seconds per real second."
        ),
    ] = 1.0,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_SEED - 1, help="Of MAC address, silicon and all chance."
        ),
    ] = 0,
    ambient: Annotated[
        float, typer.Option(min=-40, max=80, help="Air around the device, in °C.")
    ] = 25.0,
    ambient_swing: Annotated[
        float,
        typer.Option(min=0, max=40, help="By how much the day's warmest air is above."),
    ] = 0.0,
    networks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file of the Wi-Fi networks in range; by default the one the "
            "device knows, and its neighbours.",
        ),
    ] = None,
    www: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Serve this web page without flashing it: a www.bin, or a folder of "
            "built files.",
        ),
    ] = None,
    erase_www: Annotated[
        bool,
        typer.Option(
            "--erase-www", help="Forget the flashed web page; ours is served again."
        ),
    ] = False,
    first_boot: Annotated[
        bool,
        typer.Option(
            "--first-boot",
            help="Start like a new device: without Wi-Fi, as an access point that "
            "waits to be set up.",
        ),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where settings and images last; by default the user's data folder.",
        ),
    ] = None,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Forget everything at the end.")
    ] = False,
    profile: Annotated[
        ProfileName,
        typer.Option(
            help="documented: the API page's promises; firmware: v2.12.2 exactly."
        ),
    ] = ProfileName.DOCUMENTED,
    log_level: Annotated[
        LogLevel, typer.Option(help="Print the device's own log from this level.")
    ] = LogLevel.ERROR,
) -> None:
    """Run a Bitaxe, or many: web APIs, mining on a pool."""
    from softaxe.board.radio import NETWORKS  # noqa: PLC0415
    from softaxe.fleet.groups import Group, parse_pool  # noqa: PLC0415
    from softaxe.fleet.networks import read_networks  # noqa: PLC0415
    from softaxe.fleet.options import (  # noqa: PLC0415
        FleetOptions,
        control_address,
        read_fleet_file,
    )
    from softaxe.serve.www_source import read_source  # noqa: PLC0415

    given = {name for name in context.params if _is_given(context, name)}
    if replay is not None:
        for name in sorted(given - _OF_REPLAY):
            _fail(f"{_option(name)}: a recording has no use for it")
        _serve_replay(replay, host or "127.0.0.1", port)
        return
    if state is not None and ephemeral:
        _fail("--ephemeral: forgets its state, so --state cannot be given with it")
    if fleet_file is not None:
        for name in given & _OF_GROUPS:
            _fail(f"{_option(name)}: write it into {fleet_file}")
    try:
        if pool is not None:
            read_as("--pool", parse_pool, pool)
        options = FleetOptions(
            state=Path(),
            groups=(
                Group(
                    count=count,
                    boards=(board,),
                    pool=pool,
                    user=user,
                    password=password,
                    work=work.value,
                    ambient_c=ambient,
                    ambient_swing_c=ambient_swing,
                    networks=NETWORKS if networks is None else read_networks(networks),
                    is_first_boot=first_boot,
                    www=None if www is None else read_as("--www", read_source, www),
                    erases_www=erase_www,
                    profile=_PROFILES[profile],
                ),
            ),
            host=host,
            port=port,
            port_base=port_base,
            control=control,
            seed=seed,
            speed=speed,
            cpu_percent=cpu_percent,
            start_time=int(time.time()),
        )
        read_as("--control", control_address, control)
        options.check()
        if fleet_file is not None:
            (own,) = options.groups
            options = read_fleet_file(fleet_file, options, given)
            # What a group cannot say holds for all of them.
            options = replace(
                options,
                groups=tuple(
                    replace(
                        group,
                        networks=own.networks,
                        www=own.www,
                        erases_www=own.erases_www,
                    )
                    for group in options.groups
                ),
            )
    except SoftaxeError as error:
        _fail(str(error))
    if kernel.chosen_variant() == kernel.PYTHON:
        _warn("no C kernel was built; searching with the slower Python one")

    folder = (
        tempfile.TemporaryDirectory(prefix="softaxe-")
        if ephemeral
        else nullcontext(str(state or _data_folder()))
    )
    with folder as directory:
        chosen = replace(options, state=Path(directory))
        where = "forgotten at the end" if ephemeral else directory
        is_many = sum(group.count for group in chosen.groups) > 1
        show_log = _ShowLog(log_level, is_many=is_many)
        if workers > 1:
            _run(_serve_parts(chosen, workers, show_log, where))
        else:
            _run(_serve(chosen, show_log, where))


def _serve_replay(path: Path, host: str, port: int) -> None:
    from softaxe.recordings.replay import load_recording, serve_replay  # noqa: PLC0415

    try:
        entries = load_recording(path)
    except SoftaxeError as error:
        _fail(str(error))

    async def main() -> None:
        stopped = asyncio.Event()
        _stop_on_signals(stopped.set)
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

    _run(main())


def _option(name: str) -> str:
    """A parameter of `run` as people write it."""
    return "FLEET.TOML" if name == "fleet_file" else f"--{name.replace('_', '-')}"


def _is_given(context: typer.Context, name: str) -> bool:
    """True for an option that stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@dataclass(slots=True)
class _ShowLog:
    """Prints log lines from a level on; goes along to other processes.

    Lines are flushed in batches: that takes longer than the device that wrote one.
    """

    log_level: LogLevel
    is_many: bool = False
    """There are several devices, so lines begin with the device's id."""
    _speakers: set[str] = field(default_factory=set)
    _is_waiting: bool = False

    def __call__(self, device_id: str, line: LogLine) -> None:
        if line.level not in _SHOWN[self.log_level]:
            return
        self._speakers.add(device_id)
        text = line.coloured if sys.stdout.isatty() else line.plain + "\n"
        is_named = self.is_many or len(self._speakers) > 1
        if not self._is_waiting:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(line_buffering=False)
            asyncio.get_running_loop().call_later(PRINT_S, self._flush)
            self._is_waiting = True
        sys.stdout.write(f"{device_id} {text}" if is_named else text)

    def _flush(self) -> None:
        sys.stdout.flush()
        self._is_waiting = False


async def _serve(options: "FleetOptions", show_log: _ShowLog, where: str) -> None:
    """Run devices until a signal comes, or the control API says so."""
    from softaxe.control.api import Control  # noqa: PLC0415
    from softaxe.control.app import ControlApp  # noqa: PLC0415
    from softaxe.fleet.fleet import Fleet, settle_memory  # noqa: PLC0415

    fleet = Fleet(options, show_log=show_log, show_progress=_show_progress)
    _stop_on_signals(fleet.stop)
    try:
        control = await fleet.open_control(ControlApp(Control(fleet)))
        await fleet.start()
        typer.echo(f"softaxe {__version__}")
        if len(fleet.members) == 1:
            _tell_device(next(iter(fleet.members.values())))
        else:
            _tell_fleet(fleet)
        if control:
            typer.echo(f"  control  {control}")
        typer.echo(f"  state    {where}")
        typer.echo("Ctrl-C stops it.")
        sys.stdout.flush()
        settle_memory()
        await fleet.run()
    except FleetStopped:  # Ctrl-C before it had started
        pass
    finally:
        await fleet.close()


async def _serve_parts(
    options: "FleetOptions", workers: int, show_log: _ShowLog, where: str
) -> None:
    """Run devices in several processes until a signal comes."""
    from softaxe.control.app import ControlApp  # noqa: PLC0415
    from softaxe.control.workers import Workers  # noqa: PLC0415
    from softaxe.fleet.fleet import open_control  # noqa: PLC0415

    parts = Workers(options, workers, show_log=show_log, show_progress=_show_progress)
    _stop_on_signals(parts.stop)
    listener = await open_control(options.control, ControlApp(parts))
    try:
        await parts.start()
        typer.echo(f"softaxe {__version__}")
        count = sum(group.count for group in options.groups)
        typer.echo(f"  devices  {count} in {workers} processes")
        if listener is not None:
            typer.echo(f"  control  {listener.url}")
        typer.echo(f"  state    {where}")
        typer.echo("Ctrl-C stops it.")
        sys.stdout.flush()
        await parts.run()
    except FleetStopped:  # Ctrl-C before it had started
        pass
    finally:
        await parts.close()
        if listener is not None:
            await listener.close()


def _tell_device(member: "Member") -> None:
    device = member.device
    row = device.board
    typer.echo(f"  address  {member.url}")
    typer.echo(
        f"  board    {row.version} {row.family} ({row.asic_count} x {row.chip.name})"
    )
    if device.radio.is_given_up:
        name = device.radio.ap_name
        typer.echo(f"  wi-fi    none: you have joined its access point {name}")
    pool = member.pool_text
    work = member.options.work
    typer.echo(f"  pool     {pool}")
    typer.echo(f"  work     {_work_text(work, is_own=pool.startswith('built-in'))}")


def _tell_fleet(fleet: "Fleet") -> None:
    members = list(fleet.members.values())
    first, last = members[0], members[-1]
    typer.echo(f"  devices  {len(members)}, {first.url} to {last.url}")
    for name, count in Counter(member.group for member in members).items():
        some = next(member for member in members if member.group == name)
        typer.echo(f"  group    {name}: {count}, pool {some.pool_text}")


def _show_progress(what: str, done: int, of: int) -> None:
    """Show on a terminal how far the start or end of a large fleet is."""
    if of < MANY_DEVICES or not sys.stderr.isatty():
        return
    end = "\n" if done == of else ""
    sys.stderr.write(f"\r{what}: {done} of {of} devices{CLEAR_TO_END}{end}")
    sys.stderr.flush()


@app.command("record")
def run_record(
    url: Annotated[str, typer.Argument(help="Of a Bitaxe, as http://HOST[:PORT].")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to.")
    ],
    duration: Annotated[str, typer.Option(help="How long, as 90s or 10m.")] = "1m",
    interval: Annotated[str, typer.Option(help="Between two looks.")] = "5s",
) -> None:
    """Record a device's answers, without what is private, to replay them."""
    from softaxe.recordings.recorder import record  # noqa: PLC0415
    from softaxe.scenario import seconds_of  # noqa: PLC0415

    try:
        duration_s = seconds_of(duration, "--duration")
        interval_s = seconds_of(interval, "--interval")
        if interval_s < LEAST_INTERVAL_S:
            _fail(f"--interval: {interval} is under {LEAST_INTERVAL_S:g} s")
        count = record(url, output, duration_s=duration_s, interval_s=interval_s)
    except SoftaxeError as error:
        _fail(str(error))
    typer.echo(f"{count} entries in {output}; play them: softaxe run --replay {output}")


@app.command("clone")
def run_clone(
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
) -> None:
    """Make a live virtual device like a real one: board, settings, and body."""
    from softaxe.client import Client  # noqa: PLC0415
    from softaxe.fleet.groups import read_groups  # noqa: PLC0415
    from softaxe.fleet.options import FleetOptions  # noqa: PLC0415
    from softaxe.recordings.clone import copy_of, fleet_file  # noqa: PLC0415

    try:
        client = Client(url)
        copy = copy_of(client.get_json("/api/system/info"))
        text = fleet_file(copy, client.url)
        groups = read_groups(tomllib.loads(text), "clone")
    except SoftaxeError as error:
        _fail(str(error))
    count = len(copy.settings)
    typer.echo(f"{copy.board.version} {copy.board.family}, {count} settings")
    for reading in copy.readings:
        typer.echo(
            f"  {reading.name:10} {reading.theirs:10.2f}  copy {reading.ours:10.2f} "
            f"{reading.unit}"
        )
    if not copy.readings:
        typer.echo("  it does not hash, so nothing tells its body")
    if copy.left_out:
        typer.echo(f"  not allowed here: {', '.join(copy.left_out)}")
    typer.echo("  pool, user and Wi-Fi are not copied")
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            _fail(f"{output}: {error.strerror}")
    if is_run:
        with tempfile.TemporaryDirectory(prefix="softaxe-") as directory:
            options = FleetOptions(
                state=Path(directory),
                groups=groups,
                host=host,
                port=port,
                start_time=int(time.time()),
            )
            _run(_serve(options, _ShowLog(LogLevel.NONE), "forgotten at the end"))


@app.command("scenario")
def run_scenario(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|NAME]...",
            help="Scenario files, or names of those that come with softaxe.",
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=SPEEDS[0],
            max=SPEEDS[1],
            help="Device seconds per real second; as fast as it goes by default.",
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a JUnit report, for CI systems."),
    ] = None,
) -> None:
    """Let faults happen and check what comes of them; exit 1 when it is not so."""
    from softaxe.control import scenario_run  # noqa: PLC0415

    if not names:
        for name in scenario_run.shipped_names():
            typer.echo(f"{name:20} {scenario_run.load_scenario(name).description}")
        return
    try:
        scenarios = [scenario_run.load_scenario(name) for name in names]
    except SoftaxeError as error:
        _fail(str(error))
    reports = []
    failed = 0

    def tell(outcome: "Outcome") -> None:
        mark = "ok    " if outcome.is_met else "FAILED"
        found = "" if outcome.is_met else f"; found {outcome.found}"
        typer.echo(f"  {outcome.at_s:8.1f} s  {mark}  {outcome.what}{found}")

    for scenario in scenarios:
        typer.echo(f"{scenario.name}: {scenario.description}")
        began = time.monotonic()
        outcomes = _run(scenario_run.run_scenario(scenario, speed=speed, tell=tell))
        failed += sum(not outcome.is_met for outcome in outcomes)
        took_s = time.monotonic() - began
        reports.append(scenario_run.Report(scenario.name, outcomes, took_s))
    if junit is not None:
        try:
            junit.write_text(scenario_run.junit(reports), encoding="utf-8")
        except OSError as error:
            _fail(f"--junit: {error}")
    met = sum(len(report.outcomes) for report in reports) - failed
    typer.echo(f"{met} as expected, {failed} not")
    raise typer.Exit(1 if failed else 0)


@app.command("pool")
def run_pool(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 3333,
    difficulty: Annotated[
        float,
        typer.Option(min=1e-9, help="First difficulty of a miner that suggests none."),
    ] = 0.001,
    network_difficulty: Annotated[
        float, typer.Option(min=1e-9, help="Difficulty of a block.")
    ] = 34103.0,
    block_interval: Annotated[
        float,
        typer.Option(min=1, help="Mean seconds between blocks found by others."),
    ] = 600.0,
) -> None:
    """Run the built-in Stratum v1 pool alone; it checks every share by hashing."""
    from softaxe.fleet.clock import Clock  # noqa: PLC0415
    from softaxe.fleet.pool_server import PoolServer  # noqa: PLC0415
    from softaxe.stratum.pool import Pool  # noqa: PLC0415

    async def main() -> None:
        clock = Clock()
        stopped = asyncio.Event()
        _stop_on_signals(stopped.set)
        pool = Pool(
            start_difficulty=difficulty,
            network_difficulty=network_difficulty,
            block_interval_s=block_interval,
            start_time=int(time.time()),
            seed=time.time_ns(),
            log=_print_pool_log,
        )
        server = PoolServer(pool, clock)
        address, bound = await server.listen(host, port)
        typer.echo(f"softaxe {__version__}")
        typer.echo(f"  pool     stratum+tcp://{address}:{bound}")
        typer.echo(f"  shares   difficulty {difficulty:g} to begin with")
        typer.echo(f"  blocks   difficulty {network_difficulty:g}")
        typer.echo("Ctrl-C stops it.")
        try:
            while not stopped.is_set():
                server.step(clock.advance())
                delay = min(clock.real_delay(pool.next_wake), 1.0)
                try:
                    async with asyncio.timeout(delay):
                        await stopped.wait()
                except TimeoutError:
                    pass
        finally:
            await server.close()

    _run(main())


@app.command("chip")
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
    seed: Annotated[int, typer.Option(min=0, help="Of all chance.")] = 0,
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
        _fail("--pty: this system has no pseudo-terminals")
    from softaxe.metal.serial_chain import (  # noqa: PLC0415
        SerialChain,
        SerialOptions,
    )

    try:
        row = board_named(board)
    except SoftaxeError as error:
        _fail(str(error))

    async def main() -> None:
        stopped = asyncio.Event()
        _stop_on_signals(stopped.set)
        chain = SerialChain(SerialOptions(row, seed=seed, ease_bits=ease_bits))
        typer.echo(f"softaxe {__version__}")
        typer.echo(f"  terminal {chain.path}")
        typer.echo(f"  chips    {row.asic_count} x {row.chip.name}, 115200 baud 8N1")
        typer.echo(f"  kernel   {kernel.chosen_variant()}")
        typer.echo("Ctrl-C stops it.")
        try:
            await chain.run(stopped)
        finally:
            chain.close()

    _run(main())


@app.command("check")
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
) -> None:
    """Check a real or virtual Bitaxe against the API; exit 1 when it differs."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from softaxe.client import Client  # noqa: PLC0415
    from softaxe.recordings.check import check  # noqa: PLC0415

    findings = []
    lost = ""
    try:
        chosen = _PROFILES[profile]
        for finding in check(Client(url), profile=chosen, may_change=change):
            findings.append(finding)
    except SoftaxeError as error:
        lost = str(error)
    differing = [finding for finding in findings if not finding.is_fine]
    table = Table("what", "expected", "got")
    for finding in findings if everything else differing:
        # What a device says is text, whatever brackets are in it.
        cells = finding.what, finding.expected, finding.got
        table.add_row(*map(Text, cells))
    if table.row_count:
        Console().print(table)
    if findings:
        typer.echo(f"{len(findings)} looked at, {len(differing)} differ")
    if lost:
        _fail(lost)
    raise typer.Exit(1 if differing else 0)


def main() -> None:
    """Entry point of the `softaxe` command."""
    app(prog_name="softaxe")


def _print_pool_log(level: Level, tag: str, text: str) -> None:
    sys.stdout.write(f"{level} {tag}: {text}\n")
    sys.stdout.flush()


def _work_text(work: str, *, is_own: bool) -> str:
    is_scaled = work == Work.SCALED or (work == Work.AUTO and is_own)
    name = "scaled" if is_scaled else "real"
    meaning = (
        "each searched hash stands for 2^32 of the chip"
        if is_scaled
        else f"a hash is a hash ({kernel.chosen_variant()} kernel)"
    )
    chosen = ", chosen by the pool" if work == Work.AUTO else ""
    return f"{name}: {meaning}{chosen}"


def _data_folder() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415

    return user_data_path("softaxe", appauthor=False)


def _stop_on_signals(stop: "Any") -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as loop:
            return loop.run(work)
    except (SoftaxeError, OSError) as error:
        _fail(str(error))


def _warn(text: str) -> None:
    typer.echo(f"softaxe: {text}", err=True)


def _fail(text: str) -> NoReturn:
    typer.echo(f"softaxe: {text}", err=True)
    raise typer.Exit(1)
