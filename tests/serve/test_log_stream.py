"""The log stream with a client that stands still."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from softaxe.device.device import Device
from softaxe.serve import log_stream
from softaxe.serve.listener import TRANSPORT
from softaxe.serve.log_stream import LogStream
from softaxe.serve.member import LogSubscription


def stream_of(send: Any) -> tuple[Any, list[LogSubscription]]:
    """Stream one line to a client; return its connection, and who still listens."""
    listening: list[LogSubscription] = []
    transport = Mock()

    async def main() -> None:
        lines = LogSubscription(listening.remove)
        listening.append(lines)
        lines.put("a line")
        device = Device(board="601")
        host: Any = Mock(device=device, subscribe_log=lambda: lines)
        scope = {"path": "/api/ws", "client": ("127.0.0.1", 1), "headers": []}
        connected = iter([{"type": "websocket.connect"}])

        async def receive() -> Any:
            for message in connected:
                return message
            return await asyncio.Future()

        async with asyncio.timeout(10):
            await LogStream(host)({**scope, TRANSPORT: transport}, receive, send)

    asyncio.run(main())
    return transport, listening


def test_a_reader_that_does_not_read_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_stream, "SLOW_CLIENT_S", 0.01)

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()

    transport, listening = stream_of(send)

    transport.abort.assert_called_once_with()
    assert listening == []


def test_what_goes_wrong_while_it_is_sent_is_not_hidden() -> None:
    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        stream_of(send)
