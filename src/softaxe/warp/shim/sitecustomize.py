"""Puts a Python program into a fleet's time; the interpreter loads it at its start.

It runs in the program's own interpreter, which may not have softaxe: it imports the
standard library alone, and does nothing unless `SOFTAXE_WARP` tells of a fleet.
What of `time`, `datetime`, `select`, locks, queues and child processes knows time is
replaced before the program is loaded; so `from time import sleep` gets it, too.

The program's time is never ahead of the fleet's. Every wait asks the fleet's clock, so
nothing adds up that could drift. Either the fleet's time goes by itself and the program
*follows* it; or the fleet stands still and the program *drives* it: no time passes
while the program works, and when all its threads wait, it goes to the earliest
deadline.

Timeouts that guard what is real, as a request, are never shorter than they were: those
of sockets are left as they are, and while an answer is due on a socket that does not
block, as asyncio's, time goes no faster than outside.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from math import inf, isfinite
from threading import RLock, get_ident
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WHERE = "SOFTAXE_WARP"
"""The variable with what `softaxe.warp.environment` tells, as JSON."""
LEAVE = 0x50F7A4E
"""A clock that there is not; `_follow.c` leaves the program alone when it is asked."""
FRESH_S = 0.005
"""Real seconds for which an answer of the fleet's clock is good."""
MOMENT_S = 0.001
"""A program may be ahead of a fleet that stands still by so much."""
WORK_S = 5.0
"""Real seconds between two waits for which a program is taken to work; then it is
thought to wait for what cannot be seen."""
LOOK_S = 0.05
"""Real seconds between two looks at the fleet's clock, at most..."""
SHORTEST_S = 0.001
"""...and at least."""
ANSWER_S = 5.0
"""Real seconds for which an answer to what was sent is waited for. Who has not answered
by then is taken for one that never does, as a collector of metrics."""
MORE_S = 0.005
"""Real seconds for which the rest of an answer is waited for."""
TURN_S = 0.002
"""Real seconds between two looks at the other threads."""
SETTLE_S = 0.01
"""Real seconds in which a thread that is woken begins to run."""
PARKED_S = 0.25
"""Real seconds without a step after which a thread is taken for one that waits."""
FIRST_STEP_S = 0.25
"""Fleet's seconds between the first two looks at the sockets while time is driven; then
twice as many each time, so that nobody is told later than he has waited."""
GUARD_S = 5.0
"""Real seconds that a child process has, at least, if its timeout is not shorter."""
UNREACHABLE = 3
"""Status of a program whose fleet is gone."""
TRIES = 5
MOST_ANSWER_BYTES = 1 << 20

_monotonic = time.monotonic
_sleep = time.sleep
_localtime, _gmtime = time.localtime, time.gmtime


class Gone(Exception):
    """The fleet does not answer; its text says how."""


class Refused(Gone):
    """It answers, but not this; its text says why."""


class Fleet:
    """The control port of a fleet, in the little HTTP that is needed for it.

    Args:
        host: Of the port.
        port: Its number.
        token: That is asked for there; empty for none.
    """

    def __init__(self, host: str, port: int, token: str = "") -> None:
        self._host, self._port, self._token = host, port, token
        self._link: socket.SocketType | None = None

    def clock(self) -> dict[str, Any]:
        """Return what is told of its clock."""
        return _clock_of(self.ask("GET", "/control/clock"))

    def advance(self, until: float) -> dict[str, Any]:
        """Let its time go to a moment; return what is told of its clock then."""
        return _clock_of(self.ask("POST", "/control/clock/advance", {"until": until}))

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return an answer; all that is asked here may be asked twice.

        Raises:
            Gone: There is none.
        """
        said = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            f"Content-Length: {len(said)}",
        ]
        if self._token:
            lines.append(f"Authorization: Bearer {self._token}")
        request = "\r\n".join([*lines, "\r\n"]).encode() + said
        for attempt in range(TRIES):
            # Nobody else's while it is used: neither a thread's nor a signal handler's.
            link, self._link = self._link, None
            is_whole = False
            try:
                link = link or self._connected()
                link.sendall(request)
                status, answer = _answer_from(link)
                is_whole = True
            except (OSError, ValueError, RecursionError) as error:
                reason = error
                _sleep(0.1 * attempt)
                continue
            finally:
                if link is not None and not is_whole:
                    link.close()
            self.close()  # if another thread has left one
            self._link = link
            if status == 200:
                return answer
            raise Refused(str(answer.get("error", status)))
        raise Gone(f"nobody answers at {self._host}:{self._port}: {reason}")

    def close(self) -> None:
        """Leave the connection, as after a fork to the other process."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _connected(self) -> socket.SocketType:
        reason: OSError | None = None
        found = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)
        for family, kind, protocol, _name, address in found:
            link = socket.SocketType(family, kind, protocol)
            try:
                link.connect(address)
            except OSError as error:
                link.close()
                reason = error
                continue
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link
        raise reason or OSError("no address")


