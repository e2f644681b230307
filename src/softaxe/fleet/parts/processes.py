"""Parts of a fleet in processes of their own, reached by a pair of sockets each.

Both ends speak in frames of MessagePack, each with its length before it: a question has
a number, a name and arguments, its answer the number, what went wrong, and what came of
it. Nothing that a process says is unpickled.
"""

import asyncio
import itertools
import multiprocessing
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, MutableSequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import resource_tracker
from typing import Any

import msgspec

from softaxe import errors
from softaxe.device.logbook import LEVELS, LogLine
from softaxe.errors import FleetStopped, NotNow, SoftaxeError
from softaxe.fleet.clock import Clock, Pace
from softaxe.fleet.event_loop import new_event_loop
from softaxe.fleet.fleet import Fleet, ShowProgress, settle_memory
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.parts.division import divided, in_words
from softaxe.fleet.parts.operations import Operations
from softaxe.fleet.parts.part import ANSWER_S, PartState
from softaxe.fleet.parts.whole import Whole
from softaxe.fleet.search_thread import Budget
from softaxe.serve.storage import Storage
from softaxe.units import Level

ShowLog = Callable[[str, LogLine], None]
END_S = 60.0
"""Real seconds until a part that does not end is killed."""
BEAT_S = 1.0
"""Real seconds between two looks at a part that somebody waits for."""
STILL_S = 5.0
"""Real seconds without a word until it is taken to stand still."""
LENGTH_BYTES = 4
OF_LIFE = 0
"""The number of words about its own life, and of looks at it."""
BEGUN, UP = "begun", "up"
_ERRORS = {
    kind.__name__: kind
    for kind in (*vars(errors).values(), OSError)
    if isinstance(kind, type) and issubclass(kind, SoftaxeError | OSError)
}
"""What may go wrong in a part, and be told by its name."""


def in_processes(
    options: FleetOptions,
    count: int,
    *,
    show_log: ShowLog | None = None,
    log_levels: Collection[Level] = LEVELS,
    show_progress: ShowProgress = lambda what, done, of: None,
    show_stop: Callable[[float], None] = lambda stood_s: None,
    prepare: Callable[[], None] | None = None,
) -> Whole:
    """Return a fleet that is divided among processes.

    Args:
        options: Of the whole fleet.
        count: How many processes.
        show_log: Called in the processes with the id and log lines; must bear
            pickling.
        log_levels: Of the lines that it is called with.
        show_progress: As for `Fleet`.
        show_stop: As for `Fleet`; of this process or of one that all wait for.
        prepare: Called first in each process; must bear pickling.

    Raises:
        SettingError: There are too few devices or addresses.
    """
    storage = Storage(options.state)
    options = replace(options, seed=storage.keep_seed(options.seed))
    storage.close()
    plans = divided(options, count)
    context = multiprocessing.get_context("spawn")
    paces, budgets = context.RawArray("d", 2 * count), context.RawArray("d", count)
    parts = [
        ProcessPart(
            number, plan, paces, budgets, show_log, prepare, log_levels=log_levels
        )
        for number, plan in enumerate(plans)
    ]
    clock = Clock(speed=options.speed, is_paused=options.is_paused, tell_lost=show_stop)
    return Whole(options, parts, clock, show_progress=show_progress)


