"""What a device has of its metal: the parts around the chips, and these behind a wire.

There are two kinds: `ModelBody` is a model of it, and of the air that it stands in;
`metal.wire_body` is a board that is there.
"""

import random
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from softaxe.asic.chip import Chain, Search, WorkMode
from softaxe.asic.frames import RegisterReply, Reply
from softaxe.bitcoin.header import Work
from softaxe.board.ambient import Ambient
from softaxe.board.fan import Fan
from softaxe.board.power import PowerStage
from softaxe.board.regulator import PowerReading, Regulator, Status, regulator_for
from softaxe.board.sensors import ABSENT_C, STILL, draw_noise, read_temperatures
from softaxe.board.thermal import Thermal
from softaxe.catalog import Board
from softaxe.catalog.lottery import Specimen
from softaxe.device.faults import (
    BLOCKED_FLOW,
    NO_FAULTS,
    DeviceFaults,
    Instrument,
    Sensor,
)
from softaxe.units import Log

CHIP_PATH_OHM = 0.0018
"""From where the regulator measures to the chip. Source: Gammas up to v2.10 show 24 to
31 mV less than is set, at about 12 A, and later ones 3 to 6 mV."""
BODY_PERIOD_S = 1.0
"""How often power, heat and fan are worked out."""


class CoreVoltage(Protocol):
    """What switches and measures the chips' supply."""

    @property
    def status(self) -> Status:
        """Its status word; 0 where there is none."""

    def set_core_voltage(self, volts: float) -> None:
        """Ask for a voltage per domain; 0 means off, where that is possible."""


class FanDrive(Protocol):
    """What turns the fans."""

    @property
    def least_percent(self) -> float:
        """The duty that it does not go below."""

    def set_percent(self, percent: float) -> bool:
        """Command a duty, 0 to 100; tell whether the controller took it."""


class Chips(Protocol):
    """The chips, and what may be known of them without asking them."""

    mode: WorkMode
    next_wake: float

    @property
    def replies(self) -> Sized:
        """Those that `take_replies` would return."""

    @property
    def bad_frames(self) -> int:
        """Commands that they have dropped."""

    @property
    def hashing_count(self) -> int | None:
        """How many of them hash; None when nobody knows."""

    @property
    def hashrate_hs(self) -> float | None:
        """Good hashes per second that they can do now; None when nobody knows."""

    def step(self, now: float) -> None:
        """Let everything happen that is due."""

    def set_reset(self, is_low: bool, now: float) -> None:
        """Pull the reset line, or let it go."""

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the driver."""

    def take_work(self, job_id: int, work: Work, now: float) -> bool:
        """Take a job; False, and nothing happens, where it must come as bytes."""

    def take_replies(self) -> list[tuple[int, Reply]]:
        """Return and forget replies of chips that are in this process."""

    def answers(self, reply_bytes: int) -> bool:
        """True when every chip can be read here and now, without bytes."""

    def read(self, registers: Sequence[int], now: float) -> list[RegisterReply]:
        """Return registers of each, all of the first one first."""

    def next_hit(self, difficulty: float) -> float:
        """When they will tell a nonce of a difficulty, of one known to come."""

    def set_mode(self, mode: WorkMode, now: float) -> None:
        """Let a searched hash stand for something else; jobs are forgotten."""

    def set_scale(self, scale: float, now: float) -> None:
        """Let it stand for so many of the chip's."""

    def take_search(self, max_nonces: int) -> Search | None:
        """Return nonces to search outside, when there are any."""

    def finish_search(self, search: Search, found: list[int], now: float) -> None:
        """Take the nonces found in that."""


