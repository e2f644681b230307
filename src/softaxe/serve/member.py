"""One device of a fleet: what joins it to sockets, disk and log readers."""

import asyncio
import math
import sys
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol
from zlib import crc32

from softaxe.api import views
from softaxe.api.access import Networks, is_loopback
from softaxe.api.routes import has_route
from softaxe.asic.chip import REAL
from softaxe.board.radio import NETWORKS, Network
from softaxe.catalog import Board
from softaxe.catalog.firmware import Firmware
from softaxe.device.body import Body
from softaxe.device.boot import ON_NETWORK_S
from softaxe.device.device import Device, WorkChoice
from softaxe.device.events import (
    LINKS,
    BlockFound,
    Booted,
    CameUp,
    ClosePool,
    CloseReason,
    ConnectPool,
    Event,
    Link,
    SaveFlash,
    SaveSettings,
    WentDown,
)
from softaxe.device.faults import DeviceFaults
from softaxe.device.logbook import LEVELS, LogLine
from softaxe.device.pools import dial_target
from softaxe.device.profile import DOCUMENTED, Profile
from softaxe.device.settings import overridden, sift_stored
from softaxe.device.transport import NEEDS_TLS, NEEDS_V2
from softaxe.errors import SettingError, StorageError
from softaxe.faults import LinkFaults, Slowness, Whom
from softaxe.flash.partitions import Flash
from softaxe.json_values import JsonValue
from softaxe.serve.addresses import address_of, found_at, ipv4_of
from softaxe.serve.intake import Intake
from softaxe.serve.listener import BOUNDS, Bounds, Listener, Presence
from softaxe.serve.mdns import Announcement, Announcer, announcement
from softaxe.serve.pool_links import (
    LOOPBACK,
    LinkClosed,
    LinkNews,
    LinkOpened,
    LinkReceived,
    LinkResolved,
    PoolLinks,
    Wire,
)
from softaxe.serve.request import App
from softaxe.serve.saver import Saver
from softaxe.serve.server import Server
from softaxe.serve.share_load import ShareLoad
from softaxe.serve.slow_link import SlowLink
from softaxe.serve.storage import SettingValue, State, read_www
from softaxe.stratum.ledger import ShareLedger
from softaxe.units import Level

LOG_QUEUE_LINES = 128
"""Lines a slow log listener may fall behind. Source: ESP-Miner websocket.c."""
PRESENT_S = 0.0005
"""Device time that passes unseen: half of the least that any answer tells."""
LATE_S = 1.0
"""Device time by which who asks in a fleet that is late is behind, at most."""
WWW_SETTING = "use_custom_www"
"""NVS key of what lets firmware with a page of its own show another."""
GATHER_S = 1.0
"""Real seconds in which what nobody waits for, as a best difficulty, gathers for one
transaction."""
ORDERS: Mapping[str, Callable[[Device, float], object]] = {
    "restart": Device.restart,
    "identify": Device.identify,
    "pause": lambda device, now: device.set_paused(True, now),
    "resume": lambda device, now: device.set_paused(False, now),
}
"""What POST /api/system/NAME does, by its name."""
BUTTON: Mapping[str, Callable[[Device, float], object]] = {
    "press": Device.press_button,
    "hold": lambda device, now: device.press_button(now, is_long=True),
}
"""What somebody does to the button of a device."""
REOPEN_S = 1.0
PORTS_S = 5.0
"""Real seconds for ports to open and close; more than a hung connection takes."""
LOOK_S = 0.005
"""Real seconds between two looks at them."""
NO_LINK_FAULTS = LinkFaults()
NOT_CONNECTED = "errno 128: Socket is not connected"
REFUSED = "errno 111: Connection refused"


