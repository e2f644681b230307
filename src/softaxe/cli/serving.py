"""Devices that run until a signal comes, and what is told of them at the start."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from softaxe import __version__
from softaxe.api.access import is_allowed, is_loopback
from softaxe.bitcoin import kernel
from softaxe.cli.log_lines import ShowLog
from softaxe.cli.terminal import show_progress, stop_on_signals, warn
from softaxe.errors import FleetStopped, NotNow
from softaxe.units import Log, printable

WATCH_S = 10.0
LOOK_S = 5.0
"""Real seconds between two looks at what a device does; what lasts for two is told."""
_NO_PORT = {EACCES, EADDRINUSE, EADDRNOTAVAIL}
ENOUGH = 0.95
"""Of a speed that is wished; what is below is told."""

if TYPE_CHECKING:
    from softaxe.fleet.fleet import Fleet
    from softaxe.fleet.options import FleetOptions
    from softaxe.fleet.parts.whole import Whole
    from softaxe.fleet.pool_server import PoolServer
    from softaxe.serve.member import Member, MemberOptions


async def serve(
    options: "FleetOptions",
    show_log: ShowLog,
    where: str,
    token: str,
    play: Callable[["Fleet"], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Run devices until a signal comes, or the control API says so.

    Args:
        options: Which devices.
        show_log: Takes their log.
        where: Their state is, in words.
        token: Of the control API; empty for none.
        play: Happens meanwhile; the devices end with it.
    """
    from softaxe.fleet.fleet import Fleet, settle_memory  # noqa: PLC0415
    from softaxe.fleet.parts.whole import here  # noqa: PLC0415

    fleet = Fleet(
        options,
        show_log=show_log,
        log_levels=show_log.levels,
        show_progress=show_progress,
        show_stop=_tell_stop,
    )

    def tell() -> None:
        if len(fleet.members) == 1:
            _tell_device(next(iter(fleet.members.values())))
        else:
            _tell_fleet(fleet)
        settle_memory()

    async def watch() -> None:
        if play is not None:
            try:
                await play(fleet)
            finally:
                whole.stop()
        elif len(fleet.members) == 1:
            await watch_mining(next(iter(fleet.members.values())))

    whole = here(fleet)
    await _serve(whole, tell, where, token, watch)


async def serve_parts(  # noqa: PLR0917 - as `serve`, and what its processes need
    options: "FleetOptions",
    workers: int,
    show_log: ShowLog,
    where: str,
    token: str,
    prepare: Callable[[], None],
) -> None:
    """Run devices in several processes until a signal comes.

    Each of them calls `prepare` first.
    """
    from softaxe.fleet.parts.processes import in_processes  # noqa: PLC0415

    whole = in_processes(
        options,
        workers,
        show_log=show_log,
        log_levels=show_log.levels,
        show_progress=show_progress,
        show_stop=_tell_stop,
        prepare=prepare,
    )

    def tell() -> None:
        typer.echo(f"  devices  {whole.device_count} in {workers} processes")

    await _serve(whole, tell, where, token)


async def serve_pool(
    options: "FleetOptions",
    show_log: Log,
    tell: Callable[["PoolServer"], None],
    token: str,
) -> None:
    """Run the built-in pool, without any devices, until a signal comes.

    Args:
        options: Which, and where.
        show_log: Takes what it says.
        tell: Called once it is open.
        token: Of the control API; empty for none.
    """
    from softaxe.fleet.fleet import Fleet  # noqa: PLC0415
    from softaxe.fleet.parts.whole import here  # noqa: PLC0415

    fleet = Fleet(options, show_pool_log=show_log, show_stop=_tell_stop)

    def tell_of_pool() -> None:
        assert fleet.pool_server is not None
        tell(fleet.pool_server)

    await _serve(here(fleet), tell_of_pool, "", token)


async def serve_cluster(  # noqa: PLR0917 - as the others, and where
    options: "FleetOptions",
    address: str,
    workers: int | None,
    show_log: ShowLog,
    where: str,
    token: str,
) -> None:
    """Run devices on the machines of a Ray cluster until a signal comes."""
    from softaxe.fleet.parts.cluster import in_cluster  # noqa: PLC0415 - needs Ray

    whole = in_cluster(
        options,
        address,
        workers,
        show_log=show_log,
        levels=show_log.levels,
        tell=warn,
        show_progress=show_progress,
        show_stop=_tell_stop,
    )

    def tell() -> None:
        machines = Counter(part.state.place.partition(",")[0] for part in whole.parts)
        told = ", ".join(f"{count} on {at}" for at, count in machines.items())
        typer.echo(f"  devices  {whole.device_count} in {len(whole.parts)} actors")
        typer.echo(f"  machines {told}")

    await _serve(whole, tell, where, token)


