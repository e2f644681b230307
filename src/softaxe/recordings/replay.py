"""Serves a recording as if its device were there.

Answers follow the recorded time line and begin anew at its end. Nothing can be changed:
what would change a device is judged and answered as it would be, and forgotten.
"""

import asyncio
import json
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from softaxe import cjson
from softaxe.api import views
from softaxe.api.access import is_allowed
from softaxe.api.routes import routes_of
from softaxe.api.schema import TIMESTAMP
from softaxe.api.views import DISMISSED, wanted_columns
from softaxe.catalog import USUAL_BOARD, Board
from softaxe.catalog import board as board_named
from softaxe.catalog.firmware import Firmware
from softaxe.device.patch import check_patch
from softaxe.device.pool_slots import SLOTS, check_pool
from softaxe.device.profile import DOCUMENTED, Profile
from softaxe.device.settings import Settings
from softaxe.errors import SettingError
from softaxe.recordings.record import (
    INFO,
    MAX_FILE_BYTES,
    STATISTICS,
    Entry,
    read_recording,
    release_of,
)
from softaxe.serve.answers import FULL_CORS, UNAUTHORIZED, Answer
from softaxe.serve.listener import Listener
from softaxe.serve.request import AcceptWebSocket, Reply, Request, WebSocket
from softaxe.serve.server import (
    BOOTING,
    HI,
    INVALID_JSON,
    INVALID_POOL,
    INVALID_POOL_INDEX,
    METHOD_REFUSED,
    PAUSED,
    POOL_CLEARED,
    POOL_SELECTED,
    POOL_UPDATED,
    RESTARTING,
    RESUMED,
    UNKNOWN_ROUTE,
    bad_request,
    members_of,
    patched,
    read_patch_body,
    slot_number,
)
from softaxe.serve.static_files import file_answer

