"""softaxe's commands as processes, and how to wait for what they do."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def command(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A command while it runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "softaxe", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(
    process: "subprocess.Popen[str]", is_enough: Callable[[str], bool]
) -> str:
    """Read what a process prints until it is enough, or a minute is over."""
    assert process.stdout is not None
    text = ""
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        while not is_enough(text):
            line = process.stdout.readline()
            assert line, f"it has ended: {text}"
            text += line
    finally:
        watchdog.cancel()
    return text


def end_of(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """The rest of what an ending process prints; for after `read_until`."""
    # Not `communicate`, which does not see what was read ahead.
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdout.read(), process.stderr.read()


def ended(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "softaxe", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
