"""The device's connections to pools, on real sockets."""

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any, cast

from msgspec import Struct

from softaxe.device.events import CloseReason, ConnectPool, Link
from softaxe.serve.intake import Inflow, Intake

DIAL_TIMEOUT_S = 20.0
"""Real seconds until an address counts as unreachable; about lwIP's own default."""
LOOKUP_TIMEOUT_S = 20.0
"""Real seconds until a name counts as one without an address."""
_LOOKUPS = ThreadPoolExecutor(4, thread_name_prefix="lookup")
"""Threads of their own: a resolver that hangs shall not hold up what is to be saved."""
SHUTDOWN_S = 1.0
"""Real seconds that the other end of TLS has to say goodbye."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which `ssl` has no name."""
KEPT_CONTEXTS = 64
LOOPBACK = "127."
LITTLE_BYTES = 1 << 12
"""That the system takes for who does not read."""
MAX_UNSENT_BYTES = 1 << 16
"""More than this unsent means that the pool no longer reads."""


class LinkResolved(Struct, frozen=True):
    """An address is known and tried."""

    link: Link
    address: str


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """A connection stands."""

    link: Link
    address: str
    port: int
    family: int
    """2 for IPv4, 10 for IPv6, as the firmware counts them."""
    own_name: str = field(default="", compare=False)
    """This end of it, as `address:port`."""


class LinkReceived(Struct, frozen=True):
    """Bytes came in."""

    link: Link
    data: bytes


class LinkClosed(Struct, frozen=True):
    """A connection could not be opened or has ended."""

    link: Link
    reason: CloseReason
    detail: str


LinkNews = LinkResolved | LinkOpened | LinkReceived | LinkClosed


class Wire:
    """Counts the bytes under way between the process's own miners and its pool.

    Connections are known by the miner's end, `address:port`; those that were not
    opened here are left alone.
    """

    def __init__(self) -> None:
        self.bytes_under_way = 0
        self._by_name: dict[str, int] = {}

    def opened(self, name: str) -> None:
        """One of our miners has connected."""
        self._by_name.setdefault(name, 0)

    def closed(self, name: str) -> None:
        """A connection has ended; what was under way is lost."""
        self.bytes_under_way -= self._by_name.pop(name, 0)

    def is_own(self, name: str) -> bool:
        """True for a connection of one of our miners."""
        return name in self._by_name

    def sent(self, name: str, size: int) -> None:
        """Bytes have left one end."""
        if name in self._by_name:
            self._by_name[name] += size
            self.bytes_under_way += size

    def arrived(self, name: str, size: int) -> None:
        """Bytes have come to the other end."""
        self.sent(name, -size)


