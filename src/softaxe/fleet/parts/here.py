"""A part in this process: the fleet itself."""

import os
from typing import Any

from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import numbered
from softaxe.fleet.parts.division import in_words
from softaxe.fleet.parts.operations import Operations
from softaxe.fleet.parts.part import ANSWER_S, PartState


class Here:
    """A fleet of this process, asked without a detour.

    Args:
        fleet: Which; it has the clock itself.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._operations = Operations(fleet)

    @property
    def now(self) -> float:
        """Device time that it has come to."""
        return self._fleet.clock.now

    @property
    def state(self) -> PartState:
        """Where it is, and how it is."""
        fleet = self._fleet
        return PartState(
            in_words(numbered(fleet.options.groups)),
            f"process {os.getpid()}",
            "up" if fleet.is_ready else "starting",
        )

    async def start(self) -> None:
        """Return when all devices are up."""
        await self._fleet.start()

    async def run(self) -> None:
        """Keep the devices going until `stop`."""
        await self._fleet.run()

    def tell_control(self, url: str) -> None:
        """Let its devices tell where the control API is."""
        self._fleet.control_url = url

    def check(self) -> None:
        """It can be asked at any time."""

    async def ask(
        self, name: str, /, *, within_s: float = ANSWER_S, **arguments: Any
    ) -> Any:
        """Do one of `Operations`; nothing can stand still here but who asks."""
        return await getattr(self._operations, name)(**arguments)

    def pace(self, until: float) -> None:
        """Nothing: its clock goes by itself."""

    def stop(self) -> None:
        """Let `run` return."""
        self._fleet.stop()

    async def end(self) -> None:
        """Close everything."""
        await self._fleet.close()
