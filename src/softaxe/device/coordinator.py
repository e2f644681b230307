"""Which pool to mine on, and whether at all, as firmware decides from v2.14 on.

A pool's task gives up after some attempts and says so here. Then the other pool has its
turn; when none is left mining stops, and the pools are asked now and then until one
answers. Source of rules, times and texts: ESP-Miner v2.14, protocol_coordinator.c.
"""

from softaxe.units import NEVER, Level, Log

TAG = "protocol_coordinator"
RECOVERY_S = 30.0
"""Between two looks while no pool can be reached."""
PRIMARY_S = 60.0
"""From the last that happened to a look at the primary, after a failover."""
POOLS = {False: "primary", True: "fallback"}


class Coordinator:
    """Decides; who asks the pools is `Pools`.

    Args:
        prefers_fallback: The fallback is the one to begin with, and to stay on.
        has_fallback: There is one.
        log: Takes the lines of the firmware's log.
    """

    def __init__(self, *, prefers_fallback: bool, has_fallback: bool, log: Log) -> None:
        self.is_using_fallback = prefers_fallback
        self.has_no_pool = False
        """Mining shall stop: no pool can be reached."""
        self.probe_at = NEVER
        """When to ask the `targets`."""
        self.has_fallback = has_fallback
        self.protocols = {False: "SV1", True: "SV1"}
        """What the primary and the fallback are spoken to in."""
        self._prefers_fallback = prefers_fallback
        self._failures = 0
        """Of pools, one after the other."""
        self._has_failed_over = False
        self._log = log

    @property
    def targets(self) -> list[bool]:
        """Whom to ask now, in this order: True is the fallback, False the primary."""
        if not self.has_no_pool:
            return [False] if self._has_failed_over else []
        preferred = self._prefers_fallback
        return [preferred, not preferred] if self.has_fallback else [preferred]

    def succeeded(self, now: float) -> None:
        """The pool in use has answered the set-up."""
        self._failures = 0
        self._wait(now)

    def gave_up(self, now: float) -> None:
        """The pool in use has failed as often as its task tries."""
        self._failures += 1
        most = 2 if self.has_fallback else 1
        counted = f"failures={self._failures}/{most}"
        self._warn(f"Protocol failure reported (state=1, {counted})")
        if self._failures >= most:
            self._warn(
                "All configured pools unreachable, pausing mining to conserve power."
            )
            self.has_no_pool = True
        elif self.is_using_fallback:
            self._say("Fallback failed, trying primary")
            self._use(is_fallback=False)
        else:
            self._say(f"Switching to fallback pool ({self.protocols[True]})")
            self._use(is_fallback=True)
        self._wait(now)

    def found(self, now: float, *, is_fallback: bool) -> None:
        """One of the `targets` has answered."""
        if self.has_no_pool:
            name = POOLS[is_fallback]
            protocol = self.protocols[is_fallback]
            self._say(
                f"Pool recovery: {name} pool reachable, resuming mining ({protocol})"
            )
            self.has_no_pool = False
        else:
            self._say("Primary pool is back! Switching from fallback.")
        self._failures = 0
        self._use(is_fallback=is_fallback)
        self._wait(now)

    def found_none(self, now: float) -> None:
        """None of the `targets` has answered."""
        self._wait(now)

    def _use(self, *, is_fallback: bool) -> None:
        self.is_using_fallback = is_fallback
        self._has_failed_over = is_fallback and not self._prefers_fallback

    def _wait(self, now: float) -> None:
        if self.has_no_pool:
            self.probe_at = now + RECOVERY_S
        else:
            self.probe_at = now + PRIMARY_S if self._has_failed_over else NEVER

    def _say(self, text: str) -> None:
        self._log(Level.INFO, TAG, text)

    def _warn(self, text: str) -> None:
        self._log(Level.WARNING, TAG, text)