async def _nothing() -> None:
    """There is nothing more to watch."""


async def _serve(
    whole: "Whole",
    tell: Callable[[], None],
    where: str,
    token: str,
    watch: Callable[[], Coroutine[Any, Any, None]] = _nothing,
) -> None:
    from softaxe.control.api import open_control  # noqa: PLC0415

    stop_on_signals(whole.stop)
    listener = None
    try:
        with _told_of_port("--control"):
            listener = await open_control(whole, token)
        with _told_of_port("--port"):
            await whole.start()
        if whole.options.faults:
            await _warn_of_idle_faults(whole)
        typer.echo(f"softaxe {__version__}")
        tell()
        if listener is not None:
            typer.echo(f"  control  {listener.url}")
        typer.echo(f"  seed     {whole.options.seed}; --seed makes such a run again")
        if where:
            typer.echo(f"  state    {where}")
        typer.echo("Ctrl-C stops it.")
        sys.stdout.flush()
        is_load = any(group.share_rate for group in whole.options.groups)
        watching = [asyncio.ensure_future(one) for one in (watch_speed(whole), watch())]
        if is_load:
            watching.append(asyncio.ensure_future(watch_load(whole)))
        try:
            await whole.run(partial(_tell_load, whole) if is_load else None)
        finally:
            for one in watching:
                one.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        for one in watching:
            if not one.cancelled():
                one.result()
    except FleetStopped:  # Ctrl-C before it had started
        pass
    finally:
        await whole.close()
        if listener is not None:
            await listener.close()


def warn_of_open_control(options: "FleetOptions", token: str) -> None:
    """Tell that others may order things."""
    from softaxe.fleet.options import control_address  # noqa: PLC0415

    address = control_address(options.control)
    if address is not None and not token and not is_loopback(address[0]):
        warn(
            f"--control {options.control}: whoever reaches it may order faults and end "
            "this process; give it a --control-token"
        )


async def _warn_of_idle_faults(whole: "Whole") -> None:
    """Tell which faults meet no device; some may come later."""
    from softaxe.device.faults import PARTS  # noqa: PLC0415
    from softaxe.fleet.parts.merge import faults  # noqa: PLC0415

    for rule in faults(await whole.ask("faults"))["faults"]:
        patterns = {rule.get(name, "*") for name in ("device", "group", "firmware")}
        is_for_all = patterns == {"*"} and not rule.keys() & PARTS.keys()
        if not rule["matches"] and not is_for_all:
            warn(f"fault {rule['id']} ({rule['effect']}): it meets no device so far")


