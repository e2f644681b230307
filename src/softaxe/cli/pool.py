"""`softaxe pool`: the built-in pool alone, for other people's miners."""

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softaxe.cli.log_lines import LogFormat, print_pool_log
from softaxe.cli.run import (
    CONTROL,
    AllowHostOption,
    AllowNetworkOption,
    ControlOption,
    ControlTokenOption,
)
from softaxe.cli.serving import serve_pool, warn_of_open_control
from softaxe.cli.terminal import LogFormatOption, fail, folder_that_ends, run_loop
from softaxe.device.identity import MAX_SEED
from softaxe.errors import SettingError, read_as
from softaxe.stratum.dialects import (
    DIALECTS,
    SHARE_VERSIONS,
    check_dialect,
    check_share_version,
    read_version,
)

if TYPE_CHECKING:
    from softaxe.fleet.certificates import Certificate

LAST_PORT = 65535
SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=MAX_SEED - 1,
        help="Of blocks, jobs and keys: the same seed brings the same again, on a day "
        "that is always the same; by default each run has one of its own.",
    ),
]
CertOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Its certificate, as PEM; with --key. When neither file is there, both "
        "are made, for other runs too.",
    ),
]
KeyOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The certificate's key, as PEM.")
]
DialectOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Speak Stratum v1 as another pool does: {', '.join(DIALECTS)}.",
    ),
]
JobVersionOption = Annotated[
    str | None,
    typer.Option(
        metavar="VERSION",
        help="Block version of the jobs, such as 0x30000000, which has a bit inside "
        "the mask that miners roll.",
    ),
]
ShareVersionOption = Annotated[
    str | None,
    typer.Option(
        metavar="FORMULA",
        help="How a share's version bits go into the job's version: "
        f"{', '.join(SHARE_VERSIONS)}; the dialect's when left out.",
    ),
]
CPU_DIFFICULTY = 0.001
"""To begin with, where the dialect says nothing: a CPU's share in some seconds."""


def run_pool(  # noqa: PLR0917 - Typer reads the options from the arguments
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 3333,
    difficulty: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            show_default="0.001, or the dialect's",
            help="First difficulty of a miner that suggests none.",
        ),
    ] = None,
    network_difficulty: Annotated[
        float, typer.Option(min=1e-9, help="Difficulty of a block.")
    ] = 34103.0,
    block_interval: Annotated[
        float,
        typer.Option(min=1, help="Mean seconds between blocks found by others."),
    ] = 600.0,
    dialect: DialectOption = "softaxe",
    job_version: JobVersionOption = None,
    share_version: ShareVersionOption = None,
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            help="Speak TLS, with a certificate made for this run unless there is one.",
        ),
    ] = False,
    cert: CertOption = None,
    key: KeyOption = None,
    sv2: Annotated[
        bool,
        typer.Option("--sv2", help="Speak Stratum v2, too, on the port after that."),
    ] = False,
    seed: SeedOption = None,
    control: ControlOption = CONTROL,
    control_token: ControlTokenOption = "",
    allow_host: AllowHostOption = None,
    allow_network: AllowNetworkOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run the built-in pool alone; it checks every share by hashing."""
    if (cert is None) is not (key is None):
        fail("--cert: goes with --key")
    if cert is not None and not tls:
        fail("--cert: is of no use without --tls")
    if sv2 and port == LAST_PORT:
        fail(f"--port: {port} leaves no port after it for --sv2")
    from softaxe.fleet.options import FleetOptions, PoolOptions  # noqa: PLC0415
    from softaxe.fleet.pool_server import PoolServer  # noqa: PLC0415
    from softaxe.stratum.pool import SMALLEST_DIFFICULTY, START_TIME  # noqa: PLC0415

    version = _check_dialect(dialect, job_version, share_version)
    certificate = _certificate(host, cert, key) if tls else None

    def tell(server: PoolServer) -> None:
        for name, url in zip(("pool", "sv2"), server.urls, strict=False):
            typer.echo(f"  {name:<8} {url}")
        begin = server.pool.start_difficulty
        typer.echo(f"  dialect  {dialect}")
        typer.echo(f"  shares   difficulty {begin:g} to begin with")
        typer.echo(f"  blocks   difficulty {network_difficulty:g}")
        if certificate is not None:
            where = "what follows" if cert is None else f"what is in {cert}"
            typer.echo(f"  trust    stratumTLS 2, and as stratumCert {where}")
            if cert is None:
                typer.echo(certificate.pem)

    with folder_that_ends() as directory:
        options = FleetOptions(
            state=Path(directory),
            groups=(),
            has_pool=True,
            pool=PoolOptions(
                start_difficulty=difficulty,
                usual_difficulty=CPU_DIFFICULTY,
                smallest_difficulty=SMALLEST_DIFFICULTY,
                difficulty_unit=1.0,
                network_difficulty=network_difficulty,
                block_interval_s=block_interval,
                place=(host, port),
                certificate=certificate,
                has_v2=sv2,
            ),
            pool_dialect=dialect,
            pool_job_version=version,
            pool_share_version=share_version,
            control=control,
            allow_host=tuple(allow_host or ()),
            allow_network=tuple(allow_network or ()),
            seed=seed,
            start_time=int(time.time()) if seed is None else START_TIME,
        )
        try:
            options.check(lambda name: f"--{name.replace('_', '-')}")
        except SettingError as error:
            fail(error)
        warn_of_open_control(options, control_token)
        run_loop(serve_pool(options, print_pool_log, tell, control_token))


def _check_dialect(
    name: str, job_version: str | None, share_version: str | None
) -> int | None:
    """Look at what is said of the dialect; return the version of the jobs."""
    try:
        read_as("--dialect", check_dialect, name)
        if share_version is not None:
            read_as("--share-version", check_share_version, share_version)
        if job_version is not None:
            return read_as("--job-version", read_version, job_version)
    except SettingError as error:
        fail(error)
    return None


def _certificate(host: str, cert: Path | None, key: Path | None) -> "Certificate":
    """Return what devices have to trust."""
    from softaxe.fleet import certificates  # noqa: PLC0415
    from softaxe.serve.addresses import address_of  # noqa: PLC0415

    hosts = [host, address_of(host) or host, socket.gethostname()]
    hosts += ["localhost", "127.0.0.1", "::1"]
    try:
        if cert is None or key is None:
            return certificates.make(hosts)
        own = certificates.kept(cert, key, hosts)
        # Which looks whether it is one.
        read_as(f"--cert {cert}, --key {key}", certificates.server_context, own)
    except SettingError as error:
        fail(error)
    return own
