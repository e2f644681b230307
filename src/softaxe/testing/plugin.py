"""pytest fixtures; installed with softaxe, nothing has to be configured.

    def test_it_sees_an_overheated_device(bitaxe):
        bitaxe.faults.add("ambient", c=70)
        bitaxe.clock.advance(1800)
        assert my_dashboard.read(bitaxe.url).is_overheated

Time goes on by itself, at the speed of life; `clock` bends it.
"""

import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from softaxe.testing.run import MakeDevices, RunningFleet, RunningPool

FAMILIES = ("102", "204", "402", "601", "702", "303", "801")
"""Max, Ultra, Supra, Gamma, SupraHex, Hex and GammaTurbo."""
_BEFORE = pytest.StashKey[set[int]]()
"""The fleets that ran when a test began, by their Python ids."""
SETTLE_S = 10.0
"""Device time after which devices that were put back are at their pool again."""


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


@pytest.fixture(scope="session")
def bitaxe_session() -> Iterator["RunningFleet"]:
    """A mining Gamma for all tests; another in your conftest.py takes its place."""
    from softaxe.testing.run import running  # noqa: PLC0415

    with running() as fleet:
        yield fleet


@pytest.fixture(scope="session")
def _bitaxe_begun(bitaxe_session: "RunningFleet") -> "RunningFleet":
    bitaxe_session.snapshot("bitaxe_shared")
    return bitaxe_session


@pytest.fixture
def bitaxe_shared(_bitaxe_begun: "RunningFleet") -> "RunningFleet":
    """The devices of `bitaxe_session`, put back for each test as they were at first."""
    _bitaxe_begun.restore("bitaxe_shared")
    _bitaxe_begun.clock.advance(SETTLE_S)
    _bitaxe_begun.journal.clear()
    return _bitaxe_begun


def _report() -> ModuleType | None:
    """What is known of fleets, once there was one."""
    return sys.modules.get("softaxe.testing.report")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which devices are not the test's own."""
    if (known := _report()) is not None:
        item.stash[_BEFORE] = set(known.live)
        known.ended.clear()


@pytest.hookimpl(hookwrapper=True)  # that of pytest 7 too
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Let the report of a failed test tell of the devices that it made or asked for."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if not report.failed or (known := _report()) is None:
        return
    before = item.stash.get(_BEFORE, set[int]())
    asked_for = [id(one) for one in getattr(item, "funcargs", {}).values()]
    told = list(known.ended)
    known.ended.clear()
    for number, tell in list(known.live.items()):
        if number not in before or number in asked_for:
            told.append(tell())
    report.sections += [(f"softaxe ({report.when})", text) for text in told]
