"""All commands, in the order in which the help shows them."""

from typing import Annotated

import typer

from softaxe import __version__
from softaxe.cli.chip import run_chip
from softaxe.cli.device import app as device_app
from softaxe.cli.image import make_image
from softaxe.cli.metal import app as metal_app
from softaxe.cli.pool import run_pool
from softaxe.cli.record import run_check, run_clone, run_record
from softaxe.cli.run import run
from softaxe.cli.scenario import run_scenario
from softaxe.cli.schema import print_schema
from softaxe.cli.warp import run_warp

app = typer.Typer(
    help="A complete Bitaxe in software: real HTTP, Stratum and SHA-256d.",
    no_args_is_help=True,
    context_settings={
        # Every option of every command: SOFTAXE_RUN_PORT, SOFTAXE_POOL_PORT, ...
        "auto_envvar_prefix": "SOFTAXE",
        "help_option_names": ["-h", "--help"],
    },
    pretty_exceptions_enable=False,
)


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
            allow_from_autoenv=False,  # SOFTAXE_VERSION is what image tags are kept in
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:
    pass


app.command("run")(run)
app.command("record")(run_record)
app.command("clone")(run_clone)
app.command("scenario")(run_scenario)
app.command("warp")(run_warp)
app.command("image")(make_image)
app.command("schema")(print_schema)
app.command("pool")(run_pool)
app.command("chip")(run_chip)
app.command("check")(run_check)
app.add_typer(device_app, name="device")
app.add_typer(metal_app, name="metal")
