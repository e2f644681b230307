"""A reader's terminal: it runs what stands in a page's shell blocks as it is pasted.

bash, curl and jq are the real ones. `softaxe` is the command line's own code in this
process, as it takes longer to load than to do what it is told: bash sends us its words.
What goes on until Ctrl-C gets that once it says so, and what a page starts with `&`
runs in a thread until its page ends it, or is over.

Three things are not as they are written. Ports are free ones; addresses of other
machines are ours; and there are fewer devices and shorter times, as a test bears them.
"""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO, TextIOBase
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import typer
from tests.running import free_ports

from softaxe.cli import pool, record, run, serving, terminal
from softaxe.cli.commands import app

PORTS = {"8100": 0, "3333": 1, "3334": 2, "8080": 3, "9000": 10}
"""That pages name, and where they are among ours: of orders, of a pool and its second
version, and the first ones of devices."""
MOST_DEVICES = 7
OTHERS = ("pool.example:3333", "public-pool.io:21496")
"""Pools of others, for which the built-in one stands."""
HERE = ("192.168.1.50", "0.0.0.0")
DEVICE = "192.168.1.20"
"""The reader's own Bitaxe."""
LESS = {"--count 1000": "--count 20", "--count 100 ": "--count 5 "}
LESS |= {"--count 50 ": "--count 5 ", "sleep(600)": "sleep(60)"}
LESS |= {'"seconds": 3600': '"seconds": 60', '"seconds": 600': '"seconds": 60'}
GOES_ON = "Ctrl-C stops it."
LISTENS = {"--port", "--port-base", "--control"}
ENDLESS = {"record", "watch", "--follow"}
"""What goes on without a word."""
ENOUGH_S = 0.7
INTERRUPTED = 130
ENDING: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
PRELUDE = """
set -eE
trap 'echo "$AT: $BASH_COMMAND" >&2' ERR
curl() {
    case " $* " in *" -f "*) ;; *) set -- --fail-with-body "$@" ;; esac
    command curl -sS --max-time 60 "$@"
}
softaxe() { printf '%s\\0' "$@" | curl --data-binary @- "$TERMINAL/${BESIDE:-}"; }
pip() { [ "$1" = install ]; }  # this one is the package
pytest() { [ $# = 0 ]; }       # what would run this; each test of a page is run apart
python() { command "$PYTHON" "$@"; }
"""


