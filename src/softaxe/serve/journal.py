"""What clients asked the devices of a fleet, newest last, bounded in memory."""

import json
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import unquote

from msgspec import Struct

from softaxe.catalog.firmware import Firmware
from softaxe.device.profile import differences
from softaxe.device.setting_rules import SETTINGS
from softaxe.serve.answers import Answer
from softaxe.serve.request import NO_BODY, App, Bent, Headers, Reply, Request, reply_of

MOST_ENTRIES = 10_000
MOST_BYTES = 16 << 20
"""Of the texts of all entries."""
KEPT_BODY_BYTES = 4096
"""Of a request's body; what is longer is cut."""
KEPT_ANSWER_BYTES = 1024
ENTRY_BYTES = 512
"""About what an entry takes beside its texts."""
REMOVED = "***"

SECRET_NAMES = frozenset(
    name.lower()
    for row in SETTINGS
    if row.is_secret
    for name in (row.rest_name, row.alias and row.alias.name)
    if name
)
_SECRET = re.compile(
    "|".join(
        sorted(
            {*SECRET_NAMES, "password", "passwd", "passphrase", "secret", "private key"}
        )
    ),
    re.IGNORECASE,
)
"""What the device knows as a secret, and what anybody would call one."""
SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_UNICODE_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")


class Entry(Struct, frozen=True):
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
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case, in the order in which they came; without secrets."""
    path: str = ""
    query: str = ""
    size: int = 0
    """Bytes of the answer's body."""
    answer: bytes = b""
    took_ms: float = 0.0
    fault: str | None = None
    warnings: tuple[str, ...] = ()
    """What the API page asks for and the request does not meet, as it was answered."""
    differs: tuple[str, ...] = ()
    """How a device would have answered otherwise: the page's words, the firmware's."""
    bent: "BentEntry | None" = None
    """How a fault has bent the answer."""

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
            "headers": [list(pair) for pair in self.headers],
            "body": self.body.decode("utf-8", "replace"),
            "status": self.status,
            "bytes": self.size,
            "answer": self.answer.decode("utf-8", "replace"),
            "ms": round(self.took_ms, 3),
            "unmatched": self.is_unmatched,
            "fault": self.fault,
            "warnings": list(self.warnings),
            "differs": list(self.differs),
            "bent": None if self.bent is None else self.bent.to_json(),
        }


class BentEntry(Struct, frozen=True):
    """What a device had said before its answer was bent."""

    faults: tuple[str, ...]
    """Ids of the rules that have bent it."""
    status: int
    size: int
    answer: bytes
    """Its beginning."""

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        return {
            "faults": list(self.faults),
            "status": self.status,
            "bytes": self.size,
            "answer": self.answer.decode("utf-8", "replace"),
        }


def _bent_entry(bent: Bent | None) -> BentEntry | None:
    if bent is None:
        return None
    said = bent.original or Answer(status=101)
    beginning = said.body[:KEPT_ANSWER_BYTES]
    answer = beginning if _is_text(beginning) else b""
    return BentEntry(bent.rule_ids, said.status, len(said.body), answer)


class Exchange(Struct, frozen=True):
    """What a request and its answer have in common with all that are like them.

    Not the request itself: it knows its connection and its body.
    """

    device: str
    client: str
    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    status: int
    size: int
    answer: bytes
    is_unmatched: bool
    fault: str | None
    warnings: tuple[str, ...]
    differs: tuple[str, ...]
    """As the entry tells it."""
    bent: BentEntry | None
    kept_bytes: int
    """About what it takes."""


Note: TypeAlias = tuple[int, int, float, float, float, Exchange | Entry]
"""What is kept of a request: about the bytes it takes; `seq`, `time_s`, `now` and
`took_ms` of the `Entry` that who reads the journal gets of it; and the rest, which is
shared by what a client that polls asks and is told. Or, of another journal, an entry.
"""


def _read(note: Note) -> Entry:
    _, seq, time_s, now, took_ms, kept = note
    if isinstance(kept, Entry):
        return kept
    return Entry(
        seq=seq,
        time_s=time_s,
        now=now,
        device=kept.device,
        client=kept.client,
        method=kept.method,
        path=kept.path,
        query=query_without_secrets(kept.query),
        headers=headers_without_secrets(kept.headers),
        body=kept.body,
        status=kept.status,
        size=kept.size,
        answer=kept.answer if _is_text(kept.answer) else b"",
        took_ms=took_ms,
        is_unmatched=kept.is_unmatched,
        fault=kept.fault,
        warnings=kept.warnings,
        differs=kept.differs,
        bent=kept.bent,
    )