class Body(Protocol):
    """The metal, as far as protection and device have to do with it."""

    @property
    def chips(self) -> Chips:
        """At the other end of the driver's line."""

    @property
    def regulator(self) -> CoreVoltage:
        """Of the chips' supply."""

    @property
    def fan(self) -> FanDrive:
        """All of them, commanded alike."""

    @property
    def temperatures_c(self) -> tuple[float, float]:
        """What the sensors of chip and board show; -1 for a second that is none."""

    @property
    def power_reading(self) -> PowerReading:
        """What the board measures of its power; 0 where nothing answers."""

    @property
    def adc_v(self) -> float:
        """What the ESP32 measures of the chips' supply, undivided, to a millivolt."""

    @property
    def fan_rpms(self) -> tuple[int, int]:
        """Speeds of both fans as the firmware shows them; 0 for one that is none."""

    def boot(
        self,
        board: Board,
        faults: DeviceFaults,
        *,
        has_drivers: bool,
        closes_line: bool,
    ) -> None:
        """Be initialised by a firmware that describes the board so."""

    def set_faults(self, faults: DeviceFaults, now: float, *, counted_s: float) -> None:
        """Break what `faults` says of the metal; what it leaves out is whole again.

        Args:
            faults: What is broken.
            now: Device time.
            counted_s: Between two looks of the firmware at the hash counters.
        """

    def step(self, now: float, rng: random.Random) -> None:
        """Let `BODY_PERIOD_S` pass."""

    def switch(self, now: float) -> None:
        """Let chips have at once the core voltage that was switched on or off."""


