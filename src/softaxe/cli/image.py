"""`softaxe image`: a firmware image to test updates with."""

from pathlib import Path
from typing import Annotated

import typer

from softaxe.catalog.firmware import DEFAULT_VERSION, is_known, nearest
from softaxe.cli.terminal import fail, warn
from softaxe.errors import SoftaxeError
from softaxe.flash.image import release_bytes, release_image


def make_image(
    firmware: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
            help="Release that the image is of, such as 2.15.0; any other text stands "
            "in it as it is.",
        ),
    ] = DEFAULT_VERSION,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where it goes.")
    ] = Path("esp-miner.bin"),
) -> None:
    """Make a firmware image for updates of softaxe's devices, without any firmware."""
    try:
        image, data = release_image(firmware), release_bytes(firmware)
        output.write_bytes(data)
    except (SoftaxeError, OSError) as error:
        fail(error)
    typer.echo(f"{output}: {image.version}, {len(data)} bytes.")
    typer.echo(
        "There is no firmware in it: softaxe's devices take it for the release, a real "
        "one refuses it and stays as it is."
    )
    if not is_known(image.version):
        tag = nearest(image.version).tag
        warn(f"{image.version} is no known release; softaxe's devices speak as {tag}")
