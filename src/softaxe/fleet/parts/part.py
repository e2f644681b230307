"""What a part of a fleet is to whoever asks it.

A part is a fleet with some of the devices: in this process, or elsewhere. Another kind
of place needs a class with these methods and nothing else.
"""

from typing import Any, Literal, Protocol

from msgspec import Struct

ANSWER_S = 30.0
"""Real seconds for an answer that needs no time to come about..."""
WORK_S = 3600.0
"""...and for one that does: devices that come or go, time that passes, snapshots. Who
stands still is noticed in seconds all the same."""


Life = Literal["starting", "up", "standing still", "starting again", "ended"]


class PartState(Struct, frozen=True):
    """Where a part is, and how it is."""

    devices: str
    """The first and the last that it was described with."""
    place: str
    """In words; empty before it has one."""
    state: Life
    restarts: int = 0
    """How often it has come back after it had died; it then has no journal."""


class Part(Protocol):
    """Some of a fleet's devices.

    `start`, then `run` until it ends, then `end`. It may be asked while it starts.
    """

    @property
    def now(self) -> float:
        """Device time that it has come to."""

    @property
    def state(self) -> PartState:
        """Where it is, and how it is."""

    async def start(self) -> None:
        """Return when all its devices are up.

        Raises:
            SoftaxeError, OSError: They cannot be.
        """

    async def run(self) -> None:
        """Return when it has ended, as it was told to.

        Raises:
            SoftaxeError: It has ended by itself, and does not come back.
        """

    def tell_control(self, url: str) -> None:
        """Let its devices tell where the control API is; before `start`."""

    def check(self) -> None:
        """Return when it can be asked.

        Raises:
            NotNow: It has not begun, has ended, stands still, or comes back.
        """

    async def ask(
        self, name: str, /, *, within_s: float = ANSWER_S, **arguments: Any
    ) -> Any:
        """Let it do one of `Operations`, and return what that returns.

        Cancelled, it is left undone as far as it is.

        Args:
            name: Of the method of `Operations`.
            within_s: Real seconds that it may take.
            **arguments: Plain values.

        Raises:
            NotNow: There is no answer in time.
            SoftaxeError, OSError: What the operation raises.
        """

    def pace(self, until: float) -> None:
        """Let its devices live until this device time, if it has no clock itself."""

    def stop(self) -> None:
        """Let it end soon; `run` returns then."""

    async def end(self) -> None:
        """Wait for its end; what was to be saved is saved."""