class PoolLinks:
    """Opens, feeds and closes the main and the probe connection.

    Args:
        tell: Called, on the event loop, with everything that happens to a link.
        intake: Where what pools send takes its turns.
        source: The device's address; on loopback its connections come from there.
    """

    def __init__(
        self, tell: Callable[[LinkNews], None], *, intake: Intake, source: str = ""
    ) -> None:
        self.heard_at = 0.0
        """Real time at which the bytes that are told of came in."""
        self._tell = tell
        self._intake = intake
        self._source = source
        self._dials: dict[Link, asyncio.Task[None]] = {}
        self._open: dict[Link, _Connection] = {}

    def dial(self, request: ConnectPool) -> None:
        """Start to connect; what becomes of it is told."""
        self.close(request.link)
        self._dials[request.link] = asyncio.ensure_future(self._dial(request))

    def send(self, link: Link, data: bytes) -> None:
        """Send on an open link."""
        connection = self._open.get(link)
        if connection is None or connection.transport is None:
            return
        if not connection.transport.is_closing():  # what it has sent is still heard
            connection.transport.write(data)
            if connection.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
                self._end(link, connection, CloseReason.WRITE_FAILED, "errno 11: busy")

    def pause(self, link: Link, *, is_paused: bool) -> None:
        """Read nothing of a link for a while, so that the pool notices, or go on."""
        if (connection := self._open.get(link)) is not None:
            connection.pause(is_paused=is_paused)

    def close(self, link: Link) -> None:
        """Close a link, or stop opening it; nothing more is told of it."""
        dial = self._dials.pop(link, None)
        if dial is not None:
            dial.cancel()
        connection = self._open.pop(link, None)
        if connection is not None:
            connection.close()

    def close_all(self) -> None:
        """Close every link."""
        for link in Link:
            self.close(link)

    async def _dial(self, request: ConnectPool) -> None:
        link, host, port = request.link, request.host, request.port
        loop = asyncio.get_running_loop()
        try:
            found = await _find(host, port)
        except (OSError, ValueError) as error:  # a time-out, or what can be no name
            self._dials.pop(link, None)
            detail = str(error) or "timed out"
            self._tell(LinkClosed(link, CloseReason.UNRESOLVED, detail))
            return
        # The firmware knows the first address alone; the rest is tried after it.
        first = socket.AF_INET6 if request.addresses == "ipv6" else socket.AF_INET
        found.sort(key=lambda entry: entry[0] != first)
        if request.addresses == "ipv4 only":
            found = [entry for entry in found if entry[0] == first]
        detail = "no address"
        if not found:
            self._dials.pop(link, None)
            self._tell(LinkClosed(link, CloseReason.UNRESOLVED, detail))
            return
        reason = CloseReason.UNREACHABLE
        for family, _, _, _, address in found:
            connection = _Connection(self, link, self._intake)
            self._tell(LinkResolved(link, str(address[0])))
            if self._dials.get(link) is not asyncio.current_task():
                return  # whoever was told wants no connection any more
            try:
                async with asyncio.timeout(request.timeout_s or DIAL_TIMEOUT_S):
                    await loop.create_connection(
                        lambda c=connection: c,
                        str(address[0]),
                        port,
                        family=family,
                        local_addr=self._local_address(str(address[0])),
                        **_tls_of(request),
                    )
            except TimeoutError:
                reason = CloseReason.UNREACHABLE
                detail = _errno_text(errno.ETIMEDOUT)
                continue
            except (ssl.SSLError, ValueError) as error:
                reason, detail = CloseReason.INSECURE, _tls_text(error)
                continue
            except OSError as error:
                reason = CloseReason.UNREACHABLE
                detail = _errno_text(error.errno or 0, error)
                if request.trusted is not None and not error.errno:
                    reason, detail = CloseReason.INSECURE, _tls_text(error)
                continue
            self._dials.pop(link, None)
            if request.keepalive is not None:
                connection.keep_alive(*request.keepalive)
            self._open[link] = connection
            number = 10 if family == socket.AF_INET6 else 2
            own = connection.own_name
            self._tell(LinkOpened(link, str(address[0]), port, number, own))
            connection.deliver_early()
            return
        self._dials.pop(link, None)
        self._tell(LinkClosed(link, reason, detail))

    def _local_address(self, target: str) -> tuple[str, int] | None:
        if target.startswith(LOOPBACK) and self._source.startswith(LOOPBACK):
            return self._source, 0
        return None

    def received(self, connection: "_Connection", data: bytes) -> None:
        """Pass on bytes of a connection that is still wanted."""
        if self._open.get(connection.link) is connection:
            self.heard_at = connection.heard_at
            self._tell(LinkReceived(connection.link, data))

    def lost(self, connection: "_Connection", error: Exception | None) -> None:
        """Pass on the end of a connection that was still wanted."""
        detail = "errno 128: Socket is not connected"
        is_tls = isinstance(error, ssl.SSLError)  # whose numbers are others
        if isinstance(error, OSError) and error.errno and not is_tls:
            detail = _errno_text(error.errno)
        if self._open.get(connection.link) is connection:
            self._end(connection.link, connection, CloseReason.CLOSED, detail)

    def _end(
        self, link: Link, connection: "_Connection", reason: CloseReason, detail: str
    ) -> None:
        del self._open[link]
        connection.close(at_once=True)
        self._tell(LinkClosed(link, reason, detail))


