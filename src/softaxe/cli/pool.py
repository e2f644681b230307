"""`softaxe pool`: the built-in pool alone, for other people's miners."""

import asyncio
import sys
import time
from typing import Annotated

import typer

from softaxe import __version__
from softaxe.cli.terminal import run_loop, stop_on_signals
from softaxe.units import Level, printable


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
    from softaxe.serve.intake import Intake  # noqa: PLC0415
    from softaxe.stratum.pool import Pool  # noqa: PLC0415

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

    run_loop(main())


def _print_pool_log(level: Level, tag: str, text: str) -> None:
    sys.stdout.write(f"{level} {tag}: {printable(text)}\n")
    sys.stdout.flush()