def _answer_from(link: socket.SocketType) -> tuple[int, dict[str, Any]]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(link, data)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(":", 1) for line in lines)
    length = int(fields.get("content-length", "none"))
    while len(body) < length:
        body += _some(link, body)
    answer = json.loads(body)
    if not isinstance(answer, dict):
        raise ValueError("its answer is no JSON object")
    return int([*first.split(), "", "none"][1]), answer


def _some(link: socket.SocketType, before: bytes) -> bytes:
    data = link.recv(65536)
    if not data:
        raise OSError("it has hung up")
    if len(before) + len(data) > MOST_ANSWER_BYTES:
        raise OSError(f"its answer has over {MOST_ANSWER_BYTES} bytes")
    return data


def _clock_of(said: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a clock.

    Raises:
        Gone: It is none.
    """
    numbers = (said.get("now"), said.get("speed"))
    for number in numbers:
        if type(number) not in (int, float) or not isfinite(number):  # type: ignore[arg-type]
            raise Gone(f"this is no clock of a fleet: {str(said)[:200]}")
    if "paused" not in said:
        raise Gone(f"this is no clock of a fleet: {str(said)[:200]}")
    return said


class FleetTime:
    """The fleet's time as the program sees it: it goes forward only.

    While the program works it goes on as outside, at most, and is behind a fleet that
    goes faster; while the program waits, it is the fleet's. So neither what a program
    measures nor a timeout of its own is bent by the little time that it works.

    Args:
        fleet: Whose `clock` and `advance` are asked.
        is_driven: Whether the fleet goes on only when it is told.
        real: The clock outside.
    """

    def __init__(self, fleet, *, is_driven, real=_monotonic):
        self._fleet = fleet
        self._is_driven = is_driven
        self._real = real
        self._lock = RLock()
        self._now, self._speed, self._asked_at = -inf, 0.0, -inf
        self._shift = 0.0
        self._last = -inf
        self._began, self._began_at, self._works_until = -inf, 0.0, -inf
        """Where the program's time was when it began to work, and real times: when that
        was, and when it is no work any more."""

    def now(self):
        """Return the program's time, in seconds."""
        with self._lock:
            real = self._real()
            if real >= self._works_until:
                self.go_on()
            worked_s = real - self._began_at
            least = self._began + _ever(worked_s)
            if self._is_driven:
                found = least
            elif (found := self._began + worked_s) > self._now + self._shift:
                found = max(least, min(found, self.fleet_now()))
            self._last = max(self._last, found)
            return self._last

    def fleet_now(self):
        """Return the fleet's time, in seconds of the program's."""
        with self._lock:
            if self._real() >= self._asked_at + FRESH_S:
                self._take(self._fleet.clock())
            asked_s = min(self._real() - self._asked_at, FRESH_S)
            return self._now + self._shift + asked_s * self._speed

    def left_s(self, deadline):
        """Return how many real seconds a moment is away, as the clock goes now."""
        now = self.fleet_now()
        if now >= deadline:
            return 0.0
        return (deadline - now) / self._speed if self._speed else inf

    def go_on(self):
        """Come to where the fleet is; the program works again."""
        with self._lock:
            self._began = max(self._last, self.fleet_now())
            self._began_at = self._real()
            self.still_works()

    def still_works(self):
        """Note that what follows is work, too."""
        self._works_until = self._real() + WORK_S

    def go_to(self, until):
        """Drive the fleet to a moment."""
        said = self._fleet.advance(until - self._shift)
        with self._lock:
            # It is told to the millisecond.
            self._take({**said, "now": max(said["now"], until - self._shift)})
            self.go_on()

    def _take(self, said):
        if said["now"] < self._now - 0.1:  # a snapshot was restored
            self._shift += self._now - said["now"]
        self._now = said["now"]
        self._speed = 0.0 if said["paused"] else said["speed"]
        self._asked_at = self._real()


def _ever(worked_s):
    """Return a time that ever grows and comes to nothing.

    Programs divide by what they measure, and wait until a deadline is past.
    """
    return MOMENT_S * worked_s / (worked_s + MOMENT_S)


class Answers:
    """Which sockets wait for an answer to what was sent on them.

    Args:
        real: The clock outside.
    """

    def __init__(self, real=_monotonic):
        self._real = real
        self.clients = set()
        """File numbers of those that this program has connected."""
        self._silent = set()
        self._since = {}
        """Real time, and whether more was sent than the wish to connect."""

    def connecting(self, number, *, is_done):
        """Note one that calls somebody."""
        self.clients.add(number)
        self._silent.discard(number)
        if not is_done:
            self._since[number] = (self._real(), False)

    def sent(self, number):
        """Note that something was sent."""
        if number in self.clients and number not in self._silent:
            self._since[number] = (self._real(), True)

    def received(self, number):
        """Note that something came."""
        self._since.pop(number, None)
        self._silent.discard(number)

    def closed(self, number):
        """Note an end."""
        self._since.pop(number, None)
        self._silent.discard(number)
        self.clients.discard(number)

    def left_s(self):
        """Return how long an answer is still waited for; 0 when none is."""
        now, left_s = self._real(), 0.0
        for number, (since, is_sent) in list(self._since.items()):
            left = since + ANSWER_S - now
            left_s = max(left_s, left)
            if left <= 0:
                self._since.pop(number, None)
                if is_sent:
                    self._silent.add(number)
        return left_s


class Wait:
    """A thread that waits.

    Args:
        deadline: Until then, in the fleet's time; inf for however long.
        on: What for; None for what cannot be told.
    """

    def __init__(self, deadline, on=None):
        self.deadline = deadline
        self.on = on
        self.is_woken = False
        """Whether another thread has given it since."""


class Turns:
    """Who of the threads may move the time: the one with the earliest deadline.

    And only when all others wait.

    Args:
        answers: On what else is waited.
        real: The clock outside.
        frames: Returns where every thread is.
    """

    def __init__(self, answers, real=_monotonic, frames=sys._current_frames):
        self.waits = {}
        """By thread."""
        self.starting = []
        """Threads that are about to be there."""
        self._answers = answers
        self._real = real
        self._frames = frames
        self._seen = {}
        self._threads = set()
        self._stirred_at = -inf

    def has(self, thread):
        """Tell whether a thread that waits may move the time."""
        frames, waits = self._frames(), dict(self.waits)
        if self._threads - frames.keys():  # who waits for their end will go on
            self.stir()
        self._threads = set(frames)
        if self.starting or self._real() < self._stirred_at + SETTLE_S:
            return False
        if min((wait.deadline, other) for other, wait in waits.items())[1] != thread:
            return False
        return all(
            not waits[other].is_woken
            if other in waits
            else self._is_parked(other, frame)
            for other, frame in frames.items()
            if other != thread
        )

    def stir(self):
        """Wait a moment for whoever is to be woken by what has happened."""
        self._stirred_at = self._real()

    def wake(self, on):
        """Note that a thread gives what others may wait for."""
        for wait in list(self.waits.values()):
            if wait.on is on:
                wait.is_woken = True

    def forget(self):
        """Leave the other threads to the process that has them."""
        self.waits.clear()
        self.starting.clear()
        self._threads.clear()

    def _is_parked(self, thread, frame):
        place, now = (id(frame), frame.f_lasti), self._real()
        seen_at = self._seen.get(thread, (None, 0.0))
        if seen_at[0] != place:
            self._seen[thread] = (place, now)
            return False
        return now - seen_at[1] >= PARKED_S and self._answers.left_s() <= 0


class Waits:
    """How a program waits.

    A `poll` below waits so many real seconds, at most, and returns what is true when
    the wait is over.

    Args:
        time: The fleet's.
        is_driving: Whether the program moves the fleet's time.
    """

    def __init__(
        self, time, *, is_driving, real=_monotonic, frames=sys._current_frames
    ):
        self.time = time
        self.is_driving = is_driving
        self.answers = Answers(real)
        self.turns = Turns(self.answers, real, frames)
        self._real = real
        self._threads_outside = set()

    def until(self, deadline, poll, on=None, first_step_s=inf):
        """Wait until a moment of the fleet's time.

        Args:
            deadline: The moment.
            poll: See above.
            on: What other threads may give before.
            first_step_s: Of driven time, to the first look.
        """
        if self.is_driving:
            return self._drive(deadline, poll, on, first_step_s)
        while (left_s := self.time.left_s(deadline)) > 0:
            if found := poll(max(SHORTEST_S, min(left_s, LOOK_S))):
                break
        else:
            found = poll(0.0)
        self.time.go_on()
        return found

    def _deadline(self, timeout_s):
        if self.is_driving:  # others may drive it, too
            self.time.go_on()
        return self.time.now() + timeout_s

    def _drive(self, deadline, poll, on, step_s):
        with self._waiting(Wait(deadline, on)) as wait:
            while (now := self.time.now()) < deadline:
                wait.is_woken = False
                if found := poll(0.0):
                    return found
                if self.turns.has(get_ident()):
                    self.time.go_to(min(deadline, now + step_s))
                    step_s *= 2
                elif found := poll(TURN_S):
                    return found
            return poll(0.0)

    def sleep(self, seconds):
        """Wait for nothing."""
        self.until(self._deadline(seconds), _sleep)

    def for_lock(self, take, on, timeout_s):
        """Wait for what another thread gives.

        Args:
            take: A `poll`.
            on: What it gives; None for what cannot be told.
            timeout_s: None for however long.
        """
        if found := take(0.0):
            return found
        if timeout_s is not None:
            return self.until(self._deadline(timeout_s), take, on)
        with self._waiting(Wait(inf, on)):
            found = take(None)
        self.time.go_on()
        return found

    @contextmanager
    def _waiting(self, wait):
        me = get_ident()
        before = self.turns.waits.get(me)  # a signal handler may wait inside a wait
        self.turns.waits[me] = wait
        try:
            yield wait
        finally:
            if before is None:
                self.turns.waits.pop(me, None)
            else:
                self.turns.waits[me] = before

    def for_sockets(self, poll, timeout_s):
        """Wait for sockets; first for the answers that are due, in real time."""
        if self.is_outside or (timeout_s is not None and timeout_s <= 0):
            return poll(timeout_s)
        if timeout_s is None:
            is_answer = self.answers.left_s() > 0
            found = poll(None)
            if not is_answer:
                self.time.go_on()
            return found
        deadline = self._deadline(timeout_s)
        over_at = self._real() + timeout_s
        while (answer_s := self.answers.left_s()) > 0:
            left_s = min(answer_s, over_at - self._real())
            if left_s <= 0:
                break
            if found := poll(min(left_s, LOOK_S)):
                self.time.still_works()
                return found
        if self.answers.clients and (found := poll(min(MORE_S, timeout_s))):
            self.time.still_works()
            return found
        return self.until(deadline, poll, first_step_s=FIRST_STEP_S)

    def for_child(self, poll, timeout_s):
        """Wait for a child process; tell whether it has ended.

        It works in real time, too: it has as long as it had, or some seconds and until
        the fleet has come there.
        """
        deadline, began = self._deadline(timeout_s), self._real()
        with self._waiting(Wait(inf)):
            while not self._outside(poll, LOOK_S):
                took_s = self._real() - began
                has_had_some = took_s >= min(timeout_s, GUARD_S)
                if took_s >= timeout_s:
                    return False
                if has_had_some and self.time.fleet_now() >= deadline:
                    return False
        self.time.go_on()
        return True

    @property
    def is_outside(self):
        """Whether time is the real one for this thread."""
        return get_ident() in self._threads_outside

    def _outside(self, poll, real_s):
        self._threads_outside.add(get_ident())
        try:
            return poll(real_s)
        finally:
            self._threads_outside.discard(get_ident())


class Replaced:
    """Stands for a function in C: no method, when it is a member of a class."""

    def __init__(self, work, real):
        self._work = work
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(self, name, getattr(real, name, None))

    def __call__(self, *arguments, **named):
        return self._work(*arguments, **named)


def replace_members(owner, works):
    """Put functions in the place of a module's, wherever they have been taken to."""
    own = sys.modules.get(__name__)
    for name, work in works.items():
        real = getattr(owner, name, None)
        if real is None:  # not on this system
            continue
        replaced = Replaced(work, real)
        for module in list(sys.modules.values()):
            if module is own or not isinstance(module, ModuleType):
                continue
            for where, value in list(vars(module).items()):
                if value is real:
                    setattr(module, where, replaced)
        setattr(owner, name, replaced)


def replace_method(kind, name, work):
    """Put a method in the place of one of a type in C; return the one before.

    The type stays the same, for isinstance, pickle and other libraries in C.
    """
    import gc

    real = vars(kind)[name]
    try:
        setattr(kind, name, work)
    except TypeError:  # its members are fixed; but they are in a dictionary
        import ctypes

        (members,) = gc.get_referents(vars(kind))
        members[name] = work
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
    return real


def replace_clocks(waits, epoch_s, monotonic_s):
    """Have `time` and `datetime` tell the fleet's time.

    Args:
        waits: Know it, and who is outside.
        epoch_s: Unix time when it was 0.
        monotonic_s: What the monotonic clock told then.
    """

    def now():
        return epoch_s + waits.time.now()

    def monotonic():
        if waits.is_outside:
            return _monotonic()
        return monotonic_s + waits.time.now()

    def clock_gettime(clock):
        if clock in of_day:
            return now()
        return monotonic() if clock in steady else clock_gettime_before(clock)

    def strftime(form, when=None):
        return strftime_before(form, _localtime(now()) if when is None else when)

    def asctime(when=None):
        return asctime_before(_localtime(now()) if when is None else when)

    strftime_before, asctime_before = time.strftime, time.asctime
    ctime_before = time.ctime
    clock_gettime_before: Any = getattr(time, "clock_gettime", None)
    of_day, steady = (
        {getattr(time, name, None) for name in names}
        for names in (
            ("CLOCK_REALTIME", "CLOCK_TAI"),
            ("CLOCK_MONOTONIC", "CLOCK_MONOTONIC_RAW", "CLOCK_BOOTTIME"),
        )
    )
    works = {
        "time": now,
        "monotonic": monotonic,
        "perf_counter": monotonic,
        "clock_gettime": clock_gettime,
        "localtime": lambda at=None: _localtime(now() if at is None else at),
        "gmtime": lambda at=None: _gmtime(now() if at is None else at),
        "ctime": lambda at=None: ctime_before(now() if at is None else at),
        "strftime": strftime,
        "asctime": asctime,
    }
    works |= {
        f"{name}_ns": lambda *which, work=works[name]: int(work(*which) * 1e9)
        for name in ("time", "monotonic", "perf_counter", "clock_gettime")
    }
    replace_members(time, works)
    import datetime as dates

    def date_now(cls, tz=None):
        return cls.fromtimestamp(now(), tz)

    def date_utcnow(cls):
        return cls.fromtimestamp(now(), dates.timezone.utc).replace(tzinfo=None)

    # `today` asks time.time itself.
    replace_method(dates.datetime, "now", classmethod(date_now))
    replace_method(dates.datetime, "utcnow", classmethod(date_utcnow))


def replace_waits(waits):
    """Have a program that waits wait for the fleet."""

    def sleep(seconds, /):
        if not seconds > 0 or waits.is_outside:
            _sleep(seconds)  # which knows what is wrong with it
            return
        waits.sleep(seconds)

    replace_members(time, {"sleep": sleep})
    _replace_select(waits)
    _replace_locks(waits)
    _note_answers(waits)
    _replace_children(waits)


def _replace_select(waits):
    try:
        import select
    except ImportError:
        return

    def wait_select(readers, writers, others, timeout=None):
        before = real_select

        def poll(real_s):
            found = before(readers, writers, others, real_s)
            return found if any(found) else None

        return waits.for_sockets(poll, timeout) or ([], [], [])

    real_select = select.select
    works = {"select": wait_select}
    for name, per_s in (("epoll", 1.0), ("poll", 1000.0), ("devpoll", 1000.0)):
        if (real := getattr(select, name, None)) is not None:
            works[name] = _poller(waits, real, per_s)
    if (real := getattr(select, "kqueue", None)) is not None:
        works["kqueue"] = _kqueue(waits, real)
    # Classes, and functions that are called like them; selectors has them as members.
    import selectors

    for kind in vars(selectors).values():
        member = "_selector_cls"
        real = vars(kind).get(member) if isinstance(kind, type) else None
        if real is not None:
            setattr(kind, member, works[real.__name__.rpartition(".")[2]])
    for name, work in works.items():
        setattr(select, name, work)


def _poller(waits, real, per_s):
    """Make what stands for a class of pollers that count `per_s` to a second."""

    class Poller:
        def __init__(self, *arguments, **named):
            self._real = real(*arguments, **named)

        @classmethod
        def fromfd(cls, number):
            self = cls.__new__(cls)
            self._real = real.fromfd(number)
            return self

        def __getattr__(self, name):
            return getattr(self._real, name)

        def __enter__(self):
            self._real.__enter__()
            return self

        def __exit__(self, *error):
            return self._real.__exit__(*error)

        def poll(self, timeout=None, *more, **named):
            def poll(real_s):
                count = None if real_s is None else real_s * per_s
                return self._real.poll(count, *more, **named)

            is_endless = timeout is None or timeout < 0
            return waits.for_sockets(poll, None if is_endless else timeout / per_s)

    Poller.__name__ = Poller.__qualname__ = real.__name__
    Poller.__module__ = "select"
    return Poller


def _kqueue(waits, real):
    poller: Any = _poller(waits, real, 1.0)

    class Kqueue(poller):  # type: ignore[misc]
        def control(self, changes, most, timeout=None, /):
            if changes is not None or not most:
                return self._real.control(changes, most, timeout)
            return waits.for_sockets(
                lambda real_s: self._real.control(None, most, real_s), timeout
            )

    Kqueue.__name__ = Kqueue.__qualname__ = "kqueue"
    return Kqueue


def _replace_locks(waits):
    def acquire(self, blocking=True, timeout=-1):
        if not blocking or (timeout < 0 and timeout != -1) or timeout > most_s:
            return acquire_before(self, blocking, timeout)

        def take(real_s):
            return acquire_before(self, True, -1 if real_s is None else real_s)

        timeout_s = None if timeout == -1 else timeout
        return waits.for_lock(take, self, timeout_s)

    def release(self):
        waits.turns.wake(self)
        release_before(self)

    def acquire_again(self, blocking=True, timeout=-1):
        if not blocking or timeout <= 0 or timeout > most_s:
            return acquire_again_before(self, blocking, timeout)
        return waits.for_lock(
            lambda real_s: acquire_again_before(self, True, real_s), None, timeout
        )

    def get(self, block=True, timeout=None):
        if not block or (timeout is not None and timeout < 0):
            return get_before(self, block, timeout)

        def take(real_s):
            try:
                return [get_before(self, True, real_s)]
            except queue.Empty:
                return None

        found = waits.for_lock(take, self, timeout)
        if found is None:
            raise queue.Empty
        return found[0]

    def put(self, item, block=True, timeout=None):
        waits.turns.wake(self)
        put_before(self, item, block, timeout)

    def join(self, timeout=None):
        def take(real_s):
            join_before(self, real_s)
            return not self.is_alive()

        if timeout is not None and timeout > 0 and self.ident is not None:
            waits.for_lock(take, None, timeout)
        else:
            join_before(self, timeout)

    def start(self):
        waits.turns.starting.append(self)
        try:
            start_before(self)
        finally:
            waits.turns.starting.remove(self)

    most_s = threading.TIMEOUT_MAX
    lock = type(threading.Lock())
    acquire_before = replace_method(lock, "acquire", acquire)
    acquire_again_before = replace_method(
        type(threading.RLock()), "acquire", acquire_again
    )
    get_before = replace_method(queue.SimpleQueue, "get", get)
    join_before = replace_method(threading.Thread, "join", join)
    if waits.is_driving:
        release_before = replace_method(lock, "release", release)
        put_before = replace_method(queue.SimpleQueue, "put", put)
        start_before = replace_method(threading.Thread, "start", start)


def _note_answers(waits):
    answers = waits.answers
    kind: Any = socket.socket

    def is_stream(self):
        return self.type == socket.SOCK_STREAM and self.family != socket.AF_UNIX

    def connecting(name):
        before = getattr(kind, name)

        def method(self, address, /):
            is_done = False
            try:
                error = before(self, address)
                is_done = not error
            finally:
                if is_stream(self):
                    answers.connecting(self.fileno(), is_done=is_done)
            return error

        setattr(kind, name, method)

    def sending(name):
        before = getattr(kind, name)

        def method(self, *arguments):
            if self.family == socket.AF_UNIX:  # a loop of this program is woken so
                waits.turns.stir()
            found = before(self, *arguments)
            answers.sent(self.fileno())
            return found

        setattr(kind, name, method)

    def receiving(name):
        before = getattr(kind, name)

        def method(self, *arguments, **named):
            found = before(self, *arguments, **named)
            answers.received(self.fileno())
            return found

        setattr(kind, name, method)

    def closing(name):
        before = getattr(kind, name)

        def method(self):
            answers.closed(self.fileno())
            return before(self)

        setattr(kind, name, method)

    notes = {
        connecting: ("connect", "connect_ex"),
        sending: ("send", "sendall", "sendmsg"),
        receiving: ("recv", "recv_into", "recvmsg", "recvmsg_into"),
        closing: ("close", "detach"),
    }
    if hasattr(socket, "AF_UNIX"):
        for note, names in notes.items():
            for name in names:
                note(name)


def _replace_children(waits):
    import subprocess

    kind: Any = subprocess.Popen
    wait_before, communicate_before = kind.wait, kind.communicate

    def wait(self, timeout=None):
        def poll(real_s):
            try:
                wait_before(self, real_s)
            except subprocess.TimeoutExpired:
                return False
            return True

        if timeout is None or timeout <= 0 or waits.is_outside:
            found = wait_before(self, timeout)
            waits.time.go_on()
            return found
        if not waits.for_child(poll, timeout):
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, input=None, timeout=None):  # noqa: A002 - its name
        if timeout is None or timeout <= 0:
            found = communicate_before(self, input, timeout)
            waits.time.go_on()
            return found
        said = [input]
        errors: list[subprocess.TimeoutExpired] = []

        def poll(real_s):
            try:
                errors[:] = []
                # What was said is remembered, and may not be said again.
                taken = communicate_before(self, said.pop() if said else None, real_s)
            except subprocess.TimeoutExpired as error:
                error.timeout = timeout
                errors.append(error)
                return False
            said.append(taken)
            return True

        if not waits.for_child(poll, timeout):
            raise errors[0]
        return said[0]

    kind.wait, kind.communicate = wait, communicate


