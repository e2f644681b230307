"""All that is on a board's I2C bus, together: brought up, looked at, and switched off.

Each method is a script for the control line.
"""

from math import nan

from softaxe.board.regulator import ALL_WELL, Status, dac_voltage
from softaxe.catalog import Board
from softaxe.metal import parts, raw
from softaxe.metal.raw import LineError, Script
from softaxe.metal.safety import FULL_FAN_PERCENT, OFF_V, Survey
from softaxe.metal.tps546 import Tps546

I2C_HZ = 100_000
OT_FAULT_C = 120.0
"""Where the regulator switches itself off when nobody else does; it is shipped with
145 °C. A choice: above whatever `safety` lets happen."""
OFF_TRIES = 3
SETTLE_S = 0.02
"""From switching off to a voltage that has fallen."""
ADC_FULL_V = 3.1
ADC_COUNTS = 4095
"""Of the ESP32's converter at 11 dB, uncalibrated. Source: ESP32-S3 data sheet."""
LOWEST_CODE = 0xFF
"""That gives the least voltage that a DS4432U can ask for."""


class Instruments:
    """Those of one board.

    Args:
        board: Whose row says what should be there.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._fan = parts.fan_controller(board)
        self._regulator = Tps546(board, ot_fault_c=OT_FAULT_C)

    def arm(self) -> Script[None]:
        """Stop whatever it does, see that every part is there, and set its limits.

        Raises:
            LineError: One is not there, is another, or does not do as it is told.
        """
        yield raw.i2c_speed(I2C_HZ)
        yield from self._hold()
        yield from self._cool()
        yield from self.switch_off()
        yield from self._fan.identify()
        yield from self._fan.configure()
        yield from self._fan.set_percent(FULL_FAN_PERCENT)
        yield from parts.identify_sensors(self._board)
        if self._board.has_tps546:
            yield from self._regulator.identify()
            yield from self._regulator.configure()
        else:
            yield from parts.identify_ina260()
        yield from self.survey()
        yield from self.expect_off()

    def turn_fan(self, percent: float) -> Script[None]:
        """Turn all fans with a duty, 0 to 100."""
        yield from self._fan.set_percent(percent)

    def set_core(self, volts: float) -> Script[None]:
        """Set the voltage per domain that the core has, or will have."""
        if self._board.has_tps546:
            yield from self._regulator.set_vout(volts * self._board.voltage_domains)
        else:
            yield from parts.set_ds4432u(self._board, volts)

    def switch_on(self) -> Script[None]:
        """Let the core have it."""
        if self._board.has_tps546:
            yield from self._regulator.clear_faults()
            yield from self._regulator.switch_on()

    def switch_off(self) -> Script[None]:
        """Take it away; a DS4432U can only turn it down as far as it goes."""
        if self._board.has_tps546:
            yield from self._regulator.switch_off()
            yield from self._regulator.obey()
        else:
            yield from parts.set_ds4432u(self._board, dac_voltage(LOWEST_CODE))

    def expect_off(self) -> Script[None]:
        """See that there is no core voltage; a DS4432U always leaves some.

        Raises:
            LineError: There is.
        """
        if not self._board.has_tps546:
            return
        yield SETTLE_S
        core_v, _ = yield from self.core()
        if core_v >= OFF_V:
            text = f"the core has {core_v:.3f} V though it was switched off"
            raise LineError(raw.FailureKind.WRONG_PART, text)

    def core(self) -> Script[tuple[float, Status]]:
        """Read the core voltage per domain, and what the regulator thinks of it."""
        if self._board.has_tps546:
            volts = yield from self._regulator.read_vout()
            status = yield from self._regulator.read_status()
            return volts / self._board.voltage_domains, status
        count = int.from_bytes((yield raw.adc()), "little")
        return count * ADC_FULL_V / ADC_COUNTS, ALL_WELL

    def off(self) -> Script[tuple[float, str]]:
        """Switch everything off, the core first, whatever fails on the way.

        Returns:
            The core voltage that is left, and what was not done, in words.

        Raises:
            LineError: Nobody knows whether there is a core voltage.
        """
        failures = []
        for what in (self.switch_off, self._hold, self.switch_off, self._cool):
            for left in reversed(range(OFF_TRIES)):
                try:
                    yield from what()
                    break
                except LineError as error:
                    if not left:
                        failures.append(str(error))
        yield SETTLE_S
        core_v, _ = yield from self.core()
        return core_v, "; ".join(failures)

    def _hold(self) -> Script[None]:
        yield raw.gpio_set(raw.RESET_PIN, is_high=False)

    def _cool(self) -> Script[None]:
        yield from self._fan.set_percent(FULL_FAN_PERCENT)

    def survey(self) -> Script[Survey]:
        """Look at everything once; the caller knows when."""
        board = self._board
        sensed_c = yield from parts.read_temperatures(board)
        all_rpms = yield from self._fan.read_rpms()
        chips_c = tuple(
            nan if one_c is None else one_c for one_c in sensed_c[: board.sensor_count]
        )
        rpms = all_rpms[: board.fan_count]
        if not board.has_tps546:
            taken = yield from parts.read_ina260()
            core_v, status = yield from self.core()
            return Survey(
                chips_c=chips_c,
                rpms=rpms,
                input_v=taken.voltage_v,
                core_v=core_v,
                current_a=taken.current_a,
                power_w=taken.power_w,
                vr_c=None,
                status=status,
            )
        read = yield from self._regulator.read()
        output_w = read.output_voltage_v * read.output_current_a
        return Survey(
            chips_c=chips_c,
            rpms=rpms,
            input_v=read.input_voltage_v,
            core_v=read.output_voltage_v / board.voltage_domains,
            current_a=read.output_current_a,
            power_w=output_w + board.power_offset_w,
            vr_c=read.temperature_c,
            status=read.status,
        )
