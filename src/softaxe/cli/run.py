"""`softaxe run`: one device, many, or a recording."""

import time
from contextlib import nullcontext
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softaxe.bitcoin import kernel
from softaxe.cli.log_lines import LogFormat, LogLevel, ShowLog, print_as
from softaxe.cli.metal import check_metal, serve_metal
from softaxe.cli.record import serve_recording
from softaxe.cli.scenario import Playing, read_playing
from softaxe.cli.serving import (
    serve,
    serve_cluster,
    serve_parts,
    warn_of_open_control,
)
from softaxe.cli.terminal import (
    PROFILES,
    LogFormatOption,
    ProfileName,
    fail,
    folder_that_ends,
    run_loop,
    warn,
)
from softaxe.device.identity import MAX_SEED
from softaxe.device.share_rate import RATES
from softaxe.errors import SettingError, SoftaxeError, read_as
from softaxe.fleet.clock import SPEEDS
from softaxe.fleet.search_thread import CPU_PERCENT, NICENESS

if TYPE_CHECKING:
    from softaxe.fleet.options import FleetOptions


CONTROL = "127.0.0.1:8100"
_OF_GROUPS = frozenset(
    {
        "count",
        "board",
        "pool",
        "pool_cert",
        "user",
        "password",
        "work",
        "share_rate",
        "ambient",
        "ambient_swing",
        "first_boot",
        "firmware",
        "mdns",
        "profile",
        "strict",
    }
)
"""Options that a fleet file says for each group."""
_OVERRULES = {
    "port": "port_base",
    "state": "ephemeral",
    "ephemeral": "state",
    "fleet_file": "config",
}
"""What is not meant any more by the environment, such as an image's, when the command
line says the other."""
_NOT_OF_SCENARIO = frozenset({"workers", "ray"})
_OF_REPLAY = frozenset({"replay", "host", "port", "log_format"})
"""All that a recording can be told."""


class Work(StrEnum):
    """What one searched hash stands for."""

    AUTO = "auto"
    SCALED = "scaled"
    REAL = "real"


FleetFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="FLEET.TOML", help="Groups of devices to run; see docs/fleet.md."
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The same as FLEET.TOML."),
]
CountOption = Annotated[int, typer.Option(min=1, max=100_000, help="So many devices.")]
HostOption = Annotated[
    str | None,
    typer.Option(
        help="Address of the device, or of the first of many; 127.0.0.1, "
        "and from 127.0.0.2 on for many, unless you say otherwise."
    ),
]
PortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="HTTP port; 0 takes a free one.")
]
PortBaseOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Give many devices one address, and ports from here on; 0 takes "
        "free ones.",
    ),
]
AdvertiseOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST",
        help="Name or address by which others find devices and control port; by "
        "default, with --host 0.0.0.0, the address of this machine's route.",
    ),
]
AllowNetworkOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Let clients of this network use the devices and the control port, too, "
        "as 100.64.0.0/10 or fd00::/8; more than once for more.",
    ),
]
PoolHostOption = Annotated[
    str, typer.Option(metavar="HOST", help="Where the built-in pool listens.")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, max=256, help="Spread the devices over processes.")
]
MetalOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE",
        help="Be the firmware of a real board that has bitaxe-raw, on USB "
        "(experimental, see docs/metal.md): auto, its USB serial number, or the paths "
        "of its control and data port with a comma between.",
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="With --metal: take a board that nobody has tried, or that softaxe cannot "
        "switch off.",
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|local",
        help="Spread the devices over the machines of a Ray cluster, HOST:PORT or auto "
        "for this machine's; local makes one of this machine alone. --workers says "
        "over how many of its CPUs, all when left out.",
    ),
]
ControlOption = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT|none",
        help="Where faults, clock, journal and the fleet page are to be had.",
    ),
]
ControlTokenOption = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        envvar="SOFTAXE_CONTROL_TOKEN",
        help="What whoever uses the control port must know.",
    ),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Let the control port be used under this name, too, or, with a dot before "
        "it, all names below it; more than once for more.",
    ),
]
ReplayOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Serve a recording instead; see softaxe record."),
]
BoardOption = Annotated[
    str, typer.Option(help="Board version or family, such as 601 or gamma.")
]
PoolOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Your pool, as HOST:PORT or stratum+tcp://HOST:PORT, or, by TLS from "
        "firmware 2.13 on, stratum+ssl://HOST:PORT, from 2.14 on also "
        "stratum2+tcp://HOST:PORT/KEY; without it a built-in pool starts.",
    ),
]
PoolCertOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What is trusted at a pool by TLS, as PEM, instead of known authorities.",
    ),
]
UserOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Pool user for this run.")
]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        envvar="SOFTAXE_PASSWORD",
        help="Pool password for this run; the environment shows it to fewer people.",
    ),
]
WorkOption = Annotated[
    Work,
    typer.Option(
        help="scaled: each searched hash stands for 2^32 of the chip; "
        "real: a hash is a hash; auto: scaled on the built-in pool, else real."
    ),
]
ShareRateOption = Annotated[
    float | None,
    typer.Option(
        min=RATES[0],
        max=RATES[1],
        metavar="N",
        help="Put load on a pool: about N shares a minute of each device, whatever "
        "difficulty it asks for, as far as --cpu-percent goes. The run ends with how "
        "it answered.",
    ),
]
CpuPercentOption = Annotated[
    int,
    typer.Option(
        min=CPU_PERCENT[0],
        max=CPU_PERCENT[1],
        help="CPU for real work and --share-rate at most; 100 is one core, 200 two.",
    ),
]
CpuNicenessOption = Annotated[
    int,
    typer.Option(
        min=NICENESS[0],
        max=NICENESS[1],
        help="How far real work lets others go first: 19 takes what they leave, on a "
        "busy machine next to nothing; 0 a fair share (Linux).",
    ),
]
SpeedOption = Annotated[
    float,
    typer.Option(min=SPEEDS[0], max=SPEEDS[1], help="Device seconds per real second."),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=MAX_SEED - 1,
        help="Of MAC address, silicon and all chance; by default one of its own, "
        "which the state directory keeps.",
    ),
]
AmbientOption = Annotated[
    float, typer.Option(min=-40, max=80, help="Air around the device, in °C.")
]
AmbientSwingOption = Annotated[
    float,
    typer.Option(min=0, max=40, help="By how much the day's warmest air is above."),
]
NetworksOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML file of the Wi-Fi networks in range; by default the one the "
        "device knows, and its neighbours.",
    ),
]
WwwOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Serve this web page without flashing it: a www.bin, or a folder of "
        "built files.",
    ),
]
EraseWwwOption = Annotated[
    bool,
    typer.Option(
        "--erase-www", help="Forget the flashed web page; ours is served again."
    ),
]
FirstBootOption = Annotated[
    bool,
    typer.Option(
        "--first-boot",
        help="Start like a new device: without Wi-Fi, as an access point that "
        "waits to be set up.",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where settings and images last; by default the user's data folder.",
    ),
]
ResetOption = Annotated[
    bool,
    typer.Option(
        "--reset",
        help="Start afresh: forget the settings and images that are stored, of all "
        "devices of the state directory.",
    ),
]
EphemeralOption = Annotated[
    bool, typer.Option("--ephemeral", help="Forget everything at the end.")
]
FirmwareOption = Annotated[
    str | None,
    typer.Option(
        metavar="RELEASE",
        help="Firmware that the devices come with, from 2.8.0 to 2.15.0; 2.14 is "
        "2.14.2. When left out, the one they have, or 2.12.2, the API page's.",
    ),
]
MdnsOption = Annotated[
    bool | None,
    typer.Option(
        help="Announce the devices by mDNS, whatever their firmware and address. When "
        "left out, those of 2.15 at an address that others reach.",
    ),
]
ProfileOption = Annotated[
    ProfileName,
    typer.Option(
        help="documented: the API page's promises lie over the firmware; firmware: "
        "exactly what that release does."
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse (400) what a device takes though the API page asks for something "
        "else, instead of warning: no frequency outside the board's options without "
        "overclockEnabled, no spaces in host names ...",
    ),
]
ScenarioOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|NAME",
        help="Play a scenario on these devices and end with its verdict: 0 for all as "
        "expected, 1 for not. Nothing is kept, unless you say --state.",
    ),
]
JunitOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a JUnit report of the scenario."),
]
LogLevelOption = Annotated[
    LogLevel, typer.Option(help="Print the device's own log from this level.")
]


