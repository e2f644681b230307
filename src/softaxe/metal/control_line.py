"""The host's end of the control channel: scripts, one request at a time, and time.

A *script* is a generator (`raw.Script`): it yields requests and is sent the data of
their answers, or yields seconds to wait. Scripts run one after the other. Whatever
comes, or does not, each request ends within its timeout: with data, or with a
`LineError` that is raised where the script has yielded it. What comes late, for a
request given up, is known by its id and dropped.

Call `step` with the present time at `next_wake` and after `start` and `cut`, and write
each of `packets` in one piece. When bytes and a deadline are due together, tell the
bytes first: they may have waited longer than the deadline.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from softaxe.metal import raw
from softaxe.metal.raw import Dialect, FailureKind, LineError, Request, Script, T
from softaxe.units import NEVER

QUIET_S = 0.03
"""Silence after which what has come is all: an answer is one USB packet. Also what is
waited for when a board is plugged in, and after a bad answer."""
LONGEST_FLUSH_S = 0.1
"""After which a request is sent even if it never becomes quiet."""
HASTE_S = 0.02
"""How long a script that cuts in waits for the answer to another's request."""
UNSENT_S = 0.001
"""Until a request fails that is not sent, so that no script can turn on the spot."""
PROBE_PAUSE_S = 1.0
"""Between two probes of a board that does not answer."""
DEAF_PROBES = 3
"""In a row without an answer, after which it seems to need its reset button."""
LOST_AFTER = 5
"""Requests in a row without a good answer, after which the board is probed anew before
the next script."""
LATE_REQUESTS = 8
"""Given up, whose answers are still known when they come."""
SHOWN_BYTES = 16
"""Of bytes that make no sense, to a person."""
MAX_RECEIVED_BYTES = 512
"""Kept of what comes to one request; an answer has 64 at most."""


class _Job:
    """A script, and what to do at its end."""

    __slots__ = ("is_begun", "is_urgent", "on_end", "script")

    def __init__(
        self, script: Script[Any], on_end: Callable[[Any], None], *, is_urgent: bool
    ) -> None:
        self.script = script
        self.on_end = on_end
        self.is_urgent = is_urgent
        """Its requests are sent even if the board has not told its dialect."""
        self.is_begun = False

    def go_on(self, outcome: bytes | LineError) -> Request | float:
        """Tell it what became of its last wish, and get its next."""
        if isinstance(outcome, LineError):
            return self.script.throw(outcome)
        if self.is_begun:
            return self.script.send(outcome)
        self.is_begun = True
        return next(self.script)


