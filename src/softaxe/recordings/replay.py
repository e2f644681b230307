"""Serves a recording as if its device were there.

Answers follow the recorded time line and begin anew at its end. Nothing can be changed:
what would change a device is judged and answered as it would be, and forgotten.
"""

import asyncio
import json
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from softaxe.api import cjson, views
from softaxe.api.access import is_allowed
from softaxe.api.schema import TIMESTAMP
from softaxe.api.views import wanted_columns
from softaxe.catalog import USUAL_BOARD, Board
from softaxe.catalog import board as board_named
from softaxe.device.patch import check_patch
from softaxe.device.profile import DOCUMENTED
from softaxe.device.settings import Settings
from softaxe.errors import SettingError
from softaxe.recordings.record import MAX_FILE_BYTES, STATISTICS, Entry, read_recording
from softaxe.serve.answers import FULL_CORS, UNAUTHORIZED, Answer
from softaxe.serve.listener import Listener
from softaxe.serve.request import AcceptWebSocket, Reply, Request, WebSocket
from softaxe.serve.server import (
    HI,
    RESTARTING,
    UNKNOWN_ROUTE,
    bad_request,
    patched,
    read_patch_body,
)

LEAST_S = 1.0
"""A recording of one moment lasts so long."""
CHANGES = {
    ("POST", "/api/system/restart"): Answer(
        views.message_body(RESTARTING), content_type=b"application/json"
    ),
    ("POST", "/api/system/identify"): Answer(
        views.message_body(HI), content_type=b"application/json"
    ),
}
"""What is answered to what a device does, though nothing is done."""


def load_recording(path: Path) -> list[Entry]:
    """Read a recording's file.

    Raises:
        SettingError: It cannot be read or is none.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingError(f"{path}: over {MAX_FILE_BYTES} bytes")
        with path.open(encoding="ascii") as lines:
            return read_recording(lines, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: {error}") from error


class Replay:
    """A recorded device: an app for its port."""

    def __init__(self, entries: list[Entry]) -> None:
        answers = [entry for entry in entries if not entry.is_log]
        self._logs = [entry for entry in entries if entry.is_log]
        self._answers: dict[str, list[Entry]] = {}
        for entry in answers:
            self._answers.setdefault(entry.path, []).append(entry)
        self._rounds = [e for e in answers if e.path == "/api/system/info"]
        last = max(entry.at_s for entry in entries)
        between = last / (len(self._rounds) - 1) if len(self._rounds) > 1 else LEAST_S
        self.duration_s = max(LEAST_S, last + between)
        """Until it begins anew."""
        self._began = time.monotonic()
        info = _members(next((e.body for e in self._rounds if e.status), ""))
        self._board = _board_of(info)
        factory = Settings.from_nvs({}, self._board)
        is_overclocked = bool(info.get("overclockEnabled"))
        self._settings = factory.changed({"is_overclock_enabled": is_overclocked})

    @property
    def at_s(self) -> float:
        """Where the time line is."""
        return (time.monotonic() - self._began) % self.duration_s

    async def __call__(self, request: Request) -> Reply:
        """Serve a request or a log reader."""
        if request.is_websocket:
            if request.path != "/api/ws" or not _is_allowed(request):
                return UNAUTHORIZED
            return AcceptWebSocket(self._stream)
        if request.path.startswith("/api/") and not _is_allowed(request):
            return UNAUTHORIZED
        if self._is_away():
            return None
        answer = await self._answer(request)
        return answer.with_headers(FULL_CORS)

    async def _answer(self, request: Request) -> Answer:
        method, path = request.method, request.path
        if (method, path) == ("PATCH", "/api/system"):
            return await self._judge(request)
        if (method, path) in CHANGES:
            return CHANGES[method, path]
        if method == "OPTIONS":
            return Answer()
        known = self._answers.get(path, [])
        entry = _latest([one for one in known if one.status], self.at_s)
        if method != "GET" or entry is None:
            return UNKNOWN_ROUTE[False]
        named = {k: v for k, v in entry.headers.items() if k != "content-type"}
        body = entry.body.encode("latin-1")
        if path == STATISTICS:
            body = _with_columns(body, request.query)
        return Answer(
            body,
            status=entry.status,
            content_type=entry.headers.get("content-type", "text/html").encode(),
            headers=tuple(
                (name.title().encode(), value.encode()) for name, value in named.items()
            ),
        )

    async def _judge(self, request: Request) -> Answer:
        """Answer a PATCH as the recorded board would."""
        body = await read_patch_body(request.body)
        if isinstance(body, Answer):
            return body
        try:
            members = cjson.parse(body)
        except ValueError as error:
            return bad_request(f"Invalid JSON: {error}")
        try:
            patch = check_patch(
                self._settings, members, profile=DOCUMENTED, board=self._board
            )
        except SettingError as error:
            return bad_request(str(error))
        return patched(patch)

    def _is_away(self) -> bool:
        latest = _latest(self._rounds, self.at_s)
        return latest is not None and not latest.status

    async def _stream(self, websocket: WebSocket) -> None:
        telling = asyncio.ensure_future(self._tell(websocket))
        while await websocket.receive() is not None:
            pass
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling

    async def _tell(self, websocket: WebSocket) -> None:
        for due, line in self._lines(time.monotonic()):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await websocket.send(line)

    def _lines(self, now: float) -> Iterator[tuple[float, str]]:
        """Yield log lines from `now` on, for ever, each with its moment."""
        if not self._logs:
            return
        rounds, at_s = divmod(now - self._began, self.duration_s)
        began = self._began + rounds * self.duration_s
        index = bisect_right([entry.at_s for entry in self._logs], at_s)
        while True:
            for entry in self._logs[index:]:
                yield began + entry.at_s, entry.body
            index = 0
            began += self.duration_s


def _members(body: str) -> dict[str, Any]:
    try:
        members = json.loads(body)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def _board_of(info: Mapping[str, Any]) -> Board:
    """Return the recorded device's board; the usual one when nothing tells."""
    try:
        return board_named(str(info.get("boardVersion")))
    except SettingError:
        return board_named(USUAL_BOARD)


def _with_columns(body: bytes, query: str) -> bytes:
    """Return recorded statistics with the columns asked for, digits as they are."""
    wanted = wanted_columns(query, DOCUMENTED)
    try:
        answer = json.loads(body, parse_int=str, parse_float=str)
        labels: list[str] = answer["labels"]
        places = [n for n, label in enumerate(labels) if label in wanted]
        if not places:
            return body
        places += [n for n, label in enumerate(labels) if label == TIMESTAMP]
        rows = [cjson.array([row[n] for n in places]) for row in answer["statistics"]]
        answer["labels"] = cjson.array(cjson.string(labels[n]) for n in places)
        answer["statistics"] = cjson.array(rows)
        return cjson.members(answer.items()).encode()
    except (ValueError, KeyError, IndexError, TypeError):
        return body  # no statistics as we know them


def _latest(entries: list[Entry], at_s: float) -> Entry | None:
    if not entries:
        return None
    index = bisect_right([entry.at_s for entry in entries], at_s)
    return entries[max(0, index - 1)]


def _is_allowed(request: Request) -> bool:
    return is_allowed(
        request.client,
        request.header(b"origin"),
        request.header(b"host"),
        profile=DOCUMENTED,
        hostname="bitaxe",
        is_ap_enabled=False,
    )


async def serve_replay(entries: list[Entry], host: str, port: int) -> Listener:
    """Serve a recording, until what is returned is closed.

    Raises:
        OSError: The address cannot be bound.
    """
    listener = Listener(Replay(entries), host, port)
    await listener.open()
    return listener