@contextmanager
def _told_of_port(option: str) -> Iterator[None]:
    """Say by which option another port is to be had when one is taken."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_PORT or str(error.strerror).startswith("--"):
            raise
        raise OSError(error.errno, f"{option}: {error.strerror}") from error


async def watch_mining(member: "Member") -> None:
    """Tell when the device no longer mines where it shall, why, and when it does."""
    seen, told = "", ""
    while True:
        await asyncio.sleep(LOOK_S)
        before, seen = seen, _trouble(member)
        if seen != before or seen == told:
            continue  # perhaps it passes
        if seen:
            warn(f"{seen}; softaxe run --reset starts afresh")
        else:
            warn("mining again")
        told = seen


def _trouble(member: "Member") -> str:
    """Tell why a device does not mine where it shall, or an empty text."""
    from softaxe.fleet.rows import state_of  # noqa: PLC0415

    device = member.device
    settings = device.settings
    pool = device.pools.current
    where = f"{pool.url}:{pool.port}" if pool.url else "none is set"
    match state_of(member):
        case "access point":
            return (
                f"no Wi-Fi: {settings.ssid!r} is not in range, or its password is "
                "wrong; the device is an access point"
                if settings.ssid
                else "no Wi-Fi: none is set; the device is an access point"
            )
        case "away":
            return f"Wi-Fi lost: {settings.ssid!r}"
        case "overheated":
            return "not mining: the device has overheated"
        case "fault":
            return "not mining: the core voltage has failed"
        case "idle" if device.pools.session is None:
            return f"not mining: no answer from the pool ({where})"
        case "idle":
            return "not mining: the chip does not hash"
        case "unanswered":
            return f"the pool ({where}) does not answer shares"
        case _ if device.is_using_fallback:
            return f"primary pool lost; mining on the fallback pool ({where})"
        case _:
            return ""


async def watch_speed(whole: "Whole") -> None:
    """Tell on a terminal when time falls behind the speed it should have, and after."""
    was_behind = False
    while sys.stderr.isatty():
        await asyncio.sleep(WATCH_S)
        wished, reached = whole.clock.speed, whole.clock.reached_speed
        is_behind = reached is not None and reached < wished * ENOUGH
        if is_behind and not was_behind:
            about = float(f"{reached:.2g}")
            sys.stderr.write(f"softaxe: time runs {about:g}x, {wished:g}x wished\n")
        elif was_behind and not is_behind:
            sys.stderr.write(f"softaxe: time runs {wished:g}x again\n")
        was_behind = is_behind


async def watch_load(whole: "Whole") -> None:
    """Tell when shares cannot come as often as wished, and when they can again."""
    from softaxe.fleet.load_report import shortage  # noqa: PLC0415
    from softaxe.fleet.parts.merge import load  # noqa: PLC0415

    seen: str | None = None
    is_told = False
    while True:
        await asyncio.sleep(WATCH_S)
        try:
            before, seen = seen, shortage(load(await whole.ask("load")))
        except NotNow:  # a process stands still, which is told elsewhere
            continue
        if seen is None and is_told:
            warn("all devices can submit as often as --share-rate says again")
        elif seen is not None and before is not None and not is_told:
            warn(seen)  # not for a pool that is about to take a suggestion
        else:
            continue
        is_told = not is_told


async def _tell_load(whole: "Whole") -> None:
    from softaxe.fleet.load_report import report  # noqa: PLC0415
    from softaxe.fleet.parts.merge import load  # noqa: PLC0415

    try:
        found = load(await whole.ask("load"))
    except NotNow as error:
        warn(f"no word on the load on pools: {error}")
        return
    typer.echo("Load on pools")
    for line in report(found):
        typer.echo(printable(line))
    sys.stdout.flush()


def _tell_stop(stood_s: float) -> None:
    sys.stderr.write(
        f"softaxe: device time stood still for {stood_s:.0f} s, as the process was "
        "stopped; it goes on from where it was\n"
    )


def _tell_device(member: "Member") -> None:
    device = member.device
    row = device.board
    typer.echo(f"  address  {member.url}")
    typer.echo(
        f"  board    {row.version} {row.family} ({row.asic_count} x {row.chip.name})"
    )
    typer.echo(f"  firmware {printable(device.version)}")
    _tell_access(member)
    if (name := member.local_name) is not None:
        typer.echo(f"  name     {printable(name)}, by mDNS")
    is_away = device.radio.is_ap_enabled and not device.radio.is_connected
    if is_away and member.options.body is None:  # which has only just been switched on
        name = device.radio.ap_name
        typer.echo(f"  wi-fi    none: you have joined its access point {name}")
    pool = member.pool_text
    options, is_own = member.options, pool.startswith("built-in")
    typer.echo(f"  pool     {printable(pool)}")
    typer.echo(f"  work     {_work_text(options, is_own=is_own)}")


def _tell_access(member: "Member") -> None:
    """Tell when those are not let in who are where the device is."""
    from softaxe.serve.addresses import address_of  # noqa: PLC0415

    told, profile = member.device.identity.ipv4, member.device.profile
    own = address_of(told) or told
    is_let_in = is_allowed(
        own,
        None,
        None,
        profile=profile,
        hostname="",
        is_ap_enabled=False,
        networks=member.networks,
    )
    if not is_let_in:
        whose = "a device" if profile.loopback_allowed else "the firmware"
        typer.echo(
            f"  access   401 from {own}: {whose} lets only private addresses in, see "
            "--host and --allow-network"
        )


def _tell_fleet(fleet: "Fleet") -> None:
    members = list(fleet.members.values())
    first, last = members[0], members[-1]
    typer.echo(f"  devices  {len(members)}, {first.url} to {last.url}")
    _tell_access(first)
    releases = Counter(member.firmware for member in members).items()
    told = ", ".join(f"{version} on {count}" for version, count in releases)
    typer.echo(f"  firmware {printable(told)}")
    for name, count in Counter(member.group for member in members).items():
        some = next(member for member in members if member.group == name)
        rate = some.options.share_rate
        load = "" if rate is None else f", about {rate:g} shares a minute of each"
        pool = printable(some.pool_text)
        typer.echo(f"  group    {name}: {count}, pool {pool}{load}")


def _work_text(options: "MemberOptions", *, is_own: bool) -> str:
    work = options.work
    if options.body is not None:
        return "metal: what the chips find is real, and nothing is searched here"
    if options.share_rate is not None:
        rate = f"{options.share_rate:g} shares a minute"
        return f"scaled: about {rate}, whatever difficulty the pool asks for"
    is_scaled = work == "scaled" or (work == "auto" and is_own)
    name = "scaled" if is_scaled else "real"
    meaning = (
        "each searched hash stands for 2^32 of the chip"
        if is_scaled
        else f"a hash is a hash ({kernel.chosen_variant()} kernel)"
    )
    chosen = ", chosen by the pool" if work == "auto" else ""
    return f"{name}: {meaning}{chosen}"
