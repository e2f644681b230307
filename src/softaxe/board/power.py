"""Supply, regulator and the chips' appetite.

Switching power grows with frequency and voltage squared, leakage with voltage and heat.
The regulator loses a fixed share as heat, the supply sags with what is drawn. What the
API shows is what `regulator` measures of it.
"""

from math import sqrt

from softaxe.catalog import Board

LEAKAGE_REFERENCE_C = 60.0


class PowerStage:
    """Supply and core of a board: what flows, whoever measures it.

    Args:
        board: Whose.
    """

    def __init__(self, board: Board) -> None:
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

    def step(
        self,
        *,
        frequency_mhz: float,
        activity: float,
        chip_temperature_c: float,
    ) -> None:
        """Work out voltages, currents and powers at this moment.

        Args:
            frequency_mhz: Clock of the chips.
            activity: Switching relative to full hashing, 0 to 1.
            chip_temperature_c: For the leakage.
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

    def _loaded_input_v(self, power_w: float) -> float:
        open_v, ohm = (
            self._board.supply.open_circuit_v,
            self._board.supply.resistance_ohm,
        )
        square = open_v * open_v - 4 * ohm * power_w
        return (open_v + sqrt(square)) / 2 if square > 0 else open_v / 2

    @property
    def input_current_a(self) -> float:
        """Drawn from the supply."""
        return self.input_power_w / self.input_voltage_v
