"""What clients asked the devices of a fleet, newest last, bounded in memory."""

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from starlette.types import Message, Receive, Scope, Send

from softaxe.device.settings import SETTINGS
from softaxe.serve.listener import AsgiApp
from softaxe.serve.server import UNMATCHED

MOST_ENTRIES = 10_000
MOST_BYTES = 16 << 20
"""Of the texts of all entries."""
KEPT_BODY_BYTES = 4096
"""Of a request's body; what is longer is cut."""
KEPT_ANSWER_BYTES = 1024
READ_BODY_BYTES = 16 << 10
"""More of a body is not looked at: it is an image."""
ENTRY_BYTES = 512
"""About what an entry takes beside its texts."""
FAULT = "softaxe.fault"
"""In a scope: the id of the fault rule that met the request."""
REMOVED = "***"

SECRET_NAMES = frozenset(
    name.lower()
    for row in SETTINGS
    if row.is_secret
    for name in (row.rest_name, row.alias)
    if name
)
_SECRET = re.compile("|".join(sorted(SECRET_NAMES)), re.IGNORECASE)
_UNICODE_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and its answer."""

    seq: int
    """Counts from 1 and never starts again."""
    time_s: float
    """Unix time."""
    now: float
    """Device time."""
    device: str
    client: str
    body: bytes
    """Without secrets."""
    status: int
    """0 when no answer was sent."""
    is_unmatched: bool
    """No route and no page of the device was meant."""
    method: str = ""
    """Empty when what came is no HTTP request; it is the body then."""
    path: str = ""
    query: str = ""
    size: int = 0
    """Bytes of the answer's body."""
    answer: bytes = b""
    took_ms: float = 0.0
    fault: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        moment = datetime.fromtimestamp(self.time_s, UTC)
        return {
            "seq": self.seq,
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "now": round(self.now, 3),
            "device": self.device,
            "client": self.client,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "body": self.body.decode("utf-8", "replace"),
            "status": self.status,
            "bytes": self.size,
            "answer": self.answer.decode("utf-8", "replace"),
            "ms": round(self.took_ms, 3),
            "unmatched": self.is_unmatched,
            "fault": self.fault,
        }


class Journal:
    """Keeps the latest requests of all devices."""

    def __init__(self) -> None:
        self.last = 0
        """Number of the newest entry."""
        self.dropped = 0
        """Entries that had to make room."""
        self._entries: deque[Entry] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """Iterate from the oldest."""
        return iter(tuple(self._entries))

    def add(self, entry: Entry) -> None:
        """Append an entry; the oldest go when there is no room."""
        self.last = entry.seq
        self._entries.append(entry)
        self._bytes += _size(entry)
        while len(self._entries) > MOST_ENTRIES or self._bytes > MOST_BYTES:
            self._bytes -= _size(self._entries.popleft())
            self.dropped += 1

    def clear(self) -> None:
        """Forget everything; the numbers go on."""
        self._entries.clear()
        self._bytes = 0
        self.dropped = 0

    def after(
        self, seq: int, accepts: Callable[[Entry], bool], limit: int
    ) -> list[Entry]:
        """Return the newest entries after number `seq`, up to `limit`, oldest first."""
        found: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.seq <= seq or len(found) == limit:
                break
            if accepts(entry):
                found.append(entry)
        return found[::-1]


