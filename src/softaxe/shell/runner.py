"""One device on a real clock, real sockets and a real disk."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from softaxe.board.radio import NETWORKS, Network
from softaxe.catalog import board as board_named
from softaxe.device.boot import ON_NETWORK_S
from softaxe.device.device import Device, WorkChoice
from softaxe.device.events import (
    CameUp,
    ClosePool,
    ConnectPool,
    Link,
    SaveFlash,
    SaveSettings,
    WentDown,
)
from softaxe.device.logbook import LogLine
from softaxe.device.pools import dial_target
from softaxe.device.profile import DOCUMENTED, Profile
from softaxe.errors import SettingError, StorageError
from softaxe.flash.partitions import Flash
from softaxe.shell.clock import Clock
from softaxe.shell.listener import Listener
from softaxe.shell.pool_links import (
    LinkClosed,
    LinkNews,
    LinkOpened,
    LinkReceived,
    PoolLinks,
)
from softaxe.shell.pool_server import FIRST_PORT_TRIES, PoolServer
from softaxe.shell.search_thread import run_timed, yield_to_others
from softaxe.shell.server import Server
from softaxe.shell.storage import Storage, read_www
from softaxe.stratum.pool import Pool

POOL_HOST = "127.0.0.1"
POOL_PORT = 3333
LOG_QUEUE_LINES = 128
"""Lines a slow log listener may fall behind. Source: ESP-Miner websocket.c."""
LONGEST_SLEEP_S = 1.0
REAL_SEARCH_S = 0.02
"""Aim for the length of one call of the kernel in `real` work."""
FIRST_SEARCH_NONCES = 1 << 10
LAST_SEARCH_NONCES = 1 << 20
IDLE_SEARCH_S = 0.1
REOPEN_S = 1.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `softaxe run` was asked for; the CLI documents each."""

    state: Path
    host: str = "127.0.0.1"
    port: int = 8080
    board: str = "601"
    pool: str | None = None
    user: str | None = None
    password: str | None = None
    work: WorkChoice = "auto"
    cpu_percent: int = 50
    speed: float = 1.0
    seed: int = 0
    ambient_c: float = 25.0
    ambient_swing_c: float = 0.0
    networks: tuple[Network, ...] = NETWORKS
    is_first_boot: bool = False
    www: Mapping[str, bytes] | None = None
    """Files to serve instead of those in flash."""
    erases_www: bool = False
    profile: Profile = DOCUMENTED


@dataclass(slots=True)
class _Unsaved:
    """A request to save, and what became of it."""

    request: SaveSettings | SaveFlash
    error: StorageError | None = None


class LogSubscription:
    """Log lines for one reader; the oldest are dropped when it falls behind."""

    def __init__(self, close: Callable[["LogSubscription"], None]) -> None:
        self._lines: asyncio.Queue[str] = asyncio.Queue(LOG_QUEUE_LINES)
        self._close = close

    def put(self, line: str) -> None:
        """Add a line."""
        if self._lines.full():
            self._lines.get_nowait()
        self._lines.put_nowait(line)

    async def get(self) -> str:
        """Wait for the next line; it ends in a line feed."""
        return await self._lines.get()

    def close(self) -> None:
        """Take no more lines."""
        self._close(self)