LIVE = "/api/ws/live"
SLOT = "/api/system/pools/*"
LEAST_S = 1.0
"""A recording of one moment lasts so long."""
ACTIONS = {
    "/api/system/restart": RESTARTING,
    "/api/system/identify": HI,
    "/api/system/pause": PAUSED,
    "/api/system/resume": RESUMED,
    "/api/system/blockFound/dismiss": DISMISSED,
    "/api/system/boot": BOOTING,
}
"""What is answered to a POST, where the version has it, though nothing is done."""


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
        self._rounds = [e for e in answers if e.path == INFO]
        last = max(entry.at_s for entry in entries)
        between = last / (len(self._rounds) - 1) if len(self._rounds) > 1 else LEAST_S
        self.duration_s = max(LEAST_S, last + between)
        """Until it begins anew."""
        self._began = time.monotonic()
        first = next((e.body for e in self._rounds if e.status), "")
        info = _members(first)
        self._firmware = release = release_of(first.encode("latin-1"))
        self._profile = DOCUMENTED.on(release)
        self._board = _board_of(info, release)
        factory = Settings.from_nvs({}, self._board, release, profile=self._profile)
        is_overclocked = bool(info.get("overclockEnabled"))
        self._settings = factory.changed({"is_overclock_enabled": is_overclocked})
        self._selected = [
            info.get(f"{one}PoolIndex") for one in ("primary", "secondary")
        ]
        routes = routes_of(release, self._profile)
        self._routes = {(route.method, route.path) for route in routes}

    @property
    def at_s(self) -> float:
        """Where the time line is."""
        return (time.monotonic() - self._began) % self.duration_s

    async def __call__(self, request: Request) -> Reply:
        """Serve a request or a log reader."""
        if request.is_websocket:
            has_it = ("GET", request.path) in self._routes
            if request.path not in self._streams or not has_it:
                return self._unknown(request)
            if not _is_allowed(request):
                return UNAUTHORIZED
            return AcceptWebSocket(partial(self._stream, request.path))
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
        if method == "POST" and path in ACTIONS and (method, path) in self._routes:
            return self._message(ACTIONS[path])
        if path.startswith(SLOT[:-1]) and (method, SLOT) in self._routes:
            return await self._judge_slot(request)
        if method == "OPTIONS":
            return Answer()
        known = self._answers.get(path, [])
        entry = _latest([one for one in known if one.status], self.at_s)
        if method != "GET" or entry is None:
            return self._unknown(request)
        named = {k: v for k, v in entry.headers.items() if k != "content-type"}
        body = entry.body.encode("latin-1")
        if path == STATISTICS:
            body = _with_columns(body, request.query, self._profile)
        return Answer(
            body,
            status=entry.status,
            content_type=entry.headers.get("content-type", "text/html").encode(),
            headers=tuple(
                (name.title().encode(), value.encode()) for name, value in named.items()
            ),
        )

    def _message(self, text: str) -> Answer:
        body = views.message_body(text, is_compact=self._firmware.rows.is_compact)
        return Answer(body, content_type=b"application/json")

    def _unknown(self, request: Request) -> Answer:
        """Answer what the recorded version does not have, or nobody has asked it."""
        is_known_to_api = ("ANY", "/api/*") in self._routes
        if request.path == "/" or (
            is_known_to_api and request.path.startswith("/api/")
        ):
            return UNKNOWN_ROUTE[self._firmware.rows.is_compact]
        if request.method != "GET":
            return METHOD_REFUSED
        return file_answer({}, request.target)

    async def _judge(self, request: Request) -> Answer:
        """Answer a PATCH as the recorded board would."""
        body = await read_patch_body(request.body)
        if isinstance(body, Answer):
            return body
        is_compact = self._firmware.rows.is_compact
        try:
            patch = check_patch(
                self._settings,
                cjson.parse(body),
                profile=self._profile,
                board=self._board,
                release=self._firmware,
            )
        except SettingError as error:
            return bad_request(str(error), is_compact=is_compact)
        except ValueError as error:
            return bad_request(f"Invalid JSON: {error}", is_compact=is_compact)
        return patched(patch, is_compact=is_compact)

    async def _judge_slot(self, request: Request) -> Answer:
        """Answer what is to become of a pool's slot as the recorded device would."""
        number = slot_number(request)
        if not 0 <= number < SLOTS:
            return INVALID_POOL_INDEX
        if request.method == "DELETE":
            return (
                POOL_SELECTED
                if number in self._selected
                else self._message(POOL_CLEARED)
            )
        body = await read_patch_body(request.body)
        if isinstance(body, Answer):
            return body
        try:
            check_pool(members_of(body), self._settings.pools[number])
        except SettingError:
            return INVALID_POOL
        except ValueError:
            return INVALID_JSON
        return self._message(POOL_UPDATED)

    def _is_away(self) -> bool:
        latest = _latest(self._rounds, self.at_s)
        return latest is not None and not latest.status

    async def _stream(self, path: str, websocket: WebSocket) -> None:
        telling = asyncio.ensure_future(self._tell(path, websocket))
        while await websocket.receive() is not None:
            pass
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling

    async def _tell(self, path: str, websocket: WebSocket) -> None:
        if path == LIVE and (latest := _latest(self._rounds, self.at_s)) is not None:
            await websocket.send(_update(self._live(latest)))
        for due, text in self._looped(self._streams[path], time.monotonic()):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await websocket.send(text)

    @cached_property
    def _streams(self) -> Mapping[str, Sequence[tuple[float, str]]]:
        """What is sent at which moment of the time line, by path of a socket."""
        return {
            "/api/ws": [(entry.at_s, entry.body) for entry in self._logs],
            LIVE: list(self._updates()),
        }

    def _updates(self) -> Iterator[tuple[float, str]]:
        """Yield what has changed from each answer to the next, and to the first."""
        rounds = [entry for entry in self._rounds if entry.status]
        before = self._live(rounds[-1]) if rounds else {}
        for entry in rounds:
            now = self._live(entry)
            changed = {k: v for k, v in now.items() if (k, v) not in before.items()}
            if changed:
                yield entry.at_s, _update(changed)
            before = now

    def _live(self, entry: Entry) -> dict[str, Any]:
        """Return the members of an answer that a live socket tells."""
        asked = {member.name for member in self._firmware.info if not member.is_live}
        return {k: v for k, v in _members(entry.body).items() if k not in asked}

    def _looped(
        self, moments: Sequence[tuple[float, str]], now: float
    ) -> Iterator[tuple[float, str]]:
        """Yield what is sent from `now` on, for ever, each with its moment."""
        if not moments:
            return
        rounds, at_s = divmod(now - self._began, self.duration_s)
        began = self._began + rounds * self.duration_s
        index = bisect_right([moment for moment, _ in moments], at_s)
        while True:
            for moment, text in moments[index:]:
                yield began + moment, text
            index = 0
            began += self.duration_s


def _update(members: Mapping[str, Any]) -> str:
    message = {"event": "update", "data": members}
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def _members(body: str) -> dict[str, Any]:
    try:
        members = json.loads(body)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def _board_of(info: Mapping[str, Any], release: Firmware) -> Board:
    """Return the recorded device's board; the usual one when nothing tells."""
    try:
        return board_named(str(info.get("boardVersion")), release)
    except SettingError:
        return board_named(USUAL_BOARD)


def _with_columns(body: bytes, query: str, profile: Profile) -> bytes:
    """Return recorded statistics with the columns asked for, digits as they are."""
    wanted = wanted_columns(query, profile)
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