class ControlLine:
    """Requests to one board, in order; unplugged until `plugged` is called."""

    def __init__(self) -> None:
        self.dialect: Dialect | None = None
        """How the board answers; None until a probe has told."""
        self.unanswered_probes = 0
        """In a row."""
        self.stray_bytes = 0
        """That came and belonged to nothing that was still waited for."""
        self._now = -NEVER
        self._is_plugged = False
        self._probe_at = NEVER
        self._queue: deque[_Job] = deque()
        self._job: _Job | None = None
        self._resume_at = NEVER
        """When the job is begun, or its pause over."""
        self._is_hasty = False
        self._asked: Request | None = None
        """In flight, or about to be."""
        self._is_orphan = False
        """Its script was cut: nobody is told what becomes of it."""
        self._is_sent = False
        self._refused: LineError | None = None
        """Why it is not sent."""
        self._deadline = NEVER
        self._id = 0
        self._late: deque[tuple[int, Request]] = deque(maxlen=LATE_REQUESTS)
        self._out: list[bytes] = []
        self._received = bytearray()
        self._heard_at = -NEVER
        self._heard_dialect: Dialect | None = None
        self._flush_limit = -NEVER
        """Until then, or until it is quiet, nothing is sent."""
        self._failures = 0
        """Requests in a row without a good answer."""

    @property
    def now(self) -> float:
        """When it was called last."""
        return self._now

    @property
    def is_probed(self) -> bool:
        """Whether the board has told its dialect."""
        return self.dialect is not None

    @property
    def needs_reset(self) -> bool:
        """Whether the board is deaf, as some firmware is after it was unplugged."""
        return self._is_plugged and self.unanswered_probes >= DEAF_PROBES

    @property
    def is_idle(self) -> bool:
        """Whether no script is running or waiting."""
        return self._job is None and not self._queue

    @property
    def next_wake(self) -> float:
        """When to call `step`; the past means at once."""
        if self._is_hasty:
            return self._now
        if self._asked is not None:
            if self._is_sent and self._received:
                return min(self._deadline, self._heard_at + QUIET_S)
            if self._is_sent or self._refused:
                return self._deadline
            return max(self._now, min(self._heard_at + QUIET_S, self._flush_limit))
        if self._job is not None:
            return self._resume_at
        return self._now if self._queue else self._probe_at

    def start(self, script: Script[T], on_end: Callable[[T | LineError], None]) -> None:
        """Run a script after those that are there.

        Args:
            script: Not begun yet.
            on_end: Gets what it returns, or the error that ended it.
        """
        self._queue.append(_Job(script, on_end, is_urgent=False))

    def cut(self, script: Script[T], on_end: Callable[[T | LineError], None]) -> None:
        """Run a script now; all others are closed, and end with an error `CUT`.

        Its requests are sent even to a board that has not told its dialect.
        """
        stopped = self._take_all()
        self._job, self._resume_at = _Job(script, on_end, is_urgent=True), self._now
        self._is_hasty = True
        self._close(stopped)

    def drop(self) -> None:
        """Close all scripts; they end with an error `CUT`."""
        stopped = self._take_all()
        if self._is_plugged and not self.is_probed:
            self._probe_at = self._now  # its probe may have been one of them
        self._close(stopped)

    def _take_all(self) -> list[_Job]:
        """Have no scripts any more; what is in flight, nobody is told of."""
        taken = [self._job, *self._queue] if self._job else list(self._queue)
        self._queue.clear()
        self._job, self._resume_at = None, NEVER
        if self._is_sent:
            self._is_orphan = True
        else:
            self._asked = self._refused = None
        return taken

    @staticmethod
    def _close(jobs: Iterable[_Job]) -> None:
        for job in jobs:
            job.script.close()
            text = "gave way to a script that could not wait"
            job.on_end(LineError(FailureKind.CUT, text))

    def plugged(self, now: float) -> None:
        """Begin with a board whose port is open: listen a little, then probe."""
        if self._is_plugged:
            self.unplugged()
        self._now = now
        self._is_plugged = True
        self._probe_at = now
        self._failures = self.unanswered_probes = 0
        self._flush(now)

    def unplugged(self) -> None:
        """The port is gone: requests fail at once until there is one again."""
        self._is_plugged = False
        self._probe_at = NEVER
        self.dialect = None
        self._out.clear()
        self._late.clear()
        self._received.clear()
        if self._is_orphan:
            self._asked, self._is_orphan = None, False
        self._is_sent = False
        if self._asked is not None:
            self._refuse(self._asked)

    def packets(self) -> list[bytes]:
        """Take what is to be sent, each by one write call of its own."""
        out, self._out = self._out, []
        return out

    def received(self, data: bytes, now: float) -> None:
        """Take bytes from the port as soon as they are there."""
        self._now = self._heard_at = now
        if self._is_sent:
            self._received += data[: MAX_RECEIVED_BYTES - len(self._received)]
            self._judge(is_quiet=False)
        else:
            self.stray_bytes += len(data)
        self.step(now)

    def step(self, now: float) -> None:
        """Do what is due.

        Raises:
            Exception: What a script raised that is no `LineError`; it has ended.
        """
        self._now = now
        while self.next_wake <= now:
            if self._is_hasty:
                self._hurry()
            elif self._asked is None:
                self._go_on()
            elif self._is_sent:
                self._judge(is_quiet=True)
            elif self._refused:
                self._end_request(self._refused)
            else:
                self._send(self._asked)

    def _hurry(self) -> None:
        """Wait for nothing longer than a script that cuts in may."""
        self._is_hasty = False
        limit = self._now + HASTE_S
        self._deadline = min(self._deadline, limit)
        self._flush_limit = min(self._flush_limit, limit)

    def _go_on(self) -> None:
        """Begin a job, or let one go on after its pause."""
        if self._job is None:
            if self._failures >= LOST_AFTER and self.is_probed:
                self.dialect, self._probe_at = None, self._now
            if self._probe_at <= self._now:
                self._job = _Job(self._probe(), lambda _: None, is_urgent=True)
            else:
                self._job = self._queue.popleft()
        self._run(self._job, b"")

    def _probe(self) -> Script[None]:
        self._probe_at = self._now + PROBE_PAUSE_S
        try:
            yield raw.PROBE
        except LineError as error:
            self.unanswered_probes += error.kind is not FailureKind.UNPLUGGED
        else:
            self.dialect, self._probe_at = self._heard_dialect, NEVER
            self.unanswered_probes = self._failures = 0

    def _run(self, job: _Job, outcome: bytes | LineError) -> None:
        """Let a script take the outcome of its wish, and note its next one."""
        self._job, self._resume_at = None, NEVER
        try:
            wish = job.go_on(outcome)
        except StopIteration as end:
            job.on_end(end.value)
        except LineError as error:
            job.on_end(error)
        except Exception as error:
            job.on_end(LineError(FailureKind.BROKEN, f"softaxe fails: {error!r}"))
            raise
        else:
            self._job = job
            if isinstance(wish, Request):
                self._ask(wish, job)
            else:
                self._resume_at = self._now + wish

    def _ask(self, request: Request, job: _Job) -> None:
        self._asked = request
        if not self._is_plugged or not (self.is_probed or job.is_urgent):
            self._refuse(request)
        elif raw.is_ambiguous(request, self.dialect):
            text = f"{request}: {self.dialect} could not tell the answer from an error"
            self._refuse(request, LineError(FailureKind.UNSAFE, text))

    def _refuse(self, request: Request, error: LineError | None = None) -> None:
        """Let a request fail that is not sent, or of which no answer can come."""
        if error is None and self._is_plugged:
            text = f"{request}: not sent, as the board answers no probe"
            error = LineError(FailureKind.NO_ANSWER, text)
        unplugged = LineError(FailureKind.UNPLUGGED, f"{request}: the board is gone")
        self._refused = error or unplugged
        self._deadline = self._now + UNSENT_S

    def _send(self, request: Request) -> None:
        self._id = self._id % raw.MAX_ID + 1
        for late in [one for one in self._late if one[0] == self._id]:
            self._late.remove(late)
        self._out.append(raw.encode(request, self._id))
        self._flush_limit = -NEVER
        self._is_sent = True
        self._deadline = self._now + request.timeout_s

    def _judge(self, *, is_quiet: bool) -> None:
        """End the request if what has come is its answer, or if nothing more comes."""
        asked = self._asked
        assert asked is not None
        while True:
            data = bytes(self._received)
            found = raw.read_answer(
                data, asked, self._id, self.dialect, is_quiet=is_quiet
            )
            if found and found.size == len(data):
                self._failures = 0
                self._end_request(self._outcome(asked, found))
                return
            if not (size := self._late_bytes(data, is_quiet=is_quiet)):
                break
            del self._received[:size]
            self.stray_bytes += size
        if is_quiet and (data or self._deadline <= self._now):
            self._give_up(asked, data)

    def _late_bytes(self, data: bytes, *, is_quiet: bool) -> int:
        """How many bytes at the start are an answer to a request given up."""
        for request_id, request in self._late:
            found = raw.read_answer(
                data, request, request_id, self.dialect, is_quiet=is_quiet
            )
            if found:
                return found.size
        return 0

    def _outcome(
        self, asked: Request, found: raw.Answer | raw.Refusal
    ) -> bytes | LineError:
        came = bytes(self._received)
        if isinstance(found, raw.Refusal):
            is_nak = found.text in raw.NAK_TEXTS
            kind = FailureKind.NAK if is_nak else FailureKind.REFUSED
            return LineError(kind, f"{asked}: the board says {found.text}", came)
        if asked.expected is not None and found.data != asked.expected:
            said, due = found.data.hex(" "), asked.expected.hex(" ")
            text = f"{asked}: the board answers {said} instead of {due}"
            return LineError(FailureKind.REFUSED, text, came)
        self._heard_dialect = found.dialect
        return found.data

    def _give_up(self, asked: Request, data: bytes) -> None:
        self._late.append((self._id, asked))
        self._failures += 1
        if data:
            shown = data[:SHOWN_BYTES].hex(" ") + " ..." * (len(data) > SHOWN_BYTES)
            text = f"{asked}: {shown} is no answer to it"
            error = LineError(FailureKind.GARBLED, text, data)
        else:
            text = f"{asked}: no answer within {asked.timeout_s} s"
            error = LineError(FailureKind.NO_ANSWER, text)
        if not self._is_orphan:
            self._flush(self._now)
        self._end_request(error)

    def _flush(self, now: float) -> None:
        """Send nothing before it is quiet."""
        self._heard_at = now
        self._flush_limit = now + LONGEST_FLUSH_S

    def _end_request(self, outcome: bytes | LineError) -> None:
        self._asked = self._refused = None
        self._is_sent = False
        self._received.clear()
        if self._is_orphan:
            self._is_orphan = False
        elif self._job is not None:
            self._run(self._job, outcome)