@dataclass(slots=True)
class ModelBody:
    """Chips, power, heat and fan of one device; `step` every `BODY_PERIOD_S`."""

    board: Board
    chips: Chain
    power: PowerStage
    regulator: Regulator
    thermal: Thermal
    fan: Fan
    ambient: Ambient
    ordered_ambient_c: float | None = None
    """Of a fault, instead of the day's air."""
    faults: DeviceFaults = NO_FAULTS
    stuck_c: Mapping[Sensor, float] = field(default_factory=dict)
    """What sensors show that no longer follow, by which."""
    absent: frozenset[Instrument] = frozenset()
    """What answers no more."""
    has_drivers: bool = True
    """False while a firmware runs that does not know what is on the board."""
    _noise_c: tuple[float, float] = STILL

    @classmethod
    def of(
        cls,
        specimen: Specimen,
        ambient: Ambient,
        now: float,
        log: Log,
        rng: random.Random,
    ) -> "ModelBody":
        """Assemble what a board has, as cold as the air."""
        power = PowerStage(specimen)
        return cls(
            specimen.board,
            Chain(specimen.board.chip, silicons=specimen.silicons, rng=rng),
            power,
            regulator_for(specimen.board, power, log=log),
            Thermal(specimen.board, ambient_c=ambient.at(now)),
            Fan(specimen.board),
            ambient,
        )

    def boot(
        self,
        board: Board,
        faults: DeviceFaults,
        *,
        has_drivers: bool,
        closes_line: bool,
    ) -> None:
        """Be initialised by a firmware that describes the board so.

        Args:
            board: In its words.
            faults: What is broken.
            has_drivers: False when it does not know the board's parts.
            closes_line: It closes the chips' enable line again that it has opened.
        """
        self.board = self.regulator.board = board
        self.has_drivers = self.regulator.is_driven = has_drivers
        self.absent = self._absent(faults)
        self.regulator.boot(has_plug=not faults.has_no_plug, closes_line=closes_line)

    def _absent(self, faults: DeviceFaults) -> frozenset[Instrument]:
        return faults.absent if self.has_drivers else frozenset(Instrument)

    def set_faults(self, faults: DeviceFaults, now: float, *, counted_s: float) -> None:
        """Break what `faults` says of the metal; what it leaves out is whole again."""
        self._set_chip_faults(faults, now, counted_s)
        self.faults = faults
        self.fan.set_condition(
            dead=faults.dead_fans,
            blocked=faults.blocked_fans,
            blocked_flow=BLOCKED_FLOW,
            untold=faults.dead_tachometers,
        )
        self.fan.answers = not faults.is_fan_controller_dead
        self.power.sag_v = faults.sag_v
        self.regulator.set_broken(faults.has_regulator_fault)
        self.stuck_c = faults.stuck_c
        self.absent = self._absent(faults)
        self.ordered_ambient_c = faults.ambient_c

    def _set_chip_faults(
        self, faults: DeviceFaults, now: float, counted_s: float
    ) -> None:
        before, chips = self.faults, self.chips
        numbers = range(1, self.board.asic_count + 1)
        if faults.weak_chips_v != before.weak_chips_v:
            weak = [faults.weak_chips_v.get(number, 0.0) for number in numbers]
            chips.set_weakness(weak, now)
        if (faults.dead_domains, faults.unstable) != (
            before.dead_domains,
            before.unstable,
        ):
            chips.set_defects([faults.defects(one) for one in numbers], now)
        for chip, domain, rate_hs in faults.counter_jumps - before.counter_jumps:
            chips.jump_counter(chip - 1, domain - 1, rate_hs * counted_s)
        if faults.first_dead_chip != before.first_dead_chip:
            dead = faults.first_dead_chip or len(numbers) + 1
            chips.set_working(min(dead - 1, len(numbers)), now)

    @property
    def temperatures_c(self) -> tuple[float, float]:
        """What the sensors of chip and board show; -1 for a second that is none."""
        first_c, second_c = read_temperatures(self.board, self.thermal, self._noise_c)
        if not self.stuck_c and not self.absent:
            return first_c, second_c
        if self.board.sensor_count > 1:
            second_c = self.stuck_c.get(Sensor.CHIP2, second_c)
        first_c = self.stuck_c.get(Sensor.CHIP, first_c)
        if Instrument.CHIP in self.absent:
            first_c = ABSENT_C
        if Instrument.CHIP2 in self.absent:
            second_c = ABSENT_C
        return first_c, second_c

    @property
    def power_reading(self) -> PowerReading:
        """What the board measures of its power; 0 where nothing answers."""
        reading = self.regulator.reading
        if not self.stuck_c and not self.absent:
            return reading
        vr_c = reading.vr_temp_c
        if self.board.has_tps546:  # no other knows its heat
            vr_c = self.stuck_c.get(Sensor.REGULATOR, vr_c)
        if Instrument.REGULATOR in self.absent:
            vr_c = 0.0
        if Instrument.POWER not in self.absent:
            return replace(reading, vr_temp_c=vr_c)
        if self.board.has_tps546:  # it measures everything
            return PowerReading(0.0, 0.0, 0.0, 0.0, 0.0)
        return PowerReading(0.0, 0.0, 0.0, reading.core_voltage_v, vr_c)

    @property
    def adc_v(self) -> float:
        """What the ESP32 measures of the chips' supply, undivided, to a millivolt."""
        if not self.board.has_tps546:
            return self.regulator.reading.core_voltage_v
        power = self.power
        volts = power.core_voltage_v * self.board.voltage_domains
        volts = max(0.0, volts - CHIP_PATH_OHM * power.core_current_a)
        return round(volts * 1000) / 1000

    @property
    def fan_rpms(self) -> tuple[int, int]:
        """Speeds of both fans as the firmware shows them; 0 for one that is none."""
        if Instrument.FAN in self.absent or not self.fan.answers:
            return 0, 0
        return self.fan.rpm, self.fan.rpm2

    def step(self, now: float, rng: random.Random) -> None:
        """Let a period pass with what the chips do, and give them what comes of it."""
        power, thermal, fan, chain = self.power, self.thermal, self.fan, self.chips
        fan.step(BODY_PERIOD_S, rng)
        power.wander(BODY_PERIOD_S, rng)
        airflow = fan.airflow
        frequency_mhz, activity = chain.load
        power.step(
            frequency_mhz=frequency_mhz,
            activity=activity,
            temperatures_c=thermal.chips_c,
            airflow=airflow,
        )
        self.regulator.step(thermal.vr_c, rng)
        self._noise_c = draw_noise(self.board, rng)
        ordered_c = self.ordered_ambient_c
        thermal.step(
            BODY_PERIOD_S,
            core_power_w=power.core_power_w,
            regulator_heat_w=power.regulator_heat_w,
            airflow=airflow,
            ambient_c=self.ambient.at(now) if ordered_c is None else ordered_c,
        )
        chain.set_operating_point(
            core_voltage_v=power.core_voltage_v, temperatures_c=thermal.chips_c, now=now
        )

    def switch(self, now: float) -> None:
        """Let chips have at once the core voltage that was switched on or off."""
        chain = self.chips
        self.power.step(
            frequency_mhz=chain.frequency_mhz,
            activity=chain.activity,
            temperatures_c=self.thermal.chips_c,
            airflow=self.fan.airflow,
        )
        chain.set_operating_point(
            core_voltage_v=self.power.core_voltage_v,
            temperatures_c=self.thermal.chips_c,
            now=now,
        )
