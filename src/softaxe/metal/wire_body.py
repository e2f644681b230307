"""A board that is there, as protection and device see it: the other kind of `Body`.

What the firmware orders becomes scripts on the board's control line, and once a second
its instruments are looked at. Nothing here waits: readings are those of the last look.
Between the firmware and the board stand the rules of `metal.safety`; what breaks one
cuts the core voltage, and it stays off until the program is started again.

The chips' bytes pass through as they are.
"""

import random
from collections.abc import Callable, Sequence
from enum import Enum, auto
from math import isnan

from msgspec.structs import replace

from softaxe.asic.chip import METAL, Search, WorkMode
from softaxe.asic.frames import RegisterReply, Reply
from softaxe.bitcoin.header import Work
from softaxe.board.regulator import ALL_WELL, PowerReading, Status
from softaxe.board.sensors import ABSENT_C
from softaxe.catalog import Board
from softaxe.device.faults import NO_FAULTS, DeviceFaults
from softaxe.metal import raw
from softaxe.metal.control_line import ControlLine
from softaxe.metal.instruments import Instruments
from softaxe.metal.oled import Ssd1306
from softaxe.metal.raw import LineError, Script, T
from softaxe.metal.safety import (
    FULL_FAN_PERCENT,
    LEAST_FAN_PERCENT,
    OFF_V,
    OLDEST_S,
    STEP_V,
    Judge,
    Survey,
    allowed_core_v,
)
from softaxe.units import NEVER, Level

SOFT_START_S = 0.05
"""From switching on to the first look at what came of it."""
STEP_PAUSE_S = 0.005
CUT_AGAIN_S = 1.0
"""Between attempts to cut what is not known to be off."""
LONGEST_CUT_S = 5.0
"""For which an attempt is waited, with three tries of everything unanswered."""
NAK = raw.FailureKind.NAK
MAY_PASS = {raw.FailureKind.NO_ANSWER, raw.FailureKind.GARBLED}
"""Failures after which a look is worth a second try."""
NOTHING = PowerReading(0.0, 0.0, 0.0, 0.0, 0.0)

Tell = Callable[[Level, str], None]


class State(Enum):
    """What is known of the board."""

    GONE = auto()
    """It is unplugged, or was not brought up yet."""
    BEING_ARMED = auto()
    OFF = auto()
    """Without core voltage."""
    ON = auto()
    CUT = auto()
    """It broke a rule, and is not switched on any more."""


class WireChips:
    """The chips' line: what the driver sends, and whatever only a model could do."""

    def __init__(
        self, set_reset: Callable[[bool], None], on_work: Callable[[], None]
    ) -> None:
        self.mode: WorkMode = METAL
        self.next_wake = NEVER
        self.replies: Sequence[tuple[int, Reply]] = ()
        """None: theirs come as bytes."""
        self.bad_frames = 0
        self.hashing_count: int | None = None
        self.hashrate_hs: float | None = None
        self.out = bytearray()
        """For the port."""
        self._set_reset = set_reset
        self._on_work = on_work

    def data_to_chips(self) -> bytes:
        """Return and forget what is to be written to their port."""
        data = bytes(self.out)
        self.out.clear()
        return data

    def set_reset(self, is_low: bool, now: float) -> None:
        """Pull the reset line, or let it go."""
        self._set_reset(is_low)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the driver."""
        self.out += data
        self._on_work()

    def take_work(self, job_id: int, work: Work, now: float) -> bool:
        """Tell that they take bytes."""
        return False

    def step(self, now: float) -> None:
        """Do nothing: they live by themselves."""

    def take_replies(self) -> list[tuple[int, Reply]]:
        """Return nothing: theirs come as bytes."""
        return []

    def answers(self, reply_bytes: int) -> bool:
        """Tell that they cannot be read without bytes."""
        return False

    def take_search(self, max_nonces: int) -> Search | None:
        """Return nothing: they search."""
        return None

    # What only a model is asked for

    def read(self, registers: Sequence[int], now: float) -> list[RegisterReply]:
        """Return nothing: they cannot be read without bytes."""
        return []

    def next_hit(self, difficulty: float) -> float:
        """Tell that nobody knows what they will find."""
        return NEVER

    def set_mode(self, mode: WorkMode, now: float) -> None:
        """Refuse: what they do is real.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{mode.name}: chips that are there do their own work")

    def set_scale(self, scale: float, now: float) -> None:
        """Refuse, as `set_mode` does."""
        raise ValueError(f"scale {scale:g}: chips that are there do their own work")

    def finish_search(self, search: Search, found: list[int], now: float) -> None:
        """Refuse: nobody was asked to search."""
        raise ValueError("chips that are there search themselves")