class Timekeeper(Protocol):
    """The clock of a fleet."""

    @property
    def now(self) -> float:
        """Device time as it was last looked at, in seconds."""

    @property
    def speed(self) -> float:
        """Device seconds per real second."""

    @property
    def reached_speed(self) -> float | None:
        """What of it was reached of late; None when that cannot be told."""

    @property
    def is_paused(self) -> bool:
        """True while time stands still."""

    @property
    def is_held(self) -> bool:
        """True while somebody else moves the time."""

    def advance(self) -> float:
        """Go on to the present and return it."""


class OwnPool(Protocol):
    """The built-in pool, as far as a device has to do with it."""

    @property
    def wire(self) -> Wire:
        """Counts the bytes under way."""

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where others find it."""


class Surroundings(Protocol):
    """What a device's fleet gives it."""

    storage: State
    saver: Saver
    intake: Intake
    announcer: Announcer
    share_load: ShareLoad
    seed: int
    """Of its first device, and of chance."""
    control_url: str
    """Where its control API is; empty without one."""

    @property
    def dials(self) -> set[tuple[str, Link]]:
        """Connections to this machine that are being opened: a device and which."""

    @property
    def clock(self) -> Timekeeper:
        """Device time."""

    @property
    def pool_server(self) -> OwnPool | None:
        """The built-in pool, when there is one."""

    @property
    def is_late(self) -> bool:
        """True while there are more steps to do than there is time for."""

    def wake(self, member: "Member") -> None:
        """Something happened: the device may have to be stepped earlier."""

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run in the background; a fault ends the fleet."""

    def wrap(self, member: "Member", app: App) -> App:
        """Return what is served instead of a device's own app."""

    def link_changed(self, member: "Member") -> None:
        """A pool connection of the device stands."""

    def happened(self, member: "Member", event: SaveSettings | BlockFound) -> None:
        """The device has new settings, or has found a block."""

    def booted(self, member: "Member") -> None:
        """The device has started a firmware, perhaps another than before."""


@dataclass(frozen=True, slots=True)
class MemberOptions:
    """Everything that makes one device."""

    board: Board
    seed: int
    number: int = 1
    """In its fleet, from 1."""
    group: str = "devices"
    host: str = "127.0.0.1"
    port: int = 8080
    advertised: str | None = None
    """Name or address by which others find it; the host's when None."""
    networks_let_in: Networks = ()
    """Whose clients may use it, beside those of private ones."""
    work: WorkChoice = "auto"
    share_rate: float | None = None
    ambient_c: float = 25.0
    ambient_swing_c: float = 0.0
    networks: tuple[Network, ...] = NETWORKS
    presets: Mapping[str, SettingValue] = field(default_factory=dict)
    """Settings by NVS key that hold in this run alone: where its own pool is."""
    defaults: Mapping[str, SettingValue] = field(default_factory=dict)
    """Settings by NVS key where nothing is stored."""
    overrides: Mapping[str, SettingValue] = field(default_factory=dict)
    """Settings by NVS key whatever is stored."""
    www: Mapping[str, bytes] | None = None
    """Files to serve instead of those in flash."""
    erases_www: bool = False
    firmware: str | None = None
    """Release in its factory slot; None for the one that is stored."""
    profile: Profile = DOCUMENTED
    is_scan_quick: bool = False
    body: Body | None = None
    """A board that is there; a model of one when None."""
    is_announced: bool | None = None
    """By mDNS; None for firmware that does it, at an address that others reach."""

    @property
    def id(self) -> str:
        """Names the device in its fleet."""
        return f"{self.board.version}-{self.number}"

    @property
    def key(self) -> str:
        """Names the device in storage: another seed makes another device."""
        return f"{self.board.version}-{self.seed}"


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


