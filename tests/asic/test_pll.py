from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softaxe.asic import frames
from softaxe.asic.pll import Pll, pll_for, ramp_steps

FB_LIMITS = {"BM1397": (60, 200), "BM1366": (144, 235), "BM1368": (144, 235)}
BM1370_LIMITS = (160, 239)


def test_dividers_and_frames_of_every_chip_are_those_of_the_reference(
    vectors: dict[str, Any],
) -> None:
    for vector in vectors["asic"]["pll"]:
        low, high = FB_LIMITS.get(vector["chip"], BM1370_LIMITS)
        is_raw = vector["chip"] == "BM1397"

        pll = pll_for(vector["mhz"], fb_min=low, fb_max=high)

        assert pll == Pll(
            vector["fb_divider"],
            vector["refdiv"],
            vector["postdiv1"],
            vector["postdiv2"],
        )
        assert pll.frequency_mhz == pytest.approx(vector["actual_mhz"])
        value = pll.value(has_raw_dividers=is_raw)
        assert frames.write_all(0x08, value).hex() == vector["frame"]
        assert Pll.from_value(value, has_raw_dividers=is_raw) == pll


def test_the_firmwares_own_unit_test_is_met(vectors: dict[str, Any]) -> None:
    vector = vectors["asic"]["pll_unit_test"]

    pll = pll_for(vector["mhz"], fb_min=vector["fb_min"], fb_max=vector["fb_max"])

    assert pll is not None
    assert pll.frequency_mhz == vector["actual_mhz"]
    assert pll.fb_divider == vector["fb_divider"]


def test_a_frequency_out_of_reach_has_no_dividers() -> None:
    assert pll_for(20_000, fb_min=160, fb_max=239) is None


@given(value=st.integers(0, 2**32 - 1), is_raw=st.booleans())
def test_any_register_value_is_some_frequency(value: int, is_raw: bool) -> None:
    pll = Pll.from_value(value, has_raw_dividers=is_raw)

    assert 0 <= pll.frequency_mhz <= 25 * 255


def test_ramps_write_what_the_reference_counts(vectors: dict[str, Any]) -> None:
    for vector in vectors["asic"]["frequency_ramp"]:
        steps = ramp_steps(vector["from"], vector["to"])

        assert len(steps) == vector["writes"]
        assert steps[: len(vector["first"])] == vector["first"]
        assert steps[len(steps) - len(vector["last"]) :] == vector["last"]


@given(start=st.floats(50, 1000), end=st.floats(50, 1000))
def test_a_ramp_ends_where_it_was_asked_to(start: float, end: float) -> None:
    steps = ramp_steps(start, end)

    if abs(end - start) >= 0.0001:
        assert steps[-1] == pytest.approx(end, abs=0.0001)
    rising = end > start
    assert steps == sorted(steps, reverse=not rising)


def test_a_ramp_ends() -> None:
    assert ramp_steps(525.0, 1e30)[-1] == 65535.0
