"""Supply, regulator and the chips' appetite.

Switching power grows with frequency and voltage squared, leakage with voltage and heat.
The regulator loses a fixed share as heat, the supply sags with what is drawn. What the
API shows is what the regulator's telemetry would say, in its steps (TPS546.c).
"""

import random
from math import floor, sqrt

from softaxe.catalog import Board
from softaxe.units import Level, Log

VIN_STEP_V = 1 / 32
VOUT_STEP_V = 1 / 512
IOUT_STEP_A = 1 / 64
LEAKAGE_REFERENCE_C = 60.0
CURRENT_NOISE_A = 0.03
"""Scatter of the current telemetry; an estimate."""
FAULT_TEXT = "Power Fault Detected."


class PowerStage:
    """Supply and core regulator of a board.

    Args:
        board: Whose.
        log: For the regulator's lines.
    """

    def __init__(self, board: Board, *, log: Log) -> None:
        self.core_voltage_setting_v = 0.0
        """Per voltage domain; 0 is off."""
        self.core_voltage_v = 0.0
        """Per domain, under load."""
        self.core_current_a = 0.0
        self.core_power_w = 0.0
        self.regulator_heat_w = 0.0
        self.input_voltage_v = board.supply.open_circuit_v
        self.input_power_w = 0.0
        self._board = board
        self._log = log
        self._current_noise_a = 0.0

    def set_core_voltage(self, volts: float) -> bool:
        """Set the voltage per domain; 0 switches off.

        Returns:
            False when the regulator refuses it; the old voltage stays.
        """
        supply = self._board.supply
        total_v = volts * self._board.voltage_domains
        if total_v and not supply.vout_min_v <= total_v <= supply.vout_max_v:
            text = f"Voltage requested ({total_v:f} V) is out of range"
            self._log(Level.ERROR, "TPS546", text)
            return False
        self.core_voltage_setting_v = volts
        if total_v:
            self._log(Level.INFO, "TPS546", f"Vout changed to {total_v:1.2f} V")
        return True

    def step(
        self,
        *,
        frequency_mhz: float,
        activity: float,
        chip_temperature_c: float,
        rng: random.Random,
    ) -> None:
        """Work out voltages, currents and powers at this moment.

        Args:
            frequency_mhz: Clock of the chips.
            activity: Switching relative to full hashing, 0 to 1.
            chip_temperature_c: For the leakage.
            rng: For the scatter of the telemetry.
        """
        board, supply = self._board, self._board.supply
        silicon, volts = board.chip.silicon, self.core_voltage_setting_v
        heat = (chip_temperature_c - LEAKAGE_REFERENCE_C) / silicon.leakage_doubling_c
        leakage_a = silicon.leakage_a_at_60c * volts * 2.0 ** min(heat, 4.0)
        switching_a = silicon.switching_f * volts * frequency_mhz * 1e6 * activity
        # Chips of one domain are in parallel, domains in series.
        per_domain = board.asic_count / board.voltage_domains
        self.core_current_a = (leakage_a + switching_a) * per_domain
        drop_v = supply.core_path_ohm * self.core_current_a
        self.core_voltage_v = max(0.0, volts - drop_v)
        total_v = self.core_voltage_v * board.voltage_domains
        self.core_power_w = total_v * self.core_current_a
        self.regulator_heat_w = self.core_power_w * (
            1 / supply.regulator_efficiency - 1
        )
        self.input_power_w = self.core_power_w + board.power_offset_w
        self.input_voltage_v = self._loaded_input_v(self.input_power_w)
        noise = rng.gauss(0.0, CURRENT_NOISE_A)
        self._current_noise_a = noise if self.core_current_a else 0.0

    def _loaded_input_v(self, power_w: float) -> float:
        open_v, ohm = (
            self._board.supply.open_circuit_v,
            self._board.supply.resistance_ohm,
        )
        square = open_v * open_v - 4 * ohm * power_w
        return (open_v + sqrt(square)) / 2 if square > 0 else open_v / 2

    @property
    def reported_current_a(self) -> float:
        """The regulator's output current, as its telemetry says."""
        current = self.core_current_a + self._current_noise_a
        return max(0.0, _quantise(current, IOUT_STEP_A))

    @property
    def reported_core_voltage_v(self) -> float:
        """Core voltage per domain, as the telemetry says."""
        total_v = self.core_voltage_v * self._board.voltage_domains
        return _quantise(total_v, VOUT_STEP_V) / self._board.voltage_domains

    @property
    def reported_voltage_v(self) -> float:
        """Input voltage, as the telemetry says."""
        return _quantise(self.input_voltage_v, VIN_STEP_V)

    @property
    def reported_power_w(self) -> float:
        """What the firmware makes of it: output power and a fixed offset."""
        output_v = self.reported_core_voltage_v * self._board.voltage_domains
        return output_v * self.reported_current_a + self._board.power_offset_w

    @property
    def fault_text(self) -> str | None:
        """The fault the regulator reports, if any."""
        supply = self._board.supply
        is_faulty = (
            self.input_voltage_v < supply.input_off_v
            or self.core_current_a >= supply.overcurrent_a
        )
        return FAULT_TEXT if is_faulty else None


def _quantise(value: float, step: float) -> float:
    return floor(value / step + 0.5) * step
