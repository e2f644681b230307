"""A client of the AxeOS API: any Bitaxe of firmware 2.8 to 2.15, real or virtual.

    bitaxe = softaxe.AxeOS("http://192.168.1.20")
    if bitaxe.info().temp > 65:
        bitaxe.set(frequency=500, coreVoltage=1100)

`AsyncAxeOS` does the same in an event loop, and does it all: the other one runs it in a
loop of its own, so that it may be used anywhere, in a notebook, too. Members and
settings are called as the API calls them (docs/api.md); there is nothing to open or to
close, as every call has its own connection.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from softaxe.catalog.firmware import Firmware, firmware, is_known, nearest, versions
from softaxe.client.answers import (
    POOL_MEMBERS,
    Change,
    Statistics,
    changes,
    flat_names,
    pools_of,
    read_answer,
)
from softaxe.client.http import (
    TIMEOUT_S,
    Progress,
    Reply,
    address_of,
    exchange,
)
from softaxe.client.info import Asic, Info
from softaxe.client.members import Pool
from softaxe.errors import (
    BadResponse,
    DeviceError,
    DeviceTimeout,
    DeviceUnreachable,
    NoSuchRoute,
    PatchRefused,
    SettingError,
    UpdateRefused,
)

T = TypeVar("T")
INFO = "/api/system/info"
SYSTEM = "/api/system"
POOL_ROUTE = "/api/system/pools/*"
LIVE, LOG, LOGS = "/api/ws/live", "/api/ws", "/api/system/logs"
NOT_AS_SET = frozenset(
    {"primaryPoolIndex", "secondaryPoolIndex", "useFallbackStratum", "fanspeed"}
)
"""Settings that info tells as they were at boot, or as the fan is driven."""
RESTART_S = 90.0
"""Real seconds that a device may take to restart; one takes ten."""
LOOK_S = 0.1
"""Between two questions whether it has."""
_MEMBERS = frozenset(Info.__struct_fields__)
SHORT_S = 2.0
"""For the answer to such a question."""
MOST_IMAGE_BYTES = 16 << 20
"""All of a Bitaxe's flash."""
MOST_MESSAGE_BYTES = 1 << 20
MOST_LINE = 4096
"""Characters of a line of the log; longer ones come in parts."""


