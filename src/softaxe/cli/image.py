"""`softaxe image`: images to test updates with."""

from pathlib import Path
from typing import Annotated

import typer

from softaxe.catalog.firmware import DEFAULT_VERSION, is_known, nearest
from softaxe.cli.terminal import fail, warn
from softaxe.errors import SoftaxeError, read_as
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
    www: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Make an image of this web page instead; real devices take it, too.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where it goes: esp-miner.bin or www.bin, unless you say otherwise.",
        ),
    ] = None,
) -> None:
    """Make a firmware image for updates of softaxe's devices, without any firmware."""
    if www is not None:
        _make_www(www, output or Path("www.bin"))
        return
    output = output or Path("esp-miner.bin")
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


def _make_www(folder: Path, output: Path) -> None:
    from softaxe.flash.spiffs import write_spiffs  # noqa: PLC0415
    from softaxe.serve.www_source import read_source  # noqa: PLC0415

    try:
        files = read_as("--www", read_source, folder)
        output.write_bytes(write_spiffs(files))
    except (SoftaxeError, OSError) as error:
        fail(error)
    size = sum(map(len, files.values()))
    number = f"{len(files)} {'file' if len(files) == 1 else 'files'}"
    typer.echo(f"{output}: {number}, {size} bytes.")
