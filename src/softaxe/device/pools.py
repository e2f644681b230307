"""Which pool the device mines on: primary, fallback, and the way back.

Two small state machines share this file. The *main* one dials, listens, counts
failures and toggles between primary and fallback; the *heartbeat* looks at the
primary while the fallback is in use. From v2.14 the `Coordinator` decides instead whom
they dial and probe, and whether there is a pool at all. Neither owns a socket: they ask
for one with `ConnectPool` and are told what became of it. Source of all times and
rules: ESP-Miner stratum_task.c.
"""

from collections.abc import Iterator
from enum import Enum, auto
from math import inf
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from softaxe.catalog import Board
from softaxe.catalog.firmware.rows import Rows
from softaxe.device.coordinator import Coordinator
from softaxe.device.events import ClosePool, CloseReason, ConnectPool, Link
from softaxe.device.mining import CLEAN_TEXT
from softaxe.device.profile import Profile
from softaxe.device.settings import Settings
from softaxe.device.statistics import ShareCounters
from softaxe.device.transport import (
    POOL_UNREACHABLE,
    Tls,
    authority_in,
    refused,
    speaks_v2,
    tls_mode,
)
from softaxe.stratum import session as stratum
from softaxe.stratum.messages import probe_lines
from softaxe.units import NEVER, Level, Log

if TYPE_CHECKING:  # it is loaded with its libraries when a pool wants it
    from softaxe.stratum.v2.session import Session as SessionV2

FAILURES_BEFORE_SWITCH = 3
WIFI_RETRY_S = 10.0
UNRESOLVED_RETRY_S = 1.0
UNREACHABLE_RETRY_S = 5.0
LOST_RETRY_S = 1.0
NOT_CONNECTED = "Not Connected"
"""What releases with `poolConnectionInfo` tell before the first connection."""
FAMILIES = {2: "IPv4", 10: "IPv6"}
"""By lwIP's numbers."""
WAYS = {Tls.OFF: "", Tls.AUTHORITIES: " (TLS)", Tls.CERTIFICATE: " (TLS Cert)"}
"""What stands behind that."""
CLOSED_DETAIL = "errno 128"
"""How a connection ends that the pool has closed."""
HEARTBEAT_FIRST_S = 10.0
HEARTBEAT_PRIMARY_S = 10.0
"""Look again while the primary is in use, or without Wi-Fi."""
HEARTBEAT_FAILED_S = 60.0
PROBE_TIMEOUT_S = 5.0
MOST_DIFFICULTY = 2**31 - 1
"""That a number of cJSON has as an integer."""
PROBE_BYTES = 1023
"""The probe reads once, at most this much."""
PROBE_SUCCESS = b"mining.notify"
"""What the probe looks for; any subscribe reply holds it."""


class PoolSettings(Struct, frozen=True):
    """One of the two configured pools."""

    url: str
    port: int
    user: str
    password: str
    suggested_difficulty: int
    wants_extranonce_subscribe: bool
    decodes_coinbase: bool
    """Whom its jobs pay is told."""
    tls: int
    """As in `stratumTLS`; 0 is none."""
    cert: str
    """As in `stratumCert`: PEM."""
    protocol: str
    """`SV1` or `SV2`."""
    v2_channel_type: str
    """`extended` or `standard`."""
    v2_authority_pubkey: str
    """In base58; empty for none."""
    v2_requires_key: bool
    """A pool is refused without it."""

    @classmethod
    def of(cls, settings: Settings, prefix: str) -> "PoolSettings":
        """Take the settings whose names begin with `prefix`."""
        names = (
            *("url", "port", "user", "password", "suggested_difficulty"),
            *("extranonce_subscribe", "decode_coinbase", "tls", "cert", "protocol"),
            *("v2_channel_type", "v2_authority_pubkey"),
        )
        requires_key = False
        if settings.pools:
            number = settings.selected_pools[prefix != "stratum"]
            requires_key = settings.pools[number].v2_require_auth
        values = [getattr(settings, f"{prefix}_{name}") for name in names]
        values.append(requires_key)
        return cls(*values)


class PoolLost(Struct, frozen=True):
    """The main connection is gone; queued work is worthless."""