class JournaledApp:
    """A device's app whose requests are written down; an ASGI application.

    Args:
        app: The device's.
        journal: Where to.
        device: The device's id.
        now: Tells the device time.
    """

    def __init__(
        self, app: AsgiApp, journal: Journal, device: str, now: Callable[[], float]
    ) -> None:
        self._app = app
        self._journal = journal
        self._device = device
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request and note it."""
        began = time.monotonic()
        body, answer = bytearray(), bytearray()
        status = size = 0

        async def heard() -> Message:
            message = await receive()
            if len(body) < READ_BODY_BYTES:
                body.extend(message.get("body") or b"")
            return message

        async def said(message: Message) -> None:
            nonlocal status, size
            kind = message["type"]
            if kind.endswith("response.start"):
                status = message["status"]
            elif kind == "websocket.accept":
                status = 101
                self._note(scope, began, status)
            elif kind.endswith("response.body"):
                piece = message.get("body", b"")
                size += len(piece)
                if len(answer) < KEPT_ANSWER_BYTES:
                    answer.extend(piece[:KEPT_ANSWER_BYTES])
            await send(message)

        try:
            await self._app(scope, heard, said)
        finally:
            if status != 101:
                kept = without_secrets(bytes(body))[:KEPT_BODY_BYTES]
                text = bytes(answer[:KEPT_ANSWER_BYTES])
                self._note(scope, began, status, size=size, body=kept, answer=text)

    def refused(self, client: str, data: bytes, status: int) -> None:
        """Note what never became a request."""
        kept = without_secrets(data)[:KEPT_BODY_BYTES]
        self._add(client=client, body=kept, status=status, is_unmatched=True)

    def _note(
        self,
        scope: Scope,
        began: float,
        status: int,
        *,
        size: int = 0,
        body: bytes = b"",
        answer: bytes = b"",
    ) -> None:
        client = scope.get("client")
        path: bytes = scope["raw_path"]
        query: bytes = scope["query_string"]
        self._add(
            client=client[0] if client else "",
            method=scope.get("method", "GET"),
            path=path.decode("latin-1"),
            query=query_without_secrets(query.decode("latin-1")),
            body=body,
            status=status,
            size=size,
            answer=answer if answer.isascii() or _is_text(answer) else b"",
            took_ms=(time.monotonic() - began) * 1000,
            is_unmatched=bool(scope.get(UNMATCHED)),
            fault=scope.get(FAULT),
        )

    def _add(self, **noted: Any) -> None:
        """Write an entry of this device, of now."""
        self._journal.add(
            Entry(
                seq=self._journal.last + 1,
                time_s=time.time(),
                now=self._now(),
                device=self._device,
                **noted,
            )
        )


def without_secrets(body: bytes) -> bytes:
    """Return a request's body with the values of secret settings removed.

    Of what is no text, or names a secret and is no JSON, only the length is left.
    """
    if not body:
        return body
    found = False

    def cleaned(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Called for every object, even one that another member of its name replaces.
        nonlocal found
        texts = [f"{name}\n{v if isinstance(v, str) else ''}" for name, v in pairs]
        is_secret = [_names_secret(text) for text in texts]
        found = found or any(is_secret)
        return {
            name: REMOVED if hides else value
            for (name, value), hides in zip(pairs, is_secret, strict=True)
        }

    try:
        value = json.loads(body, object_pairs_hook=cleaned)
    except (ValueError, RecursionError):
        pass
    else:
        if found:
            return json.dumps(value).encode()
    if not _is_text(body):
        return f"({len(body)} bytes or more, no text)".encode()
    if _names_secret(body.decode("utf-8", "replace")):
        return f"({len(body)} bytes or more, with a secret)".encode()
    return body


def query_without_secrets(query: str) -> str:
    """Return a query with the values of parts that name a secret removed."""
    if not query:
        return query
    parts = query.split("&")
    return "&".join(
        f"{part.partition('=')[0]}={REMOVED}" if _names_secret(part) else part
        for part in parts
    )


def _names_secret(text: str) -> bool:
    """Tell whether a secret setting's name stands in a text, escaped or not."""
    plain = _UNICODE_ESCAPE.sub(lambda found: chr(int(found[1], 16)), unquote(text))
    return _SECRET.search(plain) is not None


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        # A character that was cut in two at the end is still text.
        return error.start > len(data) - 4 and b"\0" not in data
    return b"\0" not in data


def _size(entry: Entry) -> int:
    texts = (entry.path, entry.query, entry.body, entry.answer)
    return ENTRY_BYTES + sum(len(text) for text in texts)
