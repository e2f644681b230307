"""pytest fixtures; installed with softaxe, nothing has to be configured.

    def test_it_sees_an_overheated_device(bitaxe):
        bitaxe.faults.add("ambient", c=70)
        bitaxe.clock.advance(1800)
        assert my_dashboard.read(bitaxe.url).is_overheated

Time goes on by itself, at the speed of life; `clock` bends it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from softaxe.testing.run import MakeDevices, RunningFleet, RunningPool

FAMILIES = ("102", "204", "402", "601", "702", "303", "801")
"""Max, Ultra, Supra, Gamma, SupraHex, Hex and GammaTurbo."""


@pytest.fixture
def bitaxe_factory() -> Iterator["MakeDevices"]:
    """Make devices in a test: call it as `softaxe.running`, they end with the test."""
    # Imported by those who use it: pytest loads plugins whether they are used or not.
    from softaxe.testing.run import running  # noqa: PLC0415

    with ExitStack() as stack:

        def make(**options: Any) -> "RunningFleet":
            return stack.enter_context(running(**options))

        yield make


@pytest.fixture
def bitaxe(bitaxe_factory: "MakeDevices") -> "RunningFleet":
    """A mining Gamma."""
    return bitaxe_factory()


@pytest.fixture
def bitaxe_fleet(bitaxe_factory: "MakeDevices") -> "RunningFleet":
    """One device of every family of firmware v2.12.2, mining."""
    return bitaxe_factory(board=FAMILIES, count=len(FAMILIES))


@pytest.fixture
def bitaxe_pool(bitaxe_factory: "MakeDevices") -> "RunningPool":
    """A pool without miners, to connect one's own to."""
    return bitaxe_factory(groups=[]).pool