class ProcessPart:
    """A part in a process of its own.

    Args:
        number: Which, from 0.
        options: Of the part.
        paces: Shared by all; two numbers for each.
        budgets: Shared by all; a number for each.
        show_log: Called in the process with the id and every log line.
        prepare: Called in the process, first.
        log_levels: Of the lines that `show_log` is called with.
    """

    def __init__(  # noqa: PLR0917 - all that a process is started with
        self,
        number: int,
        options: FleetOptions,
        paces: MutableSequence[float],
        budgets: MutableSequence[float],
        show_log: ShowLog | None,
        prepare: Callable[[], None] | None = None,
        *,
        log_levels: Collection[Level] = LEVELS,
    ) -> None:
        self._prepare = prepare
        self._log_levels = log_levels
        self._number = number
        self._options = options
        self._show_log = show_log
        self._pace = Pace(paces, number)
        self._budget = Budget(options.cpu_percent, budgets, number)
        self._process: Any = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._has_begun = self._is_told_to_end = False
        self._up: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._heard_at = 0.0
        self._is_still = False

    @property
    def now(self) -> float:
        """Device time that it has come to."""
        return self._pace.now

    @property
    def state(self) -> PartState:
        """Where it is, and how it is."""
        devices = in_words(self._options.groups)
        if self._process is None or self._up is None:
            return PartState(devices, "", "starting")
        place = f"process {self._process.pid}"
        if self._listening is None or self._listening.done():
            return PartState(devices, place, "ended")
        if self._is_still:
            return PartState(devices, place, "standing still")
        return PartState(devices, place, "up" if self._up.done() else "starting")

    def pace(self, until: float) -> None:
        """Let its devices live until this device time."""
        self._pace.until = until

    def tell_control(self, url: str) -> None:
        """Let its devices tell where the control API is; before `start`."""
        self._options = replace(self._options, control_url=url)

    # Life

    async def start(self) -> None:
        """Return when all its devices are up.

        Raises:
            SoftaxeError, OSError: They cannot be.
        """
        context = multiprocessing.get_context("spawn")
        ours, theirs = socket.socketpair()
        arguments = self._options, self._show_log, theirs, self._pace, self._budget
        self._process = context.Process(
            target=_be_part,
            args=arguments,
            kwargs={"prepare": self._prepare, "log_levels": self._log_levels},
        )
        with theirs, _deaf_to_its_terminal():
            self._process.start()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._up = asyncio.get_running_loop().create_future()
        self._listening = asyncio.ensure_future(self._listen(reader))
        await self._up

    async def run(self) -> None:
        """Return when it has ended as it was told to.

        Raises:
            SoftaxeError, OSError: Why it has ended by itself.
        """
        assert self._listening is not None
        await asyncio.shield(self._listening)
        if not self._is_told_to_end:
            raise self._failure or SoftaxeError("a process of the fleet has died")

    def stop(self) -> None:
        """Let it end soon."""
        if self._process is not None and not self._is_told_to_end:
            self._is_told_to_end = True
            self._process.terminate()

    async def end(self) -> None:
        """Wait until it has ended; kill it when that takes too long."""
        self.stop()
        process = self._process
        if process is None:
            return
        if process.is_alive() and hasattr(signal, "SIGCONT"):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)  # it may have been stopped
        await asyncio.to_thread(process.join, END_S)
        if process.is_alive():
            sys.stderr.write("softaxe: a process does not end and is killed\n")
            process.kill()
        if self._writer is not None:
            self._writer.close()
        if self._listening is not None:
            await asyncio.gather(self._listening, return_exceptions=True)

    # Asking

    def check(self) -> None:
        """Return when it can be asked.

        Raises:
            NotNow: It has not begun, has ended, or stands still.
        """
        if not self._has_begun:
            raise NotNow("the fleet is starting")
        if self._listening is None or self._listening.done():
            raise NotNow(f"{self._name()} has ended")
        if self._is_still:
            raise NotNow(f"{self._name()} stands still")

    async def ask(
        self, name: str, /, *, within_s: float = ANSWER_S, **arguments: Any
    ) -> Any:
        """Let it do one of `Operations`; see `Part`."""
        self.check()
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._say(number, name, arguments)
            await self._watch(answer, within_s)
        except BaseException:
            await self._call_off(number, answer)
            raise
        finally:
            del self._waiting[number]
        return answer.result()

    async def _watch(self, answer: asyncio.Future[Any], within_s: float) -> None:
        """Wait for an answer as long as there are signs of life."""
        asked_at = time.monotonic()
        while not answer.done():
            await asyncio.wait([answer], timeout=BEAT_S)
            now = time.monotonic()
            if answer.done():
                return
            if now - max(asked_at, self._heard_at) > STILL_S:
                self._is_still = True
                raise NotNow(f"{self._name()} has not answered for {STILL_S:g} s")
            if now - asked_at > within_s:
                raise NotNow(f"{self._name()} has no answer after {within_s:g} s")
            self._say(OF_LIFE, "", {})

    async def _call_off(self, number: int, answer: asyncio.Future[Any]) -> None:
        """Let a question be left undone, and wait until it is."""
        if answer.done() or self._listening is None or self._listening.done():
            return
        self._say(number, "", {})
        if not self._is_still:
            await asyncio.wait([answer], timeout=STILL_S)
        if answer.done() and not answer.cancelled():
            answer.exception()  # nobody else wants to know

    def _say(self, number: int, name: str, arguments: dict[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(_frame((number, name, arguments)))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Take what it says, until it has ended."""
        try:
            while True:
                number, wrong, found = await _read_frame(reader)
                self._heard_at = time.monotonic()
                self._is_still = False
                if number == OF_LIFE:
                    self._take_word(wrong, found)
                elif (answer := self._waiting.get(number)) and not answer.done():
                    if wrong is None:
                        answer.set_result(found)
                    else:
                        answer.set_exception(_error(wrong, found))
        except (EOFError, ConnectionError):
            pass
        finally:
            assert self._up is not None
            ended = NotNow(f"{self._name()} has ended")
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ended)
            if not self._up.done():
                died = SoftaxeError("a process of the fleet has died")
                self._up.set_exception(self._failure or died)

    def _take_word(self, wrong: str | None, found: Any) -> None:
        assert self._up is not None
        if wrong is not None:
            self._failure = _error(wrong, found)
        elif found == BEGUN:
            self._has_begun = True
        elif found == UP and not self._up.done():
            self._up.set_result(None)

    def _name(self) -> str:
        """Say which part it is, by its devices."""
        devices = in_words(self._options.groups)
        return f"process {self._number + 1} of the fleet, with {devices},"


@contextmanager
def _deaf_to_its_terminal() -> Iterator[None]:
    """Let a process that is started here not hear its terminal, from the beginning.

    Whoever starts it hears it afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Whoever starts this one, at the first process, unblocks signals.
    resource_tracker.ensure_running()
    deaf_to = [signal.SIGINT, signal.SIGHUP]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, deaf_to)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In the process


def _be_part(
    options: FleetOptions,
    show_log: ShowLog | None,
    parent: socket.socket,
    pace: Pace,
    budget: Budget,
    *,
    prepare: Callable[[], None] | None,
    log_levels: Collection[Level],
) -> None:
    """Be one part, in a process of its own."""
    if prepare is not None:
        prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too

    async def main() -> None:
        fleet = Fleet(
            options,
            show_log=show_log,
            log_levels=log_levels,
            clock=Clock(pace=pace),
            budget=budget,
        )
        fleet.ticker.set_clock(speed=options.speed, is_paused=options.is_paused)
        if sys.platform != "win32":  # there a process is only ever killed
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, fleet.stop)
        reader, writer = await asyncio.open_connection(sock=parent)
        answering = _Answering(Operations(fleet), writer)
        listening = asyncio.ensure_future(answering.listen(reader))
        listening.add_done_callback(lambda _: fleet.stop())  # the parent has died
        failure: Exception | None = None
        try:
            answering.tell(OF_LIFE, None, BEGUN)
            await fleet.start()
            settle_memory()
            answering.tell(OF_LIFE, None, UP)
            await fleet.run()
        except FleetStopped:  # before it had started
            pass
        except (SoftaxeError, OSError) as error:
            failure = error
        finally:
            await fleet.close()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            if failure is not None:
                answering.tell(OF_LIFE, type(failure).__name__, str(failure))
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


