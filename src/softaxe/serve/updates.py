"""Firmware and www uploads: checked while they stream to disk, then all or nothing.

Source of the firmware's texts: ESP-Miner http_server.c.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus

from msgspec import Struct

from softaxe.api import views
from softaxe.catalog.firmware import Firmware
from softaxe.device.device import Device
from softaxe.errors import ImageError, StorageError, UpdateRefused
from softaxe.flash.image import WRITE_ERROR, AppImageReader
from softaxe.flash.partitions import WWW_BYTES
from softaxe.flash.spiffs import read_spiffs
from softaxe.serve.answers import CONNECTION_CLOSE, FULL_CORS, Answer, reason
from softaxe.serve.host import Host
from softaxe.serve.protocol import DRAIN_BYTES
from softaxe.serve.request import NO_BODY, Body, BodyCutOff, Request, chunks
from softaxe.serve.storage import ImageSink

UPLOAD_STALL_S = 30.0
"""An upload may pause this long. The firmware waits for ever, but serves one client."""
UPLOAD_S = 900.0
"""All of an upload may take this long: at 5 KB/s."""

PROTOCOL_ERROR = Answer(b"Protocol Error", status=500)
TOO_LARGE = Answer(b"File provided is too large for device", status=400)
BUSY = Answer(b"Another update is in progress", status=500)
FIRMWARE_DONE = Answer(b"Firmware update complete, rebooting now!\n")
WWW_DONE = Answer(b"WWW update complete\n")
WWW_DONE_RESTARTS = Answer(b"WWW update complete, rebooting now!\n")
JSON = b"application/json"


class Upload:
    """One upload on its way to a sink."""

    def __init__(self, body: Body, sink: ImageSink) -> None:
        self.sink = sink
        self._size = 0
        self._chunks = chunks(body, stall_s=UPLOAD_STALL_S, most_s=UPLOAD_S)

    async def store(
        self, check: Callable[[bytes], None], progress: Callable[[int], None]
    ) -> None:
        """Pass every chunk to `check`, then to the sink, in a thread.

        Args:
            check: Takes every chunk.
            progress: Called with the size so far, for every chunk.

        Raises:
            ImageError: `check` refused a chunk.
            BodyCutOff: The client went away or stalled.
            StorageError: The sink cannot be written.
        """

        def work(chunk: bytes) -> None:
            check(chunk)
            self.sink.write(chunk)

        async for chunk in self._chunks:
            self._size += len(chunk)
            await asyncio.to_thread(work, chunk)
            progress(self._size)

    async def drain(self) -> bool:
        """Read on without storing; True when the client has sent all."""
        try:
            async for chunk in self._chunks:
                self._size += len(chunk)
                if self._size > DRAIN_BYTES:
                    return False
        except BodyCutOff:
            return False
        return True


class _Work(Struct, frozen=True):
    """What an upload is for."""

    name: str
    """As the screen calls it."""
    total_bytes: int
    """0 when the client did not tell."""
    check: Callable[[bytes], None]
    install: Callable[[Upload], Awaitable[Answer]]
    restarts: bool
    """The device restarts when it is done."""
    most_bytes: float = math.inf
    """More are refused before they are read."""

    def percent(self, size: int) -> int:
        """How much of it has come."""
        return min(100, 100 * size // self.total_bytes) if self.total_bytes else 0


class Updates:
    """The two endpoints that take images, one at a time.

    Nothing of the device changes before an image is complete, checked and on disk.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = asyncio.Lock()

    async def firmware(self, request: Request) -> Answer:
        """Take an application image; on success the device restarts into it."""
        reader = AppImageReader()

        async def install(upload: Upload) -> Answer:
            image = reader.finish()
            await asyncio.to_thread(upload.sink.commit)
            device = self._host.sync()
            device.write_firmware(image, device.now)
            return FIRMWARE_DONE

        work = _Work(
            "esp-miner.bin", _length(request), reader.feed, install, restarts=True
        )
        return await self._update(request, work, lambda: reader.firmware_text)

    async def www(self, request: Request) -> Answer:
        """Take an image of the www partition; its files are served at once.

        Where the firmware has a page inside, the device restarts to show them.
        """
        restarts = self._host.device.firmware.rows.www_upload_restarts
        size = 0

        def check(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            if size > WWW_BYTES:
                raise ImageError(f"www: longer than its partition, {WWW_BYTES} bytes")

        async def install(upload: Upload) -> Answer:
            is_checked = self._host.device.profile.image_refused_with_reason
            pages = await asyncio.to_thread(_pages, upload.sink, is_checked=is_checked)
            sha256_hex = await asyncio.to_thread(upload.sink.commit)
            device = self._host.sync()
            device.write_www(sha256_hex, pages, device.now)
            return WWW_DONE_RESTARTS if restarts else WWW_DONE

        work = _Work(
            "www.bin",
            _length(request),
            check,
            install,
            restarts=restarts,
            most_bytes=WWW_BYTES,
        )
        return await self._update(request, work, lambda: WRITE_ERROR)

    async def _update(
        self, request: Request, work: _Work, firmware_text: Callable[[], str]
    ) -> Answer:
        device = self._host.device
        firmware, body = device.firmware, body_of(request, device)
        answer = await self._take(body, work, firmware_text)
        return _as_spoken(answer, request.path, firmware)

    async def _take(
        self, body: Body, work: _Work, firmware_text: Callable[[], str]
    ) -> Answer:
        host = self._host
        try:
            host.sync().check_update_allowed()
        except UpdateRefused as error:
            return Answer(str(error).encode(), status=500)
        if work.total_bytes > work.most_bytes:
            return TOO_LARGE
        if self._lock.locked():
            return BUSY
        async with self._lock:
            sink = await asyncio.to_thread(host.storage.new_image)
            upload = Upload(body, sink)

            def show(text: str) -> None:
                host.sync().show_update(work.name, text)

            show("Starting...")
            try:
                await upload.store(
                    work.check, lambda size: show(f"Working ({work.percent(size)}%)")
                )
                show("Finished...")
                answer = await work.install(upload)
                await host.commit()
            except BodyCutOff:
                show("Protocol Error")
                return PROTOCOL_ERROR.with_headers((CONNECTION_CLOSE,))
            except (ImageError, StorageError) as error:
                is_image = isinstance(error, ImageError)
                show("Validation Error" if is_image else "Write Error")
                is_read = await upload.drain()
                answer = self._refusal(error, firmware_text())
                return answer if is_read else answer.with_headers((CONNECTION_CLOSE,))
            finally:
                await asyncio.to_thread(sink.discard)
            if work.restarts:
                # Not before it is stored, and nothing is waited for afterwards: who has
                # restarted answers no more.
                device = host.sync()
                device.restart(device.now)
            return answer

    def _refusal(self, error: ImageError | StorageError, firmware_text: str) -> Answer:
        is_fault_of_image = isinstance(error, ImageError)
        if self._host.device.profile.image_refused_with_reason:
            if is_fault_of_image:
                return reason(str(error)).differing("image_refused_with_reason")
            return reason(str(error), status=500)
        text = firmware_text if is_fault_of_image else WRITE_ERROR
        return Answer(text.encode(), status=500)


def _as_spoken(answer: Answer, path: str, firmware: Firmware) -> Answer:
    """Say what came of an upload as the firmware that took it says it."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        kind = next(one.content_type for one in firmware.routes if one.path == path)
        return replace(answer, content_type=kind.encode())
    if not firmware.rows.ota_errors_are_json:
        return answer
    text = answer.body.decode()
    ends = text == WRITE_ERROR and not answer.is_last
    return replace(
        answer,
        body=views.message_body(text, is_compact=firmware.rows.is_compact),
        content_type=JSON,
        headers=FULL_CORS + answer.headers + (CONNECTION_CLOSE,) * ends,
    )


def body_of(request: Request, device: Device) -> Body:
    """Return where to read a body from.

    The firmware knows no chunked request bodies: to it they are empty.
    """
    is_chunked = request.header(b"transfer-encoding") is not None
    is_read = not is_chunked or reads_chunks(request, device)
    return request.body if is_read else NO_BODY


def reads_chunks(request: Request, device: Device) -> bool:
    """Tell whether a request's body comes in chunks, and is read all the same."""
    return (
        request.body is not NO_BODY
        and request.header(b"transfer-encoding") is not None
        and device.profile.chunked_bodies_read
    )


def _length(request: Request) -> int:
    return int(request.header(b"content-length") or 0)


def _pages(sink: ImageSink, *, is_checked: bool) -> dict[str, bytes] | None:
    """Return the files of a received www image.

    The firmware writes what it gets so that it ends at the partition's end: a shorter
    image lands askew and is no file system. Then None, where nobody checks.

    Raises:
        ImageError: It is not a whole file system, and that is checked.
    """
    try:
        return read_spiffs(sink.read())
    except ImageError:
        if is_checked:
            raise
        return None
