import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from softaxe.serve import listener as module
from softaxe.serve import protocol
from softaxe.serve.answers import Answer
from softaxe.serve.listener import Listener
from softaxe.serve.request import Request


def test_closing_ends_a_request_that_waits_without_complaint(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    began = asyncio.Event()

    async def never(_request: Request) -> None:
        began.set()
        await asyncio.Event().wait()

    async def main() -> bytes:
        listener = Listener(never, "127.0.0.1", 0)
        await listener.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await began.wait()
        await listener.close()
        await asyncio.sleep(0.05)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    with caplog.at_level(logging.INFO):
        assert asyncio.run(main()) == b""

    assert caplog.records == []


def answering(_request: Request) -> Answer:
    return Answer()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def serving() -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    listener = Listener(answering, "127.0.0.1", 0)
    await listener.open()
    writers = []

    async def connect() -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await listener.close()


async def status_of(connection: Connection) -> bytes:
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return (await reader.readuntil(b"\r\n\r\n"))[:12]


@pytest.mark.parametrize("line", [b"a: b\r\n", b"a" * 1000])
def test_trailers_are_bounded_and_no_headers(line: bytes) -> None:
    async def flood() -> None:
        async with serving() as connect:
            reader, writer = await connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
            if not line.endswith(b"\n"):
                writer.write(b"a: ")
            async with asyncio.timeout(10):
                with suppress(ConnectionError):
                    while not reader.at_eof():
                        writer.write(line * (2048 // len(line)))
                        await writer.drain()
                        await asyncio.sleep(0)

    asyncio.run(flood())


def test_the_rest_of_a_head_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_STALL_S", 0.1)

    async def stall() -> tuple[bytes, bytes]:
        async with serving() as connect:
            idle = await connect()
            reader, writer = await connect()
            writer.write(b"GET / HTTP/1.1\r\nHost:")
            async with asyncio.timeout(10):
                answer = await reader.read()
            return answer, await status_of(idle)

    answer, after = asyncio.run(stall())

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert answer.endswith(b"\r\n\r\nServer closed this connection")
    assert after == b"HTTP/1.1 200", "who says nothing at all may stay"


def test_one_connection_too_many_ends_the_one_unused_for_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)

    async def crowd() -> tuple[list[bytes], bytes]:
        async with serving() as connect:
            some = [await connect() for _ in range(3)]
            for connection in (some[1], some[0], some[2], some[0]):
                assert await status_of(connection) == b"HTTP/1.1 200"
            fourth = await connect()
            found = [await status_of(one) for one in (some[0], some[2], fourth)]
            async with asyncio.timeout(10):
                with suppress(ConnectionError):
                    return found, await some[1][0].read()
            return found, b""

    answers, left = asyncio.run(crowd())

    assert answers == [b"HTTP/1.1 200"] * 3
    assert left == b""
