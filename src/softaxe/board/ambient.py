"""The air around a device: a mean, and its swing over the day."""

from math import pi, sin

DAY_S = 86_400.0


class Ambient:
    """Air temperature.

    Args:
        mean_c: Of the day, in degrees Celsius.
        swing_c: By how much the warmest moment is above the mean; it comes six hours
            after time 0, the coolest twelve hours later.
    """

    def __init__(self, mean_c: float, *, swing_c: float = 0.0) -> None:
        self.mean_c = mean_c
        self.swing_c = swing_c

    def at(self, now: float) -> float:
        """Temperature at this moment."""
        if not self.swing_c:
            return self.mean_c
        return self.mean_c + self.swing_c * sin(2 * pi * now / DAY_S)
