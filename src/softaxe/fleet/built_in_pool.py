"""The pool that comes with a fleet: started when the first device needs it."""

import math
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EADDRINUSE
from functools import partial
from typing import Literal

from softaxe.fleet.clock import Clock
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.pool_server import FIRST_PORT_TRIES, PoolServer
from softaxe.fleet.turns import Turns
from softaxe.serve.addresses import found_at
from softaxe.serve.intake import Intake
from softaxe.serve.storage import SettingValue
from softaxe.stratum.dialects import dialect_of
from softaxe.stratum.pool import Miner, Pool
from softaxe.units import Log

TELL_S = 0.001
"""Real seconds that the pool may tell miners of a job without a look at the sockets;
what they do with it takes some times as long."""


class BuiltInPool:
    """A pool on two ports, as a primary and a fallback; nothing until `start`.

    Where a device wants TLS, it has two more for that, and two for Stratum v2. Other
    people's miners may come to those, too, or to a place of their own.

    Args:
        options: Of the fleet.
        clock: Its time.
        intake: Where what miners send takes its turns.
        log: Called with what the pool says.
        seed: Of its chance.
        wake: Called when it has something to say earlier than it had.
    """

    def __init__(
        self,
        options: FleetOptions,
        clock: Clock,
        intake: Intake,
        log: Log | None,
        *,
        seed: int,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.server: PoolServer | None = None
        self._options = options
        self._clock = clock
        self._intake = intake
        self._log = log
        self._seed = seed
        self._wake = wake
        self._plain: dict[str, SettingValue] = {}
        self._tls: dict[str, SettingValue] = {}
        self._v2: dict[str, SettingValue] = {}
        """Where a device finds it, by NVS key."""

    async def start(
        self,
        *,
        take_up: Callable[[Miner], None],
        has_plain: bool = True,
        has_tls: bool = False,
        has_v2: bool = False,
    ) -> None:
        """Open its ports, once; the place for miners from outside comes first.

        Args:
            take_up: As for `PoolServer`.
            has_plain: Those for devices that speak Stratum v1 in plain text.
            has_tls: Those for TLS, too.
            has_v2: Those for Stratum v2, too.

        Raises:
            OSError: None of the ports is free.
        """
        if self.server is None:
            pool = self._new_pool()
            self.server = PoolServer(
                pool,
                self._clock,
                intake=self._intake,
                take_up=take_up,
                wake=self._wake,
            )
            await self._open_place(self.server)
        if has_plain and not self._plain:
            self._plain = await self._listen(self.server, self._options.pool_port)
        if has_tls and not self._tls:
            from softaxe.fleet.certificates import make, server_context  # noqa: PLC0415

            host = found_at(self._options.pool_host)
            own = make([host, "localhost"], seed=self._seed)  # devices may keep it
            tls = server_context(own)
            rows = await self._listen(self.server, self._options.pool_port, tls)
            self._tls = {**rows, "stratumcert": own.pem, "fbstratumcert": own.pem}
        if has_v2 and not self._v2:
            key = self._authority_of(self.server)
            wanted = self._options.pool_port
            rows = await self._listen(self.server, wanted, is_v2=True)
            self._v2 = {**rows, "sv2authpubkey": key, "fbsv2authpubk": key}

    async def _open_place(self, server: PoolServer) -> None:
        """Listen where other people's miners are told to come, if they are."""
        pool = self._options.pool
        if pool.place is None:
            return
        tls = None
        if pool.certificate is not None:
            from softaxe.fleet.certificates import server_context  # noqa: PLC0415

            tls = server_context(pool.certificate)
        host, wanted = pool.place
        if pool.has_v2:
            self._authority_of(server)
        with _told_of("--host", host, wanted):
            await server.listen(host, wanted, tls=tls)
            if pool.has_v2:
                await server.listen(host, wanted + 1 if wanted else 0, is_v2=True)

    def _authority_of(self, server: PoolServer) -> str:
        """Let Stratum v2 be spoken; return the key by which the pool is known."""
        if server.entrance is None:
            from softaxe.stratum.v2.pool import Entrance  # noqa: PLC0415 - has libraries

            server.entrance = Entrance(server.pool, seed=self._seed)
        return server.entrance.authority.text

    async def _listen(
        self,
        server: PoolServer,
        wanted: int,
        tls: ssl.SSLContext | None = None,
        *,
        is_v2: bool = False,
    ) -> dict[str, SettingValue]:
        """Open two ports; return where a device finds them."""
        own = self._options.pool_host
        listen = partial(server.listen, tries=FIRST_PORT_TRIES, tls=tls, is_v2=is_v2)
        with _told_of("--pool-host", own):
            host, port = await listen(own, wanted)
            _, second = await listen(own, port + 1 if wanted else 0)
        return {
            "stratumurl": host,
            "stratumport": port,
            "fbstratumurl": host,
            "fbstratumport": second,
        }

    async def close(self) -> None:
        """Close its ports and connections."""
        if self.server is not None:
            await self.server.close()

    def rows(
        self, way: Literal["plain", "tls", "v2"] = "plain"
    ) -> dict[str, SettingValue]:
        """Where a device finds it, by NVS key."""
        return {"plain": self._plain, "tls": self._tls, "v2": self._v2}[way]

    @property
    def next_wake(self) -> float:
        """Device time at which it has something to say."""
        return math.inf if self.server is None else self.server.pool.next_wake

    @property
    def is_quiet(self) -> bool:
        """True when no byte is under way between it and devices of this process."""
        return self.server is None or not self.server.wire.bytes_under_way

    async def step(self, now: float) -> None:
        """Let it say what is due, to a few miners at a time."""
        server = self.server
        if server is None:
            return
        turns = Turns(TELL_S)
        while server.pool.next_wake <= now:
            server.step(server.pool.next_wake)
            await turns.give()
        server.step(now)

    def start_over(self) -> None:
        """Go on with a pool that has seen nothing yet; all connections end."""
        if self.server is not None:
            self.server.replace(self._new_pool())

    def replace(self, pool: Pool | None) -> None:
        """Go on with another pool; all connections end."""
        if self.server is not None and pool is not None:
            pool.log = self._log
            self.server.replace(pool)

    def _new_pool(self) -> Pool:
        options = self._options
        dialect = dialect_of(
            options.pool_dialect,
            job_version=options.pool_job_version,
            share_version=options.pool_share_version,
        )
        unit, start = options.pool.difficulty_unit, options.pool.start_difficulty
        if start is None:
            start = dialect.start(options.pool.usual_difficulty, unit=unit)
        return Pool(
            seed=self._seed,
            start_difficulty=start,
            network_difficulty=options.pool.network_difficulty,
            block_interval_s=options.pool.block_interval_s,
            start_time=options.start_time,
            smallest_difficulty=options.pool.smallest_difficulty,
            difficulty_unit=unit,
            dialect=dialect,
            log=self._log,
        )


@contextmanager
def _told_of(option: str, host: str, port: int = 0) -> Iterator[None]:
    """Say which option named an address, or a port, at which nobody can listen."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        where = f"{option}: {host}"
        if port and error.errno == EADDRINUSE:
            where = f"--port: {host} port {port}"
        raise OSError(error.errno, f"{where}: {why}") from error