class _Answering:
    """Does what the parent asks, all at once.

    Args:
        operations: What can be done.
        writer: Where answers go.
    """

    def __init__(self, operations: Operations, writer: asyncio.StreamWriter) -> None:
        self._operations = operations
        self._writer = writer
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Take questions until the parent has gone, or until this is cancelled."""
        try:
            while True:
                self._take(*await _read_frame(reader))
        except (EOFError, ConnectionError):
            pass
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _take(self, number: int, name: str, arguments: dict[str, Any]) -> None:
        if number == OF_LIFE:
            self.tell(OF_LIFE, None, None)
        elif name:
            task = asyncio.ensure_future(self._work(number, name, arguments))
            task.add_done_callback(partial(self._forget, number))
            self._tasks[number] = task
        elif number in self._tasks:
            self._tasks[number].cancel()

    async def _work(self, number: int, name: str, arguments: dict[str, Any]) -> None:
        try:
            found = await getattr(self._operations, name)(**arguments)
        except (SoftaxeError, OSError) as error:
            self.tell(number, type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours, told to both sides
            traceback.print_exc()
            said = f"{type(error).__name__}: {error}"
            self.tell(number, SoftaxeError.__name__, said)
        else:
            self.tell(number, None, found)

    def _forget(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        if task.cancelled():
            self.tell(number, NotNow.__name__, "it was called off")

    def tell(self, number: int, wrong: str | None, found: object) -> None:
        """Say something to the parent."""
        self._writer.write(_frame((number, wrong, found)))


def _error(kind: str, text: str) -> Exception:
    return _ERRORS.get(kind, SoftaxeError)(text)


def _frame(value: object) -> bytes:
    data = msgspec.msgpack.encode(value)
    return len(data).to_bytes(LENGTH_BYTES) + data


async def _read_frame(reader: asyncio.StreamReader) -> Any:
    """Wait for a frame; raise EOFError when there are no more."""
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
    return msgspec.msgpack.decode(await reader.readexactly(length))