def run(  # noqa: PLR0917 - Typer reads the options from the arguments
    context: typer.Context,
    fleet_file: FleetFile = None,
    config: ConfigOption = None,
    count: CountOption = 1,
    host: HostOption = None,
    port: PortOption = 8080,
    port_base: PortBaseOption = None,
    advertise: AdvertiseOption = None,
    allow_network: AllowNetworkOption = None,
    pool_host: PoolHostOption = "127.0.0.1",
    workers: WorkersOption = 1,
    ray: RayOption = None,
    control: ControlOption = CONTROL,
    control_token: ControlTokenOption = "",
    allow_host: AllowHostOption = None,
    replay: ReplayOption = None,
    board: BoardOption = "601",
    pool: PoolOption = None,
    pool_cert: PoolCertOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    work: WorkOption = Work.AUTO,
    share_rate: ShareRateOption = None,
    cpu_percent: CpuPercentOption = 50,
    cpu_niceness: CpuNicenessOption = NICENESS[1],
    speed: SpeedOption = 1.0,
    seed: SeedOption = None,
    ambient: AmbientOption = 25.0,
    ambient_swing: AmbientSwingOption = 0.0,
    networks: NetworksOption = None,
    www: WwwOption = None,
    erase_www: EraseWwwOption = False,
    first_boot: FirstBootOption = False,
    state: StateOption = None,
    reset: ResetOption = False,
    ephemeral: EphemeralOption = False,
    firmware: FirmwareOption = None,
    mdns: MdnsOption = None,
    profile: ProfileOption = ProfileName.DOCUMENTED,
    strict: StrictOption = False,
    metal: MetalOption = None,
    force: ForceOption = False,
    log_level: LogLevelOption = LogLevel.ERROR,
    log_format: LogFormatOption = LogFormat.TEXT,
    scenario: ScenarioOption = None,
    junit: JunitOption = None,
) -> None:
    """Run a Bitaxe, or many: web APIs, mining on a pool."""
    from softaxe.board.radio import NETWORKS  # noqa: PLC0415
    from softaxe.catalog.firmware import release_named  # noqa: PLC0415
    from softaxe.device.transport import wants_tls  # noqa: PLC0415
    from softaxe.fleet.groups import Group  # noqa: PLC0415
    from softaxe.fleet.networks import read_networks  # noqa: PLC0415
    from softaxe.fleet.options import FleetOptions  # noqa: PLC0415
    from softaxe.serve.www_source import read_source  # noqa: PLC0415

    written = _named(context, "COMMANDLINE")
    overruled = {_OVERRULES[name] for name in written & _OVERRULES.keys()}
    given = written | _named(context, "ENVIRONMENT") - overruled
    ephemeral = ephemeral and "ephemeral" in given
    if replay is not None:
        # What the environment says may be meant for other runs.
        for name in sorted(written - _OF_REPLAY):
            fail(f"{_option(name)}: a recording has no use for it")
        serve_recording(replay, host or "127.0.0.1", port)
        return
    check_metal(metal, given)
    playing = _playing(scenario, junit, control_token, given)
    ephemeral = ephemeral or (playing is not None and "state" not in given)
    if fleet_file is not None and "config" in given:
        fail(f"--config: {fleet_file} is given, too")
    fleet_file = fleet_file or config
    if "state" in given and ephemeral:
        fail("--ephemeral: forgets its state, so --state cannot be given with it")
    if fleet_file is not None:
        for name in given & _OF_GROUPS:
            said = _option(name) if name in written else _variable(context, name)
            fail(f"{said}: write it into {fleet_file}")
    if pool_cert is not None and not wants_tls(pool or ""):
        fail("--pool-cert: goes with --pool stratum+ssl://HOST:PORT")
    try:
        group = Group(
            count=count,
            boards=(board,),
            pool=pool,
            user=user,
            password=password,
            settings={} if pool_cert is None else _trusting(pool_cert),
            work=work.value,
            share_rate=share_rate,
            ambient_c=ambient,
            ambient_swing_c=ambient_swing,
            networks=NETWORKS if networks is None else read_networks(networks),
            is_first_boot=first_boot,
            www=None if www is None else read_as("--www", read_source, www),
            erases_www=erase_www,
            firmware=()
            if firmware is None
            else (read_as("--firmware", release_named, firmware),),
            is_announced=mdns,
            profile=PROFILES[profile],
            strict=strict,
        )
        options = FleetOptions(
            state=Path(),
            groups=(group,),
            host=host,
            port=port,
            port_base=port_base if "port_base" in given else None,
            advertise=advertise,
            allow_network=tuple(allow_network or ()),
            pool_host=pool_host,
            control=control,
            allow_host=tuple(allow_host or ()),
            seed=playing.scenario.seed if playing and seed is None else seed,
            speed=speed,
            cpu_percent=cpu_percent,
            cpu_niceness=cpu_niceness,
            start_time=int(time.time()),
        )
        options = _judged(options, fleet_file, given)
    except SoftaxeError as error:
        fail(error)
    if metal is None and kernel.chosen_variant() == kernel.PYTHON:
        warn("no C kernel was built; searching with the slower Python one")
    warn_of_open_control(options, control_token)
    folder = (
        folder_that_ends() if ephemeral else nullcontext(str(state or _data_folder()))
    )
    with folder as directory:
        chosen = replace(options, state=_state(Path(directory), is_reset=reset))
        where = "forgotten at the end" if ephemeral else directory
        is_many = sum(group.count for group in chosen.groups) > 1
        show_log = ShowLog(log_level, is_many=is_many)
        if metal is not None:
            is_told = "board" in given
            serve_metal(
                chosen, metal, show_log, where, is_told=is_told, is_forced=force
            )
            return
        _serve_somewhere(
            chosen,
            show_log,
            where,
            control_token,
            playing,
            ray=ray,
            workers=workers if "workers" in given else None,
            log_format=log_format,
        )


