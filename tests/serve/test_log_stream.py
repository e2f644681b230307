"""The log stream with a client that stands still."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from softaxe.device.device import Device
from softaxe.serve import log_stream
from softaxe.serve.log_stream import LogStream
from softaxe.serve.member import LogSubscription
from softaxe.serve.request import AcceptWebSocket, Request


def stream_of(send: Any) -> tuple[Any, list[LogSubscription]]:
    """Stream one line to a client; return its connection, and who still listens."""
    listening: list[LogSubscription] = []
    websocket = Mock(send=send, receive=asyncio.Event().wait)

    async def main() -> None:
        lines = LogSubscription(listening.remove)
        listening.append(lines)
        lines.put("a line")
        device = Device(board="601")
        host: Any = Mock(device=device, subscribe_log=lambda: lines)
        request = Request("GET", "/api/ws", client="127.0.0.1", is_websocket=True)
        async with asyncio.timeout(10):
            accepted = LogStream(host)(request)
            assert isinstance(accepted, AcceptWebSocket)
            await accepted.serve(websocket)

    asyncio.run(main())
    return websocket, listening


def test_a_reader_that_does_not_read_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_stream, "SLOW_CLIENT_S", 0.01)

    async def send(_text: str) -> None:
        await asyncio.Event().wait()

    websocket, listening = stream_of(send)

    websocket.abort.assert_called_once_with()
    assert listening == []


def test_what_goes_wrong_while_it_is_sent_is_not_hidden() -> None:
    async def send(_text: str) -> None:
        raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        stream_of(send)
