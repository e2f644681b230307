"""The Bitaxe: every component wired to the next, and nothing else.

Three things drive a device: a user (`patch`, `restart`, ...), the network (`pool_*`)
and time (`step`). It answers with state to read, bytes for the pools and events. It
knows no socket, file, clock or thread, so it can live a month in a second and do the
same again from the same seed.
"""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from math import nextafter
from types import MappingProxyType
from typing import Literal

from msgspec.structs import replace

from softaxe.asic.chip import METAL, REAL, SCALED, Search, WorkMode
from softaxe.asic.driver import (
    Driver,
    DriverEvent,
    DriverFailed,
    DriverReady,
    DriverState,
    FrequencyReached,
    HashrateMeasured,
    NonceFound,
)
from softaxe.board.ambient import Ambient
from softaxe.board.radio import NETWORKS, SSID_BYTES_TRIED, Network, Radio
from softaxe.catalog import Board, checked_board, firmware_for
from softaxe.catalog import board as board_named
from softaxe.catalog.firmware import firmware as firmware_named
from softaxe.catalog.firmware import is_known, nearest
from softaxe.catalog.lottery import Specimen, draw
from softaxe.device import pool_slots
from softaxe.device.body import BODY_PERIOD_S, Body, ModelBody
from softaxe.device.boot import (
    BootStep,
    Milestone,
    boot_steps,
)
from softaxe.device.display import SETTLED_S, Display, Mark
from softaxe.device.events import (
    BlockFound,
    Booted,
    CameUp,
    ClosePool,
    CloseReason,
    Event,
    Link,
    Overheated,
    SaveFlash,
    SaveSettings,
    ShareAccepted,
    ShareRejected,
    WentDown,
)
from softaxe.device.faults import NO_FAULTS, DeviceFaults, UpdateFault
from softaxe.device.hashrate import HashrateAverages, NonceRate
from softaxe.device.identity import Identity
from softaxe.device.load import NONCE_S, CpuLoad
from softaxe.device.logbook import Logbook
from softaxe.device.memory import Memory
from softaxe.device.mining import Checked, FoundBlock, Mining, Payee
from softaxe.device.patch import Patch, check_patch, unmet_demands
from softaxe.device.pool_slots import PoolSlot
from softaxe.device.pools import PoolLost, Pools, PoolsReachable, SessionEvent
from softaxe.device.profile import DOCUMENTED, Profile
from softaxe.device.protection import PowerManagement
from softaxe.device.scoreboard import Entry, Scoreboard
from softaxe.device.setting_rules import Stored, Value
from softaxe.device.settings import Settings, factory_rows, migrated, rows_to_save
from softaxe.device.share_rate import ShareRate
from softaxe.device.state import AppPartition, DeviceState
from softaxe.device.statistics import Sample, Statistics
from softaxe.device.stopping import StopReason
from softaxe.device.totals import Totals
from softaxe.errors import UpdateRefused
from softaxe.flash.image import WRITE_ERROR, AppImage
from softaxe.flash.partitions import APP_SLOTS, SHIPPED_VERSION, Flash
from softaxe.json_values import JsonValue
from softaxe.stratum import session as stratum
from softaxe.stratum.pool import SCALED_BLOCK_DIFFICULTY
from softaxe.units import NEVER, Level

WorkChoice = Literal["auto", "scaled", "real"]

RESTART_DELAY_S = 1.0
"""Between the answer to a restart request and the reset. See http_server.c."""
IDENTIFY_S = 30.0
"""How long the device says hi. Source: ESP-Miner screen.c."""
UPDATE_SHOWN_S = 10.0
"""How long the last word about an update stays on the screen; an estimate."""
NO_PARTITION = "Partition not found"
NO_FIRMWARE = "No valid firmware found on partition"
BOOT_NOT_SET = "Failed to set boot partition"
POWER_ON = "Reset due to power-on event"
SOFTWARE_RESET = "Software reset via esp_restart"
PANIC_RESET = "Software reset due to exception/panic"
MAX_EVENTS = 10_000