def replace_uvloop():
    """Offer asyncio's own loop as uvloop, which waits in C."""
    from importlib.machinery import PathFinder

    if PathFinder.find_spec("uvloop") is None:
        return
    module = ModuleType("uvloop", "asyncio's own loop, in a fleet's time.")

    def member(name):
        import asyncio

        members = {
            "install": lambda: None,
            "run": asyncio.run,
            "new_event_loop": asyncio.new_event_loop,
            "Loop": asyncio.SelectorEventLoop,
            "EventLoopPolicy": getattr(asyncio, "DefaultEventLoopPolicy", None),
        }
        if members.get(name) is None:
            raise AttributeError(f"uvloop: {name} is not there in a fleet's time")
        return members[name]

    vars(module)["__getattr__"] = member
    sys.modules["uvloop"] = module


def run_next():
    """Run the sitecustomize that would have been run without this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))
    places = [place for place in sys.path if os.path.abspath(place) != here]
    spec = PathFinder.find_spec("sitecustomize", places)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


class _Lasting(Fleet):
    """A fleet without which the program cannot go on."""

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return an answer, or end the program."""
        try:
            return super().ask(method, path, body)
        except Gone as error:  # waits do not fail, so nobody else would end it
            with suppress(Exception):
                sys.stdout.flush()
            os.write(2, f"softaxe: the fleet's time has ended: {error}\n".encode())
            os._exit(UNREACHABLE)


def enter(told):
    """Put this program into a fleet's time.

    Args:
        told: What `softaxe.warp.environment` wrote.
    """
    if "SOFTAXE_WARP_CLOCK" in os.environ:
        with suppress(OSError):  # a Python that is static has not loaded it
            time.clock_gettime(LEAVE)
    fleet = _Lasting(told["host"], told["port"], told["token"])
    atexit.register(fleet.close)
    fleet_time = FleetTime(fleet, is_driven=told["drive"])
    waits = Waits(fleet_time, is_driving=told["drive"])
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=fleet.close)
        os.register_at_fork(after_in_child=waits.turns.forget)
    fleet_time.now()
    replace_clocks(waits, told["epoch_s"], told["monotonic_s"])
    replace_waits(waits)
    replace_uvloop()
    if told["seen"]:
        os.close(os.open(told["seen"], os.O_CREAT | os.O_WRONLY, 0o600))


if WHERE in os.environ:
    try:
        enter(json.loads(os.environ[WHERE]))
    except Exception:  # noqa: BLE001 - or the interpreter would go on in real time
        import traceback

        traceback.print_exc()
        os._exit(UNREACHABLE)
    run_next()