class WireBody:
    """One board on a control line; its own regulator and fan.

    The line, and the chips' bytes, are carried by whoever has the ports, on a clock of
    his own: that of `now` here, whatever the device's is. `arm` first; when `state` is
    `OFF`, a `Device` may have it.

    Args:
        board: What it is.
        line: To its firmware.
        tell: Takes what a person must know.
        on_work: Called when there is something to carry.
    """

    def __init__(
        self,
        board: Board,
        line: ControlLine,
        *,
        tell: Tell,
        on_work: Callable[[], None],
    ) -> None:
        self.state = State.GONE
        self.cut_reason = ""
        """Why it may not go on; empty while it may."""
        self._is_cut_off = False
        """The board has shown after a cut that there is no voltage."""
        self.survey: Survey | None = None
        """The last whole look."""
        self._is_guarded = True
        self.chips = WireChips(self._set_reset, on_work)
        self._board = board
        self._line = line
        self._tell = tell
        self._on_work = on_work
        self._instruments = Instruments(board)
        self._oled = Ssd1306()
        self._has_display = self._is_showing = False
        self._judge = Judge(board)
        self._now = 0.0
        self._core_v = 0.0
        """As ordered from the regulator, per domain."""
        self._wanted_v = 0.0
        self._on_at = NEVER
        """When it was switched on; a look from before says nothing of that."""
        self._percent = FULL_FAN_PERCENT
        self._is_setting_v = self._is_setting_fan = self._is_looking = False
        self._has_booted = False
        self._cut_at = NEVER
        self._failure = "the board is silent"
        """Of the last look that was none."""
        self._last_words: dict[str, str] = {}

    # Bring-up

    def arm(self, now: float) -> None:
        """Bring the board up from whatever it does: off, cool, known, with limits."""
        self._now = now
        if self.state is State.CUT:
            self._is_cut_off = False
            self._cut_again()
            return
        self.state = State.BEING_ARMED
        self._line.drop()  # nothing that was ordered before comes after it
        self.survey = None
        self._note_v(0.0)
        self._wanted_v = 0.0
        self._judge.reset_set(now, is_low=True)
        self._percent = FULL_FAN_PERCENT
        self._start(self._instruments.arm(), self._armed)

    def _armed(self, outcome: LineError | None) -> None:
        if self.state is not State.BEING_ARMED:
            return
        if outcome is None:
            self._note_fan(FULL_FAN_PERCENT)
            self.state = State.OFF
            self._last_words.clear()
            self._start(self._oled.switch_on(), self._has_shown)
            self._follow_orders()
        elif outcome.kind is raw.FailureKind.UNPLUGGED:
            self.state = State.GONE
        elif outcome.kind is not raw.FailureKind.CUT:
            name = self._board.version
            self.cut(f"the board cannot be brought up as a {name}: {outcome}")

    def unplugged(self, now: float) -> None:
        """Its ports are gone, and with them every way to switch it off."""
        self._now = now
        if self.state is not State.GONE:
            self._say(Level.ERROR, "the board is gone; nothing can switch it off now")
        if self.state is not State.CUT:
            self.state = State.GONE
        self.survey = None
        self.chips.out.clear()

    def set_guarded(self, *, is_guarded: bool) -> None:
        """Say whether somebody cuts the power when this program dies."""
        self._is_guarded = is_guarded
        if not is_guarded and self.state is State.ON:
            self.cut("nobody guards the board")
        self._follow_orders()

    @property
    def is_off(self) -> bool:
        """Whether the board is known to have no core voltage."""
        is_cut_off = self.state is State.CUT and self._is_cut_off
        return is_cut_off or self.state is State.OFF

    @property
    def has_voltage(self) -> bool:
        """Whether the core has the voltage that was ordered."""
        return self.state is State.ON and self._core_v == self._wanted_v

    def show(self, picture: bytes) -> None:
        """Let its display show a picture (`oled.Ssd1306.show`), when it has one."""
        if self._has_display and not self._is_showing:
            self._is_showing = True
            self._start(self._oled.show(picture), self._has_shown)

    def _has_shown(self, outcome: LineError | None) -> None:
        self._is_showing = False
        self._has_display = outcome is None or outcome.kind is not NAK

    # What device and protection see

    @property
    def regulator(self) -> "WireBody":
        """Itself."""
        return self

    @property
    def fan(self) -> "WireBody":
        """Itself."""
        return self

    @property
    def _seen(self) -> Survey | None:
        """The last look, unless it is too old to be shown."""
        seen = self.survey
        return seen if seen and self._now - seen.at <= OLDEST_S else None

    @property
    def temperatures_c(self) -> tuple[float, float]:
        """Of both sensors; -1 for one that is none or tells nothing."""
        if (seen := self._seen) is None:
            return ABSENT_C, ABSENT_C
        first_c, second_c = (*seen.chips_c, ABSENT_C)[:2]
        return (
            ABSENT_C if isnan(first_c) else first_c,
            ABSENT_C if isnan(second_c) else second_c,
        )

    @property
    def power_reading(self) -> PowerReading:
        """What the board measures; nothing while it tells nothing."""
        if (seen := self._seen) is None:
            return NOTHING
        return PowerReading(
            seen.power_w, seen.input_v, seen.current_a, seen.core_v, seen.vr_c or 0.0
        )

    @property
    def adc_v(self) -> float:
        """The supply of all domains, as the regulator tells it."""
        seen = self._seen
        volts = seen.core_v * self._board.voltage_domains if seen else 0.0
        return round(volts, 3)

    @property
    def fan_rpms(self) -> tuple[int, int]:
        """Of both fans."""
        rpms = (*self._seen.rpms, 0, 0) if self._seen else (0, 0)
        return rpms[0], rpms[1]

    @property
    def status(self) -> Status:
        """The regulator's status word; off once the board may not go on."""
        if self.cut_reason or self.state is State.GONE:
            return Status.OFF
        seen = self._seen
        if seen is None or (self._wanted_v and seen.at < self._on_at):
            return ALL_WELL
        return seen.status

    def boot(
        self,
        board: Board,
        faults: DeviceFaults,
        *,
        has_drivers: bool,
        closes_line: bool,
    ) -> None:
        """Be brought up anew, but for the first time, when that has just been done."""
        if self._has_booted and self.state is not State.GONE:
            self.arm(self._now)
        self._has_booted = True

    def set_faults(self, faults: DeviceFaults, now: float, *, counted_s: float) -> None:
        """Refuse: nothing breaks on order here.

        Raises:
            ValueError: There are any.
        """
        if faults != NO_FAULTS:
            raise ValueError("a board that is there takes no faults")

    def switch(self, now: float) -> None:
        """Do nothing: the chips know their voltage."""

    def step(self, now: float, rng: random.Random) -> None:
        """Do nothing: `look` follows real time, whatever the device does."""

    # Orders

    @property
    def least_percent(self) -> float:
        """Below which the fan is not turned."""
        return FULL_FAN_PERCENT if self.cut_reason else LEAST_FAN_PERCENT

    def set_core_voltage(self, volts: float) -> None:
        """Ask for a voltage per domain, in steps, each of which is looked at; 0 is off.

        One that the board's chips are not offered is refused.
        """
        least_v, most_v = allowed_core_v(self._board)
        if volts and not least_v <= volts <= most_v:
            text = f"{volts:.3f} V is refused: {least_v:g} to {most_v:g} V are allowed"
            self._say(Level.ERROR, text)
            return
        if volts and self.cut_reason:
            self._say(Level.ERROR, f"stays off: {self.cut_reason}; start softaxe again")
            return
        self._wanted_v = volts
        self._follow_orders()

    def set_percent(self, percent: float) -> bool:
        """Command a duty, 0 to 100, not below `least_percent`."""
        if self.cut_reason or self.state is State.GONE:
            return True  # it is at full duty, or out of reach
        self._percent = max(percent, self.least_percent)
        self._follow_orders()
        return True

    def _follow_orders(self) -> None:
        if self.state not in (State.OFF, State.ON):
            return
        if not self._is_setting_fan:
            self._is_setting_fan = True
            self._start(self._turn(), self._turned)
        may_set = self._is_guarded or not self._wanted_v
        if may_set and not self._is_setting_v and self._wanted_v != self._core_v:
            self._is_setting_v = True
            self._start(self._ramp(), self._ramped)

    def _turn(self) -> Script[None]:
        percent = self._percent
        yield from self._instruments.turn_fan(percent)
        self._note_fan(percent)

    def _turned(self, outcome: LineError | None) -> None:
        self._is_setting_fan = False
        if outcome is not None and self._matters(outcome):
            self._say(Level.WARNING, f"the fan did not take its duty: {outcome}")

    def _ramp(self) -> Script[None]:
        """Go to the voltage that is wanted, which may change on the way."""
        while self._wanted_v != self._core_v:
            wanted_v, before_v = self._wanted_v, self._core_v
            if not wanted_v:
                yield from self._instruments.switch_off()
                yield from self._instruments.expect_off()
                self._note_v(0.0)
                self.state = State.OFF
                continue
            least_v, _ = allowed_core_v(self._board)
            if not before_v:
                volts = least_v
                yield from self._instruments.set_core(volts)
                self._note_v(volts)  # it may be on from here on
                self.state = State.ON
                yield from self._instruments.switch_on()
                yield SOFT_START_S
            else:
                step_v = max(-STEP_V, min(STEP_V, wanted_v - before_v))
                volts = wanted_v if abs(step_v) < STEP_V else before_v + step_v
                yield from self._instruments.set_core(volts)
                self._note_v(volts)
                yield STEP_PAUSE_S
            core_v, status = yield from self._instruments.core()
            if not self._judge.is_near(core_v) or status & Status.OFF:
                text = f"{volts:.3f} V were set and {core_v:.3f} V came"
                raise LineError(
                    raw.FailureKind.WRONG_PART, f"{text}, status {status:04x}"
                )

    def _ramped(self, outcome: LineError | None) -> None:
        self._is_setting_v = False
        if outcome is not None and self._matters(outcome):
            self.cut(f"the core voltage cannot be set: {outcome}")

    def _set_reset(self, is_low: bool) -> None:
        if self.state is State.GONE or (not is_low and self.cut_reason):
            return
        if not is_low and not self._wanted_v:
            self._say(Level.WARNING, "without core voltage the chips stay in reset")
            return
        self._start(self._pull(is_low=is_low), self._pulled)

    def _pull(self, *, is_low: bool) -> Script[bool]:
        is_low = is_low or self.state is not State.ON
        yield raw.gpio_set(raw.RESET_PIN, is_high=not is_low)
        return is_low

    def _pulled(self, outcome: bool | LineError) -> None:
        if not isinstance(outcome, LineError):
            self._judge.reset_set(self._line.now, is_low=outcome)
        elif self._matters(outcome):
            self.cut(f"the reset line does not follow: {outcome}")

    # Looks

    def look(self, now: float) -> None:
        """Look at the instruments, and judge what is known; call it every second."""
        self._now = now
        if (self.is_off or self.state is State.ON) and not self._is_looking:
            self._is_looking = True
            self._start(self._look(), self._looked)
        if self.state is State.ON and (why := self._judge.too_old(now)):
            self.cut(f"{why}: {self._failure}")
        if self._cut_at <= now:
            self._cut_again()

    def _look(self) -> Script[Survey]:
        try:
            return (yield from self._instruments.survey())
        except LineError as error:
            if error.kind not in MAY_PASS:
                raise
        return (yield from self._instruments.survey())

    def _looked(self, outcome: Survey | LineError) -> None:
        self._is_looking = False
        self._now = self._line.now
        if isinstance(outcome, Survey):
            self.survey = outcome = replace(outcome, at=self._now)
        elif self._matters(outcome):
            self._failure = str(outcome)
            self._say(Level.WARNING, f"a look at the board failed: {outcome}")
        if not self.is_off and self.state is not State.ON:
            return
        if isinstance(outcome, Survey):
            why = self._judge.look(outcome)
        else:
            why = self._judge.too_old(self._now)
            why = why and f"{why}: {self._failure}"
        if why:
            self.cut(why)

    # The cut

    def cut(self, reason: str, level: Level = Level.ERROR) -> None:
        """Take the core voltage away before anything else is done, for good.

        Args:
            reason: Why, for a person.
            level: How bad that is.
        """
        is_first, self.cut_reason = not self.cut_reason, self.cut_reason or reason
        self.state = State.CUT
        self._is_cut_off = False
        self._wanted_v = 0.0
        self.chips.out.clear()
        self._cut_again()
        if is_first:
            self._say(level, f"core voltage cut: {reason}")

    def _cut_again(self) -> None:
        self._cut_at = self._line.now + LONGEST_CUT_S
        self._line.cut(self._instruments.off(), self._has_cut)
        self._on_work()

    def _has_cut(self, outcome: tuple[float, str] | LineError) -> None:
        if isinstance(outcome, LineError):
            if outcome.kind is raw.FailureKind.CUT:
                return  # by another attempt
            told = str(outcome)
        else:
            core_v, failures = outcome
            told = failures or f"it is {core_v:.3f} V"
            if core_v < OFF_V:
                self._is_cut_off = True
                self._cut_at = self._line.now + CUT_AGAIN_S if failures else NEVER
                self._note_v(0.0)
                but = f", but: {failures}" if failures else ""
                text = f"the core voltage is off ({core_v:.3f} V){but}"
                self._say(Level.WARNING, text)
                return
        self._is_cut_off, self._cut_at = False, self._line.now + CUT_AGAIN_S
        text = f"the core voltage may still be on, pull the power plug: {told}"
        self._say(Level.ERROR, text)

    # Helpers

    def _start(
        self, script: Script[T], on_end: Callable[[T | LineError], None]
    ) -> None:
        self._line.start(script, on_end)
        self._on_work()

    def _matters(self, error: LineError) -> bool:
        """Whether it is the board's, and not the end of a script or of the board."""
        is_cut = error.kind is raw.FailureKind.CUT
        return not is_cut and self.state is not State.GONE

    def _note_v(self, volts: float) -> None:
        if not self._core_v or not volts:
            self._on_at = self._line.now if volts else NEVER
        self._core_v = volts
        self._judge.core_voltage_set(volts, self._line.now)

    def _note_fan(self, percent: float) -> None:
        self._judge.fan_set(percent, self._line.now)

    def _say(self, level: Level, text: str) -> None:
        """Tell it, unless it was the last thing told of its level."""
        if self._last_words.get(level) != text:
            self._last_words[level] = text
            self._tell(level, text)
