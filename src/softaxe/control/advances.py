"""Device time that passes while nobody waits for an answer."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

from softaxe.errors import NotNow, NotThere, SoftaxeError
from softaxe.fleet.parts.whole import Whole

MOST_ADVANCES = 16
"""That are remembered; those that have ended make room for new ones."""


@dataclass(slots=True)
class Job:
    """One advance, under way or ended."""

    id: str
    whole: Whole
    until: float
    """Device time where it ends."""
    stopped_at: float | None = None
    """Device time at which it ended before that."""
    error: str | None = None
    """Why, if nobody has wanted it."""
    task: asyncio.Task[None] = field(init=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return what the control API tells."""
        is_done = self.task.done()
        now = self.whole.slowest if self.stopped_at is None else self.stopped_at
        if is_done and self.stopped_at is None:
            now = self.until
        return {
            "id": self.id,
            "now": round(min(now, self.until), 3),
            "until": round(self.until, 3),
            "done": is_done,
            "error": self.error,
        }


class Advances:
    """Begins, remembers and stops advances of a fleet's time, one after the other.

    Args:
        whole: The fleet.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()

    def __getitem__(self, job_id: str) -> Job:
        """Return one.

        Raises:
            NotThere: There is none with this id, or it was forgotten.
        """
        if job_id not in self._jobs:
            raise NotThere(f"advance: there is no {job_id!r}")
        return self._jobs[job_id]

    def begin(self, *, seconds: float | None, until: float | None) -> Job:
        """Let time pass from now on, so much or until a moment.

        Raises:
            NotNow: There are too many under way.
        """
        if len(self._jobs) >= MOST_ADVANCES:
            ended = [job.id for job in self._jobs.values() if job.task.done()]
            if not ended:
                raise NotNow(f"{MOST_ADVANCES} advances are under way; stop one")
            del self._jobs[ended[0]]
        if until is None:
            assert seconds is not None
            until = self._whole.look().now + seconds
        job = Job(str(next(self._numbers)), self._whole, until)
        job.task = asyncio.ensure_future(self._work(job))
        self._jobs[job.id] = job
        return job

    async def stop(self, job_id: str) -> Job:
        """End one soon; the time stays where it is.

        Raises:
            NotThere: There is none with this id, or it was forgotten.
        """
        job = self[job_id]
        job.task.cancel()
        await asyncio.gather(job.task, return_exceptions=True)
        return job

    async def _work(self, job: Job) -> None:
        try:
            async with self._turn:
                await self._whole.advance(until=job.until)
        except asyncio.CancelledError:
            job.stopped_at = self._whole.slowest
            job.error = "it was stopped"
            raise
        except (SoftaxeError, OSError) as error:
            job.stopped_at = self._whole.slowest
            job.error = str(error)