def _serve_somewhere(
    options: "FleetOptions",
    show_log: ShowLog,
    where: str,
    token: str,
    playing: Playing | None,
    *,
    ray: str | None,
    workers: int | None,
    log_format: LogFormat,
) -> None:
    """Run devices on a cluster, in processes, or here."""
    if ray is not None:
        run_loop(serve_cluster(options, ray, workers, show_log, where, token))
    elif workers is not None and workers > 1:
        prepare = partial(print_as, log_format)
        run_loop(serve_parts(options, workers, show_log, where, token, prepare))
    else:
        _serve_here(options, show_log, where, token, playing)


def _serve_here(
    options: "FleetOptions",
    show_log: ShowLog,
    where: str,
    token: str,
    playing: Playing | None,
) -> None:
    """Run devices in this process, perhaps until a scenario has been played."""
    if playing is None:
        run_loop(serve(options, show_log, where, token))
    else:
        run_loop(serve(options, show_log, where, token, playing.play))
        playing.end()


def _playing(
    scenario: str | None, junit: Path | None, token: str, given: set[str]
) -> Playing | None:
    """Return the scenario that is to be played, if there is one."""
    if scenario is None:
        if junit is not None:
            fail("--junit: goes with --scenario")
        return None
    for name in sorted(given & _NOT_OF_SCENARIO):
        fail(f"{_option(name)}: a scenario is played in one process")
    return read_playing(scenario, junit, token)


def _judged(
    options: "FleetOptions", fleet_file: Path | None, given: set[str]
) -> "FleetOptions":
    """Check the command line's options and put a fleet file's groups into them."""
    from msgspec.structs import replace as replaced  # noqa: PLC0415

    from softaxe.fleet.groups import parse_pool  # noqa: PLC0415
    from softaxe.fleet.options import read_fleet_file  # noqa: PLC0415

    (own,) = options.groups
    if own.pool is not None:
        read_as("--pool", parse_pool, own.pool)
    options.check(_option)
    if fleet_file is None:
        return options
    options = read_fleet_file(fleet_file, options, given)
    # What a group cannot say holds for all of them.
    groups = tuple(
        replaced(group, networks=own.networks, www=own.www, erases_www=own.erases_www)
        for group in options.groups
    )
    return replace(options, groups=groups)


def _state(directory: Path, *, is_reset: bool) -> Path:
    """Return the state directory, in which perhaps all but its seed is forgotten."""
    from softaxe.serve.storage import Storage, lock_directory  # noqa: PLC0415

    if is_reset:
        try:
            with lock_directory(directory):
                storage = Storage(directory, is_shared=True)
                storage.forget_others(())
                storage.close()
        except SoftaxeError as error:
            fail(error)
    return directory


def _trusting(cert: Path) -> dict[str, str | int]:
    """Return the settings by which a device trusts a certificate alone.

    Raises:
        SettingError: The file cannot be read.
    """
    try:
        return {"stratumTLS": 2, "stratumCert": cert.read_text(encoding="utf-8")}
    except (OSError, ValueError) as error:
        raise SettingError(f"--pool-cert: {cert}: {error}") from error


def _option(name: str) -> str:
    """A parameter of `run` as people write it."""
    return "FLEET.TOML" if name == "fleet_file" else f"--{name.replace('_', '-')}"


def _named(context: typer.Context, origin: str) -> set[str]:
    """Return the options that come from one place, by click's name for it."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, one in sources.items() if one and one.name == origin}


def _variable(context: typer.Context, name: str) -> str:
    """Return the environment variable that says an option."""
    (option,) = (one for one in context.command.params if one.name == name)
    return str(option.envvar or f"{context.auto_envvar_prefix}_{name.upper()}")


def _data_folder() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415

    return user_data_path("softaxe", appauthor=False)