class Member:
    """Drives a device: its pools, its HTTP port, its log, and what it saves.

    Args:
        options: Which device.
        fleet: Where it lives.
        power_on_s: Device time at which it was switched on.
        show_log: Called with the id and log lines of the device.
        log_levels: Of the lines that it is called with.
    """

    def __init__(
        self,
        options: MemberOptions,
        fleet: Surroundings,
        *,
        power_on_s: float = -ON_NETWORK_S,
        show_log: Callable[[str, LogLine], None] | None = None,
        log_levels: Collection[Level] = LEVELS,
    ) -> None:
        self.options = options
        self.id = options.id
        self.key = options.key
        self.group = options.group
        self.wake_at = power_on_s
        """When the ticker steps the device next."""
        self.phase = crc32(self.id.encode()) / 2**32
        """Its place among the devices that are stepped one after the other, 0 to 1."""
        self.wake_order = 0
        """Names the one plan of the ticker that holds."""
        self.device = self._new_device(fleet.storage, power_on_s)
        self.link_faults = NO_LINK_FAULTS
        self._link_names: dict[Link, str] = {}
        self._connected_at: float | None = None
        """Device time at which its main connection began, while that stands."""
        self._has_connected = False
        self._slow: SlowLink | None = None
        """What its main connection goes through while it is slow."""
        self._slow_timer: asyncio.TimerHandle | None = None
        self._fleet = fleet
        self._synced_at = -math.inf
        """Real time of the last look at the present."""
        self._show_log = show_log
        self._log_levels = () if show_log is None else tuple(log_levels)
        app = fleet.wrap(self, Server(self))
        self._listener = Listener(
            app,
            options.host,
            options.port,
            bounds=lambda: _bounds_of(self.device),
            name=found_at(options.host, options.advertised),
        )
        self._links = PoolLinks(
            self._take_link_news, intake=fleet.intake, source=options.host
        )
        self._targets: dict[Link, tuple[str, int]] = {}
        self._logs: set[LogSubscription] = set()
        self._mind_log()
        self._listener_lock = asyncio.Lock()
        self._is_ended = self._is_port_taken = self._has_booted = False

    def _new_device(self, storage: State, now: float) -> Device:
        options = self.options
        stored, complaints = sift_stored(storage.load_settings(self.key))
        flash, about_flash = Flash.sift(storage.load_flash(self.key))
        for complaint in complaints + about_flash:
            sys.stderr.write(
                f"softaxe: {self.id}: stored {complaint}; a new device's is taken\n"
            )
        if options.erases_www:
            flash.www_sha256 = None
            storage.save_flash(self.key, flash.to_rows())
        settings = overridden({**options.defaults, **stored}, options.overrides)
        www = options.www
        if www is not None:
            settings[WWW_SETTING] = 1
        elif options.firmware in {None, flash.factory_version.removeprefix("v")}:
            www = read_www(storage, flash.www_sha256)  # not one that is flashed over
        device = Device(
            options.board,
            seed=options.seed,
            firmware=options.firmware,
            profile=options.profile,
            settings=settings,
            presets={**options.presets, **options.overrides},
            flash=flash,
            www=www,
            work=options.work,
            share_rate=options.share_rate,
            ambient_c=options.ambient_c,
            ambient_swing_c=options.ambient_swing_c,
            networks=options.networks,
            ipv4=ipv4_of(options.host, options.advertised),
            body=options.body,
            now=now,
        )
        asked, rows, why = options.overrides, device.firmware.rows, ""
        if asked.get("stratumtls") and not rows.has_tls:
            why = NEEDS_TLS
        elif asked.get("stratumprot") == "SV2" and not rows.has_stratum_v2:
            why = NEEDS_V2
        if why:  # it would leave the setting unread, and speak in plain text
            raise SettingError(f"{self.id}: pool: {why}; {device.version} runs")
        return device

    # What the server uses

    @property
    def storage(self) -> State:
        """Where images go."""
        return self._fleet.storage

    def sync(self) -> Device:
        """Step the device to the present and carry its events out.

        In a fleet that is late the device stays where it is, if it is not too far
        behind: who asks would otherwise wait for all who have asked before.
        """
        fleet, real = self._fleet, time.monotonic()
        if (real - self._synced_at) * fleet.clock.speed < PRESENT_S:
            return self.device
        if not fleet.is_late or fleet.clock.now - self.device.now > LATE_S:
            self._synced_at = real
            self.step(fleet.clock.advance())
        return self.device

    async def commit(self) -> None:
        """Wait until everything that was to be saved so far is on disk.

        Raises:
            StorageError: It could not be saved; the device has taken it back.
        """
        self.dispatch()
        await self._fleet.saver.commit(self.key)

    def subscribe_log(self) -> LogSubscription:
        """Start to receive log lines as the device prints them, colours included."""
        subscription = LogSubscription(self._unsubscribe_log)
        self._logs.add(subscription)
        self._mind_log()
        return subscription

    def _unsubscribe_log(self, subscription: LogSubscription) -> None:
        self._logs.discard(subscription)
        self._mind_log()

    def _mind_log(self) -> None:
        """Have lines of the device's log only while somebody takes them."""
        log = self.device.log
        log.levels = LEVELS if self._logs else self._log_levels
        if not log.levels:
            log.take()

    @property
    def networks(self) -> Networks:
        """Whose clients may use the device, beside those of private ones."""
        return self.options.networks_let_in

    @property
    def fleet_seed(self) -> int:
        """What makes this fleet again."""
        return self._fleet.seed

    @property
    def fleet_page(self) -> str:
        """Address of the device's place on the fleet's page; empty without one."""
        url = self._fleet.control_url
        return f"{url}/#/devices/{self.id}" if url else ""

    @property
    def work_mode_name(self) -> str:
        """What the device's hashes are at present: scaled or real."""
        return self.device.work_mode.name

    @property
    def pool_text(self) -> str:
        """The pool in use, in words: connected, that is, whatever is stored since."""
        pool = self.device.pools.current
        host, port = self._targets.get(Link.MAIN) or dial_target(pool.url, pool.port)
        which = "built-in " if self._is_own_pool(host, port) else ""
        return f"{which}{host}:{port}"

    @property
    def is_scan_quick(self) -> bool:
        """A Wi-Fi scan takes no time."""
        return self.options.is_scan_quick

    @property
    def speed(self) -> float:
        """Device seconds per real second; 0 while time stands still."""
        clock = self._fleet.clock
        return 0.0 if clock.is_paused else clock.speed

    @property
    def reached_speed(self) -> float | None:
        """What of it is reached; None while it stands, or has just begun to go."""
        return self._fleet.clock.reached_speed

    # What the fleet uses

    @property
    def port(self) -> int:
        """The HTTP port, known after `open`."""
        return self._listener.port

    @property
    def url(self) -> str:
        """Where the device is to be found."""
        return self._listener.url

    @property
    def whom(self) -> Whom:
        """What orders for faults may know it by."""
        device, host = self.device, self._listener.name
        return Whom(
            self.id,
            self.group,
            (
                device.settings.hostname,
                host,
                f"{host}:{self._listener.port}",
                device.identity.mac_text,
            ),
            self.options.board,  # its parts, not what the firmware makes of them
            self.firmware,
        )

    @property
    def firmware(self) -> str:
        """The version that runs, as `2.15.0`."""
        return self.device.version.removeprefix("v")

    @property
    def is_open(self) -> bool:
        """True while its port is served."""
        return self._listener.presence is Presence.SERVED

    @property
    def is_port_late(self) -> bool:
        """True while its port is about to open or close.

        Not while another program has the port: that may take for ever.
        """
        return self._is_port_off and not self._is_port_taken

    @property
    def _is_port_off(self) -> bool:
        is_moving = self._listener_lock.locked()
        return is_moving or self._wanted is not self._listener.presence

    @property
    def _wanted(self) -> Presence:
        """How its port is to meet clients."""
        faults = self.link_faults
        if self._is_ended:
            return Presence.CLOSED
        if self.device.is_on_network and not faults.is_port_silent:
            return Presence.SERVED
        return Presence.CLOSED if faults.is_away_refused else Presence.SILENT

    @property
    def connection_count(self) -> int:
        """Clients connected to its port."""
        return self._listener.connection_count

    @property
    def is_read(self) -> bool:
        """True while somebody reads all of its log as it is written."""
        return bool(self._logs) or Level.INFO in self._log_levels

    @property
    def is_real(self) -> bool:
        """True while its hashes are real ones."""
        return self.device.work_mode is REAL

    @property
    def pool_name(self) -> str:
        """This end of the main pool connection, `address:port`; empty without one."""
        return self._link_names.get(Link.MAIN, "")

    def patch(self, members: Mapping[str, JsonValue]) -> tuple[str, ...]:
        """Change settings as PATCH does; return its warnings.

        Raises:
            SettingError: A value is not allowed; nothing has changed.
        """
        device = self.sync()
        patch = device.patch(list(members.items()), device.now)
        self.dispatch()
        self._fleet.wake(self)
        return patch.warnings

    def takes(self, order: str) -> bool:
        """True for what can be ordered of its firmware, and done to its button."""
        if order in BUTTON:
            return True
        device = self.device
        path = f"/api/system/{order}"
        return has_route(device.firmware, device.profile, "POST", path)

    def order(self, order: str) -> None:
        """Do one of `ORDERS`, as a POST of its name does, or of `BUTTON`.

        Raises:
            SettingError: Its firmware knows nothing of it.
        """
        if not self.takes(order):
            raise SettingError(f"order: firmware {self.firmware} has no {order!r}")
        device = self.sync()
        (BUTTON.get(order) or ORDERS[order])(device, device.now)
        self.dispatch()
        self._fleet.wake(self)

    def info_body(self) -> bytes:
        """What the device answers at /api/system/info."""
        return views.info_body(self.sync())

    async def open(self) -> None:
        """Bring the device to the present and take its port.

        Raises:
            OSError: The address cannot be bound.
        """
        async with self._listener_lock:  # before what the step may ask for
            self.step(self._fleet.clock.now)
            await self._listener.become(self._wanted)
        self._mind_name()

    async def close(self) -> None:
        """Close its port and its connections, for good, also when it is called off.

        Nobody may know of the device any more.
        """
        self._is_ended = True
        self._mind_name(is_here=True)
        await _to_its_end(self._close())

    async def _close(self) -> None:
        async with self._listener_lock:
            await self._listener.close()
        for link in Link:
            self._close_link(link)

    def chips_received(self, data: bytes) -> None:
        """Let the device have what chips that are there have sent."""
        self.device.chips_received(data, self._fleet.clock.advance())
        self.dispatch()
        self._fleet.wake(self)

    def step(self, now: float) -> None:
        """Step the device and carry its events out."""
        self.device.step(now)
        self.dispatch()

    def set_faults(self, faults: DeviceFaults, links: LinkFaults) -> None:
        """Break what is ordered to be broken from now on; the rest is whole again."""
        if faults == self.device.faults and links == self.link_faults:
            return
        if faults != self.device.faults:
            self.device.set_faults(faults, self._fleet.clock.now)
        self._set_link_faults(links)
        self.dispatch()
        self._fleet.wake(self)

    def _set_link_faults(self, faults: LinkFaults) -> None:
        """Cut or mute the connections to pools, or let them be."""
        self.link_faults = faults
        if faults.slowness is not None and self._slow is None:
            self._slow = SlowLink(faults.slowness)
        elif self._slow is not None:
            self._slow.slowness = faults.slowness or Slowness()
        self._mind_port()
        self._mind_name()
        for link, target in list(self._targets.items()):
            if self._is_down(*target):
                self._cut(link)

    def _is_down(self, host: str, port: int) -> bool:
        faults = self.link_faults
        if faults.is_primary_down and faults.is_fallback_down:
            return True
        fallback = self.device.pools.fallback
        is_fallback = (host, port) == dial_target(fallback.url, fallback.port)
        return faults.is_fallback_down if is_fallback else faults.is_primary_down

    def _cut(self, link: Link) -> None:
        """Let a connection end, or not come about, as if the pool were gone."""
        has_stood = link in self._link_names
        self._close_link(link)
        now = self._fleet.clock.now
        reason = CloseReason.CLOSED if has_stood else CloseReason.UNREACHABLE
        detail = NOT_CONNECTED if has_stood else REFUSED
        self.device.pool_closed(reason, now, link=link, detail=detail)

    def replace(self, device: Device) -> None:
        """Go on with another device in this one's place: its links are gone."""
        for link in Link:
            self._close_link(link)
        self.device = device
        self._mind_log()
        self._mind_port()
        self._mind_name()
        self._fleet.wake(self)

    def dispatch(self) -> None:
        """Carry out what the device asks for."""
        device = self.device
        for event in device.events():
            self._take_event(event)
        if device.pools.has_data:
            for link in LINKS:
                if data := device.data_to_pool(link):
                    self._send(link, data)
        if self._slow is not None:
            self._pass_slowly(self._slow)
        if device.log.levels:
            self._tell_log(device.log.take())
        if self._has_booted:  # after all that the boot has asked for
            self._has_booted = False
            self._fleet.booted(self)

    def _tell_log(self, lines: Sequence[LogLine]) -> None:
        for line in lines:
            if self._show_log is not None:
                self._show_log(self.id, line)
            for subscription in self._logs:
                subscription.put(line.coloured)

    def _send(self, link: Link, data: bytes) -> None:
        """Let bytes leave, or see to it that they do so later."""
        left_at, slow = time.monotonic(), self._slow
        if link is Link.MAIN:
            if slow is not None:
                clock = self._fleet.clock
                late_s = slow.send(data, clock.now) - clock.now
                left_at += late_s / clock.speed
            if (ledger := self._ledger) is not None:
                self._fleet.share_load.submitted += ledger.left(left_at)
        if slow is None or link is not Link.MAIN:
            self._put_out(link, data)

    def _put_out(self, link: Link, data: bytes) -> None:
        if not self.link_faults.is_silent:
            self._sent(link, len(data))
            self._links.send(link, data)

    def _pass_slowly(self, slow: SlowLink) -> None:
        """Send and read what it is time for, on the connection of a slow miner."""
        clock = self._fleet.clock
        if data := slow.to_send(clock.now):
            self._put_out(Link.MAIN, data)
        if data := slow.to_read(clock.now):
            self._hear(data, clock.now)
            self.dispatch()
        # Whoever lets time pass at once waits until what was sent has come in.
        is_paused = slow.is_behind and not clock.is_held
        self._links.pause(Link.MAIN, is_paused=is_paused)
        if slow.is_idle and self.link_faults.slowness is None:
            self._slow = None
        elif self._slow_timer is None and not slow.is_idle and not clock.is_paused:
            delay_s = max(LOOK_S, (slow.next_wake - clock.now) / clock.speed)
            loop = asyncio.get_running_loop()
            self._slow_timer = loop.call_later(delay_s, self._go_on_slowly)

    def _go_on_slowly(self) -> None:
        self._slow_timer = None
        if not self._is_ended:
            self.step(self._fleet.clock.advance())
            self._fleet.wake(self)

    def _take_event(self, event: Event) -> None:
        match event:
            case ConnectPool(link=link, host=host, port=port):
                self._close_link(link)
                self._targets[link] = host, port
                if self._is_down(host, port):
                    # Nobody is asked for the address of what is down.
                    now = self._fleet.clock.now
                    self.device.pool_resolved(now, link=link, address=host)
                    self._cut(link)
                    return
                if host.startswith(LOOPBACK) or self._is_own_pool(host, port):
                    self._fleet.dials.add((self.id, link))
                self._links.dial(event)
            case ClosePool(link=link):
                self._close_link(link)
            case SaveSettings() | SaveFlash():
                saver = self._fleet.saver
                if saver.is_idle:
                    self._fleet.spawn(_save_soon(saver))
                saver.add(self.key, self.device, event)
                if isinstance(event, SaveSettings):
                    self._fleet.happened(self, event)
                    if "hostname" in event.rows:
                        self._take_rename()
            case WentDown() | CameUp():
                self._mind_port()
                self._mind_name()
            case Booted():
                self._has_booted = True
            case BlockFound():
                self._fleet.happened(self, event)
            case _:
                pass

    def _take_link_news(self, news: LinkNews) -> None:
        device, now = self.device, self._fleet.clock.advance()
        link = news.link
        match news:
            case LinkResolved(address=address):
                device.pool_resolved(now, link=link, address=address)
            case LinkOpened(address=address, port=port, family=family):
                is_own = self._is_own_pool(address, port)
                self._note_link(link, news.own_name, is_own=is_own)
                device.pool_connected(now, link=link, family=family, is_own_pool=is_own)
                self._fleet.link_changed(self)
            case LinkReceived(data=data):
                self._sent(link, -len(data))
                if self.link_faults.is_silent:
                    pass
                elif link is not Link.MAIN:
                    device.pool_received(data, now, link=link)
                elif self._slow is None:
                    self._hear(data, now)
                else:
                    self._slow.receive(data, now)
            case LinkClosed(reason=reason, detail=detail):
                self._forget_link(link)
                device.pool_closed(reason, now, link=link, detail=detail)
        self.dispatch()
        self._fleet.wake(self)

    @property
    def _ledger(self) -> ShareLedger | None:
        """Of the shares on its main connection."""
        session = self.device.pools.session
        return None if session is None else session.ledger

    @property
    def shares_waiting(self) -> int:
        """Shares that its pool has not answered yet."""
        return 0 if (ledger := self._ledger) is None else ledger.waiting

    @property
    def connected_s(self) -> float:
        """Device time that it has had its pool for; 0 while it has none."""
        if self._connected_at is None:
            return 0.0
        return max(0.0, self._fleet.clock.now - self._connected_at)

    def _hear(self, data: bytes, now: float) -> None:
        """Let the device have what its pool has sent."""
        ledger = self._ledger
        self.device.pool_received(data, now, link=Link.MAIN)
        if ledger is None:
            return
        load, heard_at = self._fleet.share_load, self._links.heard_at
        for left_at, reason in ledger.replies():
            load.answered(max(0.0, heard_at - left_at), reason)

    def _note_link(self, link: Link, name: str, *, is_own: bool) -> None:
        self._fleet.dials.discard((self.id, link))
        self._link_names[link] = name
        if link is Link.MAIN:
            load = self._fleet.share_load
            load.connections += 1
            load.reconnects += self._has_connected
            self._has_connected, self._connected_at = True, self._fleet.clock.now
        if is_own and self._fleet.pool_server is not None:
            self._fleet.pool_server.wire.opened(name)

    def _forget_link(self, link: Link) -> None:
        self._fleet.dials.discard((self.id, link))
        self._targets.pop(link, None)
        name = self._link_names.pop(link, "")
        if link is Link.MAIN:
            self._fleet.share_load.connected_s += self.connected_s
            self._connected_at = None
            if self._slow is not None:  # what it holds is of this connection
                self._slow = SlowLink(self._slow.slowness)
        if name and self._fleet.pool_server is not None:
            self._fleet.pool_server.wire.closed(name)

    def _close_link(self, link: Link) -> None:
        self._links.close(link)
        self._forget_link(link)

    def _sent(self, link: Link, size: int) -> None:
        """Bytes leave (or, below 0, have come) on a link."""
        if self._fleet.pool_server is not None:
            self._fleet.pool_server.wire.sent(self._link_names.get(link, ""), size)

    def _is_own_pool(self, address: str, port: int) -> bool:
        server = self._fleet.pool_server
        return server is not None and (address, port) in server.addresses

    def _mind_port(self) -> None:
        if self._is_port_off:
            self._fleet.spawn(self._follow_wanted())

    # Its name on the network

    @property
    def local_name(self) -> str | None:
        """What it wants to be called on the local network; None if nobody is told."""
        said = self._announcement()
        return None if said is None else f"{said.hostname}.local"

    async def host_name_for(self, wanted: str) -> str:
        """Return the host name that the device gets when it is to have `wanted`.

        It is another when somebody on the network has that one. While the device is
        announced, the network is asked for up to a second.
        """
        return await self._fleet.announcer.host_name_for(self.id, wanted)

    def _mind_name(self, *, is_here: bool = False) -> None:
        """Let others on the network know how the device is called, or no more.

        Args:
            is_here: It is still there, and can say goodbye to what it was.
        """
        self._fleet.announcer.put(
            self.id, self._announcement(), self._take_name, says_goodbye=is_here
        )

    def _take_rename(self) -> None:
        if self.device.firmware.rows.hostname_change != "restart":
            self._mind_name(is_here=True)

    def _announcement(self) -> Announcement | None:
        """What is to be said of it."""
        options, device = self.options, self.device
        is_wished = options.is_announced
        if is_wished is None:
            is_reached = not is_loopback(options.host)
            is_wished = is_reached and device.firmware.rows.has_mdns
        is_served = self.is_open and self._wanted is Presence.SERVED
        if not is_wished or not is_served:
            return None
        address = address_of(options.host) if device.radio.is_in_reach else None
        return None if address is None else announcement(device, address, self.port)

    def _take_name(self, hostname: str) -> None:
        """Somebody else has the device's host name."""
        if self.device.firmware.rows.has_mdns:
            self.device.take_host_name(hostname)
            self.dispatch()

    async def _follow_wanted(self) -> None:
        async with self._listener_lock:
            while self._listener.presence is not self._wanted:
                try:
                    await self._listener.become(self._wanted)
                    self._is_port_taken = False
                    self._mind_name()
                except OSError as error:
                    self._is_port_taken = True
                    sys.stderr.write(f"softaxe: {error}; trying again\n")
                    await asyncio.sleep(REOPEN_S)


