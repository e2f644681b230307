"""Supply, regulator and the chips' appetite: what flows, whoever measures it.

The chips' power grows with frequency, voltage squared and heat; what flows without a
clock is too little to be seen in readings of idle devices. The regulator loses a fixed
part, one with the current and one with its square; the supply sags with what is drawn.
What the API shows is what `regulator` measures of it.
"""

import random
from collections.abc import Sequence
from math import exp, sqrt

from softaxe.catalog.lottery import Specimen

REFERENCE_C = 60.0
MOST_HEAT_K = 100.0
"""Beyond this a real chip is dead; the model only has to stay finite."""
WANDER_SHARE = 0.0007
"""Standard deviation of the supply's own wandering, of its voltage. Source: real
devices show three or four neighbouring steps of 1/128 V within two hours."""
WANDER_S = 60.0
"""How long it remembers; an estimate."""


class PowerStage:
    """Supply and core of a board.

    Args:
        specimen: Whose.
    """

    def __init__(self, specimen: Specimen) -> None:
        board = specimen.board
        self.core_voltage_setting_v = 0.0
        """Per voltage domain; 0 is off."""
        self.core_voltage_v = 0.0
        """Per domain, under load."""
        self.core_current_a = 0.0
        self.core_power_w = 0.0
        self.regulator_heat_w = 0.0
        self.input_voltage_v = board.supply.open_circuit_v
        self.input_power_w = 0.0
        self.sag_v = 0.0
        """What the supply is short of, when it is failing."""
        self._supply = board.supply
        self._wander_v = 0.0
        self._kept_over_s, self._kept, self._kick_v = 0.0, 1.0, 0.0
        """The latest seconds of wandering, what is left after them of where it was, and
        the spread of what comes."""
        self._domains = board.voltage_domains
        self._fan_w = board.fan.power_w_at_full * board.fan_count
        self._switching = [
            (chip.switching_f, chip.switching_per_k) for chip in specimen.silicons
        ]

    def step(
        self,
        *,
        frequency_mhz: float,
        activity: float,
        temperatures_c: Sequence[float],
        airflow: float,
    ) -> None:
        """Work out voltages, currents and powers at this moment.

        Args:
            frequency_mhz: Clock of the chips.
            activity: Switching relative to full hashing, 0 to 1.
            temperatures_c: Of every chip.
            airflow: Share of the fan's full flow.
        """
        supply, volts = self._supply, self.core_voltage_setting_v
        switching_f = 0.0
        for (farads, per_k), celsius in zip(
            self._switching, temperatures_c, strict=True
        ):
            heat_k = celsius - REFERENCE_C
            heat_k = heat_k if heat_k < MOST_HEAT_K else MOST_HEAT_K
            switching_f += farads * exp(per_k * heat_k)
        hertz = frequency_mhz * 1e6 * activity
        # Chips of one domain are in parallel, domains in series.
        current_a = self.core_current_a = switching_f * hertz * volts / self._domains
        drop_v = supply.core_path_ohm * current_a
        core_v = self.core_voltage_v = volts - drop_v if volts > drop_v else 0.0
        self.core_power_w = core_power_w = core_v * self._domains * current_a
        per_ampere_v = supply.loss_v + supply.loss_ohm * current_a
        idle_w = supply.loss_w if volts else 0.0
        self.regulator_heat_w = heat_w = idle_w + per_ampere_v * current_a
        fan_w = self._fan_w * airflow**3
        self.input_power_w = input_w = core_power_w + heat_w + supply.aux_w + fan_w
        self.input_voltage_v = self._loaded_input_v(input_w)

    def wander(self, dt_s: float, rng: random.Random) -> None:
        """Let the supply's voltage wander for `dt_s` seconds."""
        if dt_s != self._kept_over_s:
            self._kept_over_s = dt_s
            self._kept = kept = exp(-dt_s / WANDER_S)
            spread_v = WANDER_SHARE * self._supply.open_circuit_v
            self._kick_v = spread_v * sqrt(1 - kept * kept)
        kick_v = rng.gauss(0.0, self._kick_v)
        self._wander_v = self._kept * self._wander_v + kick_v

    def _loaded_input_v(self, power_w: float) -> float:
        supply_v = self._supply.open_circuit_v + self._wander_v
        open_v = supply_v - self.sag_v
        open_v = open_v if open_v > 0.1 else 0.1
        ohm = self._supply.resistance_ohm
        square = open_v * open_v - 4 * ohm * power_w
        return (open_v + sqrt(square)) / 2 if square > 0 else open_v / 2

    @property
    def input_current_a(self) -> float:
        """Drawn from the supply."""
        return self.input_power_w / self.input_voltage_v