class PoolsReachable(Struct, frozen=True):
    """No pool could be reached and mining shall stop, or one can again."""

    is_so: bool


SessionEvent = stratum.Event | PoolLost | PoolsReachable


class _Main(Enum):
    IDLE = auto()
    WAITING = auto()
    PAUSING = auto()
    DIALLING = auto()
    CONNECTED = auto()


class _Heartbeat(Enum):
    IDLE = auto()
    WAITING = auto()
    DIALLING = auto()
    LISTENING = auto()


class Pools:
    """The device's pool connections.

    Call `start` once the chip is ready; after every call look at `requests`,
    `events` and `data_to_pool`.
    """

    # With a dict instead, each would take over 1 kB more.
    __slots__ = (
        "_asic_model",
        "_coordinator",
        "_extranonce",
        "_failures",
        "_firmware_version",
        "_heartbeat",
        "_heartbeat_due",
        "_is_always_extended",
        "_is_paused",
        "_log",
        "_main",
        "_main_due",
        "_most_difficulty",
        "_must_subscribe",
        "_probe_out",
        "_probes_fallback",
        "_rng",
        "_rows",
        "_stays_on_fallback",
        "_tells_small",
        "_to_probe",
        "_tracks_shares",
        "_understands_schemes",
        "address_family",
        "connection_info",
        "fallback",
        "happened",
        "heard_at",
        "is_using_fallback",
        "next_wake",
        "pool_difficulty",
        "primary",
        "requests",
        "response_batch",
        "response_time_ms",
        "session",
        "shares",
        "work_received",
    )

    def __init__(
        self,
        settings: Settings,
        *,
        board: Board,
        firmware_version: str,
        rows: Rows,
        profile: Profile,
        rng: Random,
        log: Log,
    ) -> None:
        self.primary = PoolSettings.of(settings, "stratum")
        self.fallback = PoolSettings.of(settings, "fallback_stratum")
        self.is_using_fallback = settings.use_fallback_stratum
        self.shares = ShareCounters()
        self.address_family = 0
        """0 before the first connection, then 2 for IPv4 or 10 for IPv6."""
        self.connection_info = NOT_CONNECTED
        """How the last connection was made; kept when it is gone."""
        self.work_received = 0
        """Jobs since boot or the last failover."""
        self.pool_difficulty = 0.0
        self.response_time_ms = 0.0
        self.heard_at: float | None = None
        """When a pool last said something on the main connection."""
        self.response_batch = 0
        """Shares that the last answer of a Stratum v2 pool was about."""
        self.session: stratum.Session | SessionV2 | None = None
        self.requests: list[ConnectPool | ClosePool] = []
        self.next_wake = NEVER
        self._stays_on_fallback = settings.use_fallback_stratum
        self._rows = rows
        self._asic_model = board.chip.name
        self._is_always_extended = board.chip.name == "BM1397"
        self._firmware_version = firmware_version
        self._understands_schemes = profile.pool_url_scheme_understood
        self._must_subscribe = profile.subscription_needed
        self._tracks_shares = profile.first_share_counted
        self._tells_small = profile.small_difficulties_told
        self._extranonce: stratum.ExtranonceSet | None = None
        """The last that any pool has given since boot."""
        is_bounded = (
            rows.pool_difficulty == "integer" and not profile.pool_difficulty_unbounded
        )
        self._most_difficulty = MOST_DIFFICULTY if is_bounded else inf
        self._rng = rng
        self._log = log
        self.happened: list[SessionEvent] = []
        self._failures = 0
        self._main = _Main.IDLE
        self._main_due = NEVER
        self._heartbeat = _Heartbeat.IDLE
        self._heartbeat_due = NEVER
        self._probe_out = b""
        self._probes_fallback = False
        """Which of the two the heartbeat asks, or asked last."""
        self._to_probe: list[bool] = []
        """After that one, if it does not answer."""
        self._is_paused = False
        self._coordinator: Coordinator | None = None
        if rows.failover == "coordinator":
            self._coordinator = Coordinator(
                prefers_fallback=self.is_using_fallback,
                has_fallback=bool(self.fallback.url),
                log=log,
            )
            self._tell_protocols(self._coordinator)

    @property
    def current(self) -> PoolSettings:
        """The pool in use now."""
        return self.fallback if self.is_using_fallback else self.primary

    @property
    def _probed(self) -> PoolSettings:
        return self.fallback if self._probes_fallback else self.primary

    @property
    def is_connected(self) -> bool:
        """True while the main connection stands."""
        return self._main is _Main.CONNECTED

    @property
    def shares_pending(self) -> int:
        """Shares without an answer of a Stratum v2 pool; 0 on v1."""
        session = self.session
        if session is None or isinstance(session, stratum.Session):
            return 0
        return session.pending

    def unanswered(self, now: float) -> tuple[int, float]:
        """Return how many shares this pool leaves without an answer, and for how long.

        Seconds of device time; those before the last answer do not count.
        """
        if (session := self.session) is None or not session.unanswered.count:
            return 0, 0.0
        return session.unanswered.count, now - session.unanswered.since

    def start(self, now: float) -> None:
        """Begin to dial, and start the heartbeat."""
        if self._coordinator is None:
            pool = self.primary
            host = f"{pool.url}:{pool.port}"
            self._say(f"Starting heartbeat thread for primary pool: {host}")
            self._wait_heartbeat(now + HEARTBEAT_FIRST_S)
        pool = self.current
        self._say(f"Opening connection to pool: {pool.url}:{pool.port}")
        self._wait_main(_Main.WAITING, now)

    def configure(self, settings: Settings) -> None:
        """Use other pools from the next connection on."""
        self.primary = PoolSettings.of(settings, "stratum")
        self.fallback = PoolSettings.of(settings, "fallback_stratum")
        if self._coordinator is not None:
            self._coordinator.has_fallback = bool(self.fallback.url)
            self._tell_protocols(self._coordinator)

    def set_paused(self, is_paused: bool, now: float) -> None:
        """Let go of the pool at its next line, or come back to it."""
        self._is_paused = is_paused
        if not is_paused and self._main is _Main.WAITING and self._main_due == NEVER:
            self._wait_main(_Main.WAITING, now)

    def step(self, now: float, *, has_wifi: bool) -> None:
        """Do what is due."""
        if self._main_due <= now:
            self._step_main(now, has_wifi=has_wifi)
        if self._heartbeat_due <= now:
            self._step_heartbeat(now, has_wifi=has_wifi)
        self._schedule()

    def resolved(self, address: str, now: float, *, link: Link) -> None:
        """The pool's address is known, and tried now if there is a way to."""
        is_main = link is Link.MAIN
        dialling = self._main if is_main else self._heartbeat
        if dialling not in (_Main.DIALLING, _Heartbeat.DIALLING):
            return
        pool = self.current if is_main else self._probed
        if is_main:
            self._tell_address(pool, address)
        mode = self._tls_mode(pool)
        if mode is not Tls.NEVER and (mode is not Tls.CERTIFICATE or pool.cert):
            return
        if is_main:
            self._failures += self._rows.counts_missing_transport
            self._drop_main(is_open=True)
            self._wait_main(_Main.WAITING, now + UNREACHABLE_RETRY_S)
        else:
            self._probe_failed(now, is_open=True)
        self._schedule()

    def _tell_address(self, pool: PoolSettings, address: str) -> None:
        host, port = self._dial_target(pool)
        if self._speaks_v2(pool):
            attempt = self._failures + 1
            url = f"stratum+sv2://{host}:{port}"
            self._say_v2(f"Connecting to {url} (attempt {attempt})")
            return
        self._say(f"Connecting to: stratum+tcp://{host}:{port} ({address})")
        if self._rows.pool_transport == "socket":
            self._say(f"Socket created, connecting to {address}:{port}")
            return
        for level, text in _transport_texts(self._tls_mode(pool), pool.cert):
            self._log(level, stratum.API_TAG, text)
            if level is Level.ERROR:
                return
        to = self._rows.pool_transport == "transport to address"
        behind = f" ({address})" if to else ""
        self._say(f"Transport initialized, connecting to {host}:{port}{behind}")

    def connected(
        self,
        now: float,
        *,
        link: Link,
        family: int,
        scale: float,
        scale_of: stratum.ScaleOf | None = None,
    ) -> None:
        """The connection is open.

        Args:
            now: Device time.
            link: Which connection.
            family: 2 for IPv4, 10 for IPv6.
            scale: Chip hashes per searched hash on this connection...
            scale_of: ...until it asks for a difficulty, where they depend on that.
        """
        if link is Link.PROBE:
            self._probe_connected(now)
        elif self._main is _Main.DIALLING:
            pool = self.current
            self.address_family = family
            if self._speaks_v2(pool):
                host, port = self._dial_target(pool)
                self._say_v2(f"TCP connected to {host}:{port}")
                self.session = self._new_session_v2(pool, scale, scale_of)
            else:
                way = WAYS[self._tls_mode(pool)]
                self.connection_info = f"{FAMILIES[family]}{way}"
                self.session = self._new_session(pool, scale, scale_of)
                self._say("Resetting stratum uid")
                self._clean()
            self._wait_main(_Main.CONNECTED, now)
            self.session.connected(now)
            self._take_events(now)
        self._schedule()

    def _new_session(
        self, pool: PoolSettings, scale: float, scale_of: stratum.ScaleOf | None
    ) -> stratum.Session:
        return stratum.Session(
            rows=self._rows,
            asic_model=self._asic_model,
            firmware_version=self._firmware_version,
            user=pool.user,
            password=pool.password,
            suggested_difficulty=pool.suggested_difficulty,
            wants_extranonce_subscribe=pool.wants_extranonce_subscribe,
            scale=scale,
            scale_of=scale_of,
            extranonce=None if self._must_subscribe else self._extranonce,
            must_subscribe=self._must_subscribe,
            tracks_shares=self._tracks_shares,
            tells_small=self._tells_small,
            most_difficulty=self._most_difficulty,
            is_wireless=True,
            log=self._log,
        )

    def _new_session_v2(
        self, pool: PoolSettings, scale: float, scale_of: stratum.ScaleOf | None
    ) -> "SessionV2":
        from softaxe.stratum.v2.session import Session  # noqa: PLC0415 - see above

        key = pool.v2_authority_pubkey or authority_in(self._understood(pool.url))
        return Session(
            rows=self._rows,
            asic_model=self._asic_model,
            host=pool.url,
            port=pool.port,
            user=pool.user,
            is_extended=pool.v2_channel_type != "standard" or self._is_always_extended,
            authority=key,
            needs_authority=pool.v2_requires_key,
            scale=scale,
            scale_of=scale_of,
            rng=self._rng,
            is_wireless=True,
            log=self._log,
        )

    def received(self, data: bytes, now: float, *, link: Link) -> None:
        """Bytes came from the pool."""
        if link is Link.PROBE:
            self._probe_received(data, now)
        elif isinstance(self.session, stratum.Session) and (
            self._is_paused and b"\n" in data
        ):
            self._say("Mining paused, disconnecting from pool")
            self._drop_main(is_open=True)
            self._wait_main(_Main.WAITING, NEVER)
        elif self.session is not None:
            self.heard_at = now
            self.session.receive(data, now)
            self._take_events(now)
        self._schedule()

    def _take_events(self, now: float) -> None:
        """Take what the session tells, and wait for more from the pool."""
        session = self.session
        for event in () if session is None else session.events():
            self._take(event, now)
            if self.session is None:  # what came behind that is nobody's any more
                return
        self._wait_main(_Main.CONNECTED, now + self._silence_s)

    def closed(
        self, reason: CloseReason, now: float, *, link: Link, detail: str
    ) -> None:
        """The connection could not be opened, or is gone.

        Args:
            reason: What kind of end.
            now: Device time.
            link: Which connection.
            detail: The system's own words, such as `errno 111: Connection refused`.
        """
        if link is Link.PROBE:
            if self._heartbeat in (_Heartbeat.DIALLING, _Heartbeat.LISTENING):
                self._probe_failed(now, is_open=False)
        elif self._main in (_Main.DIALLING, _Main.CONNECTED):
            self._main_closed(reason, now, detail)
        self._schedule()

    @property
    def has_data(self) -> bool:
        """True while there are bytes to send."""
        has_some = self.session is not None and self.session.has_data
        return has_some or bool(self._probe_out)

    def data_to_pool(self, link: Link, now: float) -> bytes:
        """Return and forget the bytes to send; answers are waited for from `now` on."""
        if link is Link.PROBE:
            data, self._probe_out = self._probe_out, b""
            return data
        return b"" if self.session is None else self.session.data_to_send(now)

    def events(self) -> list[SessionEvent]:
        """Return and forget what the session told."""
        if not self.happened:
            return []
        events, self.happened = self.happened, []
        return events

    # The main connection

    def _step_main(self, now: float, *, has_wifi: bool) -> None:
        if self._main is _Main.CONNECTED:
            self._main_closed(
                CloseReason.CLOSED, now, "errno 11: No more processes", is_open=True
            )
        elif self._main is _Main.PAUSING:
            self._main = _Main.DIALLING
            self._main_due = NEVER
            self._dial(Link.MAIN, self.current, now)
        elif not has_wifi:
            self._say("WiFi disconnected, attempting to reconnect...")
            self._wait_main(_Main.WAITING, now + WIFI_RETRY_S)
        elif self._is_paused:
            self._wait_main(_Main.WAITING, NEVER)
        elif self._failures < FAILURES_BEFORE_SWITCH:
            self._wait_main(_Main.PAUSING, now + self._rows.socket_pause_s)
        elif self._coordinator is None:
            self._switch()
            self._wait_main(_Main.PAUSING, now + self._rows.socket_pause_s)
        else:
            tries = self._failures
            is_v2 = self._speaks_v2(self.current)
            text = f"Max {'V2' if is_v2 else 'V1'} retry attempts reached ({tries})"
            tag = stratum.V2_TAG if is_v2 else self._rows.pool_tag
            self._log(Level.INFO, tag, f"{text}, notifying coordinator")
            self._coordinator.gave_up(now)
            self._follow(self._coordinator, now)

    def _switch(self) -> None:
        if not self.fallback.url:
            self._say(
                "Unable to switch to fallback. No url configured. "
                f"(retries: {self._failures})..."
            )
        else:
            self._say(
                "Switching target due to too many failures "
                f"(retries: {self._failures})..."
            )
            self.is_using_fallback = not self.is_using_fallback
            self.shares = ShareCounters()
            self.work_received = 0
        self._failures = 0

    def _follow(self, coordinator: Coordinator, now: float) -> None:
        """Dial whom the coordinator has chosen, or nobody."""
        self._failures = 0
        self._to_probe = []
        if self._heartbeat in (_Heartbeat.DIALLING, _Heartbeat.LISTENING):
            self.requests.append(ClosePool(Link.PROBE))
        if coordinator.has_no_pool:
            self.happened.append(PoolsReachable(False))
            self._wait_main(_Main.IDLE, NEVER)
        else:
            if self._main is _Main.IDLE:
                self.happened.append(PoolsReachable(True))
            elif self._main in (_Main.DIALLING, _Main.CONNECTED):
                self._drop_main(is_open=True)
            self.is_using_fallback = coordinator.is_using_fallback
            self.shares = ShareCounters()
            self.work_received = 0
            self._wait_main(_Main.WAITING, now)
        self._wait_heartbeat(coordinator.probe_at)

    def _main_closed(
        self, reason: CloseReason, now: float, detail: str, *, is_open: bool = False
    ) -> None:
        pool = self.current
        host, port = self._dial_target(pool)
        self._failures += 1
        wait_s = LOST_RETRY_S
        if self._speaks_v2(pool) and reason is not CloseReason.UNSPOKEN:
            wait_s = self._v2_closed(reason, f"{host}:{port}", detail)
        elif reason is CloseReason.UNSPOKEN:
            self._unspoken(f"{host}:{port}", detail)
            wait_s = UNREACHABLE_RETRY_S
        elif reason is CloseReason.INSECURE:
            text = f"No TLS with {host}:{port}: {detail}"
            self._log(Level.WARNING, "softaxe", text)
            self._unreachable(host, port, "errno 0")
            wait_s = UNREACHABLE_RETRY_S
        elif reason is CloseReason.UNRESOLVED:
            self._error(f"getaddrinfo failed for {host}: {detail}")
            self._error(f"Address resolution failed for {host}")
            wait_s = UNRESOLVED_RETRY_S
        elif reason is CloseReason.UNREACHABLE:
            self._unreachable(host, port, detail)
            wait_s = UNREACHABLE_RETRY_S
        else:
            self._broken(reason, detail)
        self._drop_main(is_open=is_open)
        self._wait_main(_Main.WAITING, now + wait_s)

    def _v2_closed(self, reason: CloseReason, address: str, detail: str) -> float:
        """Tell how it ended; return the seconds until the next try."""
        is_write = reason is CloseReason.WRITE_FAILED
        if self.session is None or isinstance(self.session, stratum.Session):
            text = f"Failed to connect to {address} ({detail})"
            info: str | None = POOL_UNREACHABLE
            wait_s = UNREACHABLE_RETRY_S
        else:
            text = f"Connection to {address} lost ({detail})"
            info = self.session.info_when_lost(is_write=is_write)
            wait_s = LOST_RETRY_S
        self._log(Level.ERROR, stratum.V2_TAG, text)
        self.connection_info = info or self.connection_info
        return wait_s

    def _unspoken(self, address: str, why: str) -> None:
        """Say why a pool is not dialled; it counts as one that cannot be reached."""
        text = f"{address} is not dialled: {why}"
        self._log(Level.WARNING, "softaxe", text)

    def _unreachable(self, host: str, port: int, detail: str) -> None:
        if self._rows.pool_transport == "socket":
            self._error(f"Socket unable to connect to {host}:{port} ({detail})")
            return
        number = detail.partition(":")[0]
        self._error(
            f"Transport unable to connect to {host}:{port} ({number}). "
            f"Attempt: {self._failures}"
        )

    def _broken(self, reason: CloseReason, detail: str) -> None:
        """Tell how a connection ended, in the words of the firmware."""
        rows, text = self._rows, f"Error: recv ({detail})"
        if reason is CloseReason.WRITE_FAILED:
            is_end = rows.failed_share == "closes"
            closing = " Closing connection." if is_end else ""
            self._error(f"Unable to write share to socket.{closing} Ret: -1 ({detail})")
            if is_end:
                return
        if rows.pool_transport != "socket":
            is_end = detail.startswith(CLOSED_DETAIL)
            words = "Connection closed by peer" if is_end else "Connection failed"
            code = -1 if is_end else -2  # of ESP-IDF's esp_transport
            text = f"Error: transport read failed: {words} (code: {code})"
        self._log(Level.ERROR, stratum.API_TAG, text)
        self._error("Failed to receive JSON-RPC line, reconnecting...")

    def _drop_main(self, *, is_open: bool) -> None:
        if isinstance(self.session, stratum.Session):
            self._error("Shutting down socket and restarting...")
            self._clean()
        elif self.session is not None:
            self.happened.append(PoolLost())
        self.session = None
        if is_open:
            self.requests.append(ClosePool(Link.MAIN))

    def _clean(self) -> None:
        """Let the queued work go, with the words of the firmware."""
        self._say(CLEAN_TEXT)
        self.happened.append(PoolLost())

    def _take(self, event: stratum.Event, now: float) -> None:
        match event:
            case stratum.NotifyReceived():
                self.work_received += 1
            case stratum.SetupAccepted() | stratum.SetupRejected():
                self._succeeded(now)
            case stratum.ExtranonceSet():
                self._extranonce = event
            case stratum.SubscribeRefused(reason=reason):
                self._error(f"Pool refused to subscribe: {reason}, reconnecting...")
                self._failures += 1
                self._drop_main(is_open=True)
                self._wait_main(_Main.WAITING, now + UNREACHABLE_RETRY_S)
            case stratum.DifficultySet(difficulty=difficulty):
                self.pool_difficulty = difficulty
            case stratum.ShareAccepted() | stratum.ShareRejected():
                self._take_share_answer(event)
            case stratum.Secured():
                self.connection_info = FAMILIES[self.address_family]
            case stratum.LinkFailed(info=info):
                self.connection_info = info or self.connection_info
                self._failures += 1
                self._drop_main(is_open=True)
                self._wait_main(_Main.WAITING, now + LOST_RETRY_S)
            case stratum.ReconnectRequested():
                self._error("Pool requested client reconnect...")
                self._drop_main(is_open=True)
                self._wait_main(_Main.WAITING, now + LOST_RETRY_S)
            case _:
                pass
        self.happened.append(event)
        session = self.session
        if session is not None and session.response_time_s is not None:
            self.response_time_ms = session.response_time_s * 1000

    def _take_share_answer(
        self, event: stratum.ShareAccepted | stratum.ShareRejected
    ) -> None:
        if isinstance(event, stratum.ShareRejected):
            self.shares.reject(event.reason)
            return
        self.shares.accept(event.count)
        if not isinstance(self.session, stratum.Session):
            self.response_batch = event.count

    def _succeeded(self, now: float) -> None:
        self._failures = 0
        if self._coordinator is not None:
            self._coordinator.succeeded(now)
            if self._heartbeat in (_Heartbeat.IDLE, _Heartbeat.WAITING):
                self._wait_heartbeat(self._coordinator.probe_at)

    # The heartbeat

    def _step_heartbeat(self, now: float, *, has_wifi: bool) -> None:
        if self._heartbeat is not _Heartbeat.WAITING:
            self._probe_failed(now, is_open=True)
            return
        if self._coordinator is None:
            self._to_probe = [False] if self.is_using_fallback else []
        else:
            self._to_probe = self._coordinator.targets
        if has_wifi and self._to_probe:
            self._probe_next(now)
        else:
            self._wait_heartbeat(now + HEARTBEAT_PRIMARY_S)

    def _probe_next(self, now: float) -> None:
        self._probes_fallback = self._to_probe.pop(0)
        self._heartbeat = _Heartbeat.DIALLING
        self._heartbeat_due = NEVER
        self._dial(Link.PROBE, self._probed, now)

    def _probe_connected(self, now: float) -> None:
        if self._heartbeat is not _Heartbeat.DIALLING:
            return
        if self._speaks_v2(self._probed):
            self._probe_succeeded(now)
            return
        self._heartbeat = _Heartbeat.LISTENING
        self._heartbeat_due = now + PROBE_TIMEOUT_S
        self._probe_out = probe_lines(
            user=self._probed.user,
            password=self._probed.password,
            asic_model=self._asic_model,
            firmware_version=self._firmware_version,
            is_compact=self._rows.stratum_json == "compact",
        )

    def _probe_received(self, data: bytes, now: float) -> None:
        if self._heartbeat is not _Heartbeat.LISTENING:
            return
        is_alive = PROBE_SUCCESS in data[:PROBE_BYTES]
        if not is_alive or (self._coordinator is None and self._stays_on_fallback):
            self._probe_failed(now, is_open=True)
        else:
            self._probe_succeeded(now)

    def _probe_succeeded(self, now: float) -> None:
        coordinator = self._coordinator
        if coordinator is not None:
            coordinator.found(now, is_fallback=self._probes_fallback)
            self._follow(coordinator, now)
            return
        self.requests.append(ClosePool(Link.PROBE))
        self._wait_heartbeat(now + HEARTBEAT_PRIMARY_S)
        if self.is_using_fallback:
            self._say(
                "Heartbeat successful and in fallback mode. Switching back to primary."
            )
            self.is_using_fallback = False
            self._failures = 0
            if self._main in (_Main.DIALLING, _Main.CONNECTED):
                self._drop_main(is_open=True)
            self._wait_main(_Main.WAITING, now + LOST_RETRY_S)

    def _probe_failed(self, now: float, *, is_open: bool) -> None:
        if is_open:
            self.requests.append(ClosePool(Link.PROBE))
        self._probe_out = b""
        if self._to_probe:
            self._probe_next(now)
        elif self._coordinator is None:
            self._wait_heartbeat(now + HEARTBEAT_FAILED_S)
        else:
            self._coordinator.found_none(now)
            self._wait_heartbeat(self._coordinator.probe_at)

    # Helpers

    @property
    def _silence_s(self) -> float:
        if self.session is not None and not isinstance(self.session, stratum.Session):
            return self.session.patience_s
        limit_s = self._rows.pool_silence_s
        return inf if limit_s is None else limit_s

    def _dial(self, link: Link, pool: PoolSettings, now: float) -> None:
        rows = self._rows
        if why := refused(self._understood(pool.url), rows):
            self.closed(CloseReason.UNSPOKEN, now, link=link, detail=why)
            return
        host, port = self._dial_target(pool)
        mode = self._tls_mode(pool)
        trusted = pool.cert if mode is Tls.CERTIFICATE else ""
        request = ConnectPool(
            link,
            host,
            port,
            addresses=rows.address_preference,
            timeout_s=rows.connect_timeout_s,
            keepalive=rows.pool_keepalive,
            trusted=None if mode is Tls.OFF else trusted,
            is_v2=self._speaks_v2(pool),
        )
        self.requests.append(request)

    def _speaks_v2(self, pool: PoolSettings) -> bool:
        return speaks_v2(self._understood(pool.url), pool.protocol, self._rows)

    def _tell_protocols(self, coordinator: Coordinator) -> None:
        for is_fallback, pool in ((False, self.primary), (True, self.fallback)):
            is_v2 = self._speaks_v2(pool)
            coordinator.protocols[is_fallback] = "SV2" if is_v2 else "SV1"

    def _tls_mode(self, pool: PoolSettings) -> Tls:
        if self._speaks_v2(pool):
            return Tls.OFF
        return tls_mode(self._understood(pool.url), pool.tls, self._rows)

    def _understood(self, url: str) -> str:
        """Return a URL whose scheme is read, or nothing where none is."""
        return url if self._understands_schemes else ""

    def _dial_target(self, pool: PoolSettings) -> tuple[str, int]:
        if not self._understands_schemes:
            return pool.url, pool.port
        return dial_target(pool.url, pool.port)

    def _wait_main(self, state: _Main, due: float) -> None:
        self._main = state
        self._main_due = due
        self._schedule()

    def _wait_heartbeat(self, due: float) -> None:
        self._heartbeat = _Heartbeat.WAITING
        self._heartbeat_due = due
        self._schedule()

    def _schedule(self) -> None:
        due, heartbeat_due = self._main_due, self._heartbeat_due
        self.next_wake = due if due < heartbeat_due else heartbeat_due

    def _say(self, text: str) -> None:
        self._log(Level.INFO, self._rows.pool_tag, text)

    def _say_v2(self, text: str) -> None:
        self._log(Level.INFO, stratum.V2_TAG, text)

    def _error(self, text: str) -> None:
        self._log(Level.ERROR, self._rows.pool_tag, text)


