"""`softaxe pool`: the built-in pool alone, for other people's miners."""

import asyncio
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from softaxe import __version__
from softaxe.cli.terminal import fail, run_loop, stop_on_signals
from softaxe.errors import SettingError
from softaxe.units import Level, printable

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


def run_pool(  # noqa: PLR0917 - Typer reads the options from the arguments
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
) -> None:
    """Run the built-in pool alone; it checks every share by hashing."""
    if (cert is None) is not (key is None):
        fail("--cert: goes with --key")
    if cert is not None and not tls:
        fail("--cert: is of no use without --tls")
    from softaxe.fleet.clock import Clock  # noqa: PLC0415
    from softaxe.fleet.pool_server import PoolServer  # noqa: PLC0415
    from softaxe.serve.intake import Intake  # noqa: PLC0415
    from softaxe.stratum.pool import Pool  # noqa: PLC0415

    pem, context = _tls_of(host, cert, key) if tls else ("", None)

    async def main() -> None:
        clock = Clock()
        stopped = asyncio.Event()
        stop_on_signals(stopped.set)
        pool = Pool(
            start_difficulty=difficulty,
            network_difficulty=network_difficulty,
            block_interval_s=block_interval,
            start_time=int(time.time()),
            seed=time.time_ns(),
            log=_print_pool_log,
        )
        server = PoolServer(pool, clock, intake=Intake())
        address, bound = await server.listen(host, port, tls=context)
        typer.echo(f"softaxe {__version__}")
        scheme = "stratum+ssl" if tls else "stratum+tcp"
        typer.echo(f"  pool     {scheme}://{address}:{bound}")
        if sv2:
            from softaxe.stratum.v2.pool import Entrance  # noqa: PLC0415

            server.entrance = Entrance(pool, seed=time.time_ns())
            following = port + 1 if port else 0
            address, bound = await server.listen(host, following, is_v2=True)
            authority = server.entrance.authority.text
            typer.echo(f"  sv2      stratum2+tcp://{address}:{bound}/{authority}")
        typer.echo(f"  shares   difficulty {difficulty:g} to begin with")
        typer.echo(f"  blocks   difficulty {network_difficulty:g}")
        if tls:
            where = "what follows" if cert is None else f"what is in {cert}"
            typer.echo(f"  trust    stratumTLS 2, and as stratumCert {where}")
            if cert is None:
                typer.echo(pem)
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

    run_loop(main())


def _tls_of(
    host: str, cert: Path | None, key: Path | None
) -> tuple[str, ssl.SSLContext]:
    """Return what devices have to trust, and what the pool encrypts with."""
    from softaxe.fleet import certificates  # noqa: PLC0415
    from softaxe.serve.addresses import address_of  # noqa: PLC0415

    hosts = [host, address_of(host) or host, socket.gethostname()]
    hosts += ["localhost", "127.0.0.1", "::1"]
    try:
        if cert is None or key is None:
            own = certificates.make(hosts)
        else:
            own = certificates.kept(cert, key, hosts)
        return own.pem, certificates.server_context(own)
    except SettingError as error:
        fail(str(error))


def _print_pool_log(level: Level, tag: str, text: str) -> None:
    sys.stdout.write(f"{level} {tag}: {printable(text)}\n")
    sys.stdout.flush()