def _bounds_of(device: Device) -> Bounds:
    """What a device's port takes, in its profile."""
    profile = device.profile
    if profile.many_connections and profile.long_heads:
        return BOUNDS
    return _own_bounds(device.firmware)


@cache
def _own_bounds(firmware: Firmware) -> Bounds:
    rows = firmware.rows
    return Bounds(
        connections=rows.sockets,
        makes_room=rows.purges_sockets,
        keeps_websockets=False,
        header_bytes=rows.header_bytes,
    )


async def ports_settled(
    members: Mapping[str, Member], is_over: Callable[[], bool] = lambda: False
) -> None:
    """Wait until every port meets clients as it should, but not for ever."""
    deadline = time.monotonic() + PORTS_S
    late = [member for member in members.values() if member.is_port_late]
    while late and time.monotonic() < deadline and not is_over():
        await asyncio.sleep(LOOK_S)
        late = [member for member in late if member.is_port_late]


async def _save_soon(saver: Saver) -> None:
    try:
        await asyncio.sleep(GATHER_S)
        await saver.commit()
    except StorageError as error:
        sys.stderr.write(f"softaxe: {error}\n")


async def _to_its_end(work: Coroutine[object, object, None]) -> None:
    """Await work that is done also when who waits for it is called off meanwhile."""
    doing, called_off = asyncio.ensure_future(work), None
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError as error:
            called_off = error
    doing.result()
    if called_off is not None:
        raise called_off
