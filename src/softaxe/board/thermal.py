"""Heat from chip and regulator into the air.

Three masses: the chip sits on the sink, the sink in the fan's air, the regulator beside
both. Each follows an exact exponential towards its steady state, so that a step of any
length is right for constant inputs.
"""

from math import exp

from softaxe.catalog import Board

MIN_AIRFLOW = 1e-3


class Thermal:
    """Temperatures of a board.

    Args:
        board: Whose.
        ambient_c: Air, and everything else at the beginning.
    """

    def __init__(self, board: Board, *, ambient_c: float) -> None:
        self.sink_c = ambient_c
        self.vr_c = ambient_c
        self._over_sink_k = 0.0
        self._ambient_c = ambient_c
        self._board = board
        cooling = board.cooling
        self._vr_share = cooling.vr_airflow_exponent / cooling.airflow_exponent
        # Still air bounds the paths into it: without a fan, convection is left.
        self._cooling = cooling
        self._still = cooling.still_air_k_per_w / cooling.sink_to_air_k_per_w
        self._chip_s = cooling.chip_j_per_k * cooling.chip_to_sink_k_per_w
        self._kept_over_s, self._kept = 0.0, 1.0
        """The latest seconds of a step, and what they leave of how far a chip is from
        where it goes, over its sink."""
        count, spread = board.asic_count, cooling.chip_spread
        self._is_alone = count == 1
        self._spread = [
            1 + spread * (1 - 2 * index / (count - 1)) if count > 1 else 1.0
            for index in range(count)
        ]

    @property
    def chip_c(self) -> float:
        """The chips' mean."""
        return self.sink_c + self._over_sink_k

    @property
    def chips_c(self) -> list[float]:
        """Every chip, in the order of the chain."""
        sink_c, over_k = self.sink_c, self._over_sink_k
        if self._is_alone:
            return [sink_c + over_k]
        return [sink_c + share * over_k for share in self._spread]

    @property
    def board_c(self) -> list[float]:
        """The board beside every chip."""
        coupling, air_c = self._board.cooling.board_coupling, self._ambient_c
        return [air_c + coupling * (chip_c - air_c) for chip_c in self.chips_c]

    def step(
        self,
        dt_s: float,
        *,
        core_power_w: float,
        regulator_heat_w: float,
        airflow: float,
        ambient_c: float,
    ) -> None:
        """Advance by `dt_s` seconds of constant inputs.

        Args:
            dt_s: Seconds, at least 0; any length is exact.
            core_power_w: Heat of all chips, into the sink.
            regulator_heat_w: Heat of the regulator.
            airflow: Relative to the usual fan at full speed.
            ambient_c: Air, in degrees Celsius.
        """
        cooling = self._cooling
        self._ambient_c = ambient_c
        flow = airflow if airflow > MIN_AIRFLOW else MIN_AIRFLOW
        thinning = flow**-cooling.airflow_exponent
        thinning = thinning if thinning < self._still else self._still
        to_air = cooling.sink_to_air_k_per_w * thinning
        end_c = sink_end_c = ambient_c + core_power_w * to_air
        sink_s = cooling.sink_j_per_k * to_air
        self.sink_c = end_c + (self.sink_c - end_c) * exp(-dt_s / sink_s)

        chip_w = core_power_w / self._board.asic_count
        end_k = chip_w * cooling.chip_to_sink_k_per_w
        if dt_s != self._kept_over_s:
            self._kept_over_s, self._kept = dt_s, exp(-dt_s / self._chip_s)
        self._over_sink_k = end_k + (self._over_sink_k - end_k) * self._kept

        vr_to_air = cooling.vr_to_air_k_per_w * thinning**self._vr_share
        end_c = (
            ambient_c
            + cooling.vr_coupling * (sink_end_c - ambient_c)
            + regulator_heat_w * vr_to_air
        )
        vr_s = cooling.vr_j_per_k * vr_to_air
        self.vr_c = end_c + (self.vr_c - end_c) * exp(-dt_s / vr_s)