def _transport_texts(mode: Tls, cert: str) -> Iterator[tuple[Level, str]]:
    """Yield what is logged of how a pool is reached; after an error it is not."""
    if mode is Tls.OFF:
        yield Level.INFO, "TLS disabled, Using TCP transport"
    elif mode is Tls.NEVER:
        yield Level.ERROR, "Invalid TLS mode"
    else:
        yield Level.INFO, "Using TLS transport"
        if mode is Tls.AUTHORITIES:
            yield Level.INFO, "Using default cert bundle"
        elif cert:
            yield Level.INFO, "Using custom cert"
        else:
            yield Level.ERROR, "Error: no TLS certificate"


def dial_target(url: str, port: int) -> tuple[str, int]:
    """Take host and port from a pool URL as a person writes it.

    A scheme and a path are left out, a port inside the URL wins over `port`, and the
    brackets of an IPv6 address go:
    `stratum+tcp://pool.example.com:3333/` gives `("pool.example.com", 3333)`.
    """
    host = url.partition("://")[2] if "://" in url else url
    host = host.partition("/")[0]
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        text = rest.removeprefix(":")
    elif host.count(":") == 1:
        host, _, text = host.partition(":")
    else:
        text = ""
    if text.isascii() and text.isdigit() and 0 < int(text) <= 0xFFFF:
        port = int(text)
    return host, port
