"""HTTP answers in the firmware's manner, and how they look on the wire."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from http import HTTPStatus
from typing import TypeAlias

CHUNK_BYTES = 10240
"""Largest piece of a file. Source: ESP-Miner http_server.c."""

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

CONNECTION_CLOSE = (b"Connection", b"close")
LAST_CHUNK = b"0\r\n\r\n"


def _cors(methods: bytes) -> Headers:
    return (
        (b"Access-Control-Allow-Origin", b"*"),
        (b"Access-Control-Allow-Methods", methods),
        (b"Access-Control-Allow-Headers", b"Content-Type"),
    )


NO_CORS: Headers = ()
FULL_CORS = _cors(b"GET, POST, PUT, PATCH, DELETE, OPTIONS")
THEME_CORS = _cors(b"GET, POST, OPTIONS")
"""Source: ESP-Miner http_server.c."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    body: bytes = b""
    status: int = 200
    content_type: bytes = b"text/html"
    """What ESP-IDF says when a handler says nothing; empty when nothing is said."""
    headers: Headers = ()
    """Headers after type and length, in order, spelt as they go out."""
    is_chunked: bool = False
    """Sent in chunks of up to 10240 bytes, without a length."""
    is_unmatched: bool = False
    """No route and no page was meant by the request."""
    warnings: tuple[str, ...] = ()
    """What it tells that the API page asks for and the request does not meet."""
    differs: tuple[str, ...] = ()
    """Rows of the profile table by which it goes: a device may answer otherwise."""
    pieces: AsyncGenerator[bytes, None] | None = None
    """The body as it leaves, instead of all at once. When it raises `CutShort` the
    connection ends there."""
    _made: list[tuple[bytes, bool]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def with_headers(self, headers: Headers) -> "Answer":
        """Return a copy with `headers` after its own; itself when it has just these."""
        if not headers or headers is self.headers:
            return self
        return replace(self, headers=self.headers + headers)

    def differing(self, *rows: str) -> "Answer":
        """Return a copy that is known to differ from a device's by these rows too."""
        return replace(self, differs=self.differs + rows) if rows else self

    @property
    def is_last(self) -> bool:
        """True when it says that the connection ends with it."""
        return CONNECTION_CLOSE in self.headers

    @property
    def made(self) -> tuple[bytes, bool]:
        """All of it, as it goes to a client that stays, and `is_last`; made once."""
        if not self._made:
            self._made.append((head(self) + b"".join(framed(self)), self.is_last))
        return self._made[0]


class CutShort(Exception):
    """Raised by an answer's pieces: there the connection ends."""


def head(answer: Answer, more: Headers = (), *, has_chunks: bool = True) -> bytes:
    """Return an answer's status line and headers.

    Args:
        answer: Which.
        more: Headers after its own.
        has_chunks: False for a client that knows none: there the body's end is the
            connection's.
    """
    lines = [_status_line(answer.status)]
    if answer.content_type:
        lines.append(b"Content-Type: " + answer.content_type)
    if not answer.is_chunked:
        lines.append(b"Content-Length: %d" % len(answer.body))
    elif has_chunks:
        lines.append(b"Transfer-Encoding: chunked")
    lines += [b"%b: %b" % header for header in (*answer.headers, *more)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """Return a piece of a body as a chunk; an empty one would be the last."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def framed(answer: Answer) -> Iterator[bytes]:
    """Yield an answer's body as it goes out, in chunks if it has them."""
    if not answer.is_chunked:
        yield answer.body
        return
    for start in range(0, len(answer.body), CHUNK_BYTES):
        yield chunk(answer.body[start : start + CHUNK_BYTES])
    yield LAST_CHUNK


@cache
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


UNAUTHORIZED = Answer(b"Unauthorized", status=401)


def reason(text: str, *, status: int = 400) -> Answer:
    """Answer a refusal with a text that may quote the request."""
    return Answer(
        text.encode(), status=status, content_type=b"text/plain; charset=utf-8"
    )