class _Said(TextIOBase):
    """What is printed, by thread; it presses Ctrl-C in the main one."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.by_thread: dict[int, StringIO] = {}
        self.going: set[int] = set()

    def write(self, text: str) -> int:
        me = threading.get_ident()
        self.by_thread.setdefault(me, StringIO()).write(text)
        if GOES_ON in text:
            self.going.add(me)
            if threading.current_thread() is threading.main_thread():
                signal.raise_signal(signal.SIGINT)
        return len(text)

    def take(self) -> str:
        """Return what this thread has printed since the last time."""
        return self.by_thread.pop(threading.get_ident(), StringIO()).getvalue()


@dataclass(slots=True)
class _Beside:
    """A command in a thread of its own, until it is told to stop."""

    words: list[str]
    status: int | None = None
    output: str = ""
    stop: Callable[[], object] | None = None
    thread: threading.Thread = field(init=False)


class Terminal:
    """One terminal, in a folder.

    Args:
        folder: Where the reader is.
        root: Of the source, whose examples/ are there.
        monkeypatch: For the environment, and the signals of threads.
    """

    def __init__(
        self, folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        if not (folder / "examples").exists():
            (folder / "examples").symlink_to(root / "examples")
        first = free_ports(max(PORTS.values()) + MOST_DEVICES)
        self._ports = {name: str(first + place) for name, place in PORTS.items()}
        self._said = _Said()
        self._beside: list[_Beside] = []
        self._server = HTTPServer(("127.0.0.1", 0), _handler(self._asked))
        self._server.timeout = 0.02
        self._root: Any = typer.main.get_command(app)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
        stop_on_signals = terminal.stop_on_signals
        folder_that_ends = terminal.folder_that_ends

        def told(stop: Callable[[], object]) -> None:
            mine = self._of_this_thread()
            if mine is None:
                stop_on_signals(stop)
            else:
                mine.stop = _from_elsewhere(stop)

        @contextmanager
        def own_folder() -> Iterator[str]:
            if self._of_this_thread() is None:
                with folder_that_ends() as chosen:
                    yield chosen
            else:
                with TemporaryDirectory(dir=folder) as chosen:
                    yield chosen

        monkeypatch.setattr(serving, "stop_on_signals", told)
        for module in (run, pool, record):
            monkeypatch.setattr(module, "folder_that_ends", own_folder)

    def here(self, text: str) -> str:
        """Return what is written for the ports and addresses that there are."""
        for one in OTHERS:
            text = text.replace(one, f"127.0.0.1:{self._ports['3333']}")
        text = text.replace(
            f"http://{DEVICE}", f"http://127.0.0.1:{self._ports['8080']}"
        )
        for one in HERE:
            text = text.replace(one, "127.0.0.1")
        for one, less in LESS.items():
            text = text.replace(one, less)
        pattern = rf"(?<![\w.]){'|'.join(f'(?:{one})' for one in PORTS)}(?!\w)"
        return re.sub(pattern, lambda one: self._ports[one[0]], text)

    def paste(self, blocks: Mapping[str, str], *, reading_s: float = 0.0) -> str:
        """Run blocks, by their places, one after another; return what was printed.

        What does not end with status 0, or is answered with one from 400 on, fails.

        Args:
            blocks: What is pasted.
            reading_s: Before the next block, as what was started has to connect.
        """
        text = f"\nsleep {reading_s}".join(
            f"\nAT={shlex.quote(place)}\n{_asides(self.here(code))}"
            for place, code in blocks.items()
        )
        with TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            with out.open("w", encoding="utf-8") as written:
                process = subprocess.Popen(
                    ["bash", "-c", PRELUDE + text],
                    stdin=subprocess.DEVNULL,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env={
                        **os.environ,
                        "TERMINAL": f"http://127.0.0.1:{self._server.server_port}",
                        "PYTHON": sys.executable,
                        "SOFTAXE_CONTROL": "",
                    },
                )
                with redirect_stdout(self._said), redirect_stderr(self._said):
                    while process.poll() is None:
                        self._server.handle_request()
            printed = out.read_text(encoding="utf-8", errors="replace")
        assert process.returncode == 0, printed[-3000:]
        return printed

    def start(self, command: str) -> None:
        """Start what another terminal has."""
        with redirect_stdout(self._said), redirect_stderr(self._said):
            status, output = self._asked(shlex.split(self.here(command))[1:], True)
        assert status == 0, output

    def close(self) -> None:
        """End what still runs."""
        self._server.server_close()
        for one in self._beside:
            if one.thread.is_alive() and one.stop is not None:
                one.stop()
            one.thread.join(30)
            assert one.status == 0, f"{one.words}: {one.output}"

    def _asked(self, words: list[str], is_beside: bool) -> tuple[int, str]:
        """Run a command; return its status and what it has printed."""
        if not is_beside:
            return self._ended(words)
        mine = _Beside(words)
        mine.thread = threading.Thread(
            target=self._run_beside, args=(mine,), daemon=True
        )
        self._beside.append(mine)
        mine.thread.start()
        while mine.thread.ident not in self._said.going and mine.thread.is_alive():
            mine.thread.join(0.01)
        return mine.status or 0, mine.output

    def _run_beside(self, mine: _Beside) -> None:
        mine.status = self._run(mine.words, self._ports["8080"], self._ports["8100"])
        mine.output = self._said.take()

    def _ended(self, words: list[str]) -> tuple[int, str]:
        """Run a command to its end, or to our Ctrl-C, beside what has the ports."""
        words = [_free(*pair) for pair in pairwise(["", *words])]
        main = threading.main_thread().ident
        timer = threading.Timer(ENOUGH_S, signal.pthread_kill, (main, signal.SIGINT))
        # As a new process has them; loops leave others behind.
        before = {one: signal.getsignal(one) for one in ENDING}
        for one, usual in ENDING.items():
            signal.signal(one, usual)
        if ENDLESS & set(words):
            timer.start()
        try:
            status = self._run(words, "0", "0")
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            timer.cancel()
            for one, other in before.items():
                signal.signal(one, other)
        return 0 if status == INTERRUPTED else status, self._said.take()

    def _run(self, words: list[str], port: str, control: str) -> int:
        """Run a command with these ports, unless it says others; return its status."""
        of_run = {"port": port, "control": f"127.0.0.1:{control}"}
        of_pool = {"port": self._ports["3333"] if port != "0" else "0"}
        defaults = {
            "run": of_run,
            "pool": of_pool | {"control": of_run["control"]},
            "clone": {"port": port},
            "warp": {"control": f"http://127.0.0.1:{self._ports['8100']}"},
        }
        try:
            self._root.main(words, prog_name="softaxe", default_map=defaults)
        except SystemExit as end:
            return int(end.code or 0)
        raise AssertionError("a command ends by an exit")

    def _of_this_thread(self) -> _Beside | None:
        me = threading.current_thread()
        return next((one for one in self._beside if one.thread is me), None)


def _asides(code: str) -> str:
    """What is put into the background, by us instead of bash."""
    return re.sub(r"^(softaxe [^\n]*?) *&$", r"BESIDE=beside \1", code, flags=re.M)


def _free(option: str, word: str) -> str:
    """A free port for what a command listens on, as its own may be taken."""
    return re.sub(r"\d+$", "0", word) if option in LISTENS else word


def _from_elsewhere(stop: Callable[[], object]) -> Callable[[], object]:
    loop = asyncio.get_running_loop()
    return lambda: loop.call_soon_threadsafe(stop)


def _handler(ask: Callable[[list[str], bool], tuple[int, str]]) -> type:
    """What takes the words that bash sends, and answers with what was printed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            words = self.rfile.read(size).decode().split("\0")[:-1]
            status, printed = ask(words, self.path == "/beside")
            body = printed.encode()
            self.send_response(500 if status else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
