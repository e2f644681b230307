"""One request to a device, on a connection of its own, as a Bitaxe has few sockets.

asyncio's streams carry it and httptools reads the answer; softaxe has both anyway.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

from softaxe.errors import BadResponse, DeviceTimeout, DeviceUnreachable, SettingError

TIMEOUT_S = 10.0
WHOLE_ANSWER_S = 30.0
"""From the last byte of the question on; a device needs a second."""
MAX_BODY_BYTES = 4 << 20
"""Longer answers are refused; the longest real one, 720 samples, is a tenth."""
MAX_HEAD_BYTES = 64 << 10
"""What may come beside a body: heads, trailers and what is around chunks."""
PIECE_BYTES = 16 << 10
SWITCHING = 101
"""The one answer of 1xx that is the last."""
Progress = Callable[[int, int], object]
"""Called with the bytes that were sent and those that there are."""
_NOT_IN_LINES = re.compile(r"[\x00-\x20\x7f]")
_NOT_IN_HEADERS = re.compile(r"[\x00\r\n]")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    """Names in lower case; the last of equal ones."""
    body: bytes

    def json(self) -> Any:
        """Decode the body.

        Raises:
            BadResponse: It is no JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BadResponse(f"the answer is no JSON: {error}") from error

    @property
    def text(self) -> str:
        """The body for a person: on one line, and not long."""
        return " ".join(self.body[:300].decode("utf-8", "replace").split())


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device is."""

    host: str
    port: int
    url: str
    """`http://HOST` or `http://HOST:PORT`."""


def address_of(url: str) -> Address:
    """Read `http://HOST[:PORT]`, or the host alone.

    Raises:
        SettingError: The address is none.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port or 80
    except ValueError as error:
        raise SettingError(f"{url}: {error}") from error
    if (
        parts.scheme != "http"
        or not parts.hostname
        or _NOT_IN_LINES.search(parts.netloc)
    ):
        raise SettingError(f"{url}: write http://HOST or http://HOST:PORT")
    return Address(parts.hostname, port, f"http://{parts.netloc}")


async def exchange(
    address: Address,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
    progress: Progress | None = None,
) -> Reply:
    """Send one request.

    Args:
        address: Of the device.
        method: GET, POST ...
        path: With its query.
        body: What is sent along.
        headers: Beside those that are needed, or in their place.
        timeout_s: For connecting, and for every piece that is sent or received; a
            whole answer has its own limit.
        progress: Told of every piece of the body.

    Raises:
        SettingError: There is something in method, path or headers that would break
            the request.
        DeviceUnreachable: Nobody takes the connection.
        DeviceTimeout: It takes too long.
        BadResponse: There was no whole answer.
    """
    about = f"{method} {address.url}{path}"
    head = _head(address, method, path, body, headers or {})
    try:
        async with asyncio.timeout(timeout_s) as patience:
            waiting = _Waiting(patience, timeout_s)
            async with _connection(address) as (reader, writer):
                sending = asyncio.ensure_future(
                    _send(writer, head, body or b"", waiting, progress)
                )
                try:
                    return await _read(reader, waiting)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
    except TimeoutError as error:
        raise DeviceTimeout(
            f"{about}: nothing in {timeout_s:g} s, or no whole answer in "
            f"{WHOLE_ANSWER_S:g} s"
        ) from error
    except (httptools.HttpParserError, EOFError) as error:
        raise BadResponse(f"{about}: {str(error) or repr(error)}") from error
    except BadResponse as error:
        raise BadResponse(f"{about}: {error}") from error
    except (OSError, UnicodeError) as error:  # a host that no name can be
        raise DeviceUnreachable(f"{about}: {error}") from error


def _head(
    address: Address,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> bytes:
    named = {"Host": address.url.removeprefix("http://"), "Connection": "close"}
    if body is not None or method not in {"GET", "OPTIONS"}:
        named["Content-Length"] = str(len(body or b""))
    named |= headers
    for text in (method, path):
        if not text or _NOT_IN_LINES.search(text):
            raise SettingError(f"{text!r} cannot stand in a request")
    for name, value in named.items():
        if _NOT_IN_LINES.search(name) or _NOT_IN_HEADERS.search(value):
            raise SettingError(f"{name!r}: {value!r} cannot stand in a header")
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()


@asynccontextmanager
async def _connection(
    address: Address,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.transport.set_write_buffer_limits(PIECE_BYTES)
    try:
        yield reader, writer
    finally:
        writer.close()


@dataclass(slots=True)
class _Waiting:
    """Until when a request waits, at most."""

    patience: asyncio.Timeout
    timeout_s: float
    due: float | None = None
    """Of the whole answer, once everything is sent."""

    def go_on(self) -> None:
        """Wait again: something has come or gone."""
        until = asyncio.get_running_loop().time() + self.timeout_s
        self.patience.reschedule(until if self.due is None else min(until, self.due))

    def sent(self) -> None:
        """Wait for the answer."""
        self.due = asyncio.get_running_loop().time() + WHOLE_ANSWER_S
        self.go_on()


async def _send(
    writer: asyncio.StreamWriter,
    head: bytes,
    body: bytes,
    waiting: _Waiting,
    progress: Progress | None,
) -> None:
    """Send a request; a device that has heard enough answers, or ends the connection.

    The one who reads hears of both.
    """
    writer.write(head)
    for begin in range(0, len(body), PIECE_BYTES):
        piece = body[begin : begin + PIECE_BYTES]
        writer.write(piece)
        await writer.drain()
        waiting.go_on()
        if progress is not None:
            progress(begin + len(piece), len(body))
    await writer.drain()
    waiting.sent()


@dataclass(slots=True)
class _Answer:
    """Collects an answer, for httptools."""

    parser: httptools.HttpResponseParser = field(init=False)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    has_head: bool = False
    is_complete: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        status = self.parser.get_status_code()
        if 100 <= status < 200 and status != SWITCHING:
            self.headers.clear()  # there is more to come
            self.has_head = False
        else:
            self.is_complete = True

    @property
    def ends_with_connection(self) -> bool:
        """Nothing else says how long the body is."""
        is_told = {"content-length", "transfer-encoding"} & self.headers.keys()
        return self.has_head and not is_told


async def _read(reader: asyncio.StreamReader, waiting: _Waiting) -> Reply:
    answer = _Answer()
    parser = answer.parser = httptools.HttpResponseParser(answer)
    received = 0
    while not answer.is_complete:
        data = await reader.read(PIECE_BYTES)
        if not data:
            if answer.ends_with_connection:
                break
            raise EOFError("the connection ended before the answer did")
        received += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            break
        except httptools.HttpParserError:
            if not answer.is_complete:  # what follows an answer is nobody's
                raise
        if max(len(answer.body), received - MAX_HEAD_BYTES) > MAX_BODY_BYTES:
            raise BadResponse(f"over {MAX_BODY_BYTES} bytes")
        waiting.go_on()
    status = parser.get_status_code()
    return Reply(status, answer.headers, bytes(answer.body))
