"""The `softaxe` command."""

import os
import sys

from softaxe import __version__

INTERRUPTED = 130
"""As shells have it: 128 and SIGINT's number."""


def main() -> None:
    """Entry point of the `softaxe` command."""
    if sys.argv[1:] == ["--version"]:
        # Asked by scripts, and often: that is not worth importing Typer.
        sys.stdout.write(f"softaxe {__version__}\n")
        return
    _open_standard_files()
    if getattr(sys, "frozen", False):  # one file of PyInstaller: its processes, too
        import multiprocessing  # noqa: PLC0415

        multiprocessing.freeze_support()
    try:
        from softaxe.cli.commands import app  # noqa: PLC0415

        app(prog_name="softaxe")
    except KeyboardInterrupt:  # while it loads; later the commands see to it
        sys.exit(INTERRUPTED)


def _open_standard_files() -> None:
    """Let what was closed be one that is there, so that no socket gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
