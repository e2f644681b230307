"""Records a device: asks it again and again, and listens to its log."""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from softaxe.client.axeos import AxeOS
from softaxe.errors import StorageError
from softaxe.log_limit import LogLimit
from softaxe.recordings.record import (
    HEADER_BYTES,
    INFO,
    MAX_FILE_BYTES,
    MOST_ENTRIES,
    Entry,
    Standins,
    ask_all,
    cleaned,
    header,
    release_of,
)
from softaxe.units import Level

LOG_LINES = 2000
"""Lines that may wait to be written."""
MOST_LINES = 1000
MOST_CHARACTERS = 1 << 18
"""Of the log in ten seconds; a Bitaxe writes a tenth at most. More is left out."""
LINE_CHARACTERS = 8192
"""Longer ones are cut."""
CLOSE_S = 0.5
"""Until a device that goes on talking is left without a farewell."""
MESSAGE_BYTES = 1 << 16
"""A device that sends more at once is not listened to."""


class Recorded(NamedTuple):
    """What a recording holds."""

    entries: int
    is_full: bool
    """It ended before its time, as a longer one could not be played."""


def record(
    url: str,
    path: Path,
    *,
    duration_s: float,
    interval_s: float,
    tell: Callable[[int], None] = lambda count: None,
) -> Recorded:
    """Record a device into a file.

    Args:
        url: Of the device.
        path: Written anew; until the end it is called `.part`.
        duration_s: How long, unless Ctrl-C ends it sooner.
        interval_s: Between two rounds of questions.
        tell: Called with the number of entries so far, after every round.

    Raises:
        DeviceError: Nothing answered at first.
        StorageError: The file cannot be written.
    """
    client, standins = AxeOS(url), Standins()
    lines: queue.Queue[Entry] = queue.Queue(LOG_LINES)
    began, stopped = time.monotonic(), threading.Event()
    first = [cleaned(entry, standins) for entry in ask_all(client, 0.0, is_first=True)]
    part = path.with_name(f"{path.name}.part")
    arguments = client.url, began, stopped, lines, _is_log_in_pieces(first)
    listening = threading.Thread(target=_listen, args=arguments, daemon=True)
    listening.start()
    heard: list[Entry] = []
    """Log lines that are still to be written."""
    count, number, is_full = len(first), 0, False
    last = math.floor(duration_s / interval_s)
    try:
        with part.open("w", encoding="ascii") as file:
            file.write(header(client.url, interval_s) + "\n")
            file.write(text := _text(first))
            left = MAX_FILE_BYTES - HEADER_BYTES - len(text)
            try:
                tell(count)
                while (
                    not is_full
                    and (number := _next_round(began, interval_s, number)) <= last
                ):
                    due = began + number * interval_s
                    time.sleep(max(0.0, due - time.monotonic()))
                    at_s = round(time.monotonic() - began, 3)
                    heard += _waiting(lines)
                    raw = [*heard, *ask_all(client, at_s, is_first=False)]
                    text = _text(_cleaned(raw, standins))
                    heard = []
                    is_full = len(text) > left or count + len(raw) > MOST_ENTRIES
                    if is_full:
                        break
                    file.write(text)
                    left -= len(text)
                    count += len(raw)
                    tell(count)
            except KeyboardInterrupt:  # what there is will do
                heard += _waiting(lines)
                text = _text(_cleaned(heard, standins))
                if len(text) <= left:
                    file.write(text)
                    count += len(heard)
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error
    finally:
        stopped.set()
        listening.join(5)
        part.unlink(missing_ok=True)
    return Recorded(count, is_full)


def _cleaned(raw: Iterable[Entry], standins: Standins) -> list[Entry]:
    """Return entries without what is private; log lines only while all of it is known.

    A device that has more names than can be looked for has no log.
    """
    found = [cleaned(entry, standins) for entry in raw if not entry.is_log]
    if not standins.is_full:
        found += [cleaned(entry, standins) for entry in raw if entry.is_log]
    return sorted(found, key=lambda entry: entry.at_s)


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


def _is_log_in_pieces(answers: Iterable[Entry]) -> bool:
    """Tell how the log of a device comes, by what else it has answered."""
    info = next((answer.body for answer in answers if answer.path == INFO), "")
    return release_of(info.encode("latin-1")).rows.log_frames == "ring"


class _Lines:
    """Puts lines together that come in pieces.

    What is private in a line is known by its beginning, so no piece is kept alone.

    Args:
        are_in_pieces: They do, as from firmware 2.14 on; otherwise a message is one.
    """

    def __init__(self, *, are_in_pieces: bool) -> None:
        self._are_in_pieces = are_in_pieces
        self._begun = ""

    def take(self, piece: str) -> str | None:
        """Return a line that is whole with this piece; a long one is cut."""
        line = (self._begun + piece)[:LINE_CHARACTERS]
        is_whole = not self._are_in_pieces or piece.endswith("\n")
        self._begun = "" if is_whole else line
        return line if is_whole else None


def _listen(
    url: str,
    began: float,
    stopped: threading.Event,
    lines: "queue.Queue[Entry]",
    are_in_pieces: bool,
) -> None:
    """Follow the device's log; it may go away and come back."""
    address = f"ws{url.removeprefix('http')}/api/ws"
    limit = LogLimit(most_lines=MOST_LINES, most_characters=MOST_CHARACTERS)
    while not stopped.is_set():
        try:
            with connect(
                address,
                proxy=None,
                compression=None,
                max_size=MESSAGE_BYTES,
                close_timeout=CLOSE_S,
            ) as socket:
                whole = _Lines(are_in_pieces=are_in_pieces)
                while not stopped.is_set():
                    try:
                        message = socket.recv(timeout=0.5)
                    except TimeoutError:
                        continue
                    at_s = round(time.monotonic() - began, 3)
                    text = whole.take(message) if isinstance(message, str) else None
                    if text is None or lines.full():
                        continue
                    line = Level.INFO, "", text
                    if line in limit.lines(*line, at_s):
                        lines.put_nowait(Entry(at_s, "", body=text))
        except (OSError, WebSocketException, EOFError):
            stopped.wait(1.0)
