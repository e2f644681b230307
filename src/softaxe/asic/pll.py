"""A chip's hash clock: the dividers that make it, and the way from one to another.

Frequency = 25 MHz * fb / (refdiv * postdiv1 * postdiv2). Source: ESP-Miner pll.c.
"""

from functools import lru_cache
from math import ceil, floor

from msgspec import Struct

from softaxe.units import float32

CRYSTAL_MHZ = 25
REFDIVS = (2, 1)
"""In the order the firmware tries them."""
MAX_POSTDIV = 7
HIGH_VCO_MHZ = 2400
"""From this oscillator frequency on the larger scale is set."""
LOW_SCALE, HIGH_SCALE = 0x40, 0x50
TIE = 0.0001
"""Smaller differences count as none."""
MOST_MHZ = 65535.0
"""The most that a release takes which checks it. Source: ESP-Miner nvs_config.c."""
RAMP_STEP_MHZ = 6.25


class Pll(Struct, frozen=True):
    """One choice of dividers."""

    fb_divider: int
    refdiv: int
    postdiv1: int
    postdiv2: int

    @property
    def frequency_mhz(self) -> float:
        """What the dividers give."""
        post = self.refdiv * self.postdiv1 * self.postdiv2
        return CRYSTAL_MHZ * self.fb_divider / post

    def value(self, *, has_raw_dividers: bool = False) -> int:
        """Value of the PLL register: scale, fb, refdiv and both post dividers.

        Args:
            has_raw_dividers: The BM1397's form: post dividers as they are, not minus
                one, and always the smaller scale.
        """
        vco_mhz = CRYSTAL_MHZ * self.fb_divider / self.refdiv
        is_high = vco_mhz >= HIGH_VCO_MHZ and not has_raw_dividers
        scale = HIGH_SCALE if is_high else LOW_SCALE
        less = 0 if has_raw_dividers else 1
        post = self.postdiv1 - less << 4 | self.postdiv2 - less
        return scale << 24 | self.fb_divider << 16 | self.refdiv << 8 | post

    @classmethod
    def from_value(cls, value: int, *, has_raw_dividers: bool = False) -> "Pll":
        """Read the register; a divider of 0, which no PLL has, is taken for 1."""
        less = 0 if has_raw_dividers else 1
        return cls(
            fb_divider=value >> 16 & 0xFF,
            refdiv=max(1, value >> 8 & 0xFF),
            postdiv1=max(1, (value >> 4 & 0xF) + less),
            postdiv2=max(1, (value & 0xF) + less),
        )


@lru_cache(maxsize=4096)
def pll_for(frequency_mhz: float, *, fb_min: int, fb_max: int) -> Pll | None:
    """Find the dividers nearest to a frequency.

    Among equally near ones the lowest oscillator frequency wins, then the smallest
    post dividers, then the first found.

    Returns:
        None when no dividers fit.
    """
    best: tuple[float, float, int] | None = None
    found = None
    for refdiv in REFDIVS:
        for postdiv1 in range(MAX_POSTDIV, 0, -1):
            for postdiv2 in range(postdiv1 - 1, 0, -1):
                post = postdiv1 * postdiv2
                fb_divider = int(frequency_mhz / CRYSTAL_MHZ * refdiv * post + 0.5)
                if not fb_min <= fb_divider <= fb_max:
                    continue
                pll = Pll(fb_divider, refdiv, postdiv1, postdiv2)
                error = abs(float32(pll.frequency_mhz) - frequency_mhz)
                key = (error, CRYSTAL_MHZ * fb_divider / refdiv, post)
                if best is None or _is_better(key, best):
                    best, found = key, pll
    return found


def _is_better(
    candidate: tuple[float, float, int], best: tuple[float, float, int]
) -> bool:
    for new, old in zip(candidate, best, strict=True):
        if abs(new - old) >= TIE:
            return new < old
    return False


def ramp_steps(from_mhz: float, to_mhz: float) -> list[float]:
    """Frequencies to write, one per 100 ms, on the 6.25 MHz grid and then exactly.

    Source: ESP-Miner pll.c.
    """
    # Releases that check no setting climb on beyond any frequency, with no end.
    to_mhz = min(to_mhz, MOST_MHZ)
    difference = abs(to_mhz - from_mhz)
    if difference < TIE:
        return []
    if difference < RAMP_STEP_MHZ:
        return [to_mhz]
    rounding, step = (floor, 1) if to_mhz > from_mhz else (ceil, -1)
    first = rounding(from_mhz / RAMP_STEP_MHZ)
    last = rounding(to_mhz / RAMP_STEP_MHZ)
    grid = [n * RAMP_STEP_MHZ for n in range(first + step, last + step, step)]
    if not grid or abs(grid[-1] - to_mhz) >= TIE:
        grid.append(to_mhz)
    return grid
