import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from softaxe.shell import listener as module
from softaxe.shell.listener import Listener

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def test_closing_ends_a_request_that_waits_without_complaint(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    began = asyncio.Event()

    async def never(scope: Any, receive: Receive, send: Send) -> None:
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