class _Connection(asyncio.Protocol):
    def __init__(self, links: PoolLinks, link: Link, intake: Intake) -> None:
        self.link = link
        self.transport: asyncio.Transport | None = None
        self.heard_at = 0.0
        """Real time at which bytes came last, whether or not they were handed on."""
        self._links = links
        self._intake = intake
        self._inflow: Inflow | None = None
        self._is_paused = False
        self._early: list[bytes] | None = []
        self._early_end: Exception | bool | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A TCP transport always; uvloop's is no subclass.
        self.transport = cast(asyncio.Transport, transport)
        self._inflow = Inflow(self._intake, self.transport, self._received)

    def _received(self, data: bytes) -> None:
        self._links.received(self, data)

    def close(self, *, at_once: bool = False) -> None:
        """Hear nothing more, and end the connection, or even lose what is unsent."""
        if self.transport is None or self._inflow is None:
            return
        self._inflow.close()
        if at_once:
            self.transport.abort()
        else:
            self.transport.close()

    def pause(self, *, is_paused: bool) -> None:
        """Let what comes wait in the system, which holds little of it, or go on."""
        if self.transport is None or self.transport.is_closing():
            return
        if is_paused is self._is_paused:
            return
        self._is_paused = is_paused
        if is_paused:
            end = self.transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE_BYTES)
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def keep_alive(self, idle_s: int, interval_s: int, count: int) -> None:
        """Let the system notice when the other end has vanished without a word."""
        if self.transport is None:
            return
        end = self.transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", idle_s),
            ("TCP_KEEPINTVL", interval_s),
            ("TCP_KEEPCNT", count),
        ):
            if (option := getattr(socket, name, None)) is not None:  # not everywhere
                end.setsockopt(socket.IPPROTO_TCP, option, value)

    @property
    def own_name(self) -> str:
        """This end, as `address:port`."""
        if self.transport is None:
            return ""
        name = self.transport.get_extra_info("sockname")
        return f"{name[0]}:{name[1]}"

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        if self._early is not None:
            self._early.append(data)
        elif self._inflow is not None:
            self._inflow.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._early is not None:
            self._early_end = exc or True
        elif self._inflow is not None:
            self._inflow.end(lambda: self._links.lost(self, exc))

    def deliver_early(self) -> None:
        """Hand over what came before the link was known to stand."""
        early, self._early = self._early or [], None
        for data in early:
            self.data_received(data)
        if self._early_end is not None:
            error = self._early_end if isinstance(self._early_end, Exception) else None
            self.connection_lost(error)


def _tls_of(request: ConnectPool) -> dict[str, Any]:
    """Return what a connection takes for TLS; nothing for plain text.

    Raises:
        ValueError: What is to be trusted is no certificate.
    """
    if request.trusted is None:
        return {}
    return {
        "ssl": _context(request.trusted),
        "server_hostname": request.host,
        "ssl_shutdown_timeout": SHUTDOWN_S,
    }


@lru_cache(KEPT_CONTEXTS)
def _context(trusted: str) -> ssl.SSLContext:
    """Make what the firmware has of mbedTLS: chain and name are checked, dates not.

    Args:
        trusted: Certificates as PEM, of authorities or of the pool itself; the
            system's authorities when empty.

    Raises:
        ValueError: There is no certificate in it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An authority in between may be the one that is trusted, as in mbedTLS.
    context.verify_flags |= (
        ssl.VerifyFlags(NO_CHECK_TIME) | ssl.VERIFY_X509_PARTIAL_CHAIN
    )
    if trusted:
        # Beside the certificates themselves any text may stand.
        text = trusted.encode("ascii", "replace").decode()
        try:
            context.load_verify_locations(cadata=text)
        except ssl.SSLError as error:
            raise ValueError("there is no certificate to trust") from error
    else:
        context.load_default_certs()
    return context


def _tls_text(error: Exception) -> str:
    """Tell in OpenSSL's words why no TLS came about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error) or "the pool has hung up meanwhile"


Found = list[tuple[int, int, int, str, tuple[Any, ...]]]


async def _find(host: str, port: int) -> Found:
    """Return addresses of a host; without asking anybody where it is one."""
    try:
        version = ip_address(host).version
    except ValueError:
        if "/" in host:  # a URL, which no name server shall find an address for
            words = "Name or service not known"
            raise socket.gaierror(socket.EAI_NONAME, words) from None
        loop = asyncio.get_running_loop()
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        async with asyncio.timeout(LOOKUP_TIMEOUT_S):
            found = await loop.run_in_executor(_LOOKUPS, look_up)
        return [(int(entry[0]), *entry[1:]) for entry in found]
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    return [(family, socket.SOCK_STREAM, 0, "", (host, port))]


def _errno_text(number: int, error: OSError | None = None) -> str:
    if number:
        return f"errno {number}: {os.strerror(number)}"
    return str(error)
