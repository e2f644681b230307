"""Records a device: asks it again and again, and listens to its log."""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from softaxe.client import Client
from softaxe.errors import StorageError
from softaxe.recordings.record import Entry, Standins, ask_all, cleaned, header

LOG_LINES = 10_000
"""Lines that may wait to be written."""


def record(
    url: str,
    path: Path,
    *,
    duration_s: float,
    interval_s: float,
    tell: Callable[[int], None] = lambda count: None,
) -> int:
    """Record a device into a file.

    Args:
        url: Of the device.
        path: Written anew; until the end it is called `.part`.
        duration_s: How long, unless Ctrl-C ends it sooner.
        interval_s: Between two rounds of questions.
        tell: Called with the number of entries so far, after every round.

    Returns:
        How many entries were written.

    Raises:
        DeviceError: Nothing answered at first.
        StorageError: The file cannot be written.
    """
    client, standins = Client(url), Standins()
    lines: queue.Queue[Entry] = queue.Queue(LOG_LINES)
    began, stopped = time.monotonic(), threading.Event()
    first = [cleaned(entry, standins) for entry in ask_all(client, 0.0, is_first=True)]
    part = path.with_name(f"{path.name}.part")
    listening = threading.Thread(
        target=_listen, args=(client.url, began, stopped, lines), daemon=True
    )
    listening.start()
    heard: list[Entry] = []
    """Log lines that are still to be written."""
    count, number = len(first), 0
    last = math.floor(duration_s / interval_s)
    try:
        with part.open("w", encoding="ascii") as file:
            file.write(header(client.url, interval_s) + "\n")
            file.write(_text(first))
            try:
                tell(count)
                while (number := _next_round(began, interval_s, number)) <= last:
                    due = began + number * interval_s
                    time.sleep(max(0.0, due - time.monotonic()))
                    at_s = round(time.monotonic() - began, 3)
                    heard += _waiting(lines)
                    raw = [*heard, *ask_all(client, at_s, is_first=False)]
                    text = _text([cleaned(entry, standins) for entry in raw])
                    file.write(text)
                    heard = []
                    count += len(raw)
                    tell(count)
            except KeyboardInterrupt:  # what there is will do
                heard += _waiting(lines)
                file.write(_text([cleaned(line, standins) for line in heard]))
                count += len(heard)
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error
    finally:
        stopped.set()
        listening.join(5)
        part.unlink(missing_ok=True)
    return count


def _next_round(began: float, interval_s: float, before: int) -> int:
    """The round after `before` that is due next: a slow device has missed some."""
    return max(before, math.floor((time.monotonic() - began) / interval_s)) + 1


def _text(entries: Iterable[Entry]) -> str:
    return "".join(entry.to_line() + "\n" for entry in entries)


def _waiting(lines: "queue.Queue[Entry]") -> list[Entry]:
    found = []
    while not lines.empty():
        found.append(lines.get_nowait())
    return found


def _listen(
    url: str, began: float, stopped: threading.Event, lines: "queue.Queue[Entry]"
) -> None:
    """Follow the device's log; it may go away and come back."""
    address = f"ws{url.removeprefix('http')}/api/ws"
    while not stopped.is_set():
        try:
            with connect(address, proxy=None, compression=None) as socket:
                while not stopped.is_set():
                    try:
                        text = socket.recv(timeout=0.5)
                    except TimeoutError:
                        continue
                    at_s = round(time.monotonic() - began, 3)
                    if isinstance(text, str) and not lines.full():
                        lines.put_nowait(Entry(at_s, "", body=text))
        except (OSError, WebSocketException, EOFError):
            stopped.wait(1.0)