class Runner:
    """Drives a device: time, pools, storage, HTTP port and real work.

    `start`, then `run` until `stop` is called.

    Args:
        options: What to run.
        show_log: Called with every log line of the device.
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        show_log: Callable[[LogLine], None] = lambda line: None,
    ) -> None:
        self.options = options
        self.profile = options.profile
        board = board_named(options.board)
        self.device_id = f"{board.version}-{options.seed}"
        self.storage = Storage(options.state)
        self.pool_server: PoolServer | None = None
        self._show_log = show_log
        self._clock = Clock(speed=options.speed)
        self._listener = Listener(Server(self), options.host, options.port)
        self._links = PoolLinks(self._take_link_news)
        self._unsaved: list[_Unsaved] = []
        self._save_lock = asyncio.Lock()
        self._listener_lock = asyncio.Lock()
        self._logs: set[LogSubscription] = set()
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_wanted_open = True
        self._fault: BaseException | None = None

    # What the server uses

    def sync(self) -> Device:
        """Step the device to the present and carry its events out."""
        now = self._clock.advance()
        self.device.step(now)
        if self.pool_server is not None:
            self.pool_server.step(now)
        self._dispatch()
        return self.device

    async def commit(self) -> None:
        """Wait until everything that was to be saved so far is on disk.

        Raises:
            StorageError: It could not be saved; the device has taken it back.
        """
        self._dispatch()
        asked = list(self._unsaved)
        async with self._save_lock:
            batch, self._unsaved = self._unsaved, []
            await asyncio.to_thread(self._save, batch)
            for unsaved in reversed(batch):
                if unsaved.error is not None:
                    self._take_back(unsaved.request)
        for unsaved in asked:
            if unsaved.error is not None:
                raise unsaved.error

    def _take_back(self, request: SaveSettings | SaveFlash) -> None:
        if isinstance(request, SaveSettings):
            self.device.settings_not_saved(request)
        else:
            self.device.flash_not_saved(request)

    def subscribe_log(self) -> LogSubscription:
        """Start to receive log lines as the device prints them, colours included."""
        subscription = LogSubscription(self._logs.discard)
        self._logs.add(subscription)
        return subscription

    @property
    def work_mode_name(self) -> str:
        """What the device's hashes are at present: scaled or real."""
        return self.device.work_mode.name

    @property
    def pool_text(self) -> str:
        """The pool in use, in words."""
        pool = self.device.pools.current
        host, port = dial_target(pool.url, pool.port)
        which = "built-in " if self._is_own_pool(host, port) else ""
        return f"{which}{host}:{port}"

    @property
    def port(self) -> int:
        """The HTTP port, known after `start`."""
        return self._listener.port

    # Life

    async def start(self) -> None:
        """Open the pool and the device.

        Raises:
            OSError: The HTTP address cannot be bound.
            StorageError: The state cannot be read.
            SettingError: An option is not allowed.
        """
        defaults = await self._pool_rows()
        if self.options.is_first_boot:
            factory = board_named(self.options.board).factory_nvs
            defaults |= {"wifissid": "", "wifipass": "", **factory}
        stored = self.storage.load_settings(self.device_id)
        flash = Flash.from_rows(self.storage.load_flash(self.device_id))
        if self.options.erases_www:
            flash.www_sha256 = None
            self.storage.save_flash(self.device_id, flash.to_rows())
        # The device has been switched on a moment ago: it is just joining the network.
        self.device = Device(
            self.options.board,
            seed=self.options.seed,
            profile=self.options.profile,
            settings={**defaults, **stored, **self._option_rows()},
            flash=flash,
            www=self.options.www or read_www(self.storage, flash.www_sha256),
            work=self.options.work,
            ambient_c=self.options.ambient_c,
            ambient_swing_c=self.options.ambient_swing_c,
            networks=self.options.networks,
            ipv4=_ipv4(self.options.host),
            now=-ON_NETWORK_S,
        )
        self.device.step(0.0)
        await self._listener.open()
        self._dispatch()

    async def run(self) -> None:
        """Keep the device going until `stop`."""
        if self.options.work != "scaled":
            self._spawn(self._search_real_work())
        while not self._is_stopping:
            self.sync()
            wake = self.device.next_wake
            if self.pool_server is not None:
                wake = min(wake, self.pool_server.pool.next_wake)
            delay = min(self._clock.real_delay(wake), LONGEST_SLEEP_S)
            self._wake.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Let `run` return."""
        self._is_stopping = True
        self._wake.set()

    async def close(self) -> None:
        """Close everything; what was to be saved is saved."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.close()
        self._links.close_all()
        if self.pool_server is not None:
            await self.pool_server.close()
        if hasattr(self, "device"):
            await self.commit()
        self.storage.close()

    # Events of the device

    def _dispatch(self) -> None:
        device = self.device
        for event in device.events():
            match event:
                case ConnectPool():
                    self._links.dial(event)
                case ClosePool(link=link):
                    self._links.close(link)
                case SaveSettings() | SaveFlash():
                    if not self._unsaved:
                        self._spawn(self._save_soon())
                    self._unsaved.append(_Unsaved(event))
                case WentDown():
                    self._want_open(is_open=False)
                case CameUp():
                    self._want_open(is_open=True)
                case _:
                    pass
        for link in Link:
            if data := device.data_to_pool(link):
                self._links.send(link, data)
        for line in device.log.take():
            self._show_log(line)
            for subscription in self._logs:
                subscription.put(line.coloured)

    def _take_link_news(self, news: LinkNews) -> None:
        device, now = self.device, self._clock.advance()
        match news:
            case LinkOpened(link=link, address=address, port=port, family=family):
                device.pool_connected(
                    now,
                    link=link,
                    address=address,
                    family=family,
                    is_own_pool=self._is_own_pool(address, port),
                )
            case LinkReceived(link=link, data=data):
                device.pool_received(data, now, link=link)
            case LinkClosed(link=link, reason=reason, detail=detail):
                device.pool_closed(reason, now, link=link, detail=detail)
        self._dispatch()
        self._wake.set()

    async def _save_soon(self) -> None:
        try:
            await self.commit()
        except StorageError as error:
            sys.stderr.write(f"softaxe: {error}\n")

    def _save(self, batch: list["_Unsaved"]) -> None:
        """Save in order; what follows a failure is not saved either."""
        error: StorageError | None = None
        for unsaved in batch:
            request = unsaved.request
            try:
                if error is not None:
                    raise error
                if isinstance(request, SaveSettings):
                    self.storage.save_settings(self.device_id, request.rows)
                else:
                    self.storage.save_flash(self.device_id, request.rows)
            except StorageError as failure:
                unsaved.error = error = failure

    def _want_open(self, *, is_open: bool) -> None:
        self._is_wanted_open = is_open
        self._spawn(self._follow_wanted())

    async def _follow_wanted(self) -> None:
        async with self._listener_lock:
            if not self._is_wanted_open:
                await self._listener.close()
            while self._is_wanted_open and not self._listener.is_open:
                try:
                    await self._listener.open()
                except OSError as error:
                    sys.stderr.write(f"softaxe: {error}; trying again\n")
                    await asyncio.sleep(REOPEN_S)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._take_end)

    def _take_end(self, task: asyncio.Task[None]) -> None:
        """Note the end of a task; a fault in one ends the run."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault = error
            self.stop()

    # Pools

    async def _pool_rows(self) -> dict[str, str | int | float]:
        if self.options.pool is not None:
            return {"fbstratumurl": ""}
        pool = Pool.for_scaled_work(seed=self.options.seed, start_time=int(time.time()))
        self.pool_server = PoolServer(pool, self._clock)
        tries = FIRST_PORT_TRIES
        _, port = await self.pool_server.listen(POOL_HOST, POOL_PORT, tries=tries)
        _, second = await self.pool_server.listen(POOL_HOST, port + 1, tries=tries)
        return {
            "stratumurl": POOL_HOST,
            "stratumport": port,
            "fbstratumurl": POOL_HOST,
            "fbstratumport": second,
        }

    def _option_rows(self) -> dict[str, str | int | float]:
        rows: dict[str, str | int | float] = {}
        if self.options.pool is not None:
            rows["stratumurl"], rows["stratumport"] = parse_pool(self.options.pool)
        if self.options.user is not None:
            rows["stratumuser"] = rows["fbstratumuser"] = self.options.user
        if self.options.password is not None:
            rows["stratumpass"] = rows["fbstratumpass"] = self.options.password
        return rows

    def _is_own_pool(self, address: str, port: int) -> bool:
        server = self.pool_server
        return server is not None and (address, port) in server.addresses

    # Real work

    async def _search_real_work(self) -> None:
        """Search, in threads, what the chip has to search when work is real."""
        percent = self.options.cpu_percent
        threads = max(1, -(-percent // 100))
        executor = ThreadPoolExecutor(
            threads, thread_name_prefix="search", initializer=yield_to_others
        )
        share = percent / 100 / threads
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(threads):
                    group.create_task(self._search(executor, share))
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    async def _search(self, executor: ThreadPoolExecutor, share: float) -> None:
        loop = asyncio.get_running_loop()
        nonces = FIRST_SEARCH_NONCES
        while not self._is_stopping:
            search = self.device.take_search(nonces)
            if search is None:
                await asyncio.sleep(IDLE_SEARCH_S)
                continue
            began = time.perf_counter()
            found, cpu_s = await loop.run_in_executor(executor, run_timed, search)
            took = time.perf_counter() - began
            self.device.finish_search(search, found, self._clock.advance())
            self._dispatch()
            if found:
                self._wake.set()
            nonces = max(
                FIRST_SEARCH_NONCES,
                min(
                    LAST_SEARCH_NONCES,
                    nonces * 2 if took < REAL_SEARCH_S / 2 else nonces,
                    int(search.span.count * REAL_SEARCH_S / max(took, 1e-6)) or 1,
                ),
            )
            await asyncio.sleep(max(0.0, cpu_s / share - took))


def parse_pool(text: str) -> tuple[str, int]:
    """Read a pool as people write it: `host`, `host:port`, or with a scheme.

    Raises:
        SettingError: There is no host, or the scheme is not plain Stratum v1.
    """
    scheme = text.partition("://")[0] if "://" in text else "stratum+tcp"
    if scheme not in ("stratum+tcp", "tcp", "stratum"):
        raise SettingError(
            f"--pool: {text}: this firmware speaks plain Stratum v1 only, "
            "as stratum+tcp://HOST:PORT or HOST:PORT"
        )
    host, port = dial_target(text, POOL_PORT)
    if not host or any(letter.isspace() for letter in host):
        raise SettingError(f"--pool: {text!r} names no host; write HOST:PORT")
    return host, port


def _ipv4(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return "127.0.0.1"
    if address.version != 4 or address.is_unspecified:
        return "127.0.0.1"
    return host


__all__ = ["LogSubscription", "RunOptions", "Runner", "parse_pool"]