class Journal:
    """Keeps the latest requests of all devices."""

    def __init__(self) -> None:
        self.last = 0
        """Number of the newest entry."""
        self.dropped = 0
        """Entries that had to make room."""
        self._kept: deque[Note] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Entry]:
        """Iterate from the oldest."""
        return map(_read, tuple(self._kept))

    def add(self, entry: Entry, size: int) -> None:
        """Append what takes about `size` bytes; the oldest go when there is no room."""
        self.note((size, entry.seq, entry.time_s, entry.now, entry.took_ms, entry))

    def note(self, note: Note) -> None:
        """Append a note likewise."""
        self.last = note[1]
        self._kept.append(note)
        self._bytes += note[0]
        while len(self._kept) > MOST_ENTRIES or self._bytes > MOST_BYTES:
            self._bytes -= self._kept.popleft()[0]
            self.dropped += 1

    def clear(self) -> None:
        """Forget everything; the numbers go on."""
        self._kept.clear()
        self._bytes = 0
        self.dropped = 0

    def after(
        self, seq: int, accepts: Callable[[Entry], bool], limit: int
    ) -> list[Entry]:
        """Return the newest entries after number `seq`, up to `limit`, oldest first."""
        found: list[Entry] = []
        for note in reversed(self._kept):
            if note[1] <= seq or len(found) == limit:
                break
            entry = _read(note)
            if accepts(entry):
                found.append(entry)
        return found[::-1]


class JournaledApp:
    """A device's app whose requests are written down.

    Args:
        app: The device's.
        journal: Where to.
        device: The device's id.
        now: Tells the device time.
        firmware: Tells which version runs.
    """

    def __init__(
        self,
        app: App,
        journal: Journal,
        device: str,
        now: Callable[[], float],
        firmware: Callable[[], Firmware],
    ) -> None:
        self._app = app
        self._journal = journal
        self._device = device
        self._now = now
        self._firmware = firmware

    def __call__(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """Serve a request and note it."""
        began = time.monotonic()
        found = self._app(request)
        if isinstance(found, Answer) and found.pieces is None:
            kept = request.noted
            if kept is None or kept[0] is not found:
                kept = request.noted = found, self._exchange(request, found)
            self._note(kept[1], began)
            return found
        return self._follow(request, began, found)

    async def _follow(
        self,
        request: Request,
        began: float,
        found: Reply | Coroutine[Any, Any, Reply],
    ) -> Reply:
        reply: Reply = None
        try:
            reply = await reply_of(found)
        finally:
            pieces = reply.pieces if isinstance(reply, Answer) else None
            if pieces is None:
                self._note(self._exchange(request, reply), began)
        if isinstance(reply, Answer) and pieces is not None:
            return replace(reply, pieces=self._heard(request, began, reply, pieces))
        return reply

    async def _heard(
        self,
        request: Request,
        began: float,
        answer: Answer,
        pieces: AsyncGenerator[bytes, None],
    ) -> AsyncGenerator[bytes, None]:
        """Note an answer in pieces when the last has left."""
        size, beginning = 0, bytearray()
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    size += len(piece)
                    if len(beginning) < KEPT_ANSWER_BYTES:
                        beginning += piece[:KEPT_ANSWER_BYTES]
                    yield piece
        finally:
            sent = replace(answer, body=bytes(beginning), pieces=None)
            self._note(self._exchange(request, sent, size=size), began)

    def refused(self, client: str, data: bytes, status: int) -> None:
        """Note what never became a request."""
        request = Request("", "", client=client)
        refusal = Answer(status=status, is_unmatched=True)
        body = without_secrets(data)[:KEPT_BODY_BYTES]
        self._note(self._exchange(request, refusal, body=body), None)

    def _exchange(
        self,
        request: Request,
        reply: Reply,
        *,
        size: int | None = None,
        body: bytes = b"",
    ) -> Exchange:
        answer, is_unmatched = b"", False
        warnings: tuple[str, ...] = ()
        differs: tuple[str, ...] = ()
        if isinstance(reply, Answer):
            status, is_unmatched = reply.status, reply.is_unmatched
            warnings = reply.warnings
            differs = tuple(differences(reply.differs, self._firmware()))
            answer = reply.body[:KEPT_ANSWER_BYTES]
            size = len(reply.body) if size is None else size
        elif reply is None:
            status = 0
        else:
            status, is_unmatched = 101, reply.is_unmatched
        if request.body is not NO_BODY:
            body = without_secrets(bytes(request.body.heard))[:KEPT_BODY_BYTES]
        bent = _bent_entry(request.bent)
        texts = 0 if bent is None else len(bent.answer)
        texts += len(request.path) + len(request.query) + len(answer) + len(body)
        texts += sum(map(len, warnings))
        texts += sum(len(name) + len(value) for name, value in request.headers)
        return Exchange(
            self._device,
            request.client,
            request.method,
            request.path,
            request.query,
            request.headers,
            body,
            status,
            size or 0,
            answer,
            is_unmatched,
            request.fault,
            warnings,
            differs,
            bent,
            ENTRY_BYTES + texts,
        )

    def _note(self, exchange: Exchange, began: float | None) -> None:
        """Write a note of now."""
        journal, now = self._journal, self._now()
        took_ms = 0.0 if began is None else (time.monotonic() - began) * 1000
        seq, size = journal.last + 1, exchange.kept_bytes
        journal.note((size, seq, time.time(), now, took_ms, exchange))


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


def headers_without_secrets(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return a request's headers as text, with the values of secret ones removed."""
    texts = (
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers
    )
    return tuple(
        (
            name,
            REMOVED
            if name in SECRET_HEADERS or _names_secret(f"{name}\n{value}")
            else value,
        )
        for name, value in texts
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
