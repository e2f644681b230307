"""A board at this machine's ports, carried: bytes, time, a guard, and its end.

`MetalHost` finds the board, brings it up, and then carries for as long as it runs what
`WireBody` and a `Member` have to say to it. Nothing here knows what the bytes mean.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import IO

from softaxe.catalog import Board
from softaxe.errors import SoftaxeError
from softaxe.metal.control_line import ControlLine
from softaxe.metal.guard import ALIVE, LOST, OVER, READ_BYTES, SILENCE_S
from softaxe.metal.oled import PAGES, WIDTH, picture_of
from softaxe.metal.ports import BoardPorts, FoundBoard, Place
from softaxe.metal.recognise import (
    ANY_CHIP_V,
    board_of,
    check_dialect,
    chip_question,
)
from softaxe.metal.wire_body import State, WireBody
from softaxe.screen.picture import Panel, draw, panel_of
from softaxe.serve.member import Member
from softaxe.units import Level

LOOK_S = 1.0
BRING_UP_S = 15.0
"""Until a board must be up, or is told not to be."""
GUARD_END_S = 1.0
"""That a guard is waited for, which takes longer if it cannot switch the board off."""
END_S = 5.0
"""In which a board must have shown at the end that it is off."""
LEAST_NAP_S = 0.0005
POLL_S = 0.01
RAMP_S, WAKE_S = 5.0, 0.3
"""In which a core voltage must be there; until a chip answers."""
QUESTIONS = 5
"""To a chip that does not answer."""
MOST_HEARD_BYTES = 1024
TAG = "metal"
PANEL = Panel(WIDTH, 8 * PAGES)
"""The only one that softaxe has a driver for."""
Guard = subprocess.Popen[bytes]


class MetalError(SoftaxeError):
    """A board cannot be used; the text says why."""


class MetalHost:
    """Carries one board; call `start`, then `run` with its device, then `close`.

    Args:
        board: What it is.
        place: Where.
        warn: Takes what a person must read at once.
    """

    def __init__(
        self, board: Board, place: Place, *, warn: Callable[[str], None]
    ) -> None:
        self.line = ControlLine()
        self.found: FoundBoard | None = None
        self._board = board
        self._warn = warn
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self.body = WireBody(board, self.line, tell=self._tell, on_work=self._woken.set)
        self.body.set_guarded(is_guarded=False)
        self._ports = BoardPorts(place, self)
        self._member: Member | None = None
        self._guard: Guard | None = None
        self.dismissed: list[Guard] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = bytearray()
        """Of the chips, before there is a device."""
        self._look_at = 0.0
        self._guard_heard_at = 0.0
        self._is_deaf = self._is_guarded = self._has_answered = False
        self._failure: Exception | None = None
        """A defect of this program, after which the board stays off."""

    async def start(self) -> None:
        """Find the board and bring it up: off, cool, and known.

        Raises:
            NotThere: There is none.
            MetalError: It is not the one, or does not do as it is told.
        """
        await self._ports.open()
        self._tasks.append(asyncio.create_task(self._ports.run(self._stopped)))
        self._tasks.append(asyncio.create_task(self._carry()))
        await self._until(lambda: self.is_ready or self.body.cut_reason, BRING_UP_S)
        self._check()
        if self.found is not None and not self._has_answered:
            raise MetalError(
                f"--metal: nothing answers as a board at {self.found.control_path}: "
                "press its reset button, see that it has bitaxe-raw or RHAP-D, and "
                "give the control port first"
            )
        check_dialect(self._board, self.line.dialect)
        if not self.is_ready:
            raise MetalError(f"--metal: {self.body.cut_reason or self._silence()}")

    @property
    def is_ready(self) -> bool:
        """Whether the board is up, and guarded."""
        return self._is_guarded and self.body.state is State.OFF

    def _silence(self) -> str:
        if self.line.needs_reset:
            return "the board does not answer: press its reset button"
        return f"the board is not up after {BRING_UP_S:g} s"

    async def recognise(self) -> Board:
        """Ask the chip what it is, which takes its core voltage for a moment.

        Raises:
            SettingError: It does not say, or is of a board that is not known.
        """
        self._heard.clear()
        self.body.set_core_voltage(ANY_CHIP_V)
        await self._until(lambda: self.body.has_voltage or self._is_failed, RAMP_S)
        self._check_on()
        self.body.chips.set_reset(is_low=False, now=0.0)
        for _ in range(QUESTIONS):
            await asyncio.sleep(WAKE_S)
            self._check_on()
            if self._heard:
                break
            self.body.chips.receive(chip_question(), now=0.0)
        return board_of(bytes(self._heard))

    async def serve(self, member: Member) -> None:
        """Be the board of a device, whose body is `body`, until something fails."""
        self._member = member
        while True:
            self._check()
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Switch the board off, and see that it is.

        Where it does not show that, the guard goes on.
        """
        if self._ports.is_open and not self.body.cut_reason:
            self.body.cut("softaxe ends", Level.INFO)
        await self._until(lambda: self.body.is_off or not self._ports.is_open, END_S)
        self._stopped.set()
        self._woken.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._has_answered and not self.body.is_off:
            text = "softaxe ends, and the core voltage may still be on: pull the plug"
            self._tell(Level.ERROR, f"{text} of the board's power supply")
        # Without any answer there may be no board, but what a guard would disturb.
        is_over = self.body.is_off or not self._has_answered
        self._dismiss(OVER if is_over else b"")
        self._await_dismissed()
        with suppress(TimeoutError):  # a port that takes nothing
            await asyncio.wait_for(self._ports.close(), GUARD_END_S)

    @property
    def guard_pid(self) -> int | None:
        """Of the process that cuts the power when this one is gone."""
        return None if self._guard is None else self._guard.pid

    # What the ports tell

    def plugged(self, board: FoundBoard) -> None:
        """Both ports are open."""
        self.found = board
        now = time.monotonic()
        self.line.plugged(now)
        self.body.arm(now)
        self._post_guard(board.control_path)
        self._woken.set()

    def unplugged(self, why: str) -> None:
        """One of them is gone."""
        self.body.unplugged(time.monotonic())
        self.line.unplugged()
        self._dismiss(LOST)  # its own way to the board may still be there
        self._await_dismissed()  # two would disturb each other
        self._woken.set()

    def control_received(self, data: bytes) -> None:
        """Bytes of the control channel have come."""
        self._try(lambda: self.line.received(data, time.monotonic()))
        self._woken.set()

    def data_received(self, data: bytes) -> None:
        """Bytes of the chips have come."""
        if self._member is None:
            self._heard += data[: MOST_HEARD_BYTES - len(self._heard)]
        else:
            self._try(partial(self._member.chips_received, data))
            self._woken.set()

    # Carrying

    async def _carry(self) -> None:
        while True:
            self._try(lambda: self._round(time.monotonic()))
            due = min(self._look_at, self.line.next_wake)
            nap_s = max(LEAST_NAP_S, due - time.monotonic())
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(nap_s):
                    await self._woken.wait()

    def _try(self, work: Callable[[], None]) -> None:
        """Do it; a defect in it must not keep the board from being switched off."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - `_check` raises it
            self._failure = self._failure or error
            self.body.cut(f"softaxe fails: {error!r}")

    def _round(self, now: float) -> None:
        if self._look_at <= now:
            self._look_at = now + LOOK_S
            self._feed_guard(now)
            self.body.look(now)
            self._mind_deafness()
            self._show()
        self.line.step(now)
        self._has_answered = self._has_answered or self.line.is_probed
        for packet in self.line.packets():
            self._ports.write_control(packet)
        if data := self.body.chips.data_to_chips():
            self._ports.write_data(data)

    def _mind_deafness(self) -> None:
        if self.line.needs_reset and not self._is_deaf:
            self._tell(Level.ERROR, "the board does not answer: press its reset button")
        self._is_deaf = self.line.needs_reset

    def _show(self) -> None:
        """Let the board's display show what the device's does."""
        if self._member is None:
            return
        device = self._member.device
        panel = panel_of(device)
        if panel == PANEL:
            self.body.show(picture_of(draw(device, panel, device.now).tobytes()))

    # The guard

    def _post_guard(self, path: str) -> None:
        """Have a process that cuts the power when this one is gone."""
        self._guard_heard_at = time.monotonic()
        self._guard = guard = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "softaxe.metal.guard"),
                *(path, self._board.version, str(os.getpid())),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        os.set_blocking(_pipe(guard.stdin).fileno(), False)
        loop = asyncio.get_running_loop()
        loop.add_reader(_pipe(guard.stdout), self._hear_guard, guard)

    def _hear_guard(self, guard: Guard) -> None:
        if not _pipe(guard.stdout).read(READ_BYTES):  # it has died
            self._dismiss()
            return
        self._guard_heard_at = time.monotonic()
        if not self._is_guarded:
            self._set_guarded(is_guarded=True)
            if self._member is not None:
                self._tasks.append(asyncio.create_task(self._rejoin(self._member)))

    async def _rejoin(self, member: Member) -> None:
        """Start the device anew once a board is up that was gone."""
        await self._until(lambda: self.is_ready, BRING_UP_S)
        if self.is_ready:
            member.order("restart")

    def _set_guarded(self, *, is_guarded: bool) -> None:
        self._is_guarded = is_guarded
        self.body.set_guarded(is_guarded=is_guarded)

    def _feed_guard(self, now: float) -> None:
        if self._guard is None:
            return
        with suppress(OSError):  # what it does not answer is seen below
            _pipe(self._guard.stdin).write(ALIVE)
        if self._is_guarded and now - self._guard_heard_at > SILENCE_S:
            self._dismiss()

    def _dismiss(self, word: bytes = b"") -> None:
        """Let the guard go, which cuts the power unless it is told that it is off."""
        guard, self._guard = self._guard, None
        self._set_guarded(is_guarded=False)
        if guard is None:
            return
        stdin, stdout = _pipe(guard.stdin), _pipe(guard.stdout)
        asyncio.get_running_loop().remove_reader(stdout)
        with suppress(OSError):
            stdin.write(word)
        stdin.close()
        stdout.close()
        self.dismissed.append(guard)

    def _await_dismissed(self) -> None:
        """Give guards that were let go the time that a cut takes."""
        for guard in self.dismissed:
            with suppress(subprocess.TimeoutExpired):
                guard.wait(GUARD_END_S)

    # Words

    def _tell(self, level: Level, text: str) -> None:
        if level is not Level.INFO:
            with suppress(OSError):  # the terminal may be closed, the disk full
                self._warn(f"{TAG}: {text}")
        if self._member is not None:
            self._member.device.log(level, TAG, text)

    async def _until(self, is_so: Callable[[], object], patience_s: float) -> None:
        """Wait until something is so, but not for ever."""
        end = time.monotonic() + patience_s
        while not is_so() and time.monotonic() < end:  # noqa: ASYNC110 - no event
            await asyncio.sleep(POLL_S)

    def _check(self) -> None:
        """Let what has failed in the background be known."""
        if self._failure is not None:
            raise self._failure
        for task in self._tasks:
            if task.done():
                task.result()

    @property
    def _is_failed(self) -> bool:
        return self._failure is not None or bool(self.body.cut_reason)

    def _check_on(self) -> None:
        self._check()
        if not self._ports.is_open:
            raise MetalError("--metal: the board is gone")
        if self.body.cut_reason:
            raise MetalError(f"--metal: {self.body.cut_reason}")


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None
    return end
