"""The `softaxe` command."""

import sys

from softaxe import __version__


def main() -> None:
    """Entry point of the `softaxe` command."""
    if sys.argv[1:] == ["--version"]:
        # Asked by scripts, and often: that is not worth importing Typer.
        sys.stdout.write(f"softaxe {__version__}\n")
        return
    from softaxe.cli.commands import app  # noqa: PLC0415

    app(prog_name="softaxe")