class AsyncAxeOS:
    """Talks to one device.

    Args:
        url: `http://HOST[:PORT]`, or the host alone.
        timeout_s: For connecting, and for every piece that is sent or received; a
            whole answer has 30 s.

    Every method raises `DeviceUnreachable`, `DeviceTimeout` or `BadResponse`, all of
    them a `DeviceError`, when there is no such answer as it should give, and
    `NoSuchRoute`, a `BadResponse`, where that is because of its firmware's version.

    Raises:
        SettingError: The address is none.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._address = address_of(url)
        self._timeout_s = timeout_s
        self.url = self._address.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Reply:
        """Send any request; any answer will do."""
        return await exchange(
            self._address,
            method,
            path,
            body=body,
            headers=headers,
            timeout_s=self._timeout_s,
            progress=progress,
        )

    async def get_json(self, path: str) -> Any:
        """GET any answer that is JSON."""
        reply = await self._call("GET", path)
        try:
            return reply.json()
        except BadResponse as error:
            raise BadResponse(f"GET {self.url}{path}: {error}") from error

    async def info(self) -> Info:
        """Return readings, state and settings."""
        return await self._read(Info, INFO)

    async def asic(self) -> Asic:
        """Return what the chips are, and which frequencies and voltages they like."""
        return await self._read(Asic, "/api/system/asic")

    async def statistics(self, *columns: str) -> Statistics:
        """Return what the device has recorded.

        Args:
            columns: Of which there shall be some; all for none. The time stamp is
                always there. Versions before 2.10 have no choice.
        """
        asked = f"?columns={quote(','.join(columns), safe=',')}" if columns else ""
        return await self._read(Statistics, f"/api/system/statistics{asked}")

    async def set(self, *, force: bool = False, **settings: Any) -> list[Change]:
        """Change settings, and look what has become of them.

        Args:
            force: Send them as they are. Otherwise they are checked before by what the
                device's firmware version has and takes.
            settings: By the names of the API, as `frequency=500`.

        Raises:
            PatchRefused: One is not allowed, says softaxe or the device; nothing has
                changed.
        """
        release = await self._release()
        sent: dict[str, Any] = dict(settings)
        # Loaded by those who change something: reading a device needs no rules.
        from softaxe.device.patch import check_sent  # noqa: PLC0415
        from softaxe.device.setting_rules import shown_later  # noqa: PLC0415

        if not force:
            sent |= check_sent(settings, release)
        await self._send("PATCH", SYSTEM, settings)
        late = {*shown_later(release), *NOT_AS_SET}
        return changes(sent, await self.info(), late)

    async def pools(self) -> list[Pool]:
        """Return the pools: slots from 2.15 on, before that two."""
        return pools_of(await self.info())

    async def set_pool(
        self, number: int, *, force: bool = False, **members: Any
    ) -> None:
        """Change members of a pool; the others stay.

        Args:
            number: Of the slot, from 0; before 2.15, 0 is the primary pool and 1 the
                fallback.
            force: Send them as they are, unchecked.
            members: By the names of `Pool`, as `stratumURL="public-pool.io"`.

        Raises:
            PatchRefused: One is not allowed; nothing has changed.
        """
        if unknown := members.keys() - set(POOL_MEMBERS):
            known = ", ".join(POOL_MEMBERS)
            raise PatchRefused(f"{', '.join(sorted(unknown))}: a pool has {known}")
        info = await self.info()
        if info.pools is None:
            names = flat_names(number) if number in {0, 1} else {}
            if not names:
                raise PatchRefused(f"pool {number}: {info.version} has 0 and 1")
            flat = {names[name]: value for name, value in members.items()}
            await self.set(force=force, **flat)
            return
        told = {pool.id: msgspec.to_builtins(pool) for pool in info.pools}
        whole = {"id": number} | told.get(number, {}) | members
        whole = {name: one for name, one in whole.items() if one is not None}
        if not force:
            from softaxe.device.patch import check_sent  # noqa: PLC0415

            check_sent({"pools": [whole]}, await self._release())
        del whole["id"]
        await self._send("PUT", f"/api/system/pools/{number}", whole, route=POOL_ROUTE)

    async def delete_pool(self, number: int) -> None:
        """Empty a slot; from 2.15 on."""
        path = f"/api/system/pools/{number}"
        await self._call("DELETE", path, route=POOL_ROUTE)

    async def restart(self) -> None:
        """Restart, and return while that goes on; see `wait_until_up`."""
        await self._call("POST", "/api/system/restart")

    async def identify(self) -> None:
        """Have the screen say hello."""
        await self._call("POST", "/api/system/identify")

    async def pause(self) -> None:
        """Stop mining; from 2.14 on."""
        await self._call("POST", "/api/system/pause")

    async def resume(self) -> None:
        """Mine again; from 2.14 on."""
        await self._call("POST", "/api/system/resume")

    async def update(
        self, image: bytes, *, is_www: bool = False, progress: Progress | None = None
    ) -> None:
        """Write a firmware, or the web page's image; with firmware it restarts.

        Args:
            image: As released, `esp-miner.bin` or `www.bin`.
            is_www: It is the page's.
            progress: Called with the bytes that were sent and those that there are.

        Raises:
            UpdateRefused: The device did not take it.
        """
        if not 0 < len(image) <= MOST_IMAGE_BYTES:
            raise SettingError(f"image: {len(image)} bytes is outside 1..16 MiB")
        path = "/api/system/OTAWWW" if is_www else "/api/system/OTA"
        headers = {"Content-Type": "application/octet-stream"}
        reply = await self.request(
            "POST", path, body=image, headers=headers, progress=progress
        )
        if reply.status in {400, 500, 503}:
            raise UpdateRefused(f"POST {self.url}{path}: {reply.status} {reply.text}")
        await self._judge(reply, "POST", path)

    async def wait_until_up(self, before: Info, *, within_s: float = RESTART_S) -> Info:
        """Wait for the end of a restart.

        Args:
            before: What the device told before it was asked to.
            within_s: Real seconds.

        Returns:
            What it tells after it.

        Raises:
            DeviceTimeout: It is not back by then.
        """
        asking = AsyncAxeOS(self.url, timeout_s=SHORT_S)
        was_away = False
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        info = await asking.info()
                    except (DeviceUnreachable, DeviceTimeout, BadResponse):
                        was_away = True
                    else:
                        if was_away or _has_restarted(before, info):
                            return info
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as error:
            away = "away" if was_away else "still the one that it was"
            raise DeviceTimeout(
                f"{self.url}: {away} {within_s:g} s after a restart"
            ) from error

    async def logs(self) -> list[str]:
        """Return the lines of the log that the device has kept; from 2.14 on."""
        reply = await self._call("GET", LOGS)
        return reply.body.decode("utf-8", "replace").splitlines()

    async def log(self) -> AsyncGenerator[str, None]:
        """Follow the log, line by line, until the device ends that."""
        in_pieces = (await self._release()).rows.log_frames == "ring"
        begun = ""
        async with self._socket(LOG) as socket:
            async for message in socket:
                text = message if isinstance(message, str) else message.decode()
                *lines, begun = (begun + text).split("\n")
                for line in lines:
                    yield line.rstrip("\r")
                if begun and (not in_pieces or len(begun) > MOST_LINE):
                    yield begun
                    begun = ""

    async def live(self) -> AsyncGenerator[Info, None]:
        """Follow what `info` returns, twice a second; from 2.14 on."""
        told: dict[str, Any] = {}
        async with self._socket(LIVE) as socket:
            async for message in socket:
                try:
                    new = _Update.of(message).data
                except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                    raise BadResponse(f"{self.url}{LIVE}: {error}") from error
                # Others would be kept for ever, however many came.
                told |= {name: new[name] for name in new.keys() & _MEMBERS}
                yield read_answer(Info, told)

    async def _read(self, kind: type[T], path: str) -> T:
        answer = await self.get_json(path)
        try:
            return read_answer(kind, answer)  # type: ignore[type-var]
        except BadResponse as error:
            raise BadResponse(f"GET {self.url}{path}: {error}") from error

    async def _release(self) -> Firmware:
        """Return what is known of the firmware that is running."""
        return nearest((await self.info()).version or "")

    async def _send(
        self, method: str, path: str, members: object, *, route: str | None = None
    ) -> None:
        """Send JSON.

        Raises:
            PatchRefused: The device refuses what is in it.
        """
        try:
            body = msgspec.json.encode(members)
        except (TypeError, msgspec.MsgspecError) as error:
            raise PatchRefused(f"this cannot be written as JSON: {error}") from error
        headers = {"Content-Type": "application/json"}
        reply = await self.request(method, path, body=body, headers=headers)
        if reply.status == 400:
            raise PatchRefused(f"{method} {self.url}{path}: {reply.text}")
        await self._judge(reply, method, route or path)

    async def _call(self, method: str, path: str, *, route: str | None = None) -> Reply:
        reply = await self.request(method, path)
        await self._judge(reply, method, route or path.partition("?")[0])
        return reply

    async def _judge(self, reply: Reply, method: str, route: str) -> None:
        """Let a success pass.

        Raises:
            NoSuchRoute: The firmware does not have it.
            BadResponse: It is none, for another reason.
        """
        if 200 <= reply.status < 300:
            return
        await self._explain(method, route)
        raise BadResponse(
            f"{method} {self.url}{route}: status {reply.status} {reply.text}".rstrip()
        )

    async def _explain(self, method: str, route: str) -> None:
        """Look whether a request failed because there is no such route.

        Raises:
            NoSuchRoute: There is none.
        """
        if route == INFO:
            return
        try:
            version = (await self.info()).version or ""
        except DeviceError:
            return
        if is_known(version) and not nearest(version).has_route(method, route):
            having = [
                one for one in versions() if firmware(one).has_route(method, route)
            ]
            since = f"; {having[0]} is the first that has it" if having else ""
            raise NoSuchRoute(
                f"{method} {self.url}{route}: firmware {version} has no such route"
                f"{since}"
            )

    @asynccontextmanager
    async def _socket(self, path: str) -> AsyncIterator[ClientConnection]:
        address = f"ws{self.url.removeprefix('http')}{path}"
        try:
            async with connect(
                address,
                # No device can lead a client to anybody else.
                host=self._address.host,
                port=self._address.port,
                proxy=None,
                compression=None,
                open_timeout=self._timeout_s,
                close_timeout=1,
                max_size=MOST_MESSAGE_BYTES,
            ) as socket:
                yield socket
        except InvalidStatus as error:
            await self._explain("GET", path)
            status = error.response.status_code
            raise BadResponse(f"{address}: status {status}") from error
        except ConnectionClosed as error:
            raise DeviceUnreachable(f"{address}: {error}") from error
        except TimeoutError as error:
            raise DeviceTimeout(f"{address}: {error}") from error
        except (WebSocketException, EOFError, ValueError, LookupError) as error:
            raise BadResponse(f"{address}: {error}") from error
        except OSError as error:
            raise DeviceUnreachable(f"{address}: {error}") from error


def _has_restarted(before: Info, after: Info) -> bool:
    """Tell by what is told; time alone does not where it may go by faster."""
    if before.runningPartition != after.runningPartition:
        return True
    return (after.uptimeSeconds or 0) < (before.uptimeSeconds or 0)


class _Update(msgspec.Struct):
    """A message of the live socket: all members at first, then those that changed."""

    data: dict[str, Any]

    @staticmethod
    def of(message: str | bytes) -> "_Update":
        return msgspec.json.decode(message, type=_Update)


class AxeOS:
    """Talks to one device, as `AsyncAxeOS` does; every call waits for the answer."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._device = AsyncAxeOS(url, timeout_s=timeout_s)
        self.url = self._device.url

    __repr__ = AsyncAxeOS.__repr__

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Reply:
        """Send any request; any answer will do."""
        return _wait(
            self._device.request(
                method, path, body=body, headers=headers, progress=progress
            )
        )

    def get_json(self, path: str) -> Any:
        """GET any answer that is JSON."""
        return _wait(self._device.get_json(path))

    def info(self) -> Info:
        """Return readings, state and settings."""
        return _wait(self._device.info())

    def asic(self) -> Asic:
        """Return what the chips are, and which frequencies and voltages they like."""
        return _wait(self._device.asic())

    def statistics(self, *columns: str) -> Statistics:
        """Return what the device has recorded, as `AsyncAxeOS.statistics`."""
        return _wait(self._device.statistics(*columns))

    def set(self, *, force: bool = False, **settings: Any) -> list[Change]:
        """Change settings and look what becomes of them, as `AsyncAxeOS.set`."""
        return _wait(self._device.set(force=force, **settings))

    def pools(self) -> list[Pool]:
        """Return the pools: slots from 2.15 on, before that two."""
        return _wait(self._device.pools())

    def set_pool(self, number: int, *, force: bool = False, **members: Any) -> None:
        """Change members of a pool, as `AsyncAxeOS.set_pool`."""
        _wait(self._device.set_pool(number, force=force, **members))

    def delete_pool(self, number: int) -> None:
        """Empty a slot; from 2.15 on."""
        _wait(self._device.delete_pool(number))

    def restart(self) -> None:
        """Restart, and return while that goes on; see `wait_until_up`."""
        _wait(self._device.restart())

    def identify(self) -> None:
        """Have the screen say hello."""
        _wait(self._device.identify())

    def pause(self) -> None:
        """Stop mining; from 2.14 on."""
        _wait(self._device.pause())

    def resume(self) -> None:
        """Mine again; from 2.14 on."""
        _wait(self._device.resume())

    def update(
        self, image: bytes, *, is_www: bool = False, progress: Progress | None = None
    ) -> None:
        """Write a firmware, or the web page's image, as `AsyncAxeOS.update`."""
        _wait(self._device.update(image, is_www=is_www, progress=progress))

    def wait_until_up(self, before: Info, *, within_s: float = RESTART_S) -> Info:
        """Wait for the end of a restart, as `AsyncAxeOS.wait_until_up`."""
        return _wait(self._device.wait_until_up(before, within_s=within_s))

    def logs(self) -> list[str]:
        """Return the lines of the log that the device has kept; from 2.14 on."""
        return _wait(self._device.logs())

    def log(self) -> Generator[str, None, None]:
        """Follow the log, line by line, until the device ends that."""
        return _each(self._device.log())

    def live(self) -> Generator[Info, None, None]:
        """Follow what `info` returns, twice a second; from 2.14 on."""
        return _each(self._device.live())


@cache
def _loop_of(_process: int) -> asyncio.AbstractEventLoop:
    """Return the loop in which clients of this process do their work.

    It has a thread of its own: whoever waits may have a loop running himself.
    """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="AxeOS", daemon=True).start()
    return loop


def _wait(work: Coroutine[Any, Any, T]) -> T:
    future = asyncio.run_coroutine_threadsafe(work, _loop_of(os.getpid()))
    try:
        return future.result()
    except BaseException:
        future.cancel()  # Ctrl-C; nothing to do if it has failed by itself
        raise


def _each(found: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Yield what comes, until the end or until nobody asks any more."""
    try:
        while (one := _wait(_next(found))) is not _END:
            yield one  # type: ignore[misc]
    except GeneratorExit:
        _wait(found.aclose())
        raise


_END = object()


async def _next(found: AsyncGenerator[T, None]) -> T | object:
    return await anext(found, _END)