class Device(DeviceState):
    """A complete Bitaxe without I/O.

    Call `step` when `next_wake` comes, and after every call take `events` and
    `data_to_pool`. An hour of a Gamma on the built-in pool, in a test:

    >>> from softaxe import Device, Pool, Simulation
    >>> device = Device(board="601", seed=1)
    >>> simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    >>> simulation.advance(3600)
    >>> round(device.hashrate.one_hour_hs / 1e12, 1)
    1.1
    >>> device.shares.accepted > 700, device.shares.rejected < 5
    (True, True)

    Args:
        board: Version (`"601"`), family (`"gamma"`) or a row of one's own.
        seed: Of everything that is chance in this device.
        firmware: Release in its factory slot, `2.14.2`; None for the one that `flash`
            has there.
        profile: Whether the API page's promises lie over what the release does.
        settings: What is stored in NVS, by key; factory settings fill the rest.
        presets: Values by NVS key that hold in this run alone where nothing is stored:
            where its own pool is.
        flash: Stored contents of the flash.
        www: Files of the www image in flash, or None when there is none.
        work: What a hash stands for; `"auto"` decides by the pool.
        share_rate: Shares a minute to submit, of scaled work, whatever difficulty a
            pool asks for; None for as many as come.
        ambient_c: Air around the device on the day's mean, in degrees Celsius.
        ambient_swing_c: By how much the warmest moment of the day is above it.
        networks: Wi-Fi networks in range.
        ipv4: Its address.
        body: Board and chips that are there; a model of them when None.
        now: Device time at power-on, in seconds.
    """

    # With a dict instead, each would take over 1 kB more.
    __slots__ = (
        "_body_due",
        "_body_ticks",
        "_boot_due",
        "_boot_steps",
        "_counts_nonces",
        "_crash_at",
        "_created_at",
        "_events",
        "_forgets_counters",
        "_has_server",
        "_has_started_asic",
        "_has_started_mining",
        "_identify_until",
        "_is_metal",
        "_is_own_pool",
        "_is_reachable",
        "_is_reset_low",
        "_metal",
        "_networks",
        "_nonce_rate",
        "_presets",
        "_profile",
        "_restart_at",
        "_restarts_counter",
        "_rng",
        "ambient",
        "axeos_version",
        "board",
        "body",
        "booted_at",
        "chain",
        "display",
        "driver",
        "faults",
        "firmware",
        "flash",
        "found_block",
        "hashrate",
        "identity",
        "is_paused",
        "is_saying_hi",
        "load",
        "log",
        "memory",
        "mining",
        "next_wake",
        "now",
        "nvs",
        "partitions",
        "pools",
        "power_management",
        "profile",
        "radio",
        "reset_reason",
        "revision",
        "scoreboard",
        "settings",
        "settings_at_boot",
        "share_rate",
        "statistics",
        "totals",
        "work",
        "www",
    )

    next_wake: float
    """When to call `step` next."""

    def __init__(
        self,
        board: str | Board = "601",
        *,
        seed: int = 0,
        firmware: str | None = None,
        profile: Profile = DOCUMENTED,
        settings: Mapping[str, Stored] | None = None,
        presets: Mapping[str, Stored] | None = None,
        flash: Flash | None = None,
        www: Mapping[str, bytes] | None = None,
        work: WorkChoice = "auto",
        share_rate: float | None = None,
        ambient_c: float = 25.0,
        ambient_swing_c: float = 0.0,
        networks: Sequence[Network] = NETWORKS,
        ipv4: str = "127.0.0.1",
        body: Body | None = None,
        now: float = 0.0,
    ) -> None:
        release = None if firmware is None else firmware_named(firmware)
        if isinstance(board, str):
            row = board_named(board, release)
        else:
            row = checked_board(board, release)
        specimen = draw(row, seed)
        self._metal = specimen.board
        """The board itself; `board` is what the firmware takes it for."""
        self.board = self._metal
        self._profile = profile
        self.identity = Identity.from_seed(seed, ipv4)
        self.nvs = dict(settings or {})
        self._presets = {"hostname": self.identity.hostname, **(presets or {})}
        self.now = now
        self.revision = 0
        """Grows whenever anything may have changed."""
        self.log = Logbook()
        self.scoreboard = Scoreboard()
        self.totals = Totals(self.nvs)
        self.flash = flash or Flash()
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.www = www
        if release is not None:
            runs = nearest(self.flash.running_image.version)
            is_dead = runs.rows.unknown_board == "boot stops" and not row.is_known_to(
                runs
            )
            if self.flash.flash_factory(release.tag, is_anew=is_dead):
                self._save_flash(None, www)
        elif self.flash.factory_version == SHIPPED_VERSION:
            self.flash.factory_version = firmware_for(row).tag
        self._boot_flash()
        self._networks = tuple(networks)
        self._is_reachable = False
        self.ambient = Ambient(ambient_c, swing_c=ambient_swing_c)
        self.work = work
        self.share_rate = None if share_rate is None else ShareRate(share_rate)
        self._rng = random.Random(seed)
        """Of all its parts, as one takes 2.5 kB."""
        self._is_metal = body is not None
        self.body: Body = body or self._model(specimen, now)
        self.chain = self.body.chips
        self._created_at = now
        self._body_ticks = 0
        self._body_due = now
        self._boot_due = NEVER
        self._restart_at = NEVER
        self._identify_until = NEVER
        self.is_saying_hi = self._is_own_pool = False
        self.faults = NO_FAULTS
        """What is wrong with it; see `set_faults`."""
        self._boot(now, POWER_ON)

    def _model(self, specimen: Specimen, now: float) -> Body:
        body = ModelBody.of(specimen, self.ambient, now, self.log.write, self._rng)
        body.chips.set_mode(REAL if self.work == "real" else SCALED, now)
        return body

    # Time

    def step(self, now: float) -> None:
        """Let everything that is due up to `now` happen, in its order."""
        while (due := self.next_wake) <= now:
            self.log.now = self.now = due if due > self.now else self.now
            self._step_due(due, now)
            self._settle()
        self.log.now = self.now = now if now > self.now else self.now

    def step_to_output(self, before: float) -> None:
        """Step until there is something to carry out, but not to `before`."""
        last = nextafter(before, -NEVER)
        while (due := self.next_wake) < before:
            self.log.now = self.now = due if due > self.now else self.now
            self._step_due(due, last)
            self._settle()
            if self._events or self.pools.has_data:
                return

    @property
    def next_word(self) -> float:
        """About when it next has something for others, which until then only reads it.

        While it mines as usual that is a share that its chips have found, or else its
        next job, after which it is known what they find in that. What comes of heat is
        told when it is stepped.
        """
        mining, chain = self.mining, self.chain
        if (
            chain.mode.is_real
            or self.driver.state is not DriverState.READY
            or not self.power_management.is_in_routine
            or not self.radio.is_in_reach
            or not mining.sent_scale
        ):
            return self.next_wake
        return min(
            self._boot_due,
            self._restart_at,
            self._crash_at,
            self._identify_until,
            self.pools.next_wake,
            mining.next_wake,
            chain.next_hit(mining.sent_difficulty / mining.sent_scale),
        )

    def _step_due(self, due: float, now: float) -> None:
        if self._restart_at <= due:
            self._reset(due, SOFTWARE_RESET)
        elif self._crash_at <= due:
            self._reset(due, PANIC_RESET)
        elif self._boot_due <= due:
            self._step_boot()
        elif self.radio.next_wake <= due:
            self._step_radio(due)
        elif self._body_due <= due:
            self._tick_body(due)
        elif self.mining.next_wake <= due:
            # Before the chain, which would search on for a job that is over.
            self.mining.step(due, self.driver)
            self._follow_scale()
        elif self.chain.next_wake <= due:
            self.chain.step(due)
        elif self.driver.next_wake <= due:
            self._step_driver(due, now)
        elif self.power_management.next_wake <= due:
            self._manage_power(due)
        elif self.pools.next_wake <= due:
            self.pools.step(due, has_wifi=self.radio.is_connected)
        elif self.statistics.next_wake <= due:
            self._step_statistics()
        else:
            self.is_saying_hi = False
            self._identify_until = NEVER

    def _step_driver(self, due: float, now: float) -> None:
        """Step it; reads of the counters in a row, as far as they are due, at once."""
        before = min(
            nextafter(now, NEVER),
            self._boot_due,
            self._body_due,
            self._restart_at,
            self._crash_at,
            self._identify_until,
            self.radio.next_wake,
            self.chain.next_wake,
            self.power_management.next_wake,
            self.mining.next_wake,
            self.pools.next_wake,
            self.statistics.next_wake,
        )
        if before <= due:  # what else is due at this moment comes after the driver
            before = nextafter(due, NEVER)
        read_at = self.driver.poll(self.chain, before)
        if read_at >= due:
            self.log.now = self.now = read_at
        else:
            self.driver.step(due)

    def _plan(self) -> None:
        """Note when something is due next; after all that may have changed it."""
        self.next_wake = min(
            self._boot_due,
            self._body_due,
            self._restart_at,
            self._crash_at,
            self._identify_until,
            self.radio.next_wake,
            self.chain.next_wake,
            self.driver.next_wake,
            self.power_management.next_wake,
            self.mining.next_wake,
            self.pools.next_wake,
            self.statistics.next_wake,
        )

    # The user

    def judge(self, members: list[tuple[str, JsonValue]]) -> Patch:
        """Tell what a PATCH would change.

        Raises:
            PatchRefused: A value is not allowed.
        """
        return check_patch(
            self.settings,
            members,
            profile=self.profile,
            board=self.board,
            release=self.firmware,
        )

    def patch(
        self,
        members: list[tuple[str, JsonValue]],
        now: float,
        *,
        host_name: str | None = None,
    ) -> Patch:
        """Change settings: all of `members`, or none.

        Args:
            members: Names and values in the order of the request.
            now: Device time.
            host_name: Taken instead of the one that they ask for, as somebody else on
                the network has that.

        Returns:
            What has changed, and what the API page has against it.

        Raises:
            PatchRefused: A value is not allowed; nothing has changed.
        """
        self.step(now)
        patch = self.judge(members)
        if host_name is not None and "hostname" in patch.changes:
            changes = {**patch.changes, "hostname": host_name}
            patch = replace(patch, changes=changes)
        for warning in patch.warnings:
            self.log(Level.WARNING, "http_server", warning)
        self._change_settings(patch.changes)
        return patch

    def set_theme(
        self,
        now: float,
        *,
        scheme: str | None,
        colors_json: str | None = None,
        color: str | None = None,
    ) -> None:
        """Store the page's theme; None leaves a part as it is.

        Args:
            now: Device time.
            scheme: Colour scheme.
            colors_json: Accent colours, where there are many.
            color: The colour, where there is one.
        """
        self.step(now)
        changes = {
            "theme_scheme": scheme,
            "theme_colors": colors_json,
            "theme_color": color,
        }
        self._change_settings({k: v for k, v in changes.items() if v is not None})

    def set_pool(self, number: int, slot: PoolSlot | None, now: float) -> None:
        """Put a pool into a slot, or nothing."""
        self.step(now)
        pools = list(self.settings.pools)
        pools[number] = pool_slots.empty(number) if slot is None else slot
        self._change_settings({"pools": tuple(pools)})

    def take_host_name(self, hostname: str) -> None:
        """Have another host name: somebody on the network has the device's own."""
        self._change_settings({"hostname": hostname})

    def settings_not_saved(self, request: SaveSettings) -> None:
        """Take back a change that could not be stored, and no other."""
        for key, value in request.rows_before.items():
            if value is None:
                self.nvs.pop(key, None)
            else:
                self.nvs[key] = value
        self.settings = self.settings.changed(request.values_before)
        self._configure_pools()
        self._plan()
        self.revision += 1

    def restart(self, now: float) -> None:
        """Reset the device one second from now."""
        self.step(now)
        if self._restart_at == NEVER:
            self._restart_at = now + RESTART_DELAY_S
            self._plan()

    def set_paused(self, is_paused: bool, now: float) -> None:
        """Stop mining until it shall go on, or until the device restarts."""
        self.step(now)
        self.is_paused = is_paused
        self.pools.set_paused(is_paused, now)
        self.power_management.hold(StopReason.PAUSE, now, is_held=is_paused)
        self._settle()

    def identify(self, now: float) -> bool:
        """Start or stop saying hi; True when it now does."""
        self.step(now)
        is_saying_hi = self.is_saying_hi
        self.is_saying_hi = not is_saying_hi
        has_display = self.display.panel_name != "NONE"
        self._identify_until = NEVER
        if self.is_saying_hi and has_display:
            self._identify_until = now + IDENTIFY_S
        self._plan()
        return self.is_saying_hi

    def dismiss_block(self, now: float) -> None:
        """Take note that somebody knows of a found block: it is shown no longer."""
        self.step(now)
        self.mining.dismiss_block()
        self.revision += 1

    def press_button(self, now: float, *, is_long: bool = False) -> None:
        """Press the button: short for the next page or no more hi, long for the AP."""
        self.step(now)
        kind = "Long" if is_long else "Short"
        pressed = "press" if is_long else "click"
        self.log(Level.INFO, "input", f"{kind} button {pressed} detected")
        if is_long:
            self.radio.toggle_access_point()
        elif self.is_saying_hi:
            self.is_saying_hi = False
            self._identify_until = NEVER
        else:
            self.display.press(now)
        self._settle()

    def note_request(self, now: float) -> None:
        """Somebody asks over HTTP; without Wi-Fi that is a client on the AP."""
        self.step(now)
        if self.is_on_network:
            self.radio.note_client(now)
            self._plan()

    def show_update(self, name: str, progress: str) -> None:
        """Show on the screen how far the installation of an image is."""
        self.display.install(name, progress, self.now + UPDATE_SHOWN_S)

    def check_update_allowed(self) -> None:
        """Raise UpdateRefused when images are not taken now."""
        if self.radio.is_ap_enabled:
            raise UpdateRefused("Not allowed in AP mode")
        if self._restart_at != NEVER:
            # It could be installed and never answered for.
            raise UpdateRefused("The device is about to restart")
        if self.faults.update is UpdateFault.REFUSED:
            raise UpdateRefused(WRITE_ERROR)

    def write_firmware(self, image: AppImage, now: float) -> None:
        """Put a checked image into the next slot; the next restart boots from it."""
        self.step(now)
        before = self.flash.to_rows()
        self._use_own_page()
        self.flash.install(image)
        if self.faults.update is UpdateFault.ROLLED_BACK:
            self.flash.fail_at_boot(self.flash.boot_label)
        self._save_flash(before, self.www)

    def write_www(
        self, sha256_hex: str, files: Mapping[str, bytes] | None, now: float
    ) -> None:
        """Put a www image into its partition; `files` is None when it has none."""
        self.step(now)
        before, before_www = self.flash.to_rows(), self.www
        self.flash.install_www(sha256_hex)
        self.www = files
        if self.firmware.rows.embeds_page:
            self._change_settings({"use_custom_www": True})
        self._save_flash(before, before_www)
        self._page_changed()

    def boot_from(self, label: str, now: float) -> None:
        """Boot from another slot at the next restart, and show its own page.

        Raises:
            UpdateRefused: That cannot be, in the firmware's words.
        """
        self.step(now)
        if label not in APP_SLOTS:
            raise UpdateRefused(NO_PARTITION)
        if self.flash.image(label) is None:
            raise UpdateRefused(NO_FIRMWARE)
        if self.faults.update is UpdateFault.REFUSED:
            raise UpdateRefused(BOOT_NOT_SET)
        before = self.flash.to_rows()
        self.flash.boot_label = label
        self._use_own_page()
        self._save_flash(before, self.www)

    def _use_own_page(self) -> None:
        if self.firmware.rows.embeds_page:
            self._change_settings({"use_custom_www": False})

    def _page_changed(self) -> None:
        """Look at the new page, if the firmware does not wait for its next boot."""
        if self.firmware.rows.axeos_version == "file":
            self.axeos_version = self.read_axeos_version()

    def flash_not_saved(self, request: SaveFlash) -> None:
        """Take back an image that could not be stored; a restart that waits stands."""
        if request.previous is None:
            return
        self.flash = Flash.from_rows(request.previous)
        self.www = request.previous_www
        self._page_changed()
        self.revision += 1

    def set_faults(self, faults: DeviceFaults, now: float) -> None:
        """Break what `faults` says from now on; what it leaves out is whole again."""
        self.step(now)
        before, self.faults = self.faults, faults
        self.body.set_faults(faults, now, counted_s=self.firmware.rows.hashrate_poll_s)
        if faults.has_no_wifi != before.has_no_wifi:
            self.radio.set_networks(self._in_range, now)
        if faults.reboot_period_s != before.reboot_period_s:
            self._plan_crash(now)
        self.memory.set_leak(faults.heap_leak_bytes_per_s, now)
        if (faults.www_version, faults.is_www_erased) != (
            before.www_version,
            before.is_www_erased,
        ):
            self.axeos_version = self.read_axeos_version()
        self._settle()

    @property
    def _in_range(self) -> tuple[Network, ...]:
        return () if self.faults.has_no_wifi else self._networks

    def _plan_crash(self, now: float) -> None:
        period_s = self.faults.reboot_period_s
        self._crash_at = NEVER if period_s is None else now + period_s

    # The network

    def pool_resolved(
        self, now: float, *, link: Link = Link.MAIN, address: str = "127.0.0.1"
    ) -> None:
        """The connection's host has an address, which is tried now."""
        self.step(now)
        self.pools.resolved(address, now, link=link)
        self._settle()

    def pool_connected(
        self,
        now: float,
        *,
        link: Link = Link.MAIN,
        family: int = 2,
        is_own_pool: bool = False,
    ) -> None:
        """The connection that `ConnectPool` asked for is open.

        Args:
            now: Device time.
            link: Which one.
            family: 2 for IPv4, 10 for IPv6.
            is_own_pool: True for the built-in pool, where a searched hash stands for
                2**32 of the chip.
        """
        self.step(now)
        if link is Link.MAIN:
            self._is_own_pool = is_own_pool
            self._set_work_mode(is_own_pool=is_own_pool)
        scale_of = None if self.share_rate is None else self._scale_of
        scale = (REAL if self.chain.mode.is_real else SCALED).scale
        self.pools.connected(
            now, link=link, family=family, scale=scale, scale_of=scale_of
        )
        self._settle()

    def pool_received(self, data: bytes, now: float, *, link: Link = Link.MAIN) -> None:
        """Bytes came from the pool, in any slices."""
        self.step(now)
        self.pools.received(data, now, link=link)
        self._settle()

    def pool_closed(
        self,
        reason: CloseReason,
        now: float,
        *,
        link: Link = Link.MAIN,
        detail: str = "errno 128: Socket is not connected",
    ) -> None:
        """The connection could not be opened or has ended."""
        self.step(now)
        self.pools.closed(reason, now, link=link, detail=detail)
        self._settle()

    def data_to_pool(self, link: Link = Link.MAIN) -> bytes:
        """Return and forget the bytes to send on a connection."""
        return self.pools.data_to_pool(link, self.now)

    def events(self) -> list[Event]:
        """Return and forget what happened and what is to be carried out."""
        if not self._events:
            return []
        events = list(self._events)
        self._events.clear()
        return events

    def chips_received(self, data: bytes, now: float) -> None:
        """Bytes came from chips that are there, in any slices."""
        self.step(now)
        self.driver.receive(data, now)
        self._settle()

    # Real work: the search itself happens outside, without holding anything up

    def take_search(self, max_nonces: int) -> Search | None:
        """Return up to `max_nonces` nonces to search, when real work waits."""
        return self.chain.take_search(max_nonces)

    def finish_search(self, search: Search, found: list[int], now: float) -> None:
        """Give back a search with the nonces that `kernel.search` found."""
        self.step(now)
        self.chain.finish_search(search, found, now)
        self._settle()

    # Boot and restart

    def _boot(self, now: float, reset_reason: str) -> None:
        self.reset_reason = reset_reason
        self.booted_at = now
        self._read_settings()
        build_text = self._note_build()
        self.settings_at_boot = self.settings
        """What is in force of those settings that are only read at boot."""
        self.partitions = tuple(
            AppPartition(label, label == self.flash.running, self.flash.image(label))
            for label in APP_SLOTS
        )
        self.axeos_version = self.read_axeos_version()
        self._plan_crash(now)
        rows = self.firmware.rows
        self.log.boot(
            now,
            has_ring=rows.log_frames == "ring",
            has_old_tags=rows.has_old_log_tags,
        )
        has_drivers = self._metal.is_known_to(self.firmware)
        self.board = self._metal.seen_by(self.firmware)
        self.body.boot(
            self.board,
            self.faults,
            has_drivers=has_drivers,
            closes_line=rows.closes_power_line,
        )
        ssid = self.settings.ssid
        if not self.profile.whole_ssid_joined:
            ssid = ssid.encode()[:SSID_BYTES_TRIED].decode("utf-8", "replace")
        self.radio = Radio(
            ssid,
            self.settings.wifi_password,
            networks=self._in_range,
            hostname=self.settings.hostname,
            mac=self.identity.mac,
            ipv4=self.identity.ipv4,
            rows=self.firmware.rows,
            rng=self._rng,
            log=self.log.write,
        )
        self._counts_nonces = rows.hashrate_source == "nonces"
        self._forgets_counters = rows.forgets_counters
        self._restarts_counter = rows.set_extranonce == "applied, counter restarts"
        self.driver = Driver(
            self.board.chip,
            asic_count=self.board.asic_count,
            log=self.log.write,
            poll_s=rows.hashrate_poll_s,
            has_counters=not self._counts_nonces,
            logs_results=rows.chip_logs_results,
            log_mark=rows.log_mark,
            needs_all_chips=rows.needs_all_chips,
            is_line_fixed=self._is_metal,
        )
        self.driver.monitor.set_hashes_per_count(_hashes_per_count(self.chain.mode))
        self.power_management = PowerManagement(
            self.settings,
            rows=self.firmware.rows,
            board=self.board,
            body=self.body,
            driver=self.driver,
            log=self.log.write,
        )
        self.mining = Mining(
            interval_ms=self.board.job_interval_ms(
                self.settings.frequency_mhz,
                rows.job_interval_division,
            ),
            chip_tag=self.board.chip.log_tag,
            best_difficulty=self.settings.best_difficulty,
            tells_small=self.profile.small_difficulties_told,
            rows=rows,
            log=self.log.write,
        )
        self.mining.set_scale(self.chain.mode.scale)
        self.totals.boot(is_counting=rows.keeps_totals)
        self.scoreboard.boot(self.nvs if rows.has_scoreboard else {}, self.log.write)
        self.pools = Pools(
            self.settings,
            board=self.board,
            firmware_version=self.version,
            rows=self.firmware.rows,
            profile=self.profile,
            rng=self._rng,
            log=self.log.write,
        )
        self.hashrate = HashrateAverages(rows.hashrate_averages)
        self.statistics = Statistics(
            rows,
            limit=self.settings.statistics_limit,
            duration=self.settings.statistics_duration,
        )
        self.memory = Memory(now, uncounted=rows.uncounted_heap_bytes)
        self.memory.set_leak(self.faults.heap_leak_bytes_per_s, now)
        self._has_server = False
        self.is_paused = False
        self.found_block = None
        self.load = CpuLoad(now) if rows.tells_load else None
        self.display = Display(self.settings, now, rows)
        self._has_started_asic = False
        self._has_started_mining = False
        self.is_saying_hi = False
        self._identify_until = NEVER
        self._restart_at = NEVER
        self._boot_steps: list[BootStep] = list(
            boot_steps(
                self.board,
                self.settings,
                self.firmware,
                axeos_version=self.axeos_version,
                first_words=build_text,
            )
        )
        self._boot_due = now + self._boot_steps[0][0]
        if not is_known(self.version):
            speaks = f"{self.version} is unknown here; it speaks as {self.firmware.tag}"
            self.log(Level.WARNING, "softaxe", speaks)
        self._copy_reset_line()
        self._plan()

    def _reset(self, now: float, reason: str) -> None:
        if self._is_reachable:
            self._is_reachable = False
            self._events.append(WentDown())
        for link in Link:
            self._events.append(ClosePool(link))
        self._boot_flash()
        self._boot(now, reason)
        self._events.append(Booted())

    def _boot_flash(self) -> None:
        """Run what the boot loader chooses; the choice is saved when it changes."""
        before = self.flash.to_rows()
        self.flash.boot()
        self.firmware = nearest(self.version)
        self.profile = self._profile.on(self.firmware)
        if self.flash.to_rows() != before:
            self._save_flash(None, self.www)

    def _read_settings(self) -> None:
        """Read NVS as the firmware that boots does, and write what it makes of that."""
        shipped = nearest(self.flash.factory_version)
        self.nvs |= migrated(
            self.nvs,
            factory_rows(self._metal, shipped),
            self.firmware,
            profile=self.profile,
            presets=self._presets,
        )
        self.settings = Settings.from_nvs(
            self.nvs,
            self._metal,
            self.firmware,
            profile=self.profile,
            presets=self._presets,
            shipped=shipped,
        )

    def _note_build(self) -> str:
        """Let firmware that is new here show its own page; return what it says then."""
        image, before = self.flash.running_image, self.settings.last_build
        build = f"{image.version} {image.compile_date} {image.compile_time}"
        if not self.firmware.rows.embeds_page or build == before:
            return ""
        self._store_settings({"last_build": build})
        if not before:
            return ""
        self._store_settings({"use_custom_www": False})
        return (
            f"Firmware build changed ({before} -> {build}). "
            f"Resetting custom WWW to default (false).{self.firmware.rows.log_mark}"
        )

    def _save_flash(
        self,
        before: Mapping[str, str | int] | None,
        before_www: Mapping[str, bytes] | None,
    ) -> None:
        self.revision += 1
        request = SaveFlash(self.flash.to_rows(), before, before_www)
        self._events.append(request)

    def _step_boot(self) -> None:
        now = self._boot_due
        _, action = self._boot_steps.pop(0)
        if action is Milestone.RADIO:
            self.radio.start(now)
        elif action is Milestone.POWER_MANAGEMENT:
            self.power_management.start(now)
        elif action is Milestone.SERVER:
            self._has_server = True
            unmet = unmet_demands(
                self.settings,
                profile=self.profile,
                board=self.board,
                release=self.firmware,
            )
            for text in unmet.values():  # a fleet's file may have stored them
                self.log(Level.WARNING, "http_server", text)
        else:
            self.log(*action)
        self._boot_due = NEVER
        if self._boot_steps:
            self._boot_due = self.booted_at + self._boot_steps[0][0]

    def _step_radio(self, due: float) -> None:
        was_connected, text = self.radio.is_connected, self.radio.status_text
        self.radio.step(due)
        if self.radio.status_text != text:
            self.display.show_wifi(due)
        if self.radio.is_connected and not self.display.has_start:
            self.display.start(due + SETTLED_S)
        if was_connected and not self.radio.is_connected and self._has_started_mining:
            self._lose_pools(due)
        if self.radio.is_connected and not self._has_started_asic:
            self._has_started_asic = True
            self.driver.start(self.settings.frequency_mhz, due)

    def _lose_pools(self, now: float) -> None:
        """Let both connections die with the Wi-Fi."""
        for link in Link:
            self._events.append(ClosePool(link))
            detail = "errno 113: Software caused connection abort"
            self.pools.closed(CloseReason.CLOSED, now, link=link, detail=detail)

    def set_networks(self, networks: Sequence[Network], now: float) -> None:
        """Change the networks in range; a device that loses its own notices late."""
        self.step(now)
        self._networks = tuple(networks)
        self.radio.set_networks(self._in_range, now)
        self._settle()

    # The body

    def _tick_body(self, due: float) -> None:
        self._body_ticks += 1
        self._body_due = self._created_at + self._body_ticks * BODY_PERIOD_S
        self.body.step(due, self._rng)
        self.power_management.wake(due)
        if self.load is not None:
            self.load.look(
                due,
                is_connected=self.radio.is_connected,
                jobs_per_s=self.mining.jobs_per_s,
            )

    def _manage_power(self, due: float) -> None:
        if self.shows_overheat or self.radio.is_ap_enabled:
            self.display.wake(due)  # by its own page, which may end
        self.power_management.step(
            self.settings, due, is_ap_enabled=self.radio.is_ap_enabled
        )

    def _step_statistics(self) -> None:
        if not self.statistics.is_sample_due(
            self.boot_ms,
            self.settings.statistics_interval_s,
            is_narrow=not self.profile.statistics_time_is_wide,
        ):
            return
        read, rates = self.readings, self.hashrate
        self.statistics.add(
            Sample(
                timestamp_ms=self.boot_ms,
                hashrate_hs=rates.current_hs,
                hashrate_1m_hs=rates.one_minute_hs,
                hashrate_10m_hs=rates.ten_minutes_hs,
                hashrate_1h_hs=rates.one_hour_hs,
                error_percentage=self.error_percentage,
                temp_c=read.temp_c,
                temp2_c=read.temp2_c,
                vr_temp_c=read.vr_temp_c,
                core_voltage_actual_v=self.core_voltage_actual_v,
                voltage_v=read.input_voltage_v,
                power_w=read.power_w,
                current_a=self.current_a,
                fan_percent=read.fan_percent,
                fan_rpm=read.fan_rpm,
                fan2_rpm=read.fan2_rpm,
                rssi_dbm=self.radio.rssi_dbm,
                free_heap=self.heap.free,
                response_time_ms=self.response_time_ms,
            )
        )

    # Wiring

    def _settle(self) -> None:
        """Carry outputs to inputs until nothing moves any more."""
        self.revision += 1
        driver, chain, pools = self.driver, self.chain, self.pools
        while True:
            if driver.is_reset_low is not self._is_reset_low:
                self._copy_reset_line()
            if driver.out:
                driver.tell(chain, self.now)
            if chain.replies:
                driver.hear(chain.take_replies(), self.now)
            elif not driver.happened and not pools.happened:
                break
            for driver_event in driver.events() if driver.happened else ():
                self._take_driver_event(driver_event)
            for session_event in pools.events() if pools.happened else ():
                self._take_session_event(session_event)
        if pools.requests:
            self._events.extend(pools.requests)
            pools.requests.clear()
        is_there = self._is_reachable and self._has_server and self.radio.is_in_reach
        if not is_there and self.is_on_network is not self._is_reachable:
            self._is_reachable = not self._is_reachable
            self._events.append(CameUp() if self._is_reachable else WentDown())
        if self.power_management.has_news:
            self._take_protection(self.power_management)
        self._plan()

    def _take_protection(self, management: PowerManagement) -> None:
        management.has_news = False
        if management.switch.has_stopped:
            management.switch.has_stopped = False
            self.mining.stop()
        if management.switch.has_switched:
            management.switch.has_switched = False
            self.body.switch(self.now)
        if management.must_restart:
            management.must_restart = False
            self._crash_at = self.now
        if management.has_overheated:
            management.has_overheated = False
            read = management.readings
            self._events.append(Overheated(read.temp_c, read.vr_temp_c))
        if changes := management.changes():
            self._change_settings(changes)

    def _copy_reset_line(self) -> None:
        self._is_reset_low = self.driver.is_reset_low
        self.chain.set_reset(self._is_reset_low, self.now)

    def _take_driver_event(self, event: DriverEvent) -> None:
        management, now = self.power_management, self.now
        match event:
            case NonceFound():
                self._check_nonce(event)
            case HashrateMeasured():
                self._take_hashrate()
                rate_hs = self.hashrate.current_hs
                if rows := self.totals.tick(now, self.uptime_s, rate_hs):
                    self._write_nvs(rows)
                if self.memory.look(now, self._rng):
                    self._crash_at = now
            case FrequencyReached():
                management.frequency_reached(self.settings, now)
            case DriverReady():
                management.chip_ready(self.settings, now, has_failed=False)
                self._start_mining()
            case DriverFailed():
                management.chip_ready(self.settings, now, has_failed=True)

    def _take_hashrate(self) -> None:
        monitor, rates = self.driver.monitor, self.hashrate
        if self._counts_nonces:
            rates.update(rates.current_hs)  # the API page promises averages
        elif self._forgets_counters and self.driver.state is not DriverState.READY:
            monitor.forget()
            rates.stop()
        else:
            rates.update(monitor.total_hs, monitor.error_hs)

    def _start_mining(self) -> None:
        now, is_first = self.now, not self._has_started_mining
        self._has_started_mining = True
        if is_first:
            self.pools.start(now)
        self.mining.start(now)
        if is_first:
            self._nonce_rate = NonceRate(now)
            self.driver.start_monitor(now)
            self.statistics.start(now)
            self.log(Level.INFO, "statistics_task", "Starting")

    def _check_nonce(self, nonce: NonceFound) -> None:
        checked = self.mining.check(nonce)
        if checked is None:
            return
        if self.load is not None:
            self.load.count(NONCE_S)
        if self.firmware.rows.submits_first:
            self._submit(checked)
            self._count(checked)
        else:
            self._count(checked)
            self._submit(checked)

    def _count(self, checked: Checked) -> None:
        """Note how good a nonce is."""
        if self._counts_nonces:
            counts = self.board.chip.ticket_difficulty
            hashes = counts * _hashes_per_count(self.chain.mode)
            self.hashrate.current_hs = self._nonce_rate.find(self.now, hashes=hashes)
        if self.mining.count(checked):
            self._change_settings({"best_difficulty": self.mining.best_difficulty})
        if checked.is_block:
            self._events.append(BlockFound(checked.difficulty))
            block = self.mining.block
            height = None if block is None else block.height
            self.found_block = FoundBlock(height, self.now)
        if self.firmware.rows.has_scoreboard:
            self._offer(checked)

    def _offer(self, checked: Checked) -> None:
        """Put a nonce on the scoreboard, if it is good enough."""
        share = checked.share
        entry = Entry(
            checked.difficulty,
            share.job_id,
            share.extranonce2.hex(),
            share.ntime,
            share.nonce,
            share.version_bits,
        )
        if rows := self.scoreboard.offer(entry, self.log.write):
            self._write_nvs(rows)

    def _submit(self, checked: Checked) -> None:
        share, session = checked.share, self.pools.session
        if checked.is_share and session is not None:
            session.submit(
                job_id=share.job_id,
                extranonce2=share.extranonce2,
                ntime=share.ntime,
                nonce=share.nonce,
                version_bits=share.version_bits,
                now=self.now,
            )
            if self.load is not None:
                self.load.send_share(self._rng)

    def _take_session_event(self, event: SessionEvent) -> None:
        mining = self.mining
        match event:
            case stratum.NotifyReceived(extranonce=given) if (
                given is None or given.extranonce2_size < 0
            ):
                self._crash_at = self.now
            case stratum.NotifyReceived(extranonce=given) if (
                given is not None and self.pools.session is not None
            ):
                self.display.note(Mark.WORK, self.now)
                mining.set_extranonce(given.extranonce1, given.extranonce2_size)
                pool = self.pools.current
                # A job with an easier block is one on order, also one that is still
                # under way when the order is taken back.
                block = SCALED_BLOCK_DIFFICULTY * event.scale
                mining.set_scale(event.scale)
                mining.take_notify(
                    event.notify,
                    self.now,
                    network_difficulty=event.network_difficulty,
                    pool_difficulty=event.pool_difficulty,
                    version_mask=event.version_mask,
                    payee=Payee(pool.user, pool.decodes_coinbase),
                    driver=self.driver,
                    ordered_block=block if self._is_own_pool else 0.0,
                )
            case stratum.DifficultySet():
                self._follow_scale()
            case stratum.ExtranonceSet(extranonce1=first, extranonce2_size=size):
                mining.set_extranonce(first, size)
                if self._restarts_counter:
                    mining.restart_counter()
            case stratum.ShareAccepted():
                self.display.note(Mark.ACCEPTED, self.now)
                self._events.append(ShareAccepted())
            case stratum.ShareRejected(reason=reason):
                self.display.note(Mark.REJECTED, self.now)
                self._events.append(ShareRejected(reason))
            case PoolLost():
                mining.clean(self.now)
            case PoolsReachable(is_so=is_reachable):
                self.power_management.hold(
                    StopReason.NO_POOL, self.now, is_held=not is_reachable
                )
            case _:
                pass
        if mining.has_cleaned:
            mining.has_cleaned = False
            if self._forgets_counters:
                self.driver.monitor.forget()

    def _set_work_mode(self, *, is_own_pool: bool) -> None:
        is_scaled = (
            self.share_rate is not None
            or self.work == "scaled"
            or (self.work == "auto" and is_own_pool)
        )
        mode = METAL if self._is_metal else SCALED if is_scaled else REAL
        if mode.name != self.chain.mode.name:
            self.chain.set_mode(mode, self.now)
            self.driver.monitor.set_hashes_per_count(_hashes_per_count(mode))
            self.hashrate.error_percentage = 0.0
        self.mining.set_scale(mode.scale)

    def _follow_scale(self) -> None:
        """Let the chip search its job at the scale of that.

        But no more than the pool asks for now: what it said first, of a pool that takes
        a suggestion, may be for very much more.
        """
        scale, session = self.mining.sent_scale, self.pools.session
        if self.share_rate is None or not scale or session is None:
            return
        scale = max(scale, session.scale)
        if scale != self.chain.mode.scale:
            self.chain.set_scale(scale, self.now)

    def _scale_of(self, difficulty: float) -> float:
        """Choose what a searched hash stands for at a pool that asks for this."""
        assert self.share_rate is not None
        board_hs = self.board.expected_hashrate_hs(self.settings.frequency_mhz)
        return self.share_rate.scale(difficulty, board_hs=board_hs)

    def _change_settings(self, changes: Mapping[str, Value]) -> None:
        self._store_settings(changes)
        if changes:
            self.power_management.wake(self.now)
            self._configure_pools()
            self._plan()

    def _configure_pools(self) -> None:
        """Let slots be dialled as they are now; what has no slots waits for a boot."""
        if self.settings.pools:
            self.pools.configure(self.settings)

    def _store_settings(self, changes: Mapping[str, Value]) -> None:
        self.revision += 1
        if not changes:
            return
        previous = self.settings
        changes = previous.completed(changes)
        self.settings = previous.changed(changes)
        # Equal values too: what is in force may be a default of this run alone.
        rows = rows_to_save(
            changes,
            self.nvs,
            self.firmware,
            profile=self.profile,
            presets=self._presets,
        )
        self._write_nvs(rows, {name: getattr(previous, name) for name in changes})

    def _write_nvs(
        self,
        rows: Mapping[str, Stored],
        values_before: Mapping[str, Value] = MappingProxyType({}),
    ) -> None:
        """Store rows; `values_before` has the settings that they change, by name."""
        before = {key: self.nvs.get(key) for key in rows}
        self.nvs |= rows
        self._events.append(SaveSettings(rows, before, values_before))


def _hashes_per_count(mode: WorkMode) -> float:
    return 2.0**32 * mode.resolution
