"""An emulated board, and softaxe as its brain, joined by bytes in virtual time."""

from softaxe import Device, Pool, Simulation
from softaxe.catalog import board as board_named
from softaxe.device.faults import NO_FAULTS, DeviceFaults
from softaxe.metal.control_line import ControlLine
from softaxe.metal.raw import Dialect
from softaxe.metal.raw_board import NO_WIRE_FAULTS, RawBoard, WireFaults
from softaxe.metal.wire_body import State, WireBody
from softaxe.units import Level

LOOK_S = 1.0
LOST_AFTER_S = 10.0


class Wired:
    """A board on a wire, and what carries its bytes, as the host program does."""

    def __init__(
        self,
        board: str = "601",
        *,
        dialect: Dialect = Dialect.V1,
        seed: int = 1,
        ambient_c: float = 25.0,
        raw: RawBoard | None = None,
    ) -> None:
        row = board_named(board)
        made = raw or RawBoard(row, seed=seed, dialect=dialect, ambient_c=ambient_c)
        self.raw = made
        self.line = ControlLine()
        self.told: list[str] = []
        self.body = WireBody(row, self.line, tell=self._tell, on_work=lambda: None)
        self.now = 0.0
        self.mining: Simulation | None = None
        self._look_at = 0.0
        self._row, self._seed = row, seed
        self.plug()

    def _tell(self, level: Level, text: str) -> None:
        self.told.append(f"{level} {text}")

    @property
    def device(self) -> Device:
        assert self.mining is not None
        return self.mining.device

    def plug(self) -> None:
        self.raw.plug(self.now)
        self.line.plugged(self.now)
        self.body.arm(self.now)

    def unplug(self) -> None:
        self.raw.unplug(self.now)
        self.body.unplugged(self.now)
        self.line.unplugged()

    def arm(self) -> None:
        """Bring it up; it is off then, or will never be on."""
        end = self.now + LOST_AFTER_S
        while self.body.state is State.BEING_ARMED and self.now < end:
            self.advance(0.01)

    def mine(self, seconds: float = 60, *, pool: Pool | None = None) -> Device:
        """Be its brain, on a pool of one's own or another, and let time pass."""
        self.arm()
        device = Device(self._row, seed=self._seed, body=self.body, now=self.now)
        own = pool or Pool.for_scaled_work(seed=self._seed)
        self.mining = Simulation(device, own, is_own_pool=pool is None)
        self.mining.now = self.now
        self.advance(seconds)
        return device

    def break_it(
        self, faults: DeviceFaults = NO_FAULTS, wire: WireFaults = NO_WIRE_FAULTS
    ) -> None:
        self.raw.set_faults(faults, wire)

    def advance(self, seconds: float, *, is_host_alive: bool = True) -> None:
        """Let time pass, everything in its order."""
        end = self.now + seconds
        while True:
            due = min(end, self.raw.next_wake)
            if is_host_alive:
                due = min(due, self.line.next_wake, self._look_at)
                if self.mining:
                    due = min(due, max(self.now, self.mining.device.next_wake))
                    due = min(due, self.now + 0.25)  # bytes of the pool are under way
            self.now = max(self.now, due)
            self.raw.step(self.now)
            if is_host_alive:
                self._host()
            if self.now >= end:
                return

    def _host(self) -> None:
        if self._look_at <= self.now:
            self._look_at = self.now + LOOK_S
            self.body.look(self.now)
        if self.mining:
            self.mining.advance(max(0.0, self.now - self.mining.now))
            if data := self.raw.data_to_host():
                self.mining.device.chips_received(data, self.now)
            if data := self.body.chips.data_to_chips():
                self.raw.data_received(data, self.now)
        for packet in self.raw.control_to_host():
            self.line.received(packet, self.now)
        self.line.step(self.now)
        for packet in self.line.packets():
            self.raw.control_received(packet, self.now)
