"""Whatever listens where a device should be, to the client and softaxe's own commands.

The first byte says what is asked; behind it is the answer to every question. The
messages of a stream come behind a handshake that is as it should be.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any

from softaxe.client.axeos import MOST_LINE, MOST_MESSAGE_BYTES, AsyncAxeOS
from softaxe.errors import SoftaxeError

SAMPLE = Path(__file__).parents[1] / "data" / "info-sample.json"
INFO = SAMPLE.read_bytes()
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Source: RFC 6455, 1.3."""
TIMEOUT_S = 1.0
MOST_ITEMS = 50


async def _stream(device: AsyncAxeOS, name: str) -> None:
    count = 0
    async with aclosing(getattr(device, name)()) as found:
        async for one in found:
            count += 1
            if name == "log":
                assert len(one) <= MOST_LINE + MOST_MESSAGE_BYTES
            if count == MOST_ITEMS:
                return


ASKED: tuple[Callable[[AsyncAxeOS], Awaitable[Any]], ...] = (
    lambda device: device.get_json("/"),
    AsyncAxeOS.info,
    AsyncAxeOS.asic,
    lambda device: device.statistics("hashrate"),
    lambda device: device.set(frequency=500, hostname="a", overheat_mode=0),
    lambda device: device.set(force=True, frequency=500, fanspeed=10**400),
    AsyncAxeOS.pools,
    lambda device: device.set_pool(1, stratumURL="pool.example"),
    lambda device: device.delete_pool(1),
    AsyncAxeOS.pause,
    lambda device: device.update(b"\xe9" * 1000),
    AsyncAxeOS.logs,
    partial(_stream, name="log"),
    partial(_stream, name="live"),
)
LOG, LIVE = len(ASKED) - 2, len(ASKED) - 1


def _json(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return b"HTTP/1.1 " + status + b"\r\n" + head % len(body) + body


def _text(text: bytes, opcode: int = 1) -> bytes:
    """Make a WebSocket frame."""
    size = bytes((len(text),)) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2)
    return bytes((0x80 | opcode,)) + size + text


CORPUS = [
    *(bytes((asked,)) + _json(INFO) for asked in range(len(ASKED) - 2)),
    b"\0HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"\1HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\nX: y\r\n z\r\n\r\nno",
    b"\1HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
    b"\2" + _json(b'{"ASICModel": "BM1370", "frequencyOptions": [400, 1e999]}'),
    b"\3"
    + _json(b'{"currentTimestamp": 5, "labels": ["a"], "statistics": [[1], [null]]}'),
    b"\4" + _json(b'{"version": "v2.15.0", "frequency": 1' + b"0" * 400 + b"}"),
    b"\7" + _json(b'{"version": "v2.15.0", "pools": [{"id": 1, "stratumTLS": 1}]}'),
    b"\x0a" + _json(b"\x1b[2Jno", b"500 No"),
    b"\x0b" + _json(b"I (1) a: b\r\nW (2) c: \xff\x1b[0m"),
    bytes((LOG,))
    + _text(b"I (1) a: b\nW (2)")
    + _text(b" c: d\r\n")
    + _text(b"\xe9", 2),
    bytes((LIVE,))
    + _text(b'{"event": "update", "data": ' + INFO[:2] + b'"temp": 5.5}}')
    + _text(b'{"event": "update", "data": {"temp": null, "pools": [{"id": 0}]}}')
    + _text(b'{"data": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}")
    + _text(b"\x03\xe8bye", 8),
    *(
        bytes((LIVE | 64,)) + b"HTTP/1.1 301 Moved\r\nLocation: " + place + b"\r\n\r\n"
        for place in (b"/api/ws", b"ws://192.0.2.1/", b"wss://[:x/")
    ),
    bytes((LIVE | 64,)) + b"HTTP/1.1 301 Moved\r\nLocation: ws://192.0.2.1:x/\r\n\r\n",
]
RUNS = 100


def one_input(data: bytes) -> None:
    how, answer = (data[0], data[1:]) if data else (0, b"")
    asyncio.run(_asked(how % 64 % len(ASKED), answer, is_plain=bool(how & 64)))


async def _asked(number: int, answer: bytes, *, is_plain: bool) -> None:
    serving = set[Any]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            is_stream = b"Upgrade: websocket" in head
            if is_stream and not is_plain:
                writer.write(_handshake(head))
            is_asked = is_stream or number < LOG
            writer.write(answer[: 1 << 16] if is_asked else _json(INFO))
            writer.write_eof()
            while await reader.read(1 << 16):
                pass
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        device = AsyncAxeOS(f"http://127.0.0.1:{port}", timeout_s=TIMEOUT_S)
        with suppress(SoftaxeError):
            await ASKED[number](device)
        # No connection is left.
        await asyncio.wait_for(asyncio.gather(*serving), TIMEOUT_S)


def _handshake(head: bytes) -> bytes:
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    accept = b64encode(sha1(key + GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
